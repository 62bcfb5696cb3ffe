"""Routing loops: found at the end of a walk, told in one sentence, and shown by their first round and their end."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib import Cluster, shop
from k8snetlib.views.diagrams import diagram
from k8snetlib.views.document import document
from k8snetlib.views.loops import Loop, fold, loop, spelled
from k8snetlib.views.outcomes import outcomes
from k8snetlib.views.text import summary, text
from k8snetlib.views.topology import Place
from k8snetlib.views.walk import Step, steps
from k8snetlib.views.way_picture import way_picture
from k8snetlib.views.way_table import way_table
from k8snetlib.widgets.walk_data import walk_data

BALANCED = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node-a, containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
"""


def walk_of(places: str) -> tuple[Step, ...]:
    return tuple(Step(number, Place(name, "eth0"), (), (), (), (), 0, ()) for number, name in enumerate(places, 1))


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ("", None),
        ("abc", None),
        ("abcba", None),  # there and back
        ("xababa", None),  # two rounds and a half
        ("xababab", Loop(1, 2, 3, 0)),
        ("xabababa", Loop(1, 2, 3, 1)),
        ("yzabcabcabcab", Loop(2, 3, 3, 2)),
        ("abababz", None),  # it got out
    ],
)
def test_found_at_the_end(places, found):
    assert loop(places) == found


@given(st.text("xyz", max_size=4), st.sampled_from(["ab", "abc", "abac", "abcdef"]), st.integers(3, 40), st.data())
def test_whatever_comes_before_and_wherever_it_ends(before, circle, rounds, data):
    rest = data.draw(st.integers(0, len(circle) - 1))
    found = loop(before + circle * rounds + circle[:rest])
    assert found.length == len(circle) and found.start <= len(before)
    assert found.start + found.length * found.rounds + found.rest == len(before) + len(circle) * rounds + rest


def test_a_way_in_one_line():
    assert spelled(["web", "node-a", "db"]) == "web → node-a → db"
    assert spelled(["client", *["underlay", "node-a"] * 31]) == "client → underlay → node-a → … (31 rounds)"


def test_without_ttl_nothing_is_left_out():
    assert fold(walk_of("abababab")) == walk_of("abababab")


@pytest.fixture(scope="module")
def circling():
    """To a port that the Service lacks: the node knows nothing of it and sends it to its router, which sends it to the node."""
    return Cluster.loads(BALANCED, outside=True, balancer=True).trace("client", "lb/web:81")


def test_a_round_and_the_end_are_shown(circling):
    walk = steps(circling)
    assert circling.end.detail == "TTL used up" and len(circling.hops) > 60
    assert [step.number for step in walk] == list(range(1, 13))
    assert [step.skipped for step in walk if step.skipped] == ["a routing loop: 30 more rounds through these 6 places, TTL 62 → 2"]
    assert walk[-1].ended == "dropped"
    assert summary(circling) == "dropped in node-a: IP_INHDR (TTL used up): a routing loop"


def test_every_view_says_so(circling):
    (words,) = (step.skipped for step in steps(circling) if step.skipped)
    assert words in text(circling)
    assert [each["skipped"] for each in document(circling)["steps"]].count(words) == 1
    shown = walk_data(circling)["steps"]
    assert [said["text"] for step in shown for said in step["said"]].count(words) == 1
    assert shown[-1]["live"].startswith("Step 12 of 12")
    svg = diagram(trace=circling).svg
    assert "hop-11" in svg and "hop-12" not in svg and "TTL used up" in svg


def test_no_number_lies_on_another(circling):
    svg = diagram(trace=circling).svg
    found = re.findall(r'<rect class="badge" x="([\d.-]+)" y="([\d.-]+)" width="([\d.-]+)" height="([\d.-]+)"', svg)
    pills = [tuple(map(float, each)) for each in found]
    assert len(pills) == 11
    for (x, y, width, height), (a, b, wide, high) in combinations(pills, 2):
        assert x + width <= a or a + wide <= x or y + height <= b or b + high <= y


def test_other_walks_are_whole():
    for target in ("pod/api-2:8080", "10.99.0.1:80"):
        assert not any(step.skipped for step in steps(shop().trace("pod/web", target)))


def test_ways_from_machine_to_machine_show_one_round(circling):
    picture = way_picture(circling)
    assert picture.alt == "client → load balancer → node-a → … (32 rounds): dropped, IP_INHDR."
    assert "TTL used up," in picture.svg and "32 rounds" in picture.svg
    assert len(way_table(circling).rows) == 4
    assert "client → underlay → node-a → … (32 rounds)" in str(outcomes([(Fraction(1), circling)]))
