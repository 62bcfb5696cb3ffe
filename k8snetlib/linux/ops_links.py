"""Ops on namespaces, devices and addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface
from types import MappingProxyType

from ..errors import ModelError
from ..value import replace, value
from .addresses import ip_interface
from .draft import Draft, NsDraft
from .ops_fields import wrong_kind
from .state import Interface, IPInterface, IpipConfig, NetNS, VxlanConfig

KINDS = ("loopback", "veth", "bridge", "vxlan", "ipip", "dummy")
TUNL0 = "tunl0"  # comes with the module ipip, in every namespace (ip_tunnel_init_net)
ANY4 = "0.0.0.0"
LOOPBACK = Interface("lo", "loopback", mtu=65536, up=True, addresses=(ip_interface("127.0.0.1/8"), ip_interface("::1/128")), index=1)
FRESH = NetNS("", MappingProxyType({"lo": LOOPBACK}))
"""What every new namespace has; its name is another."""
MAX_NAME = 15  # IFNAMSIZ, less the closing zero
_SHA256 = hashlib.sha256()  # to be copied: for the first one, OpenSSL looks for the algorithm, which takes as long as forty digests


@lru_cache(maxsize=1 << 16)
def stable_mac(*parts: str) -> str:
    """A locally administered unicast MAC address that depends on the parts alone, so that every run shows the same."""
    digest = _SHA256.copy()
    digest.update("/".join(parts).encode())
    return f"0a:58:{digest.digest()[:4].hex(':')}"


@value
class NetnsAdd:
    """Create a network namespace; its loopback device is up with 127.0.0.1/8 and ::1/128."""

    netns: str

    def __post_init__(self) -> None:
        if not isinstance(self.netns, str):
            raise wrong_kind("NetnsAdd", self.netns, "the name of a namespace", 'NetnsAdd("node-a"), say')

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        if draft.has(self.netns):
            raise ModelError("the namespace exists already")
        if not self.netns or " " in self.netns:
            raise ModelError(f"{self.netns!r} is no name of a namespace: at least one character, and no space")
        draft.drafts[self.netns] = NsDraft(FRESH, self.netns)

    def command(self) -> str:
        return f"ip netns add {self.netns} && ip -n {self.netns} link set dev lo up"


@value
class LinkAdd:
    """Create a device: a veth pair (``peer`` = (namespace, name) of its far end), a bridge, a VXLAN or IPIP tunnel end or a dummy.

    ``mac`` and ``peer_mac`` default to addresses derived from the names, so that model and kernel agree.
    """

    netns: str
    name: str
    kind: str
    mac: str | None = None
    mtu: int | None = None
    peer: tuple[str, str] | None = None
    peer_mac: str | None = None
    vxlan: VxlanConfig | None = None
    ipip: IpipConfig | None = None

    def __post_init__(self) -> None:
        if self.peer is not None and (isinstance(self.peer, str) or len(self.peer) != 2):
            raise wrong_kind("LinkAdd", self.peer, "as peer a namespace and a name", 'peer=("node-a", "veth-web"), say')

    @property
    def address(self) -> str:
        """Its hardware address: a MAC address, for an IPIP device the tunnel's local end."""
        if self.ipip is not None:
            return str(self.ipip.local or ANY4)
        return self.mac or stable_mac(self.netns, self.name)

    @property
    def peer_address(self) -> str:
        return self.peer_mac or stable_mac(*(self.peer or ()))

    def apply(self, draft: Draft) -> None:
        if self.mtu is not None and not isinstance(self.mtu, int):
            raise ModelError(f"an MTU is a number of bytes, not {self.mtu!r}")
        given = self.peer is not None, self.vxlan is not None, self.ipip is not None
        if self.kind not in KINDS or given != (self.kind == "veth", self.kind == "vxlan", self.kind == "ipip"):
            raise ModelError(f"a {self.kind} device cannot be made from these settings")
        mtu = self.mtu or self._default_mtu(draft)
        ends = [] if draft.outside(self.netns) else [(self.netns, self.name, self.address, self.peer)]
        if self.peer and not draft.outside(self.peer[0]):
            ends.append((*self.peer, self.peer_address, (self.netns, self.name)))
        for netns, name, mac, peer in ends:
            ns = draft.ns(netns)
            if name in ns.interfaces:
                raise ModelError(f"{netns} already has an interface {name!r}")
            if not name or len(name) > MAX_NAME or "/" in name or " " in name:
                raise ModelError(f"{name!r} is no interface name: 1 to {MAX_NAME} characters without '/' or space")
            ns.add_interface(Interface(name, self.kind, mac, mtu, peer=peer, vxlan=self.vxlan, ipip=self.ipip, index=ns.next_index))

    def _default_mtu(self, draft: Draft) -> int:
        """1500; a tunnel's is what its headers leave of the device below: 50 bytes less, 70 over IPv6 (vxlan_config_apply); IPIP takes 20."""
        if self.kind == "ipip":
            return 1480
        if not self.vxlan or draft.outside(self.netns):
            return 1500
        return draft.ns(self.netns).interface(self.vxlan.dev).mtu - (50 if self.vxlan.local.version == 4 else 70)

    def command(self) -> str:
        if self.ipip is not None:
            return self._ipip_command()
        words = [f"ip -n {self.netns} link add name {self.name} address {self.address}"]  # "name", as ip takes "d" alone for "dynamic"
        words += [f"mtu {self.mtu}"] if self.mtu else []
        words.append(f"type {self.kind}")
        if self.peer:
            words.append(
                f"peer name {self.peer[1]} netns {self.peer[0]} address {self.peer_address}" + (f" mtu {self.mtu}" if self.mtu else "")
            )
        if self.vxlan:
            v = self.vxlan
            words.append(f"id {v.vni} local {v.local} dev {v.dev} dstport {v.port} {'learning' if v.learning else 'nolearning'}")
        return " ".join(words)

    def _ipip_command(self) -> str:
        """``nopmtudisc``: "don't fragment" is the inner packet's, as with the tunl0 that comes with the module, and so may be there already."""
        ends = " ".join(f"{key} {end}" for key, end in (("local", self.ipip.local), ("remote", self.ipip.remote)) if end)
        mtu = f" mtu {self.mtu}" if self.mtu else ""
        add = f"ip -n {self.netns} link add name {self.name}{mtu} type ipip {ends} nopmtudisc".replace("  ", " ")
        if self.name != TUNL0:
            return add
        return f"{{ ip -n {self.netns} link show {TUNL0} 2>/dev/null || {add}; }}" + (
            f" && ip -n {self.netns} link set dev {TUNL0}{mtu}" if mtu else ""
        )


