"""What becomes of one request: the listener, the rule, the filters, the backend, the answer. :func:`decide` gives every outcome with its
exact share, :func:`answered` one of them with its response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from fractions import Fraction

from ...errors import UnsupportedError
from ...value import value
from .filters import Mirror, at_once, on_request, on_response
from .http import Backend, Pairs, Request, Response, Rule
from .router import Router

NO_RULE = "no rule matches"
NO_BACKEND = "the rule has no backend"
RESOURCE = "{origin}: a backend of kind {kind} ({name}) means what its controller says, and is not modelled"
NO_TLS = "port {port} speaks TLS, and the request comes without: the connection fails"
NOT_TLS = "port {port} speaks plain HTTP, and the client TLS: the handshake fails"
NO_WEIGHT = "every backend has weight 0"


@value
class Decision:
    """One way in which a request may be answered. Either a ``backend`` gets ``sent`` (the request after the filters), or ``response`` is
    what the router says itself, and ``why`` the reason. ``share`` is the exact part of such requests, ``mirrors`` who gets a copy."""

    request: Request
    rule: Rule | None = None
    backend: Backend | None = None
    sent: Request | None = None
    response: Response | None = None
    mirrors: tuple[Mirror, ...] = ()
    share: Fraction = Fraction(1)
    why: str = ""
    filters: tuple = field(default=(), repr=False)
    listener: str = ""

    @property
    def status(self) -> int | None:
        """The status if the router answers itself; None if that is the backend's business."""
        return self.response.status if self.response else None


def decide(router: Router, request: Request) -> tuple[Decision, ...]:
    """Every outcome for a request, shares summing to 1. UnsupportedError for a filter or backend that only its controller understands."""
    rule = router.find(request)
    if rule is None:
        return (Decision(request, response=Response(404), why=NO_RULE),)
    action, matched = rule.action, rule.match.path
    answer = at_once(action.filters, request, matched)
    if answer is not None:
        return (Decision(request, rule, response=answer, filters=action.filters),)
    if not action.backends:
        return (Decision(request, rule, response=Response(rule.unavailable), why=NO_BACKEND),)
    total = sum(backend.weight for backend in action.backends)
    if not total:
        return (Decision(request, rule, response=Response(rule.unavailable), why=NO_WEIGHT),)
    through = on_request(action.filters, request, matched)
    return tuple(_to(request, rule, each, through, Fraction(each.weight, total)) for each in action.backends if each.weight)


def _to(request: Request, rule: Rule, backend: Backend, through: Request, share: Fraction) -> Decision:
    if backend.kind != "Service":
        place = rule.origin.location
        raise UnsupportedError(RESOURCE.format(origin=rule.origin, kind=backend.kind, name=backend.name), file=place.file, line=place.line)
    if backend.problem:
        status = rule.unavailable if backend.status == 500 else backend.status
        return Decision(request, rule, backend, response=Response(status), share=share, why=backend.problem)
    answer = at_once(backend.filters, through, rule.match.path)
    filters = (*backend.filters, *rule.action.filters)
    if answer is not None:
        return Decision(request, rule, backend, response=answer, share=share, filters=filters)
    sent = on_request(backend.filters, through, rule.match.path)
    mirrors = tuple(each for each in filters if isinstance(each, Mirror))
    return Decision(request, rule, backend, sent, None, mirrors, share, "", filters)


def answered(decision: Decision, status: int = 200, headers: Pairs = (), takes: Fraction | float = 0) -> Response:
    """The response that the client sees, if the backend says ``status`` with ``headers`` after ``takes`` seconds; 504 after a timeout."""
    if decision.response is not None:
        return decision.response
    action = decision.rule.action if decision.rule else None
    limits = [limit for limit in (action.request_timeout, action.backend_timeout) if limit] if action else []
    if limits and takes > min(limits):
        return Response(504)
    return Response(status, on_response(decision.filters, decision.request, headers))


def pick(decisions: Sequence[Decision], draw: Fraction | float = 0) -> Decision:
    """The outcome for a number drawn evenly from [0, 1)."""
    for decision in decisions:
        if draw < decision.share:
            return decision
        draw -= decision.share
    return decisions[-1]
