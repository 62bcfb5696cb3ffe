"""Named network namespaces, and the loop that waits while sockets in all of them are served."""

from __future__ import annotations

import ctypes
import errno
import os
import selectors
import time
from collections.abc import Callable

CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 0x1000, 2
RUN = "/run/netns"

libc = ctypes.CDLL(None, use_errno=True)


def errno_name(code: int | None) -> str:
    """The kernel's name of an error; Python knows number 95 by its other name, ENOTSUP."""
    return "EOPNOTSUPP" if code == errno.EOPNOTSUPP else errno.errorcode.get(code or 0, "")


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


class Spaces:
    """Network namespaces by name, each held by an open file and bound to /run/netns/NAME, where ``ip -n NAME`` looks.

    One thread does all the work, so "the current namespace" is simply the process's: ``enter`` before making a socket,
    reading /proc/net, writing /proc/sys/net or starting a program.
    """

    def __init__(self) -> None:
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.fds: dict[str, int] = {}
        self.current: str | None = None

    def add(self, name: str) -> None:
        if not name or "/" in name or name in (".", ".."):
            raise OSError(errno.EINVAL, f"{name!r} cannot name a network namespace")
        if name in self.fds:
            raise OSError(errno.EEXIST, "Cannot create namespace: File exists")
        _checked(libc.unshare(CLONE_NEWNET), "unshare")
        self.current = name
        path = f"{RUN}/{name}"
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444))
        _checked(libc.mount(b"/proc/self/ns/net", path.encode(), None, MS_BIND, None), "bind mount")
        self.fds[name] = os.open(path, os.O_RDONLY)

    def enter(self, name: str | None) -> None:
        """Make this the process's network namespace; None is the helper's own, which holds nothing."""
        if name is None:
            fd = self.home
        elif name in self.fds:
            fd = self.fds[name]
        else:
            raise OSError(errno.ENOENT, f"no network namespace {name!r} in the lab (it has {', '.join(self.fds) or 'none'})")
        if name != self.current or name is None:
            _checked(libc.setns(fd, CLONE_NEWNET), "setns")
            self.current = name

    def sync(self) -> None:
        """Take in what a program did to /run/netns: ``ip netns add`` and ``ip netns del`` in command text."""
        there = set(os.listdir(RUN))
        for name in [name for name in self.fds if name not in there]:
            os.close(self.fds.pop(name))
        for name in sorted(there - set(self.fds)):
            self.fds[name] = os.open(f"{RUN}/{name}", os.O_RDONLY)
        self.enter(None)

    def clear(self) -> None:
        """Let go of every namespace; the kernel frees those that nothing else holds."""
        self.enter(None)
        for name, fd in self.fds.items():
            os.close(fd)
            libc.umount2(f"{RUN}/{name}".encode(), MNT_DETACH)
            os.unlink(f"{RUN}/{name}")
        self.fds.clear()


class Loop:
    """Serves listening and capturing sockets while something else is awaited."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def add(self, file: object, callback: Callable[[], None], events: int = selectors.EVENT_READ) -> None:
        self.selector.register(file, events, callback)

    def remove(self, file: object) -> None:
        self.selector.unregister(file)

    def step(self, timeout: float | None) -> bool:
        """Wait for one or more events and serve them; False if none came within ``timeout`` seconds."""
        ready = self.selector.select(timeout)
        for key, _ in ready:
            if key.fd in self.selector.get_map():  # an earlier callback may have closed it
                key.data()
        return bool(ready)

    def wait(self, file: object, timeout: float | None, events: int = selectors.EVENT_READ) -> bool:
        """Serve until ``file`` is ready (True) or ``timeout`` seconds are over (False)."""
        found: list[bool] = []
        deadline = None if timeout is None else time.monotonic() + timeout
        self.add(file, lambda: found.append(True), events)
        try:
            while not found:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self.step(left)
        finally:
            self.remove(file)
        return True
