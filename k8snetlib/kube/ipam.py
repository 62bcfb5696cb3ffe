"""Who gets which address: a Node's Pod range out of the cluster's, and a Pod's address out of the Node's range.

The second half is the ``host-local`` plug-in (containernetworking/plugins v1.9.1) as a pure function: a :class:`Store` goes in, addresses
and a new Store come out. Ranges, defaults, order of allocation and error texts are the plug-in's own: the gateway is the first address of
the subnet, Pods start at the second, and the next Pod gets the address after the one given out last, whether or not a lower one is free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from itertools import pairwise
from typing import Any

from ..errors import ModelError
from ..linux.addresses import ends, ip_address, ip_network, with_length
from ..value import replace, value
from .objects import IPAddress, IPNetwork, Node
from .selectors import FrozenDict

_LENGTH = re.compile(r"\d{1,3}", re.ASCII)

# --- Node ranges


def node_cidr(cluster_cidr: IPNetwork, index: int, mask_size: int | None = None) -> IPNetwork:
    """The ``index``-th Pod range (from 0) of a cluster's range; prefix length 24 for IPv4 and 64 for IPv6 unless told otherwise.

    Raises ModelError if the mask does not fit or the range has no such block, in the words of kube-controller-manager's allocator.
    """
    mask = mask_size if mask_size is not None else 24 if cluster_cidr.version == 4 else 64
    if not cluster_cidr.prefixlen <= mask <= cluster_cidr.max_prefixlen:
        raise ModelError(f"the node mask /{mask} does not fit into the cluster CIDR {cluster_cidr}")
    if mask - cluster_cidr.prefixlen > 16:
        raise ModelError(f"New CIDR set failed; the node CIDR size is too big: /{mask} out of {cluster_cidr} makes more than 65,536 ranges")
    if not 0 <= index < 1 << (mask - cluster_cidr.prefixlen):
        raise ModelError("CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range")
    network = type(cluster_cidr)
    return network((int(cluster_cidr.network_address) + (index << (cluster_cidr.max_prefixlen - mask)), mask))


def assign_pod_cidrs(
    nodes: Iterable[Node], cluster_cidrs: Sequence[IPNetwork], mask_sizes: Sequence[int | None] = (), first_index: int = 0
) -> tuple[Node, ...]:
    """The Nodes with a Pod range of each cluster range (one or two, for dual stack), in order; a Node that has ranges keeps them.

    kube-controller-manager starts with block 0; the course starts with 1, so that node-a has 10.244.1.0/24. Raises ModelError when a range
    is used up or two Nodes' own ranges overlap.
    """
    nodes = tuple(nodes)
    taken = [network for node in nodes for network in node.pod_cidrs]
    _refuse_overlap(nodes)
    streams = []
    for position, cluster_cidr in enumerate(cluster_cidrs):
        mask = mask_sizes[position] if position < len(mask_sizes) else None
        streams.append(_free_blocks(cluster_cidr, mask, first_index, taken))
    return tuple(node if node.pod_cidrs else replace(node, pod_cidrs=tuple(next(stream) for stream in streams)) for node in nodes)


def _free_blocks(cluster_cidr: IPNetwork, mask: int | None, index: int, taken: list[IPNetwork]) -> Iterator[IPNetwork]:
    occupied = sorted(ends(each) for each in taken if each.version == cluster_cidr.version)
    while True:
        block = node_cidr(cluster_cidr, index, mask)
        index += 1
        first, last = ends(block)
        if not any(low <= last and first <= high for low, high in occupied):
            yield block


def _refuse_overlap(nodes: Iterable[Node]) -> None:
    ranges = sorted(((each.version, *ends(each), each, node.name) for node in nodes for each in node.pod_cidrs), key=_first)
    for one, other in pairwise(ranges):
        if one[0] == other[0] and other[1] <= one[2]:
            raise ModelError(f"the Pod ranges of the Nodes {one[4]} ({one[3]}) and {other[4]} ({other[3]}) overlap")


def _first(entry: tuple[Any, ...]) -> tuple[int, int]:
    return entry[0], entry[1]


# --- host-local: ranges


@value
class Range:
    """A part of a subnet to allocate from, both ends included; :func:`make_range` fills in the defaults. ``str()`` is as in messages."""

    subnet: IPNetwork
    range_start: IPAddress
    range_end: IPAddress
    gateway: IPAddress

    def holds(self, address: IPAddress) -> bool:
        return address.version == self.subnet.version and int(self.range_start) <= int(address) <= int(self.range_end)

    def __str__(self) -> str:
        return f"{self.range_start}-{self.range_end}"


RangeSet = tuple[Range, ...]
"""Alternatives: a Pod gets one address of each set, from whichever of the set's ranges has one."""


