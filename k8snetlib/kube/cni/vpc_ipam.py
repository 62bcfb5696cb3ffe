"""ipamd, the daemon that brings a node ENIs and addresses from its subnet: which Pod gets which address, and why one gets none.

On demand: an address, or a prefix of 16, is taken when a Pod needs it, and an ENI when those there are full. The real one keeps a supply
(WARM_ENI_TARGET, WARM_PREFIX_TARGET), which ``warm`` only counts; and where several ENIs have free addresses it takes any, here the first.
AWS chooses an address of the subnet as it likes, here the lowest. (amazon-vpc-cni-k8s v1.20, pkg/ipamd.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...errors import UnsupportedError
from ...linux.addresses import ip_network, network_around, with_length
from ...linux.packet import IPAddress
from ...linux.state import IPNetwork
from ...value import replace
from ..objects import Pod
from .addressing import Addresses, Allocate, Allocation, not_here
from .sandbox import Eni, Host
from .vpc_limits import PER_PREFIX, PREFIX, Limits, instance_type, limits

RESERVED = 4  # a subnet's first addresses: network, router, DNS, for the future; AWS keeps its last one as well
FAILED = 'plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container'
"""What the kubelet's event says (reason FailedCreatePodSandBox), whatever the cause."""
NO_ADDRESS = "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy the request."
NO_PREFIX = "InsufficientCidrBlocks: The specified subnet does not have enough free cidr blocks to satisfy the request."
"""What EC2 answers, and what stands in ipamd's log."""
ONE_FAMILY = (
    "the VPC CNI gives Pods IPv4 addresses here: an EKS cluster is IPv4 or IPv6, never both. IPv6 mode, in which each node has a prefix of "
    "/80 on its primary ENI and no other, is not modelled"
)


