"""Lesson 00: the cluster of the course, and one packet of each mode through it; of mode 4 a request, with its two connections."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import ipywidgets

from ..kube.cast import INGRESS, shop
from ..kube.cluster import Cluster
from ..linux.addresses import endpoint
from ..linux.engine import trace as follow
from ..linux.events import Rewritten, Trace
from ..linux.packet import tcp
from ..views.comparison import COMPARISON
from ..views.connections import connections_picture
from ..views.course_map import mode_picture
from ..views.diagrams import diagram
from ..views.figure import Figure
from ..views.pod_picture import pod_picture
from ..views.walk import steps
from .base import Answer, Columns, Explorer
from .twin import table

TEXT = {
    "title": "The map: how things talk in a Kubernetes cluster",
    "mode": "Mode:",
    "option": "{number} · {who}",
    "traced": "{who}. {points}.",
    "carrier": "carried by", "packet": "the packet", "way": "its way", "length": "on the wire", "ttl": "TTL", "lessons": "more in",
    "changed": "rewritten", "translated": "{what}: {old} → {new}, by a rule of {netns}",
    "lesson": "lesson {lessons}", "many": "lessons {lessons}",
    "places": "{n} place{s} in {spaces}", "inside": "1 place, inside {space}",
    "bytes": "{first} bytes", "grows": "{first} bytes, {most} at most: a packet inside a packet",
    "stays": "{ttl}: nobody routed it", "falls": "{before} → {after}: {n} hosts routed it",
    "columns": "this mode|in this cluster", "request": "the request", "answer": "the answer", "sees": "the Pod sees",
    "controller": "{peer}, the controller; the client is in a header",
}  # fmt: skip
PACKETS: Mapping[str, tuple[str, str]] = {
    "2.1": ("pod/web", "pod/api-1:8080"),
    "2.2": ("pod/web", "pod/api-2:8080"),
    "3": ("pod/web", "svc/api:80"),
}
"""Mode → the two ends of the packet that shows it; of mode 1, see ``INSIDE``."""
INSIDE = ("web", ("web", "log"), 8080)
"""The Pod that shows mode 1, its containers, the second of which calls the first, and the port at localhost."""
REQUEST = "https://www.example.com/api"
"""The request that shows mode 4."""


class MapExplorer(Explorer):
    """The cluster (default: the course's) with the way of one packet, chosen by mode, and what carries it."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        cluster = cluster or shop()
        options = [(TEXT["option"].format(number=number, who=who), number) for number, who, *_ in COMPARISON]
        looks = {"layout": {"width": "26em"}, "style": {"description_width": "4em"}}
        mode = ipywidgets.Dropdown(options=options, value="2.2", description=TEXT["mode"], **looks)
        super().__init__(TEXT["title"], lambda mode: view(cluster, mode), {"mode": mode}, [["mode"]])


def view(cluster: Cluster, mode: str, edge: Cluster | None = None) -> Answer:
    """The map for one mode: pure. ``edge`` is the cluster with a way in from outside, by default the course's."""
    _, who, carrier, points, lessons = next(row for row in COMPARISON if row[0] == mode)
    points = points[0].upper() + points[1:]
    taken = (TEXT["lessons"], TEXT["lesson" if lessons.isdigit() else "many"].format(lessons=lessons))
    traced = TEXT["traced"].format(who=who, points=points)
    if mode == "4":
        return Answer(traced, _visited(edge or with_edge(), carrier, taken))
    if mode == "1":
        pod, containers, port = INSIDE
        trace = follow(cluster.network, pod, tcp("127.0.0.1", "127.0.0.1", port), process=containers[1])
        picture = pod_picture(cluster.network, pod, containers, trace)
    else:
        trace = (cluster.with_proxy("iptables") if mode == "3" else cluster).trace(*PACKETS[mode])
        picture = diagram(trace=trace)
    facts = [(TEXT["carrier"], carrier), *_told(trace), taken]
    return Answer(traced, (Columns((picture,), (_facts(facts, TEXT["columns"]),)),))


def with_edge() -> Cluster:
    """The course's cluster with an Ingress controller, a load balancer and a client outside."""
    return shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)


def _visited(cluster: Cluster, carrier: str, taken: tuple[str, str]) -> tuple[Figure | str, ...]:
    """A request from outside: its connections, and the journey as facts."""
    found = cluster.journey(REQUEST)
    peer = TEXT["controller"].format(peer=found.connections[-1].there.end.packet.src)
    asked = [(TEXT["request"], str(found.request)), (TEXT["answer"], str(found.response)), (TEXT["sees"], peer)]
    return mode_picture("4"), connections_picture(found), _facts([(TEXT["carrier"], carrier), *asked, taken], TEXT["columns"])


def _told(trace: Trace) -> list[tuple[str, str]]:
    """What the trace says of the packet."""
    walk = steps(trace)
    spaces = list(dict.fromkeys(step.place.netns for step in walk))
    way = TEXT["places"].format(n=len(walk), s="" if len(walk) == 1 else "s", spaces=", ".join(spaces))
    first, most = walk[0].length, max(step.length for step in walk)
    ttls = trace.sent.ttl, trace.end.packet.ttl
    key = "stays" if ttls[0] == ttls[1] else "falls"
    ttl = TEXT[key].format(ttl=ttls[0], before=ttls[0], after=ttls[1], n=ttls[0] - ttls[1])
    return [
        (TEXT["packet"], str(trace.sent)),
        *((TEXT["changed"], _changed(event)) for event in trace.all(Rewritten, 0) if event.what in ("DNAT", "SNAT")),
        (TEXT["way"], way if len(walk) > 1 else TEXT["inside"].format(space=spaces[0])),
        (TEXT["length"], TEXT["grows" if most > first else "bytes"].format(first=first, most=most)),
        (TEXT["ttl"], ttl),
    ]


def _changed(event: Rewritten) -> str:
    """Who put which address in the place of which."""
    if event.what == "DNAT":
        old, new = endpoint(event.old.dst, event.old.dport), endpoint(event.new.dst, event.new.dport)
    else:
        old, new = endpoint(event.old.src, event.old.sport), endpoint(event.new.src, event.new.sport)
    return TEXT["translated"].format(what=event.what, old=old, new=new, netns=event.netns)


def _facts(rows: list[tuple[str, str]], head: str) -> str:
    return table(head.split("|"), [(escape(name), escape(text)) for name, text in rows])
