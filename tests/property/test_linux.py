"""Properties of the kernel half: bytes and text come back, weights sum to one, replies return, traces end."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.linux.engine import after, captures, trace, traces
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.ops import RulesRestore, build
from k8snetlib.linux.packet import Arp, Frame, Icmp, Ndp, Packet, Raw, Redirect, Sctp, Tcp, Udp, Vxlan, tcp
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.unit.networks import routed

MACS = st.integers(0, 2**48 - 1).map(lambda n: n.to_bytes(6, "big").hex(":"))
PORTS = st.integers(0, 65535)
DATA = st.binary(max_size=40)
V4, V6 = st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)
FLAGS = st.sets(st.sampled_from("FSRPAUEC")).map(lambda found: "".join(flag for flag in "FSRPAUEC" if flag in found))
PLAIN_PORTS = PORTS.filter(lambda port: port not in (4789, 8472))
TRANSPORT = st.one_of(
    st.builds(Tcp, PORTS, PORTS, FLAGS, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), DATA, PORTS),
    st.builds(Udp, PORTS, PLAIN_PORTS, DATA),
    st.builds(Sctp, PORTS, PORTS, st.integers(0, 2**32 - 1), DATA),
    st.builds(Raw, st.sampled_from([47, 50, 89]), DATA),
)
ECHO4 = st.builds(Icmp, st.sampled_from([0, 8]), st.just(0), PORTS, PORTS, DATA)
ECHO6 = st.builds(Icmp, st.sampled_from([128, 129]), st.just(0), PORTS, PORTS, DATA, st.just(6))
NDP = st.one_of(st.builds(Ndp, st.just(135), V6, MACS), st.builds(Ndp, st.just(136), V6, MACS, st.sampled_from(["", "S", "SO", "RSO"])))
BYTE = st.integers(0, 255)
EIGHTS = st.lists(st.binary(min_size=8, max_size=8), max_size=5).map(b"".join)  # a redirect quotes whole groups of eight bytes
INNER6 = st.builds(
    Packet, V6, V6, st.builds(Icmp, st.just(128), st.just(0), PORTS, PORTS, EIGHTS, st.just(6)), BYTE, st.just(True), st.just(0), BYTE
)
REDIRECT = st.builds(Redirect, V6, V6, st.one_of(st.none(), MACS), INNER6)
PACKETS4 = st.builds(Packet, V4, V4, st.one_of(TRANSPORT, ECHO4), BYTE, st.booleans(), PORTS, BYTE)
PACKETS6 = st.builds(Packet, V6, V6, st.one_of(TRANSPORT, ECHO6, NDP, REDIRECT), BYTE, st.just(True), st.just(0), BYTE)
PACKETS = st.one_of(PACKETS4, PACKETS6)
ARPS = st.builds(Arp, st.sampled_from([1, 2]), MACS, V4, MACS, V4)
FRAMES = st.builds(Frame, MACS, MACS, st.one_of(PACKETS, ARPS))
TUNNELLED = st.builds(
    lambda outer, port, vni, inner: Frame(outer.src, outer.dst, Packet(IPv4Address(1), IPv4Address(2), Udp(port, 8472, Vxlan(vni, inner)))),
    FRAMES,
    PORTS,
    st.integers(0, 2**24 - 1),
    FRAMES,
)


@given(st.one_of(FRAMES, TUNNELLED))
def test_bytes_come_back(frame: Frame) -> None:
    data = to_bytes(frame)
    assert from_bytes(data) == frame and len(data) == len(frame)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_frame_or_a_clear_error(data: bytes) -> None:
    with contextlib.suppress(ModelError):
        assert isinstance(from_bytes(data), Frame)


ADDRESS = st.tuples(st.integers(0, 255), st.integers(8, 32)).map(lambda t: f"10.0.{t[0]}.0/{max(t[1], 24)}")
MATCHES = st.sampled_from([
    "", "-p tcp", "-p tcp -m tcp --dport 80", "-p tcp -m tcp ! --dport 80:90", "-p udp -m udp --sport 1024:65535", "-m mark --mark 0x4000/0x4000",
    "-m conntrack --ctstate NEW,RELATED", '-m comment --comment "a \\"b\\" c"', "-m addrtype ! --dst-type LOCAL", "-i to-a", "! -o to-b", "-p icmp -m icmp --icmp-type 8",
])  # fmt: skip
TARGET = st.sampled_from(["-j ACCEPT", "-j DROP", "-j RETURN", "-j REJECT --reject-with icmp-host-prohibited", "-j EXTRA", "-g EXTRA"])
RULES = st.lists(st.builds(lambda chain, src, m, t: " ".join(filter(None, [f"-A {chain}", f"-s {src}" if src else "", m, t])),
                           st.sampled_from(["FORWARD", "INPUT"]), st.one_of(st.none(), ADDRESS), MATCHES, TARGET), max_size=8)  # fmt: skip


def text_of(rules: list[str]) -> str:
    return "\n".join(["*filter", ":EXTRA - [0:0]", *rules, "-A EXTRA -p udp -j DROP", "COMMIT"])


@given(RULES)
def test_rules_come_back(rules: list[str]) -> None:
    ruleset = Ruleset.parse(text_of(rules))
    assert Ruleset.parse(str(ruleset)) == ruleset and str(Ruleset.parse(str(ruleset))) == str(ruleset)


@given(st.text(max_size=200))
def test_any_text_is_rules_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(ModelError, UnsupportedError):
        Ruleset.parse(text)


@settings(max_examples=60)
@given(RULES, st.integers(1, 5), st.sampled_from([80, 81]))
def test_traces_end_and_say_how(rules: list[str], ttl: int, port: int) -> None:
    network = build([*routed(), RulesRestore("r", text_of(rules))])
    told = trace(network, "a", tcp("10.0.1.2", "10.0.2.2", port, ttl=ttl))
    assert told.end is not None and captures(told)
    assert trace(network, "a", tcp("10.0.1.2", "10.0.2.2", port, ttl=ttl)) == told
    after(network, told)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 2**31 - 1), max_size=5))
def test_weights_sum_to_one(numerators: list[int]) -> None:
    rules = [
        f"-A PREROUTING -p tcp -m statistic --mode random --probability {n / 2**31:.11f} -j DNAT --to-destination 10.0.2.2:{80 + i}"
        for i, n in enumerate(numerators)
    ]
    network = build([*routed(), RulesRestore("r", "\n".join(["*nat", *rules, "COMMIT"]))])
    found = traces(network, "a", tcp("10.0.1.2", "10.0.2.2", 9))
    assert sum(weight for weight, _ in found) == 1
    assert len({str(t.end.packet) for _, t in found}) == len(found)


@settings(max_examples=40)
@given(st.integers(1, 65535), st.booleans(), st.booleans())
def test_a_reply_returns_to_the_original_tuple(sport: int, dnat: bool, masquerade: bool) -> None:
    rules = ["-A PREROUTING -d 10.9.9.9/32 -p tcp -j DNAT --to-destination 10.0.2.2:80"] if dnat else []
    rules += ["-A POSTROUTING -j MASQUERADE"] if masquerade else []
    network = build([*routed(), RulesRestore("r", "\n".join(["*nat", *rules, "COMMIT"]))])
    request = trace(network, "a", tcp("10.0.1.2", "10.9.9.9" if dnat else "10.0.2.2", 80, sport))
    assert request.delivered and request.reply.delivered
    assert request.reply.end.packet.flow == request.sent.flow.reverse()
