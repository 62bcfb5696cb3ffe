"""The targets of iptables rules: verdicts, jumps, marks of packets and connections, REJECT and NAT.

They are values that print themselves as ``iptables-save`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ..errors import UnsupportedError
from ..value import value
from .addresses import ip_address
from .packet import IPAddress
from .xtables import Option, port_range, range_text, value_mask


@value
class Verdict:
    """``-j ACCEPT``, ``DROP`` or ``RETURN``."""

    name: str

    def words(self) -> str:
        return f"-j {self.name}"


@value
class Jump:
    """``-j CHAIN``, or ``-g CHAIN`` which does not come back."""

    chain: str
    goto: bool = False

    name = "JUMP"

    def words(self) -> str:
        return f"-{'g' if self.goto else 'j'} {self.chain}"


@value
class SetMark:
    """``-j MARK``: clear the bits of ``mask``, then XOR with ``value`` (xt_mark.c); the other spellings are printed as this one."""

    value: int
    mask: int = 0xFFFFFFFF

    name, options = "MARK", {"--set-xmark": 1, "--set-mark": 1, "--or-mark": 1, "--xor-mark": 1, "--and-mark": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> SetMark:
        option, _, (text,) = options[0]
        value, mask = value_mask(text)
        if option == "--set-mark":
            return cls(value, value | mask)
        if option == "--or-mark":
            return cls(value, value)
        if option == "--xor-mark":
            return cls(value, 0)
        if option == "--and-mark":
            return cls(0, ~value & 0xFFFFFFFF)
        return cls(value, mask)

    def apply(self, mark: int) -> int:
        return mark & ~self.mask & 0xFFFFFFFF ^ self.value

    def words(self) -> str:
        return f"-j MARK --set-xmark {self.value:#x}/{self.mask:#x}"


@value
class ConnMark:
    """``-j CONNMARK``: write a connection's mark (``set``), copy the packet's into it (``save``) or copy it to the packet (``restore``).

    ``ctmask`` are the bits of the connection's mark and ``nfmask`` those of the packet's that take part (net/netfilter/xt_connmark.c).
    """

    mode: str
    value: int = 0
    ctmask: int = 0xFFFFFFFF
    nfmask: int = 0xFFFFFFFF

    name = "CONNMARK"
    options: ClassVar = {"--set-xmark": 1, "--set-mark": 1, "--or-mark": 1, "--xor-mark": 1, "--and-mark": 1, "--save-mark": 0, "--restore-mark": 0,
                         "--mask": 1, "--nfmask": 1, "--ctmask": 1}  # fmt: skip

    @classmethod
    def read(cls, options: list[Option], version: int) -> ConnMark:
        masks = {}
        for option, _, arguments in options:
            if option in ("--mask", "--nfmask"):
                masks["nfmask"] = int(arguments[0], 0)
            if option in ("--mask", "--ctmask"):
                masks["ctmask"] = int(arguments[0], 0)
        modes = [each for each in options if each[0] not in ("--mask", "--nfmask", "--ctmask")]
        if modes[0][0] in ("--save-mark", "--restore-mark"):
            return cls(modes[0][0][2:-5], **masks)
        mark = SetMark.read(modes, version)
        return cls("set", mark.value, mark.mask)

    def apply(self, mark: int, connection: int) -> tuple[int, int]:
        """(the packet's mark, the connection's mark) after it."""
        if self.mode == "restore":
            return mark & ~self.nfmask & 0xFFFFFFFF ^ connection & self.ctmask, connection
        new = self.value if self.mode == "set" else mark & self.nfmask
        return mark, connection & ~self.ctmask & 0xFFFFFFFF ^ new

    def words(self) -> str:
        if self.mode == "set":
            return f"-j CONNMARK --set-xmark {self.value:#x}/{self.ctmask:#x}"
        return f"-j CONNMARK --{self.mode}-mark --nfmask {self.nfmask:#x} --ctmask {self.ctmask:#x}"


@value
class Reject:
    """``-j REJECT``: drop, and say so to the sender."""

    how: str

    name, options = "REJECT", {"--reject-with": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> Reject:
        return cls(options[0][2][0] if options else "icmp-port-unreachable" if version == 4 else "icmp6-port-unreachable")

    def words(self) -> str:
        return f"-j REJECT --reject-with {self.how}"


@value
class Nat:
    """``-j DNAT``, ``SNAT``, ``MASQUERADE`` or ``REDIRECT``: what a new connection's packets are rewritten to.

    ``address`` None is the output interface's address for MASQUERADE, the input's for REDIRECT, and "unchanged" for the other two.
    """

    name: str
    address: IPAddress | None = None
    ports: tuple[int, int] | None = None
    random_fully: bool = False
    random: bool = False
    persistent: bool = False

    options: ClassVar = {"--to-destination": 1, "--to-source": 1, "--to-ports": 1, "--random-fully": 0, "--random": 0, "--persistent": 0}

    @classmethod
    def make(cls, name: str) -> Callable[[list[Option], int], Nat]:
        def read(options: list[Option], version: int) -> Nat:
            fields: dict = {}
            for option, _, arguments in options:
                if option in ("--to-destination", "--to-source"):
                    fields["address"], fields["ports"] = _nat_range(arguments[0], version)
                elif option == "--to-ports":
                    fields["ports"] = port_range(arguments[0], "-")
                else:
                    fields[option[2:].replace("-", "_")] = True
            return cls(name, **fields)

        return read

    def words(self) -> str:
        parts = [f"-j {self.name}"]
        ports = "" if self.ports is None else range_text(self.ports, "-")
        if self.name in ("DNAT", "SNAT"):
            host = "" if self.address is None else f"[{self.address}]" if self.address.version == 6 and ports else str(self.address)
            parts.append(f"--to-{'destination' if self.name == 'DNAT' else 'source'} {host}{':' if ports else ''}{ports}")
        elif ports:
            parts.append(f"--to-ports {ports}")
        parts += [f"--{flag.replace('_', '-')}" for flag in ("random", "random_fully", "persistent") if getattr(self, flag)]
        return " ".join(parts)


def _nat_range(text: str, version: int) -> tuple[IPAddress | None, tuple[int, int] | None]:
    if version == 6 and text.count(":") != 1:  # one alone stands before ports
        host, _, ports = text[1:].partition("]") if text.startswith("[") else (text, "", "")
        ports = ports.lstrip(":")
    else:
        host, _, ports = text.partition(":")
    if "-" in host:
        raise UnsupportedError(f"NAT to a range of addresses ({text}) is not modelled")
    return (ip_address(host) if host else None), (port_range(ports, "-") if ports else None)


TARGETS = {
    "MARK": (SetMark.read, SetMark.options),
    "CONNMARK": (ConnMark.read, ConnMark.options),
    "REJECT": (Reject.read, Reject.options),
    "DNAT": (Nat.make("DNAT"), Nat.options),
    "SNAT": (Nat.make("SNAT"), Nat.options),
    "MASQUERADE": (Nat.make("MASQUERADE"), Nat.options),
    "REDIRECT": (Nat.make("REDIRECT"), Nat.options),
}
# The other targets of iptables 1.8 (iptables-extensions(8)).
VERBATIM_TARGETS = frozenset((
    "AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNSECMARK", "CT", "DNPT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
    "LOG", "NETMAP", "NFLOG", "NFQUEUE", "NOTRACK", "QUEUE", "RATEEST", "SECMARK", "SET", "SNPT", "SYNPROXY", "TCPMSS", "TCPOPTSTRIP",
    "TEE", "TOS", "TPROXY", "TRACE", "TTL", "ULOG",
))  # fmt: skip
