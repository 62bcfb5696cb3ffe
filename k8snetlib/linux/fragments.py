"""IP fragmentation and reassembly (RFC 791 section 3.2, RFC 8200 section 4.5)."""

from __future__ import annotations

from ..value import replace
from . import wire
from .packet import PROTO_NUMBERS, Fragment, Packet


def fragment(packet: Packet, mtu: int) -> tuple[Packet, ...]:
    """The packet in pieces that fit ``mtu`` bytes each; every piece but the last carries a multiple of 8 bytes."""
    body = wire.payload_bytes(packet)
    number = getattr(packet.payload, "number", None) or PROTO_NUMBERS[packet.proto]
    room = (mtu - (20 if packet.version == 4 else 48)) // 8 * 8
    pieces = []
    for offset in range(0, len(body), room):
        data = body[offset : offset + room]
        pieces.append(replace(packet, payload=Fragment(number, offset, offset + room < len(body), data)))
    return tuple(pieces)


def reassemble(seen: list[Packet], piece: Packet) -> Packet | None:
    """Add a piece to those seen of the same packet; the whole packet once none is missing, else None."""
    seen.append(piece)
    ordered = sorted(seen, key=lambda p: p.payload.offset)
    body, expected = b"", 0
    for part in ordered:
        if part.payload.offset != expected:
            return None
        body += part.payload.data
        expected = len(body)
    if ordered[-1].payload.more:
        return None
    first = ordered[0]
    seen.clear()
    return replace(first, payload=wire.parse_payload(first.payload.number, body, first.src, first.dst))
