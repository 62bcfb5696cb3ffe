"""Sources that source NAT gives, where the wish is taken or the sender has been translated before (get_unique_tuple), frame by frame."""

from __future__ import annotations

import pytest

from k8snetlib.linux.ops import RulesRestore, SysctlSet, address
from k8snetlib.linux.packet import ping, tcp, udp
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import routed, routed6

pytestmark = pytest.mark.needs("iptables", "ip6tables")
NETS = {4: "10.0.{}.{}", 6: "fd00:{}::{}"}


@pytest.mark.parametrize(
    "rule", ["-o to-b -j MASQUERADE", "-s {a} -j MASQUERADE", "-o to-b -j MASQUERADE --random-fully", "-s {a} -j SNAT --to-source {r}"]
)
@pytest.mark.parametrize("version", [4, 6])
def test_a_number_that_is_taken(version: int, rule: str) -> None:
    """The router's own packet has it; what a sends gets another, and keeps that to a second destination and to a second port."""
    net = NETS[version]
    a, r, b, b2 = net.format(1, 2), net.format(2, 1), net.format(2, 2), net.format(2, 3)
    ops = routed() if version == 4 else routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)])
    ops += [address("b", "eth0", f"{b2}/{24 if version == 4 else 64}")]
    ops += [RulesRestore("r", f"*nat\n-A POSTROUTING {rule.format(a=a, r=r)}\nCOMMIT\n", version)]
    ways = [("r", r, b), ("a", a, b), ("a", a, b2), ("r", r, b2)]
    sends = [(at, ping(src, dst, id=7)) for at, src, dst in ways]
    sends += [(at, make(src, dst, 80, 40000)) for make in (udp, tcp) for at, src, dst in ways]
    same_frames(
        ops, [*sends, ("a", udp(a, b, 81, 40000)), ("a", udp(a, b, 81, 40001)), ("a", udp(a, b, 82, 700)), ("r", udp(r, b, 82, 700))]
    )
