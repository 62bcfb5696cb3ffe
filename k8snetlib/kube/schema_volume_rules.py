"""The API server's rules for volumes, the projections in them, and where containers mount them (core validation of Kubernetes 1.36)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from . import schema_rules as rules
from .schema import Fault, literal, unsupported_value
from .schema_places import Path
from .selectors import EMPTY

Data = dict[str, Any]
HOST_PATH_TYPES = frozenset(["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"])
PROPAGATION = ("Bidirectional", "HostToContainer", "None")
RECURSION = ("Disabled", "Enabled", "IfPossible")
FILE_FIELDS = frozenset(["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"])
ENV_FIELDS = frozenset([
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
    "status.podIP", "status.podIPs",
])  # fmt: skip
RESOURCES = frozenset(f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage"))
HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
NAMED = {  # the field of a source that must not be empty
    "awsElasticBlockStore": "volumeID", "cinder": "volumeID", "configMap": "name", "csi": "driver", "ephemeral": "volumeClaimTemplate",
    "flexVolume": "driver", "gcePersistentDisk": "pdName", "hostPath": "path", "nfs": "server", "persistentVolumeClaim": "claimName",
    "secret": "secretName",
}  # fmt: skip
LEAST_TOKEN, MOST_TOKEN = 600, 1 << 32  # seconds


def one_of(value: str, allowed: Collection[str], *path: str | int) -> None:
    """Fault for a value that is not one of a few."""
    if value not in allowed:
        fault = unsupported_value(value, allowed)
        fault.path = path
        raise fault


def check_volumes(volumes: list[Data], path: Path) -> set[str]:
    """The names of the volumes; Fault for the first mistake."""
    names: set[str] = set()
    for index, each in enumerate(volumes):
        name = each["name"]
        twice = f"duplicate value {literal(name)}" if name in names else ""
        rules.require((rules.dns_label(name) if name else "required value") or twice, *path, index, "name")
        names.add(name)
        sources = [key for key in each if key != "name"]
        rules.require("forbidden: may not specify more than 1 volume type" if len(sources) > 1 else "", *path, index, *sources[1:2])
        for kind in sources:
            _source(kind, each[kind], (*path, index, kind))
    return names


def _source(kind: str, data: Data, path: Path) -> None:
    needed = NAMED.get(kind, "")
    rules.require("required value" if needed and not data.get(needed) else "", *path, needed)
    _mode(data, "defaultMode", path)
    if kind == "hostPath":
        _no_steps_back(data["path"], *path, "path")
        one_of(data.get("type", ""), HOST_PATH_TYPES, *path, "type")
    elif kind == "emptyDir" and str(data.get("sizeLimit", "")).startswith("-"):
        raise Fault("forbidden: must not be negative", (*path, "sizeLimit"))
    elif kind in ("configMap", "secret"):
        _items(data.get("items", ()), (*path, "items"))
    elif kind == "downwardAPI":
        _files(data.get("items", ()), (*path, "items"))
    elif kind == "nfs":
        rules.require("" if data["path"].startswith("/") else rules.invalid(data["path"], "must be an absolute path"), *path, "path")
    elif kind == "projected":
        _projected(data.get("sources", ()), (*path, "sources"))


def _projected(sources: Collection[Data], path: Path) -> None:
    taken: set[str] = set()
    for index, each in enumerate(sources):
        place = (*path, index)
        rules.require("forbidden: may not specify more than 1 volume type per source" if len(each) > 1 else "", *place, *list(each)[1:2])
        for kind, data in each.items():
            if kind in ("configMap", "secret"):
                rules.require("" if data.get("name") else "required value", *place, kind, "name")
                _items(data.get("items", ()), (*place, kind, "items"))
            elif kind == "downwardAPI":
                _files(data.get("items", ()), (*place, kind, "items"))
            elif kind == "serviceAccountToken":
                _token(data, (*place, kind))
            for number, item in enumerate(data.get("items", ())):
                twice = rules.invalid(item["path"], "conflicting duplicate paths") if item["path"] in taken else ""
                rules.require(twice, *place, kind, "items", number, "path")
                taken.add(item["path"])


def _token(data: Data, path: Path) -> None:
    seconds = data.get("expirationSeconds", 3600)
    why = "may not specify a duration less than 10 minutes" if seconds < LEAST_TOKEN else ""
    why = "may not specify a duration larger than 2^32 seconds" if seconds > MOST_TOKEN else why
    rules.require(f"invalid value {seconds}: {why}" if why else "", *path, "expirationSeconds")
    _local(data["path"], *path, "path")


def _items(items: Collection[Data], path: Path) -> None:
    for index, each in enumerate(items):
        rules.require("" if each["key"] else "required value", *path, index, "key")
        _local(each["path"], *path, index, "path")
        _mode(each, "mode", (*path, index))


def _files(items: Collection[Data], path: Path) -> None:
    for index, each in enumerate(items):
        place = (*path, index)
        _local(each["path"], *place, "path")
        _mode(each, "mode", place)
        rules.require("" if "fieldRef" in each or "resourceFieldRef" in each else "required value: fieldRef or resourceFieldRef", *place)
        if "fieldRef" in each:
            check_field(each["fieldRef"], FILE_FIELDS, (*place, "fieldRef"))
            rules.require("invalid value: not beside fieldRef" if "resourceFieldRef" in each else "", *place, "resourceFieldRef")
        else:
            rules.require(
                "" if each["resourceFieldRef"].get("containerName") else "required value", *place, "resourceFieldRef", "containerName"
            )
            check_resource(each["resourceFieldRef"], (*place, "resourceFieldRef"))


def _mode(data: Data, field: str, path: Path) -> None:
    mode = data.get(field, 0)
    rules.require("" if 0 <= mode <= 0o777 else f"invalid value {int(mode)}: must be between 0 and 0777 octal", *path, field)


def check_field(data: Data, allowed: Collection[str], path: Path) -> None:
    """A reference to a field of the Pod: ``metadata.name``, ``metadata.labels['app']``."""
    text = data["fieldPath"]
    rules.require("" if text else "required value", *path, "fieldPath")
    head, bracket, rest = text.partition("['")
    if bracket and rest.endswith("']") and head in ("metadata.annotations", "metadata.labels"):
        key = rest.removesuffix("']")
        rules.require(rules.qualified_name(key.lower() if head == "metadata.annotations" else key), *path, "fieldPath")
    elif text != "spec.host":  # what spec.nodeName was called once
        one_of(text, allowed, *path, "fieldPath")


def check_resource(data: Data, path: Path) -> None:
    """A reference to a container's limit or request."""
    name = data["resource"]
    if not name.startswith(HUGE_PAGES):
        rules.require("" if name else "required value", *path, "resource")
        one_of(name, RESOURCES, *path, "resource")


