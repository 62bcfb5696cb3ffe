"""The engine: ``trace`` takes a network and a packet and says everything that happens; it changes nothing.

Theory of operation. Inside a namespace a packet is handled at once, from hook to hook, as the kernel does it in one go. Between
namespaces there are links: a transmitted frame is put into a queue and received when its turn comes, in the order of sending.
A packet whose next hop has no known MAC address waits in the namespace while ARP or neighbour discovery runs through the same queue;
when the queue is empty and the answer has not come, the kernel gives up (``NEIGH_FAILED``; in IPv6 it gives no reason).

What the trace learns (neighbours, FDB entries, connections) lives in a ``View`` of each namespace and in ``Learned`` events.
Chance is an argument: ``chance(match, probability) -> bool``; ``traces`` asks for every answer in turn and multiplies the exact fractions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..value import replace
from . import link, local, neighbor, output
from .conntrack import CtTable
from .draft import build
from .events import (
    Answered,
    Bridged,
    Capture,
    Chose,
    Delivered,
    Event,
    Learned,
    Marked,
    Matched,
    Received,
    Sent,
    Trace,
    Transmitted,
    as_trace,
)
from .fib import address_type
from .ops import ConntrackAdd, ConntrackDel, FdbAdd, Listen, NeighAdd, NftElementAdd, PmtuAdd, RecentSet
from .packet import Frame, IPAddress, Packet, Skb, Tcp
from .recent import Recent, RecentEntry
from .state import FdbEntry, Interface, Neighbor, NetNS, Network, Socket, as_network

if TYPE_CHECKING:
    from .ipvs_hooks import IpvsTable
    from .nftables import Table

CLIENT = "client"  # the process that waits for the reply, where the packet's sender was not named
MAX_STEPS = 20_000  # far above what TTL allows a packet; only a loop of bridges can reach it

Chance = Callable[[object, Fraction], bool]


def always(match: object, probability: Fraction) -> bool:
    """The default answer to chance: yes, so the first of several endpoints is chosen."""
    return True


class View:
    """A namespace during a trace: the frozen state and, on top, what the trace has learned. It is the ``env`` of rules as well."""

    __slots__ = (
        "_ct", "_ipvs", "bridged", "element", "engine", "fdb", "journey", "lists", "name", "neighbors", "ns", "pmtu", "serves", "tracked", "used",
    )  # fmt: skip

    def __init__(self, ns: NetNS, engine: Engine) -> None:
        self.ns, self.name, self.engine = ns, ns.name, engine
        self.neighbors: dict[tuple[str, IPAddress], Neighbor] = {}
        self.fdb: dict[tuple[str, str], FdbEntry] = {}
        self.pmtu: dict[IPAddress, int] = {}
        self.lists: dict[str, tuple[RecentEntry, ...]] = {}  # of the recent match
        self._ct: CtTable | None = None
        self._ipvs = None
        self.serves = ns.ipvs is not None
        self.tracked = {version: ruleset.tracks for version, ruleset in ns.rulesets.items()}
        if ns.nftables is not None:
            self.tracked = {version: self.tracked.get(version, False) or ns.nftables.tracks(version) for version in (4, 6)}
            self.used: dict[tuple[str, str, str, str], tuple[float, float]] = {}
        self.journey, self.bridged = 0, False

    @property
    def ct(self) -> CtTable:
        if self._ct is None:
            self._ct = CtTable(self.ns)
        return self._ct

    def interface(self, name: str) -> Interface:
        return self.ns.interfaces[name]

    def neighbor(self, dev: str, ip: IPAddress) -> Neighbor | None:
        learned, known = self.neighbors, self.ns.neighbors
        if not learned and not known:
            return None
        key = (dev, ip)
        return learned.get(key) or known.get(key)

    def fdb_entry(self, device: str, mac: str) -> FdbEntry | None:
        return self.fdb.get((device, mac)) or self.ns.fdb.get((device, mac))

    def learn_neighbor(self, journey: int, dev: str, ip: IPAddress, mac: str, state: str = "REACHABLE") -> None:
        """Learn from an answer (REACHABLE), or from a question that its asker sent us (STALE: usable, not confirmed)."""
        old = self.neighbor(dev, ip)
        if old is not None and (old.state == "PERMANENT" or (old.mac == mac and (old.state == state or state == "STALE"))):
            return
        entry = self.neighbors[dev, ip] = Neighbor(dev, ip, mac, state)
        self.engine.emit(Learned(self.name, journey, NeighAdd(self.name, entry)))

    def learn_fdb(self, journey: int, entry: FdbEntry) -> None:
        key = (entry.master or entry.dev, entry.mac)
        old = self.fdb.get(key) or self.ns.fdb.get(key)
        if old is not None and (old.state == "permanent" or (old.dev, old.dst) == (entry.dev, entry.dst)):
            return
        if old is not None:
            entry = replace(entry, state=old.state)  # a static one follows its address too (br_fdb_update), and stays for good
        self.fdb[key] = entry
        self.engine.emit(Learned(self.name, journey, FdbAdd(self.name, entry)))

    def path_mtu(self, dst: IPAddress) -> int | None:
        """What is known of the path to a destination, in bytes."""
        return (self.pmtu.get(dst) or self.ns.pmtu.get(dst)) if self.pmtu or self.ns.pmtu else None

    def learn_path_mtu(self, journey: int, dst: IPAddress, mtu: int) -> None:
        self.pmtu[dst] = mtu
        self.engine.emit(Learned(self.name, journey, PmtuAdd(self.name, dst, mtu)))

    def learn_connection(self, journey: int, ct) -> None:
        self.engine.emit(Learned(self.name, journey, ConntrackAdd(self.name, ct.freeze())))

    def forget_connection(self, journey: int, ct) -> None:
        self.engine.emit(Learned(self.name, journey, ConntrackDel(self.name, ct.original)))

    # What rules ask (see xtables).

    def addr_type(self, address: IPAddress, dev: str = "") -> str:
        return address_type(self.ns, address, dev)

    def chance(self, match: object, probability: Fraction) -> bool:
        answer = probability == 1 or (probability > 0 and self.engine.chance(match, probability))
        self.engine.emit(Chose(self.name, self.journey, match, answer, probability if answer else 1 - probability))
        return answer

    def choose(self, expression: object, count: int) -> int:
        """A number below ``count``, each as likely as the others: asked as yes or no for one after the other."""
        chosen = count - 1
        for number in range(count - 1):
            if self.engine.chance(expression, Fraction(1, count - number)):
                chosen = number
                break
        self.engine.emit(Chose(self.name, self.journey, expression, True, Fraction(1, count)))
        return chosen

    def nft_used(self, where: tuple[str, str, str], key: str) -> tuple[float, float] | None:
        """When an element of a set was last used, and its timeout, if a packet put it there."""
        full = (*where, key)
        return self.used.get(full) or self.ns.nftables.used.get(full)

    def nft_use(self, where: tuple[str, str, str], key: str, timeout: float) -> None:
        self.used[*where, key] = (self.engine.now, timeout)
        self.engine.emit(Learned(self.name, self.journey, NftElementAdd(self.name, *where, key, timeout, self.engine.now)))

    def nft_matched(self, hook: str, table: Table, chain: str, index: int, rule: object, verdict: str, examined: int) -> None:
        self.engine.emit(
            Matched(
                self.name, self.journey, hook, table.name, chain, index, rule, verdict, self.bridged, table.family, self.element, examined
            )
        )

    def matched(self, hook: str, table: str, chain: str, index: int, rule: object, verdict: str, examined: int = 0) -> None:
        self.engine.emit(Matched(self.name, self.journey, hook, table, chain, index, rule, verdict, self.bridged, "", "", examined))

    def ipset(self, name: str) -> object | None:
        return self.ns.ipsets.get(name)

    @property
    def ipvs(self) -> IpvsTable:
        if self._ipvs is None:
            from .ipvs_hooks import IpvsTable

            self._ipvs = IpvsTable(self)
        return self._ipvs

    def ipvs_connection(self, skb: Skb) -> object | None:
        """The connection of IPVS by which the packet goes to its real server."""
        return self.ipvs.reply(skb.packet, inverse=True) if self.serves else None

    def listening(self, proto: str, address: IPAddress, port: int) -> Socket | None:
        return local.find_socket(self, proto, address, port)

    def recent(self, match: Recent, address: IPAddress) -> bool:
        """Whether a ``recent`` match holds for that address now; what it does to its list is learned."""
        before = self.lists.get(match.list, self.ns.recent.get(match.list, ()))
        holds, entries = match.decide(before, address, self.engine.now)
        if entries != before:
            self.lists[match.list] = entries
            self.engine.emit(Learned(self.name, self.journey, RecentSet(self.name, match.list, entries)))
        return holds

    def mark(self, skb: Skb, value: int) -> None:
        if value != skb.mark:
            self.engine.emit(Marked(self.name, self.journey, skb.mark, value))
            skb.mark = value

    def mark_connection(self, ct, value: int) -> None:
        """Write a connection's mark. One that is not in the table yet shows it when it gets there; one that a reset has ended is gone."""
        if value != ct.mark:
            ct.mark = value
            if self.ct.holds(ct):
                self.learn_connection(self.journey, ct)


