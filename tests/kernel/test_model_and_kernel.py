"""The model against the kernel: the same ops and the same packets in both, compared frame by frame.

For randomly drawn clusters and rule sets, and packets of every kind, these must be equal after ``lab.canonical``: what the sender was told,
every frame on every interface of every namespace, the connection-tracking table, the neighbours and FDB entries learned, and the counter of every rule.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from ipaddress import ip_address

import pytest

from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.cni import CNIS
from k8snetlib.lab import Lab
from k8snetlib.lab.canonical import Canonicaliser, by_interface
from k8snetlib.lab.fallback import as_in_namespaces
from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Answered, Asked, Fragmented, Matched, Trace
from k8snetlib.linux.fib import source_for
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.packet import Flow, Packet, ping, tcp, udp
from k8snetlib.linux.state import Conntrack, Network
from k8snetlib.linux.wire import VXLAN_PORTS, from_bytes, to_bytes
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.silence import Silence

pytestmark = pytest.mark.kernel
PORTS = (80, 8080, 5353)
SPORTS = (40000, 40001, 700)
ECHO = 7
WHOLE = 1423  # bytes of data; what is longer may be cut into fragments
APART = 100  # between the source ports of one try and those of the next
KNOWN = {*PORTS, *SPORTS, ECHO, 22, 9999} | {port + APART * more for port in SPORTS for more in (1, 2)}


@dataclass(frozen=True)
class Case:
    """What is drawn: a cluster, extra rules by namespace, and packets as (sender, receiver, make) with indexes into what there is."""

    cni: str
    families: tuple[str, ...]
    pods: tuple[int, ...]  # per node
    silent: frozenset[int]
    rules: tuple[tuple[int, str], ...]
    sends: tuple[tuple, ...]


SMALL = ", labels: {node.kubernetes.io/instance-type: t3.nano}"  # two ENIs with room for one Pod each, so that both are in use


def cluster_of(case: Case) -> Cluster:
    text = []
    labels = SMALL if case.cni.startswith("vpc") else ""
    for number, count in enumerate(case.pods):
        name = f"n{number}"
        text.append(
            f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}{labels}}}\nstatus: {{addresses: [{{type: InternalIP, address: 192.168.{50 + 10 * (number // 2)}.{11 + number}}}]}}"
        )
        for pod in range(count):
            key = number * 3 + pod
            ports = (
                ""
                if key in case.silent
                else f", ports: [{{containerPort: {PORTS[key % 3]}}}, {{containerPort: {PORTS[(key + 1) % 3]}, protocol: UDP}}]"
            )
            text.append(
                f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{key}}}\nspec: {{nodeName: {name}, containers: [{{name: c, image: x{ports}}}]}}"
            )
    if case.families == ("IPv6",):
        text = [part.replace("\nstatus: {addresses: [{type: InternalIP, address: 192.168.", "\n#") for part in text]
    return Cluster.loads("\n---\n".join(text), cni=case.cni, families=case.families)


# Rules that a firewall or a Service might have, with holes for addresses: {a} and {b} are Pods, {n} is a node.
FILTER = (
    "-A FORWARD -s {a}/{bits} -j DROP",
    "-A FORWARD -p tcp -m tcp --dport 8080 -j REJECT --reject-with {reject}",
    "-A FORWARD -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset",
    "-A FORWARD -p udp -m udp --dport 5353 -j REJECT --reject-with {reject}",
    "-A FORWARD -m conntrack --ctstate INVALID -j DROP",
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
    "-A FORWARD -d {b}/{bits} -m mark --mark 0x4000/0x4000 -j ACCEPT",
    "-A INPUT -p {icmp} -j DROP",
    "-A INPUT -p udp -m multiport --dports 80,5353 -j REJECT --reject-with {reject}",
    "-A OUTPUT -d {b}/{bits} -p tcp -j DROP",
    "-A OUTPUT -p udp -m udp --dport 80 -j REJECT --reject-with {reject}",
    "-A FORWARD ! -i eth0 -o cni0 -j ACCEPT",
    "-A FORWARD -m physdev --physdev-is-in -j ACCEPT",
    "-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT",
)
NAT = (
    "-A PREROUTING -d {a}/{bits} -p tcp -m tcp --dport 80 -j DNAT --to-destination {b80}",
    "-A PREROUTING -p udp -m udp --dport 9999 -j DNAT --to-destination {b}",
    "-A PREROUTING -p tcp -m tcp --dport 9999 -j REDIRECT --to-ports 8080",
    "-A OUTPUT -d {a}/{bits} -p tcp -m tcp --dport 8080 -j DNAT --to-destination {b80}",
    "-A OUTPUT -p udp -m udp --dport 5353 -j DNAT --to-destination {b}",
    "-A POSTROUTING -d {b}/{bits} -j MASQUERADE",
    "-A POSTROUTING -p tcp -j MASQUERADE --random-fully",
    "-A POSTROUTING -s {a}/{bits} -d {b}/{bits} -j SNAT --to-source {n}",
    "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
)
MANGLE = (
    "-A PREROUTING -p tcp -j MARK --set-xmark 0x4000/0x4000",
    "-A PREROUTING -s {a}/{bits} -j MARK --set-xmark 0x4000/0x4000",
    "-A FORWARD -m mark --mark 0x4000/0x4000 -j MARK --set-xmark 0x4000/0x0",
    "-A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j MARK --set-xmark 0x1/0x1",
    "-A OUTPUT -p {icmp} -j MARK --set-xmark 0x4000/0x4000",
)


def rule_ops(case: Case, cluster: Cluster) -> list[o.Op]:
    """The drawn rules as one more table load per namespace, with addresses filled in; on a node the plug-in's own rules are kept."""
    version = 4 if case.families[0] == "IPv4" else 6
    pods = list(cluster.sandboxes.values())
    places = [host.name for host in cluster.hosts] + [s.netns for s in pods]
    wanted: dict[str, list[str]] = {}
    for place, rule in case.rules:
        wanted.setdefault(places[place % len(places)], []).append(rule)
    made = []
    for name, rules in wanted.items():
        a, b = pods[len(name) % len(pods)], pods[-1]
        ip_a, ip_b = a.addresses[0].ip, b.addresses[0].ip
        holes = {
            "a": ip_a, "b": ip_b, "b80": f"[{ip_b}]:8080" if version == 6 else f"{ip_b}:8080", "n": cluster.hosts[0].addresses[0].ip,
            "bits": 32 if version == 4 else 128, "reject": "icmp-port-unreachable" if version == 4 else "icmp6-adm-prohibited",
            "icmp": "icmp" if version == 4 else "ipv6-icmp -m icmp6 --icmpv6-type 128",
        }  # fmt: skip
        tables = {}
        for rule in rules:
            table = "filter" if rule in FILTER else "nat" if rule in NAT else "mangle"
            tables.setdefault(table, []).append(rule.format(**holes))
        own = cluster.network[name].rulesets.get(version)
        text = "\n".join("\n".join([f"*{table}", *lines, "COMMIT"]) for table, lines in tables.items())
        made.append(o.RulesRestore(name, merged(own, Ruleset.parse(text, version)), version))
    return made


