"""Hostnames of rules and listeners: which name fits a wildcard, and which of two is more specific (KEP-1453; ``Hostname`` in
``apis/v1/shared_types.go`` of Gateway API)."""

from __future__ import annotations

from collections.abc import Iterator


def host_matches(pattern: str, host: str, one_label: bool = False) -> bool:
    """Whether a host fits a rule's host: ``""`` is any; ``*.foo.com`` one label before the dot, or, unless ``one_label``, one or more."""
    if not pattern or pattern == host:
        return True
    if not pattern.startswith("*."):
        return False
    head, suffix = host[: len(host) - len(pattern) + 1], pattern[1:]
    return host.endswith(suffix) and bool(head) and not (one_label and "." in head)


def covers(wide: str, host: str) -> bool:
    """Whether every name of a host, which may have a wildcard, is one of another's (with any number of labels)."""
    return not wide or wide == host or (wide.startswith("*.") and host.removeprefix("*").endswith(wide[1:]))


def wider(host: str) -> Iterator[str]:
    """The host, and every wildcard whose names include its own, the most specific first; ``""``, any, is the last."""
    yield host
    rest = host.partition(".")[2]
    while rest:
        if f"*.{rest}" != host:
            yield f"*.{rest}"
        rest = rest.partition(".")[2]
    if host:
        yield ""


def specificity(host: str) -> tuple:
    """Sorts hosts from specific to general: names, then wildcards by their length, then any."""
    return (not host, host.startswith("*."), -len(host), host)
