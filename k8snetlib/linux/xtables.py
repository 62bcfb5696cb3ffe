"""The matches of iptables rules, as typed values that test packets and print themselves as ``iptables-save`` does.

Each extension reads its options from the text, prints them in the order of the real one (iptables 1.8.9), and ``compile``s into a test.
What the model does not honour is refused when a packet would depend on it, never skipped: ``UnsupportedError``.

``env`` is what the engine offers a rule: ``env.addr_type(address)``, ``env.chance(rule, fraction)``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import ClassVar

from ..errors import ModelError, UnsupportedError
from ..value import value
from .fragments import with_transport
from .packet import IPAddress, Sctp, Skb, Tcp, Udp

Test = Callable[[Skb, object], bool]
Option = tuple[str, bool, tuple[str, ...]]  # name, negated, arguments


def quote(text: str) -> str:
    """As iptables-save quotes a string: only when it holds something other than a plain character (xtables.c)."""
    if text and all(c.isalnum() or c in "_-.,:@%/=+" for c in text) and "/" not in text and "." not in text:
        return text
    return '"' + "".join("\\" + c if c in "\"\\'" else c for c in text) + '"'


def bang(negated: bool) -> str:
    return "! " if negated else ""


def port_range(text: str, separator: str = ":") -> tuple[int, int]:
    low, found, high = text.partition(separator)
    try:
        return (int(low or 0), int(high or 65535) if found else int(low))
    except ValueError:
        raise ModelError(f"{text!r} is no port or range of ports") from None


def range_text(ports: tuple[int, int], separator: str = ":") -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}{separator}{ports[1]}"


def value_mask(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if mask else 0xFFFFFFFF


@value
class Comment:
    """``-m comment``: words for the reader, no test."""

    text: str

    name, options = "comment", {"--comment": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Comment:
        return cls(options[0][2][0])

    def words(self) -> str:
        return f"-m comment --comment {_comment_quote(self.text)}"

    def compile(self) -> Test | None:
        return None


def _comment_quote(text: str) -> str:
    plain = text and all(c.isalnum() or c in "_-" for c in text)
    return text if plain else quote(text)


@value
class Ports:
    """``-m tcp``, ``-m udp`` or ``-m sctp``: source and destination port ranges, and TCP's flags (mask, set)."""

    name: str
    sport: tuple[int, int] | None = None
    not_sport: bool = False
    dport: tuple[int, int] | None = None
    not_dport: bool = False
    flags: tuple[str, str] | None = None
    not_flags: bool = False

    options: ClassVar = {"--sport": 1, "--dport": 1, "--source-port": 1, "--destination-port": 1, "--tcp-flags": 2, "--syn": 0}

    @classmethod
    def make(cls, name: str) -> Callable[[list[Option], int], Ports]:
        def read(options: list[Option], version: int) -> Ports:
            fields: dict = {}
            for option, negated, arguments in options:
                key = {"--source-port": "sport", "--destination-port": "dport", "--tcp-flags": "flags", "--syn": "flags"}.get(
                    option, option[2:]
                )
                fields["not_" + key] = negated
                fields[key] = port_range(arguments[0]) if key != "flags" else arguments if arguments else ("FIN,SYN,RST,ACK", "SYN")
            return cls(name, **fields)

        return read

    def words(self) -> str:
        parts = [f"-m {self.name}"]
        for key, ports, negated in (("--sport", self.sport, self.not_sport), ("--dport", self.dport, self.not_dport)):
            if ports:
                parts.append(f"{bang(negated)}{key} {range_text(ports)}")
        if self.flags:
            parts.append(f"{bang(self.not_flags)}--tcp-flags {' '.join(self.flags)}")
        return " ".join(parts)

    def compile(self) -> Test | None:
        kind = {"tcp": Tcp, "udp": Udp, "sctp": Sctp}[self.name]
        (slow, shigh), (dlow, dhigh) = self.sport or (0, 65535), self.dport or (0, 65535)
        not_sport, not_dport = self.not_sport, self.not_dport
        mask, wanted = (set(part) for part in map(_flag_letters, self.flags)) if self.flags else (set(), set())
        flagged, not_flags = self.flags is not None, self.not_flags

        def test(skb: Skb, env: object) -> bool:
            payload = skb.packet.payload
            if type(payload) is not kind:
                payload = with_transport(skb.packet).payload
                if type(payload) is not kind:
                    return False
            if (slow <= payload.sport <= shigh) is not_sport or (dlow <= payload.dport <= dhigh) is not_dport:
                return False
            return not flagged or ((set(payload.flags) & mask == wanted) is not not_flags)

        return test


