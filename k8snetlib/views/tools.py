"""The state of a namespace as the real tools print it: ``ip``, ``bridge``, ``ss``, ``conntrack``, ``iptables-save``, ``nft``.

Each function takes a network and the name of a namespace and returns ``Text``: a string that a notebook shows as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import ModelError, UnsupportedError
from ..linux.fib import DEFAULT_TABLES
from ..linux.state import SYSCTL_DEFAULTS, Interface, Network, Route, as_network
from ..value import replace

# A key for each interface, off unless written (Linux, ip-sysctl.rst). Others, such as send_redirects, are on or depend on the kernel.
_OF_DEVICES = re.compile(
    r"net\.ipv[46]\.conf\.[^.]+\.(accept_local|arp_announce|arp_ignore|forwarding|proxy_arp|proxy_ndp|route_localnet|rp_filter)"
)


class Text(str):
    """A text with line breaks whose ``repr`` is the text itself, so that a notebook's cell shows what a terminal would."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _text(lines: Iterable[object]) -> Text:
    return Text("\n".join(str(line) for line in lines))


def ip_link(network: Network, netns: str) -> Text:
    """``ip -n NETNS link``."""
    return _text("\n".join(str(i).splitlines()[:2]) for i in as_network(network).namespace(netns).interfaces.values())


def ip_addr(network: Network, netns: str) -> Text:
    """``ip -n NETNS addr``."""
    return _text(as_network(network).namespace(netns).interfaces.values())


def ip_route(network: Network, netns: str, version: int = 4, table: str = "main") -> Text:
    """``ip -n NETNS route``, as ``ip_route(cluster.network, "node-a")``: the routes of one table, which is not named in each line, just as ``ip`` does not.

    In the kernel's order. IPv4's trie goes by the first address, and of prefixes that begin alike the longest comes first (fib_trie.c: the
    default route is at the top). IPv6's tree gives what lies within a prefix before the prefix (ip6_fib.c, fib6_walk: it is at the bottom).
    """
    if version not in (4, 6):
        raise ModelError(f"IP has the versions 4 and 6, not {version!r}")
    known = as_network(network).namespace(netns).routes
    if table not in ("main", "local", "default") and not str(table).isdigit() and all(r.table != table for r in known):
        raise ModelError(f"{netns} has no routing table {table!r}: main, local, default and numbers are tables")
    routes = [replace(r, table="main") for r in known if r.dst.version == version and r.table == table]
    place = 0 if version == 4 else -1
    ordered = sorted(routes, key=lambda r: (int(r.dst[place]), -r.dst.prefixlen))
    return _text(ordered if version == 4 else map(_route6, ordered))


def _route6(route: Route) -> str:
    """What ``ip -6 route`` prints besides: the metric, also the usual one, and the preference of routers (RFC 4191)."""
    metric = " metric 1024" if route.metric in (0, 1024) else ""
    onlink, mtu = " onlink" if route.onlink else "", f" mtu {route.mtu}" if route.mtu else ""
    return f"{replace(route, onlink=False, mtu=None)}{metric}{mtu}{onlink} pref medium"


def ip_rule(network: Network, netns: str, version: int = 4) -> Text:
    """``ip -n NETNS rule``: which table is asked when; the three at the ends are always there."""
    rules = [(p, f"{p}:\tfrom all lookup {t}") for p, t in DEFAULT_TABLES if not (version == 6 and t == "default")]
    rules += [(r.priority, str(r)) for r in as_network(network).namespace(netns).rules if r.version == version]
    return _text(line for _, line in sorted(rules, key=lambda pair: pair[0]))


def ip_neigh(network: Network, netns: str) -> Text:
    """``ip -n NETNS neigh``."""
    return _text(as_network(network).namespace(netns).neighbors.values())


def bridge_fdb(network: Network, netns: str, dev: str = "") -> Text:
    """``bridge -n NETNS fdb``: entries put there or learned, and the bridge's own addresses (``permanent``). With ``dev`` those of a bridge
    (``show br``) or of another device (``show dev``, which does not name it in each line)."""
    namespace = as_network(network).namespace(netns)
    own = [
        f"{i.mac} dev {i.name} master {i.master or i.name} permanent"
        for i in namespace.interfaces.values()
        if i.master or i.kind == "bridge"
    ]
    learned = [str(entry) for entry in namespace.fdb.values()]
    if not dev:
        return _text([*learned, *own])
    name = "master" if namespace.interface(dev).kind == "bridge" else "dev"
    chosen = (f"{line} " for line in (*learned, *own) if f"{name} {dev} " in line + " ")
    return _text((line if name == "master" else line.replace(f"dev {dev} ", "")).rstrip() for line in chosen)


def bridge_link(network: Network, netns: str) -> Text:
    """``bridge -n NETNS -d link``: the ports of bridges with the flags that matter here."""
    ports: list[Interface] = [i for i in as_network(network).namespace(netns).interfaces.values() if i.master]
    flag = {True: "on", False: "off"}
    return _text(
        f"{p.index}: {p.name} master {p.master} hairpin {flag[p.hairpin]} learning {flag[p.learning]} isolated {flag[p.isolated]}"
        for p in ports
    )


def iptables_save(network: Network, netns: str, version: int = 4) -> Text:
    """``iptables-save`` in the namespace; empty where no rule was ever loaded."""
    ruleset = as_network(network).namespace(netns).rulesets.get(version)
    return Text("" if ruleset is None else str(ruleset))


def nft_list(network: Network, netns: str, table: str = "", chain: str = "", *, now: float = 0.0) -> Text:
    """``nft list ruleset`` in the namespace; with ``table`` ("ip kube-proxy") that table alone, with ``chain`` too that chain alone.

    ``now`` is the time in seconds for which elements that expire are shown. ModelError where there is no such table or chain.
    """
    ruleset = as_network(network).namespace(netns).nftables
    if ruleset is None and not table:
        return Text("")
    if not table:
        return Text(ruleset.listing(now))
    family, _, name = table.rpartition(" ")
    found = ruleset and ruleset.tables.get((family or "ip", name))
    if found is None or (chain and chain not in found.chains):
        raise ModelError(f"{netns} has no {f'chain {chain!r} in ' if found else ''}nftables table {family or 'ip'} {name}")
    return Text(f"table {found.title} {{\n{found.chains[chain].text()}\n}}" if chain else ruleset.table_listing(found, now))


def ss(network: Network, netns: str) -> Text:
    """``ss -ltunp``: the sockets that listen."""
    head = f"{'Netid':<6}{'State':<8}{'Local Address:Port':<26}Process"
    rows = []
    for s in as_network(network).namespace(netns).sockets:
        where = f"{'*' if s.address is None else f'[{s.address}]' if s.address.version == 6 else s.address}:{s.port}"
        rows.append(f"{s.proto:<6}{'LISTEN' if s.proto == 'tcp' else 'UNCONN':<8}{where:<26}{s.process}".rstrip())
    return _text([head, *rows])


def conntrack(network: Network, netns: str) -> Text:
    """``conntrack -L``: the connections that the namespace tracks."""
    return _text(as_network(network).namespace(netns).conntrack)


def sysctl(network: Network, netns: str, *keys: str) -> Text:
    """``sysctl KEY…``: the value in force of each key. UnsupportedError for a key of which the model knows nothing."""
    namespace = as_network(network).namespace(netns)
    for key in keys:
        if key not in SYSCTL_DEFAULTS and key not in namespace.sysctls and not _OF_DEVICES.fullmatch(key):
            raise UnsupportedError(f"sysctl {key}: not in this model")
    return _text(f"{key} = {namespace.sysctl(key)}" for key in keys)
