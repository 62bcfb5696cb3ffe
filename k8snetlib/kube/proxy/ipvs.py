"""kube-proxy's IPVS mode (deprecated since 1.35): each Service port is a virtual server in the kernel, each endpoint a real one.

Follows pkg/proxy/ipvs/proxier.go and ipset.go of Kubernetes 1.36. Every virtual address is put on the dummy device kube-ipvs0, so that the
node takes packets for it as its own; a fixed number of iptables rules marks, masquerades and filters by ipsets.
How the kernel carries it out: ``linux.ipvs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_interface, ip_network

from ...linux.ipset import IpSet
from ...linux.ipvs import RealServer, ServerKey, VirtualServer
from ...linux.netfilter import Ruleset
from ...linux.ops import AddrAdd, ChainAdd, LinkAdd, Op, RuleEnsure, RulesRestore, SysctlSet
from ...linux.ops_ipvs import IpsetRestore, IpvsRestore
from ...linux.packet import IPAddress
from ...value import value
from ..objects import Service
from ..slices import EndpointSlice
from .config import MASQUERADE_MARK, ProxyConfig
from .endpoints import Categories, ProxyEndpoint, ServicePortInfo, categorize, endpoints_by_port, service_ports
from .iptables import local_words

DEVICE = "kube-ipvs0"
SETS = {
    "KUBE-LOOP-BACK": ("hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
    "KUBE-CLUSTER-IP": ("hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"),
    "KUBE-EXTERNAL-IP": ("hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"),
    "KUBE-EXTERNAL-IP-LOCAL": ("hash:ip,port", "Kubernetes service external ip + port with externalTrafficPolicy=local"),
    "KUBE-LOAD-BALANCER": ("hash:ip,port", "Kubernetes service lb portal"),
    "KUBE-LOAD-BALANCER-FW": ("hash:ip,port", "Kubernetes service load balancer ip + port for load balancer with sourceRange"),
    "KUBE-LOAD-BALANCER-LOCAL": ("hash:ip,port", "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"),
    "KUBE-LOAD-BALANCER-SOURCE-IP": (
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    "KUBE-LOAD-BALANCER-SOURCE-CIDR": (
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    "KUBE-NODE-PORT-TCP": ("bitmap:port", "Kubernetes nodeport TCP port for masquerade purpose"),
    "KUBE-NODE-PORT-LOCAL-TCP": ("bitmap:port", "Kubernetes nodeport TCP port with externalTrafficPolicy=local"),
    "KUBE-NODE-PORT-UDP": ("bitmap:port", "Kubernetes nodeport UDP port for masquerade purpose"),
    "KUBE-NODE-PORT-LOCAL-UDP": ("bitmap:port", "Kubernetes nodeport UDP port with externalTrafficPolicy=local"),
    "KUBE-NODE-PORT-SCTP-HASH": ("hash:ip,port", "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"),
    "KUBE-NODE-PORT-LOCAL-SCTP-HASH": (
        "hash:ip,port",
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    "KUBE-HEALTH-CHECK-NODE-PORT": ("bitmap:port", "Kubernetes health check node port"),
    "KUBE-IPVS-IPS": ("hash:ip", ""),
}
CHAINS = {
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
    "filter": ("KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER",
               "KUBE-IPVS-OUT-FILTER"),
}  # fmt: skip
JUMPS = (
    ("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
    ("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
    ("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
    ("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
    ("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
    ("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    ("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    ("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
    ("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
)
# One rule for each set that has entries: (set, table, chain, target, sides, protocol).
SET_RULES = (
    ("KUBE-LOOP-BACK", "nat", "KUBE-POSTROUTING", "MASQUERADE", "dst,dst,src", ""),
    ("KUBE-LOAD-BALANCER", "nat", "KUBE-SERVICES", "KUBE-LOAD-BALANCER", "dst,dst", ""),
    ("KUBE-LOAD-BALANCER-LOCAL", "nat", "KUBE-LOAD-BALANCER", "RETURN", "dst,dst", ""),
    ("KUBE-NODE-PORT-LOCAL-TCP", "nat", "KUBE-NODE-PORT", "RETURN", "dst", "tcp"),
    ("KUBE-NODE-PORT-TCP", "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "tcp"),
    ("KUBE-NODE-PORT-LOCAL-UDP", "nat", "KUBE-NODE-PORT", "RETURN", "dst", "udp"),
    ("KUBE-NODE-PORT-UDP", "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst", "udp"),
    ("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "nat", "KUBE-NODE-PORT", "RETURN", "dst,dst", "sctp"),
    ("KUBE-NODE-PORT-SCTP-HASH", "nat", "KUBE-NODE-PORT", "KUBE-MARK-MASQ", "dst,dst", "sctp"),
    ("KUBE-LOAD-BALANCER-FW", "filter", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "dst,dst", ""),
    ("KUBE-LOAD-BALANCER-SOURCE-CIDR", "filter", "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
    ("KUBE-LOAD-BALANCER-SOURCE-IP", "filter", "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src", ""),
)


@value
class IpvsRules:
    """One family of a node: virtual servers, sets (the empty ones too), the addresses of kube-ipvs0, and the iptables text."""

    servers: tuple[VirtualServer, ...]
    sets: Mapping[str, IpSet]
    addresses: tuple[IPAddress, ...]
    restore: str
    version: int = 4

    @property
    def ruleset(self) -> Ruleset:
        """The iptables rules of a node where kube-proxy alone has some, its jumps included."""
        found = Ruleset({}, self.version).restore(self.restore, noflush=True)
        for table, chain, to, comment in JUMPS:
            found = found.restore(f'*{table}\n-I {chain} -m comment --comment "{comment}" -j {to}\nCOMMIT', noflush=True)
        return found

    def __str__(self) -> str:
        """As ``ipvsadm -S -n``, ``ipset save`` and ``iptables-save`` print it, one after the other."""
        return "\n".join([*map(str, self.servers), *(str(self.sets[name]) for name in self.sets), str(self.ruleset)])


def compile(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig, scheduler: str = "rr") -> IpvsRules:
    """One family of a node. ``scheduler`` is ``ipvs.scheduler`` of kube-proxy's configuration, the same for every Service."""
    proxier = _Proxier(config, scheduler)
    endpoints = endpoints_by_port(slices, config)
    for info in service_ports(services, config.version):
        proxier.add(info, endpoints.get((info.service.key, info.port.name, info.port.protocol), ()))
    return proxier.rules()


