"""Pools of addresses that load balancers hand out, and why a Service of type LoadBalancer may get none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..linux.addresses import ip_address
from ..linux.packet import IPAddress
from ..linux.state import IPNetwork
from ..value import replace, value
from .objects import LoadBalancerIngress, Service


@value
class BalancerPool:
    """Addresses that a load balancer hands out, and the ``spec.loadBalancerClass`` that it serves; ``""`` are the Services without one.

    ``targets`` is what it sends to: "nodes", or "pods", past node ports and kube-proxy. With ``arp`` the addresses lie on the nodes' own
    segment, and an elected node answers for them: there is no balancer beside the nodes. ``nodes`` names those that it may send to (AWS:
    target-node-labels, MetalLB: nodeSelectors); empty are all. ``because`` says why it serves nobody here, where it does not.
    """

    networks: tuple[IPNetwork, ...]
    load_balancer_class: str = ""
    ip_mode: str = "VIP"
    targets: str = "nodes"
    arp: bool = False
    nodes: tuple[str, ...] = ()
    because: str = ""


def needs_health_check(service: Service) -> bool:
    """Whether load balancers ask each node, on a port of its own, if it has an endpoint of the Service."""
    return service.type == "LoadBalancer" and service.external_traffic_policy == "Local"


def pending_reason(service: Service, pools: Sequence[BalancerPool]) -> str:
    """Why the load balancers that there are give a Service no address: the pool's own words, or ``""`` where there is none for it."""
    return next((pool.because for pool in pools if pool.load_balancer_class == service.load_balancer_class), "")


def assigned(services: tuple[Service, ...], pools: Sequence[BalancerPool]) -> tuple[Service, ...]:
    """The LoadBalancer Services that a pool serves, with an address of each family that the pool has; a status of their own stays."""
    taken = {entry.ip for each in services for entry in each.load_balancer_ingress}
    by_class = {pool.load_balancer_class: pool for pool in pools if not pool.because}
    out = list(services)
    waiting = [at for at, each in enumerate(out) if each.type == "LoadBalancer" and not each.load_balancer_ingress]
    for at in sorted(waiting, key=lambda at: not out[at].load_balancer_ip):  # those that ask for an address come first
        pool = by_class.get(out[at].load_balancer_class)
        if pool:
            ips = _from_pool(out[at], pool, taken)
            taken |= set(ips)
            out[at] = replace(out[at], load_balancer_ingress=tuple(LoadBalancerIngress(ip, "", pool.ip_mode) for ip in ips))
    return tuple(out)


def _from_pool(service: Service, pool: BalancerPool, taken: set[Any]) -> list[IPAddress]:
    asked = None
    if service.load_balancer_ip:
        try:
            asked = ip_address(service.load_balancer_ip)
        except ValueError:
            return []
        if asked in taken or not any(asked in each for each in pool.networks):
            return []  # as with real ones, the Service waits for the address that it wants
    found = []
    for family in service.ip_families:
        if asked is not None and f"IPv{asked.version}" == family:
            found.append(asked)
        elif asked is None:
            usable = (ip for each in pool.networks if f"IPv{each.version}" == family for ip in each.hosts() if ip not in taken)
            found += [ip for ip in [next(usable, None)] if ip is not None]
    return found
