"""Binder: what the image installs is what the library needs, and repo2docker reads the folder as meant (it needs no Docker for that)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
BINDER = ROOT / ".binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IN_THE_BASE = {"jupyterlab", "ipywidgets", "nbclient", "nbformat"}
"""Binder's own image has JupyterLab, which needs the two others, and ipywidgets."""


def names(requirements: list[str]) -> dict[str, str]:
    """Requirements by package name, without environment markers."""
    plain = [line.split(";")[0].strip() for line in requirements]
    return {re.split(r"[\[=<>~ ]", line)[0].lower(): line for line in plain if line and not line.startswith("#")}


def test_the_image_has_what_the_library_needs_and_no_more():
    listed = names((BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines())
    needed = names(PROJECT["dependencies"])
    assert set(listed) == set(needed) - IN_THE_BASE
    local = [line for line in listed.values() if "/" in line or line.startswith("-")]
    assert not local, "a local reference would reinstall everything with each commit"
    pinned = names(PROJECT["optional-dependencies"]["test"])
    for package, line in listed.items():
        assert line == (pinned[package] if "==" in pinned.get(package, "") else needed[package])


def test_the_python_version_is_one_that_we_support():
    version = re.fullmatch(r"python-(3\.\d+)\n", (BINDER / "runtime.txt").read_text(encoding="utf-8"))[1]
    assert version.split(".") >= PROJECT["requires-python"].removeprefix(">=").split(".")


def test_the_script_after_the_packages_can_run():
    script = BINDER / "postBuild"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines and "pip install --no-deps --no-cache-dir -e ." in lines
    assert sys.platform == "win32" or os.access(script, os.X_OK)
    if shutil.which("bash"):
        subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="repo2docker is installed on Linux only")
def test_repo2docker_reads_the_folder(tmp_path):
    pytest.importorskip("repo2docker", reason="jupyter-repo2docker is not installed: .binder/ was only looked at")
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "--Repo2Docker.default_buildpack=None"]
    run = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    printed = run.stdout + run.stderr
    assert "python=3.12" in printed and '-r ".binder/requirements.txt"' in printed and "RUN ./.binder/postBuild" in printed
    empty = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert empty.returncode == 1, "without a configuration it must say so, or this test proves nothing"


def test_the_base_image_brings_versions_that_are_new_enough():
    """``pip install --no-deps`` would not say so: the base's own list, from repo2docker, against what the library asks for."""
    conda = pytest.importorskip("repo2docker.buildpacks.conda", reason="jupyter-repo2docker is not installed: .binder/ was only looked at")
    version = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip()
    listed = (Path(conda.__file__).parent / f"environment.py-{version.removeprefix('python-')}-linux-64.lock").read_text(encoding="utf-8")
    base = dict(re.findall(r"/([a-z0-9_-]+)-(\d[\d.]*)-[^/]*\.conda", listed))
    for name, line in names(PROJECT["dependencies"]).items():
        if name in IN_THE_BASE:
            assert SpecifierSet(line.removeprefix(name)).contains(base[name]), (line, base[name])
