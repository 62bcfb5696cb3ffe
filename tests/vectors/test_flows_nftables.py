"""First packets through a modelled node with kube-proxy's nftables rules: every outcome that a real kernel, or kube-proxy's authors, saw is
among the model's, and equal where only one is possible."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from k8snetlib.kube.proxy import ops
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.linux.engine import iter_traces
from k8snetlib.linux.events import Chose, Dropped, Learned, Matched, Trace
from k8snetlib.linux.ops import AddrAdd, ConntrackAdd, LinkAdd, LinkSet, NeighAdd, NetnsAdd, Op, RouteAdd, SysctlSet, build, stable_mac
from k8snetlib.linux.packet import Packet, Sctp, Tcp, Udp, is_loopback
from k8snetlib.linux.state import IPNetwork, Neighbor, Network, Route
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

MODE = "nftables"
KERNEL = [case for name in ("kernel_flows", "kernel_flows_v6") for case in cases(name) if case["mode"] == MODE]
UPSTREAM = [case for case in cases("packet_flows_upstream") if case["mode"] == MODE]
PAYLOADS = {"TCP": lambda port: Tcp(40000, port), "UDP": lambda port: Udp(40000, port, b"x"), "SCTP": lambda port: Sctp(40000, port)}
ANY = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def far_end(node_dev: str, far: str, address, dev: str = "") -> list[Op]:
    """A cable to a namespace that sends everything to the node, under whatever address."""
    mac = stable_mac("node", dev or node_dev)
    return [
        NetnsAdd(far), LinkAdd("node", node_dev, "veth", mac=stable_mac("node", node_dev), peer=(far, "eth0")),
        LinkSet("node", node_dev, up=True), LinkSet(far, "eth0", up=True),
        RouteAdd(far, Route(ANY[address.version], "eth0", address, onlink=True)), NeighAdd(far, Neighbor("eth0", address, mac)),
    ]  # fmt: skip


def node(case: dict, config: ProxyConfig, pods: IPNetwork, others: dict[IPNetwork, object]) -> Network:
    """The node as the README of the vectors describes it: eth0 towards clients and other nodes, cni0 towards its Pods."""
    own = [ip for ip in config.local_ips if ip.version == config.version]
    bits = 24 if config.version == 4 else 64
    addresses = [ip_interface(f"{ip}/{bits if ip == own[0] else ip.max_prefixlen}") for ip in own]
    gateway, bridge = addresses[0].network.network_address + 1, ip_interface((pods.network_address + 1, pods.prefixlen))
    made = [NetnsAdd("node"), *far_end("eth0", "outside", addresses[0].ip)]
    made += [LinkAdd("node", "cni0", "bridge"), LinkSet("node", "cni0", up=True), AddrAdd("node", "cni0", bridge)]
    made += [*far_end("veth0", "pods", bridge.ip, "cni0"), LinkSet("node", "veth0", master="cni0", hairpin=True)]
    known = {ip for part in slices(case) for each in part.endpoints for ip in each.addresses if part.address_type == f"IPv{config.version}"}
    made += [NeighAdd("node", Neighbor("cni0", ip, stable_mac("pods", "eth0"))) for ip in sorted(known) if ip in pods]
    made += [AddrAdd("node", "eth0", address) for address in addresses]
    made += [RouteAdd("node", Route(ANY[config.version], "eth0", gateway))]
    made += [RouteAdd("node", Route(network, "eth0", via)) for network, via in others.items()]
    made += [SysctlSet("node", "net.ipv4.ip_forward" if config.version == 4 else "net.ipv6.conf.all.forwarding", 1)]
    return build([*made, *ops(MODE, "node", services(case), slices(case), [config])])


def kernel_node(case: dict) -> Network:
    config = proxy_config(case)
    ranges, ips = {}, {}
    for each in case["objects"]:
        if each["kind"] == "Node":
            spec, name = each["spec"], each["metadata"]["name"]
            ranges[name] = next(n for n in map(ip_network, spec.get("podCIDRs") or [spec["podCIDR"]]) if n.version == config.version)
            known = (ip_address(a["address"]) for a in each["status"]["addresses"] if a["type"] == "InternalIP")
            ips[name] = next(ip for ip in known if ip.version == config.version)
    return node(case, config, ranges[config.node_name], {ranges[n]: ips[n] for n in ranges if n != config.node_name})


def send(network: Network, at: str, flow: dict) -> dict[tuple, tuple]:
    """Outcome → (its weight, its traces); the weights sum to 1, and every choice among N was 1 in N."""
    packet = Packet(ip_address(flow["src"]), ip_address(flow["dst"]), PAYLOADS[flow["proto"]](flow["port"]))
    found: dict[tuple, tuple] = {}
    for weight, told in iter_traces(network, at, packet):
        product = 1
        for chose in told.all(Chose):
            product *= chose.chance
        assert product == weight
        before, traces = found.get(outcome(told), (0, ()))
        found[outcome(told)] = (before + weight, (*traces, told))
    assert sum(weight for weight, _ in found.values()) == 1
    return found


def outcome(told: Trace) -> tuple[str, str | None, str | None]:
    """PASS with the connection's translations, DROP, or REJECT."""
    here = [event for event in told.events if event.netns == "node" and event.journey == 0]
    for event in here:
        if type(event) is Dropped and event.reason == "NETFILTER_DROP":
            return ("REJECT" if event.detail.lower().startswith("reject") else "DROP"), None, None
    entry = next(event.op.entry for event in here if type(event) is Learned and type(event.op) is ConntrackAdd)
    original, reply = entry.original, entry.reply
    dnat = None if (reply.src, reply.sport) == (original.dst, original.dport) else end(reply.src, reply.sport)
    return "PASS", dnat, None if reply.dst == original.src else str(reply.dst)


