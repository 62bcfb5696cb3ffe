"""Manifests: what loads, what is refused and with which words and place, and where things are found again."""

from __future__ import annotations

import json
import os
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from k8snetlib.errors import K8sNetError, ManifestError, UnsupportedError
from k8snetlib.kube import schema, schema_kinds, schema_workloads
from k8snetlib.kube.manifests import error_at, load, loads, locate
from k8snetlib.kube.objects import DaemonSet, Deployment, Job, Namespace, Node, Pod, Service, StatefulSet, Workload
from k8snetlib.kube.schema_yaml import documents

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
  - name: web
    image: nginx
    ports:
    - name: http
      containerPort: 8080
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels:
      app: api
  template:
    metadata:
      labels:
        app: api
    spec:
      containers:
      - name: api
        image: api
        ports:
        - containerPort: 8080
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: http
"""


def refusal(text: str, file: str = "shop.yaml") -> str:
    """The message of the one error that a text must raise."""
    with pytest.raises((ManifestError, UnsupportedError)) as caught:
        loads(text, file)
    return str(caught.value)


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


# --- what loads


def test_pod_has_its_fields_and_defaults():
    (pod,) = loads(POD, "shop.yaml").objects
    assert (pod.key, pod.labels, pod.phase, pod.dns_policy, pod.ready) == ("default/web", {"app": "web"}, "", "ClusterFirst", False)
    (container,) = pod.containers
    assert (container.kind, container.ports[0].container_port, container.ports[0].protocol) == ("container", 8080, "TCP")
    assert str(pod.location) == "shop.yaml:1"


def test_sidecars_are_init_containers_that_always_restart():
    text = POD + "  initContainers:\n  - {name: log, image: x, restartPolicy: Always}\n  - {name: setup, image: x}\n"
    (pod,) = loads(text).objects
    assert [(each.name, each.kind) for each in pod.containers] == [("web", "container"), ("log", "sidecar"), ("setup", "init")]
    assert [each.name for each in pod.running_containers] == ["web", "log"]


def test_host_network_ports_are_ports_of_the_node():
    (pod,) = loads(POD + "  hostNetwork: true\n").objects
    assert pod.host_network
    assert pod.containers[0].ports[0].host_port == 8080


def test_service_has_the_static_defaults_of_the_api_server():
    (service,) = loads(changed(SERVICE, "    targetPort: http\n", "")).objects
    port = service.ports[0]
    assert (port.protocol, port.target_port, port.node_port) == ("TCP", 80, 0)
    assert (service.type, service.session_affinity, service.session_affinity_timeout) == ("ClusterIP", "None", 10800)
    assert (service.internal_traffic_policy, service.external_traffic_policy, service.cluster_ip) == ("Cluster", "", None)


def test_service_fields():
    text = """
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: shop}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.9
  clusterIPs: [10.96.0.9, "fd00:10:96::9"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: RequireDualStack
  externalIPs: [198.51.100.7]
  loadBalancerSourceRanges: [" 10.0.0.0/8 "]
  loadBalancerClass: example.com/lb
  loadBalancerIP: 192.0.2.9
  externalTrafficPolicy: Local
  internalTrafficPolicy: Local
  healthCheckNodePort: 31000
  allocateLoadBalancerNodePorts: false
  publishNotReadyAddresses: true
  trafficDistribution: PreferSameZone
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  ports: [{name: web, port: 80, targetPort: http, nodePort: 30080, appProtocol: http}]
status: {loadBalancer: {ingress: [{ip: 198.51.100.10, ipMode: Proxy}, {hostname: lb.example.com}]}}
"""
    (service,) = loads(text).objects
    assert service.cluster_ips == (ip_address("10.96.0.9"), ip_address("fd00:10:96::9"))
    assert service.load_balancer_source_ranges == (ip_network("10.0.0.0/8"),)
    assert service.external_ips == (ip_address("198.51.100.7"),)
    assert (service.session_affinity, service.session_affinity_timeout) == ("ClientIP", 60)
    assert (service.external_traffic_policy, service.internal_traffic_policy) == ("Local", "Local")
    assert (service.ip_families, service.ip_family_policy) == (("IPv4", "IPv6"), "RequireDualStack")
    assert (service.load_balancer_class, service.load_balancer_ip, service.health_check_node_port) == ("example.com/lb", "192.0.2.9", 31000)
    assert not service.allocate_load_balancer_node_ports
    assert service.publish_not_ready_addresses
    assert service.traffic_distribution == "PreferSameZone"
    assert service.ports[0].app_protocol == "http"
    assert [(str(each.ip or each.hostname), each.ip_mode) for each in service.load_balancer_ingress] == [
        ("198.51.100.10", "Proxy"),
        ("lb.example.com", "VIP"),
    ]


def test_headless_and_external_name():
    headless, alias = loads(
        changed(SERVICE, "spec:\n", "spec:\n  clusterIP: None\n")
        + "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {type: ExternalName, externalName: db.example.com.}\n"
    ).objects
    assert headless.headless
    assert headless.cluster_ips == ("None",)
    assert (alias.external_name, alias.ports, alias.internal_traffic_policy) == ("db.example.com", (), "")


def test_every_kind_of_workload():
    body = "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
    text = "".join(
        f"---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {body}{extra}}}\n"
        for kind, extra in [
            ("Deployment", ", replicas: 3, paused: true"),
            ("ReplicaSet", ", replicas: 0"),
            ("StatefulSet", ", serviceName: db, ordinals: {start: 2}"),
            ("DaemonSet", ""),
        ]
    )
    text += "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\nspec: {completions: 2, parallelism: 5, template: {spec: "
    text += "{restartPolicy: Never, containers: [{name: c, image: i}]}}}\n"
    text += "---\napiVersion: v1\nkind: ReplicationController\nmetadata: {name: x}\nspec: {template: {metadata: {labels: {a: b}}, spec: "
    text += "{containers: [{name: c, image: i}]}}}\n"
    manifests = loads(text)
    made = {each.kind: each for each in manifests.of(Workload)}
    assert {kind: each.replicas for kind, each in made.items()} == {
        "Deployment": 3,
        "ReplicaSet": 0,
        "StatefulSet": 1,
        "DaemonSet": 0,
        "Job": 2,
        "ReplicationController": 1,
    }
    assert (made["StatefulSet"].service_name, made["StatefulSet"].ordinals_start) == ("db", 2)
    assert made["ReplicationController"].selector.match_labels == {"a": "b"}
    assert manifests.of(Deployment)[0].template.labels == {"a": "b"}
    assert manifests.notes == (
        "<text>:2: Deployment default/x is paused: its controller makes no ReplicaSet, and so no Pods, before it is resumed",
    )
    assert manifests.of(DaemonSet) + manifests.of(Job) + manifests.of(StatefulSet) == (made["DaemonSet"], made["Job"], made["StatefulSet"])


def test_node_and_namespace():
    text = """
apiVersion: v1
kind: Node
metadata: {name: node-a, labels: {topology.kubernetes.io/zone: zone-1}}
spec:
  podCIDR: 10.244.1.0/24
  podCIDRs: [10.244.1.0/24, "fd00:244:1::/64"]
  unschedulable: true
  taints: [{key: a, value: b, effect: NoSchedule}]
status:
  allocatable: {pods: "110"}
  addresses:
  - {type: Hostname, address: node-a}
  - {type: InternalIP, address: 192.168.50.11}
  - {type: InternalIP, address: "fd00:50::11"}
  - {type: ExternalIP, address: 203.0.113.9}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""
    manifests = loads(text)
    (node,) = manifests.of(Node)
    assert (node.key, node.zone, node.max_pods, node.unschedulable) == ("node-a", "zone-1", 110, True)
    assert node.addresses == (ip_address("192.168.50.11"), ip_address("fd00:50::11"))
    assert node.external_addresses == (ip_address("203.0.113.9"),)
    assert node.pod_cidrs == (ip_network("10.244.1.0/24"), ip_network("fd00:244:1::/64"))
    assert str(node.taints[0]) == "a=b:NoSchedule"
    assert node.labels["kubernetes.io/hostname"] == "node-a"
    assert node.labels["kubernetes.io/os"] == "linux"
    assert manifests.of(Namespace)[0].labels == {"kubernetes.io/metadata.name": "shop"}


DUMP = """\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: '2026-11-01T10:00:00Z'
  generateName: api-5d9c7b8f6-
  generation: 1
  labels:
    app: api
    pod-template-hash: 5d9c7b8f6
  managedFields:
  - apiVersion: v1
    fieldsType: FieldsV1
    fieldsV1:
      f:status:
        f:podIPs: {}
    manager: kubelet
    operation: Update
    subresource: status
    time: '2026-11-01T10:00:01Z'
  name: api-5d9c7b8f6-x2k4q
  namespace: shop
  ownerReferences:
  - apiVersion: apps/v1
    blockOwnerDeletion: true
    controller: true
    kind: ReplicaSet
    name: api-5d9c7b8f6
    uid: u1
  resourceVersion: '812'
  uid: u2
spec:
  containers:
  - image: api:1
    imagePullPolicy: IfNotPresent
    name: api
    ports:
    - containerPort: 8080
      protocol: TCP
    resources: {}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
    volumeMounts:
    - mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      name: kube-api-access
      readOnly: true
  dnsPolicy: ClusterFirst
  enableServiceLinks: true
  nodeName: node-b
  preemptionPolicy: PreemptLowerPriority
  priority: 0
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
  serviceAccount: default
  serviceAccountName: default
  terminationGracePeriodSeconds: 30
  tolerations:
  - effect: NoExecute
    key: node.kubernetes.io/not-ready
    operator: Exists
    tolerationSeconds: 300
  volumes:
  - name: kube-api-access
    projected:
      defaultMode: 420
      sources:
      - serviceAccountToken:
          expirationSeconds: 3607
          path: token
      - configMap:
          items:
          - key: ca.crt
            path: ca.crt
          name: kube-root-ca.crt
      - downwardAPI:
          items:
          - fieldRef:
              apiVersion: v1
              fieldPath: metadata.namespace
            path: namespace
status:
  conditions:
  - lastProbeTime: null
    lastTransitionTime: '2026-11-01T10:00:02Z'
    observedGeneration: 1
    status: 'True'
    type: Ready
  containerStatuses:
  - containerID: containerd://1
    image: api:1
    imageID: sha256:1
    lastState: {}
    name: api
    ready: true
    resources: {}
    restartCount: 0
    started: true
    state:
      running:
        startedAt: '2026-11-01T10:00:02Z'
    user:
      linux:
        gid: 0
        supplementalGroups:
        - 0
        uid: 0
    volumeMounts:
    - mountPath: /x
      name: kube-api-access
      readOnly: true
      recursiveReadOnly: Disabled
  hostIP: 192.168.50.12
  hostIPs:
  - ip: 192.168.50.12
  observedGeneration: 1
  phase: Running
  podIP: 10.244.2.9
  podIPs:
  - ip: 10.244.2.9
  qosClass: BestEffort
  startTime: '2026-11-01T10:00:00Z'
"""
DUMPED_POD = yaml.safe_load(DUMP)


@pytest.mark.parametrize("spaces", [None, 2, "\t"])
def test_what_kubectl_get_prints_as_json_loads(spaces):
    text = json.dumps({"apiVersion": "v1", "items": [DUMPED_POD], "kind": "List", "metadata": {"resourceVersion": ""}}, indent=spaces)
    (pod,) = loads(text).objects
    assert (pod.node_name, pod.phase, pod.ready, pod.pod_ips) == ("node-b", "Running", True, (ip_address("10.244.2.9"),))
    assert (pod.owner.kind, pod.owner.name) == ("ReplicaSet", "api-5d9c7b8f6")


def test_what_kubectl_get_prints_as_yaml_loads_the_same():
    listing = {"apiVersion": "v1", "items": [DUMPED_POD, json.loads(json.dumps(DUMPED_POD).replace("x2k4q", "z9z9z"))], "kind": "List"}
    assert loads(yaml.safe_dump(listing)).objects == loads(json.dumps(listing)).objects


def test_typed_lists_give_their_items_the_kind():
    item = {key: value for key, value in DUMPED_POD.items() if key not in ("apiVersion", "kind")}
    assert loads(json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [item]})).of(Pod)[0].name == "api-5d9c7b8f6-x2k4q"


