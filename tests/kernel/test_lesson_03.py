"""Lesson 03's two experiments, run in this kernel: what is recorded is what happens. The one over IPIP takes a kernel that has it."""

from __future__ import annotations

import pytest

from k8snetlib.lab.needs import needs
from tests.unit.test_lesson_03 import as_bytes, lesson, model


@pytest.mark.parametrize(
    "cni", [pytest.param(cni, marks=pytest.mark.needs(*sorted(needs(lesson(cni)[0].ops)))) for cni in ("vxlan", "ipip")]
)
def test_the_lessons_packet_does_what_is_recorded_and_what_the_model_says(cni: str) -> None:
    experiment, trace = lesson(cni)
    live, recorded = experiment.live(), experiment.result("recorded")
    assert live.outcomes == recorded.outcomes and as_bytes(live.captures) == as_bytes(recorded.captures) == model(trace)
    assert (live.counters, live.conntrack) == (recorded.counters, recorded.conntrack)
