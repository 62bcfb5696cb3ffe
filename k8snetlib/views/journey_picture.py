"""The whole journey as one picture, from the client down to the Pod that answers: a box for each machine on each connection, the addresses
on the lines, what the controller did in its box. The way back is the dashed line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kube.cni.sandbox import UNDERLAY
from ..kube.edge.journey import Connection, Journey
from ..kube.outside import CLIENT
from ..linux.addresses import endpoint
from ..linux.events import Encapsulated, Rewritten, Trace
from .figure import Figure
from .journey import TEXT as WORDS
from .journey import ends_tls, place, response
from .render import canvas
from .routes import matched
from .topology import role
from .way_picture import BESIDE, KINDS, legs

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "client": "client\n{address}\n{request}",
    "sender": "{name}\n{address}\n{request}",
    "balancer": "load balancer\n{address}",
    "router": "router",
    "machine": "{name}\n{address}",
    "dnat": "{what} to {dst}",
    "snat": "SNAT from {src}",
    "tunnel": "by tunnel",
    "controller": "controller {name}\n{address}\nsees {peer}",
    "ends": "the client's connection ends here",
    "ends-second": "the balancer's connection ends here",
    "tls": "TLS ends here: {key}",
    "own": "its own certificate", "tls-pod": "TLS ends here",
    "rule": "{rule}\n→ {backend}",
    "passed": "passed on, unread\n→ {backend}",
    "says": "answers {response}",
    "pod": "{name}\n{address}\nsees {peer}\nanswers {response}",
    "drop": "✕ {reason}",
    "alt": "{request}. {ways} {end}.",
    "alt-way": "Connection {n}: {way}.",
    "alt-end": "The answer is {response}",
}  # fmt: skip


def journey_picture(found: Journey, *, back: bool = True, caption: str = "") -> Figure:
    """``journey_picture(cluster.journey("https://www.example.com/api"))``, with the answers' ways unless ``back`` is False."""
    return Figure.of(_Drawing(found, back).draw(), alt(found), caption)


