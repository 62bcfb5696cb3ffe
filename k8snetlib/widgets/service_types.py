"""Lesson 07: a Service's type and policies, who calls it and by which door, who gets the call, and whom that one sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import ipywidgets

from ..kube.balancers import check
from ..kube.cast import shop
from ..kube.cluster import Cluster
from ..kube.cni.sandbox import UNDERLAY, segment_of, segments
from ..kube.objects import Service
from ..kube.outside import CLIENT, local_endpoints
from ..kube.patch import patched
from ..kube.pools import needs_health_check
from ..kube.proxy import MODES
from ..kube.targets import find_service
from ..linux.addresses import ip_network
from ..linux.draft import build
from ..linux.events import Matched, Rewritten, Scheduled, Trace
from ..linux.ops import Op, RouteAdd, RouteDel, RulesRestore
from ..linux.state import Network, Route
from ..value import replace
from ..views.kubectl import get_services
from ..views.outcomes import Outcome, all_outcomes, share
from ..views.questions import questions
from ..views.service_picture import service_picture
from ..views.service_types import extra_hop, owner, seen_as
from ..views.tools import Text
from ..views.way_picture import way_picture
from .base import Answer, Explorer
from .twin import table

SERVICE, PORT = "api", 80
TEXT = {
    "title": "Service types: who gets in, and whom the Pod sees",
    "type": "Type:", "door": "Calls:", "external": "External policy:", "internal": "Internal policy:", "caller": "Who calls:",
    "node": "By node:", "distribution": "Distribution:", "mode": "kube-proxy:",
    "pending": "LoadBalancer, and nobody assigns", "proxying": "LoadBalancer, ipMode: Proxy",
    "cluster-ip": "the ClusterIP", "node-port": "the node port of a node", "balancer": "the balancer's address", "name": "the name",
    "same-node": "web, a Pod on node-a, where api-1 is", "other-node": "db, a Pod on node-b, where no api is",
    "third-node": "report, a Pod on node-c, where api-2 is", "own-node": "node-a itself", "outside": "the client outside",
    "none": "none",
    "alias": "An ExternalName is a CNAME: DNS answers {name}, and that is all. There is no address, no port and no rule, so no packet "
             "to follow.",
    "alias-web": " Only Pods ask the cluster's DNS; here web does.",
    "no-address": "EXTERNAL-IP is <pending>: no controller gives the Service an address, so there is nothing to call. The node port is "
                  "there, and works.",
    "delivered": "{caller} calls {door}: {told}.",
    "told": "{name} gets it and sees {source}", "told-chance": "{name} (chance {chance}) gets it and sees {source}",
    "or": ", or ", "router": "the router",
    "dropped": "{caller} calls {door}: dropped in {where}. {why}",
    "dropped-plain": "{caller} calls {door}: dropped in {where}: {reason}, {detail}.",
    "refused": "{caller} calls {door}: “connection refused” from {where}. {why}",
    "no-local-external": "externalTrafficPolicy is Local, and {where} has no endpoint.",
    "no-local-internal": "internalTrafficPolicy is Local, and {where} has no endpoint.",
    "not-outside": "A ClusterIP exists in the rules of the nodes alone; the client's packet ends at a router that has no route for it.",
    "ranges": "loadBalancerSourceRanges does not list {source}, and a balancer that ends connections keeps callers out itself.",
    "columns": "chance|reaches|sees|whose address that is|another node on the way?",
    "outcomes": "Who gets the call, and whom it sees",
    "own": "the caller's own", "node-of": "{node}'s, of its {dev}", "balancer-of": "the balancer's, on the nodes' side",
    "yes": "yes", "no": "no", "nobody": "nobody",
    "because": "Why this source: {why}",
    "masquerade": "{node} masqueraded, {who}. That takes the address of the interface by which the packet leaves: {devs}. The answer "
                  "must come back to {node}, which alone can undo it.",
    "by-kube-proxy": "by kube-proxy's rule", "by-plugin": "by Flannel's rule for what leaves the Pods' range",
    "on": "{dev}, {source}", "either": ", or ",
    "by-balancer": "the balancer ended the client's connection and opened one of its own, from {source}.",
    "kept": "nobody masqueraded, so the caller's own address stays.",
    "node-own": "it is the calling node's own, and nobody changed it.",
    "short": "Short-circuit: {node}'s own rules know the balancer's address, so the packet never went to the balancer.",
    "short-local": "Short-circuit: to {node}'s own rules, a call from {node} or its Pods comes from inside, and the policy Local is for "
                   "what comes from outside.",
    "turn": "IPVS mode chooses by turns, not by chance: {name} gets the first connection, and another endpoint the next.",
    "falls-back": "The policy is Local, and {node} has no endpoint. The other modes drop the call; in IPVS mode kube-proxy then takes all "
                  "endpoints.",
    "health": "Health check: {node} answers {answer} at port {port}, so the balancer {does}.",
    "up": "200", "down": "503", "sends": "sends here", "avoids": "would not send here",
    "kubectl": "$ kubectl get service api -n shop -o wide",
}  # fmt: skip
CALLERS = {"web": "same-node", "db": "other-node", "report": "third-node", "node-a": "own-node", CLIENT: "outside"}
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "proxying", "pending", "ExternalName")
DOORS = {
    "ClusterIP": ("cluster-ip",),
    "NodePort": ("node-port", "cluster-ip"),
    "LoadBalancer": ("balancer", "node-port", "cluster-ip"),
    "proxying": ("balancer", "node-port", "cluster-ip"),
    "pending": ("balancer", "node-port", "cluster-ip"),
    "ExternalName": ("name",),
}
DISTRIBUTIONS = ("none", "PreferSameZone", "PreferSameNode")
NO_CHOICE = "*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
"""The router's rules without those by which a load balancer chooses among nodes."""
ANCIENT = "userspace"
"""The mode that was removed: there a Pod never sees who calls, only kube-proxy."""


