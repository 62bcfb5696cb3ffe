"""A network while ops are being applied: mutable copies of the namespaces that change, frozen again at the end."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import ModelError
from .state import Interface, NetNS, Network

if TYPE_CHECKING:
    from .ops import Op


class NsDraft:
    """A namespace while ops are being applied: the fields of ``NetNS``, mutable."""

    __slots__ = ("name", "interfaces", "routes", "rules", "neighbors", "fdb", "conntrack", "rulesets", "sysctls", "sockets", "next_index", "frozen", "slots")

    def __init__(self, frozen: NetNS) -> None:
        self.name, self.frozen = frozen.name, frozen
        self.interfaces = dict(frozen.interfaces)
        self.routes = dict.fromkeys(frozen.routes)
        self.rules, self.neighbors, self.fdb = list(frozen.rules), dict(frozen.neighbors), dict(frozen.fdb)
        self.conntrack = {entry.original: entry for entry in frozen.conntrack}
        self.rulesets, self.sysctls, self.sockets = dict(frozen.rulesets), dict(frozen.sysctls), list(frozen.sockets)
        self.slots: set | None = None  # what identifies each route, made when the first route is added
        self.next_index = max((i.index for i in self.interfaces.values()), default=0) + 1

    def freeze(self) -> NetNS:
        proxy, old = MappingProxyType, self.frozen
        interfaces = old.interfaces if self.interfaces == old.interfaces else proxy(self.interfaces)
        frozen = NetNS(
            self.name, interfaces, tuple(self.routes), tuple(self.rules), proxy(self.neighbors), proxy(self.fdb),
            tuple(self.conntrack.values()), proxy(self.rulesets), proxy(self.sysctls), tuple(self.sockets),
        )  # fmt: skip
        if interfaces is old.interfaces and frozen.routes == old.routes and frozen.rules == old.rules:
            object.__setattr__(frozen, "cache", old.cache)  # the indexes are of interfaces, routes and rules alone
        return frozen

    def interface(self, name: str) -> Interface:
        try:
            return self.interfaces[name]
        except KeyError:
            raise ModelError(f"{self.name} has no interface {name!r} (it has {', '.join(self.interfaces) or 'none'})") from None

    def ipv6(self) -> bool:
        return not self.sysctls.get("net.ipv6.conf.all.disable_ipv6", 0)


class Draft:
    """A network while ops are being applied; only the namespaces that an op touches are copied.

    ``only`` restricts it to some namespaces: what an op does elsewhere is left out (a veth's far end, say), which lets a large
    network be built one node at a time.
    """

    __slots__ = ("base", "drafts", "only")

    def __init__(self, base: Network, only: frozenset[str] | None = None) -> None:
        self.base, self.only = base, only
        self.drafts: dict[str, NsDraft] = {}

    def ns(self, name: str) -> NsDraft:
        """The namespace's draft. ModelError when there is no such namespace."""
        draft = self.drafts.get(name)
        if draft is None:
            draft = self.drafts[name] = NsDraft(self.base.namespace(name))
        return draft

    def outside(self, name: str) -> bool:
        return self.only is not None and name not in self.only

    def has(self, name: str) -> bool:
        return name in self.drafts or name in self.base

    def freeze(self) -> Network:
        changed = {name: draft.freeze() for name, draft in self.drafts.items()}
        network = self.base.with_(changed)
        if all(self.base.is_built(name) and new.interfaces is self.base[name].interfaces for name, new in changed.items()):
            network.cache = self.base.cache  # what stands at the far ends of links
        return network


def build(ops: Iterable[Op], network: Network | None = None, only: frozenset[str] | None = None) -> Network:
    """The network after these ops, in order. O(n) in the ops. ModelError, naming the op's command, when one cannot be done."""
    draft = Draft(network if network is not None else Network(), only)
    for op in ops:
        try:
            op.apply(draft)
        except ModelError as error:
            raise ModelError(f"{op.command()}: {error}") from None
    return draft.freeze()
