"""Types that the kinds of the Gateway API share (apis/v1/shared_types.go of Gateway API 1.5, standard channel)."""

from __future__ import annotations

from .crd import NOTHING, Rule, Schema, array, number, struct, text

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
GROUP_NAME = "gateway.networking.k8s.io"
HOSTNAME = text(1, 253, rf"^(\*\.)?{SUBDOMAIN}$")
PRECISE_HOSTNAME = text(1, 253, rf"^{SUBDOMAIN}$")
SECTION = text(1, 253, rf"^{SUBDOMAIN}$")
NAME = text(1, 253)
NAMESPACE = text(1, 63, f"^{LABEL}$")
PORT = number(1, 65535)


def group(default: object = NOTHING) -> Schema:
    return text(None, 253, rf"^$|^{SUBDOMAIN}$", default=default)


def kind(default: object = NOTHING) -> Schema:
    return text(1, 63, "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", default=default)


LABEL_SELECTOR = struct(
    matchLabels=Schema("object", items=text()),
    matchExpressions=array(struct(required="key operator", key=text(), operator=text(), values=array(text()))),
)


def _port_of_service(ref: dict) -> bool:
    return "port" in ref or ref["group"] != "" or ref["kind"] != "Service"


NEEDS_PORT = Rule("Must have port for Service reference", _port_of_service)
BACKEND_REF = {"group": group(""), "kind": kind("Service"), "name": NAME, "namespace": NAMESPACE, "port": PORT}


def _same_parent(one: dict, other: dict) -> bool:
    return all(one.get(key, "") == other.get(key, "") for key in ("group", "kind", "name", "namespace"))


def _sections_everywhere(refs: list) -> bool:
    return all(bool(a.get("sectionName")) == bool(b.get("sectionName")) for a in refs for b in refs if _same_parent(a, b))


def _sections_differ(refs: list) -> bool:
    return all(sum(_same_parent(a, b) and a.get("sectionName", "") == b.get("sectionName", "") for b in refs) == 1 for a in refs)


PARENT_REFS = array(
    struct(required="name", group=group(GROUP_NAME), kind=kind("Gateway"), name=NAME, namespace=NAMESPACE, sectionName=SECTION, port=PORT),
    32,
    Rule("sectionName must be specified when parentRefs includes 2 or more references to the same parent", _sections_everywhere),
    Rule("sectionName must be unique when parentRefs includes 2 or more references to the same parent", _sections_differ),
)
