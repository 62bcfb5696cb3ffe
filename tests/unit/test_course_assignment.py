"""Cutting an exercise from its solution, against nbgrader's own preprocessors where nbgrader is installed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.course import assignment, author, normal
from k8snetlib.errors import K8sNetError

SOLUTION = "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"


def one(kind: str, source: str, *words: str):
    return author.notebook(author.cell(kind, "a", source, *words))


def released(kind: str, source: str, *words: str):
    return assignment.release(one(kind, source, *words)).cells[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", assignment.CODE_STUB),
        (SOLUTION, assignment.CODE_STUB),
        (f"x = None\n{SOLUTION}\nx", f"x = None\n{assignment.CODE_STUB}\nx"),
        (
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION",
            "def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        ),
        (f"{SOLUTION}\ny\n{SOLUTION}", f"{assignment.CODE_STUB}\ny\n{assignment.CODE_STUB}"),
    ],
)
def test_solutions_become_placeholders(source, expected):
    assert released("code", source, "solution").source == expected


def test_a_written_answer_becomes_a_placeholder():
    assert released("markdown", "because", "solution", "graded=2").source == "YOUR ANSWER HERE"


@pytest.mark.parametrize(
    ("words", "metadata"),
    [
        ((), {}),
        (("locked",), {"deletable": False, "editable": False}),
        (("graded=3",), {"deletable": False, "editable": False}),
        (("solution",), {"deletable": False}),
    ],
)
def test_cells_are_locked_as_their_role_asks(words, metadata):
    got = released("code", "x", *words).metadata
    assert {key: got[key] for key in ("deletable", "editable") if key in got} == metadata
    assert ("checksum" in got.get("nbgrader", {})) == bool(words)


def test_outputs_go_and_the_source_is_untouched():
    nb = one("code", "1", "locked")
    nb.cells[0].execution_count = 4
    before = normal.write(nb)
    assert assignment.release(nb).cells[0].execution_count is None
    assert normal.write(nb) == before


@pytest.mark.parametrize(
    ("words", "source", "message"),
    [
        ((), SOLUTION, "solution, cell a: a solution outside a solution cell"),
        (("solution",), "### BEGIN SOLUTION\nx", "do not match"),
        (("solution",), f"### BEGIN SOLUTION\n{SOLUTION}", "do not match"),
        (("graded=1",), "### BEGIN HIDDEN TESTS\nx\n### END HIDDEN TESTS", "'BEGIN HIDDEN TESTS' is not used"),
        (("graded=1",), "### AUTOTEST x", "AUTOTEST"),
    ],
)
def test_marks_in_the_wrong_place_are_refused(words, source, message):
    with pytest.raises(K8sNetError, match=message):
        released("code", source, *words)


def test_solution_lines_are_those_that_go():
    nb = author.notebook(
        author.cell("code", "a", f"x = None\n{SOLUTION}", "solution"),
        author.cell("code", "b", "y = 2", "solution"),
        author.cell("code", "c", "z = 3", "locked"),
    )
    assert assignment.solution_lines(nb) == ["x = 1", "y = 2"]


lines = st.sampled_from(
    [
        "x = 1",
        "    indented",
        "",
        "\t# a comment",
        "ö # BEGIN",
        "### BEGIN SOLUTION\n    y\n### END SOLUTION",
        "  ### BEGIN SOLUTION\n### END SOLUTION",
    ]
)
roles = st.sampled_from([("solution",), ("graded=2",), ("graded=0.5",), ("locked",), (), ("raises",)])
parts = st.tuples(st.sampled_from(["code", "markdown"]), st.lists(lines, max_size=5).map("\n".join), roles)


@given(st.lists(parts, max_size=5))
def test_the_result_is_what_nbgrader_makes(cells):
    preprocessors = pytest.importorskip("nbgrader.preprocessors", reason="no [teach] extra: nothing here was compared with nbgrader")
    made = []
    for number, (kind, source, words) in enumerate(cells):
        if kind == "markdown" and words and words != ("locked",):
            words = ("solution", "graded=2")  # a written answer is graded by hand; nbgrader knows no other such cell
        if "solution" not in words:
            source = source.replace("BEGIN SOLUTION", "").replace("END SOLUTION", "")
        made.append(author.cell(kind, f"c{number}", source, *words))
    nb = author.notebook(*made)
    theirs, resources = normal.normalise(nb), {"nbgrader": {"notebook": "n", "assignment": "a", "student": "."}}
    for name in ("LockCells", "ClearSolutions", "ClearOutput", "CheckCellMetadata", "ComputeChecksums"):
        theirs, resources = getattr(preprocessors, name)().preprocess(theirs, resources)
    assert normal.write(assignment.release(nb)) == normal.write(theirs)
