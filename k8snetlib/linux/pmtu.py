"""How many bytes fit: the route's MTU, the device's, and what ICMP has told of a path (net/ipv4/route.c, net/ipv6/route.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fib import lookup
from .fragments import with_transport
from .packet import LEAST_MTU6, IPAddress, Packet, Skb
from .state import Route

if TYPE_CHECKING:
    from .engine import View

MIN_PATH_MTU = {4: 552, 6: LEAST_MTU6}  # bytes: net.ipv4.route.min_pmtu, and what every IPv6 link takes


def mtu_of(v: View, route: Route, dev: str, dst: IPAddress | None) -> int:
    """Bytes that fit: the route's MTU or the device's, or what is known of the path to ``dst``.

    A router decides by the route's in IPv4 and by the device's in IPv6 (ip_dst_mtu_maybe_forward, ip6_dst_mtu_maybe_forward), and in IPv6
    once more by all it knows when it sends the packet on (ip6_fragment).
    """
    own = route.mtu or v.interface(dev).mtu
    known = v.path_mtu(dst) if dst is not None else None
    return own if known is None else min(own, known)


def learn(v: View, skb: Skb) -> None:
    """A router says that one of our packets was too big (ipv4_update_pmtu, ip6_update_pmtu): remembered for echo requests, which the kernel's
    own handler sees to, and for others where the socket that sent them is there."""
    message, quoted = skb.packet.payload, skb.packet.payload.data
    too_big = (message.type, message.code) == (3, 4) if skb.packet.version == 4 else message.type == 2
    if not too_big or not isinstance(quoted, Packet):
        return
    sent = with_transport(quoted)
    known = sent.proto in ("icmp", "ipv6-icmp") or (
        sent.proto in ("tcp", "udp", "sctp") and v.listening(sent.proto, sent.src, sent.sport) is not None
    )
    if known:
        narrow(v, sent, message.mtu, skb.journey)


def narrow(v: View, packet: Packet, mtu: int, journey: int) -> None:
    """Remember that no more than so many bytes fit on the path to where the packet goes, if that is news."""
    mtu = max(mtu, MIN_PATH_MTU[packet.version])
    route, _ = lookup(v.ns, packet.dst, packet.src)
    if route is not None and route.dev is not None and mtu < mtu_of(v, route, route.dev, packet.dst):
        v.learn_path_mtu(journey, packet.dst, mtu)
