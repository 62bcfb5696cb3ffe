"""Host ports of Pods that have a network of their own: on a real node the portmap plug-in passes them on, and this model has none.

So a packet that ends at such a port of a node is refused; it might as well have gone to the Pod. Source: containernetworking/plugins,
plugins/meta/portmap.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError
from ..linux.events import Trace
from ..linux.state import local_addresses
from . import schema_rules as rules
from .manifests import error_at, locate
from .objects import ContainerPort, Pod
from .schema_places import Path

if TYPE_CHECKING:
    from .cluster import Cluster

NOTE = (
    "hostPort {port}/{protocol} needs the portmap plug-in, which is not modelled: a packet to that port of a node is refused, "
    "and others go as they would"
)
REFUSED = (
    "port {port}/{protocol} of {node} is a hostPort of Pod {pod}: the portmap plug-in, which would pass the packet on, is not modelled"
)
EVERY_ADDRESS = ("", "0.0.0.0")


def host_port_fields(pod: Pod) -> Iterator[tuple[str, ContainerPort]]:
    """The Pod's host ports, each with its field's path (``spec.containers[0].ports[1].hostPort``)."""
    for field, kinds in (("containers", ("container",)), ("initContainers", ("sidecar", "init"))):
        for index, each in enumerate(box for box in pod.containers if box.kind in kinds):
            for number, port in enumerate(each.ports if each.kind != "init" else ()):
                if port.host_port:
                    yield f"spec.{field}[{index}].ports[{number}].hostPort", port


def notes(pod: Pod) -> Iterator[str]:
    """A remark on each host port that is not modelled."""
    for path, port in host_port_fields(pod):
        yield f"{locate(pod, path)}: {NOTE.format(port=port.host_port, protocol=port.protocol)}"


def host_port_of(data: dict[str, Any], place: Path, host_network: bool, taken: set[tuple[int, str, str]]) -> int:
    """The port that a container's port takes on its node, or 0; with hostNetwork it is the container's own. It is added to those that are
    ``taken``. Fault where it cannot be."""
    number, host_port, at = int(data["containerPort"]), int(data.get("hostPort", 0)), (*place, "hostPort")
    if host_port:
        rules.require(rules.port_number(host_port), *at)
        differs = host_network and host_port != number
        rules.require(f"invalid value {host_port}: must match containerPort when hostNetwork is true" if differs else "", *at)
    elif host_network:
        host_port, at = number, (*place, "containerPort")
    if host_port:
        key = (host_port, data.get("protocol") or "TCP", data.get("hostIP", ""))
        again = f'duplicate value "{key[1]}/{key[2]}/{host_port}": the node has each port once' if key in taken else ""
        rules.require(again, *place, "hostPort", at=at)
        taken.add(key)
    return host_port


def clash(wanted: Set[tuple[int, str, str]], taken: Set[tuple[int, str, str]]) -> bool:
    """Whether a port is wanted that is taken on the same address of the node, or on all of them."""
    return any(
        (number, protocol) == (other, its) and (ip == address or {ip, address} & {*EVERY_ADDRESS})
        for number, protocol, ip in wanted
        for other, its, address in taken
    )


def check_host_ports(cluster: Cluster, trace: Trace) -> None:
    """UnsupportedError for a packet that has come to a port of a node which the portmap plug-in would have passed on to a Pod."""
    if trace.end is None or trace.end.netns not in cluster.ports:
        return
    sent, node = trace.sent, trace.end.netns
    if sent.dst not in local_addresses(cluster.network.namespace(node), sent.dst.version):
        return  # kube-proxy has sent it to a program of the node
    for pod in cluster.pods:
        if pod.node_name == node and pod.host_ports and not pod.host_network:
            for field, port in host_port_fields(pod):
                if (port.host_port, port.protocol.lower()) == (sent.dport, sent.proto) and port.host_ip in (*EVERY_ADDRESS, str(sent.dst)):
                    message = REFUSED.format(port=port.host_port, protocol=port.protocol, node=node, pod=pod.key)
                    place = error_at(pod, field, message)
                    raise UnsupportedError(message, file=place.file, line=place.line, field=place.field)
