"""The IP layer of one namespace: what came up from a device is received, routed, and delivered here or forwarded.

Follows net/ipv4/ip_input.c, ip_forward.c, route.c and their IPv6 twins. The order that matters most: PREROUTING (destination NAT) comes
before the routing decision. TTL falls at a router and not at a bridge. :mod:`.local` is what happens to a packet for this host,
:mod:`.output` to one that leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value import replace
from . import answers, hooks, local, output, pmtu, redirects, way_out
from .events import Rewritten, Routed
from .fib import HERE, anycasts, lookup, reverse_path
from .packet import EVERYBODY, Fragment, Frame, IPAddress, Ndp, Skb, is_loopback, is_multicast
from .state import Route

if TYPE_CHECKING:
    from .engine import Engine, View

SOLICITED = 0xFF02 << 88 | 0x1FF  # ff02::1:ff00:0/104, without its last three bytes
FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def ip_receive(e: Engine, v: View, dev: str, frame: Frame, skb: Skb) -> None:
    """A packet came up from interface ``dev`` (ip_rcv): check it, PREROUTING, then route it."""
    packet = skb.packet
    skb.iif, skb.frame = dev, frame
    interface = v.interface(dev)
    if frame.dst != interface.mac and not frame.is_multicast and interface.kind != "loopback" and not frame.bare:
        output.drop(e, v, skb, "OTHERHOST", f"the frame is for {frame.dst}, {dev} is {interface.mac}", dev)
        return
    if packet.version == 6 and not _ipv6_ok(e, v, skb):
        return
    if type(packet.payload) is Fragment and v.tracked.get(packet.version) and not local.defragment(e, v, skb):
        return
    if skb.prerouted:
        skb.frag_max = 0  # ip_rcv forgets the length that br_netfilter noted, not the pieces
    elif not hooks.run_hook(e, v, "PREROUTING", skb):
        return
    skb.prerouted = False
    route_input(e, v, skb)


def _ipv6_ok(e: Engine, v: View, skb: Skb) -> bool:
    packet = skb.packet
    if v.ns.sysctl("net.ipv6.conf.all.disable_ipv6"):
        output.drop(e, v, skb, "IPV6DISABLED", "IPv6 is switched off here")
        return False
    if (is_loopback(packet.src) or is_loopback(packet.dst)) and skb.iif != "lo":
        output.drop(e, v, skb, "IP_INVALID_SOURCE", "a loopback address came in from outside")
        return False
    return True


def route_input(e: Engine, v: View, skb: Skb) -> None:
    """The routing decision for an arrived packet (ip_route_input_slow): for us, onward, or nowhere."""
    packet = skb.packet
    if is_multicast(packet.dst):
        if type(packet.payload) is Ndp and _joined(v, skb.iif, packet.dst):
            local.deliver(e, v, skb)
        else:
            output.drop(e, v, skb, "NOT_SPECIFIED", "nobody here has joined that multicast group")
        return
    everybody = packet.version == 4 and int(packet.dst) == EVERYBODY
    route, considered = (way_out.to_many(packet.dst, skb.iif), ()) if everybody else lookup(v.ns, packet.dst, packet.src, skb.iif, skb.mark)
    if packet.version == 4 and not source_ok(e, v, skb, route):
        return
    forwarding = v.ns.sysctl(FORWARDING[packet.version])
    if route is not None and route.type in HERE:
        e.emit(Routed(v.name, skb.journey, packet.dst, route, considered, "local"))
        local.deliver(e, v, skb)
    elif packet.version == 6 and (route is None or route.type != "unicast"):
        _unroutable(e, v, skb, route)  # whether it routes or not (ip6_pkt_discard)
    elif not forwarding:
        how = "IP forwarding is off (net.ipv4.ip_forward = 0)"
        if packet.version == 6:
            how = "forwarding is off (net.ipv6.conf.all.forwarding = 0)"
        output.drop(e, v, skb, "IP_INADDRERRORS", f"not for this host, and {how}")
    elif route is None or route.type != "unicast":
        _unroutable(e, v, skb, route)
    else:
        e.emit(Routed(v.name, skb.journey, packet.dst, route, considered, "forward"))
        forward(e, v, skb, route)


def _joined(v: View, dev: str, group: IPAddress) -> bool:
    """Whether the device listens to the group (ip6_mc_input): all nodes, or the solicited-node group of an address that it has or answers
    for, which ends in the address's last three bytes (RFC 4291 section 2.7.1)."""
    if int(group) >> 24 != SOLICITED:
        return True
    joined = [a.ip for a in v.interface(dev).addresses if a.version == 6] + [ip for name, ip in v.ns.proxied if name == dev]
    joined += anycasts(v.ns, dev)
    return any(int(ip) & 0xFFFFFF == int(group) & 0xFFFFFF for ip in joined)


