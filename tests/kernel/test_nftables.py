"""nftables against this machine's kernel: what is printed is loaded by the real ``nft`` and listed again, and packets meet in the kernel
what they meet in the model: the same frames, connections and rule counters."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter, defaultdict
from dataclasses import replace
from ipaddress import ip_address

import pytest

from k8snetlib.kube.proxy.nftables import compile
from k8snetlib.lab import Lab
from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import after, captures, iter_traces, trace
from k8snetlib.linux.events import Answered, Asked, Matched
from k8snetlib.linux.nftables import Ruleset
from k8snetlib.linux.nftables_stmts import Counter as Counted
from k8snetlib.linux.packet import Packet, ping, tcp, udp
from k8snetlib.linux.state import Neighbor
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.kernel.test_model_and_kernel import Side, difference
from tests.unit.test_nftables import BEGIN, LISTING, PAIRS
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

pytestmark = [pytest.mark.kernel, pytest.mark.needs("nft")]
NFT = "nftables v1.0.6"  # others print some things otherwise


@pytest.fixture(scope="module")
def host():
    """One namespace with nothing in it."""
    with Lab([o.NetnsAdd("host")], answer=False) as lab:
        yield lab


def nft(lab: Lab, *words: str) -> str:
    return lab.exec("host", ["nft", *words]).out


@pytest.fixture
def same_nft(host: Lab) -> None:
    if NFT not in nft(host, "--version"):
        pytest.skip(f"what is printed is compared with {NFT} alone")


@pytest.mark.usefixtures("same_nft")
@pytest.mark.parametrize("name", ["nftables_rules", "nftables_rules_v6"])
def test_kube_proxys_tables_are_listed_as_printed(host: Lab, name: str) -> None:
    for case in cases(name):
        table = compile(services(case), slices(case), proxy_config(case))
        host.run([o.NftReplace("host", table)])
        assert nft(host, "list", "table", *table.title.split()).strip() == str(table), case["id"]


@pytest.mark.usefixtures("same_nft")
def test_a_listing_is_listed_as_printed(host: Lab) -> None:
    host.run([o.NftRestore("host", f"flush ruleset\n{LISTING}")])
    assert nft(host, "list", "ruleset").strip() == LISTING


PLACES = (
    ("masquerade|snat to", "nat hook postrouting priority srcnat"),
    ("dnat |redirect", "nat hook prerouting priority dstnat"),
    ("notrack", "filter hook prerouting priority raw"),
    ("", "filter hook input priority filter"),
)


@pytest.mark.usefixtures("same_nft")
def test_rules_are_listed_as_printed(host: Lab) -> None:
    """Each rule that the unit tests know, in a chain where nft takes it."""
    for typed, listed in PAIRS:
        at = next(at for words, at in PLACES if re.search(words, listed))
        begin = BEGIN.rstrip().removesuffix("}")
        host.run([o.NftRestore("host", f"flush ruleset\n{begin}chain c {{ type {at};\n{typed}\n}}\n}}")])
        lines = [line.strip() for line in nft(host, "list", "chain", "ip", "t", "c").splitlines()]
        assert lines[3:-2] == [listed], typed


# Packets: a client, a router with the rules, a server; addresses of both families


ADDRESSES = {
    4: {"client": "10.0.1.2/24", "east": "10.0.1.1/24", "west": "10.0.2.1/24", "server": "10.0.2.2/24", "other": "10.0.2.3/32"},
    6: {"client": "fd00:1::2/64", "east": "fd00:1::1/64", "west": "fd00:2::1/64", "server": "fd00:2::2/64", "other": "fd00:2::3/128"},
}
VIP = {4: "10.9.9.9", 6: "fd00:9::9"}
SPARE = {4: "10.0.2.77", 6: "fd00:2::77"}


def routed(version: int) -> list[o.Op]:
    """Neighbours are known, so that rules do not stand in the way of finding them."""
    a = ADDRESSES[version]
    ops: list[o.Op] = [o.NetnsAdd("client"), o.NetnsAdd("r"), o.NetnsAdd("server")]
    ops += [o.LinkAdd("client", "eth0", "veth", peer=("r", "east")), o.LinkAdd("server", "eth0", "veth", peer=("r", "west"))]
    for netns, dev, who in (("client", "eth0", "client"), ("r", "east", "east"), ("r", "west", "west"), ("server", "eth0", "server")):
        ops += [o.LinkSet(netns, dev, up=True), o.address(netns, dev, a[who])]
    ops += [o.address("server", "eth0", a["other"])]
    ops += [o.route("client", "default", via=a["east"].split("/")[0]), o.route("server", "default", via=a["west"].split("/")[0])]
    macs = {who: o.stable_mac("server", "eth0") for who in ("server", "other")} | {"client": o.stable_mac("client", "eth0")}
    for who, mac in macs.items():
        ops.append(o.NeighAdd("r", Neighbor("east" if who == "client" else "west", ip_address(a[who].split("/")[0]), mac)))
    ops.append(o.NeighAdd("client", Neighbor("eth0", ip_address(a["east"].split("/")[0]), o.stable_mac("r", "east"))))
    ops += [
        o.NeighAdd("server", Neighbor("eth0", ip_address(ip), o.stable_mac("r", "west")))
        for ip in (a["west"].split("/")[0], SPARE[version])
    ]
    return [*ops, o.SysctlSet("r", "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1)]


# {client}, {server}, {other}, {vip} are addresses, {s} is ip or ip6, {icmp} the family's protocol. A counter stands where nothing after it
# can end the rule: it counts what it sees, whatever becomes of the rule.
FILTER = (
    "{s} saddr {client} counter drop",
    "tcp dport 80 counter reject",
    "tcp dport 8080 counter reject with tcp reset",
    "udp dport {{ 53, 5353 }} counter reject",
    "{s} saddr . tcp dport {{ {client} . 80, {server} . 8080 }} counter drop",
    "ct state invalid counter drop",
    "ct state established,related counter accept",
    "ct state vmap {{ established : accept, related : accept, invalid : drop }}",
    "ct status dnat counter accept",
    "ct direction reply counter drop",
    "meta mark & 0x4000 != 0 counter accept",
    "meta mark set meta mark | 0x4000 counter",
    "meta mark 0x4000 counter meta mark set meta mark ^ 0x4000",
    "meta l4proto {icmp} counter drop",
    "meta l4proto {{ tcp, {icmp} }} counter jump other",
    "fib daddr type local counter accept",
    "fib saddr type != local counter jump other",
    'iifname "ea*" counter drop',
    'iifname != "east" counter accept',
    'oifname {{ "east", "lo" }} counter drop',
    "th dport vmap {{ 80 : jump other, 53 : drop, 8000-8100 : goto other }}",
    "{s} daddr . meta l4proto . th dport vmap @doors",
    "{s} daddr @friends counter accept",
    "{s} daddr != @friends counter drop",
    "{s} saddr @net counter jump other",
    "tcp flags & (fin | syn | rst | ack) == syn counter jump other",
    "tcp sport 1024-65535 tcp dport != 80 counter drop",
    "counter return",
    "counter continue",
    "goto other",
)
DNAT = (
    "{s} daddr {vip} tcp dport 80 counter dnat to {server80}",
    "{s} daddr {vip} counter dnat to {other}",
    "tcp dport 8080 counter redirect to :80",
    "{s} daddr {vip} counter dnat to {s} saddr map {{ {client} : {other}, {server} : {client} }}",
    "meta l4proto tcp {s} daddr {vip} dnat {s} addr . port to tcp dport map {{ 80 : {other} . 8080, 8080 : {server} . 80 }}",
    "{s} daddr . meta l4proto . th dport vmap @doors",
    "udp dport 53 counter dnat to {server}",
    "counter accept",
    "udp dport 5353 counter drop",
)
SNAT = (
    "counter masquerade",
    "tcp dport 80 counter masquerade fully-random",
    "{s} daddr {other} counter snat to {spare}",
    "meta mark & 0x4000 != 0 counter meta mark set meta mark ^ 0x4000 masquerade",
    "ct status dnat {s} saddr . {s} daddr . meta l4proto . th dport @pairs counter masquerade",
    "oifname west counter masquerade",
)
MORE = """
    set friends {{ type {addr}; elements = {{ {server}, {client} }}; }}
    set net {{ type {addr}; flags interval; elements = {{ {range} }}; }}
    set pairs {{ type {addr} . {addr} . inet_proto . inet_service; elements = {{ {client} . {other} . tcp . 8080 }}; }}
    map doors {{ type {addr} . inet_proto . inet_service : verdict;
        elements = {{ {vip} . tcp . 80 : goto end, {server} . udp . 53 : jump other, {other} . tcp . 8080 : accept }}; }}
    chain other {{ tcp dport 80 counter accept; udp dport 5353 counter; counter return; }}
