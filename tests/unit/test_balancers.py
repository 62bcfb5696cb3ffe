"""Load balancers: whom each asks and chooses, with which share; what the receiver sees, and that answers come back restored."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest

import k8snetlib as k8s
from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.balancers import check
from k8snetlib.kube.cni import CNIS
from k8snetlib.kube.pools import BalancerPool
from k8snetlib.linux.engine import after
from k8snetlib.linux.events import Answered
from k8snetlib.linux.ops import RulesRestore
from k8snetlib.linux.packet import Packet, Tcp
from k8snetlib.views.way_picture import legs

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


def node(name: str, more: str = "", spec: str = "") -> str:
    return f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}{more}}}\nspec: {{{spec}}}\n"


def pod(name: str, at: str, ready: bool = True) -> str:
    status = "" if ready else "status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}\n"
    box = "containers: [{name: c, image: x, ports: [{containerPort: 8080}]}]"
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: web}}}}\nspec: {{nodeName: {at}, {box}}}\n{status}"


def cluster(*objects: str, policy: str = "Cluster", service: str = "", **settings) -> k8s.Cluster:
    """Nodes n1 to n3 with Pod p1 on n1, unless other objects are given."""
    objects = objects or (node("n1"), node("n2"), node("n3"), pod("p1", "n1"))
    text = "---\n".join([*objects, f"{SERVICE}  externalTrafficPolicy: {policy}\n{service}"])
    return k8s.Cluster.loads(text, **({"outside": True, "balancer": "VIP"} | settings))


def entered(made: k8s.Cluster, target: str = "lb/web:80", **fields) -> dict[str, Fraction]:
    """The node by which a client's connection comes in → its share."""
    found: dict[str, Fraction] = {}
    for weight, trace in made.traces("client", target, **fields):
        name = next(hop.netns for hop in trace if hop.netns not in ("client", "underlay"))
        found[name] = found.get(name, Fraction(0)) + weight
    return found


def restored(made: k8s.Cluster, caller: str = "client", **fields) -> bool:
    """Whether every outcome is delivered, and answered from the address that was called."""
    traces = [trace for _, trace in made.traces(caller, "lb/web:80", **fields)]
    return all(t.delivered and t.reply.delivered and t.reply.end.packet.src == t.sent.dst for t in traces)


