"""BIRD 2 in the lab beside the model: the same sessions, the same paths with the same one chosen, the same routes in every kernel."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import sys
from pathlib import Path

import pytest

from k8snetlib.errors import LabError, UnsupportedError
from k8snetlib.kube.bgp import (
    Converged,
    Router,
    Session,
    Topology,
    bird_conf,
    blocks,
    converge,
    full_mesh,
    reflectors,
    show_protocols,
    show_route,
    top_of_rack,
    underlay_router,
)
from k8snetlib.kube.cni.sandbox import Host, segment_of, segments, underlay_ops, uplink_ops
from k8snetlib.lab import Lab
from k8snetlib.linux.addresses import ip_address, ip_interface, ip_network
from k8snetlib.linux.draft import build
from k8snetlib.linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd, SysctlSet
from k8snetlib.linux.state import Route
from k8snetlib.value import replace

pytestmark = pytest.mark.needs("bird")

POOLS = (ip_network("10.244.0.0/16"), ip_network("fd00:244::/32"))
SHAPES = ("mesh", "reflector", "reflectors", "rack-ebgp", "rack-ibgp")


def host(number: int, segment: int) -> Host:
    addresses = ip_interface(f"192.168.{segment}.{10 + number}/24"), ip_interface(f"fd00:{segment}::1{number}/64")
    gateways = ip_address(f"192.168.{segment}.1"), ip_address(f"fd00:{segment}::1")
    return Host(f"node-{number}", addresses, gateways, (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:244:{number}::/64")))


def cluster(rng: random.Random) -> list[Host]:
    """Two to five nodes on one or two segments."""
    several = rng.random() < 0.7
    return [host(number, 50 + (rng.randrange(2) if several else 0)) for number in range(1, rng.randint(2, 5) + 1)]


def ops(hosts: list[Host]) -> list[Op]:
    links = segments(hosts)
    nodes = [op for one in hosts for op in uplink_ops(one, f"to-{one.name}", segment_of(one, links))]
    return [*underlay_ops(hosts), *nodes]


def topology(shape: str, hosts: list[Host], version: int, rng: random.Random):
    names = [one.name for one in hosts]
    if shape == "mesh":
        return full_mesh(hosts, version)
    if shape.startswith("reflector"):
        return reflectors(hosts, rng.sample(names, 1 if shape == "reflector" else min(2, len(names))), version)
    return top_of_rack(hosts, [underlay_router(segments(hosts))], version, shape.removeprefix("rack-"))


def announced(hosts: list[Host], version: int, rng: random.Random) -> dict:
    """One block or two for each node, some nodes having none yet."""
    ranges = {one.name: one.pod_cidr(version) for one in hosts}
    length = 26 if version == 4 else 122
    return {name: [list_blocks(cidr, length)[i] for i in range(rng.choice((0, 1, 1, 1, 2)))] for name, cidr in ranges.items()}


def list_blocks(cidr, length: int) -> list:
    found = cidr.subnets(new_prefix=length)
    return [next(found), next(found)]


def expected(bgp: Converged, made: list[Op]) -> dict[str, set[str]]:
    """The model's routes in the kernel's words: added to the network of the same ops, so that every next hop has to be on a link there."""
    added = [RouteAdd(name, route) for name in bgp.topology.speakers for route in bgp.routes(name)]
    network = build([*made, *added])
    return {name: {str(route) for route in network[name].routes if route.proto == "bird"} for name in bgp.topology.speakers}


def installed(lab: Lab, name: str) -> set[str]:
    return {str(route) for route in lab.state(name).routes if route.proto == "bird"}


def known(text: str) -> set[tuple[str, str, bool]]:
    """(prefix, protocol, chosen) of the lines of ``show route``, those of BGP and of the blocks."""
    found, prefix = set(), ""
    for line in text.splitlines():
        if match := re.match(r"(\S*) +(?:unicast|blackhole|unreachable) \[(\S+)[^]]*\]( \*)?", line):
            prefix = match[1] or prefix
            if match[2] not in ("direct1", "kernel1"):
                found.add((prefix, match[2], bool(match[3])))
    return found


def columns(text: str) -> list[list[str]]:
    return sorted([line.split()[0], line.split()[1], line.split()[3], *line.split()[5:]] for line in text.splitlines()[1:])


def compare(lab: Lab, bgp: Converged, made: list[Op]) -> None:
    wanted = expected(bgp, made)
    for name in bgp.topology.speakers:
        if name not in bgp.gone:
            assert installed(lab, name) == wanted[name], name
            assert known(lab.birdc(name, "show route")) == known(show_route(bgp, name)), name


def start(lab: Lab, bgp: Converged) -> None:
    for name in bgp.topology.speakers:
        lab.bird(name, bird_conf(bgp, name, POOLS))
    lab.bgp_settle()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_random_clusters(shape: str, version: int, seed: int) -> None:
    rng = random.Random(f"{shape} {version} {seed}")
    hosts = cluster(rng)
    bgp = converge(topology(shape, hosts, version, rng), announced(hosts, version, rng))
    made = ops(hosts)
    with Lab(made) as lab:
        start(lab, bgp)
        compare(lab, bgp, made)
        for name in bgp.topology.speakers:
            assert columns(lab.birdc(name, "show protocols")) == columns(show_protocols(bgp, name))
        leaver = rng.choice([one.name for one in hosts])
        lab.stop_bird(leaver)
        lab.bgp_settle()
        compare(lab, bgp.leave(leaver), made)


def racks() -> tuple[list[Host], list[Router], list[Op]]:
    """Two segments with a router each, and a link between the routers; no router knows the other's segment."""
    hosts = [host(1, 50), host(2, 50), host(3, 51)]
    routers = [
        Router(f"router-{at}", (("rack", ip_interface(f"192.168.{49 + at}.1/24")), ("spine", ip_interface(f"10.0.0.{at}/30"))))
        for at in (1, 2)
    ]
    made: list[Op] = [NetnsAdd(one.name) for one in (*routers, *hosts)]
    made.append(LinkAdd("router-1", "spine", "veth", peer=("router-2", "spine")))
    for router in routers:
        made += [LinkAdd(router.name, "rack", "bridge"), SysctlSet(router.name, "net.ipv4.ip_forward", 1)]
        for dev, address in router.legs:
            made += [LinkSet(router.name, dev, up=True), AddrAdd(router.name, dev, address)]
    for one in hosts:
        router = next(r.name for r in routers if r.leg_in(one.addresses[0].network))
        made += [LinkAdd(one.name, "eth0", "veth", peer=(router, one.name)), LinkSet(router, one.name, master="rack", up=True)]
        made += [LinkSet(one.name, "eth0", up=True), AddrAdd(one.name, "eth0", one.addresses[0])]
        made += [RouteAdd(one.name, Route(ip_network("0.0.0.0/0"), "eth0", one.gateways[0]))]
    return hosts, routers, made


