"""A router that answers ARP for others, by the sysctl or by an entry for one address, in the model and in the kernel."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.linux import ops as o
from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Answered
from k8snetlib.linux.ops import Op, ProxyNeighAdd, SysctlSet, build
from k8snetlib.linux.packet import ping
from tests.kernel.side_by_side import same_frames
from tests.unit.test_ipip import lone

GATEWAY = "169.254.1.1"
OFF = SysctlSet("node", "net.ipv4.conf.cali.proxy_arp", 0)
ENTRY = ProxyNeighAdd("node", "cali", ip_address(GATEWAY))
CASES: dict[str, tuple[list[Op], bool]] = {
    "the sysctl": ([], True),
    "an entry": ([OFF, ENTRY], True),
    "neither": ([OFF], False),
    "another address's entry": ([OFF, ProxyNeighAdd("node", "cali", ip_address("169.254.1.2"))], False),
    "another device's entry": ([OFF, ProxyNeighAdd("node", "eth0", ip_address(GATEWAY))], False),
    "no router": ([ENTRY, SysctlSet("node", "net.ipv4.ip_forward", 0)], False),
    "no way onward": ([ENTRY, o.RouteDel("node", o.route("node", "default", "eth0", "192.0.2.2").route)], False),
    "the way leads back": ([ENTRY, o.route("node", "169.254.1.0/24", "cali")], False),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_frames(case: str) -> None:
    more, answers = CASES[case]
    ops = [*lone(), *more]
    told = trace(build(ops), "pod", ping("10.0.0.1", "192.0.2.2", id=7))
    assert any("proxy ARP" in event.why for event in told.all(Answered)) is answers
    same_frames(ops, (("pod", ping("10.0.0.1", "192.0.2.2", id=7)), ("net", ping("192.0.2.2", "10.0.0.1", id=7))))
