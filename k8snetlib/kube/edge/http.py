"""HTTP as a router sees it: requests and responses, what rules ask for, and where they send what fits.

Ingress and Gateway API share these values (:mod:`.ingress`, :mod:`.gateway`); :mod:`.router` finds the rule for a request. Sources: KEP-1453 and
the Ingress page of 1.36; ``apis/v1/httproute_types.go`` of Gateway API.

Paths are compared as they were sent: no decoding of ``%2F``, no merging of ``//``; what controllers do there differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from fractions import Fraction
from typing import Literal

from ...errors import ModelError
from ...value import value
from ..objects import NOWHERE, Location
from .patterns import pattern_of

Pairs = tuple[tuple[str, str], ...]
PathType = Literal["Exact", "Prefix", "RegularExpression"]
MATCHED = ""


# --- a request and its answer


@value
class Request:
    """An HTTP request as it is sent: ``path`` with its query, ``headers`` in their order, ``host`` the Host header (with a port if it has
    one). ``sni`` is the server name of the TLS handshake, by default the host; ``port`` the TCP port that it came in by."""

    host: str
    path: str = "/"
    method: str = "GET"
    headers: Pairs = ()
    scheme: str = "http"
    port: int = 80
    sni: str = ""

    @property
    def hostname(self) -> str:
        """The host without a port, in lower case (RFC 9110, 4.2.3)."""
        host = self.host.lower()
        return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]

    @property
    def server_name(self) -> str:
        """The name asked for in the TLS handshake, by which a certificate is chosen (RFC 6066, 3)."""
        return (self.sni or self.hostname).lower()

    @property
    def plain_path(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> str:
        return self.path.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The header's value; several of one name are one, with commas (RFC 9110, 5.3). None if there is none."""
        wanted = name.lower()
        found = [content for each, content in self.headers if each.lower() == wanted]
        return ",".join(found) if found else None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.path}"

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


_URL = re.compile(r"(?:(https?)://)?((?:\[[\da-f:.]+\]|[^/?#\s:@\[\]]+)(:[^/?#\s@]*)?)(/[^#\s]*|\?[^#\s]*)?", re.IGNORECASE)
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?|\[[0-9A-Fa-f:.]+\]")  # RFC 3986, 3.2.2, without what no browser sends
LONGEST = 253
"""Characters of a host's name (RFC 1035, 2.3.4)."""


def request(url: str, method: str = "GET", headers: Mapping[str, str] | Pairs = (), *, sni: str = "") -> Request:
    """A request for a URL (``http://shop.example.com/api?x=1``; without a scheme, http), with an empty path as ``/`` (RFC 9110, 4.2.3).
    ModelError if it is none, or one with a user or a fragment, which are not sent."""
    found = _URL.fullmatch(url)
    if not found or found[3] == ":" or (not found[1] and re.match(r"\w+://", url)):
        raise ModelError(f"{url!r} is no URL: write http://HOST/PATH")
    scheme, host, port, path = (found[1] or "http").lower(), found[2], (found[3] or ":")[1:], found[4] or "/"
    path = path if path.startswith("/") else f"/{path}"
    name = host.removesuffix(found[3] or "")
    if not _HOST.fullmatch(name) or len(name) > LONGEST:
        raise ModelError(f"{url[:80]!r}: no host is called {name[:80]!r}")
    if found[3] and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ModelError(f"{url!r}: {port!r} is no port")
    if not re.fullmatch(r"[A-Z]+", method):
        raise ModelError(f"{method!r} is no HTTP method: they are written in capitals")
    pairs = tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)
    for each, _ in pairs:
        if not _NAME.fullmatch(each) or each.lower() == "host":
            raise ModelError("the header Host is the URL's host" if each.lower() == "host" else f"{each!r} is no name of a header")
    return Request(host, path, method, pairs, scheme, int(port) if port else PORTS[scheme], sni)


PORTS = {"http": 80, "https": 443}
"""Where a scheme is served unless the URL says otherwise."""


@value
class Response:
    """An answer: its status, and the headers that the client sees."""

    status: int
    headers: Pairs = ()

    def header(self, name: str) -> str | None:
        found = [content for each, content in self.headers if each.lower() == name.lower()]
        return ",".join(found) if found else None

    def __str__(self) -> str:
        return f"{self.status} {REASONS.get(self.status, '')}".rstrip()


