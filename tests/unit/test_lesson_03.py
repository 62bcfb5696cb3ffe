"""Lesson 03's two experiments: what was recorded answers them, and is what the model says, byte by byte."""

from __future__ import annotations

from dataclasses import replace

import pytest

import k8snetlib as k8s
from k8snetlib.course import files, normal
from k8snetlib.errors import LabError
from k8snetlib.lab import Experiment, Send, as_in_namespaces
from k8snetlib.lab.canonical import by_interface, canonical
from k8snetlib.linux.events import Trace
from k8snetlib.linux.wire import to_bytes


def lesson(cni: str) -> tuple[Experiment, Trace]:
    """An experiment as the lesson has it, and the model's trace of it: over IPIP with the largest packet of a Pod."""
    shop = k8s.shop(cni)
    ops = as_in_namespaces(shop.ops())
    trace = shop.trace("pod/web", "pod/api-2:8080", data=bytes(1440 if cni == "ipip" else 0), network=k8s.build(ops))
    return Experiment(cni, ops, (Send("web", trace.sent),), answer=False), trace


def as_bytes(captures) -> dict:
    return {place: [(way, to_bytes(frame)) for way, frame in seen] for place, seen in by_interface(captures).items()}


def model(trace: Trace) -> dict:
    return as_bytes(canonical(k8s.captures(trace), known=(trace.sent.sport, trace.sent.dport)))


@pytest.mark.parametrize("cni", ["vxlan", "ipip"])
def test_the_recording_is_what_the_model_says(cni: str) -> None:
    experiment, trace = lesson(cni)
    result = experiment.result("recorded")
    assert trace.delivered and [each.error for each in result.outcomes] == [""]
    assert as_bytes(result.captures) == model(trace)


@pytest.mark.parametrize("cni", ["vxlan", "ipip"])
def test_the_recording_answers_no_other_experiment(cni: str) -> None:
    experiment, trace = lesson(cni)
    other = replace(experiment, probes=(Send("web", replace(trace.sent, ttl=63)),))
    with pytest.raises(LabError, match="made with other ops or packets"):
        other.result("recorded")


def test_the_comparison_would_notice_a_ttl_that_starts_afresh() -> None:
    """As VXLAN's does: one byte of the outer header (and its checksum)."""
    experiment, trace = lesson("ipip")
    captures = experiment.result("recorded").captures
    changed = [
        replace(seen, frame=replace(seen.frame, payload=replace(seen.frame.payload, ttl=64)))
        if (seen.netns, seen.dev) == ("node-a", "eth0") and "IPIP" in str(seen.frame)
        else seen
        for seen in captures
    ]
    assert changed != list(captures) and as_bytes(changed) != model(trace)


def test_on_the_wire_is_what_the_lesson_says_of_it() -> None:
    experiment, _ = lesson("ipip")
    (wire,) = (to_bytes(seen.frame) for seen in experiment.result("recorded").on("node-a", "eth0") if "IPIP" in str(seen.frame))
    outer, inner = wire[14:34], wire[34:54]
    assert (len(wire) - 14, outer[0], inner[0]) == (1500, 0x45, 0x45)
    assert outer[9] == 4 and (outer[8], inner[8]) == (63, 63)  # the protocol; the TTLs


def test_the_lesson_makes_these_experiments() -> None:
    """Were the lesson's packet or cluster another one, its own recording would refuse it; were its check gone, nothing would compare them."""
    nb = normal.read(files.lessons(files.checkout())[3])
    shown = {cell.id: "".join(out.get("text", "") for out in cell.outputs) for cell in nb.cells if cell.cell_type == "code"}
    assert "recorded on User-Mode Linux 6." in shown["ipip-lab"] and "the same in the model: True" in shown["ipip-lab"]
    assert "recorded on Linux 6." in shown["lab"] and "interfaces: True" in shown["lab"] and "False" not in shown["lab"]
