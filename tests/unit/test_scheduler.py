"""Placement: even spreading, what a Pod requires, and the words for Pods that fit nowhere."""

from __future__ import annotations

from collections import Counter

import pytest

from k8snetlib.errors import ManifestError
from k8snetlib.kube.manifests import loads
from k8snetlib.kube.objects import Node, ObjectMeta, Pod, node_labels
from k8snetlib.kube.scheduler import place, why_not
from k8snetlib.kube.selectors import FrozenDict, Taint
from k8snetlib.kube.workloads import expand


def node(name: str, zone: str = "", **changes) -> Node:
    labels = node_labels(name, FrozenDict({"topology.kubernetes.io/zone": zone} if zone else {}))
    return Node(ObjectMeta(name, labels=labels), **changes)


def pods(count: int, spec: str = "", name: str = "web", kind: str = "Deployment") -> tuple[Pod, ...]:
    """The Pods of one workload; ``spec`` is what its Pods' spec has besides a container, in YAML's flow style."""
    text = f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {"replicas: " + str(count) if kind != "DaemonSet" else ""}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]{", " + spec if spec else ""}}}
"""
    return expand(loads(text).objects, NODES)


NODES = [node("node-a", "zone-1"), node("node-b", "zone-1"), node("node-c", "zone-2")]


def where(placement) -> dict[str, str]:
    return {key.removeprefix("default/"): name for key, name in placement.nodes.items()}


def test_replicas_spread_and_the_first_node_comes_first():
    placement = place(pods(4), NODES)
    assert where(placement) == {"web-1": "node-a", "web-2": "node-b", "web-3": "node-c", "web-4": "node-a"}
    assert placement.pending == {}


def test_fewest_pods_first_then_fewest_of_the_same_owner():
    placement = place(pods(1, name="one") + pods(2, name="two") + pods(2, name="three"), NODES)
    assert where(placement) == {"one-1": "node-a", "two-1": "node-b", "two-2": "node-c", "three-1": "node-a", "three-2": "node-b"}


def test_pods_that_name_their_node_count_and_finished_ones_do_not():
    bound = Pod(ObjectMeta("x", "default"), node_name="node-a")
    done = Pod(ObjectMeta("y", "default"), node_name="node-b", phase="Succeeded")
    placement = place((bound, done, *pods(1)), NODES)
    assert where(placement) == {"x": "node-a", "y": "node-b", "web-1": "node-b"}


def test_a_misspelt_node_name_is_a_mistake_with_a_place():
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  nodeName: node-z\n  containers: [{name: c, image: i}]\n"
    with pytest.raises(ManifestError) as caught:
        place(loads(text, "shop.yaml").of(Pod), NODES)
    assert str(caught.value) == 'shop.yaml:5 spec.nodeName: there is no Node "node-z" (did you mean "node-c"?)'


ELIGIBLE = [
    ("nodeSelector: {topology.kubernetes.io/zone: zone-2}", {"node-c"}),
    ("nodeSelector: {kubernetes.io/os: linux}", {"node-a", "node-b", "node-c"}),
    ("tolerations: [{key: gpu, operator: Exists}]", {"node-a", "node-b", "node-c", "gpu"}),
    ("tolerations: [{operator: Exists}]", {"node-a", "node-b", "node-c", "gpu", "cordoned"}),
    (
        "tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists, effect: NoSchedule}]",
        {"node-a", "node-b", "node-c", "cordoned"},
    ),
    (
        "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: ["
        "{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-a]}]},"
        "{matchFields: [{key: metadata.name, operator: In, values: [node-c]}]}]}}}",
        {"node-a", "node-c"},
    ),
]


@pytest.mark.parametrize(("spec", "expected"), ELIGIBLE, ids=[each[0][:40] for each in ELIGIBLE])
def test_what_a_pod_requires_of_a_node(spec, expected):
    nodes = [*NODES, node("gpu", taints=(Taint("gpu", "", "NoSchedule"),)), node("cordoned", unschedulable=True)]
    nodes += [node("preferred", taints=(Taint("x", "", "PreferNoSchedule"),), unschedulable=True)]
    assert set(where(place(pods(10, spec), nodes)).values()) - {"preferred"} == expected


REASONS = [
    ("", "0/4 nodes are available: 1 Too many pods, 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s)."),
    (
        "nodeSelector: {a: b}",
        "0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable, "
        "2 node(s) had untolerated taint(s).",
    ),
    ("schedulingGates: [{name: wait}]", "Scheduling is blocked due to non-empty scheduling gates"),
    ("schedulerName: mine", 'waits for the scheduler "mine", which does not run in this cluster'),
]


@pytest.mark.parametrize(("spec", "reason"), REASONS)
def test_why_a_pod_stays_pending(spec, reason):
    nodes = [
        node("a", taints=(Taint("k", "v", "NoSchedule"),)),
        node("b", taints=(Taint("k", "v", "NoExecute"),)),
        node("c", unschedulable=True),
        node("d", max_pods=0),
    ]
    assert place(pods(1, spec), nodes).pending == {"default/web-1": reason}


def test_no_nodes():
    assert place(pods(1), []).pending == {"default/web-1": "no nodes available to schedule pods"}


def test_a_node_has_each_port_once():
    placement = place(pods(4, "hostNetwork: true"), NODES)
    assert sorted(where(placement).values()) == ["node-a", "node-b", "node-c"]
    reason = "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports."
    assert placement.pending == {"default/web-4": reason}


def test_a_node_takes_no_more_pods_than_it_says():
    nodes = [node("a", max_pods=1), node("b")]
    assert Counter(place(pods(5), nodes).nodes.values()) == {"a": 1, "b": 4}


APART = (
    "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: ["
    "{topologyKey: %s, labelSelector: {matchLabels: {app: %s}}}]}}"
)
NEAR = APART.replace("podAntiAffinity", "podAffinity")


def test_pods_that_stay_apart():
    placement = place(pods(4, APART % ("kubernetes.io/hostname", "web")), NODES)
    assert sorted(where(placement).values()) == ["node-a", "node-b", "node-c"]
    assert placement.pending == {"default/web-4": "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."}
    placement = place(pods(3, APART % ("topology.kubernetes.io/zone", "web")), NODES)
    assert where(placement) == {"web-1": "node-a", "web-2": "node-c"}


def test_pods_that_others_want_to_be_away_from():
    hermit = pods(1, APART % ("topology.kubernetes.io/zone", "web"), name="hermit")
    placement = place(hermit + pods(2), NODES)
    assert where(placement) == {"hermit-1": "node-a", "web-1": "node-c", "web-2": "node-c"}
    only = place(hermit + pods(1, "nodeSelector: {topology.kubernetes.io/zone: zone-1}"), NODES)
    assert only.pending["default/web-1"] == (
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "2 node(s) didn't satisfy existing pods anti-affinity rules."
    )


def test_pods_that_want_to_be_near():
    placement = place(pods(1) + pods(3, NEAR % ("topology.kubernetes.io/zone", "web"), name="cache"), NODES)
    assert where(placement) == {"web-1": "node-a", "cache-1": "node-b", "cache-2": "node-a", "cache-3": "node-b"}
    nobody = place(pods(1, NEAR % ("kubernetes.io/hostname", "other")), NODES)
    assert nobody.pending == {"default/web-1": "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."}


def test_the_first_of_pods_that_want_to_be_together_goes_anywhere():
    placement = place(pods(3, NEAR % ("kubernetes.io/hostname", "web")), NODES)
    assert set(where(placement).values()) == {"node-a"}


def test_terms_of_an_affinity_must_be_met_by_the_same_pods():
    """As in the scheduler's updateWithAffinityTerms: a Pod counts for a term only if it matches them all."""
    one, both = Pod(ObjectMeta("x", "default", FrozenDict(a="1")), node_name="node-a"), FrozenDict(a="1", b="1")
    terms = ", ".join(f"{{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{{label}: '1'}}}}}}" for label in "ab")
    needs = f"affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{terms}]}}}}"
    placement = place((one, Pod(ObjectMeta("y", "default", both), node_name="node-b"), *pods(2, needs)), NODES)
    assert {where(placement)["web-1"], where(placement)["web-2"]} == {"node-b"}


