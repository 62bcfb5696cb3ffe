"""Routing: policy rules choose a table, the longest prefix in it chooses the route; and which source address Linux picks.

The local table is derived from the addresses, as the kernel derives it. Follows net/ipv4/fib_rules.c, fib_trie.c and
net/ipv6/ip6_fib.c; where several routes tie, the lower metric wins, then (IPv6) the earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from .addresses import ip_network
from .packet import IPAddress, is_link_local, is_loopback, is_multicast
from .state import IPInterface, IPNetwork, NetNS, Route, local_addresses

LOOPBACK4, LOOPBACK6 = ip_network("127.0.0.0/8"), ip_network("::1/128")
LINK_LOCAL = 0xFE80 >> 6  # the first ten bits of fe80::/10
HERE = ("local", "broadcast", "anycast")  # types of routes to this host, though perhaps not to it alone
DEFAULT_TABLES = ((0, "local"), (32766, "main"), (32767, "default"))
_USUAL_TABLES = tuple(name for _, name in DEFAULT_TABLES)

Entry = tuple[IPInterface, str, str]  # what an entry of the local table comes from: address, device, type of route
Slots = dict[int, list[Route]] | dict[int, list[Route | Entry]]  # by network address
Prefixes = list[tuple[int, Slots]]  # (mask, what it leads to), longest prefix first
ALL = {4: 2**32 - 1, 6: 2**128 - 1}  # masks of a single address


def tables(namespace: NetNS, version: int) -> dict[str, Prefixes]:
    """The routing tables that have any routes, indexed by prefix; made once per namespace."""
    found = namespace.cache.get(("fib", version))
    if found is None:
        by_table: dict[str, dict[int, dict[int, list[Route]]]] = {}
        kind = IPv4Network if version == 4 else IPv6Network
        for route in namespace.routes:
            dst = route.dst
            if dst.__class__ is kind and route.table != "local" and (route.dev is None or route.dev in namespace.interfaces):
                by_length = by_table.setdefault(route.table, {})
                by_length.setdefault(int(dst.netmask), {}).setdefault(int(dst.network_address), []).append(route)
        for by_length in by_table.values():
            for slots in by_length.values():
                for slot in slots.values():
                    if len(slot) > 1:
                        slot.sort(key=lambda route: route.metric)
        found = {name: sorted(by_length.items(), reverse=True) for name, by_length in by_table.items()}
        if local := _local_entries(namespace, version):
            found["local"] = sorted(local.items(), reverse=True)
        namespace.cache["fib", version] = found
    return found


def _local_entries(namespace: NetNS, version: int) -> dict[int, dict[int, list[Entry]]]:
    """What the kernel puts into table local for each address: the address itself, IPv4's broadcast addresses, and the address that a
    router of IPv6 shares with the other routers of the link (RFC 4291 section 2.6.1; addrconf_join_anycast).

    Of two entries for one address the first counts. They are in the order of the devices, as if forwarding had been on before there were
    addresses. A node has one for each address of each device, and few packets meet more than three: the routes are made when met.
    """
    every = ALL[version]
    found: dict[int, dict[int, list[Entry]]] = {every: {}}
    single = found[every]
    kind = IPv4Interface if version == 4 else IPv6Interface
    for dev, address in namespace.addresses():
        if address.__class__ is not kind:
            continue
        network, value = address.network, int(address)
        first, mask = int(network.network_address), int(network.netmask)
        if version == 4 and dev == "lo" and is_loopback(address):
            found.setdefault(mask, {}).setdefault(first, []).append((address, dev, "local"))
            continue
        single.setdefault(value, []).append((address, dev, "local"))
        if version == 4 and dev != "lo" and mask < every - 1:  # a network of two addresses has none to spare (RFC 3021)
            single.setdefault(first | mask ^ every, []).append((address, dev, "broadcast"))
        if version == 6 and first != value and anycasts(namespace, dev, [address]):
            single.setdefault(first, []).append((address, dev, "anycast"))
    return {mask: slots for mask, slots in found.items() if slots}


def _local_route(address: IPInterface, dev: str, kind: str) -> Route:
    """An entry of the local table as ``ip route show table local`` prints it."""
    network, ip = address.network, address.ip
    if kind == "local":
        dst = network if dev == "lo" and address.version == 4 and is_loopback(ip) else type(network)(int(ip))
        src, scope = (ip, "host") if address.version == 4 else (None, "global")
    else:
        dst = type(network)(int(network.broadcast_address if kind == "broadcast" else network.network_address))
        src, scope = (ip, "link") if kind == "broadcast" else (None, "global")
    return Route(dst, dev, src=src, scope=scope, proto="kernel", type=kind, table="local")


def _routes(slots: Slots, key: int) -> list[Route]:
    """The routes of a slot, best first."""
    found = slots.get(key, ())
    if found and found[0].__class__ is tuple:
        found = slots[key] = [_local_route(*entry) for entry in found]
    return found


def anycasts(namespace: NetNS, dev: str, addresses: Iterable[IPInterface] = ()) -> list[IPAddress]:
    """The first address of each IPv6 network that a router has on a device (or of ``addresses``)."""
    if not namespace.sysctl("net.ipv6.conf.all.forwarding"):
        return []
    own = addresses or namespace.interfaces[dev].addresses
    return [a.network.network_address for a in own if a.version == 6 and a.network.prefixlen < 127]


def lookup(
    namespace: NetNS, dst: IPAddress, src: IPAddress | None = None, iif: str = "", mark: int = 0, dev: str = ""
) -> tuple[Route | None, tuple[Route, ...]]:
    """The route to ``dst`` and the ones that matched less well; (None, ()) when there is none.

    ``iif`` is "" for a packet made here; ``dev`` restricts the answer to one output device. A route of type throw ends its table.
    In IPv6, of routes that tie, the one by the device that the packet came in by is first (rt6_score_route); to a link-local address no
    other will do (rt6_need_strict).
    """
    version, value = dst.version, int(dst)
    nearest = version == 6 and iif != ""
    scoped = nearest and value >> 118 == LINK_LOCAL
    by_name = tables(namespace, version)
    for name in _tables(namespace, version, dst, src, iif, mark):
        matching: list[Route] = []
        for mask, slots in by_name.get(name, ()):
            found = _routes(slots, value & mask)
            if nearest and len(found) > 1:
                found = sorted(found, key=lambda route: (route.metric, route.dev != iif))
            for route in found:
                if (not dev or route.dev == dev or route.type != "unicast") and (not scoped or route.dev == iif):
                    matching.append(route)
        if matching and matching[0].type != "throw":
            return matching[0], tuple(matching[1:])
    return None, ()


def _tables(namespace: NetNS, version: int, dst: IPAddress, src: IPAddress | None, iif: str, mark: int):
    custom = [rule for rule in namespace.rules if rule.version == version] if namespace.rules else ()
    if not custom:
        return _USUAL_TABLES
    chosen = []
    for rule in custom:
        if (rule.src is not None and (src is None or src not in rule.src)) or (rule.dst is not None and dst not in rule.dst):
            continue
        if (rule.fwmark is not None and mark & rule.fwmask != rule.fwmark) or (rule.iif is not None and rule.iif != (iif or "lo")):
            continue
        chosen.append((rule.priority, rule.table))
    return tuple(name for _, name in sorted([*DEFAULT_TABLES, *chosen], key=lambda pair: pair[0]))


def is_local(namespace: NetNS, address: IPAddress) -> bool:
    """Whether a packet to the address is for this namespace."""
    route, _ = lookup_local(namespace, address)
    return route is not None and route.type == "local"


def lookup_local(namespace: NetNS, address: IPAddress) -> tuple[Route | None, None]:
    """The local table's entry for the address alone."""
    value = int(address)
    for mask, slots in tables(namespace, address.version).get("local", ()):
        found = _routes(slots, value & mask)
        if found:
            return found[0], None
    return None, None


