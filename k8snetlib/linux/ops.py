"""Configuration as a list of ops, with three interpreters.

``op.apply(draft)`` changes the model, ``op.command()`` is what an administrator would type, and ``k8snetlib.lab`` runs
the same op in a real kernel. ``build`` is the only function that changes a network.

An op names its namespace first. Ops that a packet leaves behind (``Learn…``) come back in a trace and are folded in by ``after``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Protocol, runtime_checkable

from ..errors import ModelError
from ..value import value
from .draft import Draft, NsDraft, build
from .packet import Flow, IPAddress
from .state import (
    ZERO_MAC,
    Conntrack,
    FdbEntry,
    Interface,
    IPInterface,
    Neighbor,
    NetNS,
    PolicyRule,
    Route,
    Socket,
    VxlanConfig,
)

__all__ = [
    "AddrAdd", "AddrDel", "ConntrackAdd", "ConntrackDel", "FdbAdd", "FdbDel", "LinkAdd", "LinkDel", "LinkSet", "Listen", "NeighAdd", "NeighDel", "NetnsAdd",
    "Op", "RouteAdd", "RouteDel", "RuleAdd", "RulesRestore", "SysctlSet", "address", "build", "commands", "route", "stable_mac",
]  # fmt: skip
KINDS = ("loopback", "veth", "bridge", "vxlan", "dummy")
MAX_NAME = 15  # IFNAMSIZ, less the closing zero


@runtime_checkable
class Op(Protocol):
    """One configuration step: applied to a draft of the model, or printed as a command."""

    def apply(self, draft: Draft) -> None: ...

    def command(self) -> str: ...


def stable_mac(*parts: str) -> str:
    """A locally administered unicast MAC address that depends on the parts alone, so that every run shows the same."""
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x0A, 0x58, *digest[:4]))


@value
class NetnsAdd:
    """Create a network namespace; its loopback device is up with 127.0.0.1/8 and ::1/128."""

    netns: str

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        if draft.has(self.netns):
            raise ModelError("the namespace exists already")
        lo = Interface("lo", "loopback", mtu=65536, up=True, addresses=(ip_interface("127.0.0.1/8"), ip_interface("::1/128")), index=1)
        draft.drafts[self.netns] = NsDraft(NetNS(self.netns, {"lo": lo}))

    def command(self) -> str:
        return f"ip netns add {self.netns} && ip -n {self.netns} link set dev lo up"


@value
class LinkAdd:
    """Create a device: a veth pair (``peer`` = (namespace, name) of its far end), a bridge, a VXLAN tunnel end or a dummy.

    ``mac`` and ``peer_mac`` default to addresses derived from the names, so that model and kernel agree.
    """

    netns: str
    name: str
    kind: str
    mac: str | None = None
    mtu: int | None = None
    peer: tuple[str, str] | None = None
    peer_mac: str | None = None
    vxlan: VxlanConfig | None = None

    @property
    def address(self) -> str:
        return self.mac or stable_mac(self.netns, self.name)

    @property
    def peer_address(self) -> str:
        return self.peer_mac or stable_mac(*(self.peer or ()))

    def apply(self, draft: Draft) -> None:
        if self.kind not in KINDS or (self.kind == "veth") != (self.peer is not None) or (self.kind == "vxlan") != (self.vxlan is not None):
            raise ModelError(f"a {self.kind} device cannot be made from these settings")
        mtu = self.mtu or self._default_mtu(draft)
        ends = [(self.netns, self.name, self.address, self.peer)]
        if self.peer:
            ends.append((*self.peer, self.peer_address, (self.netns, self.name)))
        for netns, name, mac, peer in ends:
            if draft.outside(netns):
                continue
            ns = draft.ns(netns)
            if name in ns.interfaces:
                raise ModelError(f"{netns} already has an interface {name!r}")
            if not name or len(name) > MAX_NAME or "/" in name or " " in name:
                raise ModelError(f"{name!r} is no interface name: 1 to {MAX_NAME} characters without '/' or space")
            ns.interfaces[name] = Interface(name, self.kind, mac, mtu, peer=peer, vxlan=self.vxlan, index=ns.next_index)
            ns.next_index += 1

    def _default_mtu(self, draft: Draft) -> int:
        """1500; a tunnel's is what its headers leave of the device below: 50 bytes less, 70 over IPv6 (vxlan_config_apply)."""
        if not self.vxlan or draft.outside(self.netns):
            return 1500
        return draft.ns(self.netns).interface(self.vxlan.dev).mtu - (50 if self.vxlan.local.version == 4 else 70)

    def command(self) -> str:
        words = [f"ip -n {self.netns} link add name {self.name} address {self.address}"]  # "name", as ip takes "d" alone for "dynamic"
        words += [f"mtu {self.mtu}"] if self.mtu else []
        words.append(f"type {self.kind}")
        if self.peer:
            words.append(f"peer name {self.peer[1]} netns {self.peer[0]} address {self.peer_address}" + (f" mtu {self.mtu}" if self.mtu else ""))
        if self.vxlan:
            v = self.vxlan
            words.append(f"id {v.vni} local {v.local} dev {v.dev} dstport {v.port} {'learning' if v.learning else 'nolearning'}")
        return " ".join(words)


