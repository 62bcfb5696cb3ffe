"""What exercise 07 gives a student: a cluster, three calls, an order, and a Service with one fault."""

from __future__ import annotations

from k8snetlib.course.variants import Variant
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.outside import CLIENT
from k8snetlib.kube.patch import patched
from k8snetlib.value import value
from k8snetlib.views.tables import Table

FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince")
NODES = ("node-a", "node-b", "node-c")
FAULTS = ("policy", "port", "ranges", "pending")
PARTNER = "198.18.0.0/15"
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  type: ClusterIP
  selector: {app: front}
  ports:
  - port: 80
    targetPort: http
"""


def cluster(case: Variant) -> Cluster:
    """Three nodes with addresses of their own, a Pod on each, and one Pod of Service front; a client outside, and a load balancer."""
    text = []
    names = case.sample("pods", FRUIT, 4)
    for number, host in enumerate(case.sample("hosts", range(11, 200), 3)):
        block = case.integer(f"block {number}", 10 + 60 * number, 60 + 60 * number)
        text.append(
            f"apiVersion: v1\nkind: Node\nmetadata: {{name: {NODES[number]}}}\nspec: {{podCIDR: 10.244.{block}.0/24}}\n"
            f"status: {{addresses: [{{type: InternalIP, address: 192.168.50.{host}}}]}}"
        )
    for name, node, label in zip(names, (*NODES, near(case)), ("guest",) * 3 + ("front",), strict=True):
        text.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {label}}}}}\n"
            f"spec: {{nodeName: {node}, containers: [{{name: web, image: web, ports: [{{name: http, containerPort: 8080}}]}}]}}"
        )
    return Cluster.loads("\n---\n".join([*text, SERVICE]), cni="vxlan", proxy="iptables", outside=True, balancer=True)


def near(case: Variant) -> str:
    """The node on which the Pod of Service front runs."""
    return case.choose("near", NODES)


def far(case: Variant) -> str:
    """Another node."""
    return case.choose("far", [node for node in NODES if node != near(case)])


def guest(case: Variant) -> str:
    """The Pod on that other node."""
    return next(pod.name for pod in cluster(case).pods if pod.node_name == far(case))


def addresses(case: Variant) -> Table:
    """The IPv4 addresses of each node's interfaces."""
    devs, network = ("eth0", "cni0", "flannel.1"), cluster(case).network
    found = {node: {i.name: a.ip for i in network[node].interfaces.values() for a in i.addresses if a.version == 4} for node in NODES}
    return Table(("node", *devs), tuple((node, *(str(found[node][dev]) for dev in devs)) for node in NODES))


def manifest() -> str:
    """Service front as it is at first."""
    return SERVICE


# --- three calls


@value
class Situation:
    """A call: the cluster with its Service, who calls, what it calls, and in words."""

    cluster: Cluster
    caller: str
    target: str
    words: str

    def __str__(self) -> str:
        return self.words


def situations(case: Variant) -> tuple[Situation, ...]:
    """The student's three calls, in the student's order."""
    made = {
        "outside": case.choose("outside", ("near", "far")),
        "kept": case.choose("kept", ("local", "pod")),
        "inside": case.choose("inside", ("balancer", "node")),
    }
    return tuple(_situation(case, made[key]) for key in case.shuffle("order", list(made)))


def _situation(case: Variant, kind: str) -> Situation:
    base, port = cluster(case), 30000 + case.integer("port", 100, 2700)
    by_node = _service(base, type="NodePort", port=port)
    if kind in ("near", "far"):
        node = {"near": near, "far": far}[kind](case)
        words = f"type NodePort, externalTrafficPolicy Cluster: the client outside calls {node}, port {port}"
        return Situation(by_node, CLIENT, f"node/{node}:{port}", words)
    if kind == "local":
        words = f"type NodePort, externalTrafficPolicy Local: the client outside calls {near(case)}, port {port}"
        return Situation(patched(by_node, "svc/front", external_traffic_policy="Local"), CLIENT, f"node/{near(case)}:{port}", words)
    if kind == "pod":
        return Situation(base, f"pod/{guest(case)}", "svc/front:80", f"type ClusterIP: Pod {guest(case)} calls the ClusterIP")
    if kind == "node":
        return Situation(base, f"node/{far(case)}", "svc/front:80", f"type ClusterIP: a process on {far(case)} itself calls the ClusterIP")
    words = f"type LoadBalancer, externalTrafficPolicy Cluster: Pod {guest(case)} calls the load balancer's address"
    return Situation(_service(base, type="LoadBalancer", port=0), f"pod/{guest(case)}", "lb/front:80", words)


def _service(base: Cluster, type: str, port: int) -> Cluster:
    text = SERVICE.replace("type: ClusterIP", f"type: {type}")
    return applied(base, text + f"    nodePort: {port}\n" if port else text)


# --- an order


@value
class Order:
    """What a Service is wanted for. ``port`` is the node port asked for, 0 where none is; ``balancer``: at a load balancer's address;
    ``source``: the Pod sees the client; ``closed``: no node port is open."""

    balancer: bool
    source: bool
    closed: bool
    port: int

    def __str__(self) -> str:
        door = (
            "a load balancer's address, port 80"
            if self.balancer
            else f"port {self.port} of " + ("the node where the Pod runs" if self.source else "every node")
        )
        lines = [f"The client outside reaches Service front at {door}.", "Every Pod still reaches it by its ClusterIP, port 80."]
        lines += ["The Pod sees the client's own address."] if self.source else []
        lines += ["No node port is open."] if self.closed else []
        return "\n".join(f"* {line}" for line in lines)


def order(case: Variant) -> Order:
    """The student's wishes."""
    balancer, source, closed = case.choose("order", ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (1, 1, 1)))
    return Order(bool(balancer), bool(source), bool(closed), 0 if balancer else 30000 + case.integer("wanted", 100, 2700))


# --- a fault


def fault(case: Variant) -> str:
    """What is wrong with the student's Service."""
    return case.choose("fault", FAULTS)


def told(case: Variant) -> int:
    """The node port that customers were told, or 0 where they were told the load balancer's address."""
    return 30000 + case.integer("told", 100, 2700) if fault(case) in ("policy", "port") else 0


def customers_call(case: Variant) -> str:
    """What customers call, as a target of a trace."""
    return f"node/{far(case)}:{told(case)}" if told(case) else "lb/front:80"


def broken(case: Variant) -> str:
    """The manifest with its one fault."""
    kind, port = fault(case), told(case)
    if kind == "port":
        port = 30000 + case.integer("typo", 100, 2700)
        port += port == told(case)
    text = SERVICE.replace("type: ClusterIP", f"type: {'NodePort' if told(case) else 'LoadBalancer'}")
    text += f"    nodePort: {port}\n" if told(case) else ""
    # what is there beside the fault may look like one, and is none
    text += {
        "policy": "  externalTrafficPolicy: Local\n",
        "port": "  externalTrafficPolicy: Cluster\n",
        "ranges": f"  externalTrafficPolicy: Local\n  loadBalancerSourceRanges: [{PARTNER}]\n",
        "pending": f"  externalTrafficPolicy: Local\n  loadBalancerClass: example.com/internal\n  loadBalancerSourceRanges: [{PARTNER}, "
        "203.0.113.0/24]\n",
    }[kind]
    return text
