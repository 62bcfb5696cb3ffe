"""Lesson 03's two experiments, run in this kernel: what is recorded is what happens. The one over IPIP takes a kernel that has it."""

from __future__ import annotations

import pytest

from tests.unit.test_lesson_03 import as_bytes, lesson, model


@pytest.mark.parametrize(
    "cni",
    [
        pytest.param("ipip", marks=pytest.mark.needs("ipip", "iptables")),
        pytest.param("vxlan", marks=pytest.mark.needs("vxlan", "iptables")),
    ],
)
def test_the_lessons_packet_does_what_is_recorded_and_what_the_model_says(cni: str) -> None:
    experiment, trace = lesson(cni)
    live, recorded = experiment.live(), experiment.result("recorded")
    assert (live.outcomes, live.captures and as_bytes(live.captures)) == (recorded.outcomes, as_bytes(recorded.captures))
    assert as_bytes(live.captures) == model(trace)
    assert (live.counters, live.conntrack) == (recorded.counters, recorded.conntrack)
