"""The map of the course: every way in which things talk in a cluster, as one picture whose parts lead to the lessons; and its close-ups.

``MODES`` is the one list behind the picture, its text alternative and the links below it. The picture is an image with a ``data:`` address,
as every figure of the course is, so links inside the SVG would be lost; and JupyterLab takes the name of an image map away from a notebook
that is not trusted. The links are therefore transparent ``<a>`` boxes laid over the image, placed in per cent, so that they stay in place
when the image shrinks with the column. A lesson that is not there is named, and leads nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from itertools import pairwise
from os import PathLike
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..value import value
from .figure import Figure
from .render import canvas, roomy

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "alt": "A map of the four modes of communication in a Kubernetes cluster, with the way of a request from outside: {way}. {modes}",
    "alt-mode": "Mode {number}, {name}: {parts}.",
    "alt-group": "{name}: {parts}",
    "caption": "Every box is a part of the course; a click leads to its lesson, if that is there yet. "
    "The red line is a request from the Internet, as it is usually told.",
    "lesson": "lesson {number}",
    "lessons": "lessons {numbers}",
    "tag-coming": "coming: {tag}",
    "coming": "{number} · {title} (coming)",
    "there": "{number} · {title}",
    "list": "The lessons, and what you can do after each",
    "mode": "there is no mode {number!r} (there are {modes})",
    "file": "{name!r} is no lesson of this course: a lesson's name begins with one of the numbers {first} to {last}",
}


@value
class Lesson:
    """A lesson: its number, its title, and what one can do after it."""

    number: str
    title: str
    promise: str


@value
class Part:
    """A box of the map: ``label`` (name, then details, a line each), the drawing class ``kind``, and the numbers of its lessons."""

    key: str
    label: str
    kind: str
    lessons: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.label.split("\n")[0]


@value
class Group:
    """Boxes that belong together, such as the modes of kube-proxy; ``name`` "" draws no frame."""

    name: str
    kind: str
    parts: tuple[Part, ...]


@value
class Mode:
    """One of the four modes: number, who talks to whom, and the groups of boxes, a row each where ``rows`` says so."""

    number: str
    name: str
    kind: str
    groups: tuple[Group, ...]
    rows: tuple[tuple[int, ...], ...] = ((0,),)


LESSONS: tuple[Lesson, ...] = (
    Lesson("00", "The map", "name the four modes and trace a packet of each"),
    Lesson("01", "Containers in a Pod", "say why two containers cannot both listen on 8080, and what localhost means in a Pod"),
    Lesson("02", "Pods on one node", "follow a frame through veth and bridge, and say where no router was involved"),
    Lesson("03", "Overlays: VXLAN and IPIP", "read both headers of an encapsulated packet, and compute the MTU"),
    Lesson("04", "Routed and cloud: BGP and VPC", "read a node's routing table and say who wrote each line"),
    Lesson("05", "Services and DNS", "go from name to ClusterIP to endpoint to Pod, and back through conntrack"),
    Lesson("06", "Inside kube-proxy", "say which rule chose the endpoint, and why one mode scales and another does not"),
    Lesson("07", "Service types", "choose a type, say what source address the Pod sees, and why a LoadBalancer is pending"),
    Lesson("08", "Ingress", "predict which backend a request reaches, and where TLS ends"),
    Lesson("09", "Gateway API", "say who owns which object, and route by header, weight and method"),
    Lesson("10", "NetworkPolicy", "say which policy allowed or denied a connection"),
    Lesson("11", "Internet to Pod and back", "draw the whole path and its return without looking"),
    Lesson("12", "Broken clusters", "find the one cause, in the order a practitioner would look"),
    Lesson("13", "The real thing", "run the same cluster in your own kernel, and trace your own cluster's rules"),
)

MODES: tuple[Mode, ...] = (
    Mode(
        "1",
        "container ↔ container, in one Pod: nothing to configure",
        "pod",
        (
            Group(
                "",
                "",
                (
                    Part("eth0", "eth0\none address for both", "interface", ("01",)),
                    Part("app", "app container\nlistens on :8080", "interface", ("01",)),
                    Part("lo", "lo · localhost\none port space", "interface", ("01",)),
                    Part("sidecar", "log sidecar\nsame network namespace", "interface", ("01",)),
                ),
            ),
        ),
    ),
    Mode(
        "2",
        "Pod ↔ Pod: own addresses, no NAT; Kubernetes sets the rules, a CNI plug-in obeys",
        "outside",
        (
            Group(
                "2.1 on one node",
                "host",
                (
                    Part("veth", "veth pair\na cable into the Pod", "interface", ("02",)),
                    Part("bridge", "cni0 · bridge\nlayer 2; once docker0", "bridge", ("02",)),
                ),
            ),
            Group(
                "2.2 across nodes",
                "host",
                (
                    Part("vxlan", "overlay: VXLAN\nFlannel", "tunnel", ("03",)),
                    Part("ipip", "overlay: IPIP\nCalico", "tunnel", ("03",)),
                    Part("bgp", "routed: BGP\nCalico", "netfilter", ("04",)),
                    Part("vpc", "cloud: VPC\nAWS VPC CNI", "underlay", ("04",)),
                ),
            ),
        ),
        ((0, 1),),
    ),
    Mode(
        "3",
        "Pod ↔ Service: one stable address and name for Pods that come and go",
        "outside",
        (
            Group(
                "kube-proxy, on every node, turns Services into rules",
                "netfilter",
                (
                    Part("iptables", "iptables\nthe default;\nlong chains at scale", "netfilter", ("06",)),
                    Part("nftables", "nftables\nthe successor,\nstable since 1.33", "netfilter", ("06",)),
                    Part("ipvs", "IPVS\nhash tables, schedulers;\ndeprecated in 1.35", "netfilter", ("06",)),
                    Part("userspace", "userspace\nhistory:\nremoved in 1.26", "netfilter", ("06",)),
                ),
            ),
            Group("", "", (Part("service", "Service\nDNS name, ClusterIP,\nPods by label selector", "service", ("05",)),)),
            Group(
                "Service types",
                "service",
                (
                    Part("clusterip", "ClusterIP\ninside only", "service", ("05",)),
                    Part("nodeport", "NodePort\n30000–32767", "service", ("07",)),
                    Part("loadbalancer", "LoadBalancer\n+ a cloud's balancer", "service", ("07",)),
                    Part("externalname", "ExternalName\na CNAME", "service", ("05", "07")),
                ),
            ),
        ),
        ((0,), (1, 2)),
    ),
    Mode(
        "4",
        "outside → cluster",
        "outside",
        (
            Group(
                "",
                "",
                (
                    Part("ingress", "Ingress and its controller\nby host and path; ends TLS;\nnginx, Traefik, HAProxy", "outside", ("08",)),
                    Part("edge-lb", "NodePort, LoadBalancer\na port on every node, or an\naddress at a cloud balancer", "outside", ("07",)),
                    Part("gateway", "Gateway API\nthe successor: more\nexpressive, with roles", "outside", ("09",)),
                ),
            ),
        ),
    ),
)
"""The account that the course covers, mode by mode."""

CLIENT = Part("client", "client\non the Internet", "outside", ("11",))
WAY = ("client", "edge-lb", "ingress", "service", "iptables", "veth", "eth0", "app")
"""The way of a request from outside, as it is usually told."""
BESIDE = (("app", "lo"), ("lo", "sidecar"), ("veth", "bridge"))
END = "\u00a0" * 6  # bold letters are wider than Graphviz reckons: without, a long name touches its frame
GAP = "\u00a0" * 25  # between the number of a mode and its name: there the way comes through


def course_map(files: Iterable[str | PathLike[str]] = ()) -> Map:
    """The map, with links to those of ``files`` (the lessons that there are); the others are shown as coming.

    Raises :class:`~k8snetlib.errors.ModelError` for a file that is no lesson.
    """
    known, there = {lesson.number for lesson in LESSONS}, {}
    for file in files:
        name = PurePath(file).name
        if name[:2] not in known:
            raise ModelError(TEXT["file"].format(name=name, first=LESSONS[0].number, last=LESSONS[-1].number))
        there[name[:2]] = name
    return Map(Figure.of(_drawing(MODES, there), _alt(MODES), TEXT["caption"]), there)


def mode_picture(number: str, caption: str = "") -> Figure:
    """The part of the map that shows one mode."""
    modes = tuple(mode for mode in MODES if mode.number == number)
    if not modes:
        raise ModelError(TEXT["mode"].format(number=number, modes=", ".join(mode.number for mode in MODES)))
    return Figure.of(_drawing(modes, None), _alt(modes), caption)


@value
class Map:
    """The map in a notebook: the figure with a link over each box, and a list of all lessons. ``there``: number of a lesson → its file."""

    figure: Figure
    there: Mapping[str, str]

    def html(self) -> str:
        """Figure, links and list as HTML that an untrusted notebook keeps."""
        links = "".join(self._area(part, box) for part, box in _boxes(self.figure.svg))
        width = re.search(r' width="(\d+)"', self.figure.svg)[1]
        image = self.figure.html().partition("<img")[2].partition(">")[0]
        picture = f'<div style="position:relative;max-width:{width}px"><img{image}>{links}</div>'
        rows = "".join(f"<li>{self._line(lesson)}</li>" for lesson in LESSONS)
        caption = f"<figcaption>{escape(self.figure.caption)}</figcaption>"
        return f'<figure style="margin:0.5em 0">{picture}{caption}</figure><p><strong>{TEXT["list"]}</strong></p><ul>{rows}</ul>'

    def _area(self, part: Part, box: tuple[float, ...]) -> str:
        """A transparent link over a part's box; for a part of several lessons, to the first that is there."""
        file = next((self.there[number] for number in part.lessons if number in self.there), None)
        if file is None:
            return ""
        lesson = next(lesson for lesson in LESSONS if lesson.number == file[:2])
        place = ";".join(f"{side}:{number:.2f}%" for side, number in zip(("left", "top", "width", "height"), box, strict=True))
        title = escape(f"{part.name}: {TEXT['there'].format(number=lesson.number, title=lesson.title)}")
        return f'<a href="{escape(file)}" title="{title}" style="position:absolute;{place}"></a>'

    def _line(self, lesson: Lesson) -> str:
        promise = escape(lesson.promise)
        key = "there" if lesson.number in self.there else "coming"
        name = escape(TEXT[key].format(number=lesson.number, title=lesson.title))
        return f'<a href="{escape(self.there[lesson.number])}">{name}</a>: {promise}' if key == "there" else f"{name}: {promise}"

    def __str__(self) -> str:
        lines = (TEXT["there" if one.number in self.there else "coming"].format(number=one.number, title=one.title) for one in LESSONS)
        return "\n".join([self.figure.alt, "", *lines])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def _alt(modes: Iterable[Mode]) -> str:
    names = {part.key: part.name for part in _parts()}
    said = []
    for mode in modes:
        groups = []
        for group in mode.groups:
            parts = ", ".join(part.label.replace("\n", " (", 1).replace("\n", " ") + ")" for part in group.parts)
            groups.append(TEXT["alt-group"].format(name=group.name, parts=parts) if group.name else parts)
        said.append(TEXT["alt-mode"].format(number=mode.number, name=mode.name, parts="; ".join(groups)))
    return TEXT["alt"].format(modes=" ".join(said), way=", ".join(names[key] for key in WAY)) if len(said) > 1 else said[0]


