"""Packets to everybody and to groups, bridges that learn, and pieces that a device drops; tests/kernel/test_hosts.py asks the kernel."""

from __future__ import annotations

import pytest

from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Decapsulated, Delivered, Dropped, Trace
from k8snetlib.linux.ops import FdbAdd, LinkSet, Listen, NeighAdd, Op, RulesRestore, SysctlSet, address, build, route, stable_mac
from k8snetlib.linux.packet import BROADCAST, Fragment, Frame, Icmp, Packet, Udp, Vxlan, ip_address, ping, tcp, udp
from k8snetlib.linux.state import FdbEntry, Neighbor, Socket
from tests.unit.networks import routed, switch, tunnel_end

EVERYBODY = "255.255.255.255"


def frames(told: Trace, netns: str, dev: str = "eth0", direction: str = "out") -> list[Frame]:
    return [c.frame for c in captures(told) if (c.netns, c.dev, c.direction) == (netns, dev, direction)]


@pytest.mark.parametrize("to", [EVERYBODY, "10.0.0.255"])
def test_a_datagram_to_everybody(to: str) -> None:
    ops = [*switch(), *(Listen(name, Socket("udp", 53)) for name in "abc"), route("a", "default", via="10.0.0.9")]
    told = trace(build(ops), "a", udp("10.0.0.1", to, 53))
    assert {event.netns for event in told.all(Delivered)} == {"b", "c"}
    assert [frame.dst for frame in frames(told, "a")] == [BROADCAST]


@pytest.mark.parametrize("to", [EVERYBODY, "10.0.0.255"])
def test_a_connection_to_everybody_is_none(to: str) -> None:
    """Neither the socket that listens nor the host without one answers."""
    told = trace(build(switch()), "a", tcp("10.0.0.1", to, 80))
    assert [str(frame.payload) for frame in frames(told, "a", direction="in")] == []
    assert not any(event.socket for event in told.all(Delivered))


def test_from_an_address_of_somebody_else_there_is_no_way_to_everybody() -> None:
    told = trace(build(switch()), "a", udp("10.0.0.7", EVERYBODY, 53))
    assert (told.end.reason, frames(told, "a")) == ("IP_OUTNOROUTES", [])


@pytest.mark.parametrize(
    ("src", "group", "mac"), [("10.0.1.2", "224.0.0.7", "01:00:5e:00:00:07"), ("fd00::2", "ff02::1234", "33:33:00:00:12:34")]
)
def test_a_packet_to_a_group_passes_no_gateway(src: str, group: str, mac: str) -> None:
    ops = [*routed(), *([address("a", "eth0", "fd00::2/64")] if ":" in src else [])]
    assert [frame.dst for frame in frames(trace(build(ops), "a", udp(src, group, 53)), "a")] == [mac]


def test_what_came_to_many_is_not_forwarded() -> None:
    ops = [*routed(), RulesRestore("r", "*nat\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.2.2\nCOMMIT")]
    told = trace(build(ops), "a", tcp("10.0.1.2", "224.0.0.7", 80))
    assert "is not forwarded" in told.end.detail
    assert frames(told, "r", "to-b") == []


@pytest.mark.parametrize(("allowed", "leaves"), [(0, False), (1, True)])
@pytest.mark.parametrize(
    "rules", ["", "*nat\n-A OUTPUT -d 127.0.0.1/32 -j DNAT --to-destination 10.0.2.2\n-A POSTROUTING -j MASQUERADE\nCOMMIT"]
)
def test_a_loopback_address_leaves_by_lo_alone(allowed: int, leaves: bool, rules: str) -> None:
    """Be it that the sender wrote it, or that NAT gives its packet to itself another destination."""
    ops = [*routed(), SysctlSet("a", "net.ipv4.conf.eth0.route_localnet", allowed), *([RulesRestore("a", rules)] if rules else [])]
    told = trace(build(ops), "a", udp("127.0.0.1", "127.0.0.1" if rules else "10.0.2.2", 53))
    assert bool(frames(told, "a")) is leaves
    assert leaves or told.end.reason == "IP_OUTNOROUTES"


