"""ICMPv6 redirects of the model and of the kernel: when a router sends one, what is in it, and whether its receiver heeds it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address

import pytest

from k8snetlib.errors import UnsupportedError
from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Matched
from k8snetlib.linux.ops import Listen, Op, RulesRestore, SysctlSet, build
from k8snetlib.linux.packet import Packet, ping, tcp, udp
from k8snetlib.linux.state import Socket
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.side_by_side import same_frames
from tests.kernel.test_model_and_kernel import Side, counters, difference
from tests.unit.networks import FAR6 as FAR
from tests.unit.networks import NEAR, detour, one_armed

COUNTING = """*filter
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 137 -m conntrack --ctstate INVALID -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 137 -m conntrack --ctstate RELATED -j ACCEPT
-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 137
COMMIT
"""
NAT = "*nat\n-A PREROUTING -d 2001:db8:99::1/128 -j DNAT --to-destination 2001:db8:2::2\nCOMMIT\n"
A = "fd00::1"
PACKETS = [udp(A, FAR, 53, data=b"x"), tcp(A, FAR, 80), ping(A, FAR, id=7, data=b"y" * 1400), tcp(A, FAR, 80, ttl=1)]


def counted(ops: list[Op], more: str = "") -> list[Op]:
    return [*ops, RulesRestore("r", COUNTING + more, 6)]


def told_alike(ops: list[Op], packets: list[Packet]) -> None:
    """The same frames and the same counters."""

    def compare(lab: Lab) -> None:
        network, model, kernel = build(ops), Side(), Side()
        before = counters(lab.counters("r", 6), 6)
        hits = []
        for packet in packets:
            told = trace(network, "a", packet)
            with lab.capture() as frames:
                lab.send("a", packet)
            said = model.frames([replace(c, frame=from_bytes(to_bytes(c.frame))) for c in captures(told)])
            seen = kernel.frames(frames)
            assert said == seen, f"{packet}\n{difference(said, seen)}"
            network = after(network, told)
            hits += [e for e in told.all(Matched) if e.netns == "r" and e.rule is not None]
        assert Counter((e.table, e.chain, e.index) for e in hits) == counters(lab.counters("r", 6), 6) - before

    unless_it_spoke(lambda: Lab(ops, answer=False), compare)


@pytest.mark.parametrize("onward", ["", NEAR["b"], "fd00::2"], ids=["on the link", "a link-local next hop", "a next hop without"])
@pytest.mark.parametrize("packet", PACKETS, ids=["udp", "tcp", "long", "ttl"])
def test_the_same_redirect(onward: str, packet: Packet) -> None:
    """Twice: the first time the router does not know the next hop's MAC address yet, and so cannot say it."""
    told_alike(counted(detour(onward=onward)), [packet, packet])


@pytest.mark.needs("ip6tables")
def test_translated_destinations() -> None:
    """Who asks for a Service address is told of the endpoint's neighbour: there is no connection yet that conntrack could know it by."""
    sends = [tcp(A, "2001:db8:99::1", 80), tcp(A, "2001:db8:99::1", 80), udp(A, "2001:db8:99::1", 53, data=b"x" * 50)]
    told_alike(counted(detour(), NAT), sends)


HEEDED = {
    "an echo request": ((), ping(A, FAR, id=7), True),
    "a socket's datagram": ((Listen("a", Socket("udp", 5000)),), udp(A, FAR, 53, 5000), False),
    "nobody's datagram": ((), udp(A, FAR, 53, 5000), False),
    "a segment of no connection": ((Listen("a", Socket("tcp", 5000)),), tcp(A, FAR, 80, 5000), False),
    "a host that does not want to": ((SysctlSet("a", "net.ipv6.conf.eth0.accept_redirects", 0),), ping(A, FAR, id=7), False),
    "a router": ((SysctlSet("a", "net.ipv6.conf.all.forwarding", 1),), ping(A, FAR, id=7), False),
}


@pytest.mark.parametrize("first_hop", [NEAR["r"], "fd00::9"], ids=["link-local", "global"])
@pytest.mark.parametrize("case", HEEDED)
def test_who_heeds_a_redirect(case: str, first_hop: str) -> None:
    """The kernel then has another way, and the model says that it does not follow; else both go on as before."""
    more, packet, heeds = HEEDED[case]
    heeds = heeds and first_hop == NEAR["r"]
    ops = [*detour(first_hop, NEAR["b"]), *more]
    if heeds:
        with pytest.raises(UnsupportedError, match="does not follow"):
            trace(build(ops), "a", packet)
    else:
        assert [c for c in captures(trace(build(ops), "a", packet)) if c.netns == "a" and "redirect" in str(c.frame)]
    with Lab(ops, answer=False) as lab:
        with lab.capture() as frames:
            lab.send("a", packet)
        assert [c for c in frames if c.netns == "a" and "redirect" in str(c.frame)]
        assert (f"via {NEAR['b']}" in lab.exec("a", ["ip", "-6", "route", "get", FAR]).out) is heeds


@pytest.mark.parametrize("first_hop", [NEAR["r"], "fd00::9"], ids=["link-local", "global"])
def test_a_connection_heeds_a_redirect_whoever_sends_it(first_hop: str) -> None:
    ops = [*detour(first_hop, NEAR["b"]), Listen("b", Socket("tcp", 80))]
    with Lab(ops) as lab:
        local = lab.connect("a", "tcp", FAR, 80).local
        assert f"via {NEAR['b']}" in lab.exec("a", ["ip", "-6", "route", "get", FAR]).out
    client = Socket("tcp", local[1], ip_address(A), peer=(ip_address(FAR), 80))
    with pytest.raises(UnsupportedError, match="does not follow"):
        trace(build([*ops, Listen("a", client)]), "a", tcp(A, FAR, 80, local[1]))


@pytest.mark.needs("iptables")
@pytest.mark.parametrize("table", ["mangle", "nat"])
def test_a_new_connection_where_nat_is_at_work_and_where_only_conntrack_is(table: str) -> None:
    """IPv4: with NAT there is no redirect until the connection is through with it (nf_nat_icmp_reply_translation)."""
    ops = one_armed(f"*{table}\n-A POSTROUTING -m conntrack --ctstate INVALID -j ACCEPT\nCOMMIT\n")
    same_frames(ops, [("a", tcp("10.0.0.1", "10.9.9.9", 80))])
