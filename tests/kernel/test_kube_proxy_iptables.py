"""kube-proxy's iptables rules beside a CNI plug-in's on one node: the model's tables are what a real iptables-save prints, however the
ops were carried out, and packets meet the same rules in both, with session affinity remembered."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest

from k8snetlib.kube import proxy
from k8snetlib.kube.cni.vxlan import rules
from k8snetlib.kube.objects import ObjectMeta, Service, ServicePort
from k8snetlib.kube.proxy import ipvs
from k8snetlib.kube.proxy.config import ProxyConfig
from k8snetlib.kube.selectors import FrozenDict
from k8snetlib.kube.slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice
from k8snetlib.lab import Lab
from k8snetlib.linux.draft import build
from k8snetlib.linux.engine import after, traces
from k8snetlib.linux.events import Rewritten
from k8snetlib.linux.ops import ChainAdd, Listen, NetnsAdd, Op, RuleEnsure, RulesRestore, commands
from k8snetlib.linux.ops_ipvs import IpsetRestore
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.state import Socket
from tests.unit.networks import routed
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

pytestmark = pytest.mark.needs("iptables", "ip6tables", "ip")
CHOSEN = (
    "lb-ranges-010",
    "affinity-np-022",
    "nodeport-etp-local-008",
    "term-mixed-031",
    "sctp-028",
    "v6-lb-ranges-009",
    "v6-affinity-np-etp-023",
)
CASES = [case for name in ("iptables_rules", "iptables_rules_v6") for case in cases(name) if case["id"] in CHOSEN]


def node(case: dict) -> list[Op]:
    """Flannel's rules, then kube-proxy twice: the second time changes nothing."""
    config = proxy_config(case)
    pods, cluster = ("10.244.1.0/24", "10.244.0.0/16") if config.version == 4 else ("fd00:244:0:1::/64", "fd00:244::/48")
    flannel = RulesRestore("node", rules(ip_network(cluster), ip_network(pods)), config.version)
    synced = list(proxy.ops("iptables", "node", services(case), slices(case), [config]))
    return [NetnsAdd("node"), flannel, *synced, *synced]