"""


def draw(rng: random.Random, version: int) -> str:
    """Tables for nft: a few base chains with a few rules each."""
    a = {who: text.split("/")[0] for who, text in ADDRESSES[version].items()}
    server80 = f"[{a['server']}]:80" if version == 6 else f"{a['server']}:80"
    words = {
        **a, "vip": VIP[version], "s": "ip" if version == 4 else "ip6", "icmp": "icmp" if version == 4 else "ipv6-icmp",
        "server80": server80, "addr": f"ipv{version}_addr", "range": "10.0.1.0/24" if version == 4 else "fd00:1::/64",
        "spare": SPARE[version],
    }  # fmt: skip
    family = rng.choice(["ip" if version == 4 else "ip6"] * 3 + ["inet"])
    tables = []
    for number in range(rng.randint(1, 2)):
        chains = []
        for hook in rng.sample(["prerouting", "input", "forward", "output", "postrouting"], rng.randint(1, 3)):
            rules = rng.sample([r for r in FILTER if hook in ("input", "forward", "output") or "reject" not in r], rng.randint(1, 4))
            rules = [r for r in rules if (hook != "output" or "iif" not in r) and (hook not in ("prerouting", "input") or "oif" not in r)]
            priority = rng.choice(["-150", "dstnat - 10" if hook == "prerouting" else "-110", "0", "0", "10"])
            policy = rng.choice(["accept", "accept", "drop"])
            chains.append((f"type filter hook {hook} priority {priority}; policy {policy};", rules))
        if rng.random() < 0.7 and number == 0:
            chains.append(("type nat hook prerouting priority dstnat;", rng.sample(DNAT, rng.randint(1, 2))))
        if rng.random() < 0.6:
            chains.append(("type nat hook postrouting priority srcnat;", rng.sample(SNAT, rng.randint(1, 2))))
        kind = "nat" if any(head.startswith("type nat hook pre") for head, _ in chains) else "filter"
        end = f"chain end {{ meta l4proto tcp counter dnat to {a['other']}; }}" if kind == "nat" else "chain end { counter drop; }"
        if kind == "nat":  # a map that leads to NAT may be asked in NAT chains alone
            chains = [(head, [r for r in rules if "@doors" not in r or head.startswith("type nat hook pre")]) for head, rules in chains]
        if family == "inet":
            end = end.replace("dnat to", f"dnat {words['s']} to")
            chains = [(head, [re.sub(r"(dnat|snat) to", r"\1 {s} to", r) for r in rules]) for head, rules in chains]
        bodies = [f"chain c{i} {{ {head}\n" + "\n".join(r.format(**words) for r in rules) + "\n}" for i, (head, rules) in enumerate(chains)]
        tables.append(f"table {family} t{number} {{\n{MORE.format(**words)}\n{end}\n" + "\n".join(bodies) + "\n}")
    return "\n".join(tables)


def packet_of(rng: random.Random, version: int) -> tuple[str, Packet]:
    a = {who: text.split("/")[0] for who, text in ADDRESSES[version].items()}
    at = rng.choice(["client", "client", "client", "server", "r"])
    src = {"client": a["client"], "server": a["server"]}.get(at)
    vips = [VIP[version]] * 3 if at == "client" else []  # from the server they would come back by the same interface: redirects
    dst = rng.choice([a[who] for who in ("client", "server", "other", "east", "west") if at == "r" or a[who] != src] + vips)
    if at == "r":
        src = a["east"] if dst in (a["client"], a["east"]) else a["west"]
        dst = a["server"] if dst == VIP[version] else dst
    kind, port, sport = rng.choice(["tcp", "tcp", "udp", "icmp"]), rng.choice([80, 8080, 53, 5353, 22]), rng.choice([40000, 40001, 700])
    if kind == "icmp":
        return at, ping(src, dst, id=7)
    make = tcp if kind == "tcp" else udp
    return at, make(src, dst, port, sport, **({"flags": rng.choice(["S", "S", "S", "A", "SA", "R"])} if kind == "tcp" else {}))


def counters(text: str) -> Counter:
    """Packets by (family, table, chain, position) of every rule that counts, from a listing."""
    found: Counter = Counter()
    for (family, name), table in Ruleset.parse(text).tables.items():
        for chain in table.chains:
            for index, rule in enumerate(table.rules(chain)):
                for statement in rule.statements:
                    if isinstance(statement, Counted):
                        found[family, name, chain, index] += statement.packets
    return +found


def counting(told, hits: Counter) -> None:
    """Add the rules that the model says matched; a kernel asks a silent neighbour three times, the model once."""
    answered = {event.journey for event in told.all(Answered)}
    in_vain = {event.question for event in told.all(Asked)} - answered
    for event in told.all(Matched):
        if event.rule is not None and any(isinstance(each, Counted) for each in event.rule.statements):
            hits[event.family, event.table, event.chain, event.index] += 3 if event.journey in in_vain else 1


@pytest.mark.parametrize("seed", range(int(os.environ.get("K8SNET_SEEDS", "40"))))
def test_model_and_kernel_agree(seed: int) -> None:
    rng = random.Random(seed)
    version = rng.choice([4, 4, 6])
    ops = [*routed(version), o.NftRestore("r", draw(rng, version))]
    network = o.build(ops)
    model, kernel, hits = Side(), Side(), Counter()
    with Lab(ops, answer=False) as lab:
        with lab.capture():
            pass  # until the new devices have said what they say by themselves
        quiet = counters(lab.exec("r", ["nft", "list", "ruleset"]).out)
        for _ in range(rng.randint(3, 8)):
            at, packet = packet_of(rng, version)
            told = trace(network, at, packet)
            with lab.capture() as frames:
                lab.send(at, packet)
            shown = [replace(c, frame=from_bytes(to_bytes(c.frame))) for c in captures(told)]
            said, seen = model.frames(shown), kernel.frames(frames)
            assert said == seen, f"frames of {at}: {packet}\n{difference(said, seen)}"
            counting(told, hits)
            network = after(network, told)
        said, seen = model.connections(network["r"].conntrack), kernel.connections(lab.conntrack("r"))
        assert said == seen, f"connections: only the model {said - seen}, only the kernel {seen - said}"
        there = counters(lab.exec("r", ["nft", "list", "ruleset"]).out) - quiet
        assert +hits == there, f"rule counters: model {dict(hits - there)}, kernel {dict(there - hits)}"


def targets(frames) -> list[str]:
    """Where packets went when they left the router to the west."""
    return [
        str(c.frame.payload.dst)
        for c in frames
        if (c.netns, c.dev, c.direction) == ("r", "west", "out") and isinstance(c.frame.payload, Packet)
    ]


def test_a_choice_among_n() -> None:
    """Every target that the kernel draws is one of the model's, and in 60 draws among three all come."""
    rule = "meta l4proto udp dnat ip addr . port to numgen random mod 3 map { 0 : 10.0.2.2 . 80, 1 : 10.0.2.3 . 80, 2 : 10.0.2.4 . 80 }"
    ops = [*routed(4), o.NftRestore("r", f"table ip t {{ chain c {{ type nat hook prerouting priority dstnat; {rule};\n}}\n}}")]
    network, drawn = o.build(ops), Counter()
    possible = {str(told.all(Matched)[0].verdict) for _, told in iter_traces(network, "client", udp("10.0.1.2", VIP[4], 80))}
    assert possible == {f"dnat to 10.0.2.{last}:80" for last in (2, 3, 4)}
    with Lab(ops, answer=False) as lab:
        for sport in range(50000, 50060):
            lab.send("client", udp("10.0.1.2", VIP[4], 80, sport))
        for entry in lab.conntrack("r"):
            drawn[f"dnat to {entry.reply.src}:{entry.reply.sport}"] += 1
    assert sum(drawn.values()) == 60
    assert drawn.keys() == possible


