"""What ``-m addrtype`` and ``fib daddr type`` say of IPv6 addresses, in the model and in the kernel, and what becomes of the packet."""

from __future__ import annotations

from collections import Counter

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Answered, Asked, Matched
from k8snetlib.linux.ops import LinkAdd, LinkSet, Listen, NetnsAdd, Op, RulesRestore, SysctlSet, address, build, route, stable_mac
from k8snetlib.linux.packet import ping, tcp, udp
from k8snetlib.linux.state import Socket, link_local
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import Side, counters, difference
from tests.unit.networks import routed6

TYPES = ("LOCAL", "UNICAST", "MULTICAST", "ANYCAST", "UNREACHABLE", "UNSPEC", "LOCAL,UNICAST", "LOCAL,ANYCAST", "UNREACHABLE,MULTICAST")
CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT")
TESTS = [f"{no}--{end}-type {kind}" for kind in TYPES for end in ("dst", "src") for no in ("", "! ")]
RULES = "\n".join(["*mangle", *(f"-A {chain} -m addrtype {test}" for chain in CHAINS for test in TESTS), "COMMIT\n"])
A = "fd00:1::2"
NEAR = str(link_local(stable_mac("r", "to-a")).ip)
WHERE = {
    "the router": "fd00:1::1", "its far side": "fd00:2::1", "its link-local address": NEAR,
    "another host": "fd00:2::2", "nobody": "fd00:2::9",
    "a network without a route": "2001:db8::1", "a blackhole": "2001:db8:1::1", "a prohibited network": "2001:db8:2::1",
    "any router of the link": "fd00:1::", "any router of another link": "fd00:2::",
}  # fmt: skip


def own(dev: str) -> list[Op]:
    """A third device of the router, with the address that means "any router" on another link, as Flannel's VXLAN devices have it."""
    ends = [NetnsAdd("c"), LinkAdd("c", "eth0", "veth", peer=("r", dev)), LinkSet("c", "eth0", up=True), LinkSet("r", dev, up=True)]
    return [*ends, address("r", dev, "fd00:2::/128"), address("r", dev, "fd00:1::/128")]


def network(forwarding: int, more: list[Op], first: list[Op]) -> list[Op]:
    ops = routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", forwarding), *first])
    ops += [*more, Listen("r", Socket("udp", 53)), Listen("r", Socket("tcp", 80))]
    for number, kind in enumerate(("blackhole", "prohibit"), 1):
        ops.append(route("r", f"2001:db8:{number}::/64", type=kind))
    return [*ops, RulesRestore("r", RULES, 6)]


@pytest.mark.needs("ip6tables")
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("forwarding", "more", "first"),
    [(1, [], []), (0, [], []), (1, own("late"), []), (1, [], own("early"))],
    ids=["a router", "a host", "its own address too, added last", "its own address too, added first"],
)
def test_which_types_an_address_has(where: str, forwarding: int, more: list[Op], first: list[Op]) -> None:
    ops, dst = network(forwarding, more, first), WHERE[where]
    packets = [udp(A, dst, 9, data=b"x"), ping(A, dst, id=7), udp(A, dst, 53, data=b"x"), tcp(A, dst, 9), tcp(A, dst, 80)]
    if dst == NEAR:
        packets = [udp(link_local(stable_mac("a", "eth0")).ip, dst, 53, data=b"x")]

    def compare(lab: Lab) -> None:
        before, hits, state = counters(lab.counters("r", 6), 6), Counter(), build(ops)
        model, kernel = Side(), Side()
        for packet in packets:
            told = trace(state, "a", packet)
            with lab.capture() as frames:
                lab.send("a", packet)
            said, seen = model.frames(captures(told)), kernel.frames(frames)
            assert said == seen, f"{packet}\n{difference(said, seen)}"
            in_vain = {e.question for e in told.all(Asked)} - {e.journey for e in told.all(Answered)}  # a kernel asks three times
            for e in told.all(Matched):
                if e.netns == "r" and e.rule is not None:
                    hits[e.table, e.chain, e.index] += 3 if e.journey in in_vain else 1
            state = after(state, told)
        found = counters(lab.counters("r", 6), 6) - before
        rules = {name: chain.rules for name, chain in state["r"].rulesets[6].tables["mangle"].chains.items()}
        wrong = [
            f"{chain} {rules[chain][index]}: model {hits[table, chain, index]}, kernel {found[table, chain, index]}"
            for table, chain, index in sorted(hits | found)
            if hits[table, chain, index] != found[table, chain, index]
        ]
        assert not wrong, "\n".join(wrong)

    unless_it_spoke(lambda: Lab(ops, answer=False), compare)
