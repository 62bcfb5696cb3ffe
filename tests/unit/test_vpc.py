"""The Amazon VPC CNI: limits of instance types, who gets which address, what is written on a node, and the ways of packets."""

from __future__ import annotations

import pytest

from k8snetlib import Cluster, ModelError, UnsupportedError, diagram, shop, vpc_nodes, vpc_subnets
from k8snetlib.kube.cni import vpc
from k8snetlib.kube.cni.vpc_ipam import FAILED, NO_ADDRESS, NO_PREFIX, Subnet, warm
from k8snetlib.kube.cni.vpc_limits import DEFAULT_TYPE, LIMITS, max_pods, recommended_pods
from k8snetlib.kube.cni.vpc_use import node_use, subnet_use
from k8snetlib.kube.objects import ObjectMeta, Pod
from k8snetlib.linux.addresses import ip_address, ip_network
from k8snetlib.linux.engine import after
from k8snetlib.linux.events import Answered, Bridged, Rewritten, Routed, Transmitted
from k8snetlib.linux.fib import lookup
from k8snetlib.linux.packet import Arp
from k8snetlib.views.topology import HOST, POD, role

PREFIX = "vpc-prefix"


def node(name: str, kind: str = "", address: str = "", pods: int | None = None) -> str:
    labels = f", labels: {{node.kubernetes.io/instance-type: {kind}}}" if kind else ""
    status = [f"addresses: [{{type: InternalIP, address: {address}}}]"] if address else []
    status += [f"allocatable: {{pods: '{pods}'}}"] if pods is not None else []
    return f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}{labels}}}\nstatus: {{{', '.join(status)}}}"


def pod(name: str, where: str = "node-a", status: str = "") -> str:
    home = f"nodeName: {where}, " if where else ""
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{{home}containers: [{{name: c, image: x, ports: [{{containerPort: 80}}]}}]}}"
    return text + (f"\nstatus: {{phase: Running, podIP: {status}}}" if status else "")


def cluster(*parts: str, cni: str = "vpc", **settings) -> Cluster:
    return Cluster.loads("\n---\n".join(parts), cni=cni, **settings)


def small(**settings) -> Cluster:
    """Three nodes of two ENIs with room for one Pod each; node-c is in another subnet."""
    nodes = [node("node-a", "t3.nano"), node("node-b", "t3.nano"), node("node-c", "t3.nano", "192.168.60.13")]
    return cluster(*nodes, *(pod(f"{letter}{number}", f"node-{letter}") for letter in "abc" for number in (1, 2)), **settings)


def addresses(found: Cluster) -> dict[str, str]:
    return {each.name: str(each.pod_ips[0]) if each.pod_ips else "" for each in found.pods}


# Limits


@pytest.mark.parametrize(("kind", "most"), [
    ("t2.medium", 17), ("t3.nano", 4), ("t3.micro", 4), ("t3.small", 11), ("t3.medium", 17), ("t3.large", 35), ("t3.xlarge", 58),
    ("t3.2xlarge", 58), ("c6g.medium", 8), ("c5.large", 29), ("m5.large", 29), ("m5.xlarge", 58), ("m5.2xlarge", 58), ("m5.4xlarge", 234),
    ("m5.12xlarge", 234), ("m5.24xlarge", 737), ("r5.large", 29),
])  # fmt: skip
def test_max_pods_as_the_project_lists_them(kind: str, most: int) -> None:
    """misc/eni-max-pods.txt, v1.20."""
    assert max_pods(kind) == most


def test_every_type_of_the_table_is_held_against_the_list() -> None:
    mark = next(m for m in test_max_pods_as_the_project_lists_them.pytestmark if m.name == "parametrize")
    assert {kind for kind, _ in mark.args[1]} == set(LIMITS) and DEFAULT_TYPE in LIMITS


@pytest.mark.parametrize(("kind", "most", "recommended"), [
    ("t3.nano", 34, 34), ("t3.small", 146, 110), ("t3.medium", 242, 110), ("m5.large", 434, 110), ("m5.24xlarge", 11762, 250), ("t2.medium", 17, 17),
])  # fmt: skip
def test_max_pods_with_prefixes(kind: str, most: int, recommended: int) -> None:
    """Sixteen for each address, capped by the number of vCPUs; an instance that is not Nitro takes no prefixes."""
    assert (max_pods(kind, prefix=True), recommended_pods(kind, prefix=True)) == (most, recommended)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"the ENI limits of x9.huge are not in the table: choose one of t2.medium, t3.nano"):
        cluster(node("node-a", "x9.huge"), pod("a"))


