"""iptables text: what is read, what is printed, and the words about what cannot be read."""

from __future__ import annotations

import pytest

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.linux.netfilter import Ruleset, tokens
from k8snetlib.linux.targets import SetMark


def table(*rules: str, name: str = "filter") -> str:
    return "\n".join([f"*{name}", *rules, "COMMIT"])


def printed(rule: str, name: str = "filter") -> str:
    return next(line for line in str(Ruleset.parse(table(rule, name=name))).splitlines() if line.startswith("-A"))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("-A FORWARD -s 10.0.0.1 -j DROP", "-A FORWARD -s 10.0.0.1/32 -j DROP"),
        ("-A FORWARD -p tcp --dport 80 -j ACCEPT", "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT"),
        ("-A FORWARD -p 6 -m tcp --syn -j DROP", "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"),
        ("-A FORWARD -j REJECT", "-A FORWARD -j REJECT --reject-with icmp-port-unreachable"),
        ("-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT", "-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT"),
        (
            "-A INPUT -m statistic --mode random --probability 0.3333333333 -j DROP",
            "-A INPUT -m statistic --mode random --probability 0.33333333349 -j DROP",
        ),
        ("-A INPUT -p icmp --icmp-type echo-request -j DROP", "-A INPUT -p icmp -m icmp --icmp-type 8 -j DROP"),
        ("[12:720] -A INPUT -i eth+ -j ACCEPT", "-A INPUT -i eth+ -j ACCEPT"),
    ],
)
def test_printed_as_iptables_save_does(typed: str, shown: str) -> None:
    assert printed(typed) == shown


@pytest.mark.parametrize(
    ("spelling", "mark", "after"),
    [("--or-mark 0x4000", 1, 0x4001), ("--xor-mark 0x4000", 0x4000, 0), ("--and-mark 0x1", 0x4001, 1), ("--set-mark 7", 9, 7)],
)
def test_marks(spelling: str, mark: int, after: int) -> None:
    rule = Ruleset.parse(table(f"-A PREROUTING -j MARK {spelling}", name="mangle")).tables["mangle"].chains["PREROUTING"].rules[0]
    assert isinstance(rule.target, SetMark) and rule.target.apply(mark) == after


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("-A FORWARD -j DROP", ModelError, "a \\*table line must come first"),
        ("*filter\n-A FORWARD -j DROP", ModelError, "no COMMIT"),
        ("*fliter\nCOMMIT", ModelError, "no table 'fliter'"),
        (table("-A NOWHERE -j DROP"), ModelError, "'NOWHERE' is not declared"),
        (table("-A FORWARD -j NOWHERE"), ModelError, "no chain or target 'NOWHERE'"),
        (table("-A FORWARD --nonsense 1 -j DROP"), ModelError, "line 2: unknown option '--nonsense'"),
        (table("-A FORWARD -s fd00::1 -j DROP"), ModelError, "no IPv4 address"),
        (table("-A FORWARD -p tcp -m tcp --dport http -j DROP"), ModelError, "'http' is no port"),
        (table("-A FORWARD -m conntrak --ctstate NEW -j DROP"), UnsupportedError, "'conntrak' is not known"),
        (table("-A FORWARD -s"), ModelError, "cannot be read"),
    ],
)
def test_what_cannot_be_read(text: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        Ruleset.parse(text)


def test_quotes() -> None:
    assert tokens('-m comment --comment "a \\"b\\" c"') == ["-m", "comment", "--comment", 'a "b" c']


def test_a_later_load_replaces_the_tables_that_it_names() -> None:
    old, new = Ruleset.parse(table("-A INPUT -j DROP") + "\n" + table(name="nat")), Ruleset.parse(table("-A INPUT -j ACCEPT"))
    merged = old.merge(new)
    assert set(merged.tables) == {"filter", "nat"} and merged.tables["filter"] == new.tables["filter"]


def test_conntrack_is_at_work_only_where_something_needs_it() -> None:
    assert not Ruleset.parse(table("-A INPUT -j DROP")).tracks
    assert not Ruleset.parse(table("-A POSTROUTING -j RETURN", name="nat")).tracks
    assert Ruleset.parse(table("-A POSTROUTING -j MASQUERADE", name="nat")).tracks
    assert Ruleset.parse(table("-A INPUT -m conntrack --ctstate NEW -j DROP")).tracks
