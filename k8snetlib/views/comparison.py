"""The modes of communication side by side: what carries a packet, and what was seen of one, read off traces."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ModelError
from ..kube.cni.sandbox import UNDERLAY
from ..kube.edge.journey import Journey
from ..linux.events import Trace
from .outcomes import translations
from .tables import Table
from .topology import TUNNELS
from .walk import steps

TEXT = {
    "comparison": "mode|carried by|key points|seen in this lesson",
    "later": "lessons {lessons}",
    "underlay": "underlay",
    "rules": "rules ({what})",
    "routing": "routing",
    "journey": "{connections}, {places} in all; the client's ends in Pod {controller}, and the Pod behind it sees {peer}",
    "balanced": "{connections}, {places} in all; the balancer's ends in Pod {controller}, and the Pod behind it sees {peer}",
    "alone": "{connections}, {places}; Pod {controller} answers {response}",
    "lost": "{connections}, {places}; lost in {where}",
    "controller": "controller {name}",
    "seen": "{places}, {spaces}; TTL {first} → {last}; {own} bytes, at most {wire} on the wire",
    "mode": "there is no mode {number!r} (there are {modes})",
}
COMPARISON = (  # mode, who talks to whom, what carries it, key points, lessons
    ("1", "container ↔ container", "network namespace", "one address, one port space, localhost; nothing to configure", "01"),
    ("2.1", "Pod ↔ Pod, one node", "veth pairs, bridge", "switched at layer 2, where the plug-in uses a bridge", "02"),
    (
        "2.2",
        "Pod ↔ Pod, across nodes",
        "CNI plug-in: overlay, routes or cloud",
        "no NAT: a tunnel, BGP routes or the cloud's own network carries it",
        "03, 04",
    ),
    (
        "3",
        "Pod ↔ Service",
        "kube-proxy: iptables, nftables (IPVS: deprecated)",
        "a stable virtual address and DNS name for Pods that come and go",
        "05–07",
    ),
    (
        "4",
        "outside → cluster",
        "NodePort, LoadBalancer, Ingress or Gateway controller",
        "ports and addresses (layer 4), or hosts and paths (layer 7)",
        "07–09",
    ),
)
NAMED = ("loopback", "bridge", *TUNNELS)  # kinds of device that are told with their names


def comparison(traces: Mapping[str, Trace | Journey]) -> Table:
    """The modes side by side: what carries the packet and what was seen is read off ``traces`` (by mode: "1", "2.1", "2.2"), or, of a
    request from outside, off its journey."""
    known = [row[0] for row in COMPARISON]
    for number in traces:
        if number not in known:
            raise ModelError(TEXT["mode"].format(number=number, modes=", ".join(known)))
    rows = []
    for number, name, component, points, lessons in COMPARISON:
        trace = traces.get(number)
        if trace is None:
            carried, seen = component, TEXT["later"].format(lessons=lessons)
        elif isinstance(trace, Journey):
            carried, seen = _carried(trace), _visited(trace)
        else:
            carried, seen = _components(trace), _seen(trace)
        rows.append((f"{number}  {name}", carried, points, seen))
    return Table(tuple(TEXT["comparison"].split("|")), tuple(rows))


def _components(trace: Trace) -> str:
    """What the packet passed, in order, each once: devices by their kind, some with their name."""
    found = []
    for step in steps(trace):
        interface = trace.network[step.place.netns].interfaces.get(step.place.part)
        if step.place.netns == UNDERLAY or interface is None:
            found.append(TEXT["underlay" if step.place.netns == UNDERLAY else "routing"])
        else:
            found.append(f"{interface.kind} {interface.name}" if interface.kind in NAMED else interface.kind)
    found += [TEXT["rules"].format(what=what) for what in dict.fromkeys(event.what for event in translations(trace))]
    return ", ".join(dict.fromkeys(found))


def _carried(found: Journey) -> str:
    """What a request passed, connection by connection, with the controller between them."""
    parts = [_components(each.there) for each in found.connections]
    if found.controller:
        parts.insert(1 + found.balanced, TEXT["controller"].format(name=found.controller.name))
    return "; ".join(parts)


def _visited(found: Journey) -> str:
    """What a request went through, in numbers, and who sees whom at the end."""
    last, controller = found.connections[-1].there, found.controller
    count = sum(len(steps(each.there)) for each in found.connections)
    numbers = {"connections": _many(len(found.connections), "connection"), "places": _many(count, "place")}
    if controller is None:
        return TEXT["lost"].format(**numbers, where=last.end.netns)
    key = ("balanced" if found.balanced else "journey") if found.onward else "alone"
    return TEXT[key].format(**numbers, controller=controller.name, peer=last.end.packet.src, response=found.response)


def _seen(trace: Trace) -> str:
    """What the packet went through, in numbers."""
    walk = steps(trace)
    last = next(event.packet for event in reversed(trace.of(0)) if hasattr(event, "packet"))
    places, spaces = _many(len(walk), "place"), _many(len({step.place.netns for step in walk}), "namespace")
    wire = max(step.length for step in walk)
    return TEXT["seen"].format(places=places, spaces=spaces, first=trace.sent.ttl, last=last.ttl, own=walk[0].length, wire=wire)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
