"""A router that answers neighbour discovery for somebody else (proxy_ndp), in the model and in the kernel: the same frames everywhere."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Answered
from k8snetlib.linux.ops import Op, ProxyNeighAdd, SysctlSet, build
from k8snetlib.linux.packet import ping, tcp
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import behind_a_router

A, B = "fd00::2", "fd00::b"
ENTRY = ProxyNeighAdd("r", "to-a", ip_address(B))
ON = SysctlSet("r", "net.ipv6.conf.to-a.proxy_ndp", 1)
CASES: dict[str, tuple[list[Op], bool]] = {
    "on": ([ON, ENTRY], True),
    "on everywhere": ([SysctlSet("r", "net.ipv6.conf.all.proxy_ndp", 1), ENTRY], True),
    "the sysctl alone": ([ON], False),
    "the entry alone": ([ENTRY], False),
    "no router": ([ON, ENTRY, SysctlSet("r", "net.ipv6.conf.all.forwarding", 0)], False),
    "another device's entry": ([ON, ProxyNeighAdd("r", "to-b", ip_address(B))], False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_frames(case: str) -> None:
    more, answers = CASES[case]
    ops = [*behind_a_router(), *more]
    told = trace(build(ops), "a", tcp(A, B, 80))
    assert any(f"{B} is" in event.why for event in told.all(Answered) if event.netns == "r") is answers
    same_frames(ops, (("a", tcp(A, B, 80)), ("a", ping(A, B, id=7)), ("b", ping(B, A, id=7))))