class Subnet:
    """A subnet of the VPC while addresses are given out; every node of the subnet, and whatever else is in it, draws on it.

    ``used`` are addresses that have an owner already. Mutable, for one allocation.
    """

    def __init__(self, network: IPNetwork, used: Iterable[IPAddress] = ()) -> None:
        self.network, self.used, self.promised = network, {int(a) for a in used}, set()
        self._low, self._high = int(network[0]) + RESERVED, int(network[-1])  # the last is out
        self._next, self._next_prefix = self._low, -(-self._low // PER_PREFIX) * PER_PREFIX  # nothing below is free

    def __contains__(self, address: IPAddress) -> bool:
        return address.version == self.network.version and self._low <= int(address) < self._high

    @property
    def usable(self) -> int:
        """All addresses but the five that AWS keeps."""
        return self._high - self._low

    @property
    def free(self) -> int:
        """How many addresses nobody has."""
        return self.usable - sum(self._low <= each < self._high for each in self.used)

    @property
    def free_prefixes(self) -> list[IPNetwork]:
        """The /28 ranges of which nobody has a single address. Fewer than ``free`` / 16, where addresses are scattered: fragmentation."""
        starts = range(-(-self._low // PER_PREFIX) * PER_PREFIX, self._high, PER_PREFIX)
        return [ip_network((first, PREFIX)) for first in starts if self._whole(first)]

    def whole(self, prefix: IPNetwork) -> bool:
        """Whether the prefix lies in the subnet and nobody has an address of it."""
        return self._whole(int(prefix[0]))

    def _whole(self, first: int) -> bool:
        inside = first >= self._low and first + PER_PREFIX <= self._high
        return inside and self.used.isdisjoint(range(first, first + PER_PREFIX))

    def promise(self, address: IPAddress, prefix: bool) -> None:
        """Keep the address, or its whole prefix, from everybody but the one who asks for it by name."""
        self.promised.update(range(int(_around(address)[0]), int(_around(address)[-1]) + 1) if prefix else [int(address)])

    def forget_promises(self) -> None:
        self.promised.clear()
        self._next, self._next_prefix = self._low, -(-self._low // PER_PREFIX) * PER_PREFIX

    def lowest(self) -> IPAddress | None:
        """Take the lowest address that nobody has or was promised."""
        while self._next < self._high and (self._next in self.used or self._next in self.promised):
            self._next += 1
        if self._next == self._high:
            return None
        self.used.add(self._next)
        return self.network[self._next - int(self.network[0])]

    def take(self, address: IPAddress) -> bool:
        """Take this address; False if it is no free address of the subnet."""
        if address not in self or int(address) in self.used:
            return False
        self.used.add(int(address))
        return True

    @property
    def has_prefix(self) -> bool:
        """Whether there is a /28 that is wholly free and promised to nobody."""
        while self._next_prefix < self._high and not self._offered(self._next_prefix):
            self._next_prefix += PER_PREFIX
        return self._next_prefix < self._high

    def _offered(self, first: int) -> bool:
        return self._whole(first) and self.promised.isdisjoint(range(first, first + PER_PREFIX))

    def prefix(self, around: IPAddress | None = None) -> IPNetwork | None:
        """Take a /28 that is wholly free: the one that has an address, else the first without a promised one."""
        if around is not None:
            found = _around(around) if self.whole(_around(around)) else None
        else:
            found = ip_network((self._next_prefix, PREFIX)) if self.has_prefix else None
        if found is not None:
            self.used.update(range(int(found[0]), int(found[0]) + PER_PREFIX))
        return found


def _around(address: IPAddress) -> IPNetwork:
    return network_around(address, PREFIX)


class _Node:
    """One node's pool: its ENIs, and what is free on them."""

    def __init__(self, host: Host, subnet: Subnet, prefix: bool) -> None:
        self.host, self.subnet, self.kind = host, subnet, instance_type(host.node)
        self.limits: Limits = limits(self.kind)
        self.prefix = prefix and self.limits.nitro  # else ipamd falls back to secondary addresses
        self.enis = [Eni(0, host.addresses[0])]

    def give(self, wanted: IPAddress | None = None) -> tuple[IPAddress | None, str]:
        """(an address for one more Pod, "") or (None, why there is none)."""
        return self._from_prefix(wanted) if self.prefix else self._secondary(wanted)

    def _secondary(self, wanted: IPAddress | None) -> tuple[IPAddress | None, str]:
        if wanted is not None and (wanted not in self.subnet or int(wanted) in self.subnet.used):
            return None, NO_ADDRESS
        eni, why = self._room(lambda each: len(each.pods) < self.limits.slots, 2)
        if eni is None:
            return None, why
        address = wanted if wanted is not None and self.subnet.take(wanted) else self.subnet.lowest()
        if address is None:
            return None, NO_ADDRESS
        self._put(eni, pods=(*eni.pods, address))
        return address, ""

    def _from_prefix(self, wanted: IPAddress | None) -> tuple[IPAddress | None, str]:
        for eni in self.enis:
            for prefix in eni.prefixes:
                address = next((a for a in ([wanted] if wanted else prefix) if a in prefix and not self._has(a)), None)
                if address is not None:
                    self._put(eni, pods=(*eni.pods, address))
                    return address, ""
        if wanted is not None and not self.subnet.whole(_around(wanted)):
            return None, NO_PREFIX
        eni, why = self._room(lambda each: len(each.prefixes) < self.limits.slots, 1)
        if eni is None:
            return None, why
        prefix = self.subnet.prefix(wanted)
        if prefix is None:
            return None, NO_PREFIX
        self._put(eni, prefixes=(*eni.prefixes, prefix))
        return self._from_prefix(wanted)

    def _has(self, address: IPAddress) -> bool:
        return any(address in eni.pods for eni in self.enis)

    def _room(self, fits, needed: int) -> tuple[Eni | None, str]:
        """The first ENI with a free slot, if need be a new one, for which the subnet must have ``needed`` addresses: its own, and one more."""
        found = next(filter(fits, self.enis), None)
        if found is not None:
            return found, ""
        if len(self.enis) == self.limits.enis:
            return None, self.full
        if self.prefix and not self.subnet.has_prefix:
            return None, NO_PREFIX
        if self.subnet.free < needed or (address := self.subnet.lowest()) is None:
            return None, NO_ADDRESS
        length = self.host.addresses[0].network.prefixlen
        self.enis.append(Eni(len(self.enis), with_length(address, length)))
        return self.enis[-1], ""

    @property
    def full(self) -> str:
        slots, one = self.limits.slots, self.limits.slots == 1
        what = f"{slots} {'prefix' if one else 'prefixes'}" if self.prefix else f"{slots} {'address' if one else 'addresses'} for Pods"
        return f"{self.host.name} is a {self.kind}: {self.limits.enis} ENIs with {what} each, and all of them are in use"

    def _put(self, eni: Eni, **changes) -> None:
        self.enis[eni.number] = replace(eni, **changes)

    def done(self) -> Host:
        """The node as its network agent sees it; in a VPC it has no Pod range of its own."""
        node = replace(self.host.node, pod_cidrs=()) if self.host.node is not None else None
        return replace(self.host, pod_cidrs=(), enis=tuple(self.enis), node=node)


def allocator(prefix: bool) -> Allocate:
    """Addresses of the VPC for Pods: secondary addresses of the node's ENIs, or (``prefix``) addresses out of /28 prefixes on them.

    A Pod whose status names an address of its node's subnet keeps it, where that can be.
    """

    def allocate(hosts: Sequence[Host], pods: Mapping[str, Sequence[Pod]]) -> Allocation:
        if any(address.version == 6 for host in hosts for address in host.addresses):
            raise UnsupportedError(ONE_FAMILY)
        subnets = {network: Subnet(network) for network in dict.fromkeys(host.addresses[0].network for host in hosts)}
        for host in hosts:
            subnets[host.addresses[0].network].used.add(int(host.addresses[0].ip))
        nodes = [_Node(host, subnets[host.addresses[0].network], prefix) for host in hosts]
        given, notes = _kept(nodes, pods)
        without: dict[str, str] = {}
        for node in nodes:
            node.subnet.forget_promises()
        for node in nodes:
            for pod in pods[node.host.name]:
                if pod.key in given:
                    continue
                address, why = node.give()
                if address is None:
                    without[pod.key] = f"{FAILED} ({why})"
                else:
                    given[pod.key] = (address,)
        return Allocation(tuple(node.done() for node in nodes), given, without, tuple(notes))

    return allocate


secondary, delegated = allocator(prefix=False), allocator(prefix=True)


def _kept(nodes: Sequence[_Node], pods: Mapping[str, Sequence[Pod]]) -> tuple[dict[str, Addresses], list[str]]:
    """The Pods that keep the address in their status, and remarks about those that cannot."""
    given: dict[str, Addresses] = {}
    notes = []
    stated = [
        (node, pod, next((a for a in pod.pod_ips if a.version == 4), None)) for node in nodes for pod in pods[node.host.name] if pod.pod_ips
    ]
    for node, _, wanted in stated:
        if wanted is not None and wanted in node.subnet:
            node.subnet.promise(wanted, node.prefix)
    for node, pod, wanted in stated:
        address = node.give(wanted)[0] if wanted is not None and wanted in node.subnet else None
        if address is None:
            notes.append(not_here(pod, node.host))
        else:
            given[pod.key] = (address,)
    return given, notes


def warm(kind: str, pods: int, prefix: bool = False) -> tuple[int, int]:
    """(ENIs, addresses of the subnet) that ipamd holds by default for so many Pods, in the long run: a full ENI more than they need
    (WARM_ENI_TARGET=1), or one prefix more (WARM_PREFIX_TARGET=1); its own address for each ENI (docs/eni-and-ip-target.md,
    prefix-and-ip-target.md)."""
    found = limits(kind)
    if prefix and found.nitro:
        prefixes = min(-(-pods // PER_PREFIX) + 1, found.enis * found.slots)
        enis = -(-prefixes // found.slots)
        return enis, enis + prefixes * PER_PREFIX
    enis = min(-(-pods // found.slots) + 1, found.enis)
    return enis, enis * found.addresses
