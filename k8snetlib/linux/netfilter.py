"""iptables: rule sets as typed values, read from and printed as ``iptables-save`` text, and the walk of a packet through a chain.

``Ruleset.parse(text)`` is the inverse of ``str()``. A packet meets the tables of a hook in the order of ``ORDER``; conntrack stands
between raw and mangle (include/uapi/linux/netfilter_ipv4.h, the priorities ``NF_IP_PRI_*``; the table security is where iptables puts it
that makes nf_tables of its rules, at 150, not at 50 as the kernel's own ip_tables: in INPUT it comes after nat).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType

from ..errors import ModelError, UnsupportedError
from ..value import value
from .iptables_text import BUILT_IN, read_rule, read_tables, tokens
from .packet import Skb
from .rules import Chain, ChainLines, Rule, RuleLines, Table
from .targets import ConnMark, Jump, Nat, SetMark, Verdict
from .xtables_more import Verbatim

__all__ = [
    "BUILT_IN",
    "ORDER",
    "Chain",
    "ChainLines",
    "Rule",
    "RuleLines",
    "Ruleset",
    "Table",
    "iterate_rules",
    "read_rule",
    "tokens",
    "walk",
]

ORDER = MappingProxyType(
    {
        "PREROUTING": ("raw", "mangle", "nat"),
        "INPUT": ("mangle", "filter", "nat", "security"),
        "FORWARD": ("mangle", "filter", "security"),
        "OUTPUT": ("raw", "mangle", "nat", "filter", "security"),
        "POSTROUTING": ("mangle", "nat"),
    }
)
JUMP_LIMIT = 64
_TRACKING = (" -j DNAT", " -j SNAT", " -j MASQUERADE", " -j REDIRECT", " -j CONNMARK", "-m conntrack", "-m state", "-m connmark")
LOGGING = ("LOG", "NFLOG", "ULOG", "TRACE", "AUDIT")  # targets that let the packet go on as it is


@value
class Ruleset:
    """All tables of one address family in one namespace."""

    tables: Mapping[str, Table]
    version: int = 4
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, version: int = 4) -> Ruleset:
        """Read ``iptables-save`` or ``iptables-restore`` text.

        ModelError names the line that is no rule; UnsupportedError one with a match that no iptables of 2026 has.
        """
        return cls(MappingProxyType(read_tables(text, version)), version)

    def merge(self, newer: Ruleset) -> Ruleset:
        """This rule set with the tables of the newer one in place of its own, as iptables-restore does."""
        return Ruleset(MappingProxyType({**self.tables, **newer.tables}), self.version)

    def restore(self, given: str | Ruleset, noflush: bool = False) -> Ruleset:
        """What is there after iptables-restore, or iptables-restore --noflush: which keeps every chain that the text does not declare, and
        adds to the built-in ones."""
        if isinstance(given, str):
            return self.merge(Ruleset(MappingProxyType(read_tables(given, self.version, self.tables, noflush)), self.version))
        if not noflush:
            return self.merge(given)
        added = {name: _added(self.tables.get(name), table, self.version) for name, table in given.tables.items()}
        return Ruleset(MappingProxyType({**self.tables, **added}), self.version)

    def stops(self, hook: str) -> Sequence[str]:
        """The tables that a packet meets at a hook, in order."""
        found = self.cache.get(hook)
        if found is None:
            found = self.cache[hook] = tuple(name for name in ORDER[hook] if name in self.tables)
        return found

    @property
    def tracks(self) -> bool:
        """Whether conntrack is at work: Linux switches it on per namespace for a rule that translates or asks for a connection.

        A nat table without such a rule tracks nothing, and its rules are not asked (observed with iptables 1.8.9 on nf_tables).
        """
        if "tracks" not in self.cache:
            self.cache["tracks"] = any(_tracks(table.chains[name].rules) for table in self.tables.values() for name in table.chains)
        return self.cache["tracks"]

    def __str__(self) -> str:
        return "\n".join(str(table) for table in self.tables.values())


def _added(old: Table | None, new: Table, version: int) -> Table:
    """The old table with the chains of the new one: a user's chain is replaced, a built-in one gets the new rules at its end."""
    built_in = BUILT_IN[new.name]
    lines: dict[str, Sequence[str]] = {name: old.lines_of(name) for name in old.chains} if old else {}
    for name in new.chains:
        lines[name] = [*lines.get(name, ()), *new.lines_of(name)] if name in built_in else new.lines_of(name)
    ordered = {name: lines.get(name, ()) for name in built_in} | {name: lines[name] for name in sorted(lines.keys() - set(built_in))}
    policies = {name: next((p for p in (t.policy(name) for t in (new, old) if t and name in t.chains) if p), "ACCEPT") for name in built_in}
    return Table(new.name, ChainLines(ordered, policies, version))