class Engine:
    """One run: the queue of frames on links, the views of the namespaces met so far, the events."""

    __slots__ = (
        "chance", "emit", "events", "fragments", "identification", "made", "network", "next_journey", "now", "queue", "steps", "views", "waiting",
    )  # fmt: skip

    def __init__(self, network: Network, chance: Chance = always, now: float = 0) -> None:
        self.network, self.chance, self.now = network, chance, now
        self.events: list[Event] = []
        self.made: dict[int, Packet] = {}  # what a kernel says by itself in IPv6, by journey, as it was before any translation
        self.emit = self.events.append
        self.queue: deque[tuple] = deque()
        self.views: dict[str, View] = {}
        self.waiting: dict[tuple[str, str, IPAddress], list] = {}  # unresolved neighbours → packets that wait
        self.fragments: dict[tuple, list] = {}
        self.next_journey = 1
        self.identification = 0
        self.steps = 0

    def view(self, name: str) -> View:
        found = self.views.get(name)
        if found is None:
            found = self.views[name] = View(self.network.namespace(name), self)
        return found

    def new_journey(self) -> int:
        number = self.next_journey
        self.next_journey += 1
        return number

    def new_identification(self) -> int:
        """For an IPv6 packet that is cut, also one that came in pieces, and for a tunnel's; another IPv4 packet has one from its sender."""
        self.identification += 1
        return self.identification

    def run(self) -> None:
        """Deliver frames until all is quiet."""
        while self.queue or self.waiting:
            if not self.queue:
                neighbor.give_up(self)
                continue
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise ModelError("frames go round in a loop of bridges (a broadcast storm): break the loop, or use a spanning tree")
            name, dev, frame, journey, mark = self.queue.popleft()
            link.receive(self, self.view(name), dev, frame, journey, mark)


