"""The packet walk: a trace cut into steps, one for each place that the packet comes through, with what was decided and what changed.

Everything that shows a trace (text, table, diagram, the stepping widget) reads these steps. A place is an interface, a bridge, the host's
routing and netfilter, or a segment of the underlay; in a Pod, its interface stands for its whole small stack.
"""

from __future__ import annotations

from ..linux.addresses import endpoint
from ..linux.events import (
    Answered,
    Asked,
    Bridged,
    Decapsulated,
    Delivered,
    Dropped,
    Encapsulated,
    Event,
    Fragmented,
    Learned,
    Marked,
    Matched,
    Reassembled,
    Received,
    Resolved,
    Rewritten,
    Routed,
    Sent,
    Trace,
    Tracked,
    Transmitted,
    as_trace,
)
from ..linux.packet import Frame, Packet, Vxlan
from ..linux.state import Network
from ..value import value
from .headers import Change, Header, changes, headers, size
from .loops import fold
from .topology import FABRIC, HOST, Place, role, segment_place

TEXT = {
    "sent": "{who} sends {packet}",
    "kernel": "the kernel of {netns}",
    "outer": "the outer packet: from {src} to {dst}, UDP port {port}",
    "received": "arrives at {dev}",
    "transmitted": "leaves through {dev}",
    "bridged": "bridge {bridge} switches it to {port}",
    "flooded": "bridge {bridge} does not know {mac} and floods it to {ports}",
    "multicast": "bridge {bridge} floods the broadcast to {ports}",
    "local": "bridge {bridge}: the frame is for the bridge itself, so it goes up to the host",
    "forward": "not for this host: route it on",
    "deliver": "for this host",
    "output": "route chosen",
    "asked": "the MAC address of {ip} is unknown: ask on {dev}, and wait",
    "resolved": "next hop {ip} has MAC address {mac}",
    "encapsulated": "{dev} wraps the frame in UDP for {dst}",
    "encapsulated-ip": "{dev} puts the packet into another IP packet, for {dst}",
    "outer-ip": "the outer packet: from {src} to {dst}, protocol 4 (IP in IP)",
    "decapsulated": "{dev} takes the outer headers off",
    "delivered": "delivered to {socket}",
    "kernel-delivered": "delivered: the kernel itself takes it",
    "dropped": "dropped: {reason}, {detail}",
    "ttl": "TTL {old} → {new}",
    "rewritten": "{what}: {old} → {new}",
    "mark": "mark {old:#x} → {new:#x}",
    "tracked": "conntrack: {state}",
    "matched": "{table} {chain}: {verdict}",
    "policy": "{table} {chain}: policy {verdict}",
    "element": "element {element}",
    "fragmented": "cut into {n} fragments to fit MTU {mtu}",
    "reassembled": "fragments put together again",
    "answered": "answers: {why}",
    "learned": "learns {what}",
    "chose": "chance 1 in {odds}",
}

ROUTING = "routing"


@value
class Decision:
    """What decided, in the words of the tool that shows it: ``tool`` is what one would type to see ``text``."""

    tool: str
    text: str


@value
class Step:
    """One place of the walk. ``happened`` says it in words; ``headers`` is the packet as it leaves the place, ``changes`` against the step before."""

    number: int
    place: Place
    happened: tuple[str, ...]
    decisions: tuple[Decision, ...]
    headers: tuple[Header, ...]
    changes: tuple[Change, ...]
    length: int
    events: tuple[Event, ...]
    ended: str = ""  # "delivered", "dropped" or ""
    skipped: str = ""  # of rounds of a routing loop that are left out before this step, the sentence in ``happened``

    def __repr__(self) -> str:
        return f"<Step {self.number}: {self.place.netns} {self.place.part}>"


def steps(trace: Trace, journey: int = 0) -> tuple[Step, ...]:
    """The walk of one journey of the trace, in order; of a routing loop the first round and the end."""
    cached = as_trace(trace)._cache.setdefault("steps", {})
    if journey not in cached:
        cached[journey] = fold(_Walker(trace, journey).walk())
    return cached[journey]


