"""ListenerSets: the schema of the custom resource (apis/v1/listenerset_types.go of Gateway API, standard channel since 1.5)."""

from __future__ import annotations

from .crd import Resource, struct
from .gateway_types import GROUP_NAME, NAME, NAMESPACE, group, kind
from .gateways import LISTENERS, waiting

_SPEC = struct(
    required="parentRef listeners",
    parentRef=struct(required="name", group=group(GROUP_NAME), kind=kind("Gateway"), name=NAME, namespace=NAMESPACE),
    listeners=LISTENERS,
)
_SET = Resource(_SPEC, {"conditions": [waiting("Accepted"), waiting("Programmed")]})
decode, default, problems = _SET.decode, _SET.default, _SET.problems
