"""Tables about Service types: what each lets whom do, computed from traces, and what a load balancer hears from the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import ModelError
from ..kube.agents import NO_PROXY
from ..kube.balancers import check
from ..kube.cluster import Cluster
from ..kube.objects import Service
from ..kube.outside import CLIENT
from ..kube.patch import patched
from ..kube.targets import find_service
from ..linux.events import Trace
from ..linux.packet import IPAddress
from ..linux.state import Network
from ..value import replace, value
from .outcomes import Outcome, all_outcomes
from .tables import Table
from .topology import HOST, role
from .way_picture import legs

TEXT = {
    "heads": "type and policy|from a Pod, seen as|from a node, seen as|from outside, seen as|extra hop, from outside",
    "caption": "Service {name}, traced from every Pod that is not behind it, from every node, and from outside through every node",
    "yes": "yes: {seen}", "no": "no",
    "some": "from {names} alone: {seen}",
    "doors": "at every node: {seen}",
    "some-doors": "at {names} alone: {seen}",
    "and": " and ",
    "called-at": "{kind}, called at {port}",
    "alias": "a name alone: {name}",
    "pending": "<pending>; by node port {where}",
    "own": "its own address",
    "node": "a node's address",
    "balancer": "the balancer's address",
    "nobody": "–",
    "often": "yes", "sometimes": "sometimes",
    "outside": "this cluster has no client outside (load it with outside=True)",
    "health": "node|asked at|answer|ready endpoints there",
    "health-port": "{address}:{port}",
    "up": "200 OK", "down": "503 Service Unavailable", "unheard": "connection refused",
    "no-check": "{reference}: nodes are asked by the health checks of type LoadBalancer alone",
}  # fmt: skip


@value
class Kind:
    """A row of the table: its name, and the fields of a Service that make it; ``balancer`` says whether there is one."""

    name: str
    changes: tuple[tuple[str, object], ...]
    balancer: bool = True


def _kind(name: str, *, balancer: bool = True, **changes: object) -> Kind:
    return Kind(name, tuple(changes.items()), balancer)


KINDS = (
    _kind("ClusterIP", type="ClusterIP"),
    _kind("ClusterIP, internal Local", type="ClusterIP", internal_traffic_policy="Local"),
    _kind("headless", type="ClusterIP", cluster_ips=("None",)),
    _kind("NodePort, Cluster", type="NodePort"),
    _kind("NodePort, Local", type="NodePort", external_traffic_policy="Local"),
    _kind("LoadBalancer, Cluster", type="LoadBalancer"),
    _kind("LoadBalancer, Local", type="LoadBalancer", external_traffic_policy="Local"),
    _kind("LoadBalancer, nobody to assign", type="LoadBalancer", balancer=False),
    _kind("ExternalName", type="ExternalName", external_name="api.example.com", cluster_ips=()),
)


def decisions(cluster: Cluster, service: str, namespace: str = "", kinds: Sequence[Kind] = KINDS) -> Table:
    """What a Service would do under each type and policy, traced: a row for each of ``kinds``.

    Pods and nodes call it by its name's address (a headless one at its Pods' own port, as nobody changes it), the client outside through what the type offers there, at every node that it can enter
    by. Without a load balancer in the cluster, every LoadBalancer stays ``<pending>``. ModelError if there is no
    client outside, or no such Service.
    """
    found = find_service(cluster, f"svc/{service}", service, namespace)
    if not cluster.outside:
        raise ModelError(TEXT["outside"])
    heads = tuple(TEXT["heads"].split("|"))
    rows = tuple(_row(cluster, found, kind) for kind in kinds)
    return Table(heads, rows, TEXT["caption"].format(name=found.key), whole=frozenset(heads[:1]))


def _row(cluster: Cluster, service: Service, kind: Kind) -> tuple[str, ...]:
    made = patched(cluster, f"svc/{service.name}", service.namespace, **dict(kind.changes))
    made = made if kind.balancer else replace(made, pools=())
    changed = find_service(made, "", service.name, service.namespace)
    if changed.type == "ExternalName":
        return kind.name, TEXT["alias"].format(name=changed.external_name), TEXT["no"], TEXT["no"], TEXT["nobody"]
    name, port = kind.name, service.ports[0].port
    if changed.headless and (own := _endpoint_port(made, changed)) not in (0, port):
        name, port = TEXT["called-at"].format(kind=kind.name, port=own), own  # nobody translates: a call at the Service's port is refused
    target = f"svc/{service.namespace}/{service.name}:{port}"
    behind = {each.target for part in made.control.slices if part.service_key == changed.key for each in part.endpoints}
    others = [pod for pod in made.pods if pod.namespace == service.namespace and pod.key in made.sandboxes]
    pods = {pod.name: f"pod/{pod.key}" for pod in others if f"Pod {pod.key}" not in behind}
    nodes = {host.name: f"node/{host.name}" for host in made.hosts}
    inside = (_inside(made, callers, target) for callers in (pods, nodes))
    return (name, *inside, *_outside(made, changed, target))


def _endpoint_port(cluster: Cluster, service: Service) -> int:
    """Where the endpoints listen for the Service's first port; 0 if there are none."""
    parts = [part for part in cluster.control.slices if part.service_key == service.key]
    return next((port.port or 0 for part in parts for port in part.ports if port.name == service.ports[0].name), 0)


