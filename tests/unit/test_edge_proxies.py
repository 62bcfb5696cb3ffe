"""Configurations for real proxies: the course's Ingress word for word, and what is refused, with the rule and the reason."""

from __future__ import annotations

import json

import pytest

from k8snetlib.course.proxies import configuration, through
from k8snetlib.errors import LabError, ModelError, UnsupportedError
from k8snetlib.kube.cast import INGRESS, shop
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.fronts import fronts
from k8snetlib.kube.edge.haproxy import haproxy_conf
from k8snetlib.kube.edge.hostnames import covers
from k8snetlib.kube.edge.nginx import nginx_conf
from k8snetlib.kube.manifests import loads
from k8snetlib.lab.proxied import ProxiedExperiment
from k8snetlib.lab.web import Web, _answer, subject

NGINX_SERVER = """    server {
        listen 8080;
        server_name www.example.com;
        location = /api {
            proxy_pass http://pool-0-api;
        }
        location = /web {
            proxy_pass http://pool-1-web;
        }
        location /api/ {
            proxy_pass http://pool-0-api;
        }
        location /web/ {
            proxy_pass http://pool-1-web;
        }
        location / { return 404; }
    }
"""
HAPROXY_RULES = """    use_backend 80-0-0-api if { var(txn.host) -m str www.example.com } { path -m str '/api' }
    use_backend 80-0-0-api if { var(txn.host) -m str www.example.com } { path -m beg '/api/' }
    use_backend 80-0-1-web if { var(txn.host) -m str www.example.com } { path -m str '/web' }
    use_backend 80-0-1-web if { var(txn.host) -m str www.example.com } { path -m beg '/web/' }
    use_backend answer-404 if { var(txn.host) -m str www.example.com }
    default_backend answer-404
"""


def test_the_courses_ingress_word_for_word():
    cluster = shop("vxlan", INGRESS, proxy="iptables")
    nginx, haproxy = configuration(cluster, "nginx"), configuration(cluster, "haproxy")
    assert NGINX_SERVER in nginx and "server 10.244.2.2:8080 weight=1" in nginx and "listen 8443 ssl;" in nginx
    assert HAPROXY_RULES in haproxy and "server s1 10.244.2.2:8080 weight 1" in haproxy
    with pytest.raises(ModelError, match="nginx or haproxy"):
        configuration(cluster, "apache")


API = "gateway.networking.k8s.io/v1"


def world(rule: dict, *more: dict) -> Cluster:
    """A Gateway with one route of one rule (and more), and Services a, b with an endpoint each."""
    objects: list[dict] = [
        {"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": "e"}, "spec": {"controllerName": "a.b/c"}},
        {"apiVersion": API, "kind": "Gateway", "metadata": {"name": "g"}, "spec": {"gatewayClassName": "e", "listeners": [{"name": "h", "port": 80, "protocol": "HTTP"}]}},
        {"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": {"parentRefs": [{"name": "g"}], "rules": [rule, *more]}},
    ]  # fmt: skip
    for name in ("a", "b"):
        box = {"name": "c", "image": "x", "ports": [{"containerPort": 80}]}
        objects.append(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [box]}}
        )
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
            }
        )
    return Cluster.of(loads("\n".join(map(json.dumps, objects)), "a.json"), proxy="none")


def written(kind: str, cluster: Cluster) -> str:
    served = fronts(cluster.edge.gateways["default/g"], {80: 8080})
    return (nginx_conf if kind == "nginx" else haproxy_conf)(served, cluster.edge.backends)


def a_filter(kind: str, **spec: object) -> dict:
    field = {"CORS": "cors"}.get(kind, kind[0].lower() + kind[1:])
    return {"filters": [{"type": kind, field: spec}]}


