"""Checks of exercises: they look at the end state, say what is right, and never give the answer away.

An exercise's graded cell holds one line, ``check("03.2")``. The function behind it stands in ``k8snetlib/course/checks/ex03.py``::

    @question("03.2")
    def inner_mtu(mtu: int, case: Variant) -> str:
        room = case.integer("underlay", 1400, 1500)
        expect(mtu == room - 50, got=f"an inner MTU of {mtu}", expected="the largest packet that still fits once it is wrapped",
               hint="Add up the headers that VXLAN puts in front of the frame: outer IP, UDP, VXLAN, inner Ethernet.")
        return "the wrapped packet just fits the underlay"

Its parameters are names of the notebook: ``check`` fetches them there (or takes them as arguments). What it returns is printed; ``expect``
raises :class:`NotYet`, an ``AssertionError`` that a notebook shows as a few lines rather than as a traceback. A placeholder, whether it is
a missing name, ``None``, ``...`` or a function that raises ``NotImplementedError``, is "not started yet". An error inside the student's own
function is reported with the student's line, and one that the library raises on purpose (K8sNetError) with its message; any other error
inside a check is a bug of ours and stays one.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import re
import sys
import textwrap
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, TypeVar

from k8snetlib.course.strings import suggestion, text
from k8snetlib.errors import K8sNetError, ModelError

TEXT = {
    "unknown": "there is no check {key!r}{suggestion}",
    "twice": "the check {key!r} is defined twice, in {first} and {second}",
    "form": "the check {key!r} returned {what!r}; it must return a sentence that says what is right",
    "extra": "the check {key!r} looks at {names}, not at {extra}",
}

WIDTH = 100  # characters
F = TypeVar("F", bound=Callable[..., str])
_CHECKS: dict[str, Callable[..., str]] = {}


class NotYet(AssertionError):
    """A check that does not hold yet: what was found, what was expected of it (not its value) and one hint."""

    def __init__(self, got: str, expected: str, hint: str, *, key: str = "", heading: str = "check.not_yet") -> None:
        self.got, self.expected, self.hint, self.key, self.heading = got, expected, hint, key, heading
        super().__init__(got, expected, hint)

    def __str__(self) -> str:
        parts = {"got": self.got, "expected": self.expected, "hint": self.hint}
        rows = [(text(f"check.{name}"), value) for name, value in parts.items() if value]
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([text(self.heading, key=self.key).rstrip(), *(f"    {name:<{width}}  {value}" for name, value in rows)])

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines in place of a traceback. JupyterLab would break a longer one in the middle of a word."""
        return [part for line in str(self).splitlines() for part in _folded(line)]


def _folded(line: str) -> list[str]:
    """A line in lines of at most ``WIDTH``, each below the other where the first one's words begin."""
    if len(line) <= WIDTH:
        return [line]
    below = " " * len(re.match(r"\s*\S+\s*", line)[0])
    return textwrap.wrap(line, WIDTH, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)


def question(key: str) -> Callable[[F], F]:
    """Register a function as the check of ``key`` ("03.2": exercise 03, question 2)."""

    def register(function: F) -> F:
        known = _CHECKS.get(key)
        if known is not None and known.__module__ != "__main__":
            raise ModelError(TEXT["twice"].format(key=key, first=known.__module__, second=function.__module__))
        _CHECKS[key] = function
        return function

    return register


def expect(condition: object, *, got: object, expected: str, hint: str) -> None:
    """Raise :class:`NotYet` unless ``condition`` is true.

    ``got`` says what the learner handed in, ``expected`` what it has to be like, in words that are not the answer; ``hint`` where to look.
    """
    if not condition:
        raise NotYet(str(got), expected, hint)


def check(key: str, *answers: Any, **named: Any) -> None:
    """Check question ``key`` and print what is right, or raise :class:`NotYet`.

    What the check looks at is taken from the arguments, else from the caller's global names, which in a notebook are the names that the
    cells above have set. Raises :class:`~k8snetlib.errors.ModelError` for a key without a check, or an argument that it does not know.
    """
    function, frame = _find(key), sys._getframe(1)
    wanted = list(inspect.signature(function).parameters)
    given = dict(zip(wanted, answers, strict=False)) | named
    if len(answers) > len(wanted) or given.keys() - set(wanted):
        extra = sorted(given.keys() - set(wanted)) or list(answers[len(wanted) :])
        raise ModelError(TEXT["extra"].format(key=key, names=", ".join(wanted), extra=", ".join(map(str, extra))))
    values = {name: given.get(name, frame.f_globals.get(name)) for name in wanted}
    missing = [name for name, value in values.items() if value is None or value is ...]
    if missing:
        raise NotYet("", "", text("check.missing", names=", ".join(missing)), key=key, heading="check.not_started")
    try:
        what = function(**values)
    except NotYet as error:
        raise NotYet(error.got, error.expected, error.hint, key=key, heading=error.heading) from None
    except Exception as error:
        _blame(error, key, frame)
    if not isinstance(what, str) or not what:
        raise ModelError(TEXT["form"].format(key=key, what=what))
    print(text("check.right", key=key, what=what))


def keys() -> list[str]:
    """The keys of all checks, those of every exercise included, in order."""
    from pkgutil import iter_modules

    from k8snetlib.course import checks

    for module in iter_modules(checks.__path__, f"{checks.__name__}."):
        importlib.import_module(module.name)
    return sorted(_CHECKS)


def _find(key: str) -> Callable[..., str]:
    module = f"k8snetlib.course.checks.ex{key.split('.')[0]}"
    if key not in _CHECKS:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if key in _CHECKS:
        return _CHECKS[key]
    raise ModelError(TEXT["unknown"].format(key=key, suggestion=suggestion(key, keys())))


def _blame(error: Exception, key: str, caller: FrameType) -> NoReturn:
    """Whose error is it? One that passed through a function of the caller's own is the learner's; any other is raised as it is."""
    place = _own_frame(error.__traceback__, caller)
    if place is None and isinstance(error, K8sNetError):
        raise NotYet(str(error), text("check.accepted"), text("check.refused"), key=key) from None
    if place is None:
        raise error
    frame, line = place
    name = f"{frame.f_code.co_name}()"
    if isinstance(error, NotImplementedError):
        raise NotYet("", "", text("check.stub", name=name), key=key, heading="check.not_started") from None
    source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
    says = f"{type(error).__name__}: {error}".rstrip(": ")
    raised = text("check.raised", name=name, error=says, line=line - frame.f_code.co_firstlineno + 1, source=source)
    raise NotYet(raised, text("check.runs", name=name), text("check.read"), key=key) from None


def _own_frame(traceback: TracebackType | None, caller: FrameType) -> tuple[FrameType, int] | None:
    """The innermost frame of the traceback that runs code of the caller's module, which is the notebook, and its line."""
    found = None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals is caller.f_globals and frame is not caller:
            found = frame, traceback.tb_lineno
        traceback = traceback.tb_next
    return found
