"""What is shown of a trace: steps, headers, text, tables, pictures, graph, pcap; all of it from the events."""

from __future__ import annotations

import re
import struct

import pytest

import k8snetlib as k8s
from k8snetlib.linux.engine import captures
from k8snetlib.linux.ops import build
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.wire import to_bytes
from k8snetlib.views.graph import reachable, single_points_of_failure
from k8snetlib.views.headers import changes, headers
from k8snetlib.views.pcap import pcap
from tests.unit.networks import cable


@pytest.fixture(scope="module")
def across():
    return k8s.shop().trace("pod/web", "pod/api-2:8080")


def test_places_in_order(across) -> None:
    places = [step.place.id for step in k8s.steps(across)]
    assert places == [
        "web/eth0", "node-a/veth-web", "node-a/cni0", "node-a/routing", "node-a/flannel.1", "node-a/eth0", "underlay/segment-1",
        "node-b/eth0", "node-b/flannel.1", "node-b/routing", "node-b/cni0", "node-b/veth-api-2", "api-2/eth0",
    ]  # fmt: skip


def test_every_event_stands_in_one_step(across) -> None:
    assert [e for step in k8s.steps(across) for e in step.events] == list(across.of(0))


def test_the_deciding_entries_are_in_the_tools_words(across) -> None:
    decided = {d.text: d.tool for step in k8s.steps(across) for d in step.decisions}
    assert decided["10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"] == "ip -n node-a route"
    assert any(tool == "bridge -n node-a fdb" and "dst 192.168.50.12" in text for text, tool in decided.items())
    assert any(tool.startswith("iptables -t filter -S FLANNEL-FWD") for tool in decided.values())


def test_headers_come_and_go(across) -> None:
    lengths = [len(step.headers) for step in k8s.steps(across)]
    assert max(lengths) == 7 and lengths[0] == 3 == lengths[-1]
    ttl = [c for step in k8s.steps(across) for c in step.changes if c.field == "TTL"]
    assert [(c.old, c.new) for c in ttl] == [("64", "63"), ("63", "62")]


def test_headers_of_a_captured_frame(across) -> None:
    frame = next(seen.frame for seen in reversed(k8s.captures(across)) if (seen.netns, seen.dev) == ("node-a", "eth0"))
    shown = k8s.headers(frame)
    assert [row[0] for row in shown.rows] == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP"]
    assert shown.rows == tuple(row[:3] for row in k8s.headers(across, 6).rows) and str(len(frame)) in shown.caption
    with pytest.raises(k8s.K8sNetError, match="no step 0"):
        k8s.headers(across)


def test_changes_of_two_packets() -> None:
    one, two = k8s.tcp("10.0.0.1", "10.0.0.2", 80), k8s.tcp("10.0.0.1", "10.0.0.3", 80)
    assert [(c.layer, c.field, c.old, c.new, c.index) for c in changes(headers(one), headers(two))] == [
        ("IPv4", "destination", "10.0.0.2", "10.0.0.3", 0)
    ]


def test_text_ends_with_the_outcome(across) -> None:
    assert k8s.text(across).endswith("delivered to api-2 in 12 steps")
    lost = k8s.shop().trace("pod/web", "pod/api-2:81")
    assert k8s.text(lost).endswith("dropped in api-2: NO_SOCKET (nothing listens on tcp port 81)")


def test_one_step_is_one_step() -> None:
    told = k8s.trace(build(cable()), "a", tcp("10.0.0.1", "10.0.0.2", 80))
    assert k8s.summary(told) == "delivered to b in one step"
    assert "is delivered in one step: " in k8s.diagram(told.network, trace=told).alt


def test_a_table_shows_in_a_notebook_and_in_a_terminal(across) -> None:
    table = k8s.table(across)
    bundle = table._repr_mimebundle_()
    assert bundle["text/html"].count("<tr>") == 14 and "&gt;" in bundle["text/html"] and "<script" not in bundle["text/html"]
    assert "node-a flannel.1" in bundle["text/plain"] and repr(table) == str(table)


def test_the_picture_numbers_the_hops(across) -> None:
    figure = k8s.diagram(trace=across)
    assert all(f'id="hop-{n}"' in figure.svg for n in range(1, 13)) and "delivered in 12 steps" in figure.alt
    assert int(re.search(r'width="(\d+)"', figure.svg)[1]) <= 900
    assert k8s.diagram(trace=across) == figure


def test_a_drop_is_drawn_where_it_happens() -> None:
    lost = k8s.shop("bridge").trace("pod/web", "pod/api-2:8080")
    figure = k8s.diagram(trace=lost)
    assert "IP_INNOROUTES" in figure.svg and "dropped" in figure.alt


