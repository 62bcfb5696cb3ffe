"""What a rule of nftables can look at: each selector with its data type and how a packet answers it.

``number`` gives the value as a number and ``text`` as nft writes it; None means that the packet has no such field, which ends the rule
without a match (NFT_BREAK). ``env`` is what the engine offers a rule, as in ``xtables``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .fragments import with_transport
from .nftables_types import ADDRTYPES, NATIVE, PROTOCOLS, STATES, TYPES, Datatype
from .packet import Icmp, Ndp, Redirect, Sctp, Skb, Tcp, Udp

Getter = Callable[[Skb, object], object]
PORTS = (Tcp, Udp, Sctp)


class Field(NamedTuple):
    """A selector: its data type, the number and the text that a packet has there; ``needs_ct`` if conntrack must have looked."""

    words: str
    kind: Datatype
    number: Getter
    text: Getter
    needs_ct: bool = False


def _address(version: int, side: str) -> tuple[Getter, Getter]:
    def number(skb: Skb, env: object) -> int | None:
        packet = skb.packet
        return int(getattr(packet, side)) if packet.version == version else None

    def text(skb: Skb, env: object) -> str | None:
        packet = skb.packet
        return str(getattr(packet, side)) if packet.version == version else None

    return number, text


def _port(side: str, kinds: tuple[type, ...]) -> Getter:
    """A port. In the kernel ``th`` reads the same bytes of any header (an ICMP checksum, say); here only protocols with ports have them."""

    def number(skb: Skb, env: object) -> int | None:
        payload = with_transport(skb.packet).payload
        return getattr(payload, side) if type(payload) in kinds else None

    return number


def _proto(skb: Skb, env: object) -> str:
    proto = skb.packet.proto
    return NATIVE.get(proto, proto)


def _proto_number(skb: Skb, env: object) -> int:
    proto = _proto(skb, env)
    return PROTOCOLS[proto] if proto in PROTOCOLS else int(proto)


def _proto_of(version: int, getter: Getter) -> Getter:
    return lambda skb, env: getter(skb, env) if skb.packet.version == version else None


def _icmp(version: int, name: str) -> Getter:
    def number(skb: Skb, env: object) -> int | None:
        payload = with_transport(skb.packet).payload
        if skb.packet.version != version or type(payload) not in (Icmp, Ndp, Redirect):
            return None
        return payload.type if name == "type" else getattr(payload, "code", 0)

    return number


def _flags(skb: Skb, env: object) -> int | None:
    payload = with_transport(skb.packet).payload
    letters = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
    return sum(letters[letter] for letter in payload.flags) if type(payload) is Tcp else None


def _ctstate(skb: Skb, env: object) -> int:
    """A packet that conntrack has not seen is invalid (nft_ct_get_eval)."""
    return STATES.get(skb.ctstate.lower(), STATES["invalid"])


def _ctstatus(skb: Skb, env: object) -> int | None:
    ct = skb.ct
    if ct is None:
        return None
    return (
        2 * ct.seen_reply + 4 * ct.assured + 8 * ct.confirmed + 16 * ct.translated("src") + 32 * ct.translated("dst")
    )  # IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED, IPS_SRC_NAT, IPS_DST_NAT


def _addrtype(side: str) -> Getter:
    return lambda skb, env: env.addr_type(getattr(skb.packet, side)).lower()


def _addrtype_number(side: str) -> Getter:
    return lambda skb, env: ADDRTYPES[env.addr_type(getattr(skb.packet, side)).lower()]


def _by_type(kind: Datatype, number: Getter) -> Getter:
    def text(skb: Skb, env: object) -> str | None:
        found = number(skb, env)
        return None if found is None else kind.text(found)

    return text


def _simple(words: str, kind: str, number: Getter, needs_ct: bool = False) -> Field:
    return Field(words, TYPES[kind], number, _by_type(TYPES[kind], number), needs_ct)


def _quoted(words: str, key: str) -> Field:
    """An interface by name: without a device (a packet made here has no input) it is "" (nft_meta_store_ifname)."""
    return Field(words, TYPES["ifname"], lambda skb, env: getattr(skb, key), lambda skb, env: f'"{getattr(skb, key)}"')


def _make() -> dict[str, Field]:
    fields = [
        Field("meta l4proto", TYPES["inet_proto"], _proto_number, _proto),
        Field("ip protocol", TYPES["inet_proto"], _proto_of(4, _proto_number), _proto_of(4, _proto)),
        Field("ip6 nexthdr", TYPES["inet_proto"], _proto_of(6, _proto_number), _proto_of(6, _proto)),
        _simple("meta mark", "mark", lambda skb, env: skb.mark),
        _simple("meta nfproto", "nf_proto", lambda skb, env: 2 if skb.packet.version == 4 else 10),
        _simple("ct state", "ct_state", _ctstate, True),
        _simple("ct status", "ct_status", _ctstatus, True),
        _simple("ct mark", "mark", lambda skb, env: None if skb.ct is None else skb.ct.mark, True),
        _simple("ct direction", "ct_dir", lambda skb, env: None if skb.ct is None else int(skb.ctdir != "original"), True),
        _simple("icmp type", "icmp_type", _icmp(4, "type")),
        _simple("icmp code", "icmp_code", _icmp(4, "code")),
        _simple("icmpv6 type", "icmpv6_type", _icmp(6, "type")),
        _simple("icmpv6 code", "icmpv6_code", _icmp(6, "code")),
        _simple("tcp flags", "tcp_flag", _flags),
        _simple("ip ttl", "integer", lambda skb, env: skb.packet.ttl if skb.packet.version == 4 else None),
        _simple("ip6 hoplimit", "integer", lambda skb, env: skb.packet.ttl if skb.packet.version == 6 else None),
        *(_quoted(words, words[:3]) for words in ("iifname", "oifname", "iif", "oif")),
    ]
    for side in ("saddr", "daddr"):
        key = {"saddr": "src", "daddr": "dst"}[side]
        fields += [Field(f"ip {side}", TYPES["ipv4_addr"], *_address(4, key)), Field(f"ip6 {side}", TYPES["ipv6_addr"], *_address(6, key))]
        fields.append(Field(f"fib {side} type", TYPES["fib_addrtype"], _addrtype_number(key), _addrtype(key)))
    for port in ("sport", "dport"):
        for proto, kinds in (("tcp", (Tcp,)), ("udp", (Udp,)), ("sctp", (Sctp,)), ("th", PORTS)):
            fields.append(_simple(f"{proto} {port}", "inet_service", _port(port, kinds)))
    return {field.words: field for field in fields}


FIELDS = _make()
ALIASES = {"mark": "meta mark", "meta iifname": "iifname", "meta oifname": "oifname", "meta iif": "iif", "meta oif": "oif"}
