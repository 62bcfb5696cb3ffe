"""Small networks for the unit tests: two hosts on a cable, three on a bridge, two behind a router."""

from __future__ import annotations

from k8snetlib.linux.ops import LinkAdd, LinkSet, Listen, NetnsAdd, Op, SysctlSet, address, route
from k8snetlib.linux.state import Socket


def cable(mtu: int | None = None) -> list[Op]:
    """a (10.0.0.1) and b (10.0.0.2), which listens on 80/tcp and 53/udp."""
    ops: list[Op] = [NetnsAdd("a"), NetnsAdd("b"), LinkAdd("a", "eth0", "veth", peer=("b", "eth0"), mtu=mtu)]
    for name, ip in (("a", "10.0.0.1/24"), ("b", "10.0.0.2/24")):
        ops += [LinkSet(name, "eth0", up=True), address(name, "eth0", ip)]
    return [*ops, Listen("b", Socket("tcp", 80, process="web")), Listen("b", Socket("udp", 53, process="dns"))]


def switch(names: str = "abc") -> list[Op]:
    """Hosts a, b, c (10.0.0.1 …) on bridge br0 of ``node``."""
    ops: list[Op] = [NetnsAdd("node"), LinkAdd("node", "br0", "bridge"), LinkSet("node", "br0", up=True)]
    for number, name in enumerate(names, 1):
        ops += [
            NetnsAdd(name),
            LinkAdd(name, "eth0", "veth", peer=("node", f"port-{name}")),
            LinkSet("node", f"port-{name}", master="br0", up=True),
        ]
        ops += [LinkSet(name, "eth0", up=True), address(name, "eth0", f"10.0.0.{number}/24"), Listen(name, Socket("tcp", 80, process=name))]
    return ops


def routed() -> list[Op]:
    """a (10.0.1.2) and b (10.0.2.2) with router r between them; b listens on 80/tcp."""
    ops: list[Op] = [NetnsAdd("r"), SysctlSet("r", "net.ipv4.ip_forward", 1)]
    for number, name in enumerate("ab", 1):
        ops += [
            NetnsAdd(name),
            LinkAdd(name, "eth0", "veth", peer=("r", f"to-{name}")),
            LinkSet(name, "eth0", up=True),
            LinkSet("r", f"to-{name}", up=True),
        ]
        ops += [
            address(name, "eth0", f"10.0.{number}.2/24"),
            address("r", f"to-{name}", f"10.0.{number}.1/24"),
            route(name, "default", via=f"10.0.{number}.1"),
        ]
    return [*ops, Listen("b", Socket("tcp", 80, process="web"))]
