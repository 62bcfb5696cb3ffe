"""The pytest plugin of this project (``-p k8snetlib.testing`` in pyproject's addopts): what no shell prefix may have to say.

* Notebook kernels get the one environment in which committed outputs were made (:mod:`k8snetlib.course.execute`).
* A run of the whole suite is shared by a few processes; a run of some files stays in one, where ``--pdb`` and prints work.
* Under a renderer other than the pinned one, the bytes of figures cannot be compared: they are masked, and the run says so twice.
* Hypothesis has no deadline: the time that a test takes is never part of its result.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MAX_PROCESSES = 4

TEXT = {
    "header": "notebooks: figures by {renderer}",
    "masked": "FIGURES NOT COMPARED: this is {here}, and the committed figures were drawn by {pinned}",
    "none": "no renderer",
}

_MASK = Path(__file__).parent / "course" / "data" / "mask-figures.txt"


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process for each processor, up to four, where the whole suite is asked for; none (this one alone) for a part of it."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword and not config.option.lf
    return min(os.cpu_count() or 1, MAX_PROCESSES) if whole else 0


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Environment first: everything that starts later, the processes of xdist and the kernels, inherits it."""
    from hypothesis import settings

    from k8snetlib.course.execute import fix_environment

    fix_environment(os.environ)
    settings.register_profile("k8snetlib", settings.default, deadline=None, print_blob=True)
    settings.load_profile("k8snetlib")
    if _masked() and config.getoption("nbval", default=False):
        config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(_MASK)


def pytest_report_header() -> str:
    from k8snetlib.views import render

    return "\n".join(filter(None, (TEXT["header"].format(renderer=render.renderer() or TEXT["none"]), _masked())))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _masked():
        terminalreporter.write_line(_masked(), red=True, bold=True)


def _masked() -> str:
    """Why figures are not compared here; empty where they are."""
    from k8snetlib.views import render

    here = render.renderer()
    return "" if here == render.COMPARED_WITH else TEXT["masked"].format(here=here or TEXT["none"], pinned=render.COMPARED_WITH)
