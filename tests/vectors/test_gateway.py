"""The Gateway API's own conformance cases: requests, what backends and clients see of them, and the statuses of routes and listeners.

The cases stand on common objects (``gateway_base.json``); the suite makes the GatewayClass and the certificates itself, and so do we. The
echo server of the suite answers with the headers and after the delay that a request asks for; that is the only thing it adds.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge import edge_of
from k8snetlib.kube.edge.http import Request
from k8snetlib.kube.edge.routing import answered
from k8snetlib.kube.manifests import loads
from tests.vectors.cases import DATA, cases, same

CASES = cases("gateway_http")
CLASS = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "gateway-conformance"},
    "spec": {"controllerName": "k8snetlib.example/conformance"},
}
INFRA, APP, WEB = (f"gateway-conformance-{name}" for name in ("infra", "app-backend", "web-backend"))
SECRETS = frozenset(
    [
        f"{WEB}/certificate", f"{INFRA}/tls-validity-checks-certificate", f"{INFRA}/tls-passthrough-checks-certificate",
        f"{APP}/tls-passthrough-checks-certificate", f"{INFRA}/tls-certificate", f"{INFRA}/tls-checks-certificate",
        f"{INFRA}/tls-terminate-checks-certificate", f"{INFRA}/tls-checks-client-certificate",
        f"{INFRA}/tls-validity-checks-client-certificate", f"{INFRA}/tls-validity-checks-per-port-client-certificate",
    ]
)  # fmt: skip
"""What the suite creates before it runs (conformance/utils/suite)."""
SNI = {
    "gw-HTTPRouteHTTPSListenerDetectMisdirectedRequests": ["example.org"] * 3
    + ["second-example.org"] * 3
    + ["third-example.wildcard.org"] * 3
    + ["fourth-example.wildcard.org"] * 2
}
"""The server name of each request's handshake, which upstream's test has and the cases do not (elsewhere it is the host)."""


def base() -> list[dict]:
    folders = [DATA, *(Path(p) for p in [os.environ.get("K8SNET_VECTORS", "")] if p)]
    found = [path for folder in folders for path in sorted(folder.glob("gateway_base.json*"))][-1]
    text = gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
    return json.loads(text)


BASE = base()


def edge(case: dict):
    text = "\n".join(map(json.dumps, [*BASE, CLASS, *case["objects"]]))
    return edge_of(Cluster.of(loads(text, "case.json")), certificates=SECRETS)


def listener_port(made, reference: str, scheme: str, host: str) -> tuple[str, int]:
    """(the Gateway's key, the port that the client calls): the named listener's, the host's own, or the first that speaks the scheme."""
    key, _, section = reference.partition("#")
    table = made.gateways.get(key)
    if table is None:  # a ListenerSet: the Gateway that it belongs to
        table = next(t for t in made.gateways.values() if any(each.status.owner.key == key for each in t.listeners))
    wanted = {"https": ("HTTPS", "TLS")}.get(scheme, ("HTTP",))
    named = [each.listener.port for each in table.listeners if section == each.listener.name]
    _, colon, port = host.rpartition(":")
    fitting = [each.listener.port for each in table.listeners if each.listener.protocol in wanted]
    own = [int(port)] if colon and port.isdigit() and int(port) in fitting else []  # a Host may name a port that nobody listens on
    return table.gateway.key, (named or own or fitting)[0]


def asked(made, case: dict, number: int, data: dict) -> tuple[str, Request]:
    sent, scheme = data["request"], data["scheme"]
    host = sent.get("host") or "gateway.example"
    key, port = listener_port(made, data["gateway"], scheme, host)
    headers = tuple((sent.get("headers") or {}).items())
    names = SNI.get(case["id"])
    sni = names[number] if names else data.get("serverName", "")
    return key, Request(host, sent["path"], sent.get("method") or "GET", headers, scheme, port, sni)


def delay(request: Request) -> Fraction:
    """How long the suite's echo server waits, in seconds."""
    found = re.search(r"[?&]delay=([\d.]+)(ms|s)", request.path)
    return Fraction(found[1]) / (1000 if found[2] == "ms" else 1) if found else Fraction(0)


def spread(header: str) -> str:
    return header.replace(" ", "")


def judge_request(made, case: dict, number: int, data: dict) -> None:
    key, request = asked(made, case, number, data)
    decisions = made.gateways[key].decide(request)
    place = {"id": f"{case['id']} request {number} {request}"}
    backends = {decision.backend.name for decision in decisions if decision.sent} or {None}
    for decision in decisions:
        back = tuple((data.get("backendSetResponseHeaders") or {}).items())
        response = answered(decision, 200, back, delay(request))
        statuses = data.get("status") or [200]
        assert response.status in statuses, (place["id"], response, decision)
        if data.get("backend"):
            assert decision.backend is not None, (place["id"], decision)
            same(place, [f"{decision.backend.namespace}/{decision.backend.name}"], [f"{data['namespace']}/{data['backend']}"])
        elif data.get("namespace") and response.status < 400 and decision.sent:
            assert decision.backend.namespace == data["namespace"], place["id"]
        judge_sent(place, decision, data.get("expectedRequest") or {})
        judge_answer(place, response, request, data)
        mirrored = [f"{each.backend.namespace}/{each.backend.name}" for each in decision.mirrors]
        same(place, sorted(mirrored), sorted(f"{each['namespace']}/{each['name']}" for each in data.get("mirroredTo") or ()))
    assert len(backends) == 1 or not data.get("backend"), place["id"]


def judge_sent(place: dict, decision, expected: dict) -> None:
    """What the backend sees."""
    if not expected or decision.sent is None:
        assert not any(expected.values()) or decision.sent is not None, (place["id"], decision)
        return
    found, wanted = [], []
    if expected.get("path"):
        found.append(f"path {decision.sent.path}")
        wanted.append(f"path {expected['path']}")
    if expected.get("host"):
        found.append(f"host {decision.sent.host}")
        wanted.append(f"host {expected['host']}")
    for name, content in (expected.get("headers") or {}).items():
        found.append(f"{name}: {decision.sent.header(name)}")
        wanted.append(f"{name}: {content}")
    for name in expected.get("absentHeaders") or ():
        found.append(f"{name}: {decision.sent.header(name)}")
        wanted.append(f"{name}: None")
    same(place, found, wanted)


def judge_answer(place: dict, response, request: Request, data: dict) -> None:
    """What the client sees."""
    found, wanted = [], []
    for name, content in (data.get("responseHeaders") or {}).items():
        seen = response.header(name)
        options = content if isinstance(content, list) else [content]
        fits = seen is not None and spread(seen) in map(spread, options)
        found.append(f"{name}: {options[0] if fits else seen}")
        wanted.append(f"{name}: {options[0]}")
    for name in data.get("absentResponseHeaders") or ():
        found.append(f"{name}: {response.header(name)}")
        wanted.append(f"{name}: None")
    redirect = data.get("redirect")
    if redirect:
        location = re.fullmatch(r"(\w+)://([^/:]+)(?::(\d+))?(/[^?]*)?(\?.*)?", response.header("Location") or "")
        assert location, (place["id"], response)
        seen = dict(zip(("scheme", "host", "port", "path"), location.groups(), strict=False))
        for name in ("scheme", "host", "port", "path"):
            if redirect.get(name):
                found.append(f"{name} {seen[name]}")
                wanted.append(f"{name} {redirect[name]}")
    same(place, found, wanted)


def judge_lines(place: dict, conditions, expected: list[dict]) -> None:
    """Conditions of one object; an empty reason is any, as in the suite."""
    lines = {each.type: each for each in conditions}
    seen, wanted = [], []
    for each in expected:
        line = lines.get(each["type"])
        seen.append(f"{each['type']} {line and line.status} {line and line.reason if each.get('reason') else ''}")
        wanted.append(f"{each['type']} {each['status']} {each.get('reason') or ''}")
    same(place, seen, wanted)


def judge_condition(made, case: dict, data: dict) -> None:
    """One line of a route's status."""
    parents = [each for (_, key), every in made.statuses.routes.items() if key == data["route"] for each in every]
    mine = [each for each in parents if each.parent.key == data["parent"]]
    assert mine, (case["id"], data, parents)
    for each in mine:
        judge_lines(case, each.conditions, [data])


def judge_accepted(made, case: dict, data: dict) -> None:
    """A Gateway's or ListenerSet's routes, all accepted."""
    parent = data.get("gateway") or data["parent"]
    for name in data["routes"] or ():
        statuses = [each for (_, key), every in made.statuses.routes.items() if key == name for each in every if each.parent.key == parent]
        assert statuses and all(each.accepted for each in statuses), (case["id"], name, statuses)


def judge_listeners(made, case: dict, kind: str, key: str, expected: list[dict]) -> None:
    found = {each.listener.name: each for each in made.statuses.listeners if each.owner.kind == kind and each.owner.key == key}
    for data in expected:
        status = found[data["name"]]
        assert {each["kind"] for each in data.get("supportedKinds") or ()} <= set(status.supported), (case["id"], data["name"])
        place = {"id": f"{case['id']} {key}#{data['name']}"}
        same(place, [f"attached {status.attached}"], [f"attached {data['attachedRoutes']}"])
        judge_lines(place, status.conditions, data["conditions"])


def judge_status(made, case: dict, data: dict) -> None:
    kind = data["kind"]
    if kind in ("listeners", "gwlisteners"):
        judge_listeners(made, case, "Gateway", data["gateway"], data["listeners"])
    elif kind == "lslisteners":
        judge_listeners(made, case, "ListenerSet", data["listenerSet"], data["listeners"])
    elif kind == "noAcceptedParents":
        statuses = [each for (_, key), every in made.statuses.routes.items() if key == data["route"] for each in every]
        assert not any(each.accepted for each in statuses), case["id"]
    elif kind == "zeroRoutes":
        attached = [each.attached for each in made.statuses.listeners if each.owner.key == data["gateway"]]
        assert attached and not any(attached), case["id"]
    elif kind == "parents":
        statuses = [each for (_, key), every in made.statuses.routes.items() if key == data["route"] for each in every]
        for parent in data["parents"]:
            ref = parent["parentRef"]
            mine = [each for each in statuses if each.parent.key == f"{ref['namespace']}/{ref['name']}"]
            assert mine, (case["id"], ref)
            for each in mine:
                judge_lines(case, each.conditions, parent["conditions"])
    else:
        raise AssertionError(f"{case['id']}: this test does not know statuses of kind {kind!r}")


def judge_weights(made, case: dict, data: dict | list) -> None:
    """Shares of the backends, exact here (the suite counts requests): of the case's first request, or of one for ``/`` at its Gateway."""
    shares = {}
    for each in data if isinstance(data, list) else [data]:
        shares |= each.get("weights", each) if "backend" not in each else {each["backend"]: each["weight"]}
    sent = (case.get("requests") or [{"gateway": case["accepted"][0]["gateway"], "scheme": "http", "request": {"path": "/"}}])[0]
    key, request = asked(made, case, 0, sent)
    found = {each.backend.name: float(each.share) for each in made.gateways[key].decide(request) if each.backend}
    total = sum(shares.values())
    assert {name: round(found.get(name, 0), 6) for name in shares} == {name: round(share / total, 6) for name, share in shares.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_gateway(case):
    made = edge(case)
    for data in case.get("conditions") or ():
        (judge_status if "kind" in data else judge_condition)(made, case, data)
    for data in case.get("accepted") or ():
        judge_accepted(made, case, data)
    for data in case.get("status") or ():
        judge_status(made, case, data)
    for number, data in enumerate(case.get("requests") or ()):
        judge_request(made, case, number, data)
    if case.get("weights"):
        judge_weights(made, case, case["weights"])


def test_cases_are_many():
    print(Counter("requests" if case.get("requests") else "statuses" for case in CASES))
    assert len(CASES) >= 26
