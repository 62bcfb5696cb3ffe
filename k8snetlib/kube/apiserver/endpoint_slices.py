"""EndpointSlices: defaults and validation (pkg/apis/discovery/v1/defaults.go and pkg/apis/discovery/validation of 1.36)."""

from __future__ import annotations

from typing import Any

from .. import schema_rules as rules
from ..schema import Fault, literal
from ..schema_places import Path
from ..slices import Endpoint, EndpointSlice
from .fields import PROTOCOLS, Faults, labels, metadata, object_meta, without_empty

Data = dict[str, Any]
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MAX_ENDPOINTS, MAX_PORTS, MAX_ADDRESSES, MAX_HINTS = 1000, 100, 100, 8


def default(data: Data) -> Data:
    """The slice with the API server's defaults: a port without a name has the empty one, and TCP is its protocol."""
    ports = [{"name": "", "protocol": "TCP", **port} for port in data.get("ports") or ()]
    endpoints = [{"conditions": {}, **without_empty(each, ("conditions", "addresses"))} for each in data.get("endpoints") or ()]
    return {**data, "metadata": object_meta(data), "endpoints": endpoints or None, "ports": ports or None}


def stored(part: EndpointSlice) -> Data:
    """A slice as ``kubectl get -o json`` shows it, as far as the model keeps its fields."""
    meta = without_empty({"name": part.name, "namespace": part.namespace, "labels": dict(part.labels)})
    endpoints = [_stored_endpoint(each) for each in part.endpoints]
    ports = [
        {"name": each.name, "protocol": each.protocol, **_known(port=each.port, appProtocol=each.app_protocol or None)}
        for each in part.ports
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": part.address_type,
        "endpoints": endpoints or None, "ports": ports or None,
    }  # fmt: skip


def _known(**fields: Any) -> Data:
    return {key: value for key, value in fields.items() if value is not None}


def _stored_endpoint(each: Endpoint) -> Data:
    kind, _, name = each.target.partition(" ")
    namespace, _, name = name.rpartition("/")
    target = _known(kind=kind, namespace=namespace or None, name=name) if each.target else None
    hints = {
        field: [{"name": name} for name in names]
        for field, names in (("forZones", each.zone_hints), ("forNodes", each.node_hints))
        if names
    }  # fmt: skip
    return {
        "addresses": [str(address) for address in each.addresses],
        "conditions": _known(ready=each.ready, serving=each.serving, terminating=each.terminating),
        **_known(
            hostname=each.hostname or None, targetRef=target, nodeName=each.node_name or None, zone=each.zone or None, hints=hints or None
        ),
    }


def problems(data: Data) -> list[Fault]:
    """Every mistake in a defaulted slice."""
    found = Faults()
    metadata(found, data["metadata"])
    kind = data.get("addressType", "")
    if not found.add("" if kind else "required value", "addressType"):
        found.one_of(kind, ADDRESS_TYPES, "addressType")
    endpoints, ports = data["endpoints"] or (), data["ports"] or ()
    if not _too_many(found, endpoints, MAX_ENDPOINTS, "endpoints"):
        for index, each in enumerate(endpoints):
            _endpoint(found, each, kind, ("endpoints", index))
    if not _too_many(found, ports, MAX_PORTS, "ports"):
        _ports(found, ports)
    return found


def _too_many(found: Faults, values: Any, most: int, *path: str | int) -> bool:
    return found.add(f"too many: {len(values)}: must have at most {most} items" if len(values) > most else "", *path)


def _endpoint(found: Faults, data: Data, kind: str, path: Path) -> None:
    addresses = data.get("addresses") or ()
    found.add("" if addresses else "required value: must contain at least 1 address", *path, "addresses")
    _too_many(found, addresses, MAX_ADDRESSES, *path, "addresses")
    for index, text in enumerate(addresses):
        _address(found, text, kind, (*path, "addresses", index))
    if "nodeName" in data:
        found.add(rules.dns_subdomain(data["nodeName"]), *path, "nodeName")
    labels(found, data.get("deprecatedTopology", {}), *path, "deprecatedTopology")
    if "hostname" in data:
        found.add(rules.dns_label(data["hostname"]), *path, "hostname")
    for field, rule in (("forZones", rules.label_value), ("forNodes", rules.dns_subdomain)):
        _hints(found, data.get("hints", {}).get(field) or (), rule, (*path, "hints", field))


def _address(found: Faults, text: str, kind: str, path: Path) -> None:
    if kind == "FQDN":
        name = text.removesuffix(".")
        problem = "required value" if not name else rules.dns_subdomain(name)
        found.add(problem or ("" if "." in name else rules.invalid(text, "should have at least two segments separated by dots")), *path)
    elif kind in ("IPv4", "IPv6"):
        ip = found.attempt(rules.address, text, *path)
        if ip is not None:
            found.add("" if f"IPv{ip.version}" == kind else rules.invalid(text, f"must be a valid {kind} address"), *path)
            found.add(rules.special_address(ip), *path)


def _hints(found: Faults, entries: Any, rule: Any, path: Path) -> None:
    if _too_many(found, entries, MAX_HINTS, *path):
        return
    names: set[str] = set()
    for index, each in enumerate(entries):
        name = each.get("name", "")
        found.add(f"duplicate value {literal(name)}" if name in names else "", *path, index, "name")
        found.add(rule(name), *path, index, "name")
        names.add(name)


def _ports(found: Faults, ports: Any) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        name = port["name"]
        found.add(rules.dns_label(name) if name else "", "ports", index, "name")
        found.add(f"duplicate value {literal(name)}" if name in names else "", "ports", index, "name")
        names.add(name)
        found.one_of(port["protocol"], PROTOCOLS, "ports", index, "protocol")
        found.add(rules.qualified_name(port["appProtocol"]) if "appProtocol" in port else "", "ports", index, "appProtocol")
