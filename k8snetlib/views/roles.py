"""Who owns which object of the Gateway API, what refers to what, and whether each reference holds.

Top to bottom as the API has it: GatewayClass, Gateway, routes, Services; a frame for each owner. The roles and their kinds are those of
Gateway API's "Roles and Personas"; a grant and a ListenerSet belong to the namespace in which they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.edge.attach import granted
from ..kube.edge.entry import GATEWAY_LABEL
from ..kube.edge.objects import BackendRef, Gateway, GatewayClass, Listener, ListenerSet, ObjectRef, ParentRef, ReferenceGrant, Route
from ..kube.objects import Named, Service
from ..value import value
from .figure import Figure
from .render import canvas
from .tables import Table

if TYPE_CHECKING:
    import graphviz

Role = Literal["provider", "operator", "developer"]
ROLES: dict[str, Role] = {
    "GatewayClass": "provider", "Gateway": "operator", "ListenerSet": "developer", "HTTPRoute": "developer", "GRPCRoute": "developer",
    "TLSRoute": "developer", "TCPRoute": "developer", "UDPRoute": "developer", "ReferenceGrant": "developer", "Service": "developer",
}  # fmt: skip
"""Which role writes which kind of object."""
KINDS = {"provider": "outside", "operator": "host", "developer": "pod"}
TEXT = {
    "provider": "infrastructure provider",
    "operator": "cluster operator",
    "developer": "developers of {namespace}",
    "provider-role": "infrastructure provider", "operator-role": "cluster operator", "developer-role": "application developer",
    "class": "GatewayClass {name}\ncontroller {controller}",
    "missing": "✕ no {kind}\n{name}",
    "gateway": "{kind} {key}\n{listeners}",
    "listener": "{name}: {protocol} {port}, {hostname}\n   routes from {source}",
    "any": "any host", "same": "its own namespace", "all": "all namespaces", "selector": "namespaces with {selector}", "none": "nowhere",
    "route": "{kind} {key}\n{hostnames}",
    "service": "Service {key}",
    "grant": "ReferenceGrant {key}\nfrom {sources}\nto {targets}",
    "source": "{kind} of {namespace}", "target": "{kind}", "target-name": "{kind} {name}",
    "made": "made by the controller:\n{names}",
    "yes": "✓ {what}", "no": "✕ {what}",
    "no-parent": "no such {kind}", "no-status": "no status",
    "alt": "Who owns what. {owners} References: {references}.",
    "alt-owner": "{owner}: {objects}.",
    "alt-reference": "{tail} to {head}: {what}",
    "alt-none": "none",
    "heads": "object|namespace|written by|refers to",
    "caption": "Who writes what",
    "refers": "{ref} ({state})",
    "cluster-wide": "(of the whole cluster)",
    "no-role": "there is no role {role!r} (there are {roles})",
}  # fmt: skip
MOST_LINES = 4
BESIDE = "\u00a0" * 4


@value
class Reference:
    """One object that names another: the boxes' keys, whether the reference holds, and the API's reason, or the field's name. Nothing is
    said of a Service that may be used."""

    tail: tuple[str, str]
    head: tuple[str, str]
    holds: bool
    what: str


@value
class Ownership:
    """The objects of a way in by their owners, and the references between them. ``made`` are what controllers made for Gateways."""

    objects: tuple[Named, ...]
    references: tuple[Reference, ...]
    missing: tuple[tuple[str, str], ...] = ()
    made: tuple[tuple[str, str], ...] = ()  # (the Gateway's key, the names of what was made for it)


def key(thing: Named | ObjectRef) -> tuple[str, str]:
    """An object's box: (kind, name), with its namespace where it has one."""
    namespace = getattr(thing, "namespace", "")
    return thing.kind, f"{namespace}/{thing.name}" if namespace and thing.kind != "GatewayClass" else thing.name


def ownership(cluster: Cluster) -> Ownership:
    """Read from the cluster's manifests and the statuses that its controllers have written."""
    manifests = cluster.manifests
    classes, gateways, sets = manifests.of(GatewayClass), manifests.of(Gateway), manifests.of(ListenerSet)
    routes, grants = manifests.of(Route), manifests.of(ReferenceGrant)
    references = [*_to_classes(gateways, classes), *_to_gateways(cluster, sets)]
    references += [*_to_parents(cluster, routes), *_to_backends(cluster, routes)]
    used = {each.head for each in references}
    services = [each for each in cluster.control.services if key(each) in used]
    objects = (*classes, *gateways, *sets, *routes, *services, *grants)
    missing = tuple(dict.fromkeys(each.head for each in references if each.head not in {key(one) for one in objects}))
    made = tuple((each.key, names) for each in gateways if each.key in cluster.edge.gateways and (names := _made(cluster, each)))
    return Ownership(objects, tuple(references), missing, made)


def _made(cluster: Cluster, gateway: Gateway) -> str:
    """What carries the label of GEP-1762: the controller's Service and Pods."""
    label, home = (GATEWAY_LABEL, gateway.name), gateway.namespace
    services = [key(each) for each in cluster.control.services if label in each.labels.items() and each.namespace == home]
    pods = [("Pod", each.key) for each in cluster.pods if label in each.labels.items() and each.namespace == home]
    return "\n".join(f"{kind} {name.rpartition('/')[2]}" for kind, name in [*services, *pods])


