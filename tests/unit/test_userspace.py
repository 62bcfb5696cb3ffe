"""The userspace mode: rules to the process's port, a second connection, endpoints in turn, and another try where one fails."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from k8snetlib import Cluster
from k8snetlib.errors import ModelError
from k8snetlib.kube import proxy
from k8snetlib.kube.objects import ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.proxy.userspace import Balancer, compile, relay
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice
from k8snetlib.linux.engine import trace
from k8snetlib.linux.ops import Listen, build, route
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.state import Socket
from tests.unit.networks import routed

META = ObjectMeta("web", "default", FrozenDict({SERVICE_NAME_LABEL: "web"}))
CONFIG = ProxyConfig("r", ip_address("10.0.1.1"), (ip_address("10.0.1.1"),), ip_network("10.0.0.0/8"))
VIP = "10.96.0.10"


def service(**fields) -> Service:
    return Service(META, (ServicePort(80, node_port=fields.pop("node_port", 0)),), cluster_ips=(ip_address(VIP),), **fields)


def slices(*ports: int) -> list[EndpointSlice]:
    return [EndpointSlice(META, "IPv4", (Endpoint((ip_address("10.0.2.2"),)),), (EndpointPort("", port),)) for port in ports]


def network(given: Service, ports: tuple[int, ...], listening: tuple[int, ...]):
    sockets = [Listen("b", Socket("tcp", port, process=f"web-{port}")) for port in listening if port != 80]
    return build(
        [*routed(), route("r", "default", via="10.0.1.2"), *sockets, *proxy.ops("userspace", "r", [given], slices(*ports), [CONFIG])]
    )


DUAL = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.mark.parametrize("families", [("IPv4", "IPv6"), ("IPv6", "IPv4")])
def test_of_two_families_the_first_alone(families: tuple[str, str]) -> None:
    both = Cluster.loads(DUAL, proxy="userspace", families=families)
    first, second = (both.trace("node/node-b", "svc/web:80", family=family) for family in families)
    assert first.end.socket.process == "kube-proxy"
    assert not second.delivered


def test_two_connections_and_endpoints_in_turn() -> None:
    given, ports = service(), (80, 8081)
    rules, balancer = compile([given], slices(*ports), CONFIG), Balancer()
    now, reached = network(given, ports, ports), []
    for sport in range(40000, 40004):
        request = trace(now, "a", tcp("10.0.1.2", VIP, 80, sport))
        assert request.end.socket.process == "kube-proxy" and request.end.netns == "r" and request.reply.delivered
        done = relay(request, rules, balancer)
        now, balancer = done.network, done.balancer
        assert done.delivered and done.tried[-1].end.packet.src == ip_address("10.0.2.1")  # the node's address, not the client's
        reached.append(done.tried[-1].end.packet.dport)
    assert reached == [80, 8081, 80, 8081]


def test_an_endpoint_that_refuses_is_passed_over() -> None:
    given, ports = service(), (79, 80)
    request = trace(network(given, ports, (80,)), "a", tcp("10.0.1.2", VIP, 80))
    done = relay(request, compile([given], slices(*ports), CONFIG))
    assert [each.delivered for each in done.tried] == [False, True] and done.tried[0].end.reason == "NO_SOCKET"


def test_four_tries_and_no_more() -> None:
    given = service()
    request = trace(network(given, (79,), ()), "a", tcp("10.0.1.2", VIP, 80))
    done = relay(request, compile([given], slices(79), CONFIG))
    assert len(done.tried) == 4 and not done.delivered
    none = relay(trace(network(given, (), ()), "a", tcp("10.0.1.2", VIP, 80)), compile([given], [], CONFIG))
    assert not none.tried and not none.delivered


def test_affinity_is_the_balancers() -> None:
    given = service(session_affinity="ClientIP", session_affinity_timeout=30)
    port = compile([given], slices(80, 8081), CONFIG).ports[0]
    a, b = ip_address("10.0.1.2"), ip_address("10.0.1.3")
    first, balancer = Balancer().next(port, a, now=0)
    other, balancer = balancer.next(port, b, now=1)
    same, balancer = balancer.next(port, a, now=29)
    assert (str(first), str(other), str(same)) == ("10.0.2.2:80", "10.0.2.2:8081", "10.0.2.2:80")
    failed, _ = balancer.next(port, b, now=2, again=True)
    late, _ = balancer.next(port, b, now=31)
    assert str(failed) == str(late) == "10.0.2.2:80"


def test_the_node_itself_and_node_ports() -> None:
    given = service(type="NodePort", node_port=30080, external_ips=(ip_address("198.51.100.7"),))
    now = network(given, (80,), (80,))
    for at, packet in (
        ("r", tcp("10.0.1.1", VIP, 80)),
        ("a", tcp("10.0.1.2", "10.0.1.1", 30080)),
        ("r", tcp("10.0.1.1", "10.0.2.1", 30080)),
        ("a", tcp("10.0.1.2", "198.51.100.7", 80)),
    ):
        assert trace(now, at, packet).end.socket.process == "kube-proxy"
    assert relay(trace(now, "a", tcp("10.0.1.2", "10.0.1.1", 30080)), compile([given], slices(80), CONFIG)).delivered


def test_what_did_not_reach_the_process_is_no_request() -> None:
    given = service()
    with pytest.raises(ModelError, match="did not reach kube-proxy"):
        relay(trace(network(given, (80,), (80,)), "a", tcp("10.0.1.2", "10.0.2.2", 80)), compile([given], slices(80), CONFIG))
    with pytest.raises(ModelError, match="does not listen on port 1"):
        compile([given], slices(80), CONFIG).at(1)
