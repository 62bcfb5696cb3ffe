"""nginx and HAProxy against the router: random rules, compiled for each, and the same requests sent to the real program and to the model.

All of it in one namespace of the lab: a web server behind every Service, one proxy at a time, requests from the same namespace. What a proxy
cannot say is refused; how often is printed, and some of every kind has to get through.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from random import Random

import pytest

from k8snetlib.errors import UnsupportedError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.fronts import fronts
from k8snetlib.kube.edge.haproxy import haproxy_conf
from k8snetlib.kube.edge.http import Request
from k8snetlib.kube.edge.nginx import nginx_conf
from k8snetlib.kube.edge.routing import answered
from k8snetlib.kube.manifests import loads
from k8snetlib.lab import Lab, probe
from k8snetlib.lab.web import make_certificate
from k8snetlib.linux.addresses import ip_interface
from k8snetlib.linux.ops import AddrAdd, LinkSet, NetnsAdd

SEEDS = int(os.environ.get("K8SNET_PROXY_SEEDS", "25"))
SERVICES, LISTEN = 6, 8080
HOME = "10.9.0.1"
HOSTS = ["foo.com", "bar.com", "a.foo.com", "*.foo.com", "*.a.foo.com", "*.com"]
ASKED = ["foo.com", "bar.com", "a.foo.com", "b.a.foo.com", "x.foo.com", "other.org", "FOO.com", "foo.com:80"]
ELEMENTS = ["a", "b", "ab", "api"]
API = "gateway.networking.k8s.io/v1"


def services() -> list[dict]:
    """Services s0, s1 …, each with one endpoint, the last with two; s9 has none."""
    made: list[dict] = []
    for number in range(SERVICES):
        name = f"s{number}"
        made.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}})
        for place in range(2 if number == SERVICES - 1 else 1):
            made.append(
                {
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"name": f"{name}-{place}", "labels": {"kubernetes.io/service-name": name}},
                    "endpoints": [{"addresses": [HOME]}], "ports": [{"name": "http", "port": 9000 + number + 10 * place}],
                }
            )  # fmt: skip
    made.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s9"}, "spec": {"ports": [{"name": "http", "port": 80}]}})
    return made


def a_path(random: Random) -> str:
    path = "/" + "/".join(random.choices(ELEMENTS, k=random.randint(0, 3)))
    return path + random.choice(["", "", "/"]) if path != "/" else path


def a_service(random: Random) -> str:
    return f"s{random.choice([*range(SERVICES), 9])}"


def an_ingress(random: Random) -> list[dict]:
    """One or two Ingresses of one class-less controller, perhaps with a default backend."""
    made = []
    for number in range(random.randint(1, 2)):
        rules = []
        for host in random.sample([*HOSTS, ""], random.randint(1, 3)):
            paths = [
                {
                    "path": a_path(random),
                    "pathType": random.choice(["Exact", "Prefix"]),
                    "backend": {"service": {"name": a_service(random), "port": {"number": 80}}},
                }
                for _ in range(random.randint(1, 5))
            ]
            rules.append({**({"host": host} if host else {}), "http": {"paths": paths}})
        spec: dict = {"rules": rules}
        if random.random() < 0.4:
            spec["defaultBackend"] = {"service": {"name": a_service(random), "port": {"name": "http"}}}
        made.append({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": f"i{number}"}, "spec": spec})
    return made


def a_gateway(random: Random, plain: bool) -> list[dict]:
    """A Gateway of one or two listeners on a port, and routes; ``plain``: by host and path alone."""
    listeners = [{"name": "any", "port": 80, "protocol": "HTTP"}]
    if random.random() < 0.5:
        listeners.append({"name": "own", "port": 80, "protocol": "HTTP", "hostname": random.choice(["*.foo.com", "a.foo.com"])})
    front = {"gatewayClassName": "edge", "listeners": listeners}
    made = [
        {"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": "edge"}, "spec": {"controllerName": "a.b/c"}},
        {"apiVersion": API, "kind": "Gateway", "metadata": {"name": "front"}, "spec": front},
    ]
    for number in range(random.randint(1, 3)):
        spec: dict = {"parentRefs": [{"name": "front"}], "rules": [a_rule(random, plain) for _ in range(random.randint(1, 4))]}
        hosts = random.sample(HOSTS, random.randint(0, 2))
        if hosts:
            spec["hostnames"] = hosts
        made.append({"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": f"r{number}"}, "spec": spec})
    return made


def a_rule(random: Random, plain: bool) -> dict:
    matches = [a_match(random, plain) for _ in range(random.choice([1, 1, 2]))]
    filters: list[dict] = []
    alone = len(matches) == 1 and matches[0]["path"]["type"] == "PathPrefix"
    if random.random() < 0.2:
        return {"matches": matches, "filters": [a_redirect(random, alone)]}
    if random.random() < 0.3:
        change = {"type": "ReplaceFullPath", "replaceFullPath": random.choice(["/new", "/new/x"])}
        if alone and random.random() < 0.6:
            change = {"type": "ReplacePrefixMatch", "replacePrefixMatch": random.choice(["/new", "/new/", "/"])}
        filters.append({"type": "URLRewrite", "urlRewrite": {"path": change, **random.choice([{}, {"hostname": "inner.example"}])}})
    if random.random() < 0.3:
        modifier = {"set": [{"name": "X-Set", "value": "new"}], "remove": ["X-Gone"]}
        filters.append({"type": "RequestHeaderModifier", "requestHeaderModifier": modifier})
    if random.random() < 0.2:
        modifier = {"set": [{"name": "X-Back", "value": "yes"}], "remove": ["X-From-None"]}
        filters.append({"type": "ResponseHeaderModifier", "responseHeaderModifier": modifier})
    backends = [{"name": a_service(random), "port": 80, "weight": random.randint(0, 3)} for _ in range(random.choice([1, 1, 1, 2, 3]))]
    return {"matches": matches, "filters": filters, "backendRefs": backends}


def a_match(random: Random, plain: bool) -> dict:
    kind = random.choice(["Exact", "PathPrefix", "PathPrefix", *([] if plain else ["RegularExpression"])])
    match: dict = {"path": {"type": kind, "value": "/a[a-z]*" if kind == "RegularExpression" else a_path(random)}}
    if not plain:
        if random.random() < 0.3:
            match["method"] = random.choice(["GET", "POST"])
        if random.random() < 0.3:
            match["headers"] = [{"name": "X-Kind", "value": random.choice(["one", "two"])}]
        if random.random() < 0.3:
            match["queryParams"] = [{"name": "q", "value": random.choice(["1", "2"])}]
    return match


def a_redirect(random: Random, alone: bool) -> dict:
    redirect: dict = {"statusCode": random.choice([301, 302, 307])}
    redirect |= random.choice([{"scheme": "https"}, {"hostname": "new.example"}, {"port": 8443}, {"scheme": "https", "port": 8443}])
    if alone and random.random() < 0.5:
        redirect["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": random.choice(["/new", "/"])}
    return {"type": "RequestRedirect", "requestRedirect": redirect}


def a_request(random: Random) -> Request:
    path = a_path(random) + random.choice(["", "", "?q=1", "?q=2&x=3"])
    headers = [each for each in (("X-Kind", random.choice(["one", "two"])), ("X-Set", "old"), ("X-Gone", "here")) if random.random() < 0.5]
    return Request(random.choice(ASKED), path, random.choice(["GET", "POST"]), tuple(headers))


def config(kind: str, table, backends) -> str:
    served = fronts(table, {80: LISTEN})
    if kind == "nginx":
        return nginx_conf(served, backends, folder="{folder}", root=True)
    return haproxy_conf(served, backends)


@pytest.fixture(scope="module")
def lab():
    can = probe()
    if not can.has("namespaces"):
        pytest.skip(can.line)
    with Lab([NetnsAdd("edge"), LinkSet("edge", "lo", up=True), AddrAdd("edge", "lo", ip_interface(f"{HOME}/32"))]) as lab:
        lab.web("edge", [9000 + number for number in range(SERVICES)] + [9010 + SERVICES - 1], "web")
        yield lab


def proxy_or_skip(kind: str) -> None:
    if shutil.which(kind, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
        pytest.skip(f"{kind} is not installed (Debian's package {kind})")


REFUSED: Counter = Counter()


def made_of(kind: str, seed: int) -> list[dict]:
    random = Random(f"{kind} {seed}")
    return an_ingress(random) if seed % 2 else a_gateway(random, plain=kind == "nginx" and random.random() < 0.8)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_real_proxy_answers_as_the_router_does(lab, kind, seed):
    proxy_or_skip(kind)
    cluster = Cluster.of(loads("\n".join(map(json.dumps, [*services(), *made_of(kind, seed)])), "made.json"), proxy="none")
    edge = cluster.edge
    table = next(iter(edge.ingresses.values()), None) or edge.gateways["default/front"]
    try:
        conf = config(kind, table, edge.backends)
    except UnsupportedError as refused:
        REFUSED[kind, str(refused).rpartition(": ")[2].split(" in the ratio")[0]] += 1
        return
    REFUSED[kind, ""] += 1
    lab.proxy("edge", kind, conf, [LISTEN])
    try:
        random = Random(seed)
        for _ in range(40):
            compare(lab, table, a_request(random), conf)
    finally:
        lab.stop_proxy("edge")


def compare(lab: Lab, table, request: Request, conf: str) -> None:
    """The real answer has to be one of those that the model gives."""
    seen = lab.http("edge", HOME, LISTEN, request.path, host=request.host, method=request.method, headers=request.headers)
    possible = []
    for decision in table.decide(request):
        if decision.sent is None:
            answer = decision.response
            possible.append((answer.status, answer.header("Location"), None, None, None))
        else:
            possible.append((200, None, ports_of(decision.backend.name), decision.sent, answered(decision)))
    for status, location, ports, sent, answer in possible:
        if status != seen.status or (ports is None) == bool(seen.pod):
            continue
        if ports is None:
            if location == seen.header("Location"):
                return
        elif seen.asked["port"] in ports:
            check_sent(seen, sent, answer, request)
            return
    raise AssertionError(f"{request} {request.headers}\nmodel: {possible}\nreal: {seen}\n{conf}")


def ports_of(name: str) -> frozenset[int]:
    """The ports of a Service's endpoints."""
    number = int(name[1:])
    return frozenset([9000 + number, *([9010 + number] if number == SERVICES - 1 else [])])


