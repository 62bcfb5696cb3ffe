"""Checked data to what the scheduler reads: selectors, affinities, tolerations and spread constraints of a Pod."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import schema_rules as rules
from .schema import Fault
from .schema_places import Path
from .selectors import (
    EMPTY,
    Affinity,
    FrozenDict,
    Labels,
    LabelSelector,
    LabelSelectorRequirement,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinityTerm,
    Taint,
    Toleration,
    TopologySpreadConstraint,
)

Data = dict[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def scheduling(spec: Data, labels: Labels, path: Path) -> dict[str, Any]:
    """The fields of a Pod that say where it may run; preferences are left out, since the model's scheduler only spreads evenly."""
    rules.require(rules.dns_subdomain(spec["nodeName"]) if spec.get("nodeName") else "", *path, "nodeName")
    for key, value in spec.get("nodeSelector", EMPTY).items():
        rules.require(rules.qualified_name(key) or rules.label_value(value), *path, "nodeSelector", key)
    spread = "topologySpreadConstraints"
    return {
        "node_selector": FrozenDict(spec["nodeSelector"]) if spec.get("nodeSelector") else EMPTY,
        "affinity": _affinity(spec["affinity"], labels, (*path, "affinity")) if spec.get("affinity") else None,
        "tolerations": tuple(_toleration(each, (*path, "tolerations", index)) for index, each in enumerate(spec.get("tolerations", ()))),
        "topology_spread": tuple(
            _spread(each, labels, (*path, spread, index))
            for index, each in enumerate(spec.get(spread, ()))
            if each["whenUnsatisfiable"] == "DoNotSchedule"
        ),
        "scheduler_name": spec.get("schedulerName") or "default-scheduler",
        "scheduling_gates": tuple(each["name"] for each in spec.get("schedulingGates", ())),
    }


def label_selector(data: Data, path: Path) -> LabelSelector:
    """A label selector, its keys, operators and values checked."""
    for key, value in data.get("matchLabels", EMPTY).items():
        rules.require(rules.qualified_name(key) or rules.label_value(value), *path, "matchLabels", key)
    expressions = []
    for index, each in enumerate(data.get("matchExpressions", ())):
        place = (*path, "matchExpressions", index)
        rules.require(rules.qualified_name(each["key"]), *place, "key")
        _check_values(each, place)
        expressions.append(LabelSelectorRequirement(each["key"], each["operator"], tuple(each.get("values", ()))))
    return LabelSelector(FrozenDict(data.get("matchLabels", EMPTY)), tuple(expressions))


def _check_values(data: Data, path: Path) -> None:
    """In and NotIn need values; Exists and DoesNotExist forbid them; Gt and Lt take one integer."""
    operator, values = data["operator"], data.get("values", ())
    if operator in ("In", "NotIn") and not values:
        raise Fault("required value: must be specified when operator is 'In' or 'NotIn'", (*path, "values"))
    if operator in ("Exists", "DoesNotExist") and values:
        raise Fault("forbidden: may not be specified when operator is 'Exists' or 'DoesNotExist'", (*path, "values"))
    if operator in ("Gt", "Lt") and len(values) != 1:
        raise Fault("must be specified single value when operator is 'Lt' or 'Gt'", (*path, "values"))
    if not operator:
        raise Fault("required value", (*path, "operator"))


def _affinity(data: Data, labels: Labels, path: Path) -> Affinity:
    terms = data.get("nodeAffinity", EMPTY).get(_REQUIRED)
    place = (*path, "nodeAffinity", _REQUIRED)
    return Affinity(
        node=None if terms is None else _node_terms(terms["nodeSelectorTerms"], (*place, "nodeSelectorTerms")),
        pods=_pod_terms(data.get("podAffinity", EMPTY), labels, (*path, "podAffinity")),
        anti_pods=_pod_terms(data.get("podAntiAffinity", EMPTY), labels, (*path, "podAntiAffinity")),
    )