def test_an_unreachable_route_of_ipv6_says_that_there_is_none() -> None:
    """ip6_pkt_discard has one code for it; IPv4 says host unreachable."""
    ops: list[Op] = [*routed(), address("a", "eth0", "fd00:1::2/64"), address("r", "to-a", "fd00:1::1/64")]
    ops += [SysctlSet("r", "net.ipv6.conf.all.forwarding", 1), route("a", "::/0", via="fd00:1::1")]
    ops += [route("r", "fd00:50::/64", type="unreachable"), route("r", "10.50.0.0/16", type="unreachable")]
    codes = []
    for src, dst in (("10.0.1.2", "10.50.0.1"), ("fd00:1::2", "fd00:50::1")):
        said = [
            frame.payload.payload
            for frame in frames(trace(build(ops), "a", udp(src, dst, 53)), "a", direction="in")
            if isinstance(frame.payload, Packet)
        ]
        codes += [(each.type, each.code) for each in said if isinstance(each, Icmp)]
    assert codes == [(3, 1), (1, 0)]


# Learning


def test_a_static_entry_follows_its_address_and_stays_static() -> None:
    mac = stable_mac("a", "eth0")
    network = build([*switch(), FdbAdd("node", FdbEntry("port-b", mac, master="br0"))])
    assert after(network, trace(network, "a", tcp("10.0.0.1", "10.0.0.3", 80)))["node"].fdb["br0", mac] == FdbEntry(
        "port-a", mac, master="br0"
    )


def test_a_frame_that_waits_for_its_new_destination_is_learned_from_when_it_goes_on() -> None:
    ops = [*switch(), address("node", "br0", "10.0.0.9/24"), SysctlSet("node", "net.ipv4.ip_forward", 1)]
    ops += [RulesRestore("node", "*nat\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.2\nCOMMIT")]
    network = build([*ops, NeighAdd("a", Neighbor("eth0", ip_address("10.0.0.3"), BROADCAST))])
    later = after(network, trace(network, "a", tcp("10.0.0.1", "10.0.0.3", 80)))
    assert {mac for _, mac in later["node"].fdb} == {stable_mac("a", "eth0"), stable_mac("b", "eth0")}


@pytest.mark.parametrize(("state", "taken"), [("permanent", False), ("dynamic", True)])
def test_a_tunnel_that_learns_takes_no_sender_from_where_it_is_not(state: str, taken: bool) -> None:
    inner = Frame("0a:00:00:00:00:01", BROADCAST, ping("10.9.0.1", "10.9.0.2"))
    outer = Packet(ip_address("10.0.1.2"), ip_address("10.0.2.2"), Udp(40000, 4789, Vxlan(1, inner)))
    told = trace(build(tunnel_end(state)), "a", outer)
    assert bool(told.all(Decapsulated)) is taken
    assert ("VXLAN_ENTRY_EXISTS" in {event.reason for event in told.all(Dropped)}) is not taken


# Pieces


@pytest.mark.parametrize(("known", "sent"), [(True, 1), (False, 2)])
def test_after_a_piece_that_the_device_drops_none_is_sent(known: bool, sent: int) -> None:
    """Where the next hop is not known yet, all of them wait, and each goes out by itself."""
    ops = [*routed(), LinkSet("r", "to-a", mtu=1400)]
    if known:
        ops.append(NeighAdd("a", Neighbor("eth0", ip_address("10.0.1.1"), stable_mac("r", "to-a"))))
    told = trace(build(ops), "a", udp("10.0.1.2", "10.0.2.2", 53, data=b"x" * 2000, df=False))
    pieces = [frame for frame in frames(told, "a") if isinstance(getattr(frame.payload, "payload", None), Fragment)]
    assert len(pieces) == sent
