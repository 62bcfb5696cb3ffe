"""Small networks for the unit tests: two hosts on a cable, three on a bridge, two behind a router, three with a way round."""

from __future__ import annotations

from ipaddress import ip_address

from k8snetlib.linux.ops import (
    FdbAdd,
    LinkAdd,
    LinkSet,
    Listen,
    NeighAdd,
    NetnsAdd,
    Op,
    RulesRestore,
    SysctlSet,
    address,
    route,
    stable_mac,
)
from k8snetlib.linux.state import FdbEntry, Neighbor, Socket, VxlanConfig, link_local


def cable(mtu: int | None = None) -> list[Op]:
    """a (10.0.0.1) and b (10.0.0.2), which listens on 80/tcp and 53/udp."""
    ops: list[Op] = [NetnsAdd("a"), NetnsAdd("b"), LinkAdd("a", "eth0", "veth", peer=("b", "eth0"), mtu=mtu)]
    for name, ip in (("a", "10.0.0.1/24"), ("b", "10.0.0.2/24")):
        ops += [LinkSet(name, "eth0", up=True), address(name, "eth0", ip)]
    return [*ops, Listen("b", Socket("tcp", 80, process="web")), Listen("b", Socket("udp", 53, process="dns"))]


def switch(names: str = "abc") -> list[Op]:
    """Hosts a, b, c (10.0.0.1 …) on bridge br0 of ``node``."""
    ops: list[Op] = [NetnsAdd("node"), LinkAdd("node", "br0", "bridge"), LinkSet("node", "br0", up=True)]
    for number, name in enumerate(names, 1):
        ops += [
            NetnsAdd(name),
            LinkAdd(name, "eth0", "veth", peer=("node", f"port-{name}")),
            LinkSet("node", f"port-{name}", master="br0", up=True),
        ]
        ops += [LinkSet(name, "eth0", up=True), address(name, "eth0", f"10.0.0.{number}/24"), Listen(name, Socket("tcp", 80, process=name))]
    return ops


def routed() -> list[Op]:
    """a (10.0.1.2) and b (10.0.2.2) with router r between them; b listens on 80/tcp."""
    ops: list[Op] = [NetnsAdd("r"), SysctlSet("r", "net.ipv4.ip_forward", 1)]
    for number, name in enumerate("ab", 1):
        ops += [
            NetnsAdd(name),
            LinkAdd(name, "eth0", "veth", peer=("r", f"to-{name}")),
            LinkSet(name, "eth0", up=True),
            LinkSet("r", f"to-{name}", up=True),
        ]
        ops += [
            address(name, "eth0", f"10.0.{number}.2/24"),
            address("r", f"to-{name}", f"10.0.{number}.1/24"),
            route(name, "default", via=f"10.0.{number}.1"),
        ]
    return [*ops, Listen("b", Socket("tcp", 80, process="web"))]


NEAR = {name: str(link_local(stable_mac(name, "eth0")).ip) for name in ("a", "b", "r")}
FAR6 = "2001:db8:2::2"


def detour(first_hop: str = "fd00::9", onward: str = "") -> list[Op]:
    """a (fd00::1), b (fd00::2) and the router r (fd00::9) on one bridge; to b's other address (``FAR6``) a sends by way of r, though both
    are on one link. ``onward`` is r's next hop; without it r sends to ``FAR6`` itself."""
    ops: list[Op] = [NetnsAdd("lan"), LinkAdd("lan", "br0", "bridge"), LinkSet("lan", "br0", up=True)]
    for name, ip in (("a", "fd00::1"), ("b", "fd00::2"), ("r", "fd00::9")):
        ops += [NetnsAdd(name), LinkAdd(name, "eth0", "veth", peer=("lan", f"to-{name}"))]
        ops += [LinkSet("lan", f"to-{name}", master="br0", up=True), address(name, "eth0", f"{ip}/64"), LinkSet(name, "eth0", up=True)]
    ops += [SysctlSet("r", "net.ipv6.conf.all.forwarding", 1), address("b", "eth0", f"{FAR6}/64")]
    return [*ops, route("a", "default", "eth0", via=first_hop), route("r", "2001:db8:2::/64", "eth0", via=onward or None)]


def behind_a_router() -> list[Op]:
    """a (fd00::2) takes b (fd00::b) for a neighbour, but b is behind the router r, which has a route to it."""
    ops: list[Op] = [NetnsAdd("r"), SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)]
    for name, own, there in (("a", "fd00::2/64", "fd00::1/64"), ("b", "fd00::b/128", "fd00:1::1/64")):
        ops += [NetnsAdd(name), LinkAdd(name, "eth0", "veth", peer=("r", f"to-{name}")), address(name, "eth0", own)]
        ops += [address("r", f"to-{name}", there), LinkSet(name, "eth0", up=True), LinkSet("r", f"to-{name}", up=True)]
    near = str(link_local(stable_mac("r", "to-b")).ip)
    return [*ops, route("r", "fd00::b/128", "to-b"), route("b", "default", "eth0", via=near)]


