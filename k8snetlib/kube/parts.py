"""The cluster's network in parts: each node, each Pod's sandbox, and what lies below the nodes is built when a packet first gets there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ..linux.draft import build
from ..linux.ops import AddrAdd, LinkAdd, LinkSet, Listen, NeighAdd, NetnsAdd, Op, RouteAdd, RouteDel
from ..linux.packet import IPAddress
from ..linux.state import NetNS, Network, link_local
from .cni import CNIS
from .cni.sandbox import UNDERLAY
from .outside import CLIENT
from .sandboxes import answered

if TYPE_CHECKING:
    from .cluster import Cluster

BELOW = frozenset([UNDERLAY, CLIENT])
_QUIET = (NetnsAdd, RouteAdd, RouteDel, NeighAdd, Listen)  # no address of the namespace's own comes of these


class Parts:
    """What has been built of a cluster, and the ops for the rest. Networks that follow from each other share it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.hosts = {host.name: host for host in cluster.hosts}
        self.host_of = {sandbox.netns: sandbox.host for sandbox in cluster.sandboxes.values()}
        self.ops: dict[str, defaultdict[str, list[Op]]] = {}  # node → namespace → the ops with an effect there
        self.hints: dict[str, Collection[IPAddress] | None] = {}
        self.built: dict[str, Mapping[str, NetNS]] = {}

    def network(self) -> Network:
        """The network of which nothing is built yet: node after node with its sandboxes, then what is below them."""
        members: dict[str, str] = {}
        for host in self.hosts:
            members[host] = host
            for sandbox in self.cluster.sandboxes_on(host):
                members[sandbox.netns] = sandbox.netns
        below = (UNDERLAY, CLIENT) if self.cluster.outside else (UNDERLAY,)
        return Network({}, members | dict.fromkeys(below, UNDERLAY), self.build, self.hint)

    def build(self, part: str) -> Mapping[str, NetNS]:
        """The namespaces of a part, which has the name of its first."""
        if part not in self.built:
            self.built[part] = self._below() if part == UNDERLAY else build(self._ops(part), only=frozenset([part]))
            self.ops.get(self.host_of.get(part, part), {}).pop(part, None)
        return self.built[part]

    def _ops(self, name: str) -> Sequence[Op]:
        """The ops that have an effect in a node's or a sandbox's namespace."""
        host = self.host_of.get(name, name)
        if host not in self.ops:
            found = self.ops[host] = defaultdict(list)
            for op in self.cluster.node_ops(host):
                found[op.netns].append(op)
                if type(op) is LinkAdd and op.peer is not None:
                    found[op.peer[0]].append(op)
        return self.ops[host].get(name, ())

    def _below(self) -> Mapping[str, NetNS]:
        cluster, ports = self.cluster, self.cluster.ports
        more = CNIS[cluster.cni].uplinks
        uplinks = (op for h in cluster.hosts for op in (*cluster.uplink_ops(h), *more(h, ports[h.name][1])))
        own = cluster.underlay_ops()
        ways = [isinstance(op, RouteAdd) and op.netns == UNDERLAY for op in own]  # by a node, whose cable has to be there first
        first, last = ([op for op, is_way in zip(own, ways, strict=True) if is_way is late] for late in (False, True))
        return build((*first, *uplinks, *last, *cluster.fabric_ops()), only=BELOW)

    def hint(self, name: str) -> Collection[IPAddress] | None:
        """The addresses for which a part that is not built yet will answer; None if that is not known without building it."""
        if name not in self.hints:
            if name in self.hosts:
                led = [ip for ip, leader in self.cluster.leaders.items() if leader == name]
                self.hints[name] = answered(self.hosts[name], CNIS[self.cluster.cni]).union(led)
            else:
                self.hints[name] = _answers(self._ops(name), name) if name in self.host_of else None
        return self.hints[name]


def _answers(ops: Sequence[Op], netns: str) -> Collection[IPAddress] | None:
    """The addresses of a namespace with one device, which is up; None for any other."""
    found: list[IPAddress] = []
    links, up = [], False
    for op in ops:
        kind = type(op)
        if kind is AddrAdd:
            found.append(op.address.ip)
        elif kind is LinkAdd:
            links.append(op)
        elif kind is LinkSet:
            up = up or op.up is True
        elif kind not in _QUIET:
            return None
    if len(links) != 1 or not up:
        return None
    mac = links[0].address if links[0].netns == netns else links[0].peer_address
    return [*found, link_local(mac).ip]