_PORT_FLAGS, _AS_THEY_ARE = ("hairpin", "learning", "isolated", "proxy_arp"), (None,) * 4


@value
class LinkSet:
    """Change a device: up or down, MTU, master (a bridge, or "" for none), and a bridge port's hairpin, learning, isolated and
    proxy_arp flags. The last makes the bridge answer the ARP questions of that port out of its own neighbour table, and flood nothing to it."""

    netns: str
    name: str
    up: bool | None = None
    mtu: int | None = None
    master: str | None = None
    hairpin: bool | None = None
    learning: bool | None = None
    isolated: bool | None = None
    proxy_arp: bool | None = None

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        old = ns.interface(self.name)
        if self.master and ns.interface(self.master).kind != "bridge":
            raise ModelError(f"{self.master} is no bridge")
        if (self.hairpin or self.isolated or self.proxy_arp or self.learning is not None) and not (self.master or old.master):
            raise ModelError(f"{self.name} is no bridge port")
        was_up, bridge = old.up, old.master  # the device may be changed in place
        if self.master is not None and bridge and self.master != bridge:
            ns.left_bridge(self.name)
        new = ns.change(self.name, **self._changes(old.kind))
        if self.master is not None or (self.mtu is not None and new.master):
            _follow_ports(ns, {bridge, new.master} - {None}, joined=new if bridge is None else None)
        if new.up and not was_up:
            for address in new.addresses:
                ns.add_connected(new, address)
        elif was_up and not new.up:
            ns.went_down(self.name)
        draft.link_changed(ns, ns.interfaces[self.name])

    def _changes(self, kind: str) -> dict[str, object]:
        """The fields of the device that become others."""
        changes: dict[str, object] = {}
        if self.up is not None:
            changes["up"] = self.up
        if self.mtu is not None:
            if not isinstance(self.mtu, int):
                raise ModelError(f"an MTU is a number of bytes, not {self.mtu!r}")
            changes["mtu"] = self.mtu
            if kind == "bridge":
                changes["fixed_mtu"] = True
        if self.master:
            changes["master"] = self.master
        flags = self.hairpin, self.learning, self.isolated, self.proxy_arp
        if flags != _AS_THEY_ARE:
            changes |= {name: flag for name, flag in zip(_PORT_FLAGS, flags, strict=True) if flag is not None}
        return changes

    def command(self) -> str:
        words = []
        link = [f"mtu {self.mtu}"] if self.mtu is not None else []
        if self.master is not None:
            link.append(f"master {self.master}" if self.master else "nomaster")
        if self.up is not None:
            link.append("up" if self.up else "down")
        if link:
            words.append(f"ip -n {self.netns} link set dev {self.name} {' '.join(link)}")
        flags = [
            f"{flag} {'on' if value else 'off'}"
            for flag in ("hairpin", "learning", "isolated")
            if (value := getattr(self, flag)) is not None
        ]
        if flags:
            words.append(f"bridge -n {self.netns} link set dev {self.name} {' '.join(flags)}")
        if self.proxy_arp is not None:  # bridge(8) does not know it
            words.append(f"ip -n {self.netns} link set dev {self.name} type bridge_slave proxy_arp {'on' if self.proxy_arp else 'off'}")
        return " && ".join(words)


