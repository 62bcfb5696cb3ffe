"""kube-proxy's iptables mode: Services become chains of the nat table, and REJECT or DROP rules of the filter table where nobody serves.

Follows pkg/proxy/iptables/proxier.go of Kubernetes 1.36. For each Service port, KUBE-SVC-… spreads over all endpoints (policy Cluster),
KUBE-SVL-… over those of this node (policy Local), KUBE-EXT-… takes what comes to a node port, external IP or load balancer, KUBE-FW-…
checks loadBalancerSourceRanges; each endpoint has a KUBE-SEP-… chain. The names end in a hash of Service, port, protocol (and endpoint).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ...linux.addresses import ip_address
from ...linux.netfilter import BUILT_IN, ChainLines, Ruleset, Table
from ...linux.ops import ChainAdd, Op, RuleEnsure, RulesRestore, SysctlSet
from ...linux.packet import is_loopback
from ...linux.state import IPNetwork
from ..objects import Service
from ..slices import EndpointSlice
from .config import ProxyConfig
from .endpoints import Categories, ServicePortInfo, categorize, endpoints_by_port, service_ports
from .spelling import MARK_MASQ, Piped, Saved

LARGE_CLUSTER = 1000
"""With more endpoints than this in all, the rules of endpoints carry no comment."""

LAST_RULE = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
NEW = "-m conntrack --ctstate NEW "

# The jumps into kube-proxy's chains, in the order in which it puts each at the top of its chain: (table, from, to, rule).
JUMPS = tuple(
    (table, chain, to, f'{start}-m comment --comment "{comment}" -j {to}' if comment else f"-j {to}")
    for table, to, chain, comment, start in (
        ("filter", "KUBE-EXTERNAL-SERVICES", "INPUT", "kubernetes externally-visible service portals", NEW),
        ("filter", "KUBE-EXTERNAL-SERVICES", "FORWARD", "kubernetes externally-visible service portals", NEW),
        ("filter", "KUBE-NODEPORTS", "INPUT", "kubernetes health check service ports", ""),
        ("filter", "KUBE-SERVICES", "FORWARD", "kubernetes service portals", NEW),
        ("filter", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", NEW),
        ("filter", "KUBE-FORWARD", "FORWARD", "kubernetes forwarding rules", ""),
        ("filter", "KUBE-PROXY-FIREWALL", "INPUT", "kubernetes load balancer firewall", NEW),
        ("filter", "KUBE-PROXY-FIREWALL", "OUTPUT", "kubernetes load balancer firewall", NEW),
        ("filter", "KUBE-PROXY-FIREWALL", "FORWARD", "kubernetes load balancer firewall", NEW),
        ("nat", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", ""),
        ("nat", "KUBE-SERVICES", "PREROUTING", "kubernetes service portals", ""),
        ("nat", "KUBE-POSTROUTING", "POSTROUTING", "kubernetes postrouting rules", ""),
        ("filter", "KUBE-FIREWALL", "INPUT", "", ""),
        ("filter", "KUBE-FIREWALL", "OUTPUT", "", ""),
    )
)

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [a + b for a in _BASE32 for b in _BASE32]


def compile(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig) -> Ruleset:
    """One family's rule set of a node where kube-proxy alone has rules, as ``iptables-save`` prints it."""
    out = Saved(config.version)
    _write(out, services, slices, config)
    for table, chain, to, rule in JUMPS:
        out.declare(table, chain, to)
        out.tables[table][chain].insert(0, rule)
    return out.ruleset()


def restore_input(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig) -> str:
    """What kube-proxy pipes to ``iptables-restore --noflush --counters`` when it syncs everything."""
    out = Piped(config.version)
    _write(out, services, slices, config)
    return out.text()


def ops(netns: str, services: Iterable[Service], slices: Iterable[EndpointSlice], configs: Iterable[ProxyConfig]) -> Iterable[Op]:
    """What kube-proxy does on a node in this mode, for each family: its chains, the jumps into them, its rules beside those of others.

    ``route_localnet`` lets node ports answer on 127.0.0.1 (IPv4 alone). A namespace that only forwards Pod traffic needs no more of it.
    """
    for config in configs:
        version = config.version
        if localhost_node_ports(config):
            yield SysctlSet(netns, "net.ipv4.conf.all.route_localnet", 1)
        for table, chain, to, rule in JUMPS:
            yield ChainAdd(netns, table, to, version)
            yield RuleEnsure(netns, table, chain, rule, version)
        yield RulesRestore(netns, own_chains(compile(services, slices, config)), version, noflush=True)


def own_chains(ruleset: Ruleset) -> Ruleset:
    """The rule set without the built-in chains: what is restored beside the rules of others."""
    tables = {}
    for name, table in ruleset.tables.items():
        lines = {chain: table.lines_of(chain) for chain in table.chains if chain not in BUILT_IN[name]}
        tables[name] = Table(name, ChainLines(lines, {}, ruleset.version))
    return Ruleset(tables, ruleset.version)


