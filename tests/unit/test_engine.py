"""Three ops and a packet: what the engine says of the smallest networks."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.linux import events as ev
from k8snetlib.linux.engine import after, arrive, captures, trace, traces
from k8snetlib.linux.ops import (
    FdbAdd,
    LinkAdd,
    LinkSet,
    Listen,
    NeighAdd,
    RouteAdd,
    RuleAdd,
    RulesRestore,
    SysctlSet,
    address,
    build,
    route,
)
from k8snetlib.linux.packet import Frame, Icmp, Packet, ping, tcp, udp
from k8snetlib.linux.state import FdbEntry, Neighbor, PolicyRule, Route, Socket
from tests.unit.networks import cable, narrow_pod, one_armed, routed, switch

A, B = "10.0.0.1", "10.0.0.2"


def nat(netns: str, *rules: str) -> RulesRestore:
    return RulesRestore(netns, "\n".join(["*nat", *rules, "COMMIT"]))


def filtered(netns: str, *rules: str) -> RulesRestore:
    return RulesRestore(netns, "\n".join(["*filter", *rules, "COMMIT"]))


def test_arp_then_delivered_then_known() -> None:
    network = build(cable())
    first = trace(network, "a", tcp(A, B, 80))
    assert first.delivered and [hop.netns for hop in first] == ["a", "b"]
    assert first.end.socket.process == "web"
    assert next(str(c.frame.payload) for c in captures(first) if c.netns == "a").startswith("ARP who-has")
    second = trace(after(network, first), "a", tcp(A, B, 80))
    assert second.delivered and not second.all(ev.Asked)


def test_a_trace_changes_nothing() -> None:
    network = build(cable())
    assert trace(network, "a", tcp(A, B, 80)) == trace(network, "a", tcp(A, B, 80))
    assert not network["a"].neighbors


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (tcp(A, B, 81), "NO_SOCKET"),
        (udp(A, B, 54), "NO_SOCKET"),
        (tcp(A, "10.0.0.9", 80), "NEIGH_FAILED"),
        (tcp(A, "192.0.2.1", 80), "IP_OUTNOROUTES"),
        (udp(A, B, 53, data=b"x" * 1473), "PKT_TOO_BIG"),
    ],
)
def test_drop_reasons(packet, reason: str) -> None:
    told = trace(build(cable()), "a", packet)
    assert told.outcome == "dropped" and told.end.reason == reason


def test_largest_packet_fits() -> None:
    assert trace(build(cable()), "a", udp(A, B, 53, data=b"x" * 1472)).delivered


def test_a_piece_that_is_cut_again_keeps_its_place() -> None:
    ops = [*routed(), LinkSet("r", "to-b", mtu=1400), LinkSet("b", "eth0", mtu=1400)]
    told = trace(build(ops), "a", ping("10.0.1.2", "10.0.2.2", data=b"x" * 1473, df=False))
    pieces = [
        c.frame.payload.payload for c in captures(told) if (c.netns, c.direction) == ("b", "in") and c.frame.payload.__class__ is Packet
    ]
    assert [(p.offset, p.offset + len(p), p.more) for p in pieces] == [(0, 1376, True), (1376, 1480, True), (1480, 1481, False)]
    assert told.delivered


def test_fragments_are_put_together_again() -> None:
    told = trace(build(cable()), "a", udp(A, B, 53, data=b"x" * 3000, df=False))
    assert told.delivered and len(told.all(ev.Fragmented)[0].pieces) == 3
    assert told.end.packet.payload.data == b"x" * 3000


@pytest.mark.parametrize("version", [4, 6])
def test_rules_read_the_ports_of_a_first_fragment(version: int) -> None:
    """In IPv6 INPUT meets the pieces, of which the first alone has ports; in IPv4 the whole packet."""
    ends = ("10.0.0.1", "10.0.0.2") if version == 4 else ("fd00::1", "fd00::2")
    rules = RulesRestore("b", "*filter\n-A INPUT -p udp -m udp --dport 53\n-A INPUT -p udp\nCOMMIT", version)
    ops = [*cable(), address("a", "eth0", "fd00::1/64"), address("b", "eth0", "fd00::2/64"), rules]
    told = trace(build(ops), "a", udp(*ends, 53, data=b"x" * 3000, df=False))
    matched = [e.index for e in told.all(ev.Matched) if e.rule is not None and e.chain == "INPUT" and e.journey == 0]
    assert told.delivered and matched == ([0, 1] if version == 4 else [0, 1, 1, 1])


def test_a_bridge_with_conntrack_looks_at_whole_packets() -> None:
    """br_netfilter puts fragments together for the rules, and sends them on in pieces as long as those that came."""
    network = build([*switch(), filtered("node", "-A FORWARD -m conntrack --ctstate INVALID -j DROP")])
    told = trace(network, "a", udp(A, B, 53, data=b"x" * 3000, df=False))
    assert [type(e).__name__ for e in told.all(ev.Reassembled)] == ["Reassembled"] * 2 and told.end.reason == "NO_SOCKET"
    came = [len(c.frame) for c in captures(told) if (c.netns, c.dev, c.direction) == ("b", "eth0", "in") and c.journey == 0]
    assert came == [len(c.frame) for c in captures(told) if (c.netns, c.dev, c.direction) == ("a", "eth0", "out") and c.journey == 0]


def test_a_router_lowers_ttl_and_a_bridge_does_not() -> None:
    assert trace(build(routed()), "a", tcp("10.0.1.2", "10.0.2.2", 80)).end.packet.ttl == 63
    assert trace(build(switch()), "a", tcp(A, B, 80)).end.packet.ttl == 64


def test_ttl_used_up_is_told_to_the_sender() -> None:
    told = trace(build(routed()), "a", tcp("10.0.1.2", "10.0.2.2", 80, ttl=1))
    assert told.end.reason == "IP_INHDR"
    answers = [e.packet.payload for e in told.all(ev.Delivered) if e.netns == "a" and isinstance(e.packet, type(told.sent))]
    assert [(a.type, a.code) for a in answers] == [(11, 0)]


def test_forwarding_off() -> None:
    network = build([*routed(), SysctlSet("r", "net.ipv4.ip_forward", 0)])
    assert trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80)).end.reason == "IP_INADDRERRORS"


def test_packet_too_big_says_the_mtu() -> None:
    network = build([*routed(), LinkSet("r", "to-b", mtu=1400)])
    told = trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80, data=b"x" * 1400))
    assert told.end.reason == "PKT_TOO_BIG"
    message = next(e.packet.payload for e in told.all(ev.Delivered) if isinstance(getattr(e.packet, "payload", None), Icmp))
    assert (message.type, message.code, message.mtu) == (3, 4, 1400)


def test_own_address_from_outside_is_refused() -> None:
    network = build(cable())
    frame = Frame(network["a"].interfaces["eth0"].mac, network["b"].interfaces["eth0"].mac, tcp(B, B, 80))
    assert arrive(network, "b", "eth0", frame).end.reason == "IP_LOCAL_SOURCE"


def test_reverse_path_filter() -> None:
    network = build([*routed(), SysctlSet("r", "net.ipv4.conf.all.rp_filter", 1)])
    assert trace(network, "a", tcp("10.0.2.77", "10.0.2.2", 80)).end.reason == "IP_RPFILTER"


def test_longest_prefix_wins_and_the_others_are_told() -> None:
    network = build([*routed(), LinkAdd("r", "dummy0", "dummy"), LinkSet("r", "dummy0", up=True), route("r", "10.0.2.0/25", "dummy0")])
    routed_event = next(e for e in trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80)).all(ev.Routed) if e.netns == "r")
    assert routed_event.route.dev == "dummy0" and [r.dev for r in routed_event.considered] == ["to-b"]


def test_policy_rule_chooses_the_table() -> None:
    other = Route(ip_network("10.0.2.2/32"), type="blackhole", table="100")
    network = build([*routed(), RouteAdd("r", other), RuleAdd("r", PolicyRule(100, "100", src=ip_network("10.0.1.2/32")))])
    told = trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80))
    assert told.outcome == "dropped" and not told.all(ev.Answered, 0)


@pytest.mark.parametrize(("hairpin", "outcome"), [(False, "dropped"), (True, "delivered")])
def test_hairpin(hairpin: bool, outcome: str) -> None:
    network = build([*switch(), LinkSet("node", "port-b", hairpin=hairpin)])
    mac = network["b"].interfaces["eth0"].mac
    network = build([FdbAdd("node", FdbEntry("port-b", mac, master="br0"))], network)
    frame = Frame("0a:00:00:00:00:01", mac, tcp("10.0.0.9", B, 80))
    assert arrive(network, "node", "port-b", frame).outcome == outcome


def test_isolated_ports() -> None:
    network = build([*switch(), LinkSet("node", "port-a", isolated=True), LinkSet("node", "port-b", isolated=True)])
    assert trace(network, "a", tcp(A, B, 80)).end.reason == "NEIGH_FAILED"
    assert trace(network, "a", tcp(A, "10.0.0.3", 80)).delivered


def test_a_flood_visits_all_and_names_the_quiet_ones() -> None:
    told = trace(build(switch()), "a", tcp(A, B, 80))
    flood = next(e for e in told.all(ev.Bridged) if e.flooded)
    assert set(flood.ports) == {"port-b", "port-c"} and [end[1] for end in flood.quiet] == ["c"]
    assert any(c.netns == "c" for c in captures(told))


def test_static_neighbour_is_believed() -> None:
    network = build([*cable(), NeighAdd("a", Neighbor("eth0", ip_address(B), "0a:00:00:00:00:99"))])
    assert trace(network, "a", tcp(A, B, 80)).end.reason == "OTHERHOST"


def test_dnat_before_routing_and_back() -> None:
    network = build([*routed(), nat("r", "-A PREROUTING -d 10.9.9.9 -p tcp --dport 8080 -j DNAT --to-destination 10.0.2.2:80")])
    request = trace(network, "a", tcp("10.0.1.2", "10.9.9.9", 8080))
    assert request.delivered and str(request.end.packet.dst) == "10.0.2.2"
    reply = request.reply
    assert reply.delivered and (str(reply.end.packet.src), reply.end.packet.payload.sport) == ("10.9.9.9", 8080)


def test_masquerade_takes_the_output_address() -> None:
    network = build([*routed(), nat("r", "-A POSTROUTING -o to-b -j MASQUERADE")])
    request = trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80))
    assert str(request.end.packet.src) == "10.0.2.1" and request.reply.delivered


@pytest.mark.parametrize("random", ["", " --random-fully"])
@pytest.mark.parametrize("make", [udp, ping])
def test_a_source_that_is_translated_already_is_translated_likewise(make, random: str) -> None:
    """The router's own packet has the number; so the first of a gets another, and keeps it to a second destination, unless all are drawn."""
    network = build([*routed(), address("b", "eth0", "10.0.2.3/24"), nat("r", f"-A POSTROUTING -s 10.0.1.2 -j MASQUERADE{random}")])
    seen = []
    for at, src, dst in (("r", "10.0.2.1", "10.0.2.2"), ("a", "10.0.1.2", "10.0.2.2"), ("a", "10.0.1.2", "10.0.2.3")):
        told = trace(network, at, make(src, dst, id=7) if make is ping else make(src, dst, 53, 40000))
        network = after(network, told)
        last = network["r"].conntrack[-1].reply
        seen.append(last.dport)
    assert seen[0] == (7 if make is ping else 40000) and seen[1] != seen[0] and (seen[2] == seen[1]) is not bool(random)


