"""Rules that meet the pieces of a packet, where nothing needs it whole: in IPv6 a host puts it together after INPUT, in IPv4 before."""

from __future__ import annotations

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Matched
from k8snetlib.linux.ops import RulesRestore, SysctlSet, address, build, route
from k8snetlib.linux.packet import udp
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import counters
from tests.unit.networks import routed

ENDS = {4: ("10.0.1.2", "10.0.2.2"), 6: ("fd00:1::2", "fd00:2::2")}
RULES = """*filter
-A {chain} -p udp -m udp --dport 53
-A {chain} -p udp -m multiport --dports 53,54
-A {chain} -p udp
COMMIT
"""


@pytest.mark.needs("iptables", "ip6tables")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("netns", "chain"), [("b", "INPUT"), ("r", "FORWARD"), ("a", "OUTPUT")])
def test_how_often_a_rule_matches(version: int, netns: str, chain: str) -> None:
    ops = [*routed(), SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)]
    for number, name in enumerate("ab", 1):
        ops += [address(name, "eth0", f"fd00:{number}::2/64"), address("r", f"to-{name}", f"fd00:{number}::1/64")]
        ops += [route(name, "default", via=f"fd00:{number}::1")]
    ops.append(RulesRestore(netns, RULES.format(chain=chain), version))
    packet = udp(*ENDS[version], 53, data=b"x" * 4000, df=False)
    told = trace(build(ops), "a", packet)
    matched = [e for e in told.all(Matched) if e.netns == netns and e.rule is not None]

    def compare(lab: Lab) -> None:
        before = counters(lab.counters(netns, version), version)
        with lab.capture():
            lab.send("a", packet)
        found = counters(lab.counters(netns, version), version) - before
        said = {index: sum(e.index == index for e in matched) for index in range(3)}
        assert said == {index: found["filter", chain, index] for index in range(3)}

    unless_it_spoke(lambda: Lab(ops, answer=False), compare)
