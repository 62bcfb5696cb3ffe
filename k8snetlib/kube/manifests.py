"""Manifest files to objects, as strictly as the API server: every mistake is one ManifestError with file, line and field path.

``load(path, …)`` and ``loads(text)`` read YAML (several documents, Lists, what ``kubectl get -o yaml`` prints) and JSON. Kinds that make no
Pod, Service, Node or Namespace are listed in ``Manifests.skipped`` with the reason. Network fields that the model does not honour raise
UnsupportedError. This is the only module under ``kube`` that reads files; :mod:`k8snetlib.kube.schema_reader` understands what they say.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import field
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, TypeVar

from ..errors import ManifestError
from ..value import replace, value
from .objects import Location
from .schema_kinds import Bearing
from .schema_places import Document, Progress, dotted, undotted

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 64 << 20
"""Larger files are refused: etcd itself limits an object to 1.5 MiB."""
USUAL_BYTES = 1 << 16  # room for the largest file there may be is not free, even if it stays empty
T = TypeVar("T")


@value
class Skipped:
    """An object that the manifests hold and that the model leaves out, and why. ``bearing`` is what it has on an answer: none, some (a real
    cluster may answer otherwise), or unknown, where it is up to a controller that the model does not know."""

    kind: str
    name: str
    namespace: str
    location: Location
    why: str
    bearing: Bearing = "none"
    data: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)  # of kinds at which the edge looks

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{' '.join(filter(None, [str(self.location), self.kind, name]))}: {self.why}"


@value
class Manifests:
    """What some manifests say: the objects in the order of the files, what was skipped, and remarks that a reader should see."""

    objects: tuple[Any, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Manifests {len(self.objects)} objects, {len(self.skipped)} skipped>"

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """The objects of one class: ``of(Service)``, ``of(Workload)``."""
        return tuple(each for each in self.objects if isinstance(each, kind))


def load(*sources: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> Manifests:
    """Reads files, and folders' ``.yaml``, ``.yml`` and ``.json`` files in the order of their names (not what lies deeper).

    ``progress(bytes_done, bytes_total)`` is called as the reading goes on. Raises ManifestError or UnsupportedError, nothing else.
    """
    from .schema_reader import Reader, decode

    files = [file for source in sources for file in _contents(source)]
    total = sum(len(data) for _, data in files)
    reader = Reader()
    done = 0
    for file, data in files:
        reader.read(decode(data, file), file, _reporter(progress, done, len(data), total))
        done += len(data)
    if progress:
        progress(total, total)
    return reader.result(", ".join(str(source) for source in sources))


def loads(text: str | bytes, file: str = "<text>", *, progress: Callable[[int, int], None] | None = None) -> Manifests:
    """Reads manifest text; ``file`` is the name that errors give it, and means JSON alone if it ends in ``.json``."""
    from .schema_reader import Reader, decode, without_marks

    text = decode(text, file) if isinstance(text, bytes) else without_marks(text)
    size = len(text.encode("utf-8", "surrogatepass"))
    reader = Reader()
    reader.read(text, file, _reporter(progress, 0, size, size))
    return reader.result(file)


def locate(thing: Any, path: str = "") -> Location:
    """Where the field ``path`` of an object stands (``spec.ports[0].targetPort``), or the nearest enclosing field that is there.

    For a Pod that a workload made, the path is the Pod's own, and the place is inside the workload's template.
    """
    location: Location = thing.location
    if not isinstance(location.document, Document):
        return location
    return replace(location, line=location.document.find(undotted(location.root) + undotted(path))[0])


def error_at(thing: Any, path: str, message: str, suggestion: str = "") -> ManifestError:
    """A ManifestError at a field of an object, with the field's path in the object of the file (``spec.template.spec…``)."""
    location = locate(thing, path)
    full = dotted(undotted(location.root) + undotted(path))
    return ManifestError(message, file=location.file, line=location.line or None, field=full, suggestion=suggestion)


# --- files


def _contents(source: str | PathLike[str]) -> list[tuple[str, bytes]]:
    """The file with its bytes, or those of a folder."""
    if not isinstance(source, (str, PathLike)):  # a number would be a file that is open already
        raise ManifestError(f"{source!r} is no path of a file or folder")
    try:
        try:
            return [(str(source), _read(source))]
        except OSError:
            if not os.path.isdir(source):  # nearly always a file: asked for only where it cannot be read as one
                raise
        files = sorted(each for each in FilePath(source).iterdir() if each.suffix in SUFFIXES and not each.is_dir())
    except (OSError, ValueError) as error:
        raise ManifestError(_reason(error), file=str(source) or '""') from None
    if not files:
        raise ManifestError("no .yaml, .yml or .json file in this folder", file=str(source))
    return [pair for each in files for pair in _contents(each)]


def _read(path: str | PathLike[str]) -> bytes:
    """The bytes of a file. OSError or ValueError where there is none, or it cannot be read."""
    with open(path, "rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # a device might never end
            raise ManifestError("is not a file", file=str(path))
        data = stream.read(USUAL_BYTES)
        if len(data) == USUAL_BYTES:
            data += stream.read(MAX_BYTES + 1 - USUAL_BYTES)
    if len(data) > MAX_BYTES:
        raise ManifestError(f"the file is larger than {MAX_BYTES >> 20} MiB", file=str(path))
    return data


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _reporter(progress: Callable[[int, int], None] | None, before: int, size: int, total: int) -> Progress:
    """Turns the parsers' steps into bytes done of all files together."""
    if progress is None:
        return lambda step: None
    done = 0

    def report(step: int) -> None:
        nonlocal done
        done = min(done + step, size)
        progress(before + done, total)

    return report
