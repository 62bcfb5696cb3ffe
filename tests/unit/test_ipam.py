"""Addresses: Node ranges, and host-local's choices and words; values from runs of the plug-in v1.9.1 are marked with their case."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.kube.ipam import AllocationError, Store, add, add_all, assign_pod_cidrs, delete, make_range, node_cidr, range_sets
from k8snetlib.kube.objects import Node, ObjectMeta


def sets(*ranges: dict[str, str]):
    """One range set for each argument."""
    return range_sets({"ranges": [[each] for each in ranges]})


def run(ranges, steps: str) -> list[str]:
    """Carries out ``c1 c2 -c1 c3=10.244.1.77``: ADD, DEL and ADD with a requested address; the addresses or errors of the ADDs."""
    store, out = Store(), []
    for step in steps.split():
        if step.startswith("-"):
            store = delete(store, step[1:])
            continue
        container, _, requested = step.partition("=")
        try:
            configs, store = add(ranges, store, container, requested=[ip_address(each) for each in requested.split(",") if each])
            out.append(" ".join(str(each.address) for each in configs))
        except AllocationError as error:
            store = error.store
            out.append(str(error))
    return out


NONE_LEFT = "failed to allocate for range 0: no IP addresses available in range set: "
RUNS = [
    ("cni-001", {"subnet": "10.244.1.0/24"}, "c1 c2", ["10.244.1.2/24", "10.244.1.3/24"]),
    ("cni-013", {"subnet": "10.244.1.0/24", "rangeStart": "10.244.1.50", "rangeEnd": "10.244.1.52"}, "c1 c2 c3 c4",
     ["10.244.1.50/24", "10.244.1.51/24", "10.244.1.52/24", f"{NONE_LEFT}10.244.1.50-10.244.1.52"]),
    ("cni-017", {"subnet": "10.244.1.0/30"}, "c1 c2 c3",
     ["10.244.1.2/30", f"{NONE_LEFT}10.244.1.1-10.244.1.2", f"{NONE_LEFT}10.244.1.1-10.244.1.2"]),
    ("cni-020", {"subnet": "10.0.0.0/8"}, "c1 c2 c3", ["10.0.0.2/8", "10.0.0.3/8", "10.0.0.4/8"]),
    ("cni-025", {"subnet": "10.244.1.0/24"}, "c1=10.244.1.77 c2=10.244.1.77",
     ["10.244.1.77/24",
      "failed to allocate for range 0: requested IP address 10.244.1.77 is not available in range set 10.244.1.1-10.244.1.254"]),
    ("cni-026", {"subnet": "10.244.1.0/24"}, "c1=10.244.1.1",
     ["failed to allocate for range 0: requested ip 10.244.1.1 is subnet's gateway"]),
    ("cni-028", {"subnet": "10.244.1.0/24"}, "c1 c2 -c1 c3 c4", ["10.244.1.2/24", "10.244.1.3/24", "10.244.1.4/24", "10.244.1.5/24"]),
    ("cni-029", {"subnet": "10.244.1.0/29"}, "c1 c2 c3 -c1 c4 c5 c6 c7 c8",
     ["10.244.1.2/29", "10.244.1.3/29", "10.244.1.4/29", "10.244.1.5/29", "10.244.1.6/29", "10.244.1.2/29",
      f"{NONE_LEFT}10.244.1.1-10.244.1.6", f"{NONE_LEFT}10.244.1.1-10.244.1.6"]),
    ("round robin goes on after a requested address", {"subnet": "10.244.1.0/24"}, "c1=10.244.1.77 c2",
     ["10.244.1.77/24", "10.244.1.78/24"]),
    ("the gateway may be elsewhere", {"subnet": "10.244.1.0/29", "gateway": "10.244.1.2"}, "c1 c2", ["10.244.1.1/29", "10.244.1.3/29"]),
    ("IPv6 has no broadcast address", {"subnet": "fd00::/126"}, "c1 c2 c3",
     ["fd00::2/126", "fd00::3/126", f"{NONE_LEFT}fd00::1-fd00::3"]),
    ("twice for one container", {"subnet": "10.244.1.0/24"}, "c1 c1",
     ["10.244.1.2/24", "failed to allocate for range 0: 10.244.1.2 has been allocated to c1, duplicate allocation is not allowed"]),
    ("a requested address of another network", {"subnet": "10.244.1.0/24"}, "c1=10.9.9.9",
     ["failed to allocate all requested IPs: 10.9.9.9"]),
]  # fmt: skip


@pytest.mark.parametrize(("ranges", "steps", "expected"), [each[1:] for each in RUNS], ids=[each[0] for each in RUNS])
def test_host_local_chooses_as_the_plug_in_does(ranges, steps, expected):
    assert run(sets(ranges), steps) == expected


def test_several_ranges_in_a_set_are_used_one_after_the_other():
    ranges = range_sets({"ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/29"}]]})
    got = run(ranges, "c1 c2 c3 -c1 c4 c5 c6 c7 c8")
    assert got[:3] == ["10.1.0.2/30", "10.2.0.2/29", "10.2.0.3/29"]
    assert got[3:7] == ["10.2.0.4/29", "10.2.0.5/29", "10.2.0.6/29", "10.1.0.2/30"]
    assert got[7] == f"{NONE_LEFT}10.1.0.1-10.1.0.2,10.2.0.1-10.2.0.6"


def test_several_sets_give_an_address_each():
    dual = sets({"subnet": "10.244.1.0/24"}, {"subnet": "fd00:244:1::/64"})
    assert run(dual, "c1 c2") == ["10.244.1.2/24 fd00:244:1::2/64", "10.244.1.3/24 fd00:244:1::3/64"]
    (first, second), _ = add(dual, Store(), "c1")
    assert (str(first.gateway), str(second.gateway)) == ("10.244.1.1", "fd00:244:1::1")


def test_a_set_that_is_full_gives_the_others_back():
    dual = sets({"subnet": "10.244.1.0/24"}, {"subnet": "fd00::/126", "rangeEnd": "fd00::2"})
    assert run(dual, "c1 c2 -c1 c3") == [
        "10.244.1.2/24 fd00::2/126",
        "failed to allocate for range 1: no IP addresses available in range set: fd00::1-fd00::2",
        "10.244.1.4/24 fd00::2/126",  # .3 went to c2 for a moment: the round robin does not go back
    ]


def test_the_store_of_before_is_left_alone():
    ranges, before = sets({"subnet": "10.244.1.0/24"}), Store()
    _, after = add(ranges, before, "c1")
    assert before == Store()
    assert after.reserved == {ip_address("10.244.1.2"): ("c1", "eth0")}
    assert delete(after, "c1").last_reserved == {0: ip_address("10.244.1.2")}
    assert delete(after, "other") == after


def test_many_at_once_are_the_same_as_one_by_one():
    ranges = sets({"subnet": "10.244.0.0/20"})
    many, store = add_all(ranges, Store(), [f"c{number}" for number in range(3000)])
    assert str(many[-1][0].address) == "10.244.11.185/20"
    assert len(store.reserved) == 3000
    single, one = Store(), []
    for number in range(20):
        configs, single = add(ranges, single, f"c{number}")
        one.append(configs)
    assert one == many[:20]


CONFIGURATIONS = [
    ({"ranges": []}, "no IP ranges specified"),
    ({"ranges": [[]]}, "invalid range set 0: empty range set"),
    ({"ranges": [[{"subnet": "10.244.1.0/32"}]]}, "invalid range set 0: Network 10.244.1.0/32 too small to allocate from"),
    ({"ranges": [[{"subnet": "fd00::/127"}]]}, "invalid range set 0: Network fd00::/127 too small to allocate from"),
    ({"ranges": [[{"subnet": "10.244.1.7/24"}]]},
     "invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.244.1.0"),
    ({"ranges": [[{"subnet": "10.244.1.300/24"}]]}, "invalid CIDR address: 10.244.1.300/24"),
    ({"ranges": [[{"subnet": "10.244.1.0"}]]}, "invalid CIDR address: 10.244.1.0"),
    ({"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "10.244.1.0/25"}]]}, "range set 0 overlaps with 1"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]]},
     "invalid range set 0: subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.126 overlap"),
    ({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}, "invalid range set 0: mixed address families"),
    ({"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}]]}, "invalid range set 0: gateway 10.2.0.1 not in network 10.1.0.0/24"),
    ({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}, "invalid range set 0: 10.2.0.1 not in network 10.1.0.0/24"),
    ({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "fd00::1"}]]},
     "invalid range set 0: IP fd00::1 is not the same protocol as subnet 10.1.0.0/24"),
    ({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.3"}]]},
     "invalid range set 0: 10.1.0.3 is in network 10.1.0.0/24 but before start 10.1.0.9"),
    ({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "x"}]]}, "invalid range set 0: invalid IP address: x"),
]  # fmt: skip


@pytest.mark.parametrize(("ipam", "message"), CONFIGURATIONS)
def test_configurations_that_the_plug_in_refuses(ipam, message):
    with pytest.raises(ModelError) as caught:
        range_sets(ipam)
    assert str(caught.value) == message


def test_the_old_way_to_write_a_subnet():
    assert run(range_sets({"type": "host-local", "subnet": "10.22.0.0/16"}), "c1 c2") == ["10.22.0.2/16", "10.22.0.3/16"]  # cni-023


def test_a_range_fills_in_its_defaults():
    made = make_range("10.244.1.0/24")
    assert (str(made), str(made.gateway)) == ("10.244.1.1-10.244.1.254", "10.244.1.1")
    assert str(make_range("10.1.0.0/24", gateway="::ffff:10.1.0.9").gateway) == "10.1.0.9"


# --- Node ranges

BLOCKS = [
    ("10.244.0.0/16", 1, None, "10.244.1.0/24"),
    ("10.244.0.0/16", 255, None, "10.244.255.0/24"),
    ("10.0.0.0/14", 256, None, "10.1.0.0/24"),
    ("10.244.0.0/16", 3, 26, "10.244.0.192/26"),
    ("fd00:244::/48", 2, None, "fd00:244:0:2::/64"),
]


@pytest.mark.parametrize(("cluster", "index", "mask", "expected"), BLOCKS)
def test_node_blocks(cluster, index, mask, expected):
    assert node_cidr(ip_network(cluster), index, mask) == ip_network(expected)


@pytest.mark.parametrize(
    ("cluster", "index", "mask", "message"),
    [
        ("10.244.0.0/16", 256, None, "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range"),
        ("10.244.0.0/24", 0, 16, "the node mask /16 does not fit into the cluster CIDR 10.244.0.0/24"),
        ("fd00::/32", 0, None, "New CIDR set failed; the node CIDR size is too big: /64 out of fd00::/32 makes more than 65,536 ranges"),
    ],
)
def test_node_blocks_that_do_not_exist(cluster, index, mask, message):
    with pytest.raises(ModelError) as caught:
        node_cidr(ip_network(cluster), index, mask)
    assert str(caught.value) == message


def nodes(*cidrs: str) -> list[Node]:
    return [Node(ObjectMeta(f"node-{number}"), pod_cidrs=tuple(map(ip_network, each.split()))) for number, each in enumerate(cidrs)]


def given(*args, **kwargs) -> list[str]:
    return [" ".join(map(str, node.pod_cidrs)) for node in assign_pod_cidrs(*args, **kwargs)]


def test_nodes_get_ranges_in_order():
    cluster = [ip_network("10.244.0.0/16"), ip_network("fd00:244::/48")]
    assert given(nodes("", ""), cluster, first_index=1) == ["10.244.1.0/24 fd00:244:0:1::/64", "10.244.2.0/24 fd00:244:0:2::/64"]
    assert given(nodes(""), cluster[:1]) == ["10.244.0.0/24"]


def test_nodes_keep_their_ranges_and_others_get_around_them():
    cluster = [ip_network("10.244.0.0/16")]
    assert given(nodes("", "10.244.0.0/23", "", "10.244.3.0/24", ""), cluster) == [
        "10.244.2.0/24",
        "10.244.0.0/23",
        "10.244.4.0/24",
        "10.244.3.0/24",
        "10.244.5.0/24",
    ]


def test_node_ranges_that_overlap_or_run_out():
    message = r"^the Pod ranges of the Nodes node-0 \(10\.244\.0\.0/16\) and node-1 \(10\.244\.1\.0/24\) overlap$"
    with pytest.raises(ModelError, match=message):
        assign_pod_cidrs(nodes("10.244.0.0/16", "10.244.1.0/24"), [])
    with pytest.raises(ModelError, match="no remaining CIDRs left"):
        assign_pod_cidrs(nodes("", "", ""), [ip_network("10.244.0.0/23")])
