"""The data types of nftables: how a value is written, what number it is, and in what order ``nft list`` puts the elements of a set.

A value is canonical text everywhere (``10.96.0.1``, ``0x00004000``, ``"eth0"``), so that sets are looked up by the text itself; the number
behind it is asked for only where values are compared (prefixes, ranges, masks). Follows src/datatype.c of nftables 1.0.6.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network, summarize_address_range
from types import MappingProxyType

from ..errors import ModelError

# Names as nft prints them, from /etc/protocols.
PROTOCOLS = {"icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
             "ipv6-icmp": 58, "comp": 108, "sctp": 132, "udplite": 136}  # fmt: skip
SERVICES = {"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "pop3": 110, "ntp": 123, "imap2": 143,
            "snmp": 161, "bgp": 179, "https": 443, "submission": 587, "imaps": 993, "mysql": 3306, "postgresql": 5432,
            "http-alt": 8080}  # fmt: skip
ICMP = {"echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
        "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
        "timestamp-request": 13, "timestamp-reply": 14}  # fmt: skip
ICMPV6 = {"destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128,
          "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132, "nd-router-solicit": 133,
          "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137}  # fmt: skip
ICMP_CODES = {"net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "frag-needed": 4,
              "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13}  # fmt: skip
ICMPV6_CODES = {"no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4, "policy-fail": 5, "reject-route": 6}
STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
STATUS = {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512}
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
ADDRTYPES = {"unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
             "prohibit": 8}  # fmt: skip


class Datatype:
    """One type: ``number(text)`` and ``text(number)`` are each other's inverse; ``width`` is in bytes."""

    __slots__ = ("address", "bits", "host_order", "name", "names", "per_line", "text", "width")

    def __init__(self, name: str, width: int, names: Mapping[str, int] = MappingProxyType({}), **how) -> None:
        self.name, self.width, self.names = name, width, names
        self.host_order = how.get("host_order", False)
        self.bits = how.get("bits", False)  # values are sets of flags
        self.address = how.get("address")  # IPv4Address or IPv6Address
        self.per_line = how.get("per_line", 1)  # elements in a line of a listing
        back = {number: word for word, number in reversed(names.items())}
        self.text: Callable[[int], str] = how.get("text") or (lambda number: back.get(number) or str(number))

    def number(self, text: str) -> int:
        """The number that a single value stands for. ModelError when it is none of this type."""
        if text in self.names:
            return self.names[text]
        alias = ALIASES.get((self.name, text))
        if alias is not None:
            return alias
        try:
            return int(self.address(text)) if self.address else int(text, 0)
        except ValueError:
            raise ModelError(f"{text!r} is no {self.name}") from None

    def bounds(self, text: str) -> tuple[int, int]:
        """The lowest and highest number of a value, prefix or range."""
        if self.address and "/" in text:
            network = ip_network(text, strict=False)
            return int(network.network_address), int(network.broadcast_address)
        low, dash, high = text.partition("-")
        if dash and text not in self.names and (self.name, text) not in ALIASES:
            return self.number(low), self.number(high)
        number = self.number(text)
        return number, number

    def canonical(self, text: str) -> str:
        """The value, prefix or range as nft prints it."""
        low, high = self.bounds(text)
        return self.range_text(low, high)

    def range_text(self, low: int, high: int) -> str:
        if low == high:
            return self.text(low)
        if self.address:
            networks = list(summarize_address_range(self.address(low), self.address(high)))
            if len(networks) == 1:
                return str(networks[0])
        return f"{self.text(low)}-{self.text(high)}"

    def order(self, text: str) -> int:
        """Where ``nft list`` puts an element: by the number its key begins with."""
        return self.bounds(text)[0]

    def little(self, text: str) -> int:
        """The number as a little-endian machine reads the bytes of a concatenation (mpz_import in netlink_delinearize.c)."""
        low = self.order(text)
        return low if self.host_order else int.from_bytes(low.to_bytes(self.width, "big"), "little")


class Interface(Datatype):
    """``ifname``: a name in quotes; a trailing ``*`` stands for any rest."""

    __slots__ = ()

    def number(self, text: str) -> int:
        return int.from_bytes(unquote(text).rstrip("*").encode(), "little")

    def bounds(self, text: str) -> tuple[int, int]:
        number = self.number(text)
        return number, number

    def canonical(self, text: str) -> str:
        return f'"{unquote(text)}"'

    def little(self, text: str) -> int:
        return self.number(text)


