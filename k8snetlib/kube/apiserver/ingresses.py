"""Ingresses: defaults and validation (pkg/apis/networking/validation of 1.36)."""

from __future__ import annotations

import re
from copy import deepcopy
from ipaddress import ip_address
from typing import Any

from .. import schema_rules as rules
from ..schema import Fault
from ..schema_places import Child, Path
from .fields import Faults, metadata, object_meta, without_empty

Data = dict[str, Any]
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_SEQUENCES, _SUFFIXES = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")


def default(data: Data) -> Data:
    """The Ingress without empty lists; it has no static defaults."""
    data = deepcopy(data)
    spec = without_empty(data.get("spec") or {}, ("ingressClassName", "defaultBackend"))
    return {**data, "metadata": object_meta(data), "spec": spec, "status": data.get("status") or {"loadBalancer": {}}}


def problems(data: Data) -> list[Fault]:
    """Every mistake in an Ingress."""
    found, spec = Faults(), data["spec"]
    metadata(found, data["metadata"])
    if not spec.get("rules") and "defaultBackend" not in spec:
        found.add("invalid value: either defaultBackend or rules must be specified", "spec")
    if "defaultBackend" in spec:
        _backend(found, spec["defaultBackend"], ("spec", "defaultBackend"))
    for index, rule in enumerate(spec.get("rules", ())):
        _rule(found, rule, ("spec", "rules", index))
    for index, each in enumerate(spec.get("tls", ())):
        for number, host in enumerate(each.get("hosts", ())):
            found.add(_host(host), "spec", "tls", index, "hosts", number)
        found.add(rules.dns_subdomain(each["secretName"]) if each.get("secretName") else "", "spec", "tls", index, "secretName")
    name, annotated = spec.get("ingressClassName"), data["metadata"].get("annotations", {}).get(_CLASS_ANNOTATION)
    if name is not None:
        found.add(rules.dns_subdomain(name), "spec", "ingressClassName")
        if annotated not in (None, name):
            message = rules.invalid(annotated, "must match ingressClassName when both are specified")
            found.add(message, "annotations", Child(_CLASS_ANNOTATION), at=("metadata", "annotations", _CLASS_ANNOTATION))
    return found


def _host(host: str) -> str:
    """What is wrong with a host name, which may have one wildcard as its first label."""
    if "*" not in host:
        return rules.dns_subdomain(host)
    if len(host) <= 253 and re.fullmatch(r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", host):
        return ""
    return rules.invalid(host, 'a wildcard is the whole first label, as in "*.example.com", and a DNS subdomain follows it')


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _rule(found: Faults, data: Data, path: Path) -> None:
    host = data.get("host", "")
    if host:
        found.add(rules.invalid(host, "must be a DNS name, not an IP address") if _is_address(host) else "", *path, "host")
        found.add(_host(host), *path, "host")
    if "http" in data:
        paths = data["http"].get("paths") or ()
        found.add("" if paths else "required value", *path, "http", "paths")
        for index, each in enumerate(paths):
            _path(found, each, (*path, "http", "paths", index))


def _path(found: Faults, data: Data, path: Path) -> None:
    kind, text = data.get("pathType"), data.get("path", "")
    if found.add("required value: pathType must be specified" if kind is None else "", *path, "pathType"):
        return
    if kind in ("Exact", "Prefix"):
        found.add("" if text.startswith("/") else rules.invalid(text, "must be an absolute path"), *path, "path")
        for part in _SEQUENCES:
            found.add(rules.invalid(text, f"must not contain '{part}'") if part in text else "", *path, "path")
        for part in _SUFFIXES:
            found.add(rules.invalid(text, f"cannot end with '{part}'") if text.endswith(part) else "", *path, "path")
    elif kind == "ImplementationSpecific":
        found.add(rules.invalid(text, "must be an absolute path") if text and not text.startswith("/") else "", *path, "path")
    else:
        found.one_of(kind, PATH_TYPES, *path, "pathType")
    _backend(found, data.get("backend", {}), (*path, "backend"))


def _backend(found: Faults, data: Data, path: Path) -> None:
    if "resource" in data and "service" in data:
        found.add("invalid value: cannot set both resource and service backends", *path)
    elif "resource" in data:
        _resource(found, data["resource"], (*path, "resource"))
    elif "service" in data:
        _service(found, data["service"], path)
    else:
        found.add("invalid value: resource or service backend is required", *path)


def _resource(found: Faults, data: Data, path: Path) -> None:
    found.add(rules.dns_subdomain(data["apiGroup"]) if "apiGroup" in data else "", *path, "apiGroup")
    for field in ("kind", "name"):
        text = data.get(field, "")
        unfit = text in (".", "..") or "/" in text or "%" in text
        problem = rules.invalid(text, 'may not be "." or "..", nor contain "/" or "%"') if unfit else ""
        found.add(problem if text else "required value", *path, field)


def _service(found: Faults, data: Data, path: Path) -> None:
    name, port = data.get("name", ""), data.get("port", {})
    found.add(rules.dns_label(name) if name else "required value", *path, "service", "name")
    if port.get("name") and port.get("number"):
        found.add("invalid value: cannot set both port name and port number", *path)
    elif port.get("name"):
        found.add(rules.port_name(port["name"]), *path, "service", "port", "name")
    elif port.get("number"):
        found.add(rules.port_number(port["number"]), *path, "service", "port", "number")
    else:
        found.add("required value: port name or number is required", *path)
