"""Regular expressions of routes, read as RE2 and PCRE read them where Python's ``re`` would read something else: inside brackets, and
by taking ``\\d``, ``\\s`` and ``\\w`` for ASCII alone.

There they know POSIX classes (``[[:digit:]]``), take a hyphen after a class for itself (``[\\w-.]``), and give ``[``, ``&&``, ``||``, ``~~``
and ``--`` no meaning. Source: the syntax page of RE2; pcre2pattern(3), "Posix character classes".
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...errors import ModelError

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z",
    "word": "0-9A-Z_a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
"""What is in each POSIX class of ASCII, between brackets."""
_MEMBER = re.compile(r"\[:(?P<no>\^?)(?P<name>\w*):\]|\\x[0-9A-Fa-f]{2}|\\.|.", re.DOTALL)
_SHORTHANDS = frozenset([r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"])
_SPECIAL = frozenset("[]&~|-^\\(")
_TWICE = re.compile(r"(?<!\\)(\((?:\?:)?(?:\[(?:[^\]\\]|\\.)+\]|\\[dDsSwW.]|[\w/.-]))([*+])\)([*+])(?![*+?{])")
"""A group of one repeated character or class that is repeated itself, as in ``(a+)+``: the commonest of the patterns that take ``re``
exponential time. Others remain, such as ``(a+b?)+``."""


@lru_cache(maxsize=4096)
def pattern_of(text: str) -> re.Pattern[str]:
    """The compiled pattern. ModelError for what is no regular expression here."""
    try:
        return re.compile(_TWICE.sub(_once, _for_python(text)), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        reason = error.msg if isinstance(error, re.error) else error
        raise ModelError(f"{text!r} is no regular expression here: {reason}") from None


def _once(found: re.Match[str]) -> str:
    """The same, repeated once: RE2 takes linear time for both, ``re`` exponential time for the nested one."""
    head, inner, outer = found.groups()
    return f"{head}{'+' if inner == outer == '+' else '*'})"


def _for_python(text: str) -> str:
    if "[" not in text:
        return text
    out, at = [], 0
    while at < len(text):
        if text[at] == "[":
            part, at = _brackets(text, at)
        else:
            part = text[at : at + 2] if text[at] == "\\" else text[at]
            at += len(part)
        out.append(part)
    return "".join(out)


def _brackets(text: str, at: int) -> tuple[str, int]:
    """The bracket expression that starts at ``at``, with every member written so that ``re`` takes it for what it is, and where it ends."""
    out = ["[^" if text.startswith("[^", at) else "["]
    start = at = at + len(out[0])
    begins_range = False  # whether what stands before may be a range's first member
    while at == start or not text.startswith("]", at):
        found = _MEMBER.match(text, at)
        if found is None:
            raise re.error("unterminated character set")
        at, member = found.end(), found[0]
        if found["name"] is not None:
            out.append(_class(found["name"], bool(found["no"])))
            begins_range = False
        elif member == "-" and begins_range and not text.startswith("]", at):
            last = _MEMBER.match(text, at)
            if last is None or last["name"] is not None or last[0] in _SHORTHANDS:
                raise re.error("bad character range")
            out += ["-", _literal(last[0])]
            at, begins_range = last.end(), False
        else:
            out.append(_literal(member))
            begins_range = member not in _SHORTHANDS
    return f"{''.join(out)}]", at + 1


def _literal(member: str) -> str:
    return f"\\{member}" if member in _SPECIAL else member


def _class(name: str, negated: bool) -> str:
    if name not in _CLASSES:
        raise re.error(f"there is no character class [:{name}:]")
    if not negated:
        return _CLASSES[name]
    inside = re.compile(f"[{_CLASSES[name]}]")
    return "".join(f"\\x{each:02x}" for each in range(128) if not inside.match(chr(each))) + r"\x80-\U0010ffff"
