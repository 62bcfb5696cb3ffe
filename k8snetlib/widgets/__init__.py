"""The widgets of the lessons: controls around one pure view function each, with a static twin for pages that no kernel stands behind.

    from k8snetlib.widgets import PacketWalk
    PacketWalk(shop().trace("pod/web", "pod/api-2:8080"))

ipywidgets and anywidget are imported when the first of these names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .addresses import AddressesExplorer
    from .gateway import GatewayExplorer
    from .journey import JourneyExplorer
    from .map_explorer import MapExplorer
    from .packet_walk import PacketWalk
    from .pod_pair import PodPairExplorer
    from .ports import PortsExplorer
    from .proxy import ProxyExplorer
    from .rules import RulesExplorer
    from .service_types import ServiceTypeExplorer
    from .services import ServiceExplorer
    from .tunnel import TunnelExplorer
    from .ways import WaysExplorer

_LATER = {
    "AddressesExplorer": "addresses",
    "GatewayExplorer": "gateway",
    "JourneyExplorer": "journey",
    "MapExplorer": "map_explorer",
    "PacketWalk": "packet_walk",
    "PodPairExplorer": "pod_pair",
    "PortsExplorer": "ports",
    "ProxyExplorer": "proxy",
    "RulesExplorer": "rules",
    "ServiceExplorer": "services",
    "ServiceTypeExplorer": "service_types",
    "TunnelExplorer": "tunnel",
    "WaysExplorer": "ways",
}

__all__ = [
    "AddressesExplorer", "GatewayExplorer", "JourneyExplorer", "MapExplorer", "PacketWalk", "PodPairExplorer", "PortsExplorer",
    "ProxyExplorer", "RulesExplorer", "ServiceExplorer", "ServiceTypeExplorer", "TunnelExplorer", "WaysExplorer",
]  # fmt: skip


def __getattr__(name: str):
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
