"""Lessons 02 and 03: pick two Pods and follow the frame between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import ipywidgets

from ..errors import ModelError
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
    "tunnel": "It went through a tunnel.", "asked": "{n} question{s} for a MAC address on the way.",
    "known": "No question for a MAC address: all were known.",
    "no-reply": "There is no reply: the request was not delivered ({reason}).",
    "no-pods": "there is no Pod with a network of its own in this cluster",
}  # fmt: skip
CLOSED = 9999
HELLO = b"hello\n"  # what the command for UDP sends: without data there would be no packet
PROTOS = {"TCP": "tcp", "UDP": "udp", "ping": "icmp"}
COMMANDS = {
    "tcp": "kubectl -n {namespace} exec {source} -- nc -vz -w 2 {target} {port}",
    "udp": "kubectl -n {namespace} exec {source} -- sh -c 'echo hello | nc -u -w 2 {target} {port}'",
    "icmp": "kubectl -n {namespace} exec {source} -- ping -c 1 {target}",
}


class PodPairExplorer(Explorer):
    """Two Pods of the cluster (default: the course's), a protocol and a port; the frame between them, step by step, cold or warm."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._cluster = cluster or shop()
        names = pods(self._cluster)
        states, ways = ([(TEXT[key], key) for key in keys] for keys in (("cold", "warm"), ("request", "reply")))
        controls = {
            "source": _pick("source", names, "13.5em"),
            "target": _pick("target", names, "13.5em", first=names[min(1, len(names) - 1)][1]),
            "proto": _pick("proto", PROTOS, "13.5em"),
            "way": _pick("way", ways, "15.5em"),
            "port": _pick("port", [("", 0)], "22em"),
            "state": _pick("state", states, "27em"),
        }
        self._controls = controls
        self._fit(first=True)
        rows = [["source", "target", "proto", "way"], ["port", "state"]]
        super().__init__(TEXT["title"], lambda **choices: view(self._cluster, **choices), controls, rows, walk=True)

    def settle(self) -> None:
        self._fit()

    def _fit(self, first: bool = False) -> None:
        """The ports that make sense for the target and the protocol."""
        port, proto = self._controls["port"], self._controls["proto"].value
        options = ports(self._cluster, self._controls["target"].value, proto)
        if port.options != options:
            old = port.value
            port.options = options
            port.value = old if not first and old in dict(options).values() else options[0][1]


def pods(cluster: Cluster) -> list[tuple[str, str]]:
    """The Pods with a network of their own as (name, key), the key where a name is not the only one. ModelError if there are none."""
    found = {key: sandbox.pod.name for key, sandbox in cluster.sandboxes.items()}
    if not found:
        raise ModelError(TEXT["no-pods"])
    count = Counter(found.values())
    return [(name if count[name] == 1 else key, key) for key, name in found.items()]


def _pick(name: str, options: Sequence | Mapping, width: str, first: object = None) -> ipywidgets.Dropdown:
    made = ipywidgets.Dropdown(options=options, description=TEXT[name], layout={"width": width}, style={"description_width": "5em"})
    if first is not None:
        made.value = first
    return made


def ports(cluster: Cluster, target: str, proto: str) -> tuple[tuple[str, int], ...]:
    """What one can choose as a port: those that a container listens on, and one that nobody does."""
    if proto == "icmp":
        return ((TEXT["no-port"], 0),)
    sockets = cluster.network[cluster.sandboxes[target].netns].sockets
    found = sorted({socket.port for socket in sockets if socket.proto == proto})
    return (*((TEXT["declared"].format(port=p), p) for p in found), (TEXT["closed"].format(port=CLOSED), CLOSED))


def view(cluster: Cluster, source: str, target: str, proto: str, port: int, state: str, way: str) -> Answer:
    """The walk between two Pods, given by their keys (``shop/web``): pure."""
    start = warm(cluster, source, target) if state == "warm" else cluster.network
    data = {"data": HELLO} if proto == "udp" else {}
    trace = cluster.trace(_end(cluster, source), _end(cluster, target, port), proto, network=start, **data)
    pod = cluster.sandboxes[source].pod
    command = COMMANDS[proto].format(namespace=pod.namespace, source=pod.name, target=trace.sent.dst, port=port)
    typed = f"<pre>$ {escape(command)}</pre>"
    if way == "reply":
        reply = trace.reply
        if reply is None:
            return Answer(TEXT["no-reply"].format(reason=trace.end.reason), (typed,), trace, "bad")
        trace = reply
    return Answer(summary(trace), (typed,), trace, "good" if trace.delivered else "bad")


def _end(cluster: Cluster, key: str, port: int = 0) -> str:
    """A Pod as ``trace`` takes it, by its address: a name need not be the only one."""
    address = cluster.sandboxes[key].addresses[0].ip
    host = f"[{address}]" if address.version == 6 and port else str(address)
    return f"{host}:{port}" if port else host


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
    if key not in cluster.cache:
        there = cluster.trace(_end(cluster, source), _end(cluster, target), "icmp")
        network = after(cluster.network, there)
        back = there.reply
        cluster.cache[key] = after(back.network, back) if back is not None else network
    return cluster.cache[key]
