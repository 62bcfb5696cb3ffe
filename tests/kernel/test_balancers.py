"""Load balancers of every kind in the model and in the kernel: random Services frame by frame, and real connections to each address.

The kernel draws a connection's target; what it then does has to be one of the model's outcomes, with connections and rule counters.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import k8snetlib as k8s
from k8snetlib.kube.cluster import Cluster
from k8snetlib.lab import Lab
from tests.kernel.test_services import Drawn, check, draw

pytestmark = pytest.mark.kernel
COUNT = int(os.environ.get("K8SNET_PLUGIN_SEEDS", "6"))
KINDS = (("Proxy", "vxlan"), ("ARP", "vxlan"), ("ARP", "bgp"), ("Pods", "bgp-tor"), ("Pods", "vpc"))
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  type: LoadBalancer
  selector: {app: api}
  externalTrafficPolicy: POLICY
  ports: [{port: 80, targetPort: http}]
"""


def balanced(seed: int, kind: str, cni: str) -> Drawn:
    """A random case with that load balancer, every other Service of it behind the balancer."""
    case = draw(seed)
    text = case.text.replace("type: ClusterIP", "type: LoadBalancer")
    if cni == "vpc":
        text = text.replace("labels: {topology", "labels: {node.kubernetes.io/instance-type: t3.nano, topology")
    return replace(case, text=text, cni=cni, balancer=kind)


CASES = [
    (kind, cni, seed)
    for at, (kind, cni) in enumerate(KINDS)
    for seed in [n for n in range(4000 + 100 * at, 4100 + 100 * at) if cni != "vpc" or draw(n).family == "IPv4"][:COUNT]
]


@pytest.mark.parametrize(("kind", "cni", "seed"), CASES)
def test_random_services_behind_a_balancer_agree(kind: str, cni: str, seed: int) -> None:
    check(balanced(seed, kind, cni))


def made(kind: str, policy: str, cni: str, family: str) -> Cluster:
    shop = k8s.shop(cni, proxy="iptables", outside=True, balancer=kind, families=[family], node_c=True)
    return k8s.applied(shop, SERVICE.replace("POLICY", policy))


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize(("kind", "cni", "family"), [
    ("VIP", "vxlan", "IPv4"), ("VIP", "bgp-tor", "IPv6"), ("Proxy", "vxlan", "IPv4"), ("Proxy", "vxlan", "IPv6"),
    ("Pods", "bgp-tor", "IPv4"), ("Pods", "bgp-tor", "IPv6"), ("Pods", "vpc", "IPv4"), ("ARP", "vxlan", "IPv4"), ("ARP", "vxlan", "IPv6"),
])  # fmt: skip
def test_connections_end_where_the_model_says_and_nowhere_else(kind: str, cni: str, family: str, policy: str) -> None:
    """Thirty connections: the chance that one of six equally likely outcomes does not occur is 6 (5/6)³⁰, 2.5 %, so only most must."""
    cluster = made(kind, policy, cni, family)
    traces = [trace for _, trace in cluster.traces("client", "lb/front:80")]
    said = {(trace.end.netns, trace.end.packet.src) for trace in traces if trace.delivered and trace.reply.delivered}
    assert len(said) == len({(trace.end.netns, trace.end.packet.src) for trace in traces})
    with Lab(cluster.ops(), answer=True) as lab:
        real = [lab.connect("client", "tcp", traces[0].sent.dst, 80) for _ in range(30)]
        assert {each.error for each in real} == {""}
        seen = {(each.accepted.netns, each.source) for each in real}
    assert seen <= said and len(seen) > len(said) / 2
