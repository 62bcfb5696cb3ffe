"""Services: defaults and validation (pkg/apis/core/v1/defaults.go, pkg/apis/core/validation and pkg/registry/core/service of 1.36).

The API server allocates before it validates, so a mistake in the address fields or a node port out of range is reported alone, and
everything else together.
"""

from __future__ import annotations

from typing import Any

from ...linux.addresses import ip_address
from .. import schema_rules as rules
from ..objects import Service
from ..schema import Fault, literal
from ..schema_places import Path
from .fields import PROTOCOLS, Faults, labels, metadata, object_meta, without_empty

Data = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
FAMILIES = ("IPv4", "IPv6")
POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
AFFINITY_SECONDS = 10800
_POINTERS = ("allocateLoadBalancerNodePorts", "internalTrafficPolicy", "ipFamilyPolicy", "loadBalancerClass", "trafficDistribution")
_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
_HINTS_ANNOTATION = "service.kubernetes.io/topology-aware-hints"
_MODE_ANNOTATION = "service.kubernetes.io/topology-mode"


def default(data: Data) -> Data:
    """The Service with the API server's static defaults; what it allocates is still missing, and so are the address families."""
    spec = without_empty(data.get("spec") or {}, _POINTERS)
    kind = spec["type"] = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    _default_affinity(spec)
    if "ports" in spec:
        spec["ports"] = [_default_port(port) for port in spec["ports"]]
    if external(spec):
        spec["externalTrafficPolicy"] = spec.get("externalTrafficPolicy") or "Cluster"
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    return {**data, "metadata": object_meta(data), "spec": spec, "status": data.get("status") or {"loadBalancer": {}}}


def stored(data: Data, service: Service) -> Data:
    """Admitted data with what ``service``, the same object after allocation, has got: as ``kubectl get -o json`` shows it."""
    spec = dict(data["spec"])
    if spec["type"] == "ExternalName":
        spec.pop("internalTrafficPolicy", None)  # dropped when read
        return {**data, "spec": spec}
    asked = spec.get("clusterIPs", [])  # kept as written
    ips = [*asked, *map(str, service.cluster_ips[len(asked) :])]
    spec |= {"clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": list(service.ip_families), "ipFamilyPolicy": service.ip_family_policy}
    if "ports" in spec:
        pairs = zip(spec["ports"], service.ports, strict=True)
        spec["ports"] = [port | ({"nodePort": made.node_port} if made.node_port else {}) for port, made in pairs]
    if service.health_check_node_port:
        spec["healthCheckNodePort"] = service.health_check_node_port
    return {**data, "spec": spec}


def external(spec: Data) -> bool:
    """Whether anything outside the cluster can address the Service: by node port, load balancer or external IP."""
    return spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and bool(spec.get("externalIPs")))


def _default_affinity(spec: Data) -> None:
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = spec.get("sessionAffinityConfig", {}).get("clientIP", {})
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS, **client}}


def _default_port(port: Data) -> Data:
    port = without_empty(port, ("appProtocol", "port"))
    number = port.get("port", 0)
    return {**port, "protocol": port.get("protocol") or "TCP", "targetPort": port.get("targetPort") or number}


# --- validation


def problems(data: Data) -> list[Fault]:
    """Every mistake in a defaulted Service that the API server reports at once."""
    spec = data["spec"]
    return _allocation(spec) or _validation(data, spec)


def _allocation(spec: Data) -> Faults:
    """What stops the allocation of addresses and node ports, before anything else is validated."""
    found = Faults()
    if spec["type"] != "ExternalName":
        _cluster_ips(found, spec)
        if not found:
            _single_stack(found, spec)
    if not found and spec["type"] in ("NodePort", "LoadBalancer"):
        _node_ports(found, spec)
    return found


def headless(spec: Data) -> bool:
    return spec.get("clusterIPs") == ["None"]


def _where(spec: Data) -> dict[str, Path]:
    """The manifest's own place of the cluster IP, for the line number: ``clusterIP`` unless it has ``clusterIPs``."""
    return {"at": ("spec", "clusterIP")} if spec.get("clusterIPs") == [spec.get("clusterIP")] else {}


