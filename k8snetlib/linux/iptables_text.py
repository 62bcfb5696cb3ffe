"""Reading iptables text: what iptables-save prints, what iptables-restore takes, and ``iptables …`` command lines.

Any real text can be read. What the model does not decide is kept word for word (``Verbatim``), and a packet that would depend on it raises
UnsupportedError; what no iptables would take raises ModelError with the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from ..errors import ModelError, UnsupportedError
from .addresses import ip_network
from .packet import PROTO_NAMES, PROTO_NUMBERS
from .rules import Chain, Rule, RuleLines, Table
from .targets import TARGETS, VERBATIM_TARGETS, Jump, Verdict
from .xtables import Option, bang
from .xtables_more import READERS, UNMODELLED, VERBATIM_MATCHES, FragmentMatch, Verbatim

BUILT_IN = MappingProxyType(
    {
        "raw": ("PREROUTING", "OUTPUT"),
        "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "security": ("INPUT", "FORWARD", "OUTPUT"),
    }
)
_ESCAPED = re.compile(r"\\(.)")
_TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')
_HEAD = re.compile(r":(\S+)\s+(\S+)(?:\s+\[\d+:\d+\])?$")
_COUNTED = re.compile(r"^\[\d+:\d+\]\s+")
_COMMAND = re.compile(r"^(?:sudo\s+)?(?:\S*/)?ip6?tables(?:-legacy|-nft)?\s+")
_BASIC = {
    "-s": "src", "--source": "src", "--src": "src", "-d": "dst", "--destination": "dst", "--dst": "dst", "-i": "iif",
    "--in-interface": "iif", "-o": "oif", "--out-interface": "oif", "-p": "proto", "--protocol": "proto", "--proto": "proto",
}  # fmt: skip
_KINDS = {"-m": "match", "--match": "match", "-j": "target", "--jump": "target", "-g": "goto", "--goto": "goto"}
_VERBS = {
    "--append": "-A",
    "--insert": "-I",
    "--new-chain": "-N",
    "--policy": "-P",
    "--delete-chain": "-X",
    "--flush": "-F",
    "--delete": "-D",
}


class _Quoted(str):
    """A word that stood in quotes; ``raw`` is how it was written."""

    __slots__ = ("raw",)


def tokens(line: str) -> list[str]:
    """The words of a rule, quotes taken off."""
    found: list[str] = []
    for match in _TOKEN.finditer(line):
        if match[2] is not None:
            found.append(match[2])
        else:
            word = _Quoted(_ESCAPED.sub(r"\1", match[1]))
            word.raw = match[0]
            found.append(word)
    return found


class Working:
    """A table while text is read: policies and rules by chain, which rules may still be those of a table that is added to."""

    def __init__(self, name: str, base: Table | None = None) -> None:
        self.name = name
        self.policies: dict[str, str | None] = {}
        self.rules: dict[str, Sequence[Rule]] = {}
        self.deleted: set[str] = set()
        if base is not None:
            self.policies = {chain: base.policy(chain) for chain in base.chains}
            self.rules = {chain: base.chains[chain].rules for chain in base.chains}

    def edit(self, chain: str) -> list[Rule]:
        """The chain's rules as a list to change. ModelError if there is no such chain."""
        if chain not in self.rules and chain not in BUILT_IN[self.name]:
            raise ModelError(f"chain {chain!r} is not declared")
        found = self.rules.get(chain, ())
        if not isinstance(found, list):
            found = self.rules[chain] = list(found)
        return found

    def freeze(self) -> Table:
        """The table; ModelError if a rule jumps to a chain that is not there."""
        name = self.name
        chains = {each: Chain(each, self.policies.get(each) or "ACCEPT", _fixed(self.rules.get(each, ()))) for each in BUILT_IN[name]}
        chains |= {each: Chain(each, None, _fixed(self.rules[each])) for each in sorted(self.rules) if each not in chains}
        for chain in chains.values():
            if isinstance(chain.rules, RuleLines) and not self.deleted:
                continue
            for rule in chain.rules:
                target = rule.target
                if isinstance(target, Jump) and (target.chain not in chains or target.chain in BUILT_IN[name]):
                    raise ModelError(f"there is no chain or target {target.chain!r} in table {name} (-A {chain.name} {rule})")
        return Table(name, MappingProxyType(chains))


def _fixed(rules: Sequence[Rule]) -> Sequence[Rule]:
    return rules if isinstance(rules, RuleLines) else tuple(rules)


