"""ICMPv6 redirects (RFC 4861 section 8): a router tells a sender of the shorter way (ip6_forward, ndisc_send_redirect, rt6_do_redirect).

Not modelled: that one sender, and one destination, is told once a second at most after a burst of six (inet_peer_xrlim_allow).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from . import hooks, neighbor
from .events import Answered, Delivered, Dropped
from .fib import lookup
from .packet import Packet, Redirect, Skb, is_multicast
from .state import Route

if TYPE_CHECKING:
    from .engine import Engine, View


def send(e: Engine, v: View, skb: Skb, route: Route) -> None:
    """The packet goes out by the interface that it came in by: tell its sender, if both it and the next hop are on the link.

    That is what the kernel means, but it asks for the interface of the route that it finds with the packet. Where br_netfilter
    has routed a packet for its new address (``skb.routed``), that is the way out, and the sender is told of a neighbour on another link.

    Unlike other messages about a packet this one belongs to no connection from the start: conntrack reads what it quotes.
    """
    packet, target = skb.packet, route.via or skb.packet.dst
    own = next((a.ip for a in v.interface(skb.iif).addresses if a.version == 6 and a.ip.is_link_local), None)
    if own is None or (target != packet.dst and not target.is_link_local):
        return
    back, _ = lookup(v.ns, packet.src, own, dev=skb.iif)
    if back is None or back.type != "unicast" or back.via is not None:
        return
    known = v.neighbor(route.dev, target)
    message = Packet(own, packet.src, Redirect(target, packet.dst, known.mac if known else None, packet), neighbor.HOP_LIMIT)
    journey = e.new_journey()
    e.emit(Answered(v.name, skb.journey, journey, f"ICMPv6 redirect: to {packet.dst} there is a shorter way"))
    told = Skb(message, oif=skb.iif, journey=journey)
    if not hooks.run_hook(e, v, "OUTPUT", told):
        return
    told.iif = skb.iif  # as for neighbour discovery
    if hooks.run_hook(e, v, "POSTROUTING", told):
        neighbor.resolve(e, v, told)


def receive(e: Engine, v: View, skb: Skb) -> None:
    """A redirect came up (ndisc_redirect_rcv). UnsupportedError if this host would heed it: it would take another way from then on."""
    packet, message = skb.packet, skb.packet.payload
    if packet.ttl != neighbor.HOP_LIMIT or not packet.src.is_link_local:
        e.emit(Dropped(v.name, skb.journey, "NOT_SPECIFIED", "no router on this link can have sent the redirect", packet, skb.iif))
        return
    e.emit(Delivered(v.name, skb.journey, packet, None))
    if _heeded(v, skb, message):
        told = f"{v.name} heeds the redirect and sends to {message.dst} by way of {message.target}: the model does not follow that"
        raise UnsupportedError(told)


def _heeded(v: View, skb: Skb, message: Redirect) -> bool:
    """Whether the redirect is about a TCP connection of this host (tcp_v6_err asks no more), or about an echo request and comes from
    the present first hop (icmpv6_err). What it says to others is lost: a UDP socket names no device (ip6_sk_redirect)."""
    quoted = message.data
    if not isinstance(quoted, Packet) or is_multicast(message.dst):
        return False
    if message.target != message.dst and not message.target.is_link_local:
        return False
    forwards = v.ns.sysctl("net.ipv6.conf.all.forwarding") or v.ns.sysctl(f"net.ipv6.conf.{skb.iif}.forwarding")
    if forwards or not v.ns.sysctls.get(f"net.ipv6.conf.{skb.iif}.accept_redirects", 1):
        return False
    if quoted.proto == "tcp":
        return any(s.proto == "tcp" and s.port == quoted.sport and s.peer == (quoted.dst, quoted.dport) for s in v.ns.sockets)
    route, _ = lookup(v.ns, quoted.dst, quoted.src, dev=skb.iif)
    return quoted.proto == "ipv6-icmp" and route is not None and route.via == skb.packet.src
