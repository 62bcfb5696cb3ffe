"""The recent match: what counts as seen, for how long, and what a full list forgets (net/netfilter/xt_recent.c)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.ops import RecentSet, RulesRestore, build
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.recent import LIST_SIZE, Recent, RecentEntry, seen
from tests.unit.networks import routed

A, B, C = map(ip_address, ("10.0.0.1", "10.0.0.2", "10.0.0.3"))


def entries(*found: tuple) -> tuple[RecentEntry, ...]:
    return tuple(RecentEntry(address, stamps) for address, *stamps in [(a, *s) for a, *s in found] for stamps in [tuple(stamps)])


def test_set_remembers_and_moves_to_the_end() -> None:
    holds, now = Recent("set").decide(entries((A, 1), (B, 2)), A, 5)
    assert holds and now == entries((B, 2), (A, 1, 5))


@pytest.mark.parametrize(("now", "holds"), [(40, True), (41, False)])
def test_rcheck_counts_the_last_seconds_inclusively(now: float, holds: bool) -> None:
    before = entries((A, 10))
    assert Recent("rcheck", seconds=30).decide(before, A, now) == (holds, before)


def test_unknown_address() -> None:
    assert Recent("rcheck").decide((), A, 0) == (False, ())
    assert Recent("rcheck", negated=True).decide((), A, 0) == (True, ())
    assert Recent("remove").decide(entries((A, 1)), A, 2) == (True, ())


def test_update_renews_only_what_matched() -> None:
    assert Recent("update", seconds=30).decide(entries((A, 10)), A, 20) == (True, entries((A, 10, 20)))
    assert Recent("update", seconds=30).decide(entries((A, 10)), A, 50) == (False, entries((A, 10)))


def test_hitcount() -> None:
    before = entries((A, 1, 2, 30))
    assert Recent("rcheck", seconds=10, hitcount=2).decide(before, A, 31)[0] is False
    assert Recent("rcheck", seconds=60, hitcount=3).decide(before, A, 31)[0] is True


def test_reap_throws_out_the_oldest_entry_if_it_has_expired() -> None:
    before = entries((A, 1), (B, 2), (C, 50))
    assert Recent("rcheck", seconds=10, reap=True).decide(before, C, 51) == (True, entries((B, 2), (C, 50)))
    assert Recent("rcheck", seconds=10, reap=True).decide(before, ip_address("10.9.9.9"), 51) == (False, before)
    assert Recent("rcheck", seconds=10, reap=True).decide(entries((A, 1)), A, 51) == (False, ())


def test_a_full_list_forgets_whom_it_saw_longest_ago() -> None:
    found: tuple[RecentEntry, ...] = ()
    for i in range(LIST_SIZE + 2):
        found = seen(found, ip_address(i), i)
    assert len(found) == LIST_SIZE and [int(found[0].address), int(found[-1].address)] == [2, LIST_SIZE + 1]


def test_what_it_needs() -> None:
    for words in ("--seconds 3", "--rcheck --reap"):
        with pytest.raises(ModelError, match="recent:"):
            Ruleset.parse(f"*filter\n-A INPUT -m recent {words} -j DROP\nCOMMIT")


def test_masks_and_sides() -> None:
    text = "*filter\n-A FORWARD -m recent --set --name n --mask 255.255.255.0 --rdest\nCOMMIT"
    network = build([*routed(), RulesRestore("r", text)])
    network = after(network, trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80), now=7))
    assert network["r"].recent == {"n": (RecentEntry(ip_address("10.0.2.0"), (7,)),)}
    assert str(network["r"].recent["n"][0]) == "src=10.0.2.0 last_seen: 7 oldest_pkt: 1"


def test_one_packet_sees_what_it_has_set_itself() -> None:
    text = "*filter\n-A FORWARD -m recent --set --name n\n-A FORWARD -m recent --rcheck --name n -j DROP\nCOMMIT"
    network = build([*routed(), RulesRestore("r", text), RecentSet("r", "other", entries((A, 1)))])
    told = trace(network, "a", tcp("10.0.1.2", "10.0.2.2", 80), now=3)
    assert told.end.reason == "NETFILTER_DROP" and set(after(network, told)["r"].recent) == {"n", "other"}
