"""What IPVS does to packets: at LOCAL_IN it stands behind the filter table, at LOCAL_OUT behind destination NAT, at FORWARD for replies.

Follows ip_vs_core.c, ip_vs_conn.c, ip_vs_xmit.c (NAT) and ip_vs_nfct.c. A request for a virtual server is given
to a real one, rewritten, routed anew and sent through LOCAL_OUT and POSTROUTING, where it may be masqueraded; a packet that has been
handled once passes by. Conntrack is told of the new address if net.ipv4.vs.conntrack is 1, and forgets the packet if it is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..value import replace
from . import answers, output
from .conntrack import ORIGINAL
from .events import Dropped, Learned, Rewritten, Scheduled
from .fib import lookup
from .ipvs import SCHEDULERS, IpvsConn, RealServer, ServerKey, VirtualServer, loads
from .ops_ipvs import IpvsConnDel, IpvsConnSet, IpvsMarkSet
from .packet import Icmp, IPAddress, Packet, Skb, Tcp, Udp, with_ports

if TYPE_CHECKING:
    from .engine import Engine, View

# tcp_states of ip_vs_proto_tcp.c, for SYN, FIN, ACK and RST, from the client (INPUT) and from the server (OUTPUT).
_STATES = ("NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK")
_SHORT = {"NO": "NONE", "ES": "ESTABLISHED", "SS": "SYN_SENT", "SR": "SYN_RECV", "FW": "FIN_WAIT", "TW": "TIME_WAIT", "CL": "CLOSE",
          "CW": "CLOSE_WAIT", "LA": "LAST_ACK", "LI": "LISTEN", "SA": "SYNACK"}  # fmt: skip
_TCP = {
    ("in", "SYN"): "SR ES ES SR SR SR SR SR SR SR SR",
    ("in", "FIN"): "CL CW SS TW TW TW CL CW LA LI TW",
    ("in", "ACK"): "ES ES SS ES FW TW CL CW CL LI ES",
    ("in", "RST"): "CL CL CL SR CL CL CL CL LA LI SR",
    ("out", "SYN"): "SS ES SS SR SS SS SS SS SS LI SR",
    ("out", "FIN"): "TW FW SS TW FW TW CL TW LA LI TW",
    ("out", "ACK"): "ES ES SS ES FW TW CL CW LA ES ES",
    ("out", "RST"): "CL CL SS CL CL TW CL CL CL CL CL",
}
TRANSITIONS = {(way, kind, old): _SHORT[new] for (way, kind), row in _TCP.items() for old, new in zip(_STATES, row.split(), strict=True)}
TIMEOUTS = {
    "NONE": 2, "ESTABLISHED": 900, "SYN_SENT": 120, "SYN_RECV": 60, "FIN_WAIT": 120, "TIME_WAIT": 120, "CLOSE": 10, "CLOSE_WAIT": 60,
    "LAST_ACK": 30, "LISTEN": 120, "SYNACK": 120, "UDP": 300, "SCTP": 3,
}  # fmt: skip
"""How long a connection in that state is remembered after its last packet, in seconds."""

PROTOCOLS = ("tcp", "udp", "sctp")
INVALID = 0xFFFF  # the ports of a template whose real server is gone


class IpvsTable:
    """A namespace's IPVS during a trace: the frozen state and, on top, what the trace has changed."""

    __slots__ = ("conns", "marks", "replies", "servers", "view")

    def __init__(self, view: View) -> None:
        frozen = view.ns.ipvs
        self.view, self.servers = view, frozen.servers
        self.conns, self.marks = dict(frozen.conns), dict(frozen.marks)
        self.replies = {_reply_key(conn): conn for conn in frozen.conns.values() if not conn.template}

    @property
    def now(self) -> float:
        return self.view.engine.now

    def request(self, packet: Packet) -> IpvsConn | None:
        """The connection that the packet of a client belongs to."""
        return self._live(self.conns.get((ServerKey(packet.proto, packet.dst, packet.dport), packet.src, packet.sport)))

    def answered(self, packet: Packet) -> IpvsConn | None:
        """The connection in which the virtual server sent this packet to its client."""
        return self._live(self.conns.get((ServerKey(packet.proto, packet.src, packet.sport), packet.dst, packet.dport)))

    def reply(self, packet: Packet, inverse: bool = False) -> IpvsConn | None:
        """The connection that the packet of a real server belongs to; ``inverse``: of one that goes there."""
        ends = ((packet.src, packet.sport), (packet.dst, packet.dport))
        real, client = reversed(ends) if inverse else ends
        return self._live(self.replies.get((packet.proto, *real, *client)))

    def template(self, key: ServerKey, client: IPAddress) -> IpvsConn | None:
        """What persistence remembers of a client; it lives on as long as one of its connections does."""
        found = self.conns.get((key, client, 0))
        if found is None or found.expires >= self.now:
            return found
        held = any(c.server == key and c.client == client and c.client_port and c.expires >= self.now for c in self.conns.values())
        return found if held else None

    def _live(self, conn: IpvsConn | None) -> IpvsConn | None:
        return conn if conn is not None and conn.expires >= self.now else None

    def learn(self, journey: int, conn: IpvsConn) -> None:
        self.conns[conn.key] = conn
        if not conn.template:
            self.replies[_reply_key(conn)] = conn
        self.view.engine.emit(Learned(self.view.name, journey, IpvsConnSet(self.view.name, conn)))

    def forget(self, journey: int, conn: IpvsConn) -> None:
        self.conns.pop(conn.key, None)
        self.replies.pop(_reply_key(conn), None)
        self.view.engine.emit(Learned(self.view.name, journey, IpvsConnDel(self.view.name, conn)))

    def pick(self, journey: int, server: VirtualServer, packet: Packet) -> RealServer | None:
        """The scheduler's choice; its place in the round moves on."""
        counts = loads(server.key, self.conns.values(), self.now)
        before = self.marks.get(server.key, ())
        chosen, mark = SCHEDULERS[server.scheduler](server, before, lambda real: counts.get((real.address, real.port), (0, 0)), packet)
        if mark != before:
            self.marks[server.key] = mark
            self.view.engine.emit(Learned(self.view.name, journey, IpvsMarkSet(self.view.name, server.key, mark)))
        return chosen


