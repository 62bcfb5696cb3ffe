"""Outcomes of a connection: weights, receivers, senders as seen; modes side by side; what they print."""

from __future__ import annotations

from fractions import Fraction

import pytest

from k8snetlib import Cluster, shop
from k8snetlib.kube.proxy import MODES
from k8snetlib.linux.engine import after
from k8snetlib.views.outcomes import all_outcomes, connection, deciding_rules, examined, modes, outcomes, share, translations

THREE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: api, image: x, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {type: NodePort, selector: {app: api}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("target", ["svc/api:80", "node/node-a:30080"])
def test_weights_sum_to_one_and_are_a_third_each(mode: str, target: str) -> None:
    cluster = Cluster.loads(THREE, proxy=mode)
    found = all_outcomes(cluster.traces("pod/web", target))
    assert sum(each.weight for each in found) == 1
    assert len(found) == 3
    assert all(abs(each.weight - Fraction(1, 3)) < Fraction(1, 1 << 30) for each in found)
    assert all(each.delivered for each in found)


def test_nftables_keeps_exact_fractions_and_iptables_comes_close() -> None:
    cluster = Cluster.loads(THREE, proxy="nftables")
    assert "≈" not in str(outcomes(cluster.traces("pod/web", "svc/api:80")))
    table = str(outcomes(cluster.with_proxy("iptables").traces("pod/web", "svc/api:80")))
    assert "≈ 1/3" in table and "1/2147483648" in table


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_a_service_without_endpoints_refuses(mode: str) -> None:
    (only,) = all_outcomes(Cluster.loads(THREE, proxy=mode).traces("pod/web", "svc/nobody:80"))
    assert (only.verdict, only.weight, only.receiver) == ("refused", 1, "")


def test_the_source_that_the_pod_sees() -> None:
    cluster = Cluster.loads(THREE, outside=True)
    inside = {each.source for each in all_outcomes(cluster.traces("pod/web", "svc/api:80"))}
    outside = {each.source for each in all_outcomes(cluster.traces("client", "node/node-a:30080"))}
    assert inside == {str(cluster.find("pod/web").addresses[0])}
    assert outside.isdisjoint({"203.0.113.7"})  # masqueraded: policy Cluster


def test_modes_side_by_side() -> None:
    cluster = Cluster.loads(THREE)
    table = modes({mode: cluster.with_proxy(mode).traces("pod/web", "svc/api:80") for mode in ("iptables", "nftables")})
    assert [row[0] for row in table.rows] == ["iptables"] * 3 + ["nftables"] * 3


def test_the_rules_looked_at_grow_with_the_services_in_iptables_alone() -> None:
    many = "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: a{n}}}\nspec: {{selector: {{app: api}}, ports: [{{port: 80}}]}}\n"
        for n in range(50)
    )
    counts = {}
    for mode in ("iptables", "nftables"):
        few, more = (Cluster.loads(text, proxy=mode).trace("pod/web", "svc/nobody:9999") for text in (THREE, THREE + many))
        counts[mode] = (examined(few), examined(more))
    assert counts["iptables"][1] - counts["iptables"][0] >= 50
    assert counts["nftables"][1] == counts["nftables"][0]


def test_a_connection_keeps_its_endpoint() -> None:
    """Rules choose for a connection's first packet alone; the next one follows the entry."""
    cluster = shop(proxy="iptables")
    first = cluster.trace("pod/web", "svc/api:80", chance=lambda match, probability: False)
    assert connection(first, "node-a").reply.src == first.end.packet.dst
    again = all_outcomes(cluster.traces("pod/web", "svc/api:80", network=after(cluster.network, first)))
    assert [each.receiver for each in again] == ["10.244.2.2:8080 api-2"]


def test_what_a_reader_sees_of_a_choice() -> None:
    trace = shop(proxy="nftables").trace("pod/web", "svc/api:80")
    assert [event.what for event in translations(trace)] == ["DNAT"]
    assert any("numgen random mod 2" in rule for rule in deciding_rules(trace))


@pytest.mark.parametrize(
    ("weight", "words"),
    [(Fraction(1), "1"), (Fraction(1, 3), "1/3"), (Fraction(715827883, 1 << 31), "≈ 1/3"), (Fraction(1, 1 << 20), "≈ 0.0000")],
)
def test_shares(weight: Fraction, words: str) -> None:
    assert share(weight) == words


def test_modes_are_those_that_can_be_asked_for() -> None:
    assert list(MODES)[:2] == ["iptables", "nftables"]


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("families", [("IPv4",), ("IPv6",), ("IPv4", "IPv6"), ("IPv6", "IPv4")])
def test_every_mode_in_every_family(mode: str, families: tuple[str, ...]) -> None:
    cluster = shop(proxy=mode, families=families)
    found = all_outcomes(cluster.traces("pod/web", "svc/api:80"))
    assert all(each.delivered for each in found) and sum(each.weight for each in found) == 1
    first = cluster.trace("pod/web", "svc/api:80")
    assert first.reply.delivered and first.reply.end.netns == ("web" if mode != "userspace" else first.reply.end.netns)
