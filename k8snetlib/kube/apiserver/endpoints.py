"""Endpoints: defaults and validation (pkg/apis/core/v1/defaults.go and ValidateEndpoints of pkg/apis/core/validation, 1.36)."""

from __future__ import annotations

from typing import Any

from .. import schema_rules as rules
from ..schema import Fault
from ..schema_places import Path
from .fields import PROTOCOLS, Faults, metadata, object_meta, without_empty

Data = dict[str, Any]


def default(data: Data) -> Data:
    """The object with the API server's defaults: a port's protocol is TCP."""
    subsets = [_default_subset(each) for each in data.get("subsets") or ()]
    return without_empty({**data, "metadata": object_meta(data), "subsets": subsets})


def _default_subset(data: Data) -> Data:
    ports = [{"name": "", **port, "protocol": port.get("protocol") or "TCP"} for port in data.get("ports") or ()]
    return without_empty({**data, "ports": ports})


def problems(data: Data) -> list[Fault]:
    """Every mistake in a defaulted object."""
    found = Faults()
    metadata(found, data["metadata"])
    for index, subset in enumerate(data.get("subsets", ())):
        path = ("subsets", index)
        if "addresses" not in subset and "notReadyAddresses" not in subset:
            found.add("required value: must specify addresses or notReadyAddresses", *path)
        for field in ("addresses", "notReadyAddresses"):
            for number, each in enumerate(subset.get(field, ())):
                _address(found, each, (*path, field, number))
        ports = subset.get("ports", ())
        for number, port in enumerate(ports):
            _port(found, port, len(ports) > 1, (*path, "ports", number))
    return found


def _address(found: Faults, data: Data, path: Path) -> None:
    ip = found.attempt(rules.address, data.get("ip", ""), *path, "ip")
    found.add(rules.dns_label(data["hostname"]) if data.get("hostname") else "", *path, "hostname")
    found.add(rules.dns_subdomain(data["nodeName"]) if "nodeName" in data else "", *path, "nodeName")
    found.add(rules.special_address(ip) if ip else "", *path, "ip")


def _port(found: Faults, data: Data, needs_name: bool, path: Path) -> None:
    name = data["name"]
    found.add("required value: with several ports, each has a name" if needs_name and not name else "", *path, "name")
    found.add(rules.dns_label(name) if name else "", *path, "name")
    found.add(rules.port_number(data.get("port", 0)), *path, "port")
    found.one_of(data["protocol"], PROTOCOLS, *path, "protocol")
    found.add(rules.qualified_name(data["appProtocol"]) if "appProtocol" in data else "", *path, "appProtocol")
