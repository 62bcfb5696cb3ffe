"""One packet by several ways between nodes, side by side: what each passes, puts on the wire, looks up, and who knew the way.

Each way is a trace of the same question in a cluster with another network plug-in. The walks are lined up stage by stage (Pod, cable,
bridge, routing, tunnel, the node's interface, underlay, and back up), so that what one way has and another lacks stands in one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.cni import CNIS
from ..kube.cni.sandbox import UNDERLAY
from ..linux.events import Asked, Bridged, Dropped, Encapsulated, Resolved, Routed, Trace
from ..linux.state import Route
from ..value import value
from .headers import headers
from .tables import Table
from .topology import FABRIC, HOST, TUNNELS, role
from .walk import ROUTING, Step, steps

TEXT = {
    "what": "",
    "same": "rows marked ≠ differ",
    "differs": "≠ {row}",
    "none": "–",
    "addresses": "addresses",
    "outcome": "outcome",
    "bytes": "bytes on the wire between the nodes",
    "overhead": "bytes added to the Pod's packet",
    "mtu": "MTU of the Pod",
    "ttl": "TTL at the end",
    "lookups": "looked up",
    "writer": "who wrote the sender's route",
    "asked": "ARP or neighbour questions",
    "lookup-counts": "routes: {routes}\nneighbours: {neighbors}\nFDB entries: {fdb}",
    "delivered": "delivered",
    "no-name": "there is no plug-in {name!r} here: choose from {names}",
}
WRITERS = {  # of routes to many addresses, by the protocol number or name in the route
    "bird": "BIRD, from BGP",
    "80": "Felix, from Calico's datastore",
    "kernel": "the kernel: the address is of a network on its own link",
    "boot": "flanneld, from the API server",
}
OWN_PODS = {"cali": "Felix, for a Pod of its own node", "": "the plug-in, when it connected the Pod"}  # by how the cable's name begins
DEFAULT_ROUTE = "the administrator: the default route"
_DOWN = ("Pod", "cable", "bridge", "routing", "tunnel", "interface")
STAGES = (*_DOWN, "underlay", *(f"{stage} " for stage in reversed(_DOWN)))  # with a space: on the way up
DOWN, UP = "↓", "↑"


@value
class Way:
    """One of the ways: its name, its plug-in's title, the trace, and its steps by stage."""

    name: str
    title: str
    trace: Trace
    pod_mtu: int
    stages: Mapping[str, tuple[Step, ...]]

    def __repr__(self) -> str:
        return f"<Way {self.name}: {self.trace!r}>"


def ways(cluster: Cluster, source: str, target: str, names: Iterable[str], proto: str = "", **fields) -> tuple[Way, ...]:
    """The first packet from source to target under each of the plug-ins. ModelError for one that there is not."""
    found = []
    for name in (names,) if isinstance(names, str) else names:
        if name not in CNIS:
            raise ModelError(TEXT["no-name"].format(name=name, names=", ".join(CNIS)))
        other = cluster.with_cni(name)
        found.append(way(name, other.trace(source, target, proto, **fields)))
    return tuple(found)


def way(name: str, trace: Trace) -> Way:
    """A trace as one of the ways."""
    mtu = next((i.mtu for i in trace.network[trace.start].interfaces.values() if i.kind != "loopback"), 0)
    return Way(name, CNIS[name].title if name in CNIS else name, trace, mtu, _stages(trace))


def _stages(trace: Trace) -> dict[str, tuple[Step, ...]]:
    """The steps by stage: going down until the underlay (or the last step on the sender's node), then going up."""
    found: dict[str, list[Step]] = {}
    first = trace.start
    left = False  # whether the packet has left the sender's node
    for step in steps(trace):
        netns, part = step.place.netns, step.place.part
        kind = role(trace.network, netns)
        if kind == FABRIC:
            left, stage = True, "underlay"
        else:
            stage = _stage(trace, netns, part)
            left = left or (kind != HOST and netns != first)
            turned = stage in ("cable", "bridge") if "routing" in found else stage == "cable" and "bridge" in found
            up = left or (turned and not any(s.startswith("interface") for s in found))
            stage += " " * up
        found.setdefault(stage, []).append(step)
    return {stage: tuple(found[stage]) for stage in STAGES if stage in found}


def _stage(trace: Trace, netns: str, part: str) -> str:
    if role(trace.network, netns) != HOST:
        return "Pod"
    if part == ROUTING:
        return "routing"
    interface = trace.network[netns].interfaces[part]
    if interface.kind in TUNNELS:
        return "tunnel"
    if interface.kind == "bridge":
        return "bridge"
    return "interface" if interface.peer and interface.peer[0] == UNDERLAY else "cable"


# The table


