"""From objects to placed Pods on addressed nodes: what the scheduler, the node controller and the plug-in's IPAM do before any packet moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field

from ..linux.addresses import ip_network, network_around, with_length
from ..linux.packet import IPAddress
from ..linux.state import IPInterface, IPNetwork
from ..value import replace, value
from .cni.addressing import Allocate, host_local
from .cni.plugin import as_it_is
from .cni.sandbox import Host
from .ipam import assign_pod_cidrs
from .manifests import Manifests
from .objects import ZONE_LABEL, Namespace, Node, ObjectMeta, Pod, node_labels
from .scheduler import place
from .workloads import expand, start

CLUSTER_CIDRS = {4: ip_network("10.244.0.0/16"), 6: ip_network("fd00:244::/48")}
LARGE_CLUSTER_CIDR = ip_network("10.128.0.0/10")  # for more nodes than 10.244.0.0/16 has /24s
POD_PREFIX = {4: 24, 6: 64}
SEGMENTS = {4: ip_network("192.168.50.0/24"), 6: ip_network("fd00:50::/64")}
LARGE_SEGMENT = ip_network("172.18.0.0/16")  # for more nodes than the usual segment holds
FIRST_NODE = 11
DEFAULT_NODES = ("node-a", "node-b")


@value
class Placed:
    """Nodes and Pods as a running cluster has them."""

    nodes: tuple[Node, ...]
    hosts: tuple[Host, ...]
    pods: tuple[Pod, ...]
    pending: Mapping[str, str]
    prefixes: Mapping[str, Mapping[int, int]]  # node → IP version → prefix length of its Pod range
    notes: tuple[str, ...] = field(default=())


def plan_hosts(
    manifests: Manifests, versions: Sequence[int], allocate: Allocate = host_local, register: Callable[[Node], Node] = as_it_is
) -> Placed:
    """Place and address everything in the manifests; ``allocate`` gives Pods their addresses, ``register`` is what a kubelet adds to its
    Node. ManifestError where an object asks for what cannot be."""
    nodes = tuple(register(node) for node in manifests.of(Node) or _default_nodes(manifests))
    pods = expand(manifests.objects, nodes)
    placement = place(pods, nodes, manifests.of(Namespace))
    placed = [_bound(pod, placement.nodes.get(pod.key, "")) for pod in pods]
    nodes, hosts = _addressed(nodes, placed, versions)
    prefixes = {host.name: {cidr.version: cidr.prefixlen for cidr in host.pod_cidrs} for host in hosts}
    hosts, running, pending, notes = _assign(placed, hosts, dict(placement.pending), allocate)
    return Placed(tuple(host.node for host in hosts), hosts, running, pending, prefixes, notes)


def _bound(pod: Pod, node_name: str) -> Pod:
    return pod if pod.node_name == node_name else replace(pod, node_name=node_name)


def _default_nodes(manifests: Manifests) -> tuple[Node, ...]:
    """Two nodes of one zone, and one for each further name that a Pod's nodeName mentions."""
    mentioned = [pod.node_name for pod in manifests.of(Pod) if pod.node_name]
    mentioned += [w.template.node_name for w in manifests.objects if hasattr(w, "template") and w.template.node_name]
    others = [name for name in dict.fromkeys(mentioned) if name not in DEFAULT_NODES]
    names = (*DEFAULT_NODES, *others) if not others or set(mentioned) & set(DEFAULT_NODES) else tuple(others)
    return tuple(Node(ObjectMeta(name, labels=node_labels(name, {ZONE_LABEL: "zone-1"}))) for name in names)


def _addressed(nodes: Sequence[Node], pods: Sequence[Pod], versions: Sequence[int]) -> tuple[tuple[Node, ...], tuple[Host, ...]]:
    """Give every node the addresses and Pod ranges that its object does not name."""
    used = {a for node in nodes for a in node.addresses}
    free = {version: _free_addresses(version, len(nodes), used) for version in versions}
    made, hosts = [], []
    for node in _with_ranges(nodes, pods, versions):
        addresses = tuple(next((a for a in node.addresses if a.version == v), None) or next(free[v]) for v in versions)
        made.append(node if node.addresses == addresses else replace(node, addresses=addresses))
    taken = {address for node in made for address in node.addresses}
    for node in made:
        addresses = tuple(map(_with_prefix, node.addresses))
        hosts.append(Host(node.name, addresses, tuple(_gateway(a, taken) for a in addresses), node.pod_cidrs, node=node))
    return tuple(made), tuple(hosts)


