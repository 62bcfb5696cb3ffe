"""Lesson 04: what it says beside its figures is what the library computes, and its comparison would notice a difference."""

from __future__ import annotations

import re

import pytest

import k8snetlib as k8s
from k8snetlib.course import files, normal
from k8snetlib.course.prediction import questions
from k8snetlib.kube.room import room
from k8snetlib.lab import replay
from k8snetlib.lab.routing import FOLDER, RoutingExperiment
from k8snetlib.linux.addresses import ip_network

NAME = "04-routed-and-cloud.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return next(normal.read(path) for path in files.lessons(files.checkout()) if path.name == NAME)


@pytest.fixture(scope="module")
def shop():
    return k8s.shop("bgp", node_c=True)


def experiment(shop, drop: str = "") -> RoutingExperiment:
    """The lesson's, perhaps without the session of a node."""
    bgp = k8s.bgp(shop)
    bare = [op for op in shop.ops() if not (isinstance(op, k8s.ops.RouteAdd) and op.route.proto == "bird")]
    confs = {host.name: k8s.bird_conf(bgp, host.name, [ip_network("10.244.0.0/16")]) for host in shop.hosts if host.name != drop}
    return RoutingExperiment("bgp-mesh", tuple(bare), tuple(confs.items()), ("node-b",))


# Who wrote a line


def test_every_line_of_the_routing_table_has_the_writer_that_the_lesson_names(lesson, shop) -> None:
    table = next(cell.source for cell in lesson.cells if cell.id == "routes-2")
    patterns = [re.escape(line.split("`")[1]).replace("…", ".*") for line in table.splitlines() if line.startswith("| `")]
    lines = str(k8s.ip_route(shop.network, "node-a")).splitlines()
    assert all(any(re.search(pattern, line) for pattern in patterns) for line in lines if not line.startswith("10.244.3.")), lines
    assert all(any(re.search(pattern, line) for line in lines) for pattern in patterns)


def test_the_lines_without_bird_are_those_of_the_experiment(shop) -> None:
    """What BIRD is to write is not there beforehand."""
    network = k8s.build(experiment(shop).ops)
    left = {str(route) for route in network["node-a"].routes if route.dst.version == 4}
    whole = {str(route) for route in shop.network["node-a"].routes if route.dst.version == 4}
    assert whole - left == set(map(str, k8s.bgp(shop).routes("node-a")))


def test_a_table_is_not_named_in_its_own_lines() -> None:
    network = k8s.build([
        k8s.ops.NetnsAdd("n"), k8s.ops.LinkAdd("n", "eth0", "dummy"), k8s.ops.LinkSet("n", "eth0", up=True),
        k8s.ops.address("n", "eth0", "192.0.2.2/24"), k8s.ops.route("n", "default", via="192.0.2.1", table="2"),
    ])  # fmt: skip
    assert str(k8s.ip_route(network, "n", table="2")) == "default via 192.0.2.1 dev eth0"
    assert "default" not in str(k8s.ip_route(network, "n"))


# The comparison


def test_the_recording_answers_the_lessons_experiment(shop) -> None:
    recorded = replay.read(FOLDER / "bgp-mesh.json")
    assert recorded["input"] == experiment(shop).digest() != experiment(shop, drop="node-b").digest()


def test_the_comparison_would_notice_a_missing_route(shop) -> None:
    bgp = k8s.bgp(shop)
    stages = replay.read(FOLDER / "bgp-mesh.json")["stages"]
    for stage, model, wrong in zip(stages, (bgp, bgp.leave("node-b")), (bgp.leave("node-b"), bgp), strict=True):
        for node, routes in stage["routes"].items():
            assert set(routes) == set(map(str, model.routes(node))) != set(map(str, wrong.routes(node)))


# Answers


@pytest.mark.parametrize(("key", "computed"), [
    ("04.next-hop", lambda: f"{k8s.shop('host-gw').hosts[1].address(4)}, `node-b`"),
    ("04.sessions", lambda: f"{len(k8s.bgp(k8s.Cluster.loads(nodes(100), cni='bgp', proxy='none')).sessions):,}"),
    ("04.pods", lambda: str(room("vpc", 1, 200, "m5.large").running)),
])  # fmt: skip
def test_a_number_that_is_asked_for_is_computed(key: str, computed) -> None:
    assert questions()[key].answer == computed()


def nodes(count: int) -> str:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{0}}}\nspec: {{nodeName: n{0}, containers: [{{name: c, image: x}}]}}"
    node = "apiVersion: v1\nkind: Node\nmetadata: {{name: n{0}}}"
    return "\n---\n".join(text.format(number) for number in range(count) for text in (node, pod))


def test_nobody_has_the_gateways_address(shop) -> None:
    held = {address.ip for name in shop.network for device in shop.network[name].interfaces.values() for address in device.addresses}
    assert "169.254.1.1" not in map(str, held)


def test_any_route_to_the_gateway_cures_the_silence(shop) -> None:
    silent = k8s.faults(shop, "pod/web", "pod/api-1")["default"].network(shop.network)
    assert shop.trace("pod/web", "pod/api-1:8080", network=silent).end.reason == "NEIGH_FAILED"
    cure = k8s.ops.route("node-a", "169.254.0.0/16", dev="eth0")
    assert shop.trace("pod/web", "pod/api-1:8080", network=k8s.build([cure], silent)).delivered


def test_addresses_change_only_on_the_way_out_of_the_vpc() -> None:
    cloud = k8s.shop("vpc", node_c=True, outside=True)
    seen = [[str(each.frame.payload.src) for each in k8s.captures(cloud.trace("pod/web", target)) if each.dev == "eth0"
             and each.netns == "node-a" and each.direction == "out" and hasattr(each.frame.payload, "ttl")]
            for target in ("pod/api-2:8080", "pod/report:8080", "203.0.113.7:443")]  # fmt: skip
    assert seen == [["192.168.50.4"], ["192.168.50.4"], ["192.168.50.11"]]


def test_without_port_179_there_is_no_route_and_nobody_steps_in(shop) -> None:
    cut = k8s.bgp(shop).disconnect("node-a", "node-b")
    assert [str(route) for route in cut.routes("node-a") if str(route.dst) == "10.244.2.0/26"] == []
    assert any(str(route.dst) == "10.244.2.0/26" for route in cut.routes("node-c"))


def test_a_small_machine_needs_a_second_table() -> None:
    """The manifest that the lesson changes has the labels that it looks for."""
    from k8snetlib.kube.cast import SHOP

    text = SHOP.read_text(encoding="utf-8")
    assert text.count("labels: {kubernetes") == 2
    small = k8s.Cluster.loads(
        text.replace("labels: {kubernetes", "labels: {node.kubernetes.io/instance-type: t3.nano, kubernetes"), cni="vpc", proxy="none"
    )
    assert not small.pending and small.trace("pod/api-1", "pod/db:5432").delivered
    assert "lookup 2" in str(k8s.ip_rule(small.network, "node-a"))
