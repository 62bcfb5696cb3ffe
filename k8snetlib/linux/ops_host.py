"""Ops on what else a host keeps: sysctls, sockets, connections."""

from __future__ import annotations

from ..errors import ModelError
from ..value import value
from .draft import Draft
from .ops_fields import wrong_kind
from .packet import Flow
from .state import Conntrack, Socket


@value
class SysctlSet:
    """Write a sysctl of the namespace, e.g. ``net.ipv4.ip_forward``. Switching IPv6 off takes its addresses, routes and neighbours away."""

    netns: str
    key: str
    value: int

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        if not isinstance(self.value, int):  # "0" would count as switched on
            raise ModelError(f"sysctl {self.key}: the value is a whole number, not {self.value!r}")
        ns = draft.ns(self.netns)
        ns.sysctls[self.key] = self.value
        if self.key == "net.ipv6.conf.all.disable_ipv6":
            if self.value:
                ns.stop_ipv6()
            else:
                draft.start_ipv6(self.netns)

    def command(self) -> str:
        how = "-eqw" if self.key.startswith("net.bridge.") and not self.value else "-qw"  # without br_netfilter it is not there, and off
        return f"ip netns exec {self.netns} sysctl {how} {self.key}={self.value}"


@value
class Listen:
    """A process binds a socket. As in Linux, a second one on the same address and port fails: "Address already in use"."""

    netns: str
    socket: Socket

    def __post_init__(self) -> None:
        if not isinstance(self.socket, Socket):
            raise wrong_kind("Listen", self.socket, "a Socket of k8snetlib.linux.state")

    def apply(self, draft: Draft) -> None:
        ns = draft.inside(self.netns)
        if ns is None:
            return
        new = self.socket
        same_port = ns.on_port(new.proto, new.port)
        for old in same_port:
            if old.address is None or new.address is None or old.address == new.address:
                raise ModelError(f"bind {new.proto} port {new.port}: Address already in use (EADDRINUSE), by {old.process or old}")
        ns.sockets.append(new)
        same_port.append(new)

    def command(self) -> str:
        s = self.socket
        bind = f",bind={s.address}" if s.address else ""
        return f"ip netns exec {self.netns} socat {s.proto.upper()}{'6' if s.address is None else s.address.version}-LISTEN:{s.port}{bind},fork EXEC:cat &"


@value
class ConntrackAdd:
    """Put a connection-tracking entry in place, or the next state of one; a packet leaves these behind."""

    netns: str
    entry: Conntrack

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).conntrack[self.entry.original] = self.entry

    def command(self) -> str:
        f, r = self.entry.original, self.entry.reply
        words = f"-p {f.proto} -s {f.src} -d {f.dst} --sport {f.sport} --dport {f.dport} -r {r.src} -q {r.dst} --reply-port-src {r.sport} --reply-port-dst {r.dport}"
        return f"ip netns exec {self.netns} conntrack -I {words} -t 120"


@value
class ConntrackDel:
    """Remove a connection-tracking entry, named by its original tuple; a reset that is a SYN's only answer does it."""

    netns: str
    original: Flow

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            draft.ns(self.netns).conntrack.pop(self.original, None)

    def command(self) -> str:
        f = self.original
        return f"ip netns exec {self.netns} conntrack -D -p {f.proto} -s {f.src} -d {f.dst} --sport {f.sport} --dport {f.dport}"
