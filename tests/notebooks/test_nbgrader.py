"""Teachers use nbgrader on our folders as they are: it cuts the same bytes, and its five commands end in the right grades."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from k8snetlib.course import build, files, normal
from tests.notebooks import made_up

REPOSITORY = Path(__file__).parents[2]
NAME = "99-assignment"
pytest.importorskip("nbgrader", reason="the [teach] extra is not installed: nothing here was compared with nbgrader")


def nbgrader(root: Path, *arguments: str, **variables: str) -> None:
    """Run a command as a teacher does: in ``.nbgrader``, with the environment's programs on the path (nbgrader calls alembic by name)."""
    environment = (
        os.environ
        | variables
        | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "JUPYTER_CONFIG_DIR": str(root.parent / "none"),
            "JUPYTER_DATA_DIR": str(root.parent / "none"),
        }
    )
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=root / ".nbgrader",
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def configured(root: Path) -> Path:
    (root / ".nbgrader").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".nbgrader" / "nbgrader_config.py", root / ".nbgrader")
    return root


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A built course with one made-up assignment, and nbgrader's own settings of this project."""
    root = configured(made_up.course(tmp_path_factory.mktemp("class") / "course"))
    report = build.build(root, only=["99"])
    assert report.ok and len(report.written) == 2, report
    return root


def hand_in(root: Path, student: str, answers: dict[str, str], drop: str = "") -> None:
    """Put a student's notebook where nbgrader looks for it, with ``answers`` in place of cells, and without the cell ``drop``."""
    nb = normal.read(root / "exercises" / NAME / f"{NAME}.ipynb")
    nb.cells = [cell for cell in nb.cells if cell.id != drop]
    for cell in nb.cells:
        cell.source = answers.get(cell.id, cell.source)
    made_up.write(nb, root / ".nbgrader" / "submitted" / student / NAME / f"{NAME}.ipynb")


def test_the_five_commands_give_each_student_the_right_points(course):
    release = course / "exercises" / NAME / f"{NAME}.ipynb"
    ours = release.read_bytes()
    nbgrader(course, "generate_assignment", NAME, "--force")
    assert release.read_bytes() == ours

    right = {"mtu": 'mtu = case.integer("outer", 1400, 1500) - 50', "count": "def count(prefix):\n    return 2 ** (32 - prefix) - 2"}
    hand_in(course, "right", right)
    hand_in(course, "half", right | {"count": "def count(prefix):\n    return 1 // 0"})
    hand_in(course, "nothing", {})
    hand_in(course, "cheat", right | {"mtu": "mtu = 1", "mtu-check": "4.0", "count-check": "6"})
    hand_in(course, "deleted", right, drop="mtu-check")
    hand_in(course, "seeded", right | {"seed": 'case = variant("99", "seeded")'})
    hand_in(course, "copied", right | {"seed": 'case = variant("99", "right")'})
    nbgrader(course, "autograde", NAME, "--student", "copied", K8SNET_SEED="copied")
    nbgrader(course, "autograde", NAME)
    nbgrader(course, "generate_feedback", NAME)
    nbgrader(course, "export", "--to", "grades.csv")

    with open(course / ".nbgrader" / "grades.csv", encoding="utf-8") as file:
        rows = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    assert rows == {
        "right": (10, 10),
        "half": (4, 10),
        "nothing": (0, 10),
        "cheat": (6, 10),
        "deleted": (6, 10),
        "seeded": (10, 10),
        "copied": (6, 10),
    }

    page = (course / ".nbgrader" / "feedback" / "half" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "count() raised ZeroDivisionError" in page and "Traceback (most recent" not in page
    page = (course / ".nbgrader" / "feedback" / "nothing" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "99.1  not started yet" in page and "99.2  not started yet" in page

    left = {path.name for path in course.iterdir()}
    assert left == {".nbgrader", "course", "solutions", "exercises"}


ASSIGNMENTS = files.solutions(REPOSITORY)


@pytest.mark.parametrize(
    "path",
    ASSIGNMENTS or [pytest.param(None, marks=pytest.mark.skip(reason="no solutions in this checkout yet"))],
    ids=lambda path: path.stem if path else "none",
)
def test_nbgrader_cuts_the_committed_exercises_to_the_same_bytes(path, tmp_path):
    root = configured(tmp_path / "course")
    shutil.copytree(path.parent, root / "solutions" / path.stem)
    nbgrader(root, "generate_assignment", path.stem)
    assert (root / "exercises" / path.stem / path.name).read_bytes() == (REPOSITORY / "exercises" / path.stem / path.name).read_bytes()


def test_what_is_about_students_stays_out_of_git():
    paths = ["gradebook.db", "submitted/ann/01/01.ipynb", "feedback/ann/01/01.html", "grades.csv"]
    run = subprocess.run(
        ["git", "check-ignore", *(f".nbgrader/{path}" for path in paths)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if run.returncode == 128:
        pytest.skip("not a git checkout")
    assert run.stdout.split() == [f".nbgrader/{path}" for path in paths]
