"""The journey of a request: two connections, what the controller sees and decides, the way back; in the library and in the terminal."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from ipaddress import ip_network

import pytest

from k8snetlib.cli import main
from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.apply import applied, deleted
from k8snetlib.kube.cast import GATEWAY, INGRESS, shop
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.breaks import breaks
from k8snetlib.kube.edge.http import Request, request
from k8snetlib.kube.edge.journey import forwarded, journeys
from k8snetlib.kube.edge.supplied import with_controllers
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.patch import patched
from k8snetlib.linux.events import Rewritten
from k8snetlib.value import replace
from k8snetlib.views.connections import connections_picture
from k8snetlib.views.journey import journey_text, layers
from k8snetlib.views.journey_picture import journey_picture
from k8snetlib.views.journeys import compared, heard
from k8snetlib.views.rewrites import rewrites

URL = "https://www.example.com/api/items"


def shop_with(entry=INGRESS, **settings) -> Cluster:
    return shop("vxlan", entry, **{"proxy": "iptables", "outside": True, "balancer": True} | settings)


@pytest.fixture(scope="module", params=[INGRESS, GATEWAY], ids=["ingress", "gateway"])
def cluster(request):
    return shop_with(request.param)


def test_two_connections_with_the_controller_between(cluster):
    found = cluster.journey(URL)
    assert str(found.response) == "200 OK"
    assert [(each.tail, each.head, each.secure, each.works) for each in found.connections] == [
        ("client", found.controller.name, True, True),
        (found.controller.name, "api-1", False, True),
    ]
    first, second = found.connections
    assert str(second.there.sent.src) == str(found.controller.pod_ips[0])
    assert second.there.end.packet.src == second.there.sent.src  # nothing translates a Pod's connection to a Pod
    assert str(first.back.end.packet.src) == "198.51.100.9"


@pytest.mark.parametrize("proxy", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize("cni", ["vxlan", "bgp", "vpc", "host-gw"])
def test_whichever_plug_in_and_mode(cni, proxy):
    found = shop(cni, INGRESS, proxy=proxy, outside=True, balancer=True).journey(URL)
    assert (found.response.status, found.pod.labels["app"]) == (200, "api")


@pytest.mark.parametrize("source", ["client", "pod/web"])
def test_a_kube_proxy_that_ends_connections_is_no_controller(source):
    cluster = shop("vxlan", INGRESS, proxy="userspace", outside=True, balancer=True)
    for follow in (cluster.journey, lambda *given, **more: journeys(cluster, *given, **more)):
        with pytest.raises(UnsupportedError, match="userspace"):
            follow(URL, source=source)


def test_outcomes_have_exact_shares(cluster):
    for found in (journeys(cluster, URL), journeys(cluster, URL, to="service")):
        assert sum(weight for weight, _ in found) == 1
        ways = Counter((each.connections[0].there.hops[2].netns, each.pod.name) for _, each in found)
        assert set(ways) == {(node, pod) for node in ("node-a", "node-b") for pod in ("api-1", "api-2")}
    assert by_pod(journeys(cluster, URL)) == {"api-1": Fraction(1, 2), "api-2": Fraction(1, 2)}


def by_pod(found) -> dict[str, Fraction]:
    """Each Pod's share, by whatever node its requests came in."""
    shares: dict[str, Fraction] = {}
    for weight, each in found:
        shares[each.pod.name] = shares.get(each.pod.name, Fraction(0)) + weight
    return shares


def test_whom_the_controller_sees_depends_on_the_policy(cluster):
    name = cluster.journey(URL).entry.service.name
    local = patched(cluster, f"svc/{name}", "edge", external_traffic_policy="Local")
    assert (cluster.journey(URL).sees, local.journey(URL).sees) == ("10.244.1.0", "203.0.113.7")
    assert local.journey(URL).connections[1].request.header("X-Forwarded-For") == "203.0.113.7"


def test_forwarded_headers_are_appended_to():
    sent = forwarded(request("http://x/", headers={"X-Forwarded-For": "192.0.2.1"}), "10.0.0.1")
    assert sent.headers == (("X-Forwarded-For", "192.0.2.1, 10.0.0.1"), ("X-Forwarded-Proto", "http"))


