"""kube-proxy's nftables mode at scale: objects in memory to a printable table, and a packet through it, from 100 to 10,000 Services."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address, ip_network

from k8snetlib.kube.objects import ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.proxy.nftables import compile
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice
from k8snetlib.linux.engine import trace
from k8snetlib.linux.ops import LinkAdd, LinkSet, NeighAdd, NetnsAdd, NftReplace, address, build, route, stable_mac
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.state import Neighbor

CONFIG = ProxyConfig(
    "n0", ip_address("192.168.50.11"), (ip_address("192.168.50.11"),), ip_network("10.0.0.0/9"), (ip_network("10.128.0.0/9"),)
)
PODS, VIPS = int(ip_address("10.0.0.1")), int(ip_address("10.128.0.1"))


def cluster(services: int, each: int = 10, nodes: int = 1000, affinity: bool = False) -> tuple[list[Service], list[EndpointSlice]]:
    """So many Services (every tenth of type NodePort) with ``each`` endpoints, spread over the nodes."""
    made, slices = [], []
    for n in range(services):
        meta = ObjectMeta(f"svc-{n}", "default")
        port = ServicePort(80, "http", "TCP", 8080, 20000 + n // 10 if n % 10 == 0 else 0)
        kind, session = "NodePort" if port.node_port else "ClusterIP", "ClientIP" if affinity else "None"
        made.append(Service(meta, (port,), type=kind, cluster_ips=(IPv4Address(VIPS + n),), session_affinity=session))
        endpoints = tuple(
            Endpoint((IPv4Address(PODS + n * each + i),), ready=True, node_name=f"n{(n * each + i) % nodes}") for i in range(each)
        )
        labels = FrozenDict({SERVICE_NAME_LABEL: meta.name})
        slices.append(EndpointSlice(ObjectMeta(f"svc-{n}-x", "default", labels), "IPv4", endpoints, (EndpointPort("http", 8080),)))
    return made, slices


def timed(services: int, affinity: bool = False) -> tuple[float, float, float]:
    """Seconds: objects to text; the first packet, which compiles the chains it meets; a packet after that."""
    made, slices = cluster(services, affinity=affinity)
    start = time.perf_counter()
    table = compile(made, slices, CONFIG)
    text = str(table)
    printed = time.perf_counter() - start
    assert f"elements = {{ {IPv4Address(VIPS)}" in text
    gateway = ip_address("192.168.50.1")
    host = [NetnsAdd("n0"), NetnsAdd("far"), LinkAdd("n0", "eth0", "veth", peer=("far", "eth0")), LinkSet("n0", "eth0", up=True)]
    host += [LinkSet("far", "eth0", up=True), address("n0", "eth0", "192.168.50.11/24"), route("n0", "default", via="192.168.50.1")]
    host += [NeighAdd("n0", Neighbor("eth0", gateway, stable_mac("far", "eth0")))]
    network = build([*host, NftReplace("n0", table)])
    packet = tcp("192.168.50.11", IPv4Address(VIPS + services // 2), 80)
    start = time.perf_counter()
    told = trace(network, "n0", packet)
    first = time.perf_counter() - start
    assert int(told.end.packet.dst) == PODS + services // 2 * 10, told.end
    runs = []
    for _ in range(50):
        start = time.perf_counter()
        trace(network, "n0", packet)
        runs.append(time.perf_counter() - start)
    return printed, first, sorted(runs)[25]


def rows() -> Iterator[tuple[str, float, str]]:
    """Lines for ``python -m tests.bench``."""
    for affinity in (False, True):
        how = ", with session affinity" if affinity else ""
        before: tuple[float, ...] = ()
        for services in (100, 1000, 10_000):
            found = timed(services, affinity)
            growth = f" ({found[0] / before[0]:.1f} times)" if before else ""
            aim = "< 3 s" if services == 10_000 else "(none)"
            yield f"nftables: {services:,} Services with {services * 10:,} endpoints{how}, to text{growth}", found[0], aim
            yield "  the first packet there", found[1], "(none)"
            yield "  a packet after that", found[2], "< 2 ms"
            before = found
