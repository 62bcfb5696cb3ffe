"""Programs that go on in the lab's namespaces, such as a proxy or a web server: started with their files, awaited, asked, stopped."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from processes import ProgramError
from spaces import Loop, Spaces

FOLDER = "{folder}"  # stands in arguments and files for the program's own folder


class Service:
    """A running program and its folder, which lies in the helper's own /run."""

    def __init__(self, argv: list[str], files: dict[str, bytes]) -> None:
        self.folder = tempfile.mkdtemp(prefix="service-", dir="/run")
        for name, content in files.items():
            with open(f"{self.folder}/{name}", "wb") as file:
                file.write(content.replace(FOLDER.encode(), self.folder.encode()))
        self.log = f"{self.folder}/said"
        with open(self.log, "wb") as log:
            argv = [part.replace(FOLDER, self.folder) for part in argv]
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.watch = os.pidfd_open(self.process.pid)

    def said(self) -> str:
        """What it has written so far, with its folder's name left out."""
        with open(self.log, errors="replace") as log:
            return log.read().replace(f"{self.folder}/", "").strip()

    def end(self) -> None:
        """End it and its children at once. Their sockets are closed when this returns: process 1 inherits the children, and waits."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.process.pid, 0)
        os.close(self.watch)
        shutil.rmtree(self.folder, ignore_errors=True)


class Services:
    """Programs by a name of the caller's."""

    def __init__(self, spaces: Spaces, loop: Loop) -> None:
        self.spaces, self.loop = spaces, loop
        self.running: dict[str, Service] = {}

    def start(self, name: str, netns: str, argv: list[str], files: dict[str, bytes], ports: list[int], version: int, limit: float) -> None:
        """Start a program and wait until it accepts connections at its TCP ports; ProgramError when it ends before that."""
        if name in self.running:
            raise OSError(errno.EEXIST, f"there is a program {name!r} in the lab already")
        self.spaces.enter(netns)
        if shutil.which(argv[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        service = self.running[name] = Service(argv, files)
        deadline = time.monotonic() + limit
        while not all(_listens(port, version) for port in ports):
            if self.loop.wait(service.watch, 0.005):
                said, code = service.said(), service.process.wait()
                self.stop(name)
                raise ProgramError(code, said or f"it ended with status {code}")
            if time.monotonic() > deadline:
                said = service.said()
                self.stop(name)
                raise TimeoutError(errno.ETIMEDOUT, f"it does not listen after {limit:g} s: {said}")

    def web(self, netns: str, ports: list[int], name: str, version: int, limit: float) -> None:
        """Start a web server that answers every request with what it was asked (``web.py``)."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "web.py")
        argv = [sys.executable, "-I", "-S", script, name, str(version), *map(str, ports)]
        self.start(f"web {netns}", netns, argv, {}, ports, version, limit)

    def stop(self, name: str) -> None:
        self.running.pop(name).end()

    def said(self, name: str) -> str:
        return self.running[name].said()

    def exchange(self, netns: str, version: int, address: str, port: int, data: bytes, secure: bool, sni: str, timeout: float) -> dict:
        """Connect, send ``data`` and read until the far end closes: the bytes, and with TLS the certificate (DER) that was shown."""
        self.spaces.enter(netns)
        client = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        certificate = b""
        try:
            client.settimeout(timeout)
            try:
                client.connect((address, port))
                if secure:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                    client = context.wrap_socket(client, server_hostname=sni or None)
                    certificate = client.getpeercert(binary_form=True) or b""
                client.sendall(data)
                found = b""
                while more := client.recv(1 << 16):
                    found += more
            except (OSError, ssl.SSLError) as error:
                return {"error": _named(error), "data": b"", "certificate": certificate}
            return {"error": "", "data": found, "certificate": certificate}
        finally:
            client.close()

    def clear(self) -> None:
        for name in list(self.running):
            self.stop(name)


def _named(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT"
    if isinstance(error, ssl.SSLError):
        return error.reason or "SSL"
    return errno.errorcode.get(error.errno or 0, str(error))


def _listens(port: int, version: int) -> bool:
    """Whether a socket of the current namespace listens at the TCP port (state 0A in /proc/net)."""
    for name in ("tcp", "tcp6") if version == 4 else ("tcp6",):
        with open(f"/proc/thread-self/net/{name}") as file:
            next(file)
            for line in file:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False
