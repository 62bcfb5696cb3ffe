"""For how many Pods a cluster of like nodes has room, and what stops the next one: the same nodes and Pods under each kind of address plan.

Nothing is estimated: nodes and a Deployment are objects, the scheduler places, the kubelet's ``maxPods`` holds, and the plug-in's own IPAM
gives addresses, until somebody refuses. Each node's two system Pods run on its own address, take two of ``maxPods``, and are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from ..errors import ModelError
from ..linux.addresses import ip_interface, ip_network
from ..linux.state import IPNetwork
from ..value import replace, value
from .cni import CNIS
from .cni.addressing import Allocation, host_local
from .cni.sandbox import Host
from .cni.vpc_ipam import NO_ADDRESS, NO_PREFIX, RESERVED, Subnet
from .cni.vpc_limits import HOST_NETWORK, INSTANCE_LABEL, LOW_CAP, kubelet_pods, limits, max_pods
from .hosts import plan_hosts
from .manifests import Manifests, loads
from .objects import Node, Pod

SUBNET = ip_network("192.168.50.0/24")
ENIS, KUBELET, ADDRESSES, PREFIXES = "enis", "kubelet", "addresses", "prefixes"
"""What can stop a Pod: its node's ENIs are full, the kubelet's maxPods, no free address in the subnet, no free /28 in it."""
VPCS = ("vpc", "vpc-prefix")
TEXT = {
    "counts": "a cluster has at least one node and no fewer than 0 Pods, not {nodes} and {pods}",
    "subnet": "{subnet} has {usable} addresses for interfaces and Pods: no room for {nodes} nodes",
}
_NODE = "apiVersion: v1\nkind: Node\nmetadata: {{name: node-{n}, labels: {{{label}: {kind}}}}}\n"
_DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: app}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: app}}}}
  template:
    metadata: {{labels: {{app: app}}}}
    spec: {{containers: [{{name: app, image: registry.example/app}}]}}
"""


@value
class Room:
    """What came of it. ``running`` of the ``wanted`` Pods have an address; ``stopped`` counts the others by what stopped them, and
    ``said`` is what is said of the first of them: the scheduler's words, or the plug-in's with the cause in parentheses.

    ``held`` are the addresses of the nodes' own subnet in use, the nodes' own among them; ``set_aside`` those of another range that are
    reserved for these nodes, in blocks or ranges of ``unit`` addresses (0: none are).
    """

    cni: str
    wanted: int
    running: int
    stopped: Mapping[str, int]
    said: Mapping[str, str]
    held: int
    set_aside: int
    unit: int
    hosts: tuple[Host, ...]


def room(cni: str, nodes: int, pods: int, kind: str = "m5.large", subnet: IPNetwork = SUBNET) -> Room:
    """So many nodes of an EC2 instance type in one subnet, and a Deployment with so many Pods, under a plug-in of ``CNIS``.

    ModelError for a count that makes no sense, and where the subnet has too few addresses for the nodes themselves; UnsupportedError for an
    instance type whose limits are not known.
    """
    usable = Subnet(subnet).usable
    if nodes < 1 or pods < 0:
        raise ModelError(TEXT["counts"].format(nodes=nodes, pods=pods))
    if nodes > usable:
        raise ModelError(TEXT["subnet"].format(subnet=subnet, usable=usable, nodes=nodes))
    limits(kind)
    plugin = CNIS[cni]
    register = plugin.register if cni in VPCS else _kubelet
    placed = plan_hosts(_manifests(nodes, pods, kind), (4,), partial(_allocate, plugin.allocate, subnet), register)
    reasons = [(_reason(why, cni, kind), why) for why in placed.pending.values()]
    stopped, said = Counter(reason for reason, _ in reasons), dict(reversed(reasons))
    running = sum(bool(pod.pod_ips) for pod in placed.pods)
    held = nodes + sum(_held(host) for host in placed.hosts if cni in VPCS)
    whole = plugin.allocate is host_local  # each node has its range from the start; a Calico node without a Pod has no block yet
    ranges = [] if cni in VPCS else [part for host in placed.hosts for part in (host.pod_cidrs if whole else host.blocks)]
    aside, unit = sum(part.num_addresses for part in ranges), ranges[0].num_addresses if ranges else 0
    return Room(cni, pods, running, MappingProxyType(dict(stopped)), MappingProxyType(said), held, aside, unit, placed.hosts)


def allowed(cni: str, nodes: int, kind: str, subnet: IPNetwork = SUBNET) -> dict[str, int]:
    """For how many Pods each limit of a VPC would do if it were the only one. The subnet's is what is left of it beside the nodes: further
    ENIs draw on that too."""
    prefix, node = cni == "vpc-prefix", next(iter(_manifests(1, 0, kind).of(Node)))
    left = Subnet(subnet, [subnet[RESERVED + n] for n in range(nodes)])
    last = {PREFIXES: 16 * len(left.free_prefixes)} if _prefixes(cni, kind) else {ADDRESSES: left.free}
    return {ENIS: nodes * (max_pods(kind, prefix) - HOST_NETWORK), KUBELET: nodes * kubelet_pods(node, prefix), **last}


def _manifests(nodes: int, pods: int, kind: str) -> Manifests:
    parts = [_NODE.format(n=n + 1, label=INSTANCE_LABEL, kind=kind) for n in range(nodes)]
    return loads("---\n".join([*parts, _DEPLOYMENT.format(pods=pods)]), "<room>")


def _kubelet(node: Node) -> Node:
    """A node whose kubelet was told nothing else: 110 Pods."""
    return replace(node, max_pods=LOW_CAP - HOST_NETWORK)


def _allocate(allocate, subnet: IPNetwork, hosts: Sequence[Host], pods: Mapping[str, Sequence[Pod]]) -> Allocation:
    """The plug-in's own allocation, for nodes with the first addresses of that subnet."""
    addresses = [ip_interface(f"{subnet[RESERVED + n]}/{subnet.prefixlen}") for n in range(len(hosts))]
    return allocate([replace(host, addresses=(own,)) for host, own in zip(hosts, addresses, strict=True)], pods)


def _prefixes(cni: str, kind: str) -> bool:
    return cni == "vpc-prefix" and limits(kind).nitro


def _held(host: Host) -> int:
    """Addresses of the subnet on a node's ENIs, beside the primary ENI's own."""
    return sum(sum(p.num_addresses for p in eni.prefixes) or len(eni.pods) for eni in host.enis) + len(host.enis) - 1


def _reason(why: str, cni: str, kind: str) -> str:
    if NO_ADDRESS in why:
        return ADDRESSES
    if NO_PREFIX in why:
        return PREFIXES
    most = kubelet_pods(next(iter(_manifests(1, 0, kind).of(Node))), _prefixes(cni, kind)) if cni in VPCS else 0
    return ENIS if cni in VPCS and most == max_pods(kind, _prefixes(cni, kind)) - HOST_NETWORK else KUBELET
