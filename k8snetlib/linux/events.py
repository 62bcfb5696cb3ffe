"""What happens to a packet, as frozen events in the past tense; a ``Trace`` is the sequence of them.

Every event says where it happened (``netns``) and to which packet (``journey``: 0 is the packet that was sent, higher numbers are
packets that the kernel made on the way: ARP requests and answers, ICMP errors, resets). Everything that is shown
about a packet is a function of its events; nothing calls the engine again.

Drop reasons are the names of Linux's ``enum skb_drop_reason`` (include/net/dropreason-core.h), without the prefix ``SKB_DROP_REASON_``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Union

from ..errors import ModelError
from ..value import value
from .packet import Frame, Packet
from .state import Conntrack, FdbEntry, Neighbor, Network, Route, Socket


@value
class Sent:
    """A process (or the kernel itself, ``process`` "") handed a packet to the namespace's IP stack."""

    netns: str
    journey: int
    packet: Packet
    process: str = ""


@value
class Received:
    """A frame arrived at an interface, as a capture on that interface sees it."""

    netns: str
    journey: int
    dev: str
    frame: Frame


@value
class Transmitted:
    """A frame left through an interface, as a capture on that interface sees it."""

    netns: str
    journey: int
    dev: str
    frame: Frame


@value
class Bridged:
    """A bridge chose where a frame goes by its destination MAC: out of ``ports`` and/or up to the bridge device itself (``local``).

    ``entry`` is the FDB entry that decided; None for a flood (unknown or multicast destination) and for the bridge's own address.
    A flood knows its ``segment``, (port, far namespace, far interface) of every port, and in which ports somebody is ``awake``: there
    further events tell what happens. The far ends of the ``quiet`` ports see the frame and ignore it.
    """

    netns: str
    journey: int
    bridge: str
    frame: Frame
    in_port: str
    ports: tuple[str, ...]
    local: bool
    entry: FdbEntry | None = None
    segment: tuple[tuple[str, str, str], ...] = ()
    awake: frozenset[str] = frozenset()

    @property
    def flooded(self) -> bool:
        return self.entry is None and (self.frame.is_multicast or not self.local)

    @property
    def quiet(self) -> tuple[tuple[str, str, str], ...]:
        return tuple(end for end in self.segment if end[0] != self.in_port and end[0] not in self.awake)


@value
class Tracked:
    """Conntrack looked a packet up: its ``state`` (NEW, ESTABLISHED, RELATED, INVALID) and direction, with the entry if there is one."""

    netns: str
    journey: int
    state: str
    direction: str
    entry: Conntrack | None


@value
class Matched:
    """A netfilter rule matched, or a built-in chain's policy decided (``rule`` None, ``index`` -1).

    ``examined`` counts the rules of the table that the kernel, which goes from rule to rule, has looked at by then at this hook.
    """

    netns: str
    journey: int
    hook: str  # PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING
    table: str
    chain: str
    index: int  # position in the chain, from 0
    rule: object | None  # netfilter.Rule, nftables.Rule
    verdict: str
    bridge: bool = False  # at the bridge layer, by br_netfilter
    family: str = ""  # of an nftables table: ip, ip6, inet; "" for iptables
    element: str = ""  # of the set or map that decided, as nft prints it
    examined: int = field(default=0, compare=False, repr=False)


@value
class Chose:
    """A rule left something to chance, and this is what came: ``chance`` is its probability as a ``Fraction``."""

    netns: str
    journey: int
    rule: object
    matched: bool
    chance: object


@value
class Scheduled:
    """IPVS gave a new connection for a virtual server to a real one; ``why`` is the scheduler, or "persistent"."""

    netns: str
    journey: int
    server: object  # ipvs.VirtualServer
    real: object  # ipvs.RealServer
    why: str


@value
class Rewritten:
    """A header was changed: ``what`` says why (``DNAT``, ``SNAT``, ``TTL``, ``MARK`` …), old and new are the whole packet."""

    netns: str
    journey: int
    what: str
    old: Packet
    new: Packet


@value
class Marked:
    """A rule set the packet's mark, which is not on the wire."""

    netns: str
    journey: int
    old: int
    new: int


@value
class Routed:
    """The routing decision: the route that won, the table it stands in, and the other routes that matched less well."""

    netns: str
    journey: int
    dst: object
    route: Route
    considered: tuple[Route, ...] = ()
    direction: str = "forward"  # forward, local (for this host), output (made here)


@value
class Resolved:
    """The neighbour table gave the MAC address of the next hop."""

    netns: str
    journey: int
    neighbor: Neighbor


@value
class Asked:
    """The next hop's MAC address is unknown: the packet waits while ARP or neighbour discovery asks (``question`` = its journey)."""

    netns: str
    journey: int
    dev: str
    ip: object
    question: int


@value
class Learned:
    """State that the packet left behind, as the op that would put it there."""

    netns: str
    journey: int
    op: object


@value
class Encapsulated:
    """A tunnel device put a frame into an outer packet; ``entry`` is the FDB entry that chose the tunnel's far end."""

    netns: str
    journey: int
    dev: str
    inner: Frame
    outer: Packet
    entry: FdbEntry | None


@value
class Decapsulated:
    """A tunnel device took the outer headers off."""

    netns: str
    journey: int
    dev: str
    outer: Packet
    inner: Frame


@value
class Fragmented:
    """A packet without "don't fragment" was cut to fit the MTU."""

    netns: str
    journey: int
    packet: Packet
    pieces: tuple[Packet, ...]
    mtu: int


