"""A request's whole journey in this kernel: the course's cluster, a real proxy in the controller's Pod, a client outside; beside the model."""

from __future__ import annotations

import os
import shutil

import pytest

from k8snetlib.course.proxies import through
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cast import GATEWAY, INGRESS, shop
from k8snetlib.kube.edge.journey import journeys
from k8snetlib.kube.patch import patched

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
