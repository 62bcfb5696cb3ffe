"""IPv6 addresses of this host alone and of any router of a link: what ``-m addrtype`` says of them, and who answers."""

from __future__ import annotations

import pytest

from k8snetlib.linux.engine import arrive, trace
from k8snetlib.linux.events import Answered, Delivered, Matched
from k8snetlib.linux.ops import Listen, RulesRestore, SysctlSet, address, build, stable_mac
from k8snetlib.linux.packet import Frame, ping, tcp, udp
from k8snetlib.linux.state import Socket, link_local
from tests.unit.networks import routed6

A, SHARED = "fd00:1::2", "fd00:2::"
NEAR, FAR = (str(link_local(stable_mac("r", dev)).ip) for dev in ("to-a", "to-b"))
WORDS = ("LOCAL", "UNICAST", "ANYCAST", "UNREACHABLE", "LOCAL,UNICAST", "UNREACHABLE,UNICAST")
RULES = "*mangle\n" + "".join(f"-A PREROUTING -p udp -m addrtype --dst-type {word}\n" for word in WORDS) + "COMMIT\n"


def router(forwarding: int = 1, *more) -> list:
    ops = [*routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", forwarding)]), RulesRestore("r", RULES, 6), *more]
    return [*ops, Listen("r", Socket("tcp", 80)), Listen("r", Socket("udp", 53))]


@pytest.mark.parametrize(
    ("dst", "types"),
    [
        ("fd00:1::1", {"LOCAL", "UNICAST", "LOCAL,UNICAST"}),
        ("fd00:2::2", {"UNICAST"}),
        ("2001:db8::1", {"UNICAST", "UNREACHABLE", "UNREACHABLE,UNICAST"}),
        (SHARED, {"UNICAST", "ANYCAST"}),
        (NEAR, {"LOCAL", "UNICAST", "LOCAL,UNICAST"}),
        (FAR, {"LOCAL", "UNICAST", "LOCAL,UNICAST"}),
    ],
)
@pytest.mark.parametrize("forwarding", [0, 1])
def test_types(dst: str, types: set[str], forwarding: int) -> None:
    packet = udp(A, dst, 53)
    told = arrive(build(router(forwarding)), "r", "to-a", Frame(stable_mac("a", "eth0"), stable_mac("r", "to-a"), packet))
    assert {WORDS[e.index] for e in told.all(Matched) if e.netns == "r" and e.rule is not None} == types


@pytest.mark.parametrize(("dst", "mine"), [(NEAR, True), (FAR, False)])
def test_a_link_local_address_is_for_its_own_link(dst: str, mine: bool) -> None:
    """Though ``--dst-type LOCAL``, which looks without an interface, says of either that it is this host's."""
    frame = Frame(stable_mac("a", "eth0"), stable_mac("r", "to-a"), udp(str(link_local(stable_mac("a", "eth0")).ip), dst, 53))
    told = arrive(build(router()), "r", "to-a", frame)
    assert any(e.packet.dport == 53 for e in told.all(Delivered) if e.netns == "r" and e.socket) is mine


def test_a_router_speaks_for_itself() -> None:
    """A datagram to any router gets an error from there, an echo request an answer from an address of its own, a connection none."""
    network = build(router())
    refused, echo = (trace(network, "a", packet).all(Delivered)[-1] for packet in (udp(A, SHARED, 9), ping(A, SHARED)))
    assert [(end.netns, str(end.packet.src)) for end in (refused, echo)] == [("a", SHARED), ("a", "fd00:1::1")]
    assert [trace(network, "a", tcp(A, SHARED, port)).end.reason for port in (9, 80)] == ["NO_SOCKET", "NOT_SPECIFIED"]


def test_it_answers_for_any_router_of_the_link() -> None:
    told = trace(build(router()), "a", udp(A, "fd00:1::", 53))
    assert [e.why for e in told.all(Answered) if e.netns == "r"] == [f"neighbour discovery: fd00:1:: is {stable_mac('r', 'to-a')}"]
    assert not [e for e in trace(build(router(0)), "a", udp(A, "fd00:1::", 53)).all(Answered) if e.netns == "r"]


def test_of_two_entries_the_one_of_the_link_counts() -> None:
    """An address of its own on another device is not what the packet came to, though ``LOCAL`` finds the first entry."""
    network = build(router(1, address("r", "lo", "fd00:1::/128")))
    told = trace(network, "a", udp(A, "fd00:1::", 53))
    assert {WORDS[e.index] for e in told.all(Matched) if e.rule is not None} == {"LOCAL", "UNICAST", "LOCAL,UNICAST"}
    assert trace(network, "a", tcp(A, "fd00:1::", 80)).end.reason == "NOT_SPECIFIED"
