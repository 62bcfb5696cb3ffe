"""GRPCRoutes: the schema of the custom resource (apis/v1/grpcroute_types.go of Gateway API, standard channel)."""

from __future__ import annotations

import re
from typing import Any

from .crd import Resource, Rule, array, number, struct, text
from .gateway_types import BACKEND_REF, HOSTNAME, NEEDS_PORT, PARENT_REFS, SECTION
from .http_routes import FEW_MATCHES, FILTERS, HEADER_NAME, filter_list, names_differ

Data = dict[str, Any]
_SERVICE, _METHOD = r"\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*", r"[A-Za-z_][A-Za-z_0-9]*"


def _exact(field: str, pattern: str) -> Any:
    return lambda data: data["type"] != "Exact" or field not in data or re.fullmatch(pattern, data[field]) is not None


_MATCH = struct(
    method=struct(
        Rule("One or both of 'service' or 'method' must be specified", lambda data: "service" in data or "method" in data),
        Rule(f"service must only contain valid characters (matching ^(?i){_SERVICE}$)", _exact("service", _SERVICE)),
        Rule(f"method must only contain valid characters (matching ^{_METHOD}$)", _exact("method", _METHOD)),
        type=text(enum=("Exact", "RegularExpression"), default="Exact"),
        service=text(None, 1024),
        method=text(None, 1024),
    ),
    headers=array(
        struct(
            required="name value",
            type=text(enum=("Exact", "RegularExpression"), default="Exact"),
            name=HEADER_NAME,
            value=text(1, 4096),
        ),
        16,
        keys=("name",),
    ),
)
_KINDS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")
_FILTERS = filter_list({kind: FILTERS[kind] for kind in _KINDS}, once=("RequestHeaderModifier", "ResponseHeaderModifier"))
_RULE = struct(
    name=SECTION,
    matches=array(_MATCH, 64),
    filters=_FILTERS,
    backendRefs=array(struct(NEEDS_PORT, required="name", weight=number(0, 1_000_000, default=1), filters=_FILTERS, **BACKEND_REF), 16),
)
_SPEC = struct(
    parentRefs=PARENT_REFS,
    hostnames=array(HOSTNAME, 16),
    rules=array(_RULE, 16, Rule("Rule name must be unique within the route", names_differ), FEW_MATCHES),
)
_ROUTE = Resource(_SPEC)
decode, default, problems = _ROUTE.decode, _ROUTE.default, _ROUTE.problems
