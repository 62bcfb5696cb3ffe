"""A Service's reply that goes past conntrack, in the model and in this machine's kernel: the same three segments at the client."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib import build, captures, ops, shop
from k8snetlib.lab import Lab
from k8snetlib.linux.packet import Packet, Tcp

pytestmark = pytest.mark.needs("vxlan", "iptables", "br_netfilter")
BYPASS = ops.SysctlSet("node-a", "net.bridge.bridge-nf-call-iptables", 0)


def segments(captures) -> list[tuple[str, str, str, str]]:
    """(direction, source, destination, flags) of the TCP segments at api-1."""
    found = []
    for each in captures:
        packet = each.frame.payload if each.netns == "api-1" and each.dev == "eth0" else None
        if isinstance(packet, Packet) and isinstance(packet.payload, Tcp):
            found.append((each.direction, str(packet.src), str(packet.dst), packet.payload.flags))
    return found


def test_the_client_resets_the_answer_of_a_stranger() -> None:
    cluster = shop(proxy="iptables")
    call = cluster.trace("pod/api-1", "svc/web:80", network=build([BYPASS], cluster.network))
    model = segments([*captures(call), *captures(call.reply)])
    with Lab([*cluster.ops(), BYPASS]) as lab:
        with lab.capture() as frames:
            made = lab.connect("api-1", "tcp", ip_address("10.96.10.80"), 80, data=b"hello")
        other = lab.connect("api-2", "tcp", ip_address("10.96.10.80"), 80, data=b"hello")
    assert made.error == "ETIMEDOUT" and call.reply.end.reason == "NO_SOCKET"
    assert other.answer == b"hello"
    assert [each[0] for each in model] == ["out", "in", "out"]
    assert segments(frames)[:3] == model
