"""Lesson and exercise 09: who owns what, the two APIs side by side, a real proxy by headers, the explorer, and every student's exercise."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex09
from k8snetlib.course.proxies import through
from k8snetlib.errors import LabError, ModelError
from k8snetlib.kube.cast import GATEWAY, INGRESS, TEAMS
from k8snetlib.kube.edge.translate import DIFFERENCES
from k8snetlib.views.differences import EXAMPLES, both, differences
from k8snetlib.views.roles import ROLES, ownership, roles_table
from k8snetlib.widgets import GatewayExplorer
from k8snetlib.widgets.gateway import ALLOWED, HOSTNAMES, METHODS, NAMESPACES, URLS, written

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(14))]
API = "apiVersion: gateway.networking.k8s.io/v1\n"
PAY = (
    API + "kind: HTTPRoute\nmetadata: {name: pay, namespace: pay}\nspec:\n  parentRefs: [{name: front, namespace: edge}]\n"
    "  hostnames: [pay.example.com]\n  rules: [{backendRefs: [{name: pay, port: 80}]}]\n"
)
GRANT = (
    API + "kind: ReferenceGrant\nmetadata: {name: from-shop, namespace: pay}\nspec:\n"
    "  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]\n  to: [{group: '', kind: Service, name: pay}]\n"
)


@pytest.fixture(scope="module")
def edge():
    return k8s.shop("vxlan", GATEWAY, TEAMS, proxy="iptables", outside=True, balancer=True)


def to(*backends: str, **changes: str) -> str:
    """The shop's route to these backends."""
    text = PAY.replace("pay.example", "www.example").replace("pay", "shop").replace("{name: shop, port: 80}", ", ".join(backends))
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def state(cluster) -> dict[tuple[str, str], tuple[bool, str]]:
    return {(" ".join(e.tail), " ".join(e.head)): (e.holds, e.what) for e in ownership(cluster).references}


# ── who owns what ──


def test_the_teams_are_there_and_nobodys_address_has_changed(edge):
    before = {pod.key: pod.pod_ips for pod in k8s.shop("vxlan", GATEWAY, proxy="iptables").pods}
    after = {pod.key: pod.pod_ips for pod in edge.pods}
    assert before.items() <= after.items() and after.keys() - before.keys() == {"shop/api-v2-1", "pay/pay"}
    assert edge.trace("pod/web", "svc/shop/api-v2:80").end.netns == "api-v2-1"


def test_each_object_has_one_owner(edge):
    rows = {row[0]: row[1:] for row in roles_table(k8s.applied(edge, f"{PAY}---\n{GRANT}")).rows}
    assert rows["GatewayClass edge"] == ("(of the whole cluster)", "infrastructure provider", "")
    assert rows["Gateway front"][:2] == ("edge", "cluster operator")
    assert rows["HTTPRoute pay"][:2] == rows["ReferenceGrant from-shop"][:2] == ("pay", "application developer")
    assert "Gateway edge/front (✕ NotAllowedByListeners)" in rows["HTTPRoute pay"][2]


def test_every_kind_that_can_be_drawn_has_a_role():
    from k8snetlib.kube.edge import objects
    from k8snetlib.kube.edge.attach import PROTOCOLS

    kinds = {objects.GatewayClass.kind, objects.Gateway.kind, objects.ListenerSet.kind, objects.ReferenceGrant.kind, "Service"}
    assert set(ROLES) == kinds | {kind for found in PROTOCOLS.values() for kind in found}


