"""An Ingress as ``kubectl describe ingress`` shows it, without its events.

The format, and what it does not see, follow IngressDescriber in pkg/describe/describe.go of kubectl 1.36: a backend's endpoints are those
of the Service's port that the Ingress means, and those of a port without a name where it means none that there is.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.http import Backend
from ..kube.edge.ingress import class_of
from ..kube.edge.objects import Ingress, IngressClass
from .kubectl import TEXT as KUBECTL
from .kubectl_edge import _addresses
from .tools import Text

TEXT = {
    "absent": "there is no Ingress {key}",
    "default": "<default>",
    "missing": '{backend} (<error: services "{name}" not found>)',
    "backend": "{backend} ({endpoints})",
    "resource": "APIGroup: {group}, Kind: {kind}, Name: {name}",
    "terminates": "  {secret} terminates {hosts}", "sni": "  SNI routes {hosts}",
    "more": "{shown} + {n} more...",
}  # fmt: skip
MOST, PADDING = 3, 2


def describe_ingress(cluster: Cluster, name: str = "shop", namespace: str = "shop") -> Text:
    """``kubectl describe ingress NAME``; ModelError if there is none."""
    manifests = cluster.manifests
    found = next((e for e in manifests.of(Ingress) if (e.namespace, e.name) == (namespace, name)), None) if manifests else None
    if found is None:
        raise ModelError(TEXT["absent"].format(key=f"{namespace}/{name}"))
    assigned = found.ingress_class or class_of(found, manifests.of(IngressClass)) or ""
    default = _backend(cluster, found.default_backend) if found.default_backend else TEXT["default"]
    lines = [
        ["Name:", found.name],
        ["Labels:", _pairs(found.labels)],
        ["Namespace:", namespace],
        ["Address:", _addresses(cluster, f"ingress/{assigned}")],
        ["Ingress Class:", assigned or KUBECTL["none"]],
        ["Default backend:", default],
    ]
    if found.tls:
        lines.append(["TLS:"])
        lines += [[TEXT["terminates" if e.secret_name else "sni"].format(secret=e.secret_name, hosts=",".join(e.hosts))] for e in found.tls]
    lines += [["Rules:"], ["  Host", "Path", "Backends"], ["  ----", "----", "--------"]]
    for rule in (each for each in found.rules if each.paths):
        lines.append([f"  {rule.host or '*'}", ""])
        lines += [["    ", f"{path.path} ", _backend(cluster, path.backend)] for path in rule.paths]
    if not any(rule.paths for rule in found.rules):
        lines.append(["  *", "*", default])
    lines.append(["Annotations:", _pairs(found.annotations)])
    return Text(aligned(lines))


def _pairs(found) -> str:
    return ",".join(f"{key}={text}" for key, text in sorted(found.items())) or KUBECTL["none"]


def _backend(cluster: Cluster, backend: Backend) -> str:
    shown = f"{backend.name}:{backend.port}"
    if backend.kind != "Service":
        return TEXT["resource"].format(group=KUBECTL["none"], kind=backend.kind, name=backend.name)
    service = next((each for each in cluster.control.services if each.key == backend.key), None)
    if service is None:
        return TEXT["missing"].format(backend=shown, name=backend.name)
    port = next((each.name for each in service.ports if backend.port in (each.port, each.name)), "")
    return TEXT["backend"].format(backend=shown, endpoints=_endpoints(cluster, backend.key, port))


def _endpoints(cluster: Cluster, key: str, port: str) -> str:
    """The ready endpoints of the Service's port of this name; nothing at all where none is ready."""
    if not any(part.service_key == key for part in cluster.control.slices):
        return KUBECTL["none"]
    places = [
        f"[{address}]:{each.port}" if ":" in str(address) else f"{address}:{each.port}"
        for part in cluster.control.slices if part.service_key == key
        for each in part.ports if each.name == port
        for endpoint in part.endpoints if endpoint.ready is not False
        for address in endpoint.addresses[:1]
    ]  # fmt: skip
    shown = ",".join(places[:MOST])
    return TEXT["more"].format(shown=shown, n=len(places) - MOST) if len(places) > MOST else shown


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells in columns as Go's text/tabwriter sets them: a column is as wide as its widest cell among the lines in a row that go on after
    it, and two more."""
    return "\n".join("".join(_padded(lines, n, column) for column in range(len(line))).rstrip() for n, line in enumerate(lines))


def _padded(lines: Sequence[Sequence[str]], n: int, column: int) -> str:
    if column == len(lines[n]) - 1:
        return lines[n][column]
    first = last = n
    while first and len(lines[first - 1]) > column + 1:
        first -= 1
    while last + 1 < len(lines) and len(lines[last + 1]) > column + 1:
        last += 1
    return lines[n][column].ljust(max(len(line[column]) for line in lines[first : last + 1]) + PADDING)
