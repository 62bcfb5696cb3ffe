"""What the API server allocates to Services: address families, cluster IPs, node ports; what a load balancer's pool gives them comes last.

Follows pkg/registry/core/service/storage/alloc.go of 1.36, with two differences that make the outcome depend on the objects alone. What is
asked for by number is reserved first, whatever the order of the objects, so nothing that was picked freely is ever in its way. And a free
choice is not random: it is a number made from the Service's name, in the upper band that is kept for free choices, or the next one.
Sources: KEP-1880 and KEP-3070 (bands of the Service range), KEP-3668 (bands of the node ports), KEP-563 (dual stack).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..errors import ManifestError
from ..linux.addresses import ip_address, ip_network
from ..linux.packet import IPAddress
from ..linux.state import IPNetwork
from ..value import replace
from .manifests import error_at, locate
from .objects import Service, ServicePort
from .pools import BalancerPool, assigned, needs_health_check

SERVICE_CIDRS: tuple[IPNetwork, ...] = (ip_network("10.96.0.0/12"), ip_network("fd00:10:96::/112"))
"""kubeadm's default range of cluster IPs, and the one of IPv6 that this course takes beside it."""
NODE_PORTS = range(30000, 32768)
KUBERNETES = "default/kubernetes"
"""The Service of the API server itself, which has the first address of the range in every cluster."""


def allocate(
    services: Iterable[Service], families: Sequence[str], cidrs: Sequence[IPNetwork], pools: Sequence[BalancerPool]
) -> tuple[Service, ...]:
    """The Services as the API server stores them, in their order; those of type LoadBalancer with an address if a pool serves them.

    ``families`` are those that the cluster has Service ranges for, the default one first. ManifestError at the field, in the API server's
    words, for an address or port that is taken or out of range and for families that the cluster lacks.
    """
    ranges = {family: _range(family, cidrs) for family in families}
    made = [_with_families(each, tuple(families)) for each in services]
    reserved = ip_address(int(ranges[families[0]].network_address) + 1)
    taken = {} if any(each.key == KUBERNETES for each in made) else {reserved: KUBERNETES}
    addresses, ports = _Addresses(ranges, taken), _Ports()
    for each in made:
        addresses.reserve(each)
        ports.reserve(each)
    out = tuple(ports.fill(addresses.fill(each)) for each in made)
    return assigned(out, pools) if pools else out


def _range(family: str, cidrs: Sequence[IPNetwork]) -> IPNetwork:
    version = 4 if family == "IPv4" else 6
    found = next((each for each in cidrs if each.version == version), None)
    if found is None:
        raise ManifestError(f"the cluster has no range of {family} Service addresses: {', '.join(map(str, cidrs))}")
    return found


def _number(*names: object) -> int:
    return int.from_bytes(sha256("/".join(map(str, names)).encode()).digest()[:8])


# --- address families


def _with_families(service: Service, configured: tuple[str, ...]) -> Service:
    """``ipFamilyPolicy`` and ``ipFamilies`` as initIPFamilyFields sets them."""
    if service.type == "ExternalName":
        return service
    bare = service.headless and not service.selector  # whose endpoints nobody computes: any family may come
    policy = service.ip_family_policy or ("RequireDualStack" if bare else "SingleStack")
    families = list(service.ip_families)
    for index, ip in enumerate(service.cluster_ips):
        if ip != "None" and index >= len(families):
            families.append(_configured(service, f"IPv{ip.version}", index, configured))
    dual = policy != "SingleStack"
    if not bare:
        _check_families(service, policy, families, configured)
    families = families or [configured[0]]
    if dual and len(families) == 1 and (bare or len(configured) == 2):
        families.append("IPv6" if families[0] == "IPv4" else "IPv4")
    return replace(service, ip_family_policy=policy, ip_families=tuple(families))


def _configured(service: Service, family: str, index: int, configured: tuple[str, ...]) -> str:
    if family not in configured:
        message = f"invalid value: {family} is not configured on this cluster{_alone(configured)}"
        raise _at(service, f"spec.clusterIPs[{index}]", message)
    return family


def _alone(configured: tuple[str, ...]) -> str:
    return f": its families are {', '.join(configured)}"


def _check_families(service: Service, policy: str, families: list[str], configured: tuple[str, ...]) -> None:
    if policy == "RequireDualStack" and len(configured) < 2:
        message = f'invalid value "{policy}": this cluster is not configured for dual-stack services{_alone(configured)}'
        raise error_at(service, "spec.ipFamilyPolicy", message)
    for index, family in enumerate(families):
        if family not in configured:
            raise error_at(
                service, f"spec.ipFamilies[{index}]", f'invalid value "{family}": not configured on this cluster{_alone(configured)}'
            )


def _at(service: Service, path: str, message: str) -> ManifestError:
    """An error about ``spec.clusterIPs``, where a manifest mostly has ``clusterIP``: with the line of that."""
    error = error_at(service, path, message)
    line = max(locate(service, path).line, locate(service, "spec.clusterIP").line)
    return ManifestError(message, file=error.file, line=line or None, field=path)


# --- cluster IPs