def own(hosts: list[Host]) -> dict:
    return {one.name: blocks(one.pod_cidrs[:1]) for one in hosts}


@pytest.mark.parametrize("mode", ["ebgp", "ibgp"])
def test_a_router_in_each_rack(mode: str) -> None:
    hosts, routers, made = racks()
    bgp = converge(top_of_rack(hosts, routers, mode=mode), own(hosts))
    with Lab(made) as lab:
        start(lab, bgp)
        compare(lab, bgp, made)
        for name in ("node-1", "router-2"):
            lab.stop_bird(name)
            lab.bgp_settle()
            bgp = bgp.leave(name)
            compare(lab, bgp, made)
        lab.bird("node-1", bird_conf(bgp, "node-1", POOLS))
        lab.bgp_settle()
        compare(lab, bgp.join("node-1"), made)


def test_nodes_of_one_as_refuse_each_other_behind_ebgp() -> None:
    hosts, routers, made = racks()
    bgp = converge(top_of_rack(hosts, routers, asns=dict.fromkeys(("node-1", "node-2", "node-3"), 64512)), own(hosts))
    assert all(len(bgp.routes(one.name)) == 1 for one in hosts)
    with Lab(made) as lab:
        start(lab, bgp)
        compare(lab, bgp, made)


def test_a_next_hop_that_cannot_be_reached() -> None:
    """node-3's path comes to node-1 by node-2. node-1 has no default route, so it cannot reach the next hop; node-4 knows node-1 alone."""
    hosts = [host(1, 50), host(2, 50), host(3, 51), host(4, 50)]
    made = [op for op in ops(hosts) if not (isinstance(op, RouteAdd) and op.netns == "node-1")]
    speakers = dict(full_mesh(hosts).speakers)
    for name in ("node-1", "node-2"):
        speakers[name] = replace(speakers[name], cluster_id=str(speakers[name].router_id))
    speakers["node-1"] = replace(speakers["node-1"], underlay=speakers["node-1"].underlay[:1])
    pairs = (("node-3", "node-2"), ("node-1", "node-2"), ("node-4", "node-1"))
    sessions = [Session(a, b, speakers[a].address, speakers[b].address, client=a, label="Node") for a, b in pairs]
    bgp = converge(Topology(speakers, tuple(sessions)), own(hosts))
    assert "unreachable 10.244.3.0/26 proto bird" in map(str, bgp.routes("node-1"))
    with Lab(made) as lab:
        start(lab, bgp)
        compare(lab, bgp, made)


