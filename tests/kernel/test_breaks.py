"""What a client hears in this kernel, station by station, as lesson 11 tells it: silence, a refusal, a proxy's status."""

from __future__ import annotations

import os
import shutil

import pytest

import k8snetlib as k8s
from k8snetlib.course.proxies import through
from k8snetlib.kube.cast import INGRESS
from k8snetlib.kube.edge.breaks import breaks
from k8snetlib.lab import Lab

pytestmark = pytest.mark.needs("vxlan", "iptables", "br_netfilter")
URL = "https://www.example.com/api"
SAID = {"“connection refused”": "ECONNREFUSED", "nothing: it waits, then gives up": "ETIMEDOUT"}


@pytest.fixture(scope="module")
def broken():
    return breaks(k8s.shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True), URL)


@pytest.mark.parametrize("name", ["ranges", "local", "selector", "closed"])
def test_before_the_controller(broken, name):
    call = broken[name].journey(URL)
    sent = call.connections[0].there.sent
    with Lab([*broken[name].cluster.ops(), *broken[name].ops], answer=True) as lab:
        assert lab.connect("client", "tcp", sent.dst, sent.dport).error == SAID[k8s.heard(call)]


@pytest.mark.parametrize(("name", "error"), [("port", "ECONNREFUSED"), ("firewall", "ETIMEDOUT")])
def test_the_controllers_own_connection(broken, name, error):
    onward = broken[name].journey(URL).connections[1]
    assert onward.refused == (error == "ECONNREFUSED")
    with Lab([*broken[name].cluster.ops(), *broken[name].ops], answer=True) as lab:
        assert lab.connect("edge-1", "tcp", onward.there.sent.dst, onward.there.sent.dport).error == error


@pytest.mark.parametrize("name", ["class", "path", "empty", "port"])
def test_what_a_real_proxy_says(broken, name, monkeypatch):
    monkeypatch.setenv("K8SNET_LAB", "live")
    for program in ("nginx", "openssl"):
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    url = URL.replace("https", "http")  # without an Ingress of its class, this nginx has no certificate to show
    found = through(broken[name].cluster, "nginx", url)
    assert found.result.answers[0].status == broken[name].journey(url).response.status
