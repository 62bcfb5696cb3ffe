"""BIRD in the lab's namespaces: started, asked through its control socket, and stopped. Each is a child of process 1, and ends with it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from processes import ProgramError
from spaces import Loop, Spaces

LAST = re.compile(
    rb"^\d{4} ", re.MULTILINE
)  # the last line of an answer; those before it have "-" behind their number, or a space in front


class Bird:
    """A running BIRD and its folder, which lies in the helper's own /run."""

    def __init__(self, conf: bytes) -> None:
        self.folder = tempfile.mkdtemp(prefix="bird-", dir="/run")
        self.control = f"{self.folder}/bird.ctl"
        self.conf, self.log = f"{self.folder}/bird.conf", f"{self.folder}/bird.log"
        with open(self.conf, "wb") as file:
            file.write(conf)
        with open(self.log, "wb") as log:
            argv = ["bird", "-f", "-c", self.conf, "-s", self.control]
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.watch = os.pidfd_open(self.process.pid)

    def said(self) -> str:
        """What it has written so far, with its folder's name left out."""
        with open(self.log, errors="replace") as log:
            return log.read().replace(f"{self.folder}/", "").strip()

    def forget(self) -> None:
        os.close(self.watch)
        shutil.rmtree(self.folder, ignore_errors=True)


class Birds:
    """One BIRD for each namespace at most."""

    def __init__(self, spaces: Spaces, loop: Loop) -> None:
        self.spaces, self.loop = spaces, loop
        self.running: dict[str, Bird] = {}

    def start(self, netns: str, conf: bytes, limit: float) -> None:
        """Start BIRD with this configuration and wait until it has taken it; ProgramError when it ends before that."""
        if netns in self.running and self.running[netns].process.poll() is None:
            raise OSError(errno.EEXIST, f"there is a BIRD in {netns} already")
        self._drop(netns)
        self.spaces.enter(netns)
        if shutil.which("bird") is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        bird = self.running[netns] = Bird(conf)
        deadline = time.monotonic() + limit
        while not self._answers(netns, deadline):
            if self.loop.wait(bird.watch, 0.005):
                said, code = bird.said(), bird.process.wait()
                self._drop(netns)
                raise ProgramError(code, said or f"bird ended with status {code}")
            if time.monotonic() > deadline:
                self.stop(netns, 0, kill=True)
                raise TimeoutError(errno.ETIMEDOUT, f"BIRD does not answer after {limit:g} s")

    def _answers(self, netns: str, deadline: float) -> bool:
        """Whether it has read its configuration: the control socket is there before that, but nothing is said through it."""
        try:
            return bool(self._asked(netns, ["show status"], deadline))
        except OSError:
            return False

    def stop(self, netns: str, limit: float, kill: bool = False) -> None:
        """End it: by SIGTERM it takes leave of its peers; ``kill`` or too long a leave makes an end at once."""
        bird = self._bird(netns)
        bird.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        if not kill and not self.loop.wait(bird.watch, limit):
            bird.process.kill()
        bird.process.wait()
        self._drop(netns)

    def ask(self, netns: str, commands: list[str], limit: float) -> list[str]:
        """The answers to commands, as ``birdc`` shows them."""
        deadline = time.monotonic() + limit
        try:
            return self._asked(netns, commands, deadline)
        except (ConnectionError, FileNotFoundError) as error:  # one that ends in peace takes its socket away
            # A process closes its files before it counts as ended: only then may another take its place.
            self.loop.wait(self._bird(netns).watch, max(0.0, deadline - time.monotonic()))
            raise OSError(error.errno, f"BIRD in {netns} has ended") from None

    def _asked(self, netns: str, commands: list[str], deadline: float) -> list[str]:
        """The answers; ConnectionError when nobody is at the other end of the control socket (any more)."""
        path = self._bird(netns).control
        with socket.socket(socket.AF_UNIX) as control:
            control.setblocking(False)
            control.connect(path)
            self._answer(control, deadline)
            found = []
            for command in commands:
                control.send(command.encode() + b"\n")
                found.append(_plain(self._answer(control, deadline)))
        return found

    def log(self, netns: str) -> str:
        return self._bird(netns).said()

    def _bird(self, netns: str) -> Bird:
        if netns not in self.running:
            raise OSError(errno.ESRCH, f"no BIRD runs in {netns} (there is one in {', '.join(self.running) or 'no namespace'})")
        return self.running[netns]

    def _answer(self, control: socket.socket, deadline: float) -> bytes:
        data = b""
        while not ((last := LAST.search(data)) and b"\n" in data[last.start() :]):
            if not self.loop.wait(control, deadline - time.monotonic()):
                raise TimeoutError(errno.ETIMEDOUT, "BIRD does not answer")
            more = control.recv(1 << 16)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "closed")
            data += more
        return data

    def _drop(self, netns: str) -> None:
        if netns in self.running:
            self.running.pop(netns).forget()

    def clear(self) -> None:
        for netns, bird in list(self.running.items()):
            bird.process.kill()
            bird.process.wait()
            self._drop(netns)


def _plain(answer: bytes) -> str:
    """Without the numbers of the lines and the empty last one; a line that goes on has a space in their place."""
    lines = [re.sub(r"^(\d{4}[- ]| )", "", line) for line in answer.decode(errors="replace").splitlines()]
    return "\n".join(lines).rstrip()
