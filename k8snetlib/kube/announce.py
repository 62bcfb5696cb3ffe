"""A load balancer of the nodes' own: an address on their segment, and an elected node that answers ARP for it, with no machine beside.

kube-vip puts the address on the elected node's interface, as here in IPv4, and the kernel answers; MetalLB in layer 2 mode answers from
user space. Who asks sees no difference. In IPv6 the elected node answers as a proxy (``proxy_ndp``) and does not have the address, which
it would otherwise take for the source of what it sends itself. All packets for an address enter by one node: it is failover, and no
balancing beyond kube-proxy's.

The election is MetalLB's (speaker/layer2_controller.go): of the nodes that may, the one with the smallest SHA-256 hash of its name, ``#``
and the address. kube-vip elects by a Lease, so whoever comes first. In kube-proxy's IPVS mode every node has the address, on kube-ipvs0,
and would answer; there kube-proxy runs with ``strictARP``, as MetalLB demands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from ..linux.addresses import with_length
from ..linux.ops import AddrAdd, Op, ProxyNeighAdd, SysctlSet
from ..linux.packet import IPAddress
from ..linux.state import IPNetwork
from .balancers import by_service, candidates, pool_at, ready
from .cni.sandbox import Host
from .objects import Service
from .pools import BalancerPool
from .slices import EndpointSlice

OFFSETS = {4: (200,), 6: (0x200, 0xFF00)}
PREFIX = {4: 29, 6: 125}


def free_range(hosts: Sequence[Host], version: int) -> IPNetwork | None:
    """A few addresses of the first node's segment that no machine has: from .200 on where they are free, else near its end."""
    segment = next((net for host in hosts for net in [host.network(version)] if net is not None), None)
    if segment is None or segment.prefixlen >= PREFIX[version]:
        return None
    taken = {ip for host in hosts for ip in (*(a.ip for a in host.addresses), *host.gateways)}
    at = (int(segment.network_address) + offset for offset in OFFSETS[version] if offset < segment.num_addresses)
    first = (type(segment)((number, PREFIX[version])) for number in at)
    size = segment.num_addresses >> (segment.max_prefixlen - PREFIX[version]) if version == 4 else 0
    last = int(segment.broadcast_address) - 7 if version == 4 else 0
    more = (type(segment)((last - 8 * step, PREFIX[version])) for step in range(size))
    return next((net for net in (*first, *more) if not any(ip.version == version and ip in net for ip in taken)), None)


def elected(
    services: Iterable[Service], slices: Iterable[EndpointSlice], hosts: Sequence[Host], pools: Sequence[BalancerPool]
) -> dict[IPAddress, str]:
    """Address → the node that answers for it; an address for which no node may is not there.

    Nodes on another segment cannot, and there must be a ready endpoint: somewhere, or under ``externalTrafficPolicy: Local`` on the node.
    """
    parts, found = by_service(slices), {}
    for service in services:
        ips = [entry.ip for entry in service.load_balancer_ingress if entry.ip is not None]
        pool = pool_at(pools, ips[0]) if ips else None
        if pool is None or not pool.arp:
            continue
        places = {each.node_name for _, each in ready(parts.get(service.key, ()))}
        local = service.external_traffic_policy == "Local"
        may = [each for each in candidates(hosts, pool) if places and (not local or each.name in places)]
        may = [each for each in may if all(each.network(ip.version) and ip in each.network(ip.version) for ip in ips)]
        if may:
            winner = min(may, key=lambda each: sha256(f"{each.name}#{ips[0]}".encode()).digest())
            found |= dict.fromkeys(ips, winner.name)
    return found


def announce_ops(host: Host, leaders: Mapping[IPAddress, str]) -> Iterator[Op]:
    """How the node answers for the addresses for which it was elected."""
    own = [ip for ip, name in leaders.items() if name == host.name]
    if any(ip.version == 6 for ip in own):
        yield SysctlSet(host.name, "net.ipv6.conf.eth0.proxy_ndp", 1)
    for ip in own:
        yield AddrAdd(host.name, "eth0", with_length(ip, 32)) if ip.version == 4 else ProxyNeighAdd(host.name, "eth0", ip)


def strict_arp(host: Host) -> Iterator[Op]:
    """What kube-proxy sets with ``ipvs.strictARP``: ARP is answered for the addresses of the asked interface alone, and asked from them
    (pkg/proxy/ipvs/proxier.go)."""
    yield SysctlSet(host.name, "net.ipv4.conf.all.arp_ignore", 1)
    yield SysctlSet(host.name, "net.ipv4.conf.all.arp_announce", 2)