REASONS = {
    200: "OK", 204: "No Content", 301: "Moved Permanently", 302: "Found", 303: "See Other", 307: "Temporary Redirect",
    308: "Permanent Redirect", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 421: "Misdirected Request",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
"""Reason phrases (RFC 9110, 15)."""


# --- what a rule asks for


@value
class PathMatch:
    """A condition on the path. ``Prefix`` goes by whole elements: ``/foo`` matches ``/foo/bar`` and not ``/foobar``, and a slash at its end
    counts for nothing. A regular expression has to match the whole path."""

    type: PathType = "Prefix"
    value: str = "/"

    def matches(self, path: str) -> bool:
        """Whether a path, without its query, fits."""
        if self.type == "Exact":
            return path == self.value
        if self.type == "Prefix":
            stem = self.value.rstrip("/")
            return path == stem or path.startswith(stem + "/") or not stem
        return pattern_of(self.value).fullmatch(path) is not None

    def __str__(self) -> str:
        return f"{self.type} {self.value}"


@value
class NameMatch:
    """A condition on a header (whatever the case of its name) or on a parameter of the query."""

    name: str
    value: str
    type: Literal["Exact", "RegularExpression"] = "Exact"

    def holds(self, content: str | None) -> bool:
        """Whether a value fits; None, where there is none, never does."""
        if content is None:
            return False
        return content == self.value if self.type == "Exact" else pattern_of(self.value).fullmatch(content) is not None

    def __str__(self) -> str:
        return f"{self.name}{'=' if self.type == 'Exact' else '~'}{self.value}"


@value
class Match:
    """All that a request must be for a rule: every condition has to hold. ``call`` is what a gRPC rule asks for, (service, method) as
    written: the path has them both, and precedence goes by the length of each."""

    path: PathMatch = PathMatch()
    method: str = ""
    headers: tuple[NameMatch, ...] = ()
    query: tuple[NameMatch, ...] = ()
    call: tuple[str, str] | None = None

    def misses(self, sent: Request) -> str:
        """The first condition that does not hold, as ``path``, ``method``, ``header NAME`` or ``query NAME``; ``""`` if all do."""
        return ("path" if not self.path.matches(sent.plain_path) else "") or self.misses_beside_path(sent)

    def misses_beside_path(self, sent: Request) -> str:
        """As ``misses``, for a request whose path is known to fit."""
        if self.method and self.method != sent.method:
            return "method"
        for each in self.headers:
            if not each.holds(sent.header(each.name)):
                return f"header {each.name}"
        if self.query:
            parameters = query_parameters(sent.query)
            for each in self.query:
                if not each.holds(parameters.get(each.name)):
                    return f"query {each.name}"
        return MATCHED

    def __str__(self) -> str:
        parts = [str(self.path), self.method, *map(str, self.headers), *(f"?{each}" for each in self.query)]
        return " ".join(part for part in parts if part)


def query_parameters(query: str) -> dict[str, str]:
    """The first value of each parameter: what repeated ones mean is left to implementations."""
    from urllib.parse import parse_qsl

    found: dict[str, str] = {}
    for name, content in parse_qsl(query, keep_blank_values=True):
        found.setdefault(name, content)
    return found


# --- what a rule does


@value
class Backend:
    """A port of a Service that requests are sent to. ``filters`` are for it alone. ``problem`` says why it cannot be used: the share of
    requests that falls to it is answered with ``status``. Another ``kind`` than Service means what its controller says."""

    namespace: str
    name: str
    port: int | str = 0
    weight: int = 1
    filters: tuple = ()
    problem: str = ""
    status: int = 500
    kind: str = "Service"
    protocol: str = ""  # appProtocol: how the second connection speaks (kubernetes.io/h2c, kubernetes.io/ws)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.key}:{self.port}" if self.port else self.key


@value
class Origin:
    """Where a rule stands: the object, and the rule's and the match's number in it, from 0 (a default backend has no numbers)."""

    kind: str
    key: str
    rule: int | None = None
    match: int | None = None
    name: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        numbers = "" if self.rule is None else f" rule {self.name or self.rule}" + ("" if self.match is None else f" match {self.match}")
        return f"{self.kind} {self.key}{numbers}"


@value
class Action:
    """What happens to a request that matched: ``filters`` in their order, then one of ``backends`` by weight. Timeouts are seconds, None
    for none: ``request_timeout`` bounds the whole answer, ``backend_timeout`` one attempt at the backend."""

    backends: tuple[Backend, ...] = ()
    filters: tuple = ()
    request_timeout: Fraction | None = None
    backend_timeout: Fraction | None = None


@value
class Rule:
    """One match, what it leads to, and its ``rank``: among the rules of one host the one with the smallest rank goes first."""

    match: Match
    action: Action
    origin: Origin
    rank: tuple = ()

    @property
    def unavailable(self) -> int:
        """The status where no backend can be used: 500 by ``httproute_types.go``; a gRPC call gets 503, which its client takes for
        UNAVAILABLE (gRPC, "HTTP to gRPC Status Code Mapping"), as ``grpcroute_types.go`` asks."""
        return 503 if self.origin.kind == "GRPCRoute" else 500
