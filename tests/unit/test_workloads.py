"""Workloads to Pods: names, counts, what is already there, and finding a Pod by name."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from k8snetlib.errors import ManifestError, ModelError
from k8snetlib.kube.manifests import loads, locate
from k8snetlib.kube.objects import Node, ObjectMeta, Pod, Workload, node_labels
from k8snetlib.kube.selectors import Taint
from k8snetlib.kube.workloads import expand, find_pod, start

NODES = [Node(ObjectMeta(name, labels=node_labels(name))) for name in ("node-a", "node-b")]


def workload(kind: str, name: str = "web", spec: str = "", meta: str = "", pod_spec: str = "") -> str:
    group = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    selector = {"Job": "", "ReplicationController": f"selector: {{app: {name}}}"}.get(kind, f"selector: {{matchLabels: {{app: {name}}}}}")
    restart = "restartPolicy: Never, " if kind == "Job" else ""
    return f"""---
apiVersion: {group}
kind: {kind}
metadata: {{name: {name}, namespace: shop{meta}}}
spec:
  {selector}
  {spec}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{note: "1"}}}}
    spec: {{{restart}{pod_spec}containers: [{{name: c, image: i}}]}}
"""


def bare(name: str, app: str = "web", meta: str = "", status: str = "") -> str:
    return f"""---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}{meta}}}
