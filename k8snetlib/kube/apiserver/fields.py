"""What the validations of all network kinds share: a list that mistakes are added to, metadata, labels, selectors, and empty fields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from .. import schema_rules as rules
from ..schema import Fault, unsupported_value
from ..schema_places import Path

Data = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")


class Faults(list[Fault]):
    """Mistakes in the order in which they are found. ``path`` is the API server's; ``at`` is where the file has it, if that differs."""

    def add(self, problem: str, *path: str | int, at: Path | None = None) -> bool:
        """Adds a mistake if ``problem`` says one, and returns whether it does."""
        if problem:
            self.append(Fault(problem, path, at=at))
        return bool(problem)

    def one_of(self, value: str, allowed: Collection[str], *path: str | int) -> None:
        """Adds "unsupported value" unless ``value`` is one of ``allowed``."""
        if value not in allowed:
            fault = unsupported_value(value, allowed)
            fault.path = path
            self.append(fault)

    def attempt(self, check: Callable[..., Any], *args: Any, at: Path | None = None) -> Any:
        """What ``check`` returns, or None where it raises a Fault, which is added."""
        try:
            return check(*args, at=at)
        except Fault as fault:
            self.append(fault)
            return None


def metadata(found: Faults, meta: Data, name_rule: Callable[[str], str] = rules.dns_subdomain) -> None:
    """The rules of ``metadata``, which all kinds share; ``name_rule`` is the kind's own."""
    name = meta.get("name", "")
    found.add("" if name or meta.get("generateName") else "required value: name or generateName", "metadata", "name")
    found.add(name_rule(name) if name else "", "metadata", "name")
    found.add(rules.dns_label(meta["namespace"]) if "namespace" in meta else "", "metadata", "namespace")
    labels(found, meta.get("labels", {}), "metadata", "labels")
    for key in meta.get("annotations", ()):
        found.add(rules.qualified_name(key.lower()), "metadata", "annotations", at=("metadata", "annotations", key))
    if not meta.keys() <= {"labels", "name", "namespace"}:
        from ..schema_metadata_rules import check_metadata

        try:
            check_metadata(meta, ("metadata",))
        except Fault as fault:
            found.append(fault)


def labels(found: Faults, data: Data, *path: str | int) -> None:
    """The keys and values of a map of labels. The API server names the map alone; the line is that of the key."""
    for key, value in data.items():
        found.add(rules.qualified_name(key), *path, at=(*path, key))
        found.add(rules.label_value(value), *path, at=(*path, key))


def label_selector(found: Faults, data: Data, *path: str | int) -> None:
    """A label selector: its keys, operators, and the values that each operator needs or forbids."""
    labels(found, data.get("matchLabels", {}), *path, "matchLabels")
    for index, each in enumerate(data.get("matchExpressions", ())):
        place = (*path, "matchExpressions", index)
        operator, values = each.get("operator", ""), each.get("values") or ()
        if operator in ("In", "NotIn"):
            found.add("" if values else "required value: must be specified when operator is 'In' or 'NotIn'", *place, "values")
        elif operator in ("Exists", "DoesNotExist"):
            message = "forbidden: may not be specified when operator is 'Exists' or 'DoesNotExist'"
            found.add(message if values else "", *place, "values")
        else:
            why = "not a valid selector operator: In, NotIn, Exists or DoesNotExist"
            found.add(rules.invalid(operator, why), *place, "operator")
        found.add(rules.qualified_name(each.get("key", "")), *place, "key")
        for number, value in enumerate(values):
            found.add(rules.label_value(value), *place, "values", number)


def object_meta(data: Data, namespaced: bool = True) -> Data:
    """``metadata`` with the namespace that a request without one goes to, if the kind has one, and without empty maps."""
    meta = {key: value for key, value in (data.get("metadata") or {}).items() if value not in ({}, [], "")}
    return {**meta, "namespace": meta.get("namespace", "default")} if namespaced else meta


def without_empty(data: Data, keep: Iterable[str] = ()) -> Data:
    """The fields that JSON encoding keeps: those that are not empty (``omitempty``), and those of ``keep``."""
    keep = set(keep)
    return {key: value for key, value in data.items() if key in keep or (value not in ("", 0, False) and value != [] and value != {})}