def test_a_session_that_is_cut() -> None:
    hosts = [host(1, 50), host(2, 50), host(3, 50)]
    bgp, made = converge(full_mesh(hosts), own(hosts)), ops(hosts)
    with Lab(made) as lab:
        start(lab, bgp)
        lab.exec("node-1", "iptables -A INPUT -p tcp -s 192.168.50.12 -j REJECT --reject-with tcp-reset; "
                 "iptables -A OUTPUT -p tcp -d 192.168.50.12 -j REJECT --reject-with tcp-reset")  # fmt: skip
        for one, other in (("node-1", "192_168_50_12"), ("node-2", "192_168_50_11")):
            lab.birdc(one, f"restart Mesh_{other}")
        lab.bgp_settle(down=[("node-1", "node-2")])
        compare(lab, bgp.disconnect("node-1", "node-2"), made)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def birds_of(lab: Lab) -> tuple[list[int], list[int]]:
    """The process ids of the lab's inner process, and of what it has started."""
    inner = children(lab.helper_pid)
    return inner, [pid for one in inner for pid in children(one)]


def test_a_mistake_in_the_configuration_is_told(lab: Lab) -> None:
    lab.run([NetnsAdd("one")])
    with pytest.raises(LabError, match=r"bird\.conf:1:\d+ syntax error"):
        lab.bird("one", "no such thing;\n")
    with pytest.raises(LabError, match="no BIRD runs in one"):
        lab.birdc("one", "show status")


def test_one_bird_for_each_namespace(lab: Lab) -> None:
    conf = "router id 192.0.2.1;\nprotocol device {}\n"
    lab.run([NetnsAdd("one")])
    lab.bird("one", conf)
    with pytest.raises(LabError, match="already"):
        lab.bird("one", conf)
    assert "BIRD 2" in lab.birdc("one", "show status")
    assert lab.birdc("one", "nonsense").startswith("syntax error")
    lab.stop_bird("one")
    lab.bird("one", conf)
    (pid,) = birds_of(lab)[1]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(LabError, match="BIRD in one has ended"):
        lab.birdc("one", "show status")
    lab.bird("one", conf)
    assert len(lab._birds) == 1
    lab.stop_bird("one", kill=True)


