"""The rules of style bite: each breach is found, with its place; a good notebook has none."""

from __future__ import annotations

from base64 import b64encode

import pytest
from nbformat import v4

from k8snetlib.course import author, style


def lesson(*extra, cells=30):
    """A lesson without faults, and ``extra`` cells at its end."""
    made = [author.cell("markdown", "title", "# A lesson")]
    made += [author.cell("code", f"c{number}", "x = 1") for number in range(cells - 1 - len(extra))]
    nb = author.notebook(*made, *extra)
    for number, cell in enumerate((cell for cell in nb.cells if cell.cell_type == "code"), 1):
        cell.execution_count = number
    return nb


def exercise(*extra, points=(4, 6), tag=True, check='check("03.{}")'):
    made = [author.cell("code", "answer", "# YOUR CODE HERE\nraise NotImplementedError()", "solution")]
    made += [author.cell("code", f"q{number}", check.format(number), f"graded={value}") for number, value in enumerate(points, 1)]
    nb = author.notebook(*made, *extra)
    if not tag:
        nb.cells[0].metadata.pop("tags")
    return nb


def html(text):
    cell = author.cell("code", "figure", "figure")
    cell.outputs = [v4.new_output("display_data", {"text/html": text})]
    return cell


def image(width):
    return f"data:image/svg+xml;base64,{b64encode(f'''<svg class='x' width={chr(34)}{width}{chr(34)}/>'''.encode()).decode()}"


def test_a_good_lesson_has_no_faults():
    assert style.lesson(lesson(html(f'<img alt="a points at b" src="{image(900)}">')), "02-x.ipynb") == []


@pytest.mark.parametrize(
    ("nb", "fault"),
    [
        (lesson(cells=29), "02-x.ipynb: 29 cells; a lesson has 30 to 50"),
        (lesson(cells=51), "51 cells"),
        (lesson(author.cell("code", "long", "\n".join("x" * 13))), "cell long: 13 lines of code; the limit is 12"),
        (lesson(author.cell("code", "end", "x;")), "cell end: a semicolon"),
        (lesson(author.cell("markdown", "wordy", "word " * 121)), "cell wordy: 121 words; the limit is 120"),
        (lesson(author.cell("markdown", "picture", "![](x.png)")), "cell picture: an image without"),
        (lesson(html("<img src='x'>")), "cell figure: an image without a text alternative"),
        (lesson(html('<img alt="" src="x">')), "cell figure: an image without a text alternative"),
        (lesson(html(f'<img alt="wide" src="{image(901)}">')), "cell figure: a figure of 901 px; the column has 900"),
    ],
)
def test_each_fault_of_a_lesson_is_found(nb, fault):
    (found,) = style.lesson(nb, "02-x.ipynb")
    assert fault in found and found.startswith("02-x.ipynb")


def test_a_lesson_without_title_is_found():
    nb = lesson()
    nb.cells[0].source = "A lesson"
    assert style.lesson(nb, "x") == ["x: the first cell is not a title (# …)"]


def test_many_long_cells_are_found_by_their_median():
    nb = lesson()
    for cell in nb.cells[1:]:
        cell.source = "x\n" * 5 + "x"
    assert style.lesson(nb, "x") == ["x: the median code cell has 6 lines; the limit is 5"]


@pytest.mark.parametrize("count", [None, 7])
def test_a_cell_that_was_not_run_in_order_is_found(count):
    nb = lesson()
    nb.cells[5].execution_count = count
    assert style.lesson(nb, "x") == [f"x, cell c4: not run, or not run in order from a fresh kernel (execution count {count}, expected 5)"]


def test_code_tables_tags_and_addresses_are_no_prose():
    source = "word " * 118 + "[link](https://example.org/a b c)\n```\n" + "code " * 50 + "\n```\n| a | b c d |\n<details class='a b c'>"
    assert style.lesson(lesson(author.cell("markdown", "m", source)), "x") == []


def test_a_good_exercise_has_no_faults():
    assert style.exercise(exercise(), "03-x.ipynb", ["mtu = 1450"]) == []


@pytest.mark.parametrize(
    ("nb", "fault"),
    [
        (exercise(points=(10,)), "1 graded questions; an exercise has 2 to 4"),
        (exercise(points=(2, 2, 2, 2, 2)), "5 graded questions"),
        (exercise(points=(4, 5)), "9 points; an exercise has 10"),
        (exercise(check='check("04.{}")'), 'cell q1: a graded cell holds one line, check("03.N")'),
        (exercise(check='assert mtu == 1450; check("03.{}")'), "cell q1"),
        (exercise(tag=False), "cell answer: needs the tag raises-exception"),
        (exercise(author.cell("code", "left", "mtu = 1450")), "a line of the solution is left: 'mtu = 1450'"),
    ],
)
def test_each_fault_of_an_exercise_is_found(nb, fault):
    found = style.exercise(nb, "exercises/03-x/03-x.ipynb", ["def inner(x):", "    mtu = 1450", "# comment = x", "pass"])
    assert any(fault in line for line in found)


def test_a_students_notebook_with_outputs_is_found():
    nb = exercise()
    nb.cells[0].execution_count = 1
    assert "cell answer: a student's notebook carries no outputs" in style.exercise(nb, "03-x", [])[0]


def test_a_solution_is_held_to_size_grading_and_storage():
    nb = exercise(author.cell("markdown", "wordy", "word " * 121))
    found = style.solution(nb, "03-x")
    assert len(found) == 4 and sum("not run" in line for line in found) == 3
