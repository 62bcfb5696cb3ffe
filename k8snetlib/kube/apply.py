"""Services from manifest text on a cluster that is there, as ``kubectl apply -f -`` brings them: read and checked as the API server does."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ModelError
from .agents import NO_PROXY
from .cluster import Cluster
from .manifests import loads
from .objects import Service

TEXT = {
    "nothing": "the text holds no Service",
    "other": "{location}: only a Service can be applied to a cluster that is there, not a {kind}",
}


def applied(cluster: Cluster, text: str, file: str = "<text>") -> Cluster:
    """The cluster with the Services of a manifest: new ones, or others in place of those of the same name.

    A Service that is replaced keeps its cluster IPs where the manifest names none, as the API server does (patchAllocatedValues in
    pkg/registry/core/service/storage). ManifestError with the API server's words for what it would refuse; ModelError for other kinds.
    """
    found = loads(text, file)
    for each in found.objects:
        if not isinstance(each, Service):
            raise ModelError(TEXT["other"].format(location=each.location, kind=each.kind))
    if not found.objects:
        raise ModelError(TEXT["nothing"])
    services = {each.key: each for each in cluster.services}
    for each in found.objects:
        services[each.key] = _kept(each, services.get(each.key))
    made = replace(cluster, services=tuple(services.values()))
    old = set(cluster.control.notes)
    kept = tuple(note for note in cluster.notes if note not in old)
    return replace(made, notes=(*kept, *found.notes, *(() if made.proxy == NO_PROXY else made.control.notes)))


def _kept(new: Service, old: Service | None) -> Service:
    if old is None or new.cluster_ips or "ExternalName" in (new.type, old.type):
        return new
    return replace(new, cluster_ips=old.cluster_ips)
