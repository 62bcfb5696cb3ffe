"""A router that answers neighbour discovery for others; tests/kernel/test_proxy_ndp.py compares the frames with the kernel's."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.linux.engine import captures, trace
from k8snetlib.linux.ops import LinkSet, ProxyNeighAdd, SysctlSet, build, stable_mac
from k8snetlib.linux.packet import Ndp, Packet, tcp
from tests.unit.networks import behind_a_router

A, B = "fd00::2", "fd00::b"
ENTRY = ProxyNeighAdd("r", "to-a", ip_address(B))
ON = SysctlSet("r", "net.ipv6.conf.to-a.proxy_ndp", 1)


def test_it_says_its_own_mac_address_and_overrides_nobody() -> None:
    told = trace(build([*behind_a_router(), ON, ENTRY]), "a", tcp(A, B, 80))
    assert told.end.netns == "b"
    seen = [c.frame.payload for c in captures(told) if (c.netns, c.direction) == ("a", "in") and isinstance(c.frame.payload, Packet)]
    answer = next(p for p in seen if isinstance(p.payload, Ndp))
    assert answer.payload == Ndp(136, ip_address(B), stable_mac("r", "to-a"), "S")
    assert str(answer.src) == "fd00::1"


@pytest.mark.parametrize("op", [ON, ENTRY])
def test_it_takes_both(op) -> None:
    assert "neighbour discovery" in trace(build([*behind_a_router(), op]), "a", tcp(A, B, 80)).end.detail


def test_the_entry_goes_with_its_device() -> None:
    assert build([*behind_a_router(), ENTRY])["r"].proxied == {("to-a", ip_address(B))}
    assert not build([*behind_a_router(), ENTRY, LinkSet("r", "to-a", up=False)])["r"].proxied
    assert ENTRY.command() == "ip -n r -6 neigh add proxy fd00::b dev to-a"
