"""The explorers of lesson 04: every plug-in to every target in both families, and every limit of an address plan."""

from __future__ import annotations

from itertools import product

import pytest

from k8snetlib import shop
from k8snetlib.errors import UnsupportedError
from k8snetlib.kube.cni import CNIS
from k8snetlib.kube.room import allowed, room
from k8snetlib.linux.addresses import ip_network
from k8snetlib.views.ways import overhead, wire_step
from k8snetlib.widgets import AddressesExplorer, WaysExplorer, addresses, ways


def moved(explorer, **choices):
    for name, value in choices.items():
        explorer.controls[name].value = value
    return explorer


# Ways


@pytest.mark.parametrize(("name", "target", "family"), list(product(CNIS, ways.TARGETS, ("IPv4", "IPv6"))))
def test_one_way_alone_says_what_its_trace_says(name: str, target: str, family: str) -> None:
    answer = ways.view(name, "", "", "", target, family)
    if family == "IPv6" and not CNIS[name].ipv6:
        with pytest.raises(UnsupportedError):
            shop(name, families=(family,))
        assert answer.summary.startswith("No way is left to compare.")
        assert f"Left out: “{CNIS[name].title}”. The reason: the VPC" in answer.summary and not answer.blocks
        return
    trace = shop(name, families=(family,), node_c=True).trace("pod/web", f"{target}:8080")
    assert answer.tone == ("good" if trace.delivered else "bad")
    if not trace.delivered:
        assert (
            answer.summary
            == f"It is not delivered. “{CNIS[name].title}”: dropped in {trace.end.netns}, {trace.end.reason} ({trace.end.detail})."
            + (" " + ways.TEXT["ipip-4"]) * (family == "IPv6" and name in ways.IPIP)
        )
        return
    each = ways.one_way(name, target, family)
    assert answer.summary.startswith("It is delivered. ")
    if target == "pod/api-1":
        ttl = trace.end.packet.ttl
        assert ("switched, TTL stays 64" if ttl == 64 else f"routed, TTL 64 → {ttl}") in answer.summary
        assert wire_step(each) is None
    else:
        added = f"{overhead(each)} of them added" if overhead(each) else "nothing added"
        assert f"{wire_step(each).length} bytes on the wire, {added}." in answer.summary


def test_ways_that_do_the_same_share_a_clause() -> None:
    summary = WaysExplorer().value.summary
    assert summary == (
        "All of them deliver. “Flannel, VXLAN”: 104 bytes on the wire, 50 of them added; “Calico, IPIP between subnets”, “Calico, BGP "
        "mesh, no tunnel” and “Amazon VPC CNI, secondary addresses”: 54 bytes on the wire, nothing added."
    )


def test_what_two_ways_lack_is_said_once() -> None:
    summary = ways.view("vpc", "vpc-prefix", "", "", "pod/api-2", "IPv6").summary
    assert "“Amazon VPC CNI, secondary addresses” and “Amazon VPC CNI, prefix delegation”. The reason: the VPC CNI" in summary
    assert summary.count("an EKS cluster is IPv4 or IPv6") == 1


@pytest.mark.parametrize(("name", "family", "said"), [("ipip", "IPv6", True), ("ipip", "IPv4", False), ("bgp", "IPv6", False)])
def test_ipv6_beside_ipip_is_explained(name: str, family: str, said: bool) -> None:
    assert ("IPIP carries IPv4 only" in ways.view(name, "vxlan", "", "", "pod/api-2", family).summary) == said
    assert "IPIP" not in ways.view(name, "vxlan", "", "", "pod/api-1", family).summary.replace(f"“{CNIS[name].title}”", "")


def test_behind_the_router_they_part() -> None:
    explorer = moved(WaysExplorer(), target="pod/report")
    assert explorer.value.tone == "bad"
    assert explorer.value.summary.startswith("“Calico, BGP mesh, no tunnel”: dropped in underlay, IP_INNOROUTES (no route to 10.244.3.0). ")
    assert all(f"{size} bytes on the wire" in explorer.value.summary for size in (104, 74, 54))
    assert "✕" not in explorer.value.summary and "dropped" in explorer._html.value
    assert "IP_INNOROUTES · underlay" in explorer._html.value
    assert moved(explorer, way3="bgp-tor").value.tone == "good"


def test_a_way_that_is_chosen_twice_is_shown_once() -> None:
    explorer = moved(WaysExplorer(), way1="bgp", way2="bgp", way3="bgp", way4="")
    assert explorer._html.value.count('id="way-0-') and 'id="way-1-' not in explorer._html.value
    assert explorer.value.summary == "It is delivered. “Calico, BGP mesh, no tunnel”: 54 bytes on the wire, nothing added."


