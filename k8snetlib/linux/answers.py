"""What the kernel says by itself: ICMP errors, TCP resets, redirects (net/ipv4/icmp.c, net/ipv6/icmp.c, nf_reject_ipv4.c, route.c).

Not modelled, as there is no clock: how often. A kernel sends one sender an error of a kind once a second (net.ipv4.icmp_ratelimit,
net.ipv6.icmp.ratelimit), all senders a thousand a second (icmp_global_allow), "network unreachable" five times and then once a second,
not at all for a while after a redirect (ip_error), and redirects ever more slowly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import link, output, pmtu, wire
from .events import Answered
from .fib import address_on, address_type, lookup, source_for
from .packet import ERROR_ROOM, PROTO_NUMBERS, Fragment, Frame, Icmp, Packet, Raw, Skb, Tcp, icmp_name, is_multicast
from .state import Route

if TYPE_CHECKING:
    from .engine import Engine, View

ICMP_TOS = 0xC0  # errors carry the precedence "internetwork control" (net/ipv4/icmp.c)


def icmp_error(e: Engine, v: View, skb: Skb, kind: int, code: int, mtu: int = 0) -> None:
    """Tell the packet's sender of a problem (icmp_send, icmp6_send): never about an error or a multicast, in IPv4 not about a later
    fragment either, in IPv6 not to an address that is any router's (icmpv6_route_lookup). A processor says one thing at a time: nothing
    about what it is just saying itself (icmp_xmit_lock)."""
    packet, payload = skb.packet, skb.packet.payload
    if skb.muted:
        return
    later = type(payload) is Fragment and payload.offset > 0 and packet.version == 4
    if (type(payload) is Icmp and payload.is_error) or later or is_multicast(packet.dst):
        return
    if is_multicast(packet.src) or packet.src.is_unspecified or (skb.frame is not None and skb.frame.is_multicast):
        return
    back, _ = lookup(v.ns, packet.src, mark=0)
    local, _ = lookup(v.ns, packet.dst)
    if back is None or (packet.version == 6 and address_type(v.ns, packet.src) == "ANYCAST"):
        return
    for_us = local is not None and local.type in ("local", "anycast")
    src = packet.dst if for_us else source_for(v.ns, packet.src, back)
    if kind == 5 and packet.version == 4:
        src = address_on(v.ns, skb.iif, packet.src) or src
    if src is None:
        return
    journey = e.new_journey()
    room = pmtu.mtu_of(v, back, "lo" if back.type == "local" else back.dev, packet.src)
    message = Icmp(kind, code, mtu >> 16, mtu & 0xFFFF, packet, packet.version, min(room, ERROR_ROOM))
    error = Packet(src, packet.src, message, df=False, tos=ICMP_TOS if packet.version == 4 else 0)
    e.emit(Answered(v.name, skb.journey, journey, f"{'ICMP' if packet.version == 4 else 'ICMPv6'} {icmp_name(message)}"))
    output.send(e, v, error, journey, about=skb, muted=True)


_REJECTS = {
    "icmp-port-unreachable": (3, 3), "icmp-host-unreachable": (3, 1), "icmp-net-unreachable": (3, 0), "icmp-proto-unreachable": (3, 2),
    "icmp-net-prohibited": (3, 9), "icmp-host-prohibited": (3, 10), "icmp-admin-prohibited": (3, 13),
    "icmp6-port-unreachable": (1, 4), "icmp6-addr-unreachable": (1, 3), "icmp6-no-route": (1, 0), "icmp6-adm-prohibited": (1, 1),
}  # fmt: skip


RESET = "REJECT answers with a TCP reset"
UNSUMMED = (33, 50, 51, 132, 136)  # DCCP, ESP, AH, SCTP, UDP-Lite: no Internet checksum of all their data
GRE, GRE_SUM = 47, 0x80


def _sum_fits(packet: Packet) -> bool:
    """Whether the checksum over the packet's data is right, as REJECT asks first (nf_reject_verify_csum): where a protocol's has none there, or
    only a piece is at hand, it is not."""
    payload = packet.payload
    number = payload.number if type(payload) in (Fragment, Raw) else PROTO_NUMBERS[packet.proto]
    if number in UNSUMMED:
        return packet.version == 4 or type(payload) is not Fragment or not payload.offset
    if type(payload) is Fragment:
        return False
    if type(payload) not in (Raw, Packet) or (number == GRE and type(payload) is Raw and not payload.data[0] & GRE_SUM):
        return True
    return wire.fits(packet)


def reject(e: Engine, v: View, skb: Skb, how: str, hook: str) -> None:
    """The answer of the REJECT target (nf_reject_ipv4.c): an ICMP error, or a reset."""
    if how == "tcp-reset":
        if type(skb.packet.payload) is Tcp and "R" not in skb.packet.payload.flags:
            _close(v, skb)
            if skb.physin:
                _reset_by_port(e, v, skb, RESET)
            else:
                reset(e, v, skb, RESET, about=skb)
        return
    if not _sum_fits(skb.packet):
        return
    icmp_error(e, v, skb, *_REJECTS[how])


def _close(v: View, skb: Skb) -> None:
    """A connection that REJECT resets is over, though its tracking sees no such segment (nf_conntrack_tcp_set_closing)."""
    if skb.ct is not None and skb.ct.confirmed and skb.ct.state != "CLOSE":
        skb.ct.state = "CLOSE"
        v.learn_connection(skb.journey, skb.ct)


def reset(e: Engine, v: View, skb: Skb, why: str = "no socket: the kernel refuses with a TCP reset", about: Skb | None = None) -> None:
    """Answer a segment with RST (RFC 9293 section 3.10.7.1)."""
    journey, answer = _answer(e, v, skb, why)
    output.send(e, v, answer, journey, about=about)


def _reset_by_port(e: Engine, v: View, skb: Skb, why: str) -> None:
    """The reset of a segment that br_netfilter has had, be it bridged, routed or for this host: out of the port that it came in by, its
    MAC addresses exchanged, past all rules; nothing where no route leads back (nf_send_reset, nf_send_reset6; of what goes up from a
    bridge, ip_sabotage_in leaves the port known)."""
    back, _ = lookup(v.ns, skb.packet.src)
    if back is not None and back.type in ("unicast", "local"):
        journey, answer = _answer(e, v, skb, why)
        link.transmit(e, v, skb.physin, Frame(skb.frame.dst, skb.frame.src, answer), journey)


def _answer(e: Engine, v: View, skb: Skb, why: str) -> tuple[int, Packet]:
    """The journey of a reset, and the reset."""
    packet, segment = skb.packet, skb.packet.payload
    if "A" in segment.flags:
        rst = Tcp(segment.dport, segment.sport, "R", segment.ack, 0, window=0)
    else:
        length = len(segment.data) + ("S" in segment.flags) + ("F" in segment.flags)
        rst = Tcp(segment.dport, segment.sport, "RA", 0, segment.seq + length & 0xFFFFFFFF, window=0)
    journey = e.new_journey()
    e.emit(Answered(v.name, skb.journey, journey, why))
    return journey, Packet(packet.dst, packet.src, rst)


def redirects(v: View, dev: str, packet: Packet) -> bool:
    """Whether the host sends redirects from that device (net.ipv4.conf.*.send_redirects), and the sender is on its link and so can do
    something about it (__mkroute_input)."""
    sysctls = v.ns.sysctls
    if not (sysctls.get("net.ipv4.conf.all.send_redirects", 1) or sysctls.get(f"net.ipv4.conf.{dev}.send_redirects", 1)):
        return False
    back, _ = lookup(v.ns, packet.src, packet.dst, dev)
    return back is not None and back.dev == dev and back.via is None


def redirect(e: Engine, v: View, skb: Skb, route: Route) -> None:
    """In and out by the same interface: tell the sender of the shorter way (ip_rt_send_redirect)."""
    gateway = route.via or skb.packet.dst
    icmp_error(e, v, skb, 5, 1, mtu=int(gateway))


def translates(v: View) -> bool:
    """Whether the namespace has hooks of NAT for IPv4: those of a nat table, or of a chain of that type."""
    rules, nft = v.ns.rulesets.get(4), v.ns.nftables
    if rules is not None and "nat" in rules.tables:
        return True
    return nft is not None and any(chain.hook.type == "nat" and table.family in ("ip", "inet") for table, chain in nft.base_chains())
