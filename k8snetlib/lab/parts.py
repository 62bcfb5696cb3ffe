"""Large rule sets in parts that fit into one netlink message.

``iptables-restore`` and ``nft -f`` send a whole transaction at once. Without root's ``SO_SNDBUFFORCE`` the kernel takes about 200 kB of it
(net.core.wmem_default), which is some six hundred rules; more is refused with "Message too long". In a lab nobody minds that a rule set comes
in several transactions.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST = 300
"""Lines of rules in one part; a rule with its comment takes up to 700 bytes."""


def iptables_parts(text: str) -> list[str]:
    """The text in parts: the first is to be loaded as the whole would be, the others with ``--noflush``. Chains come before all rules."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) <= MOST:
        return [text.rstrip() + "\n"]
    parts: list[list[str]] = []
    rules: list[tuple[str, list[str]]] = []
    heads: list[str] = []
    for line in lines:
        if line.startswith("*"):
            heads.append(line)
            rules.append((line, []))
        elif line.startswith(":"):
            heads.append(line)
        elif line == "COMMIT":
            heads.append(line)
        else:
            rules[-1][1].append(line)
    parts += _declarations(heads)
    for table, own in rules:
        for start in range(0, len(own), MOST):
            parts.append([table, *own[start : start + MOST], "COMMIT"])
    return ["\n".join(part) + "\n" for part in parts]


def _declarations(heads: list[str]) -> Iterator[list[str]]:
    """The tables with their chains: all tables begin in the first part, since it is the one that flushes."""
    first: list[str] = []
    later: list[list[str]] = []
    table, count = "", 0
    for line in heads:
        if line.startswith("*"):
            table, count = line, 0
            first.append(line)
        elif line == "COMMIT":
            first.append(line)
        elif count < MOST // 2:
            first.append(line)
            count += 1
        else:
            if not later or later[-1][0] != table or len(later[-1]) > MOST:
                later.append([table])
            later[-1].append(line)
    yield first
    yield from ([*part, "COMMIT"] for part in later)


def nft_parts(text: str) -> list[str]:
    """A transaction of commands, one a line, in parts; a listing (``table … {``) is left whole."""
    lines = text.rstrip().splitlines()
    if len(lines) <= MOST or not all(line.split(None, 1)[0] in ("add", "flush", "delete", "insert", "create") for line in lines if line.strip()):
        return [text.rstrip() + "\n"]
    return ["\n".join(lines[start : start + MOST]) + "\n" for start in range(0, len(lines), MOST)]
