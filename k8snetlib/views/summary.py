"""The comparison with which an account of Kubernetes networking ends: modes, components, key points; here computed from traces, not typed.

``WAYS`` is the list of ways in which things talk, each with the cluster and the question that show it. What each rests on is read off the
events of its traces: a way uses a bridge because a frame was bridged, rewrites addresses because a packet was rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..kube.cast import INGRESS, shop
from ..kube.patch import patched
from ..linux.events import Bridged, Encapsulated, Rewritten, Routed, Scheduled, Trace, Transmitted
from ..linux.packet import Frame
from ..value import value
from .figure import Figure
from .matrix import matrix
from .tables import Table
from .topology import HOST, role
from .way_picture import legs

if TYPE_CHECKING:
    from ..kube.edge.journey import Journey

TEXT = {
    "heads": "mode|component|rests on|addresses rewritten|bytes added|the receiver sees",
    "caption": "Every way in which things talk in a cluster, from one trace of each",
    "nothing": "–", "name": "no packet: a name for another name ({answer})",
    "own": "the sender's own address", "other": "{address}",
    "source": "source", "destination": "destination", "both": "source and destination",
    "mode1": "1 containers in a Pod", "mode2": "2 Pod to Pod", "mode2.1": "2.1 on one node", "mode2.2": "2.2 across nodes",
    "mode3": "3 Pod to Service", "mode4": "4 from outside",
    "alt": "What each way of talking rests on. {ways}",
    "alt-way": "{mode}, {component}: {rests}.",
}  # fmt: skip

GROUNDS: dict[str, tuple[str, str]] = {
    "namespace": ("one network namespace", "one network\nnamespace"),
    "dns": ("DNS", "DNS"),
    "bridge": ("bridge and its FDB", "bridge\nand FDB"),
    "route": ("routing table", "routing\ntable"),
    "tunnel": ("tunnel", "tunnel"),
    "rules": ("netfilter rules", "netfilter\nrules"),
    "ipvs": ("IPVS", "IPVS"),
    "conntrack": ("connection tracking", "connection\ntracking"),
    "process": ("a process in between", "process\nbetween"),
}
"""What a way can rest on: (its name, the same as a column's head), in the order in which they are shown."""
KINDS = {"mode1": "pod", "mode2.1": "bridge", "mode2.2": "tunnel", "mode3": "service", "mode4": "outside"}


@value
class Way:
    """A way of talking: the mode's number, the component, and ``ask``, which gives what shows it."""

    mode: str
    component: str
    ask: Callable[[], Shown]


@value
class Shown:
    """What shows a way: the traces of its connections, whether DNS was asked, and the answer of a way that is a name alone."""

    traces: tuple[Trace, ...]
    dns: bool = False
    alias: str = ""


@value
class Row:
    """A way with what its traces say: the grounds (keys of ``GROUNDS``), rewritten addresses, bytes that encapsulation added, and whom the
    receiver sees."""

    way: Way
    grounds: tuple[str, ...]
    rewritten: str
    added: int
    sees: str
    alias: str = ""


# --- the ways


def _pods(cni: str, target: str) -> Callable[[], Shown]:
    return lambda: Shown((shop(cni).trace("pod/web", target),))


def _service(proxy: str) -> Callable[[], Shown]:
    def ask() -> Shown:
        cluster = patched(
            shop(proxy=proxy), "pod/api-2", ready=False
        )  # the other is on web's own node: what is seen is the Service's share
        found = cluster.trace("pod/web", "svc/api:80")
        if proxy != "userspace":
            return Shown((found,), dns=True)
        onward = cluster.trace(f"node/{found.end.netns}", "pod/api-1:8080")  # kube-proxy's own connection, from its node
        return Shown((found, onward), dns=True)

    return ask


def _typed(target: str, **changes: object) -> Callable[[], Shown]:
    def ask() -> Shown:
        cluster = patched(shop(proxy="iptables", outside=True, balancer=True), "svc/api", **changes)
        cluster = patched(cluster, "pod/api-2", ready=False)
        service = next(each for each in cluster.control.services if each.name == "api")
        return Shown((cluster.trace("client", target.format(port=service.ports[0].node_port)),))

    return ask


def _alias() -> Shown:
    cluster = patched(shop(proxy="iptables"), "svc/api", type="ExternalName", external_name="api.example.com", cluster_ips=(), selector={})
    steps = cluster.lookup("pod/web", "api").steps
    answer = next((record.data for step in steps for record in step.records if record.type == "CNAME"), "api.example.com.")
    return Shown((), dns=True, alias=str(answer))


def _controlled(entry: object) -> Callable[[], Shown]:
    def ask() -> Shown:
        found: Journey = shop("vxlan", entry, proxy="iptables", outside=True, balancer=True).journey("https://www.example.com/api")
        return Shown(tuple(each.there for each in found.connections), dns=True)

    return ask


def _gateway() -> Shown:
    from ..kube.cast import GATEWAY

    return _controlled(GATEWAY)()


WAYS: tuple[Way, ...] = (
    Way("mode1", "localhost", lambda: Shown((shop().trace("pod/web", "127.0.0.1:8080"),))),
    Way("mode2.1", "veth and bridge", _pods("vxlan", "pod/api-1")),
    Way("mode2.2", "Flannel VXLAN", _pods("vxlan", "pod/api-2")),
    Way("mode2.2", "Calico IPIP", _pods("ipip", "pod/api-2")),
    Way("mode2.2", "Calico BGP", _pods("bgp", "pod/api-2")),
    Way("mode2.2", "AWS VPC CNI", _pods("vpc", "pod/api-2")),
    Way("mode3", "ClusterIP, iptables", _service("iptables")),
    Way("mode3", "ClusterIP, nftables", _service("nftables")),
    Way("mode3", "ClusterIP, IPVS", _service("ipvs")),
    Way("mode3", "ClusterIP, userspace (removed in 1.26)", _service("userspace")),
    Way("mode3", "ExternalName", _alias),
    Way("mode4", "NodePort", _typed("node/node-a:{port}", type="NodePort")),
    Way("mode4", "LoadBalancer", _typed("lb/api:80", type="LoadBalancer")),
    Way("mode4", "Ingress", _controlled(INGRESS)),
    Way("mode4", "Gateway API", _gateway),
)
"""The rows, in the order of the account."""


# --- what traces say


def summary_rows(ways: Sequence[Way] = WAYS) -> tuple[Row, ...]:
    """Each way traced, and read off its trace."""
    return tuple(_row(each) for each in ways)


def _row(way: Way) -> Row:
    shown = way.ask()
    if not shown.traces:
        return Row(way, ("dns",), "", 0, "", shown.alias)
    grounds = {key for trace in shown.traces for key in grounds_of(trace)}
    grounds |= {"dns"} if shown.dns else set()
    grounds |= {"process"} if len(shown.traces) > 1 else set()
    last = shown.traces[-1]
    sees = str(last.end.packet.src) if last.delivered else ""
    own = sees == str(_first_source(shown.traces[0]))
    words = TEXT["own"] if own and len(shown.traces) == 1 else TEXT["other"].format(address=_whose(last, sees))
    ordered = tuple(key for key in GROUNDS if key in grounds)
    return Row(way, ordered, _rewritten(shown.traces), max(map(added_bytes, shown.traces)), words)


def _first_source(trace: Trace):
    return trace.sent.src


def grounds_of(trace: Trace) -> set[str]:
    """What a trace made use of, as keys of ``GROUNDS``: read off its events, those of the Pods' own end of a cable left out."""
    found: set[str] = set()
    visited = {event.netns for event in trace.of(0)}
    if visited == {trace.start} and not any(type(event) is Transmitted and event.dev != "lo" for event in trace.of(0)):
        return {"namespace"}
    hosts = {netns for netns in visited if role(trace.network, netns) == HOST}
    for event in trace.of(0):
        if event.netns not in hosts:
            continue
        if type(event) is Bridged and len(event.ports) == 1 and not event.local:
            found.add("bridge")
        elif type(event) is Routed and event.direction != "local":
            found.add("route")
        elif type(event) is Encapsulated:
            found |= {"tunnel"}
        elif type(event) is Scheduled:
            found |= {"ipvs", "conntrack", "route"}  # it looks up the real server's route itself (ip_vs_xmit.c, __ip_vs_get_out_rt)
        elif type(event) is Rewritten and event.what in ("DNAT", "SNAT"):
            found |= {"rules", "conntrack"}
    return found - ({"rules"} if "ipvs" in found and not _translated_by_rules(trace, hosts) else set())


def _translated_by_rules(trace: Trace, hosts: Iterable[str]) -> bool:
    return any(type(e) is Rewritten and e.what == "SNAT" and e.netns in set(hosts) for e in trace.of(0))


def added_bytes(trace: Trace) -> int:
    """How many bytes longer the longest frame on the way is than the first."""
    lengths = [len(event.frame) if isinstance(event.frame, Frame) else 0 for event in trace.all(Transmitted, 0)]
    return max(lengths) - lengths[0] if lengths else 0


def _rewritten(traces: Sequence[Trace]) -> str:
    """Which addresses of packets were changed on their way, on any of these connections."""
    kinds = set()
    for trace in traces:
        for event in trace.all(Rewritten, 0):
            if event.what in ("DNAT", "SNAT"):
                kinds.add(event.what)
        kinds |= {"DNAT"} if trace.all(Scheduled, 0) else set()
    key = {frozenset(): "nothing", frozenset(["DNAT"]): "destination", frozenset(["SNAT"]): "source"}.get(frozenset(kinds), "both")
    return TEXT[key]


def _whose(trace: Trace, address: str) -> str:
    """An address with its owner's name."""
    for name in dict.fromkeys(leg.tail for leg in legs(trace)):
        if any(str(a.ip) == address for i in trace.network[name].interfaces.values() for a in i.addresses):
            return f"{name}'s {address}"
    return address


def summary_table(ways: Sequence[Way] = WAYS) -> Table:
    """The comparison: mode, component, what it rests on, what is rewritten and added, and whom the receiver sees."""
    rows = []
    for each in summary_rows(ways):
        rests = ", ".join(GROUNDS[key][0] for key in each.grounds)
        if each.alias:
            rows.append((TEXT[each.way.mode], each.way.component, rests, TEXT["nothing"], "", TEXT["name"].format(answer=each.alias)))
        else:
            added = f"+{each.added}" if each.added else TEXT["nothing"]
            rows.append((TEXT[each.way.mode], each.way.component, rests, each.rewritten, added, each.sees))
    heads = tuple(TEXT["heads"].split("|"))
    return Table(heads, tuple(rows), TEXT["caption"], whole=frozenset(heads[:1]))


# --- the picture


def foundations(ways: Sequence[Way] = WAYS, caption: str = "") -> Figure:
    """Which modes there are, and what each rests on: a line from a way to a ground wherever its trace made use of it."""
    rows = summary_rows(ways)
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in rows:
        groups.setdefault(row.way.mode, {})[row.way.component] = row.grounds
    columns = {key: GROUNDS[key][1] for key in GROUNDS if any(key in row.grounds for row in rows)}
    return matrix(
        {TEXT[mode]: found for mode, found in groups.items()}, columns, _alt(rows), caption, kinds=[KINDS[mode] for mode in groups]
    )


def _alt(rows: Sequence[Row]) -> str:
    told = (
        TEXT["alt-way"].format(
            mode=TEXT[row.way.mode], component=row.way.component, rests=", ".join(GROUNDS[key][0] for key in row.grounds)
        )
        for row in rows
    )
    return TEXT["alt"].format(ways=" ".join(told))
