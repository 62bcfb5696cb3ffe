"""Calico's VXLAN: Felix writes the routes, neighbours and FDB entries itself, and BGP has no part in it (felix/dataplane/linux/vxlan_mgr.go).

As Flannel's, with other names: device vxlan.calico (vxlan-v6.calico), VNI 4096, IANA's UDP port 4789. ``CrossSubnet`` takes the tunnel only
towards nodes on another segment, and a plain route on the same one: the setting of the operator's sample configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from ...linux.ops import AddrAdd, FdbAdd, LinkAdd, LinkSet, NeighAdd, Op, RouteAdd, stable_mac
from ...linux.state import FdbEntry, Neighbor, Route, VxlanConfig
from . import calico
from .sandbox import Host, Sandbox
from .vxlan import OVERHEAD

PORT, VNI = 4789, 4096


def device(version: int) -> str:
    return "vxlan.calico" if version == 4 else "vxlan-v6.calico"


def vtep_mac(host: Host, version: int) -> str:
    """The tunnel device's MAC address: the real one too is a hash of the node's name, beginning with 66."""
    return "66:" + stable_mac(host.name, device(version))[3:]


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox], cross_subnet: bool = False) -> Iterable[Op]:
    """One node: its Pods, a tunnel device of each family, and for every other node a route to its blocks."""
    versions = [cidr.version for cidr in host.pod_cidrs]
    yield from calico.pods(host, sandboxes, host.mtu - max(OVERHEAD[version] for version in versions))
    for version in versions:
        yield from _tunnel(host, version)
    yield from calico.own_blocks(host, calico.FELIX)
    for version in versions:
        for other in hosts:
            if other.name != host.name:
                plain = cross_subnet and other.address(version) in host.network(version)
                yield from _plain(host, other, version) if plain else _tunnelled(host, other, version)
    yield from calico.masquerade(host, hosts)


def _tunnel(host: Host, version: int) -> Iterable[Op]:
    config = VxlanConfig(VNI, host.address(version), "eth0", PORT, False)
    dev, mtu = device(version), host.mtu - OVERHEAD[version]
    yield LinkAdd(host.name, dev, "vxlan", mac=vtep_mac(host, version), mtu=mtu, vxlan=config)
    yield AddrAdd(host.name, dev, calico.tunnel_interface(calico.tunnel_address(host, version)))
    yield LinkSet(host.name, dev, up=True)


def _plain(host: Host, other: Host, version: int) -> Iterable[Op]:
    for block in calico.blocks(other, version):
        yield RouteAdd(host.name, Route(block, "eth0", other.address(version), proto=calico.FELIX, onlink=True))


def _tunnelled(host: Host, other: Host, version: int) -> Iterable[Op]:
    dev, gateway, mac = device(version), calico.tunnel_address(other, version), vtep_mac(other, version)
    for block in calico.blocks(other, version):
        yield RouteAdd(host.name, Route(block, dev, gateway, proto=calico.FELIX, onlink=True))
    yield NeighAdd(host.name, Neighbor(dev, gateway, mac))
    yield FdbAdd(host.name, FdbEntry(dev, mac, dst=other.address(version), state="permanent"))


cross_subnet = partial(plan, cross_subnet=True)
