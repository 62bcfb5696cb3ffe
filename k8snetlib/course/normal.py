"""The one form in which a notebook is stored: two executions of the same code give the same bytes.

What an execution leaves behind by chance is taken out: widget ids (renumbered from 1 in the order in which widgets appear), models that no
view reaches, times, the Python version, how the kernel cut its output into pieces. What an editor leaves behind goes too: other metadata.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8snetlib.errors import K8sNetError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEXT = {
    "json": "{path}: not a notebook in nbformat 4: {reason}",
    "invalid": "{path}: not a valid notebook: {reason}",
}

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CELL_METADATA = ("deletable", "editable", "jupyter", "nbgrader", "slideshow", "tags")
"""The cell metadata that is kept; anything else is an editor's memory."""

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"


def read(path: Path) -> NotebookNode:
    """The notebook in a file, as it is: ids that are missing stay missing. Raises :class:`~k8snetlib.errors.K8sNetError`."""
    from nbformat import v4

    try:
        nb = v4.reads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # nbformat takes the form for granted
        raise K8sNetError(TEXT["json"].format(path=path, reason=error)) from error
    if nb.get("nbformat") != 4:
        raise K8sNetError(TEXT["json"].format(path=path, reason=f"nbformat {nb.get('nbformat')}"))
    return nb


def write(nb: NotebookNode) -> str:
    """The text of a notebook, as nbformat writes it, with a newline at its end."""
    from nbformat import v4

    return v4.writes(nb) + "\n"


def normalise(nb: NotebookNode, *, widgets: bool = True, name: str = "notebook") -> NotebookNode:
    """A copy of ``nb`` in its stored form; ``widgets=False`` leaves live widgets out and keeps their static twins.

    Raises :class:`~k8snetlib.errors.K8sNetError` where the result is not a valid notebook.
    """
    import nbformat

    out = nbformat.from_dict(json.loads(json.dumps(nb)))
    state = out.metadata.get("widgets")
    out.nbformat, out.nbformat_minor = 4, 5
    out.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    if state and widgets:
        out.metadata.widgets = state
    _identify(out.cells)
    for cell in out.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata})
        if cell.cell_type == "code":
            cell.outputs = list(_outputs(cell.outputs, widgets))
    if widgets:
        out = _number_widgets(out)
    try:
        nbformat.validate(out)
    except nbformat.ValidationError as error:
        raise K8sNetError(TEXT["invalid"].format(path=name, reason=str(error).splitlines()[0])) from error
    return out


def _identify(cells: list[NotebookNode]) -> None:
    """Every cell keeps its id; one without, or with another cell's, gets one that depends on its text and its occurrence alone."""
    seen: set[str] = set()
    for cell in cells:
        number = 0
        while cell.get("id", "") in seen | {""}:
            text = json.dumps([cell.cell_type, cell.source, number])
            cell.id = hashlib.sha256(text.encode()).hexdigest()[:8]
            number += 1
        seen.add(cell.id)


def _outputs(outputs: list[NotebookNode], widgets: bool) -> Iterator[NotebookNode]:
    """Outputs without chance in them: neighbouring pieces of one stream joined, no metadata that only an execution knows."""
    last = None
    for output in outputs:
        if output.output_type == "stream" and last is not None and last.output_type == "stream" and last.name == output.name:
            last.text += output.text
            continue
        if last is not None:
            yield last
        if not widgets and VIEW in output.get("data", {}):
            del output.data[VIEW]
        last = output
    if last is not None:
        yield last


def _number_widgets(nb: NotebookNode) -> NotebookNode:
    """Number the widget models in the order in which the displayed views reach them; drop those that none reaches."""
    import nbformat

    models: dict[str, Any] = nb.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    order: dict[str, str] = {}
    for view in _views(nb):
        _reach(view, models, order)
    _links(models, order)
    kept = {key: models[key] for key in order if key in models}
    if kept:
        nb.metadata.widgets = nbformat.from_dict({STATE: {"state": kept, "version_major": 2, "version_minor": 0}})
    else:
        nb.metadata.pop("widgets", None)
    text = re.sub(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", lambda match: order.get(match[0], match[0]), json.dumps(nb))
    return nbformat.from_dict(json.loads(text))


def _views(nb: NotebookNode) -> Iterator[str]:
    """Ids of the displayed widgets, in order."""
    return (output.data[VIEW]["model_id"] for cell in nb.cells for output in cell.get("outputs", []) if VIEW in output.get("data", {}))


def _reach(model: str, models: dict[str, Any], order: dict[str, str]) -> None:
    """Give ``model`` the next number, then everything that it refers to."""
    if model in order:
        return
    order[model] = f"{len(order) + 1:032x}"
    for other in _references(models.get(model, {})):
        _reach(other, models, order)


def _links(models: dict[str, Any], order: dict[str, str]) -> None:
    """No model refers to a link between widgets (``jslink``), yet it works for those that it joins: keep a link whose ends are kept."""
    links = {key: _references(model) for key, model in models.items() if key not in order and "Link" in model.get("model_name", "")}
    whole = {key: [order[end] for end in ends] for key, ends in links.items() if ends and set(ends) <= set(order)}
    for key in sorted(whole, key=lambda key: (whole[key], json.dumps(models[key], sort_keys=True))):
        order[key] = f"{len(order) + 1:032x}"


def _references(model: Any) -> list[str]:
    """Ids of the models that ``model`` refers to, in the order of its sorted keys."""
    return re.findall(r"IPY_MODEL_([0-9a-f]{32})", json.dumps(model, sort_keys=True))
