"""Progress for anything that takes longer than two seconds, on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import time

PATIENCE = 2.0  # seconds of silence before progress shows


class Progress:
    """A line that is written over; nothing shows in the first two seconds, nor where standard error is no terminal."""

    def __init__(self, what: str) -> None:
        self.what, self.start, self.shown = what, time.monotonic(), False

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.start < PATIENCE or not sys.stderr.isatty():
            return
        self.shown = True
        percent = 100 * done // max(total, 1)
        print(f"\r{self.what} … {percent:3d} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
