"""Calico's BGP whole: the nodes' routes come from BIRD instead of from ops, and Pods talk over them as the model says."""

from __future__ import annotations

from dataclasses import replace

import pytest

import k8snetlib as k8s
from k8snetlib.kube.bgp import bird_conf
from k8snetlib.kube.cni.sandbox import UNDERLAY
from k8snetlib.kube.cni.vxlan import cluster_cidr
from k8snetlib.lab import Lab
from k8snetlib.linux.events import Capture
from k8snetlib.linux.ops import Op, RouteAdd
from k8snetlib.linux.packet import Packet
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.kernel.test_model_and_kernel import Side, difference

pytestmark = pytest.mark.needs("bird")
LISTENED = 8080


def by_bird(op: Op) -> bool:
    return isinstance(op, RouteAdd) and op.route.proto == "bird"


def of_the_packet(seen: Capture) -> bool:
    """Its own frames: BIRD's sessions go on beside, and had their neighbours asked for before."""
    packet = seen.frame.payload
    return isinstance(packet, Packet) and LISTENED in (packet.dport, packet.sport)


@pytest.mark.parametrize("target", ["pod/api-2", "pod/report"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize(("cni", "peering"), [("bgp", "mesh"), ("bgp", "reflectors"), ("bgp-tor", "rack")])
def test_pods_talk_over_bird_s_routes(cni: str, peering: str, family: str, target: str) -> None:
    cluster, version = k8s.shop(cni, families=(family,), node_c=True), 4 if family == "IPv4" else 6
    bgp = k8s.bgp(cluster, peering, reflect=("node-b",) if peering == "reflectors" else (), version=version)
    pool = cluster_cidr([host.pod_cidr(version) for host in cluster.hosts])
    speakers = [host.name for host in cluster.hosts] + [UNDERLAY] * (peering == "rack")
    at, packet, _ = cluster.packet("pod/web", f"{target}:{LISTENED}")
    told = k8s.trace(cluster.network, at, packet)
    with Lab([op for op in cluster.ops() if not by_bird(op)], answer=False) as lab:
        for name in speakers:
            lab.bird(name, bird_conf(bgp, name, [pool]))
        lab.bgp_settle()
        for name in speakers:
            written = {str(route) for route in lab.state(name).routes if route.proto == "bird"}
            assert written == {str(route) for route in cluster.network[name].routes if route.proto == "bird"}, name
        with lab.capture(limit=10) as frames:
            lab.send(at, packet)
    shown = [replace(c, frame=from_bytes(to_bytes(c.frame))) for c in k8s.captures(told)]
    said, seen = Side().frames(filter(of_the_packet, shown)), Side().frames(filter(of_the_packet, frames))
    assert said == seen, difference(said, seen)
    assert told.delivered is (target == "pod/api-2" or cni == "bgp-tor")
