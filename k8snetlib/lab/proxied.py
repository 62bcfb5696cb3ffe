"""HTTP experiments for lessons: a real proxy in its Pod, web servers in the others, requests sent through the whole network.

    result = proxied("shop-nginx", ops, "edge-1", "nginx", conf, (8080, 8443), {"api-1": (8080,), "web": (8080,)}, asked)
    result.answers[0].status

Run now where the proxy is installed, else as recorded: the environment variable ``K8SNET_LAB`` decides, as it does for ``experiment``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from ..errors import LabError
from ..linux.ops import Listen, Op
from ..value import value
from . import replay
from .capabilities import probe
from .experiments import MODES, RECORDINGS, checked_name, short_release
from .experiments import TEXT as EXPERIMENTS
from .lab import Lab
from .web import Answer, make_certificate

FOLDER = RECORDINGS / "proxied"
TEXT = {
    "live": "run just now with {proxy} on Linux {kernel}",
    "recorded": "recorded with {proxy} on Linux {kernel}, {date}",
    "stale": "the recording of {name!r} ({about}) was made with other ops, rules or requests, so it does not answer this question; {how}",
}


@value
class Asked:
    """A request to send: from which namespace, to which address and port, and what."""

    netns: str
    address: str
    port: int
    host: str
    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    secure: bool = False


@value
class ProxiedResult:
    """What came of it, an answer for each request; ``about`` says in words where and when."""

    name: str
    asked: tuple[Asked, ...]
    answers: tuple[Answer, ...]
    recorded: bool
    about: str


@value
class ProxiedExperiment:
    """A network, a proxy with its configuration and ports in namespace ``at``, web servers (namespace → ports), requests, and the names
    for which a certificate is made."""

    name: str
    ops: tuple[Op, ...]
    at: str
    kind: str
    conf: str
    ports: tuple[int, ...]
    webs: tuple[tuple[str, tuple[int, ...]], ...]
    asked: tuple[Asked, ...]
    names: tuple[str, ...] = ()

    def digest(self) -> str:
        """A hash of all that goes in: a recording answers only the experiment that has the same."""
        lines = [*(op.command() for op in self.ops), self.at, self.kind, self.conf, repr(self.webs), repr(self.asked), repr(self.names)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def live(self) -> tuple[ProxiedResult, str]:
        """Run it now: the result, and the proxy's name with its version. LabError, with the reason in one line, where that cannot be."""
        can = probe()
        if not can.has(self.kind):
            raise LabError(can.line)
        version = ip_address(self.asked[0].address).version if self.asked else 4
        certificate = make_certificate(*self.names) if self.names else ""
        with Lab(op for op in self.ops if not isinstance(op, Listen)) as lab:
            for netns, ports in self.webs:
                lab.web(netns, ports, netns, version)
            lab.proxy(self.at, self.kind, self.conf, self.ports, certificate=certificate, version=version)
            answers = tuple(
                lab.http(a.netns, a.address, a.port, a.path, host=a.host, method=a.method, headers=a.headers, secure=a.secure)
                for a in self.asked
            )
            said = lab.exec(self.at, [self.kind, "-v"])
        proxy = _version(self.kind, said.out + said.err)
        return ProxiedResult(self.name, self.asked, answers, False, TEXT["live"].format(proxy=proxy, kernel=short_release())), proxy

    def result(self, mode: str | None = None, folder: Path | None = None) -> ProxiedResult:
        """Live or recorded, as ``mode`` (by default the environment variable K8SNET_LAB) says."""
        mode = mode or os.environ.get("K8SNET_LAB") or "auto"
        if mode not in MODES:
            raise LabError(EXPERIMENTS["mode"].format(mode=mode, modes=", ".join(MODES)))
        if mode == "record":
            return self._save(*self.live(), folder or FOLDER)
        if mode == "live" or (mode == "auto" and probe().has(self.kind)):
            return self.live()[0]
        recorded = mode == "recorded"
        why = EXPERIMENTS["recorded_mode"] if recorded else probe().line
        return self._load(folder or FOLDER, why, EXPERIMENTS["how_recorded" if recorded else "how_auto"])

    def _save(self, result: ProxiedResult, version: str, folder: Path) -> ProxiedResult:
        """Write the recording, unless one that says the same is there."""
        path = replay.path_of(self.name, folder)
        content = {
            "format": replay.FORMAT,
            "name": self.name,
            "input": self.digest(),
            "answers": [_encode(each) for each in result.answers],
        }
        old = replay.read(path) if path.exists() else {}
        if {key: value for key, value in old.items() if key != "made"} != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = {**replay.made_with(), "proxy": version}
            path.write_text(json.dumps({"made": made, **content}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return self._load(folder)

    def _load(self, folder: Path, why: str = "", how: str = "") -> ProxiedResult:
        path = replay.path_of(self.name, folder)
        if not path.exists():
            raise LabError(EXPERIMENTS["none"].format(name=self.name, why=why or how))
        content = replay.read(path)
        made = content["made"]
        about = TEXT["recorded"].format(proxy=made["proxy"], kernel=made["linux"], date=made["date"])
        if content["input"] != self.digest():
            raise LabError(TEXT["stale"].format(name=self.name, about=about, how=how))
        return ProxiedResult(self.name, self.asked, tuple(_decode(raw) for raw in content["answers"]), True, about)


def proxied(
    name: str,
    ops: Iterable[Op],
    at: str,
    kind: str,
    conf: str,
    ports: Sequence[int],
    webs: Mapping[str, Sequence[int]],
    asked: Iterable[Asked],
    names: Sequence[str] = (),
    *,
    folder: Path | None = None,
) -> ProxiedResult:
    """Build the ops, start the web servers and the proxy (``nginx`` or ``haproxy``), send the requests; see the module. LabError where it
    can neither be run nor replayed."""
    servers = tuple((netns, tuple(found)) for netns, found in webs.items())
    made = ProxiedExperiment(checked_name(name), tuple(ops), at, kind, conf, tuple(ports), servers, tuple(asked), tuple(names))
    return made.result(folder=folder)


PROXIES = {"nginx": "nginx", "haproxy": "HAProxy"}
KEPT = ("Location", "X-From")


def _encode(each: Answer) -> dict:
    """What a recording keeps: nothing that depends on the moment."""
    headers = [list(pair) for pair in each.headers if pair[0].title() in KEPT]
    return {
        "status": each.status,
        "headers": headers,
        "pod": each.pod,
        "asked": dict(each.asked),
        "error": each.error,
        "certificate": each.certificate,
    }


def _decode(raw: Mapping) -> Answer:
    headers = tuple((name, content) for name, content in raw["headers"])
    return Answer(raw["status"], headers, raw["pod"], raw["asked"], raw["error"], raw["certificate"])


def _version(kind: str, text: str) -> str:
    found = re.search(r"\d+\.\d+\.\d+", text)
    return " ".join([PROXIES[kind], *([found[0]] if found else [])])
