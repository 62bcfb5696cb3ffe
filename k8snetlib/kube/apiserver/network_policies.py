"""NetworkPolicies: defaults and validation (pkg/apis/networking/v1/defaults.go and pkg/apis/networking/validation of 1.36)."""

from __future__ import annotations

from copy import deepcopy
from ipaddress import ip_network
from typing import Any

from .. import schema_rules as rules
from ..schema import Fault
from ..schema_places import Path
from .fields import PROTOCOLS, Faults, label_selector, metadata, object_meta, without_empty

Data = dict[str, Any]
DIRECTIONS = {"ingress": ("Ingress", "from"), "egress": ("Egress", "to")}


def default(data: Data) -> Data:
    """The policy with the API server's defaults: TCP, and policy types that follow from the rules that are there."""
    data = deepcopy(data)
    spec = without_empty(data.get("spec") or {}, ("podSelector",))
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for field in DIRECTIONS:
        if field in spec:
            spec[field] = [_default_rule(rule) for rule in spec[field]]
    return {**data, "metadata": object_meta(data), "spec": spec}


def _default_rule(rule: Data) -> Data:
    rule = without_empty(rule)
    return {**rule, **({"ports": [{"protocol": "TCP", **port} for port in rule["ports"]]} if "ports" in rule else {})}


def problems(data: Data) -> list[Fault]:
    """Every mistake in a defaulted policy."""
    found, spec = Faults(), data["spec"]
    metadata(found, data["metadata"])
    label_selector(found, spec["podSelector"], "spec", "podSelector")
    for field, (_, peers) in DIRECTIONS.items():
        for index, rule in enumerate(spec.get(field, ())):
            path = ("spec", field, index)
            for number, port in enumerate(rule.get("ports", ())):
                _port(found, port, (*path, "ports", number))
            for number, peer in enumerate(rule.get(peers, ())):
                _peer(found, peer, (*path, peers, number))
    types = spec["policyTypes"]
    if len(types) > 2:
        found.add(rules.invalid(", ".join(types), "may not specify more than two policyTypes"), "spec", "policyTypes")
        return found
    for index, each in enumerate(types):
        found.one_of(each, ("Ingress", "Egress"), "spec", "policyTypes", index)
    return found


def _port(found: Faults, data: Data, path: Path) -> None:
    found.one_of(data["protocol"], PROTOCOLS, *path, "protocol")
    port, end = data.get("port"), data.get("endPort")
    if port is None or isinstance(port, str):
        if end is not None:
            state = "not specified" if port is None else "non-numeric"
            found.add(f"invalid value {end}: may not be specified when port is {state}", *path, "endPort")
        found.add("" if port is None else rules.port_name(port), *path, "port")
        return
    found.add(rules.port_number(port), *path, "port")
    if end is not None:
        found.add(f"invalid value {end}: must be greater than or equal to port" if end < port else "", *path, "endPort")
        found.add(rules.port_number(end), *path, "endPort")


def _peer(found: Faults, data: Data, path: Path) -> None:
    for field in ("podSelector", "namespaceSelector"):
        label_selector(found, data.get(field, {}), *path, field)
    if "ipBlock" in data:
        _block(found, data["ipBlock"], (*path, "ipBlock"))
    others = [field for field in ("podSelector", "namespaceSelector") if field in data]
    if "ipBlock" in data and others:
        found.add("forbidden: may not specify both ipBlock and another peer", *path)
    elif "ipBlock" not in data and not others:
        found.add("required value: must specify a peer: podSelector, namespaceSelector or ipBlock", *path)


def _block(found: Faults, data: Data, path: Path) -> None:
    if found.add("" if data.get("cidr") else "required value", *path, "cidr"):
        return
    found.attempt(rules.network, data["cidr"], *path, "cidr")
    whole = _loose(data["cidr"])
    for index, text in enumerate(data.get("except", ()) if whole else ()):
        place = (*path, "except", index)
        found.attempt(rules.network, text, *place)
        part = _loose(text)
        if part:
            inside = part.version == whole.version and part.subnet_of(whole) and part != whole
            found.add("" if inside else rules.invalid(text, "must be a strict subset of cidr"), *place)


def _loose(text: str) -> Any:
    """The network, even if the text is not in canonical form; None for none."""
    try:
        return ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None
