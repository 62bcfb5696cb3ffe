"""Checks of exercise 11: Internet to Pod and back."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.ex11_given import (
    BALANCER,
    FAULTS,
    Line,
    addresses,
    broken,
    cards,
    cluster,
    failed,
    lines,
    manifest,
    places,
    request,
    stations,
    told,
    url,
    way,
    wish,
)
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.edge.journey import Journey, journeys
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Service
from k8snetlib.kube.targets import find_service
from k8snetlib.views.journeys import heard

__all__ = [
    "addresses", "broken", "cards", "cluster", "failed", "lines", "manifest", "places", "request", "stations", "told", "url", "way", "wish",
]  # fmt: skip
TAKEN = "a manifest of the Service that the API server takes"


# --- 1: the way


@question("11.1")
def in_order(there: Sequence[str], back: Sequence[str], case: Variant) -> str:
    """The stations of the request and of its answer."""
    _stations(there, "there", stations(case), case)
    _stations(back, "back", stations(case, back=True), case)
    return f"{len(stations(case))} stations there, {len(stations(case, back=True))} back"


def _stations(given: Sequence[str], name: str, right: list[str], case: Variant) -> None:
    form = isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given) and len(given) > 1
    expect(form, got=f"{name} = {given!r}"[:200], expected="the names of the stations, in order", hint=f'{name} = ["…", "…", …]')
    names = [each.strip() for each in given]
    known = set(stations(case))
    strange = next((each for each in names if each not in known), "")
    expect(not strange, got=f"{strange!r} in {name}", expected="names as they are printed above", hint="Only those are on the way.")
    at = next((n for n, each in enumerate(right) if n >= len(names) or names[n] != each), len(right))
    if at < len(right):
        got = f"{name}: {names[at]} in place {at + 1}" if at < len(names) else f"{name} ends after {names[-1]}"
        expect(False, got=got, expected="the station to which the packet goes next", hint=_way_hint(right, at, name == "back", case))
    expect(len(names) == len(right), got=f"{name} goes on after {right[-1]}", expected="it ends there", hint="Who wanted the answer?")


def _way_hint(right: list[str], at: int, back: bool, case: Variant) -> str:
    """A hint for the first place that is wrong, from the station before it."""
    before = right[at - 1] if at else ""
    if not at:
        return "Who sends the first packet of this way?"
    if before == BALANCER:
        return "The balancer knows nodes, not Pods. Which one does it choose?"
    if before == "edge-1":
        return "A packet from or to a Pod passes the node on which that Pod runs."
    if back and before == places(case)[0]:
        return "This balancer passes packets on. Is the answer addressed to it?"
    if back:
        return "To whom is the answer addressed at that point? Only who has changed the request can change it back."
    return f"The packet is in {before}. On which node is the Pod that it is addressed to by then?"


# --- 2: the addresses


@question("11.2")
def on_the_lines(ends: Sequence[tuple[str, str]], case: Variant) -> str:
    """Source and destination on four lines."""
    wanted = lines(case)
    form = isinstance(ends, (list, tuple)) and len(ends) == len(wanted) and all(_is_pair(each) for each in ends)
    expected = "four pairs of IPv4 addresses as text, in the order of the lines"
    expect(form, got=repr(ends)[:200], expected=expected, hint='ends = [("10.…", "10.…"), …]: source, then destination, without ports')
    for pair, line in zip(ends, wanted, strict=True):
        packet = line.leg.packet
        for what, given, right in (("source", pair[0], packet.src), ("destination", pair[1], packet.dst)):
            fits = ip_address(given.strip()) == right
            expect(
                fits,
                got=f"{given} as the {what} on line {line.number}",
                expected="the packet as it is there",
                hint=_end_hint(line, what, case),
            )
    return "eight addresses, there and back"


def _is_pair(given: object) -> bool:
    if not isinstance(given, (list, tuple)) or len(given) != 2:
        return False
    try:
        return all(isinstance(each, str) and ip_address(each.strip()).version == 4 for each in given)
    except ValueError:
        return False


def _end_hint(line: Line, what: str, case: Variant) -> str:
    chosen = places(case)[0]
    if line.tail == "edge-1" and not line.back:
        return "The controller opens a connection of its own, to the Pod's own address. Does anybody translate it?"
    if line.head == "client":
        return "The client has called one address, and listens to nobody else. What does it hear from, and to which address?"
    role = "destination" if line.back else "source"
    if what == role:
        return f"{chosen} masquerades. By which of its interfaces does the packet leave, towards the controller?"
    return f"{chosen} has made one Pod the destination. Which one is asked first?"


# --- 3: what is wrong


@question("11.3")
def cause(why: str, case: Variant) -> str:
    """Which of the seven it is."""
    given = str(why).strip().lower()
    expect(given in FAULTS, got=repr(why)[:100], expected=f"one of {', '.join(FAULTS)}", hint="One of the seven words, in quotes.")
    right = broken(case)
    same = heard(_as_broken(given, case)) == heard(right.journey(url(case)))
    hint = (
        "That would sound the same to the client. Look at the objects: Services, endpoints, the Ingress."
        if same
        else "With that, the client would hear something else. How far does the request get?"
    )
    expect(given == right.name, got=given, expected="what is wrong in this cluster", hint=hint)
    return f"that is it: {right.title}"


def _as_broken(name: str, case: Variant) -> Journey:
    from k8snetlib.kube.edge.breaks import breaks

    return breaks(cluster(case), url(case))[name].journey(url(case))


# --- 4: whom does the Pod know?


@question("11.4")
def as_wished(service: str, case: Variant) -> str:
    """The Pod learns the client's address, by every node that the balancer may choose."""
    wanted, made = wish(case), _applied(cluster(case), service)
    by_ingress = _answered(made, url(case), "", "the Ingress")
    _answered(made, url(case).replace("https:", "http:"), "", "the Ingress in plain HTTP")
    client = str(made.find("client").addresses[0])
    if wanted.header:
        _header(by_ingress, client)
    else:
        front = find_service(made, "svc/app", "app", "shop")
        expect(
            front.load_balancer_ingress,
            got=f"type {front.type}, without an address outside",
            expected="an address outside for Service app",
            hint="Which type asks for one?",
        )
        straight = _answered(made, "http://app.example.com/", "service/shop/app", "Service app")
        _source(straight, client)
    name, namespace = ("edge", "edge") if wanted.header else ("app", "shop")
    ports = [port.node_port for port in find_service(made, "", name, namespace).ports if port.node_port]
    if wanted.closed:
        expect(not ports, got=f"node port {ports and ports[0]} is open", expected="no node port", hint="One field of the spec says so.")
    return "by every node that the balancer may choose, the Pod learns who calls"


