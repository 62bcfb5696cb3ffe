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
from ..linux.events import Answered, Delivered, Dropped, Encapsulated, Event, Fragmented, Reassembled, Received, Trace, Transmitted
from ..linux.ops import LinkSet, Op, RuleEnsure
from ..linux.packet import Frame, Packet
from ..linux.state import Network
from ..linux.tunnels import IPIP_HEADER
from ..value import value
from .bars import Wire, bars
from .base import HANDLE, Answer, Explorer
from .ping import printed
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
    "fragments": "It is delivered in pieces: cut in {where}{again}; {frames} frames travel between the nodes instead of 1.",
    "again": "; put together for conntrack and cut again in {where}",
    "hole": "A black hole: {detail}. Nobody tells the sender, which waits and tries again.",
    "unreachable": "Nobody on the way knows that Pod: {detail}. The sender hears {message}.",
    "dropped": "It is dropped in {where}: {reason}, {detail}. Nobody tells the sender.",
    "no-tunnel": "There is no tunnel here: the nodes' MTU is right for its Pods, too.",
    "ipip-4": "IPIP carries IPv4 only: an IPv6 packet goes without a tunnel.",
    "pod-wire": "Leaving Pod web", "node-wire": "Between the nodes", "far-wire": "Arriving at Pod {pod}",
    "none": "nothing is seen here", "stopped": "✕ dropped before it got here, in {where}: {reason}",
    "table": "The limits on the way, in bytes",
    "columns": "where|MTU|largest IP packet here|fits?",
    "yes": "✓ yes, {room} to spare",
    "no": "✕ no, {over} too many", "cut": "✕ no, {over} too many: cut into {n}", "not": "–", "not-here": "does not get here",
    "path-name": "network between the nodes",
    "place": "{dev} of {netns}",
    "typed": "$ kubectl exec -n shop web -- ping -c 1 -M {how} -s {payload} {dst}",
    "alt": "The frames on three wires, header by header, against the MTU. {summary}",
}  # fmt: skip
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
            "cni": ipywidgets.Dropdown(options=cnis, description=TEXT["cni"], style=label, layout={"width": "27em"}),
            "to": ipywidgets.Dropdown(options=targets, description=TEXT["to"], style=label, layout={"width": "24em"}),
            "family": ipywidgets.Dropdown(options=["IPv4", "IPv6"], description=TEXT["family"], style=label, layout={"width": "11em"}),
            "mtu": ipywidgets.Dropdown(options=mistakes, description=TEXT["mtu"], style=label, layout={"width": "36em"}),
            "payload": ipywidgets.IntSlider(first, least, most, description=TEXT["payload"], style=label | HANDLE, layout=wide),
            "df": ipywidgets.Checkbox(True, description=TEXT["df"], indent=False, layout={"width": "12em", "margin": "2px 0 2px 12px"}),
        }
        rows = [["cni", "to", "family"], ["mtu", "df"], ["payload"]]
        super().__init__(TEXT["title"], lambda **choices: view(made, **choices), controls, rows)


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
    words = " ".join([outcome(trace), *_remarks(cluster, network, trace, mtu, cni)])
    typed = TEXT["typed"].format(how="do" if df else "dont", payload=payload, dst=trace.sent.dst)
    blocks = (
        f"<pre>{escape(typed)}\n{escape(printed(trace, payload))}</pre>",
        bars(wires(limits, trace), TEXT["alt"].format(summary=words)),
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


def wires(limits: list[Limit], trace: Trace) -> list[Wire]:
    """The wires to draw: those of the Pods and the one between the nodes, with the smaller of the limits that two ends set to one wire."""
    path = next(limit for limit in limits if limit.name == TEXT["path-name"])
    found: list[Wire] = []
    for limit in limits:
        if not limit.wire:
            continue
        tight = path if limit.wire == TEXT["node-wire"] and path.mtu < limit.mtu else limit
        here = not trace.delivered and all(wire.frames for wire in found)  # the drop is between this wire and the one before
        none = TEXT["stopped"].format(where=trace.end.netns, reason=trace.end.reason) if here else TEXT["none"]
        found.append(Wire(limit.wire, tight.name, tight.mtu, limit.frames, none, here))
    return found


def _rows(limits: list[Limit], trace: Trace) -> Iterator[tuple[str, ...]]:
    for limit in limits:
        cuts = [e for e in trace.all(Fragmented, 0) if _cut_at(e, limit)]
        size = max(_size_at(limit, trace), *(len(cut.packet) for cut in cuts), 0)
        if not size:
            yield escape(limit.name), str(limit.mtu), TEXT["not-here"], TEXT["not"]
            continue
        over = size - limit.mtu
        fits = TEXT["yes"].format(room=-over) if over <= 0 else TEXT["no"].format(over=over)
        yield escape(limit.name), str(limit.mtu), str(size), TEXT["cut"].format(over=over, n=len(cuts[0].pieces)) if cuts else fits


def _cut_at(event: Fragmented, limit: Limit) -> bool:
    """Whether this limit is why the packet was cut: its pieces left here."""
    return event.netns == limit.netns and event.mtu == limit.mtu and any(frame.payload in event.pieces for frame in limit.frames)


def _size_at(limit: Limit, trace: Trace) -> int:
    """The largest IP packet that came to the place, or was refused there; 0 if none came."""
    sizes = [len(frame.payload) for frame in limit.frames]
    for event in trace.all(Dropped, 0):
        if isinstance(event.packet, Packet) and _too_big(event) and _stopped_at(event, limit, trace):
            interface = trace.network[event.netns].interfaces.get(event.dev)
            around = IPIP_HEADER if interface is not None and interface.kind == "ipip" and event.dev != limit.dev else 0
            sizes.append(len(event.packet) + around)
    return max(sizes, default=0)


def _too_big(event: Dropped) -> bool:
    """Whether the packet's length was the reason. A device for IPIP that counts its header in names no reason (ip_tunnel_xmit)."""
    return event.reason == "PKT_TOO_BIG" or "do not fit through" in event.detail


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
            return _in_pieces(trace)
        return TEXT["fits-tunnel"].format(n=added) if added else TEXT["fits"]
    message = _message(trace, end)
    if not _too_big(end):
        if message:
            return TEXT["unreachable"].format(detail=end.detail, message=message)
        return TEXT["dropped"].format(where=end.netns, reason=end.reason, detail=end.detail)
    if end.netns == trace.start:
        interface = trace.network[end.netns].interfaces["eth0"]
        return TEXT["emsgsize"].format(n=len(end.packet), mtu=interface.mtu, dev=interface.name)
    if message:
        return TEXT["icmp"].format(where=end.netns, message=message)
    return TEXT["hole"].format(detail=end.detail)


def _in_pieces(trace: Trace) -> str:
    """Who cut the packet, and who did so only because conntrack wants packets whole."""
    whole = {(e.netns, e.packet.payload) for e in trace.all(Reassembled, 0)}
    cuts = dict.fromkeys((e.netns, (e.netns, e.packet.payload) in whole) for e in trace.all(Fragmented, 0))
    first, again = ([netns for netns, late in cuts if late is wanted] for wanted in (False, True))
    told = TEXT["again"].format(where=", ".join(again)) if again else ""
    return TEXT["fragments"].format(where=", ".join(first), again=told, frames=len(_between(trace)))


def _remarks(cluster: Cluster, network: Network, trace: Trace, mtu: str, cni: str) -> Iterator[str]:
    """What explains that nothing is tunnelled, where one would expect it."""
    node = next(s.host for s in cluster.sandboxes.values() if s.netns == trace.start)
    if cni == "ipip" and trace.sent.version == 6:
        yield TEXT["ipip-4"]
    elif mtu in ("pods", "silent", "tunnel") and not tunnels(network, node):
        yield TEXT["no-tunnel"]


def _between(trace: Trace) -> list[Event]:
    """The frames that a node sent to the other."""
    peers = {name: trace.network[name].interfaces["eth0"].peer[0] for name in {hop.netns for hop in trace} - {UNDERLAY, trace.start}}
    return [e for e in trace.all(Transmitted, 0) if e.dev == "eth0" and peers.get(e.netns) == UNDERLAY]


def _message(trace: Trace, end: Dropped) -> str:
    """The ICMP message about the drop, or "" if none reached the sender."""
    heard = {e.journey for e in trace.all(Delivered) if e.netns == trace.start}
    return next((e.why for e in trace.all(Answered, 0) if e.netns == end.netns and e.answer in heard), "")