def ways_table(found: Iterable[Way]) -> Table:
    """A row for each thing to compare, a column for each way; rows in which the ways differ are marked."""
    found = tuple(found)
    rows = []
    asked = {arrow(stage): partial(place, stage) for stage in STAGES if any(stage in each.stages for each in found)}
    for name, ask in [*asked.items(), *((TEXT[key], ask) for key, ask in _ROWS.items())]:
        cells = [ask(each) for each in found]
        shown = name if len(set(cells)) == 1 else TEXT["differs"].format(row=name)
        rows.append((shown, *(cell or TEXT["none"] for cell in cells)))
    heads = (TEXT["what"], *(each.title for each in found))
    return Table(heads, tuple(rows), TEXT["same"] if len(found) > 1 else "", whole=frozenset({TEXT["what"]}))


def arrow(stage: str) -> str:
    """A stage with the way that the packet goes through it, down or up."""
    return stage if stage == "underlay" else f"{UP if stage.endswith(' ') else DOWN} {stage.strip()}"


def place(stage: str, each: Way) -> str:
    """What stands at a stage: the device, or the entry that routing went by."""
    found = each.stages.get(stage)
    if found is None:
        return ""
    if stage == "underlay":
        return "\n".join(layers(each))
    if stage.strip() == "routing":
        return _route(next((e.route for s in found for e in s.events if type(e) is Routed), None))
    return f"{found[0].place.part} of {found[0].place.netns}" if stage.strip() == "Pod" else found[0].place.part


def layers(each: Way) -> list[str]:
    """The headers on the wire in lines: those that a tunnel added, two a line, then those of the packet inside."""
    names = [header.layer for header in wire_step(each).headers]
    inner = len(headers(each.trace.all(Encapsulated, 0)[0].inner)) if overhead(each) else len(names)
    outer = names[: len(names) - inner]
    lines = [outer[at : at + 2] for at in range(0, len(outer), 2)]
    return [" · ".join(line) for line in [*lines, names[len(outer) :]]]


def _route(route: Route | None) -> str:
    return "" if route is None else str(route).replace(" via ", "\nvia ").replace(" dev ", "\ndev ", 1)


def _addresses(each: Way) -> str:
    return f"{each.trace.sent.src}\n→ {each.trace.sent.dst}"


def _outcome(each: Way) -> str:
    end = each.trace.end
    return TEXT["delivered"] if each.trace.delivered else f"{end.reason} · {end.netns}" if isinstance(end, Dropped) else ""


def wire_step(each: Way) -> Step | None:
    """The packet as it is on the wire between the nodes: on the first segment of the underlay."""
    return next(iter(each.stages.get("underlay", ())), None)


def wire_headers(each: Way) -> str:
    """The headers there, outermost first."""
    return " · ".join(layers(each)) if wire_step(each) else ""


def overhead(each: Way) -> int:
    """Bytes that the way adds to the Pod's IP packet, the wire's own Ethernet header not counted."""
    return sum(len(e.outer) - len(e.inner.payload) for e in each.trace.all(Encapsulated, 0)[:1])


def _lookups(each: Way) -> str:
    own = [e for e in each.trace.of(0) if role(each.trace.network, e.netns) == HOST]
    counts = {kind: sum(type(e) is kind for e in own) for kind in (Routed, Resolved)}
    fdb = sum(type(e) in (Bridged, Encapsulated) and e.entry is not None for e in own)
    return TEXT["lookup-counts"].format(routes=counts[Routed], neighbors=counts[Resolved], fdb=fdb)


def deciding_route(each: Way):
    """The route on the sender's node by which the Pod's packet left it; None if it never got so far."""
    own = (e for e in each.trace.all(Routed, 0) if role(each.trace.network, e.netns) == HOST and e.direction == "forward")
    return next((e.route for e in own), None)


def writer(each: Way) -> str:
    """Who wrote that route."""
    route = deciding_route(each)
    if route is None:
        return ""
    if route.proto == "boot" and route.dst.prefixlen == route.dst.max_prefixlen:
        return next(words for start, words in OWN_PODS.items() if route.dev.startswith(start))
    return DEFAULT_ROUTE if route.dst.prefixlen == 0 else WRITERS.get(route.proto, route.proto)


def _questions(each: Way) -> str:
    return str(len(each.trace.all(Asked)))


def _last_ttl(each: Way) -> str:
    return str(each.trace.end.packet.ttl) if each.trace.delivered else ""


_ROWS = {
    "addresses": _addresses,
    "outcome": _outcome,
    "bytes": lambda each: str(wire_step(each).length) if wire_step(each) else "",
    "overhead": lambda each: str(overhead(each)),
    "mtu": lambda each: str(each.pod_mtu),
    "ttl": _last_ttl,
    "writer": writer,
    "lookups": _lookups,
    "asked": _questions,
}
