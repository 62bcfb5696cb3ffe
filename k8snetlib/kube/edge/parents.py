"""Routes at their parents: which listeners take them, and what a controller says of each (RouteParentStatus)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from .attach import Condition, ListenerStatus, ParentStatus, admits, effective
from .hostnames import wider
from .objects import GATEWAY_GROUP, ListenerSet, ParentRef, Route
from .route_rules import GatewayWorld, resolved

TEXT = {
    "shared": "an older route of the other kind has these hosts (since Gateway API 1.6 an implementation may as well take both)",
    "refused": "{parent} adds no listener to its Gateway, which does not let it in",
    "no-listener": "{parent} has no such listener", "not-allowed": "no listener takes a {kind} of {namespace}",
    "no-host": "no listener is for {hosts}",
}  # fmt: skip
OTHER = {"HTTPRoute": "GRPCRoute", "GRPCRoute": "HTTPRoute"}


def attach(
    world: GatewayWorld, listeners: Sequence[ListenerStatus], refused: Collection[str] = ()
) -> tuple[dict[int, list[Route]], dict[tuple[str, str], tuple[ParentStatus, ...]]]:
    """Listener (by identity) → routes attached to it, the oldest first; and each route's statuses. ``refused`` are the keys of
    the ListenerSets that their Gateway does not let in: their routes have no listener to attach to."""
    attached: dict[int, list[Route]] = {}
    taken: dict[tuple[int, str], _Hosts] = {}
    statuses: dict[tuple[str, str], tuple[ParentStatus, ...]] = {}
    by_owner: dict[tuple[str, str], list[ListenerStatus]] = {}
    for each in listeners:
        by_owner.setdefault((each.owner.kind, each.owner.key), []).append(each)
    for route in sorted(world.routes, key=_age):
        found = []
        for parent in route.parents:
            own = by_owner.get((parent.kind, parent.key)) if parent.group == GATEWAY_GROUP else None
            if parent.group == GATEWAY_GROUP and parent.kind == ListenerSet.kind and parent.key in refused:
                accepted = Condition("Accepted", "False", "NoMatchingParent", TEXT["refused"].format(parent=parent))
                found.append(ParentStatus(parent, (accepted, resolved(route, world))))
                continue
            if own is None:
                continue  # another controller's, or nobody's
            status, chosen = _status(world, route, parent, own, taken)
            for each in chosen:
                attached.setdefault(id(each), []).append(route)
                taken.setdefault((id(each), route.kind), _Hosts()).add(effective(each.listener, route))
            found.append(status)
        statuses[route.kind, route.key] = tuple(found)
    return attached, statuses


def _age(route: Route) -> tuple:
    return route.metadata.creation_timestamp, route.namespace, route.name


def _status(
    world: GatewayWorld, route: Route, parent: ParentRef, own: Sequence[ListenerStatus], taken: Mapping[tuple[int, str], _Hosts]
) -> tuple[ParentStatus, list[ListenerStatus]]:
    meant = [each for each in own if parent.section in ("", each.listener.name) and parent.port in (None, each.listener.port)]
    allowed = [
        each
        for each in meant
        if route.kind in each.supported and admits(each.listener.allowed, each.owner.namespace, route.namespace, world.labels)
    ]
    fitting = [each for each in allowed if effective(each.listener, route)]
    chosen = [each for each in fitting if not _taken(route, each, taken)]
    if not meant:
        accepted = Condition("Accepted", "False", "NoMatchingParent", TEXT["no-listener"].format(parent=parent))
    elif not allowed:
        accepted = Condition(
            "Accepted", "False", "NotAllowedByListeners", TEXT["not-allowed"].format(kind=route.kind, namespace=route.namespace)
        )
    elif not fitting:
        accepted = Condition("Accepted", "False", "NoMatchingListenerHostname", TEXT["no-host"].format(hosts=", ".join(route.hostnames)))
    elif not chosen:
        accepted = Condition("Accepted", "False", "NotAllowedByListeners", TEXT["shared"])
    else:
        accepted = Condition("Accepted", "True", "Accepted")
    places = tuple((f"{each.owner.kind} {each.owner.key}", each.listener.name) for each in chosen)
    return ParentStatus(parent, (accepted, resolved(route, world)), places), chosen


def _taken(route: Route, status: ListenerStatus, taken: Mapping[tuple[int, str], _Hosts]) -> bool:
    """Whether a route of the other HTTP kind was there before with a host in common. Up to Gateway API 1.5 one of both had to be refused;
    since 1.6 that is each implementation's choice, and here it still is."""
    others = taken.get((id(status), OTHER.get(route.kind, "")))
    return others is not None and any(map(others.meet, effective(status.listener, route)))


class _Hosts:
    """Hosts of which one can ask quickly whether another has names in common with any of them."""

    def __init__(self) -> None:
        self.own: set[str] = set()
        self.wider: set[str] = set()

    def add(self, hosts: Iterable[str]) -> None:
        for host in hosts:
            self.own.add(host)
            self.wider.update(wider(host))

    def meet(self, host: str) -> bool:
        return host in self.wider or any(each in self.own for each in wider(host))
