"""IPIP devices in the model and in the kernel, frame by frame: which device takes a packet, TTL and TOS of the outer header, and what does
not fit."""

from __future__ import annotations

import pytest

from k8snetlib.lab.fallback import as_in_namespaces
from k8snetlib.linux.addresses import ip_address
from k8snetlib.linux.ops import LinkAdd, LinkSet, NetnsAdd, Op, SysctlSet, address, route
from k8snetlib.linux.packet import Packet, ping, tcp, udp
from k8snetlib.linux.state import IpipConfig
from tests.kernel.side_by_side import same_frames
from tests.unit.test_ipip import ANY, pair

pytestmark = pytest.mark.needs("ipip")
OWN, FAR, POD = "10.244.1.1", "10.244.2.1", "10.244.1.2"
HERE, THERE = (IpipConfig(*map(ip_address, ends)) for ends in (("192.168.50.11", "192.168.50.12"), ("192.168.50.12", "192.168.50.11")))
ELSEWHERE = IpipConfig(ip_address("192.168.50.12"), ip_address("192.168.50.99"))


def with_pod(ops: list[Op]) -> list[Op]:
    """A host p (``POD``) behind a, which forwards for it."""
    ops = [*ops, NetnsAdd("p"), LinkAdd("p", "eth0", "veth", peer=("a", "to-p")), address("p", "eth0", f"{POD}/32")]
    ops += [LinkSet("p", "eth0", up=True), LinkSet("a", "to-p", up=True), SysctlSet("a", "net.ipv4.ip_forward", 1)]
    ops += [address("a", "to-p", "169.254.1.1/32"), route("a", f"{POD}/32", "to-p")]
    return [*ops, route("p", "169.254.1.1/32", "eth0"), route("p", "default", "eth0", "169.254.1.1")]


def agree(ops: list[Op], sends: list[tuple[str, Packet]]) -> None:
    same_frames(list(as_in_namespaces(ops)), sends)


@pytest.mark.parametrize(
    ("left", "right"), [(ANY, ANY), (ANY, THERE), (HERE, ANY), (HERE, THERE), (ANY, ELSEWHERE), (HERE, ELSEWHERE)], ids=str
)
def test_which_device_takes_it(left: IpipConfig, right: IpipConfig) -> None:
    """Where none does, an error comes back, which a device with a far end of its own remembers for a while: so one packet only."""
    sends = [("a", tcp(OWN, FAR, 80)), ("a", udp(OWN, FAR, 9)), ("b", ping(FAR, OWN, id=7))]
    agree(pair(left, right), sends[: 1 if (left, right) == (HERE, ELSEWHERE) else None])


@pytest.mark.parametrize("sender", ["a", "p"])
def test_ttl_and_tos(sender: str) -> None:
    src = OWN if sender == "a" else POD
    sends = [(sender, udp(src, FAR, 9, 40000 + ttl, ttl=ttl)) for ttl in (1, 2, 3, 7, 64)]
    agree(with_pod(pair()), sends + [(sender, tcp(src, FAR, 80, 41000 + tos, tos=tos)) for tos in (0x10, 0xB8, 1, 2)])


@pytest.mark.parametrize("mtu", [1500, 1400, 1300])
@pytest.mark.parametrize("sender", ["a", "p"])
def test_what_fits(sender: str, mtu: int) -> None:
    """The device keeps its 1480 bytes, whatever the cable takes: who may not cut is told, and knows it then."""
    src = OWN if sender == "a" else POD
    sizes = [mtu - 48, mtu - 47, mtu - 47, 1453, 1600]
    agree(with_pod(pair(mtu=mtu)), [(sender, udp(src, FAR, 9, data=b"x" * size)) for size in sizes])


@pytest.mark.parametrize("sender", ["a", "p"])
def test_what_may_be_cut(sender: str) -> None:
    src = OWN if sender == "a" else POD
    agree(with_pod(pair()), [(sender, udp(src, FAR, 9, data=b"x" * size, df=False)) for size in (1452, 1453, 3000)])


def test_a_device_that_is_down() -> None:
    agree([*pair(), LinkSet("b", "tunl0", up=False)], [("a", tcp(OWN, FAR, 80))])