TO_A = {"backendRefs": [{"name": "a", "port": 80}]}
MIRROR = a_filter("RequestMirror", backendRef={"name": "b", "port": 80})
BOTH, N, H = ("nginx", "haproxy"), ("nginx",), ("haproxy",)
REFUSALS = [
    (N, {"matches": [{"method": "GET"}]}, "a method"),
    (N, {"matches": [{"headers": [{"name": "X", "value": "v"}]}]}, "a header"),
    (N, {"matches": [{"queryParams": [{"name": "x", "value": "v"}]}]}, "a query parameter"),
    (N, MIRROR, "mirrors"),
    (H, MIRROR, "a copy of a request"),
    (BOTH, a_filter("CORS", allowOrigins=["*"]), "preflight"),
    (BOTH, {"timeouts": {"request": "1s"}}, "whole answer"),
    (N, a_filter("RequestHeaderModifier", add=[{"name": "X", "value": "v"}]), "adding to a header"),
    (N, a_filter("RequestHeaderModifier", set=[{"name": "X", "value": "a$b"}]), "cannot be written"),
    (H, a_filter("RequestHeaderModifier", set=[{"name": "X", "value": "it's"}]), "cannot be written"),
    (BOTH, {"backendRefs": [{"name": "a", "port": 80, **a_filter("RequestHeaderModifier", remove=["X"])}, {"name": "b", "port": 80}]}, "one backend among several"),
    (H, {"backendRefs": [{"name": "a", "port": 80, "weight": 999}, {"name": "b", "port": 80, "weight": 1}]}, "256"),
    (H, {"backendRefs": [{"name": "a", "port": 80}, {"name": "nix", "port": 80}]}, "only answers 500"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rule", "why"), [(kind, rule, why) for kinds, rule, why in REFUSALS for kind in kinds])
def test_what_is_lost_in_translation_is_refused_with_its_place(kind, rule, why):
    with pytest.raises(UnsupportedError, match=why) as caught:
        written(kind, world({**TO_A, **rule}))
    assert str(caught.value).startswith("a.json:3") and "HTTPRoute default/r rule 0" in str(caught.value)


@pytest.mark.parametrize("kind", BOTH)
def test_an_extension_is_refused(kind):
    rule = {**TO_A, "filters": [{"type": "ExtensionRef", "extensionRef": {"group": "a.b", "kind": "Auth", "name": "x"}}]}
    with pytest.raises(UnsupportedError, match="only its implementation understands"):
        written(kind, world(rule))


def test_nginx_cannot_put_a_prefix_before_a_pattern():
    """Its own order is the other one; here the regular expression is a less specific host's."""
    from k8snetlib.kube.edge.backends import Backends
    from k8snetlib.kube.edge.fronts import Front, Site
    from k8snetlib.kube.edge.nginx import nginx_conf
    from k8snetlib.kube.edge.router import Router

    table = world(
        {"matches": [{"path": {"value": "/a"}}], **TO_A}, {"matches": [{"path": {"type": "RegularExpression", "value": "/a.*"}}], **TO_A}
    )
    pattern, prefix = table.edge.gateways["default/g"].listeners[0].router.rules
    with pytest.raises(UnsupportedError, match="before a regular expression"):
        nginx_conf([Front(80, 8080, (Site("", Router({"a.com": (prefix,), "": (pattern,)})),))], Backends())


def test_weights_are_spread_over_endpoints_in_whole_numbers():
    text = written(
        "nginx",
        world(
            {"backendRefs": [{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80}, {"name": "nix", "port": 80, "weight": 2}]}
        ),
    )
    assert [line.split()[-2] for line in text.splitlines() if "max_fails" in line] == ["weight=9", "weight=1", "weight=2"]
    assert "return 500;" in text


def test_listeners_that_are_no_http_are_refused():
    cluster = world(TO_A)
    objects = json.loads(json.dumps([{"name": "t", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}}]))
    gateway = {"apiVersion": API, "kind": "Gateway", "metadata": {"name": "p"}, "spec": {"gatewayClassName": "e", "listeners": objects}}
    made = Cluster.of(
        loads(
            "\n".join(
                [
                    json.dumps(gateway),
                    json.dumps({"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": "e"}, "spec": {"controllerName": "a.b/c"}}),
                ]
            )
        ),
        proxy="none",
    )
    assert cluster
    with pytest.raises(UnsupportedError, match="is not HTTP"):
        fronts(made.edge.gateways["default/p"], {443: 8443})


COVERS = [("", "a.com", True), ("a.com", "a.com", True), ("*.com", "a.com", True), ("*.com", "*.a.com", True), ("a.com", "*.a.com", False),
          ("*.a.com", "a.com", False), ("*.a.com", "*.com", False)]  # fmt: skip


@pytest.mark.parametrize(("wide", "host", "yes"), COVERS)
def test_covers(wide, host, yes):
    assert covers(wide, host) is yes


# --- the lab's side


def test_answers_are_read():
    body = json.dumps({"name": "web", "path": "/x"}).encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    one = _answer(b"HTTP/1.1 200 OK\r\nX-From: web\r\n\r\n" + body, "")
    other = _answer(b"HTTP/1.1 200 OK\r\nx-from: web\r\ntransfer-encoding: chunked\r\n\r\n" + chunked, "")
    assert one.asked == other.asked == {"name": "web", "path": "/x"} and one.status == 200
    with pytest.raises(LabError):
        _answer(b"nonsense", "")


def test_a_certificates_name():
    name = b"\x06\x03\x55\x04\x03\x0c\x03"
    assert subject(b"0" + name + b"ca1" + b"00" + name + b"foo") == "foo"


def test_a_recording_answers_only_its_own_question(tmp_path, monkeypatch):
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    cluster = shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)
    with pytest.raises(LabError, match="nothing-recorded"):
        through(cluster, "nginx", "http://www.example.com/api", experiment="nothing-recorded")
    made = ProxiedExperiment("x", (), "edge", "nginx", "conf", (80,), (), ())
    assert made.digest() != ProxiedExperiment("x", (), "edge", "nginx", "other", (80,), (), ()).digest()


def test_the_lab_names_the_proxies_it_has():
    with pytest.raises(LabError, match="nginx or haproxy"):
        Web().proxy("edge", "squid", "", [80])
