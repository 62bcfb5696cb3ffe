"""Lesson and exercise 07: what the outside of a cluster does, the tables and the picture, the explorer, and every student's exercise."""

from __future__ import annotations

import re
from fractions import Fraction
from ipaddress import ip_network

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex07
from k8snetlib.errors import ManifestError, ModelError
from k8snetlib.kube.allocation import BalancerPool
from k8snetlib.kube.outside import BALANCERS, local_endpoints
from k8snetlib.kube.proxy import MODES
from k8snetlib.linux.ops import RulesRestore
from k8snetlib.views.service_types import KINDS, decisions, extra_hop, seen_as
from k8snetlib.views.way_picture import legs
from k8snetlib.widgets import ServiceTypeExplorer
from k8snetlib.widgets.service_types import ANCIENT, CALLERS, DOORS, TYPES

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(14))]
NODE_PORT = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
"""


def outside(**settings):
    return k8s.shop(proxy=settings.pop("proxy", "iptables"), outside=True, **settings)


def balanced(mode: str | bool = True, service: str = "web", **changes):
    return k8s.patched(outside(balancer=mode), f"svc/{service}", type="LoadBalancer", **changes)


def way(trace) -> list[str]:
    return [trace.start, *(leg.head for leg in legs(trace))]


# ── the load balancer ──


def test_a_proxying_balancer_ends_the_connection_and_both_ways_work():
    for policy, source in (("Cluster", "10.244.1.1"), ("Local", "192.168.50.1")):
        cluster = balanced("Proxy", external_traffic_policy=policy)
        for caller in ("client", "pod/api-1", "pod/api-2", "node/node-b"):
            trace = cluster.trace(caller, "lb/web:80")
            assert trace.delivered and str(trace.end.packet.src) == source
            assert "underlay" in way(trace)
            assert trace.reply.delivered and trace.reply.end.packet.src == trace.sent.dst


def test_a_proxying_balancer_works_over_ipv6():
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n"
    pod += "spec: {nodeName: node-b, containers: [{name: web, image: web, ports: [{name: http, containerPort: 8080}]}]}\n---"
    text = pod + NODE_PORT.replace("NodePort", "LoadBalancer")
    cluster = k8s.Cluster.loads(text, families=["IPv6"], outside=True, balancer="Proxy")
    trace = cluster.trace("client", "lb/web:80")
    assert trace.delivered and trace.reply.delivered
    assert "ip6tables-restore" in cluster.commands("underlay")


def test_a_proxying_balancer_leaves_other_connections_alone():
    cluster = balanced("Proxy", external_traffic_policy="Local")
    port = next(s for s in cluster.control.services if s.name == "web").ports[0].node_port
    assert str(cluster.trace("client", f"node/node-a:{port}").end.packet.src) == "203.0.113.7"
    assert cluster.trace("pod/api-1", "client").delivered


def test_rules_that_do_not_know_the_balancer_send_there():
    """A balancer whose address kube-proxy knows is never asked by a Pod."""
    assert way(balanced("VIP").trace("pod/api-1", "lb/web:80")) == ["api-1", "node-a", "web"]
    assert way(balanced("Proxy").trace("pod/api-1", "lb/web:80")) == ["api-1", "node-a", "underlay", "node-a", "web"]


def test_a_balancer_sends_to_the_nodes_that_pass_its_health_check():
    def nodes(cluster):
        return [way(trace)[2] for _, trace in cluster.traces("client", "lb/api:80")]

    assert nodes(balanced(service="api")) == ["node-a", "node-a", "node-b", "node-b"]
    assert nodes(balanced(service="api", external_traffic_policy="Local")) == ["node-a", "node-b"]
    moved = k8s.patched(balanced(service="api", external_traffic_policy="Local"), "pod/api-1", ready=False)
    assert nodes(moved) == ["node-b"]
    assert moved.trace("client", "lb/api:80").end.netns == "api-2"
    (only,) = (route for route in moved.network["underlay"].routes if str(route.dst) == "198.51.100.9/32")
    assert str(only.via) == "192.168.50.12"  # one fit node is an ordinary next hop
    gone = k8s.patched(moved, "pod/api-2", ready=False)
    assert gone.trace("client", "lb/api:80").end.reason == "IP_INNOROUTES"


def test_a_node_of_another_segment_can_be_the_one():
    cluster = k8s.patched(outside(balancer=True, node_c=True), "svc/api", type="LoadBalancer", external_traffic_policy="Local")
    trace = k8s.patched(cluster, "pod/api-1", ready=False).trace("client", "lb/api:80")
    assert way(trace) == ["client", "underlay", "node-c", "api-2"] and trace.reply.delivered


def test_without_node_ports_a_proxying_balancer_has_nothing_to_call():
    cluster = balanced("Proxy", allocate_load_balancer_node_ports=False)
    assert not any(isinstance(op, RulesRestore) and op.netns == "underlay" for op in cluster.ops())
    assert not cluster.trace("client", "lb/web:80").delivered


def test_health_checks_count_ready_endpoints_of_the_node():
    cluster = balanced(service="api", external_traffic_policy="Local")
    shown = k8s.health_checks(cluster, "api")
    assert [row[0::2] for row in shown.rows] == [("node-a", "200 OK"), ("node-b", "200 OK")]
    draining = k8s.patched(cluster, "pod/api-1", terminating=True)
    assert [row[3] for row in k8s.health_checks(draining, "api").rows] == ["0", "1"]
    service = next(s for s in draining.control.services if s.name == "api")
    assert local_endpoints(service, draining.control.slices, "node-b") == 1
    with pytest.raises(ModelError, match="health checks of type LoadBalancer"):
        k8s.health_checks(outside(), "web")


def test_a_balancer_is_of_a_kind_that_there_is():
    with pytest.raises(ModelError, match=r'"VIP", "Proxy", "Pods", "ARP".*not \'proxy\''):
        outside(balancer="proxy")
    assert outside(balancer=True).pools == outside(balancer="VIP").pools == (BalancerPool((BALANCERS[4],)),)


# ── applying manifests ──


def test_an_applied_service_keeps_its_address_and_takes_the_place_of_the_old():
    cluster = k8s.applied(outside(), NODE_PORT)
    web = next(s for s in cluster.control.services if s.name == "web")
    assert (str(web.cluster_ip), web.ports[0].node_port) == ("10.96.10.80", 30080)
    assert [s.name for s in cluster.services] == [s.name for s in outside().services]
    other = k8s.applied(cluster, NODE_PORT.replace("web", "front").replace("app: front", "app: web").replace("30080", "30081"))
    assert other.trace("client", "node/node-b:30081").end.netns == "web"
    headless = k8s.applied(cluster, NODE_PORT.replace("NodePort", "ClusterIP").replace(", nodePort: 30080", "") + "  clusterIP: None\n")
    assert next(s for s in headless.control.services if s.name == "web").headless
    alias = NODE_PORT.replace("NodePort", "ExternalName\n  externalName: a.example.com").replace(", nodePort: 30080", "")
    assert next(s for s in k8s.applied(cluster, alias).control.services if s.name == "web").cluster_ips == ()


def test_remarks_are_those_of_the_new_service():
    wish = k8s.applied(outside(), NODE_PORT.replace("NodePort", "LoadBalancer"))
    assert ["<pending>" in note for note in wish.notes] == [True]
    assert k8s.applied(wish, NODE_PORT).notes == ()


@pytest.mark.parametrize(("old", "new", "said"), [
    ("30080", "8080", "the range of valid ports is 30000-32767"),
    ("name: web", "name: web2", "provided port is already allocated, to Service shop/web"),
    ("NodePort", "ClusterIP", "may not be used when type is 'ClusterIP'"),
    ("type: NodePort", "type: NodePort\n  externalTrafficPolicy: local", 'unsupported value "local"'),
])  # fmt: skip
def test_the_api_server_refuses(old, new, said):
    with pytest.raises(ManifestError, match=re.escape(said)):
        k8s.applied(k8s.applied(outside(), NODE_PORT), NODE_PORT.replace(old, new))


@pytest.mark.parametrize(("text", "said"), [
    ("", "no Kubernetes object found"),
    ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "not a Namespace"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "holds no object that can be applied"),
])  # fmt: skip
def test_what_is_no_service_cannot_be_applied(text, said):
    with pytest.raises(k8s.K8sNetError, match=said):
        k8s.applied(outside(), text)


# ── the picture ──


def test_the_picture_has_a_box_for_each_machine_and_both_ways():
    cluster = k8s.applied(outside(), NODE_PORT)
    figure = k8s.way_picture(cluster.traces("client", "node/node-b:30080"))
    words = re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg)
    for word in ("client", "node-b", "node-a", "web", "DNAT: to 10.244.1.2:8080", "SNAT: from 10.244.2.0", "sees 10.244.2.0"):
        assert words.count(word) == 1, word
    assert figure.svg.count('class="edge path"') == figure.svg.count('class="edge reply"') == 3
    assert "the answer goes back by web → node-a → node-b → client" in figure.alt
    alone = k8s.way_picture(cluster.trace("client", "node/node-b:30080"), back=False)
    assert 'class="edge reply"' not in alone.svg and "answer" not in alone.alt


def test_the_picture_of_a_drop_and_of_an_answer_that_goes_astray():
    cluster = k8s.applied(outside(), NODE_PORT)
    local = k8s.patched(cluster, "svc/web", external_traffic_policy="Local")
    assert "✕ NETFILTER_DROP" in k8s.way_picture(local.trace("client", "node/node-b:30080")).svg
    kept = [rule for rule in k8s.iptables_save(cluster.network, "node-b").splitlines() if "MASQ" not in rule]
    bare = k8s.build([RulesRestore("node-b", "\n".join(kept) + "\n")], cluster.network)
    astray = k8s.way_picture(cluster.trace("client", "node/node-b:30080", network=bare))
    assert "✕ NO_SOCKET" in astray.svg and "the answer is dropped in client, NO_SOCKET" in astray.alt


def test_what_is_behind_the_router_is_the_internet_and_no_underlay():
    svg = k8s.diagram(outside().network).svg
    assert svg.count(">the Internet<") == 1 and svg.count(">underlay network<") == 1


def test_the_way_of_a_client_does_not_cross_its_name():
    svg = k8s.diagram(trace=k8s.applied(outside(), NODE_PORT).trace("client", "node/node-a:30080")).svg
    name, address = (float(re.search(rf'y="([-\d.]+)"[^>]*>{word}<', svg)[1]) for word in ("client", "203.0.113.7"))
    assert name > address  # the name stands below the box, the way leaves upwards


def test_numbers_say_what_comes_first_where_the_way_passes_a_machine_twice():
    cluster = k8s.patched(k8s.shop(proxy="iptables", outside=True, balancer="Proxy"), "svc/web", type="LoadBalancer")
    words = [
        word.strip("\u00a0 ")
        for word in re.findall(r"<text[^>]*>([^<]*)</text>", k8s.way_picture(cluster.trace("pod/api-1", "lb/web:80")).svg)
    ]
    for word in ("1. 10.244.1.3 →", "2. 192.168.50.11 →", "3. 192.168.50.1 →", "4. 10.244.1.1 →"):
        assert words.count(word) == 1, word
    port = next(s for s in cluster.control.services if s.name == "web").ports[0].node_port
    once = k8s.way_picture(cluster.trace("client", f"node/node-b:{port}"))
    assert not re.search(r">\W*\d\. ", once.svg)


def test_outcomes_share_a_picture_and_a_tunnels_headers_do_not_show():
    cluster = k8s.patched(outside(), "svc/api", type="NodePort")
    port = next(s for s in cluster.control.services if s.name == "api").ports[0].node_port
    figure = k8s.way_picture(cluster.traces("client", f"node/node-a:{port}"))
    assert figure.svg.count(">chance 1/2<") == 2
    assert "8472" not in figure.svg and "192.168.50.12:" not in figure.svg
    assert figure.alt.count("With chance 1/2") == 2


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != ANCIENT])
def test_every_leg_carries_the_packet_that_arrives(mode):
    cluster = k8s.patched(outside(balancer=True, proxy=mode), "svc/api", type="LoadBalancer")
    for caller in ("client", "pod/web", "pod/db", "node/node-b"):
        for _, trace in cluster.traces(caller, "lb/api:80"):
            found = legs(trace)
            assert found[0].packet.src == trace.sent.src or found[0].tail != trace.start or caller.startswith("node")
            assert found[-1].packet.src == trace.end.packet.src and found[-1].head == trace.end.netns


# ── the table ──


def test_the_table_says_for_each_type_who_gets_in():
    rows = {row[0]: row[1:] for row in decisions(outside(node_c=True, balancer=True), "api").rows}
    assert rows["headless, called at 8080"][0] == "yes: its own address"  # at 80 nobody would listen
    assert [name.removesuffix(", called at 8080") for name in rows] == [kind.name for kind in KINDS]
    own, node = "its own address", "a node's address"
    assert rows["ClusterIP"] == (f"yes: {own}", f"yes: {node}", "no", "–")
    assert rows["ClusterIP, internal Local"][:2] == (f"from web and report alone: {own}", f"from node-a and node-c alone: {node}")
    assert rows["NodePort, Cluster"][2:] == (f"at every node: {node}", "sometimes")
    assert rows["NodePort, Local"][2:] == (f"at node-a and node-c alone: {own}", "no")
    assert rows["LoadBalancer, Cluster"][2:] == (f"yes: {node}", "sometimes")
    assert rows["LoadBalancer, Local"][2:] == (f"yes: {own}", "no")
    assert rows["LoadBalancer, nobody to assign"][2].startswith("<pending>; by node port at every node")
    assert rows["ExternalName"] == ("a name alone: api.example.com", "no", "no", "–")


def test_the_table_follows_the_cluster():
    alone = outside(balancer=True)
    rows = {row[0]: row[1:] for row in decisions(k8s.patched(alone, "pod/api-2", ready=False), "api").rows}
    assert rows["NodePort, Local"][2] == "at node-a alone: its own address"
    nobody = k8s.patched(alone, "svc/api", selector={"app": "nobody"})
    assert {row[1:] for row in decisions(nobody, "api").rows[:2]} == {("no", "no", "no", "–")}
    with pytest.raises(ModelError, match="no client outside"):
        decisions(k8s.shop(proxy="iptables"), "api")
    with pytest.raises(ModelError, match="did you mean"):
        decisions(alone, "apo")


def test_whose_address_it_is_and_whether_there_was_another_node():
    cluster = k8s.applied(outside(), NODE_PORT)
    by = {node: cluster.trace("client", f"node/{node}:30080") for node in ("node-a", "node-b")}
    assert [seen_as(trace) for trace in by.values()] == ["node", "node"]
    assert [extra_hop(trace) for trace in by.values()] == [False, True]
    assert seen_as(cluster.trace("pod/api-2", "svc/web:80")) == "own"
    assert seen_as(balanced("Proxy", external_traffic_policy="Local").trace("client", "lb/web:80")) == "balancer"


# ── the explorer ──


def moved(**choices) -> ServiceTypeExplorer:
    explorer = ServiceTypeExplorer()
    for name, value in choices.items():
        explorer.controls[name].value = value
    return explorer


def test_the_explorer_says_who_keeps_to_source_ranges():
    base = k8s.shop(proxy="iptables", node_c=True, outside=True)
    made = k8s.patched(base, "svc/api", type="LoadBalancer", load_balancer_source_ranges=(ip_network("192.0.2.0/24"),))
    explorer = ServiceTypeExplorer(made)
    for kind, external, words in (
        ("proxying", "Cluster", "dropped in the router. loadBalancerSourceRanges does not list 203.0.113.7, and a balancer that ends"),
        ("proxying", "Local", "dropped in the router. loadBalancerSourceRanges does not list 203.0.113.7, and a balancer that ends"),
        ("LoadBalancer", "Cluster", "dropped in node-a: NETFILTER_DROP, DROP in table filter"),
    ):
        for name, choice in (("type", kind), ("door", "balancer"), ("external", external), ("caller", "client")):
            explorer.controls[name].value = choice
        assert words in explorer.value.summary and explorer.value.tone == "bad"


@pytest.mark.parametrize(("choices", "summary", "shown"), [
    ({}, "node-a:31165: api-1 (chance 1/2) gets it and sees 10.244.1.1, or api-2", "node-a's, of its flannel.1"),
    ({"external": "Local"}, "The client outside calls node-a:31165: api-1 gets it and sees 203.0.113.7.", "nobody masqueraded"),
    ({"external": "Local", "node": "node-b"}, "dropped in node-b. externalTrafficPolicy is Local, and node-b has no", "NETFILTER_DROP"),
    ({"caller": "web", "external": "Local"}, "api-2 (chance 1/2) gets it and sees 10.244.1.2", "comes from inside"),
    ({"caller": "web", "external": "Local", "node": "node-c"}, "api-2 gets it and sees 192.168.50.11", "by Flannel's rule"),
    ({"type": "ClusterIP"}, "dropped in the router. A ClusterIP exists in the rules of the nodes alone", "IP_INNOROUTES"),
    ({"type": "ClusterIP", "caller": "web"}, "web calls 10.96.20.80:80: api-1 (chance 1/2) gets it and sees 10.244.1.2", "caller's own"),
    ({"type": "ClusterIP", "caller": "db", "internal": "Local"}, "internalTrafficPolicy is Local, and node-b has no endpoint", "DROP"),
    ({"type": "ClusterIP", "caller": "db", "distribution": "PreferSameZone"}, "db calls 10.96.20.80:80: api-1 gets it", "no"),
    ({"type": "ClusterIP", "caller": "report", "distribution": "PreferSameNode"}, "report calls 10.96.20.80:80: api-2 gets it", "no"),
    ({"type": "LoadBalancer"}, "The client outside calls 198.51.100.9:80: api-1", "load balancer"),
    ({"type": "LoadBalancer", "caller": "db"}, "db calls 198.51.100.9:80: api-1 (chance 1/2) gets it and sees 10.244.2.0", "Short-circuit"),
    ({"type": "LoadBalancer", "external": "Local", "node": "node-c"}, "api-2 gets it and sees 203.0.113.7", "answers 200 at port"),
    ({"type": "LoadBalancer", "external": "Local", "node": "node-b"}, "dropped in node-b", "answers 503 at port"),
    ({"type": "proxying", "external": "Local"}, "api-1 gets it and sees 192.168.50.1.", "opened one of its own"),
    ({"type": "proxying", "caller": "web"}, "web calls 198.51.100.9:80: api-1 (chance 1/2) gets it and sees 10.244.1.1", "balancer"),
    ({"type": "pending"}, "EXTERNAL-IP is <pending>: no controller gives the Service an address", "&lt;pending&gt;"),
    ({"type": "pending", "door": "node-port"}, "The client outside calls node-a:31165: api-1", "&lt;pending&gt;"),
    ({"mode": "ipvs"}, "The client outside calls node-a:31165: api-2 gets it", "IPVS: to 10.244.3.2:8080"),
    ({"mode": "ipvs"}, "api-2 gets it and sees 10.244.1.0.", "api-2 gets the first connection, and another endpoint the next."),
    ({"mode": "ipvs", "external": "Local"}, "api-1 gets it and sees 203.0.113.7.", "IPVS: to 10.244.1.3:8080"),
    ({"mode": "ipvs", "external": "Local", "node": "node-b"}, "api-2 gets it and sees 10.244.2.0", "kube-proxy then takes all endpoints"),
    ({"mode": "ipvs", "door": "cluster-ip", "caller": "db", "internal": "Local"}, "api-2 gets it", "kube-proxy then takes all endpoints"),
    ({"mode": "ipvs", "type": "LoadBalancer", "caller": "web"}, "web calls 198.51.100.9:80: api-2 gets it", "Short-circuit"),
    ({"type": "ExternalName"}, "An ExternalName is a CNAME: DNS answers api.example.com, and that is all.", "CNAME api.example.com."),
    ({"type": "ExternalName"}, "Only Pods ask the cluster's DNS; here web does.", "web asks for"),
    ({"type": "ExternalName", "caller": "db"}, "so no packet to follow.", "db asks for"),
])  # fmt: skip
def test_explorer(choices, summary, shown):
    explorer = moved(**choices)
    assert summary in explorer.value.summary
    assert shown in explorer._html.value.replace("&#x27;", "'")


def test_ipvs_says_what_it_does_otherwise_only_where_it_does():
    """With one endpoint there is nobody else whose turn it could be, and a Pod's own call under policy Local stays on its node."""
    html = moved(mode="ipvs", external="Local", caller="web")._html.value
    assert "by turns" not in html and "takes all" not in html and "Short-circuit" not in html
    assert "by turns" not in moved()._html.value


