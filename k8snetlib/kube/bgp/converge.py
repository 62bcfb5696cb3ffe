"""The converged state of BGP: everybody's table, how it came about, the kernel routes that follow, and what a change does to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from ...errors import ModelError, UnsupportedError
from ...linux.packet import IPAddress
from ...linux.state import IPNetwork, Route
from ...value import replace, value
from .decision import Resolved, Vantage
from .engine import Engine, Paths, index
from .values import Path, Session, Topology, Update, frozen

TUNNELS = ("Never", "CrossSubnet", "Always")  # ipipMode of Calico's IPPool
PROTO = "bird"


@value
class RibEntry:
    """What a speaker knows of one prefix: all paths, the best first."""

    prefix: IPNetwork
    paths: Paths

    @property
    def best(self) -> Path:
        return self.paths[0]


@value
class Converged:
    """The state in which nobody has anything more to say. ``rounds`` are the updates of the last change, in order.

    ``own`` are the prefixes that each speaker originates; ``gone`` the speakers that are down, ``cut`` the pairs whose session is.
    After a session's end the first round (number 0) is what its ends forget by themselves.
    """

    topology: Topology
    own: Mapping[str, tuple[IPNetwork, ...]]
    prefixes: tuple[IPNetwork, ...]
    rounds: tuple[tuple[Update, ...], ...] = ()
    gone: frozenset[str] = frozenset()
    cut: frozenset[frozenset[str]] = frozenset()
    tables: tuple[list[Paths], ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        counts = f"{len(self.topology.speakers)} speakers, {len(self.prefixes)} prefixes, {len(self.rounds)} rounds"
        return f"Converged({counts}{', down: ' + ', '.join(sorted(self.gone)) if self.gone else ''})"

    # ── what there is ──

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that are established."""
        return tuple(s for s in self.topology.sessions if self.is_up(s)) if self.gone or self.cut else self.topology.sessions

    def is_up(self, session: Session) -> bool:
        ends = frozenset((session.a, session.b))
        return not ends & self.gone and ends not in self.cut

    @property
    def messages(self) -> int:
        """How many times a peer was told something about a prefix in the last change."""
        return sum(len(update.to) for updates in self.rounds for update in updates if update.action != "lost")

    def rib(self, name: str) -> tuple[RibEntry, ...]:
        """A speaker's table, in the order of the prefixes. ModelError when there is no such speaker."""
        self.topology.speaker(name)
        table = self.tables[index(self.topology).number[name]]
        return tuple(RibEntry(prefix, paths) for prefix, paths in zip(self.prefixes, table, strict=True) if paths)

    def paths(self, name: str, prefix: IPNetwork) -> Paths:
        """A speaker's paths to one prefix, the best first; none where it knows of none."""
        self.topology.speaker(name)
        return self.tables[index(self.topology).number[name]][self.prefixes.index(prefix)] if prefix in self.prefixes else ()

    def _vantage(self, name: str) -> Vantage:
        self.topology.speaker(name)
        found = index(self.topology)
        return found.vantages[found.number[name]]

    def resolved(self, name: str, path: Path) -> Resolved | None:
        """Where a path's next hop is for a speaker; None for a prefix of its own, and where it has no route to it."""
        return self._vantage(name).resolve(path.next_hop) if path.next_hop else None

    def routes(self, name: str, tunnel: str = "Never", device: str = "tunl0") -> tuple[Route, ...]:
        """The routes that a speaker's BIRD puts into its kernel: ``blackhole`` for its own prefixes, and one for each best path;
        ``unreachable`` where nothing leads to the next hop.

        A next hop on the link is the gateway; one beyond it is reached by the gateway of the speaker's own route to it ("recursive").
        ``tunnel`` is the ipipMode of Calico's pool: "Always" or, for next hops beyond the link, "CrossSubnet" send by ``device`` to the
        next hop itself, onlink (``krt_tunnel``; from Calico v3.33 on Felix writes these routes by default, and BIRD only those without a
        tunnel). A speaker that is down has no BIRD to say anything: none.

        UnsupportedError for a tunnel in IPv6, and where several next hops tie (``merge paths``: one route with several gateways).
        """
        if tunnel not in TUNNELS:
            raise ModelError(f"a tunnel is {', '.join(TUNNELS)}, not {tunnel!r}")
        if tunnel != "Never" and self.topology.speaker(name).version == 6:
            raise UnsupportedError("IPIP carries IPv4 only: there is no tunnel for IPv6 routes")
        vantage = self._vantage(name)
        return tuple(self._route(vantage, entry, tunnel, device) for entry in self.rib(name))

    def _route(self, vantage: Vantage, entry: RibEntry, tunnel: str, device: str) -> Route:
        path = entry.best
        if not path.sender:
            return Route(entry.prefix, proto=PROTO, type="blackhole")
        if vantage.resolve(path.next_hop) is None:
            return Route(entry.prefix, proto=PROTO, type="unreachable")
        tied = [path] + [other for other in entry.paths[1:] if vantage.cost(other) == vantage.cost(path)]
        ways = {self._way(vantage, other, tunnel, device) for other in tied}
        if len(ways) > 1:
            raise UnsupportedError(f"{entry.prefix} is reached by {len(ways)} gateways alike: a route with several is not modelled")
        return Route(entry.prefix, *ways.pop(), proto=PROTO, onlink=tunnel_used(vantage, path, tunnel))

    @staticmethod
    def _way(vantage: Vantage, path: Path, tunnel: str, device: str) -> tuple[str, IPAddress]:
        there = vantage.resolve(path.next_hop)
        return (device, path.next_hop) if tunnel_used(vantage, path, tunnel) else (there.dev, there.gateway or path.next_hop)

    # ── what changes ──

    def leave(self, name: str) -> Converged:
        """A speaker stops, and its sessions with it: what the others forget, then what they tell each other until nothing changes.

        At once after a Cease message (RFC 4486); after a crash only when the hold time is over (BIRD: 240 s), and with graceful restart
        (RFC 4724, which Calico switches on, 120 s) the others keep its routes for that time. ModelError when it is not there.
        """
        if self.topology.speaker(name).name in self.gone:
            raise ModelError(f"{name} is down already")
        peers = self._peers(name)
        engine = self._engine(gone=self.gone | {name})
        engine.lose(name, peers)
        engine.clear(name)
        return self._after(engine, gone=self.gone | {name})

    def join(self, name: str) -> Converged:
        """A speaker that is down starts: it and its peers tell each other what they have. ModelError when it is up."""
        if self.topology.speaker(name).name not in self.gone:
            raise ModelError(f"{name} is up already")
        made = replace(self, gone=self.gone - {name})
        engine = made._engine()
        engine.originate(name, self.own.get(name, ()))
        for peer in made._peers(name):
            engine.refresh(peer, name)
        return made._after(engine)

    def disconnect(self, a: str, b: str) -> Converged:
        """One session goes down, both ends stay: a firewall in the way of TCP port 179. ModelError when it is not up."""
        self._check_session(a, b, up=True)
        cut = self.cut | {frozenset((a, b))}
        engine = self._engine(cut=cut)
        engine.lose(a, [b])
        engine.lose(b, [a])
        return self._after(engine, cut=cut)

    def connect(self, a: str, b: str) -> Converged:
        """A session that was down comes up. ModelError when it is up, or an end is down."""
        self._check_session(a, b, up=False)
        made = replace(self, cut=self.cut - {frozenset((a, b))})
        engine = made._engine()
        engine.refresh(a, b)
        engine.refresh(b, a)
        return made._after(engine)

    def _check_session(self, a: str, b: str, up: bool) -> None:
        found = [s for s in self.topology.sessions_of(a) if s.far(a)[0] == self.topology.speaker(b).name]
        if not found:
            raise ModelError(f"{a} and {b} are no peers")
        if self.is_up(found[0]) != up or {a, b} & self.gone:
            raise ModelError(f"the session between {a} and {b} is {'down' if up else 'up, or an end is down'}")

    def _peers(self, name: str) -> list[str]:
        """Those with whom a speaker has an established session."""
        peers = [peer for group in index(self.topology).groups[name] for peer in group.peers]
        return [peer for peer in peers if peer not in self.gone and frozenset((name, peer)) not in self.cut]

    def _engine(self, gone: frozenset[str] | None = None, cut: frozenset[frozenset[str]] | None = None) -> Engine:
        gone, cut = self.gone if gone is None else gone, self.cut if cut is None else cut
        missing: dict[str, set[str]] = {}
        for name in gone:
            for group in index(self.topology).groups[name]:
                for peer in group.peers:
                    missing.setdefault(peer, set()).add(name)
                    missing.setdefault(name, set()).add(peer)
        for a, b in map(sorted, cut):
            missing.setdefault(a, set()).add(b)
            missing.setdefault(b, set()).add(a)
        return Engine(self.topology, self.prefixes, self.tables, {name: frozenset(peers) for name, peers in missing.items()})

    def _after(self, engine: Engine, **changes) -> Converged:
        engine.run()
        return replace(self, tables=tuple(engine.tables), rounds=tuple(engine.rounds), **changes)


