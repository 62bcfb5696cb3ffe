"""Ops on routes, policy rules, neighbours and forwarding-database entries."""

from __future__ import annotations

from ..errors import ModelError
from ..value import replace, value
from .draft import Draft, NsDraft
from .ops_fields import wrong_kind
from .packet import IPAddress
from .state import ZERO_MAC, FdbEntry, Neighbor, PolicyRule, Route


@value
class RouteAdd:
    """Add a route. As in the kernel, a next hop must be reachable on a link (or ``onlink`` given), else "Nexthop has invalid gateway"."""

    netns: str
    route: Route

    def __post_init__(self) -> None:
        if not isinstance(self.route, Route):
            raise wrong_kind("RouteAdd", self.route, "a Route", "ops.route(netns, destination, dev, via) makes the op from text")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        route = _settled(self.route)
        if route.dev is not None and not ns.interface(route.dev).up:
            raise ModelError(f"{route.dev} is down (Network is down)")
        if route.via is not None and not route.onlink and not _on_link(ns, route):
            raise ModelError(f"{route.via} is not on a link of {route.dev or self.netns} (Nexthop has invalid gateway)")
        if route.via is not None and route.dev is None:
            route = replace(route, dev=_device_for(ns, route.via))
        if not ns.add_route(route):
            raise ModelError("File exists: a route to that destination with that metric is there already")

    def command(self) -> str:
        return f"ip -n {self.netns} {'-6 ' if self.route.dst.version == 6 else ''}route add {_settled(self.route).words()}"


def _settled(route: Route) -> Route:
    """The route as the kernel keeps it: in IPv4 a route without a gateway has link scope, a local one host scope; in IPv6 a route has
    metric 1024, and one that leads nowhere (blackhole, unreachable, prohibit) the device lo."""
    if route.dst.version == 6:
        dev = route.dev if route.type == "unicast" else route.dev or "lo"
        return replace(route, metric=route.metric or 1024, scope="global", dev=dev)
    if route.type == "local" and route.scope == "global":
        return replace(route, scope="host")
    if route.via is None and route.type == "unicast" and route.scope == "global":
        return replace(route, scope="link")
    return route


def _on_link(ns: NsDraft, route: Route) -> bool:
    if route.dst.version == 6 and route.via.is_link_local:
        return True
    version, dev = route.via.version, route.dev
    here = (r.dst for r in ns.routes if r.via is None and (dev is None or r.dev == dev) and r.type == "unicast")
    return any(dst.version == version and dst.prefixlen > 0 and route.via in dst for dst in here)


def _device_for(ns: NsDraft, via: IPAddress) -> str | None:
    best = max(
        (r for r in ns.routes if r.via is None and r.dst.version == via.version and via in r.dst),
        key=lambda r: r.dst.prefixlen,
        default=None,
    )
    return best.dev if best else None


@value
class PmtuAdd:
    """The MTU of the path to a destination, in bytes, as an ICMP message told it (a route exception, fib_nhc_exception in the kernel);
    packets leave these behind. No command makes one: the printed line says how to see it."""

    netns: str
    dst: IPAddress
    mtu: int

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).pmtu[self.dst] = self.mtu

    def command(self) -> str:
        return f": mtu {self.mtu}, as ICMP told: ip -n {self.netns} route get {self.dst}"


@value
class RouteDel:
    """Remove a route: the one equal to ``route``, or the first with its destination, table and (where given) next hop."""

    netns: str
    route: Route

    def __post_init__(self) -> None:
        if not isinstance(self.route, Route):
            raise wrong_kind("RouteDel", self.route, "a Route", "ops.route(netns, destination, dev, via).route makes one from text")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        wanted = self.route
        for index, route in enumerate(ns.routes):
            named = all(want is None or want == have for want, have in ((wanted.via, route.via), (wanted.dev, route.dev)))
            if route.dst == wanted.dst and route.table == wanted.table and named and route.type == wanted.type:
                del ns.routes[index]
                ns.slots = None
                return
        raise ModelError("No such process: no such route")

    def command(self) -> str:
        return f"ip -n {self.netns} {'-6 ' if self.route.dst.version == 6 else ''}route del {self.route.words()}"