def test_the_doors_are_those_of_the_type_and_what_does_not_count_is_shut():
    explorer = moved(type="ClusterIP")
    assert [door for _, door in explorer.controls["door"].options] == ["cluster-ip"]
    assert explorer.controls["node"].disabled and explorer.controls["external"].disabled
    explorer.controls["type"].value = "LoadBalancer"
    assert explorer.controls["door"].value == "balancer" and not explorer.controls["node"].disabled
    explorer.controls["door"].value = "cluster-ip"
    explorer.controls["type"].value = "proxying"
    assert explorer.controls["door"].value == "cluster-ip"  # a door that is still there is kept
    explorer.controls["type"].value = "ExternalName"
    assert all(explorer.controls[name].disabled for name in ("node", "external", "internal", "distribution", "mode"))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != ANCIENT])
def test_the_explorer_has_an_answer_to_everything(mode):
    explorer = moved(mode=mode)
    for kind in TYPES:
        explorer.controls["type"].value = kind
        for door in DOORS[kind]:
            explorer.controls["door"].value = door
            for caller in CALLERS:
                explorer.controls["caller"].value = caller
                answer = explorer.value
                assert answer.summary and not answer.summary.startswith("Not possible")
                assert not re.search(r"[{}]", answer.summary)


def test_weights_of_the_explorers_outcomes_sum_to_one():
    cluster = k8s.patched(outside(node_c=True), "svc/api", type="NodePort")
    found = cluster.traces("client", "node/node-b:31165")
    assert sum(weight for weight, _ in found) == Fraction(1)
    shown = moved(node="node-b")._html.value
    assert shown.count("<td") // 4 == len(found)