def test_lists_in_lists_and_several_json_values():
    name = '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "%s"}}'
    inner = '{"apiVersion": "v1", "kind": "List", "items": [%s]}'
    text = inner % f"{name % 'a'}, {inner % (name % 'b')}, {name % 'c'}" + "\n" + name % "d"
    assert [each.name for each in loads(text).objects] == ["a", "b", "c", "d"]


def test_null_means_absent():
    text = changed(DEPLOYMENT, "replicas: 2", "replicas: null\n  strategy:\n  paused: ~")
    text = changed(text, "image: api", "image: api\n        env:\n        args: [a, null]")
    assert loads(text).objects[0].replicas == 1


def test_yaml_anchors_and_merge_keys():
    text = changed(POD, "labels: {app: web}", "labels: &labels {app: web, tier: front}")
    text += "---\n" + changed(
        changed(POD, "name: web\n", "name: w2\n"), "labels: {app: web}", "labels:\n    <<: [{app: a}, {app: b, x: y}]\n    x: z"
    )
    one, two = loads(text).objects
    assert (one.labels, two.labels) == ({"app": "web", "tier": "front"}, {"app": "a", "x": "z"})


def test_numbers_and_quantities_as_kubectl_reads_them():
    text = changed(DEPLOYMENT, "replicas: 2", "replicas: 2.0")
    text = changed(
        text, "image: api", "image: api\n        resources: {limits: {cpu: 1, memory: 100Mi}, requests: {cpu: 0.5, memory: 1e3}}"
    )
    text += "      volumes: [{name: v, configMap: {name: c, defaultMode: 0644}}]\n"
    assert loads(text).objects[0].replicas == 2


def test_windows_line_ends_and_byte_order_mark():
    assert loads(b"\xef\xbb\xbf" + POD.replace("\n", "\r\n").encode()).objects == loads(POD).objects
    assert loads("\ufeff" + SERVICE).objects == loads(SERVICE).objects


def test_without_libyaml_the_result_is_the_same(monkeypatch):
    text = "# größe\n" + DEPLOYMENT + "---\n" + SERVICE + "---\n" + DUMP
    expected = loads(text).objects
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert loads(text).objects == expected
    assert [locate(each, "spec.selector").line for each in loads(text).objects[:2]] == [9, 28]
    assert refusal(changed(text, "targetPort", "targetport")).startswith("shop.yaml:32 spec.ports[0].targetport: unknown field")


def test_deep_parts_of_a_pod_are_known():
    text = (
        POD
        + """\
  - name: all
    image: x
    command: [a]
    envFrom: [{prefix: P, configMapRef: {name: c, optional: true}}, {secretRef: {name: s}}]
    env:
    - {name: A, value: "1"}
    - {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: C, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: D, valueFrom: {secretKeyRef: {name: s, key: k}}}
    lifecycle: {preStop: {exec: {command: [sleep]}}, postStart: {httpGet: {port: http, path: /, httpHeaders: [{name: A, value: b}]}}}
    livenessProbe: {grpc: {port: 9000}, periodSeconds: 3}
    readinessProbe: {tcpSocket: {port: http}, failureThreshold: 3}
    securityContext: {capabilities: {add: [NET_ADMIN], drop: [ALL]}, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
    resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]
    volumeMounts: [{name: v, mountPath: /v, subPath: a}]
  affinity:
    nodeAffinity:
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Exists}]}}]
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}}
  dnsConfig: {nameservers: [10.96.0.10], searches: [a.b], options: [{name: ndots, value: "2"}]}
  hostAliases: [{ip: 127.0.0.1, hostnames: [a.local]}]
  hostname: h
  subdomain: s
  readinessGates: [{conditionType: example.com/ok}]
  securityContext: {fsGroup: 1, sysctls: [{name: net.core.somaxconn, value: "1024"}]}
  volumes:
  - {name: v, emptyDir: {sizeLimit: 1Gi}}
  - {name: w, csi: {driver: d, volumeAttributes: {a: b}}}
  - {name: x, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
"""
    )
    (pod,) = loads(text).objects
    assert (pod.hostname, pod.subdomain, pod.readiness_gates) == ("h", "s", ("example.com/ok",))
    assert pod.dns_config.options == (("ndots", "2"),)
    assert pod.host_aliases[0].hostnames == ("a.local",)


