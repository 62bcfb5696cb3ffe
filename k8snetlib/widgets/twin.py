"""One output for a widget: the live view, its static twin in HTML, and one sentence, all three in the same MIME bundle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..views.tables import caption_html

LEFT = "text-align:left;vertical-align:top"
VIEW = "application/vnd.jupyter.widget-view+json"


class Twin:
    """Mixed into an ipywidgets class, before it: ``alt()`` is the sentence, ``twin()`` the HTML of what the widget shows now."""

    def alt(self) -> str:
        """What the widget shows, in one sentence."""
        raise NotImplementedError

    def twin(self) -> str:
        """The figure and the table that stand for the widget where it cannot live."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.alt()}"

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": repr(self), "text/html": self.twin(), VIEW: view}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """An HTML table of HTML cells; the first cell of a row is its heading."""
    top = "".join(f'<th scope="col" style="{LEFT}">{cell}</th>' for cell in head)
    lines = ((first, "".join(f'<td style="{LEFT}">{cell}</td>' for cell in rest)) for first, *rest in rows)
    body = "".join(f'<tr><th scope="row" style="{LEFT}">{first}</th>{rest}</tr>' for first, rest in lines)
    return f"<table>{caption_html(caption)}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
