"""Lesson and exercise 08: classes without Ingresses, kubectl's way of writing and describing one, pictures, the explorer, the exercise."""

from __future__ import annotations

import re

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex08, ex08_given
from k8snetlib.errors import ManifestError, ModelError
from k8snetlib.kube.cast import GATEWAY, INGRESS
from k8snetlib.kube.edge.create import RuleLine, create_ingress, manifest
from k8snetlib.kube.manifests import loads
from k8snetlib.views.journey import ends_tls
from k8snetlib.views.kubectl_describe import aligned
from k8snetlib.widgets import RulesExplorer
from k8snetlib.widgets.rules import MOST, TO, TYPES

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(14))]
API = "http://www.example.com/api"
DEFAULT = """apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: edge, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: k8snetlib.example/edge}
"""


@pytest.fixture(scope="module")
def edge():
    return k8s.shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)


def ruled(cluster, *rules, **settings):
    return k8s.applied(cluster, create_ingress("shop", *rules, **{"ingress_class": "edge", **settings}))


# ── classes ──


def test_a_controller_without_ingresses_answers_404(edge):
    alone = k8s.deleted(edge, "ingress/shop")
    assert [table.ingresses for table in alone.edge.ingresses.values()] == [()]
    call = alone.journey(API)
    assert (str(call.response), call.why, len(call.connections)) == ("404 Not Found", "no rule matches", 1)
    slip = ruled(edge, "www.example.com/*=web:80", ingress_class="egde")
    assert slip.journey(API).response.status == 404 and "'egde'" in slip.edge.notes[0]


def test_a_class_without_ingresses_does_not_hide_the_one_in_use(edge):
    other = k8s.applied(edge, DEFAULT.replace("name: edge, annotations", "name: other, annotations"))
    assert set(other.edge.ingresses) == {"edge", "other"}
    assert other.journey(API).entry.name == "ingress/edge" and k8s.routed(other, API).name == "ingress/edge"
    assert other.journey(API, name="ingress/other").response.status == 404


def test_without_a_controller_there_is_no_way_in():
    bare = k8s.shop(proxy="iptables", outside=True, balancer=True)
    stored = ruled(bare, "www.example.com/*=web:80")
    assert stored.ops() == bare.ops()
    with pytest.raises(ModelError, match="no Ingress"):
        stored.journey(API)


def test_kubectl_shows_the_class_that_was_assigned(edge):
    made = ruled(edge, "www.example.com/*=web:80", ingress_class="")
    assert str(k8s.get_ingress(made)).split()[6] == "<none>"
    line = str(k8s.get_ingress(k8s.applied(made, DEFAULT))).splitlines()[1]
    assert line.split()[1] == "edge" and "198.51.100.9" in line
    assert "198.51.100.9" not in k8s.get_ingress(ruled(edge, "www.example.com/*=web:80", ingress_class="egde"))


# ── rules ──


def test_a_host_that_is_asked_alone_is_said_to_be(edge):
    made = ruled(edge, "*.example.com/*=web:80", "www.example.com/api*=api:80")
    assert [each.why for each in k8s.routed(made, "http://www.example.com/x").rules] == ["path", "alone"]
    assert [each.why for each in k8s.routed(made, API).rules] == ["", "alone"]
    assert "fits, but is not asked" in k8s.route_picture(made, "http://www.example.com/x").svg
    gateway = k8s.shop("vxlan", GATEWAY, proxy="iptables", outside=True, balancer=True)
    assert all(each.why != "alone" for each in k8s.routed(gateway, "http://www.example.com/x").rules)


def test_several_requests_in_one_table(edge):
    made = ruled(edge, "www.example.com/foo*=web:80", default_backend="api:80")
    rows = k8s.answers(made, "http://www.example.com/foo/", "https://x.example.org/").rows
    assert rows[0] == ("www.example.com/foo/", "www.example.com", "Prefix /foo", "shop/web:80")
    assert rows[1] == ("https://x.example.org/", "any", "everything else", "shop/api:80")
    assert k8s.answers(ruled(edge, "/foo=web:80"), API).rows[0][1:3] == ("none", "none fits")


# ── kubectl create, kubectl describe ──