def dynamic_addresses(network: IPNetwork) -> tuple[int, int, int]:
    """(first, first free choice, last) usable address of a Service range, as numbers: a sixteenth of the range, but 16 to 256 addresses, is
    kept for those who ask for an address by number (KEP-3070)."""
    first, last = int(network.network_address) + 1, int(network.broadcast_address)
    if network.version == 4 and network.num_addresses > 2:
        last -= 1
    size = last - first + 1
    band = 0 if size <= 16 else min(max(size // 16, 16), 256)
    return first, first + band, last


@dataclass(slots=True)
class _Addresses:
    """The cluster IPs of one cluster, and who has them."""

    ranges: dict[str, IPNetwork]
    taken: dict[IPAddress, str] = field(default_factory=dict)

    def reserve(self, service: Service) -> None:
        """Takes the addresses that a Service asks for."""
        if service.type == "ExternalName" or service.headless:
            return
        for family, ip in zip(service.ip_families, service.cluster_ips, strict=False):
            problem = self._why_not(self.ranges[family], ip, service.key)
            if problem:
                asked = ", ".join(map(str, service.cluster_ips))
                raise _at(service, "spec.clusterIPs", f'invalid value "[{asked}]": failed to allocate IP {ip}: {problem}')
            self.taken[ip] = service.key

    def _why_not(self, network: IPNetwork, ip: Any, key: str) -> str:
        first, _, last = dynamic_addresses(network)
        if ip not in network:
            return f"the provided network does not match the current range: {network}"
        if not first <= int(ip) <= last:
            return f"the provided IP ({ip}) is not in the valid range: the range of valid IPs is {network}"
        if ip in self.taken:
            return f"provided IP is already allocated, to Service {self.taken[ip]}"
        return ""

    def fill(self, service: Service) -> Service:
        """The Service with an address of each of its families."""
        if service.type == "ExternalName" or service.headless or len(service.cluster_ips) == len(service.ip_families):
            return service
        missing = service.ip_families[len(service.cluster_ips) :]
        found = tuple(self._choose(service, family) for family in missing)
        return replace(service, cluster_ips=(*service.cluster_ips, *found))

    def _choose(self, service: Service, family: str) -> IPAddress:
        network = self.ranges[family]
        first, free, last = dynamic_addresses(network)
        for low, high in ((free, last), (first, free - 1)):  # the lower band only once the upper one is full
            size = high - low + 1
            start = _number("clusterIP", service.key, family) % size if size > 0 else 0
            for step in range(min(size, len(self.taken) + 1)):
                ip = ip_address(low + (start + step) % size) if network.version == 4 else _ipv6(low + (start + step) % size)
                if ip not in self.taken:
                    self.taken[ip] = service.key
                    return ip
        raise error_at(service, "spec.clusterIP", f"failed to allocate a serviceIP: range is full: {network}")


def _ipv6(number: int) -> IPAddress:
    from ipaddress import IPv6Address

    return IPv6Address(number)


# --- node ports


@dataclass(slots=True)
class _Ports:
    """The node ports of one cluster, and who has them. They are one space for all protocols, as far as the API server is concerned."""

    taken: dict[int, str] = field(default_factory=dict)
    chosen: dict[str, dict[int, int]] = field(default_factory=dict)  # Service key → port → the node port asked for

    def reserve(self, service: Service) -> None:
        """Takes the node ports that a Service asks for; ports of the same number (TCP and UDP 53) may share one."""
        if service.type not in ("NodePort", "LoadBalancer"):
            return
        own = self.chosen[service.key] = {}
        for index, port in enumerate(service.ports):
            if port.node_port and own.get(port.port) != port.node_port:
                self._take(service, port.node_port, f"spec.ports[{index}].nodePort")
                own.setdefault(port.port, port.node_port)
        if service.health_check_node_port and needs_health_check(service):
            self._take(service, service.health_check_node_port, "spec.healthCheckNodePort")

    def _take(self, service: Service, number: int, path: str) -> None:
        if number not in NODE_PORTS:
            message = "provided port is not in the valid range: the range of valid ports is 30000-32767"
        elif number in self.taken:
            message = f"provided port is already allocated, to Service {self.taken[number]}"
        else:
            self.taken[number] = service.key
            return
        raise error_at(service, path, f"invalid value {number}: {message}")

    def fill(self, service: Service) -> Service:
        """The Service with a node port for each port that needs one, and one for health checks."""
        if service.type not in ("NodePort", "LoadBalancer"):
            return service
        wanted = service.type == "NodePort" or service.allocate_load_balancer_node_ports
        ports = tuple(self._with_node_port(service, port, wanted) for port in service.ports)
        check = service.health_check_node_port
        if not check and needs_health_check(service):
            check = self._choose(service, "healthCheckNodePort")
        if ports == service.ports and check == service.health_check_node_port:
            return service
        return replace(service, ports=ports, health_check_node_port=check)

    def _with_node_port(self, service: Service, port: ServicePort, wanted: bool) -> ServicePort:
        own = self.chosen[service.key]
        if port.node_port or not wanted:
            return port
        if port.port not in own:
            own[port.port] = self._choose(service, port.port)
        return replace(port, node_port=own[port.port])

    def _choose(self, service: Service, what: object) -> int:
        size = len(NODE_PORTS)
        band = min(max(size // 32, 16), 128)  # KEP-3668
        for numbers in (NODE_PORTS[band:], NODE_PORTS[:band]):
            start = _number("nodePort", service.key, what) % len(numbers)
            for step in range(len(numbers)):
                number = numbers[(start + step) % len(numbers)]
                if number not in self.taken:
                    self.taken[number] = service.key
                    return number
        raise error_at(service, "spec.ports", "failed to allocate a nodePort: range is full: 30000-32767")