def saved(lab: Lab, version: int) -> list[str]:
    text = lab.exec("node", ["iptables-save" if version == 4 else "ip6tables-save"]).out
    return sorted(line.split(" [")[0] if line.startswith(":") else line for line in text.splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_three_interpreters(case: dict) -> None:
    ops, version = node(case), proxy_config(case).version
    model = str(build(ops)["node"].rulesets[version])
    wanted = sorted(line.split(" [")[0] if line.startswith(":") else line for line in model.splitlines())
    assert any("FLANNEL" in line for line in wanted) and any("KUBE-SEP" in line for line in wanted)
    with Lab(ops) as by_run, Lab() as by_commands:
        by_commands.shell(commands(ops))
        for lab in (by_run, by_commands):
            assert saved(lab, version) == wanted


def test_order_of_the_jumps() -> None:
    """A rule that is missing goes to the top; one that is there stays where it is."""
    ops = [
        NetnsAdd("node"),
        RulesRestore("node", '*filter\n-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n-A FORWARD -m comment --comment "a b" -j DROP\nCOMMIT'),
        ChainAdd("node", "filter", "MINE"),
        RuleEnsure("node", "filter", "FORWARD", "-j MINE"),
        RuleEnsure("node", "filter", "FORWARD", '-m comment --comment "a b" -j DROP'),
        RuleEnsure("node", "filter", "FORWARD", "! -s 10.1.0.0/16 -j MINE"),
    ]
    model = [str(rule) for rule in build(ops)["node"].rulesets[4].tables["filter"].chains["FORWARD"].rules]
    with Lab(ops) as by_run, Lab() as by_commands:
        by_commands.shell(commands(ops))
        for lab in (by_run, by_commands):
            text = lab.exec("node", ["iptables-save", "-t", "filter"]).out
            assert [line.removeprefix("-A FORWARD ") for line in text.splitlines() if line.startswith("-A FORWARD")] == model
    assert len(model) == 4


@pytest.mark.parametrize("case", [case for case in cases("ipvs_rules") if case["id"] in CHOSEN], ids=lambda case: case["id"])
def test_sets_of_the_ipvs_mode(case: dict) -> None:
    """ipset prints them as the model does, and the rules that ask them are kept (the ipvs match, which few kernels have, is left out)."""
    found = ipvs.compile(services(case), slices(case), proxy_config(case))
    text = "\n".join(line for line in found.restore.splitlines() if "-m ipvs" not in line)
    ops = [NetnsAdd("node"), IpsetRestore("node", "\n".join(map(str, found.sets.values()))), RulesRestore("node", text, noflush=True)]
    network = build(ops)
    with Lab(ops) as by_run, Lab() as by_commands:
        by_commands.shell(commands(ops))
        for lab in (by_run, by_commands):
            said = lab.exec("node", ["ipset", "save", "-sorted"]).out
            sizes = re.compile(r" bucketsize \d+ initval 0x\w+")
            model = "\n".join(map(str, network["node"].ipsets.values()))
            assert sorted(sizes.sub("", said).splitlines()) == sorted(model.splitlines())
            wanted = str(network["node"].rulesets[4]).splitlines()
            assert saved(lab, 4) == sorted(line.split(" [")[0] if line.startswith(":") else line for line in wanted)


def sticky() -> list[Op]:
    """The router of ``routed()`` as a node: Service 10.96.0.10:80 with ClientIP affinity, its endpoints two ports of b."""
    meta = ObjectMeta("web", "default", FrozenDict({SERVICE_NAME_LABEL: "web"}))
    ports = (EndpointPort("", 8080, "TCP"), EndpointPort("", 8081, "TCP"))
    service = Service(
        meta, (ServicePort(80),), cluster_ips=(ip_address("10.96.0.10"),), session_affinity="ClientIP", session_affinity_timeout=30
    )
    parts = [EndpointSlice(meta, "IPv4", (Endpoint((ip_address("10.0.2.2"),)),), (port,)) for port in ports]
    config = ProxyConfig("r", ip_address("10.0.1.1"), (ip_address("10.0.1.1"),), ip_network("10.0.0.0/8"))
    listen = [Listen("b", Socket("tcp", port.port)) for port in ports]
    return [*routed(), *listen, *proxy.ops("iptables", "r", [service], parts, [config])]


def test_a_client_stays_with_its_endpoint() -> None:
    """Six connections of one client: the first is given an endpoint by chance, the others follow it, in the model as in the kernel."""
    ops = sticky()
    model = build(ops)
    with Lab(ops, answer=False) as lab:
        for sport in range(40000, 40006):
            lab.send("a", tcp("10.0.1.2", "10.96.0.10", 80, sport))
        chosen = {entry.reply.sport for entry in lab.conntrack("r") if entry.original.dst == ip_address("10.96.0.10")}
        listed = lab.exec("r", ["sh", "-c", "cat /proc/net/xt_recent/KUBE-SEP-*"]).out
    assert len(chosen) == 1 and listed.count("src=10.0.1.2 ") == 1
    found = traces(model, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40000))
    first = next(told for _, told in found if told.all(Rewritten)[0].new.dport in chosen)
    assert len(found) == 2
    model = after(model, first)
    for sport in range(40001, 40006):
        ((weight, told),) = traces(model, "a", tcp("10.0.1.2", "10.96.0.10", 80, sport), now=sport - 40000)
        assert weight == 1 and {event.new.dport for event in told.all(Rewritten) if event.what == "DNAT"} == chosen
        model = after(model, told)
    entries = [entry for entries in model["r"].recent.values() for entry in entries]
    assert [entry.address for entry in entries] == [ip_address("10.0.1.2")] and len(entries[0].stamps) == 6
    later = traces(model, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40006), now=5 + 30)
    assert len(later) == 1 and len(traces(model, "a", tcp("10.0.1.2", "10.96.0.10", 80, 40006), now=5 + 31)) == 2
