"""Objects from manifest text on a cluster that is there, as ``kubectl apply -f -`` brings them, and objects taken away: Services, and those
that route what comes from outside. They are read and checked as the API server does."""

from __future__ import annotations

from ..errors import ModelError
from ..value import replace
from .agents import NO_PROXY
from .cluster import Cluster
from .manifests import Manifests, loads
from .objects import Service
from .schema_kinds import EDGE

TEXT = {
    "nothing": "the text holds no object that can be applied",
    "other": "{location}: only {known} can be applied to a cluster that is there, not a {kind}",
    "delete": "{reference!r}: what can be deleted is KIND/NAME of {known}",
    "absent": "there is no {reference} to delete",
}


def applied(cluster: Cluster, text: str, file: str = "<text>") -> Cluster:
    """The cluster with the objects of a manifest: new ones, or others in place of those of the same name. Services, Ingresses, and the
    kinds of the Gateway API.

    A Service that is replaced keeps its cluster IPs where the manifest names none, as the API server does (patchAllocatedValues in
    pkg/registry/core/service/storage). ManifestError with the API server's words for what it would refuse; ModelError for other kinds.
    """
    found = loads(text, file)
    for each in found.objects:
        if each.kind not in ("Service", *EDGE):
            known = ", ".join(["Service", *sorted(EDGE)])
            raise ModelError(TEXT["other"].format(location=each.location, kind=each.kind, known=known))
    if not found.objects:
        raise ModelError(TEXT["nothing"])
    services = {each.key: each for each in cluster.services}
    for each in found.of(Service):
        services[each.key] = _kept(each, services.get(each.key))
    made = replace(cluster, services=tuple(services.values()))
    made = _with_edge(made, [each for each in found.objects if not isinstance(each, Service)])
    if not found.of(Service):
        return replace(made, notes=(*made.notes, *found.notes))
    old = set(cluster.control.notes)
    kept = tuple(note for note in cluster.notes if note not in old)
    return replace(made, notes=(*kept, *found.notes, *(() if made.proxy == NO_PROXY else made.control.notes)))


def deleted(cluster: Cluster, reference: str, namespace: str = "shop") -> Cluster:
    """The cluster without an object that routes what comes from outside: ``deleted(cluster, "ingress/shop")``, ``ingressclass/edge``,
    ``httproute/shop``. ModelError if there is none such."""
    kind, slash, name = reference.partition("/")
    kinds = {each.lower(): each for each in EDGE}
    if not slash or kind.lower() not in kinds:
        raise ModelError(TEXT["delete"].format(reference=reference, known=", ".join(sorted(kinds))))
    objects = cluster.manifests.objects if cluster.manifests else ()
    gone = [each for each in objects if each.kind == kinds[kind.lower()] and each.name == name and each.namespace in ("", namespace)]
    if not gone:
        raise ModelError(TEXT["absent"].format(reference=reference))
    return replace(cluster, manifests=replace(cluster.manifests, objects=tuple(each for each in objects if each not in gone)))


def _with_edge(cluster: Cluster, objects: list) -> Cluster:
    """With these objects in place of those of the same kind and name."""
    if not objects:
        return cluster
    before = cluster.manifests or Manifests()
    there = {(each.kind, each.key): each for each in before.objects} | {(each.kind, each.key): each for each in objects}
    return replace(cluster, manifests=replace(before, objects=tuple(there.values())))


def _kept(new: Service, old: Service | None) -> Service:
    if old is None or new.cluster_ips or "ExternalName" in (new.type, old.type):
        return new
    return replace(new, cluster_ips=old.cluster_ips)
