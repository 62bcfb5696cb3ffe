"""nftables: tables, chains, sets and maps as typed values, read from and printed as ``nft list`` text (nft 1.0.6).

``Table.parse(text)`` is the inverse of ``str()``. A chain keeps its rules as lines in nft's own words; they become statements when a packet
first enters it, so that a table of 10,000 Services costs no more than its text. What a rule can say is in ``nftables_stmts`` and
``nftables_exprs``, how a packet walks in ``nftables_walk``, how text is read in ``nftables_text``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from types import MappingProxyType

from ..errors import ModelError
from ..value import amend, value
from .nftables_sets import Element, NftSet
from .state import EMPTY, _empty

VERSIONS = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
# include/uapi/linux/netfilter_ipv4.h; nft prints a priority by name where it lies within 10 of one that the hook knows
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_ONLY_AT = {"dstnat": "prerouting", "srcnat": "postrouting"}
_TRANSLATES = ("dnat ", "snat ", "masquerade", "redirect")


@value
class Rule:
    """One rule: statements from left to right, and a comment."""

    statements: tuple
    comment: str = ""

    @classmethod
    def parse(cls, text: str, family: str = "ip", sets: Mapping[str, NftSet] = EMPTY, listed: bool = True) -> Rule:
        """Read a rule without its chain. ModelError if it is no rule; words that the model does not know become ``Verbatim``."""
        from .nftables_reader import RuleReader

        return cls(*RuleReader(text, family, sets, listed).rule())

    def __str__(self) -> str:
        words = " ".join(map(str, self.statements))
        return f'{words} comment "{self.comment}"' if self.comment else words


@value
class Hook:
    """Where a base chain stands: its type (filter, nat, route), hook, priority, and the policy for packets that no rule decides."""

    type: str
    hook: str  # prerouting, input, forward, output, postrouting
    priority: int
    policy: str = "accept"

    def __str__(self) -> str:
        return f"type {self.type} hook {self.hook} priority {self.priority_text()}; policy {self.policy};"

    def priority_text(self) -> str:
        for name, base in PRIORITIES.items():
            offset = self.priority - base
            if abs(offset) <= 10 and _ONLY_AT.get(name, self.hook) == self.hook:
                return name if not offset else f"{name} {'+' if offset > 0 else '-'} {abs(offset)}"
        return str(self.priority)


@value
class Chain:
    """A chain: its rules as ``nft list`` prints them, a line each; a base chain has a ``hook``."""

    name: str
    lines: tuple[str, ...] = ()
    hook: Hook | None = None
    comment: str = ""

    def text(self) -> str:
        """The chain as it stands in a listing."""
        head = f'\n\t\tcomment "{self.comment}"' if self.comment else ""
        head += f"\n\t\t{self.hook}" if self.hook else ""
        return "\n\t\t".join((f"\tchain {self.name} {{{head}", *self.lines)) + "\n\t}"


@value
class Table:
    """A table of one family (ip, ip6, inet): sets and maps, then chains, by name in the order in which they were made."""

    family: str
    name: str
    chains: Mapping[str, Chain] = field(default_factory=_empty)
    sets: Mapping[str, NftSet] = field(default_factory=_empty)
    comment: str = ""
    others: tuple[str, ...] = ()  # named counters, quotas, flow tables …: kept as they are written
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Table:
        """Read the text of ``nft list table``. ModelError, with its line, for text that is none."""
        tables = Ruleset.parse(text).tables
        if len(tables) != 1:
            raise ModelError(f"the text holds {len(tables)} tables, not one")
        return next(iter(tables.values()))

    @property
    def title(self) -> str:
        """``ip kube-proxy``, as commands name it."""
        return f"{self.family} {self.name}"

    def set_named(self, name: str) -> NftSet:
        """ModelError when the table has no such set or map."""
        try:
            return self.sets[name]
        except KeyError:
            raise ModelError(f"table {self.title} has no set or map {name!r}") from None

    def rules(self, chain: str) -> tuple[Rule, ...]:
        """The rules of a chain as values, read once."""
        key = ("rules", chain)
        found = self.cache.get(key)
        if found is None:
            lines = self.chains[chain].lines
            found = self.cache[key] = tuple([Rule.parse(line, self.family, self.sets) for line in lines])
        return found

    @property
    def base_chains(self) -> tuple[Chain, ...]:
        if "base" not in self.cache:
            self.cache["base"] = tuple(chain for chain in self.chains.values() if chain.hook is not None)
        return self.cache["base"]

    @property
    def tracks(self) -> bool:
        """Whether conntrack is at work for the table's families: for any rule that translates or asks for a connection."""
        if "tracks" not in self.cache:
            lines = (line for chain in self.chains.values() for line in chain.lines)
            self.cache["tracks"] = any(
                rule.needs_ct
                for line in lines
                if "ct " in line or any(word in line for word in _TRANSLATES)
                for rule in Rule.parse(line, self.family, self.sets).statements
                if hasattr(rule, "needs_ct")
            )
        return self.cache["tracks"]

    def __str__(self) -> str:
        return self.listing()

    def listing(self, elements: Mapping[str, list[Element]] = EMPTY) -> str:
        """``nft list table``; ``elements`` of a set in place of its own, where a namespace has learned more."""
        head = f"table {self.title} {{\n" + (f'\tcomment "{self.comment}"\n' if self.comment else "")
        late = [other.startswith("flowtable") for other in self.others]
        parts = [f"\t{other}" for other, last in zip(self.others, late, strict=True) if not last]
        parts += [part.text(elements.get(part.name)) for part in self.sets.values()]
        parts += [f"\t{other}" for other, last in zip(self.others, late, strict=True) if last]
        parts += [part.text() for part in self.chains.values()]
        return head + "\n\n".join(parts) + ("\n}" if parts else "}")


