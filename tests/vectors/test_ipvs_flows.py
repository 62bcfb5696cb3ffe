"""IPVS mode sends packets where the iptables rules sent them in a real kernel, wherever the two are documented to agree.

Kernels with IPVS are rare, so this judges the model's IPVS where none is at hand: the same objects, the same packets. The modes differ, and
the flows are left out, for traffic policy Local (IPVS falls back to all endpoints where this node has none, and does not masquerade what
the node itself sends), for 127.0.0.1 (IPVS has no node ports there), for ports that no Service has (KUBE-IPVS-FILTER refuses them; the
iptables rules let them pass), for source ranges as the node itself meets them, and for what the node sends to an external address
that nobody serves (IPVS takes it for its own). Where both refuse, source ranges may make a DROP of a REJECT: IPVS asks them first.
"""

from __future__ import annotations

import pytest

from tests.vectors.cases import cases
from tests.vectors.nodes import NODE, TESTED, build_node, outcome, send
from tests.vectors.objects import services

CASES = [case for name in ("kernel_flows", "kernel_flows_v6") for case in cases(name) if case["mode"] == "iptables"]


def comparable(case: dict) -> bool:
    return not any("Local" in (each.external_traffic_policy, each.internal_traffic_policy) for each in services(case))


def alike(flow: dict, verdicts: set[str]) -> bool:
    if flow["src"] in ("127.0.0.1", "::1") or flow["name"] == "wrong port":
        return False
    return flow["from"] != "node" or "clusterIP" in flow["name"] or ("PASS" in verdicts and any(each["dnat"] for each in flow["seen"]))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_with_iptables(case: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    if not comparable(case):
        assert "Local" in str(case["objects"])
        return
    monkeypatch.setitem(TESTED, "ipvs", "ipvs")
    network, other = build_node(case, "ipvs"), build_node(case, "iptables")
    ranges = any(each.load_balancer_source_ranges for each in services(case))
    for flow in case["flows"]:
        seen = {(each["verdict"], each["dnat"], each["snat"]) for each in flow["seen"]}
        if not alike(flow, {verdict for verdict, _, _ in seen}):
            continue
        ((weight, told),) = send(network, flow)
        found = outcome(told)
        possible = {outcome(each) for _, each in send(other, flow)}
        words = f"{flow['name']}: {flow['src']} -> {flow['dst']}:{flow['port']}: {found}, iptables {possible}"
        assert found in possible or (ranges and found[0] == "DROP" and possible == {("REJECT", None, None)}), words
        assert weight == 1 and NODE in told.network
