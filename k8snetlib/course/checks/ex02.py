"""Checks of exercise 02: Pods on one node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, ip_interface

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.given import operations
from k8snetlib.course.variants import Variant
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Bridged, Received, Trace
from k8snetlib.linux.ops import AddrAdd, FdbDel, LinkAdd, LinkSet, Listen, NetnsAdd, Op, SysctlSet, build, commands, route
from k8snetlib.linux.packet import Packet, ping, tcp
from k8snetlib.linux.state import Network, Socket

OPERATIONS = "Each begins with k8s.ops, such as k8s.ops.LinkSet(…), not with the text of a command."
NAMES = ("lemon", "olive", "mango", "peach", "plum", "quince", "fig", "pear")
BRIDGE, NODE = "cni0", "node"


def pods(case: Variant) -> dict[str, IPv4Address]:
    """The student's four to six Pods and their addresses; the last one is to be attached in the last question."""
    count = case.integer("count", 4, 6) + 1
    names = case.sample("names", NAMES, count)
    subnet = case.subnet("range", "10.128.0.0/9", 24)
    hosts = case.sample("hosts", range(2, 250), count)
    return {name: subnet[host] for name, host in zip(names, hosts, strict=True)}


def newcomer(case: Variant) -> str:
    """The Pod that has an address and no cable yet."""
    return list(pods(case))[-1]


def gateway(case: Variant) -> IPv4Address:
    return next(iter(pods(case).values())) - (int(next(iter(pods(case).values()))) & 0xFF) + 1


def attached_pods(case: Variant) -> list[str]:
    """The Pods that are on the bridge from the beginning."""
    return list(pods(case))[:-1]


def _plug(name: str, address: IPv4Address, door: IPv4Address) -> list[Op]:
    """What the plug-in does for one Pod."""
    return [
        LinkAdd(name, "eth0", "veth", peer=(NODE, f"veth-{name}")),
        LinkSet(NODE, f"veth-{name}", master=BRIDGE, up=True),
        LinkSet(name, "eth0", up=True),
        AddrAdd(name, "eth0", ip_interface(f"{address}/24")),
        route(name, "default", "eth0", str(door)),
    ]


def node(case: Variant) -> Network:
    """The student's node: Pods on its bridge, and the namespace of one more, empty."""
    door = gateway(case)
    ops: list[Op] = [NetnsAdd(NODE), LinkAdd(NODE, BRIDGE, "bridge"), LinkSet(NODE, BRIDGE, up=True)]
    ops += [AddrAdd(NODE, BRIDGE, ip_interface(f"{door}/24")), SysctlSet(NODE, "net.ipv4.ip_forward", 1)]
    for name, address in pods(case).items():
        ops.append(NetnsAdd(name))
        if name != newcomer(case):
            ops += _plug(name, address, door)
        ops.append(Listen(name, Socket("tcp", 8080, process=name)))
    return build(ops)


def pair(case: Variant) -> tuple[str, str]:
    """Who sends to whom in the first two questions."""
    first, second = case.sample("pair", attached_pods(case), 2)
    return first, second


def packet(case: Variant) -> Packet:
    first, second = pair(case)
    return tcp(pods(case)[first], pods(case)[second], 8080)


def told(case: Variant) -> Trace:
    return trace(node(case), pair(case)[0], packet(case))


def example(case: Variant) -> str:
    """What the plug-in did for another Pod, as one would type it."""
    first = pair(case)[0]
    return commands(_plug(first, pods(case)[first], gateway(case)))


def later(case: Variant) -> Network:
    """The student's node some time after the packet: the neighbour tables still know, the bridge has forgotten one of the two, or both."""
    network = after(node(case), told(case))
    first, second = pair(case)
    forgotten = case.choose("forgotten", [(first,), (second,), (first, second)])
    macs = {network[name].interfaces["eth0"].mac for name in forgotten}
    return build([FdbDel(NODE, entry) for entry in network[NODE].fdb.values() if entry.mac in macs], network)


def _bystander_frames(case: Variant) -> int:
    """How many copies of the packet, sent on the node as it is later, come in at Pods that are neither sender nor receiver."""
    others = set(attached_pods(case)) - set(pair(case))
    return sum(1 for seen in captures(trace(later(case), pair(case)[0], packet(case))) if seen.netns in others and seen.direction == "in")


