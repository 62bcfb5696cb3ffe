"""The ``ipvs`` match of iptables: whether IPVS has handled a packet, and for which server (xt_ipvs.c)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar

from ..value import value
from .packet import PROTO_NAMES, PROTO_NUMBERS, Skb
from .xtables import Option, Test, bang


@value
class IpvsMatch:
    """``-m ipvs``: (option, negated, value) for --ipvs, --vproto, --vaddr and --vport; --vdir and --vmethod are kept as text elsewhere."""

    tests: tuple[tuple[str, bool, object], ...]

    name: ClassVar = "ipvs"
    options: ClassVar = {"--ipvs": 0, "--vproto": 1, "--vaddr": 1, "--vport": 1}

    @classmethod
    def read(cls, options: list[Option], version: int) -> IpvsMatch:
        found = []
        for option, negated, arguments in options:
            text = arguments[0] if arguments else ""
            if option == "--vproto":
                found.append((option, negated, PROTO_NAMES.get(int(text), text) if text.isdigit() else text.lower()))
            elif option == "--vaddr":
                found.append((option, negated, ip_network(text, strict=False)))
            else:
                found.append((option, negated, int(text) if text else None))
        return cls(tuple(sorted(found, key=lambda each: list(cls.options).index(each[0]))))

    def words(self) -> str:
        parts = ["-m ipvs"]
        for option, negated, wanted in self.tests:
            if isinstance(wanted, (IPv4Network, IPv6Network)):
                wanted = wanted.network_address if wanted.prefixlen == wanted.max_prefixlen else wanted
            elif option == "--vproto":
                wanted = PROTO_NUMBERS.get(wanted, wanted)
            parts.append(f"{bang(negated)}{option}" + ("" if wanted is None else f" {wanted}"))
        return " ".join(parts)

    def compile(self) -> Test | None:
        def test(skb: Skb, env) -> bool:
            if len(self.tests) == 1 and self.tests[0][0] == "--ipvs":
                return skb.ipvs is not self.tests[0][1]
            conn = env.ipvs_connection(skb) if skb.ipvs else None
            return conn is not None and all(self._holds(option, wanted, conn) is not negated for option, negated, wanted in self.tests)

        return test

    @staticmethod
    def _holds(option: str, wanted, conn) -> bool:
        if option == "--vproto":
            return conn.server.proto == wanted
        if option == "--vaddr":
            return conn.server.address in wanted
        return option == "--ipvs" or conn.server.port == wanted
