"""A lab is silent when it starts, and what devices say of themselves later is noticed."""

from __future__ import annotations

import time

import pytest

from k8snetlib.lab import Lab
from k8snetlib.linux.ops import LinkAdd, LinkSet, NetnsAdd, Op, RulesRestore, address
from k8snetlib.linux.packet import udp
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import drew_a_known_port
from tests.unit.networks import routed


def switch() -> list[Op]:
    """Four hosts on a bridge; the last thing that each does is to take another address, which its device has to report."""
    ops: list[Op] = [NetnsAdd("hosts"), NetnsAdd("switch"), LinkAdd("switch", "br0", "bridge"), LinkSet("switch", "br0", up=True)]
    for number in range(4):
        dev, port = f"eth{number}", f"port{number}"
        ops += [LinkAdd("hosts", dev, "veth", peer=("switch", port)), LinkSet("switch", port, master="br0", up=True)]
        ops += [LinkSet("hosts", dev, up=True), address("hosts", dev, f"fd00::{number + 1}/64")]
    return ops


def test_a_lab_is_silent_when_it_starts() -> None:
    with Lab() as lab:
        for _ in range(5):
            lab.run(switch())
            before = lab.reports()
            time.sleep(0.1)
            assert lab.reports() == before >= 2 * 9  # two of each device
            lab.clear()


def test_a_device_that_goes_down_and_up_is_waited_for() -> None:
    with Lab(switch()) as lab:
        before = lab.reports()
        lab.run([LinkSet("hosts", "eth0", up=False), LinkSet("hosts", "eth0", up=True)])
        after = lab.reports()
        time.sleep(0.1)
        assert lab.reports() == after >= before + 2


def test_a_case_is_run_again_only_if_a_device_spoke() -> None:
    runs = []

    def once_with_a_report(lab: Lab) -> None:
        runs.append("report")
        if len(runs) == 1:
            lab.run([address("hosts", "eth0", "fd00:1::1/64")])
            time.sleep(0.1)
            raise AssertionError

    def always_wrong(lab: Lab) -> None:
        runs.append("wrong")
        raise AssertionError("a difference")

    unless_it_spoke(lambda: Lab(switch()), once_with_a_report)
    assert runs == ["report"] * 2
    with pytest.raises(AssertionError, match="a difference"):
        unless_it_spoke(lambda: Lab(switch()), always_wrong)
    assert runs[2:] == ["wrong"]


@pytest.mark.needs("iptables")
@pytest.mark.parametrize(("nat", "unsure"), [("", False), ("-A POSTROUTING -o to-b -p udp -j SNAT --to-source 10.0.2.1:{port}", True)])
@pytest.mark.parametrize("port", [700, 701])
def test_a_port_that_may_be_drawn_or_chosen(nat: str, unsure: bool, port: int) -> None:
    """Whether the kernel drew its sender's port or left it shows nowhere but in that it translated the address."""
    rules = RulesRestore("r", f"*nat\n{nat.format(port=port)}\nCOMMIT\n", 4)
    with Lab([*routed(), rules], answer=False) as lab:
        lab.send("a", udp("10.0.1.2", "10.0.2.2", 9, 700))
        assert drew_a_known_port(lab, "r", {700}) is (unsure and port == 700)
