"""Manifest files to objects, as strictly as the API server: every mistake is one ManifestError with file, line and field path.

``load(path, …)`` and ``loads(text)`` read YAML (several documents, Lists, what ``kubectl get -o yaml`` prints) and JSON. Kinds that make no
Pod, Service, Node or Namespace are listed in ``Manifests.skipped`` with the reason. Network fields that the model does not honour raise
UnsupportedError. This is the only module under ``kube`` that reads files.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, TypeVar

from ..errors import ManifestError, UnsupportedError
from . import schema_kinds as kinds
from .objects import Deployment, Location, Named, Pod, Workload
from .schema import Fault, check, closest, describe, literal
from .schema_places import Document, Path, Progress, dotted, undotted
from .schema_pods import metadata
from .schema_text import decode, documents
from .schema_workloads import MAKERS

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 64 << 20
"""Larger files are refused: etcd itself limits an object to 1.5 MiB."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that the manifests hold and that the model leaves out, and why."""

    kind: str
    name: str
    namespace: str
    location: Location
    why: str

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{' '.join(filter(None, [str(self.location), self.kind, name]))}: {self.why}"


@dataclass(frozen=True, slots=True)
class Manifests:
    """What some manifests say: the objects in the order of the files, what was skipped, and remarks that a reader should see."""

    objects: tuple[Any, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """The objects of one class: ``of(Service)``, ``of(Workload)``."""
        return tuple(each for each in self.objects if isinstance(each, kind))


def load(*sources: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> Manifests:
    """Reads files, and folders' ``.yaml``, ``.yml`` and ``.json`` files in the order of their names (not what lies deeper).

    ``progress(bytes_done, bytes_total)`` is called as the reading goes on. Raises ManifestError or UnsupportedError, nothing else.
    """
    files = [(str(path), _read(path)) for source in sources for path in _files(source)]
    total = sum(len(data) for _, data in files)
    reader = _Reader()
    done = 0
    for file, data in files:
        reader.read(decode(data, file), file, _reporter(progress, done, len(data), total))
        done += len(data)
    if progress:
        progress(total, total)
    return reader.result(", ".join(str(source) for source in sources))


def loads(text: str | bytes, file: str = "<text>", *, progress: Callable[[int, int], None] | None = None) -> Manifests:
    """Reads manifest text; ``file`` is the name that errors give it, and means JSON alone if it ends in ``.json``."""
    text = decode(text, file) if isinstance(text, bytes) else text.removeprefix("\ufeff")
    size = len(text.encode("utf-8", "surrogatepass"))
    reader = _Reader()
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


def _files(source: str | PathLike[str]) -> list[FilePath]:
    path = FilePath(source)
    try:
        if not path.is_dir():
            return [path]
        files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and not each.is_dir())
    except (OSError, ValueError) as error:
        raise ManifestError(_reason(error), file=str(source)) from None
    if not files:
        raise ManifestError("no .yaml, .yml or .json file in this folder", file=str(source))
    return files


def _read(path: FilePath) -> bytes:
    try:
        with path.open("rb") as stream:
            mode = path.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):  # a device might never end
                raise ManifestError("is not a file", file=str(path))
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ManifestError(_reason(error), file=str(path)) from None
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


# --- objects


@dataclass(slots=True)
class _Reader:
    """Collects objects from one text after the other."""

    objects: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, text: str, file: str, progress: Progress) -> None:
        before = len(self.objects) + len(self.skipped)
        for document, root in documents(text, file, progress):
            if root is not None:
                for place, data in _flatten(document, root):
                    self.add(place, data)
        if before == len(self.objects) + len(self.skipped):
            self.notes.append(f"{file}: no object in it")

    def add(self, document: Document, data: Any) -> None:
        try:
            self.take(document, data)
        except Fault as fault:
            kind = UnsupportedError if fault.unsupported else ManifestError
            line, written = document.find(fault.path if fault.at is None else fault.at)
            message = fault.message + (f': "{written}"' if fault.message.endswith("put it in quotes") and written else "")
            suggestion = {"suggestion": fault.suggestion} if kind is ManifestError else {}
            raise kind(message, file=document.file, line=line, field=dotted(fault.path), **suggestion) from None

    def take(self, document: Document, data: dict[str, Any]) -> None:
        version, kind = _version_and_kind(data)
        location = Location(document.file, getattr(data, "line", document.line), "", document)
        why = _why_skipped(version, kind)
        if why:
            self.skip(data, kind, version, location, why)
            return
        check(kind, data)
        meta = metadata(data.get("metadata", {}), kind)
        if "spec" not in data and kind not in ("Node", "Namespace", "Service"):
            raise Fault("required value", ("spec",))
        made = MAKERS[kind](data, meta, location)
        key = (kind, meta.namespace, meta.name)
        if key in self.objects:
            raise Fault(f"{made} is already defined at {self.objects[key].location}", ("metadata", "name"))
        self.objects[key] = made
        self.notes += _remarks(made)

    def skip(self, data: dict[str, Any], kind: str, version: str, location: Location, why: str) -> None:
        meta = data.get("metadata") or {}
        if not isinstance(meta, dict):
            raise Fault(f"must be an object, not {describe(meta)}", ("metadata",))
        name, namespace = meta.get("name") or meta.get("generateName") or "", meta.get("namespace") or ""
        for field_name, value in (("name", name), ("namespace", namespace)):
            if not isinstance(value, str):
                raise Fault(f"must be a string, not {describe(value)}: put it in quotes", ("metadata", field_name))
        if not name and why != kinds.CLIENT_SIDE:
            raise Fault("required value: name or generateName", ("metadata", "name"))
        self.skipped.append(Skipped(kind, name, namespace, location, why))

    def result(self, names: str) -> Manifests:
        if not self.objects and not self.skipped:
            raise ManifestError("no Kubernetes object found", file=names or "no file given", line=1 if names else None)
        return Manifests(tuple(self.objects.values()), tuple(self.skipped), tuple(self.notes))


