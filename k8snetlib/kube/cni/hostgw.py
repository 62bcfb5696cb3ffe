"""Flannel's back end ``host-gw``: the bridge plug-in on each node, and a plain route to every other node's Pod range. No tunnel, no daemon that
forwards: the next hop is the other node itself, and so must be on the same segment (flannel, Documentation/backends.md, pkg/backend/hostgw).

For a node behind a router flanneld's route is refused by the kernel ("Nexthop has invalid gateway"): it logs that, and packets for that
node's Pods take the default route to a router that has never heard of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...linux.ops import Op, RouteAdd, RulesRestore
from ...linux.state import Route
from .bridge import BridgeConf, pods_on_bridge
from .sandbox import Host, Sandbox
from .vxlan import cluster_cidr, ruleset


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node: the bridge with its Pods, a route to every node on its segment, and flanneld's rules."""
    clusters = {c.version: cluster_cidr([h.pod_cidr(c.version) for h in hosts if h.pod_cidr(c.version)]) for c in host.pod_cidrs}
    conf = BridgeConf(hairpin_mode=True, mtu=host.mtu)
    yield from pods_on_bridge(conf, host, sandboxes, tuple(clusters.values()))
    for cidr in host.pod_cidrs:
        for other in hosts:
            far = other.pod_cidr(cidr.version)
            if other.name != host.name and far is not None and other.address(cidr.version) in host.network(cidr.version):
                yield RouteAdd(host.name, Route(far, "eth0", other.address(cidr.version)))
        yield RulesRestore(host.name, ruleset(clusters[cidr.version], cidr), cidr.version)