@pytest.mark.parametrize(("kind", "pods", "prefix", "held"), [
    ("t3.small", 0, False, (1, 4)), ("t3.small", 5, False, (3, 12)), ("t3.small", 9, False, (3, 12)),  # docs/eni-and-ip-target.md
    ("t3.small", 0, True, (1, 17)), ("t3.small", 5, True, (1, 33)), ("t3.small", 17, True, (1, 49)), ("t3.small", 58, True, (2, 82)),
])  # fmt: skip
def test_what_ipamd_holds_by_default(kind: str, pods: int, prefix: bool, held: tuple[int, int]) -> None:
    assert warm(kind, pods, prefix) == held


# Addresses


def test_the_primary_eni_first_and_then_further_ones() -> None:
    found = small()
    one = found.hosts[0]
    assert [(eni.dev, str(eni.address), [str(a) for a in eni.pods]) for eni in one.enis] == [
        ("eth0", "192.168.50.11/24", ["192.168.50.4"]),
        ("eth1", "192.168.50.5/24", ["192.168.50.6"]),
    ]
    assert all(eni.address.ip not in eni.pods for host in found.hosts for eni in host.enis)
    assert addresses(found)["c1"] == "192.168.60.4"  # its node's subnet
    assert not one.pod_cidrs and not found.nodes[0].pod_cidrs


def test_prefixes_are_whole_and_aligned() -> None:
    found = cluster(
        node("node-a", "t3.nano"), node("node-b", "t3.nano"), *(pod(f"p{n}") for n in range(17)), pod("q", "node-b"), cni=PREFIX
    )
    first, second = found.hosts
    assert [[str(p) for p in eni.prefixes] for eni in first.enis] == [["192.168.50.16/28"], ["192.168.50.32/28"]]
    assert [str(p) for p in second.enis[0].prefixes] == ["192.168.50.48/28"]
    given = addresses(found)
    assert (given["p0"], given["p15"], given["p16"], given["q"]) == ("192.168.50.16", "192.168.50.31", "192.168.50.32", "192.168.50.48")
    assert str(first.enis[1].address.ip) == "192.168.50.4"  # an ENI's own address is of no prefix


def test_an_instance_that_is_not_nitro_falls_back() -> None:
    assert not cluster(node("node-a", "t2.medium"), pod("a"), cni=PREFIX).hosts[0].enis[0].prefixes


@pytest.mark.parametrize("cni", ["vpc", PREFIX])
def test_an_address_in_a_status_is_kept_where_it_can_be(cni: str) -> None:
    nodes = node("node-a", "t3.small"), node("node-b", "t3.small")
    states = [
        pod("x"),
        pod("a", status="192.168.50.77"),
        pod("b", status="192.168.50.77"),
        pod("c", status="10.244.1.2"),
        pod("d", "node-b", "192.168.50.1"),
    ]
    found = cluster(*nodes, *states, pod("e", "node-b", "192.168.50.20"), cni=cni)
    given = addresses(found)
    assert (given["a"], given["e"]) == ("192.168.50.77", "192.168.50.20")
    assert len(set(given.values())) == 6 and all(address.startswith("192.168.50.") for address in given.values())
    remarks = [note for note in found.notes if "gets another address" in note]
    assert [note.split()[1] for note in remarks] == ["default/b", "default/c", "default/d"]


def test_a_stated_address_is_not_taken_by_an_eni() -> None:
    found = cluster(node("node-a", "t3.nano"), pod("a"), pod("b", status="192.168.50.4"))
    assert addresses(found)["b"] == "192.168.50.4"


# Failures


def test_more_pods_than_addresses_wait_for_a_node() -> None:
    found = cluster(node("node-a", "t3.nano"), node("node-b", "t3.nano"), *(pod(f"p{n}", "") for n in range(5)))
    assert list(found.pending.values()) == ["0/2 nodes are available: 2 Too many pods."]
    assert len(addresses(found)) == 5 and addresses(found)["p4"] == ""


