"""Gateway API into the router: Gateways with their listeners, the routes attached to them, and what becomes of a request.

A request chooses a listener first (port, then the most specific hostname; with TLS, the server name of the handshake), then a rule among
the routes attached to that listener alone ("listener isolation"), in the precedence that ``httproute_types.go`` gives. What is left to
implementations: regular expressions stand between Exact and Prefix here, as in Envoy Gateway (internal/gatewayapi/sort.go) and in nginx itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...errors import UnsupportedError
from ...value import replace, value
from .attach import (
    Condition,
    ListenerStatus,
    Statuses,
    admits,
    conflicts,
    listener_status,
)
from .hostnames import host_matches, specificity
from .http import Request, Response
from .objects import (
    GATEWAY_GROUP,
    Gateway,
    Listener,
    ListenerSet,
    ObjectRef,
)
from .parents import attach
from .route_rules import GatewayWorld, router
from .router import Router
from .routing import NO_TLS, NOT_TLS, Decision, decide

NO_LISTENER = "nothing listens on port {port}"
NO_NAME = "no listener on port {port} is for {name}: the handshake fails"
NO_HOST = "no listener on port {port} is for {name}"
MISDIRECTED = "{host} is another listener's than the server name {name} of this connection's handshake"
CLIENT_CERTIFICATES = "client certificates and TLS towards backends are not modelled"
PASSED = {
    "Passthrough": "passed through, unread, by its server name",
    "Terminate": "TLS ends here; what was in it is passed on, unread, by its server name",
    "": "passed on, unread, by its port",
}
ADDRESS_TYPES = ("IPAddress", "Hostname")
Owner = Gateway | ListenerSet


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
    """What a controller has made of one Gateway: its listeners, those of its ListenerSets included."""

    gateway: Gateway
    listeners: tuple[Attached, ...] = ()

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
            return None, Decision(request, why=NO_LISTENER.format(port=request.port))
        secure = request.scheme == "https"
        if secure and self.gateway.client_certificates:
            place = self.gateway.location
            raise UnsupportedError(CLIENT_CERTIFICATES, file=place.file, line=place.line, field="spec.tls")
        speaks = here[0].listener.protocol  # TLS on one port is never beside another protocol: that is a conflict
        if speaks != "TCP" and secure == (speaks == "HTTP"):
            return None, Decision(request, why=(NOT_TLS if secure else NO_TLS).format(port=request.port))
        name = request.server_name if secure else request.hostname
        chosen = self.listener_for(request.port, name)
        words = {"port": request.port, "name": name}
        if chosen is None:
            return None, Decision(request, why=NO_NAME.format(**words)) if secure else _not_found(request, NO_HOST.format(**words))
        return chosen, self._misdirected(request, chosen) if chosen.listener.protocol == "HTTPS" else None

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
    names = {each.name for each in world.classes}
    gateways = [each for each in world.gateways if each.gateway_class in names]
    conditions: dict[str, tuple[Condition, ...]] = {}
    sets: dict[str, tuple[Condition, ...]] = {}
    listeners: list[ListenerStatus] = []
    homes: dict[str, list[ListenerStatus]] = {}
    for gateway in gateways:
        found = _listeners(gateway, world, sets)
        homes[gateway.key] = found
        listeners += found
        own = [each for each in found if each.owner is gateway]
        conditions[gateway.key] = _unsupported(gateway) or _gateway_conditions(own)
    for each in world.gateways:
        conditions.setdefault(each.key, (Condition("Accepted", "Unknown", "Pending", f"no GatewayClass {each.gateway_class!r}"),))
    attached, routes = attach(world, listeners)
    counted = {id(each): replace(each, attached=len(attached.get(id(each), ()))) for each in listeners}
    made = {
        gateway.key: GatewayTable(
            gateway,
            tuple(
                Attached(counted[id(each)], router(world, each, attached.get(id(each), ())))
                for each in homes[gateway.key]
                if not _unsupported(gateway)
            ),
        )
        for gateway in gateways
    }
    accepted = {key for key, lines in sets.items() if any(line.type == "Accepted" and line.status == "True" for line in lines)}
    parents = Counter((each.parent.namespace, each.parent.name) for each in world.sets if each.key in accepted)
    let_in = {each.key: parents[each.namespace, each.name] for each in gateways}
    return made, Statuses(conditions, sets, tuple(counted.values()), routes, let_in)


def _unsupported(gateway: Gateway) -> tuple[Condition, ...]:
    """The conditions of a Gateway that asks for an address of a type that is known to its implementation alone: it does nothing."""
    other = next((kind for kind, _ in gateway.addresses if kind not in ADDRESS_TYPES), "")
    if not other:
        return ()
    words = f"addresses of type {other} mean what an implementation says"
    return Condition("Accepted", "False", "UnsupportedAddress", words), Condition("Programmed", "False", "Invalid")


def _gateway_conditions(own: Sequence[ListenerStatus], unfit: str = "Invalid") -> tuple[Condition, ...]:
    """Of a Gateway or ListenerSet with these listeners; ``unfit`` is the reason if none of them works."""
    working = [each for each in own if each.works]
    reason = "Accepted" if len(working) == len(own) else "ListenersNotValid"
    accepted = Condition("Accepted", "True" if any(each.accepted for each in own) else "False", reason)
    return accepted, Condition("Programmed", "True", "Programmed") if working else Condition("Programmed", "False", unfit)


def _listeners(gateway: Gateway, world: GatewayWorld, sets: dict[str, tuple[Condition, ...]]) -> list[ListenerStatus]:
    """The Gateway's own listeners, then those of the ListenerSets that it lets in, the oldest first; ``sets`` gets their conditions."""
    owned: list[tuple[Owner, Listener]] = [(gateway, each) for each in gateway.listeners]
    me = ObjectRef(gateway.kind, gateway.name, gateway.namespace, GATEWAY_GROUP)
    asking = [each for each in world.sets if each.parent == me]
    let_in = []
    for each in sorted(asking, key=lambda each: (each.metadata.creation_timestamp, each.key)):
        if admits(gateway.allowed_sets, gateway.namespace, each.namespace, world.labels):
            owned += [(each, listener) for listener in each.listeners]
            let_in.append(each)
        else:
            words = f"{gateway} lets in no ListenerSet of namespace {each.namespace}"
            sets[each.key] = (Condition("Accepted", "False", "NotAllowed", words), Condition("Programmed", "False", "NotAllowed"))
    clashes = conflicts(owned)
    found = [
        listener_status(owner, listener, clashes.get(index, ""), world.secrets, world.grants)
        for index, (owner, listener) in enumerate(owned)
    ]
    for each in let_in:
        sets[each.key] = _gateway_conditions([status for status in found if status.owner is each], "ListenersNotValid")
    return found
