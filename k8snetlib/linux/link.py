"""Devices: what comes of a frame that one receives or is handed; bridges and tunnel ends are in modules of their own.

Follows net/core/dev.c and drivers/net/veth.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import bridge, forward, neighbor, tunnels
from .events import Delivered, Dropped, Received, Transmitted
from .packet import ETHERNET_HEADER, Frame, Packet, Skb
from .state import Interface

if TYPE_CHECKING:
    from .engine import Engine, View

VLAN_ROOM = 4  # is_skb_forwardable leaves room for a VLAN tag above MTU and Ethernet header


def receive(e: Engine, v: View, dev: str, frame: Frame, journey: int, mark: int = 0) -> None:
    """A frame arrives at an interface (__netif_receive_skb): a bridge port hands it to its bridge, any other to the stack."""
    e.emit(Received(v.name, journey, dev, frame))
    interface = v.interface(dev)
    if interface.master:
        bridge.receive(e, v, interface, frame, journey, mark)
    else:
        up(e, v, dev, frame, Skb(frame.payload, dev, mark=mark, journey=journey) if type(frame.payload) is Packet else None, journey)


def up(e: Engine, v: View, dev: str, frame: Frame, skb: Skb | None, journey: int) -> None:
    """A frame goes up from a device to the host's own stack."""
    if skb is not None:
        forward.ip_receive(e, v, dev, frame, skb)
    elif frame.dst == v.interface(dev).mac or frame.is_multicast:
        neighbor.arp_receive(e, v, dev, frame, journey)
    else:
        e.emit(Dropped(v.name, journey, "OTHERHOST", f"the frame is for {frame.dst}", frame.payload, dev))


def transmit(e: Engine, v: View, dev: str, frame: Frame, journey: int, skb: Skb | None = None) -> bool:
    """Hand a frame to a device (dev_queue_xmit); False where the device says that it has dropped it."""
    interface = v.interface(dev)
    if not interface.up:
        e.emit(Dropped(v.name, journey, "DEV_READY", f"{dev} is down", frame.payload, dev))
        return False
    e.emit(Transmitted(v.name, journey, dev, frame))
    kind = interface.kind
    if kind == "veth":
        return _veth(e, v, interface, frame, journey)
    if kind == "bridge":
        bridge.switch(e, v, interface, None, frame, journey, skb)
    elif kind == "vxlan":
        tunnels.vxlan_transmit(e, v, interface, frame, journey, skb)
    elif kind == "ipip":
        tunnels.ipip_transmit(e, v, interface, frame, journey, skb)
    elif kind == "loopback":
        e.emit(Received(v.name, journey, dev, frame))
        again = Skb(skb.packet, "lo", mark=skb.mark, journey=journey)
        again.ct, again.ctstate, again.ctdir = skb.ct, skb.ctstate, skb.ctdir
        forward.ip_receive(e, v, dev, frame, again)
    else:
        e.emit(
            Delivered(v.name, journey, frame.payload, None)
            if kind == "dummy"
            else Dropped(v.name, journey, "NOT_SPECIFIED", kind, frame.payload, dev)
        )
    return True


def _veth(e: Engine, v: View, interface: Interface, frame: Frame, journey: int) -> bool:
    far_name, far_dev = interface.peer
    far_view = e.view(far_name)
    far = far_view.ns.interfaces.get(far_dev)
    if far is None or not far.up:
        e.emit(
            Dropped(
                v.name,
                journey,
                "DEV_READY",
                f"the other end of {interface.name} ({far_dev} in {far_name}) is down",
                frame.payload,
                interface.name,
            )
        )
    elif len(frame) > far.mtu + ETHERNET_HEADER + VLAN_ROOM:
        words = f"{len(frame.payload)} bytes are more than {far_dev} in {far_name} takes (MTU {far.mtu}); a veth drops them silently"
        e.emit(Dropped(v.name, journey, "PKT_TOO_BIG", words, frame.payload, interface.name))
    else:
        e.queue.append((far_name, far_dev, frame, journey, 0))  # the mark does not cross namespaces (skb_scrub_packet)
        return True
    return False
