"""Lesson 03: what a way between nodes costs in headers, where the limits are, and what happens to a packet that is too big."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import ipywidgets

from ..kube.cast import shop
from ..kube.cluster import Cluster
from ..kube.cni import CNIS
from ..kube.cni.sandbox import UNDERLAY
from ..linux.draft import build
from ..linux.events import Answered, Delivered, Dropped, Encapsulated, Event, Fragmented, Received, Trace, Transmitted
from ..linux.ops import LinkSet, Op, RuleEnsure
from ..linux.packet import Frame, Icmp, Packet
from ..linux.state import Network
from ..value import value
from .bars import Wire, bars
from .base import Answer, Explorer
from .twin import table

SOURCE = "pod/web"
WAYS = ("vxlan", "ipip", "calico-vxlan", "calico-vxlan-cross-subnet", "host-gw", "bridge")
TOO_SMALL_PATH = 1400
PAYLOAD = (0, 2000, 1422)  # bytes: least, most, and what fits exactly under VXLAN and Ethernet's 1500
TEXT = {
    "title": "A tunnel's headers and the MTU",
    "cni": "CNI:", "mtu": "MTU:", "payload": "Payload:", "df": "don't fragment", "to": "To:", "family": "IP:",
    "pod/api-2": "api-2, on the same segment", "pod/report": "report, behind the router",
    "right": "as the plug-in sets it", "pods": "wrong: Pods have the nodes' MTU", "tunnel": "wrong: Pods and tunnel have the nodes' MTU",
    "silent": "wrong: Pods have the nodes' MTU, and ICMP is filtered",
    "path": f"wrong: the network between the nodes takes only {TOO_SMALL_PATH}",
    "fits": "It fits: delivered in one piece.",
    "fits-tunnel": "It fits: delivered in one piece. The tunnel adds {n} bytes to the IP packet.",
    "emsgsize": "It does not leave the Pod: the sender gets EMSGSIZE, because {n} bytes are more than the MTU {mtu} of its own {dev}.",
    "icmp": "{where} drops it and says so: {message}. A sender that hears this sends smaller packets (path MTU discovery).",
    "fragments": "It is delivered in pieces: cut in {where}; {frames} frames travel between the nodes instead of 1.",
    "hole": "A black hole: {detail}. Nobody tells the sender, which waits and tries again.",
    "unreachable": "Nobody on the way knows that Pod: {detail}. The sender hears {message}.",
    "dropped": "It is dropped in {where}: {reason}, {detail}.",
    "pod-wire": "Leaving Pod web", "node-wire": "Between the nodes", "far-wire": "Arriving at Pod {pod}",
    "none": "nothing is seen here",
    "table": "The limits on the way, in bytes",
    "columns": "where|MTU|largest IP packet here|fits?",
    "yes": "✓ yes, {room} to spare", "no": "✕ no, {over} too many", "not": "–", "not-here": "does not get here",
    "path-name": "network between the nodes",
    "place": "{dev} of {netns}",
    "typed": "$ kubectl exec -n shop web -- ping -c 1 -M {how} -s {payload} {dst}",
    "alt": "The frames on three wires, header by header, against the MTU. {summary}",
}  # fmt: skip
PING = {  # as iputils prints it
    "answer": "{n} bytes from {dst}: icmp_seq=1 ttl={ttl}",
    "local": "ping: local error: message too long, mtu={mtu}",
    "too-big": "From {src} icmp_seq=1 Frag needed and DF set (mtu = {mtu})",
    "unreachable": "From {src} icmp_seq=1 Destination Net Unreachable",
    "too-big6": "From {src} icmp_seq=1 Packet too big: mtu={mtu}",
    "unreachable6": "From {src} icmp_seq=1 Destination unreachable: No route",
    "lost": "1 packets transmitted, 0 received, 100% packet loss",
}
MTUS = ("right", "pods", "silent", "tunnel", "path")
SILENCE = {4: "-p icmp -j DROP", 6: "-p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP"}
PLAIN = ("loopback", "veth", "bridge", "dummy")


class TunnelExplorer(Explorer):
    """A ping of any size from Pod web to a Pod on another node: the bytes on every wire, the limits, and what becomes of it."""

    def __init__(self) -> None:
        made = Networks()
        label = {"description_width": "5em"}
        least, most, first = PAYLOAD
        mistakes = [(TEXT[key], key) for key in MTUS]
        wide = {"width": "44em", "max_width": "100%"}
        cnis, targets = [(CNIS[name].title, name) for name in WAYS], [(TEXT[name], name) for name in ("pod/api-2", "pod/report")]
        controls = {
            "cni": ipywidgets.Dropdown(options=cnis, description=TEXT["cni"], style=label, layout={"width": "22em"}),
            "to": ipywidgets.Dropdown(options=targets, description=TEXT["to"], style=label, layout={"width": "24em"}),
            "family": ipywidgets.Dropdown(options=["IPv4", "IPv6"], description=TEXT["family"], style=label, layout={"width": "11em"}),
            "mtu": ipywidgets.Dropdown(options=mistakes, description=TEXT["mtu"], style=label, layout={"width": "36em"}),
            "payload": ipywidgets.IntSlider(first, least, most, description=TEXT["payload"], style=label, layout=wide),
            "df": ipywidgets.Checkbox(True, description=TEXT["df"], indent=False, layout={"width": "12em", "margin": "2px 0 2px 12px"}),
        }
        super().__init__(TEXT["title"], lambda **choices: view(made, **choices), controls, [["cni", "to", "family"], ["mtu", "df"], ["payload"]])


class Networks:
    """The cluster under each plug-in, in each family and with each MTU mistake, built once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str], tuple[Cluster, Network]] = {}

    def of(self, cni: str, family: str, mtu: str) -> tuple[Cluster, Network]:
        if (cni, family, mtu) not in self._made:
            cluster = shop(cni, families=(family,), node_c=True)
            self._made[cni, family, mtu] = cluster, build(list(mistake(cluster, mtu)), cluster.network)
        return self._made[cni, family, mtu]


