"""What students of exercise 04 are shown of their fault, a real kernel does: a student for each fault and side, all frames compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8snetlib.course import variant
from k8snetlib.course.checks import ex04, ex04_given
from k8snetlib.lab import Lab
from k8snetlib.linux.engine import captures
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.kernel.test_model_and_kernel import Side, difference

pytestmark = pytest.mark.kernel
KNOWN = {}
for case in (variant("04", f"student-{n}") for n in range(120)):
    kind, (op,) = ex04_given.fault(case)
    KNOWN.setdefault((ex04.setting(case), kind, op.netns == "node-a"), case)


@pytest.mark.parametrize("key", KNOWN, ids=lambda key: f"{key[0]}-{key[1]}-{key[2]}")
def test_a_students_fault_does_the_same_to_both(key: tuple[str, str, bool]) -> None:
    case = KNOWN[key]
    cluster, (first, second) = ex04.cluster(case), ex04.pods(case)
    source, target = f"pod/{first}", f"pod/{second}:8080"
    with Lab([*cluster.ops(), *ex04_given.fault(case)[1]], answer=True) as lab:
        with lab.capture():
            pass
        model, kernel = Side(), Side()
        at, packet, _ = cluster.packet(source, target)
        told = cluster.trace(source, target, network=ex04.broken(case))
        with lab.capture() as frames:
            lab.send(at, packet)
        shown = [*captures(told), *(captures(told.reply) if told.reply is not None else ())]
        said = model.frames([replace(c, frame=from_bytes(to_bytes(c.frame), c.frame.bare)) for c in shown])
        seen = kernel.frames(frames)
        assert said == seen, difference(said, seen)
