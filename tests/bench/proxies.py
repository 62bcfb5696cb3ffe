"""Clusters of any size for kube-proxy, and what each mode costs in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from k8snetlib.kube.scale import SERVICES, config, services, slices

Row = tuple[str, float, str]


def timed(action: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def growth(mode: str, aim: str) -> Iterator[Row]:
    """From objects in memory to the whole text, for clusters of a hundred to ten thousand Services with ten endpoints each."""
    from k8snetlib.kube.proxy import MODES

    for count in (100, 1_000, 10_000):
        given = services(count), slices(count, 10)
        seconds, text = timed(lambda given=given: str(MODES[mode](*given, config())))
        lines = text.count("\n") + 1
        what = f"{mode}: {count:,} Services, {count * 10:,} endpoints: {lines:,} lines of rules"
        yield what, seconds, aim if count == 10_000 else "(none)"


def packets(mode: str) -> Iterator[Row]:
    """A Pod's packet to a Service of the largest cluster, by the rules of its node."""
    from k8snetlib import trace
    from k8snetlib.kube import proxy
    from k8snetlib.linux.events import Matched
    from k8snetlib.linux.ops import LinkAdd, LinkSet, NetnsAdd, SysctlSet, address, build, route
    from k8snetlib.linux.packet import tcp

    around = [
        NetnsAdd("node"), NetnsAdd("pod"), NetnsAdd("world"), SysctlSet("node", "net.ipv4.ip_forward", 1),
        LinkAdd("node", "veth0", "veth", peer=("pod", "eth0")), LinkAdd("node", "eth0", "veth", peer=("world", "eth0")),
        *(LinkSet(name, dev, up=True) for name, dev in (("node", "veth0"), ("node", "eth0"), ("pod", "eth0"), ("world", "eth0"))),
        address("node", "veth0", "10.244.1.1/24"), address("pod", "eth0", "10.244.1.2/24"), route("pod", "default", via="10.244.1.1"),
        address("node", "eth0", "192.168.50.11/24"), address("world", "eth0", "192.168.50.1/24"),
        route("node", "default", via="192.168.50.1"),
    ]  # fmt: skip
    given = services(10_000), slices(10_000, 10)
    seconds, network = timed(lambda: build([*around, *proxy.ops(mode, "node", *given, [config()])]))
    yield f"{mode}: a node of that cluster set up in the model", seconds, "(none)"
    wanted = [tcp("10.244.1.2", str(IPv4Address(SERVICES + 1 + i)), 80) for i in (9_999, 0, 5_000)]
    seconds, told = timed(lambda: trace(network, "pod", wanted[0]))
    yield f"{mode}:   the first packet there, which makes the index", seconds, "(none)"
    found = sorted(timed(lambda i=i: trace(network, "pod", wanted[i % 3]))[0] for i in range(300))
    examined = max(event.examined for event in told.all(Matched) if event.netns == "node")
    cost = f" (the kernel examines up to {examined:,} rules at a hook)" if examined else ""
    yield f"{mode}:   a packet after that{cost}", found[150], "< 2 ms"


def modes() -> Iterator[Row]:
    """Every mode: its rules from objects, with the growth from 100 to 10,000 Services, and a packet through the largest."""
    from k8snetlib.kube.proxy import MODES

    for mode in MODES:
        yield from growth(mode, "< 3 s")
        yield from packets(mode)
