"""Checks of exercise 09: Gateway API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.ex09_given import (
    NO_ROUTE,
    Asked,
    Order,
    broken,
    cluster,
    crossing,
    domain,
    faults,
    gateway,
    goes_to,
    listed,
    order,
    requests,
    route,
    services,
    sold,
    team,
    wish,
)
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.attach import granted
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.edge.objects import GRPCRoute, HTTPRoute, ObjectRef, ReferenceGrant
from k8snetlib.kube.edge.routing import Decision
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import ObjectMeta

__all__ = [
    "broken",
    "cluster",
    "crossing",
    "faults",
    "gateway",
    "goes_to",
    "listed",
    "order",
    "requests",
    "route",
    "services",
    "sold",
    "team",
    "wish",
]
TAKEN = "a manifest of one {kind} that the API server takes"
TEXT_HINT = "A manifest as text: three quotes, the lines, three quotes."
SIX = "six names of Services, or “404”, in the order of the requests"


# --- 1: which Service, and which share?


@question("09.1")
def reached_services(reached: Sequence[str], share: str, case: Variant) -> str:
    """The Service that each of six requests reaches, and the share of the one that gets most where weights decide."""
    given = list(reached) if isinstance(reached, (list, tuple)) else []
    right_form = len(given) == 6 and all(isinstance(each, str) for each in given)
    expect(right_form, got=repr(reached)[:200], expected=SIX, hint='reached = ["lemon", "404", …]')
    made = applied(cluster(case), route(case))
    for number, (each, asked) in enumerate(zip(given, requests(case), strict=True), 1):
        right = _most(_decisions(made, asked))
        got = f"{each[:40]} for request {number}"
        expect(each.strip().lower() == right, got=got, expected="the Service of the rule that answers", hint=_rule_hint(asked))
    part = _fraction(share)
    expect(part is not None, got=repr(share)[:100], expected="a fraction as text", hint='share = "2/3", for instance.')
    split = next(each for each in requests(case) if each.decides == "split")
    exact = max(each.share for each in _decisions(made, split))
    hint = "Its own weight, over the sum of all weights of that rule. How many Pods there are plays no part."
    expect(part == exact, got=str(share), expected="the exact share of the Service that gets more", hint=hint)
    return "six requests, each by the rule that comes first, and the exact share"


def _decisions(made: Cluster, asked: Asked) -> tuple[Decision, ...]:
    return made.edge.gateways["edge/front"].decide(asked.request)


def _most(found: Iterable[Decision]) -> str:
    best = max(found, key=lambda each: each.share)
    return best.backend.name if best.backend else NO_ROUTE


def _rule_hint(asked: Asked) -> str:
    return {
        "exact": "Two rules have this path. Which type of path comes first?",
        "longer": "Exact fits the whole path alone. Which of the prefixes that fit is the longest?",
        "split": "Neither method nor header asks for anything special here. Which rule is left, and which of its weights is larger?",
        "method": "Two rules with the same prefix fit. What comes first, a method or a header?",
        "header": "The name of a header may be written in any case.",
        "none": "Does a rule fit the host, and the path by whole elements?",
    }[asked.decides]


def _fraction(given: object) -> Fraction | None:
    try:
        text = str(given).replace(" ", "") if isinstance(given, (str, Fraction, int, float)) else ""
        return Fraction(text) if "e" not in text.lower() else None  # 1e999999999 is a number, and fills the memory
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


# --- 2: a canary


@question("09.2")
def as_ordered(canary: str, case: Variant) -> str:
    """Testers by header, others by weight, and nobody else."""
    wanted = order(case)
    made = _applied(cluster(case), canary, "HTTPRoute")
    _attached(made, canary)
    headers = dict([wanted.header])
    for below in ("", "/7"):
        url = f"http://{wanted.host}{wanted.path}{below}"
        for method in ("GET", "POST"):
            _shares(made, url, method, {}, {wanted.new: wanted.share, wanted.old: 1 - wanted.share})
            _shares(made, url, method, headers, {wanted.new: Fraction(1)})
    _shares(made, f"http://{wanted.host}{wanted.path}", "GET", {wanted.header[0]: "other"}, _others(wanted))
    for url in (f"http://{wanted.host}{wanted.path}s", f"http://{wanted.host}/", f"http://other.{domain(case)}{wanted.path}"):
        _shares(made, url, "GET", {}, {NO_ROUTE: Fraction(1)})
    _nothing_more(made, canary, wanted.host, wanted.path)
    return f"testers get {wanted.new}, {wanted.percent} in 100 of the others too, and nothing else has changed"


def _nothing_more(made: Cluster, text: str, host: str, path: str = "") -> None:
    """Nobody is served at a host or a path that only this route names, and no request is changed."""
    (written,) = loads(text).of(HTTPRoute)
    paths = [match.path.value for rule in written.rules for match in rule.matches]
    strange = [f"http://{each.replace('*', 'any')}{path or '/'}" for each in written.hostnames if each != host]
    strange += [f"http://{host}{each}" for each in paths if path and each != path and not each.startswith(f"{path}/")]
    for url in strange:
        _shares(made, url, "GET", {}, {NO_ROUTE: Fraction(1)})
    changed = any(rule.filters or any(each.target.filters for each in rule.backends) for rule in written.rules)
    expect(not changed, got="filters", expected="requests go as they come", hint="Nobody has ordered a filter.")


def _others(wanted: Order) -> dict[str, Fraction]:
    return {wanted.new: wanted.share, wanted.old: 1 - wanted.share}


def _shares(made: Cluster, url: str, method: str, headers: dict[str, str], expected: dict[str, Fraction]) -> None:
    """The exact shares of a request are those expected, whatever the number of backends that make them up."""
    found: dict[str, Fraction] = {}
    for each in made.edge.gateways["edge/front"].decide(request(url, method, headers)):
        name = each.backend.name if each.backend and each.response is None else str(each.status)
        found[name] = found.get(name, Fraction(0)) + each.share
    sent = f"{method} {url}" + "".join(f" with {name}: {content}" for name, content in headers.items())
    told = ", ".join(f"{name} {part}" for name, part in found.items())
    hint = "One rule for testers and one for others, both for the path and the host. Only the ratio of weights counts."
    if set(expected) == {NO_ROUTE}:
        hint = "For which host, and which paths, is the route wanted?"
    expect(found == expected, got=f"{sent}: {told}", expected="what the order says of such a request", hint=hint)


# --- 3: what is wrong?


@question("09.3")
def mended_route(mended: str, case: Variant) -> str:
    """The end state: attached, resolved, and requests for the host reach the Service."""
    name, host = sold(case)
    made = _applied(cluster(case), mended, "HTTPRoute")
    _attached(made, mended)
    _shares_of(made, f"http://{host}/", name)
    _shares_of(made, f"http://{host}/any/page", name)
    _shares(made, f"http://other.{domain(case)}/", "GET", {}, {NO_ROUTE: Fraction(1)})
    _nothing_more(made, mended, host)
    return f"accepted, resolved, and http://{host}/ reaches {name}"


def _shares_of(made: Cluster, url: str, name: str) -> None:
    found = made.edge.gateways["edge/front"].decide(request(url))
    told = ", ".join(each.backend.name if each.backend and each.response is None else str(each.response) for each in found)
    right = all(each.response is None and each.backend and each.backend.name == name for each in found)
    expect(
        right,
        got=f"GET {url}: {told}",
        expected=f"Service {name} answers",
        hint="Is every path of this host, whatever the headers, meant for that one Service?",
    )


# --- 4: exactly what is needed


@question("09.4")
def just_enough(grant: str, case: Variant) -> str:
    """The shop's route may use that one Service, and nobody may use anything more."""
    wanted, other = wish(case)
    home = team(case)
    made = _applied(cluster(case), grant, "ReferenceGrant")
    made = applied(made, crossing(case))
    grants = made.manifests.of(ReferenceGrant)
    asking = next(each for each in made.manifests.of(HTTPRoute) if each.name == "partner")
    (status,) = made.edge.statuses.of_route(asking)
    resolved = next(each for each in status.conditions if each.type == "ResolvedRefs")
    hint = "In which namespace must it lie, and who is it for: which kind, in which API group, of which namespace?"
    expect(
        resolved.status == "True", got=f"{resolved.reason}: {resolved.message}", expected="the route's references are resolved", hint=hint
    )
    meta = ObjectMeta("any", "shop")
    target = ObjectRef("Service", wanted, home)
    too_much = {
        f"the shop may use Service {other} as well": (HTTPRoute(meta), ObjectRef("Service", other, home)),
        f"routes of other namespaces may use Service {wanted}": (HTTPRoute(ObjectMeta("any", "edge")), target),
        f"GRPCRoutes of the shop may use Service {wanted}": (GRPCRoute(meta), target),
        "routes may refer to Secrets": (HTTPRoute(meta), ObjectRef("Secret", "any", home)),
    }
    for got, (source, ref) in too_much.items():
        expect(
            not granted(source, ref, grants),
            got=got,
            expected="what is needed, and no more",
            hint="Each part of `from` and `to` narrows it.",
        )
    (own,) = grants
    expect(
        len(set(own.sources)) == len(set(own.targets)) == 1,
        got=f"entries in `from`: {len(set(own.sources))}, in `to`: {len(set(own.targets))}",
        expected="what is needed, and no more",
        hint="One entry in `from`, and one in `to`.",
    )
    return f"HTTPRoutes of the shop may use Service {wanted} of {home}, and that is all"


