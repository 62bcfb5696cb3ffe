"""What a Linux host knows: namespaces, interfaces, routes, neighbours, FDB entries, connections, sockets, as frozen values.

``Network`` is the actual state of every namespace. It is changed by ``ops.build`` alone, which returns a new one.
``str()`` of a route, rule, neighbour, FDB entry or connection prints it as ``ip``, ``bridge`` or ``conntrack`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from functools import lru_cache
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from types import MappingProxyType
from typing import Union

from ..errors import ModelError
from ..value import value
from .addresses import ip_network, within
from .packet import Flow, IPAddress

IPInterface = Union[IPv4Interface, IPv6Interface]
IPNetwork = Union[IPv4Network, IPv6Network]
EMPTY: Mapping = MappingProxyType({})


def _empty() -> Mapping:
    return EMPTY


ZERO_MAC = "00:00:00:00:00:00"

# What the kernel assumes where nothing was written. br_netfilter's two are 1 once the module is loaded.
SYSCTL_DEFAULTS = MappingProxyType(
    {
        "net.ipv4.ip_forward": 0,
        "net.ipv6.conf.all.forwarding": 0,
        "net.ipv6.conf.all.disable_ipv6": 0,
        "net.ipv4.conf.all.route_localnet": 0,
        "net.ipv4.conf.all.rp_filter": 0,
        "net.ipv4.ip_default_ttl": 64,
        "net.bridge.bridge-nf-call-iptables": 1,
        "net.bridge.bridge-nf-call-ip6tables": 1,
        "net.netfilter.nf_conntrack_tcp_loose": 1,
        "net.netfilter.nf_conntrack_tcp_be_liberal": 0,
    }
)


@value
class VxlanConfig:
    """A VXLAN device's settings: VNI, the local tunnel endpoint, the device below, the UDP port; learning from packets or not."""

    vni: int
    local: IPAddress
    dev: str
    port: int = 4789
    learning: bool = True


@value
class IpipConfig:
    """An IPIP device's settings: the tunnel's two ends; None is any. Without a ``remote`` the next hop of each packet's route is the far end."""

    local: IPAddress | None = None
    remote: IPAddress | None = None


@value
class Interface:
    """A network device. ``peer`` is the other end of a veth, ``master`` the bridge of a port; ``mtu`` counts from the IP header."""

    name: str
    kind: str  # loopback, veth, bridge, vxlan, ipip, dummy
    mac: str = ZERO_MAC
    mtu: int = 1500
    up: bool = False
    addresses: tuple[IPInterface, ...] = ()
    peer: tuple[str, str] | None = None  # (namespace, interface)
    master: str | None = None
    hairpin: bool = False
    isolated: bool = False
    learning: bool = True
    vxlan: VxlanConfig | None = None
    index: int = 0
    ipip: IpipConfig | None = None
    fixed_mtu: bool = False  # a bridge whose MTU was set by hand no longer follows its ports'
    proxy_arp: bool = False  # of a bridge port: the bridge answers ARP there, and floods nothing to it

    @property
    def link_type(self) -> str:
        """What ``ip link`` writes before the hardware address."""
        return self.kind if self.kind in ("loopback", "ipip") else "ether"

    def __str__(self) -> str:
        flags = "UP,LOWER_UP" if self.up else "DOWN"
        master = f" master {self.master}" if self.master else ""
        lines = [
            f"{self.index}: {self.name}: <{flags}> mtu {self.mtu}{master}",
            f"    link/{self.link_type} {self.mac}",
        ]
        return "\n".join(lines + [f"    inet{'6' if a.version == 6 else ''} {a}" for a in self.addresses])


def _prefix(network: IPNetwork) -> str:
    """A prefix as ``ip`` writes it: that of a single address without its length."""
    return str(network) if network.prefixlen < network.max_prefixlen else str(network.network_address)


