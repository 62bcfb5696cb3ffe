"""The explorer of lesson 06: every control, and its thousand connections against the traces."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from k8snetlib.kube import scale
from k8snetlib.views.outcomes import examined
from k8snetlib.views.scale import COUNTS, MODES
from k8snetlib.widgets import ProxyExplorer, proxy


def test_what_it_shows_first() -> None:
    explorer = ProxyExplorer()
    assert repr(explorer).startswith("ProxyExplorer: Inside kube-proxy")
    assert "chosen by chance, ≈ 1/3. 123 rules looked at" in explorer.value.summary
    twin = explorer.twin()
    assert twin.count("data:image/svg+xml") == 2 and "Mode iptables (default); Services 100; Endpoints 3; Connection 1" in twin
    assert "0.33333333349" in twin and "0.50000000000" in twin and "whoever comes this far" in twin


@pytest.mark.parametrize(("mode", "endpoints"), list(product(MODES, (1, 2, 3, 8))))
def test_a_thousand_connections_are_what_traces_would_say(mode: str, endpoints: int) -> None:
    counts = proxy.thousand(mode, 10, endpoints)
    chances = proxy.weights(mode, 10, endpoints)
    assert sum(counts.values()) == proxy.CONNECTIONS and len(counts) == endpoints and sum(chances.values()) == 1
    assert all(abs(weight - Fraction(1, endpoints)) < Fraction(1, 1 << 29) for weight in chances.values())
    traced = [proxy.connection(mode, 10, endpoints, number) for number in range(1, proxy.MOST_LOOKED_AT + 1)]
    ends = [f"{told.end.packet.dst}:{told.end.packet.dport}" for told in traced]
    drawn = [proxy.draw(chances, proxy.dice(number)) for number in range(1, proxy.MOST_LOOKED_AT + 1)]
    assert ends == (drawn if mode != "ipvs" else [list(chances)[n % endpoints] for n in range(proxy.MOST_LOOKED_AT)])
    spread = max(counts.values()) - min(counts.values())
    assert spread <= 1 if mode == "ipvs" else spread < 120


@pytest.mark.parametrize("mode", MODES)
def test_the_cost_is_that_of_the_whole_cluster(mode: str) -> None:
    """Above a hundred Services a part of the cluster is traced, and the rest is added from the data."""
    shown = proxy.view(mode, 1000, 2, 3).summary
    told = proxy.trace(scale.network(mode, 1000, 2), scale.CLIENT, proxy._packet(1000, 3), proxy.dice(3))
    if mode != "ipvs":
        assert f"{told.end.packet.dst}:{told.end.packet.dport}" in shown
    assert f"{examined(told, scale.NODE):,} rules" in shown


def test_every_control_changes_the_answer() -> None:
    explorer = ProxyExplorer()
    for name, values in {"mode": MODES, "services": COUNTS, "endpoints": range(1, 9), "number": (2, 3, 20)}.items():
        seen = set()
        for chosen in values:
            explorer.controls[name].value = chosen
            html = explorer.value.html(live=True)
            assert html.count("<svg") == 2 and "Not possible" not in html
            assert html == explorer._html.value
            seen.add(html)
        assert len(seen) == len(list(values))


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("iptables", ["-t nat -A KUBE-SERVICES -d 10.96.39.16/32", "statistic --mode random", "DNAT --to-destination"]),
        ("nftables", ["vmap @service-ips", "numgen random mod 4"]),
        ("ipvs", ["-m set --match-set KUBE-CLUSTER-IP dst,dst", "-A -t 10.96.39.16:80 -s rr", "chose"]),
    ],
)
def test_the_rules_that_decided(mode: str, words: list[str]) -> None:
    explorer = ProxyExplorer()
    explorer.controls["mode"].value, explorer.controls["services"].value = mode, 10_000
    explorer.controls["endpoints"].value = 4
    explorer.controls["number"].value = 2
    html = explorer.value.html(live=True)
    assert all(each in html for each in words)
    assert ("its turn" in explorer.value.summary) == (mode == "ipvs")


def test_the_only_endpoint_is_no_chance() -> None:
    assert "the only endpoint" in proxy.view("nftables", 1, 1, 1).summary
