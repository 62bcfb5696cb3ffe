"""Lesson 06: one Service under each mode of kube-proxy: which rule chose the endpoint, with what probability, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from html import escape
from random import Random

import ipywidgets

from ..kube import scale
from ..linux.engine import Chance, after, trace, traces
from ..linux.events import Matched, Rewritten, Scheduled, Trace
from ..linux.packet import tcp
from ..linux.state import Network
from ..views.outcomes import all_outcomes, examined, share
from ..views.plot import columns
from ..views.scale import COUNTS, LIVE, MODES, computed, cost_curve
from .base import HANDLE, Answer, Explorer
from .twin import table

CONNECTIONS = 1000
MOST_ENDPOINTS, MOST_LOOKED_AT = 8, 20
FIRST = {"mode": "iptables", "services": 100, "endpoints": 3, "number": 1}
TEXT = {
    "title": "Inside kube-proxy: who chose the endpoint",
    "mode": "Mode:", "services": "Services:", "endpoints": "Endpoints:", "number": "Connection:",
    "modes": {"iptables": "iptables (default)", "nftables": "nftables (stable since 1.33)", "ipvs": "IPVS (deprecated in 1.35)"},
    "summary": "Connection {number} goes to {end}: {how}. {cost:,} rules looked at on the sender's node.",
    "chance": "chosen by chance, {share}",
    "only": "the only endpoint",
    "turn": "its turn, by the scheduler rr",
    "endpoints-table": "Endpoints of the last Service, {ip}:80",
    "columns": "endpoint|probability written in its rule|chance, exact|of {n} connections",
    "here": "{end} ◀ connection {number}",
    "none": "none: whoever comes this far",
    "element": "{index} of numgen random mod {count}",
    "weight": "weight 1, in turn",
    "turns": "in turn",
    "rules": "The rules that matched, in order, up to the translation",
    "scheduler": "IPVS: -A -t {key} -s {scheduler}   chose   -a -t {key} -r {real} -m -w {weight}",
    "histogram": "Of {n} connections with seeded chance ({n} fixed draws, the same for everybody)",
    "histogram-turns": "Of {n} connections, in turn",
    "histogram-alt": "How many of {n} connections each endpoint gets, and how many were expected: {bars}.",
    "bar": "{end} {count}, expected {wanted:.1f}",
    "expected": "Bar: the connections that it gets. Line and number below: what its exact chance promises.",
}  # fmt: skip


class ProxyExplorer(Explorer):
    """Mode, Services and endpoints of a cluster; one of a thousand connections to look at."""

    def __init__(self) -> None:
        label = {"description_width": "6em"}
        wide = {"width": "30em", "max_width": "100%"}
        names = [(TEXT["modes"][mode], mode) for mode in MODES]
        sizes = [(f"{count:,}", count) for count in COUNTS]
        slider = {"style": label | HANDLE, "layout": wide}
        controls = {
            "mode": ipywidgets.Dropdown(
                options=names, value=FIRST["mode"], description=TEXT["mode"], style=label, layout={"width": "25em"}
            ),
            "services": ipywidgets.SelectionSlider(options=sizes, value=FIRST["services"], description=TEXT["services"], **slider),
            "endpoints": ipywidgets.IntSlider(FIRST["endpoints"], 1, MOST_ENDPOINTS, description=TEXT["endpoints"], **slider),
            "number": ipywidgets.IntSlider(FIRST["number"], 1, MOST_LOOKED_AT, description=TEXT["number"], **slider),
        }
        super().__init__(TEXT["title"], view, controls, [["mode", "services"], ["endpoints", "number"]])


def view(mode: str, services: int, endpoints: int, number: int) -> Answer:
    """One connection, and a thousand of them: pure."""
    small = min(services, LIVE)
    told = connection(mode, services, endpoints, number)
    cost = examined(told, scale.NODE) + computed()[mode][services] - computed()[mode][small]  # the others are one rule each at most
    chances = weights(mode, services, endpoints)
    order, counts = list(chances), thousand(mode, services, endpoints)
    if mode == "ipvs":
        order = sorted(order)
        counts = {end: counts[end] for end in order}
    chosen = _end(told)
    how = TEXT["turn"] if mode == "ipvs" else TEXT["only"] if endpoints == 1 else TEXT["chance"].format(share=share(chances[chosen]))
    expected = [float(chances[end]) * CONNECTIONS for end in order]
    bars = ", ".join(TEXT["bar"].format(end=end, count=counts[end], wanted=w) for end, w in zip(order, expected, strict=True))
    names = {end.rpartition(":")[0]: counts[end] for end in order}
    title = TEXT["histogram-turns" if mode == "ipvs" else "histogram"].format(n=CONNECTIONS)
    caption = TEXT["columns"].format(n=CONNECTIONS).split("|")
    about = TEXT["endpoints-table"].format(ip=scale.cluster_ip(services - 1))
    rows = list(_rows(told, mode, order, chances, counts, number, chosen))
    blocks = (
        table(caption, rows, about),
        f'<p class="note">{escape(TEXT["rules"])}</p><pre>{escape(chr(10).join(deciding(told)))}</pre>',
        columns(names, expected, title, TEXT["histogram-alt"].format(n=CONNECTIONS, bars=bars), TEXT["expected"]),
        cost_curve(here=services, height=250),
    )
    return Answer(TEXT["summary"].format(number=number, end=chosen, how=how, cost=cost), blocks)


@lru_cache(maxsize=256)
def _network(mode: str, services: int, endpoints: int) -> Network:
    """The node of that cluster; of a large one with its last Services alone, which are chosen among in the same way."""
    return scale.network(mode, services, endpoints, max(0, services - LIVE))


def _packet(services: int, number: int):
    return tcp("10.244.1.2", scale.cluster_ip(services - 1), 80, sport=40000 + number)


@lru_cache(maxsize=512)
def connection(mode: str, services: int, endpoints: int, number: int) -> Trace:
    """The connection with that number, from 1; in IPVS the ones before it are made first, since they move the scheduler on."""
    network = _network(mode, services, endpoints)
    if mode == "ipvs" and number > 1:
        before = connection(mode, services, endpoints, number - 1)
        network = after(before.network, before)
    return trace(network, scale.CLIENT, _packet(services, number), dice(number))


def dice(number: int) -> Chance:
    """Seeded answers to chance for the connection with that number."""
    rng = Random(number)
    return lambda match, probability: rng.randrange(probability.denominator) < probability.numerator


@lru_cache(maxsize=256)
def weights(mode: str, services: int, endpoints: int) -> dict[str, Fraction]:
    """Endpoint → its exact chance, in the order of the rules; in IPVS an equal share, since each has its turn."""
    if mode == "ipvs":
        turns = [_end(connection(mode, services, endpoints, number)) for number in range(1, endpoints + 1)]
        return {end: Fraction(turns.count(end), endpoints) for end in turns}
    found = all_outcomes(traces(_network(mode, services, endpoints), scale.CLIENT, _packet(services, 1)))
    return {_end(each.trace): each.weight for each in found}


@lru_cache(maxsize=256)
def thousand(mode: str, services: int, endpoints: int) -> dict[str, int]:
    """How many of a thousand connections each endpoint gets: the exact chances, asked in the order of the rules, with seeded answers."""
    chances = weights(mode, services, endpoints)
    counts = dict.fromkeys(chances, 0)
    for number in range(1, CONNECTIONS + 1):
        counts[list(chances)[(number - 1) % endpoints] if mode == "ipvs" else draw(chances, dice(number))] += 1
    return counts


def draw(chances: dict[str, Fraction], answer: Chance) -> str:
    """One endpoint, as the rules choose it: the first is asked, then, of those that are left, the next."""
    left = Fraction(1)
    for end, weight in list(chances.items())[:-1]:
        if answer(None, weight / left):
            return end
        left -= weight
    return next(reversed(chances))


def _end(told: Trace) -> str:
    packet = told.end.packet
    return f"{packet.dst}:{packet.dport}"


def _rows(told: Trace, mode: str, order: Sequence[str], chances, counts, number: int, chosen: str) -> Iterator[tuple[str, ...]]:
    for index, end in enumerate(order):
        name = escape(TEXT["here"].format(end=end, number=number) if end == chosen else end)
        shown = TEXT["turns"] if mode == "ipvs" else share(chances[end])
        yield f"<code>{name}</code>", escape(_written(told, mode, index, len(order))), escape(shown), str(counts[end])


def _written(told: Trace, mode: str, index: int, count: int) -> str:
    """What stands in the rules about this endpoint's chance."""
    if mode == "ipvs":
        return TEXT["weight"]
    if mode == "nftables":
        return TEXT["element"].format(index=index, count=count)
    chain = next(event.chain for event in told.all(Matched, 0) if event.chain.startswith("KUBE-SVC-"))
    rules = told.network[scale.NODE].rulesets[4].tables["nat"].lines_of(chain)[1:]
    _, found, rest = rules[index].partition("--probability ")
    return rest.split()[0] if found else TEXT["none"]


def deciding(told: Trace) -> list[str]:
    """The rules that matched before the destination was translated, as the real tool lists them; for IPVS the scheduler's choice too."""
    lines = []
    for event in told.of(0):
        if isinstance(event, Matched) and event.rule is not None and event.netns == scale.NODE:
            lines.append(str(event.rule) + (f"   ⇒   {event.element}" if event.element else "") if event.family else
                         f"-t {event.table} -A {event.chain} {event.rule}")  # fmt: skip
        elif isinstance(event, Scheduled):
            words = {"key": event.server.key, "scheduler": event.server.scheduler, "real": event.real, "weight": event.real.weight}
            lines.append(TEXT["scheduler"].format(**words))
        if isinstance(event, (Scheduled, Rewritten)) and getattr(event, "what", "DNAT") == "DNAT":
            break
    return lines
