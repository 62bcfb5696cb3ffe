"""``k8snet lab``: the course in JupyterLab, at its first lesson."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

from ..course import files
from ..errors import ModelError
from .progress import Progress

TEXT = {
    "copied": "your copy of the course: {folder}",
    "kept": "your copy of the course, with your work in it: {folder}",
    "added": "new since your last visit: {names}",
    "unwritable": "cannot copy the course to {folder}: {reason}",
    "no-lab": "JupyterLab is not installed: {python} -m pip install jupyterlab",
    "unsigned": "the lessons are not marked as trusted, so their controls show only once they are run ({reason})",
    "signing": "signing the lessons as trusted",
    "no-lessons": "there are no lessons in {folder}",
}
COPY = "k8snet-course"  # where an installed package's copy goes, unless told otherwise


def run(options: argparse.Namespace) -> int:
    """Open JupyterLab where the lessons are; from an installed package, or where ``--folder`` says so, in a copy of the learner's own."""
    source = files.root()
    ours = (source / "pyproject.toml").is_file() and not options.folder and not options.copy
    folder = source if ours else _copy(source, Path(options.folder or COPY))
    lessons = files.lessons(folder)
    if not lessons:
        raise ModelError(TEXT["no-lessons"].format(folder=folder))
    _trust(source, folder)
    if options.copy:
        return 0
    if util.find_spec("jupyterlab") is None:
        raise ModelError(TEXT["no-lab"].format(python=sys.executable))
    first = lessons[0].relative_to(folder).as_posix()
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{first}"]
    if options.no_browser:
        words.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container one often is root, and Jupyter would refuse
        words.append("--allow-root")
    return _become(words, {**os.environ, "PYTHONHASHSEED": "0"})


def _become(words: list[str], environment: dict[str, str]) -> int:
    """Run a program in this one's place, so that Ctrl-C, which asks first, and every other signal are its own.

    Windows has nothing of the kind: a program waits there for the other.
    """
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(words[0], words, environment)
    return subprocess.call(words, env=environment)


def _copy(source: Path, folder: Path) -> Path:
    """The learner's copy: made once; later visits add what is new and never touch what is there."""
    folder = folder.expanduser().resolve()
    fresh = not folder.exists()
    added = []
    try:
        for path in [*files.lessons(source), *files.exercises(source)]:
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


def _trust(source: Path, folder: Path) -> None:
    """Mark the notebooks that are as the course has them as trusted, so that their widgets show before any cell is run.

    Others are left alone: one that a learner has worked in, JupyterLab itself has signed, and nobody here vouches for one from elsewhere.
    """
    from nbformat import read
    from nbformat.sign import NotebookNotary

    try:
        notary = NotebookNotary()
    except OSError as error:  # Jupyter keeps its signatures at home
        print(TEXT["unsigned"].format(reason=f"{error.strerror}: {error.filename}"), file=sys.stderr)
        return
    progress = Progress(TEXT["signing"])
    notebooks = [*files.lessons(source), *files.exercises(source)]
    for done, path in enumerate(notebooks):
        progress(done, len(notebooks))
        if path.read_bytes() != (folder / path.relative_to(source)).read_bytes():
            continue
        with contextlib.suppress(Exception):  # what nbformat raises has no common name: AttributeError, TypeError, KeyError are among it
            notary.sign(read(path, as_version=4))
    progress.close()