def _reply_key(conn: IpvsConn) -> tuple:
    return (conn.server.proto, conn.real, conn.real_port, conn.client, conn.client_port)


def run(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    """IPVS at INPUT, OUTPUT or FORWARD; False if the packet does not go on from here (it was sent elsewhere, or dropped)."""
    packet = skb.packet
    if skb.ipvs:
        return True
    if type(packet.payload) is Icmp and packet.payload.is_error and isinstance(packet.payload.data, Packet):
        return _error(e, v, hook, skb, packet.payload.data)
    if packet.proto not in PROTOCOLS or not hasattr(packet.payload, "dport"):
        return True
    conn = v.ipvs.reply(packet)
    if conn is not None:
        _answer(e, v, skb, conn)
        return True
    return hook == "FORWARD" or _request(e, v, hook, skb)


def _answer(e: Engine, v: View, skb: Skb, conn: IpvsConn) -> None:
    """A real server's packet gets the virtual server's address as its source (handle_response)."""
    new = with_ports(skb.packet, src=conn.server.address, sport=conn.server.port)
    e.emit(Rewritten(v.name, skb.journey, "un-IPVS", skb.packet, new))
    _move(v.ipvs, skb, conn, "out")
    skb.packet, skb.ipvs = new, True
    if not v.ns.sysctl("net.ipv4.vs.conntrack"):
        skb.ct, skb.ctstate = None, "UNTRACKED"


def _error(e: Engine, v: View, hook: str, skb: Skb, quoted: Packet) -> bool:
    """An ICMP error about a connection: about what went to the real server (ip_vs_out_icmp), or about an answer (ip_vs_in_icmp)."""
    if quoted.proto not in PROTOCOLS or not hasattr(quoted.payload, "dport"):
        return True
    old = skb.packet
    conn = v.ipvs.reply(quoted, inverse=True)
    if conn is not None:  # to the client it seems to come from the virtual server, and to be about it
        inner = with_ports(quoted, dst=conn.server.address, dport=conn.server.port)
        new = replace(old, src=conn.server.address, payload=replace(old.payload, data=inner))
        e.emit(Rewritten(v.name, skb.journey, "un-IPVS", old, new))
        skb.packet, skb.ipvs = new, True
        return True
    conn = v.ipvs.answered(quoted) if hook != "FORWARD" else None
    if conn is None:
        return True
    inner = with_ports(quoted, src=conn.real, sport=conn.real_port)
    return _send(e, v, hook, skb, conn, replace(old, dst=conn.real, payload=replace(old.payload, data=inner)))


def _move(table: IpvsTable, skb: Skb, conn: IpvsConn, way: str) -> None:
    """The connection after this packet: its state, and its time begun anew; what persistence remembers is assured with it."""
    state, payload = conn.state, skb.packet.payload
    if type(payload) is Tcp:
        kind = next((kind for flag, kind in (("R", "RST"), ("S", "SYN"), ("F", "FIN"), ("A", "ACK")) if flag in payload.flags), None)
        state = TRANSITIONS[way, kind, state] if kind else state
    table.learn(skb.journey, replace(conn, state=state, expires=table.now + TIMEOUTS[state]))
    template = table.conns.get((conn.server, conn.client, 0))
    assures = state == "ESTABLISHED" != conn.state if type(payload) is not Udp else way == "out"
    if assures and template is not None and template.state != "ASSURED":
        table.learn(skb.journey, replace(template, state="ASSURED"))


def _request(e: Engine, v: View, hook: str, skb: Skb) -> bool:
    table, packet = v.ipvs, skb.packet
    conn = table.request(packet)
    if conn is not None:
        server = table.servers.get(conn.server)
        real = next((each for each in server.real if (each.address, each.port) == (conn.real, conn.real_port)), None) if server else None
        new = type(packet.payload) is Tcp and "S" in packet.payload.flags and "A" not in packet.payload.flags
        expires = bool(v.ns.sysctl("net.ipv4.vs.expire_nodest_conn"))
        stale = new and (conn.state == "TIME_WAIT" or (expires and real is not None and real.weight == 0))
        if real is None or stale:
            if real is None and not expires:
                return _drop(e, v, skb, f"the real server {conn.real}:{conn.real_port} of this connection is gone")
            table.forget(skb.journey, conn)
            if skb.ct is not None and skb.ct.confirmed:  # conntrack would still send it to the old one
                return _drop(e, v, skb, "the connection's real server is gone, and conntrack still knows it")
            conn = None
    if conn is None:
        conn = _schedule(e, v, hook, skb)
        if not isinstance(conn, IpvsConn):
            return conn
    _move(table, skb, conn, "in")
    return _send(e, v, hook, skb, conn)


def _drop(e: Engine, v: View, skb: Skb, why: str) -> bool:
    e.emit(Dropped(v.name, skb.journey, "NETFILTER_DROP", f"IPVS: {why}", skb.packet))
    return False


def _schedule(e: Engine, v: View, hook: str, skb: Skb) -> IpvsConn | bool:
    """A new connection (ip_vs_schedule), or what to do with a packet that begins none: True to let it pass, False if it was dropped."""
    table, packet = v.ipvs, skb.packet
    if type(packet.payload) is Tcp and ("S" not in packet.payload.flags or "R" in packet.payload.flags):
        return True
    server = table.servers.get(ServerKey(packet.proto, packet.dst, packet.dport))
    if server is None:
        return True
    if (
        hook == "OUTPUT" or skb.iif == "lo"
    ):  # the answer of a real server on this host, to a client that is itself a virtual server's address
        back = ServerKey(packet.proto, packet.src, packet.sport)
        if (back, packet.dst, packet.dport) in table.conns:
            return True
    real, why = _persistent(table, skb, server) if server.timeout else (table.pick(skb.journey, server, packet), server.scheduler)
    if real is None:
        answers.icmp_error(e, v, skb, *((3, 3) if packet.version == 4 else (1, 4)))
        return _drop(e, v, skb, f"no real server for {server.key}")
    e.emit(Scheduled(v.name, skb.journey, server, real, why))
    state = {"tcp": "NONE", "udp": "UDP", "sctp": "SCTP"}[packet.proto]
    return IpvsConn(server.key, packet.src, packet.sport, real.address, real.port, state, e.now)


def _persistent(table: IpvsTable, skb: Skb, server: VirtualServer) -> tuple[RealServer | None, str]:
    """The real server that this client had before, else the scheduler's choice, to be remembered (ip_vs_sched_persist)."""
    client, why = skb.packet.src, "persistent"
    found = table.template(server.key, client)
    real = next((r for r in server.real if found and (r.address, r.port) == (found.real, found.real_port)), None)
    quiescent = real is not None and real.weight == 0 and table.view.ns.sysctl("net.ipv4.vs.expire_quiescent_template")
    if real is None or quiescent:
        if found is not None:  # it stays until its time is up, though nobody finds it (ip_vs_check_template)
            table.forget(skb.journey, found)
            table.learn(skb.journey, replace(found, server=server.key._replace(port=INVALID), real_port=INVALID))
        real, why = table.pick(skb.journey, server, skb.packet), server.scheduler
    if real is not None:
        state = found.state if why == "persistent" else "NONE"
        table.learn(skb.journey, IpvsConn(server.key, client, 0, real.address, real.port, state, table.now + server.timeout))
    return real, why


def _send(e: Engine, v: View, hook: str, skb: Skb, conn: IpvsConn, rewritten: Packet | None = None) -> bool:
    """To the real server (ip_vs_nat_xmit): routed anew, its TTL one less, its destination rewritten."""
    old = skb.packet
    route, _ = lookup(v.ns, conn.real, None, mark=skb.mark)
    if route is None or route.type not in ("unicast", "local"):
        output.drop(e, v, skb, "IP_OUTNOROUTES", f"IPVS: no route to the real server {conn.real}")
        return False
    local = route.type == "local"
    if old.ttl <= 1:
        answers.icmp_error(e, v, skb, *((11, 0) if old.version == 4 else (3, 0)))
        return _drop(e, v, skb, "the TTL ends here")
    mtu = route.mtu or (v.interface(route.dev).mtu if route.dev else 65536)
    if not local and len(old) > mtu and old.df:
        answers.icmp_error(e, v, skb, *((3, 4) if old.version == 4 else (2, 0)), mtu)
        return _drop(e, v, skb, f"{len(old)} bytes do not fit through {route.dev} (MTU {mtu})")
    lower = replace(old, ttl=old.ttl - 1)
    e.emit(Rewritten(v.name, skb.journey, "TTL", old, lower))
    new = replace(rewritten, ttl=lower.ttl) if rewritten else with_ports(lower, dst=conn.real, dport=conn.real_port)
    e.emit(Rewritten(v.name, skb.journey, "IPVS", lower, new))
    skb.packet, skb.ipvs = new, True
    _tell_conntrack(v, skb, conn)
    if local:
        return True
    from .hooks import run_hook

    skb.oif, skb.nexthop = route.dev, route.via
    if run_hook(e, v, "OUTPUT", skb):
        output.output(e, v, skb, route)
    return False


def _tell_conntrack(v: View, skb: Skb, conn: IpvsConn) -> None:
    """The reply will come from the real server (ip_vs_update_conntrack); or conntrack is to forget the packet (ip_vs_notrack)."""
    if not v.ns.sysctl("net.ipv4.vs.conntrack"):
        skb.ct, skb.ctstate = None, "UNTRACKED"
    elif skb.ct is not None and not skb.ct.confirmed and skb.ctdir == ORIGINAL:
        skb.ct.reply = skb.ct.reply._replace(src=conn.real, sport=conn.real_port)
