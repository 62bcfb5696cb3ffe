"""What a request's journey is made of: its connections, each the trace of a first packet and of its answer, and what came of the request."""

from __future__ import annotations

from ...linux.events import Answered, Delivered, Dropped, Trace
from ...value import value
from ..objects import Pod
from .backends import Upstream
from .entry import Entry
from .http import Request, Response
from .routing import Decision

NO_ANSWER = "no HTTP answer"


@value
class Connection:
    """One TCP connection: who opened it to whom, its first packet's way, the answer's, and the request that goes over it (None where it is
    passed on unread). ``secure``: it is TLS."""

    tail: str
    head: str
    there: Trace
    back: Trace | None = None
    request: Request | None = None
    secure: bool = False

    @property
    def works(self) -> bool:
        return self.there.delivered and self.back is not None and self.back.delivered

    @property
    def refused(self) -> bool:
        """Whether a reset or an ICMP error told the one who opened it that it fails; else that one waits."""
        return not self.there.delivered and _told(self.there)


@value
class Journey:
    """A request from end to end: by ``entry``, over ``connections``, answered with ``response`` (None: no HTTP answer comes), and ``why``
    if that is not a backend's. ``sees`` is whom the controller took for the client, ``certificate`` the Secret shown to it, ``upstream``
    where the controller's own connection went; ``balanced``: a load balancer ends the client's connection and opens the next."""

    request: Request
    entry: Entry
    connections: tuple[Connection, ...] = ()
    decision: Decision | None = None
    response: Response | None = None
    why: str = ""
    controller: Pod | None = None
    sees: str = ""
    certificate: str = ""
    upstream: Upstream | None = None
    pod: Pod | None = None
    balanced: bool = False

    def __repr__(self) -> str:
        way = " → ".join([self.connections[0].tail, *(each.head for each in self.connections)]) if self.connections else ""
        return f"<Journey {self.request}: {way}: {self.response or NO_ANSWER}>"

    @property
    def answered(self) -> bool:
        return self.response is not None

    @property
    def incoming(self) -> Connection:
        """The connection over which the controller, or without one the Pod, gets the request; the last one made where it does not come so
        far."""
        return self.connections[int(self.balanced and len(self.connections) > 1)]

    @property
    def onward(self) -> Connection | None:
        """The controller's own connection to a backend."""
        return next(iter(self.connections[1 + self.balanced :]), None)

    @property
    def refused(self) -> bool:
        """Whether the client is told at once that its connection fails. Neither answered, refused nor closed, it waits until it gives up."""
        return not self.answered and bool(self.connections) and self.connections[0].refused

    @property
    def closed(self) -> bool:
        """Whether a balancer has taken the client's connection and cannot make its own: it closes the client's, which has no answer."""
        return not self.answered and self.balanced and self.connections[0].works and not self.incoming.works

    @property
    def heard(self) -> bool:
        """Whether the controller could read what the client sent, or pass it on: else their handshake failed, or there was none."""
        return self.goes_on or self.decision is None or self.decision.response is not None

    @property
    def goes_on(self) -> bool:
        """Whether the controller has decided to send the request on to a backend."""
        return self.decision is not None and self.decision.sent is not None and self.decision.backend is not None


def _told(trace: Trace) -> bool:
    """Whether the kernel's answer to a packet that fails came back to the sender: an ICMP error, or a reset (for which the trace's sender,
    a packet without a socket, has no socket)."""
    answers = {event.answer for event in trace.events if type(event) is Answered and event.journey == 0}
    ends = [event for event in trace.events if event.journey in answers and event.netns == trace.start]
    return any(type(event) is Delivered or (type(event) is Dropped and event.reason == "NO_SOCKET") for event in ends)
