"""The course's requests through a real proxy: the rules of a way in compiled for nginx or HAProxy, run in the controller's Pod, compared
with the model's journeys."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.control import find_port
from ..kube.edge.entry import Entry, door, entry
from ..kube.edge.fronts import Front, fronts
from ..kube.edge.haproxy import haproxy_conf
from ..kube.edge.http import Request, request
from ..kube.edge.ingress import IngressTable
from ..kube.edge.journey import journeys
from ..kube.edge.nginx import nginx_conf
from ..kube.objects import Pod
from ..lab.proxied import Asked, ProxiedResult, proxied
from ..value import value
from ..views.tables import Table

TEXT = {
    "heads": "request|the model says|{proxy} says|Pod that answered|sees as its peer|X-Forwarded-For",
    "caption": "{n} requests through {kind}, {about}",
    "same": "{status} ✓",
    "other": "{status} ✕",
    "error": "{error}",
    "no-pod": "Service {service} has no Pod in which the proxy could run",
    "no-answer": "no answer",
}  # fmt: skip
FOLDER = "{folder}"


@value
class Proxied:
    """Requests answered by a real proxy, beside the model's answers. ``agree`` says whether status and Service are the same everywhere."""

    kind: str
    conf: str
    result: ProxiedResult
    rows: tuple[tuple[str, ...], ...]
    agree: bool

    def table(self) -> Table:
        """The answers side by side, a row for each request."""
        heads = tuple(TEXT["heads"].format(proxy=self.kind).split("|"))
        caption = TEXT["caption"].format(n=len(self.rows), kind=self.kind, about=self.result.about)
        return Table(heads, self.rows, caption, whole=frozenset(heads[1:4]))

    def __str__(self) -> str:
        return str(self.table())


def configuration(cluster: Cluster, kind: str = "nginx", *, name: str = "", root: bool = False) -> str:
    """The rules of a way in as a configuration for ``nginx`` or ``haproxy``. UnsupportedError for what that cannot say."""
    _found, served = _served(cluster, name)
    return _conf(cluster, kind, served, root)


def through(cluster: Cluster, kind: str, *urls: str | Request, name: str = "", source: str = "client", experiment: str = "") -> Proxied:
    """Send requests (or GETs for these URLs) through a real proxy in the controller's Pod, live or as recorded under ``experiment``'s name,
    and set them beside the model's journeys. LabError where it can neither be run nor replayed."""
    found, served = _served(cluster, name)
    conf = _conf(cluster, kind, served, root=True)
    at = _controller(cluster, found)
    sent = tuple(each if isinstance(each, Request) else request(each) for each in urls)
    hosts = tuple(dict.fromkeys(each.hostname for each in sent)) if any(front.secure for front in served) else ()
    asked = tuple(_asked(cluster, found, source, each) for each in sent)
    webs = {
        cluster.netns(pod): _ports(pod) for pod in cluster.pods if pod.key in cluster.sandboxes and cluster.netns(pod) != at and _ports(pod)
    }
    ops = cluster.ops()
    result = proxied(
        experiment or f"{kind}-{found.name.replace('/', '-')}", ops, at, kind, conf, [f.listen for f in served], webs, asked, hosts
    )
    rows, agree = _compared(cluster, found, source, sent, result)
    return Proxied(kind, conf, result, rows, agree)


def _served(cluster: Cluster, name: str) -> tuple[Entry, tuple[Front, ...]]:
    """The way in, and its fronts with the ports at which the controller's Pod listens."""
    found = entry(cluster, request("http://any/"), name)
    pod = _pod(cluster, found)
    listen = {port.port: number for port in found.service.ports if (number := find_port(pod, port))}
    secure = not isinstance(found.table, IngressTable) or bool(found.table.certificates)
    return found, fronts(found.table, {port: number for port, number in listen.items() if secure or port != 443})


def _conf(cluster: Cluster, kind: str, served: Sequence[Front], root: bool) -> str:
    version = 4 if cluster.families[0] == "IPv4" else 6
    if kind == "nginx":
        folder = FOLDER if root else "/run/nginx"
        return nginx_conf(
            served,
            cluster.edge.backends,
            version=version,
            folder=folder,
            certificate=f"{folder}/certificate.pem" if root else "certificate.pem",
            root=root,
        )
    if kind == "haproxy":
        certificate = f"{FOLDER}/certificate.pem" if root else "certificate.pem"
        return haproxy_conf(served, cluster.edge.backends, version=version, certificate=certificate)
    raise ModelError(f"there is no proxy {kind!r} here: nginx or haproxy")


def _pod(cluster: Cluster, found: Entry) -> Pod:
    labels = found.service.selector.items()
    pods = [each for each in cluster.pods if each.namespace == found.service.namespace and labels <= each.labels.items() and each.pod_ips]
    if not pods:
        raise ModelError(TEXT["no-pod"].format(service=found.service.key))
    return pods[0]


def _controller(cluster: Cluster, found: Entry) -> str:
    return cluster.netns(_pod(cluster, found))


def _ports(pod: Pod) -> tuple[int, ...]:
    return tuple(port.container_port for box in pod.running_containers for port in box.ports if port.protocol == "TCP")


def _asked(cluster: Cluster, found: Entry, source: str, sent: Request) -> Asked:
    sender = cluster.find(source)
    target = cluster.find(door(cluster, found, source, sent))
    where = sender.netns, str(target.addresses[0]), target.port or sent.port
    return Asked(*where, sent.host, sent.path, sent.method, sent.headers, sent.scheme == "https")


def _compared(
    cluster: Cluster, found: Entry, source: str, sent: Sequence[Request], result: ProxiedResult
) -> tuple[tuple[tuple[str, ...], ...], bool]:
    rows, agree = [], True
    known: dict[Request, list] = {}
    for each, answer in zip(sent, result.answers, strict=True):
        if each not in known:
            known[each] = [one for _, one in journeys(cluster, each, source=source, name=found.name)]
        possible = known[each]
        statuses = list(dict.fromkeys(str(each.response) if each.response else TEXT["no-answer"] for each in possible))
        fits = any(
            (each.response.status if each.response else 0) == answer.status
            and (each.pod.name if each.pod else "") == _name(cluster, answer.pod)
            for each in possible
        )
        agree &= fits
        seen = {name.title(): content for name, content in answer.asked.get("headers", ())} if answer.asked else {}
        shown = TEXT["same" if fits else "other"].format(status=answer.status or answer.error)
        rows.append(
            (
                _words(each),
                ", ".join(statuses),
                shown,
                _name(cluster, answer.pod),
                str((answer.asked or {}).get("peer", "")),
                seen.get("X-Forwarded-For", ""),
            )
        )
    return tuple(rows), agree


def _words(sent: Request) -> str:
    """A plain GET by its URL alone."""
    plain = (sent.method, sent.headers) == ("GET", ())
    return sent.url if plain else "\n".join([str(sent), *(f"{name}: {content}" for name, content in sent.headers)])


def _name(cluster: Cluster, netns: str) -> str:
    return next((each.pod.name for each in cluster.sandboxes.values() if each.netns == netns), netns)
