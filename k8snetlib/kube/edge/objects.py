"""The objects that route what comes from outside, as frozen values: Ingress and the kinds of the Gateway API.

As in :mod:`k8snetlib.kube.objects`, they are checked and carry the API server's defaults; :mod:`k8snetlib.kube.schema_edge` makes them.
Matches, filters and backends are the router's own values (:mod:`.http`, :mod:`.filters`): the two APIs differ in how rules are found and
ordered, not in what they can ask for.
"""

from __future__ import annotations

from dataclasses import field
from fractions import Fraction
from typing import ClassVar

from ...value import value
from ..objects import NOWHERE, Location, Named, ObjectMeta
from ..selectors import EVERYTHING, LabelSelector
from .http import Backend, Match, PathMatch

GATEWAY_GROUP = "gateway.networking.k8s.io"
DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
OLD_CLASS = "kubernetes.io/ingress.class"

# --- Ingress


@value
class IngressClass(Named):
    """Names the controller that answers for the Ingresses of this class. ``parameters`` are for that controller alone."""

    metadata: ObjectMeta
    controller: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "IngressClass"

    @property
    def is_default(self) -> bool:
        """Whether Ingresses that name no class belong to this one."""
        return self.annotations.get(DEFAULT_CLASS) == "true"


@value
class IngressPath:
    """A path of an Ingress rule and its backend; ``path_type`` is Exact, Prefix or ImplementationSpecific."""

    path: str
    path_type: str
    backend: Backend


@value
class IngressRule:
    """The paths of one host; ``host`` ``""`` is any."""

    host: str = ""
    paths: tuple[IngressPath, ...] = ()


@value
class IngressTLS:
    """Hosts for which TLS ends at the controller, with the certificate in a Secret of the Ingress's namespace."""

    hosts: tuple[str, ...] = ()
    secret_name: str = ""


@value
class Ingress(Named):
    """HTTP routing by host and path. ``ingress_class`` ``""``: none is named."""

    metadata: ObjectMeta
    ingress_class: str = ""
    default_backend: Backend | None = None
    rules: tuple[IngressRule, ...] = ()
    tls: tuple[IngressTLS, ...] = ()
    addresses: tuple[str, ...] = ()  # status.loadBalancer.ingress: where its controller is reached
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Ingress"


# --- Gateway API: what routes attach to


@value
class GatewayClass(Named):
    """Names the controller that answers for the Gateways of this class."""

    metadata: ObjectMeta
    controller: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "GatewayClass"


@value
class ObjectRef:
    """A reference to an object: group (``""`` is the core one), kind, namespace and name."""

    kind: str
    name: str
    namespace: str = ""
    group: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@value
class FromNamespaces:
    """``allowedRoutes.namespaces``, ``allowedListeners.namespaces``: Same, All, Selector or None."""

    source: str = "Same"
    selector: LabelSelector = EVERYTHING


@value
class Listener:
    """A port of a Gateway, for one hostname (``""``: any). ``kinds`` are the (group, kind) pairs of routes that it asks for, or () for
    those that fit its protocol; ``certificates`` the Secrets for TLS, whose ``tls_mode`` is Terminate, Passthrough or ``""``."""

    name: str
    port: int
    protocol: str
    hostname: str = ""
    tls_mode: str = ""
    certificates: tuple[ObjectRef, ...] = ()
    allowed: FromNamespaces = FromNamespaces()
    kinds: tuple[tuple[str, str], ...] = ()


@value
class Gateway(Named):
    """A way in: listeners on an address. ``allowed_sets`` says whose ListenerSets may add listeners."""

    metadata: ObjectMeta
    gateway_class: str = ""
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()  # spec.addresses: (type, value)
    allowed_sets: FromNamespaces = FromNamespaces("None")
    status_addresses: tuple[str, ...] = ()
    client_certificates: bool = False  # spec.tls.frontend: it asks clients for theirs
    parameters: ObjectRef | None = None  # spec.infrastructure.parametersRef
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Gateway"

    @property
    def ref(self) -> ObjectRef:
        """What refers to it."""
        return ObjectRef(self.kind, self.name, self.namespace, GATEWAY_GROUP)


@value
class ListenerSet(Named):
    """Further listeners for a Gateway, in the hands of another namespace (standard since Gateway API 1.5)."""

    metadata: ObjectMeta
    parent: ObjectRef = ObjectRef("Gateway", "")
    listeners: tuple[Listener, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "ListenerSet"


# --- Gateway API: routes


@value
class ParentRef:
    """What a route asks to be attached to: a Gateway or ListenerSet, or one listener of it by name or port."""

    kind: str
    namespace: str
    name: str
    section: str = ""
    port: int | None = None
    group: str = GATEWAY_GROUP

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.key}{'#' + self.section if self.section else ''}{f' port {self.port}' if self.port else ''}"


@value
class BackendRef:
    """A reference to a backend as a route writes it; ``target`` is what the router uses if it is allowed and there."""

    ref: ObjectRef
    target: Backend


@value
class RouteRule:
    """A rule: any of ``matches``, then ``filters`` and one of ``backends``. Timeouts are seconds, None for none."""

    matches: tuple[Match, ...] = (Match(PathMatch()),)
    filters: tuple = ()
    backends: tuple[BackendRef, ...] = ()
    name: str = ""
    request_timeout: Fraction | None = None
    backend_timeout: Fraction | None = None
    mirrors: tuple[BackendRef, ...] = ()  # what its mirror filters refer to, those of its backends included
    retries: bool = False  # whether it asks for retries, which are not modelled


@value
class Route(Named):
    """What HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute have in common."""

    metadata: ObjectMeta
    parents: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@value
class HTTPRoute(Route):
    """Routes HTTP requests by path, method, headers and query."""

    kind: ClassVar[str] = "HTTPRoute"


@value
class GRPCRoute(Route):
    """Routes gRPC calls by service and method, which are the path of an HTTP/2 request: ``/SERVICE/METHOD``."""

    kind: ClassVar[str] = "GRPCRoute"


@value
class TLSRoute(Route):
    """Routes TLS connections by the server name of the handshake, without reading what is in them (mode Passthrough)."""

    kind: ClassVar[str] = "TLSRoute"


@value
class TCPRoute(Route):
    """Routes what comes in at a TCP port (standard since Gateway API 1.6)."""

    kind: ClassVar[str] = "TCPRoute"


@value
class UDPRoute(Route):
    """Routes what comes in at a UDP port (standard since Gateway API 1.6)."""

    kind: ClassVar[str] = "UDPRoute"


@value
class ReferenceGrant(Named):
    """Lets objects of other namespaces refer to objects of its own: ``sources`` are (group, kind, namespace), ``targets`` (group, kind,
    name), a name of ``""`` meaning any."""

    metadata: ObjectMeta
    sources: tuple[tuple[str, str, str], ...] = ()
    targets: tuple[tuple[str, str, str], ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "ReferenceGrant"

    def allows(self, source: Named, group: str, ref: ObjectRef) -> bool:
        """Whether ``source``, an object of that API group, may refer to ``ref`` (which lies in this grant's namespace)."""
        if ref.namespace != self.namespace or (group, source.kind, source.namespace) not in self.sources:
            return False
        return any((ref.group, ref.kind) == (g, k) and name in ("", ref.name) for g, k, name in self.targets)
