"""The IP layer of one namespace: receive, route, deliver, forward, send, and the answers that the kernel gives by itself.

Follows net/ipv4/ip_input.c, ip_forward.c, ip_output.c, icmp.c and their IPv6 twins. The order that matters most:
PREROUTING (destination NAT) comes before the routing decision; a packet made here is routed first (which picks its source), then passes
OUTPUT, and is routed again if OUTPUT changed its destination or mark. TTL falls at a router and not at a bridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value import replace
from . import answers, hooks, neighbor, pmtu, redirects, tunnels, way_out
from .events import Answered, Delivered, Dropped, Fragmented, Reassembled, Rewritten, Routed, Sent
from .fib import HERE, address_type, anycasts, is_anycast, lookup, reverse_path, source_for
from .fragments import fragment, reassemble
from .packet import (
    EVERYBODY,
    LEAST_MTU6,
    Fragment,
    Frame,
    Icmp,
    IPAddress,
    Ndp,
    Packet,
    Redirect,
    Skb,
    Udp,
    is_loopback,
    is_multicast,
)
from .state import Route, Socket

if TYPE_CHECKING:
    from .engine import Engine, View

SOLICITED = 0xFF02 << 88 | 0x1FF  # ff02::1:ff00:0/104, without its last three bytes
NEXT_HEADER = 6  # where an IPv6 header names what follows it, in bytes
FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def drop(e: Engine, v: View, skb: Skb, reason: str, detail: str, dev: str = "") -> None:
    e.emit(Dropped(v.name, skb.journey, reason, detail, skb.packet, dev))


# Receiving


def ip_receive(e: Engine, v: View, dev: str, frame: Frame, skb: Skb) -> None:
    """A packet came up from interface ``dev`` (ip_rcv): check it, PREROUTING, then route it."""
    packet = skb.packet
    skb.iif, skb.frame = dev, frame
    interface = v.interface(dev)
    if frame.dst != interface.mac and not frame.is_multicast and interface.kind != "loopback" and not frame.bare:
        drop(e, v, skb, "OTHERHOST", f"the frame is for {frame.dst}, {dev} is {interface.mac}", dev)
        return
    if packet.version == 6 and not _ipv6_ok(e, v, skb):
        return
    if type(packet.payload) is Fragment and v.tracked.get(packet.version) and not defragment(e, v, skb):
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
        drop(e, v, skb, "IPV6DISABLED", "IPv6 is switched off here")
        return False
    if (is_loopback(packet.src) or is_loopback(packet.dst)) and skb.iif != "lo":
        drop(e, v, skb, "IP_INVALID_SOURCE", "a loopback address came in from outside")
        return False
    return True


def route_input(e: Engine, v: View, skb: Skb) -> None:
    """The routing decision for an arrived packet (ip_route_input_slow): for us, onward, or nowhere."""
    packet = skb.packet
    if is_multicast(packet.dst):
        if type(packet.payload) is Ndp and _joined(v, skb.iif, packet.dst):
            deliver(e, v, skb)
        else:
            drop(e, v, skb, "NOT_SPECIFIED", "nobody here has joined that multicast group")
        return
    everybody = packet.version == 4 and int(packet.dst) == EVERYBODY
    route, considered = (way_out.to_many(packet.dst, skb.iif), ()) if everybody else lookup(v.ns, packet.dst, packet.src, skb.iif, skb.mark)
    if packet.version == 4 and not source_ok(e, v, skb, route):
        return
    forwarding = v.ns.sysctl(FORWARDING[packet.version])
    if route is not None and route.type in HERE:
        e.emit(Routed(v.name, skb.journey, packet.dst, route, considered, "local"))
        deliver(e, v, skb)
    elif packet.version == 6 and (route is None or route.type != "unicast"):
        _unroutable(e, v, skb, route)  # whether it routes or not (ip6_pkt_discard)
    elif not forwarding:
        how = "IP forwarding is off (net.ipv4.ip_forward = 0)"
        if packet.version == 6:
            how = "forwarding is off (net.ipv6.conf.all.forwarding = 0)"
        drop(e, v, skb, "IP_INADDRERRORS", f"not for this host, and {how}")
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
        drop(e, v, skb, "IP_LOCALNET", "a 127.0.0.0/8 address came in from outside (route_localnet is 0)")
        return False
    if is_multicast(packet.src) or int(packet.src) == 0xFFFFFFFF:
        drop(e, v, skb, "IP_INVALID_SOURCE", f"{packet.src} cannot be a source")
        return False
    if route is None or route.type not in ("unicast", *HERE) or (route.type == "unicast" and not v.ns.sysctl(FORWARDING[4])):
        return True
    reason = reverse_path(v.ns, packet.src, packet.dst, skb.iif, skb.mark)
    if reason:
        words = {
            "IP_LOCAL_SOURCE": f"{packet.src} is this host's own address: a packet from it cannot come in from outside",
            "IP_RPFILTER": f"the way back to {packet.src} does not lead through {skb.iif} (rp_filter)",
        }
        drop(e, v, skb, reason, words.get(reason, f"{packet.src} is no valid source"))
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
    drop(e, v, skb, reason, f"no route to {skb.packet.dst}" if route is None else f"the route says so: {route}")


def deliver(e: Engine, v: View, skb: Skb) -> None:
    """For this host: INPUT, then the protocol. Pieces are put together before INPUT (ip_local_deliver), in IPv6 after it (ip6_input)."""
    if skb.packet.version == 4 and type(skb.packet.payload) is Fragment and not defragment(e, v, skb):
        return
    if not hooks.run_hook(e, v, "INPUT", skb):
        return
    if type(skb.packet.payload) is Fragment and not defragment(e, v, skb):
        return
    packet, payload = skb.packet, skb.packet.payload
    if type(payload) is Ndp:
        neighbor.discovery(e, v, skb)
    elif type(payload) is Redirect:
        redirects.receive(e, v, skb)
    elif type(payload) is Icmp:
        _icmp_receive(e, v, skb)
    elif type(payload) is Udp and _vxlan_port(v, payload.dport, packet.version):
        tunnels.vxlan_receive(e, v, skb)
    elif packet.proto == "ipip":
        tunnels.ipip_receive(e, v, skb)
    elif packet.proto == "tcp" and packet.version == 4 and address_type(v.ns, packet.dst) == "BROADCAST":
        drop(e, v, skb, "NOT_SPECIFIED", f"{packet.dst} is everybody: no end of a connection")  # tcp_v4_rcv, tcp_v4_send_reset
    elif packet.proto in ("tcp", "udp", "sctp"):
        socket = find_socket(v, packet.proto, packet.dst, payload.dport, (packet.src, payload.sport))
        if packet.proto == "tcp" and (socket is None or "S" in payload.flags) and is_anycast(v.ns, packet.dst, packet.src, skb.iif):
            # tcp_v6_conn_request, tcp_v6_send_reset
            drop(e, v, skb, "NOT_SPECIFIED" if socket else "NO_SOCKET", f"{packet.dst} is any router of the link: no end of a connection")
            return
        if socket is not None:
            e.emit(Delivered(v.name, skb.journey, packet, socket))
            return
        _no_socket(e, v, skb)
    else:
        _no_protocol(e, v, skb)


def _no_protocol(e: Engine, v: View, skb: Skb) -> None:
    """Nothing here takes the packet's protocol; in IPv6 the answer points at the header's field that names it (ip6_protocol_deliver_rcu)."""
    if skb.packet.version == 4:
        answers.icmp_error(e, v, skb, 3, 2)
    else:
        answers.icmp_error(e, v, skb, 4, 1, mtu=NEXT_HEADER)
    drop(e, v, skb, "IP_NOPROTO", f"nothing here takes protocol {skb.packet.proto}")


def defragment(e: Engine, v: View, skb: Skb) -> bool:
    """Keep a piece until the packet is whole; True once it is, and ``skb`` then carries it."""
    seen = e.fragments.setdefault((v.name, skb.packet.src, skb.packet.dst, skb.packet.id), [])
    parts = sorted((*seen, skb.packet), key=lambda piece: piece.payload.offset)
    whole = reassemble(seen, skb.packet)
    if whole is None:
        return False
    skb.packet, skb.frag_max, skb.pieces = whole, max(map(len, parts)), tuple(len(piece.payload.data) for piece in parts)
    e.emit(Reassembled(v.name, skb.journey, whole))
    return True


def _vxlan_port(v: View, port: int, version: int) -> bool:
    """Whether a VXLAN device has that UDP port: it opens one of the family of its local address."""
    devices = (i for i in v.ns.interfaces.values() if i.vxlan is not None and i.up)
    return any(i.vxlan.port == port and i.vxlan.local.version == version for i in devices)


def find_socket(v: View, proto: str, address, port: int, peer: tuple | None = None) -> Socket | None:
    """The socket for that address and port: one connected to ``peer`` (who sent the packet), one bound to the address, one bound to all."""
    best = None
    for socket in v.ns.sockets:
        if socket.proto == proto and socket.port == port and socket.peer in (None, peer):
            if socket.address == address:
                return socket
            if socket.address is None:
                best = socket
    return best


def _no_socket(e: Engine, v: View, skb: Skb) -> None:
    packet = skb.packet
    if packet.proto == "tcp":
        if "R" not in packet.payload.flags:
            answers.reset(e, v, skb)
    elif packet.proto == "udp":
        skb.ct, skb.ctstate = None, ""  # UDP has let go of the connection before it answers (nf_reset_ct in __udp4_lib_rcv)
        answers.icmp_error(e, v, skb, *((3, 3) if packet.version == 4 else (1, 4)))
    peers = [s.peer for s in v.ns.sockets if s.peer and (s.proto, s.port) == (packet.proto, packet.dport)]
    if peers:
        told = f"the connection of port {packet.dport} is to {peers[0][0]} port {peers[0][1]}, not to {packet.src} port {packet.sport}"
        drop(e, v, skb, "NO_SOCKET", told)
        return
    drop(e, v, skb, "NO_SOCKET", f"nothing listens on {packet.proto} port {packet.dport}")


def _icmp_receive(e: Engine, v: View, skb: Skb) -> None:
    """What the host makes of an ICMP message. Not modelled: that a socket heeds an IPv4 redirect about what it sent (net.ipv4.conf.*.accept_redirects,
    __ip_do_redirect), as IPv6's (redirects.receive)."""
    packet, message = skb.packet, skb.packet.payload
    if packet.version == 4 and message.type == 8 and address_type(v.ns, packet.dst) == "BROADCAST":
        drop(e, v, skb, "INVALID_PROTO", "a ping to everybody is not answered (net.ipv4.icmp_echo_ignore_broadcasts = 1)")
        return
    e.emit(Delivered(v.name, skb.journey, packet, None))
    if message.is_error:
        pmtu.learn(v, skb)
    if message.type != (8 if packet.version == 4 else 128):
        return
    journey = e.new_journey()
    e.emit(Answered(v.name, skb.journey, journey, "the kernel answers an echo request"))
    reply = replace(message, type=0 if packet.version == 4 else 129)
    src = source_for(v.ns, packet.src) if is_anycast(v.ns, packet.dst, packet.src, skb.iif) else packet.dst
    send(e, v, Packet(src, packet.src, reply, df=False, tos=packet.tos), journey, muted=True)


