"""What new devices say by themselves: which IPv6 multicast groups they have joined (MLDv2, RFC 3810).

A device that comes up says so twice: when its link-local address is fit for use (ipv6_mc_dad_complete in net/ipv6/mcast.c), and two timer
ticks after it joined the solicited-node group of that address (mld_ifc_start_work), 20 ms where a kernel counts 100 ticks a second, or
much later where the machine is busy. Addresses that come or go afterwards are told once more, those of two ticks together. IPv4 has
nothing to tell: the one group that a device is in by itself, 224.0.0.1, is never reported (RFC 3376 section 5).
"""

from __future__ import annotations

import os
import time

from spaces import Loop, Spaces

AFTER_UP = 2
# In seconds: what a report takes on an idle machine; none for so long; at the most; between two looks
TICKS, SILENCE, LIMIT, STEP = 0.03, 0.01, 2.0, 0.003
NAME = "Icmp6OutMLDv2Reports"
SOLICITED, LINK_LOCAL = "ff0200000000000000000001ff", "fe8"


class Reports:
    """Which reports are due, by what was asked of the devices, and which were sent, by the kernel's counters."""

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces
        self.due: dict[tuple[str, str], int] = {}  # where it is more than AFTER_UP: what the counter will have come to
        self.up: set[tuple[str, str]] = set()

    def clear(self) -> None:
        self.due.clear()
        self.up.clear()

    def state(self, netns: str, dev: str, up: bool) -> None:
        """A device is about to go up or down."""
        if not up:
            self.up.discard((netns, dev))
        elif (netns, dev) not in self.up:
            self.up.add((netns, dev))
            if already := self._sent(netns, dev):  # it was up before
                self.due[netns, dev] = already + AFTER_UP

    def groups_change(self, netns: str, dev: str) -> None:
        """An IPv6 address is about to come or go: of a device that is up, one more report."""
        if (netns, dev) in self.up:
            self.due[netns, dev] = max(self.due.get((netns, dev), AFTER_UP), self._sent(netns, dev) + 1)

    def total(self) -> int:
        """Reports sent so far, by all devices of all namespaces."""
        found = 0
        for netns in list(self.spaces.fds):
            self.spaces.enter(netns)
            found += _number(_read("/proc/self/net/snmp6"))
        return found

    def wait(self, changed: float, loop: Loop) -> None:
        """Until every report is sent that is due after the last change, at ``changed``, and no other follows; two seconds at most."""
        while (left := changed + TICKS - time.monotonic()) > 0:
            loop.step(left)
        deadline, waiting = time.monotonic() + LIMIT, self._talkers()
        while (waiting := {each for each in waiting if self._sent(*each) < self.due.get(each, AFTER_UP)}) and time.monotonic() < deadline:
            loop.step(STEP)
        before, now = None, self.total()
        while now != before and time.monotonic() < deadline:
            until = time.monotonic() + SILENCE
            while (left := until - time.monotonic()) > 0:
                loop.step(left)
            before, now = now, self.total()

    def _talkers(self) -> set[tuple[str, str]]:
        """Devices with a link-local address (so they have a carrier) that have joined a group because of it (those without ARP do not)."""
        found = set()
        for netns in list(self.spaces.fds):
            self.spaces.enter(netns)
            linked = {words[5] for words in _lines("/proc/self/net/if_inet6") if words[0].startswith(LINK_LOCAL)}
            joined = {words[1] for words in _lines("/proc/self/net/igmp6") if words[2].startswith(SOLICITED)}
            found |= {(netns, dev) for dev in linked & joined}
        return found

    def _sent(self, netns: str, dev: str) -> int:
        self.spaces.enter(netns)
        return _number(_read(f"/proc/self/net/dev_snmp6/{dev}"))


def _number(text: str) -> int:
    _, _, rest = text.partition(NAME)
    return int(rest.split(None, 1)[0]) if rest else 0


def _lines(path: str) -> list[list[str]]:
    return [line.split() for line in _read(path).splitlines()]


def _read(path: str) -> str:
    """The file; nothing where there is none: a kernel without IPv6, a device that has gone."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    parts = []
    try:
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode()
