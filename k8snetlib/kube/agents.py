"""What runs on every node beside the network plug-in: kube-proxy, configured as kubeadm does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..linux.ops import AddrAdd, Op
from ..linux.packet import IPAddress
from .allocation import SERVICE_CIDRS
from .cni.sandbox import Host
from .control import ControlPlane
from .proxy import ops
from .proxy.config import ProxyConfig
from .proxy.endpoints import watched

NO_PROXY = "none"
"""The mode of a cluster whose nodes run no kube-proxy: there, a Service's address leads nowhere."""


def proxy_configs(host: Host, hosts: Sequence[Host], network: Iterable[Op] = ()) -> list[ProxyConfig]:
    """The node's configuration for each of its families: Pods are known by the cluster's range (``detectLocalMode: ClusterCIDR``). Where
    nodes have no Pod ranges there is no such range either, and kube-proxy cannot tell Pods from others, as EKS leaves ``clusterCIDR`` empty.

    ``network`` is what the node's network was made by: kube-proxy asks the kernel for the addresses of all of the node's interfaces, so
    that those of the plug-in's are among them.
    """
    from .cni.vxlan import cluster_cidr

    local = _local_addresses(host, network)
    found = []
    for version in (address.version for address in host.addresses):
        ranges = [h.pod_cidr(version) for h in hosts if h.pod_cidr(version)]
        everywhere = cluster_cidr(ranges) if ranges else None
        services = tuple(each for each in SERVICE_CIDRS if each.version == version)
        zone = host.node.zone if host.node else ""
        found.append(ProxyConfig(host.name, host.address(version), local, everywhere, services, zone=zone))
    return found


def _local_addresses(host: Host, network: Iterable[Op]) -> tuple[IPAddress, ...]:
    added = (op.address.ip for op in network if isinstance(op, AddrAdd) and op.netns == host.name)
    return tuple(dict.fromkeys([*(address.ip for address in host.addresses), *(ip for ip in added if not ip.is_loopback)]))


def proxy_ops(mode: str, host: Host, hosts: Sequence[Host], control: ControlPlane, network: Iterable[Op] = ()) -> Iterable[Op]:
    """kube-proxy's work on one node; nothing where it does not run. ``network`` is what the node's network was made by."""
    if mode == NO_PROXY:
        return ()
    return ops(mode, host.name, watched(control.services), watched(control.slices), proxy_configs(host, hosts, network))
