"""Lesson 04: for how many Pods an address plan has room, and which limit is reached first, in a VPC and beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from html import escape
from textwrap import fill

import ipywidgets

from ..kube.cni import CNIS
from ..kube.cni.vpc_limits import HOST_NETWORK, LIMITS, max_pods, recommended_pods
from ..kube.room import ADDRESSES, ENIS, KUBELET, PREFIXES, Room, allowed, room
from ..linux.addresses import ip_network
from ..views.limits import limits_picture
from .base import HANDLE, Answer, Explorer
from .twin import table

FIRST = {"kind": "m5.large", "nodes": 6, "subnet": 25, "pods": 150, "prefix": False}
KINDS = ("t3.nano", "t3.small", "t3.medium", "m5.large", "m5.xlarge", "m5.4xlarge", "m5.24xlarge", "t2.medium")
MOST_NODES = 20
PODS = (10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500)
SUBNETS = (27, 26, 25, 24, 22, 20)
POOL = "192.168.48.0"
WRAP = 110  # characters: a page without our style sheet wraps nothing
OTHERS = ("bgp", "vxlan")
TEXT = {
    "title": "Nodes, Pods and addresses in a VPC",
    "kind": "Instance:", "nodes": "Nodes:", "subnet": "Subnet:", "pods": "Pods wanted:", "prefix": "prefix delegation",
    "type": "{kind}: {enis} ENIs × {addresses} addresses", "size": "/{length}: {usable} usable addresses",
    "all": "All {wanted} Pods run.", "some": "{running} of {wanted} Pods run.",
    "next": "The first limit beyond them: {what}, {count:,} Pods.",
    "enis-stop": "{n} wait: the ENIs have addresses for {each} Pods a node, and the kubelet takes no more.",
    "kubelet-stop": "{n} wait: a kubelet takes no more than {most} Pods, two of them the system's.",
    "addresses-stop": "{n} wait: the subnet has no free address.",
    "prefixes-stop": "{n} wait: the subnet has no free /28.",
    "not-nitro": "{kind} is no Nitro instance and takes no prefixes.",
    "enis": "ENIs × addresses", "kubelet": "kubelet's maxPods", "addresses": "addresses left in the subnet",
    "prefixes": "free /28 × 16 in the subnet",
    "wanted": "{n} wanted", "run": "Pods that run",
    "picture": "For how many Pods each limit would do, and how many run: {bars}; {wanted} are wanted.",
    "bar": "{name} {count:,}",
    "caption": "Each bar: how many Pods could run if only that limit counted (→: the bar goes on). Further ENIs take addresses of the subnet, too.",
    "table": "The same nodes and Pods under other address plans",
    "columns": "plan|Pods that run|addresses of the nodes' subnet in use|set aside elsewhere for these nodes",
    "none": "none", "aside": "{total:,}: {count} × {unit}", "blocks": "Calico's blocks of /26", "ranges": "Flannel's /24 a node",
    "pods-run": "{running} of {wanted}",
    "events": "What is said of a Pod that waits (in parentheses: the cause, from ipamd's log)",
}  # fmt: skip


class AddressesExplorer(Explorer):
    """Nodes of an instance type in one subnet, and Pods: how many get an address, and who says no to the next."""

    def __init__(self) -> None:
        label, wide = {"description_width": "7em"}, {"width": "30em", "max_width": "100%"}
        slider = {"style": label | HANDLE, "layout": wide}
        kinds = [(TEXT["type"].format(kind=kind, enis=LIMITS[kind].enis, addresses=LIMITS[kind].addresses), kind) for kind in KINDS]
        subnets = [(TEXT["size"].format(length=length, usable=2 ** (32 - length) - 5), length) for length in SUBNETS]
        controls = {
            "kind": ipywidgets.Dropdown(
                options=kinds, value=FIRST["kind"], description=TEXT["kind"], style=label, layout={"width": "29em"}
            ),
            "subnet": ipywidgets.Dropdown(
                options=subnets, value=FIRST["subnet"], description=TEXT["subnet"], style=label, layout={"width": "25em"}
            ),
            "nodes": ipywidgets.IntSlider(FIRST["nodes"], 1, MOST_NODES, description=TEXT["nodes"], **slider),
            "pods": ipywidgets.SelectionSlider(options=PODS, value=FIRST["pods"], description=TEXT["pods"], **slider),
            "prefix": ipywidgets.Checkbox(
                FIRST["prefix"], description=TEXT["prefix"], indent=False, layout={"width": "12em", "margin": "2px 0 2px 12px"}
            ),
        }
        super().__init__(TEXT["title"], view, controls, [["kind", "subnet"], ["nodes", "pods"], ["prefix"]])


def view(kind: str, subnet: int, nodes: int, pods: int, prefix: bool) -> Answer:
    """One cluster of like nodes: pure."""
    cni = "vpc-prefix" if prefix else "vpc"
    found = counted(cni, nodes, pods, kind, subnet)
    bounds = allowed(cni, nodes, kind, ip_network(f"{POOL}/{subnet}"))
    names = {TEXT[key]: count for key, count in bounds.items()}
    bars = ", ".join(TEXT["bar"].format(name=name, count=count) for name, count in [*names.items(), (TEXT["run"], found.running)])
    alt = TEXT["picture"].format(bars=bars, wanted=pods)
    stopped = [TEXT[key] for key in found.stopped]
    picture = limits_picture(names, pods, TEXT["wanted"].format(n=pods), (TEXT["run"], found.running), alt, TEXT["caption"], stopped)
    others = table(TEXT["columns"].split("|"), _rows(found, nodes, pods, kind, subnet), TEXT["table"])
    tone = "good" if found.running == pods else "bad"
    return Answer(summary(found, bounds, kind, prefix), (picture, *_events(found), others), tone=tone)


def _events(found: Room) -> Iterator[str]:
    """What a user sees of those that wait."""
    if found.said:
        lines = "\n".join(fill(said, WRAP, subsequent_indent="  ") for said in found.said.values())
        yield f'<p class="note">{escape(TEXT["events"])}</p><pre>{escape(lines)}</pre>'


@lru_cache(maxsize=512)
def counted(cni: str, nodes: int, pods: int, kind: str, subnet: int) -> Room:
    """What came of it under that plug-in, in a subnet of that prefix length."""
    return room(cni, nodes, pods, kind, ip_network(f"{POOL}/{subnet}"))


def summary(found: Room, bounds: dict[str, int], kind: str, prefix: bool) -> str:
    """How many run, and which limit stops the others, or would be the first to."""
    parts = [TEXT["not-nitro"].format(kind=kind)] if prefix and not LIMITS[kind].nitro else []
    if found.running == found.wanted:
        first = min(bounds, key=bounds.__getitem__)
        parts += [TEXT["all"].format(wanted=found.wanted), TEXT["next"].format(what=TEXT[first], count=bounds[first])]
        return " ".join(parts)
    parts.append(TEXT["some"].format(running=found.running, wanted=found.wanted))
    each = max_pods(kind, prefix) - HOST_NETWORK
    most = recommended_pods(kind, True) if prefix and LIMITS[kind].nitro else max_pods(kind)
    for key in (ENIS, KUBELET, ADDRESSES, PREFIXES):
        if key in found.stopped:
            parts.append(TEXT[f"{key}-stop"].format(n=found.stopped[key], most=most, each=each))
    return " ".join(parts)


def _rows(found: Room, nodes: int, pods: int, kind: str, subnet: int) -> Iterator[tuple[str, ...]]:
    names = {"bgp": TEXT["blocks"], "vxlan": TEXT["ranges"]}
    for each in (found, *(counted(name, nodes, pods, kind, subnet) for name in OTHERS)):
        aside = TEXT["aside"].format(total=each.set_aside, count=each.set_aside // each.unit, unit=each.unit) if each.unit else TEXT["none"]
        run = TEXT["pods-run"].format(running=each.running, wanted=each.wanted)
        yield escape(names.get(each.cni, CNIS[each.cni].title)), run, f"{each.held:,}", escape(aside)