# --- what is skipped, and remarks

GATEWAY_API = "belongs to the Gateway API and is not among the kinds that this model reads"
ROUTES = "is for a controller of its own, which may route or refuse requests by it, and is not read"
HOSTS = "hostnames: [a.com], "
# fmt: off
SKIPPED = [
    ("v1", "ConfigMap", "none", "has no bearing on the Pod network"),
    ("rbac.authorization.k8s.io/v1", "Role", "none", "has no bearing on the Pod network"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "some", "changes replicas with the load: the model keeps spec.replicas"),
    ("batch/v1", "CronJob", "none", "makes Jobs at their time: there is no Pod now"),
    ("networking.k8s.io/v1", "NetworkPolicy", "some", "is not in this model yet, whatever the network plug-in: nothing is blocked"),
    ("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "some",
     "asks a gateway to speak TLS to the Pods, and is not read: here that connection is plain, and a handshake cannot fail"),
    ("gateway.networking.x-k8s.io/v1alpha1", "XMesh", "some", GATEWAY_API),
    ("gateway.networking.k8s.io/v1alpha2", "XRoute", "some", GATEWAY_API),
    ("traefik.io/v1alpha1", "IngressRoute", "some", ROUTES),
    ("networking.istio.io/v1", "VirtualService", "some", ROUTES),
    ("projectcalico.org/v3", "GlobalNetworkPolicy", "some",
     "is for a network plug-in or a load balancer, which may route or drop packets by it, and is not read"),
    ("serving.knative.dev/v1", "Service", "unknown", "is a custom resource, not part of Kubernetes 1.36: API group serving.knative.dev"),
]
# fmt: on


@pytest.mark.parametrize(("version", "kind", "bearing", "why"), SKIPPED)
def test_other_kinds_are_skipped_with_a_reason(version, kind, bearing, why):
    template = "{spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}"
    cron = f"spec: {{schedule: '* * * * *', jobTemplate: {{spec: {{template: {template}}}}}}}"
    rest = {"ConfigMap": "data: {}", "Role": "rules: []", "CronJob": cron}.get(kind, "spec: {}")
    (skipped,) = loads(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\n{rest}", "a.yaml").skipped
    assert (str(skipped), skipped.bearing) == (f"a.yaml:1 {kind} shop/x: {why}", bearing)


# fmt: off
SKIPPED_MISTAKES = [
    ("v1", "ConfigMap", "{name: A_b}", 'name: invalid value "A_b": an RFC 1123 subdomain has only a-z'),
    ("v1", "ConfigMap", "{name: 8}", 'name: must be a string, not the number 8: put it in quotes: "8"'),
    ("v1", "ConfigMap", "{}", "name: required value: name or generateName"),
    ("v1", "Secret", "{name: a, namespace: A}", 'namespace: invalid value "A": an RFC 1123 label has only a-z'),
    ("v1", "ServiceAccount", "{name: a, labels: {on-call: yes}}", 'labels.on-call: must be a string, not the boolean true: put it in quotes: "yes"'),
    ("v1", "ServiceAccount", "{name: a, labels: {a: b c}}", 'labels.a: invalid value "b c": a label has only letters'),
    ("v1", "ServiceAccount", "{name: a, annotations: {/a: b}}", 'annotations[/a]: invalid value "/a": the part before'),
    ("v1", "ServiceAccount", "{name: a, label: {a: b}}", 'label: unknown field (did you mean "labels"?)'),
    ("rbac.authorization.k8s.io/v1", "Role", "{name: a/b}", 'name: invalid value "a/b": may not contain "/"'),
    ("example.org/v1", "Thing", '{name: ".."}', 'name: invalid value "..": may not be ".."'),
    ("example.org/v1", "Thing", "{name: a, labels: [a]}", "labels: must be an object, not a list"),
]
# fmt: on


@pytest.mark.parametrize(("version", "kind", "meta", "message"), SKIPPED_MISTAKES)
def test_metadata_of_what_is_skipped_is_checked_all_the_same(version, kind, meta, message):
    assert refusal(f"apiVersion: {version}\nkind: {kind}\nmetadata: {meta}\n").startswith(f"shop.yaml:3 metadata.{message}")


@pytest.mark.parametrize(("version", "kind", "meta"), [
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "{name: 'system:node'}"), ("networking.k8s.io/v1", "IPAddress", "{name: '2001:db8::1'}"),
    ("user.example.org/v1", "User", "{name: 'kube:admin'}"), ("authorization.k8s.io/v1", "SelfSubjectAccessReview", "{}"),
    ("v1", "ConfigMap", "{generateName: a-, creationTimestamp: null, labels: null, annotations: {A.b/C_d: ''}}"),
    ("kustomize.config.k8s.io/v1beta1", "Kustomization", "{name: A_b}"),
])  # fmt: skip
def test_names_that_are_no_dns_names(version, kind, meta):
    assert len(loads(f"apiVersion: {version}\nkind: {kind}\nmetadata: {meta}\n").skipped) == 1


# fmt: off
UNSERVED = [
    ("gateway.networking.k8s.io/v1alpha2", "HTTPRoute", ""), ("gateway.networking.k8s.io/v1alpha2", "GRPCRoute", ""),
    ("gateway.networking.k8s.io/v1alpha2", "Gateway", ""), ("gateway.networking.k8s.io/v1alpha2", "GatewayClass", ""),
    ("gateway.networking.k8s.io/v1alpha2", "ReferenceGrant", ""), ("gateway.networking.k8s.io/v1alpha3", "TCPRoute", ""),
    ("gateway.networking.k8s.io/v1beta1", "TLSRoute", ""), ("networking.x-k8s.io/v1alpha1", "HTTPRoute", ""),
    ("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet", " and kind: ListenerSet"),
    ("gateway.networking.k8s.io/v1alpha2", "ReferencePolicy", " and kind: ReferenceGrant"),
]
# fmt: on


@pytest.mark.parametrize(("version", "kind", "renamed"), UNSERVED)
def test_versions_of_the_gateway_api_that_are_not_served_are_mistakes(version, kind, renamed):
    assert refusal(f"kind: {kind}\napiVersion: {version}\nmetadata: {{name: x}}\nspec: {{}}\n") == (
        f"shop.yaml:2 apiVersion: {kind} of {version} is not served by Gateway API 1.6: "
        f"write apiVersion: gateway.networking.k8s.io/v1{renamed}"
    )


ALPHA = [("v1alpha2", "TCPRoute", ""), ("v1alpha2", "UDPRoute", ""), ("v1alpha2", "TLSRoute", HOSTS), ("v1alpha3", "TLSRoute", HOSTS)]


@pytest.mark.parametrize(("version", "kind", "hosts"), ALPHA)
def test_alpha_routes_of_the_experimental_channel_are_read_as_v1_with_a_remark(version, kind, hosts):
    text = (
        f"apiVersion: gateway.networking.k8s.io/{version}\nkind: {kind}\nmetadata: {{name: x}}\n"
        f"spec: {{{hosts}parentRefs: [{{name: g}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}\n"
    )
    found = loads(text, "shop.yaml")
    assert found.objects == loads(text.replace(version, "v1")).objects and not found.skipped
    assert found.notes == (
        f"shop.yaml:1: {kind} of gateway.networking.k8s.io/{version} is deprecated, and the standard channel does not serve it: "
        "write apiVersion: gateway.networking.k8s.io/v1",
    )
    assert refusal(text.replace("rules: [", "rules: [{}, ")).startswith("shop.yaml:4 spec.rules: read as v1: too many: 2")


# fmt: off
NETWORK_MISTAKES = [
    ("networking.k8s.io/v1", "NetworkPolicy", "{ingress: [{from: [{}]}]}",
     "4 spec.ingress[0].from[0]: required value: must specify a peer: podSelector, namespaceSelector or ipBlock"),
    ("networking.k8s.io/v1", "Ingress", "{rules: [{http: {paths: [{path: /, backend: {service: {name: web}}}]}}]}",
     "4 spec.rules[0].http.paths[0].pathType: required value: pathType must be specified"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute", "{hostname: [a.example.com]}",
     '4 spec.hostname: unknown field (did you mean "hostnames"?)'),
    ("gateway.networking.k8s.io/v1", "Gateway", "{gatewayClassName: c, listeners: [{name: web, port: http, protocol: HTTP}]}",
     '4 spec.listeners[0].port: must be an integer, not the string "http"'),
]
# fmt: on


