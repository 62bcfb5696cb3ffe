"""Ops on ipsets and on IPVS: virtual servers, and what packets leave behind there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..errors import ModelError
from ..value import replace, value
from .draft import Draft
from .ipvs import FLAGS, Ipvs, IpvsConn, RealServer, ServerKey, VirtualServer, added, round_after


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
        _change(draft, self.netns, "servers", lambda old: added(old, self.servers))

    def text(self) -> str:
        """The real servers in the order in which they are added, by which schedulers go."""
        return "\n".join(line for server in self.servers for line in server.lines(server.real))

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
        _put(draft, self.netns, old, replace(old, real=new))

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
        _put(draft, self.netns, old, replace(old, real=rest))

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


def _put(draft: Draft, netns: str, old: VirtualServer, new: VirtualServer) -> None:
    before = draft.ns(netns).ipvs.marks.get(new.key, ())
    mark = round_after(old, new, before)
    if mark != before:
        _change(draft, netns, "marks", lambda old: {**old, new.key: mark})
    _change(draft, netns, "servers", lambda old: {**old, new.key: new})


def _change(draft: Draft, netns: str, part: str, change: Callable[[Mapping], dict]) -> None:
    """Put what ``change`` makes of one of the mappings of the namespace's :class:`Ipvs` in its place."""
    if not draft.outside(netns):
        ns = draft.ns(netns)
        old = ns.ipvs or Ipvs()
        ns.ipvs = replace(old, **{part: MappingProxyType(change(getattr(old, part)))})


@value
class IpvsConnSet:
    """Put a connection of IPVS in place, or its next state; packets leave these behind, and no command makes one."""

    netns: str
    conn: IpvsConn

    def apply(self, draft: Draft) -> None:
        _change(draft, self.netns, "conns", lambda old: {**old, self.conn.key: self.conn})

    def command(self) -> str:
        return f"# {self.netns}: IPVS remembers {self.conn}"


@value
class IpvsConnDel:
    """Forget a connection of IPVS."""

    netns: str
    conn: IpvsConn

    def apply(self, draft: Draft) -> None:
        _change(draft, self.netns, "conns", lambda old: {key: conn for key, conn in old.items() if key != self.conn.key})

    def command(self) -> str:
        return f"# {self.netns}: IPVS forgets {self.conn}"


@value
class IpvsMarkSet:
    """A scheduler's place in its round: the real server that was picked last, and for wrr the weight of this round."""

    netns: str
    server: ServerKey
    mark: tuple

    def apply(self, draft: Draft) -> None:
        _change(draft, self.netns, "marks", lambda old: {**old, self.server: self.mark})

    def command(self) -> str:
        return f"# {self.netns}: the scheduler of {self.server} stands at {self.mark[0]}"
