"""The controller that copies Endpoints written by hand into EndpointSlices (pkg/controller/endpointslicemirroring of 1.36)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .control import MANAGED_BY_LABEL, suffix
from .objects import ObjectMeta, OwnerReference, Service
from .selectors import FrozenDict
from .slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, Endpoints, EndpointSlice

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
MAX_ENDPOINTS = 1000
"""Addresses of one subset that are copied at most; the rest is left out (``--mirroring-max-endpoints-per-subset``)."""


def mirrored(endpoints: Iterable[Endpoints], services: Mapping[str, Service]) -> Iterator[EndpointSlice]:
    """The slices of those Endpoints whose Service is there and has no selector: one for each address family and set of ports."""
    for each in endpoints:
        service = services.get(each.key)
        if service is not None and not service.selector and each.labels.get(SKIP_LABEL) != "true":
            yield from _slices(each)


def _slices(source: Endpoints) -> Iterator[EndpointSlice]:
    groups: dict[tuple[str, tuple[EndpointPort, ...]], dict[Endpoint, None]] = {}
    for subset in source.subsets:
        for each in subset.addresses[:MAX_ENDPOINTS]:
            family = f"IPv{each.addresses[0].version}"
            groups.setdefault((family, subset.ports), {})[each] = None
    labels = FrozenDict({**source.labels, SERVICE_NAME_LABEL: source.name, MANAGED_BY_LABEL: CONTROLLER})
    for (family, ports), found in groups.items():
        name = f"{source.name}-{suffix(repr((source.key, family, ports)))}"
        meta = ObjectMeta(name, source.namespace, labels, owner=OwnerReference("Endpoints", source.name, source.metadata.uid))
        yield EndpointSlice(meta, family, tuple(found), ports, source.location)