@pytest.mark.parametrize(("version", "kind", "spec", "message"), NETWORK_MISTAKES, ids=[each[1] for each in NETWORK_MISTAKES])
def test_network_kinds_are_checked_even_where_they_are_skipped(version, kind, spec, message):
    assert refusal(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n") == f"shop.yaml:{message}"


def test_files_of_tools_need_no_name():
    (skipped,) = loads("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]", "k.yaml").skipped
    assert str(skipped) == "k.yaml:1 Kustomization: configures a tool or component and is no object of the cluster"


def test_ports_that_two_containers_claim_are_remarked():
    notes = loads(POD + "  - name: log\n    image: x\n    ports: [{name: http, containerPort: 8080}]\n", "shop.yaml").notes
    assert notes == (
        'shop.yaml:1: containers web and log share one network and both have port name "http"',
        "shop.yaml:1: containers web and log share one network and both have port 8080/TCP",
    )


def test_annotations_of_other_plug_ins_are_remarked():
    text = changed(POD, "metadata:\n", "metadata:\n  annotations:\n    k8s.v1.cni.cncf.io/networks: macvlan\n")
    assert loads(text, "a.yaml").notes == ("a.yaml:5: k8s.v1.cni.cncf.io/networks has no effect: no CNI plug-in of this model reads it",)


# --- what is refused

SUBDOMAIN = 'an RFC 1123 subdomain has only a-z, 0-9, "-" and ".", and starts and ends with a letter or digit'
LABEL = 'an RFC 1123 label has only a-z, 0-9 and "-", and starts and ends with a letter or digit'
LONG = "a" * 64
CONTAINER = "spec.containers[0]"
TEMPLATE = "spec.template.spec"
# fmt: off
REFUSED = [
    (POD, "containerPort: 8080", 'containerPort: "8080"',
     f'12 {CONTAINER}.ports[0].containerPort: must be an integer, not the string "8080": write it without quotes'),
    (POD, "containerPort: 8080", "containerPort: yes", f"12 {CONTAINER}.ports[0].containerPort: must be an integer, not the boolean true"),
    (POD, "containerPort: 8080", "containerPort: 8080.5",
     f"12 {CONTAINER}.ports[0].containerPort: must be an integer, not the number 8080.5"),
    (POD, "containerPort: 8080", "containerPort: 012",
     f"12 {CONTAINER}.ports[0].containerPort: must not start with 0: YAML 1.1 takes a number like 012 for octal, and this one for 10"),
    (POD, "containerPort: 8080", "containerPort: 99999999999",
     f"12 {CONTAINER}.ports[0].containerPort: 99999999999 does not fit into 32 bits"),
    (POD, "containerPort: 8080", "containerPort:", f"12 {CONTAINER}.ports[0].containerPort: required value"),
    (POD, "name: web\n", "name: on\n", '4 metadata.name: must be a string, not the boolean true: put it in quotes: "on"'),
    (POD, "name: web\n", "name: 1e3\n", '4 metadata.name: must be a string, not the number 1000.0: put it in quotes: "1e3"'),
    (POD, "{app: web}", "{app: 1.10}", '5 metadata.labels.app: must be a string, not the number 1.1: put it in quotes: "1.10"'),
    (POD, "{app: web}", "{app: no}", '5 metadata.labels.app: must be a string, not the boolean false: put it in quotes: "no"'),
    (POD, "image: nginx", "image: nginx\n    env: [{name: P, value: 8080}]",
     f'10 {CONTAINER}.env[0].value: must be a string, not the number 8080: put it in quotes: "8080"'),
    (POD, "image: nginx", "image: nginx\n    resources: {limits: {cpu: lots}}",
     f'10 {CONTAINER}.resources.limits.cpu: must be a quantity such as 0.5 or 100Mi, not the string "lots"'),
    (POD, "    ports:\n    - name: http\n      containerPort: 8080\n", "    ports: {containerPort: 8080}\n",
     f'10 {CONTAINER}.ports: must be a list, not an object: start each entry with "- "'),
    (DEPLOYMENT, "replicas: 2", "replicas: two", '7 spec.replicas: must be an integer, not the string "two"'),
    (DEPLOYMENT, "replicas: 2", 'paused: "true"', '7 spec.paused: must be true or false, not the string "true": write it without quotes'),
    (SERVICE, "targetPort: http", "targetPort: true", "10 spec.ports[0].targetPort: must be an integer or a string, not the boolean true"),
    (SERVICE, "    app: web\n", "    matchLabels: {app: web}\n",
     "7 spec.selector.matchLabels: must be a string, not an object: this selector is a plain map of labels"),
    (POD, "containerPort: 8080", "containerport: 8080",
     f'12 {CONTAINER}.ports[0].containerport: unknown field (did you mean "containerPort"?)'),
    (POD, "spec:\n", "spec:\n  ports: []\n", "7 spec.ports: unknown field here; it belongs in spec.containers: check the indentation"),
    (DEPLOYMENT, "replicas: 2", "replica: 2", '7 spec.replica: unknown field (did you mean "replicas"?)'),
    (DEPLOYMENT, "replicas: 2", "containers: []",
     "7 spec.containers: unknown field here; it belongs in spec.template.spec: check the indentation"),
    (DEPLOYMENT, "spec:\n  replicas: 2", "replicas: 2\nspec:", "6 replicas: unknown field here; it belongs in spec: check the indentation"),
    (SERVICE, "targetPort: http", "targetport: http", '10 spec.ports[0].targetport: unknown field (did you mean "targetPort"?)'),
    (SERVICE, "targetPort: http", "selector: {a: b}",
     "10 spec.ports[0].selector: unknown field here; it belongs in spec: check the indentation"),
    (SERVICE, "kind: Service", "Kind: Service", '2 Kind: unknown field (did you mean "kind"?)'),
    (SERVICE, "targetPort: http", "targetPort: http\n  - {name: b, port: 80}",
     "9 spec.ports[0].name: required value: with several ports, each has a name (and mistakes in spec.ports[1])"),
    (SERVICE, "- port: 80", "- {name: b, port: 80}\n  - name: a\n    port: 80",
     "10 spec.ports[1]: duplicate value: port 80/TCP stands twice"),
    (SERVICE, "- port: 80", "- {name: a, port: 81}\n  - name: a\n    port: 80", '10 spec.ports[1].name: duplicate value "a"'),
    (POD, "name: web\n", "name: web\n  name: api\n", '5 metadata.name: duplicate key "name", first on line 4'),
    (DEPLOYMENT, "        - containerPort: 8080", "        - {containerPort: 1}\n        - containerPort: 2\n          containerPort: 3",
     f'22 {TEMPLATE}.containers[0].ports[1].containerPort: duplicate key "containerPort", first on line 21'),
    (POD, "{app: web}", "{on: web}", "5: the key on is read as true by YAML 1.1: put it in quotes"),
    (POD, "{app: web}", "{012: web}", "5: the key 012 is read as 10 by YAML 1.1: put it in quotes"),
    (POD, "name: web\n", "name: Web\n", f'4 metadata.name: invalid value "Web": {SUBDOMAIN}'),
    (POD, "name: web\n", 'name: "a\\nb"\n', f'4 metadata.name: invalid value "a\\nb": {SUBDOMAIN}'),
    (POD, "  name: web\n", "", "3 metadata.name: required value: name or generateName"),
    (POD, "name: web\n", "name: web\n  namespace: a.b\n", f'5 metadata.namespace: invalid value "a.b": {LABEL}'),
    (POD, "{app: web}", f"{{app: {LONG}}}", f'5 metadata.labels.app: invalid value "{LONG}": must be no more than 63 characters'),
    (POD, "- name: web", "- name: web_1", f'8 {CONTAINER}.name: invalid value "web_1": {LABEL}'),
    (POD, "name: http", "name: a-very-long-name-over-15",
     f'11 {CONTAINER}.ports[0].name: invalid value "a-very-long-name-over-15": must be no more than 15 characters'),
    (POD, "name: http", 'name: "8080"',
     f'11 {CONTAINER}.ports[0].name: invalid value "8080": must contain at least one letter (a-z); '
     "a port number is written without quotes"),
    (SERVICE, "name: web", "name: web.x", '4 metadata.name: invalid value "web.x": must not contain dots'),
    (POD, "containerPort: 8080", "containerPort: 80800",
     f"12 {CONTAINER}.ports[0].containerPort: invalid value 80800: must be between 1 and 65535, inclusive"),
    (POD, "containerPort: 8080", "containerPort: 8080\n      protocol: tcp",
     f'13 {CONTAINER}.ports[0].protocol: unsupported value "tcp": supported values: "SCTP", "TCP", "UDP" (did you mean "TCP"?)'),
    (POD, "containerPort: 8080", "containerPort: 8080\n    - {name: http, containerPort: 1}",
     f'13 {CONTAINER}.ports[1].name: duplicate value "http"'),
    (POD, "containerPort: 8080", "containerPort: 8080\n  - {name: web, image: x}", '13 spec.containers[1].name: duplicate value "web"'),
    (POD, "    image: nginx\n", "", f"8 {CONTAINER}.image: required value"),
    (POD, "containerPort: 8080", "containerPort: 8080\n      hostPort: 81\n  hostNetwork: true",
     f"13 {CONTAINER}.ports[0].hostPort: invalid value 81: must match containerPort when hostNetwork is true"),
    (POD, "containerPort: 8080", "containerPort: 8080\n  - {name: b, image: x, ports: [{containerPort: 8080}]}\n  hostNetwork: true",
     '13 spec.containers[1].ports[0].hostPort: duplicate value "TCP//8080": the node has each port once'),
    (POD, "spec:\n", "spec:\n  dnsPolicy: None\n",
     "6 spec.dnsConfig.nameservers: required value: at least one DNS name server when dnsPolicy is None"),
    (DEPLOYMENT, "replicas: 2", "replicas: -1", "7 spec.replicas: invalid value -1: must be greater than or equal to 0"),
    (DEPLOYMENT, "      app: api", "      app: apis",
     '13 spec.template.metadata.labels: invalid value {"app": "api"}: the selector app=apis does not match the template\'s labels'),
    (DEPLOYMENT, "    matchLabels:\n      app: api", "    {}", "8 spec.selector: invalid value: empty selector is invalid for deployment"),
    (DEPLOYMENT, "    spec:\n", "    spec:\n      restartPolicy: Never\n",
     f'16 {TEMPLATE}.restartPolicy: unsupported value "Never": supported values: "Always"'),
    (DEPLOYMENT, "matchLabels:\n      app: api", "matchExpressions: [{key: app, operator: In}]",
     "9 spec.selector.matchExpressions[0].values: required value: must be specified when operator is 'In' or 'NotIn'"),
    (SERVICE, "targetPort: http", "targetPort: http_1",
     '10 spec.ports[0].targetPort: invalid value "http_1": a port name has only a-z, 0-9 and "-"'),
    (SERVICE, "targetPort: http", "targetPort: HTTP\n    protocol: ICMP\n    name: web_1",
     f'12 spec.ports[0].name: invalid value "web_1": {LABEL} (and mistakes in spec.ports[0].protocol, spec.ports[0].targetPort)'),
    (SERVICE, "- port: 80\n    targetPort: http", "- name: web",
     "9 spec.ports[0].port: required value: must be between 1 and 65535, inclusive (and mistakes in spec.ports[0].targetPort)"),
    (SERVICE, "spec:\n", "spec:\n  type: NodePorts\n",
     '6 spec.type: unsupported value "NodePorts": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort" '
     '(did you mean "NodePort"?)'),
    (SERVICE, "spec:\n", "spec:\n  type: NodePort\n  clusterIPs: [10.96.0.9]\n",
     '7 spec.clusterIPs: invalid value "[10.96.0.9]": must be empty when clusterIP is not specified'),
    (SERVICE, "targetPort: http", "nodePort: 30080", "10 spec.ports[0].nodePort: forbidden: may not be used when type is 'ClusterIP'"),
    (SERVICE, "spec:\n", "spec:\n  clusterIP: 010.96.0.9\n", '6 spec.clusterIPs[0]: invalid value "010.96.0.9": must not have leading 0s'),
    (SERVICE, "spec:\n", "spec:\n  type: LoadBalancer\n  loadBalancerSourceRanges: [203.0.113.7/24]\n",
     '7 spec.LoadBalancerSourceRanges[0]: invalid value "203.0.113.7/24": must not have bits set beyond the prefix length '
     '(did you mean "203.0.113.0/24"?)'),
    (POD, "kind: Pod", "kind: Pods", '2 kind: no kind "Pods" in version "v1" (did you mean "Pod"?)'),
    (DEPLOYMENT, "kind: Deployment", "kind: Deploymnet", '2 kind: no kind "Deploymnet" in version "apps/v1" (did you mean "Deployment"?)'),
    (DEPLOYMENT, "apps/v1", "extensions/v1beta1",
     "1 apiVersion: Deployment of extensions/v1beta1 was removed in Kubernetes 1.16: write apiVersion: apps/v1"),
    (DEPLOYMENT, "apps/v1", "v1", '1 apiVersion: no kind "Deployment" in version "v1" (did you mean "apps/v1"?)'),
    (DEPLOYMENT, "apps/v1", "app/v1", '1 apiVersion: Kubernetes 1.36 serves no API version "app/v1" (did you mean "apps/v1"?)'),
    (POD, "apiVersion: v1\n", "", "1 apiVersion: required value"),
    (POD, "kind: Pod\n", "", "1 kind: required value"),
    (POD, "kind: Pod\n", "kind: ''\n", "2 kind: required value"),
]
# fmt: on


@pytest.mark.parametrize(("text", "old", "new", "message"), REFUSED, ids=[each[2][:40] for each in REFUSED])
def test_mistakes_are_refused_with_their_place(text, old, new, message):
    assert refusal(changed(text, old, new)) == f"shop.yaml:{message}"


# fmt: off
UNSUPPORTED = [
    ("containerPort: 8080\n  os: {name: windows}", "13 spec.os.name: Pods for Windows are not modelled"),
    ("containerPort: 8080\n  securityContext: {sysctls: [{name: net/ipv4/ip_forward, value: '1'}]}",
     "13 spec.securityContext.sysctls[0].name: the sysctl net.ipv4.ip_forward changes"),
]
# fmt: on


@pytest.mark.parametrize(("new", "message"), UNSUPPORTED)
def test_network_fields_that_are_not_modelled_are_not_ignored(new, message):
    with pytest.raises(UnsupportedError) as caught:
        loads(changed(POD, "containerPort: 8080", new), "shop.yaml")
    assert str(caught.value).startswith(f"shop.yaml:{message}")


def test_an_object_with_generate_name_alone_gets_a_name_that_a_note_tells():
    text = changed(POD, "name: web\n", "generateName: web-\n")
    found = loads(text + "---\n" + text + "---\n" + changed(SERVICE, "name: web\n", "generateName: web-\n"), "shop.yaml")
    assert [str(each) for each in found.objects] == ["Pod default/web-1", "Pod default/web-2", "Service default/web-1"]
    assert found.notes[0] == "shop.yaml:4: generateName: this Pod is called web-1 here; the API server would add five random characters"


@pytest.mark.parametrize("text", [POD, SERVICE, DEPLOYMENT])
def test_a_generated_name_follows_the_rules_of_names(text):
    name = re.search("  name: (.*)\n", text)[0]
    assert refusal(text.replace(name, "  generateName: Web-\n", 1)).startswith('shop.yaml:4 metadata.generateName: invalid value "Web-1": ')


def test_a_name_that_is_there_is_not_generated():
    (pod,) = loads(changed(POD, "name: web\n", "name: web\n  generateName: other-\n")).objects
    assert pod.name == "web"


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
# fmt: off
BROKEN = [
    ("", "1: no Kubernetes object found"),
    ("# nothing\n---\n---\n", "1: no Kubernetes object found"),
    ("- a", '1: must be an object with apiVersion and kind, not a list: separate objects with "---" lines, or use kind: List'),
    ("hello", '1: must be an object with apiVersion and kind, not the string "hello"'),
    ("kind: List\napiVersion: v1\nitems:\n- kind: Namespace\n  apiVersion: v1\n  metadata: {name: a}\n- 3",
     "7 items[1]: must be an object with apiVersion and kind, not the number 3"),
    ("kind: List\napiVersion: v1\nitems: 3", "3 items: must be a list, not the number 3"),
    ("a: [1", "1: not valid YAML: did not find expected ',' or ']'"),
    ("a: b\nc\n", "2: not valid YAML: could not find expected ':'"),
    ("a: b\nkind:\u00a0Pod\nc: d\n", "2: not valid YAML: could not find expected ':'"),
    ("  a: b\nc: d\n", '2: not valid YAML: did not find expected <document start>; the document above ends here: it is indented further'
     ' than this line, or a "---" line is missing'),
    ("? ? a", "1: a key must be a string"),
    ("a: b\n<<<<<<< HEAD\nc: d\n", "2: not valid YAML: could not find expected ':'; a merge conflict has been left here"),
    ("services:\n  web: {}\n", "1 apiVersion: required value: a Kubernetes object has apiVersion and kind, and this has services"),
    ("{}", "1 apiVersion: required value: a Kubernetes object has apiVersion and kind, and this has nothing"),
    ("a: b: c", '1: not valid YAML: mapping values are not allowed in this context; a value with ": " in it needs quotes'),
    ("a* v1\nb: c", '2: not valid YAML: mapping values are not allowed in this context; the line above is no "key: value"'),
    ("x:\n  -a\n  b: 2", '3: not valid YAML: mapping values are not allowed in this context; the line above is no "key: value"'),
    ("a: b\n  c: d", "2: not valid YAML: mapping values are not allowed in this context; it is indented further than the line above, "
     "which has a value of its own"),
    ("a:\n    b: c\n  d: e\n", "3: not valid YAML: did not find expected key; no line above has the same indentation"),
    ("a:\n  - b\n - c\n", "3: not valid YAML: did not find expected key; no line above has the same indentation"),
    ("a:\n  b: \"c\n  d: e\n", "2: not valid YAML: found unexpected end of stream; the quote that begins on this line has no end"),
    ("a:\n\t- b", "2: not valid YAML: found character that cannot start any token; the line is indented with a tab, and YAML wants spaces"),
    ("a: {{ .Values.x }}", '1: a key must be a string; "{{" looks like a Helm template: render it first (helm template …)'),
    ("x: &a [*a]", "1: the anchor &a contains itself"),
    ("x: *a", "1: the alias *a has no anchor"),
    (BOMB, "6: the aliases stand for more than 200,000 values: this would fill the memory"),
    ("[" * 100_000, "1: nested too deeply"),
    ("a: " + "[" * 100_000, "1: nested more than 200 levels deep"),
    ("a: .nan", "1: .nan is not a number that JSON can hold"),
    ("a: " + "9" * 5000, f"1: {'9' * 40} is not a number that JSON can hold"),
    ("a: !!binary aGk=", "1: the tag !!binary does not fit 'aGk=', or is not one that manifests use"),
    ("a: !Ref b", "1: the tag !Ref does not fit 'b', or is not one that manifests use"),
    ("a: 1\nb: \x00", "2: character U+0000 is not allowed in a manifest: is this a binary file?"),
    ("a: \ud800", "1: character U+D800 is not allowed in a manifest: is this a binary file?"),
]
# fmt: on


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[each[1][:40] for each in BROKEN])
def test_broken_text_is_one_error_with_a_line(text, message):
    if not yaml.__with_libyaml__:  # the parser in Python words its complaints differently
        message = message.partition("not valid YAML")[0]
        assert refusal(text).startswith(f"shop.yaml:{message}")
    else:
        assert refusal(text) == f"shop.yaml:{message}"


