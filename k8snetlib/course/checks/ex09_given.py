"""What exercise 09 gives a student: a cluster with a Gateway and two teams, six requests, an order, a faulty route, and a wish."""

from __future__ import annotations

from fractions import Fraction

from k8snetlib.course.variants import Variant
from k8snetlib.kube.cast import GATEWAY
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.http import Request, request
from k8snetlib.value import value
from k8snetlib.views.tables import Table

FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince")
TEAMS = ("pay", "stock", "blog", "games")
DOMAINS = ("example.com", "example.net", "example.org")
PATHS = ("api", "cart", "items", "search")
PARTS = ("new", "top", "all", "old")
HEADERS = (("X-Tester", "yes"), ("X-Canary", "on"), ("X-Stage", "beta"))
FAULTS = ("section", "host", "service", "port", "parent")
API = "apiVersion: gateway.networking.k8s.io/v1\n"
NO_ROUTE = "404"


# --- the cluster


def team(case: Variant) -> str:
    """The other team's namespace."""
    return case.choose("team", TEAMS)


def domain(case: Variant) -> str:
    return case.choose("domain", DOMAINS)


def www(case: Variant) -> str:
    return f"www.{domain(case)}"


def services(case: Variant) -> tuple[str, ...]:
    """Five Services' names: three of namespace shop, two of the other team's."""
    return tuple(case.sample("services", FRUIT, 5))


def replicas(case: Variant) -> dict[str, int]:
    """How many Pods each Service of namespace shop has."""
    return {name: case.integer(f"pods of {name}", 1, 3) for name in services(case)[:3]}


def cluster(case: Variant) -> Cluster:
    """Two nodes, a Gateway with its controller, three Services in namespace shop and two in the other team's, and a client outside."""
    text = []
    for name, host in zip(("node-a", "node-b"), case.sample("hosts", range(11, 200), 2), strict=True):
        block = case.integer(f"block of {name}", 10, 100) + (100 if name == "node-b" else 0)
        text.append(
            f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}}}}}\n"
            f"spec: {{podCIDR: 10.244.{block}.0/24}}\nstatus: {{addresses: [{{type: InternalIP, address: 192.168.50.{host}}}]}}"
        )
    text += [f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}" for name in ("shop", "edge", team(case))]
    made = [
        part for part in GATEWAY.read_text(encoding="utf-8").split("\n---\n") if "kind: Gateway\n" not in part and "HTTPRoute" not in part
    ]
    text += [part for part in made if "kind: Namespace" not in part]
    for name in services(case):
        home = "shop" if name in replicas(case) else team(case)
        text += _service(name, home, replicas(case).get(name, 1))
    return Cluster.loads("\n---\n".join([*text, gateway(case)]), cni="vxlan", proxy="iptables", outside=True, balancer=True)


def _service(name: str, namespace: str, count: int) -> list[str]:
    box = "{name: web, image: web, ports: [{name: http, containerPort: 8080}]}"
    meta = f"metadata: {{name: {name}, namespace: {namespace}}}"
    template = f"{{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{box}]}}}}"
    return [
        f"apiVersion: apps/v1\nkind: Deployment\n{meta}\n"
        f"spec: {{replicas: {count}, selector: {{matchLabels: {{app: {name}}}}}, template: {template}}}",
        f"apiVersion: v1\nkind: Service\n{meta}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: http}}]}}",
    ]


def gateway(case: Variant) -> str:
    """The cluster operator's Gateway."""
    return API + (
        "kind: Gateway\nmetadata: {name: front, namespace: edge}\nspec:\n  gatewayClassName: edge\n  listeners:\n"
        f'  - {{name: http, port: 80, protocol: HTTP, hostname: "*.{domain(case)}", allowedRoutes: {{namespaces: {{from: All}}}}}}\n'
    )


# --- six requests


@value
class Asked:
    """A request of the first question, and what decides about it: ``exact``, ``longer``, ``split``, ``method``, ``header`` or ``none``."""

    request: Request
    decides: str

    def __str__(self) -> str:
        headers = "".join(f"   {name}: {content}" for name, content in self.request.headers)
        return f"{self.request.method} {self.request.path}   Host: {self.request.host}{headers}"


def path(case: Variant) -> str:
    return f"/{case.choose('path', PATHS)}"


def part(case: Variant) -> str:
    return f"{path(case)}/{case.choose('part', PARTS)}"


def header(case: Variant) -> tuple[str, str]:
    return case.choose("header", HEADERS)


def weights(case: Variant) -> tuple[int, int]:
    """The larger and the smaller weight of the rule that splits."""
    return case.choose("weights", ((9, 1), (4, 1), (3, 2), (7, 1), (5, 3), (7, 3)))


def goes_to(case: Variant) -> dict[str, str]:
    """The Service that each rule leads to; of the one that splits, the one that gets more."""
    one, two, three = case.shuffle("goes to", services(case)[:3])
    return {"exact": one, "longer": two, "split": one, "method": three, "header": two}


