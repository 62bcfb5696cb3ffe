"""Where Ingress and Gateway API differ: for each difference an Ingress, its translation to HTTPRoutes, and one request put to both."""

from __future__ import annotations

import json
from typing import Any

from ..kube.cluster import Cluster
from ..kube.edge import gateway, ingress
from ..kube.edge.http import Request, request
from ..kube.edge.objects import Gateway, GatewayClass, Ingress, IngressClass, Route
from ..kube.edge.translate import DIFFERENCES, http_routes
from ..kube.manifests import Manifests, loads
from ..value import value
from .routes import Routed, result
from .tables import Table

TEXT = {
    "heads": "difference|Ingress|request|by Ingress|as HTTPRoutes",
    "caption": "The same rules in both APIs, and one request put to both",
    "rule": "{host}{path} {kind} → {service}",
    "any": "(any host) ",
    "default": "default → {service}",
    "one": "{result}\n(1 HTTPRoute)", "many": "{result}\n({n} HTTPRoutes)",
}  # fmt: skip
PORT, NAME, NAMESPACE = 80, "shop", "shop"
KIND, API = "gateway.networking.k8s.io/v1", "networking.k8s.io/v1"
FRONT = (
    {"apiVersion": KIND, "kind": "GatewayClass", "metadata": {"name": "edge"}, "spec": {"controllerName": "k8snetlib.example/edge"}},
    {"apiVersion": KIND, "kind": "Gateway", "metadata": {"name": "front", "namespace": NAMESPACE},
     "spec": {"gatewayClassName": "edge", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}},
)  # fmt: skip


@value
class Example:
    """An Ingress (``rules`` are host, path, pathType and Service; ``default`` a Service) and a request that shows a difference."""

    rules: tuple[tuple[str, str, str, str], ...]
    url: str
    default: str = ""

    def ingress(self) -> dict[str, Any]:
        rules = []
        for host, path, kind, service in self.rules:
            rule: dict[str, Any] = {"http": {"paths": [{"path": path, "pathType": kind, "backend": _backend(service)}]}}
            rules.append(rule | ({"host": host} if host else {}))
        spec = {"rules": rules} | ({"defaultBackend": _backend(self.default)} if self.default else {})
        return {"apiVersion": API, "kind": "Ingress", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec}

    def __str__(self) -> str:
        lines = [TEXT["rule"].format(host=rule[0] or TEXT["any"], path=rule[1], kind=rule[2], service=rule[3]) for rule in self.rules]
        return "\n".join(lines + ([TEXT["default"].format(service=self.default)] if self.default else []))


def _backend(service: str) -> dict[str, Any]:
    return {"service": {"name": service, "port": {"number": PORT}}}


WWW = "www.example.com"
EXAMPLES: dict[str, Example] = {
    "wildcard": Example((("*.example.com", "/", "Prefix", "web"),), "http://a.b.example.com/"),
    "order": Example(((WWW, "/docs/", "Prefix", "web"), (WWW, "/docs", "Exact", "api")), f"http://{WWW}/docs"),
    "hosts": Example(((WWW, "/docs", "Prefix", "web"), ("", "/", "Prefix", "api")), f"http://{WWW}/other"),
    "default": Example(((WWW, "/docs", "Prefix", "web"),), f"http://{WWW}/other", "api"),
    "missing": Example(((WWW, "/", "Prefix", "gone"),), f"http://{WWW}/"),
}
"""For each of :data:`~k8snetlib.kube.edge.translate.DIFFERENCES` what shows it, with Services of the course's cluster."""


def both(cluster: Cluster, example: Example) -> tuple[str, str, int]:
    """(The answer by Ingress, the answer by the HTTPRoutes that the Ingress translates to, how many those are)."""
    sent = request(example.url)
    written = _loads(example.ingress())
    backends = cluster.edge.backends
    (table,) = ingress.tables(written.of(Ingress), written.of(IngressClass), backends).values()
    made = http_routes(written.of(Ingress)[0], f"{NAMESPACE}/front")
    world = _loads(*FRONT, *made)
    fronts, _ = gateway.tables(gateway.GatewayWorld(world.of(Gateway), world.of(GatewayClass), routes=world.of(Route), backends=backends))
    (front,) = fronts.values()
    return _told(sent, table.decide(sent)), _told(sent, front.decide(sent)), len(made)


def _loads(*objects: dict[str, Any]) -> Manifests:
    return loads("\n---\n".join(map(json.dumps, objects)))


def _told(sent: Request, decisions: tuple) -> str:
    return result(Routed("", sent, (), decisions))


def differences(cluster: Cluster) -> Table:
    """Every difference between the two APIs, each shown by one request that both answer."""
    rows = []
    for name, said in DIFFERENCES.items():
        example = EXAMPLES[name]
        by_ingress, by_routes, count = both(cluster, example)
        shown = TEXT["one" if count == 1 else "many"].format(result=by_routes, n=count)
        rows.append((said, str(example), example.url.removeprefix("http://"), by_ingress, shown))
    heads = tuple(TEXT["heads"].split("|"))
    return Table(heads, tuple(rows), TEXT["caption"], code=frozenset({heads[1], heads[2]}))
