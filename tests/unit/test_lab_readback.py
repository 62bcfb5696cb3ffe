"""What the helper reads, as values: from plain data, without a kernel."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address as ip
from ipaddress import ip_interface, ip_network

import pytest

from k8snetlib.lab.readback import Unparsed, capture, conntrack, netns, sockets
from k8snetlib.linux.packet import Flow, Frame, udp
from k8snetlib.linux.state import FdbEntry, Neighbor, PolicyRule, Route, Socket, VxlanConfig
from k8snetlib.linux.wire import to_bytes

MAC = "0a:58:00:00:00:01"


def link(name: str, index: int, kind: str = "veth", **more: object) -> dict:
    usual = {"mac": MAC, "mtu": 1500, "up": True, "operstate": "UP", "master": None, "peer": None}
    return {
        "index": index,
        "name": name,
        "kind": kind,
        **usual,
        "hairpin": False,
        "learning": True,
        "isolated": False,
        "proxy_arp": False,
        **more,
    }


def via(dst: str | None, prefix: int, **more: object) -> dict:
    usual = {"family": socket.AF_INET, "via": None, "dev": "eth0", "src": None, "scope": 0, "proto": 3, "metric": 0, "flags": 0}
    return {"dst": dst, "prefix": prefix, **usual, "type": 1, "table": 254, "mtu": None, **more}


def raw(**parts: object) -> dict:
    empty = {"links": [], "addresses": [], "routes": [], "rules": [], "neighbors": [], "fdb": [], "proxied": [], "sysctls": {}}
    return {**empty, **parts}


def test_devices() -> None:
    tunnel = {"vni": 1, "local": "10.0.0.1", "link": 2, "port": 8472, "learning": False}
    links = [
        link("lo", 1, "loopback"),
        link("eth0", 2, peer=("node", "veth1")),
        link("br0", 3, "bridge"),
        link("veth9", 4, master=3, hairpin=True, isolated=True, learning=False),
        link("vx", 5, "vxlan", vxlan=tunnel),
        link("tunl0", 6, "ipip", up=False),  # added by a tunnel module to every namespace
    ]
    found = netns("one", raw(links=links, addresses=[("eth0", "10.0.0.1", 24), ("eth0", "fd00::1", 64)])).interfaces
    assert list(found) == ["lo", "eth0", "br0", "veth9", "vx"]
    assert found["eth0"].peer == ("node", "veth1")
    assert found["eth0"].addresses == (ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64"))
    port = found["veth9"]
    assert (port.master, port.hairpin, port.isolated, port.learning, port.index) == ("br0", True, True, False, 4)
    assert found["vx"].vxlan == VxlanConfig(1, ip("10.0.0.1"), "eth0", 8472, False)


@pytest.mark.parametrize(
    ("entry", "route"),
    [
        (via("10.1.0.0", 16, via="10.0.0.2"), Route(ip_network("10.1.0.0/16"), "eth0", ip("10.0.0.2"))),
        (via(None, 0, via="10.0.0.2", flags=4, mtu=1400), Route(ip_network("0.0.0.0/0"), "eth0", ip("10.0.0.2"), onlink=True, mtu=1400)),
        (
            via("10.0.0.0", 24, proto=2, scope=253, src="10.0.0.1"),
            Route(ip_network("10.0.0.0/24"), "eth0", src=ip("10.0.0.1"), scope="link", proto="kernel"),
        ),
        (via("10.1.0.0", 16, dev=None, type=6, table=100), Route(ip_network("10.1.0.0/16"), type="blackhole", table="100")),
        (
            via("fd01::", 64, family=socket.AF_INET6, metric=1024, proto=12),
            Route(ip_network("fd01::/64"), "eth0", proto="bird", metric=1024),
        ),
        (via("10.0.0.1", 32, table=255, type=2), None),  # the local table
        (via("ff00::", 8, family=socket.AF_INET6), None),  # multicast
        (via("10.0.0.255", 32, type=3), None),  # broadcast
    ],
)  # fmt: skip
def test_routes(entry: dict, route: Route | None) -> None:
    assert netns("one", raw(routes=[entry])).routes == ((route,) if route else ())


def test_rules_beside_the_three_that_are_always_there() -> None:
    usual = {"family": socket.AF_INET, "src": None, "src_len": 0, "dst": None, "dst_len": 0, "fwmark": None, "fwmask": None, "iif": None}
    rules = [{**usual, "priority": p, "table": t} for p, t in ((0, 255), (32766, 254), (32767, 253))]
    rules.append({**usual, "priority": 600, "table": 100, "src": "10.0.0.0", "src_len": 8, "fwmark": 1, "fwmask": 3})
    assert netns("one", raw(rules=rules)).rules == (PolicyRule(600, "100", ip_network("10.0.0.0/8"), fwmark=1, fwmask=3),)


@pytest.mark.parametrize(
    ("state", "word"), [(0x80, "PERMANENT"), (0x02, "REACHABLE"), (0x04, "STALE"), (0x01, None), (0x20, None), (0x40, None)]
)
def test_neighbours(state: int, word: str | None) -> None:
    found = netns("one", raw(neighbors=[{"dev": "eth0", "ip": "10.0.0.2", "mac": MAC, "state": state}])).neighbors
    assert found == ({("eth0", ip("10.0.0.2")): Neighbor("eth0", ip("10.0.0.2"), MAC, word)} if word else {})


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"dst": "10.0.0.2", "flags": 2, "state": 0xC0}, FdbEntry("dev", MAC, ip("10.0.0.2"), state="permanent")),
        ({"dst": "10.0.0.2", "flags": 2, "state": 0x02}, FdbEntry("dev", MAC, ip("10.0.0.2"), state="dynamic")),
        ({"master": "br0", "state": 0x40}, FdbEntry("dev", MAC, master="br0", state="static")),
        ({"master": "br0", "state": 0x02}, FdbEntry("dev", MAC, master="br0", state="dynamic")),
        ({"master": "br0", "state": 0x80}, None),  # the port's own address
        ({"master": "br0", "state": 0x40, "vlan": 1}, None),  # the same once more, for the port's VLAN
        ({"flags": 2, "state": 0x80}, None),  # a multicast filter of the device
    ],
)
def test_fdb(entry: dict, found: FdbEntry | None) -> None:
    usual = {"dev": "dev", "mac": MAC, "dst": None, "master": None, "flags": 0, "vlan": None}
    assert tuple(netns("one", raw(fdb=[{**usual, **entry}])).fdb.values()) == ((found,) if found else ())


def test_connections() -> None:
    half = {"src": "10.0.0.1", "dst": "10.96.0.10", "proto": 6, "id": None, "sport": 40000, "dport": 80}
    back = {"src": "10.0.0.2", "dst": "10.0.0.1", "proto": 6, "id": None, "sport": 8080, "dport": 40000}
    found = conntrack({"original": half, "reply": back, "status": 0x1AE, "mark": 5, "tcp": 3})  # DNAT, seen reply, assured, confirmed
    assert found.original == Flow("tcp", ip("10.0.0.1"), 40000, ip("10.96.0.10"), 80)
    assert found.reply == Flow("tcp", ip("10.0.0.2"), 8080, ip("10.0.0.1"), 40000)
    assert (found.state, found.seen_reply, found.assured, found.mark, found.nat) == ("ESTABLISHED", True, True, 5, ("dst",))


def test_a_ping_is_known_by_its_identifier() -> None:
    half = {"src": "fd00::1", "dst": "fd00::2", "proto": 58, "id": 7, "sport": None, "dport": None}
    found = conntrack({"original": half, "reply": half, "status": 8, "mark": 0, "tcp": None})
    assert found.original == Flow("ipv6-icmp", ip("fd00::1"), 7, ip("fd00::2"), 7)
    assert (found.state, found.nat) == ("", ())


def test_frames_that_cannot_be_read_are_kept() -> None:
    frame = Frame(MAC, "0a:58:00:00:00:02", udp("10.0.0.1", "10.0.0.2", 53))
    assert capture("one", "eth0", "in", to_bytes(frame)).frame == frame
    for data in (b"", bytes(14), to_bytes(frame)[:20], bytes(12) + b"\x88\xcc" + b"lldp"):
        kept = capture("one", "eth0", "in", data).frame
        assert isinstance(kept, Unparsed) and kept.data == data and kept.reason in str(kept)


def proc_line(address: str, port: int, state: str) -> str:
    packed = ip(address).packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    text = "".join((word[::-1] if sys.byteorder == "little" else word).hex().upper() for word in words)
    return f"   0: {text}:{port:04X} 00000000:0000 {state} 00000000:00000000"


def test_sockets() -> None:
    files = {
        "tcp": "\n".join(["head", proc_line("127.0.0.1", 631, "0A"), proc_line("127.0.0.1", 40000, "01")]),
        "tcp6": "\n".join(["head", proc_line("::", 8080, "0A"), proc_line("fd00::1", 9000, "0A")]),
        "udp": "\n".join(["head", proc_line("0.0.0.0", 53, "07")]),
        "udp6": "head",
    }
    assert sockets(files, [Socket("tcp", 8080, None, "web")]) == (
        Socket("tcp", 631, ip("127.0.0.1")),
        Socket("tcp", 8080, None, "web"),
        Socket("tcp", 9000, ip("fd00::1")),
        Socket("udp", 53, ip("0.0.0.0")),
    )
