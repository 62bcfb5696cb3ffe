"""Recordings: a result as JSON, in a file that says where and when it was made, and back.

One file per experiment in ``recordings/``, which is part of the wheel. Frames are stored as bytes in hex with a readable line beside
each, so that a difference between two recordings can be read; ``bare`` marks those of a device without a link layer, such as tunl0. The file of an unchanged result is left alone, date included.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from ..errors import LabError
from ..linux.events import Capture
from ..linux.packet import Flow
from ..linux.state import Conntrack
from ..linux.wire import from_bytes, to_bytes
from .canonical import UNKNOWN_JOURNEY
from .experiments import LINUX, RECORDINGS, TEXT, Experiment, Outcome, Result, kernel_name, short_release
from .readback import Unparsed

FORMAT = 1
VERSION_COMMANDS = MappingProxyType({"iproute2": ("ip", "-V"), "iptables": ("iptables", "-V"), "nftables": ("nft", "-v")})
UNREADABLE = "the recording {path} cannot be read: {error}"
NOT_STABLE = "a captured frame does not survive being written and read ({frame}), so it cannot be recorded"


def save(experiment: Experiment, result: Result, folder: Path | None = None) -> Result:
    """Write the result as the experiment's recording, unless one that says the same is there; the result as it will be replayed."""
    path = path_of(experiment.name, folder)
    content = {"format": FORMAT, "name": experiment.name, "input": experiment.digest(), **encode(result)}
    old = read(path) if path.exists() else {}
    if {key: value for key, value in old.items() if key != "made"} != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"made": made_with(), **content}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return load(experiment, folder)


def load(experiment: Experiment, folder: Path | None = None, why: str = "", how: str = "") -> Result:
    """The recorded result. LabError when there is none, or when it was made with other ops or packets (nothing stale is shown)."""
    path = path_of(experiment.name, folder)
    if not path.exists():
        raise LabError(TEXT["none"].format(name=experiment.name, why=why or how))
    content = read(path)
    about = about_it(content)
    if content["input"] != experiment.digest():
        raise LabError(TEXT["stale"].format(name=experiment.name, about=about, how=how))
    return decode(content, about)


def about_it(content: Mapping) -> str:
    """In words where and when a recording was made, given its file's content."""
    made = content["made"]
    return TEXT["recorded"].format(kernel=f"{made.get('kernel', LINUX)} {made['linux']}", date=made["date"])


def record_all(experiments: Iterable[Experiment], folder: Path | None = None) -> list[Path]:
    """Run every experiment in this machine's kernel and write its recording; the files."""
    written = []
    for each in experiments:
        save(each, each.live(), folder)
        written.append(path_of(each.name, folder))
    return written


def recorded(folder: Path | None = None) -> Mapping[str, Path]:
    """The recordings that there are, by name."""
    return {path.stem: path for path in sorted((folder or RECORDINGS).glob("*.json"))}


def path_of(name: str, folder: Path | None = None) -> Path:
    return (folder or RECORDINGS) / f"{name}.json"


def made_with() -> dict[str, str]:
    """When and with what: the date, the kernel (in two numbers and in full), and the tools that are there."""
    found = {"date": date.today().isoformat(), "linux": short_release(), "release": platform.release()}
    if kernel_name() != LINUX:
        found["kernel"] = kernel_name()
    for name, command in VERSION_COMMANDS.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.split()
            found[name] = next((word.strip("v,") for word in said if any(c.isdigit() for c in word) and "." in word), " ".join(said))
    return found


def read(path: Path) -> dict:
    """The content of a recording's file. LabError when it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(UNREADABLE.format(path=path.name, error=error)) from None
    return content


# ── values to JSON and back ──


def encode(result: Result) -> dict:
    """The result as plain JSON values; ``decode`` is its inverse."""
    return {
        "outcomes": [_encode_outcome(each) for each in result.outcomes],
        "captures": [_encode_capture(each) for each in result.captures],
        "conntrack": {netns: [_encode_connection(each) for each in entries] for netns, entries in result.conntrack.items()},
        "counters": {netns: text.splitlines() for netns, text in result.counters.items()},
    }


def decode(content: Mapping, about: str) -> Result:
    return Result(
        content["name"],
        tuple(_decode_outcome(each) for each in content["outcomes"]),
        tuple(_decode_capture(each) for each in content["captures"]),
        {netns: tuple(_decode_connection(each) for each in entries) for netns, entries in content["conntrack"].items()},
        {netns: "".join(line + "\n" for line in lines) for netns, lines in content["counters"].items()},
        True,
        about,
    )


def _encode_outcome(outcome: Outcome) -> dict:
    source = str(outcome.source) if outcome.source else None
    return {"error": outcome.error, "source": source, "server": outcome.server, "answer": outcome.answer.hex()}


def _decode_outcome(raw: Mapping) -> Outcome:
    source = ip_address(raw["source"]) if raw["source"] else None
    return Outcome(raw["error"], source, raw["server"], bytes.fromhex(raw["answer"]))


def _encode_capture(capture: Capture) -> dict:
    where, frame = {"netns": capture.netns, "dev": capture.dev, "direction": capture.direction}, capture.frame
    if isinstance(frame, Unparsed):
        return {**where, "unparsed": frame.reason, "bytes": frame.data.hex()}
    data = to_bytes(frame)
    if from_bytes(data, bare=frame.bare) != frame:
        raise LabError(NOT_STABLE.format(frame=frame))
    return {**where, **({"bare": True} if frame.bare else {}), "text": str(frame), "bytes": data.hex()}


def _decode_capture(raw: Mapping) -> Capture:
    data = bytes.fromhex(raw["bytes"])
    frame = Unparsed(data, raw["unparsed"]) if "unparsed" in raw else from_bytes(data, bare=raw.get("bare", False))
    return Capture(raw["netns"], raw["dev"], raw["direction"], frame, UNKNOWN_JOURNEY)


def _encode_connection(entry: Conntrack) -> dict:
    halves = {key: [f.proto, str(f.src), f.sport, str(f.dst), f.dport] for key, f in (("original", entry.original), ("reply", entry.reply))}
    flags = {"state": entry.state, "seen_reply": entry.seen_reply, "assured": entry.assured, "mark": entry.mark, "nat": list(entry.nat)}
    return {**halves, **flags}


def _decode_connection(raw: Mapping) -> Conntrack:
    original, reply = (_decode_flow(*raw[half]) for half in ("original", "reply"))
    return Conntrack(original, reply, raw["state"], raw["seen_reply"], raw["assured"], raw["mark"], tuple(raw["nat"]))


def _decode_flow(proto: str, src: str, sport: int, dst: str, dport: int) -> Flow:
    return Flow(proto, ip_address(src), sport, ip_address(dst), dport)
