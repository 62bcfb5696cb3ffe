"""Who peers with whom: the three shapes that Calico's documentation describes.

* ``full_mesh``: every node with every other, Calico's default (AS 64512, "node-to-node mesh"); n (n - 1) / 2 sessions;
* ``reflectors``: nodes peer with a few route reflectors only, and those with each other (RFC 4456); Calico's BGPPeer with selectors;
* ``top_of_rack``: every node peers with the router of its segment, and the routers with each other ("Calico over IP fabrics").

Each takes hosts as network plug-ins know them, and serves one address family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import combinations
from typing import TYPE_CHECKING

from ...errors import ModelError
from ...linux.addresses import ip_network
from ...linux.packet import IPAddress
from ...linux.state import IPInterface, Route, link_local
from ...value import value
from .values import Session, Speaker, Topology, frozen, router_id_of

if TYPE_CHECKING:
    from ..cni.sandbox import Host

ASN = 64512  # Calico's default, the first of the private ones (RFC 6996)
CLUSTER_ID = "244.0.0.1"  # as in Calico's documentation of route reflectors
ROUTER_ASN = 65101  # top of rack: routers count from here, nodes from ASN + 1
LARGE_ASN = 4_200_000_001  # where there are more nodes than two-byte private numbers


@value
class Router:
    """A router between segments: its interfaces with their addresses, of any family. Its own routes: to its segments, and ``routes``."""

    name: str
    legs: tuple[tuple[str, IPInterface], ...]
    routes: tuple[Route, ...] = ()

    def leg_in(self, network) -> IPAddress | None:
        """Its address in that network, if it has one."""
        return next((leg.ip for _, leg in self.legs if leg.network == network), None)

    def link_local(self, leg: IPAddress) -> IPAddress | None:
        """The link-local address of the interface that has this address, if it is among ``legs``."""
        dev = next((dev for dev, each in self.legs if each.ip == leg), None)
        return next((each.ip for other, each in self.legs if other == dev and each.ip.is_link_local), None)


def underlay_router(links: Mapping[str, Sequence[IPInterface]], name: str = "underlay") -> Router:
    """The one router of the course's underlay; ``links`` as ``cni.sandbox.segments`` gives them: interface → its addresses."""
    from ..cni.sandbox import mac_for

    legs = [(dev, address) for dev, addresses in links.items() for address in addresses]
    speaks_6 = {dev: addresses for dev, addresses in links.items() if any(address.version == 6 for address in addresses)}
    legs += [(dev, link_local(mac_for(addresses[0].ip, "52:54:00"))) for dev, addresses in speaks_6.items()]
    return Router(name, tuple(legs))


def full_mesh(hosts: Iterable[Host], version: int = 4, asn: int = ASN) -> Topology:
    """Every node a peer of every other by iBGP."""
    speakers = {host.name: _node(host, version, asn) for host in hosts}
    sessions = [Session(a.name, b.name, a.address, b.address) for a, b in combinations(speakers.values(), 2)]
    return Topology(frozen(speakers), tuple(sessions))


def reflectors(
    hosts: Iterable[Host], names: Sequence[str], version: int = 4, asn: int = ASN, cluster_id: str | Mapping[str, str] = CLUSTER_ID
) -> Topology:
    """Nodes ``names`` reflect: the others peer with them alone. ``cluster_id``: one for all of them, or one each.

    ModelError when a reflector is not a host.
    """
    ids = {name: cluster_id if isinstance(cluster_id, str) else cluster_id[name] for name in names}
    speakers = {host.name: _node(host, version, asn, ids.get(host.name, "")) for host in hosts}
    topology = Topology(frozen(speakers), ())
    chosen = [topology.speaker(name) for name in ids]
    sessions = [Session(a.name, b.name, a.address, b.address, label="Node") for a, b in combinations(chosen, 2)]
    clients = [speaker for speaker in speakers.values() if speaker.name not in ids]
    sessions += [Session(c.name, r.name, c.address, r.address, client=c.name, label="Node") for c in clients for r in chosen]
    return Topology(topology.speakers, tuple(sessions))


