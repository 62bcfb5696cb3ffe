"""Reads the words of a rule of nftables: selectors, concatenations, bit operations, and the sets and maps that stand in the rule itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ModelError, UnsupportedError
from .nftables_exprs import Bits, Concat, Entry, Literal, Numgen, Select
from .nftables_fields import ALIASES, FIELDS
from .nftables_types import TYPES, Datatype, canonical_key, merged, sort_key

TOKEN = re.compile(r'"[^"]*"|[{}(),|&^]|!=|==|<=|>=|[<>=]|[^\s{}(),|&^<>=!"]+')
BIT_WORDS = {"&": "&", "and": "&", "|": "|", "or": "|", "^": "^", "xor": "^"}


class Unknown(Exception):
    """The rule has a word here that the model does not know."""


class WordReader:
    """One rule's words; ``family`` and ``sets`` (name → NftSet) say what the table is.

    ``listed``: the text is what nft printed. As input, a literal set of one element is that element; in a listing braces around one
    element are what is left of several that nft has merged.
    """

    def __init__(self, text: str, family: str = "ip", sets: Mapping[str, object] | None = None, listed: bool = False) -> None:
        self.text, self.family, self.sets, self.listed = text, family, sets or {}, listed
        self.tokens = [(found.group(), found.start()) for found in TOKEN.finditer(text)]
        self.at, self.prefixed = 0, False

    @property
    def word(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def ahead(self, count: int = 1) -> str:
        place = self.at + count
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def take(self) -> str:
        word = self.word
        if not word:
            raise ModelError("the rule ends too early")
        self.at += 1
        return word

    def accept(self, *words: str) -> bool:
        if self.word in words:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise Unknown

    # Expressions

    def expression(self):
        parts = [self._bits(self._one())]
        while self.word == ".":
            self.take()
            parts.append(self._bits(self._one()))
        if len(parts) == 1:
            return parts[0]
        if any(isinstance(part, Numgen) for part in parts):
            raise Unknown
        return Concat(tuple(parts))

    def _one(self):
        if self.word == "numgen":
            self.take()
            how = self.take()
            self.expect("mod")
            modulus = int(self.take())
            offset = int(self.take()) if self.accept("offset") else 0
            return Numgen(modulus, how, offset)
        for count in (3, 2, 1):
            words = " ".join(word for word, _ in self.tokens[self.at : self.at + count])
            words = ALIASES.get(words, words)
            if words in FIELDS:
                self.at += count
                return Select(words)
        raise Unknown

    def _bits(self, base):
        steps: list[tuple[str, str]] = []
        while isinstance(base, Select) and self.word in BIT_WORDS:
            kind, operator = base.kinds[0], BIT_WORDS[self.take()]
            number = kind.number(self.take())
            if operator == "|" and steps and steps[-1][0] == "&":  # nft folds (x & mask) | value into x & (mask | value) | value
                steps[-1] = ("&", kind.text(kind.number(steps[-1][1]) | number))
            steps.append((operator, kind.text(number)))
        return Bits(base, tuple(steps)) if steps else base

    def literal(self, kinds: tuple[Datatype, ...], data: str = "") -> Literal:
        """``{ a, b }`` or ``{ a : x, b : y }``, in the order in which nft lists it."""
        entries = self.entries(kinds, data)
        return made_literal(kinds, entries, self.prefixed)

    def entries(self, kinds: tuple[Datatype, ...], data: str = "") -> list[Entry]:
        self.expect("{")
        entries, self.prefixed = [], False
        while not self.accept("}"):
            entries.append(self._entry(kinds, data))
            self.accept(",")
        return entries

    def _entry(self, kinds: tuple[Datatype, ...], data: str) -> Entry:
        words = []
        while self.word not in (",", "}", ":", ""):
            word = self.take()
            words.append(word.rstrip(":") if word.endswith(":") and not word.endswith("::") else word)
            if words[-1] != word:
                break
        else:
            self.accept(":") if data else None
        key = " ".join(words)
        self.prefixed |= "/" in key and bool(kinds[0].address)  # even 1.2.3.4/32 makes the set one of intervals
        key = key if key == "*" else canonical_key(kinds, key)
        if not data:
            return Entry(key)
        rest = []
        while self.word not in (",", "}", ""):
            rest.append(self.take())
        if not rest:
            raise ModelError(f"the map's element {key} has no value")
        return Entry(key, _nat_data(" ".join(rest)) if data == "nat" else " ".join(rest))


def made_literal(kinds: tuple[Datatype, ...], entries: list[Entry], interval: bool = False) -> Literal:
    """A literal as nft holds it: sorted, and intervals of a set merged."""
    keys = [entry.key for entry in entries]
    single = len(kinds) == 1
    interval |= any(_is_interval(kind, part) for key in keys if key != "*" for kind, part in zip(kinds, key.split(" . "), strict=True))
    if single and interval and kinds[0].name != "ifname" and not any(entry.data for entry in entries):
        return Literal(tuple(map(Entry, merged(kinds[0], keys))), True)
    order = sort_key(kinds) if single or not interval else None
    if order is not None:
        entries = sorted(entries, key=lambda entry: (entry.key == "*", order(entry.key) if entry.key != "*" else 0))
    return Literal(tuple({entry.key: entry for entry in entries}.values()), interval)


def _is_interval(kind: Datatype, text: str) -> bool:
    if kind.name == "ifname":
        return text.rstrip('"').endswith("*")
    low, high = kind.bounds(text)
    return low != high


def begins_selector(word: str, following: str) -> bool:
    return any(f" {words} ".startswith(f" {word} {following} ".rstrip() + " ") or words == word for words in FIELDS if word)


def target_text(text: str) -> tuple[str, str]:
    """Address and ``:port`` of a NAT target, the address as nft prints it."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return f"[{TYPES['ipv6_addr'].canonical(host)}]", port
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return TYPES["ipv4_addr"].canonical(host), f":{port}"
    kind = TYPES["ipv6_addr" if ":" in text else "ipv4_addr"]
    return text if "-" in text else kind.canonical(text), ""


def _nat_data(text: str) -> str:
    host, dot, port = text.partition(" . ")
    return f"{target_text(host)[0]}{dot}{port}"


def expression(text: str, family: str = "ip"):
    """A selector or concatenation from its text, as ``typeof`` declares sets by. UnsupportedError for one that is not known."""
    try:
        return WordReader(text, family).expression()
    except Unknown:
        raise UnsupportedError(f"the expression {text!r} is not known to this model") from None