@pytest.mark.parametrize(("rule", "line"), [
    ("www.example.com/api*=api:80", RuleLine("www.example.com", "/api", "Prefix", "api:80")),
    ("/x=web:http", RuleLine("", "/x", "Exact", "web:http")),
    ("*.example.com/*=web:80,tls=star", RuleLine("*.example.com", "/", "Prefix", "web:80")),
])  # fmt: skip
def test_a_rule_in_one_line(rule, line):
    assert manifest([line], tls={"star": [line.host]} if "tls" in rule else {}) == create_ingress("shop", rule)


@pytest.mark.parametrize("rule", ["", "www.example.com", "a/b", "a/b=c", "a/b=c:", "a /b=c:80", "a/b=c:80,x", "a/b=c:80=d"])
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(ModelError, match="is no rule"):
        create_ingress("shop", rule)


def test_an_ingress_has_something():
    for settings in ({}, {"default_backend": "web"}):
        with pytest.raises(ModelError, match=r"default backend|no backend"):
            create_ingress("shop", **settings)


def test_any_text_survives_as_it_is():
    text = manifest([RuleLine(path='/a: b # c "d"\\'), RuleLine(path="/1", type="Exact")])
    (found,) = loads(text).objects
    assert [each.path for each in found.rules[0].paths] == ['/a: b # c "d"\\', "/1"]
    assert 'host: "exämple.com"' in manifest([RuleLine("exämple.com")])


def test_tls_without_a_secret_and_rules_of_one_host_together():
    (found,) = loads(create_ingress("shop", "a.b/x=web:80,tls", "c.d/=web:80", "a.b/y=web:80,tls")).objects
    assert [rule.host for rule in found.rules] == ["a.b", "c.d"] and len(found.rules[0].paths) == 2
    assert [(each.hosts, each.secret_name) for each in found.tls] == [(("a.b",), "")]


def test_describe_lists_endpoints_and_what_it_does_not_find(edge):
    rules = ("www.example.com/api*=api:80,tls=www", "www.example.com/cart*=crat:80", "/w=web:http", "*.example.com/*=web:80,tls")
    made = ruled(k8s.patched(edge, "pod/web", ready=False), *rules, default_backend="web:80")
    assert str(k8s.describe_ingress(made)).splitlines() == [
        "Name:             shop",
        "Labels:           <none>",
        "Namespace:        shop",
        "Address:          198.51.100.9",
        "Ingress Class:    edge",
        "Default backend:  web:80 ()",
        "TLS:",
        "  www terminates www.example.com",
        "  SNI routes *.example.com",
        "Rules:",
        "  Host             Path  Backends",
        "  ----             ----  --------",
        "  www.example.com",
        "                   /api    api:80 (10.244.1.3:8080,10.244.2.2:8080)",
        '                   /cart   crat:80 (<error: services "crat" not found>)',
        "  *",
        "                   /w   web:http ()",
        "  *.example.com",
        "                   /   web:80 ()",
        "Annotations:       <none>",
    ]
    # a port's name that the Service does not have looks well: a trap of kubectl's own
    assert "web:http (10.244.1.2:8080)" in k8s.describe_ingress(ruled(edge, *rules))
    with pytest.raises(ModelError, match="no Ingress shop/other"):
        k8s.describe_ingress(edge, "other")


def test_columns_are_set_as_go_does():
    assert aligned([["a", "b", "c"], ["long", "x", "y"], ["word"], ["z", "end"]]) == "a     b  c\nlong  x  y\nword\nz  end"


# ── connections, symptoms ──


def test_tls_ends_where_the_picture_says(edge):
    call = edge.journey("https://www.example.com/api")
    figure = k8s.connections_picture(call)
    assert [ends_tls(call, n) for n in (1, 2)] == [True, False]
    for shown in (">1. TLS<", ">2. plain HTTP<", "TLS ends here, with", "shop/www-example-com", "sees 10.244.2.5", ">10.244.1.0<"):
        assert shown in figure.svg.replace("\u00a0", ""), shown
    assert "TLS ends in edge-1, with shop/www-example-com." in figure.alt
    own = k8s.connections_picture(ruled(edge, "/*=web:80").journey("https://x.example.org/"))
    assert "a certificate of its own" in own.svg


