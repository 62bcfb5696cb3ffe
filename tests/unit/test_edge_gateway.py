"""Statuses of the Gateway API, each reason from a small example; grants, ListenerSets, conflicts, TLS, and routes below HTTP."""

from __future__ import annotations

import pytest

from k8snetlib.errors import ManifestError, UnsupportedError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge import edge_of
from k8snetlib.kube.edge.attach import intersection
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.manifests import loads

API = "apiVersion: gateway.networking.k8s.io/v1\n"


def an_object(kind: str, name: str, spec: str, namespace: str = "default", more: str = "") -> str:
    place = "" if kind == "GatewayClass" else f", namespace: {namespace}"
    return f"---\n{API}kind: {kind}\nmetadata: {{name: {name}{place}{more}}}\nspec: {{{spec}}}\n"


CLASS = an_object("GatewayClass", "edge", "controllerName: a.b/c")
SERVICES = "".join(
    f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {ns}, labels: {{app: {name}}}}}\nspec: {{containers: [{{name: c, image: x}}]}}\n"
    f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n"
    for ns, name in (("default", "a"), ("default", "b"), ("other", "c"))
)
EMPTY = "---\napiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {selector: {app: none}, ports: [{port: 80}]}\n"
ALIAS = "---\napiVersion: v1\nkind: Service\nmetadata: {name: alias}\nspec: {type: ExternalName, externalName: x.example.com, ports: [{port: 80}]}\n"


def a_gateway(*listeners: str, name: str = "front", more: str = "", namespace: str = "default") -> str:
    return an_object("Gateway", name, f"gatewayClassName: edge, listeners: [{', '.join(listeners)}]{more}", namespace)


def a_listener(name: str = "http", port: int = 80, protocol: str = "HTTP", more: str = "") -> str:
    return f"{{name: {name}, port: {port}, protocol: {protocol}{', ' + more if more else ''}}}"


def a_route(backends: str = "{name: a, port: 80}", *, name: str = "r", parent: str = "{name: front}", hosts: str = "", namespace: str = "default",
            kind: str = "HTTPRoute", more: str = "") -> str:  # fmt: skip
    hostnames = f"hostnames: [{hosts}], " if hosts else ""
    return an_object(kind, name, f"parentRefs: [{parent}], {hostnames}rules: [{{backendRefs: [{backends}]}}]", namespace, more)


def edge(*objects: str, secrets: frozenset[str] | None = None):
    return edge_of(Cluster.of(loads(CLASS + SERVICES + EMPTY + ALIAS + "".join(objects))), secrets)


def reasons(made, name: str = "r", kind: str = "HTTPRoute", namespace: str = "default") -> list[str]:
    return [each.reason for status in made.statuses.routes[kind, f"{namespace}/{name}"] for each in status.conditions]


