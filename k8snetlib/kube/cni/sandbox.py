"""What every network plug-in works with: a Pod's sandbox on its node, and the segment to which the nodes are attached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ...linux.addresses import ANY, with_length
from ...linux.ops import AddrAdd, LinkAdd, LinkSet, Listen, NetnsAdd, Op, RouteAdd, SysctlSet
from ...linux.packet import IPAddress
from ...linux.state import IPInterface, IPNetwork, Route, Socket
from ...value import value
from ..objects import Node, Pod

UNDERLAY = "underlay"
MAX_NAME = 15


@value
class Eni:
    """A node's interface in a cloud's network (AWS: elastic network interface): ``number`` 0 is eth0, with the node's own address.

    ``pods`` are the addresses of Pods that the cloud delivers to it, and ``prefixes`` the /28 ranges from which they are, if it holds any.
    """

    number: int
    address: IPInterface
    pods: tuple[IPAddress, ...] = ()
    prefixes: tuple[IPNetwork, ...] = ()

    @property
    def dev(self) -> str:
        return f"eth{self.number}"

    @property
    def mac(self) -> str:
        return mac_for(self.address.ip, "52:54:00")


@value
class Host:
    """A node as its network agent sees it: its addresses with their prefixes, the gateway of each, its Pod ranges and the MTU of eth0.

    ``blocks`` are the parts of the address pool that Calico's IPAM has given to the node, ``enis`` its interfaces in an AWS VPC.
    """

    name: str
    addresses: tuple[IPInterface, ...]
    gateways: tuple[IPAddress, ...]
    pod_cidrs: tuple[IPNetwork, ...]
    mtu: int = 1500
    node: Node | None = None
    blocks: tuple[IPNetwork, ...] = ()
    enis: tuple[Eni, ...] = ()

    def address(self, version: int) -> IPAddress | None:
        """The node's own address of that family."""
        for address in self.addresses:
            if address.version == version:
                return address.ip
        return None

    def pod_cidr(self, version: int) -> IPNetwork | None:
        for cidr in self.pod_cidrs:
            if cidr.version == version:
                return cidr
        return None

    def network(self, version: int) -> IPNetwork | None:
        """The segment on which the node has its own address of that family."""
        return next((a.network for a in self.addresses if a.version == version), None)


@value
class Sandbox:
    """A Pod's network namespace: its name, the host's end of its veth, the Pod's addresses, and what its containers listen on."""

    netns: str
    host: str
    veth: str
    addresses: tuple[IPInterface, ...]
    sockets: tuple[Socket, ...] = ()
    pod: Pod | None = None


def mac_for(address: IPAddress, prefix: str) -> str:
    """A MAC address that shows the IPv4 address in its last bytes, so that readers recognise it: ``0a:58`` + four bytes, as the
    bridge plug-in made them once, or ``52:54:00`` (QEMU's) + three. IPv6 addresses are hashed instead."""
    wanted = 6 - (prefix.count(":") + 1)
    tail = address.packed[-wanted:] if address.version == 4 else hashlib.sha256(address.packed).digest()[:wanted]
    return f"{prefix}:{tail.hex(':')}"


def veth_name(pod: str, namespace: str, taken: set[str]) -> str:
    """The host's end: ``veth-POD`` where that fits into 15 characters and is free, else ``veth`` and 8 hex digits, as the plug-ins name it."""
    name = f"veth-{pod}"
    salt = 0
    while len(name) > MAX_NAME or name in taken or "." in name:
        name = "veth" + hashlib.sha1(f"{namespace}/{pod}/{salt}".encode()).hexdigest()[:8]
        salt += 1
    taken.add(name)
    return name


def segments(hosts: Sequence[Host]) -> dict[str, tuple[IPInterface, ...]]:
    """The links between nodes: a bridge of the underlay for each subnet → the router's addresses on it."""
    found: dict[IPNetwork, list[IPInterface]] = {}
    for host in hosts:
        own = found.setdefault(host.addresses[0].network, [])
        for address, gateway in zip(host.addresses, host.gateways, strict=True):
            router = with_length(gateway, address.network.prefixlen)
            if router not in own:
                own.append(router)
    return {f"segment-{number}": tuple(routers) for number, routers in enumerate(found.values(), 1)}


def segment_of(host: Host, links: dict[str, tuple[IPInterface, ...]]) -> str:
    return next(name for name, routers in links.items() if any(r.network == host.addresses[0].network for r in routers))


def ports_of(hosts: Sequence[Host]) -> dict[str, tuple[str, str]]:
    """Node → (the switch port of its eth0, its segment)."""
    links = segments(hosts)
    taken, found = set(links), {}
    for number, host in enumerate(hosts, 1):
        port = f"port-{host.name}" if len(host.name) <= 10 and "." not in host.name else f"port-{number}"
        while port in taken:
            port = f"port{number}-{len(taken)}"
        taken.add(port)
        found[host.name] = (port, segment_of(host, links))
    return found


def underlay_ops(hosts: Sequence[Host]) -> Iterable[Op]:
    """The network below the cluster: a switch for each segment and, on all of them, the router. A switch looks at no IP header, so what
    bridged packets do in netfilter is switched off."""
    yield NetnsAdd(UNDERLAY)
    yield SysctlSet(UNDERLAY, "net.bridge.bridge-nf-call-iptables", 0)
    yield SysctlSet(UNDERLAY, "net.bridge.bridge-nf-call-ip6tables", 0)
    yield SysctlSet(UNDERLAY, "net.ipv4.ip_forward", 1)
    yield SysctlSet(UNDERLAY, "net.ipv6.conf.all.forwarding", 1)
    links = segments(hosts)
    for name, routers in links.items():
        yield LinkAdd(UNDERLAY, name, "bridge", mac=mac_for(routers[0].ip, "52:54:00"))
        yield LinkSet(UNDERLAY, name, up=True)
        for router in routers:
            yield AddrAdd(UNDERLAY, name, router)


def uplink_ops(host: Host, port: str, segment: str) -> Iterable[Op]:
    """The node itself: its namespace, eth0 plugged into its segment, addresses, default routes, forwarding on."""
    yield NetnsAdd(host.name)
    yield LinkAdd(host.name, "eth0", "veth", mac=mac_for(host.addresses[0].ip, "52:54:00"), mtu=host.mtu, peer=(UNDERLAY, port))
    yield LinkSet(UNDERLAY, port, master=segment, up=True)
    yield LinkSet(host.name, "eth0", up=True)
    for address in host.addresses:
        yield AddrAdd(host.name, "eth0", address)
    for gateway in host.gateways:
        yield RouteAdd(host.name, Route(ANY[gateway.version], "eth0", gateway))
    yield SysctlSet(host.name, "net.ipv4.ip_forward", 1)
    if any(address.version == 6 for address in host.addresses):
        yield SysctlSet(host.name, "net.ipv6.conf.all.forwarding", 1)


def socket_ops(sandbox: Sandbox) -> Iterable[Op]:
    """The containers' processes, each listening on the ports that its container declares."""
    for socket in sandbox.sockets:
        yield Listen(sandbox.netns, socket)
