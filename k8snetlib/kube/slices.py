"""EndpointSlice (discovery.k8s.io/v1): the addresses behind a Service, as values. kube-proxy reads nothing else of Pods."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from ..linux.packet import IPAddress
from ..value import value
from .objects import NOWHERE, Location, Named, ObjectMeta, Protocol

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@value
class EndpointPort:
    """A port of all endpoints of a slice, tied to the Service's port by ``name``; ``port`` None means all ports (never proxied)."""

    name: str = ""
    port: int | None = None
    protocol: Protocol = "TCP"
    app_protocol: str = ""


@value
class Endpoint:
    """One endpoint: its addresses (kube-proxy uses the first), conditions, place, and the topology hints of the controller.

    A condition that the manifest does not state is None: unknown ``ready`` and ``serving`` are to be taken for true, ``terminating`` for
    false. ``target`` names what is behind it as ``Kind namespace/name``, or is ``""``.
    """

    addresses: tuple[IPAddress | str, ...]
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None
    node_name: str = ""
    zone: str = ""
    hostname: str = ""
    target: str = ""
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()


@value
class EndpointSubset:
    """Addresses of an Endpoints object that all have the same ports, ready ones and others."""

    addresses: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


@value
class Endpoints(Named):
    """The predecessor of EndpointSlice in the API group v1, deprecated since 1.33; it has the name of its Service. The control plane copies
    those written by hand into slices."""

    metadata: ObjectMeta
    subsets: tuple[EndpointSubset, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "Endpoints"


@value
class EndpointSlice(Named):
    """Some endpoints of one Service, all of one address type ("IPv4", "IPv6" or "FQDN") and with the same ports."""

    metadata: ObjectMeta
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    kind: ClassVar[str] = "EndpointSlice"

    @property
    def service_key(self) -> str:
        """``namespace/name`` of the Service that the slice belongs to; ``""`` without the label kubernetes.io/service-name."""
        name = self.labels.get(SERVICE_NAME_LABEL, "")
        return f"{self.namespace}/{name}" if name else ""
