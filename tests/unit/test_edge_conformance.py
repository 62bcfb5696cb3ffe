"""What the Gateway API's text and conformance tests ask for, each from a small example of its own."""

from __future__ import annotations

import random

import pytest

from k8snetlib.commands.request import _merged
from k8snetlib.errors import ManifestError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.conflicts import conflict, conflicts
from k8snetlib.kube.edge.http import Request, request
from k8snetlib.kube.edge.objects import Listener, ListenerSet
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import ObjectMeta
from k8snetlib.lab.web import _server_name
from k8snetlib.views.kubectl_edge import get_ingress
from k8snetlib.views.route_picture import picture
from k8snetlib.views.routes import routed
from tests.unit.test_edge_gateway import (
    A_SET,
    CLASS,
    PLAIN,
    SERVICES,
    TLS,
    a_gateway,
    a_listener,
    a_route,
    an_object,
    edge,
    lines,
    listener,
    reasons,
)

FRONT = "default/front"


def with_rule(text: str, more: str) -> str:
    """A route with more in its first rule."""
    return text.replace("rules: [{", f"rules: [{{{more}, ")


def outcome(made, sent: str | Request, method: str = "GET", headers: tuple = ()) -> str:
    """The one backend that answers, or the status, or ``none`` where there is no HTTP answer."""
    if isinstance(sent, str):
        sent = request(sent, method, headers)
    (found,) = made.gateways[FRONT].decide(sent)
    return found.backend.name if found.backend and found.response is None else str(found.status or "none")


# --- connections and listeners

