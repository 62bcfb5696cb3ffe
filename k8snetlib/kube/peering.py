"""The BGP of a cluster: its nodes with their blocks in one of the shapes of ``kube.bgp``, converged."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from .bgp import Converged, Topology, converge, full_mesh, reflectors, top_of_rack, underlay_router
from .cluster import Cluster
from .cni.sandbox import segments

TEXT = {
    "shape": "nodes peer as mesh, reflectors or rack, not {peering!r}",
    "none": "the plug-in {cni!r} has no BGP (these have: {choices})",
    "family": "the nodes have no blocks of IPv{version} to announce",
    "reflect": "in the shape {peering!r} nobody reflects, so reflect={reflect!r} would be ignored",
    "who": 'which nodes reflect? bgp(cluster, "reflectors", reflect=["node-a"])',
}
SPEAKING = {"bgp": "mesh", "bgp-tor": "rack", "ipip": "mesh", "ipip-cross-subnet": "mesh"}  # plug-ins, and how their nodes peer


def bgp(cluster: Cluster, peering: str = "", *, reflect: Sequence[str] = (), version: int = 4) -> Converged:
    """What the cluster's nodes tell each other by BGP, and the tables that follow: every node a peer of every other (``mesh``), of the nodes
    that ``reflect`` (``reflectors``), or of the router of its segment (``rack``); one IP ``version`` at a time. By default as the cluster's
    plug-in has it: rack for bgp-tor, else mesh.

    ModelError for another shape, reflectors that are no nodes or where none are wanted, or a plug-in that has no BGP.
    """
    if cluster.cni not in SPEAKING:
        raise ModelError(TEXT["none"].format(cni=cluster.cni, choices=", ".join(SPEAKING)))
    peering = peering or SPEAKING[cluster.cni]
    own = {host.name: [block for block in host.blocks if block.version == version] for host in cluster.hosts}
    if not any(own.values()):
        raise ModelError(TEXT["family"].format(version=version))
    return converge(_topology(cluster, peering, reflect, version), own)


def _topology(cluster: Cluster, peering: str, reflect: Sequence[str], version: int) -> Topology:
    if reflect and peering in ("mesh", "rack"):
        raise ModelError(TEXT["reflect"].format(peering=peering, reflect=list(reflect)))
    if peering == "mesh":
        return full_mesh(cluster.hosts, version)
    if peering == "reflectors":
        if not reflect:
            raise ModelError(TEXT["who"])
        return reflectors(cluster.hosts, reflect, version)
    if peering == "rack":
        return top_of_rack(cluster.hosts, [underlay_router(segments(cluster.hosts))], version)
    raise ModelError(TEXT["shape"].format(peering=peering))
