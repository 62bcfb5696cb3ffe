"""Load balancers of every kind in the model and in the kernel: random Services frame by frame, and real connections to each address.

The kernel draws a connection's target; what it then does has to be one of the model's outcomes, with connections and rule counters.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace

import pytest

import k8snetlib as k8s
from k8snetlib.kube.balancers import process_ops
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.cni.sandbox import UNDERLAY
from k8snetlib.lab import Lab
from tests.kernel.test_services import Drawn, check, draw, targets

pytestmark = pytest.mark.kernel
COUNT = int(os.environ.get("K8SNET_PLUGIN_SEEDS", "6"))
BEHIND = "type: LoadBalancer"
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


ENDING = (("Proxy", "vxlan"), ("Proxy", "bgp"), ("Pods", "bgp-tor"), ("Pods", "vpc"))
RANGES = (  # of the client, of nodes, of Pods, and of nobody
    ("203.0.113.0/25", "192.168.50.0/24", "10.244.0.0/16", "192.0.2.0/24"),
    ("2001:db8:113::7/128", "fd00:50::/64", "fd00:244::/48", "3fff::/20"),
)


def fenced(seed: int, kind: str, cni: str) -> Drawn:
    """A random case in which every Service is behind that balancer, nearly all with source ranges, and is called by the balancer's address,
    mostly by the client."""
    rng = random.Random(seed)
    case = balanced(seed, kind, cni)
    first, *parts = re.sub(r"\n  loadBalancerSourceRanges: .*", "", case.text.replace("type: NodePort", "type: LoadBalancer")).split(BEHIND)
    case = replace(case, text=first + "".join(f"{BEHIND}{ranges(rng, case.family)}{part}" for part in parts))
    cluster, sends = case.cluster(), []
    doors = {ingress.ip for each in cluster.control.services for ingress in each.load_balancer_ingress}
    for _ in range(10):
        proto = rng.choice(["tcp", "tcp", "udp"])
        aims = [at for at, (ip, _) in enumerate(targets(cluster, proto)) if ip in doors]
        sends.append((rng.choice([-1, rng.randint(0, 99)]), rng.choice(aims), proto))  # the last sender is the client
    return replace(case, sends=tuple(sends))


def ranges(rng: random.Random, family: str) -> str:
    """Up to three source ranges, now and then one of the other family."""
    own = RANGES[family == "IPv6"]
    some = [rng.choice(rng.choice([own, own, own, *RANGES])) for _ in range(rng.randint(0, 3))]
    return f"\n  loadBalancerSourceRanges: {some}" if some else ""


@pytest.mark.parametrize(("kind", "cni", "seed"), [
    (kind, cni, seed)
    for at, (kind, cni) in enumerate(ENDING)
    for seed in [n for n in range(5000 + 100 * at, 5100 + 100 * at) if cni != "vpc" or draw(n).family == "IPv4"][:COUNT]
])  # fmt: skip
def test_random_source_ranges_agree(kind: str, cni: str, seed: int) -> None:
    """Who is outside them gets nothing, from no node and no Pod."""
    check(fenced(seed, kind, cni))


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


@pytest.mark.parametrize(("kind", "cni", "family"), [
    ("Proxy", "vxlan", "IPv4"), ("Proxy", "vxlan", "IPv6"), ("Pods", "bgp-tor", "IPv6"), ("Pods", "vpc", "IPv4"),
])  # fmt: skip
def test_whom_source_ranges_keep_out_and_by_which_door(kind: str, cni: str, family: str) -> None:
    """The client is outside: by the balancer's address it hears nothing, while the node port stays open. Nodes are inside."""
    nodes, nobody = (RANGES[family == "IPv6"][at] for at in (1, 3))
    spec = f"loadBalancerSourceRanges: ['{nodes}', '{nobody}']"
    cluster = k8s.applied(made(kind, "Cluster", cni, family), SERVICE.replace("POLICY", f"Cluster\n  {spec}"))
    number = next(each for each in cluster.control.services if each.name == "front").ports[0].node_port
    doors = (("client", "lb/front:80"), ("client", f"node/node-a:{number}"), ("node/node-b", "lb/front:80"))
    said = [cluster.trace(*each) for each in doors]
    assert [trace.delivered for trace in said] == [False, True, True]
    with Lab(cluster.ops(), answer=True) as lab:
        real = [lab.connect(trace.start, "tcp", trace.sent.dst, trace.sent.dport).error for trace in said]
    assert real == ["ETIMEDOUT", "", ""]


@pytest.mark.parametrize(("kind", "cni", "family"), [("Proxy", "vxlan", "IPv4"), ("Pods", "bgp-tor", "IPv6")])
def test_a_process_in_place_of_nat_is_called_from_inside_the_ranges_alone(kind: str, cni: str, family: str) -> None:
    """As a journey has it."""
    for at, error in ((0, ""), (3, "ETIMEDOUT")):
        spec = f"loadBalancerSourceRanges: ['{RANGES[family == 'IPv6'][at]}']"
        cluster = k8s.applied(made(kind, "Cluster", cni, family), SERVICE.replace("POLICY", f"Cluster\n  {spec}"))
        ip = cluster.trace("client", "lb/front:80").sent.dst
        with Lab([*cluster.ops(), *process_ops(ip, 80, "balancer")], answer=True) as lab:
            real = lab.connect("client", "tcp", ip, 80)
            assert (real.error, real.accepted and real.accepted.netns) == (error, None if error else UNDERLAY)
