"""What a reader of the edge would otherwise miss: what was taken to be there, and what is not modelled, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..objects import Service
from . import ingress
from .attach import Statuses
from .objects import Ingress, IngressClass
from .route_rules import GatewayWorld

ASSUMED = "{place} {owner}: Secret {key} is taken to be there: the manifests have no Secret with a certificate"
PARAMETERS = "{place} {owner}: {ref} says to its implementation what no model can know, and is not read"
WISHED = "{place} {owner}: spec.addresses asks for {value}: whether it can be had is for its implementation to say, and is not modelled"
RETRIES = "{place} {owner} rule {rule}: retry is not modelled, each request is sent to a backend once"


def remarks(
    world: GatewayWorld, statuses: Statuses, ingresses: Sequence[Ingress], classes: Sequence[IngressClass], services: Iterable[Service]
) -> Iterator[str]:
    """The remarks, those on certificates first."""
    yield from _assumed(world, statuses, ingresses, classes)
    had = {str(entry.ip) for each in services for entry in each.load_balancer_ingress}
    for each in world.gateways:
        ref = each.parameters
        if ref and (ref.kind, ref.namespace, ref.name) in world.others:
            yield PARAMETERS.format(place=each.location, owner=each, ref=ref)
        for _, wish in each.addresses:
            if wish and wish not in had:
                yield WISHED.format(place=each.location, owner=each, value=wish)
    for route in world.routes:
        for number, rule in enumerate(route.rules):
            if rule.retries:
                yield RETRIES.format(place=route.location, owner=route, rule=rule.name or number)


def _assumed(world: GatewayWorld, statuses: Statuses, ingresses: Sequence[Ingress], classes: Sequence[IngressClass]) -> Iterator[str]:
    """Secrets that are taken to be there, for those who use them."""
    for status in statuses.listeners:
        for ref in status.listener.certificates if status.works else ():
            if world.secrets.assumed(key := f"{ref.namespace}/{ref.name}"):
                yield ASSUMED.format(place=status.owner.location, owner=status.name, key=key)
    for each in ingresses:
        for key, _ in ingress.named(each) if ingress.class_of(each, classes) is not None else ():
            if world.secrets.assumed(key):
                yield ASSUMED.format(place=each.location, owner=each, key=key)
