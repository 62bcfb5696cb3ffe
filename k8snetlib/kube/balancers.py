"""Load balancers in front of the nodes: to whom each sends a new connection, and the router's rules that stand for it.

A balancer keeps to the targets that pass its health check, and spreads new connections over them evenly. One that passes packets on
(``ipMode: VIP``) chooses a node and leaves the addresses as they are: the router marks the connection with the node's number, and a routing
table for each mark leads there. One that ends connections (``ipMode: Proxy``) opens its own, from an address on the nodes' side, to a node
port or, past kube-proxy, to a Pod: in a packet's trace the router replaces both addresses, and in a request's journey a process there listens
and calls (:mod:`.edge.arrival`). It keeps to ``loadBalancerSourceRanges`` itself: kube-proxy has no rules for its address, as for one that
passes packets on. Which nodes are asked at all: those without the label that excludes them (KEP-1143).

Not as in real ones: a connection's target is drawn by chance, where many balancers hash its addresses and ports; and what a proxying one
asks of HTTP or TLS is not there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from ..errors import UnsupportedError
from ..linux.addresses import ANY, ip_interface, ip_network
from ..linux.ops import AddrAdd, Listen, Op, RouteAdd, RuleAdd, RulesRestore, SysctlSet
from ..linux.packet import IPAddress
from ..linux.state import IPNetwork, PolicyRule, Route, Socket
from ..value import value
from .cni.sandbox import UNDERLAY, Host, segment_of, segments
from .objects import LoadBalancerIngress, Service
from .pools import BalancerPool, needs_health_check
from .slices import Endpoint, EndpointSlice

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""The label of a Node that load balancers leave out, whatever its value."""
LEAVING = "ToBeDeletedByClusterAutoscaler"
"""The taint of a Node that is about to go (pkg/proxy/healthcheck/proxy_health.go)."""
HEALTHZ = 10256
"""The port at which kube-proxy says how it is, at the path /healthz."""
MARK = "0x1/0x1"
"""What a proxying balancer marks, so that it replaces the source address of its own connections alone."""
SHIFT, BITS = 8, 0xFFFF00
"""Where a mark has the number of the node that a passed-on connection goes to: node 1 is 0x100."""
NAT = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")
RULES, TABLES = 1000, 1000  # priority and table of node 0
TEXT = {"pods": "a balancer that sends to Pods replaces addresses: give its pool ip_mode Proxy, not {mode}"}
Door = tuple[str, int, tuple[tuple[IPAddress, int], ...]]
"""(protocol, port, the addresses and ports behind it)."""


@value
class Check:
    """A node's answer to a load balancer's health check: asked at ``port``, HTTP status 200 (``up``) or 503, or, without kube-proxy
    (``heard`` false), nothing at all; and how many ready endpoints the Service has there."""

    node: str
    port: int
    up: bool
    endpoints: int
    heard: bool = True


@value
class Balanced:
    """A load balancer's address and what is behind it: the ``hosts`` that packets are passed on to, or a proxying one's ``doors``, and from
    where it takes connections (``ranges``; () for everywhere)."""

    ip: IPAddress
    hosts: tuple[Host, ...] = ()
    doors: tuple[Door, ...] = ()
    ranges: tuple[IPNetwork, ...] = ()


# --- whom it asks


def local_endpoints(service: Service, slices: Iterable[EndpointSlice], node: str) -> int:
    """How many ready endpoints a Service has on a node: what kube-proxy tells a load balancer that asks at the health check node port,
    with HTTP status 200, or 503 if there is none (pkg/proxy/healthcheck/service_health.go)."""
    own = (each for part in slices if part.service_key == service.key and part.address_type != "FQDN" for each in part.endpoints)
    return len({each.addresses[0] for each in own if each.node_name == node and each.ready is not False})


def check(service: Service, slices: Iterable[EndpointSlice], host: Host, running: bool = True) -> Check:
    """What a load balancer hears from a node about a Service; ``running``: kube-proxy is there.

    Under ``externalTrafficPolicy: Local`` it asks for endpoints of this Service, at a port of its own. Otherwise it asks how kube-proxy is,
    which says 503 on a node that is about to go, so that new connections go elsewhere while old ones end (KEP-3836).
    """
    count = local_endpoints(service, slices, host.name)
    if needs_health_check(service):
        return Check(host.name, service.health_check_node_port, running and count > 0, count, running)
    return Check(host.name, HEALTHZ, running and not _leaving(host), count, running)


def _leaving(host: Host) -> bool:
    node = host.node
    return node is not None and (bool(node.metadata.deletion_timestamp) or any(taint.key == LEAVING for taint in node.taints))


def candidates(hosts: Iterable[Host], pool: BalancerPool | None) -> list[Host]:
    """The nodes that a load balancer considers at all."""
    allowed = pool.nodes if pool else ()
    return [each for each in hosts if (not allowed or each.name in allowed) and not (each.node and EXCLUDED in each.node.labels)]


