"""kube-proxy: Services and EndpointSlices in, one node's rule set out. One file for each mode; what they share is in ``endpoints``.

A mode is ``compile(services, slices, config) -> rule set`` for one address family of one node, and ``ops(netns, services, slices,
configs)``, which sets a node up. Nothing here looks at a packet: rule sets are run by the kernel half (``linux.netfilter``,
``linux.nftables``, ``linux.ipvs``), which does not know what a Service is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module


def _compiler(mode: str) -> Callable:
    def compile(services, slices, config):
        return import_module(f".{mode}", __name__).compile(services, slices, config)

    return compile


MODES: dict[str, Callable] = {
    "iptables": _compiler("iptables"),
    "nftables": _compiler("nftables"),
    "ipvs": _compiler("ipvs"),
    "userspace": _compiler("userspace"),
}
"""Mode → ``compile(services, slices, config)``; a mode's file is read when it is first used."""


def ops(mode: str, netns: str, services: Iterable, slices: Iterable, configs: Iterable) -> Iterable:
    """What kube-proxy in that mode does on the node of that namespace, as ops; ``configs`` has one entry for each address family.

    Services and slices are those that kube-proxy gets from the API server: ``endpoints.watched`` picks them.
    """
    return import_module(f".{mode}", __name__).ops(netns, services, slices, configs)
