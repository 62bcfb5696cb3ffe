"""How many BGP sessions a cluster needs, by its size: every node with every other, or with a few route reflectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..kube.bgp import full_mesh, reflectors
from ..kube.bgp.topologies import Topology
from ..kube.cni.sandbox import Host
from ..linux.addresses import ip_address, ip_interface
from .figure import Figure
from .plot import curves

SIZES = (3, 10, 25, 50, 75, 100, 150, 200)
TEXT = {
    "mesh": "full mesh", "reflectors": "{n} reflectors", "reflector": "1 reflector", "x": "nodes", "y": "BGP sessions",
    "alt": "BGP sessions against nodes. {curves}.",
    "curve": "{name}: {points}",
    "point": "{sessions:,} with {nodes} nodes",
    "caption": "Counted, one topology for each point.",
}  # fmt: skip


def session_curve(sizes: Sequence[int] = SIZES, reflect: int = 3) -> Figure:
    """Sessions of the full mesh, and with so many reflectors, for clusters of these sizes. ModelError for no size."""
    second = TEXT["reflector" if reflect == 1 else "reflectors"].format(n=reflect)
    found = {
        TEXT["mesh"]: [(size, session_count(size)) for size in sizes],
        second: [(size, session_count(size, reflect)) for size in sizes if size > reflect],
    }
    told = [
        TEXT["curve"].format(name=name, points=", ".join(TEXT["point"].format(nodes=n, sessions=s) for n, s in points))
        for name, points in found.items()
    ]
    return curves(found, TEXT["x"], TEXT["y"], TEXT["alt"].format(curves="; ".join(told)), TEXT["caption"])


@lru_cache(maxsize=128)
def session_count(nodes: int, reflect: int = 0) -> int:
    """The sessions among so many nodes, ``reflect`` of which are route reflectors (0: a full mesh)."""
    return len(_topology(nodes, reflect).sessions)


def _topology(nodes: int, reflect: int) -> Topology:
    hosts = [_host(number) for number in range(nodes)]
    return reflectors(hosts, [host.name for host in hosts[:reflect]]) if reflect else full_mesh(hosts)


def _host(number: int) -> Host:
    address = ip_interface(f"172.18.{number // 250}.{number % 250 + 2}/16")
    return Host(f"node-{number + 1}", (address,), (ip_address("172.18.0.1"),), ())
