"""Conntrack's view of TCP, and of packets that it has not seen; tests/kernel/test_conversations.py holds both against a kernel."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Delivered, Dropped, Matched, Trace, Tracked
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.ops import LinkAdd, LinkSet, Listen, NeighAdd, NetnsAdd, Op, RulesRestore, address, build, route, stable_mac
from k8snetlib.linux.packet import Icmp, Packet, Raw, Tcp, ip_address, tcp, udp
from k8snetlib.linux.state import Neighbor, Network, Socket
from tests.unit.networks import one_armed, routed

A, B = "10.0.1.2", "10.0.2.2"
PORT = 40000


def router(*rules: str, table: str = "filter") -> list[Op]:
    return [*routed(), RulesRestore("r", "\n".join([f"*{table}", *rules, "COMMIT"]))]


TRACKING = "-A FORWARD -m conntrack --ctstate INVALID -j ACCEPT"


def talk(network: Network, segments: Iterable[str], seq: int = 1, ack: int = 0) -> tuple[Network, list[Trace]]:
    """Segments of one connection, each "a" or "b" (who sends it) and its flags."""
    told = []
    for who, _, flags in (segment.partition(" ") for segment in segments):
        ends = (A, B, 80, PORT) if who == "a" else (B, A, PORT, 80)
        packet = tcp(*ends, flags=flags)
        packet = Packet(packet.src, packet.dst, Tcp(packet.sport, packet.dport, flags, seq, ack))
        told.append(trace(network, who, packet))
        network = after(network, told[-1])
    return network, told


def states(told: list[Trace]) -> list[str]:
    return [event.state for each in told for event in each.all(Tracked, 0) if event.netns == "r"]


def entry(network: Network):
    (found,) = network["r"].conntrack
    return found


@pytest.mark.parametrize("flags", ["", "F", "SF", "P", "SR", "FSRPAU"])
def test_flags_that_no_tcp_sends_belong_to_no_connection(flags: str) -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), ["a S", "b SA", "a A"])
    later, told = talk(network, [f"a {flags}"])
    assert states(told) == ["INVALID"]
    assert entry(later) == entry(network)


def test_a_connection_that_was_picked_up_is_assured_by_its_second_answer() -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), ["a A", "b A"])
    assert (entry(network).state, entry(network).assured) == ("ESTABLISHED", False)
    network, _ = talk(network, ["b A"])
    assert entry(network).assured


@pytest.mark.parametrize(
    ("segments", "after_syn", "seen"),
    [
        (["a S", "b SA", "a A", "b R"], "CLOSE", "ESTABLISHED"),  # reset by the other side: the SYN goes the old way
        (["a S", "b SA", "a A", "a R"], "SYN_SENT", "NEW"),
        (["a S", "b SA", "a A", "b R", "a R"], "SYN_SENT", "NEW"),
        (["a S", "b SA", "a A", "b FA", "a FA", "b A"], "SYN_SENT", "NEW"),
        (["a S", "b SA", "a A", "b FA", "b R"], "SYN_SENT", "NEW"),
    ],
)
def test_whether_a_syn_begins_a_closed_connection_anew(segments: list[str], after_syn: str, seen: str) -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), segments)
    network, told = talk(network, ["a S"])
    assert (entry(network).state, states(told)) == (after_syn, [seen])


def test_the_answer_to_an_ignored_syn_puts_conntrack_in_step() -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), ["a S", "b SA", "a A", "b R"])
    ignored, _ = talk(network, ["a S"], seq=7)
    assert entry(ignored).state == "CLOSE"
    assert entry(talk(ignored, ["b SA"], ack=9)[0]).state == "CLOSE"  # it answers something else
    assert entry(talk(ignored, ["b SA"], ack=8)[0]).state == "SYN_RECV"


def test_an_answer_to_a_syn_is_not_taken_for_that_to_the_last_fin() -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), ["a S", "b SA", "a A", "b FA", "a FA", "a S"])
    assert entry(network).state == "LAST_ACK"
    challenged, _ = talk(network, ["b A"])
    assert entry(challenged).state == "LAST_ACK"
    assert entry(talk(challenged, ["b A"])[0]).state == "TIME_WAIT"


def test_both_ends_begin() -> None:
    network, _ = talk(build([*router(TRACKING), Listen("a", Socket("tcp", PORT))]), ["a S", "b S", "a SA", "b A"])
    assert entry(network).state == "ESTABLISHED"


# What rules see


def met(told: Trace, chain: str, netns: str = "r") -> int:
    return sum(event.rule is not None for event in told.all(Matched) if (event.netns, event.chain) == (netns, chain))


def test_before_conntrack_every_packet_is_invalid() -> None:
    ops = router("-A PREROUTING -m conntrack --ctstate INVALID", "-A PREROUTING -m conntrack --ctstate NEW", table="raw")
    assert met(trace(build(ops), "a", tcp(A, B, 80)), "PREROUTING") == 1


def test_the_security_table_comes_after_nat() -> None:
    """As iptables on nf_tables registers it (1.8.9: at 150)."""
    text = "*security\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n-A INPUT -p tcp\n-A POSTROUTING -p udp -j MASQUERADE\nCOMMIT"
    told = trace(build([*routed(), RulesRestore("r", text)]), "a", tcp(A, "10.0.1.1", 22))
    assert met(told, "INPUT") == 1
    assert "table security" in told.end.detail


def test_the_refusal_of_a_datagram_belongs_to_no_connection_before_conntrack_looks() -> None:
    ops = router("-A OUTPUT -m conntrack --ctstate INVALID", "-A OUTPUT -m conntrack --ctstate RELATED", table="raw")
    told = trace(build(ops), "a", udp(A, "10.0.1.1", 53))
    assert [event.index for event in told.all(Matched) if event.netns == "r" and event.rule is not None] == [0]
    assert any(event.state == "RELATED" for event in told.all(Tracked))


def test_a_redirect_that_nat_drops_has_met_the_tables_before() -> None:
    told = trace(
        build(one_armed("*raw\n-A OUTPUT -p icmp\nCOMMIT\n*nat\n-A POSTROUTING -p tcp -j MASQUERADE\nCOMMIT")),
        "a",
        tcp("10.0.0.1", "10.9.9.9", 80),
    )
    assert any(event.table == "raw" and event.rule is not None for event in told.all(Matched))
    assert any("a redirect about a connection that NAT rewrites" in event.detail for event in told.all(Dropped))


@pytest.mark.parametrize(("words", "hits"), [("", 0), (" --nowildcard", 1)])
def test_a_socket_takes_the_errors_about_what_it_sent(words: str, hits: int) -> None:
    ops = [*routed(), Listen("a", Socket("udp", PORT)), RulesRestore("a", f"*filter\n-A INPUT -p icmp -m socket{words}\nCOMMIT")]
    assert met(trace(build(ops), "a", udp(A, B, 9, PORT)), "INPUT", "a") == hits


# What hosts say


def messages(told: Trace, kind: type = Delivered) -> list[Icmp]:
    packets = (event.packet for event in told.all(kind) if isinstance(event.packet, Packet))
    return [packet.payload for packet in packets if isinstance(packet.payload, Icmp)]


@pytest.mark.parametrize(("payload", "answered"), [(Raw(99, b"hello"), False), (Raw(99, b"\xff\xff"), True), (Raw(50, b"hello"), True)])
def test_a_refusal_asks_for_a_checksum_where_the_protocol_may_have_one(payload: Raw, answered: bool) -> None:
    told = trace(build(router("-A FORWARD -j REJECT")), "a", Packet(ip_address(A), ip_address(B), payload))
    assert bool(messages(told)) is answered


def test_an_unknown_protocol_of_ipv6_is_pointed_at() -> None:
    ops: list[Op] = [NetnsAdd("a"), NetnsAdd("b"), LinkAdd("a", "eth0", "veth", peer=("b", "eth0"))]
    for name, ip in (("a", "fd00::1/64"), ("b", "fd00::2/64")):
        ops += [address(name, "eth0", ip), LinkSet(name, "eth0", up=True)]
    told = trace(build(ops), "a", Packet(ip_address("fd00::1"), ip_address("fd00::2"), Raw(99, b"hello")))
    assert [(each.type, each.code, each.mtu) for each in messages(told)] == [(4, 1, 6)]


@pytest.mark.parametrize(("more", "reason"), [([], "IP_INNOROUTES"), ([route("r", "10.9.0.0/16", via=B)], "IP_LOCAL_SOURCE")])
def test_without_a_route_nobody_asks_where_the_packet_comes_from(more: list[Op], reason: str) -> None:
    """A packet from an address of the router itself: where nothing leads on, the router tells itself so."""
    gateway = NeighAdd("a", Neighbor("eth0", ip_address("10.0.1.1"), stable_mac("r", "to-a")))
    network = build([*routed(), *more, address("a", "eth0", "10.0.2.1/32"), gateway])
    told = trace(network, "a", Packet(ip_address("10.0.2.1"), ip_address("10.9.9.9"), Raw(99, b"x")))
    assert told.end.reason == reason
    assert [(c.netns, c.dev) for c in captures(told) if c.dev == "lo"] == ([("r", "lo")] * 2 if reason == "IP_INNOROUTES" else [])


def test_ports_alone_for_ipv6() -> None:
    line = "-A PREROUTING -p tcp -j DNAT --to-destination :90"
    assert line in str(Ruleset.parse(f"*nat\n{line}\nCOMMIT", 6))
