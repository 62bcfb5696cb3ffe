"""Lesson 04's experiment, run with the BIRD of this machine: what is recorded is what happens."""

from __future__ import annotations

import pytest

import k8snetlib as k8s
from k8snetlib.lab.routing import FOLDER, RoutingExperiment
from k8snetlib.linux.addresses import ip_network

pytestmark = pytest.mark.needs("bird")


def test_the_lessons_bird_does_what_is_recorded_and_what_the_model_says() -> None:
    shop = k8s.shop("bgp", node_c=True)
    bgp = k8s.bgp(shop)
    bare = [op for op in shop.ops() if not (isinstance(op, k8s.ops.RouteAdd) and op.route.proto == "bird")]
    confs = {host.name: k8s.bird_conf(bgp, host.name, [ip_network("10.244.0.0/16")]) for host in shop.hosts}
    experiment = RoutingExperiment("bgp-mesh", tuple(bare), tuple(confs.items()), ("node-b",))
    live, _ = experiment.live()
    assert live.stages == experiment.result("recorded", FOLDER).stages
    for stage, model in zip(live.stages, (bgp, bgp.leave("node-b")), strict=True):
        assert stage.routes.keys() == {host.name for host in shop.hosts} - model.gone
        assert all(set(routes) == set(map(str, model.routes(node))) for node, routes in stage.routes.items())
