"""Checks of exercise 04: routed and cloud."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from k8snetlib.course.checking import NotYet, expect, question
from k8snetlib.course.checks.ex04_given import (
    SETTINGS,
    WORDS,
    broken,
    cables,
    cloud,
    cluster,
    demand,
    far_node,
    fault,
    grown,
    joined,
    newcomer,
    pods,
    setting,
)
from k8snetlib.course.checks.given import operations
from k8snetlib.course.variants import Variant
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.cni.sandbox import UNDERLAY
from k8snetlib.kube.cni.vpc_limits import HOST_NETWORK, limits, max_pods, recommended_pods
from k8snetlib.linux.events import Dropped, Routed, Trace
from k8snetlib.linux.fib import lookup
from k8snetlib.linux.ops import Op, RouteAdd, RouteDel, build
from k8snetlib.linux.packet import IPAddress
from k8snetlib.linux.state import Route
from k8snetlib.views.tools import ip_route

__all__ = ["SETTINGS", "broken", "cables", "cluster", "demand", "far_node", "grown", "joined", "limits", "newcomer", "pods", "setting"]

WRITERS = ("installer", "kernel", "felix", "bird")
MOST = 60  # machines: more than any student needs
OPERATIONS = 'k8s.ops.route("node-a", "10.244.9.0/26", via="192.168.50.20") makes one; a node, or "underlay" for the router.'
REACHES = "every Pod reaches every other, and is answered"
DETOUR = "Who has to be told what, at both ends, so that the next hop is the other node itself?"
LOOK = {
    "forwarding": "net.ipv4.ip_forward is 1 on both nodes.",
    "proxy arp": "proxy_arp is 1 at both cables.",
    "default route": "Both nodes have a default route.",
    "stray route": "Apart from the nodes' own Pods, no line is more exact than a block, /26.",
    "pod route": "Each node has a line for each of its Pods.",
    "block route": "Each node has a line for the block of each other.",
    "router": "The router has a line for the block of each node.",
}
MESH_ROUTER = "Nobody tells this router of Pods, fault or not. Should the packet, or its answer, come to it at all?"


# ── 1 ──


def lines(case: Variant) -> list[Route]:
    """The routes of node-a as they are printed."""
    network = cluster(case).network
    routes = {str(route): route for route in network["node-a"].routes}
    return [routes[line] for line in str(ip_route(network, "node-a")).splitlines()]


def writer(route: Route) -> str:
    """Who put a route there."""
    if not route.dst.prefixlen:
        return "installer"
    return {"kernel": "kernel", "bird": "bird"}.get(route.proto, "felix")


def carrier(case: Variant) -> int:
    """The number of the line that carries first → second, counted from 1."""
    route, _ = lookup(cluster(case).network["node-a"], _address(case, pods(case)[1]))
    return lines(case).index(route) + 1


@question("04.1")
def writers(wrote: Sequence[str], line: int, case: Variant) -> str:
    """Who wrote each line of the node's table, and which line carries the packet."""
    table, (first, second) = lines(case), pods(case)
    listed = list(wrote) if isinstance(wrote, (list, tuple)) else [wrote]
    given = [str(word).strip().lower() for word in listed]
    form = f"a list of {len(table)} words, one for each line"
    strange = next((repr(word) for word, text in zip(listed, given, strict=True) if text not in WRITERS), "")
    expect(not strange, got=strange, expected=form, hint=f"The words are {', '.join(WRITERS)}.")
    words = f"{len(given)} word{'s' * (len(given) != 1)}"
    expect(len(given) == len(table), got=words, expected=form, hint="In the order in which the table is printed.")
    for number, (word, route) in enumerate(zip(given, table, strict=True), 1):
        expect(word == writer(route), got=f"line {number}: {word}", expected="who wrote it", hint=_clue(route, word))
    expect(type(line) is int, got=repr(line), expected="the number of a line", hint="A whole number; the first line is 1.")
    covers = 0 < line <= len(table) and _address(case, second) in table[line - 1].dst
    hint = "It covers the address. Is it the most exact line that does?" if covers else f"Does that line cover the address of {second}?"
    expect(line == carrier(case), got=f"line {line}", expected="the line by which the packet leaves", hint=hint)
    return f"each line has its writer, and line {line} carries {first} → {second}"


def _address(case: Variant, pod: str) -> IPAddress:
    return cluster(case).sandboxes[f"default/{pod}"].addresses[0].ip


def _clue(route: Route, said: str) -> str:
    if not route.dst.prefixlen:
        return "It was there before Kubernetes. Who needs it to reach anything at all?"
    if said == "installer":
        return "Whoever installed the machine knew the way out, and nothing of this."
    if route.proto == "kernel":
        return "It came about by itself, when eth0 got its address. What does the line say after proto?"
    if said == "kernel":
        return "What the kernel writes by itself it signs, after proto."
    return "A block, /26, is a matter between nodes; a cable, cali…, between a node and its Pod. And what does the line say after proto?"


# ── 2 ──


