"""iptables: rule sets as typed values, read from and printed as ``iptables-save`` text, and the walk of a packet through a chain.

``Ruleset.parse(text)`` is the inverse of ``str()``. A packet meets the tables of a hook in the order of ``ORDER``; conntrack stands
between raw and mangle (include/uapi/linux/netfilter_ipv4.h, the priorities ``NF_IP_PRI_*``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from types import MappingProxyType

from ..errors import ModelError, UnsupportedError
from ..value import value
from .addresses import ip_network
from .packet import PROTO_NAMES, PROTO_NUMBERS, Fragment, Skb
from .state import IPNetwork
from .targets import TARGETS, VERBATIM_TARGETS, Jump, Nat, SetMark, Verdict
from .xtables import READERS, VERBATIM_MATCHES, Option, Test, Verbatim, bang, interface_matches, quote

ORDER = MappingProxyType(
    {
        "PREROUTING": ("raw", "mangle", "nat"),
        "INPUT": ("mangle", "filter", "security", "nat"),
        "FORWARD": ("mangle", "filter", "security"),
        "OUTPUT": ("raw", "mangle", "nat", "filter", "security"),
        "POSTROUTING": ("mangle", "nat"),
    }
)
BUILT_IN = MappingProxyType(
    {
        "raw": ("PREROUTING", "OUTPUT"),
        "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "security": ("INPUT", "FORWARD", "OUTPUT"),
    }
)
JUMP_LIMIT = 64


@value
class Rule:
    """One rule: the basic matches, the extensions in their written order, and a target (None: count only)."""

    src: IPNetwork | None = None
    dst: IPNetwork | None = None
    iif: str = ""
    oif: str = ""
    proto: str = ""
    matches: tuple = ()
    target: object = None
    negated: frozenset[str] = frozenset()  # of src, dst, iif, oif, proto

    def words(self) -> str:
        """The rule as iptables-save prints it, without ``-A CHAIN``."""
        parts = []
        for key, option in (("src", "-s"), ("dst", "-d"), ("iif", "-i"), ("oif", "-o"), ("proto", "-p")):
            if value := getattr(self, key):
                parts.append(f"{bang(key in self.negated)}{option} {value}")
        parts += [match.words() for match in self.matches]
        return " ".join(parts + ([self.target.words()] if self.target else []))

    __str__ = words

    def compile(self) -> tuple[Test, ...]:
        """The tests that a packet must pass, cheapest first, as ``test(skb, env)``."""
        tests: list[Test] = []
        if self.proto:
            tests.append(_proto_test(self.proto, "proto" not in self.negated))
        for key, network in (("src", self.src), ("dst", self.dst)):
            if network is not None:
                tests.append(_network_test(key, network, key not in self.negated))
        for key, pattern in (("iif", self.iif), ("oif", self.oif)):
            if pattern:
                tests.append(_interface_test(key, pattern, key not in self.negated))
        return (*tests, *filter(None, (match.compile() for match in self.matches)))


def _proto_test(proto: str, wanted: bool) -> Test:
    return lambda skb, env: (skb.packet.proto == proto) is wanted


def _network_test(key: str, network: IPNetwork, wanted: bool) -> Test:
    base, mask = int(network.network_address), int(network.netmask)
    if key == "src":
        return lambda skb, env: (int(skb.packet.src) & mask == base) is wanted
    return lambda skb, env: (int(skb.packet.dst) & mask == base) is wanted


def _interface_test(key: str, pattern: str, wanted: bool) -> Test:
    return lambda skb, env: interface_matches(pattern, getattr(skb, key)) is wanted


@value
class Chain:
    """A chain of rules; a built-in one has a ``policy`` (ACCEPT or DROP), a user's has None."""

    name: str
    policy: str | None = None
    rules: tuple[Rule, ...] = ()


@value
class Table:
    """A table: its chains by name, in the order in which they were declared."""

    name: str
    chains: Mapping[str, Chain]
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def compiled(self, chain: str) -> list[tuple[tuple[Test, ...], Rule]]:
        """The chain's rules with their tests, made once."""
        found = self.cache.get(chain)
        if found is None:
            found = self.cache[chain] = [(rule.compile(), rule) for rule in self.chains[chain].rules]
        return found

    def __str__(self) -> str:
        heads = [f":{chain.name} {chain.policy or '-'} [0:0]" for chain in self.chains.values()]
        rules = [f"-A {chain.name} {rule}".rstrip() for chain in self.chains.values() for rule in chain.rules]
        return "\n".join([f"*{self.name}", *heads, *rules, "COMMIT"])


