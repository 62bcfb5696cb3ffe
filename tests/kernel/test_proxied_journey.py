"""A request's whole journey in this kernel: the course's cluster, a real proxy in the controller's Pod, a client outside; beside the model."""

from __future__ import annotations

import os
import shutil

import pytest

from k8snetlib.course.proxies import _conf, _controller, _ports, _served, through
from k8snetlib.kube.apply import applied
from k8snetlib.kube.balancers import process_ops
from k8snetlib.kube.cast import GATEWAY, INGRESS, shop
from k8snetlib.kube.cni.sandbox import UNDERLAY
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.edge.journey import journeys
from k8snetlib.kube.patch import patched
from k8snetlib.lab import Lab
from k8snetlib.lab.web import make_certificate
from k8snetlib.linux.addresses import endpoint
from k8snetlib.linux.ops import Listen

URLS = [
    "http://www.example.com/api/items?x=1", "https://www.example.com/web", "http://www.example.com/apiary", "http://example.org/",
    "https://www.example.com/nix",
]  # fmt: skip


@pytest.fixture(autouse=True)
def live(monkeypatch):
    monkeypatch.setenv("K8SNET_LAB", "live")


def installed(*programs: str) -> None:
    for name in programs:
        if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"{name} is not installed")


def peers(found) -> set[str]:
    return {row[5] for row in found.rows if row[5]}


@pytest.mark.needs("vxlan", "iptables", "br_netfilter")
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
@pytest.mark.parametrize(("cni", "proxy"), [("vxlan", "iptables"), ("host-gw", "nftables"), ("calico-vxlan", "iptables")])
@pytest.mark.parametrize("entry", [INGRESS, GATEWAY], ids=["ingress", "gateway"])
def test_the_journey_is_the_models(entry, cni, proxy, kind):
    installed(kind, "openssl")
    cluster = shop(cni, entry, proxy=proxy, outside=True, balancer=True)
    found = through(cluster, kind, *URLS)
    assert found.agree, str(found)
    assert peers(found) <= {each.sees for _, each in journeys(cluster, URLS[0])}  # by whichever node the balancer chose


@pytest.mark.needs("vxlan", "ip6tables", "br_netfilter")
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_in_ipv6(kind):
    installed(kind, "openssl")
    cluster = shop("vxlan", GATEWAY, families=("IPv6",), proxy="iptables", outside=True, balancer=True)
    found = through(cluster, kind, *URLS)
    assert found.agree, str(found)
    assert peers(found) <= {each.sees for _, each in journeys(cluster, URLS[0])}


@pytest.mark.needs("vxlan", "iptables", "br_netfilter")
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_with_policy_local_the_pod_is_told_the_clients_own_address(kind):
    installed(kind, "openssl")
    cluster = patched(
        shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True), "svc/edge", "edge", external_traffic_policy="Local"
    )
    found = through(cluster, kind, URLS[0])
    assert found.agree, str(found)
    assert peers(found) == {"203.0.113.7"}


@pytest.mark.needs("vxlan", "iptables", "br_netfilter", "nginx")
def test_a_service_without_a_ready_pod_is_503_by_nginx_too():
    installed("openssl")
    text = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: more, namespace: shop}
spec:
  ingressClassName: edge
  rules: [{host: old.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {name: gone, namespace: shop}
spec: {selector: {app: gone}, ports: [{port: 80}]}
"""
    cluster = applied(shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True), text)
    found = through(cluster, "nginx", "http://old.example.com/")
    assert found.agree and found.result.answers[0].status == 503, str(found)


BALANCER = """defaults
  mode tcp
  timeout connect 3s
  timeout client 5s
  timeout server 5s
{listens}
"""


def balancer_conf(ip, ports: dict[int, list[str]]) -> str:
    """A balancer that ends connections, as HAProxy is one below HTTP."""
    bind = f"[{ip}]" if ip.version == 6 else str(ip)
    listens = (
        "\n".join([f"listen port-{port}", f"  bind {bind}:{port}", *(f"  server s{n} {each}" for n, each in enumerate(targets))])
        for port, targets in ports.items()
    )
    return BALANCER.format(listens="\n".join(listens))


@pytest.mark.needs("vxlan", "iptables", "ip6tables", "br_netfilter", "haproxy", "nginx")
@pytest.mark.parametrize(("balancer", "cni", "family"), [("Proxy", "vxlan", "IPv4"), ("Proxy", "host-gw", "IPv6"), ("Pods", "vpc", "IPv4")])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_three_connections_with_a_real_balancer_that_ends_them(balancer, cni, family, policy):
    """HAProxy ends the client's connections on the router, nginx the balancer's in its Pod: who sees whom is what the journey says."""
    installed("openssl")
    cluster = patched(
        shop(cni, INGRESS, proxy="iptables", outside=True, balancer=balancer, families=(family,)), "svc/edge", "edge",
        external_traffic_policy=policy,
    )  # fmt: skip
    expected = {url: [each for _, each in journeys(cluster, url)] for url in URLS}
    ip = expected[URLS[0]][0].connections[0].there.sent.dst
    ports = {
        port: sorted({endpoint(each.there.sent.dst, each.there.sent.dport) for url in URLS if request(url).port == port
                      for found in expected[url] for each in [found.incoming]})
        for port in (80, 443)
    }  # fmt: skip
    found, served = _served(cluster, "")
    at = _controller(cluster, found)
    ops = [op for op in (*cluster.ops(), *process_ops(ip, 443, "")) if not isinstance(op, Listen)]
    with Lab(ops) as lab:
        for pod in cluster.pods:
            if cluster.netns(pod) != at and _ports(pod):
                lab.web(cluster.netns(pod), _ports(pod), cluster.netns(pod), ip.version)
        names = tuple({request(url).hostname for url in URLS})
        conf = _conf(cluster, "nginx", served, root=True)
        lab.proxy(at, "nginx", conf, [each.listen for each in served], certificate=make_certificate(*names), version=ip.version)
        lab.proxy(UNDERLAY, "haproxy", balancer_conf(ip, ports), list(ports), version=ip.version)
        for url in URLS:
            sent = request(url)
            answer = lab.http("client", ip, sent.port, sent.path, host=sent.host, secure=sent.scheme == "https")
            peers = {(each.response.status, each.pod.name if each.pod else "", each.sees if each.pod else "") for each in expected[url]}
            read = {name.title(): content for name, content in answer.asked.get("headers", ())} if answer.asked else {}
            assert (answer.status, answer.pod, read.get("X-Forwarded-For", "")) in peers, (url, answer, peers)