def test_an_apostrophe_may_be_escaped_between_double_quotes_as_kubectl_has_it():
    box = "a: one\n---\nb: \"it\\'s \\\"1\\\" \\\\ \\'x\\'\"\nc: 'don''t'\n---\nd: [\"\\'\", \"\\t\"]\n"
    assert [data for _, data in documents(box, "x.yaml", lambda step: None)] == [
        {"a": "one"}, {"b": "it's \"1\" \\ 'x'", "c": "don't"}, {"d": ["'", "\t"]},
    ]  # fmt: skip
    assert refusal("a: \"\\'\"\nb: \"\\z\"\n").startswith("shop.yaml:2: not valid YAML: found unknown escape character")
    many = "\n".join(f"k{number}: \"\\'\"" for number in range(300))
    assert [len(data) for _, data in documents(many, "x.yaml", lambda step: None)] == [300]


SLIPS = [
    ("v1", "ConfigMap", "data: {port: 80}", '4 data.port: must be a string, not the number 80: put it in quotes: "80"'),
    ("v1", "ConfigMap", "data:\n  a: b\nc: d", "6 c: unknown field"),
    ("v1", "Secret", "stringDta: {a: b}", '4 stringDta: unknown field (did you mean "stringData"?)'),
    ("v1", "ServiceAccount", "imagePullSecrets: [regcred]", '4 imagePullSecrets[0]: must be an object, not the string "regcred"'),
    ("v1", "PersistentVolumeClaim", "spec: {accessModes: ReadWriteOnce}", '4 spec.accessModes: must be a list, not the string "ReadWriteOnce"'),
    ("rbac.authorization.k8s.io/v1", "Role", "rules: [{resources: [pods]}]", "4 rules[0].verbs: required value"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "subjects: []", "1 roleRef: required value"),
    ("batch/v1", "CronJob", "spec: {schedule: '* * * * *'}", "4 spec.jobTemplate: required value"),
    ("batch/v1", "CronJob", "spec: {schedule: '* * * * *', jobTemplate: {spec: {tmplate: {}}}}",
     '4 spec.jobTemplate.spec.tmplate: unknown field (did you mean "template"?)'),
    ("batch/v1", "CronJob", "spec:\n  schedule: '* * * * *'\n  jobTemplate:\n    template: {spec: {containers: []}}",
     "7 spec.jobTemplate.template: unknown field here; it belongs in spec.jobTemplate.spec: check the indentation"),
    ("policy/v1", "PodDisruptionBudget", "spec: {minAvailabe: 1}", '4 spec.minAvailabe: unknown field (did you mean "minAvailable"?)'),
    ("v1", "ResourceQuota", "spec: {hard: {cpu: lots}}", '4 spec.hard.cpu: must be a quantity such as 0.5 or 100Mi, not the string "lots"'),
]  # fmt: skip


