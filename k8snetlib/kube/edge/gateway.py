"""Gateway API into the router: Gateways with their listeners, the routes attached to them, and what becomes of a request.

A request chooses a listener first (port, then the most specific hostname; with TLS, the server name of the handshake), then a rule among
the routes attached to that listener alone ("listener isolation"), in the precedence that ``httproute_types.go`` gives. What is left to
implementations: regular expressions stand between Exact and Prefix here, as in Envoy Gateway (internal/gatewayapi/sort.go) and in nginx itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import UnsupportedError
from ...value import replace, value
from .attach import ListenerStatus, ParentStatus, Statuses
from .hostnames import host_matches, specificity
from .http import Request, Response
from .listener_sets import Merged, merged, refused, unclaimed
from .objects import GATEWAY_GROUP, Gateway, Listener, ListenerSet
from .parents import attach
from .route_rules import GatewayWorld, router
from .router import Router
from .routing import NO_TLS, NOT_TLS, Decision, decide

NO_LISTENER = "nothing listens on port {port}"
NOT_WORKING = "nothing listens on port {port}: {problems}"
NOT_PROGRAMMED = "{name} is not programmed ({why})"
APART = "{name}: {why}"
NO_PARENT = "there is no {parent}"
NO_NAME = "no listener on port {port} is for {name}: the handshake fails"
NO_HOST = "no listener on port {port} is for {name}"
MISDIRECTED = "{host} is another listener's than the server name {name} of this connection's handshake"
CLIENT_CERTIFICATES = "client certificates are not modelled"
PASSED = {
    "Passthrough": "passed through, unread, by its server name",
    "Terminate": "TLS ends here; what was in it is passed on, unread, by its server name",
    "": "passed on, unread, by its port",
}


@value
class Attached:
    """A listener with its status and the rules of the routes attached to it."""

    status: ListenerStatus
    router: Router

    @property
    def listener(self) -> Listener:
        return self.status.listener


@value
class GatewayTable:
    """What a controller has made of one Gateway: its listeners, those of its ListenerSets included. ``apart`` says of routes and sets that
    name it why they are not attached, ``strays`` of routes that name a Gateway that is not there."""

    gateway: Gateway
    listeners: tuple[Attached, ...] = ()
    apart: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    def on_port(self, port: int) -> list[Attached]:
        """The listeners that take connections at a TCP port; one for UDP may stand on the same number."""
        return [each for each in self.listeners if each.listener.port == port and each.listener.protocol != "UDP" and each.status.works]

    def listener_for(self, port: int, name: str) -> Attached | None:
        """The listener of the port with the most specific hostname that the name fits."""
        return most_specific(self.on_port(port), name)

    def certificate(self, server_name: str, port: int = 443) -> str:
        """The Secret whose certificate is shown to a client that asks for this name at a port; ``""``: none, as no listener has one."""
        chosen = self.listener_for(port, server_name)
        refs = chosen.listener.certificates if chosen else ()
        return f"{refs[0].namespace}/{refs[0].name}" if refs else ""

    def decide(self, request: Request) -> tuple[Decision, ...]:
        """Every outcome for a request, shares summing to 1. One with neither backend nor response: there is no HTTP answer, as the
        connection or its handshake fails. UnsupportedError where client certificates are asked for."""
        chosen, wrong = self._arrival(request)
        if wrong is not None:
            return (wrong,)
        if chosen.listener.protocol in ("TLS", "TCP"):
            return _passed(chosen, request)
        return tuple(replace(each, listener=chosen.status.name) for each in decide(chosen.router, request))

    def rules_for(self, request: Request) -> tuple[Router, Request] | None:
        """The rules that a request is held against, and as what; None where it does not come so far."""
        chosen, wrong = self._arrival(request)
        return None if wrong is not None else (chosen.router, _named(chosen, request))

    def _arrival(self, request: Request) -> tuple[Attached | None, Decision | None]:
        """The listener that a request comes to, and what becomes of it where that is settled without any rule."""
        here = self.on_port(request.port)
        if not here:
            idle = [each.status for each in self.listeners if each.listener.port == request.port and each.listener.protocol != "UDP"]
            problems = "; ".join(NOT_PROGRAMMED.format(name=each.name, why=each.problem) for each in idle)
            return None, Decision(request, why=(NOT_WORKING if idle else NO_LISTENER).format(port=request.port, problems=problems))
        secure = request.scheme == "https"
        speaks = here[0].listener.protocol  # TLS on one port is never beside another protocol: that is a conflict
        if speaks != "TCP" and secure == (speaks == "HTTP"):
            return None, Decision(request, why=(NOT_TLS if secure else NO_TLS).format(port=request.port))
        name = request.server_name if secure else request.hostname
        chosen = self.listener_for(request.port, name)
        words = {"port": request.port, "name": name}
        if chosen is None:
            return None, Decision(request, why=NO_NAME.format(**words)) if secure else _not_found(request, NO_HOST.format(**words))
        if chosen.listener.protocol != "HTTPS":
            return chosen, None
        if self.gateway.client_certificates:
            place = self.gateway.location
            raise UnsupportedError(CLIENT_CERTIFICATES, file=place.file, line=place.line, field="spec.tls.frontend")
        return chosen, self._misdirected(request, chosen)

    def _misdirected(self, request: Request, chosen: Attached) -> Decision | None:
        """The answer to a request whose Host is not for the listener that its handshake chose: 421 where another HTTPS listener of the port
        fits it better, 404 where none does (``gateway_types.go``, Listener.Hostname)."""
        https = [each for each in self.on_port(request.port) if each.listener.protocol == "HTTPS"]
        asked = most_specific(https, request.hostname)
        if asked is chosen:
            return None
        if asked is None:
            return replace(_not_found(request, NO_HOST.format(port=request.port, name=request.hostname)), listener=chosen.status.name)
        why = MISDIRECTED.format(host=request.hostname, name=request.server_name)
        return Decision(request, response=Response(421), why=why, listener=chosen.status.name)


def most_specific(listeners: Sequence[Attached], name: str) -> Attached | None:
    """The listener with the most specific hostname that a name fits."""
    fitting = [each for each in listeners if host_matches(each.listener.hostname, name)]
    return min(fitting, key=lambda each: specificity(each.listener.hostname), default=None)


def _not_found(request: Request, why: str) -> Decision:
    return Decision(request, response=Response(404), why=why)


def _named(chosen: Attached, request: Request) -> Request:
    """A request as rules are held against it: TLS is routed by the server name of its handshake."""
    return replace(request, host=request.server_name) if chosen.listener.protocol == "TLS" else request


def _passed(chosen: Attached, request: Request) -> tuple[Decision, ...]:
    """A connection whose content is forwarded unread: to a backend by weight, or, where there is none, closed."""
    words = PASSED[chosen.listener.tls_mode]
    found = decide(chosen.router, _named(chosen, request))
    return tuple(
        Decision(request, each.rule, each.backend, request, share=each.share, why=words, listener=chosen.status.name)
        if each.backend and each.response is None
        else Decision(request, each.rule, share=each.share, why=each.why, listener=chosen.status.name)
        for each in found
    )


def tables(world: GatewayWorld) -> tuple[dict[str, GatewayTable], Statuses]:
    """A table for each Gateway whose class is there, and the statuses of everything."""
    classes = {each.name for each in world.classes}
    made = [merged(each, world) for each in world.gateways if each.gateway_class in classes]
    conditions = {each.gateway.key: each.conditions for each in made}
    sets = {key: lines for each in made for key, lines in each.sets.items()}
    for thing, lines in unclaimed(world):
        (conditions if thing.kind == Gateway.kind else sets)[thing.key] = lines
    listeners = [status for each in made for status in each.listeners]
    attached, routes = attach(world, listeners, refused(sets))
    counted = {id(each): replace(each, attached=len(attached.get(id(each), ()))) for each in listeners}
    apart, strays = _apart(made, world, routes)
    found = {
        each.gateway.key: GatewayTable(
            each.gateway,
            tuple(Attached(counted[id(status)], router(world, status, attached.get(id(status), ()))) for status in each.listeners),
            tuple(apart[each.gateway.key]),
            strays,
        )
        for each in made
    }
    let_in = {each.gateway.key: sum(lines[0].status == "True" for lines in each.sets.values()) for each in made}
    return found, Statuses(conditions, sets, tuple(counted.values()), routes, let_in)


def _apart(
    made: Sequence[Merged], world: GatewayWorld, routes: Mapping[tuple[str, str], Sequence[ParentStatus]]
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """By Gateway, what names it and is not attached; and what names one that is not there."""
    found: dict[str, list[str]] = {each.gateway.key: [] for each in made}
    home = {(Gateway.kind, key): key for key in found}
    for each in made:
        home |= {(ListenerSet.kind, key): each.gateway.key for key in each.sets}
        outside = sorted(key for key, lines in each.sets.items() if lines[0].status != "True")
        found[each.gateway.key] += [APART.format(name=f"ListenerSet {key}", why=each.sets[key][0].why) for key in outside]
    there = {(each.kind, each.key) for each in (*world.gateways, *world.sets)}
    strays = []
    for route in world.routes:
        for status in routes.get((route.kind, route.key), ()):
            if not status.accepted:
                found[home[status.parent.kind, status.parent.key]].append(APART.format(name=route, why=status.conditions[0].why))
        for parent in route.parents:
            known = parent.group != GATEWAY_GROUP or parent.kind not in (Gateway.kind, ListenerSet.kind)
            if not known and (parent.kind, parent.key) not in there:
                strays.append(APART.format(name=route, why=NO_PARENT.format(parent=parent)))
    return found, tuple(strays)
