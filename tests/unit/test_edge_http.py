"""The HTTP router: paths, hosts, precedence, filters, and where Ingress and Gateway API differ."""

from __future__ import annotations

import warnings
from fractions import Fraction

import pytest

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.edge import gateway, ingress
from k8snetlib.kube.edge.filters import Cors, HeaderModifier, PathModifier, Redirect, Rewrite, at_once
from k8snetlib.kube.edge.hostnames import host_matches
from k8snetlib.kube.edge.http import PathMatch, Response, request
from k8snetlib.kube.edge.objects import Gateway, GatewayClass, Ingress, IngressClass, Route
from k8snetlib.kube.edge.patterns import pattern_of
from k8snetlib.kube.edge.routing import answered, pick
from k8snetlib.kube.edge.translate import DIFFERENCES, http_routes
from k8snetlib.kube.manifests import loads

CLASS = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: edge}\nspec: {controllerName: a.b/c}\n"
FRONT = (
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: front}\n"
    "spec: {gatewayClassName: edge, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
)


def an_ingress(*rules: str, name: str = "i", more: str = "") -> str:
    """An Ingress of rules ``HOST PATH TYPE SERVICE``."""
    lines = [rule.split() for rule in rules]
    made = ", ".join(
        f"{{host: '{host}', http: {{paths: [{{path: {path}, pathType: {kind}, backend: {{service: {{name: {to}, port: {{number: 80}}}}}}}}]}}}}"
        for host, path, kind, to in lines
    ).replace("host: 'any', ", "")
    return f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\nspec: {{rules: [{made}]{more}}}\n"


def a_route(*rules: str, hosts: str = "", name: str = "r") -> str:
    """An HTTPRoute of rules ``MATCH -> BACKENDS`` in flow style."""
    made = ", ".join(
        f"{{matches: [{match}], {'backendRefs: [' + to + ']' if not to.startswith('filters') else to}}}"
        for match, to in (rule.split(" -> ") for rule in rules)
    )
    return (
        f"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\n"
        f"spec: {{parentRefs: [{{name: front}}], hostnames: [{hosts}], rules: [{made}]}}\n"
    )


def table_of(text: str) -> ingress.IngressTable:
    found = loads(text)
    return ingress.tables(found.of(Ingress), found.of(IngressClass))[""]


def front_of(text: str) -> gateway.GatewayTable:
    found = loads(CLASS + FRONT + text)
    world = gateway.GatewayWorld(found.of(Gateway), found.of(GatewayClass), routes=found.of(Route))
    return gateway.tables(world)[0]["default/front"]


def backend(table, url: str, method: str = "GET", headers: dict | tuple = ()) -> str:
    (decision,) = table.decide(request(url, method, headers))
    return decision.backend.name if decision.backend else str(decision.status)


# --- requests


def test_a_url_is_taken_apart():
    sent = request("https://Shop.Example.com:8443/a?x=1", "POST", {"X-A": "1"})
    assert (sent.hostname, sent.plain_path, sent.query, sent.port, sent.server_name) == (
        "shop.example.com", "/a", "x=1", 8443, "shop.example.com",
    )  # fmt: skip
    assert str(sent) == "POST https://Shop.Example.com:8443/a?x=1"
    assert request("shop.example.com").path == "/"
    assert (request("HTTPS://x?a=1").url, request("[fd00::1]:81").port) == ("https://x/?a=1", 81)
    assert request("http://[fd00::1]:80/").hostname == "[fd00::1]"


@pytest.mark.parametrize("url", [
    "", "ftp://x/", "http://", "http:///a", "http://a b/", "http://x:99999/", "http://x:/", "http://*/", "http://a..b/", "http://[/", "http://u@x/",
    "http://x/#f", "http://:80/", "http://::1/",
])  # fmt: skip
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ModelError):
        request(url)


def test_a_method_is_written_in_capitals():
    with pytest.raises(ModelError, match="capitals"):
        request("http://x/", "get")


def test_headers_of_one_name_are_one_with_commas():
    sent = request("http://x/", headers=(("A", "1"), ("a", "2")))
    assert (sent.header("A"), sent.header("b")) == ("1,2", None)


# --- paths and hosts

