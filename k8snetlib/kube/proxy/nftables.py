"""kube-proxy's nftables mode: the table ``kube-proxy`` of one address family of one node.

Follows pkg/proxy/nftables/proxier.go of Kubernetes 1.36. Theory of operation. What a Service port is reached by (cluster IP, external
IPs, load balancer IPs, node port) are elements of verdict maps, so that a packet needs one lookup whatever the number of Services.
``service-…`` and ``local-…`` chains choose an endpoint at random; with session affinity they first look whether the client is known to
one, and each endpoint has a chain that remembers the client. ``external-…`` chains hold the rules for traffic from outside. Traffic to
ports without endpoints is rejected or dropped by maps of their own, after translation has not happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from ...linux.nftables import Chain, Hook, Table
from ...linux.nftables_sets import Element, NftSet, arranged
from ...linux.nftables_types import TYPES, merged, types_of
from ...linux.ops import NftReplace, Op
from ..objects import Service
from ..slices import EndpointSlice
from .config import MASQUERADE_MARK, ProxyConfig
from .endpoints import Categories, ProxyEndpoint, ServicePortInfo, categorize, endpoints_by_port, service_ports

TABLE = "kube-proxy"
MARK = f"{MASQUERADE_MARK:#010x}"
NAME_LIMIT = 240
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PAIRS = tuple(one + other for one in BASE32 for other in BASE32)  # ten bits as two characters (RFC 4648 section 6)
SET_MARK = f"meta mark set meta mark | {MARK}"
# Chain → hook, and the rule by which it jumps; names and priorities as kube-proxy gives them.
BASE_CHAINS = (
    ("filter-prerouting-pre-dnat", Hook("filter", "prerouting", -110), ("ct state new jump firewall-check",)),
    ("filter-output-pre-dnat", Hook("filter", "output", -110), ("ct state new jump firewall-check",)),
    (
        "filter-input",
        Hook("filter", "input", 0),
        ("ct state new jump nodeport-endpoints-check", "ct state new jump service-endpoints-check"),
    ),
    ("filter-forward", Hook("filter", "forward", 0), ("ct state new jump service-endpoints-check", "ct state new jump cluster-ips-check")),
    ("filter-output", Hook("filter", "output", 0), ("ct state new jump service-endpoints-check", "ct state new jump cluster-ips-check")),
    ("nat-prerouting", Hook("nat", "prerouting", -100), ("jump services",)),
    ("nat-output", Hook("nat", "output", -100), ("jump services",)),
    ("nat-postrouting", Hook("nat", "postrouting", 100), ("jump masquerading",)),
)
# Map or set → key type, data type, comment; {ip} stands for ipv4_addr or ipv6_addr.
SERVICE_KEY = "{ip} . inet_proto . inet_service"
SETS = MappingProxyType(
    {
        "cluster-ips": ("{ip}", "", "Active ClusterIPs"),
        "hairpin-connections": ("{ip} . {ip} . inet_proto . inet_service", "", "service hairpin connections"),
        "nodeport-ips": ("{ip}", "", "IPs that accept NodePort traffic"),
        "firewall-ips": (SERVICE_KEY, "verdict", "destinations that are subject to LoadBalancerSourceRanges"),
        "no-endpoint-nodeports": (
            "inet_proto . inet_service", "verdict", "vmap to drop or reject packets to service nodeports with no endpoints",
        ),
        "no-endpoint-services": (SERVICE_KEY, "verdict", "vmap to drop or reject packets to services with no endpoints"),
        "service-ips": (SERVICE_KEY, "verdict", "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
        "service-nodeports": ("inet_proto . inet_service", "verdict", "NodePort traffic"),
    }
)  # fmt: skip


def compile(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig) -> Table:
    """The table that kube-proxy makes of these Services and EndpointSlices on the node of ``config``."""
    return _Proxier(config).table(service_ports(services, config.version), endpoints_by_port(slices, config))


def ops(netns: str, services: Iterable[Service], slices: Iterable[EndpointSlice], configs: Iterable[ProxyConfig]) -> Iterator[Op]:
    """What kube-proxy does on a node in this mode: one table for each address family, and nothing else."""
    services, slices = list(services), list(slices)
    for config in configs:
        yield NftReplace(netns, compile(services, slices, config))


def hashed(name: str) -> str:
    """A name that is unique and short enough for a chain: eight characters of a SHA-256 digest in base 32, then the name itself."""
    bits = int.from_bytes(sha256(name.encode()).digest()[:5], "big")
    text = f"{PAIRS[bits >> 30]}{PAIRS[bits >> 20 & 1023]}{PAIRS[bits >> 10 & 1023]}{PAIRS[bits & 1023]}-{name}"
    return text if len(text) <= NAME_LIMIT else text[: NAME_LIMIT - 3] + "..."


class _Proxier:
    """One run: chains and elements gathered Service by Service, put into nft's order at the end."""

    def __init__(self, config: ProxyConfig) -> None:
        self.config = config
        self.ip = "ip" if config.version == 4 else "ip6"
        self.address = TYPES["ipv4_addr" if config.version == 4 else "ipv6_addr"]
        self.chains: dict[str, Chain] = {}
        self.affinity: dict[str, NftSet] = {}
        self.elements: dict[str, dict[str, Element]] = {name: {} for name in SETS}
        self.if_local, self.if_not_local = _detector(config, self.ip)

    def table(self, ports: Iterable[ServicePortInfo], endpoints: Mapping[tuple[str, str, str], list[ProxyEndpoint]]) -> Table:
        for info in ports:
            self.service(info, endpoints.get((info.service.key, info.port.name, info.port.protocol), ()))
        node_ports = _node_port_ips(self.config)
        for address in node_ports or ():
            self.put("nodeport-ips", address)
        chains = self.chains | {name: Chain(name, lines, hook) for name, hook, lines in BASE_CHAINS}
        chains |= {name: Chain(name, lines) for name, lines in self.fixed(node_ports is None).items()}
        chains["reject-chain"] = Chain("reject-chain", ("reject",), None, "helper for @no-endpoint-services / @no-endpoint-nodeports")
        sets = self.affinity | self.sets(node_ports is None)
        return Table(
            self.ip,
            TABLE,
            MappingProxyType({name: chains[name] for name in sorted(chains)}),
            MappingProxyType({name: sets[name] for maps in (False, True) for name in sorted(sets) if sets[name].is_map is maps}),
            "rules for kube-proxy",
        )

    def sets(self, all_addresses: bool) -> dict[str, NftSet]:
        found = {}
        for name, (key, data, comment) in SETS.items():
            if name != "nodeport-ips" or not all_addresses:
                kind = key.format(ip=self.address.name)
                elements = arranged(types_of(kind), self.elements[name].values())
                found[name] = NftSet(name, kind, data, comment=comment, elements=elements)
        return found

    def fixed(self, all_addresses: bool) -> dict[str, tuple[str, ...]]:
        """The chains that are there whatever the Services are."""
        ip, key = self.ip, f"{self.ip} daddr . meta l4proto . th dport"
        node_port = f"{ip} daddr @nodeport-ips meta l4proto . th dport"
        local = ""
        if all_addresses:
            local, node_port = "fib daddr type local ", f"{ip} daddr != {'127.0.0.0/8' if ip == 'ip' else '::1'} meta l4proto . th dport"
        check = [f'{ip} daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"']
        if self.config.service_cidrs:
            ranges = self.literal(map(str, self.config.service_cidrs))
            check.append(f'{ip} daddr {ranges} drop comment "Drop traffic to unallocated ClusterIPs"')
        services = [f"{key} vmap @service-ips", f"{local}{node_port} vmap @service-nodeports"]
        if self.config.masquerade_all:
            services.insert(0, f'{ip} daddr @cluster-ips {SET_MARK} comment "masquerade all clusterIP traffic"')
        elif self.if_not_local:
            words = f"{ip} daddr @cluster-ips {self.if_not_local} {SET_MARK}"
            services.insert(0, f'{words} comment "masquerade clusterIP traffic from outside cluster"')
        return {
            "cluster-ips-check": tuple(check),
            "firewall-check": (f"{key} vmap @firewall-ips",),
            "masquerading": (
                f"meta mark & {MARK} != 0x00000000 meta mark set meta mark ^ {MARK} masquerade fully-random",
                f"ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random",
            ),
            "nodeport-endpoints-check": (f"{node_port} vmap @no-endpoint-nodeports",),
            "service-endpoints-check": (f"{key} vmap @no-endpoint-services",),
            "services": tuple(services),
        }

    def literal(self, texts: Iterable[str]) -> str:
        """An anonymous set as nft prints it: sorted, intervals merged, one value alone without braces."""
        texts = list(texts)
        if len(texts) == 1:
            return self.address.canonical(texts[0])
        if any("/" in text for text in texts):
            return f"{{ {', '.join(merged(self.address, texts))} }}"
        return f"{{ {', '.join(sorted({self.address.canonical(text) for text in texts}, key=self.address.order))} }}"

    def put(self, name: str, key: str, data: str = "", comment: str = "") -> None:
        """Where several Services claim one key, the first keeps it; kube-proxy takes Services in random order, and the last wins."""
        self.elements[name].setdefault(key, Element(key, data, comment))

    def add_chain(self, name: str, lines: tuple[str, ...]) -> None:
        self.chains[name] = Chain(name, lines)

    # One port of one Service

    def service(self, info: ServicePortInfo, endpoints: Sequence[ProxyEndpoint]) -> None:
        found = categorize(endpoints, info, self.config)
        base = f"{info.service.key}/{info.protocol}/{info.port.name}"
        name = hashed(base)
        names = {id(each): _endpoint_name(base, each) for each in found.reachable} if info.affinity_seconds else {}
        has_internal = bool(found.local) if info.internal_local else found.any
        has_external = bool(found.local) if info.external_local else found.any
        self.destinations(info, name, found.any, has_internal, has_external)
        for kind, chosen in (("service", found.cluster if info.uses_cluster_endpoints else ()), ("local", found.local)):
            if chosen and (kind == "service" or info.uses_local_endpoints):
                self.add_chain(f"{kind}-{name}", self.balance(info, names, chosen))
        if found.any and info.externally_accessible:
            self.add_chain(f"external-{name}", self.external(info, name, has_external))
        if info.load_balancer_vips and info.source_ranges:
            self.add_chain(f"firewall-{name}", (self.firewall(info),))
        self.reachable(info, names, found)

    def destinations(self, info: ServicePortInfo, name: str, any_endpoint: bool, has_internal: bool, has_external: bool) -> None:
        """The elements by which the port is found, or refused where nothing serves it."""
        port, comment = f"{info.protocol} . {info.port.port}", info.name
        refusal = "drop" if any_endpoint else "goto reject-chain"
        policy = "local" if info.internal_local else "service"
        self.put("cluster-ips", str(info.cluster_ip))
        if has_internal:
            self.put("service-ips", f"{info.cluster_ip} . {port}", f"goto {policy}-{name}")
        else:
            self.put("no-endpoint-services", f"{info.cluster_ip} . {port}", refusal, comment)
        for address in (*info.external_ips, *info.load_balancer_vips):
            if any_endpoint:
                self.put("service-ips", f"{address} . {port}", f"goto external-{name}")
            if not has_external:
                self.put("no-endpoint-services", f"{address} . {port}", refusal, comment)
        if info.source_ranges:
            for address in info.load_balancer_vips:
                self.put("firewall-ips", f"{address} . {port}", f"goto firewall-{name}")
        if info.node_port:
            if any_endpoint:
                self.put("service-nodeports", f"{info.protocol} . {info.node_port}", f"goto external-{name}")
            if not has_external:
                self.put("no-endpoint-nodeports", f"{info.protocol} . {info.node_port}", refusal, comment)

    def external(self, info: ServicePortInfo, name: str, has_external: bool) -> tuple[str, ...]:
        """Traffic from outside: masqueraded if it may go to another node, else only what comes from this node and its Pods is special."""
        if not info.external_local:
            lines = [f'{SET_MARK} comment "masquerade"']
        else:
            lines = [f'{self.if_local} goto service-{name} comment "short-circuit pod traffic"'] if self.if_local else []
            lines.append(f'fib saddr type local {SET_MARK} comment "masquerade local traffic"')
            lines.append(f'fib saddr type local goto service-{name} comment "short-circuit local traffic"')
        if has_external:
            lines.append(f"goto {'local' if info.external_local else 'service'}-{name}")
        return tuple(lines)

    def firewall(self, info: ServicePortInfo) -> str:
        """Sources outside the Service's ranges are dropped; where the node itself is inside, so are the load balancer's own addresses:
        a node's packet to one may come back with it as its source."""
        sources = [str(each) for each in info.source_ranges]
        if any(self.config.node_ip in each for each in info.source_ranges):
            sources += map(str, info.load_balancer_vips)
        return f"{self.ip} saddr != {self.literal(sources)} drop"

    def balance(self, info: ServicePortInfo, names: Mapping[int, str], endpoints: Sequence[ProxyEndpoint]) -> tuple[str, ...]:
        """The rules that choose an endpoint: known clients first, then at random."""
        count = len(endpoints)
        if not info.affinity_seconds:
            choice = ", ".join([f"{i} : {each.ip} . {each.port}" for i, each in enumerate(endpoints)])
            return (f"meta l4proto {info.protocol} dnat {self.ip} to numgen random mod {count} map {{ {choice} }}",)
        chosen = [names[id(each)] for each in endpoints]
        known = [f"{self.ip} saddr @affinity-{name} goto endpoint-{name}" for name in chosen]
        choice = ", ".join([f"{i} : goto endpoint-{name}" for i, name in enumerate(chosen)])
        return (*known, f"numgen random mod {count} vmap {{ {choice} }}")

    def reachable(self, info: ServicePortInfo, names: Mapping[int, str], found: Categories) -> None:
        """What each endpoint that this node uses needs: masquerading of a Pod's traffic to itself, and with affinity a chain and a set."""
        for each in found.reachable:
            if each.is_local:
                self.put("hairpin-connections", f"{each.ip} . {each.ip} . {info.protocol} . {each.port}")
            if info.affinity_seconds:
                name = names[id(each)]
                remember, translate = f"update @affinity-{name} {{ {self.ip} saddr }}", f"meta l4proto {info.protocol} dnat to {each}"
                self.add_chain(f"endpoint-{name}", (remember, translate))
                own = f"affinity-{name}"
                self.affinity[own] = NftSet(
                    own, self.address.name, flags=("dynamic", "timeout"), timeout=float(info.affinity_seconds), size=65535
                )


