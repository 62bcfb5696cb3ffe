"""Who has the next hop's MAC address: ARP for IPv4 (RFC 826, net/ipv4/arp.c), neighbour discovery for IPv6 (RFC 4861, net/ipv6/ndisc.c)."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from . import answers, hooks, link
from .events import Answered, Asked, Delivered, Dropped, Resolved
from .fib import address_on, anycasts, is_local, lookup, reverse_path
from .packet import BROADCAST, EVERYBODY, Arp, Frame, IPAddress, Ndp, Packet, Skb, is_loopback, is_multicast
from .state import ZERO_MAC, Interface, local_addresses

if TYPE_CHECKING:
    from .engine import Engine, View

SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))
HOP_LIMIT = 255  # RFC 4861 section 4.3: proves that the message has crossed no router


def multicast_mac(address: IPAddress) -> str:
    """The Ethernet address of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7)."""
    value = int(address)
    if address.version == 6:
        return "33:33:" + ":".join(f"{value >> shift & 0xFF:02x}" for shift in (24, 16, 8, 0))
    return "01:00:5e:" + ":".join(f"{part:02x}" for part in (value >> 16 & 0x7F, value >> 8 & 0xFF, value & 0xFF))


def resolve(e: Engine, v: View, skb: Skb) -> bool:
    """Send the packet to its next hop, as soon as the next hop's MAC address is known; False where the device has dropped it at once."""
    interface = v.interface(skb.oif)
    hop = skb.nexthop or skb.packet.dst
    if interface.kind == "loopback":
        return link.transmit(e, v, skb.oif, Frame(ZERO_MAC, ZERO_MAC, skb.packet), skb.journey, skb)
    if interface.kind == "ipip":  # no link layer, so no address to look for (IFF_NOARP)
        return link.transmit(e, v, skb.oif, Frame("", "", skb.packet), skb.journey, skb)
    if is_multicast(hop):
        return link.transmit(e, v, skb.oif, Frame(interface.mac, multicast_mac(hop), skb.packet), skb.journey, skb)
    if _is_broadcast(interface, hop):
        return link.transmit(e, v, skb.oif, Frame(interface.mac, BROADCAST, skb.packet), skb.journey, skb)
    entry = v.neighbor(skb.oif, hop)
    if entry is not None:
        e.emit(Resolved(v.name, skb.journey, entry))
        if skb.then is not None:
            skb.then(entry.mac)
            return True
        return link.transmit(e, v, skb.oif, Frame(interface.mac, entry.mac, skb.packet), skb.journey, skb)
    skb.muted = False  # what comes of it comes later
    key = (v.name, skb.oif, hop)
    if key in e.waiting:
        e.waiting[key].append(skb)
        return True
    e.waiting[key] = [skb]
    question = e.new_journey()
    e.emit(Asked(v.name, skb.journey, skb.oif, hop, question))
    _ask(e, v, skb, hop, question)
    return True


def _is_broadcast(interface: Interface, hop: IPAddress) -> bool:
    """Whether the address means all hosts of an IPv4 network of the device."""
    if hop.version == 6 or int(hop) & 3 != 3:  # networks of one or two addresses have none (RFC 3021)
        return False
    if int(hop) == EVERYBODY:
        return True
    return any(hop == a.network.broadcast_address and a.network.prefixlen < 31 for a in interface.addresses if a.version == 4)


def _ask(e: Engine, v: View, skb: Skb, hop: IPAddress, journey: int) -> None:
    interface = v.interface(skb.oif)
    src = skb.packet.src
    if hop.version == 4:
        # arp_solicit: the packet's own source if it is ours and arp_announce allows it, else an address of the device
        sender = src if _may_announce(v, skb.oif, src, hop) else address_on(v.ns, skb.oif, hop) or _any_address(v)
        if sender is None:
            return
        link.transmit(e, v, skb.oif, Frame(interface.mac, BROADCAST, Arp(1, interface.mac, sender, ZERO_MAC, hop)), journey)
        return
    own = {a.ip for a in interface.addresses}
    sender = src if src in own else address_on(v.ns, skb.oif, hop, link_local_first=True)
    if sender is None:
        return
    group = IPv6Address(SOLICITED_NODE | int(hop) & 0xFFFFFF)
    _send_discovery(e, v, skb.oif, Packet(sender, group, Ndp(135, hop, interface.mac), HOP_LIMIT), multicast_mac(group), journey)