def test_a_request_that_no_rule_is_for_ends_at_the_controller(cluster):
    found = cluster.journey("http://www.example.com/nix")
    assert (found.response.status, found.why, len(found.connections)) == (404, "no rule matches", 1)


def test_no_ready_pod_is_503_and_the_client_hears_it(cluster):
    pods = tuple(replace(pod, conditions=replace_ready(pod)) if pod.labels.get("app") == "api" else pod for pod in cluster.pods)
    found = replace(cluster, pods=pods).journey(URL)
    assert (found.response.status, found.why) == (503, "Service shop/api has no ready endpoint for port 80")


def replace_ready(pod):
    from k8snetlib.kube.selectors import FrozenDict

    return FrozenDict({**pod.conditions, "Ready": "False"})


def test_from_inside_the_cluster_to_the_service_of_the_controller(cluster):
    found = cluster.journey("http://www.example.com/web", source="pod/web")
    assert (found.response.status, found.sees, found.pod.name) == (200, "10.244.1.2", "web")


def test_straight_to_the_application_without_a_controller(cluster):
    made = patched(cluster, "svc/web", type="LoadBalancer")
    found = made.journey("http://www.example.com/web", name="service/shop/web")
    assert (found.response.status, found.pod.name, found.controller, len(found.connections), found.decision) == (200, "web", None, 1, None)
    assert found.connections[0].request.header("X-Forwarded-For") is None
    shares = journeys(made, "http://www.example.com/web", name="service/web")
    assert sum(weight for weight, _ in shares) == 1 and all(each.answered for _, each in shares)
    assert "Pod shop/web on node-a" in journey_text(found) and journey_picture(found).alt
    lost = patched(made, "pod/web", ready=False).journey("http://www.example.com/web", name="service/shop/web")
    assert lost.response is None and lost.why.startswith("the connection to the controller fails") is False


def test_by_a_nodes_port(cluster):
    found = cluster.journey(URL, node="node-b")
    assert (str(found.connections[0].there.sent.dst), found.connections[0].there.sent.dport) == ("192.168.50.12", 30443)
    assert found.response.status == 200


def test_without_a_balancer_the_nodes_port_is_the_way_in():
    found = shop_with(balancer=False).journey(URL)
    assert (str(found.connections[0].there.sent.dst), found.response.status) == ("192.168.50.11", 200)


def test_redirects_and_weights_on_the_way():
    more = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: extra, namespace: shop}
