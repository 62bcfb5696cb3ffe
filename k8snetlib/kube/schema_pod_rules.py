"""The API server's rules for the parts of a Pod that no packet depends on: volumes, security, what only the scheduler prefers.

A Pod that breaks one is never created, and then it is missing from its Services. Source: core validation of Kubernetes 1.36
(``pkg/apis/core/validation/validation.go``). It is a module of its own since most Pods of a lesson have none of these parts.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from . import schema_rules as rules
from .schema import Fault, literal
from .schema_container_rules import MOST_ID, check_container, check_identities, check_resources
from .schema_places import Path
from .schema_scheduling import label_selector
from .schema_volume_rules import check_volumes, one_of
from .selectors import EMPTY

Data = dict[str, Any]
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_SEARCH = re.compile(r"[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9_])?)*")
MOST_SEARCHES = 2048  # characters of all search paths together


def check_pod(spec: Data, path: Path, claims: Collection[str] = ()) -> None:
    """Raises Fault for the first mistake; ``claims`` are the names that a StatefulSet's volumeClaimTemplates add to the volumes."""
    rules.not_negative(spec, ("terminationGracePeriodSeconds",), path)
    deadline = spec.get("activeDeadlineSeconds", 1)
    rules.require(
        "" if 1 <= deadline <= MOST_ID else f"invalid value {deadline}: must be between 1 and {MOST_ID}, inclusive",
        *path, "activeDeadlineSeconds",
    )  # fmt: skip
    for field in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
        rules.require(rules.dns_subdomain(spec[field]) if spec.get(field) else "", *path, field)
    if spec.get("os"):
        one_of(spec["os"]["name"], ("linux", "windows"), *path, "os", "name")
    volumes = {*check_volumes(spec["volumes"], (*path, "volumes")), *claims} if "volumes" in spec else claims
    for field in ("containers", "initContainers"):
        for index, each in enumerate(spec.get(field, ())):
            init = field == "initContainers" and each.get("restartPolicy") != "Always"
            check_container(each, spec, volumes, (*path, field, index), init=init)
    _ephemeral(spec, path)
    _namespaces(spec, path)
    _security(spec, path)
    _gates(spec, path)
    _searches(spec.get("dnsConfig", EMPTY), (*path, "dnsConfig"))
    _scheduling(spec, path)
    if "resources" in spec:
        check_resources(spec["resources"], (), (*path, "resources"))


def _ephemeral(spec: Data, path: Path) -> None:
    names = {each["name"] for field in ("containers", "initContainers") for each in spec.get(field, ())}
    for index, each in enumerate(spec.get("ephemeralContainers", ())):
        place = (*path, "ephemeralContainers", index)
        for field in ("lifecycle", "livenessProbe", "ports", "readinessProbe", "resources", "startupProbe"):
            rules.require("forbidden: cannot be set for an ephemeral container" if each.get(field) else "", *place, field)
        target = each.get("targetContainerName", "")
        rules.require(f"not found: {literal(target)}" if target and target not in names else "", *place, "targetContainerName")


def _namespaces(spec: Data, path: Path) -> None:
    """The node's namespaces that a Pod uses."""
    if spec.get("hostUsers") is False:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            rules.require("forbidden: not when hostUsers is false" if spec.get(field) else "", *path, field)
    both = spec.get("shareProcessNamespace") and spec.get("hostPID")
    rules.require("invalid value: shareProcessNamespace and hostPID cannot both be enabled" if both else "", *path, "shareProcessNamespace")


def _security(spec: Data, path: Path) -> None:
    data, place = spec.get("securityContext", EMPTY), (*path, "securityContext")
    check_identities(data, place)
    if "fsGroupChangePolicy" in data:
        one_of(data["fsGroupChangePolicy"], ("Always", "OnRootMismatch"), *place, "fsGroupChangePolicy")
    for index, group in enumerate(data.get("supplementalGroups", ())):
        bad = "" if 0 <= group <= MOST_ID else f"invalid value {group}: must be between 0 and {MOST_ID}, inclusive"
        rules.require(bad, *place, "supplementalGroups", index)
    seen = set()
    for index, each in enumerate(data.get("sysctls", ())):
        name = each["name"].replace("/", ".")
        bad = (
            ""
            if _SYSCTL.fullmatch(each["name"])
            else rules.invalid(each["name"], "must be the name of a sysctl, such as net.core.somaxconn")
        )
        twice = f"duplicate value {literal(each['name'])}" if name in seen else ""
        shared = spec.get("hostNetwork") and name.startswith("net.")
        node = rules.invalid(each["name"], "may not be specified when hostNetwork is true") if shared else ""
        rules.require((bad if name else "required value") or twice or node, *place, "sysctls", index, "name")
        seen.add(name)