def by_service(slices: Iterable[EndpointSlice]) -> dict[str, list[EndpointSlice]]:
    """Slices by their Service's key."""
    found: dict[str, list[EndpointSlice]] = defaultdict(list)
    for part in slices:
        found[part.service_key].append(part)
    return found


def ready(slices: Iterable[EndpointSlice]) -> Iterator[tuple[EndpointSlice, Endpoint]]:
    """The endpoints that take new connections, each with its slice."""
    return ((part, each) for part in slices if part.address_type != "FQDN" for each in part.endpoints if each.ready is not False)


def pool_at(pools: Iterable[BalancerPool], ip: IPAddress) -> BalancerPool | None:
    """The pool that an address is of."""
    return next((pool for pool in pools if any(ip.version == net.version and ip in net for net in pool.networks)), None)


def balanced(
    services: Iterable[Service],
    slices: Iterable[EndpointSlice],
    hosts: Sequence[Host],
    pools: Sequence[BalancerPool] = (),
    running: bool = True,
) -> Iterator[Balanced]:
    """Where each load balancer's address leads; nowhere if no node passes the health check, or no endpoint is ready.

    An address for which an elected node answers is none of them. UnsupportedError for a pool that sends to Pods and leaves addresses alone.
    """
    parts = by_service(slices)
    for service in services:
        own = parts.get(service.key, ())
        for entry in service.load_balancer_ingress:
            pool = pool_at(pools, entry.ip) if entry.ip is not None else None
            if entry.ip is not None and not (pool and pool.arp):
                fit = [host for host in candidates(hosts, pool) if host.address(entry.ip.version)]
                fit = _fit(service, own, fit, running)
                yield _way(service, own, entry, fit, pool)


def _way(service: Service, slices: Sequence[EndpointSlice], entry: LoadBalancerIngress, fit: tuple[Host, ...], pool: BalancerPool | None):
    """Where one address leads, with these nodes fit."""
    to_pods, version = pool is not None and pool.targets == "pods", entry.ip.version
    if to_pods and entry.ip_mode != "Proxy":
        raise UnsupportedError(TEXT["pods"].format(mode=entry.ip_mode))
    if entry.ip_mode != "Proxy":
        return Balanced(entry.ip, fit)
    doors = _to_pods(service, slices, version) if to_pods else _to_nodes(service, fit, version)
    return Balanced(entry.ip, doors=tuple(doors), ranges=service.source_ranges(version))


def _fit(service: Service, slices: Iterable[EndpointSlice], hosts: Iterable[Host], running: bool) -> tuple[Host, ...]:
    """Those that pass the health check."""
    if not needs_health_check(service):
        return tuple(host for host in hosts if running and not _leaving(host))
    places = {each.node_name for _, each in ready(slices)}
    return tuple(host for host in hosts if running and host.name in places)


def _to_nodes(service: Service, hosts: Sequence[Host], version: int) -> Iterator[Door]:
    for port in service.ports:
        if port.node_port and hosts:
            yield port.protocol.lower(), port.port, tuple((host.address(version), port.node_port) for host in hosts)


def _to_pods(service: Service, slices: Iterable[EndpointSlice], version: int) -> Iterator[Door]:
    found = [(part, each) for part, each in ready(slices) if each.addresses[0].version == version]
    for port in service.ports:
        behind = ((e.addresses[0], p.port) for part, e in found for p in part.ports if (p.name, p.protocol) == (port.name, port.protocol))
        targets = tuple(dict.fromkeys((ip, number) for ip, number in behind if number))
        if targets:
            yield port.protocol.lower(), port.port, targets


# --- what the router does for it


def router_ops(ways: Iterable[Balanced], versions: Iterable[int], hosts: Sequence[Host]) -> Iterator[Op]:
    """What makes the router the load balancer of these ways. A single fit node is the next hop of a plain route."""
    links, ways = segments(hosts), list({(way.ip, way.doors): way for way in ways}.values())
    for way in ways:
        if len(way.hosts) == 1:
            yield RouteAdd(UNDERLAY, _route(way.ip, way.hosts[0], links))
    for version in versions:
        here = [way for way in ways if way.ip.version == version]
        text = _range_rules(here) + _passing_rules(here, hosts) + _proxy_rules(here)
        if text:
            switch = "net.bridge.bridge-nf-call-ip6tables" if version == 6 else "net.bridge.bridge-nf-call-iptables"
            yield SysctlSet(UNDERLAY, switch, 0)  # a switch, and beside it a balancer: what is only switched meets no rules
            yield RulesRestore(UNDERLAY, text, version=version)
        several = {name for way in here if len(way.hosts) > 1 for name in _names(way)}
        for number, host in enumerate(hosts, 1):
            if host.name in several:
                table = str(TABLES + number)
                yield RouteAdd(UNDERLAY, Route(ANY[version], segment_of(host, links), host.address(version), table=table))
                yield RuleAdd(UNDERLAY, PolicyRule(RULES + number, table, fwmark=number << SHIFT, fwmask=BITS, version=version))


