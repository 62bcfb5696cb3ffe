"""Values that differ from student to student and never from run to run.

A value is read from SHA-256 over (scheme, exercise, seed, key, counter), so it depends on nothing else: not on the order of the calls, the
Python version, the platform or ``random``. Numbers are drawn without bias by discarding the uneven rest of each 64-bit word.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeVar

from k8snetlib.errors import ModelError

DEFAULT_SEED = "k8snetlib"
"""The seed of everyone who learns alone, and of the committed solutions."""

SCHEME = "k8snetlib-variant-1"
"""Names this way of drawing; any change to it would change every student's exercise, so it would need another name."""

TEXT = {
    "empty": "variant {exercise}, {key!r}: there is nothing to choose from",
    "range": "variant {exercise}, {key!r}: {low} to {high} is an empty range",
    "count": "variant {exercise}, {key!r}: {count} of {length} cannot be drawn",
    "prefix": "variant {exercise}, {key!r}: no /{prefix} fits into {within}",
    "hosts": "variant {exercise}, {key!r}: {network} has no host address to give",
    "seeds": "exercise {exercise}: the notebook was solved with seed {ours!r}, but K8SNET_SEED asks for {theirs!r}",
}

T = TypeVar("T")
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def variant(exercise: str, seed: str | int | None = None) -> Variant:
    """The variant of ``exercise`` ("03") for a student.

    The seed is the argument (a student's id), else the environment variable ``K8SNET_SEED``, else :data:`DEFAULT_SEED`. Where argument and
    variable are both given and differ, a notebook is being graded under another student's id: raises :class:`ModelError`.
    """
    asked = os.environ.get("K8SNET_SEED")
    if seed is not None and asked is not None and str(seed) != asked:
        raise ModelError(TEXT["seeds"].format(exercise=exercise, ours=str(seed), theirs=asked))
    return Variant(exercise, str(seed if seed is not None else asked if asked is not None else DEFAULT_SEED))


@dataclass(frozen=True, slots=True)
class Variant:
    """One student's values for one exercise. Each is asked for by a key of its own; the same key always gives the same value."""

    exercise: str
    seed: str = DEFAULT_SEED

    def integer(self, key: str, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included, each equally likely."""
        if low > high:
            raise ModelError(TEXT["range"].format(exercise=self.exercise, key=key, low=low, high=high))
        return low + _below(high - low + 1, self._words(key))

    def choose(self, key: str, options: Sequence[T]) -> T:
        """One of ``options``."""
        if not options:
            raise ModelError(TEXT["empty"].format(exercise=self.exercise, key=key))
        return options[self.integer(key, 0, len(options) - 1)]

    def shuffle(self, key: str, items: Sequence[T]) -> list[T]:
        """``items`` in another order, each order equally likely (Fisher-Yates)."""
        words, out = self._words(key), list(items)
        for last in range(len(out) - 1, 0, -1):
            other = _below(last + 1, words)
            out[last], out[other] = out[other], out[last]
        return out

    def sample(self, key: str, items: Sequence[T], count: int) -> list[T]:
        """``count`` different ones of ``items``."""
        if not 0 <= count <= len(items):
            raise ModelError(TEXT["count"].format(exercise=self.exercise, key=key, count=count, length=len(items)))
        return self.shuffle(key, items)[:count]

    def subnet(self, key: str, within: str | Network, prefix: int) -> Network:
        """A network of length ``prefix`` inside ``within``, IPv4 or IPv6."""
        outer = ip_network(within)
        if not outer.prefixlen <= prefix <= outer.max_prefixlen:
            raise ModelError(TEXT["prefix"].format(exercise=self.exercise, key=key, prefix=prefix, within=outer))
        number = self.integer(key, 0, 2 ** (prefix - outer.prefixlen) - 1)
        start = int(outer.network_address) + (number << (outer.max_prefixlen - prefix))
        return type(outer)((start, prefix))

    def address(self, key: str, network: str | Network) -> Address:
        """A host address of ``network``: not its first (the network's own), second (by habit the gateway) or last (broadcast)."""
        inner = ip_network(network)
        if inner.num_addresses < 4:
            raise ModelError(TEXT["hosts"].format(exercise=self.exercise, key=key, network=inner))
        return inner[self.integer(key, 2, inner.num_addresses - 2)]

    def _words(self, key: str) -> Iterator[int]:
        """An endless stream of 64-bit numbers."""
        counter = 0
        while True:
            text = json.dumps([SCHEME, self.exercise, self.seed, key, counter], ensure_ascii=True, separators=(",", ":"))
            digest = hashlib.sha256(text.encode()).digest()
            yield from (int.from_bytes(digest[start : start + 8], "big") for start in range(0, 32, 8))
            counter += 1


def _below(limit: int, words: Iterator[int]) -> int:
    """A number from 0 to ``limit - 1`` without bias: numbers past the largest multiple of ``limit`` are thrown away."""
    count = max(1, -(-limit.bit_length() // 64))
    span = 1 << 64 * count
    while True:
        number = 0
        for _ in range(count):
            number = number << 64 | next(words)
        if number < span - span % limit:
            return number % limit