def _answered(made: Cluster, asked: str, name: str, by: str) -> list[Journey]:
    try:
        found = [each for _, each in journeys(made, asked, name=name)]
    except K8sNetError as error:
        expect(False, got=" ".join(str(error).split()), expected=f"the client gets an answer by {by}", hint="Leave the rest as it was.")
    bad = next((each for each in found if each.response is None or each.response.status != 200), None)
    expect(
        bad is None,
        got=f"by {by} the client gets {heard(bad) if bad else ''}",
        expected="200 OK by every way",
        hint="Trace it: cluster.journey(…). Selector, ports and names were right before.",
    )
    return found


def _header(found: Sequence[Journey], client: str) -> None:
    for each in found:
        read = each.connections[-1].request.header("X-Forwarded-For")
        expect(
            read == client,
            got=f"X-Forwarded-For: {read}",
            expected="the client's own address",
            hint="The controller writes what it sees. Who changes the source before it gets there?",
        )
        expect(each.certificate, got="no certificate is shown", expected="TLS ends in the controller", hint="Keep port 443 as it was.")


def _source(found: Sequence[Journey], client: str) -> None:
    for each in found:
        expect(
            each.sees == client,
            got=f"the Pod sees {each.sees}",
            expected="the client's own address",
            hint="Which policy keeps a node from masquerading?",
        )


def _applied(base: Cluster, text: str) -> Cluster:
    expect(isinstance(text, str), got=repr(text)[:100], expected=TAKEN, hint="A manifest as text: three quotes, the lines, three quotes.")
    try:
        kinds = [each.kind for each in loads(text, "your manifest").objects]
        expect(kinds == [Service.kind], got=", ".join(kinds) or "nothing", expected=TAKEN, hint="Nothing else has to change.")
        return applied(base, text, "your manifest")
    except K8sNetError as error:
        said = " ".join(str(error).split())
    return expect(False, got=said, expected=TAKEN, hint="The error names the line and the field, and says what may stand there.")