class _Drawing:
    def __init__(self, found: Journey, back: bool) -> None:
        self.found, self.back = found, back
        self.graph: graphviz.Digraph = canvas("journey", ranksep="0.5", nodesep="0.9")
        self.graph.attr("node", margin="0.3,0.08")
        self.boxes: dict[str, tuple[str, str]] = {}
        self.rank: dict[str, int] = {}

    def draw(self) -> graphviz.Digraph:
        for number, each in enumerate(self.found.connections):
            self._connection(number, each)
        for key, (label, kind) in self.boxes.items():
            self.graph.node(_id(key), label, **{"class": kind})
        return self.graph

    def _key(self, number: int, netns: str) -> str:
        """A machine's box: one for each connection, save those in which one connection ends and the next begins."""
        found = self.found
        came = found.incoming.there
        controller = came.end.netns if came.delivered and found.entry.table is not None else ""
        if netns == controller and number >= found.balanced:
            return "controller"
        shared = found.balanced and netns == UNDERLAY and number < 2
        return "balancer" if shared else f"{number} {netns}"

    def _connection(self, number: int, each: Connection) -> None:
        trace = each.there
        self._box(number, trace.start, trace)
        self.rank.setdefault(self._key(number, trace.start), 0)
        for leg in legs(trace):
            tail, head = self._key(number, leg.tail), self._key(number, leg.head)
            self.rank.setdefault(head, self.rank[tail] + 1)
            self._box(number, leg.head, trace)
            self._edge(tail, head, _ends(leg.packet, _tunnelled(trace, leg.tail)), "path", "forward")
        if not trace.delivered:
            self._drop(number, trace, "path")
        elif self.back and each.back is not None:
            self._back(number, each.back)

    def _back(self, number: int, trace: Trace) -> None:
        for leg in legs(trace, back=True):
            tail, head = self._key(number, leg.tail), self._key(number, leg.head)
            if head not in self.rank:
                self.rank[head] = self.rank.get(tail, 1) - 1
                self._box(number, leg.head, trace)
            label = _ends(leg.packet, False)
            if self.rank[head] < self.rank.get(tail, 0):
                self._edge(head, tail, label, "reply", "back")
            else:
                self._edge(tail, head, label, "reply", "forward")
        if not trace.delivered:
            self._drop(number, trace, "reply")

    def _edge(self, tail: str, head: str, label: str, kind: str, direction: str) -> None:
        text = "\n".join(f"{BESIDE}{line}\u00a0" for line in label.split("\n"))
        constraint = {} if self.rank[head] > self.rank[tail] else {"constraint": "false"}
        self.graph.edge(_id(tail), _id(head), label=text, dir=direction, **constraint, **{"class": kind})

    def _drop(self, number: int, trace: Trace, kind: str) -> None:
        key = self._key(number, trace.end.netns)
        drop = f"drop {number} {kind}"
        self.boxes[drop] = (TEXT["drop"].format(reason=trace.end.reason), "drop")
        self.rank[drop] = self.rank.get(key, 0) + 1
        self._edge(key, drop, "", kind, "forward")

    def _box(self, number: int, netns: str, trace: Trace) -> None:
        key = self._key(number, netns)
        if key not in self.boxes:
            self.boxes[key] = self._controller() if key == "controller" else self._machine(number, netns, trace)

    def _machine(self, number: int, netns: str, trace: Trace) -> tuple[str, str]:
        kind = KINDS[role(trace.network, netns)]
        address = end_address(trace, netns)
        lines = list(dict.fromkeys(_rewrites(trace, netns)))
        found = self.found
        if netns == UNDERLAY:
            name = place(netns, trace)
            label = TEXT["router"]
            if name == WORDS["balancer"]:
                label = TEXT["balancer"].format(address=found.connections[0].there.sent.dst)
                lines += [TEXT["ends"]] if found.balanced and found.connections[0].works else []
            kind = "outside" if name == WORDS["balancer"] else "underlay"
        elif netns == trace.start and number == 0:
            key = "client" if netns == CLIENT else "sender"
            label = TEXT[key].format(name=netns, address=address, request=short(str(found.request)))
        elif trace.delivered and netns == trace.end.netns:
            label = TEXT["pod"].format(name=netns, address=address, peer=trace.end.packet.src, response=found.response)
            lines += [TEXT["tls-pod"]] if ends_tls(found, number + 1) else []
        else:
            label = TEXT["machine"].format(name=netns, address=address).strip()
        return "\n".join([label, *lines]), kind

    def _controller(self) -> tuple[str, str]:
        found, first = self.found, self.found.incoming
        name = found.controller.name if found.controller else first.there.end.netns
        lines = [TEXT["controller"].format(name=name, address=end_address(first.there, first.there.end.netns), peer=found.sees)]
        passed = found.onward is not None and found.onward.request is None
        if first.secure and found.heard and (found.certificate or not passed):
            lines.append(TEXT["tls"].format(key=found.certificate or TEXT["own"]))
        lines.append(TEXT["ends-second" if found.balanced else "ends"])
        decision = found.decision
        if passed:
            lines.append(TEXT["passed"].format(backend=decision.backend))
        elif decision and decision.rule and decision.sent:
            lines.append(TEXT["rule"].format(rule=short(matched(decision.rule).replace("\n", ", ")), backend=decision.backend))
        if found.onward is None:
            lines.append(TEXT["says"].format(response=found.response or WORDS["no-answer"]))
        return "\n".join(lines), "service"


def _ends(packet, tunnelled: bool) -> str:
    shown = f"{packet.src} →\n{endpoint(packet.dst, packet.dport)}"
    return f"{shown}\n({TEXT['tunnel']})" if tunnelled else shown


def _tunnelled(trace: Trace, tail: str) -> bool:
    return any(event.netns == tail for event in trace.all(Encapsulated, 0))


def _rewrites(trace: Trace, netns: str) -> list[str]:
    found = [event for event in trace.all(Rewritten, 0) if event.netns == netns and event.what in ("DNAT", "IPVS", "SNAT")]
    return [
        TEXT["snat"].format(src=e.new.src) if e.what == "SNAT" else TEXT["dnat"].format(what=e.what, dst=endpoint(e.new.dst, e.new.dport))
        for e in found
    ]


def end_address(trace: Trace, netns: str) -> str:
    devices = trace.network[netns].interfaces.values()
    version = trace.sent.dst.version
    own = (str(a.ip) for i in devices if i.name == "eth0" for a in i.addresses if a.ip.version == version and not a.ip.is_link_local)
    return next(own, "")


def short(text: str, most: int = 44) -> str:
    """A text that has room for so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _id(key: str) -> str:
    return key.replace(":", "_")


def alt(found: Journey) -> str:
    """The picture in words."""
    told = []
    for number, each in enumerate(found.connections, 1):
        way = [each.there.start, *(leg.head for leg in legs(each.there))]
        told.append(TEXT["alt-way"].format(n=number, way=" → ".join(place(name, each.there) for name in way)))
    return TEXT["alt"].format(request=found.request, ways=" ".join(told), end=TEXT["alt-end"].format(response=response(found)))
