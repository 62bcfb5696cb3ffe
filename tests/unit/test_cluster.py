"""From manifests to packets: placing, addressing, naming, and a network that is built only as far as a packet goes."""

from __future__ import annotations

import pytest

from k8snetlib import Cluster, ModelError, shop
from k8snetlib.kube.cni import CNIS
from k8snetlib.linux.engine import after
from k8snetlib.linux.events import Bridged, Encapsulated
from k8snetlib.linux.ops import build, commands
from k8snetlib.linux.state import local_addresses
from k8snetlib.value import replace

POD = "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {space}}}\nspec: {{nodeName: {node}, containers: [{{name: c, image: x, ports: [{{containerPort: {port}, name: http}}]}}]}}"


def pod(name: str, node: str = "node-a", port: int = 80, space: str = "default") -> str:
    return POD.format(name=name, node=node, port=port, space=space)


def cluster(*parts: str, **settings) -> Cluster:
    return Cluster.loads("\n---\n".join(parts), **settings)


def plug_ins(*families: tuple[str, ...]) -> list:
    """Every plug-in with the address families that it has."""
    pairs = ((cni, each) for cni, plugin in CNIS.items() for each in families if plugin.ipv6 or each == ("IPv4",))
    return [pytest.param(cni, each, id=f"{cni}-{'+'.join(each)}") for cni, each in pairs]


def test_the_cast_is_as_the_course_says() -> None:
    found = {p.name: (p.node_name, str(p.pod_ips[0])) for p in shop().pods}
    assert found == {
        "web": ("node-a", "10.244.1.2"),
        "api-1": ("node-a", "10.244.1.3"),
        "api-2": ("node-b", "10.244.2.2"),
        "db": ("node-b", "10.244.2.3"),
    }


@pytest.mark.parametrize(("cni", "families"), plug_ins(("IPv4",), ("IPv6",), ("IPv4", "IPv6")))
def test_built_a_node_at_a_time_or_all_at_once(cni: str, families: tuple[str, ...]) -> None:
    """The lazy network is observably the same as the one that all ops build, and its hints are right."""
    one = shop(cni, families=families, node_c=True)
    whole = build(one.ops())
    assert set(one.network) == set(whole)
    for host in one.hosts:
        answered = {ip for version in (4, 6) for ip in one.network.plain_addresses(host.name, "eth0", version)}
        assert not one.network.is_built(host.name)
        own = {ip for ip in local_addresses(whole[host.name], 4) if not ip.is_loopback}
        own |= {a.ip for a in whole[host.name].interfaces["eth0"].addresses}
        assert answered == own
    for box in one.sandboxes.values():
        answered = {ip for version in (4, 6) for ip in one.network.plain_addresses(box.netns, "eth0", version)}
        assert not one.network.is_built(box.netns), "the plug-in's ops for a Pod are plain enough to tell"
        assert answered == {a.ip for a in whole[box.netns].interfaces["eth0"].addresses}
    for name in whole:
        assert one.network[name] == whole[name], name


def test_the_order_of_a_network_does_not_depend_on_what_is_built() -> None:
    one = shop("vxlan", node_c=True)
    before = list(one.network)
    told = one.trace("pod/db", "pod/web:8080")
    assert list(one.network) == before == list(after(one.network, told))
    assert before[:4] == ["node-a", "web", "api-1", "node-b"] and before[-1] == "underlay"


@pytest.mark.parametrize(("cni", "families"), plug_ins(("IPv4",), ("IPv6",)))
def test_pods_of_one_node_reach_each_other_under_every_plug_in(cni: str, families: tuple[str, ...]) -> None:
    found = shop(cni, families=families).trace("pod/web", "pod/api-1:8080")
    assert found.delivered and found.reply.delivered
    assert bool(found.all(Bridged)) is (cni in ("bridge", "vxlan", "host-gw"))


@pytest.mark.parametrize("families", [("IPv4",), ("IPv6",)], ids="+".join)
def test_across_nodes_by_vxlan(families: tuple[str, ...]) -> None:
    found = shop(families=families, node_c=True).trace("pod/web", "pod/report")
    assert found.delivered and found.reply.delivered and len(found.all(Encapsulated)) == 1
    assert found.end.packet.ttl == 62


