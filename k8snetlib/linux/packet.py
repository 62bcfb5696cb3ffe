"""What is on the wire: Ethernet frames, IP packets and what they carry, as frozen values.

A header is a dataclass, nesting is nesting: ``Frame(…, Packet(…, Udp(…, Vxlan(…, Frame(…, Packet(…, Tcp(…)))))))`` is a
VXLAN packet as a capture shows it, and an IPIP packet is a ``Packet`` inside a ``Packet``. Lengths and checksums are not
fields: ``wire.to_bytes`` computes them, so that they cannot be wrong.

Sources: RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 826 (ARP), 4861 (neighbour discovery),
7348 (VXLAN), 2003 (IPIP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple, Union

from ..errors import ModelError
from ..value import replace, value
from .addresses import endpoint, ip_address

IPAddress = Union[IPv4Address, IPv6Address]
BROADCAST = "ff:ff:ff:ff:ff:ff"
LEAST_MTU6 = 1280  # bytes that every IPv6 link takes (RFC 8200 section 5)
ERROR_ROOM = 576  # bytes that an ICMP error has at most (RFC 1812 section 4.3.2.3)
EVERYBODY = 0xFFFFFFFF  # 255.255.255.255: all hosts of a link
ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
ETHERNET_HEADER, ARP_LENGTH, VXLAN_HEADER, UDP_HEADER, TCP_HEADER = 14, 28, 8, 8, 20
PROTO_NUMBERS = {"icmp": 1, "ipip": 4, "tcp": 6, "udp": 17, "ipv6": 41, "ipv6-icmp": 58, "sctp": 132}
PROTO_NAMES = {number: name for name, number in PROTO_NUMBERS.items()}


class Flow(NamedTuple):
    """The five-tuple of a connection; for ICMP echo both ports are the echo identifier, as conntrack sees it."""

    proto: str
    src: IPAddress
    sport: int
    dst: IPAddress
    dport: int

    def reverse(self) -> Flow:
        """The same connection seen from the other end."""
        return Flow(self.proto, self.dst, self.dport, self.src, self.sport)

    def __str__(self) -> str:
        return f"{self.proto} {endpoint(self.src, self.sport)} → {endpoint(self.dst, self.dport)}"


@value
class Tcp:
    """A TCP segment (RFC 9293); ``flags`` is a subset of ``FSRPAUEC`` in that order, as tcpdump writes them."""

    sport: int
    dport: int
    flags: str = "S"
    seq: int = 0
    ack: int = 0
    data: bytes = b""
    window: int = 64240

    proto = "tcp"

    def __len__(self) -> int:
        return TCP_HEADER + len(self.data)


@value
class Udp:
    """A UDP datagram (RFC 768); ``data`` is bytes, or a ``Vxlan`` when the datagram is a tunnel's."""

    sport: int
    dport: int
    data: bytes | Vxlan = b""

    proto = "udp"

    def __len__(self) -> int:
        return UDP_HEADER + len(self.data)


@value
class Sctp:
    """An SCTP packet (RFC 9260) with its chunks as bytes."""

    sport: int
    dport: int
    vtag: int = 0
    data: bytes = b""

    proto = "sctp"

    def __len__(self) -> int:
        return 12 + len(self.data)


@value
class Icmp:
    """An ICMP or ICMPv6 message; which of the two follows from the address family of the packet around it.

    ``id`` and ``seq`` are the two halves of the header's second word: an echo's identifier and sequence number, or,
    read together by ``mtu``, what a "fragmentation needed" or "packet too big" announces. An error quotes the packet
    that caused it in ``data`` as a ``Packet``; anything else is bytes. ``room`` is how many bytes an IPv4 error may have in all: 576, or
    what fits on its way.
    """

    type: int
    code: int = 0
    id: int = 0
    seq: int = 0
    data: bytes | Packet = b""
    version: int = 4
    room: int = ERROR_ROOM

    @property
    def proto(self) -> str:
        return "icmp" if self.version == 4 else "ipv6-icmp"

    @property
    def mtu(self) -> int:
        """The next hop's MTU in bytes, of a message that carries one."""
        return self.id << 16 | self.seq

    @property
    def is_error(self) -> bool:
        return self.type in (3, 4, 5, 11, 12) if self.version == 4 else self.type < 128

    @property
    def is_echo(self) -> bool:
        return self.type in ((0, 8) if self.version == 4 else (128, 129))

    def __len__(self) -> int:
        # What Linux quotes has to fit with all headers into 576 bytes, or fewer on a narrower way (net/ipv4/icmp.c); in IPv6 into what every
        # link takes (net/ipv6/icmp.c).
        room = self.room - 20 - 8 if self.version == 4 else LEAST_MTU6 - 40 - 8
        return 8 + (min(len(self.data), room) if self.is_error else len(self.data))


