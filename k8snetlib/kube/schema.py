"""Checks plain data against the field tables: every field known, every type as the API server's strict decoding wants it.

A :class:`Fault` is a mistake at a path inside one object; :mod:`k8snetlib.kube.manifests` turns it into an error with file and line.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

from .schema_network_types import NETWORK_TYPES
from .schema_places import LeadingZero, Path, literal
from .schema_types import SPEC_TYPES, STATUS_TYPES

Check = Callable[[Any], None]


class Fault(Exception):
    """A mistake inside an object. ``path`` is its place there; ``at`` is where to look for its line, if that is another field; ``others``
    are the further mistakes of the same object."""

    def __init__(self, message: str, path: Path = (), suggestion: str = "", *, at: Path | None = None, unsupported: bool = False) -> None:
        super().__init__(message)
        self.message, self.path, self.suggestion, self.at, self.unsupported = message, path, suggestion, at, unsupported
        self.others: tuple[Fault, ...] = ()

    def under(self, step: str | int) -> Fault:
        """The same mistake seen from one level further out."""
        self.path = (step, *self.path)
        return self


def closest(word: str, words: Collection[str]) -> str:
    """The word that was probably meant, or ``""``: first one that differs only in case, then the nearest."""
    if len(word) > 100:  # difflib takes long over long words
        return ""
    folded = [each for each in words if each.lower() == word.lower()]
    return (folded or difflib.get_close_matches(word, sorted(words), 1) or [""])[0]


def unsupported_value(value: object, allowed: Collection[str]) -> Fault:
    """The API server's answer to a string that is not one of a few."""
    supported = ", ".join(literal(word) for word in sorted(allowed))
    return Fault(f"unsupported value {literal(value)}: supported values: {supported}", suggestion=closest(str(value), allowed))


# --- the tables, parsed


@cache
def types() -> dict[str, dict[str, str]]:
    """type -> field -> notation, where the notation keeps its leading ``!``, ``:`` or ``=``."""
    return _parsed(SPEC_TYPES + STATUS_TYPES + NETWORK_TYPES)


@cache
def other_types() -> dict[str, dict[str, str]]:
    """As ``types``, for kinds that the model does not read."""
    from .schema_other_types import OTHER_TYPES

    return _parsed(OTHER_TYPES)


def notations(type_name: str) -> dict[str, str]:
    """The fields of a type, with their notations."""
    return types().get(type_name) or other_types()[type_name]


def _parsed(text: str) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for section in filter(None, text.replace("\n    ", " ").splitlines()):
        name, _, words = section.partition(": ")
        fields = out[name] = {}
        for word in words.split():
            if word.startswith("+"):
                fields |= out[word[1:]]
                continue
            end = next((at for at, letter in enumerate(word) if letter in "!:="), len(word))
            fields[word[:end]] = word[end:]
    return out


def field_type(type_name: str, field: str) -> str:
    """The type of a field without list or map brackets: ``Container`` for PodSpec's containers."""
    return notations(type_name)[field].lstrip("!:").strip("[]{}")


# --- checks


