"""Flannel's VXLAN back end: the bridge plug-in on each node, and between the nodes a tunnel that knows every far end beforehand.

For every other node flanneld writes three lines: a route to its Pod range by its tunnel address, a neighbour entry (tunnel address → MAC) and an FDB
entry (MAC → node address). Nothing is learned from packets (flannel, Documentation/backends.md and pkg/backend/vxlan). UDP port 8472 is the Linux kernel's
default, older than IANA's 4789. IPv6 has a device of its own, ``flannel-v6.1``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from ...linux.addresses import ends, ip_network, with_length
from ...linux.netfilter import BUILT_IN, Chain, Rule, Ruleset, Table
from ...linux.ops import AddrAdd, FdbAdd, LinkAdd, LinkSet, NeighAdd, Op, RouteAdd, RulesRestore, stable_mac
from ...linux.packet import IPAddress
from ...linux.state import FdbEntry, IPNetwork, Neighbor, Route, VxlanConfig
from ...linux.targets import Jump, Nat, Verdict
from ...linux.xtables import Comment, Mark
from .bridge import BridgeConf, gateways, pods_on_bridge
from .sandbox import Host, Sandbox

PORT, VNI = 8472, 1
USUAL = {4: ip_network("10.244.0.0/16"), 6: ip_network("fd00:244::/48")}
OVERHEAD = {4: 50, 6: 70}  # bytes: outer IP (20 or 40), UDP 8, VXLAN 8, inner Ethernet 14
MULTICAST = {4: ip_network("224.0.0.0/4"), 6: ip_network("ff00::/8")}
_ACCEPT, _RETURN, _MASQUERADE = Verdict("ACCEPT"), Verdict("RETURN"), Nat("MASQUERADE", random_fully=True)
_FORWARD, _MASQ = (Comment("flanneld forward"),), (Comment("flanneld masq"),)
_FORWARD_JUMP, _MASQ_JUMP = Rule(matches=_FORWARD, target=Jump("FLANNEL-FWD")), Rule(matches=_MASQ, target=Jump("FLANNEL-POSTRTG"))
_MARKED = Rule(matches=(Mark(0x4000, 0x4000), *_MASQ), target=_RETURN)  # by kube-proxy, which masquerades it
_SOURCE, _DESTINATION = frozenset(["src"]), frozenset(["dst"])


def _built_in(table: str, rules: Mapping[str, tuple[Rule, ...]]) -> dict[str, Chain]:
    return {chain: Chain(chain, "ACCEPT", rules.get(chain, ())) for chain in BUILT_IN[table]}


_FILTER, _NAT = _built_in("filter", {"FORWARD": (_FORWARD_JUMP,)}), _built_in("nat", {"POSTROUTING": (_MASQ_JUMP,)})


def device(version: int) -> str:
    return f"flannel.{VNI}" if version == 4 else f"flannel-v6.{VNI}"


def answers(host: Host) -> frozenset[IPAddress]:
    """The node's IPv4 addresses on its bridge and its tunnel."""
    return gateways(host) | {cidr.network_address for cidr in host.pod_cidrs if cidr.version == 4}


def pod_mtu(host: Host) -> int:
    """What is left for a Pod's packet, in bytes, once the outer headers are on."""
    versions = {cidr.version for cidr in host.pod_cidrs}
    return host.mtu - max(OVERHEAD[version] for version in versions)


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node: the bridge with its Pods, the tunnel device, three entries for every other node, and flanneld's rules."""
    clusters = {
        cidr.version: cluster_cidr([h.pod_cidr(cidr.version) for h in hosts if h.pod_cidr(cidr.version)]) for cidr in host.pod_cidrs
    }
    conf = BridgeConf(hairpin_mode=True, mtu=pod_mtu(host))
    yield from pods_on_bridge(conf, host, sandboxes, tuple(clusters.values()))
    for cidr in host.pod_cidrs:
        yield from _tunnel(host, cidr, hosts)
        yield RulesRestore(host.name, ruleset(clusters[cidr.version], cidr), cidr.version)


def _tunnel(host: Host, cidr: IPNetwork, hosts: Sequence[Host]) -> Iterable[Op]:
    version = cidr.version
    dev, local = device(version), host.address(version)
    yield LinkAdd(
        host.name,
        dev,
        "vxlan",
        mac=vtep_mac(host, version),
        mtu=host.mtu - OVERHEAD[version],
        vxlan=VxlanConfig(VNI, local, "eth0", PORT, False),
    )
    yield AddrAdd(host.name, dev, with_length(cidr.network_address, cidr.max_prefixlen))
    yield LinkSet(host.name, dev, up=True)
    for other in hosts:
        far = other.pod_cidr(version)
        if other.name == host.name or far is None:
            continue
        gateway, mac = far.network_address, vtep_mac(other, version)
        yield RouteAdd(host.name, Route(far, dev, gateway, onlink=True))
        yield NeighAdd(host.name, Neighbor(dev, gateway, mac))
        yield FdbAdd(host.name, FdbEntry(dev, mac, dst=other.address(version), state="permanent"))


def vtep_mac(host: Host, version: int) -> str:
    """The tunnel device's MAC address; a node publishes it in the annotation ``flannel.alpha.coreos.com/backend-data``."""
    return stable_mac(host.name, device(version))


def cluster_cidr(cidrs: Sequence[IPNetwork]) -> IPNetwork:
    """The cluster's Pod network: 10.244.0.0/16 (or fd00:244::/48) where the ranges lie in it, else the smallest network around them."""
    usual = USUAL[cidrs[0].version]
    both = [ends(cidr) for cidr in cidrs]
    low, high = min(first for first, _ in both), max(last for _, last in both)
    first, last = ends(usual)
    if first <= low and high <= last:
        return usual
    free = (low ^ high).bit_length()
    return ip_network((low >> free << free, usual.max_prefixlen - free))


def rules(cluster: IPNetwork, pods: IPNetwork) -> str:
    """flanneld's forward and masquerade rules as iptables-restore text (flannel v0.28, pkg/trafficmngr/iptables)."""
    return str(ruleset(cluster, pods))


def ruleset(cluster: IPNetwork, pods: IPNetwork) -> Ruleset:
    """The rules as values: every node has them, and they differ by its Pod range alone."""
    group = MULTICAST[cluster.version]
    masquerading = (
        _MARKED,
        Rule(pods, cluster, matches=_MASQ, target=_RETURN),
        Rule(cluster, pods, matches=_MASQ, target=_RETURN),
        Rule(cluster, pods, matches=_MASQ, target=_RETURN, negated=_SOURCE),
        Rule(cluster, group, matches=_MASQ, target=_MASQUERADE, negated=_DESTINATION),
        Rule(cluster, cluster, matches=_MASQ, target=_MASQUERADE, negated=_SOURCE),
    )
    nat = Table("nat", MappingProxyType({**_NAT, "FLANNEL-POSTRTG": Chain("FLANNEL-POSTRTG", None, masquerading)}))
    return Ruleset({"filter": _forward_table(cluster), "nat": nat}, cluster.version)


@lru_cache(maxsize=64)
def _forward_table(cluster: IPNetwork) -> Table:
    """The filter table, which is the same on every node."""
    accepted = tuple(Rule(*ends, matches=_FORWARD, target=_ACCEPT) for ends in ((cluster, None), (None, cluster)))
    return Table("filter", MappingProxyType({**_FILTER, "FLANNEL-FWD": Chain("FLANNEL-FWD", None, accepted)}))
