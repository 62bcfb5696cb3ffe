"""The route of a packet that is made here: where a lookup alone does not say it (net/ipv4/route.c, net/ipv6/route.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import ip_network
from .fib import lookup
from .packet import EVERYBODY, IPAddress, Packet, is_loopback, is_multicast
from .state import Route, local_addresses

if TYPE_CHECKING:
    from .engine import View


def route_for(v: View, packet: Packet, mark: int, dev: str) -> tuple[Route | None, tuple[Route, ...]]:
    """The route of a packet made here. One to a group or to all hosts of a link goes to no gateway: by the device that has its source
    (ip_route_output_key_hash_rcu), in IPv6 by the first (its route to ff00::/8). Not modelled: what a sender hears of it itself (ip_mc_output)."""
    dst = packet.dst
    if not is_multicast(dst) and not (packet.version == 4 and int(dst) == EVERYBODY):
        return lookup(v.ns, dst, packet.src, mark=mark, dev=dev)
    if not dev and packet.version == 4:
        dev = local_addresses(v.ns, 4).get(packet.src, "")
    elif not dev:
        dev = next((i.name for i in v.ns.interfaces.values() if i.up and i.kind not in ("loopback", "ipip")), "")
    return (to_many(dst, dev) if dev else None), ()


def to_many(dst: IPAddress, dev: str) -> Route:
    """The way to a group, or to all hosts of a link."""
    return Route(ip_network(dst), dev, scope="link", proto="kernel", type="unicast" if is_multicast(dst) else "broadcast")


def may_leave(v: View, packet: Packet, route: Route) -> bool:
    """Whether a packet may leave with its source: one of 127.0.0.0/8 by lo alone (__mkroute_output)."""
    stays = route.type == "local" or route.dev == "lo"
    return stays or packet.version == 6 or not is_loopback(packet.src) or bool(routes_localnet(v, route.dev))


def routes_localnet(v: View, dev: str) -> int:
    """Whether addresses of 127.0.0.0/8 may cross the device (net.ipv4.conf.*.route_localnet)."""
    return v.ns.sysctl("net.ipv4.conf.all.route_localnet") or v.ns.sysctl(f"net.ipv4.conf.{dev}.route_localnet")
