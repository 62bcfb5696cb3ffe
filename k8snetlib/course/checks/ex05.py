"""Checks of exercise 05: Services and DNS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from k8snetlib.course.checking import expect, question
from k8snetlib.course.checks.market import CALLER, DESK, LEDGER, NAMESPACE, apps, cluster, endpoints, service
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.kube.patch import patched
from k8snetlib.linux.ops import LinkSet, Op, SysctlSet, build
from k8snetlib.linux.state import Network

FAULTS = ("selector", "targetPort", "readiness", "hairpin", "bridge-nf")
BRIDGE_NF = "net.bridge.bridge-nf-call-iptables"


# --- 1


@question("05.1")
def picked(pods: Iterable[str], case: Variant) -> str:
    """Who gets new connections."""
    given = _names(pods)
    whole, right = cluster(case), endpoints(case)
    known = {pod.name: pod for pod in whole.pods}
    strange = sorted(name for name in given if name not in known)
    expected = f"the names of the Pods to which Service {service(case)} sends"
    expect(not strange, got=", ".join(strange) or "nothing", expected=expected, hint="A set of Pod names, as kubectl lists them.")
    labels = {"app": service(case), "tier": "front"}
    hint = "Some are missing: whose labels hold both pairs of the selector?"
    for name in sorted(given - set(right)):
        pod = known[name]
        if pod.namespace != NAMESPACE:
            hint = "In which namespace does a Service look for Pods?"
        elif not labels.items() <= pod.labels.items():
            hint = "A selector with two pairs wants both of them."
        else:
            hint = "The selector picks it, and its address is in the EndpointSlice. But does it get connections?"
        break
    expect(given == set(right), got=", ".join(sorted(given)) or "no Pod", expected=expected, hint=hint)
    return f"{' and '.join(right)} get the connections"


def _names(given: object) -> set[str]:
    """Names from a set, a list, or a text with commas."""
    parts = (
        given.split(",") if isinstance(given, str) else list(given) if isinstance(given, (set, frozenset, list, tuple, dict)) else [given]
    )
    return {str(part).strip().removeprefix("pod/") for part in parts}


# --- 2


def name_asked(case: Variant) -> str:
    """The name that the caller uses."""
    target = case.choose("asked", [service(case), LEDGER])
    return case.choose("form", [f"{target}.{NAMESPACE}", f"{target}.{NAMESPACE}.svc", f"{target}.{NAMESPACE}.svc.cluster.local",
                                f"{target}.{NAMESPACE}.svc.cluster.local."])  # fmt: skip


@question("05.2")
def lookups(count: int, answer: str, case: Variant) -> str:
    """How many questions a name costs, and what comes back."""
    found = cluster(case).lookup(f"pod/{CALLER}", name_asked(case))
    right, address = len(found.steps), str(found.addresses[0])
    expected = f"the number of questions for {name_asked(case)}, and the address that comes back"
    expect(type(count) is int, got=repr(count), expected=expected, hint="count is a whole number, without quotes.")
    hint = "Walk the search list: which names are tried before the right one?"
    if count * 2 == right:
        hint = "Right names. But the resolver asks for IPv4 and for IPv6."
    elif name_asked(case).endswith("."):
        hint = "What does the final dot mean for the search list?"
    elif count == 2:
        hint = "How many dots has the name, and what does ndots say? The search list comes first."
    expect(count == right, got=count, expected=expected, hint=hint)
    given = str(answer).strip()
    expect(_is_address(given), got=repr(answer), expected=expected, hint="answer is an IPv4 address as text, in quotes.")
    hint = "What kind of Service is it? One with a ClusterIP, or a headless one?"
    if given == str(cluster(case).dns.addresses[0]):
        hint = "That is the DNS server itself."
    expect(given == address, got=given, expected=expected, hint=hint)
    return f"{right} questions, and the answer is {address}"


def _is_address(given: str) -> bool:
    try:
        return ip_address(given).version == 4
    except ValueError:
        return False


# --- 3


def wanted(case: Variant) -> list[str]:
    """The two Pods that Service desk is to reach."""
    chosen = case.choose("wanted", ["tier", "app"])
    want = {"tier": "back"} if chosen == "tier" else {"app": apps(case)[1]}
    pods = [pod for pod in cluster(case).pods if pod.namespace == NAMESPACE and want.items() <= pod.labels.items()]
    return sorted(pod.name for pod in pods)


@question("05.3")
def written(selector: Mapping[str, str], target_port: int | str, case: Variant) -> str:
    """The end state of Service desk: a connection reaches either of the Pods, on its admin port."""
    expected = f"every connection to {DESK} reaches the admin port of {' or '.join(wanted(case))}"
    expect(isinstance(selector, Mapping), got=repr(selector), expected=expected, hint='A mapping of labels, such as {"app": "web"}.')
    odd = [each for pair in selector.items() for each in pair if not isinstance(each, str)]
    expect(
        not odd, got=f"{odd[0]!r} in the selector" if odd else "", expected=expected, hint="Keys and values of labels are text: in quotes."
    )
    expect(isinstance(target_port, (int, str)), got=repr(target_port), expected=expected, hint="A number, or a name in quotes.")
    made = patched(cluster(case), f"svc/{DESK}", selector=selector, target_port=target_port)
    ends = [trace.end for _, trace in made.traces(f"pod/{CALLER}", f"svc/{DESK}:80")]
    reached = {end.netns for end in ends if _delivered(end)}
    if not reached and not any(_delivered(end) for end in ends):
        slices = [part for part in made.control.slices if part.service_key == f"{NAMESPACE}/{DESK}"]
        some = any(part.endpoints for part in slices)
        hint = "The selector picks Pods. Does the port exist in them?" if some else "The selector picks no Pod: look at their labels."
        expect(False, got="connection refused", expected=expected, hint=hint)
    missed = [end for end in ends if not _delivered(end)]
    expect(not missed, got="some connections are refused", expected=expected, hint="The Pods have different numbers for the same name.")
    more, less = sorted(reached - set(wanted(case))), sorted(set(wanted(case)) - reached)
    hint = "Which label do the two have that no other has?" if more else "Which label do both have?"
    only = "only " if less and not more else ""
    expect(not more and not less, got=f"it reaches {only}{', '.join(sorted(reached))}", expected=expected, hint=hint)
    ports = {end.netns: end.packet.dport for end in ends}
    right = {name: _admin(made, name) for name in wanted(case)}
    expect(ports == right, got="it reaches another port of theirs", expected=expected, hint="How is the admin port called in the Pods?")
    return f"{' and '.join(wanted(case))} are reached, each on its own admin port"


def _admin(made: Cluster, name: str) -> int:
    pod = next(pod for pod in made.pods if pod.name == name)
    return next(port.container_port for box in pod.containers for port in box.ports if port.name == "admin")


def _delivered(end: object) -> bool:
    return type(end).__name__ == "Delivered"


# --- 4


def fault(case: Variant) -> str:
    """What is wrong now, one of ``FAULTS``."""
    return case.choose("fault", FAULTS)


def caller(case: Variant) -> str:
    """Who complains: the buyer, or one of the Service's own Pods."""
    return case.choose("self", endpoints(case)) if fault(case) == "hairpin" else CALLER


