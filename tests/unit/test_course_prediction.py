"""Predictions: right and wrong choices explain themselves, the question alone gives nothing away, a mistake of the author is refused."""

from __future__ import annotations

import sys
import types
from html.parser import HTMLParser

import pytest

from k8snetlib.course import prediction
from k8snetlib.course.prediction import Question, ask, predict, questions
from k8snetlib.errors import ModelError

CHOICES = {"none": "", "one": "Both Pods are on one segment.", "two <b>": "Neither node routes & `cni0` switches."}


def question(**changes) -> Question:
    parts = {
        "question": "How many routers does `web`'s frame pass?",
        "choices": CHOICES,
        "answer": "none",
        "why": "The bridge switches by MAC.",
    }
    return predict(**parts | changes)


class Choices(HTMLParser):
    """Summary and text of each details element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.where = ""
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ("br",):
            self.stack.append(tag)
        if tag == "details":
            self.found.append({"summary": "", "p": ""})
            assert "open" not in dict(attrs)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if "details" in self.stack:
            self.found[-1]["summary" if "summary" in self.stack else "p"] += data


def test_each_choice_opens_to_its_verdict_and_reason():
    parser = Choices(question().html())
    assert not parser.stack
    assert [row["summary"].replace("\xa0", "") for row in parser.found] == ["A none", "B one", "C two <b>"]
    assert [row["p"] for row in parser.found] == [
        "✓ Right. The bridge switches by MAC.",
        "✗ Not this one. Both Pods are on one segment.",
        "✗ Not this one. Neither node routes & cni0 switches.",
    ]


def test_code_and_special_characters_are_marked_up():
    html = question().html()
    assert "<code>web</code>'s" in html and "two &lt;b&gt;" in html and "routes &amp; <code>cni0</code>" in html


def test_it_needs_no_script_no_style_sheet_no_ids():
    html = question().html()
    assert not any(word in html for word in ("<script", "<style", " id=", "onclick", "<input"))


def test_the_plain_text_and_the_repr_of_the_output_do_not_tell_the_answer():
    bundle = question()._repr_mimebundle_()
    assert bundle["text/plain"] == "Predict first: How many routers does `web`'s frame pass?\n  A  none\n  B  one\n  C  two <b>"
    assert bundle == question()._repr_mimebundle_()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": "three"}, "'three' is none of the choices"),
        ({"choices": {"none": ""}}, "two to eight choices, not 1"),
        ({"choices": {str(n): "x" for n in range(8)} | {"none": ""}}, "two to eight choices, not 9"),
        ({"choices": CHOICES | {"one": " "}}, "'one' needs a sentence that says why it is wrong"),
        ({"why": ""}, "'none' needs a sentence that says why it is right"),
        ({"choices": CHOICES | {"none": "yes"}}, "'none' is explained by `why`"),
    ],
)
def test_an_unfinished_question_is_refused(changes, message):
    with pytest.raises(ModelError, match=message):
        question(**changes)


@pytest.fixture
def lesson_97(monkeypatch):
    module = types.ModuleType("k8snetlib.course.questions.q97")
    module.QUESTIONS = {"97.mac": question()}
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("pkgutil.iter_modules", lambda path: [(None, "q97", False)])
    return module


def test_a_lesson_asks_by_key(lesson_97):
    assert ask("97.mac") is lesson_97.QUESTIONS["97.mac"]
    with pytest.raises(ModelError, match=r"no question '97\.mca' \(did you mean '97\.mac'\?\)"):
        ask("97.mca")


def test_a_key_begins_with_its_lesson(lesson_97):
    lesson_97.QUESTIONS = {"96.mac": question()}
    with pytest.raises(ModelError, match=r"'96\.mac' must begin with the lesson's number"):
        ask("96.mac")


def test_every_shipped_question_is_whole():
    assert all(isinstance(value, Question) for value in questions().values())
    for key, value in questions().items():
        texts = [value.question, value.why, *value.choices, *value.choices.values()]
        assert all(text.count("`") % 2 == 0 for text in texts), key


def test_the_letters_last():
    assert len(set(prediction._LETTERS)) == 8