class _Walker:
    """Assigns events to places, then makes the steps."""

    def __init__(self, trace: Trace, journey: int) -> None:
        self.trace, self.journey = trace, journey
        self.network: Network = trace.network
        self.runs: list[tuple[Place, list[Event]]] = []
        self.waiting: list[Event] = []  # events whose place the next one tells

    def walk(self) -> tuple[Step, ...]:
        for event in self.trace.of(self.journey):
            self._assign(event)
        self._flush(self._fallback())
        made: list[Step] = []
        before: tuple[Header, ...] = ()
        item: Frame | Packet | None = None
        for number, (place, events) in enumerate(self.runs, 1):
            item = _last_form(events, item)
            now = headers(item)
            ends = [e for e in events if type(e) in (Delivered, Dropped)]
            ended = "" if not ends else "delivered" if any(type(e) is Delivered for e in ends) else "dropped"
            words = tuple(filter(None, (say(e) for e in events)))
            decided = tuple(filter(None, (decision(e) for e in events)))
            made.append(
                Step(
                    number,
                    place,
                    tuple(dict.fromkeys(words)),
                    decided,
                    now,
                    changes(before, now) if before else (),
                    size(item),
                    tuple(events),
                    ended,
                )
            )
            before = now
        return tuple(made)

    def _put(self, place: Place, event: Event) -> None:
        if self.runs and self.runs[-1][0] == place:
            self.runs[-1][1].append(event)
        else:
            self.runs.append((place, [event]))

    def _flush(self, place: Place | None) -> None:
        for event in self.waiting:
            if place is not None:
                self._put(place, event)
        self.waiting.clear()

    def _fallback(self) -> Place | None:
        if not self.waiting:
            return None
        last = self.waiting[-1]
        netns = last.netns
        if type(last) is Dropped and last.dev and not self._routed():  # a device dropped it, not the host behind it
            return self._interface(netns, last.dev)
        if role(self.network, netns) in (HOST, FABRIC):
            return Place(netns, ROUTING)
        return self.runs[-1][0] if self.runs and self.runs[-1][0].netns == netns else self._interface(netns, self._first_dev(netns))

    def _first_dev(self, netns: str) -> str:
        routed = next((e for e in self.waiting if type(e) is Routed and e.route.dev), None)
        dropped = next((e.dev for e in self.waiting if type(e) is Dropped and e.dev), "")
        others = [name for name in self.network[netns].interfaces if name != "lo"]
        return routed.route.dev if routed else dropped or (others[0] if others else "lo")

    def _interface(self, netns: str, dev: str) -> Place:
        return segment_place(self.network, dev) if role(self.network, netns) == FABRIC else Place(netns, dev)

    def _assign(self, event: Event) -> None:
        kind, netns = type(event), event.netns
        host = role(self.network, netns) in (HOST, FABRIC)
        if self.waiting and self.waiting[-1].netns != netns:
            self._flush(self._fallback())
        if kind in (Received, Transmitted):
            place = self._interface(netns, event.dev)
            self._flush(Place(netns, ROUTING) if host and self._routed() else place)
            self._put(place, event)
        elif kind in (Bridged, Decapsulated, Encapsulated):
            dev = event.bridge if kind is Bridged else event.dev
            place = self._interface(netns, dev)
            self._flush(place if kind is Bridged else self.runs[-1][0] if self.runs else place)
            self._put(place, event)
        elif host or not self.runs or self.runs[-1][0].netns != netns:
            self.waiting.append(event)
        else:
            self._put(self.runs[-1][0], event)

    def _routed(self) -> bool:
        """Whether the waiting events are the host's own forwarding, which is drawn as a place of its own."""
        return any(type(e) is Routed and e.direction == "forward" for e in self.waiting) or any(
            (type(e) is Sent and e.process) or (type(e) is Rewritten and e.what == "IPVS") for e in self.waiting
        )


def _last_form(events: list[Event], before: Frame | Packet | None) -> Frame | Packet | None:
    """The packet as the place hands it on."""
    item = before
    for event in events:
        kind = type(event)
        if kind in (Received, Transmitted, Bridged):
            item = event.frame
        elif kind is Sent:
            item = event.packet
        elif kind in (Rewritten,):
            item = event.new
        elif kind is Encapsulated:
            item = event.outer
        elif kind is Decapsulated:
            item = event.inner
    return item