@pytest.mark.parametrize(("text", "tail", "head", "holds", "what"), [
    (to("{name: web, port: 80}"), "HTTPRoute shop/shop", "Gateway edge/front", True, "Accepted"),
    (PAY, "HTTPRoute pay/pay", "Gateway edge/front", False, "NotAllowedByListeners"),
    (to("{name: web, port: 80}", **{"name: front,": "name: back,"}), "HTTPRoute shop/shop", "Gateway edge/back", False, "no such Gateway"),
    (to("{name: wbe, port: 80}"), "HTTPRoute shop/shop", "Service shop/wbe", False, "BackendNotFound"),
    (to("{name: web, port: 81}"), "HTTPRoute shop/shop", "Service shop/web", False, "BackendNotFound"),
    (to("{name: x, kind: Bucket, group: a.b}"), "HTTPRoute shop/shop", "Bucket shop/x", False, "InvalidKind"),
    (to("{name: pay, namespace: pay, port: 80}"), "HTTPRoute shop/shop", "Service pay/pay", False, "RefNotPermitted"),
    (f"{to('{name: pay, namespace: pay, port: 80}')}---\n{GRANT}", "HTTPRoute shop/shop", "Service pay/pay", True, ""),
])  # fmt: skip
def test_references_as_the_statuses_say_them(edge, text, tail, head, holds, what):
    cluster = k8s.applied(edge, text)
    assert state(cluster)[tail, head] == (holds, what)
    figure = k8s.roles_picture(cluster)
    assert f"{'✓' if holds else '✕'} {what}".strip() in figure.svg and f"{tail} to {head}" in figure.alt


def test_listener_sets_have_their_place(edge):
    text = API + "kind: ListenerSet\nmetadata: {name: own, namespace: pay}\nspec: {parentRef: {name: front, namespace: edge}, "
    text += "listeners: [{name: http, port: 80, protocol: HTTP, hostname: pay.example.com}]}\n"
    assert state(k8s.applied(edge, text))["ListenerSet pay/own", "Gateway edge/front"] == (False, "NotAllowed")
    lost = text.replace("name: front", "name: back")
    assert state(k8s.applied(edge, lost))["ListenerSet pay/own", "Gateway edge/back"] == (False, "no such Gateway")


def test_what_the_controller_made_is_there_only_while_one_answers(edge):
    assert ownership(edge).made == (("edge/front", "Service front-edge\nPod front-edge-1"),)
    orphan = k8s.deleted(edge, "gatewayclass/edge")
    assert ownership(orphan).made == () and ownership(orphan).missing == (("GatewayClass", "edge"),)
    assert "✕ no GatewayClass" in k8s.roles_picture(orphan).svg
    assert {what for (tail, _), what in state(orphan).items() if tail.startswith("HTTPRoute")} == {(False, "no status")}


def test_a_role_dims_what_others_write(edge):
    counts = {role: k8s.roles_picture(edge, role).svg.count(" dim") for role in ("", "provider", "operator", "developer")}
    assert counts[""] < min(counts[role] for role in ("provider", "operator", "developer"))
    assert len(set(counts.values())) > 2
    with pytest.raises(ModelError, match="there is no role 'boss'"):
        k8s.roles_picture(edge, "boss")


def test_a_passed_connection_is_said_to_be_unread(edge):
    listener = "{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}"
    text = API + "kind: Gateway\nmetadata: {name: front, namespace: edge}\n"
    text += f"spec: {{gatewayClassName: edge, listeners: [{listener}]}}\n---\n" + PAY.replace("HTTPRoute", "TLSRoute")
    svg = k8s.journey_picture(k8s.applied(edge, text).journey("https://pay.example.com/login")).svg
    assert "passed on, unread" in svg and "TLS ends here: " not in svg and svg.count("TLS ends here") == 1 and "Prefix" not in svg


# ── two APIs ──


def test_the_map_leads_here_from_its_gateway():
    html = k8s.course_map(["09-gateway-api.ipynb"]).html()
    assert re.search(r'<a href="09-gateway-api.ipynb" title="Gateway API: 09 · Gateway API"', html)


def test_a_request_goes_the_same_way_by_both(edge):
    by_ingress = k8s.shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)
    ways = []
    for cluster in (by_ingress, edge):
        found = cluster.journey("https://www.example.com/api")
        hops = [hop.netns for each in found.connections for hop in each.there]
        ways.append(["controller" if name == found.controller.name else name for name in hops])
    assert ways[0] == ways[1] and len(ways[0]) > 6


def test_each_difference_is_shown_by_a_request(edge):
    assert list(EXAMPLES) == list(DIFFERENCES)
    answers = {name: both(edge, example) for name, example in EXAMPLES.items()}
    assert {name for name, (one, other, _) in answers.items() if one == other} == {"default"}  # there it is the number of routes
    assert answers["order"][:2] == ("shop/web:80", "shop/api:80")
    assert answers["default"][2] == 2
    rows = differences(edge).rows
    assert [row[0] for row in rows] == list(DIFFERENCES.values())
    assert rows[0][3:] == ("404 Not Found, no rule matches", "shop/web:80\n(1 HTTPRoute)")


