"""Ingresses and objects of the Gateway API as ``kubectl get`` lists them, and their statuses as tables. The column AGE is left out.

The formats follow pkg/printers/internalversion/printers.go of Kubernetes 1.36 and the print columns of the Gateway API's definitions.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.attach import Condition
from ..kube.edge.entry import Entry, entries, entry
from ..kube.edge.http import Request
from ..kube.edge.ingress import class_of
from ..kube.edge.objects import Gateway, HTTPRoute, Ingress, IngressClass
from .kubectl import TEXT as KUBECTL
from .kubectl import _listing
from .tables import Table
from .tools import Text

TEXT = {
    "ingress": "NAME|CLASS|HOSTS|ADDRESS|PORTS",
    "gateways": "NAME|CLASS|ADDRESS|PROGRAMMED",
    "routes": "NAME|HOSTNAMES",
    "conditions": "object|condition|status|reason|message",
    "listeners": "listener|port and protocol|hostname|takes|routes attached|condition|status|reason",
    "any": "*",
    "at": "{route} at {parent}",
    "statuses": "What the controller writes into the objects' statuses",
    "listener-statuses": "Listeners, and what is said of each",
}
MOST_HOSTS = 3


def get_ingress(cluster: Cluster, namespace: str = "shop") -> Text:
    """``kubectl get ingress``."""
    found = [each for each in cluster.manifests.of(Ingress) if each.namespace == namespace]
    rows = []
    for each in found:
        assigned = each.ingress_class or class_of(each, cluster.manifests.of(IngressClass)) or ""  # the default one, at creation
        ports = "80, 443" if each.tls else "80"
        rows.append((each.name, assigned or KUBECTL["none"], _hosts(each), _addresses(cluster, f"ingress/{assigned}"), ports))
    return _listing(TEXT["ingress"].split("|"), rows, namespace)


def get_gateways(cluster: Cluster, namespace: str = "edge") -> Text:
    """``kubectl get gateways``."""
    rows = []
    for each in cluster.manifests.of(Gateway):
        if each.namespace == namespace:
            lines = {line.type: line.status for line in cluster.edge.statuses.gateways.get(each.key, ())}
            rows.append((each.name, each.gateway_class, _addresses(cluster, f"gateway/{each.key}"), lines.get("Programmed", "Unknown")))
    return _listing(TEXT["gateways"].split("|"), rows, namespace)


def get_httproutes(cluster: Cluster, namespace: str = "shop") -> Text:
    """``kubectl get httproutes``."""
    found = [each for each in cluster.manifests.of(HTTPRoute) if each.namespace == namespace]
    rows = [(each.name, "[" + ",".join(f'"{name}"' for name in each.hostnames) + "]" if each.hostnames else "") for each in found]
    return _listing(TEXT["routes"].split("|"), rows, namespace)


def _hosts(ingress: Ingress) -> str:
    """The hosts of the first rules that have one, each as often as it is there; what is more is counted in rules (formatHosts)."""
    places = [number for number, rule in enumerate(ingress.rules) if rule.host][:MOST_HOSTS]
    shown = ",".join(ingress.rules[number].host for number in places) or TEXT["any"]
    more = len(places) == MOST_HOSTS and places[-1] + 1 < len(ingress.rules)
    return KUBECTL["more"].format(shown=shown, n=len(ingress.rules) - MOST_HOSTS) if more else shown


def _addresses(cluster: Cluster, name: str) -> str:
    """The addresses at which the controller is reached from outside."""
    if name not in entries(cluster):
        return ""
    try:
        found: Entry = entry(cluster, Request(""), name)
    except ModelError:  # nobody knows its Service, so nobody has written its address either
        return ""
    return ",".join(each.hostname or str(each.ip) for each in found.service.load_balancer_ingress)


def statuses(cluster: Cluster) -> Table:
    """The conditions of every Gateway, ListenerSet and route."""
    found = cluster.edge.statuses
    rows = [row for key, lines in found.gateways.items() for row in _lines(f"Gateway {key}", lines)]
    rows += [row for key, lines in found.sets.items() for row in _lines(f"ListenerSet {key}", lines)]
    for (kind, key), parents in found.routes.items():
        for each in parents:
            rows += _lines(TEXT["at"].format(route=f"{kind} {key}", parent=each.parent), each.conditions)
    heads = tuple(TEXT["conditions"].split("|"))
    return Table(heads, tuple(rows), TEXT["statuses"], whole=frozenset(heads[1:4]))


def listeners(cluster: Cluster) -> Table:
    """Every listener: what it is for, what it takes, how many routes are attached, and its conditions."""
    rows = []
    for each in cluster.edge.statuses.listeners:
        lines = [line for line in each.conditions if line.type != "Conflicted" or line.status == "True"]
        columns = zip(*[(line.type, line.status, line.reason) for line in lines], strict=True)
        place = f"{each.listener.port} {each.listener.protocol}"
        rows.append(
            (
                each.name,
                place,
                each.listener.hostname or TEXT["any"],
                ", ".join(each.supported),
                str(each.attached),
                *("\n".join(c) for c in columns),
            )
        )
    heads = tuple(TEXT["listeners"].split("|"))
    return Table(heads, tuple(rows), TEXT["listener-statuses"], whole=frozenset(heads[1:3]) | frozenset(heads[5:]))


def _lines(name: str, conditions: Iterable[Condition]) -> list[tuple[str, ...]]:
    return [(name, line.type, line.status, line.reason, line.message) for line in conditions]
