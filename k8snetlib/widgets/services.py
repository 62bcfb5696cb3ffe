"""Lesson 05: a Service's selector and target port, its Pods' readiness, and who gets a connection then."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from html import escape

import ipywidgets

from ..errors import ModelError
from ..kube.cast import shop
from ..kube.cluster import Cluster
from ..kube.patch import patched
from ..linux.events import Answered, Trace
from ..linux.packet import Icmp
from ..views.kubectl import endpoints, get_endpointslices
from ..views.outcomes import Outcome, outcome, share
from ..views.service_picture import service_picture
from .base import Answer, Explorer
from .twin import table

SERVICE = "api"
TEXT = {
    "title": "A Service, its endpoints, and who gets the connection",
    "selector": "selector:", "target": "targetPort:", "first": "api-1 is:", "second": "api-2 is:", "publish": "publishNotReadyAddresses",
    "caller": "Who calls:",
    "ready": "ready", "not-ready": "not ready", "draining": "terminating, still serving", "stopping": "terminating, not serving",
    "pair": "a selector is label=value pairs with commas between them, such as app=api; {part!r} is none",
    "reached": "{caller} calls api and reaches {who}.",
    "each": "{who}{chance}",
    "itself": "itself{chance}, which sees {source} as the sender", "with-chance": " (chance {chance})",
    "refused-icmp": "{caller} calls api and gets “connection refused”: the Service has no endpoint that is in use, so the node rejects it.",
    "refused-rst": "{caller} calls api and gets “connection refused” from {who}: no process listens on port {port} there.",
    "mixed": "{caller} calls api: {parts}.",
    "refused-part": "refused by {who} (chance {chance})",
    "lost": "{caller} calls api, and the packet is dropped: {reason}.",
    "no-port": " The targetPort names a container port that the Pods do not have.",
    "no-pod": " The selector picks no Pod.",
    "not-one-ready": " None of the Pods that it picks is ready.",
    "no-selector": " It has no selector, so nobody writes EndpointSlices for it.",
    "columns": "chance|reaches|sees as its sender",
    "outcomes": "Where the connection goes",
    "fallback": " No endpoint is ready; one that is terminating is used while it still serves.",
    "nobody": "nobody: {what}",
    "rst": "TCP reset by {who}", "icmp": "ICMP port unreachable, from the node",
    "answer": "answer",
    "slices": "$ kubectl -n shop get endpointslices -l kubernetes.io/service-name=api",
    "no-endpoints": "No endpoints.",
    "with-port": "{who} at {address}",
}  # fmt: skip
STATES = {  # how a Pod is: (the condition Ready, whether it was asked to stop)
    "ready": (True, False),
    "not-ready": (False, False),
    "draining": (True, True),
    "stopping": (False, True),
}
CALLERS = ("web", "api-1", "api-2", "db")


class ServiceExplorer(Explorer):
    """Service api of the course's cluster: its selector and targetPort to be edited, its Pods' readiness, and a caller."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        made = cluster or shop(proxy="iptables")
        states = [(TEXT[key], key) for key in STATES]
        text = {"continuous_update": False, "layout": {"width": "24em"}, "style": {"description_width": "6em"}}
        pick = {"layout": {"width": "24em"}, "style": {"description_width": "6em"}}
        controls = {
            "selector": ipywidgets.Text("app=api", description=TEXT["selector"], **text),
            "target": ipywidgets.Text("http", description=TEXT["target"], **text),
            "first": ipywidgets.Dropdown(options=states, description=TEXT["first"], **pick),
            "second": ipywidgets.Dropdown(options=states, description=TEXT["second"], **pick),
            "caller": ipywidgets.Dropdown(options=CALLERS, description=TEXT["caller"], **pick),
            "publish": ipywidgets.Checkbox(False, description=TEXT["publish"], indent=False, layout={"margin": "2px 0 2px 12px"}),
        }
        rows = [["selector", "target"], ["first", "second"], ["caller", "publish"]]
        super().__init__(TEXT["title"], lambda **choices: view(made, **choices), controls, rows)


def view(cluster: Cluster, selector: str, target: str, first: str, second: str, caller: str, publish: bool) -> Answer:
    """One setting of the Service and its Pods, and one call: pure. ModelError for a selector or port that cannot be."""
    changed = service(cluster, selector, target, first, second, publish)
    found = [outcome(weight, trace) for weight, trace in changed.traces(f"pod/{caller}", f"svc/{SERVICE}:80")]
    listed = f"<pre>{escape(TEXT['slices'])}\n{escape(get_endpointslices(changed, SERVICE))}</pre>"
    conditions = endpoints(changed, SERVICE)
    shown = conditions.html() if conditions.rows else f"<p>{TEXT['no-endpoints']}</p>"
    picture = service_picture(changed, SERVICE, source=f"pod/{caller}", others=True)
    rows = table(TEXT["columns"].split("|"), [_row(o) for o in found], TEXT["outcomes"])
    delivered = [o for o in found if o.delivered]
    tone = "good" if len(delivered) == len(found) else "bad"
    return Answer(_summary(changed, found, caller, target), (picture, rows, listed, shown), None, tone)