def check_sent(seen, sent: Request, answer, request: Request) -> None:
    """What the web server was asked is what the model says it is sent, and its answer gets the headers that the model gives it."""
    assert (seen.asked["path"], seen.asked["method"]) == (sent.path, sent.method), (request, seen.asked, sent)
    assert str(seen.asked["host"]) == sent.host, (request, seen.asked, sent)
    headers = {name.lower(): content for name, content in seen.asked["headers"]}
    for name in ("X-Kind", "X-Set", "X-Gone"):
        assert headers.get(name.lower()) == sent.header(name), (name, request, seen.asked, sent)
    assert seen.header("X-Back") == answer.header("X-Back"), (request, seen, answer)


def test_enough_of_every_kind_got_through():
    """Runs after the others of this file: what was refused, and that it was not everything."""
    print(dict(REFUSED))
    for kind in {kind for kind, _ in REFUSED}:
        through = REFUSED[kind, ""]
        assert through >= sum(count for (each, _), count in REFUSED.items() if each == kind) * 0.4, REFUSED


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_tls_ends_at_the_proxy_with_a_certificate_made_on_the_spot(lab, kind):
    proxy_or_skip(kind)
    proxy_or_skip("openssl")
    text = json.dumps(
        {
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
            "spec": {
                "tls": [{"hosts": ["foo.com"], "secretName": "s"}],
                "rules": [{"host": "foo.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s1", "port": {"number": 80}}}}]}}],
            },
        }
    )  # fmt: skip
    cluster = Cluster.of(loads("\n".join([*map(json.dumps, services()), text]), "made.json"), proxy="none")
    table = cluster.edge.ingresses[""]
    served = fronts(table, {80: 8080, 443: 8443})
    if kind == "nginx":
        conf = nginx_conf(served, cluster.edge.backends, folder="{folder}", certificate="{folder}/certificate.pem", root=True)
    else:
        conf = haproxy_conf(served, cluster.edge.backends, certificate="{folder}/certificate.pem")
    lab.proxy("edge", kind, conf, [8080, 8443], certificate=make_certificate("foo.com"))
    try:
        seen = lab.http("edge", HOME, 8443, "/x", host="foo.com", secure=True)
        plain = lab.http("edge", HOME, 8080, "/x", host="foo.com")
        wrong = lab.http("edge", HOME, 8443, "/x", host="foo.com")
    finally:
        lab.stop_proxy("edge")
    assert (seen.status, seen.asked["port"], seen.certificate) == (200, 9001, "foo.com")
    assert ["X-Forwarded-Proto", "https"] in [[name.title(), content] for name, content in seen.asked["headers"]]
    assert ["X-Forwarded-Proto", "http"] in [[name.title(), content] for name, content in plain.asked["headers"]]
    assert wrong.status != 200
