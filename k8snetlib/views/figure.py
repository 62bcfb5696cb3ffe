"""A figure of a lesson: a drawing, the sentence that says what it shows, and a caption.

The drawing is shown as an image with a ``data:`` address rather than as SVG in the page: in a notebook that is not trusted (every fresh
clone and every Binder) JupyterLab shows a bare SVG output only as text, and inline ``<svg>`` as garbage. The image, its text alternative
and its caption survive that, and GitHub and nbviewer too.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from k8snetlib.views import render

if TYPE_CHECKING:
    import graphviz


@dataclass(frozen=True, slots=True, repr=False)
class Figure:
    """``svg`` with its text alternative ``alt`` (a sentence, never empty) and an optional ``caption``.

    In a notebook it is a ``<figure>`` with an ``<img>``; in a terminal, and for a screen reader, the sentence.
    """

    svg: str
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise render.RenderError(render.TEXT["label"])

    @classmethod
    def of(cls, dot: str | graphviz.Digraph, alt: str, caption: str = "", *, max_width: int = render.MAX_WIDTH) -> Figure:
        """The figure of a DOT graph, at most ``max_width`` CSS pixels wide; raises :class:`~k8snetlib.views.render.RenderError`."""
        return cls(render.svg(dot, alt, max_width=max_width), alt, caption)

    def html(self) -> str:
        """The figure as HTML that every notebook viewer keeps, trusted or not."""
        image = b64encode(self.svg.encode()).decode()
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        picture = f'<img style="max-width:100%" alt="{escape(self.alt)}" src="data:image/svg+xml;base64,{image}">'
        return f'<figure style="margin:0.5em 0">{picture}{caption}</figure>'

    def __str__(self) -> str:
        return self.alt

    def __repr__(self) -> str:
        return f"Figure({self.alt!r})"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}
