"""The statuses of the Gateway API: their parts, what is said of a listener, and what may attach to it or be referred to.

Sources: ``apis/v1/{gateway,shared,httproute,grpcroute,listenerset}_types.go`` of Gateway API 1.6, standard channel, and its conformance
tests where the types leave room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from ...value import replace, value
from .hostnames import covers
from .objects import GATEWAY_GROUP, FromNamespaces, Gateway, Listener, ListenerSet, ObjectRef, ParentRef, ReferenceGrant, Route
from .secrets import Secrets

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
"""Which kinds of routes fit which protocol of a listener."""
PENDING = "Pending"
TEXT = {
    "any": "the listener for any name",
    "overlaps": "{host} has names in common: a client may use the other's connection for them",
    "no-refs": "no certificateRefs", "no-secret": "{ref} is no Secret",
    "no-grant": "no ReferenceGrant in {namespace} lets {owner} use {ref}",
    "kinds": "it asks for kinds of routes that do not fit its protocol", "protocol": "protocol {protocol}",
}  # fmt: skip


@value
class Condition:
    """One line of a status: a type, whether it holds ("True", "False", "Unknown"), the reason as the API names it, and words."""

    type: str
    status: str
    reason: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.type}={self.status} {self.why}"

    @property
    def why(self) -> str:
        """The reason, with its words if there are any."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


@value
class ListenerStatus:
    """A listener of a Gateway or ListenerSet (``owner``), the kinds of routes it takes, and how many are attached."""

    owner: Gateway | ListenerSet
    listener: Listener
    supported: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    attached: int = 0

    @property
    def name(self) -> str:
        """The listener with its owner, as in ``Gateway edge/front#http``."""
        return f"{self.owner.kind} {self.owner.key}#{self.listener.name}"

    @property
    def accepted(self) -> bool:
        """Whether what it asks for can be had: its references may be wrong all the same."""
        return any(each.type == "Accepted" and each.status == "True" for each in self.conditions)

    @property
    def works(self) -> bool:
        """Whether it is programmed: connections to it are answered."""
        return any(each.type == "Programmed" and each.status == "True" for each in self.conditions)

    @property
    def problem(self) -> str:
        """Why it is not programmed: what is said of its references, of itself, of a conflict or of its Gateway; ``""`` if it is."""
        wrong = (each for each in self.conditions if each.status == ("True" if each.type == "Conflicted" else "False"))
        order = {"ResolvedRefs": 0, "Conflicted": 1, "Accepted": 2, "Programmed": 3}
        first = min((each for each in wrong if each.type in order), key=lambda each: order[each.type], default=None)
        return "" if self.works or first is None else first.why

    def stopped(self, why: str) -> ListenerStatus:
        """The same listener, not programmed for a reason that lies outside it."""
        if not self.works:
            return self
        stopped = Condition("Programmed", "False", PENDING, why)
        return replace(self, conditions=tuple(stopped if each.type == "Programmed" else each for each in self.conditions))


@value
class ParentStatus:
    """What is said of a route by the controller of one of its parents, and the listeners it is attached to there."""

    parent: ParentRef
    conditions: tuple[Condition, ...] = ()
    listeners: tuple[tuple[str, str], ...] = ()  # (owner's kind and key, listener's name)

    @property
    def accepted(self) -> bool:
        return any(each.type == "Accepted" and each.status == "True" for each in self.conditions)


@value
class Statuses:
    """What a controller writes into the objects' statuses, by the objects' kinds and keys. ``attached_sets`` counts the ListenerSets that
    each Gateway has let in and that are accepted."""

    gateways: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    sets: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    listeners: tuple[ListenerStatus, ...] = ()
    routes: Mapping[tuple[str, str], tuple[ParentStatus, ...]] = field(default_factory=dict)
    attached_sets: Mapping[str, int] = field(default_factory=dict)

    def of_route(self, route: Route) -> tuple[ParentStatus, ...]:
        """What is said of a route, by parent."""
        return self.routes.get((route.kind, route.key), ())


# --- namespaces, grants, host names


