"""What a client outside and a load balancer meet in this kernel, as lesson 07 tells it: who gets a connection, and whom it sees."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.kube.cluster import Cluster
from k8snetlib.lab import Lab
from tests.kernel.side_by_side import same_frames

pytestmark = pytest.mark.needs("vxlan", "iptables")
PORT = 30080
SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec:
  type: TYPE
  externalTrafficPolicy: POLICY
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: http, nodePort: {PORT}}}]
"""


def made(type: str, policy: str, **settings) -> Cluster:
    text = SERVICE.replace("TYPE", type).replace("POLICY", policy)
    return k8s.applied(k8s.shop(proxy="iptables", outside=True, **settings), text)


def same(cluster: Cluster, lab: Lab, caller: str, target: str, netns: str) -> None:
    """The kernel's connection ends as one of the model's outcomes does, and its server sees the same address."""
    traces = [trace for _, trace in cluster.traces(caller, target)]
    real = lab.connect(netns, "tcp", traces[0].sent.dst, traces[0].sent.dport)
    good = {(trace.end.netns, trace.end.packet.src) for trace in traces if trace.delivered and trace.reply.delivered}
    if not good:
        assert real.error, (caller, target)
        return
    assert not real.error, (caller, target, real.error)
    assert (real.accepted.netns, real.source) in good, (caller, target)


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_node_port_from_outside(policy):
    cluster = made("NodePort", policy)
    with Lab(cluster.ops(), answer=True) as lab:
        for node in ("node-a", "node-b"):
            same(cluster, lab, "client", f"node/{node}:{PORT}", "client")
        same(cluster, lab, "pod/api-2", f"node/node-a:{PORT}", "api-2")


@pytest.mark.parametrize("mode", ["VIP", "Proxy"])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_load_balancer_that_hands_on_and_one_that_ends_connections(mode, policy):
    cluster = made("LoadBalancer", policy, balancer=mode)
    with Lab(cluster.ops(), answer=True) as lab:
        for caller, netns in (("client", "client"), ("pod/api-1", "api-1"), ("pod/api-2", "api-2"), ("node/node-b", "node-b")):
            same(cluster, lab, caller, "lb/web:80", netns)


def test_without_masquerade_the_client_refuses_the_answer():
    cluster = made("NodePort", "Cluster")
    kept = [rule for rule in k8s.iptables_save(cluster.network, "node-b").splitlines() if "MASQ" not in rule]
    bare = k8s.ops.RulesRestore("node-b", "\n".join(kept) + "\n")
    trace = cluster.trace("client", f"node/node-b:{PORT}", network=k8s.build([bare], cluster.network))
    assert trace.delivered and not trace.reply.delivered
    with Lab([*cluster.ops(), bare], answer=True) as lab:
        assert lab.connect("client", "tcp", trace.sent.dst, PORT).error


def test_a_shut_balancer_and_the_node_port_beside_it():
    text = SERVICE.replace("TYPE", "LoadBalancer").replace("POLICY", "Cluster") + "  loadBalancerSourceRanges: [198.18.0.0/15]\n"
    cluster = k8s.applied(k8s.shop(proxy="iptables", outside=True, balancer=True), text)
    with Lab(cluster.ops(), answer=True) as lab:
        for caller, target, netns in (("client", "lb/web:80", "client"), ("client", f"node/node-a:{PORT}", "client"),
                                      ("pod/api-2", "lb/web:80", "api-2")):  # fmt: skip
            same(cluster, lab, caller, target, netns)


def test_to_a_port_that_the_service_lacks_a_packet_goes_in_circles():
    """The node has no rule for it and no such address, so it goes to its router, which sends it to the node: in the kernel, too."""
    cluster = made("LoadBalancer", "Local", balancer=True)  # which leaves the balancer one node
    trace = cluster.trace("client", "lb/web:81")
    assert trace.end.detail == "TTL used up"
    same_frames(cluster.ops(), [("client", trace.sent)])
