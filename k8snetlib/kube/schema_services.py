"""Checked data to Services, with the API server's rules between fields and its static defaults.

Field paths in errors are the API server's own, which names ``spec.clusterIPs[0]`` where a manifest says ``clusterIP``, and spells
``LoadBalancerSourceRanges`` with a capital. What depends on the cluster (address ranges, free node ports) is not checked here.
"""

from __future__ import annotations

from typing import Any

from . import schema_rules as rules
from .objects import IPAddress, LoadBalancerIngress, Location, ObjectMeta, Service, ServicePort
from .schema import Fault, literal, unsupported_value
from .schema_pods import labels
from .selectors import EMPTY

Data = dict[str, Any]
_FAMILIES = ("IPv4", "IPv6")


def service(data: Data, meta: ObjectMeta, location: Location) -> Service:
    """A Service from data whose fields and types are checked; raises :class:`Fault`."""
    spec = data.get("spec", {})
    kind = spec.get("type") or "ClusterIP"
    cluster_ips = _cluster_ips(spec, kind)
    headless = cluster_ips[:1] == ("None",)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        raise Fault("required value", ("spec", "ports"))
    selector = labels(spec.get("selector", EMPTY), "spec", "selector")
    families = _families(spec, kind, cluster_ips)
    _check_balancer_fields(spec, kind)
    external = kind in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    policy = spec.get("externalTrafficPolicy", "")
    if policy and not external:
        raise Fault(rules.invalid(policy, "may only be set for externally-accessible services"), ("spec", "externalTrafficPolicy"))
    return Service(
        metadata=meta,
        ports=_ports(spec.get("ports", ()), kind),
        selector=selector,
        type=kind,
        cluster_ips=cluster_ips,
        external_ips=_external_ips(spec),
        external_name=_external_name(spec) if kind == "ExternalName" else spec.get("externalName", ""),
        session_affinity=spec.get("sessionAffinity") or "None",
        session_affinity_timeout=_affinity_timeout(spec),
        external_traffic_policy=policy or ("Cluster" if external else ""),
        internal_traffic_policy="" if kind == "ExternalName" else spec.get("internalTrafficPolicy") or "Cluster",
        traffic_distribution=spec.get("trafficDistribution", ""),
        publish_not_ready_addresses=spec.get("publishNotReadyAddresses", False),
        ip_families=families,
        ip_family_policy=spec.get("ipFamilyPolicy", ""),
        load_balancer_ip=spec.get("loadBalancerIP", ""),
        load_balancer_class=spec.get("loadBalancerClass", ""),
        load_balancer_source_ranges=_source_ranges(spec, kind),
        allocate_load_balancer_node_ports=spec.get("allocateLoadBalancerNodePorts", True),
        health_check_node_port=_health_check_node_port(spec, kind),
        load_balancer_ingress=_ingress(data.get("status", EMPTY).get("loadBalancer", EMPTY).get("ingress", ())),
        location=location,
    )


def _cluster_ips(spec: Data, kind: str) -> tuple[Any, ...]:
    single, several = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    at = ("spec", "clusterIP") if not several else None
    if single and several and several[0] != single:
        raise Fault(rules.invalid(several[0], "first value must match clusterIP"), ("spec", "clusterIPs", 0))
    texts = several or ([single] if single else [])
    if kind == "ExternalName" and texts:
        raise Fault("forbidden: may not be set for ExternalName services", ("spec", "clusterIPs"), at=at)
    if "None" in texts:
        if kind in ("NodePort", "LoadBalancer"):
            raise Fault(f"invalid value \"None\": may not be set to 'None' for {kind} services", ("spec", "clusterIPs", 0), at=at)
        if len(texts) > 1:
            raise Fault("invalid value: 'None' must be the first and only value", ("spec", "clusterIPs"))
        return ("None",)
    addresses = tuple(rules.address(text, "spec", "clusterIPs", index, at=at) for index, text in enumerate(texts))
    if len(addresses) > 2 or len({each.version for each in addresses}) < len(addresses):
        raise Fault("may only hold up to 2 values, one of each address family", ("spec", "clusterIPs"))
    return addresses


def _families(spec: Data, kind: str, cluster_ips: tuple[Any, ...]) -> tuple[str, ...]:
    families = tuple(spec.get("ipFamilies", ()))
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            fault = unsupported_value(family, _FAMILIES)
            fault.path = ("spec", "ipFamilies", index)
            raise fault
        rules.require(f"duplicate value {literal(family)}" if family in families[:index] else "", "spec", "ipFamilies", index)
    if kind == "ExternalName":
        for field in ("ipFamilies", "ipFamilyPolicy"):
            rules.require("forbidden: may not be set for ExternalName services" if spec.get(field) else "", "spec", field)
    single = spec.get("ipFamilyPolicy", "") in ("", "SingleStack")
    if single and (len(families) > 1 or len(cluster_ips) > 1):
        several = "IP families" if len(families) > 1 else "cluster IPs"
        message = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
        raise Fault(f'invalid value "SingleStack": {message}', ("spec", "ipFamilyPolicy"))
    for index, (ip, family) in enumerate(zip(cluster_ips, families, strict=False)):
        if ip != "None" and f"IPv{ip.version}" != family:
            message = rules.invalid(ip, f"expected an {family} value as indicated by ipFamilies[{index}]")
            raise Fault(message, ("spec", "clusterIPs", index), at=None if spec.get("clusterIPs") else ("spec", "clusterIP"))
    return families


