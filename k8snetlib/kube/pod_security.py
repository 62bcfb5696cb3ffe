"""Pod Security admission, as far as it forbids what bears on the network: the node's namespaces and ports (Pod Security Standards, 1.36).

The levels baseline and restricted forbid both. A remark says which Pods a namespace's label would keep out; the model creates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .manifests import locate
from .objects import Namespace, Pod, Workload

ENFORCE = "pod-security.kubernetes.io/enforce"
FORBIDDING = ("baseline", "restricted")
NOTE = (
    "{place}: namespace {namespace} enforces the Pod Security level {level}, which forbids {what}: a real cluster would not create {made}"
)


def remarks(objects: Iterable[Any]) -> Iterator[str]:
    """A remark on each Pod, or workload, that its namespace would refuse for its network."""
    objects = tuple(objects)
    levels = {each.name: each.labels[ENFORCE] for each in objects if isinstance(each, Namespace) and ENFORCE in each.labels}
    for each in objects if set(levels.values()) & {*FORBIDDING} else ():
        template = each.template if isinstance(each, Workload) else each
        if isinstance(template, Pod) and levels.get(each.namespace) in FORBIDDING and (template.host_network or template.host_ports):
            what = "hostNetwork" if template.host_network else "host ports"
            place = locate(template, "spec.hostNetwork" if template.host_network else "spec.containers")
            made = f"the Pods of {each}" if isinstance(each, Workload) else str(each)
            yield NOTE.format(place=place, namespace=each.namespace, level=levels[each.namespace], what=what, made=made)
