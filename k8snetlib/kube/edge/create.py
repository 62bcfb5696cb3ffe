"""Manifests of Ingresses from rules in one line each, as ``kubectl create ingress --rule`` takes them (pkg/cmd/create/create_ingress.go of
kubectl 1.36)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from ...errors import ModelError
from ...value import value

TEXT = {
    "rule": "{rule!r} is no rule: write HOST/PATH=SERVICE:PORT, with a star at the end of the path for a prefix, and ,tls=SECRET after it "
            "for a certificate",
    "backend": "{backend!r} is no backend: write SERVICE:PORT",
    "none": "an Ingress has rules, or a default backend",
}  # fmt: skip
_RULE = re.compile(r"([^/=,\s]*)(/[^=,\s]*)=([^:=,\s]+:[^:=,\s]+)(?:,tls(?:=(\S+))?)?")
_SAFE = re.compile(r"/[\w./-]*|[a-zA-Z][\w-]*(\.[\w-]+)+", re.ASCII)


@value
class RuleLine:
    """One path of an Ingress: a host (``""`` is any), a path, its pathType, and the backend as ``SERVICE:PORT``."""

    host: str = "www.example.com"
    path: str = "/"
    type: str = "Prefix"
    to: str = "web:80"


def create_ingress(
    name: str, *rules: str, ingress_class: str = "", default_backend: str = "", namespace: str = "shop"
) -> str:  # fmt: skip
    """The manifest that ``kubectl create ingress NAME --class=… --default-backend=… --rule=… --dry-run=client -o yaml`` makes.

    A rule is ``HOST/PATH=SERVICE:PORT[,tls[=SECRET]]``; a path that ends with a star is a Prefix, any other is Exact. ModelError for
    anything else.
    """
    lines, tls = [], {}
    for rule in rules:
        found = _RULE.fullmatch(rule)
        if not found:
            raise ModelError(TEXT["rule"].format(rule=rule))
        host, path, backend, secret = found.groups()
        lines.append(RuleLine(host, path.removesuffix("*"), "Prefix" if path.endswith("*") else "Exact", backend))
        if ",tls" in rule:
            tls.setdefault(secret or "", []).append(host)
    if default_backend and not re.fullmatch(r"[^:\s]+:[^:\s]+", default_backend):
        raise ModelError(TEXT["backend"].format(backend=default_backend))
    if not lines and not default_backend:
        raise ModelError(TEXT["none"])
    return manifest(lines, name, ingress_class, default_backend, tls, namespace)


def manifest(
    lines: Sequence[RuleLine],
    name: str = "shop",
    ingress_class: str = "",
    default_backend: str = "",
    tls: Mapping[str, Sequence[str]] | None = None,
    namespace: str = "shop",
) -> str:
    """An Ingress as text. Rules of one host stand together; ``tls`` are the hosts by the name of their Secret. Nothing is checked: that is
    the API server's task."""
    text = ["apiVersion: networking.k8s.io/v1", "kind: Ingress", f"metadata: {{name: {name}, namespace: {namespace}}}", "spec:"]
    text += [f"  ingressClassName: {ingress_class}"] if ingress_class else []
    text += [f"  defaultBackend: {_backend(default_backend)}"] if default_backend else []
    text += ["  tls:"] if tls else []
    for secret, hosts in (tls or {}).items():
        named = f", secretName: {secret}" if secret else ""
        listed = ", ".join(_plain(host) for host in dict.fromkeys(hosts))
        text.append(f"  - {{hosts: [{listed}]{named}}}")
    text += ["  rules:"] if lines else []
    for host in dict.fromkeys(each.host for each in lines):
        text += [f"  - host: {_plain(host)}", "    http:"] if host else ["  - http:"]
        text.append("      paths:")
        for each in lines:
            if each.host == host:
                text.append(f"      - {{path: {_plain(each.path)}, pathType: {each.type}, backend: {_backend(each.to)}}}")
    return "\n".join(text) + "\n"


def _backend(to: str) -> str:
    name, _, port = to.partition(":")
    return f"{{service: {{name: {name}, port: {{{'number' if port.isdigit() else 'name'}: {port}}}}}}}"


def _plain(text: str) -> str:
    """A string as YAML: as it is where that is safe, else in quotes."""
    return text if _SAFE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
