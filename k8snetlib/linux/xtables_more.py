"""Further matches of iptables rules: ICMP types, ``socket``, ``nfacct``; those that are kept as text; and the table of them all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import ClassVar

from ..errors import UnsupportedError
from ..value import value
from .fragments import with_transport
from .packet import Fragment, Icmp, IPAddress, Ndp, Packet, Redirect, Skb, Tcp, Udp
from .recent import Recent
from .xtables import AddrType, Comment, CtState, Mark, Multiport, Option, Physdev, Ports, Statistic, Test, bang

_ICMP_TYPES = {
    4: {"echo-reply": (0, None), "destination-unreachable": (3, None), "fragmentation-needed": (3, 4), "echo-request": (8, None), "time-exceeded": (11, None)},
    6: {"destination-unreachable": (1, None), "packet-too-big": (2, None), "echo-request": (128, None), "echo-reply": (129, None),
        "neighbour-solicitation": (135, None), "neighbour-advertisement": (136, None)},
}  # fmt: skip


@value
class IcmpMatch:
    """``-m icmp`` or ``-m icmp6``: a type, and a code where one is given."""

    type: int
    code: int | None = None
    negated: bool = False
    version: int = 4

    options: ClassVar = {"--icmp-type": 1, "--icmpv6-type": 1}

    @property
    def name(self) -> str:
        return "icmp" if self.version == 4 else "icmp6"

    @classmethod
    def read(cls, options: list[Option], version: int) -> IcmpMatch:
        _, negated, (text,) = options[0]
        if text in _ICMP_TYPES[version]:
            return cls(*_ICMP_TYPES[version][text], negated, version)
        kind, _, code = text.partition("/")
        if not kind.isdigit():
            raise UnsupportedError(f"the ICMP type {text!r} is not modelled by name: give its number")
        return cls(int(kind), int(code) if code else None, negated, version)

    def words(self) -> str:
        code = "" if self.code is None else f"/{self.code}"
        return f"-m {self.name} {bang(self.negated)}--icmp{'v6' if self.version == 6 else ''}-type {self.type}{code}"

    def compile(self) -> Test | None:
        def test(skb: Skb, env: object) -> bool:
            payload = with_transport(skb.packet).payload
            if type(payload) not in (Icmp, Ndp, Redirect):
                return False
            return (payload.type == self.type and self.code in (None, payload.code)) is not self.negated

        return test


@value
class FragmentMatch:
    """``-f``: the second and further fragments of a packet."""

    negated: bool = False

    name = "fragment"

    def words(self) -> str:
        return f"{bang(self.negated)}-f"

    def compile(self) -> Test | None:
        def test(skb: Skb, env: object) -> bool:
            payload = skb.packet.payload
            return (type(payload) is Fragment and payload.offset > 0) is not self.negated

        return test


@value
class Nfacct:
    """``-m nfacct``: counts the packet under a name and is always true (xt_nfacct.c)."""

    counter: str

    name, options = "nfacct", {"--nfacct-name": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Nfacct:
        return cls(options[0][2][0])

    def words(self) -> str:
        return f"-m nfacct --nfacct-name {self.counter}"

    def compile(self) -> Test | None:
        return None


@value
class SocketMatch:
    """``-m socket``: a socket of this host takes the packet; one bound to all addresses counts with ``--nowildcard`` alone (xt_socket.c).

    No socket here is transparent (IP_TRANSPARENT), so ``--transparent`` is never true.
    """

    flags: tuple[str, ...] = ()

    name, options = "socket", {"--transparent": 0, "--nowildcard": 0}

    @classmethod
    def read(cls, options: list[Option], version: int) -> SocketMatch:
        return cls(tuple(option for option, _, _ in options))

    def words(self) -> str:
        return " ".join(["-m socket", *self.flags])

    def compile(self) -> Test | None:
        wildcard, transparent = "--nowildcard" in self.flags, "--transparent" in self.flags

        def test(skb: Skb, env) -> bool:
            end = None if transparent else _own_end(skb)
            socket = env.listening(*end) if end is not None else None
            return socket is not None and (wildcard or socket.address is not None)

        return test


def _own_end(skb: Skb) -> tuple[str, IPAddress, int] | None:
    """Protocol, address and port of the socket that a TCP or UDP packet, or an ICMP error about one, is for (nf_sk_lookup_slow_v4); in IPv4
    of an answer whose destination NAT has yet to undo, the address that the connection began from."""
    packet, payload = skb.packet, skb.packet.payload
    about = type(payload) is Icmp and payload.is_error
    meant = payload.data if about else packet
    if not isinstance(meant, Packet) or type(meant.payload) not in (Tcp, Udp):
        return None
    if packet.version == 4 and skb.ct is not None and skb.ctdir == "reply" and skb.ctstate == ("RELATED" if about else "ESTABLISHED"):
        return meant.proto, skb.ct.original.src, skb.ct.original.sport
    return (meant.proto, meant.src, meant.sport) if about else (meant.proto, meant.dst, meant.dport)


@value
class Verbatim:
    """A match or target that is kept and printed, but that the model cannot decide: a packet that reaches it raises UnsupportedError."""

    name: str
    text: str
    kind: str = "match"

    def words(self) -> str:
        return f"-{'m' if self.kind == 'match' else 'j'} {self.name}{' ' + self.text if self.text else ''}"

    def compile(self) -> Test | None:
        def test(skb: Skb, env: object) -> bool:
            raise UnsupportedError(f"the {self.kind} {self.name} is not modelled ({self.words()})")

        return test


# The other matches of iptables 1.8 (iptables-extensions(8)).
VERBATIM_MATCHES = frozenset((
    "ah", "bpf", "cgroup", "cluster", "connbytes", "connlabel", "connlimit", "connmark", "cpu", "dccp", "devgroup", "dscp", "dst", "ecn", 
    "esp", "eui64", "frag", "hashlimit", "hbh", "helper", "hl", "iprange", "ipv6header", "length", "limit", "mac", "mh", "osf", "owner",
    "pkttype", "policy", "quota", "rateest", "realm", "rpfilter", "rt", "string", "tcpmss", "time", "tos", "ttl", "u32",
))  # fmt: skip
# Options of the matches below that are real and that the model does not decide.
UNMODELLED = {
    "tcp": ("--tcp-option",),
    "sctp": ("--chunk-types",),
    "conntrack": ("--ctproto", "--ctorigsrc", "--ctorigdst", "--ctreplsrc", "--ctrepldst", "--ctorigsrcport", "--ctorigdstport",
                  "--ctreplsrcport", "--ctrepldstport", "--ctstatus", "--ctexpire", "--ctdir"),
    "addrtype": ("--limit-iface-out",),
    "recent": ("--rttl",),
    "socket": ("--restore-skmark",),
    "set": ("--return-nomatch", "--update-counters", "--update-subcounters", "--packets-eq", "--packets-lt", "--packets-gt", "--bytes-eq",
            "--bytes-lt", "--bytes-gt"),
    "ipvs": ("--vdir", "--vmethod", "--vportctl"),
}  # fmt: skip


def _late(module: str, name: str) -> Callable[[list[Option], int], object]:
    """The reader of a match whose module is loaded when a rule has it."""

    def read(options: list[Option], version: int) -> object:
        return getattr(import_module(f".{module}", __package__), name).read(options, version)

    return read


READERS = {
    "comment": (Comment.read, Comment.options),
    "tcp": (Ports.make("tcp"), Ports.options),
    "udp": (Ports.make("udp"), Ports.options),
    "sctp": (Ports.make("sctp"), Ports.options),
    "multiport": (Multiport.read, Multiport.options),
    "mark": (Mark.read, Mark.options),
    "conntrack": (CtState.make("conntrack"), CtState.options),
    "state": (CtState.make("state"), CtState.options),
    "statistic": (Statistic.read, Statistic.options),
    "addrtype": (AddrType.read, AddrType.options),
    "physdev": (Physdev.read, Physdev.options),
    "icmp": (IcmpMatch.read, IcmpMatch.options),
    "icmp6": (IcmpMatch.read, IcmpMatch.options),
    "recent": (Recent.read, Recent.options),
    "socket": (SocketMatch.read, SocketMatch.options),
    "nfacct": (Nfacct.read, Nfacct.options),
    "set": (_late("ipset", "SetMatch"), {"--match-set": 2}),
    "ipvs": (_late("ipvs_match", "IpvsMatch"), {"--ipvs": 0, "--vproto": 1, "--vaddr": 1, "--vport": 1}),
}
