"""The way in at layer 7: Ingress and the Gateway API, compiled into one HTTP router (:mod:`.http`), and the journey of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from ...value import value
from . import gateway, ingress
from .attach import Statuses
from .backends import Backends
from .gateway import GatewayTable, GatewayWorld
from .ingress import IngressTable
from .objects import Gateway, GatewayClass, Ingress, IngressClass, ListenerSet, ReferenceGrant, Route
from .remarks import remarks
from .secrets import known, secrets

if TYPE_CHECKING:
    from ..cluster import Cluster


@value
class Edge:
    """What the controllers of a cluster have made of its Ingresses and Gateways: a table by class, a table by Gateway, and statuses."""

    ingresses: Mapping[str, IngressTable] = field(default_factory=dict)
    gateways: Mapping[str, GatewayTable] = field(default_factory=dict)
    statuses: Statuses = Statuses()
    backends: Backends = field(default_factory=Backends, compare=False, repr=False)
    notes: tuple[str, ...] = ()


def edge_of(cluster: Cluster, certificates: frozenset[str] | None = None) -> Edge:
    """The edge of a cluster. ``certificates`` are the keys of the Secrets with certificates; by default those of the manifests, and where
    these have none, any that is referred to, which a note then says."""
    if cluster.manifests is None:
        return Edge()
    manifests, control = cluster.manifests, cluster.control
    backends = Backends(control.services, control.slices)
    classes = manifests.of(IngressClass)
    ingresses = manifests.of(Ingress)
    found = secrets(manifests) if certificates is None else known(certificates)
    others = frozenset((each.kind, each.namespace or "default", each.name) for each in cluster.skipped)
    world = GatewayWorld(
        manifests.of(Gateway), manifests.of(GatewayClass), manifests.of(ListenerSet), manifests.of(Route), manifests.of(ReferenceGrant),
        {each.name: each.labels for each in cluster.namespaces}, found, others, backends,
    )  # fmt: skip
    tables, statuses = gateway.tables(world)
    notes = (*ingress.notes(ingresses, classes, found), *remarks(world, statuses, ingresses, classes, control.services))
    return Edge(ingress.tables(ingresses, classes, backends, found), tables, statuses, backends, notes)
