"""What exercise 08 gives a student: a shop of their own behind a controller, rules, requests, a wish, and an Ingress with one fault."""

from __future__ import annotations

from k8snetlib.course.variants import Variant
from k8snetlib.kube.apply import applied, deleted
from k8snetlib.kube.cast import INGRESS
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.create import create_ingress
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.edge.journey import Journey
from k8snetlib.kube.manifests import Manifests, load, loads
from k8snetlib.kube.patch import patched
from k8snetlib.value import replace, value
from k8snetlib.views.tables import Table

NAMES = ("basket", "catalog", "invoice", "search", "stock", "ticket")
WORDS = ("buy", "find", "help", "jobs", "list", "mail", "news", "shop")
DOMAINS = ("example.com", "example.net", "example.org")
NODES = ("node-a", "node-b")
FAULTS = ("class", "service", "port", "type", "host")
NOBODY = "404"
_NODE = "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nspec: {{podCIDR: 10.244.{block}.0/24}}\n" \
        "status: {{addresses: [{{type: InternalIP, address: 192.168.50.{host}}}]}}"  # fmt: skip
_POD = "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}-1, namespace: shop, labels: {{app: {name}}}}}\n" \
       "spec: {{nodeName: {node}, containers: [{{name: web, image: web, ports: [{{name: http, containerPort: 8080}}]}}]}}"  # fmt: skip
_SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n" \
           "spec: {{selector: {{app: {name}}}, ports: [{{port: {port}, targetPort: http}}]}}"  # fmt: skip


def cluster(case: Variant) -> Cluster:
    """Two nodes, the controller, four Services with a Pod each, and no Ingress; a client outside, and a load balancer."""
    text = []
    for number, host in enumerate(case.sample("hosts", range(11, 200, 3), 2)):
        block = case.integer(f"block {number}", 10 + 60 * number, 60 + 60 * number)
        text.append(_NODE.format(name=NODES[number], block=block, host=host))
    for name in services(case):
        text.append(_POD.format(name=name, node=case.choose(f"node of {name}", NODES)))
        text.append(_SERVICE.format(name=name, port=port(case, name)))
    moved = load(INGRESS) if case.choose("controller", NODES) == "node-b" else _on_node_a()
    own = loads("\n---\n".join(["apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}", *text]), "<your shop>")
    made = Cluster.of(replace(own, objects=(*own.objects, *moved.objects)), cni="vxlan", proxy="iptables", outside=True, balancer=True)
    return deleted(made, "ingress/shop")


def _on_node_a() -> Manifests:
    text = INGRESS.read_text(encoding="utf-8").replace("hostname: node-b", "hostname: node-a")
    return loads(text, str(INGRESS))


def services(case: Variant) -> list[str]:
    """The names of the four Services."""
    return case.sample("services", NAMES, 4)


def port(case: Variant, name: str) -> int:
    """The port of a Service."""
    return case.choose(f"port of {name}", (80, 8000, 8080, 9000))


def backend(case: Variant, name: str) -> str:
    return f"{name}:{port(case, name)}"


def domain(case: Variant) -> str:
    return case.choose("domain", DOMAINS)


# --- 1: six requests


def rules(case: Variant) -> str:
    """The manifest of the rules that the student reads."""
    one, two, three, four = (backend(case, name) for name in services(case))
    short, long = case.sample("words", WORDS, 2)
    site = domain(case)
    lines = [f"www.{site}/{short}*={one}", f"www.{site}/{short}/{long}*={two}", f"www.{site}/{long}={three}", f"*.{site}/*={four}"]
    return create_ingress("shop", *case.shuffle("rules", lines), ingress_class="edge")


def requests(case: Variant) -> tuple[str, ...]:
    """Six requests: some that fit, and some that only seem to."""
    site, (short, long) = domain(case), case.sample("words", WORDS, 2)
    sure = [f"www.{site}/{short}/{long}/1", f"www.{site}/{short}{long}", f"m.{site}/{short}/{long}"]
    kinds = [
        f"www.{site}/{short}/{long[:-1]}", f"www.{site}/{long}/", f"www.{site}/{long}?page=2",
        f"www.m.{site}/{short}", f"{site}/", f"www.{site}/", f"www.{site}/{short}?next=/{short}/{long}",
    ]  # fmt: skip
    found = case.shuffle("requests", [*sure, *case.sample("kinds", kinds, 3)])
    return tuple(f"http://{each}" for each in found)