# ── a real proxy ──


def test_requests_with_headers_and_methods_are_sent_as_they_are(edge, monkeypatch):
    """Without a lab and without a recording of these, it is the question that can be looked at."""
    asked = {}

    def proxied(name, ops, at, kind, conf, ports, webs, requests, hosts):
        asked["requests"] = requests
        raise LabError("enough")

    monkeypatch.setattr("k8snetlib.course.proxies.proxied", proxied)
    with pytest.raises(LabError, match="enough"):
        through(edge, "haproxy", "http://www.example.com/api", k8s.request("http://www.example.com/web", "POST", {"X-A": "b"}))
    one, two = asked["requests"]
    assert (one.method, one.headers, one.path) == ("GET", (), "/api")
    assert (two.method, two.headers, two.path) == ("POST", (("X-A", "b"),), "/web")


def test_the_recorded_canary_is_near_its_shares(edge, monkeypatch):
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    tester, backends = "headers: [{name: X-Canary, value: 'yes'}]", "{name: api, port: 80, weight: 9}, {name: api-v2, port: 80, weight: 1}"
    rules = f"rules:\n  - {{matches: [{{path: {{value: /api}}, {tester}}}], backendRefs: [{{name: api-v2, port: 80}}]}}\n"
    rules += f"  - {{matches: [{{path: {{value: /api}}}}], backendRefs: [{backends}]}}\n"
    shared = k8s.applied(edge, to("").partition("rules:")[0] + rules)
    url = "http://www.example.com/api"
    found = through(shared, "haproxy", *[url] * 100, *[k8s.request(url, headers={"X-Canary": "yes"})] * 5, experiment="gateway-canary")
    pods = [row[3] for row in found.rows]
    assert found.agree and set(pods[100:]) == {"api-v2-1"}
    for share, each in k8s.journeys(shared, url):
        assert share and abs(pods[:100].count(each.pod.name) - 100 * _share(shared, url, each.pod.name)) <= 1
    assert found.rows[-1][0] == f"GET {url}\nX-Canary: yes"


def _share(cluster, url: str, pod: str) -> Fraction:
    return sum((share for share, each in k8s.journeys(cluster, url) if each.pod.name == pod), Fraction(0))


# ── the explorer ──


def moved(**choices) -> GatewayExplorer:
    explorer = GatewayExplorer()
    for name, value in choices.items():
        explorer.controls[name].value = value
    return explorer


def test_every_choice_can_be_read_whole():
    explorer = GatewayExplorer()
    lists = [control for control in explorer.controls.values() if hasattr(control, "options")]
    assert len(lists) == 7
    assert max(len(label) for control in lists for label, _ in control.options) <= 30  # what fits beside the arrow


@pytest.mark.parametrize(("choices", "summary", "shown"), [
    ({}, "GET http://www.example.com/api: 9/10 to api, 1/10 to api-v2.", "✓ Accepted"),
    ({"weight": 25}, "3/4 to api, 1/4 to api-v2.", ">1/4<"),
    ({"weight": 0}, "GET http://www.example.com/api: to api.", "rule others"),
    ({"weight": 100}, "GET http://www.example.com/api: to api-v2.", "rule others"),
    ({"header": "canary"}, "GET http://www.example.com/api: to api-v2.", "rule testers"),
    ({"header": "canary", "method": "POST"}, "POST http://www.example.com/api: to api.", "rule writes"),
    ({"namespace": "pay"}, "404 Not Found. The listener takes no route of pay: the cluster operator", "✕ NotAllowedByListeners"),
    ({"allowed": "Same"}, "The listener takes no route of shop: the cluster operator", "NotAllowedByListeners"),
    ({"namespace": "pay", "allowed": "All"}, "500 Internal Server Error. The route lies in pay, its Services in shop", "✕ RefNotPermitted"),
    ({"namespace": "pay", "allowed": "All", "grant": True}, "9/10 to api, 1/10 to api-v2.", "ReferenceGrant shop/from-pay"),
    ({"hostname": "www.example.org"}, "The listener is for *.example.com, and the route for another host", "NoMatchingListenerHostname"),
    ({"url": "www.example.org/api"}, "No listener is for this host.", "no listener on port 80 is for www.example.org"),
    ({"url": "a.b.example.com/api"}, "The route is attached, and is not for this host.", "no rule matches"),
    ({"url": "a.b.example.com/api", "hostname": ""}, "GET http://a.b.example.com/api: 9/10 to api", "*.example.com"),
    ({"role": "provider"}, "9/10 to api", "kind: GatewayClass"),
    ({"role": "operator", "allowed": "All"}, "9/10 to api", "namespaces: {from: All}"),
    ({"namespace": "pay", "allowed": "All", "url": "a.b.example.com/api"}, "404 Not Found. The route is attached, and is not", ""),
    ({"role": "developer", "weight": 55}, "9/20 to api, 11/20 to api-v2.", "weight: 55"),
])  # fmt: skip
def test_explorer(choices, summary, shown):
    explorer = moved(**choices)
    assert summary in explorer.value.summary
    assert shown in explorer._html.value.replace("&#x27;", "'")