def _gates(spec: Data, path: Path) -> None:
    seen = set()
    for index, each in enumerate(spec.get("schedulingGates", ())):
        twice = f"duplicate value {literal(each['name'])}" if each["name"] in seen else ""
        rules.require(rules.qualified_name(each["name"]) or twice, *path, "schedulingGates", index, "name")
        seen.add(each["name"])
    for index, each in enumerate(spec.get("readinessGates", ())):
        rules.require(rules.qualified_name(each["conditionType"]), *path, "readinessGates", index, "conditionType")


def _searches(config: Data, path: Path) -> None:
    searches = config.get("searches", ())
    long = len(" ".join(searches)) > MOST_SEARCHES
    rules.require(f"must not have more than {MOST_SEARCHES} characters, with spaces between them" if long else "", *path, "searches")
    for index, each in enumerate(searches):
        bad = each != "." and not _SEARCH.fullmatch(each.removesuffix("."))
        rules.require(rules.invalid(each, "must be a DNS name, such as svc.cluster.local") if bad else "", *path, "searches", index)
    for index, each in enumerate(config.get("options", ())):
        rules.require("" if each.get("name") else "required value: must not be empty", *path, "options", index, "name")


# --- what the scheduler only prefers, and so the model's does not read


def _scheduling(spec: Data, path: Path) -> None:
    for index, each in enumerate(spec.get("tolerations", ())):
        wrong = "tolerationSeconds" in each and each.get("effect") != "NoExecute"
        bad = rules.invalid(each.get("effect", ""), "effect must be NoExecute when tolerationSeconds is set") if wrong else ""
        rules.require(bad, *path, "tolerations", index, "effect")
    affinity = spec.get("affinity", EMPTY)
    for index, each in enumerate(affinity.get("nodeAffinity", EMPTY).get(_PREFERRED, ())):
        place = (*path, "affinity", "nodeAffinity", _PREFERRED, index)
        _weight(each, place)
        for number, requirement in enumerate(each["preference"].get("matchExpressions", ())):
            rules.require(rules.qualified_name(requirement["key"]), *place, "preference", "matchExpressions", number, "key")
    for kind in ("podAffinity", "podAntiAffinity"):
        place = (*path, "affinity", kind)
        for index, each in enumerate(affinity.get(kind, EMPTY).get(_PREFERRED, ())):
            _weight(each, (*place, _PREFERRED, index))
            _pod_term(each["podAffinityTerm"], (*place, _PREFERRED, index, "podAffinityTerm"))
        for index, each in enumerate(affinity.get(kind, EMPTY).get(_REQUIRED, ())):
            _pod_term(each, (*place, _REQUIRED, index))
    _spread(spec.get("topologySpreadConstraints", ()), (*path, "topologySpreadConstraints"))


def _weight(data: Data, path: Path) -> None:
    weight = data["weight"]
    rules.require("" if 1 <= weight <= 100 else f"invalid value {weight}: must be in the range 1-100", *path, "weight")


def _pod_term(term: Data, path: Path) -> None:
    rules.require(rules.qualified_name(term["topologyKey"]) if term["topologyKey"] else "required value", *path, "topologyKey")
    for index, name in enumerate(term.get("namespaces", ())):
        rules.require(rules.dns_label(name), *path, "namespaces", index)
    for field in ("labelSelector", "namespaceSelector"):
        if term.get(field):
            label_selector(term[field], (*path, field))


def _spread(constraints: Collection[Data], path: Path) -> None:
    seen = set()
    for index, each in enumerate(constraints):
        place, key = (*path, index), (each["topologyKey"], each["whenUnsatisfiable"])
        skew = each["maxSkew"]
        rules.require("" if skew > 0 else f"invalid value {skew}: must be greater than zero", *place, "maxSkew")
        rules.require(rules.qualified_name(key[0]) if key[0] else "required value", *place, "topologyKey")
        needless = "minDomains" in each and key[1] != "DoNotSchedule"
        rules.require(
            f"invalid value {each.get('minDomains')}: can only use minDomains if whenUnsatisfiable is DoNotSchedule" if needless else "",
            *place, "minDomains",
        )  # fmt: skip
        if key in seen:
            raise Fault(f"duplicate value {literal(f'{{{key[0]}, {key[1]}}}')}: topologyKey and whenUnsatisfiable together", place)
        seen.add(key)
        if each.get("labelSelector"):
            label_selector(each["labelSelector"], (*place, "labelSelector"))
