"""Lessons 02 and 03: pick two Pods and follow the frame between them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import ipywidgets

from ..kube.cast import shop
from ..kube.cluster import Cluster
from ..linux.engine import after
from ..linux.events import Asked, Decapsulated, Encapsulated, Rewritten, Trace
from ..linux.state import Network
from .base import Answer, Explorer

TEXT = {
    "title": "Two Pods and a frame between them",
    "source": "From Pod:", "target": "To Pod:", "proto": "Protocol:", "port": "Port:", "state": "Tables:", "way": "Follow:",
    "declared": "{port}, where it listens", "closed": "{port}, where nobody listens", "no-port": "none, ping has no ports",
    "cold": "cold: nobody knows a MAC address", "warm": "warm: the two have talked before",
    "request": "the request", "reply": "the reply",
    "delivered": "{packet} is delivered.", "dropped": "{packet} is dropped in {where}: {reason}, {detail}.",
    "routers": "TTL {before} → {after}: {n} host{s} routed it.", "switched": "No host routed it: TTL stays {ttl}.",
    "tunnel": "It went through a tunnel.", "asked": "{n} question{s} for a MAC address on the way.", "known": "No question for a MAC address: all were known.",
    "no-reply": "There is no reply: the request was not delivered ({reason}).",
    "command": "$ {command}",
}  # fmt: skip
CLOSED = 9999
PROTOS = {"TCP": "tcp", "UDP": "udp", "ping": "icmp"}
COMMANDS = {
    "tcp": "kubectl exec {source} -- nc -vz -w 2 {target} {port}",
    "udp": "kubectl exec {source} -- sh -c 'echo hello | nc -u -w 2 {target} {port}'",
    "icmp": "kubectl exec {source} -- ping -c 1 {target}",
}


class PodPairExplorer(Explorer):
    """Two Pods of the cluster (default: the course's), a protocol and a port; the frame between them, step by step, cold or warm."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._cluster = cluster or shop()
        self._warm: dict[tuple[str, str], Network] = {}
        pods = {pod.name: key for key, sandbox in self._cluster.sandboxes.items() if (pod := sandbox.pod) is not None}
        names = list(pods)
        pick = {"layout": {"width": "14em"}}
        controls = {
            "source": ipywidgets.Dropdown(options=names, value=names[0], description=TEXT["source"], **pick),
            "target": ipywidgets.Dropdown(options=names, value=names[1 if len(names) > 1 else 0], description=TEXT["target"], **pick),
            "proto": ipywidgets.Dropdown(options=PROTOS, description=TEXT["proto"], **pick),
            "port": ipywidgets.Dropdown(options=[("", 0)], description=TEXT["port"], layout={"width": "22em"}),
            "state": ipywidgets.Dropdown(options=[(TEXT["cold"], "cold"), (TEXT["warm"], "warm")], description=TEXT["state"], layout={"width": "26em"}),
            "way": ipywidgets.Dropdown(options=[(TEXT["request"], "request"), (TEXT["reply"], "reply")], description=TEXT["way"], **pick),
        }
        self._pick = controls
        self._fit(first=True)
        rows = [["source", "target", "proto"], ["port", "state"], ["way"]]
        super().__init__(TEXT["title"], lambda **choices: view(self._cluster, **choices), controls, rows, walk=True)

    def settle(self) -> None:
        self._fit()

    def _fit(self, first: bool = False) -> None:
        """The ports that make sense for the target and the protocol."""
        port, proto = self._pick["port"], self._pick["proto"].value
        options = ports(self._cluster, self._pick["target"].value, proto)
        if port.options != options:
            old = port.value
            port.options = options
            port.value = old if not first and old in dict(options).values() else options[0][1]


def ports(cluster: Cluster, target: str, proto: str) -> tuple[tuple[str, int], ...]:
    """What one can choose as a port: those that a container listens on, and one that nobody does."""
    if proto == "icmp":
        return ((TEXT["no-port"], 0),)
    sockets = cluster.network[cluster.find(f"pod/{target}").netns].sockets
    found = sorted({socket.port for socket in sockets if socket.proto == proto})
    return (*((TEXT["declared"].format(port=p), p) for p in found), (TEXT["closed"].format(port=CLOSED), CLOSED))


def view(cluster: Cluster, source: str, target: str, proto: str, port: int, state: str, way: str) -> Answer:
    """The walk between two Pods: pure."""
    start = warm(cluster, source, target) if state == "warm" else cluster.network
    goal = f"pod/{target}:{port}" if port else f"pod/{target}"
    trace = cluster.trace(f"pod/{source}", goal, proto, network=start)
    address = trace.sent.dst
    command = TEXT["command"].format(command=COMMANDS[proto].format(source=source, target=address, port=port))
    typed = f"<pre>{escape(command)}</pre>"
    if way == "reply":
        reply = trace.reply
        if reply is None:
            return Answer(TEXT["no-reply"].format(reason=trace.end.reason), (typed,), trace, "bad")
        trace = reply
    return Answer(summary(trace), (typed,), trace, "good" if trace.delivered else "bad")


def summary(trace: Trace) -> str:
    """What became of the packet, in a few sentences."""
    end, sent = trace.end, trace.sent
    if trace.delivered:
        parts = [TEXT["delivered"].format(packet=sent)]
    else:
        parts = [TEXT["dropped"].format(packet=sent, where=end.netns, reason=end.reason, detail=end.detail)]
    routed = [e for e in trace.all(Rewritten, 0) if e.what == "TTL"]
    if routed:
        inner = len(routed)
        parts.append(TEXT["routers"].format(before=routed[0].old.ttl, after=routed[-1].new.ttl, n=inner, s="" if inner == 1 else "s"))
    else:
        parts.append(TEXT["switched"].format(ttl=sent.ttl))
    if trace.all(Encapsulated, 0) or trace.all(Decapsulated, 0):
        parts.append(TEXT["tunnel"])
    asked = len(trace.all(Asked, 0))
    parts.append(TEXT["asked"].format(n=asked, s="" if asked == 1 else "s") if asked else TEXT["known"])
    return " ".join(parts)


def warm(cluster: Cluster, source: str, target: str) -> Network:
    """The network after the two Pods have pinged each other once: neighbour and FDB entries are learned on the whole way."""
    key = ("warm", source, target)
    cache: Mapping = cluster.cache
    if key not in cache:
        there = cluster.trace(f"pod/{source}", f"pod/{target}", "icmp")
        network = after(cluster.network, there)
        back = there.reply
        cluster.cache[key] = after(back.network, back) if back is not None else network
    return cluster.cache[key]