@value
class Ruleset:
    """All tables of one address family in one namespace."""

    tables: Mapping[str, Table]
    version: int = 4

    @classmethod
    def parse(cls, text: str, version: int = 4) -> Ruleset:
        """Read ``iptables-save`` or ``iptables-restore`` text.

        ModelError names the line that is no rule; UnsupportedError one whose match or target is unknown here.
        """
        return _Reader(version).read(text)

    def merge(self, newer: Ruleset) -> Ruleset:
        """This rule set with the tables of the newer one in place of its own, as iptables-restore does."""
        return Ruleset(MappingProxyType({**self.tables, **newer.tables}), self.version)

    @property
    def tracks(self) -> bool:
        """Whether conntrack is at work: Linux switches it on per namespace for a rule that translates or asks for a connection.

        A nat table without such a rule tracks nothing, and its rules are not asked (observed with iptables 1.8.9 on nf_tables).
        """
        return any(
            isinstance(rule.target, Nat) or any(match.name in ("conntrack", "state", "connmark") for match in rule.matches)
            for _, _, _, rule in iterate_rules(self)
        )

    def __str__(self) -> str:
        return "\n".join(str(table) for table in self.tables.values())


_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)")
_HEAD = re.compile(r":(\S+)\s+(\S+)(?:\s+\[\d+:\d+\])?$")
_COUNTED = re.compile(r"^\[\d+:\d+\]\s+")


def tokens(line: str) -> list[str]:
    """The words of a rule, quotes taken off."""
    return [_ESCAPED.sub(r"\1", quoted) if plain == "" else plain for quoted, plain in _TOKEN.findall(line)]


class _Reader:
    """Reads one text; keeps the line number for the error messages."""

    def __init__(self, version: int) -> None:
        self.version = version

    def read(self, text: str) -> Ruleset:
        tables: dict[str, Table] = {}
        table, policies, rules = "", {}, {}
        for number, line in enumerate(text.splitlines(), 1):
            line = _COUNTED.sub("", line.strip())
            try:
                if not line or line.startswith("#"):
                    continue
                if line.startswith("*"):
                    table = line[1:].strip()
                    if table not in BUILT_IN:
                        raise ModelError(f"there is no table {table!r} (there are {', '.join(BUILT_IN)})")
                    policies, rules = {}, {}
                elif not table:
                    raise ModelError("a *table line must come first")
                elif line == "COMMIT":
                    tables[table] = self._table(table, policies, rules)
                    table = ""
                else:
                    self._line(line, policies, rules, table)
            except (ModelError, UnsupportedError) as error:
                raise type(error)(f"iptables line {number}: {error}: {line}") from None
            except (IndexError, KeyError, ValueError) as error:
                raise ModelError(f"iptables line {number}: cannot be read ({error}): {line}") from None
        if table:
            raise ModelError(f"iptables: table {table} has no COMMIT")
        return Ruleset(MappingProxyType(tables), self.version)

    def _line(self, line: str, policies: dict, rules: dict, table: str) -> None:
        if head := _HEAD.match(line):
            name, policy = head.groups()
            policies[name] = None if policy == "-" else policy
            rules.setdefault(name, [])
            return
        words = tokens(line)
        if words[0] not in ("-A", "-I") or len(words) < 2:
            raise ModelError(f"expected a rule (-A CHAIN …), not {words[0]!r}")
        chain = words[1]
        if chain not in rules and chain not in BUILT_IN[table]:
            raise ModelError(f"chain {chain!r} is not declared")
        rule = self.rule(words[2:])
        rules.setdefault(chain, []).insert(0 if words[0] == "-I" else len(rules[chain]), rule)

    def _table(self, name: str, policies: dict, rules: dict) -> Table:
        chains = {built_in: Chain(built_in, "ACCEPT") for built_in in BUILT_IN[name] if built_in not in rules}
        chains |= {
            chain: Chain(chain, policies.get(chain, "ACCEPT" if chain in BUILT_IN[name] else None), tuple(r)) for chain, r in rules.items()
        }
        order = list(BUILT_IN[name]) + sorted(c for c in chains if c not in BUILT_IN[name])
        for chain in chains.values():
            for rule in chain.rules:
                if isinstance(rule.target, Jump) and (rule.target.chain not in chains or rule.target.chain in BUILT_IN[name]):
                    raise ModelError(f"there is no chain or target {rule.target.chain!r} in table {name}")
        return Table(name, MappingProxyType({c: chains[c] for c in order}))

    def rule(self, words: list[str]) -> Rule:
        """One rule from its words, without ``-A CHAIN``."""
        fields: dict = {}
        negated: set[str] = set()
        parts: list[tuple[str, str, dict, list[Option]]] = []  # kind, extension, its options, those given
        position, negate = 0, False
        while position < len(words):
            word = words[position]
            position += 1
            if word == "!":
                negate = True
                continue
            if word in _BASIC:
                key = _BASIC[word]
                fields[key] = self._basic(key, words[position])
                negated |= {key} if negate else set()
                position += 1
            elif word in ("-m", "--match", "-j", "--jump", "-g", "--goto"):
                kind = "match" if word in ("-m", "--match") else "goto" if word in ("-g", "--goto") else "target"
                parts.append((kind, words[position], _known_options(kind, words[position], self.version), []))
                position += 1
            else:
                part = next((p for p in reversed(parts) if word in p[2]), None)
                implied = {"ipv6-icmp": "icmp6"}.get(fields.get("proto"), fields.get("proto"))
                if part is None and implied in READERS and word in READERS[implied][1]:  # -p tcp --dport means -p tcp -m tcp --dport
                    part = ("match", implied, READERS[implied][1], [])
                    parts.append(part)
                if part is None:
                    raise ModelError(f"unknown option {word!r}")
                count = part[2][word]
                part[3].append((word, negate, tuple(words[position : position + count])))
                position += count
            negate = False
        matches = tuple(_match(name, given, self.version) for kind, name, _, given in parts if kind == "match")
        targets = [_target(kind, name, given, self.version) for kind, name, _, given in parts if kind != "match"]
        fields = {key: value for key, value in fields.items() if value is not None}
        return Rule(**fields, matches=matches, target=targets[-1] if targets else None, negated=frozenset(negated))

    def _basic(self, key: str, text: str):
        if key in ("src", "dst"):
            network = ip_network(text, strict=False)
            if network.version != self.version:
                raise ModelError(f"{text} is no IPv{self.version} address")
            return network if network.prefixlen else None
        if key == "proto":
            name = PROTO_NAMES.get(int(text), text) if text.isdigit() else {"icmpv6": "ipv6-icmp"}.get(text.lower(), text.lower())
            if not text.isdigit() and name not in PROTO_NUMBERS and name != "all":
                raise ModelError(f"unknown protocol {text!r}")
            return None if name == "all" else name
        return text