def _may_announce(v: View, dev: str, src: IPAddress, target: IPAddress) -> bool:
    """Whether a question may name the packet's source as its sender: 0 if it is ours, 1 if it is of the target's subnet, 2 never."""
    level = _of_both(v, dev, "arp_announce")
    if level == 1:
        return src in local_addresses(v.ns, 4) and any(src in a.network and target in a.network for a in v.interface(dev).addresses)
    return level == 0 and src in local_addresses(v.ns, 4)


def _ignores(v: View, dev: str, arp: Arp) -> bool:
    """Whether a question about an address of ours stays unanswered (arp_ignore): 1, it is not the asked device's; 2, nor the asker of its
    subnet; 8, always."""
    level = _of_both(v, dev, "arp_ignore")
    if not level:
        return False
    if level == 3:
        raise UnsupportedError(f"{v.name}: arp_ignore 3 is not modelled")
    own = [a for a in v.interface(dev).addresses if a.ip == arp.target_ip]
    return level == 8 or (level in (1, 2) and not any(level == 1 or arp.sender_ip in a.network for a in own))


def _of_both(v: View, dev: str, name: str) -> int:
    """A sysctl that counts for a device and for all, the larger one."""
    return max(v.ns.sysctl(f"net.ipv4.conf.all.{name}"), v.ns.sysctl(f"net.ipv4.conf.{dev}.{name}"))


def _any_address(v: View) -> IPAddress | None:
    return next((a.ip for dev, a in v.ns.addresses() if a.version == 4 and dev != "lo"), None)


def _send_discovery(e: Engine, v: View, dev: str, packet: Packet, mac: str, journey: int) -> None:
    """Neighbour discovery passes OUTPUT and POSTROUTING like any packet (ndisc_send_skb), unlike ARP."""
    skb = Skb(packet, oif=dev, journey=journey)
    if not hooks.run_hook(e, v, "OUTPUT", skb):
        return
    skb.iif = dev  # POSTROUTING takes for the input device what the packet was made for (ip6_output, ndisc_alloc_skb)
    if hooks.run_hook(e, v, "POSTROUTING", skb):
        link.transmit(e, v, dev, Frame(v.interface(dev).mac, mac, skb.packet), journey, skb)


def arp_receive(e: Engine, v: View, dev: str, frame: Frame, journey: int) -> None:
    """An ARP message came up (arp_process): answer a question about an address of ours, learn from an answer that is awaited."""
    arp: Arp = frame.payload
    interface = v.interface(dev)
    if arp.op == 1:
        ours = is_local(v.ns, arp.target_ip) and not is_loopback(arp.target_ip)
        if ours and _ignores(v, dev, arp):
            e.emit(Dropped(v.name, journey, "NOT_SPECIFIED", f"arp_ignore: {arp.target_ip} is not asked for on {dev}", arp, dev))
            return
        if ours and not reverse_path(v.ns, arp.sender_ip, arp.target_ip, dev, 0):
            _arp_answer(e, v, dev, arp, journey, f"ARP: {arp.target_ip} is {interface.mac}")
            return
        if not ours and _answers_for_others(v, dev, arp):
            _arp_answer(e, v, dev, arp, journey, f"proxy ARP on {dev}: send packets for {arp.target_ip} to me, {interface.mac}")
            return
        if v.neighbor(dev, arp.sender_ip) is not None:
            v.learn_neighbor(journey, dev, arp.sender_ip, arp.sender_mac, "STALE")
        e.emit(Dropped(v.name, journey, "NOT_SPECIFIED", f"not asked: {arp.target_ip} is nobody here", arp, dev))
        return
    if (v.name, dev, arp.sender_ip) in e.waiting or v.neighbor(dev, arp.sender_ip) is not None:
        e.emit(Delivered(v.name, journey, arp, None))
        v.learn_neighbor(journey, dev, arp.sender_ip, arp.sender_mac)
        _wake(e, v, dev, arp.sender_ip)


def _arp_answer(e: Engine, v: View, dev: str, arp: Arp, journey: int, why: str) -> None:
    mac = v.interface(dev).mac
    v.learn_neighbor(journey, dev, arp.sender_ip, arp.sender_mac, "STALE")
    answer = e.new_journey()
    e.emit(Answered(v.name, journey, answer, why))
    link.transmit(e, v, dev, Frame(mac, arp.sender_mac, Arp(2, mac, arp.target_ip, arp.sender_mac, arp.sender_ip)), answer)


