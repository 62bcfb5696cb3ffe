"""ICMPv6 redirects: when, to whom, what is quoted, and what conntrack makes of them. tests/kernel/test_redirects.py asks the kernel."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.errors import UnsupportedError
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Dropped, Trace
from k8snetlib.linux.ops import RulesRestore, build, stable_mac
from k8snetlib.linux.packet import Packet, Redirect, ping, tcp, udp
from k8snetlib.linux.wire import from_bytes, to_bytes
from k8snetlib.value import replace
from tests.unit.networks import FAR6, NEAR, detour

A = "fd00::1"


def redirect(told: Trace) -> Packet | None:
    """The redirect that comes to a, if one does."""
    seen = [c.frame.payload for c in captures(told) if (c.netns, c.direction) == ("a", "in") and isinstance(c.frame.payload, Packet)]
    return next((p for p in seen if isinstance(p.payload, Redirect)), None)


@pytest.mark.parametrize(("onward", "target"), [("", FAR6), (NEAR["b"], NEAR["b"]), ("fd00::2", None)])
def test_only_for_what_is_on_the_link(onward: str, target: str | None) -> None:
    told = trace(build(detour(onward=onward)), "a", tcp(A, FAR6, 80))
    found = redirect(told)
    if target is None:
        assert found is None
        return
    assert (str(found.src), str(found.dst), found.ttl) == (NEAR["r"], A, 255)
    assert (str(found.payload.target), str(found.payload.dst), found.payload.lladdr) == (target, FAR6, None)
    assert found.payload.data == told.sent  # the hop limit not counted down yet
    assert told.delivered is False and told.end.reason == "NO_SOCKET"


def test_the_mac_address_is_told_once_it_is_known() -> None:
    network, packet = build(detour()), udp(A, FAR6, 53, data=b"x")
    known = redirect(trace(after(network, trace(network, "a", packet)), "a", packet)).payload
    assert known.lladdr == stable_mac("b", "eth0")
    assert str(Packet(ip_address(NEAR["r"]), ip_address(A), known)) == f"IP6 {NEAR['r']} > {A}: ICMP6 redirect {FAR6} to {FAR6}"


@pytest.mark.parametrize(("size", "quoted"), [(0, 48), (1, 48), (8, 56), (1400, 1280 - 40 - 40 - 8)])
def test_how_much_is_quoted(size: int, quoted: int) -> None:
    found = redirect(trace(build(detour()), "a", udp(A, FAR6, 53, data=b"x" * size)))
    assert (found.payload.quoted, len(found)) == (quoted, 40 + 40 + 8 + quoted)
    data = to_bytes(found)
    assert len(data) == len(found) and data[40 + 40 : 40 + 42] == bytes([4, 1 + quoted // 8])


def test_bytes_that_cannot_be_read_stay_bytes() -> None:
    message = Redirect(ip_address(FAR6), ip_address(FAR6), None, b"\x60" + bytes(7))
    frame = build_frame(Packet(ip_address(NEAR["r"]), ip_address(A), message, 255))
    assert from_bytes(frame).payload.payload == message


def build_frame(packet: Packet) -> bytes:
    return bytes(12) + b"\x86\xdd" + to_bytes(packet)


def test_a_redirect_about_a_translated_connection_is_dropped_once_conntrack_knows_it() -> None:
    """Not of the first packet, for the connection is not in the table yet; nor where the target's MAC address stands before the quoted
    packet, which conntrack then does not look at."""
    rules = RulesRestore("r", "*nat\n-A PREROUTING -d 2001:db8:99::1/128 -j DNAT --to-destination 2001:db8:2::2\nCOMMIT\n", 6)
    network, packet = build([*detour(), rules]), udp(A, "2001:db8:99::1", 53, data=b"x")
    first = trace(network, "a", packet)
    assert redirect(first).payload.lladdr is None and str(redirect(first).payload.dst) == FAR6
    later = after(network, first)
    assert redirect(trace(later, "a", packet)).payload.lladdr
    told = trace(later.with_({"r": replace(later["r"], neighbors={})}), "a", packet)
    assert redirect(told) is None
    assert any("a redirect about a connection that NAT rewrites" in event.detail for event in told.all(Dropped))


def test_a_host_that_would_heed_it_is_not_followed() -> None:
    network = build(detour(first_hop=NEAR["r"]))
    assert redirect(trace(network, "a", udp(A, FAR6, 53)))
    with pytest.raises(UnsupportedError, match=f"a heeds the redirect and sends to {FAR6}"):
        trace(network, "a", ping(A, FAR6))