@value
class LinkSet:
    """Change a device: up or down, MTU, master (a bridge, or "" for none), and a bridge port's hairpin, learning and isolated flags."""

    netns: str
    name: str
    up: bool | None = None
    mtu: int | None = None
    master: str | None = None
    hairpin: bool | None = None
    learning: bool | None = None
    isolated: bool | None = None

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns = draft.ns(self.netns)
        old = ns.interface(self.name)
        if self.master and ns.interface(self.master).kind != "bridge":
            raise ModelError(f"{self.master} is no bridge")
        if (self.hairpin or self.isolated or self.learning is not None) and not (self.master or old.master):
            raise ModelError(f"{self.name} is no bridge port")
        changes = {key: getattr(self, key) for key in ("up", "mtu", "hairpin", "learning", "isolated") if getattr(self, key) is not None}
        if self.master is not None and old.master and self.master != old.master:
            ns.left_bridge(self.name)
        if self.master:
            changes["master"] = self.master
        if self.mtu is not None and old.kind == "bridge":
            changes["fixed_mtu"] = True
        new = ns.interfaces[self.name] = replace(ns.interfaces[self.name], **changes)
        if self.master is not None or (self.mtu is not None and new.master):
            _follow_ports(ns, {old.master, new.master} - {None}, joined=new if old.master is None else None)
        if new.up and not old.up:
            for address in new.addresses:
                ns.add_connected(new, address)
        elif old.up and not new.up:
            ns.went_down(self.name)
        draft.link_changed(self.netns, self.name)

    def command(self) -> str:
        words = []
        link = [f"mtu {self.mtu}"] if self.mtu is not None else []
        if self.master is not None:
            link.append(f"master {self.master}" if self.master else "nomaster")
        if self.up is not None:
            link.append("up" if self.up else "down")
        if link:
            words.append(f"ip -n {self.netns} link set dev {self.name} {' '.join(link)}")
        flags = [f"{flag} {'on' if value else 'off'}" for flag in ("hairpin", "learning", "isolated") if (value := getattr(self, flag)) is not None]
        if flags:
            words.append(f"bridge -n {self.netns} link set dev {self.name} {' '.join(flags)}")
        return " && ".join(words)


def _follow_ports(ns: NsDraft, bridges: Iterable[str], joined: Interface | None = None) -> None:
    """A bridge has the smallest MTU of its ports, whatever it was made with, until it is set by hand (br_mtu_auto_adjust).

    A port that only ``joined`` is compared with the bridge, not with every other port: a switch of a thousand ports is not slow to build.
    """
    for name in bridges:
        bridge = ns.interfaces[name]
        if bridge.fixed_mtu:
            continue
        ports = (i for i in ns.interfaces.values() if i.master == name and i is not joined)
        if joined is not None:
            mtu = min(joined.mtu, bridge.mtu) if any(ports) else joined.mtu
        else:
            mtu = min((port.mtu for port in ports), default=1500)
        ns.interfaces[name] = replace(bridge, mtu=mtu)


