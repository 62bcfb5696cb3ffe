"""What every answer for scripts has in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from ..kube.cluster import Cluster
from ..kube.hints import pending


def print_json(answer: dict[str, Any], cluster: Cluster, notes: Iterable[str] = ()) -> None:
    """The answer as JSON, with what the manifests hold and the model leaves out, and the remarks on them; ``notes`` are further ones."""
    whole = answer | {"skipped": [str(each) for each in cluster.skipped], "notes": [*cluster.notes, *pending(cluster), *notes]}
    utf = (sys.stdout.encoding or "").lower().startswith("utf")  # elsewhere escapes keep what the encoding lacks
    print(json.dumps(whole, indent=2, ensure_ascii=not utf))
