"""The rules of a way in as a configuration of nginx 1.18 or later: a ``server`` for each host, a ``location`` for each path.

nginx chooses by host and path alone. Rules that ask for more (method, headers, query) are refused, with the reason, as are mirrors with a
share, CORS, limits on the whole answer, and hosts whose rules would have to be mixed with those of others. Which rule a location stands for
is settled here, by rank, as controllers do: nginx itself takes ``location =`` first, then regular expressions in their order, then the
longest prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .backends import Backends
from .filters import Cors, Mirror, PathModifier, Redirect, RequestHeaders, ResponseHeaders, Rewrite
from .fronts import Front, Pool, Site, following, hosts, pool, refuse, sites
from .hostnames import covers
from .http import PORTS, Rule
from .locations import Paths
from .router import Router

NAME = "nginx"
WHY = {
    "condition": "it chooses by host and path alone; {what} needs a script (njs)",
    "mirror": "only whole mirrors can be written, and their answers would need a place of their own",
    "cors": "answering preflight requests needs a script (njs)",
    "timeout": "it limits the wait for a backend, not the whole answer",
    "backend-filters": "a filter of one backend among several",
    "add": "adding to a header that a request may have already",
    "word": "{text!r} cannot be written in its configuration",
    "extension": "a filter that only its implementation understands",
    "pattern": "a prefix that goes before a regular expression",
}
HEAD = """{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
events {{ worker_connections 200; }}
http {{
    access_log off;
    merge_slashes off;
    server_tokens off;
    server_names_hash_bucket_size 128;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    proxy_connect_timeout 2s;
    proxy_next_upstream off;
    map $http_x_forwarded_for $forwarded {{ "" $remote_addr; default "$http_x_forwarded_for, $remote_addr"; }}
    map $is_args$args $query {{ default $is_args$args; }}
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $forwarded;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Connection "";
"""
STANDING = (("Host", "$http_host"), ("X-Forwarded-For", "$forwarded"), ("X-Forwarded-Proto", "$scheme"), ("Connection", '""'))
"""Headers that every request gets. A location that sets any has to repeat them: nginx inherits all of them, or none."""


def nginx_conf(
    fronts: Sequence[Front],
    backends: Backends,
    *,
    version: int = 4,
    certificate: str = "certificate.pem",
    folder: str = "/run/nginx",
    root: bool = False,
) -> str:
    """The configuration's text. ``folder`` is where it may write; ``root``: its workers stay root, the only user there is where one uid is
    mapped (a rootless container, the lab). UnsupportedError where the rules ask for what it cannot do."""
    made = _Conf(backends, version, certificate, folder)
    servers = [line for front in fronts for line in made.front(front)]
    head = HEAD.format(user="user root;\n" if root else "", folder=folder)
    return "".join([head, *made.pools, *servers, "}\n"])


class _Conf:
    def __init__(self, backends: Backends, version: int, certificate: str, folder: str) -> None:
        self.backends, self.version, self.certificate, self.folder = backends, version, certificate, folder
        self.pools: list[str] = []
        self.names: dict[int, str] = {}
        self.only: dict[int, str] = {}

    def front(self, front: Front) -> Iterator[str]:
        """A server for each host of each site; what no server is for is answered with 404."""
        named: set[str] = set()
        before: list[str] = []
        for site in sites(front):
            for host in [*hosts(site.router), *([] if site.hostname in site.router.hosts else [site.hostname])]:
                taken = any(covers(each, host) for each in before)  # by a listener with a more specific hostname
                if host not in named and not taken:
                    named.add(host)
                    yield from self._server(front, site, host)
            before.append(site.hostname)
        if "" not in named:
            yield from self._server(front, Site("", _NOTHING), "")

    def _server(self, front: Front, site: Site, host: str) -> Iterator[str]:
        default = " default_server" if not host else ""
        address = f"[::]:{front.listen}" if self.version == 6 else str(front.listen)
        yield f"    server {{\n        listen {address}{' ssl' if front.secure else ''}{default};\n        server_name {_name(host, site)};\n"
        if front.secure:
            yield f"        ssl_certificate {self.certificate};\n        ssl_certificate_key {self.certificate};\n"
        rules = list(following(site.router, host)) if host in site.router.hosts else []
        if not rules and site.router.falls_through:
            rules = [rule for each in hosts(site.router) if not each for rule in site.router.table(each).rules]
        for rule in rules:
            _check(rule)
        yield from self._locations(front, rules, site)
        yield "    }\n"

    def _locations(self, front: Front, rules: Sequence[Rule], site: Site) -> Iterator[str]:
        default, order = site.router.default, Paths(rules)
        longest = dict(self._prefixes(order))
        patterns = [order.rules[number] for number in order.patterns]
        for path, rule in order.odd_paths():
            if rule is not None and longest.get(path) is rule and not patterns:
                continue  # the prefix says it already
            yield from self._location(front, f"= {_word(path, rules[0])}", rule or default)
        for rule in patterns:
            yield from self._location(front, f"~ {_word('^(?:' + rule.match.path.value + ')$', rule)}", rule)
        for path, rule in longest.items():
            yield from self._location(front, _word(path, rule), rule)
        if "/" not in longest:
            yield from self._location(front, "/", default)

    def _prefixes(self, order: Paths) -> Iterator[tuple[str, Rule]]:
        for path, rule, before_patterns in order.prefixes():
            if before_patterns:
                raise refuse(NAME, rule, WHY["pattern"])
            yield path, rule

    def _location(self, front: Front, match: str, rule: Rule | None) -> Iterator[str]:
        if rule is None:
            yield f"        location {match} {{ return 404; }}\n"
            return
        lines = list(self._body(front, rule))
        yield f"        location {match} {{\n" + "".join(f"            {line}\n" for line in lines) + "        }\n"

    def _body(self, front: Front, rule: Rule) -> Iterator[str]:
        action = rule.action
        redirect = next((each for each in action.filters if isinstance(each, Redirect)), None)
        if redirect is not None:
            yield _redirect(redirect, rule, front)
            return
        if action.request_timeout:
            raise refuse(NAME, rule, WHY["timeout"])
        filters = [*action.filters]
        if len(action.backends) == 1:
            filters += action.backends[0].filters
        elif any(each.filters for each in action.backends):
            raise refuse(NAME, rule, WHY["backend-filters"])
        found = pool(rule, self.backends, self.version)
        if found.status:
            yield f"return {found.status};"
            return
        path, lines = "", []
        for each in filters:
            if isinstance(each, Rewrite):
                path = "rewritten" if each.path else path
                lines += [f"proxy_set_header Host {_plain(each.hostname, rule)};"] if each.hostname else []
                lines += _rewrite(each.path, rule) if each.path else []
            else:
                lines += _filter(each, rule)
        own = [line.split()[1].lower() for line in lines if line.startswith("proxy_set_header ")]
        yield from lines
        yield from (f"proxy_set_header {name} {content};" for name, content in STANDING if own and name.lower() not in own)
        if action.backend_timeout:
            yield f"proxy_read_timeout {int(action.backend_timeout * 1000)}ms;"
        yield f"proxy_pass http://{self._pool(rule, found)}{'$uri$query' if path else ''};"

    def _pool(self, rule: Rule, found: Pool) -> str:
        """The name of the rule's upstream block, which is made with its first location."""
        key = id(rule.action)
        if key not in self.names:
            name = self.names[key] = f"pool-{len(self.names)}-{rule.action.backends[0].name}"
            lines = [f"    upstream {name} {{\n"]
            for each in found.shares:
                place = str(each.upstream) if each.upstream else f"unix:{self._answer(each.status)}"
                lines.append(f"        server {place} weight={each.weight} max_fails=0;\n")
            self.pools.append("".join([*lines, "    }\n"]))
        return self.names[key]

    def _answer(self, status: int) -> str:
        """A socket at which every request is answered with a status: for the share of a backend that cannot be used."""
        path = f"{self.folder}/answer-{status}.sock"
        if status not in self.only:
            self.only[status] = path
            self.pools.append(f"    server {{ listen unix:{path}; location / {{ return {status}; }} }}\n")
        return path


def _check(rule: Rule) -> None:
    """What nginx cannot choose by."""
    match = rule.match
    for what, there in (("a method", match.method), ("a header", match.headers), ("a query parameter", match.query)):
        if there:
            raise refuse(NAME, rule, WHY["condition"].format(what=what))


def _name(host: str, site: Site) -> str:
    if not host:
        return "_"
    if host.startswith("*.") and site.router.one_label:
        return '"~^[^.]+' + re.escape(host[1:]) + '$"'
    return host


def _word(text: str, rule: Rule) -> str:
    """A word as nginx's configuration reads it. A dollar sign would be a variable, save at a pattern's end."""
    if '"' in text or "\\" in text.replace("\\.", "") or "$" in text[:-1] or not text.isprintable():
        raise refuse(NAME, rule, WHY["word"].format(text=text))
    return f'"{text}"' if re.search(r"[\s;{}#'$~*()]", text) else text


def _plain(text: str, rule: Rule) -> str:
    if "$" in text:
        raise refuse(NAME, rule, WHY["word"].format(text=text))
    return f'"{_word(text, rule).strip(chr(34))}"'


def _filter(each: object, rule: Rule) -> Iterator[str]:
    if isinstance(each, RequestHeaders):
        if each.modifier.add:
            raise refuse(NAME, rule, WHY["add"])
        for name, content in each.modifier.set:
            yield f"proxy_set_header {name} {_plain(content, rule)};"
        for name in each.modifier.remove:
            yield f'proxy_set_header {name} "";'
    elif isinstance(each, ResponseHeaders):
        for name in [*each.modifier.remove, *(name for name, _ in each.modifier.set)]:
            yield f"proxy_hide_header {name};"
        for name, content in (*each.modifier.set, *each.modifier.add):
            yield f"add_header {name} {_plain(content, rule)} always;"
    elif isinstance(each, Mirror | Cors):
        raise refuse(NAME, rule, WHY["mirror" if isinstance(each, Mirror) else "cors"])
    else:
        raise refuse(NAME, rule, WHY["extension"])


def _rewrite(modifier: PathModifier, rule: Rule) -> Iterator[str]:
    yield from (f"rewrite {pattern} {new} break;" for pattern, new in _replacements(modifier, rule))


def _replacements(modifier: PathModifier, rule: Rule) -> Iterator[tuple[str, str]]:
    """(pattern, new path) pairs, the first that fits counting."""
    new = modifier.value
    if re.search(r"[^A-Za-z0-9/_.-]", new + rule.match.path.value):
        raise refuse(NAME, rule, WHY["word"].format(text=new))
    if modifier.type == "ReplaceFullPath":
        yield "^.*$", new or "/"
        return
    stem = re.escape(rule.match.path.value.rstrip("/")).replace("/", "/")
    yield f"^{stem}/(.*)$", f"{new.rstrip('/')}/$1"
    yield f"^{stem}$", new or "/"


def _redirect(redirect: Redirect, rule: Rule, front: Front) -> str:
    scheme = redirect.scheme or ("https" if front.secure else "http")
    port = redirect.port or (PORTS[scheme] if redirect.scheme else front.port)
    host = f"{redirect.hostname or '$host'}{'' if port == PORTS[scheme] else f':{port}'}"
    if redirect.path is None:
        return f"return {redirect.status} {scheme}://{host}$request_uri;"
    if redirect.path.type == "ReplaceFullPath":
        return f"return {redirect.status} {scheme}://{host}{_word(redirect.path.value or '/', rule)}$query;"
    (with_rest, target), (_, alone) = _replacements(redirect.path, rule)
    return (
        f"if ($uri ~ {with_rest}) {{ return {redirect.status} {scheme}://{host}{target}$query; }}\n"
        f"            return {redirect.status} {scheme}://{host}{alone}$query;"
    )


_NOTHING = Router()
