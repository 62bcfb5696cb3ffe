"""What a name on the command line or in a lesson means: ``pod/web``, ``pod/api:http``, ``node/node-a``, ``10.244.2.2:8080``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..linux.addresses import ip_address
from ..linux.packet import IPAddress
from ..value import replace, value
from .objects import Pod, Service
from .outside import ADDRESSES, CLIENT
from .pools import pending_reason
from .workloads import find_pod

if TYPE_CHECKING:
    from .cluster import Cluster

WORKLOADS = ("deploy", "deployment", "sts", "statefulset", "ds", "daemonset", "rs", "replicaset", "job")
_LITERAL = re.compile(
    r"^(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<v4>\d+\.\d+\.\d+\.\d+)|(?P<bare6>[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*))(?::(?P<port>[\w-]+))?$"
)  # two colons make an IPv6 address: db:5432 is a Pod's port


@value
class Target:
    """One end of a connection: its namespace, addresses, and the port and protocol meant (None and "" where nothing says).

    ``remark`` is what whoever asked should know about the choice, or "".
    """

    text: str
    netns: str
    addresses: tuple[IPAddress, ...]
    port: int | None = None
    proto: str = "tcp"
    process: str = ""
    pod: Pod | None = None
    remark: str = ""

    def address(self, version: int) -> IPAddress:
        """The address of that family, else the first. ModelError if it has none."""
        if not self.addresses:
            raise ModelError(f"{self.text} has no address")
        return next((a for a in self.addresses if a.version == version), self.addresses[0])

    def ports_hint(self) -> str:
        ports = [p for c in (self.pod.running_containers if self.pod else ()) for p in c.ports]
        return f" ({', '.join(f'{p.container_port}/{p.protocol}' for p in ports)} are declared)" if ports else ""


def find_target(cluster: Cluster, reference: str, namespace: str = "") -> Target:
    """What the reference means in this cluster. ModelError if nothing; UnsupportedError for kinds that cannot be reached here."""
    if not isinstance(reference, str):
        raise ModelError(f'a name is a text such as "pod/web", not {reference!r}')
    literal = _LITERAL.match(reference)
    if literal:
        return _address(cluster, reference, literal)
    kind, slash, rest = reference.partition("/")
    if not slash:
        kind, rest = "pod", reference
    name, colon, port = rest.partition(":")
    if "/" in name:  # pod/NAMESPACE/NAME
        namespace, _, name = name.partition("/")
    if not name or (colon and not port):
        raise ModelError(f"{reference!r} names nothing: write pod/NAME, pod/NAMESPACE/NAME, pod/NAME:PORT, node/NAME or an address")
    if kind in ("node", "no", "nodes"):
        host = cluster._host(name)
        return Target(reference, host.name, tuple(a.ip for a in host.addresses), _number(port, reference) if colon else None)
    if kind in ("svc", "service", "services", "lb"):
        return _service(cluster, reference, find_service(cluster, reference, name, namespace), kind, port if colon else "")
    if kind == CLIENT or (not slash and name == CLIENT and cluster.outside and not cluster.pods_named(name)):
        return _client(cluster, reference)
    if kind not in ("pod", "pods", "po", *WORKLOADS):
        raise ModelError(f"{reference!r}: packets come from and go to pod/NAME, svc/NAME, node/NAME or an address, not a {kind!r}")
    same = cluster.pods_named(name) if kind in ("pod", "pods", "po") else ()
    if len(same) == 1 and namespace in ("", same[0].namespace):  # the usual case, without a look at every Pod of the cluster
        pod = same[0]
    else:
        pod = find_pod(cluster.pods, cluster.workloads, name if kind in ("pod", "pods", "po") else f"{kind}/{name}", namespace or None)
    found = _pod(cluster, reference, pod, port if colon else "")
    if not slash and name == CLIENT and cluster.outside:
        found = replace(found, remark=f"{CLIENT} is Pod {pod.key} here, and not somebody outside")
    return found


def _number(text: str, reference: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise ModelError(f"{reference}: {text!r} is no port number (1 to 65535)")
    return int(text)


def _pod(cluster: Cluster, reference: str, pod: Pod, port: str) -> Target:
    netns = cluster.netns(pod)
    addresses = pod.pod_ips
    declared = [(p, c) for c in pod.running_containers for p in c.ports]
    if port and not port.isdigit():
        named = [(p, c) for p, c in declared if p.name == port]
        if not named:
            from .schema import closest

            meant = closest(port, [p.name for p, _ in declared if p.name])
            hint = f' (did you mean "{meant}"?)' if meant else ""
            raise ModelError(f'{reference}: Pod {pod.key} has no port named "{port}"{hint}')
        chosen = named[0][0]
        return Target(reference, netns, addresses, chosen.container_port, chosen.protocol.lower(), _process(pod), pod)
    if port:
        number = _number(port, reference)
        proto = next((p.protocol.lower() for p, _ in declared if p.container_port == number), "tcp")
        return Target(reference, netns, addresses, number, proto, _process(pod), pod)
    if len(declared) == 1:
        return Target(reference, netns, addresses, declared[0][0].container_port, declared[0][0].protocol.lower(), _process(pod), pod)
    return Target(reference, netns, addresses, None, "icmp" if not declared else "tcp", _process(pod), pod)


def find_service(cluster: Cluster, reference: str, name: str, namespace: str = "") -> Service:
    """The Service of that name, allocated. ModelError, with what was perhaps meant, if there is none, or more than one."""
    same = [each for each in cluster.control.services if each.name == name and namespace in ("", each.namespace)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ModelError(f"{reference}: there are {', '.join(f'svc/{each.key}' for each in same)}: name the namespace")
    from .schema import closest

    meant = closest(name, [each.name for each in cluster.control.services])
    hint = f' (did you mean "{meant}"?)' if meant else ""
    raise ModelError(f"{reference}: there is no Service {name!r}{f' in namespace {namespace}' if namespace else ''}{hint}")


def _service(cluster: Cluster, reference: str, service: Service, kind: str, port: str) -> Target:
    """The Service's cluster IP (``lb/``: its load balancer's address); a headless one is its first ready endpoint."""
    if service.type == "ExternalName":
        raise ModelError(f"{reference}: an ExternalName Service is a DNS alias of {service.external_name}, and nothing in the cluster")
    number, proto = _service_port(reference, service, port)
    if kind == "lb":
        addresses = tuple(each.ip for each in service.load_balancer_ingress if each.ip is not None)
        if not addresses:
            why = pending_reason(service, cluster.balancers) or "no load balancer gives it an address"
            names = ", ".join(each.hostname for each in service.load_balancer_ingress if each.hostname)
            pending = f"is reached by the name {names}, whose address nobody here knows" if names else f"is <pending>: {why}"
            state = pending if service.type == "LoadBalancer" else f"has type {service.type}"
            raise ModelError(f"{reference}: Service {service.key} {state}")
        return Target(reference, "", addresses, number, proto)
    if not service.headless:
        return Target(reference, "", tuple(service.cluster_ips), number, proto)
    return _headless(cluster, reference, service, port, (number, proto))


def _headless(cluster: Cluster, reference: str, service: Service, port: str, default: tuple[int | None, str]) -> Target:
    """The first ready endpoint of each family, as DNS has no other address. Nobody changes the port on the way: a number is called as it
    is, and only a name, for which DNS has an SRV record, leads to the endpoint's own (DNS specification of Kubernetes, 2.4)."""
    number, proto = default
    wanted = next((each for each in service.ports if each.port == number), None)
    addresses: dict[str, IPAddress] = {}
    ready, own = 0, number
    for part in cluster.control.slices:
        if part.service_key != service.key or part.address_type == "FQDN":
            continue
        usable = [each for each in part.endpoints if each.ready is not False]
        if usable and part.address_type not in addresses:
            addresses[part.address_type] = usable[0].addresses[0]
            own = next((each.port for each in part.ports if wanted and each.name == wanted.name), own)
        ready += len(usable) if part.address_type == next(iter(addresses), "") else 0
    if not addresses:
        raise ModelError(f"{reference}: Service {service.key} is headless and has no ready endpoint, so DNS has no address for it")
    first = next(iter(addresses.values()))
    pod = cluster.pod_at(first)
    whose = f"of Pod {pod.key}" if pod else str(first)
    remarks = [] if ready == 1 else [f"DNS has {ready} addresses for headless Service {service.key}: this is the first, {whose}"]
    if not port.isdigit() and port:
        number = own
    elif own != number:
        remarks.append(
            f"nobody changes the port on the way to headless Service {service.key}: port {number} is called, and targetPort is {own}"
        )
    return Target(reference, "", tuple(addresses.values()), number, proto, remark="; ".join(remarks))


