"""Variants: the same for a student for ever, fair, and within what was asked."""

from __future__ import annotations

import itertools
from collections import Counter
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snetlib.course.variants import DEFAULT_SEED, Variant, variant
from k8snetlib.errors import ModelError

words = st.text(max_size=12)
cases = st.builds(Variant, words, words)


def test_the_values_are_pinned():
    """These bytes are what a class worked with: if this test fails, give the scheme another name."""
    case = Variant("03", "alice")
    assert (
        case.integer("mtu", 1300, 1500),
        case.choose("cni", ["vxlan", "ipip", "bgp"]),
        case.shuffle("pods", list("abcdef")),
        str(case.subnet("pods", "10.0.0.0/8", 24)),
        str(case.subnet("pods6", "fd00::/16", 64)),
        str(case.address("web", "10.244.1.0/24")),
        case.integer("wide", 0, 2**128 - 1),
        case.sample("two", "abcde", 2),
    ) == (
        1411,
        "ipip",
        ["e", "f", "c", "d", "b", "a"],
        "10.101.4.0/24",
        "fd00:48e0:7eb7:5c20::/64",
        "10.244.1.244",
        313300649194145999930822338571224706835,
        ["d", "b"],
    )


@given(cases, words, st.integers(-(2**70), 2**70), st.integers(0, 2**70))
def test_integers_lie_within_their_bounds(case, key, low, span):
    assert low <= case.integer(key, low, low + span) <= low + span


@given(cases, words, st.lists(st.integers(), min_size=1))
def test_a_choice_is_one_of_the_options_and_a_shuffle_all_of_them(case, key, items):
    assert case.choose(key, items) in items
    assert sorted(case.shuffle(key, items)) == sorted(items) == sorted(case.sample(key, items, len(items)))


@given(cases, words, st.sampled_from(["10.0.0.0/8", "192.168.50.0/24", "fd00:244::/48", "0.0.0.0/0", "::/0"]), st.data())
def test_a_subnet_lies_inside_with_the_length_asked_for(case, key, within, data):
    outer = ip_network(within)
    prefix = data.draw(st.integers(outer.prefixlen, outer.max_prefixlen))
    inner = case.subnet(key, within, prefix)
    assert inner.subnet_of(outer) and inner.prefixlen == prefix


@given(cases, words, st.sampled_from(["10.244.1.0/24", "10.0.0.0/30", "fd00::/64", "10.0.0.0/8"]))
def test_an_address_is_a_host_but_not_the_gateway(case, key, network):
    address, net = case.address(key, network), ip_network(network)
    assert address in net and address not in (net[0], net[1], net[-1])


@given(cases, words, words)
def test_values_do_not_depend_on_what_was_asked_before(case, key, other):
    alone = Variant(case.exercise, case.seed).integer(key, 0, 10**9)
    case.shuffle(other, range(5))
    assert case.integer(key, 0, 10**9) == alone


def test_students_exercises_and_keys_are_told_apart_even_where_their_texts_run_together():
    values = [
        Variant(exercise, seed).integer(key, 0, 2**60)
        for exercise, seed, key in [
            ("0", "31", "2"),
            ("03", "1", "2"),
            ("03", "12", ""),
            ("03", "", "12"),
            ("", "0312", ""),
            ("03", "1", "2,0"),
        ]
    ]
    assert len(set(values)) == len(values)


def test_draws_are_even():
    """A fixed sample, so this cannot flicker: 6,000 draws of six values; chi-squared with 5 degrees of freedom, 0.1 % level."""
    counts = Counter(Variant("x", str(number)).integer("die", 1, 6) for number in range(6000))
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5 and set(counts) == set(range(1, 7))


def test_shuffles_are_even():
    counts = Counter("".join(Variant("x", str(number)).shuffle("s", "abc")) for number in range(6000))
    assert set(counts) == {"".join(order) for order in itertools.permutations("abc")}
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda case: case.choose("k", []), "'k': there is nothing to choose from"),
        (lambda case: case.integer("k", 2, 1), "2 to 1 is an empty range"),
        (lambda case: case.sample("k", "ab", 3), "3 of 2 cannot be drawn"),
        (lambda case: case.subnet("k", "10.0.0.0/24", 8), "no /8 fits into 10.0.0.0/24"),
        (lambda case: case.subnet("k", "10.0.0.0/24", 33), "no /33 fits"),
        (lambda case: case.address("k", "10.0.0.0/31"), "10.0.0.0/31 has no host address"),
    ],
)
def test_what_cannot_be_drawn_is_a_clear_mistake(call, message):
    with pytest.raises(ModelError, match=message):
        call(Variant("03"))


def test_the_seed_is_the_argument_or_the_environment_or_the_committed_one(monkeypatch):
    monkeypatch.delenv("K8SNET_SEED", raising=False)
    assert variant("03") == Variant("03", DEFAULT_SEED) and variant("03", "alice") == Variant("03", "alice")
    assert variant("03", 4711).seed == "4711"
    monkeypatch.setenv("K8SNET_SEED", "bob")
    assert variant("03").seed == variant("03", "bob").seed == "bob"
    with pytest.raises(ModelError, match="solved with seed 'alice', but K8SNET_SEED asks for 'bob'"):
        variant("03", "alice")