def restore_input(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig, random_fully: bool = True) -> str:
    """What kube-proxy pipes to iptables-restore; ``random_fully``: the iptables at hand knows the flag (all since 1.6.2 do)."""
    text = compile(services, slices, config).restore
    return text if random_fully else text.replace(" --random-fully", "")


def ops(netns: str, services: Iterable[Service], slices: Iterable[EndpointSlice], configs: Iterable[ProxyConfig]) -> Iterable[Op]:
    """What kube-proxy does on a node in this mode: sysctls, the dummy device, and for each family sets, virtual servers and rules."""
    sysctls = ("vs.conntrack", "vs.expire_nodest_conn", "vs.expire_quiescent_template", "ip_forward")
    yield from (SysctlSet(netns, f"net.ipv4.{key}", 1) for key in sysctls)
    yield LinkAdd(netns, DEVICE, "dummy")
    for config in configs:
        found, version = compile(services, slices, config), config.version
        for table, chains in CHAINS.items():
            yield from (ChainAdd(netns, table, chain, version) for chain in chains)
        for table, chain, to, comment in JUMPS:
            yield RuleEnsure(netns, table, chain, f'-m comment --comment "{comment}" -j {to}', version)
        yield IpsetRestore(netns, "\n".join(map(str, found.sets.values())))
        yield IpvsRestore(netns, found.servers)
        yield from (AddrAdd(netns, DEVICE, ip_interface(ip)) for ip in found.addresses)
        yield RulesRestore(netns, found.restore, version, noflush=True)


def set_name(name: str, version: int) -> str:
    """IPv6 sets stand beside the IPv4 ones under names of their own, cut to the 31 characters that ipset allows."""
    return name if version == 4 else name.replace("KUBE-", "KUBE-6-", 1)[:31]


