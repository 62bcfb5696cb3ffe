"""One HTTP router: hosts, then matches in their order of precedence, then an action.

Ingress and Gateway API compile into it, and differ in three places, each a field here or a rank that the compiler gives: how many labels a
wildcard host stands for, what comes first among paths, and whether a request whose host has no fitting rule goes on to a less specific host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from ...value import value
from .hostnames import host_matches, specificity
from .http import MATCHED, Match, Request, Rule, query_parameters
from .patterns import pattern_of

FEW = 16
"""As many rules are looked at one by one; more are found by what they ask for."""


class Bucket:
    """Rules that share a path, by rank. Many of them are found by the first thing that each asks for exactly (a method, a header, a
    parameter); those that ask for nothing exactly are always looked at."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.index: dict[tuple[str, ...], list[Rule]] | None = None

    def add(self, rule: Rule) -> None:
        """Put in one more rule: they come by rank."""
        self.rules.append(rule)
        self.index = None

    def candidates(self, sent: Request) -> Sequence[Rule]:
        """The rules that may fit, in no order where there are many."""
        if len(self.rules) <= FEW:
            return self.rules
        if self.index is None:
            self.index = {}
            for rule in self.rules:
                self.index.setdefault(_asks_for(rule.match), []).append(rule)
        keys: list[tuple[str, ...]] = [(), (sent.method,)]
        keys += [(name, str(sent.header(name))) for name in {name.lower() for name, _ in sent.headers}]
        keys += [("?", name, content) for name, content in (query_parameters(sent.query) if sent.query else {}).items()]
        return [rule for key in keys for rule in self.index.get(key, ())]


def _asks_for(match: Match) -> tuple[str, ...]:
    """The first thing that a match asks for exactly, or ()."""
    for each in match.headers:
        if each.type == "Exact":
            return each.name.lower(), each.value
    for each in match.query:
        if each.type == "Exact":
            return "?", each.name, each.value
    return (match.method,) if match.method else ()


def first_element(pattern: str) -> str:
    """The first element of every path that a regular expression can match, as in ``/api/[a-z]+``; ``""`` if it does not say one."""
    if "|" in pattern:
        return ""
    literal = _LITERAL.match(pattern)[0]
    if pattern[len(literal) : len(literal) + 1] in ("*", "?", "{"):
        literal = literal[:-1]
    end = literal.find("/", 1)
    return literal[:end] if literal.startswith("/") and end > 0 else ""


_LITERAL = re.compile(r"[^.^$*+?{}\[\]\\|()]*")


class PathTable:
    """The rules of one host, found by path: exact ones and prefixes by look-up, regular expressions by their first element if it is
    plain text."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = sorted(rules, key=lambda rule: rule.rank)
        self.exact: dict[str, Bucket] = {}
        self.prefix: dict[str, Bucket] = {}
        self.patterns: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
        for rule in self.rules:
            path = rule.match.path
            if path.type == "RegularExpression":
                self.patterns.setdefault(first_element(path.value), []).append((pattern_of(path.value), rule))
            elif path.type == "Exact":
                self.exact.setdefault(path.value, Bucket()).add(rule)
            else:
                self.prefix.setdefault(path.value.rstrip("/"), Bucket()).add(rule)

    def candidates(self, sent: Request) -> Iterable[Rule]:
        """The rules whose path fits, in their order; of many with one path, those alone that may fit otherwise, too."""
        path = sent.plain_path
        buckets = [self.exact[path]] if path in self.exact else []
        stem = path
        while True:
            if stem in self.prefix:
                buckets.append(self.prefix[stem])
            if not stem:
                break
            stem = stem.rpartition("/")[0]
        found = [rule for bucket in buckets for rule in bucket.candidates(sent)]
        if self.patterns:
            second = path.find("/", 1)
            keys = {"", path[:second] if second > 0 else path}
            found += [rule for key in keys for pattern, rule in self.patterns.get(key, ()) if pattern.fullmatch(path)]
        return sorted(found, key=lambda rule: rule.rank)

    def find(self, sent: Request) -> Rule | None:
        return next((rule for rule in self.candidates(sent) if not rule.match.misses_beside_path(sent)), None)


@value
class Router:
    """Rules by host. ``default`` answers what no rule does; without one that is 404.

    ``one_label``: a wildcard host stands for exactly one label (Ingress), not for one or more (Gateway API). ``falls_through``: where no
    rule of the most specific host fits, the next less specific one is asked (Gateway API, whose hosts only order the rules).
    """

    hosts: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    default: Rule | None = None
    one_label: bool = False
    falls_through: bool = True
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def table(self, host: str) -> PathTable:
        """The rules of a host, sorted when they are first asked for."""
        if host not in self.cache:
            self.cache[host] = PathTable(self.hosts[host])
        return self.cache[host]

    def fitting_hosts(self, host: str) -> Iterator[str]:
        """The hosts with rules that the name fits, the most specific first."""
        if host in self.hosts and host:
            yield host
        rest = host.partition(".")[2]
        while rest:
            if f"*.{rest}" in self.hosts:
                yield f"*.{rest}"
            if self.one_label:
                break
            rest = rest.partition(".")[2]
        if "" in self.hosts:
            yield ""

    def find(self, sent: Request) -> Rule | None:
        """The rule that answers, or None."""
        for host in self.fitting_hosts(sent.hostname):
            rule = self.table(host).find(sent)
            if rule is not None or not self.falls_through:
                return rule or self.default
        return self.default

    @property
    def rules(self) -> Sequence[Rule]:
        """Every rule, in the order in which one would try them all: hosts from specific to general, then by rank."""
        return [rule for host in sorted(self.hosts, key=specificity) for rule in self.table(host).rules]


@value
class Considered:
    """A rule that was looked at for a request: its host, and the first thing that did not fit (``""``: it answered; ``"later"``: it would
    have fitted, and another came before it; ``"alone"``: it would have fitted, but a more specific host has rules and is asked alone)."""

    rule: Rule
    host: str
    why: str


def considered(router: Router, sent: Request) -> tuple[Considered, ...]:
    """Every rule with the reason why it did, or did not, answer: slow and complete, for showing."""
    chosen, out = router.find(sent), []
    asked = None if router.falls_through else next(router.fitting_hosts(sent.hostname), None)
    for host in sorted(router.hosts, key=specificity):
        fits = host_matches(host, sent.hostname, router.one_label)
        for rule in router.table(host).rules:
            why = rule.match.misses(sent) if fits else "host"
            passed = "later" if asked in (None, host) else "alone"
            out.append(Considered(rule, host, why or (MATCHED if rule is chosen else passed)))
    if router.default is not None:
        out.append(Considered(router.default, "", MATCHED if router.default is chosen else "later"))
    return tuple(out)
