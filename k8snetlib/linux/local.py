"""Local delivery in one namespace: INPUT, then the protocol and its socket, and the answers where there is neither.

Follows net/ipv4/ip_input.c (ip_local_deliver), icmp.c, udp.c, tcp_ipv4.c and their IPv6 twins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value import replace
from . import answers, hooks, neighbor, output, pmtu, redirects, tunnels
from .events import Answered, Delivered, Reassembled
from .fib import address_type, is_anycast, source_for
from .fragments import reassemble
from .packet import Fragment, Icmp, Ndp, Packet, Redirect, Skb, Udp
from .state import Socket

if TYPE_CHECKING:
    from .engine import Engine, View

NEXT_HEADER = 6  # where an IPv6 header names what follows it, in bytes


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
        output.drop(e, v, skb, "NOT_SPECIFIED", f"{packet.dst} is everybody: no end of a connection")  # tcp_v4_rcv, tcp_v4_send_reset
    elif packet.proto in ("tcp", "udp", "sctp"):
        socket = find_socket(v, packet.proto, packet.dst, payload.dport, (packet.src, payload.sport))
        if packet.proto == "tcp" and (socket is None or "S" in payload.flags) and is_anycast(v.ns, packet.dst, packet.src, skb.iif):
            # tcp_v6_conn_request, tcp_v6_send_reset
            output.drop(
                e, v, skb, "NOT_SPECIFIED" if socket else "NO_SOCKET", f"{packet.dst} is any router of the link: no end of a connection"
            )
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
    output.drop(e, v, skb, "IP_NOPROTO", f"nothing here takes protocol {skb.packet.proto}")


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
        output.drop(e, v, skb, "NO_SOCKET", told)
        return
    output.drop(e, v, skb, "NO_SOCKET", f"nothing listens on {packet.proto} port {packet.dport}")


def _icmp_receive(e: Engine, v: View, skb: Skb) -> None:
    """What the host makes of an ICMP message. Not modelled: that a socket heeds an IPv4 redirect about what it sent (net.ipv4.conf.*.accept_redirects,
    __ip_do_redirect), as IPv6's (redirects.receive)."""
    packet, message = skb.packet, skb.packet.payload
    if packet.version == 4 and message.type == 8 and address_type(v.ns, packet.dst) == "BROADCAST":
        output.drop(e, v, skb, "INVALID_PROTO", "a ping to everybody is not answered (net.ipv4.icmp_echo_ignore_broadcasts = 1)")
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
    output.send(e, v, Packet(src, packet.src, reply, df=False, tos=packet.tos), journey, muted=True)
