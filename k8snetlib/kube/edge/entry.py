"""Where a request meets its controller: which table answers for it, by which Service it comes in, and the Pod that ends its connection.

No object says which Pods are an IngressClass's or a Gateway's controller. What is asked here, in this order: the caller; the addresses in
the object's status, as those of a running cluster are; the label ``gateway.networking.k8s.io/gateway-name`` (GEP-1762), first in the
Gateway's own namespace; and a Service labelled as a controller's (``app.kubernetes.io/component: controller``) that has a port for HTTP or
HTTPS: an admission webhook's and other controllers' have that label, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...errors import ModelError
from ...value import value
from ..objects import Pod, Service
from ..targets import find_service
from .gateway import GatewayTable
from .http import Request
from .ingress import IngressTable
from .objects import Gateway, Ingress

if TYPE_CHECKING:
    from ...linux.events import Trace
    from ..cluster import Cluster

GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
HOME_LABEL = "k8snetlib.example/gateway-namespace"
"""The Gateway's namespace, at a Service that is supplied for it elsewhere."""
COMPONENT = ("app.kubernetes.io/component", "controller")
WEB_PORTS = (80, 443)
TEXT = {
    "nothing": "this cluster has no Ingress and no Gateway that a controller answers for (k8snet trace --controller brings one)",
    "none": "the manifests have no Ingress and no Gateway (k8snet trace --entry service/NAMESPACE/NAME asks a Service straight)",
    "which": "by which way in? There are {names}: name one (--entry)",
    "no-entry": "{name} is no way in here (there are {names})",
    "no-service": "no Service is known to lead to the controller of {table}: name it (--via svc/NAMESPACE/NAME), or bring one (--controller)",
    "no-port": "Service {service} has no TCP port {port}, by which {url} would come in",
    "outside": "this cluster has no client outside (load it with outside=True)",
    "pending": "Service {service} is of type {type} and has no address outside: nothing leads to it from there",
}  # fmt: skip
Table = IngressTable | GatewayTable
STRAIGHT = "service/"


@value
class Entry:
    """A controller's table and the Service by which it is reached; ``name`` is ``ingress/CLASS`` or ``gateway/NAMESPACE/NAME``. Without a
    table, ``service/NAMESPACE/NAME``: the Service is the application's own, and no controller is in between."""

    name: str
    table: Table | None
    service: Service


def entries(cluster: Cluster) -> dict[str, Table]:
    """Every table of the cluster by the name of its entry."""
    edge = cluster.edge
    found: dict[str, Table] = {f"ingress/{name}": table for name, table in edge.ingresses.items()}
    return found | {f"gateway/{key}": table for key, table in edge.gateways.items()}


def in_use(known: Mapping[str, Table]) -> list[str]:
    """The names of those that an Ingress or a Gateway is behind; where there is none such, all: classes with nothing of theirs."""
    return [name for name, table in known.items() if not isinstance(table, IngressTable) or table.ingresses] or list(known)


def entry(cluster: Cluster, request: Request, name: str = "", via: str = "") -> Entry:
    """The way in that a request takes: the one ``name`` says (``service/NAMESPACE/NAME`` for none but that Service), else the only one there
    is, else the only one with a rule for its host. ModelError if that leaves none, or several."""
    if name.startswith(STRAIGHT):
        service = find_service(cluster, name, *_named(name))
        return Entry(f"{STRAIGHT}{service.key}", None, service)
    known = entries(cluster)
    if not known:
        made = cluster.manifests
        wishes = made is None or made.of(Ingress) or made.of(Gateway)
        raise ModelError(TEXT["nothing" if wishes else "none"])
    names = ", ".join(known)
    if name and name not in known:
        raise ModelError(TEXT["no-entry"].format(name=name, names=names))
    used = [name] if name else in_use(known)
    fitting = used if len(used) == 1 else [each for each in used if _has_host(known[each], request)]
    if len(fitting) != 1:
        raise ModelError(TEXT["which"].format(names=names))
    table = known[fitting[0]]
    service = find_service(cluster, via, *_named(via)) if via else _service(cluster, table)
    if service is None:
        raise ModelError(TEXT["no-service"].format(table=fitting[0]))
    return Entry(fitting[0], table, service)