def merged(old: Ruleset | None, new: Ruleset) -> str:
    """iptables-restore text with the rules of both, the new ones first in each chain."""
    if old is None:
        return str(new)
    tables = dict(old.tables)
    for name, table in new.tables.items():
        before = tables.get(name)
        if before is None:
            tables[name] = table
            continue
        chains = {
            c: replace(chain, rules=(*(table.chains[c].rules if c in table.chains else ()), *chain.rules))
            for c, chain in before.chains.items()
        }
        tables[name] = replace(before, chains=chains)
    return str(Ruleset(tables, old.version))


def packet_of(case: Case, cluster: Cluster, network, send) -> tuple[str, Packet] | None:
    source, target, kind, port, sport, ttl, size, flags = send
    version = 4 if case.families[0] == "IPv4" else 6
    ends = [(host.name, host.address(version)) for host in cluster.hosts] + [
        (s.netns, s.addresses[0].ip) for s in cluster.sandboxes.values()
    ]
    at, _ = ends[source % len(ends)]
    nobody = [
        ip_address("10.244.1.99" if version == 4 else "fd00:244:0:1::99"),
        ip_address("203.0.113.7" if version == 4 else "2001:db8::7"),
    ]
    others = [ip for _, ip in ends] + nobody
    dst = others[target % len(others)]
    src = source_for(network.namespace(at), dst)
    if src is None:
        return None
    if kind == "icmp":
        return at, ping(src, dst, id=ECHO, data=b"x" * size, ttl=ttl, df=size <= WHOLE)
    if kind == "udp":
        return at, udp(src, dst, port, sport, data=b"x" * size, ttl=ttl, df=size <= WHOLE)
    return at, tcp(src, dst, port, sport, flags, ttl=ttl)


