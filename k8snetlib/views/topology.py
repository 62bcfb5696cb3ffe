"""What the namespaces of a network are, for drawing: Pods, hosts, the underlay below them. Read off the links, so any network will do."""

from __future__ import annotations

from collections.abc import Iterable

from ..kube.cni.sandbox import UNDERLAY
from ..kube.outside import CLIENT
from ..linux.state import NetNS, Network
from ..value import value

TUNNELS = ("vxlan", "ipip")  # kinds of device that put packets into packets
POD, HOST, FABRIC, PLAIN, OUTSIDE = "pod", "host", "underlay", "plain", "outside"


def role(network: Network, name: str) -> str:
    """Pod, host, underlay, outside or plain: a namespace that forwards or switches is a host, one that hangs on a host's veth a Pod."""
    if name in (UNDERLAY, CLIENT):
        return FABRIC if name == UNDERLAY else OUTSIDE
    key = ("role", name)
    if key not in network.cache:
        namespace = network[name]
        network.cache[key] = HOST if _is_host(namespace) else POD if _is_pod(network, namespace) else PLAIN
    return network.cache[key]


def _is_host(namespace: NetNS) -> bool:
    kinds = [i.kind for i in namespace.interfaces.values()]
    on_fabric = any(i.peer and i.peer[0] == UNDERLAY for i in namespace.interfaces.values())
    return on_fabric or "bridge" in kinds or any(kind in TUNNELS for kind in kinds) or kinds.count("veth") > 1


def _is_pod(network: Network, namespace: NetNS) -> bool:
    peers = [i.peer[0] for i in namespace.interfaces.values() if i.peer]
    return any(peer in network and peer != UNDERLAY and _is_host(network[peer]) for peer in peers)


@value
class Place:
    """A box of a drawing: an interface of a namespace, its routing and netfilter box (``part`` = "routing"), or a segment of the underlay."""

    netns: str
    part: str

    @property
    def id(self) -> str:
        return f"{self.netns}/{self.part}"


def host_of(network: Network, pod: str) -> str | None:
    """The host on which a Pod's veth ends."""
    for interface in network[pod].interfaces.values():
        if interface.peer and interface.peer[0] in network and role(network, interface.peer[0]) == HOST:
            return interface.peer[0]
    return None


def pods_of(network: Network, host: str) -> list[str]:
    """The Pods on a host, in the order of its interfaces."""
    peers = (i.peer[0] for i in network[host].interfaces.values() if i.peer)
    return [name for name in dict.fromkeys(peers) if name in network and role(network, name) in (POD, PLAIN)]


def segment_place(network: Network, dev: str) -> Place:
    """The segment of the underlay to which a port belongs."""
    interface = network[UNDERLAY].interfaces.get(dev)
    return Place(UNDERLAY, interface.master if interface and interface.master else dev)


def hosts(network: Network, names: Iterable[str]) -> list[str]:
    return [name for name in names if role(network, name) == HOST]
