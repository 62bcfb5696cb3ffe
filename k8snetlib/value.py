"""``value``: the decorator of every frozen, slotted dataclass here.

A plain ``@dataclass(frozen=True)`` compiles six methods for each class; with some 150 classes that is half of ``import k8snetlib``. Here one
is compiled, ``__init__``, which writes straight into the slots; the others are shared, or made of C functions. ``repr`` leaves out fields
that have their default, so that what is printed is what matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
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
    made._arguments = _arguments(made)
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


def _arguments(cls: type) -> tuple[tuple[str, ...], Callable[[Any], Iterable[Any]]]:
    """The names of what ``__init__`` takes, and what reads all of it from an object, in that order."""
    names = tuple(each.name for each in fields(cls) if each.init)  # type: ignore[arg-type]
    return names, attrgetter(*names) if len(names) > 1 else lambda self: [getattr(self, name) for name in names]


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


def replace(old: T, /, **changes: Any) -> T:
    """As ``dataclasses.replace``, for the classes here, in half the time. TypeError for a field that there is not."""
    cls = old.__class__
    names, contents = cls._arguments  # type: ignore[attr-defined]
    new = cls(*map(changes.pop, names, contents(old)))
    if changes:
        raise TypeError(f"{cls.__qualname__} has no field {', '.join(sorted(changes))}")
    return new


def amend(new: T, /, **changes: Any) -> T:
    """The same object with other contents: for the one who made it, while nobody else holds it. AttributeError for a field that there is not."""
    cls = new.__class__
    for name, content in changes.items():
        getattr(cls, name).__set__(new, content)
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
