"""Make the notebooks of a checkout: run lessons and solutions, store them in one form, cut the exercises from the solutions.

``build(root)`` writes; ``build(root, check=True)`` writes nothing and reports every file that is not what a build would write. An exercise
is cut from the solution as it stands in the working tree, so it is never edited by hand.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from k8snetlib.course import assignment, execute, files, normal
from k8snetlib.errors import K8sNetError
from k8snetlib.views import render

TEXT = {
    "name": "{path}: an assignment is one notebook of its folder's name, {expected}",
    "more": "{path}: an assignment is one notebook, but its folder also holds {others}",
    "only": "nothing to build is called {names}",
    "renderer": "figures are committed as {pinned} draws them, and this is {here}: install the [test] extra to build",
    "masked": "figures are not compared: they are committed as {pinned} draws them, and this is {here}",
    "none": "no renderer",
    "differs": "{path} is not what a build writes",
    "missing": "{path} is missing",
    "orphan": "{path} has no solution that it could be cut from",
    "run": "run {path}",
    "record": "record {path}",
    "wrote": "wrote {path}",
    "removed": "removed {path}",
}

DIFF_LINES, MAX_JOBS = 24, 4
LAB = re.compile(r"\bexperiment\(|\bmeasured\(|\brouting\(|\bthrough\(")  # what asks the lab, and has recordings

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not what a build writes: ``path`` below the root, one sentence, and the first lines of a unified diff."""

    path: str
    what: str
    diff: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n{self.diff}".rstrip()


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did: the paths ``written`` or, where it only checked, the ``differences``; and the notebooks that cannot be built."""

    written: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Everything could be built, and, where it was checked, nothing differs."""
        return not (self.differences or self.failures)

    def __str__(self) -> str:
        return "\n\n".join([*self.failures, *map(str, self.differences)])


def build(
    root: Path | None = None,
    *,
    check: bool = False,
    only: Iterable[str] | None = None,
    progress: Progress = lambda message: None,
    jobs: int | None = None,
) -> Report:
    """Build every notebook below ``root`` (this checkout), or compare them with what a build would write.

    ``only`` picks notebooks by the beginning of their names ("03"). ``progress`` is told what is being done. ``jobs`` kernels run at a time
    (one for each processor, up to four). A notebook that fails is a line of :attr:`Report.failures`, and the others are built all the same.
    Raises :class:`~k8snetlib.errors.K8sNetError` where nothing matches ``only``, and where a build would redraw all figures.
    """
    root = files.checkout() if root is None else Path(root)
    masked = _renderer(check, progress)
    sources = list(_sources(root, tuple(only or ())))
    with ThreadPoolExecutor(jobs or min(os.cpu_count() or 1, MAX_JOBS)) as pool:
        results = list(pool.map(lambda path: _make(root, path, progress), sources))
    texts = {path: text for result in results if isinstance(result, dict) for path, text in result.items()}
    failures = tuple(result for result in results if isinstance(result, str))
    orphans = [path for path in files.exercises(root) if not only and path not in texts and not _solution_of(root, path).exists()]
    if check:
        return Report(differences=tuple(_differences(root, texts, orphans, masked)), failures=failures)
    return Report(written=tuple(_write(root, texts, orphans, progress)), failures=failures)


def record(root: Path | None = None, *, only: Iterable[str] | None = None, progress: Progress = lambda message: None) -> tuple[str, ...]:
    """Run the notebooks that have experiments in the lab, one at a time, in this machine's kernel, and record these anew; their paths.

    Nothing is written into a notebook. Raises :class:`~k8snetlib.errors.K8sNetError` where one fails, as where the lab does not run.
    """
    root = files.checkout() if root is None else Path(root)
    done = []
    for path in _sources(root, tuple(only or ())):
        name = path.relative_to(root).as_posix()
        source = normal.read(path)
        if any(cell.cell_type == "code" and LAB.search(cell.source) for cell in source.cells):
            progress(TEXT["record"].format(path=name))
            execute.execute(source, path.parent, name=name, timeout=600, lab="record")
            done.append(name)
    return tuple(done)


