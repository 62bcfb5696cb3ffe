"""What Calico does on every node, whichever way packets take between nodes: addresses from blocks, and a Pod alone on its cable.

No bridge. A Pod has its address with a prefix of /32, and one neighbour, 169.254.1.1, which nobody has: the host's end of the cable answers
for it by proxy ARP, with the MAC address ee:ee:ee:ee:ee:ee that all these ends share. In IPv6 the Pod's gateway is the link-local address that
belongs to that MAC. The node routes to each Pod by a route of its own. (Calico v3.30: cni-plugin/pkg/dataplane/linux, felix/dataplane/linux.)

Left out: the chains of Felix that accept and police workload traffic (there is no NetworkPolicy here), and the ipsets in which it keeps its
pools: the masquerade rule names the one pool's range.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from ...linux.addresses import ANY, ip_address, ip_network, network_around, with_length
from ...linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd, RulesRestore, SysctlSet
from ...linux.packet import IPAddress
from ...linux.state import IPNetwork, Route, link_local
from ...value import replace
from ..objects import Pod
from .addressing import Addresses, Allocate, Allocation, not_here, used_up
from .sandbox import Host, Sandbox, socket_ops
from .vxlan import cluster_cidr

GATEWAY = ip_address("169.254.1.1")
HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY6 = link_local(HOST_MAC).ip  # fe80::ecee:eeff:feee:eeee
BLOCK = {4: 26, 6: 122}  # prefix lengths: 64 addresses
FELIX = "80"  # the routing protocol number by which Felix knows its own routes


def veth(pod: Pod) -> str:
    """The host's end of a Pod's cable: ``cali`` and 11 hex digits of a hash of namespace and name."""
    return "cali" + hashlib.sha1(f"{pod.namespace}.{pod.name}".encode()).hexdigest()[:11]


# Addresses


def allocator(*tunnels: int) -> Allocate:
    """Calico's IPAM, for a setting that has a tunnel in these IP versions: the first address of a node's first block is then the tunnel's.

    A node claims blocks as it needs them, and its Pods get a block's addresses in order, the first and last among them: with /32 there is
    no network or broadcast address. Which blocks a node gets depends on a hash in the real one; here they are those of its Pod range.
    """

    def allocate(hosts: Sequence[Host], pods: Mapping[str, Sequence[Pod]]) -> Allocation:
        made = [_of_host(host, pods[host.name], tunnels) for host in hosts]
        given = {key: addresses for _, found, _, _ in made for key, addresses in found.items()}
        without = {key: used_up(host) for host, _, late, _ in made for key in late}
        return Allocation(tuple(host for host, *_ in made), given, without, tuple(note for *_, notes in made for note in notes))

    return allocate


def _of_host(host: Host, pods: Sequence[Pod], tunnels: Sequence[int]) -> tuple[Host, dict[str, Addresses], list[str], list[str]]:
    """One node: (with its blocks, addresses by Pod, Pods without, remarks)."""
    ranges = {cidr.version: cidr for cidr in host.pod_cidrs}
    taken: dict[int, set[int]] = {v: {0} if v in tunnels else set() for v in ranges}
    given: dict[str, Addresses] = {}
    late, notes, rest = [], [], []
    for pod in pods:  # what a status says comes first
        offsets = {a.version: int(a) - int(ranges[a.version][0]) for a in pod.pod_ips if a in ranges.get(a.version, ())}
        if len(offsets) == len(ranges) and not any(number in taken[v] for v, number in offsets.items()):
            given[pod.key] = tuple(ranges[v][number] for v, number in sorted(offsets.items(), key=lambda pair: list(ranges).index(pair[0])))
            for version, number in offsets.items():
                taken[version].add(number)
        else:
            notes += [not_here(pod, host)] if pod.pod_ips else []
            rest.append(pod)
    free = {v: _numbers(taken[v], cidr) for v, cidr in ranges.items()}
    for pod in rest:
        found = [next(free[v], None) for v in ranges]
        if None in found:
            late.append(pod.key)
            continue
        given[pod.key] = tuple(cidr[number] for cidr, number in zip(ranges.values(), found, strict=True))
        for version, number in zip(ranges, found, strict=True):
            taken[version].add(number)
    blocks = tuple(block for v, cidr in ranges.items() for block in _blocks(cidr, taken[v]))
    return replace(host, blocks=blocks), given, late, notes


def _numbers(taken: set[int], cidr: IPNetwork) -> Iterable[int]:
    return (number for number in range(cidr.num_addresses) if number not in taken)


def _blocks(cidr: IPNetwork, taken: set[int]) -> list[IPNetwork]:
    """The blocks in which these addresses lie; a small Pod range is one block."""
    length = max(BLOCK[cidr.version], cidr.prefixlen)
    size = 1 << cidr.max_prefixlen - length
    return [ip_network((int(cidr.network_address) + number * size, length)) for number in sorted({n // size for n in taken})]


def blocks(host: Host, version: int) -> list[IPNetwork]:
    return [block for block in host.blocks if block.version == version]


def tunnel_address(host: Host, version: int) -> IPAddress:
    return blocks(host, version)[0].network_address


# Pods


def pods(host: Host, sandboxes: Sequence[Sandbox], mtu: int) -> Iterable[Op]:
    """Every Pod of the node on its own cable, and the node as a router."""
    for sandbox in sandboxes:
        yield NetnsAdd(sandbox.netns)
        yield from attach(sandbox, mtu)
        yield from socket_ops(sandbox)


def attach(sandbox: Sandbox, mtu: int) -> Iterable[Op]:
    """Connect one Pod: the cable, its address with no neighbours, the way out, and the node's route to it."""
    pod, node, port = sandbox.netns, sandbox.host, sandbox.veth
    yield LinkAdd(pod, "eth0", "veth", mtu=mtu, peer=(node, port), peer_mac=HOST_MAC)
    yield LinkSet(node, port, up=True)
    yield LinkSet(pod, "eth0", up=True)
    for address in sandbox.addresses:
        yield AddrAdd(pod, "eth0", address)
        if address.version == 4:
            yield RouteAdd(pod, Route(ip_network(GATEWAY), "eth0", scope="link"))
            yield RouteAdd(pod, Route(ANY[4], "eth0", GATEWAY))
            yield SysctlSet(node, f"net.ipv4.conf.{port}.rp_filter", 1)  # a Pod may not send with another's address
            yield SysctlSet(node, f"net.ipv4.conf.{port}.proxy_arp", 1)
            yield SysctlSet(node, f"net.ipv4.neigh.{port}.proxy_delay", 0)
        else:
            yield RouteAdd(pod, Route(ANY[6], "eth0", GATEWAY6))
        yield RouteAdd(node, Route(network_around(address.ip, address.max_prefixlen), port, scope="link"))


# Between nodes


def own_blocks(host: Host, proto: str) -> Iterable[Op]:
    """A block's addresses that no Pod has lead nowhere: without these routes packets for them would go to the router and come back."""
    for block in host.blocks:
        yield RouteAdd(host.name, Route(block, type="blackhole", proto=proto))


def masquerade(host: Host, hosts: Sequence[Host]) -> Iterable[Op]:
    """``natOutgoing``: what leaves the pool for elsewhere does so in the node's name (felix, rules/nat.go)."""
    for cidr in host.pod_cidrs:
        pool = cluster_cidr([h.pod_cidr(cidr.version) for h in hosts if h.pod_cidr(cidr.version)])
        yield RulesRestore(host.name, _rules(pool), cidr.version)


def _rules(pool: IPNetwork) -> str:
    return f"""*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:cali-POSTROUTING - [0:0]
:cali-nat-outgoing - [0:0]
-A POSTROUTING -j cali-POSTROUTING
-A cali-POSTROUTING -j cali-nat-outgoing
-A cali-nat-outgoing -s {pool} ! -d {pool} -j MASQUERADE --random-fully
COMMIT"""


def tunnel_interface(address: IPAddress):
    return with_length(address, address.max_prefixlen)
