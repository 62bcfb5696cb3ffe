"""The course's cluster: the same small cast in every lesson. The manifests lie in ``data/``, to be read like anyone's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml  # noqa: F401  (with the reader below: imported with the package, so that loading manifests costs no imports)

from . import schema, schema_reader  # noqa: F401
from .agents import NO_PROXY
from .apiserver import services  # noqa: F401
from .cluster import Cluster

schema.types()
DATA = Path(__file__).parent / "data"
SHOP, NODE_C, COREDNS = DATA / "shop.yaml", DATA / "node-c.yaml", DATA / "coredns.yaml"


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
    ``outside`` adds the client on the Internet, ``balancer`` a load balancer ("Proxy" for one that ends connections itself).
    """
    files = (SHOP, *((NODE_C,) if node_c else ()), *((COREDNS,) if proxy != NO_PROXY else ()), *more)
    return Cluster.load(*files, cni=cni, families=families, proxy=proxy, outside=outside, balancer=balancer)
