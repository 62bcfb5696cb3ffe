"""Marks of connections (``-j CONNMARK``), and addresses as those of one interface (``-m addrtype --limit-iface-in``)."""

from __future__ import annotations

import pytest

from k8snetlib.errors import UnsupportedError
from k8snetlib.linux import events as ev
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.ops import ConntrackAdd, RulesRestore, build
from k8snetlib.linux.packet import Packet, Skb, tcp, udp
from k8snetlib.linux.targets import ConnMark
from tests.unit.networks import routed

A, B, NEAR, FAR = "10.0.1.2", "10.0.2.2", "10.0.1.1", "10.0.2.1"


def mangle(*rules: str) -> RulesRestore:
    return RulesRestore("r", "\n".join(["*mangle", *rules, "COMMIT"]))


@pytest.mark.parametrize(("typed", "shown"), [
    ("--set-mark 0x80/0x80", "--set-xmark 0x80/0x80"),
    ("--set-mark 0x81/0x80", "--set-xmark 0x81/0x81"),
    ("--set-xmark 0x80/0x80", "--set-xmark 0x80/0x80"),
    ("--set-mark 7", "--set-xmark 0x7/0xffffffff"),
    ("--and-mark 0xf", "--set-xmark 0x0/0xfffffff0"),
    ("--or-mark 0x3", "--set-xmark 0x3/0x3"),
    ("--restore-mark --mask 0x80", "--restore-mark --nfmask 0x80 --ctmask 0x80"),
    ("--restore-mark --nfmask 0xf0 --ctmask 0xff", "--restore-mark --nfmask 0xf0 --ctmask 0xff"),
    ("--save-mark", "--save-mark --nfmask 0xffffffff --ctmask 0xffffffff"),
])  # fmt: skip
def test_printed_as_iptables_save_does(typed: str, shown: str) -> None:
    """iptables 1.8.9."""
    rules = Ruleset.parse(f"*mangle\n-A PREROUTING -j CONNMARK {typed}\nCOMMIT")
    assert f"-A PREROUTING -j CONNMARK {shown}" in str(rules).splitlines()
    assert rules.tracks and str(Ruleset.parse(str(rules))) == str(rules)


@pytest.mark.parametrize(("target", "before", "result"), [
    (ConnMark("set", 0x80, 0x80), (0x4000, 0x1), (0x4000, 0x81)),
    (ConnMark("set", 0x1, 0xFFFFFFFF), (0, 0x80), (0, 0x1)),
    (ConnMark("restore", ctmask=0x80, nfmask=0x80), (0x4000, 0xFF), (0x4080, 0xFF)),
    (ConnMark("restore", ctmask=0x80, nfmask=0x80), (0x4080, 0x7F), (0x4000, 0x7F)),
    (ConnMark("save"), (0x4000, 0x80), (0x4000, 0x4000)),
    (ConnMark("save", ctmask=0xF0, nfmask=0xFF), (0x12, 0x345), (0x12, 0x317)),
])  # fmt: skip
def test_marks_of_packet_and_connection(target: ConnMark, before: tuple[int, int], result: tuple[int, int]) -> None:
    """xt_connmark.c: what is copied is cut to the source's mask and written by XOR over the other's."""
    assert target.apply(*before) == result


def test_a_connections_mark_comes_back_on_the_answer() -> None:
    rules = mangle("-A PREROUTING -i to-a -j CONNMARK --set-mark 0x80/0x80", "-A PREROUTING -i to-b -j CONNMARK --restore-mark --mask 0x80")
    network = build([*routed(), rules])
    told = trace(network, "a", tcp(A, B, 80))
    assert told.delivered and not told.all(ev.Marked, 0)
    assert [(e.old, e.new) for e in told.reply.all(ev.Marked)] == [(0, 0x80)]
    (entry,) = after(network, told)["r"].conntrack
    assert entry.mark == 0x80 and str(entry).endswith("mark=128")


def test_a_later_packet_changes_a_connections_mark() -> None:
    first = build(
        [*routed(), mangle("-A PREROUTING -p udp -m udp --sport 7 -j CONNMARK --set-mark 1", "-A PREROUTING -m conntrack --ctstate NEW")]
    )
    told = trace(first, "a", udp(A, B, 80))
    known = after(first, told)
    answer = trace(known, "b", Packet(told.end.packet.dst, told.end.packet.src, udp(B, A, 40000, 80).payload))
    assert not [c for c in after(known, answer)["r"].conntrack if c.mark]
    other = build([mangle("-A PREROUTING -j CONNMARK --set-mark 1")], known)
    answer = trace(other, "b", udp(B, A, 40000, 80))
    assert {c.mark for c in after(other, answer)["r"].conntrack} == {1}


def test_a_connection_that_a_reset_ends_gets_no_mark() -> None:
    rules = mangle("-A PREROUTING -i to-a -m conntrack --ctstate NEW", "-A PREROUTING -i to-b -j CONNMARK --set-mark 1")
    network = build([*routed(), rules])
    told = trace(network, "a", tcp(A, B, 9))  # nobody listens there
    assert not after(network, told)["r"].conntrack
    assert not [e for e in told.all(ev.Learned) if isinstance(e.op, ConntrackAdd) and e.op.entry.mark]


@pytest.mark.parametrize(
    ("dst", "limit", "hit"), [(NEAR, "", True), (FAR, "", True), (NEAR, " --limit-iface-in", True), (FAR, " --limit-iface-in", False)]
)
def test_the_address_of_the_interface_alone(dst: str, limit: str, hit: bool) -> None:
    rule = f"-A PREROUTING -i to-a -m addrtype --dst-type LOCAL{limit} -j MARK --set-xmark 0x1/0x1"
    network = build([*routed(), mangle(rule)])
    assert rule in str(network["r"].rulesets[4])
    assert bool(trace(network, "a", tcp(A, dst, 80)).all(ev.Marked, 0)) is hit


def test_the_interface_alone_is_not_modelled_in_ipv6() -> None:
    text = "*mangle\n-A PREROUTING -m addrtype --dst-type LOCAL --limit-iface-in -j ACCEPT\nCOMMIT"
    network = build([*routed(), RulesRestore("r", text, 6)])
    assert "--limit-iface-in" in str(network["r"].rulesets[6])
    match = network["r"].rulesets[6].tables["mangle"].chains["PREROUTING"].rules[0].matches[0]
    with pytest.raises(UnsupportedError, match="--limit-iface-in is not modelled for IPv6"):
        match.compile()(Skb(udp("fd00::1", "fd00::2", 80), "to-a"), None)
