"""Reads the text of one rule of nftables into typed statements, and with them writes it as ``nft list`` would.

What is known is in ``nftables_fields`` and ``nftables_stmts``; from the first word that is not, the rest of the rule is kept as it is.
"""

from __future__ import annotations

from ..errors import ModelError, UnsupportedError
from .nftables_exprs import Bits, Concat, Lookup, Named, Select
from .nftables_stmts import Counter, FlagMatch, Log, Match, Notrack, SetMark, Verbatim, Verdict, Vmap
from .nftables_targets import Reject, Translate, Update
from .nftables_types import TYPES, seconds
from .nftables_words import Unknown, WordReader, begins_selector, made_literal, target_text

OPERATORS = {"==": "==", "=": "==", "eq": "==", "!=": "!=", "ne": "!=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "le": "<=",
             ">=": ">=", "ge": ">="}  # fmt: skip
REJECT_DEFAULT = {"ip": "icmp port-unreachable", "ip6": "icmpv6 port-unreachable", "inet": "icmpx port-unreachable"}
NAT_FLAGS = ("random", "fully-random", "persistent")


class RuleReader(WordReader):
    """Reads one rule."""

    def rule(self) -> tuple[tuple, str]:
        """The statements and the comment."""
        statements: list = []
        while self.word and self.word != "comment":
            start = self.at
            try:
                statements.append(self.statement())
            except (Unknown, UnsupportedError, ModelError, ValueError) as error:
                if isinstance(error, (ModelError, ValueError)) and not self.listed:
                    raise ModelError(f"{error}: {self.text}") from None
                statements.append(Verbatim(self.text[self.tokens[start][1] :].rstrip()))
                return tuple(_tidied(statements)), ""
        comment = ""
        if self.accept("comment"):
            comment = self.take().strip('"')
            if self.word:
                raise ModelError(f"{self.word!r} after the comment")
        return tuple(_tidied(statements)), comment

    def statement(self):
        word = self.word
        if word in ("accept", "drop", "return", "continue"):
            return Verdict(self.take())
        if word in ("jump", "goto"):
            return Verdict(self.take(), self.take())
        if word == "counter":
            return self._counter()
        simple = {"reject": self._reject, "log": self._log, "add": self._update, "update": self._update, "delete": self._update,
                  "limit": self._limit}  # fmt: skip
        if word in simple:
            return simple[word]()
        if word == "notrack":
            self.take()
            return Notrack()
        if word in ("dnat", "snat", "masquerade", "redirect"):
            return self._translate()
        return self._match()

    def _counter(self) -> Counter:
        self.take()
        packets = octets = 0
        if self.accept("packets"):
            packets = int(self.take())
            self.expect("bytes")
            octets = int(self.take())
        elif self.accept("name"):
            raise Unknown
        return Counter(packets, octets)

    def _reject(self) -> Reject:
        self.take()
        if not self.accept("with"):
            return Reject()
        kind = self.take()
        self.accept("type")
        how = f"{kind} {self.take()}"
        return Reject("" if how == REJECT_DEFAULT.get(self.family) else how)

    def _log(self) -> Log:
        words = [self.take()]
        while self.word in ("prefix", "level", "group", "snaplen", "queue-threshold", "flags"):
            words += [self.take(), self.take()]
        return Log(" ".join(words))

    def _limit(self) -> Verbatim:
        words = [self.take()]
        self.expect("rate")
        words += ["rate", *([self.take()] if self.word == "over" else []), self.take()]
        words += [self.take()] if "/" in self.word else []
        if self.accept("burst"):
            words += ["burst", self.take(), self.take()]
        return Verbatim(" ".join(words).removesuffix(" burst 5 packets"))

    def _update(self) -> Update:
        verb = self.take()
        name = self.take()
        if not name.startswith("@"):
            raise Unknown
        self.expect("{")
        key, timeout = self.expression(), None
        if self.accept("timeout"):
            timeout = seconds(self.take())
        self.expect("}")
        return Update(verb, name[1:], key, timeout)

    def _translate(self) -> Translate:
        kind, family, to = self.take(), "", ""
        if self.word in ("ip", "ip6") and self.ahead() in ("to", "addr"):
            family = self.take()
            if self.accept("addr"):
                self.expect(".")
                self.expect("port")
        if self.accept("to"):
            to, with_port = self._nat_target()
            if with_port or self.family == "inet":
                family = family or {4: "ip", 6: "ip6"}.get(_version_of(to), "ip" if self.family == "inet" else self.family)
            else:
                family = ""
            family = "" if isinstance(to, str) and to.startswith(":") else family
        flags = []
        while self.word in NAT_FLAGS:
            flags.append(self.take())
            self.accept(",")
        return Translate(kind, to, family, tuple(flag for flag in NAT_FLAGS if flag in flags))

    def _nat_target(self) -> tuple[str | Lookup, bool]:
        """The target, and whether it is a map that gives addresses with ports."""
        if self.word in ("numgen", "jhash", "symhash") or begins_selector(self.word, self.ahead()):
            key = self.expression()
            self.expect("map")
            kinds = key.kinds
            if self.word.startswith("@"):
                source = Named(self.take()[1:])
                data = self.sets[source.name].data if source.name in self.sets else ""
                return Lookup(key, source), " . " in data
            source = self.literal(kinds, "nat")
            return Lookup(key, source), any(" . " in entry.data for entry in source.entries)
        text = self.take()
        if not text.startswith(":"):
            host, port = target_text(text)
            text = f"{host}{port}"
        return text, False

    # Comparisons

    def _match(self):
        if self.word == "tcp" and self.ahead() == "flags":
            return self._tcp_flags()
        left = self.expression()
        if self.accept("vmap"):
            source = Named(self.take()[1:]) if self.word.startswith("@") else self.literal(left.kinds, "verdict")
            return Vmap(left, source)
        if self.word == "set" and isinstance(left, Select) and left.words in ("meta mark", "ct mark"):
            self.take()
            return SetMark(left.words, self._mark_value())
        operator = OPERATORS.get(self.word, "")
        if operator:
            self.take()
        operator = operator or "=="
        if self.word.startswith("@"):
            return Match(left, Named(self.take()[1:]), operator)
        if self.word == "{":
            return self._member(left, operator)
        if isinstance(left, Concat):
            raise ModelError("nft compares concatenations with sets only")
        return _prefixed(Match(left, self._values(left), operator))

    def _values(self, left) -> str | tuple[str, ...]:
        kind = left.kinds[0]
        texts = [kind.canonical(self.take())]
        while kind.bits and self.accept(",", "|"):
            texts.append(kind.canonical(self.take()))
        if len(texts) == 1:
            return texts[0]
        return tuple(sorted(set(texts), key=lambda text: kind.number(text)))

    def _member(self, left, operator: str) -> Match:
        entries = self.entries(left.kinds)
        if len(entries) == 1 and not self.listed and not isinstance(left, Concat) and entries[0].key != "*":
            return Match(left, entries[0].key, operator)
        return Match(left, made_literal(left.kinds, entries, self.prefixed), operator)

    def _tcp_flags(self):
        """``tcp flags syn,ack``, ``tcp flags & (fin|syn) == syn`` and ``tcp flags syn / fin,syn``."""
        self.at += 2
        if self.accept("&"):
            mask = self._flag_words()
            operator = OPERATORS.get(self.take(), "")
            if operator not in ("==", "!="):
                raise Unknown
            return FlagMatch(self._flag_words(), mask, operator)
        operator = "!=" if self.accept("!=") else "=="
        self.accept("==")
        if self.word == "{":
            return Match(Select("tcp flags"), self.literal((TYPES["tcp_flag"],)), operator)
        words = self._flag_words()
        if self.accept("/"):
            return FlagMatch(words, self._flag_words(), operator)
        return Match(Select("tcp flags"), words if len(words) > 1 else words[0], operator)

    def _flag_words(self) -> tuple[str, ...]:
        known, inside = TYPES["tcp_flag"].names, self.accept("(")
        words = [self.take()]
        while self.accept("|", ","):
            words.append(self.take())
        if inside:
            self.expect(")")
        if any(word not in known for word in words):
            raise Unknown
        return tuple(sorted(words, key=known.__getitem__))

    def _mark_value(self) -> object:
        if self.word in ("meta", "ct", "mark"):
            return self.expression()
        return TYPES["mark"].canonical(self.take())