def _parts() -> list[Part]:
    return [CLIENT, *(part for mode in MODES for group in mode.groups for part in group.parts)]


def _drawing(modes: tuple[Mode, ...], there: Mapping[str, str] | None) -> graphviz.Digraph:
    """The modes one below the other: a Pod's inside on top, the outside at the bottom. ``there`` None leaves the lessons out."""
    graph = canvas("course_map", nodesep="0.27", ranksep="0.34")
    whole = len(modes) > 1
    ranks: list[list[str]] = []
    for mode in modes:
        with graph.subgraph(name=f"cluster_{mode.number}") as frame:
            frame.attr(label=f"{mode.number}{GAP if whole else ' '}{mode.name}{END if whole else ''}", **{"class": mode.kind})
            for group in mode.groups:
                _group(frame, group, there, whole)
        ranks += [[part.key for index in row for part in mode.groups[index].parts] for row in mode.rows]
    if whole:
        _box(graph, CLIENT, there)
        ranks.append([CLIENT.key])
    for rank in ranks:
        with graph.subgraph() as same:
            same.attr(rank="same")
            for left, right in pairwise(rank):
                _beside(same, left, right, whole)
            same.node(rank[0])
    for upper, lower in pairwise(ranks):  # the first box of each row stands below that of the row above
        graph.edge(WAY[1] if lower == [CLIENT.key] else upper[0], lower[0], style="invis", weight="200")
    _up(graph, ranks)
    return graph


