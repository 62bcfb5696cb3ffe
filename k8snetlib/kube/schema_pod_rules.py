"""The API server's rules for the parts of a Pod that no packet depends on: volumes, probes, environment, resources.

A Pod that breaks one is never created, and then it is missing from its Services. Source: core validation of Kubernetes 1.36
(``pkg/apis/core/validation/validation.go``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from . import schema_rules as rules
from .schema import Fault, literal, unsupported_value
from .schema_places import Path
from .selectors import EMPTY

Data = dict[str, Any]
HOST_PATH_TYPES = frozenset(["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"])
MOST_DIGITS, ENDLESS = 1000, 10**1000
_NUMBER = re.compile(r"([+-]?[0-9.]+)(.*)")
_POWERS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CHECKED = frozenset(["volumeMounts", "env", "resources", "lifecycle", *_PROBES])
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII but "=" (KEP-4369)


def check_pod(spec: Data, path: Path, claims: Collection[str] = ()) -> None:
    """Raises Fault for the first mistake; ``claims`` are the names that a StatefulSet's volumeClaimTemplates add to the volumes."""
    rules.not_negative(spec, ("terminationGracePeriodSeconds",), path)
    if spec.get("serviceAccountName"):
        rules.require(rules.dns_subdomain(spec["serviceAccountName"]), *path, "serviceAccountName")
    volumes = {*_volumes(spec["volumes"], (*path, "volumes")), *claims} if "volumes" in spec else claims
    for field in ("initContainers", "containers"):
        for index, each in enumerate(spec.get(field, ())):
            if _CHECKED.isdisjoint(each):  # as in most manifests of a lesson
                continue
            place = (*path, field, index)
            _mounts(each.get("volumeMounts", ()), volumes, (*place, "volumeMounts"))
            _environment(each.get("env", ()), (*place, "env"))
            _resources(each.get("resources", EMPTY), (*place, "resources"))
            _handlers(each, (*place,), once=field == "initContainers" and each.get("restartPolicy") != "Always")


def _volumes(volumes: list[Data], path: Path) -> set[str]:
    names: set[str] = set()
    for index, each in enumerate(volumes):
        name = each["name"]
        twice = f"duplicate value {literal(name)}" if name in names else ""
        rules.require(rules.dns_label(name) or twice, *path, index, "name")
        names.add(name)
        sources = [key for key in each if key != "name"]
        rules.require("forbidden: may not specify more than 1 volume type" if len(sources) > 1 else "", *path, index, *sources[1:2])
        kind = each.get("hostPath", EMPTY).get("type", "")
        if kind not in HOST_PATH_TYPES:
            fault = unsupported_value(kind, HOST_PATH_TYPES - {""})
            fault.path = (*path, index, "hostPath", "type")
            raise fault
    return names


def _mounts(mounts: list[Data], volumes: Collection[str], path: Path) -> None:
    seen: set[str] = set()
    for index, each in enumerate(mounts):
        name, place = each["name"], each["mountPath"]
        rules.require("" if name in volumes else f"not found: {literal(name)}: the Pod has no volume of this name", *path, index, "name")
        twice = rules.invalid(place, "must be unique") if place in seen else ""
        rules.require(twice if place else "required value", *path, index, "mountPath")
        seen.add(place)


def _environment(variables: list[Data], path: Path) -> None:
    for index, each in enumerate(variables):
        name, source = each["name"], each.get("valueFrom")
        bad = "" if _ENV_NAME.fullmatch(name) else rules.invalid(name, 'must have printable ASCII characters alone, and no "="')
        rules.require(bad if name else "required value", *path, index, "name")
        if source is not None:
            both = rules.invalid("", "may not be specified when `value` is not empty") if each.get("value") else ""
            one = both or ("" if len(source) == 1 else "invalid value: must specify one of: fieldRef, resourceFieldRef, configMapKeyRef, …")
            rules.require(one, *path, index, "valueFrom")


def _resources(resources: Data, path: Path) -> None:
    limits = resources.get("limits", EMPTY)
    for field in ("limits", "requests"):
        for name, amount in resources.get(field, EMPTY).items():
            rules.require(rules.qualified_name(name), *path, field, name)
            rules.require(rules.invalid(amount, "must be greater than or equal to 0") if _amount(amount) < 0 else "", *path, field, name)
            if field == "requests" and name in limits and _amount(amount) > _amount(limits[name]):
                raise Fault(rules.invalid(amount, f"must be less than or equal to {name} limit of {limits[name]}"), (*path, field, name))


def _amount(quantity: object) -> Fraction:
    """The number that a quantity stands for (apimachinery's resource.Quantity); what no computer has is as good as endless."""
    text = str(quantity)
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > MOST_DIGITS:  # a float beyond all numbers, or more digits than Python reads
        return Fraction(-ENDLESS if text.startswith("-") else ENDLESS)
    number, unit = found.groups()
    if unit.endswith("i"):
        return Fraction(number) * 1024 ** ("KMGTPE".index(unit[0]) + 1)
    power = int(unit[1:]) if unit[:1] in ("e", "E") and unit[1:] else _POWERS[unit]
    return Fraction(number) * Fraction(10) ** max(-MOST_DIGITS, min(power, MOST_DIGITS))


def _handlers(container: Data, path: Path, once: bool) -> None:
    for field in _PROBES:
        if field in container:
            words = "forbidden: may not be set for init containers without restartPolicy=Always"
            rules.require(words if once else "", *path, field)
            _handler(container[field], (*path, field))
            _times(container[field], field, (*path, field))
    for field, handler in container.get("lifecycle", EMPTY).items():
        if isinstance(handler, dict):
            _handler(handler, (*path, "lifecycle", field))


def _times(probe: Data, kind: str, path: Path) -> None:
    rules.not_negative(probe, ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"), path)
    successes = probe.get("successThreshold") or 1
    rules.require(f"invalid value {successes}: must be 1" if kind != "readinessProbe" and successes != 1 else "", *path, "successThreshold")


def _handler(handler: Data, path: Path) -> None:
    """Exactly one action, and its port."""
    actions = [key for key in _HANDLERS if key in handler]
    rules.require("" if actions else "required value: must specify a handler type", *path)
    rules.require("forbidden: may not specify more than 1 handler type" if len(actions) > 1 else "", *path, *actions[1:2])
    action = handler[actions[0]]
    rules.require("required value" if actions == ["exec"] and not action.get("command") else "", *path, "exec", "command")
    if "port" in action:
        rule: Callable[[Any], str] = rules.port_name if isinstance(action["port"], str) else rules.port_number
        rules.require(rule(action["port"]) if action["port"] != "" else rules.invalid("", "must be a port name"), *path, actions[0], "port")
