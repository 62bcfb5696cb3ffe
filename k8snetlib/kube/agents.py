"""What runs on every node beside the network plug-in: kube-proxy, configured as kubeadm does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..linux.ops import Op
from .allocation import SERVICE_CIDRS
from .cni.sandbox import Host
from .control import ControlPlane
from .proxy import ops
from .proxy.config import ProxyConfig
from .proxy.endpoints import watched

NO_PROXY = "none"
"""The mode of a cluster whose nodes run no kube-proxy: there, a Service's address leads nowhere."""


def proxy_configs(host: Host, hosts: Sequence[Host]) -> list[ProxyConfig]:
    """The node's configuration for each of its families: Pods are known by the cluster's range (``detectLocalMode: ClusterCIDR``)."""
    from .cni.vxlan import cluster_cidr

    local = tuple(address.ip for address in host.addresses)
    found = []
    for cidr in host.pod_cidrs:
        version = cidr.version
        everywhere = cluster_cidr([h.pod_cidr(version) for h in hosts if h.pod_cidr(version)])
        services = tuple(each for each in SERVICE_CIDRS if each.version == version)
        zone = host.node.zone if host.node else ""
        found.append(ProxyConfig(host.name, host.address(version), local, everywhere, services, zone=zone))
    return found


def proxy_ops(mode: str, host: Host, hosts: Sequence[Host], control: ControlPlane) -> Iterable[Op]:
    """kube-proxy's work on one node; nothing where it does not run."""
    if mode == NO_PROXY:
        return ()
    return ops(mode, host.name, watched(control.services), watched(control.slices), proxy_configs(host, hosts))