def _group(frame: graphviz.Digraph, group: Group, there: Mapping[str, str] | None, whole: bool) -> None:
    if not group.name:
        for part in group.parts:
            _box(frame, part, there)
        return
    with frame.subgraph(name=f"cluster_{group.parts[0].key}") as inner:
        crossed = whole and any(part.key in WAY for part in group.parts)
        inner.attr(label=GAP + group.name if crossed else group.name, **{"class": group.kind})
        for part in group.parts:
            _box(inner, part, there)


def _box(graph: graphviz.Digraph, part: Part, there: Mapping[str, str] | None) -> None:
    label = part.label
    if there is not None:
        tag = TEXT["lesson" if len(part.lessons) == 1 else "lessons"].format(number=part.lessons[0], numbers=", ".join(part.lessons))
        label += "\n" + (tag if set(part.lessons) & set(there) else TEXT["tag-coming"].format(tag=tag))
    tight = part.kind in ("service", "outside") and len(part.name) + 2 >= max(map(len, label.split("\n")))  # other rows are wide enough
    room = roomy(label) if tight else {}
    graph.node(part.key, label, id=f"map-{part.key}", **room, **{"class": part.kind})


def _beside(graph: graphviz.Digraph, left: str, right: str, whole: bool) -> None:
    """What stands between two neighbours of a row: a step of the way, a cable, or nothing that is seen."""
    steps = set(pairwise(WAY)) if whole else set()
    if (left, right) in steps:
        graph.edge(left, right, dir="forward", **{"class": "path"})
    elif (right, left) in steps:
        graph.edge(left, right, dir="back", **{"class": "path"})
    else:
        graph.edge(left, right, **({"class": "link"} if (left, right) in BESIDE else {"style": "invis"}))


