"""EndpointSlices as the real controller made them of the same Nodes, Services and Pods: the names' random ends aside, no difference."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

import pytest

from k8snetlib.kube.apiserver.endpoint_slices import stored
from k8snetlib.kube.control import control_plane
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Node, Pod, Service
from k8snetlib.kube.slices import EndpointSlice
from tests.vectors.cases import cases, same

CASES = cases("endpointslices")


def text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def summary(part: dict) -> tuple[str, ...]:
    """A slice without its name, with its ports and endpoints in an order that means nothing: lines that a diff can show."""
    meta = part["metadata"]
    head = (f"{meta['namespace']} {part['addressType']}", f"labels {text(meta['labels'])}")
    ports = [f"port {text(each)}" for each in part["ports"] or ["null"]]
    return (*head, *sorted(ports), *sorted(f"endpoint {text(each)}" for each in part["endpoints"] or ()))


def lines(parts: Iterable[dict]) -> list[str]:
    return [line for part in sorted(map(summary, parts)) for line in part]


def judge(case: dict) -> int:
    """The number of slices; AssertionError if they are not those of the controller."""
    manifests = loads(json.dumps({"apiVersion": "v1", "kind": "List", "items": case["objects"]}), f"{case['id']}.json")
    services, pods, nodes = manifests.of(Service), manifests.of(Pod), manifests.of(Node)
    found = control_plane(services, pods, nodes, manifests.of(EndpointSlice), ("IPv4", "IPv6")).slices
    same(case, lines(map(stored, found)), lines(case["endpointSlices"]))
    for each in found:
        service = each.service_key.partition("/")[2]
        assert each.name.startswith(f"{service}-")
        assert len(each.name) == len(service) + 6
    return len(found)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_slices_are_those_of_the_controller(case: dict) -> None:
    judge(case)


def test_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Says how many cases pass, however the tests are spread over processes."""
    passed = slices = 0
    for case in CASES:
        with suppress(AssertionError):
            slices += judge(case)
            passed += 1
    with capsys.disabled():
        print(f"\nendpointslices: {passed} of {len(CASES)} cases pass, with {slices} slices")
    assert passed == len(CASES)