def _with_ranges(nodes: Sequence[Node], pods: Sequence[Pod], versions: Sequence[int]) -> tuple[Node, ...]:
    """The nodes with one Pod range of each family: its object's, else what its Pods' addresses tell, else the next free one."""
    implied = _implied_ranges(nodes, pods)
    known = [tuple(c for v in versions for c in (*node.pod_cidrs, *implied.get(node.name, ())) if c.version == v) for node in nodes]
    whole = []
    for node, cidrs in zip(nodes, known, strict=True):
        cidrs = cidrs if {c.version for c in cidrs} == set(versions) else ()
        whole.append(node if node.pod_cidrs == cidrs else replace(node, pod_cidrs=cidrs))
    large = len(nodes) > 250
    clusters = [LARGE_CLUSTER_CIDR if large and v == 4 else CLUSTER_CIDRS[v] for v in versions]
    return assign_pod_cidrs(whole, clusters, [POD_PREFIX[v] for v in versions], first_index=1)


def _free_addresses(version: int, count: int, used: set[IPAddress]) -> Iterable[IPAddress]:
    segment = LARGE_SEGMENT if version == 4 and count > 200 else SEGMENTS[version]
    start_at = FIRST_NODE if version == 4 else 0x11  # ::11, ::12 … as the addresses are written
    return (a for n in range(start_at, segment.num_addresses - 1) if (a := segment.network_address + n) not in used)


def _with_prefix(address: IPAddress) -> IPInterface:
    """A node's address with the length of its segment: /64 in IPv6; /24 in IPv4, save for the large segment."""
    length = 64 if address.version == 6 else LARGE_SEGMENT.prefixlen if address in LARGE_SEGMENT else 24
    return with_length(address, length)


def _gateway(address: IPInterface, taken: set[IPAddress]) -> IPAddress:
    """The router of the segment: its first address, else (where a node has that) its last."""
    first = address.network.network_address + 1
    if first not in taken:
        return first
    return address.network.broadcast_address - (1 if address.version == 4 else 0)


def _implied_ranges(nodes: Sequence[Node], pods: Sequence[Pod]) -> dict[str, tuple[IPNetwork, ...]]:
    """Pod ranges that the Pods' own addresses tell, where a node's object does not: a dump of a cluster often has Pods and no Nodes."""
    found: dict[str, dict[int, IPNetwork]] = {}
    known = {node.name for node in nodes if node.pod_cidrs}
    for pod in pods:
        if pod.node_name and pod.node_name not in known and not pod.host_network:
            for address in pod.pod_ips:
                length = POD_PREFIX[address.version]
                found.setdefault(pod.node_name, {}).setdefault(address.version, network_around(address, length))
    seen: set[IPNetwork] = set()
    result = {}
    for node, ranges in found.items():
        own = tuple(c for c in ranges.values() if c not in seen)
        seen |= set(own)
        result[node] = own
    return result


def _assign(
    pods: Sequence[Pod], hosts: Sequence[Host], pending: dict[str, str], allocate: Allocate
) -> tuple[tuple[Host, ...], tuple[Pod, ...], dict[str, str], tuple[str, ...]]:
    """Addresses for the Pods, as the plug-in gives them; with what the nodes hold in reserve."""
    by_host: dict[str, list[Pod]] = {host.name: [] for host in hosts}
    for pod in pods:
        if pod.node_name in by_host and not pod.host_network and not pod.finished:
            by_host[pod.node_name].append(pod)
    made = allocate(hosts, by_host)
    nodes = {host.name: host for host in hosts}
    running = []
    for pod in pods:
        if pod.node_name not in by_host or pod.finished:
            running.append(pod)
        elif pod.host_network:
            running.append(start(pod, pod.node_name, (a.ip for a in nodes[pod.node_name].addresses)))
        elif pod.key in made.given:
            running.append(start(pod, pod.node_name, made.given[pod.key]))
        else:
            running.append(replace(pod, pod_ips=()))
    return made.hosts, tuple(running), pending | dict(made.without), made.notes
