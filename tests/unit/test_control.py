"""The control plane: what is allocated to Services, and the EndpointSlices that follow from Services, Pods and Nodes."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import permutations

import pytest

from k8snetlib.errors import ManifestError
from k8snetlib.kube.allocation import BalancerPool, dynamic_addresses
from k8snetlib.kube.control import CONTROLLER, MANAGED_BY_LABEL, ControlPlane, control_plane
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Container, ContainerPort, Node, ObjectMeta, Pod, Service, ServicePort
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import Endpoints, EndpointSlice

DUAL = ("IPv4", "IPv6")


def manifest(name: str, spec: str, meta: str = "") -> str:
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}{meta}}}\nspec: {spec}\n"


def made(*texts: str, families: tuple[str, ...] = ("IPv4",), **options) -> tuple[Service, ...]:
    return control_plane(loads("".join(texts), "shop.yaml").of(Service), families=families, **options).services


def refusal(*texts: str, families: tuple[str, ...] = ("IPv4",)) -> str:
    with pytest.raises(ManifestError) as caught:
        made(*texts, families=families)
    return str(caught.value)


# --- addresses

PORT = "ports: [{port: 80}]"


def test_free_addresses_come_from_the_upper_band_and_stay_the_same() -> None:
    first = made(manifest("web", f"{{{PORT}}}"), manifest("api", f"{{{PORT}}}"))
    again = made(manifest("db", f"{{{PORT}}}"), manifest("api", f"{{{PORT}}}"), manifest("web", f"{{{PORT}}}"))
    assert {each.name: each.cluster_ips for each in first}.items() <= {each.name: each.cluster_ips for each in again}.items()
    low, free, high = dynamic_addresses(ip_network("10.96.0.0/12"))
    assert (ip_address(low), ip_address(free), ip_address(high)) == (
        ip_address("10.96.0.1"), ip_address("10.96.1.1"), ip_address("10.111.255.254")
    )  # fmt: skip
    for each in first:
        assert free <= int(each.cluster_ip) <= high
        assert (each.ip_families, each.ip_family_policy) == (("IPv4",), "SingleStack")


@pytest.mark.parametrize(
    ("network", "band"), [("10.96.0.0/28", 0), ("10.96.0.0/27", 16), ("10.96.0.0/24", 16), ("10.96.0.0/20", 255), ("10.96.0.0/16", 256)]
)
def test_the_lower_band_is_a_sixteenth(network: str, band: int) -> None:
    first, free, _ = dynamic_addresses(ip_network(network))
    assert free - first == band


def test_a_full_range_is_an_error() -> None:
    small = {"service_cidrs": (ip_network("10.96.0.0/29"),)}
    five = [manifest(f"s{number}", f"{{{PORT}}}") for number in range(5)]  # six addresses, of which the API server's Service has one
    assert {int(each.cluster_ip) % 8 for each in made(*five, **small)} == {2, 3, 4, 5, 6}
    with pytest.raises(ManifestError, match=r"^shop\.yaml:\d+ spec\.clusterIP: failed to allocate a serviceIP: range is full"):
        made(*five, manifest("s5", f"{{{PORT}}}"), **small)


def spec(**fields: str) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in {"selector": "{a: b}", "ports": "[{port: 80}]", **fields}.items()) + "}"


# fmt: off
FAMILIES = [
    ({}, DUAL, ["IPv4"], "SingleStack"),
    ({}, ("IPv6", "IPv4"), ["IPv6"], "SingleStack"),
    ({"ipFamilyPolicy": "PreferDualStack"}, DUAL, ["IPv4", "IPv6"], "PreferDualStack"),
    ({"ipFamilyPolicy": "PreferDualStack"}, ("IPv4",), ["IPv4"], "PreferDualStack"),
    ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": "[IPv6]"}, DUAL, ["IPv6", "IPv4"], "RequireDualStack"),
    ({"ipFamilies": "[IPv6]"}, DUAL, ["IPv6"], "SingleStack"),
    ({"clusterIP": "'fd00:10:96::5'"}, DUAL, ["IPv6"], "SingleStack"),
    ({"clusterIP": "'fd00:10:96::5'", "ipFamilyPolicy": "PreferDualStack"}, DUAL, ["IPv6", "IPv4"], "PreferDualStack"),
    ({"clusterIP": "None"}, DUAL, ["IPv4"], "SingleStack"),
    ({"clusterIP": "None", "selector": "{}"}, ("IPv4",), ["IPv4", "IPv6"], "RequireDualStack"),
    ({"clusterIP": "None", "selector": "{}", "ipFamilyPolicy": "SingleStack"}, DUAL, ["IPv4"], "SingleStack"),
    ({"type": "ExternalName", "externalName": "db.example.com"}, DUAL, [], ""),
]
# fmt: on


@pytest.mark.parametrize(("fields", "families", "expected", "policy"), FAMILIES)
def test_address_families(fields: dict, families: tuple, expected: list, policy: str) -> None:
    (service,) = made(manifest("web", spec(**fields)), families=families)
    assert (list(service.ip_families), service.ip_family_policy) == (expected, policy)
    if service.headless or service.type == "ExternalName":
        assert service.cluster_ips == (("None",) if service.headless else ())
    else:
        assert [f"IPv{ip.version}" for ip in service.cluster_ips] == expected


# fmt: off
CLASHES = [
    ([spec(clusterIP="10.96.0.9"), spec(clusterIP="10.96.0.9")],
     '9 spec.clusterIPs: invalid value "[10.96.0.9]": failed to allocate IP 10.96.0.9: '
     "provided IP is already allocated, to Service default/s0"),
    ([spec(clusterIP="10.96.0.1")],
     '4 spec.clusterIPs: invalid value "[10.96.0.1]": failed to allocate IP 10.96.0.1: '
     "provided IP is already allocated, to Service default/kubernetes"),
    ([spec(clusterIP="10.43.0.9")],
     '4 spec.clusterIPs: invalid value "[10.43.0.9]": failed to allocate IP 10.43.0.9: '
     "the provided network does not match the current range: 10.96.0.0/12"),
    ([spec(clusterIP="10.96.0.0")],
     '4 spec.clusterIPs: invalid value "[10.96.0.0]": failed to allocate IP 10.96.0.0: '
     "the provided IP (10.96.0.0) is not in the valid range: the range of valid IPs is 10.96.0.0/12"),
    ([spec(clusterIP="'fd00:10:96::9'")], "4 spec.clusterIPs[0]: invalid value: IPv6 is not configured on this cluster: its families are IPv4"),
    ([spec(ipFamilyPolicy="RequireDualStack")],
     '4 spec.ipFamilyPolicy: invalid value "RequireDualStack": this cluster is not configured for dual-stack services: its families are IPv4'),
    ([spec(ipFamilies="[IPv6]")], '4 spec.ipFamilies[0]: invalid value "IPv6": not configured on this cluster: its families are IPv4'),
    ([spec(type="NodePort", ports="[{port: 80, nodePort: 30080}]"), spec(type="LoadBalancer", ports="[{port: 90, nodePort: 30080}]")],
     "9 spec.ports[0].nodePort: invalid value 30080: provided port is already allocated, to Service default/s0"),
    ([spec(type="NodePort", ports="[{port: 80, nodePort: 30080}]"),
      spec(type="NodePort", ports="[{port: 80, protocol: UDP, nodePort: 30080}]")],
     "9 spec.ports[0].nodePort: invalid value 30080: provided port is already allocated, to Service default/s0"),
    ([spec(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort="31000"),
      spec(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort="31000")],
     "9 spec.healthCheckNodePort: invalid value 31000: provided port is already allocated, to Service default/s0"),
    ([spec(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort="80")],
     "4 spec.healthCheckNodePort: invalid value 80: provided port is not in the valid range: the range of valid ports is 30000-32767"),
]
# fmt: on


@pytest.mark.parametrize(("specs", "message"), CLASHES, ids=[each[1][:50] for each in CLASHES])
def test_what_cannot_be_allocated_is_one_error_with_its_place(specs: list[str], message: str) -> None:
    text = "".join(manifest(f"s{number}", each) for number, each in enumerate(specs))
    assert refusal(text.removeprefix("---\n")) == f"shop.yaml:{message}"


# --- node ports


def test_node_ports_are_shared_by_ports_of_one_number_alone() -> None:
    ports = "[{name: a, port: 53, protocol: UDP}, {name: b, port: 53, nodePort: 30053}, {name: c, port: 80}]"
    (service,) = made(manifest("dns", spec(type="NodePort", ports=ports)))
    first, second, third = (port.node_port for port in service.ports)
    assert (first, second) == (30053, 30053)
    assert 30086 <= third <= 32767
    assert third != 30053


@pytest.mark.parametrize(
    ("fields", "ports", "check"),
    [
        ({"type": "LoadBalancer"}, True, False),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": "false"}, False, False),
        ({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}, True, True),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, True, False),
        ({"type": "ClusterIP"}, False, False),
    ],
)
def test_who_gets_node_ports(fields: dict, ports: bool, check: bool) -> None:
    (service,) = made(manifest("web", spec(**fields)))
    assert (bool(service.ports[0].node_port), bool(service.health_check_node_port)) == (ports, check)


def test_what_is_asked_for_is_never_in_the_way_of_a_free_choice() -> None:
    (free,) = made(manifest("web", spec(type="NodePort")))
    ports = f"[{{port: 1, nodePort: {free.ports[0].node_port}}}]"
    asked = manifest("other", spec(type="NodePort", clusterIP=str(free.cluster_ip), ports=ports))
    for texts in permutations([manifest("web", spec(type="NodePort")), asked]):
        services = {each.name: each for each in made(*texts)}
        assert services["other"].cluster_ip == free.cluster_ip
        assert services["web"].cluster_ip != free.cluster_ip
        assert services["web"].ports[0].node_port != free.ports[0].node_port


# --- load balancers

POOL = BalancerPool((ip_network("198.51.100.8/30"), ip_network("2001:db8:100::/126")))


def addresses(service: Service) -> list[str]:
    return [str(each.ip) for each in service.load_balancer_ingress]


def test_without_a_pool_an_external_ip_stays_pending() -> None:
    text = manifest("web", spec(type="LoadBalancer"))
    plane = control_plane(loads(text, "shop.yaml").of(Service))
    assert addresses(plane.services[0]) == []
    assert plane.notes == ("shop.yaml:5 spec.type: EXTERNAL-IP of Service default/web stays <pending>: there is no load balancer here",)


def test_a_pool_serves_its_class() -> None:
    lb = {"type": "LoadBalancer"}
    texts = [
        manifest("a", spec(**lb)),
        manifest("b", spec(**lb, ipFamilyPolicy="RequireDualStack")),
        manifest("c", spec(**lb, loadBalancerIP="198.51.100.9")),
        manifest("d", spec(**lb, loadBalancerClass="example.com/lb")),
        manifest("e", spec(**lb, loadBalancerIP="192.0.2.1")),
        manifest("f", spec(type="NodePort")),
    ]
    found = {each.name: addresses(each) for each in made(*texts, families=DUAL, pools=[POOL])}
    assert found == {"a": ["198.51.100.10"], "b": ["2001:db8:100::1"], "c": ["198.51.100.9"], "d": [], "e": [], "f": []}
    mine = BalancerPool((ip_network("203.0.113.5/32"),), "example.com/lb", "Proxy")
    service = made(texts[3], pools=[POOL, mine])[0]
    assert (addresses(service), service.load_balancer_ingress[0].ip_mode) == (["203.0.113.5"], "Proxy")


def test_a_status_that_is_there_stays() -> None:
    text = manifest("web", spec(type="LoadBalancer")) + "status: {loadBalancer: {ingress: [{ip: 198.51.100.9}]}}\n"
    other = manifest("other", spec(type="LoadBalancer"))
    assert [addresses(each) for each in made(text, other, pools=[POOL])] == [["198.51.100.9"], ["198.51.100.10"]]


# --- slices

NODES = tuple(Node(ObjectMeta(f"node-{name}", labels=FrozenDict({"topology.kubernetes.io/zone": f"zone-{name}"}))) for name in "ab")
BOX = Container("c", ports=(ContainerPort(8080, "http"),))


def pod(name: str, ip: str = "10.244.1.2", node: str = "node-a", **fields) -> Pod:
    meta = ObjectMeta(name, "default", FrozenDict({"app": "web"}))
    return Pod(meta, (BOX,), node, (ip_address(ip),) if ip else (), **fields)


def service(**fields) -> Service:
    ports = (ServicePort(80, "", "TCP", "http"),)
    return Service(**{"metadata": ObjectMeta("web", "default"), "ports": ports, "selector": FrozenDict({"app": "web"}), **fields})


def planned(*pods: Pod, slices: tuple = (), **fields) -> ControlPlane:
    return control_plane([service(**fields)], pods, NODES, slices)


STOPPING = ObjectMeta("p", "default", FrozenDict({"app": "web"}), deletion_timestamp="2026-11-01T00:00:00Z")
READY, NOT_READY = FrozenDict({"Ready": "True"}), FrozenDict({"Ready": "False"})
# fmt: off
CONDITIONS = [
    (pod("p"), False, (True, True, False)),  # no status at all: it has been placed and has an address
    (pod("p", phase="Running", conditions=READY), False, (True, True, False)),
    (pod("p", phase="Running", conditions=NOT_READY), False, (False, False, False)),
    (pod("p", phase="Running"), False, (False, False, False)),
    (pod("p", phase="Running", conditions=NOT_READY), True, (True, False, False)),
    (replace(pod("p", conditions=READY, phase="Running"), metadata=STOPPING), False, (False, True, True)),
    (pod("p", phase="Succeeded"), False, None),
    (pod("p", phase="Failed"), True, None),
    (pod("p", ip=""), True, None),
    (pod("p", node="gone"), False, None),
    (pod("p", node=""), True, (True, True, False)),
    (pod("p", ip="fd00::2"), False, None),
]
# fmt: on


@pytest.mark.parametrize(("member", "publish", "expected"), CONDITIONS)
def test_conditions_of_an_endpoint(member: Pod, publish: bool, expected: tuple | None) -> None:
    (part,) = planned(member, publish_not_ready_addresses=publish).slices
    found = [(each.ready, each.serving, each.terminating) for each in part.endpoints]
    assert found == ([] if expected is None else [expected])
    assert [each.target for each in part.endpoints] == ["Pod default/p"] * len(found)


def test_a_hundred_endpoints_a_slice_and_one_set_of_ports() -> None:
    pods = [pod(f"p{number}", f"10.244.{number // 200 + 1}.{number % 200 + 2}") for number in range(250)]
    old = replace(pod("old", "10.244.9.9"), containers=(Container("c", ports=(ContainerPort(80, "http"),)),))
    parts = planned(*pods, old).slices
    assert sorted((len(each.endpoints), each.ports[0].port) for each in parts) == [(1, 80), (50, 8080), (100, 8080), (100, 8080)]
    assert len({each.name for each in parts}) == 4
    assert [each.name for each in parts] == [each.name for each in planned(*pods, old).slices]


@pytest.mark.parametrize(
    ("distribution", "annotations", "hints"),
    [
        ("", {}, ((), ())),
        ("PreferClose", {}, (("zone-a",), ())),
        ("PreferSameZone", {}, (("zone-a",), ())),
        ("PreferSameNode", {}, (("zone-a",), ("node-a",))),
        ("PreferSameZone", {"service.kubernetes.io/topology-mode": "Auto"}, ((), ())),
        ("PreferSameZone", {"service.kubernetes.io/topology-mode": "Disabled"}, (("zone-a",), ())),
    ],
)
def test_hints(distribution: str, annotations: dict, hints: tuple) -> None:
    meta = ObjectMeta("web", "default", annotations=FrozenDict(annotations))
    members = (pod("p"), pod("q", "10.244.1.3", phase="Running", conditions=NOT_READY))
    (part,) = planned(*members, metadata=meta, traffic_distribution=distribution).slices
    assert [(each.zone_hints, each.node_hints) for each in part.endpoints] == [hints, ((), ())]


def test_a_host_name_is_published_under_the_subdomain_of_its_service() -> None:
    parts = planned(pod("a", hostname="db-0", subdomain="web"), pod("b", "10.244.1.3", hostname="db-1", subdomain="other")).slices
    assert [each.hostname for each in parts[0].endpoints] == ["db-0", ""]


def test_a_target_port_that_no_pod_has_is_remarked() -> None:
    text = manifest("web", "{selector: {app: web}, ports: [{port: 80, targetPort: htpp}]}")
    found = control_plane(loads(text, "shop.yaml").of(Service), [pod("p")], NODES)
    assert found.slices[0].ports == ()
    (note,) = found.notes
    assert note == (
        'shop.yaml:5 spec.ports[0].targetPort: no TCP container port named "htpp" in the Pods matching app=web (did you mean "http"?)'
    )


SLICE = """---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME, labels: {LABELS}}
addressType: IPv4
ports: [{name: http, port: 5432}]
endpoints: [{addresses: [192.0.2.5]}]
"""


def by_hand(name: str, labels: str) -> EndpointSlice:
    (part,) = loads(SLICE.replace("NAME", name).replace("LABELS", labels), "shop.yaml").of(EndpointSlice)
    return part


def test_slices_written_by_hand_are_kept() -> None:
    mine = by_hand("mine", "kubernetes.io/service-name: web")
    assert (mine.service_key, mine.ports[0].port, mine.endpoints[0].ready) == ("default/web", 5432, None)
    others = by_hand("others", "kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: someone")
    dumped = by_hand("dumped", f"kubernetes.io/service-name: web, {MANAGED_BY_LABEL}: {CONTROLLER}")
    with_selector = planned(pod("p"), slices=(mine, others, dumped)).slices
    assert [each.name for each in with_selector[1:]] == ["mine", "others"]
    without = planned(pod("p"), slices=(mine, others, dumped), selector=FrozenDict())
    assert [each.name for each in without.slices] == ["mine", "others", "dumped"]


ENDPOINTS = """---
apiVersion: v1
kind: Endpoints
metadata: {name: web, labels: {a: b}}
subsets:
- addresses: [{ip: 192.0.2.5, hostname: one}, {ip: "2001:db8::5"}]
  notReadyAddresses: [{ip: 192.0.2.6}]
  ports: [{port: 5432}]
