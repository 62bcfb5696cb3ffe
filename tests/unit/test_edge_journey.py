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
from k8snetlib.kube.edge.entry import HOME_LABEL
from k8snetlib.kube.edge.http import Request, request
from k8snetlib.kube.edge.journey import forwarded, journeys
from k8snetlib.kube.edge.supplied import with_controllers
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.patch import patched
from k8snetlib.kube.schema_places import Document
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
    with pytest.raises(ModelError, match="no TCP port 8080"):
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
    (["--to", URL, "--via", "svc/nix"], "no Service 'nix'"), (["--to", "https://www.example.com:9/"], "no TCP port 9"),
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


def test_a_way_in_for_ingresses_without_a_class_is_named(capsys, tmp_path):
    file = tmp_path / "classless.yaml"
    file.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\n"
        "spec: {defaultBackend: {service: {name: nobody, port: {number: 80}}}}\n"
    )
    _, out, _ = run(capsys, file, "--from", "client", "--to", "http://a.example/", "--controller")
    assert "ingress/ (Ingresses without a class), Service" in out


def test_a_handshake_that_fails_shows_no_certificate(cluster):
    found = cluster.journey(Request("www.example.com", "/api", scheme="https", port=80))
    assert (found.response, found.certificate, found.heard) == (None, "", False)
    assert "the handshake fails" in found.why
    assert "TLS ends here" not in journey_text(found) + journey_picture(found).svg


def test_a_supplied_controller_listens_at_every_port_each_with_one_of_its_own():
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: front}\n"
        "spec: {gatewayClassName: edge, allowedListeners: {namespaces: {from: Same}}, listeners: "
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
    assert (
        found.why == "the connection fails: NETFILTER_DROP in load balancer, which keeps this client out"
        and heard(found) == "nothing: it waits, then gives up"
    )
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


# --- what other people's manifests have

APP = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {ingressClassName: edge, rules: [{host: a.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: BACK, port: {number: 80}}}}]}}]}
---
"""


def applying(*texts: str, back: str = "web", **settings) -> Cluster:
    made = with_controllers(loads("\n---\n".join([APP.replace("BACK", back), *texts])))
    return Cluster.of(made, **{"proxy": "iptables", "outside": True, "balancer": True} | settings)


NAMES = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: named, labels: {kubernetes.io/service-name: named}}
addressType: FQDN
ports: [{port: 80}]
endpoints: [{addresses: ["db.example.com"]}]
---
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {type: LoadBalancer, HEADLESSports: [{port: 80}]}
"""


@pytest.mark.parametrize(("balancer", "cni"), [("VIP", "vxlan"), ("Proxy", "vxlan"), ("Pods", "vpc")])
def test_endpoints_that_are_names_are_none(balancer, cni):
    cluster = applying(NAMES.replace("HEADLESS", ""), back="named", balancer=balancer, cni=cni)
    assert cluster.journey("http://a.com/").response.status == 503
    assert not cluster.trace("client", "lb/named:80").delivered
    assert cluster.journey("http://a.com/", name="service/default/named").response is None
    headless = applying(NAMES.replace("type: LoadBalancer, HEADLESS", "clusterIP: None, "), back="named")
    with pytest.raises(ModelError, match="has no ready endpoint"):
        headless.trace("pod/web", "svc/named:80")


BOTH = "apiVersion: v1\nkind: Service\nmetadata: {name: both}\nspec: {selector: {app: web}, TYPEports: [{name: h3, port: 80, protocol: UDP, targetPort: 9}, {name: h1, port: 80, targetPort: http}]}\n"


@pytest.mark.parametrize("balancer", ["VIP", "Proxy"])
def test_http_goes_to_the_port_for_tcp(balancer):
    cluster = applying(BOTH.replace("TYPE", ""), back="both", balancer=balancer)
    assert cluster.journey("http://a.com/").response.status == 200
    assert cluster.journey("http://a.com/", to="service").response.status == 200
    straight = applying(BOTH.replace("TYPE", "type: LoadBalancer, "), balancer=balancer).journey(
        "http://b.com/", name="service/default/both"
    )
    assert straight.response.status == 200 and all(type(each.there.sent.payload).__name__ == "Tcp" for each in straight.connections)


def test_a_service_without_a_port_for_tcp_has_no_way_in():
    text = BOTH.replace("TYPE", "type: LoadBalancer, ").replace(", {name: h1, port: 80, targetPort: http}", "")
    with pytest.raises(ModelError, match="no TCP port 80"):
        applying(text).journey("http://b.com/", name="service/default/both")


