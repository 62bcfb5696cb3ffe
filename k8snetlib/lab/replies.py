"""What programs, servers, connections and pings in the lab came back with, as values."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from ..errors import LabError
from ..linux.packet import IPAddress
from ..linux.state import Socket
from ..value import value

TEXT = {
    "exec": "{command}: exit status {code}\n{words}",
}


@value
class Output:
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return self.out


@value
class Accepted:
    """What a listening process saw of a client: the peer's address (after NAT, if any), its own, and the data."""

    netns: str
    socket: Socket
    peer: tuple[IPAddress, int]
    local: tuple[IPAddress, int]
    data: bytes


@value
class Connection:
    """A real connection's outcome. ``error`` is "" or an errno's name: ECONNREFUSED, ETIMEDOUT (nothing came in time), EHOSTUNREACH …

    ``local`` is the address that the client had, ``accepted`` what the server saw of it (None where no listener of the lab was reached).
    """

    error: str
    local: tuple[IPAddress, int]
    accepted: Accepted | None
    answer: bytes

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def source(self) -> IPAddress | None:
        """The client's address as the server saw it."""
        return self.accepted.peer[0] if self.accepted else None


@value
class Pong:
    """What came of one ping: ``error`` "" for an answer, else an errno's name; ``sender`` is who answered or refused, if anyone."""

    error: str
    sender: IPAddress | None

    @property
    def ok(self) -> bool:
        return not self.error


def output(raw: Mapping, command: str, check: bool) -> Output:
    said = Output(raw["code"], raw["out"].decode(errors="replace"), raw["err"].decode(errors="replace"))
    if check and said.code:
        raise LabError(TEXT["exec"].format(command=command, code=said.code, words=said.err.strip()))
    return said


def endpoint(raw: tuple[str, int]) -> tuple[IPAddress, int]:
    host, port = raw
    address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)  # how a socket for both families shows an IPv4 peer (RFC 4291 section 2.5.5.2)
    return (mapped or address, port)


def accepted(entry: Mapping) -> Accepted:
    local = endpoint(entry["local"])
    return Accepted(entry["netns"], Socket(entry["proto"], entry["port"]), endpoint(entry["peer"]), local, entry["data"])