class Word(Datatype):
    """``verdict``, ``ether_addr``, and types that are kept as they are written."""

    __slots__ = ()

    def number(self, text: str) -> int:
        return 0

    def bounds(self, text: str) -> tuple[int, int]:
        return 0, 0

    def canonical(self, text: str) -> str:
        return text


def unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _hex(number: int) -> str:
    return f"{number:#010x}"


TYPES: Mapping[str, Datatype] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Datatype("ipv4_addr", 4, address=IPv4Address, text=lambda n: str(IPv4Address(n)), per_line=2),
            Datatype("ipv6_addr", 16, address=IPv6Address, text=lambda n: str(IPv6Address(n))),
            Datatype("inet_proto", 1, PROTOCOLS, per_line=5),
            Datatype("inet_service", 2, SERVICES, text=str, per_line=5),
            Datatype("mark", 4, host_order=True, text=_hex, per_line=5),
            Datatype("ct_state", 4, STATES, bits=True, host_order=True, per_line=5),
            Datatype("ct_status", 4, STATUS, bits=True, host_order=True, per_line=5),
            Datatype("ct_dir", 1, {"original": 0, "reply": 1}, per_line=5),
            Datatype("fib_addrtype", 4, ADDRTYPES, host_order=True, per_line=5),
            Datatype("icmp_type", 1, ICMP, per_line=2),
            Datatype("icmpv6_type", 1, ICMPV6, per_line=2),
            Datatype("icmp_code", 1, ICMP_CODES, per_line=2),
            Datatype("icmpv6_code", 1, ICMPV6_CODES, per_line=2),
            Datatype("nf_proto", 1, {"ipv4": 2, "ipv6": 10}, per_line=5),
            Datatype("tcp_flag", 1, TCP_FLAGS, bits=True, per_line=5),
            Datatype("integer", 4, host_order=True, per_line=5),
            Interface("ifname", 16, host_order=True),
            Word("ether_addr", 6),
            Word("verdict", 0),
        )
    }
)
ALIASES = {("inet_proto", "icmpv6"): 58, ("inet_proto", "ipip"): 4}
NATIVE = {"ipip": "ipencap"}  # protocols that the packet model calls otherwise


def types_of(text: str) -> tuple[Datatype, ...]:
    """The types of a set's key or data, ``ipv4_addr . inet_service``; values of a type that is not known stay as they are written."""
    return tuple([TYPES.get(name) or Word(name, 0) for name in map(str.strip, text.split(" . "))])


def canonical_key(kinds: Sequence[Datatype], text: str) -> str:
    """An element's key or data as nft prints it; a concatenation is spaced dots."""
    if len(kinds) == 1:
        return kinds[0].canonical(text)
    parts = re.split(r"\s+\.\s+", text)
    if len(parts) != len(kinds):
        raise ModelError(f"{text!r} is no {' . '.join(kind.name for kind in kinds)}")
    return " . ".join(kind.canonical(part) for kind, part in zip(kinds, parts, strict=True))


def sort_key(kinds: Sequence[Datatype]) -> Callable[[str], object]:
    """By what ``nft list`` sorts elements: a single value by its number, a concatenation by its bytes read from the end."""
    if len(kinds) == 1:
        return kinds[0].order
    steps = [kind.little for kind in reversed(kinds)]

    def key(text: str) -> tuple[int, ...]:
        parts = text.split(" . ")
        parts.reverse()
        return tuple([step(part) for step, part in zip(steps, parts, strict=True)])

    return key


def merged(kind: Datatype, texts: Iterable[str]) -> list[str]:
    """Values, prefixes and ranges as few intervals, in order: what nft makes of a set literal that holds an interval."""
    spans: list[list[int]] = []
    for low, high in sorted(kind.bounds(text) for text in texts):
        if spans and low <= spans[-1][1] + 1:
            spans[-1][1] = max(spans[-1][1], high)
        else:
            spans.append([low, high])
    return [kind.range_text(low, high) for low, high in spans]


_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def seconds(text: str) -> float:
    """``1d2h3m4s996ms`` in seconds."""
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", text)
    if text.isdigit():
        return float(text)
    if not text or parts is None:
        raise ModelError(f"{text!r} is no time")
    days, hours, minutes, secs, ms = (int(part or 0) for part in parts.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + secs + ms / 1000


def time_text(duration: float) -> str:
    """Seconds as nft prints them; 10800 is ``3h``."""
    whole, ms = divmod(round(duration * 1000), 1000)
    text = ""
    for unit, size in _UNITS:
        count, whole = divmod(whole, size)
        text += f"{count}{unit}" if count else ""
    return text + (f"{ms}ms" if ms else "") or "0s"
