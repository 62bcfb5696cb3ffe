"""Routing loops: a packet that is sent round the same places until its TTL is used up, shown as its first round and its end."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from ..linux.events import Rewritten
from ..value import replace, value

if TYPE_CHECKING:
    from .walk import Step

TEXT = {
    "again": "{way} → … ({rounds} rounds)",
    "round": "a routing loop: {rounds} more rounds through these {places} places, TTL {old} → {new}",
}
FEWEST = 3  # rounds: a packet may well come through one place twice, there and back again


@value
class Loop:
    """The circle in which a way ends: the index of its first stop, how many stops a round has, how many whole rounds there are, and how
    many stops of one more."""

    start: int
    length: int
    rounds: int
    rest: int

    @property
    def spared(self) -> int:
        """The whole rounds that need not be shown: all but the first, and but the last where the walk ends with it."""
        return self.rounds - (1 if self.rest else 2)

    @property
    def left_out(self) -> slice:
        """The stops of these rounds."""
        return slice(self.start + self.length, self.start + self.length * (1 + self.spared))


def loop(places: Sequence[Hashable]) -> Loop | None:
    """The loop at the end of a way; None where there is none, or fewer than three rounds of it. O(stops · longest round)."""
    for length in range(1, len(places) // FEWEST + 1):
        start = len(places) - length
        while start > 0 and places[start - 1] == places[start - 1 + length]:
            start -= 1
        rounds, rest = divmod(len(places) - start, length)
        if rounds >= FEWEST:
            return Loop(start, length, rounds, rest)
    return None


def fold(walk: Sequence[Step]) -> tuple[Step, ...]:
    """The walk with the rounds between the first and the last in one sentence, and the steps that are left numbered anew."""
    found = loop([step.place for step in walk])
    if found is None:
        return tuple(walk)
    gone = walk[found.left_out]
    turns = [event for step in gone for event in step.events if type(event) is Rewritten and event.what == "TTL"]
    if not turns:
        return tuple(walk)
    words = TEXT["round"].format(rounds=found.spared, places=found.length, old=turns[0].old.ttl, new=turns[-1].new.ttl)
    first, *rest = walk[found.left_out.stop :]
    kept = (*walk[: found.left_out.start], replace(first, happened=(words, *first.happened), skipped=words), *rest)
    return tuple(replace(step, number=number) for number, step in enumerate(kept, 1))


def spelled(stops: Sequence[str]) -> str:
    """A way in one line: ``client → underlay → node-a``; of a loop one round, and how many there are."""
    found = loop(stops)
    if found is None:
        return " → ".join(stops)
    return TEXT["again"].format(way=" → ".join(stops[: found.start + found.length]), rounds=found.rounds)
