"""Where the notebooks are: in a checkout beside the package, in an installed wheel inside it."""

from __future__ import annotations

from pathlib import Path

from k8snetlib.errors import K8sNetError

TEXT = {
    "nowhere": "the lessons are neither inside the installed package ({wheel}) nor beside it ({checkout})",
    "wheel": "this needs the project's checkout: an installed package ({wheel}) carries no solutions",
}

_PACKAGE = Path(__file__).resolve().parents[1]


def root(package: Path = _PACKAGE) -> Path:
    """The folder that holds ``course/`` and ``exercises/``; raises :class:`~k8snetlib.errors.K8sNetError` where there is none."""
    wheel = package / "_course_files"
    if wheel.is_dir():
        return wheel
    if _is_checkout(package.parent):
        return package.parent
    raise K8sNetError(TEXT["nowhere"].format(wheel=wheel, checkout=package.parent))


def checkout(package: Path = _PACKAGE) -> Path:
    """The project's checkout, with ``solutions/``; raises :class:`~k8snetlib.errors.K8sNetError` in an installed wheel."""
    if not _is_checkout(package.parent):
        raise K8sNetError(TEXT["wheel"].format(wheel=package))
    return package.parent


def lessons(folder: Path) -> list[Path]:
    """The lessons of a checkout or wheel: ``course/NN-topic.ipynb``, in order."""
    return sorted((folder / "course").glob("*.ipynb"))


def exercises(folder: Path) -> list[Path]:
    """What students get: ``exercises/NN-topic/NN-topic.ipynb``, in order."""
    return sorted((folder / "exercises").glob("*/*.ipynb"))


def solutions(folder: Path) -> list[Path]:
    """What teachers keep: ``solutions/NN-topic/NN-topic.ipynb``, in order; none in a wheel."""
    return sorted((folder / "solutions").glob("*/*.ipynb"))


def _is_checkout(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    return project.is_file() and 'name = "k8snetlib"' in project.read_text(encoding="utf-8")