def _inside(cluster: Cluster, callers: Mapping[str, str], target: str) -> str:
    found = {name: _outcomes(cluster, caller, target) for name, caller in callers.items()}
    good = {name: outcomes for name, outcomes in found.items() if _reaches(outcomes)}
    if not good:
        return TEXT["no"]
    return TEXT["yes" if len(good) == len(found) else "some"].format(names=TEXT["and"].join(good), seen=_seen(good))


def _outside(cluster: Cluster, service: Service, target: str) -> tuple[str, str]:
    """For a client outside: (from where and what the Pod sees, whether there is another hop)."""
    ways, doors, whole = "doors", node_doors(cluster, service), "{where}"
    if service.type == "LoadBalancer" and not service.load_balancer_ingress:
        whole = TEXT["pending"]
    elif service.type == "LoadBalancer" or not doors:
        kind = "lb" if service.type == "LoadBalancer" else "svc"
        ways, doors = "yes", {"": target.replace("svc/", f"{kind}/", 1)}
    found = {node: _outcomes(cluster, CLIENT, door) for node, door in doors.items()}
    good = {node: outcomes for node, outcomes in found.items() if _reaches(outcomes)}
    if not good:
        return whole.format(where=TEXT["no"]), TEXT["nobody"]
    where = TEXT[ways if len(good) == len(found) else "some-doors"].format(names=TEXT["and"].join(good), seen=_seen(good))
    hops = [extra_hop(outcome.trace) for outcomes in good.values() for outcome in outcomes]
    return whole.format(where=where), TEXT["often"] if all(hops) else TEXT["sometimes"] if any(hops) else TEXT["no"]


def _seen(found: Mapping[str, Iterable[Outcome]]) -> str:
    return TEXT["and"].join(dict.fromkeys(TEXT[seen_as(outcome.trace)] for outcomes in found.values() for outcome in outcomes))


def node_doors(cluster: Cluster, service: Service) -> dict[str, str]:
    """Node → what a client outside calls to get in there by the Service's first node port; empty if it has none."""
    number = service.ports[0].node_port if service.ports else 0
    return {host.name: f"node/{host.name}:{number}" for host in cluster.hosts} if number else {}


def _outcomes(cluster: Cluster, caller: str, target: str) -> tuple[Outcome, ...]:
    """What may become of a call; nothing if there is no address to call, as for a headless Service without an endpoint."""
    try:
        return all_outcomes(cluster.traces(caller, target))
    except ModelError:
        return ()


def _reaches(found: Sequence[Outcome]) -> bool:
    return bool(found) and all(outcome.delivered for outcome in found)


def seen_as(trace: Trace) -> str:
    """Whose address a delivered packet's receiver sees: "own" (the sender's), "node" or "balancer"."""
    source, network = trace.end.packet.src, trace.network
    if source == trace.sent.src and role(network, trace.start) != HOST:
        return "own"
    return "node" if owner(network, source) else "balancer"


def owner(network: Network, address: IPAddress) -> tuple[str, str] | None:
    """The node, and its interface, that has an address; None if no node has."""
    nodes = (name for name in network if role(network, name) == HOST)
    return next(((n, i.name) for n in nodes for i in network[n].interfaces.values() if any(a.ip == address for a in i.addresses)), None)


def extra_hop(trace: Trace) -> bool:
    """Whether the node by which a packet came in sent it on to another one."""
    machines = [leg.head for leg in legs(trace)]
    return sum(role(trace.network, name) == HOST for name in machines) > 1


def health_checks(cluster: Cluster, service: str, namespace: str = "") -> Table:
    """What each node answers to a load balancer that asks about a Service: under ``externalTrafficPolicy: Local`` at its health check node
    port, else at that of kube-proxy itself, /healthz. ModelError for a Service of another type."""
    found = find_service(cluster, f"svc/{service}", service, namespace)
    if found.type != "LoadBalancer":
        raise ModelError(TEXT["no-check"].format(reference=f"svc/{service}"))
    rows = []
    for host in cluster.hosts:
        one = check(found, cluster.control.slices, host, cluster.proxy != NO_PROXY)
        ip = host.addresses[0].ip
        address = TEXT["health-port"].format(address=f"[{ip}]" if ip.version == 6 else ip, port=one.port)
        answer = TEXT[("up" if one.up else "down") if one.heard else "unheard"]
        rows.append((host.name, address, answer, str(one.endpoints)))
    return Table(tuple(TEXT["health"].split("|")), tuple(rows), whole=frozenset({"node", "answer"}))
