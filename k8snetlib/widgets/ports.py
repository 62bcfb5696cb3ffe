"""Lesson 01: the containers of one Pod share one address and one port space."""

from __future__ import annotations

from html import escape
from ipaddress import ip_address
from itertools import pairwise

import ipywidgets

from ..errors import ModelError
from ..kube.cast import shop
from ..linux.draft import build
from ..linux.engine import trace as trace_packet
from ..linux.events import Dropped, Trace
from ..linux.ops import Listen
from ..linux.packet import tcp
from ..linux.state import Network, Socket
from ..value import replace, value
from ..views.figure import Figure
from ..views.render import WIDER, canvas
from .base import Answer, Columns, Explorer
from .twin import table

POD, OTHER = "web", "api-1"
PORTS = (8080, 8081, 9090)
TEXT = {
    "title": "Containers of one Pod and their ports",
    "web": "web listens:", "log": "log listens:", "bind": "web binds:", "caller": "Who calls:", "port": "Port:",
    "nothing": "on nothing", "on": "on port {port}",
    "every": "every address (*)", "loopback": "127.0.0.1 alone",
    "call-web": "web, at localhost", "call-log": "log, at localhost",
    "call-other": "api-1, at its localhost", "call-pod": "api-1, at web's 10.244.1.2",
    "delivered": "{who} reaches container {to} at {address}:{port}.",
    "refused": "{who} calls {address}:{port} and gets “connection refused”: {why}.",
    "nobody": "nothing listens there in the network namespace of Pod {pod}",
    "elsewhere": "localhost is Pod api-1's own, with its own ports, not web's",
    "only-lo": "web listens on 127.0.0.1, which outside the Pod is somebody else's address",
    "clash": "Container web cannot start: its port {port} is taken, by log (EADDRINUSE).",
    "why-clash": "log is a sidecar, so it starts first and has the port; then web asks for the same one. A Pod has one port space.",
    "status": "What Kubernetes shows",
    "sockets": "ss -ltnp inside the Pod, without the queue columns",
    "no-sockets": "(no socket listens)",
    "logs": "kubectl -n shop logs web -c web",
    "alt": "Pod web, {address}, with its containers web ({web}) and log ({log}), lo and eth0, and Pod api-1 beside it. {result}",
    "crashed": "crashed", "listens": "listens on {socket}", "silent": "listens on nothing",
    "way": "The path of the call",
    "columns": "container|asks for|gets",
    "bound": "bound", "taken": "<strong>EADDRINUSE</strong>: address already in use",
    "table": "One port space for both containers",
}  # fmt: skip
CALLERS = {"web": ("web", "127.0.0.1"), "log": ("log", "127.0.0.1"), "other": ("api-1", "127.0.0.1"), "pod": ("api-1", "10.244.1.2")}


@value
class Started:
    """The Pod after its containers have started, log first: the network, who listens where, and whether ``web`` found its port taken."""

    network: Network
    sockets: tuple[Socket, ...]
    clash: bool


class PortsExplorer(Explorer):
    """Which ports the two containers of Pod web ask for, who calls, and what comes of it."""

    def __init__(self) -> None:
        choices = [(TEXT["on"].format(port=port), port) for port in PORTS] + [(TEXT["nothing"], 0)]
        pick = {"layout": {"width": "20em"}, "style": {"description_width": "6.5em"}}
        binds = [(TEXT[key], key) for key in ("every", "loopback")]
        callers = [(TEXT[f"call-{who}"], who) for who in CALLERS]
        controls = {
            "web": ipywidgets.Dropdown(options=choices, value=8080, description=TEXT["web"], **pick),
            "bind": ipywidgets.Dropdown(options=binds, description=TEXT["bind"], **pick),
            "log": ipywidgets.Dropdown(options=choices, value=9090, description=TEXT["log"], **pick),
            "caller": ipywidgets.Dropdown(options=callers, value="log", description=TEXT["caller"], **pick | {"layout": {"width": "24em"}}),
            "port": ipywidgets.Dropdown(options=PORTS, value=8080, description=TEXT["port"], **pick),
        }
        super().__init__(TEXT["title"], view, controls, [["web", "bind"], ["log"], ["caller", "port"]])


def start(web: int, bind: str, log: int) -> Started:
    """Start the containers: the sidecar first, as a native sidecar does, then the app."""
    network = shop().network
    network = network.with_({POD: replace(network[POD], sockets=())})
    sockets: list[Socket] = []
    address = None if bind == "every" else ip_address("127.0.0.1")
    clash = False
    for socket in (Socket("tcp", log, None, "log"), Socket("tcp", web, address, "web")):
        if not socket.port:
            continue
        try:
            network = build([Listen(POD, socket)], network)
            sockets.append(socket)
        except ModelError:  # EADDRINUSE: all else about the socket is right
            clash = True
    return Started(network, tuple(sockets), clash)


def view(web: int, bind: str, log: int, caller: str, port: int) -> Answer:
    """One choice of ports and caller: pure."""
    started = start(web, bind, log)
    who, address = CALLERS[caller]
    at = OTHER if caller in ("other", "pod") else POD
    source = "10.244.1.3" if caller == "pod" else "127.0.0.1"
    trace = trace_packet(started.network, at, tcp(source, address, port), process=who)
    result = _result(trace, caller, who, address, port)
    ports, shown = [_table(started, web, bind, log)], [f"<p>{TEXT['sockets']}</p><pre>{escape(_ss(started.sockets))}</pre>"]
    if started.clash:
        result = f"{TEXT['clash'].format(port=web)} {result}"
        ports.append(f"<p>{escape(TEXT['why-clash'])}</p>")
        shown.append(f"<p>{TEXT['logs']}</p><pre>{escape(LOG.format(port=web))}</pre><p>{TEXT['status']}</p><pre>{escape(STATUS)}</pre>")
    drawing = picture(started, trace, caller, web, log, result)
    tone = "bad" if started.clash or not trace.delivered else "good"
    return Answer(result, (drawing, Columns(tuple(ports), tuple(shown))), None, tone)


