"""The device that a module puts into every namespace, in the order in which the kernel of a lab has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8snetlib.linux.ops import LinkAdd, NetnsAdd, Op
from k8snetlib.linux.ops_links import TUNL0


def as_in_namespaces(ops: Iterable[Op]) -> Iterator[Op]:
    """The ops with tunl0 as the first device after lo.

    A namespace has it from its start where the module is loaded already; a node gets it with the module, behind its interfaces, which is
    how the ops have it. The order matters to IPv4: of a route without a source, over a device without an address, the source is that of
    the first device that has one (inet_select_addr).
    """
    ops = tuple(ops)
    tunnels = {op.netns: op for op in ops if type(op) is LinkAdd and op.name == TUNL0}
    for op in ops:
        if type(op) is NetnsAdd:
            yield op
            yield from (tunnel for tunnel in (tunnels.get(op.netns),) if tunnel)
        elif op is not tunnels.get(op.netns):
            yield op