def source_ok(e: Engine, v: View, skb: Skb, route: Route | None) -> bool:
    """Whether an IPv4 packet may come in from its source by its device (ip_route_input_slow); if not, it is dropped. Where ``route`` leads
    nowhere, or onward from a host that does not forward, nobody asks for the way back."""
    packet = skb.packet
    if skb.iif == "lo":
        return True
    if (is_loopback(packet.src) or is_loopback(packet.dst)) and not way_out.routes_localnet(v, skb.iif):
        output.drop(e, v, skb, "IP_LOCALNET", "a 127.0.0.0/8 address came in from outside (route_localnet is 0)")
        return False
    if is_multicast(packet.src) or int(packet.src) == 0xFFFFFFFF:
        output.drop(e, v, skb, "IP_INVALID_SOURCE", f"{packet.src} cannot be a source")
        return False
    if route is None or route.type not in ("unicast", *HERE) or (route.type == "unicast" and not v.ns.sysctl(FORWARDING[4])):
        return True
    reason = reverse_path(v.ns, packet.src, packet.dst, skb.iif, skb.mark)
    if reason:
        words = {
            "IP_LOCAL_SOURCE": f"{packet.src} is this host's own address: a packet from it cannot come in from outside",
            "IP_RPFILTER": f"the way back to {packet.src} does not lead through {skb.iif} (rp_filter)",
        }
        output.drop(e, v, skb, reason, words.get(reason, f"{packet.src} is no valid source"))
    return not reason


def _unroutable(e: Engine, v: View, skb: Skb, route: Route | None) -> None:
    """No route, or one that says no: tell the sender, except for a blackhole (ip_error, ip6_pkt_discard)."""
    kind = "none" if route is None else route.type
    v4 = {"none": (3, 0), "unreachable": (3, 1), "prohibit": (3, 13)}
    v6 = {"none": (1, 0), "unreachable": (1, 0), "prohibit": (1, 1)}  # ip6_pkt_discard knows no other code
    answer = (v4 if skb.packet.version == 4 else v6).get(kind)
    if answer:
        answers.icmp_error(e, v, skb, *answer)
    reason = "IP_INNOROUTES" if kind == "none" or skb.packet.version == 6 else "NOT_SPECIFIED"
    output.drop(e, v, skb, reason, f"no route to {skb.packet.dst}" if route is None else f"the route says so: {route}")


def forward(e: Engine, v: View, skb: Skb, route: Route) -> None:
    """Onward to the next hop (ip_forward): TTL, MTU, FORWARD, then out."""
    packet = skb.packet
    if skb.frame is not None and skb.frame.is_multicast:
        output.drop(
            e, v, skb, "NOT_SPECIFIED", f"what came to many (a frame to {skb.frame.dst}) is not forwarded, whatever NAT has made of it"
        )
        return
    if packet.ttl <= 1:
        answers.icmp_error(e, v, skb, *((11, 0) if packet.version == 4 else (3, 0)))
        output.drop(e, v, skb, "IP_INHDR", "TTL used up")
        return
    if packet.version == 6 and (route.dev == skb.iif or skb.routed):
        redirects.send(e, v, skb, route)
    mtu = v.interface(route.dev).mtu if packet.version == 6 else pmtu.mtu_of(v, route, route.dev, None)
    came_in_pieces = packet.version == 6 and bool(skb.pieces) and skb.frag_max <= mtu  # ip6_pkt_too_big
    if len(packet) > mtu and (packet.df or packet.version == 6) and not came_in_pieces:
        answers.icmp_error(e, v, skb, *((3, 4) if packet.version == 4 else (2, 0)), mtu=mtu)
        output.drop(
            e, v, skb, "PKT_TOO_BIG", f"{len(packet)} bytes do not fit through {route.dev} (MTU {mtu}), and it may not be fragmented"
        )
        return
    new = replace(packet, ttl=packet.ttl - 1)
    e.emit(Rewritten(v.name, skb.journey, "TTL", packet, new))
    skb.packet, skb.oif, skb.nexthop = new, route.dev, route.via
    if route.dev == skb.iif and packet.version == 4 and answers.redirects(v, skb.iif, packet):
        answers.redirect(e, v, skb, route)
    if hooks.run_hook(e, v, "FORWARD", skb):
        output.output(e, v, skb, route)
