"""Lesson 08: the rules of an Ingress in a table that can be edited, and one request that they decide on as one types."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from ..errors import ManifestError
from ..kube.apply import applied, deleted
from ..kube.cast import GATEWAY, INGRESS, shop
from ..kube.cluster import Cluster
from ..kube.edge.create import RuleLine, manifest
from ..kube.edge.http import Request, request
from ..kube.edge.objects import Ingress
from ..kube.edge.translate import http_routes
from ..kube.manifests import loads
from ..kube.patch import patched
from ..value import replace
from ..views.kubectl_edge import get_httproutes, get_ingress
from ..views.route_picture import picture
from ..views.routes import Routed, matched, routed, why_table
from .base import Answer, Explorer

TEXT = {
    "title": "Rules: which backend a request reaches",
    "scheme": "Request:", "host": "Host:", "path": "Path:", "method": "Method:",
    "class": "Class:", "default": "Default backend:", "tls": "TLS for:", "web": "Pod web:",
    "edge": "edge", "assigned": "none; edge is the default", "egde": "egde (no such class)",
    "none": "none", "ready": "ready", "not-ready": "not ready",
    "rule-host": "Host {n}:", "rule-path": "Path {n}:", "rule-type": "Type {n}:", "rule-to": "To {n}:",
    "count": "Rules:", "add": "Add a rule", "remove": "✕", "remove-tip": "Remove rule {n}",
    "any": "any host",
    "refused": "The API server refuses this {kind}: {error}",
    "no-path": "A request's path begins with a slash; this one is “{path}”.",
    "no-host": "A request has a host: it stands in the URL, and then in the header Host.",
    "slash": "A host has no slash, as “{host}” has: from the first slash on, it is the path.",
    "to": "{request} goes to Service {backend}, by rule {n} of the table below: {match}.",
    "to-default": "{request} fits no rule and goes to the default backend, Service {backend}.",
    "answers": "{request} is answered by the controller itself: {response}. {why}.",
    "no-class": "No controller takes this Ingress: there is no class {name}. The controller knows nothing of it and answers 404.",
    "later": "Rule {n} fits as well, but comes later: the longer path goes first, and Exact before Prefix if both are equally long.",
    "later-route": "Rule {n} fits as well, but comes later: Exact before Prefix, then the longer one.",
    "later-host": "Rule {n} fits as well, but comes later: the more specific host goes first, and only then Exact, or the longer path.",
    "alone": "Host {host} has rules of its own, so rules for less specific hosts are not asked.",
    "star": "In an Ingress the star stands for one label: {host} is not for {asked}.",
    "cert": "TLS ends in the controller, with the certificate of Secret {key}. It asks the Pod in plain HTTP.",
    "cert-own": "TLS ends in the controller, with a certificate of its own, which no browser trusts, as no Secret is named for {host} (other "
                "controllers refuse).",
    "method-note": "An Ingress cannot tell {method} from GET: it has no condition on methods.",
    "specific": "ImplementationSpecific means what the controller says; this one takes it as Prefix.",
    "kubectl": "$ kubectl get {kinds} -n shop",
    "manifest": "The manifest",
    "told-rule": "{n}. {host} {type} {path} → {to}",
    "rules": "rules: {rules}",
}  # fmt: skip
MOST = 6
TYPES = ("Prefix", "Exact", "ImplementationSpecific")
TO = ("web:80", "api:80", "api:http", "cart:80")
HOSTS = ("www.example.com", "*.example.com", "shop.example.com", "example.com", "")
PATHS = ("/", "/api", "/api/", "/api/health", "/web", "/foo")
ASKED_HOSTS = ("www.example.com", "shop.example.com", "a.shop.example.com", "example.com", "198.51.100.9")
ASKED_PATHS = ("/", "/api", "/api/", "/api/health", "/api/health/", "/api/orders?page=2", "/apis", "/API", "/web")
METHODS = ("GET", "POST", "DELETE")
SECRETS = {"www.example.com": "www-example-com", "*.example.com": "star-example-com"}
FILE = "ingress.yaml"


FIRST = (
    RuleLine(path="/api", to="api:80"),
    RuleLine(path="/api/health", type="Exact"),
    RuleLine(path="/"),
    RuleLine("*.example.com", "/", to="api:80"),
)


class RulesExplorer(Explorer):
    """Rules of an Ingress, or (``api="HTTPRoute"``) the same rules as HTTPRoutes, and what becomes of a request."""

    def __init__(self, rules: Sequence[RuleLine] = FIRST, *, api: str = "Ingress") -> None:
        made = Made(api)
        count = ipywidgets.BoundedIntText(len(rules), min=1, max=MOST, description=TEXT["count"])
        controls = {**_request_controls(), **_ingress_controls(), "count": count}
        for number in range(1, MOST + 1):
            line = rules[number - 1] if number <= len(rules) else RuleLine()
            controls |= _rule_controls(number, line)
        self._add = ipywidgets.Button(description=TEXT["add"], layout={"width": "8em", "margin": "4px 2px 4px 4.4em"})
        self._remove = [
            ipywidgets.Button(description=TEXT["remove"], tooltip=TEXT["remove-tip"].format(n=n + 1), layout={"width": "2.4em"})
            for n in range(MOST)
        ]
        asked, given = [["scheme", "host", "path", "method"]], [["class", "default"], ["tls", "web"]]
        lines = [[f"{part}{n}" for part in ("host", "path", "type", "to")] for n in range(1, MOST + 1)]
        super().__init__(TEXT["title"], lambda **choices: view(made, choices), controls, [*lines, *given, *asked])
        style, *boxes, html = self.children
        self._lines = boxes[:MOST]
        for box, button in zip(self._lines, self._remove, strict=True):
            box.children = (*box.children, button)
        options = boxes[MOST : MOST + len(given)] if api == "Ingress" else []
        self.children = (style, *self._lines, self._add, *options, *boxes[MOST + len(given) :], html)
        self._add.on_click(lambda _: self._edit([*self.lines(), RuleLine()]))
        for number, button in enumerate(self._remove):
            button.on_click(lambda _, n=number: self._edit([each for place, each in enumerate(self.lines()) if place != n]))
        self.settle()

    def lines(self) -> list[RuleLine]:
        """The rules as they stand."""
        return lines_of(self.choices)

    def _edit(self, lines: Sequence[RuleLine]) -> None:
        """Put other rules into the table, in one step."""
        with self._lock:
            self._settling = True
            try:
                for number, line in enumerate(lines, 1):
                    for part in ("host", "path", "type", "to"):
                        self.controls[f"{part}{number}"].value = getattr(line, part)
                self.controls["count"].value = len(lines)
                self.settle()
            finally:
                self._settling = False
            self.value = self.answer()
            self._show()

    def settle(self) -> None:
        """As many lines as there are rules; one at least, and no more than fit."""
        count = self.controls["count"].value
        for number, box in enumerate(self._lines):
            box.layout.display = "flex" if number < count else "none"
            self._remove[number].disabled = count == 1
        self._add.disabled = count == MOST

    def told(self) -> list[str]:
        """The choices in words: the request, and the rules that are shown."""
        names = ("scheme", "host", "path", "method", "class", "default", "tls", "web")
        shown = (self.controls[name] for name in names)
        chosen = [f"{each.description} {getattr(each, 'label', None) or each.value}" for each in shown]
        rules = (TEXT["told-rule"].format(n=n, **_words(each)) for n, each in enumerate(self.lines(), 1))
        return [*chosen, TEXT["rules"].format(rules=", ".join(rules))]


def _words(line: RuleLine) -> dict[str, str]:
    return {"host": line.host or TEXT["any"], "type": line.type, "path": line.path, "to": line.to}


# --- controls


def _pick(description: str, options: Sequence[str], chosen: str, width: str, label: str = "4em") -> Any:
    shown = [(TEXT.get(each, each), each) for each in options]
    looks = {"layout": {"width": width, "max_width": "100%"}, "style": {"description_width": label}}
    return ipywidgets.Dropdown(options=shown, value=chosen, description=description, **looks)


def _type(description: str, options: Sequence[str], chosen: str, width: str, label: str = "4em") -> Any:
    """A field to type into, with suggestions."""
    looks = {"layout": {"width": width, "max_width": "100%"}, "style": {"description_width": label}}
    return ipywidgets.Combobox(options=tuple(filter(None, options)), value=chosen, description=description, ensure_option=False, **looks)


def _request_controls() -> dict[str, Any]:
    return {
        "scheme": _pick(TEXT["scheme"], ("http", "https"), "http", "10em", "5em"),
        "host": _type(TEXT["host"], ASKED_HOSTS, "www.example.com", "17em", "3em"),
        "path": _type(TEXT["path"], ASKED_PATHS, "/api/health/", "15em", "3em"),
        "method": _pick(TEXT["method"], METHODS, "GET", "12em", "5em"),
    }


def _ingress_controls() -> dict[str, Any]:
    return {
        "class": _pick(TEXT["class"], ("edge", "assigned", "egde"), "edge", "23em", "5em"),
        "default": _pick(TEXT["default"], ("none", "web:80", "api:80"), "none", "18em", "9em"),
        "tls": _pick(TEXT["tls"], ("none", *SECRETS), "none", "23em", "5em"),
        "web": _pick(TEXT["web"], ("ready", "not-ready"), "ready", "18em", "9em"),
    }


def _rule_controls(n: int, line: RuleLine) -> dict[str, Any]:
    return {
        f"host{n}": _type(TEXT["rule-host"].format(n=n), HOSTS, line.host, "18.5em"),
        f"path{n}": _type(TEXT["rule-path"].format(n=n), PATHS, line.path, "13.5em"),
        f"type{n}": _pick(TEXT["rule-type"].format(n=n), TYPES, line.type, "19.5em"),
        f"to{n}": _pick(TEXT["rule-to"].format(n=n), TO, line.to, "10.5em", "3em"),
    }


def lines_of(choices: Mapping[str, Any]) -> list[RuleLine]:
    """The rules that the controls say."""
    return [RuleLine(*(choices[f"{part}{n}"].strip() for part in ("host", "path", "type", "to"))) for n in range(1, choices["count"] + 1)]


# --- what is shown


class Made:
    """The clusters that the rules are applied to, each built once."""

    def __init__(self, api: str) -> None:
        self.api = api
        self._made: dict[tuple[bool, bool], Cluster] = {}

    def of(self, assigned: bool, ready: bool) -> Cluster:
        """With ``edge`` as the default class, and with Pod web ready, or not."""
        if (assigned, ready) not in self._made:
            gone = "ingress/shop" if self.api == "Ingress" else "httproute/shop"
            more = INGRESS if self.api == "Ingress" else GATEWAY
            made = deleted(shop("vxlan", more, proxy="iptables", outside=True, balancer=True), gone)
            made = applied(made, DEFAULT_CLASS) if assigned else made
            self._made[assigned, ready] = made if ready else patched(made, "pod/web", ready=False)
        return self._made[assigned, ready]


DEFAULT_CLASS = """apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: edge, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: k8snetlib.example/edge}
"""


def view(made: Made, choices: Mapping[str, Any]) -> Answer:
    """What becomes of a request: pure."""
    lines = lines_of(choices)
    named, default, host = choices["class"], choices["default"], choices["tls"]
    tls = {SECRETS[host]: [host]} if host in SECRETS else {}
    text = manifest(lines, "shop", "" if named == "assigned" else named, "" if default == "none" else default, tls)
    try:
        if made.api != "Ingress":
            text = _as_routes(text)
        cluster = applied(made.of(choices["class"] == "assigned", choices["web"] == "ready"), text, FILE)
    except ManifestError as error:
        said = TEXT["refused"].format(kind=made.api, error=" ".join(str(error).split()))
        return Answer(said, (f"<pre>{escape(text)}</pre>",), tone="bad")
    asked, path = choices["host"].strip(), choices["path"].strip()
    wrong = "no-path" if not path.startswith("/") else "no-host" if not asked else "slash" if "/" in asked else ""
    if wrong:
        return Answer(TEXT[wrong].format(path=path, host=asked), (f"<pre>{escape(text)}</pre>",), tone="bad")
    sent = request(f"{choices['scheme']}://{asked}{path}", choices["method"])
    found = routed(cluster, sent)
    good = all(each.backend and not each.response for each in found.decisions)
    specific = any(each.type == "ImplementationSpecific" for each in lines)
    told = [*_notes(cluster, found, made.api), *([TEXT["specific"]] if specific and found.rules else [])]
    notes = "".join(f"<p>{escape(note)}</p>" for note in told)
    blocks = (notes, picture(cluster, found), why_table(found).html() if found.rules else "", _listed(cluster, text, made.api))
    return Answer(summary(found, choices["class"]), blocks, tone="good" if good else "bad")


def _as_routes(text: str) -> str:
    """The Ingress as HTTPRoutes, a document each."""
    (found,) = loads(text, FILE).of(Ingress)
    return "---\n".join(json.dumps(each) + "\n" for each in http_routes(replace(found, ingress_class=""), "edge/front"))


def _listed(cluster: Cluster, text: str, api: str) -> str:
    kinds, shown = ("ingress", get_ingress(cluster)) if api == "Ingress" else ("httproutes", get_httproutes(cluster))
    listing = f"<pre>{escape(TEXT['kubectl'].format(kinds=kinds))}\n{escape(shown)}</pre>"
    return f"{listing}<details><summary>{TEXT['manifest']}</summary><pre>{escape(text)}</pre></details>"


def summary(found: Routed, ingress_class: str) -> str:
    """What becomes of the request, in a sentence."""
    decision = found.decisions[0]
    told = {"request": found.request, "backend": decision.backend, "response": decision.response, "why": decision.why.capitalize()}
    if decision.response is not None:
        if ingress_class == "egde":
            return TEXT["no-class"].format(name=ingress_class)
        return TEXT["answers"].format(**(told | {"why": decision.why[:1].upper() + decision.why[1:]}))
    number = next(n for n, each in enumerate(found.rules, 1) if not each.why)
    if decision.rule.origin.rule is None:
        return TEXT["to-default"].format(**told)
    return TEXT["to"].format(**told, n=number, match=matched(decision.rule))


def _notes(cluster: Cluster, found: Routed, api: str) -> Iterator[str]:
    """Why not another rule, where TLS ends, and what the rules cannot ask."""
    sent: Request = found.request
    later = [(n, each) for n, each in enumerate(found.rules, 1) if each.why == "later" and each.rule.origin.rule is not None]
    if later:
        number, second = later[0]
        answers = next(each for each in found.rules if not each.why)
        key = "later" if api == "Ingress" else "later-route" if second.host == answers.host else "later-host"
        yield TEXT[key].format(n=number)
    if any(each.why == "alone" for each in found.rules):
        yield TEXT["alone"].format(host=next(each.host for each in found.rules if each.why != "host"))
    stars = dict.fromkeys(each.host for each in found.rules if each.why == "host" and each.host.startswith("*."))
    if near := next((host for host in stars if sent.hostname.endswith(host[1:])), ""):
        yield TEXT["star"].format(host=near, asked=sent.hostname)
    if sent.scheme == "https" and api == "Ingress":
        key = next(iter(cluster.edge.ingresses.values())).certificate(sent.server_name)
        yield TEXT["cert" if key else "cert-own"].format(key=key, host=sent.server_name)
    if sent.method != "GET" and api == "Ingress":
        yield TEXT["method-note"].format(method=sent.method)
