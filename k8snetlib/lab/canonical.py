"""One form for what a kernel and the model say happened, so that the two can be compared, and a recording stays the same.

``canonical`` changes only what nobody can predict, and by these rules alone:

1. *Background is removed*: group memberships (IGMP, MLD), router solicitations and advertisements, duplicate address detection
   (a solicitation from ``::``) and unsolicited neighbour advertisements. Hosts send these by themselves and at random moments;
   inside a tunnel they are the same. Neighbour discovery for a packet's sake is kept.
2. *A repeated question is merged with the first*: while nobody answers, a kernel asks three times for a next hop's MAC address
   (``mcast_solicit``), by its clock; the model has none and asks once.
3. *Identifications* of IP packets become 0, as a kernel draws them at random. Those of fragments become 1, 2 … on each interface,
   one for each packet that was cut, since they say which fragments belong together; who cuts an IPv6 packet again draws a new one.
   A first fragment's ports follow rule 6, and its transport *checksum* becomes 0, since it covers ports that a kernel chose; what a
   tunnel's first fragment has of the packet inside is brought into form, too.
4. *TCP sequence numbers* count from the first one seen of their direction, as Wireshark shows them: initial ones are random (RFC 9293
   section 3.4.1, RFC 6528). Acknowledgements count from the same number. *Windows* become 0, as they follow the machine's memory.
   TCP options are not in a ``Tcp`` at all.
5. *A VXLAN packet's source port* becomes 0: a hash of the inner flow (RFC 7348 section 5) with a key that a kernel draws when it starts.
6. *Ports and echo identifiers that a kernel chose*, for a client or for ``--random-fully``, become 60001, 60002 … in the order of
   their first appearance, in requests, replies and quoted packets alike. Those in ``known`` were chosen by whoever sent the packet
   and stay. So it still shows whether NAT changed a port, and which packets have the same.
7. *Journeys* become -1: a kernel numbers none. *DF* of an IPv6 packet becomes True: there is no such bit in its header.

Checksums need no rule: a ``Frame`` has none, and ``wire.to_bytes`` writes right ones, whatever offloading left in the capture.
Everything else is compared as it is: addresses, TTL, flags, DF, traffic class, lengths, data, and what was sent at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ..linux.events import Capture
from ..linux.fragments import CHECKSUM_AT, with_transport
from ..linux.packet import Arp, Flow, Fragment, Frame, Icmp, Ndp, Packet, Raw, Redirect, Sctp, Tcp, Udp, Vxlan
from ..linux.state import Conntrack
from ..linux.wire import VXLAN_PORTS, payload_bytes
from ..value import replace

IGMP = 2
BACKGROUND_ICMP6 = frozenset({130, 131, 132, 133, 134, 143})  # MLD queries and reports (RFC 2710, 3810), router discovery (RFC 4861)
FIRST_NAME = 60001
UNKNOWN_JOURNEY = -1  # a kernel does not number packets


def canonical(captures: Iterable[Capture], known: Collection[int] = ()) -> list[Capture]:
    """The captures in the form described above, in their order. ``known``: the ports and echo identifiers that the senders chose."""
    return Canonicaliser(known).captures(captures)


def by_interface(captures: Iterable[Capture]) -> dict[tuple[str, str], list[tuple[str, object]]]:
    """(direction, frame) lists by (namespace, interface). Order holds on one interface; between two, processors may differ."""
    found: dict[tuple[str, str], list[tuple[str, object]]] = {}
    for each in captures:
        found.setdefault((each.netns, each.dev), []).append((each.direction, each.frame))
    return dict(sorted(found.items()))


def canonical_counters(text: str) -> str:
    """``iptables-save -c`` text without its comment lines, which carry the date, and with its tables by name: the two iptables, the older
    one and that on nf_tables, list them in different orders."""
    lines = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return "".join(sorted(re.findall(r"^\*.*?^COMMIT\n", lines, re.DOTALL | re.MULTILINE)))


class Canonicaliser:
    """The rules with what they remember, so that captures and connections of one experiment get the same names."""

    def __init__(self, known: Collection[int] = ()) -> None:
        self.known = frozenset(known)
        self.names: dict[int, int] = {}
        self.forward: set[Flow] = set()
        self.first_seq: dict[Flow, int] = {}
        self.fragments: dict[tuple[str, str], dict[tuple, int]] = {}
        self.where = ("", "")
        self.asked: set[tuple] = set()

    def captures(self, captures: Iterable[Capture]) -> list[Capture]:
        self.fragments.clear()  # identifications are unique for a while only, and the model has none: names hold for one capture
        found = []
        for each in captures:
            self.where = (each.netns, each.dev)
            if not isinstance(each.frame, Frame):
                found.append(replace(each, journey=UNKNOWN_JOURNEY))
            elif not is_background(each.frame) and not self._repeated(each):
                found.append(replace(each, frame=self.frame(each.frame), journey=UNKNOWN_JOURNEY))
        return found

    def connections(self, entries: Iterable[Conntrack]) -> tuple[Conntrack, ...]:
        """Conntrack entries by rules 5 and 6, sorted; entries that only differed by a tunnel's source port become one."""
        found = set()
        for entry in entries:
            original = self._tunnel(entry.original) or self._flow(entry.original)
            reply = self._tunnel(entry.reply) or self._flow(entry.reply)
            found.add(replace(entry, original=original, reply=reply))
        return tuple(sorted(found, key=str))

    def _repeated(self, capture: Capture) -> bool:
        """Rule 2, per interface and direction: a question asked again with no answer in between."""
        where, payload = (capture.netns, capture.dev), capture.frame.payload
        message = payload.payload if isinstance(payload, Packet) else payload
        if isinstance(message, Arp):
            question, target = message.op == 1, message.target_ip if message.op == 1 else message.sender_ip
        elif isinstance(message, Ndp):
            question, target = message.type == 135, message.target
        else:
            return False
        if not question:
            self.asked = {key for key in self.asked if key[:2] != (where, target)}
            return False
        key = (where, target, capture.direction, capture.frame)
        if key in self.asked:
            return True
        self.asked.add(key)
        return False

    def frame(self, frame: Frame) -> Frame:
        return replace(frame, payload=self.packet(frame.payload)) if isinstance(frame.payload, Packet) else frame

    def packet(self, packet: Packet, quoted: bool = False) -> Packet:
        payload, number = packet.payload, 0
        if isinstance(payload, Packet):
            payload = self.packet(payload)
        elif isinstance(payload, Fragment):
            names = self.fragments.setdefault(self.where, {})
            number = names.setdefault((packet.src, packet.dst, payload.number, packet.id), len(names) + 1)
            payload = self._first(packet, quoted)
        elif isinstance(payload, Udp) and isinstance(payload.data, Vxlan):
            payload = replace(payload, sport=0, data=replace(payload.data, frame=self.frame(payload.data.frame)))
        elif isinstance(payload, (Icmp, Redirect)) and isinstance(payload.data, Packet):
            payload = replace(payload, data=self.packet(payload.data, quoted=True))
        elif isinstance(payload, (Tcp, Udp, Sctp)) or (isinstance(payload, Icmp) and payload.is_echo):
            payload = self._transport(packet, quoted)
        return replace(packet, id=number, payload=payload, df=packet.df or packet.version == 6)

    def _first(self, packet: Packet, quoted: bool) -> Fragment:
        """A fragment with the ports in its first bytes renamed, and their checksum left out; a tunnel's with what is inside in this form; a
        later fragment as it is."""
        piece, whole = packet.payload, with_transport(packet)
        if whole is packet or not isinstance(whole.payload, (Tcp, Udp, Sctp, Icmp)):
            return piece
        at = CHECKSUM_AT[piece.number]
        if isinstance(whole.payload, Udp) and isinstance(whole.payload.data, Vxlan):
            data = payload_bytes(self.packet(whole))
            return replace(piece, data=data[:at] + b"\0\0" + data[at + 2 :])
        data, new = bytearray(piece.data), self._transport(whole, quoted)
        data[at : at + 2] = b"\0\0"
        if isinstance(new, Icmp):
            data[4:6] = new.id.to_bytes(2, "big")
        else:
            data[0:4] = new.sport.to_bytes(2, "big") + new.dport.to_bytes(2, "big")
        return replace(piece, data=bytes(data))

    def _transport(self, packet: Packet, quoted: bool):
        flow, payload = packet.flow, packet.payload
        if not quoted and flow.reverse() not in self.forward:
            self.forward.add(flow)
        new = self._flow(flow)
        if isinstance(payload, Icmp):
            return replace(payload, id=new.sport)
        if isinstance(payload, Tcp):
            payload = replace(payload, window=0, **self._sequence(flow, payload))
        return replace(payload, sport=new.sport, dport=new.dport)

    def _sequence(self, flow: Flow, segment: Tcp) -> dict[str, int]:
        start = self.first_seq.setdefault(flow, segment.seq)
        if "A" not in segment.flags:
            return {"seq": segment.seq - start & 0xFFFFFFFF, "ack": 0}
        other = self.first_seq.get(flow.reverse(), 0)
        return {"seq": segment.seq - start & 0xFFFFFFFF, "ack": segment.ack - other & 0xFFFFFFFF}

    def _flow(self, flow: Flow) -> Flow:
        """Rule 6: rename the port of the side that began the conversation; for an echo both ports are its identifier."""
        if "icmp" in flow.proto:
            name = self._name(flow.sport)
            return flow._replace(sport=name, dport=name)
        if flow.reverse() in self.forward and flow not in self.forward:
            return flow._replace(dport=self._name(flow.dport))
        named = flow._replace(sport=self._name(flow.sport))  # the other port is the kernel's too where it has been seen as such
        return named._replace(dport=self.names.get(flow.dport, flow.dport)) if flow.sport in self.known else named

    def _name(self, number: int) -> int:
        if number in self.known:
            return number
        return self.names.setdefault(number, FIRST_NAME + len(self.names))

    @staticmethod
    def _tunnel(flow: Flow) -> Flow | None:
        """A conntrack half of a VXLAN tunnel's own UDP flow, its hashed port masked; None for any other flow."""
        if flow.proto == "udp" and flow.dport in VXLAN_PORTS:
            return flow._replace(sport=0)
        if flow.proto == "udp" and flow.sport in VXLAN_PORTS:
            return flow._replace(dport=0)
        return None


def is_background(frame: Frame) -> bool:
    """Rule 1: what hosts send on their own account, or a tunnel packet that carries such a thing."""
    packet = frame.payload
    if not isinstance(packet, Packet):
        return False
    payload = packet.payload
    if isinstance(payload, Udp) and isinstance(payload.data, Vxlan):
        return is_background(payload.data.frame)
    if isinstance(payload, Raw):
        return packet.version == 4 and payload.number == IGMP
    if isinstance(payload, Ndp):
        return packet.src.is_unspecified or (payload.type == 136 and packet.dst.is_multicast)
    return isinstance(payload, Icmp) and payload.version == 6 and payload.type in BACKGROUND_ICMP6