def test_reject_answers_and_drop_does_not() -> None:
    for target, answered in (("REJECT --reject-with icmp-port-unreachable", True), ("DROP", False)):
        told = trace(build([*routed(), filtered("r", f"-A FORWARD -p tcp -j {target}")]), "a", tcp("10.0.1.2", "10.0.2.2", 80))
        assert told.end.reason == "NETFILTER_DROP" and bool(told.all(ev.Answered, 0)) is answered


def test_chances_are_exact_and_sum_to_one() -> None:
    rules = ["-A PREROUTING -p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.2.2:80",
             "-A PREROUTING -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.2.2:81",
             "-A PREROUTING -p tcp -j DNAT --to-destination 10.0.2.2:82"]  # fmt: skip
    found = traces(build([*routed(), nat("r", *rules)]), "a", tcp("10.0.1.2", "10.9.9.9", 80))
    assert sum(weight for weight, _ in found) == 1 and len(found) == 3
    assert found[0][0] == Fraction(715827883, 2**31) and abs(found[1][0] - Fraction(1, 3)) < Fraction(1, 2**30)


def test_what_is_not_modelled_is_refused_when_a_packet_meets_it() -> None:
    network = build([*routed(), filtered("r", "-A FORWARD -m limit --limit 1/sec -j ACCEPT")])
    with pytest.raises(UnsupportedError, match="limit"):
        trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80))