def test_a_stated_number_of_pods_holds() -> None:
    found = cluster(node("node-a", "t3.medium", pods=1), pod("a", ""), pod("b", ""))
    assert list(found.pending.values()) == ["0/1 nodes are available: 1 Too many pods."]


def test_the_default_is_a_t3_medium() -> None:
    found = cluster(node("node-a"), *(pod(f"p{n}", "") for n in range(16)))
    assert len(found.pending) == 1 and len(found.hosts[0].enis) == 3  # 3 ENIs × 5


def test_all_enis_in_use() -> None:
    found = cluster(node("node-a", "t3.nano"), *(pod(f"p{n}") for n in range(3)))
    assert found.pending == {
        "default/p2": f"{FAILED} (node-a is a t3.nano: 2 ENIs with 1 address for Pods each, and all of them are in use)"
    }
    with pytest.raises(ModelError, match="failed to assign an IP address to container"):
        found.trace("pod/p0", "pod/p2:80")


def test_the_subnet_is_used_up() -> None:
    """Fifteen Pods and three ENIs on each node: 14 nodes of 18 addresses are more than a /24 has."""
    nodes = [node(f"n{n}") for n in range(15)]
    found = cluster(*nodes, *(pod(f"p{n}-{k}", f"n{n}") for n in range(15) for k in range(15)))
    assert set(found.pending.values()) == {f"{FAILED} ({NO_ADDRESS})"}
    assert subnet_use(found)[0].free < 2 and subnet_use(found)[0].usable == 251
    assert 251 - sum(each.held for each in node_use(found)) == subnet_use(found)[0].free


def test_fragmentation_is_another_failure_than_exhaustion() -> None:
    """A node in each /28 of the subnet: most addresses are free, and no prefix is."""
    nodes = [node(f"n{n}", address=f"192.168.50.{16 * n + 9}") for n in range(16)]
    whole = cluster(*nodes, pod("a", "n0"), cni=PREFIX)
    assert whole.pending == {"default/a": f"{FAILED} ({NO_PREFIX})"}
    (use,) = subnet_use(whole)
    assert (use.free, use.free_prefixes) == (251 - 16, 0)
    assert addresses(whole.with_cni("vpc"))["a"] == "192.168.50.4"


def test_a_subnet_by_itself() -> None:
    subnet = Subnet(ip_network("192.168.50.0/27"), [ip_address("192.168.50.11")])
    assert (subnet.usable, subnet.free, subnet.free_prefixes) == (27, 26, [])  # the first /28 has the reserved .0, the second .31
    assert not subnet.take(ip_address("192.168.50.3")) and not subnet.take(ip_address("192.168.50.31"))
    assert str(subnet.lowest()) == "192.168.50.4" and subnet.free == 25


@pytest.mark.parametrize("families", [("IPv6",), ("IPv4", "IPv6"), ("IPv6", "IPv4")], ids="+".join)
def test_pods_have_one_family(families: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedError, match="an EKS cluster is IPv4 or IPv6, never both"):
        shop("vpc", families=families)


# What is written


def test_a_pods_commands() -> None:
    found = small().commands("a2")
    for line in (
        "ip -n a2 route add 169.254.1.1 dev eth0 scope link",
        "ip -n a2 route add default via 169.254.1.1 dev eth0",
        "ip -n a2 addr add 192.168.50.6/32 dev eth0",
        "ip -n a2 neigh replace 169.254.1.1 lladdr 0a:58:9a:25:23:7c dev eth0 nud permanent",
    ):
        assert line in found.splitlines()


def test_a_nodes_commands() -> None:
    """One rule towards each Pod; from a Pod only where it is on a further ENI, whose table is its number + 1."""
    lines = small().commands("node-a").splitlines()
    assert [line.removeprefix("ip -n node-a rule add ") for line in lines if " rule add " in line] == [
        "from all fwmark 0x80/0x80 lookup main priority 1024",
        "from all to 192.168.50.4 lookup main priority 512",
        "from all to 192.168.50.6 lookup main priority 512",
        "from 192.168.50.6 lookup 2 priority 1536",
    ]
    for line in (
        "ip netns exec node-a sysctl -qw net.ipv4.conf.eth0.rp_filter=2",
        "ip -n node-a addr add 192.168.50.5/24 dev eth1",
        "ip -n node-a route add 192.168.50.1 dev eth1 table 2 scope link",
        "ip -n node-a route add default via 192.168.50.1 dev eth1 table 2",
        "ip -n node-a route del 192.168.50.0/24 dev eth1",
        "ip -n node-a route add 192.168.50.6 dev enif932eb697ec scope link",
    ):
        assert line in lines


