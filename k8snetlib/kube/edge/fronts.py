"""What a proxy has to serve, in a form from which configurations for real ones are written (:mod:`.nginx`, :mod:`.haproxy`).

A front is a port with its sites: a listener's hostname and its rules. What a proxy's own language cannot say is refused with the rule and the
reason (:class:`~k8snetlib.errors.UnsupportedError`), never left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from math import lcm

from ...errors import UnsupportedError
from ...value import value
from .backends import Backends, Upstream
from .gateway import GatewayTable
from .hostnames import specificity, wider
from .http import Backend, Rule
from .ingress import IngressTable
from .router import Router

REFUSED = "{proxy} cannot say this: {origin}: {why}"
PASSTHROUGH = "listener {name} ({protocol}) is not HTTP: only HTTP and HTTPS with mode Terminate are written here"
SHOWN_CERTIFICATE = "certificate.pem"


@value
class Site:
    """The rules for a listener's hostname (``""``: any)."""

    hostname: str
    router: Router


@value
class Front:
    """A port that clients call, the port on which the proxy listens for it, and what it serves there; ``secure``: it ends TLS."""

    port: int
    listen: int
    sites: tuple[Site, ...] = ()
    secure: bool = False


def fronts(table: IngressTable | GatewayTable, listen: Mapping[int, int]) -> tuple[Front, ...]:
    """The fronts of a way in. ``listen`` says for each port that clients call at which one the proxy's Pod listens (a Service's targetPort);
    ports that are not in it are left out. UnsupportedError for listeners that are not HTTP."""
    if isinstance(table, IngressTable):
        site = (Site("", table.router),)
        return tuple(Front(port, listen[port], site, port == 443) for port in (80, 443) if port in listen)
    ports: dict[int, list] = {}
    for each in table.listeners:
        if each.status.works and each.listener.port in listen:
            if each.listener.protocol not in ("HTTP", "HTTPS") or each.listener.tls_mode == "Passthrough":
                raise UnsupportedError(PASSTHROUGH.format(name=each.listener.name, protocol=each.listener.protocol))
            ports.setdefault(each.listener.port, []).append(each)
    return tuple(
        Front(port, listen[port], tuple(Site(e.listener.hostname, e.router) for e in found), found[0].listener.protocol == "HTTPS")
        for port, found in sorted(ports.items())
    )


def sites(front: Front) -> list[Site]:
    """A front's sites, the most specific hostname first."""
    return sorted(front.sites, key=lambda each: specificity(each.hostname))


def hosts(router: Router) -> list[str]:
    """The hosts of a router that have rules, the most specific first."""
    return sorted(router.hosts, key=specificity)


def following(router: Router, host: str) -> Iterator[Rule]:
    """The rules that a name of this host is tried with, in their order: the host's own and, where the router goes on, those of hosts that
    cover it."""
    for each in wider(host) if router.falls_through else (host,):
        if each in router.hosts:
            yield from router.table(each).rules


def refuse(proxy: str, rule: Rule, why: str) -> UnsupportedError:
    """The error for a rule that a proxy cannot have, with its place."""
    place = rule.origin.location
    return UnsupportedError(REFUSED.format(proxy=proxy, origin=rule.origin, why=why), file=place.file, line=place.line or None)


@value
class Share:
    """A server of a pool with its whole-number weight; without an upstream, requests are answered with the backend's own ``status``."""

    backend: Backend
    upstream: Upstream | None
    weight: int
    status: int = 0


@value
class Pool:
    """The servers behind a rule, with weights in the ratio of the backends' weights, each backend's spread evenly over its endpoints."""

    shares: tuple[Share, ...] = ()
    status: int = field(default=0)  # where no server is left: what is answered instead


def pool(rule: Rule, backends: Backends, version: int) -> Pool:
    """The servers for a rule's backends."""
    wanted = [each for each in rule.action.backends if each.weight]
    if not wanted:
        return Pool((), rule.unavailable)
    places: list[Sequence[Upstream]] = [() if each.problem else backends.upstreams(each, version) for each in wanted]
    common = lcm(*[len(found) or 1 for found in places])
    shares: list[Share] = []
    for backend, found in zip(wanted, places, strict=True):
        each = backend.weight * common // (len(found) or 1)
        status = (
            0 if found else rule.unavailable if backend.problem and backend.status == 500 else backend.status if backend.problem else 503
        )
        shares += [Share(backend, place, each) for place in found] or [Share(backend, None, each, status)]
    if all(share.upstream is None for share in shares) and len({share.status for share in shares}) == 1:
        return Pool((), shares[0].status)
    return Pool(tuple(shares))
