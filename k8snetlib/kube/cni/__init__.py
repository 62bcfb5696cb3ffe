"""Network plug-ins: objects in, ops out. One file each; ``plan(host, hosts, sandboxes)`` yields the ops of one node.

The ops of the whole cluster are those of the underlay and then of every node; one node can be planned alone, which is what lets a
large cluster be built only as far as a packet goes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType

from . import bgp, bridge, calico, calico_vxlan, hostgw, ipip, ptp, vxlan
from .plugin import Plugin


def _calico(title: str, plan, *tunnels: int, **more) -> Plugin:
    def answers(host):
        return frozenset(calico.tunnel_address(host, v) for v in tunnels if v == 4 and calico.blocks(host, v))

    return Plugin(title, plan, calico.allocator(*tunnels), True, calico.veth, answers, **more)


def _later(module: str, name: str) -> Callable:
    """A function of a module that is loaded when it is first called."""

    def call(*arguments):
        return getattr(import_module(f".{module}", __package__), name)(*arguments)

    return call


def _vpc(title: str, allocate: str, register: str) -> Plugin:
    plan, veth, answers, fabric, uplinks, joined = (
        _later("vpc", name) for name in ("plan", "veth", "answers", "fabric", "uplinks", register)
    )
    return Plugin(title, plan, _later("vpc_ipam", allocate), True, veth, answers, fabric, uplinks, joined, ipv6=False)


CNIS = MappingProxyType({
    "bridge": Plugin("bridge plug-in, one node", bridge.plan, answers=bridge.gateways),
    "ptp": Plugin("ptp plug-in, one node", ptp.plan, answers=bridge.gateways),
    "vxlan": Plugin("Flannel, VXLAN", vxlan.plan, answers=vxlan.answers),
    "host-gw": Plugin("Flannel, host-gw", hostgw.plan, answers=bridge.gateways),
    "ipip": _calico("Calico, IPIP", ipip.plan, 4),
    "ipip-cross-subnet": _calico("Calico, IPIP between subnets", ipip.cross_subnet, 4),
    "calico-vxlan": _calico("Calico, VXLAN", calico_vxlan.plan, 4, 6),
    "calico-vxlan-cross-subnet": _calico("Calico, VXLAN between subnets", calico_vxlan.cross_subnet, 4, 6),
    "bgp": _calico("Calico, BGP mesh, no tunnel", bgp.plan),
    "bgp-tor": _calico("Calico, BGP with the routers", bgp.rack_plan, fabric=bgp.top_of_rack),
    "vpc": _vpc("Amazon VPC CNI, secondary addresses", "secondary", "register"),
    "vpc-prefix": _vpc("Amazon VPC CNI, prefix delegation", "delegated", "register_prefix"),
})  # fmt: skip
"""Name → plug-in, as ``--cni`` and ``Cluster.load(…, cni=…)`` take it."""
