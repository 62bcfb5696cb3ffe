"""First packets through a modelled node against what the same rules did to real packets in a real kernel."""

from __future__ import annotations

import pytest

from tests.vectors.cases import cases
from tests.vectors.nodes import TESTED, build_node, outcome, send

CASES = [case for name in ("kernel_flows", "kernel_flows_v6") for case in cases(name) if case["mode"] in TESTED]
SLACK = {"iptables": 2**-30, "nftables": 0}  # the statistic match keeps 31 bits of 1/n; numgen is exact


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_the_kernel_did(case: dict) -> None:
    network = build_node(case, case["mode"])
    for flow in case["flows"]:
        told = send(network, flow)
        weights: dict = {}
        for weight, each in told:
            result = outcome(each)
            weights[result] = weights.get(result, 0) + weight
        assert sum(weights.values()) == 1
        seen = {(each["verdict"], each["dnat"], each["snat"]) for each in flow["seen"]}
        words = f"{flow['name']}: {flow['src']} -> {flow['dst']}:{flow['port']}/{flow['proto']}\n  model {sorted(map(str, weights))}"
        assert seen <= weights.keys(), f"{words}\n  kernel {sorted(map(str, seen))}"
        if len(weights) == 1:
            assert seen == weights.keys(), words
        chosen = [weight for (verdict, dnat, _), weight in weights.items() if dnat]
        assert all(abs(weight - sum(chosen) / len(chosen)) <= SLACK[case["mode"]] for weight in chosen), f"{words}: {weights}"


def test_counts(capsys: pytest.CaptureFixture) -> None:
    with capsys.disabled():
        for mode in TESTED:
            own = [case for case in CASES if case["mode"] == mode]
            print(f"\n{mode}: {len(own)} nodes with {sum(len(case['flows']) for case in own)} flows of a real kernel")
            assert own
