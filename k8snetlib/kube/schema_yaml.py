"""YAML text to plain data, straight from libyaml's events.

Plain scalars resolve as in the YAML 1.1 reader behind kubectl (sigs.k8s.io/yaml): ``yes``, ``on`` and ``n`` are booleans, ``012`` is octal,
dates are strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..errors import ManifestError
from .schema_places import Document, DuplicateKey, Event, LeadingZero, Mapping, Progress, duplicate_key

MAX_DEPTH = 200
"""Levels of nesting; the deepest custom resource definitions in use need about 60."""
MAX_ALIASED = 200_000
"""Nodes that the aliases of one document may stand for: a few lines of nested aliases could otherwise stand for billions."""


def _parser(stream: object) -> Any:
    """libyaml's event parser, or the one in Python where PyYAML was built without libyaml, which is far slower."""
    import yaml

    return yaml.cyaml.CParser(stream) if yaml.__with_libyaml__ else yaml.SafeLoader(stream)


class _Feed:
    """The text as the byte stream that the parser pulls, reporting how far it has come."""

    def __init__(self, text: str, progress: Progress) -> None:
        self.data, self.at, self.progress = text.encode(), 0, progress

    def read(self, size: int) -> bytes:
        chunk = self.data[self.at : self.at + size]
        self.at += len(chunk)
        self.progress(len(chunk))
        return chunk


def documents(text: str, file: str, progress: Progress) -> Iterator[tuple[Document, Any]]:
    """Every document of a YAML stream with its data; an empty document is None."""
    import yaml

    build = _Builder(_parser(_Feed(text, progress)), file)
    taken = 0
    try:
        build.next()  # the stream's start
        event = build.next()
        while isinstance(event, yaml.DocumentStartEvent):
            mark = event.start_mark
            document = Document(file, text, mark.index, mark.line + 1, is_json=False)
            data = build.document(document)
            build.next()  # the document's end
            event = build.next()  # before its data is judged: a line that cannot follow it most often belongs to it
            taken += 1
            yield document, data
    except yaml.YAMLError as error:
        from .schema_yaml_errors import mended, yaml_error

        again = mended(error, text)
        if again is None:
            raise yaml_error(error, text, file) from None
        yield from islice(documents(again, file, progress), taken, None)


TEMPLATE = '; "{{" looks like a Helm template: render it first (helm template …)'
_OPEN: Any = object()


