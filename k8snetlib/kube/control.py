"""The control plane's share of Services: the API server's allocations and the EndpointSlice controller, as one pure function.

:func:`control_plane` takes what manifests say and what the scheduler and IPAM have settled, and returns what a node's agents watch:
Services with all their addresses and ports, and EndpointSlices. The controller follows k8s.io/endpointslice of 1.36 (reconciler.go,
utils.go).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from ..linux.state import IPNetwork
from ..value import value
from .allocation import SERVICE_CIDRS, allocate
from .manifests import locate
from .objects import Node, ObjectMeta, OwnerReference, Pod, Service, ServicePort
from .pools import BalancerPool, pending_reason
from .selectors import FrozenDict, Labels
from .slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, Endpoints, EndpointSlice

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
HEADLESS_LABEL = "service.kubernetes.io/headless"
CONTROLLER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100
"""kube-controller-manager's default ``--max-endpoints-per-slice``."""
CLOSE = ("PreferClose", "PreferSameZone", "PreferSameNode")
_RESERVED = (SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL)
_TOPOLOGY_MODE = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
MAX_LINES = 50
"""With more remarks than this, each has the line of its object and not of its field, since finding that means reading the text again."""
Ports = tuple[EndpointPort, ...]
Remark = tuple[Service | EndpointSlice, str, str]
"""What it is about, the field, and the text."""


@value
class ControlPlane:
    """What the control plane has made of a cluster's Services: ``services`` in the order given, allocated; ``slices`` of the controller by
    Service, then those written by hand; ``notes`` on what a reader would otherwise miss, with file and line."""

    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<ControlPlane {len(self.services)} Services, {len(self.slices)} EndpointSlices>"


def control_plane(
    services: Iterable[Service],
    pods: Iterable[Pod] = (),
    nodes: Iterable[Node] = (),
    slices: Iterable[EndpointSlice] = (),
    families: Sequence[str] = ("IPv4",),
    *,
    endpoints: Iterable[Endpoints] = (),
    service_cidrs: Sequence[IPNetwork] = SERVICE_CIDRS,
    pools: Sequence[BalancerPool] = (),
) -> ControlPlane:
    """The Services and EndpointSlices of a cluster.

    ``services`` and ``slices`` are as read from manifests; ``pods`` are placed and have their addresses (a Pod without any, or that has
    finished, is no endpoint; one without a status counts as ready); ``nodes`` are all of the cluster's. ``endpoints`` are the Endpoints
    objects read, which are mirrored into slices. ``families`` are those of the
    Service ranges, the default first, and ``service_cidrs`` holds one range for each. ``pools`` are the load balancers there are: without
    one for its class, a LoadBalancer Service has no address and stays ``<pending>``. The result depends on nothing else, and on the order
    of the objects only where two names lead to the same free address.

    ManifestError, with file, line and field, where two Services ask for one address or port, or for one that the cluster does not have.
    """
    services, slices = tuple(services), tuple(slices)
    if not services:
        return ControlPlane((), slices, _notes(_orphans(slices, {})))
    made = allocate(services, families, service_cidrs, pools)
    by_key = {each.key: each for each in made}
    selected = _Selected(made, pods)
    zones = {node.name: node.zone for node in nodes}
    computed: list[EndpointSlice] = []
    remarks: list[Remark] = []
    for each in made:
        if each.selector and each.type != "ExternalName":
            members = selected.by(each)
            computed += endpoint_slices(each, members, zones)
            remarks += _port_remarks(each, members)
        remarks += _remarks(each, pools)
    kept = [each for each in slices if not _replaced(each, by_key)]
    if endpoints:
        from .mirroring import mirrored

        kept += mirrored(endpoints, by_key)
    return ControlPlane(made, (*computed, *kept), _notes([*remarks, *_orphans(kept, by_key)]))


def _replaced(part: EndpointSlice, services: dict[str, Service]) -> bool:
    """Whether the controller would overwrite a slice: its own, of a Service with a selector (part of what a cluster was asked to print)."""
    service = services.get(part.service_key)
    return part.labels.get(MANAGED_BY_LABEL) == CONTROLLER and service is not None and bool(service.selector)


