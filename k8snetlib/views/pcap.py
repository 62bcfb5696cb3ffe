"""A trace as a capture file that Wireshark and tshark open: pcapng, one interface for each interface of the network.

Format: draft-ietf-opsawg-pcapng (section header, interface description and enhanced packet blocks). Frames carry the bytes of ``linux.wire``;
the direction is in the packet's flags, and time is one microsecond a frame, since the model has no clock.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from ..linux.engine import captures
from ..linux.events import Capture, Trace
from ..linux.wire import to_bytes

LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101  # with an Ethernet header; from the IP header on
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_DIRECTION = {"in": 1, "out": 2}


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body) + -len(body) % 4
    return struct.pack("<II", kind, length) + body + bytes(-len(body) % 4) + struct.pack("<I", length)


def _option(code: int, data: bytes) -> bytes:
    return struct.pack("<HH", code, len(data)) + data + bytes(-len(data) % 4)


def pcap(found: Trace | Iterable[Capture], *, netns: str = "", dev: str = "") -> bytes:
    """The bytes of a pcapng file with the frames of a trace (or of a lab's capture), of one namespace or interface where named."""
    frames = captures(found) if isinstance(found, Trace) else list(found)
    chosen = [c for c in frames if (not netns or c.netns == netns) and (not dev or c.dev == dev)]
    places = {place: number for number, place in enumerate(dict.fromkeys((c.netns, c.dev) for c in chosen))}
    bare = {(c.netns, c.dev) for c in chosen if c.frame.bare}
    end = _option(0, b"")
    parts = [_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _option(4, b"k8snetlib") + end)]
    for namespace, device in places:
        name = _option(2, f"{namespace}/{device}".encode())
        kind = LINKTYPE_RAW if (namespace, device) in bare else LINKTYPE_ETHERNET
        parts.append(_block(_INTERFACE, struct.pack("<HHI", kind, 0, 0) + name + end))
    for time, capture in enumerate(chosen):
        data = to_bytes(capture.frame)
        head = struct.pack("<IIIII", places[capture.netns, capture.dev], time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        flags = _option(2, struct.pack("<I", _DIRECTION[capture.direction]))
        parts.append(_block(_PACKET, head + data + bytes(-len(data) % 4) + flags + end))
    return b"".join(parts)


def write_pcap(found: Trace | Iterable[Capture], path: str | Path, *, netns: str = "", dev: str = "") -> Path:
    """Write ``pcap(…)`` to a file; the path comes back."""
    target = Path(path)
    target.write_bytes(pcap(found, netns=netns, dev=dev))
    return target
