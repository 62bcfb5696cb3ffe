"""IPVS: the schedulers against sequences worked out from the kernel's sources, and packets through virtual servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Delivered, Rewritten, Scheduled
from k8snetlib.linux.ipvs import SCHEDULERS, RealServer, ServerKey, VirtualServer, fold, hash_32, read_servers
from k8snetlib.linux.netfilter import Ruleset
from k8snetlib.linux.ops import AddrAdd, LinkAdd, Listen, RulesRestore, SysctlSet, build
from k8snetlib.linux.ops_ipvs import IpsetRestore, IpvsRestore, RealServerDel, RealServerSet
from k8snetlib.linux.packet import Icmp, Packet, Tcp, ping, tcp, udp
from k8snetlib.linux.state import Socket
from tests.unit.networks import routed

VIP, KEY = "10.96.0.10", ServerKey("tcp", ip_address("10.96.0.10"), 80)
NOBODY = RealServer(ip_address("10.0.2.99"), 80)
A, B, C = (RealServer(ip_address(f"10.0.2.{i}"), 80) for i in (2, 3, 4))


def server(scheduler: str = "rr", *real: RealServer, timeout: int = 0) -> VirtualServer:
    return VirtualServer(KEY, scheduler, timeout, real)


def picks(given: VirtualServer, count: int, load: dict | None = None, sources: Sequence[str] = ()) -> str:
    """Letters of the servers that new connections get."""
    mark, found = (), ""
    for i in range(count):
        packet = tcp(sources[i] if sources else f"10.0.1.{i + 1}", VIP, 80)
        chosen, mark = SCHEDULERS[given.scheduler](given, mark, lambda real: (load or {}).get(real.address, (0, 0)), packet)
        found += "-" if chosen is None else "ABC"[int(chosen.address) - int(A.address)]
    return found


def weighted(*weights: int) -> tuple[RealServer, ...]:
    return tuple(replace(each, weight=weight) for each, weight in zip((A, B, C), weights, strict=False))


@pytest.mark.parametrize(
    ("scheduler", "weights", "wanted"),
    [
        ("rr", (1, 1, 1), "CBACBA"),  # a new server is put at the head of the list
        ("rr", (1, 0, 5), "CACA"),
        ("rr", (0, 0, 0), "--"),
        ("wrr", (1, 1, 1), "CBACBA"),
        ("wrr", (4, 3, 2), "CBAABACBA"),  # the first round asks for 1, as the order of adding left it; then 4, 3, 2
        ("wrr", (2, 4), "BABBAB"),  # steps of 2: the first round asks for 1, then 3, 1
        ("wrr", (0, 0), "--"),
    ],
)
def test_rounds(scheduler: str, weights: tuple[int, ...], wanted: str) -> None:
    assert picks(server(scheduler, *weighted(*weights)), len(wanted)) == wanted


@pytest.mark.parametrize(
    ("scheduler", "weights", "load", "wanted"),
    [
        ("lc", (1, 1, 1), {A: (0, 255), B: (1, 0), C: (2, 0)}, "A"),  # one active counts as 256 inactive
        ("lc", (1, 1, 1), {}, "C"),
        ("wlc", (4, 1, 1), {A: (3, 0), B: (1, 0), C: (1, 0)}, "A"),
        ("wlc", (0, 1, 1), {A: (0, 0), B: (2, 0), C: (1, 0)}, "C"),
        ("sed", (3, 1), {A: (1, 0), B: (0, 0)}, "A"),  # 2/3 before 1/1
        ("nq", (3, 1), {A: (1, 0), B: (0, 0)}, "B"),  # an idle one first
        ("nq", (3, 1), {A: (1, 0), B: (1, 0)}, "A"),
        ("lc", (0, 0), {}, "-"),
        ("sed", (), {}, "-"),
        ("nq", (), {}, "-"),
        ("sh", (), {}, "-"),
    ],
)
def test_the_least_busy(scheduler: str, weights: tuple[int, ...], load: dict, wanted: str) -> None:
    assert picks(server(scheduler, *weighted(*weights)), 1, {each.address: counts for each, counts in load.items()}) == wanted


def test_hashes() -> None:
    """hash_32 of include/linux/hash.h, by hand: 1 * 0x61C88647 >> 24 = 0x61."""
    assert (hash_32(1), hash_32(2)) == (0x61, 0xC3)
    assert fold(ip_address("10.0.0.1")) == 0x0A000001 and fold(ip_address("fd00::1:0:0:2")) == 0xFD000000 ^ 0x10000 ^ 2
    turn = "CBA" * 86  # 256 buckets, filled from the head of the list
    sources = [f"10.0.1.{i}" for i in range(1, 60)]
    wanted = "".join(turn[hash_32(int(ip_address(each)))] for each in sources)
    assert picks(server("sh", A, B, C), len(sources), sources=sources) == wanted and len(set(wanted)) == 3
    assert len(set(picks(server("dh", A, B, C), 20))) == 1
    assert set(picks(server("sh", *weighted(1, 0)), 40, sources=sources[:40])) == {"A", "-"}  # no other is looked for


TRACKS = RulesRestore("r", "*nat\n-A POSTROUTING -p sctp -j MASQUERADE\nCOMMIT")  # a rule for which conntrack is at work


def through(*ops, scheduler: str = "rr", timeout: int = 0, real: Sequence[RealServer] = (A,), conntrack: int = 1):
    """a → r, which has the virtual server's address, → b with the real servers' ones."""
    more = [AddrAdd("b", "eth0", ip_interface(f"{each.address}/24")) for each in real if each not in (A, NOBODY)]
    return build(
        [*routed(), *more, LinkAdd("r", "kube-ipvs0", "dummy"), AddrAdd("r", "kube-ipvs0", ip_interface(VIP)),
         SysctlSet("r", "net.ipv4.vs.conntrack", conntrack), Listen("b", Socket("udp", 53)),
         IpvsRestore("r", (server(scheduler, *real, timeout=timeout),)), *ops]
    )  # fmt: skip


def test_a_request_and_its_reply() -> None:
    told = trace(through(TRACKS), "a", tcp("10.0.1.2", VIP, 80))
    assert told.delivered and told.end.netns == "b" and told.end.packet.dst == A.address and told.end.packet.ttl == 63
    assert [(event.real, event.why) for event in told.all(Scheduled)] == [(A, "rr")]
    assert [event.what for event in told.all(Rewritten)] == ["TTL", "IPVS"]
    reply = told.reply
    assert reply.delivered and reply.end.netns == "a" and str(reply.end.packet.src) == VIP
    entry = next(iter(after(told.network, told)["r"].conntrack))
    assert entry.original == told.sent.flow and entry.reply.src == A.address


def test_without_conntrack_the_reply_finds_its_way_too_but_nothing_is_masqueraded() -> None:
    rules = RulesRestore("r", "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT")
    assert str(trace(through(rules), "a", tcp("10.0.1.2", VIP, 80)).end.packet.src) == "10.0.2.1"
    told = trace(through(rules, conntrack=0), "a", tcp("10.0.1.2", VIP, 80))
    assert str(told.end.packet.src) == "10.0.1.2" and told.reply.delivered and not after(told.network, told)["r"].conntrack


def test_masqueraded_requests_come_back() -> None:
    told = trace(through(RulesRestore("r", "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT")), "a", tcp("10.0.1.2", VIP, 80))
    assert told.reply.delivered and str(told.reply.end.packet.src) == VIP and str(told.reply.end.packet.dst) == "10.0.1.2"


def test_the_node_itself_is_a_client() -> None:
    told = trace(through(), "r", tcp("10.0.2.1", VIP, 80))
    assert told.delivered and told.end.netns == "b" and told.reply.delivered and str(told.reply.end.packet.src) == VIP


def test_rounds_are_remembered() -> None:
    network, found = through(real=(A, B, C)), []
    for sport in range(40000, 40005):
        told = trace(network, "a", tcp("10.0.1.2", VIP, 80, sport))
        found.append(told.end.packet.dst)
        network = after(network, told)
    assert found == [each.address for each in (C, B, A, C, B)]
    again = trace(network, "a", tcp("10.0.1.2", VIP, 80, 40001, flags="A"))
    assert again.end.packet.dst == B.address and not again.all(Scheduled)


def test_a_server_that_goes_is_passed_over_and_the_round_goes_on() -> None:
    network = through(TRACKS, SysctlSet("r", "net.ipv4.vs.expire_nodest_conn", 1), real=(A, B, C))
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80, 40000)))  # C
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80, 40001)))  # B
    gone = build([RealServerDel("r", KEY, B)], network)
    assert trace(gone, "a", tcp("10.0.1.2", VIP, 80, 40002)).end.packet.dst == A.address
    dropped = trace(gone, "a", tcp("10.0.1.2", VIP, 80, 40001))
    assert dropped.end.reason == "NETFILTER_DROP" and "conntrack still knows" in dropped.end.detail
    quiet = build([RealServerSet("r", KEY, replace(A, weight=0)), RealServerSet("r", KEY, replace(C, weight=0))], gone)
    refused = trace(quiet, "a", tcp("10.0.1.2", VIP, 80, 40003))
    assert "no real server" in refused.end.detail and any(event.journey for event in refused.events)
    with pytest.raises(ModelError, match="no such destination"):
        build([RealServerDel("r", KEY, B)], gone)
    with pytest.raises(ModelError, match="no such service"):
        build([RealServerDel("r", KEY._replace(port=81), B)], gone)


def test_persistence() -> None:
    network = through(timeout=100, real=(A, B))
    first = trace(network, "a", tcp("10.0.1.2", VIP, 80, 40000), now=0)
    network = after(network, first)
    same = trace(network, "a", tcp("10.0.1.2", VIP, 80, 40001), now=90)
    assert same.end.packet.dst == first.end.packet.dst and same.all(Scheduled)[0].why == "persistent"
    network = after(network, same)
    assert trace(network, "a", tcp("10.0.1.2", VIP, 80, 40002), now=190).all(Scheduled)[0].why == "persistent"  # renewed by each connection
    late = trace(network, "a", tcp("10.0.1.2", VIP, 80, 40002), now=191)
    assert late.all(Scheduled)[0].why == "rr" and late.end.packet.dst != first.end.packet.dst


def test_connections_are_counted_by_state_and_forgotten_in_time() -> None:
    network = through()
    told = trace(network, "a", tcp("10.0.1.2", VIP, 80))
    network = after(after(network, told), told.reply)
    assert "1      1          0" in network["r"].ipvs.listing()  # an opening one is active, too
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80, flags="A"), now=1))
    assert "1      1          0" in network["r"].ipvs.listing(now=1)
    closing = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80, flags="FA"), now=2))
    assert "1      0          1" in closing["r"].ipvs.listing(now=2)
    assert "1      0          0" in network["r"].ipvs.listing(now=902)
    assert str(next(iter(network["r"].ipvs.conns.values()))).split() == ["TCP", "ESTABLISHED", "10.0.1.2:40000", f"{VIP}:80", "10.0.2.2:80"]


def test_a_ping_and_an_unknown_port_are_the_hosts_own() -> None:
    network = through()
    assert trace(network, "a", ping("10.0.1.2", VIP)).delivered
    assert trace(network, "a", tcp("10.0.1.2", VIP, 81)).end.reason == "NO_SOCKET"
    assert trace(network, "a", udp("10.0.1.2", VIP, 80)).end.reason == "NO_SOCKET"
    assert trace(network, "a", tcp("10.0.1.2", VIP, 80, flags="A")).end.reason == "NO_SOCKET"


def test_errors_about_a_connection_seem_to_come_from_the_virtual_server() -> None:
    told = trace(through(real=(NOBODY,)), "a", tcp("10.0.1.2", VIP, 80))
    there = [event.packet for event in told.all(Delivered) if event.netns == "a"]
    errors = [packet for packet in there if isinstance(packet, Packet) and isinstance(packet.payload, Icmp)]
    error = errors[-1]
    assert str(error.src) == VIP and str(error.payload.data.dst) == VIP and isinstance(error.payload.data.payload, Tcp)


def test_its_place_between_the_tables() -> None:
    """Behind the filter table at INPUT: a DROP there comes first; before it at OUTPUT, where the ipvs match can tell."""
    assert trace(through(RulesRestore("r", f"*filter\n-A INPUT -d {VIP} -j DROP\nCOMMIT")), "a", tcp("10.0.1.2", VIP, 80)).end.netns == "r"
    for match, drops in (
        (f"--vaddr {VIP} --vproto tcp --vport 80", True),
        (f"--vaddr {VIP} --vport 81", False),
        (f"! --vaddr {VIP}", False),
        ("--ipvs", True),
        ("! --ipvs", False),
    ):
        rules = RulesRestore("r", f"*filter\n-A OUTPUT -d {A.address} -m ipvs {match} -j DROP\nCOMMIT")
        assert trace(through(rules), "a", tcp("10.0.1.2", VIP, 80)).delivered is not drops, match


def test_text() -> None:
    text = f"-A -t {VIP}:80 -s wrr -p 300\n-a -t {VIP}:80 -r 10.0.2.2:80 -m -w 2\n-A --sctp-service [fd00::1]:9 -s rr"
    assert "\n".join(map(str, read_servers(text))) == text
    for line, error, words in (
        ("-A -t 1.2.3.4:1 -s rr -o", UnsupportedError, "line 1: the option -o is not modelled"),
        ("-A -t 1.2.3.4:1 -s mh", UnsupportedError, "'mh' is not modelled"),
        ("-A -t 1.2.3.4:1\n-a -t 1.2.3.4:1 -r 5.6.7.8:1 -g", UnsupportedError, "line 2: forwarding by direct routing"),
        ("-E -t 1.2.3.4:1", ModelError, "expected -A or -a"),
        ("-a -t 1.2.3.4:1 -r 5.6.7.8:1 -m", ModelError, "cannot be read"),
    ):
        with pytest.raises(error, match=words):
            read_servers(line)
    with pytest.raises(ModelError, match="already exists"):
        through(IpvsRestore("r", (server("rr", A),)))


def test_rules_ask_sets() -> None:
    sets = """create S hash:ip,port family inet
        add S 10.0.2.2,tcp:80
        create N hash:ip,port,net
        add N 10.0.2.2,tcp:81,10.0.1.0/24
        create P bitmap:port range 0-65535
        add P 53"""
    network = build([*routed(), IpsetRestore("r", sets)])

    def passes(rule: str, packet) -> bool:
        return trace(build([RulesRestore("r", f"*filter\n-A FORWARD {rule} -j DROP\nCOMMIT")], network), "a", packet).end.netns != "r"

    assert not passes("-m set --match-set S dst,dst", tcp("10.0.1.2", "10.0.2.2", 80))
    assert passes("-m set --match-set S dst,dst", udp("10.0.1.2", "10.0.2.2", 80))
    assert passes("-m set ! --match-set S dst,dst", tcp("10.0.1.2", "10.0.2.2", 80))
    assert passes("-m set --match-set S src,dst", tcp("10.0.1.2", "10.0.2.2", 80))
    assert not passes("-m set --match-set N dst,dst,src", tcp("10.0.1.2", "10.0.2.2", 81))
    assert not passes("-m set --match-set P dst", udp("10.0.1.2", "10.0.2.2", 53))
    assert passes("-m set --match-set P dst", ping("10.0.1.2", "10.0.2.2"))
    with pytest.raises(UnsupportedError, match="there is no set 'Q' here"):
        passes("-m set --match-set Q dst", tcp("10.0.1.2", "10.0.2.2", 80))
    with pytest.raises(ModelError, match="src or dst, not 'up'"):
        Ruleset.parse("*filter\n-A INPUT -m set --match-set S up -j DROP\nCOMMIT")
    for text, error, words in (
        ("create M hash:mac", UnsupportedError, "'hash:mac' is not modelled"),
        ("create S hash:ip", ModelError, "a set 'S' of another type exists"),
        ("add T 1.2.3.4", ModelError, "ipset line 1: cannot be read"),
        ("swap S T", ModelError, "unknown command 'swap'"),
        (f"create {'S' * 32} hash:ip", ModelError, "longer than 31"),
    ):
        with pytest.raises(error, match=words):
            build([IpsetRestore("r", text)], network)


def test_without_a_rule_that_asks_for_it_conntrack_is_not_at_work() -> None:
    """net.ipv4.vs.conntrack alone does not switch it on (ip_vs_register_conntrack is called for FTP only)."""
    told = trace(through(), "a", tcp("10.0.1.2", VIP, 80))
    assert told.delivered and not after(told.network, told)["r"].conntrack


def test_a_server_that_comes_or_changes_begins_the_weighted_round_anew() -> None:
    """ip_vs_wrr_dest_changed: at the head of the list, with a weight that the new servers can ask for."""
    network = through(scheduler="wrr", real=(A, B))
    first = trace(network, "a", tcp("10.0.1.2", VIP, 80, 40000))
    more = build([RealServerSet("r", KEY, C)], after(network, first))
    told = [first, *(trace(each, "a", tcp("10.0.1.2", VIP, 80, 40001)) for each in (after(network, first), more))]
    assert [each.all(Scheduled)[0].real for each in told] == [B, A, C]


def test_real_servers_are_added_in_their_own_order() -> None:
    """``ipvsadm -S`` sorts them, and would change the order of a round."""
    op = IpvsRestore("r", (server("rr", C, A),))
    assert [line.split()[4] for line in op.text().splitlines()[1:]] == ["10.0.2.4:80", "10.0.2.2:80"]
    assert [line.split()[4] for line in str(op.servers[0]).splitlines()[1:]] == ["10.0.2.2:80", "10.0.2.4:80"]


def test_what_persistence_remembers_is_assured_by_a_connection() -> None:
    network = through(timeout=100)
    told = trace(network, "a", tcp("10.0.1.2", VIP, 80))
    network = after(network, told)
    assert {conn.client_port: conn.state for conn in network["r"].ipvs.conns.values()} == {0: "NONE", 40000: "SYN_RECV"}
    network = after(network, trace(after(network, told.reply), "a", tcp("10.0.1.2", VIP, 80, flags="A")))
    assert {conn.client_port: conn.state for conn in network["r"].ipvs.conns.values()} == {0: "ASSURED", 40000: "ESTABLISHED"}


def test_what_persistence_remembers_of_a_server_that_is_gone_is_found_no_more() -> None:
    network = through(timeout=100)
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80)))
    network = build([RealServerDel("r", KEY, A)], network)
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80, 40001)))
    (template,) = (conn for conn in network["r"].ipvs.conns.values() if conn.template)
    assert str(template).split() == ["TCP", "NONE", "10.0.1.2:0", "10.96.0.10:65535", "10.0.2.2:65535"]


def test_two_connections_cannot_wait_for_the_same_answer() -> None:
    """An acknowledgement that belongs to no open connection is tracked anew on its way out: NAT would move its port, without it it is dropped."""
    rules = RulesRestore("r", "*filter\n-A FORWARD -m conntrack --ctstate INVALID\nCOMMIT")
    network = through(rules)
    network = after(network, trace(network, "a", tcp("10.0.1.2", VIP, 80)))
    assert "same answer" in trace(network, "a", tcp("10.0.1.2", VIP, 80, flags="A")).end.detail