def end(ip, port: int) -> str:
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


@pytest.mark.parametrize("case", KERNEL, ids=[case["id"] for case in KERNEL])
def test_as_the_kernel_did(case: dict) -> None:
    network = kernel_node(case)
    for flow in case["flows"]:
        found = send(network, {"node": "node", "local-pod": "pods", "outside": "outside"}[flow["from"]], flow)
        seen = {(each["verdict"], each["dnat"], each["snat"]) for each in flow["seen"]}
        words = f"{flow['name']}: {flow['src']} > {flow['dst']}:{flow['port']}/{flow['proto']}: kernel {seen}, model {found.keys()}"
        assert seen <= found.keys(), words
        assert len(found) > 1 or seen == found.keys(), words
        assert len({weight for weight, _ in found.values()}) == 1, words


def upstream_config(case: dict) -> ProxyConfig:
    conf = case["config"]
    local, primary = tuple(map(ip_address, conf["localIPs"])), ip_address(conf["nodeIP"])
    detect = ip_network(conf["detectLocal"][2]) if conf["detectLocal"] else None
    ranges = tuple(map(ip_network, conf["serviceCIDRs"].split(",")))
    zone = (conf["topologyLabels"] or {}).get("topology.kubernetes.io/zone", "")
    return ProxyConfig(
        conf["nodeName"], primary, local, detect, ranges, "ClusterCIDR" if detect else "None", "", conf["masqueradeAll"], True, tuple(map(ip_network, re.findall(r"[^\[\] ]+", conf["nodePortAddresses"]))), zone,
    )  # fmt: skip


@pytest.mark.parametrize("case", UPSTREAM, ids=[case["id"] for case in UPSTREAM])
def test_as_the_authors_expect(case: dict) -> None:
    """Their tracer knows no hooks: what is accepted goes nowhere, and masquerading on some path counts."""
    config = upstream_config(case)
    network = node(case, config, ip_network("10.99.0.0/24" if config.version == 4 else "fd00:10:0:99::/64"), {})
    for packet in case["packets"]:
        src = ip_address(packet["src"])
        pods = config.cluster_cidr or ip_network("10.0.0.0/8" if config.version == 4 else "fd00:10::/64")
        at = "node" if src in config.local_ips or is_loopback(src) else "pods" if src in pods else "outside"
        found = send(network, at, packet)
        targets = {part.strip() for part in packet["output"].split(",")}
        if targets <= {"", "ACCEPT"}:
            assert found.keys() == {("PASS", None, None)}, packet
        elif targets <= {"REJECT", "DROP"}:
            assert {verdict for verdict, _, _ in found} == targets, packet
        else:
            assert {dnat for _, dnat, _ in found} == targets, packet
            told = [each for _, traces in found.values() for each in traces]
            assert any(event.verdict == "masquerade" for each in told for event in each.all(Matched)) is packet["masq"], packet


def test_counts(capsys: pytest.CaptureFixture) -> None:
    flows = sum(len(case["flows"]) for case in KERNEL)
    with capsys.disabled():
        print(
            f"\n{len(KERNEL)} nodes with {flows} flows of a kernel, {sum(len(case['packets']) for case in UPSTREAM)} packets of the authors"
        )
    assert KERNEL
    assert UPSTREAM
