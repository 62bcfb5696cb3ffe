"""A matrix as a figure: rows in groups, columns, and a dot where both meet; a line joins the dots of a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from ..errors import ModelError
from .figure import Figure
from .render import INK, MUTED, PALETTE, STYLE

WIDTH, NAMES, TOP, ROW, HEAD, PAD = 880, 238, 62, 25, 26, 14  # pixels
DOT = 6.5
TEXT = {"empty": "a matrix needs at least one row and one column"}
LOOK = "".join(
    f".k8snet.k8snet .{rule}"
    for rule in (
        f"head{{font-size:11.5px;font-weight:600;fill:{INK}}}",
        f"group{{font-size:12.5px;font-weight:700;fill:{INK}}}",
        f"row{{font-size:12px;fill:{INK}}}",
        "grid{stroke:#e6eaf0;stroke-width:1}",
        f"join{{stroke:{MUTED};stroke-width:1.4}}",
    )
)


def matrix(
    groups: Mapping[str, Mapping[str, Collection[str]]],
    columns: Mapping[str, str],
    alt: str,
    caption: str = "",
    *,
    kinds: Sequence[str] = (),
) -> Figure:
    """``groups`` are rows by group, each with the keys of its columns; ``columns`` the keys with their heads, in order; ``kinds`` the drawing
    classes whose colours the groups have. ModelError where there is nothing to draw."""
    if not columns or not any(groups.values()):
        raise ModelError(TEXT["empty"])
    step = (WIDTH - NAMES - PAD) / len(columns)
    place = {key: NAMES + step * (number + 0.5) for number, key in enumerate(columns)}
    height = TOP + sum(HEAD + ROW * len(rows) for rows in groups.values()) + PAD
    parts = [_head(place[key], words) for key, words in columns.items()]
    y = TOP
    for number, (group, rows) in enumerate(groups.items()):
        fill, stroke = PALETTE[kinds[number % len(kinds)] if kinds else "host"]
        parts.append(f'<rect x="{PAD / 2}" y="{y}" width="{WIDTH - PAD}" height="{HEAD + ROW * len(rows) - 4}" rx="6" fill="{fill}"/>')
        parts.append(_text(PAD + 4, y + 17, group, "group"))
        y += HEAD
        for name, keys in rows.items():
            parts.append(_row(name, y, [place[key] for key in columns if key in keys], stroke))
            y += ROW
    lines = "".join(f'<path class="grid" d="M{x:.1f} {TOP - 4}V{height - PAD}"/>' for x in place.values())
    return _figure(lines + "".join(parts), alt, caption, height)


def _head(x: float, words: str) -> str:
    lines = words.split("\n")
    first = TOP - 12 - 14 * (len(lines) - 1)
    return "".join(_text(x, first + 14 * number, line, "head", "middle") for number, line in enumerate(lines))


def _row(name: str, y: float, dots: Sequence[float], colour: str) -> str:
    middle = y + ROW / 2 - 5
    join = f'<path class="join" d="M{dots[0]:.1f} {middle}H{dots[-1]:.1f}"/>' if len(dots) > 1 else ""
    circles = "".join(f'<circle cx="{x:.1f}" cy="{middle}" r="{DOT}" fill="{colour}"/>' for x in dots)
    return _text(PAD + 18, middle + 4, name, "row") + join + circles


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _figure(body: str, alt: str, caption: str, height: int) -> Figure:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label="{escape(alt)}" {size}>'
    plate = f'<rect class="plate" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return Figure(f"{head}<style>{STYLE}{LOOK}</style>{plate}{body}</svg>", alt, caption)
