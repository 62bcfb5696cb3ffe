"""Lesson 11: a request's whole journey, under every plug-in, mode, way in, balancer and policy: the picture, and its layers, which fold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape

import ipywidgets

from ..kube.cast import GATEWAY, INGRESS, shop
from ..kube.cluster import Cluster
from ..kube.cni import CNIS
from ..kube.cni.sandbox import UNDERLAY
from ..kube.edge.journey import Connection, Journey, journeys
from ..kube.objects import Service
from ..kube.outside import serving
from ..kube.patch import patched
from ..kube.pools import pending_reason
from ..kube.proxy import MODES
from ..kube.targets import find_service
from ..linux.events import Encapsulated, Trace
from ..linux.packet import IPAddress
from ..views.journey import layers, place
from ..views.journey_picture import journey_picture
from ..views.journeys import heard
from ..views.rewrites import rewrites
from ..views.way_picture import legs
from .base import Answer, Explorer

TEXT = {
    "title": "Internet to Pod and back, layer by layer",
    "cni": "Plug-in:", "mode": "kube-proxy:", "entry": "Way in:", "balancer": "Balancer:", "policy": "External policy:",
    "node": "By node:", "url": "Request:", "to": "Controller calls:",
    "NodePort": "NodePort of Service api", "LoadBalancer": "LoadBalancer of Service api", "Ingress": "Ingress, by its controller",
    "Gateway": "Gateway API, by its controller",
    "VIP": "passes packets on to nodes", "Proxy": "ends connections", "Pods": "passes packets on to Pods",
    "ARP": "none: a node answers for its address",
    "endpoints": "the Pods' addresses", "service": "the Service's ClusterIP",
    "answered": "{client} gets {heard}, from {pod}. ", "own": "The client gets {heard}, from {who} itself: {why}. ",
    "lost": "The client gets {heard}. {why}. ",
    "client": "The client",
    "by-pod": "{who} calls it by its own address, {address}. ",
    "by-service": "{who} calls the ClusterIP, {address}, and the node translates that to a Pod's. ",
    "sees": "{name} sees {peer}{kind}",
    "is-client": ", the client itself", "is-node": ", an address of {node}", "is-other": ", the controller", "is-balancer": ", the balancer",
    "balancer-name": "The balancer",
    "reads": ", and reads X-Forwarded-For: {chain}",
    "counts": " {n}, {nodes}{tunnels}.",
    "1": "One connection", "2": "Two connections", "3": "Three connections",
    "tunnel 1": ", one tunnel", "tunnel 2": ", two tunnels", "tunnel 0": ", no tunnel",
    "ends": " The balancer is an end of the client's connection, and opens the next.",
    "nodes 0": "no node", "nodes 1": "one node", "nodes 2": "two nodes",
    "not-there": "{node} fails the balancer's health check, so it sends to {other}. ",
    "elected": "{other} was elected to answer for the address. ",
    "passes-by": "The balancer sends straight to the Pods: no node is chosen. ",
    "pending": "EXTERNAL-IP stays <pending>: {why}. So the client calls the port of {node}. ",
    "follow": "Follow:", "picture": "the whole journey",
    "first": "connection 1", "second": "connection 2", "third": "connection 3, where there are three",
    "third-back": "connection 3, the answer", "second-back": "connection 2, the answer", "first-back": "connection 1, the answer",
    "no-way": " There is no such way here.",
    "fold": "Everything that is rewritten, and who restores it",
}  # fmt: skip
PLUGINS = ("vxlan", "ipip", "calico-vxlan", "bgp", "host-gw", "vpc")
ANCIENT = "userspace"
ENTRIES = ("NodePort", "LoadBalancer", "Ingress", "Gateway")
STRAIGHT = ("NodePort", "LoadBalancer")
BALANCERS = ("VIP", "Proxy", "Pods", "ARP")
URLS = ("https://www.example.com/api", "http://www.example.com/api", "http://www.example.com/web", "https://www.example.com/nix")
PLAIN = URLS[1]
"""What the client asks for where no controller is in between: no Pod of the shop speaks TLS."""
FRONT = {"Ingress": ("edge", "edge"), "Gateway": ("front-edge", "edge")}
NODES = ("node-a", "node-b")
FOLLOW = {
    "picture": None, "first": (0, False), "second": (1, False), "third": (2, False),
    "third-back": (2, True), "second-back": (1, True), "first-back": (0, True),
}  # fmt: skip
"""What can be followed step by step, in the order of time: a connection, and whether it is the answer's way."""


