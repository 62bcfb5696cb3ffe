"""The rules of a way in as a configuration of HAProxy 2.4 or later: ordered conditions, the first that holds decides, as in the router itself.

Refused, with the reason: mirrors, CORS, limits on the whole answer, filters of one backend among several, weights beyond HAProxy's 256.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .backends import Backends
from .filters import Cors, Mirror, PathModifier, Redirect, RequestHeaders, ResponseHeaders, Rewrite
from .fronts import Front, Pool, Site, hosts, pool, refuse, sites
from .http import PORTS, Match, NameMatch, PathMatch, Rule

NAME = "HAProxy"
MOST = 256
WHY = {
    "mirror": "a copy of a request needs another program beside it (SPOE)",
    "cors": "answering preflight requests needs a script (Lua)",
    "timeout": "it limits the wait for a backend, not the whole answer",
    "backend-filters": "a filter of one backend among several",
    "weight": "weights in the ratio {ratio} need more than 256 steps",
    "word": "{text!r} cannot be written in its configuration",
    "mixed": "a backend that only answers {status} among others",
    "extension": "a filter that only its implementation understands",
}
HEAD = """global
    log /dev/null local0
    {extra}
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    option http-keep-alive
"""


def haproxy_conf(
    fronts: Sequence[Front], backends: Backends, *, version: int = 4, certificate: str = "certificate.pem", extra: str = "maxconn 200"
) -> str:
    """The configuration's text. ``version`` is the IP version towards the Pods, ``certificate`` the file that TLS fronts show. UnsupportedError
    where the rules ask for what it cannot do."""
    return "".join(_Conf(backends, version, certificate).lines(fronts, extra))


class _Conf:
    def __init__(self, backends: Backends, version: int, certificate: str) -> None:
        self.backends, self.version, self.certificate = backends, version, certificate
        self.sections: list[str] = []
        self.front = Front(80, 80)

    def lines(self, fronts: Sequence[Front], extra: str) -> Iterator[str]:
        yield HEAD.format(extra=extra)
        for front in fronts:
            yield from self._front(front)
        yield from self.sections

    def _front(self, front: Front) -> Iterator[str]:
        self.front = front
        secure = f" ssl crt {self.certificate}" if front.secure else ""
        yield f"\nfrontend port-{front.port}\n"
        yield f"    bind {':::' if self.version == 6 else '*:'}{front.listen}{secure}\n"
        yield "    http-request set-var(txn.host) req.hdr(host),field(1,:),lower\n"
        yield "    http-request set-header X-Forwarded-Proto https if { ssl_fc }\n    http-request set-header X-Forwarded-Proto http unless { ssl_fc }\n"
        yield "    option forwardfor\n"
        for place, site in enumerate(sites(front)):
            yield from self._site(f"{front.port}-{place}", site)
        yield "    default_backend answer-404\n"
        if not any("backend answer-404\n" in each for each in self.sections):
            self.sections.append(_answer(404))

    def _site(self, name: str, site: Site) -> Iterator[str]:
        """The rules of a listener; a request for its hostname that none fits is answered there, not by another listener."""
        here = _host(site.hostname, False)
        number = 0
        for host in hosts(site.router):
            own = _host(host, site.router.one_label)
            rules = site.router.table(host).rules
            for rule in rules:
                yield from self._rule(f"{name}-{number}{_named_after(rule)}", rule, " ".join(filter(None, [here, own])))
                number += 1
            if not site.router.falls_through:
                yield from self._rest(f"{name}-{number}", site, " ".join(filter(None, [here, own])))
        yield from self._rest(f"{name}-rest", site, here)

    def _rest(self, name: str, site: Site, condition: str) -> Iterator[str]:
        if site.router.default is not None:
            self.sections.append(self._backend(f"{name}-default", site.router.default))
            yield _use(f"{name}-default", condition)
        elif condition:
            yield _use("answer-404", condition)

    def _rule(self, name: str, rule: Rule, condition: str) -> Iterator[str]:
        for each in _alternatives(rule):
            yield _use(name, f"{condition} {each}")
        self.sections.append(self._backend(name, rule))

    def _backend(self, name: str, rule: Rule) -> str:
        action = rule.action
        if action.request_timeout:
            raise refuse(NAME, rule, WHY["timeout"])
        lines = [f"\nbackend {name}"]
        redirect = next((each for each in action.filters if isinstance(each, Redirect)), None)
        if redirect is not None:
            return "\n".join([*lines, *_redirect(redirect, rule, self.front)]) + "\n"
        filters = [*action.filters]
        if len(action.backends) == 1:
            filters += action.backends[0].filters
        elif any(each.filters for each in action.backends):
            raise refuse(NAME, rule, WHY["backend-filters"])
        found = pool(rule, self.backends, self.version)
        if found.status:
            return _answer(found.status, name)
        lines += [line for each in filters for line in _filter(each, rule)]
        if action.backend_timeout:
            lines.append(f"    timeout server {int(action.backend_timeout * 1000)}ms")
        return "\n".join([*lines, "    balance roundrobin", *_servers(found, rule)]) + "\n"


def _use(backend: str, condition: str) -> str:
    """The line that sends on what fits; without a condition everything does, and what comes after is never asked."""
    return f"    use_backend {backend} if {' '.join(condition.split()) or 'TRUE'}\n"


def _host(host: str, one_label: bool) -> str:
    if not host:
        return ""
    if not host.startswith("*."):
        return f"{{ var(txn.host) -m str {host} }}"
    if one_label:
        return f"{{ var(txn.host) -m reg {_word('^[^.]+' + re.escape(host[1:]) + '$')} }}"
    return f"{{ var(txn.host) -m end {host[1:]} }} !{{ var(txn.host) -m str {host[1:]} }}"


def _named_after(rule: Rule) -> str:
    """What a section's name ends with, for a reader: the first Service behind the rule."""
    return f"-{rule.action.backends[0].name}" if rule.action.backends else ""


