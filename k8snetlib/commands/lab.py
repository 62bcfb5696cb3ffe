"""``k8snet lab``: the course in JupyterLab, at its first lesson."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..course import files
from ..errors import ModelError

TEXT = {
    "copied": "your copy of the course: {folder}",
    "kept": "your copy of the course, with your work in it: {folder}",
    "added": "new since your last visit: {names}",
    "unwritable": "cannot copy the course to {folder}: {reason}",
    "no-lab": "JupyterLab is not installed: pip install jupyterlab",
    "no-lessons": "there are no lessons in {folder}",
}


def run(options: argparse.Namespace) -> int:
    """Open JupyterLab where the lessons are; from an installed package, in a copy of the learner's own."""
    source = files.root()
    folder = source if (source / "pyproject.toml").is_file() else _copy(source, Path(options.folder))
    lessons = files.lessons(folder)
    if not lessons:
        raise ModelError(TEXT["no-lessons"].format(folder=folder))
    first = lessons[0].relative_to(folder).as_posix()
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{first}"]
    if options.no_browser:
        words.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container one often is root, and Jupyter would refuse
        words.append("--allow-root")
    try:
        _trust([*lessons, *files.exercises(folder)])
        return subprocess.call(words, env={**os.environ, "PYTHONHASHSEED": "0"})
    except FileNotFoundError:
        raise ModelError(TEXT["no-lab"]) from None


def _copy(source: Path, folder: Path) -> Path:
    """The learner's copy: made once; later visits add what is new and never touch what is there."""
    folder = folder.expanduser().resolve()
    fresh = not folder.exists()
    added = []
    try:
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            target = folder / path.relative_to(source)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                added.append(target.relative_to(folder).as_posix())
    except OSError as error:
        raise ModelError(TEXT["unwritable"].format(folder=folder, reason=error.strerror)) from None
    print(TEXT["copied" if fresh else "kept"].format(folder=folder))
    if added and not fresh:
        print(TEXT["added"].format(names=", ".join(added)))
    return folder


def _trust(notebooks: list[Path]) -> None:
    """Mark the course's own notebooks as trusted, so that its widgets show before any cell is run."""
    from nbformat import read
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for path in notebooks:
        notary.sign(read(path, as_version=4))