def test_namespaces_of_an_affinity_term():
    there = (Pod(ObjectMeta("x", "shop", FrozenDict(app="web")), node_name="node-a"),)
    spaces = loads("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}").objects
    own = pods(1, APART % ("kubernetes.io/hostname", "web"))
    assert where(place(there + own, NODES[:1])) == {"shop/x": "node-a", "web-1": "node-a"}
    by_label = "namespaceSelector: {matchLabels: {team: a}}"
    for extra, namespaces in [("namespaces: [shop]", ()), ("namespaceSelector: {}", ()), (by_label, spaces)]:
        apart = pods(1, APART.replace("labelSelector", f"{extra}, labelSelector") % ("kubernetes.io/hostname", "web"))
        assert place(there + apart, NODES[:1], namespaces).pending


SPREAD = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: %s, whenUnsatisfiable: %s, labelSelector: {matchLabels: {app: web}}%s}]"


def test_spread_constraints_keep_the_skew():
    placement = place(pods(4, SPREAD % ("topology.kubernetes.io/zone", "DoNotSchedule", "")), NODES)
    zones = Counter({"node-a": "1", "node-b": "1", "node-c": "2"}[name] for name in placement.nodes.values())
    assert zones == {"1": 2, "2": 2}
    full = node("node-c", "zone-2", max_pods=0)
    tight = place(pods(3, SPREAD % ("topology.kubernetes.io/zone", "DoNotSchedule", "")), [*NODES[:2], full])
    assert len(tight.nodes) == 1
    assert tight.pending["default/web-3"] == (
        "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match pod topology spread constraints."
    )


def test_spread_constraints_that_ask_for_a_label_or_for_more_domains():
    missing = place(pods(1, SPREAD % ("rack", "DoNotSchedule", "")), NODES)
    assert missing.pending["default/web-1"].endswith("3 node(s) didn't match pod topology spread constraints (missing required label).")
    few = place(pods(3, SPREAD % ("topology.kubernetes.io/zone", "DoNotSchedule", ", minDomains: 3")), NODES)
    assert len(few.nodes) == 2
    assert len(place(pods(9, SPREAD % ("rack", "ScheduleAnyway", "")), NODES).nodes) == 9


def test_daemon_sets_run_on_every_node_that_fits_and_explain_the_rest():
    placement = place(pods(0, "hostNetwork: true", kind="DaemonSet") + pods(0, "hostNetwork: true", "two", "DaemonSet"), NODES)
    assert {key: name for key, name in where(placement).items() if key.startswith("web")} == {
        f"web-{each.name}": each.name for each in NODES
    }
    assert placement.pending["default/two-node-a"] == (
        "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, "
        "2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_why_not_is_empty_where_a_pod_fits():
    assert why_not(pods(1)[0], NODES[0]) == ""


def test_large_clusters_fill_evenly():
    nodes = [node(f"node-{number}") for number in range(40)]
    everything = tuple(pod for number in range(20) for pod in pods(30, name=f"d{number}"))
    assert set(Counter(place(everything, nodes).nodes.values()).values()) == {15}