@value
class Ndp:
    """Neighbour solicitation (type 135) or advertisement (136), RFC 4861, with its link-layer address option.

    ``flags`` is a subset of ``RSO`` (router, solicited, override) and only for advertisements.
    """

    type: int
    target: IPv6Address
    lladdr: str | None = None
    flags: str = ""

    proto = "ipv6-icmp"
    code = id = seq = 0
    is_error = is_echo = False

    def __len__(self) -> int:
        return 24 + (8 if self.lladdr else 0)


@value
class Redirect:
    """An ICMPv6 redirect (type 137, RFC 4861 section 4.5): for ``dst`` go to ``target``, which is ``dst`` itself where that is on the link.

    ``lladdr`` is the target's, where the router knows it. ``data`` is the packet that was sent the long way, cut so that the
    redirect has no more than 1280 bytes, and to a multiple of 8; bytes where it could not be read.
    """

    target: IPv6Address
    dst: IPv6Address
    lladdr: str | None = None
    data: bytes | Packet = b""

    proto = "ipv6-icmp"
    type = 137
    code = id = seq = 0
    is_error = is_echo = False

    @property
    def quoted(self) -> int:
        """Bytes of the packet that are quoted (ndisc_send_redirect)."""
        room = LEAST_MTU6 - 40 - 40 - (8 if self.lladdr else 0)
        return max((min(room, len(self.data) + 8) & ~7) - 8, 0)

    def __len__(self) -> int:
        return 40 + (8 if self.lladdr else 0) + (8 + self.quoted if self.data else 0)


@value
class Raw:
    """The payload of a protocol that the model does not look into; ``number`` is IANA's protocol number."""

    number: int
    data: bytes = b""

    @property
    def proto(self) -> str:
        return PROTO_NAMES.get(self.number, str(self.number))

    def __len__(self) -> int:
        return len(self.data)


@value
class Fragment:
    """A piece of an IP payload (RFC 791 section 3.2, RFC 8200 section 4.5): ``offset`` in bytes, ``more`` if not the last."""

    number: int
    offset: int
    more: bool
    data: bytes

    @property
    def proto(self) -> str:
        return PROTO_NAMES.get(self.number, str(self.number))

    def __len__(self) -> int:
        return len(self.data)


Payload = Union[Tcp, Udp, Sctp, Icmp, Ndp, Redirect, Raw, Fragment, "Packet"]