def _endpoint_name(base: str, endpoint: ProxyEndpoint) -> str:
    return hashed(f"{base}__{endpoint.ip.replace(':', '.')}/{endpoint.port}")


def _detector(config: ProxyConfig, ip: str) -> tuple[str, str]:
    """How a packet from one of this node's Pods is recognised, and how one that is not; "" where it cannot be told."""
    mode, argument = config.detect_local_mode, config.detect_local_arg
    if mode == "ClusterCIDR" and config.cluster_cidr is not None and config.cluster_cidr.version == config.version:
        return f"{ip} saddr {config.cluster_cidr}", f"{ip} saddr != {config.cluster_cidr}"
    if mode == "BridgeInterface":
        return f'iifname "{argument}"', f'iifname != "{argument}"'
    if mode == "InterfaceNamePrefix":
        return f'iifname "{argument}*"', f'iifname != "{argument}*"'
    return "", ""


def _node_port_ips(config: ProxyConfig) -> tuple[str, ...] | None:
    """The addresses on which node ports are open; None for all of the node's. By default it is the primary one alone; ranges that are
    all of the other family mean none is chosen, so all."""
    if not config.node_port_addresses:
        return (str(config.node_ip),)
    ranges = [each for each in config.node_port_addresses if each.version == config.version]
    if not ranges or any(each.prefixlen == 0 for each in ranges):
        return None
    own = [address for address in config.local_ips if address.version == config.version and not address.is_loopback]
    return tuple(str(address) for address in own if any(address in each for each in ranges))