def address_type(namespace: NetNS, address: IPAddress, dev: str = "") -> str:
    """What ``-m addrtype`` and ``fib daddr type`` call the address (inet_addr_type, nft_fib_ipv6.c).

    With ``dev``, what the local table says of it counts only where it says so of that device (inet_dev_addr_type); IPv4 alone.
    """
    if address.version == 6:
        return _address_type6(namespace, address)
    route, _ = lookup_local(namespace, address)
    if route is not None:
        return route.type.upper() if not dev or route.dev == dev else "UNICAST"
    if is_multicast(address):
        return "MULTICAST"
    return "BROADCAST" if int(address) in (0, 0xFFFFFFFF) else "UNICAST"


def _address_type6(namespace: NetNS, address: IPAddress) -> str:
    """As the whole of routing has it. The first address of a network on a link is anybody's who routes there, whether we do or not
    (ipv6_anycast_destination)."""
    if is_multicast(address):
        return "MULTICAST"
    route, _ = lookup(namespace, address)
    if route is None:
        return "UNREACHABLE"
    if route.type == "unicast":
        first = route.via is None and route.dst.prefixlen < 127 and route.dst.network_address == address
        return "ANYCAST" if first else "UNICAST"
    return route.type.upper()


def is_anycast(namespace: NetNS, dst: IPAddress, src: IPAddress, iif: str) -> bool:
    """Whether an arrived packet is for this host as for any router of a link (RTF_ANYCAST): no answer but an error comes from there."""
    return dst.version == 6 and (route := lookup(namespace, dst, src, iif)[0]) is not None and route.type == "anycast"