def service(cluster: Cluster, selector: str, target: str, first: str, second: str, publish: bool) -> Cluster:
    """The cluster with Service api and its Pods as chosen."""
    fields = {"selector": pairs(selector), "target_port": _port(cluster, target.strip()), "publish_not_ready_addresses": publish}
    made = patched(cluster, f"svc/{SERVICE}", **fields)
    for pod, state in (("api-1", first), ("api-2", second)):
        ready, terminating = STATES[state]
        made = patched(made, f"pod/{pod}", ready=ready, terminating=terminating)
    return made


def _port(cluster: Cluster, text: str) -> int | str:
    """A targetPort as it is typed: a number or a name. For none, and for 0, the API server puts the Service's own port
    (SetDefaults_Service). ``str.isdigit`` alone would take "²" for a number."""
    if text in ("", "0"):
        return next(each.ports[0].port for each in cluster.services if each.name == SERVICE)
    return int(text) if text.isascii() and text.isdigit() else text


def pairs(text: str) -> dict[str, str]:
    """A selector as kubectl writes it, ``app=api,tier=web``, as a mapping. ModelError for what is none."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, label = part.partition("=")
        if not equals or not key.strip():
            raise ModelError(TEXT["pair"].format(part=part))
        found[key.strip()] = label.strip()
    return found


def _summary(cluster: Cluster, found: Sequence[Outcome], caller: str, target: str) -> str:
    reached = [o for o in found if o.delivered]
    if len(reached) == len(found):
        told = [_who(o, caller, len(found) > 1) for o in reached]
        who = (", or " if any(o.trace.end.netns == caller for o in reached) else " or ").join(told)
        return TEXT["reached"].format(caller=caller, who=who) + (TEXT["fallback"] if _none_ready(cluster) else "")
    resets = [o for o in found if _reset_by(o.trace)]
    if len(resets) == len(found):
        who = " or ".join(dict.fromkeys(_reset_by(o.trace) for o in resets))
        return TEXT["refused-rst"].format(caller=caller, who=who, port=resets[0].trace.end.packet.dport)
    if reached:
        refused = [
            TEXT["refused-part"].format(who=_reset_by(o.trace) or o.reason, chance=share(o.weight)) for o in found if not o.delivered
        ]
        return TEXT["mixed"].format(caller=caller, parts=", ".join([*(_who(o, caller, True) for o in reached), *refused]))
    if found[0].verdict == "refused":
        return TEXT["refused-icmp"].format(caller=caller) + _why(cluster)
    return TEXT["lost"].format(caller=caller, reason=found[0].reason)


def _who(o: Outcome, caller: str, with_chance: bool) -> str:
    name = o.trace.end.netns
    chance = TEXT["with-chance"].format(chance=share(o.weight)) if with_chance and o.weight != Fraction(1) else ""
    return TEXT["itself"].format(source=o.source, chance=chance) if name == caller else TEXT["each"].format(who=name, chance=chance)


def _why(cluster: Cluster) -> str:
    """Why no endpoint is in use."""
    service = next(each for each in cluster.control.services if each.name == SERVICE)
    if not service.selector:
        return TEXT["no-selector"]
    parts = [each for each in cluster.control.slices if each.service_key == service.key]
    if not any(part.endpoints for part in parts):
        return TEXT["no-pod"]
    return TEXT["not-one-ready"] if any(part.ports for part in parts if part.endpoints) else TEXT["no-port"]


def _none_ready(cluster: Cluster) -> bool:
    """Whether no endpoint is ready, so that a connection that arrives has reached one that is terminating."""
    parts = [each for each in cluster.control.slices if each.service_key.endswith(f"/{SERVICE}")]
    return all(endpoint.ready is False for part in parts for endpoint in part.endpoints)


def _reset_by(trace: Trace) -> str:
    """The Pod whose kernel refused with a TCP reset, or ""."""
    answers = [e for e in trace.all(Answered, 0) if not _is_icmp(trace, e.answer)]
    return answers[-1].netns if answers else ""


def _is_icmp(trace: Trace, journey: int) -> bool:
    first = next((e for e in trace.of(journey) if hasattr(e, "packet")), None)
    return first is not None and isinstance(first.packet.payload, Icmp)


def _row(o: Outcome) -> tuple[str, str, str]:
    if o.delivered:
        return share(o.weight), escape(TEXT["with-port"].format(who=o.trace.end.netns, address=o.receiver.split()[0])), escape(o.source)
    what = TEXT["rst"].format(who=_reset_by(o.trace)) if _reset_by(o.trace) else TEXT["icmp"] if o.verdict == "refused" else o.reason
    return share(o.weight), escape(TEXT["nobody"].format(what=what)), "–"
