"""What BGP speaks of: speakers, sessions, paths and update messages, as frozen values (RFC 4271, RFC 4456)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import field
from ipaddress import IPv4Address
from types import MappingProxyType

from ...errors import ModelError
from ...linux.packet import IPAddress
from ...linux.state import IPNetwork, Route
from ...value import value

ANNOUNCE, WITHDRAW, LOST = "announce", "withdraw", "lost"
LOCAL_PREF = 100  # what a speaker assumes of a path that comes without one


@value
class Speaker:
    """A router that speaks BGP for one address family: a node's BIRD, or a router between nodes.

    ``underlay`` are the routes that it has without BGP, by which next hops are resolved. ``cluster_id`` makes it a route reflector.
    """

    name: str
    asn: int
    address: IPAddress
    router_id: IPv4Address
    cluster_id: str = ""
    underlay: tuple[Route, ...] = ()

    @property
    def version(self) -> int:
        return self.address.version

    def __str__(self) -> str:
        return f"{self.name} (AS {self.asn}, {self.address})"


@value
class Session:
    """A BGP session between two speakers, each with the address that it uses for it.

    ``internal`` sessions (iBGP) are those within one AS. ``client`` names the end that the other one serves as a route reflector.
    ``label`` is how Calico names the protocol on a node: Mesh, Node (a peer of this node) or Global (a peer of every node). ``direct`` are
    the ends that count on the peer's being on their link, as routers do; a Calico node does not (its template says ``multihop``).
    """

    a: str
    b: str
    a_address: IPAddress
    b_address: IPAddress
    internal: bool = True
    client: str = ""
    label: str = "Mesh"
    direct: tuple[str, ...] = ()
    link_local: tuple[tuple[str, IPAddress], ...] = ()  # (end, the address that it gives as the next hop in place of its own), in IPv6

    def far(self, name: str) -> tuple[str, IPAddress]:
        """The other end as seen from ``name``: its name and its address."""
        return (self.b, self.b_address) if name == self.a else (self.a, self.a_address)

    def near(self, name: str) -> IPAddress:
        """The address that ``name`` itself uses."""
        return self.a_address if name == self.a else self.b_address

    def protocol(self, name: str) -> str:
        """What BIRD on ``name`` calls the session, as Calico does: ``Mesh_192_168_50_12``."""
        return f"{self.label}_{str(self.far(name)[1]).replace('.', '_').replace(':', '_')}"

    def __str__(self) -> str:
        reflector = f", {self.client} is the client" if self.client else ""
        return f"{self.a} – {self.b} ({'iBGP' if self.internal else 'eBGP'}{reflector})"


@value
class Topology:
    """Who speaks with whom, for one address family."""

    speakers: Mapping[str, Speaker]
    sessions: tuple[Session, ...]
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)  # indexes derived from the rest

    def __repr__(self) -> str:
        return f"Topology({len(self.speakers)} speakers, {len(self.sessions)} sessions)"

    def speaker(self, name: str) -> Speaker:
        """The speaker of that name. ModelError when there is none."""
        try:
            return self.speakers[name]
        except KeyError:
            raise ModelError(f"{name!r} does not speak BGP here (these do: {', '.join(self.speakers)})") from None

    def sessions_of(self, name: str) -> tuple[Session, ...]:
        """One speaker's sessions, in the order of the topology. ModelError when there is no such speaker."""
        self.speaker(name)
        if "sessions" not in self.cache:
            found: dict[str, list[Session]] = {speaker: [] for speaker in self.speakers}
            for session in self.sessions:
                found[session.a].append(session)
                found[session.b].append(session)
            self.cache["sessions"] = found
        return tuple(self.cache["sessions"][name])


@value
class Path:
    """One way to a prefix, as a speaker holds it: the attributes that came with it, and from whom.

    ``sender`` "" is a prefix of the speaker's own. ``peer_id`` and ``peer_address`` are the sender's router id and address, which
    break ties; ``internal`` says that it came by iBGP.
    """

    prefix: IPNetwork
    next_hop: IPAddress | None = None
    as_path: tuple[int, ...] = ()
    local_pref: int = LOCAL_PREF
    originator_id: IPv4Address | None = None
    cluster_list: tuple[str, ...] = ()
    sender: str = ""
    internal: bool = False
    peer_id: IPv4Address | None = None
    peer_address: IPAddress | None = None

    def __str__(self) -> str:
        if not self.sender:
            return f"{self.prefix} own"
        parts = [f"{self.prefix} via {self.next_hop} from {self.sender}", f"AS path {' '.join(map(str, self.as_path)) or '(empty)'}"]
        parts += [f"local pref {self.local_pref}"] if self.internal else []
        parts += [f"originator {self.originator_id}"] if self.originator_id else []
        parts += [f"cluster list {' '.join(self.cluster_list)}"] if self.cluster_list else []
        return ", ".join(parts)


@value
class Update:
    """What one speaker says to some of its peers about one prefix in one round; the same words to each, so it is kept once.

    ``action`` is announce, withdraw, or lost: no message, but what a peer forgets by itself when the session goes down. On the wire one
    UPDATE message carries all prefixes that have the same attributes.
    """

    round: int
    sender: str
    peers: tuple[str, ...]
    prefix: IPNetwork
    path: Path | None = None
    action: str = ANNOUNCE
    but: frozenset[str] = frozenset()  # of the peers, those who are not told

    @property
    def to(self) -> tuple[str, ...]:
        """The names of those to whom it goes."""
        return tuple(peer for peer in self.peers if peer not in self.but) if self.but else self.peers

    def each(self) -> Iterator[tuple[int, str, str, str, str, str]]:
        """A row per peer: round, from, to, action, prefix, and the path in words ("" where there is none)."""
        words = str(self.path).split(" from ")[0].partition(" ")[2] + _attributes(self.path) if self.path else ""
        for peer in self.to:
            yield self.round, self.sender, peer, self.action, str(self.prefix), words

    def __str__(self) -> str:
        to = self.to
        shown = ", ".join(to) if len(to) <= 4 else f"{to[0]}, {to[1]} and {len(to) - 2} more"
        words = f" {self.path.next_hop}{_attributes(self.path)}" if self.path else ""
        return f"{self.round}: {self.sender} → {shown}: {self.action} {self.prefix}{' next hop' + words if words else ''}"


def _attributes(path: Path) -> str:
    parts = [f"AS path {' '.join(map(str, path.as_path))}"] if path.as_path else []
    parts += [f"originator {path.originator_id}"] if path.originator_id else []
    parts += [f"cluster list {' '.join(path.cluster_list)}"] if path.cluster_list else []
    return "".join(f", {part}" for part in parts)


def router_id_of(name: str, addresses: Mapping[int, IPAddress]) -> IPv4Address:
    """A node's router id: its IPv4 address; where it has none, four bytes hashed from its name (Calico's ``CALICO_ROUTER_ID=hash``).

    The first byte stays below 224, as BGP asks of an identifier that looks like a host's address.
    """
    if 4 in addresses:
        return IPv4Address(addresses[4])
    first, *rest = hashlib.sha256(name.encode()).digest()[:4]
    return IPv4Address(bytes([first - 32 if first > 223 else first, *rest]))


def frozen(mapping: dict) -> Mapping:
    return MappingProxyType(mapping)
