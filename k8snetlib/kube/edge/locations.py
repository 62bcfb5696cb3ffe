"""Which of the rules of a host stands for a path: what a proxy that looks paths up in its own order (:mod:`.nginx`) has to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .http import Rule
from .patterns import pattern_of


class Paths:
    """Rules in the order in which they are tried, found by path. Conditions beside the path are not looked at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)
        self.exact: dict[str, int] = {}
        self.prefix: dict[str, int] = {}
        self.patterns: list[int] = []
        for number, rule in enumerate(self.rules):
            path = rule.match.path
            if path.type == "RegularExpression":
                self.patterns.append(number)
            elif path.type == "Exact":
                self.exact.setdefault(path.value, number)
            else:
                self.prefix.setdefault(path.value.rstrip("/"), number)

    def first(self, path: str) -> Rule | None:
        """The rule for a path, or None."""
        found = [self.exact[path]] if path in self.exact else []
        found += self._covering(path)
        found += [number for number in self.patterns if pattern_of(self.rules[number].match.path.value).fullmatch(path)][:1]
        return self.rules[min(found)] if found else None

    def _covering(self, path: str) -> Iterator[int]:
        stem = path
        while stem:
            if stem in self.prefix:
                yield self.prefix[stem]
            stem = stem.rpartition("/")[0]
        if "" in self.prefix:
            yield self.prefix[""]

    def odd_paths(self) -> Iterator[tuple[str, Rule | None]]:
        """(path, rule) for every path at which a look-up by prefix alone would go wrong: those of Exact rules, the prefixes themselves
        (``/foo`` belongs to the prefix ``/foo/`` too), and each of them without its slash, for which nginx would else answer with a redirect
        of its own (http://nginx.org/en/docs/http/ngx_http_core_module.html#location). The rule is None where none is for it."""
        wanted: dict[str, None] = {}
        for rule in self.rules:
            path = rule.match.path
            stem = path.value.rstrip("/")
            if path.type == "Prefix" and stem:
                wanted |= dict.fromkeys([stem, stem + "/"])
            elif path.type == "Exact":
                wanted |= dict.fromkeys([path.value, *([stem] if path.value.endswith("/") and stem else [])])
        for path in wanted:
            yield path, self.first(path)

    def prefixes(self) -> Iterator[tuple[str, Rule, bool]]:
        """(prefix with a slash at its end, the first rule for what lies below it, whether regular expressions come after that): where a less
        specific host's rules follow, that is not always the rule with this very prefix."""
        last = self.patterns[-1] if self.patterns else -1
        for stem in self.prefix:
            winner = min(self._covering(stem))
            yield stem + "/", self.rules[winner], winner < last
