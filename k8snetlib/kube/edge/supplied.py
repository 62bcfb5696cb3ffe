"""A controller for manifests that have none: most people's own hold an Ingress or a Gateway, and the controller was installed by others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from ...value import replace
from ..manifests import Manifests, loads
from ..objects import Named, Namespace, Service
from .attach import admits
from .entry import COMPONENT, GATEWAY_LABEL, HOME_LABEL, gateway_services, ingress_services, shortened
from .objects import Gateway, GatewayClass, Ingress, IngressClass, ListenerSet

NAMESPACE = "k8snet-edge"
FILE = "<supplied>"
NOTE = "no controller is among the manifests for {names}: {n} supplied here, a Pod of namespace {namespace} behind a Service of type LoadBalancer"
CONTROLLER = "k8snetlib.example/edge"
LONGEST = 57  # a Service's name has at most 63 characters, a Pod's of a Deployment a few more


def with_controllers(manifests: Manifests) -> Manifests:
    """The manifests with what is missing for their Ingresses and Gateways to work: classes that are named and not there, and for each
    class or Gateway without one a controller Pod behind a Service. A note says what was added; nothing is where nothing is missing."""
    made, names = list(_classes(manifests)), []
    services, gateways, taken = manifests.of(Service), manifests.of(Gateway), {"ingress"}
    if manifests.of(Ingress) and not ingress_services(services):
        ports = {(port, "TCP") for port in ((80, 443) if any(each.tls for each in manifests.of(Ingress)) else (80,))}
        made += _controller("ingress", dict([COMPONENT]), ports)
        names.append("Ingress")
    labels = {one.name: one.labels for one in manifests.of(Namespace)}
    labelled = [each for each in services if GATEWAY_LABEL in each.labels]
    every = manifests.of(ListenerSet)
    for each in gateways:
        if not labelled or not gateway_services(labelled, each, gateways):
            sets = (found for found in every if found.parent == each.ref)
            more = (one for found in sets if admits(each.allowed_sets, each.namespace, found.namespace, labels) for one in found.listeners)
            ports = {(one.port, "UDP" if one.protocol == "UDP" else "TCP") for one in (*each.listeners, *more)}
            name = _name_for(each, taken)
            made += _controller(name, {GATEWAY_LABEL: shortened(each.name), HOME_LABEL: each.namespace}, ports)
            names.append(str(each))
    if not made:
        return manifests
    added = loads("\n".join(map(json.dumps, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *made])), FILE)
    there = {(each.kind, each.key) for each in manifests.objects if isinstance(each, Named)}
    objects = (*manifests.objects, *(each for each in added.objects if (each.kind, each.key) not in there))
    note = [NOTE.format(names=", ".join(names), n=len(names), namespace=NAMESPACE)] if names else []
    return replace(manifests, objects=objects, notes=(*manifests.notes, *note))


def _name_for(gateway: Gateway, taken: set[str]) -> str:
    """A name for its controller that a Service may have (RFC 1035: no dots, 63 characters) and no other has."""
    name = shortened(f"gateway-{gateway.namespace}-{gateway.name}".replace(".", "-"), LONGEST)
    if name in taken:
        name = shortened(name, LONGEST, gateway.key)
    taken.add(name)
    return name


def _classes(manifests: Manifests) -> Iterator[dict[str, Any]]:
    """The classes that are named and not there."""
    wanted = {each.ingress_class for each in manifests.of(Ingress)} - {each.name for each in manifests.of(IngressClass)} - {""}
    for name in sorted(wanted):
        yield _cluster_scoped("networking.k8s.io/v1", "IngressClass", name, {"controller": CONTROLLER})
    wanted = {each.gateway_class for each in manifests.of(Gateway)} - {each.name for each in manifests.of(GatewayClass)}
    for name in sorted(wanted):
        yield _cluster_scoped("gateway.networking.k8s.io/v1", "GatewayClass", name, {"controllerName": CONTROLLER})


def _cluster_scoped(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _controller(name: str, labels: dict[str, str], ports: set[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """A Deployment of one Pod that listens at each (port, protocol), plus 8000 (or the next that is free) where that is a low one, and its
    Service."""
    app = {"k8snet-edge": name}
    inside = {port: port for port, _ in sorted(ports) if port >= 1024}
    for port in sorted({port for port, _ in ports} - set(inside)):
        inside[port] = next(number for number in count(port + 8000) if number not in inside.values())
    opened = [{"containerPort": inside[port], "protocol": protocol} for port, protocol in sorted(ports)]
    boxes = [{"name": "proxy", "image": "registry.example/edge:1", "ports": opened}]
    template = {"metadata": {"labels": app}, "spec": {"containers": boxes}}
    meta = {"name": name, "namespace": NAMESPACE}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"selector": {"matchLabels": app}, "template": template},
    }
    listed = [
        {"name": f"{'u' if protocol == 'UDP' else 'p'}{port}", "port": port, "protocol": protocol, "targetPort": inside[port]}
        for port, protocol in sorted(ports)
    ]
    spec = {"type": "LoadBalancer", "selector": app, "ports": listed}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "labels": labels}, "spec": spec}
