"""What a Service costs the kernel: rules looked at for a connection's first packet, by the number of Services, in each mode of kube-proxy.

Small clusters are traced when asked for. Large ones take seconds to compile, so their points lie in ``data/scale.json``, computed by
``python -m k8snetlib.views.scale``; a test computes some of them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ..kube.scale import NODE, first_packet
from .figure import Figure
from .outcomes import examined
from .plot import curves

DATA = Path(__file__).with_name("data") / "scale.json"
MODES = ("iptables", "nftables", "ipvs")
COUNTS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
LIVE = 100
"""Up to this many Services a point is traced when it is asked for."""

TEXT = {
    "x": "Services in the cluster",
    "y": "rules looked at for a connection's first packet",
    "alt": "Rules looked at for the first packet to the last of 1 to 10,000 Services: {ends}.",
    "end": "{mode} from {first:,} to {last:,}",
    "caption": "Computed by the model, on the sender's node. A lookup in a map or set counts as one rule, however many elements it has.",
}


@cache
def cost(mode: str, services: int, endpoints: int = 1) -> int:
    """Rules that the sender's node looks at for the first packet to the last of so many Services; traced, or from the data."""
    if services > LIVE and endpoints == 1 and services in COUNTS:
        return computed()[mode][services]
    return examined(first_packet(mode, services, endpoints), NODE)


@cache
def computed() -> Mapping[str, Mapping[int, int]]:
    """Mode → number of Services → rules looked at, from the data."""
    found = json.loads(DATA.read_text(encoding="utf-8"))
    return {mode: {int(count): rules for count, rules in points.items()} for mode, points in found.items()}


def cost_curve(modes: Iterable[str] = MODES, here: int | None = None, *, height: int = 330) -> Figure:
    """The curves of these modes; ``here`` marks a number of Services."""
    series = {mode: list(computed()[mode].items()) for mode in modes}
    ends = ", ".join(TEXT["end"].format(mode=mode, first=points[0][1], last=points[-1][1]) for mode, points in series.items())
    return curves(series, TEXT["x"], TEXT["y"], TEXT["alt"].format(ends=ends), TEXT["caption"], here=here, height=height)


def main() -> None:
    """Compute the data anew."""
    points = {mode: {str(count): examined(first_packet(mode, count), NODE) for count in COUNTS} for mode in MODES}
    DATA.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
