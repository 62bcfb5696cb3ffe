"""IngressClasses: validation (pkg/apis/networking/validation of 1.36)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .. import schema_rules as rules
from ..schema import Fault
from .fields import Faults, metadata, object_meta

Data = dict[str, Any]


def default(data: Data) -> Data:
    """The IngressClass as it is; it has no static defaults save the scope of its parameters."""
    data = deepcopy(data)
    spec = data.get("spec") or {}
    if spec.get("parameters"):
        spec["parameters"].setdefault("scope", "Cluster")
    return {**data, "metadata": object_meta(data, namespaced=False), "spec": spec}


def problems(data: Data) -> list[Fault]:
    """Every mistake in an IngressClass."""
    found, spec = Faults(), data["spec"]
    metadata(found, data["metadata"])
    controller = spec.get("controller", "")
    if not found.add("" if controller else "required value", "spec", "controller"):
        domain, slash, path = controller.partition("/")
        unfit = "" if slash and path else rules.invalid(controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
        found.add(unfit or rules.dns_subdomain(domain), "spec", "controller")
        found.add(rules.invalid(controller, "must be no more than 250 characters") if len(controller) > 250 else "", "spec", "controller")
    return found
