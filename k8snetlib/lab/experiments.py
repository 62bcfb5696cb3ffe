"""Experiments for lessons: ops, packets, and what the kernel did; run now where that is possible, else as recorded.

    result = experiment("pod-to-pod", ops, ping("10.244.1.2", "10.244.2.2"), at="web")
    print(result.about)                # run just now on Linux 6.18 … or: recorded on Linux 6.18, 2026-11-23
    for capture in result.captures: …

The environment variable ``K8SNET_LAB`` decides: ``auto`` (live where ``probe()`` finds all that the ops need, the default), ``live``,
``recorded``, or ``record``, which runs live and saves the recording; where a kernel lacks what the ops need, it leaves the recording as it
is. Either way a result is in the canonical form, so it is the same on every machine.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import LabError
from ..linux.events import Capture
from ..linux.ops import Op, RulesRestore
from ..linux.packet import Frame, IPAddress, Packet
from ..linux.state import Conntrack
from ..linux.wire import to_bytes
from ..value import replace, value
from .canonical import Canonicaliser, canonical_counters
from .capabilities import probe
from .lab import PROTOCOLS, Lab, numeric
from .lab import TEXT as LAB_TEXT
from .needs import needs

MODES = ("auto", "live", "recorded", "record")
RECORDINGS = Path(__file__).with_name("recordings")
LINUX, UML, UML_VENDOR = "Linux", "User-Mode Linux", "User Mode Linux"

TEXT = {
    "mode": "K8SNET_LAB is {mode!r}; it can be {modes}",
    "name": "an experiment's name is lower-case words joined by hyphens, not {name!r}",
    "live": "run just now on {kernel}",
    "recorded": "recorded on {kernel}, {date}",
    "because": "{about}. {why}",
    "at": "say in which namespace to send: at=…",
    "none": "there is no recording of {name!r}, and {why}",
    "stale": "the recording of {name!r} ({about}) was made with other ops or packets, so it does not answer this question; {how}",
    "recorded_mode": "K8SNET_LAB=recorded allows nothing else",
    "how_recorded": "unset K8SNET_LAB to run it live on a Linux machine, or record it anew with K8SNET_LAB=record",
    "how_second": "record it anew on a kernel that has what it needs",
    "how_auto": "to record it anew, run it with K8SNET_LAB=record on a Linux machine where the lab runs",
}


@value
class Send:
    """Send a crafted packet from a namespace."""

    netns: str
    packet: Packet

    def run(self, lab: Lab) -> Outcome:
        return Outcome(lab.send(self.netns, self.packet))

    def words(self) -> str:
        return f"send {self.netns} {to_bytes(self.packet).hex()}"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.packet.sport, self.packet.dport)


@value
class Inject:
    """Transmit a crafted frame on a device."""

    netns: str
    dev: str
    frame: Frame

    def run(self, lab: Lab) -> Outcome:
        return Outcome(lab.inject(self.netns, self.dev, self.frame))

    def words(self) -> str:
        return f"inject {self.netns} {self.dev} {to_bytes(self.frame).hex()}"

    @property
    def ports(self) -> tuple[int, ...]:
        packet = self.frame.payload
        return (packet.sport, packet.dport) if isinstance(packet, Packet) else ()


@value
class Connect:
    """Open a real connection, send ``data``, wait for the answer."""

    netns: str
    proto: str
    address: IPAddress
    port: int
    data: bytes = b"hello"

    def run(self, lab: Lab) -> Outcome:
        made = lab.connect(self.netns, self.proto, self.address, self.port, data=self.data)
        return Outcome(made.error, made.source, made.accepted.netns if made.accepted else "", made.answer)

    def words(self) -> str:
        return f"connect {self.netns} {self.proto} {self.address} {self.port} {self.data.hex()}"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port,)


@value
class Ping:
    """Send one real ping and wait for the answer."""

    netns: str
    address: IPAddress

    def run(self, lab: Lab) -> Outcome:
        pong = lab.ping(self.netns, self.address)
        return Outcome(pong.error, pong.sender)

    def words(self) -> str:
        return f"ping {self.netns} {self.address}"

    ports = ()


Probe = Send | Inject | Connect | Ping


@value
class Outcome:
    """What came of one probe. ``error`` is "" or an errno's name.

    ``source`` is the address that the server saw (of a ``Connect``) or that answered (of a ``Ping``), ``server`` the namespace that the
    connection reached, ``answer`` what it sent back.
    """

    error: str
    source: IPAddress | None = None
    server: str = ""
    answer: bytes = b""

    @property
    def ok(self) -> bool:
        return not self.error


@value
class Result:
    """What the kernel did in an experiment, in the canonical form.

    ``conntrack`` and ``counters`` are of the namespaces that have rules. ``recorded`` says whether it comes from a recording, and
    ``about`` says it in words, with the kernel and the date.
    """

    name: str
    outcomes: tuple[Outcome, ...]
    captures: tuple[Capture, ...]
    conntrack: Mapping[str, tuple[Conntrack, ...]]
    counters: Mapping[str, str]
    recorded: bool
    about: str

    def on(self, netns: str, dev: str | None = None) -> tuple[Capture, ...]:
        """The captures of a namespace, or of one of its interfaces."""
        return tuple(each for each in self.captures if each.netns == netns and dev in (None, each.dev))


@value
class Experiment:
    """A network and what to send through it. ``name`` names its recording."""

    name: str
    ops: tuple[Op, ...]
    probes: tuple[Probe, ...]
    answer: bool = True

    def digest(self) -> str:
        """A hash of all that goes in: a recording answers only the experiment that has the same."""
        lines = [*(op.command() for op in self.ops), *(each.words() for each in self.probes), f"answer {self.answer}"]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def lacks(self) -> str:
        """Why this machine's kernel cannot run it, in one sentence; "" if it can."""
        return probe().lacks(*needs(self.ops))

    def live(self) -> Result:
        """Run it in this machine's kernel. LabError, with the reason in one line, where that cannot be done."""
        if lacks := self.lacks():
            raise LabError(lacks)
        names = Canonicaliser({port for each in self.probes for port in each.ports})
        with Lab(self.ops, answer=self.answer) as lab:
            with lab.capture() as frames:
                outcomes = tuple(each.run(lab) for each in self.probes)
            versions = {op.netns: {} for op in self.ops if isinstance(op, RulesRestore)}
            for op in self.ops:
                if isinstance(op, RulesRestore):
                    versions[op.netns][op.version] = None
            captures = tuple(names.captures(frames))
            conntrack = {netns: names.connections(lab.conntrack(netns)) for netns in versions}
            counters = {netns: "".join(canonical_counters(lab.counters(netns, v)) for v in versions[netns]) for netns in versions}
        return Result(
            self.name, outcomes, captures, conntrack, counters, False, TEXT["live"].format(kernel=f"{kernel_name()} {short_release()}")
        )

    def result(self, mode: str | None = None, folder: Path | None = None) -> Result:
        """Live or recorded, as ``mode`` (by default the environment variable K8SNET_LAB) says."""
        mode = mode or os.environ.get("K8SNET_LAB") or "auto"
        if mode not in MODES:
            raise LabError(TEXT["mode"].format(mode=mode, modes=", ".join(MODES)))
        from .replay import load, save

        if mode == "recorded":
            return load(self, folder, TEXT["recorded_mode"], TEXT["how_recorded"])
        lacks = self.lacks()
        if lacks and (mode == "auto" or (mode == "record" and probe())):
            found = load(self, folder, lacks, TEXT["how_auto" if mode == "auto" else "how_second"])
            return replace(found, about=TEXT["because"].format(about=found.about, why=lacks))
        return save(self, self.live(), folder) if mode == "record" else self.live()


