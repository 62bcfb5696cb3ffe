"""A packet walk as plain data: everything that the browser needs to step through a trace by itself, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..linux.events import Answered, Asked, Delivered, Dropped, Event, Trace
from ..views.diagrams import diagram
from ..views.headers import Header, changes
from ..views.places import is_balanced, place_name, svg_id
from ..views.walk import Step, decision, say, steps

TEXT = {
    "asked": "How the answer was found",
    "answered": "The answer on its way",
    "live": "Step {n} of {total}, {place}, {length} bytes. {said}",
    "at": "{place}: {said}",
    "moves": "passes on",
}


def walk_data(trace: Trace, journey: int = 0) -> dict[str, Any]:
    """The drawing and the steps of one journey of the trace, as JSON can hold them."""
    walk = steps(trace, journey)
    balanced = is_balanced(walk)
    figure = diagram(trace=trace, journey=journey)
    before: Sequence[Header] = ()
    made = []
    for step in walk:
        made.append(_step(trace, step, before, place_name(step.place, balanced=balanced), len(walk)))
        before = step.headers
    return {"svg": figure.svg, "alt": figure.alt, "steps": made}


def _step(trace: Trace, step: Step, before: Sequence[Header], place: str, total: int) -> dict[str, Any]:
    said = list(_said(trace, step))
    heads, gone = marked(before, step.headers)
    words = "; ".join(item["text"] for item in said if item["text"])
    return {
        "box": svg_id(step.place), "place": place, "said": said, "headers": heads, "gone": gone, "length": step.length,
        "payload": max(0, step.length - sum(head.length for head in step.headers)), "ended": step.ended,
        "live": TEXT["live"].format(n=step.number, total=total, place=place, length=step.length, said=words or TEXT["moves"]),
    }  # fmt: skip


def _said(trace: Trace, step: Step) -> Iterator[dict[str, Any]]:
    """What happened, event by event: words, the entry that decided with the command that shows it, and what went on beside it."""
    last, seen = None, set()
    if step.skipped:
        yield {"text": step.skipped, "tool": "", "entry": "", "aside": None, "end": ""}
    for event in step.events:
        words, why, aside = say(event), decision(event), _aside(trace, event)
        if not (words or why) or (words, why) == last:
            continue
        last = words, why
        if why in seen:  # one line of a table may decide twice
            why = None
        seen.add(why)
        end = "good" if type(event) is Delivered else "bad" if type(event) is Dropped else ""
        yield {"text": words, "tool": why.tool if why else "", "entry": why.text if why else "", "aside": aside, "end": end}


def _aside(trace: Trace, event: Event) -> dict[str, Any] | None:
    """The question to a neighbour, or the kernel's own answer, that this event set off; None for other events."""
    if type(event) is Asked:
        return {"title": TEXT["asked"], "lines": list(_journey(trace, event.question))}
    if type(event) is Answered:
        return {"title": TEXT["answered"], "lines": list(_journey(trace, event.answer))}
    return None


def _journey(trace: Trace, journey: int) -> Iterator[str]:
    """A journey and those that answer it, a line for each place."""
    answers = []
    for step in steps(trace, journey):
        yield TEXT["at"].format(place=place_name(step.place), said="; ".join(step.happened) or TEXT["moves"])
        answers += [event.answer for event in step.events if type(event) is Answered]
    for answer in answers:
        yield from _journey(trace, answer)


def marked(before: Sequence[Header], now: Sequence[Header]) -> tuple[list[dict[str, Any]], list[str]]:
    """The headers of a step with what is new or changed since the step before, and the names of those that are gone.

    Headers are compared from the innermost outwards, so that a packet is the same one with and without a tunnel's headers.
    """
    made = []
    for depth in range(len(now), 0, -1):
        head = now[-depth]
        old = before[-depth] if depth <= len(before) else None
        same = old is not None and old.layer == head.layer
        was = {change.field: change.old for change in changes((old,), (head,))} if same else {}
        mark = "" if not before else "new" if not same else "changed" if was else ""
        fields = [[name, text, was.get(name, "")] for name, text in head.fields]
        made.append({"layer": head.layer, "length": head.length, "mark": mark, "fields": fields})
    return made, [head.layer for head in before[: max(0, len(before) - len(now))]]
