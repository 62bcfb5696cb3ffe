"""The cluster of exercise 05: two applications behind Services in namespace market, drawn for each student."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8snetlib.course.variants import Variant
from k8snetlib.kube.cast import COREDNS
from k8snetlib.kube.cluster import Cluster

FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince", "fig", "melon", "grape")
APPS = ("till", "stock", "mail", "cart", "books", "maps")
NAMESPACE, CALLER, LEDGER, DESK = "market", "buyer", "ledger", "desk"
GROUPS = (("front", "first", True), ("front", "first", True), ("front", "first", False), ("back", "first", True),
          ("front", "second", True), ("back", "second", True))  # fmt: skip
"""Tier, app and readiness of the Pods; the first two are those that the Service picks and sends to."""

_NODE = """apiVersion: v1
kind: Node
metadata: {{name: {name}}}
spec: {{podCIDR: 10.244.{block}.0/24}}
status: {{addresses: [{{type: InternalIP, address: 192.168.50.{host}}}]}}"""
_POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  nodeName: {node}
  containers:
  - name: app
    image: registry.example/app:1
    ports: {ports}
status: {{phase: Running, conditions: [{{type: Ready, status: "{ready}"}}]}}"""
_SERVICE = """apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  clusterIP: {ip}
  selector: {labels}
  ports: [{{port: {port}, targetPort: {target}}}]"""


def apps(case: Variant) -> tuple[str, str]:
    """The names of the two applications; the first is also the Service's."""
    first, second = case.sample("apps", APPS, 2)
    return first, second


def service(case: Variant) -> str:
    """The name of the Service under study."""
    return apps(case)[0]


def cluster(case: Variant) -> Cluster:
    """Two nodes, six Pods of two applications in namespace market, a look-alike in another, a ledger, a caller, and CoreDNS."""
    blocks, hosts = case.sample("blocks", range(10, 200), 2), case.sample("hosts", range(11, 200), 2)
    text = [_NODE.format(name=f"node-{n}", block=block, host=host) for n, block, host in zip("ab", blocks, hosts, strict=True)]
    text += list(_pods(case))
    first, ips = service(case), case.sample("addresses", range(20, 250), 2)
    labels = {"app": first, "tier": "front"}
    text += [
        _SERVICE.format(name=first, namespace=NAMESPACE, ip=f"10.96.{ips[0]}.80", labels=_flow(labels), port=80, target="http"),
        _SERVICE.format(name=DESK, namespace=NAMESPACE, ip=f"10.96.{ips[1]}.80", labels=_flow({"app": "nobody"}), port=80, target=1),
        _SERVICE.format(name=LEDGER, namespace=NAMESPACE, ip="None", labels=_flow({"app": LEDGER}), port=5432, target="sql"),
    ]
    return Cluster.loads("\n---\n".join([*text, COREDNS.read_text(encoding="utf-8")]), cni="vxlan", proxy="iptables")


def _pods(case: Variant) -> Iterable[str]:
    names = dict(zip(("first", "second"), apps(case), strict=True))
    admin = case.sample("admin", range(9000, 9100), len(GROUPS))
    members = list(zip(fruit(case), GROUPS, admin, strict=True))
    for number, (name, (tier, app, ready), port) in sorted(enumerate(members), key=lambda each: each[1][0]):
        node = ("node-a", "node-b")[number] if number < 2 else case.choose(f"node of {name}", ("node-a", "node-b"))
        labels = {"app": names[app], "tier": tier}
        ports = _ports(http=8080, admin=port)
        yield _POD.format(name=name, namespace=NAMESPACE, labels=_flow(labels), node=node, ports=ports, ready=ready)
    look = {"app": names["first"], "tier": "front"}
    yield _POD.format(name="rehearsal", namespace="test", labels=_flow(look), node="node-a", ports=_ports(http=8080), ready=True)
    own = _flow({"app": LEDGER})
    yield _POD.format(name=LEDGER, namespace=NAMESPACE, labels=own, node="node-b", ports=_ports(sql=5432), ready=True)
    own = _flow({"app": CALLER})
    yield _POD.format(name=CALLER, namespace=NAMESPACE, labels=own, node="node-a", ports=_ports(http=8080), ready=True)


def fruit(case: Variant) -> list[str]:
    """The names of the six Pods, in the order of ``GROUPS``."""
    return case.sample("fruit", FRUIT, len(GROUPS))


def endpoints(case: Variant) -> list[str]:
    """The Pods to which the Service sends."""
    return sorted(fruit(case)[:2])


def _flow(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in labels.items()) + "}"


def _ports(**ports: int) -> str:
    return "[" + ", ".join(f"{{name: {name}, containerPort: {number}}}" for name, number in ports.items()) + "]"
