"""Rules of HTTP routing as tables: in the order in which they are tried, and with the reason why each does, or does not, answer."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.entry import Table as Entrance
from ..kube.edge.entry import entries, in_use
from ..kube.edge.filters import Cors, Mirror, Redirect, RequestHeaders, ResponseHeaders, Rewrite
from ..kube.edge.fronts import hosts
from ..kube.edge.http import Action, Backend, Match, Pairs, Request, Rule, request
from ..kube.edge.ingress import IngressTable
from ..kube.edge.router import Considered, Router, considered
from ..kube.edge.routing import Decision
from ..value import value
from .outcomes import share
from .tables import Table

TEXT = {
    "rules": "order|host|matches|goes to|written in",
    "why": "order|host|matches|this request|goes to",
    "caption": "Rules of {name}, in the order in which they are tried",
    "listener": "{name}, port {port}",
    "any": "any",
    "everything": "everything else", "unread": "whatever comes",
    "fits": "✓ answers",
    "later": "fits, but comes later",
    "alone": "fits, but is not asked",
    "host": "✕ host",
    "path": "✕ path", "method": "✕ method", "header": "✕ header {name}", "query": "✕ query {name}",
    "asked": "{request} at {name}: {result}",
    "to": "{backend}",
    "weighted": "{backend} ({share})",
    "problem": "{backend} ✕ {problem}",
    "redirect": "redirect {status}",
    "rewrite": "rewrite", "request-headers": "request headers", "response-headers": "response headers", "mirror": "mirror to {backend}",
    "cors": "CORS",
    "no-backend": "no backend: 500",
    "answers": "request|host of the rule|rule|goes to",
    "no-rule": "none fits", "no-host": "none",
    "outcomes": "share|status|backend|sent as|why",
    "pod": "its Pod's",
    "no-answer": "none",
    "shares": "{request}: what may become of it",
    "which": "which table of rules? There are {names}",
    "no-name": "there is no {name!r} here (there are {names})",
    "header-line": "{name}: {content}",
}  # fmt: skip


@value
class Routed:
    """A request at a way in: every rule that was looked at, and the outcomes."""

    name: str
    request: Request
    rules: tuple[Considered, ...]
    decisions: tuple[Decision, ...]

    def __repr__(self) -> str:
        return str(why_table(self))


def find_table(cluster: Cluster, name: str = "") -> tuple[str, Entrance]:
    """(name, table) of ``ingress/CLASS`` or ``gateway/NAMESPACE/NAME``, or of the only one. ModelError if that is none, or several."""
    known = entries(cluster)
    names = ", ".join(known) or "none"
    if name and name not in known:
        raise ModelError(TEXT["no-name"].format(name=name, names=names))
    used = [name] if name else in_use(known)
    if len(used) != 1:
        raise ModelError(TEXT["which"].format(names=names))
    name = used[0]
    return name, known[name]


def routed(
    cluster: Cluster, url: str | Request, method: str = "GET", headers: Mapping[str, str] | Pairs = (), *, name: str = "", sni: str = ""
) -> Routed:
    """What the rules make of a request, without a packet: ``routed(cluster, "http://www.example.com/api")``. No rule is looked at where the
    request does not come so far, as one that is misdirected."""
    sent = url if isinstance(url, Request) else request(url, method, headers, sni=sni)
    name, table = find_table(cluster, name)
    decisions = table.decide(sent)
    asked = (table.router, sent) if isinstance(table, IngressTable) else table.rules_for(sent)
    return Routed(name, sent, considered(*asked) if asked else (), decisions)


def routing_table(cluster: Cluster, name: str = "") -> Table:
    """Every rule of a way in, in its order: host, what has to match, where it goes, and in which object it stands."""
    name, table = find_table(cluster, name)
    rows: list[tuple[str, ...]] = []
    if isinstance(table, IngressTable):
        rows += _rows(table.router)
    else:
        for each in table.listeners:
            words = TEXT["listener"].format(name=each.listener.name, port=each.listener.port)
            rows += [(order, f"{host}\n({words})", *rest) for order, host, *rest in _rows(each.router)]
    heads = tuple(TEXT["rules"].split("|"))
    return Table(heads, tuple(rows), TEXT["caption"].format(name=name), frozenset({heads[2]}), frozenset(heads[:2]))


def _rows(router: Router) -> list[tuple[str, ...]]:
    found = [(host, rule) for host in hosts(router) for rule in router.table(host).rules]
    rows = [(str(n), host or TEXT["any"], matched(rule), goes_to(rule.action), str(rule.origin)) for n, (host, rule) in enumerate(found, 1)]
    if router.default is not None:
        rows.append((str(len(rows) + 1), TEXT["any"], TEXT["everything"], goes_to(router.default.action), str(router.default.origin)))
    return rows


def why_table(found: Routed) -> Table:
    """Every rule with the reason why it does, or does not, answer this request."""
    rows = []
    for number, each in enumerate(found.rules, 1):
        rows.append((str(number), each.host or TEXT["any"], matched(each.rule), reason(each.why), goes_to(each.rule.action)))
    heads = tuple(TEXT["why"].split("|"))
    caption = TEXT["asked"].format(request=found.request, name=found.name, result=result(found))
    return Table(heads, tuple(rows), caption, frozenset({heads[2]}), frozenset(heads[:2]) | {heads[3]})


def reason(why: str) -> str:
    """In words: why a rule does, or does not, answer."""
    kind, _, name = why.partition(" ")
    return TEXT[kind or "fits"].format(name=name)


def result(found: Routed) -> str:
    """Where the request goes, in one line."""
    parts = []
    for each in found.decisions:
        end = str(each.response) if each.response else str(each.backend) if each.backend else TEXT["no-answer"]
        if each.response and each.why:
            end = f"{end}, {each.why}"
        parts.append(end if each.share == 1 else TEXT["weighted"].format(backend=end, share=share(each.share)))
    return "; ".join(parts)


def answers(cluster: Cluster, *urls: str, name: str = "") -> Table:
    """Several requests, each with the rule that answers it and where it goes: ``answers(cluster, "http://www.example.com/api")``."""
    rows = []
    for url in urls:
        found = routed(cluster, url, name=name)
        rule = next((each for each in found.rules if not each.why), None)
        if rule is None:
            cells = TEXT["no-host"], TEXT["no-rule"]
        else:
            match = matched(rule.rule)
            cells = rule.host or TEXT["any"], match
        rows.append((url.partition("://")[2] if url.startswith("http://") else url, *cells, result(found)))
    heads = tuple(TEXT["answers"].split("|"))
    return Table(heads, tuple(rows), code=frozenset({heads[0], heads[2]}), whole=frozenset(heads[:3]))


def outcome_table(found: Routed) -> Table:
    """Every outcome: its share, the status, the backend, and the request as that sees it."""
    rows = []
    for each in found.decisions:
        status = str(each.response) if each.response else TEXT["pod"] if each.backend else TEXT["no-answer"]
        sent = (
            ""
            if each.sent is None
            else "\n".join([f"{each.sent.method} {each.sent.path}", f"Host: {each.sent.host}", *map(_line, each.sent.headers)])
        )
        rows.append((share(each.share), status, str(each.backend or ""), sent, each.why))
    heads = tuple(TEXT["outcomes"].split("|"))
    return Table(heads, tuple(rows), TEXT["shares"].format(request=found.request), frozenset({heads[3]}), frozenset(heads[:3]))


def _line(pair: tuple[str, str]) -> str:
    return TEXT["header-line"].format(name=pair[0], content=pair[1])


def matched(rule: Rule) -> str:
    """What a rule is for, in one cell: its match, or that it is for what no other takes (a default backend), or for whatever comes (a route
    that reads no HTTP)."""
    if rule.origin.kind in ("TLSRoute", "TCPRoute", "UDPRoute"):
        return TEXT["unread"]
    return words(rule.match) if rule.origin.rule is not None else TEXT["everything"]


def words(match: Match) -> str:
    """A match in one cell: the path first, each further condition on a line of its own."""
    more = [match.method] if match.method else []
    more += [str(each) for each in match.headers] + [f"?{each}" for each in match.query]
    return "\n".join([str(match.path), *more])


def goes_to(action: Action) -> str:
    """What a rule does with a request, in one cell."""
    lines = [_filter(each) for each in action.filters]
    total = sum(each.weight for each in action.backends)
    for each in action.backends:
        lines.append(_backend(each, Fraction(each.weight, total) if total else Fraction(0)))
    if not action.backends and not any(isinstance(each, Redirect) for each in action.filters):
        lines.append(TEXT["no-backend"])
    return "\n".join(lines)


def _backend(backend: Backend, part: Fraction) -> str:
    shown = str(backend) if part == 1 else TEXT["weighted"].format(backend=backend, share=share(part))
    return TEXT["problem"].format(backend=shown, problem=backend.problem) if backend.problem else shown


def _filter(each: object) -> str:
    names = {Rewrite: "rewrite", RequestHeaders: "request-headers", ResponseHeaders: "response-headers", Cors: "cors"}
    if isinstance(each, Redirect):
        return TEXT["redirect"].format(status=each.status)
    if isinstance(each, Mirror):
        return TEXT["mirror"].format(backend=each.backend)
    return TEXT[names[type(each)]] if type(each) in names else type(each).__name__


def _why_html(found: Routed) -> str:
    return why_table(found).html()


NOTEBOOK = {Routed: _why_html}
