"""Predict before you run: a question whose choices open to say right or not, and why.

Each choice is a ``<details>`` element: it opens by mouse, by keyboard and in a screen reader, in a notebook that is not trusted and on
GitHub, with no kernel and no script. ``ask("02.mac")`` shows a question of ``k8snetlib/course/questions/q02.py``, so that the cell above
it does not give the answer away; ``predict()`` takes the question itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from k8snetlib.course.strings import suggestion, text
from k8snetlib.errors import ModelError

TEXT = {
    "answer": "{question!r}: the answer {answer!r} is none of the choices {choices}",
    "few": "{question!r}: a prediction has two to eight choices, not {count}",
    "why": "{question!r}: the choice {choice!r} needs a sentence that says why it is {kind}",
    "both": "{question!r}: the right choice {choice!r} is explained by `why`; leave its own text empty",
    "key": "{module}: the key {key!r} must begin with the lesson's number, and stand once",
    "unknown": "there is no question {key!r}{suggestion}",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question; each choice with the sentence that says why it is wrong (empty for the right one); the right choice; and why.

    Texts may hold `` `code` `` in backquotes. Raises :class:`~k8snetlib.errors.ModelError` where a sentence is missing.
    """

    question: str
    choices: Mapping[str, str]
    answer: str
    why: str

    def __post_init__(self) -> None:
        if not 2 <= len(self.choices) <= len(_LETTERS):
            raise ModelError(TEXT["few"].format(question=self.question, count=len(self.choices)))
        if self.answer not in self.choices:
            raise ModelError(TEXT["answer"].format(question=self.question, answer=self.answer, choices=list(self.choices)))
        if self.choices[self.answer]:
            raise ModelError(TEXT["both"].format(question=self.question, choice=self.answer))
        for choice in self.choices:
            if not self.explanation(choice).strip():
                kind = "right" if choice == self.answer else "wrong"
                raise ModelError(TEXT["why"].format(question=self.question, choice=choice, kind=kind))

    def explanation(self, choice: str) -> str:
        """Why ``choice`` is right or wrong."""
        return self.why if choice == self.answer else self.choices[choice]

    def html(self) -> str:
        """The question with one ``<details>`` for each choice."""
        rows = "".join(self._row(letter, choice) for letter, choice in zip(_LETTERS, self.choices, strict=False))
        head = f"<strong>{text('predict.heading')}</strong> &nbsp;{_marked(self.question)}<br><small>{text('predict.how')}</small>"
        return f'<div style="border-left:4px solid #c2185b;padding:2px 0 2px 14px;margin:6px 0"><p>{head}</p>{rows}</div>'

    def _row(self, letter: str, choice: str) -> str:
        verdict = f"✓ {text('predict.right')}" if choice == self.answer else f"✗ {text('predict.wrong')}"
        return (
            f"<details><summary><strong>{letter}</strong>&nbsp; {_marked(choice)}</summary>"
            f'<p style="margin:2px 0 8px 34px"><strong>{verdict}</strong> {_marked(self.explanation(choice))}</p></details>'
        )

    def __str__(self) -> str:
        """The question and its choices, without the answer."""
        return "\n".join(
            [
                text("predict.plain", question=self.question),
                *(f"  {letter}  {choice}" for letter, choice in zip(_LETTERS, self.choices, strict=False)),
            ]
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def predict(question: str, choices: Mapping[str, str], answer: str, why: str) -> Question:
    """The question to be shown as the last expression of a cell.

    >>> predict("How many routers does the frame pass?",
    ...         {"none": "", "one": "Both Pods are on the bridge's segment, so no routing table is asked."},
    ...         answer="none", why="The bridge forwards by MAC address, inside one IP subnet.")  # doctest: +SKIP
    """
    return Question(question, dict(choices), answer, why)


def ask(key: str) -> Question:
    """The question ``key`` of a lesson ("02.mac"); raises :class:`~k8snetlib.errors.ModelError` where there is none."""
    known = questions()
    if key not in known:
        raise ModelError(TEXT["unknown"].format(key=key, suggestion=suggestion(key, known)))
    return known[key]


def questions() -> dict[str, Question]:
    """All questions of all lessons, by key, in order; a key begins with the number of its lesson."""
    from pkgutil import iter_modules

    from k8snetlib.course import questions as package

    found: dict[str, Question] = {}
    for module in sorted(name for _, name, _ in iter_modules(package.__path__)):
        table = importlib.import_module(f"{package.__name__}.{module}").QUESTIONS
        for key, value in table.items():
            if key in found or not key.startswith(f"{module.removeprefix('q')}."):
                raise ModelError(TEXT["key"].format(module=f"{package.__name__}.{module}", key=key))
            found[key] = value
    return found


_LETTERS = "ABCDEFGH"


def _marked(plain: str) -> str:
    """HTML of a text in which `` `code` `` stands in backquotes."""
    parts = escape(plain, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