def broken(case: Variant) -> Cluster:
    """The student's cluster with the fault, if it is one of an object's."""
    whole, name = cluster(case), service(case)
    if fault(case) == "selector":
        return patched(whole, f"svc/{name}", selector={"app": name, "tier": "fornt"})
    if fault(case) == "targetPort":
        return patched(whole, f"svc/{name}", target_port="htpp")
    if fault(case) == "readiness":
        for pod in endpoints(case):
            whole = patched(whole, f"pod/{pod}", ready=False)
    return whole


def node_fault(case: Variant) -> tuple[Op, ...]:
    """The fault, if it is one of a node's."""
    if fault(case) == "hairpin":
        box = next(box for box in cluster(case).sandboxes.values() if box.netns == caller(case))
        return (LinkSet(box.host, box.veth, hairpin=False),)
    return (SysctlSet("node-a", BRIDGE_NF, 0),) if fault(case) == "bridge-nf" else ()


def network(case: Variant) -> Network:
    """The network with the fault."""
    return build(node_fault(case), broken(case).network)


@question("05.4")
def mended(cause: str, mended: Cluster | Network, case: Variant) -> str:
    """The root cause in one word, and the proof: every call arrives, every answer comes back, and nobody else is sent to."""
    given, right = str(cause).strip(), fault(case)
    words = ", ".join(FAULTS)
    expect(given in FAULTS, got=repr(cause), expected=f"one of {words}", hint="One of the five words, in quotes.")
    hint = "In this order: the slice's addresses, its port, the conditions. If all is well there: where does the packet end, or its answer?"
    expect(given == right, got=given, expected="what made the call fail", hint=hint)
    expect(
        isinstance(mended, (Cluster, Network)),
        got=repr(mended)[:60],
        expected="a mended cluster, or a mended network",
        hint="k8s.patched(broken, …) gives a cluster, and k8s.build([…], network) a network.",
    )
    whole = mended if isinstance(mended, Cluster) else broken(case)
    state = mended if isinstance(mended, Network) else build(node_fault(case), mended.network)
    _unchanged(whole, case)
    try:
        calls = [trace for _, trace in whole.traces(f"pod/{caller(case)}", f"svc/{service(case)}:80", network=state)]
    except K8sNetError as error:
        expect(False, got=str(error), expected="every call arrives", hint="Is that the cluster of this exercise?")
    failed = [trace.end for trace in calls if not trace.delivered]
    got = f"{failed[0].reason} in {failed[0].netns}" if failed else ""
    expect(not failed, got=got, expected="every call arrives", hint="Trace it again with your repair in place.")
    lost = [trace.reply.end for trace in calls if not trace.reply.delivered]
    got = f"an answer is dropped: {lost[0].reason} in {lost[0].netns}" if lost else ""
    expect(not lost, got=got, expected="every answer comes back", hint="Look at trace.reply: who should have changed its source?")
    reached = sorted({trace.end.netns for trace in calls})
    hint = "A Pod that is not ready gets connections now, or a healthy one gets none."
    expect(reached == endpoints(case), got=f"it reaches {', '.join(reached)}", expected="it reaches whom it should", hint=hint)
    return f"{right} it was: calls arrive at {' and '.join(reached)}, and the answers come back"


def _unchanged(made: Cluster, case: Variant) -> None:
    """The other Services and the Pods' labels are as they were."""
    before = cluster(case)
    others = [{each.key: (each.selector, each.ports) for each in one.services if each.name != service(case)} for one in (made, before)]
    labels = [{pod.key: pod.labels for pod in one.pods} for one in (made, before)]
    hint = f"Mend Service {service(case)} and what is behind it, and leave the rest alone."
    expect(others[0] == others[1] and labels[0] == labels[1], got="something else has changed", expected="one repair", hint=hint)
