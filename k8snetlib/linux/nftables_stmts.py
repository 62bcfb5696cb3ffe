"""The statements of nftables rules as typed values: they print themselves as ``nft list`` does and compile into what a packet meets.

``compile(table)`` gives ``run(skb, env)``: None goes on with the rule, ``MISS`` ends it without a match, anything else is a ``Verdict`` or
one of the targets that iptables has too (``Reject``, ``Nat``). What the model does not honour raises UnsupportedError when reached.
Refusing, translating and remembering stand in ``nftables_targets``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedError
from ..value import value
from .nftables_exprs import Bits, Literal, Named, Select
from .nftables_sets import BREAK, finder, name_test
from .nftables_types import TYPES

MISS = object()
Run = Callable[[object, object], object]


def unsupported(statement: object):
    raise UnsupportedError(f"the statement {str(statement)!r} is not modelled")


@value
class Match:
    """A comparison: ``ip saddr != 10.0.0.0/8``, ``ct state established,related``, ``tcp dport { 22, 80 }``."""

    left: object
    right: str | tuple[str, ...] | Literal | Named
    operator: str = "=="

    def __str__(self) -> str:
        right = ",".join(self.right) if isinstance(self.right, tuple) else str(self.right)
        shown = self.operator if self.operator != "==" or isinstance(self.left, Bits) else ""
        return f"{self.left} {shown} {right}" if shown else f"{self.left} {right}"

    @property
    def needs_ct(self) -> bool:
        return self.left.needs_ct

    def compile(self, table) -> Run:
        if isinstance(self.right, (Literal, Named)):
            return _member(finder(table, self.right, self.left), self.operator == "==")
        test = self._test()
        get = self.left.number()

        def run(skb, env):
            found = get(skb, env)
            return None if found is not None and test(found) else MISS

        return run

    def _test(self):
        kind, right = self.left.kinds[0], self.right
        wanted = self.operator == "=="
        if kind.name == "ifname":
            inside = name_test(right)
            return lambda name: inside(name) is wanted
        if kind.bits and not isinstance(self.left, Bits):
            mask = sum(kind.number(word) for word in (right if isinstance(right, tuple) else (right,)))
            return lambda number: bool(number & mask) is wanted
        low, high = kind.bounds(right)
        tests = {
            "==": lambda number: low <= number <= high,
            "!=": lambda number: not low <= number <= high,
            "<": lambda number: number < low,
            ">": lambda number: number > high,
            "<=": lambda number: number <= high,
            ">=": lambda number: number >= low,
        }
        return tests[self.operator]


def _member(find, wanted: bool) -> Run:
    def run(skb, env):
        found = find(skb, env)
        return None if found is not BREAK and (found is not None) is wanted else MISS

    return run


@value
class FlagMatch:
    """``tcp flags syn / fin,syn,rst,ack``: of the flags after the stroke, exactly those before it are set."""

    values: tuple[str, ...]
    mask: tuple[str, ...]
    operator: str = "=="

    needs_ct = False

    def __str__(self) -> str:
        negated = "" if self.operator == "==" else f"{self.operator} "
        return f"tcp flags {negated}{','.join(self.values)} / {','.join(self.mask)}"

    def compile(self, table) -> Run:
        kind, get = TYPES["tcp_flag"], Select("tcp flags").number()
        wanted, mask = (sum(kind.number(word) for word in words) for words in (self.values, self.mask))

        def run(skb, env):
            found = get(skb, env)
            return None if found is not None and (found & mask == wanted) is (self.operator == "==") else MISS

        return run


@value
class Verdict:
    """``accept``, ``drop``, ``return``, ``continue``, ``jump CHAIN`` or ``goto CHAIN``."""

    name: str
    chain: str = ""

    needs_ct = False

    def __str__(self) -> str:
        return f"{self.name} {self.chain}" if self.chain else self.name

    def compile(self, table) -> Run | object:
        return lambda skb, env: self


def verdict(text: str) -> Verdict:
    """The verdict that an element of a verdict map holds."""
    name, _, chain = text.partition(" ")
    return Verdict(name, chain)


@value
class Vmap:
    """``KEY vmap { … }`` or ``KEY vmap @map``: the verdict that the map holds for the key; without one the rule does not match."""

    key: object
    source: Literal | Named

    @property
    def needs_ct(self) -> bool:
        return self.key.needs_ct

    def __str__(self) -> str:
        return f"{self.key} vmap {self.source}"

    def compile(self, table) -> Run:
        find, made = finder(table, self.source, self.key), {}

        def run(skb, env):
            found = find(skb, env)
            if found is None or found is BREAK:
                return MISS
            known = made.get(found.data)
            if known is None:
                known = made[found.data] = verdict(found.data)
            return known

        return run


@value
class SetMark:
    """``meta mark set …`` or ``ct mark set …``."""

    what: str  # "meta mark", "ct mark"
    source: object  # a value's text, a Select, or a Bits

    @property
    def needs_ct(self) -> bool:
        return self.what == "ct mark" or getattr(self.source, "needs_ct", False)

    def __str__(self) -> str:
        return f"{self.what} set {self.source}"

    def compile(self, table) -> Run:
        if isinstance(self.source, str):
            number = TYPES["mark"].number(self.source)
            get = lambda skb, env: number  # noqa: E731
        else:
            get = self.source.number()
        on_packet = self.what == "meta mark"

        def run(skb, env):
            found = get(skb, env)
            if found is None:
                return MISS
            if on_packet:
                env.mark(skb, found & 0xFFFFFFFF)
            elif skb.ct is not None:
                env.mark_connection(skb.ct, found & 0xFFFFFFFF)
            return None

        return run


@value
class Counter:
    """``counter``: counts, and lets the packet go on."""

    packets: int = 0
    octets: int = 0

    needs_ct = False

    def __str__(self) -> str:
        return f"counter packets {self.packets} bytes {self.octets}"

    def compile(self, table) -> Run | None:
        return None


@value
class Log:
    """``log``: writes a line into the kernel's log, which no packet notices."""

    text: str = "log"

    needs_ct = False

    def __str__(self) -> str:
        return self.text

    def compile(self, table) -> Run | None:
        return None


@value
class Notrack:
    """``notrack``: conntrack leaves the packet alone (before it, in a chain of priority raw)."""

    needs_ct = True

    def __str__(self) -> str:
        return "notrack"

    def compile(self, table) -> Run:
        def run(skb, env):
            if skb.ct is None:
                skb.ctstate = "UNTRACKED"

        return run


@value
class Verbatim:
    """What the model keeps and prints but cannot carry out: a packet that reaches it raises UnsupportedError."""

    text: str

    needs_ct = False

    def __str__(self) -> str:
        return self.text

    def compile(self, table) -> Run:
        return lambda skb, env: unsupported(self)
