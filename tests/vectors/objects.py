"""From the vectors' objects to values, without the API server's validation: some cases are Kubernetes' own unit tests, whose objects no
API server has seen (node ports below 30000, Services without a target port)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from k8snetlib.kube.objects import LoadBalancerIngress, ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import Endpoint, EndpointPort, EndpointSlice


def _meta(data: dict) -> ObjectMeta:
    meta = data["metadata"]
    return ObjectMeta(
        meta["name"], meta.get("namespace", ""), FrozenDict(meta.get("labels") or {}), FrozenDict(meta.get("annotations") or {})
    )


def service(data: dict) -> Service:
    spec = data["spec"]
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    ingress = ((data.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    return Service(
        _meta(data),
        tuple(
            ServicePort(p["port"], p.get("name", ""), p.get("protocol") or "TCP", p.get("targetPort", 0), p.get("nodePort", 0))
            for p in spec.get("ports") or ()
        ),
        FrozenDict(spec.get("selector") or {}),
        spec.get("type") or "ClusterIP",
        tuple(ip if ip == "None" else ip_address(ip) for ip in ips),
        tuple(ip_address(ip) for ip in spec.get("externalIPs") or ()),
        session_affinity=spec.get("sessionAffinity") or "None",
        session_affinity_timeout=10800 if affinity is None else affinity,
        external_traffic_policy=spec.get("externalTrafficPolicy", ""),
        internal_traffic_policy=spec.get("internalTrafficPolicy") or "Cluster",
        traffic_distribution=spec.get("trafficDistribution", ""),
        load_balancer_source_ranges=tuple(ip_network(each.strip(), strict=False) for each in spec.get("loadBalancerSourceRanges") or ()),
        health_check_node_port=spec.get("healthCheckNodePort", 0),
        load_balancer_ingress=tuple(
            LoadBalancerIngress(ip_address(each["ip"]) if each.get("ip") else None, each.get("hostname", ""), each.get("ipMode") or "VIP")
            for each in ingress
        ),
    )


def endpoint_slice(data: dict) -> EndpointSlice:
    def endpoint(each: dict) -> Endpoint:
        conditions, hints = each.get("conditions") or {}, each.get("hints") or {}
        return Endpoint(
            tuple(ip_address(a) for a in each["addresses"]) if data["addressType"] != "FQDN" else tuple(each["addresses"]),
            conditions.get("ready"),
            conditions.get("serving"),
            conditions.get("terminating"),
            each.get("nodeName") or "",
            each.get("zone") or "",
            zone_hints=tuple(z["name"] for z in hints.get("forZones") or ()),
            node_hints=tuple(n["name"] for n in hints.get("forNodes") or ()),
        )

    ports = tuple(EndpointPort(p.get("name") or "", p.get("port"), p.get("protocol") or "TCP") for p in data.get("ports") or ())
    return EndpointSlice(_meta(data), data["addressType"], tuple(map(endpoint, data.get("endpoints") or ())), ports)


def services(case: dict) -> list[Service]:
    return [service(each) for each in case["objects"] if each["kind"] == "Service"]


def slices(case: dict) -> list[EndpointSlice]:
    return [endpoint_slice(each) for each in case["objects"] if each["kind"] == "EndpointSlice"]


def proxy_config(case: dict) -> ProxyConfig:
    """The configuration of a case of iptables_rules, nftables_rules, ipvs_rules or kernel_flows, IPv6 ones too."""
    conf = case["config"]
    version = ip_address(conf["nodeIP"]).version
    return ProxyConfig(
        conf["nodeName"],
        ip_address(conf["nodeIP"]),
        tuple(map(ip_address, conf["localIPs"])),
        ip_network(conf["clusterCIDR"]) if conf.get("clusterCIDR") else None,
        tuple(n for n in map(ip_network, conf["serviceCIDR"].split(",")) if n.version == version),
        conf["detectLocalMode"],
        conf.get("detectLocalArg", ""),
        conf["masqueradeAll"],
        conf["localhostNodePorts"],
        tuple(map(ip_network, conf["nodePortAddresses"])),
        conf.get("zone", ""),
    )
