"""``value``: the decorator of every frozen, slotted dataclass here.

A plain ``@dataclass`` spends half its time on a ``__repr__`` of its own for each class; with some 150 classes that is a third of
``import k8snetlib``. All share one here, which leaves out fields that have their default, so that what is printed is what matters.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A frozen, slotted dataclass with the short ``repr``; a class that has its own ``__repr__`` keeps it."""
    if "__repr__" not in cls.__dict__:
        cls.__repr__ = short_repr  # type: ignore[method-assign]
    return dataclass(frozen=True, slots=True, repr=False)(cls)


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
