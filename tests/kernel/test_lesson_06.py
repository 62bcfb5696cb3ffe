"""Lesson 06's experiments, run in this kernel: what is recorded is what happens. IPVS takes a kernel that has it."""

from __future__ import annotations

import pytest

from k8snetlib.lab.needs import needs
from tests.unit.test_lesson_03 import as_bytes, model
from tests.unit.test_lesson_06_lab import MODES, lesson


@pytest.mark.parametrize("mode", [pytest.param(mode, marks=pytest.mark.needs(*sorted(needs(lesson(mode)[0].ops)))) for mode in MODES])
def test_the_lessons_packet_does_what_is_recorded_and_what_the_model_says(mode: str) -> None:
    experiment, trace = lesson(mode)
    live, recorded = experiment.live(), experiment.result("recorded")
    assert live.outcomes == recorded.outcomes and as_bytes(live.captures) == as_bytes(recorded.captures) == model(trace)
    assert (live.counters, live.conntrack) == (recorded.counters, recorded.conntrack)
