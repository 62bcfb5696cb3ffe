"""Programs and sockets that act as the processes in a namespace: servers, clients, ping, and any command."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import socket
import struct
import subprocess
import time

from spaces import Loop, Spaces, errno_name

IP_PKTINFO, IP_RECVERR, IPV6_RECVERR, IPPROTO_SCTP, SO_ATTACH_FILTER, KEEP = 8, 11, 25, 132, 26, 4096
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Servers:
    """Listening sockets, each with its log of who came, as the server sees it. TCP and UDP data are echoed if asked."""

    def __init__(self, spaces: Spaces, loop: Loop) -> None:
        self.spaces, self.loop = spaces, loop
        self.open: list[socket.socket] = []
        self.log: list[dict] = []

    def listen(self, netns: str, proto: str, port: int, address: str | None, answer: bool) -> None:
        """Bind, without SO_REUSEADDR, so that a second socket on the same address and port is refused.

        ``address`` None means every address of both families. Without ``answer`` the socket takes packets and says nothing: no SYN+ACK
        (its filter drops what reaches it, after netfilter), no echo.
        """
        self.spaces.enter(netns)
        family = socket.AF_INET if address and ":" not in address else socket.AF_INET6
        kind = socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM
        server = socket.socket(family, kind, IPPROTO_SCTP if proto == "sctp" else 0)
        try:
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address is not None)
            server.bind((address or "::", port))
            if proto != "udp":
                server.listen(64)
                if not answer:
                    _drop_all(server)
        except OSError:
            server.close()
            raise
        server.setblocking(False)
        self.open.append(server)
        about = {"netns": netns, "proto": proto, "port": port}
        if proto == "udp":
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1) if family == socket.AF_INET6 else None
            server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.loop.add(server, lambda: self._datagram(server, about, answer) if proto == "udp" else self._accept(server, about))

    def _accept(self, server: socket.socket, about: dict) -> None:
        try:
            connection, peer = server.accept()
        except OSError:
            return  # the client gave up between our waking and now
        connection.setblocking(False)
        entry = {**about, "peer": peer[:2], "local": connection.getsockname()[:2], "data": b""}
        self.log.append(entry)
        self.open.append(connection)
        self.loop.add(connection, lambda: self._data(connection, entry))

    def _data(self, connection: socket.socket, entry: dict) -> None:
        try:
            data = connection.recv(65536)
            if data:
                connection.send(data)
        except OSError:
            data = b""
        entry["data"] = (entry["data"] + data)[:KEEP]
        if not data:
            self.loop.remove(connection)
            self.open.remove(connection)
            connection.close()

    def _datagram(self, server: socket.socket, about: dict, answer: bool) -> None:
        """Take a datagram; its echo leaves from the address that it came to, as the packet information says."""
        try:
            data, control, _, peer = server.recvmsg(65536, 128)
        except OSError:
            return
        local = ""
        for level, kind, value in control:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                local = socket.inet_ntop(socket.AF_INET6, value[:16])
            elif (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and not local:
                local = socket.inet_ntop(socket.AF_INET, value[8:12])
        self.log.append({**about, "peer": peer[:2], "local": (local, about["port"]), "data": data[:KEEP]})
        if answer:
            with contextlib.suppress(OSError):  # as for any server: the answer may find no way
                server.sendmsg([data], control[:1], 0, peer)

    def clear(self) -> None:
        for each in self.open:
            self.loop.remove(each)
            each.close()
        self.open.clear()
        self.log.clear()


def _drop_all(server: socket.socket) -> None:
    """Attach a socket filter of one instruction, "keep 0 bytes" (struct sock_fprog of linux/filter.h)."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K
    server.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