@pytest.mark.parametrize("target", ["pod/api-2:8080", "pod/api-2:http", "api-2:8080", "db:5432", "deploy/api:8080", "pod/api", "10.244.1.3:8080"])
def test_targets(target: str) -> None:
    assert shop().trace("pod/web", target).delivered


@pytest.mark.parametrize(
    ("source", "target", "error", "words"),
    [
        ("pod/wep", "pod/db", ModelError, 'did you mean "web"'),
        ("pod/web", "pod/api-1:htpp", ModelError, 'no port named "htpp" (did you mean "http"?)'),
        ("pod/web", "pod/db:0", ModelError, "no port number"),
        ("pod/web", "10.244.2.3:²", ModelError, "no port number"),
        ("pod/web", "node/node-z:80", ModelError, "there is no node 'node-z' (there are node-a, node-b)"),
        ("pod/web", "svc/apu:80", ModelError, "there is no Service 'apu' (did you mean \"api\"?)"),
        ("pod/web", "svc/api:htpp", ModelError, 'Service shop/api has no port named "htpp" (its ports: 80)'),
        ("pod/web", "lb/api:80", ModelError, "Service shop/api has type ClusterIP"),
        ("client", "pod/web", ModelError, "client"),
        ("svc/api", "pod/web", ModelError, "svc/api: nobody here sends from there"),
        ("8.8.8.8", "pod/web", ModelError, "8.8.8.8: nobody here sends from there"),
        ("cronjob/x", "pod/web", ModelError, "packets come from and go to"),
        ("client/", "pod/web", ModelError, "names nothing"),
        ("pod/web", "node/node-a", ModelError, "to which port"),
        ("pod/web", "cm/x", ModelError, "not a 'cm'"),
        ("pod/web", "pod/", ModelError, "names nothing"),
    ],
)
def test_mistakes_in_targets(source: str, target: str, error: type, words: str) -> None:
    with pytest.raises(error) as raised:
        shop().trace(source, target)
    assert words in str(raised.value)


def test_an_address_family_is_named_once() -> None:
    with pytest.raises(ModelError, match="each once, not IPv4, IPv4"):
        cluster(pod("a"), families=("IPv4", "IPv4"))


HEADLESS = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: default}\nspec: {clusterIP: None, ipFamilyPolicy: PreferDualStack, selector: {app: db}, ports: [{name: pg, port: 80, targetPort: 5432}]}"


def headless(*names: str) -> Cluster:
    ends = [pod(name, port=5432).replace("namespace: default", "namespace: default, labels: {app: db}") for name in names]
    return cluster(pod("web"), *ends, HEADLESS, families=("IPv4", "IPv6"))


def test_nobody_changes_a_headless_services_port() -> None:
    """Only the name of a port, an SRV question, leads to the endpoint's own; 80 stays 80, and nobody listens there."""
    one = headless("db-0")
    assert one.trace("pod/web", "svc/db:pg").end.packet.dport == 5432
    assert one.find("svc/db:pg").remark == ""
    for target in ("svc/db:80", "svc/db"):
        assert one.trace("pod/web", target).end.reason == "NO_SOCKET"
        assert "port 80 is called, and targetPort is 5432" in one.find(target).remark
    assert one.trace("pod/web", "svc/db:5432").delivered


def test_a_headless_service_of_several_pods_is_its_first_and_says_so() -> None:
    found = headless("db-0", "db-1")
    assert found.find("svc/db:pg").remark == "DNS has 2 addresses for headless Service default/db: this is the first, of Pod default/db-0"
    for family in ("IPv4", "IPv6"):
        assert found.trace("pod/web", "svc/db:pg", family=family).end.netns == "db-0"


def test_the_same_name_in_two_namespaces() -> None:
    both = cluster(pod("web", space="one"), pod("web", space="two"), pod("db"))
    assert {s.netns for s in both.sandboxes.values()} == {"one.web", "two.web", "db"}
    assert both.trace("pod/db", "pod/two/web").end.netns == "two.web"
    assert both.trace("pod/web", "pod/web", namespace="one").end.netns == "one.web"
    with pytest.raises(ModelError, match="several namespaces"):
        both.trace("pod/db", "pod/web")