def _answers_for_others(v: View, dev: str, arp: Arp) -> bool:
    """Proxy ARP (arp_process, arp_fwd_proxy): a router says "give it to me" for an address to which it has a way through another device,
    for every address on a device with the sysctl, or for one by its proxy entry."""
    sysctl = v.ns.sysctl
    asked = sysctl("net.ipv4.conf.all.proxy_arp") or sysctl(f"net.ipv4.conf.{dev}.proxy_arp") or (dev, arp.target_ip) in v.ns.proxied
    if not (asked and sysctl("net.ipv4.ip_forward")):
        return False
    route, _ = lookup(v.ns, arp.target_ip, arp.sender_ip, dev)
    if route is None or route.type != "unicast" or route.dev == dev:
        return False
    return not reverse_path(v.ns, arp.sender_ip, arp.target_ip, dev, 0)


def discovery(e: Engine, v: View, skb: Skb) -> None:
    """A neighbour solicitation or advertisement came up."""
    packet, message, dev = skb.packet, skb.packet.payload, skb.iif
    interface = v.interface(dev)
    if message.type == 135:
        own = message.target in {a.ip for a in interface.addresses}
        shared = not own and message.target in anycasts(v.ns, dev)
        if not own and not shared and not _answers_for(v, dev, message.target):
            e.emit(Dropped(v.name, skb.journey, "NOT_SPECIFIED", f"not asked: {message.target} is not on {dev}", packet, dev))
            return
        if message.lladdr:
            v.learn_neighbor(skb.journey, dev, packet.src, message.lladdr, "STALE")
        answer = e.new_journey()
        e.emit(Answered(v.name, skb.journey, answer, f"neighbour discovery: {message.target} is {interface.mac}"))
        flags = "RSO" if v.ns.sysctl("net.ipv6.conf.all.forwarding") else "SO"
        if not own:  # it does not override what others say, nor is it said by the one who was asked for (ndisc_recv_ns, ndisc_send_na)
            flags = "RS" if shared else "S"
        sender = message.target if own else address_on(v.ns, dev, packet.src)
        reply = Packet(sender, packet.src, Ndp(136, message.target, interface.mac, flags), HOP_LIMIT)
        _send_discovery(e, v, dev, reply, message.lladdr or skb.frame.src, answer)
        return
    e.emit(Delivered(v.name, skb.journey, packet, None))
    if (v.name, dev, message.target) in e.waiting or v.neighbor(dev, message.target) is not None:
        v.learn_neighbor(skb.journey, dev, message.target, message.lladdr or skb.frame.src)
        _wake(e, v, dev, message.target)


def _answers_for(v: View, dev: str, target: IPAddress) -> bool:
    """Whether a router answers a solicitation for somebody else (pndisc_is_router); after a moment, which the lab takes away."""
    asked = v.ns.sysctl("net.ipv6.conf.all.proxy_ndp") or v.ns.sysctl(f"net.ipv6.conf.{dev}.proxy_ndp")
    return bool(v.ns.sysctl("net.ipv6.conf.all.forwarding") and asked and (dev, target) in v.ns.proxied)


def _wake(e: Engine, v: View, dev: str, ip: IPAddress) -> None:
    for skb in e.waiting.pop((v.name, dev, ip), ()):
        resolve(e, v, skb)


def give_up(e: Engine) -> None:
    """Nobody answered: the packets that waited longest for one next hop are dropped, their senders told (arp_error_report, ndisc_error_report)."""
    key = next(iter(e.waiting))
    name, dev, ip = key
    v = e.view(name)
    for skb in e.waiting.pop(key):
        how = "ARP" if ip.version == 4 else "neighbour discovery"
        reason = "NEIGH_FAILED" if ip.version == 4 else "NOT_SPECIFIED"  # arp_error_report says why, ndisc_error_report does not
        e.emit(Dropped(name, skb.journey, reason, f"nobody on {dev} answers {how} for {ip}", skb.packet, dev))
        answers.icmp_error(e, v, skb, *((3, 1) if ip.version == 4 else (1, 3)))
