"""Ops to requests, without a kernel: every class of op has an entry, and the entries say what ``ip`` would."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from ipaddress import ip_address as ip
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from k8snetlib import lab as lab_package
from k8snetlib.errors import LabError
from k8snetlib.lab.lab import _needs_carriers
from k8snetlib.lab.lower import LOWER, LOWER_IPVS, PROTOS, SCOPES, TYPES, lower, proto_number, table_number
from k8snetlib.linux import ops as o
from k8snetlib.linux import ops_ipvs as i
from k8snetlib.linux.ipvs import RealServer, ServerKey, VirtualServer
from k8snetlib.linux.nftables import Table
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.state import Conntrack, FdbEntry, Neighbor, PolicyRule, Route, Socket, VxlanConfig

FOLDER = Path(lab_package.__file__).parent


def one(op: o.Op) -> tuple[str, dict]:
    [(_, request)] = lower([op])
    return request


def test_every_op_has_an_entry() -> None:
    classes = {c for c in vars(o).values() if inspect.isclass(c) and c is not o.Op and hasattr(c, "apply") and hasattr(c, "command")}
    assert {c.__name__ for c in classes} == {c.__name__ for c in LOWER}


@pytest.mark.parametrize(
    ("op", "verb", "part"),
    [
        (o.LinkAdd("a", "v", "veth", mtu=1400, peer=("b", "w")), "link_add", {"mac": o.stable_mac("a", "v"), "mtu": 1400}),
        (
            o.LinkAdd("a", "v", "veth", peer=("b", "w")),
            "link_add",
            {"mtu": None, "peer": {"netns": "b", "name": "w", "mac": o.stable_mac("b", "w")}},
        ),
        (
            o.LinkAdd("a", "x", "vxlan", vxlan=VxlanConfig(1, ip("10.0.0.1"), "eth0", 8472, learning=False)),
            "link_add",
            {"options": {"vxlan_id": 1, "vxlan_local": "10.0.0.1", "vxlan_link": "eth0", "vxlan_port": 8472, "vxlan_learning": 0}},
        ),
        (o.LinkSet("a", "v", up=False), "link_set", {"link": {"state": "down"}, "port": {}}),
        (o.LinkSet("a", "v", master=""), "link_set", {"link": {"master": 0}}),
        (o.LinkSet("a", "v", hairpin=True, isolated=False), "link_set", {"link": {}, "port": {"mode": 1, "isolated": 0}}),
        (o.ProxyNeighAdd("a", "v", ip("fd00::9")), "proxy_add", {"dev": "v", "ip": "fd00::9", "version": 6}),
        (o.LinkSet("a", "v", proxy_arp=True), "link_set", {"link": {}, "port": {"proxyarp": 1}}),
        (o.AddrAdd("a", "v", ip_interface("10.0.0.1/24")), "addr_add", {"address": "10.0.0.1", "prefix": 24, "version": 4}),
        (o.AddrDel("a", "v", ip_interface("fd00::1/64")), "addr_del", {"address": "fd00::1", "prefix": 64, "version": 6}),
        (o.route("a", "10.0.0.0/8", "v"), "route_add", {"scope": SCOPES["link"], "proto": PROTOS["boot"], "table": 254}),
        (o.route("a", "10.0.0.0/8", via="10.1.0.1"), "route_add", {"scope": SCOPES["global"], "gateway": "10.1.0.1", "dev": None}),
        (o.route("a", "10.0.0.0/8", "lo", type="local"), "route_add", {"scope": SCOPES["host"], "type": TYPES["local"]}),
        (o.route("a", "fd00::/64", "v"), "route_add", {"scope": 0, "version": 6}),
        (o.route("a", "default", via="fd00::1", mtu=1400, metric=7), "route_add", {"metrics": {"mtu": 1400}, "priority": 7, "dst": "::/0"}),
        (o.RouteDel("a", Route(ip_network("10.0.0.0/8"), table="100")), "route_del", {"dst": "10.0.0.0/8", "table": 100, "dev": None}),
        (
            o.RuleAdd("a", PolicyRule(5, "100", src=ip_network("10.0.0.0/8"), fwmark=1, fwmask=3, iif="v")),
            "rule_add",
            {"src": "10.0.0.0", "src_len": 8, "fwmark": 1, "fwmask": 3, "iifname": "v", "priority": 5, "table": 100},
        ),
        (o.NeighAdd("a", Neighbor("v", ip("10.0.0.2"), "0a:58:00:00:00:01")), "neigh_add", {"state": "permanent", "ip": "10.0.0.2"}),
        (o.FdbAdd("a", FdbEntry("v", "0a:58:00:00:00:01", master="br0")), "fdb_add", {"dst": None, "state": "static"}),
        (o.FdbDel("a", FdbEntry("x", "0a:58:00:00:00:01", ip("10.0.0.2"))), "fdb_del", {"dst": "10.0.0.2"}),
        (o.SysctlSet("a", "net.ipv4.ip_forward", 1), "sysctl_set", {"key": "net.ipv4.ip_forward", "value": "1"}),
        (o.RulesRestore("a", "*nat\nCOMMIT", 6), "load_parts", {"runs": [(["ip6tables-restore"], b"*nat\nCOMMIT\n")]}),
        (o.NftRestore("a", "flush ruleset"), "load_parts", {"runs": [(["nft", "-f", "-"], b"flush ruleset\n")]}),
        (
            o.NftReplace("a", Table("ip", "t")),
            "load_parts",
            {"runs": [(["nft", "-f", "-"], b"table ip t\ndelete table ip t\ntable ip t {\n}\n")]},
        ),
        (
            o.NftElementAdd("a", "ip", "t", "s", "10.0.0.1", 60.0),
            "load_parts",
            {"runs": [(["nft", "-f", "-"], b"add element ip t s { 10.0.0.1 timeout 1m }\n")]},
        ),
        (o.Listen("a", Socket("udp", 53, ip("10.0.0.2"))), "listen", {"proto": "udp", "port": 53, "address": "10.0.0.2"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, tuple(LOWER)) else "",
)  # fmt: skip
def test_what_is_asked_for(op: o.Op, verb: str, part: dict) -> None:
    got, wanted = one(op)
    assert got == verb and wanted["netns"] == "a"
    assert {key: wanted[key] for key in part} == part


def test_what_the_lab_cannot_do_is_refused() -> None:
    with pytest.raises(LabError, match="send the packet"):
        flow = tcp("10.0.0.1", "10.0.0.2", 80).flow
        one(o.ConntrackAdd("a", Conntrack(flow, flow.reverse())))

    class Unheard:
        netns = "a"

    with pytest.raises(LabError, match="no way to carry out Unheard"):
        lower([Unheard()])


def test_ops_of_ipvs() -> None:
    classes = {name for name, c in vars(i).items() if inspect.isclass(c) and hasattr(c, "command") and hasattr(c, "apply")}
    assert classes - set(LOWER_IPVS) == {"IpvsConnSet", "IpvsConnDel", "IpvsMarkSet"}  # a kernel alone makes these
    key, real = ServerKey("udp", ip("10.96.0.10"), 53), RealServer(ip("10.0.0.2"), 53, 2)
    server = VirtualServer(key, real=(real,))
    assert one(i.IpsetRestore("a", "create s hash:ip"))[1]["argv"] == ["ipset", "restore", "-exist"]
    assert one(i.IpvsRestore("a", (server,)))[1]["stdin"] == b"-A -u 10.96.0.10:53 -s rr\n-a -u 10.96.0.10:53 -r 10.0.0.2:53 -m -w 2\n"
    assert b"ipvsadm -a -u 10.96.0.10:53 -r 10.0.0.2:53 -m -w 2" in one(i.RealServerSet("a", key, real))[1]["stdin"]
    assert one(i.RealServerDel("a", key, real))[1]["stdin"] == b"ipvsadm -d -u 10.96.0.10:53 -r 10.0.0.2:53\n"
    assert "ipvsadm -d -u" in i.RealServerDel("a", key, real).command() and " || " in i.RealServerSet("a", key, real).command()
    with pytest.raises(LabError, match="no way to carry out IpvsMarkSet"):
        one(i.IpvsMarkSet("a", key, (None,)))


@pytest.mark.parametrize(("name", "number"), [("main", 254), ("local", 255), ("default", 253), ("100", 100)])
def test_table_numbers(name: str, number: int) -> None:
    assert table_number(name) == number


def test_names_that_only_a_file_could_resolve_are_refused() -> None:
    with pytest.raises(LabError, match="not 'blue'"):
        table_number("blue")
    with pytest.raises(LabError, match="not 'calico'"):
        proto_number("calico")
    assert proto_number("80") == 80


# ── what imports what ──


def imports(path: Path) -> set[str]:
    """The modules that a file imports, relative ones with their dots."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_the_lab_imports_the_linux_half_alone(path: Path) -> None:
    for module in imports(path):
        top = module.lstrip(".").split(".")[0]
        outside = module.startswith("..")
        assert not outside or top in ("errors", "linux", "value"), module
        assert outside or module.startswith(".") or top in sys.stdlib_module_names, module


@pytest.mark.parametrize("path", sorted((FOLDER / "inside").glob("*.py")), ids=lambda path: path.stem)
def test_the_helper_imports_the_standard_library_and_pyroute2(path: Path) -> None:
    own = {each.stem for each in path.parent.glob("*.py")}
    tops = {module.split(".")[0] for module in imports(path)}
    assert tops <= set(sys.stdlib_module_names) | own | {"pyroute2"}


def test_importing_the_lab_does_not_import_pyroute2() -> None:
    code = "import sys, k8snetlib.lab; sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parents[1]).returncode == 0


@pytest.mark.parametrize(
    ("op", "waits"),
    [
        (o.LinkDel("a", "p0"), True),
        (o.LinkSet("a", "p0", up=False), True),
        (o.LinkSet("a", "p0", master=""), True),
        (o.LinkSet("a", "p0", master="br0", up=True), False),
    ],
)
def test_what_takes_a_carrier_away_waits_until_those_before_it_have_been_seen(op: o.Op, waits: bool) -> None:
    assert _needs_carriers(one(op)) is waits
