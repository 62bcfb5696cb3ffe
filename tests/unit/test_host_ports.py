"""Host ports: accepted as the API server accepts them, reckoned with by the scheduler, and refused where a packet would meet one."""

from __future__ import annotations

import pytest

from k8snetlib import Cluster
from k8snetlib.errors import ManifestError, UnsupportedError
from k8snetlib.kube.manifests import loads

DAEMONS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: envoy}
spec:
  selector: {matchLabels: {app: envoy}}
  template:
    metadata: {labels: {app: envoy}}
    spec:
      containers:
      - name: envoy
        image: envoy
        ports:
        - {name: http, containerPort: 8080, hostPort: 80}
---
apiVersion: v1
kind: Service
metadata: {name: envoy}
spec: {type: NodePort, selector: {app: envoy}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: nginx}]}
"""


@pytest.fixture
def cluster() -> Cluster:
    return Cluster.loads(DAEMONS, file="envoy.yaml", outside=True)


def test_a_manifest_with_host_ports_loads_and_says_what_is_left_out(cluster):
    (note,) = cluster.notes
    assert note.startswith("envoy.yaml:14: hostPort 80/TCP") and "portmap" in note


@pytest.mark.parametrize("target", ["pod/envoy-node-b", "svc/envoy", "svc/envoy:80", "node/node-b:30080"])
def test_packets_that_do_not_go_to_the_host_port_go_as_ever(cluster, target):
    assert cluster.trace("pod/web", target).delivered


@pytest.mark.parametrize(("source", "target"), [
    ("pod/web", "node/node-b:80"), ("client", "node/node-a:80"), ("node/node-a", "node/node-b:80"), ("pod/web", "10.244.2.1:80"),
])  # fmt: skip
def test_a_packet_to_the_host_port_is_refused_and_not_guessed(cluster, source, target):
    with pytest.raises(UnsupportedError) as caught:
        cluster.trace(source, target)
    assert str(caught.value).startswith("envoy.yaml:14 spec.template.spec.containers[0].ports[0].hostPort: port 80/TCP of node-")
    with pytest.raises(UnsupportedError):
        cluster.traces(source, target)


@pytest.mark.parametrize(("target", "proto"), [("node/node-b:81", ""), ("node/node-b:80", "udp"), ("node/node-b", "icmp")])
def test_other_ports_of_the_node_are_nobodys_host_port(cluster, target, proto):
    cluster.trace("pod/web", target, proto)


def test_a_host_ip_is_the_only_address_with_the_port():
    cluster = Cluster.loads(DAEMONS.replace("hostPort: 80", "hostPort: 80, hostIP: 127.0.0.1"))
    assert cluster.trace("pod/web", "node/node-b:80").end.reason == "NO_SOCKET"


def test_a_service_on_the_same_port_leads_where_it_leads():
    more = """---
apiVersion: v1
kind: Pod
metadata: {name: api, labels: {app: api}}
spec: {hostNetwork: true, nodeName: node-b, containers: [{name: api, image: x, ports: [{containerPort: 6443}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80, targetPort: 6443}]}
"""
    assert Cluster.loads(DAEMONS + more).trace("pod/web", "svc/api").delivered


def test_two_pods_with_one_host_port_do_not_share_a_node():
    text = DAEMONS.replace("kind: DaemonSet", "kind: Deployment").replace("spec:\n  selector", "spec:\n  replicas: 3\n  selector", 1)
    cluster = Cluster.loads(text)
    assert {pod.node_name for pod in cluster.pods if pod.name in ("envoy-1", "envoy-2")} == {"node-a", "node-b"}
    assert cluster.pending["default/envoy-3"] == ("0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.")


def test_host_ports_on_different_addresses_do_not_collide():
    ports = "- {containerPort: 8080, hostPort: 80, hostIP: 127.0.0.1}\n        - {containerPort: 8081, hostPort: 80, hostIP: 127.0.0.2}"
    text = DAEMONS.replace("- {name: http, containerPort: 8080, hostPort: 80}", ports).replace("targetPort: http", "targetPort: 8080")
    pod = next(each for each in Cluster.loads(text).pods if each.name == "envoy-node-a")
    assert pod.host_ports == {(80, "TCP", "127.0.0.1"), (80, "TCP", "127.0.0.2")}


def one(ports: str, spec: str = "", field: str = "containers") -> str:
    other = "" if field == "containers" else ", containers: [{name: d, image: i}]"
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{{spec}{field}: [{{name: c, image: i, ports: [{ports}]}}]{other}}}\n"


# fmt: off
REFUSED = [
    (one("{containerPort: 1, hostPort: 80}, {containerPort: 2, hostPort: 80}"),
     '4 spec.containers[0].ports[1].hostPort: duplicate value "TCP//80": the node has each port once'),
    (one("{containerPort: 1, hostPort: 80, hostIP: 127.0.0.1}, {containerPort: 2, hostPort: 80, hostIP: 127.0.0.1}"),
     '4 spec.containers[0].ports[1].hostPort: duplicate value "TCP/127.0.0.1/80": the node has each port once'),
    (one("{containerPort: 1, hostPort: 80}, {containerPort: 1, hostPort: 80}", field="initContainers"),
     '4 spec.initContainers[0].ports[1].hostPort: duplicate value "TCP//80": the node has each port once'),
    (one("{containerPort: 1, hostPort: 99999}"),
     "4 spec.containers[0].ports[0].hostPort: invalid value 99999: must be between 1 and 65535, inclusive"),
    (one("{containerPort: 1, hostPort: -1}"),
     "4 spec.containers[0].ports[0].hostPort: invalid value -1: must be between 1 and 65535, inclusive"),
    (one("{containerPort: 8080, hostPort: 81}", "hostNetwork: true, "),
     "4 spec.containers[0].ports[0].hostPort: invalid value 81: must match containerPort when hostNetwork is true"),
]
# fmt: on


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_the_api_server_refuses(text, message):
    with pytest.raises(ManifestError) as caught:
        loads(text, "p.yaml")
    assert str(caught.value) == f"p.yaml:{message}"


def test_init_containers_run_one_after_the_other_so_their_host_ports_may_be_the_same():
    text = one("{containerPort: 1, hostPort: 80}").replace(
        "]}]}", "]}], initContainers: [{name: i, image: i, ports: [{containerPort: 1, hostPort: 80}]}]}"
    )
    (pod,) = loads(text).objects
    assert pod.host_ports == {(80, "TCP", "")}


SECURE = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {pod-security.kubernetes.io/enforce: %s}}\n"


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_a_namespace_that_forbids_host_ports_is_told(level):
    host = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: h}\nspec:\n  hostNetwork: true\n  containers: [{name: c, image: i}]\n"
    notes = loads(DAEMONS + host + SECURE % level, "envoy.yaml").notes
    start = f"namespace default enforces the Pod Security level {level}, which forbids"
    assert notes[1:] == (
        f"envoy.yaml:10: {start} host ports: a real cluster would not create the Pods of DaemonSet default/envoy",
        f"envoy.yaml:30: {start} hostNetwork: a real cluster would not create Pod default/h",
    )


def test_a_namespace_that_forbids_nothing_is_silent():
    for labels in ("pod-security.kubernetes.io/enforce: privileged", "pod-security.kubernetes.io/warn: restricted", "a: b"):
        assert len(loads(DAEMONS + SECURE.replace("pod-security.kubernetes.io/enforce: %s", labels)).notes) == 1