@pytest.mark.parametrize(("space", "name", "veth"), [
    ("kube-system", "coredns-57ff979f67-qqbdh", "enib5faff8a083"), ("kube-system", "coredns-57ff979f67-8ns9b", "eni9571956a6cc"),
    ("default", "sample-pod", "enicc21c2d7785"),
])  # fmt: skip
def test_the_name_of_a_cable(space: str, name: str, veth: str) -> None:
    """As names_test.go of v1.20 has them."""
    assert vpc.veth(Pod(ObjectMeta(name, space))) == veth


def test_the_rules() -> None:
    text = str(small().network["node-a"].rulesets[4])
    nat = text[text.index("*nat") :]
    assert nat.index('-d 192.168.0.0/16 -m comment --comment "AWS CONNMARK CHAIN, VPC CIDR" -j RETURN') < nat.index(
        "-j CONNMARK --set-xmark 0x80/0x80"
    )
    assert '-A AWS-SNAT-CHAIN-0 -d 192.168.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN' in nat
    assert (
        '-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL -j SNAT --to-source 192.168.50.11 --random-fully'
        in nat
    )
    assert (
        '-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI" -m addrtype --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80'
        in text
    )


def test_a_vpc_of_several_ranges() -> None:
    found = cluster(node("node-a"), node("node-b", address="10.0.7.5"), pod("a"))
    assert [str(each) for each in vpc.vpc_cidrs(found.hosts)] == ["192.168.0.0/16", "10.0.0.0/16"]
    assert "-A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16" in found.commands("node-a")


def test_the_mapping_service_knows_every_address() -> None:
    found = small()
    underlay = found.network["underlay"]
    for host in found.hosts:
        for eni in host.enis:
            (home,) = {e.dev for (bridge, mac), e in underlay.fdb.items() if mac == eni.mac}
            assert underlay.interfaces[home].proxy_arp and not underlay.interfaces[home].learning
            for address in (eni.address.ip, *eni.pods):
                assert {n.mac for (_, ip), n in underlay.neighbors.items() if ip == address} == {eni.mac}


def test_kube_proxy_cannot_tell_pods_from_others() -> None:
    """EKS leaves clusterCIDR empty: no rule asks for the Pods' range."""
    text = shop("vpc", proxy="iptables").commands("node-a")
    assert "10.244." not in text and "-j KUBE-MARK-MASQ" in text


# Packets


@pytest.mark.parametrize("cni", ["vpc", PREFIX])
@pytest.mark.parametrize(
    ("source", "target"), [("a1", "a2"), ("a1", "b1"), ("a1", "b2"), ("a2", "b1"), ("a2", "b2"), ("a2", "c2"), ("c2", "a1")]
)
def test_pods_reach_each_other_without_nat(source: str, target: str, cni: str) -> None:
    told = small(cni=cni).trace(f"pod/{source}", f"pod/{target}:80")
    assert told.delivered and told.reply.delivered
    assert not [
        e for e in (*told.events, *told.reply.events) if isinstance(e, Rewritten) and (e.old.src, e.old.dst) != (e.new.src, e.new.dst)
    ]


def test_the_fabric_answers_and_nobody_else_is_asked() -> None:
    found = small()
    told = found.trace("pod/a1", "pod/b2:80")
    (answer,) = [e for e in told.all(Answered) if e.netns == "underlay"]
    assert "192.168.50.9" in answer.why and "52:54:00:a8:32:08" in answer.why
    (flood,) = [e for e in told.all(Bridged) if isinstance(e.frame.payload, Arp) and e.frame.payload.op == 1]
    assert (flood.ports, flood.quiet, flood.local) == ((), (), True)  # the router alone hears it
    assert not [e for e in told.all(Transmitted) if e.netns == "underlay" and isinstance(e.frame.payload, Arp) and e.frame.payload.op == 1]


