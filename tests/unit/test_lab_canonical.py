"""The published form in which kernel and model are compared: each rule, and what no rule may touch."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address
from ipaddress import ip_address as ip

import pytest

from k8snetlib.lab.canonical import Canonicaliser, by_interface, canonical, canonical_counters, is_background
from k8snetlib.lab.readback import Unparsed
from k8snetlib.linux.events import Capture
from k8snetlib.linux.fragments import fragment
from k8snetlib.linux.packet import Arp, Flow, Fragment, Frame, Icmp, Ndp, Packet, Raw, Tcp, Udp, Vxlan, ping, tcp, udp
from k8snetlib.linux.state import Conntrack

A, B = "0a:58:00:00:00:01", "0a:58:00:00:00:02"
WEB, DB, NODE = ip("10.0.0.1"), ip("10.0.0.2"), ip("192.0.2.1")
V6, ALL = ip("fd00::1"), ip("ff02::16")


def seen(*packets: object, dev: str = "eth0", direction: str = "out") -> list[Capture]:
    return [Capture("one", dev, direction, p if isinstance(p, (Frame, Unparsed)) else Frame(A, B, p), 3) for p in packets]


def form(*packets: object, known: tuple[int, ...] = ()) -> list:
    return [each.frame.payload for each in canonical(seen(*packets), known)]


@pytest.mark.parametrize(
    "packet",
    [
        Packet(WEB, ip("224.0.0.22"), Raw(2, b"igmp")),
        *(Packet(V6, ALL, Icmp(kind, version=6)) for kind in (130, 131, 132, 133, 134, 143)),
        Packet(IPv6Address("::"), ip("ff02::1:ff00:1"), Ndp(135, V6)),
        Packet(V6, ip("ff02::1"), Ndp(136, V6, A, "O")),
    ],
    ids=str,
)
def test_background_is_removed_also_inside_a_tunnel(packet: Packet) -> None:
    assert form(packet) == []
    inside = udp(NODE, DB, 8472)
    assert form(replace(inside, payload=Udp(5, 8472, Vxlan(1, Frame(A, B, packet))))) == []


@pytest.mark.parametrize(
    "packet",
    [
        Packet(V6, ip("ff02::1:ff00:2"), Ndp(135, ip("fd00::2"), A)),
        Packet(V6, ip("fd00::2"), Ndp(136, V6, A, "SO")),
        Packet(V6, ip("fd00::2"), Icmp(2, version=6)),
        Packet(V6, ip("fd00::2"), Icmp(137, version=6)),
        Packet(WEB, DB, Raw(47, b"gre")),
        udp(WEB, "224.0.0.251", 5353),
    ],
    ids=str,
)
def test_nothing_else_is_background(packet: Packet) -> None:
    assert not is_background(Frame(A, B, packet))


def test_a_question_is_kept_once_until_it_is_answered() -> None:
    question, answer = Arp(1, A, WEB, "00:00:00:00:00:00", DB), Arp(2, B, DB, A, WEB)
    assert form(question, question, question) == [question]
    assert form(question, question, answer, question) == [question, answer, question]
    other = replace(question, target_ip=NODE)
    assert form(question, other, question) == [question, other]
    again = [*seen(question), *seen(question, direction="in"), *seen(question, dev="eth1")]
    assert len(canonical(again)) == 3  # another direction or interface is another sighting


def test_neighbour_solicitations_too() -> None:
    question = Packet(V6, ip("ff02::1:ff00:2"), Ndp(135, ip("fd00::2"), A), 255)
    answer = Packet(ip("fd00::2"), V6, Ndp(136, ip("fd00::2"), B, "SO"), 255)
    assert form(question, question, answer, question) == [question, answer, question]


def test_identifications() -> None:
    assert form(udp(WEB, DB, 53, id=4711)) == form(udp(WEB, DB, 53, id=7))
    pieces = [Packet(WEB, DB, Fragment(17, offset, True, b"x"), id=number) for number in (99, 5) for offset in (0, 8)]
    assert [piece.id for piece in form(*pieces)] == [1, 1, 2, 2]


def test_sequence_numbers_count_from_the_first() -> None:
    syn = Packet(WEB, DB, Tcp(40000, 80, "S", 1000))
    back = Packet(DB, WEB, Tcp(80, 40000, "SA", 2**32 - 1, 1001, window=65160))
    ack = Packet(WEB, DB, Tcp(40000, 80, "A", 1001, 0, b""))
    data = Packet(DB, WEB, Tcp(80, 40000, "PA", 4, 1001, b"hello"))
    said = [(p.payload.seq, p.payload.ack, p.payload.window) for p in form(syn, back, ack, data)]
    assert said == [(0, 0, 0), (0, 1, 0), (1, 1, 0), (5, 1, 0)]


def test_flags_data_and_addresses_of_segments_stay() -> None:
    [found] = form(Packet(WEB, DB, Tcp(40000, 80, "FPA", 5, 6, b"end"), ttl=3, tos=8, df=False), known=(40000,))
    assert (found.src, found.dst, found.ttl, found.tos, found.df) == (WEB, DB, 3, 8, False)
    assert (found.payload.flags, found.payload.data, found.payload.sport, found.payload.dport) == ("FPA", b"end", 40000, 80)


def test_a_tunnel_s_source_port_is_masked_and_what_is_inside_is_brought_into_form() -> None:
    def outer(port: int) -> Packet:
        return Packet(NODE, DB, Udp(port, 8472, Vxlan(1, Frame(A, B, udp(WEB, DB, 53, sport=4000 + port, id=port)))), df=False)

    first, second = form(outer(50000)), form(outer(50001))
    assert first == second
    assert first[0].payload.sport == 0 and first[0].payload.data.frame.payload.payload.sport == 60001


def test_the_first_piece_of_a_tunnel_packet_is_brought_into_form_too() -> None:
    def outer(port: int, word: bytes) -> tuple[Packet, ...]:
        inside = udp(WEB, DB, 53, sport=4000 + port, id=port, data=word * 250, df=False)
        return fragment(Packet(NODE, DB, Udp(port, 8472, Vxlan(1, Frame(A, B, inside))), df=False), 468)

    pieces = form(*outer(50000, b"word"))
    assert len(pieces) == 3 and pieces == form(*outer(50001, b"word")) == form(*pieces)
    assert all(a != b for a, b in zip(pieces, form(*outer(50000, b"worD")), strict=True))


def test_ports_that_nobody_chose_are_named_in_order() -> None:
    request, masked = udp(WEB, DB, 53, sport=40000), udp(NODE, DB, 53, sport=12345)
    answer, back = udp(DB, NODE, 12345, sport=53), udp(DB, WEB, 40000, sport=53)
    found = [(p.payload.sport, p.payload.dport) for p in form(request, masked, answer, back)]
    assert found == [(60001, 53), (60002, 53), (53, 60002), (53, 60001)]
    found = [(p.payload.sport, p.payload.dport) for p in form(request, masked, answer, back, known=(40000, 53))]
    assert found == [(40000, 53), (60001, 53), (53, 60001), (53, 40000)]


def test_whether_nat_kept_the_port_can_still_be_seen() -> None:
    kept = form(udp(WEB, DB, 53, sport=5), udp(NODE, DB, 53, sport=5))
    changed = form(udp(WEB, DB, 53, sport=5), udp(NODE, DB, 53, sport=6))
    assert kept != changed


def test_echo_identifiers() -> None:
    answers = [Packet(DB, to, Icmp(0, 0, ident, 1)) for to, ident in ((NODE, 999), (WEB, 7))]
    found = form(ping(WEB, DB, id=7), ping(NODE, DB, id=999), *answers, known=(7,))
    assert [p.payload.id for p in found] == [7, 60001, 60001, 7]


def test_quoted_packets_get_the_same_names() -> None:
    request = udp(WEB, DB, 53, sport=33333, id=9)
    error = Packet(DB, WEB, Icmp(3, 3, data=request))
    found = form(request, error)
    assert found[1].payload.data == found[0]
    quoted_reply = Packet(WEB, DB, Icmp(3, 3, data=udp(DB, WEB, 33333, sport=53)))
    assert form(request, quoted_reply)[1].payload.data.payload.dport == 60001


def test_an_error_s_mtu_is_no_identifier() -> None:
    error = Packet(DB, WEB, Icmp(3, 4, 0, 1450, data=udp(WEB, DB, 53)))
    assert form(error)[0].payload.mtu == 1450


def test_journeys_and_the_bit_that_ipv6_lacks() -> None:
    [found] = canonical(seen(replace(ping("fd00::1", "fd00::2"), df=False)))
    assert found.journey == -1 and found.frame.payload.df


def test_frames_that_nobody_understood_stay() -> None:
    frame = Unparsed(b"?", "odd")
    [found] = canonical(seen(frame))
    assert found.frame is frame


def test_connections_share_the_names_and_masks() -> None:
    names = Canonicaliser({53})
    names.captures(seen(udp(WEB, DB, 53, sport=33333), udp(NODE, DB, 53, sport=44444)))
    nat = Conntrack(Flow("udp", WEB, 33333, DB, 53), Flow("udp", DB, 53, NODE, 44444), nat=("src",))
    tunnels = [Conntrack(Flow("udp", NODE, port, DB, 8472), Flow("udp", DB, 8472, NODE, port)) for port in (1, 2)]
    found = names.connections([*tunnels, nat])
    assert len(found) == 2  # the tunnel's flows differ in the masked port alone
    assert {(entry.original.sport, entry.reply.dport) for entry in found} == {(0, 0), (60001, 60002)}


def test_the_form_of_a_form_is_itself() -> None:
    frames = seen(udp(WEB, DB, 53, sport=33333), tcp(WEB, DB, 80, sport=44444), ping(WEB, DB, id=3))
    once = canonical(frames)
    assert canonical(once) == once


def test_by_interface_keeps_the_order_on_each() -> None:
    first, second = udp(WEB, DB, 1), udp(WEB, DB, 2)
    mixed = [*seen(first, dev="b"), *seen(first, dev="a"), *seen(second, dev="b", direction="in")]
    found = by_interface(mixed)
    assert list(found) == [("one", "a"), ("one", "b")]
    assert [(direction, frame.payload) for direction, frame in found["one", "b"]] == [("out", first), ("in", second)]


def test_counters_without_dates() -> None:
    assert canonical_counters("# Generated on Mon\n*nat\n[1:60] -A POSTROUTING -j ACCEPT\nCOMMIT\n# Completed\n") == (
        "*nat\n[1:60] -A POSTROUTING -j ACCEPT\nCOMMIT\n"
    )


def test_counters_with_the_tables_by_name() -> None:
    """Rules keep their order, whichever iptables listed the tables."""
    nat, filters = "*nat\n[1:60] -A Z -j ACCEPT\n[0:0] -A A -j DROP\nCOMMIT\n", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
    assert canonical_counters(f"# one\n{nat}# two\n{filters}") == canonical_counters(f"{filters}{nat}") == filters + nat
