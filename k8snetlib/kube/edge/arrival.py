"""How a request comes to whoever reads it: straight, or by way of a load balancer that ends connections and opens its own.

In a packet's trace such a balancer is rules of the router, which change both addresses (:mod:`..balancers`). A journey has it as what it is:
a process that listens at the balancer's address, and calls a node port or a Pod from the router's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ...errors import ModelError
from ...linux.draft import build
from ...linux.engine import Chance, after
from ...linux.engine import trace as trace_packet
from ...linux.engine import traces as trace_all
from ...linux.events import Trace
from ...linux.fib import source_for
from ...linux.ops import AddrAdd
from ...linux.packet import IPAddress, Packet, tcp
from ...linux.state import Network
from ...value import value
from ..balancers import balanced, process_ops
from ..cni.sandbox import UNDERLAY
from ..objects import Service

if TYPE_CHECKING:
    from ..cluster import Cluster

BALANCER = "load balancer"
TEXT = {"no-way": "the load balancer knows no way to {address}"}


@value
class Arrival:
    """The first packets' ways from the client to whoever reads the request: one trace, or, behind a balancer that ends connections (``ended``),
    two, of which the second is missing where the first fails."""

    traces: tuple[Trace, ...]
    ended: bool = False

    @property
    def last(self) -> Trace:
        return self.traces[-1]


def arrival(cluster: Cluster, service: Service, source: str, target: str, network: Network, chance: Chance) -> Arrival:
    """The way from ``source`` to ``target``, the Service's address or a node's port; ``chance`` answers what is left to it."""
    at, packet, process = cluster.packet(source, target, "tcp")
    behind = _behind(cluster, service, packet)
    if not behind:
        return Arrival((trace_packet(network, at, packet, chance, process),))
    network = _listening(cluster, packet, network)
    first = trace_packet(network, at, packet, chance, process)
    if not first.delivered:
        return Arrival((first,), True)
    left = range(len(behind), 1, -1)  # the first is one of so many, each as likely: as rules would choose
    chosen = next((n for n, count in enumerate(left) if chance(behind[n], Fraction(1, count))), len(behind) - 1)
    network = after(network, first)
    return Arrival((first, trace_packet(network, UNDERLAY, _own(network, behind[chosen]), chance, BALANCER)), True)


def arrivals(cluster: Cluster, service: Service, source: str, target: str) -> Iterator[tuple[Fraction, Arrival]]:
    """Every outcome of what is left to chance, with its exact share; the shares sum to 1."""
    at, packet, process = cluster.packet(source, target, "tcp")
    behind = _behind(cluster, service, packet)
    if not behind:
        for weight, there in trace_all(cluster.network, at, packet, process=process):
            yield weight, Arrival((there,))
        return
    network = _listening(cluster, packet, cluster.network)
    first = trace_packet(network, at, packet, process=process)
    if not first.delivered:
        yield Fraction(1), Arrival((first,), True)
        return
    network = after(network, first)
    for called in behind:
        for weight, second in trace_all(network, UNDERLAY, _own(network, called), process=BALANCER):
            yield weight / len(behind), Arrival((first, second), True)


def _behind(cluster: Cluster, service: Service, packet: Packet) -> tuple[tuple[IPAddress, int], ...]:
    """Whom the balancer that the packet is for calls in turn, if it ends connections; () where it does not, or where nobody is behind it.

    A balancer whose address is a node's own, as some in software report it, is no machine beside the nodes.
    """
    if not any(each.ip == packet.dst for each in service.load_balancer_ingress):
        return ()
    if any(packet.dst == own.ip for host in cluster.hosts for own in host.addresses):
        return ()
    running = cluster.proxy != "none"
    ways = balanced([service], cluster.control.slices, cluster.hosts, cluster.pools, running)
    doors = (door for way in ways if way.ip == packet.dst for door in way.doors)
    return next((behind for proto, port, behind in doors if (proto, port) == ("tcp", packet.dport)), ())


def _listening(cluster: Cluster, packet: Packet, network: Network) -> Network:
    """The network with a process at the balancer's address, in place of the rules that stand for it."""
    here = network.namespace(UNDERLAY)
    if any((each.address, each.port, each.process) == (packet.dst, packet.dport, BALANCER) for each in here.sockets):
        return network  # of an earlier journey
    had = any(each.ip == packet.dst for each in here.interfaces["lo"].addresses)
    ops = process_ops(packet.dst, packet.dport, BALANCER)
    return build((op for op in ops if not (had and isinstance(op, AddrAdd))), network)


def _own(network: Network, target: tuple[IPAddress, int]) -> Packet:
    """The first packet of the balancer's own connection."""
    address, port = target
    source = source_for(network.namespace(UNDERLAY), address)
    if source is None:
        raise ModelError(TEXT["no-way"].format(address=address))
    return tcp(source, address, port)
