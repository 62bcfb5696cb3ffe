"""Which rules of a long chain a packet can match at all: an index by destination, protocol and port.

The kernel walks a chain rule by rule, and that is its cost. A chain with thousands of rules "-d ADDRESS -p tcp --dport PORT" gives the same
answer if only the rules for the packet's own address and port are tried, in order, beside those that the index cannot tell apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from .packet import Skb
from .xtables import Ports, Test

FEW = 16  # a chain up to this length is walked as it is

# A line that begins with plain matches for one destination address and one port, with no other text than a comment between.
_PLAIN = re.compile(
    r'(?:(?:! )?-s \S+ )?(?:-d (?P<dst>[0-9a-f.:]+)/(?:32|128) )?-p (?P<proto>tcp|udp|sctp) (?:-m comment --comment "[^"\\]*" )?'
    r"-m (?P=proto) --dport (?P<port>\d+)(?= |$)"
)
Key = tuple  # (destination or None, protocol or None, port or None)


class CompiledChain:
    """A chain's rules with their tests, made one by one, and for a long chain the index."""

    __slots__ = ("entries", "index", "others", "rules")

    def __init__(self, rules: Sequence) -> None:
        self.rules = rules
        self.entries: list[tuple[tuple[Test, ...], object] | None] = [None] * len(rules)
        self.index: dict[Key, list[int]] | None = None
        self.others: list[int] = []
        if len(rules) > FEW:
            self.index, self.others = _index(rules)

    def entry(self, position: int) -> tuple[tuple[Test, ...], object]:
        """(tests, rule) at that position."""
        found = self.entries[position]
        if found is None:
            rule = self.rules[position]
            found = self.entries[position] = (rule.compile(), rule)
        return found

    def candidates(self, skb: Skb, start: int) -> Sequence[int]:
        """Positions from ``start`` on of the rules of a long chain that the packet may match, in order."""
        packet = skb.packet
        dst, proto, port = str(packet.dst), packet.proto, getattr(packet.payload, "dport", None)
        found = [*self.others, *self.index.get((dst, None, None), ())]
        if port is not None:
            found += self.index.get((dst, proto, port), ())
            found += self.index.get((None, proto, port), ())
        return sorted(position for position in found if position >= start)


def _index(rules: Sequence) -> tuple[dict[Key, list[int]], list[int]]:
    """Positions by key, and those of the rules that have none."""
    index, others = defaultdict(list), []
    lines = getattr(rules, "lines", None)
    for position in range(len(rules)):
        key = None
        if lines is not None and (plain := _PLAIN.match(lines[position])):
            key = (plain["dst"], plain["proto"], int(plain["port"]))
        else:
            key = _key(rules[position])
        (others if key is None else index[key]).append(position)
    return dict(index), others


def _key(rule) -> Key | None:
    """What the rule asks of destination, protocol and port, where it asks for one of each; None if it must always be tried."""
    dst = None
    if rule.dst is not None and "dst" not in rule.negated and rule.dst.prefixlen == rule.dst.max_prefixlen:
        dst = str(rule.dst.network_address)
    if rule.proto and "proto" not in rule.negated:
        for match in rule.matches:
            if (
                type(match) is Ports
                and match.name == rule.proto
                and match.dport
                and match.dport[0] == match.dport[1]
                and not match.not_dport
            ):
                return dst, rule.proto, match.dport[0]
    return None if dst is None else (dst, None, None)
