"""The netfilter hooks: at each, the tables in the kernel's order, with conntrack and NAT where they stand.

Priorities (include/uapi/linux/netfilter_ipv4.h): raw −300, conntrack −200, mangle −150, destination NAT −100, filter 0, security 50,
source NAT 100, confirmation last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import conntrack, forward
from .conntrack import Ct
from .events import Dropped, Rewritten, Tracked
from .fib import address_on, masquerade_address
from .netfilter import ORDER, walk
from .packet import Fragment, Icmp, Ndp, Packet, Skb
from .targets import Nat, Reject, Verdict

if TYPE_CHECKING:
    from .engine import Engine, View

FIRST, LAST = ("PREROUTING", "OUTPUT"), ("INPUT", "POSTROUTING")
DESTINATION_NAT = ("PREROUTING", "OUTPUT")
BEHIND_IPVS = {"INPUT": "nat", "OUTPUT": "filter"}  # the table that comes next after IPVS (ip_vs_ops4); at FORWARD it comes last


def run_hook(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    """Take the packet through one hook; False if it ended there (the drop, and what REJECT answers, are already told)."""
    version = skb.packet.version
    ruleset = v.ns.rulesets.get(version)
    if ruleset is None and not v.serves:
        return True
    tables = ruleset.tables if ruleset is not None else {}
    v.journey, tracks = skb.journey, v.tracked.get(version, False)
    if "raw" not in tables and tracks and hook in FIRST:
        _track(e, v, skb)
    for name in ORDER[hook]:
        if v.serves and name == BEHIND_IPVS.get(hook) and not _ipvs(e, v, hook, skb):
            return False
        table = tables.get(name)
        if name == "nat":
            if tracks and not _nat(e, v, hook, skb, table):
                return False
        elif table is not None:
            verdict = walk(table, hook, skb, v)
            if not isinstance(verdict, Verdict) or verdict.name != "ACCEPT":
                _refuse(e, v, hook, skb, name, verdict)
                return False
        if name == "raw" and table is not None and tracks and hook in FIRST:
            _track(e, v, skb)
    if v.serves and hook == "FORWARD" and not _ipvs(e, v, hook, skb):
        return False
    if tracks and hook in LAST:
        _confirm(v, skb)
    return True


def _ipvs(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    from . import ipvs_hooks

    return ipvs_hooks.run(e, v, hook, skb)


def _refuse(e: Engine, v: View, hook: str, skb: Skb, table: str, verdict: object) -> None:
    how = f"REJECT in table {table} at {hook}" if isinstance(verdict, Reject) else f"DROP in table {table} at {hook}"
    if isinstance(verdict, Reject):
        forward.reject(e, v, skb, verdict.how, hook)
    e.emit(Dropped(v.name, skb.journey, "NETFILTER_DROP", how, skb.packet))


def _track(e: Engine, v: View, skb: Skb) -> None:
    """Look the packet up in the connection table (nf_conntrack_in)."""
    if skb.ct is not None or skb.ctstate == "UNTRACKED":
        return  # seen already: it came round through the loopback device
    packet = skb.packet
    if type(packet.payload) is Ndp:
        skb.ctstate = "UNTRACKED"
        return
    if type(packet.payload) is Icmp and packet.payload.is_error:
        _track_error(e, v, skb)
        return
    flow = None if type(packet.payload) is Fragment else conntrack.flow_of(packet)
    found = v.ct.find(flow, conntrack.is_answer(packet)) if flow is not None else None
    if found is not None and conntrack.reopens(*found, packet):
        _forget(v, skb, found[0])
        found = None
    if found is None:
        if flow is None or not conntrack.creates(packet, v.ns):
            _tracked(e, v, skb, "INVALID", None)
            return
        ct = Ct(flow, flow.reverse())
        conntrack.advance(ct, conntrack.ORIGINAL, packet)
        skb.ct, skb.ctdir = ct, conntrack.ORIGINAL
        _tracked(e, v, skb, "NEW", None)
        return
    ct, direction = found
    if not conntrack.valid(ct, direction, packet):
        _tracked(e, v, skb, "INVALID", None)
        return
    skb.ct, skb.ctdir = ct, direction
    state = "ESTABLISHED" if direction == conntrack.REPLY or ct.seen_reply else "NEW"
    killed = conntrack.ends(ct, direction, packet)
    changed = conntrack.advance(ct, direction, packet)
    _tracked(e, v, skb, state, ct)
    if killed:
        _forget(v, skb, ct)
        return
    if changed and ct.confirmed:
        v.learn_connection(skb.journey, ct)


def _forget(v: View, skb: Skb, ct: Ct) -> None:
    v.ct.remove(ct)
    v.forget_connection(skb.journey, ct)


def _tracked(e: Engine, v: View, skb: Skb, state: str, ct: Ct | None) -> None:
    skb.ctstate = state
    e.emit(Tracked(v.name, skb.journey, state, skb.ctdir, ct.freeze() if ct is not None else None))


def _track_error(e: Engine, v: View, skb: Skb) -> None:
    """An ICMP error belongs to the connection of the packet that it quotes (nf_conntrack_inet_error)."""
    quoted = skb.packet.payload.data
    flow = conntrack.flow_of(quoted) if isinstance(quoted, Packet) else None
    found = v.ct.find(flow.reverse(), not conntrack.is_answer(quoted)) if flow is not None else None
    if found is None:
        _tracked(e, v, skb, "INVALID", None)
        return
    skb.ct, skb.ctdir = found
    _tracked(e, v, skb, "RELATED", skb.ct)


def _nat(e: Engine, v: View, hook: str, skb: Skb, table) -> bool:
    """The nat table, for the first packet of a connection alone, then the rewriting, for every packet (nf_nat_inet_fn)."""
    ct = skb.ct
    if ct is None:
        return True
    source = hook not in DESTINATION_NAT
    which = "src" if source else "dst"
    if skb.ctstate == "NEW" and which not in ct.done:
        target = walk(table, hook, skb, v) if table is not None else Verdict("ACCEPT")
        if isinstance(target, Verdict) and target.name == "DROP":
            _refuse(e, v, hook, skb, "nat", target)
            return False
        if isinstance(target, Nat):
            address, port = _wanted(v, hook, skb, target)
            conntrack.setup(ct, which, address, port, v.ct, target.random or target.random_fully)
        else:
            conntrack.setup(ct, which, None, None, v.ct)
    new = conntrack.manipulate(ct, skb.ctdir, source, skb.packet)
    if new is not skb.packet and new != skb.packet:
        e.emit(Rewritten(v.name, skb.journey, _name(ct, skb, source), skb.packet, new))
        skb.packet = new
    return True


def _name(ct: Ct, skb: Skb, source: bool) -> str:
    """What to call a rewriting: DNAT or SNAT, or the undoing of one on the way back."""
    if skb.ctdir == conntrack.ORIGINAL:
        return "SNAT" if source else "DNAT"
    return "un-DNAT" if source else "un-SNAT"


def _wanted(v: View, hook: str, skb: Skb, target: Nat):
    port = None if target.ports is None else target.ports[0]
    if (
        target.ports is not None
        and target.ports[0] <= (skb.packet.sport if target.name in ("SNAT", "MASQUERADE") else -1) <= target.ports[1]
    ):
        port = skb.packet.sport
    if target.name == "MASQUERADE":
        return masquerade_address(v.ns, skb.oif, skb.nexthop or skb.packet.dst), port
    if target.name == "REDIRECT":
        if hook == "OUTPUT":
            return type(skb.packet.dst)(0x7F000001 if skb.packet.version == 4 else 1), port
        return address_on(v.ns, skb.iif, skb.packet.src), port
    return target.address, port


def _confirm(v: View, skb: Skb) -> None:
    """Put a new connection into the table (nf_conntrack_confirm)."""
    ct = skb.ct
    if ct is not None and not ct.confirmed:
        ct.confirmed = True
        v.ct.add(ct)
        v.learn_connection(skb.journey, ct)
