"""IP fragmentation and reassembly (RFC 791 section 3.2, RFC 8200 section 4.5), and NAT of a fragment that an ICMP error quotes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..value import replace
from . import wire
from .packet import PROTO_NUMBERS, Fragment, Packet, with_ports


def fragment(packet: Packet, mtu: int, before: Sequence[int] = ()) -> tuple[Packet, ...]:
    """The packet in pieces that fit ``mtu`` bytes each; every piece but the last carries a multiple of 8 bytes.

    ``before``: the bytes of data in the pieces that it came in. Where they all fit, it is cut as before. A piece may be cut again, by a
    router with a narrower way on: its own pieces then keep its place in the whole packet.
    """
    body = wire.payload_bytes(packet)
    number = getattr(packet.payload, "number", None) or PROTO_NUMBERS[packet.proto]
    room = (mtu - (20 if packet.version == 4 else 48)) // 8 * 8
    sizes = (
        before
        if before and max(before) <= mtu - (20 if packet.version == 4 else 48) and sum(before) == len(body)
        else (room,) * -(-len(body) // room)
    )
    first, more = (packet.payload.offset, packet.payload.more) if type(packet.payload) is Fragment else (0, False)
    pieces, offset = [], 0
    for size in sizes:
        data = body[offset : offset + size]
        pieces.append(replace(packet, payload=Fragment(number, first + offset, more or offset + size < len(body), data)))
        offset += size
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


CHECKSUM_AT = {1: 2, 6: 16, 17: 6, 58: 2, 132: 8}  # protocol → where the checksum stands in its header, in bytes
_ECHO_ID = slice(4, 6)


def with_transport(packet: Packet) -> Packet:
    """A packet's first fragment with its transport header read; any other packet as it is."""
    piece = packet.payload
    if type(piece) is not Fragment or piece.offset or len(piece.data) < 8:
        return packet
    return replace(packet, payload=wire.parse_payload(piece.number, piece.data, packet.src, packet.dst))


def translated(packet: Packet, **changes) -> Packet:
    """``with_ports`` for a packet that may be a first fragment, whose checksum is then corrected for the changes (RFC 1624)."""
    piece, whole = packet.payload, with_transport(packet)
    new = with_ports(whole, **changes)
    if whole is packet or new == whole:
        return new
    data = bytearray(piece.data)
    if piece.number in (1, 58):
        data[_ECHO_ID] = struct.pack("!H", new.sport)
    else:
        data[0:4] = struct.pack("!HH", new.sport, new.dport)
    at = CHECKSUM_AT[piece.number]
    if piece.number != 132 and (piece.number != 17 or data[at : at + 2] != b"\0\0"):
        pseudo = (new.src.packed + new.dst.packed, packet.src.packed + packet.dst.packed) if piece.number != 1 else (b"", b"")
        data[at : at + 2] = _corrected(data[at : at + 2], pseudo[1] + piece.data[:8], pseudo[0] + bytes(data[:8]), at)
    return replace(new, payload=replace(piece, data=bytes(data)))


def _corrected(checksum: bytes, old: bytes, new: bytes, at: int) -> bytes:
    """HC' = ~(~HC + ~m + m'), where the checksum's own place in the eight header bytes counts for nothing."""
    start = len(old) - 8
    if at < 8:
        old = old[: start + at] + b"\0\0" + old[start + at + 2 :]
        new = new[: start + at] + b"\0\0" + new[start + at + 2 :]
    total = ~int.from_bytes(checksum, "big") & 0xFFFF
    for (before,), (after,) in zip(struct.iter_unpack("!H", old), struct.iter_unpack("!H", new), strict=True):
        total += (~before & 0xFFFF) + after
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
