"""A student's notebook, cut from the teacher's: what ``nbgrader generate_assignment`` writes, byte for byte, without nbgrader.

Source and release are nbgrader's own forms (cell metadata of schema 3), so a class that has nbgrader can use both as they are. Cells:

    solution             the student's; from ``### BEGIN SOLUTION`` to ``### END SOLUTION``, or all of it, becomes a placeholder
    grade and locked     the graded check, worth ``points``; the student cannot change it
    locked               text or code that stays as it is
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from k8snetlib.errors import K8sNetError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEXT = {
    "refused": "{name}, cell {cell}: {what!r} is not used in this course: what only the release lacks shows up in a student's feedback",
    "place": "{name}, cell {cell}: a solution outside a solution cell",
    "end": "{name}, cell {cell}: BEGIN SOLUTION and END SOLUTION do not match",
}

CODE_STUB, TEXT_STUB = "# YOUR CODE HERE\nraise NotImplementedError()", "YOUR ANSWER HERE"
BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"
REFUSED = ("BEGIN HIDDEN TESTS", "BEGIN MARK SCHEME", "AUTOTEST")


def release(nb: NotebookNode, name: str = "solution") -> NotebookNode:
    """The student's version of a teacher's notebook: solutions replaced, outputs gone, cells locked, checksums set.

    Raises :class:`~k8snetlib.errors.K8sNetError`, with ``name`` and the cell, for a solution in the wrong place and for marks that this
    course does not use.
    """
    import copy

    out = copy.deepcopy(nb)
    for cell in out.cells:
        for what in REFUSED:
            if what in cell.source:
                raise K8sNetError(TEXT["refused"].format(name=name, cell=cell.id, what=what))
        meta = cell.metadata.get("nbgrader", {})
        solution, grade = meta.get("solution", False), meta.get("grade", False)
        locked = not solution and (grade or meta.get("locked", False))
        _replace_solution(cell, solution, name)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if solution or locked:
            cell.metadata["deletable"] = False
            if locked:
                cell.metadata["editable"] = False
            meta["checksum"], meta["cell_type"] = checksum(cell), cell.cell_type
    return out


def checksum(cell: NotebookNode) -> str:
    """nbgrader's checksum of a cell: MD5 over source, kind, its three roles, id, and points where it is graded."""
    meta = cell.metadata["nbgrader"]
    solution, grade = meta.get("solution", False), meta.get("grade", False)
    locked = not solution and (grade or meta.get("locked", False))
    parts = [cell.source, cell.cell_type, str(grade), str(solution), str(locked), meta["grade_id"]]
    if grade:
        parts.append(str(float(meta["points"])))
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def solution_lines(nb: NotebookNode) -> list[str]:
    """The lines that a release must not hold: those inside solution regions, and all of a solution cell that has none."""
    return [line for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("solution") for line in _solution(cell.source)]


def _solution(source: str) -> list[str]:
    lines, inside, regions = source.split("\n"), False, []
    if BEGIN not in source:
        return lines
    for line in lines:
        if BEGIN in line or END in line:
            inside = BEGIN in line
        elif inside:
            regions.append(line)
    return regions


def _replace_solution(cell: NotebookNode, is_solution: bool, name: str) -> None:
    stub = (CODE_STUB if cell.cell_type == "code" else TEXT_STUB).split("\n")
    lines: list[str] = []
    inside = replaced = False
    for line in cell.source.split("\n"):
        if BEGIN in line:
            if inside or not is_solution:
                raise K8sNetError(TEXT["end" if inside else "place"].format(name=name, cell=cell.id))
            inside = replaced = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + stub_line for stub_line in stub]
        elif END in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise K8sNetError(TEXT["end"].format(name=name, cell=cell.id))
    if is_solution:
        cell.source = "\n".join(lines if replaced else stub)
