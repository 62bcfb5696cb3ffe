"""k8snetlib: a small, exact model of how packets move in a Kubernetes cluster.

    from k8snetlib import shop
    trace = shop().trace("pod/web", "pod/api-2:8080")

Everything public that a lesson or a script needs is here; ``k8snetlib.linux`` is the kernel half, ``k8snetlib.kube`` the Kubernetes half.
The drawing, the widgets and the lab are imported when first used.
"""

from __future__ import annotations

from importlib import import_module

from .errors import K8sNetError, LabError, ManifestError, ModelError, UnsupportedError
from .kube.cast import shop
from .kube.cluster import Cluster
from .linux import ops
from .linux.draft import build
from .linux.engine import after, captures, trace, traces
from .linux.events import Trace
from .linux.packet import Frame, Packet, ping, tcp, udp
from .linux.state import Network

_LATER = {
    "Figure": "views.figure",
    "Lab": "lab",
    "Table": "views.tables",
    "bridge_fdb": "views.tools",
    "bridge_link": "views.tools",
    "chain_picture": "views.chains",
    "comparison": "views.comparison",
    "conntrack": "views.tools",
    "cost_curve": "views.scale",
    "deciding_rules": "views.outcomes",
    "course_map": "views.course_map",
    "diagram": "views.diagrams",
    "graph": "views.graph",
    "headers": "views.tables",
    "examined": "views.outcomes",
    "ip_addr": "views.tools",
    "ip_link": "views.tools",
    "ip_neigh": "views.tools",
    "ip_route": "views.tools",
    "ip_rule": "views.tools",
    "iptables_save": "views.tools",
    "modes": "views.outcomes",
    "nft_list": "views.tools",
    "outcomes": "views.outcomes",
    "pcap": "views.pcap",
    "pod_picture": "views.pod_picture",
    "ss": "views.tools",
    "steps": "views.walk",
    "summary": "views.text",
    "sysctl": "views.tools",
    "schedulers": "views.scheduling",
    "share": "views.outcomes",
    "table": "views.tables",
    "tcpdump": "views.text",
    "text": "views.text",
    "trace_rules": "linux.pasted",
    "write_pcap": "views.pcap",
}

__all__ = [
    "Cluster", "Frame", "K8sNetError", "LabError", "ManifestError", "ModelError", "Network", "Packet", "Trace", "UnsupportedError",
    "after", "build", "captures", "ops", "ping", "shop", "tcp", "trace", "traces", "udp", *_LATER,
]  # fmt: skip
__version__ = "0.1.0"


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