def top_of_rack(
    hosts: Iterable[Host], routers: Sequence[Router], version: int = 4, mode: str = "ebgp", asns: Mapping[str, int] | None = None
) -> Topology:
    """Every node peers with the router of its segment, and routers that share a segment with each other.

    ``mode`` "ebgp": an AS for each node and each router; "ibgp": an AS for each router, in which it reflects to its nodes.
    ``asns`` sets the AS of speakers by name. Nodes that share one behind different eBGP routers refuse each other's paths, by the
    rule against loops. ModelError when a host has no router in its segment.
    """
    if mode not in ("ebgp", "ibgp"):
        raise ModelError(f'top_of_rack knows the modes "ebgp" and "ibgp", not {mode!r}')
    hosts, asns = list(hosts), dict(asns or {})
    first = ASN + 1 if len(hosts) < ROUTER_ASN - ASN - 1 else LARGE_ASN
    speakers: dict[str, Speaker] = {}
    for number, router in enumerate(routers):
        asn = asns.get(router.name, ROUTER_ASN + number if mode == "ebgp" else ASN + 1 + number)
        speakers[router.name] = _router(router, version, asn, mode == "ibgp")
    sessions = [_between(speakers, a, b, leg) for a, b in combinations(routers, 2) for leg in _shared(a, b, version)[:1]]
    for number, host in enumerate(hosts):
        network = _interface(host, version).network
        router = next((router for router in routers if router.leg_in(network)), None)
        if router is None:
            raise ModelError(f"{host.name} has no router in {network}")
        asn = first + number if mode == "ebgp" else speakers[router.name].asn
        node = speakers[host.name] = _node(host, version, asns.get(host.name, asn))
        internal = node.asn == speakers[router.name].asn
        client = host.name if internal and speakers[router.name].cluster_id else ""
        leg = router.leg_in(network)
        near = router.link_local(leg) if version == 6 and not internal else None
        given = ((router.name, near),) if near is not None else ()
        sessions.append(Session(host.name, router.name, node.address, leg, internal, client, "Node", (router.name,), given))
    return Topology(frozen(speakers), tuple(sessions))


def _between(speakers: Mapping[str, Speaker], a: Router, b: Router, leg: tuple[IPAddress, IPAddress]) -> Session:
    return Session(a.name, b.name, *leg, speakers[a.name].asn == speakers[b.name].asn, label="Node", direct=(a.name, b.name))


def _shared(a: Router, b: Router, version: int) -> list[tuple[IPAddress, IPAddress]]:
    """The addresses of both ends in each network that both routers have."""
    return [(leg.ip, far) for _, leg in a.legs if leg.version == version and (far := b.leg_in(leg.network)) is not None]


def _interface(host: Host, version: int) -> IPInterface:
    found = next((address for address in host.addresses if address.version == version), None)
    if found is None:
        raise ModelError(f"{host.name} has no IPv{version} address")
    return found


def _node(host: Host, version: int, asn: int, cluster_id: str = "") -> Speaker:
    own = _interface(host, version)
    addresses = {address.version: address.ip for address in host.addresses}
    gateway = next((gateway for gateway in host.gateways if gateway.version == version), None)
    underlay = [Route(own.network, "eth0", proto="kernel", scope="link" if version == 4 else "global")]
    underlay += [Route(ip_network("0.0.0.0/0" if version == 4 else "::/0"), "eth0", gateway)] if gateway else []
    return Speaker(host.name, asn, own.ip, router_id_of(host.name, addresses), cluster_id, tuple(underlay))


def _router(router: Router, version: int, asn: int, reflects: bool) -> Speaker:
    legs = [(dev, leg) for dev, leg in router.legs if leg.version == version and not leg.ip.is_link_local]
    if not legs:
        raise ModelError(f"the router {router.name} has no IPv{version} address")
    own: IPv4Address = router_id_of(router.name, {leg.version: leg.ip for _, leg in reversed(router.legs)})
    underlay = tuple(Route(leg.network, dev, proto="kernel", scope="link" if version == 4 else "global") for dev, leg in legs)
    more = tuple(route for route in router.routes if route.dst.version == version)
    return Speaker(router.name, asn, legs[0][1].ip, own, str(own) if reflects else "", underlay + more)
