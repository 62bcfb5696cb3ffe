"""Two small charts as figures: curves, and bars with the value that was expected. No library, no fonts to find.

A curve is told by its colour, by its mark and by its name at its end; a bar's expected value is a tick with a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

from ..errors import ModelError
from .figure import Figure
from .render import INK, MUTED, STYLE

Point = tuple[float, float]
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860, 70, 150, 30, 46  # pixels
COLOURS = ("#c5221f", "#1a66cc", "#188038", "#5e1a8f", "#b06000")
NEAR = 15  # pixels between two names
TEXT = {"empty": "a plot needs at least one point", "mark": "you are here"}
LOOK = "".join(
    f".k8snet.k8snet .{rule}"
    for rule in (
        f"axis{{stroke:{MUTED};stroke-width:1;fill:none}}",
        "grid{stroke:#e6eaf0;stroke-width:1}",
        f"scale{{font-size:11.5px;fill:{MUTED}}}",
        f"title{{font-size:12.5px;fill:{INK}}}",
        "series{font-size:12.5px;font-weight:600}",
        "curve{fill:none;stroke-width:2.4}",
        f"here{{stroke:{INK};stroke-width:1.2;stroke-dasharray:4 3}}",
        "bar{fill:#e3eefd;stroke:#1a66cc;stroke-width:1.2}",
        f"want{{stroke:{INK};stroke-width:2.2}}",
        f"label{{font-size:12px;fill:{INK}}}",
    )
)


def curves(
    series: Mapping[str, Sequence[Point]], x: str, y: str, alt: str, caption: str = "", *, here: float | None = None, height: int = 330
) -> Figure:
    """Curves over x and y from 0, both in even steps; ``here`` marks an x. ModelError where there is nothing to draw."""
    points = [point for each in series.values() for point in each]
    if not points:
        raise ModelError(TEXT["empty"])
    across, up = (_step(max(point[axis] for point in points)) for axis in (0, 1))
    right, top = (step * max(1, ceil(max(point[axis] for point in points) / step)) for axis, step in ((0, across), (1, up)))
    wide, high = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM

    def at(px: float, py: float) -> Point:
        return LEFT + wide * px / right, TOP + high * (1 - py / top)

    parts = [*_axes((across, right), (up, top), at, x, y, height)]
    if here is not None:
        hx, _ = at(here, 0)
        parts.append(f'<path class="here" d="M{hx:.1f} {TOP}V{TOP + high}"/>')
        side = (hx + 6, "start") if hx < LEFT + wide / 2 else (hx - 6, "end")
        parts.append(_text(side[0], TOP + 12, TEXT["mark"], "scale", side[1]))
    ends = []
    for number, (name, own) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        way = [at(*point) for point in own]
        parts.append(f'<path class="curve" style="stroke:{colour}" d="M' + "L".join(f"{px:.1f} {py:.1f}" for px, py in way) + '"/>')
        parts += [_mark(number, px, py, colour) for px, py in (way if len(way) <= 12 else ())]
        ends.append((way[-1][1], way[-1][0], name, colour))
    parts += _names(ends, TOP + high)
    return _figure("".join(parts), alt, caption, height)


def columns(counts: Mapping[str, int], expected: Sequence[float], y: str, alt: str, caption: str = "", *, height: int = 210) -> Figure:
    """A bar for each name, its count above it, and a tick at the number that was expected."""
    if not counts:
        raise ModelError(TEXT["empty"])
    top = max(1.0, *counts.values(), *expected) * 1.12
    wide, high = (WIDTH - LEFT - 20) / len(counts), height - TOP - BOTTOM
    parts = [_text(LEFT, TOP - 12, y, "title"), f'<path class="axis" d="M{LEFT} {TOP + high}H{WIDTH - 20}"/>']
    for number, ((name, count), wanted) in enumerate(zip(counts.items(), expected, strict=True)):
        x, bar = LEFT + number * wide, high * count / top
        width = min(90.0, wide * 0.6)
        left = x + (wide - width) / 2
        level = TOP + high * (1 - wanted / top)
        parts.append(f'<rect class="bar" x="{left:.1f}" y="{TOP + high - bar:.1f}" width="{width:.1f}" height="{bar:.1f}"/>')
        parts.append(f'<path class="want" d="M{left - 6:.1f} {level:.1f}h{width + 12:.1f}"/>')
        parts.append(_text(x + wide / 2, TOP + high - max(bar, high * wanted / top) - 6, str(count), "series", "middle", INK))
        parts.append(_text(x + wide / 2, TOP + high + 16, name, "label", "middle"))
        parts.append(_text(x + wide / 2, TOP + high + 32, f"{wanted:.1f}".removesuffix(".0"), "scale", "middle"))
    return _figure("".join(parts), alt, caption, height)


def _axes(across: Point, up: Point, at: Callable[[float, float], Point], x: str, y: str, height: int) -> Iterator[str]:
    """Lines, ticks and titles; ``across`` and ``up`` are (distance of ticks, last one)."""
    end, base = WIDTH - RIGHT, at(0, 0)[1]
    for number in range(round(up[1] / up[0]) + 1):
        _, level = at(0, number * up[0])
        yield f'<path class="grid" d="M{LEFT} {level:.1f}H{end}"/>' + _text(LEFT - 8, level + 4, f"{number * up[0]:,g}", "scale", "end")
    for number in range(round(across[1] / across[0]) + 1):
        px, _ = at(number * across[0], 0)
        yield f'<path class="axis" d="M{px:.1f} {base:.1f}v5"/>' + _text(px, base + 18, f"{number * across[0]:,g}", "scale", "middle")
    yield f'<path class="axis" d="M{LEFT} {TOP}V{base:.1f}H{end}"/>'
    yield _text((LEFT + end) / 2, height - 8, x, "title", "middle") + _text(12, TOP - 14, y, "title")


def _names(ends: list[tuple[float, float, str, str]], base: float) -> Iterator[str]:
    """Names at the curves' ends, from the lowest upwards, none below the axis, moved apart where they would overlap."""
    last = base + NEAR
    for level, x, name, colour in sorted(ends, reverse=True):
        last = min(level + 4, last - NEAR)
        yield _text(x + 12, last, name, "series", "start", colour)


def _mark(number: int, x: float, y: float, colour: str) -> str:
    if number % 3 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    if number % 3 == 1:
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" fill="{colour}"/>'


def _step(most: float) -> float:
    """A round distance of ticks: four to eight of them."""
    rough = max(most, 1e-9) / 5
    base = 10 ** floor(log10(rough))
    return next(base * factor for factor in (1, 2, 5, 10) if base * factor >= rough)


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start", colour: str = "") -> str:
    fill = f' style="fill:{colour}"' if colour else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{fill}>{escape(words)}</text>'


def _figure(body: str, alt: str, caption: str, height: int) -> Figure:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label="{escape(alt)}" {size}>'
    plate = f'<rect class="plate" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return Figure(f"{head}<style>{STYLE}{LOOK}</style>{plate}{body}</svg>", alt, caption)
