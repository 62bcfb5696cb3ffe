"""Calico without a tunnel: every node is a router that announces its blocks by BGP, and BIRD puts what the others announce into the kernel.

The announcements themselves are in ``kube.bgp``; here is what comes of them on a node (confd/etc/calico/confd/templates/bird*.template), and
a test holds the one against the other. In the node-to-node mesh, and with route reflectors just the same, the next hop of a block is the
node that has it. On another segment that node is reached by this one's router, and the router, which is no part of the mesh, knows no
Pods: such clusters need a tunnel, or nodes that peer with the routers instead (top of rack). A router leaves a next hop on its peers' own
link as it is (RFC 4271 section 5.1.3), so that nodes of one segment still send to each other: the nodes' tables are those of the mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ...linux.ops import Op, RouteAdd
from ...linux.packet import IPAddress
from ...linux.state import Route, link_local
from . import calico
from .sandbox import UNDERLAY, Host, Sandbox, mac_for, segment_of, segments

PROTO = "bird"


def gateway(host: Host, version: int) -> IPAddress:
    """The router of the node's segment, as the node's default route has it."""
    return next(each for each in host.gateways if each.version == version)


def rack_router(host: Host, version: int) -> IPAddress:
    """How a router that is a BGP peer names itself: in IPv6 by its interface's link-local address (RFC 2545 section 3), as BIRD does."""
    return gateway(host, 4) if version == 4 else link_local(mac_for(host.gateways[0], "52:54:00")).ip


Router = Callable[[Host, int], IPAddress]


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox], router: Router = gateway) -> Iterable[Op]:
    """One node: its Pods, its blocks, and a route to every block of the other nodes; by ``router`` where they are on another segment."""
    yield from calico.pods(host, sandboxes, host.mtu)
    yield from calico.own_blocks(host, PROTO)
    yield from routes(host, hosts, router=router)
    yield from calico.masquerade(host, hosts)


rack_plan = partial(plan, router=rack_router)


def routes(host: Host, hosts: Sequence[Host], versions: Sequence[int] = (4, 6), router: Router = gateway) -> Iterable[Op]:
    """What BIRD learned: each block by the node that announces it, or by the router where that is on another segment."""
    for other in hosts:
        if other.name != host.name:
            for block in other.blocks:
                if block.version in versions:
                    yield RouteAdd(host.name, Route(block, "eth0", next_hop(host, other, block.version, router), proto=PROTO))


def next_hop(host: Host, other: Host, version: int, router: Router = gateway) -> IPAddress:
    """The other node's address, resolved through this node's own routes (BIRD: ``gateway recursive``)."""
    far = other.address(version)
    return far if far in host.network(version) else router(host, version)


def top_of_rack(hosts: Sequence[Host]) -> Iterable[Op]:
    """The routers' side where every node peers with the router of its segment: each block by its node."""
    links = segments(hosts)
    for host in hosts:
        for block in host.blocks:
            yield RouteAdd(UNDERLAY, Route(block, segment_of(host, links), host.address(block.version), proto=PROTO))
