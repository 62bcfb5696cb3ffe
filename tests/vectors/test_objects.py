"""The vectors' objects can be read, and the endpoints of every Service port sorted into categories."""

from __future__ import annotations

from k8snetlib.kube.proxy.endpoints import categorize, endpoints_by_port, service_ports
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices


def test_every_case_is_read() -> None:
    for name in ("iptables_rules", "iptables_rules_v6"):
        for case in cases(name):
            if "objects" not in case:
                continue
            config = proxy_config(case)
            endpoints = endpoints_by_port(slices(case), config)
            for info in service_ports(services(case), config.version):
                found = categorize(endpoints.get((info.service.key, info.port.name, info.port.protocol), ()), info, config)
                assert set(found.reachable) >= set(found.local if info.uses_local_endpoints else ())
