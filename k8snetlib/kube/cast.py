"""The course's cluster: the same small cast in every lesson. The manifests lie in ``data/``, to be read like anyone's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml  # noqa: F401  (with the reader below: imported with the package, so that loading manifests costs no imports)

from ..linux.addresses import ip_address
from ..value import replace
from . import schema, schema_kinds, schema_reader  # noqa: F401
from .agents import NO_PROXY
from .apiserver import rules_of
from .cluster import Cluster
from .manifests import Manifests, load
from .objects import Service

schema.prepare(schema_kinds.MODELLED)
rules_of(("v1", "Service"))  # imported with the package as well
DATA = Path(__file__).parent / "data"
DNS6 = ip_address("fd00:10:96::a")
SHOP, NODE_C, COREDNS = DATA / "shop.yaml", DATA / "node-c.yaml", DATA / "coredns.yaml"
INGRESS, GATEWAY = DATA / "ingress.yaml", DATA / "gateway.yaml"
"""The way in for HTTP, in either API, with its controller: ``shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)``."""
TEAMS = DATA / "teams.yaml"
"""A second version of api, and a second team: Service pay in namespace pay. To be loaded after ``GATEWAY``."""


def shop(
    cni: str = "vxlan",
    *more: str | Path,
    families: Sequence[str] = ("IPv4",),
    node_c: bool = False,
    proxy: str = NO_PROXY,
    outside: bool = False,
    balancer: bool | str = False,
) -> Cluster:
    """The shop: web and api-1 on node-a, api-2 and db on node-b; with ``node_c``, a third node on another segment, and a Pod there.

    With a ``proxy`` mode the nodes run kube-proxy, and the cluster has its DNS server, a Pod on node-b. ``more`` are further manifests;
    ``outside`` adds the client on the Internet, ``balancer`` a load balancer of a kind that ``Cluster.of`` has, true for "VIP".
    """
    files = (SHOP, *((NODE_C,) if node_c else ()), *((COREDNS,) if proxy != NO_PROXY else ()), *more)
    settings = {"cni": cni, "families": families, "proxy": proxy, "outside": outside, "balancer": balancer}
    manifests = load(*files)
    return Cluster.of(manifests if tuple(families[:1]) != ("IPv6",) else _in_ipv6(manifests), **settings)


def _in_ipv6(manifests: Manifests) -> Manifests:
    """The manifests for a cluster without IPv4: the Services' own addresses are IPv4 ones, so others are allocated, save that of DNS."""

    def moved(thing: object) -> object:
        if not isinstance(thing, Service) or thing.headless:
            return thing
        return replace(thing, cluster_ips=(DNS6,) if thing.name == "kube-dns" else ())

    return replace(manifests, objects=tuple(map(moved, manifests.objects)))
