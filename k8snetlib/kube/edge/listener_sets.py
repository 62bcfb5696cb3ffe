"""A Gateway with its ListenerSets: the merged listeners and their precedence, and what its controller says of each of these objects.

Sources: ``apis/v1/listenerset_types.go`` of Gateway API 1.6 and GEP-1713: a Gateway's own conditions reflect its own listeners alone, a
set's those of the set, except that a Gateway that is not accepted or not programmed takes its sets down with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...value import value
from .attach import PENDING, Condition, ListenerStatus, admits, listener_status
from .conflicts import conflicts, overlaps
from .objects import GATEWAY_GROUP, Gateway, Listener, ListenerSet
from .route_rules import GatewayWorld

ADDRESS_TYPES = ("IPAddress", "Hostname")
TEXT = {
    "address": "addresses of type {kind} mean what an implementation says",
    "parameters": "there is no {ref}",
    "not allowed": "{gateway} lets in no ListenerSet of namespace {namespace}",
    "not accepted": "{gateway} is not accepted",
    "not programmed": "{gateway} is not programmed",
    "no class": "no GatewayClass {name!r}",
    "no parent": "there is no {parent} with a known class",
}


@value
class Merged:
    """What a controller makes of a Gateway and the ListenerSets that name it: the listeners, the Gateway's own first and those of the sets
    that it lets in, the oldest first; the Gateway's conditions; and each set's, by the set's key."""

    gateway: Gateway
    listeners: tuple[ListenerStatus, ...]
    conditions: tuple[Condition, ...]
    sets: dict[str, tuple[Condition, ...]]


def merged(gateway: Gateway, world: GatewayWorld) -> Merged:
    """A Gateway whose class is there, with its ListenerSets."""
    asking = sorted(
        (each for each in world.sets if each.parent == gateway.ref), key=lambda each: (each.metadata.creation_timestamp, each.key)
    )
    let_in = [each for each in asking if admits(gateway.allowed_sets, gateway.namespace, each.namespace, world.labels)]
    owned: list[tuple[Gateway | ListenerSet, Listener]] = [(owner, each) for owner in (gateway, *let_in) for each in owner.listeners]
    clashes = conflicts(owned)
    overlap = overlaps({number: listener for number, (_, listener) in enumerate(owned) if number not in clashes})
    found = [
        listener_status(*each, clashes.get(index, ""), overlap.get(index), world.secrets, world.grants) for index, each in enumerate(owned)
    ]
    own = found[: len(gateway.listeners)]
    conditions = tuple(_unfit(gateway, world)) or _summary(own, any(each.accepted for each in own), "Invalid")
    sets = {each.key: _refused(gateway, each) for each in asking}
    for each in let_in:
        mine = [status for status in found if status.owner is each]
        sets[each.key] = _under(gateway, conditions, _summary(mine, any(status.works for status in mine), "ListenersNotValid"))
    if "False" in [each.status for each in conditions]:
        why = TEXT["not accepted" if conditions[0].status == "False" else "not programmed"].format(gateway=gateway)
        found = [each.stopped(why) for each in found]
    return Merged(gateway, tuple(found), conditions, sets)


def unclaimed(world: GatewayWorld) -> Iterator[tuple[Gateway | ListenerSet, tuple[Condition, ...]]]:
    """The Gateways and ListenerSets that no controller has taken up, with the conditions that the API server gives them."""
    classes = {each.name for each in world.classes}
    taken = {(each.kind, each.key) for each in world.gateways if each.gateway_class in classes}
    for each in world.gateways:
        if (each.kind, each.key) not in taken:
            yield each, _pending(TEXT["no class"].format(name=each.gateway_class))
    for each in world.sets:
        ref = each.parent
        if ref.group != GATEWAY_GROUP or (ref.kind, f"{ref.namespace}/{ref.name}") not in taken:
            group = "" if ref.group == GATEWAY_GROUP else f"{ref.group}/"
            yield each, _pending(TEXT["no parent"].format(parent=f"{group}{ref}"))


def _pending(words: str) -> tuple[Condition, ...]:
    return Condition("Accepted", "Unknown", PENDING, words), Condition("Programmed", "Unknown", PENDING)


def _unfit(gateway: Gateway, world: GatewayWorld) -> Iterator[Condition]:
    """The conditions of a Gateway that asks for what is not there, or for an address of a type that its implementation alone knows."""
    other = next((kind for kind, _ in gateway.addresses if kind not in ADDRESS_TYPES), "")
    ref = gateway.parameters
    if other:
        yield Condition("Accepted", "False", "UnsupportedAddress", TEXT["address"].format(kind=other))
    elif ref and (ref.kind, ref.namespace, ref.name) not in world.others:
        yield Condition("Accepted", "False", "InvalidParameters", TEXT["parameters"].format(ref=ref))
    else:
        return
    yield Condition("Programmed", "False", "Invalid")


def _summary(own: Sequence[ListenerStatus], accepted: bool, unfit: str) -> tuple[Condition, ...]:
    """Of a Gateway or ListenerSet with these listeners; ``unfit`` is the reason if none of them works. A listener whose references lead
    nowhere is enough for a Gateway to be accepted, but not for a set (conformance test ListenerSetReferenceGrant)."""
    working = [each for each in own if each.works]
    reason = "Accepted" if len(working) == len(own) else "ListenersNotValid"
    programmed = Condition("Programmed", "True", "Programmed") if working else Condition("Programmed", "False", unfit)
    return Condition("Accepted", "True" if accepted else "False", reason), programmed


def _refused(gateway: Gateway, each: ListenerSet) -> tuple[Condition, ...]:
    words = TEXT["not allowed"].format(gateway=gateway, namespace=each.namespace)
    return Condition("Accepted", "False", "NotAllowed", words), Condition("Programmed", "False", "NotAllowed")


def _under(gateway: Gateway, parent: Sequence[Condition], own: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """A set's conditions, given its parent's: Accepted first, Programmed second."""
    accepted, programmed = (each.status == "True" for each in parent)
    if not accepted:
        own = (Condition("Accepted", "False", "ParentNotAccepted", TEXT["not accepted"].format(gateway=gateway)), own[1])
    if not programmed and (not accepted or own[1].status == "True"):
        own = (own[0], Condition("Programmed", "False", "ParentNotProgrammed", TEXT["not programmed"].format(gateway=gateway)))
    return own


def refused(sets: dict[str, tuple[Condition, ...]]) -> frozenset[str]:
    """The keys of the sets that their Gateways do not let in."""
    return frozenset(key for key, lines in sets.items() if lines[0].reason == "NotAllowed")
