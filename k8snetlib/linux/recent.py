"""The ``recent`` match: lists of addresses with the times at which they were seen; kube-proxy keeps ClientIP affinity in them.

Follows net/netfilter/xt_recent.c. A list is ordered by last use and holds 100 addresses (``ip_list_tot``): the one not seen for longest
goes. Times are seconds on the clock that a trace is given (``now``); a list's state is in ``NetNS.recent`` and changes through ops.
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import ModelError
from ..value import replace, value
from .addresses import ip_address
from .packet import IPAddress, Skb
from .xtables import Option, Test, bang

LIST_SIZE = 100  # ip_list_tot
STAMPS = 256  # XT_RECENT_MAX_NSTAMPS
ALL_ONES = {4: "255.255.255.255", 6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}


@value
class RecentEntry:
    """An address of a list, and when it was seen: seconds, latest last."""

    address: IPAddress
    stamps: tuple[float, ...]

    def __str__(self) -> str:
        return f"src={self.address} last_seen: {self.stamps[-1]:g} oldest_pkt: {len(self.stamps)}"


Entries = tuple[RecentEntry, ...]  # least recently used first


def seen(entries: Entries, address: IPAddress, now: float) -> Entries:
    """The list after the address was seen (recent_entry_init, recent_entry_update)."""
    old = next((entry for entry in entries if entry.address == address), None)
    rest = tuple(entry for entry in entries if entry is not old)
    if old is None:
        return (*rest[-(LIST_SIZE - 1) :], RecentEntry(address, (now,)))
    return (*rest, replace(old, stamps=(*old.stamps[-(STAMPS - 1) :], now)))


def forgotten(entries: Entries, address: IPAddress) -> Entries:
    return tuple(entry for entry in entries if entry.address != address)


@value
class Recent:
    """``-m recent``: ``action`` (set, rcheck, update, remove) on a list, by the packet's source (``side`` rsource) or destination."""

    action: str
    list: str = "DEFAULT"
    seconds: int = 0
    reap: bool = False
    hitcount: int = 0
    mask: str = ALL_ONES[4]
    side: str = "rsource"
    negated: bool = False

    name: ClassVar = "recent"
    options: ClassVar = {"--set": 0, "--rcheck": 0, "--update": 0, "--remove": 0, "--seconds": 1, "--reap": 0, "--hitcount": 1, "--name": 1,
                         "--mask": 1, "--rsource": 0, "--rdest": 0}  # fmt: skip

    @classmethod
    def read(cls, options: list[Option], version: int) -> Recent:
        fields: dict = {"mask": ALL_ONES[version]}
        for option, negated, arguments in options:
            key = option[2:]
            if key in ("set", "rcheck", "update", "remove"):
                fields["action"], fields["negated"] = key, negated
            elif key in ("rsource", "rdest"):
                fields["side"] = key
            elif key == "name":
                fields["list"] = str(arguments[0])
            else:
                fields[key] = True if key == "reap" else int(arguments[0]) if key != "mask" else arguments[0]
        if "action" not in fields:
            raise ModelError("recent: you must specify one of --set, --rcheck, --update or --remove")
        if fields.get("reap") and not fields.get("seconds"):
            raise ModelError("recent: --reap needs --seconds")
        return cls(**fields)

    def words(self) -> str:
        parts = [f"-m recent {bang(self.negated)}--{self.action}"]
        parts += [f"--seconds {self.seconds}"] if self.seconds else []
        parts += ["--reap"] if self.reap else []
        parts += [f"--hitcount {self.hitcount}"] if self.hitcount else []
        return " ".join([*parts, f"--name {self.list} --mask {self.mask} --{self.side}"])

    def compile(self) -> Test | None:
        mask = int(ip_address(self.mask))
        whole = self.mask in ALL_ONES.values()
        which = "src" if self.side == "rsource" else "dst"

        def test(skb: Skb, env) -> bool:
            address = getattr(skb.packet, which)
            if not whole:
                address = type(address)(int(address) & mask)
            return env.recent(self, address)

        return test

    def decide(self, entries: Entries, address: IPAddress, now: float) -> tuple[bool, Entries]:
        """Whether the rule matches, and the list afterwards (recent_mt)."""
        entry = next((each for each in entries if each.address == address), None)
        if entry is None:
            if self.action != "set":
                return self.negated, entries
            return not self.negated, seen(entries, address, now)
        if self.action == "set":
            return not self.negated, seen(entries, address, now)
        if self.action == "remove":
            return not self.negated, forgotten(entries, address)
        hits = sum(not self.seconds or stamp >= now - self.seconds for stamp in entry.stamps)
        found = hits >= max(1, self.hitcount)
        updates = self.action == "update" and found is not self.negated
        if self.reap:
            oldest = entries[0]
            if oldest.stamps[-1] < now - self.seconds and not (oldest is entry and updates):
                entries = entries[1:]
        return found is not self.negated, seen(entries, address, now) if updates else entries
