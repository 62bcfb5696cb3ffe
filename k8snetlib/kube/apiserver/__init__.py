"""What the API server 1.36 answers to an object of a network kind: the defaults it fills in, or every mistake that it reports.

One module a kind, all of the same shape: ``default(data)`` returns the data with the static defaults, and ``problems(data)`` the mistakes
of defaulted data as :class:`~k8snetlib.kube.schema.Fault` values, with the API server's field paths and in its order. Both take data whose
fields and types are checked already (strict decoding, :func:`k8snetlib.kube.schema.check`); the kinds of the Gateway API are custom
resources, whose types are part of the validation. What depends on the other objects of a cluster, such as a free address, is the business
of :mod:`k8snetlib.kube.allocation`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from ..schema import check

Data = dict[str, Any]

KINDS: dict[tuple[str, str], str] = {
    ("v1", "Service"): "services",
    ("v1", "Endpoints"): "endpoints",
    ("discovery.k8s.io/v1", "EndpointSlice"): "endpoint_slices",
    ("networking.k8s.io/v1", "Ingress"): "ingresses",
    ("networking.k8s.io/v1", "IngressClass"): "ingress_classes",
    ("networking.k8s.io/v1", "NetworkPolicy"): "network_policies",
    ("gateway.networking.k8s.io/v1", "GatewayClass"): "gateway_classes",
    ("gateway.networking.k8s.io/v1beta1", "GatewayClass"): "gateway_classes",
    ("gateway.networking.k8s.io/v1", "Gateway"): "gateways",
    ("gateway.networking.k8s.io/v1beta1", "Gateway"): "gateways",
    ("gateway.networking.k8s.io/v1", "ListenerSet"): "listener_sets",
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): "http_routes",
    ("gateway.networking.k8s.io/v1beta1", "HTTPRoute"): "http_routes",
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): "grpc_routes",
    ("gateway.networking.k8s.io/v1", "TLSRoute"): "tls_routes",
    ("gateway.networking.k8s.io/v1", "TCPRoute"): "l4_routes",
    ("gateway.networking.k8s.io/v1", "UDPRoute"): "l4_routes",
    ("gateway.networking.k8s.io/v1", "ReferenceGrant"): "reference_grants",
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): "reference_grants",
}
"""(apiVersion, kind) → the module here that knows its defaults and its rules, imported when the first such object comes."""


@cache
def rules_of(kind: tuple[str, str]) -> ModuleType:
    """The module that knows an (apiVersion, kind)."""
    return import_module(f".{KINDS[kind]}", __name__)


def admit(data: Data, decode: Callable[[str, Any], None] = check) -> Data:
    """The object as the API server stores it, before anything is allocated; ``data`` may lose its null fields on the way.

    Raises :class:`~k8snetlib.kube.schema.Fault` for the first mistake, with the further ones in its ``others``.
    """
    kind = data["kind"]
    rules = rules_of((data["apiVersion"], kind))
    if hasattr(rules, "decode"):
        rules.decode(data)
    else:
        decode(kind, data)
    made = rules.default(data)
    faults = rules.problems(made)
    if faults:
        first = faults[0]
        first.others = tuple(faults[1:])
        raise first
    return made
