"""The cost of scale, measured: how long this machine's kernel takes to open a TCP connection through the rules of 1 to 10,000 Services.

A lab with one node: a Pod connects to the last Service's cluster IP, through the very rules that kube-proxy's mode compiles to, and the
median of many connections counts. ``K8SNET_LAB`` decides as for any experiment (``lab.experiments``); where the lab cannot run, what was
recorded is shown, and says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from ..errors import LabError
from ..kube.scale import CLIENT, cluster_ip, node, rules
from ..lab import Lab, probe
from ..lab.experiments import MODES as LAB_MODES
from ..lab.experiments import TEXT as LAB_TEXT
from ..lab.experiments import short_release
from ..lab.replay import made_with
from ..value import value
from ..views.figure import Figure
from ..views.plot import curves
from ..views.tables import Table

RECORDING = Path(__file__).with_name("data") / "scale-measured.json"
KERNEL_MODES = ("iptables", "nftables")
COUNTS = (1, 100, 1000, 5000, 10_000)
BURSTS, CONNECTIONS = 6, 100
"""The quietest burst counts: the machine does other things too."""
BUDGET = 25.0
"""Seconds for everything: no larger cluster is begun after that."""

TEXT = {
    "x": "Services in the cluster",
    "y": "microseconds to open a TCP connection (median)",
    "alt": "Time to open a TCP connection to the last of 1 to 10,000 Services: {ends}. {about}.",
    "end": "{mode} from {first:.0f} to {last:.0f} µs",
    "table": "mode|{counts}",
    "because": "{about}. {why}",
    "unit": "Microseconds: the median of {n} connections, in the quietest of {bursts} bursts.",
}


@value
class Measurement:
    """``points``: mode → number of Services → microseconds (median); ``about`` says when, on which kernel, and whether it was recorded."""

    points: Mapping[str, Mapping[int, float]]
    about: str
    recorded: bool

    def figure(self, *, height: int = 330) -> Figure:
        """The curves, with ``about`` as the caption."""
        series = {mode: list(points.items()) for mode, points in self.points.items()}
        ends = ", ".join(TEXT["end"].format(mode=mode, first=own[0][1], last=own[-1][1]) for mode, own in series.items())
        alt = TEXT["alt"].format(ends=ends, about=self.about)
        return curves(series, TEXT["x"], TEXT["y"], alt, self.about, height=height)

    def table(self) -> Table:
        """The same as numbers."""
        counts = sorted({count for points in self.points.values() for count in points})
        heads = TEXT["table"].format(counts="|".join(f"{count:,}" for count in counts)).split("|")
        rows = [(mode, *(f"{points[count]:.0f}" if count in points else "" for count in counts)) for mode, points in self.points.items()]
        return Table(tuple(heads), tuple(rows), TEXT["unit"].format(n=CONNECTIONS, bursts=BURSTS), whole=frozenset(heads))


def measured(counts: Sequence[int] = COUNTS, mode: str | None = None) -> Measurement:
    """Measured now or as recorded: ``mode`` is one of the lab's (auto, live, recorded, record), by default what ``K8SNET_LAB`` says.

    LabError where ``live`` is asked for and cannot be, and for an unknown mode.
    """
    mode = mode or os.environ.get("K8SNET_LAB") or "auto"
    if mode not in LAB_MODES:
        raise LabError(LAB_TEXT["mode"].format(mode=mode, modes=", ".join(LAB_MODES)))
    if mode == "recorded":
        return recorded()
    if mode == "auto" and not (can := probe()):
        return recorded(can.line)
    try:
        found = _live(counts)
    except LabError as error:
        if mode != "auto":
            raise
        return recorded(str(error))
    if mode == "record":
        _save(found)
        return recorded()
    return found


def recorded(why: str = "") -> Measurement:
    """The committed run; ``why`` says why it is not one made now."""
    content = json.loads(RECORDING.read_text(encoding="utf-8"))
    about = LAB_TEXT["recorded"].format(kernel=f"Linux {content['made']['linux']}", date=content["made"]["date"])
    points = {name: {int(count): us for count, us in own.items()} for name, own in content["microseconds"].items()}
    return Measurement(points, TEXT["because"].format(about=about, why=why) if why else about, True)


def _live(counts: Sequence[int]) -> Measurement:
    points: dict[str, dict[int, float]] = {name: {} for name in KERNEL_MODES}
    start = time.monotonic()
    for count in counts:  # the modes by turns, so that whatever else the machine does meets both
        for name in KERNEL_MODES:
            if time.monotonic() - start < BUDGET:
                points[name][count] = round(_one(name, count), 1)
    return Measurement(points, LAB_TEXT["live"].format(kernel=f"Linux {short_release()}"), False)


def _one(name: str, count: int) -> float:
    """Microseconds for one mode and cluster; the first connections are not counted."""
    with Lab([*node(count), *rules(name, count, lean=True)]) as lab:
        lab.latency(CLIENT, cluster_ip(count - 1), 80, count=30)
        bursts = [lab.latency(CLIENT, cluster_ip(count - 1), 80, count=CONNECTIONS) for _ in range(BURSTS)]
    return min(median(taken) for taken in bursts) / 1000


def _save(found: Measurement) -> None:
    points = {name: {str(count): us for count, us in own.items()} for name, own in found.points.items()}
    RECORDING.write_text(json.dumps({"made": made_with(), "microseconds": points}, indent=1) + "\n", encoding="utf-8")
