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
from .linux.engine import after, captures, trace, traces
from .linux.events import Trace
from .linux.ops import build
from .linux.packet import Frame, Packet, ping, tcp, udp
from .linux.state import Network

_LATER = {
    "diagram": "views.diagrams",
    "Figure": "views.figure",
    "steps": "views.walk",
}

__all__ = [
    "Cluster", "Figure", "Frame", "K8sNetError", "LabError", "ManifestError", "ModelError", "Network", "Packet", "Trace", "UnsupportedError",
    "after", "build", "captures", "diagram", "ping", "shop", "steps", "tcp", "trace", "traces", "udp",
]  # fmt: skip
__version__ = "0.1.0"


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
