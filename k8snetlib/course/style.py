"""The rules that keep lessons and exercises alike: how long, how marked, how stored. Each breach is one line with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

from k8snetlib.views.render import MAX_WIDTH

if TYPE_CHECKING:
    from nbformat import NotebookNode

LESSON_CELLS, CODE_LINES, MEDIAN_CODE_LINES, WORDS = (30, 50), 12, 5, 120
QUESTIONS, POINTS = (2, 4), 10
MARK = "### "  # nbgrader's marks of a solution are no code
TEXT = {
    "cells": "{name}: {count} cells; a lesson has {low} to {high}",
    "lines": "{name}, cell {cell}: {count} lines of code; the limit is {limit}",
    "median": "{name}: the median code cell has {count:g} lines; the limit is {limit}",
    "words": "{name}, cell {cell}: {count} words; the limit is {limit}",
    "title": "{name}: the first cell is not a title (# …)",
    "semicolon": "{name}, cell {cell}: a semicolon at the end hides the output, and strict comparison fails on it",
    "run": "{name}, cell {cell}: not run, or not run in order from a fresh kernel (execution count {count}, expected {expected})",
    "outputs": "{name}, cell {cell}: a student's notebook carries no outputs",
    "alt": "{name}, cell {cell}: an image without a text alternative",
    "width": "{name}, cell {cell}: a figure of {width} px; the column has {limit}",
    "questions": "{name}: {count} graded questions; an exercise has {low} to {high}",
    "points": "{name}: {points:g} points; an exercise has {limit}",
    "check": '{name}, cell {cell}: a graded cell holds one line, check("{number}.N")',
    "tag": "{name}, cell {cell}: needs the tag raises-exception, because the student's version raises",
    "answer": "{name}: a line of the solution is left: {line!r}",
}


def lesson(nb: NotebookNode, name: str) -> list[str]:
    """What is wrong with a lesson."""
    return [*_shape(nb, name), *_size(nb, name), *_stored(nb, name), *_figures(nb, name)]


def solution(nb: NotebookNode, name: str) -> list[str]:
    """What is wrong with a teacher's notebook."""
    return [*_size(nb, name), *_grading(nb, name), *_stored(nb, name), *_figures(nb, name)]


def exercise(nb: NotebookNode, name: str, answers: list[str]) -> list[str]:
    """What is wrong with a student's notebook; ``answers`` are the lines of its solution (see :func:`assignment.solution_lines`)."""
    found = [TEXT["outputs"].format(name=name, cell=cell.id) for cell in nb.cells if cell.get("outputs") or cell.get("execution_count")]
    lines = {line.strip() for cell in nb.cells for line in cell.source.split("\n")}
    telling = [line.strip() for line in answers if re.search(r"\w\W+\w", line) and not line.strip().startswith(("def ", "#"))]
    left = [line for line in telling if line in lines]
    return found + list(_grading(nb, name)) + [TEXT["answer"].format(name=name, line=line) for line in left]


def _shape(nb: NotebookNode, name: str) -> Iterator[str]:
    low, high = LESSON_CELLS
    if not low <= len(nb.cells) <= high:
        yield TEXT["cells"].format(name=name, count=len(nb.cells), low=low, high=high)
    if not nb.cells or nb.cells[0].cell_type != "markdown" or not nb.cells[0].source.startswith("# "):
        yield TEXT["title"].format(name=name)
    lengths = [len(cell.source.splitlines()) for cell in nb.cells if cell.cell_type == "code"]
    if lengths and median(lengths) > MEDIAN_CODE_LINES:
        yield TEXT["median"].format(name=name, count=median(lengths), limit=MEDIAN_CODE_LINES)


def _size(nb: NotebookNode, name: str) -> Iterator[str]:
    for cell in nb.cells:
        if cell.cell_type == "code":
            count = sum(not line.startswith(MARK) for line in cell.source.splitlines())
            if count > CODE_LINES:
                yield TEXT["lines"].format(name=name, cell=cell.id, count=count, limit=CODE_LINES)
            if cell.source.rstrip().endswith(";"):
                yield TEXT["semicolon"].format(name=name, cell=cell.id)
        elif (count := len(_prose(cell.source).split())) > WORDS:
            yield TEXT["words"].format(name=name, cell=cell.id, count=count, limit=WORDS)


def _prose(source: str) -> str:
    """A markdown cell's running text: without fenced code, tables, tags and the addresses of links."""
    text = re.sub(r"```.*?```|<[^>]+>|^\|.*$", " ", source, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", text)


def _stored(nb: NotebookNode, name: str) -> Iterator[str]:
    """Every code cell was run, once, in order: otherwise strict comparison would silently compare nothing."""
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
    for expected, cell in enumerate(code, 1):
        if cell.execution_count != expected:
            yield TEXT["run"].format(name=name, cell=cell.id, count=cell.execution_count, expected=expected)


def _figures(nb: NotebookNode, name: str) -> Iterator[str]:
    from base64 import b64decode

    for cell in nb.cells:
        pages = [cell.source] if cell.cell_type == "markdown" else [output.get("data", {}).get("text/html", "") for output in cell.outputs]
        for image in (image for page in pages for image in re.findall(r"<img\b[^>]*>", page)):
            if not re.search(r'\balt="[^"]*\w', image):
                yield TEXT["alt"].format(name=name, cell=cell.id)
            data = re.search(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", image)
            width = re.search(r'<svg[^>]*\swidth="(\d+)', b64decode(data[1]).decode()) if data else None
            if width and int(width[1]) > MAX_WIDTH:
                yield TEXT["width"].format(name=name, cell=cell.id, width=width[1], limit=MAX_WIDTH)
        if cell.cell_type == "markdown" and "![](" in cell.source:
            yield TEXT["alt"].format(name=name, cell=cell.id)


def _grading(nb: NotebookNode, name: str) -> Iterator[str]:
    """Two to four questions worth ten points; each graded cell holds one check of this exercise; what raises for a student says so."""
    number = re.sub(r"\D.*", "", name.split("/")[-1])
    graded = [cell for cell in nb.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    low, high = QUESTIONS
    if not low <= len(graded) <= high:
        yield TEXT["questions"].format(name=name, count=len(graded), low=low, high=high)
    if (points := sum(cell.metadata.nbgrader.points for cell in graded)) != POINTS:
        yield TEXT["points"].format(name=name, points=points, limit=POINTS)
    for cell in graded:
        if cell.cell_type == "code" and not re.fullmatch(rf'check\("{number}\.\d+"\)', cell.source):
            yield TEXT["check"].format(name=name, cell=cell.id, number=number)
    for cell in nb.cells:
        role, tags = cell.metadata.get("nbgrader", {}), cell.metadata.get("tags", [])
        if cell.cell_type == "code" and (role.get("grade") or role.get("solution")) and "raises-exception" not in tags:
            yield TEXT["tag"].format(name=name, cell=cell.id)
