"""The kernel's measure in what it says by itself, where no sysctl of a namespace changes it. The model, which has no clock, has none.

Of one sender (struct inet_peer) a namespace counts, in IPv4, tokens for "unreachable": five at first, one more each second, and none once it
has sent this sender a redirect (ip_error and ip_rt_send_redirect in net/ipv4/route.c; net.ipv4.route.* belongs to the machine). A second
redirect waits 40 ms, a third 80 ms. In IPv6 six redirects about one destination, or to one sender, come in a row (inet_peer_xrlim_allow).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from k8snetlib.linux.events import Answered, Dropped, Received, Routed, Trace, Transmitted
from k8snetlib.linux.packet import Icmp, IPAddress, Packet, Redirect

UNREACHABLE, REDIRECTS, LOAD = 5, 6, 0.02  # the last in seconds: net.ipv4.route.redirect_load


class Silence:
    """What each namespace has said to whom so far."""

    def __init__(self) -> None:
        self.unreachable: Counter[tuple[str, IPAddress]] = Counter()
        self.redirects: Counter[tuple[str, IPAddress]] = Counter()

    def falls(self, told: Trace) -> bool:
        """Whether the kernel may be silent where the model is not. If it only needs a moment, that is waited for."""
        redirected = Counter(_redirected(told))  # a packet and the error about it may both be redirected, and count for one sender
        if any(self.unreachable[key] + more > UNREACHABLE for key, more in Counter(_refused(told)).items()):
            return True
        if any(self.redirects[key] + more > REDIRECTS for key, more in redirected.items()):
            return True
        most = max((self.redirects[key] for key in redirected), default=0)
        time.sleep(LOAD * 2**most * 1.5 if most else 0)
        return False

    def count(self, told: Trace) -> None:
        """Note what was said."""
        self.unreachable.update(_refused(told))
        for key in _redirected(told):
            self.redirects[key] += 1
            self.unreachable[key] = UNREACHABLE
        for key in _in_and_out(told):
            self.unreachable[key] = UNREACHABLE


def _refused(told: Trace) -> list[tuple[str, IPAddress]]:
    refused = (e for e in told.all(Dropped) if e.reason == "IP_INNOROUTES")
    return [(e.netns, e.packet.src) for e in refused if isinstance(e.packet, Packet) and e.packet.version == 4]


def _redirected(told: Trace) -> Iterable[tuple[str, IPAddress]]:
    said = {event.answer for event in told.all(Answered) if "redirect" in event.why}
    seen = set()
    for event in told.all(Transmitted):
        if event.journey in said and event.journey not in seen:
            seen.add(event.journey)
            packet = event.frame.payload
            if isinstance(packet.payload, Redirect):
                yield event.netns, packet.payload.dst
            if isinstance(packet.payload, (Icmp, Redirect)):
                yield event.netns, packet.dst


def _in_and_out(told: Trace) -> Iterable[tuple[str, IPAddress]]:
    """Senders of IPv4 packets that went out by the device that they came in by: the kernel counts a redirect to them, also where it then
    says none, because the packet was an ICMP error itself (ip_rt_send_redirect counts before icmp_send looks)."""
    came: dict[tuple[str, int], Received] = {}
    for event in told.events:
        if isinstance(event, Received):
            came[event.netns, event.journey] = event
        elif isinstance(event, Routed) and event.direction == "forward" and event.dst.version == 4:
            last = came.get((event.netns, event.journey))
            if last is not None and last.dev == event.route.dev and isinstance(last.frame.payload, Packet):
                yield event.netns, last.frame.payload.src
