"""``value``: the decorator of every frozen, slotted dataclass here.

A plain ``@dataclass(frozen=True)`` compiles six methods for each class; with some 150 classes that is half of ``import k8snetlib``. Here one
is compiled, ``__init__``, which writes straight into the slots; the others are shared, or made of C functions. ``repr`` leaves out fields
that have their default, so that what is printed is what matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_UNSET: Any = object()  # the default of an argument whose field makes a fresh object


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A frozen, slotted dataclass with the short ``repr``; methods that a class has of its own, it keeps."""
    own = {name for name in ("__repr__", "__eq__", "__hash__") if cls.__dict__.get(name)}  # beside its own __eq__, __hash__ is None
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    made.__init__ = _init(made)
    made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
    made.__getstate__, made.__setstate__ = _state, _set_state
    methods = {"__repr__": short_repr, **_comparison(made)}
    for name in methods.keys() - own:
        setattr(made, name, methods[name])
    return made


def _init(cls: type) -> Callable[..., None]:
    """``__init__`` with the fields as its arguments, written into the slots past the ``__setattr__`` that refuses."""
    scope: dict[str, Any] = {"_UNSET": _UNSET}
    arguments, body = [], []
    for each in fields(cls):  # type: ignore[arg-type]
        name = each.name
        if not each.init and each.default is each.default_factory is MISSING:
            continue  # __post_init__ fills it
        scope[f"_put_{name}"] = getattr(cls, name).__set__
        if each.default_factory is not MISSING:
            scope[f"_make_{name}"] = each.default_factory
            arguments += [f"{name}=_UNSET"] if each.init else []
            made = f"_make_{name}() if {name} is _UNSET else {name}" if each.init else f"_make_{name}()"
        else:
            made = name if each.init else f"_default_{name}"
            scope[f"_default_{name}"] = each.default
            arguments += [name if each.default is MISSING else f"{name}=_default_{name}"] if each.init else []
        body.append(f"_put_{name}(self, {made})")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    exec(f"def __init__({', '.join(['self', *arguments])}):\n " + "\n ".join(body or ["pass"]), scope)
    init = scope["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {**{each.name: each.type for each in fields(cls) if each.init}, "return": None}  # type: ignore[arg-type]
    return init


def _comparison(cls: type) -> dict[str, Callable]:
    """``__eq__`` and ``__hash__`` over the fields that count: equal are objects of one class."""
    compared = _getter([each for each in fields(cls) if each.compare])  # type: ignore[arg-type]
    hashed = _getter([each for each in fields(cls) if (each.compare if each.hash is None else each.hash)])  # type: ignore[arg-type]

    def __eq__(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(hashed(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _getter(wanted: list[Field]) -> Callable[[Any], Any]:
    return attrgetter(*[each.name for each in wanted]) if wanted else lambda self: ()


def _refuse_to_set(self: Any, name: str, new: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    """What a pickle or a deep copy takes over: the fields in their order."""
    return [getattr(self, each.name) for each in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for each, content in zip(fields(self), state, strict=True):
        getattr(type(self), each.name).__set__(self, content)


@lru_cache(maxsize=None)
def _plan(cls: type) -> tuple[dict[str, tuple[Callable, Callable]], tuple[tuple[Callable, Callable], ...], bool]:
    """How to read and write each field that a copy takes over; those that every object makes for itself; is there more to do?"""
    slots = {each.name: getattr(cls, each.name) for each in fields(cls)}
    own = tuple((slots[each.name].__set__, _maker(each)) for each in fields(cls) if not each.init and _maker(each))
    copied = {each.name: (slots[each.name].__get__, slots[each.name].__set__) for each in fields(cls) if each.init}
    return copied, own, hasattr(cls, "__post_init__")


def _maker(each: Field) -> Callable[[], Any] | None:
    """What makes the content of a field that is no argument; None where ``__post_init__`` does."""
    if each.default_factory is not MISSING:
        return each.default_factory
    return None if each.default is MISSING else lambda: each.default


def replace(old: T, /, **changes: Any) -> T:
    """As ``dataclasses.replace``, for the classes here, in half the time. TypeError for a field that there is not."""
    cls = type(old)
    copied, own, more = _plan(cls)
    new = cls.__new__(cls)
    for name, (get, put) in copied.items():
        put(new, changes.pop(name) if name in changes else get(old))
    if changes:
        raise TypeError(f"{cls.__qualname__} has no field {', '.join(sorted(changes))}")
    for put, make in own:
        put(new, make())
    if more:
        new.__post_init__()  # type: ignore[attr-defined]
    return new


def short_repr(self: Any) -> str:
    """``Class(field=value, …)`` with the fields that differ from their defaults."""
    shown = []
    for field in self.__dataclass_fields__.values():
        if field.repr:
            here = getattr(self, field.name)
            default = field.default_factory() if field.default_factory is not MISSING else field.default
            if default is MISSING or here != default:
                shown.append(f"{field.name}={here!r}")
    return f"{type(self).__qualname__}({', '.join(shown)})"
