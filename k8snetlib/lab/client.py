"""The learner's end of the helper: start it, ask it, be sure that it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import LabError
from .inside import frames

Request = tuple[str, dict]

START_LIMIT = 20.0  # seconds; a start takes about 0.2
TEXT = {
    "not_linux": "the lab needs Linux's network namespaces, and this is {platform}",
    "start": "the lab's helper did not start ({stage}: {error}); lab.probe() says what this machine can do",
    "died": "the lab's helper ended unexpectedly{words}",
    "slow": "the lab's helper did not answer within {limit:g} s",
    "closed": "the lab is closed",
    "pyroute2": "the lab needs the Python package pyroute2: pip install pyroute2",
}


class HelperStartError(LabError):
    """The helper could not make its namespaces: ``stage`` is the step that failed, ``errno`` the kernel's answer."""

    def __init__(self, stage: str, errno: int) -> None:
        self.stage, self.errno = stage, errno
        super().__init__(TEXT["start"].format(stage=stage, error=os.strerror(errno) if errno else "no answer"))


class Refused(LabError):
    """The kernel refused a request: ``at`` is its place in the batch, ``errno`` the error's name ("EEXIST"), "" where there is none."""

    def __init__(self, at: int, message: str, errno: str, trace: str) -> None:
        self.at, self.message, self.errno, self.trace = at, message, errno, trace
        super().__init__(message)


class Client:
    """A running helper process. ``close`` it, or leave it to the end of this process: it never survives either."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise LabError(TEXT["not_linux"].format(platform=sys.platform))
        self._lock = threading.Lock()
        words = os.memfd_create("k8snet-lab-stderr")
        self._words = open(words, "rb", closefd=True)  # noqa: SIM115  (closed in _end)
        self._socket, far = socket.socketpair()
        path = [str(Path(entry or ".").resolve()) for entry in sys.path]
        inside = str(Path(__file__).with_name("inside") / "__main__.py")
        with far:
            argv = [sys.executable, "-I", "-S", inside, str(far.fileno()), str(os.getpid()), *path]
            # A session of its own: an interrupt typed at the learner's terminal is not the helper's
            streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": words}
            self._process = subprocess.Popen(argv, pass_fds=[far.fileno()], start_new_session=True, **streams)
        # Also when the last reference goes, and at the end of this process
        self._end = weakref.finalize(self, _end, self._socket, self._process, self._words)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        message = self._receive(START_LIMIT)
        if "stage" in message:
            raise HelperStartError(message["stage"], message["errno"])

    def _receive(self, limit: float) -> dict:
        self._socket.settimeout(limit)
        try:
            message = frames.receive(self._socket)
        except TimeoutError:
            raise LabError(TEXT["slow"].format(limit=limit)) from None
        except OSError:
            message = None
        if message is None:
            raise self._death()
        return message

    def _death(self) -> LabError:
        """The helper is gone: an error with its last words."""
        self._process.kill()
        self._process.wait()
        words = os.pread(self._words.fileno(), 1 << 16, 0).decode(errors="replace").strip()
        if "No module named 'pyroute2'" in words:
            return LabError(TEXT["pyroute2"])
        return LabError(TEXT["died"].format(words=": " + words.splitlines()[-1] if words else ""))

    def _send(self, batch: list[Request], limit: float) -> None:
        self._socket.settimeout(limit)
        try:
            frames.send(self._socket, batch)
        except TimeoutError:
            raise LabError(TEXT["slow"].format(limit=limit)) from None
        except OSError:
            raise self._death() from None

    def ask(self, batch: Sequence[Request], limit: float = 30.0) -> list:
        """Have the requests carried out in order; their results. Refused at the first that cannot be."""
        with self._lock:
            if not self._end.alive:
                raise LabError(TEXT["closed"])
            try:
                self._send(list(batch), limit)
                answer = self._receive(limit)
            except BaseException:  # an interrupt too: what comes next on the socket would answer the wrong question
                self._process.kill()  # at once: it may be in the middle of something long
                self.close()
                raise
        if "error" in answer:
            raise Refused(answer["at"], answer["error"], answer["errno"], answer["trace"])
        return answer["results"]

    @property
    def pid(self) -> int:
        """The outer helper process."""
        return self._process.pid

    def close(self) -> None:
        """End the helper and everything in its namespaces; wait until the processes are gone. Calling it again does nothing."""
        self._end()


def _end(control: socket.socket, process: subprocess.Popen, words: BinaryIO) -> None:
    control.close()  # the inner process sees the end, and the outer one follows
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    words.close()