def test_what_a_device_drops_is_drawn_at_the_device() -> None:
    cluster = k8s.shop()
    narrow = [k8s.ops.LinkSet("underlay", "port-node-b", mtu=1400), k8s.ops.LinkSet("node-b", "eth0", mtu=1400)]
    lost = cluster.trace("pod/web", "pod/api-2:8080", data=bytes(1400), network=k8s.build(narrow, cluster.network))
    assert k8s.steps(lost)[-1].place.id == "underlay/segment-1"
    entry = next(iter(cluster.network["node-a"].fdb.values()))
    gone = cluster.trace("pod/web", "pod/api-2:8080", network=k8s.build([k8s.ops.FdbDel("node-a", entry)], cluster.network))
    assert k8s.steps(gone)[-1].place.id == "node-a/flannel.1"
    routed = k8s.shop("bridge").trace("pod/web", "pod/api-2:8080")
    assert k8s.steps(routed)[-1].place.id == "underlay/routing"


def test_a_large_network_is_drawn_as_far_as_the_packet_goes() -> None:
    nodes = [f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{i}}}" for i in range(30)]
    pods = [
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{i}}}\nspec: {{nodeName: n{i % 2}, containers: [{{name: c, image: x, ports: [{{containerPort: 80}}]}}]}}"
        for i in range(40)
    ]
    figure = k8s.diagram(trace=k8s.Cluster.loads("\n---\n".join([*nodes, *pods])).trace("pod/p0", "pod/p39"))
    assert "n1" in figure.svg and ">n7<" not in figure.svg and int(re.search(r'width="(\d+)"', figure.svg)[1]) <= 900


def test_the_captures_file_holds_the_same_bytes(across) -> None:
    data, found = pcap(across), []
    while data:
        kind, length = struct.unpack("<II", data[:8])
        if kind == 6:
            size = struct.unpack("<I", data[20:24])[0]
            found.append(data[28 : 28 + size])
        data = data[length:]
    assert found == [to_bytes(c.frame) for c in captures(across)]


def test_the_graph_answers_questions(across) -> None:
    network = k8s.shop().network
    graph = k8s.graph(network)
    assert graph.edges["web/eth0", "node-a/veth-web"]["kind"] == "cable" and graph.nodes["node-a/flannel.1"]["mtu"] == 1450
    assert reachable(network, "web", "db")
    weak = single_points_of_failure(network, "web", "db")
    assert "node-a/cni0" in weak and "underlay/segment-1" in weak and "node-a/veth-api-1" not in weak


def test_state_as_the_tools_print_it(across) -> None:
    network = k8s.after(k8s.shop().network, across)
    assert k8s.ip_route(network, "web").splitlines()[0] == "default via 10.244.1.1 dev eth0"
    assert "10.244.2.0 dev flannel.1 lladdr" in k8s.ip_neigh(network, "node-a") and "PERMANENT" in k8s.ip_neigh(network, "node-a")
    assert k8s.conntrack(network, "node-a").count("[UNREPLIED]") == 2
    assert k8s.ss(network, "web").splitlines()[1].split() == ["tcp", "LISTEN", "*:8080", "web"]
    assert k8s.iptables_save(network, "web") == "" and k8s.iptables_save(network, "node-a").startswith("*filter")


def test_a_diagram_takes_a_trace_alone_and_refuses_what_it_cannot_draw():
    cluster = k8s.shop()
    trace = cluster.trace("pod/web", "pod/api-2:8080")
    assert k8s.diagram(trace).svg == k8s.diagram(trace=trace).svg
    assert k8s.diagram(cluster.network, only="web").svg == k8s.diagram(cluster.network, only=["web"]).svg
    for wrong, said in (
        (lambda: k8s.diagram(), "a diagram is of a network or of a trace"),
        (lambda: k8s.diagram(cluster), "its .network is one"),
        (lambda: k8s.diagram(trace="pod/web"), "takes a Trace"),
        (lambda: k8s.diagram(cluster.network, only=["nobody"]), "no network namespace 'nobody'"),
    ):
        with pytest.raises(k8s.ModelError, match=said):
            wrong()


def test_a_routing_table_that_there_is_not():
    network = k8s.shop().network
    assert str(k8s.ip_route(network, "node-a", table="100")) == ""
    with pytest.raises(k8s.ModelError, match="node-a has no routing table 'foo'"):
        k8s.ip_route(network, "node-a", table="foo")