def process_ops(ip: IPAddress, port: int, process: str) -> Iterator[Op]:
    """What makes the router end connections to a balancer's address itself, in a process, in place of the rules that stand for it: all that
    are in its nat table. Those that keep callers out stay."""
    yield RulesRestore(UNDERLAY, _table("nat", (), (), NAT), version=ip.version)
    yield AddrAdd(UNDERLAY, "lo", ip_interface(ip))
    yield Listen(UNDERLAY, Socket("tcp", port, ip, process))


def _route(ip: IPAddress, host: Host, links: dict) -> Route:
    return Route(ip_network(ip), segment_of(host, links), host.address(ip.version))


def _table(name: str, chains: Iterable[str], lines: Iterable[str], built_in: Iterable[str]) -> str:
    heads = [*(f":{each} ACCEPT [0:0]" for each in built_in), *(f":{each} - [0:0]" for each in chains)]
    return "\n".join([f"*{name}", *heads, *lines, "COMMIT", ""])


def _chosen(count: int, index: int) -> str:
    """What makes a rule the choice of the ``index``-th of ``count`` targets, where those before it were not chosen: each is as likely."""
    from .proxy.spelling import kernel_probability

    left = count - index
    return f" -m statistic --mode random --probability {kernel_probability(left)}" if left > 1 else ""


def _passing_rules(ways: Iterable[Balanced], hosts: Sequence[Host]) -> str:
    """Rules that mark a new connection with a node's number, and later packets as their connection, as iptables-restore reads them."""
    several = [way for way in ways if len(way.hosts) > 1]
    if not several:
        return ""
    numbers = {host.name: number for number, host in enumerate(hosts, 1)}
    chains = {names: f"SPREAD-{number}" for number, names in enumerate(dict.fromkeys(map(_names, several)), 1)}
    bits, lines = f"{BITS:#x}", []
    for way in several:
        match = f"-A PREROUTING -d {way.ip}/{way.ip.max_prefixlen}"
        lines += [f"{match} -j CONNMARK --restore-mark --nfmask {bits} --ctmask {bits}"]
        lines += [f"{match} -m mark --mark 0x0/{bits} -j {chains[_names(way)]}"]
    for members, chain in chains.items():
        lines += [f"-A {chain}{_chosen(len(members), at)} -g NODE-{numbers[name]}" for at, name in enumerate(members)]
    used = sorted({numbers[name] for members in chains for name in members})
    for number in used:
        lines += [f"-A NODE-{number} -j MARK --set-xmark {number << SHIFT:#x}/{bits}"]
        lines += [f"-A NODE-{number} -j CONNMARK --save-mark --nfmask {bits} --ctmask {bits}"]
    own = [*chains.values(), *(f"NODE-{number}" for number in used)]
    return _table("mangle", own, lines, ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"))


def _names(way: Balanced) -> tuple[str, ...]:
    return tuple([host.name for host in way.hosts])


def _range_rules(ways: Iterable[Balanced]) -> str:
    """Rules that drop what comes to a proxying balancer from outside its ranges, as iptables-restore reads them: in raw, as nat has no DROP."""
    fenced = [way for way in ways if way.ranges and way.doors]
    if not fenced:
        return ""
    chains = {ranges: f"RANGES-{number}" for number, ranges in enumerate(dict.fromkeys(way.ranges for way in fenced), 1)}
    lines = [f"{_to_door(way, proto, port)} -j {chains[way.ranges]}" for way in fenced for proto, port, _ in way.doors]
    for ranges, chain in chains.items():
        lines += [*(f"-A {chain} -s {each} -j RETURN" for each in ranges), f"-A {chain} -j DROP"]
    return _table("raw", chains.values(), lines, ("PREROUTING", "OUTPUT"))


def _to_door(way: Balanced, proto: str, port: int) -> str:
    return f"-A PREROUTING -d {way.ip}/{way.ip.max_prefixlen} -p {proto} -m {proto} --dport {port}"


def _proxy_rules(ways: Iterable[Balanced]) -> str:
    """The rules that stand for proxying balancers, as iptables-restore reads them."""
    lines = []
    for way in ways:
        for proto, port, targets in way.doors:
            match = _to_door(way, proto, port)
            lines += [f"{match} -j MARK --set-xmark {MARK}"]
            for at, (address, number) in enumerate(targets):
                to = f"[{address}]" if address.version == 6 else str(address)
                lines += [f"{match}{_chosen(len(targets), at)} -j DNAT --to-destination {to}:{number}"]
    if not lines:
        return ""
    lines.append(f"-A POSTROUTING -m mark --mark {MARK} -j MASQUERADE")
    return _table("nat", (), lines, NAT)
