"""The reference plug-in ``bridge``, with host-local addresses: a veth pair from each Pod to one bridge on its node.

What it does for one Pod is ``attach``; judged against runs of the real plug-in (containernetworking/plugins v1.9.1).
Alone, it connects the Pods of one node and no others: nobody tells the next node where the range is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ...errors import ModelError
from ...linux.addresses import ANY, with_length
from ...linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd, RulesRestore, SysctlSet
from ...linux.packet import IPAddress
from ...linux.state import IPInterface, IPNetwork, Route
from ...value import value
from .sandbox import Host, Sandbox, mac_for, socket_ops


@value
class BridgeConf:
    """The plug-in's network configuration (its JSON keys in snake_case); ``mtu`` 0 leaves the kernel's 1500."""

    bridge: str = "cni0"
    is_gateway: bool = True
    is_default_gateway: bool = True
    ip_masq: bool = False
    hairpin_mode: bool = False
    promisc_mode: bool = False
    port_isolation: bool = False
    mtu: int = 0

    def __post_init__(self) -> None:
        if self.hairpin_mode and self.promisc_mode:
            raise ModelError("cannot set hairpin mode and promiscuous mode at the same time")


def setup_bridge(conf: BridgeConf, node: str, gateways: Iterable[IPInterface] = ()) -> Iterable[Op]:
    """The bridge itself, with the gateway addresses of the Pod ranges if it is to be their gateway."""
    gateways = tuple(gateways)
    mac = mac_for(gateways[0].ip, "0a:58") if gateways else None
    yield LinkAdd(node, conf.bridge, "bridge", mac=mac, mtu=conf.mtu or None)
    yield LinkSet(node, conf.bridge, up=True)
    if conf.is_gateway:
        for gateway in gateways:
            yield AddrAdd(node, conf.bridge, gateway)
        yield from forwarding(node, {gateway.version for gateway in gateways})


def forwarding(node: str, versions: set[int]) -> Iterable[Op]:
    """A gateway must forward: the plug-in switches it on for the families it serves."""
    if 4 in versions:
        yield SysctlSet(node, "net.ipv4.ip_forward", 1)
    if 6 in versions:
        yield SysctlSet(node, "net.ipv6.conf.all.forwarding", 1)


def attach(
    conf: BridgeConf, sandbox: Sandbox, routes: Sequence[tuple[IPNetwork, IPAddress | None]], gateways: Sequence[IPAddress] = ()
) -> Iterable[Op]:
    """Connect one Pod (the plug-in's ADD): veth pair, port flags, addresses and the routes that IPAM gave.

    A route without a gateway goes by the gateway of the address of its family; ``gateways`` are those of the addresses, in order.
    """
    pod, port = sandbox.netns, sandbox.veth
    mac = mac_for(sandbox.addresses[0].ip, "0a:58") if sandbox.addresses else None
    yield LinkAdd(pod, "eth0", "veth", mac=mac, mtu=conf.mtu or None, peer=(sandbox.host, port))
    yield LinkSet(
        sandbox.host,
        port,
        master=conf.bridge,
        up=True,
        hairpin=True if conf.hairpin_mode else None,
        isolated=True if conf.port_isolation else None,
    )
    yield LinkSet(pod, "eth0", up=True)
    for address in sandbox.addresses:
        yield AddrAdd(pod, "eth0", address)
    by_family = {gateway.version: gateway for gateway in gateways}
    for dst, via in routes:
        yield RouteAdd(pod, Route(dst, "eth0", via or by_family.get(dst.version)))


def default_routes(addresses: Iterable[IPInterface], gateways: Sequence[IPAddress]) -> list[tuple[IPNetwork, IPAddress | None]]:
    """``isDefaultGateway``: a default route by the bridge for each family."""
    versions = {address.version for address in addresses}
    return [(ANY[g.version], g) for g in gateways if g.version in versions]


def masquerade_text(network: str, containers: Sequence[tuple[str, IPInterface]]) -> str:
    """The plug-in's ``ipMasq`` rules as iptables-restore text, for all the (container id, address) on the node (pkg/ip/ipmasq_iptables_linux.go)."""
    heads, jumps, rules = [], [], []
    for container, address in containers:
        chain = "CNI-" + hashlib.sha512((network + container).encode()).hexdigest()[:24]
        comment = f'-m comment --comment "name: \\"{network}\\" id: \\"{container}\\""'
        group = "224.0.0.0/4" if address.version == 4 else "ff00::/8"
        heads.append(f":{chain} - [0:0]")
        jumps.append(f"-A POSTROUTING -s {address.ip}/{address.max_prefixlen} {comment} -j {chain}")
        rules.append((chain, [f"-A {chain} -d {address.network} {comment} -j ACCEPT", f"-A {chain} ! -d {group} {comment} -j MASQUERADE"]))
    built_in = [f":{chain} ACCEPT [0:0]" for chain in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")]
    return "\n".join(["*nat", *built_in, *sorted(heads), *jumps, *(line for _, pair in sorted(rules) for line in pair), "COMMIT"])


def gateway_of(cidr: IPNetwork) -> IPInterface:
    """The first address of the range, with its prefix: host-local's default gateway."""
    return with_length(cidr.network_address + 1, cidr.prefixlen)


def gateways(host: Host) -> frozenset[IPAddress]:
    """The node's IPv4 addresses on its bridge."""
    return frozenset(gateway_of(cidr).ip for cidr in host.pod_cidrs if cidr.version == 4)


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node: the bridge, its Pods, and masquerading for what leaves the Pod range (``ipMasq``), as a plain bridge configuration has it."""
    conf = BridgeConf(hairpin_mode=True, ip_masq=True)
    yield from pods_on_bridge(conf, host, sandboxes, ())
    for version in sorted({a.version for s in sandboxes for a in s.addresses}):
        own = [(s.netns, a) for s in sandboxes for a in s.addresses if a.version == version]
        yield RulesRestore(host.name, masquerade_text("podnet", own), version)


def pods_on_bridge(conf: BridgeConf, host: Host, sandboxes: Sequence[Sandbox], extra: Sequence[IPNetwork]) -> Iterable[Op]:
    """The bridge with the node's Pods on it; ``extra`` are further destinations for which the bridge is the Pods' gateway."""
    gateways = [gateway_of(cidr) for cidr in host.pod_cidrs]
    yield from setup_bridge(conf, host.name, gateways)
    addresses = [gateway.ip for gateway in gateways]
    for sandbox in sandboxes:
        yield NetnsAdd(sandbox.netns)
        routes = [(dst, None) for dst in extra] + default_routes(sandbox.addresses, addresses)
        yield from attach(conf, sandbox, routes, addresses)
        yield from socket_ops(sandbox)
