"""Changed clusters, as after ``kubectl patch``: one object gets other fields, and everything that follows from it is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..value import replace
from .agents import NO_PROXY
from .objects import Pod, Service
from .selectors import FrozenDict
from .targets import find_service
from .workloads import find_pod

if TYPE_CHECKING:
    from .cluster import Cluster

TEXT = {
    "kind": "{reference!r}: what can be patched is svc/NAME or pod/NAME",
    "field": "{reference}: no field {field!r} that could be patched here{hint}: there are {known}",
    "label": "{reference} {field}: {why}",
    "port": "{reference} target_port: {why}",
    "mapping": "{reference} {field}: a mapping of labels such as {{'app': 'api'}}, not {given!r}",
    "one-port": "{reference}: the Service has {count} ports; give all of them as ports=…",
}
KEPT = ("metadata", "location", "kind")
POD_FIELDS = ("labels", "ready", "terminating", "hostname", "subdomain")
DELETED = "2026-11-01T12:00:00Z"
"""A deletion timestamp; which moment it is has no bearing on the network."""


def patched(cluster: Cluster, reference: str, namespace: str = "", **changes: Any) -> Cluster:
    """The cluster with other fields in one Service or Pod: ``patched(cluster, "svc/api", selector={"app": "apo"})``.

    A Service's fields are those of :class:`~k8snetlib.kube.objects.Service`, and ``target_port`` for the target of its only port. A Pod's
    are ``labels``, ``ready`` (the condition Ready), ``terminating`` (asked to stop, and still there), ``hostname`` and ``subdomain``.
    ModelError for anything else, and for labels and ports that the API server would refuse.
    """
    kind, _, name = reference.partition("/")
    if kind in ("svc", "service", "services") and name:
        service = find_service(cluster, reference, name, namespace)
        source = next(each for each in cluster.services if each.key == service.key)
        new = _service(source, reference, changes)
        made = replace(cluster, services=tuple(new if each is source else each for each in cluster.services))
    elif kind in ("pod", "pods", "po") and name:
        pod = find_pod(cluster.pods, cluster.workloads, name, namespace or None)
        new = _pod(pod, reference, changes)
        boxes = {key: replace(box, pod=new) if key == pod.key else box for key, box in cluster.sandboxes.items()}
        made = replace(cluster, pods=tuple(new if each is pod else each for each in cluster.pods), sandboxes=boxes)
    else:
        raise ModelError(TEXT["kind"].format(reference=reference))
    if made.proxy == NO_PROXY:
        return made
    old = set(cluster.control.notes)
    return replace(made, notes=(*(note for note in made.notes if note not in old), *made.control.notes))


def _service(service: Service, reference: str, changes: Mapping[str, Any]) -> Service:
    changes = dict(changes)
    known = [field.name for field in fields(Service) if field.name not in KEPT]
    _check_names(reference, changes, [*known, "target_port"])
    if "target_port" in changes:
        target = changes.pop("target_port")
        if len(service.ports) != 1:
            raise ModelError(TEXT["one-port"].format(reference=reference, count=len(service.ports)))
        for why in _port_faults(target):
            raise ModelError(TEXT["port"].format(reference=reference, why=why))
        changes["ports"] = (replace(service.ports[0], target_port=target),)
    if "selector" in changes:
        changes["selector"] = _labels(reference, "selector", changes["selector"])
    return replace(service, **changes)


def _pod(pod: Pod, reference: str, changes: Mapping[str, Any]) -> Pod:
    _check_names(reference, changes, POD_FIELDS)
    meta, conditions = pod.metadata, dict(pod.conditions)
    if "labels" in changes:
        meta = replace(meta, labels=_labels(reference, "labels", changes["labels"]))
    if "terminating" in changes:
        meta = replace(meta, deletion_timestamp=DELETED if changes["terminating"] else "")
    if "ready" in changes:
        conditions["Ready"] = "True" if changes["ready"] else "False"
    rest = {name: changes[name] for name in ("hostname", "subdomain") if name in changes}
    return replace(pod, metadata=meta, conditions=FrozenDict(conditions), phase=pod.phase or ("Running" if conditions else ""), **rest)


def _check_names(reference: str, changes: Mapping[str, Any], known: list[str] | tuple[str, ...]) -> None:
    for name in changes:
        if name not in known:
            from .schema import closest

            meant = closest(name, known)
            hint = f" (did you mean {meant!r}?)" if meant else ""
            raise ModelError(TEXT["field"].format(reference=reference, field=name, hint=hint, known=", ".join(known)))


def _labels(reference: str, field: str, given: Any) -> FrozenDict:
    if not isinstance(given, Mapping):
        raise ModelError(TEXT["mapping"].format(reference=reference, field=field, given=given))
    for why in label_faults(given):
        raise ModelError(TEXT["label"].format(reference=reference, field=field, why=why))
    return FrozenDict(given)


def label_faults(labels: Mapping[Any, Any]) -> Iterator[str]:
    """What the API server has against these labels."""
    from .schema_rules import label_value, qualified_name

    for key, text in labels.items():
        yield from filter(None, (qualified_name(str(key)), label_value(str(text))))


def _port_faults(target: Any) -> Iterator[str]:
    from .schema_rules import port_name, port_number

    if isinstance(target, str):
        yield from filter(None, [port_name(target)])
    elif isinstance(target, int) and not isinstance(target, bool):
        yield from filter(None, [port_number(target)])
    else:
        yield f"{target!r} is neither a number nor a name"
