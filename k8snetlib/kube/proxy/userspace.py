"""kube-proxy's first mode, userspace, removed in Kubernetes 1.26: the rules lead every packet to a port of kube-proxy on its own node,
and the process opens a second connection to an endpoint.

Follows pkg/proxy/userspace of Kubernetes 1.25 (proxier.go, proxysocket.go, roundrobin.go). Endpoints are taken in turn, and the next is
tried where one cannot be reached, four in all: what no later mode does. The price is two copies of every byte, and a Pod that sees the
node's address instead of the client's. TCP and UDP alone. The real process lets the kernel choose its ports; here they are numbered from
``FIRST_PORT``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from ...errors import ModelError
from ...linux.addresses import endpoint
from ...linux.engine import after, trace
from ...linux.events import Delivered, Trace
from ...linux.fib import source_for
from ...linux.netfilter import Ruleset
from ...linux.ops import Listen, Op, RulesRestore
from ...linux.packet import IPAddress, Packet, Tcp, Udp
from ...linux.state import Network, Socket
from ...value import replace, value
from ..objects import Service
from ..slices import EndpointSlice
from .config import ProxyConfig
from .endpoints import ProxyEndpoint, ServicePortInfo, categorize, endpoints_by_port, service_ports

FIRST_PORT, FIRST_SOURCE = 35000, 50000
PROCESS = "kube-proxy"
DIALS = 4  # endpointDialTimeouts: 0.25, 0.5, 1 and 2 seconds
FIRST = "handle ClusterIPs; NOTE: this must be before the NodePort rules"
LAST = "handle service NodePorts; NOTE: this must be the last rule in the chain"
CHAINS = ("PORTALS-CONTAINER", "PORTALS-HOST", "NODEPORT-CONTAINER", "NODEPORT-HOST", "NON-LOCAL")
NON_LOCAL = "Ensure that non-local NodePort traffic can flow"


@value
class ProxyPort:
    """A port on which kube-proxy listens for one Service port, and the endpoints behind it."""

    port: int
    info: ServicePortInfo
    endpoints: tuple[ProxyEndpoint, ...]


@value
class UserspaceRules:
    """One family of a node: the iptables text, and the ports of the process."""

    text: str
    ports: tuple[ProxyPort, ...]
    version: int = 4

    @property
    def ruleset(self) -> Ruleset:
        return Ruleset.parse(self.text, self.version)

    def __str__(self) -> str:
        return str(self.ruleset)

    def at(self, port: int) -> ProxyPort:
        """The Service port behind a port of the process. ModelError if there is none."""
        for each in self.ports:
            if each.port == port:
                return each
        raise ModelError(f"kube-proxy does not listen on port {port}")


def compile(services: Iterable[Service], slices: Iterable[EndpointSlice], config: ProxyConfig) -> UserspaceRules:
    """The rules and the process's ports; Services over SCTP are left out, as this mode left them out."""
    endpoints = endpoints_by_port(slices, config)
    chains: dict[str, list[str]] = {name: [] for name in CHAINS}
    ports = []
    for info in service_ports(services, config.version):
        if info.protocol == "sctp":
            continue
        usable = categorize(endpoints.get((info.service.key, info.port.name, info.port.protocol), ()), info, config).cluster
        ports.append(ProxyPort(FIRST_PORT + len(ports), info, usable))
        _rules(ports[-1], config, chains)
    names = {"NON-LOCAL": "KUBE-NODEPORT-NON-LOCAL"} | {name: f"KUBE-{name}" for name in chains if name != "NON-LOCAL"}
    rules = {name: [f"-A {names[name]} {rule}" for rule in lines] for name, lines in chains.items()}
    local = f'-m addrtype --dst-type LOCAL -m comment --comment "{LAST}"'
    nat = [name for name in chains if name != "NON-LOCAL"]
    lines = ["*nat", *(f":{names[name]} - [0:0]" for name in nat)]
    for chain, kind in (("PREROUTING", "CONTAINER"), ("OUTPUT", "HOST")):
        lines += [f'-I {chain} -m comment --comment "{FIRST}" -j KUBE-PORTALS-{kind}', f"-A {chain} {local} -j KUBE-NODEPORT-{kind}"]
    lines += [*(rule for name in nat for rule in rules[name]), "COMMIT", "*filter", f":{names['NON-LOCAL']} - [0:0]"]
    lines += [f'-I INPUT -m comment --comment "{NON_LOCAL}" -j {names["NON-LOCAL"]}', *rules["NON-LOCAL"], "COMMIT"]
    return UserspaceRules("\n".join(lines), tuple(ports), config.version)


