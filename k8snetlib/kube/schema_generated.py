"""Names for objects that have a ``generateName`` alone, as ``kubectl create`` sends them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ..value import replace
from .objects import Location
from .schema_kinds import CLUSTER_SCOPED

if TYPE_CHECKING:
    from .schema_reader import Reader

MOST = 58
"""The characters of a generateName that the API server keeps (apiserver, pkg/storage/names)."""
NOTE = "{place}: generateName: this {kind} is called {name} here; the API server would add five random characters"


def named(data: dict[str, Any], kind: str, location: Location, reader: Reader) -> dict[str, Any]:
    """The object with a name, which a note tells: a number stands for the random characters, as in the names of a workload's Pods."""
    meta = data["metadata"]
    base, namespace = meta["generateName"][:MOST], "" if kind in CLUSTER_SCOPED else meta.get("namespace") or "default"
    name = next(each for number in count(1) if (kind, namespace, each := f"{base}{number}") not in reader.objects)
    line = location.document.find(("metadata", "generateName"))[0]  # type: ignore[attr-defined]
    reader.notes.append(NOTE.format(place=replace(location, line=line), kind=kind, name=name))
    return {**data, "metadata": {**meta, "name": name}}
