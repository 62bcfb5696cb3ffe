"""Ops to the helper's requests: a pure function, one small entry per class of op.

This is the third interpreter's only knowledge of ops. What an op means is in its own module; here is what to ask of the kernel for it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from types import MappingProxyType

from ..errors import LabError
from ..linux import ops as o
from ..linux.packet import PROTO_NUMBERS
from ..linux.state import Route
from .parts import iptables_parts, nft_parts, nft_table_parts

Request = tuple[str, dict]

TEXT = {
    "unknown": "the lab has no way to carry out {op}",
    "conntrack": "the kernel makes connection-tracking entries from packets; send the packet in the lab instead of adding the entry",
    "pmtu": "the lab cannot put a path MTU in place: the kernel takes it from ICMP messages alone",
    "recent": "the kernel fills the lists of the recent match from packets; send the packet in the lab instead",
    "table": "a routing table is main, local, default or a number in the lab, not {table!r}",
    "proto": "a route's protocol is one of {known} or a number in the lab, not {proto!r}",
}
TABLES = MappingProxyType({"main": 254, "local": 255, "default": 253})
# /etc/iproute2/rt_protos of iproute2
PROTOS = MappingProxyType({"redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "zebra": 11, "bird": 12, "dhcp": 16, "bgp": 186})
SCOPES = MappingProxyType({"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255})
TYPES = MappingProxyType({"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9})

# Written for every namespace that NetnsAdd makes, so that kernel and model start from the same point.
BASELINE = MappingProxyType(
    {
        # No source check: some distributions switch it on (2 on systemd's), Kubernetes nodes leave it off.
        "net.ipv4.conf.all.rp_filter": "0",
        "net.ipv4.conf.default.rp_filter": "0",
        # A new namespace inherits these from the machine's own (net.core.devconf_inherit_init_net = 0): back to the kernel's defaults.
        "net.ipv4.ip_forward": "0",
        "net.ipv4.conf.all.promote_secondaries": "0",
        "net.ipv4.conf.default.promote_secondaries": "0",
        "net.ipv4.conf.all.arp_ignore": "0",
        "net.ipv4.conf.default.arp_ignore": "0",
        "net.ipv4.conf.all.arp_announce": "0",
        "net.ipv4.conf.default.arp_announce": "0",
        "net.ipv4.conf.all.arp_filter": "0",
        "net.ipv4.conf.default.arp_filter": "0",
        "net.ipv4.conf.all.proxy_arp": "0",
        "net.ipv4.conf.default.proxy_arp": "0",
        "net.ipv4.conf.all.route_localnet": "0",
        "net.ipv4.conf.default.route_localnet": "0",
        "net.ipv4.conf.all.accept_local": "0",
        "net.ipv4.conf.default.accept_local": "0",
        "net.ipv4.conf.all.accept_redirects": "1",
        "net.ipv4.conf.default.accept_redirects": "1",
        "net.ipv4.conf.all.send_redirects": "1",
        "net.ipv4.conf.default.send_redirects": "1",
        "net.ipv6.conf.all.forwarding": "0",
        "net.ipv6.conf.default.forwarding": "0",
        "net.ipv6.conf.all.proxy_ndp": "0",
        "net.ipv6.conf.default.proxy_ndp": "0",
        # IPv6 addresses are usable at once (no duplicate detection), and formed from the MAC address as the model forms them.
        "net.ipv6.conf.all.accept_dad": "0",
        "net.ipv6.conf.default.accept_dad": "0",
        "net.ipv6.conf.default.dad_transmits": "0",
        "net.ipv6.conf.default.addr_gen_mode": "0",
        "net.ipv6.conf.default.use_tempaddr": "0",
        "net.ipv6.conf.all.disable_ipv6": "0",
        "net.ipv6.conf.default.disable_ipv6": "0",
        # No router asks or answers by itself: addresses and routes are those of the ops.
        "net.ipv6.conf.all.accept_ra": "0",
        "net.ipv6.conf.default.accept_ra": "0",
        "net.ipv6.conf.default.autoconf": "0",
        "net.ipv6.conf.all.router_solicitations": "0",
        "net.ipv6.conf.default.router_solicitations": "0",
        # Group memberships are reported once (robustness variable 1, RFC 3810 section 9.1, RFC 3376 section 8.1), not again after seconds.
        "net.ipv6.mld_qrv": "1",
        "net.ipv4.igmp_qrv": "1",
        "net.ipv6.conf.default.mldv1_unsolicited_report_interval": "3600000",
        "net.ipv6.conf.default.mldv2_unsolicited_report_interval": "3600000",
        # ICMP errors are answered every time, not once a second: each probe is an experiment of its own.
        # (The masks, not a ratelimit of 0, which would also use up the tokens that "network unreachable" and redirects are counted by:
        # ip_error, inet_peer_xrlim_allow. IPv6's cannot be empty; "packet too big" is never limited.)
        "net.ipv4.icmp_ratemask": "0",
        "net.ipv6.icmp.ratemask": "2",
        "net.ipv4.icmp_msgs_per_sec": "100000",
        "net.ipv4.icmp_msgs_burst": "100000",
    }
)


def lower(ops: Iterable[o.Op]) -> list[tuple[o.Op, Request]]:
    """Each op with what to ask for it, in order. LabError for an op that the lab cannot carry out."""
    return [(op, _lower(op)) for op in ops]


def _lower(op: o.Op) -> Request:
    entry = LOWER.get(type(op)) or LOWER_IPVS.get(type(op).__name__)
    if entry is None:
        raise LabError(TEXT["unknown"].format(op=type(op).__name__))
    return entry(op)


def _netns_add(op: o.NetnsAdd) -> Request:
    return "netns_add", {"netns": op.netns, "sysctls": dict(BASELINE)}


def _link_add(op: o.LinkAdd) -> Request:
    peer = {"netns": op.peer[0], "name": op.peer[1], "mac": op.peer_address} if op.peer else None
    options = {}
    if op.vxlan:
        v = op.vxlan
        local = "vxlan_local" if v.local.version == 4 else "vxlan_local6"
        options = {"vxlan_id": v.vni, local: str(v.local), "vxlan_link": v.dev, "vxlan_port": v.port, "vxlan_learning": int(v.learning)}
    if op.ipip:
        ends = {"ipip_local": op.ipip.local, "ipip_remote": op.ipip.remote}
        options = {"ipip_pmtudisc": 0} | {key: str(end) for key, end in ends.items() if end}
    wanted = {
        "netns": op.netns,
        "name": op.name,
        "kind": op.kind,
        "mac": None if op.ipip else op.address,
        "mtu": op.mtu,
        "peer": peer,
        "options": options,
    }
    return "link_add", wanted


def _link_set(op: o.LinkSet) -> Request:
    link: dict = {} if op.mtu is None else {"mtu": op.mtu}
    if op.master is not None:
        link["master"] = op.master or 0
    if op.up is not None:
        link["state"] = "up" if op.up else "down"
    flags = (("mode", op.hairpin), ("learning", op.learning), ("isolated", op.isolated), ("proxyarp", op.proxy_arp))  # IFLA_BRPORT_…
    port = {key: int(value) for key, value in flags if value is not None}
    return "link_set", {"netns": op.netns, "name": op.name, "link": link, "port": port}


def _address(verb: str) -> Callable[[o.AddrAdd | o.AddrDel], Request]:
    def lowered(op: o.AddrAdd | o.AddrDel) -> Request:
        a = op.address
        wanted = {"netns": op.netns, "dev": op.dev, "address": str(a.ip), "prefix": a.network.prefixlen, "version": a.version}
        return verb, wanted

    return lowered


def table_number(table: str) -> int:
    """The number of a routing table. LabError for a name that only a file of this machine could give a number to."""
    if table in TABLES:
        return TABLES[table]
    if table.isdigit():
        return int(table)
    raise LabError(TEXT["table"].format(table=table))


def proto_number(proto: str) -> int:
    """The number of the routing protocol that wrote a route."""
    if proto in PROTOS:
        return PROTOS[proto]
    if proto.isdigit():
        return int(proto)
    raise LabError(TEXT["proto"].format(proto=proto, known=", ".join(PROTOS)))


def _scope(route: Route) -> int:
    """As ``ip route add`` settles it where nothing is said: link without a gateway, host for a local route, none in IPv6."""
    if route.dst.version == 6:
        return SCOPES["global"]
    if route.scope == "global" and route.type == "local":
        return SCOPES["host"]
    if route.scope == "global" and route.type == "unicast" and route.via is None:
        return SCOPES["link"]
    return SCOPES[route.scope]


def _where(route: Route) -> dict:
    wanted = {"version": route.dst.version, "dst": str(route.dst), "dev": route.dev, "table": table_number(route.table)}
    return {**wanted, "type": TYPES[route.type], **({"gateway": str(route.via)} if route.via else {})}


def _route_add(op: o.RouteAdd) -> Request:
    r = op.route
    wanted = {"netns": op.netns, **_where(r), "scope": _scope(r), "proto": proto_number(r.proto), "onlink": r.onlink}
    wanted |= {"prefsrc": str(r.src)} if r.src else {}
    wanted |= {"priority": r.metric} if r.metric else {}
    wanted |= {"metrics": {"mtu": r.mtu}} if r.mtu else {}
    return "route_add", wanted


def _route_del(op: o.RouteDel) -> Request:
    return "route_del", {"netns": op.netns, **_where(op.route), **({"priority": op.route.metric} if op.route.metric else {})}


def _rule_add(op: o.RuleAdd) -> Request:
    r = op.rule
    wanted: dict = {"netns": op.netns, "version": r.version, "priority": r.priority, "table": table_number(r.table)}
    for key, network in (("src", r.src), ("dst", r.dst)):
        if network is not None:
            network = ip_network(network)
            wanted |= {key: str(network.network_address), f"{key}_len": network.prefixlen}
    wanted |= {"fwmark": r.fwmark, "fwmask": r.fwmask} if r.fwmark is not None else {}
    return "rule_add", wanted | ({"iifname": r.iif} if r.iif else {})


def _neigh_add(op: o.NeighAdd) -> Request:
    n = op.neighbor
    return "neigh_add", {"netns": op.netns, "dev": n.dev, "ip": str(n.ip), "mac": n.mac, "state": n.state.lower()}


def _proxy_neigh_add(op: o.ProxyNeighAdd) -> Request:
    return "proxy_add", {"netns": op.netns, "dev": op.dev, "ip": str(op.ip), "version": op.ip.version}


def _neigh_del(op: o.NeighDel) -> Request:
    return "neigh_del", {"netns": op.netns, "dev": op.dev, "ip": str(op.ip)}


def _fdb(verb: str) -> Callable[[o.FdbAdd | o.FdbDel], Request]:
    def lowered(op: o.FdbAdd | o.FdbDel) -> Request:
        e = op.entry
        wanted = {"netns": op.netns, "dev": e.dev, "mac": e.mac, "dst": str(e.dst) if e.dst else None}
        return verb, wanted | ({"state": e.state} if verb == "fdb_add" else {})

    return lowered


def _rules_restore(op: o.RulesRestore) -> Request:
    first, *others = iptables_parts(str(op.text))
    argv = op.argv()
    again = argv if "--noflush" in argv else [*argv, "--noflush"]
    runs = [(argv, first.encode()), *((again, part.encode()) for part in others)]
    return "load_parts", {"netns": op.netns, "runs": runs, "timeout": 60.0}


def _script(netns: str, text: str) -> Request:
    return "load", {"netns": netns, "argv": ["sh"], "stdin": text.encode(), "timeout": 20.0}


def _stdin(netns: str, argv: list[str], text: str) -> dict:
    return {"netns": netns, "argv": argv, "stdin": text.rstrip().encode() + b"\n", "timeout": 60.0}


def _recent_set(op: o.RecentSet) -> Request:
    raise LabError(TEXT["recent"])


def _nft(netns: str, parts: list[str]) -> Request:
    return "load_parts", {"netns": netns, "runs": [(["nft", "-f", "-"], part.encode()) for part in parts], "timeout": 60.0}


def _nft_element_add(op: o.NftElementAdd) -> Request:
    """The time begins in the kernel when the element comes there."""
    return _nft(op.netns, [f"add element {op.family} {op.table} {op.set} {{ {op.element} }}\n"])


def _listen(op: o.Listen) -> Request:
    s = op.socket
    return "listen", {"netns": op.netns, "proto": s.proto, "port": s.port, "address": str(s.address) if s.address else None, "answer": True}


def _conntrack_add(op: o.ConntrackAdd) -> Request:
    raise LabError(TEXT["conntrack"])


def _pmtu_add(op: o.PmtuAdd) -> Request:
    raise LabError(TEXT["pmtu"])


def _conntrack_del(op: o.ConntrackDel) -> Request:
    f = op.original
    proto = PROTO_NUMBERS.get(f.proto) or int(f.proto)
    ends = {"src": str(f.src), "dst": str(f.dst), "sport": f.sport, "dport": f.dport}
    return "conntrack_del", {"netns": op.netns, "version": f.src.version, "proto": proto, **ends}


LOWER: MappingProxyType[type, Callable[..., Request]] = MappingProxyType(
    {
        o.NetnsAdd: _netns_add,
        o.LinkAdd: _link_add,
        o.LinkSet: _link_set,
        o.LinkDel: lambda op: ("link_del", {"netns": op.netns, "name": op.name}),
        o.AddrAdd: _address("addr_add"),
        o.AddrDel: _address("addr_del"),
        o.RouteAdd: _route_add,
        o.RouteDel: _route_del,
        o.RuleAdd: _rule_add,
        o.NeighAdd: _neigh_add,
        o.NeighDel: _neigh_del,
        o.ProxyNeighAdd: _proxy_neigh_add,
        o.FdbAdd: _fdb("fdb_add"),
        o.FdbDel: _fdb("fdb_del"),
        o.SysctlSet: lambda op: ("sysctl_set", {"netns": op.netns, "key": op.key, "value": str(op.value)}),
        o.RulesRestore: _rules_restore,
        o.ChainAdd: lambda op: _script(op.netns, f"{shlex.join(op.argv())} 2>/dev/null || true\n"),
        o.RuleEnsure: lambda op: _script(op.netns, op.script() + "\n"),
        o.RecentSet: _recent_set,
        o.NftRestore: lambda op: _nft(op.netns, nft_parts(op.text)),
        o.NftReplace: lambda op: _nft(op.netns, nft_table_parts(op.table)),
        o.NftElementAdd: _nft_element_add,
        o.Listen: _listen,
        o.ConntrackAdd: _conntrack_add,
        o.ConntrackDel: _conntrack_del,
        o.PmtuAdd: _pmtu_add,
    }
)

# By name: the module of these ops is loaded only where there are such ops. What packets leave behind in IPVS has no entry.
LOWER_IPVS: MappingProxyType[str, Callable[..., Request]] = MappingProxyType(
    {
        "IpsetRestore": lambda op: ("load", _stdin(op.netns, ["ipset", "restore", "-exist"], op.text)),
        "IpvsRestore": lambda op: ("load", _stdin(op.netns, ["ipvsadm", "-R"], op.text())),
        "RealServerSet": lambda op: _script(op.netns, f"ipvsadm -e {op.words()} 2>/dev/null || ipvsadm -a {op.words()}\n"),
        "RealServerDel": lambda op: _script(op.netns, f"ipvsadm -d {op.words()}\n"),
    }
)
