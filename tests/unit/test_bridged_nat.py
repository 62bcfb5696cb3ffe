"""A bridged packet whose destination is translated: tests/kernel holds the same cases against a kernel, frame by frame."""

from __future__ import annotations

import pytest

from k8snetlib.linux.engine import captures, trace
from k8snetlib.linux.ops import build
from k8snetlib.linux.packet import Packet, udp
from tests.unit.networks import AIM, translated_on_a_bridge


@pytest.mark.parametrize(("version", "forwarding", "to", "end", "up"), [
    (4, 1, "neighbour", "NO_SOCKET", False), (4, 0, "neighbour", "IP_INADDRERRORS", True),
    (6, 1, "neighbour", "NO_SOCKET", False), (6, 0, "neighbour", "NO_SOCKET", False),
    (4, 1, "nowhere", "IP_INNOROUTES", True), (4, 0, "nowhere", "IP_INADDRERRORS", True),
    (6, 1, "nowhere", "NOT_SPECIFIED", False), (6, 0, "nowhere", "NOT_SPECIFIED", False),
])  # fmt: skip
def test_where_it_ends_and_whether_the_bridge_device_sees_it(version: int, forwarding: int, to: str, end: str, up: bool) -> None:
    told = trace(build(translated_on_a_bridge(version, forwarding, to)), "a", udp(*AIM[version], 53))
    assert (told.end.netns, told.end.reason) == ("b" if end == "NO_SOCKET" else "node", end)
    seen = [c for c in captures(told) if (c.netns, c.dev, c.direction) == ("node", "br0", "in")]
    assert any(isinstance(c.frame.payload, Packet) and c.frame.payload.dport == 53 for c in seen) == up


def test_an_address_of_the_host_itself_is_no_sender() -> None:
    told = trace(build(translated_on_a_bridge(4, 1, "neighbour", twin=True)), "a", udp("10.0.0.254", AIM[4][1], 53))
    assert (told.end.netns, told.end.reason) == ("node", "IP_LOCAL_SOURCE")
