"""JSON text to plain data, as ``kubectl get -o json`` prints it: one object, a List, or several one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import ManifestError
from .schema_places import Document, DuplicateKey, Event, Mapping, Progress, duplicate_key


class NotJson(ManifestError):
    """The text is not JSON; it may still be YAML in flow style."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise DuplicateKey
    return out


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_SPACE = re.compile(r"[ \t\r\n]*")


def documents(text: str, file: str, progress: Progress) -> Iterator[tuple[Document, Any]]:
    """Every value of a stream of JSON texts, with the lines of a List's items."""
    at, line, counted = _SPACE.match(text).end(), 1, 0
    while at < len(text):
        line += text.count("\n", counted, at)
        counted = at
        document = Document(file, text, at, line, is_json=True)
        value, end = _json_value(document)
        if isinstance(value, dict) and isinstance(value.get("items"), list):
            _mark_items(value["items"], document)
        yield document, value
        progress(len(text[at:end].encode()))
        at = _SPACE.match(text, end).end()


def _json_value(document: Document) -> tuple[Any, int]:
    """The value at the document's start and where it ends; the errors of :mod:`json` become ManifestErrors with a line."""
    try:
        return _JSON.raw_decode(document.text, document.offset)
    except DuplicateKey:
        raise duplicate_key(document) from None
    except json.JSONDecodeError as error:
        raise NotJson(f"not valid JSON: {error.msg}", file=document.file, line=error.lineno) from None
    except RecursionError:
        raise ManifestError("nested too deeply", file=document.file, line=document.line) from None
    except ValueError:
        raise _bad_number(document) from None


def _bad_number(document: Document) -> ManifestError:
    """The error for NaN, Infinity, or a number with more digits than Python converts (4,300)."""
    for _, text, line in document.events():
        if text.lstrip("-") in ("NaN", "Infinity") or (len(text) > 4000 and text.lstrip("-").isdigit()):
            return ManifestError(f"{text[:40]} is not a number that a manifest can hold", file=document.file, line=line)
    return ManifestError("a number that a manifest cannot hold", file=document.file, line=document.line)


def _mark_items(items: list[Any], document: Document) -> None:
    """Gives each item of a List its line, by decoding the text once more item by item: C speed, and no positions kept elsewhere."""
    plain = json.JSONDecoder()
    at = document.offset + 1
    key = ""
    while key != "items":
        at = _SPACE.match(document.text, at).end() + 1
        key, at = json.decoder.scanstring(document.text, at)
        at = _SPACE.match(document.text, document.text.index(":", at) + 1).end()
        if key != "items":
            at = plain.raw_decode(document.text, at)[1]
            at = document.text.index(",", at) + 1
    line, counted = document.line, document.offset
    for index, item in enumerate(items):
        at = _SPACE.match(document.text, at + 1).end()
        line, counted = line + document.text.count("\n", counted, at), at
        if isinstance(item, dict):
            items[index] = marked = Mapping(item)
            marked.line = line
        at = _SPACE.match(document.text, plain.raw_decode(document.text, at)[1]).end()


_TOKEN = re.compile(r'[\s,:]*(?:([{}\[\]])|(")|([^\s,:"{}\[\]]+))')


def events(document: Document) -> Iterator[Event]:
    """The tokens of one JSON value, with their lines."""
    at, counted, line, depth = document.offset, document.offset, document.line, 0
    while token := _TOKEN.match(document.text, at):
        start, at = token.start(token.lastindex), token.end()
        line, counted = line + document.text.count("\n", counted, start), start
        if token[1]:
            depth += 1 if token[1] in "{[" else -1
            yield token[1], "", line
        else:
            text = token[3]
            if token[2]:
                text, at = json.decoder.scanstring(document.text, at)
            yield "=", text, line
        if depth == 0:
            return