class JourneyExplorer(Explorer):
    """One request from the client outside to the Pod that answers, and back, under every choice that the course has taught."""

    def __init__(self) -> None:
        layout = {"layout": {"width": "31.5em", "max_width": "100%"}, "style": {"description_width": "9em"}}

        def pick(name: str, options: Sequence[str], value: str = ""):
            shown = [(CNIS[each].title if name == "cni" else TEXT.get(each, each), each) for each in options]
            return ipywidgets.Dropdown(options=shown, value=value or options[0], description=TEXT[name], **layout)

        controls = {
            "entry": pick("entry", ENTRIES, "Gateway"),
            "url": pick("url", URLS),
            "balancer": pick("balancer", BALANCERS),
            "policy": pick("policy", ("Cluster", "Local"), "Local"),
            "node": pick("node", NODES, "node-b"),
            "to": pick("to", ("endpoints", "service")),
            "cni": pick("cni", PLUGINS, "bgp"),
            "mode": pick("mode", tuple(mode for mode in MODES if mode != ANCIENT)),
            "follow": pick("follow", tuple(FOLLOW)),
        }
        rows = [["entry", "url"], ["balancer", "policy"], ["node", "to"], ["cni", "mode"], ["follow"]]
        super().__init__(TEXT["title"], view, controls, rows, walk=True)
        self.settle()

    def _show(self) -> None:
        super()._show()
        self.walk.layout.display = "none" if self.value.trace is None else None

    def settle(self) -> None:
        """What does not count for the way in that is chosen cannot be chosen."""
        entry = self.controls["entry"].value
        self.controls["balancer"].disabled = entry == "NodePort"
        self.controls["url"].disabled = self.controls["to"].disabled = entry in STRAIGHT


def view(entry: str, url: str, balancer: str, policy: str, node: str, to: str, cni: str, mode: str, follow: str) -> Answer:
    """The journey under these choices: pure."""
    found, note = one_journey(entry, url, balancer, policy, node, to, cni, mode)
    tone = "good" if found.response and found.response.status < 400 else "bad"
    if FOLLOW[follow] is not None:
        trace = followed(found, follow)
        return Answer(note + summary(found) + ("" if trace else TEXT["no-way"]), (), trace, tone)
    folded = f"<details><summary>{escape(TEXT['fold'])}</summary>{rewrites(found).html()}</details>"
    blocks = (journey_picture(found), layers(found), folded)
    return Answer(note + summary(found), blocks, None, tone)


def followed(found: Journey, follow: str) -> Trace | None:
    """The trace to be stepped through; None if the journey has no such way."""
    number, back = FOLLOW[follow]
    if number >= len(found.connections):
        return None
    each = found.connections[number]
    return each.back if back else each.there


@lru_cache(maxsize=64)
def cluster(entry: str, balancer: str, policy: str, cni: str, mode: str) -> Cluster:
    """The shop with this way in."""
    more = {"Ingress": (INGRESS,), "Gateway": (GATEWAY,)}.get(entry, ())
    made = shop(cni, *more, proxy=mode, outside=True, balancer=False if entry == "NodePort" else balancer)
    name, namespace = FRONT.get(entry, ("api", "shop"))
    changes = {"type": entry} if entry in STRAIGHT else {}
    return patched(made, f"svc/{name}", namespace, external_traffic_policy=policy, **changes)