def _check_balancer_fields(spec: Data, kind: str) -> None:
    """Fields that only the type LoadBalancer may have."""
    if kind != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            rules.require("forbidden: may only be used when type is 'LoadBalancer'" if field in spec else "", "spec", field)
    elif spec.get("loadBalancerClass"):
        rules.require(rules.qualified_name(spec["loadBalancerClass"]), "spec", "loadBalancerClass")


# --- ports


def _ports(ports: list[Data], kind: str) -> tuple[ServicePort, ...]:
    out: list[ServicePort] = []
    seen: set[object] = set()
    for index, data in enumerate(ports):
        port = _port(data, index, kind, needs_name=len(ports) > 1)
        path = ("spec", "ports", index)
        _once(port.name, seen, f"duplicate value {literal(port.name)}", *path, "name")
        _once((port.port, port.protocol), seen, f"duplicate value: port {port.port}/{port.protocol} stands twice", *path)
        if port.node_port:
            _once(("node", port.node_port, port.protocol), seen, f"duplicate value {port.node_port}", *path, "nodePort")
        out.append(port)
    return tuple(out)


def _once(what: object, seen: set[object], problem: str, *path: str | int) -> None:
    rules.require(problem if what and what in seen else "", *path)
    seen.add(what)


def _port(data: Data, index: int, kind: str, *, needs_name: bool) -> ServicePort:
    path = ("spec", "ports", index)
    name, number, node_port = data.get("name", ""), int(data["port"]), int(data.get("nodePort", 0))
    rules.require("required value: with several ports, each has a name" if needs_name and not name else "", *path, "name")
    rules.require(rules.dns_label(name) if name else "", *path, "name")
    rules.require(rules.port_number(number), *path, "port")
    target = data.get("targetPort") or number
    target = target if isinstance(target, str) else int(target)
    rules.require(rules.port_name(target) if isinstance(target, str) else rules.port_number(target), *path, "targetPort")
    rules.require(rules.qualified_name(data["appProtocol"]) if data.get("appProtocol") else "", *path, "appProtocol")
    if node_port and kind in ("ClusterIP", "ExternalName"):
        raise Fault(f"forbidden: may not be used when type is '{kind}'", (*path, "nodePort"))
    if node_port and node_port not in rules.NODE_PORT_RANGE:
        first, last = rules.NODE_PORT_RANGE[0], rules.NODE_PORT_RANGE[-1]
        raise Fault(f"invalid value {node_port}: the range of valid node ports is {first}-{last}", (*path, "nodePort"))
    return ServicePort(number, name, data.get("protocol") or "TCP", target, node_port, data.get("appProtocol", ""))


# --- everything else


def _external_name(spec: Data) -> str:
    name = spec.get("externalName", "").removesuffix(".")
    rules.require(rules.dns_subdomain(name) if name else "required value", "spec", "externalName")
    return name


def _external_ips(spec: Data) -> tuple[IPAddress, ...]:
    out = []
    for index, text in enumerate(spec.get("externalIPs", ())):
        out.append(rules.address(text, "spec", "externalIPs", index))
        rules.require(rules.special_address(out[-1]), "spec", "externalIPs", index)
    return tuple(out)


def _source_ranges(spec: Data, kind: str) -> tuple[rules.IPNetwork, ...]:
    ranges = spec.get("loadBalancerSourceRanges", ())
    real = ("spec", "loadBalancerSourceRanges")
    if ranges and kind != "LoadBalancer":
        raise Fault("forbidden: may only be used when type is 'LoadBalancer'", ("spec", "LoadBalancerSourceRanges"), at=real)
    return tuple(
        rules.network(text.strip(), "spec", "LoadBalancerSourceRanges", index, at=(*real, index)) for index, text in enumerate(ranges)
    )


def _affinity_timeout(spec: Data) -> int:
    """Seconds that ``sessionAffinity: ClientIP`` remembers a client; 10800 (three hours) unless the manifest says otherwise."""
    timeout = spec.get("sessionAffinityConfig", EMPTY).get("clientIP", EMPTY).get("timeoutSeconds")
    if timeout is None or spec.get("sessionAffinity") != "ClientIP":
        return 10800
    path = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    rules.require("" if 0 < timeout <= 86400 else f"invalid value {timeout}: must be greater than 0 and at most 86400", *path)
    return int(timeout)


def _health_check_node_port(spec: Data, kind: str) -> int:
    port = int(spec.get("healthCheckNodePort", 0))
    if port and (kind != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local"):
        message = f"invalid value {port}: may only be set when type is 'LoadBalancer' and externalTrafficPolicy is 'Local'"
        raise Fault(message, ("spec", "healthCheckNodePort"))
    if port and port not in rules.NODE_PORT_RANGE:
        raise Fault(f"invalid value {port}: the range of valid node ports is 30000-32767", ("spec", "healthCheckNodePort"))
    return port


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
