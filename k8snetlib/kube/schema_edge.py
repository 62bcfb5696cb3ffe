"""Admitted data to Ingresses and the objects of the Gateway API: :mod:`k8snetlib.kube.apiserver` has validated and defaulted it."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..errors import ModelError
from .edge.http import Backend, Match, NameMatch, PathMatch
from .edge.objects import (
    OLD_CLASS,
    FromNamespaces,
    Gateway,
    GatewayClass,
    GRPCRoute,
    HTTPRoute,
    Ingress,
    IngressClass,
    IngressPath,
    IngressRule,
    IngressTLS,
    Listener,
    ListenerSet,
    ObjectRef,
    ParentRef,
    ReferenceGrant,
    RouteRule,
    TCPRoute,
    TLSRoute,
    UDPRoute,
)
from .edge.patterns import pattern_of
from .objects import Location, ObjectMeta
from .schema import Fault
from .schema_filters import backend_ref, filters_of, first_of_each
from .schema_places import Path
from .schema_scheduling import label_selector
from .selectors import EVERYTHING

Data = dict[str, Any]

# --- Ingress


def ingress_class(data: Data, meta: ObjectMeta, location: Location) -> IngressClass:
    return IngressClass(meta, data["spec"].get("controller", ""), location)


def ingress(data: Data, meta: ObjectMeta, location: Location) -> Ingress:
    spec = data["spec"]
    default = spec.get("defaultBackend")
    rules = []
    for rule in spec.get("rules", ()):
        paths = [
            IngressPath(each.get("path", "") or "/", each["pathType"], _ingress_backend(each["backend"], meta))
            for each in (rule.get("http") or {}).get("paths", ())
        ]
        rules.append(IngressRule(rule.get("host", ""), tuple(paths)))
    status = (data["status"].get("loadBalancer") or {}).get("ingress") or ()
    return Ingress(
        meta,
        spec.get("ingressClassName") or meta.annotations.get(OLD_CLASS, ""),
        _ingress_backend(default, meta) if default else None,
        tuple(rules),
        tuple(IngressTLS(tuple(each.get("hosts", ())), each.get("secretName", "")) for each in spec.get("tls", ())),
        tuple(each.get("ip") or each.get("hostname", "") for each in status),
        location,
    )


def _ingress_backend(data: Data, meta: ObjectMeta) -> Backend:
    if "resource" in data:
        return Backend(meta.namespace, data["resource"].get("name", ""), kind=data["resource"].get("kind", ""))
    service = data["service"]
    port = service["port"]
    return Backend(meta.namespace, service["name"], port.get("name") or int(port["number"]))


# --- Gateway API: classes, gateways, grants


def gateway_class(data: Data, meta: ObjectMeta, location: Location) -> GatewayClass:
    return GatewayClass(meta, data["spec"]["controllerName"], location)


def gateway(data: Data, meta: ObjectMeta, location: Location) -> Gateway:
    spec = data["spec"]
    addresses = tuple((each["type"], each.get("value", "")) for each in spec.get("addresses", ()))
    found = tuple(each.get("value", "") for each in (data.get("status") or {}).get("addresses", ()))
    sets = (spec.get("allowedListeners") or {}).get("namespaces") or {"from": "None"}
    listeners = _listeners(spec["listeners"], meta)
    ref = (spec.get("infrastructure") or {}).get("parametersRef")
    return Gateway(
        meta, spec["gatewayClassName"], listeners, addresses, _namespaces(sets, ("spec",)), found, "frontend" in (spec.get("tls") or {}),
        ObjectRef(ref["kind"], ref["name"], meta.namespace, ref["group"]) if ref else None, location,
    )  # fmt: skip


def _listeners(data: list[Data], meta: ObjectMeta) -> tuple[Listener, ...]:
    return tuple(_listener(each, meta, ("spec", "listeners", index)) for index, each in enumerate(data))


def _listener(data: Data, meta: ObjectMeta, path: Path) -> Listener:
    tls, allowed = data.get("tls") or {}, data.get("allowedRoutes") or {}
    certificates = tuple(
        ObjectRef(each["kind"], each["name"], each.get("namespace") or meta.namespace, each["group"])
        for each in tls.get("certificateRefs", ())
    )
    kinds = tuple((each["group"], each["kind"]) for each in allowed.get("kinds", ()))
    namespaces = _namespaces(allowed.get("namespaces") or {"from": "Same"}, (*path, "allowedRoutes"))
    host = data.get("hostname", "")
    return Listener(data["name"], int(data["port"]), data["protocol"], host, tls.get("mode", ""), certificates, namespaces, kinds)


def _namespaces(data: Data, path: Path) -> FromNamespaces:
    source = data.get("from", "Same")
    if source == "Selector" and data.get("selector") is None:
        return FromNamespaces("None")  # a selector that is not there selects nothing, an empty one everything
    selector = label_selector(data["selector"], (*path, "namespaces", "selector")) if data.get("selector") else EVERYTHING
    return FromNamespaces(source, selector)


def listener_set(data: Data, meta: ObjectMeta, location: Location) -> ListenerSet:
    spec, parent = data["spec"], data["spec"]["parentRef"]
    ref = ObjectRef(parent["kind"], parent["name"], parent.get("namespace") or meta.namespace, parent["group"])
    return ListenerSet(meta, ref, _listeners(spec["listeners"], meta), location)


def reference_grant(data: Data, meta: ObjectMeta, location: Location) -> ReferenceGrant:
    spec = data["spec"]
    sources = tuple((each["group"], each["kind"], each["namespace"]) for each in spec["from"])
    return ReferenceGrant(meta, sources, tuple((each["group"], each["kind"], each.get("name", "")) for each in spec["to"]), location)


# --- Gateway API: routes


def _route(kind: Any, matches: Callable[[Data, Path], tuple[Match, ...]]) -> Callable[[Data, ObjectMeta, Location], Any]:
    """The maker of one kind of route, which reads the matches of its rules in its own way."""

    def make(data: Data, meta: ObjectMeta, location: Location) -> Any:
        spec = data["spec"]
        parents = tuple(_parent(each, meta) for each in spec.get("parentRefs", ()))
        rules = tuple(_rule(each, meta, ("spec", "rules", n), matches) for n, each in enumerate(spec.get("rules", ())))
        return kind(meta, parents, tuple(spec.get("hostnames", ())), rules, location)

    return make


def _parent(data: Data, meta: ObjectMeta) -> ParentRef:
    port = int(data["port"]) if data.get("port") else None
    return ParentRef(data["kind"], data.get("namespace") or meta.namespace, data["name"], data.get("sectionName", ""), port, data["group"])


def _rule(data: Data, meta: ObjectMeta, path: Path, matches: Callable[[Data, Path], tuple[Match, ...]]) -> RouteRule:
    filters, mirrors = filters_of(data.get("filters", ()), meta)
    backends = []
    for each in data.get("backendRefs", ()):
        own, more = filters_of(each.get("filters", ()), meta)
        backends.append(backend_ref(each, meta, int(each["weight"]), own))
        mirrors += more
    timeouts = data.get("timeouts") or {}
    limits = [_seconds(timeouts[name]) if timeouts.get(name) else None for name in ("request", "backendRequest")]
    return RouteRule(matches(data, path), filters, tuple(backends), data.get("name", ""), *limits, mirrors, bool(data.get("retry")))


def _seconds(duration: str) -> Fraction | None:
    """A duration of GEP-2257 (``1h2m3s4ms``) in seconds; zero means no limit."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": Fraction(1, 1000)}
    return sum((int(amount) * Fraction(units[unit]) for amount, unit in re.findall(r"(\d+)(ms|h|m|s)", duration)), Fraction()) or None


