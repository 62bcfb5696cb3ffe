"""Calico's IPIP: a packet for another node's Pod goes inside another IPv4 packet, from node to node. 20 bytes, no ports, no MAC address inside.

As Calico v3.30 does it (from v3.33 on Felix writes these routes, as it does VXLAN's): BIRD learns them as in ``bgp`` and gives them the
tunnel device tunl0, whose far end is each route's next hop: so the routing table alone knows the way, and nothing corresponds to VXLAN's
FDB. ``CrossSubnet`` takes the tunnel only towards nodes on another segment.
IPv6 has no IPIP in Calico (IPPool ``ipipMode`` is for IPv4 pools): there, routes are plain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from ...linux.ops import AddrAdd, LinkAdd, LinkSet, Op, RouteAdd
from ...linux.state import IpipConfig, Route
from . import bgp, calico
from .sandbox import Host, Sandbox

DEVICE = "tunl0"
OVERHEAD = 20  # bytes: the outer IPv4 header


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox], cross_subnet: bool = False) -> Iterable[Op]:
    """One node: its Pods, the tunnel device, and a route to every block of the other nodes."""
    tunnelled = any(cidr.version == 4 for cidr in host.pod_cidrs)
    yield from calico.pods(host, sandboxes, host.mtu - OVERHEAD * tunnelled)
    if tunnelled:
        yield LinkAdd(host.name, DEVICE, "ipip", mtu=host.mtu - OVERHEAD, ipip=IpipConfig())
        yield LinkSet(host.name, DEVICE, up=True)
        yield AddrAdd(host.name, DEVICE, calico.tunnel_interface(calico.tunnel_address(host, 4)))
    yield from calico.own_blocks(host, bgp.PROTO)
    for other in hosts:
        if other.name != host.name:
            plain = cross_subnet and other.address(4) in (host.network(4) or ())
            yield from bgp.routes(host, (other,), (4, 6) if plain else (6,))
            for block in calico.blocks(other, 4) if not plain else ():
                yield RouteAdd(host.name, Route(block, DEVICE, other.address(4), proto=bgp.PROTO, onlink=True))
    yield from calico.masquerade(host, hosts)


cross_subnet = partial(plan, cross_subnet=True)
