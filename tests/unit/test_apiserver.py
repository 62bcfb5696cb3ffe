"""What the API server refuses and with which fields: rules read from its validation, beside the vectors of a real one."""

from __future__ import annotations

import json

import pytest

from k8snetlib.errors import ManifestError
from k8snetlib.kube.apiserver import admit
from k8snetlib.kube.control import control_plane
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Service


def made(version: str, kind: str, **fields) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}


def service(**spec) -> dict:
    return made("v1", "Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80}], **spec})


def ingress(spec: dict, **annotations: str) -> dict:
    meta = {"name": "x", "annotations": {key.replace("_", "/"): value for key, value in annotations.items()}}
    return made("networking.k8s.io/v1", "Ingress", spec=spec) | {"metadata": meta}


def policy(**spec) -> dict:
    return made("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, **spec})


def peer(**fields) -> dict:
    return policy(ingress=[{"from": [fields]}])


def port(**fields) -> dict:
    return policy(ingress=[{"ports": [fields]}])


def gateway(*listeners: dict, **spec) -> dict:
    return made("gateway.networking.k8s.io/v1", "Gateway", spec={"gatewayClassName": "c", "listeners": list(listeners), **spec})


def listener(name: str = "a", number: int = 80, protocol: str = "HTTP", **fields) -> dict:
    return {"name": name, "port": number, "protocol": protocol, **fields}


def route(**spec) -> dict:
    return made("gateway.networking.k8s.io/v1", "HTTPRoute", spec={"parentRefs": [{"name": "gw"}], **spec})


def part(**fields) -> dict:
    given = {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.0.0.1"]}], **fields}
    return made("discovery.k8s.io/v1", "EndpointSlice", **given)


def endpoints(**subset) -> dict:
    return made("v1", "Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}], **subset}])


BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PEER, PORT = "spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"
AFFINITY = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
NODE_PORTS = [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 443, "nodePort": 30080}]
# fmt: off
CASES: list[tuple[dict, str]] = [
    (service(ports=[{"port": 0}]), "spec.ports[0].port spec.ports[0].targetPort"),
    (service(ports=[{}]), "spec.ports[0].port spec.ports[0].targetPort"),
    (service(ports=[{"port": 80}, {"port": 443}]), "spec.ports[0].name spec.ports[1].name"),
    (service(type="NodePort", ports=NODE_PORTS), "spec.ports[1].nodePort"),
    (service(clusterIP="10.96.0.1"), "spec.clusterIPs"),
    (service(clusterIP="::ffff:10.96.0.9"), "spec.clusterIPs[0]"),
    (service(externalTrafficPolicy="Local"), "spec.externalTrafficPolicy"),
    (service(externalTrafficPolicy="local"), "spec.externalTrafficPolicy"),
    (service(externalTrafficPolicy=""), ""),
    (service(internalTrafficPolicy="Foo"), "spec.internalTrafficPolicy"),
    (service(loadBalancerSourceRanges=["10.0.0.0/8"]), "spec.LoadBalancerSourceRanges"),
    (service(type="LoadBalancer", allocateLoadBalancerNodePorts=False), ""),
    (service(loadBalancerClass="a.b/c"), "spec.loadBalancerClass"),
    (service(type="LoadBalancer", loadBalancerClass="a/b/c"), "spec.loadBalancerClass"),
    (service(ipFamilies=["IPv4", "IPv4"]), "spec.ipFamilies[1]"),
    (service(ipFamilies=["IPv5"]), "spec.ipFamilies[0]"),
    (service(ipFamilies=["IPv6"], clusterIP="10.96.0.9"), "spec.clusterIPs[0]"),
    (service(trafficDistribution="Foo"), "spec.trafficDistribution"),
    (service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86401}}), AFFINITY),
    (service(sessionAffinity="ClientIP", sessionAffinityConfig={}), ""),
    (service(externalIPs=["127.0.0.1"]), "spec.externalIPs[0]"),
    (service(externalIPs=["fe80::1"]), "spec.externalIPs[0]"),
    (service(externalIPs=["ff02::1"]), "spec.externalIPs[0]"),
    (service(clusterIPs=["10.96.0.9"]), "spec.clusterIPs"),
    (service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.10"]), "spec.clusterIPs"),
    (service(clusterIP="None", clusterIPs=["None", "10.96.0.10"]), "spec.clusterIPs"),
    (service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9", "10.96.0.10"], ipFamilyPolicy="RequireDualStack"), "spec.clusterIPs"),
    (service(clusterIP="10.96.0.9", clusterIPs=["10.96.0.9", "fd00:10:96::9"]), "spec.ipFamilyPolicy"),
    (service(type="ExternalName", externalName="a.b", clusterIP="10.96.0.9"), "spec.clusterIPs"),
    (service(type="ExternalName", externalName="a.b", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack"),
     "spec.ipFamilies spec.ipFamilyPolicy"),
    (service(type="ExternalName", externalName="a.b."), ""),
    (service(selector={"a b": "c", "d": "e f"}), "spec.selector"),
    (service(ports=[{"port": 80, "appProtocol": "a/b/c"}]), "spec.ports[0].appProtocol"),
    (service(type="Foo", sessionAffinity="Bar", ports=[{"port": 80, "protocol": "ICMP"}]),
     "spec.ports[0].protocol spec.sessionAffinity spec.type"),
    (service(ports=[{"port": 80.5}]), "spec.ports[0].port"),
    (service(foo=1), "spec.foo"),
    (ingress({}), "spec"),
    (ingress({"rules": [{"http": {"paths": [{"path": "/", "backend": BACKEND}]}}]}), "spec.rules[0].http.paths[0].pathType"),
    (ingress({"rules": [{"host": "1.2.3.4"}]}), "spec.rules[0].host"),
    (ingress({"ingressClassName": "a", "defaultBackend": BACKEND}, **{"kubernetes.io_ingress.class": "nginx"}),
     "annotations.kubernetes.io/ingress.class"),
    (ingress({"tls": [{"hosts": ["A"], "secretName": "B"}], "defaultBackend": BACKEND}), "spec.tls[0].hosts[0] spec.tls[0].secretName"),
    (ingress({"defaultBackend": {**BACKEND, "resource": {"kind": "a", "name": "b"}}}), "spec.defaultBackend"),
    (ingress({"defaultBackend": {"resource": {"kind": "a/b", "apiGroup": "A"}}}),
     "spec.defaultBackend.resource.apiGroup spec.defaultBackend.resource.kind spec.defaultBackend.resource.name"),
    (policy(policyTypes=["Foo"]), "spec.policyTypes[0]"),
    (policy(egress=[{"to": [{}]}]), "spec.egress[0].to[0]"),
    (peer(ipBlock={"cidr": "10.0.0.1/8"}), f"{PEER}.ipBlock.cidr"),
    (peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}), f"{PEER}.ipBlock.except[0]"),
    (peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["fd00::/16", "x"]}), f"{PEER}.ipBlock.except[0] {PEER}.ipBlock.except[1]"),
    (peer(ipBlock={}), f"{PEER}.ipBlock.cidr"),
    (peer(podSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}), f"{PEER}.podSelector.matchExpressions[0].values"),
    (peer(podSelector={"matchLabels": {"a": "b c"}}), f"{PEER}.podSelector.matchLabels"),
    (port(port=80, endPort=79), f"{PORT}.endPort"),
    (port(port=0), f"{PORT}.port"),
    (gateway(listener(), listener(number=81)), "spec.listeners spec.listeners[1]"),
    (gateway(listener(protocol="TLS")), "spec.listeners"),
    (gateway(listener(protocol="https", tls={"mode": "Passthrough"})), "spec.listeners"),
    (gateway(listener(protocol="HTTPS", tls={"mode": "Terminate"})), "spec.listeners[0].tls"),
    (gateway(listener(protocol="TCP", hostname="a.com")), "spec.listeners"),
    (gateway(listener(number=70000)), "spec.listeners[0].port"),
    (gateway({"name": "a", "port": 80}), "<nil> spec.listeners[0].protocol"),
    (gateway(listener(), gatewayClassName=None), "<nil> spec.gatewayClassName"),
    (gateway(listener(), addresses=[{"value": "10.0.0.1"}, {"value": "10.0.0.1"}]), "spec.addresses"),
    (route(rules=[]), "spec.rules"),
    (route(rules=[{"name": "a"}, {"name": "a"}]), "spec.rules"),
    (route(rules=[{"timeouts": {"request": "1s", "backendRequest": "1500ms"}}]), "spec.rules[0].timeouts"),
    (route(rules=[{"timeouts": {"request": "10"}}]), "spec.rules[0].timeouts.request"),
    (route(rules=[{"backendRefs": [{"name": "web", "port": 80, "weight": -1}]}]), "spec.rules[0].backendRefs[0].weight"),
    (route(rules=[{"backendRefs": [{"name": "web", "group": "a.b", "kind": "X"}]}]), ""),
    (route(parentRefs=[{"name": "gw", "sectionName": "a"}, {"name": "gw"}]), "spec.parentRefs"),
    (route(parentRefs=[{"name": "gw", "sectionName": "a"}, {"name": "gw", "sectionName": "b"}]), ""),
    (route(rules=[{"matches": [{"headers": [{"name": "a", "value": "b"}, {"name": "a", "value": "c"}]}]}]),
     "spec.rules[0].matches[0].headers[1]"),
    (route(rules=[{"matches": [{"queryParams": [{"name": "a"}]}]}]), "<nil> spec.rules[0].matches[0].queryParams[0].value"),
    (route(rules=[{"filters": [{"type": "RequestRedirect", "requestRedirect": {}}, {"type": "URLRewrite", "urlRewrite": {}}]}]),
     "spec.rules[0].filters"),
    (route(hostnames=["a.com"] * 17), "<nil> spec.hostnames"),
    (part(addressType="Foo"), "addressType"),
    (part(addressType="IPv6"), "endpoints[0].addresses[0]"),
    (part(endpoints=[{"addresses": []}]), "endpoints[0].addresses"),
    (part(endpoints=[{"addresses": ["10.0.0.01"], "hostname": "A", "nodeName": "B"}]),
     "endpoints[0].addresses[0] endpoints[0].hostname endpoints[0].nodeName"),
    (part(ports=[{"port": 80, "protocol": "icmp"}]), "ports[0].protocol"),
    (part(addressType="FQDN", endpoints=[{"addresses": ["a"]}]), "endpoints[0].addresses[0]"),
    (part(endpoints=[{"addresses": ["10.0.0.1"]}] * 1001), "endpoints"),
    (endpoints(), ""),
    (endpoints(addresses=[]), "subsets[0]"),
    (endpoints(addresses=[{"ip": "127.0.0.1", "hostname": "A"}]), "subsets[0].addresses[0].hostname subsets[0].addresses[0].ip"),
    (endpoints(ports=[{"port": 0}, {"name": "b", "port": 1}]), "subsets[0].ports[0].name subsets[0].ports[0].port"),
]
# fmt: on