def describe(value: object) -> str:
    """A value as an error message names it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"the boolean {json.dumps(value)}"
    return f"the number {str(value)[:40]}" if isinstance(value, int | float) else f"the string {literal(value)}"


def _string(value: Any) -> None:
    if value.__class__ is not str:
        hint = ": put it in quotes" if isinstance(value, bool | int | float) else ""
        raise Fault(f"must be a string, not {describe(value)}{hint}")


def _bool(value: Any) -> None:
    if value.__class__ is not bool:
        hint = ": write it without quotes" if value in ("true", "false") else ""
        raise Fault(f"must be true or false, not {describe(value)}{hint}")


def leading_zero(value: LeadingZero) -> str:
    """What is wrong with a number that YAML 1.1 takes for octal."""
    return f"must not start with 0: YAML 1.1 takes a number like 012 for octal, and this one for {value}"


def _integer(bits: int) -> Check:
    bound = 1 << (bits - 1)

    def check(value: Any) -> None:
        if value.__class__ is LeadingZero:
            raise Fault(leading_zero(value))
        # A float without a fraction passes: kubectl sends 8e1 on as 80
        if value.__class__ is not int and not (value.__class__ is float and value.is_integer()):
            hint = ": write it without quotes" if isinstance(value, str) and value.lstrip("-").isdigit() else ""
            raise Fault(f"must be an integer, not {describe(value)}{hint}")
        if not -bound <= value < bound:
            raise Fault(f"{str(value)[:40]} does not fit into {bits} bits")

    return check


def _int_or_string(value: Any) -> None:
    if value.__class__ is not str:
        if value.__class__ is bool or not isinstance(value, int | float):
            raise Fault(f"must be an integer or a string, not {describe(value)}")
        _integer(32)(value)


_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?", re.ASCII)  # apimachinery's resource.Quantity


def _mode(value: Any) -> None:
    """A file mode, for which octal is the usual notation."""
    _integer(32)(int(value) if value.__class__ is LeadingZero else value)


def _quantity(value: Any) -> None:
    if value.__class__ is bool or not isinstance(value, str | int | float) or (isinstance(value, str) and not _QUANTITY.fullmatch(value)):
        raise Fault(f"must be a quantity such as 0.5 or 100Mi, not {describe(value)}")


def _enumeration(allowed: frozenset[str]) -> Check:
    def check(value: Any) -> None:
        if value.__class__ is not str:
            _string(value)
        if value and value not in allowed:
            raise unsupported_value(value, allowed)

    return check


_LEAVES: dict[str, Check] = {
    "": _string,
    "string": _string,
    "bool": _bool,
    "int": _integer(32),
    "long": _integer(64),
    "intstr": _int_or_string,
    "mode": _mode,
    "quantity": _quantity,
    "any": lambda value: None,
}


@cache
def checker(notation: str) -> Check:
    """The check for one notation of the tables: ``int``, ``[Container]``, ``{}``, ``PodSpec``, ``=TCP|UDP``…"""
    if notation.startswith("="):
        return _enumeration(frozenset(notation[1:].split("|")))
    if notation.startswith("["):
        return _list(notation[1:-1])
    if notation.startswith("{"):
        return _map(notation[1:-1])
    return _LEAVES.get(notation) or _struct(notation)


def _list(item_type: str) -> Check:
    check = checker(item_type)

    def check_list(value: Any) -> None:
        if value.__class__ is not list:
            hint = ': start each entry with "- "' if isinstance(value, dict) else ""
            raise Fault(f"must be a list, not {describe(value)}{hint}")
        index = 0
        try:
            for index, item in enumerate(value):
                if item is None and check is _string:
                    value[index] = ""  # what the API server makes of a null there
                else:
                    check(item)
        except Fault as fault:
            raise fault.under(index) from None

    return check_list


def _map(item_type: str) -> Check:
    check = checker(item_type)

    def check_map(value: Any) -> None:
        if not isinstance(value, dict):
            raise Fault(f"must be an object, not {describe(value)}")
        key = ""
        try:
            for key, item in value.items():
                if item is None and check is _string:
                    value[key] = ""
                elif item.__class__ is not str or check is not _string:
                    check(item)
        except Fault as fault:
            if key in ("matchLabels", "matchExpressions"):
                fault.message += ": this selector is a plain map of labels"
            raise fault.under(key) from None

    return check_map


@cache
def _fields(name: str) -> tuple[dict[str, Check], tuple[str, ...]]:
    """The checks of a type's fields, and the fields that it must have."""
    fields = notations(name)
    checks = {field: checker(notation.lstrip("!:")) for field, notation in fields.items()}
    return checks, tuple(field for field, notation in fields.items() if notation.startswith("!"))


def prepare(kinds: Iterable[str]) -> None:
    """Makes the checks of these kinds, and of every type within them, before the first object comes."""
    pending, seen = list(kinds), set()
    while pending:
        name = pending.pop()
        if name in types() and name not in seen:
            seen.add(name)
            _fields(name)
            pending += [field_type(name, field) for field in types()[name]]


def _struct(name: str) -> Check:
    def check_struct(value: Any) -> None:
        if not isinstance(value, dict):
            raise Fault(f"must be an object, not {describe(value)}")
        fields, required = _fields(name)  # not before: types may hold themselves
        nulls = []
        key = ""
        try:
            for key, item in value.items():
                check = fields.get(key)
                if check is None:
                    raise Fault("unknown field", suggestion=closest(key, fields))
                if item is None:
                    nulls.append(key)
                elif item.__class__ is not str or check is not _string:
                    check(item)
        except Fault as fault:
            raise fault.under(key) from None
        for key in nulls:  # null is the same as absent
            del value[key]
        for key in required:
            if key not in value:
                raise Fault("required value", (key,))

    return check_struct


def check(kind: str, data: Any) -> None:
    """Checks a whole object in place, dropping null fields; raises :class:`Fault` at the first mistake."""
    try:
        checker(kind)(data)
    except Fault as fault:
        if fault.message == "unknown field":
            key, near = str(fault.path[-1])[:100].lower(), fault.suggestion.lower()
            if difflib.SequenceMatcher(None, key, near).ratio() < 0.8:  # no slip of one letter: a wrong indentation is likelier
                elsewhere = _belongs(kind, fault.path)
                fault.message, fault.suggestion = fault.message + elsewhere, "" if elsewhere else fault.suggestion
        raise


def _belongs(kind: str, path: Path) -> str:
    """Where a field stands that is unknown in its place but known a little above or below it: usually the indentation is wrong."""
    name = str(path[-1])
    trail = [kind]
    for step in path[:-1]:
        trail.append(trail[-1] if isinstance(step, int) else field_type(trail[-1], step))
    above = [(depth, each) for depth, each in enumerate(trail[:-1]) if name in notations(each)]
    if above:
        place = ".".join(str(step) for step in path[: above[-1][0]] if isinstance(step, str)) or "the top level"
        return f" here; it belongs in {place}: check the indentation"
    around = tuple(step for step in path[:-1] if isinstance(step, str))
    below: list[tuple[tuple[str, ...], str]] = [((), trail[-1])]
    for fields, each in below:
        known = types() | (other_types() if kind not in types() else {})
        for field in known.get(each, {}):
            inner = field_type(each, field)
            if name in known.get(inner, {}):
                return f" here; it belongs in {'.'.join((*around, *fields, field))}: check the indentation"
            if len(fields) < 2:
                below.append(((*fields, field), inner))
    return ""
