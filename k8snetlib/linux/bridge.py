"""The bridge: learning, forwarding by MAC address, flooding, and what br_netfilter does to bridged packets.

Follows net/bridge (br_input.c, br_forward.c, br_fdb.c, br_arp_nd_proxy.c, br_netfilter_hooks.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import answers as answers_of
from . import forward, hooks, link, local, neighbor, output
from .events import Answered, Bridged, Dropped, Received, Routed, Transmitted
from .fib import HERE, lookup
from .packet import ETHERNET_HEADER, Arp, Fragment, Frame, Ndp, Packet, Skb, is_loopback, is_multicast
from .state import FdbEntry, Interface, Network

if TYPE_CHECKING:
    from .engine import Engine, View

NF_CALL = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}


def receive(e: Engine, v: View, port: Interface, frame: Frame, journey: int, mark: int = 0) -> None:
    """A frame came in on a bridge port (br_handle_frame): learn its source, then choose where it goes."""
    bridge = v.interface(port.master)
    if not bridge.up:
        e.emit(Dropped(v.name, journey, "DEV_READY", f"bridge {bridge.name} is down", frame.payload, port.name))
        return
    skb = None
    if type(frame.payload) is Packet:
        skb = Skb(frame.payload, bridge.name, mark=mark, journey=journey)
        if _filters(v, frame.payload):
            frame_or_none = _bridge_prerouting(e, v, bridge, port, frame, skb)
            if frame_or_none is None:
                return
            frame = frame_or_none
    _learn(v, bridge, port, frame, journey)
    if port.proxy_arp and type(frame.payload) is Arp and frame.payload.op == 1:
        _answer_for(e, v, bridge, port, frame, journey)
    switch(e, v, bridge, port, frame, journey, skb)


def _learn(v: View, bridge: Interface, port: Interface, frame: Frame, journey: int) -> None:
    """Note behind which port the frame's sender is (br_fdb_update)."""
    if port.learning and not _own(v, bridge.name, frame.src):
        v.learn_fdb(journey, FdbEntry(port.name, frame.src, master=bridge.name, state="dynamic"))


def _filters(v: View, packet: Packet) -> bool:
    """Whether br_netfilter hands bridged packets of this family to netfilter."""
    return v.ns.filters(packet.version) and bool(v.ns.sysctl(NF_CALL[packet.version]))


def _bridge_prerouting(e: Engine, v: View, bridge: Interface, port: Interface, frame: Frame, skb: Skb) -> Frame | None:
    """PREROUTING for a bridged packet (br_nf_pre_routing); a new destination address needs a new destination MAC."""
    skb.physin, skb.frame = port.name, frame
    if type(skb.packet.payload) is Fragment and v.tracked.get(skb.packet.version) and not local.defragment(e, v, skb):
        return None  # conntrack looks at whole packets: the pieces wait here for the last (nf_defrag_ipv4.c)
    v.bridged = True
    passed = hooks.run_hook(e, v, "PREROUTING", skb)
    v.bridged = False
    if not passed:
        return None
    skb.prerouted = True
    new = skb.packet
    if new.dst == frame.payload.dst:
        return Frame(frame.src, frame.dst, new) if new is not frame.payload else frame
    return _redirect_bridged(e, v, bridge, port, Frame(frame.src, frame.dst, new), skb)


