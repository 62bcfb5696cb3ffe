"""kube-proxy's authors' own packet tables (pkg/proxy/iptables/proxier_test.go and its nftables twin), by packets through a modelled node.

Their tracer knows no hooks: a packet for which nobody serves is refused wherever it comes from, and what is accepted goes nowhere.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.linux.packet import is_loopback
from tests.vectors.cases import cases
from tests.vectors.nodes import TESTED, lay_out, masqueraded, outcome, send

CASES = [case for case in cases("packet_flows_upstream") if case["mode"] in TESTED]
PODS = {4: ip_network("10.99.0.0/24"), 6: ip_network("fd00:10:0:99::/64")}  # whose gateway is none of the endpoints


def config_of(case: dict) -> ProxyConfig:
    """The proxier of the test: its family is that of the packets, its primary address the first local one."""
    conf = case["config"]
    version = ip_address(case["packets"][0]["dst"]).version if case["packets"] else 4
    local = tuple(map(ip_address, conf["localIPs"]))
    primary = next(ip for ip in local if ip.version == version)
    detect = conf["detectLocal"]
    networks = tuple(map(ip_network, re.findall(r"[^\[\] ]+", conf["nodePortAddresses"])))
    services = tuple(map(ip_network, filter(None, conf.get("serviceCIDRs", "").split(","))))
    return ProxyConfig(
        conf["nodeName"], primary, local, ip_network(detect[-1]) if detect else None, services, "ClusterCIDR" if detect else "None", "",
        conf["masqueradeAll"], conf.get("localhostNodePorts", True), networks, (conf["topologyLabels"] or {}).get("topology.kubernetes.io/zone", ""),
    )  # fmt: skip


def sender(src, config: ProxyConfig) -> str:
    if src in config.local_ips or is_loopback(src):
        return "node"
    pods = config.cluster_cidr or ip_network("10.0.0.0/8" if src.version == 4 else "fd00:10::/64")
    return "local-pod" if src in pods else "outside"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_the_authors_expect(case: dict) -> None:
    config = config_of(case)
    network = lay_out(case, case["mode"], config, PODS[config.version], {})
    for packet in case["packets"]:
        src = ip_address(packet["src"])
        told = [each for _, each in send(network, packet | {"from": sender(src, config)})]
        results = {outcome(each) for each in told}
        targets = {part.strip() for part in packet["output"].split(",")}
        words = (
            f"{packet['name']}: {packet['src']} -> {packet['dst']}:{packet['port']}/{packet['proto']}, model {sorted(map(str, results))}"
        )
        if targets <= {"", "ACCEPT"}:
            assert results == {("PASS", None, None)}, words
        elif targets <= {"REJECT", "DROP"}:
            assert {verdict for verdict, _, _ in results} == targets, words
        else:
            assert {dnat for _, dnat, _ in results} == targets, words
            assert any(map(masqueraded, told)) is packet["masq"], words