PASSED_ON = "tls: {mode: Passthrough}"
SCHEMES = [
    (a_listener(), "HTTPRoute", "http://a.com:80/", "a"), (a_listener(), "HTTPRoute", "https://a.com:80/", "none"),
    (a_listener(port=443, protocol="HTTPS", more=TLS), "HTTPRoute", "https://a.com/", "a"),
    (a_listener(port=443, protocol="HTTPS", more=TLS), "HTTPRoute", "http://a.com:443/", "none"),
    (a_listener(port=443, protocol="TLS", more=PASSED_ON), "TLSRoute", "http://a.com:443/", "none"),
    (a_listener(port=443, protocol="TCP"), "TCPRoute", "https://a.com/", "a"), (a_listener(port=80, protocol="TCP"), "TCPRoute", "http://a.com/", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("front", "kind", "url", "answer"), SCHEMES)
def test_a_port_speaks_its_own_protocol_alone(front, kind, url, answer):
    made = edge(a_gateway(front), a_route(kind=kind, hosts="" if kind == "TCPRoute" else "a.com"))
    assert outcome(made, url) == answer


def test_a_udp_listener_gets_no_tcp_connection():
    both = a_gateway(a_listener("udp", 80, "UDP"), a_listener())
    routes = a_route("{name: b, port: 80}", kind="UDPRoute", name="u", parent="{name: front, sectionName: udp}"), a_route()
    assert outcome(edge(both, *routes), "http://x/") == "a"
    assert outcome(edge(a_gateway(a_listener("udp", 80, "UDP")), routes[0]), "http://x/") == "none"


MISDIRECTED = [
    ("a.com", "a.com", "a"), ("a.com", "x.b.com", "421"), ("x.b.com", "a.com", "421"), ("a.com", "other.org", "404"), ("x.b.com", "y.b.com", "a"),
    ("x.b.com", "own.b.com", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "host", "answer"), MISDIRECTED)
def test_a_host_of_another_listener_is_misdirected_and_one_of_none_not_found(name, host, answer):
    """``own.b.com`` is passed through: no HTTPS listener is for it alone, and only those count."""
    fronts = [a_listener(f"l{n}", 443, "HTTPS", f"hostname: '{host}', {TLS}") for n, host in enumerate(("a.com", "*.b.com"))]
    made = edge(a_gateway(*fronts, a_listener("tls", 443, "TLS", f"hostname: own.b.com, {PASSED_ON}")), a_route())
    assert outcome(made, Request(host, scheme="https", port=443, sni=name)) == answer


def test_a_name_of_its_own_is_passed_through_beside_a_wildcard_that_ends_tls():
    gateway = a_gateway(
        a_listener("https", 443, "HTTPS", f"hostname: '*.b.com', {TLS}"), a_listener("tls", 443, "TLS", f"hostname: own.b.com, {PASSED_ON}")
    )
    made = edge(gateway, a_route(), a_route("{name: b, port: 80}", name="t", kind="TLSRoute", hosts="own.b.com"))
    assert [outcome(made, f"https://{host}/") for host in ("other.b.com", "own.b.com")] == ["a", "b"]


def test_tls_that_ends_at_a_tls_listener_is_not_called_passed_through():
    text = a_gateway(a_listener("tls", 443, "TLS", "tls: {mode: Terminate, certificateRefs: [{name: cert}]}"))
    (found,) = edge(text, a_route(kind="TLSRoute", hosts="a.com")).gateways[FRONT].decide(request("https://a.com/"))
    assert found.why.startswith("TLS ends here")


def test_two_sets_on_one_port_the_older_one_wins():
    def a_set(name: str, year: int, host: str) -> str:
        text = A_SET.replace("name: more", f'name: {name}, creationTimestamp: "{year}-01-01T00:00:00Z"')
        return text.replace("protocol: HTTP", f"protocol: HTTP, hostname: {host}")

    gateway = a_gateway(a_listener(), more=", allowedListeners: {namespaces: {from: Same}}")
    made = edge(gateway, a_set("late", 2026, "a.com"), a_set("early", 2025, "a.com"), a_set("other", 2027, "b.com"))
    found = {name: lines(listener(made, owner=f"default/{name}"))["Conflicted"] for name in ("early", "late", "other")}
    assert found == {"early": "NoConflicts", "late": "HostnameConflict", "other": "NoConflicts"}
    assert [line.reason for line in made.statuses.sets["default/late"]] == ["ListenersNotValid"] * 2
    assert made.statuses.attached_sets == {FRONT: 2}


def test_kinds_of_other_groups_are_no_parents():
    assert reasons(edge(PLAIN, a_route(parent="{name: front, group: example.com}"))) == []
    gateway = a_gateway(a_listener(), more=", allowedListeners: {namespaces: {from: Same}}")
    made = edge(gateway, A_SET.replace("{name: front}", "{name: front, group: example.com}"))
    assert [str(line) for line in made.statuses.sets["default/more"]] == [
        "Accepted=Unknown Pending: there is no example.com/Gateway default/front with a known class",
        "Programmed=Unknown Pending",
    ]


def test_a_gateway_whose_only_certificate_is_missing_is_accepted_and_not_programmed():
    """What it asks for could be had (its listener is accepted); the reference is wrong, and nothing listens."""
    made = edge(a_gateway(a_listener(protocol="HTTPS", port=443, more=TLS)), secrets=frozenset())
    assert [str(line) for line in made.statuses.gateways[FRONT]] == ["Accepted=True ListenersNotValid", "Programmed=False Invalid"]
    unknown = a_listener("x", 81, "example.com/x")
    assert [str(edge(a_gateway(*each)).statuses.gateways[FRONT][0]) for each in ((unknown,), (unknown, a_listener()))] == [
        "Accepted=False ListenersNotValid", "Accepted=True ListenersNotValid",
    ]  # fmt: skip


def test_a_selector_that_is_not_there_selects_nothing_and_an_empty_one_everything():
    found = [
        reasons(edge(a_gateway(a_listener(more=f"allowedRoutes: {{namespaces: {{from: Selector{each}}}}}")), a_route()))[0]
        for each in (
            "",
            ", selector: {}",
            ", selector: {matchLabels: {kubernetes.io/metadata.name: default}}",
            ", selector: {matchLabels: {a: b}}",
        )
    ]
    assert found == ["NotAllowedByListeners", "Accepted", "Accepted", "NotAllowedByListeners"]


def test_an_address_of_a_type_that_only_an_implementation_knows():
    made = edge(a_gateway(a_listener(), more=", addresses: [{type: example.com/pool, value: x}]"), a_route())
    assert [line.reason for line in made.statuses.gateways[FRONT]] == ["UnsupportedAddress", "Invalid"]
    assert outcome(made, "http://x/") == "none"
    assert outcome(edge(a_gateway(a_listener(), more=", addresses: [{value: 192.0.2.1}]"), a_route()), "http://x/") == "a"


def test_no_address_is_a_hostname_of_a_tls_route():
    with pytest.raises(ManifestError, match="Hostnames cannot contain an IP"):
        edge(PLAIN, a_route(kind="TLSRoute", hosts="10.0.0.1"))


# --- which rule


def test_the_more_specific_hostname_of_a_routes_own_goes_first_where_both_mean_the_listeners():
    for own, wider in (("abc.example.com", "'*.example.com'"), ("'*.example.com'", "'*.com'"), ("'*.com'", "")):
        for hostname in ("abc.example.com", "'*.example.com'") if own != "abc.example.com" else ("abc.example.com",):
            made = edge(
                a_gateway(a_listener(more=f"hostname: {hostname}")),
                a_route("{name: a, port: 80}", name="older", hosts=wider, more=', creationTimestamp: "2025-01-01T00:00:00Z"'),
                a_route("{name: b, port: 80}", name="newer", hosts=own, more=', creationTimestamp: "2026-01-01T00:00:00Z"'),
            )
            assert outcome(made, "http://abc.example.com/") == "b", (own, wider, hostname)


def test_an_empty_list_of_matches_is_every_request():
    for kind in ("HTTPRoute", "GRPCRoute"):
        assert outcome(edge(PLAIN, with_rule(a_route(kind=kind), "matches: []")), "http://x/any/path") == "a"


GRPC = [
    ("{method: {method: Get}}", "{method: {service: s.S}}", "b"), ("{method: {service: s.S}}", "{method: {method: Get}}", "a"),
    ("{method: {service: s.S}}", "{method: {service: s.S, method: Get}}", "b"), ("{}", "{headers: [{name: v, value: x}]}", "b"),
    ("{headers: [{name: v, value: x}]}", "{method: {method: Get}}", "b"), ("{method: {method: Get}}", "{method: {method: Get}}", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "answer"), GRPC)
def test_grpc_goes_by_service_then_method_then_headers(first, second, answer):
    one = with_rule(a_route(kind="GRPCRoute", name="one"), f"matches: [{first}]")
    two = with_rule(a_route("{name: b, port: 80}", kind="GRPCRoute", name="two"), f"matches: [{second}]")
    assert outcome(edge(PLAIN, one, two), "http://x/s.S/Get", "POST", (("v", "x"),)) == answer


BROKEN = [
    "{name: a, port: 80, weight: 0}",
    "",
    "{name: nix, port: 80}",
    "{name: x, kind: Bucket, group: a.b}",
    "{name: c, port: 80, namespace: other}",
]


@pytest.mark.parametrize("backends", BROKEN)
def test_where_no_backend_can_be_used_http_says_500_and_grpc_unavailable(backends):
    found = [outcome(edge(PLAIN, a_route(backends, kind=kind)), "http://x/s.S/Get", "POST") for kind in ("HTTPRoute", "GRPCRoute")]
    assert found == ["500", "503"]


def test_128_matches_are_the_most():
    for kind, match in (("HTTPRoute", "{path: {value: /a}}"), ("GRPCRoute", "{method: {service: s.S}}")):
        rules = ", ".join(f"{{matches: [{', '.join([match] * many)}]}}" for many in (64, 64, 1))
        with pytest.raises(ManifestError, match="128"):
            edge(PLAIN, an_object(kind, "r", f"rules: [{rules}]"))
        edge(PLAIN, an_object(kind, "r", f"rules: [{rules.rpartition(', {')[0]}]"))


def test_of_header_names_that_differ_in_case_alone_the_first_counts():
    match = "matches: [{headers: [{name: X-A, value: one}, {name: x-a, value: two}]}]"
    made = edge(PLAIN, with_rule(a_route(), match))
    assert [outcome(made, "http://x/", headers=(("x-A", each),)) for each in ("one", "two")] == ["a", "404"]
    twice = "[{name: X-A, value: one}, {name: x-a, value: two}]"
    made = edge(
        PLAIN, with_rule(a_route(), f"filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: {twice}, add: []}}}}]")
    )
    assert made.gateways[FRONT].decide(request("http://x/"))[0].sent.headers == (("X-A", "one"),)


@pytest.mark.parametrize(("method", "answer"), [("POST", "a"), ("GET", "b"), ("HEAD", "404")])
def test_method_matching(method, answer):
    made = edge(
        PLAIN,
        with_rule(a_route(), "matches: [{method: POST}]"),
        with_rule(a_route("{name: b, port: 80}", name="s"), "matches: [{method: GET}]"),
    )
    assert outcome(made, "http://x/any", method) == answer


def test_query_parameters_are_matched_whole_and_the_first_of_a_name_counts():
    made = edge(PLAIN, with_rule(a_route(), "matches: [{queryParams: [{name: animal, value: whale}, {name: color, value: 'sea blue'}]}]"))
    urls = (
        "?animal=whale&color=sea%20blue",
        "?color=sea+blue&animal=whale&x",
        "?animal=whale",
        "?animal=whale&animal=cat&color=sea%20blue",
        "?Animal=whale&color=sea%20blue",
    )
    assert [outcome(made, f"http://x/{url}") for url in urls] == ["a", "a", "404", "a", "404"]


# --- filters


def test_a_rule_and_its_backend_change_one_header_in_that_order():
    own = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: X-A, value: backend}], set: [{name: x-b, value: backend}]}}]"
    rule = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: rule}, {name: X-B, value: rule}]}}]"
    made = edge(PLAIN, with_rule(a_route(f"{{name: a, port: 80, {own}}}"), rule))
    (found,) = made.gateways[FRONT].decide(request("http://x/", headers={"x-a": "client"}))
    assert (found.sent.header("X-A"), found.sent.header("X-B")) == ("rule,backend", "backend")


