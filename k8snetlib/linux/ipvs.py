"""IPVS: virtual servers, their real servers, and the schedulers that pick one for each new connection.

Follows net/netfilter/ipvs of Linux 6.18: ip_vs_ctl.c, and ip_vs_rr.c, _wrr.c, _lc.c, _wlc.c, _sh.c, _dh.c, _sed.c, _nq.c. Held
against Linux 6.1 as User-Mode Linux: few kernels have IPVS, and 6.1 lets root alone set it up.

A scheduler is ``pick(server, mark, load, packet) -> (real server or None, new mark)``: ``mark`` is its place in the round, and
``load(real)`` gives (active, inactive) connections. State changes through ops alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from math import gcd
from types import MappingProxyType
from typing import NamedTuple

from ..errors import ModelError, UnsupportedError
from ..value import value
from .addresses import endpoint
from .packet import IPAddress, Packet

GOLDEN_RATIO_32 = 0x61C88647
TABLE_BITS = 8  # IP_VS_SH_TAB_BITS, IP_VS_DH_TAB_BITS
ACTIVE = ("ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK")
FLAGS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}


class ServerKey(NamedTuple):
    """What names a virtual server: protocol in lower case, address, port."""

    proto: str
    address: IPAddress
    port: int

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@value
class RealServer:
    """One server behind a virtual one, reached by NAT (``-m``, Masq); weight 0 gets no new connections."""

    address: IPAddress
    port: int
    weight: int = 1

    def __str__(self) -> str:
        return endpoint(self.address, self.port)


@value
class VirtualServer:
    """A virtual server (``ipvsadm -A``) and its real ones in the order in which they were added.

    ``timeout`` is persistence in seconds, 0 for none: a client stays with its real server that long.
    """

    key: ServerKey
    scheduler: str = "rr"
    timeout: int = 0
    real: tuple[RealServer, ...] = ()

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise UnsupportedError(f"the IPVS scheduler {self.scheduler!r} is not modelled (there are {', '.join(SCHEDULERS)})")

    @property
    def destinations(self) -> tuple[RealServer, ...]:
        """The kernel's list: each new server is put at its head."""
        return self.real[::-1]

    def __str__(self) -> str:
        """As ``ipvsadm -S -n`` prints it: the real servers by address, whatever the kernel's order is."""
        return "\n".join(self.lines(sorted(self.real, key=_place)))

    def lines(self, real: Iterable[RealServer]) -> Iterator[str]:
        """What ``ipvsadm -R`` takes to make it, with real servers in this order."""
        flag = FLAGS[self.key.proto]
        yield f"-A {flag} {self.key} -s {self.scheduler}" + (f" -p {self.timeout}" if self.timeout else "")
        yield from (f"-a {flag} {self.key} -r {each} -m -w {each.weight}" for each in real)


def _place(each: RealServer) -> tuple:
    return int(each.address), each.port


@value
class IpvsConn:
    """A connection that IPVS has given to a real server; ``client_port`` 0 is a template, which persistence makes.

    ``state`` is TCP's (SYN_RECV, ESTABLISHED …) or UDP, SCTP; a template's is NONE, and ASSURED once a connection of that client was
    established, or answered in UDP (ip_vs_control_assure_ct). ``expires`` is a time in seconds.
    """

    server: ServerKey
    client: IPAddress
    client_port: int
    real: IPAddress
    real_port: int
    state: str
    expires: float

    @property
    def key(self) -> tuple:
        return self.server, self.client, self.client_port

    @property
    def template(self) -> bool:
        return not self.client_port

    @property
    def active(self) -> bool:
        """Whether it counts as ActiveConn: TCP that is established or opening (tcp_state_active_table); anything else is InActConn."""
        return self.state in ACTIVE

    def __str__(self) -> str:
        """As ``ipvsadm -Lnc`` prints it, without the time that is left."""
        ends = (endpoint(self.client, self.client_port), str(self.server), endpoint(self.real, self.real_port))
        return f"{self.server.proto.upper():<3} {self.state:<11} {' '.join(f'{end:<18}' for end in ends).rstrip()}"


