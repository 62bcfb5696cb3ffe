"""The Amazon VPC CNI plug-in: Pods have addresses of the cloud's own network. No tunnel, no routes to tell anybody, no NAT between Pods.

A node has several interfaces in the VPC (ENIs), and a Pod's address is one of an ENI's. The Pod is alone on its cable, with a neighbour 169.254.1.1
whose MAC address, that of the cable's other end, it was told: nobody asks by ARP. The node finds the Pod by a /32 route, and policy rules
see to it that what a Pod sends leaves by the ENI to which its address belongs, because EC2 takes an address from no other.
Outside the VPC nobody knows the Pods: there the node lends its primary address. (amazon-vpc-cni-k8s v1.20 with iptables:
cmd/routed-eni-cni-plugin/driver, pkg/networkutils/network.go, cmd/aws-vpc-cni-init.)

The fabric is the VPC's mapping service: it knows which ENI has which address, answers ARP itself, and carries no broadcast. It is told each
address in use, also where AWS knows a whole prefix. Not as in AWS: the router counts the TTL down; packets with an address that is not the
ENI's own are not dropped (source/destination check); links take what the underlay does, 1500 bytes, where a VPC takes 9001.
Left out: security groups for Pods (branch ENIs, vlan devices), custom networking, the warm pool, IPv6 clusters, and the IPv6 sysctls of
the cable's end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial

from ...linux.addresses import ip_address, ip_network
from ...linux.ops import (
    AddrAdd,
    FdbAdd,
    LinkAdd,
    LinkSet,
    NeighAdd,
    NetnsAdd,
    Op,
    RouteAdd,
    RouteDel,
    RuleAdd,
    RulesRestore,
    SysctlSet,
    stable_mac,
)  # fmt: skip
from ...linux.packet import IPAddress
from ...linux.state import FdbEntry, IPNetwork, Neighbor, PolicyRule, Route
from ...value import replace
from ..objects import Node, Pod
from .sandbox import UNDERLAY, Eni, Host, Sandbox, ports_of, socket_ops
from .vpc_limits import kubelet_pods

GATEWAY = ip_address("169.254.1.1")
VPC = ip_network("192.168.0.0/16")
DEFAULT = ip_network("0.0.0.0/0")
TO_POD, MAIN_ENI, FROM_POD = 512, 1024, 1536  # priorities of the policy rules
MARK = 0x80  # of connections that belong to the primary ENI


def veth(pod: Pod) -> str:
    """The host's end of a Pod's cable: ``eni`` and 11 hex digits of a hash of namespace and name, as Calico has them (names.go)."""
    return "eni" + hashlib.sha1(f"{pod.namespace}.{pod.name}".encode()).hexdigest()[:11]


def register(node: Node, prefix: bool = False) -> Node:
    """The Node with its kubelet's ``maxPods`` as allocatable Pods, where its object states none."""
    return node if node.max_pods is not None else replace(node, max_pods=kubelet_pods(node, prefix))


register_prefix = partial(register, prefix=True)


def answers(host: Host) -> frozenset[IPAddress]:
    """The own addresses of the node's further ENIs."""
    return frozenset(eni.address.ip for eni in host.enis[1:])


def table(eni: Eni) -> str:
    """The routing table of an ENI's Pods: its device number + 1; for the primary ENI the main table."""
    return str(eni.number + 1) if eni.number else "main"


def port(eni: Eni) -> str:
    """The far end of a further ENI, a port of the fabric: its name has the ENI's own address in hexadecimal."""
    return f"eni-{eni.address.ip.packed.hex()}"


# A node


def uplinks(host: Host, segment: str) -> Iterable[Op]:
    """The ENIs beside eth0, attached to the instance."""
    for eni in host.enis[1:]:
        yield LinkAdd(host.name, eni.dev, "veth", mac=eni.mac, mtu=host.mtu, peer=(UNDERLAY, port(eni)))
        yield LinkSet(UNDERLAY, port(eni), master=segment, up=True)


def plan(host: Host, hosts: Sequence[Host], sandboxes: Sequence[Sandbox]) -> Iterable[Op]:
    """One node: its ENIs with a routing table each, the rules for all, and its Pods."""
    yield SysctlSet(
        host.name, "net.ipv4.conf.eth0.rp_filter", 2
    )  # loose: a node port's packet may be for a Pod that answers by another ENI
    yield RuleAdd(host.name, PolicyRule(MAIN_ENI, "main", fwmark=MARK, fwmask=MARK))
    yield RulesRestore(host.name, rules(host, vpc_cidrs(hosts)), 4)
    for eni in host.enis[1:]:
        yield from _eni(host, eni)
    homes = {address: eni for eni in host.enis for address in eni.pods}
    for sandbox in sandboxes:
        yield NetnsAdd(sandbox.netns)
        yield from attach(sandbox, table(homes[sandbox.addresses[0].ip]), host.mtu)
        yield from socket_ops(sandbox)


