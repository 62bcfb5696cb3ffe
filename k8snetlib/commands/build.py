"""``k8snet build``: run the notebooks, normalise them, cut the exercises; ``--check`` compares instead of writing."""

from __future__ import annotations

import argparse
import sys

TEXT = {
    "recording": "recording the lab's experiments",
    "recorded": "recorded: {names}",
    "nothing": "nothing, as no notebook asks the lab",
    "same": "nothing differs",
    "written": "written: {names}",
    "unchanged": "nothing to write: every notebook is as it was",
}


def run(options: argparse.Namespace) -> int:
    """Build or check; 1 if a notebook failed or, with ``--check``, anything differs."""
    from ..course.build import build

    if options.record:
        _record(options.only or None)
    report = build(check=options.check, only=options.only or None, progress=lambda words: print(words, file=sys.stderr, flush=True))
    print(str(report) if not report.ok else TEXT["same"] if options.check else _written(report.written))
    return 0 if report.ok else 1


def _written(names: tuple[str, ...]) -> str:
    return TEXT["written"].format(names=", ".join(names)) if names else TEXT["unchanged"]


def _record(only: list[str] | None) -> None:
    from ..course.build import record

    print(TEXT["recording"], file=sys.stderr, flush=True)
    names = record(only=only, progress=lambda words: print(words, file=sys.stderr, flush=True))
    print(TEXT["recorded"].format(names=", ".join(names) or TEXT["nothing"]), file=sys.stderr)
