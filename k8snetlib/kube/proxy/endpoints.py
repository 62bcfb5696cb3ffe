"""What all modes of kube-proxy share: Services as ports with endpoints, and which of these a node uses for which traffic.

Follows pkg/proxy/servicechangetracker.go, serviceport.go, endpointslicecache.go and topology.go of Kubernetes 1.36.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import TypeVar

from ...linux.packet import IPAddress
from ...linux.state import IPNetwork
from ...value import value
from ..objects import Service, ServicePort
from ..slices import EndpointSlice
from .config import ProxyConfig

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"


T = TypeVar("T", Service, EndpointSlice)


@value
class ProxyEndpoint:
    """An endpoint as a proxier sees it: address and port, whether it is on this node, its conditions, and the topology hints."""

    ip: str
    port: int
    is_local: bool
    ready: bool
    serving: bool
    terminating: bool
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@value
class ServicePortInfo:
    """One port of one Service, for one address family: where packets to it may be addressed, and by which policies they are spread.

    ``name`` is ``namespace/service:port`` as in kube-proxy's comments and hashes (without the colon where the port has no name).
    """

    name: str
    service: Service
    port: ServicePort
    cluster_ip: IPAddress
    external_ips: tuple[IPAddress, ...]
    load_balancer_vips: tuple[IPAddress, ...]
    source_ranges: tuple[IPNetwork, ...]

    @property
    def protocol(self) -> str:
        return self.port.protocol.lower()

    @property
    def node_port(self) -> int:
        return self.port.node_port

    @property
    def affinity_seconds(self) -> int:
        """How long a client stays with its endpoint, in seconds; 0 without session affinity."""
        return self.service.session_affinity_timeout if self.service.session_affinity == "ClientIP" else 0

    @property
    def health_check_node_port(self) -> int:
        """The port on which kube-proxy tells a load balancer whether this node has endpoints; 0 if the Service has none."""
        return self.service.health_check_node_port if self.service.type == "LoadBalancer" and self.external_local else 0

    @property
    def internal_local(self) -> bool:
        return self.service.internal_traffic_policy == "Local"

    @property
    def external_local(self) -> bool:
        accessible = self.service.type in ("NodePort", "LoadBalancer") or self.service.external_ips
        return self.service.external_traffic_policy == "Local" and bool(accessible)

    @property
    def externally_accessible(self) -> bool:
        return bool(self.port.node_port or self.load_balancer_vips or self.external_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """Even with both policies Local: traffic from inside to an external address is spread over the whole cluster ("short-circuit")."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        return self.internal_local or (self.external_local and self.externally_accessible)


@value
class Categories:
    """The endpoints of one Service port by the traffic they are for; ``reachable`` are those that need a chain, ``any`` whether there is
    one anywhere that could serve (a Local policy drops, and does not reject, if the endpoints are all elsewhere)."""

    cluster: tuple[ProxyEndpoint, ...] = ()
    local: tuple[ProxyEndpoint, ...] = ()
    reachable: tuple[ProxyEndpoint, ...] = ()
    any: bool = False


def watched(objects: Iterable[T]) -> list[T]:
    """The Services or EndpointSlices that kube-proxy asks the API server for: none labelled as headless or as another proxy's."""
    return [each for each in objects if not {PROXY_NAME_LABEL, HEADLESS_LABEL} & each.labels.keys()]


def service_ports(services: Iterable[Service], version: int) -> list[ServicePortInfo]:
    """Every port that a proxier of this family handles: no headless and no ExternalName Service."""
    found = []
    for service in services:
        if service.type == "ExternalName" or service.headless:
            continue
        cluster_ip = next((ip for ip in service.cluster_ips if ip.version == version), None)
        if cluster_ip is None:
            continue
        external = tuple(ip for ip in service.external_ips if ip.version == version)
        vips = tuple(
            each.ip
            for each in service.load_balancer_ingress
            if each.ip is not None and each.ip.version == version and each.ip_mode == "VIP"
        )
        ranges = service.source_ranges(version)
        for port in service.ports:
            name = f"{service.key}:{port.name}" if port.name else service.key
            found.append(ServicePortInfo(name, service, port, cluster_ip, external, vips, ranges))
    return found


