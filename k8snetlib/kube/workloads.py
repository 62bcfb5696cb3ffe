"""From Deployments and their kin to Pods, as the controllers do it, with names that stay the same from run to run.

The Pods of a Deployment, ReplicaSet or Job are called NAME-1, NAME-2…: a real cluster appends a hash of the template and five random
characters (``api-5d9c7b8f6-x2k4q``), which no lesson could print twice. For the same reason there is no ReplicaSet between a Deployment
and its Pods here, and no ``pod-template-hash`` label. StatefulSet Pods have their real names NAME-0, NAME-1…, those of an Indexed Job the
index that their host name has, and a DaemonSet's Pod is NAME-NODE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

from ..errors import ModelError
from ..value import replace
from .manifests import error_at
from .objects import (
    DaemonSet,
    Deployment,
    IPAddress,
    Job,
    Node,
    ObjectMeta,
    OwnerReference,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    Workload,
)
from .scheduler import why_not
from .selectors import Affinity, FrozenDict, NodeSelectorRequirement, NodeSelectorTerm, Toleration

MAX_PODS = 150_000
"""The largest cluster that Kubernetes says it supports; more Pods in a manifest are a slip of the keyboard."""
Key = tuple[str, str, str]
_SHORT_NAMES = ["pod", "pods", "po", "deploy", "deployment", "sts", "statefulset", "ds", "daemonset", "rs", "replicaset", "rc", "job"]


def expand(objects: Iterable[Any], nodes: Sequence[Node]) -> tuple[Pod, ...]:
    """All Pods that the Pods and workloads among ``objects`` come to on these Nodes, in the order of ``objects``.

    Pods that are already there count towards their workload's replicas, so the output of ``kubectl get all -o yaml`` does not double. Bare
    Pods that a ReplicaSet's or DaemonSet's selector matches are adopted, as in a cluster. Raises ManifestError if a Pod's name comes out
    too long, or twice, or if there are more than 150,000.
    """
    objects = list(objects)
    family = _Family(objects)
    out: dict[tuple[str, str], Pod] = {}
    for each in objects:
        if isinstance(each, Pod):
            out[each.namespace, each.name] = each
        elif isinstance(each, Workload):
            if len(out) + each.replicas > MAX_PODS:
                field = "spec.parallelism" if isinstance(each, Job) else "spec.replicas"
                raise error_at(each, field, f"more than {MAX_PODS:,} Pods in all: no cluster is as large as that")
            for pod in _made_by(each, family, nodes):
                _check_name(pod, each, out, family)
                out[pod.namespace, pod.name] = pod
    return tuple(out.values())


_STARTED = dict.fromkeys(("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady"), "True")


def start(pod: Pod, node_name: str, pod_ips: Iterable[IPAddress]) -> Pod:
    """The Pod as the kubelet reports it when its containers run and pass their probes.

    A Pod with a status of its own keeps it. A readiness gate stays unmet, since nothing in the model would set its condition (KEP-580).
    """
    pod_ips = tuple(pod_ips)
    if pod.phase:
        return replace(pod, node_name=node_name, pod_ips=pod_ips)
    met = all(pod.conditions.get(gate) == "True" for gate in pod.readiness_gates)
    conditions = FrozenDict({**pod.conditions, **_STARTED, "Ready": "True" if met else "False"})
    return replace(pod, node_name=node_name, pod_ips=pod_ips, phase="Running", conditions=conditions)


def find_pod(pods: Iterable[Pod], workloads: Iterable[Workload], name: str, namespace: str | None = None) -> Pod:
    """The Pod called ``name`` (``web``, ``pod/web``), else the first Pod of the workload of that name (``deploy/web``).

    Without a namespace, the only one in which the name occurs. Raises ModelError, naming near misses and other namespaces.
    """
    bare = name.rpartition("/")[2] if name.partition("/")[0] in _SHORT_NAMES else name
    pods, workloads = tuple(pods), tuple(workloads)
    found = [pod for pod in pods if pod.name == bare]
    if not found:
        family = _Family([*pods, *workloads])
        found = [pod for each in workloads if each.name == bare for pod in islice(family.descendants(each, pods), 1)]
    here = [pod for pod in found if namespace in (None, pod.namespace)]
    spaces = sorted({pod.namespace for pod in (here or found)})
    if here and len(spaces) == 1:
        return here[0]
    where = f" in namespace {namespace}" if namespace else ""
    if found:
        several = f'"{bare}" is in several namespaces, say which: {", ".join(spaces)}'
        raise ModelError(several if here else f'no Pod or workload "{bare}"{where}; there is one in namespace {", ".join(spaces)}')
    empty = next((each for each in workloads if each.name == bare and namespace in (None, each.namespace)), None)
    if empty is not None:
        raise ModelError(f"{empty} has no Pod here: {_why_none(empty)}")
    from .schema import closest  # for errors only, as it is slow to import

    meant = closest(bare, {each.name for each in (*pods, *workloads) if namespace in (None, each.namespace)})
    raise ModelError(f'no Pod or workload "{bare}"{where}' + (f' (did you mean "{meant}"?)' if meant else ""))


def _why_none(workload: Workload) -> str:
    if isinstance(workload, Deployment) and workload.paused:
        return "it is paused"
    if isinstance(workload, DaemonSet):
        return "no node fits its nodeSelector, affinity and tolerations"
    return "it has ended, is suspended, or wants none" if isinstance(workload, Job) else f"its replicas are {workload.replicas}"


# --- who belongs to whom


def _key(workload: Workload) -> Key:
    return workload.namespace, workload.kind, workload.name


def _owner_key(made: Any) -> Key | None:
    return (made.namespace, made.owner.kind, made.owner.name) if made.owner else None


class _Family:
    """Which of the objects were made by which others."""

    def __init__(self, objects: list[Any]) -> None:
        self.workloads = {_key(each): each for each in objects if isinstance(each, Workload)}
        self.parents = {_owner_key(each) for each in objects if isinstance(each, Workload)}
        self.made: dict[Key, list[Pod]] = {}
        self.orphans: dict[str, list[Pod]] = {}
        for pod in objects:
            if isinstance(pod, Pod) and not pod.finished:
                owner = self.nearest(pod)
                if owner:
                    self.made.setdefault(owner, []).append(pod)
                else:
                    self.orphans.setdefault(pod.namespace, []).append(pod)
        self.names = {(each.namespace, each.name) for each in objects if isinstance(each, Pod)}

    def nearest(self, pod: Pod) -> Key | None:
        """The controller of a Pod; its Deployment if the ReplicaSet between them is not among the objects."""
        owner = _owner_key(pod)
        if owner and owner[1] == "ReplicaSet" and owner not in self.workloads:
            deployment = (pod.namespace, "Deployment", owner[2].rpartition("-")[0])
            if deployment in self.workloads and self.workloads[deployment].selector.matches(pod.labels):
                return deployment
        return owner

    def children(self, workload: Workload) -> list[Pod]:
        """The living Pods of a workload, with the bare Pods that it adopts."""
        made = self.made.get(_key(workload), [])
        if not isinstance(workload, ReplicaSet | ReplicationController | DaemonSet):
            return made
        adopted = [pod for pod in self.orphans.get(workload.namespace, ()) if workload.selector.matches(pod.labels)]
        return made + adopted

    def descendants(self, workload: Workload, pods: Iterable[Pod]) -> Iterator[Pod]:
        """Those of ``pods`` that a workload made, itself or through another (Deployment, ReplicaSet, Pod), or has adopted."""
        adopted = {pod.key for pod in self.children(workload)}
        for pod in pods:
            key = self.nearest(pod)
            for _ in range(2):  # no chain of controllers is longer, and a circle would never end
                if key != _key(workload):
                    key = _owner_key(self.workloads[key]) if key in self.workloads else None
            if key == _key(workload) or pod.key in adopted:
                yield pod


def _check_name(pod: Pod, workload: Workload, out: dict[tuple[str, str], Pod], family: _Family) -> None:
    from .schema_rules import dns_subdomain, label_value

    problem = dns_subdomain(pod.name)
    if isinstance(workload, StatefulSet):
        problem = problem or label_value(pod.name)
    if problem:
        raise error_at(workload, "metadata.name", f"its Pod cannot be created: {problem}")
    if (pod.namespace, pod.name) in out or (pod.namespace, pod.name) in family.names:
        raise error_at(workload, "metadata.name", f'its Pod would be called "{pod.name}", and another Pod of namespace {pod.namespace} is')


# --- what each kind makes


def _made_by(workload: Workload, family: _Family, nodes: Sequence[Node]) -> Iterator[Pod]:
    if _key(workload) in family.parents:  # its ReplicaSets or Jobs are among the objects and make the Pods
        return iter(())
    return _MAKERS[type(workload)](workload, family.children(workload), nodes)


def _copy(workload: Workload, name: str, labels: dict[str, str] | None = None, **changes: Any) -> Pod:
    """A Pod from the workload's template."""
    meta = workload.template.metadata
    all_labels = FrozenDict({**meta.labels, **labels}) if labels else meta.labels
    owner = OwnerReference(workload.kind, workload.name, workload.metadata.uid)
    return replace(workload.template, metadata=ObjectMeta(name, workload.namespace, all_labels, meta.annotations, owner), **changes)