def refused(data: dict) -> list[str]:
    """The fields that are wrong, sorted; none for an object that is accepted."""
    try:
        objects = loads(json.dumps(data), "x.json").objects
        control_plane([each for each in objects if isinstance(each, Service)], families=("IPv4", "IPv6"))
    except ManifestError as error:
        return sorted(error.fields)
    return []


@pytest.mark.parametrize(("data", "fields"), CASES, ids=[f"{each[0]['kind']} {number}" for number, each in enumerate(CASES)])
def test_the_fields_that_are_refused(data: dict, fields: str) -> None:
    assert refused(data) == fields.split()


def test_several_mistakes_are_one_error_with_the_rest_behind_it() -> None:
    text = json.dumps(service(type="Foo", ports=[{"port": -5}]), indent=1)
    with pytest.raises(ManifestError) as caught:
        loads(text, "x.json")
    first, *others = caught.value, *caught.value.others
    assert str(first) == (
        "x.json:13 spec.ports[0].port: invalid value -5: must be between 1 and 65535, inclusive "
        "(and mistakes in spec.ports[0].targetPort, spec.type)"
    )
    assert [str(each) for each in others] == [
        "x.json:12 spec.ports[0].targetPort: invalid value -5: must be between 1 and 65535, inclusive",
        'x.json:16 spec.type: unsupported value "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ]


def test_a_name_may_be_left_to_the_api_server() -> None:
    data = service()
    data["metadata"] = {"generateName": "web-"}
    assert admit(data)["metadata"]["generateName"] == "web-"
