"""Host ports of Pods that have a network of their own: on a real node the portmap plug-in passes them on, and this model has none.

So a packet that ends at such a port of a node is refused; it might as well have gone to the Pod. Source: containernetworking/plugins,
plugins/meta/portmap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..linux.events import Trace
from ..linux.state import local_addresses
from .manifests import error_at
from .objects import ContainerPort, Pod

if TYPE_CHECKING:
    from .cluster import Cluster

NOTE = (
    "hostPort {port}/{protocol} needs the portmap plug-in, which is not modelled: a packet to that port of a node is refused, "
    "and others go as they would"
)
REFUSED = (
    "port {port}/{protocol} of {node} is a hostPort of Pod {pod}: the portmap plug-in, which would pass the packet on, is not modelled"
)
EVERY_ADDRESS = ("", "0.0.0.0", "::")


def host_port_fields(pod: Pod) -> Iterator[tuple[str, ContainerPort]]:
    """The Pod's host ports, each with its field's path (``spec.containers[0].ports[1].hostPort``)."""
    for field, kinds in (("containers", ("container",)), ("initContainers", ("sidecar", "init"))):
        for index, each in enumerate(box for box in pod.containers if box.kind in kinds):
            for number, port in enumerate(each.ports if each.kind != "init" else ()):
                if port.host_port:
                    yield f"spec.{field}[{index}].ports[{number}].hostPort", port


def check_host_ports(cluster: Cluster, trace: Trace) -> None:
    """UnsupportedError for a packet that has come to a port of a node which the portmap plug-in would have passed on to a Pod."""
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
