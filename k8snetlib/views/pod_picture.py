"""A Pod from close up: its containers, what they listen on, its devices, and a packet's way while it is in the Pod."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..linux.events import Trace
from ..linux.state import Network
from .figure import Figure
from .render import canvas
from .walk import steps

TEXT = {
    "pod": "Pod {pod}\none network namespace",
    "container": "container {name}\nlistens on {detail}",
    "idle": "container {name}\nlistens on nothing",
    "device": "{name}\n{detail}",
    "refused": "refused\n{reason}",
    "listens": "container {name} listens on {detail}",
    "nothing": "nothing",
    "pod-alt": "Pod {pod}, one network namespace: {containers}; devices {devices}. {told}",
    "told": "The packet's way: {way}.",
}


def pod_picture(network: Network, pod: str, containers: Sequence[str], trace: Trace | None = None, caption: str = "") -> Figure:
    """Mode 1 from close up: a Pod's containers, what they listen on, its devices, and the way of a packet while it is in this Pod.

    A container is known by its name as a process: what its sockets and the trace's sender are called.
    """
    graph = canvas("pod", ranksep="0.55", nodesep="0.5")
    bound = [(s.process, f"{s.proto} {s.address or '*'}:{s.port}") for s in network[pod].sockets]
    listens = {name: ", ".join(where for process, where in bound if process == name) for name in containers}
    has = {dev.name: next((str(a.ip) for a in dev.addresses if not a.ip.is_link_local), "") for dev in network[pod].interfaces.values()}
    way = _inside(trace, pod, containers) if trace else []
    with graph.subgraph(name="cluster_pod") as frame:
        frame.attr(label=TEXT["pod"].format(pod=pod), **{"class": "pod"})
        for kind, things in (("container", listens), ("device", has)):
            with frame.subgraph() as rank:
                rank.attr(rank="same")
                for name, detail in things.items():
                    label = TEXT[kind].format(name=name, detail=detail) if detail else TEXT["idle"].format(name=name)
                    rank.node(f"{kind}-{name}", label, **{"class": "interface"})
        if trace and way[-1] == "drop":
            frame.node("drop", TEXT["refused"].format(reason=trace.end.reason), **{"class": "drop"})
    for name in containers:
        for dev in has:
            if not {(f"container-{name}", f"device-{dev}"), (f"device-{dev}", f"container-{name}")} & set(pairwise(way)):
                graph.edge(f"container-{name}", f"device-{dev}", **{"class": "link dim" if way else "link"})
    for number, (here, there) in enumerate(pairwise(way), 1):
        up = there.startswith("container")
        graph.edge(*((there, here) if up else (here, there)), label=str(number), dir="back" if up else "forward", **{"class": "path"})
    said = [TEXT["listens"].format(name=name, detail=detail or TEXT["nothing"]) for name, detail in listens.items()]
    told = TEXT["told"].format(way=", ".join(step.replace("-", " ", 1) for step in way)) if way else ""
    devices = ", ".join(f"{name} {address}".strip() for name, address in has.items())
    return Figure.of(graph, TEXT["pod-alt"].format(pod=pod, containers="; ".join(said), devices=devices, told=told).strip(), caption)


def _inside(trace: Trace, pod: str, containers: Sequence[str]) -> list[str]:
    """The packet's way in one Pod: from the container that sends it, through devices, to the one that gets it or to its drop."""
    first, end = trace.events[0], trace.end
    way = [f"device-{step.place.part}" for step in steps(trace) if step.place.netns == pod]
    sender, receiver = getattr(first, "process", ""), end.socket.process if trace.delivered and end.socket else ""
    if first.netns == pod and sender in containers:
        way.insert(0, f"container-{sender}")
    if end.netns == pod:
        way += [f"container-{receiver}"] if receiver in containers else [] if trace.delivered else ["drop"]
    return way
