"""The kinds of each API group and version that Kubernetes 1.36 serves, those it no longer serves, and why a kind is skipped. Data only."""

from __future__ import annotations

from typing import Literal

from ..value import value

Bearing = Literal["none", "unknown", "some"]
MODELLED = frozenset(
    [
        "Pod", "Service", "EndpointSlice", "Endpoints", "Node", "Namespace",
        "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController",
    ]
)  # fmt: skip
EDGE = frozenset(
    [
        "Ingress", "IngressClass", "GatewayClass", "Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute",
        "ReferenceGrant",
    ]
)  # fmt: skip
"""The kinds that route what comes from outside; their makers are imported when the first such object comes."""
READ = MODELLED | EDGE
CLUSTER_SCOPED = frozenset(["Node", "Namespace", "IngressClass", "GatewayClass"])

GATEWAY = "gateway.networking.k8s.io/v1"
GATEWAY_GROUPS = frozenset(["gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "networking.x-k8s.io"])
"""The group of the Gateway API, that of its experiments, and the one it had before v1alpha2."""
GATEWAY_KINDS = EDGE - {"Ingress", "IngressClass"}
GATEWAY_NAMES = {"XListenerSet": "ListenerSet", "ReferencePolicy": "ReferenceGrant"}
"""What kinds were called before they were in the standard channel."""
ALPHA = frozenset(
    [
        ("gateway.networking.k8s.io/v1alpha2", "TCPRoute"), ("gateway.networking.k8s.io/v1alpha2", "UDPRoute"),
        ("gateway.networking.k8s.io/v1alpha2", "TLSRoute"), ("gateway.networking.k8s.io/v1alpha3", "TLSRoute"),
    ]
)  # fmt: skip
"""Deprecated versions with the fields of v1, as which they are read: clusters with the experimental channel serve them."""

OWN_NAMES = frozenset(
    [
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "CertificateSigningRequest",
        "ClusterTrustBundle",
        "IPAddress",
        "APIService",
    ]
)
"""Kinds whose names need not be DNS subdomains: ``system:node``, ``2001:db8::1``."""

_SERVED = """
v1: Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate
    ReplicationController ResourceQuota Secret Service ServiceAccount
admissionregistration.k8s.io/v1: MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
    ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
admissionregistration.k8s.io/v1beta1: MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1alpha1: MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
apiextensions.k8s.io/v1: CustomResourceDefinition
apiregistration.k8s.io/v1: APIService
apps/v1: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
authentication.k8s.io/v1: SelfSubjectReview TokenReview
authorization.k8s.io/v1: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
autoscaling/v1: HorizontalPodAutoscaler
autoscaling/v2: HorizontalPodAutoscaler
batch/v1: CronJob Job
certificates.k8s.io/v1: CertificateSigningRequest
certificates.k8s.io/v1beta1: ClusterTrustBundle PodCertificateRequest
certificates.k8s.io/v1alpha1: ClusterTrustBundle
coordination.k8s.io/v1: Lease
coordination.k8s.io/v1beta1: LeaseCandidate
coordination.k8s.io/v1alpha2: LeaseCandidate
discovery.k8s.io/v1: EndpointSlice
events.k8s.io/v1: Event
flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
internal.apiserver.k8s.io/v1alpha1: StorageVersion
networking.k8s.io/v1: IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR
networking.k8s.io/v1beta1: IPAddress ServiceCIDR
node.k8s.io/v1: RuntimeClass
policy/v1: Eviction PodDisruptionBudget
rbac.authorization.k8s.io/v1: ClusterRole ClusterRoleBinding Role RoleBinding
resource.k8s.io/v1: DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1beta1: DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1beta2: DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1alpha3: DeviceTaintRule ResourcePoolStatusRequest
scheduling.k8s.io/v1: PriorityClass
scheduling.k8s.io/v1alpha2: PodGroup Workload
storage.k8s.io/v1: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
storage.k8s.io/v1beta1: VolumeAttributesClass
storagemigration.k8s.io/v1beta1: StorageVersionMigration
"""

# "served until: version they left, kinds, where to go", from the Kubernetes Deprecated API Migration Guide
_REMOVED = """
extensions/v1beta1 1.16 apps/v1: DaemonSet Deployment ReplicaSet
apps/v1beta1 1.16 apps/v1: Deployment StatefulSet
apps/v1beta2 1.16 apps/v1: DaemonSet Deployment ReplicaSet StatefulSet
extensions/v1beta1 1.16 networking.k8s.io/v1: NetworkPolicy
extensions/v1beta1 1.22 networking.k8s.io/v1: Ingress
networking.k8s.io/v1beta1 1.22 networking.k8s.io/v1: Ingress IngressClass
rbac.authorization.k8s.io/v1beta1 1.22 rbac.authorization.k8s.io/v1: ClusterRole ClusterRoleBinding Role RoleBinding
admissionregistration.k8s.io/v1beta1 1.22 admissionregistration.k8s.io/v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration
apiextensions.k8s.io/v1beta1 1.22 apiextensions.k8s.io/v1: CustomResourceDefinition
apiregistration.k8s.io/v1beta1 1.22 apiregistration.k8s.io/v1: APIService
certificates.k8s.io/v1beta1 1.22 certificates.k8s.io/v1: CertificateSigningRequest
coordination.k8s.io/v1beta1 1.22 coordination.k8s.io/v1: Lease
scheduling.k8s.io/v1beta1 1.22 scheduling.k8s.io/v1: PriorityClass
storage.k8s.io/v1beta1 1.22 storage.k8s.io/v1: CSIDriver CSINode StorageClass VolumeAttachment
storage.k8s.io/v1beta1 1.27 storage.k8s.io/v1: CSIStorageCapacity
batch/v1beta1 1.25 batch/v1: CronJob
discovery.k8s.io/v1beta1 1.25 discovery.k8s.io/v1: EndpointSlice
events.k8s.io/v1beta1 1.25 events.k8s.io/v1: Event
autoscaling/v2beta1 1.25 autoscaling/v2: HorizontalPodAutoscaler
autoscaling/v2beta2 1.26 autoscaling/v2: HorizontalPodAutoscaler
policy/v1beta1 1.25 policy/v1: PodDisruptionBudget
policy/v1beta1 1.25 -: PodSecurityPolicy
extensions/v1beta1 1.16 -: PodSecurityPolicy
node.k8s.io/v1beta1 1.25 node.k8s.io/v1: RuntimeClass
flowcontrol.apiserver.k8s.io/v1beta1 1.26 flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta2 1.29 flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta3 1.32 flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
"""

KEPT = frozenset(["Secret", "Certificate", "ExternalSecret", "SealedSecret"])
"""Kinds that are skipped and whose data is kept: the edge asks which certificates there are."""


@value
class Reason:
    """Why an object is skipped, and the bearing that it has on an answer all the same (:class:`~k8snetlib.kube.manifests.Skipped`)."""

    text: str
    bearing: Bearing = "some"


NOT_NETWORK = Reason("has no bearing on the Pod network", "none")
SKIPPED: dict[str, Reason] = {
    "NetworkPolicy": Reason("is not in this model yet, whatever the network plug-in: nothing is blocked"),
    "ServiceCIDR": Reason("adds a range of Service addresses; this model does not read it yet, and takes the cluster's own range"),
    "IPAddress": Reason("records an address that the API server gave to a Service", "none"),
    "CronJob": Reason("makes Jobs at their time: there is no Pod now", "none"),
    "HorizontalPodAutoscaler": Reason("changes replicas with the load: the model keeps spec.replicas"),
    "PodTemplate": Reason("is a template that nothing runs", "none"),
}
GATEWAY_API = Reason("belongs to the Gateway API and is not among the kinds that this model reads")
BACKEND_TLS = Reason("asks a gateway to speak TLS to the Pods, and is not read: here that connection is plain, and a handshake cannot fail")
ROUTES = Reason("is for a controller of its own, which may route or refuse requests by it, and is not read")
PLUGIN = Reason("is for a network plug-in or a load balancer, which may route or drop packets by it, and is not read")
CLIENT_SIDE = Reason("configures a tool or component and is no object of the cluster", "none")


def custom(group: str) -> Reason:
    """The reason for a custom resource of whose controller nothing is known."""
    return Reason(f"is a custom resource, not part of Kubernetes 1.36: API group {group}", "unknown")


_CONTROLLERS = """
apisix.apache.org appgw.ingress.azure.io appgw.ingress.k8s.io appmesh.k8s.aws cloud.google.com configuration.konghq.com core.haproxy.org
elbv2.k8s.aws gateway.envoyproxy.io gateway.k8s.aws gateway.kgateway.dev gateway.nginx.org gateway.solo.io getambassador.io
ingress.v1.haproxy.org ingress.v3.haproxy.org k8s.nginx.org linkerd.io multicluster.x-k8s.io networking.gke.io networking.istio.io
policy.linkerd.io projectcontour.io route.openshift.io security.istio.io split.smi-spec.io traefik.containo.us traefik.io
"""
_PLUGINS = """
cilium.io crd.antrea.io crd.k8s.amazonaws.com crd.projectcalico.org k8s.cni.cncf.io k8s.ovn.org kubeovn.io metallb.io networking.k8s.aws
policy.networking.k8s.io projectcalico.org vpcresources.k8s.aws whereabouts.cni.cncf.io
"""
CONTROLLED: dict[str, Reason] = dict.fromkeys(_CONTROLLERS.split(), ROUTES) | dict.fromkeys(_PLUGINS.split(), PLUGIN)
"""API group of custom resources -> why what they say may change an answer."""

# API groups of files that look like manifests and are read by a program, not by the API server; they have no metadata
CLIENT_SIDE_GROUPS = frozenset(
    [
        "kustomize.config.k8s.io", "kind.x-k8s.io", "kubeadm.k8s.io", "kubelet.config.k8s.io", "kubeproxy.config.k8s.io",
        "kubescheduler.config.k8s.io", "apiserver.config.k8s.io", "audit.k8s.io", "client.authentication.k8s.io", "k3d.io", "skaffold",
    ]
)  # fmt: skip


def _sections(text: str) -> list[tuple[str, list[str]]]:
    """``head: words`` with continuation lines, as pairs."""
    joined = text.strip().replace("\n    ", " ")
    return [(head, words.split()) for head, words in (line.split(":") for line in joined.splitlines())]


SERVED: dict[str, frozenset[str]] = {version: frozenset(kinds) for version, kinds in _sections(_SERVED)}
GROUPS: frozenset[str] = frozenset(version.rpartition("/")[0] for version in SERVED)
REMOVED: dict[tuple[str, str], tuple[str, str]] = {
    (version, kind): (release, "" if successor == "-" else successor)
    for head, kinds in _sections(_REMOVED)
    for version, release, successor in [head.split()]
    for kind in kinds
}
"""(apiVersion, kind) -> (the release without it, the apiVersion that took its place or "")."""