class _Proxier:
    """Collects servers, entries of sets and addresses, Service port by Service port (syncProxyRules)."""

    def __init__(self, config: ProxyConfig, scheduler: str) -> None:
        self.config, self.scheduler = config, scheduler
        self.servers: dict[ServerKey, VirtualServer] = {}
        self.entries: dict[str, dict[str, None]] = {name: {} for name in SETS}
        self.addresses: dict[IPAddress, None] = {}
        self.own = [ip for ip in config.local_ips if ip.version == config.version]
        self.closed: list[tuple[IPAddress, str, int]] = []  # load balancers that the node itself may not use

    def node_ips(self) -> list[IPAddress]:
        """The addresses that node ports answer on; never a loopback one."""
        networks = [network for network in self.config.node_port_addresses if network.version == self.config.version]
        return self.own if not networks else [ip for ip in self.own if any(ip in network for network in networks)]

    def add(self, info: ServicePortInfo, endpoints: Iterable[ProxyEndpoint]) -> None:
        endpoints = list(endpoints)
        found = categorize(endpoints, info, self.config)
        proto, port = info.protocol, info.port.port
        for each in endpoints:
            if each.is_local:
                self.put("KUBE-LOOP-BACK", f"{each.ip},{proto}:{each.port},{each.ip}")
        self.put("KUBE-CLUSTER-IP", f"{info.cluster_ip},{proto}:{port}")
        self.serve(info, info.cluster_ip, port, self.real(found, info.internal_local), bind=True)
        outside = self.real(found, info.external_local)
        for ip in info.external_ips:
            self.put("KUBE-EXTERNAL-IP-LOCAL" if info.external_local else "KUBE-EXTERNAL-IP", f"{ip},{proto}:{port}")
            self.serve(info, ip, port, outside, bind=ip not in self.own)
        for ip in info.load_balancer_vips:
            self.load_balancer(info, ip)
            self.serve(info, ip, port, outside, bind=ip not in self.own)
        if info.node_port:
            if not self.node_ips():
                return  # as in the original, which then leaves the health check port out too
            self.node_port(info, outside)
        if info.health_check_node_port:
            self.put("KUBE-HEALTH-CHECK-NODE-PORT", str(info.health_check_node_port))

    def put(self, name: str, entry: str) -> None:
        self.entries[name][entry] = None

    @staticmethod
    def real(found: Categories, local: bool) -> tuple[ProxyEndpoint, ...]:
        """Policy Local falls back to all endpoints where this node has none: a Pod's own traffic must get through (#97081)."""
        return found.local if local and found.local else found.cluster

    def serve(self, info: ServicePortInfo, ip: IPAddress, port: int, endpoints: Iterable[ProxyEndpoint], bind: bool) -> None:
        key = ServerKey(info.protocol, ip, port)
        real = tuple(RealServer(type(ip)(each.ip), each.port) for each in endpoints)
        self.servers[key] = VirtualServer(key, self.scheduler, info.affinity_seconds, real)
        if bind:
            self.addresses[ip] = None

    def load_balancer(self, info: ServicePortInfo, ip: IPAddress) -> None:
        entry = f"{ip},{info.protocol}:{info.port.port}"
        self.put("KUBE-LOAD-BALANCER", entry)
        if info.external_local:
            self.put("KUBE-LOAD-BALANCER-LOCAL", entry)
        if not info.source_ranges:
            return
        self.put("KUBE-LOAD-BALANCER-FW", entry)
        for network in info.source_ranges:
            self.put("KUBE-LOAD-BALANCER-SOURCE-CIDR", f"{entry},{network}")
        if any(self.config.node_ip in network for network in info.source_ranges):
            self.put("KUBE-LOAD-BALANCER-SOURCE-IP", f"{entry},{ip}")
        else:
            self.closed.append((ip, info.protocol, info.port.port))

    def node_port(self, info: ServicePortInfo, endpoints: Iterable[ProxyEndpoint]) -> None:
        kind = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP-HASH"}[info.protocol]
        entries = [f"{ip},sctp:{info.node_port}" for ip in self.node_ips()] if kind == "SCTP-HASH" else [str(info.node_port)]
        for entry in entries:
            self.put(f"KUBE-NODE-PORT-{kind}", entry)
            if info.external_local:
                self.put(f"KUBE-NODE-PORT-LOCAL-{kind}", entry)
        for ip in self.node_ips():
            self.serve(info, ip, info.node_port, endpoints, bind=False)

    def rules(self) -> IpvsRules:
        version = self.config.version
        for ip in self.addresses:
            self.put("KUBE-IPVS-IPS", str(ip))
        sets = {}
        for name, (kind, _) in SETS.items():
            own = set_name(name, version)
            sets[own] = IpSet(own, kind, tuple(map(_shown, sorted(self.entries[name]))), version)
        return IpvsRules(tuple(self.servers.values()), sets, tuple(self.addresses), self.restore(), version)

    def restore(self) -> str:
        lines: dict[str, list[str]] = {"nat": [], "filter": []}
        for table, line in self.lines():
            lines[table].append(line)
        parts = []
        for table, chains in CHAINS.items():
            parts += [f"*{table}", *(f":{chain} - [0:0]" for chain in chains), *lines[table], "COMMIT"]
        return "\n".join(parts) + "\n"

    def match(self, name: str, sides: str) -> str:
        return f"-m set --match-set {set_name(name, self.config.version)} {sides}"

    def comment(self, name: str) -> str:
        return f'-m comment --comment "{SETS[name][1]}"'

    def lines(self) -> Iterable[tuple[str, str]]:
        """The iptables rules, each with its table (writeIptablesRules)."""
        loopback = "127.0.0.0/8" if self.config.version == 4 else "::1/128"
        yield "nat", f"-A KUBE-SERVICES -s {loopback} -j RETURN"
        for name, table, chain, target, sides, proto in SET_RULES:
            if self.entries[name]:
                start = f"-A {chain} -p {proto}" if proto else f"-A {chain}"
                yield table, f"{start} {self.comment(name)} {self.match(name, sides)} -j {target}"
        yield from (("nat", line) for line in self.service_lines())
        yield "nat", "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT"
        yield "nat", "-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ"
        yield "filter", "-A KUBE-SOURCE-RANGES-FIREWALL -j DROP"
        for ip, proto, port in self.closed:
            yield "filter", f"-A KUBE-IPVS-OUT-FILTER -s {ip} -m ipvs --vaddr {ip} --vproto {proto} --vport {port} -j DROP"
        for name in ("KUBE-CLUSTER-IP", "KUBE-LOAD-BALANCER"):
            if self.entries[name]:
                yield "nat", f"-A KUBE-SERVICES {self.match(name, 'dst,dst')} -j ACCEPT"
        yield from self.last_lines()

    def service_lines(self) -> Iterable[str]:
        """Whom to masquerade on the way to a cluster IP; external IPs."""
        if self.entries["KUBE-CLUSTER-IP"]:
            local = local_words(self.config)
            sides, stranger = (
                ("dst,dst", "") if self.config.masquerade_all else ("dst,dst", f" ! {' '.join(local)}") if local else ("src,dst", "")
            )
            yield f"-A KUBE-SERVICES {self.comment('KUBE-CLUSTER-IP')} {self.match('KUBE-CLUSTER-IP', sides)}{stranger} -j KUBE-MARK-MASQ"
        for name in ("KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL"):
            if self.entries[name]:
                start = f"-A KUBE-SERVICES {self.comment(name)} {self.match(name, 'dst,dst')}"
                if name == "KUBE-EXTERNAL-IP":
                    yield f"{start} -j KUBE-MARK-MASQ"
                yield f"{start} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT"
                yield f"{start} -m addrtype --dst-type LOCAL -j ACCEPT"

    def last_lines(self) -> Iterable[tuple[str, str]]:
        """What is forwarded; what of the node may be reached by virtual addresses; how marked packets are masqueraded."""
        mark = f"{MASQUERADE_MARK:#010x}"
        forwarding = '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding'
        yield "filter", f'{forwarding} rules" -m mark --mark {mark}/{mark} -j ACCEPT'
        yield "filter", f'{forwarding} conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
        health = "KUBE-HEALTH-CHECK-NODE-PORT"
        yield "filter", f"-A KUBE-NODE-PORT {self.comment(health)} {self.match(health, 'dst')} -j ACCEPT"
        for name in ("KUBE-LOAD-BALANCER", "KUBE-CLUSTER-IP", "KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL"):
            yield "filter", f"-A KUBE-IPVS-FILTER {self.match(name, 'dst,dst')} -j RETURN"
        yield "filter", f"-A KUBE-IPVS-FILTER {self.match(health, 'dst')} -j RETURN"
        yield "filter", f"-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW {self.match('KUBE-IPVS-IPS', 'dst')} -j REJECT"
        yield "nat", f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN"
        yield "nat", f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}"
        yield "nat", '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully'
        yield "nat", f"-A KUBE-MARK-MASQ -j MARK --or-mark {mark}"


def _shown(entry: str) -> str:
    """An entry as ipset prints it: a network of one address without its length."""
    head, slash, _ = entry.rpartition("/")
    return head if slash and ip_network(entry.rpartition(",")[2]).num_addresses == 1 else entry
