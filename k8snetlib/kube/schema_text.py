"""Manifest files to plain data: bytes to text, and text to the documents of a YAML or JSON stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..errors import ManifestError
from . import schema_json, schema_yaml
from .schema_places import Document, Progress


def decode(data: bytes, file: str) -> str:
    """UTF-8 text without a byte order mark, or ManifestError for anything that is not text."""
    for mark, name in ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if data.startswith(mark):
            raise ManifestError(f"the file is {name} text, as some Windows tools write it: save it as UTF-8", file=file, line=1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"byte 0x{data[error.start]:02x} is not UTF-8 text", file=file, line=line) from None


_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def documents(text: str, file: str, progress: Progress = lambda _: None) -> Iterator[tuple[Document, Any]]:
    """Every document of a YAML stream, or every value of a JSON stream, with its data; ManifestError where the text is broken."""
    bad = _NOT_TEXT.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise ManifestError(f"character U+{ord(bad[0]):04X} is not allowed in a manifest: is this a binary file?", file=file, line=line)
    if file.endswith(".json"):
        return schema_json.documents(text, file, progress)
    if text.lstrip()[:1] in ("{", "["):  # JSON, or YAML in flow style
        try:
            return iter(list(schema_json.documents(text, file, progress)))
        except schema_json.NotJson:
            pass
    return schema_yaml.documents(text, file, progress)
