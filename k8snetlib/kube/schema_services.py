"""Admitted data to Services and EndpointSlices: :mod:`k8snetlib.kube.apiserver` has validated and defaulted it."""

from __future__ import annotations

from typing import Any

from ..linux.addresses import ip_address, ip_network
from . import schema_rules as rules
from .objects import LoadBalancerIngress, Location, ObjectMeta, Service, ServicePort
from .selectors import EMPTY, FrozenDict
from .slices import Endpoint, EndpointPort, Endpoints, EndpointSlice, EndpointSubset

Data = dict[str, Any]


def service(data: Data, meta: ObjectMeta, location: Location) -> Service:
    """A Service from admitted data; raises :class:`~k8snetlib.kube.schema.Fault` for a status that no load balancer would write."""
    spec = data["spec"]
    kind = spec["type"]
    affinity = spec.get("sessionAffinityConfig", EMPTY).get("clientIP", EMPTY).get("timeoutSeconds", 10800)
    return Service(
        metadata=meta,
        ports=tuple(map(_port, spec.get("ports", ()))),
        selector=FrozenDict(spec.get("selector", EMPTY)),
        type=kind,
        cluster_ips=tuple(ip if ip == "None" else ip_address(ip) for ip in spec.get("clusterIPs", ())),
        external_ips=tuple(map(ip_address, spec.get("externalIPs", ()))),
        external_name=spec.get("externalName", "").removesuffix("." if kind == "ExternalName" else ""),
        session_affinity=spec["sessionAffinity"],
        session_affinity_timeout=int(affinity),
        external_traffic_policy=spec.get("externalTrafficPolicy", ""),
        internal_traffic_policy="" if kind == "ExternalName" else spec["internalTrafficPolicy"],
        traffic_distribution=spec.get("trafficDistribution", ""),
        publish_not_ready_addresses=spec.get("publishNotReadyAddresses", False),
        ip_families=tuple(spec.get("ipFamilies", ())),
        ip_family_policy=spec.get("ipFamilyPolicy", ""),
        load_balancer_ip=spec.get("loadBalancerIP", ""),
        load_balancer_class=spec.get("loadBalancerClass", ""),
        load_balancer_source_ranges=tuple(ip_network(text.strip()) for text in spec.get("loadBalancerSourceRanges", ())),
        allocate_load_balancer_node_ports=spec.get("allocateLoadBalancerNodePorts", True),
        health_check_node_port=int(spec.get("healthCheckNodePort", 0)),
        load_balancer_ingress=_ingress(data["status"].get("loadBalancer", EMPTY).get("ingress", ())),
        location=location,
    )


def _port(data: Data) -> ServicePort:
    target = data["targetPort"]
    target = target if isinstance(target, str) else int(target)
    number, node_port = int(data["port"]), int(data.get("nodePort", 0))
    return ServicePort(number, data.get("name", ""), data["protocol"], target, node_port, data.get("appProtocol", ""))


def _ingress(entries: list[Data]) -> tuple[LoadBalancerIngress, ...]:
    path = ("status", "loadBalancer", "ingress")
    return tuple(
        LoadBalancerIngress(
            rules.address(each["ip"], *path, index, "ip") if each.get("ip") else None,
            each.get("hostname", ""),
            each.get("ipMode") or "VIP",
        )
        for index, each in enumerate(entries)
    )


def endpoint_slice(data: Data, meta: ObjectMeta, location: Location) -> EndpointSlice:
    """An EndpointSlice from admitted data."""
    kind = data["addressType"]
    ports = tuple(_endpoint_port(port) for port in data["ports"] or ())
    return EndpointSlice(meta, kind, tuple(_endpoint(each, kind) for each in data["endpoints"] or ()), ports, location)


def endpoints(data: Data, meta: ObjectMeta, location: Location) -> Endpoints:
    """An Endpoints object from admitted data: its addresses as endpoints that are ready or are not."""
    return Endpoints(meta, tuple(map(_subset, data.get("subsets", ()))), location)


def _subset(data: Data) -> EndpointSubset:
    found = []
    for field, ready in (("addresses", True), ("notReadyAddresses", False)):
        for each in data.get(field, ()):
            found.append(_endpoint({**each, "addresses": [each["ip"]], "conditions": {"ready": ready}}, ""))
    return EndpointSubset(tuple(found), tuple(map(_endpoint_port, data.get("ports", ()))))


def _endpoint_port(data: Data) -> EndpointPort:
    number = data.get("port")
    return EndpointPort(data["name"], None if number is None else int(number), data["protocol"], data.get("appProtocol", ""))


def _endpoint(data: Data, kind: str) -> Endpoint:
    conditions, hints, target = data["conditions"], data.get("hints", EMPTY), data.get("targetRef", EMPTY)
    name = "/".join(filter(None, [target.get("namespace", ""), target.get("name", "")]))
    return Endpoint(
        addresses=tuple(data["addresses"]) if kind == "FQDN" else tuple(map(ip_address, data["addresses"])),
        ready=conditions.get("ready"),
        serving=conditions.get("serving"),
        terminating=conditions.get("terminating"),
        node_name=data.get("nodeName", ""),
        zone=data.get("zone", ""),
        hostname=data.get("hostname", ""),
        target=f"{target.get('kind', '')} {name}".strip(),
        zone_hints=tuple(each.get("name", "") for each in hints.get("forZones") or ()),  # it may be empty, as a label may
        node_hints=tuple(each["name"] for each in hints.get("forNodes") or ()),
    )
