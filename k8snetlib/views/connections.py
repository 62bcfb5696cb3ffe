"""The connections of a request, from left to right: who opens each, to which address, whom the receiver sees, and where TLS ends.

It leaves out the machines in between, which :func:`~k8snetlib.views.journey_picture.journey_picture` shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kube.edge.journey import Connection, Journey
from ..linux.addresses import endpoint
from .figure import Figure
from .journey import TEXT as WORDS
from .journey import ends_tls, response
from .journey_picture import end_address, short
from .render import canvas
from .routes import matched

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "tls": "{n}. TLS", "plain": "{n}. plain HTTP", "unread": "{n}. passed on unread",
    "edge": "{kind}\nto {address}",
    "sender": "{name}\n{address}\n{method} {path}\n{site}",
    "receiver": "{name}\n{address}\nsees {peer}",
    "ends": "TLS ends here, with\n{key}",
    "own": "a certificate of its own",
    "rule": "{rule} → {backend}",
    "header": "{name}:\n{content}",
    "answers": "answers {response}",
    "lost": "✕ {reason}\nin {where}",
    "alt": "{connections} The answer is {response}.",
    "alt-connection": "Connection {n}, {kind}: {tail} to {address}, {end}.",
    "alt-sees": "received by {head}, which sees {peer}",
    "alt-lost": "lost in {where}, {reason}",
    "alt-ends": " TLS ends in {head}, with {key}.",
}  # fmt: skip
SHOWN = "X-Forwarded-For"
BESIDE = "\u00a0" * 2


def connections_picture(found: Journey, caption: str = "") -> Figure:
    """``connections_picture(cluster.journey("https://www.example.com/api"))``."""
    graph = canvas("connections", rankdir="LR", ranksep="0.4", nodesep="0.3")
    graph.attr("node", margin="0.16,0.09")
    first = found.connections[0]
    sent = found.request
    names = {"name": first.tail, "address": first.there.sent.src, "method": sent.method, "path": short(sent.path, 22)}
    label = TEXT["sender"].format(**names, site=short(f"{sent.scheme}://{sent.host}", 28))
    graph.node("0", label, **{"class": "outside" if first.tail == "client" else "pod"})
    for number, each in enumerate(found.connections, 1):
        _draw(graph, found, number, each)
    return Figure.of(graph, alt(found), caption)


def _draw(graph: graphviz.Digraph, found: Journey, number: int, each: Connection) -> None:
    if each.there.delivered:
        graph.node(str(number), "\n".join(_receiver(found, number, each)), **{"class": _class(found, each)})
    else:
        lost = TEXT["lost"].format(reason=each.there.end.reason, where=each.there.end.netns)
        graph.node(str(number), lost, **{"class": "drop"})
    label = TEXT["edge"].format(kind=_kind(number, each), address=_to(each))
    label = "\n".join(f"{BESIDE}{line}{BESIDE}" for line in (*label.split("\n"), ""))  # the last one keeps the words off the line
    graph.edge(str(number - 1), str(number), label=label, dir="forward", **{"class": "path"})


def _receiver(found: Journey, number: int, each: Connection) -> list[str]:
    """The lines of the box at the end of a connection."""
    trace = each.there
    address = end_address(trace, trace.end.netns) or trace.end.packet.dst  # a balancer has it on another device
    lines = [TEXT["receiver"].format(name=each.head, address=address, peer=trace.end.packet.src)]
    if ends_tls(found, number):
        lines.append(TEXT["ends"].format(key=_certificate(found)))
    last, decision = number == len(found.connections), found.decision
    if each is found.incoming and decision and decision.rule and decision.sent:
        lines.append(TEXT["rule"].format(rule=short(matched(decision.rule).replace("\n", ", "), 26), backend=decision.backend))
    if each is found.onward and each.request is not None:
        lines += [TEXT["header"].format(name=name, content=content) for name, content in each.request.headers if name == SHOWN]
    if last:
        lines += _wrapped(TEXT["answers"].format(response=found.response or WORDS["no-answer"]))
    return lines


def _class(found: Journey, each: Connection) -> str:
    """How the receiver's box looks: a load balancer, a controller, or the Pod at the end."""
    if found.balanced and each is found.connections[0]:
        return "outside"
    return "service" if each is found.incoming and (found.controller or found.onward) else "pod"


def _certificate(found: Journey) -> str:
    return found.certificate or TEXT["own"]


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 28)


def _kind(number: int, each: Connection) -> str:
    key = "unread" if each.request is None else "tls" if each.secure else "plain"
    return TEXT[key].format(n=number)


def _to(each: Connection) -> str:
    return endpoint(each.there.sent.dst, each.there.sent.dport)


def alt(found: Journey) -> str:
    """The picture in words."""
    told = []
    for number, each in enumerate(found.connections, 1):
        trace = each.there
        if trace.delivered:
            end = TEXT["alt-sees"].format(head=each.head, peer=trace.end.packet.src)
        else:
            end = TEXT["alt-lost"].format(where=trace.end.netns, reason=trace.end.reason)
        kind = _kind(number, each).partition(" ")[2]
        line = TEXT["alt-connection"].format(n=number, kind=kind, tail=each.tail, address=_to(each), end=end)
        if ends_tls(found, number):
            line += TEXT["alt-ends"].format(head=each.head, key=_certificate(found))
        told.append(line)
    return TEXT["alt"].format(connections=" ".join(told), response=response(found))
