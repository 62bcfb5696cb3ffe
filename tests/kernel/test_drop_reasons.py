"""The model's drop reasons against the kernel's own, read from its tracepoint skb:kfree_skb. Needs root, for the tracing file system.

The tracepoint sees the whole machine, so a reason of somebody else's packet may stand beside ours: what is asked is that ours is there.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from k8snetlib import shop
from k8snetlib.lab import Lab
from k8snetlib.linux.engine import arrive, reply, trace
from k8snetlib.linux.ops import (
    FdbDel,
    LinkAdd,
    LinkDel,
    LinkSet,
    Op,
    RouteAdd,
    RulesRestore,
    SysctlSet,
    address,
    build,
    route,
)
from k8snetlib.linux.packet import Frame, Packet, ping, tcp, udp
from k8snetlib.linux.state import Route, VxlanConfig
from tests.unit.networks import cable, routed, switch

pytestmark = pytest.mark.kernel
A, B, FAR = "10.0.0.1", "10.0.0.2", ("10.0.1.2", "10.0.2.2")


@pytest.fixture(scope="module")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An instance of the kernel's tracer for these tests alone, gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("not root: the kernel's own drop reasons cannot be read")
    libc, folder = ctypes.CDLL(None, use_errno=True), tmp_path_factory.mktemp("tracing")
    if libc.mount(b"nodev", str(folder).encode(), b"tracefs", 0, None):
        pytest.skip(f"no tracing file system here: {os.strerror(ctypes.get_errno())}")
    instance = folder / "instances" / f"k8snet{os.getpid()}"
    try:
        instance.mkdir()
        (instance / "events/skb/kfree_skb/enable").write_text("1")
        yield instance
        (instance / "events/skb/kfree_skb/enable").write_text("0")
        instance.rmdir()
    finally:
        libc.umount2(str(folder).encode(), 2)


def vxlan_case(*change: Op) -> tuple[list[Op], str, Packet]:
    return [*shop().ops(), *change], "web", tcp("10.244.1.2", "10.244.2.2", 8080)


def without_fdb() -> tuple[list[Op], str, Packet]:
    return vxlan_case(FdbDel("node-a", next(iter(shop().network["node-a"].fdb.values()))))


def other_vni() -> tuple[list[Op], str, Packet]:
    other = VxlanConfig(9, ip_address("192.168.50.12"), "eth0", 8472, False)
    return vxlan_case(LinkDel("node-b", "flannel.1"), LinkAdd("node-b", "other", "vxlan", vxlan=other), LinkSet("node-b", "other", up=True))


def six(*change: Op) -> list[Op]:
    """``routed`` in IPv6: a is fd00:1::2, b is fd00:2::2."""
    ops = [*routed(), SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)]
    for number, name in enumerate("ab", 1):
        ops += [address(name, "eth0", f"fd00:{number}::2/64"), address("r", f"to-{name}", f"fd00:{number}::1/64")]
        ops += [route(name, "default", via=f"fd00:{number}::1")]
    return [*ops, *change]


def bridged(*change: Op) -> tuple[list[Op], str, Packet]:
    """A rule that drops what is forwarded, and a packet from port to port of one bridge."""
    return [*switch(), RulesRestore("node", "*filter\n-A FORWARD -p tcp -j DROP\nCOMMIT"), *change], "a", tcp(A, B, 81)


ETHERTYPES = {4: 0x0800, 6: 0x86DD}
FAR6 = ("fd00:1::2", "fd00:2::2")
CASES = {
    "NO_SOCKET": lambda: (cable(), "a", tcp(A, B, 81)),
    "NEIGH_FAILED": lambda: (cable(), "a", tcp(A, "10.0.0.9", 80)),
    "IP_INNOROUTES": lambda: (routed(), "a", tcp(FAR[0], "192.0.2.1", 80)),
    "IP_INHDR": lambda: (routed(), "a", tcp(*FAR, 80, ttl=1)),
    "IP_INADDRERRORS": lambda: ([*routed(), SysctlSet("r", "net.ipv4.ip_forward", 0)], "a", tcp(*FAR, 80)),
    "IP_RPFILTER": lambda: ([*routed(), SysctlSet("r", "net.ipv4.conf.all.rp_filter", 1)], "a", tcp("10.0.2.77", FAR[1], 80)),
    "PKT_TOO_BIG": lambda: (
        [*routed(), LinkSet("r", "to-b", mtu=1400), LinkSet("b", "eth0", mtu=1400)],
        "a",
        udp(*FAR, 53, data=b"x" * 1450),
    ),
    "NETFILTER_DROP": lambda: ([*routed(), RulesRestore("r", "*filter\n-A FORWARD -p tcp -j DROP\nCOMMIT")], "a", tcp(*FAR, 80)),
    "NOT_SPECIFIED": lambda: (
        [*routed(), RouteAdd("r", Route(ip_network("10.9.0.0/16"), type="blackhole"))],
        "a",
        tcp(FAR[0], "10.9.9.9", 80),
    ),
    "INVALID_PROTO": lambda: (cable(), "a", ping(A, "10.0.0.255")),
    "NO_TX_TARGET": without_fdb,
    "IP_RPFILTER, loose": lambda: ([*routed(), SysctlSet("r", "net.ipv4.conf.all.rp_filter", 2)], "a", tcp("172.16.9.9", FAR[1], 80)),
    "NO_SOCKET, past the loose filter": lambda: (
        [*routed(), SysctlSet("r", "net.ipv4.conf.all.rp_filter", 2)],
        "a",
        tcp("10.0.2.77", FAR[1], 81),
    ),
    "IP_INADDRERRORS, in IPv6": lambda: (six(SysctlSet("r", "net.ipv6.conf.all.forwarding", 0)), "a", tcp(*FAR6, 80)),
    "IP_INNOROUTES, in IPv6": lambda: (six(), "a", tcp(FAR6[0], "2001:db8::1", 80)),
    "IP_INHDR, in IPv6": lambda: (six(), "a", tcp(*FAR6, 80, ttl=1)),
    "PKT_TOO_BIG, in IPv6": lambda: (
        six(LinkSet("r", "to-b", mtu=1400), LinkSet("b", "eth0", mtu=1400)),
        "a",
        udp(*FAR6, 53, data=b"x" * 1400),
    ),
    "NETFILTER_DROP, on a bridge": bridged,
    "NO_SOCKET, on a bridge without br_netfilter": lambda: bridged(SysctlSet("node", "net.bridge.bridge-nf-call-iptables", 0)),
    "VXLAN_VNI_NOT_FOUND": other_vni,
}
FRAMES = {
    "IP_LOCAL_SOURCE": lambda mac: Frame("0a:00:00:00:00:01", mac, tcp(B, B, 80)),
    "IP_LOCALNET": lambda mac: Frame("0a:00:00:00:00:01", mac, tcp("127.0.0.1", B, 80)),
    "OTHERHOST": lambda mac: Frame("0a:00:00:00:00:01", "0a:00:00:00:00:09", tcp(A, B, 80)),
}


def reasons(tracer: Path, version: int = 4) -> set[str]:
    """The reasons for which packets of that IP version were dropped, on the whole machine, since the trace was emptied."""
    time.sleep(0.2)  # three neighbour questions at the lab's pace, and the buffers
    return set(re.findall(rf"protocol={ETHERTYPES[version]} .*reason: (\w+)", (tracer / "trace").read_text()))


@pytest.mark.parametrize("case", CASES)
def test_a_packet_sent(case: str, tracer: Path) -> None:
    ops, at, packet = CASES[case]()
    reason = case.partition(",")[0]
    assert trace(build(ops), at, packet).end.reason == reason
    with Lab(ops, answer=False) as lab:
        with lab.capture():
            pass
        (tracer / "trace").write_text("")
        with lab.capture():
            lab.send(at, packet)
        assert reason in reasons(tracer, packet.version)


def test_no_neighbour_in_ipv6(tracer: Path) -> None:
    """What ARP has a reason for, neighbour discovery has not. Hosts that were not asked give none either, so its absence is what shows."""
    ops, packet = six(), tcp(FAR6[0], "fd00:1::99", 80)
    assert trace(build(ops), "a", packet).end.reason == "NOT_SPECIFIED"
    with Lab(ops, answer=False) as lab:
        with lab.capture():
            pass
        (tracer / "trace").write_text("")
        with lab.capture():
            lab.send("a", packet)
        found = reasons(tracer, 6)
        assert "NOT_SPECIFIED" in found and "NEIGH_FAILED" not in found


@pytest.mark.parametrize("nf", [0, 1])
def test_an_answer_that_passes_the_translation_by(nf: int, tracer: Path) -> None:
    """Client and server on one bridge: without br_netfilter the answer goes straight to the client, which has asked somebody else."""
    dnat = RulesRestore("node", "*nat\n-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.0.0.2\nCOMMIT")
    ops = [*switch(), address("node", "br0", "10.0.0.9/24"), route("a", "default", via="10.0.0.9"), dnat]
    ops += [SysctlSet("node", "net.ipv4.ip_forward", 1), SysctlSet("node", "net.bridge.bridge-nf-call-iptables", nf)]
    back = reply(trace(build(ops), "a", tcp(A, "10.96.0.1", 80)))
    assert back.delivered if nf else back.end.reason == "NO_SOCKET"
    with Lab(ops) as lab:
        with lab.capture():
            pass
        (tracer / "trace").write_text("")
        assert bool(lab.connect("a", "tcp", "10.96.0.1", 80, timeout=0.5).error) is not bool(nf)
        assert nf or "NO_SOCKET" in reasons(tracer)


@pytest.mark.parametrize("reason", FRAMES)
def test_a_frame_that_comes_in(reason: str, tracer: Path) -> None:
    network = build(cable())
    frame = FRAMES[reason](network["b"].interfaces["eth0"].mac)
    assert arrive(network, "b", "eth0", frame).end.reason == reason
    with Lab(cable(), answer=False) as lab:
        with lab.capture():
            pass
        (tracer / "trace").write_text("")
        with lab.capture():
            lab.inject("a", "eth0", frame)
        assert reason in reasons(tracer)