def _tracks(rules: Sequence[Rule]) -> bool:
    if type(rules) is RuleLines:
        return any(_needs_conntrack(rules[i]) for i, line in enumerate(rules.lines) if any(word in line for word in _TRACKING))
    return any(map(_needs_conntrack, rules))


def _needs_conntrack(rule: Rule) -> bool:
    return isinstance(rule.target, (Nat, ConnMark)) or any(match.name in ("conntrack", "state", "connmark") for match in rule.matches)


def walk(table: Table, hook: str, skb: Skb, env) -> object:
    """Take the packet through the built-in chain of that hook; the result is a target: ``Verdict``, ``Reject`` or ``Nat``.

    ``env.matched(hook, table, chain, index, rule, verdict, examined)`` is told every rule that matched and the policy that decided in the
    end; ``examined`` counts the rules of this table that a walk from rule to rule, the kernel's, has looked at by then.
    UnsupportedError, with the rule, if the outcome hangs on a match or target that is not modelled.
    """
    policy = table.policy(hook) or "ACCEPT"
    stack: list[tuple[str, int]] = []
    chain, position, examined = hook, 0, 0
    while True:
        compiled = table.compiled(chain)
        entries, target = compiled.entries, None
        for index in range(position, len(entries)) if compiled.index is None else compiled.candidates(skb, position):
            tests, rule = entries[index] or compiled.entry(index)
            try:
                for test in tests:
                    if not test(skb, env):
                        break
                else:
                    examined += index + 1 - position
                    position = index + 1
                    target = _act(rule, skb, env, (hook, table.name, chain, index), examined)
                    if target is not None:
                        break
            except UnsupportedError as error:
                raise UnsupportedError(f"table {table.name}: -A {chain} {rule}: {error}") from None
        if target is None:
            examined += len(entries) - position
        if target is None or (isinstance(target, Verdict) and target.name == "RETURN"):
            if not stack:
                env.matched(hook, table.name, hook, -1, None, policy, examined)
                return Verdict(policy)
            chain, position = stack.pop()
        elif isinstance(target, Jump):
            if not target.goto:
                stack.append((chain, position))
            if len(stack) > JUMP_LIMIT:
                raise ModelError(f"chains of table {table.name} jump in a circle at {target.chain}")
            chain, position = target.chain, 0
        else:
            return target


def _act(rule: Rule, skb: Skb, env, where: tuple[str, str, str, int], examined: int):
    """Report the rule and carry out a target that lets the walk go on; any other target is handed back."""
    target = rule.target
    if target.__class__ is Jump:  # most are
        env.matched(*where, rule, target.chain, examined)
        return target
    if isinstance(target, SetMark):
        env.matched(*where, rule, "MARK", examined)
        env.mark(skb, target.apply(skb.mark))
        return None
    if isinstance(target, ConnMark):
        env.matched(*where, rule, "CONNMARK", examined)
        if skb.ct is not None:
            mark, connection = target.apply(skb.mark, skb.ct.mark)
            env.mark(skb, mark)
            env.mark_connection(skb.ct, connection)
        return None
    if isinstance(target, Verbatim):
        if target.name not in LOGGING:
            raise UnsupportedError(f"the target {target.name} is not modelled")
        target = None
    env.matched(*where, rule, "CONTINUE" if target is None else target.name, examined)
    return target


def iterate_rules(ruleset: Ruleset) -> Iterator[tuple[str, str, int, Rule]]:
    """Every rule with its table, chain and index."""
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            for index, rule in enumerate(chain.rules):
                yield table.name, chain.name, index, rule
