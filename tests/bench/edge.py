"""Routing one request among many rules, making the table, and a whole journey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from k8snetlib.kube.edge.http import Action, Backend, Match, NameMatch, Origin, PathMatch, Rule, request
from k8snetlib.kube.edge.router import Router
from k8snetlib.kube.edge.routing import decide

COUNT = 10_000
Row = tuple[str, float, str]


def rule(number: int, match: Match) -> Rule:
    return Rule(
        match, Action((Backend("shop", f"s{number}", 80),)), Origin("HTTPRoute", "shop/r", number, 0), (0, -len(match.path.value), number)
    )


def by_host() -> tuple[Router, str, dict]:
    return Router({f"h{n}.example.com": (rule(n, Match(PathMatch())),) for n in range(COUNT)}), f"http://h{COUNT - 1}.example.com/a/b", {}


def by_path() -> tuple[Router, str, dict]:
    rules = tuple(rule(n, Match(PathMatch("Prefix", f"/a{n}/b"))) for n in range(COUNT))
    return Router({"": rules}), f"http://x/a{COUNT - 1}/b/c/d", {}


def by_header() -> tuple[Router, str, dict]:
    rules = tuple(rule(n, Match(PathMatch(), headers=(NameMatch("X-Tenant", str(n)),))) for n in range(COUNT))
    return Router({"": rules}), "http://x/", {"X-Tenant": str(COUNT - 1)}


def by_pattern() -> tuple[Router, str, dict]:
    rules = tuple(rule(n, Match(PathMatch("RegularExpression", f"/a{n}/[a-z]+"))) for n in range(COUNT))
    return Router({"": rules}), f"http://x/a{COUNT - 1}/b", {}


KINDS: dict[str, tuple[Callable[[], tuple[Router, str, dict]], str]] = {
    "hosts": (by_host, "< 1 ms"),
    "prefixes of one host": (by_path, "< 1 ms"),
    "header values on one path": (by_header, "< 1 ms"),
    "regular expressions on one host": (by_pattern, "< 1 ms"),
}


def seconds(action: Callable[[], object], runs: int) -> float:
    start = time.perf_counter()
    for _ in range(runs):
        action()
    return (time.perf_counter() - start) / runs


def rows() -> Iterator[Row]:
    for name, (make, aim) in KINDS.items():
        router, url, headers = make()
        sent = request(url, headers=headers)
        first = seconds(lambda router=router, sent=sent: decide(router, sent), 1)
        found = decide(router, sent)[0]
        assert found.backend is not None and found.backend.name == f"s{COUNT - 1}"
        yield f"a request routed among 10,000 {name}", seconds(lambda router=router, sent=sent: decide(router, sent), 50), aim
        yield "    the first of all, which sorts the rules", first, "(none)"
    from k8snetlib.kube.cast import INGRESS, shop

    cluster = shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)
    cluster.journey("https://www.example.com/api")
    yield (
        "a request's whole journey, two connections there and back",
        seconds(lambda: cluster.journey("https://www.example.com/api"), 50),
        "(none)",
    )