def mistake(cluster: Cluster, mtu: str) -> Iterator[Op]:
    """The ops that make the MTUs wrong in one of the ways of ``MTUS``."""
    hosts = {host.name: host for host in cluster.hosts}
    if mtu == "tunnel":
        for host in cluster.hosts:
            for dev in tunnels(cluster.network, host.name):
                yield LinkSet(host.name, dev, mtu=host.mtu)
    if mtu in ("pods", "tunnel", "silent"):
        for sandbox in cluster.sandboxes.values():
            yield LinkSet(sandbox.netns, "eth0", mtu=hosts[sandbox.host].mtu)
            yield LinkSet(sandbox.host, sandbox.veth, mtu=hosts[sandbox.host].mtu)
    if mtu == "silent":
        for host in cluster.hosts:
            version = host.addresses[0].version
            yield RuleEnsure(host.name, "filter", "OUTPUT", SILENCE[version], version)
    if mtu == "path":
        for host in cluster.hosts:
            netns, port = cluster.network[host.name].interfaces["eth0"].peer
            yield LinkSet(netns, port, mtu=TOO_SMALL_PATH)


def tunnels(network: Network, host: str) -> list[str]:
    """The tunnel devices of a host."""
    return [i.name for i in network[host].interfaces.values() if i.kind not in PLAIN]


def view(made: Networks, cni: str, to: str, family: str, mtu: str, payload: int, df: bool) -> Answer:
    """One ping: pure."""
    cluster, network = made.of(cni, family, mtu)
    trace = cluster.trace(SOURCE, to, "icmp", network=network, data=bytes(payload), df=df)
    limits = list(places(cluster, network, trace, to))
    words = outcome(trace)
    typed = TEXT["typed"].format(how="do" if df else "dont", payload=payload, dst=trace.sent.dst)
    blocks = (
        f"<pre>{escape(typed)}\n{escape(printed(trace, payload))}</pre>",
        bars(wires(limits), TEXT["alt"].format(summary=words)),
        table(TEXT["columns"].split("|"), list(_rows(limits, trace)), TEXT["table"]),
    )
    cut = trace.all(Fragmented, 0)
    return Answer(words, blocks, None, "bad" if not trace.delivered else "" if cut else "good")


@value
class Limit:
    """A place with a limit: its name, its MTU in bytes, and the frames that get there."""

    name: str
    wire: str
    mtu: int
    frames: tuple[Frame, ...]
    netns: str
    dev: str


def places(cluster: Cluster, network: Network, trace: Trace, to: str) -> Iterator[Limit]:
    """The places on the way that have a limit of their own, in order."""
    here, there = cluster.find(SOURCE), cluster.find(to)
    node = next(s.host for s in cluster.sandboxes.values() if s.netns == here.netns)
    port = network[node].interfaces["eth0"].peer
    yield _limit(network, trace, here.netns, "eth0", Transmitted, TEXT["pod-wire"])
    for dev in tunnels(network, node):
        yield _limit(network, trace, node, dev, Transmitted, "")
    yield _limit(network, trace, node, "eth0", Transmitted, TEXT["node-wire"])
    yield _limit(network, trace, *port, Received, "", TEXT["path-name"])
    yield _limit(network, trace, there.netns, "eth0", Received, TEXT["far-wire"].format(pod=there.netns))


def _limit(network: Network, trace: Trace, netns: str, dev: str, kind: type, wire: str, name: str = "") -> Limit:
    frames = tuple(e.frame for e in trace.all(kind, 0) if (e.netns, e.dev) == (netns, dev))
    return Limit(name or TEXT["place"].format(dev=dev, netns=netns), wire, network[netns].interfaces[dev].mtu, frames, netns, dev)


