"""The rounds of BGP: each round every speaker takes in what was said in the last one, decides, and says what has changed for it.

Built for a thousand speakers, which a full mesh joins by half a million sessions. A speaker's table is a list with, for each prefix, the
tuple of its paths, the best first. What a speaker tells a group of peers is one ``Path`` and one ``Update`` for all of them, and peers that
knew the same before and have the same routes know the same after: they share the new tuple.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...errors import ModelError
from ...linux.state import IPNetwork
from .decision import Group, Vantage, exported
from .values import ANNOUNCE, LOST, WITHDRAW, Path, Topology, Update

Paths = tuple[Path, ...]
LIMIT = 100  # rounds; far more than any of these topologies needs


class Index:
    """What a topology means for the rounds, made once for each topology: numbers, routes in common, groups of peers, who refuses what."""

    def __init__(self, topology: Topology) -> None:
        self.speakers = tuple(topology.speakers.values())
        self.number = {speaker.name: at for at, speaker in enumerate(self.speakers)}
        alike: dict[tuple, Vantage] = {}
        self.vantages = [alike.setdefault(speaker.underlay, Vantage(speaker.underlay)) for speaker in self.speakers]
        self.groups, self.clients = _groups(topology)
        self.by_asn: dict[int, set[str]] = {}
        self.by_id: dict[object, set[str]] = {}
        self.by_cluster: dict[str, set[str]] = {}
        for speaker in self.speakers:
            self.by_asn.setdefault(speaker.asn, set()).add(speaker.name)
            self.by_id.setdefault(speaker.router_id, set()).add(speaker.name)
            self.by_cluster.setdefault(speaker.cluster_id, set()).add(speaker.name)

    def refusers(self, path: Path) -> set[str]:
        """Who must not take a path: those whose AS is in its AS path (RFC 4271 section 9.1.2), and by iBGP the originator and those whose
        cluster id is in its cluster list (RFC 4456 section 8). BIRD looks at the latter only in what its own clients tell it."""
        found: set[str] = set()
        for asn in path.as_path:
            found |= self.by_asn.get(asn, set())
        if path.originator_id:
            found |= self.by_id.get(path.originator_id, set())
        for cluster in path.cluster_list:
            found |= {name for name in self.by_cluster.get(cluster, ()) if path.sender in self.clients.get(name, ())}
        return found


def index(topology: Topology) -> Index:
    if "index" not in topology.cache:
        topology.cache["index"] = Index(topology)
    return topology.cache["index"]


def _groups(topology: Topology) -> tuple[dict[str, tuple[Group, ...]], dict[str, set[str]]]:
    """Each speaker's peers in groups, and each reflector's clients."""
    found: dict[str, dict[tuple, tuple]] = {name: {} for name in topology.speakers}
    clients: dict[str, set[str]] = {}
    for s in topology.sessions:
        # an address is a number here: to hash the object takes far longer
        for name, other, address in ((s.a, s.b, s.a_address), (s.b, s.a, s.b_address)):
            known = found[name]
            key = (s.internal, s.client == other, int(address), name in s.direct)
            if key not in known:
                known[key] = (address, dict(s.link_local).get(name, address), [])
            known[key][2].append(other)
        if s.client:
            clients.setdefault(s.b if s.client == s.a else s.a, set()).add(s.client)
    made = {}
    for name, known in found.items():
        parts = [
            (internal, client, address, next_hop, direct, tuple(peers))
            for (internal, client, _, direct), (address, next_hop, peers) in known.items()
        ]
        made[name] = tuple(Group(*part, frozenset(part[-1])) for part in parts)
    return made, clients


class Engine:
    """The tables while they change. ``Converged`` makes one, lets something happen, runs it, and keeps what comes out."""

    def __init__(
        self, topology: Topology, prefixes: Sequence[IPNetwork], tables: Sequence[list[Paths]], missing: Mapping[str, frozenset[str]]
    ) -> None:
        """``missing``: for a speaker, the peers with which it has no session at present."""
        self.index, self.prefixes = index(topology), prefixes
        self.tables = [list(table) for table in tables] or [[()] * len(prefixes) for _ in self.index.speakers]
        self.groups = {name: tuple(g.without(gone) for g in self.index.groups[name]) for name, gone in missing.items()}
        self.groups = {**self.index.groups, **self.groups}
        speakers = self.index.speakers
        self.speaks = [bool(s.cluster_id) or any(not g.internal for g in self.index.groups[s.name]) for s in speakers]
        self.changes: dict[int, dict[int, Paths]] = {}  # speaker → prefix → its paths before the round
        self.pending: list[Update] = []
        self.rounds: list[tuple[Update, ...]] = []
        self.places = {prefix: at for at, prefix in enumerate(prefixes)}

    # ── what happens before the rounds ──

    def originate(self, name: str, own: Iterable[IPNetwork]) -> None:
        """A speaker begins, with its own prefixes."""
        at = self.index.number[name]
        for prefix in own:
            place = self.places[prefix]
            self._put(at, place, self._with(self.tables[at][place], "", Path(prefix), self.index.vantages[at]))

    def clear(self, name: str) -> None:
        """A speaker is gone, and with it its table."""
        self.tables[self.index.number[name]] = [()] * len(self.prefixes)

    def lose(self, sender: str, names: Iterable[str]) -> None:
        """The sessions of ``sender`` with each of ``names`` went down: they drop what it had told them, as one update for each prefix."""
        losers: dict[int, list[str]] = {}
        known: dict[int, Paths] = {}
        alive: list[Paths] = []  # so that an id stays that of one tuple
        for name in names:
            at = self.index.number[name]
            for place, paths in enumerate(self.tables[at]):
                kept = known.get(id(paths))
                if kept is None:
                    kept = known[id(paths)] = tuple(path for path in paths if path.sender != sender)
                    alive.append(paths)
                if len(kept) != len(paths):
                    self._put(at, place, kept)
                    losers.setdefault(place, []).append(name)
        if losers:
            lost = tuple(Update(0, sender, tuple(who), self.prefixes[place], action=LOST) for place, who in losers.items())
            self.rounds = [(*(self.rounds[0] if self.rounds else ()), *lost)]

    def refresh(self, name: str, other: str) -> None:
        """A session came up: ``name`` tells ``other`` its whole table."""
        at = self.index.number[name]
        group = next(group for group in self.groups[name] if other in group.members)
        for paths in self.tables[at]:
            best = _best(paths)
            path = self._exported(at, best, group)
            if path is not None and best.sender != other:
                self.pending.append(Update(1, name, (other,), path.prefix, path))

    def _put(self, at: int, place: int, paths: Paths) -> None:
        self.changes.setdefault(at, {}).setdefault(place, self.tables[at][place])
        self.tables[at][place] = paths

    # ── the rounds ──

    def run(self) -> None:
        """Round after round, until nobody has anything to say."""
        for number in range(1, LIMIT):
            updates = self.pending
            for at, changed in self.changes.items():
                updates += self._say(number, at, changed)
            self.pending, self.changes = [], {}
            if not updates:
                return
            self.rounds.append(tuple(updates))
            for update in updates:
                self._take(update)
        raise ModelError(f"BGP has not converged after {LIMIT} rounds")

    def _exported(self, at: int, best: Path | None, group: Group) -> Path | None:
        if best is None or (len(group.peers) == 1 and best.sender == group.peers[0]):
            return None
        speaker = self.index.speakers[at]
        return exported(speaker, best, group, best.sender in self.index.clients.get(speaker.name, ()))

    def _say(self, number: int, at: int, changed: Mapping[int, Paths]) -> Iterable[Update]:
        """What a speaker tells its peers about the prefixes whose best path is another than before."""
        table, name = self.tables[at], self.index.speakers[at].name
        for place, before in changed.items():
            old, new = _best(before), _best(table[place])
            if old is not new and old != new:
                for group in self.groups[name]:
                    was, now = self._exported(at, old, group), self._exported(at, new, group)
                    if was is not None or now is not None:
                        yield from _tell(number, name, group, self.prefixes[place], (old, was), (new, now))

    def _take(self, update: Update) -> None:
        """Everyone to whom it goes puts the path into the table in place of what the sender had said before."""
        number, tables, vantages, speaks = self.index.number, self.tables, self.index.vantages, self.speaks
        place, sender = self.places[update.prefix], update.sender
        refusers = self.index.refusers(update.path) if update.path else ()
        known: dict[tuple, tuple[Paths, Paths]] = {}
        for peer in update.to:
            at = number[peer]
            before = tables[at][place]
            refused = peer in refusers
            key = (id(before), id(vantages[at]), refused)
            if key not in known:  # ``before`` is kept beside the result, so that its id stays its own
                known[key] = (self._with(before, sender, None if refused else update.path, vantages[at]), before)
            after = known[key][0]
            if after is not before:
                if speaks[at]:
                    self.changes.setdefault(at, {}).setdefault(place, before)
                tables[at][place] = after

    @staticmethod
    def _with(before: Paths, sender: str, path: Path | None, vantage: Vantage) -> Paths:
        kept = [each for each in before if each.sender != sender]
        if path is None and len(kept) == len(before):
            return before
        return tuple(sorted([*kept, path] if path else kept, key=vantage.order))


def _best(paths: Paths) -> Path | None:
    """The first. BIRD speaks of it even if nothing leads to its next hop, which RFC 4271 section 9.1.2 would leave out."""
    return paths[0] if paths else None


def _tell(number: int, name: str, group: Group, prefix: IPNetwork, before: tuple, after: tuple) -> Iterable[Update]:
    """The messages for one group. Nobody is told a path that came from itself, so the senders of the old and the new path are apart."""
    (old, was), (new, now) = before, after
    apart = frozenset(path.sender for path in (old, new) if path is not None and path.sender in group.members)
    if now != was and len(apart) < len(group.peers):
        yield Update(number, name, group.peers, prefix, now, ANNOUNCE if now else WITHDRAW, apart)
    for peer in sorted(apart):
        had = None if old is not None and old.sender == peer else was
        has = None if new is not None and new.sender == peer else now
        if had != has:
            yield Update(number, name, (peer,), prefix, has, ANNOUNCE if has else WITHDRAW)
