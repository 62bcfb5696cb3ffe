"""nftables tables, drawn at random: what is printed is read again as the same."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.linux.nftables import Ruleset
from k8snetlib.linux.nftables_types import TYPES, merged, seconds, time_text
from tests.nft_drawing import draw


@given(st.integers(0, 10**9), st.sampled_from([4, 6]))
def test_read_and_printed_again(seed: int, version: int) -> None:
    ruleset = Ruleset().restore(draw(random.Random(seed), version))
    again = Ruleset.parse(str(ruleset))
    assert again == ruleset
    assert str(again) == str(ruleset)
    for table in ruleset.tables.values():
        for name in table.chains:
            assert tuple(map(str, table.rules(name))) == table.chains[name].lines
    assert Ruleset().restore(str(ruleset)) == ruleset


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 40))))
def test_merged_intervals_hold_the_same_addresses(spans: list[tuple[int, int]]) -> None:
    kind = TYPES["ipv4_addr"]
    texts = [kind.range_text(low, min(low + more, 2**32 - 1)) for low, more in spans]
    inside = {number for text in texts for number in range(kind.bounds(text)[0], kind.bounds(text)[1] + 1)}
    found = [kind.bounds(text) for text in merged(kind, texts)]
    assert inside == {number for low, high in found for number in range(low, high + 1)}
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@given(st.integers(0, 10**9))
def test_times(ms: int) -> None:
    assert round(seconds(time_text(ms / 1000)) * 1000) == ms
