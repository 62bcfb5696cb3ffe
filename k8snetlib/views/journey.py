"""A request's journey in text and tables: who speaks to whom on each connection, what each step changed, what the controller decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from ..kube.cni.sandbox import UNDERLAY
from ..kube.edge.entry import Entry
from ..kube.edge.gateway import GatewayTable
from ..kube.edge.journey import Connection, Journey
from ..linux.addresses import endpoint
from ..linux.events import Encapsulated, Rewritten, Trace
from ..linux.packet import Packet
from .outcomes import share
from .places import of_balancer
from .routes import matched
from .tables import Table, table
from .way_picture import legs

TEXT = {
    "heads": "step|from → to|source address|destination address|changed here|tunnelled",
    "caption": "{request} → {response}: each leg of each connection, there and back",
    "there": "{n} {tail} → {head}", "back": "{n} {tail} ← {head}",
    "router": "router", "balancer": "load balancer",
    "leg": "{tail} → {head}",
    "dnat": "destination", "snat": "source",
    "yes": "yes",
    "no-answer": "no HTTP answer",
    "because": "{response} ({why})",
    "rule": "rule “{rule}” of {origin} → {backend}",
    "connection": "{n}. {tail} → {head}{tls}",
    "tls": ", TLS", "plain": ", plain HTTP", "unread": ", passed on unread",
    "balanced": "ends the client's connection and opens its own, from {address}",
    "seen": "{head} takes {peer} for its client",
    "cert": "TLS ends here, with the certificate of Secret {key}",
    "cert-own": "TLS ends here, with the controller's own certificate, as no Secret has one for this host",
    "cert-pod": "TLS ends in the Pod itself: nobody before it can read the request",
    "receiver": "Pod",
    "lost": "✕ {reason} in {where}",
    "l7": "HTTP: the request, the decision, the answer",
    "l4": "connections: {n}",
    "l3": "connection {n}, {tail} → {head}: addresses from machine to machine",
    "l2": "connection {n}, step by step: rules, routes, neighbours, frames",
    "layers": "The journey, layer by layer: open what you want to see",
    "line": "{what:<18} {text}",
    "classless": "{name} (Ingresses without a class)",
    "asked": "request", "entry": "way in", "controller": "controller", "decided": "decision", "upstream": "sent on to", "answer": "answer",
    "upstream-words": "{pod} at {address}",
    "via": "{name}, Service {service}", "pending": "{via}, which has no address outside: the client calls {address}",
    "named": "{via}, whose name {name} nobody here knows: the client calls {address}", "more": "and {n} more",
    "apart": "not attached", "mirrored": "copies to", "location": "Location: {content}",
    "pod-words": "Pod {key} on {node}",
}  # fmt: skip


MOST_APART = 5  # lines on what is not attached


def journey_table(found: Journey) -> Table:
    """Source and destination address on every leg, request and answer, and who changed them: the whole way there and back."""
    rows: list[tuple[str, ...]] = []
    for trace, back, each in _in_order(found):
        label = TEXT["back" if back else "there"].format(n=found.connections.index(each) + 1, tail=each.tail, head=each.head)
        rows += _legs(label, trace, back)
    heads = tuple(TEXT["heads"].split("|"))
    return Table(
        heads,
        tuple(rows),
        TEXT["caption"].format(request=found.request, response=response(found)),
        frozenset(heads[2:4]),
        frozenset(heads[:4]),
    )


def _in_order(found: Journey) -> Iterator[tuple[Trace, bool, Connection]]:
    """Every trace in the order of time: there, there, back, back."""
    for each in found.connections:
        yield each.there, False, each
    for each in reversed(found.connections):
        if each.back is not None:
            yield each.back, True, each


def _legs(label: str, trace: Trace, back: bool) -> Iterator[tuple[str, ...]]:
    before: Packet | None = None
    for leg in legs(trace, back=back):
        packet = leg.packet
        way = TEXT["leg"].format(tail=place(leg.tail, trace), head=place(leg.head, trace))
        changed = _changed(before, packet)
        yield (
            label,
            way,
            endpoint(packet.src, packet.sport),
            endpoint(packet.dst, packet.dport),
            changed,
            TEXT["yes"] if _tunnelled(trace, leg.tail, leg.head) else "",
        )
        before, label = packet, ""
    if not trace.delivered:
        yield label, TEXT["lost"].format(reason=trace.end.reason, where=place(trace.end.netns, trace)), "", "", "", ""


def _changed(before: Packet | None, now: Packet) -> str:
    if before is None:
        return ""
    parts = [TEXT["snat"]] if (before.src, before.sport) != (now.src, now.sport) else []
    parts += [TEXT["dnat"]] if (before.dst, before.dport) != (now.dst, now.dport) else []
    return ", ".join(parts)


def _tunnelled(trace: Trace, tail: str, head: str) -> bool:
    """Whether the packet goes from one node to the other inside another packet."""
    return any(event.netns == tail for event in trace.all(Encapsulated, 0)) and head != tail


def place(netns: str, trace: Trace) -> str:
    """A machine's name as a reader knows it: the underlay is the router, or the balancer where it acts as one."""
    if netns != UNDERLAY:
        return netns
    acted = any(event.netns == UNDERLAY and event.what != "TTL" for event in trace.all(Rewritten, 0))
    is_end = UNDERLAY in (trace.start, trace.end.netns if trace.delivered else "")
    return TEXT["balancer" if acted or is_end or _called(trace) else "router"]


