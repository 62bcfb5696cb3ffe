"""What becomes of a tracked connection that REJECT resets, in the model and in the kernel."""

from __future__ import annotations

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.ops import Op, RulesRestore, SysctlSet, build
from k8snetlib.linux.packet import tcp
from tests.kernel.chatter import unless_it_spoke
from tests.unit.networks import routed, routed6

ENDS = {4: ("10.0.1.2", "10.0.2.2"), 6: ("fd00:1::2", "fd00:2::2")}
TRACKED = "-A OUTPUT -m conntrack --ctstate INVALID -j DROP"
REJECT = "-p tcp -m tcp --dport 8080 -j REJECT --reject-with tcp-reset"
# Where, its rules, and whom it sends to: a connection that is in the table already ends, one that is not yet never gets there.
CASES = {
    "to itself, at INPUT": ("a", f"-A INPUT {REJECT}", 0, ["S"], ["CLOSE"]),
    "to itself, with an answer before": (
        "a",
        f"-A INPUT -p tcp -m tcp --tcp-flags ACK ACK --dport 8080 {REJECT[7:]}",
        0,
        ["S", "A"],
        ["CLOSE"],
    ),
    "from outside, at INPUT": ("b", f"-A INPUT {REJECT}", 1, ["S"], []),
    "from outside, the second segment": ("b", f"-A INPUT -m conntrack --ctstate ESTABLISHED {REJECT}", 1, ["S", "A"], []),
}


def network(case: str, version: int) -> list[Op]:
    netns, rule, *_ = CASES[case]
    ops = routed() if version == 4 else routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)])
    return [*ops, RulesRestore(netns, f"*filter\n{TRACKED}\n{rule}\nCOMMIT\n", version)]


@pytest.mark.needs("iptables", "ip6tables")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("case", CASES)
def test_the_connection_is_closed(case: str, version: int) -> None:
    netns, _, target, segments, states = CASES[case]
    ops, (src, *_), dst = network(case, version), ENDS[version], ENDS[version][target]

    def compare(lab: Lab) -> None:
        state = build(ops)
        for flags in segments:
            packet = tcp(src, dst, 8080, 700, flags)
            state = after(state, trace(state, "a", packet))
            with lab.capture():
                lab.send("a", packet)
        said, seen = ([(c.original, c.state, c.seen_reply) for c in entries] for entries in (state[netns].conntrack, lab.conntrack(netns)))
        assert said == seen
        assert [each[1] for each in said] == states

    unless_it_spoke(lambda: Lab(ops, answer=False), compare)