def test_one_connection_alone_and_one_that_is_lost(edge):
    alone = k8s.connections_picture(edge.journey("http://www.example.com/x"))
    assert "answers 404 Not Found" in alone.svg and "2." not in alone.alt
    local = k8s.patched(edge, "svc/edge", namespace="edge", external_traffic_policy="Local")
    lost = k8s.connections_picture(local.journey(API, node="node-a"))
    assert "✕ NETFILTER_DROP" in lost.svg and "lost in node-a, NETFILTER_DROP" in lost.alt


def test_a_passed_on_connection_ends_at_the_pod():
    route = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: pass, namespace: shop}
spec: {gatewayClassName: edge, listeners: [{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: pass, namespace: shop}
spec: {parentRefs: [{name: pass}], hostnames: [web.example.com], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""
    cluster = k8s.applied(k8s.shop("vxlan", GATEWAY, proxy="iptables", outside=True, balancer=True), route)
    call = cluster.journey("https://web.example.com/", name="gateway/shop/pass", via="svc/edge/front-edge")
    assert [ends_tls(call, n) for n in (1, 2)] == [False, True]
    assert "passed on unread" in k8s.connections_picture(call).alt


def test_every_symptom_is_built_and_asked(edge):
    rows = {row[0]: row[1:] for row in k8s.symptoms(edge, API).rows}
    assert rows["nothing"] == ("200 OK", "–", "2 of 2", "198.51.100.9")
    assert {rows[f"no rule for the {what}"][0] for what in ("host", "path")} == {"404 Not Found"}
    assert rows["a class that is not there"][0::3] == ("404 Not Found", "–")
    assert rows["the controller's Pod is not ready"][0::2] == ("“connection refused”", "0 of 2")
    unavailable = [row for row in rows.values() if row[0] == "503 Service Unavailable"]
    assert len(unavailable) == 4 and {row[2] for row in unavailable} == {"1 of 2"}
    local = k8s.patched(edge, "svc/edge", namespace="edge", external_traffic_policy="Local")
    assert k8s.symptoms(local, API).rows[-1][1] == "no answer"
    for url in ("http://www.example.com/x", "http://www.example.org/"):
        with pytest.raises(ModelError, match="nothing to break"):
            k8s.symptoms(edge, url)


# ── the explorer ──


def moved(api: str = "Ingress", **choices) -> RulesExplorer:
    explorer = RulesExplorer(api=api)
    for name, given in choices.items():
        explorer.controls[name.removesuffix("_")].value = given
    return explorer


@pytest.mark.parametrize(("choices", "summary", "shown"), [
    ({}, "goes to Service shop/api:80, by rule 2 of the table below: Prefix /api.", "✕ path"),
    ({"path": "/api/health"}, "goes to Service shop/web:80, by rule 1", "Rule 2 fits as well, but comes later"),
    ({"path": "/apis"}, "by rule 3 of the table below: Prefix /.", "Host www.example.com has rules of its own"),
    ({"host": "shop.example.com"}, "goes to Service shop/api:80, by rule 4", "✕ host, 3 rules"),
    ({"host": "a.shop.example.com"}, "is answered by the controller itself: 404 Not Found. No rule matches.", "404 Not Found"),
    ({"host": "a.shop.example.com"}, "404 Not Found", "the star stands for one label: *.example.com is not for a.shop.example.com."),
    ({"host": "example.com", "default": "api:80"}, "fits no rule and goes to the default backend, Service shop/api:80", "everything else"),
    ({"to1": "cart:80"}, "503 Service Unavailable. There is no Service shop/cart.", "✕ there is no Service"),
    ({"to1": "api:http"}, "503 Service Unavailable. Service shop/api has no port http.", "503"),
    ({"web": "not-ready", "path": "/"}, "503 Service Unavailable. Service shop/web has no ready endpoint for port 80.", "503"),
    ({"class_": "egde"}, "No controller takes this Ingress: there is no class egde.", "egde"),
    ({"class_": "assigned"}, "goes to Service shop/api:80", "shop   edge "),
    ({"scheme": "https"}, "GET https://www.example.com/api/health/ goes to", "with a certificate of its own, which no browser trusts"),
    ({"scheme": "https", "tls": "*.example.com"}, "goes to Service shop/api:80", "certificate of Secret shop/star-example-com"),
    ({"method": "POST"}, "POST http://www.example.com", "no condition on methods"),
    ({"path1": "api"}, "refuses this Ingress: ingress.yaml:10 spec.rules[0].http.paths[0].path: invalid", "path: &quot;api&quot;"),
    ({"path1": "/a//b"}, "must not contain '//'", "/a//b"),
    ({"host4": "*"}, 'invalid value "*": a wildcard is the whole first label', "host: &quot;*&quot;"),
    ({"host4": "192.0.2.1"}, "must be a DNS name, not an IP address", "192.0.2.1"),
    ({"host4": "Shop.example.com"}, "The API server refuses this Ingress", "Shop"),
    ({"host4": ""}, "goes to Service shop/api:80, by rule 2", "any"),
    ({"path": "api"}, "A request's path begins with a slash; this one is “api”.", "ingressClassName"),
    ({"host": ""}, "A request has a host", "ingressClassName"),
    ({"host": "a b"}, "Not possible: 'http://a b/api/health/' is no URL", ""),
    ({"host": "*"}, "no host is called '*'", ""),
    ({"host": "www.example.com/"}, "A host has no slash, as “www.example.com/” has", ""),
    ({"host": " www.example.com "}, "GET http://www.example.com/api/health/ goes to", ""),
    ({"type1": "ImplementationSpecific"}, "by rule 2 of the table below: Prefix /api.", "this one takes it as Prefix"),
])  # fmt: skip
def test_explorer(choices, summary, shown):
    explorer = moved(**choices)
    assert summary in explorer.value.summary
    html = explorer._html.value.replace("&#x27;", "'")
    assert any(each in html for each in shown.split("|"))


def test_rules_are_added_and_removed():
    explorer = RulesExplorer()
    assert [box.layout.display for box in explorer._lines] == ["flex"] * 4 + ["none"] * 2
    for count in (5, 6):
        explorer._add.click()
        assert len(explorer.lines()) == count
    assert explorer._add.disabled and explorer.choices["count"] == MOST
    before = explorer.lines()
    explorer._remove[1].click()
    assert explorer.lines() == [before[0], *before[2:]] and not explorer._add.disabled
    for _ in range(4):
        explorer._remove[0].click()
    assert len(explorer.lines()) == 1 and explorer._remove[0].disabled
    assert "Exact /api/health" not in explorer._html.value


def test_the_twin_tells_the_request_and_the_rules_that_are_shown():
    html = moved(path="/x").twin()
    assert "Path: /x" in html and "1. www.example.com Prefix /api → api:80" in html and "<svg" not in html
    assert html.count("→ web:80") == 2 and "The manifest" in html
    assert repr(RulesExplorer()).startswith("RulesExplorer: Rules: which backend a request reaches. GET http://www.example.com/api/health/")


def test_the_same_rules_as_httproutes():
    explorer = moved("HTTPRoute", path="/api/health")
    assert "goes to Service shop/web:80, by rule 1" in explorer.value.summary and "httproutes" in explorer._html.value
    explorer.controls["host"].value = "a.shop.example.com"
    assert "goes to Service shop/api:80, by rule 4" in explorer.value.summary  # a star is one label or more there
    explorer.controls["host"].value = "example.com"
    assert "the star" not in explorer._html.value
    assert explorer._lines[0] in explorer.children and len(explorer.children) == 2 + MOST + 1 + 1


@pytest.mark.parametrize(
    ("path", "why"), [("/api/health/", "Exact before Prefix, then the longer one"), ("/apis", "the more specific host goes first")]
)
def test_why_another_rule_of_an_httproute_comes_later(path, why):
    """HTTPRouteRule's precedence begins with the host: a wildcard's rule is later whatever its path is."""
    assert f"fits as well, but comes later: {why}" in moved("HTTPRoute", path=path)._html.value


def test_the_explorer_has_an_answer_to_everything():
    explorer = RulesExplorer()
    for kind in TYPES:
        for to in TO:
            for path in ("", "/", "//", "/a/", "é", "'", '"', "{x}", "a: b", "/%2f"):
                for name, given in (("type1", kind), ("to1", to), ("path1", path)):
                    explorer.controls[name].value = given
                assert explorer.value.summary and "Not possible" not in explorer.value.summary


# ── the exercise ──


def refusal(key: str, **given) -> str:
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def answered(case) -> list[str]:
    """Right answers to 08.1, from the rules as they are written and not from the router."""
    one, two, three, four = ex08_given.services(case)
    short, long = case.sample("words", ex08_given.WORDS, 2)
    found = []
    for url in ex08.requests(case):
        host, _, path = url.removeprefix("http://").partition("/")
        parts = path.partition("?")[0].split("/")
        if host.startswith("www.e"):
            found.append(two if parts[:2] == [short, long] else one if parts[0] == short else three if parts == [long] else "404")
        else:
            found.append(four if host.startswith("m.") else "404")
    return found


def wished(case) -> str:
    wanted = ex08.wish(case)
    to = [ex08_given.backend(case, name) for name in ex08_given.services(case)]
    url = [each.removeprefix("http://") for each, _ in wanted.wanted]
    return create_ingress("a", f"{url[0]}*={to[0]},tls={wanted.secret}", f"{url[3]}={to[1]}", f"{url[6]}*={to[2]}", ingress_class="edge")


def whom(case) -> dict[str, str]:
    """Right answers to 08.4, from what is on the nodes and not from a journey."""
    made = ex08.cluster(case)
    controller = next(each for each in made.pods if each.name == "edge-1")
    node = {row[0]: row[1:] for row in ex08.addresses(case).rows}["node-a"]
    masked = node[1] if controller.node_name == "node-a" else node[2]
    secrets = {host: secret for secret, host in re.findall(r"hosts: \[\"?([^\"\]]+)\"?\], secretName: (\S+)\}", ex08.secure(case))}
    by_host = {host: secret for secret, host in secrets.items()}
    site = ex08_given.domain(case)
    return {
        "sees": str(controller.pod_ips[0]),
        "forwarded": masked if ex08.policy(case) == "Cluster" else "203.0.113.7",
        "certificate": by_host.get(f"www.{site}", by_host.get(f"*.{site}", "own")),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exercise_can_be_solved(seed, capsys):
    case = variant("08", seed)
    check("08.1", backends=answered(case), case=case)
    check("08.2", ingress=wished(case), case=case)
    check("08.3", repaired=ex08_given.whole(case), case=case)
    check("08.4", **whom(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("08", f"many-{n}") for n in range(40)]
    assert len({tuple(answered(case)) for case in cases}) > 30
    assert {ex08_given.fault(case) for case in cases} == set(ex08_given.FAULTS)
    assert len({tuple(whom(case).values())[1:] for case in cases}) > 20
    assert {whom(case)["certificate"] for case in cases} == {"www-cert", "star-cert", "own"}
    assert all(1 <= answered(case).count("404") <= 4 for case in cases)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fault_is_a_fault_and_the_only_one(seed):
    case = variant("08", seed)
    failed = k8s.applied(ex08.cluster(case), ex08.broken(case))
    status = failed.journey(ex08.call(case)).response.status
    assert status == (503 if ex08_given.fault(case) in ("service", "port") else 404)
    assert failed.journey(ex08.others_call(case)).response.status == (404 if ex08_given.fault(case) == "class" else 200)
    refusal("08.3", repaired=ex08.broken(case), case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hint_fits_the_mistake(seed):
    case = variant("08", seed)
    right = answered(case)
    for number, each in enumerate(right):
        for other in (*ex08_given.services(case), "404"):
            if other != each:
                wrong = [*right[:number], other, *right[number + 1 :]]
                said = refusal("08.1", backends=wrong, case=case)
                assert f"for request {number + 1}," in said and len(said.splitlines()) == 4
                assert other in said and (each == "404" or each not in said.replace(ex08.requests(case)[number], ""))
    assert "six words" in refusal("08.1", backends=right[:5], case=case)
    assert "six words" in refusal("08.1", backends=["nobody", *right[1:]], case=case)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_an_ingress_that_is_not_what_was_wanted_is_refused(seed):
    case, wanted = variant("08", seed), ex08.wish(variant("08", seed))
    text = wished(case)
    assert "Whose Ingress is it?" in refusal("08.2", ingress=text.replace("Name: edge", "Name: egde"), case=case)
    assert "controller itself" in refusal("08.2", ingress=re.sub("  tls:\n.*\n", "", text), case=case)
    assert "controller itself" in refusal("08.2", ingress=text.replace("secretName: " + wanted.secret, "secretName: other")
                                          .replace(f"hosts: [{wanted.host}]", "hosts: [x.example.com]"), case=case)  # fmt: skip
    assert "longest path" in refusal("08.2", ingress=text.replace("Exact", "Prefix"), case=case)
    assert "pathType" in refusal("08.2", ingress=text.replace("Prefix", "Exact"), case=case)
    one = ex08_given.services(case)[0]
    assert "leads nowhere" in refusal("08.2", ingress=text.replace(f"name: {one}", f"name: {one}x"), case=case)
    port = ex08_given.port(case, one)
    wide = f"{text}  - http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {one}, port: {{number: {port}}}}}}}}}]}}\n"
    assert "wider than" in refusal("08.2", ingress=wide, case=case)
    more = text + "  - host: more.example.com\n" + wide[len(text) :].replace("- http", "  http")
    assert "a rule for more.example.com" in refusal("08.2", ingress=more, case=case)
    assert "namespace default" in refusal("08.2", ingress=text.replace("namespace: shop", "namespace: default"), case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_repair_that_serves_too_much_or_too_little_is_refused(seed):
    case, text = variant("08", seed), ex08_given.whole(variant("08", seed))
    assert "Is a rule's host or path wider" in refusal("08.3", repaired=text.replace("Exact", "Prefix"), case=case)
    only = "\n".join(line for line in text.splitlines() if "Exact" not in line)
    assert "No rule fits" in refusal("08.3", repaired=only, case=case)
    more = text + "  - host: more.example.com\n" + text[text.index("    http:") :]
    assert "a rule for more.example.com" in refusal("08.3", repaired=more, case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_sees_whom_one_wrong_at_a_time(seed):
    case, right = variant("08", seed), whom(variant("08", seed))
    wrong = {"sees": "203.0.113.7", "forwarded": right["sees"], "certificate": "own" if right["certificate"] != "own" else "m-cert"}
    for name, other in wrong.items():
        said = refusal("08.4", **{**right, name: other}, case=case)
        assert f"{name} = " in said and (name == "certificate" or right[name] not in said)
    assert '"10.…"' in refusal("08.4", **{**right, "sees": "edge-1"}, case=case)
    assert "one of" in refusal("08.4", **{**right, "certificate": "mine"}, case=case)


@pytest.mark.parametrize("given", [5, 2.5, "x", [], ["a", "b"], object(), b"", {}, "kind: Pod", "a: [", ex08, None.__class__, "10.0.0.1"])
@pytest.mark.parametrize(("key", "names"), [
    ("08.1", ["backends"]), ("08.2", ["ingress"]), ("08.3", ["repaired"]), ("08.4", ["sees", "forwarded", "certificate"]),
])  # fmt: skip
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, names, given):
    said = refusal(key, **dict.fromkeys(names, given), case=variant("08"))
    assert len(said.splitlines()) <= 4


def test_other_objects_are_no_part_of_an_answer():
    case = variant("08")
    text = wished(case)
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: more, namespace: shop}\nspec: {selector: {a: b}, ports: [{port: 80}]}\n"
    assert "other objects" in refusal("08.2", ingress=text + service, case=case)
    own_class = "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: edge}\nspec: {controller: a.b/c}\n"
    assert "other objects" in refusal("08.2", ingress=text + own_class, case=case)
    assert "2 Ingresses" in refusal("08.2", ingress=text + "---\n" + text.replace("name: a,", "name: b,"), case=case)
    with pytest.raises(ManifestError):
        k8s.applied(ex08.cluster(case), text.replace("path: /", "path: x"))


@pytest.mark.parametrize(("rules", "shown", "left_out"), [
    ([f"www.example.com/{n}*=web:80" for n in range(6)], 6, ""), ([f"www.example.com/{n}*=web:80" for n in range(7)], 5, "and 2 more rules"),
    ([f"{n}.example.org/*=web:80" for n in range(4)], 4, ""), ([f"{n}.example.org/*=web:80" for n in range(6)], 3, "and 3 more hosts"),
])  # fmt: skip
def test_of_many_rules_or_hosts_some_are_drawn_and_the_others_counted(edge, rules, shown, left_out):
    svg = k8s.route_picture(k8s.applied(edge, k8s.create_ingress("shop", *rules, ingress_class="edge")), "http://www.example.com/3").svg
    assert len(re.findall(r'class="node [a-z ]+" data-name="(?:rule|other)\d+"', svg)) == shown
    assert left_out in svg and ("more" in svg) == bool(left_out)