def test_the_first_way_cannot_be_none_and_the_others_can() -> None:
    controls = WaysExplorer().controls
    assert [("", "none")[any(label == "none" for label, _ in controls[f"way{n}"].options)] for n in (1, 2, 3, 4)] == [
        "",
        "none",
        "none",
        "none",
    ]


def test_four_ways_fit_the_column() -> None:
    for names in (("vxlan", "ipip", "calico-vxlan", "calico-vxlan-cross-subnet"), ("vpc", "vpc-prefix", "bgp-tor", "ipip-cross-subnet")):
        for family in ("IPv4", "IPv6"):
            figure = ways.view(*names, "pod/report", family).blocks[0]
            assert int(figure.svg.partition(' width="')[2].partition('"')[0]) <= 900


# Addresses


@pytest.mark.parametrize(("choices", "summary"), [
    ({}, "109 of 150 Pods run. 41 wait: the subnet has no free address."),
    ({"subnet": 24}, "All 150 Pods run. The first limit beyond them: ENIs × addresses, 162 Pods."),
    ({"subnet": 24, "nodes": 5}, "135 of 150 Pods run. 15 wait: the ENIs have addresses for 27 Pods a node, and"),
    ({"subnet": 24, "prefix": True}, "All 150 Pods run. The first limit beyond them: free /28 × 16 in the subnet, 224 Pods."),
    ({"prefix": True}, "75 of 150 Pods run. 75 wait: the subnet has no free /28."),
    ({"subnet": 20, "prefix": True, "nodes": 1}, "108 of 150 Pods run. 42 wait: a kubelet takes no more than 110 Pods, two of"),
    ({"prefix": True, "kind": "t2.medium"}, "t2.medium is no Nitro instance and takes no prefixes. 90 of 150 Pods run."),
    ({"pods": 10}, "All 10 Pods run."),
    ({"kind": "t3.nano", "subnet": 27, "nodes": 20, "pods": 500}, "460 wait: the ENIs have addresses for 2 Pods a node, and the"),
])  # fmt: skip
def test_addresses(choices: dict, summary: str) -> None:
    assert summary in moved(AddressesExplorer(), **choices).value.summary


@pytest.mark.parametrize(("kind", "length", "prefix"), list(product(addresses.KINDS, addresses.SUBNETS, (False, True))))
def test_what_is_told_adds_up(kind: str, length: int, prefix: bool) -> None:
    """In every setting: who runs and who waits are all that are wanted, and nobody runs beyond a limit."""
    for nodes, pods in ((1, 50), (7, 150), (20, 300)):
        found = addresses.counted("vpc-prefix" if prefix else "vpc", nodes, pods, kind, length)
        assert found.running + sum(found.stopped.values()) == pods
        bounds = allowed(found.cni, nodes, kind, ip_network(f"{addresses.POOL}/{length}"))
        assert found.running <= min(bounds.values())
        answer = addresses.view(kind, length, nodes, pods, prefix)
        assert answer.tone == ("good" if found.running == pods else "bad")
        assert all(f"{count} wait" in answer.summary for count in found.stopped.values())
        assert f"{found.running}" in answer.summary


def test_what_stops_pods_is_no_tick() -> None:
    """Five free /28 would do for 80 Pods, but 20 nodes want one each."""
    answer = addresses.view("m5.large", 25, 20, 10, True)
    assert "5 wait: the subnet has no free /28." in answer.summary
    assert "✕ free /28 × 16" in answer.blocks[0].svg and answer.blocks[0].svg.count("✕") == 1


def test_the_other_plans_stand_beside_it() -> None:
    html = AddressesExplorer()._html.value
    calico, flannel = room("bgp", 6, 150), room("vxlan", 6, 150)
    assert f"{calico.set_aside}: 6 × 64" in html and f"{flannel.set_aside:,}: 6 × 256" in html
    assert html.count("150 of 150") == 2 and "109 of 150" in html


def test_a_pod_that_waits_is_told_why_in_the_words_that_one_would_see() -> None:
    explorer = AddressesExplorer()
    assert "(InsufficientFreeAddressesInSubnet: The" in explorer._html.value and "failed to assign an IP address" in explorer._html.value
    assert "0/5 nodes are available: 5 Too many pods." in moved(explorer, subnet=24, nodes=5)._html.value
    assert "<pre>" not in moved(explorer, pods=10)._html.value
    html = moved(explorer, pods=150, subnet=26, prefix=True)._html.value
    assert "InsufficientCidrBlocks" in html and max(map(len, html.partition("<pre>")[2].partition("</pre>")[0].splitlines())) < 130


def test_every_slider_moves_the_picture() -> None:
    explorer = AddressesExplorer()
    for name, values in (("nodes", range(1, addresses.MOST_NODES + 1)), ("pods", addresses.PODS), ("subnet", addresses.SUBNETS)):
        assert len({moved(explorer, **{name: value})._html.value for value in values}) == len(values)
