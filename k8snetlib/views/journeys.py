"""Several journeys beside each other: the same request by other ways in, under other plug-ins and modes, and with something broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.breaks import breaks
from ..kube.edge.journey import Connection, Journey
from ..linux.events import Encapsulated, Rewritten
from .journey import place
from .outcomes import examined
from .rewrites import changes
from .tables import Table
from .way_picture import legs

TEXT = {
    "caption": "{request}, by {n} ways",
    "same": "the same everywhere?", "yes": "yes", "differs": "{n} different",
    "waits": "nothing: it waits, then gives up", "refused": "“connection refused”",
    "closed": "nothing: the balancer takes its connection, and closes it",
    "none": "–", "nobody": "nobody",
    "unknown": "there is no aspect {name!r}: choose from {names}",
    "breaks": "station|what is wrong there|the client gets|connections made|because",
    "breaks-caption": "{url}, with one thing broken at a time",
    "intact": "nothing is wrong", "everywhere": "–", "made": "{n} of {all}",
}  # fmt: skip


def heard(found: Journey) -> str:
    """What the client hears: the answer's status, that its connection is refused, or nothing."""
    if found.response is not None:
        return str(found.response)
    return TEXT["refused" if found.refused else "closed" if found.closed else "waits"]


# --- aspects of one journey


def _way(each: Connection) -> str:
    return " → ".join(place(name, each.there) for name in [each.there.start, *(leg.head for leg in legs(each.there))])


def _machines(found: Journey) -> str:
    return "\n".join(_way(each) for each in found.connections)


def _added(found: Journey) -> str:
    """Bytes that tunnels put around the packets of all connections, there."""
    sizes = [len(e.outer) - len(e.inner.payload) for each in found.connections for e in each.there.all(Encapsulated, 0)]
    return " + ".join(map(str, sizes)) or TEXT["none"]


def _translators(found: Journey) -> str:
    """Who changes addresses, on all connections."""
    names = [place(event.netns, each.there) for each in found.connections for event in changes(each.there)]
    return ", ".join(dict.fromkeys(names)) or TEXT["nobody"]


def _looked_at(found: Journey) -> str:
    """Rules that the machine looks at which changes the destination of the connection that comes in."""
    first = found.incoming.there
    who = next((event.netns for event in changes(first)), "")
    return str(examined(first, who)) if who else TEXT["none"]


def _hops(found: Journey) -> str:
    """Routers passed, by what TTL is left, connection by connection."""
    return ", ".join(str(sum(e.what == "TTL" for e in each.there.all(Rewritten, 0))) for each in found.connections)


def _peer(found: Journey) -> str:
    last = found.connections[-1].there
    return str(last.end.packet.src) if found.pod is not None and last.delivered else TEXT["none"]


def _forwarded(found: Journey) -> str:
    sent = found.connections[-1].request if found.pod is not None else None
    return (sent.header("X-Forwarded-For") if sent else None) or TEXT["none"]


def _tls(found: Journey) -> str:
    """Where TLS ends: the last end of a secure connection."""
    secure = [each.head for each in found.connections if each.secure]
    return secure[-1] if secure else TEXT["none"]


ASPECTS: dict[str, Callable[[Journey], str]] = {
    "connections": lambda found: str(len(found.connections)),
    "machines on the way": _machines,
    "routers passed": _hops,
    "bytes added by tunnels": _added,
    "who changes addresses": _translators,
    "rules looked at": _looked_at,
    "the controller sees": lambda found: found.sees if found.controller else TEXT["none"],
    "the Pod sees": _peer,
    "X-Forwarded-For": _forwarded,
    "TLS ends at": _tls,
    "answered by": lambda found: found.pod.name if found.pod else TEXT["nobody"],
    "the client gets": heard,
}
"""What can be compared, by the column's head; each a function of a journey."""


def compared(journeys: Mapping[str, Journey], *aspects: str, head: str = "") -> Table:
    """``compared({"Flannel": first, "Calico": second}, "the Pod sees", "the client gets")``: a row for each journey, a column for each
    aspect (default: all), and a last row that says which are the same everywhere. ModelError for an aspect that there is not."""
    for name in aspects:
        if name not in ASPECTS:
            raise ModelError(TEXT["unknown"].format(name=name, names=", ".join(ASPECTS)))
    chosen = aspects or tuple(ASPECTS)
    rows = [(name, *(ASPECTS[each](found) for each in chosen)) for name, found in journeys.items()]
    if len(rows) > 1:
        rows.append((TEXT["same"], *(_same([row[n] for row in rows]) for n in range(1, len(chosen) + 1))))
    requests = " / ".join(dict.fromkeys(str(found.request) for found in journeys.values()))
    caption = TEXT["caption"].format(request=requests, n=len(journeys))
    return Table((head, *chosen), tuple(rows), caption, whole=frozenset({head, "the Pod sees", "the controller sees", "X-Forwarded-For"}))


def _same(cells: Sequence[str]) -> str:
    different = len(set(cells))
    return TEXT["yes"] if different == 1 else TEXT["differs"].format(n=different)


def breakages(cluster: Cluster, url: str, only: Iterable[str] = ()) -> Table:
    """``breakages(cluster, "https://www.example.com/api")``: what the client gets if one station of the way is broken, station by station.
    ``only`` picks some by their names in :func:`~k8snetlib.kube.edge.breaks.breaks`."""
    found = breaks(cluster, url)
    chosen = tuple(only) or tuple(found)
    good = cluster.journey(url)
    rows = [(TEXT["everywhere"], TEXT["intact"], *_cells(good))]
    rows += [(found[name].station, found[name].title, *_cells(found[name].journey(url))) for name in chosen]
    heads = tuple(TEXT["breaks"].split("|"))
    return Table(heads, tuple(rows), TEXT["breaks-caption"].format(url=url), whole=frozenset({heads[2]}))


def _cells(found: Journey) -> tuple[str, str, str]:
    made = sum(each.works for each in found.connections)
    failed = next((each.there.end for each in found.connections if not each.there.delivered), None)
    detail = getattr(failed, "detail", "")
    return heard(found), TEXT["made"].format(n=made, all=2 + found.balanced), "\n".join(filter(None, [found.why, detail])) or TEXT["none"]
