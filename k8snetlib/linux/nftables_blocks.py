"""Cuts nftables text into its parts: blocks in braces, statements, elements, priorities."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import ModelError
from .nftables import PRIORITIES
from .nftables_sets import Element
from .nftables_types import Datatype, canonical_key, seconds

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
SPECIAL = re.compile(r'"[^"\n]*"|#[^\n]*|[{}\n;]')
ELEMENT_OPTION = re.compile(r'\s+(timeout|expires|comment|counter packets \d+ bytes)\s+("[^"]*"|\S+)')


def pieces(text: str, block: bool = False) -> Iterator[str]:
    """The text cut at line ends and semicolons that stand outside braces and quotes; comments are left out.

    In a ``block`` nft wants one of the two after the last statement as well, save after the elements of a set.
    """
    depth, start, kept = 0, 0, ""
    for found in SPECIAL.finditer(text):
        mark = found.group()
        if mark[0] == '"':
            continue
        if mark[0] == "#":
            kept, start = kept + text[start : found.start()], found.end()
        elif mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth < 0:
                raise ModelError("nftables: a closing brace too many")
        elif depth == 0:
            piece = (kept + text[start : found.start()]).strip()
            kept, start = "", found.end()
            if piece:
                yield piece
    if depth:
        raise ModelError("nftables: a closing brace is missing")
    if piece := (kept + text[start:]).strip():
        if block and not piece.startswith(("elements", "auto-merge")):
            raise ModelError(f"nftables: a line end or a semicolon must stand between {piece.splitlines()[-1]!r} and the closing brace")
        yield piece


def block(piece: str) -> tuple[list[str], str]:
    """The words before the first brace, and what is in the braces."""
    head, brace, body = piece.partition("{")
    if brace and not body.rstrip().endswith("}"):
        raise ModelError(f"nftables: words after the closing brace: {piece[-60:]}")
    return head.split(), body.rstrip()[:-1] if brace else ""


def element_of(text: str, kinds: tuple[Datatype, ...], data_type: str, data: tuple[Datatype, ...]) -> Element:
    """An element from its text: ``tcp . 80 comment "shop" : goto service``."""
    key, given = text.strip(), ""
    if data_type:
        key, colon, given = split_colon(key)
        if not colon:
            raise ModelError(f"the map's element {text!r} has no value")
    options = dict(ELEMENT_OPTION.findall(f"{key} {given}"))
    key, given = (ELEMENT_OPTION.sub("", part).strip() for part in (key, given))
    return Element(
        key if key == "*" else canonical_key(kinds, key),
        canonical_key(data, given) if data else given,
        options.get("comment", "").strip('"'),
        seconds(options["timeout"]) if "timeout" in options else None,
        seconds(options["expires"]) if "expires" in options else None,
        next((f"{name} {words}" for name, words in options.items() if name.startswith("counter")), ""),
    )


def split_colon(text: str) -> tuple[str, str, str]:
    """Key and data of a map's element: the colon has a space beside it."""
    found = re.search(r"(?<=\S)\s+:\s*|:\s+", re.sub(r'"[^"]*"', lambda quoted: "_" * len(quoted[0]), text))
    return (text[: found.start()], ":", text[found.end() :].strip()) if found else (text, "", "")


def split_commas(text: str) -> Iterator[str]:
    if '"' not in text:
        yield from filter(str.strip, text.split(","))
        return
    yield from (part for part in (found.group() for found in re.finditer(r'(?:[^,"]|"[^"]*")+', text)) if part.strip())


def family_of(words: list[str]) -> tuple[str, list[str]]:
    """The family, ip where none is named, and the words after it."""
    if not words:
        raise ModelError("nftables: a table's name is missing")
    return (words[0], words[1:]) if words[0] in FAMILIES and len(words) > 1 else ("ip", words)


def comment_of(text: str) -> str:
    return text.partition(" ")[2].strip().strip('"')


def rules_in(body: str) -> Iterator[str]:
    for part in pieces(body, True):
        first, _, rest = part.partition(" ")
        if not (first in ("type", "policy", "comment") or (first == "comment" and rest.startswith('"'))):
            yield part


def priority_number(text: str) -> int:
    """``-110``, ``filter``, ``dstnat - 10`` or ``dstnat-10`` as a number. ModelError for a name that there is not."""
    found = re.fullmatch(r"([a-z]*)\s*([+-]?)\s*(\d*)", text.strip())
    if not found or (found[1] and found[1] not in PRIORITIES):
        raise ModelError(f"nftables: {text!r} is no priority")
    offset = int(found[3] or 0)
    return PRIORITIES.get(found[1], 0) + (-offset if found[2] == "-" else offset)
