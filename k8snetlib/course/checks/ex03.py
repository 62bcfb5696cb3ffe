"""Checks of exercise 03: overlays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.given import operations
from k8snetlib.course.variants import Variant
from k8snetlib.kube.cluster import Cluster
from k8snetlib.linux.ops import FdbAdd, FdbDel, NeighDel, Op, RouteAdd, RouteDel, SysctlSet, build
from k8snetlib.linux.state import FdbEntry, IPNetwork, Network, Route

OPERATIONS = 'Take them from cluster.node_ops("node-a"), or write k8s.ops.RouteAdd(…), RouteDel, NeighAdd, FdbAdd or SysctlSet.'
KINDS = ("route", "neighbour", "fdb", "wrong node", "stray route", "forwarding")
FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince")
DEV = "flannel.1"
ETHERNET = 14  # bytes of a header
HINTS = {  # what to look at again, by the wrong answer: it is in order there
    "route": "Look again: there is a line by flannel.1 for the other Pod's range. Does it win, and what does the kernel look up next?",
    "neighbour": "Look again: the next hop of that route is among the neighbours. Does the packet get that far, and what comes after it?",
    "fdb": "Look again: the FDB has an entry for that MAC address. Does the packet get that far, and is the entry right?",
    "wrong node": "Look again: where an entry stands in the FDB, it names the node on which that Pod range lives. Does it find one?",
    "stray route": "Look again: no line matches the other Pod's address more exactly than its range does. What comes after the route?",
    "forwarding": "Look again at the sysctl: 1 means that the node forwards. What does the kernel ask next?",
}
OVERHEADS = {"VXLAN over IPv4": 50, "VXLAN over IPv6": 70, "IPIP": 20}  # bytes (RFC 7348, RFC 2003)
VICTIM = "node-a"


def cluster(case: Variant) -> Cluster:
    """The student's cluster: three nodes with addresses of their own, a Pod on each."""
    text = []
    pods = case.sample("pods", FRUIT, 3)
    for number, (name, host) in enumerate(zip(pods, case.sample("hosts", range(11, 200), 3), strict=True)):
        node, block = f"node-{'abc'[number]}", case.integer(f"block {number}", 10 + 60 * number, 60 + 60 * number)
        text.append(
            f"apiVersion: v1\nkind: Node\nmetadata: {{name: {node}}}\nspec: {{podCIDR: 10.244.{block}.0/24}}\n"
            f"status: {{addresses: [{{type: InternalIP, address: 192.168.50.{host}}}]}}"
        )
        text.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n"
            f"spec: {{nodeName: {node}, containers: [{{name: web, image: web, ports: [{{containerPort: 8080}}]}}]}}"
        )
    return Cluster.loads("\n---\n".join(text), cni="vxlan")


def pods(case: Variant) -> tuple[str, str]:
    """The Pod on node-a, and the one that it talks to, on another node."""
    names = [pod.name for pod in cluster(case).pods]
    return names[0], case.choose("other", names[1:])


def far_node(case: Variant) -> str:
    """The node of the Pod that is talked to."""
    return next(pod.node_name for pod in cluster(case).pods if pod.name == pods(case)[1])


def underlay_mtu(case: Variant) -> int:
    """What the student's physical network carries, in bytes."""
    return case.choose("mtu", [1400, 1460, 1492, 1500, 4352, 8896, 9000])


def tunnel(case: Variant) -> str:
    """How the student's nodes wrap Pods' packets: VXLAN over one of the IP versions, or IPIP, which there is for IPv4 only."""
    return case.choose("tunnel", list(OVERHEADS))


def fault(case: Variant) -> tuple[str, Op]:
    """What is wrong on node-a, and the op that made it so."""
    whole = cluster(case)
    host = next(h for h in whole.hosts if h.name == far_node(case))
    cidr, home = host.pod_cidrs[0], whole.network[VICTIM]
    neighbor = home.neighbors[DEV, cidr.network_address]
    entry = home.fdb[DEV, neighbor.mac]
    stranger = next(h for h in whole.hosts if h.name not in (VICTIM, host.name))
    faults: dict[str, Callable[[], Op]] = {
        "route": lambda: RouteDel(VICTIM, next(r for r in home.routes if r.dst == cidr)),
        "neighbour": lambda: NeighDel(VICTIM, DEV, neighbor.ip),
        "fdb": lambda: FdbDel(VICTIM, entry),
        "wrong node": lambda: FdbAdd(VICTIM, FdbEntry(DEV, neighbor.mac, stranger.address(4), state="permanent")),
        "stray route": lambda: RouteAdd(VICTIM, Route(half(cidr), "eth0", whole.hosts[0].gateways[0], proto="static")),
        "forwarding": lambda: SysctlSet(VICTIM, "net.ipv4.ip_forward", 0),
    }
    kind = case.choose("fault", list(faults))
    return kind, faults[kind]()


