"""The course's cluster: the same small cast in every lesson. The manifests lie in ``data/``, to be read like anyone's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml  # noqa: F401  (with the reader below: imported with the package, so that loading manifests costs no imports)

from . import schema, schema_reader  # noqa: F401
from .cluster import Cluster

schema.types()
DATA = Path(__file__).parent / "data"
SHOP, NODE_C = DATA / "shop.yaml", DATA / "node-c.yaml"


def shop(cni: str = "vxlan", *, families: Sequence[str] = ("IPv4",), node_c: bool = False) -> Cluster:
    """The shop: web and api-1 on node-a, api-2 and db on node-b; with ``node_c``, a third node on another segment, and a Pod there."""
    return Cluster.load(SHOP, *((NODE_C,) if node_c else ()), cni=cni, families=families)
