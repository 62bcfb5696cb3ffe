"""A long chain is walked by an index: same rule, same count as from rule to rule, for rules read from text and for lines."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from k8snetlib.linux import chain_index
from k8snetlib.linux.netfilter import ChainLines, Ruleset, Table, walk
from k8snetlib.linux.packet import Skb, ping, tcp, udp

HOSTS = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
PORTS = st.sampled_from([80, 81, 53])
MATCH = st.one_of(
    st.builds("-d {}/32 -p {proto} -m {proto} --dport {}".format, HOSTS, PORTS, proto=st.sampled_from(["tcp", "udp"])),
    st.builds(
        '! -s {}/32 -d {}/32 -p tcp -m comment --comment "x {} -m tcp --dport 80 " -m tcp --dport {}'.format, HOSTS, HOSTS, PORTS, PORTS
    ),
    st.builds("-p tcp -m tcp --dport {}".format, PORTS),
    st.builds("-p tcp -m tcp ! --dport {}".format, PORTS),
    st.builds("! -d {}/32 -p udp -m udp --dport {}".format, HOSTS, PORTS),
    st.builds("-d {}/32".format, HOSTS),
    st.builds("-s {}/32 -p tcp -m tcp --dport 80:81".format, HOSTS),
    st.builds("-d 10.0.0.0/30 -p tcp -m tcp --dport {}".format, PORTS),
    st.just("-p icmp"),
)
TARGET = st.sampled_from([" -j ACCEPT", " -j DROP", " -j RETURN", " -j EXTRA", " -g EXTRA", "", " -j MARK --set-xmark 0x1/0x1"])
RULES = st.lists(st.builds(str.__add__, MATCH, TARGET), min_size=17, max_size=60)
PACKETS = st.one_of(st.builds(tcp, HOSTS, HOSTS, PORTS), st.builds(udp, HOSTS, HOSTS, PORTS), st.builds(ping, HOSTS, HOSTS))


class Env:
    def __init__(self) -> None:
        self.told: list = []

    def matched(self, *what) -> None:
        self.told.append(tuple(str(each) for each in what))

    def mark(self, skb, value) -> None:
        skb.mark = value


def walked(table: Table, packet, few: int) -> tuple:
    old, chain_index.FEW = chain_index.FEW, few
    try:
        env = Env()
        table = Table(table.name, table.chains)
        return walk(table, "FORWARD", Skb(packet), env), env.told
    finally:
        chain_index.FEW = old


@settings(max_examples=200)
@given(RULES, RULES, PACKETS)
def test_the_index_changes_nothing(rules: list[str], extra: list[str], packet) -> None:
    extra = [rule.replace("EXTRA", "LAST") for rule in extra]
    chains = {"INPUT": [], "FORWARD": rules, "OUTPUT": [], "EXTRA": extra, "LAST": []}
    text = "\n".join(
        ["*filter", ":EXTRA - [0:0]", ":LAST - [0:0]", *(f"-A {c} {rule}" for c, rs in chains.items() for rule in rs), "COMMIT"]
    )
    parsed = Ruleset.parse(text).tables["filter"]
    lines = Table(
        "filter", ChainLines({c: parsed.lines_of(c) for c in parsed.chains}, dict.fromkeys(("INPUT", "FORWARD", "OUTPUT"), "ACCEPT"), 4)
    )
    wanted = walked(parsed, packet, 10**9)
    assert walked(parsed, packet, 16) == walked(lines, packet, 16) == wanted
