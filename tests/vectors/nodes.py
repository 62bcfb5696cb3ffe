"""The node of the flow vectors as a model: what stands around kube-proxy, and what becomes of a packet's connection there."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network

from k8snetlib.kube import proxy
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.linux.engine import iter_traces
from k8snetlib.linux.events import Dropped, Learned, Matched, Trace
from k8snetlib.linux.ops import AddrAdd, ConntrackAdd, LinkAdd, LinkSet, NeighAdd, NetnsAdd, Op, RouteAdd, SysctlSet, build, stable_mac
from k8snetlib.linux.packet import IPAddress, Packet, Sctp, Tcp, Udp
from k8snetlib.linux.state import IPNetwork, Neighbor, Network, Route
from tests.vectors.objects import proxy_config, services, slices

NODE, PODS, OUTSIDE = "node", "pods", "outside"
PORT, SPORT = "veth0", 40000
TESTED = {"iptables": "iptables", "nftables": "nftables"}
"""Modes whose flows are traced: a mode of the vectors → the name in ``kube.proxy.MODES``."""

Outcome = tuple[str, str | None, str | None]  # verdict, DNAT to, SNAT to


def build_node(case: dict, mode: str) -> Network:
    """The node of a case of kernel_flows, with kube-proxy's rules in that mode: the README of the vectors says how it is laid out."""
    config = proxy_config(case)
    nodes = [each for each in case["objects"] if each["kind"] == "Node"]
    ranges = {each["metadata"]["name"]: _pod_range(each, config.version) for each in nodes}
    others = {
        ranges[each["metadata"]["name"]]: _address(each, config.version) for each in nodes if each["metadata"]["name"] != config.node_name
    }
    return lay_out(case, mode, config, ranges[config.node_name], others)


def _pod_range(node: dict, version: int) -> IPNetwork:
    spec = node["spec"]
    return next(n for n in map(ip_network, spec.get("podCIDRs") or [spec["podCIDR"]]) if n.version == version)


def _address(node: dict, version: int) -> IPAddress:
    found = [ip_address(each["address"]) for each in node["status"]["addresses"] if each["type"] == "InternalIP"]
    return next(ip for ip in found if ip.version == version)


def lay_out(case: dict, mode: str, config: ProxyConfig, pods: IPNetwork, others: dict[IPNetwork, IPAddress]) -> Network:
    version = config.version
    bits = 24 if version == 4 else 64
    local = [ip for ip in config.local_ips if ip.version == version]
    addresses = [ip_interface(f"{ip}/{bits if ip == local[0] else ip.max_prefixlen}") for ip in local]
    gateway = addresses[0].network.network_address + 1
    bridge = ip_interface((pods.network_address + 1, pods.prefixlen))
    ops: list[Op] = [NetnsAdd(NODE), NetnsAdd(PODS), NetnsAdd(OUTSIDE)]
    ops += _wire(OUTSIDE, "eth0", version, addresses[0].ip)
    ops += [LinkAdd(NODE, "cni0", "bridge"), LinkSet(NODE, "cni0", up=True), AddrAdd(NODE, "cni0", bridge)]
    ops += _wire(PODS, PORT, version, bridge.ip)
    ops += [LinkSet(NODE, PORT, master="cni0", hairpin=True)]
    endpoints = {ip for part in slices(case) for each in part.endpoints for ip in each.addresses if part.address_type == f"IPv{version}"}
    ops += [NeighAdd(NODE, Neighbor("cni0", ip, stable_mac(PODS, "eth0"))) for ip in sorted(endpoints) if ip in pods]
    # The kernel lists a device's latest IPv6 address first, and takes the first of several that are as near: here always the node's own
    ops += [AddrAdd(NODE, "eth0", address) for address in (addresses if version == 4 else reversed(addresses))]
    ops += [RouteAdd(NODE, Route(_everywhere(version), "eth0", gateway))]
    ops += [RouteAdd(NODE, Route(network, "eth0", via)) for network, via in others.items()]
    ops += [SysctlSet(NODE, "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding", 1)]
    ops += proxy.ops(TESTED[mode], NODE, services(case), slices(case), [config])
    return build(ops)


def _everywhere(version: int) -> IPNetwork:
    return ip_network("0.0.0.0/0" if version == 4 else "::/0")


def _wire(far: str, dev: str, version: int, node: IPAddress) -> Iterable[Op]:
    """A cable from the node's ``dev`` to a namespace that sends everything to the node, under whatever address."""
    mac = stable_mac(NODE, "cni0" if dev == PORT else dev)
    yield LinkAdd(NODE, dev, "veth", mac=stable_mac(NODE, dev), peer=(far, "eth0"))
    yield LinkSet(NODE, dev, up=True)
    yield LinkSet(far, "eth0", up=True)
    yield RouteAdd(far, Route(_everywhere(version), "eth0", node, onlink=True))
    yield NeighAdd(far, Neighbor("eth0", node, mac))


def first_packet(flow: dict) -> Packet:
    payload = {
        "TCP": lambda: Tcp(SPORT, flow["port"], "S"),
        "UDP": lambda: Udp(SPORT, flow["port"], b"x"),
        "SCTP": lambda: Sctp(SPORT, flow["port"]),
    }[flow["proto"]]()
    return Packet(ip_address(flow["src"]), ip_address(flow["dst"]), payload)


def send(network: Network, flow: dict) -> list[tuple[Fraction, Trace]]:
    """Every way that the flow's first packet may go."""
    at = {"node": NODE, "local-pod": PODS, "outside": OUTSIDE}[flow["from"]]
    return list(iter_traces(network, at, first_packet(flow)))


def outcome(told: Trace) -> Outcome:
    """What the node made of the packet: PASS with the connection's translations, DROP, or REJECT.

    A packet from the node to itself has a connection once it has left, and may still be refused when it comes in.
    """
    here = [event for event in told.events if event.netns == NODE and event.journey == 0]
    for event in here:
        if type(event) is Dropped and event.reason == "NETFILTER_DROP":
            refused = event.detail.lower().startswith("reject") or "no real server" in event.detail
            return ("REJECT" if refused else "DROP"), None, None
    entry = next(event.op.entry for event in here if type(event) is Learned and type(event.op) is ConntrackAdd)
    original, reply = entry.original, entry.reply
    dnat = None if (reply.src, reply.sport) == (original.dst, original.dport) else _pair(reply.src, reply.sport)
    return "PASS", dnat, None if reply.dst == original.src else str(reply.dst)


def masqueraded(told: Trace) -> bool:
    return any(event.verdict.upper() == "MASQUERADE" for event in told.all(Matched))


def _pair(ip: IPAddress, port: int) -> str:
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