def counters(text: str, version: int) -> Counter:
    """Packets by (table, chain, position) from iptables-save -c text; rules that met none are left out."""
    found, table, position = Counter(), "", Counter()
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("["):
            count, _, rest = line[1:].partition(":")
            chain = rest.partition("-A ")[2].split()[0]
            found[table, chain, position[table, chain]] += int(count)
            position[table, chain] += 1
    return +found


def draw(
    seed: int, sizes: tuple[int, ...] = (0, 0, 3, 1372, 1422, 1423), kinds: tuple[str, ...] = ("tcp", "udp", "icmp"), cni: str = ""
) -> Case:
    """A case that depends on the seed alone. Seeds, not Hypothesis: shrinking would build a hundred labs for every failure."""
    rng = random.Random(seed)
    pods = tuple(rng.randint(1, 2) for _ in range(rng.randint(1, 3)))
    rules = tuple((rng.randint(0, 8), rng.choice([*FILTER, *NAT, *MANGLE])) for _ in range(rng.choice([0, 1, 3, 5])))
    sends = tuple(
        (rng.randint(0, 20), rng.randint(0, 20), rng.choice(kinds), rng.choice([*PORTS, 22, 9999]), rng.choice(SPORTS),
         rng.choice([64, 64, 64, 64, 1, 2, 3]), rng.choice(sizes), rng.choice(["S", "S", "S", "A", "SA", "R", "FA"]))
        for _ in range(rng.randint(3, 8))
    )  # fmt: skip
    silent = frozenset(rng.sample(range(9), 2))
    cni, family = cni or rng.choice(["vxlan", "vxlan", "bridge", "ptp"]), rng.choice(["IPv4", "IPv4", "IPv6"])
    return Case(cni, (family,) if CNIS[cni].ipv6 else ("IPv4",), pods, silent, rules, sends)


class Side:
    """What one side, model or kernel, says; with one set of stand-in names for random ports."""

    def __init__(self) -> None:
        self.names = Canonicaliser(KNOWN)

    def frames(self, found):
        return by_interface(self.names.captures(found))

    def told(self, trace: Trace):
        """The frames of a trace, read back from their bytes: errors quote packets cut short."""
        return self.frames([replace(c, frame=from_bytes(to_bytes(c.frame), c.frame.bare)) for c in captures(trace)])

    def connections(self, entries):
        found = (c for c in self.names.connections(entries) if not c.original.dst.is_multicast)
        return {(c.original, self.without_drawn_port(c.reply), c.state, c.seen_reply, c.assured, c.mark) for c in found}

    @staticmethod
    def without_drawn_port(reply: Flow) -> Flow:
        """The flow with 0 for a port that the kernel drew for a packet that nobody saw: it waited for a neighbour in vain."""
        named = reply.dport in KNOWN or reply.dport == 0 or reply.dport in range(60001, 60100)
        return reply if named else reply._replace(dport=0, sport=0 if "icmp" in reply.proto else reply.sport)