def _named(via: str) -> tuple[str, str]:
    """(name, namespace) of ``svc/NAMESPACE/NAME`` or ``svc/NAME``."""
    parts = via.split("/")[1:] if "/" in via else [via]
    return parts[-1], parts[0] if len(parts) == 2 else ""


def _has_host(table: Table, request: Request) -> bool:
    routers = [table.router] if isinstance(table, IngressTable) else [each.router for each in table.listeners]
    return any(True for router in routers for _ in router.fitting_hosts(request.hostname))


def _service(cluster: Cluster, table: Table) -> Service | None:
    services = cluster.control.services
    if isinstance(table, IngressTable):
        addresses, found = [a for each in table.ingresses for a in each.addresses], ingress_services(services)
    else:
        gateways = cluster.manifests.of(Gateway) if cluster.manifests else ()
        addresses, found = table.gateway.status_addresses, gateway_services(services, table.gateway, gateways)
    holders = [each for each in services if _addresses(each) & set(addresses)]
    of_web = [each for each in holders if any(port.protocol == "TCP" for port in each.ports)]  # one address may be shared, say with DNS
    best = [each for each in of_web if each in found] or of_web or holders
    return best[0] if best else found[0] if len(found) == 1 else None


def _addresses(service: Service) -> set[str]:
    """Where its load balancers can be reached, as a status has it."""
    return {str(each.ip) if each.ip else each.hostname for each in service.load_balancer_ingress} - {""}


def ingress_services(services: Iterable[Service]) -> list[Service]:
    """Those that look like an Ingress controller's; where some can be reached from outside, these."""
    web = [each for each in services if COMPONENT in each.labels.items() and any(port.port in WEB_PORTS for port in each.ports)]
    return [each for each in web if each.type in ("LoadBalancer", "NodePort")] or web


def shortened(name: str, most: int = 63, own: str = "") -> str:
    """A name that is too long for a label's value, or another place for so many characters, cut short, with a checksum of the whole one. Given
    ``own``, it gets the checksum of that in any case."""
    from zlib import crc32

    return name if len(name) <= most and not own else f"{name[: most - 9]}-{crc32((own or name).encode()):08x}"


def gateway_services(services: Iterable[Service], gateway: Gateway, gateways: Iterable[Gateway]) -> list[Service]:
    """Those that are a Gateway's: in its own namespace, or made for it; else in one that has no Gateway of that name."""
    label = shortened(gateway.name)
    labelled = [each for each in services if each.labels.get(GATEWAY_LABEL) == label]
    own = [each for each in labelled if each.labels.get(HOME_LABEL, each.namespace) == gateway.namespace]
    others = {each.namespace for each in gateways if each.name == gateway.name}
    return own or [each for each in labelled if HOME_LABEL not in each.labels and each.namespace not in others]


def door(cluster: Cluster, found: Entry, source: str, request: Request, node: str = "") -> str:
    """What a client calls: the load balancer's address if the Service has one, else a node's port (of ``node``, or the first); from inside
    the cluster the Service's own address. ModelError if there is no such way."""
    service = found.service
    port = next((each for each in service.ports if (each.port, each.protocol) == (request.port, "TCP")), None)
    if port is None:
        raise ModelError(TEXT["no-port"].format(service=service.key, port=request.port, url=request.url))
    if source != "client":
        return f"svc/{service.key}:{port.port}"
    if not cluster.outside:
        raise ModelError(TEXT["outside"])
    if any(each.ip for each in service.load_balancer_ingress) and not node:
        return f"lb/{service.key}:{port.port}"
    if port.node_port:
        return f"node/{node or cluster.hosts[0].name}:{port.node_port}"
    raise ModelError(TEXT["pending"].format(service=service.key, type=service.type))


def receiver(cluster: Cluster, trace: Trace) -> Pod | None:
    """The Pod whose process got the packet."""
    if not trace.delivered:
        return None
    place = trace.end.netns
    pod = next((each.pod for each in cluster.sandboxes.values() if each.netns == place), None)
    if pod is None and trace.end.socket is not None:
        return next(
            (each for each in cluster.pods if each.host_network and (each.name, each.node_name) == (trace.end.socket.process, place)), None
        )
    return pod