def trace(network: Network, at: str, packet: Packet, chance: Chance = always, process: str = "", now: float = 0.0) -> Trace:
    """What happens to the packet when a process in namespace ``at`` sends it at ``now`` seconds. Pure: the network stays as it is.

    ``trace(cluster.network, "web", tcp("10.244.1.2", "10.244.2.2", 8080))``; by names, ``cluster.trace("pod/web", "pod/api-2:8080")``.

    ModelError if there is no such namespace; UnsupportedError if the packet meets a rule that the model does not honour.
    """
    if not isinstance(network, Network) or not isinstance(packet, Packet):
        raise _no_packet(as_network(network), packet)
    engine = Engine(network, chance, now)
    output.send(engine, engine.view(at), packet, 0, process=process)
    engine.run()
    return Trace(engine.events, at, packet, network, now)


def _no_packet(_: Network, packet: object) -> ModelError:
    return ModelError(f"this takes a Packet, as tcp(…), udp(…) and ping(…) make one, and {packet!r} is none")


def arrive(network: Network, at: str, dev: str, frame: Frame, chance: Chance = always, now: float = 0.0) -> Trace:
    """What happens to a frame that comes in on interface ``dev`` of namespace ``at`` from outside the model."""
    engine = Engine(network, chance, now)
    engine.view(at).ns.interface(dev)
    engine.queue.append((at, dev, frame, 0, 0))
    engine.run()
    return Trace(engine.events, at, frame.payload if isinstance(frame.payload, Packet) else None, network, now)


def traces(network: Network, at: str, packet: Packet, now: float = 0.0, process: str = "") -> list[tuple[Fraction, Trace]]:
    """Every outcome of the random choices that rules make for a packet that ``process`` sends, each with its exact weight; they sum to 1.

    ``traces(cluster.network, "web", tcp("10.244.1.2", "10.96.20.80", 80))``; by names, ``cluster.traces("pod/web", "svc/api:80")``.
    """
    return list(iter_traces(network, at, packet, now, process))


