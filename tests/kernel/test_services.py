"""Services in the model against the kernel: kube-proxy's rules in both, the same packets, compared frame by frame.

Random clusters with up to forty Services of every type and policy; first packets from Pods, nodes and a client outside, and the answers to
them. The kernel chooses endpoints at random, so of all outcomes that the model says are possible, one must be what the kernel did: every
frame on every interface, the connection-tracking tables with all translated addresses, and (iptables) the counter of every rule.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest

from k8snetlib.kube.cluster import Cluster
from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, iter_traces
from k8snetlib.linux.events import Answered, Asked, Delivered, Matched, Trace
from k8snetlib.linux.fib import source_for
from k8snetlib.linux.packet import Packet, Tcp, Udp, tcp, udp
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.silence import Silence
from tests.kernel.test_model_and_kernel import APART, KNOWN, Side, counters, difference, drawn_and_known, drew_a_known_port

pytestmark = pytest.mark.kernel
TARGET_PORTS = (8080, 5353)  # TCP and UDP, of every Pod that listens
SPORTS = range(40000, 40300)
LABELS = ("a", "b", "c", "d")
POLICIES = ("Cluster", "Cluster", "Local")


@dataclass(frozen=True)
class Drawn:
    """A cluster with Services, its kube-proxy mode, address family and load balancer, and what is sent: (sender, target, protocol),
    indexes."""

    text: str
    mode: str
    family: str
    sends: tuple[tuple[int, int, str], ...]
    cni: str = "vxlan"
    balancer: str = "VIP"

    def cluster(self) -> Cluster:
        settings = {"cni": self.cni, "proxy": self.mode, "families": (self.family,), "balancer": self.balancer}
        return Cluster.loads(self.text, outside=True, **settings)


def draw(seed: int) -> Drawn:
    """A case that depends on the seed alone."""
    rng = random.Random(seed)
    nodes = rng.randint(1, 3)
    family = rng.choice(["IPv4", "IPv4", "IPv6"])
    text = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{n}, labels: {{topology.kubernetes.io/zone: z{n % 2}}}}}" for n in range(nodes)
    ]
    for pod in range(rng.randint(2, 5)):
        ready = rng.choice(["True", "True", "True", "False"])
        text.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{pod}, labels: {{app: {rng.choice(LABELS[:3])}}}}}\n"
            f"spec: {{nodeName: n{rng.randrange(nodes)}, containers: [{{name: c, image: x, ports: [{{containerPort: 8080, name: http}}, "
            f"{{containerPort: 5353, protocol: UDP}}]}}]}}\nstatus: {{phase: Running, conditions: [{{type: Ready, status: '{ready}'}}]}}"
        )
    text += [service(rng, number, family) for number in range(rng.choice([1, 2, 5, 40]))]
    sends = tuple((rng.randint(0, 99), rng.randint(0, 999), rng.choice(["tcp", "tcp", "udp"])) for _ in range(rng.randint(4, 9)))
    return Drawn("\n---\n".join(text), rng.choice(["iptables", "nftables"]), family, sends)


def service(rng: random.Random, number: int, family: str) -> str:
    """A Service of any type and policy."""
    kind = rng.choice(["ClusterIP", "NodePort", "LoadBalancer"])
    spec = [f"type: {kind}", f"selector: {{app: {rng.choice(LABELS)}}}"]  # nobody has the last label
    spec.append("ports: [{name: t, port: 80, targetPort: http}, {name: u, port: 53, protocol: UDP, targetPort: 5353}]")
    spec.append(f"internalTrafficPolicy: {rng.choice(POLICIES)}")
    external = rng.random() < 0.2
    if external:
        spec.append(f"externalIPs: [{f'198.51.100.{100 + number}' if family == 'IPv4' else f'2001:db8:51::{number + 100:x}'}]")
    if kind != "ClusterIP" or external:
        spec.append(f"externalTrafficPolicy: {rng.choice(POLICIES)}")
    if rng.random() < 0.2:
        spec.append("sessionAffinity: ClientIP")
    if rng.random() < 0.2:
        spec.append("trafficDistribution: PreferSameZone")
    if kind == "LoadBalancer" and rng.random() < 0.4:
        some = ["203.0.113.0/24", "10.0.0.0/8"] if family == "IPv4" else ["2001:db8:113::/64", "fd00::/16"]
        spec.append(f"loadBalancerSourceRanges: ['{rng.choice(some)}']")
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}}}\nspec:\n  " + "\n  ".join(spec)


def targets(cluster: Cluster, proto: str) -> list[tuple]:
    """(address, port) of everything that a Service may be reached by, and of some things that nobody has."""
    version = 4 if cluster.families[0] == "IPv4" else 6
    nodes = [host.address(version) for host in cluster.hosts]
    found = []
    for each in cluster.control.services:
        port = next(p for p in each.ports if p.protocol.lower() == proto)
        addresses = [*each.cluster_ips, *each.external_ips, *(i.ip for i in each.load_balancer_ingress)]
        found += [(ip, port.port) for ip in addresses if ip != "None"]
        found += [(ip, port.node_port) for ip in nodes if port.node_port]
        found.append((each.cluster_ips[0], 9999))
    return [*found, (found[0][0] + 77, 80), (nodes[0], 32000)]


def packet_of(cluster: Cluster, network, send: tuple[int, int, str], sport: int) -> tuple[str, Packet] | None:
    sender, target, proto = send
    names = [*(host.name for host in cluster.hosts), *(s.netns for s in cluster.sandboxes.values()), "client"]
    at = names[sender % len(names)]
    all_targets = targets(cluster, proto)
    dst, port = all_targets[target % len(all_targets)]
    src = source_for(network.namespace(at), dst)
    if src is None:
        return None
    return at, tcp(src, dst, port, sport) if proto == "tcp" else udp(src, dst, port, sport, data=b"x")


def answer_of(told: Trace, packet: Packet) -> Packet:
    """What whoever got the packet answers."""
    payload = packet.payload
    back = Tcp(payload.dport, payload.sport, "SA", ack=1) if isinstance(payload, Tcp) else Udp(payload.dport, payload.sport, b"y")
    return Packet(packet.dst, packet.src, back)


def arrival(told: Trace, frames) -> Packet | None:
    """The packet as the kernel delivered it to another namespace's socket: like the model's, save for a port that the kernel drew."""
    end = told.end
    if not isinstance(end, Delivered) or end.socket is None or end.netns == told.start:
        return None
    like = end.packet
    here = (c.frame.payload for c in frames if c.netns == end.netns and c.direction == "in" and isinstance(c.frame.payload, Packet))
    return next(p for p in here if (p.dst, p.dport, p.src, p.proto) == (like.dst, like.dport, like.src, like.proto))


class Run:
    """One case in both worlds."""

    def __init__(self, case: Drawn, lab: Lab, cluster: Cluster) -> None:
        self.case, self.lab, self.cluster = case, lab, cluster
        self.version = 4 if case.family == "IPv4" else 6
        network = cluster.network
        self.network = network.with_({name: network[name] for name in network})
        self.model, self.kernel, self.silence = Side(), Side(), Silence()
        node_ports = {port.node_port for each in cluster.control.services for port in each.ports}
        self.know(KNOWN | set(SPORTS) | node_ports)
        self.outcomes: list[Trace] = []  # of a packet that is on its way
        self.hits: dict[str, Counter] = defaultdict(Counter)
        self.before = {name: self.counted(name) for name in self.network if self.version in self.network[name].rulesets}

    def know(self, ports: set[int]) -> None:
        """These ports were chosen by a sender; others are the kernel's, and get stand-in names."""
        self.model.names.known = self.kernel.names.known = self.model.names.known | ports

    def drew_a_known_port(self) -> bool:
        """Whether the kernel may have, or the model does, whose stand-in for a random port depends on the flow."""
        known, networks = self.model.names.known, [self.network, *(after(self.network, told) for told in self.outcomes)]
        said = [entry for network in networks for name in network for entry in network[name].conntrack]
        return drew_a_known_port(self.lab, self.network, known) or any(drawn_and_known(entry, known) for entry in said)

    def counted(self, name: str) -> Counter:
        return counters(self.lab.counters(name, self.version), self.version)

    def send(self, at: str, packet: Packet, real: Packet | None) -> tuple[Trace | None, Packet | None]:
        """Send it in the kernel (as ``real``, if the kernel drew another port), find the model's outcome that shows the same frames, and
        go on from there; with the packet as the kernel delivered it. Nothing is sent where the kernel may have said enough already."""
        self.outcomes = outcomes = [told for _, told in iter_traces(self.network, at, packet)]
        if any(self.silence.falls(told) for told in outcomes):
            return None, None
        with self.lab.capture() as frames:
            self.lab.send(at, real or packet)
        seen = self.kernel.frames(frames)
        said = {}
        for told in outcomes:
            model = deepcopy(self.model)
            said = model.told(told)
            if said == seen:
                self.model = model
                self.silence.count(told)
                self.count(told)
                self.network, self.outcomes = after(self.network, told), []
                return told, arrival(told, frames)
        raise AssertionError(f"frames of {at}: {packet} (the last of the model's outcomes)\n{difference(said, seen)}")

    def count(self, told: Trace) -> None:
        answered = {event.journey for event in told.all(Answered)}
        in_vain = {event.question for event in told.all(Asked)} - answered
        for event in told.all(Matched):
            if event.rule is not None and not event.family:
                self.hits[event.netns][event.table, event.chain, event.index] += 3 if event.journey in in_vain else 1

    def compare_state(self) -> None:
        for name in self.network:
            said, seen = self.model.connections(self.network[name].conntrack), self.kernel.connections(self.lab.conntrack(name))
            assert said == seen, f"connections in {name}: only the model {said - seen}, only the kernel {seen - said}"
        for name, quiet in self.before.items():
            said, seen = +self.hits[name], self.counted(name) - quiet
            assert said == seen, f"rule counters of {name}: model {dict(said - seen)}, kernel {dict(seen - said)}"