SIX = "apiVersion: v1\nkind: Service\nmetadata: {name: six}\nspec: {selector: {app: web}, ipFamilies: [IPv6], ports: [{port: 80, targetPort: http}]}\n"


@pytest.mark.parametrize("to", ["endpoints", "service"])
@pytest.mark.parametrize("balancer", ["VIP", "Proxy"])
def test_a_controller_with_both_families_joins_them(balancer, to):
    cluster = applying(SIX, back="six", balancer=balancer, families=("IPv4", "IPv6"))
    found = cluster.journey("http://a.com/", to=to)
    assert (found.response.status, found.connections[0].there.sent.dst.version, found.onward.there.sent.dst.version) == (200, 4, 6)
    assert {each.response.status for _, each in journeys(cluster, "http://a.com/", to=to)} == {200}


def test_a_balancer_with_a_nodes_own_address_is_no_machine_beside_it():
    """Balancers in software report a node's address, some of them with ipMode Proxy."""
    status = "\nstatus: {loadBalancer: {ingress: [{ip: 192.168.50.11, ipMode: Proxy}]}}\n"
    cluster = applying(BOTH.replace("TYPE", "type: LoadBalancer, ").rstrip() + status, balancer=False)
    found = cluster.journey("http://b.com/", name="service/default/both")
    assert found.response.status == 200 and len(found.connections) == 1


NGINX = """
apiVersion: v1
kind: Service
metadata: {name: SVC, namespace: ingress-nginx, labels: {app.kubernetes.io/component: controller}}
spec: {selector: {app: nginx}, type: TYPE, ports: [PORTS]}
"""
NGINX_POD = """
apiVersion: v1
kind: Pod
metadata: {name: nginx-1, namespace: ingress-nginx, labels: {app: nginx}}
spec: {containers: [{name: nginx, image: nginx, ports: [{name: http, containerPort: 80}, {name: https, containerPort: 443}]}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: ingress-nginx}
"""


def nginx_service(name: str, type: str, ports: str) -> str:
    return NGINX.replace("SVC", name).replace("TYPE", type).replace("PORTS", ports)


WEB = "{name: http, port: 80, targetPort: http}, {name: https, port: 443, targetPort: https}"


def test_an_admission_webhook_is_no_way_in():
    """ingress-nginx's own manifests label both of their Services as the controller's."""
    admission = nginx_service("admission", "ClusterIP", "{name: https-webhook, port: 443, targetPort: 8443}")
    cluster = applying(NGINX_POD, nginx_service("controller", "LoadBalancer", WEB), admission)
    found = cluster.journey("http://a.com/")
    assert (found.entry.service.key, found.controller.key) == ("ingress-nginx/controller", "ingress-nginx/nginx-1")


def test_another_projects_controller_is_none_for_ingress():
    other = NGINX.replace("SVC", "cert-manager").replace("TYPE", "ClusterIP").replace("PORTS", "{port: 9402}")
    found = applying(other, NGINX_POD).journey("http://a.com/")
    assert found.entry.service.namespace == "k8snet-edge" and found.response.status == 200


def a_gateway_of(namespace: str, name: str, host: str, route: str = "r") -> str:
    api = "apiVersion: gateway.networking.k8s.io/v1\n"
    spec = f"{{gatewayClassName: edge, listeners: [{{name: http, port: 80, protocol: HTTP, hostname: {host}, allowedRoutes: {{namespaces: {{from: All}}}}}}]}}"
    return (
        f"{api}kind: Gateway\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
        f"{api}kind: HTTPRoute\nmetadata: {{name: {route}}}\nspec: {{parentRefs: [{{name: {name}, namespace: {namespace}}}], hostnames: [{host}], "
        "rules: [{backendRefs: [{name: web, port: 80}]}]}\n"
    )


def test_gateways_of_one_name_have_a_controller_each():
    cluster = applying(a_gateway_of("a", "gw", "x.com"), a_gateway_of("b", "gw", "y.com", "s"))
    for host, entry in (("x.com", "gateway/a/gw"), ("y.com", "gateway/b/gw")):
        found = cluster.journey(f"http://{host}/", name=entry)
        assert (found.response.status, found.entry.service.labels[HOME_LABEL]) == (200, entry.split("/")[1])


