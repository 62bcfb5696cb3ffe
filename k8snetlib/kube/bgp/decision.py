"""One speaker's decisions: which path is best, what it says to which peers, what it refuses, and where a next hop is.

The order is that of RFC 4271 section 9.1.2.2 with RFC 4456 section 9, in the form that BIRD gives it (proto/bgp/attrs.c, bgp_rte_better):
a resolvable next hop, the higher local preference, the shorter AS path, eBGP before iBGP, the nearer next hop, the lower originator or
router id, the shorter cluster list, the lower peer address. What nobody here sets does not decide: ORIGIN is always IGP, MED always absent.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...linux.packet import IPAddress
from ...linux.state import Route
from ...value import replace, value
from .values import LOCAL_PREF, Path, Speaker

CONNECTED, FAR, UNREACHABLE = 0, 1, 2  # the distance to a next hop: on a link, by a gateway (BIRD: unknown metric), nowhere


@value
class Resolved:
    """Where a next hop is, by the routes that a speaker has without BGP: the device, and the gateway if it is not on the link."""

    dev: str
    gateway: IPAddress | None = None


class Vantage:
    """What speakers with the same routes see alike: where each next hop is."""

    __slots__ = ("_found", "underlay")

    def __init__(self, underlay: Sequence[Route]) -> None:
        self.underlay = underlay
        self._found: dict[IPAddress, Resolved | None] = {}

    def resolve(self, next_hop: IPAddress) -> Resolved | None:
        """By the longest prefix, as everything is routed; a next hop behind a gateway is reached by that gateway ("recursive")."""
        if next_hop.version == 6 and next_hop.is_link_local:
            return Resolved(self.underlay[0].dev or "", None) if self.underlay else None
        if next_hop not in self._found:
            around = [route for route in self.underlay if next_hop in route.dst and route.type == "unicast"]
            best = max(around, key=lambda route: route.dst.prefixlen, default=None)
            self._found[next_hop] = Resolved(best.dev or "", best.via) if best else None
        return self._found[next_hop]

    def distance(self, next_hop: IPAddress) -> int:
        found = self.resolve(next_hop)
        return UNREACHABLE if found is None else FAR if found.gateway else CONNECTED

    def order(self, path: Path) -> tuple:
        """The sort key of a path: the least one is the best."""
        if path.next_hop is None:
            return (0,)
        identifier = path.originator_id or path.peer_id
        return (*self.cost(path), int(identifier or 0), len(path.cluster_list), int(path.peer_address or 0))

    def cost(self, path: Path) -> tuple:
        """The part of the order that has to do with the way; paths that tie in it may be used together (``merge paths``)."""
        distance = self.distance(path.next_hop) if path.next_hop else CONNECTED
        return (1, distance == UNREACHABLE, -path.local_pref, len(path.as_path), path.internal, distance)


@value
class Group:
    """Peers to whom a speaker says the same: all by iBGP or all by eBGP, all clients or none, from one address of its own."""

    internal: bool
    client: bool
    address: IPAddress
    next_hop: IPAddress  # what the speaker says of itself: that address, or a link-local one
    direct: bool  # the peers are on one link, and the sessions are configured so: single hop
    peers: tuple[str, ...]
    members: frozenset[str]

    def without(self, gone: frozenset[str]) -> Group:
        """The group without those who are not there."""
        left = tuple(peer for peer in self.peers if peer not in gone)
        return Group(self.internal, self.client, self.address, self.next_hop, self.direct, left, self.members - gone)


def exported(speaker: Speaker, best: Path, group: Group, from_client: bool) -> Path | None:
    """What a speaker tells a group of peers about its best path, as those will hold it; None where it says nothing.

    By iBGP: its own, and what came by eBGP, with the next hop kept (RFC 4271 section 5.1.3, as BIRD does); what came by iBGP goes on only
    if it came from a client or goes to one (RFC 4456 section 6). By eBGP: everything, with its own AS put first and itself as the next hop;
    but where a router's peers are on one link, what one of them said goes to the others with the next hop kept, so that they need not go
    by way of the router (RFC 4271 section 5.1.3, and BIRD for sessions without ``multihop``).
    """
    origin = {"sender": speaker.name, "internal": group.internal, "peer_id": speaker.router_id, "peer_address": group.address}
    if not group.internal:
        next_hop = best.next_hop if group.direct and best.sender in group.members else group.next_hop
        return Path(best.prefix, next_hop, (speaker.asn, *best.as_path), LOCAL_PREF, **origin)
    if not best.sender:
        return Path(best.prefix, group.address, **origin)
    if not best.internal:
        return replace(best, **origin)
    if not (speaker.cluster_id and (from_client or group.client)):
        return None
    clusters = (speaker.cluster_id, *best.cluster_list)
    return replace(best, originator_id=best.originator_id or best.peer_id, cluster_list=clusters, **origin)
