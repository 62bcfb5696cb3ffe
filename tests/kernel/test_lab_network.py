"""What the lab can do in a network: talk, send, capture, and read back, on two nodes with a VXLAN between them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.errors import LabError
from k8snetlib.lab import Lab, Unparsed
from k8snetlib.lab.canonical import by_interface, canonical
from k8snetlib.linux.draft import build
from k8snetlib.linux.engine import captures, trace
from k8snetlib.linux.events import Capture
from k8snetlib.linux.ops import (
    ConntrackAdd,
    ConntrackDel,
    LinkAdd,
    LinkDel,
    LinkSet,
    Listen,
    NetnsAdd,
    RouteAdd,
    RuleAdd,
    RulesRestore,
    address,
    route,
)
from k8snetlib.linux.packet import Arp, Fragment, Frame, Packet, Tcp, Udp, Vxlan, ping, tcp, udp
from k8snetlib.linux.state import Conntrack, PolicyRule, Route, Socket

pytestmark = pytest.mark.needs("vxlan")
WEB = "10.244.1.2"  # pod-12 on node-a
NEXT = "10.244.1.3"  # pod-13, beside it
OTHER = "10.244.2.2"  # pod-22 on node-b


def frames_on(frames: list[Capture], netns: str, dev: str, direction: str | None = None) -> list[Frame]:
    return [each.frame for each in frames if (each.netns, each.dev) == (netns, dev) and direction in (None, each.direction)]


def packets_on(frames: list[Capture], netns: str, dev: str, direction: str | None = None) -> list[Packet]:
    """IP packets alone, without what hosts say by themselves."""
    return [f.payload for f in frames_on(canonical(frames, {8080, 53, 40000, 1}), netns, dev, direction) if isinstance(f.payload, Packet)]


# ── processes that talk ──


@pytest.mark.parametrize("to", [NEXT, OTHER, "192.168.50.12", "fd00:244:1::3", "fd00:244:2::2", "127.0.0.1", "::1", WEB])
def test_ping_and_connect(lab: Lab, two_nodes, to: str) -> None:
    lab.run([*two_nodes(), Listen("node-b", Socket("tcp", 8080))])
    assert lab.ping("pod-12", to).ok
    made = lab.connect("pod-12", "tcp", to, 8080, data=b"ping")
    assert (made.error, made.answer) == ("", b"ping")
    assert made.accepted.data == b"ping" and made.accepted.local == (ip_address(to), 8080)
    assert made.accepted.peer == made.local and made.source == made.local[0]


def test_what_goes_wrong_has_its_errno(lab: Lab, two_nodes) -> None:
    lab.run([*two_nodes(), RulesRestore("pod-22", "*filter\n-A INPUT -p tcp --dport 9999 -j DROP\nCOMMIT\n")])
    assert lab.connect("pod-12", "tcp", OTHER, 81).error == "ECONNREFUSED"
    assert lab.connect("pod-12", "udp", OTHER, 81).error == "ECONNREFUSED"
    assert lab.connect("pod-12", "tcp", OTHER, 9999, timeout=0.2).error == "ETIMEDOUT"
    assert lab.connect("pod-12", "tcp", "10.244.2.99", 80).error == "EHOSTUNREACH"
    unrouted = lab.ping("pod-12", "203.0.113.1")
    assert (unrouted.error, unrouted.sender) == ("ENETUNREACH", ip_address("10.244.1.1"))
    refused = lab.connect("pod-12", "tcp", OTHER, 81)
    assert refused.accepted is None and refused.source is None and not refused.ok


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda lab: lab.connect("pod-12", "http", OTHER, 8080), "a connection is tcp, udp, sctp, not 'http'"),
        (lambda lab: lab.connect("pod-12", "tcp", "web", 8080), "'web' is no IPv4 or IPv6 address"),
        (lambda lab: lab.ping("pod-12", "web"), "'web' is no IPv4 or IPv6 address"),
        (lambda lab: lab.send("pod-12", OTHER), "this sends a Packet"),
        (lambda lab: lab.run(5), "this is none: int"),
    ],
)
def test_wrong_use_is_told(lab: Lab, wrong, words: str) -> None:
    with pytest.raises(LabError, match=words):
        wrong(lab)


def test_udp_is_answered_from_the_address_that_was_asked(lab: Lab, two_nodes) -> None:
    lab.run([*two_nodes(), address("pod-22", "eth0", "10.244.2.22/24")])
    for asked in (OTHER, "10.244.2.22"):
        made = lab.connect("pod-12", "udp", asked, 53, data=b"name?")
        assert (made.error, made.answer, made.accepted.local) == ("", b"name?", (ip_address(asked), 53))


@pytest.mark.needs("iptables")
def test_the_server_sees_the_source_that_nat_left(lab: Lab, two_nodes) -> None:
    rule = "*nat\n-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE\nCOMMIT\n"
    lab.run([*two_nodes(), Listen("node-b", Socket("tcp", 8080)), RulesRestore("node-a", rule)])
    made = lab.connect("pod-12", "tcp", "192.168.50.12", 8080)
    assert made.local[0] == ip_address(WEB)
    assert made.source == ip_address("192.168.50.11")
    entry = next(each for each in lab.conntrack("node-a") if each.original.proto == "tcp")
    assert (entry.nat, entry.original.src, entry.reply.dst) == (("src",), ip_address(WEB), ip_address("192.168.50.11"))
    assert entry.seen_reply and entry.assured


def test_two_processes_cannot_have_one_port(lab: Lab, two_nodes) -> None:
    lab.run(two_nodes())
    for second in (Socket("tcp", 8080), Socket("tcp", 8080, ip_address(WEB)), Socket("udp", 53)):
        with pytest.raises(LabError, match=r"Address already in use \(EADDRINUSE\)"):
            lab.run([Listen("pod-12", second)])
    lab.run([Listen("pod-12", Socket("tcp", 8081)), Listen("pod-12", Socket("udp", 8080))])
    found = {(each.proto, each.port, each.process) for each in lab.sockets("pod-12")}
    assert found == {("tcp", 8080, "web"), ("udp", 53, "dns"), ("tcp", 8081, ""), ("udp", 8080, "")}


def test_listening_on_one_address(lab: Lab, two_nodes) -> None:
    lab.run([*two_nodes(), Listen("pod-12", Socket("tcp", 9000, ip_address("127.0.0.1")))])
    assert lab.connect("pod-12", "tcp", "127.0.0.1", 9000).ok
    assert lab.connect("pod-13", "tcp", WEB, 9000).error == "ECONNREFUSED"
    assert [each.peer[0] for each in lab.accepted()] == [ip_address("127.0.0.1")]


# ── crafted packets ──


@pytest.mark.parametrize(
    ("at", "packet"),
    [
        ("pod-12", ping(WEB, OTHER)),
        ("pod-12", tcp(WEB, OTHER, 8080)),
        ("pod-12", tcp(WEB, NEXT, 8081)),
        ("pod-12", udp(WEB, NEXT, 53, data=b"?")),
        ("pod-12", udp(WEB, "10.244.2.77", 53)),
        ("pod-12", ping(WEB, "203.0.113.1")),
        ("pod-12", ping(WEB, OTHER, ttl=2)),
        ("pod-12", ping(WEB, OTHER, data=bytes(3000), df=False)),
        ("pod-12", ping("fd00:244:1::2", "fd00:244:2::3")),
        ("pod-12", tcp("fd00:244:1::2", "fd00:244:2::3", 8080)),
        ("pod-12", ping("fd00:244:1::2", "fd00:99::1")),
        ("pod-12", ping("127.0.0.1", "127.0.0.1")),
        ("node-a", ping("192.168.50.11", OTHER)),
    ],
    ids=lambda value: str(value),
)
def test_captures_are_complete(silent_lab: Lab, two_nodes, at: str, packet: Packet) -> None:
    """The model says every frame on every interface; the capture holds these and no others."""
    ops = two_nodes()
    silent_lab.run(ops)
    with silent_lab.capture() as frames:
        assert silent_lab.send(at, packet) == ""
    known = {packet.sport, packet.dport}
    expected = canonical(captures(trace(build(ops), at, packet)), known)
    assert len(expected) >= 2
    assert by_interface(canonical(frames, known)) == by_interface(expected)


def test_captures_are_in_the_order_of_time(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run(two_nodes())
    for _ in range(2):  # the second time without the questions
        with silent_lab.capture() as frames:
            silent_lab.send("pod-12", udp(WEB, OTHER, 53, data=b"order"))
    way = [(each.netns, each.dev, each.direction) for each in canonical(frames) if b"order" in _data(each.frame)]
    assert way == [
        *(("pod-12", "eth0", "out"), ("node-a", "veth-2", "in"), ("node-a", "cni0", "in"), ("node-a", "flannel.1", "out")),
        *(("node-a", "eth0", "out"), ("underlay", "to-node-a", "in"), ("underlay", "to-node-b", "out"), ("node-b", "eth0", "in")),
        *(("node-b", "flannel.1", "in"), ("node-b", "cni0", "out"), ("node-b", "veth-2", "out"), ("pod-22", "eth0", "in")),
    ]


def _data(frame: Frame) -> bytes:
    """A datagram's data, the innermost of a tunnel's."""
    payload = frame.payload.payload if isinstance(frame.payload, Packet) else None
    if isinstance(payload, Udp):
        return _data(payload.data.frame) if isinstance(payload.data, Vxlan) else payload.data
    return b""


def test_many_packets_are_all_captured(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run(two_nodes())
    with silent_lab.capture() as frames:
        for number in range(150):
            silent_lab.send("pod-12", udp(WEB, OTHER, 53, data=str(number).encode()))
    arrived = [packet.payload.data for packet in packets_on(frames, "pod-22", "eth0", "in") if isinstance(packet.payload, Udp)]
    assert sorted(arrived, key=int) == [str(number).encode() for number in range(150)]


def test_a_kernel_asks_three_times_before_it_gives_up(silent_lab: Lab, two_nodes) -> None:
    """The capture goes on while somebody still waits for an answer; the canonical form has one question."""
    silent_lab.run(two_nodes())
    with silent_lab.capture() as frames:
        silent_lab.send("pod-12", udp(WEB, "10.244.1.77", 53))
    questions = [f for f in frames_on(frames, "pod-12", "eth0", "out") if isinstance(f.payload, Arp)]
    assert len(questions) == 3
    assert len([f for f in frames_on(canonical(frames), "pod-12", "eth0", "out") if isinstance(f.payload, Arp)]) == 1


def test_a_silent_listener_takes_a_packet_and_says_nothing(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run(two_nodes())
    with silent_lab.capture() as frames:
        silent_lab.send("pod-12", tcp(WEB, OTHER, 8080))
        silent_lab.send("pod-12", tcp("fd00:244:1::2", "fd00:244:2::2", 8080))
        silent_lab.send("pod-12", udp(WEB, OTHER, 53))
    segments = [p.payload for p in packets_on(frames, "pod-22", "eth0") if isinstance(p.payload, (Tcp, Udp))]
    assert [(each.proto, each.dport) for each in segments] == [("tcp", 8080), ("tcp", 8080), ("udp", 53)]
    assert silent_lab.accepted()[0].peer == (ip_address(WEB), 40000)


def test_an_answering_listener_answers(lab: Lab, two_nodes) -> None:
    lab.run(two_nodes())
    with lab.capture() as frames:
        lab.send("pod-12", tcp(WEB, OTHER, 8080))
    flags = [p.payload.flags for p in packets_on(frames, "pod-22", "eth0") if isinstance(p.payload, Tcp)]
    assert flags == ["S", "SA", "R"]  # the sender's kernel knows of no such connection


@pytest.mark.needs("iptables", "ip6tables")
def test_a_sent_packet_passes_output_routing_and_postrouting(silent_lab: Lab, two_nodes) -> None:
    drops = "*filter\n-A OUTPUT -p udp --dport 1000 -j DROP\nCOMMIT\n"
    counts = "*mangle\n-A OUTPUT -p udp --dport 1001 -j ACCEPT\n-A POSTROUTING -p udp --dport 1001 -j ACCEPT\nCOMMIT\n"
    silent_lab.run([*two_nodes(), *(RulesRestore("pod-12", text, v) for v in (4, 6) for text in (drops, counts))])
    for source, to, version in ((WEB, OTHER, 4), ("fd00:244:1::2", "fd00:244:2::2", 6)):
        assert silent_lab.send("pod-12", udp(source, to, 1000)) == "EPERM"
        assert silent_lab.send("pod-12", udp(source, to, 1001)) == ""
        lines = silent_lab.counters("pod-12", version).splitlines()
        assert sorted(line.split()[0] for line in lines if "--dport" in line) == [f"[1:{28 if version == 4 else 48}]"] * 3


def test_what_the_kernel_says_to_a_sender(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run([*two_nodes(), NetnsAdd("alone")])
    assert silent_lab.send("alone", ping("192.0.2.1", "192.0.2.2")) == "ENETUNREACH"
    assert silent_lab.send("pod-12", ping(WEB, OTHER, data=bytes(1500))) == "EMSGSIZE"
    assert silent_lab.send("pod-12", ping(WEB, "10.244.1.255")) == ""  # broadcasts may be sent
    with pytest.raises(LabError, match="no route to"):
        silent_lab.send("alone", ping("0.0.0.0", "192.0.2.2"))


@pytest.mark.parametrize("unspecified", ["0.0.0.0", "::"])
def test_the_kernel_chooses_the_source(silent_lab: Lab, two_nodes, unspecified: str) -> None:
    v6 = unspecified == "::"
    silent_lab.run(two_nodes())
    with silent_lab.capture() as frames:
        silent_lab.send("node-a", ping(unspecified, "fd00:244:1::2" if v6 else WEB))
    request = next(p for p in packets_on(frames, "pod-12", "eth0", "in") if p.payload.proto in ("icmp", "ipv6-icmp") and p.payload.is_echo)
    assert request.src == ip_address("fd00:244:1::1" if v6 else "10.244.1.1")


@pytest.mark.parametrize(("source", "to", "room"), [(WEB, NEXT, 1424), ("fd00:244:1::2", "fd00:244:1::3", 1400)])
def test_a_packet_too_large_is_cut_where_it_may_be(silent_lab: Lab, two_nodes, source: str, to: str, room: int) -> None:
    silent_lab.run(two_nodes())
    whole = udp(source, to, 53, data=bytes(3000), df=False, ttl=33, tos=8)
    with silent_lab.capture() as frames:
        assert silent_lab.send("pod-12", replace(whole, df=True)) == "EMSGSIZE"
        assert silent_lab.send("pod-12", whole) == ""
    pieces = [p for p in packets_on(frames, "pod-12", "eth0", "out") if isinstance(p.payload, Fragment)]
    assert [(p.payload.offset, p.payload.more) for p in pieces] == [(0, True), (room, True), (2 * room, False)]
    assert {(p.ttl, p.tos) for p in pieces} == {(33, 8)}
    assert silent_lab.accepted()[0].data == bytes(3000)


@pytest.mark.parametrize("version", [4, 6])
def test_a_routing_rule_sees_the_source_of_a_crafted_packet(silent_lab: Lab, version: int) -> None:
    first, second, target, length = {
        4: ("10.0.0.1", "10.0.1.1", "198.51.100.1", 24),
        6: ("fd00:a::1", "fd00:b::1", "2001:db8::1", 64),
    }[version]
    ops = [NetnsAdd("one"), NetnsAdd("two")]
    for dev, own in (("a", first), ("b", second)):
        ops += [LinkAdd("one", dev, "veth", peer=("two", dev)), address("one", dev, f"{own}/{length}")]
        ops += [LinkSet("one", dev, up=True), LinkSet("two", dev, up=True)]
    default = ip_network("0.0.0.0/0" if version == 4 else "::/0")
    ops += [RouteAdd("one", Route(default, "a")), RouteAdd("one", Route(default, "b", table="100"))]
    ops += [RuleAdd("one", PolicyRule(100, "100", src=ip_network(second), version=version))]
    silent_lab.run(ops)
    for source, dev in ((first, "a"), (second, "b")):
        with silent_lab.capture() as frames:
            silent_lab.send("one", udp(source, target, 9))
        asked = {each.dev for each in canonical(frames) if each.netns == "one" and each.direction == "out"}
        assert asked - {"lo"} == {dev}  # lo: nobody answered, and the sender is told


def test_a_frame_put_on_a_wire_arrives_at_its_far_end(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run(two_nodes())
    state = silent_lab.state("pod-12").interfaces["eth0"]
    bridge = silent_lab.state("node-a").interfaces["cni0"]
    frame = Frame(state.mac, bridge.mac, udp("192.0.2.1", "10.244.1.1", 53, data=b"forged"))
    with silent_lab.capture() as frames:
        assert silent_lab.inject("pod-12", "eth0", frame) == ""
        assert silent_lab.inject("pod-12", "eth0", bytes.fromhex("ffffffffffff" + "0a5800000001" + "88b5") + b"experiment") == ""
        assert silent_lab.inject("pod-12", "nowhere", frame) == "ENODEV"
    arrived = [f for f in frames_on(frames, "node-a", "veth-2", "in") if isinstance(f, Unparsed) or _data(f) == b"forged"]
    assert arrived[0] == frame
    assert isinstance(arrived[1], Unparsed) and arrived[1].data.endswith(b"experiment") and "0x88b5" in arrived[1].reason


def test_frames_of_a_real_transfer_fit_the_wire(lab: Lab, two_nodes) -> None:
    """Offloads are off: no frame is larger than the MTU, inside the tunnel and outside."""
    lab.run(two_nodes())
    with lab.capture() as frames:
        assert lab.connect("pod-12", "tcp", OTHER, 8080, data=bytes(20_000)).ok
    assert 1400 < max(len(f.payload) for f in frames_on(frames, "pod-12", "eth0")) <= 1450
    assert 1450 < max(len(f.payload) for f in frames_on(frames, "node-a", "eth0")) <= 1500
    sent = [p.payload for p in packets_on(frames, "pod-22", "eth0", "in") if isinstance(p.payload, Tcp)]
    assert sum(len(segment.data) for segment in sent) == 20_000


# ── what is read back ──


def test_what_a_packet_leaves_behind_is_read_back(lab: Lab, two_nodes) -> None:
    lab.run(two_nodes())
    before = lab.state("node-a")
    assert {entry.state for entry in before.neighbors.values()} == {"PERMANENT"}
    assert {entry.state for entry in before.fdb.values()} == {"permanent"}
    assert lab.ping("pod-12", OTHER).ok
    after = lab.state("node-a")
    mac = lab.state("pod-12").interfaces["eth0"].mac
    assert after.fdb["cni0", mac].dev == "veth-2" and after.fdb["cni0", mac].state == "dynamic"
    learned = after.neighbors["cni0", ip_address(WEB)]
    assert learned.mac == mac and learned.state in ("REACHABLE", "STALE", "DELAY")


@pytest.mark.needs("iptables", "conntrack")
def test_connections_are_read_and_deleted(silent_lab: Lab, two_nodes) -> None:
    rules = "*nat\n-A PREROUTING -p tcp -d 10.96.0.10 --dport 80 -j DNAT --to-destination 10.244.1.3:8080\nCOMMIT\n"
    silent_lab.run([*two_nodes(), RulesRestore("node-a", rules)])
    silent_lab.send("pod-12", tcp(WEB, "10.96.0.10", 80))
    silent_lab.send("pod-12", ping(WEB, "10.244.1.1", id=7))
    with silent_lab.capture():
        pass  # until the packets have come to rest
    found = {entry.original.proto: entry for entry in silent_lab.conntrack("node-a")}
    web, backend = ip_address(WEB), ip_address(NEXT)
    assert found["tcp"].original[1:] == (web, 40000, ip_address("10.96.0.10"), 80)
    assert found["tcp"].reply[1:5] == (backend, 8080, web, 40000)
    assert (found["tcp"].state, found["tcp"].nat, found["tcp"].seen_reply) == ("SYN_SENT", ("dst",), False)
    assert found["icmp"].original.sport == 7 and found["icmp"].seen_reply
    silent_lab.run([ConntrackDel("node-a", entry.original) for entry in found.values()])
    assert silent_lab.conntrack("node-a") == ()
    silent_lab.run([ConntrackDel("node-a", entry.original) for entry in found.values()])  # as in the model, no mistake


def test_an_entry_cannot_be_put_in_place(silent_lab: Lab) -> None:
    flow = tcp(WEB, OTHER, 80).flow
    with pytest.raises(LabError, match="send the packet"):
        silent_lab.run([NetnsAdd("one"), ConntrackAdd("one", Conntrack(flow, flow.reverse()))])


def test_sysctls_are_read(lab: Lab, two_nodes) -> None:
    lab.run(two_nodes())
    keys = ("net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "no.such.thing")
    assert lab.state("node-a", keys).sysctls == {"net.ipv4.ip_forward": 1, "net.ipv4.conf.all.rp_filter": 0}
    assert lab.state("pod-12", keys).sysctls["net.ipv4.ip_forward"] == 0


# ── commands and mistakes ──


def test_commands_run_where_they_should(lab: Lab, two_nodes) -> None:
    lab.run(two_nodes())
    assert "10.244.1.2/24" in lab.exec("pod-12", ["ip", "-br", "addr", "show", "dev", "eth0"]).out
    assert lab.exec("pod-12", "cat", stdin="text").out == "text"
    assert lab.exec("pod-12", "echo no >&2; exit 3", check=False).code == 3
    lab.shell("ip netns add three\nip -n three link add name x type bridge")
    assert "x" in lab.state("three").interfaces and "three" in lab.namespaces
    lab.shell("ip netns del three")
    assert "three" not in lab.namespaces


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([route("pod-12", "10.9.0.0/24", via="10.8.0.1")], r"route add 10.9.0.0/24 via.*: Nexthop has invalid gateway \(ENETUNREACH\)"),
        ([address("pod-12", "eth9", "10.0.0.1/24")], r"addr add 10.0.0.1/24 dev eth9: No such device \(ENODEV\)"),
        ([NetnsAdd("pod-12")], r"ip netns add pod-12.*File exists \(EEXIST\)"),
        ([NetnsAdd("a/b")], r"'a/b' cannot name a network namespace \(EINVAL\)"),
        ([LinkDel("nowhere", "eth0")], r"no network namespace 'nowhere' in the lab"),
        ([LinkAdd("pod-12", "eth0", "bridge")], r"File exists \(EEXIST\)"),
        ([RulesRestore("pod-12", "*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n")], r"iptables-restore"),
        ([route("pod-12", "10.9.0.0/24", "eth0", table="blue")], r"a routing table is main, local, default or a number"),
    ],
)
def test_a_refusal_names_the_command_and_the_reason(lab: Lab, two_nodes, ops: list, message: str) -> None:
    lab.run(two_nodes())
    with pytest.raises(LabError, match=message):
        lab.run([*ops, NetnsAdd("later")])
    assert "later" not in lab.namespaces  # what comes behind the mistake is not done
    assert lab.ping("pod-12", NEXT).ok  # and the lab goes on


def test_failing_commands_are_reported(lab: Lab) -> None:
    lab.run([NetnsAdd("one")])
    with pytest.raises(LabError, match="exit status 2"):
        lab.exec("one", "ls /no/such/place")
    with pytest.raises(LabError, match="no-such-program: No such file"):
        lab.exec("one", ["no-such-program"])
    with pytest.raises(LabError, match=r"not finished after 0.2 s"):
        lab.exec("one", ["sleep", "60"], timeout=0.2)
    with pytest.raises(LabError, match="exit status"):
        lab.shell("false\nip netns add two")
    assert lab.namespaces == ("one",)


def test_the_limit_of_a_capture_holds(silent_lab: Lab, two_nodes) -> None:
    silent_lab.run(two_nodes())
    with pytest.raises(LabError, match="still under way"), silent_lab.capture(limit=0.05):
        silent_lab.send("pod-12", replace(udp(WEB, "10.244.1.77", 53)))