def chain_hash(text: str) -> str:
    """The 16 characters at the end of a chain's name: SHA-256 in base 32."""
    bits = int.from_bytes(sha256(text.encode()).digest()[:10], "big")
    p = _PAIRS
    parts = (
        p[bits >> 70], p[bits >> 60 & 1023], p[bits >> 50 & 1023], p[bits >> 40 & 1023],
        p[bits >> 30 & 1023], p[bits >> 20 & 1023], p[bits >> 10 & 1023], p[bits & 1023],
    )  # fmt: skip
    return "".join(parts)


def _write(out: Saved | Piped, services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig) -> None:
    out.declare("filter", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
    out.declare("nat", "KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", MARK_MASQ)
    out.first_rules()
    if localhost_node_ports(config):
        out.localnet_guard()
    ports = service_ports(services, config.version)
    endpoints = endpoints_by_port(slices, config)
    found = [(info, endpoints.get((info.service.key, info.port.name, info.port.protocol), ())) for info in ports]
    comments, local = sum(len(each) for _, each in found) <= LARGE_CLUSTER, local_words(config)
    for info, each in found:
        _ServiceRules(out, info, categorize(each, info, config), config, comments, local).write()
    _node_port_jumps(out, config)
    out.add("filter", "KUBE-FORWARD", "DROP", match="-m conntrack --ctstate INVALID")
    out.add("filter", "KUBE-FORWARD", "ACCEPT", "kubernetes forwarding rules", match=out.forwarding_mark())
    out.add("filter", "KUBE-FORWARD", "ACCEPT", "kubernetes forwarding conntrack rule", match="-m conntrack --ctstate RELATED,ESTABLISHED")


def _node_port_networks(config: ProxyConfig) -> list[IPNetwork]:
    """``nodePortAddresses`` of this family; none means every local address."""
    return [network for network in config.node_port_addresses if network.version == config.version]


def localhost_node_ports(config: ProxyConfig) -> bool:
    """Whether node ports answer on 127.0.0.1: in IPv4 alone, if wanted, and if ``nodePortAddresses`` does not leave it out."""
    networks = _node_port_networks(config)
    loopback = not networks or any(is_loopback(n.network_address) or ip_address("127.0.0.0") in n for n in networks)
    return config.version == 4 and config.localhost_node_ports and loopback


def _node_port_jumps(out: Saved | Piped, config: ProxyConfig) -> None:
    """Which addresses node ports answer on: every local one, or those of ``nodePortAddresses``."""
    networks = _node_port_networks(config)
    localhost = localhost_node_ports(config)
    if not networks or any(network.prefixlen == 0 for network in networks):
        loopback = "::1/128" if config.version == 6 else None if localhost else "127.0.0.0/8"
        out.add("nat", "KUBE-SERVICES", "KUBE-NODEPORTS", LAST_RULE, match="-m addrtype --dst-type LOCAL", not_dst=loopback)
        return
    candidates = [ip_address("127.0.0.1" if config.version == 4 else "::1"), *config.local_ips]
    for ip in candidates:
        if (localhost or not is_loopback(ip)) and any(ip.version == network.version and ip in network for network in networks):
            out.add("nat", "KUBE-SERVICES", "KUBE-NODEPORTS", LAST_RULE, dst=ip)


def local_words(config: ProxyConfig) -> tuple[str, ...]:
    """How a rule asks whether a packet comes from a Pod of the cluster; () if kube-proxy cannot tell."""
    mode, cidr = config.detect_local_mode, config.cluster_cidr
    if mode == "ClusterCIDR" and cidr is not None and cidr.version == config.version:
        return ("-s", str(cidr))
    if mode == "InterfaceNamePrefix":
        return ("-i", f"{config.detect_local_arg}+")
    return ("-i", config.detect_local_arg) if mode == "BridgeInterface" else ()


class _ServiceRules:
    """The rules of one Service port."""

    def __init__(
        self, out: Saved | Piped, info: ServicePortInfo, found: Categories, config: ProxyConfig, comments: bool, local: tuple[str, ...]
    ) -> None:
        self.out, self.info, self.found, self.config = out, info, found, config
        self.name, self.proto, self.local = info.name, info.protocol, local
        self.comment = info.name if comments else ""
        end = chain_hash(info.name + info.protocol)
        self.svc, self.svl, self.ext, self.fw = (f"KUBE-{kind}-{end}" for kind in ("SVC", "SVL", "EXT", "FW"))
        self.internal = self.svl if info.internal_local else self.svc
        self.serves_inside = found.any and bool(found.local or not info.internal_local)
        self.serves_outside = found.any and bool(found.local or not info.external_local)

    def write(self) -> None:
        info, found = self.info, self.found
        self._cluster_ip()
        self._external_addresses()
        if info.health_check_node_port:
            self.out.add(
                "filter", "KUBE-NODEPORTS", "ACCEPT", f"{self.name} health check node port", "tcp", dport=info.health_check_node_port
            )
        if self.serves_inside:
            self._masquerade_strangers()
        if found.any and info.externally_accessible:
            self._external_chain()
        if found.any and info.load_balancer_vips and info.source_ranges:
            self._firewall_chain()
        if not found.any:
            return
        seps = self._endpoint_chains()
        for chain, endpoints in ((self.svc, found.cluster), (self.svl, found.local)):
            if endpoints:
                self.out.declare("nat", chain)
                chosen = list(seps.items()) if endpoints is found.reachable else [(text, seps[text]) for text in map(str, endpoints)]
                self.out.spread(chain, self.comment, chosen, info.affinity_seconds)

    def _cluster_ip(self) -> None:
        where = {"proto": self.proto, "dst": self.info.cluster_ip, "dport": self.info.port.port}
        if self.serves_inside:
            self.out.add("nat", "KUBE-SERVICES", self.internal, f"{self.name} cluster IP", **where)
        else:
            self.out.add("filter", "KUBE-SERVICES", *self._refusal(), **where)

    def _refusal(self) -> tuple[str, str]:
        """Target and comment for traffic that nobody serves: REJECT if nobody anywhere, DROP if the endpoints are on other nodes."""
        return ("DROP", f"{self.name} has no local endpoints") if self.found.any else ("REJECT", f"{self.name} has no endpoints")

    def _external_addresses(self) -> None:
        info, add, proto, port = self.info, self.out.add, self.proto, self.info.port.port
        balanced = self.fw if info.source_ranges else self.ext
        for kind, addresses, chain in (("external", info.external_ips, self.ext), ("loadbalancer", info.load_balancer_vips, balanced)):
            for ip in addresses:
                if self.found.any:
                    add("nat", "KUBE-SERVICES", chain, f"{self.name} {kind} IP", proto, ip, port)
                    if chain == self.fw:
                        add("filter", "KUBE-PROXY-FIREWALL", "DROP", f"{self.name} traffic not accepted by {chain}", proto, ip, port)
                if not self.serves_outside:
                    add("filter", "KUBE-EXTERNAL-SERVICES", *self._refusal(), proto, ip, port)
        if info.node_port:
            if self.found.any:
                add("nat", "KUBE-NODEPORTS", self.ext, self.name, proto, dport=info.node_port)
            if not self.serves_outside:
                local = "-m addrtype --dst-type LOCAL"
                add("filter", "KUBE-EXTERNAL-SERVICES", *self._refusal(), proto, dport=info.node_port, match=local)

    def _masquerade_strangers(self) -> None:
        """Whoever is no Pod of the cluster gets this node's address: the answer must come back through here."""
        local = () if self.config.masquerade_all else self.local
        if self.config.masquerade_all or local:
            where = {"proto": self.proto, "dst": self.info.cluster_ip, "dport": self.info.port.port}
            stranger = ("!", *local) if local else ()
            self.out.declare("nat", self.internal)
            self.out.add("nat", self.internal, MARK_MASQ, f"{self.name} cluster IP", **where, local=stranger)

    def _external_chain(self) -> None:
        add, ext, name = self.out.add, self.ext, self.name
        self.out.declare("nat", ext)
        if not self.info.external_local:
            add("nat", ext, MARK_MASQ, f"masquerade traffic for {name} external destinations")
        else:
            if self.local:
                add("nat", ext, self.svc, f"pod traffic for {name} external destinations", local=self.local)
            from_here = "-m addrtype --src-type LOCAL"
            add("nat", ext, MARK_MASQ, f"masquerade LOCAL traffic for {name} external destinations", match=from_here)
            add("nat", ext, self.svc, f"route LOCAL traffic for {name} external destinations", match=from_here)
        if self.serves_outside:
            add("nat", ext, self.svl if self.info.external_local else self.svc)

    def _firewall_chain(self) -> None:
        """loadBalancerSourceRanges: who may use the load balancer's address. What falls through is dropped by KUBE-PROXY-FIREWALL."""
        info, fw, comment = self.info, self.fw, f"{self.name} loadbalancer IP"
        self.out.declare("nat", fw)
        for network in info.source_ranges:
            self.out.add("nat", fw, self.ext, comment, src=network)
        if any(self.config.node_ip in network for network in info.source_ranges):  # the node, with the load balancer's address as its own
            for ip in info.load_balancer_vips:
                self.out.add("nat", fw, self.ext, comment, src=ip)
        self.out.add("nat", fw, "", f"other traffic to {self.name} will be dropped by KUBE-PROXY-FIREWALL")

    def _endpoint_chains(self) -> dict[str, str]:
        """A chain for each endpoint that this node sends to: address:port → chain."""
        chains, start = {}, self.name + self.proto
        sticky = bool(self.info.affinity_seconds)
        for endpoint in self.found.reachable:
            text = str(endpoint)
            sep = chains[text] = "KUBE-SEP-" + chain_hash(start + text)
            self.out.endpoint(sep, self.comment, endpoint.ip, text, self.proto, sticky)
        return chains
