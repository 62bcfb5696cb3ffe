"""nftables against this machine's kernel: what is printed is loaded by the real ``nft`` and listed again, and packets meet in the kernel
what they meet in the model: the same frames, connections and rule counters."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter, defaultdict
from ipaddress import ip_address

import pytest

from k8snetlib.kube.proxy.nftables import compile
from k8snetlib.lab import Lab
from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import after, captures, iter_traces, trace
from k8snetlib.linux.events import Answered, Asked, Matched
from k8snetlib.linux.nftables import Ruleset, Table
from k8snetlib.linux.nftables_stmts import Counter as Counted
from k8snetlib.linux.packet import Packet, ping, tcp, udp
from k8snetlib.linux.state import Neighbor, PolicyRule
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import Side, difference
from tests.nft_drawing import ADDRESSES, SPARE, VIP, draw
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


# Packets


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
    sends = [packet_of(rng, version) for _ in range(rng.randint(3, 8))]
    unless_it_spoke(lambda: Lab(ops, answer=False), lambda lab: compare(ops, sends, lab))


def compare(ops: list[o.Op], sends: list[tuple[str, Packet]], lab: Lab) -> None:
    """The same packets on both sides: frames, connections and counters."""
    network, model, kernel, hits = o.build(ops), Side(), Side(), Counter()
    quiet = counters(lab.nft_list("r"))
    for at, packet in sends:
        told = trace(network, at, packet)
        with lab.capture() as frames:
            lab.send(at, packet)
        said, seen = model.told(told), kernel.frames(frames)
        assert said == seen, f"frames of {at}: {packet}\n{difference(said, seen)}"
        counting(told, hits)
        network = after(network, told)
    said, seen = model.connections(network["r"].conntrack), kernel.connections(lab.conntrack("r"))
    assert said == seen, f"connections: only the model {said - seen}, only the kernel {seen - said}"
    there = counters(lab.nft_list("r")) - quiet
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
        assert elements(lab.nft_list("r")) == elements(network["r"].nftables.listing(1.0))
        again = {
            str(each.all(Matched)[-1].verdict) for _, each in iter_traces(network, "client", tcp("10.0.1.2", VIP[4], 80, 50009), now=1.9)
        }
        assert again == {f"dnat to {gone['kernel'][0]}"}
        time.sleep(2.2)
        assert elements(lab.nft_list("r")) == elements(network["r"].nftables.listing(2.1))
        assert len(list(iter_traces(network, "client", tcp("10.0.1.2", VIP[4], 80, 50009), now=2.1))) == 2


@pytest.mark.needs("ip")
def test_what_commands_do() -> None:
    """What one would type, run by a shell, does what the lab does by itself."""
    table = Table.parse(LISTING.replace("table inet shop", "table inet other"))
    ops = [o.NetnsAdd("r"), o.NftRestore("r", f"{STICKY}\n{LISTING}"), o.NftReplace("r", table), o.NftReplace("r", table)]
    ops += [o.NftElementAdd("r", "ip", "t", "one", "10.0.1.2", 3600.0)]
    texts = []
    with Lab(ops) as by_run, Lab() as by_commands:
        by_commands.shell(o.commands(ops))
        texts += [re.sub(r"expires \S+", "expires", lab.nft_list("r")).strip() for lab in (by_run, by_commands)]
    assert texts[0] == texts[1]
    assert re.sub(r"expires \S+", "expires", o.build(ops)["r"].nftables.listing(1.0)) == texts[0]


def test_an_element_by_hand_stands_in_the_kernel_too(host: Lab) -> None:
    host.run([o.NftRestore("host", f"flush ruleset\n{STICKY}"), o.NftElementAdd("host", "ip", "t", "one", "10.0.1.2", 60.0)])
    assert re.search(r"10\.0\.1\.2 timeout 1m expires \S+", nft(host, "list", "set", "ip", "t", "one"))


@pytest.mark.parametrize(("kind", "way"), [("route", "fast"), ("filter", "slow")])
def test_a_mark_asks_for_a_new_route_from_a_chain_of_type_route_alone(kind: str, way: str) -> None:
    """Two ways to one destination, one of them for marked packets."""
    ops: list[o.Op] = [o.NetnsAdd("r"), o.NetnsAdd("far"), o.SysctlSet("r", "net.ipv4.conf.all.rp_filter", 0)]
    for dev, last in (("slow", 1), ("fast", 2)):
        ops += [o.LinkAdd("r", dev, "veth", peer=("far", dev)), o.LinkSet("r", dev, up=True), o.LinkSet("far", dev, up=True)]
        ops += [o.address("r", dev, f"10.0.{last}.1/24")]
        ops += [o.NeighAdd("r", Neighbor(dev, ip_address(f"10.0.{last}.9"), o.stable_mac("far", dev)))]
    ops += [o.route("r", "10.9.0.0/16", via="10.0.1.9"), o.route("r", "10.9.0.0/16", "fast", via="10.0.2.9", table="100")]
    ops += [o.RuleAdd("r", PolicyRule(100, "100", fwmark=1))]
    rule = f"table ip t {{ chain c {{ type {kind} hook output priority mangle; meta mark set 0x1;\n}}\n}}"
    ops += [o.NftRestore("r", rule)]
    packet = udp("10.0.1.1", "10.9.0.1", 80)
    shown = [(c.dev, c.direction) for c in captures(trace(o.build(ops), "r", packet)) if c.netns == "r"]
    with Lab(ops, answer=False) as lab:
        with lab.capture():
            pass
        with lab.capture() as frames:
            lab.send("r", packet)
    assert shown == [(c.dev, c.direction) for c in frames if c.netns == "r"] == [(way, "out")]
