"""Setup: values print as the real tool does, mistakes are one message, and none of it makes a sound."""

from __future__ import annotations

import subprocess
import sys
import types
from dataclasses import dataclass

import pytest

from k8snetlib.course import formatters
from k8snetlib.errors import ManifestError

interactiveshell = pytest.importorskip("IPython.core.interactiveshell")


@pytest.fixture
def shell(monkeypatch):
    shell = interactiveshell.InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    return shell


@dataclass(frozen=True, slots=True)
class Route:
    def __str__(self) -> str:
        return "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"


Route.__module__ = "k8snetlib.linux.made_up"


@pytest.fixture
def made_up(monkeypatch):
    """A module of values and a module of views."""
    values, views = types.ModuleType("k8snetlib.linux.made_up"), types.ModuleType("k8snetlib.views.made_up")
    values.Route, values.Error, values.Plain = Route, ManifestError, type("Plain", (), {"__module__": values.__name__})
    views.NOTEBOOK = {Route: lambda route: f"<code>{route}</code>"}
    modules = {formatters.VALUES[0]: [values], formatters.VALUES[1]: [], formatters.VIEWS: [views]}
    monkeypatch.setattr(formatters, "_modules", lambda package: modules[package])
    return values


def test_a_value_is_shown_as_the_tool_prints_it_and_as_its_view(shell, made_up):
    formatters.setup()
    data, _ = shell.display_formatter.format(Route())
    assert data == {"text/plain": str(Route()), "text/html": f"<code>{Route()}</code>"}
    assert shell.display_formatter.format([Route()])[0]["text/plain"] == f"[{Route()}]"


def test_only_classes_that_print_themselves_are_taken(made_up):
    assert list(formatters.printed_types()) == [Route]


def test_a_mistake_is_one_message_without_a_traceback(shell, made_up, capsys):
    formatters.setup()
    shell.run_cell("from k8snetlib.errors import ManifestError\nraise ManifestError('no port \"htpp\"', file='shop.yaml', line=14)")
    printed = capsys.readouterr()
    assert printed.out.strip() == 'ManifestError: shop.yaml:14: no port "htpp"' and printed.err == ""


def test_other_errors_keep_their_traceback(shell, made_up, capsys):
    formatters.setup()
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out


def test_it_is_silent_and_may_be_called_again(shell, made_up, capsys):
    assert formatters.setup() is None and formatters.setup() is None
    assert capsys.readouterr() == ("", "")


def test_outside_a_notebook_it_does_nothing():
    run = subprocess.run([sys.executable, "-c", "from k8snetlib.course import setup; setup()"], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_the_librarys_own_values_are_found():
    """Whatever prints itself in the two packages is shown so, and every view names a type and makes a string."""
    found = set(formatters.printed_types())
    assert all(kind.__module__.startswith(formatters.VALUES) for kind in found)
    assert all(isinstance(kind, type) and callable(html) for kind, html in formatters.html_views().items())


def test_importing_the_course_is_cheap():
    heavy = {"IPython", "nbformat", "nbclient", "graphviz", "ipywidgets"}
    code = f"import sys, k8snetlib.course; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