PLAIN = a_gateway(a_listener())
ROUTES = [
    ("fits", a_route(), ["Accepted", "ResolvedRefs"]),
    ("no such listener", a_route(parent="{name: front, sectionName: x}"), ["NoMatchingParent", "ResolvedRefs"]),
    ("no such port", a_route(parent="{name: front, port: 81}"), ["NoMatchingParent", "ResolvedRefs"]),
    ("of another namespace", a_route("{name: c, port: 80}", namespace="other", parent="{name: front, namespace: default}"), ["NotAllowedByListeners", "ResolvedRefs"]),
    ("of another kind", a_route(kind="TCPRoute"), ["NotAllowedByListeners", "ResolvedRefs"]),
    ("no Service", a_route("{name: x, port: 80}"), ["Accepted", "BackendNotFound"]),
    ("no port", a_route("{name: a, port: 81}"), ["Accepted", "BackendNotFound"]),
    ("not its namespace", a_route("{name: c, port: 80, namespace: other}"), ["Accepted", "RefNotPermitted"]),
    ("no Service at all", a_route("{name: x, kind: Bucket, group: a.b}"), ["Accepted", "InvalidKind"]),
    ("an alias", a_route("{name: alias, port: 80}"), ["Accepted", "BackendNotFound"]),
    ("no ready Pod is no mistake", a_route("{name: empty, port: 80}"), ["Accepted", "ResolvedRefs"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [each[1:] for each in ROUTES], ids=[each[0] for each in ROUTES])
def test_a_routes_status(text, expected):
    made = edge(PLAIN, text)
    ((_, found),) = made.statuses.routes.items()
    assert [line.reason for each in found for line in each.conditions] == expected


def test_a_route_for_a_host_that_no_listener_has():
    made = edge(a_gateway(a_listener(more="hostname: '*.foo.com'")), a_route(hosts="bar.com"))
    assert reasons(made) == ["NoMatchingListenerHostname", "ResolvedRefs"]


def test_a_parent_that_is_not_there_says_nothing():
    assert edge(PLAIN, a_route(parent="{name: back}")).statuses.routes["HTTPRoute", "default/r"] == ()


def test_a_gateway_of_an_unknown_class_waits():
    made = edge(PLAIN.replace("edge", "nobody"), a_route())
    assert not made.gateways
    assert [str(line) for line in made.statuses.gateways["default/front"]] == [
        "Accepted=Unknown Pending: no GatewayClass 'nobody'",
        "Programmed=Unknown Pending",
    ]


GRANT = an_object(
    "ReferenceGrant",
    "g",
    "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: Service}]",
    "other",
)


def test_a_grant_lets_a_route_refer_across_namespaces():
    text = a_route("{name: c, port: 80, namespace: other}")
    assert reasons(edge(PLAIN, text, GRANT)) == ["Accepted", "ResolvedRefs"]
    for wrong in (GRANT.replace("HTTPRoute", "GRPCRoute"), GRANT.replace("namespace: default", "namespace: third"),
                  GRANT.replace("kind: Service", "kind: Secret"), GRANT.replace("kind: Service}", "kind: Service, name: d}"),
                  GRANT.replace("namespace: other}", "namespace: default}")):  # fmt: skip
        assert reasons(edge(PLAIN, text, wrong)) == ["Accepted", "RefNotPermitted"]


def test_requests_to_what_may_not_be_used_are_answered_with_their_share_of_500():
    made = edge(PLAIN, a_route("{name: a, port: 80, weight: 3}, {name: c, port: 80, namespace: other}, {name: empty, port: 80, weight: 0}"))
    decisions = made.gateways["default/front"].decide(request("http://x/"))
    assert [(str(each.share), each.status) for each in decisions] == [("3/4", None), ("1/4", 500)]
    assert "ReferenceGrant" in decisions[1].why


def test_no_ready_pod_is_503():
    (decision,) = edge(PLAIN, a_route("{name: empty, port: 80}")).gateways["default/front"].decide(request("http://x/"))
    assert (decision.status, decision.why) == (503, "Service default/empty has no ready endpoint for port 80")


# --- listeners


def listener(made, name: str = "http", owner: str = "default/front"):
    (found,) = [each for each in made.statuses.listeners if each.listener.name == name and each.owner.key == owner]
    return found


def lines(status) -> dict[str, str]:
    return {each.type: each.reason for each in status.conditions}


TLS = "tls: {certificateRefs: [{name: cert}]}"
LISTENERS = [
    (a_listener(), {"Accepted": "Accepted", "Programmed": "Programmed", "ResolvedRefs": "ResolvedRefs", "Conflicted": "NoConflicts"}),
    (a_listener(protocol="example.com/x"), {"Accepted": "UnsupportedProtocol", "Programmed": "Invalid"}),
    (a_listener(more="allowedRoutes: {kinds: [{kind: TCPRoute}]}"), {"ResolvedRefs": "InvalidRouteKinds", "Programmed": "Invalid"}),
    (a_listener(more="allowedRoutes: {kinds: [{kind: TCPRoute}, {kind: HTTPRoute}]}"), {"ResolvedRefs": "InvalidRouteKinds", "Programmed": "Programmed"}),
    (a_listener(protocol="HTTPS", more=TLS), {"ResolvedRefs": "ResolvedRefs", "Programmed": "Programmed"}),
    (a_listener(protocol="HTTPS", more=TLS.replace("cert}", "nix}")), {"ResolvedRefs": "InvalidCertificateRef", "Programmed": "Invalid"}),
    (a_listener(protocol="HTTPS", more=TLS.replace("cert}", "cert, kind: ConfigMap}")), {"ResolvedRefs": "InvalidCertificateRef"}),
    (a_listener(protocol="HTTPS", more=TLS.replace("cert}", "cert, namespace: other}")), {"ResolvedRefs": "RefNotPermitted"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LISTENERS)
def test_a_listeners_status(text, expected):
    made = edge(a_gateway(text), secrets=frozenset(["default/cert", "other/cert"]))
    found = lines(listener(made))
    assert {name: found[name] for name in expected} == expected


def test_two_protocols_cannot_share_a_port_save_https_and_tls():
    made = edge(a_gateway(a_listener("one"), a_listener("two", protocol="TCP")))
    assert [(lines(listener(made, name))["Accepted"], lines(listener(made, name))["Conflicted"]) for name in ("one", "two")] == [
        ("Invalid", "ProtocolConflict")
    ] * 2
    passed = a_listener("tls", 443, "TLS", "hostname: b.com, tls: {mode: Passthrough}")
    made = edge(a_gateway(a_listener("https", 443, "HTTPS", f"hostname: a.com, {TLS}"), passed, a_listener("udp", 443, "UDP")))
    assert [lines(listener(made, name))["Programmed"] for name in ("https", "tls", "udp")] == ["Programmed"] * 3


def test_secrets_that_nobody_showed_are_taken_to_be_there_and_that_is_said():
    made = edge(a_gateway(a_listener(protocol="HTTPS", more=TLS)))
    assert listener(made).works
    assert "Secret default/cert is taken to be there" in made.notes[0]
    other = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: other}\ntype: kubernetes.io/tls\n"
    assert not listener(edge(a_gateway(a_listener(protocol="HTTPS", more=TLS)), other)).works


def test_https_and_tls_for_one_name_conflict_and_for_two_do_not():
    passed = a_listener("tls", 443, "TLS", "hostname: HOST, tls: {mode: Passthrough}")
    for host, reason in (("a.com", "ProtocolConflict"), ("b.com", "NoConflicts")):
        made = edge(a_gateway(a_listener("https", 443, "HTTPS", f"hostname: a.com, {TLS}"), passed.replace("HOST", host)))
        assert [lines(listener(made, name))["Conflicted"] for name in ("https", "tls")] == [reason] * 2


A_SET = an_object("ListenerSet", "more", "parentRef: {name: front}, listeners: [{name: http, port: 81, protocol: HTTP}]")


def test_listener_sets_only_where_the_gateway_lets_them_in():
    refused = edge(PLAIN, A_SET)
    assert [each.reason for each in refused.statuses.sets["default/more"]] == ["NotAllowed", "NotAllowed"]
    made = edge(
        a_gateway(a_listener(), more=", allowedListeners: {namespaces: {from: Same}}"),
        A_SET,
        a_route(parent="{kind: ListenerSet, name: more}"),
    )
    assert [each.reason for each in made.statuses.sets["default/more"]] == ["Accepted", "Programmed"]
    assert (listener(made, owner="default/more").attached, listener(made).attached) == (1, 0)
    assert (made.statuses.attached_sets, refused.statuses.attached_sets) == ({"default/front": 1}, {"default/front": 0})
    table = made.gateways["default/front"]
    assert [table.decide(request(f"http://x:{port}/"))[0].status for port in (80, 81)] == [404, None]


LETS_IN = ", allowedListeners: {namespaces: {from: Same}}"
NO_SECRET = a_listener("https", 443, "HTTPS", TLS)
PARENTS = [
    ("not let in", PLAIN, ["NotAllowed", "NotAllowed"], ["NoMatchingParent", "ResolvedRefs"]),
    ("an address of a kind of its own", a_gateway(a_listener(), more=LETS_IN + ", addresses: [{type: a.b/c, value: x}]"), ["ParentNotAccepted", "ParentNotProgrammed"], ["Accepted", "ResolvedRefs"]),
    ("parameters that are not there", a_gateway(a_listener(), more=LETS_IN + ", infrastructure: {parametersRef: {group: invalid.io, kind: Parameters, name: none}}"), ["ParentNotAccepted", "ParentNotProgrammed"], ["Accepted", "ResolvedRefs"]),
    ("no listener of its own is valid", a_gateway(a_listener(protocol="a.b/QUIC"), more=LETS_IN), ["ParentNotAccepted", "ParentNotProgrammed"], ["Accepted", "ResolvedRefs"]),
    ("none of its own listeners works", a_gateway(NO_SECRET, more=LETS_IN), ["Accepted", "ParentNotProgrammed"], ["Accepted", "ResolvedRefs"]),
    ("of no class", a_gateway(a_listener(), more=LETS_IN).replace("edge", "nobody"), ["Pending", "Pending"], []),
    ("of another name", a_gateway(a_listener(), more=LETS_IN, name="other"), ["Pending", "Pending"], []),
]  # fmt: skip


@pytest.mark.parametrize(("gateway", "of_set", "of_route"), [each[1:] for each in PARENTS], ids=[each[0] for each in PARENTS])
def test_what_becomes_of_a_gateway_becomes_of_its_sets(gateway, of_set, of_route):
    made = edge(gateway, A_SET, a_route(parent="{kind: ListenerSet, name: more}"), secrets=frozenset())
    found = made.statuses.sets["default/more"]
    assert [line.reason for line in found] == of_set
    assert {line.status for line in found if line.reason not in ("Accepted", "Pending")} <= {"False"}
    assert reasons(made) == of_route
    assert not any(each.works for each in made.statuses.listeners if each.owner.key == "default/more")
    for table in made.gateways.values():
        (decision,) = table.decide(request("http://x:81/"))
        assert decision.why.startswith("nothing listens on port 81") and decision.response is None
        assert (" is not " in decision.why) == (of_set[0] in ("ParentNotAccepted", "Accepted"))
    assert set(made.statuses.attached_sets.values()) <= {int(of_set[0] == "Accepted")}


def test_a_set_whose_one_listener_may_not_use_its_certificate_is_not_accepted():
    """The conformance test ListenerSetReferenceGrant asks for it; a Gateway in the same position is accepted."""
    text = A_SET.replace("{name: http, port: 81, protocol: HTTP}", NO_SECRET)
    made = edge(a_gateway(a_listener(), more=LETS_IN), text, secrets=frozenset())
    assert [str(line) for line in made.statuses.sets["default/more"]] == [
        "Accepted=False ListenersNotValid",
        "Programmed=False ListenersNotValid",
    ]
    assert lines(listener(made, "https", owner="default/more"))["ResolvedRefs"] == "InvalidCertificateRef"
    assert made.statuses.attached_sets == {"default/front": 0}


def test_an_address_that_nobody_has_is_named_as_a_wish():
    made = edge(a_gateway(a_listener(), more=", addresses: [{value: 192.0.2.99}]"))
    assert any("asks for 192.0.2.99" in note for note in made.notes)


def test_parameters_that_are_there_are_named_as_unread():
    there = "---\napiVersion: example.io/v1\nkind: Parameters\nmetadata: {name: some}\nspec: {}\n"
    made = edge(a_gateway(a_listener(), more=", infrastructure: {parametersRef: {group: example.io, kind: Parameters, name: some}}"), there)
    assert [line.reason for line in made.statuses.gateways["default/front"]] == ["Accepted", "Programmed"]
    assert any("Parameters default/some says to its implementation" in note for note in made.notes)


def test_the_gateways_own_listener_wins_over_a_sets():
    text = A_SET.replace("port: 81", "port: 80")
    made = edge(a_gateway(a_listener(), more=", allowedListeners: {namespaces: {from: All}}"), text)
    assert lines(listener(made))["Conflicted"] == "NoConflicts"
    lost = lines(listener(made, owner="default/more"))
    assert (lost["Conflicted"], lost["Accepted"], lost["Programmed"]) == ("HostnameConflict",) * 3


def test_a_listener_that_has_lost_takes_none_of_its_set_with_it():
    """As in the conformance test ListenerSetProtocolConflict: the Gateway's HTTP excludes the set's TCP, and that is then out of the way."""
    each = [a_listener("one", more="hostname: one.com"), a_listener("tcp", protocol="TCP"), a_listener("two", more="hostname: two.com")]
    text = A_SET.replace("{name: http, port: 81, protocol: HTTP}", ", ".join(each))
    late = text.replace("name: more", 'name: late, creationTimestamp: "2026-01-01T00:00:00Z"')
    made = edge(a_gateway(a_listener(more="hostname: gw.com"), more=LETS_IN), text, late)
    found = [lines(listener(made, name, owner="default/more"))["Conflicted"] for name in ("one", "tcp", "two")]
    assert found == ["NoConflicts", "ProtocolConflict", "NoConflicts"]
    assert [str(line) for line in made.statuses.sets["default/more"]] == ["Accepted=True ListenersNotValid", "Programmed=True Programmed"]
    assert [line.reason for line in made.statuses.sets["default/late"]] == ["ListenersNotValid"] * 2
    assert made.statuses.attached_sets == {"default/front": 1}


OVERLAPPING = [
    ("foo.example.com", True), ("bar.bar.example.com", True), ("*.example.com", True), ("example.com", False), ("foo.example.org", False),
]  # fmt: skip


def test_tls_for_overlapping_names_is_told():
    """The API: controllers MUST detect it, and the condition MUST NOT be there where it is false."""
    fronts = [a_listener(f"l{n}", 443, "HTTPS", f"hostname: '{host}', {TLS}") for n, (host, _) in enumerate(OVERLAPPING)]
    other_port = a_listener("other", 9443, "HTTPS", f"hostname: foo.example.com, {TLS}")
    plain = [a_listener("plain", 80, "HTTP", "hostname: foo.example.com"), a_listener("all", 80, "HTTP", "hostname: '*.example.com'")]
    made = edge(a_gateway(*fronts, other_port, *plain))
    found = {each.listener.name: lines(each).get("OverlappingTLSConfig") for each in made.statuses.listeners}
    told = {f"l{n}": "OverlappingHostnames" if overlaps else None for n, (_, overlaps) in enumerate(OVERLAPPING)}
    assert found == told | {"other": None, "plain": None, "all": None}
    assert all(each.works for each in made.statuses.listeners)


def test_overlaps_with_a_listener_of_a_set_and_with_one_for_any_name():
    text = A_SET.replace("{name: http, port: 81, protocol: HTTP}", a_listener("own", 443, "HTTPS", f"hostname: a.com, {TLS}"))
    made = edge(a_gateway(a_listener("any", 443, "HTTPS", TLS), more=LETS_IN), text)
    assert [lines(each)["OverlappingTLSConfig"] for each in made.statuses.listeners] == ["OverlappingHostnames"] * 2


CRT, KEY = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t", "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"  # -----BEGIN CERTIFICATE-----, … PRIVATE KEY-----
CONTENTS = [
    ("", ""), (f"data: {{tls.crt: {CRT}, tls.key: {KEY}}}", ""), (f"data: {{tls.crt: {CRT}}}", "has no tls.key"),
    ("data: {tls.crt: SGVsbG8gd29ybGQK, tls.key: SGVsbG8gd29ybGQK}", "tls.crt holds no PEM block"),
    (f"data: {{tls.crt: {CRT}, tls.key: '%%%'}}", "tls.key is not base64"), (f"data: {{tls.crt: '', tls.key: {KEY}}}", "tls.crt holds no PEM"),
    ("stringData: {tls.crt: '-----BEGIN CERTIFICATE-----', tls.key: '-----BEGIN PRIVATE KEY-----'}", ""),
    (f"data: {{tls.crt: {CRT}, tls.key: {KEY}}}, stringData: {{tls.key: x}}", "tls.key holds no PEM block"),
]  # fmt: skip


NO_CERTIFICATE = "---\n{apiVersion: v1, kind: Secret, metadata: {name: password}, type: Opaque, data: {password: eA==}}\n"
CERT_MANAGER = "---\n{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: c}, spec: {secretName: cert}}\n"
OTHER = "---\n{apiVersion: v1, kind: Secret, metadata: {name: other}, type: kubernetes.io/tls}\n"
SECRETS = [
    ("a password tells nothing of certificates", NO_CERTIFICATE, "", True, True), ("another certificate does", OTHER, "there is no Secret", False, False),
    ("cert-manager will make it", OTHER + CERT_MANAGER, "", True, False),
    ("it holds something else", NO_CERTIFICATE.replace("name: password", "name: cert"), "is of type Opaque and has no tls.crt", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("secrets", "problem", "works", "noted"), [each[1:] for each in SECRETS], ids=[each[0] for each in SECRETS])
def test_which_secrets_there_are(secrets, problem, works, noted):
    made = edge(a_gateway(a_listener("https", 443, "HTTPS", TLS)), secrets)
    status = listener(made, "https")
    assert status.works == works and any(problem in line.message for line in status.conditions)
    assert any("is taken to be there" in note for note in made.notes) == noted


def test_an_annotation_for_cert_manager_is_its_promise():
    text = a_gateway(a_listener("https", 443, "HTTPS", TLS)).replace("name: front", "name: front, annotations: {cert-manager.io/issuer: x}")
    made = edge(text, OTHER)
    assert listener(made, "https").works and not made.notes


def test_what_may_not_be_used_is_not_taken_to_be_there():
    made = edge(a_gateway(a_listener("https", 443, "HTTPS", TLS.replace("name: cert", "name: cert, namespace: other"))))
    assert lines(listener(made, "https"))["ResolvedRefs"] == "RefNotPermitted" and not made.notes


@pytest.mark.parametrize(("content", "problem"), CONTENTS)
def test_a_secret_that_cannot_be_a_certificate_is_none(content, problem):
    secret = (
        "---\n{apiVersion: v1, kind: Secret, metadata: {name: cert}, type: kubernetes.io/tls" + (f", {content}" if content else "") + "}\n"
    )
    status = listener(edge(a_gateway(a_listener("https", 443, "HTTPS", TLS)), secret), "https")
    line = next(each for each in status.conditions if each.type == "ResolvedRefs")
    assert (line.reason == "InvalidCertificateRef") == bool(problem) and problem in line.message
    assert status.works != bool(problem)


HOSTS = [
    ("", "a.com", "a.com"), ("a.com", "", "a.com"), ("a.com", "a.com", "a.com"), ("a.com", "b.com", None), ("*.a.com", "x.a.com", "x.a.com"),
    ("x.a.com", "*.a.com", "x.a.com"), ("*.a.com", "*.x.a.com", "*.x.a.com"), ("*.x.a.com", "*.a.com", "*.x.a.com"), ("*.a.com", "a.com", None),
    ("*.a.com", "*.b.com", None), ("*.a.com", "y.x.a.com", "y.x.a.com"),
]  # fmt: skip


@pytest.mark.parametrize(("listener", "hostname", "both"), HOSTS)
def test_hosts_in_common(listener, hostname, both):
    assert intersection(listener, hostname) == both


def test_an_http_and_a_grpc_route_cannot_share_a_host():
    old = a_route(name="old", hosts="a.com", more=', creationTimestamp: "2026-01-01T00:00:00Z"')
    new = a_route(name="new", hosts="a.com", kind="GRPCRoute", more=', creationTimestamp: "2026-02-01T00:00:00Z"')
    made = edge(PLAIN, new, old)
    assert (reasons(made, "old")[0], reasons(made, "new", "GRPCRoute")[0]) == ("Accepted", "NotAllowedByListeners")


# --- requests


def test_a_listener_is_alone_with_its_routes():
    made = edge(
        a_gateway(a_listener("any"), a_listener("foo", more="hostname: a.foo.com")),
        a_route("{name: a, port: 80}", name="all", parent="{name: front, sectionName: any}"),
        a_route("{name: b, port: 80}", name="foo", parent="{name: front, sectionName: foo}").replace(
            "rules: [{", "rules: [{matches: [{path: {value: /b}}], "
        ),
    )
    table = made.gateways["default/front"]
    found = [table.decide(request(url))[0] for url in ("http://x/", "http://a.foo.com/b", "http://a.foo.com/c")]
    assert [each.backend.name if each.backend else each.status for each in found] == ["a", "b", 404]


def test_a_connection_that_no_listener_is_for_gets_no_http_answer():
    table = edge(a_gateway(a_listener(protocol="HTTPS", port=443, more=f"hostname: a.com, {TLS}"))).gateways["default/front"]
    for url, words in (("https://b.com/", "handshake fails"), ("http://a.com/", "nothing listens on port 80")):
        (decision,) = table.decide(request(url))
        assert decision.response is None and decision.backend is None and words in decision.why


def test_tls_passed_through_goes_by_its_server_name():
    gateway = a_gateway(a_listener("tls", 443, "TLS", "tls: {mode: Passthrough}"))
    made = edge(
        gateway,
        a_route("{name: a, port: 80}", kind="TLSRoute", hosts="a.com"),
        a_route("{name: b, port: 80}", kind="TLSRoute", hosts="'*.b.com'", name="s"),
    )
    table = made.gateways["default/front"]
    found = [table.decide(request(f"https://{host}/secret"))[0] for host in ("a.com", "x.b.com", "c.com")]
    assert [each.backend.name if each.backend else None for each in found] == ["a", "b", None]


def test_a_port_for_tcp():
    made = edge(a_gateway(a_listener("db", 5432, "TCP")), a_route(kind="TCPRoute"))
    assert made.gateways["default/front"].decide(request("http://x:5432/"))[0].backend.name == "a"


GRPC = [
    ("{method: {service: s.S, method: Get}}", "/s.S/Get", True), ("{method: {service: s.S, method: Get}}", "/s.S/Put", False),
    ("{method: {service: s.S}}", "/s.S/Put", True), ("{method: {method: Get}}", "/other/Get", True), ("{method: {method: Get}}", "/other/Put", False),
    ("{method: {type: RegularExpression, service: 's\\..*', method: Get}}", "/s.T/Get", True), ("{headers: [{name: v, value: two}]}", "/s.S/Get", False),
]  # fmt: skip


@pytest.mark.parametrize(("match", "path", "fits"), GRPC)
def test_grpc_methods_are_paths(match, path, fits):
    text = a_route(kind="GRPCRoute").replace("rules: [{", f"rules: [{{matches: [{match}], ")
    (decision,) = edge(PLAIN, text).gateways["default/front"].decide(request(f"http://x{path}", "POST"))
    assert (decision.backend is not None) == fits


def test_client_certificates_are_refused_when_a_request_asks():
    text = a_gateway(a_listener(protocol="HTTPS", port=443, more=TLS), more=", tls: {frontend: {}}")
    with pytest.raises(UnsupportedError, match=r"spec\.tls"):
        edge(text).gateways["default/front"].decide(request("https://a.com/"))
    shown_to_backends = text.replace("frontend: {}", "backend: {clientCertificateRef: {name: cert}}")
    assert edge(shown_to_backends).gateways["default/front"].decide(request("https://a.com/"))[0].status == 404


MISTAKES = [
    (a_route().replace("backendRefs", "backendRef"), 'unknown field (did you mean "backendRefs"?)'),
    (a_gateway(a_listener(more="hostnam: x")), 'unknown field (did you mean "hostname"?)'),
    (GRANT.replace("to: [{group: '', kind: Service}]", "to: []"), "must have at least 1 items"),
    (a_route(kind="TLSRoute"), "spec.hostnames: required value"),
    (A_SET.replace("parentRef: {name: front}, ", ""), "spec.parentRef: required value"),
    (a_route().replace("rules: [{", "rules: [{matches: [{path: {type: RegularExpression, value: '('}}], "), "no regular expression"),
    (an_object("GatewayClass", "x", "controllerName: nobody"), "controllerName"),
    (a_route(kind="GRPCRoute").replace("rules: [{", "rules: [{matches: [{method: {}}], "), "One or both of 'service' or 'method'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes_have_a_place(text, message):
    with pytest.raises(ManifestError) as caught:
        loads(text, "a.yaml")
    assert message in str(caught.value) and str(caught.value).startswith("a.yaml:")


def test_a_listener_that_has_lost_takes_no_condition_from_the_one_that_works():
    wide, own = (
        a_listener(name, 443, "HTTPS", f"hostname: '{host}', {TLS}")
        for name, host in (("wide", "*.example.com"), ("www", "www.example.com"))
    )
    text = A_SET.replace("{name: http, port: 81, protocol: HTTP}", wide)
    made = edge(a_gateway(wide, own, more=LETS_IN), text)
    found = {each.name: lines(each).get("OverlappingTLSConfig") for each in made.statuses.listeners}
    assert list(found.values()) == ["OverlappingHostnames", "OverlappingHostnames", None]


def test_where_tls_is_passed_through_nobody_asks_for_client_certificates():
    text = a_gateway(a_listener("tls", 443, "TLS", "tls: {mode: Passthrough}"), more=", tls: {frontend: {}}")
    (decision,) = edge(text, a_route(kind="TLSRoute", hosts="a.com")).gateways["default/front"].decide(request("https://a.com/"))
    assert decision.backend is not None


MAKERS = [
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\nspec: {target: {name: cert}}\n",
    "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: cert}\nspec: {}\n",
    "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: cert}\nspec: {}\n",
]


@pytest.mark.parametrize("maker", MAKERS)
def test_what_a_controller_will_make_is_not_missing(maker):
    assert listener(edge(a_gateway(a_listener("https", 443, "HTTPS", TLS)), OTHER, "---\n" + maker), "https").works
