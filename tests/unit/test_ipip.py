"""IPIP devices and proxy ARP in the kernel half: what the model says where this machine's kernel may have no such device to ask."""

from __future__ import annotations

import pytest

from k8snetlib import tcp
from k8snetlib.errors import ModelError
from k8snetlib.linux import ops as o
from k8snetlib.linux.addresses import ip_address
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Answered, Decapsulated, Delivered, Dropped, Encapsulated
from k8snetlib.linux.ops import LinkAdd, LinkSet, Listen, NetnsAdd, SysctlSet
from k8snetlib.linux.packet import Frame, Packet, ping
from k8snetlib.linux.state import IpipConfig, Socket
from k8snetlib.linux.wire import from_bytes, to_bytes
from k8snetlib.views.headers import headers
from k8snetlib.views.pcap import pcap

ANY = IpipConfig()


def pair(left: IpipConfig | None = ANY, right: IpipConfig | None = ANY, mtu: int = 1500) -> list[o.Op]:
    """Two hosts on one cable, an IPIP device on each where settings are given, and a route through it to the other's inner address."""
    ops = [NetnsAdd("a"), NetnsAdd("b"), LinkAdd("a", "eth0", "veth", mtu=mtu, peer=("b", "eth0"))]
    for name, own, far, config in (("a", 1, 2, left), ("b", 2, 1, right)):
        ops += [LinkSet(name, "eth0", up=True), o.address(name, "eth0", f"192.168.50.1{own}/24")]
        ops += [o.address(name, "lo", f"10.244.{own}.1/32"), Listen(name, Socket("tcp", 80))]
        if config is not None:
            dev = "tunl0" if config == ANY else "ipip0"  # the module's own device has no ends
            ops += [LinkAdd(name, dev, "ipip", ipip=config), LinkSet(name, dev, up=True)]
            ops.append(o.route(name, f"10.244.{far}.0/24", dev, f"192.168.50.1{far}", onlink=True))
    return ops


def send(network, size: int = 0, **fields):
    return trace(network, "a", tcp("10.244.1.1", "10.244.2.1", 80, data=bytes(size), **fields))


def test_a_packet_goes_inside_another_to_the_next_hop_of_its_route() -> None:
    found = send(o.build(pair()), ttl=7)
    (wrapped,) = found.all(Encapsulated)
    assert (str(wrapped.outer.src), str(wrapped.outer.dst), wrapped.outer.ttl) == ("192.168.50.11", "192.168.50.12", 7)
    assert wrapped.outer.df and len(wrapped.outer) - len(wrapped.inner.payload) == 20
    assert found.delivered and found.end.packet.ttl == 7 and len(found.all(Decapsulated)) == 1


def test_without_dont_fragment_the_outer_packet_has_none_either() -> None:
    assert not send(o.build(pair()), df=False).all(Encapsulated)[0].outer.df


@pytest.mark.parametrize(
    ("left", "right", "delivered"),
    [
        (ANY, IpipConfig(ip_address("192.168.50.12"), ip_address("192.168.50.11")), True),
        (IpipConfig(ip_address("192.168.50.11"), ip_address("192.168.50.12")), ANY, True),
        (ANY, IpipConfig(ip_address("192.168.50.12"), ip_address("192.168.50.99")), False),
        (ANY, None, False),
    ],
)
def test_the_far_device_must_be_for_that_tunnel(left: IpipConfig, right: IpipConfig | None, delivered: bool) -> None:
    found = send(o.build(pair(left, right)))
    assert found.delivered is delivered
    if not delivered:  # no device fits: port unreachable; no module at all: protocol unreachable
        assert found.end.reason == ("IP_NOPROTO" if right is None else "NOT_SPECIFIED")
        assert ("port" if right else "type 3 code 2") in found.all(Answered, 0)[-1].why


def test_a_device_that_is_down_takes_nothing() -> None:
    network = o.build([LinkSet("b", "tunl0", up=False)], o.build(pair()))
    assert send(network).end.reason == "NOT_SPECIFIED"


def test_too_big_for_the_wire_below_tells_the_sender() -> None:
    """The tunnel's own MTU was not lowered with the wire's (ip_tunnel's tnl_update_pmtu)."""
    network = o.build(pair(mtu=1400))
    found = send(network, 1400 - 60)
    assert found.delivered
    found = send(network, 1400 - 59)
    assert isinstance(found.end, Dropped) and "1400" in found.end.detail
    told = [e for e in found.all(Delivered) if e.journey]
    assert told[-1].packet.payload.mtu == 1380


def test_what_the_tunnel_takes_is_known_from_the_first_packet_on() -> None:
    """tnl_update_pmtu: one that fits teaches it, too, unless it may be cut."""
    network = o.build(pair(mtu=1400))
    for df, reason in ((True, "PKT_TOO_BIG"), (False, "NOT_SPECIFIED")):
        told = send(after(network, send(network, df=df)), 1400 - 59)
        assert told.end.reason == reason


def test_a_tunnel_to_itself_is_a_loop() -> None:
    ops = [*pair(), o.route("a", "192.168.50.12/32", "tunl0", "192.168.50.12", onlink=True)]
    assert "loop" in send(o.build(ops)).end.detail


