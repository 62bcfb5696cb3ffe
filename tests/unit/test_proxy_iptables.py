"""kube-proxy's iptables mode where the vectors have no case: large clusters, exact chances, what kube-proxy watches, affinity in time."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.kube import proxy
from k8snetlib.kube.objects import ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.proxy.endpoints import watched
from k8snetlib.kube.proxy.iptables import chain_hash, compile, restore_input
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice
from k8snetlib.linux.engine import after, traces
from k8snetlib.linux.events import Chose, Matched, Rewritten
from k8snetlib.linux.ops import build
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.xtables import Statistic
from tests.unit.networks import routed

CONFIG = ProxyConfig("r", ip_address("10.0.1.1"), (ip_address("10.0.1.1"),), ip_network("10.0.0.0/8"))
META = ObjectMeta("web", "default", FrozenDict({SERVICE_NAME_LABEL: "web"}))
WEB = Service(META, (ServicePort(80),), cluster_ips=(ip_address("10.96.0.10"),))


def slices(count: int) -> list[EndpointSlice]:
    """Endpoints 10.0.2.2:1, :2 …, each port a slice of its own."""
    return [EndpointSlice(META, "IPv4", (Endpoint((ip_address("10.0.2.2"),)),), (EndpointPort("", port),)) for port in range(1, count + 1)]


def test_hash_of_a_real_chain() -> None:
    assert chain_hash("default/kubernetes:httpstcp") == "NPX46M4PTMTKRN6Y"  # on every cluster there is KUBE-SVC-NPX46M4PTMTKRN6Y


@pytest.mark.parametrize(("count", "comments"), [(1000, True), (1001, False)])
def test_a_large_cluster_has_no_comments_in_the_rules_of_endpoints(count: int, comments: bool) -> None:
    lines = str(compile([WEB], slices(count), CONFIG)).splitlines()
    ours = [line for line in lines if "-j KUBE-SEP-" in line or line.startswith("-A KUBE-SEP-")]
    assert len(ours) == 3 * count and all(("--comment" in line) is comments for line in ours)
    assert '-m comment --comment "default/web cluster IP"' in next(line for line in lines if line.startswith("-A KUBE-SERVICES -d"))
    assert ('-m comment --comment "default/web -> ' in restore_input([WEB], slices(count), CONFIG)) is comments


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100, 999])
def test_chances(count: int) -> None:
    """The weights are exact and sum to 1; each lies within 2**-30 of 1/n, as the kernel keeps 31 bits of ten digits."""
    ruleset = compile([WEB], slices(count), CONFIG)
    chain = ruleset.tables["nat"].chains[f"KUBE-SVC-{chain_hash('default/webtcp')}"]
    left, weights = Fraction(1), []
    for rule in chain.rules[1:]:
        chance = next((match.probability for match in rule.matches if type(match) is Statistic), Fraction(1))
        weights.append(left * chance)
        left *= 1 - chance
    assert len(weights) == count and sum(weights) == 1
    assert all(abs(weight - Fraction(1, count)) < Fraction(1, 2**30) for weight in weights)


def test_traces_have_those_weights() -> None:
    network = build([*routed(), *proxy.ops("iptables", "r", [WEB], slices(5), [CONFIG])])
    found = traces(network, "a", tcp("10.0.1.2", "10.96.0.10", 80))
    assert sum(weight for weight, _ in found) == 1 and len(found) == 5
    for weight, told in found:
        assert abs(weight - Fraction(1, 5)) < Fraction(1, 2**30)
        assert told.all(Rewritten)[0].what == "DNAT" and told.all(Chose)
        assert max(event.examined for event in told.all(Matched)) >= 4


def test_affinity_holds_until_its_time_is_over() -> None:
    service = Service(
        META, (ServicePort(80),), cluster_ips=(ip_address("10.96.0.10"),), session_affinity="ClientIP", session_affinity_timeout=10
    )
    network = build([*routed(), *proxy.ops("iptables", "r", [service], slices(3), [CONFIG])])
    assert len(traces(network, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40000))) == 3
    _, chosen = traces(network, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40000), now=100)[1]
    network = after(network, chosen)
    ((weight, again),) = traces(network, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40001), now=110)
    assert weight == 1 and again.all(Rewritten)[0].new.dport == chosen.all(Rewritten)[0].new.dport
    assert len(traces(network, "a", tcp("10.0.1.3", "10.96.0.10", 80, 40001), now=110)) == 3  # another client
    assert len(traces(network, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40001), now=111)) == 3  # too late


def test_what_kube_proxy_watches() -> None:
    other = ObjectMeta("web", "default", FrozenDict({"service.kubernetes.io/service-proxy-name": "other"}))
    headless = ObjectMeta("web", "default", FrozenDict({"service.kubernetes.io/headless": ""}))
    assert watched([WEB, Service(other), Service(headless)]) == [WEB]
    assert watched([EndpointSlice(headless)]) == []


def test_modes_are_read_when_they_are_used() -> None:
    assert set(proxy.MODES) >= {"iptables", "ipvs", "userspace"}
    assert str(proxy.MODES["iptables"]([WEB], slices(1), CONFIG)) == str(compile([WEB], slices(1), CONFIG))