class ServiceTypeExplorer(Explorer):
    """Service api under every type and policy, called by Pods, a node and the client outside, through every door that the type has."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        made = Made(cluster or shop(proxy="iptables", node_c=True, outside=True))
        nodes = tuple(host.name for host in made.base.hosts)
        layout = {"layout": {"width": "31.5em", "max_width": "100%"}, "style": {"description_width": "8em"}}

        def pick(name: str, options: Sequence, value: object = None):
            options = [(TEXT.get(each, each), each) for each in options]
            chosen = {} if value is None else {"value": value}
            return ipywidgets.Dropdown(options=options, description=TEXT[name], **chosen, **layout)

        controls = {
            "type": pick("type", TYPES, "NodePort"),
            "caller": ipywidgets.Dropdown(
                options=[(TEXT[label], name) for name, label in CALLERS.items()], value=CLIENT, description=TEXT["caller"], **layout
            ),
            "door": pick("door", DOORS["NodePort"]),
            "node": pick("node", nodes),
            "external": pick("external", ("Cluster", "Local")),
            "internal": pick("internal", ("Cluster", "Local")),
            "distribution": pick("distribution", DISTRIBUTIONS),
            "mode": pick("mode", tuple(mode for mode in MODES if mode != ANCIENT)),
        }
        rows = [["type", "caller"], ["door", "node"], ["external", "internal"], ["distribution", "mode"]]
        super().__init__(TEXT["title"], lambda **choices: view(made, **choices), controls, rows)
        self.settle()

    def settle(self) -> None:
        """The doors are those of the type, its own first; what does not count here cannot be chosen."""
        kind, door = self.controls["type"].value, self.controls["door"]
        doors = DOORS[kind]
        if tuple(value for _, value in door.options) != doors:
            door.options = [(TEXT[each], each) for each in doors]
        alias = kind == "ExternalName"
        self.controls["node"].disabled = door.value in ("cluster-ip", "name")
        self.controls["external"].disabled = alias or kind == "ClusterIP"
        for name in ("internal", "distribution", "mode"):
            self.controls[name].disabled = alias


class Made:
    """The cluster with its Service in each setting, built once."""

    def __init__(self, base: Cluster) -> None:
        self.base = base
        self._made: dict[tuple, Cluster] = {}

    def of(self, type: str, external: str, internal: str, distribution: str, mode: str) -> Cluster:
        key = (type, external, internal, distribution, mode)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, type: str, external: str, internal: str, distribution: str, mode: str) -> Cluster:
        balancer = {"LoadBalancer": "VIP", "proxying": "Proxy"}.get(type, "")
        pools = shop(balancer=balancer).pools if balancer else ()
        base = replace(self.base.with_proxy(mode), pools=pools)
        if type == "ExternalName":
            return patched(base, f"svc/{SERVICE}", type=type, external_name="api.example.com", cluster_ips=())
        kind = "LoadBalancer" if type in ("proxying", "pending") else type
        changes = {"type": kind, "internal_traffic_policy": internal}
        if kind != "ClusterIP":
            changes["external_traffic_policy"] = external
        if distribution != "none":
            changes["traffic_distribution"] = distribution
        return patched(base, f"svc/{SERVICE}", **changes)


def view(
    made: Made, type: str, caller: str, door: str, node: str, external: str, internal: str, distribution: str, mode: str
) -> Answer:  # fmt: skip
    """One call under one setting: pure."""
    cluster = made.of(type, external, internal, distribution, mode)
    service = find_service(cluster, "", SERVICE)
    listed = f"<pre>{escape(TEXT['kubectl'])}\n{escape(_listed(cluster))}</pre>"
    if type == "ExternalName":
        source = _named(cluster, caller) if caller != CLIENT else ""
        asks = source if source.startswith("pod/") else "pod/web"
        words = TEXT["alias"].format(name=service.external_name) + ("" if asks == source else TEXT["alias-web"])
        return Answer(words, (service_picture(cluster, SERVICE, source=asks), questions(cluster.lookup(asks, SERVICE)).html(), listed))
    target = target_of(cluster, service, door, node)
    if not target:
        return Answer(TEXT["no-address"], (service_picture(cluster, SERVICE), listed), None, "bad")
    network = through(cluster, service, node) if door == "balancer" else cluster.network
    weighted = cluster.traces(caller if caller == CLIENT else _named(cluster, caller), target, network=network)
    found = all_outcomes(weighted)
    notes = list(_notes(cluster, service, found, door, node))
    rows = table(TEXT["columns"].split("|"), [_row(o) for o in found], TEXT["outcomes"])
    picture = way_picture([(o.weight, o.trace) for o in found])
    told = "".join(f"<p>{escape(note)}</p>" for note in notes)
    good = all(o.delivered for o in found)
    words = summary(cluster, service, found, caller, _spoken(service, door, node))
    return Answer(words, (told, picture, rows, listed), None, "good" if good else "bad")


def _listed(cluster: Cluster) -> Text:
    lines = get_services(cluster).splitlines()
    return Text("\n".join([lines[0], *(line for line in lines[1:] if line.startswith(f"{SERVICE} "))]))


def _named(cluster: Cluster, caller: str) -> str:
    return f"node/{caller}" if any(host.name == caller for host in cluster.hosts) else f"pod/{caller}"


def target_of(cluster: Cluster, service: Service, door: str, node: str) -> str:
    """What the caller calls, or "" if there is no such address."""
    if door == "node-port":
        return f"node/{node}:{service.ports[0].node_port}"
    if door == "balancer":
        return f"lb/{SERVICE}:{PORT}" if service.load_balancer_ingress else ""
    return f"svc/{SERVICE}:{PORT}"


def _spoken(service: Service, door: str, node: str) -> str:
    if door == "node-port":
        return f"{node}:{service.ports[0].node_port}"
    return f"{service.load_balancer_ingress[0].ip}:{PORT}" if door == "balancer" else f"{service.cluster_ip}:{PORT}"


def through(cluster: Cluster, service: Service, node: str) -> Network:
    """The network with a balancer that sends to this node, whatever its health check says; a proxying one to a node that passes."""
    entry, version = service.load_balancer_ingress[0], service.load_balancer_ingress[0].ip.version
    if entry.ip_mode == "Proxy":
        fit = [each.name for each in cluster.hosts if check(service, cluster.control.slices, each).up]
        one = (node,) if node in fit else tuple(fit[:1])
        return replace(cluster, pools=tuple(replace(pool, nodes=one) for pool in cluster.pools)).network
    host = next(each for each in cluster.hosts if each.name == node)
    route = Route(ip_network(entry.ip), segment_of(host, segments(cluster.hosts)), host.address(version))
    router = cluster.network[UNDERLAY]
    old: list[Op] = [RouteDel(UNDERLAY, each) for each in router.routes if each.dst == route.dst]
    old += [RulesRestore(UNDERLAY, NO_CHOICE, version)] if version in router.rulesets else []
    return build([*old, RouteAdd(UNDERLAY, route)], cluster.network)


# --- in words


def summary(cluster: Cluster, service: Service, found: Sequence[Outcome], caller: str, door: str) -> str:
    """What becomes of the call, in a sentence."""
    who = {"caller": TEXT["outside"].capitalize() if caller == CLIENT else caller, "door": door}
    if all(o.delivered for o in found):
        return TEXT["delivered"].format(**who, told=TEXT["or"].join(_received(o) for o in found))
    end = next(o for o in found if not o.delivered).trace.end
    if end.netns == UNDERLAY and end.reason == "IP_INNOROUTES":
        return TEXT["dropped"].format(**who, where=TEXT["router"], why=TEXT["not-outside"])
    if end.netns == UNDERLAY and end.reason == "NETFILTER_DROP":
        return TEXT["dropped"].format(**who, where=TEXT["router"], why=TEXT["ranges"].format(source=end.packet.src))
    why = _why_dropped(cluster, service, end.netns, caller, found[0].trace)
    key = "refused" if found[0].verdict == "refused" else "dropped"
    if why:
        return TEXT[key].format(**who, where=end.netns, why=why)
    return TEXT["dropped-plain"].format(**who, where=end.netns, reason=end.reason, detail=end.detail)


def _received(o: Outcome) -> str:
    key = "told" if o.weight == 1 else "told-chance"
    return TEXT[key].format(name=o.trace.end.netns, chance=share(o.weight), source=o.source)


def _why_dropped(cluster: Cluster, service: Service, where: str, caller: str, trace: Trace) -> str:
    if local_endpoints(service, cluster.control.slices, where):
        return ""
    to_cluster_ip = trace.sent.dst in service.cluster_ips
    if to_cluster_ip and service.internal_traffic_policy == "Local":
        return TEXT["no-local-internal"].format(where=where)
    if not to_cluster_ip and service.external_traffic_policy == "Local":
        return TEXT["no-local-external"].format(where=where)
    return ""


def _notes(cluster: Cluster, service: Service, found: Sequence[Outcome], door: str, node: str) -> Iterator[str]:
    """Why the source is what it is; whether the call stayed inside; what the node's health check says."""
    reached = [o.trace for o in found if o.delivered]
    if reached:
        yield TEXT["because"].format(why=" ".join(dict.fromkeys(_why_source(reached))))
    first = found[0].trace
    home = next((s.host for s in cluster.sandboxes.values() if s.netns == first.start), first.start)
    by, where = next(((e.what, e.netns) for e in first.all(Rewritten, 0) if e.what in ("DNAT", "IPVS")), ("", ""))
    inside = first.start != CLIENT and where == home
    if by == "IPVS":
        yield from _by_ipvs(cluster, service, first)
    if inside and door == "balancer":
        yield TEXT["short"].format(node=home)
    elif inside and by == "DNAT" and door == "node-port" and service.external_traffic_policy == "Local":
        yield TEXT["short-local"].format(node=home)
    elif door == "balancer" and needs_health_check(service) and service.load_balancer_ingress[0].ip_mode == "VIP":
        up = local_endpoints(service, cluster.control.slices, node) > 0
        words = {"answer": TEXT["up" if up else "down"], "does": TEXT["sends" if up else "avoids"]}
        yield TEXT["health"].format(node=node, port=service.health_check_node_port, **words)


