"""What is seen differently under each mode of kube-proxy: the documented differences, each of them asserted."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

import k8snetlib as k8s
from k8snetlib.kube import proxy
from k8snetlib.kube.objects import ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice
from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Dropped, Trace
from k8snetlib.linux.ops import build, route
from k8snetlib.linux.packet import Packet, ping, tcp
from tests.unit.networks import routed

META = ObjectMeta("web", "default", FrozenDict({SERVICE_NAME_LABEL: "web"}))
VIP, NODE_PORT = "10.96.0.10", 30080
SERVICE = Service(META, (ServicePort(80, node_port=NODE_PORT),), type="NodePort", cluster_ips=(ip_address(VIP),))
SLICES = [EndpointSlice(META, "IPv4", (Endpoint((ip_address("10.0.2.2"),)),), (EndpointPort("", 80),))]
CONFIG = ProxyConfig("r", ip_address("10.0.1.1"), (ip_address("10.0.1.1"), ip_address("10.0.2.1")), ip_network("10.0.0.0/8"))


def sent(mode: str, at: str, packet: Packet) -> Trace:
    ops = proxy.ops(mode, "r", [SERVICE], SLICES, [CONFIG])
    return trace(build([*routed(), route("r", "default", via="10.0.2.99"), *ops]), at, packet)


def place(told: Trace) -> str:
    """Where the packet ended: the Pod behind the Service, a process, or the reason why nowhere."""
    end = told.end
    if isinstance(end, Dropped):
        return end.detail.split(" ")[0] if end.reason == "NETFILTER_DROP" else end.reason
    return end.netns if end.socket is None or end.socket.process == "web" else end.socket.process


@pytest.mark.parametrize(
    ("what", "at", "packet", "iptables", "ipvs", "userspace"),
    [
        ("a Pod to the cluster IP", "a", tcp("10.0.1.2", VIP, 80), "b", "b", "kube-proxy"),
        ("a Pod to a port that no Service has", "a", tcp("10.0.1.2", VIP, 81), "NEIGH_FAILED", "REJECT", "NEIGH_FAILED"),
        ("a ping of the cluster IP", "a", ping("10.0.1.2", VIP), "NEIGH_FAILED", "REJECT", "NEIGH_FAILED"),
        ("the node to its node port", "r", tcp("10.0.1.1", "10.0.1.1", NODE_PORT), "b", "b", "kube-proxy"),
        ("the node to 127.0.0.1", "r", tcp("127.0.0.1", "127.0.0.1", NODE_PORT), "b", "NO_SOCKET", "kube-proxy"),
        ("a Pod to another of the node's addresses", "a", tcp("10.0.1.2", "10.0.2.1", NODE_PORT), "b", "b", "kube-proxy"),
    ],
)
def test_differences(what: str, at: str, packet: Packet, iptables: str, ipvs: str, userspace: str) -> None:
    for mode, wanted in (("iptables", iptables), ("ipvs", ipvs), ("userspace", userspace)):
        assert place(sent(mode, at, packet)) == wanted, f"{what}, {mode}"


def test_ipvs_has_a_local_route_to_each_virtual_address() -> None:
    node = build([*routed(), *proxy.ops("ipvs", "r", [SERVICE], SLICES, [CONFIG])])["r"]
    assert [str(address) for address in node.interfaces["kube-ipvs0"].addresses] == [f"{VIP}/32"] and not node.interfaces["kube-ipvs0"].up


@pytest.mark.parametrize(("mode", "open_there"), [("iptables", True), ("ipvs", True), ("nftables", False), ("userspace", True)])
def test_node_ports_answer_on_the_bridges_address_too_where_all_local_ones_count(mode: str, open_there: bool) -> None:
    """kube-proxy asks the kernel for the addresses of all interfaces (IPVS: one virtual server each); nftables takes the primary one."""
    cluster = k8s.patched(k8s.shop(proxy=mode), "svc/web", type="NodePort")
    (port,) = (port.node_port for service in cluster.control.services if service.name == "web" for port in service.ports)
    told = cluster.trace("web", f"10.244.1.1:{port}")
    assert (told.outcome == "delivered") is open_there
