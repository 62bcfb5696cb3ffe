"""A connection's way from machine to machine: on each line the addresses that the packet carries there, in each box what was changed.

It leaves out interfaces, bridges and tunnels, which :func:`~k8snetlib.views.diagrams.diagram` shows: the question here is who sees whom.
Several outcomes share one picture; the way back is the dashed line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..kube.cni.sandbox import UNDERLAY
from ..kube.outside import CLIENT
from ..linux.addresses import endpoint
from ..linux.events import Decapsulated, Delivered, Encapsulated, Hop, Rewritten, Trace
from ..linux.packet import Packet
from ..linux.state import Network
from ..value import value
from .figure import Figure
from .loops import Loop, loop, spelled
from .outcomes import share
from .places import of_balancer
from .render import canvas
from .topology import role

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "ends": "{src} →\n{dst}",
    "numbered": "{n}. {ends}",
    "dnat": "{what}: to {dst}",
    "snat": "SNAT: from {src}",
    "client": "client\n{address}",
    "host": "{name}\n{address}",
    "sees": "sees {src}",
    "chance": "chance {share}",
    "router": "router",
    "balancer": "load balancer\n{address}",
    "between": "load balancer",
    "drop": "✕ {reason}",
    "loop": "{detail},\n{rounds} rounds",
    "alt": "{ways}",
    "alt-way": "{way}: {end}",
    "alt-chance": "With chance {share}, {text}",
    "alt-delivered": "delivered; the receiver sees {src}, and {back}",
    "alt-dropped": "dropped, {reason}",
    "alt-back": "the answer goes back by {way}",
    "alt-no-back": "no answer comes back",
    "alt-lost": "the answer is dropped in {where}, {reason}",
}
BESIDE = "\u00a0" * 6
"""Keeps an edge's label off its line, in fonts wider than that which Graphviz counts with, too."""
KINDS = {"pod": "pod", "host": "host", "underlay": "underlay", "outside": "outside", "plain": "pod"}


@value
class Leg:
    """The packet between two machines, without a tunnel's headers."""

    tail: str
    head: str
    packet: Packet
    back: bool = False

    def ends(self) -> str:
        """From whom to whom; of the client's side, whose port is no news, the address alone."""
        src, dst = self.packet.src, self.packet.dst
        if self.back:
            return TEXT["ends"].format(src=endpoint(src, self.packet.sport), dst=dst)
        return TEXT["ends"].format(src=src, dst=endpoint(dst, self.packet.dport))


def way_picture(connections: Trace | Iterable[tuple[Fraction, Trace]], *, back: bool = True, caption: str = "") -> Figure:
    """``way_picture(cluster.traces("client", "node/node-a:30080"))``: the way there, and with ``back`` the answer's."""
    weighted = [(Fraction(1), connections)] if isinstance(connections, Trace) else list(connections)
    return Figure.of(_Drawing(weighted, back).draw(), alt(weighted, back), caption)


def legs(trace: Trace, *, back: bool = False) -> list[Leg]:
    """The packet as it goes from each machine to the next; a router that only passes it on is left out."""
    return [leg for leg, _ in stretches(trace, back=back) if leg.tail]


def stretches(trace: Trace, *, back: bool = False) -> list[tuple[Leg, list[Rewritten]]]:
    """Each leg with what the machine at its end then changes in the packet's addresses and ports; first, if the sender changes any itself
    or is the receiver, a leg from nowhere (``tail`` is "") to the sender. Of a routing loop the first round and the end."""
    found = _stretches(trace, back)
    if circle := _loop(found):
        del found[circle.left_out]
    return found


def _loop(found: list[tuple[Leg, list[Rewritten]]]) -> Loop | None:
    return loop([leg.head for leg, _ in found])


def _stretches(trace: Trace, back: bool) -> list[tuple[Leg, list[Rewritten]]]:
    found = [(Leg("", trace.start, trace.sent, back), [])]
    packet, depth, tail = trace.sent, 0, trace.start
    for hop in trace:
        if hop.netns != tail and (hop.netns != UNDERLAY or _stays(trace, hop, packet)):
            found.append((Leg(tail, hop.netns, packet, back), []))
            tail = hop.netns
        for event in hop.events:
            depth += (type(event) is Encapsulated) - (type(event) is Decapsulated)
            if type(event) is Rewritten and depth == 0:
                packet = event.new
                if event.what != "TTL":
                    found[-1][1].append(event)
    return found[1:] if len(found) > 1 and not found[0][1] else found


def _returns(trace: Trace) -> bool:
    """Whether the way passes a machine twice: then only numbers say which line comes first."""
    way = legs(trace)
    return len({trace.start, *(leg.head for leg in way)}) <= len(way)


def _stays(trace: Trace, hop: Hop, packet: Packet) -> bool:
    """Whether the router does more than to pass the packet on: it is the balancer that the packet is for, translates it, or drops it."""
    translated = any(type(e) is Rewritten and e.what != "TTL" for e in hop.events)
    return translated or trace.end in hop.events or of_balancer(packet.dst)


