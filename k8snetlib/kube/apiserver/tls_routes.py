"""TLSRoutes: the schema of the custom resource (apis/v1/tlsroute_types.go of Gateway API, standard channel since 1.5)."""

from __future__ import annotations

from ipaddress import ip_address

from .crd import Resource, Rule, array, number, struct
from .gateway_types import BACKEND_REF, HOSTNAME, NEEDS_PORT, PARENT_REFS, SECTION

BACKENDS = array(struct(NEEDS_PORT, required="name", weight=number(0, 1_000_000, default=1), **BACKEND_REF), 16, least=1)
RULES = array(struct(required="backendRefs", name=SECTION, backendRefs=BACKENDS), 1, least=1)


def _no_address(names: list[str]) -> bool:
    """No address is a server name (RFC 6066, 3)."""
    for each in names:
        try:
            ip_address(each)
        except ValueError:
            continue
        return False
    return True


_ROUTE = Resource(
    struct(
        required="hostnames rules",
        parentRefs=PARENT_REFS,
        hostnames=array(HOSTNAME, 1024, Rule("Hostnames cannot contain an IP", _no_address), least=1),
        rules=RULES,
    )
)
decode, default, problems = _ROUTE.decode, _ROUTE.default, _ROUTE.problems
