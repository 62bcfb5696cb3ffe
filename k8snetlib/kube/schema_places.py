"""Places in manifest text: from a field's path to its line, by reading the one document again, event by event, when something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from ..errors import ManifestError
from ..value import value

Path = tuple[str | int, ...]
Event = tuple[str, str, int]
"""("{", "}", "[", "]", "=" for a scalar or key, or "*" for an alias; its text; its line)."""
Progress = Callable[[int], None]


class Mapping(dict[str, Any]):
    """A mapping of a document, with the line it starts on."""

    __slots__ = ("line",)
    line: int


class Child(str):
    """A step of a path that follows a dot, whatever characters it has, as the API server prints some fields."""


class LeadingZero(int):
    """A number written like 012, which YAML 1.1 reads as octal: right for a file mode, a trap anywhere else."""


@value
class Document:
    """One object's text: where it starts in its file (``offset`` in characters, ``line`` from 1), and its place within a List."""

    file: str
    text: str
    offset: int
    line: int
    is_json: bool
    prefix: Path = ()

    def find(self, path: Path) -> tuple[int, str | None]:
        """The line of the field at ``path``, or of the nearest enclosing one that is there, and its text if it is a scalar."""
        events = self.events()
        op, text, line = next(events)
        for step in self.prefix + path:
            found = _enter(events, op, step)
            if found is None:
                return line, None
            line, (op, text, _) = found
        return line, text if op == "=" else None

    def events(self) -> Iterator[Event]:
        """The document's nodes in order, with their lines."""
        from . import schema_json, schema_yaml

        return schema_json.events(self) if self.is_json else schema_yaml.events(self)

    def error(self, message: str, path: Path = (), suggestion: str = "") -> ManifestError:
        return ManifestError(message, file=self.file, line=self.find(path)[0], field=dotted(path), suggestion=suggestion)


def literal(value: object) -> str:
    """A string in double quotes on one line, shortened if need be; what a terminal would obey or not show is escaped."""
    text = str(value)
    text = text if len(text) <= 100 else f"{text[:80]}…"
    return json.dumps(text, ensure_ascii=not text.isprintable())


def dotted(path: Path) -> str:
    """A path as the API server prints it: ``spec.ports[0].targetPort``, ``metadata.labels[app.kubernetes.io/name]``."""
    return "".join(map(_step, path)).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, Child):
        return f".{step}"
    if isinstance(step, int) or (step.isprintable() and len(step) <= 100):
        return f".{step}" if isinstance(step, str) and re.fullmatch(r"[\w-]+", step) else f"[{step}]"
    return f"[{literal(step)[1:-1]}]"


def undotted(path: str) -> Path:
    """The inverse of :func:`dotted`."""
    steps = re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", path)
    return tuple(int(index) if index.isdigit() else index or name for index, name in steps)


class DuplicateKey(Exception):
    """A key stands twice in one mapping; :func:`duplicate_key` then finds out which."""


def duplicate_key(document: Document) -> ManifestError:
    """The error for the first key that stands twice in one mapping of ``document``."""
    # one frame for each open node: the lines of its keys (None for a list), its path, the numbers of its items
    frames: list[tuple[dict[str, int] | None, Path, Iterator[int]]] = []
    events = document.events()
    for op, text, line in events:
        if op in "}]":
            frames.pop()
            continue
        path: Path = ()
        if frames:
            keys, parent, numbers = frames[-1]
            path = (*parent, next(numbers) if keys is None else text)
            if keys is not None:
                if text in keys:
                    message = f"duplicate key {literal(text)}, first on line {keys[text]}"
                    return ManifestError(message, file=document.file, line=line, field=dotted(path))
                keys[text] = line
                op = next(events)[0]
        if op in "{[":
            frames.append(({} if op == "{" else None, path, count()))
    return ManifestError("duplicate key", file=document.file, line=document.line)


def _enter(events: Iterator[Event], op: str, step: str | int) -> tuple[int, Event] | None:
    """Goes one step down from a node whose opening event has been taken: (the line of the key or item, the event that opens the value)."""
    if op == "{" and isinstance(step, str):
        for key_op, key, line in events:
            if key_op == "}":
                return None
            value = next(events)
            if key_op == "=" and key == step:
                return line, value
            _skip(events, value[0])
    if op == "[" and isinstance(step, int):
        for index, event in enumerate(events):
            if event[0] == "]":
                return None
            if index == step:
                return event[2], event
            _skip(events, event[0])
    return None


def _skip(events: Iterator[Event], op: str) -> None:
    depth = op in "{["
    while depth:
        op = next(events)[0]
        depth += (op in "{[") - (op in "}]")