def _service_port(reference: str, service: Service, port: str) -> tuple[int | None, str]:
    """The port's number and protocol. A number that the Service does not have is allowed: a packet can be sent there all the same."""
    if port and not port.isdigit():
        found = next((each for each in service.ports if each.name == port), None)
        if found is None:
            names = ", ".join(each.name or str(each.port) for each in service.ports) or "none"
            raise ModelError(f'{reference}: Service {service.key} has no port named "{port}" (its ports: {names})')
        return found.port, found.protocol.lower()
    if port:
        number = _number(port, reference)
        return number, next((each.protocol.lower() for each in service.ports if each.port == number), "tcp")
    if len(service.ports) == 1:
        return service.ports[0].port, service.ports[0].protocol.lower()
    if not service.ports:
        return None, "icmp"
    raise ModelError(f"{reference}: to which port? Service {service.key} has {', '.join(f'{p.port}/{p.protocol}' for p in service.ports)}")


def _client(cluster: Cluster, reference: str) -> Target:
    if not cluster.outside:
        raise ModelError(f"{reference}: this cluster has no client outside (load it with outside=True)")
    versions = [4 if family == "IPv4" else 6 for family in cluster.families]
    return Target(reference, CLIENT, tuple(ADDRESSES[version].ip for version in versions), None, "icmp", CLIENT)


def _process(pod: Pod) -> str:
    return pod.name


def _address(cluster: Cluster, reference: str, literal: re.Match) -> Target:
    text = literal["v6"] or literal["v4"] or literal["bare6"]
    try:
        address = ip_address(text)
    except ValueError:
        raise ModelError(f"{reference}: {text!r} is no address") from None
    port = _number(literal["port"], reference) if literal["port"] else None
    pod = cluster.pod_at(address)
    if pod is not None:
        found = _pod(cluster, reference, pod, str(port) if port else "")
        return Target(reference, found.netns, (address,), found.port, found.proto, found.process, pod)
    host = next((h for h in cluster.hosts if any(a.ip == address for a in h.addresses)), None)
    return Target(reference, host.name if host else "", (address,), port, "tcp" if port else "icmp")