def test_a_grant_counts_only_across_namespaces():
    explorer = moved()
    assert explorer.controls["grant"].disabled
    explorer.controls["namespace"].value = "pay"
    assert not explorer.controls["grant"].disabled


def test_the_explorer_has_an_answer_to_everything():
    explorer = moved(role="developer")
    for allowed, namespace, hostname, grant, url in product(ALLOWED, NAMESPACES, HOSTNAMES, (False, True), URLS):
        for name, choice in {"allowed": allowed, "namespace": namespace, "hostname": hostname, "grant": grant, "url": url}.items():
            explorer.controls[name].value = choice
        answer = explorer.value
        assert answer.summary and not answer.summary.startswith("Not possible") and not re.search(r"[{}]", answer.summary)
        assert answer.tone == ("bad" if re.search(r"\b(404|500)\b", answer.summary) else "good")


def test_the_manifests_that_roles_write_are_those_that_are_applied(edge):
    for method in METHODS:
        texts = written("All", "pay", "www.example.com", True, 30)
        cluster = k8s.applied(k8s.deleted(edge, "httproute/shop"), "---\n".join(text for _, text in texts))
        assert [role for role, _ in texts] == ["provider", "operator", "developer", "developer"]
        found = k8s.routed(cluster, "http://www.example.com/", method).decisions
        assert [str(each.share) for each in found] == (["7/10", "3/10"] if method == "GET" else ["1"])


# ── the exercise ──


def refusal(key: str, **given) -> str:
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def predicted(case) -> list[str]:
    """Right answers to 09.1 from what the rules say, without the router."""
    return [ex09.goes_to(case).get(asked.decides, "404") for asked in ex09.requests(case)]


def share_of(case) -> str:
    found = re.search(r"weight: (\d+)\}, .*weight: (\d+)\}", ex09.route(case))
    more, less = int(found[1]), int(found[2])
    return f"{more}/{more + less}"


def route_to(case, host: str, rules: str, name: str = "mine", parent: str = "{name: front, namespace: edge}") -> str:
    head = f"kind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  parentRefs: [{parent}]\n"
    return f"{API}{head}  hostnames: [{host}]\n  rules:\n{rules}"


def ordered(case, **changes) -> str:
    wanted = ex09.order(case)
    say = {"host": wanted.host, "path": wanted.path, "old": wanted.old, "new": wanted.new, "percent": wanted.percent} | changes
    name, content = wanted.header
    match = f"path: {{value: {say['path']}}}"
    rules = f'  - matches: [{{{match}, headers: [{{name: {name}, value: "{content}"}}]}}]\n'
    rules += f"    backendRefs: [{{name: {say['new']}, port: 80}}]\n"
    rules += f"  - matches: [{{{match}}}]\n    backendRefs: [{{name: {say['old']}, port: 80, weight: {100 - say['percent']}}}, "
    rules += f"{{name: {say['new']}, port: 80, weight: {say['percent']}}}]\n"
    return route_to(case, say["host"], rules)