# --- which Pods


class _Selected:
    """The Pods that Services select, found by the label pairs that occur in selectors, so that each Pod is looked at once."""

    def __init__(self, services: Iterable[Service], pods: Iterable[Pod]) -> None:
        wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for each in services:
            wanted[each.namespace] |= each.selector.items()
        self.index: dict[tuple[str, str, str], list[Pod]] = defaultdict(list)
        for pod in pods:
            meta = pod.metadata
            pairs = wanted.get(meta.namespace)
            if pairs and pod.pod_ips and not pod.finished:
                for pair in meta.labels.items():
                    if pair in pairs:
                        self.index[meta.namespace, *pair].append(pod)

    def by(self, service: Service) -> list[Pod]:
        """The Pods with an address that a Service's selector matches, in the order given."""
        lists = [self.index.get((service.namespace, *pair), []) for pair in service.selector.items()]
        fewest = min(lists, key=len)
        return fewest if len(lists) == 1 else [pod for pod in fewest if service.selector.items() <= pod.labels.items()]


def is_ready(pod: Pod) -> bool:
    """Whether a Pod's condition Ready is true; a Pod that has an address and no status at all is taken for ready."""
    return pod.ready or (not pod.phase and not pod.conditions and bool(pod.pod_ips))


# --- slices


def endpoint_slices(service: Service, pods: Iterable[Pod], zones: Mapping[str, str]) -> Iterator[EndpointSlice]:
    """The slices that the controller makes for one Service with a selector: for each address family and set of ports, up to 100 endpoints
    a slice; and an empty one of each family without endpoints. ``zones`` has the zone, or ``""``, of every Node that there is."""
    pods = [pod for pod in pods if service.publish_not_ready_addresses or pod.node_name in zones]
    by_ports: dict[Ports, list[Pod]] = defaultdict(list)
    known: dict[int, Ports] = {}  # Pods of one template share their containers
    for pod in pods:
        if id(pod.containers) not in known:
            known[id(pod.containers)] = tuple(_ports(service, pod))
        by_ports[known[id(pod.containers)]].append(pod)
    for family in service.ip_families:
        groups = [(ports, list(_endpoints(service, members, zones, family))) for ports, members in by_ports.items()]
        filled = [(ports, endpoints) for ports, endpoints in groups if endpoints] or [((), [])]
        for ports, endpoints in filled:
            for start in range(0, max(len(endpoints), 1), MAX_ENDPOINTS):
                part = tuple(endpoints[start : start + MAX_ENDPOINTS])
                yield EndpointSlice(_meta(service, family, ports, start), family, part, ports)


def _endpoints(service: Service, pods: Iterable[Pod], zones: Mapping[str, str], family: str) -> Iterator[Endpoint]:
    version = 4 if family == "IPv4" else 6
    close = service.traffic_distribution in CLOSE and not _topology_aware(service)
    by_node = close and service.traffic_distribution == "PreferSameNode"
    for pod in pods:
        addresses = tuple([ip for ip in pod.pod_ips if ip.version == version])
        if not addresses:
            continue
        serving, terminating = is_ready(pod), pod.terminating
        ready = service.publish_not_ready_addresses or (serving and not terminating)
        zone = zones.get(pod.node_name, "")
        yield Endpoint(
            addresses,
            ready,
            serving,
            terminating,
            pod.node_name,
            zone,
            pod.hostname if pod.subdomain == service.name else "",
            f"Pod {pod.key}",
            zone_hints=(zone,) if close and ready and zone else (),
            node_hints=(pod.node_name,) if by_node and ready and pod.node_name else (),
        )


def _topology_aware(service: Service) -> bool:
    """Whether the annotation asks for topology aware hints, which take the place of trafficDistribution."""
    return next((service.annotations[key] for key in _TOPOLOGY_MODE if key in service.annotations), "") in ("Auto", "auto")


def _ports(service: Service, pod: Pod) -> Iterator[EndpointPort]:
    """The Service's ports as this Pod has them: a named target port is looked up in its containers, and left out if none has it."""
    for port in service.ports:
        number = find_port(pod, port)
        if number is not None:
            yield EndpointPort(port.name, number, port.protocol, port.app_protocol)


