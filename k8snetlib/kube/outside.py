"""What stands outside the cluster: a client on the Internet, reached through the underlay's router, and the way to load balancer addresses.

The router plays the load balancer, and sends what is addressed to it to one node. With ``ipMode: VIP`` it passes the packet on unchanged,
as a balancer that answers ARP for the address does; with ``ipMode: Proxy`` it replaces both addresses, as one that ends the connection and
opens another to the node port. Which endpoint it reaches from there is kube-proxy's choice. A balancer asks before it sends: where a
Service keeps traffic on the node (``externalTrafficPolicy: Local``), only a node that has an endpoint passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv6Interface

from ..linux.addresses import ANY, ip_interface, ip_network, with_length
from ..linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, Op, RouteAdd, RulesRestore, SysctlSet
from ..linux.packet import IPAddress
from ..linux.state import Route
from ..value import value
from .allocation import needs_health_check
from .cni.sandbox import UNDERLAY, Host, mac_for, segment_of, segments
from .objects import Service
from .slices import EndpointSlice

CLIENT, INTERNET = "client", "internet"
ADDRESSES: dict[int, IPv4Interface | IPv6Interface] = {4: ip_interface("203.0.113.7/24"), 6: ip_interface("2001:db8:113::7/64")}
"""The client's, from the ranges kept for documentation (RFC 5737, RFC 3849)."""
BALANCERS = {4: ip_network("198.51.100.8/29"), 6: ip_network("2001:db8:51::/125")}
"""Addresses that the course's load balancer hands out."""


MARK = "0x1/0x1"
"""What a proxying balancer marks, so that it replaces the source address of its own connections alone."""


@value
class Balanced:
    """A load balancer's address, and the node that it sends to; a proxying one has ``ports``, (protocol, port, node port) each."""

    ip: IPAddress
    host: Host
    ports: tuple[tuple[str, int, int], ...] = ()


def local_endpoints(service: Service, slices: Iterable[EndpointSlice], node: str) -> int:
    """How many ready endpoints a Service has on a node: what kube-proxy tells a load balancer that asks at the health check node port,
    with HTTP status 200, or 503 if there is none (pkg/proxy/healthcheck/service_health.go)."""
    own = (each for part in slices if part.service_key == service.key for each in part.endpoints)
    return len({each.addresses[0] for each in own if each.node_name == node and each.ready is not False})


def balanced(services: Iterable[Service], slices: Sequence[EndpointSlice], hosts: Sequence[Host]) -> Iterable[Balanced]:
    """Where each load balancer's addresses lead: to the first node that passes its health check; a Service for which none does leads
    nowhere."""
    for service in services:
        entries = [each for each in service.load_balancer_ingress if each.ip is not None]
        fit = (host for host in hosts if not needs_health_check(service) or local_endpoints(service, slices, host.name))
        host = next(fit, None) if entries else None
        for entry in entries if host else ():
            ports = tuple((p.protocol.lower(), p.port, p.node_port) for p in service.ports if p.node_port)
            yield Balanced(entry.ip, host, ports if entry.ip_mode == "Proxy" else ())


def _proxy_rules(ways: Sequence[Balanced], version: int) -> str:
    """The rules that stand for proxying balancers, as iptables-restore reads them."""
    lines = []
    for way in ways:
        node = way.host.address(version)
        to = f"[{node}]" if version == 6 else str(node)
        for proto, port, node_port in way.ports:
            match = f"-d {way.ip}/{way.ip.max_prefixlen} -p {proto} -m {proto} --dport {port}"
            lines += [f"-A PREROUTING {match} -j MARK --set-xmark {MARK}"]
            lines += [f"-A PREROUTING {match} -j DNAT --to-destination {to}:{node_port}"]
    chains = [f":{name} ACCEPT [0:0]" for name in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")]
    return "\n".join(["*nat", *chains, *lines, f"-A POSTROUTING -m mark --mark {MARK} -j MASQUERADE", "COMMIT", ""])


def outside_ops(versions: Iterable[int], hosts: Sequence[Host], ways: Sequence[Balanced] = ()) -> Iterable[Op]:
    """The client, its link to the router, and what the router does as the load balancer of these ``ways``."""
    own = [ADDRESSES[version] for version in versions]
    routers = [with_length(address.network.network_address + 1, address.network.prefixlen) for address in own]
    yield LinkAdd(UNDERLAY, INTERNET, "bridge", mac=mac_for(routers[0].ip, "52:54:00"))
    yield LinkSet(UNDERLAY, INTERNET, up=True)
    for router in routers:
        yield AddrAdd(UNDERLAY, INTERNET, router)
    yield NetnsAdd(CLIENT)
    yield LinkAdd(CLIENT, "eth0", "veth", mac=mac_for(own[0].ip, "52:54:00"), peer=(UNDERLAY, "port-client"))
    yield LinkSet(UNDERLAY, "port-client", master=INTERNET, up=True)
    yield LinkSet(CLIENT, "eth0", up=True)
    for address, router in zip(own, routers, strict=True):
        yield AddrAdd(CLIENT, "eth0", address)
        yield RouteAdd(CLIENT, Route(ANY[router.version], "eth0", router.ip))
    links, proxied = segments(hosts), [way for way in ways if way.ports]
    for way in {way.ip: way for way in ways if not way.ports}.values():
        via = way.host.address(way.ip.version)
        yield RouteAdd(UNDERLAY, Route(ip_network(way.ip), segment_of(way.host, links), via))
    for address in own if proxied else ():
        here = [way for way in proxied if way.ip.version == address.version]
        if here:
            switch = "net.bridge.bridge-nf-call-ip6tables" if address.version == 6 else "net.bridge.bridge-nf-call-iptables"
            yield SysctlSet(UNDERLAY, switch, 0)  # a switch, and beside it a balancer: what is only switched meets no rules
            yield RulesRestore(UNDERLAY, _proxy_rules(here, address.version), version=address.version)
