"""Diagrams of networks and of packets walking through them, in the course's one visual language.

Top to bottom as stacks are drawn: Pods, their veth ends, the bridge, routing and netfilter, the tunnel, the node's interface, the underlay; like things
share a rank across nodes, so that a packet goes down one node and up the other. The picture is a function of a network and, if given, a trace.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..kube.cni.sandbox import UNDERLAY
from ..kube.outside import INTERNET
from ..linux.events import Trace, as_trace
from ..linux.state import Interface, Network, as_network
from .figure import Figure
from .places import is_balanced, place_name, svg_id
from .render import WIDER, canvas, roomy
from .topology import FABRIC, HOST, OUTSIDE, TUNNELS, Place, host_of, hosts, pods_of, role
from .walk import ROUTING, Step, steps

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "routing": "routing · netfilter",
    "bridge": "{name} · bridge",
    "vxlan": "{name} · vxlan",
    "vni": "VNI {vni} · MTU {mtu}",
    "ipip": "{name} · ipip",
    "mtu": "MTU {mtu}",
    "underlay": "underlay network\n{nets}",
    "internet": "the Internet\n{nets}",
    "router": "router\n{where}",
    "balancer": "load balancer\non the router",
    "between": "between the networks",
    "alt-delivered": "The packet from {start} to {end} is delivered in {n} steps: {way}.",
    "alt-delivered-1": "The packet from {start} to {end} is delivered in one step: {way}.",
    "alt-dropped": "The packet from {start} is dropped at step {n} of {n}, at {place}: {reason}. Its way: {way}.",
    "drop": "dropped\n{reason}",
    "loop": "dropped\n{reason}\n{detail}",
    "host": "{name}\n{address}",
    "more": "+ {n} more",
    "nothing": "a diagram is of a network or of a trace: diagram(cluster.network), diagram(trace)",
}
APART = "24"  # points: the numbers of three or more lines between two boxes are taken for this large, so that none lies on another
MAX_PODS = 4  # drawn per node, besides those on the packet's way


def diagram(
    network: Network | None = None,
    trace: Trace | None = None,
    *,
    only: Iterable[str] | None = None,
    journey: int = 0,
    now: int | None = None,
    caption: str = "",
    alt: str = "",
    mtu: bool = False,
) -> Figure:
    """The network as a figure; with a trace, the packet's way as numbered hops, and a drop where it happens.

    ``diagram(cluster.network)``, ``diagram(trace)``, or both. ``only`` names the hosts and Pods to draw (default: all of a small network,
    else those on the way); ``now`` marks one step. ModelError for what is neither, and for a name that the network does not have.
    """
    if trace is None and isinstance(network, Trace):
        network, trace = None, network
    if network is None and trace is None:
        raise ModelError(TEXT["nothing"])
    network = as_network(network) if network is not None else as_trace(trace).network
    walk = steps(trace, journey) if trace is not None else ()
    only = None if only is None else [only] if isinstance(only, str) else list(only)
    for name in only or ():
        network.namespace(name)
    drawing = _Drawing(network, walk, only, now, mtu)
    graph = drawing.draw()
    return Figure.of(graph, alt or (alt_text(walk) if walk else drawing.alt()), caption)


def alt_text(walk: Sequence[Step]) -> str:
    """What the picture of a walk shows, in one sentence."""
    last, balanced = walk[-1], is_balanced(walk)
    way = ", ".join(place_name(step.place, balanced=balanced) for step in walk)
    if last.ended == "dropped":
        reason = next((word for word in last.happened if word.startswith("dropped")), "")
        return TEXT["alt-dropped"].format(
            start=walk[0].place.netns,
            n=last.number,
            place=place_name(last.place, balanced=balanced),
            reason=reason.removeprefix("dropped: "),
            way=way,
        )
    told = "alt-delivered-1" if len(walk) == 2 else "alt-delivered"
    return TEXT[told].format(start=walk[0].place.netns, end=last.place.netns, n=len(walk) - 1, way=way)


def _is_uplink(interface: Interface) -> bool:
    return interface.kind == "veth" and interface.peer[0] == UNDERLAY


class _Drawing:
    """One picture in the making: which boxes, in which clusters and ranks, and the lines between them."""

    def __init__(self, network: Network, walk: Sequence[Step], only: Iterable[str] | None, now: int | None, mtu: bool) -> None:
        self.network, self.walk, self.now, self.mtu = network, walk, now, mtu
        self.on_way = {step.place.id for step in walk}
        self.graph: graphviz.Digraph = canvas("network", nodesep="0.3", ranksep="0.42")
        self.ranks: dict[str, list[str]] = {}
        self.drawn: set[str] = set()
        self.pairs = self._pairs()
        self.names = self._names(only)

    def _names(self, only: Iterable[str] | None) -> list[str]:
        touched = list(dict.fromkeys(step.place.netns for step in self.walk))
        if only is not None:
            chosen = list(dict.fromkeys([*only, *touched]))
        elif len(self.network) <= 24:
            chosen = list(self.network)
        else:
            chosen = touched or list(self.network)[:12]
        for name in list(chosen):
            if name != UNDERLAY and role(self.network, name) == "pod":
                chosen.append(host_of(self.network, name))
        if any(role(self.network, name) in (HOST, OUTSIDE) for name in chosen) and UNDERLAY in self.network:
            chosen.append(UNDERLAY)
        return list(dict.fromkeys(filter(None, chosen)))

    def _pairs(self) -> list[tuple[Place, Place, int]]:
        """The packet's way: from place to place, numbered."""
        return [(one.place, two.place, two.number - 1) for one, two in zip(self.walk, self.walk[1:], strict=False)]

    def alt(self) -> str:
        found = [name for name in self.names if role(self.network, name) == HOST]
        pods = [name for name in self.names if role(self.network, name) == "pod"]
        if not found:
            return f"Network namespaces: {', '.join(self.names)}."
        return (
            "A network: "
            + "; ".join(f"{h} with Pods {', '.join(p for p in pods if host_of(self.network, p) == h) or 'none'}" for h in found)
            + "."
        )

    def draw(self) -> graphviz.Digraph:
        for host in hosts(self.network, self.names):
            self._host(host)
        for name in self.names:
            if role(self.network, name) in ("plain", OUTSIDE) or (
                role(self.network, name) == "pod" and host_of(self.network, name) not in self.names
            ):
                self._pod(self.graph, name)
        if any(role(self.network, name) == FABRIC for name in self.names):
            self._underlay()
        for members in self.ranks.values():
            with self.graph.subgraph() as rank:
                rank.attr(rank="same")
                for member in members:
                    rank.node(member)
                for left, right in itertools.pairwise(members):  # keep the order in which they were made
                    rank.edge(left, right, style="invis")
        self._links()
        self._way()
        return self.graph

    def _box(self, graph: graphviz.Digraph, place: Place, label: str, kind: str, rank: str) -> None:
        classes = [kind]
        if self.walk and place.id not in self.on_way:
            classes.append("dim")
        if self.now is not None and any(step.number == self.now and step.place == place for step in self.walk):
            classes.append("now")
        more = {"margin": WIDER} if kind in ("underlay", "netfilter") else roomy(label)
        graph.node(self._id(place), label, id=svg_id(place), **more, **{"class": " ".join(classes)})
        self.drawn.add(place.id)
        self.ranks.setdefault(rank, []).append(self._id(place))
        if self.walk and self.walk[-1].ended == "dropped" and self.walk[-1].place == place:  # beside the box, in the same frame
            graph.node("drop")
            self.ranks[rank].append("drop")

    @staticmethod
    def _id(place: Place) -> str:
        return place.id.replace(":", "_")

    def _host(self, name: str) -> None:
        namespace = self.network[name]
        uplinks = [i for i in namespace.interfaces.values() if i.peer and i.peer[0] == UNDERLAY]
        address = next((str(a.ip) for i in uplinks for a in i.addresses if not a.ip.is_link_local), "")
        with self.graph.subgraph(name=f"cluster_{name}") as cluster:
            cluster.attr(label=TEXT["host"].format(name=name, address=address).strip(), **{"class": "host"})
            for pod in self._pods(name):
                self._pod(cluster, pod)
            veths = [i for i in namespace.interfaces.values() if i.kind == "veth" and i.peer[0] != UNDERLAY and i.peer[0] in self.names]
            for interface in veths:
                self._box(cluster, Place(name, interface.name), self._label(interface), "interface", "veth")
            for interface in namespace.interfaces.values():
                if interface.kind == "bridge":
                    self._box(cluster, Place(name, interface.name), self._label(interface), "bridge", "bridge")
            if (
                uplinks
                or (veths and not any(i.kind == "bridge" for i in namespace.interfaces.values()))
                or f"{name}/{ROUTING}" in self.on_way
            ):
                self._box(cluster, Place(name, ROUTING), TEXT["routing"], "netfilter", "routing")
            for interface in namespace.interfaces.values():
                if interface.kind in TUNNELS:
                    self._box(cluster, Place(name, interface.name), self._label(interface), "tunnel", "tunnel")
            for interface in uplinks:
                self._box(cluster, Place(name, interface.name), self._label(interface), "interface", "uplink")

    def _pods(self, host: str) -> list[str]:
        pods = [name for name in pods_of(self.network, host) if name in self.names]
        busy = [name for name in pods if any(step.place.netns == name for step in self.walk)]
        return pods if len(pods) <= MAX_PODS + len(busy) else [name for name in pods if name in busy or name in pods[:MAX_PODS]]

    def _pod(self, graph: graphviz.Digraph, name: str) -> None:
        dim = self.walk and not any(step.place.netns == name for step in self.walk)
        kind = "outside" if role(self.network, name) == OUTSIDE else "pod"
        with graph.subgraph(name=f"cluster_{name}") as cluster:
            room = "\u00a0" * (len(name) // 3 if len(name) > 9 else 0)  # bold letters are wider than Graphviz reckons: long names stick out
            below = {"labelloc": "b"} if kind == "outside" and self.walk and not dim else {}  # the way leaves it upwards, a cable downwards
            cluster.attr(label=name + room, **below, **{"class": f"{kind} dim" if dim else kind})
            shown = [i for i in self.network[name].interfaces.values() if i.kind != "loopback" or f"{name}/lo" in self.on_way]
            for interface in shown:
                place = Place(name, interface.name)
                self._box(cluster, place, self._label(interface), "interface", kind)

    def _label(self, interface: Interface) -> str:
        addresses = [str(a.ip) for a in interface.addresses if not a.ip.is_link_local]
        detail = addresses[:1] if len(addresses) < 2 else addresses[:2]
        if interface.kind == "vxlan":
            return "\n".join([TEXT["vxlan"].format(name=interface.name), TEXT["vni"].format(vni=interface.vxlan.vni, mtu=interface.mtu)])
        if interface.kind == "ipip":
            return "\n".join([TEXT["ipip"].format(name=interface.name), TEXT["mtu"].format(mtu=interface.mtu)])
        name = TEXT["bridge"].format(name=interface.name) if interface.kind == "bridge" else interface.name
        if self.mtu and interface.kind != "loopback":
            detail.append(f"MTU {interface.mtu}")
        return "\n".join([name, *detail])

    def _underlay(self) -> None:
        namespace = self.network[UNDERLAY]
        segments = [i for i in namespace.interfaces.values() if i.kind == "bridge"]
        for interface in segments:
            nets = ", ".join(str(a.network) for a in interface.addresses if not a.ip.is_link_local)
            text = TEXT["internet" if interface.name == INTERNET else "underlay"]
            self._box(self.graph, Place(UNDERLAY, interface.name), text.format(nets=nets), "underlay", "underlay")
        if len(segments) > 1 or f"{UNDERLAY}/{ROUTING}" in self.on_way:
            self._box(self.graph, Place(UNDERLAY, ROUTING), self._router(segments), "underlay", "router")

    def _router(self, segments: Sequence[Interface]) -> str:
        """The router's label: what it is to this packet, and where it is, between networks or, below a single one, at its address there."""
        if is_balanced(self.walk):
            return TEXT["balancer"]
        addresses = [str(a.ip) for i in segments for a in i.addresses if not a.ip.is_link_local]
        return TEXT["router"].format(where=TEXT["between"] if len(segments) > 1 else addresses[0] if addresses else "").strip()

    def _links(self) -> None:
        """The cables and the stack, thin; where the packet goes, its own line stands instead."""
        busy = {frozenset((one.id, two.id)) for one, two, _ in self.pairs}
        for one, two in self._cables():
            if one.id in self.drawn and two.id in self.drawn and frozenset((one.id, two.id)) not in busy:
                dim = " dim" if self.walk else ""
                self.graph.edge(self._id(one), self._id(two), **{"class": "link" + dim})

    def _cables(self) -> Iterable[tuple[Place, Place]]:
        for name in self.names:
            for interface in self.network[name].interfaces.values():
                here = Place(name, interface.name)
                if interface.peer and name != UNDERLAY and interface.peer[0] != UNDERLAY and role(self.network, name) != HOST:
                    yield here, Place(*interface.peer)
                elif interface.peer and interface.peer[0] == UNDERLAY:
                    port = self.network[UNDERLAY].interfaces.get(interface.peer[1])
                    yield here, Place(UNDERLAY, port.master if port and port.master else interface.peer[1])
                if role(self.network, name) == HOST:
                    yield from self._stack(name, interface, here)
                elif name == UNDERLAY and interface.kind == "bridge":
                    yield here, Place(UNDERLAY, ROUTING)

    def _stack(self, name: str, interface: Interface, here: Place) -> Iterable[tuple[Place, Place]]:
        routing = Place(name, ROUTING)
        if interface.master:
            yield here, Place(name, interface.master)
        elif interface.kind == "bridge":
            yield here, routing
        elif interface.kind in TUNNELS:
            yield routing, here
            below = [interface.vxlan.dev] if interface.vxlan else [i.name for i in self.network[name].interfaces.values() if _is_uplink(i)]
            yield from ((here, Place(name, dev)) for dev in below)
        elif _is_uplink(interface):
            if not any(i.kind in TUNNELS for i in self.network[name].interfaces.values()):
                yield routing, here
        elif interface.kind == "veth":
            yield here, routing

    def _way(self) -> None:
        lines = Counter(frozenset((one.id, two.id)) for one, two, _ in self.pairs)
        for one, two, number in self.pairs:
            room = {"fontsize": APART} if lines[frozenset((one.id, two.id))] > 1 else {}
            down = self._level(one) <= self._level(two)
            tail, head = (one, two) if down else (two, one)
            classes = "path" + (" now" if self.now is not None and number + 1 == self.now else "")
            self.graph.edge(
                self._id(tail),
                self._id(head),
                label=str(number),
                dir="forward" if down else "back",
                id=f"hop-{number}",
                **room,
                **{"class": classes},
            )
        if self.walk and self.walk[-1].ended == "dropped":
            self._drop(self.walk[-1])

    def _drop(self, step: Step) -> None:
        event = next(e for e in reversed(step.events) if hasattr(e, "reason"))
        key = "loop" if any(each.skipped for each in self.walk) else "drop"
        self.graph.node("drop", TEXT[key].format(reason=event.reason, detail=event.detail), id="drop", **{"class": "drop"})
        self.graph.edge(self._id(step.place), "drop", dir="forward", id="hop-drop", **{"class": "path"})

    def _level(self, place: Place) -> int:
        order = ("pod", "veth", "bridge", "routing", "tunnel", "uplink", "underlay", "router", "outside")
        return next((order.index(rank) for rank, members in self.ranks.items() if self._id(place) in members), 0)
