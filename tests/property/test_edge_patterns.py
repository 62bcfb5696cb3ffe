"""Any regular expression is read without a warning or refused, and one that Python reads without a warning is read as Python reads it."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from k8snetlib.errors import ModelError
from k8snetlib.kube.edge.patterns import pattern_of

PARTS = [
    "[",
    "]",
    "^",
    "-",
    "&",
    "|",
    "~",
    ":",
    "[:",
    ":]",
    "[:alpha:]",
    "[:^digit:]",
    "a",
    "c",
    "z",
    "+",
    "\\",
    "\\w",
    "\\x41",
    "(",
    ")",
    "*",
]
ASCII = [chr(each) for each in range(128)]


@given(st.lists(st.sampled_from(PARTS), max_size=9).map("".join))
@example("[a--]")
@example("[[a]")
def test_patterns(text):
    pattern_of.cache_clear()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = pattern_of(text)
        except ModelError:
            found = None
    assert not told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            plain = re.compile(text)
        except (re.error, FutureWarning):
            return
    assert found is not None or "[:" in text
    if found is not None and "[:" not in text:
        assert [c for c in ASCII if found.fullmatch(c)] == [c for c in ASCII if plain.fullmatch(c)]


NESTED = st.builds(
    "{}({}{}{}){}{}".format,
    st.sampled_from(["", "^/", "b"]), st.sampled_from(["", "?:"]), st.sampled_from(["a", "[a-b]", r"\w", ".", r"[^\]]"]),
    st.sampled_from("*+"), st.sampled_from("*+"), st.sampled_from(["", "$", "c", "/"]),
)  # fmt: skip


@given(NESTED, st.text("abc/]", max_size=7))
def test_a_repetition_of_a_repetition_matches_the_same(pattern, text):
    found, plain = pattern_of(pattern), re.compile(pattern)
    assert bool(found.fullmatch(text)) == bool(plain.fullmatch(text)) and bool(found.search(text)) == bool(plain.search(text))


def test_a_repetition_of_a_repetition_takes_no_exponential_time():
    for pattern in ("/(a+)+$", "/(?:[a-z]*)*$", r"/(\w+)*$", "/(.*)+$"):
        pattern_of(pattern).fullmatch("/" + "a" * 5000 + "!")


@pytest.mark.parametrize(
    ("pattern", "text", "fits"), [("[(a*)+]", "+", True), ("x[(b*)+]y", "x+y", True), (r"\d", "\u0663", False), (r"\w+", "a1_", True)]
)
def test_brackets_keep_their_members_and_classes_are_ascii(pattern, text, fits):
    assert bool(pattern_of(pattern).fullmatch(text)) == fits