def read_tables(text: str, version: int, base: Mapping[str, Table] = MappingProxyType({}), noflush: bool = False) -> dict[str, Table]:
    """The tables that the text names: anew, or (``noflush``) those of ``base`` with what the text adds, declared chains anew.

    ModelError and UnsupportedError name the line.
    """
    tables: dict[str, Table] = {}
    loose: dict[str, Working] = {}  # of command lines, which stand in no *table section
    table: Working | None = None
    for number, line in enumerate(text.splitlines(), 1):
        line = _COUNTED.sub("", line.strip())
        try:
            if not line or line.startswith("#"):
                continue
            if line.startswith("*"):
                table = _open(line[1:].strip(), base, noflush)
            elif command := _COMMAND.match(line):
                _command(line[command.end() :], loose, base, noflush, version)
            elif table is None:
                raise ModelError("a *table line must come first")
            elif line == "COMMIT":
                tables[table.name] = table.freeze()
                table = None
            else:
                _line(line, table, version)
        except (ModelError, UnsupportedError) as error:
            raise type(error)(f"iptables line {number}: {error}: {line}") from None
        except (IndexError, KeyError, ValueError) as error:
            raise ModelError(f"iptables line {number}: cannot be read ({error}): {line}") from None
    if table is not None:
        raise ModelError(f"iptables: table {table.name} has no COMMIT")
    return tables | {name: work.freeze() for name, work in loose.items()}


def _open(name: str, base: Mapping[str, Table], noflush: bool) -> Working:
    if name not in BUILT_IN:
        raise ModelError(f"there is no table {name!r} (there are {', '.join(BUILT_IN)})")
    return Working(name, base.get(name) if noflush else None)


def _command(line: str, loose: dict[str, Working], base: Mapping[str, Table], noflush: bool, version: int) -> None:
    """``iptables -t nat -A …``: as a line of a section for its table (filter where none is named)."""
    words = tokens(line)
    name = "filter"
    while words and words[0] in ("-t", "--table", "-w", "--wait", "-W"):
        option = words.pop(0)
        if option in ("-t", "--table"):
            name = words.pop(0)
        elif words and words[0].isdigit():
            words.pop(0)
    if name not in loose:
        loose[name] = _open(name, base, noflush)
    _edit(words, loose[name], version)


def _line(line: str, table: Working, version: int) -> None:
    if head := _HEAD.match(line):
        name, policy = head.groups()
        table.policies[name] = None if policy == "-" else policy
        if name not in BUILT_IN[table.name]:
            table.rules[name] = []
        return
    if line.startswith("-A "):  # nearly all lines are like this, and the nodes of a cluster have most of them in common
        _, chain, *rest = line.split(None, 2)
        table.edit(chain).append(read_rule(rest[0] if rest else "", version))
        return
    words = tokens(line)
    if words[0] in ("-t", "--table"):
        if words[1] != table.name:
            raise ModelError(f"this section is table {table.name}, not {words[1]}")
        words = words[2:]
    _edit(words, table, version)


def _edit(words: list[str], table: Working, version: int) -> None:
    """One command on a table: add, insert or delete a rule, make or delete a chain, set a policy."""
    verb, rest = _VERBS.get(words[0], words[0]), words[1:]
    if verb not in ("-A", "-I", "-D", "-N", "-P", "-X", "-F") or not rest:
        raise ModelError(f"expected a rule (-A CHAIN …), not {words[0]!r}")
    chain = rest[0]
    if verb == "-N":
        table.rules.setdefault(chain, [])
    elif verb == "-P":
        table.edit(chain)
        table.policies[chain] = rest[1]
    elif verb == "-F":
        table.edit(chain).clear()
    elif verb == "-X":
        if table.edit(chain):
            raise ModelError(f"chain {chain!r} is not empty")
        del table.rules[chain]
        table.deleted.add(chain)
    else:
        rules, options = table.edit(chain), rest[1:]
        place = int(options.pop(0)) if options and options[0].isdigit() and verb != "-A" else None
        if verb == "-D":
            rules.pop(place - 1) if place else rules.remove(rule_of(options, version))
        elif verb == "-I":
            rules.insert((place or 1) - 1, rule_of(options, version))
        else:
            rules.append(rule_of(options, version))


@lru_cache(maxsize=4096)
def read_rule(line: str, version: int) -> Rule:
    """One rule from its text without ``-A CHAIN``; remembered, as rules are immutable."""
    return rule_of(tokens(line), version)