def make_range(subnet: str | IPNetwork, range_start: str = "", range_end: str = "", gateway: str = "") -> Range:
    """A Range, completed and checked like the plug-in's ``Range.Canonicalize``; raises ModelError in its words."""
    head, network = _parse_cidr(subnet)
    if network.prefixlen > network.max_prefixlen - 2:
        raise ModelError(f"Network {head}/{network.prefixlen} too small to allocate from")
    if head != network.network_address:
        message = f"For a subnet mask of length {network.prefixlen} the network address is {network.network_address}"
        raise ModelError(f"Network has host bits set. {message}")
    first = network.network_address + 1
    door = _parse_ip(gateway) if gateway else first
    if gateway and door not in network:
        raise ModelError(f"gateway {door} not in network {network}")
    start = _inside(_parse_ip(range_start), network) if range_start else first
    last = ends(network)[1] - (network.version == 4)  # IPv6 has no broadcast address to leave out
    end = _inside(_parse_ip(range_end), network, start) if range_end else type(first)(last)
    return Range(network, start, end, door)


def _parse_cidr(text: str | IPNetwork) -> tuple[IPAddress, IPNetwork]:
    if not isinstance(text, str):
        return text.network_address, text
    head, _, length = text.partition("/")
    try:
        if not _LENGTH.fullmatch(length) or "%" in head:
            raise ValueError
        return ip_address(head), ip_network(text, strict=False)
    except ValueError:
        raise ModelError(f"invalid CIDR address: {text}") from None


def _parse_ip(text: str) -> IPAddress:
    try:
        if "%" in text:
            raise ValueError
        address = ip_address(text)
    except ValueError:
        raise ModelError(f"invalid IP address: {text}") from None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _inside(address: IPAddress, network: IPNetwork, start: IPAddress | None = None) -> IPAddress:
    if address.version != network.version:
        raise ModelError(f"IP {address} is not the same protocol as subnet {network}")
    if address not in network:
        raise ModelError(f"{address} not in network {network}")
    if start is not None and address < start:
        raise ModelError(f"{address} is in network {network} but before start {start}")
    return address


def range_sets(ipam: Mapping[str, Any]) -> tuple[RangeSet, ...]:
    """The range sets of a CNI configuration's ``ipam`` section: ``ranges`` and the old single ``subnet``; raises ModelError."""
    written = [list(each) for each in ipam.get("ranges", ())]
    if ipam.get("subnet"):
        written.insert(0, [ipam])
    if not written:
        raise ModelError("no IP ranges specified")
    for each in written:  # the plug-in decodes all of its JSON before it looks at any range
        for entry in each:
            _parse_cidr(entry.get("subnet", ""))
    sets = []
    for index, each in enumerate(written):
        try:
            sets.append(_range_set(each))
        except ModelError as error:
            raise ModelError(f"invalid range set {index}: {error}") from None
    for index, one in enumerate(sets):
        for other in range(index + 1, len(sets)):
            if any(_overlap(a, b) for a in one for b in sets[other]):
                raise ModelError(f"range set {index} overlaps with {other}")
    return tuple(sets)


def _range_set(entries: Sequence[Mapping[str, Any]]) -> RangeSet:
    if not entries:
        raise ModelError("empty range set")
    out: list[Range] = []
    for entry in entries:
        made = make_range(entry["subnet"], entry.get("rangeStart", ""), entry.get("rangeEnd", ""), entry.get("gateway", ""))
        if out and made.subnet.version != out[0].subnet.version:
            raise ModelError("mixed address families")
        out.append(made)
    for index, one in enumerate(out):
        for other in out[index + 1 :]:
            if _overlap(one, other):
                raise ModelError(f"subnets {one} and {other} overlap")
    return tuple(out)


def _overlap(one: Range, other: Range) -> bool:
    return one.subnet.version == other.subnet.version and one.range_start <= other.range_end and other.range_start <= one.range_end


# --- host-local: allocation

Owner = tuple[str, str]
"""(container id, interface name)."""


@value
class Store:
    """What the plug-in keeps under /var/lib/cni/networks/NAME: a file for each address, and ``last_reserved_ip.N`` for range set N."""

    reserved: FrozenDict[IPAddress, Owner] = field(default_factory=FrozenDict)
    last_reserved: FrozenDict[int, IPAddress] = field(default_factory=FrozenDict)


@value
class IPConfig:
    """One address for a Pod: with its subnet's prefix length, and the gateway of that subnet."""

    address: IPv4Interface | IPv6Interface
    gateway: IPAddress


class AllocationError(ModelError):
    """No address; ``store`` is what the failed attempt leaves behind: nothing reserved, but the place of the round robin has moved."""

    def __init__(self, message: str, store: Store) -> None:
        super().__init__(message)
        self.store = store


def add(
    sets: Sequence[RangeSet], store: Store, container: str, ifname: str = "eth0", requested: Iterable[IPAddress] = ()
) -> tuple[tuple[IPConfig, ...], Store]:
    """The command ADD: one address of each range set for a container's interface. Raises :class:`AllocationError`."""
    work = _Work(sets, store)
    return work.add((container, ifname), list(requested)), work.store()


