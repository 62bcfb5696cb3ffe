"""The port flag proxy_arp: a bridge that answers ARP out of what it was told, and floods nothing. tests/kernel/test_proxy_arp.py compares."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.linux.engine import captures, trace
from k8snetlib.linux.events import Answered, Bridged
from k8snetlib.linux.ops import FdbAdd, LinkSet, NeighAdd, Op, build, stable_mac
from k8snetlib.linux.packet import Arp, tcp
from k8snetlib.linux.state import FdbEntry, Neighbor
from tests.unit.networks import switch

A, B = "10.0.0.1", "10.0.0.2"
MAC = stable_mac("b", "eth0")


def told(*more: Op):
    ports = [LinkSet("node", f"port-{name}", proxy_arp=True, learning=False) for name in "abc"]
    return trace(build([*switch(), *ports, *more]), "a", tcp(A, B, 80))


def test_the_bridge_answers_what_it_knows() -> None:
    found = told(
        NeighAdd("node", Neighbor("br0", ip_address(B), MAC)),
        FdbAdd("node", FdbEntry("port-a", stable_mac("a", "eth0"), master="br0")),
        FdbAdd("node", FdbEntry("port-b", MAC, master="br0")),
    )
    assert found.delivered
    assert [e.why for e in found.all(Answered)] == [f"proxy ARP on port-a: {B} is {MAC}"]
    assert next(e for e in found.all(Bridged) if e.frame.is_multicast).ports == ()
    heard = {c.netns for c in captures(found) if c.direction == "in" and isinstance(c.frame.payload, Arp)}
    assert heard == {"a", "node"}, "nobody else hears the question"


@pytest.mark.parametrize(
    "known", [NeighAdd("node", Neighbor("br0", ip_address(B), MAC)), FdbAdd("node", FdbEntry("port-b", MAC, master="br0"))]
)
def test_it_has_to_know_both_the_address_and_where_it_is(known: Op) -> None:
    assert told(known).end.reason == "NEIGH_FAILED"


def test_the_flag_belongs_to_a_port() -> None:
    with pytest.raises(ModelError, match="no bridge port"):
        build([*switch(), LinkSet("a", "eth0", proxy_arp=True)])
    left = build([*switch(), LinkSet("node", "port-a", proxy_arp=True), LinkSet("node", "port-a", master="")])
    assert not left["node"].interfaces["port-a"].proxy_arp
    assert LinkSet("node", "port-a", proxy_arp=True).command() == "ip -n node link set dev port-a type bridge_slave proxy_arp on"
