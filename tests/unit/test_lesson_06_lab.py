"""Lesson 06's experiments, one for each mode of kube-proxy: what was recorded answers them, and is what the model says, byte by byte."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.course import files, normal
from k8snetlib.kube.cast import SHOP
from k8snetlib.lab import Experiment, Send
from k8snetlib.linux.events import Trace
from tests.unit.test_lesson_03 import as_bytes, model

MODES = ("iptables", "nftables", "ipvs")


def lesson(mode: str) -> tuple[Experiment, Trace]:
    """An experiment as the lesson has it, and the model's trace of it."""
    manifest = SHOP.read_text(encoding="utf-8").replace("replicas: 2", "replicas: 3")
    cluster = k8s.Cluster.loads(manifest, proxy=mode)
    trace = cluster.trace("pod/db", "svc/web:80")
    return Experiment(f"kube-proxy-{mode}", tuple(cluster.ops()), (Send("db", trace.sent),), answer=False), trace


@pytest.mark.parametrize("mode", MODES)
def test_the_recording_is_what_the_model_says(mode: str) -> None:
    experiment, trace = lesson(mode)
    result = experiment.result("recorded")
    assert trace.delivered and [each.error for each in result.outcomes] == [""]
    assert as_bytes(result.captures) == model(trace)


def test_the_lesson_shows_all_three() -> None:
    nb = normal.read(files.lessons(files.checkout())[6])
    (cell,) = (cell for cell in nb.cells if cell.id == "lab")
    lines = "".join(out.get("text", "") for out in cell.outputs).splitlines()
    said = [line for line in lines if not line.startswith(" ")]
    assert [line.split(",")[0] for line in said] == list(MODES) and all(line.endswith("interfaces the same: True") for line in said)
    assert "User-Mode Linux 6." in said[2]
