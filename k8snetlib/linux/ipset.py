"""ipset: named sets of addresses, ports and networks, and the ``set`` match of iptables that asks them.

Follows net/netfilter/ipset and xt_set.c. A set's type names its dimensions; a match says for each whether the packet's source or
destination is meant (``dst,dst,src``). Of the types, those that kube-proxy uses (``TYPES``), and hash:net.
"""

from __future__ import annotations

from dataclasses import field
from ipaddress import ip_address, ip_network
from typing import ClassVar

from ..errors import ModelError, UnsupportedError
from ..value import value
from .packet import Icmp, Sctp, Skb, Tcp, Udp
from .xtables import Option, Test, bang

MAXELEM = 65536  # the default, and what kube-proxy asks for
TYPES = {
    "hash:ip": ("ip",),
    "hash:net": ("net",),
    "hash:ip,port": ("ip", "port"),
    "hash:ip,port,ip": ("ip", "port", "ip"),
    "hash:ip,port,net": ("ip", "port", "net"),
    "bitmap:port": ("port",),
}


@value
class IpSet:
    """A set; ``entries`` are in ipset's own words, such as ``10.96.0.10,tcp:80``."""

    name: str
    type: str
    entries: tuple[str, ...] = ()
    version: int = 4
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise UnsupportedError(f"the set type {self.type!r} is not modelled (there are {', '.join(TYPES)})")
        if len(self.entries) > MAXELEM:
            raise ModelError(f"the set {self.name!r} is full: it holds {MAXELEM} elements")
        if len(self.name) > 31:
            raise ModelError(f"the set name {self.name!r} is longer than 31 characters")

    def __str__(self) -> str:
        """The set as ``ipset save`` prints it, but for what the kernel draws by lot (initval) or grows by itself (hashsize)."""
        family = "inet6" if self.version == 6 else "inet"
        how = "range 0-65535" if self.type == "bitmap:port" else f"family {family} hashsize 1024 maxelem {MAXELEM}"
        return "\n".join([f"create {self.name} {self.type} {how}", *(f"add {self.name} {entry}" for entry in self.entries)])

    def has(self, skb: Skb, sides: tuple[str, ...]) -> bool:
        """Whether the packet, seen from these sides, is in the set; a packet without ports is in no set of ports."""
        keys = []
        for kind, side in zip(TYPES[self.type], sides, strict=False):
            key = self._port(skb, side) if kind == "port" else getattr(skb.packet, side)
            if key is None:
                return False
            keys.append(key)
        exact, networks = self._index()
        if not networks:
            return tuple(map(str, keys)) in exact
        first = tuple(map(str, keys[:-1]))
        return any(keys[-1] in network for network in networks.get(first, ()))

    def _port(self, skb: Skb, side: str):
        payload = skb.packet.payload
        if type(payload) in (Tcp, Udp, Sctp):
            port = payload.sport if side == "src" else payload.dport
        elif type(payload) is Icmp and self.type != "bitmap:port":
            return f"{skb.packet.proto}:{payload.type}/{payload.code}"
        else:
            return None
        return port if self.type == "bitmap:port" else f"{skb.packet.proto}:{port}"

    def _index(self) -> tuple[frozenset, dict]:
        """The entries to look into: whole ones, or networks by what stands before them."""
        if "index" not in self.cache:
            parts = [tuple(entry.split(",")) for entry in self.entries]
            networks: dict[tuple, list] = {}
            if TYPES[self.type][-1] == "net":
                for part in parts:
                    networks.setdefault(part[:-1], []).append(ip_network(part[-1]))
            self.cache["index"] = frozenset(parts), networks
        return self.cache["index"]


def read_sets(text: str, old: dict[str, IpSet]) -> dict[str, IpSet]:
    """The sets after ``ipset restore -exist``: create, add, del, flush and destroy lines. ModelError names the line."""
    types: dict[str, tuple[str, int]] = {name: (each.type, each.version) for name, each in old.items()}
    entries: dict[str, dict[str, None]] = {name: dict.fromkeys(each.entries) for name, each in old.items()}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            verb, name = words[0].lstrip("-"), words[1]
            if verb in ("create", "N"):
                if types.setdefault(name, (words[2], 6 if "inet6" in words[3:] else 4))[0] != words[2]:
                    raise ModelError(f"a set {name!r} of another type exists")
                entries.setdefault(name, {})
            elif verb in ("add", "A"):
                entries[name][canonical(words[2], types[name][0])] = None
            elif verb in ("del", "D"):
                entries[name].pop(canonical(words[2], types[name][0]), None)
            elif verb in ("flush", "F"):
                entries[name].clear()
            elif verb in ("destroy", "X"):
                del entries[name], types[name]
            else:
                raise ModelError(f"unknown command {words[0]!r}")
        except (IndexError, KeyError, ValueError) as error:
            raise ModelError(f"ipset line {number}: cannot be read ({error}): {line}") from None
        except ModelError as error:
            raise ModelError(f"ipset line {number}: {error}: {line}") from None
    return {name: IpSet(name, types[name][0], tuple(entries[name]), types[name][1]) for name in types}


def canonical(entry: str, kind: str) -> str:
    """An entry as ipset prints it: addresses shortest, the protocol of a port in lower case, no /32."""
    found = []
    for part, dimension in zip(entry.split(","), TYPES[kind], strict=True):
        if dimension == "port":
            proto, _, port = part.lower().rpartition(":")
            found.append(str(int(port)) if kind == "bitmap:port" else f"{proto or 'tcp'}:{port}")
        elif dimension == "net":
            network = ip_network(part, strict=False)
            found.append(str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network))
        else:
            found.append(str(ip_address(part)))
    return ",".join(found)


@value
class SetMatch:
    """``-m set --match-set NAME src,dst``: the packet is in that set."""

    set: str
    sides: tuple[str, ...]
    negated: bool = False

    name: ClassVar = "set"
    options: ClassVar = {"--match-set": 2}

    @classmethod
    def read(cls, options: list[Option], version: int) -> SetMatch:
        _, negated, (name, sides) = options[0]
        parts = tuple(sides.split(","))
        if not set(parts) <= {"src", "dst"}:
            raise ModelError(f"a set is asked for src or dst, not {sides!r}")
        return cls(name, parts, negated)

    def words(self) -> str:
        return f"-m set {bang(self.negated)}--match-set {self.set} {','.join(self.sides)}"

    def compile(self) -> Test | None:
        def test(skb: Skb, env) -> bool:
            found = env.ipset(self.set)
            if found is None:
                raise UnsupportedError(f"there is no set {self.set!r} here: give it with an IpsetRestore first")
            return found.has(skb, self.sides) is not self.negated

        return test
