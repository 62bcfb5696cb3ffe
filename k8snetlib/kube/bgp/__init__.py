"""BGP between nodes, as Calico lets BIRD do it: who peers with whom, what they tell each other, and the routes that follow.

    topology = full_mesh(hosts)
    bgp = converge(topology, {host.name: blocks(host.pod_cidrs) for host in hosts})
    bgp.routes("node-a")              # what its BIRD puts into the kernel
    after = bgp.leave("node-b")       # after.rounds: what was said until all was quiet again

The control plane as data: no packets, no clock. One run serves one address family.
"""

from __future__ import annotations

from .birdconf import bird_conf
from .converge import Converged, RibEntry, blocks, converge
from .text import node_status, show_protocols, show_route
from .topologies import Router, full_mesh, reflectors, top_of_rack, underlay_router
from .values import Path, Session, Speaker, Topology, Update

__all__ = [
    "Converged", "Path", "RibEntry", "Router", "Session", "Speaker", "Topology", "Update", "bird_conf", "blocks", "converge", "full_mesh",
    "node_status", "reflectors", "show_protocols", "show_route", "top_of_rack", "underlay_router",
]  # fmt: skip
