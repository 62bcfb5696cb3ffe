"""Checks of exercise 07: Service types."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.ex07_given import (
    FAULTS,
    PARTNER,
    Order,
    Situation,
    addresses,
    broken,
    cluster,
    customers_call,
    far,
    fault,
    guest,
    manifest,
    near,
    order,
    situations,
    told,
)
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.apply import applied
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.objects import Service
from k8snetlib.kube.outside import CLIENT
from k8snetlib.kube.targets import find_service
from k8snetlib.views.outcomes import all_outcomes
from k8snetlib.views.service_types import seen_as

__all__ = ["addresses", "broken", "cluster", "customers_call", "far", "fault", "guest", "manifest", "near", "order", "situations", "told"]
STRANGER = ip_address("192.0.2.44")
TAKEN = "a manifest of the Service that the API server takes"
TEXT_HINT = "A manifest as text: three quotes, the lines, three quotes."


# --- 1: whom does it see?


@question("07.1")
def sources_seen(sources: Sequence[str], case: Variant) -> str:
    """The address that the Pod sees, in three situations."""
    given = [sources] if isinstance(sources, str) else list(sources) if isinstance(sources, (list, tuple)) else []
    expected = "three IPv4 addresses as text, in the order of the situations"
    right_form = len(given) == 3 and all(_is_address(each) for each in given)
    expect(right_form, got=repr(sources)[:200], expected=expected, hint='sources = ["10.…", "10.…", "10.…"]')
    for number, (each, situation) in enumerate(zip(given, situations(case), strict=True), 1):
        right = situation.cluster.trace(situation.caller, situation.target).end.packet.src
        got = f"{each} in situation {number}"
        expect(ip_address(each.strip()) == right, got=got, expected="the source on what arrives", hint=_source_hint(each, situation))
    return "three calls, and you know whom the Pod sees"


def _source_hint(given: str, situation: Situation) -> str:
    trace = situation.cluster.trace(situation.caller, situation.target)
    masks = seen_as(trace) != "own"
    if ip_address(given.strip()) == trace.sent.src and masks:
        return "Somebody masquerades here: who, and by which interface does the packet leave there?"
    owners = {a.ip: name for name in trace.network for i in trace.network[name].interfaces.values() for a in i.addresses}
    if not masks:
        return "Does anybody have to masquerade here? The answer comes back by the same node anyway."
    if owners.get(ip_address(given.strip())) == owners.get(trace.end.packet.src):
        return "The right machine. By which of its interfaces does the packet leave, and what is that one's address?"
    return "Which machine translates first? k8s.way_picture(situation.cluster.traces(situation.caller, situation.target)) shows it."


def _is_address(given: object) -> bool:
    try:
        return isinstance(given, str) and ip_address(given.strip()).version == 4
    except ValueError:
        return False


# --- 2: what is wanted?


@question("07.2")
def as_ordered(service: str, case: Variant) -> str:
    """The Service does what is wanted, seen from everywhere."""
    wanted, made = order(case), _applied(cluster(case), service)
    found = find_service(made, "svc/front", "front", "shop")
    _reached_inside(made, case)
    doors = _doors(made, found, wanted, case)
    for door in doors:
        seen = all_outcomes(made.traces(CLIENT, door))
        expect(
            _all_right(seen, case),
            got=f"the client outside calls {door}: {_told(seen)}",
            expected="it reaches the Pod",
            hint="Which type opens that door, and which policy lets it through?",
        )
        if wanted.source:
            expect(
                all(o.source == str(seen[0].trace.sent.src) for o in seen),
                got=f"by {door} the Pod sees {seen[0].source}",
                expected="the client's own address",
                hint="Which policy keeps a node from masquerading?",
            )
    open_ports = [port.node_port for port in found.ports if port.node_port]
    if wanted.closed:
        expect(
            not open_ports,
            got=f"node port {open_ports and open_ports[0]} is open",
            expected="no node port",
            hint="One field of the spec says that a LoadBalancer needs none.",
        )
    return f"traced through {len(doors)} door{'s' if len(doors) > 1 else ''} from outside, and from every Pod"


def _doors(made: Cluster, found: Service, wanted: Order, case: Variant) -> list[str]:
    if wanted.balancer:
        expect(
            found.load_balancer_ingress,
            got=f"type {found.type}, without an address outside",
            expected="a load balancer's address",
            hint="Which type asks for one?",
        )
        return ["lb/front:80"]
    return [f"node/{near(case)}:{wanted.port}"] if wanted.source else [f"node/{host.name}:{wanted.port}" for host in made.hosts]


# --- 3 and 4: what is wrong?


@question("07.3")
def cause(why: str, case: Variant) -> str:
    """Which of the four it is."""
    given = str(why).strip().lower()
    expect(given in FAULTS, got=repr(why)[:100], expected=f"one of {', '.join(FAULTS)}", hint="One of the four words, in quotes.")
    hint = "Is there an address? Is it the port that customers call? Where is the packet dropped, and what do the rules there ask about?"
    expect(given == fault(case), got=given, expected="what keeps the customers out", hint=hint)
    return "that is it: everything else in the manifest is as it should be"


@question("07.4")
def mended(repaired: str, case: Variant) -> str:
    """The end state: customers get in by what they call, others as before."""
    made = _applied(cluster(case), repaired)
    found = find_service(made, "svc/front", "front", "shop")
    _reached_inside(made, case)
    if not told(case):
        expect(
            found.load_balancer_ingress,
            got=f"type {found.type}: EXTERNAL-IP is <pending> or not there",
            expected="an address of the load balancer",
            hint="Which load balancer does the manifest ask for, and is there one?",
        )
    seen = all_outcomes(made.traces(CLIENT, customers_call(case)))
    expect(
        _all_right(seen, case),
        got=f"the client calls {customers_call(case)}: {_told(seen)}",
        expected="it reaches the Pod",
        hint="Trace it: does it end where it did, or later?",
    )
    if fault(case) in ("ranges", "pending"):
        ranges = found.load_balancer_source_ranges
        everybody = not ranges or any(STRANGER in each for each in ranges)
        expect(
            not everybody,
            got="now everybody gets in",
            expected="the list lets in whom it should",
            hint="Let the client's network in, and not the whole world.",
        )
        expect(
            any(each.supernet_of(ip_network(PARTNER)) for each in ranges),
            got=f"{PARTNER} is shut out now",
            expected="the partner gets in as before",
            hint="The list may have several entries.",
        )
    return f"the client reaches the Pod by {customers_call(case)}, and the answer comes back"


# --- for both


def _applied(base: Cluster, text: str) -> Cluster:
    expect(isinstance(text, str), got=repr(text)[:100], expected=TAKEN, hint=TEXT_HINT)
    try:
        return applied(base, text, "your manifest")
    except K8sNetError as error:
        said = " ".join(str(error).split())
    return expect(False, got=said, expected=TAKEN, hint="The error names the line and the field, and says what may stand there.")


def _reached_inside(made: Cluster, case: Variant) -> None:
    service = find_service(made, "svc/front", "front", "shop")
    expect(
        service.cluster_ips and not service.headless,
        got=f"type {service.type}, without a ClusterIP",
        expected="a Service with a ClusterIP",
        hint="Each of three types has one.",
    )
    for pod in made.pods:
        if pod.labels.get("app") == "guest":
            seen = all_outcomes(made.traces(f"pod/{pod.name}", "svc/front:80"))
            expect(
                _all_right(seen, case),
                got=f"Pod {pod.name} calls svc/front:80: {_told(seen)}",
                expected="every Pod reaches it",
                hint="Selector, port and targetPort were right. Is there a policy for calls from inside?",
            )


def _all_right(seen: Sequence, case: Variant) -> bool:
    behind = {pod.name for pod in cluster(case).pods if pod.labels.get("app") == "front"}
    replies = (o.trace.reply for o in seen if o.delivered)
    return all(o.delivered and o.trace.end.netns in behind for o in seen) and all(r is not None and r.delivered for r in replies)


def _told(seen: Sequence) -> str:
    bad = next((o for o in seen if not o.delivered), seen[0])
    return f"reaches {bad.trace.end.netns}" if bad.delivered else f"{bad.verdict} in {bad.trace.end.netns}, {bad.reason}"