@value
class Route:
    """A line of a routing table; ``via`` None means that the destination is on the link itself."""

    dst: IPNetwork
    dev: str | None = None
    via: IPAddress | None = None
    src: IPAddress | None = None
    scope: str = "global"  # global, link, host
    proto: str = "boot"  # who wrote it: kernel, boot (an administrator), static, bird …
    metric: int = 0
    onlink: bool = False
    type: str = "unicast"  # unicast, local, blackhole, unreachable, prohibit, throw
    table: str = "main"
    mtu: int | None = None

    def words(self) -> str:
        """The route in the words of ``ip route add``."""
        parts = [] if self.type == "unicast" else [self.type]
        parts.append(_prefix(self.dst) if self.dst.prefixlen else "default")
        parts += [f"via {self.via}"] if self.via else []
        parts += [f"dev {self.dev}"] if self.dev else []
        parts += [f"table {self.table}"] if self.table != "main" else []
        parts += [f"proto {self.proto}"] if self.proto != "boot" else []
        parts += [f"scope {self.scope}"] if self.scope != "global" else []
        parts += [f"src {self.src}"] if self.src else []
        parts += [f"metric {self.metric}"] if self.metric and not (self.dst.version == 6 and self.metric == 1024) else []
        parts += ["onlink"] if self.onlink else []
        parts += [f"mtu {self.mtu}"] if self.mtu else []
        return " ".join(parts)

    __str__ = words


@value
class PolicyRule:
    """A line of ``ip rule``: packets that match look into ``table``; lower ``priority`` first. None matches everything."""

    priority: int
    table: str
    src: IPNetwork | None = None
    dst: IPNetwork | None = None
    fwmark: int | None = None
    fwmask: int = 0xFFFFFFFF
    iif: str | None = None
    version: int = 4

    def words(self) -> str:
        parts = [f"from {_prefix(self.src) if self.src else 'all'}"] + ([f"to {_prefix(self.dst)}"] if self.dst else [])
        if self.fwmark is not None:
            parts.append(f"fwmark {self.fwmark:#x}" + (f"/{self.fwmask:#x}" if self.fwmask != 0xFFFFFFFF else ""))
        parts += [f"iif {self.iif}"] if self.iif else []
        return " ".join([*parts, f"lookup {self.table}"])

    def __str__(self) -> str:
        return f"{self.priority}:\t{self.words()}"


@value
class Neighbor:
    """An entry of the neighbour table (ARP in IPv4, neighbour discovery in IPv6): the MAC address behind an IP address."""

    dev: str
    ip: IPAddress
    mac: str
    state: str = "PERMANENT"  # or learned: REACHABLE from an answer, STALE from the other side's question

    def __str__(self) -> str:
        return f"{self.ip} dev {self.dev} lladdr {self.mac} {self.state}"


@value
class FdbEntry:
    """A forwarding-database entry: on a bridge port, "this MAC is behind ``dev``"; on a VXLAN device, "behind tunnel endpoint ``dst``"."""

    dev: str
    mac: str
    dst: IPAddress | None = None
    master: str | None = None
    state: str = "static"  # permanent (the port's own address), static, dynamic (learned)

    def __str__(self) -> str:
        parts = [self.mac, "dev", self.dev]
        parts += ["dst", str(self.dst)] if self.dst else []
        parts += ["self"] if self.dst or not self.master else ["master", self.master]
        return " ".join(parts + ([self.state] if self.state != "dynamic" else []))


@value
class TcpNotes:
    """What conntrack remembers of a TCP connection beside its state; no listing shows it (struct ip_ct_tcp)."""

    finished: bool = False  # somebody has begun to close it (IP_CT_TCP_FLAG_CLOSE_INIT)
    reset: str = ""  # "original" or "reply": the last segment was a reset from that side
    ignored: int | None = None  # the last was a SYN that did not fit and was let through: the number that its answer acknowledges
    challenge: bool = False  # and the answer may say instead that it fits no better there (IP_CT_EXP_CHALLENGE_ACK)
    crossed: bool = False  # both ends have begun with a SYN (IP_CT_TCP_SIMULTANEOUS_OPEN)


NOTHING_NOTED = TcpNotes()


@value
class Conntrack:
    """A connection-tracking entry: the flow as it came, and the flow that a reply will have; NAT is their difference.

    ``original`` and ``reply`` are each as seen on the way in. ``state`` is TCP's; ``seen_reply`` is the opposite of ``[UNREPLIED]``.
    """

    original: Flow
    reply: Flow
    state: str = ""
    seen_reply: bool = False
    assured: bool = False
    mark: int = 0
    nat: tuple[str, ...] = ()  # which of "src", "dst" NAT has been decided for the connection
    tcp: TcpNotes = field(default=NOTHING_NOTED, compare=False)

    def __str__(self) -> str:
        def half(flow: Flow) -> str:
            ports = f"id={flow.sport}" if "icmp" in flow.proto else f"sport={flow.sport} dport={flow.dport}"
            return f"src={flow.src} dst={flow.dst} {ports}"

        parts = [self.original.proto] + ([self.state] if self.state else []) + [half(self.original)]
        parts += [] if self.seen_reply else ["[UNREPLIED]"]
        parts += [half(self.reply)] + (["[ASSURED]"] if self.assured else [])
        return " ".join([*parts, f"mark={self.mark}"])


