"""Tunnel ends: what a VXLAN and an IPIP device do with a frame.

Follows drivers/net/vxlan/vxlan_core.c, net/ipv4/ip_tunnel.c, ipip.c and tunnel4.c. Held against real kernels; IPIP, which many a
kernel lacks, against User-Mode Linux.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from . import answers, link, output, pmtu
from .events import Decapsulated, Dropped, Encapsulated
from .fib import lookup, source_for
from .packet import Frame, Icmp, IPAddress, Packet, Sctp, Skb, Tcp, Udp, Vxlan
from .state import FdbEntry, Interface

if TYPE_CHECKING:
    from .engine import Engine, View

FIRST_PORT, PORTS = 32768, 28232  # net.ipv4.ip_local_port_range: the tunnel's source port is a hash into it (udp_flow_src_port)
VXLAN_HEADERS = {4: 50, 6: 70}  # bytes: the outer IP header, UDP's 8, VXLAN's 8 and the inner Ethernet's 14 (vxlan_headroom)
IPIP_HEADER = 20  # bytes: the outer IPv4 header


def vxlan_transmit(e: Engine, v: View, interface: Interface, frame: Frame, journey: int, skb: Skb | None) -> None:
    """Encapsulate (vxlan_xmit): the FDB names the far end for the destination MAC, or the all-zero entry for any."""
    entry = v.fdb_entry(interface.name, frame.dst) or v.fdb_entry(interface.name, "00:00:00:00:00:00")
    if entry is None or entry.dst is None:
        words = f"{interface.name} has no FDB entry for {frame.dst}: it does not know behind which node that is"
        e.emit(Dropped(v.name, journey, "NO_TX_TARGET", words, frame.payload, interface.name))
        return
    config = interface.vxlan
    if skb is not None and skb.oif == interface.name and type(frame.payload) is Packet:
        _learn_room(e, v, frame.payload, entry.dst, journey)
    datagram = Udp(source_port(frame, journey > 0, e.made.get(journey)), config.port, Vxlan(config.vni, frame))
    outer = Packet(config.local, entry.dst, datagram, df=entry.dst.version == 6)  # which nobody cuts in IPv6, its sender neither
    e.emit(Encapsulated(v.name, journey, interface.name, frame, outer, entry))
    output.send(e, v, outer, journey, mark=skb.mark if skb else 0, tunnelled=True, muted=skb is not None and skb.muted)


def _learn_room(e: Engine, v: View, inner: Packet, far: IPAddress, journey: int) -> None:
    """A packet that was routed here and does not fit with the tunnel's headers: from now on the path to where it goes is known to be
    narrower (skb_tunnel_check_pmtu). It itself goes on."""
    route, _ = lookup(v.ns, far)
    if route is None or route.dev is None:
        return
    room = pmtu.mtu_of(v, route, route.dev, far) - VXLAN_HEADERS[far.version]
    if len(inner) > room:
        pmtu.narrow(v, inner, room, journey)


def source_port(frame: Frame, answer: bool = False, made: Packet | None = None) -> int:
    """The outer UDP source port: a hash of the inner flow, so that routers spread flows and keep one flow on one path.

    As the flow dissector sees it: addresses, protocol and ports, so that all ICMP between two hosts is one flow; in IPv6 also the flow
    label, and what a kernel answers of its own (``answer``: a reset, say) has another one than the sender's packets. What it says by ICMPv6
    keeps the hash that it was ``made`` with, whatever is translated later (ip6_make_flowlabel).
    """
    payload = frame.payload
    if type(payload) is not Packet:
        key = str(payload)
    elif type(payload.payload) in (Tcp, Udp, Sctp):
        key = f"{payload.flow}{' answered' if answer and payload.version == 6 else ''}"
    else:
        label = getattr(payload.payload, "type", "") if payload.version == 6 else ""
        first = made or payload
        if type(payload.payload) is Icmp and payload.payload.is_error and payload.version == 6:
            label = f"{label} {payload.payload.code}"
        key = f"{payload.proto} {first.src} {first.dst} {label}"
    return FIRST_PORT + zlib.crc32(key.encode()) % PORTS


def vxlan_receive(e: Engine, v: View, skb: Skb) -> None:
    """A datagram came in on a VXLAN port: the device with that VNI takes it apart (vxlan_rcv)."""
    udp = skb.packet.payload
    vni = udp.data.vni if type(udp.data) is Vxlan else None
    version = skb.packet.version
    device = next(
        (
            i
            for i in v.ns.interfaces.values()
            if i.vxlan and i.vxlan.local.version == version and i.vxlan.port == udp.dport and i.vxlan.vni == vni and i.up
        ),
        None,
    )
    if device is None:
        e.emit(Dropped(v.name, skb.journey, "VXLAN_VNI_NOT_FOUND", f"no VXLAN device here has VNI {vni}", skb.packet, skb.iif))
        return
    inner = udp.data.frame
    if inner.src == device.mac:
        e.emit(
            Dropped(v.name, skb.journey, "LOCAL_MAC", "the inner frame comes from this device's own address: a loop", skb.packet, skb.iif)
        )
        return
    known = v.fdb_entry(device.name, inner.src)
    if device.vxlan.learning and known is not None and known.state != "dynamic" and known.dst != skb.packet.src:
        words = f"{inner.src} is behind {known.dst} for good ({known.state}), and this comes from {skb.packet.src}"
        e.emit(Dropped(v.name, skb.journey, "VXLAN_ENTRY_EXISTS", words, skb.packet, skb.iif))
        return
    e.emit(Decapsulated(v.name, skb.journey, device.name, skb.packet, inner))
    if device.vxlan.learning:
        v.learn_fdb(skb.journey, FdbEntry(device.name, inner.src, dst=skb.packet.src, state="dynamic"))
    link.receive(e, v, device.name, inner, skb.journey, skb.mark)


def ipip_transmit(e: Engine, v: View, interface: Interface, frame: Frame, journey: int, skb: Skb) -> None:
    """Put an IPv4 packet into another (ip_tunnel_xmit).

    The far end is the device's ``remote``; one without (Calico's tunl0) takes the next hop of the inner packet's route for it. The outer
    packet has the inner one's TTL and "don't fragment", and, where the device has no ``local``, the source that routing gives it. What a
    device with a ``remote`` remembers of errors that came back (IPTUNNEL_ERR_TIMEO) is not modelled.
    """
    packet, config = frame.payload, interface.ipip
    far = config.remote or skb.nexthop or packet.dst
    route, _ = lookup(v.ns, far, config.local)
    if route is None or route.type not in ("unicast", "local"):
        e.emit(Dropped(v.name, journey, "NOT_SPECIFIED", f"no route to the tunnel's far end {far}", packet, interface.name))
        return
    if route.dev == interface.name:
        e.emit(
            Dropped(
                v.name, journey, "NOT_SPECIFIED", f"the way to {far} leads through {interface.name} itself: a loop", packet, interface.name
            )
        )
        return
    room = pmtu.mtu_of(v, route, route.dev, far) - IPIP_HEADER
    if packet.df:
        pmtu.narrow(v, packet, room, journey)  # whether it fits or not: the sender's next one is measured by it (tnl_update_pmtu)
    if packet.df and len(packet) > room:
        answers.icmp_error(e, v, skb, 3, 4, mtu=room)
        words = f"{len(packet)} bytes and {IPIP_HEADER} of header do not fit through {route.dev} (MTU {room + IPIP_HEADER})"
        e.emit(Dropped(v.name, journey, "NOT_SPECIFIED", words, packet, interface.name))
        return
    src = config.local or source_for(v.ns, far, route)
    outer = Packet(src, far, packet, ttl=packet.ttl, df=packet.df, tos=packet.tos & 3)  # no more of TOS than ECN (ip_tunnel_ecn_encap)
    e.emit(Encapsulated(v.name, journey, interface.name, frame, outer, None))
    output.send(e, v, outer, journey, mark=skb.mark)


def ipip_receive(e: Engine, v: View, skb: Skb) -> None:
    """A packet of protocol 4 came in (tunnel4_rcv): the device whose ends match takes it apart, one that names no ends last."""
    outer = skb.packet
    devices = [i for i in v.ns.interfaces.values() if i.ipip is not None]
    fitting = [i for i in devices if i.up and i.ipip.remote in (None, outer.src) and i.ipip.local in (None, outer.dst)]
    if not fitting:
        answers.icmp_error(e, v, skb, 3, 3 if devices else 2)  # tunnel4_rcv; without the module nobody takes protocol 4
        reason = "NOT_SPECIFIED" if devices else "IP_NOPROTO"
        output.drop(e, v, skb, reason, f"no IPIP device here is up for a tunnel from {outer.src} to {outer.dst}")
        return
    device = max(fitting, key=lambda i: (i.ipip.remote is not None) + (i.ipip.local is not None))
    inner = Frame("", "", outer.payload)
    e.emit(Decapsulated(v.name, skb.journey, device.name, outer, inner))
    link.receive(e, v, device.name, inner, skb.journey, skb.mark)