def endpoints_by_port(slices: Iterable[EndpointSlice], config: ProxyConfig) -> dict[tuple[str, str, str], list[ProxyEndpoint]]:
    """(Service key, port name, protocol) → its endpoints of this family, in kube-proxy's order: by the text ``address:port``.

    Of an address that stands in two slices, the one on this node counts (endpointslicecache.go addEndpoints).
    """
    family, node = f"IPv{config.version}", config.node_name
    found: dict[tuple[str, str, str], dict[str, ProxyEndpoint]] = defaultdict(dict)
    for part in sorted(slices, key=lambda each: each.metadata.name):
        if part.address_type != family or not part.service_key:
            continue
        for port in part.ports:
            number = port.port
            if not number:
                continue
            seen = found[part.service_key, port.name, port.protocol]
            for each in part.endpoints:
                ip = _text(each.addresses[0])
                key = f"[{ip}]:{number}" if ":" in ip else f"{ip}:{number}"
                local = bool(node) and each.node_name == node
                if local or key not in seen:
                    ready, serving, terminating = each.ready is not False, each.serving is not False, bool(each.terminating)
                    seen[key] = ProxyEndpoint(ip, number, local, ready, serving, terminating, each.zone_hints, each.node_hints)
    return {key: [each for _, each in sorted(endpoints.items())] for key, endpoints in found.items()}


def _text(address: IPAddress | str) -> str:
    """``str()`` of an address, by the short way for IPv4, which a large cluster asks for a hundred thousand times."""
    if type(address) is IPv4Address:
        value = int(address)
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return str(address)


def categorize(endpoints: Sequence[ProxyEndpoint], info: ServicePortInfo, config: ProxyConfig) -> Categories:
    """Which endpoints serve which traffic on this node (CategorizeEndpoints): ready ones, those that topology hints prefer, and
    terminating ones that still serve where no other is left (KEP-1669)."""
    if not endpoints:
        return Categories()
    cluster: tuple[ProxyEndpoint, ...] = ()
    topology = ""
    if info.uses_cluster_endpoints:
        topology = _topology(endpoints, config)
        cluster = tuple(each for each in endpoints if each.ready and _available(each, topology, config))
        if not cluster:
            cluster = tuple(each for each in endpoints if each.serving and each.terminating)
    if not info.uses_local_endpoints:
        return Categories(cluster, (), cluster, bool(cluster))
    usable = [each for each in endpoints if each.ready or (each.serving and each.terminating)]
    local = tuple(each for each in usable if each.is_local and each.ready)
    falls_back = not local
    if falls_back:
        local = tuple(each for each in usable if each.is_local)
    some = bool(cluster or usable)
    if not info.uses_cluster_endpoints:
        return Categories(cluster, local, local, some)
    if not topology and not (falls_back and local):
        return Categories(cluster, local, cluster, some)
    merged = {str(each): each for each in (*cluster, *local)}
    return Categories(cluster, local, tuple(merged[key] for key in sorted(merged)), some)


def _topology(endpoints: Sequence[ProxyEndpoint], config: ProxyConfig) -> str:
    """Hints count only if every ready endpoint has them and one is meant for here: node before zone (KEP-3015, KEP-4444)."""
    ready = [each for each in endpoints if each.ready]
    if all(each.node_hints for each in ready) and any(config.node_name in each.node_hints for each in ready):
        return "node"
    if all(each.zone_hints for each in ready) and any(config.zone in each.zone_hints for each in ready):
        return "zone"
    return ""


def _available(endpoint: ProxyEndpoint, topology: str, config: ProxyConfig) -> bool:
    if topology == "node":
        return config.node_name in endpoint.node_hints
    return topology != "zone" or config.zone in endpoint.zone_hints
