"""What a cluster's nodes hold of their VPC: ENIs, addresses, and how many Pods that allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...linux.packet import IPAddress
from ...linux.state import IPNetwork
from ...value import value
from .sandbox import Host
from .vpc_ipam import Subnet, warm
from .vpc_limits import instance_type, limits, max_pods, recommended_pods

if TYPE_CHECKING:
    from ..cluster import Cluster


@value
class NodeUse:
    """What one node holds of the VPC. ``held`` counts addresses of the subnet, its ENIs' own among them; ``warm_enis`` and ``warm_held``
    are what ipamd's default supply makes of them. ``max_pods`` is what the addresses allow, ``kubelet_pods`` what the kubelet admits."""

    node: str
    instance_type: str
    enis: int
    max_enis: int
    pods: int
    held: int
    warm_enis: int
    warm_held: int
    max_pods: int
    kubelet_pods: int


@value
class SubnetUse:
    """A subnet: how many addresses it has for interfaces and Pods, how many of these are free, and how many whole /28 are."""

    network: IPNetwork
    usable: int
    free: int
    free_prefixes: int


def node_use(cluster: Cluster) -> tuple[NodeUse, ...]:
    """Every node of a cluster whose plug-in is this one."""
    prefix, found = cluster.cni == "vpc-prefix", []
    for host in cluster.hosts:
        kind, pods = instance_type(host.node), sum(len(eni.pods) for eni in host.enis)
        found.append(NodeUse(host.name, kind, len(host.enis), limits(kind).enis, pods, len(_held(host)), *warm(kind, pods, prefix),
                             max_pods(kind, prefix), recommended_pods(kind, prefix) if prefix else max_pods(kind)))  # fmt: skip
    return tuple(found)


def subnet_use(cluster: Cluster) -> tuple[SubnetUse, ...]:
    """Every subnet in which the cluster's nodes are, as their ENIs leave it."""
    used: dict[IPNetwork, list[IPAddress]] = {}
    for host in cluster.hosts:
        used.setdefault(host.addresses[0].network, []).extend(_held(host))
    subnets = [Subnet(network, addresses) for network, addresses in used.items()]
    return tuple(SubnetUse(each.network, each.usable, each.free, len(each.free_prefixes)) for each in subnets)


def _held(host: Host) -> list[IPAddress]:
    """The addresses of the subnet that the node's ENIs have: their own, their prefixes', or those given to Pods."""
    return [
        a for eni in host.enis for a in (eni.address.ip, *(a for p in eni.prefixes for a in p), *(eni.pods if not eni.prefixes else ()))
    ]
