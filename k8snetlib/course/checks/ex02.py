"""Checks of exercise 02: Pods on one node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, ip_interface

from k8snetlib.course.checking import expect, question
from k8snetlib.course.variants import Variant
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Bridged, Received, Trace
from k8snetlib.linux.ops import AddrAdd, LinkAdd, LinkSet, Listen, NetnsAdd, Op, SysctlSet, build, route
from k8snetlib.linux.packet import Packet, ping, tcp
from k8snetlib.linux.state import Network, Socket

NAMES = ("lemon", "olive", "mango", "peach", "plum", "quince", "fig", "pear")
BRIDGE, NODE = "cni0", "node"


def pods(case: Variant) -> dict[str, IPv4Address]:
    """The student's four Pods and their addresses; the fifth is the one to attach in the last question."""
    names = case.sample("names", NAMES, 5)
    subnet = case.subnet("range", "10.128.0.0/9", 24)
    hosts = case.sample("hosts", range(2, 250), 5)
    return {name: subnet[host] for name, host in zip(names, hosts, strict=True)}


def newcomer(case: Variant) -> str:
    """The Pod that has an address and no cable yet."""
    return list(pods(case))[-1]


def gateway(case: Variant) -> IPv4Address:
    return next(iter(pods(case).values())) - (int(next(iter(pods(case).values()))) & 0xFF) + 1


def plug(name: str, address: IPv4Address, door: IPv4Address) -> list[Op]:
    """What the plug-in does for one Pod."""
    return [
        LinkAdd(name, "eth0", "veth", peer=(NODE, f"veth-{name}")),
        LinkSet(NODE, f"veth-{name}", master=BRIDGE, up=True),
        LinkSet(name, "eth0", up=True),
        AddrAdd(name, "eth0", ip_interface(f"{address}/24")),
        route(name, "default", "eth0", str(door)),
    ]


def node(case: Variant) -> Network:
    """The student's node: four Pods on its bridge, and the namespace of a fifth, empty."""
    door = gateway(case)
    ops: list[Op] = [NetnsAdd(NODE), LinkAdd(NODE, BRIDGE, "bridge"), LinkSet(NODE, BRIDGE, up=True)]
    ops += [AddrAdd(NODE, BRIDGE, ip_interface(f"{door}/24")), SysctlSet(NODE, "net.ipv4.ip_forward", 1)]
    for name, address in pods(case).items():
        ops.append(NetnsAdd(name))
        if name != newcomer(case):
            ops += plug(name, address, door)
        ops.append(Listen(name, Socket("tcp", 8080, process=name)))
    return build(ops)


def pair(case: Variant) -> tuple[str, str]:
    """Who sends to whom in the first two questions."""
    first, second = case.sample("pair", list(pods(case))[:4], 2)
    return first, second


def packet(case: Variant) -> Packet:
    first, second = pair(case)
    return tcp(pods(case)[first], pods(case)[second], 8080)


def told(case: Variant) -> Trace:
    return trace(node(case), pair(case)[0], packet(case))


@question("02.1")
def destination_mac(mac: str, case: Variant) -> str:
    """The destination MAC address of the frame that carries the packet."""
    first, second = pair(case)
    network = node(case)
    frame = next(e.frame for e in told(case).all(Received, 0) if e.netns == second)
    bridge = network[NODE].interfaces[BRIDGE].mac
    given = str(mac).strip().lower()
    hint = "Who answers the ARP question for that address?" if given == bridge else "ff:ff:… is the question's. Look one frame further."
    expect(given == frame.dst, got=given, expected=f"the address that {first} writes on the frame for {second}", hint=hint)
    return f"{first} addresses the frame to {second} itself, not to the bridge"


@question("02.2")
def who_saw(ports: Iterable[str], case: Variant) -> str:
    """The bridge ports out of which the ARP question goes."""
    flood = next(e for e in told(case).all(Bridged) if e.flooded)
    given = {str(port) for port in ports}
    own = flood.in_port
    expect(own not in given, got=", ".join(sorted(given)), expected="the ports that it goes out of", hint="It came in by one of these, and hairpin mode is off here.")
    expect(given == set(flood.ports), got=", ".join(sorted(given)) or "none", expected="every port that the flood uses", hint="A broadcast is for everyone on the bridge.")
    return f"the question leaves by {len(given)} ports, and only one Pod answers"


@question("02.3")
def packets_on_port(count: int, case: Variant) -> str:
    """How many frames of the packet itself a Pod that is neither sender nor receiver sees, once the tables are warm."""
    network = after(node(case), told(case))
    warm = trace(network, pair(case)[0], packet(case))
    others = [name for name in list(pods(case))[:4] if name not in pair(case)]
    seen = sum(1 for e in warm.all(Received) if e.netns in others)
    expect(count == seen, got=str(count), expected="the number of frames that reach the other two Pods", hint="What does the bridge know after the first packet? k8s.bridge_fdb shows it.")
    return "a bridge that has learned leaves the others in peace"


@question("02.4")
def attached(plug_in: Sequence[Op], case: Variant) -> str:
    """The end state: the fifth Pod can be reached, and reaches its gateway. How it was done does not matter."""
    name = newcomer(case)
    network = node(case)
    expect(all(isinstance(op, Op) for op in plug_in), got="something that is no operation", expected="a list of k8s.ops", hint="The plug-in's list for another Pod is a good model.")
    network = build(plug_in, network)
    own = [a for _, a in network[name].addresses() if a.ip == pods(case)[name]]
    expect(own, got=f"{name} without its address", expected=f"an interface in {name} with the address that it was given", hint="AddrAdd, and the prefix is /24.")
    neighbour = pair(case)[0]
    arrived = trace(network, neighbour, tcp(pods(case)[neighbour], pods(case)[name], 8080))
    reason = getattr(arrived.end, "reason", "")
    where = getattr(arrived.end, "netns", "")
    expect(arrived.delivered, got=f"a packet from {neighbour} is dropped in {where}: {reason}", expected=f"it reaches {name}", hint="Is the node's end in the bridge? Are both ends up?")
    asked = trace(network, name, ping(pods(case)[name], gateway(case)))
    expect(asked.delivered, got=f"{name} cannot ping {gateway(case)}", expected="the gateway answers", hint="Follow the trace from the new Pod.")
    outside = [r for r in network[name].routes if r.dst.prefixlen == 0]
    expect(outside, got="no default route", expected=f"{name} can send beyond its own subnet", hint="Where do packets for other networks go?")
    return f"{name} is on the bridge, and {neighbour} reaches it"


