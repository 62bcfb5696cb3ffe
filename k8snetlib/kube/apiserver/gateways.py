"""Gateways: the schema of the custom resource (apis/v1/gateway_types.go of Gateway API 1.6, standard channel)."""

from __future__ import annotations

import re
from typing import Any

from .crd import ANY, Resource, Rule, array, struct, table, text
from .gateway_types import GROUP_NAME, HOSTNAME, LABEL, LABEL_SELECTOR, NAME, NAMESPACE, PORT, SECTION, SUBDOMAIN, group, kind

Listeners = list[dict[str, Any]]
_NO_TLS, _HTTPS, _TLS, _NO_HOST = ("HTTP", "TCP", "UDP"), ("HTTPS",), ("TLS",), ("TCP", "UDP")


def _each(protocols: tuple[str, ...], holds: Any) -> Any:
    """A rule that holds where every listener of these protocols, in whatever case, passes ``holds``."""
    return lambda listeners: all(holds(each) for each in listeners if each["protocol"].upper() in protocols)


def _names_differ(listeners: Listeners) -> bool:
    return len({each["name"] for each in listeners}) == len(listeners)


def _distinct(listeners: Listeners) -> bool:
    return len({(each["port"], each["protocol"], each.get("hostname")) for each in listeners}) == len(listeners)


def _certain(tls: dict[str, Any]) -> bool:
    return tls["mode"] != "Terminate" or bool(tls.get("certificateRefs") or tls.get("options"))


def _unique_addresses(of_type: str) -> Any:
    def holds(addresses: Listeners) -> bool:
        values = [each["value"] for each in addresses if each["type"] == of_type and "value" in each]
        return len(set(values)) == len(values)

    return holds


def _host_value(data: dict[str, Any]) -> bool:
    return data["type"] != "Hostname" or "value" not in data or bool(re.search(rf"^(\*\.)?{SUBDOMAIN}$", data["value"]))


_SECRET = struct(required="name", group=group(""), kind=kind("Secret"), name=NAME, namespace=NAMESPACE)
_LISTENER_TLS = struct(
    Rule("certificateRefs or options must be specified when mode is Terminate", _certain),
    mode=text(enum=("Terminate", "Passthrough"), default="Terminate"),
    certificateRefs=array(_SECRET, 64),
    options=table(text(0, 4096), 16),
)
_SAME = {"from": text(enum=("All", "Selector", "Same"), default="Same"), "selector": LABEL_SELECTOR}
_ALLOWED_ROUTES = struct(
    default={"namespaces": {"from": "Same"}},
    namespaces=struct(default={"from": "Same"}, **_SAME),
    kinds=array(struct(required="kind", group=group(GROUP_NAME), kind=kind()), 8),
)
_PROTOCOL = rf"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|{LABEL}(\.{LABEL})*\/[A-Za-z0-9]+$"
_LISTENER = struct(
    required="name port protocol",
    name=SECTION,
    hostname=HOSTNAME,
    port=PORT,
    protocol=text(1, 255, _PROTOCOL),
    tls=_LISTENER_TLS,
    allowedRoutes=_ALLOWED_ROUTES,
)
LISTENERS = array(
    _LISTENER,
    64,
    Rule("tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']", _each(_NO_TLS, lambda each: "tls" not in each)),
    Rule(
        "tls mode must be Terminate for protocol HTTPS", _each(_HTTPS, lambda each: "tls" not in each or each["tls"]["mode"] == "Terminate")
    ),
    Rule("tls mode must be set for protocol TLS", _each(_TLS, lambda each: bool(each.get("tls", {}).get("mode")))),
    Rule("hostname must not be specified for protocols ['TCP', 'UDP']", _each(_NO_HOST, lambda each: not each.get("hostname"))),
    Rule("Listener name must be unique within the Gateway", _names_differ),
    Rule("Combination of port, protocol and hostname must be unique for each listener", _distinct),
    least=1,
    keys=("name",),
)
_ADDRESS = struct(
    Rule("Hostname value must be empty or a host name", _host_value), type=text(1, 253, default="IPAddress"), value=text(None, 253)
)
_ADDRESSES = array(
    _ADDRESS,
    16,
    Rule("IPAddress values must be unique", _unique_addresses("IPAddress")),
    Rule("Hostname values must be unique", _unique_addresses("Hostname")),
)
_LISTENER_SETS = {"from": text(enum=("All", "Selector", "Same", "None"), default="None"), "selector": LABEL_SELECTOR}

_SPEC = struct(
    required="gatewayClassName listeners",
    gatewayClassName=text(1, 253),
    listeners=LISTENERS,
    addresses=_ADDRESSES,
    infrastructure=struct(
        labels=table(text(0, 63, r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"), 8),
        annotations=table(text(0, 4096), 16),
        parametersRef=struct(required="group kind name", group=group(), kind=kind(), name=NAME),
    ),
    allowedListeners=struct(namespaces=struct(default={"from": "None"}, **_LISTENER_SETS)),
    tls=ANY,
)


def waiting(kind: str) -> dict[str, str]:
    """A condition as the schema sets it, before any controller has spoken."""
    epoch = "1970-01-01T00:00:00Z"
    return {"lastTransitionTime": epoch, "message": "Waiting for controller", "reason": "Pending", "status": "Unknown", "type": kind}


_GATEWAY = Resource(_SPEC, {"conditions": [waiting("Accepted"), waiting("Programmed")]})
decode, default, problems = _GATEWAY.decode, _GATEWAY.default, _GATEWAY.problems
