"""The journey of a request: connection by connection from the client to the Pod that answers, and the answer's way back.

A controller is a Pod in which the client's connection ends. It reads the request, decides, and opens a second connection of its own; what
links both is nothing but the controller's memory. Each connection is a trace of its first packet, as anywhere in this library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from ...errors import UnsupportedError
from ...linux.engine import Chance, after, always
from ...linux.events import Trace
from ...linux.state import Network
from ...value import replace
from ..cni.sandbox import UNDERLAY
from ..proxy.userspace import PROCESS
from .arrival import BALANCER, Arrival, arrival, arrivals
from .backends import Upstream
from .connection import Connection, Journey
from .entry import Entry, door, entry, receiver
from .http import Pairs, Request, Response, request
from .routing import Decision, answered, pick

if TYPE_CHECKING:
    from ..cluster import Cluster

To = Literal["endpoints", "service"]
Headers = Mapping[str, str] | Pairs
TEXT = {
    "lost": "the connection fails: {reason} in {where}",
    "back": "the answer does not arrive: {reason} in {where}",
    "upstream": "the controller's own connection fails: {reason} in {where}",
    "balancer": "the balancer's own connection fails: {reason} in {where}",
    "silent": "nobody answers {who}",
    "userspace": "kube-proxy's userspace mode, removed in Kubernetes 1.26, ends the connection on {node} and opens one of its own: a journey "
    "is not followed through it",
    "router": "router", "nobody": "{name}, which has nobody to send to", "kept out": "{name}, which keeps this client out",
    "no-family": "no ready endpoint of Service {key} has an IPv{version} address",
}  # fmt: skip
CONNECT_FAILED, CONNECT_TIMED_OUT = 502, 504
"""What a proxy says when its own connection is refused, and when nobody answers it (RFC 9110, 15.6.3 and 15.6.5). HAProxy: 503 to both."""


def journey(
    cluster: Cluster,
    url: str | Request,
    method: str = "GET",
    headers: Headers = (),
    *,
    source: str = "client",
    name: str = "",
    via: str = "",
    node: str = "",
    to: To = "endpoints",
    draw: Fraction | float = 0,
    endpoint: int = 0,
    chance: Chance = always,
    status: int = 200,
    network: Network | None = None,
) -> Journey:
    """The journey of one request: ``journey(cluster, "https://www.example.com/api")``.

    ``name`` chooses the way in where there are several (``ingress/CLASS``, ``gateway/NAMESPACE/NAME``, or ``service/NAMESPACE/NAME`` for
    a Service straight, without a controller), ``via`` the controller's Service where it is not known, ``node`` a node by whose port to
    come in. ``to`` is what the controller sends to: a Pod's own address, as nearly all do, or the Service's. ``draw``, in [0, 1), chooses
    a backend by weight, ``endpoint`` one of its endpoints, ``chance`` answers what rules leave to chance; ``status`` is what the Pod
    answers; ``network`` is another state of the machines than the cluster's own.
    ModelError for a URL, entry or sender that there is not; UnsupportedError for what only a controller understands.
    """
    sent = url if isinstance(url, Request) else request(url, method, headers)
    found = entry(cluster, sent, name, via)
    network = cluster.network if network is None else network
    came = arrival(cluster, found.service, source, door(cluster, found, source, sent, node), network, chance)
    begun = _arrived(cluster, Journey(sent, found), source, came)
    if not came.last.delivered:
        return begun
    if found.table is None:
        return _straight(begun, status)
    begun = _decided(begun, pick(found.table.decide(sent), draw))
    if not begun.goes_on:
        return begun
    return _sent_on(cluster, begun, to, endpoint, status, after(came.last.network, came.last), chance)


def journeys(
    cluster: Cluster,
    url: str | Request,
    method: str = "GET",
    headers: Headers = (),
    *,
    source: str = "client",
    name: str = "",
    via: str = "",
    node: str = "",
    to: To = "endpoints",
    status: int = 200,
) -> list[tuple[Fraction, Journey]]:
    """Every outcome with its exact share: what rules on the way in leave to chance, the backends by weight, their endpoints evenly (round
    robin over many requests), and, where the controller sends to a Service, kube-proxy's choice. The arguments are ``journey``'s."""
    sent = url if isinstance(url, Request) else request(url, method, headers)
    found = entry(cluster, sent, name, via)
    decisions = found.table.decide(sent) if found.table else ()
    out: list[tuple[Fraction, Journey]] = []
    for weight, came in arrivals(cluster, found.service, source, door(cluster, found, source, sent, node)):
        begun = _arrived(cluster, Journey(sent, found), source, came)
        if not came.last.delivered or found.table is None:
            out.append((weight, _straight(begun, status) if came.last.delivered else begun))
            continue
        for decision in decisions:
            made = _decided(begun, decision)
            for share, ended in _ends(cluster, made, to, status) if made.goes_on else [(Fraction(1), made)]:
                out.append((weight * decision.share * share, ended))
    return out


def _sent_on(cluster: Cluster, begun: Journey, to: To, endpoint: int, status: int, network: Network, chance: Chance) -> Journey:
    places = _places(cluster, begun)
    if not places:
        return _nowhere(begun)
    chosen = places[endpoint % len(places)] if to == "endpoints" else None
    target = str(chosen) if chosen else _service_target(begun)
    return _onward(cluster, begun, chosen, cluster.trace(_here(begun), target, "tcp", network=network, chance=chance), status)


def _places(cluster: Cluster, begun: Journey) -> Sequence[Upstream]:
    """The endpoints that the controller can open a connection to: those of the family by which the request came, else of another that its
    Pod has."""
    came = begun.incoming.there.end.packet.dst.version
    own = [came, *(ip.version for ip in (begun.controller.pod_ips if begun.controller else ()) if ip.version != came)]
    found = (cluster.edge.backends.upstreams(begun.decision.backend, version) for version in own)
    return next(filter(None, found), ())


def _ends(cluster: Cluster, begun: Journey, to: To, status: int) -> Iterator[tuple[Fraction, Journey]]:
    there, places = begun.incoming.there, _places(cluster, begun)
    network = after(there.network, there)
    if not places:
        yield Fraction(1), _nowhere(begun)
    elif to == "service":
        for share, onward in cluster.traces(_here(begun), _service_target(begun), "tcp", network=network):
            yield share, _onward(cluster, begun, None, onward, status)
    else:
        for each in places:
            onward = cluster.trace(_here(begun), str(each), "tcp", network=network)
            yield Fraction(1, len(places)), _onward(cluster, begun, each, onward, status)


# --- step by step


def _arrived(cluster: Cluster, begun: Journey, source: str, came: Arrival) -> Journey:
    """With the connections on the way in. UnsupportedError where kube-proxy itself ends one and opens another."""
    there = came.last
    if there.delivered and there.end.socket is not None and there.end.socket.process == PROCESS:
        raise UnsupportedError(TEXT["userspace"].format(node=there.end.netns))
    controller = None if came.ended and len(came.traces) < 2 else receiver(cluster, there)
    heads = [*([BALANCER] if came.ended else []), controller.name if controller else _place(begun.entry, there)]
    ends = zip([source, *heads], heads, came.traces, strict=False)
    made = tuple(_connection(tail, head, each, begun.request) for tail, head, each in ends)
    begun = replace(begun, connections=made, controller=controller, balanced=came.ended)
    if not there.delivered:
        return replace(begun, why=_reason("balancer" if len(made) > 1 else "lost", there, begun.entry))
    table, sent = begun.entry.table, begun.request
    certificate = table.certificate(sent.server_name, sent.port) if table and sent.scheme == "https" else ""
    return replace(begun, sees=str(there.end.packet.src), certificate=certificate)


def _straight(begun: Journey, status: int) -> Journey:
    """With the answer of the Pod that the client's connection leads to: there is no controller."""
    return _finished(replace(begun, pod=begun.controller, controller=None), Response(status))