# ── spreading ──


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["VIP", "Proxy"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_every_fit_node_has_its_share(kind, count, family):
    made = cluster(*(node(f"n{n}") for n in range(count)), pod("p", "n0"), balancer=kind, families=[family])
    shares = entered(made)
    assert list(shares) == [f"n{n}" for n in range(count)]
    assert sum(shares.values()) == 1
    assert all(abs(share - Fraction(1, count)) < Fraction(1, 1 << 28) for share in shares.values())
    assert restored(made)


def test_the_first_choice_is_the_first_node():
    assert [leg.head for leg in legs(cluster().trace("client", "lb/web:80"))] == ["underlay", "n1", "p1"]


def test_a_connection_stays_with_its_node():
    made = cluster()
    last = made.trace("client", "lb/web:80", chance=lambda match, probability: False)
    assert [leg.head for leg in legs(last)] == ["underlay", "n3", "n1", "p1"]
    sent, open_ = last.sent, after(after(made.network, last), last.reply)
    acknowledged = Packet(sent.src, sent.dst, Tcp(sent.sport, sent.dport, "A", 1, 1))
    for network, packet in ((after(made.network, last), sent), (open_, acknowledged)):
        assert [leg.head for leg in legs(k8s.trace(network, "client", packet))] == ["underlay", "n3", "n1", "p1"]
    other = made.trace("client", "lb/web:80", network=open_, sport=40001)
    assert [leg.head for leg in legs(other)] == ["underlay", "n1", "p1"]


def test_services_with_the_same_nodes_share_a_chain():
    second = SERVICE.replace("name: web", "name: other")
    made = cluster(node("n1"), node("n2"), pod("p", "n1"), second)
    (rules,) = (op.text for op in made.ops() if isinstance(op, RulesRestore) and op.netns == "underlay")
    assert rules.count(":SPREAD-") == 1 and rules.count("-j SPREAD-1") == 2
    assert sum(entered(made, "lb/other:80").values()) == 1


def test_a_pool_may_name_its_nodes():
    made = cluster(balancer=BalancerPool((ip_network("198.51.100.8/29"),), nodes=("n2", "n3")))
    assert set(entered(made)) == {"n2", "n3"}


def test_three_hundred_nodes():
    made = cluster(*(node(f"n{n}") for n in range(300)), pod("p", "n7"))
    trace = made.trace("client", "lb/web:80", chance=lambda match, probability: probability > Fraction(2, 5))
    assert [leg.head for leg in legs(trace)] == ["underlay", "n298", "n7", "p"] and trace.reply.delivered


# ── health ──


@pytest.mark.parametrize(("more", "spec"), [
    ("", "taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]"),
    (", deletionTimestamp: '2026-11-01T12:00:00Z'", ""),
    (", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ""),
])  # fmt: skip
def test_nodes_that_are_left_out(more, spec):
    made = cluster(node("n1", more, spec), node("n2"), pod("p1", "n1"))
    assert set(entered(made)) == {"n2"} and restored(made)


def test_what_nodes_answer():
    leaving = node("n1", spec="taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]")
    made = cluster(leaving, node("n2"), pod("p1", "n1"))
    rows = k8s.health_checks(made, "web").rows
    assert rows == (
        ("n1", "192.168.50.11:10256", "503 Service Unavailable", "1"), ("n2", "192.168.50.12:10256", "200 OK", "0"),
    )  # fmt: skip
    local = cluster(leaving, node("n2"), pod("p1", "n1"), policy="Local")
    assert [row[2] for row in k8s.health_checks(local, "web").rows] == ["200 OK", "503 Service Unavailable"]
    assert "10256" not in str(k8s.health_checks(local, "web"))


def test_without_kube_proxy_nobody_answers():
    made = cluster(proxy="none")
    assert {row[2] for row in k8s.health_checks(made, "web").rows} == {"connection refused"}
    assert made.trace("client", "lb/web:80").end.reason == "IP_INNOROUTES"


@pytest.mark.parametrize("kind", ["VIP", "Proxy"])
def test_local_asks_for_endpoints(kind):
    made = cluster(node("n1"), node("n2"), node("n3"), pod("p1", "n1"), pod("p2", "n2", ready=False), policy="Local", balancer=kind)
    assert set(entered(made)) == {"n1"} and restored(made)
    service = made.control.services[0]
    assert [check(service, made.control.slices, host).up for host in made.hosts] == [True, False, False]


def test_whom_the_receiver_sees():
    seen = {
        (kind, policy): {str(t.end.packet.src) for _, t in cluster(policy=policy, balancer=kind).traces("client", "lb/web:80")}
        for kind in ("VIP", "Proxy")
        for policy in ("Cluster", "Local")
    }
    nodes = {"10.244.1.1", "10.244.2.0", "10.244.3.0"}
    assert seen["VIP", "Cluster"] == seen["Proxy", "Cluster"] == nodes
    assert seen["VIP", "Local"] == {"203.0.113.7"} and seen["Proxy", "Local"] == {"192.168.50.1"}


# ── straight to Pods ──


@pytest.mark.parametrize(("cni", "family"), [("vpc", "IPv4"), ("vpc-prefix", "IPv4"), ("bgp-tor", "IPv4"), ("bgp-tor", "IPv6")])
def test_to_pods_past_node_ports(cni, family):
    pods = [pod("p1", "n1"), pod("p2", "n2"), pod("p3", "n2", ready=False)]
    small = ", labels: {node.kubernetes.io/instance-type: t3.nano}"
    settings = {"cni": cni, "balancer": "Pods", "families": [family]}
    made = cluster(node("n1", small), node("n2", small), *pods, service="  allocateLoadBalancerNodePorts: false\n", **settings)
    assert made.control.services[0].ports[0].node_port == 0
    traces = made.traces("client", "lb/web:80")
    assert [(weight, trace.end.netns) for weight, trace in traces] == [(Fraction(1, 2), "p1"), (Fraction(1, 2), "p2")]
    assert {trace.end.packet.src for _, trace in traces} == {made.hosts[0].gateways[0]}  # the balancer's own, on the nodes' side
    assert restored(made) and restored(made, "pod/p1") and restored(made, "node/n2")
    assert not made.control.slices[0].endpoints[2].ready


@pytest.mark.parametrize("cni", [name for name in CNIS if not name.startswith("vpc") and name != "bgp-tor"])
def test_where_the_router_knows_no_pods(cni):
    made = cluster(node("n1"), pod("p1", "n1"), cni=cni, balancer="Pods")
    assert any("stays <pending>" in note and f"plug-in {cni} the router knows no way" in note for note in made.notes)
    with pytest.raises(ModelError, match=f"<pending>: .* plug-in {cni} the router knows no way to them"):
        made.trace("client", "lb/web:80")
    assert made.with_cni("bgp-tor").trace("client", "lb/web:80").delivered


def test_pods_need_other_addresses_in_the_packet():
    with pytest.raises(UnsupportedError, match="ip_mode Proxy, not VIP"):
        cluster(cni="bgp-tor", balancer=BalancerPool((ip_network("198.51.100.8/29"),), targets="pods")).trace("client", "lb/web:80")


def test_without_node_ports_and_with_nodes_as_targets():
    """Who passes packets on needs no node port; who opens connections to one has nothing to call."""
    without = "  allocateLoadBalancerNodePorts: false\n"
    assert restored(cluster(service=without))
    assert not cluster(service=without, balancer="Proxy").trace("client", "lb/web:80").delivered


# ── source ranges ──

CLIENT = {"IPv4": "203.0.113.7", "IPv6": "2001:db8:113::7"}
ELSEWHERE = {"IPv4": ("192.0.2.0/24", "198.18.0.0/15"), "IPv6": ("3fff::/20", "2001:db8:2::/48")}
ENDING = [("Proxy", "vxlan"), ("Pods", "bgp-tor")]


def fenced(*ranges: str, **settings) -> k8s.Cluster:
    return cluster(service=f"  loadBalancerSourceRanges: {list(ranges)}\n", **settings)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize(("kind", "cni"), ENDING)
def test_one_that_ends_connections_keeps_to_the_ranges_itself(kind, cni, family):
    settings = {"balancer": kind, "cni": cni, "families": [family]}
    mine = f"{CLIENT[family]}/{32 if family == 'IPv4' else 128}"
    everywhere = "0.0.0.0/0" if family == "IPv4" else "::/0"
    for ranges in ([mine], [*ELSEWHERE[family], mine], [mine, *ELSEWHERE[family]], [*ELSEWHERE[family], everywhere]):
        assert restored(fenced(*ranges, **settings))
    for ranges in (ELSEWHERE[family][:1], ELSEWHERE[family]):
        made = fenced(*ranges, **settings)
        ((weight, trace),) = made.traces("client", "lb/web:80")
        assert (weight, trace.end.netns, trace.end.reason) == (1, "underlay", "NETFILTER_DROP")
        assert k8s.way_table(trace).rows[-1][1:3] == ("client", "load balancer")
        port = made.control.services[0].ports[0].node_port
        assert made.trace("client", f"node/n2:{port}").delivered, "only the balancer keeps callers out"


@pytest.mark.parametrize(("kind", "cni"), ENDING)
def test_nodes_and_pods_are_callers_as_others_are(kind, cni):
    for inside in ("192.168.50.0/24", "10.244.0.0/16"):
        made = fenced(inside, balancer=kind, cni=cni)
        called = {caller: made.trace(caller, "lb/web:80") for caller in ("client", "node/n2", "pod/p1")}
        sees = {name: next(leg.packet.src for leg in legs(trace) if leg.head == "underlay") for name, trace in called.items()}
        assert {name: trace.delivered for name, trace in called.items()} == {
            name: source in ip_network(inside) for name, source in sees.items()
        }


@pytest.mark.parametrize("kind", ["VIP", "Proxy"])
def test_ranges_of_the_other_family_say_nothing(kind):
    settings = {"balancer": kind, "families": ["IPv4", "IPv6"]}
    both = "  ipFamilyPolicy: RequireDualStack\n"
    for family in CLIENT:
        text = f"{both}  loadBalancerSourceRanges: {list(ELSEWHERE[family])}\n"
        made = cluster(service=text, **settings)
        assert [each for each in CLIENT if restored(made, family=each)] == [each for each in CLIENT if each != family]


def test_each_service_has_its_own_ranges_and_every_port_of_it():
    ports = "ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]"
    closed = SERVICE.replace("ports: [{port: 80, targetPort: 8080}]", ports) + "  loadBalancerSourceRanges: [192.0.2.0/24]\n"
    closed = closed.replace("name: web", "name: closed")
    made = cluster(node("n1"), pod("p1", "n1"), closed, closed.replace("name: closed", "name: second"), balancer="Proxy")
    assert restored(made)
    for name in ("closed", "second"):
        assert {made.trace("client", f"lb/{name}:{port}").end.reason for port in (80, 81)} == {"NETFILTER_DROP"}
    (rules,) = (op.text for op in made.ops() if isinstance(op, RulesRestore) and op.netns == "underlay")
    assert rules.count(":RANGES-") == 1 and rules.count("-j RANGES-1") == 4


def test_one_that_passes_packets_on_leaves_the_ranges_to_kube_proxy():
    made = fenced("192.0.2.0/24")
    ends = {trace.end.netns for _, trace in made.traces("client", "lb/web:80")}
    assert ends == {"n1", "n2", "n3"}
    assert not [op for op in made.ops() if isinstance(op, RulesRestore) and op.netns == "underlay" and "*raw" in op.text]


# ── the nodes themselves ──


def winner(address: str, *names: str) -> str:
    return min(names, key=lambda name: sha256(f"{name}#{address}".encode()).hexdigest())


@pytest.mark.parametrize(("family", "address"), [("IPv4", "192.168.50.201"), ("IPv6", "fd00:50::201")])
@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_one_node_answers_for_the_address(family, address, mode):
    made = cluster(balancer="ARP", families=[family], proxy=mode)
    leader = winner(address, "n1", "n2", "n3")
    assert made.leaders == {ip_address(address): leader}
    assert entered(made) == {leader: 1} and restored(made)
    told = made.trace("client", "lb/web:80")
    assert {event.netns for event in told.all(Answered) if f"{address} is" in event.why} == {leader}
    assert told.sent.dst == ip_address(address)


def test_in_ipvs_mode_without_strict_arp_all_answer():
    made = cluster(balancer="ARP", proxy="ipvs")
    lax = k8s.build([k8s.ops.SysctlSet(f"n{n}", "net.ipv4.conf.all.arp_ignore", 0) for n in (1, 2, 3)], made.network)
    told = made.trace("client", "lb/web:80", network=lax)
    assert {event.netns for event in told.all(Answered) if "192.168.50.201 is" in event.why} == {"n1", "n2", "n3"}


def test_when_the_node_is_gone_another_is_elected():
    names = ["n1", "n2", "n3"]
    for _ in range(3):
        leader = winner("192.168.50.201", *names)
        made = cluster(*map(node, names), pod("p", names[0]), balancer="ARP")
        assert list(made.leaders.values()) == [leader] and restored(made)
        names.remove(leader)


def test_who_takes_part_in_the_election():
    out = node("n3", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}")
    far = node("n4").rstrip() + "\nstatus: {addresses: [{type: InternalIP, address: 192.168.60.11}]}\n"
    for policy, may in (("Cluster", ("n1", "n2")), ("Local", ("n2",))):
        made = cluster(node("n1"), node("n2"), out, far, pod("p2", "n2"), pod("p4", "n4"), balancer="ARP", policy=policy)
        assert list(made.leaders.values()) == [winner("192.168.50.201", *may)]
        assert restored(made)
    nobody = cluster(node("n1"), pod("p1", "n1", ready=False), balancer="ARP")
    assert nobody.leaders == {} and nobody.trace("client", "lb/web:80").end.reason == "NEIGH_FAILED"
    assert nobody.control.services[0].load_balancer_ingress  # it has its address all the same


def test_two_families_have_one_leader():
    made = cluster(balancer="ARP", families=["IPv4", "IPv6"], service="  ipFamilyPolicy: RequireDualStack\n")
    assert set(made.leaders.values()) == {winner("192.168.50.201", "n1", "n2", "n3")} and len(made.leaders) == 2
    assert restored(made, family="IPv4") and restored(made, family="IPv6")


def test_the_addresses_are_free_ones_of_the_segment():
    at = "\nstatus: {addresses: [{type: InternalIP, address: 192.168.50.203}]}\n"
    made = cluster(node("n1").rstrip() + at, node("n2"), pod("p", "n2"), balancer="ARP")
    assert made.pools[0].networks == (ip_network("192.168.50.248/29"),) and restored(made)
    assert cluster(balancer="ARP").pools[0].networks == (ip_network("192.168.50.200/29"),)


def test_a_cloud_answers_arp_itself():
    made = cluster(balancer="ARP", cni="vpc")
    assert any("<pending>" in note and "the network answers ARP itself" in note for note in made.notes)
    assert made.leaders == {}
    assert restored(made.with_cni("vxlan"))


# ── from inside ──


def test_rules_know_the_address_only_where_it_is_a_vip():
    for kind, cni, passes in (("VIP", "vxlan", False), ("ARP", "vxlan", False), ("Proxy", "vxlan", True), ("Pods", "bgp-tor", True)):
        made = cluster(node("n1"), node("n2"), pod("p1", "n1"), pod("p2", "n1"), balancer=kind, cni=cni)
        way = [hop.netns for hop in made.trace("pod/p1", "lb/web:80")]
        assert ("underlay" in way) is passes, kind
        assert restored(made, "pod/p1")


# ── the table of addresses ──


def test_the_table_has_both_ways_line_by_line():
    trace = cluster(balancer="Proxy", policy="Local").trace("client", "lb/web:80")
    shown = k8s.way_table(trace)
    assert shown.caption == "client → load balancer → n1 → p1: the addresses on each line"
    port = next(leg.packet.dport for leg in legs(trace) if leg.head == "n1")
    client, own, door, inner = "203.0.113.7:40000", "192.168.50.1:40000", f"192.168.50.11:{port}", "10.244.1.2:8080"
    assert [row[:5] for row in shown.rows] == [
        ("there", "client", "load balancer", client, "198.51.100.9:80"),
        ("there", "load balancer", "n1", own, door),
        ("there", "n1", "p1", own, inner),
        ("back", "p1", "n1", inner, own),
        ("back", "n1", "load balancer", door, own),
        ("back", "load balancer", "client", "198.51.100.9:80", client),
    ]
    assert [row[5] for row in shown.rows] == [
        f"destination becomes {door}\nsource becomes {own}", f"destination becomes {inner}", "gets it, and sees 192.168.50.1",
        f"source is {door} again", f"destination is {client} again\nsource is 198.51.100.9:80 again",
        "has its answer, from 198.51.100.9",
    ]  # fmt: skip
    assert len(k8s.way_table(trace, back=False).rows) == 3
    assert "<table>" in shown.html() and len(str(shown).split("\n")) == 11


def test_the_table_of_a_choice_a_drop_and_a_call_of_the_node_itself():
    made = cluster()
    rows = k8s.way_table(made.trace("client", "lb/web:80")).rows
    assert rows[0][5] == "chooses n1"
    assert k8s.way_table(made.trace("client", "svc/web:80")).rows[-1][5] == "✕ IP_INNOROUTES"
    own = k8s.way_table(made.trace("node/n2", "svc/web:80")).rows
    assert own[0][1:3] == ("–", "n2") and "destination becomes" in own[0][5]
    assert len(k8s.way_table(made.trace("pod/p1", "pod/p1:8080")).rows) == 2


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables", "userspace"])
def test_lines_follow_one_another(mode):
    """What a machine makes of a packet is what goes out on the next line."""
    trace = cluster(balancer="Proxy", proxy=mode).trace("client", "lb/web:80", chance=lambda match, probability: False)
    assert trace.delivered
    rows = k8s.way_table(trace).rows
    for here, later in pairwise(rows):
        if here[0] == later[0]:
            ends = {"source": here[3], "destination": here[4]}
            ends |= {words.split()[0]: words.split()[2] for words in here[5].split("\n") if " becomes " in words or " is " in words}
            assert (ends["source"], ends["destination"]) == later[3:5]
            assert here[2] == later[1]


def test_a_changed_cluster_keeps_its_balancer():
    made = cluster(balancer="ARP").with_cni("bgp")
    assert made.pools[0].arp and restored(made)
    assert restored(replace(cluster(), proxy="nftables"))
