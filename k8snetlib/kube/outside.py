"""What stands outside the cluster: a client on the Internet, reached through the underlay's router, and the kinds of load balancers.

Which node or Pod a balancer sends to is in :mod:`.balancers`; the router plays it. One that is the nodes' own is in :mod:`.announce`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv6Interface

from ..errors import ModelError
from ..linux.addresses import ANY, ip_interface, ip_network, with_length
from ..linux.ops import AddrAdd, LinkAdd, LinkSet, NeighAdd, NetnsAdd, Op, RouteAdd
from ..linux.state import Route
from ..value import replace
from .announce import free_range
from .balancers import Balanced, local_endpoints, router_ops
from .cni import CNIS
from .cni.sandbox import UNDERLAY, Host, mac_for
from .pools import BalancerPool

__all__ = ["ADDRESSES", "BALANCERS", "CLIENT", "INTERNET", "KINDS", "Balanced", "local_endpoints", "outside_ops", "pool_of", "serving"]

CLIENT, INTERNET = "client", "internet"
ADDRESSES: dict[int, IPv4Interface | IPv6Interface] = {4: ip_interface("203.0.113.7/24"), 6: ip_interface("2001:db8:113::7/64")}
"""The client's, from the ranges kept for documentation (RFC 5737, RFC 3849)."""
BALANCERS = {4: ip_network("198.51.100.8/29"), 6: ip_network("2001:db8:51::/125")}
"""Addresses that the course's load balancer hands out."""
KINDS = ("VIP", "Proxy", "Pods", "ARP")
"""What ``balancer=`` may say: the load balancer passes packets on to nodes; it ends connections and opens its own, to node ports; or to
Pods; or it is the nodes themselves, of which an elected one answers for the address."""
TEXT = {
    "kind": "a balancer is of kind {known} (or a BalancerPool), not {kind!r}",
    "no-way": "the load balancer sends to Pod addresses, and with the plug-in {cni} the router knows no way to them",
    "cloud": "nodes cannot answer ARP for it: below the plug-in {cni}, the network answers ARP itself, for the addresses that it knows",
    "no-room": "the nodes' segment has no free addresses for load balancers",
}


def pool_of(kind: str, hosts: Sequence[Host], versions: Iterable[int]) -> BalancerPool:
    """The course's pool of that kind. ModelError for what is none of ``KINDS``."""
    if kind not in KINDS:
        raise ModelError(TEXT["kind"].format(known=", ".join(f'"{each}"' for each in KINDS), kind=kind))
    if kind == "ARP":
        found = tuple(net for version in versions for net in [free_range(hosts, version)] if net is not None)
        return BalancerPool(found, arp=True, because="" if found else TEXT["no-room"])
    networks = tuple(BALANCERS[version] for version in versions)
    return BalancerPool(networks, ip_mode="VIP" if kind == "VIP" else "Proxy", targets="pods" if kind == "Pods" else "nodes")


def serving(pool: BalancerPool, cni: str, hosts: Sequence[Host]) -> BalancerPool:
    """The pool with the reason why it serves nobody here, if the network below the nodes makes it useless."""
    if pool.because or not (pool.arp or pool.targets == "pods"):
        return pool
    told = [op for op in CNIS[cni].fabric(hosts) if op.netns == UNDERLAY]
    if pool.arp:
        cloud = any(isinstance(op, LinkSet) and op.proxy_arp for op in told)
        return replace(pool, because=TEXT["cloud"].format(cni=cni)) if cloud else pool
    known = any(isinstance(op, RouteAdd | NeighAdd) for op in told)
    return pool if known else replace(pool, because=TEXT["no-way"].format(cni=cni))


def outside_ops(versions: Iterable[int], hosts: Sequence[Host], ways: Iterable[Balanced] = ()) -> Iterable[Op]:
    """The client, its link to the router, and what the router does as the load balancer of these ``ways``."""
    own = [ADDRESSES[version] for version in versions]
    routers = [with_length(address.network.network_address + 1, address.network.prefixlen) for address in own]
    yield LinkAdd(UNDERLAY, INTERNET, "bridge", mac=mac_for(routers[0].ip, "52:54:00"))
    yield LinkSet(UNDERLAY, INTERNET, up=True)
    for router in routers:
        yield AddrAdd(UNDERLAY, INTERNET, router)
    yield NetnsAdd(CLIENT)
    yield LinkAdd(CLIENT, "eth0", "veth", mac=mac_for(own[0].ip, "52:54:00"), peer=(UNDERLAY, "port-client"))
    yield LinkSet(UNDERLAY, "port-client", master=INTERNET, up=True)
    yield LinkSet(CLIENT, "eth0", up=True)
    for address, router in zip(own, routers, strict=True):
        yield AddrAdd(CLIENT, "eth0", address)
        yield RouteAdd(CLIENT, Route(ANY[router.version], "eth0", router.ip))
    yield from router_ops(ways, [address.version for address in own], hosts)