def _called(trace: Trace) -> bool:
    return bool(trace.sent) and any(map(of_balancer, (trace.sent.dst, trace.sent.src)))


def response(found: Journey) -> str:
    """The answer in one line, with the reason where it is not a backend's."""
    shown = str(found.response) if found.response else TEXT["no-answer"]
    return TEXT["because"].format(response=shown, why=found.why) if found.why else shown


def ends_tls(found: Journey, number: int) -> bool:
    """Whether the receiver of a connection is the one that has the key."""
    each = found.connections[number - 1]
    later = found.connections[number:]
    return each.secure and each.there.delivered and not any(other.secure for other in later)


def decided(found: Journey) -> str:
    """What the controller decided, in one line."""
    decision = found.decision
    if decision is None:
        return ""
    if decision.rule is None:
        return decision.why
    backend = str(decision.backend) if decision.backend and not decision.response else str(decision.response)
    text = TEXT["rule"].format(rule=matched(decision.rule).replace("\n", ", "), origin=decision.rule.origin, backend=backend)
    return text if decision.share == 1 else f"{text} ({share(decision.share)})"


def facts(found: Journey) -> list[tuple[str, str]]:
    """(what, in words): the journey on one page."""
    entry: Entry = found.entry
    rows = [(TEXT["asked"], str(found.request)), (TEXT["entry"], _way_in(found))]
    if found.balanced and found.connections[0].works:
        rows.append((TEXT["balancer"], TEXT["balanced"].format(address=found.incoming.there.sent.src)))
    if found.controller:
        seen = TEXT["seen"].format(head=found.controller.name, peer=found.sees)
        rows.append((TEXT["controller"], f"{TEXT['pod-words'].format(key=found.controller.key, node=found.controller.node_name)}; {seen}"))
    if found.pod and found.entry.table is None:
        seen = TEXT["seen"].format(head=found.pod.name, peer=found.sees)
        rows.append((TEXT["receiver"], f"{TEXT['pod-words'].format(key=found.pod.key, node=found.pod.node_name)}; {seen}"))
        rows += [("TLS", TEXT["cert-pod"])] if found.request.scheme == "https" else []
    elif found.request.scheme == "https" and found.incoming.there.delivered and found.heard and (found.certificate or not _passed(found)):
        rows.append(("TLS", TEXT["cert"].format(key=found.certificate) if found.certificate else TEXT["cert-own"]))
    if found.decision:
        rows.append((TEXT["decided"], decided(found)))
        rows += [(TEXT["mirrored"], str(each.backend)) for each in found.decision.mirrors]
        if found.decision.rule is None and isinstance(entry.table, GatewayTable):
            rows += [(TEXT["apart"] if not n else "", line) for n, line in enumerate(_shortened([*entry.table.apart, *entry.table.strays]))]
    onward = found.onward
    if onward is not None:
        target = found.upstream or endpoint(onward.there.sent.dst, onward.there.sent.dport)
        rows.append((TEXT["upstream"], TEXT["upstream-words"].format(pod=onward.head, address=target)))
        if onward.request:
            rows.append(("", f"{onward.request.method} {onward.request.path}, Host: {onward.request.host}"))
            rows += [("", f"{name}: {content}") for name, content in onward.request.headers]
    rows.append((TEXT["answer"], response(found)))
    to = found.response.header("Location") if found.response else None
    return rows + ([("", TEXT["location"].format(content=to))] if to else [])


