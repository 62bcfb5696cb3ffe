"""Objects as ``kubectl get`` lists them. The column AGE, and where ``-o wide`` has nothing to say here, its columns, are left out.

The formats follow pkg/printers/internalversion/printers.go of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..kube.cluster import Cluster
from ..kube.control import is_ready
from ..kube.objects import Pod, Service
from ..kube.slices import EndpointSlice
from ..kube.targets import find_service
from .tables import Table
from .tools import Text

TEXT = {
    "none": "<none>",
    "unset": "<unset>",
    "pending": "<pending>",
    "more": "{shown} + {n} more...",
    "nothing": "No resources found in {namespace} namespace.",
    "conditions": "address|Pod|node|ready|serving|terminating|gets new connections",
    "yes": "yes", "no": "no",
    "last": "yes: no ready one is left",
}  # fmt: skip
MOST = 3  # ports and addresses shown in a cell, as kubectl does


def get_services(cluster: Cluster, namespace: str = "shop") -> Text:
    """``kubectl get services -o wide``."""
    found = [each for each in cluster.control.services if each.namespace == namespace]
    rows = [(s.name, s.type, _cluster_ip(s), _external_ip(s), _service_ports(s), _labels(s.selector)) for s in found]
    return _listing(("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "SELECTOR"), rows, namespace)


def get_endpointslices(cluster: Cluster, service: str = "", namespace: str = "shop") -> Text:
    """``kubectl get endpointslices``, of one Service with ``-l kubernetes.io/service-name=SERVICE``.

    kubectl lists every address, ready or not: ``endpoints`` tells them apart.
    """
    found = [each for each in cluster.control.slices if each.namespace == namespace and service in ("", each.service_key.partition("/")[2])]
    rows = [(each.name, each.address_type, _slice_ports(each), _slice_addresses(each)) for each in found]
    return _listing(("NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS"), rows, namespace)


def get_pods(cluster: Cluster, namespace: str = "shop") -> Text:
    """``kubectl get pods -o wide --show-labels``, without RESTARTS."""
    found = [each for each in cluster.pods if each.namespace == namespace]
    rows = [(p.name, _ready(p), _status(p), _first(p.pod_ips), p.node_name or TEXT["none"], _labels(p.labels)) for p in found]
    return _listing(("NAME", "READY", "STATUS", "IP", "NODE", "LABELS"), rows, namespace)


def endpoints(cluster: Cluster, service: str, namespace: str = "") -> Table:
    """The endpoints of a Service with their three conditions, and whether kube-proxy sends new connections there.

    ``ready`` unknown counts as true (EndpointSlice API). Where no endpoint is ready, those that are terminating and still serve are used
    (KEP-1669, for all traffic to a Service whose policy is Cluster).
    """
    key = find_service(cluster, f"svc/{service}", service, namespace).key
    parts = [each for each in cluster.control.slices if each.service_key == key]
    found = [(part, each) for part in parts for each in part.endpoints]
    ready = [each for part, each in found if each.ready is not False and part.ports]
    rows = []
    for part, each in found:
        last = not ready and each.serving is not False and bool(each.terminating) and bool(part.ports)
        used = TEXT["last"] if last else _word(each in ready)
        target = each.target.rpartition("/")[2] or TEXT["none"]
        flags = (each.ready is not False, each.serving is not False, bool(each.terminating))
        rows.append((str(each.addresses[0]), target, each.node_name, *map(_word, flags), used))
    return Table(tuple(TEXT["conditions"].split("|")), tuple(rows), whole=frozenset({"Pod", "node"}))


def _listing(heads: Sequence[str], rows: Iterable[Sequence[str]], namespace: str) -> Text:
    lines = [heads, *rows]
    if len(lines) == 1:
        return Text(TEXT["nothing"].format(namespace=namespace))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return Text("\n".join("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines))


def _word(condition: bool) -> str:
    return TEXT["yes"] if condition else TEXT["no"]


def _labels(labels) -> str:
    return ",".join(f"{key}={text}" for key, text in sorted(labels.items())) or TEXT["none"]


def _first(found: Sequence) -> str:
    return str(found[0]) if found else TEXT["none"]


def _cluster_ip(service: Service) -> str:
    return str(service.cluster_ip) if service.cluster_ip is not None and service.type != "ExternalName" else TEXT["none"]


def _external_ip(service: Service) -> str:
    if service.type == "ExternalName":
        return service.external_name
    own = [str(ip) for ip in service.external_ips]
    if service.type == "LoadBalancer":
        own = [each.hostname or str(each.ip) for each in service.load_balancer_ingress] + own
        return ",".join(own) or TEXT["pending"]
    return ",".join(own) or TEXT["none"]


def _service_ports(service: Service) -> str:
    ports = [f"{p.port}:{p.node_port}/{p.protocol}" if p.node_port else f"{p.port}/{p.protocol}" for p in service.ports]
    return ",".join(ports) or TEXT["none"]


def _slice_ports(part: EndpointSlice) -> str:
    return _some([str(p.port) if p.port is not None else p.name or "*" for p in part.ports])


def _slice_addresses(part: EndpointSlice) -> str:
    return _some([str(address) for each in part.endpoints for address in each.addresses])


def _some(found: Sequence[str]) -> str:
    shown = ",".join(found[:MOST]) or TEXT["unset"]
    return shown if len(found) <= MOST else TEXT["more"].format(shown=shown, n=len(found) - MOST)


def _ready(pod: Pod) -> str:
    total = len(pod.running_containers)
    return f"{total if is_ready(pod) else total - 1}/{total}"


def _status(pod: Pod) -> str:
    return "Terminating" if pod.terminating else pod.phase or ("Running" if pod.pod_ips else "Pending")
