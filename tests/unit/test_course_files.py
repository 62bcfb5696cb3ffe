"""Where the notebooks are: in a checkout, in a wheel, and what a wheel must not carry."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from k8snetlib.course import files
from k8snetlib.errors import K8sNetError

REPOSITORY = Path(__file__).parents[2]


def test_this_checkout_is_found():
    assert files.root() == files.checkout() == REPOSITORY


def test_an_installed_wheel_is_found_before_anything_beside_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "k8snetlib"\n')
    inside = tmp_path / "k8snetlib" / "_course_files" / "course"
    inside.mkdir(parents=True)
    assert files.root(tmp_path / "k8snetlib") == inside.parent


@pytest.mark.parametrize("project", [None, '[project]\nname = "other"\n'])
def test_another_folder_is_no_checkout(tmp_path, project):
    if project:
        (tmp_path / "pyproject.toml").write_text(project)
    with pytest.raises(K8sNetError, match="neither inside the installed package"):
        files.root(tmp_path / "k8snetlib")
    with pytest.raises(K8sNetError, match="needs the project's checkout"):
        files.checkout(tmp_path / "k8snetlib")


def test_notebooks_are_listed_in_order(tmp_path):
    for name in ("course/02-b.ipynb", "course/01-a.ipynb", "course/notes.md", "exercises/01-a/01-a.ipynb", "solutions/01-a/01-a.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files.lessons(tmp_path)] == ["01-a.ipynb", "02-b.ipynb"]
    assert [path.parts[-3] for path in files.exercises(tmp_path) + files.solutions(tmp_path)] == ["exercises", "solutions"]


@pytest.mark.skipif(not (REPOSITORY / "README.md").exists(), reason="no README.md, the package's description, in this checkout yet")
def test_a_wheel_carries_lessons_and_exercises_but_no_solutions(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = [path.relative_to(REPOSITORY).as_posix() for path in files.lessons(REPOSITORY) + files.exercises(REPOSITORY)]
    assert {name for name in names if name.endswith(".ipynb")} == {f"k8snetlib/_course_files/{name}" for name in ours}
    assert {"k8snetlib/course/data/mask-figures.txt", "k8snetlib/errors.py"} <= names
    assert not [name for name in names if name.startswith(("solutions", "tests", "course", "exercises")) or "solutions/" in name]


@pytest.mark.skipif(not files.lessons(REPOSITORY), reason="no lessons in this checkout yet: a wheel of it would carry none")
def test_the_package_of_a_wheel_finds_what_it_carries(tmp_path):
    inside = tmp_path / "k8snetlib" / "_course_files"
    shutil.copytree(REPOSITORY / "k8snetlib", tmp_path / "k8snetlib")
    shutil.copytree(REPOSITORY / "course", inside / "course")
    code = "from k8snetlib.course import files; print(files.root(), len(files.lessons(files.root())), len(files.solutions(files.root())))"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.split() == [str(inside), str(len(files.lessons(REPOSITORY))), "0"]
