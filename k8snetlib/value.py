"""``value``: the decorator of every frozen, slotted dataclass here.

A plain ``@dataclass(frozen=True)`` compiles six methods for each class; with some 150 classes that is half of ``import k8snetlib``. Here one
is compiled, ``__new__``, which writes straight into the slots; the others are shared, or made of C functions. ``repr`` leaves out fields
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
    made.__new__ = _maker(made)
    made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
    made.__reduce__ = _reduce
    made._arguments = _arguments(made)
    methods = {"__repr__": short_repr, **_comparison(made)}
    for name in methods.keys() - own:
        setattr(made, name, methods[name])
    return made


def _maker(cls: type) -> Any:
    """``__new__`` with the fields as its arguments, which fills the object while it is of a class of the same layout that refuses nothing.

    That takes half the time of setting each slot past a ``__setattr__`` that refuses, and the model makes little else than values.
    """
    blank = type(cls.__name__, cls.__bases__, {"__slots__": cls.__dict__["__slots__"], "__setattr__": object.__setattr__})
    scope: dict[str, Any] = {"_UNSET": _UNSET, "_blank": blank, "_empty": object.__new__, "_moved": _moved}
    arguments, body = [], ["self = _empty(_blank)"]
    for each in fields(cls):  # type: ignore[arg-type]
        name = each.name
        if not each.init and each.default is each.default_factory is MISSING:
            continue  # __post_init__ fills it
        if each.default_factory is not MISSING:
            scope[f"_make_{name}"] = each.default_factory
            arguments += [f"{name}=_UNSET"] if each.init else []
            made = f"_make_{name}() if {name} is _UNSET else {name}" if each.init else f"_make_{name}()"
        else:
            made = name if each.init else f"_default_{name}"
            scope[f"_default_{name}"] = each.default
            arguments += [name if each.default is MISSING else f"{name}=_default_{name}"] if each.init else []
        body.append(f"self.{name} = {made}")
    body += ["try:", " self.__class__ = cls", "except TypeError:", " self = _moved(self, cls)"]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    body.append("return self")
    exec(f"def __new__({', '.join(['cls', *arguments])}):\n " + "\n ".join(body), scope)
    new = scope["__new__"]
    new.__qualname__, new.__module__ = f"{cls.__qualname__}.__init__", cls.__module__  # as errors about arguments name it
    new.__annotations__ = {**{each.name: each.type for each in fields(cls) if each.init}}  # type: ignore[arg-type]
    return staticmethod(new)


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


def _reduce(self: Any) -> tuple:
    """What a pickle or a deep copy takes over: the fields in their order."""
    return _revive, (self.__class__, [getattr(self, each.name) for each in fields(self)])


def _revive(cls: type[T], contents: list[Any]) -> T:
    names = (each.name for each in fields(cls))  # type: ignore[arg-type]
    return amend(object.__new__(cls), **dict(zip(names, contents, strict=True)))


def _moved(filled: Any, cls: type[T]) -> T:
    """The same fields in an object of a class of another layout: an ordinary class that has a value for its base."""
    names = (each.name for each in fields(cls))  # type: ignore[arg-type]
    return amend(object.__new__(cls), **{name: getattr(filled, name) for name in names if hasattr(filled, name)})


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