SLOW_TO_END = """#!{python} -IS
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("-s") + 1])
listener.listen()
while True:
    client, _ = listener.accept()
    client.send(b"0001 BIRD 2 ready.\\n")
    if client.recv(99) != b"show status\\n":
        break
    client.send(b"0013 Daemon is up and running\\n")
client.close()
listener.close()
time.sleep(0.4)
"""


def test_another_takes_its_place_though_it_is_slow_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process closes its sockets before it has ended; the stand-in takes its time for that."""
    program = tmp_path / "bird"
    program.write_text(SLOW_TO_END.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Lab([NetnsAdd("one")]) as lab:
        for _ in range(2):
            lab.bird("one", "")
            with pytest.raises(LabError, match="BIRD in one has ended"):
                lab.birdc("one", "down")


def test_sessions_that_never_come_up_are_named() -> None:
    hosts = [host(1, 50), host(2, 50)]
    bgp = converge(full_mesh(hosts), own(hosts))
    with Lab(ops(hosts)) as lab:
        lab.bird("node-1", bird_conf(bgp, "node-1", POOLS))
        lab.bird("node-2", "router id 192.0.2.2;\nprotocol device {}\n")
        with pytest.raises(LabError, match="Mesh_192_168_50_12 in node-1 is"):
            lab.bgp_settle(limit=0.5)


@pytest.mark.parametrize("how", ["close", "clear", "kill"])
def test_birds_end_with_the_lab(how: str) -> None:
    lab = Lab([NetnsAdd("one")])
    lab.bird("one", "router id 192.0.2.1;\nprotocol device {}\n")
    inner, birds = birds_of(lab)
    watches = [os.pidfd_open(pid) for pid in birds]
    assert len(birds) == 1
    if how == "kill":
        os.kill(inner[0], signal.SIGKILL)
    else:
        getattr(lab, how)()
    for watch in watches:
        assert select.select([watch], [], [], 5)[0], "BIRD outlives the lab"
        os.close(watch)
    lab.close()


def test_graceful_restart_keeps_the_routes_of_a_node_that_dies() -> None:
    hosts = [host(1, 50), host(2, 50)]
    bgp, made = converge(full_mesh(hosts), own(hosts)), ops(hosts)
    with Lab(made) as lab:
        start(lab, bgp)
        lab.stop_bird("node-2", kill=True)
        lab.bgp_settle()
        assert "Neighbor graceful restart active" in lab.birdc("node-1", "show protocols all")
        assert installed(lab, "node-1") == expected(bgp, made)["node-1"]
        lab.bird("node-2", bird_conf(bgp, "node-2", POOLS))
        lab.bgp_settle()
        compare(lab, bgp, made)


def test_two_owners_of_a_prefix_make_one_route_with_two_gateways() -> None:
    """What the model refuses, because a route of its has one gateway: the kernel has both (``merge paths on``)."""
    hosts, shared = [host(1, 50), host(2, 50), host(3, 50)], ip_network("10.244.9.0/26")
    bgp = converge(full_mesh(hosts), {"node-1": [shared], "node-2": [shared]})
    with Lab(ops(hosts)) as lab:
        start(lab, bgp)
        assert lab.exec("node-3", "ip route show 10.244.9.0/26").out.count("nexthop via") == 2
    with pytest.raises(UnsupportedError, match="2 gateways"):
        bgp.routes("node-3")


def test_two_ways_to_one_gateway_are_one_route() -> None:
    """Owners in the other segment have two next hops, but one gateway leads to both."""
    hosts, shared = [host(1, 50), host(2, 50), host(3, 51)], ip_network("10.244.9.0/26")
    bgp, made = converge(full_mesh(hosts), {"node-1": [shared], "node-2": [shared]}), ops(hosts)
    with Lab(made) as lab:
        start(lab, bgp)
        compare(lab, bgp, made)