STICKY = """table ip t {
    set one { type ipv4_addr; flags dynamic,timeout; timeout 2s; }
    set two { type ipv4_addr; flags dynamic,timeout; timeout 2s; }
    chain first { update @one { ip saddr }; dnat to 10.0.2.2; }
    chain second { update @two { ip saddr }; dnat to 10.0.2.3; }
    chain c { type nat hook prerouting priority dstnat; ip saddr @one goto first; ip saddr @two goto second;
        numgen random mod 2 vmap { 0 : goto first, 1 : goto second }
    }
}"""


def test_elements_that_packets_leave() -> None:
    """A client's connections go where its first one went, until the time is up: in the kernel by its clock, in the model by ``now``."""
    ops = [*routed(4), o.NftRestore("r", STICKY)]
    network = o.build(ops)

    def elements(text: str) -> dict[str, list[str]]:
        table = Ruleset.parse(text).tables["ip", "t"]
        return {name: list(each.elements) for name, each in table.sets.items()}

    with Lab(ops, answer=False) as lab:
        gone: dict[str, list[str]] = defaultdict(list)
        for sport in range(50000, 50008):
            with lab.capture() as frames:
                lab.send("client", tcp("10.0.1.2", VIP[4], 80, sport))
            gone["kernel"] += targets(frames)
        assert len(set(gone["kernel"])) == 1
        chosen = 0 if gone["kernel"][0] == "10.0.2.2" else 1
        told = list(iter_traces(network, "client", tcp("10.0.1.2", VIP[4], 80, 50000)))[chosen][1]
        network = after(network, told)
        assert str(told.all(Matched)[-1].verdict) == f"dnat to {gone['kernel'][0]}"
        assert elements(lab.exec("r", ["nft", "list", "ruleset"]).out) == elements(network["r"].nftables.listing(1.0))
        again = {
            str(each.all(Matched)[-1].verdict) for _, each in iter_traces(network, "client", tcp("10.0.1.2", VIP[4], 80, 50009), now=1.9)
        }
        assert again == {f"dnat to {gone['kernel'][0]}"}
        time.sleep(2.2)
        assert elements(lab.exec("r", ["nft", "list", "ruleset"]).out) == elements(network["r"].nftables.listing(2.1))
        assert len(list(iter_traces(network, "client", tcp("10.0.1.2", VIP[4], 80, 50009), now=2.1))) == 2


def test_an_element_by_hand_stands_in_the_kernel_too(host: Lab) -> None:
    host.run([o.NftRestore("host", f"flush ruleset\n{STICKY}"), o.NftElementAdd("host", "ip", "t", "one", "10.0.1.2", 60.0)])
    assert re.search(r"10\.0\.1\.2 timeout 1m expires \S+", nft(host, "list", "set", "ip", "t", "one"))