def mended(case, name: str = "", host: str = "", **changes) -> str:
    right = ex09.sold(case)
    return route_to(case, host or right[1], f"  - backendRefs: [{{name: {name or right[0]}, port: 80}}]\n", "sale", **changes)


def granting(case, **changes: str) -> str:
    wanted, _ = ex09.wish(case)
    say = {"home": ex09.team(case), "kind": "HTTPRoute", "namespace": "shop", "to": f"kind: Service, name: {wanted}"} | changes
    source = f"{{group: gateway.networking.k8s.io, kind: {say['kind']}, namespace: {say['namespace']}}}"
    return (
        f"{API}kind: ReferenceGrant\nmetadata: {{name: g, namespace: {say['home']}}}\n"
        f"spec: {{from: [{source}], to: [{{group: '', {say['to']}}}]}}\n"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exercise_can_be_solved(seed, capsys):
    case = variant("09", seed)
    check("09.1", reached=predicted(case), share=share_of(case), case=case)
    check("09.2", canary=ordered(case), case=case)
    check("09.3", mended=mended(case), case=case)
    check("09.4", grant=granting(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("09", seed) for seed in SEEDS]
    assert len({tuple(predicted(case)) for case in cases}) > 10
    assert {fault for case in cases for fault in ex09.faults(case)} == {"section", "parent", "host", "service", "port"}
    assert len({share_of(case) for case in cases}) > 3
    assert len({ex09.wish(case)[0] for case in cases}) > 2


@pytest.mark.parametrize("seed", SEEDS)
def test_both_faults_are_faults_and_the_first_hides_the_second(seed):
    case = variant("09", seed)
    text = ex09.broken(case)
    first = refusal("09.3", mended=text, case=case)
    away, astray = ex09.faults(case)
    assert ("no status at all" if away == "parent" else "NoMatchingParent") in first
    nearer = re.sub(r"parentRefs: \[.*\]", "parentRefs: [{name: front, namespace: edge}]", text)
    second = refusal("09.3", mended=nearer, case=case)
    assert {"host": "NoMatchingListenerHostname", "service": "BackendNotFound", "port": "BackendNotFound"}[astray] in second
    assert len(second.splitlines()) <= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mended_route_serves_the_host_and_no_other(seed):
    case = variant("09", seed)
    name, _ = ex09.sold(case)
    other = next(each for each in ex09.services(case)[:3] if each != name)
    assert f"Service {name} answers" in refusal("09.3", mended=mended(case, name=other), case=case)
    everybody = refusal("09.3", mended=re.sub(r"  hostnames.*\n", "", mended(case)), case=case)
    assert "For which host, and which paths" in everybody
    assert "For which host" in refusal("09.3", mended=mended(case, host=f'"*.{ex09.domain(case)}"'), case=case)
    host = ex09.sold(case)[1]
    assert "For which host" in refusal("09.3", mended=mended(case, host=f"{host}, more.{ex09.domain(case)}"), case=case)
    front = mended(case).replace("backendRefs", "matches: [{path: {type: Exact, value: /}}]\n    backendRefs")
    assert "/any/page: 404" in refusal("09.3", mended=front, case=case)
    assert "other people" in refusal("09.3", mended=f"{mended(case)}---\n{ex09.gateway(case)}", case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_canary_that_is_not_what_was_ordered_is_refused(seed):
    case, wanted = variant("09", seed), ex09.order(variant("09", seed))
    assert "For which host" in refusal("09.2", canary=ordered(case, host=f"{wanted.host}, more.{ex09.domain(case)}"), case=case)
    more = f"  - {{matches: [{{path: {{value: /more}}}}], backendRefs: [{{name: {wanted.old}, port: 80}}]}}\n"
    assert "which paths" in refusal("09.2", canary=ordered(case) + more, case=case)
    change = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Cookie]}}]\n    "
    filtered = ordered(case).replace("backendRefs", change + "backendRefs")
    assert "ordered a filter" in refusal("09.2", canary=filtered, case=case)
    assert "Only the ratio" in refusal("09.2", canary=ordered(case, percent=wanted.percent + 1), case=case)
    assert "not yet" in refusal("09.2", canary=ordered(case, old=wanted.new, new=wanted.old), case=case)
    assert "which paths" in refusal("09.2", canary=ordered(case, path="/"), case=case)
    assert "For which host" in refusal("09.2", canary=ordered(case, host=f'"*.{ex09.domain(case)}"'), case=case)
    exact = ordered(case).replace("path: {value", "path: {type: Exact, value")
    assert f"{wanted.path}/7" in refusal("09.2", canary=exact, case=case)
    assert "POST" in refusal("09.2", canary=ordered(case).replace("headers: [", "method: GET, headers: ["), case=case)
    scaled = re.sub(r"weight: (\d+)", lambda found: f"weight: {3 * int(found[1])}", ordered(case))
    check("09.2", canary=scaled, case=case)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_a_hint_fits_the_mistake(seed):
    case = variant("09", seed)
    right = predicted(case)
    for number, asked in enumerate(ex09.requests(case)):
        wrong = list(right)
        wrong[number] = "404" if right[number] != "404" else ex09.services(case)[0]
        said = refusal("09.1", reached=wrong, share=share_of(case), case=case)
        assert f"for request {number + 1}" in said and (right[number] == "404" or right[number] not in said)
        word = {"exact": "type of path", "longer": "longest", "split": "Neither", "method": "a method or a header", "header": "any case",
                "none": "whole elements"}[asked.decides]  # fmt: skip
        assert word in said
    assert "sum of all weights" in refusal("09.1", reached=right, share="1/2", case=case)
    assert "2/3" in refusal("09.1", reached=right, share="half", case=case)
    assert "reached = [" in refusal("09.1", reached=right[:5], share="1/2", case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grant_of_too_little_or_too_much_is_refused(seed):
    case = variant("09", seed)
    wanted, other = ex09.wish(case)
    too_little = [{"home": "shop"}, {"namespace": "edge"}, {"kind": "GRPCRoute"}, {"to": "kind: Secret"}]
    for little in (*too_little, {"to": f"kind: Service, name: {other}"}):
        assert "RefNotPermitted" in refusal("09.4", grant=granting(case, **little), case=case), little
    assert f"Service {other} as well" in refusal("09.4", grant=granting(case, to="kind: Service"), case=case)
    for kind, namespace, said in (("GRPCRoute", "shop", "GRPCRoutes"), ("HTTPRoute", "edge", "other namespaces")):
        more = f"}}, {{group: gateway.networking.k8s.io, kind: {kind}, namespace: {namespace}}}], to"
        assert said in refusal("09.4", grant=granting(case).replace("}], to", more), case=case)
    secrets = granting(case).replace("}]}\n", "}, {group: '', kind: Secret}]}\n")
    assert "Secrets" in refusal("09.4", grant=secrets, case=case)
    source = "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}"
    assert "entries in `from`: 2" in refusal("09.4", grant=granting(case).replace("from: [", f"from: [{source}, "), case=case)
    more = granting(case).replace("}]}\n", "}, {group: '', kind: Service, name: more}]}\n")
    assert "in `to`: 2" in refusal("09.4", grant=more, case=case)
    assert "RefNotPermitted" in refusal("09.4", grant=granting(case).replace(wanted, "nobody"), case=case)


GIVEN = [5, 2.5, "x", [], ["a", "b", "c"], object(), b"", {}, "kind: Pod", "a: [", ex09, None.__class__, API, "a\x00b"]


@pytest.mark.parametrize("given", GIVEN, ids=range(len(GIVEN)))
@pytest.mark.parametrize(("key", "name"), [("09.1", "reached"), ("09.2", "canary"), ("09.3", "mended"), ("09.4", "grant")])
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, name, given):
    more = {"share": "1/2"} if key == "09.1" else {}
    said = refusal(key, **{name: given, "case": variant("09")}, **more)
    assert len(said.splitlines()) <= 4


def test_a_listener_of_the_right_port_was_asked_and_one_of_another_was_not():
    made = k8s.shop("vxlan", GATEWAY, outside=True)
    svg = k8s.route_picture(made, "http://www.example.org/api").svg
    kinds = {name: kind for kind, name in re.findall(r'class="node ([a-z ]+)" data-name="(listener\d)"', svg)}
    assert kinds == {"listener0": "interface", "listener1": "service dim"}
