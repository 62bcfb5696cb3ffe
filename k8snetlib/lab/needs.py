"""Which features of the lab a list of ops takes (see ``capabilities.FEATURES``), so that what a kernel cannot carry out is known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..linux import ops as o

DEVICES = ("vxlan", "ipip", "dummy")  # the kinds of device that a kernel with the required features may lack


def needs(ops: Iterable[o.Op]) -> frozenset[str]:
    """The features beyond the required ones without which these ops cannot be carried out."""
    return frozenset(feature for op in ops for feature in _of(op))


def _of(op: o.Op) -> Iterator[str]:
    if isinstance(op, o.LinkAdd):
        yield from (kind for kind in DEVICES if op.kind == kind)
    elif isinstance(op, (o.RulesRestore, o.ChainAdd, o.RuleEnsure)):
        yield "iptables" if op.version == 4 else "ip6tables"
        yield "conntrack"
    elif isinstance(op, (o.NftRestore, o.NftReplace, o.NftElementAdd)):
        yield "nft"
    elif isinstance(op, o.AddrAdd) and op.address.version == 6:
        yield "ipv6"
    elif isinstance(op, o.SysctlSet) and op.key.startswith("net.bridge.") and op.value:
        yield "br_netfilter"
    elif type(op).__name__ == "IpsetRestore":  # by name, as in LOWER_IPVS
        yield "ipset"
    elif type(op).__name__ in ("IpvsRestore", "RealServerSet", "RealServerDel"):
        yield "ipvs"
