"""The statements of nftables that do something to a packet's connection: ``reject``, NAT, and elements that packets put into sets."""

from __future__ import annotations

from ipaddress import ip_address

from ..errors import UnsupportedError
from ..value import value
from .nftables_exprs import Lookup, Named
from .nftables_sets import BREAK, finder
from .nftables_stmts import MISS, Run, unsupported
from .nftables_types import time_text
from .targets import Nat as NatTarget
from .targets import Reject as RejectTarget


@value
class Reject:
    """``reject``: drop, and say so to the sender; ``how`` is what stands after ``with``, "" for port unreachable."""

    how: str = ""

    needs_ct = False

    def __str__(self) -> str:
        return f"reject with {self.how}" if self.how else "reject"

    def compile(self, table) -> Run:
        if self.how == "tcp reset":
            return lambda skb, env: RejectTarget("tcp-reset")
        kind, _, code = self.how.partition(" ")
        code, kind = code or "port-unreachable", kind or "icmpx"
        answers = {4: RejectTarget(REJECTS[4].get(code, "")), 6: RejectTarget(REJECTS[6].get(code, ""))}

        def run(skb, env):
            version = skb.packet.version
            if (kind == "icmp" and version == 6) or (kind == "icmpv6" and version == 4):
                return MISS
            if not answers[version].how:
                raise UnsupportedError(f"{self} is not modelled")
            return answers[version]

        return run


# nft's names of the codes → those of iptables' REJECT, which the IP layer answers by (net/netfilter/nft_reject.c for icmpx)
REJECTS = {
    4: {
        "port-unreachable": "icmp-port-unreachable", "host-unreachable": "icmp-host-unreachable", "net-unreachable": "icmp-net-unreachable",
        "prot-unreachable": "icmp-proto-unreachable", "net-prohibited": "icmp-net-prohibited", "host-prohibited": "icmp-host-prohibited",
        "admin-prohibited": "icmp-admin-prohibited", "no-route": "icmp-net-unreachable",
    },
    6: {
        "port-unreachable": "icmp6-port-unreachable", "addr-unreachable": "icmp6-addr-unreachable", "no-route": "icmp6-no-route",
        "admin-prohibited": "icmp6-adm-prohibited", "host-unreachable": "icmp6-addr-unreachable",
    },
}  # fmt: skip


@value
class Translate:
    """``dnat``, ``snat``, ``masquerade`` or ``redirect``. ``to`` is an address, address and port, port, a Lookup, or "" for none."""

    kind: str
    to: str | Lookup = ""
    family: str = ""  # printed where the table's own does not say it: "ip" or "ip6"
    flags: tuple[str, ...] = ()

    needs_ct = True

    def __str__(self) -> str:
        family = f" {self.family}" if self.family else ""
        return f"{self.kind}{family}{f' to {self.to}' if self.to else ''}{' ' + ','.join(self.flags) if self.flags else ''}"

    def compile(self, table) -> Run:
        if not isinstance(self.to, Lookup):
            target = self.target(self.to)
            return lambda skb, env: target
        find, made = finder(table, self.to.source, self.to.key), {}

        def run(skb, env):
            found = find(skb, env)
            if found is None or found is BREAK:
                return MISS
            if found.data not in made:
                made[found.data] = self.target(found.data)
            return made[found.data]

        return run

    def target(self, text: str) -> NatTarget:
        """What a new connection is rewritten to. UnsupportedError for a range of addresses."""
        host, ports = _split(text)
        if "-" in host:
            raise UnsupportedError(f"NAT to a range of addresses ({text}) is not modelled")
        low, _, high = ports.partition("-")
        span = (int(low), int(high or low)) if ports else None
        flags = {"random_fully": "fully-random" in self.flags, "random": "random" in self.flags, "persistent": "persistent" in self.flags}
        return NatTarget(self.kind.upper(), ip_address(host) if host else None, span, **flags)


def _split(text: str) -> tuple[str, str]:
    """Address and port of ``10.0.0.1:80``, ``[fd00::1]:80``, ``10.0.0.1 . 80``, ``:80`` or an address alone."""
    if " . " in text:
        host, _, ports = text.partition(" . ")
    elif text.startswith("["):
        host, _, ports = text[1:].partition("]")
        ports = ports.lstrip(":")
    elif text.count(":") == 1:
        host, _, ports = text.partition(":")
    else:
        host, ports = text, ""
    return host, ports


@value
class Update:
    """``update @set { ip saddr }``: the packet's key becomes an element, or its time begins anew (``update``, not ``add``)."""

    verb: str  # add, update, delete
    set: str
    key: object
    timeout: float | None = None

    @property
    def needs_ct(self) -> bool:
        return self.key.needs_ct

    def __str__(self) -> str:
        timeout = "" if self.timeout is None else f" timeout {time_text(self.timeout)}"
        return f"{self.verb} @{self.set} {{ {self.key}{timeout} }}"

    def compile(self, table) -> Run:
        if self.verb == "delete":
            return lambda skb, env: unsupported(self)
        named, get = table.set_named(self.set), self.key.text()
        find, where = finder(table, Named(self.set), self.key), (table.family, table.name, self.set)
        timeout = self.timeout if self.timeout is not None else named.timeout or 0.0

        def run(skb, env):
            key = get(skb, env)
            if key is None:
                return MISS
            before, known = env.element, find(skb, env)
            env.element = before
            if known is None or (self.verb == "update" and timeout):
                env.nft_use(where, key, timeout)
            return None

        return run