def _redirect_bridged(e: Engine, v: View, bridge: Interface, port: Interface, frame: Frame, skb: Skb) -> Frame | None:
    """br_nf_pre_routing_finish after destination NAT: stay on the bridge if the new route leads there, else go up to be routed.

    The route is that of a packet which came in by the bridge. So IPv4 needs forwarding to be on, else the route is one to an error, and the
    packet goes up to meet it (the exception that the kernel once made here has been dead code since 251da4130115); a source that may not come
    in is dropped at once, and so is in IPv6 what no route leads to.

    On the bridge the frame keeps its source MAC address. If the new neighbour is not known for certain, the frame is handed to the
    neighbour table like any other packet, and taken back by the bridge on its way out (br_nf_dev_xmit): a capture on the bridge device sees it
    with the bridge's own source address, which the bridge then replaces by the old one.
    """
    version = skb.packet.version
    route, considered = lookup(v.ns, skb.packet.dst, skb.packet.src, bridge.name, skb.mark)
    if version == 4 and not forward.source_ok(e, v, skb, route):
        return None
    if version == 6 and (route is None or route.type not in ("unicast", *HERE)):
        e.emit(Dropped(v.name, skb.journey, "NOT_SPECIFIED", f"no route to {skb.packet.dst}, where NAT sends it", skb.packet, port.name))
        return None
    stays = route is not None and route.type == "unicast" and route.dev == bridge.name
    if not stays or (version == 4 and not v.ns.sysctl(forward.FORWARDING[4])):
        skb.routed = version == 6
        return Frame(frame.src, bridge.mac, skb.packet)
    e.emit(Routed(v.name, skb.journey, skb.packet.dst, route, considered, "bridge"))
    skb.oif, skb.nexthop = bridge.name, route.via
    entry = v.neighbor(bridge.name, route.via or skb.packet.dst)
    if entry is not None and entry.state != "STALE":
        return Frame(frame.src, entry.mac, skb.packet)

    def go_on(mac: str) -> None:
        e.emit(Transmitted(v.name, skb.journey, bridge.name, Frame(bridge.mac, mac, skb.packet)))
        _learn(v, bridge, port, frame, skb.journey)
        switch(e, v, bridge, port, Frame(frame.src, mac, skb.packet), skb.journey, skb)

    skb.then = go_on
    neighbor.resolve(e, v, skb)
    return None


def _answer_for(e: Engine, v: View, bridge: Interface, port: Interface, frame: Frame, journey: int) -> None:
    """A question from a port with proxy ARP (br_do_proxy_suppress_arp): if the bridge's neighbour table has the answer, and the FDB knows
    that MAC address, it is given on the port at once, in the name of the one who was asked for. The question still goes where it would."""
    arp: Arp = frame.payload
    known = v.neighbor(bridge.name, arp.target_ip)
    if known is None or is_loopback(arp.target_ip) or is_multicast(arp.target_ip):
        return
    if v.fdb_entry(bridge.name, known.mac) is None and not _own(v, bridge.name, known.mac):
        return
    answer = e.new_journey()
    e.emit(Answered(v.name, journey, answer, f"proxy ARP on {port.name}: {arp.target_ip} is {known.mac}"))
    reply = Arp(2, known.mac, arp.target_ip, arp.sender_mac, arp.sender_ip)
    link.transmit(e, v, port.name, Frame(known.mac, arp.sender_mac, reply), answer)


def _own(v: View, bridge: str, mac: str) -> bool:
    """Whether the MAC is the bridge's or one of its ports': these are local FDB entries."""
    cache = v.ns.cache.get(("own", bridge))
    if cache is None:
        cache = frozenset(i.mac for i in v.ns.interfaces.values() if i.name == bridge or i.master == bridge)
        v.ns.cache["own", bridge] = cache
    return mac in cache


def _ports(v: View, bridge: str) -> tuple[Interface, ...]:
    found = v.ns.cache.get(("ports", bridge))
    if found is None:
        found = v.ns.cache["ports", bridge] = tuple(i for i in v.ns.interfaces.values() if i.master == bridge and i.up)
    return found


def _flooded(v: View, bridge: str) -> tuple[Interface, ...]:
    """The ports that a flood goes to."""
    found = v.ns.cache.get(("flooded", bridge))
    if found is None:
        found = v.ns.cache["flooded", bridge] = tuple(p for p in _ports(v, bridge) if not p.proxy_arp)
    return found