@value
class LinkDel:
    """Remove a device; a veth takes its far end along, tunnels that run over it go too, and routes, neighbours and FDB entries."""

    netns: str
    name: str

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        interface = draft.ns(self.netns).interface(self.name)
        tunnels = [i.name for i in draft.ns(self.netns).interfaces.values() if i.vxlan and i.vxlan.dev == self.name]
        for netns, name in filter(None, (*((self.netns, tunnel) for tunnel in tunnels), (self.netns, self.name), interface.peer)):
            if draft.outside(netns):
                continue
            ns = draft.ns(netns)
            ns.went_down(name)
            master = ns.interfaces.pop(name).master
            ns.fdb = {key: entry for key, entry in ns.fdb.items() if name not in (key[0], entry.dev)}
            for port in [i.name for i in ns.interfaces.values() if i.master == name]:
                ns.left_bridge(port)
            _follow_ports(ns, {master} - {None})

    def command(self) -> str:
        return f"ip -n {self.netns} link del dev {self.name}"


@value
class AddrAdd:
    """Give a device an address with its prefix; if the device is up, the kernel adds the connected route."""

    netns: str
    dev: str
    address: IPInterface

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns = draft.ns(self.netns)
        interface = ns.interface(self.dev)
        if self.address in interface.addresses:
            raise ModelError("the address is there already")
        if self.address.version == 6 and not ns.ipv6():
            raise ModelError(f"IPv6 is disabled in {self.netns}")
        interface = ns.interfaces[self.dev] = replace(interface, addresses=(*interface.addresses, self.address))
        if interface.up:
            ns.add_connected(interface, self.address)

    def command(self) -> str:
        nodad = " nodad" if self.address.version == 6 else ""
        return f"ip -n {self.netns} addr add {self.address} dev {self.dev}{nodad}"


@value
class AddrDel:
    """Take an address away, and with it the routes that the kernel made for it.

    In IPv4 (inet_del_ifa, fib_del_ifaddr) later addresses of the same network are secondary and go with the first one, unless
    ``promote_secondaries`` is set; with a device's last address go all its routes and neighbours.
    """

    netns: str
    dev: str
    address: IPInterface

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns = draft.ns(self.netns)
        interface = ns.interface(self.dev)
        if self.address not in interface.addresses:
            raise ModelError(f"{self.dev} has no address {self.address}")
        gone = {self.address} | (self._secondaries(ns, interface) if self.address.version == 4 else set())
        rest = tuple(a for a in interface.addresses if a not in gone)
        new = ns.interfaces[self.dev] = replace(interface, addresses=rest)
        network, sources = self.address.network, {a.ip for a in gone}
        shared = [a for a in rest if a.network == network]
        ns.drop_routes(lambda r: r.proto == "kernel" and r.dev == self.dev and r.dst == network and not shared)
        if self.address.version == 4:  # fib_sync_down_addr
            ns.drop_routes(lambda r: r.src in sources)
        else:  # fib6_remove_prefsrc: the route stays
            ns.routes = {(replace(r, src=None) if r.src in sources else r): None for r in ns.routes}
        if shared and interface.up:
            ns.add_connected(new, shared[0])
        if self.address.version == 4 and not any(a.version == 4 for a in rest):
            ns.drop_routes(lambda r: r.dev == self.dev and r.dst.version == 4)
            ns.neighbors = {key: entry for key, entry in ns.neighbors.items() if key[0] != self.dev or key[1].version == 6}

    def _secondaries(self, ns: NsDraft, interface: Interface) -> set[IPInterface]:
        same = [a for a in interface.addresses if a.version == 4 and a.network == self.address.network]
        keys = (f"net.ipv4.conf.{name}.promote_secondaries" for name in ("all", self.dev))
        return set() if same[0] != self.address or any(ns.sysctls.get(key) for key in keys) else set(same)

    def command(self) -> str:
        return f"ip -n {self.netns} addr del {self.address} dev {self.dev}"


