"""Objects and selectors: values that cannot change, and label matching as in Kubernetes."""

from __future__ import annotations

import copy
import pickle

import pytest

from k8snetlib.kube.objects import Container, ContainerPort, Node, ObjectMeta, Pod, Service, node_labels
from k8snetlib.kube.selectors import (
    EVERYTHING,
    FrozenDict,
    LabelSelector,
    LabelSelectorRequirement,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Taint,
    Toleration,
)

LABELS = FrozenDict(app="web", tier="front", size="3")


def pod(**changes) -> Pod:
    return Pod(ObjectMeta("web", "shop", LABELS), **changes)


def test_objects_are_values():
    assert pod() == pod()
    assert hash(pod()) == hash(pod())
    assert pickle.loads(pickle.dumps(pod())) == copy.deepcopy(pod()) == pod()
    with pytest.raises(AttributeError):
        pod().node_name = "node-a"


@pytest.mark.parametrize("change", ["d['a'] = 1", "del d['app']", "d.update(a=1)", "d |= {'a': 1}", "d.pop('app')", "d.setdefault('a', 1)"])
def test_frozen_dict_cannot_change(change):
    with pytest.raises(TypeError):
        exec(change, {"d": LABELS})
    assert LABELS == {"app": "web", "tier": "front", "size": "3"}


def test_names_and_keys():
    assert (str(pod()), pod().key) == ("Pod shop/web", "shop/web")
    assert (str(Node(ObjectMeta("node-a"))), Node(ObjectMeta("node-a")).key) == ("Node node-a", "node-a")


def test_ready_terminating_finished():
    assert not pod().ready
    assert pod(conditions=FrozenDict(Ready="True")).ready
    assert pod(phase="Succeeded").finished
    assert not pod(phase="Running").finished
    assert Pod(ObjectMeta("a", deletion_timestamp="2026-11-01T10:00:00Z")).terminating


def test_running_containers_are_searched_in_kubernetes_order():
    kinds = ["sidecar", "init", "container", "ephemeral", "container"]
    containers = tuple(Container(str(number), kind=kind, ports=(ContainerPort(80),)) for number, kind in enumerate(kinds))
    assert [each.name for each in pod(containers=containers).running_containers] == ["2", "4", "0"]


def test_headless():
    assert Service(ObjectMeta("a"), cluster_ips=("None",)).headless
    assert Service(ObjectMeta("a")).cluster_ip is None


def test_node_labels_do_not_overwrite():
    labels = node_labels("node-a", FrozenDict({"kubernetes.io/arch": "arm64"}))
    assert (labels["kubernetes.io/hostname"], labels["kubernetes.io/arch"], labels["beta.kubernetes.io/os"]) == ("node-a", "arm64", "linux")


REQUIREMENTS = [
    ("app", "In", ("web", "api"), True),
    ("app", "In", ("api",), False),
    ("none", "In", ("web",), False),
    ("app", "NotIn", ("api",), True),
    ("app", "NotIn", ("web",), False),
    ("none", "NotIn", ("web",), True),
    ("app", "Exists", (), True),
    ("none", "Exists", (), False),
    ("app", "DoesNotExist", (), False),
    ("none", "DoesNotExist", (), True),
]


@pytest.mark.parametrize(("key", "operator", "values", "expected"), REQUIREMENTS)
def test_label_requirements(key, operator, values, expected):
    assert LabelSelectorRequirement(key, operator, values).matches(LABELS) is expected
    assert NodeSelectorRequirement(key, operator, values).matches(LABELS) is expected


@pytest.mark.parametrize(
    ("operator", "bound", "expected"), [("Gt", "2", True), ("Gt", "3", False), ("Lt", "4", True), ("Lt", "3", False), ("Gt", "x", False)]
)
def test_node_requirements_compare_integers(operator, bound, expected):
    assert NodeSelectorRequirement("size", operator, (bound,)).matches(LABELS) is expected
    assert not NodeSelectorRequirement("app", operator, (bound,)).matches(LABELS)


def test_label_selector_needs_all_its_parts():
    selector = LabelSelector(FrozenDict(app="web"), (LabelSelectorRequirement("tier", "NotIn", ("back",)),))
    assert selector.matches(LABELS)
    assert not selector.matches({"app": "web", "tier": "back"})
    assert str(selector) == "app=web,tier notin (back)"
    assert EVERYTHING.matches({})
    assert not EVERYTHING
    shown = [str(LabelSelectorRequirement("a", each)) for each in ("Exists", "DoesNotExist")]
    assert shown == ["a", "!a"]


def test_a_node_term_without_requirements_matches_nothing():
    node = Node(ObjectMeta("node-a", labels=LABELS))
    assert not NodeSelectorTerm().matches(node)
    assert NodeSelectorTerm(match_fields=(NodeSelectorRequirement("metadata.name", "In", ("node-a",)),)).matches(node)
    assert not NodeSelectorTerm((NodeSelectorRequirement("app", "In", ("api",)),)).matches(node)


TOLERATIONS = [
    (Toleration("k", "Equal", "v", "NoSchedule"), True),
    (Toleration("k", "Equal", "v"), True),
    (Toleration("k", "Equal", "w"), False),
    (Toleration("k", "Exists"), True),
    (Toleration("", "Exists"), True),
    (Toleration("", "Exists", "", "NoExecute"), False),
    (Toleration("j", "Exists"), False),
]


@pytest.mark.parametrize(("toleration", "expected"), TOLERATIONS)
def test_tolerations(toleration, expected):
    assert toleration.tolerates(Taint("k", "v", "NoSchedule")) is expected


@pytest.mark.parametrize(("operator", "value", "expected"), [("Gt", "5", True), ("Gt", "7", False), ("Lt", "8", True), ("Lt", "x", False)])
def test_tolerations_compare_numbers(operator, value, expected):
    assert Toleration("k", operator, value).tolerates(Taint("k", "7")) is expected