def test_bare_packets_have_no_ethernet_header() -> None:
    frame = Frame("", "", ping("10.0.0.1", "10.0.0.2"))
    assert frame.bare and not frame.is_multicast and len(frame) == len(frame.payload)
    assert from_bytes(to_bytes(frame), bare=True) == frame
    assert headers(frame)[0].layer == "IPv4"


def test_a_capture_file_says_that_a_tunnel_device_has_no_link_layer() -> None:
    data = pcap(send(o.build(pair())), netns="a")
    kinds = [
        int.from_bytes(data[at + 8 : at + 10], "little")
        for at in range(0, len(data) - 12, 4)
        if data[at : at + 8] == b"\x01\0\0\0" + data[at + 4 : at + 8] and data[at + 4] in range(32, 64)
    ]
    assert {1, 101} <= set(kinds)


def test_the_outer_packet_is_read_back_from_bytes() -> None:
    frame = next(c.frame for c in captures(send(o.build(pair()))) if c.dev == "eth0" and isinstance(c.frame.payload, Packet))
    again = from_bytes(to_bytes(frame))
    assert again == frame and isinstance(again.payload.payload, Packet)
    assert "IPIP" in str(frame)


def test_the_command_of_the_fallback_device_works_where_it_is_there_already() -> None:
    command = LinkAdd("n", "tunl0", "ipip", mtu=1480, ipip=ANY).command()
    assert command.startswith("{ ip -n n link show tunl0") and "|| ip -n n link add name tunl0 mtu 1480 type ipip nopmtudisc" in command
    other = LinkAdd("n", "t1", "ipip", ipip=IpipConfig(ip_address("192.0.2.1"), ip_address("192.0.2.2"))).command()
    assert other == "ip -n n link add name t1 type ipip local 192.0.2.1 remote 192.0.2.2 nopmtudisc"


def test_settings_and_kind_belong_together() -> None:
    with pytest.raises(ModelError, match="cannot be made"):
        o.build([NetnsAdd("n"), LinkAdd("n", "tunl0", "ipip")])
    with pytest.raises(ModelError, match="cannot be made"):
        o.build([NetnsAdd("n"), LinkAdd("n", "b", "bridge", ipip=ANY)])


# Proxy ARP


def lone(**sysctls: int) -> list[o.Op]:
    """A host without neighbours on a cable to a router, as Calico attaches a Pod."""
    ops = [NetnsAdd("pod"), NetnsAdd("node"), NetnsAdd("net"), LinkAdd("pod", "eth0", "veth", peer=("node", "cali"))]
    ops += [LinkAdd("node", "eth0", "veth", peer=("net", "eth0"))]
    ops += [LinkSet(*end, up=True) for end in (("pod", "eth0"), ("node", "cali"), ("node", "eth0"), ("net", "eth0"))]
    ops += [
        o.address("pod", "eth0", "10.0.0.1/32"),
        o.route("pod", "169.254.1.1/32", "eth0"),
        o.route("pod", "default", "eth0", "169.254.1.1"),
    ]
    ops += [
        o.address("node", "eth0", "192.0.2.1/24"),
        o.address("net", "eth0", "192.0.2.2/24"),
        o.route("net", "default", "eth0", "192.0.2.1"),
    ]
    ops += [o.route("node", "10.0.0.1/32", "cali"), o.route("node", "default", "eth0", "192.0.2.2")]
    wanted = {"net.ipv4.ip_forward": 1, "net.ipv4.conf.cali.proxy_arp": 1} | {
        key.replace("__", "."): value for key, value in sysctls.items()
    }
    return ops + [SysctlSet("node", key, value) for key, value in wanted.items()]


def test_a_router_answers_for_an_address_that_nobody_has() -> None:
    found = trace(o.build(lone()), "pod", ping("10.0.0.1", "192.0.2.2"))
    assert found.delivered and found.reply.delivered
    assert any("proxy ARP" in e.why for e in found.all(Answered))


@pytest.mark.parametrize("change", [{"net__ipv4__conf__cali__proxy_arp": 0}, {"net__ipv4__ip_forward": 0}])
def test_it_needs_the_switch_and_forwarding(change: dict) -> None:
    assert trace(o.build(lone(**change)), "pod", ping("10.0.0.1", "192.0.2.2")).end.reason == "NEIGH_FAILED"


def test_it_needs_a_way_onward() -> None:
    """Known to Calico's users: a node without a default route does not answer for 169.254.1.1."""
    network = o.build([o.RouteDel("node", o.route("node", "default", "eth0", "192.0.2.2").route)], o.build(lone()))
    assert trace(network, "pod", ping("10.0.0.1", "192.0.2.2")).end.reason == "NEIGH_FAILED"


def test_it_does_not_answer_for_what_is_behind_the_same_cable() -> None:
    """arp_fwd_proxy: the way to the address leads back through the device."""
    network = o.build([o.route("node", "169.254.1.0/24", "cali")], o.build(lone()))
    assert trace(network, "pod", ping("10.0.0.1", "192.0.2.2")).end.reason == "NEIGH_FAILED"
