"""What a student gave, as the value that a check works with."""

from __future__ import annotations

from k8snetlib.course.checking import expect
from k8snetlib.linux.ops import Op


def operations(given: object, *, hint: str) -> list[Op]:
    """The student's list of operations; one alone counts as a list of one. ``NotYet`` with this hint if something else is among them."""
    listed = [given] if isinstance(given, Op) else list(given) if isinstance(given, (list, tuple)) else [given]
    strange = next((repr(op) for op in listed if isinstance(op, type) or not isinstance(op, Op)), "")
    expect(not strange, got=strange, expected="a list of operations", hint=hint)
    return listed
