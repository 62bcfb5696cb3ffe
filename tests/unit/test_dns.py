"""Cluster DNS: answers as CoreDNS gives them, and the resolver's walk inside a Pod."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from k8snetlib.errors import ModelError, UnsupportedError
from k8snetlib.kube.control import control_plane
from k8snetlib.kube.dns import ClusterDNS, absolute, address_of
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Container, ContainerPort, HostAlias, Node, ObjectMeta, Pod, PodDNSConfig, Service
from k8snetlib.kube.resolver import ResolvConf, candidates, hosts_file, lookup, resolv_conf
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import EndpointSlice

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  clusterIP: 10.96.20.80
  selector: {app: api}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop}
spec:
  ipFamilyPolicy: RequireDualStack
  clusterIP: 10.96.30.1
  clusterIPs: [10.96.30.1, "fd00:10:96::30"]
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec: {clusterIP: None, selector: {app: nobody}, ports: [{port: 1}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: db.example.com.}
---
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: shop}
spec: {type: ExternalName, externalName: api.shop.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: number, namespace: shop}
spec: {type: ExternalName, externalName: 192.0.2.7}
---
apiVersion: v1
kind: Service
metadata: {name: loop, namespace: shop}
spec: {type: ExternalName, externalName: loop.shop.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: manual, namespace: shop}
spec: {clusterIP: None}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: manual, namespace: shop, labels: {kubernetes.io/service-name: manual}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.9]}, {addresses: [192.0.2.8], conditions: {ready: false}}]
"""


def pod(name: str, app: str, ip: str, namespace: str = "shop", **fields) -> Pod:
    box = Container("c", ports=(ContainerPort(8080, "http"), ContainerPort(5432, "sql")))
    return Pod(ObjectMeta(name, namespace, FrozenDict({"app": app})), (box,), "node-a", (ip_address(ip),), **fields)


WEB = pod("web", "web", "10.244.1.2")
PODS = (
    WEB,
    pod("api-1", "api", "10.244.1.3"),
    pod("db-0", "db", "10.244.1.4", hostname="db-0", subdomain="db"),
    pod("db-1", "db", "10.244.2.4", hostname="db-1", subdomain="db"),
    pod("spare", "db", "10.244.2.5"),
    pod("late", "db", "10.244.2.6", hostname="late", subdomain="db", phase="Running", conditions=FrozenDict({"Ready": "False"})),
)


def cluster_dns(**fields) -> ClusterDNS:
    manifests = loads(SERVICES, "dns.yaml")
    plane = control_plane(manifests.of(Service), PODS, [Node(ObjectMeta("node-a"))], manifests.of(EndpointSlice), ("IPv4", "IPv6"))
    return ClusterDNS(plane.services, plane.slices, **fields)


