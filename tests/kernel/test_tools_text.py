"""What the views print for ``ip route`` and ``ip rule``, against the tools themselves over the same ops: the lines and their order."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.kube.cast import SHOP
from k8snetlib.lab import Lab

SMALL = "labels: {node.kubernetes.io/instance-type: t3.nano, kubernetes"  # one Pod to an ENI, so that there are rules of each kind


def printed(lab: Lab, words: str) -> list[str]:
    """What the tool prints on node-a; link-local routes are the kernel's own."""
    return shown(lab.exec("node-a", ["ip", *words.split()]).out)


def shown(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if not line.startswith("fe80:")]


@pytest.mark.parametrize("cni", ["bgp", "vxlan", "calico-vxlan"])
def test_routes(cni: str) -> None:
    cluster = k8s.shop(cni, families=("IPv4", "IPv6"), node_c=True)
    with Lab(cluster.ops()) as lab:
        for version in (4, 6):
            assert printed(lab, f"-{version} route") == shown(k8s.ip_route(cluster.network, "node-a", version)), version


def test_rules_and_the_table_of_an_eni() -> None:
    text = SHOP.read_text(encoding="utf-8").replace("labels: {kubernetes", SMALL)
    cluster = k8s.Cluster.loads(text, cni="vpc", proxy="none")
    with Lab(cluster.ops()) as lab:
        assert printed(lab, "rule") == shown(k8s.ip_rule(cluster.network, "node-a"))
        assert printed(lab, "route show table 2") == shown(k8s.ip_route(cluster.network, "node-a", table="2"))


@pytest.mark.parametrize("cni", ["vxlan", "calico-vxlan"])
def test_the_entries_of_a_tunnel(cni: str) -> None:
    cluster, dev = k8s.shop(cni, node_c=True), "flannel.1" if cni == "vxlan" else "vxlan.calico"
    with Lab(cluster.ops()) as lab:
        there = lab.exec("node-a", ["bridge", "fdb", "show", "dev", dev]).out
        assert sorted(shown(there)) == sorted(shown(k8s.bridge_fdb(cluster.network, "node-a", dev)))