def test_mirrors_to_what_is_not_there_are_left_out_and_say_so_in_the_status():
    mirrors = ", ".join(
        f"{{type: RequestMirror, requestMirror: {{backendRef: {{name: {name}, port: 80}}, percent: {share}}}}}"
        for name, share in (("b", 20), ("nix", 50), ("a", 0))
    )
    made = edge(PLAIN, with_rule(a_route(), f"filters: [{mirrors}]"))
    (found,) = made.gateways[FRONT].decide(request("http://x/"))
    assert [(each.backend.name, float(each.share)) for each in found.mirrors] == [("b", 0.2), ("a", 0)]
    assert reasons(made) == ["Accepted", "BackendNotFound"]


def test_annotations_of_the_infrastructure_may_be_sixteen():
    def annotated(many: int) -> str:
        return a_gateway(a_listener(), more=f", infrastructure: {{annotations: {{{', '.join(f'k{n}: v' for n in range(many))}}}}}")

    assert FRONT in edge(annotated(16)).gateways
    with pytest.raises(Exception, match="16"):
        edge(annotated(17))


def test_a_route_with_no_rules_of_its_own_has_the_default_one():
    assert outcome(edge(PLAIN, an_object("HTTPRoute", "r", "parentRefs: [{name: front}]")), "http://x/") == "500"