def iter_traces(network: Network, at: str, packet: Packet, now: float = 0.0, process: str = "") -> Iterator[tuple[Fraction, Trace]]:
    """As ``traces``, one at a time, in the order of the rules."""
    pending: list[tuple[bool, ...]] = [()]
    while pending:
        prefix = pending.pop()
        weight, taken = Fraction(1), []

        def choose(match: object, probability: Fraction, prefix=prefix, taken=taken) -> bool:
            nonlocal weight
            answer = prefix[len(taken)] if len(taken) < len(prefix) else True
            if len(taken) >= len(prefix):
                pending.append((*taken, False))
            taken.append(answer)
            weight *= probability if answer else 1 - probability
            return answer

        result = trace(network, at, packet, choose, process, now)
        yield weight, result


def after(network: Network, trace: Trace) -> Network:
    """The network after the packet, ``after(cluster.network, trace)``: with the neighbours, FDB entries and connections that it left behind."""
    ops = as_trace(trace).ops
    return build(ops, as_network(network)) if ops else as_network(network)


def reply(request: Trace) -> Trace | None:
    """The way back of a delivered request: what its socket answers (SYN+ACK, or a datagram back), traced through the network as the request
    left it, or, for a ping, the journey of the echo reply that the kernel has sent already. None if the request was not delivered."""
    end = request.end
    if not isinstance(end, Delivered) or request.network is None:
        return None
    packet = end.packet
    if end.socket is None:
        answers = [event.answer for event in request.all(Answered, 0) if event.netns == end.netns]
        if not answers:
            return None
        events = [replace(event, journey=0) for event in request.of(answers[-1])]
        return Trace(events, end.netns, events[0].packet, after(request.network, request), request.now)
    payload = packet.payload
    if isinstance(payload, Tcp):
        back = Tcp(payload.dport, payload.sport, "SA", 0, payload.seq + 1 + len(payload.data))
    else:
        back = replace(payload, sport=payload.dport, dport=payload.sport)
    answer = Packet(packet.dst, packet.src, back, df=isinstance(payload, Tcp))
    sent = request.sent
    peer = (sent.dst, sent.dport) if packet.proto == "tcp" else None  # connected: it hears the address that it asked, and no other
    client = Socket(packet.proto, sent.sport, sent.src, request.all(Sent, 0)[0].process or CLIENT, peer)
    asked = (
        build([Listen(request.start, client)], after(request.network, request))
        if packet.proto in ("tcp", "udp", "sctp")
        else request.network
    )
    return trace(asked, end.netns, answer, process=end.socket.process, now=request.now)


def captures(trace: Trace) -> list[Capture]:
    """Every frame that a capture on every interface would show, in order, floods to hosts that ignore them included: ``captures(trace)``.

    A cable keeps its order: what is flooded to such a host arrives after what was sent down the same port before.
    """
    found: list[Capture] = []
    sent: Counter[tuple[str, str]] = Counter()  # by the port's end of a cable, by the far end
    arrived: Counter[tuple[str, str]] = Counter()
    behind: dict[tuple[str, str], list[tuple[int, Capture]]] = {}  # by the far end: after how many arrivals, what
    for event in as_trace(trace).events:
        kind = type(event)
        if kind is Received:
            end = event.netns, event.dev
            found.append(Capture(*end, "in", event.frame, event.journey))
            arrived[end] += 1
            while behind.get(end) and behind[end][0][0] <= arrived[end]:
                found.append(behind[end].pop(0)[1])
        elif kind is Transmitted:
            found.append(Capture(event.netns, event.dev, "out", event.frame, event.journey))
            sent[event.netns, event.dev] += 1
        elif kind is Bridged and event.segment:
            for port, far, dev in event.quiet:
                found.append(Capture(event.netns, port, "out", event.frame, event.journey))
                before, there = sent[event.netns, port], Capture(far, dev, "in", event.frame, event.journey)
                if before > arrived[far, dev]:
                    behind.setdefault((far, dev), []).append((before, there))
                else:
                    found.append(there)
    return found + [there for waiting in behind.values() for _, there in waiting]