def wires(limits: list[Limit]) -> list[Wire]:
    """The wires to draw: those of the Pods and the one between the nodes."""
    return [Wire(limit.wire, limit.name, limit.mtu, limit.frames, TEXT["none"]) for limit in limits if limit.wire]


def _rows(limits: list[Limit], trace: Trace) -> Iterator[tuple[str, ...]]:
    for limit in limits:
        size = _size_at(limit, trace)
        if not size:
            yield escape(limit.name), str(limit.mtu), TEXT["not-here"], TEXT["not"]
            continue
        over = size - limit.mtu
        yield escape(limit.name), str(limit.mtu), str(size), TEXT["no"].format(over=over) if over > 0 else TEXT["yes"].format(room=-over)


def _size_at(limit: Limit, trace: Trace) -> int:
    """The largest IP packet that came to the place, or was refused or cut there; 0 if none came."""
    sizes = [len(frame.payload) for frame in limit.frames]
    for event in trace.of(0):
        too_big = type(event) is Dropped and event.reason == "PKT_TOO_BIG"
        if too_big and isinstance(event.packet, Packet) and _stopped_at(event, limit, trace):
            sizes.append(len(event.packet))
        if type(event) is Fragmented and event.netns == limit.netns and event.mtu == limit.mtu and not limit.frames:
            sizes.append(len(event.packet))
    return max(sizes, default=0)


def _stopped_at(event: Dropped, limit: Limit, trace: Trace) -> bool:
    """Whether this limit stopped the packet: the device named in the drop, or the far end of the veth that dropped it."""
    interface = trace.network[event.netns].interfaces.get(event.dev)
    peer = interface.peer if interface is not None else None
    if peer is not None and peer == (limit.netns, limit.dev):
        return True
    return event.netns == limit.netns and f"through {limit.dev} " in event.detail


def outcome(trace: Trace) -> str:
    """What became of the packet, in words."""
    end = trace.end
    cut = trace.all(Fragmented, 0)
    if trace.delivered:
        added = sum(len(e.outer) - len(e.inner.payload) for e in trace.all(Encapsulated, 0)[:1])
        if cut:
            frames = len(_between(trace))
            return TEXT["fragments"].format(where=", ".join(dict.fromkeys(e.netns for e in cut)), frames=frames)
        return TEXT["fits-tunnel"].format(n=added) if added else TEXT["fits"]
    message = _message(trace, end)
    if end.reason != "PKT_TOO_BIG":
        if message:
            return TEXT["unreachable"].format(detail=end.detail, message=message)
        return TEXT["dropped"].format(where=end.netns, reason=end.reason, detail=end.detail)
    if end.netns == trace.start:
        interface = trace.network[end.netns].interfaces["eth0"]
        return TEXT["emsgsize"].format(n=len(end.packet), mtu=interface.mtu, dev=interface.name)
    if message:
        return TEXT["icmp"].format(where=end.netns, message=message)
    return TEXT["hole"].format(detail=end.detail)


def _between(trace: Trace) -> list[Event]:
    """The frames that a node sent to the other."""
    peers = {name: trace.network[name].interfaces["eth0"].peer[0] for name in {hop.netns for hop in trace} - {UNDERLAY, trace.start}}
    return [e for e in trace.all(Transmitted, 0) if e.dev == "eth0" and peers.get(e.netns) == UNDERLAY]


def _message(trace: Trace, end: Dropped) -> str:
    """The ICMP message about the drop, or "" if none reached the sender."""
    heard = {e.journey for e in trace.all(Delivered) if e.netns == trace.start}
    return next((e.why for e in trace.all(Answered, 0) if e.netns == end.netns and e.answer in heard), "")


def printed(trace: Trace, payload: int) -> str:
    """What ping prints."""
    end, dst = trace.end, trace.sent.dst
    if trace.delivered:
        reply = trace.reply
        if reply is not None and reply.delivered:
            return PING["answer"].format(n=payload + 8, dst=dst, ttl=reply.end.packet.ttl)
        return PING["lost"]
    if end.netns == trace.start and end.reason == "PKT_TOO_BIG":
        return PING["local"].format(mtu=trace.network[end.netns].interfaces["eth0"].mtu)
    error = next((e.packet for e in trace.all(Delivered) if e.journey and e.netns == trace.start and _is_icmp(e.packet)), None)
    if error is None:
        return PING["lost"]
    key = "too-big" if (error.payload.version, error.payload.type, error.payload.code) in ((4, 3, 4), (6, 2, 0)) else "unreachable"
    return PING[key + ("6" if error.version == 6 else "")].format(src=error.src, mtu=error.payload.mtu)


def _is_icmp(packet: object) -> bool:
    return isinstance(packet, Packet) and isinstance(packet.payload, Icmp)
