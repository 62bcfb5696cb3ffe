"""Ingress into the router: one table of rules for each class, and where TLS ends.

Sources: KEP-1453 and the Ingress page of 1.36. The longest matching path goes first, and among equally long ones Exact before Prefix; a
wildcard host stands for one label. Where the API says nothing, the table does what is most common, and says so:

* ``ImplementationSpecific`` is taken as Prefix;
* a host with rules is asked alone, and what none of its paths matches goes to the default backend, not to rules for any host;
* two Ingresses with the same host and path: the older one goes first, then by namespace and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from ...value import value
from .backends import Backends
from .http import Action, Backend, Match, Origin, PathMatch, Request, Rule
from .objects import Ingress, IngressClass, IngressPath
from .router import Router
from .routing import NO_TLS, NOT_TLS, Decision, decide
from .secrets import UNTOLD, Secrets

MISSING = 503
"""What is answered for a Service that is not there; the API does not say, controllers differ between 502 and 503."""
NO_CLASS = "no IngressClass {name!r}: no controller answers for it"
SPECIFIC = "pathType ImplementationSpecific is up to the controller: taken as Prefix here"
OWN = "{problem}: the controller shows a certificate of its own"
FOREIGN = "annotation {key} is for one controller alone, and changes nothing here"
_CONTROLLERS = (
    ".nginx.org", ".nginx.com", ".haproxy.org", ".konghq.com", ".projectcontour.io", ".getambassador.io", ".apisix.apache.org", ".traefik.io",
    ".networking.gke.io", ".route.openshift.io", ".router.openshift.io",
)  # fmt: skip


@value
class IngressTable:
    """What one controller has made of the Ingresses of its class: the rules, and the certificates by host (Secret keys)."""

    class_name: str
    ingresses: tuple[Ingress, ...]
    router: Router
    certificates: Mapping[str, str] = field(default_factory=dict)

    def certificate(self, server_name: str, port: int = 443) -> str:
        """The Secret whose certificate is shown to a client that asks for this name, by whichever port; ``""``: the controller's own, which
        no browser trusts."""
        exact = self.certificates.get(server_name)
        wild = self.certificates.get("*." + server_name.partition(".")[2])
        return exact or wild or self.certificates.get("", "")

    def decide(self, request: Request) -> tuple[Decision, ...]:
        """Every outcome for a request, shares summing to 1. Neither backend nor response: a client that speaks TLS at the port of plain
        HTTP, or the other way round, gets no HTTP answer."""
        other = {80: "https", 443: "http"}.get(request.port)
        if request.scheme == other:
            return (Decision(request, why=(NOT_TLS if other == "https" else NO_TLS).format(port=request.port)),)
        return decide(self.router, request)


def class_of(ingress: Ingress, classes: Iterable[IngressClass]) -> str | None:
    """The class whose controller answers for an Ingress: the one it names, or the default one (of several the newest, then by name:
    plugin/pkg/admission/network/defaultingressclass), or ``""`` where there is neither (then it
    is up to the controller). None if it names a class that is not there."""
    classes = list(classes)
    if ingress.ingress_class:
        return ingress.ingress_class if any(each.name == ingress.ingress_class for each in classes) else None
    defaults = [each for each in classes if each.is_default]
    newest = max((each.metadata.creation_timestamp for each in defaults), default="")
    return min((each.name for each in defaults if each.metadata.creation_timestamp == newest), default="")


def tables(
    ingresses: Iterable[Ingress], classes: Sequence[IngressClass] = (), backends: Backends | None = None, secrets: Secrets = UNTOLD
) -> dict[str, IngressTable]:
    """A table for each class, without rules where no Ingress is of it: its controller answers all the same, and knows nobody. Ingresses
    without a class, where there is no default one either, have a table of their own."""
    grouped: dict[str, list[Ingress]] = {each.name: [] for each in classes}
    for each in ingresses:
        name = class_of(each, classes)
        if name is not None:
            grouped.setdefault(name, []).append(each)
    return {name: table(members, name, backends, secrets) for name, members in grouped.items()}


def table(ingresses: Iterable[Ingress], class_name: str = "", backends: Backends | None = None, secrets: Secrets = UNTOLD) -> IngressTable:
    """The table of Ingresses that share a controller."""
    backends = backends or Backends()
    ordered = tuple(sorted(ingresses, key=lambda each: (each.metadata.creation_timestamp, each.namespace, each.name)))
    hosts: dict[str, list[Rule]] = {}
    default: Rule | None = None
    for age, each in enumerate(ordered):
        if each.default_backend and default is None:
            default = Rule(Match(), _to(each.default_backend, backends), Origin("Ingress", each.key, location=each.location))
        for number, rule in enumerate(each.rules):
            found = hosts.setdefault(rule.host, [])
            for index, path in enumerate(rule.paths):
                origin = Origin("Ingress", each.key, number, index, location=each.location)
                found.append(Rule(Match(_match(path)), _to(path.backend, backends), origin, _rank(path, (age, number, index))))
    router = Router({host: tuple(rules) for host, rules in hosts.items()}, default, one_label=True, falls_through=False)
    return IngressTable(class_name, ordered, router, _certificates(ordered, secrets))


def _match(path: IngressPath) -> PathMatch:
    return PathMatch("Exact" if path.path_type == "Exact" else "Prefix", path.path)


def _rank(path: IngressPath, place: tuple[int, int, int]) -> tuple:
    return (-len(path.path), path.path_type != "Exact", *place)


def _to(backend: Backend, backends: Backends) -> Action:
    return Action((backends.settled(backend, MISSING),))


def _certificates(ingresses: Iterable[Ingress], secrets: Secrets) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in ingresses:
        for key, hosts in named(each):
            if not secrets.problem(key):
                for host in hosts:
                    found.setdefault(host, key)
    return found


def named(ingress: Ingress) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The Secrets that an Ingress names, by key, each with its hosts (``""``: any)."""
    return ((f"{ingress.namespace}/{tls.secret_name}", tls.hosts or ("",)) for tls in ingress.tls if tls.secret_name)


def _foreign(key: str) -> bool:
    """Whether an annotation is read by one controller: most have ``ingress`` in its prefix (``nginx.ingress.kubernetes.io``)."""
    prefix, slash, _ = key.partition("/")
    return bool(slash) and ("ingress" in prefix or f".{prefix}".endswith(_CONTROLLERS))


def notes(ingresses: Iterable[Ingress], classes: Sequence[IngressClass], secrets: Secrets = UNTOLD) -> Iterable[str]:
    """What a reader would otherwise miss, with the place of each."""
    for each in ingresses:
        for key, _ in named(each) if class_of(each, classes) is not None else ():
            if problem := secrets.problem(key):
                yield f"{each.location} {each}: {OWN.format(problem=problem)}"
        if class_of(each, classes) is None:
            yield f"{each.location} spec.ingressClassName: {NO_CLASS.format(name=each.ingress_class)}"
        if any(path.path_type == "ImplementationSpecific" for rule in each.rules for path in rule.paths):
            yield f"{each.location} {each}: {SPECIFIC}"
        for key in sorted(each.annotations):
            if _foreign(key):
                yield f"{each.location} {each}: {FOREIGN.format(key=key)}"
