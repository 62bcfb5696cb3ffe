"""The lab: ops carried out in network namespaces of this very kernel, packets sent and captured there.

    with Lab(ops) as lab:
        with lab.capture() as frames:
            lab.send("web", tcp("10.244.1.2", "10.244.2.2", 8080))
        print(*frames, sep="\\n")

Needs no root: the namespaces live in a helper process with a user namespace of its own (see ``inside/__main__.py``). They end with it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

from ..errors import LabError
from ..linux.events import Capture
from ..linux.ops import Op
from ..linux.packet import Frame, IPAddress, Packet
from ..linux.state import Conntrack, NetNS, Socket
from ..linux.wire import to_bytes
from ..value import replace
from . import readback
from .birds import Birds
from .client import Client, Refused, Request
from .lower import BASELINE, lower
from .replies import Accepted, Connection, Output, Pong, accepted, endpoint, output
from .web import Web

QUIET, LIMIT = 0.01, 3.0  # seconds: a capture ends when nothing came for QUIET; it never lasts longer than LIMIT
SETTLE_LIMIT = 5.0
SETTLE: Request = ("settle", {"limit": SETTLE_LIMIT})

PROTOCOLS = ("tcp", "udp", "sctp")
TEXT = {
    "no_address": "{given!r} is no IPv4 or IPv6 address",
    "no_proto": "a connection is {protocols}, not {proto!r}",
    "no_packet": "this sends a Packet, as tcp(…), udp(…) and ping(…) make one, and {given!r} is none",
    "no_ops": "the lab is made of ops, such as cluster.ops(), and this is none: {kind}",
    "refused": "{what}: {message}{errno}",
    "lost": "{count} captured frames did not fit into the capture buffer: send less at a time",
    "restless": "packets were still under way after {limit:g} s; raise the limit of the capture",
    "carrier": "these devices are up but the kernel did not enable them within {limit:g} s: {devices}",
    "unreached": "no connection to {address} port {port}: {error}",
    "no_source": "{netns} has no route to {dst}, so the kernel chooses no source address",
}


class Lab(Birds, Web):
    """Network namespaces in a helper process. A context manager; every method raises LabError when the kernel refuses."""

    def __init__(self, ops: Iterable[Op] = (), *, answer: bool = True) -> None:
        """Start the helper and carry out ``ops``.

        ``answer``: listening processes accept connections and send back what they get. Without it they take a packet in silence,
        so that a single crafted packet remains single.
        """
        self.answer = answer
        self._listening: dict[str, list[Socket]] = {}
        self._birds: list[str] = []  # the namespaces in which one runs
        self._fresh = True  # no packet of ours has been sent yet
        self._client = Client()
        try:
            self.run(ops)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper; namespaces, devices, rules and processes go with it. Calling it again does nothing."""
        self._client.close()

    def clear(self) -> None:
        """Take everything down but the helper: an empty lab, without the time that a new one takes to start."""
        self._listening.clear()
        self._birds.clear()
        self._fresh = True
        self._client.ask([("clear", {})])

    def run(self, ops: Iterable[Op]) -> None:
        """Carry out the ops in order, in one batch. LabError names the op's command and the kernel's reason at the first that fails."""
        if not isinstance(ops, Iterable):
            raise LabError(TEXT["no_ops"].format(kind=type(ops).__name__))
        pairs: list[tuple[Op, Request]] = []
        for op, request in lower(ops):
            if _needs_carriers(request):
                pairs.append((op, SETTLE))
            pairs.append((op, _answering(request, self.answer)))
        if not pairs:
            return
        try:
            self._client.ask([request for _, request in pairs], 30 + len(pairs) / 20)
        except Refused as refused:
            raise _refusal(pairs[refused.at][0].command().splitlines()[0], refused) from None
        for op, request in pairs:
            if request[0] == "listen":
                self._listening.setdefault(op.netns, []).append(op.socket)
        self._settle()

    def _settle(self) -> None:
        waiting = self._ask("settle", limit=SETTLE_LIMIT)
        if waiting:
            raise LabError(TEXT["carrier"].format(limit=SETTLE_LIMIT, devices=", ".join(f"{dev} in {netns}" for netns, dev in waiting)))

    def _ask(self, verb: str, /, what: str = "", allow: float = 30.0, **arguments: object):
        """One request; ``what`` names it in an error, ``allow`` is the longest that it may take, in seconds."""
        try:
            return self._client.ask([(verb, arguments)], allow)[0]
        except Refused as refused:
            raise _refusal(what or verb, refused) from None

    def _rest(self, sending: bool = True) -> None:
        """Before the first packet: let new devices finish their own talk, and bridges forget what they learned from it."""
        if self._fresh:
            self._ask("rest")
            self._fresh = not sending

    @property
    def helper_pid(self) -> int:
        """The process that keeps the lab alive; everything in the lab is below it."""
        return self._client.pid

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The names of the namespaces, in the order of their making."""
        return tuple(self._ask("names"))

    # ── commands ──

    def exec(self, netns: str, command: str | Sequence[str], *, stdin: str = "", timeout: float = 10.0, check: bool = True) -> Output:
        """Run a command in a namespace: a list of words, or text for ``sh``. LabError when it fails and ``check`` is on."""
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        self._rest()
        words = command if isinstance(command, str) else shlex.join(command)
        return output(self._ask("run", words, timeout + 10, netns=netns, argv=argv, stdin=stdin.encode(), timeout=timeout), words, check)

    def shell(self, text: str, *, timeout: float = 60.0, check: bool = True) -> Output:
        """Run command text as an administrator would type it, such as ``ops.commands(ops)``, with the machine's own tools.

        Stops at the first command that fails (``sh -e``). Namespaces that the text makes get the lab's baseline at once.
        """
        raw = self._ask("shell", "sh", timeout + 10, argv=["sh", "-ec", _PRELUDE + text], stdin=b"", timeout=timeout)
        said = output(raw, "sh", check)
        self._settle()
        return said

    # ── packets ──

    def send(self, netns: str, packet: Packet) -> str:
        """Send a packet as that namespace's kernel sends its own: through OUTPUT, the routing table and POSTROUTING.

        An unspecified source (0.0.0.0 or ::) is filled in with the address that the kernel would choose. Returns "", or the name of
        the errno that a process would get: EPERM (a rule dropped it in OUTPUT), ENETUNREACH, EHOSTUNREACH, EMSGSIZE …
        """
        if not isinstance(packet, Packet):
            raise LabError(TEXT["no_packet"].format(given=packet))
        self._rest()
        if packet.src.is_unspecified:
            source = self._ask("source", netns=netns, version=packet.version, dst=str(packet.dst))
            if not source:
                raise LabError(TEXT["no_source"].format(netns=netns, dst=packet.dst))
            packet = replace(packet, src=ip_address(source))
        ends = {"src": str(packet.src), "dst": str(packet.dst)}
        return self._ask("send", netns=netns, version=packet.version, **ends, data=to_bytes(packet), df=packet.df)

    def inject(self, netns: str, dev: str, frame: Frame | bytes) -> str:
        """Transmit a frame on a device, below IP and netfilter: what leaves ``dev`` arrives at its far end. Returns as ``send`` does."""
        self._rest()
        return self._ask("inject", netns=netns, dev=dev, frame=frame if isinstance(frame, bytes) else to_bytes(frame))

    @contextmanager
    def capture(self, *, quiet: float = QUIET, limit: float = LIMIT) -> Iterator[list[Capture]]:
        """Capture on every interface of every namespace that there is, while the block runs and until the packets have come to rest.

        The list is filled at the end of the block, in order of time. ``quiet`` and ``limit`` are in seconds. LabError when frames
        were lost, or packets were still under way at the limit.
        """
        frames: list[Capture] = []
        self._rest()
        self._ask("capture")
        yield frames
        fetched = self._ask("fetch", "capture", limit + 10, quiet=quiet, limit=limit)
        if fetched["lost"]:
            raise LabError(TEXT["lost"].format(count=fetched["lost"]))
        if not fetched["settled"]:
            raise LabError(TEXT["restless"].format(limit=limit))
        frames += [readback.capture(*rest) for _, *rest in fetched["frames"]]

    def connect(
        self, netns: str, proto: str, address: str | IPAddress, port: int, *, data: bytes = b"hello", timeout: float = 1.0
    ) -> Connection:
        """Connect from a namespace with the kernel's own TCP, UDP or SCTP, send ``data`` and wait for its echo."""
        if proto not in PROTOCOLS:
            raise LabError(TEXT["no_proto"].format(proto=proto, protocols=", ".join(PROTOCOLS)))
        self._rest()
        to = numeric(address)
        wanted = {"netns": netns, "proto": proto, "version": to.version, "address": str(to), "port": port, "data": data, "timeout": timeout}
        raw = self._ask("connect", "", timeout + 10, **wanted)
        seen = [accepted(entry) for entry in raw["accepted"]]
        return Connection(raw["error"], endpoint(raw["local"]), seen[-1] if seen else None, raw["answer"])

    def latency(self, netns: str, address: str | IPAddress, port: int, *, count: int = 200, limit: float = 2.0) -> tuple[int, ...]:
        """How many nanoseconds the kernel takes to open a TCP connection: ``count`` of them, or fewer in ``limit`` seconds.

        LabError when one of them is refused or does not come about.
        """
        self._rest()
        to = numeric(address)
        wanted = {"netns": netns, "version": to.version, "address": str(to), "port": port, "count": count, "limit": limit}
        raw = self._ask("latency", "", limit + 10, **wanted)
        if raw["error"]:
            raise LabError(TEXT["unreached"].format(address=to, port=port, error=raw["error"]))
        return tuple(raw["taken"])

    def ping(self, netns: str, address: str | IPAddress, *, size: int = 56, timeout: float = 1.0) -> Pong:
        """Send one ICMP echo request with ``size`` bytes of data, and wait for what comes back."""
        self._rest()
        to = numeric(address)
        wanted = {"netns": netns, "version": to.version, "address": str(to), "size": size, "timeout": timeout}
        raw = self._ask("ping", "", timeout + 10, **wanted)
        return Pong(raw["error"], ip_address(raw["sender"]) if raw["sender"] else None)

    # ── what is there ──

    def accepted(self) -> tuple[Accepted, ...]:
        """What the lab's listening processes have seen so far: TCP connections and UDP datagrams."""
        return tuple(accepted(entry) for entry in self._ask("log"))

    def state(self, netns: str, sysctls: Iterable[str] = ()) -> NetNS:
        """The namespace as the kernel has it: devices, addresses, routes, rules, neighbours and FDB (learned too), sockets, connections.

        ``sysctls`` names those to read. The local routing table, multicast and a bridge's own addresses are left out.
        """
        self._rest(sending=False)
        return readback.netns(netns, self._ask("state", netns=netns, sysctls=list(sysctls)), self.sockets(netns), self.conntrack(netns))

    def conntrack(self, netns: str) -> tuple[Conntrack, ...]:
        """The connection-tracking entries of both families."""
        return tuple(readback.conntrack(raw) for raw in self._ask("conntrack", netns=netns))

    def sockets(self, netns: str) -> tuple[Socket, ...]:
        """The sockets that listen (TCP) or are bound (UDP), from /proc/net."""
        files = self._ask("proc", netns=netns, names=["tcp", "tcp6", "udp", "udp6"])
        return readback.sockets(files, self._listening.get(netns, ()))

    def reports(self) -> int:
        """How many group reports (MLDv2) the kernel's devices have sent by themselves so far, in all namespaces.

        They pass bridges and rules like any packet: where this has grown between two readings, counters hold more than was sent.
        """
        self._rest(sending=False)
        return self._ask("reports")

    def counters(self, netns: str, version: int = 4) -> str:
        """The rules with their packet counters: the text of ``iptables-save -c``, or of ``ip6tables-save -c``."""
        return self.exec(netns, ["iptables-save" if version == 4 else "ip6tables-save", "-c"]).out

    def nft_list(self, netns: str) -> str:
        """The text of ``nft list ruleset``: tables, counters, and the elements that packets left in sets."""
        return self.exec(netns, ["nft", "list", "ruleset"]).out


