"""The filters of HTTPRoutes and GRPCRoutes, and what they and the rules refer to, from admitted data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from .edge import filters as f
from .edge.http import Backend
from .edge.objects import BackendRef, ObjectRef
from .objects import ObjectMeta

Data = dict[str, Any]


def backend_ref(data: Data, meta: ObjectMeta, weight: int = 1, filters: tuple = ()) -> BackendRef:
    """A reference to a backend, of the namespace that it names or the object's own."""
    ref = ObjectRef(data["kind"], data["name"], data.get("namespace") or meta.namespace, data["group"])
    return BackendRef(ref, Backend(ref.namespace, ref.name, int(data.get("port", 0)), weight, filters))


def first_of_each(found: Iterable[Any], name: Callable[[Any], str]) -> tuple[Any, ...]:
    """Without the entries whose name, in whatever case, an earlier one has: they count for nothing (``httproute_types.go``)."""
    kept: dict[str, Any] = {}
    for each in found:
        kept.setdefault(name(each).lower(), each)
    return tuple(kept.values())


def filters_of(data: list[Data], meta: ObjectMeta) -> tuple[tuple, tuple[BackendRef, ...]]:
    """The filters, and what the mirrors among them refer to."""
    found, mirrors = [], []
    for each in data:
        kind = each["type"]
        if kind == "RequestMirror":
            mirror, ref = _mirror(each["requestMirror"], meta)
            found.append(mirror)
            mirrors.append(ref)
        else:
            field, make = _FILTERS[kind]
            found.append(make(each[field]))
    return tuple(found), tuple(mirrors)


def _mirror(data: Data, meta: ObjectMeta) -> tuple[f.Mirror, BackendRef]:
    ref = backend_ref(data["backendRef"], meta)
    if "percent" in data:
        share = Fraction(int(data["percent"]), 100)
    elif "fraction" in data:
        share = Fraction(int(data["fraction"]["numerator"]), int(data["fraction"]["denominator"]))
    else:
        share = Fraction(1)
    return f.Mirror(ref.target, share), ref


def _modifier(data: Data) -> f.HeaderModifier:
    pairs = [first_of_each(((each["name"], each["value"]) for each in data.get(key, ())), lambda pair: pair[0]) for key in ("set", "add")]
    return f.HeaderModifier(*pairs, tuple(data.get("remove", ())))


def _path_modifier(data: Data | None) -> f.PathModifier | None:
    if not data:
        return None
    field = "replaceFullPath" if data["type"] == "ReplaceFullPath" else "replacePrefixMatch"
    return f.PathModifier(data["type"], data.get(field, ""))


def _redirect(data: Data) -> f.Redirect:
    port = int(data["port"]) if data.get("port") else None
    return f.Redirect(data.get("scheme"), data.get("hostname"), _path_modifier(data.get("path")), port, int(data["statusCode"]))


def _cors(data: Data) -> f.Cors:
    lists = [tuple(data.get(key, ())) for key in ("allowMethods", "allowHeaders", "exposeHeaders")]
    return f.Cors(tuple(data.get("allowOrigins", ())), bool(data.get("allowCredentials")), *lists, int(data["maxAge"]))


_FILTERS: dict[str, tuple[str, Callable[[Data], Any]]] = {
    "RequestHeaderModifier": ("requestHeaderModifier", lambda data: f.RequestHeaders(_modifier(data))),
    "ResponseHeaderModifier": ("responseHeaderModifier", lambda data: f.ResponseHeaders(_modifier(data))),
    "RequestRedirect": ("requestRedirect", _redirect),
    "URLRewrite": ("urlRewrite", lambda data: f.Rewrite(data.get("hostname"), _path_modifier(data.get("path")))),
    "CORS": ("cors", _cors),
    "ExtensionRef": ("extensionRef", lambda data: f.Extension(data["kind"], data["name"])),
}
