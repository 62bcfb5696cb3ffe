"""GatewayClasses: the schema of the custom resource (apis/v1/gatewayclass_types.go of Gateway API, standard channel)."""

from __future__ import annotations

from .crd import Resource, struct, text
from .gateway_types import NAME, NAMESPACE, SUBDOMAIN, group, kind
from .gateways import waiting

_SPEC = struct(
    required="controllerName",
    controllerName=text(1, 253, rf"^{SUBDOMAIN}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"),
    parametersRef=struct(required="group kind name", group=group(), kind=kind(), name=NAME, namespace=NAMESPACE),
    description=text(None, 64),
)
_CLASS = Resource(_SPEC, {"conditions": [waiting("Accepted")]}, namespaced=False)
decode, default, problems = _CLASS.decode, _CLASS.default, _CLASS.problems