@value
class RouteAdd:
    """Add a route. As in the kernel, a next hop must be reachable on a link (or ``onlink`` given), else "Nexthop has invalid gateway"."""

    netns: str
    route: Route

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns, route = draft.ns(self.netns), _settled(self.route)
        if route.dev is not None and not ns.interface(route.dev).up:
            raise ModelError(f"{route.dev} is down (Network is down)")
        if route.via is not None and not route.onlink and not _on_link(ns, route):
            raise ModelError(f"{route.via} is not on a link of {route.dev or self.netns} (Nexthop has invalid gateway)")
        if route.via is not None and route.dev is None:
            route = replace(route, dev=_device_for(ns, route.via))
        if ns.slots is None or len(ns.slots) != len(ns.routes):
            ns.slots = {_slot(old) for old in ns.routes}
        if _slot(route) in ns.slots:
            raise ModelError("File exists: a route to that destination with that metric is there already")
        ns.routes[route] = None
        ns.slots.add(_slot(route))

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


def _slot(route: Route) -> tuple:
    """What two routes of a table may not share: IPv4 forbids the same destination and metric, IPv6 only the same next hop as well."""
    key = (route.table, int(route.dst.network_address), route.dst.prefixlen, route.dst.version, route.metric)
    return (*key, route.via, route.dev) if route.dst.version == 6 else key


def _on_link(ns: NsDraft, route: Route) -> bool:
    if route.dst.version == 6 and route.via.is_link_local:
        return True
    return any(r.via is None and r.type == "unicast" and r.dst.prefixlen > 0 and r.dst.version == route.via.version
               and (route.dev is None or r.dev == route.dev) and route.via in r.dst for r in ns.routes)  # fmt: skip


def _device_for(ns: NsDraft, via: IPAddress) -> str | None:
    best = max((r for r in ns.routes if r.via is None and r.dst.version == via.version and via in r.dst), key=lambda r: r.dst.prefixlen, default=None)
    return best.dev if best else None


@value
class RouteDel:
    """Remove a route: the one equal to ``route``, or the first with its destination, table and (where given) next hop."""

    netns: str
    route: Route

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns, wanted = draft.ns(self.netns), self.route
        for route in ns.routes:
            named = all(want is None or want == have for want, have in ((wanted.via, route.via), (wanted.dev, route.dev)))
            if route.dst == wanted.dst and route.table == wanted.table and named and route.type == wanted.type:
                del ns.routes[route]
                return
        raise ModelError("No such process: no such route")

    def command(self) -> str:
        return f"ip -n {self.netns} {'-6 ' if self.route.dst.version == 6 else ''}route del {self.route.words()}"


@value
class RuleAdd:
    """Add a line to the policy routing database (``ip rule``)."""

    netns: str
    rule: PolicyRule

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            ns.rules = sorted([*ns.rules, self.rule], key=lambda rule: rule.priority)

    def command(self) -> str:
        family = "-6 " if self.rule.version == 6 else ""
        return f"ip -n {self.netns} {family}rule add {self.rule.words()} priority {self.rule.priority}"


@value
class NeighAdd:
    """Put a neighbour entry in place, permanent unless its state says otherwise; a packet's ARP exchange leaves a REACHABLE one."""

    netns: str
    neighbor: Neighbor

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
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


def _fdb_key(entry: FdbEntry) -> tuple[str, str]:
    return (entry.master or entry.dev, entry.mac)


@value
class FdbAdd:
    """Put a forwarding-database entry in place: on a bridge (``master`` given) or on a VXLAN device (``dst`` given)."""

    netns: str
    entry: FdbEntry

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
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

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns) and draft.ns(self.netns).fdb.pop(_fdb_key(self.entry), None) is None:
            raise ModelError("No such file or directory: no such FDB entry")

    def command(self) -> str:
        e = self.entry
        return f"bridge -n {self.netns} fdb del {e.mac} dev {e.dev} {f'dst {e.dst} self' if e.dst else 'master'}"


