"""Custom resources: a schema as its definition has it (OpenAPI v3 and rules over it), and the defaults and mistakes that follow.

The API server's order: unknown fields (strict decoding), defaults, the schema, lists that are maps or sets, and then the rules, unless a
mistake of the schema keeps it from running them (apiextensions-apiserver, pkg/registry/customresource/strategy.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from ...value import value
from .. import schema_rules as rules
from ..schema import Fault, checker, closest, describe, leading_zero, literal
from ..schema_places import LeadingZero, Path
from .fields import Faults, metadata, object_meta

Data = dict[str, Any]
NOTHING = object()


@value
class Rule:
    """A rule of ``x-kubernetes-validations``: a message, and a function of the value that is true where it holds."""

    message: str
    holds: Callable[[Any], bool]


@value
class Schema:
    """What a value may be. ``least`` and ``most`` bound a number, the length of a text, or the number of items or keys.

    ``keys`` are the fields that tell the items of a list apart (``x-kubernetes-list-type: map``), or ``()`` where the items themselves do
    (``set``), or None. ``blocks`` maps the kinds of mistakes to whether they keep the rules from running.
    """

    type: str
    fields: Mapping[str, Schema] | None = None
    required: tuple[str, ...] = ()
    items: Schema | None = None
    keys: tuple[str, ...] | None = None
    least: int | None = None
    most: int | None = None
    pattern: str = ""
    enum: tuple[Any, ...] = ()
    default: Any = NOTHING
    rules: tuple[Rule, ...] = ()


def text(
    least: int | None = None, most: int | None = None, pattern: str = "", *, enum: tuple[str, ...] = (), default: Any = NOTHING
) -> Schema:
    return Schema("string", least=least, most=most, pattern=pattern, enum=enum, default=default)


def number(least: int | None = None, most: int | None = None, *, enum: tuple[int, ...] = (), default: Any = NOTHING) -> Schema:
    return Schema("integer", least=least, most=most, enum=enum, default=default)


def array(
    items: Schema,
    most: int | None = None,
    *checks: Rule,
    least: int | None = None,
    keys: tuple[str, ...] | None = None,
    default: Any = NOTHING,
) -> Schema:
    return Schema("array", items=items, most=most, rules=checks, least=least, keys=keys, default=default)


def struct(*checks: Rule, required: str = "", default: Any = NOTHING, **fields: Schema) -> Schema:
    return Schema("object", fields=fields, required=tuple(required.split()), rules=checks, default=default)


def table(of: Schema, most: int | None = None) -> Schema:
    """A map of any keys to values of one schema (``additionalProperties``)."""
    return Schema("object", items=of, most=most)


FLAG = Schema("boolean")
ANY = Schema("any")


class Resource:
    """The defaults and rules of one kind of custom resource; an instance has the shape of the other modules of this package."""

    def __init__(self, spec: Schema, status: Any = None, *, namespaced: bool = True) -> None:
        self.schema = struct(required="spec", spec=spec)
        self.status = status
        self.namespaced = namespaced

    def decode(self, data: Data) -> None:
        """Strict decoding: raises :class:`Fault` at a field that the schema does not know. Types are a matter of validation here."""
        for key in data:
            if key not in ("apiVersion", "kind", "metadata", "spec", "status"):
                raise Fault("unknown field", (key,), closest(key, ("apiVersion", "kind", "metadata", "spec", "status")))
        try:
            checker("ObjectMeta")(data.get("metadata") or {})
        except Fault as fault:
            raise fault.under("metadata") from None
        _known(self.schema, {"spec": data.get("spec")}, ())

    def default(self, data: Data) -> Data:
        """The object with the defaults of the schema, at every depth."""
        spec = _defaulted(self.schema, {"spec": deepcopy(data["spec"])} if data.get("spec") is not None else {})
        status = {"status": deepcopy(self.status)} if self.status is not None and not data.get("status") else {}
        return {**data, "metadata": object_meta(data, self.namespaced), **spec, **status}

    def problems(self, data: Data) -> list[Fault]:
        """Every mistake in a defaulted object."""
        found = Faults()
        metadata(found, data["metadata"])
        spec = {"spec": data["spec"]} if "spec" in data else {}
        blocked = _validate(found, self.schema, spec, ())
        _unique(found, self.schema, spec, ())
        if blocked:
            found.add("invalid value null: some rules were not checked, since the object was invalid: correct the other mistakes first")
        else:
            _run(found, self.schema, spec, ())
        return found


def _children(schema: Schema, data: Any) -> list[tuple[str | int, Schema, Any]]:
    """The parts of a value with their schemas, as far as both are what they should be."""
    if schema.type == "array" and isinstance(data, list) and schema.items:
        return [(index, schema.items, each) for index, each in enumerate(data)]
    if schema.type == "object" and isinstance(data, dict):
        known = schema.fields or {}
        return [(key, known.get(key) or schema.items or ANY, each) for key, each in data.items()]
    return []


def _known(schema: Schema, data: Any, path: Path) -> None:
    for key, inner, each in _children(schema, data):
        if schema.fields is not None and schema.type == "object" and key not in schema.fields:
            raise Fault("unknown field", (*path, key), closest(str(key), schema.fields))
        _known(inner, each, (*path, key))


def _defaulted(schema: Schema, data: Any) -> Any:
    if schema.type == "object" and isinstance(data, dict):
        made = {key: each for key, each in data.items() if each is not None}
        for key, inner in (schema.fields or {}).items():
            if key not in made and inner.default is not NOTHING:
                made[key] = deepcopy(inner.default)
        return {key: _defaulted(inner, each) for key, inner, each in _children(schema, made)}
    if schema.type == "array" and isinstance(data, list):
        return [_defaulted(inner, each) for _, inner, each in _children(schema, data)]
    return data


_TYPES = {"object": (dict, "an object"), "array": (list, "a list"), "string": (str, "a string"), "boolean": (bool, "true or false")}


def _wrong_type(schema: Schema, data: Any) -> str:
    if schema.type == "any":
        return ""
    if schema.type == "integer":
        if isinstance(data, LeadingZero):
            return leading_zero(data)
        whole = (isinstance(data, int) and not isinstance(data, bool)) or (isinstance(data, float) and data.is_integer())
        return "" if whole else f"must be an integer, not {describe(data)}"
    kind, name = _TYPES[schema.type]
    return "" if isinstance(data, kind) else f"must be {name}, not {describe(data)}"


def _validate(found: Faults, schema: Schema, data: Any, path: Path) -> bool:
    """Adds the mistakes of the schema; returns whether one of them keeps the rules from running."""
    if found.add(_wrong_type(schema, data), *path):
        return True
    blocked = _bounds(found, schema, data, path)
    if schema.enum and data not in schema.enum:
        if schema.type == "string":
            found.one_of(data, schema.enum, *path)
        else:
            found.add(f"unsupported value {data}: supported values: {', '.join(map(str, schema.enum))}", *path)
        blocked = True
    if schema.pattern and not re.search(schema.pattern, data):
        found.add(rules.invalid(data, f"must match {schema.pattern}"), *path)
    for key in schema.required:
        blocked |= found.add("required value" if key not in data else "", *path, key)
    for key, inner, each in _children(schema, data):
        blocked |= _validate(found, inner, each, (*path, key))
    return blocked


def _bounds(found: Faults, schema: Schema, data: Any, path: Path) -> bool:
    """Too long and too many keep the rules from running; too short, too few and numbers out of bounds do not."""
    if schema.type == "integer":
        if schema.least is not None and data < schema.least:
            found.add(f"invalid value {data}: must be greater than or equal to {schema.least}", *path)
        elif schema.most is not None and data > schema.most:
            found.add(f"invalid value {data}: must be less than or equal to {schema.most}", *path)
        return False
    if schema.type in ("any", "boolean"):
        return False
    unit = {"string": "characters", "array": "items", "object": "keys"}[schema.type]
    if schema.least is not None and len(data) < schema.least:
        found.add(f"invalid value {len(data)}: must have at least {schema.least} {unit}", *path)
    too_many = schema.most is not None and len(data) > schema.most
    return found.add(f"too many: {len(data)}: must have at most {schema.most} {unit}" if too_many else "", *path)


def _unique(found: Faults, schema: Schema, data: Any, path: Path) -> None:
    """Lists whose items have to differ, as a whole or in their keys."""
    if schema.keys is not None and isinstance(data, list):
        seen: list[Any] = []
        for index, each in enumerate(data):
            mark = [each.get(key) for key in schema.keys] if schema.keys and isinstance(each, dict) else each
            shown = literal(", ".join(map(str, mark)) if schema.keys and isinstance(mark, list) else mark)
            found.add(f"duplicate value {shown}" if mark in seen else "", *path, index)
            seen.append(mark)
    for key, inner, each in _children(schema, data):
        _unique(found, inner, each, (*path, key))


def _run(found: Faults, schema: Schema, data: Any, path: Path) -> None:
    for rule in schema.rules:
        found.add("" if rule.holds(data) else f"invalid value: {rule.message}", *path)
    for key, inner, each in _children(schema, data):
        _run(found, inner, each, (*path, key))
