"""A trace as text: what a terminal shows, and what a capture would have shown."""

from __future__ import annotations

import re

from ..kube.cni.sandbox import UNDERLAY
from ..kube.outside import INTERNET
from ..linux.engine import captures
from ..linux.events import Answered, Asked, Trace, as_trace
from ..linux.packet import Frame, describe
from . import places
from .places import is_balanced
from .tools import Text
from .topology import Place
from .walk import ROUTING, Step, steps

TEXT = {
    "delivered": "delivered to {where} in {n} steps",
    "delivered-1": "delivered to {where} in one step",
    "inside": "delivered inside {where}, without leaving it",
    "dropped": "dropped in {where}: {reason} ({detail})",
    "loop": "a routing loop",
    "nowhere": "went nowhere",
    "asked": "asks {how}: who has {ip}?",
    "routing": "routing, netfilter",
    "bytes": "{n} bytes",
    "underlay": "underlay",
    "changed": "changed: {what}",
}
INSIDE = re.compile(r"(?<=: )(VXLAN vni \d+:) ")
WRAP = r"\1\n" + " " * 29


def place_name(place: Place, *, balanced: bool = False) -> str:
    """``node-a routing, netfilter`` or ``web eth0``; what is below the nodes as in the pictures: ``router``, or ``load balancer``."""
    if place.netns == UNDERLAY and place.part in (ROUTING, INTERNET):
        return places.place_name(place, balanced=balanced)
    return f"{place.netns} {TEXT['routing'] if place.part == ROUTING else place.part}"


def summary(trace: Trace) -> str:
    """How it ended, in one line."""
    end = trace.end
    if end is None:
        return TEXT["nowhere"]
    if trace.delivered:
        crossed = len(steps(trace)) - 1
        return TEXT[("inside", "delivered-1", "delivered")[min(crossed, 2)]].format(where=end.netns, n=crossed)
    said = TEXT["dropped"].format(where=end.netns, reason=end.reason, detail=end.detail)
    return f"{said}: {TEXT['loop']}" if any(step.skipped for step in steps(trace)) else said


def text(trace: Trace, *, verbose: bool = True) -> Text:
    """``text(trace)``: the walk for a terminal, a heading, a paragraph for each step, the outcome. ``verbose`` adds the deciding entries."""
    walk, lines = steps(trace), [describe(as_trace(trace).sent), ""]
    balanced = is_balanced(walk)
    for step in walk:
        lines += step_lines(step, verbose, balanced=balanced)
    return Text("\n".join([*lines, summary(trace)]))


def step_lines(step: Step, verbose: bool = True, *, balanced: bool = False) -> list[str]:
    """One step: where, how many bytes, what happened, what changed, what decided."""
    size = TEXT["bytes"].format(n=step.length)
    lines = [f"{step.number:>2}  {place_name(step.place, balanced=balanced)}  ({size})"]
    lines += [f"      {words}" for words in step.happened]
    if step.changes:
        changed = [f"{c.layer} {c.field} {c.old} → {c.new}" if c.field else f"{c.layer} {c.old or c.new}" for c in step.changes]
        lines.append("      " + TEXT["changed"].format(what="; ".join(changed)))
    if verbose:
        lines += [f"        $ {d.tool}\n" + "\n".join(f"          {line}" for line in d.text.splitlines()) for d in step.decisions]
    return lines


def tcpdump(trace: Trace, netns: str = "", dev: str = "", *, link: bool = False) -> Text:
    """``tcpdump(trace, "node-a", "eth0")``: the frames that ``tcpdump -i any`` (or on one interface) would have printed, one a line, in order;
    ``link`` adds MAC addresses. ModelError for a namespace or interface that there is not.

    What travels inside a tunnel begins a line of its own, as the real tool prints it.
    """
    seen = captures(trace)
    if trace.network is not None and netns and not any(each.netns == netns and dev in ("", each.dev) for each in seen):
        namespace = trace.network.namespace(netns)  # there is such a one, and only no packet in it
        if dev:
            namespace.interface(dev)
    lines = []
    for capture in seen:
        if (not netns or capture.netns == netns) and (not dev or capture.dev == dev):
            frame = capture.frame
            words = describe(frame) if link else describe(frame.payload) if isinstance(frame, Frame) else describe(frame)
            where = f"{capture.netns} {capture.dev}" if not netns else capture.dev
            lines.append(f"{where:<22} {capture.direction:<3} {INSIDE.sub(WRAP, words)}")
    return Text("\n".join(lines))


def questions(trace: Trace) -> list[tuple[str, str]]:
    """Each question that had to be answered on the way: (namespace, ``ARP: who has 10.244.1.1? 0a:58:…``)."""
    found = []
    for asked in trace.all(Asked, 0):
        how = "ARP" if asked.ip.version == 4 else "neighbour discovery"
        answer = next((e.why for e in trace.all(Answered, asked.question)), "nobody answers")
        found.append((asked.netns, f"{TEXT['asked'].format(how=how, ip=asked.ip)} {answer}"))
    return found