@pytest.mark.parametrize(("version", "kind", "rest", "message"), SLIPS)
def test_slips_in_kinds_that_are_skipped_are_mistakes_all_the_same(version, kind, rest, message):
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n{rest}\n"
    assert refusal(text) == f"shop.yaml:{message}"


def test_kinds_of_other_groups_and_exported_ones_are_taken():
    (one,) = loads("apiVersion: serving.knative.dev/v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: 80}\n").skipped
    assert one.kind == "ConfigMap"
    loads("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, creationTimestamp: null}\ndata: {a: null}\nbinaryData: null\n")
    loads("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {anything: 1}\nstatus: {x: y}\n")


# fmt: off
BROKEN_JSON = [
    ('{"apiVersion" "v1"}', "1: not valid JSON: Expecting ':' delimiter"),
    ('{\n"kind": "Pod",\n"kind": "Pod"}', '3 kind: duplicate key "kind", first on line 2'),
    ('{"a": [{"b": 1}, {"b": 1,\n "b": 2}]}', '2 a[1].b: duplicate key "b", first on line 1'),
    ('{"a": 1,\n "b": NaN}', "2: NaN is not a number that a manifest can hold"),
    ('{"a":\n ' + "9" * 5000 + "}", f"2: {'9' * 40} is not a number that a manifest can hold"),
    ("[" * 100_000, "1: nested too deeply"),
    ('{"apiVersion": "v1"', "1: not valid JSON: Expecting ',' delimiter"),
    ("apiVersion: v1", "1: not valid JSON: Expecting value"),
]
# fmt: on


@pytest.mark.parametrize(("text", "message"), BROKEN_JSON, ids=[each[1][:40] for each in BROKEN_JSON])
def test_broken_json_is_one_error_with_a_line(text, message):
    assert refusal(text, "shop.json") == f"shop.json:{message}"


