"""Ingress: what the conformance features and the documentation's tables say of single requests."""

from __future__ import annotations

import json

import pytest

from k8snetlib.kube.edge.http import PORTS, Request
from k8snetlib.kube.edge.ingress import tables
from k8snetlib.kube.edge.objects import Ingress, IngressClass
from k8snetlib.kube.manifests import loads
from tests.vectors.cases import cases, same

CASES = cases("ingress_http")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_ingress(case):
    manifests = loads("\n".join(map(json.dumps, case["objects"])), "case.json")
    made = tables(manifests.of(Ingress), manifests.of(IngressClass))
    if case.get("ingressStatusEmpty"):
        assert not made, case["id"]
        return
    asked = case["request"]
    (decision,) = made[""].decide(
        Request(asked["host"], asked["path"], asked["method"], scheme=asked["scheme"], port=PORTS[asked["scheme"]])
    )
    found = [f"status {decision.status or 200}", f"backend {decision.backend.name if decision.backend else None}"]
    same(case, found, [f"status {case['status']}", f"backend {case.get('backend')}"])
