"""A request and the rules that decide on it, as a picture: listener, host, rule, backends, Pods; the way taken is the thick line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..kube.cluster import Cluster
from ..kube.edge.gateway import GatewayTable
from ..kube.edge.http import Pairs, Request, Rule
from ..kube.edge.router import Considered
from ..kube.edge.routing import Decision
from .figure import Figure
from .outcomes import share
from .render import canvas
from .routes import Routed, find_table, matched, reason, result, routed

if TYPE_CHECKING:
    import graphviz

TEXT = {
    "request": "{method} {path}\nHost: {host}{headers}",
    "tls": "\nTLS for {sni}",
    "listener": "listener {name}\n{protocol} on port {port}\nfor {host}",
    "any": "any host",
    "host": "host {host}",
    "rule": "{number}. {match}",
    "default": "{number}. everything else",
    "more": "and {n} more rules", "more-hosts": "and {n} more hosts",
    "other": "host {host}\n{why}, {n} rules",
    "other-one": "host {host}\n{why}, 1 rule",
    "backend": "Service {name}\nport {port}",
    "answer": "{response}\n{why}",
    "no-answer": "no HTTP answer\n{why}",
    "pod": "{pod}\n{address}",
    "alt": "{request}. {rules}. Result: {result}.",
    "alt-rule": "Rule {number}, {match} for {host}: {why}",
    "alt-none": "No rule is for this host",
}  # fmt: skip
MOST_RULES, MOST_HOSTS, MOST_PODS, WRAP = 6, 4, 4, 30
BESIDE = "\u00a0" * 4


def route_picture(
    cluster: Cluster,
    url: str | Request,
    method: str = "GET",
    headers: Mapping[str, str] | Pairs = (),
    *,
    name: str = "",
    sni: str = "",
    caption: str = "",
) -> Figure:
    """``route_picture(cluster, "http://www.example.com/api")``: how the rules of a way in decide on a request. ModelError as ``routed``."""
    found = routed(cluster, url, method, headers, name=name, sni=sni)
    return picture(cluster, found, caption)


def picture(cluster: Cluster, found: Routed, caption: str = "") -> Figure:
    """The picture of a request that has been routed already."""
    return Figure.of(_Drawing(cluster, found).draw(), alt(found), caption)


class _Drawing:
    def __init__(self, cluster: Cluster, found: Routed) -> None:
        self.cluster, self.found = cluster, found
        self.graph: graphviz.Digraph = canvas("route", ranksep="0.5", nodesep="0.3")
        self.graph.attr("node", margin="0.28,0.09")
        self.last = "request"

    def draw(self) -> graphviz.Digraph:
        sent = self.found.request
        headers = "".join(f"\n{name}: {content}" for name, content in sent.headers)
        label = TEXT["request"].format(method=sent.method, path=_cut(sent.path), host=sent.host, headers=headers)
        label += TEXT["tls"].format(sni=sent.server_name) if sent.scheme == "https" else ""
        self.graph.node("request", label, **{"class": "outside"})
        self._listeners()
        chosen = self._rules()
        for number, decision in enumerate(self.found.decisions):
            self._outcome(number, decision, chosen)
        return self.graph

    def _step(self, node: str, label: str, kind: str, taken: bool, text: str = "", *, asked: bool = False) -> None:
        """A box and the line to it. What was asked and does not answer is plain, and what was not even asked is dim."""
        self.graph.node(node, label, **{"class": kind if taken else "interface" if asked else f"{kind} dim"})
        self.graph.edge(self.last, node, label=BESIDE + text if text else "", dir="forward", **{"class": "path" if taken else "link dim"})

    def _listeners(self) -> None:
        """The listeners, the chosen one in the way."""
        _, table = find_table(self.cluster, self.found.name)
        if not isinstance(table, GatewayTable):
            return
        chosen = next((each for each in table.listeners if each.status.name == self.found.decisions[0].listener), None)
        for number, each in enumerate(table.listeners):
            one = each.listener
            label = TEXT["listener"].format(name=one.name, protocol=one.protocol, port=one.port, host=one.hostname or TEXT["any"])
            self._step(f"listener{number}", label, "service", each is chosen, asked=one.port == self.found.request.port)
        if chosen is not None:
            self.last = f"listener{table.listeners.index(chosen)}"

    def _rules(self) -> str:
        """The rules of the host that fits, in their order; other hosts as one box each. Returns the node of the rule that answers."""
        fitting = [(number, each) for number, each in enumerate(self.found.rules, 1) if each.why != "host"]
        others: dict[str, int] = {}
        for each in self.found.rules:
            if each.why == "host":
                others[each.host] = others.get(each.host, 0) + 1
        before = self.last
        answers = next((each for _, each in fitting if not each.why), None)
        node = ""
        hosts = list(dict.fromkeys(each.host for _, each in fitting))
        for place, host in enumerate(hosts):
            mine = [(number, each) for number, each in fitting if each.host == host]
            self.last = before
            taken = any(each is answers for _, each in mine)
            self._step(f"host{place}", TEXT["host"].format(host=host) if host else TEXT["any"], "bridge", taken, asked=True)
            self.last = f"host{place}"
            node = self._host_rules(place, mine) or node
        self.last = before
        shown = list(others.items()) if len(others) <= MOST_HOSTS else list(others.items())[: MOST_HOSTS - 1]
        for place, (host, count) in enumerate(shown):
            label = TEXT["other-one" if count == 1 else "other"].format(host=host, n=count, why=reason("host"))
            self._step(f"other{place}", label, "bridge", False, asked=True)
        if len(shown) < len(others):
            self._step("more-hosts", TEXT["more-hosts"].format(n=len(others) - len(shown)), "bridge", False, asked=True)
        return node or before

    def _host_rules(self, place: int, mine: list[tuple[int, Considered]]) -> str:
        node = ""
        shown = (
            mine
            if len(mine) <= MOST_RULES
            else [each for each in mine if not each[1].why] + [e for e in mine if e[1].why][: MOST_RULES - 2]
        )
        for number, each in sorted(shown, key=lambda pair: pair[0]):
            key = "rule" if each.rule.origin.rule is not None else "default"
            label = TEXT[key].format(number=number, match=_cut(matched(each.rule)))
            label += f"\n{reason(each.why)}" if each.why else ""
            self._step(f"rule{number}", label, "netfilter", not each.why, asked=True)
            node = node if each.why else f"rule{number}"
        if len(shown) < len(mine):
            self._step(f"more{place}", TEXT["more"].format(n=len(mine) - len(shown)), "netfilter", False, asked=True)
        return node

    def _outcome(self, number: int, decision: Decision, chosen: str) -> None:
        """A backend with its Pods, or the answer that is given at once."""
        self.last = chosen
        text = share(decision.share) if decision.share != 1 else ""
        if decision.backend is None or decision.response is not None:
            key = "answer" if decision.response else "no-answer"
            label = TEXT[key].format(response=decision.response, why=_wrapped(decision.why)).strip()
            self._step(f"end{number}", label, "drop", True, text)
            return
        backend = decision.backend
        label = TEXT["backend"].format(name=backend.key, port=backend.port)
        self._step(f"backend{number}", label, "service", True, text)
        self.last = f"backend{number}"
        places = self.cluster.edge.backends.upstreams(backend)
        for index, each in enumerate(places[:MOST_PODS]):
            name = each.pod.rpartition("/")[2] or "Pod"
            self._step(
                f"pod{number}-{index}",
                TEXT["pod"].format(pod=name, address=each),
                "pod",
                True,
                share(_part(len(places))) if len(places) > 1 else "",
            )


def _part(count: int):
    from fractions import Fraction

    return Fraction(1, count)


def _cut(text: str) -> str:
    """Lines that a box can hold."""
    return "\n".join(line if len(line) <= WRAP else line[: WRAP - 1] + "…" for line in text.split("\n"))


def _wrapped(text: str) -> str:
    from textwrap import fill

    return fill(text, WRAP + 6)


def _rule_words(number: int, each: Considered) -> str:
    rule: Rule = each.rule
    return TEXT["alt-rule"].format(
        number=number, match=matched(rule).replace("\n", " and "), host=each.host or TEXT["any"], why=reason(each.why)
    )


def alt(found: Routed) -> str:
    """The picture in words."""
    fitting = [(number, each) for number, each in enumerate(found.rules, 1) if each.why != "host"]
    told = "; ".join(_rule_words(number, each) for number, each in fitting) or TEXT["alt-none"]
    return TEXT["alt"].format(request=found.request, rules=told, result=result(found))