def _eni(host: Host, eni: Eni) -> Iterable[Op]:
    """ipamd sets a further ENI up: its address, and a table that knows the subnet's router alone. The main table keeps to eth0."""
    gateway = host.gateways[0]
    yield LinkSet(host.name, eni.dev, up=True)
    yield AddrAdd(host.name, eni.dev, eni.address)
    yield RouteAdd(host.name, Route(ip_network(gateway), eni.dev, scope="link", table=table(eni)))
    yield RouteAdd(host.name, Route(DEFAULT, eni.dev, gateway, table=table(eni)))
    yield RouteDel(host.name, Route(eni.address.network, eni.dev))


def attach(sandbox: Sandbox, routing_table: str, mtu: int) -> Iterable[Op]:
    """Connect one Pod (the plug-in's ADD)."""
    pod, node, end, own = sandbox.netns, sandbox.host, sandbox.veth, sandbox.addresses[0]
    mac = stable_mac(node, end)
    yield LinkAdd(pod, "eth0", "veth", mtu=mtu, peer=(node, end), peer_mac=mac)
    yield LinkSet(node, end, up=True)
    yield LinkSet(pod, "eth0", up=True)
    yield RouteAdd(pod, Route(ip_network(GATEWAY), "eth0", scope="link"))
    yield RouteAdd(pod, Route(DEFAULT, "eth0", GATEWAY))
    yield AddrAdd(pod, "eth0", own)
    yield NeighAdd(pod, Neighbor("eth0", GATEWAY, mac))
    yield RouteAdd(node, Route(ip_network(own.ip), end, scope="link"))
    yield RuleAdd(node, PolicyRule(TO_POD, "main", dst=ip_network(own.ip)))
    if routing_table != "main":
        yield RuleAdd(node, PolicyRule(FROM_POD, routing_table, src=ip_network(own.ip)))


def vpc_cidrs(hosts: Sequence[Host]) -> tuple[IPNetwork, ...]:
    """The VPC's ranges: 192.168.0.0/16 where the subnets lie in it, else a /16 around each (a VPC can have several, of /16 at most)."""
    subnets = [host.addresses[0].network for host in hosts]
    around = (VPC if subnet.subnet_of(VPC) else subnet if subnet.prefixlen < 16 else subnet.supernet(new_prefix=16) for subnet in subnets)
    return tuple(dict.fromkeys(around))


def rules(host: Host, cidrs: Sequence[IPNetwork]) -> str:
    """ipamd's rules as iptables-restore text: which connections are marked to leave by eth0, and which get the node's address.

    Marked are those that come in by eth0 for the node itself (node ports), and those of Pods with the world outside: their packets go by
    the main table, whatever ENI the Pod's address is on. Older versions had a chain for each exception, AWS-SNAT-CHAIN-1 and on, which ipamd still
    clears away.
    """
    mark = f"{MARK:#x}/{MARK:#x}"
    restore = f"-j CONNMARK --restore-mark --nfmask {MARK:#x} --ctmask {MARK:#x}"
    primary, outbound = '-m comment --comment "AWS, primary ENI"', '-m comment --comment "AWS, CONNMARK"'
    marks = [f'-A AWS-CONNMARK-CHAIN-0 -d {c} -m comment --comment "AWS CONNMARK CHAIN, VPC CIDR" -j RETURN' for c in reversed(cidrs)]
    snats = [f'-A AWS-SNAT-CHAIN-0 -d {c} -m comment --comment "AWS SNAT CHAIN" -j RETURN' for c in reversed(cidrs)]
    inside = "\n".join(marks), "\n".join(snats)
    return f"""*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 {primary} -m addrtype --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark {mark}
-A PREROUTING -i eni+ {primary} {restore}
-A PREROUTING -i vlan+ {primary} {restore}
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:AWS-CONNMARK-CHAIN-0 - [0:0]
:AWS-SNAT-CHAIN-0 - [0:0]
-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0
-A PREROUTING {outbound} {restore}
-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0
{inside[0]}
-A AWS-CONNMARK-CHAIN-0 {outbound} -j CONNMARK --set-xmark {mark}
{inside[1]}
-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL -j SNAT --to-source {host.address(4)} --random-fully
COMMIT"""


# The VPC


def fabric(hosts: Sequence[Host]) -> Iterable[Op]:
    """The mapping service: which ENI has which address. Nothing is learned or flooded; the VPC's router sends no redirects."""
    places = ports_of(hosts)
    for key in ("all", *dict.fromkeys(segment for _, segment in places.values())):
        yield SysctlSet(UNDERLAY, f"net.ipv4.conf.{key}.send_redirects", 0)
    for host in hosts:
        first, segment = places[host.name]
        for eni in host.enis:
            end = port(eni) if eni.number else first
            yield LinkSet(UNDERLAY, end, learning=False, proxy_arp=True)
            yield FdbAdd(UNDERLAY, FdbEntry(end, eni.mac, master=segment))
            for address in (eni.address.ip, *eni.pods):
                yield NeighAdd(UNDERLAY, Neighbor(segment, address, eni.mac))
