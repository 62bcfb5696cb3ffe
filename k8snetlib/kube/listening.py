"""What a refusal may owe to the manifests: in this model a container listens on the ports that it declares, and a real one on what it likes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..linux.events import Dropped, Trace

if TYPE_CHECKING:
    from .cluster import Cluster

TEXT = {
    "none": "Pod {pod} declares no ports",
    "some": "Pod {pod} declares only {ports}",
    "why": "{who} (containerPort), and in this model nothing else listens there; a program that listens elsewhere would answer",
}


def undeclared(cluster: Cluster, traces: Iterable[Trace]) -> tuple[str, ...]:
    """A remark on each Pod that refused a packet since none of its containers declares the port."""
    ended = {trace.end.netns for trace in traces if isinstance(trace.end, Dropped) and trace.end.reason == "NO_SOCKET"}
    found = []
    for box in cluster.sandboxes.values() if ended else ():
        if box.netns in ended and box.pod is not None:
            ports = [f"{port.container_port}/{port.protocol}" for each in box.pod.running_containers for port in each.ports]
            who = TEXT["some" if ports else "none"].format(pod=box.pod.key, ports=", ".join(ports))
            found.append(TEXT["why"].format(who=who))
    return tuple(found)
