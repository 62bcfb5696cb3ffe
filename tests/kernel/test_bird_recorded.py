"""Routing experiments live and replayed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k8snetlib.errors import LabError
from k8snetlib.kube.bgp import bird_conf, blocks, converge, full_mesh, show_protocols
from k8snetlib.kube.cni.sandbox import Host, segment_of, segments, underlay_ops, uplink_ops
from k8snetlib.lab import RoutingResult, routing
from k8snetlib.linux.addresses import ip_address, ip_interface, ip_network

pytestmark = pytest.mark.needs("bird")

HOSTS = [
    Host(f"node-{n}", (ip_interface(f"192.168.50.1{n}/24"),), (ip_address("192.168.50.1"),), (ip_network(f"10.244.{n}.0/24"),))
    for n in (1, 2, 3)
]
LINKS = segments(HOSTS)
OPS = [*underlay_ops(HOSTS), *(op for one in HOSTS for op in uplink_ops(one, f"to-{one.name}", segment_of(one, LINKS)))]
BGP = converge(full_mesh(HOSTS), {one.name: blocks(one.pod_cidrs) for one in HOSTS})
CONFS = {one.name: bird_conf(BGP, one.name, [ip_network("10.244.0.0/16")]) for one in HOSTS}


def mesh(folder: Path, stop: tuple[str, ...] = ("node-2",)) -> RoutingResult:
    return routing("mesh", OPS, CONFS, stop, folder=folder)


def test_what_was_recorded_is_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "record")
    recorded = mesh(tmp_path)
    assert recorded.recorded and recorded.about.startswith("recorded with BIRD 2.")
    monkeypatch.setenv("K8SNET_LAB", "live")
    live = mesh(tmp_path)
    assert live.about.startswith("run just now with BIRD 2.")
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    assert mesh(tmp_path) == recorded == replace(live, recorded=True, about=recorded.about)
    with pytest.raises(LabError, match="made with other ops or configurations"):
        mesh(tmp_path, stop=("node-3",))
    with pytest.raises(LabError, match="there is no recording of 'mesh'"):
        mesh(tmp_path / "nowhere")


def test_a_result_is_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "live")
    result = mesh(tmp_path)
    assert [stage.step for stage in result.stages] == ["start", "stop node-2"]
    for stage, bgp in zip(result.stages, (BGP, BGP.leave("node-2")), strict=True):
        assert stage.routes.keys() == stage.protocols.keys() == bgp.topology.speakers.keys() - bgp.gone
        for name, routes in stage.routes.items():
            assert routes == tuple(sorted(map(str, bgp.routes(name))))
            assert sorted(stage.protocols[name].splitlines()) == sorted(show_protocols(bgp, name).splitlines())
