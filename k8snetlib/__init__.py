"""k8snetlib: a small, exact model of how packets move in a Kubernetes cluster.

    from k8snetlib import shop
    trace = shop().trace("pod/web", "pod/api-2:8080")

Everything public that a lesson or a script needs is here; ``k8snetlib.linux`` is the kernel half, ``k8snetlib.kube`` the Kubernetes half.
The drawing, the widgets and the lab are imported when first used.
"""

from __future__ import annotations

import gc
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
    "answers": "views.routes",
    "applied": "kube.apply",
    "bgp": "kube.peering",
    "bird_conf": "kube.bgp",
    "breakages": "views.journeys",
    "bridge_fdb": "views.tools",
    "bridge_link": "views.tools",
    "chain_picture": "views.chains",
    "compared": "views.journeys",
    "comparison": "views.comparison",
    "connections_picture": "views.connections",
    "conntrack": "views.tools",
    "cost_curve": "views.scale",
    "course_map": "views.course_map",
    "create_ingress": "kube.edge.create",
    "deciding_rules": "views.outcomes",
    "decisions": "views.service_types",
    "deleted": "kube.apply",
    "describe_ingress": "views.kubectl_describe",
    "diagram": "views.diagrams",
    "differences": "views.differences",
    "endpoints": "views.kubectl",
    "examined": "views.outcomes",
    "faults": "kube.faults",
    "faults_table": "views.faults",
    "Figure": "views.figure",
    "foundations": "views.summary",
    "get_endpointslices": "views.kubectl",
    "get_gateways": "views.kubectl_edge",
    "get_httproutes": "views.kubectl_edge",
    "get_ingress": "views.kubectl_edge",
    "get_pods": "views.kubectl",
    "get_services": "views.kubectl",
    "graph": "views.graph",
    "headers": "views.tables",
    "health_checks": "views.service_types",
    "heard": "views.journeys",
    "http_routes": "kube.edge.translate",
    "ip_addr": "views.tools",
    "ip_link": "views.tools",
    "ip_neigh": "views.tools",
    "ip_route": "views.tools",
    "ip_rule": "views.tools",
    "iptables_save": "views.tools",
    "journey_picture": "views.journey_picture",
    "journey_table": "views.journey",
    "journey_text": "views.journey",
    "journeys": "kube.edge.journey",
    "Lab": "lab",
    "layers": "views.journey",
    "listeners": "views.kubectl_edge",
    "modes": "views.outcomes",
    "nft_list": "views.tools",
    "node_status": "kube.bgp",
    "outcome_table": "views.routes",
    "outcomes": "views.outcomes",
    "patched": "kube.patch",
    "pcap": "views.pcap",
    "peering_picture": "views.peering",
    "pod_picture": "views.pod_picture",
    "questions": "views.questions",
    "request": "kube.edge.http",
    "resolv_conf": "views.questions",
    "rewrites": "views.rewrites",
    "roles_picture": "views.roles",
    "roles_table": "views.roles",
    "route_picture": "views.route_picture",
    "routed": "views.routes",
    "routing_table": "views.routes",
    "schedulers": "views.scheduling",
    "service_picture": "views.service_picture",
    "session_curve": "views.peering",
    "share": "views.outcomes",
    "show_protocols": "kube.bgp",
    "show_route": "kube.bgp",
    "ss": "views.tools",
    "statuses": "views.kubectl_edge",
    "steps": "views.walk",
    "summary": "views.text",
    "summary_table": "views.summary",
    "symptoms": "views.symptoms",
    "sysctl": "views.tools",
    "Table": "views.tables",
    "table": "views.tables",
    "tcpdump": "views.text",
    "text": "views.text",
    "trace_rules": "linux.pasted",
    "translated": "views.outcomes",
    "vpc_nodes": "views.vpc",
    "vpc_subnets": "views.vpc",
    "way_picture": "views.way_picture",
    "way_table": "views.way_table",
    "ways": "views.ways",
    "ways_diagram": "views.ways_picture",
    "ways_table": "views.ways",
    "why_table": "views.routes",
    "write_pcap": "views.pcap",
}

__all__ = [
    "Cluster", "Frame", "K8sNetError", "LabError", "ManifestError", "ModelError", "Network", "Packet", "Trace", "UnsupportedError",
    "after", "build", "captures", "ops", "ping", "shop", "tcp", "trace", "traces", "udp", *_LATER,
]  # fmt: skip
__version__ = "0.1.0"

gc.collect(1)  # what the import has left behind is gone through now: else a call soon after pays for it, now this one, now that, about 1 ms


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
