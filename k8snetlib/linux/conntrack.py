"""Connection tracking and NAT: which connection a packet belongs to, and how its addresses are rewritten.

Follows nf_conntrack_core.c, nf_conntrack_proto_tcp.c, nf_conntrack_proto_icmp.c and nf_nat_core.c. NAT is decided once, on the packet that creates
the entry; every later packet, and every reply, is rewritten from the entry's two tuples. An entry becomes part of the table
("confirmed") only when its first packet leaves the host or reaches a socket, so a dropped packet leaves nothing behind.

Of TCP see tcp_states. SCTP's chunks are not looked at (nf_conntrack_proto_sctp.c): every packet counts as one that fits, and a listing shows no
state; a kernel finds a packet without chunks INVALID.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ..value import replace
from . import tcp_states
from .fragments import translated
from .packet import Flow, Icmp, IPAddress, Ndp, Packet, Redirect, Sctp, Tcp, Udp, with_ports
from .state import NOTHING_NOTED, Conntrack, NetNS
from .tcp_states import INVALID, ORIGINAL, REPLY, TRANSITIONS, tcp_kind


class Ct:
    """A connection while a trace runs: mutable, with what has been decided so far."""

    __slots__ = ("assured", "confirmed", "done", "mark", "nat", "original", "reply", "seen_reply", "state", "tcp")

    def __init__(self, original: Flow, reply: Flow) -> None:
        self.original, self.reply = original, reply
        self.state, self.seen_reply, self.assured, self.mark = "", False, False, 0
        self.tcp = NOTHING_NOTED
        self.done: set[str] = set()  # "src", "dst": NAT decided, be it to change nothing
        self.nat: set[str] = set()  # decided to change
        self.confirmed = False

    @classmethod
    def thaw(cls, entry: Conntrack) -> Ct:
        ct = cls(entry.original, entry.reply)
        ct.state, ct.seen_reply, ct.assured, ct.mark = entry.state, entry.seen_reply, entry.assured, entry.mark
        ct.tcp = entry.tcp
        ct.done, ct.confirmed, ct.nat = {"src", "dst"}, True, set(entry.nat)
        return ct

    def freeze(self) -> Conntrack:
        return Conntrack(self.original, self.reply, self.state, self.seen_reply, self.assured, self.mark, tuple(sorted(self.nat)), self.tcp)

    def translated(self, which: str) -> bool:
        """Whether source ("src") or destination ("dst") NAT applies to the connection: IPS_SRC_NAT, IPS_DST_NAT."""
        return which in self.nat


def _key(flow: Flow, answer: bool) -> tuple:
    """The flow with its addresses as numbers: hashing these is what a lookup costs.

    An ICMP tuple has the message's type as well (nf_conntrack_tuple.h), so that pings in both directions with one identifier stay apart;
    ``answer`` says that it is an echo reply's.
    """
    return (flow.proto, flow.src.version, int(flow.src), flow.sport, int(flow.dst), flow.dport, answer and "icmp" in flow.proto)


class CtTable:
    """The table of one namespace during a trace: what the network holds, plus what the trace adds."""

    __slots__ = ("entries",)

    def __init__(self, namespace: NetNS) -> None:
        self.entries: dict[tuple, tuple[Ct, str]] = {}
        for entry in namespace.conntrack:
            self.add(Ct.thaw(entry))

    def add(self, ct: Ct) -> None:
        self.entries[_key(ct.original, False)] = (ct, ORIGINAL)
        self.entries[_key(ct.reply, True)] = (ct, REPLY)

    def remove(self, ct: Ct) -> None:
        self.entries.pop(_key(ct.original, False), None)
        self.entries.pop(_key(ct.reply, True), None)

    def holds(self, ct: Ct) -> bool:
        return self.entries.get(_key(ct.original, False)) == (ct, ORIGINAL)

    def find(self, flow: Flow, answer: bool = False) -> tuple[Ct, str] | None:
        """The connection of a packet with this tuple, and its direction; ``answer``: the packet is an echo reply."""
        return self.entries.get(_key(flow, answer))

    def taken(self, reply: Flow) -> bool:
        """Whether another connection already expects such a reply: nf_nat_used_tuple."""
        return _key(reply, True) in self.entries

    def translations(self, flow: Flow) -> Iterator[Flow]:
        """What connections from this flow's source look like after NAT, the newest first (find_appropriate_src)."""
        for ct, direction in reversed(self.entries.values()):
            same = ct.original
            if direction == ORIGINAL and (same.sport, same.src, same.proto) == (flow.sport, flow.src, flow.proto):
                yield ct.reply.reverse()


