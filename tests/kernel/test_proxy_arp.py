"""A bridge that answers ARP itself (the port flag proxy_arp), in the model and in the kernel: the same frames on every interface."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.ops import FdbAdd, LinkSet, NeighAdd, Op, SysctlSet, address, build, stable_mac
from k8snetlib.linux.packet import Packet, ping, tcp
from k8snetlib.linux.state import FdbEntry, Neighbor
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import Side, difference
from tests.unit.networks import switch

A, B, C, NOBODY = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.77"


def mapped(known: str, behind: str = "abc", ports: str = "abc") -> list[Op]:
    """The bridge's neighbour table has the hosts ``known``, its FDB those of ``behind``; ``ports`` have proxy ARP."""
    ops = [*switch(), address("node", "br0", "10.0.0.9/24")]
    ops += [LinkSet("node", f"port-{name}", proxy_arp=True, learning=False) for name in ports]
    macs = {name: stable_mac(name, "eth0") for name in "abc"}
    ops += [NeighAdd("node", Neighbor("br0", ip_address(f"10.0.0.{'abc'.index(name) + 1}"), macs[name])) for name in known]
    return ops + [FdbAdd("node", FdbEntry(f"port-{name}", macs[name], master="br0")) for name in behind]


def apart(found: dict) -> dict:
    """Frames of each interface in their order, those of different senders apart: of two that answer one question either may be first."""
    return {where: sorted(frames, key=lambda each: (each[0], each[1].src)) for where, frames in found.items()}


def same_frames(ops: list[Op], sends: Iterable[tuple[str, Packet]]) -> None:
    def compare(lab: Lab) -> None:
        network, model, kernel = build(ops), Side(), Side()
        for at, packet in sends:
            told = trace(network, at, packet)
            with lab.capture() as frames:
                lab.send(at, packet)
            said, seen = apart(model.frames(captures(told))), apart(kernel.frames(frames))
            assert said == seen, f"{at}: {packet}\n{difference(said, seen)}"
            network = after(network, told)
        for name in network:
            learned = {key: entry.mac for key, entry in network[name].neighbors.items()}
            there = {key: entry.mac for key, entry in lab.state(name).neighbors.items() if not key[1].is_multicast}
            assert learned == there, f"neighbours of {name}"

    unless_it_spoke(lambda: Lab(ops, answer=False), compare)


CASES = {
    "a cloud's mapping service": mapped("abc"),
    "not in the neighbour table": mapped("a"),
    "not in the FDB": mapped("abc", behind="ac"),
    "one port alone": mapped("abc", ports="a"),
    "the other port alone": mapped("abc", ports="b"),
    "no port": mapped("abc", ports=""),
    "isolated ports too": [*mapped("abc"), *(LinkSet("node", f"port-{name}", isolated=True) for name in "ab")],
    "a hairpin": [*mapped("abc", ports="bc"), LinkSet("node", "port-a", hairpin=True)],
    "learning": [*mapped("abc", behind=""), *(LinkSet("node", f"port-{name}", learning=True) for name in "abc")],
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_frames(case: str) -> None:
    sends = [("b", ping(B, C, id=7)), ("c", ping(C, "10.0.0.9", id=7)), ("node", ping("10.0.0.9", A, id=7))]
    same_frames(CASES[case], [*sends, ("a", tcp(A, B, 80)), ("a", tcp(A, NOBODY, 80)), ("node", tcp("10.0.0.9", NOBODY, 80))])


def test_the_other_flags_of_the_bridge_device_do_not_matter() -> None:
    """The answer comes from the bridge as a switch: whether its host would answer for others is not asked."""
    same_frames([*mapped("b"), SysctlSet("node", "net.ipv4.conf.br0.arp_ignore", 8)], [("a", tcp(A, B, 80)), ("a", tcp(A, C, 80))])
