"""Lesson 04: the same packet under up to four network plug-ins, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import ipywidgets

from ..errors import UnsupportedError
from ..kube.cast import shop
from ..kube.cni import CNIS
from ..linux.events import Dropped, Trace
from ..views.ways import Way, overhead, way, ways_table, wire_step
from ..views.ways_picture import ways_diagram
from .base import Answer, Explorer

SOURCE, PORT = "pod/web", 8080
PLACES = 4
FIRST = ("vxlan", "ipip-cross-subnet", "bgp", "vpc")
NOBODY = ""
IPIP = ("ipip", "ipip-cross-subnet")
TARGETS = ("pod/api-1", "pod/api-2", "pod/report")
TEXT = {
    "title": "The same packet under other network plug-ins", "place": "Way {n}:", "none": "none",
    "target": "To:", "family": "IP:",
    "pod/api-1": "api-1, on the same node", "pod/api-2": "api-2, on the same segment", "pod/report": "report, behind the router",
    "all-deliver": "All of them deliver.", "one-delivers": "It is delivered.", "none-deliver": "None of them delivers.",
    "one-loses": "It is not delivered.",
    "drop": "{names}: dropped in {where}, {reason} ({detail}).",
    "bytes": "{names}: {size} bytes on the wire", "added": "{n} of them added", "plain": "nothing added",
    "hops": "{names}: {how}", "switched": "switched, TTL stays {ttl}", "routed": "routed, TTL {before} → {after}",
    "and": "{first} and {last}", "left-out": "Left out: {names}. The reason: {why}.", "nothing": "No way is left to compare.",
    "ipip-4": "IPIP carries IPv4 only: here its packets go without a tunnel.", "end": ".",
}  # fmt: skip


class WaysExplorer(Explorer):
    """Up to four plug-ins, a target and an IP version: the ways of one TCP packet, stage by stage."""

    def __init__(self) -> None:
        label = {"description_width": "4em"}
        titles = [(CNIS[name].title, name) for name in CNIS]
        controls = {}
        for number, first in enumerate(FIRST, 1):
            options = titles if number == 1 else [*titles, (TEXT["none"], NOBODY)]
            controls[f"way{number}"] = ipywidgets.Dropdown(
                options=options, value=first, description=TEXT["place"].format(n=number), style=label, layout={"width": "28em"}
            )
        targets = [(TEXT[name], name) for name in TARGETS]
        controls["target"] = ipywidgets.Dropdown(
            options=targets, value=TARGETS[1], description=TEXT["target"], style=label, layout={"width": "28em"}
        )
        controls["family"] = ipywidgets.Dropdown(
            options=["IPv4", "IPv6"], description=TEXT["family"], style=label, layout={"width": "11em"}
        )
        super().__init__(TEXT["title"], view, controls, [["way1", "way2"], ["way3", "way4"], ["target", "family"]])


def view(way1: str, way2: str, way3: str, way4: str, target: str, family: str) -> Answer:
    """The ways that were chosen, each once: pure."""
    found: list[Way] = []
    refused: dict[str, list[str]] = {}
    for name in dict.fromkeys(filter(None, (way1, way2, way3, way4))):
        try:
            found.append(one_way(name, target, family))
        except UnsupportedError as error:
            refused.setdefault(str(error), []).append(CNIS[name].title)
    left_out = [TEXT["left-out"].format(names=_listed(titles), why=why) for why, titles in refused.items()]
    if not found:
        return Answer(" ".join([TEXT["nothing"], *left_out]), tone="bad")
    delivered = all(each.trace.delivered for each in found)
    plain = family == "IPv6" and any(each.name in IPIP and wire_step(each) for each in found)
    said = " ".join([summary(found), *([TEXT["ipip-4"]] if plain else []), *left_out])
    return Answer(said, (ways_diagram(found), ways_table(found).html()), tone="good" if delivered else "bad")


@lru_cache(maxsize=128)
def one_way(name: str, target: str, family: str) -> Way:
    """The first packet of a connection under that plug-in. UnsupportedError where it has no such family."""
    return way(name, _shop(name, family).trace(SOURCE, f"{target}:{PORT}"))


@lru_cache(maxsize=32)
def _shop(name: str, family: str):
    return shop(name, families=(family,), node_c=True)


def summary(found: Iterable[Way]) -> str:
    """What the ways have in common, and in what they differ, in a few sentences."""
    found = list(found)
    arrived = [each for each in found if each.trace.delivered]
    if len(arrived) == len(found):
        parts = [TEXT["all-deliver" if len(found) > 1 else "one-delivers"]]
    else:
        parts = [TEXT["none-deliver" if len(found) > 1 else "one-loses"]] if not arrived else []
        for key, ways in _groups((each, _drop(each.trace)) for each in found if not each.trace.delivered).items():
            where, reason, detail = key
            parts.append(TEXT["drop"].format(names=_names(ways), where=where, reason=reason, detail=detail))
    if arrived:
        parts.append("; ".join(_told(arrived)) + TEXT["end"])
    return " ".join(parts)


def _told(arrived: list[Way]) -> Iterable[str]:
    """What reaches the wire between the nodes, or, where none is between, who passed the packet on."""
    if any(wire_step(each) for each in arrived):
        for (size, added), ways in _groups((each, (wire_step(each).length, overhead(each))) for each in arrived).items():
            note = TEXT["added"].format(n=added) if added else TEXT["plain"]
            yield f"{TEXT['bytes'].format(names=_names(ways), size=size)}, {note}"
        return
    for (before, after), ways in _groups((each, (each.trace.sent.ttl, each.trace.end.packet.ttl)) for each in arrived).items():
        how = TEXT["switched" if before == after else "routed"].format(ttl=before, before=before, after=after)
        yield TEXT["hops"].format(names=_names(ways), how=how)


def _drop(trace: Trace) -> tuple[str, str, str]:
    end = trace.end
    assert isinstance(end, Dropped)
    return end.netns, end.reason, end.detail


def _groups(pairs: Iterable[tuple[Way, tuple]]) -> dict[tuple, list[Way]]:
    found: dict[tuple, list[Way]] = {}
    for each, key in pairs:
        found.setdefault(key, []).append(each)
    return found


def _names(ways: list[Way]) -> str:
    return _listed([each.title for each in ways])


def _listed(titles: list[str]) -> str:
    *rest, last = [f"“{title}”" for title in titles]
    return TEXT["and"].format(first=", ".join(rest), last=last) if rest else last
