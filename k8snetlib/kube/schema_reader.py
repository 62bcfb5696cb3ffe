"""From bytes to objects: decoding, the documents of a stream, which of them are read or skipped, and how a mistake gets its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ManifestError, UnsupportedError
from ..value import replace
from . import schema_json, schema_yaml
from . import schema_kinds as kinds
from .apiserver import KINDS, admit
from .manifests import Manifests, Skipped, locate
from .objects import Deployment, Location, Named, Pod, Workload
from .schema import Fault, check, closest, describe, literal, other_types
from .schema_places import Document, Path, Progress, dotted
from .schema_pods import metadata, skipped_metadata
from .schema_workloads import MAKERS
from .slices import Endpoints


def decode(data: bytes, file: str) -> str:
    """UTF-8 text without a byte order mark, or ManifestError for anything that is not text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError("the file is UTF-16 text, as some Windows tools write it: save it as UTF-8", file=file, line=1)
    try:
        return without_marks(data.decode("utf-8"))  # not utf-8-sig: that would import a codec
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"byte 0x{data[error.start]:02x} is not UTF-8 text", file=file, line=line) from None


def without_marks(text: str) -> str:
    """The text without the byte order marks that its documents begin with: files put one after the other keep theirs."""
    text = text.removeprefix("\ufeff")
    return re.sub("(?m)^(---[^\n]*\n)\ufeff", r"\1", text) if "\ufeff" in text else text


_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def documents(text: str, file: str, progress: Progress) -> Iterator[tuple[Document, Any]]:
    """Every document of a YAML stream, or every value of a JSON stream, with its data; ManifestError where the text is broken."""
    bad = None if text.replace("\n", "").isprintable() else _NOT_TEXT.search(text)  # the first is quick, and nearly always the answer
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise ManifestError(f"character U+{ord(bad[0]):04X} is not allowed in a manifest: is this a binary file?", file=file, line=line)
    if file.endswith(".json"):
        return schema_json.documents(text, file, progress)
    if text.lstrip()[:1] in ("{", "["):  # JSON, or YAML in flow style
        try:
            return iter(list(schema_json.documents(text, file, progress)))
        except schema_json.NotJson:
            pass
    return schema_yaml.documents(text, file, progress)


# --- objects


@dataclass(slots=True)
class Reader:
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
            for each in (fault, *fault.others) if _is_generated(data) else ():
                if each.path == ("metadata", "name"):
                    each.path = ("metadata", "generateName")
            raise _placed(document, fault) from None

    def take(self, document: Document, data: dict[str, Any]) -> None:
        version, kind = _version_and_kind(data)
        location = Location(document.file, getattr(data, "line", document.line), "", document)
        why = _why_skipped(version, kind)
        if not why and _is_generated(data):
            from .schema_generated import named

            data = named(data, kind, location, self)
        if (version, kind) in KINDS:
            data = admit(data)
        elif (version, kind) in kinds.ALPHA:
            data = _as_v1(data)
            self.notes.append(f"{location}: {_ALPHA.format(kind=kind, version=version)}")
        elif not why:
            check(kind, data)
        if why:
            self.skip(data, kind, version, location, why)
            return
        meta = metadata(data.get("metadata", {}), kind)
        if "spec" not in data and kind not in ("Node", "Namespace", "EndpointSlice", "Endpoints"):
            raise Fault("required value", ("spec",))
        made = _maker(kind)(data, meta, location)
        key = (kind, meta.namespace, meta.name)
        if key in self.objects:
            raise Fault(f"{made} is already defined at {self.objects[key].location}", ("metadata", "name"))
        self.objects[key] = made
        self.notes += _remarks(made)

    def skip(self, data: dict[str, Any], kind: str, version: str, location: Location, why: kinds.Reason) -> None:
        meta = data.get("metadata") or {}
        if not isinstance(meta, dict):
            raise Fault(f"must be an object, not {describe(meta)}", ("metadata",))
        if why != kinds.CLIENT_SIDE:
            skipped_metadata(meta, kind, builtin=version in kinds.SERVED)
        if version in kinds.SERVED and kind not in kinds.READ and (kind in other_types() or kind == "PersistentVolumeClaim"):
            check(kind, data)
        name, namespace = (str(text or "") for text in (meta.get("name") or meta.get("generateName"), meta.get("namespace")))
        kept = data if kind in kinds.KEPT else None
        self.skipped.append(Skipped(kind, name, namespace, location, why.text, why.bearing, kept))

    def result(self, names: str) -> Manifests:
        if not self.objects and not self.skipped:
            raise ManifestError("no Kubernetes object found", file=names or "no file given", line=1 if names else None)
        objects = tuple(self.objects.values())
        if any(kind == "Namespace" and len(self.objects[kind, "", name].labels) > 1 for kind, _, name in self.objects):
            from .pod_security import remarks

            self.notes += remarks(objects)
        return Manifests(objects, tuple(self.skipped), tuple(self.notes))


def _is_generated(data: dict[str, Any]) -> bool:
    """Whether the API server would make up the object's name."""
    meta = data.get("metadata")
    return isinstance(meta, dict) and not meta.get("name") and isinstance(meta.get("generateName"), str) and meta["generateName"] != ""


def _maker(kind: str) -> Callable[..., Any]:
    """What makes an object of the kind; for those at the edge imported late, as most manifests have none."""
    if kind in kinds.EDGE:
        from .schema_edge import MAKERS as EDGE_MAKERS

        return EDGE_MAKERS[kind]
    return MAKERS[kind]


