"""Checks of exercise 08: Ingress."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.ex08_given import (
    NOBODY,
    OWN,
    addresses,
    broken,
    call,
    cluster,
    domain,
    journey,
    others_call,
    policy,
    requests,
    rules,
    secure,
    secured,
    services,
    table,
    visit,
    wish,
)
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.edge.objects import Ingress
from k8snetlib.kube.edge.router import Considered
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.outside import CLIENT
from k8snetlib.views.routes import routed

__all__ = ["addresses", "broken", "call", "cluster", "others_call", "policy", "requests", "rules", "secure", "secured", "visit", "wish"]
TAKEN = "a manifest of one Ingress, in namespace shop, that the API server takes"
TEXT_HINT = "A manifest as text: three quotes, the lines, three quotes. Or k8s.create_ingress(…), which returns one."


# --- 1: which backend?


@question("08.1")
def backends(backends: Sequence[str], case: Variant) -> str:
    """The Service that each of the six requests reaches, or 404."""
    given = [str(each).strip() for each in backends] if isinstance(backends, (list, tuple)) else []
    known = (*services(case), NOBODY)
    right_form = len(given) == 6 and all(each in known for each in given)
    expected = f"six words, each one of {', '.join(known)}"
    expect(right_form, got=repr(backends)[:200], expected=expected, hint=f'backends = ["{known[0]}", …], in the order of the requests')
    made = table(case)
    for number, (each, url) in enumerate(zip(given, requests(case), strict=True), 1):
        if each != reached(made, url):
            got = f"{each} for request {number}, {url}"
            expect(False, got=got, expected="what the rules make of it", hint=_rule_hint(made, url, each))
    return "six requests, and you know who gets each"


def reached(made: Cluster, url: str) -> str:
    """The name of the Service that gets a request, or the status that the controller answers."""
    decision = routed(made, url).decisions[0]
    return str(decision.response.status) if decision.response else decision.backend.name


def _rule_hint(made: Cluster, url: str, given: str) -> str:
    found = next((each for each in routed(made, url).rules if each.rule.action.backends[0].name == given), None)
    if found is None:
        return "There is a rule that fits: first the host, then the path. (What follows a question mark is no part of the path.)"
    return _why_not(found)


def _why_not(found: Considered) -> str:
    """Why a rule does not answer, as a hint."""
    return {
        "host": "Whose host is that? A star stands for exactly one label, and for no more.",
        "path": "Exact is exact: is this path the rule's, to the last slash?" if found.rule.match.path.type == "Exact"
        else "A Prefix goes by whole elements between slashes. Compare element by element.",
        "later": "That rule fits, and another one as well. Which of their paths is longer?",
        "alone": "That rule would fit. But another host fits better, and is asked alone.",
    }[found.why]  # fmt: skip


# --- 2: what is wanted?


@question("08.2")
def as_wished(ingress: str, case: Variant) -> str:
    """The Ingress does what is wanted, and no more."""
    wanted = wish(case)
    made = _applied(case, ingress)
    _class_is_right(made)
    strangers = [(f"http://{domain(case)}/", NOBODY), (f"http://a.{wanted.host}/", NOBODY), (f"http://other.{domain(case)}/", NOBODY)]
    for url, who in (*wanted.wanted, *strangers):
        _reaches(made, url, who)
    _no_more_hosts(made, [url for url, _ in wanted.wanted])
    certificate = made.edge.ingresses["edge"].certificate(wanted.host)
    expect(
        certificate == f"shop/{wanted.secret}",
        got=f"for {wanted.host}: {certificate or 'a certificate of the controller itself'}",
        expected="the certificate of the Secret that is named",
        hint="A list under spec: hosts, and the Secret for them.",
    )
    url = next(url for url, who in wanted.wanted if who != NOBODY)
    return f"{len(wanted.wanted)} requests as wanted, and one traced to the end: {made.journey(url).response}"


def _reaches(made: Cluster, url: str, who: str) -> None:
    got = reached(made, url)
    if got == who:
        return
    if got == "503":
        hint = "503: a rule fits, and its backend leads nowhere. Do name and port of the Service stand in k8s.get_services(cluster)?"
    elif who == NOBODY:
        hint = "Nobody is to get this. Is a rule's host or path wider than it has to be?"
    elif got == NOBODY:
        hint = "No rule fits: does one have this host, and a path that fits, with the right pathType?"
    else:
        hint = "Two of your rules fit, or the wrong one: the longest path goes first, Exact before Prefix."
    expect(False, got=f"{url} → {got}", expected="what is wanted for it", hint=hint)


def _no_more_hosts(made: Cluster, urls: Sequence[str]) -> None:
    """No rule is for a host that nobody has asked for."""
    known = {request(url).hostname for url in urls}
    more = [rule.host for each in made.manifests.of(Ingress) for rule in each.rules if rule.host not in known]
    hint = "Every other host is to get 404. Who has asked for this one?"
    expect(not more, got=f"a rule for {more[0] if more else ''}", expected="rules for the hosts that are named", hint=hint)


def _class_is_right(made: Cluster) -> None:
    own = made.manifests.of(Ingress)
    classes = ", ".join(each.ingress_class or "none" for each in own)
    right = all(each.ingress_class == "edge" for each in own)
    hint = "Whose Ingress is it? k8s.get_ingress shows the class and the ADDRESS."
    expect(right, got=f"class {classes}", expected="an Ingress that the controller takes", hint=hint)


# --- 3: what is wrong?


@question("08.3")
def mended(repaired: str, case: Variant) -> str:
    """The end state: customers are served, others as before, and nobody else is."""
    made = _applied(case, repaired)
    _class_is_right(made)
    first, second, *_ = services(case)
    _reaches(made, call(case), first)
    _reaches(made, call(case).removesuffix("/1"), first)
    _reaches(made, others_call(case), second)
    _reaches(made, f"{others_call(case)}no-such-page", NOBODY)
    _reaches(made, f"http://other.{domain(case)}/", NOBODY)
    _no_more_hosts(made, [call(case)])
    found = made.journey(call(case))
    expect(found.pod is not None and found.answered, got=found.why, expected="an answer from a Pod", hint="Trace it: cluster.journey(…).")
    return f"the client gets {found.response} from {found.pod.name}"


# --- 4: who sees whom?


@question("08.4")
def seen(sees: str, forwarded: str, certificate: str, case: Variant) -> str:
    """Whom the Pod sees, what the header says, and with which certificate TLS ends."""
    found = journey(case)
    second = found.connections[1]
    for name, each in (("sees", sees), ("forwarded", forwarded)):
        form = 'sees = "10.…"' if name == "sees" else 'forwarded = "…", with an address, and nothing else, in quotes'
        expect(_is_address(each), got=f"{name} = {each!r}"[:200], expected="an IPv4 address as text", hint=form)
    right = second.there.end.packet.src
    hint = "The client's connection ends in the controller. Who opens the one that reaches the Pod?"
    expect(ip_address(sees.strip()) == right, got=f"sees = {sees}", expected="the source address on what reaches the Pod", hint=hint)
    right = ip_address(second.request.header("X-Forwarded-For"))
    got, hint = f"forwarded = {forwarded}", _forwarded_hint(case, forwarded)
    expect(ip_address(forwarded.strip()) == right, got=got, expected="whom the controller sees", hint=hint)
    right = found.certificate.removeprefix("shop/") or OWN
    known = [*sorted({each.secret_name for own in secured(case).manifests.of(Ingress) for each in own.tls}), OWN]
    got = f"certificate = {certificate!r}"[:200]
    expect(certificate in known, got=got, expected=f"one of {', '.join(known)}", hint='The name of a Secret, or "own", in quotes.')
    hint = "The name in the handshake is the host of the URL. A certificate for that very name goes before one for a wildcard."
    expect(certificate == right, got=got, expected="the certificate that is shown for this host", hint=hint)
    return "two connections, and you know what each end sees"


def _forwarded_hint(case: Variant, given: str) -> str:
    client = cluster(case).find(CLIENT).addresses[0]
    if policy(case) == "Local":
        return "The controller's Service has the policy Local. Does anybody have to masquerade?"
    if ip_address(given.strip()) == client:
        return "The controller's Service has the policy Cluster. Who masquerades, and by which interface does the packet leave there?"
    return "The load balancer sends to node-a. Is the controller's Pod there, or on the other node? Which interface leads to it?"


def _is_address(given: object) -> bool:
    try:
        return isinstance(given, str) and ip_address(given.strip()).version == 4
    except ValueError:
        return False


# --- for all


def _applied(case: Variant, text: str) -> Cluster:
    expect(isinstance(text, str), got=repr(text)[:100], expected=TAKEN, hint=TEXT_HINT)
    hint = "The error names the line and the field, and says what may stand there."
    try:
        kinds = {each.kind for each in loads(text, "your manifest").objects}
        made = applied(cluster(case), text, "your manifest")
    except K8sNetError as error:
        said = " ".join(str(error).split())
        return expect(False, got=said, expected=TAKEN, hint=hint)
    own = made.manifests.of(Ingress)
    hint = "Backends are Services of the Ingress's own namespace. Nothing else has to change."
    expect(len(own) == 1, got=f"{len(own)} Ingresses", expected=TAKEN, hint=hint)
    expect(own[0].namespace == "shop", got=f"an Ingress in namespace {own[0].namespace}", expected=TAKEN, hint=hint)
    expect(kinds == {Ingress.kind}, got="other objects", expected=TAKEN, hint=hint)
    return made