def test_a_gateway_is_not_reached_by_a_namesakes_service():
    own = """
apiVersion: v1
kind: Service
metadata: {name: gw-x, namespace: a, labels: {gateway.networking.k8s.io/gateway-name: gw}}
spec: {selector: {app: web}, type: LoadBalancer, ports: [{port: 80, targetPort: 8080}]}
"""
    cluster = applying(a_gateway_of("a", "gw", "x.com"), a_gateway_of("b", "gw", "y.com", "s"), own)
    services = [
        cluster.journey(f"http://{host}/", name=name).entry.service.key
        for host, name in (("x.com", "gateway/a/gw"), ("y.com", "gateway/b/gw"))
    ]
    assert services == ["a/gw-x", "k8snet-edge/gateway-b-gw"]


@pytest.mark.parametrize(("namespace", "name"), [("a", "my.front.example"), ("n" * 50, "g" * 40), ("a", "g" * 200)])
def test_a_supplied_controllers_name_is_a_services(namespace, name):
    found = applying(a_gateway_of(namespace, name, "x.com")).journey("http://x.com/", name=f"gateway/{namespace}/{name}")
    assert found.response.status == 200


def test_supplied_controllers_have_names_of_their_own():
    cluster = applying(a_gateway_of("a-b", "c", "x.com"), a_gateway_of("a", "b-c", "y.com", "s"))
    assert (
        len({cluster.journey(f"http://{h}/", name=f"gateway/{n}").entry.service.key for h, n in (("x.com", "a-b/c"), ("y.com", "a/b-c"))})
        == 2
    )


def test_a_supplied_controller_listens_for_what_is_let_in_and_by_its_protocol():
    more = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more, namespace: a}\n"
        "spec: {parentRef: {name: gw}, listeners: [{name: c, port: 81, protocol: HTTP}]}\n"
    )
    gateway = a_gateway_of("a", "gw", "x.com").replace("listeners: [", "listeners: [{name: dns, port: 53, protocol: UDP}, ")
    (service,) = (each for each in applying(gateway, more).services if each.name == "gateway-a-gw")
    assert [(each.port, each.protocol) for each in service.ports] == [(53, "UDP"), (80, "TCP")]
    let_in = gateway.replace("gatewayClassName", "allowedListeners: {namespaces: {from: Same}}, gatewayClassName")
    (service,) = (each for each in applying(let_in, more).services if each.name == "gateway-a-gw")
    assert [each.port for each in service.ports] == [53, 80, 81]


SECURE = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: tls}\nspec: {ingressClassName: edge, tls: [{hosts: [a.com], secretName: cert}]}\n".replace(
    "}]}", "}], defaultBackend: {service: {name: web, port: {number: 80}}}}"
)
CONTENT = "{apiVersion: v1, kind: Secret, metadata: {name: NAME}, type: kubernetes.io/tls, data: {tls.crt: CRT, tls.key: CRT}}\n"
PEM = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"
CERTIFICATES = [
    ("no Secret is told of", "", "default/cert", "is taken to be there"), ("it is there", CONTENT.replace("NAME", "cert").replace("CRT", PEM), "default/cert", ""),
    ("another is", CONTENT.replace("NAME", "other").replace("CRT", PEM), "", "there is no Secret default/cert: the controller shows a certificate of its own"),
    ("it is none", CONTENT.replace("NAME", "cert").replace("CRT", "SGVsbG8="), "", "tls.crt holds no PEM block"),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "shown", "note"), [each[1:] for each in CERTIFICATES], ids=[each[0] for each in CERTIFICATES])
def test_the_certificate_of_an_ingress_is_a_secrets(secret, shown, note):
    cluster = applying(SECURE, *([secret] if secret else []))
    assert cluster.journey("https://a.com/").certificate == shown
    assert any(note in each for each in cluster.edge.notes) if note else not cluster.edge.notes


# --- a stranger is told why

