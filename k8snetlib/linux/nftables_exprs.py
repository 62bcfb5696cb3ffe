"""The expressions of nftables rules as typed values: what a rule looks at, and what it compares that with.

Each prints itself as ``nft list`` does. ``number(skb, env)`` and ``text(skb, env)`` are functions that ``reader`` makes once per rule.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedError
from ..value import value
from .nftables_fields import FIELDS, Getter
from .nftables_types import Datatype


@value
class Select:
    """One selector, ``ip saddr``."""

    words: str

    @property
    def kinds(self) -> tuple[Datatype, ...]:
        return (FIELDS[self.words].kind,)

    @property
    def needs_ct(self) -> bool:
        return FIELDS[self.words].needs_ct

    def number(self) -> Getter:
        return FIELDS[self.words].number

    def text(self) -> Getter:
        return FIELDS[self.words].text

    def __str__(self) -> str:
        return self.words


@value
class Bits:
    """A selector after bit operations, ``meta mark & 0x00004000``; each operation is (operator, value)."""

    base: Select
    steps: tuple[tuple[str, str], ...]

    @property
    def kinds(self) -> tuple[Datatype, ...]:
        return self.base.kinds

    @property
    def needs_ct(self) -> bool:
        return self.base.needs_ct

    def number(self) -> Getter:
        get, kind = self.base.number(), self.kinds[0]
        steps = [(operator, kind.number(text)) for operator, text in self.steps]

        def number(skb, env) -> int | None:
            found = get(skb, env)
            if found is not None:
                for operator, operand in steps:
                    found = found & operand if operator == "&" else found | operand if operator == "|" else found ^ operand
            return found

        return number

    def text(self) -> Getter:
        number, kind = self.number(), self.kinds[0]

        def text(skb, env) -> str | None:
            found = number(skb, env)
            return None if found is None else kind.text(found)

        return text

    def __str__(self) -> str:
        return str(self.base) + "".join(f" {operator} {text}" for operator, text in self.steps)


@value
class Concat:
    """Several selectors as one key, ``ip daddr . meta l4proto . th dport``."""

    parts: tuple[Select | Bits, ...]

    @property
    def kinds(self) -> tuple[Datatype, ...]:
        return tuple(kind for part in self.parts for kind in part.kinds)

    @property
    def needs_ct(self) -> bool:
        return any(part.needs_ct for part in self.parts)

    def number(self) -> Getter:
        getters = [part.number() for part in self.parts]

        def numbers(skb, env) -> tuple | None:
            found = tuple([get(skb, env) for get in getters])
            return None if None in found else found

        return numbers

    def text(self) -> Getter:
        getters = [part.text() for part in self.parts]

        def text(skb, env) -> str | None:
            found = [get(skb, env) for get in getters]
            return None if None in found else " . ".join(found)

        return text

    def __str__(self) -> str:
        return " . ".join(map(str, self.parts))


@value
class Numgen:
    """``numgen random mod N``: a number from 0 to N−1, each as likely as any other. ``inc`` counts up, which the model does not do."""

    modulus: int
    how: str = "random"
    offset: int = 0

    needs_ct = False

    @property
    def kinds(self) -> tuple[Datatype, ...]:
        from .nftables_types import TYPES

        return (TYPES["integer"],)

    def number(self) -> Getter:
        if self.how != "random":
            return _refuse(f"{self} is not modelled: the kernel counts connections from all processors")
        return lambda skb, env: env.choose(self, self.modulus) + self.offset

    def text(self) -> Getter:
        number = self.number()
        return lambda skb, env: str(number(skb, env))

    def __str__(self) -> str:
        return f"numgen {self.how} mod {self.modulus}" + (f" offset {self.offset}" if self.offset else "")


def _refuse(message: str) -> Getter:
    def refuse(skb, env):
        raise UnsupportedError(message)

    return refuse


@value
class Entry:
    """An element of a literal set or map: its key, and for a map what it gives; ``*`` catches all."""

    key: str
    data: str = ""

    def __str__(self) -> str:
        return f"{self.key} : {self.data}" if self.data else self.key


@value
class Literal:
    """A set or map that stands in the rule itself, ``{ 22, 80-90 }``; ``interval`` if a key is a prefix, a range or a pattern."""

    entries: tuple[Entry, ...]
    interval: bool = False

    def __str__(self) -> str:
        return f"{{ {', '.join(map(str, self.entries))} }}"


@value
class Named:
    """A set or map of the table, ``@service-ips``."""

    name: str

    def __str__(self) -> str:
        return f"@{self.name}"


@value
class Lookup:
    """What a map gives for a key, ``ip saddr map @backends``."""

    key: object
    source: Literal | Named

    @property
    def needs_ct(self) -> bool:
        return self.key.needs_ct

    def __str__(self) -> str:
        return f"{self.key} map {self.source}"


Find = Callable[[object, object], object]  # (skb, env) → the element found, or None