# Forwarding


def forward(e: Engine, v: View, skb: Skb, route: Route) -> None:
    """Onward to the next hop (ip_forward): TTL, MTU, FORWARD, then out."""
    packet = skb.packet
    if skb.frame is not None and skb.frame.is_multicast:
        drop(e, v, skb, "NOT_SPECIFIED", f"what came to many (a frame to {skb.frame.dst}) is not forwarded, whatever NAT has made of it")
        return
    if packet.ttl <= 1:
        answers.icmp_error(e, v, skb, *((11, 0) if packet.version == 4 else (3, 0)))
        drop(e, v, skb, "IP_INHDR", "TTL used up")
        return
    if packet.version == 6 and (route.dev == skb.iif or skb.routed):
        redirects.send(e, v, skb, route)
    mtu = v.interface(route.dev).mtu if packet.version == 6 else pmtu.mtu_of(v, route, route.dev, None)
    came_in_pieces = packet.version == 6 and bool(skb.pieces) and skb.frag_max <= mtu  # ip6_pkt_too_big
    if len(packet) > mtu and (packet.df or packet.version == 6) and not came_in_pieces:
        answers.icmp_error(e, v, skb, *((3, 4) if packet.version == 4 else (2, 0)), mtu=mtu)
        drop(e, v, skb, "PKT_TOO_BIG", f"{len(packet)} bytes do not fit through {route.dev} (MTU {mtu}), and it may not be fragmented")
        return
    new = replace(packet, ttl=packet.ttl - 1)
    e.emit(Rewritten(v.name, skb.journey, "TTL", packet, new))
    skb.packet, skb.oif, skb.nexthop = new, route.dev, route.via
    if route.dev == skb.iif and packet.version == 4 and answers.redirects(v, skb.iif, packet):
        answers.redirect(e, v, skb, route)
    if hooks.run_hook(e, v, "FORWARD", skb):
        output(e, v, skb, route)


# Sending


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
