"""What a client sees of each usual mistake on the way in: every cause is built into the cluster, and a request follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.entry import entry
from ..kube.edge.http import Backend, Request, request
from ..kube.edge.ingress import IngressTable
from ..kube.edge.objects import Ingress, IngressPath
from ..kube.patch import patched
from ..value import replace
from .kubectl_edge import _addresses
from .outcomes import all_outcomes
from .tables import Table

TEXT = {
    "heads": "what is wrong|the client gets|because|connections made|ADDRESS",
    "caption": "{request}, with one mistake at a time",
    "nothing": "nothing", "host": "no rule for the host", "path": "no rule for the path", "class": "a class that is not there",
    "service": "a Service that is not there", "port": "a port that the Service does not have",
    "selector": "the Service's selector finds no Pod", "unready": "no Pod of the Service is ready",
    "controller": "the controller's Pod is not ready",
    "no-answer": "no answer", "refused": "“connection refused”",
    "none": "–", "of": "{n} of {all}",
    "only": "{url}: no rule of an Ingress answers it here, so there is nothing to break",
}  # fmt: skip


def symptoms(cluster: Cluster, url: str) -> Table:
    """``symptoms(cluster, "http://www.example.com/api")``: one row for each mistake. ModelError where no rule of an Ingress answers."""
    sent = request(url)
    rows = [_row(cause, made, sent) for cause, made in _broken(cluster, sent)]
    heads = tuple(TEXT["heads"].split("|"))
    return Table(heads, tuple(rows), TEXT["caption"].format(request=sent), whole=frozenset({heads[1], heads[4]}))


def _broken(cluster: Cluster, sent: Request) -> Iterator[tuple[str, Cluster]]:
    found = entry(cluster, sent)
    rule = found.table.router.find(sent) if isinstance(found.table, IngressTable) else None
    if rule is None:
        raise ModelError(TEXT["only"].format(url=sent.url))
    own = next(each for each in cluster.manifests.of(Ingress) if each.key == rule.origin.key)
    backend = rule.action.backends[0]
    service, controller = f"svc/{backend.name}", found.service
    yield "nothing", cluster
    yield "host", _with(cluster, own, lambda path: path, host="other.example.net")
    yield "path", _with(cluster, own, lambda path: replace(path, path=f"/other{path.path}"))
    yield "class", _put(cluster, own, replace(own, ingress_class=f"{own.ingress_class}x"))
    yield "service", _with(cluster, own, lambda path: _to(path, replace(path.backend, name=f"{path.backend.name}x")))
    yield "port", _with(cluster, own, lambda path: _to(path, replace(path.backend, port=9)))
    yield "selector", patched(cluster, service, namespace=backend.namespace, selector={"app": "nobody"})
    yield "unready", _unready(cluster, backend)
    yield "controller", _unready(cluster, Backend(controller.namespace, controller.name, controller.ports[0].port))


def _row(cause: str, cluster: Cluster, sent: Request) -> tuple[str, ...]:
    call = cluster.journey(sent)
    first = call.connections[0].there
    refused = all_outcomes([(Fraction(1), first)])[0].verdict == "refused"
    lost = TEXT["refused" if refused else "no-answer"]
    made = sum(each.works for each in call.connections)
    address = _addresses(cluster, f"ingress/{_class(cluster)}")
    return (
        TEXT[cause],
        str(call.response or lost),
        call.why or TEXT["none"],
        TEXT["of"].format(n=made, all=2 + call.balanced),
        address or TEXT["none"],
    )


def _class(cluster: Cluster) -> str:
    return next(each.ingress_class for each in cluster.manifests.of(Ingress))


def _unready(cluster: Cluster, backend: Backend) -> Cluster:
    for each in cluster.edge.backends.upstreams(backend):
        cluster = patched(cluster, f"pod/{each.pod.partition('/')[2]}", namespace=each.pod.partition("/")[0], ready=False)
    return cluster


def _to(path: IngressPath, backend: Backend) -> IngressPath:
    return replace(path, backend=backend)


def _with(cluster: Cluster, ingress: Ingress, change: Callable[[IngressPath], IngressPath], host: str = "") -> Cluster:
    """With every path of an Ingress changed, and its rules for another host where one is given."""
    rules = tuple(replace(rule, host=host or rule.host, paths=tuple(map(change, rule.paths))) for rule in ingress.rules)
    return _put(cluster, ingress, replace(ingress, rules=rules))


def _put(cluster: Cluster, old: Ingress, new: Ingress) -> Cluster:
    objects = tuple(new if each is old else each for each in cluster.manifests.objects)
    return replace(cluster, manifests=replace(cluster.manifests, objects=objects))
