"""The ways of ``ways`` as one picture: a column for each, stages lined up in rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from ..errors import ModelError
from ..kube.cni.sandbox import UNDERLAY
from ..linux.events import Dropped, Routed
from .figure import Figure
from .places import place_name
from .render import canvas, roomy
from .topology import Place
from .walk import ROUTING, steps
from .ways import STAGES, Way, arrow, layers, place

TEXT = {
    "alt": "{n} ways from {start} to {end}, side by side, stage by stage. {ways}",
    "alt-way": "{title}: {places}{drop}.",
    "alt-drop": ", dropped at {place} ({reason})",
    "drop": "dropped\n{reason}\nat {place}",
    "router": "the router",
    "empty": "there are no ways to draw",
}


def ways_diagram(found: Iterable[Way], caption: str = "") -> Figure:
    """The ways as columns, their stages lined up in rows: what one has and another lacks is seen at a glance.

    Under the nodes' interfaces stand the packet's headers on the wire, and their bytes. ModelError where there is no way.
    """
    found = tuple(found)
    if not found:
        raise ModelError(TEXT["empty"])
    graph = canvas("ways", nodesep="0.25", ranksep="0.28")
    used = [stage for stage in STAGES if any(stage in each.stages for each in found)]
    for number, each in enumerate(found):
        graph.node(f"t{number}", each.title.replace(", ", "\n", 1), group=f"g{number}", width="1.75", **{"class": "host"})
        ids = [f"t{number}"]
        for stage in used:
            if stage in each.stages:
                name = f"w{number}s{STAGES.index(stage)}"
                label = _label(each, stage)
                more = roomy(label) | {"id": f"way-{number}-{STAGES.index(stage)}", "group": f"g{number}", "class": _look(stage)}
                graph.node(name, label, **more)
                ids.append(name)
        for (one, two), hop in zip(itertools.pairwise(ids[1:]), range(len(ids)), strict=False):
            graph.edge(one, two, id=f"way-{number}-hop-{hop}", weight="20", **{"class": "path"})
        graph.edge(ids[0], ids[1], style="invis", weight="20")
        if not each.trace.delivered and isinstance(each.trace.end, Dropped):
            graph.node(f"d{number}", _drop(each), **{"class": "drop"})
            graph.edge(ids[-1], f"d{number}", **{"class": "path"})
    rows = [["t" + str(number) for number in range(len(found))]]
    rows += [[f"w{n}s{STAGES.index(stage)}" for n, each in enumerate(found) if stage in each.stages] for stage in used]
    _ranks(graph, rows)
    return Figure.of(graph, _alt(found), caption)


def _ranks(graph, rows: list[list[str]]) -> None:
    """Each row on one rank, and an invisible spine that keeps the rows in order even where a way skips some."""
    for number, row in enumerate(rows):
        with graph.subgraph() as rank:
            rank.attr(rank="same")
            rank.node(f"spine{number}", "", shape="point", width="0.01", style="invis")
            for member in row:
                rank.node(member)
            for left, right in zip([f"spine{number}", *row], row, strict=False):
                rank.edge(left, right, style="invis")
        if number:
            graph.edge(f"spine{number - 1}", f"spine{number}", style="invis", weight="50")


def _look(stage: str) -> str:
    looks = {"Pod": "pod", "bridge": "bridge", "routing": "netfilter", "tunnel": "tunnel", "underlay": "underlay"}
    return looks.get(stage.strip(), "interface")


def _label(each: Way, stage: str) -> str:
    found = each.stages[stage]
    here = found[0].place
    if stage == "underlay":
        wire = found[0]
        return "\n".join([f"{wire.length} bytes", *layers(each)])
    if stage.strip() == "Pod":
        packet = each.trace.sent
        return f"{here.netns}\n{packet.src if stage == 'Pod' else packet.dst}"
    if stage.strip() == "routing":
        route = next((e.route for s in found for e in s.events if type(e) is Routed), None)
        return f"routing\n{_short(route)}" if route else "routing"
    return here.part


def _drop(each: Way, key: str = "drop") -> str:
    """That the packet is dropped, why, and where: the columns have no box for the router."""
    place = steps(each.trace)[-1].place
    where = TEXT["router"] if place == Place(UNDERLAY, ROUTING) else place_name(place)
    return TEXT[key].format(reason=each.trace.end.reason, place=where)


def _short(route) -> str:
    words = str(route).removeprefix("local ").split()
    return f"{words[0]}\n{f'via {route.via}' if route.via else f'dev {route.dev}'}"


def _alt(found: tuple[Way, ...]) -> str:
    told = []
    for each in found:
        drop = _drop(each, "alt-drop") if not each.trace.delivered else ""
        places = ", ".join(f"{arrow(stage)} {place(stage, each)}".replace("\n", " ") for stage in each.stages)
        told.append(TEXT["alt-way"].format(title=each.title, places=places, drop=drop))
    first = found[0].trace
    end = steps(first)[-1].place.netns
    return TEXT["alt"].format(n=len(found), start=first.start, end=end, ways=" ".join(told))
