"""Ops on ipsets and on IPVS: virtual servers, and what packets leave behind there."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ..errors import ModelError
from ..value import value
from .draft import Draft
from .ipvs import FLAGS, Ipvs, IpvsConn, RealServer, ServerKey, VirtualServer, added


@value
class IpsetRestore:
    """Make sets and fill them, given as ``ipset restore`` text; what exists already is not an error (``-exist``)."""

    netns: str
    text: str

    def apply(self, draft: Draft) -> None:
        from .ipset import read_sets

        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            ns.ipsets = read_sets(self.text, ns.ipsets)

    def command(self) -> str:
        return f"ip netns exec {self.netns} ipset restore -exist <<'EOF'\n{self.text.rstrip()}\nEOF"


@value
class IpvsRestore:
    """Add virtual servers with their real ones (``ipvsadm -R``). ModelError if one exists."""

    netns: str
    servers: tuple[VirtualServer, ...]

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            old = ns.ipvs or Ipvs()
            ns.ipvs = replace(old, servers=MappingProxyType(added(old.servers, self.servers)))

    def text(self) -> str:
        return "\n".join(map(str, self.servers))

    def command(self) -> str:
        return f"ip netns exec {self.netns} ipvsadm -R <<'EOF'\n{self.text()}\nEOF"


@value
class RealServerSet:
    """Add a real server to a virtual one, or give it another weight."""

    netns: str
    server: ServerKey
    real: RealServer

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        old = _server(draft, self.netns, self.server)
        place = next((i for i, each in enumerate(old.real) if _same(each, self.real)), None)
        new = (*old.real, self.real) if place is None else (*old.real[:place], self.real, *old.real[place + 1 :])
        _put(draft, self.netns, replace(old, real=new))

    def words(self) -> str:
        return f"{FLAGS[self.server.proto]} {self.server} -r {self.real} -m -w {self.real.weight}"

    def command(self) -> str:
        run = f"ip netns exec {self.netns} ipvsadm"
        return f"{run} -e {self.words()} 2>/dev/null || {run} -a {self.words()}"


@value
class RealServerDel:
    """Take a real server away from a virtual one. ModelError if it is not there."""

    netns: str
    server: ServerKey
    real: RealServer

    def apply(self, draft: Draft) -> None:
        if draft.outside(self.netns):
            return
        old = _server(draft, self.netns, self.server)
        rest = tuple(each for each in old.real if not _same(each, self.real))
        if len(rest) == len(old.real):
            raise ModelError(f"ipvsadm: no such destination {self.real} of {self.server}")
        ns = draft.ns(self.netns)
        mark = ns.ipvs.marks.get(self.server)
        if mark and mark[0] == (self.real.address, self.real.port):  # the round goes on behind the one before it (ip_vs_rr_del_dest)
            before = old.destinations[: next(i for i, each in enumerate(old.destinations) if _same(each, self.real))]
            last = (before[-1].address, before[-1].port) if before else None
            ns.ipvs = replace(ns.ipvs, marks=MappingProxyType({**ns.ipvs.marks, self.server: (last, *mark[1:])}))
        _put(draft, self.netns, replace(old, real=rest))

    def words(self) -> str:
        return f"{FLAGS[self.server.proto]} {self.server} -r {self.real}"

    def command(self) -> str:
        return f"ip netns exec {self.netns} ipvsadm -d {self.words()}"


def _same(one: RealServer, other: RealServer) -> bool:
    return (one.address, one.port) == (other.address, other.port)


def _server(draft: Draft, netns: str, key: ServerKey) -> VirtualServer:
    try:
        return draft.ns(netns).ipvs.servers[key]
    except (AttributeError, KeyError):
        raise ModelError(f"ipvsadm: no such service {key}") from None


def _put(draft: Draft, netns: str, server: VirtualServer) -> None:
    ns = draft.ns(netns)
    ns.ipvs = replace(ns.ipvs, servers=MappingProxyType({**ns.ipvs.servers, server.key: server}))


@value
class IpvsConnSet:
    """Put a connection of IPVS in place, or its next state; packets leave these behind, and no command makes one."""

    netns: str
    conn: IpvsConn

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            old = ns.ipvs or Ipvs()
            ns.ipvs = replace(old, conns=MappingProxyType({**old.conns, self.conn.key: self.conn}))

    def command(self) -> str:
        return f"# {self.netns}: IPVS remembers {self.conn}"


@value
class IpvsConnDel:
    """Forget a connection of IPVS."""

    netns: str
    conn: IpvsConn

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            old = ns.ipvs or Ipvs()
            rest = {key: conn for key, conn in old.conns.items() if key != self.conn.key}
            ns.ipvs = replace(old, conns=MappingProxyType(rest))

    def command(self) -> str:
        return f"# {self.netns}: IPVS forgets {self.conn}"


@value
class IpvsMarkSet:
    """A scheduler's place in its round: the real server that was picked last, and for wrr the weight of this round."""

    netns: str
    server: ServerKey
    mark: tuple

    def apply(self, draft: Draft) -> None:
        if not draft.outside(self.netns):
            ns = draft.ns(self.netns)
            old = ns.ipvs or Ipvs()
            ns.ipvs = replace(old, marks=MappingProxyType({**old.marks, self.server: self.mark}))

    def command(self) -> str:
        return f"# {self.netns}: the scheduler of {self.server} stands at {self.mark[0]}"