PATHS = [
    ("Prefix", "/", "/any", True), ("Prefix", "/foo", "/foo", True), ("Prefix", "/foo", "/foo/", True), ("Prefix", "/foo", "/foobar", False),
    ("Prefix", "/foo/", "/foo", True), ("Prefix", "/foo/", "/foo/x", True), ("Prefix", "/foo", "/Foo", False), ("Exact", "/foo", "/foo/", False),
    ("Exact", "/foo/", "/foo", False), ("RegularExpression", "/a.*", "/abc", True), ("RegularExpression", "/a", "/ab", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "pattern", "path", "fits"), PATHS)
def test_paths(kind, pattern, path, fits):
    assert PathMatch(kind, pattern).matches(path) is fits


PATTERNS = [
    ("[[:digit:]]+", "42", "4a"), ("[[:alpha:]_]*", "aZ_", "4"), ("[a-c[:digit:]x]", "b 7 x", "d : ["), ("[^[:digit:]]", "a é", "7"),
    ("[[:^digit:]]", "a é", "7"), ("[[:alnum:]-_.]+", "a-b_c.9", "a+ /"), ("[[:lower:]]", "a", "A é"), ("[[:upper:]]", "A", "a"),
    ("[[:space:]]", "\t", "a"), ("[[:xdigit:]]{2}", "fF 09", "fg"), ("[[:punct:]]", "! [ ] / ~ \\ ^ - ` _", "a 4"), ("[[:word:]]+", "a_9", "é -"),
    (r"[\w-.]+", "a-b.c", "a+b"), ("[a&&b]+", "a&b", "c"), ("[[a]", "[ a", "b"), ("[]a]", "] a", "b"), ("[+--]", "+ , -", "."), ("[^-a]", "b", "- a"),
    ("[a-c-e]", "- b e", "d"), (r"\[[:digit:]]", "[:] [d]", "7"), (r"[\x41-\x43]", "B", "x"), ("[:digit:]", "d :", "7"), (r"[\]\-]", "] -", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "fitting", "others"), PATTERNS)