@value
class Reassembled:
    """The fragments of a packet were put together again."""

    netns: str
    journey: int
    packet: Packet


@value
class Answered:
    """The kernel answered with a packet of its own (``answer`` = its journey): an ARP reply, an ICMP message, a TCP reset."""

    netns: str
    journey: int
    answer: int
    why: str


@value
class Delivered:
    """The packet reached a socket, or (``socket`` None) the kernel itself, which answers pings."""

    netns: str
    journey: int
    packet: Packet
    socket: Socket | None


@value
class Dropped:
    """The packet ended here; ``reason`` is Linux's name for why, ``detail`` says it in words, ``packet`` is its last form.

    ``dev`` is the device at which it ended, where a device did it; "" where the IP layer or its rules did.
    """

    netns: str
    journey: int
    reason: str
    detail: str
    packet: object = None
    dev: str = ""


Event = Union[
    Sent, Received, Transmitted, Bridged, Tracked, Matched, Chose, Scheduled, Rewritten, Marked, Routed, Resolved, Asked, Learned,
    Encapsulated, Decapsulated, Fragmented, Reassembled, Answered, Delivered, Dropped,
]  # fmt: skip


@value
class Hop:
    """What one namespace did with the packet: a run of events of one journey in one place."""

    netns: str
    journey: int
    events: tuple[Event, ...]

    def __repr__(self) -> str:
        return f"<Hop {self.netns}: {', '.join(type(event).__name__ for event in self.events)}>"


@value
class Capture:
    """One frame on one interface: ``direction`` "in" or "out" as seen from that interface."""

    netns: str
    dev: str
    direction: str
    frame: Frame
    journey: int


class Trace(Sequence):
    """Everything that happened to a packet, in order; a sequence of ``Hop``s of the packet itself (journey 0).

    ``trace[0]`` is the first hop, ``trace.delivered`` says whether it arrived, and ``trace.reply`` is the answer's trace. ``events`` has all
    events, of every journey. ``outcome`` is "delivered" or "dropped"; ``end`` is the event that says so.
    """

    __slots__ = ("_cache", "events", "network", "now", "sent", "start")

    def __init__(self, events: Sequence[Event], start: str, sent: Packet, network: Network | None = None, now: float = 0) -> None:
        self.events: tuple[Event, ...] = tuple(events)
        self.start, self.sent, self.network, self.now = start, sent, network, now
        self._cache: dict = {}

    def of(self, journey: int) -> tuple[Event, ...]:
        """The events of one journey."""
        return tuple(event for event in self.events if event.journey == journey)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """The hops of the packet itself, one after the other."""
        if "hops" not in self._cache:
            self._cache["hops"] = group_hops(self.of(0))
        return self._cache["hops"]

    @property
    def journeys(self) -> tuple[int, ...]:
        """The numbers of all journeys, the packet's own 0 first."""
        return tuple(sorted({event.journey for event in self.events}))

    @property
    def end(self) -> Delivered | Dropped | None:
        """The event that ended the packet itself: its delivery, else its (last) drop."""
        if "end" not in self._cache:
            ends = [event for event in self.events if event.journey == 0 and type(event) in (Delivered, Dropped)]
            self._cache["end"] = next((e for e in ends if type(e) is Delivered), ends[-1] if ends else None)
        return self._cache["end"]

    @property
    def outcome(self) -> str:
        """ "delivered" or "dropped"."""
        return "delivered" if type(self.end) is Delivered else "dropped"

    @property
    def delivered(self) -> bool:
        """Whether a process, or the kernel of the host that was meant, got the packet."""
        return type(self.end) is Delivered

    @property
    def ops(self) -> tuple[object, ...]:
        """What the packet left behind, as ops for ``build``."""
        return tuple(event.op for event in self.events if type(event) is Learned)

    @property
    def reply(self) -> Trace | None:
        """The way back: the answer of whoever got the packet, sent into the network as the packet left it; None if nobody answers."""
        from .engine import reply

        if "reply" not in self._cache:
            self._cache["reply"] = reply(self)
        return self._cache["reply"]

    def all(self, kind: type, journey: int | None = None) -> tuple:
        """The events of a kind, of one journey or of all."""
        return tuple(e for e in self.events if type(e) is kind and (journey is None or e.journey == journey))

    def __getitem__(self, index):
        return self.hops[index]

    def __len__(self) -> int:
        return len(self.hops)

    def __iter__(self) -> Iterator[Hop]:
        return iter(self.hops)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and self.events == other.events

    def __hash__(self) -> int:
        return hash(self.events)

    def __repr__(self) -> str:
        return f"<Trace {self.outcome} {' → '.join(hop.netns for hop in self.hops)}>"


def group_hops(events: Sequence[Event]) -> tuple[Hop, ...]:
    """Runs of events in the same namespace, in order."""
    hops: list[Hop] = []
    run: list[Event] = []
    for event in events:
        if run and event.netns != run[0].netns:
            hops.append(Hop(run[0].netns, run[0].journey, tuple(run)))
            run = []
        run.append(event)
    if run:
        hops.append(Hop(run[0].netns, run[0].journey, tuple(run)))
    return tuple(hops)


def as_trace(given: object) -> Trace:
    """The same trace. ModelError for anything else."""
    if isinstance(given, Trace):
        return given
    raise ModelError(f"this takes a Trace, as trace(…) and cluster.trace(…) give one, and a {type(given).__name__} is none")
