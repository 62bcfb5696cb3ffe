"""Configuration as a list of ops, with three interpreters.

``op.apply(draft)`` changes the model, ``op.command()`` is what an administrator would type, and ``k8snetlib.lab`` runs
the same op in a real kernel. ``build`` is the only function that changes a network.

An op names its namespace first. Ops that a packet leaves behind come back in a trace and are folded in by ``after``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from ..errors import ModelError
from .addresses import ip_address, ip_interface, ip_network
from .draft import Draft, build
from .ops_host import ConntrackAdd, ConntrackDel, Listen, SysctlSet
from .ops_links import AddrAdd, AddrDel, LinkAdd, LinkDel, LinkSet, NetnsAdd, stable_mac
from .ops_nft import NftElementAdd, NftReplace, NftRestore
from .ops_routes import FdbAdd, FdbDel, NeighAdd, NeighDel, PmtuAdd, ProxyNeighAdd, RouteAdd, RouteDel, RuleAdd
from .ops_rules import ChainAdd, RecentSet, RuleEnsure, RulesRestore
from .state import Route

__all__ = [
    "AddrAdd", "AddrDel", "ChainAdd", "ConntrackAdd", "ConntrackDel", "FdbAdd", "FdbDel", "LinkAdd", "LinkDel", "LinkSet", "Listen",
    "NeighAdd", "NeighDel", "NetnsAdd", "NftElementAdd", "NftReplace", "NftRestore", "Op", "PmtuAdd", "ProxyNeighAdd", "RecentSet", "RouteAdd", "RouteDel", "RuleAdd",
    "RuleEnsure", "RulesRestore", "SysctlSet", "address", "build", "commands", "route", "stable_mac",
]  # fmt: skip


@runtime_checkable
class Op(Protocol):
    """One configuration step: applied to a draft of the model, or printed as a command."""

    def apply(self, draft: Draft) -> None: ...

    def command(self) -> str: ...


def route(netns: str, dst: str, dev: str | None = None, via: str | None = None, **fields) -> RouteAdd:
    """A ``RouteAdd`` from text: ``route("web", "default", via="10.244.1.1")``. ModelError for what is no address or network."""
    try:
        address = ip_address(via) if via else None
        network = ip_network(("0.0.0.0/0" if address is None or address.version == 4 else "::/0") if dst == "default" else dst)
        if fields.get("src"):
            fields["src"] = ip_address(fields["src"])
    except ValueError as error:
        raise ModelError(f"route({netns!r}, {dst!r}): {error}") from None
    return RouteAdd(netns, Route(network, dev, address, **fields))


def address(netns: str, dev: str, text: str) -> AddrAdd:
    """An ``AddrAdd`` from text: ``address("web", "eth0", "10.244.1.2/24")``. ModelError for what is no address."""
    try:
        return AddrAdd(netns, dev, ip_interface(text))
    except ValueError as error:
        raise ModelError(f"address({netns!r}, {dev!r}): {error}") from None


def commands(ops: Iterable[Op], netns: str | None = None) -> str:
    """The ops as the commands one would type, a line each; with ``netns``, only those that touch that namespace."""
    chosen = (op for op in ops if netns is None or op.netns == netns or netns in (getattr(op, "peer", None) or ())[:1])
    return "\n".join(op.command() for op in chosen)


def __dir__() -> list[str]:
    return sorted(__all__)