def route(case: Variant) -> str:
    """The developers' route, its rules in any order."""
    to, (more, less) = goes_to(case), weights(case)
    name, content = header(case)
    rules = {
        "exact": _rule(f"path: {{type: Exact, value: {part(case)}}}", _to(to["exact"])),
        "longer": _rule(f"path: {{type: PathPrefix, value: {part(case)}}}", _to(to["longer"])),
        "split": _rule(f"path: {{type: PathPrefix, value: {path(case)}}}", _to(to["split"], more), _to(to["longer"], less)),
        "method": _rule(f"path: {{type: PathPrefix, value: {path(case)}}}, method: POST", _to(to["method"])),
        "header": _rule(
            f'path: {{type: PathPrefix, value: {path(case)}}}, headers: [{{name: {name}, value: "{content}"}}]', _to(to["header"])
        ),
    }
    return _route("pages", www(case), *(rules[key] for key in case.shuffle("rules", list(rules))))


def _rule(match: str, *backends: str) -> str:
    return f"  - matches: [{{{match}}}]\n    backendRefs: [{', '.join(backends)}]\n"


def _to(name: str, weight: int | None = None) -> str:
    return f"{{name: {name}, port: 80{'' if weight is None else f', weight: {weight}'}}}"


def _route(name: str, host: str, *rules: str) -> str:
    head = f"kind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  parentRefs: [{{name: front, namespace: edge}}]\n"
    return f"{API}{head}  hostnames: [{host}]\n  rules:\n{''.join(rules)}"


def requests(case: Variant) -> tuple[Asked, ...]:
    """The student's six requests, in the student's order."""
    name, content = header(case)
    other = case.choose("nowhere", (f"http://{www(case)}{path(case)}s", f"http://m.{domain(case)}{path(case)}"))
    asked = [
        Asked(request(f"http://{www(case)}{part(case)}"), "exact"),
        Asked(request(f"http://{www(case)}{part(case)}/7"), "longer"),
        Asked(request(f"http://{www(case)}{path(case)}"), "split"),
        Asked(request(f"http://{www(case)}{path(case)}", "POST", {name: content}), "method"),
        Asked(request(f"http://{www(case)}{path(case)}", "GET", {name.lower(): content}), "header"),
        Asked(request(other), "none"),
    ]
    return tuple(case.shuffle("requests", asked))


# --- an order


@value
class Order:
    """A canary that is wanted: the two versions, the path, the header that testers send, and how many of a hundred others get it."""

    host: str
    path: str
    old: str
    new: str
    header: tuple[str, str]
    percent: int

    @property
    def share(self) -> Fraction:
        return Fraction(self.percent, 100)

    def __str__(self) -> str:
        lines = [
            f"For {self.host} and the path {self.path}, with all that lies below it, and for nothing else:",
            f"Whoever sends the header {self.header[0]}: {self.header[1]} gets the new version, Service {self.new}.",
            f"Of all others, {self.percent} in 100 get the new version, and the rest the old one, Service {self.old}.",
        ]
        return "\n".join(f"* {line}" for line in lines)


def order(case: Variant) -> Order:
    """The student's order."""
    old, new = case.sample("versions", services(case)[:3], 2)
    percent = case.choose("percent", (1, 5, 15, 20, 30))
    header = case.choose("tester", [each for each in HEADERS if each != case.choose("header", HEADERS)])
    return Order(f"next.{domain(case)}", f"/{case.choose('order path', PATHS)}", old, new, header, percent)


# --- a route with two faults


def faults(case: Variant) -> tuple[str, str]:
    """What is wrong with the student's route: something that keeps it from the Gateway, and something about its Service or its host."""
    return case.choose("away", ("section", "parent")), case.choose("astray", ("host", "service", "port"))


def sold(case: Variant) -> tuple[str, str]:
    """(The Service that the broken route is for, its host.)"""
    return case.choose("sold", services(case)[:3]), f"sale.{domain(case)}"


def broken(case: Variant) -> str:
    """The manifest with its faults."""
    (name, host), wrong = sold(case), faults(case)
    if "host" in wrong:
        host = "sale." + case.choose("wrong domain", [each for each in DOMAINS if each != domain(case)])
    if "service" in wrong:
        name = name[0] + name[2] + name[1] + name[3:]
    port = 8080 if "port" in wrong else 80
    parent = {"section": "name: front, namespace: edge, sectionName: web", "parent": "name: front"}[wrong[0]]
    return (
        f"{API}kind: HTTPRoute\nmetadata: {{name: sale, namespace: shop}}\nspec:\n  parentRefs: [{{{parent}}}]\n  hostnames: [{host}]\n"
        f"  rules:\n  - backendRefs: [{{name: {name}, port: {port}}}]\n"
    )


# --- a wish across namespaces


def wish(case: Variant) -> tuple[str, str]:
    """(The Service of the other team that the shop wants, another one that it must not get.)"""
    wanted, other = case.shuffle("wish", services(case)[3:])
    return wanted, other


def crossing(case: Variant) -> str:
    """The shop's route to that Service."""
    wanted, _ = wish(case)
    backend = f"{{name: {wanted}, namespace: {team(case)}, port: 80}}"
    return _route("partner", f"partner.{domain(case)}", f"  - backendRefs: [{backend}]\n")


def listed(case: Variant) -> Table:
    """Every Service that an application has, with its namespace and the number of its Pods."""
    rows = [(name, "shop" if name in replicas(case) else team(case), str(replicas(case).get(name, 1))) for name in services(case)]
    return Table(("Service", "namespace", "Pods"), tuple(rows))
