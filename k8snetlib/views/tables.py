"""Tables of a trace: its steps, the headers at one step, two traces side by side. HTML in a notebook, aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..errors import ModelError
from ..linux.events import Trace
from ..linux.packet import Frame
from ..value import value
from .headers import Change, Header
from .headers import headers as layers
from .places import is_balanced
from .text import place_name, summary
from .walk import Step, steps

TEXT = {
    "step": "step",
    "where": "where",
    "what": "what happens",
    "decided": "decided by",
    "bytes": "bytes",
    "changed": "changed",
    "headers": "Headers at step {n}, {where}",
    "frame": "Headers of a frame of {n} bytes",
    "steps": "The packet's way",
    "new": "new",
    "no-step": "there is no step {step}: the walk has steps 1 to {n}",
}
CELL = "text-align:left;vertical-align:top;padding:4px 8px"
MONO = "font-family:monospace;font-size:0.92em"  # a plain name: an untrusted notebook loses a style with var()
WHOLE = "white-space:nowrap"
SHORT = 64  # characters of a caption that stay on one line, however narrow the table is: half a notebook's column holds them


@value
class Table:
    """Rows of text under column heads, with a caption; cells may have several lines.

    ``code`` names columns shown in a fixed-width font, ``whole`` those whose lines are never broken (``veth-web`` has a hyphen).
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    code: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def html(self) -> str:
        """The table as HTML that an untrusted notebook keeps."""
        heads = "".join(f'<th scope="col" style="{CELL}">{escape(head)}</th>' for head in self.heads)
        rows = []
        for row in self.rows:
            cells = (self._cell(head, text) for head, text in zip(self.heads, row, strict=True))
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table>{caption_html(self.caption)}<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"

    def _cell(self, head: str, text: str) -> str:
        shown = escape(text).replace("\n", "<br>")
        style = ";".join([CELL] + [MONO] * (head in self.code) + [WHOLE] * (head in self.whole))
        return f'<td style="{style}">{shown}</td>'

    def __str__(self) -> str:
        cells = [self.heads, *self.rows]
        split = [[cell.split("\n") for cell in row] for row in cells]
        widths = [max(len(line) for row in split for line in row[column]) for column in range(len(self.heads))]
        lines = []
        for number, row in enumerate(split):
            for index in range(max(map(len, row))):
                parts = (cell[index] if index < len(cell) else "" for cell in row)
                lines.append("  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip())
            if number == 0:
                lines.append("  ".join("─" * width for width in widths))
        return "\n".join(([self.caption] if self.caption else []) + lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def caption_html(caption: str) -> str:
    """A table's caption, not broken where it is short, as a browser breaks it at the table's own width; nothing for none."""
    style = ";".join(["text-align:left"] + [WHOLE] * (len(caption) <= SHORT))
    return f'<caption style="{style}">{escape(caption)}</caption>' if caption else ""


def table(trace: Trace, journey: int = 0) -> Table:
    """The steps of a trace: where, what happens, what decided it, how long the packet is then."""
    walk, rows = steps(trace, journey), []
    balanced = is_balanced(walk)
    for step in walk:
        decided = "\n".join(dict.fromkeys(d.text for d in step.decisions))
        rows.append((str(step.number), place_name(step.place, balanced=balanced), "\n".join(step.happened), decided, str(step.length)))
    heads = (TEXT["step"], TEXT["where"], TEXT["what"], TEXT["decided"], TEXT["bytes"])
    return Table(heads, tuple(rows), f"{TEXT['steps']}: {summary(trace)}", frozenset({TEXT["decided"]}), frozenset({TEXT["where"]}))


def header_rows(headers: Sequence[Header], changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """(layer, bytes, fields, what changed), outermost header first, then a row for each header that is gone."""
    changed: dict[int, list[str]] = {}
    for change in changes:
        words = f"{change.field}: {change.old} → {change.new}" if change.field else change.new or change.old
        changed.setdefault(change.index, []).append(words)
    rows = [
        (h.layer, str(h.length), "\n".join(f"{n}: {text}" for n, text in h.fields), "\n".join(changed.get(i, ())))
        for i, h in enumerate(headers)
    ]
    return rows + [(change.layer, "", "", change.old) for change in changes if change.index < 0]


def headers(seen: Trace | Frame, step: int | Step = 0) -> Table:
    """The headers of a trace's packet as it leaves one step, outermost first, and what that step changed; or those of a captured frame.

    ModelError where the trace has no such step.
    """
    if isinstance(seen, Frame):
        rows = tuple(row[:3] for row in header_rows(layers(seen), ()))
        return Table(("header", TEXT["bytes"], "fields"), rows, TEXT["frame"].format(n=len(seen)), frozenset({"fields"}))
    walk = steps(seen)
    if not isinstance(step, Step) and not 1 <= step <= len(walk):
        raise ModelError(TEXT["no-step"].format(step=step, n=len(walk)))
    chosen = step if isinstance(step, Step) else walk[step - 1]
    rows = header_rows(chosen.headers, chosen.changes)
    caption = TEXT["headers"].format(n=chosen.number, where=place_name(chosen.place, balanced=is_balanced(walk)))
    return Table(("header", TEXT["bytes"], "fields", TEXT["changed"]), tuple(rows), caption, frozenset({"fields", TEXT["changed"]}))


def _trace_html(trace: Trace) -> str:
    return table(trace).html()


NOTEBOOK = {Trace: _trace_html}