class Clients:
    """Real connections and pings from a namespace."""

    def __init__(self, spaces: Spaces, loop: Loop, servers: Servers) -> None:
        self.spaces, self.loop, self.servers = spaces, loop, servers

    def connect(self, netns: str, proto: str, version: int, address: str, port: int, data: bytes, timeout: float) -> dict:
        """Connect, send ``data`` and wait for an answer, ``timeout`` seconds in all. ``error`` is an errno's name or ""."""
        self.spaces.enter(netns)
        first = len(self.servers.log)
        result = {"error": "", "local": None, "answer": b""}
        kind = socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM
        with socket.socket(FAMILIES[version], kind, IPPROTO_SCTP if proto == "sctp" else 0) as client:
            client.setblocking(False)
            try:
                self._talk(client, (address, port), data, time.monotonic() + timeout, result)
            except OSError as error:
                result["error"] = errno_name(error.errno)
            result["local"] = client.getsockname()[:2]
        self.loop.step(0)  # let the server see that we are gone
        return {**result, "accepted": self.servers.log[first:]}

    def latency(self, netns: str, version: int, address: str, port: int, count: int, limit: float) -> dict:
        """How long ``connect`` takes, each time for a new connection: nanoseconds, for ``count`` connections or ``limit`` seconds.

        The kernel makes the whole handshake before it returns, so no program's speed is in it. Each connection is reset at once.
        """
        self.spaces.enter(netns)
        taken, end = [], time.monotonic() + limit
        while len(taken) < count and time.monotonic() < end:
            with socket.socket(FAMILIES[version], socket.SOCK_STREAM) as client:
                client.settimeout(max(0.001, end - time.monotonic()))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                start = time.perf_counter_ns()
                try:
                    client.connect((address, port))
                except OSError as error:
                    return {"error": errno_name(error.errno) if error.errno else "ETIMEDOUT", "taken": taken}
                taken.append(time.perf_counter_ns() - start)
            self.loop.step(0)  # the server lets go of it, so that its queue never fills
            self.spaces.enter(netns)
        return {"error": "", "taken": taken}

    def _talk(self, client: socket.socket, to: tuple[str, int], data: bytes, deadline: float, result: dict) -> None:
        from selectors import EVENT_WRITE

        code = client.connect_ex(to)
        if code == errno.EINPROGRESS:
            if not self.loop.wait(client, deadline - time.monotonic(), EVENT_WRITE):
                raise OSError(errno.ETIMEDOUT, "no answer")
            code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        if data:
            client.send(data)
            if not self.loop.wait(client, deadline - time.monotonic()):
                raise OSError(errno.ETIMEDOUT, "no answer")
            result["answer"] = client.recv(65536)

    def ping(self, netns: str, version: int, address: str, size: int, timeout: float) -> dict:
        """One ICMP echo request and what came back: the answer, an ICMP error with its sender, or nothing."""
        self.spaces.enter(netns)
        proto, request, reply = (socket.IPPROTO_ICMP, 8, 0) if version == 4 else (socket.IPPROTO_ICMPV6, 128, 129)
        level, option = (socket.IPPROTO_IP, IP_RECVERR) if version == 4 else (socket.IPPROTO_IPV6, IPV6_RECVERR)
        with socket.socket(FAMILIES[version], socket.SOCK_RAW, proto) as client:
            client.setblocking(False)
            client.setsockopt(level, option, 1)
            ident = client.fileno() << 8 | os.urandom(1)[0]
            deadline = time.monotonic() + timeout
            try:
                client.connect((address, 0))
                client.send(_echo(version, request, ident & 0xFFFF, b"k8snet".ljust(size, b".")))
                while self.loop.wait(client, deadline - time.monotonic()):
                    if refused := _refusal(client, version):
                        return refused
                    if _is_reply(client, version, reply, ident & 0xFFFF):
                        return {"error": "", "sender": address}
            except OSError as error:
                return _refusal(client, version) or {"error": errno_name(error.errno), "sender": ""}
        return {"error": "ETIMEDOUT", "sender": ""}


def _echo(version: int, kind: int, ident: int, data: bytes) -> bytes:
    """An echo request; the kernel sums ICMPv6 itself (RFC 3542 section 3.1), ICMP it does not."""
    message = struct.pack("!BBHHH", kind, 0, 0, ident, 1) + data
    if version == 6:
        return message
    total = sum(struct.unpack(f"!{len(message) // 2}H", message[: len(message) & ~1])) + (message[-1] << 8 if len(message) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]


def _is_reply(client: socket.socket, version: int, kind: int, ident: int) -> bool:
    try:
        data = client.recv(65536)
    except BlockingIOError:
        return False
    body = data if version == 6 else data[(data[0] & 15) * 4 :]
    return body[0] == kind and struct.unpack("!H", body[4:6])[0] == ident


def _refusal(client: socket.socket, version: int) -> dict | None:
    """What the socket's error queue holds (struct sock_extended_err of ip(7), then who said so), if anything."""
    try:
        _, control, _, _ = client.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    code = struct.unpack("I", control[0][2][:4])[0]
    offender = control[0][2][16:]
    family = struct.unpack("H", offender[:2])[0] if len(offender) >= 8 else 0
    sender = socket.inet_ntop(FAMILIES[version], offender[4:8] if version == 4 else offender[8:24]) if family else ""
    return {"error": errno_name(code), "sender": sender}


class ProgramError(Exception):
    """A program ended with an exit status other than 0: ``args`` = (status, what it said)."""


class Programs:
    """Commands run to their end in a namespace, while servers and captures go on."""

    def __init__(self, spaces: Spaces, loop: Loop) -> None:
        self.spaces, self.loop = spaces, loop

    def load(self, netns: str, argv: list[str], stdin: bytes, timeout: float) -> None:
        """Run a program that loads what ``stdin`` says, such as ``iptables-restore``; ProgramError when it refuses."""
        result = self.run(netns, argv, stdin, timeout)
        if result["code"]:
            raise ProgramError(result["code"], result["err"].decode(errors="replace").strip())

    def load_parts(self, netns: str, runs: list[tuple[list[str], bytes]], timeout: float) -> None:
        """As ``load``, for one program after the other."""
        for argv, stdin in runs:
            self.load(netns, argv, stdin, timeout)

    def run(self, netns: str | None, argv: list[str], stdin: bytes, timeout: float) -> dict:
        """Exit status, output and errors. They go to memory files, so a program left in the background cannot hold us up."""
        self.spaces.enter(netns)
        files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        try:
            os.pwrite(files[0], stdin, 0)
            if shutil.which(argv[0]) is None:  # said plainly, whatever folders of PATH may be closed to us
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            started = subprocess.Popen(argv, stdin=files[0], stdout=files[1], stderr=files[2], start_new_session=True)
            watch = os.pidfd_open(started.pid)
            try:
                if not self.loop.wait(watch, timeout):
                    os.killpg(started.pid, 9)
                    started.wait()
                    raise TimeoutError(errno.ETIMEDOUT, f"not finished after {timeout:g} s")
            finally:
                os.close(watch)
            return {"code": started.wait(), "out": _content(files[1]), "err": _content(files[2])}
        finally:
            for each in files:
                os.close(each)


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)