@value
class Ruleset:
    """The tables of a namespace by (family, name), and what packets have left in sets whose elements expire: (family, table, set, key) →
    (time of last use, timeout), in seconds."""

    tables: Mapping[tuple[str, str], Table] = field(default_factory=_empty)
    used: Mapping[tuple[str, str, str, str], tuple[float, float]] = field(default_factory=_empty)
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Ruleset:
        """Read the text of ``nft list ruleset``. ModelError names what is wrong."""
        from .nftables_text import restore

        return restore(cls(), text, listed=True)

    def restore(self, text: str) -> Ruleset:
        """The rule set after ``nft -f`` has read the text: tables in braces, or commands (add, insert, flush, delete)."""
        from .nftables_text import restore

        return restore(self, text)

    def replaced(self, table: Table) -> Ruleset:
        """The rule set with a table in place of the one of its name; what packets left in that one is gone."""
        key = (table.family, table.name)
        tables = {**{k: t for k, t in self.tables.items() if k != key}, key: table}
        return Ruleset(MappingProxyType(tables), MappingProxyType({k: v for k, v in self.used.items() if k[:2] != key}))

    def with_used(self, key: tuple[str, str, str, str], since: float, timeout: float) -> Ruleset:
        """An element added or refreshed; what was made of the tables stays valid."""
        new = Ruleset(self.tables, MappingProxyType({**self.used, key: (since, timeout)}))
        amend(new, cache=self.cache)
        return new

    def hooked(self, version: int) -> bool:
        """Whether any base chain sees packets of that IP version."""
        key = ("hooked", version)
        if key not in self.cache:
            self.cache[key] = any(version in VERSIONS.get(t.family, ()) and t.base_chains for t in self.tables.values())
        return self.cache[key]

    def tracks(self, version: int) -> bool:
        key = ("tracks", version)
        if key not in self.cache:
            self.cache[key] = any(version in VERSIONS.get(t.family, ()) and t.tracks for t in self.tables.values())
        return self.cache[key]

    def base_chains(self) -> Iterator[tuple[Table, Chain]]:
        for table in self.tables.values():
            for chain in table.base_chains:
                yield table, chain

    def __str__(self) -> str:
        return self.listing()

    def listing(self, now: float = 0.0) -> str:
        """``nft list ruleset`` at a moment: with the elements that packets left and how long they still live."""
        return "\n".join(self.table_listing(table, now) for table in self.tables.values())

    def table_listing(self, table: Table, now: float = 0.0) -> str:
        """``nft list table`` at a moment."""
        return table.listing(self._elements(table, now)) if self.used else str(table)

    def _elements(self, table: Table, now: float) -> Mapping[str, list[Element]]:
        from .nftables_sets import arranged

        found: dict[str, dict[str, Element]] = {}
        for (family, name, own, key), (since, timeout) in self.used.items():
            if (family, name) == (table.family, table.name) and own in table.sets:
                elements = found.setdefault(own, dict(table.sets[own].elements))
                elements.pop(key, None)
                if not timeout or now < since + timeout:
                    shown = None if timeout == table.sets[own].timeout else timeout or None
                    elements[key] = Element(key, timeout=shown, expires=since + timeout - now if timeout else None)
        return {name: list(arranged(table.sets[name].kinds(), each.values()).values()) for name, each in found.items()}