def say(event: Event) -> str:
    """One event in words; "" for those that need none."""
    kind = type(event)
    if kind is Sent:
        if isinstance(getattr(event.packet.payload, "data", None), Vxlan):
            return TEXT["outer"].format(src=event.packet.src, dst=event.packet.dst, port=event.packet.dport)
        if isinstance(event.packet.payload, Packet):
            return TEXT["outer-ip"].format(src=event.packet.src, dst=event.packet.dst)
        who = event.process or TEXT["kernel"].format(netns=event.netns)
        return TEXT["sent"].format(who=who, packet=event.packet)
    if kind is Received:
        return TEXT["received"].format(dev=event.dev)
    if kind is Transmitted:
        return TEXT["transmitted"].format(dev=event.dev)
    if kind is Bridged:
        return _say_bridged(event)
    if kind is Routed:
        return TEXT[{"forward": "forward", "local": "deliver"}.get(event.direction, "output")]
    if kind is Resolved:
        return TEXT["resolved"].format(ip=event.neighbor.ip, mac=event.neighbor.mac)
    if kind is Encapsulated:
        return TEXT["encapsulated-ip" if event.inner.bare else "encapsulated"].format(dev=event.dev, dst=event.outer.dst)
    if kind is Delivered:
        return TEXT["delivered"].format(socket=event.socket) if event.socket else TEXT["kernel-delivered"]
    if kind is Rewritten:
        return _say_rewritten(event)
    return _say_rest(event)


def _say_bridged(event: Bridged) -> str:
    if event.local and not event.ports:
        return TEXT["local"].format(bridge=event.bridge)
    if event.flooded:
        key = "multicast" if event.frame.is_multicast else "flooded"
        return TEXT[key].format(bridge=event.bridge, mac=event.frame.dst, ports=", ".join(event.ports) or "nobody")
    return TEXT["bridged"].format(bridge=event.bridge, port=", ".join(event.ports))


def _say_rewritten(event: Rewritten) -> str:
    old, new = event.old, event.new
    if event.what == "TTL":
        return TEXT["ttl"].format(old=old.ttl, new=new.ttl)
    if (old.dst, old.dport) != (new.dst, new.dport):
        return TEXT["rewritten"].format(what=event.what, old=endpoint(old.dst, old.dport), new=endpoint(new.dst, new.dport))
    return TEXT["rewritten"].format(what=event.what, old=endpoint(old.src, old.sport), new=endpoint(new.src, new.sport))


def _say_rest(event: Event) -> str:
    kind = type(event)
    if kind is Dropped:
        return TEXT["dropped"].format(reason=event.reason, detail=event.detail)
    if kind is Asked:
        return TEXT["asked"].format(ip=event.ip, dev=event.dev)
    if kind is Decapsulated:
        return TEXT["decapsulated"].format(dev=event.dev)
    if kind is Tracked:
        return TEXT["tracked"].format(state=event.state)
    if kind is Matched:
        key = "policy" if event.rule is None else "matched"
        return TEXT[key].format(table=event.table, chain=event.chain, verdict=event.verdict) if event.rule is not None else ""
    if kind is Marked:
        return TEXT["mark"].format(old=event.old, new=event.new)
    if kind is Fragmented:
        return TEXT["fragmented"].format(n=len(event.pieces), mtu=event.mtu)
    if kind is Reassembled:
        return TEXT["reassembled"]
    if kind is Answered:
        return TEXT["answered"].format(why=event.why)
    return ""


def decision(event: Event) -> Decision | None:
    """The entry that decided, as the real tool prints it, with the command that shows it; None where nothing was looked up."""
    kind = type(event)
    if kind is Routed:
        family = "-6 " if event.route.dst.version == 6 else ""
        table = f" show table {event.route.table}" if event.route.table != "main" else ""
        return Decision(f"ip -n {event.netns} {family}route{table}", str(event.route))
    if kind is Resolved:
        return Decision(f"ip -n {event.netns} neigh", str(event.neighbor))
    if kind in (Bridged, Encapsulated) and event.entry is not None:
        return Decision(f"bridge -n {event.netns} fdb", str(event.entry))
    if kind is Matched and event.rule is not None:
        if event.family:
            element = f"\n{TEXT['element'].format(element=event.element)}" if event.element else ""
            return Decision(
                f"ip netns exec {event.netns} nft list chain {event.family} {event.table} {event.chain}", f"{event.rule}{element}"
            )
        tool = "iptables" if getattr(event.rule, "version", 4) == 4 else "ip6tables"
        return Decision(f"{tool} -t {event.table} -S {event.chain}", f"-A {event.chain} {event.rule}")
    if kind is Learned:
        return None
    return Decision(f"ip netns exec {event.netns} conntrack -L", str(event.entry)) if kind is Tracked and event.entry is not None else None
