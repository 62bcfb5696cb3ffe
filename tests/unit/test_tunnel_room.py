"""A VXLAN whose outer packets do not fit the way between nodes: in IPv4 they are cut, in IPv6 dropped; in both the node learns."""

from __future__ import annotations

import pytest

from k8snetlib.kube.cluster import Cluster
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Answered, Dropped, Fragmented, Learned
from k8snetlib.linux.ops import PmtuAdd, build, route
from k8snetlib.linux.packet import ping, udp
from tests.unit.networks import routed6

PODS = "\n---\n".join(
    f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{node}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{node}}}\n"
    f"spec: {{nodeName: n{node}, containers: [{{name: c, image: x}}]}}"
    for node in (0, 1)
)
NARROW, BIG = 1430, 1400  # bytes: n0's route to the other node, and the inner packet


def narrowed(family: str):
    cluster = Cluster.loads(PODS, cni="vxlan", families=(family,))
    far = str(cluster.hosts[1].address(int(family[-1])))
    return build([route("n0", far, "eth0", mtu=NARROW)], cluster.network), {s.netns: s.addresses[0].ip for s in cluster.sandboxes.values()}


def learned(told) -> list[tuple[str, int]]:
    return [(e.netns, e.op.mtu) for e in told.all(Learned) if isinstance(e.op, PmtuAdd)]


def test_in_ipv4_the_outer_packet_is_cut() -> None:
    network, pods = narrowed("IPv4")
    told = trace(network, "p0", udp(pods["p0"], pods["p1"], 53, data=b"x" * (BIG - 28)))
    assert [e.netns for e in told.all(Fragmented)] == ["n0"]
    assert learned(told) == [("n0", NARROW - 50)]
    again = trace(after(network, told), "p0", udp(pods["p0"], pods["p1"], 53, data=b"x" * (BIG - 28)))
    assert [e.netns for e in again.all(Fragmented)] == ["n0"]  # a router of IPv4 does not go by what it learned


def test_in_ipv6_it_is_dropped_and_the_next_sender_is_told() -> None:
    network, pods = narrowed("IPv6")
    packet = udp(pods["p0"], pods["p1"], 53, data=b"x" * (BIG - 48))
    told = trace(network, "p0", packet)
    assert not told.all(Fragmented)
    assert [e.reason for e in told.all(Dropped) if e.netns == "n0"] == ["PKT_TOO_BIG"]
    assert [e.why for e in told.all(Answered) if "ICMPv6" in e.why] == ["ICMPv6 packet too big (MTU 1430)"]  # to the node itself
    assert learned(told) == [("n0", NARROW - 70)]
    again = trace(after(network, told), "p0", packet)
    assert [e.why for e in again.all(Answered) if "ICMPv6" in e.why] == ["ICMPv6 packet too big (MTU 1360)"]  # to the Pod


def test_an_answer_of_the_node_itself() -> None:
    """The kernel, in the midst of an ICMPv6 message, says nothing of its being too big; once the path is known it cuts the message."""
    network, pods = narrowed("IPv6")
    node = next(a.ip for dev, a in network["n0"].addresses() if dev == "cni0" and not a.ip.is_link_local)
    packet = ping(pods["p1"], node, id=7, data=b"x" * (BIG - 48))
    first = trace(network, "p1", packet)
    assert [e.reason for e in first.all(Dropped) if e.netns == "n0"] == ["PKT_TOO_BIG"]
    assert not [e for e in first.all(Answered) if "too big" in e.why]
    second = trace(after(network, first), "p1", packet)
    assert ("n0", "ipv6-icmp") in [(e.netns, e.packet.proto) for e in second.all(Fragmented)]


@pytest.mark.parametrize(("shared", "told"), [("fd00:1::2", 1), ("fd00:1::", 0)])
def test_no_error_goes_to_what_is_any_routers(shared: str, told: int) -> None:
    """A router that is spoken to from such an address does not answer there with an error."""
    network = build(routed6())
    answered = trace(network, "a", udp(shared, "fd00:1::1", 9)).all(Answered)
    assert len([e for e in answered if "port unreachable" in e.why]) == told
