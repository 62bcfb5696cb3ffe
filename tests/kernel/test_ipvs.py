"""IPVS in the model against the kernel: random virtual servers under every scheduler, and connections through them, frame by frame.

After each packet the frames on every interface are compared; at the end what ``ipvsadm`` lists (servers with their counts, and connections
with their states), connection tracking, and how many packets each rule met.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Delivered, Matched, Trace
from k8snetlib.linux.ipvs import SCHEDULERS, RealServer, ServerKey, VirtualServer
from k8snetlib.linux.ops import LinkAdd, Listen, Op, RulesRestore, SysctlSet, address, build
from k8snetlib.linux.ops_ipvs import IpvsRestore, RealServerDel, RealServerSet
from k8snetlib.linux.packet import Packet, Tcp, Udp, ping, tcp, udp
from k8snetlib.linux.state import Socket
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import Side, counters, difference
from tests.unit.networks import routed, routed6

pytestmark = [pytest.mark.kernel, pytest.mark.needs("ipvs", "dummy", "iptables", "ip6tables")]
NETS = {4: "10.0.{}.{}", 6: "fd00:{}::{:x}"}
VIPS = {4: "10.96.0.10", 6: "fd00:96::10"}
BITS = {4: 24, 6: 64}
PORTS = {"tcp": (80, 8080), "udp": (53, 5353)}  # of the virtual server, of the real ones
SPORTS = range(40000, 40100)
RULES = (
    "",
    "*nat\n-A POSTROUTING -o to-b -j MASQUERADE\nCOMMIT\n",
    "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A INPUT -p tcp\n-A OUTPUT -p tcp\nCOMMIT\n",
    "*filter\n-A INPUT -m ipvs --ipvs\n-A OUTPUT -m ipvs --vport 53 -j DROP\n-A OUTPUT -m ipvs ! --ipvs\n-A FORWARD -m ipvs --ipvs\nCOMMIT\n",
    "*nat\n-A POSTROUTING -m ipvs --vproto 6 --vaddr {vip} -j MASQUERADE\nCOMMIT\n",
)


@dataclass(frozen=True)
class Drawn:
    """a asks, r has the virtual servers, and b has the addresses of all real ones; and what happens then."""

    version: int
    servers: tuple[VirtualServer, ...]
    conntrack: int
    rules: str
    acts: tuple[tuple, ...]

    def real(self, number: int, proto: str, weight: int = 1) -> RealServer:
        return RealServer(ip_address(NETS[self.version].format(2, 2 + number)), PORTS[proto][1], weight)

    def client(self, number: int) -> str:
        return NETS[self.version].format(1, 2 + number)

    def ops(self) -> Iterator[Op]:
        yield from routed() if self.version == 4 else routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)])
        bits = BITS[self.version]
        yield from (address("a", "eth0", f"{self.client(number)}/{bits}") for number in range(1, 6))
        yield from (address("b", "eth0", f"{self.real(number, 'tcp').address}/{bits}") for number in range(1, 4))
        yield from (Listen("b", Socket(proto, port)) for proto, (_, port) in PORTS.items())
        yield LinkAdd("r", "kube-ipvs0", "dummy")
        yield address("r", "kube-ipvs0", f"{VIPS[self.version]}/{32 if self.version == 4 else 128}")
        yield SysctlSet("r", "net.ipv4.vs.conntrack", self.conntrack)
        if self.rules:
            yield RulesRestore("r", self.rules.format(vip=VIPS[self.version]), self.version)
        yield IpvsRestore("r", self.servers)


def draw(seed: int) -> Drawn:
    """A case that depends on the seed alone."""
    rng = random.Random(seed)
    case = Drawn(rng.choice([4, 4, 6]), (), rng.choice([1, 1, 0]), rng.choice(RULES), ())
    servers = []
    for proto, (port, _) in PORTS.items():
        real = tuple(case.real(number, proto, rng.choice([0, 1, 1, 1, 2, 3, 6])) for number in rng.sample(range(4), rng.randint(0, 4)))
        timeout = rng.choice([0, 0, 0, 300])
        servers.append(VirtualServer(ServerKey(proto, ip_address(VIPS[case.version]), port), rng.choice(sorted(SCHEDULERS)), timeout, real))
    acts = []
    for _ in range(rng.randint(8, 16)):
        kind = rng.choice(["new", "new", "new", "new", "answer", "answer", "more", "stray", "weight", "remove", "add", "self", "ping"])
        acts.append((kind, rng.choice(["tcp", "tcp", "udp"]), rng.randrange(6), rng.randrange(100)))
    return replace(case, servers=tuple(servers), acts=tuple(acts))


class Run:
    """One case in both worlds."""

    def __init__(self, case: Drawn, lab: Lab) -> None:
        self.case, self.lab, self.network = case, lab, build(case.ops())
        self.model, self.kernel, self.start = Side(), Side(), time.monotonic()
        self.hits, self.before = Counter(), self.counted()
        known = {*SPORTS, *(port for pair in PORTS.values() for port in pair)}
        self.model.names.known = self.kernel.names.known = self.model.names.known | known
        self.open: list[tuple[str, Packet, Trace]] = []  # connections: who asked, with what, and what became of it
        self.sports = iter(SPORTS)

    def send(self, at: str, packet: Packet) -> Trace:
        told = trace(self.network, at, packet, now=time.monotonic() - self.start)
        with self.lab.capture() as frames:
            self.lab.send(at, packet)
        said, seen = self.model.told(told), self.kernel.frames(frames)
        assert said == seen, f"{at}: {packet}\n{difference(said, seen)}"
        self.hits.update((e.table, e.chain, e.index) for e in told.all(Matched) if e.netns == "r" and e.rule is not None)
        self.network = after(self.network, told)
        return told

    def do(self, kind: str, proto: str, number: int, dice: int) -> None:
        if kind in ("weight", "remove", "add"):
            self.change(kind, proto, number % 4, dice)
        elif kind in ("answer", "more"):
            if self.open:
                self.go_on(kind, *self.open[dice % len(self.open)])
        elif kind == "ping":
            self.send("a", ping(self.case.client(number), VIPS[self.case.version], id=next(self.sports)))
        else:
            at, src = ("r", NETS[self.case.version].format(2, 1)) if kind == "self" else ("a", self.case.client(number))
            packet = self.packet(src, proto, "A" if kind == "stray" else "S")
            self.open.append((at, packet, self.send(at, packet)))

    def packet(self, src: str, proto: str, flags: str) -> Packet:
        port, sport = PORTS[proto][0], next(self.sports)
        dst = VIPS[self.case.version]
        return tcp(src, dst, port, sport, flags) if proto == "tcp" else udp(src, dst, port, sport)

    def go_on(self, kind: str, at: str, first: Packet, told: Trace) -> None:
        """The receiver answers, or the client goes on; a drawn port of a masquerade is not known in the kernel's words, so no answer then."""
        if kind == "more":
            payload = replace(first.payload, flags="A" if len(self.open) % 3 else "FA") if isinstance(first.payload, Tcp) else first.payload
            self.send(at, replace(first, payload=payload))
            return
        end = told.end
        if not isinstance(end, Delivered) or end.netns != "b" or end.packet.sport not in SPORTS:
            return
        got = end.packet.payload
        back = Tcp(got.dport, got.sport, "SA", ack=1) if isinstance(got, Tcp) else Udp(got.dport, got.sport, b"y")
        self.send("b", Packet(end.packet.dst, end.packet.src, back))

    def change(self, kind: str, proto: str, number: int, dice: int) -> None:
        key = ServerKey(proto, ip_address(VIPS[self.case.version]), PORTS[proto][0])
        real = self.case.real(number, proto, dice % 4)
        there = any(each.address == real.address for each in self.network["r"].ipvs.servers[key].real)
        if there == (kind == "add"):
            return
        op = RealServerDel("r", key, real) if kind == "remove" else RealServerSet("r", key, real)
        self.network = build([op], self.network)
        self.lab.run([op])

    def compare_state(self) -> None:
        ipvs, now = self.network["r"].ipvs, time.monotonic() - self.start
        said, seen = (text.splitlines()[1:] for text in (ipvs.listing(now), self.said("-Ln")))
        assert [line.split() for line in said] == [line.split() for line in seen]
        said = {tuple(str(conn).split()) for conn in ipvs.conns.values()}
        seen = {(words[0], *words[2:]) for words in map(str.split, self.said("-Lnc").splitlines()[2:])}
        assert said == seen, f"connections: only the model {said - seen}, only the kernel {seen - said}"
        for name in ("a", "r", "b"):
            ours, theirs = self.model.connections(self.network[name].conntrack), self.kernel.connections(self.lab.conntrack(name))
            assert ours == theirs, f"connections in {name}: only the model {ours - theirs}, only the kernel {theirs - ours}"

        assert +self.hits == self.counted() - self.before

    def counted(self) -> Counter:
        return counters(self.lab.counters("r", self.case.version), self.case.version)

    def said(self, *words: str) -> str:
        return self.lab.exec("r", ["ipvsadm", *words]).out


@pytest.mark.parametrize("seed", range(int(os.environ.get("K8SNET_SEEDS", "20"))))
def test_virtual_servers_agree(seed: int) -> None:
    case = draw(seed)

    def compare(lab: Lab) -> None:
        run = Run(case, lab)
        for act in case.acts:
            run.do(*act)
        run.compare_state()

    unless_it_spoke(lambda: Lab(case.ops(), answer=False), compare)
