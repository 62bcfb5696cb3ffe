"""Every outcome of a connection in one table: how likely, who gets it, whom that one sees as the sender; and kube-proxy's modes side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from ..linux.addresses import endpoint
from ..linux.events import Delivered, Dropped, Learned, Matched, Rewritten, Trace
from ..linux.ops import ConntrackAdd
from ..linux.state import Conntrack
from ..value import value
from .loops import spelled
from .tables import Table
from .walk import decision

TEXT = {
    "outcomes": "chance|outcome|reaches|sees as its sender|through",
    "modes": "mode|chance|outcome|sees as its sender|rules looked at, sender's node",
    "delivered": "delivered",
    "refused": "refused: {reason}",
    "dropped": "dropped: {reason}",
    "nobody": "–",
    "about": "≈ {share}",
    "translated": "{client} asked {asked}; {answers} answers, to {to}",
    "why": "≈: the kernel keeps a rule's probability as a whole number of 1/2147483648, so {n} endpoints do not get exactly 1/{n} each.",
}
CLOSE = Fraction(1, 1 << 29)


@value
class Outcome:
    """What may become of a connection's first packet. ``weight`` is its exact probability, ``receiver`` the address (and port, where there
    are ports) that got the packet and who listens there, ``source`` the address that the receiver sees; both "" if nobody got it."""

    weight: Fraction
    verdict: str
    reason: str
    receiver: str
    source: str
    way: tuple[str, ...]
    trace: Trace

    @property
    def delivered(self) -> bool:
        return self.verdict == "delivered"


def outcome(weight: Fraction, trace: Trace) -> Outcome:
    """The outcome that a trace shows."""
    end = trace.end
    way = tuple(hop.netns for hop in trace)
    if isinstance(end, Delivered):
        who = f" {end.socket.process}" if end.socket and end.socket.process else ""
        inner = end.packet
        place = endpoint(inner.dst, inner.dport) if inner.proto in ("tcp", "udp", "sctp") else str(inner.dst)
        return Outcome(weight, "delivered", "", place + who, str(inner.src), way, trace)
    refused = isinstance(end, Dropped) and (end.detail.startswith(("REJECT", "reject")) or end.reason == "NO_SOCKET")
    return Outcome(weight, "refused" if refused else "dropped", end.reason if end else "", "", "", way, trace)


def all_outcomes(weighted: Iterable[tuple[Fraction, Trace]]) -> tuple[Outcome, ...]:
    """Outcomes of ``traces(…)``; those that end alike, for the same receiver and sender, are one."""
    found: dict[tuple, Outcome] = {}
    for weight, trace in weighted:
        one = outcome(weight, trace)
        key = (one.verdict, one.reason, one.receiver, one.source)
        found[key] = one if key not in found else Outcome(found[key].weight + weight, *key, found[key].way, found[key].trace)
    return tuple(found.values())


def outcomes(weighted: Iterable[tuple[Fraction, Trace]]) -> Table:
    """``outcomes(cluster.traces("pod/web", "svc/api:80"))``: a row for each outcome. The weights sum to 1 exactly."""
    found = all_outcomes(weighted)
    rows = [(share(o.weight), _verdict(o), o.receiver or TEXT["nobody"], o.source or TEXT["nobody"], spelled(o.way)) for o in found]
    near = next((o.weight.limit_denominator(1000) for o in found if o.weight.denominator > 1000), None)
    why = TEXT["why"].format(n=near.denominator) if near is not None else ""
    return Table(tuple(TEXT["outcomes"].split("|")), tuple(rows), why, whole=frozenset({"chance", "reaches"}))


def modes(by_mode: Mapping[str, Iterable[tuple[Fraction, Trace]]]) -> Table:
    """The same connection in several modes of kube-proxy, a row for each outcome: ``modes({mode: traces, …})``."""
    rows = []
    for mode, weighted in by_mode.items():
        for o in all_outcomes(weighted):
            rows.append((mode, share(o.weight), o.receiver or _verdict(o), o.source or TEXT["nobody"], str(examined(o.trace))))
    return Table(tuple(TEXT["modes"].split("|")), tuple(rows), whole=frozenset({"mode", "chance", "outcome"}))


def share(weight: Fraction) -> str:
    """A probability as a reader likes it: ``1/3``, or ``≈ 1/3`` where the kernel's arithmetic comes that close."""
    near = weight.limit_denominator(1000)
    if near == weight:
        return str(near)
    return TEXT["about"].format(share=near if abs(near - weight) <= CLOSE else f"{float(weight):.4f}")


def _verdict(o: Outcome) -> str:
    return TEXT[o.verdict].format(reason=o.reason)


def examined(trace: Trace, netns: str = "") -> int:
    """How many rules one namespace (default: the first that has any, the sender's node) looked at for this packet, from rule to rule.

    A lookup in a map or set of nftables is one rule, however many elements it has.
    """
    total = last = 0
    walk = None
    for event in trace.all(Matched, 0):
        netns = netns or event.netns
        if event.netns != netns:
            continue
        here = (event.hook, event.table, event.family, event.bridge)
        if here != walk or event.examined <= last:  # the count begins anew with each chain that a hook calls
            total, walk = total + last, here
        last = event.examined
    return total + last


def translations(trace: Trace) -> tuple[Rewritten, ...]:
    """Where the packet's addresses or ports were changed, in order."""
    return tuple(e for e in trace.all(Rewritten, 0) if e.what not in ("TTL", "MARK"))


def deciding_rules(trace: Trace) -> tuple[str, ...]:
    """The rules that led to a translation or verdict, as the real tool lists them, each with the command that shows it."""
    found = []
    for event in trace.all(Matched, 0):
        shown = decision(event)
        if shown is not None:
            found.append(f"{event.netns}: {shown.text}")
    return tuple(dict.fromkeys(found))


def translated(entries: Iterable[Conntrack]) -> tuple[str, ...]:
    """Connections as one reads them, sorted: who asked whom, who answers, and to whom. The ports that a kernel chose are left out, so that
    two machines can be compared; tunnels' own connections, whose every port is one, are too."""
    lines = []
    for entry in entries:
        original, reply = entry.original, entry.reply
        if original.proto == "tcp":
            asked, answers = endpoint(original.dst, original.dport), endpoint(reply.src, reply.sport)
            lines.append(TEXT["translated"].format(client=original.src, asked=asked, answers=answers, to=reply.dst))
    return tuple(sorted(lines))


def connection(trace: Trace, netns: str) -> Conntrack | None:
    """The connection-tracking entry that the packet left in a namespace, not its tunnel's; None if it left none."""
    found = [e.op.entry for e in trace.all(Learned, 0) if isinstance(e.op, ConntrackAdd) and e.netns == netns]
    ends = {trace.sent.dport} | ({trace.end.packet.dport} if isinstance(trace.end, Delivered) else set())
    return next((entry for entry in reversed(found) if entry.original.proto == trace.sent.proto and entry.original.dport in ends), None)
