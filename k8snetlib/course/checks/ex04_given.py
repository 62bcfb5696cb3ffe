"""What exercise 04 gives a student: a cluster of their own, one fault in it, a type of machine, and a node that joins."""

from __future__ import annotations

from collections.abc import Sequence

from k8snetlib.course.variants import Variant
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.cni.bgp import top_of_rack
from k8snetlib.kube.cni.sandbox import UNDERLAY, Host
from k8snetlib.kube.cni.vpc_limits import INSTANCE_LABEL
from k8snetlib.linux.fib import lookup
from k8snetlib.linux.ops import Op, RouteAdd, RouteDel, SysctlSet, build
from k8snetlib.linux.packet import IPAddress
from k8snetlib.linux.state import Network, Route

FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince", "fig", "grape")
SETTINGS = {"bgp": "full mesh, all on one segment", "bgp-tor": "each node a peer of its segment's router"}
KINDS = {
    "bgp": ("forwarding", "proxy arp", "default route", "block route", "stray route", "pod route"),
    "bgp-tor": ("forwarding", "proxy arp", "default route", "router", "stray route", "pod route"),
}
WORDS = tuple(dict.fromkeys(word for words in KINDS.values() for word in words))
MACHINES = ("c6g.medium", "t3.small", "t3.medium", "t3.large", "m5.large")


# ── questions 1 and 3: three nodes ──


def setting(case: Variant) -> str:
    """Whom the student's nodes peer with: the name of a plug-in."""
    return case.choose("setting", list(SETTINGS))


def cluster(case: Variant) -> Cluster:
    """The student's cluster: two or three Pods on node-a, one on each of the others; with the routers as peers, node-c is behind them."""
    cni, names, more = setting(case), case.sample("pods", FRUIT, 5), case.integer("more", 1, 2)
    segments = (50, 50, 60 if cni == "bgp-tor" else 50)
    homes = ["node-a", "node-b", "node-c", *["node-a"] * more]
    return _cluster(case, cni, segments, dict(zip(names, homes, strict=False)))


def pods(case: Variant) -> tuple[str, str]:
    """The Pod on node-a that sends, and the one that it talks to: behind the router if that knows Pods, else on the same segment."""
    first, near, far = case.sample("pods", FRUIT, 5)[:3]
    return first, far if setting(case) == "bgp-tor" else case.choose("other", [near, far])


def far_node(case: Variant) -> str:
    """The node of the Pod that is talked to."""
    return next(pod.node_name for pod in cluster(case).pods if pod.name == pods(case)[1])


def cables(case: Variant) -> list[tuple[str, str]]:
    """(node, the node's end of the Pod's cable) of the two Pods."""
    boxes = cluster(case).sandboxes
    return [(boxes[f"default/{name}"].host, boxes[f"default/{name}"].veth) for name in pods(case)]


def fault(case: Variant) -> tuple[str, tuple[Op, ...]]:
    """What is wrong, and the ops that made it so: on the way there or on the way back, by the student's draw."""
    kind = case.choose("fault", KINDS[setting(case)])
    ends = pods(case) if case.choose("side", [True, False]) else pods(case)[::-1]
    whole = cluster(case)
    here, there = (whole.sandboxes[f"default/{name}"] for name in ends)
    home, target = whole.network[here.host], there.addresses[0].ip
    block = next(b for host in whole.hosts if host.name == there.host for b in host.blocks)
    if kind == "forwarding":
        return kind, (SysctlSet(here.host, "net.ipv4.ip_forward", 0),)
    if kind == "proxy arp":
        return kind, (SysctlSet(here.host, f"net.ipv4.conf.{here.veth}.proxy_arp", 0),)
    if kind == "stray route":
        return kind, (RouteAdd(here.host, Route(next(block.subnets(1)), "eth0", proto="static", scope="link")),)
    place, gone = {
        "default route": (here.host, [r for r in home.routes if not r.dst.prefixlen]),
        "block route": (here.host, [r for r in home.routes if r.dst == block]),
        "pod route": (there.host, _to(whole.network, there.host, target)),
        "router": (UNDERLAY, _to(whole.network, UNDERLAY, target)),
    }[kind]
    return kind, tuple(RouteDel(place, route) for route in gone)


def broken(case: Variant) -> Network:
    """The student's cluster with its one fault."""
    return build(fault(case)[1], cluster(case).network)


def _to(network: Network, name: str, target: IPAddress) -> list[Route]:
    """The route by which a namespace would send to an address, as a list of one."""
    route, _ = lookup(network[name], target)
    return [] if route is None else [route]


# ── question 2: machines in a VPC ──


def demand(case: Variant) -> tuple[str, int]:
    """(type of the machines, number of Pods)."""
    return case.choose("machine", MACHINES), case.integer("wanted", 98, 150)


def cloud(case: Variant, machines: int, cni: str) -> Cluster:
    """That many machines in one subnet, and a Deployment of that many Pods."""
    kind, wanted = demand(case)
    nodes = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: node-{number}, labels: {{{INSTANCE_LABEL}: {kind}}}}}" for number in range(machines)
    ]
    app = (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\nspec:\n  replicas: {wanted}\n"
        "  selector: {matchLabels: {app: app}}\n  template:\n    metadata: {labels: {app: app}}\n"
        "    spec: {containers: [{name: app, image: registry.example/app}]}"
    )
    return Cluster.loads("\n---\n".join([*nodes, app]), cni=cni, proxy="none")


# ── question 4: a node joins ──


def grown(case: Variant) -> Cluster:
    """Five nodes on two segments, a Pod on each; the newcomer is one of the three that share a segment."""
    return _cluster(case, "bgp", (50, 50, 50, 60, 60), dict(zip(case.sample("five", FRUIT, 5), _names(5), strict=True)))


def newcomer(case: Variant) -> Host:
    """The node that has joined, and whose block nobody knows."""
    return case.choose("newcomer", grown(case).hosts[:3])


def joined(case: Variant) -> Network:
    """The network then: the old nodes and the router know each other's blocks; nobody knows the new one, and the new node knows none."""
    whole, new = grown(case), newcomer(case)
    old = [host for host in whole.hosts if host.name != new.name]
    forgotten = [RouteDel(host.name, route) for host in old for route in whole.network[host.name].routes if route.dst in new.blocks]
    others = {block for host in old for block in host.blocks}
    unheard = [RouteDel(new.name, route) for route in whole.network[new.name].routes if route.dst in others]
    return build([*top_of_rack(whole.hosts), *(RouteDel(UNDERLAY, Route(b)) for b in new.blocks), *forgotten, *unheard], whole.network)


# ──


def _names(count: int) -> list[str]:
    return [f"node-{letter}" for letter in "abcde"[:count]]


def _cluster(case: Variant, cni: str, segments: Sequence[int], homes: dict[str, str]) -> Cluster:
    """Nodes on these segments, with addresses and Pod ranges of the student's own; ``homes``: Pod → node."""
    names = _names(len(segments))
    own, ranges = case.sample("hosts", range(11, 200), len(names)), case.sample("ranges", range(1, 250), len(names))
    text = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nspec: {{podCIDR: 10.244.{block}.0/24}}\n"
        f"status: {{addresses: [{{type: InternalIP, address: 192.168.{segment}.{host}}}]}}"
        for name, segment, host, block in zip(names, segments, own, ranges, strict=True)
    ]
    text += [
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}}}\n"
        f"spec: {{nodeName: {node}, containers: [{{name: web, image: web, ports: [{{containerPort: 8080}}]}}]}}"
        for pod, node in homes.items()
    ]
    return Cluster.loads("\n---\n".join(text), cni=cni, proxy="none")