def _alternatives(rule: Rule) -> Iterator[str]:
    """The conditions of a match, as several lines where its path can be written in two ways."""
    more = _conditions(rule.match, rule)
    path: PathMatch = rule.match.path
    if path.type == "Exact":
        yield f"{{ path -m str {_word(path.value, rule)} }} {more}"
    elif path.type == "RegularExpression":
        yield f"{{ path -m reg {_word(f'^(?:{path.value})$', rule)} }} {more}"
    else:
        stem = path.value.rstrip("/")
        if stem:
            yield f"{{ path -m str {_word(stem, rule)} }} {more}"
            yield f"{{ path -m beg {_word(stem + '/', rule)} }} {more}"
        else:
            yield more.strip() or "TRUE"


def _conditions(match: Match, rule: Rule) -> str:
    parts = [f"{{ method {match.method} }}"] if match.method else []
    parts += [_named(f"req.fhdr({each.name})", each, rule) for each in match.headers]
    parts += [_named(f"url_param({each.name})", each, rule) for each in match.query]
    return " ".join(parts)


def _named(sample: str, each: NameMatch, rule: Rule) -> str:
    if each.type == "Exact":
        return f"{{ {sample} -m str {_word(each.value, rule)} }}"
    return f"{{ {sample} -m reg {_word(f'^(?:{each.value})$', rule)} }}"


def _word(text: str, rule: Rule | None = None) -> str:
    """A word as HAProxy's configuration reads it: in single quotes, in which nothing is special but the quote."""
    if "'" in text or not text.isprintable():
        if rule is None:
            raise ValueError(text)
        raise refuse(NAME, rule, WHY["word"].format(text=text))
    return f"'{text}'"


def _format(text: str, rule: Rule) -> str:
    """A word of the log format, in which ``%`` is special."""
    return _word(text.replace("%", "%%"), rule)


def _filter(each: object, rule: Rule) -> Iterator[str]:
    if isinstance(each, RequestHeaders | ResponseHeaders):
        verb = "http-request" if isinstance(each, RequestHeaders) else "http-response"
        for name, content in each.modifier.set:
            yield f"    {verb} set-header {name} {_format(content, rule)}"
        for name, content in each.modifier.add:
            yield f"    {verb} add-header {name} {_format(content, rule)}"
        for name in each.modifier.remove:
            yield f"    {verb} del-header {name}"
    elif isinstance(each, Rewrite):
        if each.hostname:
            yield f"    http-request set-header Host {_format(each.hostname, rule)}"
        if each.path:
            yield f"    http-request set-path {_path(each.path, rule)}"
    elif isinstance(each, Mirror | Cors):
        raise refuse(NAME, rule, WHY["mirror" if isinstance(each, Mirror) else "cors"])
    else:
        raise refuse(NAME, rule, WHY["extension"])


def _path(modifier: PathModifier, rule: Rule) -> str:
    """The new path as a log format: a constant, or the old one with its prefix replaced."""
    if modifier.type == "ReplaceFullPath":
        return _format(modifier.value or "/", rule)
    stem, new = rule.match.path.value.rstrip("/"), modifier.value
    for text in (stem, new):
        if re.search(r"[^A-Za-z0-9/_.-]", text):
            raise refuse(NAME, rule, WHY["word"].format(text=text))
    escaped = stem.replace(".", "[.]")
    if not stem or new.endswith("/") or not new:  # the slash behind the prefix is the replacement's own
        return f"%[path,regsub(^{escaped}/{'?' if stem else ''},{new.rstrip('/')}/)]"
    return f"%[path,regsub(^{escaped},{new})]"


def _redirect(redirect: Redirect, rule: Rule, front: Front) -> Iterator[str]:
    scheme = redirect.scheme or ("https" if front.secure else "http")
    port = redirect.port or (PORTS[scheme] if redirect.scheme else front.port)
    host = f"{redirect.hostname or '%[var(txn.host)]'}{'' if port == PORTS[scheme] else f':{port}'}"
    path = _path(redirect.path, rule).strip("'") if redirect.path else "%[path]"
    query = "%[query,length,bool,iif(?,)]%[query]"
    yield f"    http-request redirect location {scheme}://{host}{path}{query} code {redirect.status}"


def _servers(found: Pool, rule: Rule) -> Iterator[str]:
    for number, each in enumerate(found.shares):
        if each.upstream is None:
            raise refuse(NAME, rule, WHY["mixed"].format(status=each.status))
        if each.weight > MOST:
            raise refuse(NAME, rule, WHY["weight"].format(ratio=":".join(str(s.weight) for s in found.shares)))
        yield f"    server s{number} {each.upstream} weight {each.weight}"


def _answer(status: int, name: str = "") -> str:
    return f"\nbackend {name or f'answer-{status}'}\n    http-request return status {status}\n"