def check(case: Case) -> None:
    """Run the case on both sides; AssertionError says what differs."""
    cluster = cluster_of(case)
    operations = list(cluster.ops())
    extra = rule_ops(case, cluster)
    here = list(as_in_namespaces(operations))
    network = o.build(extra, cluster.network if here == operations else o.build(here))
    network = network.with_({name: network[name] for name in network})
    labs, tries = [], []

    def run(lab: Lab) -> None:
        labs.append(lab)
        tries.append(apart(case, len(tries)))
        compare(tries[-1], cluster, network, lab)

    def unsure() -> bool:
        return drew_a_known_port(labs[-1], network, KNOWN) or draws_a_known_port(tries[-1], cluster, network)

    unless_it_spoke(lambda: Lab([*operations, *extra], answer=False), run, unsure)


def beside_a_kernel(ops: Sequence[o.Op], compare: Callable[[Lab], None]) -> None:
    """Compare in a lab of these ops, once more where the machine had a part in it or the kernel drew a port that a sender uses."""
    labs = []

    def run(lab: Lab) -> None:
        labs.append(lab)
        compare(lab)

    unless_it_spoke(lambda: Lab(ops, answer=False), run, lambda: drew_a_known_port(labs[-1], o.build(ops), KNOWN))


def apart(case: Case, more: int) -> Case:
    """The case with other source ports."""
    return replace(case, sends=tuple((*send[:4], send[4] + APART * more, *send[5:]) for send in case.sends))


def drew_a_known_port(lab: Lab, names: Iterable[str], known: Collection[int]) -> bool:
    """Whether ``--random-fully`` may have drawn a port that a sender has chosen too, perhaps its own: then names cannot tell one from the
    other, or a tunnel's. For a port below 1024 it draws from 600 to 1023 (nf_nat_l4proto_unique_tuple)."""
    return any(drawn_and_known(entry, {*known, *VXLAN_PORTS}) for name in names for entry in lab.conntrack(name))


def draws_a_known_port(case: Case, cluster: Cluster, network: Network) -> bool:
    """Whether the model does, whose stand-in for a random port depends on the flow."""
    for send in case.sends:
        drawn = packet_of(case, cluster, network, send)
        network = after(network, trace(network, *drawn)) if drawn is not None else network
    return any(drawn_and_known(entry, KNOWN) for name in network for entry in network[name].conntrack)


def drawn_and_known(entry: Conntrack, known: Collection[int]) -> bool:
    """Whether the source port, as the receiver sees it, is a known one, and not as it was or at another address."""
    return (entry.reply.dst, entry.reply.dport) != (entry.original.src, entry.original.sport) and entry.reply.dport in known


def compare(case: Case, cluster: Cluster, network: Network, lab: Lab) -> None:
    """Send the case's packets on both sides, then compare what is there and what was counted."""
    model, kernel = Side(), Side()
    hits: dict[str, Counter] = defaultdict(Counter)
    silence = Silence()
    version = 6 if case.families == ("IPv6",) else 4
    before = {name: counters(lab.counters(name, version), version) for name in network if version in network[name].rulesets}
    for send in case.sends:
        drawn = packet_of(case, cluster, network, send)
        if drawn is None:
            continue
        at, packet = drawn
        told = trace(network, at, packet)
        if silence.falls(told):
            continue
        silence.count(told)
        with lab.capture() as frames:
            lab.send(at, packet)
        where = f"{at}: {packet}, ttl {packet.ttl}"
        said, seen = model.told(told), kernel.frames(frames)
        if any(type(e) is Fragmented for e in told.events):  # a burst: what is sent in between depends on the processors
            said, seen = by_sender(said), by_sender(seen)
        assert said == seen, f"frames of {where}\n{difference(said, seen)}"
        answered = {event.journey for event in told.all(Answered)}
        in_vain = {event.question for event in told.all(Asked)} - answered
        for event in told.all(Matched):
            if event.rule is not None:  # a kernel asks three times (mcast_solicit); the model has no clock and asks once
                hits[event.netns][event.table, event.chain, event.index] += 3 if event.journey in in_vain else 1
        network = after(network, told)
    for name in network:
        said, seen = model.connections(network[name].conntrack), kernel.connections(lab.conntrack(name))
        assert said == seen, f"connections in {name}: only the model {said - seen}, only the kernel {seen - said}"
        state = lab.state(name)
        learned = {key: n.mac for key, n in network[name].neighbors.items()}
        there = {key: n.mac for key, n in state.neighbors.items() if not key[1].is_multicast and n.mac}
        assert learned == there, f"neighbours of {name}"
        dynamic = {key: (e.dev, e.dst) for key, e in network[name].fdb.items()}
        assert dynamic == {key: (e.dev, e.dst) for key, e in state.fdb.items()}, f"FDB of {name}"
    for name, quiet in before.items():
        said, seen = +hits[name], counters(lab.counters(name, version), version) - quiet
        assert said == seen, f"rule counters of {name}: model {dict(said - seen)}, kernel {dict(seen - said)}"


