"""What makes a network plug-in: how it connects one node's Pods, who gives them addresses, and what it has done below the nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...linux.ops import Op
from ...linux.packet import IPAddress
from ...value import value
from ..objects import Node, Pod
from .addressing import Allocate, host_local
from .sandbox import Host, Sandbox

Plan = Callable[[Host, Sequence[Host], Sequence[Sandbox]], Iterable[Op]]


def no_addresses(host: Host) -> frozenset[IPAddress]:
    return frozenset()


def no_fabric(hosts: Sequence[Host]) -> Iterable[Op]:
    return ()


def no_uplinks(host: Host, segment: str) -> Iterable[Op]:
    return ()


def as_it_is(node: Node) -> Node:
    return node


@value
class Plugin:
    """A network plug-in in one of its settings.

    ``plan(host, hosts, sandboxes)`` yields the ops of one node. ``lone``: a Pod's address is alone on its link (/32, /128). ``veth`` names
    the host's end of a Pod's cable. ``answers(host)`` are IPv4 addresses that the node has beside its own, and so answers for on its uplink.
    ``fabric(hosts)`` is what routers and switches below the nodes have been told; it may name the nodes' ports. ``uplinks(host, segment)``
    makes and plugs in a node's further interfaces, beside eth0. ``register(node)`` is the Node object as the node's kubelet then writes it.
    ``ipv6``: whether Pods can have IPv6 addresses.
    """

    title: str
    plan: Plan
    allocate: Allocate = host_local
    lone: bool = False
    veth: Callable[[Pod], str] | None = None
    answers: Callable[[Host], frozenset[IPAddress]] = no_addresses
    fabric: Callable[[Sequence[Host]], Iterable[Op]] = no_fabric
    uplinks: Callable[[Host, str], Iterable[Op]] = no_uplinks
    register: Callable[[Node], Node] = as_it_is
    ipv6: bool = True