def _node_terms(terms: list[Data], path: Path) -> tuple[NodeSelectorTerm, ...]:
    rules.require("" if terms else "required value: must have at least one node selector term", *path)
    out = []
    for index, term in enumerate(terms):
        for at, each in enumerate(term.get("matchFields", ())):
            bad = "" if each["key"] == "metadata.name" else rules.invalid(each["key"], "not a valid field selector key")
            rules.require(bad, *path, index, "matchFields", at, "key")
        parts = [_node_requirements(term.get(field, ()), (*path, index, field)) for field in ("matchExpressions", "matchFields")]
        out.append(NodeSelectorTerm(*parts))
    return tuple(out)


def _node_requirements(data: Iterable[Data], path: Path) -> tuple[NodeSelectorRequirement, ...]:
    for index, each in enumerate(data):
        _check_values(each, (*path, index))
    return tuple(NodeSelectorRequirement(each["key"], each["operator"], tuple(each.get("values", ()))) for each in data)


def _pod_terms(data: Data, labels: Labels, path: Path) -> tuple[PodAffinityTerm, ...]:
    out = []
    for index, term in enumerate(data.get(_REQUIRED, ())):
        place = (*path, _REQUIRED, index)
        rules.require(rules.qualified_name(term["topologyKey"]) if term["topologyKey"] else "required value", *place, "topologyKey")
        namespaces = term.get("namespaceSelector")
        out.append(
            PodAffinityTerm(
                term["topologyKey"],
                _selector_with_keys(term, labels, place),
                tuple(term.get("namespaces", ())),
                None if namespaces is None else label_selector(namespaces, (*place, "namespaceSelector")),
            )
        )
    return tuple(out)


def _selector_with_keys(term: Data, labels: Labels, path: Path) -> LabelSelector | None:
    """The term's selector, with the Pod's own values for matchLabelKeys (KEP-3633); keys that the Pod lacks are ignored."""
    if term.get("labelSelector") is None:
        return None
    selector = label_selector(term["labelSelector"], (*path, "labelSelector"))
    extra = [
        LabelSelectorRequirement(key, operator, (labels[key],))
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field, ())
        if key in labels
    ]
    return LabelSelector(selector.match_labels, (*selector.match_expressions, *extra))


def _spread(data: Data, labels: Labels, path: Path) -> TopologySpreadConstraint:
    rules.require("" if data["maxSkew"] > 0 else f"invalid value {data['maxSkew']}: must be greater than zero", *path, "maxSkew")
    rules.require(rules.qualified_name(data["topologyKey"]) if data["topologyKey"] else "required value", *path, "topologyKey")
    domains = int(data.get("minDomains", 1))
    rules.require("" if domains > 0 else f"invalid value {domains}: must be greater than zero", *path, "minDomains")
    return TopologySpreadConstraint(
        int(data["maxSkew"]),
        data["topologyKey"],
        _selector_with_keys(data, labels, path),
        domains,
        honor_affinity=data.get("nodeAffinityPolicy") != "Ignore",
        honor_taints=data.get("nodeTaintsPolicy") == "Honor",
    )


def _toleration(data: Data, path: Path) -> Toleration:
    key, operator, value = data.get("key", ""), data.get("operator") or "Equal", data.get("value", "")
    rules.require(rules.qualified_name(key) if key else "", *path, "key")
    if not key and operator != "Exists":
        raise Fault("operator must be Exists when key is empty, which means to match all values and all keys", (*path, "operator"))
    if operator == "Exists" and value:
        raise Fault(rules.invalid(value, "value must be empty when operator is Exists"), (*path, "value"))
    rules.require(rules.label_value(value), *path, "value")
    return Toleration(key, operator, value, data.get("effect", ""))


def taints(data: Iterable[Data], path: Path) -> tuple[Taint, ...]:
    """A Node's taints, unique by key and effect."""
    out: list[Taint] = []
    seen: set[tuple[str, str]] = set()
    for index, each in enumerate(data):
        rules.require(rules.qualified_name(each["key"]), *path, index, "key")
        rules.require(rules.label_value(each.get("value", "")), *path, index, "value")
        rules.require("" if each["effect"] else "required value", *path, index, "effect")
        taint = Taint(each["key"], each.get("value", ""), each["effect"])
        twice = (taint.key, taint.effect) in seen
        rules.require("duplicate value: taints must be unique by key and effect pair" if twice else "", *path, index)
        seen.add((taint.key, taint.effect))
        out.append(taint)
    return tuple(out)
