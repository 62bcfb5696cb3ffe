"""kube-proxy's IPVS mode against what kube-proxy asked of IPVS, ipset and iptables."""

from __future__ import annotations

from collections import Counter

import pytest

from k8snetlib.kube.proxy.ipvs import compile, restore_input
from k8snetlib.linux.ipset import canonical, read_sets
from k8snetlib.linux.ipvs import read_servers
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

CASES = cases("ipvs_rules")


def server(each) -> dict:
    real = [{"address": str(r.address), "port": r.port, "weight": r.weight} for r in each.real]
    return {
        "address": str(each.key.address), "port": each.key.port, "protocol": each.key.proto.upper(), "scheduler": each.scheduler,
        "persistent": bool(each.timeout), "sourceHashFlag": False, "timeout": each.timeout,
        "realServers": sorted(real, key=lambda r: (r["address"], r["port"])),
    }  # fmt: skip


def order(each: dict) -> tuple:
    return each["address"], each["port"], each["protocol"]


def lines(text: str) -> dict[str, object]:
    """Rules by chain; Services are read in any order, which shows where a load balancer is closed to the node."""
    found: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        table = line if line.startswith("*") else table
        if line.startswith(":"):
            found[f"{table} {line.split()[0][1:]}"] = []
        elif line.startswith("-A"):
            found[f"{table} {line.split()[1]}"].append(line)
    return {key: Counter(each) if "OUT-FILTER" in key else each for key, each in found.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_kube_proxy_asks(case: dict) -> None:
    given = services(case), slices(case), proxy_config(case)
    found = compile(*given)
    assert sorted(map(server, found.servers), key=order) == sorted(case["virtualServers"], key=order)
    wanted = {
        name: (each["type"], sorted(canonical(entry, each["type"]) for entry in each["entries"])) for name, each in case["ipsets"].items()
    }
    assert {name: (each.type, sorted(each.entries)) for name, each in found.sets.items() if each.entries} == wanted
    assert sorted(map(str, found.addresses)) == sorted(case["kubeIpvs0"])
    assert lines(restore_input(*given, random_fully=False)) == lines(case["restoreInput"])


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_texts_come_back(case: dict) -> None:
    found = compile(services(case), slices(case), proxy_config(case))
    text = "\n".join(map(str, found.servers))
    assert "\n".join(map(str, read_servers(text))) == text
    assert read_sets("\n".join(map(str, found.sets.values())), {}) == found.sets
    assert str(found.ruleset) in str(found)
