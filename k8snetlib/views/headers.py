"""The headers of a frame or packet as a list of boxes, outermost first, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..linux.packet import Arp, Fragment, Frame, Icmp, Ndp, Packet, Redirect, Sctp, Tcp, Udp, Vxlan, icmp_name
from ..value import value

FLAG_NAMES = {"S": "SYN", "A": "ACK", "F": "FIN", "R": "RST", "P": "PSH", "U": "URG", "E": "ECE", "C": "CWR"}


@value
class Header:
    """One header: its protocol, its length in bytes, and the fields that matter as (name, value) text."""

    layer: str
    length: int
    fields: tuple[tuple[str, str], ...]


@value
class Change:
    """A field that differs from the step before; ``old`` or ``new`` is "" where a whole header came or went.

    ``index`` is the header's place in the new packet, outermost 0; -1 for one that is gone.
    """

    layer: str
    field: str
    old: str
    new: str
    index: int = -1


def headers(item: Frame | Packet | Arp | None) -> tuple[Header, ...]:
    """Every header of the frame or packet, outermost first; what is left as payload is counted in the last one."""
    found: list[Header] = []
    while item is not None:
        header, item = _peel(item)
        found.append(header)
    return tuple(found)


def _peel(item):
    """One header off: the header, and what is inside (None when nothing is left)."""
    if isinstance(item, Frame):
        kind = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6"}[item.ethertype]
        return Header("Ethernet", 14, (("source", item.src), ("destination", item.dst), ("type", kind))), item.payload
    if isinstance(item, Arp):
        question = "request" if item.op == 1 else "reply"
        fields = (("operation", question), ("sender", f"{item.sender_ip} ({item.sender_mac})"), ("target", str(item.target_ip)))
        return Header("ARP", 28, fields), None
    if isinstance(item, Packet):
        ttl = "TTL" if item.version == 4 else "hop limit"
        fields = [("source", str(item.src)), ("destination", str(item.dst)), (ttl, str(item.ttl)), ("protocol", item.proto)]
        if item.version == 4:
            fields.append(("don't fragment", "yes" if item.df else "no"))
        return Header(f"IPv{item.version}", item.header_length, tuple(fields)), item.payload
    if isinstance(item, Vxlan):
        return Header("VXLAN", 8, (("VNI", str(item.vni)),)), item.frame
    return _transport(item)


def _transport(item):
    if isinstance(item, Udp):
        fields = (("source port", str(item.sport)), ("destination port", str(item.dport)))
        return Header("UDP", 8, fields), item.data if isinstance(item.data, Vxlan) else None
    if isinstance(item, Tcp):
        flags = "+".join(FLAG_NAMES[flag] for flag in item.flags)
        return Header("TCP", 20, (("source port", str(item.sport)), ("destination port", str(item.dport)), ("flags", flags))), None
    if isinstance(item, Sctp):
        return Header("SCTP", 12, (("source port", str(item.sport)), ("destination port", str(item.dport)))), None
    if isinstance(item, Icmp):
        name = "ICMP" if item.version == 4 else "ICMPv6"
        echo = (("identifier", str(item.id)),) if item.is_echo else ()
        return Header(name, 8, (("message", icmp_name(item)), *echo)), None
    if isinstance(item, Ndp):
        what = "neighbour solicitation" if item.type == 135 else "neighbour advertisement"
        return Header("ICMPv6", len(item), (("message", what), ("target", str(item.target)))), None
    if isinstance(item, Redirect):
        fields = (("message", "redirect"), ("destination", str(item.dst)), ("target", str(item.target)))
        return Header("ICMPv6", len(item), fields), None
    if isinstance(item, Fragment):
        return Header(
            "fragment", len(item), (("of", item.proto), ("offset", str(item.offset)), ("more", "yes" if item.more else "no"))
        ), None
    return Header(item.proto, len(item), ()), None


def size(item: Frame | Packet | Arp | None) -> int:
    """Length in bytes of the frame, Ethernet header included, or of the packet."""
    return 0 if item is None else len(item)


def changes(old: Sequence[Header], new: Sequence[Header]) -> tuple[Change, ...]:
    """What differs, compared from the innermost header outwards, so that an encapsulated packet is recognised as the same one."""
    found: list[Change] = []
    for depth in range(max(len(old), len(new)), 0, -1):
        before, after = (side[-depth] if depth <= len(side) else None for side in (old, new))
        index = len(new) - depth if after is not None else -1
        if before is not None and after is not None and before.layer == after.layer:
            was = dict(before.fields)
            found += [Change(after.layer, name, was.get(name, ""), value, index) for name, value in after.fields if was.get(name) != value]
        elif before is None and after is not None:
            found.append(Change(after.layer, "", "", "added", index))
        elif after is None and before is not None:
            found.append(Change(before.layer, "", "removed", ""))
        else:
            found.append(Change(after.layer, "", before.layer, after.layer, index))
    return tuple(found)