def _follow_ports(ns: NsDraft, bridges: Iterable[str], joined: Interface | None = None) -> None:
    """A bridge has the smallest MTU of its ports, whatever it was made with, until it is set by hand (br_mtu_auto_adjust).

    A port that only ``joined`` is compared with the bridge, not with every other port: a switch of a thousand ports is not slow to build.
    """
    for name in bridges:
        bridge = ns.interfaces[name]
        if bridge.fixed_mtu:
            continue
        ports = (i for i in ns.interfaces.values() if i.master == name and i is not joined)
        if joined is not None:
            mtu = min(joined.mtu, bridge.mtu) if any(ports) else joined.mtu
        else:
            mtu = min((port.mtu for port in ports), default=1500)
        if mtu != bridge.mtu:
            ns.change(name, mtu=mtu)


@value
class LinkDel:
    """Remove a device; a veth takes its far end along, tunnels that run over it go too, and routes, neighbours and FDB entries."""

    netns: str
    name: str

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        interface = draft.ns(self.netns).interface(self.name)
        tunnels = [i.name for i in draft.ns(self.netns).interfaces.values() if i.vxlan and i.vxlan.dev == self.name]
        for netns, name in filter(None, (*((self.netns, tunnel) for tunnel in tunnels), (self.netns, self.name), interface.peer)):
            if draft.outside(netns):
                continue
            ns = draft.ns(netns)
            ns.went_down(name)
            master = ns.interfaces.pop(name).master
            ns.fdb = {key: entry for key, entry in ns.fdb.items() if name not in (key[0], entry.dev)}
            for port in [i.name for i in ns.interfaces.values() if i.master == name]:
                ns.left_bridge(port)
            _follow_ports(ns, {master} - {None})

    def command(self) -> str:
        return f"ip -n {self.netns} link del dev {self.name}"


@value
class AddrAdd:
    """Give a device an address with its prefix; if the device is up, the kernel adds the connected route."""

    netns: str
    dev: str
    address: IPInterface

    def __post_init__(self) -> None:
        if not isinstance(self.address, (IPv4Interface, IPv6Interface)):
            raise wrong_kind(
                "AddrAdd", self.address, "an IPv4Interface or IPv6Interface", "ops.address(netns, dev, text) makes the op from text"
            )

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        interface = ns.interface(self.dev)
        carried = ns.carried(interface)
        if self.address in carried:
            raise ModelError("the address is there already")
        if self.address.version == 6 and not ns.ipv6():
            raise ModelError(f"IPv6 is disabled in {self.netns}")
        interface = ns.change(self.dev, addresses=(*interface.addresses, self.address))
        carried.add(self.address)
        ns.carrying[self.dev] = interface.addresses, carried
        if interface.up:
            ns.add_connected(interface, self.address)

    def command(self) -> str:
        nodad = " nodad" if self.address.version == 6 else ""
        return f"ip -n {self.netns} addr add {self.address} dev {self.dev}{nodad}"


@value
class AddrDel:
    """Take an address away, and with it the routes that the kernel made for it.

    In IPv4 (inet_del_ifa, fib_del_ifaddr) later addresses of the same network are secondary and go with the first one, unless
    ``promote_secondaries`` is set; with a device's last address go all its routes and neighbours.
    """

    netns: str
    dev: str
    address: IPInterface

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        interface = ns.interface(self.dev)
        if self.address not in interface.addresses:
            raise ModelError(f"{self.dev} has no address {self.address}")
        gone = {self.address} | (self._secondaries(ns, interface) if self.address.version == 4 else set())
        rest = tuple(a for a in interface.addresses if a not in gone)
        new = ns.change(self.dev, addresses=rest)
        network, sources = self.address.network, {a.ip for a in gone}
        shared = [a for a in rest if a.network == network]
        ns.drop_routes(lambda r: r.proto == "kernel" and r.dev == self.dev and r.dst == network and not shared)
        if self.address.version == 4:  # fib_sync_down_addr
            ns.drop_routes(lambda r: r.src in sources)
        else:  # fib6_remove_prefsrc: the route stays
            ns.set_routes(replace(r, src=None) if r.src in sources else r for r in ns.routes)
        if shared and interface.up:
            ns.add_connected(new, shared[0])
        if self.address.version == 4 and not any(a.version == 4 for a in rest):
            ns.drop_routes(lambda r: r.dev == self.dev and r.dst.version == 4)
            ns.neighbors = {key: entry for key, entry in ns.neighbors.items() if key[0] != self.dev or key[1].version == 6}

    def _secondaries(self, ns: NsDraft, interface: Interface) -> set[IPInterface]:
        same = [a for a in interface.addresses if a.version == 4 and a.network == self.address.network]
        keys = (f"net.ipv4.conf.{name}.promote_secondaries" for name in ("all", self.dev))
        return set() if same[0] != self.address or any(ns.sysctls.get(key) for key in keys) else set(same)

    def command(self) -> str:
        return f"ip -n {self.netns} addr del {self.address} dev {self.dev}"
