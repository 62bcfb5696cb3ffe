"""The helper's main loop: take a batch of requests, carry them out in order, answer."""

from __future__ import annotations

import os
import socket
import time
import traceback

import frames
from daemons import Birds
from dump import Dump
from netlink import Netlink
from processes import Clients, Programs, Servers
from services import Services
from spaces import Loop, Spaces, errno_name
from traffic import Capture, Sender

NETLINK = (
    "netns_add", "link_add", "link_set", "link_del", "addr_add", "addr_del", "route_add", "route_del", "rule_add",
    "neigh_add", "neigh_del", "proxy_add", "fdb_add", "fdb_del", "sysctl_set", "conntrack_del",
)  # fmt: skip


class Helper:
    """The parts together; ``verbs`` maps a request's name to what carries it out."""

    def __init__(self) -> None:
        os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
        self.spaces, self.loop = Spaces(), Loop()
        self.netlink = Netlink(self.spaces, self.loop)
        self.dump = Dump(self.netlink)
        self.capture = Capture(self.spaces, self.loop, self.dump)
        self.servers, self.programs = Servers(self.spaces, self.loop), Programs(self.spaces, self.loop)
        self.birds = Birds(self.spaces, self.loop)
        self.services = Services(self.spaces, self.loop)
        clients, sender = Clients(self.spaces, self.loop, self.servers), Sender(self.spaces)
        self.verbs = {
            **{name: getattr(self.netlink, name) for name in NETLINK},
            "rest": self.netlink.rest, "reports": self.netlink.reports.total, "settle": self.settle,
            "state": self.dump.state, "conntrack": self.dump.conntrack, "proc": self.dump.proc,
            "capture": self.capture.start, "fetch": self.capture.fetch,
            "send": sender.send, "inject": sender.inject, "source": sender.source,
            "listen": self.servers.listen, "log": lambda: list(self.servers.log), "connect": clients.connect, "ping": clients.ping,
            "latency": clients.latency,
            "run": self.programs.run, "load": self.programs.load, "load_parts": self.programs.load_parts, "shell": self.shell,
            "bird_start": self.birds.start, "bird_stop": self.birds.stop, "bird_ask": self.birds.ask, "bird_log": self.birds.log,
            "service_start": self.services.start, "service_stop": self.services.stop, "service_said": self.services.said,
            "web": self.services.web, "exchange": self.services.exchange,
            "clear": self.clear, "names": lambda: list(self.spaces.fds),
        }  # fmt: skip

    def shell(self, argv: list[str], stdin: bytes, timeout: float) -> dict:
        """Command text, in the helper's own network namespace; namespaces that it makes or deletes become the lab's."""
        try:
            return self.programs.run(None, argv, stdin, timeout)
        finally:
            self.netlink.forget()
            self.netlink.changed, self.netlink.by_hand = time.monotonic(), True
            self.spaces.sync()

    def settle(self, limit: float) -> list[tuple[str, str]]:
        """Wait until every carrier has been acted on; returns the devices for which it was not, within ``limit`` seconds."""
        deadline = time.monotonic() + limit
        while (waiting := self.dump.unsettled()) and time.monotonic() < deadline:
            self.netlink.changed = time.monotonic()
            self.loop.step(0.001)
        return waiting

    def clear(self) -> None:
        """Forget every namespace, socket and capture, as if just started."""
        self.capture.stop()
        self.birds.clear()
        self.services.clear()
        self.servers.clear()
        self.netlink.clear()
        self.spaces.clear()

    def carry_out(self, batch: list[tuple[str, dict]]) -> dict:
        """Results in order; at the first refusal the rest is left undone, and ``at`` says which it was."""
        results = []
        for at, (verb, arguments) in enumerate(batch):
            try:
                results.append(self.verbs[verb](**arguments))
            except Exception as error:  # whatever it is, the lab's user has to see it
                return {"at": at, "error": _words(error), "errno": _errno_name(error), "trace": traceback.format_exc()}
        return {"results": results}


def _words(error: Exception) -> str:
    words = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], str) else str(error)
    return words or type(error).__name__


def _errno_name(error: Exception) -> str:
    """The errno of an OSError or of pyroute2's NetlinkError (whose ``code`` it is), by name; "" for any other error."""
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    return errno_name(code) if isinstance(code, int) else ""


def serve(control: socket.socket) -> None:
    helper = Helper()
    frames.send(control, {"ready": os.getpid()})
    while True:
        helper.loop.wait(control, None)
        batch = frames.receive(control)
        if batch is None:
            return
        frames.send(control, helper.carry_out(batch))
        while _reaped():
            pass


def _reaped() -> bool:
    """Take leave of a finished orphan: process 1 inherits what background programs leave."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False
