"""What a controller of the Gateway API watches, and the rules of a route: whether what they refer to may be used, and their precedence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from ...value import replace, value
from .attach import Condition, ListenerStatus, effective, granted, intersection
from .backends import Backends
from .filters import Mirror
from .hostnames import specificity
from .http import Action, Backend, Match, Origin, Rule
from .objects import BackendRef, Gateway, GatewayClass, ListenerSet, ReferenceGrant, Route, RouteRule
from .router import Router
from .secrets import Secrets

_PATHS = {"Exact": 0, "RegularExpression": 1, "Prefix": 2}


@value
class GatewayWorld:
    """Everything that a controller of the Gateway API watches."""

    gateways: tuple[Gateway, ...] = ()
    classes: tuple[GatewayClass, ...] = ()
    sets: tuple[ListenerSet, ...] = ()
    routes: tuple[Route, ...] = ()
    grants: tuple[ReferenceGrant, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # of namespaces
    secrets: Secrets = Secrets()
    others: frozenset[tuple[str, str, str]] = frozenset()  # (kind, namespace, name) of objects that are there and mean nothing to the model
    backends: Backends = field(default_factory=Backends, compare=False)
    cache: dict[str, list[ReferenceGrant]] = field(init=False, default_factory=dict, compare=False, repr=False)

    def grants_in(self, namespace: str) -> Sequence[ReferenceGrant]:
        """The grants that a namespace gives."""
        if not self.cache:
            for each in self.grants:
                self.cache.setdefault(each.namespace, []).append(each)
        return self.cache.get(namespace, ())


# --- references


def resolved(route: Route, world: GatewayWorld) -> Condition:
    """Whether everything that a route refers to may be referred to, and is there."""
    for rule in route.rules:
        for each in (*rule.backends, *rule.mirrors):
            reason, words = _reference(route, each, world)
            if reason:
                return Condition("ResolvedRefs", "False", reason, words)
    return Condition("ResolvedRefs", "True", "ResolvedRefs")


def _reference(route: Route, each: BackendRef, world: GatewayWorld) -> tuple[str, str]:
    if (each.ref.group, each.ref.kind) != ("", "Service"):
        return "InvalidKind", f"{each.ref} is no Service"
    if not granted(route, each.ref, world.grants_in(each.ref.namespace)):
        return "RefNotPermitted", f"no ReferenceGrant in {each.ref.namespace} lets {route} use {each.ref}"
    problem = world.backends.problem(each.target)
    if problem:
        return "BackendNotFound", problem
    protocol = getattr(world.backends.port(each.target), "app_protocol", "")
    if protocol.startswith("kubernetes.io/") and protocol not in ("kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss"):
        return "UnsupportedProtocol", f"appProtocol {protocol}"
    return "", ""


# --- rules


def router(world: GatewayWorld, status: ListenerStatus, routes: Iterable[Route]) -> Router:
    """The rules of the routes attached to a listener (the oldest first), by the hosts that both have in common. Of two routes with one such
    host, that with the more specific hostname of its own goes first."""
    hosts: dict[str, list[Rule]] = {}
    for age, route in enumerate(routes):
        made = list(_rules(world, route, age))
        for host in effective(status.listener, route):
            wide = () if host in route.hostnames else _own(status.listener.hostname, host, route)
            hosts.setdefault(host, []).extend([replace(rule, rank=(wide, *rule.rank[1:])) for rule in made] if wide else made)
    return Router({host: tuple(rules) for host, rules in hosts.items()})


def _own(listener: str, host: str, route: Route) -> tuple:
    """How specific the hostname is for which a route answers for a host that is the listener's."""
    return min(specificity(each) for each in route.hostnames or ("",) if intersection(listener, each) == host)


def _rules(world: GatewayWorld, route: Route, age: int) -> Iterable[Rule]:
    for number, rule in enumerate(route.rules):
        action = _action(world, route, rule)
        for index, match in enumerate(rule.matches):
            origin = Origin(route.kind, route.key, number, index, rule.name, route.location)
            yield Rule(match, action, origin, ((), *_precedence(match), age, number, index))


def _precedence(match: Match) -> tuple:
    """Exact before the longest path, then method, then the most headers, then the most query parameters; for gRPC the longest service, then
    the longest method, then the most headers."""
    if match.call is not None:
        service, method = match.call
        return -len(service), -len(method), -len(match.headers), 0, 0
    return _PATHS[match.path.type], -len(match.path.value), not match.method, -len(match.headers), -len(match.query)


def _action(world: GatewayWorld, route: Route, rule: RouteRule) -> Action:
    backends = tuple(_backend(world, route, each) for each in rule.backends)
    filters = tuple(each for each in rule.filters if not isinstance(each, Mirror) or _usable(world, route, rule, each))
    return Action(backends, filters, rule.request_timeout, rule.backend_timeout)


def _usable(world: GatewayWorld, route: Route, rule: RouteRule, mirror: Mirror) -> bool:
    """A mirror whose backend may not be used, or is not there, gets nothing; the request itself is not disturbed."""
    refs = [each for each in rule.mirrors if each.target == mirror.backend]
    return any(not _reference(route, each, world)[0] for each in refs)


def _backend(world: GatewayWorld, route: Route, each: BackendRef) -> Backend:
    reason, words = _reference(route, each, world)
    if reason:
        return replace(each.target, problem=words, status=500)
    return world.backends.settled(each.target, 500)
