"""What leaves a namespace: a packet is sent, by a process, the kernel or a router, and goes out by a device, in pieces where it must.

Follows net/ipv4/ip_output.c and its IPv6 twin. A packet made here is routed first (which picks its source), then passes OUTPUT, and is
routed again if OUTPUT changed its destination or mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value import replace
from . import answers, hooks, neighbor, pmtu, way_out
from .events import Dropped, Fragmented, Routed, Sent
from .fib import HERE, lookup
from .fragments import fragment
from .packet import LEAST_MTU6, Packet, Skb
from .state import Route

if TYPE_CHECKING:
    from .engine import Engine, View


def drop(e: Engine, v: View, skb: Skb, reason: str, detail: str, dev: str = "") -> None:
    e.emit(Dropped(v.name, skb.journey, reason, detail, skb.packet, dev))


def send(
    e: Engine, v: View, packet: Packet, journey: int, mark: int = 0, process: str = "", dev: str = "", about: Skb | None = None,
    tunnelled: bool = False, muted: bool = False,
) -> None:  # fmt: skip
    """A packet made in this namespace, by a process or by the kernel: route, OUTPUT, route again if need be, out.

    ``about`` is the packet that an error or a reset speaks of: it belongs to the same connection, confirmed or not (nf_ct_attach).
    ``tunnelled``: it carries another, so that nobody is there to be refused one that is too long. ``muted``: it is, or carries, an ICMP
    message of the kernel's own.
    """
    e.emit(Sent(v.name, journey, packet, process))
    if journey and packet.version == 6 and not tunnelled:
        e.made[journey] = packet
    skb = Skb(packet, mark=mark, journey=journey)
    skb.muted = muted
    if about is not None and about.ct is not None:
        hooks.attach(e, v, skb, about)
    route, considered = way_out.route_for(v, packet, mark, dev)
    if route is not None and not way_out.may_leave(v, packet, route):
        drop(e, v, skb, "IP_OUTNOROUTES", f"from {packet.src} nothing leaves by {route.dev} (route_localnet is 0): the sender gets EINVAL")
        return
    if route is None or route.type not in ("unicast", *HERE):
        error = {"blackhole": "EINVAL", "prohibit": "EACCES", "unreachable": "EHOSTUNREACH"}.get(route.type if route else "", "ENETUNREACH")
        drop(e, v, skb, "IP_OUTNOROUTES", f"no route to {packet.dst}: the sender gets {error}")
        return
    e.emit(Routed(v.name, journey, packet.dst, route, considered, "output"))
    skb.oif, skb.nexthop = ("lo", None) if route.type in ("local", "anycast") else (route.dev, route.via)
    mtu = route.mtu or v.interface(skb.oif).mtu
    if len(packet) > mtu and packet.df and not tunnelled:
        drop(e, v, skb, "PKT_TOO_BIG", f"{len(packet)} bytes do not fit through {skb.oif} (MTU {mtu}): the sender gets EMSGSIZE")
        return
    if not hooks.run_hook(e, v, "OUTPUT", skb):
        return
    remarked = skb.mark != mark and skb.reroute
    if skb.packet.dst != packet.dst or skb.packet.src != packet.src or remarked:  # ip_route_me_harder: the source stays
        route, considered = lookup(v.ns, skb.packet.dst, skb.packet.src, mark=skb.mark)
        if route is None or route.type not in ("unicast", *HERE):
            drop(e, v, skb, "IP_OUTNOROUTES", f"no route to {skb.packet.dst} after OUTPUT changed the packet")
            return
        if not way_out.may_leave(v, skb.packet, route):
            drop(e, v, skb, "IP_OUTNOROUTES", f"from {skb.packet.src} nothing leaves by {route.dev} (route_localnet is 0)")
            return
        e.emit(Routed(v.name, journey, skb.packet.dst, route, considered, "output"))
        skb.oif, skb.nexthop = ("lo", None) if route.type in ("local", "anycast") else (route.dev, route.via)
    output(e, v, skb, route)


def output(e: Engine, v: View, skb: Skb, route: Route) -> None:
    """POSTROUTING, then to the next hop's MAC address (ip_output, ip_finish_output2)."""
    if not hooks.run_hook(e, v, "POSTROUTING", skb):
        return
    forwarded = bool(skb.iif)
    mtu = pmtu.mtu_of(v, route, skb.oif, None if forwarded and skb.packet.version == 4 else skb.packet.dst)
    if len(skb.packet) <= mtu and not skb.frag_max:
        neighbor.resolve(e, v, skb)
        return
    if _refuses(skb, mtu):  # it is known of the path or the route alone: the sender is told as if by a router
        answers.icmp_error(e, v, skb, *((3, 4) if skb.packet.version == 4 else (2, 0)), mtu=mtu)
        drop(e, v, skb, "PKT_TOO_BIG", f"{len(skb.packet)} bytes do not fit through {skb.oif} (MTU {mtu})")
        return
    for piece in pieces(e, v, skb, mtu):
        part = Skb(piece, skb.iif, skb.oif, skb.mark, skb.journey)
        part.nexthop, part.muted = skb.nexthop, skb.muted
        if not neighbor.resolve(e, v, part):
            return  # of the pieces after one that a device has dropped none is sent (ip_do_fragment, ip6_fragment)


def _refuses(skb: Skb, mtu: int) -> bool:
    """Whether a packet that is too long may not be cut (ip_fragment, ip6_fragment): in IPv6 what came from outside, unless it was in pieces
    that fit."""
    if skb.pieces:
        return skb.packet.version == 6 and skb.frag_max > mtu
    return skb.packet.df or (skb.packet.version == 6 and bool(skb.iif))


def pieces(e: Engine, v: View, skb: Skb, mtu: int) -> tuple[Packet, ...]:
    """The packet as it goes out: whole if it fits and came whole, else in the pieces that it came in, or no longer ones (ip_do_fragment).

    Before a tunnel's headers the pieces that came have no room for them (LL_RESERVED_SPACE): there it is always cut anew.
    """
    if len(skb.packet) <= mtu and not skb.frag_max:
        return (skb.packet,)
    drawn = skb.packet.version == 6 or (skb.packet.is_tunnel and not skb.packet.id)  # ipv6_select_ident, ip_select_ident
    whole = replace(skb.packet, id=e.new_identification()) if drawn else skb.packet
    longest = skb.frag_max or mtu
    if whole.version == 6:
        longest = max(longest, LEAST_MTU6)
    made = fragment(whole, min(mtu, longest), () if v.interface(skb.oif).kind in ("vxlan", "ipip") else skb.pieces)
    e.emit(Fragmented(v.name, skb.journey, skb.packet, made, mtu))
    return made
