"""Lesson 00: the whole map of the course, and one packet of each mode through the one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import ipywidgets

from ..kube.cast import shop
from ..kube.cluster import Cluster
from ..value import value
from ..views.diagrams import diagram
from .base import Answer, Explorer
from .twin import table

TEXT = {
    "title": "The map: how things talk in a Kubernetes cluster",
    "mode": "Mode:",
    "traced": "{what} {n} steps in {places} network namespace{s}; lesson {lesson} takes it apart.",
    "later": "{what} No packet is drawn for this mode here: it is taken apart in lesson {lesson}.",
    "alt": "The map of the cluster, without a packet.",
    "columns": "mode|who does the work|what to remember|lesson",
    "caption": "All modes",
    "here": "{name} ◀",
    "packet": "The packet: <code>{packet}</code>",
}


@value
class Mode:
    """A way in which things talk: its row of the table and, where the cluster can carry one, the packet that shows it."""

    name: str
    what: str
    who: str
    remember: str
    lesson: str
    source: str = ""
    target: str = ""


MODES: Mapping[str, Mode] = {
    "localhost": Mode(
        "1 · container to container, in one Pod", "Two containers of one Pod talk over localhost: the packet never leaves the Pod.",
        "the Pod's network namespace", "one address, one port space", "01", "pod/web", "127.0.0.1:8080",
    ),
    "one-node": Mode(
        "2.1 · Pod to Pod, on one node", "Two Pods of one node talk through a bridge: switched, not routed.",
        "veth pairs and a bridge", "layer 2: MAC addresses decide", "02", "pod/web", "pod/api-1:8080",
    ),
    "across": Mode(
        "2.2 · Pod to Pod, across nodes", "Two Pods on two nodes talk through a VXLAN tunnel: the packet travels inside a packet.",
        "the CNI plug-in: a tunnel, or routes", "Pods keep their addresses: no NAT", "03, 04", "pod/web", "pod/api-2:8080",
    ),
    "service": Mode(
        "3 · Pod to Service", "A Service is one stable address for Pods that come and go; no interface has that address.",
        "kube-proxy: rules on every node", "the rules put a Pod's address in its place", "05–07",
    ),
    "outside": Mode(
        "4 · outside to cluster", "A client on the Internet reaches a Pod through a node's port, a load balancer, an Ingress or a Gateway.",
        "load balancer, Ingress or Gateway controller", "every way ends at a Service's Pods", "07–09, 11",
    ),
}  # fmt: skip


class MapExplorer(Explorer):
    """The cluster of the course with the way of one packet, chosen by mode, and the table of all modes."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        cluster = cluster or shop()
        options = [(mode.name, key) for key, mode in MODES.items()]
        mode = ipywidgets.Dropdown(options=options, value="across", description=TEXT["mode"], layout={"width": "26em"})
        super().__init__(TEXT["title"], lambda mode: view(cluster, mode), {"mode": mode}, [["mode"]])


def view(cluster: Cluster, mode: str) -> Answer:
    """The map for one mode: pure."""
    chosen = MODES[mode]
    if chosen.source:
        trace = cluster.trace(chosen.source, chosen.target)
        figure = diagram(trace=trace)
        n = len({event.netns for event in trace.of(0)})
        summary = TEXT["traced"].format(what=chosen.what, n=len(walk_places(trace)), places=n, s="" if n == 1 else "s", lesson=chosen.lesson)
        packet = (f"<p>{TEXT['packet'].format(packet=escape(str(trace.sent)))}</p>",)
    else:
        figure, packet = diagram(cluster.network), ()
        summary = TEXT["later"].format(what=chosen.what, lesson=chosen.lesson)
    rows = []
    for key, other in MODES.items():
        name = TEXT["here"].format(name=other.name) if key == mode else other.name
        rows.append(tuple(escape(cell) for cell in (name, other.who, other.remember, other.lesson)))
    return Answer(summary, (*packet, figure, table(TEXT["columns"].split("|"), rows, TEXT["caption"])))


def walk_places(trace) -> tuple:
    """The steps of the packet's walk."""
    from ..views.walk import steps

    return steps(trace)
