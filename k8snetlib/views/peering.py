"""BGP sessions as pictures: who peers with whom, and how many sessions a cluster needs by its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from math import cos, pi, sin

from ..errors import ModelError
from ..kube.bgp import Converged, full_mesh, reflectors
from ..kube.bgp.topologies import Topology
from ..kube.cni.sandbox import Host
from ..linux.addresses import ip_address, ip_interface
from .figure import Figure
from .plot import curves
from .render import INK, MUTED, STYLE

SIZES = (3, 10, 25, 50, 75, 100, 150, 200)
TEXT = {
    "mesh": "full mesh", "reflectors": "{n} reflectors", "reflector": "1 reflector", "x": "nodes", "y": "BGP sessions",
    "alt": "BGP sessions against nodes. {curves}.",
    "curve": "{name}: {points}",
    "point": "{sessions:,} with {nodes} nodes",
    "caption": "Counted, one topology for each point.",
    "panels": "one to three shapes stand beside each other, not {n}",
    "title": "{title}: {count}", "sessions": "{n} sessions", "session": "1 session", "as": "AS {asn}", "reflects": "reflector",
    "router": "router",
    "alt-shapes": "Who peers with whom by BGP. {shapes}", "alt-shape": "{title}: {pairs}.", "pair": "{a} with {b}", "no-pairs": "nobody",
}  # fmt: skip


def session_curve(sizes: Sequence[int] = SIZES, reflect: int = 3) -> Figure:
    """Sessions of the full mesh, and with so many reflectors, for clusters of these sizes. ModelError for no size."""
    second = TEXT["reflector" if reflect == 1 else "reflectors"].format(n=reflect)
    found = {
        TEXT["mesh"]: [(size, session_count(size)) for size in sizes],
        second: [(size, session_count(size, reflect)) for size in sizes if size > reflect],
    }
    told = [
        TEXT["curve"].format(name=name, points=", ".join(TEXT["point"].format(nodes=n, sessions=s) for n, s in points))
        for name, points in found.items()
    ]
    return curves(found, TEXT["x"], TEXT["y"], TEXT["alt"].format(curves="; ".join(told)), TEXT["caption"])


@lru_cache(maxsize=128)
def session_count(nodes: int, reflect: int = 0) -> int:
    """The sessions among so many nodes, ``reflect`` of which are route reflectors (0: a full mesh)."""
    return len(_topology(nodes, reflect).sessions)


def _topology(nodes: int, reflect: int) -> Topology:
    hosts = [_host(number) for number in range(nodes)]
    return reflectors(hosts, [host.name for host in hosts[:reflect]]) if reflect else full_mesh(hosts)


def _host(number: int) -> Host:
    address = ip_interface(f"172.18.{number // 250}.{number % 250 + 2}/16")
    return Host(f"node-{number + 1}", (address,), (ip_address("172.18.0.1"),), ())


# Who peers with whom

PANEL, AROUND, BELOW = 286, 78, 16  # pixels: a panel's width, the circle on which its speakers stand, and the room below them
BOX_W, BOX_H = 88, 36


def peering_picture(shapes: Mapping[str, Converged], caption: str = "") -> Figure:
    """Speakers and their sessions, a panel for each of up to three shapes (title → state): reflectors are blue, routers dashed, a speaker
    that is down is pale and has no sessions. ModelError for more panels, or none.
    """
    if not 1 <= len(shapes) <= 3:
        raise ModelError(TEXT["panels"].format(n=len(shapes)))
    parts = [part for number, (title, bgp) in enumerate(shapes.items()) for part in _panel(title, bgp, number * PANEL)]
    alt = TEXT["alt-shapes"].format(shapes=" ".join(_told(title, bgp) for title, bgp in shapes.items()))
    lowest = max(y for bgp in shapes.values() for _, y in _places(bgp, 0).values())
    high = round(lowest + BOX_H / 2 + BELOW)
    size = f'width="{PANEL * len(shapes)}" height="{high}" viewBox="0 0 {PANEL * len(shapes)} {high}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label="{escape(alt)}" {size}>'
    plate = f'<rect class="plate" x=".5" y=".5" width="{PANEL * len(shapes) - 1}" height="{high - 1}" rx="8"/>'
    return Figure(f"{head}<style>{STYLE}{LOOK}</style>{plate}{''.join(parts)}</svg>", alt, caption)


def _panel(title: str, bgp: Converged, left: float) -> Iterator[str]:
    middle, speakers = left + PANEL / 2, bgp.topology.speakers
    count = TEXT["sessions" if len(bgp.sessions) != 1 else "session"].format(n=len(bgp.sessions))
    yield _line(middle, 22, TEXT["title"].format(title=title, count=count), "peer-title")
    places = _places(bgp, left)
    for session in bgp.sessions:
        (x1, y1), (x2, y2) = places[session.a], places[session.b]
        yield f'<path class="peer-session" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
    for name, (x, y) in places.items():
        speaker, router = speakers[name], not bgp.own.get(name)
        look = "reflector" if speaker.cluster_id else "router" if router else "node"
        box = f'<rect class="peer-{look}" x="{x - BOX_W / 2:.1f}" y="{y - BOX_H / 2:.1f}" width="{BOX_W}" height="{BOX_H}" rx="9"/>'
        under = TEXT["reflects" if speaker.cluster_id else "as"].format(asn=speaker.asn)
        words = _line(x, y - 2, TEXT["router"] if router else name, "peer-name") + _line(x, y + 11, under, "peer-as")
        yield f'<g class="{"dim" if name in bgp.gone else ""}">{box}{words}</g>'


def _places(bgp: Converged, left: float) -> dict[str, tuple[float, float]]:
    """Speaker → the middle of its box; the first stands on top, the others clockwise from there."""
    turns = {name: 2 * pi * number / len(bgp.topology.speakers) for number, name in enumerate(bgp.topology.speakers)}
    return {name: (left + PANEL / 2 + 1.15 * AROUND * sin(turn), 132 - 0.9 * AROUND * cos(turn)) for name, turn in turns.items()}


def _told(title: str, bgp: Converged) -> str:
    pairs = ", ".join(TEXT["pair"].format(a=session.a, b=session.b) for session in bgp.sessions)
    return TEXT["alt-shape"].format(title=title, pairs=pairs or TEXT["no-pairs"])


def _line(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(words)}</text>'


LOOK = "".join(
    f".k8snet.k8snet .peer-{rule}"
    for rule in (
        f"title{{font-size:12.5px;font-weight:600;fill:{INK}}}",
        f"name{{font-size:11.5px;font-weight:600;fill:{INK}}}",
        f"as{{font-size:10.5px;fill:{MUTED}}}",
        "session{stroke:#1a66cc;stroke-width:2}",
        "node{fill:#f2f6fc;stroke:#52606d;stroke-width:1.2}",
        "reflector{fill:#e3eefd;stroke:#1a66cc;stroke-width:2}",
        "router{fill:#ffffff;stroke:#52606d;stroke-width:1.2;stroke-dasharray:5 3}",
    )
)