@value
class Socket:
    """A bound socket: ``address`` None listens on every address of both families; ``process`` says whose it is.

    One that has connected to a ``peer`` (address and port) hears that one alone: a TCP client takes an answer from nobody else.
    """

    proto: str  # tcp, udp, sctp
    port: int
    address: IPAddress | None = None
    process: str = ""
    peer: tuple[IPAddress, int] | None = None

    def __str__(self) -> str:
        state = ("LISTEN" if self.proto == "tcp" else "UNCONN") if self.peer is None else "SYN-SENT" if self.proto == "tcp" else "ESTAB"
        ends = [_end(self.address, self.port), *([_end(*self.peer)] if self.peer else []), *([self.process] if self.process else [])]
        return f"{self.proto} {state} {' '.join(ends)}"


def _end(address: IPAddress | None, port: int) -> str:
    return f"{'*' if address is None else f'[{address}]' if address.version == 6 else address}:{port}"


@value
class NetNS:
    """One network namespace: everything that Linux keeps per namespace and that decides where a packet goes."""

    name: str
    interfaces: Mapping[str, Interface] = field(default_factory=_empty)
    routes: tuple[Route, ...] = ()
    rules: tuple[PolicyRule, ...] = ()  # beside the three that are always there
    neighbors: Mapping[tuple[str, IPAddress], Neighbor] = field(default_factory=_empty)
    fdb: Mapping[tuple[str, str], FdbEntry] = field(default_factory=_empty)  # by (bridge or VXLAN device, MAC)
    conntrack: tuple[Conntrack, ...] = ()
    rulesets: Mapping[int, object] = field(default_factory=_empty)  # by IP version: netfilter.Ruleset
    sysctls: Mapping[str, int] = field(default_factory=_empty)
    sockets: tuple[Socket, ...] = ()
    recent: Mapping[str, tuple] = field(default_factory=_empty)  # lists of the recent match: recent.RecentEntry, least recently seen first
    nftables: object | None = None  # nftables.Ruleset
    hooked: tuple[tuple, ...] = ()  # tables and chains in the order in which they were registered with netfilter
    pmtu: Mapping[IPAddress, int] = field(default_factory=_empty)  # path MTU in bytes, learned from ICMP, by destination
    ipsets: Mapping[str, object] = field(default_factory=_empty)  # by name: ipset.IpSet
    ipvs: object | None = None  # ipvs.Ipvs, where there is a virtual server
    proxied: frozenset[tuple[str, IPAddress]] = frozenset()  # (device, address): asked for there, the host answers (ip neigh … proxy)
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)  # indexes derived from the rest

    def __repr__(self) -> str:
        return (
            f"<NetNS {self.name}: {', '.join(self.interfaces) or 'no interface'}; {len(self.routes)} routes, {len(self.sockets)} sockets>"
        )

    def filters(self, version: int) -> bool:
        """Whether packets of that IP version meet any netfilter rules here."""
        return version in self.rulesets or (self.nftables is not None and self.nftables.hooked(version))

    def sysctl(self, key: str) -> int:
        """The value in force; unset keys have the kernel's default, 0 where the model knows none."""
        return self.sysctls.get(key, SYSCTL_DEFAULTS.get(key, 0))

    def interface(self, name: str) -> Interface:
        """The interface of that name. ModelError when there is none."""
        try:
            return self.interfaces[name]
        except KeyError:
            raise ModelError(f"{self.name} has no interface {name!r} (it has {', '.join(self.interfaces) or 'none'})") from None

    def addresses(self) -> Iterator[tuple[str, IPInterface]]:
        """Every address with the interface that carries it."""
        for interface in self.interfaces.values():
            for address in interface.addresses:
                yield interface.name, address


