"""For how many Pods a cluster has room: each limit alone, the plug-in's own IPAM against sums, and the picture of it."""

from __future__ import annotations

import re

import pytest

from k8snetlib import bgp, shop
from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.cni.vpc_limits import LIMITS, max_pods, recommended_pods
from k8snetlib.kube.room import ADDRESSES, ENIS, KUBELET, PREFIXES, allowed, room
from k8snetlib.linux.addresses import ip_network
from k8snetlib.views import limits, peering, plot
from k8snetlib.views.limits import limits_picture
from k8snetlib.views.peering import peering_picture, session_count, session_curve
from k8snetlib.views.render import STYLE
from k8snetlib.widgets import bars

WIDE = ip_network("192.168.48.0/20")


def subnet(length: int):
    return ip_network(f"192.168.48.0/{length}")


@pytest.mark.parametrize("kind", [kind for kind in LIMITS if max_pods(kind) < 300])
def test_enis_are_the_limit_where_the_subnet_is_wide(kind: str) -> None:
    most = LIMITS[kind].enis * (LIMITS[kind].addresses - 1)
    found = room("vpc", 1, most + 3, kind, WIDE)
    assert (found.running, dict(found.stopped)) == (most, {ENIS: 3})
    assert found.held == most + LIMITS[kind].enis
    assert allowed("vpc", 1, kind, WIDE)[ENIS] == most


@pytest.mark.parametrize("kind", ["t3.medium", "m5.large", "m5.4xlarge"])
def test_with_prefixes_it_is_the_kubelet(kind: str) -> None:
    most = recommended_pods(kind, prefix=True) - 2
    found = room("vpc-prefix", 2, 2 * most + 5, kind, WIDE)
    assert (found.running, dict(found.stopped)) == (2 * most, {KUBELET: 5})
    assert found.held == 2 + sum(16 * len(eni.prefixes) for host in found.hosts for eni in host.enis) + sum(
        len(h.enis) - 1 for h in found.hosts
    )


def test_a_nano_with_prefixes_is_held_by_its_enis() -> None:
    """2 ENIs with one prefix each: less than the cap of the kubelet."""
    assert dict(room("vpc-prefix", 1, 40, "t3.nano", WIDE).stopped) == {ENIS: 8}


@pytest.mark.parametrize("length", [27, 26, 25, 24])
@pytest.mark.parametrize("nodes", [1, 4, 11])
def test_a_subnet_is_used_up_to_its_last_address(length: int, nodes: int) -> None:
    """m5.24xlarge: one ENI takes 49 Pods, so that nothing but the subnet can stop them."""
    usable = 2 ** (32 - length) - 5
    wanted = min(usable, 40 * nodes)
    found = room("vpc", nodes, wanted, "m5.24xlarge", subnet(length))
    assert found.running == min(wanted, usable - nodes)
    assert set(found.stopped) <= {ADDRESSES}
    assert found.held == nodes + found.running


def test_further_enis_take_addresses_too() -> None:
    found = room("vpc", 6, 150, "m5.large", subnet(25))
    further = sum(len(host.enis) - 1 for host in found.hosts)
    assert further and found.running + further + 6 <= 123 and found.held == found.running + further + 6
    assert found.running < allowed("vpc", 6, "m5.large", subnet(25))[ADDRESSES] == 123 - 6


def test_no_free_prefix_is_told_from_no_free_address() -> None:
    """Eleven nodes stand in the only /28 that the reserved addresses have not spoiled already."""
    found = room("vpc-prefix", 11, 20, "m5.large", subnet(27))
    assert dict(found.stopped) == {PREFIXES: 20} and found.running == 0
    assert allowed("vpc-prefix", 11, "m5.large", subnet(27))[PREFIXES] == 0
    assert room("vpc", 11, 16, "m5.large", subnet(27)).running == 16


def test_what_is_no_nitro_counts_addresses() -> None:
    assert set(allowed("vpc-prefix", 2, "t2.medium")) == {ENIS, KUBELET, ADDRESSES}
    assert dict(room("vpc-prefix", 2, 31, "t2.medium").stopped) == {ENIS: 1}


@pytest.mark.parametrize(("cni", "unit"), [("bgp", 64), ("ipip", 64), ("vxlan", 256), ("host-gw", 256)])
def test_other_plans_have_a_pool_of_their_own(cni: str, unit: int) -> None:
    found = room(cni, 3, 60, "t3.nano")
    assert (found.running, found.held, found.unit, found.set_aside) == (60, 3, unit, 3 * unit)
    full = room(cni, 3, 330, "t3.nano")
    assert (full.running, dict(full.stopped)) == (3 * 108, {KUBELET: 6})
    assert full.set_aside == 3 * (unit if unit == 256 else 128)  # 108 Pods are two blocks


