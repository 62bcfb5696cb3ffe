"""The reference plug-in ``ptp``: a veth pair for each Pod and no bridge; the node routes to every Pod by a /32 (kindnet works so).

Judged against runs of the real plug-in (containernetworking/plugins v1.9.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...linux.addresses import network_around, with_length
from ...linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd, RouteDel, RulesRestore
from ...linux.packet import IPAddress
from ...linux.state import IPNetwork, Route
from .bridge import default_routes, forwarding, gateway_of, masquerade_text
from .sandbox import Host, Sandbox, mac_for, socket_ops


def attach(
    sandbox: Sandbox, routes: Sequence[tuple[IPNetwork, IPAddress | None]], gateways: Sequence[IPAddress], mtu: int = 0
) -> Iterable[Op]:
    """Connect one Pod (the plug-in's ADD). The connected route that came with the address is replaced by two: the gateway on the link,
    and the range by the gateway, so that even a neighbour on the same node is reached by routing."""
    pod, port = sandbox.netns, sandbox.veth
    yield LinkAdd(pod, "eth0", "veth", mac=mac_for(sandbox.addresses[0].ip, "0a:58"), mtu=mtu or None, peer=(sandbox.host, port))
    yield LinkSet(sandbox.host, port, up=True)
    yield LinkSet(pod, "eth0", up=True)
    by_family = {gateway.version: gateway for gateway in gateways}
    for address in sandbox.addresses:
        gateway, bits = by_family[address.version], address.max_prefixlen
        yield AddrAdd(pod, "eth0", address)
        yield RouteDel(pod, Route(address.network, "eth0"))
        src = address.ip if address.version == 4 else None
        yield RouteAdd(pod, Route(network_around(gateway, bits), "eth0", src=src, scope="link"))
        yield RouteAdd(pod, Route(address.network, "eth0", gateway, src=src))
    for dst, via in routes:
        yield RouteAdd(pod, Route(dst, "eth0", via or by_family[dst.version]))
    for address in sandbox.addresses:
        gateway, bits = by_family[address.version], address.max_prefixlen
        yield AddrAdd(sandbox.host, port, with_length(gateway, bits))
        yield RouteAdd(sandbox.host, Route(network_around(address.ip, bits), port, scope="host"))


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node with its Pods, and masquerading for what leaves the Pod range."""
    gateways = [gateway_of(cidr).ip for cidr in host.pod_cidrs]
    yield from forwarding(host.name, {gateway.version for gateway in gateways})
    for sandbox in sandboxes:
        yield NetnsAdd(sandbox.netns)
        yield from attach(sandbox, default_routes(sandbox.addresses, gateways), gateways)
        yield from socket_ops(sandbox)
    for version in sorted({a.version for s in sandboxes for a in s.addresses}):
        own = [(s.netns, a) for s in sandboxes for a in s.addresses if a.version == version]
        yield RulesRestore(host.name, masquerade_text("podnet", own), version)
