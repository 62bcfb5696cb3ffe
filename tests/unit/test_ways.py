"""The same packet by several ways between nodes, and what breaks on each."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.errors import ModelError
from k8snetlib.kube.cni import CNIS
from k8snetlib.views.ways import STAGES, deciding_route, overhead, way, wire_headers, writer

ACROSS = [name for name in CNIS if name not in ("bridge", "ptp")]
OVERHEAD = {
    "vxlan": 50, "host-gw": 0, "ipip": 20, "ipip-cross-subnet": 0, "calico-vxlan": 50, "calico-vxlan-cross-subnet": 0, "bgp": 0, "bgp-tor": 0,
    "vpc": 0, "vpc-prefix": 0,
}  # fmt: skip


@pytest.mark.parametrize("cni", ACROSS)
def test_bytes_added_on_one_segment(cni: str) -> None:
    """RFC 7348: 50 bytes; RFC 2003: 20; a route adds none."""
    (found,) = k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", [cni])
    assert found.trace.delivered and overhead(found) == OVERHEAD[cni]
    assert found.pod_mtu <= 1500 - OVERHEAD[cni]


@pytest.mark.parametrize(("cni", "added"), [("ipip-cross-subnet", 20), ("calico-vxlan-cross-subnet", 50), ("bgp-tor", 0)])
def test_bytes_added_between_segments(cni: str, added: int) -> None:
    (found,) = k8s.ways(k8s.shop(node_c=True), "pod/web", "pod/report", [cni])
    assert found.trace.delivered and overhead(found) == added


@pytest.mark.parametrize("cni", ["host-gw", "bgp"])
def test_without_a_tunnel_the_router_must_know(cni: str) -> None:
    (found,) = k8s.ways(k8s.shop(node_c=True), "pod/web", "pod/report", [cni])
    assert (found.trace.end.reason, found.trace.end.netns) == ("IP_INNOROUTES", "underlay")


def test_stages_are_in_order_down_and_up() -> None:
    for found in k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ACROSS):
        assert list(found.stages) == [stage for stage in STAGES if stage in found.stages]
        assert sum(map(len, found.stages.values())) == len(k8s.steps(found.trace))
        assert {"Pod", "cable", "routing", "interface", "underlay", "Pod "} <= set(found.stages)


def test_on_one_node_no_stage_of_the_underlay() -> None:
    for found in k8s.ways(k8s.shop(), "pod/web", "pod/api-1:8080", ["vxlan", "bgp"]):
        assert "underlay" not in found.stages and "Pod " in found.stages and not wire_headers(found)
    assert "≠ ↓ bridge" in str(k8s.ways_table(k8s.ways(k8s.shop(), "pod/web", "pod/api-1:8080", ["vxlan", "bgp"])))


@pytest.mark.parametrize("cni", ["bridge", "ptp", "vxlan", "bgp"])
def test_on_one_node_the_cable_of_the_other_pod_is_a_stage_of_its_own(cni: str) -> None:
    (found,) = k8s.ways(k8s.shop(), "pod/web", "pod/api-1:8080", [cni])
    down, up = found.stages["cable"], found.stages["cable "]
    assert len(down) == len(up) == 1 and down[0].place != up[0].place
    assert ("bridge " in found.stages, "routing" in found.stages) == (False, cni in ("ptp", "bgp"))


def test_who_wrote_the_route() -> None:
    told = {w.name: writer(w) for w in k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ["vxlan", "ipip", "calico-vxlan"])}
    assert "API server" in told["vxlan"] and "BGP" in told["ipip"] and "Felix" in told["calico-vxlan"]
    (plain,) = k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ["bridge"])
    assert deciding_route(plain).dst.prefixlen == 0 and "default route" in writer(plain)


@pytest.mark.parametrize("families", [("IPv4",), ("IPv6",)])
def test_who_wrote_the_route_to_a_pod_of_the_same_node(families: tuple[str, ...]) -> None:
    found = k8s.ways(k8s.shop(families=families), "pod/web", "pod/api-1:8080", ["vxlan", "ptp", "bgp", "calico-vxlan"])
    told = {each.name: writer(each) for each in found}
    assert told.pop("vxlan") == ""  # switched
    assert [words.split()[0] for words in told.values()] == ["the", "Felix,", "Felix,"] and "plug-in" in told["ptp"]
    (vpc,) = k8s.ways(k8s.shop(), "pod/web", "pod/api-1:8080", ["vpc"])
    assert "plug-in" in writer(vpc) and "API server" not in writer(vpc)


def test_equal_rows_are_not_marked() -> None:
    found = k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ["vxlan", "vxlan"])
    assert "≠" not in "\n".join(row[0] for row in k8s.ways_table(found).rows)
    rows = [row[0] for row in k8s.ways_table(k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ["vxlan", "ipip"])).rows]
    assert "≠ ↓ bridge" in rows and "outcome" in rows


def test_the_picture_says_in_words_what_it_shows() -> None:
    found = k8s.ways(k8s.shop(node_c=True), "pod/web", "pod/report", ["vxlan", "bgp"])
    figure = k8s.ways_diagram(found, "caption")
    assert "2 ways from web to report" in figure.alt and "IP_INNOROUTES" in figure.alt and figure.caption == "caption"
    assert 'id="way-0-' in figure.svg or "way-0-" in figure.svg


def test_a_single_trace_is_a_way_too() -> None:
    found = way("mine", k8s.shop("ptp").trace("pod/web", "pod/api-1:8080"))
    assert found.title == "mine" and "bridge" not in found.stages


def test_unknown_names() -> None:
    with pytest.raises(ModelError, match="no plug-in 'vxlam'"):
        k8s.ways(k8s.shop(), "pod/web", "pod/api-2:8080", ["vxlam"])
    with pytest.raises(ModelError, match="no ways to draw"):
        k8s.ways_diagram([])


# Faults

REASONS = {
    "route": "IP_INNOROUTES", "neighbor": "NEIGH_FAILED", "fdb": "NO_TX_TARGET", "overlap": "IP_INNOROUTES", "rp_filter": "IP_RPFILTER",
    "proxy_arp": "NEIGH_FAILED", "default": "NEIGH_FAILED",
}  # fmt: skip


@pytest.mark.parametrize("cni", [name for name in ACROSS if name != "bgp-tor" and not name.startswith("vpc")])
def test_each_fault_has_its_reason(cni: str) -> None:
    cluster = k8s.shop(cni)
    found = k8s.faults(cluster, "pod/web", "pod/api-2:8080")
    assert {"route", "overlap", "narrow", "forwarding"} <= set(found)
    for name, fault in found.items():
        trace = cluster.trace("pod/web", "pod/api-2:8080", network=fault.network(cluster.network))
        if name in REASONS:
            assert trace.end.reason == REASONS[name], name
        assert fault.command() and fault.title


def test_a_full_packet_meets_what_a_small_one_does_not() -> None:
    cluster = k8s.shop("vxlan")
    for name in ("narrow", "icmp"):
        network = k8s.faults(cluster, "pod/web", "pod/api-2:8080")[name].network(cluster.network)
        assert cluster.trace("pod/web", "pod/api-2:8080", network=network).delivered
        size = 1410 if name == "narrow" else 1440
        lost = cluster.trace("pod/web", "pod/api-2:8080", network=network, data=bytes(size))
        assert lost.end.reason == "PKT_TOO_BIG"
        assert not [seen for seen in k8s.captures(lost) if seen.netns == "web" and seen.direction == "in" and "ICMP" in str(seen.frame)]


def test_on_one_node_only_switches_can_be_wrong() -> None:
    assert set(k8s.faults(k8s.shop("vxlan"), "pod/web", "pod/api-1")) == {"forwarding", "br_netfilter"}
    assert set(k8s.faults(k8s.shop("bgp"), "pod/web", "pod/api-1")) == {"forwarding", "proxy_arp", "default"}


def test_br_netfilter_off_loses_the_answer_of_a_service_on_the_same_node() -> None:
    cluster = k8s.shop("vxlan", proxy="iptables")
    fault = k8s.faults(cluster, "pod/web", "pod/api-1")["br_netfilter"]
    pick = [t for _, t in cluster.traces("pod/web", "svc/api:80", network=fault.network(cluster.network)) if t.end.netns == "api-1"]
    assert pick[0].delivered and not pick[0].reply.delivered


def test_the_table_of_faults() -> None:
    table = k8s.faults_table(k8s.shop("vxlan"), "pod/web", "pod/api-2:8080", data=bytes(1410))
    rows = {row[0]: row for row in table.rows}
    assert rows["the FDB entry that names the other node is gone"][2:] == ("dropped", "NO_TX_TARGET", "node-a")
    assert "1450 bytes" in table.heads[2]


def test_faults_need_two_pods() -> None:
    with pytest.raises(ModelError, match="node/node-a is none"):
        k8s.faults(k8s.shop(), "node/node-a", "pod/api-2")


# Dual stack


@pytest.mark.parametrize("cni", [name for name in ACROSS if not name.startswith("vpc")])
def test_a_dual_stack_cluster_speaks_both(cni: str) -> None:
    cluster = k8s.shop(cni, families=("IPv4", "IPv6"))
    for family, version in (("", 4), ("IPv4", 4), ("IPv6", 6)):
        found = cluster.trace("pod/web", "pod/api-2:8080", family=family)
        assert found.sent.version == version and found.delivered and found.reply.delivered


def test_a_family_that_the_cluster_does_not_have() -> None:
    with pytest.raises(ModelError, match="has IPv4, no IPv6"):
        k8s.shop().trace("pod/web", "pod/api-2:8080", family="IPv6")


def test_no_faults_in_a_family_that_the_pods_do_not_have() -> None:
    with pytest.raises(ModelError, match="pod/web has no IPv6 address"):
        k8s.faults(k8s.shop("vxlan"), "pod/web", "pod/api-2", version=6)
    assert "route" in k8s.faults(k8s.shop("vxlan", families=("IPv6",)), "pod/web", "pod/api-2", version=6)


def test_a_way_that_ends_early_says_where():
    found = k8s.ways(k8s.shop("bgp", node_c=True), "pod/web", "pod/report:8080", ["bgp", "bgp-tor"])
    figure = k8s.ways_diagram(found)
    assert figure.svg.count(">at the router<") == 1 and "dropped at the router (IP_INNOROUTES)" in figure.alt