def _by_ipvs(cluster: Cluster, service: Service, trace: Trace) -> Iterator[str]:
    """What IPVS mode does otherwise than the others."""
    chosen = trace.all(Scheduled, 0)[0]
    if len(chosen.server.real) > 1 and trace.delivered:
        yield TEXT["turn"].format(name=trace.end.netns)
    inside = trace.sent.dst in service.cluster_ips
    policy = service.internal_traffic_policy if inside else service.external_traffic_policy
    if policy == "Local" and not local_endpoints(service, cluster.control.slices, chosen.netns):
        yield TEXT["falls-back"].format(node=chosen.netns)


def _why_source(reached: Sequence[Trace]) -> Iterator[str]:
    """Who put the source there that the receiver sees: the last one that changed it, in each outcome."""
    devs: dict[tuple[str, str], dict[str, None]] = {}
    for trace in reached:
        last = next((e for e in reversed(trace.all(Rewritten, 0)) if e.what == "SNAT"), None)
        if last is None:
            yield TEXT["node-own" if seen_as(trace) == "node" else "kept"]
        elif last.netns == UNDERLAY:
            yield TEXT["by-balancer"].format(source=last.new.src)
        else:
            end = owner(trace.network, last.new.src)
            on = TEXT["on"].format(dev=end[1] if end else "", source=last.new.src)
            devs.setdefault((last.netns, _masquerader(trace, last)), {})[on] = None
    for (node, who), found in devs.items():
        yield TEXT["masquerade"].format(node=node, who=TEXT[who], devs=TEXT["either"].join(found))


def _masquerader(trace: Trace, change: Rewritten) -> str:
    """Whose rule it was: "by-kube-proxy", or "by-plugin" where the network plug-in hides Pod addresses from the world."""
    before = trace.events[: trace.events.index(change)]
    rule = next((e for e in reversed(before) if type(e) is Matched and e.netns == change.netns and e.rule is not None), None)
    return "by-kube-proxy" if rule is None or "FLANNEL" not in rule.chain else "by-plugin"


def _row(o: Outcome) -> tuple[str, ...]:
    if not o.delivered:
        return share(o.weight), TEXT["nobody"], "–", "–", "–"
    end = owner(o.trace.network, o.trace.end.packet.src)
    kind = seen_as(o.trace)
    whose = TEXT["own"] if kind == "own" else TEXT["node-of"].format(node=end[0], dev=end[1]) if end else TEXT["balancer-of"]
    return share(o.weight), escape(o.receiver), escape(o.source), escape(whose), TEXT["yes" if extra_hop(o.trace) else "no"]
