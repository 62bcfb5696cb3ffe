"""Listeners on one port: which of them cannot stand side by side, and whose hostnames overlap under TLS.

Sources: ``apis/v1/{gateway,listenerset}_types.go`` of Gateway API 1.6 and GEP-1713, "Listener Precedence".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from .hostnames import wider
from .objects import Gateway, Listener, ListenerSet

Owned = tuple[Gateway | ListenerSet, Listener]


def conflict(one: Listener, other: Listener) -> str:
    """Why two listeners cannot both stand on a port, as the API's reason: ``ProtocolConflict``, ``HostnameConflict``, or ``""``."""
    if one.port != other.port or ("UDP" in (one.protocol, other.protocol) and one.protocol != other.protocol):
        return ""
    if _family(one) != _family(other):
        return "ProtocolConflict"
    if one.hostname != other.hostname and one.protocol not in ("TCP", "UDP"):
        return ""
    return "HostnameConflict" if one.protocol == other.protocol else "ProtocolConflict"  # HTTPS and TLS for one name


def conflicts(listeners: Sequence[Owned]) -> dict[int, str]:
    """Index → reason for the listeners that lose. The owners come in the order of their precedence: what stands of an earlier one excludes
    a later one's, and of what is left of one owner, both sides of a conflict lose."""
    found: dict[int, str] = {}
    standing = _Ports()
    for _, group in groupby(enumerate(listeners), key=lambda each: (each[1][0].kind, each[1][0].key)):
        own = [(number, listener) for number, (_, listener) in group]
        for number, listener in own:
            reason = next(filter(None, (conflict(before, listener) for _, before in standing.rivals(listener))), "")
            if reason:
                found[number] = reason
        left, mine = [each for each in own if each[0] not in found], _Ports()
        for number, listener in left:
            for earlier, before in mine.rivals(listener):
                if reason := conflict(before, listener):
                    found.setdefault(earlier, reason)
                    found.setdefault(number, reason)
            mine.add(number, listener)
        for number, listener in left:
            if number not in found:
                standing.add(number, listener)
    return found


class _Ports:
    """Listeners by port, family and hostname, so that each is compared with those alone that it may conflict with."""

    def __init__(self) -> None:
        self.families: dict[int, dict[str, list[tuple[int, Listener]]]] = {}
        self.hosts: dict[tuple[int, str, str], list[tuple[int, Listener]]] = {}

    def rivals(self, listener: Listener) -> list[tuple[int, Listener]]:
        """Those of another family on the port, or for its very hostname, in their order."""
        mine = _family(listener)
        others = (each for family, found in self.families.get(listener.port, {}).items() if family != mine for each in found)
        return sorted([*self.hosts.get((listener.port, mine, listener.hostname), ()), *others], key=lambda each: each[0])

    def add(self, number: int, listener: Listener) -> None:
        mine = _family(listener)
        self.families.setdefault(listener.port, {}).setdefault(mine, []).append((number, listener))
        self.hosts.setdefault((listener.port, mine, listener.hostname), []).append((number, listener))


def _family(listener: Listener) -> str:
    """HTTPS and TLS stand on one port together: the server name of the handshake tells them apart."""
    return {"HTTPS": "TLS"}.get(listener.protocol, listener.protocol)


def overlaps(listeners: Mapping[int, Listener]) -> dict[int, str]:
    """By number, another hostname that has names in common, for listeners with TLS on one port (condition OverlappingTLSConfig): a client may
    use a connection again that it has made for the other one's certificate."""
    return dict(_overlaps({(each.port, each.hostname): index for index, each in listeners.items() if _family(each) == "TLS"}))


def _overlaps(known: dict[tuple[int, str], int]) -> Iterator[tuple[int, str]]:
    for (port, host), index in known.items():
        for wide in wider(host):
            if wide != host and (port, wide) in known:
                yield known[port, wide], host
                yield index, wide
