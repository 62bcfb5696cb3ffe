"""Why a packet may have been refused, told from the manifests: ports that no container declares, Services that lead to no Pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..linux.events import Dropped, Trace
from .control import is_ready
from .manifests import locate
from .objects import Node, Pod, Service

if TYPE_CHECKING:
    from .cluster import Cluster

TEXT = {
    "none": "Pod {pod} declares no ports",
    "some": "Pod {pod} declares only {ports}",
    "why": "{who} (containerPort), and in this model nothing else listens there; a program that listens elsewhere would answer",
    "unlabelled": "{place}: Service {service} selects {labels}, which no Pod of its namespace has{meant}",
    "pending": "{place}: of the Pods that Service {service} selects none runs: {pod}: {reason}",
    "unready": "{place}: of the Pods that Service {service} selects none is ready ({pods})",
    "bare": "{place}: Service {service} has no selector, and there is no EndpointSlice for it (label kubernetes.io/service-name)",
    "meant": ' (Pod {pod} has {key}={value}: did you mean "{value}"?)',
    "more": "{names} and {n} more",
    "waiting": "{n} pending, without a node: {names}: {reason}",
    "two": " (the manifests have no Nodes, so there are {n})",
}
MOST_NAMES = 3


def hints(cluster: Cluster, traces: Iterable[Trace]) -> tuple[str, ...]:
    """A remark on each Pod and each Service that may be the reason why a packet did not get there."""
    ended = [trace for trace in traces if isinstance(trace.end, Dropped)]
    return tuple(dict.fromkeys([*_undeclared(cluster, ended), *_unserved(cluster, ended)]))


def pending(cluster: Cluster) -> Iterator[str]:
    """The Pods that run nowhere, a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for key, reason in cluster.pending.items():
        by_reason.setdefault(reason, []).append(key)
    made_up = cluster.manifests is not None and not cluster.manifests.of(Node)
    for reason, keys in by_reason.items():
        pods = "1 Pod is" if len(keys) == 1 else f"{len(keys)} Pods are"
        nodes = TEXT["two"].format(n=len(cluster.nodes)) if made_up else ""
        yield TEXT["waiting"].format(n=pods, names=listed(keys), reason=reason) + nodes


def listed(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    few = ", ".join(names[:MOST_NAMES])
    return TEXT["more"].format(names=few, n=len(names) - MOST_NAMES) if len(names) > MOST_NAMES else few


def _undeclared(cluster: Cluster, traces: Sequence[Trace]) -> Iterator[str]:
    """A Pod refused the packet, since none of its containers declares the port."""
    ended = {trace.end.netns for trace in traces if trace.end.reason == "NO_SOCKET"}
    for box in cluster.sandboxes.values() if ended else ():
        if box.netns in ended and box.pod is not None:
            ports = [f"{port.container_port}/{port.protocol}" for each in box.pod.running_containers for port in each.ports]
            who = TEXT["some" if ports else "none"].format(pod=box.pod.key, ports=", ".join(ports))
            yield TEXT["why"].format(who=who)


def _unserved(cluster: Cluster, traces: Sequence[Trace]) -> Iterator[str]:
    """The packet went to a Service that has no endpoint to send it to."""
    asked = {(trace.sent.dst, getattr(trace.sent.payload, "dport", None)) for trace in traces}
    if not asked:
        return
    nodes = {address.ip for host in cluster.hosts for address in host.addresses}
    served = {each.service_key for each in cluster.control.slices if any(end.ready is not False for end in each.endpoints)}
    at_nodes = {port for dst, port in asked if dst in nodes}
    for service in cluster.control.services:
        own = {*service.cluster_ips, *service.external_ips, *(each.ip for each in service.load_balancer_ingress)}
        ports = {port for dst, port in asked if dst in own}
        if service.key not in served and any(each.port in ports or each.node_port in at_nodes for each in service.ports):
            yield _why_unserved(cluster, service)


def _why_unserved(cluster: Cluster, service: Service) -> str:
    place = {"place": locate(service, "spec.selector"), "service": service.key}
    if not service.selector:
        return TEXT["bare"].format(**place)
    near = [pod for pod in cluster.pods if pod.namespace == service.namespace]
    chosen = [pod for pod in near if service.selector.items() <= pod.labels.items()]
    if not chosen:
        labels = ", ".join(f"{key}={value}" for key, value in service.selector.items())
        return TEXT["unlabelled"].format(**place, labels=labels, meant=_meant(service, near))
    pending = next((pod for pod in chosen if pod.key in cluster.pending), None)
    if pending is not None and not any(pod.pod_ips for pod in chosen):
        return TEXT["pending"].format(**place, pod=pending.key, reason=cluster.pending[pending.key])
    names = [pod.name for pod in chosen if not is_ready(pod) or pod.finished] or [chosen[0].name]
    return TEXT["unready"].format(**place, pods=listed(names))


def _meant(service: Service, pods: Iterable[Pod]) -> str:
    """A Pod with a label that is nearly the one wanted."""
    from .schema import closest

    for key, value in service.selector.items():
        others = {pod.labels[key]: pod for pod in pods if key in pod.labels}
        meant = closest(value, others) if value not in others else ""
        if meant:
            return TEXT["meant"].format(pod=others[meant].name, key=key, value=meant)
    return ""
