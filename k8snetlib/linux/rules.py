"""The rules of iptables as values: ``Rule``, ``Chain``, ``Table``; and chains that stay text until somebody looks at a rule.

kube-proxy writes hundreds of thousands of rules, of which a packet meets a few dozen. ``RuleLines`` holds the lines that
iptables-save prints and makes a ``Rule`` of one when it is asked for; to everybody else it is a sequence of rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from ..value import value
from .chain_index import CompiledChain
from .state import IPNetwork
from .xtables import Test, bang, interface_matches


@value
class Rule:
    """One rule: the basic matches, the extensions in their written order, and a target (None: count only)."""

    src: IPNetwork | None = None
    dst: IPNetwork | None = None
    iif: str = ""
    oif: str = ""
    proto: str = ""
    matches: tuple = ()
    target: object = None
    negated: frozenset[str] = frozenset()  # of src, dst, iif, oif, proto

    def words(self) -> str:
        """The rule as iptables-save prints it, without ``-A CHAIN``."""
        parts = []
        for key, option in (("src", "-s"), ("dst", "-d"), ("iif", "-i"), ("oif", "-o"), ("proto", "-p")):
            if value := getattr(self, key):
                parts.append(f"{bang(key in self.negated)}{option} {value}")
        parts += [match.words() for match in self.matches]
        return " ".join(parts + ([self.target.words()] if self.target else []))

    __str__ = words

    def compile(self) -> tuple[Test, ...]:
        """The tests that a packet must pass, cheapest first, as ``test(skb, env)``."""
        tests: list[Test] = []
        if self.proto:
            tests.append(_proto_test(self.proto, "proto" not in self.negated))
        for key, network in (("src", self.src), ("dst", self.dst)):
            if network is not None:
                tests.append(_network_test(key, network, key not in self.negated))
        for key, pattern in (("iif", self.iif), ("oif", self.oif)):
            if pattern:
                tests.append(_interface_test(key, pattern, key not in self.negated))
        return (*tests, *filter(None, (match.compile() for match in self.matches)))


def _proto_test(proto: str, wanted: bool) -> Test:
    return lambda skb, env: (skb.packet.proto == proto) is wanted


def _network_test(key: str, network: IPNetwork, wanted: bool) -> Test:
    base, mask = int(network.network_address), int(network.netmask)
    if key == "src":
        return lambda skb, env: (int(skb.packet.src) & mask == base) is wanted
    return lambda skb, env: (int(skb.packet.dst) & mask == base) is wanted


def _interface_test(key: str, pattern: str, wanted: bool) -> Test:
    return lambda skb, env: interface_matches(pattern, getattr(skb, key)) is wanted


class RuleLines(Sequence):
    """A chain's rules as lines of iptables-save (without ``-A CHAIN``), each read when it is looked at. Immutable."""

    __slots__ = ("_read", "lines", "version")

    def __init__(self, lines: Sequence[str], version: int) -> None:
        self.lines, self.version = lines, version
        self._read: dict[int, Rule] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self.lines))))
        position = index if index >= 0 else len(self.lines) + index
        found = self._read.get(position)
        if found is None:
            from .iptables_text import read_rule

            found = self._read[position] = read_rule(self.lines[position], self.version)
        return found

    def __iter__(self) -> Iterator[Rule]:
        return (self[i] for i in range(len(self.lines)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RuleLines) and self.version == other.version and self.lines == other.lines:
            return True
        return isinstance(other, (tuple, RuleLines)) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@value
class Chain:
    """A chain of rules; a built-in one has a ``policy`` (ACCEPT or DROP), a user's has None."""

    name: str
    policy: str | None = None
    rules: Sequence[Rule] = ()

    def lines(self) -> Sequence[str]:
        """The rules as iptables-save prints them, without ``-A CHAIN``."""
        return self.rules.lines if isinstance(self.rules, RuleLines) else [str(rule) for rule in self.rules]


class ChainLines(Mapping):
    """Chains by name, of which all or most are still text: ``lines`` has the rules of each. A ``Chain`` is made when it is asked for."""

    __slots__ = ("_made", "lines", "policies", "version")

    def __init__(self, lines: Mapping[str, Sequence[str]], policies: Mapping[str, str], version: int) -> None:
        self.lines, self.policies, self.version = lines, policies, version
        self._made: dict[str, Chain] = {}

    def __getitem__(self, name: str) -> Chain:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = Chain(name, self.policies.get(name), RuleLines(self.lines[name], self.version))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: object) -> bool:
        return name in self.lines

    def __repr__(self) -> str:
        return f"<{len(self.lines)} chains>"


@value
class Table:
    """A table: its chains by name, in the order in which iptables-save prints them."""

    name: str
    chains: Mapping[str, Chain]
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def compiled(self, chain: str) -> CompiledChain:
        """The chain's rules made ready for packets, once."""
        found = self.cache.get(chain)
        if found is None:
            found = self.cache[chain] = CompiledChain(self.chains[chain].rules)
        return found

    def lines_of(self, name: str) -> Sequence[str]:
        """One chain's rules as lines, without ``-A CHAIN``."""
        return self.chains.lines[name] if type(self.chains) is ChainLines else self.chains[name].lines()

    def policy(self, name: str) -> str | None:
        return self.chains.policies.get(name) if type(self.chains) is ChainLines else self.chains[name].policy

    def __str__(self) -> str:
        lines = [f"*{self.name}", *(f":{name} {self.policy(name) or '-'} [0:0]" for name in self.chains)]
        for name in self.chains:
            rules = self.lines_of(name)
            if rules:
                start = f"\n-A {name} "
                text = start[1:] + start.join(rules)
                lines.append(text if all(rules) else "\n".join(map(str.rstrip, text.split("\n"))))
        lines.append("COMMIT")
        return "\n".join(lines)
