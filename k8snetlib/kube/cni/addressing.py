"""Who gives Pods their addresses: host-local from the node's Pod range, as the reference plug-ins and Flannel have it.

A plug-in's ``allocate(hosts, pods)`` gets the nodes and the Pods of each, in the order in which they start, and gives an ``Allocation``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from ...linux.packet import IPAddress
from ...value import replace, value
from ..ipam import AllocationError, Store, add, add_all, range_sets
from ..objects import Pod
from .sandbox import Host

Addresses = tuple[IPAddress, ...]


@value
class Allocation:
    """The nodes with what they hold in reserve, the addresses of each Pod by its key, why some Pods have none, and remarks."""

    hosts: tuple[Host, ...]
    given: Mapping[str, Addresses]
    without: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Allocate = Callable[[Sequence[Host], Mapping[str, Sequence[Pod]]], Allocation]


def host_local(hosts: Sequence[Host], pods: Mapping[str, Sequence[Pod]]) -> Allocation:
    """Each node's addresses out of its own Pod ranges, those first that a Pod's status names."""
    given: dict[str, Addresses] = {}
    without: dict[str, str] = {}
    notes: list[str] = []
    for host in hosts:
        found, remarks, late = _allocate(host, pods[host.name])
        given |= found
        notes += remarks
        if late:
            without |= dict.fromkeys(late, used_up(host))
    return Allocation(tuple(hosts), given, without, tuple(notes))


def used_up(host: Host) -> str:
    return f"no free address on {host.name}: {', '.join(map(str, host.pod_cidrs))} is used up"


def not_here(pod: Pod, host: Host) -> str:
    """The remark about a Pod whose status names an address that its node cannot give."""
    shown = ", ".join(map(str, pod.pod_ips))
    return f"Pod {pod.key} has {shown} in its status, which cannot be on {host.name} here: it gets another address"


def _allocate(host: Host, pods: Sequence[Pod]) -> tuple[dict[str, tuple[IPAddress, ...]], list[str], list[str]]:
    """One node's addresses by Pod key, remarks, and the keys of Pods for which there is none left."""
    sets = range_sets({"ranges": [[{"subnet": cidr}] for cidr in host.pod_cidrs]})
    found: dict[str, tuple[IPAddress, ...]] = {}
    store, notes, rest = Store(), [], []
    for pod in pods:
        wanted = [a for cidr in host.pod_cidrs for a in pod.pod_ips if a in cidr][: len(host.pod_cidrs)]
        try:
            if len(wanted) == len(host.pod_cidrs):
                configs, store = add(sets, store, pod.key, requested=wanted)
                found[pod.key] = tuple(c.address.ip for c in configs)
                continue
        except AllocationError as error:
            store = error.store
        if pod.pod_ips:
            notes.append(not_here(pod, host))
        rest.append(pod.key)
    fresh = replace(store, last_reserved=type(store.last_reserved)())  # as if the node's agent had just started
    try:
        for key, configs in zip(rest, add_all(sets, fresh, rest)[0], strict=True):
            found[key] = tuple(c.address.ip for c in configs)
        return found, notes, []
    except AllocationError:
        return _allocate_some(sets, fresh, rest, found, notes)


def _allocate_some(sets, store: Store, keys: Sequence[str], found: dict, notes: list[str]):
    """As far as the range goes: the Pods that come too late stay without an address."""
    for number, key in enumerate(keys):
        try:
            configs, store = add(sets, store, key)
        except AllocationError:
            return found, notes, list(keys[number:])
        found[key] = tuple(c.address.ip for c in configs)
    return found, notes, []