def _http_matches(data: Data, path: Path) -> tuple[Match, ...]:
    kinds = {"PathPrefix": "Prefix", "Exact": "Exact", "RegularExpression": "RegularExpression"}
    return tuple(
        Match(
            PathMatch(kinds[each["path"]["type"]], each["path"]["value"]),
            each.get("method", ""),
            _headers(each.get("headers", ()), (*path, "matches", index, "headers")),
            _names(each.get("queryParams", ()), (*path, "matches", index, "queryParams")),
        )
        for index, each in enumerate(data["matches"] or [{"path": {"type": "PathPrefix", "value": "/"}}])
        if _pattern_ok(each["path"], (*path, "matches", index, "path"))
    )


def _names(data: list[Data], path: Path) -> tuple[NameMatch, ...]:
    return tuple(NameMatch(each["name"], each["value"], each["type"]) for n, each in enumerate(data) if _pattern_ok(each, (*path, n)))


def _headers(data: list[Data], path: Path) -> tuple[NameMatch, ...]:
    return first_of_each(_names(data, path), lambda each: each.name)


def _pattern_ok(data: Data, path: Path) -> bool:
    """True, or a Fault for a regular expression that this library cannot read; which dialect it is in is left to implementations."""
    if data["type"] == "RegularExpression":
        try:
            pattern_of(data["value"])
        except ModelError as error:
            raise Fault(str(error), (*path, "value")) from None
    return True


def _grpc_matches(data: Data, path: Path) -> tuple[Match, ...]:
    """Service and method are the two elements of the path of a gRPC call (gRPC over HTTP/2, "Requests")."""
    out = []
    for index, each in enumerate(data.get("matches") or ({},)):
        method = each.get("method") or {}
        service, name = method.get("service", ""), method.get("method", "")
        exact = method.get("type", "Exact") == "Exact"
        if service and name and exact:
            route = PathMatch("Exact", f"/{service}/{name}")
        elif service and exact:
            route = PathMatch("Prefix", f"/{service}")
        elif method:
            parts = [re.escape(part) if exact and part else part or "[^/]+" for part in (service, name)]
            route = PathMatch("RegularExpression", f"/{parts[0]}/{parts[1]}")
            _pattern_ok({"type": route.type, "value": route.value}, (*path, "matches", index, "method"))
        else:
            route = PathMatch()
        headers = _headers(each.get("headers", ()), (*path, "matches", index, "headers"))
        out.append(Match(route, "", headers, call=(service, name)))
    return tuple(out)


def _any_match(data: Data, path: Path) -> tuple[Match, ...]:
    return (Match(),)


MAKERS: dict[str, Callable[[Data, ObjectMeta, Location], Any]] = {
    "IngressClass": ingress_class,
    "Ingress": ingress,
    "GatewayClass": gateway_class,
    "Gateway": gateway,
    "ListenerSet": listener_set,
    "ReferenceGrant": reference_grant,
    "HTTPRoute": _route(HTTPRoute, _http_matches),
    "GRPCRoute": _route(GRPCRoute, _grpc_matches),
    "TLSRoute": _route(TLSRoute, _any_match),
    "TCPRoute": _route(TCPRoute, _any_match),
    "UDPRoute": _route(UDPRoute, _any_match),
}
"""kind -> the function that makes its object from checked data, metadata and location."""