def flow_of(packet: Packet) -> Flow | None:
    """The tuple that conntrack keeps for the packet; None where it keeps none (ICMP that is no echo, fragments, discovery)."""
    payload = packet.payload
    if type(payload) in (Tcp, Udp, Sctp):
        return Flow(payload.proto, packet.src, payload.sport, packet.dst, payload.dport)
    if type(payload) is Icmp:
        return Flow(payload.proto, packet.src, payload.id, packet.dst, payload.id) if payload.is_echo else None
    if type(payload) in (Ndp, Redirect):
        return None
    return Flow(packet.proto, packet.src, 0, packet.dst, 0)


def is_answer(packet: Packet) -> bool:
    """Whether the packet is an ICMP message that answers another: an echo or timestamp reply."""
    return type(packet.payload) is Icmp and packet.payload.type in (0, 14, 129)


def malformed(packet: Packet) -> bool:
    """Whether the packet belongs to no connection, whatever its ports are."""
    return type(packet.payload) is Tcp and tcp_states.malformed(packet.payload.flags)


def creates(packet: Packet, namespace: NetNS) -> bool:
    """Whether an unknown packet may start an entry: a SYN, a mid-stream ACK if conntrack is loose, an ICMP question."""
    payload = packet.payload
    if type(payload) is Tcp:
        state = TRANSITIONS.get((ORIGINAL, tcp_kind(payload), ""), INVALID)
        return state == "SYN_SENT" or (state == "ESTABLISHED" and bool(namespace.sysctl("net.netfilter.nf_conntrack_tcp_loose")))
    if type(payload) is Icmp:
        return payload.type in (8, 13, 128)
    return type(payload) is not Redirect


def advance(ct: Ct, direction: str, packet: Packet) -> bool:
    """Move the connection's state on for this packet; True if anything has changed that later packets depend on."""
    before = (ct.state, ct.seen_reply, ct.assured, ct.tcp)
    if type(packet.payload) is Tcp:
        tcp_states.advance(ct, direction, packet.payload)
    if direction == REPLY:
        ct.seen_reply = True
    return before != (ct.state, ct.seen_reply, ct.assured, ct.tcp)


def ends(ct: Ct, packet: Packet) -> bool:
    """Whether a reset comes before any other reply, from either side: the entry is deleted at once (nf_conntrack_tcp_packet)."""
    return type(packet.payload) is Tcp and "R" in packet.payload.flags and not ct.seen_reply


def reopens(ct: Ct, direction: str, packet: Packet) -> bool:
    """Whether a SYN starts a closed connection anew: the old entry is deleted and the packet looked up again."""
    return type(packet.payload) is Tcp and tcp_states.reopens(ct, direction, packet.payload)


def valid(ct: Ct, direction: str, packet: Packet) -> bool:
    """Whether the packet fits the connection's state; a SYN+ACK in the original direction, say, does not."""
    return type(packet.payload) is not Tcp or tcp_states.next_state(ct, direction, packet.payload) != INVALID


