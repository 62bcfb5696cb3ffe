"""What a lesson's first cell sets up: how the library's values and mistakes look in a notebook."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pkgutil import walk_packages
from typing import Any

from k8snetlib.errors import K8sNetError

VALUES = ("k8snetlib.linux", "k8snetlib.kube")
"""Packages whose classes are shown as what ``str()`` says, which is what the real tool prints."""

VIEWS = "k8snetlib.views"
"""Its modules may hold ``NOTEBOOK: dict[type, Callable[[Any], str]]``: the HTML in which a notebook shows values of a type."""


def setup() -> None:
    """Prepare the notebook: register the formatters, and show the library's own errors as one message without a traceback.

    Silent, the same however often it is called, and without effect outside IPython.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    for kind in printed_types():
        formatters["text/plain"].for_type(kind, _print)
    for kind, html in html_views().items():
        formatters["text/html"].for_type(kind, html)
    shell.set_custom_exc((K8sNetError,), _show_error)


def printed_types() -> Iterator[type]:
    """The value classes that say themselves what they print."""
    for package in VALUES:
        for module in _modules(package):
            for kind in vars(module).values():
                own = isinstance(kind, type) and kind.__module__ == module.__name__ and not issubclass(kind, BaseException)
                if own and kind.__str__ not in (object.__str__, str.__str__, int.__str__):
                    yield kind


def html_views() -> dict[type, Callable[[Any], str]]:
    """The HTML views that the modules of :data:`VIEWS` offer for notebooks."""
    return {kind: html for module in _modules(VIEWS) for kind, html in getattr(module, "NOTEBOOK", {}).items()}


def _modules(package: str) -> Iterator[Any]:
    parent = importlib.import_module(package)
    for _, name, _ in walk_packages(parent.__path__, f"{package}."):
        yield importlib.import_module(name)


def _print(value: Any, printer: Any, cycle: bool) -> None:
    printer.text(str(value))


def _show_error(shell: Any, kind: type[BaseException], error: BaseException, traceback: Any, tb_offset: int | None = None) -> list[str]:
    """IPython's handler for the library's errors: one message with its place, which is all that a reader can act on."""
    lines = [f"{kind.__name__}: {error}"]
    shell._showtraceback(kind, error, lines)
    return lines