@value
class RuleAdd:
    """Add a line to the policy routing database (``ip rule``)."""

    netns: str
    rule: PolicyRule

    def __post_init__(self) -> None:
        if not isinstance(self.rule, PolicyRule):
            raise wrong_kind("RuleAdd", self.rule, "a PolicyRule of k8snetlib.linux.state")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is not None:
            ns.rules = sorted([*ns.rules, self.rule], key=lambda rule: rule.priority)

    def command(self) -> str:
        family = "-6 " if self.rule.version == 6 else ""
        return f"ip -n {self.netns} {family}rule add {self.rule.words()} priority {self.rule.priority}"


@value
class NeighAdd:
    """Put a neighbour entry in place, permanent unless its state says otherwise; a packet's ARP exchange leaves a REACHABLE one."""

    netns: str
    neighbor: Neighbor

    def __post_init__(self) -> None:
        if not isinstance(self.neighbor, Neighbor):
            raise wrong_kind("NeighAdd", self.neighbor, "a Neighbor of k8snetlib.linux.state")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is not None:
            ns.interface(self.neighbor.dev)
            ns.neighbors[self.neighbor.dev, self.neighbor.ip] = self.neighbor

    def command(self) -> str:
        n = self.neighbor
        return f"ip -n {self.netns} neigh replace {n.ip} lladdr {n.mac} dev {n.dev} nud {n.state.lower()}"


@value
class NeighDel:
    """Remove a neighbour entry."""

    netns: str
    dev: str
    ip: IPAddress

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns) and draft.ns(self.netns).neighbors.pop((self.dev, self.ip), None) is None:
            raise ModelError("No such file or directory: no such neighbour")

    def command(self) -> str:
        return f"ip -n {self.netns} neigh del {self.ip} dev {self.dev}"


@value
class ProxyNeighAdd:
    """Answer for somebody else: who asks on ``dev`` for ``ip`` is told this host's own MAC address (RFC 4861 section 7.2.8).

    The host has to be a router: in IPv6 with ``net.ipv6.conf.<dev>.proxy_ndp`` on, in IPv4 with a way to the address through another device.
    """

    netns: str
    dev: str
    ip: IPAddress

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is not None:
            ns.interface(self.dev)
            ns.proxied.add((self.dev, self.ip))

    def command(self) -> str:
        return f"ip -n {self.netns} {'-6 ' if self.ip.version == 6 else ''}neigh add proxy {self.ip} dev {self.dev}"


def _fdb_key(entry: FdbEntry) -> tuple[str, str]:
    return (entry.master or entry.dev, entry.mac)


@value
class FdbAdd:
    """Put a forwarding-database entry in place: on a bridge (``master`` given) or on a VXLAN device (``dst`` given)."""

    netns: str
    entry: FdbEntry

    def __post_init__(self) -> None:
        if not isinstance(self.entry, FdbEntry):
            raise wrong_kind("FdbAdd", self.entry, "an FdbEntry of k8snetlib.linux.state")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is not None:
            ns.interface(self.entry.dev)
            ns.fdb[_fdb_key(self.entry)] = self.entry

    def command(self) -> str:
        e = self.entry
        where = f"dst {e.dst} self permanent" if e.dst else f"master {e.state}"
        # vxlan_fdb_update_create: an entry for many (00:00:00:00:00:00, or a multicast address) is a list, which is appended to
        verb = "append" if e.dst and (e.mac == ZERO_MAC or e.mac[1] in "13579bdf") else "replace"
        return f"bridge -n {self.netns} fdb {verb} {e.mac} dev {e.dev} {where}"


@value
class FdbDel:
    """Remove a forwarding-database entry."""

    netns: str
    entry: FdbEntry

    def __post_init__(self) -> None:
        if not isinstance(self.entry, FdbEntry):
            raise wrong_kind("FdbDel", self.entry, "an FdbEntry of k8snetlib.linux.state")

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns) and draft.ns(self.netns).fdb.pop(_fdb_key(self.entry), None) is None:
            raise ModelError("No such file or directory: no such FDB entry")

    def command(self) -> str:
        e = self.entry
        return f"bridge -n {self.netns} fdb del {e.mac} dev {e.dev} {f'dst {e.dst} self' if e.dst else 'master'}"