@value
class Ipvs:
    """All of a namespace's IPVS: servers, the schedulers' places in their rounds, and connections."""

    servers: Mapping[ServerKey, VirtualServer] = field(default_factory=dict)
    marks: Mapping[ServerKey, tuple] = field(default_factory=dict)
    conns: Mapping[tuple, IpvsConn] = field(default_factory=dict)

    def listing(self, now: float = 0) -> str:
        """What ``ipvsadm -Ln`` prints at that time."""
        lines = ["IP Virtual Server version 1.2.1 (size=4096)", "Prot LocalAddress:Port Scheduler Flags"]
        lines.append("  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn")
        for server in sorted(self.servers.values(), key=lambda s: (s.key.proto, int(s.key.address), s.key.port)):
            flags = f" persistent {server.timeout}" if server.timeout else ""
            lines.append(f"{server.key.proto.upper():<4} {server.key} {server.scheduler}{flags}")
            counts = loads(server.key, self.conns.values(), now)
            for each in sorted(server.real, key=_place):
                active, inactive = counts.get((each.address, each.port), (0, 0))
                lines.append(f"  -> {each!s:<28} {'Masq':<7} {each.weight:<6} {active:<10} {inactive:<10}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n".join(map(str, self.servers.values()))


Load = Callable[[RealServer], tuple[int, int]]
Mark = tuple


def loads(key: ServerKey, conns: Iterable[IpvsConn], now: float) -> dict[tuple[IPAddress, int], tuple[int, int]]:
    """(active, inactive) connections by real server, of those that have not expired."""
    found: dict[tuple[IPAddress, int], tuple[int, int]] = {}
    for conn in conns:
        if conn.server == key and not conn.template and conn.expires >= now:
            active, inactive = found.get((conn.real, conn.real_port), (0, 0))
            found[conn.real, conn.real_port] = (active + conn.active, inactive + (not conn.active))
    return found


# Schedulers


def _after(server: VirtualServer, last: tuple | None) -> list[RealServer]:
    """The kernel's list from behind the server that was picked last, or from its head; the head of the round is where it left off."""
    found = list(server.destinations)
    place = next((i + 1 for i, each in enumerate(found) if (each.address, each.port) == last), 0)
    return found[place:] + found[:place]


def _round_robin(server: VirtualServer, mark: Mark, load: Load, packet: Packet) -> tuple[RealServer | None, Mark]:
    chosen = next((each for each in _after(server, mark[0] if mark else None) if each.weight > 0), None)
    return chosen, mark if chosen is None else ((chosen.address, chosen.port),)


def _weighted_round_robin(server: VirtualServer, mark: Mark, load: Load, packet: Packet) -> tuple[RealServer | None, Mark]:
    """Rounds for the heaviest servers alone, then for those a step lighter too …; ``mark`` is (last server, this round's weight)."""
    found = server.destinations
    step, heaviest = _steps(found)
    if heaviest <= 0:
        return None, mark
    last, wanted = mark or (None, _first_round(server))
    place = next((i + 1 for i, each in enumerate(found) if (each.address, each.port) == last), 0)
    while True:
        for each in found[place:]:
            if each.weight >= wanted:
                return each, ((each.address, each.port), wanted)
        place, wanted = 0, wanted - step
        if wanted <= 0:
            wanted = heaviest


def _steps(found: tuple[RealServer, ...]) -> tuple[int, int]:
    """The greatest common divisor of the weights, and the weight that the heaviest round asks for."""
    step = gcd(*(each.weight for each in found)) or 1
    return step, max((each.weight for each in found), default=0) - (step - 1)


def _first_round(server: VirtualServer) -> int:
    """Where the rounds begin: each server that is added moves it (ip_vs_wrr_dest_changed), so that it hangs on their order."""
    wanted = 0
    for count in range(1, len(server.real) + 1):
        step, heaviest = _steps(server.real[:count])
        if wanted > heaviest or not wanted:
            wanted = heaviest
        elif step > 1:
            wanted = wanted // step * step + 1
    return wanted


def round_after(old: VirtualServer, new: VirtualServer, mark: Mark) -> Mark:
    """Where a scheduler goes on when real servers were added, changed or taken away.

    rr: behind the one before the server that is gone (ip_vs_rr_del_dest). wrr: at the head of the list, with a weight that the new servers
    can ask for (ip_vs_wrr_dest_changed).
    """
    if new.scheduler == "wrr":
        wanted = mark[1] if mark else _first_round(old)
        step, heaviest = _steps(new.destinations)
        return None, heaviest if wanted > heaviest or not wanted else wanted // step * step + 1 if step > 1 else wanted
    places = [(each.address, each.port) for each in old.destinations]
    if not mark or mark[0] not in places or any((each.address, each.port) == mark[0] for each in new.real):
        return mark
    before = places[: places.index(mark[0])]
    return (before[-1] if before else None, *mark[1:])


def _least(cost: Callable[[RealServer, Load], int], weighted: bool, idle_first: bool = False):
    """The server with the least cost (by weight); of equal ones the first in the kernel's list."""

    def pick(server: VirtualServer, mark: Mark, load: Load, packet: Packet) -> tuple[RealServer | None, Mark]:
        usable = [each for each in server.destinations if each.weight > 0]
        if idle_first:
            for each in usable:
                if load(each)[0] == 0:
                    return each, mark
        least = None
        for each in usable:
            if least is None:
                least = each
            elif weighted:
                if cost(least, load) * each.weight > cost(each, load) * least.weight:
                    least = each
            elif cost(each, load) < cost(least, load):
                least = each
        return least, mark

    return pick


def _overhead(each: RealServer, load: Load) -> int:
    """An active connection costs as much as 256 inactive ones (ip_vs_dest_conn_overhead)."""
    active, inactive = load(each)
    return (active << 8) + inactive


def _expected_delay(each: RealServer, load: Load) -> int:
    return load(each)[0] + 1


def hash_32(number: int, bits: int = TABLE_BITS) -> int:
    """include/linux/hash.h: multiplicative hashing, the top bits."""
    return (number * GOLDEN_RATIO_32 & 0xFFFFFFFF) >> (32 - bits)


def fold(address: IPAddress) -> int:
    """The address as 32 bits: an IPv6 one by exclusive or of its words."""
    number, folded = int(address), 0
    while number:
        folded ^= number & 0xFFFFFFFF
        number >>= 32
    return folded


def _hashed(which: str, by_weight: bool):
    """A table of 256 buckets, filled with the servers in turn (``by_weight``: as many buckets in a row as a server's weight)."""

    def pick(server: VirtualServer, mark: Mark, load: Load, packet: Packet) -> tuple[RealServer | None, Mark]:
        turn = [each for each in server.destinations for _ in range(max(1, each.weight) if by_weight else 1)]
        if not turn:
            return None, mark
        chosen = turn[hash_32(fold(getattr(packet, which))) % len(turn)]
        return (chosen if chosen.weight > 0 else None), mark

    return pick


SCHEDULERS = MappingProxyType(
    {
        "rr": _round_robin,
        "wrr": _weighted_round_robin,
        "lc": _least(_overhead, weighted=False),
        "wlc": _least(_overhead, weighted=True),
        "sh": _hashed("src", by_weight=True),
        "dh": _hashed("dst", by_weight=False),
        "sed": _least(_expected_delay, weighted=True),
        "nq": _least(_expected_delay, weighted=True, idle_first=True),
    }
)


def read_servers(text: str) -> list[VirtualServer]:
    """``ipvsadm -S -n`` text as servers. ModelError names the line; UnsupportedError one with a forwarding method other than NAT."""
    from .ipvs_text import parse

    return parse(text)


def added(old: Mapping[ServerKey, VirtualServer], servers: Iterable[VirtualServer]) -> dict[ServerKey, VirtualServer]:
    """The servers after ``ipvsadm -R``. ModelError if one is there already."""
    found = dict(old)
    for server in servers:
        if server.key in found:
            raise ModelError(f"ipvsadm: service {server.key} already exists")
        found[server.key] = server
    return found
