"""What rules do to a request on its way in and to the response on its way out: the filters of Gateway API (``httproute_types.go``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from ...errors import UnsupportedError
from ...value import replace, value
from .http import PORTS, Backend, Pairs, PathMatch, Request, Response

EXTENSION = "filter ExtensionRef {kind} {name}: what it does is its implementation's own business, and is not modelled"

# --- headers


@value
class HeaderModifier:
    """Changes headers: ``set`` replaces, ``add`` appends to what is there, ``remove`` takes away; names in any case."""

    set: Pairs = ()
    add: Pairs = ()
    remove: tuple[str, ...] = ()

    def apply(self, headers: Pairs) -> Pairs:
        """The headers as changed, those that are set or new at the end."""
        gone = {name.lower() for name in self.remove} | {name.lower() for name, _ in self.set}
        found = [(name, content) for name, content in headers if name.lower() not in gone]
        found += self.set
        for name, content in self.add:
            place = next((index for index, (each, _) in enumerate(found) if each.lower() == name.lower()), None)
            if place is None:
                found.append((name, content))
            else:
                found[place] = (found[place][0], f"{found[place][1]},{content}")
        return tuple(found)


@value
class RequestHeaders:
    """RequestHeaderModifier."""

    modifier: HeaderModifier


@value
class ResponseHeaders:
    """ResponseHeaderModifier."""

    modifier: HeaderModifier


# --- paths


@value
class PathModifier:
    """A new path: the whole of it, or what takes the place of the prefix that matched."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    value: str = ""

    def apply(self, path: str, matched: PathMatch) -> str:
        """The new path, with the query as it was."""
        plain, mark, query = path.partition("?")
        if self.type == "ReplaceFullPath":
            return (self.value or "/") + mark + query
        rest = plain[len(matched.value.rstrip("/")) :]
        joined = self.value.rstrip("/") + rest if rest else self.value
        return (joined or "/") + mark + query


@value
class Redirect:
    """RequestRedirect: the client is told to ask elsewhere; what is None stays as in the request."""

    scheme: str | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: int | None = None
    status: int = 302

    def location(self, sent: Request, matched: PathMatch) -> str:
        """The Location header. Without a port of its own it is the scheme's well-known one if a scheme is given, else the listener's; the
        scheme's own port is not written."""
        scheme = self.scheme or sent.scheme
        port = self.port or (PORTS[scheme] if self.scheme else sent.port)
        path = self.path.apply(sent.path, matched) if self.path else sent.path
        return f"{scheme}://{self.hostname or sent.hostname}{'' if port == PORTS[scheme] else f':{port}'}{path}"


@value
class Rewrite:
    """URLRewrite: what the backend sees as host and path."""

    hostname: str | None = None
    path: PathModifier | None = None

    def apply(self, sent: Request, matched: PathMatch) -> Request:
        """The request as the backend sees it."""
        return replace(sent, host=self.hostname or sent.host, path=self.path.apply(sent.path, matched) if self.path else sent.path)


# --- copies


@value
class Mirror:
    """RequestMirror: a share of the requests goes to another backend as well, whose answers are thrown away."""

    backend: Backend
    share: Fraction = Fraction(1)


# --- CORS

_PREFLIGHT_KEYS = ("Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age")


@value
class Cors:
    """CORS (GEP-1767; the Fetch standard, "CORS protocol"): which pages of other origins a browser may let read the answer."""

    origins: tuple[str, ...] = ()
    credentials: bool = False
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int = 5

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may ask."""
        return any(_origin_fits(each, origin) for each in self.origins)

    def preflight(self, sent: Request) -> Response | None:
        """The answer to a browser's question before the request itself, or None if the request is no such question. An origin that is not
        allowed gets no CORS header, which is what makes the browser refuse. Any status from 200 to 299 says yes to it (Fetch, "CORS-preflight
        fetch"); proxies say 200 or 204."""
        origin, method = sent.header("Origin"), sent.header("Access-Control-Request-Method")
        if sent.method != "OPTIONS" or origin is None or method is None:
            return None
        if not self.allows(origin):
            return Response(200)
        asked = sent.header("Access-Control-Request-Headers") or ""
        lists = (self._listed(self.methods, method), self._listed(self.headers, asked), str(self.max_age))
        more = tuple((name, content) for name, content in zip(_PREFLIGHT_KEYS, lists, strict=True) if content)
        return Response(200, (*self._always(origin), *more))

    def answer(self, sent: Request, headers: Pairs) -> Pairs:
        """Headers of the answer to a request proper."""
        origin = sent.header("Origin")
        return (*headers, *self._always(origin)) if origin is not None and self.allows(origin) else headers

    def _listed(self, configured: Sequence[str], asked: str) -> str:
        """A wildcard stands for itself only without credentials; with them, what was asked for is named (Fetch, "CORS protocol and
        credentials")."""
        if "*" in configured:
            return asked if self.credentials or asked else "*"
        return ", ".join(configured)

    def _always(self, origin: str) -> Pairs:
        """The allowed origin is named, even where any is: that is right with and without credentials."""
        out = [("Access-Control-Allow-Origin", origin)]
        if self.credentials:
            out.append(("Access-Control-Allow-Credentials", "true"))
        exposed = [name for name in self.expose if name != "*" or not self.credentials]
        return (*out, ("Access-Control-Expose-Headers", ", ".join(exposed))) if exposed else tuple(out)


def _origin_fits(pattern: str, origin: str) -> bool:
    """``*`` is any origin; ``https://*.foo.com`` any number of labels before ``.foo.com``; scheme and port have to be the same."""
    if pattern == "*":
        return True
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern.lower() == origin.lower()
    return len(origin) > len(head) + len(tail) and origin.lower().startswith(head.lower()) and origin.lower().endswith(tail.lower())


@value
class Extension:
    """ExtensionRef: what it does is its implementation's own business, so a request that meets it cannot be followed here."""

    kind: str
    name: str


Filter = RequestHeaders | ResponseHeaders | Redirect | Rewrite | Mirror | Cors | Extension


def on_request(filters: Iterable[Filter], sent: Request, matched: PathMatch) -> Request:
    """The request as the backend sees it."""
    for each in filters:
        if isinstance(each, RequestHeaders):
            sent = replace(sent, headers=each.modifier.apply(sent.headers))
        elif isinstance(each, Rewrite):
            sent = each.apply(sent, matched)
    return sent


def on_response(filters: Iterable[Filter], sent: Request, headers: Pairs) -> Pairs:
    """The response's headers as the client sees them."""
    for each in filters:
        if isinstance(each, ResponseHeaders):
            headers = each.modifier.apply(headers)
        elif isinstance(each, Cors):
            headers = each.answer(sent, headers)
    return headers


def at_once(filters: Iterable[Filter], sent: Request, matched: PathMatch) -> Response | None:
    """The answer that a filter itself gives, a redirect or a CORS preflight; None if the request goes on to a backend. UnsupportedError
    for a filter that is an extension."""
    filters = tuple(filters)
    extension = next((each for each in filters if isinstance(each, Extension)), None)
    if extension is not None:
        raise UnsupportedError(EXTENSION.format(kind=extension.kind, name=extension.name))
    answers: Mapping[type, Callable] = {
        Redirect: lambda each: Response(each.status, (("Location", each.location(sent, matched)),)),
        Cors: lambda each: each.preflight(sent),
    }
    found = (answers[type(each)](each) for each in filters if type(each) in answers)
    return next((answer for answer in found if answer is not None), None)