def add_all(sets: Sequence[RangeSet], store: Store, containers: Iterable[str]) -> tuple[list[tuple[IPConfig, ...]], Store]:
    """ADD for many containers' eth0, one after the other, in time proportional to their number."""
    work = _Work(sets, store)
    return [work.add((container, "eth0"), []) for container in containers], work.store()


def delete(store: Store, container: str, ifname: str = "eth0") -> Store:
    """The command DEL: gives all addresses of a container's interface back; no error if there are none."""
    kept = {address: owner for address, owner in store.reserved.items() if owner != (container, ifname)}
    return replace(store, reserved=FrozenDict(kept))


class _Work:
    """A Store opened for writing."""

    def __init__(self, sets: Sequence[RangeSet], store: Store) -> None:
        self.sets = sets
        self.reserved, self.last = dict(store.reserved), dict(store.last_reserved)
        self.owned: dict[Owner, list[IPAddress]] = {}
        for address, owner in self.reserved.items():
            self.owned.setdefault(owner, []).append(address)

    def store(self) -> Store:
        return Store(FrozenDict(self.reserved), FrozenDict(self.last))

    def add(self, owner: Owner, requested: list[IPAddress]) -> tuple[IPConfig, ...]:
        out = []
        try:
            for index, ranges in enumerate(self.sets):
                wanted = next((each for each in requested if _range_of(ranges, each)), None)
                if wanted is not None:
                    requested.remove(wanted)
                try:
                    config = self.pick(index, ranges, owner) if wanted is None else self.claim(index, ranges, owner, wanted)
                except ModelError as error:
                    raise ModelError(f"failed to allocate for range {index}: {error}") from None
                out.append(config)
            if requested:
                raise ModelError(f"failed to allocate all requested IPs: {' '.join(map(str, requested))}")
        except ModelError as error:
            for address in self.owned.pop(owner, []) if out else []:  # the plug-in releases by owner, older addresses included
                del self.reserved[address]
            raise AllocationError(str(error), self.store()) from None
        return tuple(out)

    def reserve(self, index: int, owner: Owner, address: IPAddress) -> bool:
        if address in self.reserved:
            return False
        self.reserved[address] = owner
        self.owned.setdefault(owner, []).append(address)
        self.last[index] = address
        return True

    def claim(self, index: int, ranges: RangeSet, owner: Owner, wanted: IPAddress) -> IPConfig:
        """A requested address."""
        chosen = _range_of(ranges, wanted)
        if chosen is None:
            raise ModelError(f"{wanted} not in range set {_text(ranges)}")
        if wanted == chosen.gateway:
            raise ModelError(f"requested ip {wanted} is subnet's gateway")
        if not self.reserve(index, owner, wanted):
            raise ModelError(f"requested IP address {wanted} is not available in range set {_text(ranges)}")
        return _config(chosen, wanted)

    def pick(self, index: int, ranges: RangeSet, owner: Owner) -> IPConfig:
        """The next free address after the one given out last, round and round through all ranges of the set."""
        for address in self.owned.get(owner, ()):
            if _range_of(ranges, address):
                raise ModelError(f"{address} has been allocated to {owner[0]}, duplicate allocation is not allowed")
        for chosen, address in _round_robin(ranges, self.last.get(index)):
            if address != chosen.gateway and self.reserve(index, owner, address):
                return _config(chosen, address)
        raise ModelError(f"no IP addresses available in range set: {_text(ranges)}")


def _round_robin(ranges: RangeSet, last: IPAddress | None) -> Iterator[tuple[Range, IPAddress]]:
    """Every address of the set once, beginning after ``last``, or at the beginning if ``last`` is not of this set."""
    where = next((number for number, each in enumerate(ranges) if last is not None and each.holds(last)), None)
    if where is None:
        for each in ranges:
            yield from _between(each, int(each.range_start), int(each.range_end))
        return
    yield from _between(ranges[where], int(last) + 1, int(ranges[where].range_end))
    for each in (*ranges[where + 1 :], *ranges[:where]):
        yield from _between(each, int(each.range_start), int(each.range_end))
    yield from _between(ranges[where], int(ranges[where].range_start), int(last))


def _between(chosen: Range, first: int, last: int) -> Iterator[tuple[Range, IPAddress]]:
    make = type(chosen.range_start)
    return ((chosen, make(number)) for number in range(first, last + 1))


def _range_of(ranges: RangeSet, address: IPAddress) -> Range | None:
    return next((each for each in ranges if each.holds(address)), None)


def _config(chosen: Range, address: IPAddress) -> IPConfig:
    return IPConfig(with_length(address, chosen.subnet.prefixlen), chosen.gateway)


def _text(ranges: RangeSet) -> str:
    return ",".join(map(str, ranges))