_BASIC = {"-s": "src", "--source": "src", "--src": "src", "-d": "dst", "--destination": "dst", "--dst": "dst",
          "-i": "iif", "--in-interface": "iif", "-o": "oif", "--out-interface": "oif", "-p": "proto", "--protocol": "proto", "--proto": "proto"}  # fmt: skip


def _known_options(kind: str, name: str, version: int) -> dict[str, int]:
    if kind == "goto":
        return {}
    known, verbatim = (READERS, VERBATIM_MATCHES) if kind == "match" else (TARGETS, VERBATIM_TARGETS)
    if name in known:
        return known[name][1]
    if name in verbatim:
        return verbatim[name]
    if kind == "match":
        raise UnsupportedError(f"the match {name!r} is not known to this model")
    return {}


def _match(name: str, given: list[Option], version: int):
    if name in READERS:
        return READERS[name][0](given, version)
    return Verbatim(name, _verbatim(given))


def _target(kind: str, name: str, given: list[Option], version: int):
    if kind == "goto":
        return Jump(name, True)
    if name in TARGETS:
        return TARGETS[name][0](given, version)
    if name in VERBATIM_TARGETS:
        return Verbatim(name, _verbatim(given), "target")
    return Verdict(name) if name in ("ACCEPT", "DROP", "RETURN") else Jump(name)


def _verbatim(given: list[Option]) -> str:
    return " ".join(
        bang(negated) + " ".join((option, *(quote(a) if " " in a else a for a in arguments))) for option, negated, arguments in given
    )


def walk(table: Table, hook: str, skb: Skb, env) -> object:
    """Take the packet through the built-in chain of that hook; the result is a target: ``Verdict``, ``Reject`` or ``Nat``.

    ``env.matched(hook, table, chain, index, rule, verdict)`` is told every rule that matched and the policy that decided in the end.
    """
    policy = table.chains[hook].policy or "ACCEPT"
    stack: list[tuple[str, int]] = []
    chain, position = hook, 0
    while True:
        compiled = table.compiled(chain)
        target = None
        while position < len(compiled):
            tests, rule = compiled[position]
            position += 1
            for test in tests:
                if not test(skb, env):
                    break
            else:
                target = _act(rule, skb, env, (hook, table.name, chain, position - 1))
                if target is not None:
                    break
        if target is None or (isinstance(target, Verdict) and target.name == "RETURN"):
            if not stack:
                env.matched(hook, table.name, hook, -1, None, policy)
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


def _act(rule: Rule, skb: Skb, env, where: tuple[str, str, str, int]):
    """Report the rule and carry out a target that lets the walk go on; any other target is handed back."""
    target = rule.target
    if isinstance(target, SetMark):
        env.matched(*where, rule, "MARK")
        env.mark(skb, target.apply(skb.mark))
        return None
    if isinstance(target, Verbatim):
        if target.name not in ("LOG", "NFLOG"):
            raise UnsupportedError(f"the target {target.name} is not modelled ({rule})")
        target = None
    env.matched(*where, rule, "CONTINUE" if target is None else target.chain if isinstance(target, Jump) else target.name)
    return target


def fragments_hide_ports(skb: Skb) -> bool:
    """Whether the packet is a fragment, in which port matches cannot look."""
    return type(skb.packet.payload) is Fragment


def iterate_rules(ruleset: Ruleset) -> Iterator[tuple[str, str, int, Rule]]:
    """Every rule with its table, chain and index."""
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            for index, rule in enumerate(chain.rules):
                yield table.name, chain.name, index, rule
