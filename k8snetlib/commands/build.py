"""``k8snet build``: run the notebooks, normalise them, cut the exercises; ``--check`` compares instead of writing."""

from __future__ import annotations

import argparse
import os
import sys

TEXT = {"recording": "recording the lab's experiments", "recorded": "recorded: {names}"}


def run(options: argparse.Namespace) -> int:
    """Build or check; 1 if a notebook failed or, with ``--check``, anything differs."""
    from ..course.build import build

    if options.record:
        _record()
    report = build(check=options.check, only=options.only or None, progress=lambda words: print(words, file=sys.stderr, flush=True))
    print(report)
    return 0 if report.ok else 1


def _record() -> None:
    from ..lab import record_all

    os.environ["K8SNET_LAB"] = "live"
    print(TEXT["recording"], file=sys.stderr, flush=True)
    names = record_all()
    print(TEXT["recorded"].format(names=", ".join(map(str, names or ()))), file=sys.stderr)
    os.environ["K8SNET_LAB"] = "recorded"