def _to_classes(gateways: tuple[Gateway, ...], classes: tuple[GatewayClass, ...]) -> Iterator[Reference]:
    names = {each.name for each in classes}
    for each in gateways:
        yield Reference(key(each), ("GatewayClass", each.gateway_class), each.gateway_class in names, "gatewayClassName")


def _to_gateways(cluster: Cluster, sets: tuple[ListenerSet, ...]) -> Iterator[Reference]:
    there = {key(each) for each in cluster.manifests.of(Gateway)}
    for each in sets:
        accepted = next(line for line in cluster.edge.statuses.sets[each.key] if line.type == "Accepted")
        reason = accepted.reason if key(each.parent) in there else TEXT["no-parent"].format(kind=each.parent.kind)
        yield Reference(key(each), key(each.parent), accepted.status == "True", reason)


def _to_parents(cluster: Cluster, routes: tuple[Route, ...]) -> Iterator[Reference]:
    there = {key(each) for kind in (Gateway, ListenerSet) for each in cluster.manifests.of(kind)}
    for route in routes:
        said = {each.parent: each for each in cluster.edge.statuses.of_route(route)}
        for parent in route.parents:
            status = said.get(parent)
            accepted = next(line for line in status.conditions if line.type == "Accepted") if status else None
            missing = TEXT["no-status" if _parent_key(parent) in there else "no-parent"].format(kind=parent.kind)
            yield Reference(key(route), _parent_key(parent), bool(status and status.accepted), accepted.reason if accepted else missing)


def _parent_key(parent: ParentRef) -> tuple[str, str]:
    return parent.kind, parent.key


def _to_backends(cluster: Cluster, routes: tuple[Route, ...]) -> Iterator[Reference]:
    grants = cluster.manifests.of(ReferenceGrant)
    for route in routes:
        seen: dict[tuple[str, str], Reference] = {}
        for each in (one for rule in route.rules for one in (*rule.backends, *rule.mirrors)):
            reason = _refused(cluster, route, each, grants)
            seen.setdefault(key(each.ref), Reference(key(route), key(each.ref), not reason, reason))
        yield from seen.values()


def _refused(cluster: Cluster, route: Route, each: BackendRef, grants: tuple[ReferenceGrant, ...]) -> str:
    """The reason of the condition ResolvedRefs, were this the route's only backend; "" if it may be used."""
    if not cluster.edge.statuses.of_route(route):
        return TEXT["no-status"]
    if (each.ref.group, each.ref.kind) != ("", "Service"):
        return "InvalidKind"
    if not granted(route, each.ref, grants):
        return "RefNotPermitted"
    return "BackendNotFound" if cluster.edge.backends.problem(each.target) else ""


# --- the picture


def roles_picture(cluster: Cluster, role: str = "", caption: str = "") -> Figure:
    """GatewayClass → Gateway → routes → Services, each in its owner's frame, with what the statuses say on the lines; a ``role``
    ("provider", "operator", "developer") dims what others write. ModelError for a role that there is not."""
    if role and role not in KINDS:
        raise ModelError(TEXT["no-role"].format(role=role, roles=", ".join(KINDS)))
    found = ownership(cluster)
    return Figure.of(_draw(found, role), alt(found), caption)


def _owner(thing: Named) -> tuple[Role, str]:
    role = ROLES[thing.kind]
    return role, "" if role == "provider" else thing.namespace


def _draw(found: Ownership, role: str) -> graphviz.Digraph:
    graph = canvas("roles", ranksep="0.55", nodesep="0.4")
    graph.attr("node", margin="0.34,0.09")
    owners: dict[tuple[Role, str], list[Named]] = {}
    for each in found.objects:
        owners.setdefault(_owner(each), []).append(each)
    for number, (owner, things) in enumerate(owners.items()):
        dim = " dim" if role and owner[0] != role else ""
        with graph.subgraph(name=f"cluster_{number}") as frame:
            frame.attr(label=TEXT[owner[0]].format(namespace=owner[1]), margin="14", **{"class": KINDS[owner[0]] + dim})
            _things(frame, number, things, found, dim)
    for kind, name in found.missing:
        graph.node(_id((kind, name)), TEXT["missing"].format(kind=kind, name=name), **{"class": "drop"})
    for each in found.references:
        _line(graph, each)
    for each in found.objects:
        if isinstance(each, ReferenceGrant):
            _above(graph, each, found)
    return graph


def _things(frame: graphviz.Digraph, number: int, things: Sequence[Named], found: Ownership, dim: str) -> None:
    """One owner's objects, and beside a Gateway what its controller made for it."""
    for each in things:
        frame.node(_id(key(each)), _label(each), **{"class": BOXES.get(each.kind, "interface") + dim})
    if not isinstance(things[0], GatewayClass):
        _clear(frame, number, [each for each in things if isinstance(each, Gateway | Route)] or things)
    for gateway, names in found.made:
        if any(isinstance(each, Gateway) and each.key == gateway for each in things):
            box = f"made {gateway}"
            frame.node(box, TEXT["made"].format(names=names), **{"class": "underlay" + dim})
            with frame.subgraph() as same:
                same.attr(rank="same")
                same.edge(_id(("Gateway", gateway)), box, **{"class": "link" + dim})