def by_sender(found: dict) -> dict:
    """Frames of each interface in their order, those of different senders apart."""
    apart: dict[tuple, list] = defaultdict(list)
    for where, frames in found.items():
        for way, frame in frames:
            apart[*where, way, str(getattr(frame.payload, "src", "")), str(getattr(frame.payload, "dst", ""))].append((way, frame))
    return apart


def difference(model: dict, kernel: dict) -> str:
    """What only one side has, readable: ``+`` the kernel alone, ``-`` the model alone."""
    lines = []
    for where in sorted(set(model) | set(kernel)):
        said, seen = ([f"{way} {frame} {tail(frame)}" for way, frame in side.get(where, ())] for side in (model, kernel))
        if model.get(where) != kernel.get(where):
            lines += [" ".join(where), *(f"    {line}" for line in list(unified_diff(said, seen, lineterm="", n=9))[3:])]
            if said == seen:
                lines += [f"    {a}\n    {b}" for (_, a), (_, b) in zip(model[where], kernel[where], strict=True) if a != b]
    return "\n".join(lines)


def tail(frame) -> str:
    """What ``str`` leaves out of a fragment, inside a tunnel too."""
    packet = frame.payload
    inner = getattr(getattr(getattr(packet, "payload", None), "data", None), "frame", None)
    return tail(inner) if inner is not None else f"(id {packet.id})" if isinstance(packet, Packet) and packet.id else ""


SEEDS = range(int(os.environ.get("K8SNET_SEEDS", "40")))
PLUGINS = [name for name in CNIS if name not in ("bridge", "ptp", "vxlan")]
PER_PLUGIN = range(int(os.environ.get("K8SNET_PLUGIN_SEEDS", "6")))


@pytest.mark.parametrize("seed", [*SEEDS, 5206])  # the last: a bridged segment is reset
def test_model_and_kernel_agree(seed: int) -> None:
    check(draw(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_fragments_agree(seed: int) -> None:
    """Packets longer than a link takes, without "don't fragment": cut, put together for the rules, and cut again on the way."""
    check(draw(seed, sizes=(1424, 1500, 2900, 2901, 4400), kinds=("udp", "icmp")))


@pytest.mark.parametrize("seed", PER_PLUGIN)
@pytest.mark.parametrize("cni", [pytest.param(cni, marks=pytest.mark.needs("ipip")) if "ipip" in cni else cni for cni in PLUGINS])
def test_every_plugin_agrees(cni: str, seed: int) -> None:
    """The ways between nodes beside Flannel's VXLAN, whole packets and pieces of longer ones."""
    check(draw(1000 + seed, sizes=(0, 3, 1422, 1423, 1453, 1472, 1473, 3000), cni=cni))


@pytest.mark.parametrize("cni", ["vpc", "bgp"])
def test_redirect_on_an_interface_without_an_address(cni: str) -> None:
    """A packet from a Pod on such a cable is dropped; one from the other node comes in by eth0, which has an address."""
    rule = next(rule for rule in NAT if "-j REDIRECT" in rule)
    sends = (*tuple((sender, 2, "tcp", 9999, 40000, 64, 0, "S") for sender in (3, 1)), (2, 3, "tcp", 9999, 40001, 64, 0, "S"))
    check(Case(cni, ("IPv4",), (1, 1), frozenset(), ((0, rule),), sends))
