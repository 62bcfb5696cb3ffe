"""What an op holds has to be of its kind: said where the op is written, not where it is applied."""

from __future__ import annotations

from ..errors import ModelError


def wrong_kind(op: str, given: object, wanted: str, instead: str = "") -> ModelError:
    """The error of an op that was given text, say, where it holds a Route; ``instead`` says how to make the op from text."""
    return ModelError(f"{op} holds {wanted}, not {given!r}" + (f": {instead}" if instead else ""))