def tunnel_used(vantage: Vantage, path: Path, tunnel: str) -> bool:
    """Whether a route goes by the tunnel: always, never, or if its next hop is not on the link."""
    return tunnel == "Always" or (tunnel == "CrossSubnet" and vantage.resolve(path.next_hop).gateway is not None)


def converge(topology: Topology, prefixes: Mapping[str, Iterable[IPNetwork]], down: Iterable[str] = ()) -> Converged:
    """Let every speaker start at once with its own prefixes (name → prefixes), but those that are ``down``, and wait until all is quiet.

    ModelError for a name that is no speaker, a prefix of the other family, or tables that never come to rest.
    """
    own = {name: tuple(found) for name, found in prefixes.items()}
    for name, found in own.items():
        speaker = topology.speaker(name)
        for prefix in found:
            if prefix.version != speaker.version:
                raise ModelError(f"{name} speaks BGP for IPv{speaker.version} and cannot announce {prefix}")
    gone = frozenset(topology.speaker(name).name for name in down)
    every = tuple(dict.fromkeys(prefix for found in own.values() for prefix in found))
    empty = Converged(topology, frozen(own), every, gone=gone)
    engine = empty._engine()
    for name, found in own.items():
        if name not in gone:
            engine.originate(name, found)
    return empty._after(engine)


def blocks(prefixes: Sequence[IPNetwork], length: int = 26) -> tuple[IPNetwork, ...]:
    """The first block of Calico's IPAM in each range: /26 of an IPv4 range (/122 in IPv6), the unit that a node announces."""
    wanted = {4: length, 6: length + 96}
    return tuple(next(iter(p.subnets(new_prefix=wanted[p.version]))) if p.prefixlen < wanted[p.version] else p for p in prefixes)
