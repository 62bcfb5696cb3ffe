"""Ops on iptables: whole rule sets, single chains and rules beside those of others, and the lists of the ``recent`` match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from ..value import value
from .draft import Draft
from .recent import Entries

if TYPE_CHECKING:
    from .netfilter import Ruleset

TOOLS = {4: "iptables", 6: "ip6tables"}


def _ruleset(draft: Draft, netns: str, version: int) -> Ruleset:
    from .netfilter import Ruleset

    return draft.ns(netns).rulesets.get(version) or Ruleset({}, version)


def _restore(draft: Draft, netns: str, version: int, text: str | Ruleset, noflush: bool) -> None:
    """Load rules, and let netfilter's hooks know of tables that are new."""
    old, ns = _ruleset(draft, netns, version), draft.ns(netns)
    new = ns.rulesets[version] = old.restore(text, noflush)
    ns.registered([("iptables", version, name) for name in new.tables], lambda owner: False)


@value
class RulesRestore:
    """Load rules, given as ``iptables-save`` text or as a rule set, with iptables-restore (``version`` 6: ip6tables-restore).

    It replaces the tables that it names; with ``noflush`` (iptables-restore --noflush) only the chains that it declares: other chains
    stay, and rules for a built-in chain are added at its end.
    """

    netns: str
    text: str | Ruleset
    version: int = 4
    noflush: bool = False

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            _restore(draft, self.netns, self.version, self.text, self.noflush)

    def argv(self) -> list[str]:
        """The program that reads the text, and its options."""
        return [f"{TOOLS[self.version]}-restore", *(["--noflush"] if self.noflush else [])]

    def command(self) -> str:
        return f"ip netns exec {self.netns} {' '.join(self.argv())} <<'EOF'\n{str(self.text).rstrip()}\nEOF"


@value
class ChainAdd:
    """Make sure that a user's chain exists: ``iptables -N``, which fails, and changes nothing, if it does."""

    netns: str
    table: str
    chain: str
    version: int = 4

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            table = _ruleset(draft, self.netns, self.version).tables.get(self.table)
            if table is None or self.chain not in table.chains:
                _restore(draft, self.netns, self.version, f"*{self.table}\n-N {self.chain}\nCOMMIT", True)

    def argv(self) -> list[str]:
        return [TOOLS[self.version], "-w", "-t", self.table, "-N", self.chain]

    def command(self) -> str:
        return f"ip netns exec {self.netns} {' '.join(self.argv())} 2>/dev/null || true"


@value
class RuleEnsure:
    """Make sure that a rule stands in a chain; a missing one goes to the top (``iptables -C … || iptables -I …``).

    ``rule`` is its text without ``-A CHAIN``. ModelError if the chain, or the one that the rule jumps to, is not there.
    """

    netns: str
    table: str
    chain: str
    rule: str
    version: int = 4

    def apply(self, draft: Draft) -> None:
        from .netfilter import read_rule

        if draft.outside(self.netns):
            return
        table = _ruleset(draft, self.netns, self.version).tables.get(self.table)
        if table is not None and self.chain not in table.chains:
            raise ModelError(f"there is no chain {self.chain!r} in table {self.table}")
        if table is None or read_rule(self.rule, self.version) not in table.chains[self.chain].rules:
            _restore(draft, self.netns, self.version, f"*{self.table}\n-I {self.chain} {self.rule}\nCOMMIT", True)

    def script(self) -> str:
        """The two commands, for a shell."""
        tool = f"{TOOLS[self.version]} -w -t {self.table}"
        return f"{tool} -C {self.chain} {self.rule} 2>/dev/null || {tool} -I {self.chain} {self.rule}"

    def command(self) -> str:
        first, second = self.script().split(" || ")
        return f"ip netns exec {self.netns} {first} || ip netns exec {self.netns} {second}"


@value
class RecentSet:
    """Put a list of the ``recent`` match into this state; packets leave these behind. A command cannot set the times: they become now."""

    netns: str
    list: str
    entries: Entries

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).recent[self.list] = self.entries

    def command(self) -> str:
        words = " ".join(["/", *(f"+{entry.address}" for entry in self.entries)])
        return f"ip netns exec {self.netns} sh -c 'for a in {words}; do echo $a > /proc/net/xt_recent/{self.list}; done'"
