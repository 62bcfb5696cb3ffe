"""What breaks on a way between Pods, in one table: what was changed, what becomes of the packet, and Linux's reason."""

from __future__ import annotations

from ..kube.cluster import Cluster
from ..kube.faults import Fault, faults
from ..linux.events import Dropped, Trace
from .tables import Table

TEXT = {
    "heads": "what is wrong|the change|a packet of {size} bytes|reason|where",
    "delivered": "delivered",
    "dropped": "dropped",
    "no-answer": "delivered, the answer lost",
    "none": "–",
}


def faults_table(cluster: Cluster, source: str, target: str, **fields) -> Table:
    """A row for each fault that the way can have; ``fields`` go to the packet (``data=bytes(1400)``)."""
    rows = []
    size = len(cluster.trace(source, target, **fields).sent)
    for fault in faults(cluster, source, target).values():
        rows.append((fault.title, fault.command(), *told(after_fault(cluster, fault, source, target, **fields))))
    heads = tuple(TEXT["heads"].format(size=size).split("|"))
    return Table(heads, tuple(rows), code=frozenset({heads[1], heads[3]}))


def after_fault(cluster: Cluster, fault: Fault, source: str, target: str, **fields) -> Trace:
    """The first packet of a connection in the cluster with that fault."""
    return cluster.trace(source, target, network=fault.network(cluster.network), **fields)


def told(trace: Trace) -> tuple[str, str, str]:
    """(outcome, reason, where), of the way there or else of the way back."""
    end = trace.end
    if isinstance(end, Dropped):
        return TEXT["dropped"], end.reason, end.netns
    back = trace.reply
    if back is not None and isinstance(back.end, Dropped):
        return TEXT["no-answer"], back.end.reason, back.end.netns
    return TEXT["delivered"], TEXT["none"], TEXT["none"]
