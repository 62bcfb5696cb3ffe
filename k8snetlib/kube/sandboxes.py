"""From placed Pods to sandboxes: each Pod's namespace, cable and sockets; and the addresses that a node answers for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..linux.addresses import with_length
from ..linux.packet import IPAddress
from ..linux.state import Socket, link_local
from .cni.plugin import Plugin
from .cni.sandbox import UNDERLAY, Host, Sandbox, mac_for, veth_name
from .objects import Pod
from .outside import CLIENT


def answered(host: Host, plugin: Plugin) -> frozenset[IPAddress]:
    """Every address for which the node answers on its uplink: all its IPv4 addresses, and in IPv6 those of eth0 itself."""
    own = {a.ip for a in host.addresses} | {link_local(mac_for(host.addresses[0].ip, "52:54:00")).ip}
    return frozenset(own) | plugin.answers(host)


def sandboxes_of(pods: Sequence[Pod], hosts: Sequence[Host], prefixes: Mapping, plugin: Plugin) -> tuple[dict[str, Sandbox], list[str]]:
    """A sandbox for every Pod that has a place and a network of its own, and remarks about ports that two containers want."""
    reserved = {host.name for host in hosts} | {UNDERLAY, CLIENT}
    names: dict[str, int] = {}
    for pod in pods:
        names[pod.name] = names.get(pod.name, 0) + 1
    taken: dict[str, set[str]] = {host.name: {"eth0", "cni0"} for host in hosts}
    found, remarks = {}, []
    for pod in pods:
        if not pod.node_name or pod.host_network or not pod.pod_ips:
            continue
        name, namespace = pod.name, pod.namespace
        netns = name if names[name] == 1 and name not in reserved else f"{namespace}.{name}"
        lengths = {4: 32, 6: 128} if plugin.lone else prefixes[pod.node_name]
        addresses = tuple(with_length(ip, lengths[ip.version]) for ip in pod.pod_ips)
        sockets, clashes = sockets_of([pod])
        remarks += clashes
        veth = plugin.veth(pod) if plugin.veth else veth_name(name, namespace, taken[pod.node_name])
        found[pod.key] = Sandbox(netns, pod.node_name, veth, addresses, sockets, pod)
    return found, remarks


def sockets_of(pods: Sequence[Pod]) -> tuple[tuple[Socket, ...], list[str]]:
    """What the containers listen on: the model takes a container's declared ports as bound by its process, the first one to come."""
    bound: dict[tuple[str, int], Socket] = {}
    remarks = []
    for pod in pods:
        for container in sorted(pod.running_containers, key=lambda each: each.kind != "sidecar"):  # sidecars start first (KEP-753)
            for port in container.ports:
                key = (port.protocol.lower(), port.container_port)
                process = container.name if len(pod.running_containers) > 1 else pod.name
                if key in bound and bound[key].process != process:
                    remarks.append(f"Pod {pod.key}: container {container.name} cannot listen on {port.container_port}/{port.protocol}: "
                                   f"{bound[key].process} does already, in the same network namespace")  # fmt: skip
                bound.setdefault(key, Socket(*key, process=process))
    return tuple(bound.values()), remarks
