"""What ping prints of an echo request and what became of it (iputils)."""

from __future__ import annotations

from ..linux.events import Delivered, Trace
from ..linux.packet import Icmp, Packet

PING = {
    "answer": "{n} bytes from {dst}: icmp_seq=1 ttl={ttl}",
    "local": "ping: local error: message too long, mtu={mtu}",
    "local6": "ping: local error: message too long, mtu: {mtu}",
    "too-big": "From {src} icmp_seq=1 Frag needed and DF set (mtu = {mtu})",
    "unreachable": "From {src} icmp_seq=1 Destination Net Unreachable",
    "too-big6": "From {src} icmp_seq=1 Packet too big: mtu={mtu}",
    "unreachable6": "From {src} icmp_seq=1 Destination unreachable: No route",
    "lost": "1 packets transmitted, 0 received, 100% packet loss",
}


def printed(trace: Trace, payload: int) -> str:
    """What ping prints."""
    end, dst = trace.end, trace.sent.dst
    if trace.delivered:
        reply = trace.reply
        if reply is not None and reply.delivered:
            return PING["answer"].format(n=payload + 8, dst=dst, ttl=reply.end.packet.ttl)
        return PING["lost"]
    if end.netns == trace.start and end.reason == "PKT_TOO_BIG":
        key = "local6" if trace.sent.version == 6 else "local"
        return PING[key].format(mtu=trace.network[end.netns].interfaces["eth0"].mtu)
    error = next((e.packet for e in trace.all(Delivered) if e.journey and e.netns == trace.start and _is_icmp(e.packet)), None)
    if error is None:
        return PING["lost"]
    key = "too-big" if (error.payload.version, error.payload.type, error.payload.code) in ((4, 3, 4), (6, 2, 0)) else "unreachable"
    return PING[key + ("6" if error.version == 6 else "")].format(src=error.src, mtu=error.payload.mtu)


def _is_icmp(packet: object) -> bool:
    return isinstance(packet, Packet) and isinstance(packet.payload, Icmp)