def test_a_pod_that_runs_nowhere_says_why() -> None:
    found = cluster(pod("a"), pod("b").replace("nodeName: node-a", "nodeSelector: {disk: ssd}"))
    with pytest.raises(ModelError, match="0/2 nodes are available"):
        found.trace("pod/a", "pod/b")


def test_a_host_network_pod_lives_in_its_node() -> None:
    found = cluster(pod("a"), pod("agent", port=9100).replace("spec: {", "spec: {hostNetwork: true, "))
    told = found.trace("pod/a", "pod/agent:9100")
    assert told.delivered and told.end.netns == "node-a" and str(told.end.packet.dst) == "192.168.50.11"


def test_an_address_in_a_status_is_kept_if_it_can_be() -> None:
    text = pod("a") + "\nstatus: {phase: Running, podIP: 10.244.1.77, podIPs: [{ip: 10.244.1.77}]}"
    assert str(cluster(text).pods[0].pod_ips[0]) == "10.244.1.77"
    other = cluster("apiVersion: v1\nkind: Node\nmetadata: {name: node-a}\nspec: {podCIDR: 10.9.9.0/24}", text)
    assert str(other.pods[0].pod_ips[0]) == "10.9.9.2" and "gets another address" in other.notes[0]


def test_two_containers_want_one_port() -> None:
    text = pod("a").replace("containers: [", "containers: [{name: log, image: x, ports: [{containerPort: 80}]}, ")
    found = cluster(text)
    assert "cannot listen on 80/TCP" in found.notes[-1]


def test_a_native_sidecar_takes_its_port_first() -> None:
    sidecar = "initContainers: [{name: log, image: x, restartPolicy: Always, ports: [{containerPort: 80}]}], containers: ["
    found = cluster(pod("a").replace("containers: [", sidecar))
    assert "container c cannot listen on 80/TCP: log does already" in found.notes[-1]


def test_commands_of_a_pod_show_both_ends_of_its_cable() -> None:
    lines = shop().commands("web").splitlines()
    assert any("veth-web" in line and "master cni0" in line for line in lines) and not any("api" in line for line in lines)
    assert commands(shop().node_ops("node-a")) == shop().commands("node-a")


def test_a_large_cluster_builds_what_the_packet_meets() -> None:
    parts = [f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{i}}}" for i in range(40)] + [pod("a", "n0"), pod("b", "n39")]
    large = cluster(*parts)
    told = large.trace("pod/a", "pod/b")
    assert told.delivered and sum(large.network.is_built(name) for name in large.network) == 5
    assert after(large.network, told).is_built("n5") is False


@pytest.mark.parametrize(("settings", "words"), [({"cni": "calico"}, "no plug-in 'calico'"), ({"families": ("IPv5",)}, "IPv4 and IPv6")])
def test_settings_that_cannot_be(settings: dict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        cluster(pod("a"), **settings)


def test_another_plug_in_keeps_what_was_changed() -> None:
    """A patched Service and a patched Pod are still so, with the addresses that the plug-in gives."""
    cluster = shop("vxlan", proxy="iptables")
    fewer = replace(cluster, services=cluster.services[:1], pods=tuple(p for p in cluster.pods if p.name != "db"))
    pod = next(pod for pod in fewer.pods if pod.name == "web")
    other = replace(pod, metadata=replace(pod.metadata, labels={"app": "other"}))
    changed = replace(fewer, pods=tuple(other if each is pod else each for each in fewer.pods)).with_cni("bgp")
    assert changed.services == fewer.services and "db" not in {each.name for each in changed.pods}
    web = changed.find("pod/web").pod
    assert web.metadata.labels == {"app": "other"} and str(web.pod_ips[0]) == "10.244.1.0"
    assert changed.sandboxes[web.key].pod is web and changed.trace("pod/web", "pod/api-2:8080").delivered