def _rules(proxy: ProxyPort, config: ProxyConfig, chains: dict[str, list[str]]) -> None:
    """Packets of Pods are redirected, those of the node itself go by DNAT to its address: REDIRECT would make that 127.0.0.1."""
    info, proto = proxy.info, proxy.info.protocol
    redirect, dnat = f"-j REDIRECT --to-ports {proxy.port}", f"-j DNAT --to-destination {endpoint(config.node_ip, proxy.port)}"
    bits = 32 if config.version == 4 else 128

    def match(port: int, ip: IPAddress | None = None) -> str:
        return (f"-d {ip}/{bits} " if ip else "") + f'-p {proto} -m comment --comment "{info.name}" -m {proto} --dport {port}'

    chains["PORTALS-CONTAINER"].append(f"{match(info.port.port, info.cluster_ip)} {redirect}")
    chains["PORTALS-HOST"].append(f"{match(info.port.port, info.cluster_ip)} {dnat}")
    for ip in (*info.external_ips, *info.load_balancer_vips):
        start = match(info.port.port, ip)
        chains["PORTALS-CONTAINER"] += [
            f"{start} -m physdev ! --physdev-is-in {redirect}",
            f"{start} -m addrtype --dst-type LOCAL {redirect}",
        ]
        chains["PORTALS-HOST"].append(f"{start} -m addrtype --dst-type LOCAL {dnat}")
    if info.node_port:
        chains["NODEPORT-CONTAINER"].append(f"{match(info.node_port)} {redirect}")
        chains["NODEPORT-HOST"].append(f"{match(info.node_port)} {dnat}")
        chains["NON-LOCAL"].append(f"{match(proxy.port)} -m state --state NEW -j ACCEPT")


def ops(netns: str, services: Iterable[Service], slices: Iterable[EndpointSlice], configs: Iterable[ProxyConfig]) -> Iterable[Op]:
    """The rules, and the sockets of the process: of the node's first family alone, as this mode knew no second one (server_others.go)."""
    services, slices = list(services), list(slices)
    for config in tuple(configs)[:1]:
        found = compile(services, slices, config)
        yield RulesRestore(netns, found.text, config.version, noflush=True)
        for each in found.ports:
            yield Listen(netns, Socket(each.info.protocol, each.port, process=PROCESS))


@value
class Balancer:
    """Whose turn it is: for each Service port its next endpoint; for each client with affinity the endpoint and when it was last used."""

    turns: Mapping[str, int] = field(default_factory=dict)
    clients: Mapping[tuple[str, IPAddress], tuple[str, float]] = field(default_factory=dict)

    def next(self, proxy: ProxyPort, client: IPAddress, now: float = 0, again: bool = False) -> tuple[ProxyEndpoint | None, Balancer]:
        """The endpoint for a new connection (NextEndpoint); ``again``: the last one failed, so affinity does not count."""
        name, endpoints = proxy.info.name, proxy.endpoints
        if not endpoints:
            return None, self
        seconds = proxy.info.affinity_seconds
        kept, used = self.clients.get((name, client), ("", 0.0))
        if seconds and not again and now - used < seconds:
            found = next((each for each in endpoints if str(each) == kept), None)
            if found is not None:
                return found, replace(self, clients={**self.clients, (name, client): (kept, now)})
        turn = self.turns.get(name, 0) % len(endpoints)
        moved = replace(self, turns={**self.turns, name: (turn + 1) % len(endpoints)})
        if seconds:
            moved = replace(moved, clients={**self.clients, (name, client): (str(endpoints[turn]), now)})
        return endpoints[turn], moved


@value
class Relay:
    """What the process did with a connection: the connections that it tried in turn, the last of them delivered if one was; and the network
    and the balancer afterwards."""

    tried: tuple[Trace, ...]
    network: Network
    balancer: Balancer

    @property
    def delivered(self) -> bool:
        return bool(self.tried) and self.tried[-1].delivered


def relay(request: Trace, rules: UserspaceRules, balancer: Balancer = Balancer()) -> Relay:  # noqa: B008  (a frozen value)
    """The second connection: from the process that took ``request`` to an endpoint, up to four in turn until one takes it.

    ModelError if the request did not reach kube-proxy.
    """
    end = request.end
    if not isinstance(end, Delivered) or end.socket is None or end.socket.process != PROCESS:
        raise ModelError("the packet did not reach kube-proxy: there is nothing to relay")
    proxy = rules.at(end.packet.dport)
    network, tried = after(request.network, request), []
    for attempt in range(DIALS):
        chosen, balancer = balancer.next(proxy, end.packet.src, request.now, again=attempt > 0)
        if chosen is None:
            break
        packet = _second(network, end.netns, chosen, proxy, FIRST_SOURCE + len(tried), end.packet)
        tried.append(trace(network, end.netns, packet, process=PROCESS, now=request.now))
        network = after(network, tried[-1])
        if tried[-1].delivered:
            break
    return Relay(tuple(tried), network, balancer)


def _second(network: Network, netns: str, chosen: ProxyEndpoint, proxy: ProxyPort, sport: int, first: Packet) -> Packet:
    dst = type(first.dst)(chosen.ip)
    src = source_for(network.namespace(netns), dst)
    if src is None:
        raise ModelError(f"kube-proxy has no route to {chosen}")
    payload = Tcp(sport, chosen.port, "S") if proxy.info.protocol == "tcp" else Udp(sport, chosen.port, first.payload.data)
    return Packet(src, dst, payload)
