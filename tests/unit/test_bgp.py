"""BGP between nodes: tables of small clusters, and what holds of any: no loops, nothing left behind, the same routes by every way."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.bgp import (
    Converged,
    Router,
    Topology,
    Update,
    bird_conf,
    blocks,
    converge,
    full_mesh,
    node_status,
    reflectors,
    show_protocols,
    show_route,
    top_of_rack,
    underlay_router,
)
from k8snetlib.kube.bgp.values import router_id_of
from k8snetlib.kube.cni.sandbox import Host, segments
from k8snetlib.linux.addresses import ip_address, ip_interface, ip_network

POOL = ip_network("10.244.0.0/16")


def host(number: int, segment: int = 50) -> Host:
    addresses = ip_interface(f"192.168.{segment}.{10 + number}/24"), ip_interface(f"fd00:{segment}::1{number}/64")
    gateways = ip_address(f"192.168.{segment}.1"), ip_address(f"fd00:{segment}::1")
    return Host(f"node-{number}", addresses, gateways, (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:244:{number}::/64")))


def hosts(*places: int) -> list[Host]:
    return [host(number, segment) for number, segment in enumerate(places, 1)]


def own(nodes: list[Host], version: int = 4) -> dict:
    return {one.name: blocks([one.pod_cidr(version)]) for one in nodes}


def mesh(*places: int, version: int = 4) -> Converged:
    nodes = hosts(*places)
    return converge(full_mesh(nodes, version), own(nodes, version))


def routes(bgp: Converged, name: str, **how: str) -> list[str]:
    return [str(route) for route in bgp.routes(name, **how)]


def said(rounds: tuple[tuple[Update, ...], ...]) -> list[list[str]]:
    return [[str(update) for update in updates] for updates in rounds]


# ── small clusters ──


def test_a_mesh_on_one_segment() -> None:
    bgp = mesh(50, 50, 50)
    assert len(bgp.sessions) == 3 and all(session.internal for session in bgp.sessions)
    assert routes(bgp, "node-1") == [
        "blackhole 10.244.1.0/26 proto bird",
        "10.244.2.0/26 via 192.168.50.12 dev eth0 proto bird",
        "10.244.3.0/26 via 192.168.50.13 dev eth0 proto bird",
    ]
    assert said(bgp.rounds) == [
        [
            "1: node-1 → node-2, node-3: announce 10.244.1.0/26 next hop 192.168.50.11",
            "1: node-2 → node-1, node-3: announce 10.244.2.0/26 next hop 192.168.50.12",
            "1: node-3 → node-1, node-2: announce 10.244.3.0/26 next hop 192.168.50.13",
        ]
    ]
    assert bgp.messages == 6  # nobody passes on what came by iBGP


def test_a_mesh_over_two_segments_goes_by_the_gateway() -> None:
    bgp = mesh(50, 51)
    assert routes(bgp, "node-1")[1] == "10.244.2.0/26 via 192.168.50.1 dev eth0 proto bird"
    assert bgp.paths("node-1", ip_network("10.244.2.0/26"))[0].next_hop == ip_address("192.168.51.12")


def test_ipv6_is_a_run_of_its_own() -> None:
    bgp = mesh(50, 51, version=6)
    assert routes(bgp, "node-2") == [
        "fd00:244:1::/122 via fd00:51::1 dev eth0 proto bird",
        "blackhole fd00:244:2::/122 proto bird",
    ]
    assert bgp.topology.speaker("node-1").router_id == IPv4Address("192.168.50.11")


@pytest.mark.parametrize(
    ("tunnel", "near", "far"),
    [
        ("Never", "via 192.168.50.12 dev eth0 proto bird", "via 192.168.50.1 dev eth0 proto bird"),
        ("CrossSubnet", "via 192.168.50.12 dev eth0 proto bird", "via 192.168.51.13 dev tunl0 proto bird onlink"),
        ("Always", "via 192.168.50.12 dev tunl0 proto bird onlink", "via 192.168.51.13 dev tunl0 proto bird onlink"),
    ],
)
def test_the_tunnel_of_a_pool(tunnel: str, near: str, far: str) -> None:
    assert routes(mesh(50, 50, 51), "node-1", tunnel=tunnel) == [
        "blackhole 10.244.1.0/26 proto bird",
        f"10.244.2.0/26 {near}",
        f"10.244.3.0/26 {far}",
    ]


def test_reflectors_pass_on_with_originator_and_cluster_list() -> None:
    nodes = hosts(50, 50, 50, 50)
    bgp = converge(reflectors(nodes, ["node-1", "node-2"]), own(nodes))
    assert len(bgp.sessions) == 5
    path = bgp.paths("node-4", ip_network("10.244.3.0/26"))[0]
    assert (path.sender, path.originator_id, path.cluster_list) == ("node-1", IPv4Address("192.168.50.13"), ("244.0.0.1",))
    assert path.next_hop == ip_address("192.168.50.13")  # the packets do not pass through the reflector
    assert [one.sender for one in bgp.paths("node-2", ip_network("10.244.3.0/26"))] == ["node-3", "node-1"]
    assert "2: node-1 → node-3: announce 10.244.4.0/26 next hop 192.168.50.14, originator 192.168.50.14, cluster list 244.0.0.1" in [
        str(update) for update in bgp.rounds[1]
    ]


def racks(nodes: list[Host], mode: str, **more) -> Topology:
    legs = {at: (("rack", ip_interface(f"192.168.{49 + at}.1/24")), ("spine", ip_interface(f"10.0.0.{at}/30"))) for at in (1, 2)}
    return top_of_rack(nodes, [Router(f"router-{at}", own) for at, own in legs.items()], mode=mode, **more)


def test_top_of_rack_by_ebgp_puts_the_router_between() -> None:
    nodes = hosts(50, 50, 51)
    bgp = converge(racks(nodes, "ebgp"), own(nodes))
    assert routes(bgp, "node-1")[1:] == [  # what is on the link keeps its next hop (RFC 4271 section 5.1.3)
        "10.244.2.0/26 via 192.168.50.12 dev eth0 proto bird",
        "10.244.3.0/26 via 192.168.50.1 dev eth0 proto bird",
    ]
    assert bgp.paths("node-1", ip_network("10.244.3.0/26"))[0].as_path == (65101, 65102, 64515)
    assert routes(bgp, "router-1")[2] == "10.244.3.0/26 via 10.0.0.2 dev spine proto bird"


def test_top_of_rack_by_ibgp_keeps_the_next_hop() -> None:
    nodes = hosts(50, 50, 51)
    bgp = converge(racks(nodes, "ibgp"), own(nodes))
    assert routes(bgp, "node-1")[1:] == [
        "10.244.2.0/26 via 192.168.50.12 dev eth0 proto bird",
        "10.244.3.0/26 via 192.168.50.1 dev eth0 proto bird",
    ]
    path = bgp.paths("node-1", ip_network("10.244.3.0/26"))[0]
    assert (path.next_hop, path.as_path, path.internal) == (ip_address("10.0.0.2"), (64514,), True)


def test_nodes_that_share_an_as_refuse_each_other_behind_ebgp() -> None:
    nodes = hosts(50, 50, 51)
    bgp = converge(racks(nodes, "ebgp", asns={one.name: 64512 for one in nodes}), own(nodes))
    assert [routes(bgp, one.name) for one in nodes] == [[f"blackhole 10.244.{n}.0/26 proto bird"] for n in (1, 2, 3)]


def test_the_one_router_of_the_underlay() -> None:
    nodes = hosts(50, 51)
    bgp = converge(top_of_rack(nodes, [underlay_router(segments(nodes))]), own(nodes))
    assert routes(bgp, "underlay") == [
        "10.244.1.0/26 via 192.168.50.11 dev segment-1 proto bird",
        "10.244.2.0/26 via 192.168.51.12 dev segment-2 proto bird",
    ]


# ── changes ──


def test_in_a_mesh_a_leave_is_forgotten_without_a_word() -> None:
    left = mesh(50, 50, 50).leave("node-2")
    assert said(left.rounds) == [["0: node-2 → node-1, node-3: lost 10.244.2.0/26"]]
    assert left.messages == 0 and left.routes("node-2") == ()
    assert [str(session) for session in left.sessions] == ["node-1 – node-3 (iBGP)"]


def test_with_a_reflector_a_leave_is_passed_on() -> None:
    nodes = hosts(50, 50, 50)
    left = converge(reflectors(nodes, ["node-1"]), own(nodes)).leave("node-2")
    assert said(left.rounds) == [["0: node-2 → node-1: lost 10.244.2.0/26"], ["1: node-1 → node-3: withdraw 10.244.2.0/26"]]


def test_two_reflectors_believe_each_other_for_one_round() -> None:
    nodes = hosts(50, 50, 50, 50)
    left = converge(reflectors(nodes, ["node-1", "node-2"]), own(nodes)).leave("node-3")
    assert any("announce 10.244.3.0/26" in str(update) and "→ node-4" in str(update) for update in left.rounds[1])
    assert left.paths("node-4", ip_network("10.244.3.0/26")) == ()


def test_without_its_only_reflector_a_node_is_alone() -> None:
    nodes = hosts(50, 50, 50)
    assert routes(converge(reflectors(nodes, ["node-1"]), own(nodes)).leave("node-1"), "node-2") == ["blackhole 10.244.2.0/26 proto bird"]


def test_a_session_that_is_cut_and_mended() -> None:
    whole = mesh(50, 50, 50)
    cut = whole.disconnect("node-1", "node-2")
    assert routes(cut, "node-1") == ["blackhole 10.244.1.0/26 proto bird", "10.244.3.0/26 via 192.168.50.13 dev eth0 proto bird"]
    assert cut.connect("node-2", "node-1").tables == whole.tables


def test_a_node_that_starts_later() -> None:
    nodes = hosts(50, 50, 50)
    early = converge(full_mesh(nodes), own(nodes), down=["node-3"])
    assert early.messages == 2
    late = early.join("node-3")
    assert late.tables == mesh(50, 50, 50).tables
    assert sorted((row[1], row[2]) for updates in late.rounds for update in updates for row in update.each()) == [
        ("node-1", "node-3"), ("node-2", "node-3"), ("node-3", "node-1"), ("node-3", "node-2"),
    ]  # fmt: skip


# ── mistakes ──


def test_mistakes_have_words() -> None:
    bgp, nodes = mesh(50, 50), hosts(50, 50)
    with pytest.raises(ModelError, match=r"'node-9' does not speak BGP here \(these do: node-1, node-2\)"):
        bgp.routes("node-9")
    with pytest.raises(ModelError, match="node-1 is up already"):
        bgp.join("node-1")
    with pytest.raises(ModelError, match="node-1 is down already"):
        bgp.leave("node-1").leave("node-1")
    with pytest.raises(ModelError, match="no peers"):
        converge(reflectors(hosts(50, 50, 50), ["node-1"]), {}).disconnect("node-2", "node-3")
    with pytest.raises(ModelError, match="speaks BGP for IPv4 and cannot announce fd00::/122"):
        converge(full_mesh(nodes), {"node-1": [ip_network("fd00::/122")]})
    with pytest.raises(ModelError, match=r"node-2 has no router in 192\.168\.51\.0/24"):
        top_of_rack(hosts(50, 51), [Router("r", (("eth0", ip_interface("192.168.50.1/24")),))])
    with pytest.raises(ModelError, match="'Sometimes'"):
        bgp.routes("node-1", tunnel="Sometimes")
    with pytest.raises(UnsupportedError, match="IPIP"):
        mesh(50, 50, version=6).routes("node-1", tunnel="Always")


def test_several_gateways_are_refused() -> None:
    shared = ip_network("10.96.0.10/32")
    bgp = converge(full_mesh(hosts(50, 50, 50)), {"node-1": [shared], "node-2": [shared]})
    assert routes(bgp, "node-1") == ["blackhole 10.96.0.10 proto bird"]
    with pytest.raises(UnsupportedError, match="2 gateways alike"):
        bgp.routes("node-3")


# ── the choice between paths ──


@pytest.mark.parametrize(
    ("places", "owners", "chosen"),
    [
        ((50, 50, 51), ("node-3", "node-2"), "node-2"),  # the nearer next hop
        ((50, 51, 51), ("node-3", "node-2"), "node-2"),  # both behind the gateway: the lower router id
    ],
)
def test_the_choice_between_two_owners(places: tuple[int, ...], owners: tuple[str, ...], chosen: str) -> None:
    shared = ip_network("10.96.0.10/32")
    bgp = converge(full_mesh(hosts(*places)), {name: [shared] for name in owners})
    assert [path.sender for path in bgp.paths("node-1", shared)] == [chosen, *({*owners} - {chosen})]


def test_the_shorter_as_path_wins() -> None:
    shared, nodes = ip_network("10.96.0.10/32"), hosts(50, 50, 51)
    bgp = converge(racks(nodes, "ebgp"), {"node-2": [shared], "node-3": [shared]})
    assert [path.as_path for path in bgp.paths("router-1", shared)] == [(64514,), (65102, 64515)]


def test_a_router_id_without_ipv4() -> None:
    assert router_id_of("node-1", {6: ip_address("fd00::1")}) == router_id_of("node-1", {})
    assert all(router_id_of(f"node-{n}", {}).packed[0] < 224 for n in range(200))


# ── text ──


def test_the_words_of_birdc() -> None:
    nodes = hosts(50, 50, 51)
    bgp = converge(reflectors(nodes, ["node-2"]), own(nodes)).leave("node-2").join("node-2").leave("node-3")
    assert show_protocols(bgp, "node-2").splitlines()[-2:] == [
        "Node_192_168_50_11 BGP        ---        up     12:00:00.000  Established",
        "Node_192_168_51_13 BGP        ---        start  12:00:00.000  Active",
    ]
    whole = converge(reflectors(nodes, ["node-2"]), own(nodes))
    assert show_route(whole, "node-1", every=True) == (
        "Table master4:\n"
        "10.244.1.0/26        blackhole [static1 12:00:00.000] * (200)\n\tType: static univ\n"
        "10.244.2.0/26        unicast [Node_192_168_50_12 12:00:00.000] * (100) [i]\n\tvia 192.168.50.12 on eth0\n"
        "\tType: BGP univ\n\tBGP.origin: IGP\n\tBGP.as_path: \n\tBGP.next_hop: 192.168.50.12\n\tBGP.local_pref: 100\n"
        "10.244.3.0/26        unicast [Node_192_168_50_12 12:00:00.000 from 192.168.50.12] * (100/?) [i]\n\tvia 192.168.50.1 on eth0\n"
        "\tType: BGP univ\n\tBGP.origin: IGP\n\tBGP.as_path: \n\tBGP.next_hop: 192.168.51.13\n\tBGP.local_pref: 100\n"
        "\tBGP.originator_id: 192.168.51.13\n\tBGP.cluster_list: 244.0.0.1"
    )


def test_the_words_of_calicoctl() -> None:
    assert node_status(mesh(50, 50), "node-1") == (
        "Calico process is running.\n\nIPv4 BGP status\n"
        "+---------------+-------------------+-------+----------+-------------+\n"
        "| PEER ADDRESS  |     PEER TYPE     | STATE |  SINCE   |    INFO     |\n"
        "+---------------+-------------------+-------+----------+-------------+\n"
        "| 192.168.50.12 | node-to-node mesh | up    | 12:00:00 | Established |\n"
        "+---------------+-------------------+-------+----------+-------------+"
    )
    assert node_status(mesh(50), "node-1").endswith("No IPv4 peers found.")


def test_the_configuration_of_a_reflector() -> None:
    nodes = hosts(50, 50, 50)
    bgp = converge(reflectors(nodes, ["node-1", "node-2"]), own(nodes))
    conf = bird_conf(bgp, "node-1", [POOL, ip_network("fd00:244::/48")], hold_time=9)
    assert "router id 192.168.50.11;" in conf and "  route 10.244.1.0/26 blackhole;\n" in conf and "hold time 9;" in conf
    assert "if net ~ 10.244.0.0/16 then accept;" in conf and "fd00" not in conf
    client, other = conf.split("protocol bgp Node_192_168_50_13")[1], conf.split("protocol bgp Node_192_168_50_12")[1].split("}")[0]
    assert "rr client;\n  rr cluster id 244.0.0.1;" in client and "rr" not in other.replace("source address", "")
    assert "passive" not in conf and "passive on" in bird_conf(mesh(50, 50), "node-1", [POOL])


# ── what holds of any cluster ──

PLACES = st.lists(st.sampled_from([50, 51]), min_size=1, max_size=7)
SHAPES = st.sampled_from(["mesh", "reflectors", "ebgp", "ibgp"])


@st.composite
def clusters(draw) -> Converged:
    nodes, shape = hosts(*draw(PLACES)), draw(SHAPES)
    count = draw(st.integers(1, min(3, len(nodes))))
    names = draw(st.permutations([one.name for one in nodes]))[:count]
    made: Mapping = {
        "mesh": lambda: full_mesh(nodes),
        "reflectors": lambda: reflectors(nodes, names),
        "ebgp": lambda: racks(nodes, "ebgp"),
        "ibgp": lambda: racks(nodes, "ibgp"),
    }
    return converge(made[shape](), own(nodes))


@given(clusters())
def test_everyone_knows_every_prefix_and_paths_have_no_loop(bgp: Converged) -> None:
    for name, speaker in bgp.topology.speakers.items():
        entries = bgp.rib(name)
        assert [entry.prefix for entry in entries] == list(bgp.prefixes)
        for entry in entries:
            assert len({path.sender for path in entry.paths}) == len(entry.paths)
            for path in entry.paths:
                assert speaker.asn not in path.as_path and len(set(path.as_path)) == len(path.as_path)
                assert path.originator_id != speaker.router_id


@given(PLACES, st.data())
def test_reflectors_give_the_routes_of_the_mesh(places: list[int], data: st.DataObject) -> None:
    nodes = hosts(*places)
    names = data.draw(st.lists(st.sampled_from([one.name for one in nodes]), min_size=1, max_size=3, unique=True))
    whole, few = converge(full_mesh(nodes), own(nodes)), converge(reflectors(nodes, names), own(nodes))
    for one in nodes:
        assert few.routes(one.name) == whole.routes(one.name)
        assert few.routes(one.name, tunnel="CrossSubnet") == whole.routes(one.name, tunnel="CrossSubnet")


@given(clusters(), st.data())
def test_who_leaves_leaves_nothing_and_may_come_back(bgp: Converged, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(bgp.topology.speakers)))
    left = bgp.leave(name)
    for other in bgp.topology.speakers:
        assert all(path.prefix not in bgp.own.get(name, ()) and path.sender != name for entry in left.rib(other) for path in entry.paths)
    back = left.join(name)
    assert back.tables == bgp.tables
    assert set(back.sessions) == set(bgp.sessions)


@given(clusters(), st.data())
def test_a_leave_ends_where_a_start_without_it_does(bgp: Converged, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(bgp.topology.speakers)))
    without = converge(bgp.topology, bgp.own, down=[name])
    left = bgp.leave(name)
    for other in bgp.topology.speakers:
        assert left.routes(other) == without.routes(other)
        assert {entry.prefix: entry.paths for entry in left.rib(other)} == {entry.prefix: entry.paths for entry in without.rib(other)}


@given(clusters())
def test_the_rounds_tell_the_whole_story(bgp: Converged) -> None:
    """Played back message by message, they give every table, so a lesson may show them as what happened."""
    tables: dict[str, dict] = {name: {} for name in bgp.topology.speakers}
    for updates in bgp.rounds:
        for update in updates:
            for peer in update.to:
                tables[peer].setdefault(update.prefix, {})[update.sender] = update.path
    for name, table in tables.items():
        speaker = bgp.topology.speaker(name)
        for entry in bgp.rib(name):
            told = {path for path in table.get(entry.prefix, {}).values() if path is not None}
            kept = {path for path in told if speaker.asn not in path.as_path and path.originator_id != speaker.router_id}
            assert kept == {path for path in entry.paths if path.sender}


@given(clusters())
def test_own_prefixes_are_the_blackholes(bgp: Converged) -> None:
    for name in bgp.topology.speakers:
        assert [route.dst for route in bgp.routes(name) if route.type == "blackhole"] == list(bgp.own.get(name, ()))
