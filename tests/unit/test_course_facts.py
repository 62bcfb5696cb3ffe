"""Facts: each has a version and a source, and is shown with both. Texts: every one can be translated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from k8snetlib.course import strings
from k8snetlib.course.facts import CHECKED, FACTS, Fact, Source, facts
from k8snetlib.errors import ModelError


@pytest.mark.parametrize("key", FACTS)
def test_a_fact_says_since_when_and_who_says_so(key):
    fact = FACTS[key]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key)
    assert re.search(r"\d", fact.since), "a version or a year"
    assert all(source.name and re.fullmatch(r"https://\S+", source.address) for source in fact.sources)
    assert fact.statement.endswith(".") and fact.claim.endswith(".") and len(fact.statement.split()) <= 60


def test_a_fact_without_source_is_refused():
    with pytest.raises(ModelError, match="needs a claim, a statement, a version and a source"):
        Fact("a", "b", "1.33", ())


def test_a_lesson_shows_facts_as_a_table_with_links():
    table = facts("flannel-port", "proxy-modes")
    html = table._repr_mimebundle_()["text/html"]
    assert html.count("<tr>") == 3 and CHECKED in html
    assert '<a href="https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md">flannel: backends.md</a>' in html
    assert str(table).startswith("“VXLAN runs on UDP port 4789.”\n  4789 is IANA's number.") and "KEP-3866" in str(table)


def test_special_characters_of_a_fact_are_escaped(monkeypatch):
    monkeypatch.setitem(FACTS, "x", Fact("a < b.", "c & d.", "1", (Source("e > f", "https://example.org/?a=1&b=2"),)))
    html = facts("x").html()
    assert "a &lt; b." in html and "c &amp; d." in html and "e &gt; f" in html and "a=1&amp;b=2" in html


def test_an_unknown_fact_is_a_mistake_with_a_suggestion():
    with pytest.raises(ModelError, match=r"'flannel-prot' \(did you mean 'flannel-port'\?\)"):
        facts("flannel-prot")


def test_every_text_of_the_course_is_in_the_table_and_every_text_of_the_table_is_used():
    used: set[str] = set()
    for module in Path(strings.__file__).parent.glob("*.py"):
        source = module.read_text(encoding="utf-8")
        used |= {key for key in strings.TEXT if re.search(rf"""["']{key}["']""", source) and module.name != "strings.py"}
        for literal in re.findall(r"""\btext\(["']([^"'{]+)["']""", source):
            assert literal in strings.TEXT, module.name
            used.add(literal)
    computed = {"check.got", "check.expected", "check.hint", "fact.claim", "fact.statement", "fact.since", "fact.sources"}
    assert used | computed == set(strings.TEXT)


def test_a_translation_is_a_file_of_the_same_keys(monkeypatch, tmp_path):
    (tmp_path / "text.xx.json").write_text(json.dumps({"predict.right": "Genau.", "check.right": "✓ {key}: {what}"}), encoding="utf-8")
    monkeypatch.setattr(strings, "DATA", tmp_path)
    monkeypatch.setenv("K8SNET_LANG", "xx")
    assert strings.text("predict.right") == "Genau." and strings.text("check.right", key="1", what="gut") == "✓ 1: gut"
    assert strings.text("predict.wrong") == "Not this one."


@pytest.mark.parametrize("language", ["en", "zz", "../secret", ""])
def test_an_unknown_language_is_english(monkeypatch, language):
    monkeypatch.setenv("K8SNET_LANG", language)
    assert strings.text("predict.right") == "Right."