# ``sh`` runs the text itself; this only adds the baseline to a namespace as soon as ``ip netns add`` has made it.
_PRELUDE = (
    'ip() {\n  command ip "$@" || return\n'
    '  if [ "$1 $2" = \'netns add\' ]; then command ip netns exec "$3" sh -c \''
    + "; ".join(f"f=/proc/sys/{key.replace('.', '/')}; [ ! -e $f ] || echo {value} > $f" for key, value in BASELINE.items())
    + "'; fi\n}\n"
)


def _answering(request: Request, answer: bool) -> Request:
    verb, arguments = request
    return (verb, {**arguments, "answer": answer}) if verb == "listen" else request


def _refusal(what: str, refused: Refused) -> LabError:
    return LabError(TEXT["refused"].format(what=what, message=refused.message, errno=f" ({refused.errno})" if refused.errno else ""))


def _needs_carriers(request: Request) -> bool:
    """Whether devices that came up before have to be done with it: before one goes away or leaves its bridge (or it, or the bridge, will
    never have had its IPv6 address), and before a port is given an entry that only a forwarding port may have."""
    verb, wanted = request
    link = wanted.get("link", {})
    goes = verb == "link_del" or link.get("state") == "down" or link.get("master") == 0
    return goes or (verb == "fdb_add" and wanted["state"] == "dynamic")


def numeric(address: str | IPAddress) -> IPAddress:
    """The address as a value. LabError for a name, or anything else that is none."""
    try:
        return ip_address(address)
    except ValueError:
        raise LabError(TEXT["no_address"].format(given=address)) from None
