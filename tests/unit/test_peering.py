"""The routes that plug-ins write, against the BGP that is said to have brought them."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.errors import ModelError
from k8snetlib.linux.state import Route


def bird(cluster: k8s.Cluster, name: str, version: int = 4) -> set[Route]:
    """What is in the kernel's table by BIRD's hand, as BIRD sees it: IPv6's metric, and the device of what leads nowhere, are the kernel's."""
    found = (route for route in cluster.network[name].routes if route.proto == "bird" and route.dst.version == version)
    return {Route(r.dst, None if r.type == "blackhole" else r.dev, r.via, proto="bird", type=r.type, onlink=r.onlink) for r in found}


@pytest.mark.parametrize("families", [("IPv4",), ("IPv6",), ("IPv4", "IPv6")], ids="+".join)
@pytest.mark.parametrize(
    ("cni", "peering", "reflect"),
    [("bgp", "mesh", ()), ("bgp", "reflectors", ("node-a",)), ("bgp", "reflectors", ("node-b", "node-c")), ("bgp-tor", "rack", ())],
)
def test_the_plug_in_s_routes_are_those_of_bgp(cni: str, peering: str, reflect: tuple[str, ...], families: tuple[str, ...]) -> None:
    cluster = k8s.shop(cni, families=families, node_c=True)
    for version in [4 if family == "IPv4" else 6 for family in families]:
        bgp = k8s.bgp(cluster, peering, reflect=reflect, version=version)
        places = [host.name for host in cluster.hosts] + ["underlay"] * (peering == "rack")
        for name in places:
            assert bird(cluster, name, version) == set(bgp.routes(name)), name


@pytest.mark.parametrize(("cni", "tunnel"), [("ipip", "Always"), ("ipip-cross-subnet", "CrossSubnet")])
def test_the_routes_of_ipip_are_those_of_bgp_with_the_tunnel(cni: str, tunnel: str) -> None:
    cluster = k8s.shop(cni, node_c=True)
    for host in cluster.hosts:
        assert bird(cluster, host.name) == set(k8s.bgp(cluster).routes(host.name, tunnel=tunnel)), host.name


def test_mistakes() -> None:
    with pytest.raises(ModelError, match="'vxlan' has no BGP"):
        k8s.bgp(k8s.shop("vxlan"))
    with pytest.raises(ModelError, match="no blocks of IPv6"):
        k8s.bgp(k8s.shop("bgp"), version=6)
    with pytest.raises(ModelError, match="mesh, reflectors or rack"):
        k8s.bgp(k8s.shop("bgp"), "star")
    for peering in ("mesh", "rack"):
        with pytest.raises(ModelError, match=f"in the shape '{peering}' nobody reflects"):
            k8s.bgp(k8s.shop("bgp"), peering, reflect=["node-a"])
    with pytest.raises(ModelError, match="which nodes reflect"):
        k8s.bgp(k8s.shop("bgp"), "reflectors")


def test_by_default_as_the_plug_in_has_it() -> None:
    cluster = k8s.shop("bgp-tor", node_c=True)
    assert set(k8s.bgp(cluster).routes("node-a")) == bird(cluster, "node-a") and "underlay" in k8s.bgp(cluster).topology.speakers
    with pytest.raises(ModelError, match="'calico-vxlan' has no BGP"):
        k8s.bgp(k8s.shop("calico-vxlan"))


def test_a_node_without_pods_has_no_block_to_announce() -> None:
    cluster = k8s.Cluster.loads("\n---\n".join(f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{i}}}" for i in range(2)) +
                                "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeName: n0, containers: [{name: c, image: x}]}",
                                cni="bgp")  # fmt: skip
    assert [len(host.blocks) for host in cluster.hosts] == [1, 0]
    assert [str(route) for route in k8s.bgp(cluster).routes("n1")] == ["10.244.1.0/26 via 192.168.50.11 dev eth0 proto bird"]