def _decided(begun: Journey, decision: Decision) -> Journey:
    """With the controller's decision; where that is an answer of its own, with the answer."""
    begun = replace(begun, decision=decision, why=decision.why)
    begun = begun if begun.heard else replace(begun, certificate="")
    return begun if begun.goes_on else _finished(begun, decision.response)


def _nowhere(begun: Journey) -> Journey:
    version = begun.incoming.there.end.packet.dst.version
    words = TEXT["no-family"].format(key=begun.decision.backend.key, version=version)
    return _finished(replace(begun, why=words), Response(503))


def _here(begun: Journey) -> str:
    """From where the controller opens its own connection."""
    return f"pod/{begun.controller.key}" if begun.controller else f"node/{begun.incoming.there.end.netns}"


def _service_target(begun: Journey) -> str:
    return f"svc/{begun.decision.backend.key}:{begun.decision.backend.port}"


def _onward(cluster: Cluster, begun: Journey, upstream: Upstream | None, there: Trace, status: int) -> Journey:
    """With the controller's own connection, and the answer."""
    decision, first = begun.decision, begun.incoming
    passed = decision.rule is not None and decision.rule.origin.kind in ("TLSRoute", "TCPRoute", "UDPRoute")
    pod = receiver(cluster, there)
    onward = _connection(
        first.head, pod.name if pod else _place(begun.entry, there), there, None if passed else forwarded(decision.sent, begun.sees)
    )
    through = passed and not begun.certificate  # a connection of the controller's own is plain, as is what it has decrypted
    onward = replace(onward, secure=through and decision.request.scheme == "https")
    begun = replace(begun, connections=(*begun.connections, onward), upstream=upstream, pod=pod)
    if not onward.works:
        status = CONNECT_FAILED if onward.refused else CONNECT_TIMED_OUT
        return _finished(replace(begun, why=_reason("upstream", there, begun.entry)), Response(status))
    return _finished(begun, answered(decision, status))