DNS = cluster_dns()
SHOP = "shop.svc.cluster.local"
# fmt: off
ANSWERS = [
    (f"api.{SHOP}", "A", "NOERROR", ["A 10.96.20.80"]),
    ("API.Shop.SVC.cluster.local.", "A", "NOERROR", ["A 10.96.20.80"]),
    (f"api.{SHOP}", "AAAA", "NOERROR", []),
    (f"both.{SHOP}", "A", "NOERROR", ["A 10.96.30.1"]),
    (f"both.{SHOP}", "AAAA", "NOERROR", ["AAAA fd00:10:96::30"]),
    (f"nobody.{SHOP}", "A", "NXDOMAIN", []),
    ("api.other.svc.cluster.local", "A", "NXDOMAIN", []),
    (f"_http._tcp.api.{SHOP}", "SRV", "NOERROR", [f"SRV 0 100 80 api.{SHOP}."]),
    (f"_http._udp.api.{SHOP}", "SRV", "NXDOMAIN", []),
    (f"_dns._udp.api.{SHOP}", "SRV", "NOERROR", [f"SRV 0 100 53 api.{SHOP}."]),
    (f"api.{SHOP}", "SRV", "NOERROR", [f"SRV 0 50 80 api.{SHOP}.", f"SRV 0 50 53 api.{SHOP}."]),
    (f"db.{SHOP}", "A", "NOERROR", ["A 10.244.1.4", "A 10.244.2.4", "A 10.244.2.5"]),
    (f"db-0.db.{SHOP}", "A", "NOERROR", ["A 10.244.1.4"]),
    (f"10-244-2-5.db.{SHOP}", "A", "NOERROR", ["A 10.244.2.5"]),
    (f"10-244-2-4.db.{SHOP}", "A", "NXDOMAIN", []),  # it has a host name instead
    (f"late.db.{SHOP}", "A", "NXDOMAIN", []),
    (f"10-244-1-3.api.{SHOP}", "A", "NOERROR", ["A 10.244.1.3"]),  # not only of headless Services
    (f"_sql._tcp.db.{SHOP}", "SRV", "NOERROR",
     [f"SRV 0 33 5432 {host}.db.{SHOP}." for host in ("db-0", "db-1", "10-244-2-5")]),
    (f"empty.{SHOP}", "A", "NXDOMAIN", []),
    (f"manual.{SHOP}", "A", "NOERROR", ["A 192.0.2.9"]),
    (f"manual.{SHOP}", "SRV", "NOERROR", []),
    (f"outside.{SHOP}", "A", "NOERROR", ["CNAME db.example.com."]),
    (f"outside.{SHOP}", "CNAME", "NOERROR", ["CNAME db.example.com."]),
    (f"outside.{SHOP}", "SRV", "NOERROR", []),
    (f"_http._tcp.outside.{SHOP}", "SRV", "NXDOMAIN", []),
    (f"inside.{SHOP}", "A", "NOERROR", [f"CNAME api.{SHOP}.", "A 10.96.20.80"]),
    (f"inside.{SHOP}", "AAAA", "NOERROR", []),
    (f"number.{SHOP}", "A", "NXDOMAIN", []),
    (f"loop.{SHOP}", "A", "NOERROR", []),
    (SHOP, "A", "NOERROR", []),
    ("svc.cluster.local", "A", "NOERROR", []),
    ("cluster.local", "A", "NOERROR", []),
    ("shop.cluster.local", "A", "NXDOMAIN", []),
    (f"a.b.c.api.{SHOP}", "A", "NXDOMAIN", []),
    ("10-244-1-2.shop.pod.cluster.local", "A", "NOERROR", ["A 10.244.1.2"]),
    ("1-2-3-4.shop.pod.cluster.local", "A", "NOERROR", ["A 1.2.3.4"]),  # "insecure": no such Pod is needed
    ("fd00-10-244--5.shop.pod.cluster.local", "AAAA", "NOERROR", ["AAAA fd00:10:244::5"]),
    ("10-244-1-2.nowhere.pod.cluster.local", "A", "NXDOMAIN", []),
    ("web.shop.pod.cluster.local", "A", "NXDOMAIN", []),
    ("80.20.96.10.in-addr.arpa", "PTR", "NOERROR", [f"PTR api.{SHOP}."]),
    ("4.1.244.10.in-addr.arpa", "PTR", "NOERROR", [f"PTR db-0.db.{SHOP}."]),
    ("3.1.244.10.in-addr.arpa", "PTR", "NOERROR", [f"PTR 10-244-1-3.api.{SHOP}."]),
    (ip_address("fd00:10:96::30").reverse_pointer, "PTR", "NOERROR", [f"PTR both.{SHOP}."]),
    ("9.9.9.9.in-addr.arpa", "PTR", "UNKNOWN", []),
    ("9.in-addr.arpa", "PTR", "UNKNOWN", []),
    ("dns-version.cluster.local", "TXT", "NOERROR", ['TXT "1.1.0"']),
    ("ns.dns.cluster.local", "A", "NOERROR", ["A 10.96.0.10"]),
    ("example.com", "A", "UNKNOWN", []),
    ("notcluster.local", "A", "UNKNOWN", []),
]
# fmt: on


@pytest.mark.parametrize(("name", "type_", "status", "records"), ANSWERS, ids=[f"{each[0]} {each[1]}" for each in ANSWERS])
def test_answers(name: str, type_: str, status: str, records: list[str]) -> None:
    answer = DNS.ask(name, type_)
    assert (answer.status, [f"{each.type} {each.data}" for each in answer.records]) == (status, records)
    assert answer.name == absolute(name)


def test_srv_answers_bring_the_addresses_along() -> None:
    extra = DNS.ask(f"_sql._tcp.db.{SHOP}", "SRV").additional
    assert str(extra[0]) == f"db-0.db.{SHOP}.\t30\tIN\tA\t10.244.1.4"
    assert len(extra) == 3
    assert {each.type for each in DNS.ask(f"_http._tcp.both.{SHOP}", "SRV").additional} == {"A", "AAAA"}


def test_what_lies_upstream_can_be_told() -> None:
    dns = cluster_dns(upstream={"db.example.com": ("198.51.100.5", "2001:db8::5")})
    assert [str(ip) for ip in dns.ask("db.example.com").addresses] == ["198.51.100.5"]
    assert [each.data for each in dns.ask(f"outside.{SHOP}", "AAAA").records] == ["db.example.com.", "2001:db8::5"]


