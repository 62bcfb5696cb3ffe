"""A host with a bridge, two uplinks and everything that may be set on them, drawn at random: model and kernel, compared frame by frame.

What clusters leave as it is: sysctls of routing, ARP and the bridge, kinds of routes, rules of policy routing, flags of bridge ports, static FDB
entries; and senders that lie about where they are.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.errors import UnsupportedError
from k8snetlib.lab import Lab
from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Fragmented
from k8snetlib.linux.packet import BROADCAST, Frame, Packet, Udp, Vxlan, ping, tcp, udp
from k8snetlib.linux.state import FdbEntry, PolicyRule, Route, Socket
from tests.kernel.side_by_side import same_frames
from tests.kernel.silence import Silence
from tests.kernel.test_conversations import compare_connections, count
from tests.kernel.test_model_and_kernel import Side, beside_a_kernel, by_sender, counters, difference
from tests.unit.networks import tunnel_end

pytestmark = pytest.mark.kernel
KNOWN = frozenset({40000, 40001, 80, 5353, 7})
LANS = {4: "10.0.{net}.{host}/24", 6: "fd00:{net}::{host}/64"}
FAR = {4: "10.50.{net}.1", 6: "fd00:50:{net}::1"}
PROBED = 4.0  # seconds: after five (delay_first_probe_time) a kernel asks whether a neighbour is still there; the model has no clock
BRIDGED, UPLINKS = "abc", "xy"
RULES = (
    "-A FORWARD -m physdev --physdev-is-bridged", "-A FORWARD -m physdev --physdev-in port-a -j ACCEPT",
    "-A FORWARD -m physdev --physdev-is-bridged --physdev-out port-b -p udp -j REJECT", "-A FORWARD ! -i br0 -o br0",
    "-A FORWARD -m addrtype --dst-type LOCAL", "-A INPUT -m addrtype --dst-type BROADCAST", "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset",
    "-A FORWARD -m conntrack --ctstate INVALID -j DROP", "-A INPUT -m physdev --physdev-is-in", "-A OUTPUT -o lo", "-A FORWARD -i br0 -o br0",
    "-A FORWARD -p udp -j REJECT", "-A INPUT -p udp -j DROP",
)  # fmt: skip
MARKS = (
    "-A PREROUTING -p udp -j MARK --set-xmark 0x1/0x1",
    "-A OUTPUT -p tcp -j MARK --set-xmark 0x1/0x1",
    "-A PREROUTING -i br0 -j MARK --set-xmark 0x1/0x1",
)
NAT = ("-A PREROUTING -p tcp -j DNAT --to-destination {b}", "-A POSTROUTING -o x -j MASQUERADE", "-A PREROUTING -p udp -j REDIRECT", "-A OUTPUT -p tcp -j DNAT --to-destination {x}")  # fmt: skip


@dataclass(frozen=True)
class Case:
    ops: tuple
    version: int
    sends: tuple


def lan(version: int, net: int, host: int) -> str:
    return LANS[version].format(net=net, host=host)


def ip(text: str):
    return ip_address(text.split("/")[0])


def network(version: int) -> list[o.Op]:
    """n with br0 (net 1: a, b, c) and uplinks x (net 2) and y (net 3)."""
    ops: list[o.Op] = [o.NetnsAdd("n"), o.LinkAdd("n", "br0", "bridge"), o.LinkSet("n", "br0", up=True)]
    for number, name in enumerate(BRIDGED, 2):
        ops += [o.NetnsAdd(name), o.LinkAdd(name, "eth0", "veth", peer=("n", f"port-{name}"))]
        ops += [o.LinkSet("n", f"port-{name}", master="br0", up=True), o.LinkSet(name, "eth0", up=True)]
        ops += [o.address(name, "eth0", lan(version, 1, number))]
    ops += [o.address("n", "br0", lan(version, 1, 1))]
    for net, name in enumerate(UPLINKS, 2):
        ops += [o.NetnsAdd(name), o.LinkAdd(name, "eth0", "veth", peer=("n", name)), o.LinkSet("n", name, up=True)]
        ops += [o.LinkSet(name, "eth0", up=True), o.address(name, "eth0", lan(version, net, 2)), o.address("n", name, lan(version, net, 1))]
    gateways = {**dict.fromkeys(BRIDGED, 1), "x": 2, "y": 3}
    ops += [o.route(name, "default", via=str(ip(lan(version, net, 1)))) for name, net in gateways.items()]
    for name in gateways:
        if version == 4:  # who heeds a redirect takes another way from then on, which the model does not follow
            ops += [o.SysctlSet(name, f"net.ipv4.conf.{dev}.accept_redirects", 0) for dev in ("all", "eth0")]
        ops += [o.Listen(name, Socket("tcp", 80)), o.Listen(name, Socket("udp", 5353))]
    return [*ops, o.SysctlSet("n", "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1)]


def settings(rng: random.Random, version: int) -> list[o.Op]:
    """Sysctls, routes, rules of policy routing, port flags and FDB entries."""
    devices = ("all", "br0", "x", "y")
    sysctls = [
        *(("rp_filter", value) for value in (1, 2)), ("accept_local", 1), ("route_localnet", 1), ("arp_ignore", 1), ("arp_ignore", 2),
        ("arp_announce", 1), ("arp_announce", 2), ("proxy_arp", 1), ("send_redirects", 0),
    ]  # fmt: skip
    ops: list[o.Op] = []
    if version == 4:
        for key, value in rng.sample(sysctls, rng.randint(0, 3)):
            ops.append(o.SysctlSet("n", f"net.ipv4.conf.{rng.choice(devices)}.{key}", value))
        if rng.random() < 0.1:
            ops.append(o.SysctlSet("n", "net.ipv4.ip_forward", 0))
    if rng.random() < 0.3:
        ops.append(o.SysctlSet("n", f"net.bridge.bridge-nf-call-ip{'6' * (version == 6)}tables", 0))
    for net in rng.sample(range(5), rng.randint(0, 4)):
        ops.append(o.RouteAdd("n", far_route(rng, version, net)))
    for priority in rng.sample(range(100, 110), rng.choice([0, 0, 1, 2])):
        ops.append(o.RuleAdd("n", policy(rng, version, priority)))
        ops += [o.RouteAdd("n", replace(far_route(rng, version, net), table="100")) for net in rng.sample(range(5), 2)]
    for name in BRIDGED:
        flags = {key: rng.random() < 0.5 for key in rng.sample(("hairpin", "isolated", "learning"), rng.choice([0, 0, 1, 2]))}
        ops += [o.LinkSet("n", f"port-{name}", **flags)] if flags else []
    if rng.random() < 0.3 and not any(isinstance(each, o.LinkSet) and each.learning is False for each in ops):  # else some hear no answer
        ops.append(o.FdbAdd("n", FdbEntry(f"port-{rng.choice(BRIDGED)}", o.stable_mac(rng.choice(BRIDGED), "eth0"), master="br0")))
    if rng.random() < 0.2:
        ops.append(o.LinkSet(*rng.choice([("n", "x"), ("n", "br0"), ("n", "port-b"), ("b", "eth0"), ("x", "eth0")]), mtu=1400))
    return [each for at, each in enumerate(ops) if not any(same_place(each, before) for before in ops[:at])]


def same_place(op: o.Op, before: o.Op) -> bool:
    """Whether a route or sysctl is set twice."""
    if isinstance(op, o.RouteAdd) and isinstance(before, o.RouteAdd):
        return (op.route.dst, op.route.table) == (before.route.dst, before.route.table)
    return isinstance(op, o.SysctlSet) and isinstance(before, o.SysctlSet) and op.key == before.key


def far_route(rng: random.Random, version: int, net: int) -> Route:
    """A route to a network behind a host, or nowhere."""
    dst = ip_network(f"{FAR[version].format(net=net)}/{24 if version == 4 else 64}", strict=False)
    kind = rng.choice(["unicast"] * 6 + ["blackhole", "unreachable", "prohibit", "throw"])
    if kind != "unicast":
        return Route(dst, type=kind)
    dev, via = rng.choice([("x", (2, 2)), ("y", (3, 2)), ("br0", (1, 2)), ("br0", (1, 3))])
    onlink = rng.random() < 0.2
    mtu = rng.choice([None, None, 1300])
    return Route(dst, dev, None if onlink else ip(lan(version, *via)), mtu=mtu)


def policy(rng: random.Random, version: int, priority: int) -> PolicyRule:
    chosen = rng.choice(["fwmark", "src", "dst", "iif", ""])
    fields = {
        "fwmark": {"fwmark": 1, "fwmask": 1}, "src": {"src": ip_network(lan(version, 1, 0) if version == 4 else "fd00:1::/64")},
        "dst": {"dst": ip_network("10.50.0.0/16" if version == 4 else "fd00:50::/32")}, "iif": {"iif": rng.choice(["br0", "x", "lo"])}, "": {},
    }[chosen]  # fmt: skip
    return PolicyRule(priority, "100", version=version, **fields)


def rule_text(rng: random.Random, version: int) -> str:
    """Rules for n, now and then."""
    holes = {"b": ip(lan(version, 1, 3)), "x": ip(lan(version, 2, 2))}
    tables = []
    for name, rules, most in (("mangle", MARKS, 2), ("nat", NAT, 2), ("filter", RULES, 4)):
        chosen = [rule.format(**holes) for rule in rng.sample(rules, rng.randint(0, most))]
        if version == 6:
            chosen = [rule for rule in chosen if "BROADCAST" not in rule]
        if chosen and rng.random() < 0.6:
            tables.append("\n".join([f"*{name}", *chosen, "COMMIT"]))
    return "\n".join(tables)


def packet_of(rng: random.Random, version: int) -> tuple[str, Packet]:
    homes = {"n": [(1, 1), (2, 1), (3, 1)], "a": [(1, 2)], "b": [(1, 3)], "c": [(1, 4)], "x": [(2, 2)], "y": [(3, 2)]}
    at = rng.choice("aaabcxyn")
    ends = [lan(version, *home) for who, all_homes in homes.items() for home in all_homes]
    strange = {
        4: ["10.0.2.99", "10.0.1.99", "127.0.0.1", "198.51.100.9", "224.0.0.7", "10.0.1.0"]
        + ["10.0.1.255", "255.255.255.255"] * (at != "n"),
        6: ["fd00:1::99", "fd00:2::99", "2001:db8::9"] + ["fd00:1::"] * (at != "n"),
    }[version]
    far = [FAR[version].format(net=net) for net in range(5)]
    dst = ip(rng.choice(ends * 2 + far * 3 + strange))
    own = rng.choice(homes[at])
    src = (
        ip(lan(version, *own))
        if at == "n" or rng.random() < 0.8
        else ip(rng.choice(ends + far + (["127.0.0.5", "10.0.1.77"] if version == 4 else ["fd00:1::77"])))
    )
    src = ip(lan(version, *own)) if src == dst else src
    kind, size, ttl = rng.choice(["tcp", "udp", "icmp"]), rng.choice([0, 0, 0, 1250, 1360, 1500, 2000]), rng.choice([64, 64, 64, 1, 2])
    size = size if dst not in map(ip_address, ("10.0.1.255", "255.255.255.255")) else 0
    df = size < 1400 if src == ip(lan(version, *own)) else True
    if kind == "icmp":
        return at, ping(src, dst, id=7, data=b"x" * size, ttl=ttl, df=df)
    if kind == "udp":
        return at, udp(src, dst, rng.choice([80, 5353]), rng.choice([40000, 40001]), data=b"x" * size, ttl=ttl, df=df)
    return at, tcp(src, dst, rng.choice([80, 5353]), rng.choice([40000, 40001]), ttl=ttl)


def draw(seed: int) -> Case:
    rng = random.Random(f"hosts {seed}")
    version = rng.choice([4, 4, 6])
    ops = [*network(version), *settings(rng, version)]
    if text := rule_text(rng, version):
        ops.append(o.RulesRestore("n", text, version))
    return Case(tuple(ops), version, tuple(packet_of(rng, version) for _ in range(rng.randint(3, 8))))


def check(case: Case) -> None:
    beside_a_kernel(case.ops, lambda lab: side_by_side(case, lab))


def side_by_side(case: Case, lab: Lab) -> None:
    network, model, kernel, silence, hits = o.build(case.ops), Side(), Side(), Silence(), defaultdict(Counter)
    model.names.known = kernel.names.known = KNOWN
    quiet, began = counters(lab.counters("n", case.version), case.version), time.monotonic()
    for at, packet in case.sends:
        if time.monotonic() - began > PROBED:
            return
        try:
            told = trace(network, at, packet)
        except UnsupportedError:
            continue
        if silence.falls(told):
            continue
        silence.count(told)
        with lab.capture() as frames:
            lab.send(at, packet)
        said, seen = model.told(told), kernel.frames(frames)
        if told.all(Fragmented):
            said, seen = by_sender(said), by_sender(seen)
        assert said == seen, f"frames of {at}: {packet} ({len(packet)} bytes, ttl {packet.ttl})\n{difference(said, seen)}"
        count(told, hits)
        network = after(network, told)
        compare_connections(network, model, kernel, lab, f"after {at}: {packet}")
        compare_learned(network, lab, f"after {at}: {packet}")
        counted = counters(lab.counters("n", case.version), case.version) - quiet
        assert +hits["n"] == counted, (
            f"rule counters after {at}: {packet}: model {dict(hits['n'] - counted)}, kernel {dict(counted - hits['n'])}"
        )


def compare_learned(network, lab: Lab, when: str) -> None:
    for name in network:
        state = lab.state(name)
        learned = {key: n.mac for key, n in network[name].neighbors.items()}
        there = {key: n.mac for key, n in state.neighbors.items() if not key[1].is_multicast and n.mac}
        assert learned == there, f"neighbours of {name} {when}: model {learned}, kernel {there}"
        dynamic = {key: (e.dev, e.dst) for key, e in network[name].fdb.items()}
        real = {key: (e.dev, e.dst) for key, e in state.fdb.items()}
        assert dynamic == real, f"FDB of {name} {when}: model {dynamic}, kernel {real}"


@pytest.mark.parametrize("seed", range(int(os.environ.get("K8SNET_SEEDS", "20"))))
def test_hosts_agree(seed: int) -> None:
    check(draw(seed))


@pytest.mark.needs("vxlan")
def test_a_tunnel_that_learns_takes_no_sender_from_where_it_is_not() -> None:
    inner = Frame("0a:00:00:00:00:01", BROADCAST, ping("10.9.0.1", "10.9.0.2", id=7))
    outer = Packet(ip("10.0.1.2"), ip("10.0.2.2"), Udp(40000, 4789, Vxlan(1, inner)))
    same_frames(tunnel_end("permanent"), [("a", outer)])