class _Drawing:
    def __init__(self, weighted: list[tuple[Fraction, Trace]], back: bool) -> None:
        self.weighted, self.back = weighted, back
        self.graph: graphviz.Digraph = canvas("way", ranksep="0.75", nodesep="0.9")
        self.graph.attr("node", margin="0.3,0.09")
        self.network: Network = weighted[0][1].network
        self.lines: dict[str, dict[str, None]] = {}
        self.rank: dict[str, int] = {}
        self.edges: dict[tuple, str] = {}
        self.numbered = any(_returns(trace) for _, trace in weighted)

    def draw(self) -> graphviz.Digraph:
        for weight, trace in self.weighted:
            self._trace(weight, trace)
        for name in self.rank:
            label, kind = self._box(name)
            self.graph.node(_id(name), "\n".join([label, *self.lines.get(name, ())]), **{"class": kind})
        for (tail, head, label, kind), direction in self.edges.items():
            constraint = {} if self.rank[head] > self.rank[tail] else {"constraint": "false"}
            text = "\n".join(f"{BESIDE}{line}\u00a0" for line in label.split("\n")) if label else ""
            self.graph.edge(_id(tail), _id(head), label=text, dir=direction, **constraint, **{"class": kind})
        return self.graph

    def _trace(self, weight: Fraction, trace: Trace) -> None:
        self.rank.setdefault(trace.start, 0)
        self._note(trace.start, trace)
        way = legs(trace)
        for number, leg in enumerate(way, 1):
            self.rank.setdefault(leg.head, self.rank[leg.tail] + 1)
            label = TEXT["numbered"].format(n=number, ends=leg.ends()) if self.numbered else leg.ends()
            self.edges.setdefault((leg.tail, leg.head, label, "path"), "forward")
            self._note(leg.head, trace)
        end = trace.end
        if type(end) is Delivered:
            self._add(end.netns, TEXT["sees"].format(src=end.packet.src))
            if weight != 1:
                self._add(end.netns, TEXT["chance"].format(share=share(weight)))
            if self.back and trace.reply is not None:
                self._reply(trace.reply)
        else:
            self._drop(trace, "path")

    def _reply(self, reply: Trace) -> None:
        for leg in legs(reply, back=True):
            self.rank.setdefault(leg.head, self.rank[leg.tail] + 1)
            label = leg.ends()
            if self.rank[leg.head] < self.rank[leg.tail]:  # drawn from above, so that it lies beside the way there
                self.edges.setdefault((leg.head, leg.tail, label, "reply"), "back")
            else:
                self.edges.setdefault((leg.tail, leg.head, label, "reply"), "forward")
        if not reply.delivered:
            self._drop(reply, "reply")

    def _drop(self, trace: Trace, kind: str) -> None:
        end = trace.end
        drop = f"drop {end.netns} {end.reason}"
        if circle := _loop(_stretches(trace, kind == "reply")):
            self._add(drop, TEXT["loop"].format(detail=end.detail, rounds=circle.rounds))
        self.rank.setdefault(drop, self.rank.get(end.netns, 0) + 1)
        self.edges.setdefault((end.netns, drop, "", kind), "forward")

    def _note(self, netns: str, trace: Trace) -> None:
        """What was changed in a machine goes into its box."""
        depth = 0
        for event in trace.all(Rewritten, 0) if not trace.all(Encapsulated, 0) else trace.of(0):
            depth += (type(event) is Encapsulated) - (type(event) is Decapsulated)
            if type(event) is not Rewritten or event.netns != netns or depth:
                continue
            if event.what in ("DNAT", "IPVS"):
                self._add(netns, TEXT["dnat"].format(what=event.what, dst=endpoint(event.new.dst, event.new.dport)))
            elif event.what == "SNAT":
                self._add(netns, TEXT["snat"].format(src=event.new.src))

    def _add(self, netns: str, line: str) -> None:
        self.lines.setdefault(netns, {})[line] = None

    def _box(self, name: str) -> tuple[str, str]:
        if name.startswith("drop "):
            return TEXT["drop"].format(reason=name.split()[-1]), "drop"
        if name == UNDERLAY:
            found = next((t.sent.dst for _, t in self.weighted if of_balancer(t.sent.dst)), None)
            return (TEXT["balancer"].format(address=found), "outside") if found else (TEXT["router"], "underlay")
        devices = self.network[name].interfaces.values()
        address = next((str(a.ip) for i in devices if i.name == "eth0" for a in i.addresses if not a.ip.is_link_local), "")
        key = "client" if name == CLIENT else "host"
        return TEXT[key].format(name=name, address=address).strip(), KINDS[role(self.network, name)]


def alt(weighted: Iterable[tuple[Fraction, Trace]], back: bool) -> str:
    """The picture in words."""
    return TEXT["alt"].format(ways=" ".join(_told(weighted, back)))


def _told(weighted: Iterable[tuple[Fraction, Trace]], back: bool) -> Iterator[str]:
    for weight, trace in weighted:
        way = _way(trace)
        if trace.delivered:
            end = TEXT["alt-delivered"].format(src=trace.end.packet.src, back=_answer(trace) if back else "")
        else:
            end = TEXT["alt-dropped"].format(reason=trace.end.reason)
        text = TEXT["alt-way"].format(way=way, end=end.removesuffix(", and "))
        yield (text if weight == 1 else TEXT["alt-chance"].format(share=share(weight), text=text)) + "."


def _answer(trace: Trace) -> str:
    if trace.reply is None:
        return TEXT["alt-no-back"]
    if not trace.reply.delivered:
        return TEXT["alt-lost"].format(where=trace.reply.end.netns, reason=trace.reply.end.reason)
    return TEXT["alt-back"].format(way=_way(trace.reply))


def _way(trace: Trace) -> str:
    stops = [trace.start, *(leg.head for leg, _ in _stretches(trace, back=False) if leg.tail)]
    return spelled([between(trace) if name == UNDERLAY else name for name in stops])


def between(trace: Trace) -> str:
    """What the underlay's router is to this connection."""
    return TEXT["between"] if of_balancer(trace.sent.dst) or of_balancer(trace.end.packet.src) else TEXT["router"]


def _id(name: str) -> str:
    return name.replace(":", "_")