def _shortened(lines: list[str]) -> list[str]:
    """The first few, and how many there are besides."""
    rest = len(lines) - MOST_APART
    return [*lines[:MOST_APART], TEXT["more"].format(n=rest)] if rest > 0 else lines


def _way_in(found: Journey) -> str:
    entry, sent = found.entry, found.connections[0].there.sent
    name = TEXT["classless"].format(name=entry.name) if entry.name.endswith("/") else entry.name
    via = TEXT["via"].format(name=name, service=entry.service.key)
    own = any(each.ip for each in entry.service.load_balancer_ingress)
    if entry.service.type != "LoadBalancer" or own or sent.dport == found.request.port:
        return via
    names = ", ".join(each.hostname for each in entry.service.load_balancer_ingress if each.hostname)
    return TEXT["named" if names else "pending"].format(via=via, name=names, address=endpoint(sent.dst, sent.dport))


def _passed(found: Journey) -> bool:
    return found.onward is not None and found.onward.request is None


def journey_text(found: Journey) -> str:
    """The journey for a terminal: the facts, then every leg."""
    lines = [TEXT["line"].format(what=what, text=text) for what, text in facts(found)]
    return "\n".join([*lines, "", str(journey_table(found))])


def layers(found: Journey) -> str:
    """The journey as HTML whose layers fold: HTTP, connections, addresses, frames. It needs no script, and stays when a notebook is not
    trusted."""
    rows = "".join(f"<tr><td><b>{escape(what)}</b></td><td style='text-align:left'>{escape(text)}</td></tr>" for what, text in facts(found))
    parts = [_fold(TEXT["l7"], f"<table>{rows}</table>", opened=True)]
    parts.append(
        _fold(TEXT["l4"].format(n=len(found.connections)), _listed(_connection(n, each) for n, each in enumerate(found.connections, 1)))
    )
    for number, each in enumerate(found.connections, 1):
        heads = tuple(TEXT["heads"].split("|"))[1:]
        own = [row[1:] for trace, back in _both(each) for row in _legs("", trace, back)]
        words_ = {"n": number, "tail": each.tail, "head": each.head}
        parts.append(
            _fold(TEXT["l3"].format(**words_), Table(heads, tuple(own), code=frozenset(heads[1:3]), whole=frozenset(heads[:3])).html())
        )
        parts.append(_fold(TEXT["l2"].format(**words_), table(each.there).html()))
    return f"<div><p><b>{escape(TEXT['layers'])}</b></p>{''.join(parts)}</div>"


def _both(each: Connection) -> Iterator[tuple[Trace, bool]]:
    yield each.there, False
    if each.back is not None:
        yield each.back, True


def _fold(title: str, inner: str, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>{inner}</details>"


def _listed(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _connection(number: int, each: Connection) -> str:
    kind = "unread" if each.request is None else "tls" if each.secure else "plain"
    return TEXT["connection"].format(n=number, tail=each.tail, head=each.head, tls=TEXT[kind])


NOTEBOOK = {Journey: layers}