def routed6(first: list[Op] | None = None) -> list[Op]:
    """a (fd00:1::2) and b (fd00:2::2) with router r between them, which has ``first`` before its own cables; it does not forward yet."""
    ops: list[Op] = [NetnsAdd("r"), *(first or ())]
    for number, name in enumerate("ab", 1):
        here, there = f"fd00:{number}::2", f"fd00:{number}::1"
        ops += [NetnsAdd(name), LinkAdd(name, "eth0", "veth", peer=("r", f"to-{name}"))]
        ops += [LinkSet(name, "eth0", up=True), LinkSet("r", f"to-{name}", up=True)]
        ops += [address(name, "eth0", f"{here}/64"), address("r", f"to-{name}", f"{there}/64"), route(name, "default", via=there)]
    return ops


AIM = {4: ("10.0.0.1", "10.0.0.77"), 6: ("fd00::1", "fd00::77")}


def translated_on_a_bridge(version: int, forwarding: int, to: str, twin: bool = False) -> list[Op]:
    """``switch`` with addresses for the node (… 254) and known neighbours. What a sends to ``AIM``, which has a's neighbour entry, becomes a
    packet to b or to ``nowhere`` that there is a route to; with ``twin`` a has the node's own address, too."""
    start, bits, switch_ = ("10.0.0.", 24, "net.ipv4.ip_forward") if version == 4 else ("fd00::", 64, "net.ipv6.conf.all.forwarding")
    ops = [*switch("ab"), SysctlSet("node", switch_, forwarding), address("node", "br0", f"{start}254/{bits}")]
    if version == 6:
        ops += [address(name, "eth0", f"fd00::{number}/64") for number, name in enumerate("ab", 1)]
    if twin:
        ops.append(address("a", "eth0", f"{start}254/32"))
    ops.append(NeighAdd("a", Neighbor("eth0", ip_address(AIM[version][1]), stable_mac("b", "eth0"))))
    target = f"{start}2" if to == "neighbour" else "192.0.2.1" if version == 4 else "2001:db8::1"
    rules = f"*nat\n-A PREROUTING -d {AIM[version][1]} -p udp -j DNAT --to-destination {target}\nCOMMIT\n"
    return [*ops, RulesRestore("node", rules, version)]


def narrow_pod(version: int, mtu: int, tunnel: bool) -> list[Op]:
    """a (10.0.1.2) with a narrow cable on the bridge br0 of node n, where conntrack puts pieces together, and b (10.0.2.2) on node r; between
    the nodes a cable or a VXLAN tunnel over it."""
    net, bits = ("10.0.{}.{}", 24) if version == 4 else ("fd00:{}::{}", 64)
    ops: list[Op] = [NetnsAdd(name) for name in "nrab"]
    ops += [LinkAdd("n", "br0", "bridge"), LinkAdd("n", "eth0", "veth", peer=("r", "eth0"))]
    ops += [
        LinkAdd("a", "eth0", "veth", peer=("n", "to-a"), mtu=mtu),
        LinkSet("n", "to-a", master="br0", up=True),
        LinkSet("n", "br0", mtu=1500),
    ]
    ops += [LinkAdd("b", "eth0", "veth", peer=("r", "to-b")), LinkSet("r", "to-b", up=True)]
    for at, dev, number, last in (
        ("a", "eth0", 1, 2),
        ("n", "br0", 1, 1),
        ("b", "eth0", 2, 2),
        ("r", "to-b", 2, 1),
        ("n", "eth0", 9, 1),
        ("r", "eth0", 9, 2),
    ):
        ops += [address(at, dev, f"{net.format(number, last)}/{bits}"), LinkSet(at, dev, up=True)]
    ways = [("a", net.format(1, 1)), ("b", net.format(2, 1))]
    for at, own, other in (("n", 1, 2), ("r", 2, 1)):
        ops.append(SysctlSet(at, "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1))
        if tunnel:
            config = VxlanConfig(1, ip_address(net.format(9, own)), "eth0", 8472, learning=False)
            mac = stable_mac("r" if at == "n" else "n", "tunnel")
            ops += [LinkAdd(at, "tunnel", "vxlan", vxlan=config), LinkSet(at, "tunnel", up=True)]
            ops += [
                address(at, "tunnel", f"{net.format(8, own)}/{bits}"),
                NeighAdd(at, Neighbor("tunnel", ip_address(net.format(8, other)), mac)),
            ]
            ops.append(FdbAdd(at, FdbEntry("tunnel", mac, ip_address(net.format(9, other)), state="permanent")))
        ops.append(route(at, f"{net.format(other, 0)}/{bits}", via=net.format(8 if tunnel else 9, other)))
    rules = "*filter\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
    return [*ops, *(route(at, "default", via=via) for at, via in ways), RulesRestore("n", rules, version)]


def one_armed(rules: str) -> list[Op]:
    """``switch`` whose node, with these rules, sends a's packets for 10.9.0.0/16 on to b, by the bridge that they came in by."""
    ops = [*switch(), address("node", "br0", "10.0.0.9/24"), SysctlSet("node", "net.ipv4.ip_forward", 1), RulesRestore("node", rules)]
    return [*ops, route("node", "10.9.0.0/16", via="10.0.0.2"), route("a", "default", via="10.0.0.9")]


def tunnel_end(state: str) -> list[Op]:
    """``routed`` with a VXLAN device at b that learns, and for one address has an entry already."""
    ops = [*routed(), LinkAdd("b", "vx", "vxlan", vxlan=VxlanConfig(1, ip_address("10.0.2.2"), "eth0")), LinkSet("b", "vx", up=True)]
    return [*ops, FdbAdd("b", FdbEntry("vx", "0a:00:00:00:00:01", ip_address("10.0.1.9"), state=state))]