@value
class Packet:
    """An IP packet, version 4 or 6 by its addresses; ``ttl`` is IPv6's hop limit, ``tos`` its traffic class.

    ``len(packet)`` is its length in bytes, header included. ``df`` (don't fragment) has a meaning in IPv4 only.
    """

    src: IPAddress
    dst: IPAddress
    payload: Payload
    ttl: int = 64
    df: bool = True
    id: int = 0
    tos: int = 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if isinstance(self.src, IPv4Address) else 6

    @property
    def proto(self) -> str:
        """What it carries: tcp, udp, sctp, icmp, icmpv6, ipip, ipv6, or a number."""
        payload = self.payload
        return payload.proto if type(payload) is not Packet else ("ipip" if payload.version == 4 else "ipv6")

    @property
    def is_tunnel(self) -> bool:
        """Whether it carries another packet or a frame."""
        return type(self.payload) is Packet or (type(self.payload) is Udp and type(self.payload.data) is Vxlan)

    @property
    def header_length(self) -> int:
        """Bytes of the IP header; in IPv6 with the fragment header, if there is one."""
        if isinstance(self.src, IPv4Address):
            return 20
        return 48 if type(self.payload) is Fragment else 40

    @property
    def sport(self) -> int:
        """The source port; an ICMP echo's id; 0 where there is neither."""
        payload = self.payload
        return payload.sport if type(payload) in (Tcp, Udp, Sctp) else getattr(payload, "id", 0)

    @property
    def dport(self) -> int:
        """The destination port; an ICMP echo's id, as conntrack has it; 0 where there is neither."""
        payload = self.payload
        return payload.dport if type(payload) in (Tcp, Udp, Sctp) else getattr(payload, "id", 0)

    @property
    def flow(self) -> Flow:
        """The five-tuple: protocol, both addresses, both ports."""
        return Flow(self.proto, self.src, self.sport, self.dst, self.dport)

    def __len__(self) -> int:
        return self.header_length + len(self.payload)

    def __str__(self) -> str:
        return describe(self)


@value
class Arp:
    """An ARP message for IPv4 over Ethernet (RFC 826): ``op`` 1 asks who has ``target_ip``, 2 answers."""

    op: int
    sender_mac: str
    sender_ip: IPv4Address
    target_mac: str
    target_ip: IPv4Address

    def __len__(self) -> int:
        return ARP_LENGTH

    def __str__(self) -> str:
        return describe(self)


@value
class Frame:
    """An Ethernet frame; addresses are lower-case strings, the frame check sequence is left to the hardware.

    On a device without a link layer (an IPIP tunnel) packets go bare: both addresses are "", and there is no Ethernet header.
    """

    src: str
    dst: str
    payload: Packet | Arp

    @property
    def ethertype(self) -> int:
        """What it carries: 0x0800 IPv4, 0x86dd IPv6, 0x0806 ARP."""
        if type(self.payload) is Arp:
            return ETHERTYPE_ARP
        return ETHERTYPE_IPV4 if self.payload.version == 4 else ETHERTYPE_IPV6

    @property
    def is_multicast(self) -> bool:
        """True for broadcast too: the lowest bit of the first byte (IEEE 802)."""
        return not self.bare and self.dst[1] in "13579bdf"

    @property
    def bare(self) -> bool:
        """Whether there is no Ethernet header."""
        return not self.dst

    def __len__(self) -> int:
        return len(self.payload) if self.bare else ETHERNET_HEADER + len(self.payload)

    def __str__(self) -> str:
        return describe(self)


@value
class Vxlan:
    """A VXLAN header (RFC 7348) and the Ethernet frame it carries; ``vni`` is the 24-bit network identifier."""

    vni: int
    frame: Frame

    def __len__(self) -> int:
        return VXLAN_HEADER + len(self.frame)


class Skb:
    """A packet as the kernel carries it (``struct sk_buff``): the packet plus what is known about it but not on the wire.

    Mutable, because hooks change it in place; it lives inside one trace and is never shared.
    """

    __slots__ = (
        "ct",
        "ctdir",
        "ctstate",
        "frag_max",
        "frame",
        "iif",
        "ipvs",
        "journey",
        "mark",
        "muted",
        "nexthop",
        "oif",
        "packet",
        "physin",
        "physout",
        "pieces",
        "prerouted",
        "reroute",
        "routed",
        "then",
    )

    def __init__(self, packet: Packet, iif: str = "", oif: str = "", mark: int = 0, journey: int = 0) -> None:
        self.packet, self.iif, self.oif, self.mark, self.journey = packet, iif, oif, mark, journey
        self.nexthop: IPAddress | None = None
        self.muted = False  # the kernel is saying something by ICMP with it, and can say no more meanwhile
        self.physin = self.physout = ""  # bridge ports, when br_netfilter is at work
        self.ct = None
        self.ctstate = ""  # NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, or "" before conntrack has looked
        self.ctdir = "original"
        self.frame: Frame | None = None  # the Ethernet header it came with, or with which it crosses a bridge
        self.frag_max = 0  # bytes of the longest fragment, if it came in fragments and that is still known
        self.pieces: tuple[int, ...] = ()  # bytes of data in each of these fragments
        self.ipvs = False  # IPVS has handled it
        self.prerouted = False  # br_netfilter has already taken it through PREROUTING
        self.routed = False  # and chosen its route, since the address that it is for is a new one (IPv6)
        self.reroute = True  # whether a new mark asks for a new route (nftables: only from a chain of type route)
        self.then: Callable[[str], None] | None = None  # what to do with the next hop's MAC address, if not just to send


