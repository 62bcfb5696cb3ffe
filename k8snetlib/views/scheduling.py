"""Who gets a dozen connections: IPVS's schedulers side by side, by sending the packets."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..linux.draft import build
from ..linux.engine import after
from ..linux.events import Delivered, Trace
from ..linux.ipvs import SCHEDULERS, VirtualServer
from ..linux.ops_ipvs import IpvsRestore
from ..linux.state import Network
from ..value import replace
from .tables import Table

TEXT = {
    "heads": "scheduler|{count} connections from one client, in order|shares",
    "proxy": "the cluster has no IPVS: use cluster.with_proxy('ipvs')",
    "weights": "{given} weights for {real} endpoints of {key}",
    "caption": "Weights of the endpoints: {weights}. All connections stay open.",
}


def schedulers(
    cluster: Cluster, source: str, target: str, names: Sequence[str] = tuple(SCHEDULERS), *, count: int = 12, weights: Sequence[int] = ()
) -> Table:
    """Each scheduler's choices for ``count`` connections from ``source`` to ``target``, each begun before the others have ended.

    ``weights`` are of the target's endpoints, by address (kube-proxy gives every one 1). ModelError if the cluster's mode is not IPVS.
    """
    rows = []
    for name in names:
        got = turns(cluster, source, target, name, count=count, weights=weights)
        shares = ", ".join(f"{who} {got.count(who)}" for who in sorted(set(got)))
        rows.append((name, " ".join(got), shares))
    caption = TEXT["caption"].format(weights=", ".join(map(str, weights)) or "1")
    return Table(tuple(TEXT["heads"].format(count=count).split("|")), tuple(rows), caption, whole=frozenset({"scheduler", "shares"}))


def turns(cluster: Cluster, source: str, target: str, scheduler: str = "rr", *, count: int = 12, weights: Sequence[int] = ()) -> list[str]:
    """The namespaces that get ``count`` connections, in order."""
    network, found = _network(cluster, target, scheduler, weights), []
    for number in range(count):
        told = cluster.trace(source, target, network=network, sport=40000 + number)
        found.append(told.end.netns if isinstance(told.end, Delivered) else "–")
        network = _established(cluster, source, target, after(network, told), told)
    return found


def _established(cluster: Cluster, source: str, target: str, network: Network, first: Trace) -> Network:
    """The rest of the handshake, since some schedulers count established connections alone."""
    answer = first.reply
    if answer is None or not answer.delivered:
        return network
    network = after(network, answer)
    return after(network, cluster.trace(source, target, network=network, sport=first.sent.sport, flags="A"))


def _network(cluster: Cluster, target: str, scheduler: str, weights: Sequence[int]) -> Network:
    found = cluster.find(target)
    ops = list(cluster.ops())
    if not any(isinstance(op, IpvsRestore) for op in ops):
        raise ModelError(TEXT["proxy"])

    def changed(server: VirtualServer) -> VirtualServer:
        if server.key.address not in found.addresses or server.key.port != found.port:
            return server
        real = sorted(server.real, key=lambda each: int(each.address))
        if weights and len(weights) != len(real):
            raise ModelError(TEXT["weights"].format(given=len(weights), real=len(real), key=server.key))
        weighted = {each: replace(each, weight=weight) for each, weight in zip(real, weights, strict=False)}
        return replace(server, scheduler=scheduler, real=tuple(weighted.get(each, each) for each in server.real))

    return build([replace(op, servers=tuple(map(changed, op.servers))) if isinstance(op, IpvsRestore) else op for op in ops])
