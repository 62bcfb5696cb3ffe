"""Exercise 04: every seed has a solution, every fault breaks something, a wrong answer gets a hint that fits and is not the answer."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex04, ex04_given
from k8snetlib.course.checks.ex04 import running
from k8snetlib.kube.cni.vpc_limits import LIMITS, recommended_pods
from k8snetlib.kube.cni.vpc_use import subnet_use
from k8snetlib.linux.state import Route

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(12))]
MANY = [variant("04", f"student-{n}") for n in range(60)]
OPS = k8s.ops


def refusal(key: str, **given) -> str:
    """What the check says to a wrong answer."""
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def written(case) -> list[str]:
    """A right answer to 04.1, from what the agents wrote and not from the printed lines."""
    cluster = ex04.cluster(case)
    cables = {box.veth for box in cluster.sandboxes.values()}
    told = {str(op.route): op.route.proto for op in cluster.node_ops("node-a") if type(op) is OPS.RouteAdd}
    words = []
    for line in str(k8s.ip_route(cluster.network, "node-a")).splitlines():
        felix = any(f"dev {cable} " in line for cable in cables)
        words.append("felix" if felix else "kernel" if line not in told else "bird" if told[line] == "bird" else "installer")
    return words


def by_eye(case) -> int:
    """The line whose block has the second Pod's address, read from the text."""
    address = next(pod for pod in ex04.cluster(case).pods if pod.name == ex04.pods(case)[1]).pod_ips[0]
    start = str(address).rpartition(".")[0]
    lines = str(k8s.ip_route(ex04.cluster(case).network, "node-a")).splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.startswith(f"{start}.0/26 via"))


