"""ReferenceGrants: the schema of the custom resource (apis/v1/referencegrant_types.go of Gateway API)."""

from __future__ import annotations

from .crd import Resource, array, struct
from .gateway_types import NAME, NAMESPACE, group, kind

_SPEC = struct(
    required="from to",
    **{
        "from": array(struct(required="group kind namespace", group=group(), kind=kind(), namespace=NAMESPACE), 16, least=1),
        "to": array(struct(required="group kind", group=group(), kind=kind(), name=NAME), 16, least=1),
    },
)
_GRANT = Resource(_SPEC)
decode, default, problems = _GRANT.decode, _GRANT.default, _GRANT.problems
