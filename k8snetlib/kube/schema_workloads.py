"""Checked data to Nodes, Namespaces and the kinds that make Pods."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..value import replace
from . import schema_rules as rules
from .objects import (
    DaemonSet,
    Deployment,
    IPAddress,
    IPNetwork,
    Job,
    Location,
    Namespace,
    Node,
    ObjectMeta,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    node_labels,
)
from .schema import Fault
from .schema_pods import check_restart_policy, metadata, pod
from .schema_scheduling import label_selector, taints
from .schema_services import endpoint_slice, endpoints, service
from .selectors import EMPTY, EVERYTHING, FrozenDict, LabelSelector

Data = dict[str, Any]
_TEMPLATE = ("spec", "template")
_PLAIN = frozenset(["completions", "parallelism", "replicas", "selector", "serviceName", "template"])  # fields without further rules


def node(data: Data, meta: ObjectMeta, location: Location) -> Node:
    """A Node; its addresses come from its status, where the kubelet puts them."""
    spec, status = data.get("spec", EMPTY), data.get("status", EMPTY)
    if meta.labels.get("kubernetes.io/os") == "windows":
        raise Fault("Windows nodes are not modelled", ("metadata", "labels", "kubernetes.io/os"), unsupported=True)
    slots = status.get("allocatable", EMPTY).get("pods", status.get("capacity", EMPTY).get("pods"))
    return Node(
        replace(meta, labels=node_labels(meta.name, meta.labels)),
        addresses=_addresses(status, "InternalIP"),
        pod_cidrs=_pod_cidrs(spec),
        taints=taints(spec.get("taints", ()), ("spec", "taints")),
        unschedulable=spec.get("unschedulable", False),
        external_addresses=_addresses(status, "ExternalIP"),
        max_pods=int(slots) if str(slots).isdigit() else None,
        location=location,
    )


def _addresses(status: Data, kind: str) -> tuple[IPAddress, ...]:
    return tuple(
        rules.address(each.get("address", ""), "status", "addresses", index, "address")
        for index, each in enumerate(status.get("addresses", ()))
        if each.get("type") == kind
    )


def _pod_cidrs(spec: Data) -> tuple[IPNetwork, ...]:
    single, several = spec.get("podCIDR", ""), spec.get("podCIDRs") or []
    if single and several and several[0] != single:
        raise Fault(rules.invalid(several[0], "first value must match podCIDR"), ("spec", "podCIDRs", 0))
    if several:
        networks = tuple(rules.network(text, "spec", "podCIDRs", index) for index, text in enumerate(several))
        if len({each.version for each in networks}) < len(networks):
            raise Fault("may hold no more than one value of each address family", ("spec", "podCIDRs"))
        return networks
    return (rules.network(single, "spec", "podCIDR"),) if single else ()


def namespace(data: Data, meta: ObjectMeta, location: Location) -> Namespace:
    """A Namespace, with the name label that the API server adds (KEP-2161)."""
    named = FrozenDict(meta.labels | {"kubernetes.io/metadata.name": meta.name})
    return Namespace(replace(meta, labels=named), location)


# --- workloads


def _count(spec: Data, field: str, default: int, *path: str) -> int:
    value = int(spec.get(field, default))
    rules.require("" if value >= 0 else f"invalid value {value}: must be greater than or equal to 0", *path, field)
    return value


def _template(spec: Data, location: Location, meta: ObjectMeta, kind: str, restart: tuple[str, ...] = ("Always",)) -> Pod:
    """The Pod that a workload makes, still without a name, in the workload's namespace."""
    rules.require("" if "template" in spec else "required value", *_TEMPLATE)
    template = spec["template"]
    its_meta = metadata({**template.get("metadata", EMPTY), "namespace": meta.namespace}, "Pod", (*_TEMPLATE, "metadata"), named=False)
    if not spec.keys() <= _PLAIN or (kind == "Job" and "selector" in spec):
        from .schema_workload_rules import check_workload

        check_workload(spec, kind)
    claims = [each.get("metadata", EMPTY).get("name", "") for each in spec.get("volumeClaimTemplates", ())]
    made = pod({"spec": template["spec"]} if "spec" in template else {}, its_meta, _inside(location, template), _TEMPLATE, claims)
    check_restart_policy(template["spec"], restart, (*_TEMPLATE, "spec"))
    return made


