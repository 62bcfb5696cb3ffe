"""One thing broken at a time, station by station, on a request's way from the client to the Pod: the cluster with that mistake, and the
journey that then comes of the request.

Read off a journey that works: which Service lets it in, which rule sends it on, which Pods stand behind. What becomes of the request is for
:func:`~k8snetlib.kube.edge.journey.journey` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import TYPE_CHECKING

from ...errors import ModelError
from ...linux.draft import build
from ...linux.ops import Op, RuleEnsure
from ...value import replace, value
from ..patch import patched
from .ingress import IngressTable
from .journey import Journey, journey
from .objects import Ingress

if TYPE_CHECKING:
    from ..cluster import Cluster

TEXT = {
    "ranges": ("balancer", "Service {front}: loadBalancerSourceRanges does not list the client"),
    "local": ("node port", "Service {front}: externalTrafficPolicy is Local, and the request comes by {node}, not to {controller}'s node"),
    "selector": ("Service of the controller", "Service {front}: its selector picks no Pod"),
    "closed": ("controller", "Service {front}: its targetPort is {closed}, where the controller does not listen"),
    "class": ("Ingress", "the Ingress names a class that no controller answers for"),
    "path": ("rule", "the rules are for other paths"),
    "empty": ("Service of the application", "Service {back}: its selector picks no Pod"),
    "port": ("Pod", "Service {back}: its targetPort is {closed}, where the Pod does not listen"),
    "firewall": ("network", "a firewall on the Pods' nodes drops what is for the Pods"),
}  # fmt: skip
NOT_READY = "{url} is not answered by a Pod behind an Ingress here ({why}), so there is nothing to break"
CLOSED = 9
"""A port at which nobody listens here."""
ELSEWHERE = {4: ip_network("192.0.2.0/24"), 6: ip_network("2001:db8::/32")}


@value
class Break:
    """Something wrong on a request's way: a short name, the station where it is wrong, and what it is, in words; the cluster with it, and
    ops of somebody else's on its machines; the node by whose port the client comes in, ``""`` for the load balancer."""

    name: str
    station: str
    title: str
    cluster: Cluster
    ops: tuple[Op, ...] = ()
    node: str = ""

    def journey(self, url: str) -> Journey:
        """What becomes of the request."""
        return journey(self.cluster, url, network=build(self.ops, self.cluster.network) if self.ops else None, node=self.node)


def breaks(cluster: Cluster, url: str) -> dict[str, Break]:
    """By name, in the order of the way, what can be broken for a request that an Ingress's Pod answers. ModelError if none does."""
    good = journey(cluster, url)
    if good.pod is None or not good.answered or not good.goes_on or not isinstance(good.entry.table, IngressTable):
        raise ModelError(NOT_READY.format(url=url, why=good.why or good.response))
    return {each.name: each for each in _all(_Way(cluster, good))}


@value
class _Way:
    cluster: Cluster
    good: Journey

    @property
    def back(self) -> str:
        return self.good.decision.backend.key

    def patched(self, key: str, **changes: object) -> Cluster:
        namespace, _, name = key.partition("/")
        return patched(self.cluster, f"svc/{name}", namespace, **changes)

    def made(self, name: str, cluster: Cluster, ops: tuple[Op, ...] = (), node: str = "") -> Break:
        station, title = TEXT[name]
        controller = self.good.controller.name if self.good.controller else ""
        words = {"front": self.good.entry.service.key, "back": self.back, "closed": CLOSED, "node": node, "controller": controller}
        return Break(name, station, title.format(**words), cluster, ops, node)


def _all(way: _Way) -> Iterator[Break]:
    front = way.good.entry.service.key
    version = way.good.connections[0].there.sent.dst.version
    if way.good.entry.service.type == "LoadBalancer":
        yield way.made("ranges", way.patched(front, load_balancer_source_ranges=(ELSEWHERE[version],)))
    yield from _local(way, front)
    yield way.made("selector", way.patched(front, selector={"app": "nobody"}))
    yield way.made("closed", way.patched(front, ports=_closed(way.good.entry.service.ports)))
    yield way.made("class", _ingresses(way.cluster, lambda each: replace(each, ingress_class=f"{each.ingress_class}x")))
    yield way.made("path", _ingresses(way.cluster, _elsewhere))
    yield way.made("empty", way.patched(way.back, selector={"app": "nobody"}))
    service = next(each for each in way.cluster.services if each.key == way.back)
    yield way.made("port", way.patched(way.back, ports=_closed(service.ports)))
    yield way.made("firewall", way.cluster, tuple(_wall(way)))


def _local(way: _Way, front: str) -> Iterator[Break]:
    service, controller = way.good.entry.service, way.good.controller
    other = next((host.name for host in way.cluster.hosts if controller and host.name != controller.node_name), "")
    if other and service.type in ("NodePort", "LoadBalancer") and all(port.node_port for port in service.ports):
        yield way.made("local", way.patched(front, external_traffic_policy="Local"), node=other)


def _closed(ports: tuple) -> tuple:
    return tuple(replace(port, target_port=CLOSED) for port in ports)


def _ingresses(cluster: Cluster, change: Callable[[Ingress], Ingress]) -> Cluster:
    objects = tuple(change(each) if isinstance(each, Ingress) else each for each in cluster.manifests.objects)
    return replace(cluster, manifests=replace(cluster.manifests, objects=objects))


def _elsewhere(ingress: Ingress) -> Ingress:
    rules = (replace(rule, paths=tuple(replace(path, path=f"/other{path.path}") for path in rule.paths)) for rule in ingress.rules)
    return replace(ingress, rules=tuple(rules), default_backend=None)


def _wall(way: _Way) -> Iterator[Op]:
    """On each node of a Pod behind the backend, a rule that drops what is for its address."""
    for each in way.cluster.edge.backends.upstreams(way.good.decision.backend):
        node = next((pod.node_name for pod in way.cluster.pods if pod.key == each.pod), "")
        rule = f"-d {each.address}/{each.address.max_prefixlen} -p tcp -m tcp --dport {each.port} -j DROP"
        if node:
            yield RuleEnsure(node, "filter", "FORWARD", rule, each.address.version)
