"""What a request's journey changes and what is restored: every header that somebody rewrites on the way, who does it, who undoes it on the
way back, and what that one remembers it by. Read off the journey's traces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ..kube.edge.journey import Connection, Journey
from ..linux.addresses import endpoint
from ..linux.events import Decapsulated, Encapsulated, Rewritten, Trace, Transmitted
from ..linux.packet import Packet
from .journey import place
from .tables import Table

TEXT = {
    "heads": "on|layer|what changes|who changes it|who restores it for the answer|from what it remembers",
    "caption": "{request}: everything that is rewritten on the way, and what becomes of it on the way back",
    "connection": "{tail} → {head}",
    "http": "HTTP", "tls": "TLS", "tcp": "connection", "ip": "addresses", "ttl": "TTL", "tunnel": "tunnel", "frame": "frame",
    "dst": "destination\n{old} → {new}", "src": "source\n{old} → {new}",
    "wrapped": "+{n} bytes around the packet: {old} → {new}",
    "hops": "{old} → {new}",
    "frames": "new MAC addresses on {n} links", "frame-once": "new MAC addresses on 1 link",
    "sender": "each sender on its link",
    "ended": "{old} ends\n{new} begins", "plain": "encrypted → plain",
    "kept": "{what}: {old} → {new}", "added": "{name}: {content}",
    "nobody": "nobody: the Pod reads it", "anew": "nobody: the answer has its own", "far": "{who}, takes it off again",
    "entry": "its conntrack entry", "ipvs": "its IPVS connection", "proxy": "its two sockets", "session": "its TLS session", "none": "–",
    "not-back": "nobody: the answer is not on its way there",
}  # fmt: skip


def rewrites(found: Journey) -> Table:
    """``rewrites(cluster.journey("https://www.example.com/api"))``: a row for each thing that is changed, in the order of the way there."""
    rows: list[tuple[str, ...]] = []
    for number, each in enumerate(found.connections):
        if number:
            rows += _between(found.connections[number - 1], each)
        on = TEXT["connection"].format(tail=each.tail, head=each.head)
        rows += [(on, *cells) for cells in _connection(each)]
    heads = tuple(TEXT["heads"].split("|"))
    shown = [(*([""] if n and rows[n - 1][0] == row[0] else [row[0]]), *row[1:]) for n, row in enumerate(rows)]
    return Table(heads, tuple(shown), TEXT["caption"].format(request=found.request), whole=frozenset(heads[:2]))


def _connection(each: Connection) -> Iterator[tuple[str, ...]]:
    there = each.there
    for event in changes(there):
        undone = _undoer(each.back, event)
        who = place(undone.netns, there) if undone else TEXT["not-back"]
        remembered = TEXT["none"] if undone is None else TEXT["ipvs" if event.what == "IPVS" else "entry"]
        yield TEXT["ip"], _ends(event), place(event.netns, there), who, remembered
    for event in there.all(Encapsulated, 0):
        taker = next((e.netns for e in there.all(Decapsulated, 0) if e.outer.dst == event.outer.dst), "")
        added = len(event.outer) - len(event.inner.payload)
        text = TEXT["wrapped"].format(n=added, old=event.outer.src, new=event.outer.dst)
        yield TEXT["tunnel"], text, event.netns, TEXT["far"].format(who=taker), TEXT["none"]
    routers = [event for event in there.all(Rewritten, 0) if event.what == "TTL"]
    if routers:
        text = TEXT["hops"].format(old=routers[0].old.ttl, new=routers[-1].new.ttl)
        names = ", ".join(name for name, _ in groupby(place(event.netns, there) for event in routers))
        yield TEXT["ttl"], text, names, TEXT["anew"], TEXT["none"]
    links = [pair for pair, _ in groupby((e.frame.src, e.frame.dst) for e in there.all(Transmitted, 0) if e.frame.src)]
    count = len(dict.fromkeys(links))
    yield TEXT["frame"], TEXT["frames" if count != 1 else "frame-once"].format(n=count), TEXT["sender"], TEXT["anew"], TEXT["none"]


def changes(trace: Trace) -> Iterator[Rewritten]:
    """Changes of addresses and ports, those of a tunnel's own headers left out."""
    depth = 0
    for event in trace.of(0):
        depth += (type(event) is Encapsulated) - (type(event) is Decapsulated)
        if type(event) is Rewritten and event.what != "TTL" and not depth:
            yield event


def _undoer(back: Trace | None, change: Rewritten) -> Rewritten | None:
    """Who gives the answer the address back that this change took from the request."""
    old, new = change.old, change.new
    for event in changes(back) if back is not None else ():
        if (old.dst, old.dport) != (new.dst, new.dport) and (event.new.src, event.new.sport) == (old.dst, old.dport):
            return event
        if (old.src, old.sport) != (new.src, new.sport) and (event.new.dst, event.new.dport) == (old.src, old.sport):
            return event
    return None


def _ends(event: Rewritten) -> str:
    old, new = event.old, event.new
    parts = []
    if (old.dst, old.dport) != (new.dst, new.dport):
        parts.append(TEXT["dst"].format(old=endpoint(old.dst, old.dport), new=endpoint(new.dst, new.dport)))
    if (old.src, old.sport) != (new.src, new.sport):
        parts.append(TEXT["src"].format(old=endpoint(old.src, old.sport), new=endpoint(new.src, new.sport)))
    return "\n".join(parts)


def _between(first: Connection, second: Connection) -> Iterator[tuple[str, ...]]:
    """What the one in whom one connection ends and the other begins, a balancer or the controller, does to the request."""
    who = first.head
    text = TEXT["ended"].format(old=_flow(first.there.end.packet), new=_flow(second.there.sent))
    yield who, TEXT["tcp"], text, who, who, TEXT["proxy"]
    if first.secure and not second.secure:
        yield who, TEXT["tls"], TEXT["plain"], who, who, TEXT["session"]
    if first.request is None or second.request is None:
        return
    for what in ("method", "host", "path"):
        old, new = getattr(first.request, what), getattr(second.request, what)
        if old != new:
            yield who, TEXT["http"], TEXT["kept"].format(what=what, old=old, new=new), who, TEXT["nobody"], TEXT["none"]
    for name, content in second.request.headers:
        if (name, content) not in first.request.headers:
            yield who, TEXT["http"], TEXT["added"].format(name=name, content=content), who, TEXT["nobody"], TEXT["none"]


def _flow(packet: Packet) -> str:
    return f"{endpoint(packet.src, packet.sport)} → {endpoint(packet.dst, packet.dport)}"
