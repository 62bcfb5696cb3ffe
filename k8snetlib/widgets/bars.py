"""Frames drawn as bars of headers: what is on a wire, byte by byte, against the wire's MTU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..linux.packet import Frame
from ..value import value
from ..views.figure import Figure
from ..views.headers import headers
from ..views.render import PALETTE, STYLE

WIDTH, LEFT, BOX, WIDER, HEIGHT, GAP = 880, 12, 72, 78, 36, 3  # pixels
MOST_FRAMES = 3  # drawn per wire
IPV6 = 40  # bytes of the fixed header
TEXT = {
    "wire": "{title}: {place}, MTU {mtu}",
    "size": "IP packet {size} bytes",
    "over": "{n} more than the MTU",
    "bytes": "{n} B",
    "data": "data",
    "piece": "fragment of a packet",
    "fragment": "Fragment",
    "caption": "The boxes are not to scale; the line below each frame is, up to the tick at the MTU, which counts from the IP header on.",
    "mtu": "MTU {mtu}",
    "more": "+ {n} more",
    "frame": "frame {n} of {total}",
}
FILL = {"Ethernet": PALETTE["host"], "ARP": PALETTE["host"], "IPv4": PALETTE["pod"], "IPv6": PALETTE["pod"], "VXLAN": PALETTE["tunnel"],
        "UDP": PALETTE["service"], "TCP": PALETTE["service"], "ICMP": PALETTE["service"], "ICMPv6": PALETTE["service"]}  # fmt: skip


@value
class Wire:
    """A wire to draw: a title, the interface and its MTU in bytes, the frames seen there, and what to say if there are none.

    ``stopped``: that nothing came here is because of a drop just before.
    """

    title: str
    place: str
    mtu: int
    frames: tuple[Frame, ...]
    none: str
    stopped: bool = False


def bars(wires: Sequence[Wire], alt: str) -> Figure:
    """The figure: each wire a line of text, and under it each frame as boxes (not to scale) over a bar (to scale) with the MTU marked."""
    longest = max((len(frame.payload) for wire in wires for frame in wire.frames), default=0)
    scale = (WIDTH - 2 * LEFT) / (1.08 * max(longest, *(wire.mtu for wire in wires)))
    parts, y = [], 10
    for wire in wires:
        drawn, y = _wire(wire, y, scale)
        parts.append(drawn)
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label="{escape(alt)}" {size}>'
    style = f"<style>{STYLE}{LOOK}</style>"
    plate = f'<rect class="plate" x=".5" y=".5" width="{WIDTH - 1}" height="{y - 1}" rx="8"/>'
    return Figure(f"{head}{style}{plate}{''.join(parts)}</svg>", alt, TEXT["caption"])


LOOK = "".join(f".k8snet.k8snet .{rule}" for rule in (   # twice, to be stronger than STYLE
    "wire{font-size:13px;font-weight:600;fill:#1f2933}", "box{stroke-width:1.2}", "layer{font-size:12px;font-weight:600;fill:#1f2933}",
    "bytes{font-size:11px}", "fit{fill:#188038}", "over{fill:#c5221f}", "track{fill:#e6eaf0}", "tick{stroke:#1f2933;stroke-width:2}",
    "stopped{font-size:12px;font-weight:600;fill:#c5221f}", "says{font-size:11.5px;font-weight:600;fill:#1f2933}",
))  # fmt: skip


def _wire(wire: Wire, y: int, scale: float) -> tuple[str, int]:
    parts = [_text(LEFT, y + 14, TEXT["wire"].format(title=wire.title, place=wire.place, mtu=wire.mtu), "wire")]
    y += 22
    if not wire.frames:
        parts.append(_text(LEFT, y + 12, wire.none, "stopped" if wire.stopped else "bytes"))
        return "".join(parts), y + 26
    for number, frame in enumerate(wire.frames[:MOST_FRAMES], 1):
        parts += _boxes(frame, y)
        label = TEXT["frame"].format(n=number, total=len(wire.frames)) if len(wire.frames) > 1 else ""
        parts += _meter(frame, wire.mtu, y + HEIGHT + 6, scale, label)
        y += HEIGHT + 34
    if len(wire.frames) > MOST_FRAMES:
        parts.append(_text(LEFT, y + 10, TEXT["more"].format(n=len(wire.frames) - MOST_FRAMES), "bytes"))
        y += 18
    return "".join(parts), y + 10


def _boxes(frame: Frame, y: int) -> Iterator[str]:
    """The headers in equal boxes, the data in what is left."""
    x, rest, name = LEFT, len(frame), TEXT["data"]
    for head in headers(frame):
        if head.layer == "fragment":  # a piece of a packet, whose own headers are in the first piece
            name = TEXT["piece"]
            continue
        rest -= head.length
        fill, stroke = FILL.get(head.layer, ("#ffffff", "#52606d"))
        extra = head.length - IPV6 if head.layer == "IPv6" else 0  # the Fragment header, which follows the fixed one (RFC 8200)
        for layer, length in ((head.layer, head.length - extra), (TEXT["fragment"], extra))[: 2 if extra else 1]:
            width = WIDER if layer == TEXT["fragment"] else BOX
            yield _box(x, y, width, layer, length, fill, stroke)
            x += width + GAP
    if rest > 0:
        yield _box(x, y, WIDTH - LEFT - x, name, rest, "#ffffff", "#52606d")


def _box(x: float, y: float, width: float, name: str, size: int, fill: str, stroke: str) -> str:
    middle = x + width / 2
    rect = f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="4" fill="{fill}" stroke="{stroke}"/>'
    length = TEXT["bytes"].format(n=size)
    return rect + _text(middle, y + 15, name, "layer", "middle") + _text(middle, y + 29, length, "bytes", "middle")


def _meter(frame: Frame, mtu: int, y: float, scale: float, label: str) -> Iterator[str]:
    """The IP packet's length to scale, with a tick at the MTU."""
    size = len(frame.payload)
    over = size > mtu
    yield f'<rect class="track" x="{LEFT}" y="{y}" width="{WIDTH - 2 * LEFT}" height="6" rx="3"/>'
    yield f'<rect class="{"over" if over else "fit"}" x="{LEFT}" y="{y}" width="{size * scale:.1f}" height="6" rx="3"/>'
    yield f'<path class="tick" d="M{LEFT + mtu * scale:.1f} {y - 3}v12"/>'
    says = TEXT["size"].format(size=size) + (f", {TEXT['over'].format(n=size - mtu)}" if over else "")
    yield _text(LEFT, y + 19, f"{label}: {says}" if label else says, "says")
    yield _text(LEFT + mtu * scale, y + 20, TEXT["mtu"].format(mtu=mtu), "bytes", "middle")


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
