"""Who answers ARP for an address that another of the host's interfaces has, and as whom it asks: arp_ignore and arp_announce."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Answered
from k8snetlib.linux.ops import Op, SysctlSet, address, build
from k8snetlib.linux.packet import tcp
from tests.kernel.side_by_side import same_frames
from tests.unit.networks import switch

FAR, NEAR, STRANGE = "10.0.0.50", "10.0.0.2", "172.16.0.9"


def elsewhere(**sysctls: int) -> list[Op]:
    """Three hosts on a switch; b has two more addresses, on its loopback device."""
    ops: list[Op] = [*switch(), address("b", "lo", f"{FAR}/32"), address("b", "lo", f"{STRANGE}/32")]
    return ops + [SysctlSet("b", "net.ipv4.conf." + key.replace("__", "."), number) for key, number in sysctls.items()]


@pytest.mark.parametrize(("sysctls", "answers"), [
    ({}, (True, True)),
    ({"all__arp_ignore": 1}, (False, True)),
    ({"eth0__arp_ignore": 1}, (False, True)),
    ({"all__arp_ignore": 2}, (False, True)),
    ({"all__arp_ignore": 8}, (False, False)),
])  # fmt: skip
def test_who_answers(sysctls: dict[str, int], answers: tuple[bool, bool]) -> None:
    ops = elsewhere(**sysctls)
    for asked, answered in zip((FAR, NEAR), answers, strict=True):
        told = trace(build(ops), "a", tcp("10.0.0.1", asked, 80))
        assert any(asked in event.why and event.netns == "b" for event in told.all(Answered)) is answered
    same_frames(ops, (("a", tcp("10.0.0.1", FAR, 80)), ("c", tcp("10.0.0.3", NEAR, 80))))


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("source", [FAR, STRANGE, NEAR])
def test_as_whom_it_asks(level: int, source: str) -> None:
    ops = elsewhere(all__arp_announce=level)
    same_frames(ops, [("b", tcp(source, "10.0.0.3", 80))])


def test_the_asker_of_another_subnet() -> None:
    """arp_ignore 2 wants it on the address's own."""
    ops = [*elsewhere(all__arp_ignore=2), address("a", "eth0", "10.9.9.1/32")]
    assert ip_address("10.9.9.1") in {a.ip for a in build(ops)["a"].interfaces["eth0"].addresses}
    same_frames(ops, [("a", tcp("10.9.9.1", NEAR, 80)), ("a", tcp("10.0.0.1", NEAR, 80))])