def _up(graph: graphviz.Digraph, ranks: list[list[str]]) -> None:
    """The way from row to row, its arrows against the order of the ranks, for a request comes from below."""
    level = {key: number for number, rank in enumerate(ranks) for key in rank}
    for here, there in pairwise(WAY):
        if level.get(here, 0) > level.get(there, 0) and there in level:
            graph.edge(there, here, dir="back", **{"class": "path"})


_BOX = re.compile(r'<g [^>]*?id="map-([a-z0-9-]+)"[^>]*>.*?</g>', re.DOTALL)


def _boxes(svg: str) -> list[tuple[Part, tuple[float, ...]]]:
    """Every part with its box in the drawing: left, top, width and height in per cent of the whole."""
    parts = {part.key: part for part in _parts()}
    left, top, width, height = (float(number) for number in re.search(r'viewBox="([^"]+)"', svg)[1].split())
    shift = re.search(r"translate\(([-\d.]+)[ ,]+([-\d.]+)\)", svg)
    x0, y0 = float(shift[1]) - left, float(shift[2]) - top
    found = []
    for match in _BOX.finditer(svg):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", re.search(r' (?:d|points)="([^"]+)"', match[0])[1])]
        xs, ys = [x + x0 for x in numbers[::2]], [y + y0 for y in numbers[1::2]]
        box = min(xs) / width, min(ys) / height, (max(xs) - min(xs)) / width, (max(ys) - min(ys)) / height
        found.append((parts[match[1]], tuple(100 * number for number in box)))
    return found