# ── the exercise ──


def refusal(key: str, **given) -> str:
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def seen(case) -> list[str]:
    """Right answers to 07.1, from what is on the nodes and not from a trace."""
    table = {row[0]: dict(zip(("eth0", "cni0", "flannel.1"), row[1:], strict=True)) for row in ex07.addresses(case).rows}
    found = []
    for each in ex07.situations(case):
        if each.words.startswith("type ClusterIP: Pod"):
            found.append(str(next(p for p in ex07.cluster(case).pods if p.name == ex07.guest(case)).pod_ips[0]))
        elif "Local" in each.words:
            found.append("203.0.113.7")
        else:
            node = ex07.far(case) if each.caller == f"pod/{ex07.guest(case)}" else next(name for name in table if name in each.words)
            found.append(table[node]["cni0" if node == ex07.near(case) else "flannel.1"])
    return found


def ordered(case) -> str:
    wanted = ex07.order(case)
    spec = {"type": "LoadBalancer" if wanted.balancer else "NodePort"}
    if wanted.source:
        spec["externalTrafficPolicy"] = "Local"
    if wanted.closed:
        spec["allocateLoadBalancerNodePorts"] = "false"
    lines = "".join(f"  {name}: {text}\n" for name, text in spec.items())
    port = "{port: 80, targetPort: http" + (f", nodePort: {wanted.port}" if wanted.port else "") + "}"
    head = "apiVersion: v1\nkind: Service\nmetadata: {name: front, namespace: shop}\nspec:\n  selector: {app: front}\n"
    return f"{head}{lines}  ports: [{port}]\n"


