"""The two spellings of kube-proxy's iptables rules: as it pipes them to ``iptables-restore``, and as ``iptables-save`` then prints them.

Both have the same methods, so that the rules are decided once, in ``iptables``. Of a rule that every endpoint has, a large cluster has
a hundred thousand: these have methods of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

from ...linux.netfilter import BUILT_IN, ChainLines, Ruleset, Table
from ...linux.recent import ALL_ONES
from .config import MASQUERADE_MARK

MARK_MASQ = "KUBE-MARK-MASQ"
Lines = dict[str, list[str] | tuple[str, ...]]


@cache
def kernel_probability(n: int) -> str:
    """1/n as iptables-save prints it: kube-proxy gives ten digits, the kernel keeps 31 bits of them (xt_statistic)."""
    return f"{round(float(f'{1 / n:.10f}') * (1 << 31)) / (1 << 31):.11f}"


class Saved:
    """Collects chains as iptables-save prints them: lines without ``-A CHAIN``, by table and chain."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.bits = 32 if version == 4 else 128
        self.recent = f"--mask {ALL_ONES[version]} --rsource"
        self.tables: dict[str, Lines] = {"filter": {}, "nat": {}}
        self.nat = self.tables["nat"]

    def declare(self, table: str, *chains: str) -> None:
        for chain in chains:
            self.tables[table].setdefault(chain, [])

    def add(
        self, table: str, chain: str, target: str, comment: str = "", proto: str = "", dst: object = None, dport: int = 0,
        local: Sequence[str] = (), match: str = "", src: object = None, not_dst: object = None,
    ) -> None:  # fmt: skip
        """A rule. ``local`` are the words of the local detector; ``match`` is a further match, spelt alike in both."""
        words = []
        if local[-2:-1] == ("-s",):
            words.append(" ".join(local))
        if src is not None and str(src)[-2:] != "/0":
            words.append(f"-s {src}" if "/" in str(src) else f"-s {src}/{self.bits}")
        if dst is not None:
            words.append(f"-d {dst}/{self.bits}")
        if not_dst is not None:
            words.append(f"! -d {not_dst}")
        if local[-2:-1] == ("-i",):
            words.append(" ".join(local))
        if proto:
            words.append(f"-p {proto}")
        if comment:
            words.append(f'-m comment --comment "{comment}"')
        if match:
            words.append(match)
        if proto:
            words.append(f"-m {proto} --dport {dport}")
        if target == "REJECT":
            target = f"REJECT --reject-with icmp{'' if self.version == 4 else '6'}-port-unreachable"
        if target:
            words.append(f"-j {target}")
        self.tables[table].setdefault(chain, []).append(" ".join(words))

    def first_rules(self) -> None:
        """What marks and masquerades."""
        mark = f"{MASQUERADE_MARK:#x}"
        self.nat["KUBE-POSTROUTING"] = [
            f"-m mark ! --mark {mark}/{mark} -j RETURN",
            f"-j MARK --set-xmark {mark}/0x0",
            '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
        ]
        self.nat[MARK_MASQ] = [f"-j MARK --set-xmark {mark}/{mark}"]

    def localnet_guard(self) -> None:
        self.tables["filter"]["KUBE-FIREWALL"] = [
            '! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        ]

    def forwarding_mark(self) -> str:
        return f"-m mark --mark {MASQUERADE_MARK:#x}/{MASQUERADE_MARK:#x}"

    def spread(self, chain: str, name: str, endpoints: Sequence[tuple[str, str]], seconds: int) -> None:
        """The rules that pick an endpoint; ``endpoints`` are (address:port, chain), ``name`` "" leaves the comments out."""
        lines = self.nat[chain]
        comments = [f'-m comment --comment "{name} -> {text}" ' if name else "" for text, _ in endpoints]
        if seconds:
            for comment, (_, sep) in zip(comments, endpoints, strict=True):
                lines.append(f"{comment}-m recent --rcheck --seconds {seconds} --reap --name {sep} {self.recent} -j {sep}")
        left = len(endpoints)
        for comment, (_, sep) in zip(comments, endpoints, strict=True):
            chance = f"-m statistic --mode random --probability {kernel_probability(left)} " if left > 1 else ""
            lines.append(f"{comment}{chance}-j {sep}")
            left -= 1

    def endpoint(self, sep: str, name: str, ip: str, text: str, proto: str, sticky: bool) -> None:
        """An endpoint's own chain: masquerade what comes from itself, then DNAT."""
        comment = f' -m comment --comment "{name}"' if name else ""
        recent = f" -m recent --set --name {sep} {self.recent}" if sticky else ""
        self.nat[sep] = (  # a tuple of strings costs the garbage collector nothing, and there is one for each endpoint
            f"-s {ip}/{self.bits}{comment} -j {MARK_MASQ}",
            f"-p {proto}{comment}{recent} -m {proto} -j DNAT --to-destination {text}",
        )

    def ruleset(self) -> Ruleset:
        """The collected chains, each table's in the order of iptables-save."""
        tables = {}
        for name, lines in self.tables.items():
            ordered = {chain: lines.get(chain, []) for chain in BUILT_IN[name]}
            ordered |= {chain: lines[chain] for chain in sorted(lines.keys() - ordered.keys())}
            tables[name] = Table(name, ChainLines(ordered, dict.fromkeys(BUILT_IN[name], "ACCEPT"), self.version))
        return Ruleset(MappingProxyType(tables), self.version)


class Piped:
    """Collects the text that kube-proxy pipes to ``iptables-restore --noflush --counters``."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.heads: dict[str, dict[str, None]] = {"filter": {}, "nat": {}}
        self.rules: Lines = {"filter": [], "nat": []}

    def declare(self, table: str, *chains: str) -> None:
        self.heads[table].update(dict.fromkeys(chains))

    def add(
        self, table: str, chain: str, target: str, comment: str = "", proto: str = "", dst: object = None, dport: int = 0,
        local: Sequence[str] = (), match: str = "", src: object = None, not_dst: object = None,
    ) -> None:  # fmt: skip
        words = [f"-A {chain}"]
        if comment:
            words.append("-m comment --comment " + (f'"{comment}"' if " " in comment else comment))
        if match:
            words.append(match)
        if proto:
            words.append(f"-m {proto} -p {proto}")
        if src is not None:
            words.append(f"-s {src}")
        if dst is not None:
            words.append(f"-d {dst}")
        if not_dst is not None:
            words.append(f"! -d {not_dst}")
        if proto:
            words.append(f"--dport {dport}")
        words += local
        if target:
            words.append(f"-j {target}")
        self.rules[table].append(" ".join(words))

    def first_rules(self) -> None:
        mark = f"{MASQUERADE_MARK:#010x}"
        self.rules["nat"] += [
            f"-A KUBE-POSTROUTING -m mark ! --mark {mark}/{mark} -j RETURN",
            f"-A KUBE-POSTROUTING -j MARK --xor-mark {mark}",
            '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
            f"-A {MARK_MASQ} -j MARK --or-mark {mark}",
        ]

    def localnet_guard(self) -> None:
        self.declare("filter", "KUBE-FIREWALL")
        self.rules["filter"].append(
            '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 '
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )

    def forwarding_mark(self) -> str:
        return f"-m mark --mark {MASQUERADE_MARK:#010x}/{MASQUERADE_MARK:#010x}"

    def spread(self, chain: str, name: str, endpoints: Sequence[tuple[str, str]], seconds: int) -> None:
        rules = self.rules["nat"]
        starts = [f'-A {chain} -m comment --comment "{name} -> {text}" ' if name else f"-A {chain} " for text, _ in endpoints]
        if seconds:
            for start, (_, sep) in zip(starts, endpoints, strict=True):
                rules.append(f"{start}-m recent --name {sep} --rcheck --seconds {seconds} --reap -j {sep}")
        left = len(endpoints)
        for start, (_, sep) in zip(starts, endpoints, strict=True):
            chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            rules.append(f"{start}{chance}-j {sep}")
            left -= 1

    def endpoint(self, sep: str, name: str, ip: str, text: str, proto: str, sticky: bool) -> None:
        self.declare("nat", sep)
        start = f"-A {sep} -m comment --comment {name}" if name else f"-A {sep}"
        recent = f" -m recent --name {sep} --set" if sticky else ""
        self.rules["nat"] += [
            f"{start} -s {ip} -j {MARK_MASQ}",
            f"{start}{recent} -m {proto} -p {proto} -j DNAT --to-destination {text}",
        ]

    def text(self) -> str:
        parts = []
        for table, heads in self.heads.items():
            parts += [f"*{table}", *(f":{chain} - [0:0]" for chain in heads), *self.rules[table], "COMMIT"]
        return "\n".join(parts) + "\n"
