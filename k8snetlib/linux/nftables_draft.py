"""A table of nftables while a transaction changes it, and what must hold at its end."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from ..errors import ModelError
from ..value import replace
from .nftables import Chain, Hook, Table
from .nftables_exprs import Named
from .nftables_sets import Element, NftSet, arranged
from .nftables_stmts import Verdict, Vmap, verdict
from .nftables_targets import Translate, Update


class TableDraft:
    """A table while a transaction runs."""

    def __init__(self, family: str, name: str, old: Table | None = None) -> None:
        self.family, self.name, self.comment = family, name, old.comment if old else ""
        self.others = old.others if old else ()
        self.chains: dict[str, Chain] = dict(old.chains) if old else {}
        self.sets: dict[str, NftSet] = dict(old.sets) if old else {}
        self.rules: dict[str, list[str]] = {}  # chains whose rules this transaction changes
        self.elements: dict[str, dict[str, Element]] = {}  # sets whose elements it changes
        self.deleted = False  # chains or sets have gone: nothing may still name them
        self.flushed: set[str] = set()  # sets emptied or gone: what packets left there is gone too

    def lines(self, chain: str) -> list[str]:
        if chain not in self.chains:
            raise ModelError(f"table {self.family} {self.name} has no chain {chain!r}")
        return self.rules.setdefault(chain, list(self.chains[chain].lines))

    def members(self, name: str) -> dict[str, Element]:
        if name not in self.sets:
            raise ModelError(f"table {self.family} {self.name} has no set or map {name!r}")
        return self.elements.setdefault(name, dict(self.sets[name].elements))

    def freeze(self) -> Table:
        chains = {name: replace(c, lines=tuple(self.rules[name])) if name in self.rules else c for name, c in self.chains.items()}
        sets = dict(self.sets)
        for name, found in self.elements.items():
            if name in sets:
                own = sets[name]
                sets[name] = replace(own, elements=arranged(own.kinds(), found.values(), "interval" in own.flags))
        table = Table(self.family, self.name, MappingProxyType(chains), MappingProxyType(sets), self.comment, self.others)
        check(table, chains if self.deleted else [name for name in self.rules if name in chains])
        for name in sets if self.deleted else self.elements:
            for element in sets[name].elements.values() if name in sets and sets[name].data == "verdict" else ():
                known_chain(table, verdict(element.data))
        return table


def check(table: Table, chains: Iterable[str]) -> None:
    """Chains and sets that the rules name must be there, and a base chain can do what its type and hook allow (as the kernel checks)."""
    for name in chains:
        hook = table.chains[name].hook
        for rule in table.rules(name):
            for statement in rule.statements:
                for target in named_chains(statement):
                    known_chain(table, target)
                for used in named_sets(statement):
                    table.set_named(used)
                if hook is not None and isinstance(statement, Translate):
                    allowed(hook, statement)


def named_chains(statement: object) -> Iterable[Verdict]:
    if isinstance(statement, Verdict):
        return (statement,)
    entries = getattr(getattr(statement, "source", None), "entries", ()) if isinstance(statement, Vmap) else ()
    return [verdict(entry.data) for entry in entries]


def named_sets(statement: object) -> Iterable[str]:
    if isinstance(statement, Update):
        return (statement.set,)
    lookup = getattr(statement, "to", statement)
    sources = (getattr(lookup, "source", None), getattr(statement, "right", None))
    return [source.name for source in sources if isinstance(source, Named)]


def known_chain(table: Table, found: Verdict) -> None:
    if found.chain and found.chain not in table.chains:
        raise ModelError(f"there is no chain {found.chain!r} in table {table.title}")


WHERE = {
    "dnat": ("prerouting", "output"), "redirect": ("prerouting", "output"),
    "snat": ("postrouting", "input"), "masquerade": ("postrouting",),
}  # fmt: skip


def allowed(hook: Hook, statement: Translate) -> None:
    """NAT is done in chains of type nat, destinations before and sources after routing (nft_nat_validate). ModelError elsewhere."""
    if hook.type != "nat" or hook.hook not in WHERE[statement.kind]:
        raise ModelError(f"{str(statement)!r} cannot stand in a {hook.type} chain at {hook.hook}: Operation not supported")