def mended(case) -> str:
    text = ex07.broken(case)
    return {
        "policy": lambda: text.replace("Local", "Cluster"),
        "port": lambda: re.sub(r"nodePort: \d+", f"nodePort: {ex07.told(case)}", text),
        "ranges": lambda: text.replace("[198", "[203.0.113.7/32, 198"),
        "pending": lambda: re.sub(r".*loadBalancerClass.*\n", "", text),
    }[ex07.fault(case)]()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exercise_can_be_solved(seed, capsys):
    case = variant("07", seed)
    check("07.1", sources=seen(case), case=case)
    check("07.2", service=ordered(case), case=case)
    check("07.3", why=ex07.fault(case).upper(), case=case)
    check("07.4", repaired=mended(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("07", seed) for seed in SEEDS]
    assert len({tuple(seen(case)) for case in cases}) > 10
    assert {ex07.fault(case) for case in cases} == {"policy", "port", "ranges", "pending"}
    assert len({(ex07.order(case).balancer, ex07.order(case).source, ex07.order(case).closed) for case in cases}) >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fault_is_a_fault_and_the_only_one(seed):
    case = variant("07", seed)
    failed = k8s.applied(ex07.cluster(case), ex07.broken(case))
    if ex07.fault(case) == "pending":
        with pytest.raises(ModelError, match="<pending>"):
            failed.trace("client", ex07.customers_call(case))
    else:
        assert not failed.trace("client", ex07.customers_call(case)).delivered
    refusal("07.4", repaired=ex07.broken(case), case=case)
    assert failed.trace(f"pod/{ex07.guest(case)}", "svc/front:80").delivered


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_a_hint_fits_the_mistake(seed):
    case = variant("07", seed)
    right = seen(case)
    table = {row[0]: row[1:] for row in ex07.addresses(case).rows}
    for number, each in enumerate(ex07.situations(case)):
        wrong = list(right)
        if right[number].endswith((".0", ".1")):
            owner = next(name for name, row in table.items() if right[number] in row)
            wrong[number] = next(ip for ip in table[owner][1:] if ip != right[number])
            said = refusal("07.1", sources=wrong, case=case)
            assert "right machine" in said and f"in situation {number + 1}" in said
            wrong[number] = str(each.cluster.trace(each.caller, each.target).sent.src)
            assert "Somebody masquerades" in refusal("07.1", sources=wrong, case=case)
        else:
            wrong[number] = table["node-a"][0]
            assert "have to masquerade" in refusal("07.1", sources=wrong, case=case)
        assert right[number] not in refusal("07.1", sources=wrong, case=case)
    assert "sources = [" in refusal("07.1", sources=right[:2], case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_that_is_not_what_was_wanted_is_refused(seed):
    case, wanted = variant("07", seed), ex07.order(variant("07", seed))
    text = ordered(case)
    assert "not yet" in refusal("07.2", service=ex07.manifest(), case=case)
    if wanted.source:
        said = refusal("07.2", service=text.replace("Policy: Local", "Policy: Cluster"), case=case)
        assert "masquerad" in said
    elif not wanted.balancer:
        assert "which policy" in refusal("07.2", service=text + "  externalTrafficPolicy: Local\n", case=case)
    if wanted.closed:
        assert "One field of the spec" in refusal("07.2", service=re.sub(".*allocate.*\n", "", text), case=case)
    if wanted.port:
        assert "not yet" in refusal("07.2", service=text.replace(str(wanted.port), str(wanted.port + 1)), case=case)
    assert "every Pod reaches it" in refusal("07.2", service=text + "  internalTrafficPolicy: Local\n", case=case)
    assert "every Pod reaches it" in refusal("07.2", service=text.replace("app: front", "app: fornt"), case=case)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_repair_that_lets_in_too_many_or_too_few_is_refused(seed):
    case = variant("07", seed)
    if ex07.fault(case) in ("ranges", "pending"):
        text = mended(case)
        assert "now everybody gets in" in refusal("07.4", repaired=re.sub(".*SourceRanges.*\n", "", text), case=case)
        assert "now everybody gets in" in refusal("07.4", repaired=re.sub(r"Ranges: \[.*", "Ranges: [0.0.0.0/0]", text), case=case)
        assert "shut out now" in refusal("07.4", repaired=re.sub(r"Ranges: \[.*", "Ranges: [203.0.113.0/24]", text), case=case)
    else:
        assert "it reaches the Pod" in refusal("07.4", repaired=re.sub(r"nodePort: \d+", "nodePort: 32700", mended(case)), case=case)


@pytest.mark.parametrize("given", [5, 2.5, "x", [], ["a", "b", "c"], object(), b"", {}, "kind: Pod", "a: [", ex07, None.__class__])
@pytest.mark.parametrize(("key", "name"), [("07.1", "sources"), ("07.2", "service"), ("07.3", "why"), ("07.4", "repaired")])
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, name, given):
    said = refusal(key, **{name: given, "case": variant("07")})
    assert len(said.splitlines()) <= 4
