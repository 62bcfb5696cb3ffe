"""The state of BGP in the words of the tools: ``birdc show protocols``, ``birdc show route`` (BIRD 2), ``calicoctl node status``."""

from __future__ import annotations

from ...linux.state import Route
from .converge import Converged
from .decision import Resolved
from .values import Path, Session

SINCE = "12:00:00.000"  # there is no clock here: the moment shown is the caller's
PEER_TYPES = {"Mesh": "node-to-node mesh", "Node": "node specific", "Global": "global"}


def show_protocols(bgp: Converged, name: str, since: str = SINCE) -> str:
    """``birdc show protocols``: a line per protocol of a speaker's BIRD. ModelError when there is no such speaker."""
    rows = [("Name", "Proto", "Table", "State", "Since", "Info")]
    table = f"master{bgp.topology.speaker(name).version}"
    rows += [("static1", "Static", table, "up", since, "")] if bgp.own.get(name) else []
    rows += [
        ("kernel1", "Kernel", table, "up", since, ""),
        ("device1", "Device", "---", "up", since, ""),
        ("direct1", "Direct", "---", "up", since, ""),
    ]
    for session in bgp.topology.sessions_of(name):
        up = bgp.is_up(session)
        rows.append((session.protocol(name), "BGP", "---", "up" if up else "start", since, "Established" if up else "Active"))
    return "\n".join(f"{a:<10} {b:<10} {c:<10} {d:<6} {e:<13} {f}".rstrip() for a, b, c, d, e, f in rows)


def show_route(bgp: Converged, name: str, since: str = SINCE, every: bool = False) -> str:
    """``birdc show route``, in the order of the prefixes; with ``every`` as ``show route all``; own prefixes and BGP's paths."""
    lines = [f"Table master{bgp.topology.speaker(name).version}:"]
    protocols = {session.far(name)[0]: session.protocol(name) for session in bgp.topology.sessions_of(name)}
    routes = {route.dst: route for route in bgp.routes(name)}
    for entry in bgp.rib(name):
        for place, path in enumerate(entry.paths):
            lines += _route(bgp, name, path, protocols, str(entry.prefix) if place == 0 else "", since, routes[entry.prefix])
            lines += _attributes(path) if every else []
    return "\n".join(lines)


def _route(bgp: Converged, name: str, path: Path, protocols: dict[str, str], label: str, since: str, chosen: Route) -> list[str]:
    star = " *" if label else ""
    if not path.sender:
        return [f"{label:<20} blackhole [static1 {since}]{star} (200)"]
    there = bgp.resolved(name, path)
    source = f" from {path.peer_address}" if path.peer_address != (there.gateway or path.next_hop if there else None) else ""
    last = f"AS{path.as_path[-1]}" if path.as_path else ""
    kind = "unicast" if there else "unreachable"
    head = f"{label:<20} {kind} [{protocols[path.sender]} {since}{source}]{star} (100{_metric(there)}) [{last}i]"
    return [head, f"\tvia {there.gateway or path.next_hop} on {there.dev}"] if there else [head]


def _metric(there: Resolved | None) -> str:
    """The distance to the next hop, which BIRD shows where it does not know it: behind a gateway."""
    return "/?" if there is not None and there.gateway else ""


def _attributes(path: Path) -> list[str]:
    if not path.sender:
        return ["\tType: static univ"]
    lines = ["Type: BGP univ", "BGP.origin: IGP", f"BGP.as_path: {' '.join(map(str, path.as_path))}", f"BGP.next_hop: {path.next_hop}"]
    lines += [f"BGP.local_pref: {path.local_pref}"]
    lines += [f"BGP.originator_id: {path.originator_id}"] if path.originator_id else []
    lines += [f"BGP.cluster_list: {' '.join(path.cluster_list)}"] if path.cluster_list else []
    return [f"\t{line}" for line in lines]


def node_status(bgp: Converged, name: str, since: str = "12:00:00") -> str:
    """``calicoctl node status`` on a node: its peers, of the one family that this is about."""
    sessions = bgp.topology.sessions_of(name)
    rows = [("PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"), *(_peer(bgp, name, session, since) for session in sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    head = "|" + "|".join(f" {cell:^{width}} " for cell, width in zip(rows[0], widths, strict=True)) + "|"
    body = ["|" + "|".join(f" {cell:<{width}} " for cell, width in zip(row, widths, strict=True)) + "|" for row in rows[1:]]
    family = f"IPv{bgp.topology.speaker(name).version}"
    table = [line, head, line, *body, line] if body else [f"No {family} peers found."]
    return "\n".join(["Calico process is running.", "", f"{family} BGP status", *table])


def _peer(bgp: Converged, name: str, session: Session, since: str) -> tuple[str, ...]:
    up = bgp.is_up(session)
    return str(session.far(name)[1]), PEER_TYPES[session.label], "up" if up else "start", since, "Established" if up else "Active"
