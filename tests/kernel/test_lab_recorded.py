"""Experiments live and replayed: the recording of a run says what the run said, on this kernel and again."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from k8snetlib.errors import LabError
from k8snetlib.lab import Ping, Result, connect, experiment
from k8snetlib.linux.ops import RulesRestore
from k8snetlib.linux.packet import tcp

pytestmark = pytest.mark.needs("vxlan", "iptables")
WEB, OTHER = "10.244.1.2", "10.244.2.2"
MASQUERADE = "*nat\n-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE --random-fully\nCOMMIT\n"


def walk(ops: list, folder: Path) -> Result:
    sends = [tcp(WEB, "192.168.50.12", 8080), connect("pod-12", "tcp", OTHER, 8080), Ping("pod-12", ip_address("10.244.2.3"))]
    return experiment("walk", [*ops, RulesRestore("node-a", MASQUERADE)], sends, at="pod-12", folder=folder)


def test_what_was_recorded_is_what_happens(two_nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real connections with random sequence numbers, client ports, tunnel ports and masqueraded ports: twice the same, and replayed."""
    monkeypatch.setenv("K8SNET_LAB", "record")
    recorded = walk(two_nodes(), tmp_path)
    assert recorded.recorded and recorded.about.startswith("recorded on Linux ")
    monkeypatch.setenv("K8SNET_LAB", "live")
    live = walk(two_nodes(), tmp_path)
    assert not live.recorded and live.about.startswith("run just now on Linux ")
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    assert walk(two_nodes(), tmp_path) == recorded
    assert replace(live, recorded=True, about=recorded.about) == recorded


def test_what_a_result_holds(two_nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "live")
    result = walk(two_nodes(), tmp_path)
    sent, connected, pinged = result.outcomes
    assert sent.ok and sent.source is None
    assert (connected.source, connected.server, connected.answer) == (ip_address(WEB), "pod-22", b"hello")
    assert (pinged.ok, pinged.source) == (True, ip_address("10.244.2.3"))
    assert list(result.conntrack) == list(result.counters) == ["node-a"]
    assert "[1:40] -A POSTROUTING" in result.counters["node-a"]
    assert {entry.original.proto for entry in result.conntrack["node-a"]} >= {"tcp", "udp", "icmp"}
    assert result.on("node-a", "flannel.1") and not result.on("node-b", "nowhere")


def test_nothing_stale_is_shown(two_nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "record")
    walk(two_nodes(), tmp_path)
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    with pytest.raises(LabError, match="made with other ops or packets"):
        walk(two_nodes()[:-1], tmp_path)
