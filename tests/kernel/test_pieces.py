"""Rules that meet the pieces of a packet, where nothing needs it whole: in IPv6 a host puts it together after INPUT, in IPv4 before."""

from __future__ import annotations

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Matched
from k8snetlib.linux.ops import LinkSet, RulesRestore, SysctlSet, address, build, route
from k8snetlib.linux.packet import ping, udp
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.side_by_side import same_frames
from tests.kernel.test_model_and_kernel import counters
from tests.unit.networks import narrow_pod, routed, routed6

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


@pytest.mark.parametrize("size", [1300, 1400, 1450])
def test_a_route_that_takes_less_than_its_device(size: int) -> None:
    """A router finds out when it sends the packet on, with the hop limit that it has then."""
    ops = [*routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)]), route("r", "fd00:2::2/128", "to-b", mtu=1380)]
    ends, data = ENDS[6], b"x" * (size - 48)
    same_frames(ops, [("a", udp(*ends, 53, data=data)), ("a", udp(*ends, 53, data=data * 3, df=False))])


@pytest.mark.needs("iptables", "ip6tables")
@pytest.mark.parametrize("chain", ["OUTPUT", "INPUT"])
@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_that_is_refused(version: int, chain: str) -> None:
    """A kernel says nothing of the echo reply that it is just sending, but of a request that is refused."""
    number, word = (0, "icmp-port-unreachable") if version == 4 else (129, "icmp6-port-unreachable")
    number = number if chain == "OUTPUT" else 8 if version == 4 else 128
    match = f"-p icmp -m icmp --icmp-type {number}" if version == 4 else f"-p ipv6-icmp -m icmp6 --icmpv6-type {number}"
    rules = f"*filter\n-A {chain} {match} -j REJECT --reject-with {word}\nCOMMIT\n"
    ops = routed() if version == 4 else routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)])
    same_frames([*ops, RulesRestore("b", rules, version)], [("a", ping(*ENDS[version], id=7)), ("a", udp(*ENDS[version], 9))])


@pytest.mark.needs("iptables", "ip6tables")
@pytest.mark.parametrize("tracked", [False, True], ids=["in pieces", "put together for connection tracking"])
@pytest.mark.parametrize(("netns", "chain"), [("b", "INPUT"), ("r", "FORWARD")])
@pytest.mark.parametrize("version", [4, 6])
def test_a_refusal_of_pieces(version: int, netns: str, chain: str, tracked: bool) -> None:
    """REJECT looks at the checksum, and that of a piece is wrong: it drops it silently."""
    lines = [f"-A {chain} -p udp -m udp --dport 53 -j REJECT", *(["-A INPUT -m conntrack --ctstate INVALID -j DROP"] * tracked)]
    rules = RulesRestore(netns, "\n".join(["*filter", *lines, "COMMIT\n"]), version)
    ops = routed() if version == 4 else routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)])
    same_frames([*ops, rules], [("a", udp(*ENDS[version], 53, data=b"x" * size, df=False)) for size in (10, 4000)])


@pytest.mark.needs("ip6tables")
def test_a_way_that_translation_makes_narrower() -> None:
    """A datagram to its own host, where everything fits, becomes one to another: it is cut, as its sender allows that."""
    rules = RulesRestore("a", f"*nat\n-A OUTPUT -p udp -j DNAT --to-destination {ENDS[6][1]}\nCOMMIT\n", 6)
    ops = [*routed6([SysctlSet("r", "net.ipv6.conf.all.forwarding", 1)]), rules]
    same_frames(ops, [("a", udp(ENDS[6][0], ENDS[6][0], 53, data=b"x" * 4000, df=False))])


@pytest.mark.parametrize("size", [1473, 2000, 2961, 4000])
@pytest.mark.parametrize("mtu", [1400, 576])
def test_a_piece_that_is_cut_again(mtu: int, size: int) -> None:
    """By a router whose way on is narrower than the way there."""
    ops = [*routed(), LinkSet("r", "to-b", mtu=mtu), LinkSet("b", "eth0", mtu=mtu)]
    same_frames(ops, [("a", ping(*ENDS[4], id=7, data=b"x" * size, df=False)), ("a", udp(*ENDS[4], 9, data=b"x" * size, df=False))])


def test_after_a_piece_that_the_device_drops_none_is_sent() -> None:
    """The far end of the cable takes less. The first time all pieces wait for the next hop, and each is sent by itself."""
    same_frames([*routed(), LinkSet("r", "to-a", mtu=1400)], [("a", udp(*ENDS[4], 9, data=b"x" * 2000, df=False))] * 2)


@pytest.mark.parametrize("mtu", [468, 575, 577])
def test_how_much_an_error_quotes(mtu: int) -> None:
    """No more than fits on its way, so that it need not be cut; in IPv4 never more than 576 bytes in all."""
    ops = [*routed(), LinkSet("r", "to-a", mtu=mtu), LinkSet("a", "eth0", mtu=mtu)]
    to_itself = ("a", udp(ENDS[4][0], ENDS[4][0], 9, data=b"x" * 1200))
    same_frames(
        ops, [("a", ping(*ENDS[4], id=7, data=b"x" * 400, ttl=1)), ("a", udp(*ENDS[4], 9, data=b"x" * 1200, ttl=1, df=False)), to_itself]
    )


@pytest.mark.needs("vxlan", "iptables", "ip6tables", "br_netfilter")
@pytest.mark.parametrize("tunnel", [False, True])
@pytest.mark.parametrize(("version", "mtu"), [(4, 576), (4, 1000), (6, 1280), (6, 1400)])
def test_pieces_that_a_bridge_put_together(version: int, mtu: int, tunnel: bool) -> None:
    """They are routed on as they came, but through a tunnel they are cut anew, as long as it takes."""
    same_frames(
        narrow_pod(version, mtu, tunnel), [("a", udp(*ENDS[version], 9, data=b"x" * size, df=False)) for size in (mtu, 1400, 2800, 3000)]
    )


@pytest.mark.needs("vxlan", "iptables")
def test_pieces_in_a_tunnel_that_are_cut_again() -> None:
    """Each of the tunnel's packets has an identification of its own."""
    ops = [*narrow_pod(4, 1400, True), LinkSet("n", "eth0", mtu=1000), LinkSet("r", "eth0", mtu=1000)]
    same_frames(ops, [("a", udp(*ENDS[4], 9, data=b"x" * 2800, df=False))])
