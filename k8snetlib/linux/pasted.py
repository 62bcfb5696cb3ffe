"""Rules of a machine that we do not have, only its text: a packet through ``iptables-save`` or ``nft list ruleset`` output.

The rules are put on a node between two neighbours: the packet comes from the one, and whatever address the rules translate to is behind the
other, where every port that they name is listened on. So a trace shows which rule decided and where the packet was sent, without a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from ipaddress import ip_address

from ..errors import ModelError
from .engine import traces
from .events import Trace
from .netfilter import Ruleset, iterate_rules
from .ops import LinkAdd, LinkSet, Listen, NetnsAdd, NftRestore, Op, RulesRestore, SysctlSet, address, build, route
from .packet import IPAddress, Packet
from .state import Network, Socket
from .targets import Nat

NODE, SENDER, BEYOND = "node", "sender", "beyond"
ENDS = {
    4: ("192.0.2.1/30", "192.0.2.2", "192.0.2.5/30", "192.0.2.6"),
    6: ("2001:db8::1/126", "2001:db8::2", "2001:db8::5/126", "2001:db8::6"),
}
TEXT = {
    "empty": "there are no rules in the text: paste what iptables-save, ip6tables-save or nft list ruleset prints",
    "sets": "rules that ask an ipset (-m set) need the sets too, which iptables-save does not print: {rule}",
    "own": "a packet from {src}, an address of the node itself, does not come in from outside; name other node addresses",
}
NFT_END = re.compile(r"(?:\d+ : )([0-9a-f.:]+) \. (\d+)|dnat(?: ip6?)? to ([0-9.]+|\[[0-9a-f:]+\]):(\d+)")

End = tuple[IPAddress, int]


def trace_rules(text: str, packet: Packet, node: Iterable[str] = ("192.168.50.11",), now: float = 0.0) -> list[tuple[Fraction, Trace]]:
    """Every outcome of a packet that comes into the machine whose rules these are, with its exact probability.

    ``text`` is what ``iptables-save`` (for an IPv6 packet ``ip6tables-save``) or ``nft list ruleset`` printed there; ``node`` are the
    machine's own addresses, as far as they matter (``--dst-type LOCAL``, masquerading).
    ModelError for text that holds no rules or is none, with its line; UnsupportedError where the outcome hangs on what is not modelled.
    """
    return traces(network_of(text, packet, node), SENDER, packet, now)


def network_of(text: str, packet: Packet, node: Iterable[str] = ("192.168.50.11",)) -> Network:
    """The node with these rules, its neighbour that sends the packet, and the one beyond; errors as in :func:`trace_rules`."""
    version, own = packet.version, [ip_address(each) for each in node]
    if packet.src in own:
        raise ModelError(TEXT["own"].format(src=packet.src))
    nft = re.search(r"^\s*(table|add)\s", text, re.M) is not None
    if not nft and not re.search(r"^\*\w", text, re.M):
        raise ModelError(TEXT["empty"])
    ends = _nft_ends(text) if nft else _iptables_ends(text, version)
    wanted = {end for end in ends if end[0].version == version and end[0] not in own}
    rules: Op = NftRestore(NODE, text) if nft else RulesRestore(NODE, text, version)
    return build([*_around(packet, [a for a in own if a.version == version], wanted), rules])


def _around(packet: Packet, own: list[IPAddress], ends: set[End]) -> Iterable[Op]:
    near, sender, far, beyond = ENDS[packet.version]
    bits = 32 if packet.version == 4 else 128
    yield from (NetnsAdd(name) for name in (NODE, SENDER, BEYOND))
    yield from (SysctlSet(NODE, key, 1) for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"))
    for dev, other in (("in", SENDER), ("out", BEYOND)):
        yield LinkAdd(NODE, dev, "veth", peer=(other, "eth0"))
        yield from (LinkSet(netns, name, up=True) for netns, name in ((NODE, dev), (other, "eth0")))
    width = near.partition("/")[2]
    yield address(NODE, "in", near)
    yield from (address(SENDER, "eth0", f"{sender}/{width}"), address(BEYOND, "eth0", f"{beyond}/{width}"))
    # The node's own addresses alone are on the device by which packets leave: masquerading takes the first of them.
    outer = [f"{each}/{bits}" for each in own] or [far]
    yield from (address(NODE, "out", each) for each in outer)
    if str(packet.src) != sender:
        yield address(SENDER, "eth0", f"{packet.src}/{bits}")
        yield route(NODE, f"{packet.src}/{bits}", via=sender)
    yield route(SENDER, "default", via=near.partition("/")[0])
    yield route(NODE, "default", dev="out", via=beyond, onlink=True)
    yield route(BEYOND, "default", dev="eth0", via=outer[0].partition("/")[0], onlink=True)
    ports: dict[str, set[int]] = {SENDER: set(), BEYOND: set()}
    for ip in sorted({ip for ip, _ in ends}, key=int):
        where = SENDER if ip == packet.src else BEYOND
        ports[where] |= {port for other, port in ends if other == ip}
        if where == BEYOND:
            yield address(BEYOND, "eth0", f"{ip}/{bits}")
    yield from (Listen(netns, Socket(packet.proto, port)) for netns, own_ports in ports.items() for port in sorted(own_ports))


def _iptables_ends(text: str, version: int) -> set[End]:
    """Where the rules' DNAT targets point."""
    found = set()
    for _, _, _, rule in iterate_rules(Ruleset.parse(text, version)):
        if any(match.name == "set" for match in rule.matches):
            raise ModelError(TEXT["sets"].format(rule=rule))
        if isinstance(rule.target, Nat) and rule.target.name == "DNAT":
            to = re.search(r"--to-destination (?:\[([0-9a-f:]+)\]|([0-9.]+)):(\d+)", str(rule))
            if to:
                found.add((ip_address(to[1] or to[2]), int(to[3])))
    return found


def _nft_ends(text: str) -> set[End]:
    found = set()
    for first, port, ip, other in NFT_END.findall(text):
        found.add((ip_address(first or ip.strip("[]")), int(port or other)))
    return found
