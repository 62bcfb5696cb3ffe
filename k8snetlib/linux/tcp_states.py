"""How conntrack follows a TCP connection: the state machine of nf_conntrack_proto_tcp.c, and what it remembers beside the state.

Not modelled: the windows (tcp_in_window). A segment counts as one of the other end's window, as those of real ends are; of one that is not a
kernel says INVALID (net.netfilter.nf_conntrack_tcp_be_liberal).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..value import replace
from .packet import Tcp

if TYPE_CHECKING:
    from .conntrack import Ct

ORIGINAL, REPLY = "original", "reply"
INVALID, IGNORED = "IV", "IG"

# The table tcp_conntracks of nf_conntrack_proto_tcp.c: for each direction and kind of segment, the next state by the present one.
# IV: the segment is INVALID; IG: it belongs to the connection and changes nothing.
_STATES = ("NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2")
_TCP = {
    (ORIGINAL, "SYN"): "SS SS IG IG IG IG IG SS SS S2",
    (ORIGINAL, "SYNACK"): "IV IV SR IV IV IV IV IV IV SR",
    (ORIGINAL, "FIN"): "IV IV FW FW LA LA LA TW CL IV",
    (ORIGINAL, "ACK"): "ES IV ES ES CW CW TW TW CL IV",
    (ORIGINAL, "RST"): "IV CL CL CL CL CL CL CL CL CL",
    (REPLY, "SYN"): "IV S2 IV IV IV IV IV SS IV S2",
    (REPLY, "SYNACK"): "IV SR IG IG IG IG IG IG IG SR",
    (REPLY, "FIN"): "IV IV FW FW LA LA LA TW CL IV",
    (REPLY, "ACK"): "IV IG SR ES CW CW TW TW CL IG",
    (REPLY, "RST"): "IV CL CL CL CL CL CL CL CL CL",
}
_NAMES = {
    "NO": "", "SS": "SYN_SENT", "SR": "SYN_RECV", "ES": "ESTABLISHED", "FW": "FIN_WAIT", "CW": "CLOSE_WAIT", "LA": "LAST_ACK",
    "TW": "TIME_WAIT", "CL": "CLOSE", "S2": "SYN_SENT2",
}  # fmt: skip
TRANSITIONS = {
    (direction, kind, _NAMES[old]): new if new in (INVALID, IGNORED) else _NAMES[new]
    for (direction, kind), row in _TCP.items()
    for old, new in zip(_STATES, row.split(), strict=True)
}


def tcp_kind(segment: Tcp) -> str:
    """SYN, SYNACK, FIN, RST, ACK or NONE: how the state machine sees the flags (get_conntrack_index)."""
    flags = segment.flags
    if "R" in flags:
        return "RST"
    if "S" in flags:
        return "SYNACK" if "A" in flags else "SYN"
    return "FIN" if "F" in flags else "ACK" if "A" in flags else "NONE"


# Without PSH, ECE and CWR, which say nothing here (tcp_valid_flags)
_VALID_FLAGS = frozenset(map(frozenset, ("S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU")))
_UNJUDGED = str.maketrans("", "", "PEC")


@lru_cache(maxsize=512)
def malformed(flags: str) -> bool:
    """Whether the flags are some that no TCP sends together (tcp_error): such a segment belongs to no connection."""
    return frozenset(flags.translate(_UNJUDGED)) not in _VALID_FLAGS


def next_state(ct: Ct, direction: str, segment: Tcp) -> str:
    """The connection's next state by the table; or INVALID, or IGNORED."""
    return TRANSITIONS.get((direction, tcp_kind(segment), ct.state), INVALID)


def reopens(ct: Ct, direction: str, segment: Tcp) -> bool:
    """Whether a SYN starts a closed connection anew: where a FIN closed it, or where the last segment was a reset from the same side.
    After a reset from the other side the SYN is ignored, and goes the way of the old connection."""
    closed = ct.state in ("TIME_WAIT", "CLOSE") and next_state(ct, direction, segment) == "SYN_SENT"
    return closed and (ct.tcp.finished or ct.tcp.reset == direction)


def advance(ct: Ct, direction: str, segment: Tcp) -> None:
    """Take a valid segment into account."""
    kind, notes, old, new = tcp_kind(segment), ct.tcp, ct.state, next_state(ct, direction, segment)
    last = replace(notes, reset="", ignored=None, challenge=False) if notes.reset or notes.ignored is not None else notes
    if new == IGNORED or (new == "SYN_SENT" and old in ("TIME_WAIT", "CLOSE")):
        if kind == "SYNACK" and direction == REPLY and segment.ack == notes.ignored:  # the ends are in step: they begin anew
            ct.state, ct.tcp = "SYN_RECV", replace(last, finished=False)
        elif kind == "SYN" and direction == ORIGINAL:
            ct.tcp = replace(last, ignored=_end(segment), challenge=old == "LAST_ACK", crossed=False)
        else:
            ct.tcp = last
        return
    if new == "TIME_WAIT" and old == "LAST_ACK" and kind == "ACK" and direction == REPLY and notes.challenge:
        ct.tcp = replace(notes, challenge=False)  # an answer to the SYN (RFC 5961 section 4), not to the last FIN
        return
    if new == "SYN_RECV" and kind == "ACK" and direction == REPLY and notes.crossed:
        new = "ESTABLISHED"
    if kind == "RST":
        last = replace(last, reset=direction)
    if new != old and new in ("FIN_WAIT", "SYN_SENT2"):
        last = replace(last, finished=last.finished or new == "FIN_WAIT", crossed=last.crossed or new == "SYN_SENT2")
    if old in ("SYN_RECV", "ESTABLISHED") and new == "ESTABLISHED" and ct.seen_reply:  # by a packet before this one
        ct.assured = True
    ct.state, ct.tcp = new, last


def _end(segment: Tcp) -> int:
    """The number after the segment's last."""
    return segment.seq + len(segment.data) + ("S" in segment.flags) + ("F" in segment.flags) & 0xFFFFFFFF