GATE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate}
spec: {gatewayClassName: edge, listeners: [{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [PARENT], rules: [{RULE}]}
"""
BACKEND = "backendRefs: [{name: web, port: 80}]"


def routed_by(parent: str = "{name: gate}", rule: str = BACKEND, *more: str) -> Cluster:
    return applying(GATE, ROUTE.replace("PARENT", parent).replace("RULE", rule), *more)


def told(cluster: Cluster, url: str, entry: str = "gateway/default/gate") -> str:
    return journey_text(cluster.journey(url, name=entry))


WHY = [
    ("{name: gate, sectionName: nix}", "http://x.com/", "not attached       HTTPRoute default/r: NoMatchingParent"),
    ("{name: gat}", "http://x.com/", "not attached       HTTPRoute default/r: there is no Gateway default/gat"),
    ("{name: gate}", "https://x.com/", "nothing listens on port 443: Gateway default/gate#https is not programmed (InvalidCertificateRef: there is no Secret default/cert)"),
]  # fmt: skip


@pytest.mark.parametrize(("parent", "url", "words"), WHY)
def test_why_a_gateway_does_not_answer(parent, url, words):
    other = "{apiVersion: v1, kind: Secret, metadata: {name: other}, type: kubernetes.io/tls}\n"
    text = told(routed_by(parent, BACKEND, other), url)
    assert words in text


def test_a_set_that_is_not_let_in_is_told():
    more = "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more}\nspec: {parentRef: {name: gate}, listeners: [{name: c, port: 80, protocol: HTTP, hostname: y.com}]}\n"
    text = told(routed_by("{kind: ListenerSet, name: more}", BACKEND, more), "http://y.com/")
    assert "ListenerSet default/more: NotAllowed" in text and "HTTPRoute default/r: NoMatchingParent" in text


def test_redirects_and_copies_are_shown():
    redirect = "filters: [{type: RequestRedirect, requestRedirect: {hostname: other.com}}]"
    assert "Location: http://other.com/a" in told(routed_by(rule=redirect), "http://x.com/a")
    mirror = BACKEND + ", filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}]"
    assert "copies to          default/web:80" in told(routed_by(rule=mirror), "http://x.com/a")


def test_a_default_backend_is_no_rule_for_a_path():
    ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: d}\nspec: {ingressClassName: edge, defaultBackend: {service: {name: web, port: {number: 80}}}}\n"
    text = journey_text(applying(ingress).journey("http://b.com/", name="ingress/edge"))
    assert "“everything else”" in text and "Prefix /" not in text


def test_a_way_in_without_an_address_is_told():
    cluster = applying(balancer=False)
    found = cluster.journey("http://a.com/")
    sent = found.connections[0].there.sent
    assert f"which has no address outside: the client calls {sent.dst}:{sent.dport}" in journey_text(found)


def test_a_balancer_with_nobody_behind_it_is_named():
    cluster = patched(shop_with(balancer="Proxy"), "svc/edge", "edge", selector={"app": "nobody"}, external_traffic_policy="Local")
    found = cluster.journey(URL)
    assert found.connections[0].head == "load balancer" and found.why.endswith("in load balancer, which has nobody to send to")


def test_a_load_balancer_with_a_name_alone_is_not_pending():
    status = "\nstatus: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}\n"
    cluster = applying(BOTH.replace("TYPE", "type: LoadBalancer, ").rstrip() + status, balancer=False)
    with pytest.raises(ModelError, match=r"reached by the name lb\.example\.com"):
        cluster.trace("client", "lb/both:80", "tcp")


def test_json_has_the_share_the_listener_and_the_service(capsys):
    code, out, _ = run(capsys, "--from", "client", "--to", URL, "--json")
    answer = json.loads(out)
    assert (code, answer["service"], answer["share"], answer["mirrors"]) == (0, "edge/edge", "1", [])


def test_a_client_outside_the_source_ranges_is_kept_out_by_the_balancer():
    ranges = (ip_network("192.0.2.0/24"),)
    cluster = patched(shop_with(balancer="Proxy"), "svc/edge", "edge", load_balancer_source_ranges=ranges)
    assert cluster.journey(URL).why.endswith("in load balancer, which keeps this client out")


def test_where_tls_is_passed_through_it_ends_in_the_pod():
    gate = GATE.replace("certificateRefs: [{name: cert}]", "mode: Passthrough").replace("protocol: HTTPS", "protocol: TLS")
    route = ROUTE.replace("HTTPRoute", "TLSRoute").replace("PARENT", "{name: gate}").replace("{RULE}", "{" + BACKEND + "}")
    cluster = applying(gate, route.replace("rules:", "hostnames: [x.com], rules:"))
    found = cluster.journey("https://x.com/", name="gateway/default/gate")
    assert (found.pod.name, found.certificate, found.answered) == ("web", "", True)
    picture = journey_picture(found)
    assert "TLS ends here" in picture.svg and "passed on, unread" in picture.svg and "TLS ends here:" not in picture.svg


def test_a_state_that_has_had_such_a_journey_takes_another():
    cluster = shop_with(balancer="Proxy")
    found = cluster.journey(URL)
    again = cluster.journey(URL, network=found.connections[-1].there.network)
    plain = cluster.journey(URL.replace("https", "http"), network=again.connections[0].there.network)
    assert (again.response.status, len(again.connections), plain.response.status) == (200, 3, 200)


SHARED = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {selector: {app: web}, type: LoadBalancer, ports: [{port: PORT, targetPort: http}]}\nstatus: {loadBalancer: {ingress: [{ip: 198.51.100.50, ipMode: Proxy}]}}\n"


def test_two_services_may_share_the_address_of_a_balancer_that_ends_connections():
    texts = [SHARED.replace("NAME", name).replace("PORT", port) for name, port in (("one", "80"), ("two", "81"))]
    cluster = applying(*texts)
    for name, port in (("one", 80), ("two", 81)):
        assert cluster.trace("client", f"lb/default/{name}:{port}").delivered
        assert cluster.journey(f"http://x.com:{port}/", name=f"service/default/{name}").response.status == 200


def test_an_address_that_is_shared_with_dns_leads_to_the_web():
    dns = SHARED.replace("NAME", "dns").replace("port: PORT", "port: 53, protocol: UDP").replace(", ipMode: Proxy", "")
    edge = SHARED.replace("NAME", "edge").replace("PORT", "80").replace(", ipMode: Proxy", "")
    ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: d}\nspec: {ingressClassName: edge, defaultBackend: {service: {name: web, port: {number: 80}}}}\nstatus: {loadBalancer: {ingress: [{ip: 198.51.100.50}]}}\n"
    assert applying(dns, edge, ingress).journey("http://x.com/").entry.service.key == "default/edge"


def test_a_service_that_has_a_name_alone_is_called_by_its_node_port():
    status = "\nstatus: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}\n"
    text = BOTH.replace("TYPE", "type: LoadBalancer, ").rstrip() + status
    found = applying(text, balancer=False).journey("http://b.com/", name="service/default/both")
    assert found.response.status == 200 and "whose name lb.example.com nobody here knows: the client calls 192.168.50.11:" in journey_text(
        found
    )


HOSTS_OWN = "apiVersion: v1\nkind: Pod\nmetadata: {name: own, namespace: NS, labels: {app: own}}\nspec: {hostNetwork: true, nodeName: NODE, containers: [{name: c, image: c, ports: [{containerPort: PORT}]}]}\n"


def test_the_receiver_on_a_node_is_the_pod_of_that_node():
    nodes = "".join(f"apiVersion: v1\nkind: Node\nmetadata: {{name: {n}}}\n---\n" for n in ("node-a", "node-b"))
    pods = [
        HOSTS_OWN.replace("NS", ns).replace("NODE", node).replace("PORT", port)
        for ns, node, port in (("abc", "node-a", "81"), ("default", "node-b", "80"))
    ]
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: own}\nspec: {selector: {app: own}, type: NodePort, ports: [{port: 80}]}\n"
    found = applying(nodes, *pods, service).journey("http://x.com/", name="service/default/own")
    assert found.pod.key == "default/own"


def test_many_secrets_in_one_list_are_read_in_no_time():
    """What ``kubectl get -o yaml`` prints is one List; each Secret of it is looked at once."""
    item = "- {{apiVersion: v1, kind: Secret, metadata: {{name: s{n}}}, type: kubernetes.io/tls, data: {{tls.crt: &c{n} {pem}, tls.key: *c{n}}}}}"
    secrets = "apiVersion: v1\nkind: List\nitems:\n" + "\n".join(item.format(n=n, pem=PEM) for n in range(400))
    tls = "tls: [" + ", ".join(f"{{hosts: [h{n}.com], secretName: s{n}}}" for n in range(400)) + "]"
    ingress = f"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: many}}\nspec: {{ingressClassName: edge, {tls}, defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n"
    cluster = applying(secrets, ingress)
    looked: list[tuple] = []
    find = Document.find
    Document.find = lambda self, path: looked.append(path) or find(self, path)
    try:
        assert cluster.journey("https://h7.com/").certificate == "default/s7" and not cluster.edge.notes
    finally:
        Document.find = find
    assert not looked