def test_an_answer_prints_as_dig_does() -> None:
    assert str(DNS.ask(f"api.{SHOP}")) == f";; status: NOERROR\n;api.{SHOP}.\tIN\tA\napi.{SHOP}.\t30\tIN\tA\t10.96.20.80"


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "a." * 128, "a b"])
def test_what_is_no_name_is_an_error(name: str) -> None:
    with pytest.raises(ModelError, match="is no domain name"):
        DNS.ask(name)
    with pytest.raises(ModelError, match="is no domain name"):
        lookup(DNS, WEB, name)


def test_other_types_are_not_ignored() -> None:
    with pytest.raises(UnsupportedError, match="questions of type MX are not modelled"):
        DNS.ask("example.com", "MX")


def test_without_a_dns_service_the_tenth_address_is_asked() -> None:
    assert ClusterDNS().addresses == (ip_address("10.96.0.10"),)


@pytest.mark.parametrize("text", ["10.0.0.1", "fd00::1", "255.255.255.255"])
def test_reverse_names(text: str) -> None:
    assert address_of(ip_address(text).reverse_pointer + ".") == ip_address(text)


@pytest.mark.parametrize("name", ["1.2.3.in-addr.arpa.", "x.2.3.4.in-addr.arpa.", "g" + ".0" * 31 + ".ip6.arpa.", "example.com."])
def test_names_that_stand_for_no_address(name: str) -> None:
    assert address_of(name) is None


# --- resolv.conf and /etc/hosts

SEARCH = f"search {SHOP} svc.cluster.local cluster.local"
NODE = ResolvConf((ip_address("192.0.2.53"),), ("example.com",), (("timeout", "2"), ("edns0", "")))
CONFIG = PodDNSConfig(("192.0.2.1", "10.96.0.10"), ("my.domain", "cluster.local"), (("ndots", "2"), ("edns0", "")))
# fmt: off
FILES = [
    ({}, f"{SEARCH} example.com\nnameserver 10.96.0.10\noptions ndots:5"),
    ({"dns_policy": "Default"}, "search example.com\nnameserver 192.0.2.53\noptions timeout:2 edns0"),
    ({"host_network": True}, "search example.com\nnameserver 192.0.2.53\noptions timeout:2 edns0"),
    ({"host_network": True, "dns_policy": "ClusterFirstWithHostNet"}, f"{SEARCH} example.com\nnameserver 10.96.0.10\noptions ndots:5"),
    ({"dns_policy": "None", "dns_config": CONFIG},
     "search my.domain cluster.local\nnameserver 192.0.2.1\nnameserver 10.96.0.10\noptions ndots:2 edns0"),
    ({"dns_config": CONFIG},
     f"{SEARCH} example.com my.domain\nnameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:2 edns0"),
]
# fmt: on


@pytest.mark.parametrize(("fields", "expected"), FILES)
def test_resolv_conf(fields: dict, expected: str) -> None:
    assert str(resolv_conf(replace(WEB, **fields), DNS, NODE)) == expected


@pytest.mark.parametrize(("options", "ndots"), [((), 1), ((("ndots", "5"),), 5), ((("ndots", "99"),), 15), ((("ndots", "x"),), 1)])
def test_ndots(options: tuple, ndots: int) -> None:
    assert ResolvConf(options=options).ndots == ndots


def test_hosts_file() -> None:
    aliased = replace(PODS[2], host_aliases=(HostAlias("192.0.2.77", ("legacy", "legacy.example.com")),))
    assert [str(each) for each in hosts_file(aliased)][2:] == [
        f"10.244.1.4\tdb-0.db.{SHOP}\tdb-0", "192.0.2.77\tlegacy\tlegacy.example.com"
    ]  # fmt: skip
    assert len(hosts_file(replace(aliased, host_network=True))) == 3


# --- the walk

FIRST, SECOND, THIRD = f"{SHOP}.", "svc.cluster.local.", "cluster.local."
# fmt: off
NAMES = [
    ("api", [f"api.{FIRST}", f"api.{SECOND}", f"api.{THIRD}", "api."]),
    ("api.shop", [f"api.shop.{FIRST}", f"api.shop.{SECOND}", f"api.shop.{THIRD}", "api.shop."]),
    # four dots are fewer than five
    (f"api.{SHOP}", [f"api.{SHOP}.{FIRST}", f"api.{SHOP}.{SECOND}", f"api.{SHOP}.{THIRD}", f"api.{SHOP}."]),
    (f"db-0.db.{SHOP}", [f"db-0.db.{SHOP}.", f"db-0.db.{SHOP}.{FIRST}", f"db-0.db.{SHOP}.{SECOND}", f"db-0.db.{SHOP}.{THIRD}"]),
    (f"api.{SHOP}.", [f"api.{SHOP}."]),
    ("x" * 63 + ".y" * 93, ["x" * 63 + ".y" * 93 + "."]),  # with any domain behind it, it would be too long
]
# fmt: on


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[each[0][:40] for each in NAMES])
def test_names_that_are_tried(name: str, expected: list[str]) -> None:
    assert list(candidates(name, resolv_conf(WEB, DNS))) == expected