def one_journey(entry: str, url: str, balancer: str, policy: str, node: str, to: str, cni: str, mode: str) -> tuple[Journey, str]:
    """The journey that comes in by ``node``, or another, and then a sentence that says why."""
    made = cluster(entry, balancer, policy, cni, mode)
    choices = {"name": "service/shop/api", "url": PLAIN} if entry in STRAIGHT else {"url": url, "to": to}
    front = _front(made, entry)
    if not front.load_balancer_ingress:
        why = pending_reason(front, [serving(pool, made.cni, made.hosts) for pool in made.pools])
        found = made.journey(node=node, **choices)
        return found, TEXT["pending"].format(why=why, node=node) if why else ""
    found = [each for _, each in journeys(made, **choices)]
    by = [each for each in found if _first_node(each) == node]
    other = _first_node(found[0])
    if by or not other:
        return (by or found)[0], ""
    if balancer == "Pods":
        return found[0], TEXT["passes-by"]
    return found[0], TEXT["elected" if balancer == "ARP" else "not-there"].format(node=node, other=other)


def _front(made: Cluster, entry: str) -> Service:
    name, namespace = FRONT.get(entry, ("api", "shop"))
    return find_service(made, "", name, namespace)


def _first_node(found: Journey) -> str:
    """The node by which the request comes in; "" if it comes to none."""
    return next((leg.head for leg in legs(found.incoming.there) if leg.head in NODES), "")


# --- in words


def summary(found: Journey) -> str:
    """What becomes of the request, and who sees whom, in a few sentences."""
    if found.response is None:
        return TEXT["lost"].format(heard=heard(found), why=found.why[:1].upper() + found.why[1:]).strip()
    if found.pod is None or not found.connections[-1].works:
        who = found.controller.name if found.controller else ""
        said = TEXT["own"].format(heard=heard(found), who=who, why=found.why)
    else:
        said = TEXT["answered"].format(client=TEXT["client"], heard=heard(found), pod=found.pod.name)
        if found.controller:
            called = found.connections[-1].there.sent.dst
            said += TEXT["by-pod" if found.upstream else "by-service"].format(who=found.controller.name, address=called)
    seen = [_seen(found, each) for each in found.connections]
    last = found.connections[-1].request
    chain = last.header("X-Forwarded-For") if last and found.pod else None
    seen[-1] += TEXT["reads"].format(chain=chain) if chain else ""
    return f"{said}{'; '.join(seen)}.{_counts(found)}"


def _seen(found: Journey, each: Connection) -> str:
    """Whom the receiver of a connection sees."""
    source = each.there.end.packet.src
    name = TEXT["balancer-name"] if found.balanced and each is found.connections[0] else each.head
    return TEXT["sees"].format(name=name, peer=source, kind=_kind(found, each.there, source))


def _kind(found: Journey, there: Trace, source: IPAddress) -> str:
    """Whose address that is."""
    addresses = ((name, a.ip) for name in there.network for i in there.network[name].interfaces.values() for a in i.addresses)
    owner = next((name for name, ip in addresses if ip == source), "")
    if owner == "client":
        return TEXT["is-client"]
    if found.controller and owner == found.controller.name:
        return TEXT["is-other"]
    if found.balanced and owner == UNDERLAY:
        return TEXT["is-balancer"]
    return TEXT["is-node"].format(node=place(owner, there)) if owner else ""


def _counts(found: Journey) -> str:
    passed = {leg.head for each in found.connections for leg in legs(each.there)} & set(NODES)
    tunnels = sum(len(each.there.all(Encapsulated, 0)) for each in found.connections)
    words = {"n": TEXT[str(len(found.connections))], "nodes": TEXT[f"nodes {len(passed)}"]}
    return TEXT["counts"].format(**words, tunnels=TEXT[f"tunnel {tunnels}"]) + (TEXT["ends"] if found.balanced else "")
