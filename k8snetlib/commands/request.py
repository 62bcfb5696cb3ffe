"""``k8snet trace --to https://HOST/PATH``: a request's whole journey, through the controller of an Ingress or a Gateway."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..kube.hints import hints
from .output import print_json

if TYPE_CHECKING:
    from ..kube.cluster import Cluster
    from ..kube.edge.http import Pairs
    from ..kube.edge.journey import Connection, Journey

TEXT = {
    "note": "note: {words}",
    "clash": "--to URL follows a whole request, so it does not go with {others}",
    "header": "--header takes NAME: VALUE, not {given!r}",
    "packets": "the packets of connection {n}, {tail} → {head}",
    "back": "the packets of connection {n}, {tail} ← {head}, the answer",
    "only": "{options}: only with --to http://… or https://…",
}
_FOREIGN = ("all", "compare", "ways", "proto", "pcap", "family", "namespace")
_OWN = ("method", "header", "entry", "via")


def is_url(target: str) -> bool:
    """Whether the target is a URL, and so asks for a journey."""
    return target.lower().startswith(("http://", "https://"))


def check(options: argparse.Namespace) -> None:
    """ModelError for options that do not go together."""
    if is_url(options.target):
        clash = [f"--{name}" for name in _FOREIGN if getattr(options, name)]
        if clash:
            raise ModelError(TEXT["clash"].format(others=" and ".join(clash)))
    else:
        foreign = [f"--{name}" for name in _OWN if getattr(options, name)]
        if foreign:
            raise ModelError(TEXT["only"].format(options=" and ".join(foreign)))


def run(options: argparse.Namespace, cluster: Cluster) -> int:
    """Follow the request and print; 0 if it is answered with a status below 400."""
    from ..views.journey import journey_text

    headers = tuple(map(_header, options.header or ()))
    found = cluster.journey(options.target, options.method or "GET", headers, source=options.source, name=options.entry, via=options.via)
    more = hints(cluster, [each.there for each in found.connections])
    if options.json:
        print_json(document(found), cluster, (*cluster.edge.notes, *more))
    else:
        for words in more:
            print(TEXT["note"].format(words=words), file=sys.stderr)
        print(journey_text(found))
        if not options.short:
            _packets(found, options.reply)
    return 0 if found.response is not None and found.response.status < 400 else 1


def _header(given: str) -> tuple[str, str]:
    name, colon, content = given.partition(":")
    if not colon or not name.strip():
        raise ModelError(TEXT["header"].format(given=given))
    return name.strip(), content.strip()


def _packets(found: Journey, reply: bool) -> None:
    """Step by step, each connection; with ``reply`` the answers as well, in the order of time."""
    from ..views.text import text

    for number, each in enumerate(found.connections, 1):
        print(f"\n# {TEXT['packets'].format(n=number, tail=each.tail, head=each.head)}\n{text(each.there, verbose=False)}")
    for number, each in reversed(list(enumerate(found.connections, 1)) if reply else []):
        if each.back is not None:
            print(f"\n# {TEXT['back'].format(n=number, tail=each.tail, head=each.head)}\n{text(each.back, verbose=False)}")


def document(found: Journey) -> dict:
    """A journey as JSON has it."""
    from ..views.document import document as walk

    decision = found.decision
    return {
        "request": str(found.request),
        "entry": found.entry.name,
        "service": found.entry.service.key,
        "controller": found.controller.key if found.controller else None,
        "seenAs": found.sees or None,
        "certificate": found.certificate or None,
        "rule": str(decision.rule.origin) if decision and decision.rule else None,
        "listener": decision.listener or None if decision else None,
        "backend": str(decision.backend) if decision and decision.backend else None,
        "share": str(decision.share) if decision else None,
        "mirrors": [str(each.backend) for each in decision.mirrors] if decision else [],
        "pod": found.pod.key if found.pod else None,
        "status": found.response.status if found.response else None,
        "headers": _merged(found.response.headers) if found.response else {},
        "why": found.why,
        "connections": [_connection(each, walk) for each in found.connections],
    }


def _merged(headers: Pairs) -> dict[str, str]:
    """Headers by name, as first written; several of one name are one, with commas (RFC 9110, 5.3)."""
    out: dict[str, tuple[str, str]] = {}
    for name, content in headers:
        first, before = out.get(name.lower(), (name, ""))
        out[name.lower()] = first, f"{before},{content}" if name.lower() in out else content
    return dict(out.values())


def _connection(each: Connection, walk) -> dict:
    sent = each.request
    return {
        "from": each.tail, "to": each.head, "tls": each.secure,
        "request": None if sent is None else {"method": sent.method, "host": sent.host, "path": sent.path, "headers": _merged(sent.headers)},
        "there": walk(each.there), "back": walk(each.back) if each.back else None,
    }  # fmt: skip
