"""What a reader calls the places of a walk: interfaces by their names, and the router below the nodes by what it does for this packet."""

from __future__ import annotations

from collections.abc import Sequence

from ..kube.cni.sandbox import UNDERLAY
from ..kube.outside import BALANCERS, INTERNET
from ..linux.events import Delivered, Rewritten, Sent
from ..linux.packet import IPAddress
from .topology import Place
from .walk import ROUTING, Step

TEXT = {"place": "{part} of {netns}", "router": "router", "balancer": "load balancer", "underlay": "underlay", "internet": "the Internet"}


def place_name(place: Place, *, balanced: bool = False) -> str:
    """What a reader calls the place: ``eth0 of web``; the underlay's router is the load balancer where it acts as one (``balanced``)."""
    if place.netns != UNDERLAY:
        return TEXT["place"].format(part=place.part, netns=place.netns)
    if place.part == ROUTING:
        return TEXT["balancer" if balanced else "router"]
    return TEXT["internet" if place.part == INTERNET else "underlay"]


def is_balanced(walk: Sequence[Step]) -> bool:
    """Whether the router of this walk is its load balancer: the packet is sent to a balancer's address, or the router replaces addresses,
    or a process there sends or receives."""
    if any(type(event) is Sent and of_balancer(event.packet.dst) for step in walk[:1] for event in step.events):
        return True
    acts = (event for step in walk if step.place == Place(UNDERLAY, ROUTING) for event in step.events)
    return any(type(e) in (Sent, Delivered) or (type(e) is Rewritten and e.what != "TTL") for e in acts)


def of_balancer(address: IPAddress) -> bool:
    """Whether the address is one that the course's load balancer hands out."""
    return any(address.version == version and address in network for version, network in BALANCERS.items())


def svg_id(place: Place) -> str:
    """The id of the place's box in the SVG; the packet's line to the n-th place after the first has the id ``hop-n``."""
    return "place-" + "".join(c if c.isalnum() else "-" for c in place.id)
