"""kube-proxy's rules of large clusters in this kernel: loaded in parts as one, and connections through them timed."""

from __future__ import annotations

import time
from statistics import median

import pytest

from k8snetlib.course.scale import measured
from k8snetlib.errors import LabError
from k8snetlib.kube import scale
from k8snetlib.lab import Lab
from k8snetlib.linux import nftables
from k8snetlib.linux.ops import NftReplace


@pytest.mark.needs("nft")
def test_a_table_loaded_in_parts_is_the_table() -> None:
    """More than one netlink message takes; what the kernel then lists is what was meant. Loaded twice: it takes its own place."""
    ops = scale.rules("nftables", 900, 2)
    (table,) = [op.table for op in ops if isinstance(op, NftReplace)]
    with Lab([*scale.node(900, 2), *ops, *ops]) as lab:
        (there,) = nftables.Ruleset.parse(lab.nft_list(scale.NODE)).tables.values()
        assert there.chains.keys() == table.chains.keys() and there.sets.keys() == table.sets.keys()
        assert {name: chain.lines for name, chain in there.chains.items()} == {name: chain.lines for name, chain in table.chains.items()}
        assert {name: list(each.elements) for name, each in there.sets.items()} == {
            n: list(each.elements) for n, each in table.sets.items()
        }


@pytest.mark.needs("iptables")
@pytest.mark.parametrize("lean", [False, True])
def test_large_iptables_rules_lead_to_the_last_service(lean: bool) -> None:
    with Lab([*scale.node(1200), *scale.rules("iptables", 1200, lean=lean)]) as lab:
        made = lab.connect(scale.CLIENT, "tcp", scale.cluster_ip(1199), 80)
        assert (made.error, made.accepted.netns) == ("", scale.SERVER)
        assert len(lab.latency(scale.CLIENT, scale.cluster_ip(1199), 80, count=20)) == 20
        with pytest.raises(LabError, match=r"no connection to 10\.96\.0\.1 port 81"):
            lab.latency(scale.CLIENT, "10.96.0.1", 81, count=1, limit=0.2)


@pytest.mark.needs("nft", "iptables")
def test_a_list_costs_more_than_a_map() -> None:
    found = {}
    for mode in ("iptables", "nftables"):
        with Lab([*scale.node(4000), *scale.rules(mode, 4000, lean=True)]) as lab:
            lab.latency(scale.CLIENT, scale.cluster_ip(3999), 80, count=30)
            found[mode] = min(median(lab.latency(scale.CLIENT, scale.cluster_ip(3999), 80, count=60)) for _ in range(4))
    assert found["iptables"] > 1.5 * found["nftables"]


@pytest.mark.needs("nft", "iptables")
def test_measured_now() -> None:
    start = time.monotonic()
    run = measured([1, 50], "live")
    assert not run.recorded and run.about.startswith("run just now on Linux ")
    assert all(list(points) == [1, 50] and all(us > 0 for us in points.values()) for points in run.points.values())
    assert time.monotonic() - start < 15