def _cluster_ips(found: Faults, spec: Data) -> None:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` and how they go together."""
    ips, families, policy = spec.get("clusterIPs", []), spec.get("ipFamilies", []), spec.get("ipFamilyPolicy")
    at = _where(spec)
    if ips and ips[0] != spec.get("clusterIP"):
        why = "first value must match clusterIP" if spec.get("clusterIP") else "must be empty when clusterIP is not specified"
        found.add(rules.invalid(_listed(ips), why), "spec", "clusterIPs")
    for index, family in enumerate(families):
        found.one_of(family, FAMILIES, "spec", "ipFamilies", index)
        found.add(f"duplicate value {literal(family)}" if family in families[:index] else "", "spec", "ipFamilies", index)
    if policy is not None:
        found.one_of(policy, POLICIES, "spec", "ipFamilyPolicy")
    if _bad_addresses(found, ips, at):
        return
    if len(ips) > 1 and len({ip_address(ip).version for ip in ips}) == 1:
        found.add(rules.invalid(_listed(ips), "may specify no more than one IP for each IP family"), "spec", "clusterIPs")
    if not headless(spec):
        for index, (ip, family) in enumerate(zip(ips, families, strict=False)):
            if family in FAMILIES and f"IPv{ip_address(ip).version}" != family:
                message = rules.invalid(ip, f"expected an {family} value as indicated by ipFamilies[{index}]")
                found.add(message, "spec", "clusterIPs", index, **at)


def _bad_addresses(found: Faults, ips: list[str], at: dict[str, Path]) -> bool:
    before = len(found)
    for index, ip in enumerate(ips):
        if index == 0 and ip == "None":
            only = rules.invalid(_listed(ips), "'None' must be the first and only value") if len(ips) > 1 else ""
            found.add(only, "spec", "clusterIPs")
        else:
            found.attempt(rules.address, ip, "spec", "clusterIPs", index, **at)
    bad = len(found) > before
    found.add(rules.invalid(_listed(ips), "may only hold up to 2 values") if len(ips) > 2 else "", "spec", "clusterIPs")
    return bad


def _listed(values: list[str]) -> str:
    return f"[{', '.join(values)}]"


def _single_stack(found: Faults, spec: Data) -> None:
    without = "RequireDualStack" if headless(spec) and not spec.get("selector") else "SingleStack"
    if spec.get("ipFamilyPolicy", without) == "SingleStack":
        for field, several in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            message = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            found.add(rules.invalid("SingleStack", message) if len(spec.get(field, ())) == 2 else "", "spec", "ipFamilyPolicy")


def _node_ports(found: Faults, spec: Data) -> None:
    """Node ports that are asked for: in the range, and not twice, save for the same port under several protocols."""
    taken: dict[int, set[int]] = {}
    for index, port in enumerate(spec.get("ports", ())):
        number = int(port.get("nodePort", 0))
        if not number or found:
            continue
        first, last = rules.NODE_PORT_RANGE[0], rules.NODE_PORT_RANGE[-1]
        message = f"invalid value {number}: provided port is not in the valid range: the range of valid ports is {first}-{last}"
        if found.add("" if number in rules.NODE_PORT_RANGE else message, "spec", "ports", index, "nodePort"):
            return
        clash = number in taken and port.get("port", 0) not in taken[number]
        found.add(f"invalid value {number}: provided port is already allocated" if clash else "", "spec", "ports", index, "nodePort")
        taken.setdefault(number, set()).add(port.get("port", 0))


def _validation(data: Data, spec: Data) -> Faults:
    """Everything else, in the order of the API server's ValidateService."""
    found, kind = Faults(), spec["type"]
    metadata(found, data["metadata"], rules.service_name)
    annotations = data["metadata"].get("annotations", {})
    _topology(found, annotations)
    ports = spec.get("ports", [])
    found.add("" if ports or headless(spec) or kind == "ExternalName" else "required value", "spec", "ports")
    _by_type(found, spec)
    names: set[str] = set()
    for index, port in enumerate(ports):
        _port(found, port, len(ports) > 1, names, ("spec", "ports", index))
    labels(found, spec.get("selector", {}), "spec", "selector")
    _affinity(found, spec)
    for index, text in enumerate(spec.get("externalIPs", ())):
        ip = found.attempt(rules.address, text, "spec", "externalIPs", index)
        found.add(rules.special_address(ip) if ip else "", "spec", "externalIPs", index)
    found.one_of(kind, TYPES, "spec", "type")
    _duplicate_ports(found, ports, kind)
    _source_ranges(found, spec, annotations)
    _balancer(found, spec)
    _traffic(found, spec)
    return found


def _topology(found: Faults, annotations: Data) -> None:
    mode, hints = annotations.get(_MODE_ANNOTATION), annotations.get(_HINTS_ANNOTATION)
    if mode is not None and hints is not None and mode != hints:
        message = rules.invalid(mode, f"must match annotations[{_HINTS_ANNOTATION}] when both are specified")
        found.add(message, "metadata", "annotations", _MODE_ANNOTATION)


def _by_type(found: Faults, spec: Data) -> None:
    kind = spec["type"]
    if kind in ("LoadBalancer", "NodePort") and headless(spec):
        message = f"may not be set to 'None' for {kind} services"
        found.add(rules.invalid("None", message), "spec", "clusterIPs", 0, **_where(spec))
    if kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            where = _where(spec) if field == "clusterIPs" else {}
            found.add("forbidden: may not be set for ExternalName services" if field in spec else "", "spec", field, **where)
        name = spec.get("externalName", "").removesuffix(".")
        found.add(rules.dns_subdomain(name) if name else "required value", "spec", "externalName")


def _port(found: Faults, port: Data, needs_name: bool, names: set[str], path: Path) -> None:
    name, number, target = port.get("name", ""), port.get("port", 0), port["targetPort"]
    if name:
        found.add(rules.dns_label(name), *path, "name")
        found.add(f"duplicate value {literal(name)}" if name in names else "", *path, "name")
        names.add(name)
    else:
        found.add("required value: with several ports, each has a name" if needs_name else "", *path, "name")
    missing = "required value: must be between 1 and 65535, inclusive" if "port" not in port else ""
    found.add(missing or rules.port_number(number), *path, "port")
    found.one_of(port["protocol"], PROTOCOLS, *path, "protocol")
    found.add(rules.port_name(target) if isinstance(target, str) else rules.port_number(target), *path, "targetPort")
    found.add(rules.qualified_name(port["appProtocol"]) if "appProtocol" in port else "", *path, "appProtocol")


def _affinity(found: Faults, spec: Data) -> None:
    found.one_of(spec["sessionAffinity"], ("ClientIP", "None"), "spec", "sessionAffinity")
    if spec["sessionAffinity"] == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        message = f"invalid value {seconds}: must be greater than 0 and at most 86400"
        path = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        found.add("" if 0 < seconds <= 86400 else message, *path)


def _duplicate_ports(found: Faults, ports: list[Data], kind: str) -> None:
    if kind == "ClusterIP":
        for index, port in enumerate(ports):
            message = "forbidden: may not be used when type is 'ClusterIP'"
            found.add(message if port.get("nodePort") else "", "spec", "ports", index, "nodePort")
    seen: set[tuple[str, str, Any]] = set()
    for field in ("nodePort", "port"):
        for index, port in enumerate(ports):
            number = port.get(field, 0)
            key = (field, port["protocol"], number)
            if key in seen and field == "nodePort":
                found.add(f"duplicate value {number}", "spec", "ports", index, "nodePort")
            elif key in seen:
                found.add(f"duplicate value: port {number}/{port['protocol']} stands twice", "spec", "ports", index)
            seen |= {key} if number or field == "port" else set()


def _source_ranges(found: Faults, spec: Data, annotations: Data) -> None:
    """``loadBalancerSourceRanges``, which the API server spells with a capital in errors, or the older annotation."""
    forbidden = "forbidden: may only be used when type is 'LoadBalancer'" if spec["type"] != "LoadBalancer" else ""
    ranges, real = spec.get("loadBalancerSourceRanges"), ("spec", "loadBalancerSourceRanges")
    if ranges:
        found.add(forbidden, "spec", "LoadBalancerSourceRanges", at=real)
        for index, text in enumerate(ranges):
            found.attempt(rules.network, text.strip(), "spec", "LoadBalancerSourceRanges", index, at=(*real, index))
    elif _RANGES_ANNOTATION in annotations:
        path = ("metadata", "annotations", _RANGES_ANNOTATION)
        found.add(forbidden, *path)
        for text in filter(None, annotations[_RANGES_ANNOTATION].strip().split(",")):
            found.attempt(rules.network, text.strip(), *path)


def _balancer(found: Faults, spec: Data) -> None:
    forbidden = "forbidden: may only be used when type is 'LoadBalancer'" if spec["type"] != "LoadBalancer" else ""
    found.add(forbidden if "allocateLoadBalancerNodePorts" in spec else "", "spec", "allocateLoadBalancerNodePorts")
    if "loadBalancerClass" in spec:
        found.add(forbidden or rules.qualified_name(spec["loadBalancerClass"]), "spec", "loadBalancerClass")


def _traffic(found: Faults, spec: Data) -> None:
    policy = spec.get("externalTrafficPolicy", "")
    if external(spec):
        found.one_of(policy, ("Cluster", "Local"), "spec", "externalTrafficPolicy")
    elif policy:
        found.add(rules.invalid(policy, "may only be set for externally-accessible services"), "spec", "externalTrafficPolicy")
    port = spec.get("healthCheckNodePort", 0)
    checked = spec["type"] == "LoadBalancer" and policy == "Local"
    message = f"invalid value {port}: may only be set when type is 'LoadBalancer' and externalTrafficPolicy is 'Local'"
    found.add(message if port and not checked else "", "spec", "healthCheckNodePort")
    if "internalTrafficPolicy" in spec:
        found.one_of(spec["internalTrafficPolicy"], ("Cluster", "Local"), "spec", "internalTrafficPolicy")
    if "trafficDistribution" in spec:
        found.one_of(spec["trafficDistribution"], DISTRIBUTIONS, "spec", "trafficDistribution")