def _outs(v: View, bridge: str, port: Interface | None) -> tuple[tuple[Interface, ...], tuple[str, ...]]:
    """The ports that a flood from ``port`` goes to, and their names; remembered, as a switch may have a thousand."""
    key = ("outs", bridge, port.name if port else "")
    found = v.ns.cache.get(key)
    if found is None:
        outs = tuple(
            p for p in _flooded(v, bridge) if port is None or ((p.name != port.name or p.hairpin) and not (p.isolated and port.isolated))
        )
        found = v.ns.cache[key] = outs, tuple(p.name for p in outs)
    return found


def switch(e: Engine, v: View, bridge: Interface, port: Interface | None, frame: Frame, journey: int, skb: Skb | None) -> None:
    """Choose by destination MAC: up to the bridge device, out of one port, or out of all (br_handle_frame_finish, br_dev_xmit)."""
    in_port = port.name if port else ""
    if frame.is_multicast:
        _flood(e, v, bridge, port, frame, journey, skb, local=port is not None)
        return
    if port is not None and _own(v, bridge.name, frame.dst):
        e.emit(Bridged(v.name, journey, bridge.name, frame, in_port, (), True))
        _pass_up(e, v, bridge, frame, journey, skb)
        return
    entry = v.fdb_entry(bridge.name, frame.dst)
    out = v.ns.interfaces.get(entry.dev) if entry is not None else None
    if out is None or out.master != bridge.name:
        _flood(e, v, bridge, port, frame, journey, skb, local=False)
    elif not out.up:
        e.emit(Dropped(v.name, journey, "DEV_READY", f"port {out.name} is down", frame.payload, out.name))
    elif port is not None and out.name == port.name and not port.hairpin:
        words = f"{frame.dst} is behind {port.name}, where the frame came from, and the port's hairpin mode is off"
        e.emit(Dropped(v.name, journey, "NOT_SPECIFIED", words, frame.payload, port.name))
    elif port is not None and port.isolated and out.isolated:
        e.emit(
            Dropped(v.name, journey, "NOT_SPECIFIED", f"{port.name} and {out.name} are isolated from each other", frame.payload, out.name)
        )
    else:
        e.emit(Bridged(v.name, journey, bridge.name, frame, in_port, (out.name,), False, entry))
        _out_of_port(e, v, bridge, out, frame, journey, skb, port is not None)


def _pass_up(e: Engine, v: View, bridge: Interface, frame: Frame, journey: int, skb: Skb | None) -> None:
    e.emit(Received(v.name, journey, bridge.name, frame))
    link.up(e, v, bridge.name, frame, skb, journey)


def _out_of_port(
    e: Engine, v: View, bridge: Interface, port: Interface, frame: Frame, journey: int, skb: Skb | None, forwarded: bool
) -> None:
    """One port: FORWARD and POSTROUTING for a bridged packet if br_netfilter is on, then out (br_forward)."""
    if skb is not None and forwarded and skb.physin and _filters(v, frame.payload):
        skb.oif, skb.physout, skb.frame, v.bridged = bridge.name, port.name, frame, True
        passed = hooks.run_hook(e, v, "FORWARD", skb) and hooks.run_hook(e, v, "POSTROUTING", skb)
        v.bridged = False
        if not passed:
            return
        frame = Frame(frame.src, frame.dst, skb.packet)
    if skb is not None and forwarded and len(frame.payload) > port.mtu and v.ns.sysctl(NF_CALL[frame.payload.version]):
        _cut(e, v, bridge, port, frame, skb)
        return
    if len(frame) > port.mtu + ETHERNET_HEADER + link.VLAN_ROOM:
        words = f"{len(frame.payload)} bytes are more than port {port.name} takes (MTU {port.mtu}); a bridge drops them silently"
        e.emit(Dropped(v.name, journey, "PKT_TOO_BIG", words, frame.payload, port.name))
        return
    link.transmit(e, v, port.name, frame, journey, skb)


