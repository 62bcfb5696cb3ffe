"""Every student's variant can be solved: the solutions pass their own checks whatever the seed, and the stubs never do."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from k8snetlib.course import files, normal
from k8snetlib.course.checking import NotYet

ROOT = Path(__file__).parents[2]
SEEDS = ("ann", "bob", "4711", "žofie", "student-0005", "6", "7", "8")
SOLUTIONS = files.solutions(ROOT)


def cells(path: Path) -> list[tuple[str, bool, str]]:
    """(id, graded, source) of the code cells."""
    found = [c for c in normal.read(path).cells if c.cell_type == "code"]
    return [(c.id, bool(c.metadata.get("nbgrader", {}).get("grade")), c.source) for c in found]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("path", SOLUTIONS, ids=[path.stem for path in SOLUTIONS])
def test_a_solution_holds_for_every_seed(path: Path, seed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("K8SNET_SEED", seed)
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    names: dict = {"__name__": "notebook"}
    for cell, _, source in cells(path):
        exec(compile(source, f"{path.name}:{cell}", "exec"), names)
    assert capsys.readouterr().out.count("✓") >= sum(graded for _, graded, _ in cells(path))


@pytest.mark.parametrize("path", files.exercises(ROOT), ids=[path.stem for path in files.exercises(ROOT)])
def test_an_exercise_as_handed_out_passes_no_check(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    names: dict = {"__name__": "notebook"}
    for cell, graded, source in cells(path):
        code = compile(source, f"{path.name}:{cell}", "exec")
        if graded:
            with pytest.raises(NotYet):
                exec(code, names)
        else:
            with contextlib.suppress(NotImplementedError):
                exec(code, names)