def find_port(pod: Pod, port: ServicePort) -> int | None:
    """The number of a Service's target port in one Pod, or None if no container has a port of that name and protocol."""
    if not isinstance(port.target_port, str):
        return port.target_port
    named = (each for container in pod.running_containers for each in container.ports)
    wanted = (port.target_port, port.protocol)
    return next((each.container_port for each in named if (each.name, each.protocol) == wanted), None)


def _meta(service: Service, family: str, ports: Ports, start: int) -> ObjectMeta:
    """Metadata of a slice; the five characters after the Service's name are made from what the slice is for, not random."""
    seed = repr((service.key, family, [(each.name, each.port, each.protocol) for each in ports], start))
    owner = OwnerReference("Service", service.name, service.metadata.uid)
    return ObjectMeta(f"{service.name}-{suffix(seed)}", service.namespace, slice_labels(service), owner=owner)


def suffix(seed: str) -> str:
    """Five of the characters that Kubernetes uses in generated names, which spell no words."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    number = int.from_bytes(sha256(seed.encode()).digest()[:8])
    return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(5))


def slice_labels(service: Service) -> Labels:
    """The Service's labels with the three that belong to the controller."""
    own = {key: label for key, label in service.labels.items() if key not in _RESERVED}
    headless = {HEADLESS_LABEL: ""} if service.headless or not service.cluster_ips else {}
    return FrozenDict({**own, SERVICE_NAME_LABEL: service.name, MANAGED_BY_LABEL: CONTROLLER, **headless})


# --- remarks


def _notes(remarks: Iterable[Remark]) -> tuple[str, ...]:
    remarks = list(remarks)
    exact = len(remarks) <= MAX_LINES
    out = []
    for thing, path, text in remarks:
        place = str(locate(thing, path) if exact else thing.location) or str(thing)
        out.append(f"{place} {path}: {text}")
    return tuple(out)


def _port_remarks(service: Service, pods: Sequence[Pod]) -> Iterator[Remark]:
    """A target port by a name that no container of the selected Pods has: no error in Kubernetes, but nothing gets through."""
    for index, port in enumerate(service.ports):
        if isinstance(port.target_port, str) and pods and all(find_port(pod, port) is None for pod in pods):
            from .schema import closest  # for remarks only, as it is slow to import

            selector = ",".join(f"{key}={label}" for key, label in service.selector.items())
            names = {each.name for pod in pods for box in pod.running_containers for each in box.ports if each.protocol == port.protocol}
            meant = closest(port.target_port, names - {""})
            hint = f' (did you mean "{meant}"?)' if meant else ""
            text = f'no {port.protocol} container port named "{port.target_port}" in the Pods matching {selector}{hint}'
            yield service, f"spec.ports[{index}].targetPort", text


def _remarks(service: Service, pools: Sequence[BalancerPool]) -> Iterator[Remark]:
    if service.type == "LoadBalancer" and not service.load_balancer_ingress:
        wanted = f' of class "{service.load_balancer_class}"' if service.load_balancer_class else ""
        asked = f" that has {service.load_balancer_ip}" if service.load_balancer_ip else ""
        full = any(pool.load_balancer_class == service.load_balancer_class for pool in pools) and not asked
        nobody = "all addresses of the load balancer are given away" if full else f"there is no load balancer{wanted}{asked} here"
        why = pending_reason(service, pools) or nobody
        yield service, "spec.type", f"EXTERNAL-IP of {service} stays <pending>: {why}"
    if _topology_aware(service):
        text = "topology-mode Auto needs the nodes' CPUs, which are not modelled: the endpoints get no hints; use spec.trafficDistribution"
        yield service, "metadata.annotations", text


def _orphans(slices: Iterable[EndpointSlice], services: Mapping[str, Service]) -> Iterator[Remark]:
    for part in slices:
        if not part.service_key:
            text = f"{part} belongs to no Service, since it has no label {SERVICE_NAME_LABEL}: nothing sends there"
            yield part, "metadata.labels", text
        elif part.service_key not in services:
            yield part, "metadata.labels", f"{part} is for Service {part.service_key}, which is not there"