def _flag_letters(text: str) -> str:
    names = {"FIN": "F", "SYN": "S", "RST": "R", "PSH": "P", "ACK": "A", "URG": "U", "ALL": "FSRPAU", "NONE": ""}
    return "".join(names[name] for name in text.split(","))


@value
class Multiport:
    """``-m multiport``: up to 15 ports or ranges, of the source, the destination or either."""

    which: str  # sports, dports, ports
    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    name, options = "multiport", {"--dports": 1, "--sports": 1, "--ports": 1, "--destination-ports": 1, "--source-ports": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Multiport:
        option, negated, arguments = options[0]
        which = {"--destination-ports": "dports", "--source-ports": "sports"}.get(option, option[2:])
        return cls(which, tuple(port_range(part) for part in arguments[0].split(",")), negated)

    def words(self) -> str:
        return f"-m multiport {bang(self.negated)}--{self.which} {','.join(map(range_text, self.ranges))}"

    def compile(self) -> Test | None:
        def test(skb: Skb, env: object) -> bool:
            payload = with_transport(skb.packet).payload
            if type(payload) not in (Tcp, Udp, Sctp):
                return False
            ports = {"sports": (payload.sport,), "dports": (payload.dport,), "ports": (payload.sport, payload.dport)}[self.which]
            return any(low <= port <= high for port in ports for low, high in self.ranges) is not self.negated

        return test


@value
class Mark:
    """``-m mark``: the packet's mark, under a mask."""

    value: int
    mask: int = 0xFFFFFFFF
    negated: bool = False

    name, options = "mark", {"--mark": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Mark:
        return cls(*value_mask(options[0][2][0]), options[0][1])

    def words(self) -> str:
        mask = "" if self.mask == 0xFFFFFFFF else f"/{self.mask:#x}"
        return f"-m mark {bang(self.negated)}--mark {self.value:#x}{mask}"

    def compile(self) -> Test | None:
        value, mask, wanted = self.value, self.mask, not self.negated
        return lambda skb, env: (skb.mark & mask == value) is wanted


CTSTATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")


@value
class CtState:
    """``-m conntrack --ctstate`` or ``-m state --state``: what conntrack says of the packet; DNAT and SNAT of its connection."""

    states: tuple[str, ...]
    negated: bool = False
    name: str = "conntrack"

    options: ClassVar = {"--ctstate": 1, "--state": 1}

    @classmethod
    def make(cls, name: str) -> Callable[[list[Option], int], CtState]:
        def read(options: list[Option], version: int) -> CtState:
            states = options[0][2][0].split(",")
            unknown = [state for state in states if state not in CTSTATES]
            if unknown:
                raise ModelError(f"unknown conntrack state {unknown[0]!r}")
            return cls(tuple(state for state in CTSTATES if state in states), options[0][1], name)

        return read

    def words(self) -> str:
        option = "--ctstate" if self.name == "conntrack" else "--state"
        return f"-m {self.name} {bang(self.negated)}{option} {','.join(self.states)}"

    def compile(self) -> Test | None:
        states, wanted = frozenset(self.states), not self.negated
        by_nat = [(nat, key) for nat, key in (("DNAT", "dst"), ("SNAT", "src")) if nat in states]

        def test(skb: Skb, env: object) -> bool:
            found = (skb.ctstate or "INVALID") in states or any(skb.ct is not None and skb.ct.translated(key) for _, key in by_nat)
            return found is wanted

        return test


@value
class Statistic:
    """``-m statistic --mode random``: true with a probability that the kernel keeps as a 31-bit integer (xt_statistic.h)."""

    numerator: int  # of 2**31
    negated: bool = False

    name, options = "statistic", {"--mode": 1, "--probability": 1, "--every": 1, "--packet": 1}

    @property
    def probability(self) -> Fraction:
        return Fraction(self.numerator, 1 << 31)

    @classmethod
    def read(cls, options: list[Option], version: int) -> Statistic:
        given = {option: (negated, arguments[0]) for option, negated, arguments in options}
        if given["--mode"][1] != "random":
            raise UnsupportedError(f"the statistic match's mode {given['--mode'][1]} is not modelled")
        negated, text = given["--probability"]
        return cls(int(Fraction(text) * (1 << 31) + Fraction(1, 2)), negated)

    def words(self) -> str:
        return f"-m statistic --mode random {bang(self.negated)}--probability {self.numerator / (1 << 31):.11f}"

    def compile(self) -> Test | None:
        chance = 1 - self.probability if self.negated else self.probability
        return lambda skb, env: env.chance(self, chance)


@value
class AddrType:
    """``-m addrtype``: what the routing table says of the source or destination address (LOCAL, BROADCAST, UNICAST …).

    ``limit`` (``--limit-iface-in``): of the destination or source as an address of the interface that the packet came in by.
    """

    src: str = ""
    dst: str = ""
    not_src: bool = False
    not_dst: bool = False
    limit: bool = False

    name, options = "addrtype", {"--src-type": 1, "--dst-type": 1, "--limit-iface-in": 0}

    @classmethod
    def read(cls, options: list[Option], version: int) -> AddrType:
        fields: dict = {}
        for option, negated, arguments in options:
            if option == "--limit-iface-in":
                fields["limit"] = True
                continue
            key = option[2:5]
            fields[key], fields["not_" + key] = arguments[0], negated
        return cls(**fields)

    def words(self) -> str:
        src = f" {bang(self.not_src)}--src-type {self.src}" if self.src else ""
        dst = f" {bang(self.not_dst)}--dst-type {self.dst}" if self.dst else ""
        return f"-m addrtype{src}{dst}" + (" --limit-iface-in" if self.limit else "")

    def compile(self) -> Test | None:
        src, dst = frozenset(self.src.split(",")) if self.src else None, frozenset(self.dst.split(",")) if self.dst else None

        def test(skb: Skb, env) -> bool:
            if self.limit and skb.packet.version == 6:
                raise UnsupportedError("addrtype --limit-iface-in is not modelled for IPv6")
            dev = skb.iif if self.limit else ""
            if src is not None and _is_of_type(src, skb.packet.src, dev, env) is self.not_src:
                return False
            return dst is None or _is_of_type(dst, skb.packet.dst, dev, env) is not self.not_dst

        return test


_LOOKED_UP = frozenset(("ANYCAST", "LOCAL", "UNREACHABLE"))


def _is_of_type(types: frozenset[str], address: IPAddress, dev: str, env) -> bool:
    """Whether the address is of one of the types; in IPv6 (match_type6) of each that the address alone decides, and then of one of those
    that routing decides, so that an address may be LOCAL and UNICAST, and one on no list is of any."""
    if address.version == 4:
        return env.addr_type(address, dev) in types
    kind = "MULTICAST" if address.is_multicast else "UNSPEC" if address.is_unspecified else "UNICAST"
    if not types & {"MULTICAST", "UNICAST", "UNSPEC"} <= {kind}:
        return False
    if not types & _LOOKED_UP:
        return True
    found = env.addr_type(address)
    return ("UNREACHABLE" if found in ("BLACKHOLE", "PROHIBIT") else found) in types & _LOOKED_UP


@value
class Physdev:
    """``-m physdev``: the bridge ports through which a bridged packet came and goes (needs br_netfilter)."""

    flags: tuple[tuple[str, bool, str], ...]  # option, negated, interface or ""

    name = "physdev"
    options: ClassVar = {"--physdev-in": 1, "--physdev-out": 1, "--physdev-is-in": 0, "--physdev-is-out": 0, "--physdev-is-bridged": 0}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Physdev:
        return cls(tuple((option, negated, arguments[0] if arguments else "") for option, negated, arguments in options))

    def words(self) -> str:
        return "-m physdev " + " ".join(f"{bang(negated)}{option}{' ' + dev if dev else ''}" for option, negated, dev in self.flags)

    def compile(self) -> Test | None:
        def holds(option: str, dev: str, skb: Skb) -> bool:
            if option == "--physdev-in":
                return interface_matches(dev, skb.physin)
            if option == "--physdev-out":
                return interface_matches(dev, skb.physout)
            if option == "--physdev-is-bridged":
                return bool(skb.physin and skb.physout)
            return bool(skb.physin if option == "--physdev-is-in" else skb.physout)

        return lambda skb, env: all(holds(option, dev, skb) is not negated for option, negated, dev in self.flags)


def interface_matches(pattern: str, name: str) -> bool:
    """iptables' interface pattern: a trailing + stands for any rest."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern
