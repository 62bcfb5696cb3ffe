"""Routers at random: Ingress and the HTTPRoute it translates to route alike on their common subset; look-ups find what a search finds."""

from __future__ import annotations

import json
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.kube.edge import gateway, ingress
from k8snetlib.kube.edge.http import Action, Backend, Match, NameMatch, Origin, PathMatch, Request, Rule, request
from k8snetlib.kube.edge.objects import Gateway, GatewayClass, Ingress, Route
from k8snetlib.kube.edge.router import Router, considered, first_element
from k8snetlib.kube.edge.routing import decide
from k8snetlib.kube.edge.translate import http_routes
from k8snetlib.kube.manifests import loads

HOSTS = ["foo.com", "bar.com", "a.foo.com", "b.a.foo.com", "*.foo.com", "*.bar.com"]
ELEMENTS = st.lists(st.sampled_from(["a", "b", "ab", "api"]), max_size=3)
PATHS = ELEMENTS.map(lambda parts: "/" + "/".join(parts))
FRONT = {
    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "front", "namespace": "default"},
    "spec": {"gatewayClassName": "edge", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}  # fmt: skip
CLASS = {
    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "edge"}, "spec": {"controllerName": "a.b/c"},
}  # fmt: skip


def read(*objects: dict):
    return loads("\n".join(map(json.dumps, objects)), "made.json")


@st.composite
def an_ingress(draw, wildcards: bool, types=("Exact", "Prefix")):
    """One Ingress; every path of a host is asked for once in each type, so that no order by age is needed."""
    rules = []
    for host in draw(st.lists(st.sampled_from([h for h in HOSTS if wildcards or "*" not in h]), min_size=1, max_size=3, unique=True)):
        pairs = draw(st.lists(st.tuples(PATHS, st.sampled_from(types)), min_size=1, max_size=5, unique=True))
        paths = [
            {"path": path, "pathType": kind, "backend": {"service": {"name": f"s{number}", "port": {"number": 80}}}}
            for number, (path, kind) in enumerate(pairs)
        ]
        rules.append({"host": host, "http": {"paths": paths}})
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": rules}}


def both(made: dict):
    """(the Ingress's table, the Gateway's table of its translation)"""
    found = read(made).of(Ingress)
    objects = read(CLASS, FRONT, *http_routes(found[0], "default/front"))
    world = gateway.GatewayWorld(objects.of(Gateway), objects.of(GatewayClass), routes=objects.of(Route))
    return ingress.table(found), gateway.tables(world)[0]["default/front"]


def answer(table, sent: Request) -> str:
    (decision,) = table.decide(sent)
    return decision.backend.name if decision.backend else str(decision.status)


@given(an_ingress(wildcards=False), st.sampled_from(["foo.com", "bar.com", "a.foo.com", "c.com"]), PATHS)
def test_an_ingress_and_its_http_route_route_alike(made, host, path):
    one, other = both(made)
    sent = request(f"http://{host}{path}")
    assert answer(one, sent) == answer(other, sent)


@given(an_ingress(wildcards=True), st.sampled_from(["foo.com", "x.foo.com", "x.bar.com", "c.com"]), PATHS)
def test_with_wildcards_too_where_one_label_is_asked_and_no_other_host_fits(made, host, path):
    fitting = [r["host"] for r in made["spec"]["rules"] if r["host"] in (host, "*." + host.partition(".")[2])]
    if len(fitting) < 2:
        one, other = both(made)
        sent = request(f"http://{host}{path}")
        assert answer(one, sent) == answer(other, sent)


# --- the router itself

NAMES = st.sampled_from(["x-a", "x-b"])
CONDITIONS = st.lists(st.builds(NameMatch, NAMES, st.sampled_from(["1", "2"])), max_size=2, unique_by=lambda each: each.name)
MATCHES = st.builds(
    Match,
    st.builds(PathMatch, st.sampled_from(["Exact", "Prefix"]), PATHS)
    | st.builds(PathMatch, st.just("RegularExpression"), st.sampled_from(["/a.*", "/a/[ab]+", "/api/.*", "/a/b"])),
    st.sampled_from(["", "GET", "POST"]),
    CONDITIONS.map(tuple),
    CONDITIONS.map(tuple),
)
REQUESTS = st.builds(
    Request,
    st.sampled_from(["foo.com", "a.foo.com", "b.a.foo.com", "c.com", "FOO.com:80"]),
    st.tuples(PATHS, st.sampled_from(["", "?x-a=1", "?x-b=2&x-a=1"])).map("".join),
    st.sampled_from(["GET", "POST"]),
    st.lists(st.tuples(st.sampled_from(["X-A", "x-b"]), st.sampled_from(["1", "2"])), max_size=2, unique_by=lambda e: e[0]).map(tuple),
)


@st.composite
def a_router(draw):
    hosts = {}
    for host in draw(st.lists(st.sampled_from(["", *HOSTS]), min_size=1, max_size=4, unique=True)):
        matches = draw(st.lists(MATCHES, min_size=1, max_size=6))
        hosts[host] = tuple(
            Rule(match, Action((Backend("d", f"s{n}", 80, draw(st.integers(0, 3))),)), Origin("HTTPRoute", f"d/{host}", n, 0), (n,))
            for n, match in enumerate(matches)
        )
    return Router(hosts, None, draw(st.booleans()), draw(st.booleans()))


@given(a_router(), REQUESTS)
def test_a_look_up_finds_what_a_search_through_all_rules_finds(router, sent):
    found = router.find(sent)
    every = considered(router, sent)
    fits = [each for each in every if each.why in ("", "later")]
    assert [each.rule for each in every if each.why == ""] == ([found] if found else [])
    if router.falls_through:
        assert found is (fits[0].rule if fits else None)
    else:
        first = next(iter(router.fitting_hosts(sent.hostname)), None)
        own = [each.rule for each in fits if each.host == first]
        assert found is (own[0] if own else None)


@given(st.lists(MATCHES, min_size=20, max_size=40), REQUESTS)
def test_a_look_up_among_many_rules_finds_what_a_search_finds(matches, sent):
    rules = tuple(Rule(match, Action(), Origin("HTTPRoute", "d/r", n, 0), (n,)) for n, match in enumerate(matches))
    assert Router({"": rules}).find(sent) is next((rule for rule in rules if not rule.match.misses(sent)), None)


PATTERNS = [
    ("/api/[a-z]+", "/api"),
    ("/a/b", "/a"),
    ("/a", ""),
    ("/ab?/c", ""),
    ("/a/*", ""),
    ("/a|/b/c", ""),
    (".*", ""),
    ("/a\\.b/c", ""),
    ("a/b", ""),
]


def test_the_first_element_of_a_pattern():
    assert [(pattern, first_element(pattern)) for pattern, _ in PATTERNS] == PATTERNS


@given(st.sampled_from(["/a/[a-z]+", "/a[a-z]*", "/a/?b", "/ab?/a", "/(a|b)/a", ".*", "/a/a", "/ab/.*"]), PATHS)
def test_a_pattern_matches_only_paths_with_its_first_element(pattern, path):
    first = first_element(pattern)
    if first and PathMatch("RegularExpression", pattern).matches(path):
        assert path == first or path.startswith(first + "/")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_shares_of_backends_sum_to_one_and_follow_the_weights(weights):
    backends = tuple(Backend("d", f"s{n}", 80, weight) for n, weight in enumerate(weights))
    router = Router({"": (Rule(Match(), Action(backends), Origin("HTTPRoute", "d/r", 0, 0)),)})
    decisions = decide(router, request("http://x/"))
    assert sum(each.share for each in decisions) == 1
    if sum(weights):
        assert {each.backend.name: each.share for each in decisions} == {
            f"s{n}": Fraction(weight, sum(weights)) for n, weight in enumerate(weights) if weight
        }
    else:
        assert [each.status for each in decisions] == [500]
