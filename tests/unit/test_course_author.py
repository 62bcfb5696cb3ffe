"""Notebooks as text: what is written comes back, ids stay, and a mistake names its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.course import author, normal
from k8snetlib.errors import K8sNetError

TEXT = """%% markdown id=title locked
# Title

text
%% code id=walk hidden
print("%%")
%% code id=breaks raises
raise ValueError
%% code id=mtu solution
mtu = 1
%% code id=mtu-check graded=2.5
check("03.1")
%% markdown id=why solution graded=4
because
"""


def test_a_text_becomes_cells_with_their_roles():
    cells = {cell.id: cell for cell in author.loads(TEXT).cells}
    assert list(cells) == ["title", "walk", "breaks", "mtu", "mtu-check", "why"]
    assert cells["title"].source == "# Title\n\ntext" and cells["title"].metadata.nbgrader.locked
    assert cells["walk"].metadata == {"jupyter": {"source_hidden": True}} and cells["walk"].source == 'print("%%")'
    assert cells["breaks"].metadata == {"tags": ["raises-exception"]}
    assert cells["mtu"].metadata.tags == cells["mtu-check"].metadata.tags == ["raises-exception"]
    assert cells["mtu-check"].metadata.nbgrader == {
        "schema_version": 3,
        "grade": True,
        "locked": True,
        "solution": False,
        "task": False,
        "grade_id": "mtu-check",
        "points": 2.5,
    }
    assert cells["why"].metadata.nbgrader.points == 4 and "tags" not in cells["why"].metadata


def test_the_text_comes_back():
    assert author.loads(author.dumps(author.loads(TEXT))) == author.loads(TEXT)


words = st.sampled_from(
    [(), ("solution",), ("locked",), ("raises",), ("hidden",), ("graded=3",), ("graded=0.5", "hidden"), ("locked", "raises")]
)
lines = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=20).filter(lambda line: not line.startswith("%% "))
sources = st.lists(lines).map(lambda lines: "\n".join(lines).strip("\n"))


@given(st.lists(st.tuples(st.sampled_from(["markdown", "code"]), sources, words), max_size=5))
def test_any_notebook_of_ours_survives_the_round_trip(cells):
    usable = [(kind, source, () if kind == "markdown" and set(chosen) & {"raises"} else chosen) for kind, source, chosen in cells]
    nb = author.notebook(*(author.cell(kind, f"c{number}", source, *chosen) for number, (kind, source, chosen) in enumerate(usable)))
    assert normal.write(author.loads(author.dumps(nb))) == normal.write(nb)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n%% code id=a", "line 1: text before"),
        ("%% code id=a\nx\n%% code id=a\ny", "line 3: a second cell with id 'a'"),
        ("%% code\nx", "line 1: a cell begins with"),
        ("%% code id=a solutoin", "line 1: .*solution, locked, raises, hidden, graded=POINTS: '%% code id=a solutoin'"),
        ("%% raw id=a", "line 1"),
        ("%% code id=a graded=x", "line 1"),
    ],
)
def test_a_mistake_names_its_line(text, message):
    with pytest.raises(K8sNetError, match=message):
        author.loads(text)


def test_metadata_that_would_be_lost_is_refused():
    nb = author.loads("%% code id=a\nx")
    nb.cells[0].metadata["tags"] = ["my-own"]
    with pytest.raises(K8sNetError, match=r"cell a: metadata .*my-own"):
        author.dumps(nb)


def test_the_two_commands(tmp_path, capsys):
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    author.main(["save", str(tmp_path / "a.txt"), str(tmp_path / "new" / "a.ipynb")])
    author.main(["show", str(tmp_path / "new" / "a.ipynb")])
    assert capsys.readouterr().out == author.dumps(author.loads(TEXT))
    for wrong in (["show", str(tmp_path / "none.ipynb")], ["show", str(tmp_path / "a.txt")], ["save", str(tmp_path / "none"), "x"]):
        with pytest.raises(SystemExit) as caught:
            author.main(wrong)
        assert caught.value.code == 2 and "Traceback" not in capsys.readouterr().err