def test_what_stands_in_brackets(pattern, fitting, others):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pattern_of(pattern)
    assert [word for word in f"{fitting} {others}".split(" ") if found.fullmatch(word)] == fitting.split(" ")


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[]", "[^", "[a-", "[b-a]", "[a--]", "[[:digit:]", "[[:number:]]", "[a-[:digit:]]", "(", "a{9999999999999}"]
)
def test_what_is_no_regular_expression(pattern):
    with pytest.raises(ModelError, match="is no regular expression here"):
        pattern_of(pattern)


HOSTS = [
    ("", "x.y", True, True), ("foo.com", "foo.com", True, True), ("*.foo.com", "a.foo.com", True, True), ("*.foo.com", "foo.com", False, False),
    ("*.foo.com", "b.a.foo.com", False, True), ("*.foo.com", ".foo.com", False, False), ("foo.com", "a.foo.com", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "host", "one", "many"), HOSTS)
def test_hosts(pattern, host, one, many):
    assert (host_matches(pattern, host, one_label=True), host_matches(pattern, host)) == (one, many)


# --- the two APIs, and where they differ: each difference by name


def both(text: str, url: str) -> tuple[str, str]:
    """What an Ingress and the HTTPRoutes it translates to make of a request."""
    import json

    found = loads(text).of(Ingress)
    routes = "".join("---\n" + json.dumps(each) + "\n" for each in http_routes(found[0], "default/front"))
    return backend(table_of(text), url), backend(front_of(routes), url)


def test_differ_wildcard():
    assert both(an_ingress("*.foo.com / Prefix a"), "http://y.x.foo.com/") == ("404", "a")


def test_differ_order():
    assert both(an_ingress("foo.com /a/ Prefix prefix", "foo.com /a Exact exact"), "http://foo.com/a") == ("prefix", "exact")


def test_differ_hosts():
    assert both(an_ingress("foo.com /a Prefix a", "any / Prefix all"), "http://foo.com/b") == ("404", "all")


def test_differ_default():
    text = an_ingress("foo.com /a Prefix a", more=", defaultBackend: {service: {name: d, port: {number: 80}}}")
    assert both(text, "http://foo.com/b") == ("d", "d")
    assert len(http_routes(loads(text).of(Ingress)[0], "default/front")) == 2


def test_differ_missing():
    from k8snetlib.kube.edge.backends import Backends

    found = loads(an_ingress("foo.com / Prefix a")).of(Ingress)
    (one,) = ingress.table(found, backends=Backends([])).decide(request("http://foo.com/"))
    world = loads(CLASS + FRONT + a_route("{} -> {name: a, port: 80}"))
    made = gateway.GatewayWorld(world.of(Gateway), world.of(GatewayClass), routes=world.of(Route), backends=Backends([]))
    (other,) = gateway.tables(made)[0]["default/front"].decide(request("http://foo.com/"))
    assert (one.status, other.status) == (503, 500)
    assert one.why == "there is no Service default/a"


def test_every_difference_has_its_test():
    assert {name.removeprefix("test_differ_") for name in globals() if name.startswith("test_differ_")} == set(DIFFERENCES)


def test_what_an_http_route_cannot_say_is_refused():
    text = an_ingress("foo.com / Prefix a").replace("port: {number: 80}", "port: {name: web}")
    with pytest.raises(UnsupportedError, match="web"):
        http_routes(loads(text).of(Ingress)[0], "default/front")
    assert http_routes(loads(text).of(Ingress)[0], "default/front", {("default/a", "web"): 8080})[0]["spec"]["rules"][0]["backendRefs"] == [
        {"name": "a", "port": 8080}
    ]


# --- Ingress


def test_the_longest_path_first_then_exact():
    table = table_of(an_ingress("f.com /a Prefix p", "f.com /a Exact e", "f.com /a/b Prefix long", "f.com / Prefix root"))
    assert [backend(table, f"http://f.com{path}") for path in ("/a", "/a/", "/a/b/c", "/x")] == ["e", "p", "long", "root"]


def test_the_older_ingress_goes_first():
    old = an_ingress("f.com / Prefix old", name="z").replace("{name: z}", '{name: z, creationTimestamp: "2026-01-01T00:00:00Z"}')
    new = an_ingress("f.com / Prefix new", name="a").replace("{name: a}", '{name: a, creationTimestamp: "2026-02-01T00:00:00Z"}')
    assert backend(table_of(new + old), "http://f.com/") == "old"


INGRESS_CLASS = (
    "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: NAME, annotations: {NOTE}}\nspec: {controller: a.b/c}\n"
)


def test_the_class_says_who_answers():
    default = INGRESS_CLASS.replace("NAME", "one").replace("{NOTE}", '{ingressclass.kubernetes.io/is-default-class: "true"}')
    other = INGRESS_CLASS.replace("NAME", "two").replace(", annotations: {NOTE}", "")
    named = an_ingress("f.com / Prefix a", name="named", more=", ingressClassName: two")
    unknown = an_ingress("f.com / Prefix a", name="unknown", more=", ingressClassName: three")
    found = loads(default + other + named + unknown + an_ingress("f.com / Prefix a", name="none"))
    made = ingress.tables(found.of(Ingress), found.of(IngressClass))
    assert {name: [each.name for each in table.ingresses] for name, table in made.items()} == {"two": ["named"], "one": ["none"]}
    (note,) = ingress.notes(found.of(Ingress), found.of(IngressClass))
    assert "three" in note


def test_of_several_default_classes_the_newest_then_the_first_by_name():
    def classes(*stamps: tuple[str, int]) -> list[IngressClass]:
        default = '{ingressclass.kubernetes.io/is-default-class: "true"}'
        texts = (
            INGRESS_CLASS.replace("NAME", f'{n}, creationTimestamp: "{year}-01-01T00:00:00Z"').replace("{NOTE}", default)
            for n, year in stamps
        )
        return list(loads("".join(texts)).of(IngressClass))

    (nameless,) = loads(an_ingress("f.com / Prefix a")).of(Ingress)
    assert ingress.class_of(nameless, classes(("a", 2024), ("b", 2025))) == "b"
    assert ingress.class_of(nameless, classes(("b", 2025), ("a", 2025))) == "a"


def test_an_ingress_controller_speaks_tls_at_443_and_plain_http_at_80():
    table = table_of(an_ingress("f.com / Prefix a"))
    assert [backend(table, url) for url in ("http://f.com/", "https://f.com/", "http://f.com:443/", "https://f.com:80/")] == [
        "a",
        "a",
        "None",
        "None",
    ]


def test_tls_ends_with_the_certificate_of_the_host():
    table = table_of(an_ingress("f.com / Prefix a", more=", tls: [{hosts: [f.com, '*.g.com'], secretName: s}]"))
    assert [table.certificate(name) for name in ("f.com", "a.g.com", "g.com")] == ["default/s", "default/s", ""]


def test_a_resource_backend_is_refused_when_a_request_meets_it():
    text = an_ingress("f.com /a Prefix a").replace("service: {name: a, port: {number: 80}}", "resource: {kind: Bucket, name: pics}")
    table = table_of(text)
    assert backend(table, "http://f.com/b") == "404"
    with pytest.raises(UnsupportedError, match="Bucket"):
        table.decide(request("http://f.com/a"))


def test_annotations_of_one_controller_are_said_to_change_nothing():
    text = an_ingress("f.com / ImplementationSpecific a").replace(
        "{name: i}", "{name: i, annotations: {nginx.ingress.kubernetes.io/rewrite-target: /}}"
    )
    first, second = ingress.notes(loads(text).of(Ingress), ())
    assert "taken as Prefix" in first and "rewrite-target" in second


ANNOTATIONS = [
    ("nginx.ingress.kubernetes.io/rewrite-target", True), ("nginx.org/rewrites", True), ("nginx.com/sticky-cookie-services", True),
    ("konghq.com/strip-path", True), ("configuration.konghq.com/x", True), ("appgw.ingress.kubernetes.io/ssl-redirect", True),
    ("ingress.kubernetes.io/ssl-redirect", True), ("projectcontour.io/websocket-routes", True), ("alb.ingress.kubernetes.io/scheme", True),
    ("haproxy.org/path-rewrite", True), ("haproxy-ingress.github.io/rewrite-target", True),
    ("traefik.ingress.kubernetes.io/router.middlewares", True), ("cert-manager.io/cluster-issuer", False),
    ("acme.cert-manager.io/http01-edit-in-place", False), ("kubernetes.io/ingress.class", False), ("ingress", False),
    ("notnginx.org/rewrites", False), ("external-dns.alpha.kubernetes.io/target", False),
]  # fmt: skip


@pytest.mark.parametrize(("key", "said"), ANNOTATIONS)
def test_which_annotations_are_for_one_controller_alone(key, said):
    text = an_ingress("f.com / Prefix a").replace("{name: i}", f"{{name: i, annotations: {{{key}: x}}}}")
    told = [each for each in ingress.notes(loads(text).of(Ingress), ()) if "for one controller alone" in each]
    assert [key in each for each in told] == [True] * said


# --- Gateway API: precedence

PRECEDENCE = [
    ("/a", "GET", {}, "exact"), ("/a/b", "GET", {}, "longer"), ("/ax", "GET", {}, "pattern"), ("/c", "POST", {}, "method"),
    ("/c", "GET", {"x": "v1", "z": "v1"}, "two"), ("/c", "GET", {"x": "v1"}, "one"), ("/c?q=v1", "GET", {}, "query"), ("/c", "GET", {}, "plain"),
]  # fmt: skip


def test_precedence_of_matches():
    table = front_of(
        a_route(
            "{path: {value: /c}} -> {name: plain, port: 80}",
            "{path: {value: /c}, queryParams: [{name: q, value: v1}]} -> {name: query, port: 80}",
            "{path: {value: /c}, headers: [{name: X, value: v1}]} -> {name: one, port: 80}",
            "{path: {value: /c}, headers: [{name: X, value: v1}, {name: Z, value: v1}]} -> {name: two, port: 80}",
            "{path: {value: /c}, method: POST} -> {name: method, port: 80}",
            "{path: {value: /a}} -> {name: shorter, port: 80}",
            "{path: {value: /a/b}} -> {name: longer, port: 80}",
            "{path: {type: Exact, value: /a}} -> {name: exact, port: 80}",
            "{path: {type: RegularExpression, value: '/a[a-z]*'}} -> {name: pattern, port: 80}",
        )
    )
    assert [backend(table, f"http://x{path}", method, headers) for path, method, headers, _ in PRECEDENCE] == [p[-1] for p in PRECEDENCE]


def test_weights():
    table = front_of(a_route("{} -> {name: a, port: 80, weight: 9}, {name: b, port: 80, weight: 1}"))
    decisions = table.decide(request("http://x/"))
    assert [(each.backend.name, each.share) for each in decisions] == [("a", Fraction(9, 10)), ("b", Fraction(1, 10))]
    assert [pick(decisions, draw).backend.name for draw in (0, 0.89, 0.9, 0.99)] == ["a", "a", "b", "b"]


# --- filters

PREFIXES = [  # httproute_types.go, the table of ReplacePrefixMatch
    ("/foo/bar", "/foo", "/xyz", "/xyz/bar"), ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"), ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"), ("/foo", "/foo", "/xyz", "/xyz"), ("/foo/", "/foo", "/xyz", "/xyz/"),
    ("/foo/bar", "/foo", "", "/bar"), ("/foo/", "/foo", "", "/"), ("/foo", "/foo", "", "/"), ("/foo/", "/foo", "/", "/"),
    ("/foo", "/foo", "/", "/"), ("/foo?q=1", "/foo", "/xyz", "/xyz?q=1"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "prefix", "new", "result"), PREFIXES)
def test_the_prefix_that_matched_is_replaced(path, prefix, new, result):
    assert PathModifier("ReplacePrefixMatch", new).apply(path, PathMatch("Prefix", prefix)) == result


LOCATIONS = [
    (Redirect(scheme="https"), "http://x:8080/a?q", "https://x/a?q"), (Redirect(hostname="y"), "http://x:8080/a", "http://y:8080/a"),
    (Redirect(port=8443, scheme="https"), "http://x/a", "https://x:8443/a"), (Redirect(scheme="http"), "https://x/", "http://x/"),
    (Redirect(port=80), "http://x:8080/", "http://x/"), (Redirect(path=PathModifier("ReplaceFullPath", "/b")), "http://x/a", "http://x/b"),
]  # fmt: skip


@pytest.mark.parametrize(("redirect", "url", "location"), LOCATIONS)
def test_redirects(redirect, url, location):
    assert redirect.location(request(url), PathMatch()) == location


def test_headers_are_set_added_and_removed_in_any_case():
    modifier = HeaderModifier((("A", "new"),), (("B", "2"), ("C", "3")), ("d",))
    assert modifier.apply((("a", "old"), ("b", "1"), ("D", "x"))) == (("b", "1,2"), ("A", "new"), ("C", "3"))


def test_a_rewrite_changes_what_the_backend_sees():
    made = Rewrite("inner", PathModifier("ReplaceFullPath", "/v2")).apply(request("http://x/a?q=1"), PathMatch())
    assert (made.host, made.path) == ("inner", "/v2?q=1")


def test_cors_answers_a_browsers_question_itself():
    cors = Cors(("https://*.foo.com",), True, ("GET", "PUT"), ("*",), ("X-E",), 600)
    asked = (("Origin", "https://a.b.foo.com"), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-h"))
    answer = at_once([cors], request("http://x/", "OPTIONS", asked), PathMatch())
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": "https://a.b.foo.com", "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-E", "Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "x-h",
        "Access-Control-Max-Age": "600",
    }  # fmt: skip
    assert at_once([cors], request("http://x/", "OPTIONS", (("Origin", "https://foo.com"), asked[1])), PathMatch()) == Response(200)
    assert at_once([cors], request("http://x/", "GET", asked), PathMatch()) is None
    assert cors.answer(request("http://x/", headers=asked), ())[0] == ("Access-Control-Allow-Origin", "https://a.b.foo.com")


def test_an_extension_filter_is_refused_when_a_request_meets_it():
    table = front_of(
        a_route(
            "{path: {value: /a}} -> filters: [{type: ExtensionRef, extensionRef: {group: a.b, kind: Auth, name: x}}]",
            "{path: {value: /b}} -> {name: b, port: 80}",
        )
    )
    assert backend(table, "http://x/b") == "b"
    with pytest.raises(UnsupportedError, match="Auth"):
        table.decide(request("http://x/a"))


def test_timeouts():
    table = front_of(
        a_route("{} -> {name: a, port: 80}").replace("backendRefs", "timeouts: {request: 1s, backendRequest: 500ms}, backendRefs")
    )
    (decision,) = table.decide(request("http://x/"))
    assert [answered(decision, takes=takes).status for takes in (0, Fraction(1, 2), 0.6)] == [200, 200, 504]
    assert str(answered(decision, takes=2)) == "504 Gateway Timeout"