class _Builder:
    """Folds parser events into dictionaries, lists and scalars."""

    def __init__(self, parser: Any, file: str) -> None:
        import yaml

        self.next, self.file = parser.get_event, file
        self.scalar_event, self.mapping_event, self.sequence_event = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        self.mapping_end, self.sequence_end, self.alias_event = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.AliasEvent
        self.resolved: dict[str, Any] = {}

    def document(self, document: Document) -> Any:
        """The data of the document whose start event has just been taken.

        ``nodes`` counts what the collections hold that have been closed by now: what an alias stands for is told by it.
        """
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = self.aliased = 0
        try:
            return self.node(self.next(), MAX_DEPTH)
        except DuplicateKey:
            raise duplicate_key(document) from None

    def node(self, event: Any, depth: int) -> Any:
        kind, anchor = type(event), event.anchor
        if kind is self.alias_event:
            return self.alias(event)
        if anchor:
            before = self.nodes
            self.anchors[anchor] = _OPEN, 0
        if kind is self.scalar_event:
            value = self.scalar(event)
        elif depth == 0:
            raise self.error(event, f"nested more than {MAX_DEPTH} levels deep")
        elif kind is self.mapping_event:
            value = self.mapping(event, depth - 1)
        else:
            value = self.sequence(event, depth - 1)
        if anchor:
            self.anchors[anchor] = value, self.nodes - before
        return value

    def mapping(self, event: Any, depth: int) -> Mapping:
        if event.tag is not None:
            self.check_tag(event, "map")
        out = Mapping()
        out.line = event.start_mark.line + 1
        take, scalar, end, special, numeric = self.next, self.scalar_event, self.mapping_end, _SPECIAL, _NUMERIC
        merge_event = None  # most keys and values are plain strings: they are taken here
        while (kind := type(event := take())) is not end:
            if not (
                kind is scalar and event.implicit[0] and not event.anchor
                and (key := event.value) not in special and key[0] not in numeric
            ):  # fmt: skip
                key = self.key(event)
                if key == "<<" and kind is scalar and event.implicit[0]:
                    merge_event = event
            if key in out:
                raise DuplicateKey
            event = take()
            if (
                type(event) is scalar and event.implicit[0] and not event.anchor
                and (text := event.value) not in special and text[0] not in numeric
            ):  # fmt: skip
                out[key] = text
            else:
                out[key] = self.node(event, depth)
        self.nodes += 2 * len(out)
        if merge_event:
            self.merge(out, merge_event)
        return out

    def merge(self, out: Mapping, event: Any) -> None:
        """The merge key ``<<``: the keys of other mappings, where they do not stand in this one."""
        merged = out.pop("<<")
        for other in merged if isinstance(merged, list) else [merged]:
            if not isinstance(other, dict):
                raise self.error(event, "a merge key << must name a mapping or a list of mappings")
            for key, value in other.items():
                out.setdefault(key, value)

    def sequence(self, event: Any, depth: int) -> list[Any]:
        if event.tag is not None:
            self.check_tag(event, "seq")
        out, take, node, end = [], self.next, self.node, self.sequence_end
        while type(item := take()) is not end:
            out.append(node(item, depth))
        self.nodes += len(out)
        return out

    def key(self, event: Any) -> str:
        if type(event) is self.alias_event:
            value = self.alias(event)
            if isinstance(value, str):
                return value
        elif type(event) is self.scalar_event:
            text = event.value
            plain = event.implicit[0] and text not in _WORDS and text[0] not in _NUMERIC
            value = text if plain else self.scalar(event)
            if value.__class__ is str:
                if event.anchor:
                    self.anchors[event.anchor] = value, 0
                return value
            if value is not None and json.dumps(value) == text:  # 80: and true: keep their spelling as text, 012: and on: would not
                return text
            key, meaning = text[:40] or "that is empty", json.dumps(value)[:40]
            raise self.error(event, f"the key {key} is read as {meaning} by YAML 1.1: put it in quotes")
        raise self.error(event, "a key must be a string" + (TEMPLATE if type(event) is self.mapping_event and event.flow_style else ""))

    def scalar(self, event: Any) -> Any:
        text = event.value
        if event.implicit[0]:  # plain and without a tag
            if text not in _WORDS and text[0] not in _NUMERIC:
                return text
            try:
                return self.resolved[text]
            except KeyError:
                self.resolved[text] = value = self.number(event, text)
                return value
        tag = (event.tag or "tag:yaml.org,2002:str").removeprefix("tag:yaml.org,2002:")
        if tag in ("str", "timestamp", "!"):
            return text
        value = self.number(event, text)
        if tag == "float" and value.__class__ is int:
            return float(value)
        if tag != {bool: "bool", int: "int", float: "float", type(None): "null"}.get(value.__class__):
            raise self.error(event, f"the tag {_short(event.tag)} does not fit {text[:40]!r}, or is not one that manifests use")
        return value

    def number(self, event: Any, text: str) -> Any:
        value = resolve(text)
        if value is NotImplemented:
            raise self.error(event, f"{text[:40]} is not a number that JSON can hold")
        return value

    def alias(self, event: Any) -> Any:
        value, size = self.anchors.get(event.anchor, (None, -1))
        if size < 0:
            raise self.error(event, f"the alias *{event.anchor[:40]} has no anchor")
        if value is _OPEN:
            raise self.error(event, f"the anchor &{event.anchor[:40]} contains itself")
        self.nodes += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise self.error(event, f"the aliases stand for more than {MAX_ALIASED:,} values: this would fill the memory")
        return value

    def check_tag(self, event: Any, allowed: str) -> None:
        if event.tag not in ("!", f"tag:yaml.org,2002:{allowed}"):
            raise self.error(event, f"the tag {_short(event.tag)} is not one that manifests use")

    def error(self, event: Any, message: str) -> ManifestError:
        return ManifestError(message, file=self.file, line=event.start_mark.line + 1)


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:40]


_CASES = (str.lower, str.capitalize, str.upper)
_NOT_JSON = [".nan", ".NaN", ".NAN", *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF"))]
_WORDS: dict[str, Any] = {
    **{case(word): True for word in ("y", "yes", "true", "on") for case in _CASES},
    **{case(word): False for word in ("n", "no", "false", "off") for case in _CASES},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(_NOT_JSON, NotImplemented),
}
_NUMERIC = frozenset("+-.0123456789")  # what numbers begin with
_SPECIAL = frozenset([*_WORDS, "<<"])  # plain scalars that are no strings, the empty one among them, and the merge key
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def resolve(text: str) -> Any:
    """What a plain scalar means: None, a bool, int, float or str; NotImplemented for NaN, infinities and absurdly long numbers.

    Source: the resolver of sigs.k8s.io/yaml's goyaml.v2, including Go's rule that a leading 0 means octal (:class:`LeadingZero`).
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    plain = text.replace("_", "") if text[0] != "." else text
    if _INT.fullmatch(plain):
        if len(plain) > 1000:
            return NotImplemented
        digits = plain.lstrip("+-")
        return LeadingZero(int(plain, 8)) if digits[0] == "0" and digits[1:2].isdigit() else int(plain, 0)
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        if plain.isdigit():  # 08 is no octal number, and so decimal after all
            return LeadingZero(value)
        return text if value in (float("inf"), float("-inf")) else value
    return text


def events(document: Document) -> Iterator[Event]:
    """The nodes of one document, with their lines; an alias is not followed."""
    import yaml

    ops = {yaml.MappingStartEvent: "{", yaml.MappingEndEvent: "}", yaml.SequenceStartEvent: "[", yaml.SequenceEndEvent: "]"}
    ops |= {yaml.ScalarEvent: "=", yaml.AliasEvent: "*"}
    parser = _parser(document.text[document.offset :])
    while True:
        event = parser.get_event()
        if isinstance(event, yaml.DocumentEndEvent | yaml.StreamEndEvent):
            return
        if type(event) in ops:
            text = getattr(event, "value", None) or getattr(event, "anchor", None) or ""
            yield ops[type(event)], text, event.start_mark.line + document.line
