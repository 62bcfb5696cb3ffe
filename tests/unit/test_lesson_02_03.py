"""Exercises 02 and 03: every seed has a solution, a wrong answer gets one short hint that is not the answer, and nothing a student hands in
raises anything but NotYet; captures of a tunnel fit a page."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex02, ex03
from k8snetlib.views.tables import Table
from k8snetlib.widgets.twin import table

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(12))]
OPS = k8s.ops


def refusal(key: str, **given) -> str:
    """What the check says to a wrong answer."""
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def cable(case, address: str = "", prefix: int = 24) -> list:
    """A right answer to 02.4, written as a student would."""
    name = ex02.newcomer(case)
    return [
        OPS.LinkAdd(name, "eth0", "veth", peer=("node", "veth-new")),
        OPS.LinkSet("node", "veth-new", master="cni0", up=True),
        OPS.LinkSet(name, "eth0", up=True),
        OPS.address(name, "eth0", f"{address or ex02.pods(case)[name]}/{prefix}"),
        OPS.route(name, "default", via=str(ex02.gateway(case))),
    ]


def flood(case) -> set[str]:
    """A right answer to 02.2, counted from the Pods and not from the trace."""
    return {f"veth-{name}" for name in ex02.attached_pods(case) if name != ex02.pair(case)[0]}


def bystanders(case) -> int:
    """A right answer to 02.3, from the FDB and not from a trace."""
    later, (_, second) = ex02.later(case), ex02.pair(case)
    known = later[second].interfaces["eth0"].mac in {entry.mac for entry in later["node"].fdb.values()}
    return 0 if known else len(ex02.attached_pods(case)) - 2


def lost_entry(case) -> list:
    """A right answer to 03.4: what flanneld wrote for the node of the second Pod."""
    cluster, far = ex03.cluster(case), ex03.far_node(case)
    host = next(h for h in cluster.hosts if h.name == far)
    cidr = host.pod_cidrs[0]
    ops = [op for op in cluster.node_ops("node-a") if "flannel.1" in op.command()]
    mac = cluster.network["node-a"].neighbors["flannel.1", cidr.network_address].mac
    kind = ex03.fault(case)[0]
    if kind == "stray route":
        return [OPS.RouteDel("node-a", route) for route in ex03.broken(case)["node-a"].routes if route.proto == "static"]
    if kind == "forwarding":
        return [OPS.SysctlSet("node-a", "net.ipv4.ip_forward", 1)]
    if kind == "route":
        return [op for op in ops if type(op) is OPS.RouteAdd and op.route.dst == cidr]
    if kind == "neighbour":
        return [op for op in ops if type(op) is OPS.NeighAdd and op.neighbor.mac == mac]
    return [op for op in ops if type(op) is OPS.FdbAdd and op.entry.mac == mac]


# ── every student's exercise can be solved ──


@pytest.mark.parametrize("seed", SEEDS)
def test_exercise_02_can_be_solved(seed, capsys):
    case = variant("02", seed)
    check("02.1", mac=ex02.node(case)[ex02.pair(case)[1]].interfaces["eth0"].mac.upper(), case=case)
    check("02.2", ports=flood(case), case=case)
    check("02.3", count=bystanders(case), case=case)
    check("02.4", plug_in=cable(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_exercise_03_can_be_solved(seed, capsys):
    case = variant("03", seed)
    host = next(h for h in ex03.cluster(case).hosts if h.name == ex03.far_node(case))
    check("03.1", outer=host.address(4), case=case)
    check("03.2", mtu=ex03.underlay_mtu(case) - ex03.OVERHEADS[ex03.tunnel(case)], case=case)
    check("03.3", where=ex03.fault(case)[0], case=case)
    check("03.4", repair=lost_entry(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("02", seed) for seed in SEEDS]
    assert len({frozenset(flood(case)) for case in cases}) > 6
    assert {0} < {bystanders(case) for case in cases}
    cases = [variant("03", seed) for seed in SEEDS]
    more = [variant("03", f"student-{n}") for n in range(60)]
    assert {ex03.fault(case)[0] for case in more} == set(ex03.KINDS)
    assert {ex03.tunnel(case) for case in more} == set(ex03.OVERHEADS)
    for case in more:
        first, second = ex03.pods(case)
        trace = ex03.cluster(case).trace(f"pod/{first}", f"pod/{second}:8080", network=ex03.broken(case))
        assert not trace.delivered, ex03.fault(case)
    assert len({ex03.underlay_mtu(case) for case in cases}) > 3


# ── wrong answers ──


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_a_hint_fits_the_mistake_in_exercise_02(seed):
    case = variant("02", seed)
    network, (first, second) = ex02.node(case), ex02.pair(case)
    right = network[second].interfaces["eth0"].mac
    answers = {
        "ff:ff:ff:ff:ff:ff": "goes to everyone",
        network["node"].interfaces["cni0"].mac: "belongs to the node",
        network["node"].interfaces[f"veth-{second}"].mac: "belongs to the node",
        network[first].interfaces["eth0"].mac: "own address",
        second: "six pairs",
    }
    for mac, hint in answers.items():
        said = refusal("02.1", mac=mac, case=case)
        assert hint in said and right not in said
    ports = flood(case)
    assert "came in by one" in refusal("02.2", ports=ports | {f"veth-{first}"}, case=case)
    assert "the bridge itself" in refusal("02.2", ports=ports | {"cni0"}, case=case)
    assert "no port of cni0" in refusal("02.2", ports=ports | {f"veth-{ex02.newcomer(case)}"}, case=case)
    assert "Some are missing" in refusal("02.2", ports=f"veth-{second}", case=case)
    assert "k8s.bridge_fdb" in refusal("02.3", count=bystanders(case) + 7, case=case)


@pytest.mark.parametrize("missing", range(5))
def test_a_cable_with_one_part_missing_is_refused(missing):
    case = variant("02")
    parts = cable(case)
    said = refusal("02.4", plug_in=parts[:missing] + parts[missing + 1 :], case=case)
    assert len(said.splitlines()) == 4 and "Traceback" not in said


def test_an_address_that_is_another_pods_is_refused():
    case = variant("02")
    taken = ex02.pods(case)[ex02.pair(case)[1]]
    assert "without its address" in refusal("02.4", plug_in=cable(case, str(taken)), case=case)


@pytest.mark.parametrize("given", [5, 2.5, "x", ["ip link add"], OPS.LinkAdd, object(), b"", {}])
@pytest.mark.parametrize("key, name", [("02.1", "mac"), ("02.2", "ports"), ("02.3", "count"), ("02.4", "plug_in"),
                                       ("03.1", "outer"), ("03.2", "mtu"), ("03.3", "where"), ("03.4", "repair")])  # fmt: skip
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, name, given):
    said = refusal(key, **{name: given, "case": variant(key[:2])})
    assert len(said.splitlines()) <= 4


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_hint_fits_the_mistake_in_exercise_03(seed):
    case = variant("03", seed)
    cluster, room = ex03.cluster(case), ex03.underlay_mtu(case)
    right = room - ex03.OVERHEADS[ex03.tunnel(case)]
    assert "overlay" in refusal("03.1", outer="10.244.2.2", case=case)
    assert "an empty text" in refusal("03.1", outer=" ", case=case)
    assert "the source" in refusal("03.1", outer=str(cluster.hosts[0].address(4)), case=case)
    assert "Too large" in refusal("03.2", mtu=room, case=case)
    assert "Too small: a larger" in refusal("03.2", mtu=right - 13, case=case)
    assert "outer Ethernet header does not count" in refusal("03.2", mtu=right - 14, case=case)
    if ex03.tunnel(case) != "IPIP":
        assert "version of IP" in refusal("03.2", mtu=right - 20, case=case)
    other = next(n for n in ex03.OVERHEADS.values() if room - n not in (right, right - 20, right + 20))
    assert "another tunnel's" in refusal("03.2", mtu=room - other, case=case)
    assert str(right) not in refusal("03.2", mtu=room, case=case)
    for wrong in (kind for kind in ex03.KINDS if kind != ex03.fault(case)[0]):
        said = refusal("03.3", where=wrong, case=case)
        assert ex03.HINTS[wrong] in said and said.endswith("?")
    assert "One of the words" in refusal("03.3", where="cable", case=case)
    assert "does it end" in refusal("03.4", repair=[], case=case)


@pytest.mark.parametrize("number", range(40))
def test_what_the_hints_of_exercise_03_say_is_true(number):
    """Each speaks of what is in order unless it is the fault itself."""
    case = variant("03", f"student-{number}")
    kind, network = ex03.fault(case)[0], ex03.broken(case)
    home, host = network["node-a"], next(h for h in ex03.cluster(case).hosts if h.name == ex03.far_node(case))
    cidr = host.pod_cidrs[0]
    mac = ex03.cluster(case).network["node-a"].neighbors["flannel.1", cidr.network_address].mac
    entry = home.fdb.get(("flannel.1", mac))
    holds = {
        "route": any(r.dst == cidr and r.dev == "flannel.1" for r in home.routes),
        "neighbour": ("flannel.1", cidr.network_address) in home.neighbors,
        "fdb": entry is not None,
        "wrong node": entry is None or entry.dst == host.address(4),
        "stray route": not any(r.dst != cidr and r.dst.subnet_of(cidr) for r in home.routes if r.dst.version == 4),
        "forwarding": home.sysctl("net.ipv4.ip_forward") == 1,
    }
    assert holds == {each: each != kind for each in ex03.KINDS}


# ── what the lessons show ──


def test_what_travels_in_a_tunnel_has_a_line_of_its_own():
    shop = k8s.shop("vxlan")
    lines = k8s.tcpdump(shop.trace("pod/web", "pod/api-2:8080"), "node-a", "eth0").splitlines()
    assert lines[-2].endswith("VXLAN vni 1:") and lines[-1].strip().endswith("10.244.2.2:8080: TCP [S] length 0")
    assert max(map(len, lines)) <= 130


def test_columns_of_a_table_keep_their_words_and_their_font():
    heads, row = ("where", "rule", "n"), ("node-a veth-web", "-j DROP", "1")
    html = Table(heads, (row,), code=frozenset({"rule"}), whole=frozenset({"where"})).html()
    assert html.count("white-space:nowrap") == html.count("font-family:monospace") == 1
    assert html.index("nowrap") < html.index("veth-web") < html.index("monospace") < html.index("DROP")
    assert "var(" not in html


def test_a_short_caption_stays_on_one_line_and_a_long_one_may_be_broken():
    for caption, whole in (("What the controller writes into the route's status", 1), ("A long one. " * 6, 0)):
        assert Table(("n",), (("1",),), caption).html().count("nowrap") == table(("n",), [("1",)], caption).count("nowrap") == whole
    assert "caption" not in Table(("n",), (("1",),)).html() + table(("n",), [("1",)])


@pytest.mark.parametrize("cni, target", [("bridge", "pod/api-1:8080"), ("vxlan", "pod/api-2:8080")])
def test_the_lessons_comparison_would_notice_a_difference(cni, target):
    from k8snetlib.lab.canonical import by_interface, canonical

    trace, other = (k8s.shop(cni).trace("pod/web", target, ttl=ttl) for ttl in (64, 63))
    known = (trace.sent.sport, trace.sent.dport)
    seen, changed = (by_interface(canonical(k8s.captures(t), known)) for t in (trace, other))
    assert seen != changed and seen.keys() == changed.keys()