@value
class SysctlSet:
    """Write a sysctl of the namespace, e.g. ``net.ipv4.ip_forward``. Switching IPv6 off takes its addresses, routes and neighbours away."""

    netns: str
    key: str
    value: int

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns = draft.ns(self.netns)
        ns.sysctls[self.key] = self.value
        if self.key == "net.ipv6.conf.all.disable_ipv6":
            if self.value:
                ns.stop_ipv6()
            else:
                draft.start_ipv6(self.netns)

    def command(self) -> str:
        return f"ip netns exec {self.netns} sysctl -qw {self.key}={self.value}"


@value
class RulesRestore:
    """Load a rule set given as ``iptables-save`` text, replacing the tables that it names; ``version`` 6 means ip6tables."""

    netns: str
    text: str
    version: int = 4

    def apply(self, draft: Draft) -> None:
        from .netfilter import Ruleset

        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            old = ns.rulesets.get(self.version)
            new = Ruleset.parse(self.text, self.version)
            ns.rulesets[self.version] = old.merge(new) if old else new

    def command(self) -> str:
        tool = "iptables-restore" if self.version == 4 else "ip6tables-restore"
        return f"ip netns exec {self.netns} {tool} <<'EOF'\n{self.text.rstrip()}\nEOF"


@value
class Listen:
    """A process binds a socket. As in Linux, a second one on the same address and port fails: "Address already in use"."""

    netns: str
    socket: Socket

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        ns, new = draft.ns(self.netns), self.socket
        for old in ns.sockets:
            if (old.proto, old.port) == (new.proto, new.port) and (old.address is None or new.address is None or old.address == new.address):
                raise ModelError(f"bind {new.proto} port {new.port}: Address already in use (EADDRINUSE), by {old.process or old}")
        ns.sockets.append(new)

    def command(self) -> str:
        s = self.socket
        bind = f",bind={s.address}" if s.address else ""
        return f"ip netns exec {self.netns} socat {s.proto.upper()}{'6' if s.address is None else s.address.version}-LISTEN:{s.port}{bind},fork EXEC:cat &"


@value
class ConntrackAdd:
    """Put a connection-tracking entry in place, or the next state of one; a packet leaves these behind."""

    netns: str
    entry: Conntrack

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).conntrack[self.entry.original] = self.entry

    def command(self) -> str:
        f, r = self.entry.original, self.entry.reply
        words = f"-p {f.proto} -s {f.src} -d {f.dst} --sport {f.sport} --dport {f.dport} -r {r.src} -q {r.dst} --reply-port-src {r.sport} --reply-port-dst {r.dport}"
        return f"ip netns exec {self.netns} conntrack -I {words} -t 120"


@value
class ConntrackDel:
    """Remove a connection-tracking entry, named by its original tuple; a reset that is a SYN's only answer does it."""

    netns: str
    original: Flow

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).conntrack.pop(self.original, None)

    def command(self) -> str:
        f = self.original
        return f"ip netns exec {self.netns} conntrack -D -p {f.proto} -s {f.src} -d {f.dst} --sport {f.sport} --dport {f.dport}"


def route(netns: str, dst: str, dev: str | None = None, via: str | None = None, **fields) -> RouteAdd:
    """A ``RouteAdd`` from text: ``route("web", "default", via="10.244.1.1")``."""
    address = ip_address(via) if via else None
    network = ip_network(("0.0.0.0/0" if address is None or address.version == 4 else "::/0") if dst == "default" else dst)
    if fields.get("src"):
        fields["src"] = ip_address(fields["src"])
    return RouteAdd(netns, Route(network, dev, address, **fields))


def address(netns: str, dev: str, text: str) -> AddrAdd:
    """An ``AddrAdd`` from text: ``address("web", "eth0", "10.244.1.2/24")``."""
    return AddrAdd(netns, dev, ip_interface(text))


def commands(ops: Iterable[Op], netns: str | None = None) -> str:
    """The ops as the commands one would type, a line each; with ``netns``, only those that touch that namespace."""
    chosen = (op for op in ops if netns is None or op.netns == netns or netns in (getattr(op, "peer", None) or ())[:1])
    return "\n".join(op.command() for op in chosen)