def _cut(e: Engine, v: View, bridge: Interface, port: Interface, frame: Frame, skb: Skb) -> None:
    """A bridged packet longer than its port takes, where br_netfilter is on: cut as a router would (br_nf_dev_queue_xmit), be there rules or not.

    In pieces if it came so, or if it may be; else IPv6's sender is told (ip6_fragment), and IPv4's is not (br_nf_ip_fragment).
    """
    packet = skb.packet
    if (packet.df and not skb.pieces) or skb.frag_max > bridge.mtu:
        if packet.version == 6:
            answers_of.icmp_error(e, v, skb, 2, 0, mtu=bridge.mtu)
        words = f"{len(packet)} bytes are more than port {port.name} takes (MTU {port.mtu}), and may not be cut"
        e.emit(Dropped(v.name, skb.journey, "NOT_SPECIFIED", words, packet, port.name))
        return
    for piece in output.pieces(e, v, skb, bridge.mtu):
        link.transmit(e, v, port.name, Frame(frame.src, frame.dst, piece), skb.journey, skb)


def _flood(e: Engine, v: View, bridge: Interface, port: Interface | None, frame: Frame, journey: int, skb: Skb | None, local: bool) -> None:
    """Out of every port but the one it came from (any port with hairpin mode included), and up if it is a multicast. A port with proxy
    ARP is flooded with nothing at all (br_flood)."""
    outs, names = _outs(v, bridge.name, port)
    target = _question(frame)
    if target is not None and not (port and port.isolated) and (skb is None or not _filters(v, frame.payload)):
        segment, answering, always = answers(e.network, v, bridge.name, target.version)
        awake = always.union(answering.get(target, ()))
        if port is not None and port.hairpin:
            awake = awake | {port.name}
        chosen = [p for p in outs if p.name in awake]
        e.emit(Bridged(v.name, journey, bridge.name, frame, port.name if port else "", names, local, None, segment, awake))
    else:
        chosen = outs
        e.emit(Bridged(v.name, journey, bridge.name, frame, port.name if port else "", names, local))
    for out in chosen:
        copy = _copy(skb)
        _out_of_port(e, v, bridge, out, frame, journey, copy, port is not None)
    if local:
        _pass_up(e, v, bridge, frame, journey, skb)


def _copy(skb: Skb | None) -> Skb | None:
    if skb is None:
        return None
    new = Skb(skb.packet, skb.iif, skb.oif, skb.mark, skb.journey)
    new.physin, new.ct, new.ctstate, new.ctdir, new.frame = skb.physin, skb.ct, skb.ctstate, skb.ctdir, skb.frame
    new.frag_max, new.pieces = skb.frag_max, skb.pieces
    return new


def _question(frame: Frame):
    """The address that an ARP request or a neighbour solicitation asks for; None for any other frame."""
    payload = frame.payload
    if type(payload) is Arp:
        return payload.target_ip if payload.op == 1 else None
    return payload.payload.target if type(payload.payload) is Ndp and payload.payload.type == 135 else None


def answers(network: Network, v: View, bridge: str, version: int) -> tuple[tuple[tuple[str, str, str], ...], dict, frozenset[str]]:
    """Of a bridge: what is at the far end of each port, and which ports must really see a question about an address of that family.

    A host that is asked for an address that is not its own does nothing, so a flood need not visit it: what it would
    do is known. The third answer are the ports behind which that is not so: another bridge, say, or a host whose
    rules count every neighbour solicitation.
    """
    found = network.cache.get((v.name, bridge, version))
    if found is not None:
        return found
    segment, answering, always = [], {}, set()
    for port in _flooded(v, bridge):
        addresses = network.plain_addresses(*port.peer, version) if port.peer is not None and port.peer[0] in network else None
        if addresses is None:
            always.add(port.name)
            continue
        segment.append((port.name, *port.peer))
        if version == 6 and network.has_rules(port.peer[0], 6):
            always.add(port.name)
        for address in addresses:
            answering.setdefault(address, set()).add(port.name)
    found = network.cache[v.name, bridge, version] = (tuple(segment), answering, frozenset(always))
    return found