ODD_KEYS = [
    ('"a\\nb"', '5 metadata.labels[a\\nb]: invalid value "a\\nb": the name has only letters'),
    (
        '"\\x9b31m\\u202e\\u2028"',
        r'5 metadata.labels[\u009b31m\u202e\u2028]: invalid value "\u009b31m\u202e\u2028": the name has only letters',
    ),
    ("x" * 5000, f'5 metadata.labels[{"x" * 80}…]: invalid value "{"x" * 80}…": the name must be no more than 63 characters'),
]


@pytest.mark.parametrize(("key", "message"), ODD_KEYS, ids=["line break", "for a terminal", "long"])
def test_errors_stay_on_one_short_line(key, message):
    assert refusal(changed(POD, "{app: web}", f"{{? {key} : web}}")).startswith(f"shop.yaml:{message}")


def test_json_with_a_trailing_comma_is_yaml_elsewhere():
    assert loads('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x",},}').objects[0].name == "x"


def test_an_object_stands_once():
    assert refusal(SERVICE + "---\n" + SERVICE) == "shop.yaml:15 metadata.name: Service default/web is already defined at shop.yaml:1"
    other = changed(SERVICE, "name: web", "name: web\n  namespace: shop")
    assert len(loads(SERVICE + "---\n" + other + "---\n" + POD).objects) == 3


# --- files


def test_files_and_folders(tmp_path: Path):
    (tmp_path / "b.yaml").write_text(SERVICE)
    (tmp_path / "a.yml").write_text(POD)
    (tmp_path / "notes.txt").write_text("not a manifest")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c.yaml").write_text("broken: [")
    manifests = load(tmp_path)
    assert [each.kind for each in manifests.objects] == ["Pod", "Service"]
    assert str(manifests.objects[1].location) == f"{tmp_path}/b.yaml:1"
    with pytest.raises(ManifestError, match=r"Pod default/web is already defined at .*a\.yml:1"):
        load(tmp_path, tmp_path / "a.yml")


def test_a_file_without_objects_is_remarked(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("# later\n")
    (tmp_path / "b.yaml").write_text(POD)
    assert load(tmp_path).notes == (f"{tmp_path}/a.yaml: no object in it",)


def test_an_empty_name_is_named():
    with pytest.raises(ManifestError, match='"": no such file or folder'):
        load("")


def test_progress_counts_bytes_of_all_files(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(POD * 1 + "---\n# é\n" * 20_000)
    (tmp_path / "b.json").write_text(json.dumps(DUMPED_POD))
    seen: list[tuple[int, int]] = []
    load(tmp_path, progress=lambda done, total: seen.append((done, total)))
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 5


# fmt: off
FILES = [
    (b"\xff\xfea\x00", ":1: the file is UTF-16 text, as some Windows tools write it: save it as UTF-8"),
    (b"a: 1\nb: \xe9\n", ":2: byte 0xe9 is not UTF-8 text"),
    (b"\x7fELF\x02\x01\x01\x00", ":1: character U+007F is not allowed in a manifest: is this a binary file?"),
    (b"", ":1: no Kubernetes object found"),
]
# fmt: on


@pytest.mark.parametrize(("data", "message"), FILES)
def test_files_that_are_not_text(tmp_path: Path, data, message):
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path / "x.yaml")
    assert str(caught.value) == f"{tmp_path}/x.yaml{message}"


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ManifestError, match=r"none\.yaml: no such file or folder$"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match=r"no \.yaml, \.yml or \.json file in this folder$"):
        load(tmp_path)
    with pytest.raises(ManifestError, match="cannot be read: embedded null byte"):
        load("a\0b")
    with pytest.raises(ManifestError, match="is not a file"):
        load("/dev/zero")
    with pytest.raises(ManifestError, match="no file given"):
        load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_files_without_permission(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(POD)
    (tmp_path / "x.yaml").chmod(0)
    with pytest.raises(ManifestError, match="cannot be read: Permission denied"):
        load(tmp_path / "x.yaml")


# --- places

FIELDS = [("", 1), ("metadata.name", 4), ("spec", 6), ("spec.containers[0]", 8), ("spec.containers[0].ports[0].containerPort", 12)]


@pytest.mark.parametrize(("path", "line"), [*FIELDS, ("spec.nodeName", 6), ("spec.containers[7].image", 7), ("metadata.labels[app]", 5)])
def test_locate_finds_a_field_or_what_encloses_it(path, line):
    (pod,) = loads(POD, "shop.yaml").objects
    assert locate(pod, path).line == line


@pytest.mark.parametrize(("path", "line"), FIELDS[1:])
def test_locate_in_later_documents_with_wide_characters(path, line):
    _, pod = loads("# größe 🐳\n" + SERVICE + "---\n" + POD, "shop.yaml").objects
    assert locate(pod, path).line == line + 12


def test_locate_in_lists():
    items = "".join("-" + indent(each, "  ")[1:] for each in (SERVICE, POD))
    pod = loads(f"apiVersion: v1\nkind: List\nitems:\n{items}").of(Pod)[0]
    assert (pod.location.line, locate(pod, "spec.containers[0].image").line) == (14, 22)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [space, DUMPED_POD]}, indent=1)
    pod = loads(text).of(Pod)[0]
    lines = text.splitlines()
    assert lines[pod.location.line].strip() == '"apiVersion": "v1",'
    assert lines[locate(pod, "spec.containers[0].image").line - 1].strip() == '"image": "api:1",'


def test_errors_about_a_template_name_the_path_in_the_file():
    (deployment,) = loads(DEPLOYMENT, "shop.yaml").objects
    error = error_at(deployment.template, "spec.containers[0].ports[0].containerPort", "is odd", "http")
    assert str(error) == f'shop.yaml:20 {TEMPLATE}.containers[0].ports[0].containerPort: is odd (did you mean "http"?)'


def test_errors_about_objects_that_were_never_in_a_file():
    assert str(error_at(Service(loads(POD).objects[0].metadata), "spec.type", "is odd")) == "spec.type: is odd"


def test_windows_nodes_are_refused():
    with pytest.raises(UnsupportedError, match=r"^<text>:3 metadata\.labels\[kubernetes\.io/os\]: Windows nodes are not modelled$"):
        loads("apiVersion: v1\nkind: Node\nmetadata: {name: w, labels: {kubernetes.io/os: windows}}")


# --- the tables


@pytest.mark.parametrize("name", sorted(schema.types()))
def test_every_type_of_the_tables_is_complete(name):
    """Each field's type is known, and an empty object lacks exactly the required fields."""
    required = [field for field, notation in schema.types()[name].items() if notation.startswith("!")]
    try:
        schema.checker(name)({})
    except schema.Fault as fault:
        assert (fault.message, fault.path) == ("required value", (required[0],))
    else:
        assert not required


def test_modelled_kinds_are_served_and_have_tables_and_makers():
    for kind in schema_kinds.MODELLED:
        assert sum(kind in kinds for kinds in schema_kinds.SERVED.values()) == 1
        assert kind in schema.types()
    assert set(schema_workloads.MAKERS) == schema_kinds.MODELLED


def test_removed_kinds_are_not_served_and_their_successors_are():
    for (version, kind), (release, successor) in schema_kinds.REMOVED.items():
        assert kind not in schema_kinds.SERVED.get(version, ())
        assert release.startswith("1.")
        assert not successor or kind in schema_kinds.SERVED[successor]


def test_every_error_is_one_of_the_library():
    assert issubclass(ManifestError, K8sNetError)
    assert issubclass(UnsupportedError, K8sNetError)


@pytest.mark.parametrize("data", [str, str.encode], ids=["text", "bytes"])
def test_files_put_one_after_the_other_keep_their_byte_order_marks(data):
    one, other = (f"\ufeffapiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n" for name in ("a", "b"))
    assert [each.name for each in loads(data(f"{one}---\n{other}--- # z\r\n{other.replace('name: b', 'name: c')}")).objects] == [
        "a",
        "b",
        "c",
    ]


