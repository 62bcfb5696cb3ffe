"""The netfilter hooks: at each, the tables in the kernel's order, with conntrack and NAT where they stand.

Priorities (include/uapi/linux/netfilter_ipv4.h): raw −300, conntrack −200, mangle −150, destination NAT −100, filter 0, source NAT 100,
security 150 (see netfilter.ORDER), confirmation last. Where there are nftables too, ``nftables_walk.plan`` merges the chains of both by priority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError, UnsupportedError
from . import answers, conntrack
from .conntrack import Ct
from .events import Dropped, Rewritten, Tracked
from .fib import address_on, masquerade_address
from .fragments import with_transport
from .netfilter import ORDER, walk
from .packet import Fragment, Icmp, Ndp, Packet, Redirect, Skb
from .targets import Nat, Reject, Verdict

if TYPE_CHECKING:
    from .engine import Engine, View

FIRST, LAST = ("PREROUTING", "OUTPUT"), ("INPUT", "POSTROUTING")
DESTINATION_NAT = ("PREROUTING", "OUTPUT")
BEHIND_IPVS = {"INPUT": "nat", "OUTPUT": "filter"}  # the table that comes next after IPVS (ip_vs_ops4); at FORWARD it comes last


def run_hook(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    """Take the packet through one hook; False if it ended there (the drop, and what REJECT answers, are already told)."""
    version = skb.packet.version
    if v.ns.nftables is not None:
        return _run_merged(e, v, hook, skb)
    ruleset = v.ns.rulesets.get(version)
    if ruleset is None and not v.serves:
        return True
    tables = ruleset.tables if ruleset is not None else {}
    v.journey, tracks = skb.journey, v.tracked.get(version, False)
    if "raw" not in tables and tracks and hook in FIRST:
        _track(e, v, skb)
    for name in ORDER[hook] if v.serves else ruleset.stops(hook):
        if v.serves and name == BEHIND_IPVS.get(hook) and not _ipvs(e, v, hook, skb):
            return False
        table = tables.get(name)
        if table is None:
            continue
        if name == "nat":
            if tracks and not _nat(e, v, hook, skb, (("xtables", name, table),)):
                return False
        else:
            verdict = walk(table, hook, skb, v)
            if not isinstance(verdict, Verdict) or verdict.name != "ACCEPT":
                _refuse(e, v, hook, skb, ("xtables", name), verdict)
                return False
        if name == "raw" and tracks and hook in FIRST:
            _track(e, v, skb)
    if v.serves and hook == "FORWARD" and not _ipvs(e, v, hook, skb):
        return False
    return not (tracks and hook in LAST) or _confirm(e, v, skb)


def _ipvs(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    from . import ipvs_hooks

    return ipvs_hooks.run(e, v, hook, skb)


def _run_merged(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    """As ``run_hook`` in a namespace with nftables: the chains of both, by priority."""
    from .nftables_walk import plan

    if v.serves:
        raise UnsupportedError("IPVS beside nftables tables is not modelled")
    version = skb.packet.version
    tracks = v.tracked.get(version, False)
    v.journey = skb.journey
    skb.reroute = False
    for step in plan(v.ns, version, hook):
        kind = step[0]
        if kind == "track":
            if tracks:
                _track(e, v, skb)
        elif kind == "nat":
            if tracks and not _nat(e, v, hook, skb, step[1]):
                return False
        else:
            mark = skb.mark
            verdict = _ask(step, hook, skb, v)
            skb.reroute |= skb.mark != mark and (step[1] == "mangle" if kind == "xtables" else step[2].hook.type == "route")
            if isinstance(verdict, Nat):
                raise ModelError(f"{verdict.name} was reached from a chain that is not of type nat ({step[2].name})")
            if not isinstance(verdict, Verdict) or verdict.name != "ACCEPT":
                _refuse(e, v, hook, skb, step, verdict)
                return False
    return not (tracks and hook in LAST) or _confirm(e, v, skb)


def _ask(step: tuple, hook: str, skb: Skb, v: View) -> object:
    """One table's, or base chain's, answer."""
    if step[0] == "xtables":
        return walk(step[2], hook, skb, v)
    from . import nftables_walk

    return nftables_walk.walk(step[1], step[2], hook, skb, v)


def _refuse(e: Engine, v: View, hook: str, skb: Skb, step: tuple, verdict: object) -> None:
    if step[0] == "xtables":
        how = f"{'REJECT' if isinstance(verdict, Reject) else 'DROP'} in table {step[1]} at {hook}"
    else:
        how = f"{'reject' if isinstance(verdict, Reject) else 'drop'} in chain {step[2].name} of table {step[1].title} at {hook.lower()}"
    if isinstance(verdict, Reject):
        answers.reject(e, v, skb, verdict.how, hook)
    e.emit(Dropped(v.name, skb.journey, "NETFILTER_DROP", how, skb.packet))


def _track(e: Engine, v: View, skb: Skb) -> None:
    """Look the packet up in the connection table (nf_conntrack_in)."""
    if skb.ct is not None or skb.ctstate == "UNTRACKED":
        return  # seen already: it came round through the loopback device
    packet = skb.packet
    if type(packet.payload) is Ndp:
        skb.ctstate = "UNTRACKED"
        return
    if (type(packet.payload) is Icmp and packet.payload.is_error) or (type(packet.payload) is Redirect and not packet.payload.lladdr):
        _track_error(e, v, skb)  # of a redirect conntrack reads the first option alone (nf_conntrack_icmpv6_redirect)
        return
    flow = None if type(packet.payload) is Fragment or conntrack.malformed(packet) else conntrack.flow_of(packet)
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
    killed = conntrack.ends(ct, packet)
    changed = conntrack.advance(ct, direction, packet)
    _tracked(e, v, skb, state, ct)
    if killed:
        _forget(v, skb, ct)
        return
    if changed and ct.confirmed:
        v.learn_connection(skb.journey, ct)


def attach(e: Engine, v: View, skb: Skb, about: Skb) -> None:
    """An answer of the kernel's own belongs to the connection of the packet that it is about, in the other direction."""
    skb.ct, skb.ctdir = about.ct, conntrack.REPLY if about.ctdir == conntrack.ORIGINAL else conntrack.ORIGINAL
    _tracked(e, v, skb, "RELATED", skb.ct if skb.ct.confirmed else None)