def experiment(
    name: str,
    ops: Iterable[Op],
    packets: Packet | Probe | Iterable[Packet | Probe],
    at: str = "",
    *,
    answer: bool = True,
    folder: Path | None = None,
) -> Result:
    """Build the ops, send the packets from namespace ``at`` one after the other, and say what the kernel did; see the module.

    Instead of a packet there may be a ``Send``, ``Inject``, ``Connect`` or ``Ping``. LabError where it can neither be run nor replayed.
    """
    several = [packets] if isinstance(packets, (Packet, Send, Inject, Connect, Ping)) else list(packets)
    return Experiment(checked_name(name), tuple(ops), tuple(_probe(each, at) for each in several), answer).result(folder=folder)


def _probe(each: Packet | Probe, at: str) -> Probe:
    if not isinstance(each, Packet):
        return each
    if not at:
        raise LabError(TEXT["at"])
    return Send(at, each)


def checked_name(name: str) -> str:
    """The name, if it can name a file anywhere. LabError if not."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise LabError(TEXT["name"].format(name=name))
    return name


def short_release() -> str:
    """The kernel's version in two numbers, such as 6.18."""
    return ".".join(platform.release().split(".")[:2])


def kernel_name() -> str:
    """Linux, or User-Mode Linux where the kernel is that: a program on another one (arch/um/kernel/um_arch.c)."""
    try:
        return UML if UML_VENDOR in Path("/proc/cpuinfo").read_text() else LINUX
    except OSError:
        return LINUX


def connect(netns: str, proto: str, address: str, port: int, data: bytes = b"hello") -> Connect:
    """A ``Connect`` from text: ``connect("web", "tcp", "10.244.1.3", 8080)``. LabError for another protocol, or what is no address."""
    if proto not in PROTOCOLS:
        raise LabError(LAB_TEXT["no_proto"].format(proto=proto, protocols=", ".join(PROTOCOLS)))
    return Connect(netns, proto, numeric(address), port, data)
