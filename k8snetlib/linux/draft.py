"""A network while ops are being applied: mutable copies of the namespaces that change, frozen again at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Interface
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..value import amend, replace
from .addresses import ip_interface
from .packet import is_link_local
from .state import Interface, IPInterface, NetNS, Network, Route, Socket, link_local

if TYPE_CHECKING:
    from .ops import Op

LOOPBACK = ip_interface("::1/128")


def _copy(mapping: Mapping) -> dict:
    return dict(mapping) if mapping else {}  # most are empty, and to copy a view is slow


class NsDraft:
    """A namespace while ops are being applied: the fields of ``NetNS``, mutable."""

    __slots__ = (
        "bound",
        "carrying",
        "conntrack",
        "fdb",
        "frozen",
        "hooked",
        "interfaces",
        "ipsets",
        "ipvs",
        "name",
        "neighbors",
        "next_index",
        "nftables",
        "own",
        "pmtu",
        "proxied",
        "recent",
        "routes",
        "rules",
        "rulesets",
        "slots",
        "sockets",
        "sysctls",
    )  # fmt: skip

    def __init__(self, frozen: NetNS, name: str = "") -> None:
        """``name`` is a new namespace's, which is made from one that others are made from, too."""
        self.name, self.frozen = name or frozen.name, frozen
        self.interfaces = dict(frozen.interfaces)
        self.own: set[str] = set()  # devices whose values were made here: nobody else has seen them yet
        self.routes = list(frozen.routes)
        self.rules, self.neighbors, self.fdb = list(frozen.rules), _copy(frozen.neighbors), _copy(frozen.fdb)
        self.conntrack = {entry.original: entry for entry in frozen.conntrack}
        self.rulesets, self.sysctls, self.sockets = _copy(frozen.rulesets), _copy(frozen.sysctls), list(frozen.sockets)
        self.pmtu = _copy(frozen.pmtu)
        self.recent, self.ipsets, self.ipvs = _copy(frozen.recent), _copy(frozen.ipsets), frozen.ipvs
        self.nftables, self.hooked, self.proxied = frozen.nftables, frozen.hooked, set(frozen.proxied)
        self.carrying: dict[str, tuple[tuple, set]] = {}
        self.bound: dict[tuple[str, int], list[Socket]] | None = None  # sockets by port, made when the first one is added
        self.slots: set | None = None  # what identifies each route, made when somebody asks
        self.next_index = max((i.index for i in self.interfaces.values()), default=0) + 1

    def freeze(self) -> NetNS:
        proxy, old = MappingProxyType, self.frozen
        interfaces = old.interfaces if self.interfaces == old.interfaces else proxy(self.interfaces)
        frozen = NetNS(
            self.name, interfaces, tuple(self.routes), tuple(self.rules), proxy(self.neighbors), proxy(self.fdb),
            tuple(self.conntrack.values()), proxy(self.rulesets), proxy(self.sysctls), tuple(self.sockets),
            proxy(self.recent), self.nftables, self.hooked, proxy(self.pmtu), proxy(self.ipsets), self.ipvs,
            frozenset(self.proxied),
        )  # fmt: skip
        if interfaces is old.interfaces and frozen.name == old.name and frozen.routes == old.routes and frozen.rules == old.rules:
            amend(frozen, cache=old.cache)  # the indexes are of interfaces, routes and rules alone
        return frozen

    def registered(self, owners: list[tuple], gone: Callable[[tuple], bool]) -> None:
        """Tables and chains that netfilter's hooks know now: those gone are forgotten, new ones come last."""
        kept = [owner for owner in self.hooked if not gone(owner)]
        self.hooked = tuple(dict.fromkeys([*kept, *owners]))

    def interface(self, name: str) -> Interface:
        try:
            return self.interfaces[name]
        except KeyError:
            raise ModelError(f"{self.name} has no interface {name!r} (it has {', '.join(self.interfaces) or 'none'})") from None

    def add_interface(self, new: Interface) -> None:
        """A device made here, under an index of its own."""
        self.interfaces[new.name] = new
        self.own.add(new.name)
        self.next_index += 1

    def change(self, name: str, **changes: object) -> Interface:
        """The device with these fields changed: a copy the first time, as others hold the old one, then in place, as ops come in rows."""
        if name in self.own:
            return amend(self.interfaces[name], **changes)
        self.own.add(name)
        new = self.interfaces[name] = replace(self.interfaces[name], **changes)
        return new

    def carried(self, interface: Interface) -> set[IPInterface]:
        """The device's addresses as a set, kept while they are added one by one: a node may carry thousands."""
        known, found = self.carrying.get(interface.name, ((), set()))
        return found if known is interface.addresses else set(interface.addresses)

    def on_port(self, proto: str, port: int) -> list[Socket]:
        """The sockets on a port, as a list to add to."""
        if self.bound is None:
            self.bound = {}
            for socket in self.sockets:
                self.bound.setdefault((socket.proto, socket.port), []).append(socket)
        return self.bound.setdefault((proto, port), [])

    def ipv6(self) -> bool:
        return not self.sysctls.get("net.ipv6.conf.all.disable_ipv6", 0)

    def add_route(self, route: Route, append: bool = False) -> bool:
        """Adds a route, and returns whether it did: it does not where one is there in whose place this one would come, unless told to
        ``append`` it (NLM_F_APPEND) and it is not there itself."""
        if self.slots is None:
            self.slots = set(map(_slot, self.routes))
        slot = _slot(route)
        if slot in self.slots and not (append and route not in self.routes):
            return False
        self.slots.add(slot)
        self.routes.append(route)
        return True

    def set_routes(self, routes: Iterable[Route]) -> None:
        self.routes, self.slots = list(routes), None

    def drop_routes(self, gone: Callable[[Route], bool]) -> None:
        self.set_routes(route for route in self.routes if not gone(route))

    def went_down(self, dev: str) -> None:
        """What goes with a device that is set down: its routes (fib_disable_ip), IPv6 addresses (addrconf_ifdown), neighbours
        (neigh_ifdown, permanent ones too) and what was learned behind it (br_fdb_delete_by_port, vxlan_flush)."""
        old = self.interfaces[dev]
        self.change(dev, addresses=tuple(a for a in old.addresses if a.version == 4 or old.kind == "loopback"))
        self.drop_routes(lambda route: route.dev == dev)
        self.neighbors = {key: entry for key, entry in self.neighbors.items() if key[0] != dev}
        self.proxied = {entry for entry in self.proxied if entry[0] != dev}
        self.fdb = {key: entry for key, entry in self.fdb.items() if entry.dev != dev or entry.state != "dynamic"}

    def left_bridge(self, dev: str) -> None:
        """A port's flags are the bridge's, and gone with it; so are the FDB entries behind the port (del_nbp)."""
        self.change(dev, master=None, hairpin=False, isolated=False, learning=True, proxy_arp=False)
        self.fdb = {key: entry for key, entry in self.fdb.items() if entry.dev != dev or not entry.master}

    def stop_ipv6(self) -> None:
        """addrconf_disable_ipv6: no address, route or neighbour of IPv6 stays."""
        for old in list(self.interfaces.values()):
            self.change(old.name, addresses=tuple(a for a in old.addresses if a.version == 4))
        self.drop_routes(lambda route: route.dst.version == 6)
        self.neighbors = {key: entry for key, entry in self.neighbors.items() if key[1].version == 4}
        self.proxied = {entry for entry in self.proxied if entry[1].version == 4}

    def add_connected(self, interface: Interface, address: IPInterface) -> None:
        """The route to an address's own network, where the kernel adds one to the main table (fib_add_ifaddr, addrconf_prefix_route)."""
        network = address.network
        if address.__class__ is IPv6Interface:  # metric 256 and no preferred source
            self.add_route(Route(network, interface.name, proto="kernel", metric=256))
            return
        if interface.kind == "loopback" or network.prefixlen == 32:
            return
        first = next(a for a in interface.addresses if a is address or (a.version == 4 and a.network == network))
        if first is address or first == address:  # and not a secondary one
            self.add_route(Route(network, interface.name, src=address.ip, scope="link", proto="kernel"), append=True)


