"""``PacketWalk``: a trace that one steps through, in the browser alone.

Python computes the drawing and the data of all steps once (:mod:`.walk_data`) and sends them once; ``packet_walk.js`` does the rest. A page
without the widget shows the twin: the figure and a table of the steps.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..linux.events import Trace
from ..views.diagrams import alt_text, diagram
from ..views.places import is_balanced, place_name
from ..views.walk import steps
from .twin import Twin, table
from .walk_data import walk_data

TEXT = {
    "label": "The walk of a packet, step by step",
    "none": "There is no packet to follow.",
    "step": "Step {n} of {total}",
    "slider": "Step",
    "first": "First step", "back": "Previous step", "play": "Play", "pause": "Pause", "next": "Next step", "last": "Last step",
    "decided": "What decided, and the command that shows it",
    "quiet": "Nothing is decided here: the packet passes on.",
    "packet": "The packet as it leaves here",
    "delivered": "The packet as it arrived",
    "dropped": "The packet as it ended here",
    "bytes": "{n} bytes",
    "payload": "data",
    "new": "+ new", "changed": "≠ changed", "gone": "− taken off: {layers}", "was": "was {old}",
    "hint": "Arrow keys step, Home and End jump, a click on a place goes there.",
    "good": "✓", "bad": "✕",
    "caption": "The steps of the walk",
    "columns": "step|place|what happens|bytes|decided by",
    "command": "{tool} → {text}",
}  # fmt: skip
HERE = Path(__file__).parent


class PacketWalk(Twin, anywidget.AnyWidget):
    """The walk of one journey of a trace (0 is the packet itself), with its diagram, its headers and what decided at each place.

    ``show`` puts another trace in its place; None shows that there is nothing to follow.
    """

    _esm = (HERE / "packet_walk.js").read_text(encoding="utf-8")
    _css = (HERE / "packet_walk.css").read_text(encoding="utf-8")
    data = traitlets.Dict().tag(sync=True)

    def __init__(self, trace: Trace | None, *, journey: int = 0, caption: str = "") -> None:
        self.trace, self.journey, self.caption = trace, journey, caption
        super().__init__(data=self._data())

    def show(self, trace: Trace | None, *, journey: int = 0) -> None:
        """Step through another trace, from its first step."""
        self.trace, self.journey = trace, journey
        self.data = self._data()

    def _data(self) -> dict[str, Any]:
        walk = walk_data(self.trace, self.journey) if self.trace is not None else {"svg": "", "alt": "", "steps": []}
        return {**walk, "caption": self.caption, "words": TEXT}

    def alt(self) -> str:
        return alt_text(steps(self.trace, self.journey)) if self.trace is not None else TEXT["none"]

    def twin(self) -> str:
        return walk_twin(self.trace, self.journey, self.caption) if self.trace is not None else f"<p>{escape(TEXT['none'])}</p>"


def walk_twin(trace: Trace, journey: int = 0, caption: str = "") -> str:
    """The figure of the walk and a table of its steps, as HTML that every notebook viewer keeps."""
    walk, rows = steps(trace, journey), []
    balanced = is_balanced(walk)
    for step in walk:
        happened = "<br>".join(escape(words) for words in step.happened)
        decided = "<br>".join(f"<code>{escape(TEXT['command'].format(tool=d.tool, text=d.text))}</code>" for d in step.decisions)
        rows.append((str(step.number), escape(place_name(step.place, balanced=balanced)), happened, str(step.length), decided))
    figure = diagram(trace=trace, journey=journey, caption=caption)
    return figure.html() + table(TEXT["columns"].split("|"), rows, TEXT["caption"])
