"""A Service from close up: from the name to the Pods, each number with the word it is called by.

Read from the cluster's objects alone: Service, EndpointSlices, Pods, and, where a Pod asks, its lookup. Top to bottom as one looks it up:
who asks and what DNS answers, the ways in, the Service, its EndpointSlices, the Pods.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..kube.cluster import Cluster
from ..kube.objects import Pod, Service
from ..kube.slices import Endpoint, EndpointSlice
from ..kube.targets import find_service
from .figure import Figure
from .render import canvas

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "asks": "{pod} asks for\n{name}",
    "dns": "DNS answers\n{answer}",
    "record": "{type} {data}",
    "nothing": "no such name",
    "service": "Service {name}\n{lines}",
    "cluster-ip": "ClusterIP {ip}",
    "headless": "clusterIP: None (headless)",
    "external": "type ExternalName: {name}",
    "port": "{name}port {port}/{protocol} → targetPort {target}",
    "named": "{name}: ",
    "node-port": "every node\n{lines}",
    "node-line": "nodePort {port}/{protocol}",
    "balancer": "load balancer\n{lines}",
    "pending": "EXTERNAL-IP <pending>",
    "selector": "selector {selector}",
    "by-hand": "no selector",
    "slice": "EndpointSlice\n{name}\n{lines}",
    "slice-port": "{name}port {port}/{protocol}",
    "no-port": "no port: no container\nhas the targetPort's name",
    "no-endpoint": "no endpoints",
    "no-slice": "no EndpointSlice\nnobody writes one",
    "pod": "Pod {name}\n{ip} on {node}\n{ports}",
    "container-port": "containerPort {port}{name}",
    "container-name": " named {name}",
    "more": "and {n} more",
    "ready": "✓ ready", "not-ready": "✕ not ready", "terminating": "✕ terminating",
    "last": "✓ terminating", "alt-last": "terminating, used",
    "others": "not selected",
    "label": "{labels}",
    "directly": "straight to the Pods",
    "alt": "Service {name} of namespace {namespace}: {what}. {slices}.",
    "alt-slice": "EndpointSlice {name} with {endpoints}",
    "alt-endpoint": "{ip} ({state})",
    "alt-none": "no endpoints",
    "alt-dns": "{pod} asks for {asked}, and DNS answers {answer}",
}  # fmt: skip
MOST_PODS, MOST_PORTS = 5, 3
BESIDE = "\u00a0" * 4  # keeps an edge's label off its line


def service_picture(
    cluster: Cluster, service: str, namespace: str = "", *, source: str = "", name: str = "", others: bool = False, caption: str = ""
) -> Figure:
    """Service → EndpointSlices → Pods, with the four port words where they belong: nodePort, port, targetPort, containerPort.

    ``source`` ("pod/web") puts on top what that Pod's DNS lookup of ``name`` (default: the Service's name) brings; ``others`` shows the
    namespace's Pods that the selector does not pick, too. ModelError if there is no such Service.
    """
    found = find_service(cluster, f"svc/{service}", service, namespace)
    drawing = _Drawing(cluster, found, others)
    lookup = cluster.lookup(source, name or service) if source else None
    return Figure.of(drawing.draw(source, lookup), drawing.alt(source, lookup), caption)


class _Drawing:
    def __init__(self, cluster: Cluster, service: Service, others: bool) -> None:
        self.cluster, self.service, self.others = cluster, service, others
        self.graph: graphviz.Digraph = canvas("service", ranksep="0.42", nodesep="0.3")
        self.graph.attr("node", margin="0.3,0.09")  # room for fonts wider than those that Graphviz counts with: these lines are long
        self.slices = [each for each in cluster.control.slices if each.service_key == service.key]
        self.endpoints = [(part, each) for part in self.slices for each in part.endpoints]
        self.none_ready = not any(each.ready is not False and part.ports for part, each in self.endpoints)

    def draw(self, source: str, lookup) -> graphviz.Digraph:
        self._service()
        self._ways_in()
        for part in self.slices:
            self._slice(part)
        if not self.slices and self.service.type != "ExternalName":
            self.graph.node("none", TEXT["no-slice"], **{"class": "drop"})
            self.graph.edge("service", "none", label=BESIDE + TEXT["by-hand"], dir="forward", **{"class": "lookup"})
        self._pods()
        if lookup is not None:
            self._dns(source, lookup)
        return self.graph

    def _service(self) -> None:
        self.graph.node("service", TEXT["service"].format(name=self.service.name, lines="\n".join(self._lines())), **{"class": "service"})

    def _lines(self) -> list[str]:
        service = self.service
        if service.type == "ExternalName":
            return [TEXT["external"].format(name=service.external_name)]
        head = TEXT["headless"] if service.headless else TEXT["cluster-ip"].format(ip=", ".join(map(str, service.cluster_ips)))
        ports = [
            TEXT["port"].format(name=_prefix(p.name), port=p.port, protocol=p.protocol, target=p.target_port)
            for p in service.ports[:MOST_PORTS]
        ]
        left = len(service.ports) - MOST_PORTS
        return [head, *ports, *([TEXT["more"].format(n=left)] if left > 0 else [])]

    def _ways_in(self) -> None:
        """The load balancer and the nodes in front of the Service, where its type has them."""
        node_ports = [p for p in self.service.ports if p.node_port]
        if node_ports:
            lines = "\n".join(TEXT["node-line"].format(port=p.node_port, protocol=p.protocol) for p in node_ports[:MOST_PORTS])
            self.graph.node("nodes", TEXT["node-port"].format(lines=lines), **{"class": "host"})
            self.graph.edge("nodes", "service", dir="forward", **{"class": "link"})
        if self.service.type == "LoadBalancer":
            given = [each.hostname or str(each.ip) for each in self.service.load_balancer_ingress]
            lines = ", ".join(given) or TEXT["pending"]
            self.graph.node("balancer", TEXT["balancer"].format(lines=lines), **{"class": "outside"})
            self.graph.edge("balancer", "nodes" if node_ports else "service", dir="forward", **{"class": "link" if given else "link dim"})

    def _slice(self, part: EndpointSlice) -> None:
        ports = [TEXT["slice-port"].format(name=_prefix(p.name), port=p.port, protocol=p.protocol) for p in part.ports[:MOST_PORTS]]
        if not part.endpoints:
            ports = [TEXT["no-endpoint"]]
        elif not ports:
            ports = [TEXT["no-port"]]
        kind = "interface" if part.endpoints and part.ports else "drop"
        node = f"slice-{part.name}"
        self.graph.node(node, TEXT["slice"].format(name=part.name, lines="\n".join(ports)), **{"class": kind})
        pairs = ", ".join(f"{key}={text}" for key, text in self.service.selector.items())
        label = TEXT["selector"].format(selector=pairs) if pairs else TEXT["by-hand"]
        self.graph.edge("service", node, label=BESIDE + label + BESIDE, dir="forward", **{"class": "lookup"})

    def _pods(self) -> None:
        shown = self.endpoints[:MOST_PODS]
        for part, endpoint in shown:
            pod = self._pod_of(endpoint)
            node, state = _node(endpoint.addresses[0]), self._condition(part, endpoint)
            usable = state in ("ready", "last") and part.ports
            label = self._pod_label(pod) if pod else str(endpoint.addresses[0])
            self.graph.node(node, label, **{"class": "pod" if usable else "outside"})
            self.graph.edge(f"slice-{part.name}", node, label=BESIDE + TEXT[state], dir="forward", **{"class": "link"})
        if len(self.endpoints) > MOST_PODS:
            self.graph.node("more", TEXT["more"].format(n=len(self.endpoints) - MOST_PODS), **{"class": "pod dim"})
            self.graph.edge(f"slice-{self.slices[0].name}", "more", **{"class": "link dim"})
        if self.others:
            self._other_pods({_node(each.addresses[0]) for _, each in shown})

    def _other_pods(self, taken: set[str]) -> None:
        """Beside the Pods that were picked, and in the cluster's order: those of the namespace that were not, each with its labels."""
        pods = [each for each in self.cluster.pods if each.namespace == self.service.namespace and each.pod_ips][: 2 * MOST_PODS]
        above = f"slice-{self.slices[0].name}" if self.slices else "none" if self.service.type != "ExternalName" else "service"
        for pod in pods:
            if _node(pod.pod_ips[0]) not in taken:
                self.graph.node(_node(pod.pod_ips[0]), self._pod_label(pod), **{"class": "outside"})
                self.graph.edge(above, _node(pod.pod_ips[0]), style="invis")
        with self.graph.subgraph() as rank:
            rank.attr(rank="same")
            for left, right in pairwise(pods):
                rank.edge(_node(left.pod_ips[0]), _node(right.pod_ips[0]), style="invis")

    def _pod_label(self, pod: Pod) -> str:
        ports = [p for box in pod.running_containers for p in box.ports]
        words = [
            TEXT["container-port"].format(port=p.container_port, name=TEXT["container-name"].format(name=p.name) if p.name else "")
            for p in ports[:MOST_PORTS]
        ]
        lines = TEXT["pod"].format(name=pod.name, ip=pod.pod_ips[0], node=pod.node_name, ports="\n".join(words)).rstrip()
        labels = ",".join(f"{key}={text}" for key, text in pod.labels.items())
        return f"{lines}\n{labels}" if self.others and labels else lines

    def _pod_of(self, endpoint: Endpoint) -> Pod | None:
        return next((pod for pod in self.cluster.pods if f"Pod {pod.key}" == endpoint.target), None)

    def _dns(self, source: str, lookup) -> None:
        pod = source.partition("/")[2] or source
        self.graph.node("asks", TEXT["asks"].format(pod=pod, name=lookup.name), **{"class": "pod"})
        answered = lookup.addresses or self.service.type == "ExternalName"  # a CNAME is an answer
        self.graph.node("dns", TEXT["dns"].format(answer=self._answer(lookup)), **{"class": "service" if answered else "drop"})
        self.graph.edge("asks", "dns", dir="forward", **{"class": "lookup"})
        if self.service.headless and lookup.addresses:
            for _, endpoint in self.endpoints[:MOST_PODS]:
                if endpoint.addresses[0] in lookup.addresses:
                    self.graph.edge("dns", _node(endpoint.addresses[0]), dir="forward", **{"class": "path"})
            self.graph.edge("dns", "service", style="invis")
        elif set(lookup.addresses) & set(self.service.cluster_ips):
            self.graph.edge("dns", "service", dir="forward", **{"class": "path"})
        else:
            self.graph.edge("dns", "service", style="invis")

    def _answer(self, lookup) -> str:
        records = list(dict.fromkeys(each for step in lookup.steps for each in step.records))
        lines = [TEXT["record"].format(type=each.type, data=each.data) for each in records[:MOST_PORTS]]
        return "\n".join([*([records[0].name] if records else []), *lines]) or TEXT["nothing"]

    def _condition(self, part: EndpointSlice, endpoint: Endpoint) -> str:
        """What the conditions of an endpoint come to: "ready", "terminating", "not-ready", or "last": terminating, and used since it still
        serves and no ready one is left (KEP-1669)."""
        if endpoint.ready is not False:
            return "ready"
        if not endpoint.terminating:
            return "not-ready"
        return "last" if self.none_ready and endpoint.serving is not False and part.ports else "terminating"

    def alt(self, source: str, lookup) -> str:
        parts = []
        for part in self.slices:
            states = [(each.addresses[0], self._condition(part, each)) for each in part.endpoints]
            told = [TEXT["alt-endpoint"].format(ip=ip, state=TEXT.get(f"alt-{state}", TEXT[state][2:])) for ip, state in states]
            parts.append(TEXT["alt-slice"].format(name=part.name, endpoints=", ".join(told) or TEXT["alt-none"]))
        what, slices = "; ".join(self._lines()), "; ".join(parts) or TEXT["alt-none"]
        said = TEXT["alt"].format(name=self.service.name, namespace=self.service.namespace, what=what, slices=slices)
        if lookup is None:
            return said
        answer = self._answer(lookup).replace("\n", " ")
        asked = TEXT["alt-dns"].format(pod=source.partition("/")[2], asked=lookup.name, answer=answer)
        return f"{asked}. {said}"


def _node(address: object) -> str:
    return f"pod-{address}".replace(":", "_")  # in DOT, a colon would begin the name of a port


def _prefix(name: str) -> str:
    return TEXT["named"].format(name=name) if name else ""
