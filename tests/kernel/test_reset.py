"""What becomes of a tracked connection that REJECT resets, in the model and in the kernel."""

from __future__ import annotations

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.ops import LinkAdd, LinkSet, NetnsAdd, Op, RulesRestore, SysctlSet, address, build, route
from k8snetlib.linux.packet import tcp
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import routed, routed6, switch

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


@pytest.mark.needs("iptables", "ip6tables", "br_netfilter")
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("way", ["back", "none", "translated", "for the node", "routed"])
def test_a_segment_from_a_bridge_port_is_reset_by_that_port(way: str, version: int) -> None:
    """Past every rule, in the name and with the MAC address of whoever was called; but only where a route leads back."""
    a, b, c, node = ((f"10.0.0.{n}" if version == 4 else f"fd00::{n}") for n in (1, 2, 3, 9))
    length, service, near, far = (
        ("24", "10.96.0.1", "10.0.9.1", "10.0.9.2") if version == 4 else ("64", "fd00:96::1", "fd00:9::1", "fd00:9::2")
    )
    ops = [*switch(), NetnsAdd("d"), LinkAdd("d", "eth0", "veth", peer=("node", "to-d")), LinkSet("d", "eth0", up=True)]
    ops += [LinkSet("node", "to-d", up=True), address("node", "to-d", f"{near}/{length}"), address("d", "eth0", f"{far}/{length}")]
    if version == 6:
        ops += [address(name, "eth0", f"{ip}/64") for name, ip in zip("abc", (a, b, c), strict=True)]
    if way != "none":
        ops += [address("node", "br0", f"{node}/{length}"), *(route(name, "default", via=node) for name in "abc")]
    ops.append(SysctlSet("node", "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1))
    rules = f"*filter\n-A {'INPUT' if way == 'for the node' else 'FORWARD'} {REJECT}\n-A OUTPUT -p tcp\nCOMMIT\n"
    nat = f"*nat\n-A PREROUTING -d {service} -p tcp -j DNAT --to-destination {c}\nCOMMIT\n"
    ops.append(RulesRestore("node", rules + (nat if way == "translated" else ""), version))
    dst = {"translated": service, "for the node": node, "routed": far}.get(way, b)
    same_frames(ops, [("a", tcp(a, dst, port, 700, flags)) for port in (8080, 9) for flags in ("S", "A")])
