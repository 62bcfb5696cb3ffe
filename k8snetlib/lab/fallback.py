"""The device that a module puts into every namespace, in the order in which the kernel of a lab has it."""

from __future__ import annotations

from collections.abc import Iterable

from ..linux.ops import LinkAdd, NetnsAdd, Op
from ..linux.ops_links import TUNL0


def as_in_namespaces(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The ops with tunl0 as the first device after lo.

    A namespace has it from its start where the module is loaded already; a node gets it with the module, behind its interfaces, which is
    how a cluster's ops have it. The order matters to IPv4: of a route without a source, over a device without an address, the source is
    that of the first device that has one (inet_select_addr).
    """
    ops, found = tuple(ops), []
    tunnels = {op.netns: op for op in ops if type(op) is LinkAdd and op.name == TUNL0}
    for op in ops:
        if type(op) is NetnsAdd:
            found += [op, tunnels[op.netns]] if op.netns in tunnels else [op]
        elif op is not tunnels.get(getattr(op, "netns", "")):
            found.append(op)
    return tuple(found)