def test_a_calico_node_without_a_pod_has_no_block_yet() -> None:
    assert room("bgp", 20, 10).set_aside == 10 * 64
    assert room("bgp", 4, 0).set_aside == 0
    assert room("vxlan", 20, 10).set_aside == 20 * 256


def test_mistakes_are_named() -> None:
    with pytest.raises(ModelError, match="at least one node"):
        room("vpc", 0, 5)
    with pytest.raises(ModelError, match=r"192\.168\.48\.0/28 has 11 addresses for interfaces and Pods: no room for 12 nodes"):
        room("vpc", 12, 5, subnet=subnet(28))
    with pytest.raises(UnsupportedError, match=r"x9\.huge"):
        room("vpc", 1, 5, "x9.huge")


# The pictures


def test_a_bar_is_as_long_as_its_limit_and_says_where_it_falls_short() -> None:
    svg = limits_picture({"a": 50, "b": 100, "c": 5000}, 100, "100 wanted", ("got", 50), "alt").svg
    widths = [float(width) for width in re.findall(r'class="limit-(?:room|short|got)" x="\d+" y="\d+" width="([\d.]+)"', svg)]
    assert len(widths) == 4 and widths[0] == widths[3] == pytest.approx(widths[1] / 2) == pytest.approx(widths[2] / 4, abs=0.1)
    assert ["✕ a" in svg, "✓ b" in svg, "✓ c" in svg, "5,000 →" in svg] == [True] * 4
    assert svg.count('class="limit-short"') == 1
    assert svg.index("limit-want") < svg.index(">50</text>")  # the line does not cross the numbers
    with pytest.raises(ModelError, match="no limits"):
        limits_picture({}, 1, "", ("", 0), "")


@pytest.mark.parametrize("look", [limits.LOOK, plot.LOOK, bars.LOOK, peering.LOOK], ids=["limits", "plot", "bars", "peering"])
def test_a_figures_own_styles_touch_no_other_drawing_of_the_page(look: str) -> None:
    """A style element inside a page applies to the whole page, live drawings of other cells among it."""
    own = set(re.findall(r"\.k8snet\.k8snet \.([\w-]+)", look))
    others = [each for each in (STYLE, limits.LOOK, plot.LOOK, bars.LOOK, peering.LOOK) if each is not look]
    assert own and own.isdisjoint(re.findall(r"\.([a-z][\w-]*)", "".join(others)))


@pytest.mark.parametrize("nodes", [2, 3, 10, 57])
def test_sessions_are_counted(nodes: int) -> None:
    assert session_count(nodes) == nodes * (nodes - 1) // 2
    for reflect in (1, 2):
        assert session_count(nodes, reflect) == reflect * (reflect - 1) // 2 + reflect * (nodes - reflect)


def test_the_curve_tells_its_points() -> None:
    figure = session_curve()
    assert "4,950 with 100 nodes" in figure.alt and "294 with 100 nodes" in figure.alt and "full mesh" in figure.svg
    assert "1 reflector:" in session_curve((3, 5), 1).alt


def test_a_session_is_a_line_and_who_is_down_has_none() -> None:
    mesh = bgp(shop("bgp", node_c=True))
    rack = bgp(shop("bgp-tor", node_c=True), "rack")
    star = bgp(shop("bgp", node_c=True), "reflectors", reflect=["node-b"])
    for state, lines in ((mesh, 3), (star, 2), (rack, 3), (mesh.leave("node-c"), 1), (mesh.disconnect("node-a", "node-b"), 2)):
        figure = peering_picture({"x": state})
        assert figure.svg.count('class="peer-session"') == lines == len(state.sessions)
        assert figure.svg.count('class="dim"') == len(state.gone)
        assert figure.alt.partition(".")[2].count(" with ") == lines
    svg = peering_picture({"a": mesh, "b": star, "c": rack}).svg
    assert (svg.count('class="peer-reflector"'), svg.count('class="peer-router"'), svg.count('class="peer-node"')) == (1, 1, 8)
    assert 'width="858"' in svg and "x: 1 session<" in peering_picture({"x": mesh.leave("node-c")}).svg
    high, lowest = (
        max(map(float, re.findall(what, svg))) for what in (r'<svg [^>]*height="([\d.]+)"', r'class="peer-as" x="[\d.]+" y="([\d.]+)"')
    )
    assert 20 < high - lowest < 40  # no empty room below, whatever the number of speakers
    for shapes in ({}, dict.fromkeys("abcd", mesh)):
        with pytest.raises(ModelError, match="one to three shapes"):
            peering_picture(shapes)
