"""What the helper read from the kernel, as the values of ``k8snetlib.linux``: pure functions from plain data."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from types import MappingProxyType

from ..errors import ModelError
from ..linux.events import Capture
from ..linux.packet import PROTO_NAMES, Flow, Frame, IPAddress
from ..linux.state import Conntrack, FdbEntry, Interface, IpipConfig, Neighbor, NetNS, PolicyRule, Route, Socket, VxlanConfig
from ..linux.wire import from_bytes
from ..value import replace, value
from .canonical import UNKNOWN_JOURNEY
from .lower import PROTOS, SCOPES, TABLES, TYPES

# Devices that some tunnel modules add to every new namespace, down and without address (net.core.fb_tunnels_only_for_init_net): told of
# only where somebody has put them to use
FALLBACK_DEVICES = frozenset({"tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"})
NEIGH_STATES = MappingProxyType(
    {0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY", 0x10: "PROBE", 0x20: "FAILED", 0x40: "NOARP", 0x80: "PERMANENT"}
)
# include/uapi/linux/netfilter/nf_conntrack_tcp.h
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip
# include/uapi/linux/netfilter/nf_conntrack_common.h
IPS_SEEN_REPLY, IPS_ASSURED, IPS_SRC_NAT, IPS_DST_NAT = 1 << 1, 1 << 2, 1 << 4, 1 << 5
_NAMES = {"tables": {v: k for k, v in TABLES.items()}, "protos": {v: k for k, v in PROTOS.items()}}
_SCOPES, _TYPES = {v: k for k, v in SCOPES.items()}, {v: k for k, v in TYPES.items()}


@value
class Unparsed:
    """A captured frame that ``wire.from_bytes`` cannot read: its bytes, and why not."""

    data: bytes
    reason: str

    def __str__(self) -> str:
        return f"{len(self.data)} bytes not understood ({self.reason})"


def netns(name: str, raw: Mapping, sockets: Iterable[Socket] = (), connections: Iterable[Conntrack] = ()) -> NetNS:
    """A namespace as the kernel has it. Left out: the local table, multicast, and what else the kernel keeps for itself."""
    by_index = {link["index"]: link["name"] for link in raw["links"]}
    used = {link["name"] for link in raw["links"] if link["up"]} | {dev for dev, *_ in raw["addresses"]}
    links = [link for link in raw["links"] if link["name"] not in FALLBACK_DEVICES - used]
    interfaces = {link["name"]: _interface(link, by_index, raw["addresses"]) for link in links}
    neighbors = [entry for entry in map(_neighbor, raw["neighbors"]) if entry is not None]
    fdb = [entry for entry in map(_fdb, raw["fdb"]) if entry is not None]
    return NetNS(
        name,
        interfaces=MappingProxyType(interfaces),
        routes=tuple(_route(entry) for entry in raw["routes"] if _is_configured(entry)),
        rules=tuple(_rule(entry) for entry in raw["rules"] if entry["priority"] not in (0, 32766, 32767)),
        neighbors=MappingProxyType({(entry.dev, entry.ip): entry for entry in neighbors}),
        fdb=MappingProxyType({(entry.master or entry.dev, entry.mac): entry for entry in fdb}),
        conntrack=tuple(connections),
        sysctls=MappingProxyType({key: int(value) for key, value in raw["sysctls"].items() if value.lstrip("-").isdigit()}),
        sockets=tuple(sockets),
        proxied=frozenset((dev, ip_address(ip)) for dev, ip in raw["proxied"]),
    )


def _interface(link: Mapping, by_index: Mapping[int, str], addresses: Iterable[tuple[str, str, int]]) -> Interface:
    vxlan = None
    if link["kind"] == "vxlan":
        v = link["vxlan"]
        vxlan = VxlanConfig(v["vni"], ip_address(v["local"]), by_index[v["link"]], v["port"], v["learning"])
    ipip, mac = None, link["mac"]
    if link["kind"] == "ipip":
        ends = (ip_address(end) for end in link["ipip"])
        ipip = IpipConfig(*(None if end.is_unspecified else end for end in ends))
        mac = link["ipip"][0]  # four bytes, of which a reader of MAC addresses makes six
    own = tuple(ip_interface(f"{address}/{prefix}") for dev, address, prefix in addresses if dev == link["name"])
    return Interface(
        link["name"], link["kind"], mac, link["mtu"], link["up"], own, link["peer"], by_index.get(link["master"]),
        hairpin=link["hairpin"], isolated=link["isolated"], learning=link["learning"], vxlan=vxlan, ipip=ipip, index=link["index"],
        proxy_arp=link["proxy_arp"],
    )  # fmt: skip


def _is_configured(entry: Mapping) -> bool:
    """Routes that an administrator or the kernel's connected-route code made; not the local table, multicast or anycast."""
    multicast = entry["family"] == socket.AF_INET6 and (entry["dst"] or "").startswith("ff00:")
    return entry["table"] != TABLES["local"] and entry["type"] in _TYPES and not multicast