def _slot(route: Route) -> tuple:
    """What two routes of a table may not share: IPv4 forbids the same destination and metric, IPv6 only the same next hop as well."""
    dst = route.dst
    key = (route.table, dst.__class__, int(dst.network_address), int(dst.netmask), route.metric)
    return key if dst.__class__ is IPv4Network else (*key, route.via, route.dev)


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

    def inside(self, name: str) -> NsDraft | None:
        """As ``ns``; None for a namespace that is left out."""
        draft = self.drafts.get(name)
        return draft if draft is not None or self.outside(name) else self.ns(name)

    def peek(self, name: str) -> NsDraft | NetNS | None:
        """A namespace to be read only; None for one that is outside, or not there yet."""
        return self.drafts.get(name) or (None if self.outside(name) or name not in self.base else self.base[name])

    def has_carrier(self, ns: NsDraft, interface: Interface) -> bool:
        """Whether the link works (IFF_LOWER_UP): a veth needs both ends up, a bridge a port that works. A far end outside counts as up."""
        if not interface.up:
            return False
        if interface.kind == "bridge":
            return any(port.master == interface.name and self.has_carrier(ns, port) for port in ns.interfaces.values())
        if interface.peer is None or self.outside(interface.peer[0]):
            return True
        there = self.peek(interface.peer[0])
        far = there.interfaces.get(interface.peer[1]) if there else None
        return far is not None and far.up

    def link_changed(self, ns: NsDraft, interface: Interface) -> None:
        """After a change to a device: IPv6 begins where there is a carrier now, at both ends of a veth and on their bridges."""
        if not interface.up:
            return
        self._begin_ipv6(ns, interface)
        if interface.master:
            self._begin_ipv6(ns, ns.interfaces[interface.master])
        if interface.peer and not self.outside(interface.peer[0]) and self.has(interface.peer[0]):
            there = self.ns(interface.peer[0])
            far = there.interfaces.get(interface.peer[1])
            for each in (far, there.interfaces.get(far.master) if far and far.master else None):
                if each is not None:
                    self._begin_ipv6(there, each)

    def start_ipv6(self, netns: str) -> None:
        """IPv6 was switched on again: ::1 and the link-local addresses are back; others are not."""
        ns = self.ns(netns)
        for old in list(ns.interfaces.values()):
            if old.kind == "loopback" and LOOPBACK not in old.addresses:
                ns.change(old.name, addresses=(*old.addresses, LOOPBACK))
            self._begin_ipv6(ns, ns.interfaces[old.name])

    def _begin_ipv6(self, ns: NsDraft, interface: Interface) -> None:
        """Give a device with a carrier its link-local address (addrconf_link_ready, addrconf_addr_gen)."""
        if not interface.up or interface.kind in ("loopback", "ipip"):
            return
        for address in interface.addresses:
            if address.__class__ is IPv6Interface and is_link_local(address):
                return
        if ns.ipv6() and self.has_carrier(ns, interface):
            address = link_local(interface.mac)
            new = ns.change(interface.name, addresses=(*interface.addresses, address))
            ns.add_connected(new, address)

    def outside(self, name: str) -> bool:
        return self.only is not None and name not in self.only

    def has(self, name: str) -> bool:
        return name in self.drafts or name in self.base

    def freeze(self) -> Network:
        changed = {name: draft.freeze() for name, draft in self.drafts.items()}
        network = self.base.with_(changed)
        if all(self.base.is_built(name) and _same_to_others(new, self.base[name]) for name, new in changed.items()):
            network.cache = self.base.cache  # what stands at the far ends of links
        return network


def _same_to_others(new: NetNS, old: NetNS) -> bool:
    """Whether a namespace looks to its links as before: what a bridge knows of the far ends of its ports still holds."""
    same_rules = new.rulesets == old.rulesets and (new.nftables is old.nftables or _tables(new) == _tables(old))
    return new.interfaces is old.interfaces and same_rules and new.sysctls == old.sysctls


def _tables(namespace: NetNS) -> object:
    return namespace.nftables and namespace.nftables.tables


def build(ops: Iterable[Op], network: Network | None = None, only: frozenset[str] | None = None) -> Network:
    """The network after these ops, in order. O(n) in the ops. ModelError, naming the op's command, when one cannot be done, or for what is no op."""
    draft = Draft(network if network is not None else Network(), only)
    for op in ops:
        try:
            op.apply(draft)
        except ModelError as error:
            raise ModelError(f"{op.command()}: {error}") from None
        except (AttributeError, TypeError):
            if isinstance(op, type) or not hasattr(op, "apply"):
                raise ModelError(f'{op!r} is no op: one looks like LinkSet("node-a", "eth0", up=True)') from None
            raise
    return draft.freeze()
