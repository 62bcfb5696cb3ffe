"""Ops on nftables: texts for ``nft -f``, whole tables, and the elements that packets leave in sets."""

from __future__ import annotations

from ..errors import ModelError
from ..value import value
from .draft import Draft, NsDraft


@value
class NftRestore:
    """Give a text to ``nft -f``: tables in braces, or commands (``add rule ip t c …``). All of it is done, or none."""

    netns: str
    text: str

    def apply(self, draft: Draft) -> None:
        from .nftables import Ruleset

        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            _set_tables(ns, (ns.nftables or Ruleset()).restore(self.text))

    def command(self) -> str:
        return _command(self.netns, self.text)


@value
class NftReplace:
    """Put a table (``nftables.Table``) in the place of the one of its name, if there is one, in one transaction."""

    netns: str
    table: object

    @property
    def text(self) -> str:
        """For ``nft -f``: the first line makes sure that there is a table to delete."""
        return f"table {self.table.title}\ndelete table {self.table.title}\n{self.table}"

    def apply(self, draft: Draft) -> None:
        from .nftables import Ruleset

        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            _set_tables(ns, (ns.nftables or Ruleset()).replaced(self.table))

    def command(self) -> str:
        return _command(self.netns, self.text)


def _command(netns: str, text: str) -> str:
    return f"ip netns exec {netns} nft -f - <<'EOF'\n{text.rstrip()}\nEOF"


def _set_tables(ns: NsDraft, ruleset) -> None:
    owners = [("nft", table.family, table.name, chain.name) for table, chain in ruleset.base_chains()]
    ns.nftables, present = ruleset, set(owners)
    ns.registered(owners, lambda owner: owner[0] == "nft" and owner not in present)


@value
class NftElementAdd:
    """An element that a packet put into a set or refreshed: used at ``since``, to live ``timeout`` seconds from then (0: for ever)."""

    netns: str
    family: str
    table: str
    set: str
    key: str
    timeout: float = 0.0
    since: float = 0.0

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            if ns.nftables is None or (self.family, self.table) not in ns.nftables.tables:
                raise ModelError(f"there is no table {self.family} {self.table}")
            ns.nftables = ns.nftables.with_used((self.family, self.table, self.set, self.key), self.since, self.timeout)

    @property
    def element(self) -> str:
        from .nftables_types import time_text

        return f"{self.key} timeout {time_text(self.timeout)}" if self.timeout else self.key

    def command(self) -> str:
        return f"ip netns exec {self.netns} nft 'add element {self.family} {self.table} {self.set} {{ {self.element} }}'"