spec:
  parentRefs: [{name: front, namespace: edge, sectionName: http}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {type: Exact, value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]
  - matches: [{path: {value: /v}}]
    backendRefs: [{name: api, port: 80, weight: 3}, {name: web, port: 80, weight: 1}]
"""
    base = shop_with(GATEWAY)
    manifests = replace(base.manifests, objects=(*base.manifests.objects, *loads(more).objects))
    cluster = Cluster.of(manifests, cni="vxlan", proxy="iptables", outside=True, balancer=True)
    redirect = cluster.journey("http://shop.example.com/old?x=1")
    assert (redirect.response.status, redirect.response.header("Location")) == (302, "https://shop.example.com/old?x=1")
    shares = {"api-1": Fraction(3, 8), "api-2": Fraction(3, 8), "web": Fraction(1, 4)}
    assert by_pod(journeys(cluster, "http://shop.example.com/v")) == shares
    assert cluster.journey("http://shop.example.com/v", draw=Fraction(3, 4)).pod.name == "web"


def test_objects_are_applied_and_deleted():
    cluster = shop_with()
    text = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  ingressClassName: edge
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
"""
    made = applied(cluster, text)
    assert (cluster.journey(URL).pod.name, made.journey(URL).pod.name, made.with_cni("bgp").journey(URL).pod.name) == (
        "api-1",
        "web",
        "web",
    )
    with pytest.raises(ModelError, match="no Ingress and no Gateway"):
        deleted(made, "ingressclass/edge").journey(URL)
    for reference, words in (("pod/web", "what can be deleted"), ("ingress/nix", "there is no ingress/nix"), ("ingress", "what can be")):
        with pytest.raises(ModelError, match=words):
            deleted(cluster, reference)
    with pytest.raises(ModelError, match="can be applied"):
        applied(cluster, "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}")


def test_what_cannot_be_asked_is_said():
    with pytest.raises(ModelError, match="no client outside"):
        shop_with(outside=False).journey(URL)
    with pytest.raises(ModelError, match="no port 8080"):
        shop_with().journey("http://www.example.com:8080/")
    with pytest.raises(ModelError, match="no way in here"):
        shop_with().journey(URL, name="ingress/other")
    with pytest.raises(ModelError, match="no Ingress and no Gateway"):
        shop(proxy="iptables", outside=True).journey(URL)


BOTH = [INGRESS, GATEWAY]
OWN = """
apiVersion: v1
kind: Pod
metadata: {name: front, labels: {app: front}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 3000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: front}, ports: [{port: 80, targetPort: 3000}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: mine}
spec:
  ingressClassName: nginx
  rules: [{host: my.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 80}}}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate}
spec: {gatewayClassName: eg, listeners: [{name: web, port: 8080, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mine}
spec: {parentRefs: [{name: gate}], rules: [{backendRefs: [{name: front, port: 80}]}]}
"""


def test_a_controller_is_supplied_where_none_is():
    manifests = with_controllers(loads(OWN))
    cluster = Cluster.of(manifests, outside=True, balancer=True)
    for url, name in (("http://my.example.com/", "ingress/nginx"), ("http://my.example.com:8080/", "gateway/default/gate")):
        assert cluster.journey(url, name=name).pod.name == "front"
    (note,) = manifests.notes
    assert "Ingress, Gateway default/gate" in note
    assert with_controllers(manifests) is manifests


# --- the command


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["trace", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_url_in_the_terminal(capsys):
    code, out, _ = run(capsys, "--from", "client", "--to", URL)
    assert code == 0
    assert "edge-1 takes 10.244.1.0 for its client" in out and "rule “Prefix /api” of Ingress shop/shop" in out
    assert "delivered to api-1" in out and out.count("# the packets of connection") == 2
    code, out, _ = run(capsys, "--from", "client", "--to", URL.replace("https", "HTTPS"), "--reply")
    heads = [line.rpartition("n ")[2] for line in out.splitlines() if line.startswith("# the packets")]
    assert code == 0 and heads == [
        "1, client → edge-1",
        "2, edge-1 → api-1",
        "2, edge-1 ← api-1, the answer",
        "1, client ← edge-1, the answer",
    ]


def test_a_url_as_json(capsys):
    code, out, _ = run(capsys, "--from", "client", "--to", "http://www.example.com/nix", "--json")
    answer = json.loads(out)
    assert (code, answer["status"], answer["backend"], len(answer["connections"])) == (1, 404, None, 1)


WRONG = [
    (["--to", URL, "--all"], "does not go with --all"), (["--to", "svc/api:80", "--header", "A: b"], "--header: only with"),
    (["--to", URL, "-n", "shop"], "does not go with --namespace"), (["--to", URL, "--header", "X Y: 1"], "no name of a header"),
    (["--to", URL, "--header", "Host: a"], "the URL's host"),
    (["--to", URL, "--header", "nothing"], "NAME: VALUE"), (["--to", "http://a b/"], "is no URL"), (["--to", URL, "--entry", "x"], "no way in here"),
    (["--to", URL, "--via", "svc/nix"], "no Service 'nix'"), (["--to", "https://www.example.com:9/"], "no port 9"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_mistakes_are_one_line(capsys, arguments, message):
    code, out, err = run(capsys, "--from", "client", *arguments)
    assert (code, out) == (2, "") and message in err.splitlines()[-1]


def test_own_manifests_need_a_controller(capsys, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    code, _, err = run(capsys, file, "--from", "client", "--to", "http://my.example.com/")
    assert code == 2 and "--controller" in err
    code, out, err = run(
        capsys, file, "--from", "client", "--to", "http://my.example.com/", "--controller", "--entry", "ingress/nginx", "--short"
    )
    assert code == 0 and "supplied here" in err and "200 OK" in out


def test_a_handshake_that_fails_shows_no_certificate(cluster):
    found = cluster.journey(Request("www.example.com", "/api", scheme="https", port=80))
    assert (found.response, found.certificate, found.heard) == (None, "", False)
    assert "the handshake fails" in found.why
    assert "TLS ends here" not in journey_text(found) + journey_picture(found).svg


def test_a_supplied_controller_listens_at_every_port_each_with_one_of_its_own():
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: front}\nspec: {gatewayClassName: edge, listeners: "
        "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 8080, protocol: HTTP}]}\n---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more}\nspec: {parentRef: {name: front}, listeners: "
        "[{name: c, port: 81, protocol: HTTP}]}\n"
    )
    made = Cluster.of(with_controllers(loads(text)))
    (service,) = (each for each in made.services if each.namespace == "k8snet-edge")
    assert [(each.port, each.target_port) for each in service.ports] == [(80, 8081), (81, 8082), (8080, 8080)]


# --- behind a balancer that ends connections

ENDING = [("Proxy", "vxlan", "IPv4"), ("Proxy", "bgp", "IPv6"), ("Pods", "vpc", "IPv4"), ("Pods", "bgp-tor", "IPv6")]


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize(("kind", "cni", "family"), ENDING)
def test_a_balancer_that_ends_connections_makes_three_of_two(kind, cni, family, policy):
    cluster = shop(cni, INGRESS, proxy="iptables", outside=True, balancer=kind, families=(family,))
    cluster = patched(cluster, "svc/edge", "edge", external_traffic_policy=policy)
    found = cluster.journey(URL)
    first, second, third = found.connections
    assert [(each.tail, each.head, each.secure, each.works) for each in found.connections] == [
        ("client", "load balancer", True, True), ("load balancer", "edge-1", True, True), ("edge-1", found.pod.name, False, True),
    ]  # fmt: skip
    assert (found.balanced, found.incoming, found.onward, found.answered) == (True, second, third, True)
    router = {"IPv4": "192.168.50.1", "IPv6": "fd00:50::1"}[family]
    assert (str(second.there.sent.src), first.there.sent.dst) == (router, found.entry.service.load_balancer_ingress[0].ip)
    if policy == "Local" or kind == "Pods":
        assert found.sees == third.request.header("X-Forwarded-For") == router
    assert not [event for event in first.there.all(Rewritten, 0) if event.what != "TTL"], "nobody translates the client's connection"


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize(("kind", "cni", "family"), ENDING)
def test_it_sends_where_the_rules_that_stand_for_it_send(kind, cni, family, policy):
    """A packet's trace has such a balancer as rules, which the kernel's own are held against; the journey has it as a process."""
    cluster = shop(cni, INGRESS, proxy="iptables", outside=True, balancer=kind, families=(family,))
    cluster = patched(cluster, "svc/edge", "edge", external_traffic_policy=policy)

    def seen(trace) -> tuple:
        return trace.end.netns, trace.end.packet.src, trace.end.packet.dst, trace.end.packet.dport, trace.end.packet.ttl

    as_rules, as_process = Counter(), Counter()
    for weight, trace in cluster.traces("client", "lb/edge/edge:443"):
        as_rules[seen(trace)] += weight
    for weight, found in journeys(cluster, URL):
        as_process[seen(found.incoming.there)] += weight
    assert {key[:4]: weight for key, weight in as_rules.items()} == {key[:4]: weight for key, weight in as_process.items()}
    assert {key[4] for key in as_process} == {key[4] + 1 for key in as_rules}, "a process sends a packet of its own, with a TTL of its own"


def test_chance_chooses_among_those_behind_it():
    cluster = shop_with(balancer="Proxy")
    called = [str(cluster.journey(URL, chance=lambda _, p, yes=yes: yes).incoming.there.sent.dst) for yes in (True, False)]
    assert called == ["192.168.50.11", "192.168.50.12"]


def test_a_balancer_whose_own_connection_fails_closes_the_clients():
    cluster = patched(shop_with(balancer="Proxy"), "svc/edge", "edge", selector={"app": "nobody"})
    found = cluster.journey(URL)
    assert [each.works for each in found.connections] == [True, False]
    assert (found.answered, found.refused, found.closed) == (False, False, True)
    assert found.why.startswith("the balancer's own connection fails: ") and found.controller is None
    assert heard(found) == "nothing: the balancer takes its connection, and closes it"
    assert "load balancer" in journey_picture(found).alt and journey_text(found)


def test_with_nobody_behind_it_no_connection_is_made():
    cluster = patched(shop_with(balancer="Proxy"), "svc/edge", "edge", selector={"app": "nobody"}, external_traffic_policy="Local")
    found = cluster.journey(URL)
    assert [each.works for each in found.connections] == [False] and not found.balanced and not found.answered
    assert [not each.answered for _, each in journeys(cluster, URL)] == [True]


@pytest.mark.parametrize(("kind", "cni", "family"), ENDING)
def test_it_takes_no_connection_from_outside_the_source_ranges(kind, cni, family):
    cluster = shop(cni, INGRESS, proxy="iptables", outside=True, balancer=kind, families=(family,))
    mine, other = (ip_network(each) for each in (("203.0.113.0/24", "192.0.2.0/24"), ("2001:db8:113::/64", "3fff::/20"))[family == "IPv6"])
    inside, outside = (patched(cluster, "svc/edge", "edge", load_balancer_source_ranges=ranges) for ranges in ((other, mine), (other,)))
    assert [len(each.connections) for _, each in journeys(inside, URL) if each.answered] == [3] * len(journeys(cluster, URL))
    found = outside.journey(URL)
    assert journeys(outside, URL) == [(1, found)]
    assert [(each.tail, each.head, each.works) for each in found.connections] == [("client", "load balancer", False)]
    assert (found.balanced, found.answered, found.refused, found.closed, found.controller) == (True, False, False, False, None)
    assert found.why == "the connection fails: NETFILTER_DROP in underlay" and heard(found) == "nothing: it waits, then gives up"
    assert outside.journey(URL, node="node-b").answered, "the node port stays open"
    assert heard(breaks(cluster, URL)["ranges"].journey(URL)) == heard(found)


def test_without_a_controller_the_balancers_connection_leads_to_the_pod():
    cluster = patched(shop_with(balancer="Proxy"), "svc/api", "shop", type="LoadBalancer", external_traffic_policy="Local")
    found = cluster.journey("http://www.example.com/", name="service/shop/api")
    assert [(each.tail, each.head) for each in found.connections] == [("client", "load balancer"), ("load balancer", found.pod.name)]
    assert (found.sees, found.onward, found.response.status) == ("192.168.50.1", None, 200)


def test_every_view_shows_three_connections():
    found = shop_with(balancer="Proxy").journey(URL)
    html = layers(found)
    assert "connections: 3" in html and "3. edge-1 → api-1, plain HTTP" in html and "2. load balancer → edge-1, TLS" in html
    assert journey_picture(found).alt.count("Connection ") == 3
    picture = connections_picture(found)
    assert "Connection 3, plain HTTP: edge-1 to" in picture.alt
    assert "received by load balancer, which sees 203.0.113.7" in picture.alt and "TLS ends in edge-1" in picture.alt
    rows = rewrites(found).rows
    assert [row[3] for row in rows if row[1] == "connection"] == ["load balancer", "edge-1"]
    assert [row[3] for row in rows if row[1] == "TLS"] == ["edge-1"]
    assert compared({"it": found}, "connections", "TLS ends at").rows == (("it", "3", "edge-1"),)
    assert "load balancer      ends the client's connection and opens its own, from 192.168.50.1" in journey_text(found)


def test_in_the_terminal_a_balancer_that_ends_connections_is_a_connection_more(capsys):
    code, out, _ = run(capsys, "--from", "client", "--to", URL, "--balancer-kind", "Proxy", "--json")
    ends = [(each["from"], each["to"]) for each in json.loads(out)["connections"]]
    assert (code, ends) == (0, [("client", "load balancer"), ("load balancer", "edge-1"), ("edge-1", "api-1")])