def is_loopback(address: IPAddress) -> bool:
    """127.0.0.0/8 or ::1; as ``ipaddress`` has it, without making a network for each question."""
    return int(address) >> 24 == 127 if address.version == 4 else int(address) == 1


def is_link_local(address: IPAddress) -> bool:
    """169.254.0.0/16 or fe80::/10."""
    return int(address) >> 16 == 0xA9FE if address.version == 4 else int(address) >> 118 == 0x3FA


def is_multicast(address: IPAddress) -> bool:
    """224.0.0.0/4 or ff00::/8."""
    return int(address) >> 28 == 14 if address.version == 4 else int(address) >> 120 == 255


def with_ports(packet: Packet, *, src=None, dst=None, sport: int | None = None, dport: int | None = None) -> Packet:
    """The packet with some of its flow rewritten, as NAT does it; what is None stays."""
    payload = packet.payload
    changes = {}
    if type(payload) in (Tcp, Udp, Sctp):
        if sport is not None and sport != payload.sport:
            changes["sport"] = sport
        if dport is not None and dport != payload.dport:
            changes["dport"] = dport
    elif type(payload) is Icmp and payload.is_echo:
        new_id = sport if sport is not None else dport
        if new_id is not None and new_id != payload.id:
            changes["id"] = new_id
    if changes:
        payload = replace(payload, **changes)
    return replace(packet, src=src or packet.src, dst=dst or packet.dst, payload=payload)


MOST_DATA = 65507  # bytes in a UDP datagram of IPv4: 65,535 less both headers


def _ends(
    src: str | IPAddress, dst: str | IPAddress, one: int, other: int, data: bytes, fields: Mapping[str, Any]
) -> tuple[IPAddress, IPAddress]:
    """Both addresses. ModelError where there can be no such packet: the two numbers have 16 bits, the TTL 8."""
    try:
        src, dst = ip_address(src), ip_address(dst)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if type(one) is not int or type(other) is not int or not 0 <= one < 65536 or not 0 <= other < 65536 or "ttl" in fields:
        for number, most in ((one, 65535), (other, 65535), (fields.get("ttl", 64), 255)):
            if not isinstance(number, int) or not 0 <= number <= most:
                what = "a TTL" if most == 255 else "a port (or an echo's id or seq)"
                raise ModelError(f"{what} is a whole number from 0 to {most}, not {number!r}")
    if src.version != dst.version:
        raise ModelError(f"a packet has two IPv4 or two IPv6 addresses, not {src} and {dst}")
    if not isinstance(data, bytes):
        raise ModelError(f'data is bytes, as b"hello", not {type(data).__name__}')
    if len(data) > MOST_DATA:
        raise ModelError(f"an IP packet has at most 65,535 bytes: {len(data)} bytes of data do not fit")
    return src, dst


def tcp(src: str | IPAddress, dst: str | IPAddress, dport: int, sport: int = 40000, flags: str = "S", **fields) -> Packet:
    """The usual first packet of a connection: ``tcp("10.244.1.2", "10.244.2.2", 8080)``, a SYN unless ``flags`` says otherwise.

    ``fields`` are those of a packet (``ttl``, ``tos``, ``df``), and ``data`` in bytes. ModelError for what no packet can have.
    """
    data = fields.pop("data", b"")
    src, dst = _ends(src, dst, sport, dport, data, fields)
    return Packet(src, dst, Tcp(sport, dport, flags, data=data), **fields)