class Network(Mapping):
    """The actual state: namespaces by name, as in ``network["node-a"].interfaces``. Frozen; ``ops.build`` makes the next one.

    A namespace may belong to a *part*, which ``build`` makes (one or several namespaces) when the first of them is needed, so that a trace
    in a large cluster pays only for what the packet meets. ``hint`` names the addresses of a namespace that is not built yet, as
    ``plain_addresses`` needs them, or answers None where it does not know; a test holds hints against what is built.
    """

    __slots__ = ("_build", "_built", "_hint", "_members", "cache")

    def __init__(
        self,
        namespaces: Mapping[str, NetNS] = EMPTY,
        members: Mapping[str, str] = EMPTY,
        build: Callable[[str], Mapping[str, NetNS]] | None = None,
        hint: Callable[[str], Collection[IPAddress] | None] | None = None,
    ) -> None:
        self._built = dict(namespaces)
        self._members = members  # namespace → part, of those that ``build`` makes
        self._build, self._hint = build, hint
        self.cache: dict = {}

    def __getitem__(self, name: str) -> NetNS:
        found = self._built.get(name)
        if found is None:
            part = self._members.get(name)
            if part is None:
                raise KeyError(name)
            made = self._build(part)
            for member in made:
                self._built.setdefault(member, made[member])
            found = self._built[name]
        return found

    def namespace(self, name: str) -> NetNS:
        """The namespace of that name. ModelError when there is none."""
        try:
            return self[name]
        except KeyError:
            raise ModelError(f"no network namespace {name!r}") from None

    def plain_addresses(self, name: str, dev: str, version: int) -> Collection[IPAddress] | None:
        """Every address of that family for which the namespace behind ``dev`` answers; None if ``dev`` does more with a frame than take it
        (a bridge port).

        Answered from the hint for a namespace that is not built yet: asking is not to build it.
        """
        if name not in self._built and name in self._members and (hint := self._hint(name)) is not None:
            return [address for address in hint if address.version == version]
        namespace = self.namespace(name)
        interface = namespace.interfaces.get(dev)
        if interface is None or interface.master or not interface.up or namespace.proxied:
            return None
        if namespace.sysctl("net.ipv4.conf.all.proxy_arp") or namespace.sysctl(f"net.ipv4.conf.{dev}.proxy_arp"):
            return None
        return local_addresses(namespace, version)

    def has_rules(self, name: str, version: int) -> bool:
        """Whether the namespace, if it is built, has netfilter rules for that family."""
        return name in self._built and self._built[name].filters(version)

    def is_built(self, name: str) -> bool:
        """Whether the namespace is made already, and not only when it is asked for."""
        return name in self._built

    def with_(self, changed: Mapping[str, NetNS]) -> Network:
        """A network with these namespaces put in place of, or beside, the present ones."""
        return Network({**self._built, **changed}, self._members, self._build, self._hint)

    def __iter__(self) -> Iterator[str]:
        # in one order, whatever has been built by now; and from a list, for a look at one namespace builds others meanwhile
        return iter([*self._members, *(name for name in self._built if name not in self._members)])

    def __len__(self) -> int:
        return len(self._built) + sum(name not in self._built for name in self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._built or name in self._members

    def __repr__(self) -> str:
        return f"Network({', '.join(self)})"


def local_addresses(namespace: NetNS, version: int) -> Mapping[IPAddress, str]:
    """Address → interface, of every address of that family that this namespace calls its own (on any interface, up or not)."""
    found = namespace.cache.get(("local", version))
    if found is None:
        kind = IPv4Interface if version == 4 else IPv6Interface
        found = namespace.cache["local", version] = {
            address.ip: name for name, address in namespace.addresses() if address.__class__ is kind
        }
    return found


LINK_LOCAL = ip_network("fe80::/64")  # of fe80::/10, the part from which Linux takes its addresses


@lru_cache(maxsize=1 << 16)
def link_local(mac: str) -> IPv6Interface:
    """The fe80:: address that Linux forms from a MAC address (modified EUI-64, RFC 4291 appendix A)."""
    value = int(mac.replace(":", ""), 16) ^ 2 << 40
    host = (value >> 24) << 40 | 0xFFFE << 24 | value & 0xFFFFFF
    return within(LINK_LOCAL, 0xFE80 << 112 | host)


def as_network(given: object) -> Network:
    """The same network. ModelError for anything else, with what was perhaps meant (a cluster has a ``network``)."""
    if isinstance(given, Network):
        return given
    meant = ": its .network is one" if isinstance(getattr(given, "network", None), Network) else ""
    raise ModelError(f"this takes a Network, and a {type(given).__name__} is none{meant}")
