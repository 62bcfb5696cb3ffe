"""Named sets and maps of nftables, their elements, and how a packet's key is found among them.

A set without intervals is a hash table by the text of its keys; intervals are searched by number. Elements may expire: what packets
add or refresh (``update @set { … }``) is learned state of the namespace and not part of the set.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType

from ..value import value
from .nftables_exprs import Entry, Find, Literal
from .nftables_types import Datatype, sort_key, time_text, types_of, unquote
from .state import _empty

BREAK = object()  # the packet has no such field: the rule ends without a match, negated or not


@value
class Element:
    """An element of a named set or map. ``timeout`` is its own, in seconds; ``expires`` what was left of it when it was listed."""

    key: str
    data: str = ""
    comment: str = ""
    timeout: float | None = None
    expires: float | None = None
    counter: str = ""  # as listed; the model counts nothing there

    def __str__(self) -> str:
        text = f"{self.key} {self.counter}" if self.counter else self.key
        if self.timeout is not None:
            text += f" timeout {time_text(self.timeout)}"
        if self.expires is not None:
            text += f" expires {time_text(self.expires)}"
        if self.comment:
            text += f' comment "{self.comment}"'
        return f"{text} : {self.data}" if self.data else text


@value
class NftSet:
    """A named set, or a map if it has a ``data`` type. Elements stand in the order in which ``nft list`` prints them."""

    name: str
    type: str
    data: str = ""
    flags: tuple[str, ...] = ()
    timeout: float | None = None
    gc_interval: float | None = None
    size: int | None = None
    auto_merge: bool = False
    policy: str = ""
    comment: str = ""
    elements: Mapping[str, Element] = field(default_factory=_empty)
    typeof: bool = False  # declared by an expression, ``typeof ip saddr``: ``type`` is then that expression
    unknown: tuple[str, ...] = ()  # lines that this model keeps and does not understand

    @property
    def is_map(self) -> bool:
        return bool(self.data)

    @property
    def expires(self) -> bool:
        return self.timeout is not None or "timeout" in self.flags or "dynamic" in self.flags

    def kinds(self) -> tuple[Datatype, ...]:
        """The types of its key. UnsupportedError for one that the model does not know."""
        if self.typeof:
            from .nftables_words import expression

            return expression(self.type).kinds
        return types_of(self.type)

    def declaration(self) -> list[str]:
        """What stands in the braces before the elements, a line each."""
        lines = [f"{'typeof' if self.typeof else 'type'} {self.type}" + (f" : {self.data}" if self.data else "")]
        lines += [f"policy {self.policy}"] if self.policy else []
        lines += [f"size {self.size}"] if self.size is not None else []
        lines += self.unknown
        lines += [f"flags {','.join(self.flags)}"] if self.flags else []
        lines += [f"timeout {time_text(self.timeout)}"] if self.timeout is not None else []
        lines += [f"gc-interval {time_text(self.gc_interval)}"] if self.gc_interval is not None else []
        lines += ["auto-merge"] if self.auto_merge else []
        lines += [f'comment "{self.comment}"'] if self.comment else []
        return lines

    def text(self, elements: Iterable[Element] | None = None) -> str:
        """The set as it stands in a listing; ``elements`` in place of its own, where a namespace has learned more."""
        found = self.elements.values() if elements is None else elements
        lines = [f"\t{'map' if self.data else 'set'} {self.name} {{", *self.declaration()]
        if found:
            per_line = 1
            if not self.typeof and " . " not in self.type:
                per_line = types_of(self.type)[0].per_line
            texts = list(map(str, found))
            rows = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
            lines.append("elements = { " + ",\n\t\t\t     ".join(rows) + " }")
        return "\n\t\t".join(lines) + "\n\t}"


def arranged(kinds: tuple[Datatype, ...], elements: Iterable[Element], interval: bool = False) -> Mapping[str, Element]:
    """Elements by key, in the order of a listing. Concatenations with intervals stay as they came: nft lists them as the kernel does."""
    found = {element.key: element for element in elements}
    if interval and len(kinds) > 1:
        return MappingProxyType(found)
    key = sort_key(kinds)
    return MappingProxyType({text: found[text] for text in sorted(found, key=key)})


def finder(table, source, key) -> Find:
    """How a rule finds the element for a packet: ``find(skb, env)`` gives an Entry or Element, None, or BREAK; ``env.element`` says it."""
    if isinstance(source, Literal):
        entries = {entry.key: entry for entry in source.entries}
        return _intervals(entries, key) if source.interval else _hashed(entries, key)
    named = table.set_named(source.name)
    if named.expires:
        return _timed(table, named, key)
    return _intervals(named.elements, key) if "interval" in named.flags else _hashed(named.elements, key)


def _hashed(elements: Mapping[str, Element | Entry], key) -> Find:
    get, get_element, rest = key.text(), elements.get, elements.get("*")

    def find(skb, env):
        text = get(skb, env)
        if text is None:
            return BREAK
        found = get_element(text, rest)
        if found is not None:
            env.element = str(found)
        return found

    return find


def _intervals(elements: Mapping[str, Element | Entry], key) -> Find:
    kinds, rest = key.kinds, elements.get("*")
    rows = [(element, text) for text, element in elements.items() if text != "*"]
    if len(kinds) > 1 or kinds[0].name == "ifname":
        return _scan(rows, rest, key)
    spans = sorted((*kinds[0].bounds(text), i) for i, (_, text) in enumerate(rows))
    lows, get = [low for low, _, _ in spans], key.number()

    def find(skb, env):
        number = get(skb, env)
        if number is None:
            return BREAK
        place = bisect_right(lows, number) - 1
        found = rows[spans[place][2]][0] if place >= 0 and number <= spans[place][1] else rest
        if found is not None:
            env.element = str(found)
        return found

    return find


def _scan(rows: list, rest: object, key) -> Find:
    """Concatenations with intervals, and interface patterns: one after the other."""
    tests = [
        (element, tuple(_inside(kind, part) for kind, part in zip(key.kinds, text.split(" . "), strict=True))) for element, text in rows
    ]
    get, single = key.number(), len(key.kinds) == 1

    def find(skb, env):
        values = get(skb, env)
        if values is None:
            return BREAK
        values = (values,) if single else values
        found = next((element for element, parts in tests if all(test(v) for test, v in zip(parts, values, strict=True))), rest)
        if found is not None:
            env.element = str(found)
        return found

    return find


def _inside(kind: Datatype, text: str):
    if kind.name == "ifname":
        return name_test(text)
    low, high = kind.bounds(text)
    return lambda number: low <= number <= high


def name_test(text: str):
    """``"cni*"`` stands for every name that begins so."""
    name = unquote(text)
    if name.endswith("*"):
        return lambda value: value.startswith(name[:-1])
    return lambda value: value == name


def _timed(table, named: NftSet, key) -> Find:
    """A set whose elements expire: first what packets have left in it, then what it was loaded with."""
    get, elements, where = key.text(), named.elements, (table.family, table.name, named.name)

    def find(skb, env):
        text = get(skb, env)
        if text is None:
            return BREAK
        found, life = env.nft_used(where, text), elements.get(text)
        if found is not None:
            since, timeout = found
            alive = not timeout or env.engine.now < since + timeout
        elif life is not None:
            left = life.expires if life.expires is not None else life.timeout if life.timeout is not None else named.timeout
            alive = not left or env.engine.now < left
        else:
            return None
        if alive:
            life = life or Element(text)
            env.element = str(life)
            return life
        return None

    return find