def udp(src: str | IPAddress, dst: str | IPAddress, dport: int, sport: int = 40000, data: bytes = b"", **fields) -> Packet:
    """A UDP datagram in its packet: ``udp("10.244.1.2", "10.96.0.10", 53, data=b"hello")``. ModelError as for ``tcp``."""
    src, dst = _ends(src, dst, sport, dport, data, fields)
    return Packet(src, dst, Udp(sport, dport, data), **fields)


def ping(src: str | IPAddress, dst: str | IPAddress, id: int = 1, seq: int = 1, data: bytes = b"", **fields) -> Packet:
    """An ICMP echo request of the family of ``dst``: ``ping("10.244.1.2", "10.244.2.2")``. ModelError as for ``tcp``."""
    src, dst = _ends(src, dst, id, seq, data, fields)
    return Packet(src, dst, Icmp(8 if dst.version == 4 else 128, 0, id, seq, data, dst.version), **fields)


_ICMP_NAMES = {
    4: {(0, 0): "echo reply", (8, 0): "echo request", (3, 0): "network unreachable", (3, 1): "host unreachable",
        (3, 3): "port unreachable", (3, 4): "fragmentation needed", (3, 10): "host prohibited", (3, 13): "administratively prohibited",
        (5, 1): "redirect", (11, 0): "time exceeded"},
    6: {(128, 0): "echo request", (129, 0): "echo reply", (1, 0): "no route", (1, 1): "administratively prohibited",
        (1, 3): "address unreachable", (1, 4): "port unreachable", (2, 0): "packet too big", (3, 0): "time exceeded"},
}  # fmt: skip


def icmp_name(message: Icmp) -> str:
    """The message in words, e.g. ``fragmentation needed (MTU 1450)``."""
    name = _ICMP_NAMES[message.version].get((message.type, message.code), f"type {message.type} code {message.code}")
    has_mtu = (message.version, message.type) in ((4, 3), (6, 2)) and name in ("fragmentation needed", "packet too big")
    return f"{name} (MTU {message.mtu})" if has_mtu else name


def describe(item) -> str:
    """One line about a frame, packet or payload, in the style of tcpdump, outermost header first."""
    kind = type(item)
    if kind is Frame:
        return describe(item.payload) if item.bare else f"{item.src} > {item.dst}, {describe(item.payload)}"
    if kind is Arp:
        if item.op == 1:
            return f"ARP who-has {item.target_ip} tell {item.sender_ip}"
        return f"ARP {item.sender_ip} is-at {item.sender_mac}"
    if kind is Packet:
        payload, name = item.payload, "IP" if item.version == 4 else "IP6"
        if type(payload) in (Tcp, Udp, Sctp):
            return f"{name} {endpoint(item.src, payload.sport)} > {endpoint(item.dst, payload.dport)}: {_describe_payload(payload)}"
        return f"{name} {item.src} > {item.dst}: {_describe_payload(payload)}"
    return _describe_payload(item)


def _describe_payload(payload) -> str:
    kind = type(payload)
    if kind is Tcp:
        return f"TCP [{payload.flags.replace('A', '.')}] length {len(payload.data)}"
    if kind is Udp and type(payload.data) is Vxlan:
        return f"VXLAN vni {payload.data.vni}: {describe(payload.data.frame)}"
    if kind is Ndp:
        return f"ND who-has {payload.target}" if payload.type == 135 else f"ND {payload.target} is-at {payload.lladdr}"
    if kind is Redirect:
        return f"ICMP6 redirect {payload.dst} to {payload.target}"
    if kind is Icmp:
        return f"{'ICMP' if payload.version == 4 else 'ICMP6'} {icmp_name(payload)}"
    if kind is Fragment:
        return f"fragment of {payload.proto}, bytes {payload.offset}–{payload.offset + len(payload.data)}{'+' if payload.more else ''}"
    if kind is Packet:
        return f"IPIP {describe(payload)}" if payload.version == 4 else describe(payload)
    return f"{payload.proto.upper()} length {len(payload) - (UDP_HEADER if kind is Udp else 0)}"