def _flatten(document: Document, root: Any) -> Iterator[tuple[Document, Any]]:
    """The objects of a document: itself, or the items of a List (``kind: List``, or ``PodList`` and its like, whose items lack a kind)."""
    pending: list[tuple[Path, Any]] = [((), root)]
    while pending:
        path, data = pending.pop()
        if not isinstance(data, dict):
            raise document.error(f"must be an object with apiVersion and kind, not {describe(data)}{_list_hint(data)}", path)
        kind = data.get("kind")
        items = data.get("items")
        if not isinstance(kind, str) or not kind.endswith("List") or "items" not in data or "spec" in data:
            yield replace(document, prefix=path), data
            continue
        if items is not None and not isinstance(items, list):
            raise document.error(f"must be a list, not {describe(items)}", (*path, "items"))
        for index, item in reversed(list(enumerate(items or ()))):
            if kind != "List" and isinstance(item, dict):
                item.setdefault("kind", kind.removesuffix("List"))
                item.setdefault("apiVersion", data.get("apiVersion"))
            pending.append(((*path, "items", index), item))


def _list_hint(data: Any) -> str:
    return ': separate objects with "---" lines, or use kind: List' if isinstance(data, list) else ""


def _version_and_kind(data: dict[str, Any]) -> tuple[str, str]:
    for name in ("apiVersion", "kind"):
        value = data.get(name)
        other = next((key for key in data if key.lower() == name.lower()), name)
        if other != name and name not in data:
            raise Fault("unknown field", (other,), name)
        if value is None or value == "":
            raise Fault("required value", (name,))
        if not isinstance(value, str):
            raise Fault(f"must be a string, not {describe(value)}", (name,))
    return data["apiVersion"], data["kind"]


def _why_skipped(version: str, kind: str) -> str:
    """Why an object is skipped, or "" if it is one that the model reads; raises Fault for a kind that Kubernetes 1.36 does not serve."""
    if kind in kinds.SERVED.get(version, ()):
        return "" if kind in kinds.MODELLED else kinds.SKIPPED.get(kind, kinds.NOT_NETWORK)
    removed = kinds.REMOVED.get((version, kind))
    if removed:
        successor = f": write apiVersion: {removed[1]}" if removed[1] else ""
        raise Fault(f"{kind} of {version} was removed in Kubernetes {removed[0]}{successor}", ("apiVersion",))
    group = version.rpartition("/")[0]
    if group in kinds.CLIENT_SIDE_GROUPS or (version, kind) == ("v1", "Config"):
        return kinds.CLIENT_SIDE
    if group not in kinds.GROUPS and "." in group:  # the group of a custom resource has a dot
        return kinds.GATEWAY_API if group == "gateway.networking.k8s.io" else f"{kinds.CUSTOM}: API group {group}"
    if version in kinds.SERVED:
        homes = [each for each, names in kinds.SERVED.items() if kind in names]
        if homes:
            raise Fault(f"no kind {literal(kind)} in version {literal(version)}", ("apiVersion",), homes[0])
        meant = closest(kind, kinds.SERVED[version]) or closest(kind, {each for names in kinds.SERVED.values() for each in names})
        raise Fault(f"no kind {literal(kind)} in version {literal(version)}", ("kind",), meant)
    homes = [each for each, names in kinds.SERVED.items() if kind in names]
    meant = closest(version, homes or kinds.SERVED) or (homes[0] if homes else "")
    raise Fault(f"Kubernetes 1.36 serves no API version {literal(version)}", ("apiVersion",), meant)


# --- remarks: what the API server answers with a warning, or what would otherwise pass unseen

_OTHER_PLUGINS = {"k8s.v1.cni.cncf.io/networks", "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"}


def _remarks(made: Named) -> Iterator[str]:
    if isinstance(made, Deployment) and made.paused:
        yield f"{made.location}: {made} is paused: its controller makes no ReplicaSet, and so no Pods, before it is resumed"
    template = made.template if isinstance(made, Workload) else made
    if isinstance(template, Pod):
        yield from _repeated_ports(template)
        for key in sorted(template.annotations.keys() & _OTHER_PLUGINS):
            yield f"{locate(template, f'metadata.annotations[{key}]')}: {key} has no effect: no CNI plug-in of this model reads it"


def _repeated_ports(pod: Pod) -> Iterator[str]:
    """Two containers with the same port name or number: accepted with a warning, since only one of them can have it."""
    seen: dict[str | tuple[int, str], str] = {}
    for container in pod.running_containers:
        for port in container.ports:
            for what in (port.name, (port.container_port, port.protocol)):
                if what and seen.setdefault(what, container.name) != container.name:
                    text = f'port name "{what}"' if isinstance(what, str) else f"port {what[0]}/{what[1]}"
                    yield f"{pod.location}: containers {seen[what]} and {container.name} share one network and both have {text}"
