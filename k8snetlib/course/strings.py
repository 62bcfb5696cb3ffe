"""What the course's own machinery says to a learner, in one table, so that it can be translated.

``K8SNET_LANG=xx`` reads ``data/text.xx.json`` (a mapping of the same keys); a key or a language that is not there is said in English.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TEXT = {
    "predict.heading": "Predict first",
    "predict.how": "Decide, then open your choice.",
    "predict.right": "Right.",
    "predict.wrong": "Not this one.",
    "predict.plain": "Predict first: {question}",
    "check.right": "✓ {key}  {what}",
    "check.not_started": "✗ {key}  not started yet",
    "check.missing": "{names}: nothing there yet. Replace the placeholder, run that cell, then this one.",
    "check.stub": "{name} still ends in the placeholder. Replace it, run that cell, then this one.",
    "check.not_yet": "✗ {key}  not yet",
    "check.got": "got",
    "check.expected": "expected",
    "check.hint": "hint",
    "check.raised": "{name} raised {error}, in its line {line}: {source}",
    "check.runs": "{name} runs to its end",
    "check.accepted": "what you handed in can be carried out",
    "check.read": "Read the last words of the error: they say what Python could not do.",
    "check.refused": "What you got says what was refused, and where. Mend that place.",
    "suggestion": "(did you mean {close!r}?)",
    "fact.claim": "What you may have read",
    "fact.statement": "What holds",
    "fact.since": "Since",
    "fact.checked": "checked {date}",
    "fact.sources": "Source",
}

DATA = Path(__file__).with_name("data")


def text(name: str, /, **values: object) -> str:
    """The text called ``name`` in the language of ``K8SNET_LANG``, with ``values`` filled in."""
    return _table(os.environ.get("K8SNET_LANG", "en"), DATA).get(name, TEXT[name]).format(**values)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known word that is closest to a misspelt one; empty where none is close."""
    import difflib

    close = difflib.get_close_matches(word, list(known), 1)
    return f" {text('suggestion', close=close[0])}" if close else ""


@cache
def _table(language: str, folder: Path) -> dict[str, str]:
    file = folder / f"text.{language}.json"
    return json.loads(file.read_text(encoding="utf-8")) if language.isalpha() and file.is_file() else {}