def _forget(v: View, skb: Skb, ct: Ct) -> None:
    v.ct.remove(ct)
    v.forget_connection(skb.journey, ct)


def _tracked(e: Engine, v: View, skb: Skb, state: str, ct: Ct | None) -> None:
    skb.ctstate = state
    e.emit(Tracked(v.name, skb.journey, state, skb.ctdir, ct.freeze() if ct is not None else None))


def _track_error(e: Engine, v: View, skb: Skb) -> None:
    """An ICMP error belongs to the connection of the packet that it quotes (nf_conntrack_inet_error)."""
    quoted = skb.packet.payload.data
    quoted = with_transport(quoted) if isinstance(quoted, Packet) else None
    flow = conntrack.flow_of(quoted) if quoted is not None and type(quoted.payload) is not Fragment else None
    found = v.ct.find(flow.reverse(), not conntrack.is_answer(quoted)) if flow is not None else None
    if found is None or (found[0].original if found[1] == conntrack.ORIGINAL else found[0].reply).dst != skb.packet.dst:
        _tracked(e, v, skb, "INVALID", None)
        return
    skb.ct, skb.ctdir = found
    _tracked(e, v, skb, "RELATED", skb.ct)


def _nat(e: Engine, v: View, hook: str, skb: Skb, lookups: tuple[tuple, ...]) -> bool:
    """The nat chains until one decides, for the first packet of a connection; then the rewriting, for every packet (nf_nat_inet_fn)."""
    ct = skb.ct
    if ct is None:
        return True
    if _leads_round(v, skb):
        told = "a redirect about a connection that NAT rewrites: who heeds it would go round the translation"
        e.emit(Dropped(v.name, skb.journey, "NETFILTER_DROP", told, skb.packet))
        return False
    source = hook not in DESTINATION_NAT
    which = "src" if source else "dst"
    new = skb.ctstate == "NEW" or (skb.ctstate == "RELATED" and type(skb.packet.payload) not in (Icmp, Redirect))
    if new and which not in ct.done:
        for step in lookups:
            target = _ask(step, hook, skb, v)
            if isinstance(target, Reject) or (isinstance(target, Verdict) and target.name == "DROP"):
                _refuse(e, v, hook, skb, step, target)
                return False
            if isinstance(target, Nat):
                address, port = _wanted(v, hook, skb, target)
                if address is None and target.name == "REDIRECT":  # nf_nat_redirect_ipv4
                    e.emit(
                        Dropped(v.name, skb.journey, "NETFILTER_DROP", f"REDIRECT to an address of {skb.iif}, which has none", skb.packet)
                    )
                    return False
                conntrack.setup(ct, which, address, port, v.ct, target.random or target.random_fully)
                break
        else:
            conntrack.setup(ct, which, None, None, v.ct)
    changed = conntrack.manipulate(ct, skb.ctdir, source, skb.packet)
    if changed is not skb.packet and changed != skb.packet:
        e.emit(Rewritten(v.name, skb.journey, _name(ct, skb, source), skb.packet, changed))
        skb.packet = changed
    return True


def _leads_round(v: View, skb: Skb) -> bool:
    """Whether the packet is a redirect about a connection that NAT rewrites, or in IPv4 has not finished with (nf_nat_icmp_reply_translation,
    nf_nat_icmpv6_reply_translation). Where there are no nat chains nothing looks at it."""
    payload, ct = skb.packet.payload, skb.ct
    if type(payload) is Icmp and payload.version == 4 and payload.type == 5:
        return bool(ct.nat or ct.done != {"src", "dst"}) and answers.translates(v)
    return type(payload) is Redirect and bool(ct.nat)


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
        towards = skb.nexthop if skb.nexthop is not None and skb.packet.version == 4 else skb.packet.dst
        return masquerade_address(v.ns, skb.oif, towards), port
    if target.name == "REDIRECT":
        if hook == "OUTPUT":
            return type(skb.packet.dst)(0x7F000001 if skb.packet.version == 4 else 1), port
        return address_on(v.ns, skb.iif, skb.packet.src), port
    return target.address, port


def _confirm(e: Engine, v: View, skb: Skb) -> bool:
    """Put a new connection into the table (nf_conntrack_confirm); False if another one has its place, which takes IPVS without NAT."""
    ct = skb.ct
    if ct is not None and not ct.confirmed and skb.ctdir == conntrack.ORIGINAL:
        if v.ct.taken(ct.reply):
            e.emit(Dropped(v.name, skb.journey, "NETFILTER_DROP", "conntrack: another connection waits for the same answer", skb.packet))
            return False
        ct.confirmed = True
        v.ct.add(ct)
        v.learn_connection(skb.journey, ct)
    return True
