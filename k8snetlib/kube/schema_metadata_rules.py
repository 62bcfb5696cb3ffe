"""The API server's rules for the parts of ``metadata`` that few objects have: owners, finalizers, times, large annotations.

Source: apimachinery, ``pkg/api/validation/objectmeta.go``.
"""

from __future__ import annotations

import re
from typing import Any

from . import schema_rules as rules
from .schema import Fault
from .schema_places import Path

Data = dict[str, Any]
MOST_ANNOTATIONS = 256 << 10  # bytes of all keys and values
STANDARD_FINALIZERS = frozenset(["foregroundDeletion", "kubernetes", "orphan"])
_TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def check_metadata(data: Data, path: Path) -> None:
    """Raises Fault for the first mistake."""
    for field in ("creationTimestamp", "deletionTimestamp"):
        text = data.get(field) or ""
        bad = text and not _TIME.fullmatch(text)
        rules.require(rules.invalid(text, "must be a time such as 2026-11-26T18:50:00Z (RFC 3339)") if bad else "", *path, field)
    size = sum(len(key.encode()) + len(text.encode("utf-8", "surrogatepass")) for key, text in data.get("annotations", {}).items())
    rules.require(
        f"too long: {size:,} bytes in all: may not be more than {MOST_ANNOTATIONS:,}" if size > MOST_ANNOTATIONS else "",
        *path,
        "annotations",
    )
    controllers = []
    for index, each in enumerate(data.get("ownerReferences", ())):
        place = (*path, "ownerReferences", index)
        for field in ("apiVersion", "kind", "name", "uid"):
            rules.require("" if each[field] else rules.invalid("", "must not be empty"), *place, field)
        controllers += [each["name"]] if each.get("controller") else []
        if len(controllers) > 1:
            raise Fault(f"invalid value: only one reference can have controller set to true: {controllers[0]} has it, too", place)
    for index, name in enumerate(data.get("finalizers", ())):
        plain = "/" not in name and name not in STANDARD_FINALIZERS
        bad = rules.qualified_name(name) or (rules.invalid(name, "must be fully qualified, such as example.com/cleanup") if plain else "")
        rules.require(bad, *path, "finalizers", index)