spec: {{containers: [{{name: c, image: i}}]}}
{status}
"""


def owned(kind: str, name: str) -> str:
    return f", ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: u, controller: true}}]"


def names(text: str, nodes=NODES) -> list[str]:
    return [pod.name for pod in expand(loads(text, "shop.yaml").objects, nodes)]


NAMES = [
    ("Deployment", "replicas: 2", ["web-1", "web-2"]),
    ("Deployment", "", ["web-1"]),
    ("Deployment", "replicas: 0", []),
    ("Deployment", "replicas: 2\n  paused: true", []),
    ("ReplicaSet", "replicas: 2", ["web-1", "web-2"]),
    ("ReplicationController", "replicas: 1", ["web-1"]),
    ("StatefulSet", "replicas: 2", ["web-0", "web-1"]),
    ("StatefulSet", "replicas: 2\n  ordinals: {start: 5}", ["web-5", "web-6"]),
    ("DaemonSet", "", ["web-node-a", "web-node-b"]),
    ("Job", "", ["web-1"]),
    ("Job", "parallelism: 3\n  completions: 2", ["web-1", "web-2"]),
    ("Job", "parallelism: 2\n  suspend: true", []),
    ("Job", "parallelism: 2\n  completions: 2\n  completionMode: Indexed", ["web-0", "web-1"]),
]


@pytest.mark.parametrize(("kind", "spec", "expected"), NAMES)
def test_names(kind, spec, expected):
    assert names(workload(kind, spec=spec)) == expected


def test_pods_are_copies_of_the_template():
    (pod,) = expand(loads(workload("Deployment"), "shop.yaml").objects, NODES)
    assert (pod.namespace, pod.labels, pod.annotations) == ("shop", {"app": "web"}, {"note": "1"})
    assert (pod.owner.kind, pod.owner.name) == ("Deployment", "web")
    assert str(locate(pod, "spec.containers[0].image")) == "shop.yaml:10"


def test_stateful_pods_have_their_identity():
    pods = expand(loads(workload("StatefulSet", "db", "replicas: 2\n  serviceName: db")).objects, NODES)
    assert [(pod.hostname, pod.subdomain) for pod in pods] == [("db-0", "db"), ("db-1", "db")]
    assert pods[1].labels == {"app": "db", "statefulset.kubernetes.io/pod-name": "db-1", "apps.kubernetes.io/pod-index": "1"}


def test_indexed_jobs_have_host_names():
    pods = expand(loads(workload("Job", spec="parallelism: 2\n  completions: 2\n  completionMode: Indexed")).objects, NODES)
    assert [(pod.hostname, pod.labels["batch.kubernetes.io/job-completion-index"]) for pod in pods] == [("web-0", "0"), ("web-1", "1")]
    assert pods[0].labels["batch.kubernetes.io/job-name"] == "web"


def test_daemon_sets_skip_nodes_that_do_not_fit_but_not_cordoned_ones():
    nodes = [
        NODES[0],
        Node(ObjectMeta("cordoned", labels=node_labels("cordoned")), unschedulable=True),
        Node(ObjectMeta("gpu", labels=node_labels("gpu")), taints=(Taint("gpu"),)),
    ]
    assert names(workload("DaemonSet"), nodes) == ["web-node-a", "web-cordoned"]
    assert names(workload("DaemonSet", pod_spec="tolerations: [{operator: Exists}], "), nodes) == ["web-node-a", "web-cordoned", "web-gpu"]
    assert names(workload("DaemonSet", pod_spec="nodeSelector: {kubernetes.io/hostname: gpu}, "), nodes) == []


# --- what is already there


def test_a_dump_does_not_double():
    whole = workload("Deployment", spec="replicas: 2") + workload("ReplicaSet", "web-5d9c", "replicas: 2", owned("Deployment", "web"))
    dumped = [bare(f"web-5d9c-{each}", meta=owned("ReplicaSet", "web-5d9c")) for each in ("x2k4q", "z9z9z")]
    assert names(whole + "".join(dumped)) == ["web-5d9c-x2k4q", "web-5d9c-z9z9z"]
    assert names(workload("Deployment", spec="replicas: 2") + "".join(dumped)) == ["web-5d9c-x2k4q", "web-5d9c-z9z9z"]
    assert names(whole) == ["web-5d9c-1", "web-5d9c-2"]


@pytest.mark.parametrize(("kind", "existing", "spec", "expected"), [
    ("StatefulSet", "web-0", "replicas: 2", ["web-1", "web-0"]),
    ("Job", "web-x2k4q", "parallelism: 2", ["web-1", "web-x2k4q"]),
    ("ReplicaSet", "web-1", "replicas: 2", ["web-2", "web-1"]),
])  # fmt: skip
def test_only_missing_pods_are_made(kind, existing, spec, expected):
    assert names(workload(kind, spec=spec) + bare(existing, meta=owned(kind, "web"))) == expected


def test_daemon_pods_that_exist_cover_their_node():
    text = workload("DaemonSet") + bare("web-abc", meta=owned("DaemonSet", "web")).replace("spec: {", "spec: {nodeName: node-b, ")
    assert names(text) == ["web-node-a", "web-abc"]


def test_finished_pods_are_replaced():
    text = workload("ReplicaSet") + bare("old", meta=owned("ReplicaSet", "web"), status="status: {phase: Failed}")
    assert names(text) == ["web-1", "old"]


def test_bare_pods_are_adopted_by_replica_sets_but_not_by_deployments():
    assert names(workload("ReplicaSet", spec="replicas: 2") + bare("mine")) == ["web-1", "mine"]
    assert names(workload("Deployment", spec="replicas: 2") + bare("mine")) == ["web-1", "web-2", "mine"]


# --- mistakes


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        names(text)
    return str(caught.value)


def test_names_that_clash():
    message = 'metadata.name: its Pod would be called "web-1", and another Pod of namespace shop is'
    assert refusal(workload("Deployment") + bare("web-1")) == f"shop.yaml:4 {message}"
    assert refusal(workload("Deployment") + workload("StatefulSet", spec="replicas: 2")) == f"shop.yaml:14 {message}"


def test_names_that_are_too_long():
    name = "a" * 62
    assert refusal(workload("StatefulSet", name)).startswith('shop.yaml:4 metadata.name: its Pod cannot be created: invalid value "aaa')
    assert names(workload("Deployment", name)) == [f"{name}-1"]


def test_a_slip_of_the_keyboard_does_not_fill_the_memory():
    message = "shop.yaml:7 spec.replicas: more than 150,000 Pods in all: no cluster is as large as that"
    assert refusal(workload("Deployment", spec="replicas: 2000000000")) == message
    assert refusal(workload("Job", spec="parallelism: 2000000000")) == message.replace("replicas", "parallelism")


# --- starting and finding


def test_started_pods_are_ready_unless_a_gate_is_closed():
    (pod,) = expand(loads(workload("Deployment")).objects, NODES)
    running = start(pod, "node-a", [ip_address("10.244.1.2")])
    assert (running.node_name, running.phase, running.ready, running.pod_ips) == ("node-a", "Running", True, (ip_address("10.244.1.2"),))
    (gated,) = expand(loads(workload("Deployment", pod_spec="readinessGates: [{conditionType: lb}], ")).objects, NODES)
    assert not start(gated, "node-a", []).ready


def test_pods_with_a_status_keep_it():
    (pod,) = loads(bare("x", status="status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}")).of(Pod)
    assert not start(pod, "node-a", []).ready


def search(text: str, name: str, namespace: str | None = None) -> str:
    objects = loads(text).objects
    workloads = [each for each in objects if isinstance(each, Workload)]
    return find_pod(expand(objects, NODES), workloads, name, namespace).key


TWO = workload("Deployment", "api", "replicas: 2") + bare("web")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("web", "shop/web"),
        ("pod/web", "shop/web"),
        ("api", "shop/api-1"),
        ("deploy/api", "shop/api-1"),
        ("pod/api-2", "shop/api-2"),
        ("pod/api", "shop/api-1"),
    ],
)
def test_find_pod(name, found):
    assert search(TWO, name) == search(TWO, name, "shop") == found


def test_find_pod_of_a_dumped_deployment():
    text = workload("Deployment") + workload("ReplicaSet", "web-5d9c", meta=owned("Deployment", "web"))
    assert search(text + bare("web-5d9c-x2k4q", meta=owned("ReplicaSet", "web-5d9c")), "web") == "shop/web-5d9c-x2k4q"


def test_controllers_that_own_each_other_do_not_hang():
    text = workload("Deployment", meta=owned("ReplicaSet", "two")) + workload("ReplicaSet", "two", meta=owned("Deployment", "web"))
    assert names(text) == []
    with pytest.raises(ModelError, match="no Pod or workload"):
        search(text + bare("x", meta=owned("ReplicaSet", "two")), "other")
    assert search(text + bare("x", meta=owned("ReplicaSet", "two")), "web") == "shop/x"


@pytest.mark.parametrize(
    ("name", "namespace", "message"),
    [
        ("wbe", None, 'no Pod or workload "wbe" (did you mean "web"?)'),
        ("nothing-like-it", "shop", 'no Pod or workload "nothing-like-it" in namespace shop'),
        ("web", "default", 'no Pod or workload "web" in namespace default; there is one in namespace shop'),
        ("api", "default", 'no Pod or workload "api" in namespace default; there is one in namespace shop'),
    ],
)
def test_find_pod_says_where_to_look(name, namespace, message):
    with pytest.raises(ModelError) as caught:
        search(TWO, name, namespace)
    assert str(caught.value) == message


def test_find_pod_wants_to_know_which():
    with pytest.raises(ModelError, match=r'^"web" is in several namespaces, say which: shop, test$'):
        search(bare("web") + bare("web").replace("namespace: shop", "namespace: test"), "web")


@pytest.mark.parametrize(
    ("kind", "spec", "pod_spec", "why"),
    [
        ("DaemonSet", "", "nodeSelector: {disk: ssd}, ", "no node fits its nodeSelector, affinity and tolerations"),
        ("Deployment", "paused: true", "", "it is paused"),
        ("StatefulSet", "replicas: 0", "", "its replicas are 0"),
        ("Job", "suspend: true", "", "it has ended, is suspended, or wants none"),
    ],
)
def test_a_workload_without_pods_says_why(kind, spec, pod_spec, why):
    objects = loads(workload(kind, spec=spec, pod_spec=pod_spec)).objects
    with pytest.raises(ModelError) as caught:
        find_pod(expand(objects, NODES), objects, f"{kind.lower()}/web")
    assert str(caught.value) == f"{kind} shop/web has no Pod here: {why}"
