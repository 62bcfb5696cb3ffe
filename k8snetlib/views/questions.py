"""A name's way through the resolver's search list, as a table: each name that was asked for, and what came back."""

from __future__ import annotations

from ..errors import ModelError
from ..kube import resolver
from ..kube.cluster import Cluster
from ..kube.dns import UNKNOWN, Answer
from ..kube.resolver import Lookup
from .tables import Table
from .tools import Text

TEXT = {
    "number": "question", "name": "name asked for", "type": "type", "answer": "answer",
    "empty": "no record of this type",
    "unknown": "forwarded to the resolver outside",
    "hosts": "answered from /etc/hosts: {lines}",
    "no-pod": "{reference} is no Pod: it has no /etc/resolv.conf of the kubelet's",
    "caption": "{name}: {n} question{s} to {server}",
}  # fmt: skip


def resolv_conf(cluster: Cluster, pod: str, namespace: str = "") -> Text:
    """``cat /etc/resolv.conf`` in a Pod. ModelError for what is none."""
    found = cluster.find(pod, namespace).pod
    if found is None:
        raise ModelError(TEXT["no-pod"].format(reference=pod))
    return Text(resolver.resolv_conf(found, cluster.dns))


def questions(lookup: Lookup) -> Table:
    """``questions(cluster.lookup("pod/web", "api"))``: the questions that a Pod's resolver sends for a name, in order, with the answers."""
    heads = (TEXT["number"], TEXT["name"], TEXT["type"], TEXT["answer"])
    rows = tuple((str(number), step.name, step.type, _said(step)) for number, step in enumerate(lookup.steps, 1))
    if lookup.hosts:
        caption = TEXT["hosts"].format(lines="; ".join(str(each).replace("\t", " ") for each in lookup.hosts))
    else:
        caption = TEXT["caption"].format(name=lookup.name, n=len(rows), s="" if len(rows) == 1 else "s", server=lookup.nameserver)
    return Table(heads, rows, caption, frozenset({TEXT["name"]}), frozenset({TEXT["name"], TEXT["answer"]}))


def _said(step: Answer) -> str:
    if step.records:
        return "\n".join(f"{each.type} {each.data}" for each in step.records)
    if step.status == UNKNOWN:
        return TEXT["unknown"]
    return TEXT["empty"] if step.status == "NOERROR" else step.status
