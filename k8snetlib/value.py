"""``value``: the decorator of every frozen value here.

It makes an annotated class, written as for ``dataclasses.dataclass``, a ``msgspec.Struct``: one that is made, copied, compared and hashed in
C. With the standard library's frozen dataclasses, making the classes was half of ``import k8snetlib``, and filling objects a sixth of what it
takes to load a cluster. To others they are dataclasses all the same: ``fields``, ``replace`` and ``asdict`` of ``dataclasses`` work.
``repr`` leaves out fields that have their default, so that what is printed is what matters.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

import msgspec
from msgspec.structs import force_setattr
from msgspec.structs import replace as _replace

T = TypeVar("T")


class _Fields:
    """``__dataclass_fields__`` of a class, made when somebody asks: what the functions of ``dataclasses`` go by."""

    def __get__(self, made: Any, cls: Any) -> dict[str, Field]:
        names, defaults = cls.__struct_fields__, cls.__struct_defaults__
        defaults = (msgspec.NODEFAULT,) * (len(names) - len(defaults)) + defaults
        types = {name: kind for each in reversed(cls.__mro__) for name, kind in inspect.get_annotations(each).items()}
        described = []
        for name, default in zip(names, defaults, strict=True):
            plain = dataclasses.field(default=MISSING if default is msgspec.NODEFAULT else default)
            described.append((name, types[name], cls._special.get(name, plain)))
        standard = dataclasses.make_dataclass(cls.__name__, described, init=False, eq=False, repr=False)
        cls.__dataclass_fields__ = fields = standard.__dataclass_fields__
        return fields


class _Value(msgspec.Struct, frozen=True):
    """What all values have in common."""

    __dataclass_fields__ = _Fields()
    _special = {}  # the fields that are more than a name and a default: Field objects by name
    _fresh = {}  # what makes the contents of fields that no argument gives

    def __repr__(self) -> str:
        """``Class(field=value, …)`` with the fields that differ from their defaults."""
        shown = []
        for field in self.__dataclass_fields__.values():
            if field.repr:
                here = getattr(self, field.name)
                default = field.default_factory() if field.default_factory is not MISSING else field.default
                if default is MISSING or here != default:
                    shown.append(f"{field.name}={here!r}")
        return f"{type(self).__qualname__}({', '.join(shown)})"


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def value(cls: type[T]) -> type[T]:
    """A frozen value of the fields that the class is annotated with; methods that a class has of its own, it keeps.

    Changing one raises AttributeError, as a frozen dataclass does.
    Fields with ``init=False`` are not for callers: a copy with changes has a fresh one. They stand last, or TypeError is raised.
    """
    bases, body = cls.__bases__, _body(cls)
    if not issubclass(cls, _Value):
        bases = (*[base for base in bases if base is not object], _Value)
    special = {name: content for name, content in body.items() if isinstance(content, Field)}
    if special:
        body |= {name: _default(field) for name, field in special.items()}
        special = getattr(cls, "_special", {}) | special
        body |= {"_special": special, "_fresh": {name: _maker(field) for name, field in special.items() if not field.init}}
    made: Any = type(_Value)(cls.__name__, bases, body)
    if made._fresh and made.__struct_fields__[-len(made._fresh) :] != tuple(made._fresh):
        raise TypeError(f"{cls.__qualname__}: fields with init=False must stand last")
    for name, method in _comparison(made).items():
        if name not in body:
            setattr(made, name, method)
    return made


def _body(cls: type) -> dict[str, Any]:
    """What was written in the class statement."""
    body = {name: content for name, content in vars(cls).items() if name not in ("__dict__", "__weakref__", "__slots__")}
    if body.get("__hash__", cls) is None:  # what an __eq__ alone makes of it
        del body["__hash__"]
    if issubclass(cls, _Value):  # the statement has made a Struct already, whose slots stand where the defaults were written
        given = dict(zip(reversed(cls.__struct_fields__), reversed(cls.__struct_defaults__), strict=False))
        for name in [each for each in cls.__struct_fields__ if each in body]:
            del body[name]
            if name in given:
                body[name] = given[name]
    return body


def _default(field: Field) -> Any:
    """The default of a field, for Struct."""
    if field.default_factory is not MISSING:
        return msgspec.field(default_factory=field.default_factory)
    if field.default is not MISSING:
        return field.default
    return msgspec.field() if field.init else None  # __post_init__ fills it


def _maker(field: Field) -> Callable[[], Any]:
    """What makes the content of a field that no argument gives."""
    if field.default_factory is not MISSING:
        return field.default_factory
    return lambda: None if field.default is MISSING else field.default


def _comparison(cls: Any) -> dict[str, Callable]:
    """``__eq__`` and ``__hash__`` where those of Struct do not do: some fields do not count, or a base has others."""
    special = cls._special
    if cls.__eq__ is msgspec.Struct.__eq__ and all(field.compare and field.hash is None for field in special.values()):
        return {}
    plain = dataclasses.field()
    known = [(name, special.get(name, plain)) for name in cls.__struct_fields__]
    compared = _getter([name for name, field in known if field.compare])
    hashed = _getter([name for name, field in known if (field.compare if field.hash is None else field.hash)])

    def __eq__(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(hashed(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _getter(wanted: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*wanted) if wanted else lambda self: ()


def replace(old: T, /, **changes: Any) -> T:
    """As ``dataclasses.replace``, for the classes here, in a tenth of the time. TypeError for a field that there is not."""
    for name, make in old._fresh.items():  # type: ignore[attr-defined]
        changes[name] = make()
    return _replace(old, **changes)  # type: ignore[type-var]


def amend(new: T, /, **changes: Any) -> T:
    """The same object with other contents: for the one who made it, while nobody else holds it. AttributeError for a field that there is not."""
    for name, content in changes.items():
        force_setattr(new, name, content)  # type: ignore[arg-type]
    return new
