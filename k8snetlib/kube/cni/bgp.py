"""Calico without a tunnel: every node is a router that announces its blocks by BGP, and BIRD puts what the others announce into the kernel.

The announcements themselves are in ``kube.bgp``; here is what comes of them on a node (confd/etc/calico/confd/templates/bird*.template), and a
test holds the one against the other. In the node-to-node mesh, and with route reflectors just the same, the next hop of a block is the
node that has it. On another segment that node is reached by this one's router, and the router, which is no part of the mesh, knows no
Pods: such clusters need a tunnel, or nodes that peer with the routers instead (top of rack), who then are the next hop to everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...linux.ops import Op, RouteAdd
from ...linux.packet import IPAddress
from ...linux.state import Route
from . import calico
from .sandbox import UNDERLAY, Host, Sandbox, segment_of, segments

PROTO = "bird"


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node: its Pods, its blocks, and a route to every block of the other nodes."""
    yield from calico.pods(host, sandboxes, host.mtu)
    yield from calico.own_blocks(host, PROTO)
    yield from routes(host, hosts)
    yield from calico.masquerade(host, hosts)


def rack_plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node that peers with the router of its segment alone: that is the next hop to every block.

    So it is with a router that names itself (next-hop-self, or eBGP with ``multihop``, as Calico's template has it). One whose eBGP peers
    are on its link may leave a next hop of that link as it is (RFC 4271 section 5.1.3, BIRD's default for them): then nodes of one segment
    send to each other.
    """
    yield from calico.pods(host, sandboxes, host.mtu)
    yield from calico.own_blocks(host, PROTO)
    for other in hosts:
        if other.name != host.name:
            for block in other.blocks:
                yield RouteAdd(host.name, Route(block, "eth0", _router(host, block.version), proto=PROTO))
    yield from calico.masquerade(host, hosts)


def routes(host: Host, hosts: Sequence[Host], versions: Sequence[int] = (4, 6)) -> Iterable[Op]:
    """What BIRD learned: each block by the node that announces it, or by this node's router where that is on another segment."""
    for other in hosts:
        if other.name != host.name:
            for block in other.blocks:
                if block.version in versions:
                    yield RouteAdd(host.name, Route(block, "eth0", next_hop(host, other, block.version), proto=PROTO))


def next_hop(host: Host, other: Host, version: int) -> IPAddress:
    """The other node's address, resolved through this node's own routes (BIRD: ``gateway recursive``)."""
    far = other.address(version)
    return far if far in host.network(version) else _router(host, version)


def _router(host: Host, version: int) -> IPAddress:
    return next(gateway for gateway in host.gateways if gateway.version == version)


def top_of_rack(hosts: Sequence[Host]) -> Iterable[Op]:
    """The routers' side where every node peers with the router of its segment: each block by its node."""
    links = segments(hosts)
    for host in hosts:
        for block in host.blocks:
            yield RouteAdd(UNDERLAY, Route(block, segment_of(host, links), host.address(block.version), proto=PROTO))
