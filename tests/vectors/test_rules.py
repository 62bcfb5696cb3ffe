"""Rule sets as real tools print them: read and printed again without a difference; flanneld's rules made anew."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from k8snetlib.kube.cni.vxlan import rules, ruleset
from k8snetlib.linux.netfilter import Ruleset
from tests.vectors.cases import cases

TEXTS = [(case["id"], case["iptablesSave"], 4) for name in ("iptables_rules", "flannel_rules", "cni") for case in cases(name)]
TEXTS += [(case["id"], case["ip6tablesSave"], 6) for case in cases("iptables_rules_v6")]
FLANNEL = cases("flannel_rules")


@pytest.mark.parametrize(("text", "version"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_read_and_printed_again(text: str, version: int) -> None:
    ruleset = Ruleset.parse(text, version)
    assert str(ruleset) == text.strip()
    assert Ruleset.parse(str(ruleset), version) == ruleset


@pytest.mark.parametrize("case", FLANNEL, ids=[case["id"] for case in FLANNEL])
def test_flannel(case: dict) -> None:
    assert rules(ip_network(case["clusterCIDR"]), ip_network(case["podCIDR"])) == case["iptablesSave"].strip()


@pytest.mark.parametrize("case", FLANNEL, ids=[case["id"] for case in FLANNEL])
def test_flannels_rules_as_values_are_those_of_the_text(case: dict) -> None:
    assert ruleset(ip_network(case["clusterCIDR"]), ip_network(case["podCIDR"])) == Ruleset.parse(case["iptablesSave"])


def test_flannels_ipv6_rules_as_values_are_those_of_the_text() -> None:
    networks = ip_network("fd00:244::/48"), ip_network("fd00:244:0:1::/64")
    assert ruleset(*networks) == Ruleset.parse(rules(*networks), 6)
