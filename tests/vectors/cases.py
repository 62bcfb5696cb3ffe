"""The cases of the vector files: those beside the tests, and those of the folder that K8SNET_VECTORS names."""

from __future__ import annotations

import difflib
import gzip
import json
import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def same(case: dict, found: list[str], expected: list[str]) -> None:
    """AssertionError with the case's id and the lines that differ, unless both are the same."""
    lines = list(difflib.unified_diff(expected, found, "expected", "found", n=1, lineterm=""))
    if lines:
        raise AssertionError("\n".join([case["id"], *lines]))


def cases(name: str) -> list[dict]:
    """Every case of the files called ``name``, in order; a case that stands in both folders counts once."""
    folders = [DATA, *(Path(p) for p in [os.environ.get("K8SNET_VECTORS", "")] if p)]
    found: dict[str, dict] = {}
    for folder in folders:
        for path in sorted([*folder.glob(f"{name}.jsonl"), *folder.glob(f"{name}.jsonl.gz")]):
            opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")  # noqa: SIM115
            with opened as lines:
                for line in filter(str.strip, lines):
                    case = json.loads(line)
                    found.setdefault(case["id"], case)
    return list(found.values())