def _prefixed(match: Match) -> Match:
    """``ip saddr & 255.255.0.0 == 10.1.0.0`` is ``ip saddr 10.1.0.0/16``."""
    left, kind = match.left, match.left.kinds[0]
    if not isinstance(left, Bits) or not kind.address or len(left.steps) > 1 or left.steps[0][0] != "&":
        return match
    size, mask = 8 * kind.width, kind.number(left.steps[0][1])
    length = size - (mask ^ (1 << size) - 1).bit_length()
    if mask != (1 << size) - (1 << size - length) or match.operator not in ("==", "!="):
        return match
    return Match(left.base, kind.canonical(f"{match.right}/{length}"), match.operator)


def _version_of(to: str | Lookup) -> int:
    text = to if isinstance(to, str) else next((entry.data for entry in getattr(to.source, "entries", ())), "")
    return 6 if text.count(":") > 1 else 4 if text and not text.startswith(":") else 0


def _tidied(statements: list) -> list:
    """Without the protocol that a port already implies: ``meta l4proto tcp th dport 80`` is ``tcp dport 80``."""
    tidy: list = []
    for statement in statements:
        before = tidy[-1] if tidy else None
        proto = before.right if isinstance(before, Match) and before.operator == "==" and isinstance(before.right, str) else ""
        implied = proto in ("tcp", "udp", "sctp") and str(before.left) in ("meta l4proto", "ip protocol", "ip6 nexthdr")
        if implied and isinstance(statement, Match) and isinstance(statement.left, Select):
            side = statement.left.words.partition(" ")[2]
            if statement.left.words in (f"th {side}", f"{proto} {side}") and side in ("sport", "dport"):
                tidy[-1] = Match(Select(f"{proto} {side}"), statement.right, statement.operator)
                continue
        tidy.append(statement)
    return tidy