def _route(entry: Mapping) -> Route:
    zero = "0.0.0.0" if entry["family"] == socket.AF_INET else "::"
    table, proto = entry["table"], entry["proto"]
    return Route(
        ip_network(f"{entry['dst'] or zero}/{entry['prefix']}"),
        dev=entry["dev"],
        via=_address(entry["via"]),
        src=_address(entry["src"]),
        scope=_SCOPES.get(entry["scope"], str(entry["scope"])),
        proto=_NAMES["protos"].get(proto, str(proto)),
        metric=entry["metric"],
        onlink=bool(entry["flags"] & 4),
        type=_TYPES[entry["type"]],
        table=_NAMES["tables"].get(table, str(table)),
        mtu=entry["mtu"],
    )


def _address(text: str | None) -> IPAddress | None:
    return ip_address(text) if text else None


def _rule(entry: Mapping) -> PolicyRule:
    src, dst = (ip_network(f"{entry[key]}/{entry[f'{key}_len']}") if entry[key] else None for key in ("src", "dst"))
    table = entry["table"]
    fwmask = entry["fwmask"] if entry["fwmark"] is not None and entry["fwmask"] is not None else 0xFFFFFFFF
    version = 4 if entry["family"] == socket.AF_INET else 6
    name = _NAMES["tables"].get(table, str(table))
    return PolicyRule(entry["priority"], name, src, dst, entry["fwmark"], fwmask, entry["iif"], version)


def _neighbor(entry: Mapping) -> Neighbor | None:
    """A neighbour with an address; None for the entries that need none (NOARP: multicast, loopback) or have none yet."""
    state = NEIGH_STATES.get(entry["state"], "")
    if not entry["mac"] or state in ("NOARP", "INCOMPLETE", "FAILED", ""):
        return None
    return Neighbor(entry["dev"], ip_address(entry["ip"]), entry["mac"], state)


def _fdb(entry: Mapping) -> FdbEntry | None:
    """A bridge's or tunnel's entry; None for multicast filters and the ports' own addresses, which no op makes."""
    if entry["flags"] & 0x02:  # NTF_SELF: the device's own list
        return FdbEntry(entry["dev"], entry["mac"], ip_address(entry["dst"]), None, _fdb_state(entry["state"])) if entry["dst"] else None
    if entry["vlan"] is not None or not entry["master"] or entry["state"] & 0x80:
        return None
    return FdbEntry(entry["dev"], entry["mac"], None, entry["master"], _fdb_state(entry["state"]))


def _fdb_state(state: int) -> str:
    return "permanent" if state & 0x80 else "static" if state & 0x40 else "dynamic"


def conntrack(raw: Mapping) -> Conntrack:
    """A connection-tracking entry as ctnetlink tells it."""
    status, original = raw["status"], _flow(raw["original"])
    return Conntrack(
        original,
        _flow(raw["reply"]),
        state=TCP_STATES[raw["tcp"]] if raw["tcp"] is not None else "",
        seen_reply=bool(status & IPS_SEEN_REPLY),
        assured=bool(status & IPS_ASSURED),
        mark=raw["mark"],
        nat=tuple(which for which, bit in (("dst", IPS_DST_NAT), ("src", IPS_SRC_NAT)) if status & bit),
    )


def _flow(half: Mapping) -> Flow:
    sport = half["sport"] if half["sport"] is not None else half["id"] or 0
    dport = half["dport"] if half["dport"] is not None else half["id"] or 0
    return Flow(PROTO_NAMES.get(half["proto"], str(half["proto"])), ip_address(half["src"]), sport, ip_address(half["dst"]), dport)


def capture(netns_name: str, dev: str, direction: str, data: bytes, bare: bool = False) -> Capture:
    """A captured frame, read where it can be; otherwise ``Unparsed``. ``bare``: it has no Ethernet header."""
    try:
        frame: Frame | Unparsed = from_bytes(data, bare)
    except ModelError as error:
        frame = Unparsed(data, str(error))
    return Capture(netns_name, dev, direction, frame, UNKNOWN_JOURNEY)


def sockets(files: Mapping[str, str], known: Iterable[Socket] = ()) -> tuple[Socket, ...]:
    """Bound sockets from /proc/net/{tcp,udp,tcp6,udp6}; an IPv6 wildcard serves both families. ``known`` tells whose they are."""
    names = {(s.proto, s.port, s.address): s for s in known}
    found = []
    for file, text in files.items():
        proto, listening = (file[:3], "0A" if file.startswith("tcp") else "07")
        for line in text.splitlines()[1:]:
            fields = line.split()
            if fields[3] == listening:
                host, port = fields[1].split(":")
                address = _proc_address(host)
                one = Socket(proto, int(port, 16), None if address.is_unspecified and address.version == 6 else address)
                known_one = names.get((one.proto, one.port, one.address))
                found.append(replace(one, process=known_one.process) if known_one else one)
    return tuple(found)


def _proc_address(text: str) -> IPAddress:
    """An address of /proc/net: 32-bit words in the machine's byte order."""
    words = [int(text[at : at + 8], 16).to_bytes(4, _byte_order()) for at in range(0, len(text), 8)]
    data = b"".join(words)
    return IPv4Address(data) if len(data) == 4 else IPv6Address(data)


def _byte_order() -> str:
    import sys

    return sys.byteorder
