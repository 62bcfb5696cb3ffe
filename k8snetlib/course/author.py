"""Notebooks as text, for those who write them: every cell keeps its id, so that a small change of text is a small change of the notebook.

The notebook is the source; the text is a way to edit it in any editor (``python -m k8snetlib.course.author --help``). A cell begins with a
line that says what it is, and its text follows as it stands::

    %% markdown id=title
    # Overlays
    %% code id=walk
    cluster.trace("pod/web", "pod/api-2")
    %% code id=mtu solution
    ### BEGIN SOLUTION
    mtu = 1450
    ### END SOLUTION
    %% code id=mtu-check graded=5
    check("03.1")

Words after the id: ``solution`` (the student's own cell), ``graded=POINTS`` (its check), ``locked`` (the student cannot change it),
``raises`` (the cell may raise), ``hidden`` (its code is folded away). Saving drops outputs; ``k8snet build`` makes them anew.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from k8snetlib.errors import K8sNetError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEXT = {
    "header": "line {line}: a cell begins with '%% markdown id=NAME' or '%% code id=NAME', then {words}: {got!r}",
    "before": "line 1: text before the first '%%' line",
    "twice": "line {line}: a second cell with id {id!r}",
    "metadata": "cell {cell}: metadata that this text form cannot hold: {rest}",
    "show": "print a notebook as text",
    "save": "write a notebook from text, without outputs",
}

WORDS = ("solution", "locked", "raises", "hidden")
_WORD = rf"{'|'.join(WORDS)}|graded=\d+(\.\d+)?"
_HEADER = re.compile(rf"%% (?P<kind>markdown|code) id=(?P<id>[A-Za-z0-9_-]{{1,64}})(?P<words>( ({_WORD}))*)\Z")


def cell(kind: str, name: str, source: str, *words: str) -> NotebookNode:
    """One cell; ``kind`` is ``markdown`` or ``code``, ``words`` are those of the text form.

    A solution and a check carry the tag ``raises-exception``: as a student gets them, they raise.
    """
    from nbformat import v4

    points = next((float(word.partition("=")[2]) for word in words if word.startswith("graded=")), None)
    metadata: dict[str, object] = {}
    if points is not None or {"solution", "locked"} & set(words):
        role = {"grade": points is not None, "locked": "solution" not in words, "solution": "solution" in words, "task": False}
        metadata["nbgrader"] = {"schema_version": 3, "grade_id": name, **role}
        if points is not None:
            metadata["nbgrader"]["points"] = int(points) if points.is_integer() else points  # type: ignore[index]
    if kind == "code" and (points is not None or "raises" in words or "solution" in words):
        metadata["tags"] = ["raises-exception"]
    if "hidden" in words:
        metadata["jupyter"] = {"source_hidden": True}
    make = v4.new_markdown_cell if kind == "markdown" else v4.new_code_cell
    return make(source, id=name, metadata=metadata)


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook of these cells, in its stored form, not yet run."""
    from nbformat import v4

    from k8snetlib.course import normal

    return normal.normalise(v4.new_notebook(cells=list(cells)))


def loads(text: str) -> NotebookNode:
    """The notebook of a text; raises :class:`~k8snetlib.errors.K8sNetError` with the line of a mistake."""
    cells: list[tuple[re.Match[str], list[str]]] = []
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%% "):
            header = _HEADER.match(line)
            if header is None:
                words = ", ".join((*WORDS, "graded=POINTS"))
                raise K8sNetError(TEXT["header"].format(line=number, words=words, got=line))
            if header["id"] in seen:
                raise K8sNetError(TEXT["twice"].format(line=number, id=header["id"]))
            seen.add(header["id"])
            cells.append((header, []))
        elif cells:
            cells[-1][1].append(line)
        elif line.strip():
            raise K8sNetError(TEXT["before"])
    return notebook(*(cell(head["kind"], head["id"], "\n".join(lines).strip("\n"), *head["words"].split()) for head, lines in cells))


def dumps(nb: NotebookNode) -> str:
    """The text of a notebook; raises :class:`~k8snetlib.errors.K8sNetError` for metadata that it cannot hold."""
    return "\n".join(f"{' '.join(['%%', one.cell_type, f'id={one.id}', *_words(one)])}\n{one.source}\n" for one in nb.cells)


def _words(one: NotebookNode) -> list[str]:
    metadata = one.metadata
    role, tagged = metadata.get("nbgrader", {}), "raises-exception" in metadata.get("tags", [])
    words = ["solution"] if role.get("solution") else []
    words += [f"graded={role['points']:g}"] if role.get("grade") else ["locked"] if role.get("locked") else []
    words += ["raises"] if tagged and not (role.get("solution") or role.get("grade")) else []
    words += ["hidden"] if metadata.get("jupyter", {}).get("source_hidden") else []
    if cell(one.cell_type, one.id, "", *words).metadata != metadata:
        raise K8sNetError(TEXT["metadata"].format(cell=one.id, rest=dict(metadata)))
    return words


def main(arguments: list[str] | None = None) -> None:
    """The two commands: ``show NOTEBOOK`` prints the text, ``save TEXT NOTEBOOK`` writes the notebook."""
    from k8snetlib.course import normal

    parser = argparse.ArgumentParser(prog="python -m k8snetlib.course.author", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help=TEXT["show"]).add_argument("notebook", type=Path)
    save = commands.add_parser("save", help=TEXT["save"])
    save.add_argument("text", type=Path)
    save.add_argument("notebook", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "show":
            print(dumps(normal.normalise(normal.read(chosen.notebook))), end="")
        else:
            chosen.notebook.parent.mkdir(parents=True, exist_ok=True)
            chosen.notebook.write_text(normal.write(loads(chosen.text.read_text(encoding="utf-8"))), encoding="utf-8", newline="\n")
    except (K8sNetError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
