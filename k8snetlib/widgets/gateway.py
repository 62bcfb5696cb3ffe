"""Lesson 09: who writes which object of the Gateway API, whether they agree, and who gets which share of the requests."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import ipywidgets

from ..kube.apply import applied, deleted
from ..kube.cast import GATEWAY, TEAMS, shop
from ..kube.cluster import Cluster
from ..kube.edge.attach import Condition
from ..kube.edge.routing import Decision
from ..views.outcomes import share
from ..views.roles import ROLES, roles_picture
from ..views.route_picture import picture
from ..views.routes import Routed, routed
from .base import HANDLE, Answer, Columns, Explorer
from .twin import table

TEXT = {
    "title": "Gateway API: who owns what, and who gets the requests",
    "role": "Role:", "allowed": "allowedRoutes:", "namespace": "Route lies in:", "hostname": "Route is for:",
    "grant": "ReferenceGrant in shop",
    "weight": "% to api-v2:", "url": "Request for:", "method": "Method:", "header": "Header:",
    "everybody": "everybody", "provider": "infrastructure provider", "operator": "cluster operator", "developer": "application developer",
    "Same": "Same: the Gateway's own, edge", "All": "All namespaces", "Selector": "Selector: namespace shop",
    "none": "none", "canary": "X-Canary: yes", "any": "any host",
    "goes": "{request}: {told}.",
    "part": "{share} to {backend}", "all": "to {backend}", "answered": "answered with {status}",
    "why": " {why}",
    "NotAllowedByListeners": "The listener takes no route of {namespace}: the cluster operator would have to allow it.",
    "NoMatchingListenerHostname": "The listener is for *.example.com, and the route for another host: the developers can mend that, or the "
                                  "operator adds a listener.",
    "RefNotPermitted": "The route lies in pay, its Services in shop: whoever owns shop would have to grant it.",
    "no-listener": "No listener is for this host.",
    "no-rule": "The route is attached, and is not for this host.",
    "statuses": "What the controller writes into the route's status",
    "conditions": "condition|status|reason",
    "shares": "Who gets such requests",
    "columns": "share|answered by|why",
    "pod": "a Pod of Service {backend}",
    "controller": "the controller: {response}",
    "rule": "rule {name}",
    "writes": "What this role writes",
}  # fmt: skip
NAMESPACES = ("shop", "pay")
HOSTNAMES = ("www.example.com", "*.example.com", "", "www.example.org")
URLS = ("www.example.com/api", "a.b.example.com/api", "www.example.org/api")
METHODS = ("GET", "POST")
CANARY = ("X-Canary", "yes")
ALLOWED = {
    "Selector": "{from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: shop}}}",
    "Same": "{from: Same}",
    "All": "{from: All}",
}
API = "apiVersion: gateway.networking.k8s.io/v1\n"
CLASS = (
    API
    + """kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: k8snetlib.example/edge}
"""
)
FRONT = (
    API
    + """kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  gatewayClassName: edge
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    hostname: "*.example.com"
    allowedRoutes:
      namespaces: ALLOWED
"""
)
ROUTE = (
    API
    + """kind: HTTPRoute
metadata: {name: api, namespace: NAMESPACE}
spec:
  parentRefs: [{name: front, namespace: edge}]
HOSTNAMES  rules:
  - name: testers
    matches: [{headers: [{name: X-Canary, value: "yes"}]}]
    backendRefs: [{name: api-v2, namespace: shop, port: 80}]
  - name: writes
    matches: [{method: POST}]
    backendRefs: [{name: api, namespace: shop, port: 80}]
  - name: others
    backendRefs:
    - {name: api, namespace: shop, port: 80, weight: OLD}
    - {name: api-v2, namespace: shop, port: 80, weight: NEW}
"""
)
GRANT = (
    API
    + """kind: ReferenceGrant
metadata: {name: from-pay, namespace: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: pay}]
  to: [{group: "", kind: Service}]
