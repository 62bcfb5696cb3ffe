"""Limits as bars beside what was wanted: how far each would let one go, and how far one got."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from html import escape

from ..errors import ModelError
from .figure import Figure
from .render import INK, MUTED, PLATE, STYLE

WIDTH, LEFT, RIGHT = 860, 268, 92  # pixels
ROW, BAR, TOP, BOTTOM = 34, 18, 34, 14
TEXT = {"empty": "there are no limits to draw", "more": "{count:,} →", "count": "{count:,}"}
LOOK = "".join(
    f".k8snet.k8snet .{rule}"
    for rule in (
        f"limit-name{{font-size:12.5px;fill:{INK}}}",
        f"limit-count{{font-size:12.5px;font-weight:600;fill:{INK};stroke:{PLATE};stroke-width:4px;paint-order:stroke}}",
        f"limit-want{{stroke:{INK};stroke-width:1.6;stroke-dasharray:5 3}}",
        f"limit-says{{font-size:12px;fill:{MUTED}}}",
        "limit-room{fill:#dcefe1;stroke:#188038;stroke-width:1.2}",
        "limit-short{fill:#fbe3e1;stroke:#c5221f;stroke-width:1.2}",
        "limit-got{fill:#e3eefd;stroke:#1a66cc;stroke-width:1.2}",
    )
)


def limits_picture(
    limits: Mapping[str, int], wanted: int, wants: str, got: tuple[str, int], alt: str, caption: str = "", stopped: Collection[str] = ()
) -> Figure:
    """A bar for each limit, and last one for what was ``got`` (name, count); a dashed line at ``wanted``, named by ``wants``.

    Bars go to twice what was wanted; one that is longer ends in an arrow beside its number. What falls short is red and marked ✕, and so
    are the limits in ``stopped``: one that would do alone can still have stopped somebody. ModelError where there is no limit.
    """
    if not limits:
        raise ModelError(TEXT["empty"])
    most = max(2 * wanted, got[1], 1)
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + ROW * (len(limits) + 1) + BOTTOM
    at = LEFT + wanted * scale
    parts, counts = [_text(at, TOP - 14, wants, "limit-says", "middle")], []
    short = {name for name, count in limits.items() if count < wanted} | set(stopped)
    rows = [(f"{'✕' if name in short else '✓'} {name}", count, "short" if name in short else "room") for name, count in limits.items()]
    for number, (name, count, look) in enumerate([*rows, (*got, "got")]):
        y, shown = TOP + ROW * number, min(count, most)
        parts.append(_text(LEFT - 10, y + BAR - 4, name, "limit-name", "end"))
        parts.append(f'<rect class="limit-{look}" x="{LEFT}" y="{y}" width="{shown * scale:.1f}" height="{BAR}"/>')
        number_text = TEXT["more" if count > most else "count"].format(count=count)
        counts.append(_text(LEFT + shown * scale + 7, y + BAR - 4, number_text, "limit-count"))
    parts += [f'<path class="limit-want" d="M{at:.1f} {TOP - 8}V{height - BOTTOM}"/>', *counts]  # a number on the line stays legible
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label="{escape(alt)}" {size}>'
    plate = f'<rect class="plate" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return Figure(f"{head}<style>{STYLE}{LOOK}</style>{plate}{''.join(parts)}</svg>", alt, caption)


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
