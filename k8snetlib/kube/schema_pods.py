"""Checked data to Pods: metadata, containers, and what a Pod says about its network, its names and where it may run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from . import schema_rules as rules
from .objects import Container, ContainerPort, HostAlias, Location, ObjectMeta, OwnerReference, Pod, PodDNSConfig
from .schema import Fault, check, literal, unsupported_value
from .schema_kinds import CLUSTER_SCOPED, OWN_NAMES
from .schema_places import Path
from .schema_scheduling import scheduling
from .selectors import EMPTY, FrozenDict, Labels

Data = dict[str, Any]
HostPorts = set[tuple[int, str, str]]

_NAME_RULES = {"Service": rules.service_name, "Namespace": rules.dns_label}

# Fields without further rules, as most manifests of a lesson have them
_POD = ("spec",)
_PLAIN_METADATA = frozenset(["labels", "name", "namespace"])
_PLAIN = frozenset(["containers", "hostNetwork", "hostname", "initContainers", "nodeName", "nodeSelector", "restartPolicy", "subdomain"])
_PLAIN_CONTAINER = frozenset(["args", "command", "image", "imagePullPolicy", "name", "ports", "restartPolicy"])

# Settings of a Pod's namespace that change no packet's path: buffers, backlogs, timers, and which ports a process may take
_HARMLESS_SYSCTLS = (
    "net.core.",
    "net.ipv4.tcp_",
    "net.ipv4.udp_",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
)


def labels(data: Data, *path: str | int) -> Labels:
    """A map of labels, its keys and values checked."""
    if not data:
        return EMPTY
    for key, value in data.items():
        problem = rules.qualified_name(key) or rules.label_value(value)
        if problem:
            raise Fault(problem, (*path, key))
    return FrozenDict(data)


def metadata(data: Data, kind: str, path: Path = ("metadata",), *, named: bool = True) -> ObjectMeta:
    """``metadata`` of an object, or of a template, which has no name."""
    if named:
        name = data.get("name", "")
        problem = _NAME_RULES.get(kind, rules.dns_subdomain)(name) if name else "required value: name or generateName"
        if problem:
            raise Fault(problem, (*path, "name"))
    namespace = data.get("namespace", "")
    if kind in CLUSTER_SCOPED:
        problem = "not allowed: this kind belongs to no namespace" if namespace else ""
    else:
        namespace = namespace or "default"
        problem = rules.dns_label(namespace)
    if problem:
        raise Fault(problem, (*path, "namespace"))
    for key in data.get("annotations", ()):
        rules.require(rules.qualified_name(key.lower()), *path, "annotations", key)
    if not data.keys() <= _PLAIN_METADATA:
        from .schema_metadata_rules import check_metadata

        check_metadata(data, path)
    return ObjectMeta(
        name=data["name"] if named else "",
        namespace=namespace,
        labels=labels(data.get("labels", EMPTY), *path, "labels"),
        annotations=FrozenDict(data["annotations"]) if data.get("annotations") else EMPTY,
        owner=_controller(data.get("ownerReferences", ())),
        uid=data.get("uid", ""),
        creation_timestamp=data.get("creationTimestamp", ""),
        deletion_timestamp=data.get("deletionTimestamp", ""),
    )


def skipped_metadata(data: Data, kind: str, *, builtin: bool) -> None:
    """The mistakes of ``metadata`` that all kinds share, for an object of which no more is read. Fault for the first."""
    try:
        check("ObjectMeta", data)
    except Fault as fault:
        raise fault.under("metadata") from None
    name = data.get("name", "")
    if not name and not data.get("generateName") and not kind.endswith("Review"):
        raise Fault("required value: name or generateName", ("metadata", "name"))
    strict = builtin and kind not in OWN_NAMES
    rules.require((rules.dns_subdomain if strict else rules.path_segment)(name) if name else "", "metadata", "name")
    rules.require(rules.dns_label(data["namespace"]) if data.get("namespace") else "", "metadata", "namespace")
    labels(data.get("labels", EMPTY), "metadata", "labels")
    for key in data.get("annotations", ()):
        rules.require(rules.qualified_name(key.lower()), "metadata", "annotations", key)
    if not data.keys() <= _PLAIN_METADATA:
        from .schema_metadata_rules import check_metadata

        check_metadata(data, ("metadata",))


def _controller(references: Iterable[Data]) -> OwnerReference | None:
    """The one owner with ``controller: true``."""
    if not references:
        return None
    return next((OwnerReference(each["kind"], each["name"], each["uid"]) for each in references if each.get("controller")), None)


def pod(data: Data, meta: ObjectMeta, location: Location, root: Path = (), claims: Collection[str] = ()) -> Pod:
    """A Pod, or the Pod of a template, from data whose fields and types are checked. ``root`` is its place in its object, ``claims`` are
    volumes that it gets besides its own."""
    rules.require("" if "spec" in data else "required value", *root, "spec")
    spec, status, path = data["spec"], data.get("status", EMPTY), (*root, "spec")
    host_network = spec.get("hostNetwork", False)
    if spec.get("os", EMPTY).get("name") == "windows":
        raise Fault("Pods for Windows are not modelled", (*path, "os", "name"), unsupported=True)
    _check_sysctls(spec.get("securityContext", EMPTY).get("sysctls", ()), path)
    held: HostPorts = set()
    containers = _containers(spec, path, host_network, held)
    if not (
        spec.keys() <= _PLAIN and all(each.keys() <= _PLAIN_CONTAINER for each in (*spec["containers"], *spec.get("initContainers", ())))
    ):
        from .schema_pod_rules import check_pod

        check_pod(spec, path, claims)
    return Pod(
        metadata=meta,
        containers=containers,
        node_name=spec.get("nodeName", ""),
        pod_ips=_pod_ips(status),
        phase=status.get("phase", ""),
        conditions=FrozenDict({each.get("type", ""): each.get("status", "") for each in status.get("conditions", ())}),
        host_network=host_network,
        host_ports=frozenset(held),
        readiness_gates=tuple(each["conditionType"] for each in spec.get("readinessGates", ())),
        location=location,
        **scheduling(spec, meta.labels, path),
        **_names(spec, path),
    )


def _pod_ips(status: Data) -> tuple[rules.IPAddress, ...]:
    ips = [(each.get("ip", ""), ("status", "podIPs", index, "ip")) for index, each in enumerate(status.get("podIPs", ()))]
    if not ips and status.get("podIP"):
        ips = [(status["podIP"], ("status", "podIP"))]
    return tuple(rules.address(text, *place) for text, place in ips)


def _check_sysctls(sysctls: Iterable[Data], path: Path) -> None:
    for index, each in enumerate(sysctls):
        name = each["name"].replace("/", ".")
        if name.startswith("net.") and not name.startswith(_HARMLESS_SYSCTLS):
            message = f"the sysctl {name} changes how the Pod's kernel network works, which this model does not honour"
            raise Fault(message, (*path, "securityContext", "sysctls", index, "name"), unsupported=True)


# --- containers


def _containers(spec: Data, path: Path, host_network: bool, held: HostPorts) -> tuple[Container, ...]:
    rules.require("" if spec["containers"] else "required value", *path, "containers")
    out: list[Container] = []
    names: set[str] = set()
    for field, kind in (("containers", "container"), ("initContainers", "init"), ("ephemeralContainers", "ephemeral")):
        for index, data in enumerate(spec.get(field, ())):
            place = (*path, field, index)
            name = data["name"]
            problem = rules.dns_label(name) or (f"duplicate value {literal(name)}" if name in names else "")
            if problem:
                raise Fault(problem, (*place, "name"))
            if not data.get("image") and kind != "ephemeral":
                raise Fault("required value", (*place, "image"))
            if path == _POD and data.get("image", "").strip() != data.get("image", ""):
                raise Fault(rules.invalid(data["image"], "must not have leading or trailing whitespace"), (*place, "image"))
            names.add(name)
            its_kind = "sidecar" if kind == "init" and data.get("restartPolicy") == "Always" else kind
            taken: HostPorts = held if kind == "container" else set()  # an init container's are free when the next one starts
            ports = _ports(data["ports"], (*place, "ports"), host_network, taken) if "ports" in data else ()
            if its_kind == "sidecar":
                held |= taken
            out.append(Container(name, data.get("image", ""), ports, its_kind))
    return tuple(out)


def _ports(ports: Iterable[Data], path: Path, host_network: bool, taken: HostPorts) -> tuple[ContainerPort, ...]:
    out: list[ContainerPort] = []
    names: set[str] = set()
    for index, data in enumerate(ports):
        place = (*path, index)
        number, name = int(data["containerPort"]), data.get("name", "")
        protocol = data.get("protocol") or "TCP"
        if name:
            problem = rules.port_name(name) or (f"duplicate value {literal(name)}" if name in names else "")
            if problem:
                raise Fault(problem, (*place, "name"))
            names.add(name)
        rules.require(rules.port_number(number), *place, "containerPort")
        host_port = 0
        if host_network or "hostPort" in data:
            from .portmap import host_port_of

            host_port = host_port_of(data, place, host_network, taken)
        out.append(ContainerPort(number, name, protocol, host_port, data.get("hostIP", "")))
    return tuple(out)


# --- names


def _names(spec: Data, path: Path) -> dict[str, Any]:
    """The fields of a Pod from which its host name, its DNS records and its resolver follow."""
    for field in ("hostname", "subdomain"):
        rules.require(rules.dns_label(spec[field]) if spec.get(field) else "", *path, field)
    return {
        "hostname": spec.get("hostname", ""),
        "subdomain": spec.get("subdomain", ""),
        "dns_policy": spec.get("dnsPolicy") or "ClusterFirst",
        "dns_config": _dns_config(spec, path),
        "host_aliases": tuple(_host_alias(each, (*path, "hostAliases", index)) for index, each in enumerate(spec.get("hostAliases", ()))),
    }


def _dns_config(spec: Data, path: Path) -> PodDNSConfig | None:
    config, path = spec.get("dnsConfig"), (*path, "dnsConfig")
    servers = config.get("nameservers", ()) if config else ()
    if spec.get("dnsPolicy") == "None" and not servers:
        raise Fault("required value: at least one DNS name server when dnsPolicy is None", (*path, "nameservers"))
    if not config:
        return None
    rules.require("must not have more than 3 name servers" if len(servers) > 3 else "", *path, "nameservers")
    rules.require("must not have more than 32 search paths" if len(config.get("searches", ())) > 32 else "", *path, "searches")
    for index, server in enumerate(servers):
        rules.address(server, *path, "nameservers", index)
    options = tuple((each.get("name", ""), each.get("value", "")) for each in config.get("options", ()))
    return PodDNSConfig(tuple(servers), tuple(config.get("searches", ())), options)


def _host_alias(data: Data, path: Path) -> HostAlias:
    ip = rules.address(data["ip"], *path, "ip")
    for index, name in enumerate(data.get("hostnames", ())):
        rules.require(rules.dns_subdomain(name), *path, "hostnames", index)
    return HostAlias(str(ip), tuple(data.get("hostnames", ())))


def check_restart_policy(spec: Data, allowed: tuple[str, ...], path: Path) -> None:
    """A workload's Pods must start again (Always), or for a Job must not."""
    policy = spec.get("restartPolicy") or "Always"
    if "activeDeadlineSeconds" in spec and "Always" in allowed:
        raise Fault("forbidden: only a Job's Pods have a deadline", (*path, "activeDeadlineSeconds"))
    if spec.get("ephemeralContainers"):
        raise Fault("forbidden: ephemeral containers are not allowed in a template", (*path, "ephemeralContainers"))
    if policy not in allowed and "Always" not in allowed:
        default = "" if spec.get("restartPolicy") else " (the default is Always, which a Job cannot have)"
        raise Fault(f"required value: valid values: {', '.join(map(literal, allowed))}{default}", (*path, "restartPolicy"))
    if policy not in allowed:
        fault = unsupported_value(policy, allowed)
        fault.path = (*path, "restartPolicy")
        raise fault
