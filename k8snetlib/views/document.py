"""A trace as plain data (dicts, lists, strings, numbers), for JSON and for scripts in a browser."""

from __future__ import annotations

from ..linux.events import Delivered, Dropped, Trace
from .places import is_balanced
from .text import place_name, questions, summary
from .walk import Step, steps


def document(trace: Trace, journey: int = 0) -> dict:
    """The outcome and the steps of a trace. Keys stay as they are between versions; new ones may come."""
    end, walk = trace.end, steps(trace, journey)
    balanced = is_balanced(walk)
    return {
        "outcome": trace.outcome,
        "summary": summary(trace),
        "reason": end.reason if isinstance(end, Dropped) else None,
        "detail": end.detail if isinstance(end, Dropped) else None,
        "endedIn": end.netns if end is not None else None,
        "deliveredTo": str(end.socket) if isinstance(end, Delivered) and end.socket else None,
        "packet": str(trace.sent),
        "steps": [step_document(step, balanced=balanced) for step in walk],
        "asked": [{"namespace": netns, "what": words} for netns, words in questions(trace)],
    }


def step_document(step: Step, *, balanced: bool = False) -> dict:
    """One step: place, words, decisions, headers with their fields, changes, length in bytes."""
    return {
        "number": step.number,
        "namespace": step.place.netns,
        "place": step.place.part,
        "name": place_name(step.place, balanced=balanced),
        "happened": list(step.happened),
        "decisions": [{"command": d.tool, "entry": d.text} for d in step.decisions],
        "headers": [{"layer": h.layer, "bytes": h.length, "fields": dict(h.fields)} for h in step.headers],
        "changes": [{"header": c.index, "layer": c.layer, "field": c.field, "old": c.old, "new": c.new} for c in step.changes],
        "bytes": step.length,
        "ended": step.ended or None,
        "skipped": step.skipped or None,
    }
