"""HTTPRoutes: the schema of the custom resource (apis/v1/httproute_types.go of Gateway API, standard channel)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .crd import FLAG, Resource, Rule, Schema, array, number, struct, text
from .gateway_types import BACKEND_REF, HOSTNAME, NAME, NEEDS_PORT, PARENT_REFS, PORT, PRECISE_HOSTNAME, SECTION, group, kind

Data = dict[str, Any]
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
HEADER_NAME = text(1, 256, r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$")
_DURATION = text(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$")
_ROOT = {"type": "PathPrefix", "value": "/"}

# --- matches


def _plain(holds: Any) -> Any:
    """A rule for the value of a path that is no regular expression."""
    return lambda path: path["type"] == "RegularExpression" or holds(path["value"])


_OF = "when type one of ['Exact', 'PathPrefix']"
_PATH = struct(
    Rule(f"value must be an absolute path and start with '/' {_OF}", _plain(lambda value: value.startswith("/"))),
    *(
        Rule(f"must not contain '{part}' {_OF}", _plain(lambda value, part=part: part not in value))
        for part in ("//", "/./", "/../", "%2f", "%2F", "#")
    ),
    *(Rule(f"must not end with '{part}' {_OF}", _plain(lambda value, part=part: not value.endswith(part))) for part in ("/..", "/.")),
    Rule(
        "must only contain valid characters for types ['Exact', 'PathPrefix']",
        _plain(lambda value: re.fullmatch(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+", value) is not None),
    ),
    default=_ROOT,
    type=text(enum=("Exact", "PathPrefix", "RegularExpression"), default="PathPrefix"),
    value=text(None, 1024, default="/"),
)


def _pairs(longest: int) -> Schema:
    """A list of name and value matchers, each name once."""
    kinds = text(enum=("Exact", "RegularExpression"), default="Exact")
    return array(struct(required="name value", type=kinds, name=HEADER_NAME, value=text(1, longest)), 16, keys=("name",))


_MATCH = struct(path=_PATH, headers=_pairs(4096), queryParams=_pairs(1024), method=text(enum=_METHODS))

# --- filters

_HEADERS = array(struct(required="name value", name=HEADER_NAME, value=text(1, 4096)), 16, keys=("name",))
_HEADER_FILTER = struct(set=_HEADERS, add=_HEADERS, remove=array(text(), 16, keys=()))


def _modifier_rules() -> list[Rule]:
    out = []
    for kind_, field in (("ReplaceFullPath", "replaceFullPath"), ("ReplacePrefixMatch", "replacePrefixMatch")):
        needed = Rule(f"{field} must be specified when type is set to '{kind_}'", lambda m, k=kind_, f=field: m["type"] != k or f in m)
        alone = Rule(f"type must be '{kind_}' when {field} is set", lambda m, k=kind_, f=field: f not in m or m["type"] == k)
        out += [needed, alone]
    return out


_MODIFIER = struct(
    *_modifier_rules(),
    required="type",
    type=text(enum=("ReplaceFullPath", "ReplacePrefixMatch")),
    replaceFullPath=text(None, 1024),
    replacePrefixMatch=text(None, 1024),
)
_REDIRECT = struct(
    scheme=text(enum=("http", "https")),
    hostname=PRECISE_HOSTNAME,
    path=_MODIFIER,
    port=PORT,
    statusCode=number(enum=(301, 302, 303, 307, 308), default=302),
)
_FRACTION = struct(
    Rule("numerator must be less than or equal to denominator", lambda data: data["numerator"] <= data["denominator"]),
    required="numerator",
    numerator=number(0),
    denominator=number(1, default=100),
)
_MIRROR = struct(
    Rule("Only one of percent or fraction may be specified in HTTPRequestMirrorFilter", lambda m: not ("percent" in m and "fraction" in m)),
    required="backendRef",
    backendRef=struct(NEEDS_PORT, required="name", **BACKEND_REF),
    percent=number(0, 100),
    fraction=_FRACTION,
)


def _star_alone(what: str) -> Rule:
    return Rule(f"{what} cannot contain '*' alongside other values", lambda values: "*" not in values or len(values) == 1)


_ORIGIN = text(1, 253, r"(^\*$)|(^([a-zA-Z][a-zA-Z0-9+\-.]+)://([^/?#:]+)(:\d+)?$)")
_CORS_HEADER = text(1, 256, r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$")
_CORS = struct(
    allowOrigins=array(_ORIGIN, 64, _star_alone("AllowOrigins"), keys=()),
    allowCredentials=FLAG,
    allowMethods=array(text(enum=(*_METHODS, "*")), 9, _star_alone("AllowMethods"), keys=()),
    allowHeaders=array(_CORS_HEADER, 64, _star_alone("AllowHeaders"), keys=()),
    exposeHeaders=array(_CORS_HEADER, 64, _star_alone("ExposeHeaders"), keys=()),
    maxAge=number(1, default=5),
)
FILTERS: dict[str, tuple[str, Schema]] = {
    "CORS": ("cors", _CORS),
    "RequestHeaderModifier": ("requestHeaderModifier", _HEADER_FILTER),
    "ResponseHeaderModifier": ("responseHeaderModifier", _HEADER_FILTER),
    "RequestMirror": ("requestMirror", _MIRROR),
    "RequestRedirect": ("requestRedirect", _REDIRECT),
    "URLRewrite": ("urlRewrite", struct(hostname=PRECISE_HOSTNAME, path=_MODIFIER)),
    "ExtensionRef": ("extensionRef", struct(required="group kind name", group=group(), kind=kind(), name=NAME)),
}


def filter_list(kinds: Mapping[str, tuple[str, Schema]], *checks: Rule, once: Iterable[str] = ()) -> Schema:
    """A list of filters: each has a type, and the field of that type alone; those of the types in ``once`` are not repeated."""
    own = []
    for kind_, (field, _) in kinds.items():
        alone = f"filter.{field} must be nil if the filter.type is not {kind_}"
        needed = f"filter.{field} must be specified for {kind_} filter.type"
        own.append(Rule(alone, lambda data, k=kind_, f=field: f not in data or data["type"] == k))
        own.append(Rule(needed, lambda data, k=kind_, f=field: f in data or data["type"] != k))
    return array(struct(*own, required="type", type=text(enum=tuple(kinds)), **dict(kinds.values())), 16, *checks, *map(_once, once))


def _once(kind_: str) -> Rule:
    return Rule(f"{kind_} filter cannot be repeated", lambda data: sum(each["type"] == kind_ for each in data) <= 1)


_FILTER_LIST = filter_list(
    FILTERS,
    Rule(
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
        lambda data: not {"RequestRedirect", "URLRewrite"} <= {each["type"] for each in data},
    ),
    once=("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"),
)

# --- rules


def _replaces_prefix(filters: list[Data], field: str) -> bool:
    """Whether exactly one filter of the list replaces the prefix that was matched."""
    paths = [each[field].get("path", {}) for each in filters if field in each]
    return sum(path.get("type") == "ReplacePrefixMatch" and "replacePrefixMatch" in path for path in paths) == 1


def _one_prefix(rule: Data) -> bool:
    return len(rule["matches"]) == 1 and rule["matches"][0]["path"]["type"] == "PathPrefix"


def _prefix_rule(name: str, field: str, inside: bool) -> Rule:
    where = "Within backendRefs, w" if inside and field == "requestRedirect" else "Within backendRefs, W" if inside else "W"

    def holds(rule: Data) -> bool:
        lists = [each.get("filters", []) for each in rule.get("backendRefs", ())] if inside else [rule.get("filters", [])]
        return sum(_replaces_prefix(each, field) for each in lists) != 1 or _one_prefix(rule)

    return Rule(f"{where}hen using {name} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified", holds)


def _no_backend_for_redirect(rule: Data) -> bool:
    return not rule.get("backendRefs") or all("requestRedirect" not in each for each in rule.get("filters", ()))


def _seconds(duration: str) -> float:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(int(amount) * units[unit] for amount, unit in re.findall(r"(\d+)(ms|h|m|s)", duration))


def _backend_within_request(data: Data) -> bool:
    whole, part = _seconds(data.get("request", "0s")), _seconds(data.get("backendRequest", "0s"))
    return whole == 0 or part <= whole


_RULE = struct(
    Rule("RequestRedirect filter must not be used together with backendRefs", _no_backend_for_redirect),
    *(
        _prefix_rule(*names, inside)
        for inside in (False, True)
        for names in (("RequestRedirect", "requestRedirect"), ("URLRewrite", "urlRewrite"))
    ),
    name=SECTION,
    matches=array(_MATCH, 64, default=[{"path": _ROOT}]),
    filters=_FILTER_LIST,
    backendRefs=array(struct(NEEDS_PORT, required="name", weight=number(0, 1_000_000, default=1), filters=_FILTER_LIST, **BACKEND_REF), 16),
    timeouts=struct(
        Rule("backendRequest timeout cannot be longer than request timeout", _backend_within_request),
        request=_DURATION,
        backendRequest=_DURATION,
    ),
    retry=struct(codes=array(number(400, 599), keys=()), attempts=number(1), backoff=_DURATION),
)


def names_differ(data: list[Data]) -> bool:
    """Whether no two rules have one name."""
    names = [each["name"] for each in data if "name" in each]
    return len(set(names)) == len(names)


FEW_MATCHES = Rule(
    "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules must not exceed 128",
    lambda data: sum(len(each.get("matches", ())) for each in data) <= 128,
)
_SPEC = struct(
    parentRefs=PARENT_REFS,
    hostnames=array(HOSTNAME, 16),
    rules=array(
        _RULE,
        16,
        Rule("Rule name must be unique within the route", names_differ),
        FEW_MATCHES,
        least=1,
        default=[{"matches": [{"path": _ROOT}]}],
    ),
)
_ROUTE = Resource(_SPEC)
decode, default, problems = _ROUTE.decode, _ROUTE.default, _ROUTE.problems