def test_a_pod_on_a_further_eni_leaves_by_it() -> None:
    """The primary ENI's Pod finds the other node itself; the other one's table has the router alone."""
    found = small()
    ways = {
        name: next(e.route for e in found.trace(f"pod/{name}", "pod/b1:80").all(Routed) if e.netns == "node-a") for name in ("a1", "a2")
    }
    assert (ways["a1"].dev, ways["a1"].via, ways["a1"].table) == ("eth0", None, "main")
    assert (ways["a2"].dev, str(ways["a2"].via), ways["a2"].table) == ("eth1", "192.168.50.1", "2")


@pytest.mark.parametrize("source", ["a1", "a2"])
def test_outside_the_vpc_pods_have_the_nodes_address(source: str) -> None:
    """Whatever ENI the Pod is on, its packet leaves by eth0: the connection is marked before it is routed."""
    found = small(outside=True)
    told = found.trace(f"pod/{source}", "203.0.113.7:9", "udp")
    assert next(e.route.dev for e in told.all(Routed) if e.netns == "node-a") == "eth0"
    seen = next(
        e.frame.payload
        for e in told.all(Transmitted)
        if e.netns == "underlay" and e.dev == "port-client" and not isinstance(e.frame.payload, Arp)
    )
    assert str(seen.src) == "192.168.50.11"
    (entry,) = after(found.network, told)["node-a"].conntrack
    assert entry.mark == 0x80 and entry.nat == ("src",)


def test_a_node_port_is_answered_by_the_interface_that_it_came_in_by() -> None:
    """The Pod is on eth1; without the mark its answer would leave there, with the address of eth0."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: NodePort, selector: {app: x}, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]}"
    target = pod("a2").replace("{name: a2}", "{name: a2, labels: {app: x}}")
    found = cluster(node("node-a", "t3.nano"), pod("a1"), target, service, outside=True)
    told = found.trace("client", "node/node-a:30080")
    assert told.delivered and told.end.netns == "a2" and told.reply.delivered
    (way,) = [e.route for e in told.reply.all(Routed) if e.netns == "node-a"]
    assert (way.dev, way.table) == ("eth0", "main")
    a2 = found.find("pod/a2").pod.pod_ips[0]
    unmarked, _ = lookup(found.network["node-a"], ip_address("203.0.113.7"), a2)
    assert unmarked.dev == "eth1"


def test_redirects_are_not_sent_by_a_vpcs_router() -> None:
    found = small()
    told = found.trace("pod/a2", "pod/b1:80")  # in and out by the same segment
    assert told.delivered and not [e for e in told.all(Answered) if "redirect" in e.why]


# Views


def test_the_tables() -> None:
    text = str(vpc_nodes(small()))
    assert "node-a  t3.nano        2 of 2  2     4               4 on 2" in text
    assert "192.168.50.0/24  251        243   14" in str(vpc_subnets(small()))
    with pytest.raises(ModelError, match=r"plug-in is vxlan: use cluster.with_cni\('vpc'\)"):
        vpc_nodes(shop())


def test_pictures_have_both_uplinks() -> None:
    found = small(outside=True)
    assert role(found.network, "node-a") == HOST and role(found.network, "a2") == POD
    whole = diagram(found.network).svg
    assert all(f"place-node-{letter}-eth{number}" in whole for letter in "abc" for number in (0, 1))
    told = diagram(trace=found.trace("pod/a2", "pod/b2:80"))
    assert "eth1 of node-a, underlay, router, underlay, eth1 of node-b" in told.alt


def test_the_same_packet_twice_asks_once() -> None:
    found = small()
    first = found.trace("pod/a1", "pod/b1:80", "udp")
    again = found.trace("pod/a1", "pod/b1:80", "udp", network=after(found.network, first))
    assert first.all(Answered) and not [e for e in again.all(Answered) if e.netns == "underlay"]


def test_redirect_needs_an_address_of_the_interface() -> None:
    """The cable's end on the node has none, as with Calico: kube-proxy's userspace mode cannot serve Pods there."""
    told = shop("vpc", proxy="userspace").trace("pod/web", "svc/api:80")
    assert told.end.reason == "NETFILTER_DROP" and "which has none" in told.end.detail