def address_on(namespace: NetNS, dev: str, towards: IPAddress, link_local_first: bool = False) -> IPAddress | None:
    """The device's own address for talking to ``towards``: one on the same subnet, else its first; None if it has none.

    As ``inet_select_addr`` (IPv4) and ``ipv6_dev_get_saddr`` (IPv6, RFC 6724: same scope first, then the nearest).
    """
    own = [a for a in namespace.interfaces[dev].addresses if a.version == towards.version] if dev in namespace.interfaces else []
    if not own:
        return None
    if towards.version == 6:
        wanted = link_local_first or is_link_local(towards)
        return _nearest([a for a in reversed(own) if is_link_local(a.ip) == wanted] or own[::-1], towards)
    return next((a.ip for a in own if towards in a.network), own[0].ip)


def masquerade_address(namespace: NetNS, dev: str, towards: IPAddress) -> IPAddress | None:
    """The source that MASQUERADE gives a packet leaving by ``dev``: an address of that device, but never one that is valid on this host
    alone (127.0.0.1, ::1), so that on the loopback device it is another device's (inet_select_addr, ipv6_dev_get_saddr). In IPv6 a
    link-local address does for link-local destinations alone. ``towards`` is the next hop in IPv4, the destination in IPv6."""
    if towards.version == 6 and towards in local_addresses(namespace, 6):
        return towards
    found = address_on(namespace, dev, towards)
    too_near = found is not None and found.version == 6 and is_link_local(found) and not is_link_local(towards)
    if found is not None and not is_loopback(found) and not too_near:
        return found
    return _of_any_device(namespace, towards) or found


def _of_any_device(namespace: NetNS, towards: IPAddress) -> IPAddress | None:
    """An address by which other hosts know this one, whichever device carries it: in IPv4 the first, in IPv6 the nearest."""
    own = [a for each in namespace.interfaces.values() for a in each.addresses[:: -1 if towards.version == 6 else 1]]
    far = [a for a in own if a.version == towards.version and not is_loopback(a.ip) and not is_link_local(a.ip)]
    if not far:
        return None
    return _nearest(far, towards) if towards.version == 6 else far[0].ip


def _nearest(addresses: Iterable[IPInterface], towards: IPAddress) -> IPAddress:
    """Of IPv6 addresses, as the kernel lists them (a device's latest first), the one that has the most leading bits in common with the
    destination, of which those beyond its prefix length do not count (IPV6_SADDR_RULE_PREFIX)."""
    return max(addresses, key=lambda a: min(128 - (int(a.ip) ^ int(towards)).bit_length(), a.network.prefixlen)).ip


def source_for(namespace: NetNS, dst: IPAddress, route: Route | None = None) -> IPAddress | None:
    """The source address that Linux gives a packet to ``dst`` whose sender chose none; None when there is no route.

    The route's own ``src``, else an address of its output device, else any address of global scope.
    """
    if route is None:
        route, _ = lookup(namespace, dst)
    if route is None or route.type not in ("unicast", *HERE):
        return None
    if route.type == "local":
        # net/ipv6/route.c picks the address itself; IPv4 uses the local route's preferred source, which for 127/8 is 127.0.0.1.
        return dst if dst in local_addresses(namespace, dst.version) else route.src
    if route.src is not None:
        return route.src
    found = address_on(namespace, route.dev, route.via or dst) if dst.version == 4 else address_on(namespace, route.dev, dst)
    if found is not None and not (found.version == 6 and is_link_local(found) and not is_link_local(dst)):
        return found
    return _of_any_device(namespace, dst) or found


def reverse_path(namespace: NetNS, src: IPAddress, dst: IPAddress, iif: str, mark: int) -> str:
    """Source validation of an arriving IPv4 packet (fib_validate_source): "" if it passes, else the drop reason."""
    strict = max(namespace.sysctl("net.ipv4.conf.all.rp_filter"), namespace.sysctl(f"net.ipv4.conf.{iif}.rp_filter"))
    if not strict:
        return "IP_LOCAL_SOURCE" if src in local_addresses(namespace, 4) and not _accepts_local(namespace, iif) else ""
    back, _ = lookup(namespace, src, dst, iif, mark)
    if back is None:
        return "IP_RPFILTER"
    if back.type == "local" and not _accepts_local(namespace, iif):
        return "IP_LOCAL_SOURCE"
    if back.type not in ("unicast", "local"):
        return "IP_INVALID_SOURCE"
    return "IP_RPFILTER" if strict == 1 and back.dev != iif and back.type == "unicast" else ""


def _accepts_local(namespace: NetNS, iif: str) -> bool:
    """Whether packets may come in that claim to be from an address of this host."""
    return bool(namespace.sysctl(f"net.ipv4.conf.{iif}.accept_local") or namespace.sysctl("net.ipv4.conf.all.accept_local"))


def networks_of(namespace: NetNS, version: int) -> list[IPNetwork]:
    """The networks that are directly on a link of the namespace."""
    return [route.dst for route in namespace.routes if route.dst.version == version and route.via is None and route.type == "unicast"]
