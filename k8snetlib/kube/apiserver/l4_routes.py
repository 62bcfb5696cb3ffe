"""TCPRoutes and UDPRoutes: one schema for both (apis/v1/tcproute_types.go of Gateway API, standard channel since 1.6)."""

from __future__ import annotations

from .crd import Resource, struct
from .gateway_types import PARENT_REFS
from .tls_routes import RULES

_ROUTE = Resource(struct(required="rules", parentRefs=PARENT_REFS, rules=RULES))
decode, default, problems = _ROUTE.decode, _ROUTE.default, _ROUTE.problems