def _finished(begun: Journey, response: Response | None) -> Journey:
    """With the answer, if it finds its way to the client."""
    for each in reversed(begun.connections[: 1 + begun.balanced]):
        if each.back is None:
            return replace(begun, why=TEXT["silent"].format(who=each.tail))
        if not each.back.delivered:
            return replace(begun, why=_reason("back", each.back, begun.entry))
    return replace(begun, response=response)


def forwarded(sent: Request, peer: str) -> Request:
    """The request as a controller passes it on: with the address of whoever opened the connection to it appended to X-Forwarded-For, and
    the scheme that the client used."""
    before = sent.header("X-Forwarded-For")
    kept = tuple(each for each in sent.headers if each[0].lower() not in ("x-forwarded-for", "x-forwarded-proto"))
    chain = f"{before}, {peer}" if before else peer
    return replace(sent, headers=(*kept, ("X-Forwarded-For", chain), ("X-Forwarded-Proto", sent.scheme)))


def _connection(tail: str, head: str, there: Trace, sent: Request | None) -> Connection:
    return Connection(tail, head, there, there.reply if there.delivered else None, sent, bool(sent) and sent.scheme == "https")


def _reason(key: str, trace: Trace, found: Entry) -> str:
    lost = trace if not trace.delivered or trace.reply is None else trace.reply
    where = _place(found, lost)
    if where == BALANCER:
        where = TEXT["kept out" if getattr(lost.end, "reason", "") == "NETFILTER_DROP" else "nobody"].format(name=where)
    return TEXT[key].format(reason=getattr(lost.end, "reason", ""), where=where)


def _place(found: Entry, trace: Trace) -> str:
    """The machine at which a trace ends: the one below the nodes is the balancer for its addresses, and else a router."""
    if trace.end.netns != UNDERLAY:
        return trace.end.netns
    return BALANCER if any(each.ip == trace.sent.dst for each in found.service.load_balancer_ingress) else TEXT["router"]
