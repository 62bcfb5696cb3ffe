"""An Ingress as an HTTPRoute: the same rules in the other API, and what cannot be said there alike.

The two agree on most requests, and the differences are those of the APIs (named in ``DIFFERENCES``, each with a test of its own). What an
HTTPRoute cannot say is refused with its place, not dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UnsupportedError
from .http import Backend
from .objects import Ingress, IngressPath

DIFFERENCES: Mapping[str, str] = {
    "wildcard": "*.foo.com stands for one label in Ingress, for one or more in Gateway API",
    "order": "Ingress puts the longest path first and Exact before Prefix among equals; Gateway API puts Exact before any Prefix",
    "hosts": "a host with rules is asked alone by this Ingress controller, as by nginx (the API leaves it open); in Gateway API less specific hosts "
    "follow where none of its rules fits (not every controller does that)",
    "default": "a default backend is no part of an HTTPRoute: it becomes a route of its own for every host, which hosts with rules reach too",
    "missing": "a Service that is not there: 500 by Gateway API; for Ingress the API does not say (503 here)",
}
RESOURCE = "a backend of kind {kind} has no counterpart that this library knows"
NAMED = "port {port!r} is a name; an HTTPRoute needs the number (Service {key})"
API, KIND = "gateway.networking.k8s.io/v1", "HTTPRoute"


def http_routes(ingress: Ingress, gateway: str, ports: Mapping[tuple[str, str], int] | None = None) -> list[dict[str, Any]]:
    """The HTTPRoutes of an Ingress, as manifests: one for each host, and one for the default backend. ``gateway`` is NAMESPACE/NAME of the
    Gateway to attach them to; ``ports`` has the numbers of named Service ports by (Service key, name). UnsupportedError for a backend
    that an HTTPRoute cannot have."""
    hosts: dict[str, list[IngressPath]] = {}
    for rule in ingress.rules:
        hosts.setdefault(rule.host, []).extend(rule.paths)
    made = [
        _route(ingress, f"{ingress.name}-{number}", gateway, host, [_rule(ingress, each, ports or {}) for each in paths])
        for number, (host, paths) in enumerate(hosts.items())
        if paths
    ]
    if ingress.default_backend:
        everything = IngressPath("/", "Prefix", ingress.default_backend)
        made.append(_route(ingress, f"{ingress.name}-default", gateway, "", [_rule(ingress, everything, ports or {})]))
    return made


def _route(ingress: Ingress, name: str, gateway: str, host: str, rules: Iterable[dict[str, Any]]) -> dict[str, Any]:
    namespace, _, parent = gateway.partition("/")
    spec: dict[str, Any] = {"parentRefs": [{"namespace": namespace, "name": parent}], "rules": list(rules)}
    if host:
        spec["hostnames"] = [host]
    return {"apiVersion": API, "kind": KIND, "metadata": {"name": name, "namespace": ingress.namespace}, "spec": spec}


def _rule(ingress: Ingress, path: IngressPath, ports: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    match = {"path": {"type": "Exact" if path.path_type == "Exact" else "PathPrefix", "value": path.path}}
    return {"matches": [match], "backendRefs": [_backend(ingress, path.backend, ports)]}


def _backend(ingress: Ingress, backend: Backend, ports: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    place = {"file": ingress.location.file, "line": ingress.location.line or None}
    if backend.kind != "Service":
        raise UnsupportedError(RESOURCE.format(kind=backend.kind), **place)
    port = backend.port if isinstance(backend.port, int) else ports.get((backend.key, backend.port))
    if port is None:
        raise UnsupportedError(NAMED.format(port=backend.port, key=backend.key), **place)
    return {"name": backend.name, "port": port}