# --- many objects


def test_conflicts_are_those_of_every_pair():
    """The look-up by port, protocol and host finds what comparing each listener with all before it finds."""
    draw = random.Random(7)
    protocols, names = ("HTTP", "HTTPS", "TLS", "TCP", "UDP"), ("", "a.com", "*.com", "b.com")
    for _ in range(200):
        owners = [ListenerSet(ObjectMeta(f"s{n}", "default")) for n in range(4)]
        mine = sorted((draw.choice(range(4)), draw.choice((80, 443)), draw.choice(protocols), draw.choice(names)) for _ in range(9))
        given = [
            (owners[o], Listener(f"l{n}", port, proto, "" if proto in ("TCP", "UDP") else name))
            for n, (o, port, proto, name) in enumerate(mine)
        ]
        expected: dict[int, str] = {}
        for owner in owners:
            own = [number for number, (each, _) in enumerate(given) if each is owner]
            before = [number for number in range(min(own, default=0)) if number not in expected]
            lost = {number: next(filter(None, (conflict(given[b][1], given[number][1]) for b in before)), "") for number in own}
            left, mine = [number for number in own if not lost[number]], {}
            for late, early in ((late, early) for late in left for early in left if early < late):
                if reason := conflict(given[early][1], given[late][1]):
                    mine.setdefault(early, reason)
                    mine.setdefault(late, reason)
            expected |= {number: reason for number, reason in lost.items() if reason} | mine
        assert conflicts(given) == expected