@question("02.1")
def destination_mac(mac: str, case: Variant) -> str:
    """The destination MAC address of the frame that carries the packet."""
    first, second = pair(case)
    network = node(case)
    frame = next(e.frame for e in told(case).all(Received, 0) if e.netns == second)
    given = str(mac).strip().lower()
    on_node = {interface.mac for interface in network[NODE].interfaces.values()}
    hint = "Among the frames on its eth0, take the one with TCP in it: source > destination."
    if given in on_node:
        hint = "That address belongs to the node. Who answers the ARP question?"
    elif given == "ff:ff:ff:ff:ff:ff":
        hint = "That one is on the question, which goes to everyone. Look one frame further."
    elif given == network[first].interfaces["eth0"].mac:
        hint = f"That is {first}'s own address: the source, or the destination of the answer."
    elif given.count(":") != 5:
        hint = "A MAC address is six pairs of hex digits with colons, in quotes."
    expect(
        given == frame.dst,
        got=given or "an empty text",
        expected=f"the address that {first} writes on the frame for {second}",
        hint=hint,
    )
    return f"{first} addresses the frame to {second} itself, not to the bridge"


@question("02.2")
def who_saw(ports: Iterable[str], case: Variant) -> str:
    """The bridge ports out of which the ARP question goes."""
    flood = next(e for e in told(case).all(Bridged) if e.flooded)
    given = _names(ports)
    shown, expected = ", ".join(sorted(given)) or "none", "the ports of cni0 out of which the question goes"
    all_ports = {name for name, interface in node(case)[NODE].interfaces.items() if interface.master == BRIDGE}
    strange = sorted(given - all_ports - {BRIDGE})
    expect(
        BRIDGE not in given,
        got=shown,
        expected=expected,
        hint=f"{BRIDGE} is the bridge itself. Its ports are the node's ends of the cables.",
    )
    expect(
        not strange,
        got=shown,
        expected=expected,
        hint=f'{", ".join(strange)}: no port of {BRIDGE}. k8s.bridge_link(network, "{NODE}") lists them.',
    )
    expect(flood.in_port not in given, got=shown, expected=expected, hint="It came in by one of these, and hairpin mode is off here.")
    expect(given == set(flood.ports), got=shown, expected=expected, hint="Some are missing: a broadcast is for everyone on the bridge.")
    return f"the question leaves by {len(given)} ports, and only one Pod answers"


@question("02.3")
def bystanders(count: int, case: Variant) -> str:
    """How many frames of the packet Pods see that are neither sender nor receiver, after the bridge has forgotten something."""
    right, expected = _bystander_frames(case), "how many frames come in at Pods that are neither sender nor receiver"
    expect(type(count) is int, got=repr(count), expected=expected, hint="A whole number, without quotes.")
    hint = "In k8s.bridge_fdb(later, …): is there a line, not permanent, for the frame's destination?"
    if right and count == len(pods(case)) - 2:
        hint = "Nearly. One of these Pods is the receiver."
    expect(count == right, got=count, expected=expected, hint=hint)
    return "the bridge still knew the port" if not right else "a bridge that does not know the port sends the frame out of all others"


@question("02.4")
def attached(plug_in: Sequence[Op], case: Variant) -> str:
    """The end state: the fifth Pod can be reached, and reaches its gateway. How it was done does not matter."""
    name = newcomer(case)
    network = node(case)
    network = build(operations(plug_in, hint=OPERATIONS), network)
    own = [a for _, a in network[name].addresses() if a.ip == pods(case)[name]]
    expect(
        own,
        got=f"{name} without its address",
        expected=f"an interface in {name} with the address that it was given",
        hint="k8s.ops.address(…) gives one to an interface of the new Pod.",
    )
    neighbour = pair(case)[0]
    arrived = trace(network, neighbour, tcp(pods(case)[neighbour], pods(case)[name], 8080))
    reason = getattr(arrived.end, "reason", "")
    where = getattr(arrived.end, "netns", "")
    expect(
        arrived.delivered,
        got=f"a packet from {neighbour} is dropped in {where}: {reason}",
        expected=f"it reaches {name}",
        hint="Is the node's end in the bridge? Are both ends up?",
    )
    asked = trace(network, name, ping(pods(case)[name], gateway(case)))
    expect(
        asked.delivered,
        got=f"{name} cannot ping {gateway(case)}",
        expected="the gateway answers",
        hint="Follow the trace from the new Pod.",
    )
    outside = [r for r in network[name].routes if r.dst.prefixlen == 0]
    expect(
        outside,
        got="no default route",
        expected=f"{name} can send beyond its own subnet",
        hint="Where do packets for other networks go?",
    )
    return f"{name} is on the bridge, and {neighbour} reaches it"


def _names(given: object) -> set[str]:
    """The student's set of names; one name alone counts as a set of one."""
    if isinstance(given, str):
        return {given}
    fine = isinstance(given, Iterable) and all(isinstance(name, str) for name in given)
    expect(fine, got=repr(given), expected="a set of names", hint='Names in quotes between braces: {"veth-a", "veth-b"}.')
    return set(given)