def half(cidr: IPNetwork) -> IPNetwork:
    """The lower half of a Pod range, in which its first Pods are."""
    return next(cidr.subnets(1))


def broken(case: Variant) -> Network:
    """The student's cluster with its one fault."""
    return build([fault(case)[1]], cluster(case).network)


@question("03.1")
def outer_destination(outer: str, case: Variant) -> str:
    """The outer destination address between the two Pods."""
    whole = cluster(case)
    host = next(h for h in whole.hosts if h.name == far_node(case))
    given = str(outer).strip()
    hint = "At the step on node-a's eth0: which of the two IPv4 headers stands outside?"
    if not _is_address(given):
        hint = "An IPv4 address as text, in quotes."
    elif given.startswith("10.244."):
        hint = "That is an address of the overlay. The network between the nodes knows the nodes' own."
    elif given == str(whole.hosts[0].address(4)):
        hint = "That is node-a itself: the source."
    expect(given == str(host.address(4)), got=given or "an empty text", expected="the address to which the tunnel sends", hint=hint)
    return f"the tunnel carries it to {host.name}"


@question("03.2")
def pod_mtu(mtu: int, case: Variant) -> str:
    """The largest Pod packet that fits, once it is wrapped."""
    room, kind = underlay_mtu(case), tunnel(case)
    right, expected = room - OVERHEADS[kind], f"the largest that fits through {room} bytes once it is wrapped"
    expect(type(mtu) is int, got=repr(mtu), expected=expected, hint="A whole number, without quotes.")
    hint = (
        "Too large: add up every header that the tunnel puts outside the Pod's IP packet."
        if mtu > right
        else "Too small: a larger packet fits, with all that the tunnel puts around it."
    )
    if mtu == right - ETHERNET:
        hint = "Too small: an MTU counts from the IP header on. The outer Ethernet header does not count."
    if abs(mtu - right) == 20 and kind != "IPIP":
        hint = "Which version of IP is the outer header, and how long is it?"
    elif mtu in (room - other for other in OVERHEADS.values()):
        hint = "That is another tunnel's. Which headers does yours have?"
    expect(mtu == right, got=mtu, expected=expected, hint=hint)
    return f"{right} + {room - right} = {room}: a full packet just fits"


@question("03.3")
def cause(where: str, case: Variant) -> str:
    """Which kind of entry is at fault."""
    given = str(where).strip().lower()
    expect(given in KINDS, got=repr(where), expected=f"one of {', '.join(KINDS)}", hint="One of the words in the list, in quotes.")
    expect(given == fault(case)[0], got=given, expected="what made the packet end where it did", hint=HINTS[given])
    return "that is the one: the other entries are as flanneld wrote them"


@question("03.4")
def mended(repair: Sequence[Op], case: Variant) -> str:
    """The end state: packets go both ways again, and nothing else has changed."""
    whole = cluster(case)
    network = build(operations(repair, hint=OPERATIONS), broken(case))
    first, second = pods(case)
    told = whole.trace(f"pod/{first}", f"pod/{second}:8080", network=network)
    reason = f"dropped in {told.end.netns}: {told.end.reason}" if not told.delivered else ""
    expect(
        told.delivered,
        got=reason,
        expected=f"{first} reaches {second}",
        hint="Trace it again with your repair in place: does it end where it did, or one table further?",
    )
    expect(
        told.reply.delivered,
        got="the answer does not come back",
        expected="both ways work",
        hint="node-a is the only one with a fault.",
    )
    third = next(pod.name for pod in whole.pods if pod.name not in (first, second))
    other = whole.trace(f"pod/{first}", f"pod/{third}:8080", network=network)
    expect(
        other.delivered,
        got=f"now {third} is cut off",
        expected="the other Pod is reached as before",
        hint="Your repair touched an entry of another node.",
    )
    return f"{first} reaches {second} on {far_node(case)}, and the answer comes back"


def _is_address(given: str) -> bool:
    try:
        return ip_address(given).version == 4
    except ValueError:
        return False
