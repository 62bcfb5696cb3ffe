"""The API server's rules for the parts of a container that no packet depends on: environment, resources, probes, security.

Source: core validation of Kubernetes 1.36 (``pkg/apis/core/validation/validation.go``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from . import schema_rules as rules
from .schema import Fault, literal
from .schema_places import Path
from .schema_volume_rules import ENV_FIELDS, check_field, check_mounts, check_resource, one_of
from .selectors import EMPTY

Data = dict[str, Any]
MOST_DIGITS, ENDLESS = 1000, 10**1000
_NUMBER = re.compile(r"([+-]?[0-9.]+)(.*)")
_POWERS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII but "=" (KEP-4369)
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_STANDARD = frozenset(["cpu", "memory", "ephemeral-storage"])
MOST_ID = 2**31 - 1
GRACE = 30  # seconds, where a Pod does not say


def check_container(data: Data, spec: Data, volumes: Collection[str], path: Path, *, init: bool) -> None:
    """Raises Fault for the first mistake of a container; ``init``: it ends before the others start."""
    check_mounts(data, volumes, path)
    _environment(data.get("env", ()), (*path, "env"))
    _sources(data.get("envFrom", ()), (*path, "envFrom"))
    claims = [each["name"] for each in spec.get("resourceClaims", ())]
    if "resources" in data:
        check_resources(data["resources"], claims, (*path, "resources"))
    _handlers(data, path, init, spec.get("terminationGracePeriodSeconds", GRACE))
    _resize(data.get("resizePolicy", ()), (*path, "resizePolicy"))
    if "securityContext" in data:
        _security(data["securityContext"], (*path, "securityContext"))


# --- environment


def _environment(variables: list[Data], path: Path) -> None:
    for index, each in enumerate(variables):
        name, source = each["name"], each.get("valueFrom")
        bad = "" if _ENV_NAME.fullmatch(name) else rules.invalid(name, 'must have printable ASCII characters alone, and no "="')
        rules.require(bad if name else "required value", *path, index, "name")
        if source is not None:
            both = rules.invalid("", "may not be specified when `value` is not empty") if each.get("value") else ""
            one = both or ("" if len(source) == 1 else "invalid value: must specify one of: fieldRef, resourceFieldRef, configMapKeyRef, …")
            rules.require(one, *path, index, "valueFrom")
            _source(source, (*path, index, "valueFrom"))


def _source(source: Data, path: Path) -> None:
    for kind, data in source.items():
        if kind == "fieldRef":
            check_field(data, ENV_FIELDS, (*path, kind))
        elif kind == "resourceFieldRef":
            check_resource(data, (*path, kind))
        elif kind in ("configMapKeyRef", "secretKeyRef"):
            name, key = data.get("name", ""), data["key"]
            rules.require(rules.dns_subdomain(name) if name else "required value", *path, kind, "name")
            bad = "" if _KEY.fullmatch(key) else rules.invalid(key, 'a key has only letters, digits, "-", "_" and "."')
            rules.require(bad if key else "required value", *path, kind, "key")


def _sources(sources: list[Data], path: Path) -> None:
    for index, each in enumerate(sources):
        prefix = each.get("prefix", "")
        bad = prefix and not _ENV_NAME.fullmatch(prefix)
        rules.require(
            rules.invalid(prefix, 'must have printable ASCII characters alone, and no "="') if bad else "", *path, index, "prefix"
        )
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in each]
        rules.require("" if len(kinds) == 1 else "invalid value: must specify one of: configMapRef or secretRef", *path, index)
        name = each[kinds[0]].get("name", "")
        rules.require(rules.dns_subdomain(name) if name else "required value", *path, index, kinds[0], "name")


# --- resources


def check_resources(resources: Data, claims: Collection[str], path: Path) -> None:
    """Limits and requests: names, amounts, and that nothing is asked for beyond its limit."""
    limits = resources.get("limits", EMPTY)
    for field in ("limits", "requests"):
        for name, amount in resources.get(field, EMPTY).items():
            place = (*path, field, name)
            rules.require(rules.qualified_name(name) or _resource_name(name), *place)
            number = _amount(amount)
            rules.require(rules.invalid(amount, "must be greater than or equal to 0") if number < 0 else "", *place)
            extended = "/" in name and "kubernetes.io/" not in name
            whole = number.denominator == 1 or not extended
            rules.require("" if whole else rules.invalid(amount, "must be an integer"), *place)
            if field == "requests" and name in limits and number > _amount(limits[name]):
                raise Fault(rules.invalid(amount, f"must be less than or equal to {name} limit of {limits[name]}"), place)
            if field == "requests" and (extended or name.startswith("hugepages-")) and number != _amount(limits.get(name, -1)):
                what = f"must be equal to {name} limit of {limits[name]}" if name in limits else ""
                raise Fault(rules.invalid(amount, what) if what else "required value: limit must be set for non overcommitable resources",
                            place if what else (*path, "limits"))  # fmt: skip
    for index, each in enumerate(resources.get("claims", ())):
        rules.require("" if each["name"] in claims else f"not found: {literal(each['name'])}", *path, "claims", index)


def _resource_name(name: str) -> str:
    plain = "/" not in name and name not in _STANDARD and not name.startswith("hugepages-")
    return rules.invalid(name, "must be a standard resource type (cpu, memory, …) or fully qualified") if plain else ""


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


def _resize(policies: list[Data], path: Path) -> None:
    seen = set()
    for index, each in enumerate(policies):
        one_of(each["resourceName"], ("cpu", "memory"), *path, index, "resourceName")
        one_of(each["restartPolicy"], ("NotRequired", "RestartContainer"), *path, index, "restartPolicy")
        rules.require(f"duplicate value {literal(each['resourceName'])}" if each["resourceName"] in seen else "", *path, index)
        seen.add(each["resourceName"])


# --- probes and hooks


def _handlers(container: Data, path: Path, init: bool, grace: int) -> None:
    words = "forbidden: may not be set for init containers without restartPolicy=Always" if init else ""
    for field in _PROBES:
        if field in container:
            rules.require(words, *path, field)
            _handler(container[field], (*path, field), grace)
            _times(container[field], field, (*path, field))
    if "lifecycle" in container:
        rules.require(words, *path, "lifecycle")
        for field, handler in container["lifecycle"].items():
            if isinstance(handler, dict):
                _handler(handler, (*path, "lifecycle", field), grace)


def _times(probe: Data, kind: str, path: Path) -> None:
    rules.not_negative(probe, ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"), path)
    successes = probe.get("successThreshold") or 1
    rules.require(f"invalid value {successes}: must be 1" if kind != "readinessProbe" and successes != 1 else "", *path, "successThreshold")
    if "terminationGracePeriodSeconds" in probe:
        grace = probe["terminationGracePeriodSeconds"]
        never = "must not be set for readinessProbes" if kind == "readinessProbe" else ""
        why = never or ("" if grace > 0 else "must be greater than 0")
        rules.require(f"invalid value {grace}: {why}" if why else "", *path, "terminationGracePeriodSeconds")


def _handler(handler: Data, path: Path, grace: int) -> None:
    """Exactly one action, and its port."""
    actions = [key for key in _HANDLERS if key in handler]
    rules.require("" if actions else "required value: must specify a handler type", *path)
    rules.require("forbidden: may not specify more than 1 handler type" if len(actions) > 1 else "", *path, *actions[1:2])
    action = handler[actions[0]]
    rules.require("required value" if actions == ["exec"] and not action.get("command") else "", *path, "exec", "command")
    if "port" in action:
        rule: Callable[[Any], str] = rules.port_name if isinstance(action["port"], str) else rules.port_number
        rules.require(rule(action["port"]) if action["port"] != "" else rules.invalid("", "must be a port name"), *path, actions[0], "port")
    for index, each in enumerate(action.get("httpHeaders", ())):
        bad = "" if _HEADER.fullmatch(each["name"]) else rules.invalid(each["name"], 'a header has only letters, digits and "-"')
        rules.require(bad, *path, actions[0], "httpHeaders", index, "name")
    if actions == ["sleep"] and not 0 <= action["seconds"] <= grace:
        why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        raise Fault(f"invalid value {action['seconds']}: {why}", (*path, "sleep", "seconds"))


# --- security


def _security(data: Data, path: Path) -> None:
    check_identities(data, path)
    if data.get("allowPrivilegeEscalation") is False:
        added = data.get("capabilities", EMPTY).get("add", ())
        both = "`privileged` to true" if data.get("privileged") else "`capabilities.add` CAP_SYS_ADMIN" if "CAP_SYS_ADMIN" in added else ""
        rules.require(f"invalid value: cannot set `allowPrivilegeEscalation` to false and {both}" if both else "", *path)
    if "procMount" in data:
        one_of(data["procMount"], ("Default", "Unmasked"), *path, "procMount")


def check_identities(data: Data, path: Path) -> None:
    """What a container's and a Pod's securityContext share: users and groups, and the profiles of seccomp and AppArmor."""
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        number = data.get(field, 0)
        rules.require("" if 0 <= number <= MOST_ID else f"invalid value {number}: must be between 0 and {MOST_ID}, inclusive", *path, field)
    for field in ("seccompProfile", "appArmorProfile"):
        if field in data:
            kind, profile = data[field]["type"], data[field].get("localhostProfile", "")
            one_of(kind, ("Localhost", "RuntimeDefault", "Unconfined"), *path, field, "type")
            missing = "required value: must be set when type is Localhost" if kind == "Localhost" and not profile else ""
            other = "forbidden: can only be set when type is Localhost" if kind != "Localhost" and profile else ""
            rules.require(missing or other, *path, field, "localhostProfile")
