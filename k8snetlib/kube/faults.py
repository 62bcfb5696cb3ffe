"""What breaks between nodes, each as the ops that break it: one entry gone, one switch off, one number too small.

Read off a cluster as it is: for a packet from one Pod to another, the entries that carry it are found as the kernel finds them, and a
fault takes one of them away or changes it. What then becomes of the packet, and Linux's reason, is for ``trace`` to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import ModelError
from ..linux.addresses import ip_network
from ..linux.draft import build
from ..linux.fib import lookup
from ..linux.ops import FdbDel, LinkSet, NeighDel, Op, RouteAdd, RouteDel, RuleEnsure, SysctlSet
from ..linux.packet import IPAddress
from ..linux.state import NetNS, Network, Route
from ..value import value
from .cluster import Cluster
from .cni.sandbox import UNDERLAY, Sandbox

TEXT = {
    "route": "the route to the other node's Pods is gone",
    "neighbor": "the neighbour entry of the tunnel's far end is gone",
    "fdb": "the FDB entry that names the other node is gone",
    "overlap": "somebody's network has the same addresses: a more exact route leads away",
    "forwarding": "IP forwarding is off on the sender's node",
    "narrow": "a link below takes only {mtu} bytes, and nobody was told",
    "icmp": "the Pod's MTU is the wire's, and a firewall drops ICMP",
    "rp_filter": "the other node filters strictly and has lost the way back",
    "br_netfilter": "bridged packets bypass netfilter (br_netfilter is off)",
    "proxy_arp": "proxy ARP is off at the Pod's cable",
    "default": "the sender's node has no default route",
    "pods": "faults are read off the way between two Pods with networks of their own; {name} is none",
    "family": "{name} has no IPv{version} address",
}
NARROW = 1400  # bytes
ICMP = {4: "-p icmp -j DROP", 6: "-p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP"}  # IPv6 needs its other messages to work at all


@value
class Fault:
    """Something wrong: a short name, what it is in words, and the ops that bring it about."""

    name: str
    title: str
    ops: tuple[Op, ...]

    def network(self, network: Network) -> Network:
        """The network with this fault."""
        return build(self.ops, network)

    def command(self) -> str:
        """The ops as one would type them."""
        return "\n".join(op.command() for op in self.ops)


def faults(cluster: Cluster, source: str, target: str, version: int = 0) -> dict[str, Fault]:
    """By name, the faults that the way from one Pod to another can have in this cluster; ``version`` of IP (default: the cluster's first).

    ModelError for what is no Pod with its own network, and for a family that it does not have.
    """
    version = version or (4 if cluster.families[0] == "IPv4" else 6)
    ends = [_sandbox(cluster, name, version) for name in (source, target)]
    way = _Way(cluster.network, *ends, version)
    return {fault.name: fault for fault in _all(way)}


def _sandbox(cluster: Cluster, name: str, version: int) -> Sandbox:
    pod = cluster.find(name).pod
    if pod is None or pod.key not in cluster.sandboxes:
        raise ModelError(TEXT["pods"].format(name=name))
    found = cluster.sandboxes[pod.key]
    if all(address.version != version for address in found.addresses):
        raise ModelError(TEXT["family"].format(name=name, version=version))
    return found


class _Way:
    """The entries that carry a packet from one Pod to the other."""

    def __init__(self, network: Network, one: Sandbox, other: Sandbox, version: int) -> None:
        self.network, self.one, self.other, self.version = network, one, other, version
        self.src, self.dst = (next(a.ip for a in s.addresses if a.version == version) for s in (one, other))
        self.here, self.there = network[one.host], network[other.host]
        self.route = self._route(self.here, self.dst, self.src, one.veth)
        self.back = self._route(self.there, self.src, self.dst, other.veth)

    @property
    def across(self) -> bool:
        return self.one.host != self.other.host

    @staticmethod
    def _route(namespace: NetNS, dst: IPAddress, src: IPAddress, iif: str) -> Route | None:
        route, _ = lookup(namespace, dst, src, iif)
        return route if route is not None and route.dst.prefixlen else None

    def far_end(self):
        """The permanent neighbour entry of the next hop, if the plug-in wrote one."""
        entry = self.here.neighbors.get((self.route.dev, self.route.via)) if self.route else None
        return entry if entry is not None and entry.state == "PERMANENT" else None


def _all(way: _Way) -> Iterator[Fault]:
    if way.across:
        yield from _entries(way)
        yield from _links(way)
    yield from _switches(way)


def _entries(way: _Way) -> Iterator[Fault]:
    name, route = way.one.host, way.route
    if route is None:
        return
    if route.proto != "kernel":  # a connected route goes with its address alone
        yield _fault("route", RouteDel(name, route))
    if (far := way.far_end()) is not None:
        yield _fault("neighbor", NeighDel(name, route.dev, far.ip))
        entry = way.here.fdb.get((route.dev, far.mac))
        if entry is not None:
            yield _fault("fdb", FdbDel(name, entry))
    length = min(route.dst.prefixlen + 1, route.dst.max_prefixlen)
    gateway = _default(way.here, way.version)
    if length > route.dst.prefixlen and gateway is not None:
        part = ip_network(f"{way.dst}/{length}", strict=False)
        yield _fault("overlap", RouteAdd(name, Route(part, gateway.dev, gateway.via, proto="static")))
    if way.back is not None and way.version == 4 and way.back.dev not in _uplinks(way.there):
        yield _fault("rp_filter", SysctlSet(way.other.host, "net.ipv4.conf.all.rp_filter", 1), RouteDel(way.other.host, way.back))


def _links(way: _Way) -> Iterator[Fault]:
    for dev in _uplinks(way.there)[:1]:
        port = way.there.interfaces[dev].peer[1]
        yield _fault("narrow", LinkSet(UNDERLAY, port, mtu=NARROW), LinkSet(way.other.host, dev, mtu=NARROW), mtu=NARROW)
    own = next((i for i in way.network[way.one.netns].interfaces.values() if i.peer), None)
    wire = max((way.here.interfaces[dev].mtu for dev in _uplinks(way.here)), default=0)
    if own is not None and own.mtu < wire:
        bridge = way.here.interfaces[own.peer[1]].master
        ends = [(way.one.netns, own.name), own.peer, *([(way.one.host, bridge)] if bridge else [])]
        silence = RuleEnsure(way.one.host, "filter", "OUTPUT", ICMP[way.version], way.version)
        yield _fault("icmp", *(LinkSet(*end, mtu=wire) for end in ends), silence)


def _switches(way: _Way) -> Iterator[Fault]:
    name = way.one.host
    key = "net.ipv4.ip_forward" if way.version == 4 else "net.ipv6.conf.all.forwarding"
    yield _fault("forwarding", SysctlSet(name, key, 0))
    if way.here.interfaces[way.one.veth].master:
        family = "" if way.version == 4 else "6"
        yield _fault("br_netfilter", SysctlSet(name, f"net.bridge.bridge-nf-call-ip{family}tables", 0))
    elif way.version == 4 and way.here.sysctl(f"net.ipv4.conf.{way.one.veth}.proxy_arp"):
        yield _fault("proxy_arp", SysctlSet(name, f"net.ipv4.conf.{way.one.veth}.proxy_arp", 0))
        default = _default(way.here, 4)
        if default is not None:
            yield _fault("default", RouteDel(name, default))


def _default(namespace: NetNS, version: int) -> Route | None:
    return next((r for r in namespace.routes if not r.dst.prefixlen and r.dst.version == version and r.table == "main"), None)


def _uplinks(namespace: NetNS) -> list[str]:
    return [i.name for i in namespace.interfaces.values() if i.peer and i.peer[0] == UNDERLAY]


def _fault(name: str, *ops: Op, **words: object) -> Fault:
    return Fault(name, TEXT[name].format(**words), ops)
