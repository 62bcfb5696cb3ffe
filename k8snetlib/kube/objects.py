"""The Kubernetes objects that bear on the network, as frozen values: the fields have the API's own names, in snake_case.

Objects of this module are already checked and carry the API server's static defaults (``protocol: TCP``, ``targetPort`` = ``port``…);
:mod:`k8snetlib.kube.manifests` makes them. Values that a cluster allocates (``cluster_ips``, ``node_port``, ``node_name``, ``pod_ips``) are
empty, zero or ``""`` until something sets them with :func:`~k8snetlib.value.replace`. Field reference: the Kubernetes 1.36 API.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import field
from typing import ClassVar, Literal

from ..linux.packet import IPAddress
from ..linux.state import IPNetwork
from ..value import value
from .selectors import (
    EMPTY,
    EVERYTHING,
    Affinity,
    FrozenDict,
    Labels,
    LabelSelector,
    Taint,
    Toleration,
    TopologySpreadConstraint,
)

Protocol = Literal["TCP", "UDP", "SCTP"]
ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"


@value
class Location:
    """Where an object was written: file and line. ``root`` is the object's own place inside the file's object (``spec.template`` for a Pod
    that a Deployment makes); ``document`` is the text it came from, by which :func:`~k8snetlib.kube.manifests.locate` finds any field."""

    file: str = ""
    line: int = 0
    root: str = field(default="", compare=False)
    document: object = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file and self.line else self.file


NOWHERE = Location()


@value
class OwnerReference:
    """The controller that made an object (``metadata.ownerReferences`` with ``controller: true``)."""

    kind: str
    name: str
    uid: str = ""


@value
class ObjectMeta:
    """Name, namespace (``""`` for Nodes and Namespaces), labels and annotations; the timestamps are the API's strings or ``""``."""

    name: str = ""
    namespace: str = ""
    labels: Labels = EMPTY
    annotations: Labels = EMPTY
    owner: OwnerReference | None = None
    uid: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str = ""


class Named:
    """What every object has by its metadata. ``key`` is ``namespace/name``, or the name alone for cluster-scoped kinds."""

    __slots__ = ()
    kind: ClassVar[str]

    @property
    def name(self) -> str:
        return self.metadata.name  # type: ignore[attr-defined]

    @property
    def namespace(self) -> str:
        return self.metadata.namespace  # type: ignore[attr-defined]

    @property
    def labels(self) -> Labels:
        return self.metadata.labels  # type: ignore[attr-defined]

    @property
    def annotations(self) -> Labels:
        return self.metadata.annotations  # type: ignore[attr-defined]

    @property
    def owner(self) -> OwnerReference | None:
        return self.metadata.owner  # type: ignore[attr-defined]

    @property
    def key(self) -> str:
        meta = self.metadata  # type: ignore[attr-defined]
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


# --- nodes and namespaces


def node_labels(name: str, labels: Labels = EMPTY) -> Labels:
    """A Node's labels with those that every kubelet sets at registration, on which manifests rely: host name, system and architecture."""
    system = {f"{prefix}kubernetes.io/{key}": value for prefix in ("", "beta.") for key, value in (("os", "linux"), ("arch", "amd64"))}
    return FrozenDict({HOSTNAME_LABEL: name, **system, **labels})


@value
class Node(Named):
    """A machine of the cluster. ``addresses`` are its InternalIPs, primary first; ``max_pods`` is its ``allocatable.pods`` or None."""

    metadata: ObjectMeta
    addresses: tuple[IPAddress, ...] = ()
    pod_cidrs: tuple[IPNetwork, ...] = ()
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    external_addresses: tuple[IPAddress, ...] = ()
    max_pods: int | None = None
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Node"

    @property
    def zone(self) -> str:
        """The value of the label topology.kubernetes.io/zone, or ``""``."""
        return self.labels.get(ZONE_LABEL, "")


@value
class Namespace(Named):
    """A namespace; only its labels matter to the network (NetworkPolicy and Gateway select by them)."""

    metadata: ObjectMeta
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Namespace"


# --- Pods


@value
class ContainerPort:
    """A port that a container says it listens on: documentation, save that Services may name it. ``host_port`` 0 means none."""

    container_port: int
    name: str = ""
    protocol: Protocol = "TCP"
    host_port: int = 0
    host_ip: str = ""


@value
class Container:
    """A container of a Pod. A ``sidecar`` is an init container with ``restartPolicy: Always`` (KEP-753), which keeps running beside the
    others; an ``init`` container has ended before they start; an ``ephemeral`` one was added later, by ``kubectl debug``."""

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    kind: Literal["container", "sidecar", "init", "ephemeral"] = "container"


@value
class HostAlias:
    """An entry that the kubelet adds to the Pod's /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...] = ()


@value
class PodDNSConfig:
    """``spec.dnsConfig``: name servers, search list and (name, value) options merged into the Pod's /etc/resolv.conf."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