SS_HEAD = "State   Local Address:Port  Peer Address:Port  Process"
LOG = "listen tcp :{port}: bind: address already in use"
STATUS = """$ kubectl -n shop get pod web
NAME   READY   STATUS             RESTARTS      AGE
web    1/2     CrashLoopBackOff   3 (21s ago)   70s"""


def _ss(sockets: tuple[Socket, ...]) -> str:
    """The listening sockets as ``ss`` lists them, its queue columns left out."""
    lines = [f'LISTEN  {_local(socket):<19} *:*                users:(("{socket.process}"))' for socket in sockets]
    return "\n".join([SS_HEAD, *(lines or [TEXT["no-sockets"]])])


def _result(trace: Trace, caller: str, who: str, address: str, port: int) -> str:
    if trace.delivered:
        to = "api" if caller == "other" else trace.end.socket.process
        return TEXT["delivered"].format(who=who, to=to, address=address, port=port)
    pod = OTHER if caller == "other" else POD
    why = TEXT["elsewhere"] if caller == "other" else TEXT["nobody"].format(pod=pod)
    refused = isinstance(trace.end, Dropped) and any(s.port == port for s in trace.network[POD].sockets) and caller == "pod"
    return TEXT["refused"].format(who=who, address=address, port=port, why=TEXT["only-lo"] if refused else why)


def _table(started: Started, web: int, bind: str, log: int) -> str:
    rows = []
    for name, port, host in (("log", log, "*"), ("web", web, "*" if bind == "every" else "127.0.0.1")):
        bound = any(socket.process == name for socket in started.sockets)
        asks = f"<code>{host}:{port}</code>" if port else TEXT["nothing"]
        rows.append((name, asks, "–" if not port else TEXT["bound"] if bound else TEXT["taken"]))
    return table(TEXT["columns"].split("|"), rows, TEXT["table"])


def picture(started: Started, trace: Trace, caller: str, web: int, log: int, result: str) -> Figure:
    """The Pod as a frame with its containers, lo and eth0 in it, and the call as a path."""
    graph = canvas("ports", ranksep="0.5", nodesep="0.6")
    sockets = {socket.process: socket for socket in started.sockets}
    with graph.subgraph(name="cluster_web") as pod:
        pod.attr(label=f"Pod {POD}\none network namespace", **{"class": "pod"})
        for name, port in (("web", web), ("log", log)):
            crashed = port and name not in sockets
            words = TEXT["crashed"] if crashed else TEXT["listens"].format(socket=_local(sockets[name])) if port else TEXT["silent"]
            wider = {"margin": WIDER} if crashed else {}
            pod.node(f"c-{name}", f"container {name}\n{words}", **wider, **{"class": "drop" if crashed else "interface"})
        pod.node("lo", "lo\n127.0.0.1", **{"class": "interface"})
        pod.node("eth0", "eth0\n10.244.1.2", **{"class": "interface"})
    with graph.subgraph(name="cluster_other") as pod:
        pod.attr(label=f"Pod {OTHER}\nanother network namespace", **{"class": "pod" if caller in ("other", "pod") else "pod dim"})
        dim = "" if caller in ("other", "pod") else " dim"
        pod.node("c-other", "container api\nlistens on *:8080", **{"class": f"interface{dim}"})
        pod.node("lo-other", "lo\n127.0.0.1", **{"class": f"interface{dim}"})
        pod.node("eth0-other", "eth0\n10.244.1.3", **{"class": f"interface{dim}"})
    _call(graph, trace, caller)
    said = {name: _local(sockets[name]) if name in sockets else TEXT["silent"] for name in ("web", "log")}
    return Figure.of(graph, TEXT["alt"].format(address="10.244.1.2", result=result, **said))


def _local(socket: Socket) -> str:
    return f"{socket.address or '*'}:{socket.port}"


def _call(graph, trace: Trace, caller: str) -> None:
    """The lines: who calls, through which interface, and where it ends."""
    ways = {"web": ["c-web", "lo"], "log": ["c-log", "lo"], "other": ["c-other", "lo-other"], "pod": ["c-other", "eth0-other", "eth0"]}
    way = ways[caller]
    if trace.delivered:
        way.append("c-other" if caller == "other" else f"c-{trace.end.socket.process}")
    order = ("c-web", "c-log", "c-other", "lo", "lo-other", "eth0", "eth0-other")
    pairs = list(pairwise(way))
    for number, (one, two) in enumerate(pairs, 1):
        if (two, one) in pairs[: number - 1]:
            continue  # there and back again is one line
        both = (two, one) in pairs
        down = order.index(one) <= order.index(two)
        tail, head = (one, two) if down else (two, one)
        beside = {one, two} == {"eth0", "eth0-other"}
        label, arrows = (f"{number}–{number + 1}", "both") if both else (str(number), "forward" if down else "back")
        graph.edge(tail, head, label=label, dir=arrows, constraint="false" if beside else "true", **{"class": "path"})
    busy = {frozenset(pair) for pair in pairs}
    for pod, containers in (("", ("c-web", "c-log")), ("-other", ("c-other",))):
        for container in containers:
            for dev in (f"lo{pod}", f"eth0{pod}"):
                if frozenset((container, dev)) not in busy:
                    graph.edge(container, dev, **{"class": "link dim"})
    if not trace.delivered:
        graph.node("drop", f"refused\n{trace.end.reason}", **{"class": "drop"})
        graph.edge(way[-1], "drop", dir="forward", **{"class": "path"})
