"""nftables: rules as nft itself lists them, tables read and printed again, and packets through every kind of statement."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import k8snetlib as k8s
from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.linux.engine import after, iter_traces, trace
from k8snetlib.linux.events import Chose, Delivered, Dropped, Matched, Trace
from k8snetlib.linux.nftables import Hook, Rule, Ruleset, Table
from k8snetlib.linux.nftables_stmts import Verbatim
from k8snetlib.linux.nftables_types import seconds, time_text
from k8snetlib.linux.ops import (
    ConntrackAdd,
    LinkAdd,
    LinkSet,
    Listen,
    NetnsAdd,
    NftElementAdd,
    NftReplace,
    NftRestore,
    RulesRestore,
    SysctlSet,
    build,
    route,
)
from k8snetlib.linux.packet import Packet, ping, tcp, udp
from k8snetlib.linux.state import Network, Socket

BEGIN = """table ip t {
    set s4 { type ipv4_addr; flags interval; }
    set dyn { type ipv4_addr; flags dynamic,timeout; timeout 3h; }
    map m { type inet_service : ipv4_addr; }
    map m2 { type ipv4_addr : ipv4_addr . inet_service; }
    map vm { type inet_service : verdict; }
    chain other { }
}
"""
SETS = Ruleset().restore(BEGIN).tables["ip", "t"].sets
LINES = (Path(__file__).parent / "nft_rules.txt").read_text(encoding="utf-8").splitlines()[1:]
PAIRS = [(line.partition("  =>  ")[0], line.partition("  =>  ")[2] or line) for line in LINES]


@pytest.mark.parametrize(("typed", "listed"), PAIRS, ids=[typed for typed, _ in PAIRS])
def test_a_rule_is_printed_as_nft_lists_it(typed: str, listed: str) -> None:
    assert str(Rule.parse(typed, "ip", SETS, listed=False)) == listed
    again = Rule.parse(listed, "ip", SETS)
    assert str(again) == listed
    assert Rule.parse(str(again), "ip", SETS) == again


@pytest.mark.parametrize("text", ["tcp dport htp accept", "ip saddr 1.2.3.400 drop", "accept comment", "jump"])
def test_a_mistake_is_an_error(text: str) -> None:
    with pytest.raises(ModelError):
        Rule.parse(text, listed=False)


def test_unknown_words_are_kept() -> None:
    rule = Rule.parse("ip saddr 10.0.0.1 meta skuid 0 accept")
    assert isinstance(rule.statements[-1], Verbatim) and str(rule) == "ip saddr 10.0.0.1 meta skuid 0 accept"


@pytest.mark.parametrize(
    ("priority", "hook", "text"),
    [(-110, "output", "-110"), (-110, "prerouting", "dstnat - 10"), (-100, "prerouting", "dstnat"), (-111, "prerouting", "-111"),
     (0, "input", "filter"), (5, "forward", "filter + 5"), (-150, "output", "mangle"), (100, "postrouting", "srcnat"),
     (100, "output", "100"), (-300, "input", "raw"), (50, "forward", "security"), (25, "forward", "25")],
)  # fmt: skip
def test_priorities_have_names(priority: int, hook: str, text: str) -> None:
    assert str(Hook("filter", hook, priority)) == f"type filter hook {hook} priority {text}; policy accept;"


def test_times() -> None:
    for duration, text in ((10800, "3h"), (60, "1m"), (93784, "1d2h3m4s"), (4.996, "4s996ms"), (0, "0s"), (90, "1m30s")):
        assert time_text(duration) == text and seconds(text) == duration


# Listings


LISTING = """table inet shop {
    comment "what the shop lets in"
    set friends {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 10.0.0.0/8, 192.168.1.5-192.168.1.9 }
    }

    set seen {
        type ipv4_addr
        size 65535
        flags dynamic,timeout
        timeout 1m30s
    }

    map doors {
        type inet_service : verdict
        elements = { 22 : jump admin, 80 : accept, 443 comment "tls" : accept }
    }

    chain admin {
        comment "for administrators"
        ip saddr @friends accept
    }

    chain in {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        tcp dport vmap @doors
        ip protocol icmp accept comment "ping"
    }
}""".replace("    ", "\t")


def test_a_listing_is_read_and_printed_again() -> None:
    table = Table.parse(LISTING)
    assert str(table) == LISTING and Table.parse(str(table)) == table
    assert table.sets["doors"].elements["443"].comment == "tls"


def test_a_file_with_braces_and_shorthand() -> None:
    ruleset = Ruleset().restore("""
        # what one types
        table inet shop { comment "what the shop lets in"; }
        add set inet shop friends { type ipv4_addr; flags interval; auto-merge; }
        add element inet shop friends { 192.168.1.5-192.168.1.7, 10.0.0.0/8, 192.168.1.8/31 }
        add set inet shop seen { type ipv4_addr; flags dynamic,timeout; timeout 90s; }
        table inet shop {
            map doors { type inet_service : verdict; elements = { https comment "tls" : accept, ssh : jump admin, http : accept } }
            chain admin { comment "for administrators"; }
            chain in {
                type filter hook input priority 0; policy drop;
                ct state related,established accept
                tcp dport vmap @doors; ip protocol icmp accept comment "ping"
            }
        }
        add rule inet shop admin ip saddr @friends accept
    """)
    assert str(ruleset) == LISTING


OBJECTS = """table ip t {
    counter seen {
        packets 0 bytes 0
    }

    set s {
        type ipv4_addr . ether_addr
        elements = { 10.0.0.1 . 00:11:22:33:44:55 }
    }

    chain forward {
        type filter hook forward priority filter; policy accept;
        tcp dport 443 counter name "seen"
        ip saddr . ether saddr @s drop
    }
}""".replace("    ", "\t")


def test_what_is_not_modelled_is_kept_and_printed() -> None:
    assert str(Table.parse(OBJECTS)) == OBJECTS
    with pytest.raises(UnsupportedError, match=r"counter name"):
        passes(routed(OBJECTS), tcp("10.0.1.2", "10.0.2.2", 443))
    with pytest.raises(UnsupportedError, match="ether saddr"):
        passes(routed(OBJECTS))


def test_commands_take_away() -> None:
    ruleset = Ruleset().restore(LISTING)
    assert "tls" not in str(ruleset.restore("delete element inet shop doors { 443 }"))
    assert "ping" not in str(ruleset.restore("flush chain inet shop in\nflush chain inet shop admin"))
    assert ruleset.restore("delete table inet shop").tables == {}
    assert ruleset.restore("flush ruleset") == Ruleset()
    assert ruleset.restore("insert rule inet shop in drop").tables["inet", "shop"].chains["in"].lines[0] == "drop"


@pytest.mark.parametrize(
    "text",
    [
        "add rule ip t c accept",
        "table ip t { chain c { jump nowhere; }; }",
        "table ip t { chain c { ip saddr @nobody drop; }; }",
        "table ip t { chain c { accept }; }",
        "table ip t { chain c { accept; } }",
        "table ip t { map m { type inet_service : verdict; elements = { 80 : goto nowhere } }; }",
        "table ip t { chain c { type filter hook input priority soon; }; }",
        "table ip t { chain c { accept ",
        "frobnicate",
        "table ip t { chain c { type filter hook prerouting priority 0; dnat to 10.0.0.1; }; }",
        "table ip t { chain c { type nat hook prerouting priority 0; masquerade; }; }",
        "table ip t { chain c { type nat hook forward priority 0; }; }",
        "table ip t { chain c { update @nobody { ip saddr }; }; }",
        "table ip t { chain c { type nat hook prerouting priority 0; dnat to ip saddr map @nobody; }; }",
        "delete table ip t",
    ],
)
def test_a_wrong_text_changes_nothing(text: str) -> None:
    with pytest.raises(ModelError):
        Ruleset().restore(text)


@pytest.mark.parametrize("gone", ["chain inet shop admin", "set inet shop friends"])
def test_what_is_named_elsewhere_stays(gone: str) -> None:
    ruleset = Ruleset().restore(LISTING)
    with pytest.raises(ModelError):
        ruleset.restore(f"delete {gone}")
    assert ruleset.restore(f"flush chain inet shop admin\nflush map inet shop doors\ndelete {gone}")


# Packets: a client, a router with the rules, a server


def routed(*texts: str, extra: tuple = ()) -> Network:
    ops = [NetnsAdd("client"), NetnsAdd("r"), NetnsAdd("server")]
    ops += [LinkAdd("client", "eth0", "veth", peer=("r", "east")), LinkAdd("server", "eth0", "veth", peer=("r", "west"))]
    for netns, dev, address in (
        ("client", "eth0", "10.0.1.2/24"),
        ("r", "east", "10.0.1.1/24"),
        ("r", "west", "10.0.2.1/24"),
        ("server", "eth0", "10.0.2.2/24"),
    ):
        ops += [LinkSet(netns, dev, up=True), k8s.ops.address(netns, dev, address)]
    ops += [
        route("client", "default", via="10.0.1.1"),
        route("server", "default", via="10.0.2.1"),
        SysctlSet("r", "net.ipv4.ip_forward", 1),
    ]
    ops += [k8s.ops.address("server", "eth0", "10.0.2.3/24"), *(Listen("server", Socket("tcp", port)) for port in (80, 443, 8080))]
    ops += [Listen("server", Socket("udp", 53)), Listen("r", Socket("tcp", 22))]
    return build([*ops, *extra, *(NftRestore("r", text) for text in texts)])


def chain(hook: str, *rules: str, kind: str = "filter", priority: str = "0", more: str = "") -> str:
    lines = "\n".join(rules)
    return f"table ip t {{\n{more}\nchain {hook} {{ type {kind} hook {hook} priority {priority}; policy accept;\n{lines}\n}}\n}}"


WEB = tcp("10.0.1.2", "10.0.2.2", 80)


def passes(network: Network, packet: Packet = WEB, **how) -> bool:
    told = trace(network, "client", packet, **how)
    assert told.delivered or told.end.reason == "NETFILTER_DROP", told.end
    return told.delivered


@pytest.mark.parametrize(
    ("rule", "stopped"),
    [
        ("tcp dport 80 drop", True),
        ("tcp dport != 80 drop", False),
        ("tcp dport { 22, 80-90 } drop", True),
        ("tcp dport { 22, 443 } drop", False),
        ("udp dport 80 drop", False),
        ("th dport >= 80 drop", True),
        ("th dport < 80 drop", False),
        ("ip saddr 10.0.1.0/24 drop", True),
        ("ip saddr != 10.0.0.0/16 drop", False),
        ("ip daddr 10.0.2.1-10.0.2.9 drop", True),
        ("ip daddr != { 10.0.2.2, 10.0.2.3 } drop", False),
        ("ip saddr . tcp dport { 10.0.1.2 . 80, 10.0.1.3 . 443 } drop", True),
        ("ip saddr . tcp dport { 10.0.0.0/24 . 80, 10.0.1.0/24 . 70-90 } drop", True),
        ("ip saddr . tcp dport { 10.0.0.0/24 . 80, 10.0.1.0/24 . 81-90 } drop", False),
        ('iifname "east" oifname "west" drop', True),
        ('iifname "ea*" drop', True),
        ('iifname != "ea*" drop', False),
        ('iifname { "lo", "e*" } drop', True),
        ("ct state new drop", True),
        ("ct state established,related drop", False),
        ("ct state != new drop", False),
        ("ct state vmap { new : drop, established : accept }", True),
        ("ct status dnat drop", False),
        ("ct direction original drop", True),
        ("meta l4proto tcp drop", True),
        ("meta l4proto { udp, icmp } drop", False),
        ("ip protocol tcp drop", True),
        ("meta mark 0x10 drop", False),
        ("tcp flags & (fin|syn|rst|ack) == syn drop", True),
        ("tcp flags syn,ack drop", True),
        ("tcp flags ! syn drop".replace("! ", "!= "), False),
        ("fib daddr type local drop", False),
        ("fib saddr type unicast drop", True),
        ("ip ttl < 64 drop", True),
        ("icmp type echo-request drop", False),
        ("tcp dport vmap { 80 : drop, 443 : accept }", True),
        ("tcp dport vmap { 70-90 : drop }", True),
        ("tcp dport vmap { 81 : accept, * : drop }", True),
        ("ip saddr & 0.0.0.255 == 0.0.0.2 drop", True),
        ('counter log prefix "seen " drop', True),
        ("continue", False),
        ("return", False),
        ("accept", False),
    ],
)
def test_comparisons(rule: str, stopped: bool) -> None:
    assert passes(routed(chain("forward", rule))) is not stopped


def test_policy_decides_at_the_end() -> None:
    network = routed(chain("forward", "tcp dport 443 accept").replace("policy accept", "policy drop"))
    assert not passes(network) and passes(network, tcp("10.0.1.2", "10.0.2.2", 443))


def test_jump_returns_and_goto_does_not() -> None:
    more = "chain a { tcp dport 81 accept; }\n chain b { tcp dport 80 goto a; drop; }"
    assert passes(routed(chain("forward", "jump b", more=more)))
    assert not passes(routed(chain("forward", "jump a", "drop", more=more)))
    with pytest.raises(ModelError, match="circle"):
        passes(routed(chain("forward", "jump c", more="chain c { jump c; }")))


def test_marks_are_set_and_read() -> None:
    network = routed(
        chain("forward", "meta mark set meta mark | 0x4000", "meta mark & 0xf000 == 0x4000 meta mark set 0x1", "meta mark 1 drop")
    )
    assert not passes(network)


def test_accept_ends_its_own_chain_only() -> None:
    one = chain("forward", "accept").replace("table ip t", "table ip one")
    two = chain("forward", "drop", priority="10").replace("table ip t", "table ip two")
    assert not passes(routed(one, two))


def test_the_chain_registered_last_comes_first() -> None:
    """At equal priorities, as nf_hook_entries_grow inserts them (seen with nft 1.0.6 on Linux 6.18)."""
    one = chain("forward", "drop").replace("table ip t", "table ip one")
    two = chain("forward", "meta mark set 1").replace("table ip t", "table ip two")
    told = trace(routed(one, two), "client", WEB)
    assert [event.table for event in told.all(Matched)] == ["two", "two", "one"]
    mixed = trace(routed(one, extra=(RulesRestore("r", "*filter\n-A FORWARD -j ACCEPT\nCOMMIT"),)), "client", WEB)
    assert [event.table for event in mixed.all(Matched)] == ["one"]
    later = build([RulesRestore("r", "*filter\n-A FORWARD -j ACCEPT\nCOMMIT")], routed(one))
    assert [event.table for event in trace(later, "client", WEB).all(Matched)] == ["filter", "one"]


def test_inet_sees_both_families_and_ip_one() -> None:
    network = routed("table ip6 t { chain forward { type filter hook forward priority 0; policy drop; }; }")
    assert passes(network)
    assert not passes(routed("table inet t { chain forward { type filter hook forward priority 0; policy drop; }; }"))


@pytest.mark.parametrize(
    ("rule", "answer"),
    [("reject", "port unreachable"), ("reject with icmp host-unreachable", "host unreachable"), ("reject with tcp reset", "RST"),
     ("reject with icmpx admin-prohibited", "administratively prohibited")],
)  # fmt: skip
def test_reject_says_so(rule: str, answer: str) -> None:
    told = trace(routed(chain("forward", rule)), "client", WEB)
    assert type(told.end) is Dropped and told.end.detail == "reject in chain forward of table ip t at forward"
    last = next(event for event in reversed(told.events) if type(event) in (Delivered, Dropped) and event.journey != 0)
    assert answer in str(last.packet) or (answer == "RST" and "R" in last.packet.payload.flags)


def test_what_is_not_modelled_is_refused_when_reached() -> None:
    for rule in ("limit rate 10/second accept", "meta skuid 0 drop", "numgen inc mod 2 0 drop", "dup to 10.0.2.3"):
        network = routed(chain("forward", "tcp dport 443 " + rule))
        assert passes(network)
        with pytest.raises(UnsupportedError):
            trace(network, "client", tcp("10.0.1.2", "10.0.2.2", 443))


# NAT


def nat(*rules: str, more: str = "") -> str:
    return chain("prerouting", *rules, kind="nat", priority="dstnat", more=more)


def ends(network: Network, packet: Packet) -> dict[str, Fraction]:
    """Where the packet ends up, each with its weight."""
    found: dict[str, Fraction] = {}
    for weight, told in iter_traces(network, "client", packet):
        assert type(told.end) is Delivered, told.end
        key = f"{told.end.netns} {told.end.packet.dst}:{told.end.packet.dport} from {told.end.packet.src}"
        found[key] = found.get(key, 0) + weight
    assert sum(found.values()) == 1
    return found


VIP = tcp("10.0.1.2", "10.9.9.9", 80)


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("dnat to 10.0.2.2", "server 10.0.2.2:80"),
        ("tcp dport 80 dnat to 10.0.2.3:8080", "server 10.0.2.3:8080"),
        ("ip daddr 10.9.9.9 tcp dport 80 redirect to :22", "r 10.0.1.1:22"),
        ("dnat to tcp dport map { 80 : 10.0.2.3, 443 : 10.0.2.2 }", "server 10.0.2.3:80"),
        ("meta l4proto tcp dnat ip addr . port to ip saddr map { 10.0.1.2 : 10.0.2.2 . 443 }", "server 10.0.2.2:443"),
        ("dnat to ip saddr map @back", "server 10.0.2.3:80"),
    ],
)
def test_destination(rule: str, end: str) -> None:
    network = routed(nat(rule, more="map back { type ipv4_addr : ipv4_addr; elements = { 10.0.1.2 : 10.0.2.3 }; }"))
    assert ends(network, VIP) == {f"{end} from 10.0.1.2": 1}
    answer = trace(network, "client", VIP).reply
    assert answer.delivered and (str(answer.end.packet.src), answer.end.packet.sport) == ("10.9.9.9", 80)


@pytest.mark.parametrize(
    ("rule", "source"),
    [("masquerade", "10.0.2.1"), ("snat to 10.0.2.77", "10.0.2.77"), ('oifname "west" masquerade fully-random', "10.0.2.1"),
     ("snat to ip saddr map { 10.0.1.2 : 10.0.2.78 }", "10.0.2.78"), ("ct state established masquerade", "10.0.1.2")],
)  # fmt: skip
def test_source(rule: str, source: str) -> None:
    network = routed(chain("postrouting", rule, kind="nat", priority="srcnat"))
    assert ends(network, WEB) == {f"server 10.0.2.2:80 from {source}": 1}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_choice_among_n_is_one_in_n(count: int) -> None:
    targets = ", ".join(f"{i} : 10.0.2.2 . {(80, 443, 8080)[i % 3]}" for i in range(count))
    network = routed(nat(f"meta l4proto tcp dnat ip addr . port to numgen random mod {count} map {{ {targets} }}"))
    found = list(iter_traces(network, "client", VIP))
    assert [weight for weight, _ in found] == [Fraction(1, count)] * count
    assert all(told.all(Chose)[0].chance == Fraction(1, count) for _, told in found)


def test_the_first_nat_chain_that_decides_wins() -> None:
    early = nat("dnat to 10.0.2.3").replace("dstnat", "dstnat - 5").replace("table ip t", "table ip early")
    skipped = nat("accept").replace("dstnat", "dstnat - 9").replace("table ip t", "table ip skipped")
    assert ends(routed(nat("dnat to 10.0.2.2"), early, skipped), VIP) == {"server 10.0.2.3:80 from 10.0.1.2": 1}


def test_filter_before_and_after_translation() -> None:
    before = chain("prerouting", "ip daddr 10.9.9.9 drop", priority="dstnat - 10").replace("table ip t", "table ip f")
    after_it = chain("prerouting", "ip daddr 10.9.9.9 drop", priority="dstnat + 10").replace("table ip t", "table ip f")
    network = routed(nat("dnat to 10.0.2.2"))
    assert not passes(build([NftRestore("r", before)], network), VIP)
    assert passes(build([NftRestore("r", after_it)], network), VIP)


def test_notrack() -> None:
    network = routed(nat("dnat to 10.0.2.2"), chain("prerouting", "notrack", priority="raw").replace("table ip t", "table ip raw"))
    told = trace(network, "client", WEB)
    assert told.delivered and not [op for op in told.ops if isinstance(op, ConntrackAdd)]


# Elements that packets leave


AFFINITY = """
set one { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
set two { type ipv4_addr; flags dynamic,timeout; timeout 10s; }
chain first { update @one { ip saddr }; dnat to 10.0.2.2; }
chain second { update @two { ip saddr }; dnat to 10.0.2.3; }
"""
STICKY = nat(
    "ip saddr @one goto first", "ip saddr @two goto second", "numgen random mod 2 vmap { 0 : goto first, 1 : goto second }", more=AFFINITY
)


def test_a_client_stays_until_its_time_is_up() -> None:
    network = routed(STICKY)
    told = list(iter_traces(network, "client", VIP, now=100.0))[1][1]
    assert str(told.end.packet.dst) == "10.0.2.3"
    network = after(network, told)
    again = tcp("10.0.1.2", "10.9.9.9", 80, 40001)
    for now in (100.0, 105.0, 109.9):
        assert [w for w, _ in iter_traces(network, "client", again, now=now)] == [1]
        assert str(trace(network, "client", again, now=now).end.packet.dst) == "10.0.2.3"
    assert len(list(iter_traces(network, "client", again, now=110.0))) == 2
    later = after(network, trace(network, "client", again, now=109.0))
    assert len(list(iter_traces(later, "client", tcp("10.0.1.2", "10.9.9.9", 80, 40002), now=118.0))) == 1
    assert "elements = { 10.0.1.2 expires 4s }" in k8s.nft_list(network, "r", now=106.0)
    assert "elements" not in k8s.nft_list(network, "r", now=200.0)


def test_elements_that_were_loaded_expire_too() -> None:
    network = routed(
        chain("forward", "ip saddr @bad drop", more="set bad { type ipv4_addr; flags timeout; elements = { 10.0.1.2 timeout 5s }; }")
    )
    assert not passes(network, now=4.9)
    assert passes(network, now=5.0)


def test_elements_by_hand() -> None:
    network = build([NftElementAdd("r", "ip", "t", "two", "10.0.1.2", 10.0, 50.0)], routed(STICKY))
    assert str(trace(network, "client", VIP, now=55.0).end.packet.dst) == "10.0.2.3"
    assert build([NftRestore("r", "flush set ip t two")], network)["r"].nftables.used == {}
    with pytest.raises(ModelError):
        build([NftElementAdd("r", "ip", "nowhere", "two", "10.0.1.2")], network)


# What is shown


DOORS = """
map doors { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.9.9.9 . tcp . 80 : goto web }; }
chain web { meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.0.2.2 . 80, 1 : 10.0.2.3 . 8080 }; }
"""


def test_the_deciding_rule_and_element_are_told() -> None:
    network = routed(nat("ip daddr . meta l4proto . th dport vmap @doors", more=DOORS))
    told = trace(network, "client", VIP)
    first, second = told.all(Matched)
    assert (first.element, first.verdict, first.family, first.table) == ("10.9.9.9 . tcp . 80 : goto web", "goto web", "ip", "t")
    assert (second.element, second.verdict) == ("0 : 10.0.2.2 . 80", "dnat to 10.0.2.2:80")
    shown = {d.tool: d.text for step in k8s.steps(told) for d in step.decisions}
    assert shown["ip netns exec r nft list chain ip t prerouting"].splitlines() == [
        "ip daddr . meta l4proto . th dport vmap @doors", "element 10.9.9.9 . tcp . 80 : goto web",
    ]  # fmt: skip
    assert "t prerouting: goto web" in k8s.text(told) and "          element 0 : 10.0.2.2 . 80" in k8s.text(told)


def test_nft_list() -> None:
    network = routed(LISTING)
    assert k8s.nft_list(network, "r") == LISTING and k8s.nft_list(network, "client") == ""
    assert k8s.nft_list(network, "r", "inet shop") == LISTING
    assert k8s.nft_list(network, "r", "inet shop", "admin").splitlines()[1] == "\tchain admin {"
    with pytest.raises(ModelError):
        k8s.nft_list(network, "r", "ip nothing")


def test_a_table_is_replaced_in_one_transaction() -> None:
    network = routed(chain("forward", "drop"))
    assert not passes(network)
    op = NftReplace("r", Table.parse("table ip t {\n}"))
    assert passes(build([op], network))
    assert op.command() == "ip netns exec r nft -f - <<'EOF'\ntable ip t\ndelete table ip t\ntable ip t {\n}\nEOF"


def test_udp_and_ping_are_not_tcp() -> None:
    network = routed(chain("forward", "meta l4proto udp drop", "icmp type echo-request drop"))
    assert passes(network)
    assert not passes(network, udp("10.0.1.2", "10.0.2.2", 53))
    assert not passes(network, ping("10.0.1.2", "10.0.2.2"))


def test_a_trace_changes_nothing() -> None:
    network = routed(STICKY)
    assert isinstance(trace(network, "client", VIP), Trace)
    assert network["r"].nftables.used == {}