def machines(case) -> tuple[int, int]:
    """A right answer to 04.2, by the formulas."""
    kind, wanted = ex04.demand(case)
    return -(-wanted // (LIMITS[kind].enis * LIMITS[kind].slots)), -(-wanted // (recommended_pods(kind, prefix=True) - 2))


def told(case) -> list:
    """A right answer to 04.4, from BGP: what the mesh tells, and what the newcomer tells its router."""
    grown, new = ex04.grown(case), ex04.newcomer(case)
    near = [host for host in grown.hosts if host.network(4) == new.network(4) and host.name != new.name]
    bgp = k8s.bgp(grown)
    direct = {host.address(4) for host in near}
    own = [OPS.RouteAdd(new.name, route) for route in bgp.routes(new.name) if route.via in direct]
    theirs = [OPS.RouteAdd(host.name, route) for host in near for route in bgp.routes(host.name) if route.dst in new.blocks]
    return [OPS.RouteAdd("underlay", Route(new.blocks[0], via=new.address(4))), *own, *theirs]


# ── every student's exercise can be solved ──


@pytest.mark.parametrize("seed", SEEDS)
def test_exercise_04_can_be_solved(seed, capsys):
    case = variant("04", seed)
    secondary, prefixes = machines(case)
    check("04.1", wrote=written(case), line=by_eye(case), case=case)
    check("04.2", secondary=secondary, prefixes=prefixes, case=case)
    check("04.3", where=ex04_given.fault(case)[0], case=case)
    check("04.4", routes=told(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


@pytest.mark.parametrize("kind", ex04_given.MACHINES)
@pytest.mark.parametrize("wanted", range(98, 151, 13))
def test_every_demand_has_one_answer_and_fits_into_its_subnet(kind, wanted, monkeypatch):
    monkeypatch.setattr(ex04_given, "demand", lambda case: (kind, wanted))
    monkeypatch.setattr(ex04, "demand", lambda case: (kind, wanted))
    case = variant("04")
    secondary, prefixes = machines(case)
    assert prefixes < secondary < ex04.MOST
    check("04.2", secondary=secondary, prefixes=prefixes, case=case)
    for number, cni in ((secondary, "vpc"), (prefixes, "vpc-prefix")):
        (subnet,) = subnet_use(ex04_given.cloud(case, number, cni))
        assert subnet.free > 0 and subnet.free_prefixes > 0


def test_students_get_different_ones():
    for setting, kinds in ex04_given.KINDS.items():
        own = [case for case in MANY if ex04.setting(case) == setting]
        assert {ex04_given.fault(case)[0] for case in own} == set(kinds)
    assert {ex04.demand(case)[0] for case in MANY} == set(ex04_given.MACHINES)
    assert {machines(case)[1] for case in MANY} == {1, 2}
    assert len({ex04.newcomer(case).name for case in MANY}) == 3
    assert len({tuple(written(case)) for case in MANY}) > 5 and len({by_eye(case) for case in MANY}) > 3
    assert len({str(k8s.ip_route(ex04.cluster(case).network, "node-a")) for case in MANY}) == len(MANY)


@pytest.mark.parametrize("case", MANY, ids=lambda case: case.seed)
def test_whole_clusters_work_and_broken_ones_do_not(case):
    cluster, (first, second) = ex04.cluster(case), ex04.pods(case)
    whole = cluster.trace(f"pod/{first}", f"pod/{second}:8080")
    assert whole.delivered and whole.reply.delivered
    failed = cluster.trace(f"pod/{first}", f"pod/{second}:8080", network=ex04.broken(case))
    assert not failed.delivered or not failed.reply.delivered, ex04_given.fault(case)
    assert len(ex04_given.fault(case)[1]) == 1


@pytest.mark.parametrize("case", MANY[:20], ids=lambda case: case.seed)
def test_before_it_is_told_the_newcomer_alone_is_cut_off(case):
    grown, new, network = ex04.grown(case), ex04.newcomer(case), ex04.joined(case)
    nodes = {pod.name: pod.node_name for pod in grown.pods}
    for one in nodes:
        for other in nodes:
            if one != other:
                trace = grown.trace(f"pod/{one}", f"pod/{other}:8080", network=network)
                works = trace.delivered and trace.reply.delivered
                assert works == (new.name not in (nodes[one], nodes[other])), (one, other)


# ── wrong answers ──


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_hint_fits_the_mistake_in_a_table(seed):
    case = variant("04", seed)
    right, line = written(case), by_eye(case)
    assert "The words are" in refusal("04.1", wrote=["me", *right[1:]], line=line, case=case)
    assert f"{len(right) - 1} words" in refusal("04.1", wrote=right[1:], line=line, case=case)
    clues = {
        "installer": ("bird", "before Kubernetes"),
        "kernel": ("bird", "by itself"),
        "felix": ("bird", "cable"),
        "bird": ("felix", "/26"),
    }
    for word, (mistake, clue) in clues.items():
        place = right.index(word)
        said = refusal("04.1", wrote=[*right[:place], mistake, *right[place + 1 :]], line=line, case=case)
        assert f"line {place + 1}: {mistake}" in said and clue in said and word not in said.partition("hint")[2]
    assert "knew the way out" in refusal("04.1", wrote=["installer"] * len(right), line=line, case=case)
    assert "most exact" in refusal("04.1", wrote=right, line=right.index("installer") + 1, case=case)
    assert "cover the address" in refusal("04.1", wrote=right, line=right.index("kernel") + 1, case=case)
    assert "first line is 1" in refusal("04.1", wrote=right, line=str(line), case=case)


@pytest.mark.parametrize("case", MANY[:8], ids=lambda case: case.seed)
def test_a_hint_fits_the_mistake_in_a_number_of_machines(case):
    kind, wanted = ex04.demand(case)
    (secondary, prefixes), most = machines(case), LIMITS[kind]
    naive = -(-wanted // (most.enis * most.addresses))
    if naive < secondary:
        assert "each of an ENI's addresses" in refusal("04.2", secondary=naive, prefixes=prefixes, case=case)
    assert "Fewer would do" in refusal("04.2", secondary=secondary + 1, prefixes=prefixes, case=case)
    assert "How many Pods can" in refusal("04.2", secondary=1, prefixes=prefixes, case=case)
    crowded = running(case, secondary, "vpc-prefix") < wanted
    assert ("takes a /28" if crowded else "without prefixes") in refusal("04.2", secondary=secondary, prefixes=secondary, case=case)
    if prefixes > 1:
        said = refusal("04.2", secondary=secondary, prefixes=1, case=case)
        assert "What else limits" in said and f"of {wanted} Pods run" in said
    for wrong in (0, 61, True, 2.0, "3"):
        assert "whole number" in refusal("04.2", secondary=secondary, prefixes=wrong, case=case)


def test_who_counts_the_systems_pods_among_the_addresses_is_told_so():
    case = next(c for c in MANY if -(-ex04.demand(c)[1] // (machines_with_all(c))) < machines(c)[0])
    wrong = -(-ex04.demand(case)[1] // machines_with_all(case))
    assert "two Pods of the system" in refusal("04.2", secondary=wrong, prefixes=machines(case)[1], case=case)


def machines_with_all(case) -> int:
    """maxPods of the student's machines with secondary addresses, where it leads to another number than counting all of an ENI's does."""
    kind, wanted = ex04.demand(case)
    most = LIMITS[kind]
    both = most.enis * most.slots + 2
    return both if -(-wanted // both) != -(-wanted // (most.enis * most.addresses)) else most.enis * most.slots


@pytest.mark.parametrize("case", MANY[:12], ids=lambda case: case.seed)
def test_a_word_that_is_not_the_fault_is_refuted_by_what_is_printed(case):
    right = ex04_given.fault(case)[0]
    for word in ex04_given.WORDS:
        if word != right:
            said = refusal("04.3", where=word, case=case)
            assert said.endswith("?") and right not in said
    assert "one of forwarding" in refusal("04.3", where="bgp", case=case)


@pytest.mark.parametrize("case", MANY[:24], ids=lambda case: case.seed)
def test_what_a_hint_says_of_the_tables_is_so(case):
    """A refuted word's sentence (all is as it should be there) holds in every cluster that is broken in another way."""
    right, network = ex04_given.fault(case)[0], ex04.broken(case)
    cluster, ends = ex04.cluster(case), dict(ex04.cables(case))
    pods = {host.name: {b.addresses[0].ip for b in cluster.sandboxes.values() if b.host == host.name} for host in cluster.hosts}
    blocks = {host.name: set(host.blocks) for host in cluster.hosts}
    routes = {
        name: [route for route in network[name].routes if route.dst.version == 4 and route.table == "main"] for name in (*ends, "underlay")
    }
    dsts = {name: {route.dst for route in found} for name, found in routes.items()}
    holds = {
        "forwarding": all(network[node].sysctl("net.ipv4.ip_forward") == 1 for node in ends),
        "proxy arp": all(network[node].sysctl(f"net.ipv4.conf.{cable}.proxy_arp") == 1 for node, cable in ends.items()),
        "default route": all(any(not dst.prefixlen for dst in dsts[node]) for node in ends),
        "stray route": all(dst.prefixlen <= 26 or dst.network_address in pods[node] for node in ends for dst in dsts[node]),
        "pod route": all(
            any(dst.prefixlen == 32 and dst.network_address == ip for dst in dsts[node]) for node in ends for ip in pods[node]
        ),
        "block route": all(blocks[other] <= dsts[node] for node in ends for other in blocks),
        "router": set().union(*blocks.values()) <= dsts["underlay"] or ex04.setting(case) == "bgp",
    }
    assert {word for word, fine in holds.items() if not fine} == {right}


@pytest.mark.parametrize("case", MANY[:8], ids=lambda case: case.seed)
def test_a_hint_fits_what_is_missing_of_a_newcomers_routes(case):
    right, new = told(case), ex04.newcomer(case)
    assert "dropped in underlay" in refusal("04.4", routes=[], case=case)
    assert "That is the router" in refusal("04.4", routes=right[1:], case=case)
    for gone in range(1, len(right)):
        said = refusal("04.4", routes=right[:gone] + right[gone + 1 :], case=case)
        assert "by way of underlay" in said and "next hop is the other node itself" in said
    assert "by way of underlay" in refusal("04.4", routes=right[:1], case=case)
    astray = next(host for host in ex04.grown(case).hosts if host.network(4) == new.network(4) and host.name != new.name)
    wrong = [OPS.RouteAdd("underlay", Route(new.blocks[0], via=astray.address(4))), *right[1:]]
    assert f"by way of {astray.name}" in refusal("04.4", routes=wrong, case=case)
    far = next(host for host in ex04.grown(case).hosts if host.network(4) != new.network(4))
    off_link = OPS.route(far.name, str(new.blocks[0]), via=str(new.address(4)))
    assert "Nexthop has invalid gateway" in refusal("04.4", routes=[*right, off_link], case=case)
    assert "File exists" in refusal("04.4", routes=[*right, right[0]], case=case)
    stolen = Route(new.blocks[0], "eth0", type="local")
    assert f"dropped in {far.name}, NO_SOCKET" in refusal("04.4", routes=[*right, OPS.RouteAdd(far.name, stolen)], case=case)
    sysctl = OPS.SysctlSet(new.name, "net.ipv4.ip_forward", 0)
    assert "routes and nothing else" in refusal("04.4", routes=[*right, sysctl], case=case)


@pytest.mark.parametrize("case", MANY[:4], ids=lambda case: case.seed)
def test_whoever_else_is_cut_off_by_the_new_routes_is_seen(case):
    grown = ex04.grown(case)
    ours = next(host for host in grown.hosts if host.name != ex04.newcomer(case).name)
    lost = OPS.RouteDel("underlay", Route(ours.blocks[0]))
    said = refusal("04.4", routes=[*told(case), lost], case=case)
    assert "dropped in underlay" in said and ours.name in said


@pytest.mark.parametrize("given", [5, 2.5, "x", ["ip link add"], OPS.RouteAdd, object(), b"", {}])
@pytest.mark.parametrize(
    "key, others", [("04.1", ("wrote", "line")), ("04.2", ("secondary", "prefixes")), ("04.3", ("where",)), ("04.4", ("routes",))]
)
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, others, given):
    said = refusal(key, **dict.fromkeys(others, given), case=variant("04"))
    assert len(said.splitlines()) <= 4
