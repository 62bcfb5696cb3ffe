"""The notebooks of this checkout: fresh, in the course's form, and whole. Strict nbval compares their outputs beside these tests.

While a folder has no notebooks its tests are skipped, one skip a test; what they demand is tried on made-up notebooks in ``test_build.py``
and ``tests/unit/test_course_style.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k8snetlib.course import assignment, build, checking, execute, files, normal, prediction, style

ROOT = Path(__file__).parents[2]
LESSONS, SOLUTIONS, EXERCISES = files.lessons(ROOT), files.solutions(ROOT), files.exercises(ROOT)


def each(paths: list[Path], what: str) -> pytest.MarkDecorator:
    """One test for each notebook, or one skip that says that there is none."""
    none = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"NO {what} IN THIS CHECKOUT YET: nothing was tested"))]
    return pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in paths] or none)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def report() -> build.Report:
    """One comparison of everything with what a build would write; every lesson and solution is run once."""
    return build.build(ROOT, check=True)


@each(LESSONS + SOLUTIONS + EXERCISES, "NOTEBOOKS")
def test_it_is_what_a_build_writes(path, report):
    problems = [str(one) for one in report.differences if one.path == name(path)]
    problems += [one for one in report.failures if one.startswith(name(path))]
    assert not problems, "\n".join(["run `k8snet build`, look at the change and commit it", *problems])


@each(SOLUTIONS, "SOLUTIONS")
def test_its_exercise_is_there(path, report):
    assert f"exercises/{path.parent.name}/{path.name} is missing" not in str(report)


@each(LESSONS, "LESSONS")
def test_a_lesson_keeps_the_rules(path):
    assert style.lesson(normal.read(path), name(path)) == []


@each(SOLUTIONS, "SOLUTIONS")
def test_a_solution_keeps_the_rules(path):
    nb = normal.read(path)
    assert style.solution(nb, name(path)) + execute.unwanted(nb, name=name(path), errors=False) == []


@each(LESSONS, "LESSONS")
def test_nothing_is_written_on_stderr_and_errors_are_meant(path):
    nb = normal.read(path)
    assert execute.unwanted(nb, name=name(path), errors=True) == []
    raising = [cell.id for cell in nb.cells if any(output.output_type == "error" for output in cell.get("outputs", []))]
    assert raising == [cell.id for cell in nb.cells if "raises-exception" in cell.metadata.get("tags", [])]


@each(EXERCISES, "EXERCISES")
def test_an_exercise_keeps_the_rules_and_holds_no_answer(path):
    answers = assignment.solution_lines(normal.read(ROOT / "solutions" / path.parent.name / path.name))
    assert answers and style.exercise(normal.read(path), name(path), answers) == []


@pytest.mark.skipif(not LESSONS, reason="NO LESSONS IN THIS CHECKOUT YET: nothing was tested")
def test_every_lesson_begins_with_the_same_imports():
    first = {next(cell.source for cell in normal.read(path).cells if cell.cell_type == "code") for path in LESSONS}
    assert len(first) == 1 and all(len(source.splitlines()) == 3 for source in first), first


@pytest.mark.skipif(not LESSONS, reason="NO LESSONS IN THIS CHECKOUT YET: nothing was tested")
def test_every_question_is_asked_once_in_its_lesson():
    asked = [(path.stem[:2], key) for path in LESSONS for key in re.findall(r'\bask\(\\?"([^"\\]+)', path.read_text(encoding="utf-8"))]
    assert sorted(key for _, key in asked) == sorted(prediction.questions())
    assert all(key.startswith(f"{number}.") for number, key in asked)


@pytest.mark.skipif(not SOLUTIONS, reason="NO SOLUTIONS IN THIS CHECKOUT YET: nothing was tested")
def test_every_check_stands_in_its_exercise():
    used = [key for path in SOLUTIONS for key in re.findall(r'\bcheck\(\\"([^"\\]+)', path.read_text(encoding="utf-8"))]
    assert sorted(used) == checking.keys()
