"""Large rule sets in parts that fit into one netlink message.

``iptables-restore`` and ``nft -f`` send a whole transaction at once. Without root's ``SO_SNDBUFFORCE`` the kernel takes about 200 kB of it
(net.core.wmem_default), which is some three hundred rules; more is refused with "Message too long". In a lab nobody minds that a rule set
comes in several transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..linux.nftables import Chain, Table

ROOM = 150_000
"""Bytes of netlink messages in one part, as estimated here; the kernel's limit, net.core.wmem_default, is usually 212,992."""

# What a rule costs in netlink's attributes, generously: measured with iptables 1.8.9 and nft 1.0.6 on Linux 6.18.
RULE, COMMENT, EXTENSION, CHAIN, ELEMENT = 420, 330, 130, 140, 150


def iptables_parts(text: str) -> list[str]:
    """The text in parts: the first is to be loaded as the whole would be, the others with ``--noflush``. Chains come before all rules."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if sum(map(_rule_cost, lines)) <= ROOM:
        return [text.rstrip() + "\n"]
    parts: list[list[str]] = []
    rules: list[tuple[str, list[str]]] = []
    heads: list[str] = []
    for line in lines:
        if line.startswith("*"):
            heads.append(line)
            rules.append((line, []))
        elif line.startswith(":") or line == "COMMIT":
            heads.append(line)
        else:
            rules[-1][1].append(line)
    parts += _declarations(heads)
    for table, own in rules:
        parts += ([table, *batch, "COMMIT"] for batch in _batches(own, _rule_cost))
    return ["\n".join(part) + "\n" for part in parts]


def _rule_cost(line: str) -> int:
    if line[0] != "-":
        return CHAIN
    return RULE + EXTENSION * line.count(" -m ") + COMMENT * line.count("--comment")


def _batches(lines: Iterable[str], cost: Callable[[str], int]) -> Iterator[list[str]]:
    """The lines in order, in lists that have room in one message."""
    batch: list[str] = []
    spent = 0
    for line in lines:
        wanted = cost(line)
        if batch and spent + wanted > ROOM:
            yield batch
            batch, spent = [], 0
        batch.append(line)
        spent += wanted
    if batch:
        yield batch


def _declarations(heads: list[str]) -> Iterator[list[str]]:
    """The tables with their chains: all tables begin in the first part, since it is the one that flushes."""
    first: list[str] = []
    later: list[list[str]] = []
    table, most = "", ROOM // CHAIN
    for line in heads:
        if line.startswith("*"):
            table = line
            first.append(line)
        elif line == "COMMIT" or len(first) < most:
            first.append(line)
        else:
            if not later or later[-1][0] != table or len(later[-1]) > most:
                later.append([table])
            later[-1].append(line)
    yield first
    yield from ([*part, "COMMIT"] for part in later)


def nft_parts(text: str) -> list[str]:
    """A transaction of commands, one a line, in parts; a listing (``table … {``) is left whole: ``nft_table_parts`` cuts a table."""
    lines = text.rstrip().splitlines()
    commands = all(line.split(None, 1)[0] in ("add", "flush", "delete", "insert", "create") for line in lines if line.strip())
    if sum(map(_line_cost, lines)) <= ROOM or not commands:
        return [text.rstrip() + "\n"]
    return ["\n".join(batch) + "\n" for batch in _batches(lines, _line_cost)]


def nft_table_parts(table: Table) -> list[str]:
    """A whole table in place of the one of its name: sets and chains without content, in their order, then elements, then rules.

    So every chain is there when something jumps to it. The rules of base chains come last: until then no packet meets any.
    """
    title = table.title
    first = f"table {title}\ndelete table {title}\n"
    if sum(map(_line_cost, str(table).splitlines())) <= ROOM:
        return [f"{first}{table}\n"]
    head = f'\tcomment "{table.comment}"\n' if table.comment else ""
    sets = "\n".join(each.text([]) for each in table.sets.values())
    first += f"table {title} {{\n{head}" + "".join(f"\t{other}\n" for other in table.others) + f"{sets}\n}}\n"
    commands = [f"add chain {title} {chain.name}{_head(chain)}" for chain in table.chains.values()]
    commands += _elements(table)
    for chain in sorted(table.chains.values(), key=lambda each: each.hook is not None):
        commands += [f"add rule {title} {chain.name} {line}" for line in chain.lines]
    return [first, *("\n".join(batch) + "\n" for batch in _batches(commands, _line_cost))]


def _head(chain: Chain) -> str:
    comment = f'comment "{chain.comment}";' if chain.comment else ""
    inside = f"{chain.hook or ''} {comment}".strip()
    return f" {{ {inside} }}" if inside else ""


def _elements(table: Table) -> Iterator[str]:
    for each in table.sets.values():
        texts = [str(element) for element in each.elements.values()]
        for start in range(0, len(texts), 100):
            yield f"add element {table.title} {each.name} {{ {', '.join(texts[start : start + 100])} }}"


def _line_cost(line: str) -> int:
    return CHAIN if line.startswith("add chain") else RULE + len(line) + ELEMENT * line.count(",")