def check(case: Drawn) -> None:
    """Run the case in both worlds; AssertionError says what differs."""
    cluster = case.cluster()
    ops, runs = list(cluster.ops()), []

    def compare(lab: Lab) -> None:
        run = Run(case, lab, cluster)
        runs.append(run)
        for number, send in enumerate(case.sends):
            converse(run, packet_of(cluster, run.network, send, SPORTS[number + APART * (len(runs) - 1)]))
        run.compare_state()

    unless_it_spoke(lambda: Lab(ops, answer=False), compare, lambda: runs[-1].drew_a_known_port())


def converse(run: Run, drawn: tuple[str, Packet] | None) -> None:
    """A first packet, and the answer of whoever got it."""
    if drawn is not None:
        run.know({drawn[1].dport})
        told, arrived = run.send(*drawn, None)
        answers = [answer_of(told, packet) for packet in (told.end.packet, arrived)] if arrived is not None else ()
        if answers:
            run.send(told.end.netns, *answers)


SEEDS = range(int(os.environ.get("K8SNET_SEEDS", "40")))


@pytest.mark.parametrize("seed", [*SEEDS, 5212])  # the last: errors of two hosts, translated, by one tunnel
def test_services_agree(seed: int) -> None:
    check(draw(seed))


IN_A_VPC = [seed for seed in range(2000, 3000) if draw(seed).family == "IPv4"][: int(os.environ.get("K8SNET_PLUGIN_SEEDS", "6"))]


@pytest.mark.parametrize("seed", IN_A_VPC)
def test_services_agree_in_a_vpc(seed: int) -> None:
    """With several uplinks: what came in by one has to leave by it, whatever the Pod's own is."""
    case = draw(seed)
    text = case.text.replace("labels: {topology", "labels: {node.kubernetes.io/instance-type: t3.nano, topology")
    check(replace(case, text=text, cni="vpc"))


@pytest.mark.needs("ipvs", "ipset", "dummy")
@pytest.mark.parametrize("seed", range(3000, 3000 + int(os.environ.get("K8SNET_PLUGIN_SEEDS", "6"))))
def test_services_agree_by_ipvs(seed: int) -> None:
    check(replace(draw(seed), mode="ipvs"))
