"""Clusters of any size: their cost in the model, the lean rule sets, the charts, and the measurement's recording."""

from __future__ import annotations

import pytest

from k8snetlib.course import scale as measuring
from k8snetlib.errors import LabError, ModelError
from k8snetlib.kube import scale
from k8snetlib.lab.capabilities import FEATURES, TOOLS, Facts, diagnose
from k8snetlib.linux.engine import trace
from k8snetlib.linux.ops import build
from k8snetlib.linux.packet import tcp
from k8snetlib.views.outcomes import examined
from k8snetlib.views.plot import columns, curves
from k8snetlib.views.scale import COUNTS, MODES, computed, cost, cost_curve


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("services", [1, 30, 300, 1000])
def test_the_data_is_what_the_model_computes(mode: str, services: int) -> None:
    assert computed()[mode][services] == examined(scale.first_packet(mode, services), scale.NODE)


def test_the_shape_of_the_curves() -> None:
    points = computed()
    assert all(tuple(own) == COUNTS for own in points.values())
    assert points["iptables"][10_000] - points["iptables"][1] == 9_999
    assert len(set(points["nftables"].values())) == len(set(points["ipvs"].values())) == 1
    assert cost("iptables", 1000) == points["iptables"][1000] and cost("nftables", 20, 4) == points["nftables"][10]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("services", [3, 1100])
def test_a_lean_rule_set_is_the_same_to_the_packet(mode: str, services: int) -> None:
    """Of 1,100 Services too: a large cluster's rules have no comments."""
    packet = tcp("10.244.1.2", scale.cluster_ip(services - 1), 80)
    whole, lean = (
        trace(build([*scale.node(services), *scale.rules(mode, services, lean=lean)]), scale.CLIENT, packet) for lean in (False, True)
    )
    assert whole.delivered and whole.events == lean.events
    assert examined(whole) == examined(lean)
    sizes = [sum(len(op.command()) for op in scale.rules(mode, services, lean=lean)) for lean in (False, True)]
    assert sizes[1] < sizes[0]


def test_curves_and_columns() -> None:
    figure = cost_curve(here=100)
    assert figure.svg.count('class="curve"') == 3 and "iptables from 24 to 10,023" in figure.alt and "you are here" in figure.svg
    assert "you are here" not in cost_curve().svg and 'width="860"' in figure.svg
    figure = columns({"a": 10, "b": 0}, [5, 5], "of 10", "alt")
    assert figure.svg.count('class="bar"') == figure.svg.count('class="want"') == 2
    for draw in (lambda: curves({}, "x", "y", "alt"), lambda: columns({}, [], "y", "alt")):
        with pytest.raises(ModelError, match="at least one point"):
            draw()


@pytest.mark.parametrize("values", [[0.0], [0.0, 1.0], [7, 7, 7], [1e-6, 2e6]])
def test_curves_of_any_numbers_stay_on_the_plate(values: list[float]) -> None:
    svg = curves({"one": [(n, value) for n, value in enumerate(values)]}, "x", "y", "alt").svg
    path = svg.partition('class="curve"')[2].partition(' d="M')[2].partition('"')[0]
    for point in path.split("L"):
        x, y = map(float, point.split())
        assert 0 <= x <= 860 and 0 <= y <= 330


def test_the_recorded_run_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    run = measuring.measured()
    assert run.recorded and run.about.startswith("recorded on Linux ") and run.about in run.figure().caption
    assert list(run.points) == ["iptables", "nftables"] and all(tuple(own) == measuring.COUNTS for own in run.points.values())
    iptables, nftables = run.points.values()
    assert iptables[10_000] > 3 * iptables[1] and nftables[10_000] < 2 * nftables[1]
    assert "because" not in run.about and "no lab today" in measuring.recorded("no lab today").about
    with pytest.raises(LabError, match="can be"):
        measuring.measured(mode="sometimes")


@pytest.mark.parametrize("mode", ["auto", "record"])
def test_a_kernel_without_one_of_the_modes_measures_none(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = {**dict.fromkeys(FEATURES, ""), "nft": "no such family"}
    monkeypatch.setattr(measuring, "probe", lambda: diagnose(Facts("linux", "6.1.1", tools=frozenset(TOOLS), trials=trials)))
    monkeypatch.setattr(measuring, "_live", lambda counts: pytest.fail("it was measured"))
    run = measuring.measured(mode=mode)
    assert run.points == measuring.recorded().points and "without nftables (no such family)" in run.about
