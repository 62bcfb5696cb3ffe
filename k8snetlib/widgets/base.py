"""What all widgets share: a static twin beside the live view, a text that never changes, and controls around one pure view function.

Theory of operation. A widget's one output holds the live view, ``text/html`` (the twin) and ``text/plain``; a page shows the richest that
it can and trusts. JupyterLab shows the widget where the notebook is trusted, the twin where it is not; GitHub, nbviewer and paper show
the twin. An explorer's controls are ipywidgets; when one moves, the choices go to ``view(**choices)``, a pure function whose answers are
remembered, and the answer's HTML and, if it has a trace, its packet walk take the place of the last. ``Output``, ``interact`` and
``clear_output`` are not used: they make outputs that differ from run to run. JupyterLab sends the messages of two controls to two threads
of the kernel (subshells), so a lock lets one answer at a time be made, from what all controls say by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import ipywidgets

from ..errors import K8sNetError
from ..linux.events import Trace
from ..value import value
from ..views.figure import Figure
from .packet_walk import PacketWalk, walk_twin
from .twin import Twin

if TYPE_CHECKING:
    from ipywidgets import Widget

TEXT = {
    "choices": "Chosen: {choices}.",
    "choice": "{name} {value}",
    "mistake": "Not possible: {error}",
    "live": "Run this cell in JupyterLab to change the choices.",
}
HANDLE = {"handle_color": "#1a66cc"}  # of a slider: JupyterLab's own is white on white
REMEMBERED = 512  # answers; a slider's whole range fits

STYLE = f"<style>\n{(Path(__file__).parent / 'explorer.css').read_text(encoding='utf-8')}</style>"


@value
class Columns:
    """Two columns of blocks, one below the other where there is little room, and on paper."""

    left: tuple[Figure | str, ...]
    right: tuple[Figure | str, ...]


@value
class Answer:
    """What an explorer shows for one choice: ``summary`` says it in one sentence, ``blocks`` are figures, HTML text and columns, in order.

    ``tone`` is "good", "bad" or "" and colours the summary's edge. With a ``trace``, its packet walk follows.
    """

    summary: str
    blocks: tuple[Figure | str | Columns, ...] = ()
    trace: Trace | None = None
    tone: str = ""

    def html(self, *, live: bool) -> str:
        """The answer as HTML: drawings inline where it is ``live``, as images, which survive an untrusted notebook, where not."""
        mark = f" {self.tone}" if self.tone else ""
        head = f'<p class="summary{mark}" role="status">{escape(self.summary)}</p>'
        return f'<div class="k8s-answer">{head}{_blocks(self.blocks, live)}</div>'


def _blocks(blocks: Iterable[Figure | str | Columns], live: bool) -> str:
    parts = []
    for block in blocks:
        if isinstance(block, Columns):
            parts.append(f'<div class="cols"><div>{_blocks(block.left, live)}</div><div>{_blocks(block.right, live)}</div></div>')
        else:
            parts.append(block if isinstance(block, str) else _inline(block) if live else block.html())
    return "".join(parts)


def _inline(figure: Figure) -> str:
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return f"<figure>{figure.svg}{caption}</figure>"


class Explorer(Twin, ipywidgets.VBox):
    """Controls around one pure view function.

    ``controls`` are ipywidgets by the name of the view's argument; ``rows`` says which stand beside each other. A mistake of the
    library's own that the view raises is shown as its message. ``value`` is the answer that is shown.
    """

    def __init__(
        self,
        title: str,
        view: Callable[..., Answer],
        controls: Mapping[str, Widget],
        rows: Sequence[Sequence[str]],
        *,
        walk: bool = False,
    ) -> None:
        self._title, self._view, self.controls = title, view, dict(controls)
        self._remembered: dict[tuple, Answer] = {}
        self._html = ipywidgets.HTML()
        self._settling, self._lock = False, RLock()
        self.value: Answer = self.answer()
        self.walk = PacketWalk(self.value.trace) if walk else None
        boxes = [_row([self.controls[name] for name in row]) for row in rows]
        super().__init__([ipywidgets.HTML(STYLE, layout={"display": "none"}), *boxes, self._html, *((self.walk,) if self.walk else ())])
        self.add_class("k8s-explorer")
        self._show()
        for control in self.controls.values():
            control.observe(self._moved, "value")

    @property
    def choices(self) -> dict[str, Any]:
        """What the controls say, by the name of the view's argument."""
        return {name: control.value for name, control in self.controls.items()}

    def answer(self) -> Answer:
        """The view's answer to the present choices, from memory where it was asked before."""
        key = tuple(self.choices.items())
        if key not in self._remembered:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            try:
                self._remembered[key] = self._view(**self.choices)
            except K8sNetError as error:
                self._remembered[key] = Answer(TEXT["mistake"].format(error=error), tone="bad")
        return self._remembered[key]

    def settle(self) -> None:
        """Make the controls fit each other after one has moved, such as the ports of another Pod; nothing to do by default."""

    def _moved(self, change: object) -> None:
        with self._lock:
            if self._settling:
                return
            self._settling = True
            try:
                self.settle()
            finally:
                self._settling = False
            self.value = self.answer()
            self._show()

    def _show(self) -> None:
        self._html.value = self.value.html(live=True)
        if self.walk is not None:
            self.walk.show(self.value.trace)

    def alt(self) -> str:
        return f"{self._title}. {self.value.summary}"

    def told(self) -> list[str]:
        """The choices in words, for the twin."""
        return [TEXT["choice"].format(name=c.description.rstrip(":"), value=_label(c)) for c in self.controls.values()]

    def twin(self) -> str:
        chosen = escape(TEXT["choices"].format(choices="; ".join(self.told())))
        head = f"<p><strong>{escape(self._title)}</strong>. {chosen} <em>{escape(TEXT['live'])}</em></p>"
        walk = walk_twin(self.value.trace) if self.walk is not None and self.value.trace is not None else ""
        return head + self.value.html(live=False) + walk


def _row(controls: Sequence[Widget]) -> Widget:
    return ipywidgets.Box(controls, layout={"display": "flex", "flex_flow": "row wrap", "align_items": "center"})


def _label(control: Widget) -> str:
    """The choice as the control shows it."""
    label = getattr(control, "label", None)
    if label is not None:
        return str(label)
    return ("no", "yes")[control.value] if isinstance(control.value, bool) else str(control.value)