class _Part:
    """A match or target while its options are collected; ``known`` maps an option to its number of arguments, None takes any."""

    __slots__ = ("given", "kind", "known", "name", "raw")

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self.known = _known_options(kind, name)
        self.given: list[Option] = []
        self.raw = False  # an option that the model does not honour: kept as text


def rule_of(words: list[str], version: int) -> Rule:
    """One rule from its words, without ``-A CHAIN``."""
    fields: dict = {}
    negated: set[str] = set()
    parts: list[_Part] = []
    first: list[FragmentMatch] = []
    position, negate = 0, False
    while position < len(words):
        word = words[position]
        position += 1
        if word == "!":
            negate = True
            continue
        if word in _BASIC:
            key = _BASIC[word]
            fields[key] = _basic(key, words[position], version)
            negated |= {key} if negate else set()
            position += 1
        elif word in _KINDS:
            parts.append(_Part(_KINDS[word], words[position]))
            position += 1
        elif word in ("-f", "--fragment"):
            first.append(FragmentMatch(negate))
        elif word in ("-c", "--set-counters"):
            position += 2
        else:
            position = _option(word, negate, words, position, parts, fields.get("proto"))
        negate = False
    matches = (*first, *(_match(part, version) for part in parts if part.kind == "match"))
    targets = [_target(part, version) for part in parts if part.kind != "match"]
    fields = {key: value for key, value in fields.items() if value is not None}
    return Rule(**fields, matches=tuple(matches), target=targets[-1] if targets else None, negated=frozenset(negated))


def _option(word: str, negate: bool, words: list[str], position: int, parts: list[_Part], proto: str | None) -> int:
    """Give an option of an extension to the one that has it; the position after its arguments."""
    part = next((p for p in reversed(parts) if p.known is not None and word in p.known), None)
    implied = {"ipv6-icmp": "icmp6"}.get(proto, proto)
    if part is None and implied in READERS and word in READERS[implied][1]:  # -p tcp --dport means -p tcp -m tcp --dport
        part = _Part("match", implied)
        parts.append(part)
    if part is not None:
        count = part.known[word]
    else:
        part = next((p for p in reversed(parts) if p.known is None or word in UNMODELLED.get(p.name, ())), None)
        if part is None or not word.startswith("-"):
            raise ModelError(f"unknown option {word!r}")
        part.raw = True
        count = next(
            (n for n, w in enumerate(words[position:]) if w == "!" or (w[0:1] == "-" and not w[1:].isdigit())), len(words) - position
        )
    part.given.append((word, negate, tuple(words[position : position + count])))
    return position + count


def _basic(key: str, text: str, version: int):
    if key in ("src", "dst"):
        network = ip_network(text, strict=False)
        if network.version != version:
            raise ModelError(f"{text} is no IPv{version} address")
        return network if network.prefixlen else None
    if key == "proto":
        name = PROTO_NAMES.get(int(text), text) if text.isdigit() else {"icmpv6": "ipv6-icmp"}.get(text.lower(), text.lower())
        if not text.isdigit() and name not in PROTO_NUMBERS and name != "all":
            raise ModelError(f"unknown protocol {text!r}")
        return None if name == "all" else name
    return text


def _known_options(kind: str, name: str) -> dict[str, int] | None:
    if kind == "goto":
        return {}
    known, verbatim = (READERS, VERBATIM_MATCHES) if kind == "match" else (TARGETS, VERBATIM_TARGETS)
    if name in known:
        return known[name][1]
    if name in verbatim:
        return None
    if kind == "match":
        raise UnsupportedError(f"the match {name!r} is not known to this model")
    return {}


def _match(part: _Part, version: int):
    if part.name in READERS and not part.raw:
        try:
            return READERS[part.name][0](part.given, version)
        except UnsupportedError:
            pass
    return Verbatim(part.name, _verbatim(part.given))


def _target(part: _Part, version: int):
    name = part.name
    if part.kind == "goto":
        return Jump(name, True)
    if name in TARGETS:
        try:
            return TARGETS[name][0](part.given, version)
        except UnsupportedError:
            return Verbatim(name, _verbatim(part.given), "target")
    if name in VERBATIM_TARGETS:
        return Verbatim(name, _verbatim(part.given), "target")
    return Verdict(name) if name in ("ACCEPT", "DROP", "RETURN") else Jump(name)


def _verbatim(given: list[Option]) -> str:
    return " ".join(bang(negated) + " ".join((option, *(getattr(a, "raw", a) for a in arguments))) for option, negated, arguments in given)