@question("04.2")
def machines(secondary: int, prefixes: int, case: Variant) -> str:
    """The smallest numbers of machines with which every Pod gets an address; every number up to them is tried by building that cluster.

    More machines can be worse: each takes whole prefixes, of which the subnet has few.
    """
    kind, wanted = demand(case)
    expected = f"the smallest number of machines for {wanted} Pods"
    for name, cni, given in (("secondary", "vpc", secondary), ("prefixes", "vpc-prefix", prefixes)):
        sensible = type(given) is int and 0 < given <= MOST
        expect(sensible, got=f"{name} = {given!r}", expected=expected, hint=f"A whole number from 1 to {MOST}.")
        found = running(case, given, cni)
        got = f"{name} = {given}: {found} of {wanted} Pods run"
        expect(found == wanted, got=got, expected=expected, hint=_too_few(kind, wanted, cni, given))
        least = next(number for number in range(1, given + 1) if running(case, number, cni) == wanted)
        expect(given == least, got=got, expected=expected, hint=_too_many(kind, wanted, cni, given))
    return f"{secondary} with secondary addresses, {prefixes} with prefixes: all {wanted} Pods run, and with one machine less some wait"


def running(case: Variant, machines: int, cni: str) -> int:
    """How many Pods have an address with that many machines."""
    return sum(bool(pod.pod_ips) for pod in cloud(case, machines, cni).pods)


def _too_few(kind: str, wanted: int, cni: str, given: int) -> str:
    found = limits(kind)
    if cni == "vpc-prefix" and given * (recommended_pods(kind, prefix=True) - HOST_NETWORK) >= wanted:
        return "Far too many: every machine takes a /28 of the subnet for itself alone. How many of these has a /24?"
    if cni == "vpc-prefix":
        return "Its ENIs have addresses enough. What else limits a machine's Pods, and how many of these are the system's?"
    if given == -(-wanted // (found.enis * found.addresses)):
        return "Can a Pod have each of an ENI's addresses?"
    if given == -(-wanted // max_pods(kind)):
        return "maxPods counts two Pods of the system, which have the node's own address."
    return "How many Pods can have an address on one such machine?"


def _too_many(kind: str, wanted: int, cni: str, given: int) -> str:
    if cni == "vpc-prefix" and given >= -(-wanted // (limits(kind).enis * limits(kind).slots)):
        return "So many are needed without prefixes. How many addresses has a /28?"
    return "Fewer would do. Divide by the Pods that one machine takes, and round up."


# ── 3 ──


@question("04.3")
def cause(where: str, case: Variant) -> str:
    """What is wrong."""
    given = str(where).strip().lower()
    expect(given in WORDS, got=repr(where), expected=f"one of {', '.join(WORDS)}", hint="One of the words in the list, in quotes.")
    mesh = given == "router" and setting(case) == "bgp"
    hint = MESH_ROUTER if mesh else f"{LOOK[given]} Where did the packet end, or else the answer? What was missing there?"
    expect(given == fault(case)[0], got=given, expected="what made the packet or its answer end there", hint=hint)
    return "that is the one: everything else is as it was"


# ── 4 ──


@question("04.4")
def announced(routes: Sequence[Op], case: Variant) -> str:
    """The end state: every Pod reaches every other and is answered, without a tunnel, and within a segment by nobody but the two nodes."""
    whole, new = grown(case), newcomer(case)
    ops = operations(routes, hint=OPERATIONS)
    other = next((op.command() for op in ops if not isinstance(op, (RouteAdd, RouteDel))), "")
    expect(not other, got=other, expected="routes and nothing else", hint=OPERATIONS)
    network = build(ops, joined(case))
    nodes = {pod.name: pod.node_name for pod in whole.pods}
    pairs = sorted(permutations(nodes, 2), key=lambda pair: new.name in (nodes[pair[0]], nodes[pair[1]]))
    traces = {(a, b): whole.trace(f"pod/{a}", f"pod/{b}:8080", network=network) for a, b in pairs}
    for (a, b), told in traces.items():
        end = told.reply.end if told.delivered else told.end
        if isinstance(end, Dropped):
            got = f"{a} on {nodes[a]}, {b} on {nodes[b]}: {'answer ' if told.delivered else ''}dropped in {end.netns}, {end.reason}"
            raise NotYet(got, REACHES, _lost(new.name, end.netns))
    for (a, b), told in traces.items():
        if needless := _routers(told) - {a, b, nodes[a], nodes[b], *_between(whole, nodes[a], nodes[b])}:
            got = f"{a} on {nodes[a]}, {b} on {nodes[b]}: delivered by way of {', '.join(sorted(needless))}"
            raise NotYet(got, "no detours: the router between segments, and no other node", DETOUR)
    return f"all {len(traces)} ways work, and none is a detour: {new.name} has joined"


def _between(whole: Cluster, *names: str) -> tuple[str, ...]:
    """The router, if the nodes are on two segments."""
    networks = {host.network(4) for host in whole.hosts if host.name in names}
    return (UNDERLAY,) if len(networks) > 1 else ()


def _routers(told: Trace) -> set[str]:
    """Who routed the packet or its answer."""
    return {event.netns for trace in (told, told.reply) for event in trace.events if isinstance(event, Routed)}


def _lost(new: str, netns: str) -> str:
    if netns == UNDERLAY:
        return "That is the router. Should the packet have come to it? If so, does it know the block? Its table is printed above."
    if netns == new:
        return f"{new} itself. Which of its lines took the packet?"
    return "Which line of its table took the packet, and who stands behind it?"