def table(case: Variant) -> Cluster:
    """The cluster with these rules."""
    return applied(cluster(case), rules(case), "rules")


# --- 2: a wish


@value
class Wish:
    """What an Ingress is wanted for: requests and who gets each, and the host whose certificate is there."""

    wanted: tuple[tuple[str, str], ...]
    secret: str
    host: str

    def __str__(self) -> str:
        width = max(len(url) for url, _ in self.wanted)
        lines = [f"{url:{width}}  →  {who}" for url, who in self.wanted]
        return "\n".join([*lines, f"TLS for {self.host}: Secret {self.secret}", "class: edge"])


def wish(case: Variant) -> Wish:
    """The student's wish, in eight requests; they leave little choice."""
    one, two, three, _ = services(case)
    first, second = case.sample("paths", WORDS, 2)
    host, other = f"{first}.{domain(case)}", f"{second}.{domain(case)}"
    wanted = [
        (f"http://{host}/{first}", one), (f"http://{host}/{first}/a/b", one), (f"http://{host}/{first}s", NOBODY),
        (f"http://{host}/{first}/{second}", two), (f"http://{host}/{first}/{second}/", one), (f"http://{host}/", NOBODY),
        (f"http://{other}/", three), (f"http://{other}/{first}", three),
    ]  # fmt: skip
    return Wish(tuple(wanted), f"{first}-cert", host)


# --- 3: a fault


def fault(case: Variant) -> str:
    """Which of the five it is."""
    return case.choose("fault", FAULTS)


def call(case: Variant) -> str:
    """What customers call."""
    return f"http://{case.sample('paths', WORDS, 2)[1]}.{domain(case)}/{case.choose('called', WORDS)}/1"


def others_call(case: Variant) -> str:
    """What works, and must go on working."""
    return f"http://{case.sample('paths', WORDS, 2)[1]}.{domain(case)}/"


def whole(case: Variant, kind: str = "") -> str:
    """The Ingress of question 3, with one fault: of this kind, or of none."""
    sent = request(call(case))
    name, front, *_ = services(case)
    path, host = sent.path.removesuffix("/1"), sent.host
    line = {
        "service": f"{host}{path}*={name[:-2]}{name[-1]}{name[-2]}:{port(case, name)}",
        "port": f"{host}{path}*={name}:http",
        "type": f"{host}{path}={name}:{port(case, name)}",
        "host": f"*.{host}{path}*={name}:{port(case, name)}",
    }.get(kind, f"{host}{path}*={name}:{port(case, name)}")
    return create_ingress("shop", line, f"{host}/=" + backend(case, front), ingress_class="egde" if kind == "class" else "edge")


def broken(case: Variant) -> str:
    """The Ingress that somebody else wrote."""
    return whole(case, fault(case))


# --- 4: who sees whom


OWN = "own"
"""What stands for the certificate that a controller made itself."""


def policy(case: Variant) -> str:
    """The externalTrafficPolicy of the controller's Service."""
    return case.choose("policy", ("Cluster", "Local"))


def secure(case: Variant) -> str:
    """The manifest of question 4: two hosts, and certificates for some of them."""
    site, which = domain(case), case.choose("certificates", ("exact", "wild", "none"))
    exact = ",tls=www-cert" if which == "exact" else ""
    wild = "" if which == "none" else ",tls=star-cert"
    third = ",tls=m-cert" if which == "none" else ""
    one, two, *_ = (backend(case, name) for name in services(case))
    lines = [f"www.{site}/*={one}{exact}", f"*.{site}/*={two}{wild}", f"m.{site}/*={two}{third}"]
    return create_ingress("shop", *case.shuffle("secure", lines), ingress_class="edge")


def secured(case: Variant) -> Cluster:
    """The cluster of question 4."""
    return patched(applied(cluster(case), secure(case), "secure"), "svc/edge", namespace="edge", external_traffic_policy=policy(case))


def visit(case: Variant) -> str:
    """What the client asks for."""
    return f"https://www.{domain(case)}/"


def journey(case: Variant) -> Journey:
    """How it goes."""
    return secured(case).journey(visit(case))


def addresses(case: Variant) -> Table:
    """The addresses of the nodes' interfaces."""
    devs, network = ("eth0", "cni0", "flannel.1"), cluster(case).network
    found = {node: {i.name: a.ip for i in network[node].interfaces.values() for a in i.addresses if a.version == 4} for node in NODES}
    return Table(("node", *devs), tuple((node, *(str(found[node][dev]) for dev in devs)) for node in NODES))
