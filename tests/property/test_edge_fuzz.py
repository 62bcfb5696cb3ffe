"""Whatever is done to an Ingress or to objects of the Gateway API: they are read or refused with a place, and what was read can be routed by."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k8snetlib.errors import K8sNetError, ManifestError, UnsupportedError
from k8snetlib.kube.cast import GATEWAY, INGRESS
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.fronts import fronts
from k8snetlib.kube.edge.haproxy import haproxy_conf
from k8snetlib.kube.edge.http import request
from k8snetlib.kube.edge.nginx import nginx_conf
from k8snetlib.kube.manifests import loads, locate
from tests.property.test_manifests_fuzz import JUNK, paths

MORE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: much, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: front, namespace: edge, sectionName: http, port: 80}]
  hostnames: ["*.example.com", www.example.com]
  rules:
  - name: one
    matches:
    - path: {type: Exact, value: /a}
      method: GET
      headers: [{name: X-A, value: v}, {name: X-B, type: RegularExpression, value: "v.*"}]
      queryParams: [{name: q, value: v}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X, value: y}], add: [{name: Z, value: y}], remove: [W]}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 50}}
    - {type: CORS, cors: {allowOrigins: ["https://a.com"], allowMethods: [GET], maxAge: 5}}
    backendRefs: [{name: api, port: 80, weight: 3}, {name: web, port: 80, weight: 1}]
    timeouts: {request: 2s, backendRequest: 500ms}
  - matches: [{path: {value: /b}}]
    filters: [{type: URLRewrite, urlRewrite: {hostname: c.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /c}}}]
    backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /d}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, statusCode: 301}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g, namespace: shop}
spec:
  parentRefs: [{name: front, namespace: edge}]
  hostnames: [grpc.example.com]
  rules: [{matches: [{method: {service: s.S, method: Get}, headers: [{name: a, value: b}]}], backendRefs: [{name: api, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: t, namespace: shop}
spec: {parentRefs: [{name: front, namespace: edge}], hostnames: [t.example.com], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: l, namespace: shop}
spec: {parentRef: {name: front, namespace: edge}, listeners: [{name: x, port: 81, protocol: HTTP, hostname: x.com}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: r, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}], to: [{group: "", kind: Service, name: api}]}
"""
OBJECTS = [each for text in (INGRESS.read_text(), GATEWAY.read_text(), MORE) for each in yaml.safe_load_all(text)]
WANTED = ("Ingress", "IngressClass", "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ListenerSet", "ReferenceGrant")
EDGE = [each for each in OBJECTS if each["kind"] in WANTED]
PLACES = paths(EDGE)[1:]
WORDS = st.sampled_from(
    ["*", "*.com", "/", "//", "(", "Exact", "TLS", "HTTPS", "Passthrough", "All", "Selector", "1h", "0s", "shop", "front"]
)
URLS = [
    "http://www.example.com/a",
    "https://www.example.com/b/x",
    "http://x.com:81/",
    "https://t.example.com/",
    "http://grpc.example.com/s.S/Get",
]


def read(objects: list[Any]) -> str:
    """The error's text, or "" where all was read and every request has an answer whose shares sum to 1."""
    try:
        manifests = loads("\n".join(map(json.dumps, objects)), "x.json")
        for each in manifests.objects:
            assert locate(each, "metadata.name").line >= 1
        cluster = Cluster.of(manifests, proxy="none")
    except (ManifestError, UnsupportedError) as error:
        assert str(error).startswith("x.json") and error.line is not None and "\n" not in str(error), str(error)
        return str(error)
    for table in (*cluster.edge.ingresses.values(), *cluster.edge.gateways.values()):
        for url in URLS:
            with contextlib.suppress(UnsupportedError):
                assert sum(each.share for each in table.decide(request(url))) == 1
        for write in (nginx_conf, haproxy_conf):
            with contextlib.suppress(UnsupportedError):
                write(fronts(table, {80: 8080, 443: 8443}), cluster.edge.backends)
    return ""


def test_the_objects_are_valid_to_begin_with():
    assert read(EDGE) == ""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK | WORDS), min_size=1, max_size=2))
def test_damaged_objects(edits):
    objects = copy.deepcopy(EDGE)
    for path, junk in edits:
        place: Any = objects
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue  # an earlier edit took the place away
    read(objects)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES))
def test_missing_fields(path):
    objects = copy.deepcopy(EDGE)
    place: Any = objects
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    read(objects)


@given(
    st.text(max_size=30) | st.sampled_from(["http://a/%zz", "http://[::1]:80/", "https://a:1/?q&q=1;", "http://é/"]), st.text(max_size=5)
)
def test_any_text_is_a_url_or_refused(url, method):
    try:
        request(url, method)
    except K8sNetError as error:
        assert "\n" not in str(error)