"""


def test_endpoints_written_by_hand_are_mirrored() -> None:
    manifests = loads(ENDPOINTS, "shop.yaml")
    assert manifests.notes == ("shop.yaml:2: Endpoints is deprecated since 1.33, in favour of EndpointSlice (discovery.k8s.io/v1)",)
    endpoints = manifests.of(Endpoints)
    first, second = control_plane([service(selector=FrozenDict())], endpoints=endpoints).slices
    assert [(str(each.addresses[0]), each.ready, each.hostname) for each in first.endpoints] == [
        ("192.0.2.5", True, "one"), ("192.0.2.6", False, "")
    ]  # fmt: skip
    assert [str(each.addresses[0]) for each in second.endpoints] == ["2001:db8::5"]
    assert (first.ports[0].port, first.ports[0].protocol, first.service_key) == (5432, "TCP", "default/web")
    assert first.labels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert [each.labels.get(MANAGED_BY_LABEL) for each in control_plane([service()], endpoints=endpoints).slices] == [CONTROLLER]
    skipped = loads(ENDPOINTS.replace("a: b", "endpointslice.kubernetes.io/skip-mirror: 'true'"), "shop.yaml").of(Endpoints)
    assert control_plane([service(selector=FrozenDict())], endpoints=skipped).slices == ()


def test_slices_of_no_service_are_remarked() -> None:
    notes = planned(slices=(by_hand("a", "a: b"), by_hand("b", "kubernetes.io/service-name: wbe"))).notes
    assert notes == (
        "shop.yaml:4 metadata.labels: EndpointSlice default/a belongs to no Service, since it has no label kubernetes.io/service-name: "
        "nothing sends there",
        "shop.yaml:4 metadata.labels: EndpointSlice default/b is for Service default/wbe, which is not there",
    )


def test_a_cluster_without_services_costs_nothing() -> None:
    class Untouchable:
        def __iter__(self):
            raise AssertionError("the Pods were looked at")

    assert control_plane((), Untouchable(), Untouchable()) == ControlPlane()


def test_a_large_cluster_is_quick() -> None:
    nodes = [Node(ObjectMeta(f"node-{number}")) for number in range(1000)]
    services = [
        Service(ObjectMeta(f"s{number}", "default"), (ServicePort(80, "", "TCP", "http"),), FrozenDict({"app": f"a{number}"}))
        for number in range(10_000)
    ]
    pods = [
        Pod(ObjectMeta(f"p{number}", "default", FrozenDict({"app": f"a{number % 10_000}", "tier": "x"})), (BOX,), f"node-{number % 1000}",
            (ip_address(int(ip_address("10.128.0.0")) + number),))
        for number in range(100_000)
    ]  # fmt: skip
    gc.collect()
    gc.freeze()  # what other tests have left in memory is not to be walked through here
    start = time.process_time()
    found = control_plane(services, pods, nodes)
    spent = time.process_time() - start
    gc.unfreeze()
    assert sum(len(each.endpoints) for each in found.slices) == 100_000
    assert len({each.cluster_ip for each in found.services}) == 10_000
    assert spent < 8, f"{spent:.1f} s"