def _local(text: str, *path: str | int) -> None:
    """A path below a directory."""
    rules.require("" if text else "required value", *path)
    rules.require(rules.invalid(text, "must be a relative path") if text.startswith("/") else "", *path)
    _no_steps_back(text, *path)
    rules.require(rules.invalid(text, "must not start with '..'") if text.startswith("..") else "", *path)


def _no_steps_back(text: str, *path: str | int) -> None:
    rules.require(rules.invalid(text, "must not contain '..'") if ".." in text.split("/") else "", *path)


def check_mounts(container: Data, volumes: Collection[str], path: Path) -> None:
    """What a container mounts, and the devices that it gets."""
    seen: set[str] = set()
    for index, each in enumerate(container.get("volumeMounts", ())):
        name, at, place = each["name"], each["mountPath"], (*path, "volumeMounts", index)
        _known(name, volumes, place)
        twice = rules.invalid(at, "must be unique") if at in seen else ""
        rules.require(twice if at else "required value", *place, "mountPath")
        seen.add(at)
        _mount(each, container.get("securityContext", EMPTY).get("privileged", False), place)
    for index, each in enumerate(container.get("volumeDevices", ())):
        _known(each["name"], volumes, (*path, "volumeDevices", index))
        rules.require("" if each["devicePath"] else "required value", *path, "volumeDevices", index, "devicePath")


def _known(name: str, volumes: Collection[str], path: Path) -> None:
    rules.require("" if name in volumes else f"not found: {literal(name)}: the Pod has no volume of this name", *path, "name")


def _mount(data: Data, privileged: bool, path: Path) -> None:
    for field in ("subPath", "subPathExpr"):
        text = data.get(field, "")
        rules.require(rules.invalid(text, "must be a relative path") if text.startswith("/") else "", *path, field)
        _no_steps_back(text, *path, field)
    both = data.get("subPath") and data.get("subPathExpr")
    rules.require("invalid value: subPathExpr and subPath are mutually exclusive" if both else "", *path, "subPathExpr")
    propagation = data.get("mountPropagation")
    if propagation is not None:
        one_of(propagation, PROPAGATION, *path, "mountPropagation")
        alone = propagation == "Bidirectional" and not privileged
        rules.require(
            "forbidden: Bidirectional mount propagation is available only to privileged containers" if alone else "",
            *path,
            "mountPropagation",
        )
    recursion = data.get("recursiveReadOnly")
    if recursion is not None:
        one_of(recursion, RECURSION, *path, "recursiveReadOnly")
        if recursion != "Disabled":
            readable = "" if data.get("readOnly") else "forbidden: may only be specified when readOnly is true"
            spread = (
                "" if propagation in (None, "None") else "forbidden: may only be specified when mountPropagation is None or not specified"
            )
            rules.require(readable or spread, *path, "recursiveReadOnly")
