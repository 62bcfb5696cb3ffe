"""The network as a ``networkx`` graph: interfaces, bridges and hosts' routing as nodes; cables, ports and lookups as edges.

For questions about the graph: who can reach whom at all, which paths there are, what breaks the network if it fails. What a packet really
does is ``trace``'s to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..linux.state import Interface, Network, as_network
from .topology import FABRIC, HOST, role

if TYPE_CHECKING:
    import networkx

ROUTING = "routing"


def graph(network: Network) -> networkx.Graph:
    """``graph(cluster.network)``: a graph whose nodes are ``"namespace/interface"`` and, for hosts and the router, ``"namespace/routing"``.

    Node attributes: ``netns``, ``kind`` (veth, bridge, vxlan, loopback, dummy, routing), ``addresses``, ``mtu``, ``up``. Edge attribute ``kind``:
    ``cable`` (the two ends of a veth), ``port`` (a bridge and its port), ``stack`` (routing and an interface), ``tunnel`` (a VXLAN
    device and the interface below it).
    """
    import networkx

    found = networkx.Graph()
    for name in as_network(network):
        namespace = network[name]
        forwards = role(network, name) in (HOST, FABRIC)
        if forwards:
            found.add_node(f"{name}/{ROUTING}", netns=name, kind=ROUTING, addresses=(), mtu=0, up=True)
        for interface in namespace.interfaces.values():
            node = f"{name}/{interface.name}"
            found.add_node(
                node, netns=name, kind=interface.kind, addresses=tuple(map(str, interface.addresses)), mtu=interface.mtu, up=interface.up
            )
            _edges(found, network, name, interface, forwards)
    return found


def _edges(found: networkx.Graph, network: Network, name: str, interface: Interface, forwards: bool) -> None:
    node = f"{name}/{interface.name}"
    if interface.peer and interface.peer[0] in network:
        found.add_edge(node, "/".join(interface.peer), kind="cable")
    if interface.master:
        found.add_edge(node, f"{name}/{interface.master}", kind="port")
    elif forwards and interface.kind != "loopback":
        found.add_edge(node, f"{name}/{ROUTING}", kind="stack")
    if interface.vxlan is not None:
        found.add_edge(node, f"{name}/{interface.vxlan.dev}", kind="tunnel")


def reachable(network: Network, one: str, other: str) -> bool:
    """Whether any chain of links joins two namespaces: without one, no configuration can bring a packet across."""
    import networkx

    g = graph(network)
    starts = [n for n, data in g.nodes(data=True) if data["netns"] == one]
    ends = {n for n, data in g.nodes(data=True) if data["netns"] == other}
    return any(ends & networkx.node_connected_component(g, start) for start in starts)


def single_points_of_failure(network: Network, one: str, other: str) -> list[str]:
    """The graph nodes, beside their own interfaces, without which two namespaces are cut off from each other, sorted by name."""
    import networkx

    g = graph(network)
    found = []
    for node in networkx.articulation_points(g):
        if g.nodes[node]["netns"] in (one, other):
            continue
        rest = g.copy()
        rest.remove_node(node)
        starts = [n for n in rest if rest.nodes[n]["netns"] == one]
        ends = {n for n in rest if rest.nodes[n]["netns"] == other}
        if not any(ends & networkx.node_connected_component(rest, start) for start in starts):
            found.append(node)
    return sorted(found)