# --- for all


def _applied(base: Cluster, text: str, kind: str) -> Cluster:
    taken = TAKEN.format(kind=kind)
    expect(isinstance(text, str), got=repr(text)[:100], expected=taken, hint=TEXT_HINT)
    try:
        kinds = [each.kind for each in loads(text, "your manifest").objects]
        made = applied(base, text, "your manifest")
    except K8sNetError as error:
        said = " ".join(str(error).split())
        return expect(False, got=said[:300], expected=taken, hint="The error names the line and the field, and says what may stand there.")
    expect(kinds == [kind], got=", ".join(kinds) or "nothing", expected=taken, hint="The other objects belong to other people.")
    return made


def _attached(made: Cluster, text: str) -> None:
    """The route is accepted by the Gateway, and all that it refers to is there."""
    (written,) = loads(text).of(HTTPRoute)
    statuses = made.edge.statuses.of_route(written)
    hint = "Nobody has written a status. Is there a Gateway of that name, in that namespace?"
    expect(statuses, got="no status at all", expected="a route that a Gateway has accepted", hint=hint)
    for status in statuses:
        for each in status.conditions:
            got = f"{each.type} is {each.status}, {each.reason}: {each.message}"
            expect(each.status == "True", got=got, expected="Accepted and ResolvedRefs are both True", hint=_reason_hint(each.reason))


def _reason_hint(reason: str) -> str:
    return {
        "NoMatchingParent": "What are the Gateway's listeners called?",
        "NoMatchingListenerHostname": "For which hosts is the listener?",
        "BackendNotFound": "Compare the name and the port with the Services that there are.",
        "RefNotPermitted": "Is the Service in the route's own namespace?",
    }.get(reason, "Which side does not agree, the route or the listener?")
