"""BGP between a thousand nodes: every table computed, for a full mesh and for route reflectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from k8snetlib.kube.bgp import Topology, blocks, converge, full_mesh, reflectors
from k8snetlib.kube.cni.sandbox import Host
from k8snetlib.linux.addresses import ip_address, ip_interface, ip_network

Row = tuple[str, float, str]


def hosts(count: int) -> list[Host]:
    """Nodes on two segments by turns, each with a /24 for its Pods."""
    made = []
    for number in range(count):
        segment, last = 18 + number % 2, number + 11
        address = ip_interface(f"172.{segment}.{last // 256}.{last % 256}/16")
        cidr = ip_network(f"10.{128 + number // 256}.{number % 256}.0/24")
        made.append(Host(f"node-{number}", (address,), (ip_address(f"172.{segment}.0.1"),), (cidr,)))
    return made


def timed(action: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def tables(count: int = 1_000) -> Iterator[Row]:
    """From hosts to everybody's table, to one node's routes, and to the tables without one of the nodes."""
    nodes = hosts(count)
    prefixes = {one.name: blocks(one.pod_cidrs) for one in nodes}
    shapes: tuple[tuple[str, Callable[[], Topology]], ...] = (
        ("a full mesh", lambda: full_mesh(nodes)),
        ("3 route reflectors", lambda: reflectors(nodes, [one.name for one in nodes[:3]])),
    )
    for name, shape in shapes:
        seconds, bgp = timed(lambda shape=shape: converge(shape(), prefixes))
        entries = sum(len(paths) for table in bgp.tables for paths in table)
        yield f"BGP: {count:,} nodes, {name}: {len(bgp.sessions):,} sessions, {entries:,} paths in all tables", seconds, "< 10 s"
        yield "BGP:   the routes of one node", timed(lambda bgp=bgp: bgp.routes("node-7"))[0], "< 50 ms"
        yield "BGP:   a node leaves, and all is quiet again", timed(lambda bgp=bgp: bgp.leave("node-7"))[0], "< 10 s"