def setup(ct: Ct, which: str, address: IPAddress | None, port: int | None, table: CtTable, random: bool = False) -> None:
    """Decide NAT for a new connection: ``which`` "dst" or "src" becomes address and port (None: unchanged).

    A source that the host already has a translation for gets the same again. If a reply to the new tuple is expected by another connection,
    or with ``random`` (``--random-fully``), the kernel draws the source port; the model takes one that depends on the flow alone, so that it
    stays the same (get_unique_tuple).
    """
    ct.done.add(which)
    if address is None and port is None and not random and (which == "dst" or not table.taken(ct.reply)):
        return  # as it is
    wire = ct.reply.reverse()  # how the packet looks after the NAT decided so far
    echo = "icmp" in wire.proto
    if which == "dst":
        wire = wire._replace(dst=address or wire.dst, dport=wire.dport if port is None or echo else port)
    else:
        wire = _source(ct, wire, address, None if echo else port, table, random)
    if wire != ct.reply.reverse():
        ct.nat.add(which)
    ct.reply = wire.reverse()


def _source(ct: Ct, wire: Flow, address: IPAddress | None, port: int | None, table: CtTable, random: bool) -> Flow:
    """The flow with its new source."""
    wanted = _from(wire, address or wire.src, wire.sport if port is None else port)
    if not random:
        for before in table.translations(wire) if wanted != wire else ():
            if (address is None or before.src == address) and (port is None or before.sport == port):
                again = _from(wire, before.src, before.sport)
                if not table.taken(again.reverse()):
                    return again
                break
        if not table.taken(wanted.reverse()):
            return wanted
    wanted = _from(wanted, wanted.src, _drawn_port(ct.original))
    while table.taken(wanted.reverse()):
        wanted = _from(wanted, wanted.src, wanted.sport + 1 if wanted.sport < 65535 else 1024)
    return wanted


def _from(flow: Flow, src: IPAddress, sport: int) -> Flow:
    """The flow from another source; an echo has one identifier for both directions."""
    return flow._replace(src=src, sport=sport, dport=sport if "icmp" in flow.proto else flow.dport)


def _drawn_port(flow: Flow) -> int:
    """A stand-in for the kernel's random source port, from the range it draws from (nf_nat_l4proto_unique_tuple), or, where that
    reaches up to 65535, from its upper half, where it cannot be taken for the port of a known service."""
    low, high = (32768, 65535) if "icmp" in flow.proto or flow.sport > 1023 else (600, 1023) if flow.sport > 511 else (1, 511)
    return low + zlib.crc32(str(flow).encode()) % (high - low + 1)


def manipulate(ct: Ct, direction: str, source: bool, packet: Packet) -> Packet:
    """The packet as this connection's NAT rewrites it at a hook: its source if ``source``, else its destination (nf_nat_packet)."""
    which = "src" if source else "dst"
    if direction == REPLY:
        which = "dst" if source else "src"
    if which not in ct.nat:
        return packet
    wire = ct.reply.reverse() if direction == ORIGINAL else ct.original.reverse()
    if type(packet.payload) is Icmp and packet.payload.is_error:
        return _manipulate_error(ct, direction, source, packet)
    if source:
        return with_ports(packet, src=wire.src, sport=wire.sport)
    return with_ports(packet, dst=wire.dst, dport=wire.dport)


def _manipulate_error(ct: Ct, direction: str, source: bool, packet: Packet) -> Packet:
    """An ICMP error about a translated connection: its outer address, and the quoted packet the other way round."""
    quoted = packet.payload.data
    wire = ct.reply.reverse() if direction == ORIGINAL else ct.original.reverse()
    if source:  # whoever sent the error, it now seems to come from the connection's other end (nf_nat_icmp_reply_translation)
        inner = translated(quoted, dst=wire.src, dport=wire.sport) if isinstance(quoted, Packet) else quoted
        return replace(packet, src=wire.src, payload=replace(packet.payload, data=inner))
    inner = translated(quoted, src=wire.dst, sport=wire.dport) if isinstance(quoted, Packet) else quoted
    return replace(packet, dst=wire.dst, payload=replace(packet.payload, data=inner))
