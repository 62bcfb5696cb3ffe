"""Tests against this machine's kernel, each in namespaces of its own, which are gone when it ends. No root is needed.

Where the lab cannot run the tests are skipped, and the summary says why in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_interface

import pytest

from k8snetlib.lab import Lab, probe
from k8snetlib.linux.ops import (
    AddrAdd,
    FdbAdd,
    LinkAdd,
    LinkSet,
    Listen,
    NeighAdd,
    NetnsAdd,
    Op,
    SysctlSet,
    route,
    stable_mac,
)
from k8snetlib.linux.state import FdbEntry, Neighbor, Socket, VxlanConfig


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*features): skip unless the probe finds these features of the lab (see FEATURES)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "kernel" in item.path.parts:
            item.add_marker(pytest.mark.kernel)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "kernel" not in item.path.parts:
        return
    can = probe()
    wanted = ["ipv6", *(feature for mark in item.iter_markers("needs") for feature in mark.args)]
    if not can.has(*wanted):
        pytest.skip(can.line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ()) if "kernel" in report.nodeid]
    unfit = [reason for reason in skipped if probe().line in reason] if skipped else []
    if unfit:
        terminalreporter.write_line(f"{len(unfit)} kernel tests skipped: {probe().line}", yellow=True, bold=True)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty lab whose listeners answer."""
    with Lab() as made:
        yield made


@pytest.fixture
def silent_lab() -> Iterator[Lab]:
    """An empty lab whose listeners take packets in silence, so that a single packet stays single."""
    with Lab(answer=False) as made:
        yield made


@pytest.fixture
def two_nodes() -> Callable[[], list[Op]]:
    """The ops of two nodes with two Pods each, in both families, an IPv4 VXLAN between them, and a switch below; written by hand."""
    return cluster


def cluster() -> list[Op]:
    ops: list[Op] = [NetnsAdd("underlay"), LinkAdd("underlay", "switch", "bridge"), LinkSet("underlay", "switch", up=True)]
    for number, node in enumerate(("node-a", "node-b"), 1):
        ops += _node(node, number)
        for last in (2, 3):
            ops += _pod(node, number, f"pod-{number}{last}", last)
    for node, other, number in (("node-a", "node-b", 2), ("node-b", "node-a", 1)):
        ops += _tunnel_to(node, other, number)
    return ops


def _node(node: str, number: int) -> list[Op]:
    own = ip_address(f"192.168.50.1{number}")
    return [
        NetnsAdd(node),
        LinkAdd(node, "eth0", "veth", peer=("underlay", f"to-{node}")),
        LinkSet("underlay", f"to-{node}", master="switch", up=True),
        AddrAdd(node, "eth0", ip_interface(f"{own}/24")),
        AddrAdd(node, "eth0", ip_interface(f"fd00:50::1{number}/64")),
        LinkSet(node, "eth0", up=True),
        SysctlSet(node, "net.ipv4.ip_forward", 1),
        SysctlSet(node, "net.ipv6.conf.all.forwarding", 1),
        LinkAdd(node, "cni0", "bridge"),
        AddrAdd(node, "cni0", ip_interface(f"10.244.{number}.1/24")),
        AddrAdd(node, "cni0", ip_interface(f"fd00:244:{number}::1/64")),
        LinkSet(node, "cni0", up=True),
        LinkAdd(node, "flannel.1", "vxlan", vxlan=VxlanConfig(1, own, "eth0", 8472, learning=False)),
        AddrAdd(node, "flannel.1", ip_interface(f"10.244.{number}.0/32")),
        LinkSet(node, "flannel.1", up=True),
    ]


def _pod(node: str, number: int, pod: str, last: int) -> list[Op]:
    return [
        NetnsAdd(pod),
        LinkAdd(node, f"veth-{last}", "veth", mtu=1450, peer=(pod, "eth0")),
        LinkSet(node, f"veth-{last}", master="cni0", hairpin=True, up=True),
        AddrAdd(pod, "eth0", ip_interface(f"10.244.{number}.{last}/24")),
        AddrAdd(pod, "eth0", ip_interface(f"fd00:244:{number}::{last}/64")),
        LinkSet(pod, "eth0", up=True),
        route(pod, "default", via=f"10.244.{number}.1"),
        route(pod, "default", via=f"fd00:244:{number}::1"),
        Listen(pod, Socket("tcp", 8080, None, "web")),
        Listen(pod, Socket("udp", 53, None, "dns")),
    ]


def _tunnel_to(node: str, other: str, number: int) -> list[Op]:
    mac = stable_mac(other, "flannel.1")
    return [
        NeighAdd(node, Neighbor("flannel.1", ip_address(f"10.244.{number}.0"), mac)),
        FdbAdd(node, FdbEntry("flannel.1", mac, ip_address(f"192.168.50.1{number}"), state="permanent")),
        route(node, f"10.244.{number}.0/24", "flannel.1", f"10.244.{number}.0", onlink=True),
        route(node, f"fd00:244:{number}::/64", via=f"fd00:50::1{number}"),
    ]