def _replicas(workload: Workload, have: list[Pod], nodes: Sequence[Node]) -> Iterator[Pod]:
    if isinstance(workload, Deployment) and workload.paused and not have:  # the controller makes no ReplicaSet until it is resumed
        return
    taken = {pod.name for pod in have}
    names = (name for number in count(1) if (name := f"{workload.name}-{number}") not in taken)
    for name in islice(names, max(0, workload.replicas - len(have))):
        yield _copy(workload, name)


def _stateful(workload: StatefulSet, have: list[Pod], nodes: Sequence[Node]) -> Iterator[Pod]:
    taken = {pod.name for pod in have}
    for ordinal in range(workload.ordinals_start, workload.ordinals_start + workload.replicas):
        name = f"{workload.name}-{ordinal}"
        if name not in taken:
            labels = {"statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(ordinal)}
            yield _copy(workload, name, labels, hostname=name, subdomain=workload.service_name)


def _job(workload: Job, have: list[Pod], nodes: Sequence[Node]) -> Iterator[Pod]:
    labels = {"batch.kubernetes.io/job-name": workload.name, "job-name": workload.name}
    indexed = workload.completion_mode == "Indexed"
    taken = {pod.name for pod in have}
    for number in islice(count(0 if indexed else 1), max(0, workload.replicas - len(have))):
        name = f"{workload.name}-{number}"
        if name in taken:
            continue
        index = {"batch.kubernetes.io/job-completion-index": str(number)} if indexed else {}
        yield _copy(workload, name, labels | index, **({"hostname": name} if indexed else {}))


# What the DaemonSet controller adds to its Pods, so that they run on Nodes that others must leave
_DAEMON_TOLERATIONS = (
    Toleration("node.kubernetes.io/not-ready", "Exists", "", "NoExecute"),
    Toleration("node.kubernetes.io/unreachable", "Exists", "", "NoExecute"),
    Toleration("node.kubernetes.io/disk-pressure", "Exists", "", "NoSchedule"),
    Toleration("node.kubernetes.io/memory-pressure", "Exists", "", "NoSchedule"),
    Toleration("node.kubernetes.io/pid-pressure", "Exists", "", "NoSchedule"),
    Toleration("node.kubernetes.io/unschedulable", "Exists", "", "NoSchedule"),
)
_DAEMON_HOST_TOLERATION = Toleration("node.kubernetes.io/network-unavailable", "Exists", "", "NoSchedule")


def _daemon(workload: DaemonSet, have: list[Pod], nodes: Sequence[Node]) -> Iterator[Pod]:
    """One Pod for each Node that fits, tied to it by an affinity to its name, which the scheduler then honours."""
    template = workload.template
    extra = (*_DAEMON_TOLERATIONS, _DAEMON_HOST_TOLERATION) if template.host_network else _DAEMON_TOLERATIONS
    template = replace(template, tolerations=(*template.tolerations, *extra))
    workload = replace(workload, template=template)
    covered = {pod.node_name or _tied_to(pod) for pod in have}
    affinity = template.affinity or Affinity()
    for node in nodes:
        if node.name not in covered and not why_not(template, node):
            field = (NodeSelectorRequirement("metadata.name", "In", (node.name,)),)
            terms = tuple(replace(term, match_fields=field) for term in affinity.node or (NodeSelectorTerm(),))
            yield _copy(workload, f"{workload.name}-{node.name}", affinity=replace(affinity, node=terms))


def _tied_to(pod: Pod) -> str:
    terms = pod.affinity.node if pod.affinity else None
    return next((each.values[0] for term in terms or () for each in term.match_fields if each.values), "")


_MAKERS: dict[type, Callable[[Any, list[Pod], Sequence[Node]], Iterator[Pod]]] = {
    Deployment: _replicas,
    ReplicaSet: _replicas,
    ReplicationController: _replicas,
    StatefulSet: _stateful,
    DaemonSet: _daemon,
    Job: _job,
}
