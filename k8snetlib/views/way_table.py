"""A connection's addresses, line by line: which source and destination the packet has between two machines, which of them each machine
changes, and where that is undone on the way back. :func:`~k8snetlib.views.way_picture.way_picture` draws the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..kube.cni.sandbox import UNDERLAY
from ..linux.addresses import endpoint
from ..linux.events import Delivered, Dropped, Rewritten, Trace
from .tables import Table
from .way_picture import Leg, between, stretches

TEXT = {
    "heads": "way|from|to|source|destination|what happens there",
    "caption": "{way}: the addresses on each line",
    "there": "there", "back": "back",
    "sends": "sends",
    "dst": "destination becomes {address}", "src": "source becomes {address}",
    "undone-dst": "destination is {address} again", "undone-src": "source is {address} again",
    "chooses": "chooses {name}",
    "sees": "gets it, and sees {address}",
    "answered": "has its answer, from {address}",
    "drop": "✕ {reason}",
    "nobody": "–",
}  # fmt: skip


def way_table(trace: Trace, *, back: bool = True) -> Table:
    """``way_table(cluster.trace("client", "lb/web:80"))``: a row for each line from machine to machine, the way there and, with ``back``,
    the answer's. Tunnels and bridges are left out, and a router that only passes the packet on."""
    rows = list(_rows(trace, trace, back=False))
    if back and trace.delivered and trace.reply is not None:
        rows += _rows(trace.reply, trace, back=True)
    heads = tuple(TEXT["heads"].split("|"))
    stops = [trace.start, *(leg.head for leg, _ in stretches(trace) if leg.tail)]
    way = " → ".join(_named(name, trace) for name in stops)
    return Table(heads, tuple(rows), TEXT["caption"].format(way=way), frozenset(heads[3:5]), frozenset(heads[:5]))


def _rows(trace: Trace, request: Trace, back: bool) -> Iterator[tuple[str, ...]]:
    found = stretches(trace, back=back)
    for at, (leg, changes) in enumerate(found):
        after = found[at + 1][0].head if at + 1 < len(found) else ""
        packet = leg.packet
        ends = endpoint(packet.src, packet.sport), endpoint(packet.dst, packet.dport)
        words = [*_changed(changes, back), *_other(leg, changes, after, trace, request, back)]
        tail = _named(leg.tail, request) if leg.tail else TEXT["nobody"]
        yield TEXT["back" if back else "there"], tail, _named(leg.head, request), *ends, "\n".join(words)


def _named(name: str, request: Trace) -> str:
    return between(request) if name == UNDERLAY else name


def _changed(changes: Iterable[Rewritten], back: bool) -> Iterator[str]:
    undone = "undone-" if back else ""
    for event in changes:
        old, new = event.old, event.new
        if (old.dst, old.dport) != (new.dst, new.dport):
            yield TEXT[f"{undone}dst"].format(address=endpoint(new.dst, new.dport))
        if (old.src, old.sport) != (new.src, new.sport):
            yield TEXT[f"{undone}src"].format(address=endpoint(new.src, new.sport))


def _other(leg: Leg, changes: list[Rewritten], after: str, trace: Trace, request: Trace, back: bool) -> Iterator[str]:
    """What happens at the end of a line beside changes: a balancer's choice, the packet's end."""
    end = trace.end
    if after:
        if leg.head == UNDERLAY and not changes and not back:
            yield TEXT["chooses"].format(name=_named(after, request))
    elif type(end) is Delivered:
        yield TEXT["answered" if back else "sees"].format(address=end.packet.src)
    elif type(end) is Dropped:
        yield TEXT["drop"].format(reason=end.reason)
