"""BIRD in the lab: the part of ``Lab`` that starts routing daemons in its namespaces, asks them, and waits until they agree."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from ..errors import LabError
from ..value import value
from .client import Request

START_LIMIT, STOP_LIMIT, ASK_LIMIT = 5.0, 5.0, 5.0  # seconds
QUIET, POLL = 0.3, 0.03
COUNTED = re.compile(r"(Import|Export) (updates|withdraws):|Routes:")

TEXT = {
    "restless": "BGP did not come to rest within {limit:g} s: {why}",
    "changing": "routes still change",
    "sessions": "{count} of {wanted} session ends are established (not yet: {missing})",
}


@value
class BgpSession:
    """One end of a BGP session as BIRD tells it: in which namespace, the protocol's name, its state, the neighbour's address, counters."""

    netns: str
    protocol: str
    state: str
    neighbor: str
    counters: tuple[str, ...] = ()

    @property
    def established(self) -> bool:
        return self.state == "Established"


def sessions_in(netns: str, text: str) -> tuple[BgpSession, ...]:
    """The BGP sessions in the answer to ``show protocols all``."""
    found = []
    for part in re.split(r"\n(?=\S)", text):
        if re.match(r"\S+ +BGP ", part):
            state, neighbor = (re.search(rf"{word}: +(\S+)", part) for word in ("BGP state", "Neighbor address"))
            counters = tuple(line.strip() for line in part.splitlines() if COUNTED.search(line))
            found.append(BgpSession(netns, part.split()[0], state[1] if state else "", neighbor[1] if neighbor else "", counters))
    return tuple(found)


class Birds:
    """What ``Lab`` can do with BIRD 2, where ``probe().has("bird")``. Each method raises LabError when BIRD or the kernel refuses."""

    _birds: list[str]

    def bird(self, netns: str, conf: str) -> None:
        """Start BIRD in a namespace, with a configuration as text. LabError with BIRD's own words where it does not like it."""
        self._ask("bird_start", f"bird in {netns}", START_LIMIT * 2 + 10, netns=netns, conf=conf.encode(), limit=START_LIMIT)
        if netns not in self._birds:  # one that died is there still
            self._birds.append(netns)

    def stop_bird(self, netns: str, *, kill: bool = False) -> None:
        """Stop BIRD: it tells its peers (Cease); with ``kill`` it dies without a word, and only its closed connections tell.

        The routes that it has put into the kernel stay where its configuration says ``persist``.
        """
        self._ask("bird_stop", f"bird in {netns}", STOP_LIMIT + 10, netns=netns, limit=STOP_LIMIT, kill=kill)
        self._birds.remove(netns)

    def birdc(self, netns: str, command: str) -> str:
        """What ``birdc`` answers to a command, such as ``show route all``."""
        return self._ask("bird_ask", f"birdc {command}", ASK_LIMIT + 10, netns=netns, commands=[command], limit=ASK_LIMIT)[0]

    def bgp_sessions(self) -> tuple[BgpSession, ...]:
        """Every end of a session that a running BIRD is configured with."""
        asked: list[Request] = [
            ("bird_ask", {"netns": netns, "commands": ["show protocols all"], "limit": ASK_LIMIT}) for netns in self._birds
        ]
        answers = self._client.ask(asked, ASK_LIMIT * max(1, len(asked)) + 10) if asked else []
        return tuple(one for netns, answer in zip(self._birds, answers, strict=True) for one in sessions_in(netns, answer[0]))

    def bgp_settle(self, *, limit: float = 20.0, quiet: float = QUIET, down: Iterable[tuple[str, str]] = ()) -> tuple[BgpSession, ...]:
        """Wait until every session between running BIRDs is established and no route has changed for ``quiet`` seconds; the sessions.

        A neighbour is expected if its address belongs to a namespace with a BIRD. ``down`` names pairs of namespaces between which no
        session can come up. LabError when it is not so within ``limit`` seconds.
        """
        homes = {str(address.ip): netns for netns in self._birds for _, address in self.state(netns).addresses()}
        cut = {frozenset(pair) for pair in down}
        deadline, seen, since = time.monotonic() + limit, None, 0.0
        while True:
            found, now = self.bgp_sessions(), time.monotonic()
            wanted = [s for s in found if s.neighbor in homes and frozenset((s.netns, homes[s.neighbor])) not in cut]
            missing = [s for s in wanted if not s.established]
            stray = [s for s in found if s.established and s not in wanted]
            if found != seen:
                seen, since = found, now
            if not missing and not stray and now - since >= quiet:
                return found
            if now > deadline:
                raise LabError(TEXT["restless"].format(limit=limit, why=_why(wanted, missing)))
            time.sleep(POLL)


def _why(wanted: list[BgpSession], missing: list[BgpSession]) -> str:
    if not missing:
        return TEXT["changing"]
    names = ", ".join(f"{s.protocol} in {s.netns} is {s.state}" for s in missing[:3])
    return TEXT["sessions"].format(count=len(wanted) - len(missing), wanted=len(wanted), missing=names)
