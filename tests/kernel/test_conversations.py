"""Conversations through a router with rules of every kind: model and kernel, compared frame by frame.

Where the clusters of the other random tests have the rules that Kubernetes has, these have what else the model honours: every match and
target of iptables, all tables, chains that jump; and packets of one connection after another, from both ends, in any order of flags, with
ICMP errors about them. Sequence numbers are those of real ends, so that the segments are in the other's window.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Answered, Asked, Delivered, Matched, Trace
from k8snetlib.linux.packet import Icmp, Packet, Raw, Sctp, Tcp, Udp, ping
from k8snetlib.linux.state import Socket
from tests.kernel.side_by_side import same_frames
from tests.kernel.silence import Silence
from tests.kernel.test_model_and_kernel import Side, beside_a_kernel, counters, difference
from tests.kernel.test_nftables import routed
from tests.nft_drawing import ADDRESSES, VIP
from tests.unit.networks import routed as two_routed
from tests.xt_drawing import draw as rules

pytestmark = pytest.mark.kernel
SPORTS, PORTS, ECHO = (40000, 40001, 700), (80, 8080, 53, 22), 7
KNOWN = {*SPORTS, *PORTS, ECHO, 90, 9999}
FLAGS = ("S", "S", "SA", "A", "A", "A", "FA", "R", "RA", "PA")
CHUNKS = {  # of SCTP (RFC 9260 section 3.3), as short as they may be
    name: bytes([kind, 0, 0, length, *([0] * (length - 4))])
    for name, kind, length in (
        ("DATA", 0, 20), ("INIT", 1, 20), ("INIT ACK", 2, 20), ("ABORT", 6, 4), ("SHUTDOWN", 7, 8), ("SHUTDOWN ACK", 8, 4),
        ("COOKIE ECHO", 10, 8), ("COOKIE ACK", 11, 4), ("HEARTBEAT", 4, 4), ("SHUTDOWN COMPLETE", 14, 4),
    )
}  # fmt: skip


@dataclass
class Talk:
    """One connection: who began it, and what the two ends have sent so far."""

    at: str
    first: Packet
    began: bool = False
    middle: bool = False  # it began before there was anybody to see it
    arrived: tuple[str, Packet, Packet] | None = None  # where the last packet got to, as the model and as the kernel delivered it
    numbers: dict[str, int] = field(default_factory=lambda: {"client": 1000, "server": 5000})
    syn: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)  # the number that each has heard the other come to

    def segment(self, segment: Tcp, who: str, flags: str) -> Tcp:
        """The segment with these flags and the numbers that its sender has come to; who has heard nothing acknowledges nothing."""
        if who not in self.heard and not self.middle:
            flags = "R" if "R" in flags else "S"
        elif who == "server" and who not in self.syn and "R" not in flags and not self.middle:
            flags = "SA"
        seq = self.numbers[who]
        if "S" in flags:
            seq = self.syn.setdefault(who, seq)
            self.numbers[who] = max(self.numbers[who], seq + 1)
        if "F" in flags and "A" in flags:  # a FIN alone is none
            self.numbers[who] = seq + 1
        ack = self.heard.get(who, self.numbers["server" if who == "client" else "client"]) if "A" in flags else 0
        return replace(segment, flags=flags, seq=seq, ack=ack)

    def hear(self, at: str, packet: Packet, arrived: tuple[str, Packet, Packet] | None) -> None:
        """Note where a packet has got to."""
        if arrived is None or (isinstance(packet.payload, Icmp) and packet.payload.is_error):
            return
        if at == self.at:
            self.arrived = arrived
        if isinstance(packet.payload, Tcp):
            end = packet.payload.seq + ("S" in packet.payload.flags) + ({*"FA"} <= {*packet.payload.flags})
            self.heard["server" if at == self.at else "client"] = end


def first_packet(rng: random.Random, version: int) -> tuple[str, Packet]:
    a = {who: text.split("/")[0] for who, text in ADDRESSES[version].items()}
    at = rng.choice(["client", "client", "client", "server", "r"])
    src = {"client": a["client"], "server": a["server"]}.get(at)
    vips = [VIP[version]] * 2 if at == "client" else []
    dst = rng.choice([a[who] for who in ("client", "server", "server", "other", "east", "west") if at == "r" or a[who] != src] + vips)
    if at == "r":
        src = a["east"] if dst in (a["client"], a["east"]) else a["west"]
    kind, port, sport = rng.choice(["tcp", "tcp", "tcp", "udp", "icmp", "raw"]), rng.choice(PORTS), rng.choice(SPORTS)
    src, dst = ip_address(src), ip_address(dst)
    if kind == "icmp":
        return at, ping(src, dst, id=ECHO)
    payload = {"tcp": Tcp(sport, port), "udp": Udp(sport, port, b"x"), "sctp": Sctp(sport, port), "raw": Raw(99, b"hello")}[kind]
    return at, Packet(src, dst, payload)


def sctp(rng: random.Random, payload: Sctp) -> Sctp:
    name = rng.choice([*CHUNKS, "INIT", "INIT ACK", "COOKIE ECHO", "COOKIE ACK", "DATA"])
    return replace(payload, vtag=0 if name == "INIT" else 7, data=CHUNKS[name])


def step(rng: random.Random, talk: Talk) -> tuple[str, Packet, Packet] | None:
    """The next packet of the talk: where it is sent, as the model has it and as the kernel needs it. None where nobody is there to speak."""
    back = talk.arrived is not None and rng.random() < 0.5
    if not back:
        packet = talk.first
        if isinstance(packet.payload, Tcp):
            first = "S" if rng.random() < 0.8 else "A"  # or conntrack has missed how it began
            talk.middle |= not talk.began and first == "A"
            packet = replace(packet, payload=talk.segment(packet.payload, "client", rng.choice(FLAGS) if talk.began else first))
        elif isinstance(packet.payload, Sctp):
            packet = replace(packet, payload=sctp(rng, packet.payload) if talk.began else replace(packet.payload, data=CHUNKS["INIT"]))
        talk.began = True
        return talk.at, packet, packet
    at, *seen = talk.arrived
    if rng.random() < 0.25:
        code = {4: ((3, 3), (3, 1), (11, 0), (3, 13), (3, 4)), 6: ((1, 4), (1, 3), (3, 0), (1, 1), (2, 0))}[seen[0].version]
        kind, code = rng.choice(code)
        mtu = 1400 if (kind, code) in ((3, 4), (2, 0)) else 0
        return at, *(Packet(p.dst, p.src, Icmp(kind, code, 0, mtu, p, p.version), df=False) for p in seen)
    flags = rng.choice(FLAGS)
    chosen = rng.getstate()
    answers = []
    numbers = {**talk.numbers}, {**talk.syn}
    for p in seen:
        rng.setstate(chosen)
        talk.numbers, talk.syn = {**numbers[0]}, {**numbers[1]}
        answers.append(Packet(p.dst, p.src, reply(rng, talk, p, flags)))
    return at, *answers


def reply(rng: random.Random, talk: Talk, packet: Packet, flags: str):
    payload = packet.payload
    if isinstance(payload, Tcp):
        return talk.segment(Tcp(payload.dport, payload.sport), "server", flags)
    if isinstance(payload, Udp):
        return Udp(payload.dport, payload.sport, b"y")
    if isinstance(payload, Sctp):
        return sctp(rng, Sctp(payload.dport, payload.sport))
    return payload


def arrival(told: Trace, frames) -> tuple[str, Packet, Packet] | None:
    """Where the packet got to, as both sides have it; None if it got nowhere, or back to where it came from."""
    end = told.end
    if not isinstance(end, Delivered) or end.netns == told.start or not isinstance(end.packet, Packet):
        return None
    like = end.packet
    here = (c.frame.payload for c in frames if c.netns == end.netns and c.direction == "in" and isinstance(c.frame.payload, Packet))
    kernels = next((p for p in here if (p.dst, p.dport, p.src, p.proto) == (like.dst, like.dport, like.src, like.proto)), None)
    return (end.netns, like, kernels) if kernels is not None else None


@dataclass(frozen=True)
class Case:
    ops: tuple
    version: int
    talks: tuple
    seed: int
    steps: int


def draw(seed: int) -> Case:
    rng = random.Random(f"conversation {seed}")
    version = rng.choice([4, 4, 6])
    ops = routed(version)
    for netns in ("client", "server"):
        ops += [o.Listen(netns, Socket(proto, port)) for proto in ("tcp", "udp") for port in (80, 53, *SPORTS)]
    for netns in ("r", "r", "client", "server"):
        if netns == "r" or rng.random() < 0.2:
            text = rules(rng, version, netns == "r")
            ops = [each for each in ops if not (isinstance(each, o.RulesRestore) and each.netns == netns)]
            ops.append(o.RulesRestore(netns, text, version))
    return Case(tuple(ops), version, tuple(first_packet(rng, version) for _ in range(rng.randint(1, 3))), seed, rng.randint(4, 14))


def check(case: Case) -> None:
    beside_a_kernel(case.ops, lambda lab: converse(case, lab))


def converse(case: Case, lab: Lab) -> None:
    rng = random.Random(f"steps {case.seed}")
    network, model, kernel, silence, hits = o.build(case.ops), Side(), Side(), Silence(), defaultdict(Counter)
    model.names.known = kernel.names.known = frozenset(KNOWN)
    talks = [Talk(at, first) for at, first in case.talks]
    before = {name: counters(lab.counters(name, case.version), case.version) for name in network if case.version in network[name].rulesets}
    for _ in range(case.steps):
        talk = rng.choice(talks)
        at, packet, real = step(rng, talk)
        told = trace(network, at, packet)
        if silence.falls(told):
            continue
        silence.count(told)
        with lab.capture() as frames:
            lab.send(at, real)
        said, seen = model.told(told), kernel.frames(frames)
        assert said == seen, f"frames of {at}: {packet}\n{difference(said, seen)}"
        count(told, hits)
        network = after(network, told)
        compare_connections(network, model, kernel, lab, f"after {at}: {packet}")
        talk.hear(at, packet, arrival(told, frames))
    for name, quiet in before.items():
        said, seen = +hits[name], counters(lab.counters(name, case.version), case.version) - quiet
        assert said == seen, f"rule counters of {name}: model {dict(said - seen)}, kernel {dict(seen - said)}"


def compare_connections(network, model: Side, kernel: Side, lab: Lab, when: str) -> None:
    for name in network:
        said, seen = model.connections(network[name].conntrack), kernel.connections(lab.conntrack(name))
        assert said == seen, f"connections in {name} {when}: only the model {said - seen}, only the kernel {seen - said}"


def count(told: Trace, hits: dict[str, Counter]) -> None:
    answered = {event.journey for event in told.all(Answered)}
    in_vain = {event.question for event in told.all(Asked)} - answered
    for event in told.all(Matched):
        if event.rule is not None:
            hits[event.netns][event.table, event.chain, event.index] += 3 if event.journey in in_vain else 1


@pytest.mark.parametrize("seed", range(int(os.environ.get("K8SNET_SEEDS", "20"))))
def test_conversations_agree(seed: int) -> None:
    check(draw(seed))


@pytest.mark.needs("iptables")
def test_flags_that_no_tcp_sends_belong_to_no_connection() -> None:
    rules = o.RulesRestore("r", "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT")
    ends = ip_address("10.0.1.2"), ip_address("10.0.2.2")
    segments = [Packet(*ends, Tcp(700, 22, flags, seq=1)) for flags in ("S", "", "F", "SF", "P", "U", "SR", "SU", "FSRPAU", "SEC", "S")]
    same_frames([*two_routed(), rules], [("a", each) for each in segments])
