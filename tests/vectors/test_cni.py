"""The plug-ins bridge and ptp with host-local against runs of the real ones: results, errors, links, addresses, routes, rules.

Plug-ins that the model does not claim to be (macvlan, ipvlan, loopback) are listed, not run; of a chain, the claimed member is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_interface

import pytest

from k8snetlib.kube.cni.plugins import Call, plugin_add, plugin_del
from k8snetlib.kube.ipam import Store
from k8snetlib.linux.ops import AddrAdd, LinkAdd, LinkSet, NetnsAdd, SysctlSet, build, route
from k8snetlib.linux.state import Network
from tests.vectors.cases import cases

CLAIMED = ("bridge", "ptp")
CASES = cases("cni")
RUN = [case for case in CASES if case["conf"]["plugins"][0]["type"] in CLAIMED]
LEFT = [case for case in CASES if case not in RUN]


def start(case: dict) -> Network:
    """The host before the first command, and an empty namespace for each container."""
    host = [
        NetnsAdd("host"),
        LinkAdd("host", "eth0peer", "veth", peer=("host", "eth0")),
        LinkSet("host", "eth0peer", up=True),
        LinkSet("host", "eth0", up=True),
        AddrAdd("host", "eth0", ip_interface(case["hostEth0"])),
        route("host", "default", "eth0", str(ip_interface(case["hostEth0"]).network.network_address + 1)),
        SysctlSet("host", "net.ipv4.ip_forward", 0),
    ]
    return build([*host, *(NetnsAdd(name) for name in dict.fromkeys(s["container"] for s in case["steps"]))])


def requested(step: dict) -> tuple[str, ...]:
    found = re.search(r"(?:^|;)IP=([^;]+)", step.get("args", "") or "")
    return tuple(found[1].split(",")) if found else ()


def links(network: Network, name: str) -> list[dict]:
    """The namespace's links with the keys that the vector has; a veth that a failed ADD left behind has a random name there."""
    found = []
    for interface in network[name].interfaces.values():
        if interface.name != "lo":
            row = {"ifname": interface.name, "up": interface.up, "mtu": interface.mtu, "kind": interface.kind}
            if interface.kind == "bridge":
                row["vlan_filtering"] = 0
            if interface.master:
                row |= {"master": interface.master, "hairpin": interface.hairpin, "isolated": interface.isolated, "promisc": 1}
            found.append(row)
    return found


def routes(network: Network, name: str) -> list[dict]:
    """The main table's IPv4 routes as ``ip -j route`` has them, less the protocol, sorted as there."""
    rows = []
    for r in sorted((r for r in network[name].routes if r.dst.version == 4), key=lambda r: (int(r.dst.network_address), r.dst.prefixlen)):
        dst = "default" if r.dst.prefixlen == 0 else str(r.dst.network_address) if r.dst.prefixlen == 32 else str(r.dst)
        row = {"dst": dst, "gateway": str(r.via) if r.via else None, "dev": r.dev, "scope": r.scope if r.scope != "global" else None}
        row["prefsrc"] = str(r.src) if r.src else None
        rows.append({key: text for key, text in row.items() if text is not None})
    return rows


def addresses(network: Network, name: str) -> dict[str, list[str]]:
    rows = {i.name: [str(a) for a in i.addresses if a.version == 4] for i in network[name].interfaces.values() if i.name != "lo"}
    return {dev: found for dev, found in rows.items() if found}


def renamed(rows: list[dict]) -> Iterator[dict]:
    """Random host-side names (veth and eight hex digits) replaced by their order."""
    names: dict[str, str] = {}
    for row in rows:
        if re.fullmatch(r"veth[0-9a-f]{8}", row["ifname"]):
            row = row | {"ifname": names.setdefault(row["ifname"], f"veth?{len(names)}")}
        yield row


@pytest.mark.parametrize("case", RUN, ids=[case["id"] for case in RUN])
def test_case(case: dict) -> None:
    network, store = start(case), Store()
    conf = case["conf"]["plugins"][0] | {"name": case["conf"]["name"]}
    for number, step in enumerate(case["steps"]):
        veth = f"veth-{step['container']}" if step["result"] is not None else f"veth{number:08x}"
        call = Call(step["container"], "host", veth, requested(step))
        done = (plugin_add if step["cmd"] == "ADD" else plugin_del)(conf, call, network, store)
        network, store = build(done.ops, network), done.store
        if step["error"] is not None and not done.error:
            assert len(case["conf"]["plugins"]) > 1, step["error"]["msg"]  # a later member of the chain failed, after the claimed one
        elif step["error"] is not None:
            told = re.sub(r"veth[0-9a-f]{8}", "veth?", step["error"]["msg"])
            assert re.sub(r"veth[0-9a-f]{8}", "veth?", done.error) == told
        elif step["cmd"] == "ADD":
            assert done.error == ""
            assert done.result == without_macs(step["result"])
    assert list(renamed(links(network, "host"))) == list(renamed(case["host"]["links"]))
    assert addresses(network, "host") == case["host"]["addresses"]
    assert routes(network, "host") == case["host"]["routes"]
    assert str(network["host"].sysctl("net.ipv4.ip_forward")) == case["ipForward"]
    for name, pod in case["pods"].items():
        assert links(network, name) == pod["links"]
        assert addresses(network, name) == pod["addresses"]
        assert routes(network, name) == pod["routes"]
    if len(case["conf"]["plugins"]) == 1:
        ruleset = network["host"].rulesets.get(4)
        assert (str(ruleset) if ruleset else "") == case["iptablesSave"].strip()


def without_macs(result: dict) -> dict:
    interfaces = [{key: text for key, text in interface.items() if key != "mac"} for interface in result["interfaces"]]
    ips = [{key: text for key, text in ip.items() if key != "version"} for ip in result["ips"]]
    return {"interfaces": interfaces, "ips": ips} | ({"routes": result["routes"]} if "routes" in result else {})


def test_what_was_run(capsys: pytest.CaptureFixture) -> None:
    """Say how many cases there are, and which plug-ins the model does not claim to be."""
    others = sorted({case["conf"]["plugins"][0]["type"] for case in LEFT})
    with capsys.disabled():
        print(f"\ncni: {len(RUN)} of {len(CASES)} cases; not claimed: {', '.join(others)}")
    assert RUN