def admits(rule: FromNamespaces, home: str, namespace: str, labels: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether something of ``namespace`` may attach to something of ``home``; ``labels`` are the namespaces' labels."""
    if rule.source == "Selector":
        return rule.selector.matches({**labels.get(namespace, {}), "kubernetes.io/metadata.name": namespace})
    return rule.source == "All" or (rule.source == "Same" and home == namespace)


def granted(source: Route | Gateway | ListenerSet, ref: ObjectRef, grants: Iterable[ReferenceGrant]) -> bool:
    """Whether an object may refer to one of another namespace: only if that namespace says so."""
    return ref.namespace == source.namespace or any(each.allows(source, GATEWAY_GROUP, ref) for each in grants)


def intersection(listener: str, hostname: str) -> str | None:
    """The hosts that a listener and a route have in common: the more specific of both, or None. ``""`` is any."""
    return next((narrow for wide, narrow in ((listener, hostname), (hostname, listener)) if covers(wide, narrow)), None)


def effective(listener: Listener, route: Route) -> tuple[str, ...]:
    """The hosts for which a route answers at a listener."""
    names = route.hostnames or ("",)
    found = (intersection(listener.hostname, each) for each in names)
    return tuple(dict.fromkeys(each for each in found if each is not None))


# --- listeners


def supported_kinds(listener: Listener) -> tuple[tuple[str, ...], bool]:
    """(The kinds that a listener takes, whether it asks for one that does not fit or that there is not.)"""
    fitting = PROTOCOLS.get(listener.protocol, ())
    if not listener.kinds:
        return fitting, False
    wanted = [kind for group, kind in listener.kinds if (group or GATEWAY_GROUP) == GATEWAY_GROUP and kind in fitting]
    return tuple(dict.fromkeys(wanted)), len(wanted) < len(listener.kinds)


def certificate_problem(
    owner: Gateway | ListenerSet, listener: Listener, secrets: Secrets, grants: Sequence[ReferenceGrant]
) -> tuple[str, str]:
    """(reason, words) if the listener cannot show a certificate, else ("", "")."""
    if listener.protocol not in ("HTTPS", "TLS") or listener.tls_mode == "Passthrough":
        return "", ""
    if not listener.certificates:
        return "InvalidCertificateRef", TEXT["no-refs"]
    for ref in listener.certificates:
        if (ref.group, ref.kind) != ("", "Secret"):
            return "InvalidCertificateRef", TEXT["no-secret"].format(ref=ref)
        if not granted(owner, ref, grants):
            return "RefNotPermitted", TEXT["no-grant"].format(namespace=ref.namespace, owner=owner, ref=ref)
        wrong = secrets.problem(f"{ref.namespace}/{ref.name}")
        if wrong:
            return "InvalidCertificateRef", wrong
    return "", ""


def listener_status(
    owner: Gateway | ListenerSet,
    listener: Listener,
    clash: str,
    overlap: str | None,
    secrets: Secrets,
    grants: Sequence[ReferenceGrant],
) -> ListenerStatus:
    """Its conditions; how many routes are attached is counted later. ``clash`` is the reason of a conflict that it has lost, ``overlap``
    another's hostname that has names in common with its own.

    For which reason a listener in conflict is not accepted, the API leaves open. Its conformance tests want the conflict's own from a
    ListenerSet (1.5), and ``Invalid`` from a Gateway.
    """
    kinds, invalid = supported_kinds(listener)
    reason, words = certificate_problem(owner, listener, secrets, grants)
    if invalid:
        reason, words = "InvalidRouteKinds", TEXT["kinds"]
    known = listener.protocol in PROTOCOLS
    unfit = clash if clash and owner.kind == ListenerSet.kind else "Invalid"
    accepted = Condition("Accepted", "True", "Accepted")
    if not known:
        accepted = Condition("Accepted", "False", "UnsupportedProtocol", TEXT["protocol"].format(protocol=listener.protocol))
    elif clash:
        accepted = Condition("Accepted", "False", unfit, clash)
    resolved = Condition("ResolvedRefs", "False", reason, words) if reason else Condition("ResolvedRefs", "True", "ResolvedRefs")
    fine = known and not clash and (not reason or (reason == "InvalidRouteKinds" and bool(kinds)))
    programmed = Condition("Programmed", "True", "Programmed") if fine else Condition("Programmed", "False", unfit)
    conflicted = Condition("Conflicted", "True", clash) if clash else Condition("Conflicted", "False", "NoConflicts")
    lines = (accepted, programmed, resolved, conflicted)
    if overlap is not None:
        lines += (Condition("OverlappingTLSConfig", "True", "OverlappingHostnames", TEXT["overlaps"].format(host=overlap or TEXT["any"])),)
    return ListenerStatus(owner, listener, kinds, lines)
