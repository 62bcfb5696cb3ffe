"""Routing experiments for lessons: BIRD in some namespaces, daemons stopped one after the other, and the routes after each step.

    result = routing("mesh", ops, {"node-a": conf_a, "node-b": conf_b}, stop=["node-b"])
    result.stages[0].routes["node-a"]      # what its kernel had once all sessions were established
    result.stages[1].routes["node-a"]      # … and after node-b's BIRD took leave

Run now where BIRD is, else as recorded: the environment variable ``K8SNET_LAB`` decides, as it does for ``experiment``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from ..errors import LabError
from ..linux.ops import Op
from ..value import value
from . import replay
from .capabilities import probe
from .experiments import MODES, RECORDINGS, checked_name, short_release
from .experiments import TEXT as EXPERIMENTS
from .lab import Lab

FOLDER = RECORDINGS / "routing"
CLOCK = re.compile(r"\d{2}:\d{2}:\d{2}\.\d{3}")
NOON = "12:00:00.000"  # stands for every moment, so that a result is the same each time

TEXT = {
    "live": "run just now with BIRD {bird} on Linux {kernel}",
    "recorded": "recorded with BIRD {bird} on Linux {kernel}, {date}",
    "stale": "the recording of {name!r} ({about}) was made with other ops or configurations, so it does not answer this question; {how}",
}


@value
class Stage:
    """How things stood after a step: the kernel routes that BIRD wrote, as ``ip route`` prints them, and ``birdc show protocols``.

    A namespace whose BIRD has stopped is left out.
    """

    step: str  # "start", or "stop NAMESPACE"
    routes: Mapping[str, tuple[str, ...]]
    protocols: Mapping[str, str]


@value
class RoutingResult:
    """What came of a routing experiment; ``about`` says in words where and when."""

    name: str
    stages: tuple[Stage, ...]
    recorded: bool
    about: str


@value
class RoutingExperiment:
    """A network, the configurations of its BIRDs by namespace, and those to stop, in order. ``name`` names its recording."""

    name: str
    ops: tuple[Op, ...]
    confs: tuple[tuple[str, str], ...]
    stop: tuple[str, ...] = ()

    def digest(self) -> str:
        """A hash of all that goes in: a recording answers only the experiment that has the same."""
        lines = [
            *(op.command() for op in self.ops),
            *(f"bird {netns}\n{conf}" for netns, conf in self.confs),
            f"stop {' '.join(self.stop)}",
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def live(self) -> tuple[RoutingResult, str]:
        """Run it now: the result, and BIRD's version. LabError, with the reason in one line, where that cannot be done."""
        can = probe()
        if not can.has("bird"):
            raise LabError(can.line)
        running = [netns for netns, _ in self.confs]
        with Lab(self.ops) as lab:
            for netns, conf in self.confs:
                lab.bird(netns, conf)
            stages = [_stage(lab, "start", running)]
            version = lab.birdc(running[0], "show status").split()[1]
            for netns in self.stop:
                lab.stop_bird(netns)
                running.remove(netns)
                stages.append(_stage(lab, f"stop {netns}", running))
        about = TEXT["live"].format(bird=version, kernel=short_release())
        return RoutingResult(self.name, tuple(stages), False, about), version

    def result(self, mode: str | None = None, folder: Path | None = None) -> RoutingResult:
        """Live or recorded, as ``mode`` (by default the environment variable K8SNET_LAB) says."""
        mode = mode or os.environ.get("K8SNET_LAB") or "auto"
        if mode not in MODES:
            raise LabError(EXPERIMENTS["mode"].format(mode=mode, modes=", ".join(MODES)))
        if mode == "record":
            return self._save(*self.live(), folder or FOLDER)
        if mode == "live" or (mode == "auto" and probe().has("bird")):
            return self.live()[0]
        recorded = mode == "recorded"
        why = EXPERIMENTS["recorded_mode"] if recorded else probe().line
        return self._load(folder or FOLDER, why, EXPERIMENTS["how_recorded" if recorded else "how_auto"])

    def _save(self, result: RoutingResult, bird: str, folder: Path) -> RoutingResult:
        """Write the recording, unless one that says the same is there."""
        path = replay.path_of(self.name, folder)
        stages = [
            {"step": s.step, "routes": {k: list(v) for k, v in s.routes.items()}, "protocols": dict(s.protocols)} for s in result.stages
        ]
        content = {"format": replay.FORMAT, "name": self.name, "input": self.digest(), "stages": stages}
        old = replay.read(path) if path.exists() else {}
        if {key: value for key, value in old.items() if key != "made"} != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = {**replay.made_with(), "bird": bird}
            path.write_text(json.dumps({"made": made, **content}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return self._load(folder)

    def _load(self, folder: Path, why: str = "", how: str = "") -> RoutingResult:
        path = replay.path_of(self.name, folder)
        if not path.exists():
            raise LabError(EXPERIMENTS["none"].format(name=self.name, why=why or how))
        content = replay.read(path)
        made = content["made"]
        about = TEXT["recorded"].format(bird=made["bird"], kernel=made["linux"], date=made["date"])
        if content["input"] != self.digest():
            raise LabError(TEXT["stale"].format(name=self.name, about=about, how=how))
        return RoutingResult(self.name, tuple(_decode(raw) for raw in content["stages"]), True, about)


def routing(
    name: str, ops: Iterable[Op], confs: Mapping[str, str], stop: Iterable[str] = (), *, folder: Path | None = None
) -> RoutingResult:
    """Build the ops, start a BIRD with each configuration (namespace → text), wait until all is quiet, stop some; see the module.

    LabError where it can neither be run nor replayed.
    """
    return RoutingExperiment(checked_name(name), tuple(ops), tuple(confs.items()), tuple(stop)).result(folder=folder)


def _stage(lab: Lab, step: str, running: Iterable[str]) -> Stage:
    lab.bgp_settle()
    routes = {netns: tuple(sorted(str(r) for r in lab.state(netns).routes if r.proto == "bird")) for netns in running}
    protocols = {netns: CLOCK.sub(NOON, _tidy(lab.birdc(netns, "show protocols"))) for netns in running}
    return Stage(step, MappingProxyType(routes), MappingProxyType(protocols))


def _tidy(text: str) -> str:
    """Without spaces at line ends, and with one word for every state of a session that is not up: which it is, depends on the moment."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(re.sub(r"( BGP .* start .*\d) .*", r"\1  Active", line) for line in lines)


def _decode(raw: Mapping) -> Stage:
    routes = MappingProxyType({netns: tuple(lines) for netns, lines in raw["routes"].items()})
    return Stage(raw["step"], routes, MappingProxyType(dict(raw["protocols"])))
