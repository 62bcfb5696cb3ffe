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
from .secrets import certificates, referred

if TYPE_CHECKING:
    from ..cluster import Cluster

ASSUMED = "{place} {owner}: Secret {key} is not among the manifests and is taken to be there, as no Secret is"

PARAMETERS = "{place} {owner}: {ref} says to its implementation what no model can know, and is not read"

RETRIES = "{place} {owner} rule {rule}: retry is not modelled, each request is sent to a backend once"


@value
class Edge:
    """What the controllers of a cluster have made of its Ingresses and Gateways: a table by class, a table by Gateway, and statuses."""

    ingresses: Mapping[str, IngressTable] = field(default_factory=dict)
    gateways: Mapping[str, GatewayTable] = field(default_factory=dict)
    statuses: Statuses = Statuses()
    backends: Backends = field(default_factory=Backends, compare=False, repr=False)
    notes: tuple[str, ...] = ()


def edge_of(cluster: Cluster, secrets: frozenset[str] | None = None) -> Edge:
    """The edge of a cluster. ``secrets`` are the keys of the Secrets with certificates; by default those of the manifests, and where these
    have none, any that is referred to, which a note then says."""
    if cluster.manifests is None:
        return Edge()
    manifests, control = cluster.manifests, cluster.control
    backends = Backends(control.services, control.slices)
    classes = manifests.of(IngressClass)
    ingresses = manifests.of(Ingress)
    known = certificates(cluster.skipped, referred(manifests)) or None if secrets is None else dict.fromkeys(secrets, "")
    others = frozenset((each.kind, each.namespace or "default", each.name) for each in cluster.skipped)
    world = GatewayWorld(
        manifests.of(Gateway), manifests.of(GatewayClass), manifests.of(ListenerSet), manifests.of(Route), manifests.of(ReferenceGrant),
        {each.name: each.labels for each in cluster.namespaces}, known, others, backends,
    )  # fmt: skip
    tables, statuses = gateway.tables(world)
    assumed = [
        ASSUMED.format(place=each.owner.location, owner=each.name, key=f"{ref.namespace}/{ref.name}")
        for each in statuses.listeners if known is None
        for ref in each.listener.certificates
    ]  # fmt: skip
    untold = [
        PARAMETERS.format(place=each.location, owner=each, ref=each.parameters)
        for each in world.gateways if each.parameters and (each.parameters.kind, each.parameters.namespace, each.parameters.name) in others
    ]  # fmt: skip
    retried = [
        RETRIES.format(place=each.location, owner=each, rule=rule.name or number)
        for each in world.routes
        for number, rule in enumerate(each.rules) if rule.retries
    ]  # fmt: skip
    notes = (*ingress.notes(ingresses, classes), *assumed, *untold, *retried)
    return Edge(ingress.tables(ingresses, classes, backends), tables, statuses, backends, notes)
