"""What exercise 11 gives a student: a cluster with a way in, a request to follow, a broken one, and a wish."""

from __future__ import annotations

from functools import lru_cache

from k8snetlib.course.variants import Variant
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.breaks import Break, breaks
from k8snetlib.kube.edge.journey import Journey
from k8snetlib.value import replace, value
from k8snetlib.views.journey import place
from k8snetlib.views.tables import Table
from k8snetlib.views.way_picture import Leg, legs

FRUIT = ("lemon", "olive", "mango", "peach", "plum", "quince")
PATHS = ("/menu", "/cart", "/stock", "/news")
NODES = ("node-a", "node-b", "node-c")
FAULTS = ("ranges", "selector", "closed", "class", "path", "empty", "port")
"""The breaks among which a student finds one: those that are in objects."""
BALANCER = "balancer"
APP = """apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec:
  type: ClusterIP
  selector: {app: app}
  ports:
  - {port: 80, targetPort: http}
"""
FRONT = """apiVersion: v1
kind: Service
metadata:
  name: edge
  namespace: edge
  labels: {app.kubernetes.io/component: controller}
spec:
  type: LoadBalancer
  selector: {app: edge}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: https, port: 443, targetPort: https}
"""
INGRESS = """apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: edge}
spec: {controller: k8snetlib.example/edge}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  ingressClassName: edge
  tls: [{hosts: [www.example.com], secretName: www-example-com}]
  rules:
  - host: www.example.com
    http:
      paths:
      - {path: %s, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}
"""
NODE = """apiVersion: v1
kind: Node
metadata: {name: %s}
spec: {podCIDR: 10.244.%d.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.50.%d}]}
"""
POD = """apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s, labels: {app: %s}}
spec: {nodeName: %s, containers: [{name: main, image: main, ports: [%s]}]}
"""


@lru_cache(maxsize=64)
def cluster(case: Variant) -> Cluster:
    """Three nodes, a controller, the one Pod of Service app, another Pod, a client outside and a balancer that passes packets on."""
    blocks = [case.integer(f"block {n}", 10 + 60 * n, 60 + 60 * n) for n in range(3)]
    nodes = [NODE % each for each in zip(NODES, blocks, case.sample("hosts", range(11, 200), 3), strict=True)]
    app, other = case.sample("pods", FRUIT, 2)
    http = "{name: http, containerPort: 8080}"
    pods = [
        POD % (other, "shop", "other", case.choose("other", NODES), http),
        POD % ("edge-1", "edge", "edge", places(case)[1], http + ", {name: https, containerPort: 8443}"),
        POD % (app, "shop", "app", places(case)[2], http),
    ]
    text = "\n---\n".join([*nodes, *pods, APP, FRONT, INGRESS % path(case)])
    return Cluster.loads(text, cni=case.choose("cni", ("vxlan", "host-gw")), proxy="iptables", outside=True, balancer=True)


def places(case: Variant) -> tuple[str, str, str]:
    """The node that the balancer chooses, that of the controller, which is another, and that of the application's Pod."""
    chosen, controller = case.sample("places", NODES, 2)
    return chosen, controller, case.choose("app", NODES)


def path(case: Variant) -> str:
    return case.choose("path", PATHS)


def url(case: Variant) -> str:
    """What the client asks for."""
    return f"https://www.example.com{path(case)}"


def addresses(case: Variant) -> Table:
    """The IPv4 addresses of each node's interfaces."""
    devs, network = ("eth0", "cni0", "flannel.1"), cluster(case).network
    found = {node: {i.name: str(a.ip) for i in network[node].interfaces.values() for a in i.addresses if a.version == 4} for node in NODES}
    shown = [dev for dev in devs if any(dev in each for each in found.values())]
    return Table(("node", *shown), tuple((node, *(found[node].get(dev, "–") for dev in shown)) for node in NODES))


def told(case: Variant) -> str:
    """What has to be known of the request."""
    return f"The client asks for {url(case)}, and the balancer chooses {places(case)[0]}."


# --- the request's way


@lru_cache(maxsize=64)
def request(case: Variant) -> Journey:
    """The journey by the node that the balancer chooses."""
    made = cluster(case)
    pools = tuple(replace(pool, nodes=(places(case)[0],)) for pool in made.pools)
    return replace(made, pools=pools).journey(url(case))


@value
class Line:
    """A packet between two machines: on the way there, or ``back``, from whom to whom, and the leg itself."""

    number: int
    back: bool
    tail: str
    head: str
    leg: Leg

    def __str__(self) -> str:
        return f"{self.number}  {'the answer' if self.back else 'the request'}, from {self.tail} to {self.head}"


def way(case: Variant, back: bool = False) -> tuple[Line, ...]:
    """The lines from machine to machine, of the request, or ``back``, of the answer; not numbered."""
    found = request(case).connections
    traces = [each.back for each in reversed(found)] if back else [each.there for each in found]
    return tuple(Line(0, back, _name(leg.tail, trace), _name(leg.head, trace), leg) for trace in traces for leg in legs(trace, back=back))


def _name(netns: str, trace) -> str:
    return place(netns, trace).replace("load balancer", BALANCER)


def stations(case: Variant, back: bool = False) -> list[str]:
    """The machines and Pods in order, each as often as the packet comes to it."""
    lines = way(case, back)
    return [lines[0].tail, *(line.head for line in lines)]


def cards(case: Variant) -> list[str]:
    """The request's stations, in no order."""
    return case.shuffle("cards", stations(case))


def lines(case: Variant) -> tuple[Line, ...]:
    """Four lines of which the addresses are asked for: the packet as the chosen node passes it on, as the controller begins anew, and the
    answer before and after the chosen node."""
    chosen, controller, _ = places(case)
    there, back = way(case), way(case, True)
    picked = [
        next(each for each in there if (each.tail, each.head) == (chosen, controller)),
        next(each for each in there if each.tail == "edge-1"),
        next(each for each in back if (each.tail, each.head) == (controller, chosen)),
        next(each for each in back if each.head == "client"),
    ]
    return tuple(replace(each, number=number) for number, each in enumerate(case.shuffle("lines", picked), 1))


# --- a fault


@lru_cache(maxsize=64)
def broken(case: Variant) -> Break:
    """The one thing that is wrong."""
    return breaks(cluster(case), url(case))[case.choose("fault", FAULTS)]


def failed(case: Variant) -> Cluster:
    """The cluster in which it is wrong."""
    return broken(case).cluster


# --- a wish


@value
class Wish:
    """How the Pod is to learn the client's address: in the ``header``, or else by the packets; ``closed``: no node port is open."""

    header: bool
    closed: bool

    def __str__(self) -> str:
        if self.header:
            rows = ["The Pod reads the client's own address in X-Forwarded-For.", "TLS still ends in the controller."]
            which = "edge, of the controller"
        else:
            rows = ["The client outside can call Service app at an address of its own, port 80, without the controller."]
            rows += ["The Pod then sees the client's own address as the source.", "The Ingress works as before."]
            which = "app"
        rows += ["This Service opens no node port."] if self.closed else []
        return "\n".join([f"Service {which}:", *(f"* {row}" for row in rows)])


def wish(case: Variant) -> Wish:
    """The student's wish."""
    return Wish(*(bool(each) for each in case.choose("wish", ((0, 0), (0, 1), (1, 0), (1, 1)))))


def manifest(case: Variant) -> str:
    """The Service that it is about, as it is."""
    return FRONT if wish(case).header else APP