def _inside(location: Location, template: Data) -> Location:
    return Location(location.file, getattr(template, "line", location.line), "spec.template", location.document)


def _selector(spec: Data, template: Pod, kind: str) -> LabelSelector:
    """The selector, which must match the template's labels: otherwise the controller would not see its own Pods."""
    selector = label_selector(spec["selector"], ("spec", "selector"))
    if not selector:
        raise Fault(f"invalid value: empty selector is invalid for {kind}", ("spec", "selector"))
    _check_match(selector, template)
    return selector


def _check_match(selector: LabelSelector, template: Pod) -> None:
    if not selector.matches(template.labels):
        message = f"invalid value {json.dumps(dict(template.labels))}: the selector {selector} does not match the template's labels"
        raise Fault(message, (*_TEMPLATE, "metadata", "labels"))


def deployment(data: Data, meta: ObjectMeta, location: Location) -> Deployment:
    spec = data["spec"]
    template = _template(spec, location, meta, "Deployment")
    return Deployment(
        meta, template, _selector(spec, template, "deployment"), _count(spec, "replicas", 1, "spec"), location, spec.get("paused", False)
    )


def replica_set(data: Data, meta: ObjectMeta, location: Location) -> ReplicaSet:
    spec = data["spec"]
    template = _template(spec, location, meta, "ReplicaSet")
    return ReplicaSet(meta, template, _selector(spec, template, "replicaset"), _count(spec, "replicas", 1, "spec"), location)


def replication_controller(data: Data, meta: ObjectMeta, location: Location) -> ReplicationController:
    """A ReplicationController; a selector that is left out is the template's labels."""
    spec = data["spec"]
    template = _template(spec, location, meta, "ReplicationController")
    selector = label_selector({"matchLabels": spec.get("selector") or template.labels}, ("spec", "selector"))
    rules.require("" if selector else "required value", "spec", "selector")
    _check_match(selector, template)
    return ReplicationController(meta, template, selector, _count(spec, "replicas", 1, "spec"), location)


def stateful_set(data: Data, meta: ObjectMeta, location: Location) -> StatefulSet:
    spec = data["spec"]
    template = _template(spec, location, meta, "StatefulSet")
    start = _count(spec.get("ordinals", EMPTY), "start", 0, "spec", "ordinals")
    selector, replicas = _selector(spec, template, "statefulset"), _count(spec, "replicas", 1, "spec")
    return StatefulSet(meta, template, selector, replicas, location, spec.get("serviceName", ""), start)


def daemon_set(data: Data, meta: ObjectMeta, location: Location) -> DaemonSet:
    spec = data["spec"]
    template = _template(spec, location, meta, "DaemonSet")
    return DaemonSet(meta, template, _selector(spec, template, "daemonset"), 0, location)


def job(data: Data, meta: ObjectMeta, location: Location) -> Job:
    """A Job; its selector is made by the API server, so a manifest rarely has one."""
    spec, status = data["spec"], data.get("status", EMPTY)
    template = _template(spec, location, meta, "Job", ("Never", "OnFailure"))
    mode = spec.get("completionMode") or "NonIndexed"
    if mode == "Indexed" and "completions" not in spec:
        raise Fault("required value: when completion mode is Indexed", ("spec", "completions"))
    parallelism = _count(spec, "parallelism", 1, "spec")
    left = _count(spec, "completions", parallelism, "spec") - (int(status.get("succeeded", 0)) if "completions" in spec else 0)
    running = max(0, min(parallelism, left))
    over = any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in status.get("conditions", ()))
    selector = label_selector(spec["selector"], ("spec", "selector")) if spec.get("selector") else EVERYTHING
    return Job(meta, template, selector, 0 if over or spec.get("suspend") else running, location, mode)


MAKERS: dict[str, Callable[[Data, ObjectMeta, Location], Any]] = {
    "Pod": pod,
    "Service": service,
    "EndpointSlice": endpoint_slice,
    "Endpoints": endpoints,
    "Node": node,
    "Namespace": namespace,
    "Deployment": deployment,
    "ReplicaSet": replica_set,
    "ReplicationController": replication_controller,
    "StatefulSet": stateful_set,
    "DaemonSet": daemon_set,
    "Job": job,
}
"""kind -> the function that makes its object from checked data, metadata and location."""