# fmt: off
WALKS = [
    ("api", {}, [f"api.{FIRST} NOERROR"], ["10.96.20.80"]),
    ("api", {"namespace": "default"},
     ["api.default.svc.cluster.local. NXDOMAIN", f"api.{SECOND} NXDOMAIN", f"api.{THIRD} NXDOMAIN", "api. UNKNOWN"], []),
    ("api.shop", {}, [f"api.shop.{FIRST} NXDOMAIN", f"api.shop.{SECOND} NOERROR"], ["10.96.20.80"]),
    (f"api.{SHOP}", {},
     [f"api.{SHOP}.{FIRST} NXDOMAIN", f"api.{SHOP}.{SECOND} NXDOMAIN", f"api.{SHOP}.{THIRD} NXDOMAIN", f"api.{SHOP}. NOERROR"],
     ["10.96.20.80"]),
    (f"api.{SHOP}.", {}, [f"api.{SHOP}. NOERROR"], ["10.96.20.80"]),
    ("both", {}, [f"both.{FIRST} NOERROR"], ["10.96.30.1", "fd00:10:96::30"]),
    ("outside", {}, [f"outside.{FIRST} NOERROR"], []),
    ("inside", {}, [f"inside.{FIRST} NOERROR"], ["10.96.20.80"]),
    ("example.com", {},
     [f"example.com.{FIRST} NXDOMAIN", f"example.com.{SECOND} NXDOMAIN", f"example.com.{THIRD} NXDOMAIN", "example.com. UNKNOWN"], []),
    ("example.com.", {}, ["example.com. UNKNOWN"], []),
    ("api.shop", {"dns_config": PodDNSConfig(options=(("ndots", "1"),))}, ["api.shop. UNKNOWN"], []),
    (f"api.{SHOP}", {"dns_policy": "Default"}, [f"api.{SHOP}. NXDOMAIN"], []),
    ("example.com", {"dns_policy": "Default"}, ["example.com. UNKNOWN"], []),
]
# fmt: on


@pytest.mark.parametrize(("name", "fields", "steps", "addresses"), WALKS, ids=[f"{each[0]} {each[1]}" for each in WALKS])
def test_lookups(name: str, fields: dict, steps: list[str], addresses: list[str]) -> None:
    namespace = fields.get("namespace", "shop")
    asking = replace(WEB, metadata=replace(WEB.metadata, namespace=namespace), **{k: v for k, v in fields.items() if k != "namespace"})
    found = lookup(DNS, asking, name)
    assert [f"{each.name} {each.status}" for each in found.steps[::2]] == steps
    assert [each.type for each in found.steps] == ["A", "AAAA"] * len(steps)
    assert [str(ip) for ip in found.addresses] == addresses
    assert str(found.nameserver) == ("203.0.113.53" if fields.get("dns_policy") == "Default" else "10.96.0.10")
    assert found.status == ("NOERROR" if found.steps[-1].status == "NOERROR" else found.steps[-1].status)
    assert str(found).count(";; status: ") == len(found.steps)


def test_etc_hosts_comes_first() -> None:
    asking = replace(WEB, host_aliases=(HostAlias("192.0.2.77", ("api", "Legacy")),))
    found = lookup(DNS, asking, "api")
    assert ([str(ip) for ip in found.addresses], found.steps, found.status) == (["192.0.2.77"], (), "NOERROR")
    assert str(found) == "; /etc/hosts\n192.0.2.77\tapi\tLegacy"
    assert [str(ip) for ip in lookup(DNS, asking, "LEGACY.").addresses] == ["192.0.2.77"]
    assert [str(ip) for ip in lookup(DNS, asking, "localhost").addresses] == ["127.0.0.1", "::1"]
    assert [str(ip) for ip in lookup(DNS, asking, "web").addresses] == ["10.244.1.2"]
    assert [str(ip) for ip in lookup(DNS, asking, "api", ["AAAA"]).addresses] == []


def test_the_name_that_was_found() -> None:
    assert lookup(DNS, WEB, "api.shop").canonical == f"api.{SHOP}."
    assert lookup(DNS, WEB, "nobody").canonical == ""


def test_a_pod_without_a_name_server() -> None:
    alone = replace(WEB, dns_policy="None")
    with pytest.raises(ModelError, match=r"Pod shop/web has no name server in its /etc/resolv\.conf"):
        lookup(DNS, alone, "api")
