"""The public names as a learner meets them in a notebook: described, short to look at, and clear about wrong use."""

from __future__ import annotations

import inspect
import re

import pytest

import k8snetlib
from k8snetlib import Cluster, K8sNetError, ops, ping, shop, tcp, udp
from k8snetlib.kube.cast import INGRESS
from k8snetlib.lab import connect

SHOP = shop(proxy="iptables")
TRACE = SHOP.trace("pod/web", "svc/api:80")
CLASSES = [each for name in k8snetlib.__all__ if inspect.isclass(each := getattr(k8snetlib, name))]
PACKET = tcp("10.244.1.2", "10.244.2.2", 8080)


@pytest.mark.parametrize("name", k8snetlib.__all__)
def test_every_public_name_is_described(name: str) -> None:
    assert inspect.getdoc(getattr(k8snetlib, name))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_is_described(kind: type) -> None:
    parts = {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}
    made = {
        name: getattr(part, "fget", None) or getattr(part, "func", None) or getattr(part, "__func__", part) for name, part in parts.items()
    }
    assert [name for name, part in made.items() if inspect.isfunction(part) and not inspect.getdoc(part)] == []


# An example in a description: ``name(…)`` of a public name or of a cluster.
EXAMPLE = re.compile(r"``((?:cluster\.)?\w+\([^`…]*\)(?:\.\w+)*)``")
WORKED = {"Cluster", "after", "captures", "graph", "ip_route", "outcomes", "ping", "tcp", "tcpdump", "text", "trace", "traces", "udp"}


def examples(name: str) -> list[str]:
    found = EXAMPLE.findall(inspect.getdoc(getattr(k8snetlib, name)))
    return [each for each in found if each.startswith("cluster.") or each.partition("(")[0] in k8snetlib.__all__]


@pytest.mark.parametrize("name", [name for name in k8snetlib.__all__ if examples(name)])
def test_the_examples_in_a_description_run(name: str) -> None:
    edge = shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)
    front = k8snetlib.patched(edge, "svc/web", type="LoadBalancer")
    known = {each: getattr(k8snetlib, each) for each in k8snetlib.__all__}
    known["first"] = known["second"] = edge.journey("http://www.example.com/api")
    for example in examples(name):
        cluster = front if "lb/web" in example else k8snetlib.patched(edge, "svc/web", type="NodePort") if "node/" in example else edge
        given = known | {"cluster": cluster}
        if not example.startswith("trace("):
            given["trace"] = cluster.trace("pod/web", "pod/db")
        eval(example, given)


def test_the_names_that_everybody_needs_have_examples() -> None:
    assert {name for name in WORKED if not EXAMPLE.search(inspect.getdoc(getattr(k8snetlib, name)))} == set()


def test_completion_offers_the_public_names() -> None:
    assert set(dir(k8snetlib)) == set(k8snetlib.__all__) and len(k8snetlib.__all__) == len(set(k8snetlib.__all__))
    assert set(dir(ops)) == set(ops.__all__)


@pytest.mark.parametrize(
    "thing",
    [
        SHOP, SHOP.control, SHOP.dns, SHOP.manifests, SHOP.network, SHOP.network["node-a"], TRACE, TRACE[0], TRACE.sent,
        k8snetlib.ways(SHOP, "web", "db", ["bgp"])[0],
        k8snetlib.steps(TRACE)[0],
    ],
    ids=lambda thing: type(thing).__name__,
)  # fmt: skip
def test_what_a_cell_shows_is_a_line(thing: object) -> None:
    assert len(repr(thing)) < 160 and "\n" not in repr(thing)


MISUSES = {
    "a cluster for a network": (lambda: k8snetlib.ip_route(SHOP, "web"), "takes a Network, and a Cluster is none: its .network is one"),
    "a cluster to trace in": (lambda: k8snetlib.trace(SHOP, "web", PACKET), "its .network is one"),
    "text for a packet": (lambda: k8snetlib.trace(SHOP.network, "web", "10.244.2.2"), "takes a Packet"),
    "arguments the wrong way round": (lambda: k8snetlib.after(TRACE, SHOP.network), "takes a Trace"),
    "a network for a trace": (lambda: k8snetlib.text(SHOP.network), "takes a Trace"),
    "no trace to capture": (lambda: k8snetlib.captures(None), "takes a Trace"),
    "a graph of a cluster": (lambda: k8snetlib.graph(SHOP), "its .network is one"),
    "frames of nobody": (lambda: k8snetlib.tcpdump(TRACE, "nobody"), "no network namespace 'nobody'"),
    "frames of no interface": (lambda: k8snetlib.tcpdump(TRACE, "web", "eth9"), "web has no interface 'eth9'"),
    "another version of IP": (lambda: k8snetlib.ip_route(SHOP.network, "web", version=5), "versions 4 and 6"),
    "an unknown sysctl": (lambda: k8snetlib.sysctl(SHOP.network, "web", "net.ipv4.tcp_sack"), "not in this model"),
    "a port as text": (lambda: tcp("10.0.0.1", "10.0.0.2", "80"), "a whole number from 0 to 65535, not '80'"),
    "a port too large": (lambda: udp("10.0.0.1", "10.0.0.2", 99999), "not 99999"),
    "a port that is none": (lambda: SHOP.trace("web", "db", sport="x"), "not 'x'"),
    "a TTL too large": (lambda: SHOP.trace("web", "db", ttl=300), "a TTL is a whole number from 0 to 255, not 300"),
    "no address": (lambda: ping("web", "db"), "'web' does not appear to be an IPv4 or IPv6 address"),
    "two versions": (lambda: tcp("10.0.0.1", "fd00::1", 80), "two IPv4 or two IPv6 addresses"),
    "text for data": (lambda: SHOP.trace("web", "db", data="hello"), "data is bytes"),
    "too much data": (lambda: udp("10.0.0.1", "10.0.0.2", 53, data=bytes(70000)), "at most 65,535 bytes"),
    "a number for a name": (lambda: SHOP.trace("web", 5), 'a name is a text such as "pod/web", not 5'),
    "a number for a file": (lambda: Cluster.load(0), "0 is no path"),
    "a protocol that is none": (lambda: connect("web", "http", "10.244.1.3", 80), "a connection is tcp, udp, sctp, not 'http'"),
    "a name for an address": (lambda: connect("web", "tcp", "api", 80), "'api' is no IPv4 or IPv6 address"),
    "an op that is none": (lambda: k8snetlib.build(["ip link add"]), "is no op"),
    "an address with a long mask": (lambda: ops.address("web", "eth0", "10.0.0.1/33"), "10.0.0.1/33"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_wrong_use_is_one_clear_sentence(name: str) -> None:
    wrong, words = MISUSES[name]
    with pytest.raises(K8sNetError, match=re.escape(words)) as raised:
        wrong()
    assert "\n" not in str(raised.value)


def test_one_name_needs_no_list() -> None:
    assert shop(families="IPv6").families == ("IPv6",)
    assert [way.name for way in k8snetlib.ways(SHOP, "web", "db", "bgp")] == ["bgp"]
