"""A packet through rules whose machine we do not have."""

from __future__ import annotations

from fractions import Fraction

import pytest

import k8snetlib as k8s
from k8snetlib.errors import K8sNetError, ModelError
from k8snetlib.views.outcomes import all_outcomes

SIX = """
apiVersion: v1
kind: Pod
metadata: {name: api, labels: {app: api}}
spec: {containers: [{name: api, image: api, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, clusterIP: "fd00:10:96::50", ports: [{port: 80, targetPort: 8080}]}
"""


def printed(network, mode: str, version: int = 4) -> str:
    return str(k8s.nft_list(network, "node-a") if mode == "nftables" else k8s.iptables_save(network, "node-a", version))


def pasted(mode: str) -> str:
    return printed(k8s.shop(proxy=mode).network, mode)


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_a_service_as_in_its_own_cluster(mode: str) -> None:
    found = all_outcomes(k8s.trace_rules(pasted(mode), k8s.tcp("10.244.1.2", "10.96.20.80", 80)))
    assert [(each.weight, each.receiver.strip(), each.source) for each in found] == [
        (Fraction(1, 2), "10.244.1.3:8080", "10.244.1.2"),
        (Fraction(1, 2), "10.244.2.2:8080", "10.244.1.2"),
    ]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_whoever_must_be_masqueraded_has_the_nodes_address(mode: str) -> None:
    found = all_outcomes(k8s.trace_rules(pasted(mode), k8s.tcp("203.0.113.7", "10.96.20.80", 80)))
    assert {each.source for each in found} == {"192.168.50.11"}
    hairpin = all_outcomes(k8s.trace_rules(pasted(mode), k8s.tcp("10.244.1.3", "10.96.20.80", 80)))
    assert [each.source == "10.244.1.3" for each in hairpin] == [False, True]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_ipv6(mode: str) -> None:
    cluster = k8s.Cluster.loads(SIX, proxy=mode, families=["IPv6"])
    text = printed(cluster.network, mode, 6)
    (only,) = all_outcomes(k8s.trace_rules(text, k8s.tcp("fd00:77::2", "fd00:10:96::50", 80), ["fd00:50::11"]))
    assert only.delivered and only.receiver.strip() == f"[{cluster.pods[0].pod_ips[0]}]:8080" and only.source == "fd00:50::11"


@pytest.mark.parametrize(
    ("text", "src", "words"),
    [
        ("", "10.0.0.1", "there are no rules"),
        ("Chain INPUT (policy ACCEPT)", "10.0.0.1", "paste what iptables-save"),
        ("*nat\n-A PREROUTING -j NOWHERE\nCOMMIT", "10.0.0.1", "no chain or target 'NOWHERE'"),
        ("*nat\n-A PREROUTING -m set --match-set X dst -j ACCEPT\nCOMMIT", "10.0.0.1", "ipset"),
        ("*nat\nCOMMIT", "192.168.50.11", "of the node itself"),
    ],
)
def test_mistakes_are_named(text: str, src: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        k8s.trace_rules(text, k8s.tcp(src, "10.96.0.1", 80))


@pytest.mark.parametrize("text", ["*nat\n-A PREROUTING -p tcp -j\nCOMMIT", "table ip x {", "*nat"])
def test_broken_text_raises_an_error_of_ours(text: str) -> None:
    with pytest.raises(K8sNetError):
        k8s.trace_rules(text, k8s.tcp("10.0.0.1", "10.96.0.1", 80))