# fmt: off
POD_PARTS = [
    ("volumeMounts: [{name: w, mountPath: /w}]", "", '13 spec.containers[0].volumeMounts[0].name: not found: "w": the Pod has no volume of this name'),
    ("volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /v}]", "volumes: [{name: v}]",
     '13 spec.containers[0].volumeMounts[1].mountPath: invalid value "/v": must be unique'),
    ("volumeMounts: [{name: v, mountPath: ''}]", "volumes: [{name: v}]", "13 spec.containers[0].volumeMounts[0].mountPath: required value"),
    ("env: [{name: a=b}]", "", '13 spec.containers[0].env[0].name: invalid value "a=b": must have printable ASCII'),
    ("env: [{name: ''}]", "", "13 spec.containers[0].env[0].name: required value"),
    ("env: [{name: a, value: b, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]", "",
     '13 spec.containers[0].env[0].valueFrom: invalid value "": may not be specified when `value` is not empty'),
    ("env: [{name: a, valueFrom: {}}]", "", "13 spec.containers[0].env[0].valueFrom: invalid value: must specify one of"),
    ("resources: {limits: {cpu: -1}}", "", '13 spec.containers[0].resources.limits.cpu: invalid value "-1": must be greater than or equal to 0'),
    ("resources: {limits: {cpu: 100m}, requests: {cpu: 0.2}}", "",
     '13 spec.containers[0].resources.requests.cpu: invalid value "0.2": must be less than or equal to cpu limit of 100m'),
    ("resources: {requests: {a b: 1}}", "", '13 spec.containers[0].resources.requests[a b]: invalid value "a b": the name has only'),
    ("livenessProbe: {}", "", "13 spec.containers[0].livenessProbe: required value: must specify a handler type"),
    ("livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}", "",
     "13 spec.containers[0].livenessProbe.tcpSocket: forbidden: may not specify more than 1 handler type"),
    ("readinessProbe: {exec: {}}", "", "13 spec.containers[0].readinessProbe.exec.command: required value"),
    ("readinessProbe: {httpGet: {port: 70000}}", "", "13 spec.containers[0].readinessProbe.httpGet.port: invalid value 70000: must be between"),
    ("readinessProbe: {httpGet: {port: a_b}}", "", '13 spec.containers[0].readinessProbe.httpGet.port: invalid value "a_b": a port name'),
    ("readinessProbe: {httpGet: {port: http}, periodSeconds: -1}", "", "13 spec.containers[0].readinessProbe.periodSeconds: invalid value -1"),
    ("startupProbe: {grpc: {port: 9}, successThreshold: 2}", "",
     "13 spec.containers[0].startupProbe.successThreshold: invalid value 2: must be 1"),
    ("lifecycle: {preStop: {}}", "", "13 spec.containers[0].lifecycle.preStop: required value: must specify a handler type"),
    ("tty: true", "volumes: [{name: a_b}]", '14 spec.volumes[0].name: invalid value "a_b": an RFC 1123 label'),
    ("tty: true", "volumes: [{name: a}, {name: a}]", '14 spec.volumes[1].name: duplicate value "a"'),
    ("tty: true", "volumes: [{name: a, emptyDir: {}, hostPath: {path: /}}]",
     "14 spec.volumes[0].hostPath: forbidden: may not specify more than 1 volume type"),
    ("tty: true", "volumes: [{name: a, hostPath: {path: /, type: directory}}]",
     '14 spec.volumes[0].hostPath.type: unsupported value "directory": supported values: '),
    ("tty: true", "serviceAccountName: a_b", '14 spec.serviceAccountName: invalid value "a_b": an RFC 1123 subdomain'),
    ("tty: true", "terminationGracePeriodSeconds: -1", "14 spec.terminationGracePeriodSeconds: invalid value -1: must be greater"),
    ("tty: true", "initContainers: [{name: i, image: i, livenessProbe: {exec: {command: [a]}}}]",
     "14 spec.initContainers[0].livenessProbe: forbidden: may not be set for init containers without restartPolicy=Always"),
]
# fmt: on


@pytest.mark.parametrize(("container", "spec", "message"), POD_PARTS)
def test_a_pod_that_the_api_server_would_not_create(container, spec, message):
    assert refusal(f"{POD}    {container}\n  {spec}\n").startswith(f"shop.yaml:{message}")


FINE = [
    ("resources: {limits: {cpu: 1, memory: 1Gi, example.org/a: 2e3}, requests: {cpu: 1000m, memory: 1073741824, example.org/a: 2k}}", ""),
    ("resources: {limits: {cpu: .5, memory: 1E}, requests: {cpu: 5e-1, memory: +1Ei}}".replace("+1Ei", "1P"), ""),
    (
        "resources: {limits: {cpu: 1e999, memory: '1e999999999', a.b/c: 1e-999999999, a.b/d: '"
        + "9" * 5000
        + "'}, requests: {cpu: 1, memory: 1.}}",
        "",
    ),
    ("volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /w}]", "volumes: [{name: v, emptyDir: null}]"),
    ("env: [{name: 'a b.c-1', value: x}, {name: b, value: '', valueFrom: {secretKeyRef: {key: a, name: b}}}]", ""),
    ("livenessProbe: {tcpSocket: {port: http}, successThreshold: 0}", "terminationGracePeriodSeconds: 0"),
    ("lifecycle: {stopSignal: SIGTERM, preStop: {sleep: {seconds: 5}}}", "serviceAccountName: ''"),
    ("tty: true", "initContainers: [{name: i, image: i, restartPolicy: Always, startupProbe: {grpc: {port: 9}}}]"),
]


@pytest.mark.parametrize(("container", "spec"), FINE)
def test_a_pod_that_the_api_server_would_create(container, spec):
    assert loads(f"{POD}    {container}\n  {spec}\n").objects[0].name == "web"


def test_claims_of_a_stateful_set_are_volumes_too():
    text = changed(DEPLOYMENT, "Deployment", "StatefulSet") + "        volumeMounts: [{name: data, mountPath: /d}]\n"
    assert "spec.template.spec.containers[0].volumeMounts[0].name: not found" in refusal(text)
    assert len(loads(f"{text}  volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{}}}}]\n").objects) == 1


def test_counts_of_a_workload_are_not_negative():
    for field in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        text = changed(DEPLOYMENT, "replicas: 2", f"{field}: -1")
        assert refusal(text) == f"shop.yaml:7 spec.{field}: invalid value -1: must be greater than or equal to 0"


def test_a_zone_hint_without_a_name_is_the_empty_zone():
    text = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hints: {forZones: [{}]}}]\n"
    assert loads(text).objects[0].endpoints[0].zone_hints == ("",)


@pytest.mark.parametrize(("rolling", "message"), [
    ("{maxSurge: ''}", 'maxSurge: invalid value "": a percentage is digits and "%", such as 25%'),
    ("{maxSurge: 25}", ""), ("{maxSurge: 25%, maxUnavailable: 0}", ""), ("{maxUnavailable: 0}", ""),
    ("{maxUnavailable: -1}", "maxUnavailable: invalid value -1: must be greater than or equal to 0"),
    ("{maxSurge: 0%, maxUnavailable: 0}", "maxUnavailable: invalid value: may not be 0 when `maxSurge` is 0"),
])  # fmt: skip
def test_how_an_update_rolls(rolling, message):
    text = changed(DEPLOYMENT, "replicas: 2", f"strategy: {{rollingUpdate: {rolling}}}")
    if message:
        assert refusal(text) == f"shop.yaml:7 spec.strategy.rollingUpdate.{message}"
    else:
        assert loads(text).objects


GATEWAY = '{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "a"}, "spec": {"gatewayClassName": "c", "listeners": [{"name": "l", "protocol": "HTTP", "port": PORT}]}}'


@pytest.mark.parametrize(("port", "message"), [
    ("1e999", "must be an integer, not the number inf"), ("80.5", "must be an integer, not the number 80.5"), ("80.0", ""),
])  # fmt: skip
def test_numbers_of_a_custom_resource(port, message):
    text = GATEWAY.replace("PORT", port)
    assert loads(text).objects if not message else refusal(text) == f"shop.yaml:1 spec.listeners[0].port: {message}"


def test_numbers_of_a_custom_resource_do_not_start_with_zero():
    message = refusal("---\n" + GATEWAY.replace("PORT", "0120"))
    assert message.startswith("shop.yaml:2 spec.listeners[0].port: must not start with 0: YAML 1.1 takes a number like 012 for octal")
