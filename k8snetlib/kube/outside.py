"""What stands outside the cluster: a client on the Internet, reached through the underlay's router, and the way to load balancer addresses.

The router passes what is addressed to a load balancer on to one node, unchanged, as a balancer that answers ARP for the address does
(``ipMode: VIP``); which endpoint it reaches from there is kube-proxy's choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv6Interface

from ..linux.addresses import ip_interface, ip_network
from ..linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd
from ..linux.packet import IPAddress
from ..linux.state import Route
from .cni.sandbox import UNDERLAY, Host, mac_for

CLIENT, INTERNET = "client", "internet"
ADDRESSES: dict[int, IPv4Interface | IPv6Interface] = {4: ip_interface("203.0.113.7/24"), 6: ip_interface("2001:db8:113::7/64")}
"""The client's, from the ranges kept for documentation (RFC 5737, RFC 3849)."""
BALANCERS = {4: ip_network("198.51.100.8/29"), 6: ip_network("2001:db8:51::/125")}
"""Addresses that the course's load balancer hands out."""


def outside_ops(versions: Iterable[int], hosts: Sequence[Host], balanced: Iterable[IPAddress] = ()) -> Iterable[Op]:
    """The client, its link to the router, and the router's routes to the ``balanced`` addresses by the first node."""
    own = [ADDRESSES[version] for version in versions]
    routers = [ip_interface(f"{address.network.network_address + 1}/{address.network.prefixlen}") for address in own]
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
        yield RouteAdd(CLIENT, Route(ip_network("0.0.0.0/0" if router.version == 4 else "::/0"), "eth0", router.ip))
    for ip in dict.fromkeys(balanced):
        yield RouteAdd(UNDERLAY, Route(ip_network(ip), "segment-1", hosts[0].address(ip.version)))