@value
class Pod(Named):
    """A group of containers that share one network namespace.

    ``node_name`` and ``pod_ips`` are empty until the Pod is placed and its sandbox has addresses. ``phase`` is ``""`` where the manifest
    has no status; ``conditions`` maps a condition's type to its status ("True", "False", "Unknown"). ``host_ports`` are the ports that it
    takes on its node: (number, protocol, the node's address or ``""`` for all of them).
    """

    metadata: ObjectMeta
    containers: tuple[Container, ...] = ()
    node_name: str = ""
    pod_ips: tuple[IPAddress, ...] = ()
    phase: str = ""
    conditions: Labels = EMPTY
    host_network: bool = False
    node_selector: Labels = EMPTY
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread: tuple[TopologySpreadConstraint, ...] = ()
    scheduler_name: str = "default-scheduler"
    scheduling_gates: tuple[str, ...] = ()
    readiness_gates: tuple[str, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    host_ports: Set[tuple[int, str, str]] = frozenset()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Pod"

    @property
    def ready(self) -> bool:
        """Whether the condition Ready is "True": only then do Services send to the Pod, save those with publishNotReadyAddresses."""
        return self.conditions.get("Ready") == "True"

    @property
    def terminating(self) -> bool:
        """Whether the Pod has been asked to stop (``metadata.deletionTimestamp``) and is still there."""
        return bool(self.metadata.deletion_timestamp)

    @property
    def finished(self) -> bool:
        """Whether all containers have ended for good: such a Pod has given its addresses back."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def running_containers(self) -> Sequence[Container]:
        """The containers and sidecars, whose ports Services can name, in the order in which Kubernetes searches them."""
        return [each for kind in ("container", "sidecar") for each in self.containers if each.kind == kind]


# --- Services


@value
class ServicePort:
    """A port of a Service. ``target_port`` is a number or a container port's name; ``node_port`` 0 means none."""

    port: int
    name: str = ""
    protocol: Protocol = "TCP"
    target_port: int | str = 0
    node_port: int = 0
    app_protocol: str = ""


@value
class LoadBalancerIngress:
    """An address that a load balancer reports in ``status.loadBalancer.ingress``; ``ip_mode`` is VIP or Proxy (KEP-1860)."""

    ip: IPAddress | None = None
    hostname: str = ""
    ip_mode: str = "VIP"


@value
class Service(Named):
    """A stable name and address for the Pods that ``selector`` picks.

    ``cluster_ips`` holds addresses, or the single string "None" for a headless Service, or nothing as long as none is allocated; the same
    goes for ``ip_families`` and ``ip_family_policy``, whose defaults depend on the cluster. Timeouts are seconds.
    """

    metadata: ObjectMeta
    ports: tuple[ServicePort, ...] = ()
    selector: Labels = EMPTY
    type: str = "ClusterIP"
    cluster_ips: tuple[IPAddress | Literal["None"], ...] = ()
    external_ips: tuple[IPAddress, ...] = ()
    external_name: str = ""
    session_affinity: str = "None"
    session_affinity_timeout: int = 10800
    external_traffic_policy: str = ""
    internal_traffic_policy: str = "Cluster"
    traffic_distribution: str = ""
    publish_not_ready_addresses: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str = ""
    load_balancer_ip: str = ""
    load_balancer_class: str = ""
    load_balancer_source_ranges: tuple[IPNetwork, ...] = ()
    allocate_load_balancer_node_ports: bool = True
    health_check_node_port: int = 0
    load_balancer_ingress: tuple[LoadBalancerIngress, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Service"

    @property
    def cluster_ip(self) -> IPAddress | Literal["None"] | None:
        """The first of ``cluster_ips``: an address, "None" (headless), or None as long as none is allocated."""
        return self.cluster_ips[0] if self.cluster_ips else None

    @property
    def headless(self) -> bool:
        """Whether ``clusterIP: None``: no virtual address, DNS answers with the Pods' own."""
        return self.cluster_ip == "None"

    def source_ranges(self, version: int) -> tuple[IPNetwork, ...]:
        """From where a load balancer's address of one family may be called; () for everywhere. Ranges that are all of the other family say
        nothing here, and one of length 0 lets everybody in, whoever else is named (pkg/proxy/serviceport.go)."""
        ranges = tuple(each for each in self.load_balancer_source_ranges if each.version == version)
        return () if any(each.prefixlen == 0 for each in ranges) else ranges


# --- workloads: what makes Pods


@value
class Workload(Named):
    """What the kinds that make Pods have in common; ``template`` is a Pod without a name."""

    metadata: ObjectMeta
    template: Pod
    selector: LabelSelector = EVERYTHING
    replicas: int = 1
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@value
class Deployment(Workload):
    """Keeps ``replicas`` interchangeable Pods, through a ReplicaSet for each version of the template."""

    paused: bool = False
    kind: ClassVar[str] = "Deployment"


@value
class ReplicaSet(Workload):
    """Keeps ``replicas`` interchangeable Pods."""

    kind: ClassVar[str] = "ReplicaSet"


@value
class ReplicationController(Workload):
    """The ReplicaSet's predecessor in the API group v1, with an equality-only selector."""

    kind: ClassVar[str] = "ReplicationController"


@value
class StatefulSet(Workload):
    """Keeps Pods with stable names NAME-0, NAME-1…, numbered from ``ordinals_start``, each with a DNS name under ``service_name``."""

    service_name: str = ""
    ordinals_start: int = 0
    kind: ClassVar[str] = "StatefulSet"


@value
class DaemonSet(Workload):
    """Keeps one Pod on every Node that fits its template; ``replicas`` has no meaning here."""

    kind: ClassVar[str] = "DaemonSet"


@value
class Job(Workload):
    """Runs Pods to completion. ``replicas`` is how many run at the start: min(parallelism, completions), or 0 if suspended or done."""

    completion_mode: str = "NonIndexed"
    kind: ClassVar[str] = "Job"
