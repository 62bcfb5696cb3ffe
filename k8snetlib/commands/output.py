"""What every answer for scripts has in common."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..kube.cluster import Cluster
from ..kube.hints import pending


def print_json(answer: dict[str, Any], cluster: Cluster, notes: Iterable[str] = ()) -> None:
    """The answer as JSON, with what the manifests hold and the model leaves out, and the remarks on them; ``notes`` are further ones."""
    whole = answer | {"skipped": [str(each) for each in cluster.skipped], "notes": [*cluster.notes, *pending(cluster), *notes]}
    print(json.dumps(whole, indent=2, ensure_ascii=False))
