"""Which of its IPv6 addresses a host speaks from, in the model and in the kernel: as a router that masquerades, and where it says an error."""

from __future__ import annotations

import pytest

from k8snetlib.linux.ops import LinkAdd, LinkSet, NetnsAdd, RulesRestore, SysctlSet, address, route
from k8snetlib.linux.packet import udp
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import routed6

A, B = "fd00:1::2", "fd00:2::2"
# Addresses of the router: of the devices to a and to b, of a third one, and of the loopback device
CASES = {
    "none on the way out": ({}, ["fd00:50::1/64"], []),
    "none on the way out, one more like the destination": ({}, ["fd00:50::1/64", "fd00:2::/128"], []),
    "as many bits alike, but a shorter prefix": ({}, ["fd00:50::1/64", "fd00:2::ff/16"], []),
    "several on the way out": ({"b": ["fd00:2::100/64", "fd00:2::3/64"]}, [], []),
    "several on the way out, one alone": ({"b": ["fd00:2::3/128", "fd00:2::100/64"]}, [], []),
    "several on the way back": ({"a": ["fd00:1::100/64", "fd00:1::3/64"]}, ["fd00:1::2:0/112"], []),
    "several elsewhere": ({}, ["fd00:50::1/64", "fd00:50::2/64"], []),
    "of the loopback device": ({}, ["fd00:50::1/64"], ["fd00:2::7/128"]),
}


@pytest.mark.needs("ip6tables")
@pytest.mark.parametrize("case", CASES)
def test_a_router_speaks_from_the_address_that_the_kernel_would_take(case: str) -> None:
    ways, elsewhere, loopback = CASES[case]
    third = [NetnsAdd("c"), LinkAdd("c", "eth0", "veth", peer=("r", "to-c")), LinkSet("c", "eth0", up=True), LinkSet("r", "to-c", up=True)]
    ops = routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1), *third])
    if not ways.get("b"):  # on the way out there is a link-local address alone
        ops = [op for op in ops if op != address("r", "to-b", "fd00:2::1/64")]
        ops += [route("r", "fd00:2::/64", "to-b"), route("b", f"{A[:-1]}/64", "eth0")]
        ops = [op for op in ops if op != route("b", "default", via="fd00:2::1")] + [route("b", "default", "eth0")]
    ops += [address("r", f"to-{name}", each) for name, some in ways.items() for each in some]
    ops += [address("r", "to-c", each) for each in elsewhere] + [address("r", "lo", each) for each in loopback]
    masquerade = RulesRestore("r", "*nat\n-A POSTROUTING -p udp -j MASQUERADE\nCOMMIT\n", 6)
    same_frames([*ops, masquerade], [("a", udp(A, B, 53, data=b"x")), ("a", udp(A, B, 54, data=b"x", ttl=1))])
