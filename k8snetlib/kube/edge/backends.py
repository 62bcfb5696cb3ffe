"""From a reference to a Service's port to the Pods behind it: what a controller knows from the Services and EndpointSlices it watches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...linux.addresses import endpoint
from ...linux.packet import IPAddress
from ...value import replace, value
from ..objects import Service, ServicePort
from ..slices import EndpointSlice
from .http import Backend

NO_SERVICE = "there is no Service {key}"
NO_PORT = "Service {key} has no port {port}"
NO_ENDPOINTS = "Service {key} has no ready endpoint for port {port}"
ALIAS = "Service {key} is of type ExternalName: a name elsewhere, and no backend here"


@value
class Upstream:
    """One place that a controller can open its own connection to: a Pod's address and port, and the Pod's key (``""`` if unknown)."""

    address: IPAddress
    port: int
    pod: str = ""

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


class Backends:
    """The Services of a cluster, by name, with their endpoints. Without any knowledge of Services (None) every reference is taken as it
    is: for tables of rules alone."""

    def __init__(self, services: Iterable[Service] | None = None, slices: Iterable[EndpointSlice] = ()) -> None:
        self.services = None if services is None else {each.key: each for each in services}
        self.slices: dict[str, list[EndpointSlice]] = {}
        for each in (part for part in slices if part.address_type != "FQDN"):  # names, which no controller here resolves
            self.slices.setdefault(each.service_key, []).append(each)

    def problem(self, backend: Backend) -> str:
        """Why the reference leads nowhere, or ``""``: no such Service or port. (That none of its Pods is ready is no mistake.)"""
        if self.services is None:
            return ""
        service = self.services.get(backend.key)
        if service is None:
            return NO_SERVICE.format(key=backend.key)
        if service.type == "ExternalName":
            return ALIAS.format(key=backend.key)
        return "" if self.port(backend) else NO_PORT.format(key=backend.key, port=backend.port)

    def port(self, backend: Backend) -> ServicePort | None:
        """The Service's port that a number or a name means; of several with one number, the one for TCP."""
        service = (self.services or {}).get(backend.key)
        found = [each for each in (service.ports if service else ()) if backend.port in (each.port, each.name) and backend.port]
        return min(found, key=lambda each: each.protocol != "TCP", default=None)

    def upstreams(self, backend: Backend, version: int | None = None) -> Sequence[Upstream]:
        """The ready endpoints behind a backend, in the order of the slices; of one IP version only, if that is given."""
        port = self.port(backend)
        if port is None:
            return ()
        found = []
        for part in self.slices.get(backend.key, ()):
            number = next((each.port for each in part.ports if (each.name, each.protocol) == (port.name, port.protocol)), None)
            for each in part.endpoints if number else ():
                address = each.addresses[0]
                if each.ready is not False and version in (None, address.version):
                    found.append(Upstream(address, number, each.target.removeprefix("Pod ")))
        return found

    def settled(self, backend: Backend, missing: int) -> Backend:
        """The backend with its port's number, or with what is wrong with it: status ``missing`` for a Service or port that is not there, 503
        where no endpoint is ready."""
        if self.services is None or backend.kind != "Service":
            return backend
        wrong = self.problem(backend)
        if wrong:
            return replace(backend, problem=wrong, status=missing)
        port = self.port(backend)
        made = replace(backend, port=port.port, protocol=port.app_protocol)
        if self.upstreams(backend):
            return made
        return replace(made, problem=NO_ENDPOINTS.format(key=backend.key, port=backend.port), status=503)
