"""JupyterLab sends the messages of two controls to two threads of the kernel: what they do at once comes out as one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from k8snetlib.views import render
from k8snetlib.widgets import PortsExplorer


def test_drawings_made_at_once_are_those_made_alone():
    dots = [f"digraph {{ a{number} -> b -> c{number} }}" for number in range(40)]
    alone = [render.svg(dot, "a graph") for dot in dots]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda dot: render.svg(dot, "a graph"), dots)) == alone


def test_two_controls_moved_at_once_leave_the_answer_to_both():
    for round in range(10):
        explorer = PortsExplorer()
        moves = {"log": 0, "caller": "pod", "web": 8081, "port": 8081}
        controls = [explorer.controls[name] for name in moves]
        with ThreadPoolExecutor(len(moves)) as pool:
            list(pool.map(lambda control, choice: setattr(control, "value", choice), controls, moves.values()))
        assert explorer.value.summary == "api-1 reaches container web at 10.244.1.2:8081.", f"round {round}"
        assert explorer.value.html(live=True) == explorer._html.value