def test_bridge_loop_is_an_error_and_not_a_hang() -> None:
    loop = [
        LinkAdd("node", "x", "veth", peer=("node", "y")),
        LinkSet("node", "x", master="br0", up=True),
        LinkSet("node", "y", master="br0", up=True),
    ]
    with pytest.raises(ModelError, match="storm"):
        trace(build([*switch(), *loop]), "a", tcp(A, B, 80))


def test_ping_is_answered_by_the_kernel() -> None:
    told = trace(build(routed()), "a", ping("10.0.1.2", "10.0.2.2"))
    assert told.delivered and told.reply.delivered and told.reply.end.netns == "a"


def test_a_ping_to_everybody_is_not_answered() -> None:
    told = trace(build(cable()), "a", ping(A, "10.0.0.255"))
    assert told.end.reason == "INVALID_PROTO" and not told.all(ev.Answered)


def test_loopback_stays_inside() -> None:
    network = build([*cable(), Listen("a", Socket("tcp", 8080, ip_address("127.0.0.1"), "web"))])
    assert trace(network, "a", tcp("127.0.0.1", "127.0.0.1", 8080)).delivered
    outside = trace(network, "b", tcp(B, A, 8080))
    assert outside.end.reason == "NO_SOCKET"


def test_second_bind_fails_as_in_linux() -> None:
    with pytest.raises(ModelError, match="EADDRINUSE"):
        build([*cable(), Listen("b", Socket("tcp", 80, process="log"))])
    build([*cable(), Listen("b", Socket("udp", 80, process="log"))])


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (address("a", "eth9", "10.0.0.7/24"), "no interface 'eth9'"),
        (route("a", "default", via="10.7.7.7"), "invalid gateway"),
        (LinkAdd("a", "a-name-that-is-too-long", "dummy"), "1 to 15 characters"),
        (LinkSet("a", "eth0", master="lo"), "no bridge"),
    ],
)
def test_ops_that_cannot_be_done(op, words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        build([op], build(cable()))
    assert op.command().split()[0] in str(raised.value)


def test_unknown_namespace() -> None:
    with pytest.raises(ModelError, match="no network namespace 'z'"):
        trace(build(cable()), "z", tcp(A, B, 80))


@pytest.mark.parametrize(("table", "told_so"), [("mangle", True), ("nat", False)])
def test_a_redirect_about_a_new_connection_is_dropped_by_nat_alone(table: str, told_so: bool) -> None:
    ops = one_armed(f"*{table}\n-A POSTROUTING -m conntrack --ctstate INVALID -j ACCEPT\nCOMMIT")
    told = trace(build(ops), "a", tcp("10.0.0.1", "10.9.9.9", 80))
    seen = [str(c.frame) for c in captures(told) if (c.netns, c.dev, c.direction) == ("a", "eth0", "in")]
    assert any("redirect" in word for word in seen) is told_so


def test_a_redirect_quotes_what_was_to_go_on_and_comes_before_the_question() -> None:
    """Seen in Linux 6.18: ip_forward counts the TTL down before it sends the redirect, and asks for the next hop after it."""
    ops = [*switch(), address("node", "br0", "10.0.0.9/24"), SysctlSet("node", "net.ipv4.ip_forward", 1)]
    ops += [route("node", "10.9.0.0/16", via="10.0.0.2"), route("a", "default", via="10.0.0.9")]
    told = trace(build(ops), "a", tcp("10.0.0.1", "10.9.9.9", 80))
    redirect = next(event.packet for event in told.all(ev.Sent) if event.packet.proto == "icmp")
    assert (redirect.payload.type, redirect.payload.data.ttl) == (5, 63)
    seen = [str(c.frame) for c in captures(told) if (c.netns, c.dev, c.direction) == ("a", "eth0", "in")]
    assert ["redirect" in word for word in seen].index(True) < ["who-has 10.0.0.2" in word for word in seen].index(True), seen


@pytest.mark.parametrize(("version", "mtu"), [(4, 576), (4, 1000), (6, 1280), (6, 1400)])
@pytest.mark.parametrize("tunnel", [False, True])
def test_pieces_are_routed_on_as_they_came_but_not_into_a_tunnel(version: int, mtu: int, tunnel: bool) -> None:
    ends = ("10.0.1.2", "10.0.2.2") if version == 4 else ("fd00:1::2", "fd00:2::2")
    told = trace(build(narrow_pod(version, mtu, tunnel)), "a", udp(*ends, 9, data=b"x" * 2800, df=False))
    sent, gone = (
        [len(c.frame.payload) for c in captures(told) if (c.netns, c.dev, c.direction, c.journey) == (at, dev, "out", 0)]
        for at, dev in (("a", "eth0"), ("n", "tunnel" if tunnel else "eth0"))
    )
    most = 1450 if tunnel and version == 4 else 1430 if tunnel else 0
    assert max(sent) <= mtu and (gone == sent if not tunnel else mtu < max(gone) <= most)


@pytest.mark.parametrize(("mtu", "size"), [(468, 468), (575, 575), (577, 576), (1500, 576)])
def test_an_error_quotes_what_fits_on_its_way(mtu: int, size: int) -> None:
    network = build([*routed(), LinkSet("r", "to-a", mtu=mtu), LinkSet("a", "eth0", mtu=mtu)])
    told = trace(network, "a", udp("10.0.1.2", "10.0.2.2", 9, data=b"x" * 1200, ttl=1, df=False))
    back = [c.frame.payload for c in captures(told) if (c.netns, c.dev, c.direction) == ("r", "to-a", "out")]
    assert [len(packet) for packet in back if isinstance(packet, Packet)] == [size]