def _clear(frame: graphviz.Digraph, number: int, row: Sequence[Named]) -> None:
    """Keep lines that come from above off the frame's name, by an empty place to the left of its first row."""
    with frame.subgraph() as same:
        same.attr(rank="same")
        same.node(f"clear {number}", "", style="invis", width="1.45", fixedsize="true")
        for each in row:
            same.edge(f"clear {number}", _id(key(each)), style="invis")


def _line(graph: graphviz.Digraph, each: Reference) -> None:
    """A reference as a line; those upwards are drawn from above, so that ranks run GatewayClass, Gateway, route, Service."""
    state = _state(each)
    room = "\u00a0" * (len(state) // 5)  # the longer a text, the more it is wider than Graphviz reckons
    text = BESIDE + room + state + room + "\u00a0"
    look = {"class": "path" if each.holds else "lookup"}
    if each.head[0] in ("GatewayClass", "Gateway", "ListenerSet"):
        graph.edge(_id(each.head), _id(each.tail), label=text, dir="back", **look)
    else:
        graph.edge(_id(each.tail), _id(each.head), label=text, dir="forward", **look)


def _above(graph: graphviz.Digraph, grant: ReferenceGrant, found: Ownership) -> None:
    """A grant stands above the Services of its namespace."""
    for each in found.objects:
        if isinstance(each, Service) and each.namespace == grant.namespace:
            graph.edge(_id(key(grant)), _id(key(each)), style="invis")
            return


BOXES = {"GatewayClass": "outside", "Gateway": "host", "ListenerSet": "host", "Service": "service", "ReferenceGrant": "bridge"}
"""Drawing classes by kind; routes are plain boxes."""


def _id(key: tuple[str, str]) -> str:
    return " ".join(key)


def _label(thing: Named) -> str:
    if isinstance(thing, GatewayClass):
        return TEXT["class"].format(name=thing.name, controller=thing.controller)
    if isinstance(thing, Gateway | ListenerSet):
        listeners = "\n".join(map(_listener, thing.listeners[:MOST_LINES]))
        return TEXT["gateway"].format(kind=thing.kind, key=thing.key, listeners=listeners)
    if isinstance(thing, ReferenceGrant):
        sources = ", ".join(TEXT["source"].format(kind=kind, namespace=namespace) for _, kind, namespace in thing.sources)
        targets = ", ".join(TEXT["target-name" if name else "target"].format(kind=kind, name=name) for _, kind, name in thing.targets)
        return TEXT["grant"].format(key=thing.key, sources=sources, targets=targets)
    if isinstance(thing, Route):
        return TEXT["route"].format(kind=thing.kind, key=thing.key, hostnames="\n".join(thing.hostnames[:MOST_LINES]) or TEXT["any"])
    return TEXT["service"].format(key=thing.key)


def _listener(each: Listener) -> str:
    labels = ", ".join(f"{name}={text}" for name, text in each.allowed.selector.match_labels.items())
    source = TEXT[each.allowed.source.lower()].format(selector=labels.replace("kubernetes.io/metadata.name", "name"))
    place = {"name": each.name, "protocol": each.protocol, "port": each.port, "hostname": each.hostname or TEXT["any"]}
    return TEXT["listener"].format(**place, source=source)


def alt(found: Ownership) -> str:
    """The picture in words."""
    owners: dict[tuple[Role, str], list[str]] = {}
    for each in found.objects:
        owners.setdefault(_owner(each), []).append(" ".join(key(each)))
    named = {TEXT[role].format(namespace=home): ", ".join(names) for (role, home), names in owners.items()}
    told = " ".join(TEXT["alt-owner"].format(owner=owner, objects=names) for owner, names in named.items())
    lines = [TEXT["alt-reference"].format(tail=" ".join(e.tail), head=" ".join(e.head), what=_state(e)) for e in found.references]
    return TEXT["alt"].format(owners=told, references="; ".join(lines) or TEXT["alt-none"])


def _state(each: Reference) -> str:
    return TEXT["yes" if each.holds else "no"].format(what=each.what).strip()


# --- the table


def roles_table(cluster: Cluster) -> Table:
    """Every object of a way in: its namespace, the role that writes it, and what it refers to."""
    found = ownership(cluster)
    rows = []
    for each in found.objects:
        role, home = _owner(each)
        refers = [TEXT["refers"].format(ref=" ".join(one.head), state=_state(one)) for one in found.references if one.tail == key(each)]
        rows.append((f"{each.kind} {each.name}", home or TEXT["cluster-wide"], TEXT[f"{role}-role"], "\n".join(refers)))
    heads = tuple(TEXT["heads"].split("|"))
    return Table(heads, tuple(rows), TEXT["caption"], whole=frozenset(heads[:3]))