def make(root: Path, path: Path) -> dict[Path, str]:
    """What a build writes for one lesson or solution: the text of each file. Raises :class:`~k8snetlib.errors.K8sNetError`."""
    name = path.relative_to(root).as_posix()
    solution = root / "solutions" in path.parents
    if solution:
        _one_notebook(path, name)
    source = normal.normalise(normal.read(path), widgets=not solution, name=name)
    done = normal.normalise(execute.execute(source, path.parent, name=name), widgets=not solution, name=name)
    made = {path: normal.write(done)}
    if solution:
        for problem in execute.unwanted(done, name=name, errors=False):
            raise K8sNetError(problem)
        made[root / "exercises" / path.parent.name / path.name] = normal.write(assignment.release(done, name))
    return made


def _one_notebook(path: Path, name: str) -> None:
    """Refuse what an exercise would lack: nothing but the notebook is cut from a solution's folder."""
    if path.stem != path.parent.name:
        raise K8sNetError(TEXT["name"].format(path=name, expected=f"{path.parent.name}.ipynb"))
    others = sorted(other.name for other in path.parent.iterdir() if other != path and not other.name.startswith("."))
    if others:
        raise K8sNetError(TEXT["more"].format(path=name, others=", ".join(others)))


def mask(text: str) -> str:
    """A notebook's text without its drawings, for comparisons under another renderer."""
    text = re.sub(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]+", "data:image/svg+xml;base64,not-compared", text)
    return re.sub(r"<svg\b.*?</svg>", "<svg>not compared</svg>", text, flags=re.DOTALL)


def _renderer(check: bool, progress: Progress) -> bool:
    """Whether drawings must be left out of the comparison."""
    here, names = render.renderer(), {"pinned": render.COMPARED_WITH}
    if here == render.COMPARED_WITH:
        return False
    names["here"] = here or TEXT["none"]
    if not check:
        raise K8sNetError(TEXT["renderer"].format(**names))
    progress(TEXT["masked"].format(**names))
    return True


def _sources(root: Path, only: tuple[str, ...]) -> Iterator[Path]:
    found = [path for path in files.lessons(root) + files.solutions(root) if not only or path.stem.startswith(only)]
    if only and not found:
        raise K8sNetError(TEXT["only"].format(names=", ".join(only)))
    return iter(found)


def _make(root: Path, path: Path, progress: Progress) -> dict[Path, str] | str:
    progress(TEXT["run"].format(path=path.relative_to(root).as_posix()))
    try:
        return make(root, path)
    except K8sNetError as error:
        return str(error)


def _solution_of(root: Path, exercise: Path) -> Path:
    return root / "solutions" / exercise.parent.name / exercise.name


def _differences(root: Path, texts: dict[Path, str], orphans: list[Path], masked: bool) -> Iterator[Difference]:
    for path, text in texts.items():
        name = path.relative_to(root).as_posix()
        if not path.exists():
            yield Difference(name, TEXT["missing"].format(path=name))
            continue
        old, new = (mask(version) if masked else version for version in (path.read_text(encoding="utf-8"), text))
        if old != new:
            lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{name} (as it is)", f"{name} (as built)", lineterm="", n=1)
            diff = "\n".join(_short(line) for line, _ in zip(lines, range(DIFF_LINES), strict=False))
            yield Difference(name, TEXT["differs"].format(path=name), diff)
    for path in orphans:
        name = path.relative_to(root).as_posix()
        yield Difference(name, TEXT["orphan"].format(path=name))


def _short(line: str) -> str:
    return line if len(line) <= 140 else f"{line[:60]} … {len(line) - 120} characters … {line[-60:]}"


def _write(root: Path, texts: dict[Path, str], orphans: list[Path], progress: Progress) -> Iterator[str]:
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        progress(TEXT["wrote"].format(path=path.relative_to(root).as_posix()))
        yield path.relative_to(root).as_posix()
    for path in orphans:
        path.unlink()
        progress(TEXT["removed"].format(path=path.relative_to(root).as_posix()))
        yield path.relative_to(root).as_posix()
