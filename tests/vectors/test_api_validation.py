"""Objects as a real API server answered them: refused with the same fields, or accepted and stored with the same values."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from copy import deepcopy

import pytest

from k8snetlib.errors import ManifestError
from k8snetlib.kube.apiserver import KINDS, admit
from k8snetlib.kube.apiserver.services import stored
from k8snetlib.kube.control import control_plane
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Service
from k8snetlib.kube.schema import Fault
from tests.vectors.cases import cases, same

CASES = cases("api_validation")
CHOSEN = {"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"}
"""The fields whose values the server chose where a case names them in ``serverAllocated``."""


def answer(case: dict) -> dict:
    """The object as this library stores it, read from the manifest's text; ManifestError if it is refused."""
    text = json.dumps(case["input"])
    objects = loads(text, "case.json").objects
    made = admit(json.loads(text))
    if case["kind"] != "Service":
        return made
    (service,) = control_plane([each for each in objects if isinstance(each, Service)], families=("IPv4", "IPv6")).services
    return stored(made, service)


def without_choices(found: dict, case: dict) -> dict:
    """A Service with a mark in place of each value that the server chose, so that it still has to be there."""
    found = deepcopy(found)
    chosen = CHOSEN & set(case.get("serverAllocated") or ())
    spec, asked = found["spec"], case["input"]["spec"]
    for field in chosen & spec.keys():
        if not asked.get(field):
            kinds = [type(each).__name__ + ("6" if ":" in str(each) else "4") for each in [spec[field]]]
            spec[field] = [("6" if ":" in each else "4") for each in spec[field]] if isinstance(spec[field], list) else kinds
    for port, before in zip(spec.get("ports", ()), asked.get("ports", ()), strict=True):
        if "nodePort" in chosen and port.get("nodePort") and not before.get("nodePort"):
            port["nodePort"] = "chosen"
    return found


def judge(case: dict) -> None:
    """AssertionError if this library answers otherwise than the API server."""
    if case["accepted"]:
        found, expected = answer(case), case["defaulted"]
        if case["kind"] == "Service":
            found, expected = without_choices(found, case), without_choices(expected, case)
        same(case, *(json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (found, expected)))
    else:
        with pytest.raises(ManifestError) as caught:
            answer(case)
        assert caught.value.file == "case.json"
        assert caught.value.line
        if case["fields"]:  # a 400 names no field
            same(case, sorted(caught.value.fields), sorted(case["fields"]))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['id']} {case['tag']}" for case in CASES])
def test_answered_as_by_the_api_server(case: dict) -> None:
    judge(case)


KINDS_OF_MISTAKE = ("invalid value", "required value", "forbidden", "duplicate value", "unsupported value", "too many", "too long")


@pytest.mark.parametrize("case", [each for each in CASES if not each["accepted"] and each["fields"]], ids=lambda case: case["id"])
def test_the_message_says_as_much(case: dict) -> None:
    """The same kinds of mistakes, and every short value that the API server quotes."""
    with pytest.raises(ManifestError) as caught:
        answer(case)
    ours = " ".join(f"{each.field}: {each.message}" for each in (caught.value, *caught.value.others))
    theirs = case["message"]
    assert [kind for kind in KINDS_OF_MISTAKE if kind in theirs.lower() and kind not in ours.lower()] == []
    for quoted in re.findall(r'value: ("[^"]{1,80}"|-?\d+)', theirs):
        assert quoted.strip('"') in ours


ODD = (None, "", "x", "-1.5/x", 0, -1, 70_000, 1.5, True, [], [None], ["x"], [{}], {}, {"x": None}, {"x": []})


def places(data: object, path: tuple = ()) -> list[tuple]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@pytest.mark.parametrize("kind", sorted({case["kind"] for case in CASES}))
def test_odd_values_anywhere_are_a_fault_or_fine(kind: str) -> None:
    """No value in any place of any case makes the validation fail in another way than by a Fault with a path."""
    for case in [each for each in CASES if each["kind"] == kind]:
        for place in places(case["input"])[1:]:
            for odd in ODD if place[0] not in ("apiVersion", "kind") else ():
                data = deepcopy(case["input"])
                inner = data
                for step in place[:-1]:
                    inner = inner[step]
                inner[place[-1]] = deepcopy(odd)
                try:
                    admit(data)
                except Fault as fault:
                    assert fault.message


def test_every_kind_is_known() -> None:
    known = {kind for _, kind in KINDS}
    assert {case["kind"] for case in CASES} <= known


def test_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Says how many cases of each kind pass, however the tests are spread over processes."""
    passed: Counter[str] = Counter()
    for case in CASES:
        with suppress(AssertionError, ManifestError):
            judge(case)
            passed[case["kind"]] += 1
    with capsys.disabled():
        print(f"\napi_validation: {passed.total()} of {len(CASES)} cases pass: {dict(passed)}")
    assert passed.total() == len(CASES)
