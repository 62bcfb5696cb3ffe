"""A bridged packet whose destination is translated (br_nf_pre_routing_finish): it is routed as if it had come in by the bridge itself."""

from __future__ import annotations

import pytest

from k8snetlib.linux.packet import udp
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import AIM, translated_on_a_bridge

pytestmark = pytest.mark.needs("iptables", "ip6tables", "br_netfilter")


@pytest.mark.parametrize("to", ["neighbour", "nowhere"])
@pytest.mark.parametrize("forwarding", [0, 1])
@pytest.mark.parametrize("version", [4, 6])
def test_whether_the_host_forwards(version: int, forwarding: int, to: str) -> None:
    """IPv4 needs it even from port to port, and a packet that goes nowhere goes up; of IPv6 nobody asks, and what has no route is gone."""
    ops = translated_on_a_bridge(version, forwarding, to)
    same_frames(ops, [("a", udp(*AIM[version], 53, 40000 + number)) for number in range(2)])


def test_an_address_of_the_host_itself_is_no_sender() -> None:
    """It is dropped before the bridge device sees it."""
    ops = translated_on_a_bridge(4, 1, "neighbour", twin=True)
    same_frames(ops, [("a", udp("10.0.0.254", AIM[4][1], 53))])