KINDS = [("a.com", "a.com", True), ("a.com", "b.com", False), ("a.com", "'*.com'", True), ("'*.com'", "a.com", True), ("'*.x.com'", "'*.com'", True),
         ("'*.com'", "'*.x.com'", True), ("a.com", "'*.a.com'", False), ("'*.a.com'", "a.com", False), ("", "a.com", True), ("a.com", "", True)]  # fmt: skip


@pytest.mark.parametrize(("older", "newer", "conflicting"), KINDS)
def test_http_and_grpc_meet_where_they_have_a_name_in_common(older, newer, conflicting):
    made = edge(
        PLAIN, a_route(name="old", hosts=older, more=', creationTimestamp: "2025-01-01T00:00:00Z"'),
        a_route(name="new", hosts=newer, kind="GRPCRoute", more=', creationTimestamp: "2026-01-01T00:00:00Z"'),
    )  # fmt: skip
    assert reasons(made, "new", "GRPCRoute")[0] == ("NotAllowedByListeners" if conflicting else "Accepted")


def test_a_retry_is_said_not_to_be_modelled():
    (note,) = edge(PLAIN, with_rule(a_route(), "retry: {attempts: 2}")).notes
    assert "HTTPRoute default/r rule 0: retry is not modelled" in note


# --- as it is shown


def test_no_rule_is_shown_as_answering_where_none_was_asked():
    fronts = [a_listener(f"l{n}", 443, "HTTPS", f"hostname: {host}, {TLS}") for n, host in enumerate(("a.com", "b.com"))]
    cluster = Cluster.of(loads(CLASS + SERVICES + a_gateway(*fronts) + a_route()))
    found = routed(cluster, Request("a.com", scheme="https", port=443, sni="b.com"))
    assert (str(found.decisions[0].response), found.rules) == ("421 Misdirected Request", ())
    drawing = str(picture(cluster, found))
    assert "421 Misdirected" in drawing and "Service default/a" not in drawing
    assert [each.why for each in routed(cluster, "https://a.com/").rules] == [""]


INGRESS_HOSTS = [
    ("a b", "a,b"),
    ("a a", "a,a"),
    ("a b c", "a,b,c"),
    ("a b c d", "a,b,c + 1 more..."),
    ("a b c a b", "a,b,c + 2 more..."),
    ("- a", "a"),
    ("-", "*"),
]


@pytest.mark.parametrize(("hosts", "shown"), INGRESS_HOSTS)
def test_kubectl_lists_the_hosts_of_the_first_three_rules_that_have_one(hosts, shown):
    service = "http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}"
    rules = ", ".join("{" + ("" if host == "-" else f"host: {host}, ") + service + "}" for host in hosts.split())
    text = f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i}}\nspec: {{rules: [{rules}]}}\n"
    assert f"{shown} " in str(get_ingress(Cluster.of(loads(SERVICES + text)), "default"))


def test_headers_of_one_name_are_one_in_json():
    assert _merged((("A", "1"), ("b", "2"), ("a", "3"))) == {"A": "1,3", "b": "2"}


@pytest.mark.parametrize(("host", "name"), [("a.com:80", "a.com"), ("10.0.0.1:80", ""), ("[fd00::1]:80", ""), ("", "")])
def test_no_address_is_a_server_name(host, name):
    assert _server_name(host) == name
