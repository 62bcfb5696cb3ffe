"""Three interpreters, one meaning: the commands that ops print, typed into a shell; the same ops by ``Lab.run``; and the model's ``build``.

The kernel's state after the first two, read back by netlink, must be the same, and must be the state of the model. What is compared
is everything of a namespace that an op can set, after this normalisation and no other:

* the numbers of interfaces are left out: a kernel may begin with devices of its own (tunl0 …);
* ``fixed_mtu`` of a bridge is left out: the kernel knows it and does not tell;
* addresses, routes, rules, neighbours and FDB entries are compared as sets: their order in a listing says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address as ip
from ipaddress import ip_interface, ip_network

import pytest

from k8snetlib.kube.cast import shop
from k8snetlib.kube.cni import CNIS
from k8snetlib.lab import Lab
from k8snetlib.linux.draft import build
from k8snetlib.linux.ops import (
    AddrDel,
    FdbAdd,
    FdbDel,
    LinkAdd,
    LinkDel,
    LinkSet,
    Listen,
    NeighAdd,
    NeighDel,
    NetnsAdd,
    Op,
    ProxyNeighAdd,
    RouteDel,
    RuleAdd,
    RulesRestore,
    SysctlSet,
    address,
    commands,
    route,
)
from k8snetlib.linux.state import FdbEntry, Neighbor, NetNS, PolicyRule, Route, Socket, VxlanConfig

MAC = "0a:58:00:00:00:0{}"


def facts(namespace: NetNS) -> list[str]:
    """A namespace as sorted lines: what is compared (see above)."""
    found: list[object] = []
    for interface in namespace.interfaces.values():
        plain = replace(interface, index=0, fixed_mtu=False, addresses=())
        found += [plain, *((interface.name, "address", str(each)) for each in interface.addresses)]
    found += [*namespace.routes, *namespace.rules, *namespace.neighbors.values(), *namespace.fdb.values(), *namespace.proxied]
    return sorted(map(repr, found))


def assert_same(lab: Lab, model: Iterable[tuple[str, NetNS]], how: str) -> None:
    model = dict(model)
    assert set(lab.namespaces) == set(model), how
    for name, namespace in model.items():
        assert facts(lab.state(name)) == facts(namespace), f"{name}, {how}"


def typed(ops: Iterable[Op]) -> list[Op]:
    """Ops without the listening processes: a shell would need socat for them, and they are no configuration."""
    return [op for op in ops if not isinstance(op, Listen)]


def check(lab: Lab, ops: list[Op], one_by_one: bool = False) -> None:
    model = build(ops)
    lab.run(ops)
    assert_same(lab, model.items(), "by Lab.run")
    lab.clear()
    # One by one, each command is done with when the next is typed; in one go, a device may go away before it has fully come up.
    for text in [op.command() for op in typed(ops)] if one_by_one else [commands(typed(ops))]:
        lab.shell(text)
    assert_same(lab, model.items(), "by commands")


@pytest.mark.needs("vxlan", "ip")
def test_a_cluster_written_by_hand(lab: Lab, two_nodes) -> None:
    check(lab, two_nodes())


COURSE = [
    pytest.param(
        name, families, id=f"{name}-{'+'.join(families)}", marks=pytest.mark.needs("ipip") if "ipip" in name and "IPv4" in families else ()
    )
    for name, plugin in CNIS.items()
    for families in (("IPv4",), ("IPv6",), ("IPv4", "IPv6"))
    if plugin.ipv6
]


@pytest.mark.needs("vxlan", "ip")
@pytest.mark.parametrize(("cni", "families"), COURSE)
def test_the_cluster_of_the_course(lab: Lab, cni: str, families: tuple[str, ...]) -> None:
    check(lab, list(shop(cni, families=families, node_c=True).ops()))


@pytest.mark.needs("vxlan", "ip")
@pytest.mark.parametrize("cni", [name for name, plugin in CNIS.items() if not plugin.ipv6])
def test_the_cluster_of_the_course_in_a_network_of_ipv4(lab: Lab, cni: str) -> None:
    check(lab, list(shop(cni, node_c=True).ops()))


def pair(*more: Op) -> list[Op]:
    """Namespaces one and two with a veth between them, in both families."""
    first = [NetnsAdd("one"), NetnsAdd("two"), LinkAdd("one", "eth0", "veth", peer=("two", "eth0"))]
    addresses = [address("one", "eth0", "10.0.0.1/24"), address("one", "eth0", "fd00::1/64"), address("two", "eth0", "10.0.0.2/24")]
    return [*first, *addresses, LinkSet("one", "eth0", up=True), LinkSet("two", "eth0", up=True), *more]


def bridge(*more: Op, mtu: int | None = None, port_mtu: int | None = None, live: bool = True) -> list[Op]:
    """``pair`` with a bridge br0 in one, and a port p0 on it, whose far end is in two."""
    made = [LinkAdd("one", "br0", "bridge", mtu=mtu), LinkSet("one", "br0", up=True)]
    port = [LinkAdd("one", "p0", "veth", mtu=port_mtu, peer=("two", "q0")), LinkSet("one", "p0", master="br0", up=True)]
    return pair(*made, *port, *([LinkSet("two", "q0", up=True)] if live else []), *more)


def vxlan(*more: Op, local: str = "10.0.0.1", first: tuple[Op, ...] = ()) -> list[Op]:
    tunnel = VxlanConfig(7, ip(local), "eth0", 8472, learning=False)
    return pair(*first, LinkAdd("one", "vx", "vxlan", vxlan=tunnel), LinkSet("one", "vx", up=True), *more)


def far(mac: int, dst: str = "10.0.0.2") -> FdbEntry:
    return FdbEntry("vx", MAC.format(mac), ip(dst), state="permanent")


def behind(mac: int) -> FdbEntry:
    return FdbEntry("p0", MAC.format(mac), master="br0")


CASES: dict[str, list[Op]] = {
    "short names": [
        *(NetnsAdd("one"), LinkAdd("one", "d", "bridge"), LinkSet("one", "d", up=True)),
        *(LinkAdd("one", "a", "bridge"), LinkDel("one", "a")),
    ],
    "IPv4 addresses of a device that is up": pair(*(address("one", "eth0", a) for a in ("10.1.0.1/24", "10.2.0.1/32", "10.3.0.0/31"))),
    "IPv6 addresses of a device that is up": pair(*(address("one", "eth0", a) for a in ("fd00:1::1/64", "fd00:2::1/128", "fd00:3::/127"))),
    "addresses of lo": [NetnsAdd("one"), *(address("one", "lo", text) for text in ("10.96.0.10/32", "10.97.0.1/24", "fd00::5/128"))],
    "secondary addresses": pair(address("one", "eth0", "10.0.0.9/24"), address("one", "eth0", "fd00::9/64")),
    "a secondary address goes": pair(address("one", "eth0", "10.0.0.9/24"), AddrDel("one", "eth0", ip_interface("10.0.0.9/24"))),
    "the primary address goes": pair(
        address("one", "eth0", "10.0.0.9/24"), address("one", "eth0", "10.5.0.9/24"), AddrDel("one", "eth0", ip_interface("10.0.0.1/24"))
    ),
    "the primary address goes, the secondary is promoted": pair(
        SysctlSet("one", "net.ipv4.conf.all.promote_secondaries", 1),
        address("one", "eth0", "10.0.0.9/24"),
        AddrDel("one", "eth0", ip_interface("10.0.0.1/24")),
    ),
    "the last IPv4 address goes": pair(
        route("one", "10.9.0.0/16", via="10.0.0.2"),
        route("one", "10.8.0.0/16", "eth0", src="10.0.0.1"),
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.7"), MAC.format(7))),
        AddrDel("one", "eth0", ip_interface("10.0.0.1/24")),
    ),
    "a preferred source on another device goes": pair(
        address("one", "lo", "10.77.0.1/32"),
        route("one", "10.9.0.0/16", via="10.0.0.2", src="10.77.0.1"),
        AddrDel("one", "lo", ip_interface("10.77.0.1/32")),
    ),
    "an IPv6 address goes": pair(
        address("one", "eth0", "fd00:5::1/64"),
        route("one", "fd09::/64", "eth0", src="fd00:5::1"),
        AddrDel("one", "eth0", ip_interface("fd00:5::1/64")),
    ),
    "routes": pair(
        route("one", "10.9.0.0/16", via="10.0.0.2"),
        route("one", "10.8.0.0/24", "eth0"),
        route("one", "default", via="10.0.0.2", metric=100),
        route("one", "default", via="10.0.0.3"),
        route("one", "10.7.0.0/24", "eth0", "172.16.0.1", onlink=True),
        route("one", "10.3.0.0/24", "eth0", src="10.0.0.1"),
        route("one", "10.2.0.0/24", via="10.0.0.2", mtu=1400),
        route("one", "10.1.0.1/32", "eth0", scope="link"),
        route("one", "10.99.0.0/24", via="10.0.0.2", table="100", proto="static"),
        route("one", "10.98.0.0/24", via="10.0.0.2", table="100", proto="bird"),
    ),
    "routes that lead nowhere": pair(
        route("one", "10.6.0.0/24", type="blackhole"),
        route("one", "10.5.0.0/24", type="unreachable"),
        route("one", "10.4.0.0/24", type="prohibit", metric=5),
        route("one", "10.3.0.0/24", type="throw", table="100"),
        route("one", "10.2.0.0/24", "lo", type="local", table="100"),
        route("one", "fd06::/64", type="blackhole"),
        route("one", "fd03::/64", type="unreachable"),
        route("one", "fd02::/64", type="prohibit"),
    ),
    "IPv6 routes": pair(
        route("one", "fd09::/64", via="fd00::2"),
        route("one", "fd08::/64", "eth0"),
        route("one", "default", via="fd00::3"),
        route("one", "fd07::/64", "eth0", "fe80::1"),
        route("one", "fd05::1/128", "eth0", metric=50),
        route("one", "fd04::/64", via="fd00::2", table="100"),
        route("one", "fd01::/64", "eth0", "fd99::1", onlink=True),
        route("one", "fd0a::/64", via="fd00::2", mtu=1400),
    ),
    "routes go": pair(
        route("one", "10.9.0.0/16", via="10.0.0.2"),
        RouteDel("one", Route(ip_network("10.9.0.0/16"))),
        route("one", "fd09::/64", via="fd00::2"),
        RouteDel("one", Route(ip_network("fd09::/64"), via=ip("fd00::2"))),
        route("one", "10.6.0.0/24", type="blackhole"),
        RouteDel("one", Route(ip_network("10.6.0.0/24"), type="blackhole")),
        route("one", "10.99.0.0/24", via="10.0.0.2", table="100"),
        RouteDel("one", Route(ip_network("10.99.0.0/24"), table="100")),
        RouteDel("one", Route(ip_network("10.0.0.0/24"), "eth0")),
    ),
    "a gateway that is not on a link": pair(
        address("one", "eth0", "169.254.1.1/32"), route("one", "169.254.1.2/32", "eth0"), route("one", "default", "eth0", "169.254.1.2")
    ),
    "policy rules": pair(
        RuleAdd("one", PolicyRule(1536, "2", src=ip_network("10.0.0.5/32"))),
        RuleAdd("one", PolicyRule(512, "main", dst=ip_network("10.0.0.0/8"))),
        RuleAdd("one", PolicyRule(600, "100", fwmark=0x4000, fwmask=0x4000)),
        RuleAdd("one", PolicyRule(700, "100", fwmark=0x1, iif="eth0")),
        RuleAdd("one", PolicyRule(800, "100", version=6, src=ip_network("fd00::/64"))),
    ),
    "neighbours": pair(
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.7"), MAC.format(7))),
        NeighAdd("one", Neighbor("eth0", ip("fd00::7"), MAC.format(7))),
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.8"), MAC.format(8), "REACHABLE")),
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.7"), MAC.format(9))),
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.9"), MAC.format(9))),
        NeighDel("one", "eth0", ip("10.0.0.9")),
    ),
    "MTU": pair(LinkSet("one", "eth0", mtu=1400)),
    "one end up": [
        *(NetnsAdd("one"), NetnsAdd("two"), LinkAdd("one", "v", "veth", peer=("two", "w")), LinkSet("one", "v", up=True)),
        *(address("one", "v", "10.0.0.1/24"), address("one", "v", "fd00::1/64")),
    ],
    "both ends in one namespace": [
        *(NetnsAdd("one"), LinkAdd("one", "v", "veth", peer=("one", "w")), LinkSet("one", "v", up=True), LinkSet("one", "w", up=True))
    ],
    "IPv6 off": [
        *(NetnsAdd("one"), NetnsAdd("two"), SysctlSet("one", "net.ipv6.conf.all.disable_ipv6", 1)),
        *(LinkAdd("one", "v", "veth", peer=("two", "w")), LinkSet("one", "v", up=True), LinkSet("two", "w", up=True)),
        address("one", "v", "10.0.0.1/24"),
    ],
    "a bridge without ports": [
        *(NetnsAdd("one"), LinkAdd("one", "br0", "bridge"), LinkSet("one", "br0", up=True), address("one", "br0", "fd00::1/64"))
    ],
    "a bridge whose port has no carrier": bridge(live=False),
    "a bridge with a live port": bridge(),
    "a live device joins a bridge": pair(
        LinkAdd("one", "br0", "bridge"), LinkSet("one", "br0", up=True), LinkSet("one", "eth0", master="br0")
    ),
    "answering for others": pair(ProxyNeighAdd("one", "eth0", ip("169.254.1.1")), ProxyNeighAdd("one", "eth0", ip("fd00::77")), ProxyNeighAdd("one", "lo", ip("fd00::78"))),
    "port flags": bridge(LinkSet("one", "p0", hairpin=True, learning=False, isolated=True, proxy_arp=True)),
    "bridge FDB": bridge(FdbAdd("one", behind(9)), FdbAdd("one", behind(8)), FdbDel("one", behind(8))),
    "a bridge follows its ports' MTU": bridge(mtu=1300, port_mtu=1400),
    "a bridge whose MTU is set by hand": bridge(LinkSet("one", "br0", mtu=1300), LinkSet("one", "p0", mtu=1350), port_mtu=1400),
    "a port's MTU changes": bridge(LinkSet("one", "p0", mtu=1350), port_mtu=1400),
    "VXLAN": vxlan(FdbAdd("one", far(9)), FdbAdd("one", far(8)), FdbDel("one", far(8))),
    "VXLAN over IPv6": vxlan(FdbAdd("one", far(9, "fd00::2")), local="fd00::1"),
    "VXLAN over a small MTU": vxlan(first=(LinkSet("one", "eth0", mtu=1400),)),
}  # fmt: skip


@pytest.mark.needs("vxlan", "ip")
@pytest.mark.parametrize("name", CASES)
def test_every_op(lab: Lab, name: str) -> None:
    check(lab, CASES[name])


GOING: dict[str, list[Op]] = {
    "a device goes down": pair(
        route("one", "10.9.0.0/16", via="10.0.0.2"),
        NeighAdd("one", Neighbor("eth0", ip("10.0.0.7"), MAC.format(7))),
        LinkSet("one", "eth0", up=False),
    ),
    "a device goes down and up": pair(
        route("one", "10.9.0.0/16", via="10.0.0.2"), LinkSet("one", "eth0", up=False), LinkSet("one", "eth0", up=True)
    ),
    "a device goes away": pair(route("one", "10.9.0.0/16", via="10.0.0.2"), LinkDel("one", "eth0")),
    "its far end goes away": pair(LinkDel("two", "eth0")),
    "a port leaves": bridge(LinkSet("one", "p0", hairpin=True), FdbAdd("one", behind(9)), LinkSet("one", "p0", master="")),
    "the bridge goes away": bridge(LinkSet("one", "p0", hairpin=True), FdbAdd("one", behind(9)), LinkDel("one", "br0")),
    "a port's far end goes away": bridge(LinkDel("two", "q0"), port_mtu=1400),
    "a port goes down": bridge(
        FdbAdd("one", behind(9)), FdbAdd("one", replace(behind(8), state="dynamic")), LinkSet("one", "p0", up=False)
    ),
    "the device below a tunnel goes down": vxlan(LinkSet("one", "eth0", up=False)),
    "the device below a tunnel goes away": vxlan(LinkDel("one", "eth0")),
    "IPv6 is switched off": pair(
        route("one", "fd09::/64", via="fd00::2"),
        NeighAdd("one", Neighbor("eth0", ip("fd00::7"), MAC.format(7))),
        SysctlSet("one", "net.ipv6.conf.all.disable_ipv6", 1),
    ),
    "IPv6 is switched off and on": pair(
        SysctlSet("one", "net.ipv6.conf.all.disable_ipv6", 1), SysctlSet("one", "net.ipv6.conf.all.disable_ipv6", 0)
    ),
}  # fmt: skip


@pytest.mark.needs("vxlan", "ip")
@pytest.mark.parametrize("name", GOING)
def test_what_goes_with_a_device(lab: Lab, name: str) -> None:
    check(lab, GOING[name], one_by_one=True)


def test_learned_and_flood_entries_by_run() -> None:
    """Two entries that text cannot make in a lab without being taken for learned ones, and forgotten before the first packet."""
    flood = FdbAdd("one", FdbEntry("vx", "00:00:00:00:00:00", ip("10.0.0.2"), state="permanent"))
    for ops in (bridge(FdbAdd("one", replace(behind(8), state="dynamic"))), vxlan(flood)):
        with Lab(ops) as lab:
            assert_same(lab, build(ops).items(), "by Lab.run")


def test_sockets_and_sysctls() -> None:
    ops = pair(
        *(Listen("one", Socket("tcp", 80, None, "web")), Listen("one", Socket("udp", 53, ip("10.0.0.1"), "dns"))),
        *(Listen("two", Socket("tcp", 443, ip("::1"), "tls")), SysctlSet("one", "net.ipv4.ip_forward", 1)),
    )
    model = build(ops)
    with Lab(ops) as lab:
        for name in ("one", "two"):
            assert set(lab.state(name).sockets) == set(model[name].sockets)
        assert lab.state("one", ["net.ipv4.ip_forward"]).sysctls == dict(model["one"].sysctls)


NAT = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.10/32 -p tcp -m comment --comment "what a shell would take for $more or `less`" -j DNAT --to-destination 10.0.0.2
-A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE --random-fully
COMMIT
"""