"""
)


class GatewayExplorer(Explorer):
    """A Gateway and a route to two versions of api: roles, attachment, a grant, weights, and a request."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        base = deleted(cluster or shop("vxlan", GATEWAY, TEAMS, proxy="iptables", outside=True, balancer=True), "httproute/shop")
        looks = {"layout": {"width": "30em", "max_width": "100%"}, "style": {"description_width": "8em"}}

        def pick(name: str, options: Sequence[str], empty: str = "any"):
            labels = [(TEXT.get(each, each) if each else TEXT[empty], each) for each in options]
            return ipywidgets.Dropdown(options=labels, description=TEXT[name], **looks)

        slider = {"layout": looks["layout"], "style": looks["style"] | HANDLE}
        controls = {
            "role": pick("role", ("everybody", "provider", "operator", "developer")),
            "allowed": pick("allowed", tuple(ALLOWED)),
            "namespace": pick("namespace", NAMESPACES),
            "hostname": pick("hostname", HOSTNAMES),
            "grant": ipywidgets.Checkbox(False, description=TEXT["grant"], indent=False, layout={"margin": "2px 0 2px 8.3em"}),
            "weight": ipywidgets.IntSlider(10, 0, 100, 5, description=TEXT["weight"], **slider),
            "url": pick("url", URLS),
            "method": pick("method", METHODS),
            "header": pick("header", ("", "canary"), "none"),
        }
        rows = [["role", "allowed"], ["namespace", "hostname"], ["weight", "url"], ["method", "header"], ["grant"]]
        super().__init__(TEXT["title"], lambda **choices: view(base, **choices), controls, rows)
        self.settle()

    def settle(self) -> None:
        """A grant counts only for a route of another namespace."""
        self.controls["grant"].disabled = self.controls["namespace"].value == "shop"


def view(
    base: Cluster, role: str, allowed: str, namespace: str, hostname: str, grant: bool, weight: int, url: str, method: str, header: str
) -> Answer:  # fmt: skip
    """One setting of the objects, and one request: pure."""
    objects = written(allowed, namespace, hostname, grant, weight)
    cluster = applied(base, "---\n".join(text for _, text in objects))
    found = routed(cluster, f"http://{url}", method, (CANARY,) if header else ())
    (status,) = cluster.edge.statuses.routes["HTTPRoute", f"{namespace}/api"]
    owner = "" if role == "everybody" else role
    (front,) = cluster.edge.gateways.values()
    listens = front.listener_for(found.request.port, found.request.hostname) is not None
    shown = table(TEXT["conditions"].split("|"), [_line(each) for each in status.conditions], TEXT["statuses"])
    shares = table(TEXT["columns"].split("|"), [_row(each) for each in found.decisions], TEXT["shares"])
    own = [text for who, text in objects if who == owner]
    blocks = Columns((_texts(own),), (shown, shares)) if own else Columns((shown,), (shares,))
    good = all(each.response is None for each in found.decisions)
    words = summary(found, status.conditions, namespace, listens)
    return Answer(words, (roles_picture(cluster, owner), blocks, picture(cluster, found)), None, "good" if good else "bad")


def written(allowed: str, namespace: str, hostname: str, grant: bool, weight: int) -> list[tuple[str, str]]:
    """(Role, manifest) of every object."""
    front = FRONT.replace("ALLOWED", ALLOWED[allowed])
    names = f'  hostnames: ["{hostname}"]\n' if hostname else ""
    route = ROUTE.replace("NAMESPACE", namespace).replace("HOSTNAMES", names).replace("OLD", str(100 - weight)).replace("NEW", str(weight))
    made = [("GatewayClass", CLASS), ("Gateway", front), ("HTTPRoute", route), *([("ReferenceGrant", GRANT)] if grant else [])]
    return [(ROLES[kind], text) for kind, text in made]


def _texts(texts: Sequence[str]) -> str:
    return f"<p>{escape(TEXT['writes'])}</p><pre>{escape('---'.join(text.replace(API, chr(10)) for text in texts).strip())}</pre>"


def _line(each: Condition) -> tuple[str, ...]:
    return tuple(map(escape, (each.type, each.status, each.reason)))


def _row(each: Decision) -> tuple[str, ...]:
    name = each.rule.origin.name if each.rule else ""
    if each.response is not None:
        return share(each.share), escape(TEXT["controller"].format(response=each.response)), escape(each.why)
    return share(each.share), escape(TEXT["pod"].format(backend=each.backend.key)), escape(TEXT["rule"].format(name=name))


# --- in words


def summary(found: Routed, conditions: Sequence[Condition], namespace: str, listens: bool) -> str:
    """What becomes of the request, and who could change it. ``listens``: a listener is for the request's host."""
    whole = len(found.decisions) == 1
    told = ", ".join(dict.fromkeys(_part(each, whole) for each in found.decisions))  # both Services lie in one namespace: all, or none
    words = TEXT["goes"].format(request=found.request, told=told)
    if found.decisions[0].response is None:
        return words
    fits = found.decisions[0].rule is not None  # else it never came to what the rule refers to
    refused = next((each.reason for each in conditions if each.status == "False" and (fits or each.type == "Accepted")), "")
    key = refused or "no-rule" if listens else "no-listener"
    return words + TEXT["why"].format(why=TEXT[key].format(namespace=namespace))


def _part(each: Decision, whole: bool) -> str:
    if each.response is not None:
        return TEXT["answered"].format(status=each.response)
    return TEXT["all" if whole else "part"].format(share=share(each.share), backend=each.backend.name)