def _placed(document: Document, fault: Fault) -> ManifestError | UnsupportedError:
    """A mistake, and the further ones of its object, with file and line."""
    line, written = document.find(fault.path if fault.at is None else fault.at)
    message = fault.message + (f': "{written}"' if fault.message.endswith("put it in quotes") and written else "")
    place = {"file": document.file, "line": line, "field": dotted(fault.path)}
    if fault.unsupported:
        return UnsupportedError(message, **place)
    others = tuple(_placed(document, each) for each in fault.others)
    return ManifestError(message, suggestion=fault.suggestion, others=others, **place)


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
            yield replace(document, prefix=path) if path else document, data
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


def _alien(data: dict[str, Any]) -> str:
    return f": a Kubernetes object has apiVersion and kind, and this has {', '.join(map(str, [*data][:3]))[:80] or 'nothing'}"


def _version_and_kind(data: dict[str, Any]) -> tuple[str, str]:
    for name in ("apiVersion", "kind"):
        value = data.get(name)
        if value.__class__ is str and value:
            continue
        other = next((key for key in data if key.lower() == name.lower()), name)
        if other != name and name not in data:
            raise Fault("unknown field", (other,), name)
        if value is None or value == "":
            raise Fault("required value" + ("" if {"apiVersion", "kind"} & data.keys() else _alien(data)), (name,))
        if not isinstance(value, str):
            raise Fault(f"must be a string, not {describe(value)}", (name,))
    return data["apiVersion"], data["kind"]


def _why_skipped(version: str, kind: str) -> kinds.Reason | None:
    """Why an object is skipped, or None if it is one that the model reads; raises Fault for a kind that Kubernetes 1.36 does not serve."""
    if kind in kinds.SERVED.get(version, ()):
        return None if kind in kinds.READ else kinds.SKIPPED.get(kind, kinds.NOT_NETWORK)
    if (version, kind) in KINDS or (version, kind) in kinds.ALPHA:  # of the Gateway API
        return None
    removed = kinds.REMOVED.get((version, kind))
    if removed:
        successor = f": write apiVersion: {removed[1]}" if removed[1] else ""
        raise Fault(f"{kind} of {version} was removed in Kubernetes {removed[0]}{successor}", ("apiVersion",))
    group = version.rpartition("/")[0]
    if group in kinds.CLIENT_SIDE_GROUPS or (version, kind) == ("v1", "Config"):
        return kinds.CLIENT_SIDE
    if group not in kinds.GROUPS and "." in group:  # the group of a custom resource has a dot
        return _why_custom(group, version, kind)
    if version in kinds.SERVED:
        homes = [each for each, names in kinds.SERVED.items() if kind in names]
        if homes:
            raise Fault(f"no kind {literal(kind)} in version {literal(version)}", ("apiVersion",), homes[0])
        meant = closest(kind, kinds.SERVED[version]) or closest(kind, {each for names in kinds.SERVED.values() for each in names})
        raise Fault(f"no kind {literal(kind)} in version {literal(version)}", ("kind",), meant)
    homes = [each for each, names in kinds.SERVED.items() if kind in names]
    meant = closest(version, homes or kinds.SERVED) or (homes[0] if homes else "")
    raise Fault(f"Kubernetes 1.36 serves no API version {literal(version)}", ("apiVersion",), meant)


def _why_custom(group: str, version: str, kind: str) -> kinds.Reason:
    """As ``_why_skipped``, for a custom resource; Fault for a version of the Gateway API that is not served."""
    if group not in kinds.GATEWAY_GROUPS:
        return kinds.CONTROLLED.get(group) or kinds.custom(group)
    now = kinds.GATEWAY_NAMES.get(kind, kind)
    if now in kinds.GATEWAY_KINDS:
        write = f"write apiVersion: {kinds.GATEWAY}" + (f" and kind: {now}" if now != kind else "")
        raise Fault(f"{kind} of {version} is not served by Gateway API 1.6: {write}", ("apiVersion",))
    return kinds.BACKEND_TLS if kind == "BackendTLSPolicy" else kinds.GATEWAY_API


_ALPHA = f"{{kind}} of {{version}} is deprecated, and the standard channel does not serve it: write apiVersion: {kinds.GATEWAY}"


def _as_v1(data: dict[str, Any]) -> dict[str, Any]:
    """An object of an alpha version as v1 admits it; where v1 asks for more, the mistake says that it is v1 that asks."""
    try:
        return admit(data | {"apiVersion": kinds.GATEWAY})
    except Fault as fault:
        for each in (fault, *fault.others):
            each.message = f"read as v1: {each.message}"
        raise


# --- remarks: what the API server answers with a warning, or what would otherwise pass unseen

_OTHER_PLUGINS = {"k8s.v1.cni.cncf.io/networks", "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"}


def _remarks(made: Named) -> Iterator[str]:
    if isinstance(made, Endpoints):
        yield f"{made.location}: Endpoints is deprecated since 1.33, in favour of EndpointSlice (discovery.k8s.io/v1)"
    if isinstance(made, Deployment) and made.paused:
        yield f"{made.location}: {made} is paused: its controller makes no ReplicaSet, and so no Pods, before it is resumed"
    template = made.template if isinstance(made, Workload) else made
    if isinstance(template, Pod):
        if template.host_ports and not template.host_network:
            from .portmap import notes

            yield from notes(template)
        if len(template.containers) > 1:
            yield from _repeated_ports(template)
        for key in sorted(template.annotations.keys() & _OTHER_PLUGINS) if template.annotations else ():
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