@pytest.mark.needs("iptables", "ip6tables", "ip")
def test_rule_sets() -> None:
    ops = pair(RulesRestore("one", NAT), RulesRestore("one", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", version=6))
    texts = []
    with Lab(ops) as by_run, Lab() as by_commands:
        by_commands.shell(commands(ops))
        for lab in (by_run, by_commands):
            rules = [lab.exec("one", [tool]).out for tool in ("iptables-save", "ip6tables-save")]
            texts.append([line for text in rules for line in text.splitlines() if not line.startswith("#")])
    assert texts[0] == texts[1]
    assert set(NAT.splitlines()) <= set(texts[0])
    assert ":FORWARD DROP [0:0]" in texts[0]


def test_the_comparison_sees_differences(two_nodes) -> None:
    """Each kind of fact, changed behind the model's back, is noticed."""
    ops = two_nodes()
    model = build(ops)
    changes = (
        "ip -n node-a link set dev eth0 mtu 1400",
        "ip -n node-a route add 10.1.0.0/16 via 192.168.50.12",
        "ip -n node-a rule add from 10.0.0.1 lookup 100",
        "ip -n node-a neigh replace 192.168.50.99 lladdr 0a:58:00:00:00:01 dev eth0",
        "bridge -n node-a fdb add 0a:58:00:00:00:01 dev veth-2 master static",
        "ip -n node-a addr add 10.1.0.1/32 dev eth0",
        "bridge -n node-a link set dev veth-2 hairpin off",
    )
    with Lab(ops) as lab:
        seen = facts(lab.state("node-a"))
        assert seen == facts(model["node-a"])
        for change in changes:
            lab.shell(change)
            now = facts(lab.state("node-a"))
            assert now != seen, change
            seen = now
