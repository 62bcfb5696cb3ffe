"""Which Pod runs on which Node: the rules of the real scheduler, without its preferences and resource counts.

:func:`place` honours what a Pod *requires*: ``nodeSelector``, required node affinity, taints and cordoned Nodes, host ports, required Pod
(anti-)affinity, ``DoNotSchedule`` spread constraints, a Node's stated ``allocatable.pods``, ``schedulerName`` and ``schedulingGates``. CPU,
memory, volumes, priorities and preferred affinities play no part. Where the real one scores and picks at random among the best, this one
takes the Node with the fewest Pods, then with the fewest of the same owner, then the first, so that a lesson always looks the same.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..value import value
from .manifests import error_at
from .objects import HOSTNAME_LABEL, Namespace, Node, Pod
from .selectors import EMPTY, EVERYTHING, Affinity, Labels, LabelSelector, PodAffinityTerm, Taint, TopologySpreadConstraint

# The scheduler's own words (kube-scheduler 1.36, pkg/scheduler/framework/plugins), for why a Node does not fit
UNSCHEDULABLE = "node(s) were unschedulable"
TAINTED = "node(s) had untolerated taint(s)"
NOT_SELECTED = "node(s) didn't match Pod's node affinity/selector"
NOT_PINNED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
NO_PORTS = "node(s) didn't have free ports for the requested pod ports"
FULL = "Too many pods"
NOT_SPREAD = "node(s) didn't match pod topology spread constraints"
NO_TOPOLOGY = "node(s) didn't match pod topology spread constraints (missing required label)"
NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_APART = "node(s) didn't match pod anti-affinity rules"
NOT_WANTED = "node(s) didn't satisfy existing pods anti-affinity rules"
_CORDON = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


@value
class Placement:
    """``nodes``: Pod key to Node name. ``pending``: Pod key to the reason why it has no Node."""

    nodes: Mapping[str, str]
    pending: Mapping[str, str]


def place(pods: Iterable[Pod], nodes: Sequence[Node], namespaces: Iterable[Namespace] = ()) -> Placement:
    """Gives every Pod that still needs one a Node, in the order of ``pods``; about O(pods log nodes) without Pod affinities.

    Pods that name their Node keep it, with no questions asked, as in a cluster, where the scheduler never sees them. ``namespaces`` serve
    the namespaceSelectors of Pod affinities. Raises ManifestError for a Pod whose nodeName is not among ``nodes``.
    """
    state = _State(nodes, {each.name: each.labels for each in namespaces})
    waiting, placed, pending = [], {}, {}
    for pod in pods:
        if pod.node_name:
            placed[pod.key] = pod.node_name
            if not pod.finished:
                state.bind(pod, state.index_of(pod))
        elif not pod.finished:
            waiting.append(pod)
    for pod in waiting:
        reason = _never_tried(pod)
        index = None if reason else state.choose(pod)
        if index is None:
            pending[pod.key] = reason or state.explain(pod)
        else:
            placed[pod.key] = nodes[index].name
            state.bind(pod, index)
    return Placement(placed, pending)


def why_not(pod: Pod, node: Node) -> str:
    """Why a Node cannot take a Pod whatever else runs there, in the scheduler's words; ``""`` if it can."""
    if node.unschedulable and not any(each.tolerates(_CORDON) for each in pod.tolerations):
        return UNSCHEDULABLE
    for taint in node.taints:
        if taint.effect != "PreferNoSchedule" and not any(each.tolerates(taint) for each in pod.tolerations):
            return TAINTED
    return "" if _selects(pod, node) else NOT_SELECTED


def _selects(pod: Pod, node: Node) -> bool:
    terms = pod.affinity.node if pod.affinity else None
    return pod.node_selector.items() <= node.labels.items() and (terms is None or any(term.matches(node) for term in terms))


def _never_tried(pod: Pod) -> str:
    if pod.scheduling_gates:
        return "Scheduling is blocked due to non-empty scheduling gates"
    if pod.scheduler_name != "default-scheduler":
        return f'waits for the scheduler "{pod.scheduler_name}", which does not run in this cluster'
    return ""


def _pinned(pod: Pod) -> str:
    """The one Node that every term of the Pod's affinity names, as the DaemonSet controller writes it."""
    terms = pod.affinity.node if pod.affinity else None
    names = {term.match_fields[0].values if len(term.match_fields) == 1 else () for term in terms or ()}
    only = names.pop() if len(names) == 1 else ()
    return only[0] if len(only) == 1 and terms and terms[0].match_fields[0].operator == "In" else ""


def _owner(pod: Pod) -> tuple[str, str, str]:
    return (pod.namespace, pod.owner.kind, pod.owner.name) if pod.owner else (pod.namespace, "", pod.name)


Filter = tuple[LabelSelector | None, frozenset[str] | None]
"""(selector, None selects nothing; namespaces, None for all)."""


class _Domains:
    """How many bound Pods that pass all filters each topology domain holds (a domain is one value of a Node label)."""

    def __init__(self, topology_key: str, filters: tuple[Filter, ...]) -> None:
        self.topology_key, self.filters = topology_key, filters
        self.counts: Counter[str] = Counter()

    def selects(self, pod: Pod) -> bool:
        return all(
            selector is not None and (namespaces is None or pod.namespace in namespaces) and selector.matches(pod.labels)
            for selector, namespaces in self.filters
        )

    def add(self, node: Node) -> None:
        if self.topology_key in node.labels:
            self.counts[node.labels[self.topology_key]] += 1

    def near(self, node: Node) -> int:
        return self.counts[node.labels[self.topology_key]] if self.topology_key in node.labels else 0


class _State:
    """The cluster as it fills up while :func:`place` runs."""

    def __init__(self, nodes: Sequence[Node], namespaces: Mapping[str, Labels]) -> None:
        self.nodes, self.namespaces = nodes, namespaces
        self.by_name = {node.name: index for index, node in enumerate(nodes)}
        self.pods = [0] * len(nodes)
        self.owned: defaultdict[tuple[str, str, str], defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.ports: list[set[tuple[int, str, str]]] = [set() for _ in nodes]
        self.bound: list[tuple[Pod, int]] = []
        self.fitting: dict[object, list[int]] = {}
        self.heaps: dict[object, list[tuple[int, int, int]]] = {}
        self.watched: dict[object, _Domains] = {}  # the Pods that some filters select
        self.repelling: dict[object, _Domains] = {}  # the Pods whose anti-affinity has these filters

    def index_of(self, pod: Pod) -> int:
        if pod.node_name not in self.by_name:
            from .schema import closest  # for errors only, as it is slow to import

            suggestion = closest(pod.node_name, self.by_name)
            raise error_at(pod, "spec.nodeName", f'there is no Node "{pod.node_name}"', suggestion)
        return self.by_name[pod.node_name]

    def bind(self, pod: Pod, index: int) -> None:
        node = self.nodes[index]
        self.pods[index] += 1
        self.owned[_owner(pod)][index] += 1
        self.ports[index] |= pod.host_ports
        self.bound.append((pod, index))
        for domains in self.watched.values():
            if domains.selects(pod):
                domains.add(node)
        for term in pod.affinity.anti_pods if pod.affinity else ():
            key = (term.topology_key, (self.filter(term, pod),))
            self.repelling.setdefault(key, _Domains(*key)).add(node)

    def choose(self, pod: Pod) -> int | None:
        """The Node for a Pod, or None; a heap for each kind of Pod, whose stale entries are corrected as they come up."""
        key = (pod.node_selector, pod.affinity.node if pod.affinity else None, pod.tolerations)
        if (pod.affinity or pod.topology_spread or self.repelling or pod.host_ports) and (demands := _Demands(self, pod)):
            nodes = [index for index in self.candidates(pod, key) if not demands.why_not(index)]
            owned = self.owned.get(_owner(pod), {})
            return min(nodes, key=lambda index: (self.pods[index], owned.get(index, 0), index), default=None)
        owner = _owner(pod)
        owned = self.owned[owner]
        heap = self.heaps.get((key, owner))
        if heap is None:
            heap = self.heaps[key, owner] = [(self.pods[index], owned[index], index) for index in self.candidates(pod, key)]
            heapq.heapify(heap)
        while heap:
            index = heap[0][2]
            now = (self.pods[index], owned[index], index)
            if self.is_full(index):  # and stays so: Pods only come
                heapq.heappop(heap)
            elif now == heap[0]:
                return index
            else:
                heapq.heapreplace(heap, now)
        return None

    def candidates(self, pod: Pod, key: object) -> list[int]:
        """The Nodes that fit by themselves."""
        name = _pinned(pod)
        if name:
            index = self.by_name.get(name)
            return [index] if index is not None and not why_not(pod, self.nodes[index]) else []
        if key not in self.fitting:
            self.fitting[key] = [index for index, node in enumerate(self.nodes) if not why_not(pod, node)]
        return self.fitting[key]

    def is_full(self, index: int) -> bool:
        limit = self.nodes[index].max_pods
        return limit is not None and self.pods[index] >= limit

    # --- terms

    def reach(self, term: PodAffinityTerm, pod: Pod) -> frozenset[str] | None:
        """The namespaces that a term speaks of, None for all."""
        if term.namespace_selector is None:
            return frozenset(term.namespaces or [pod.namespace])
        if term.namespace_selector == EVERYTHING:
            return None
        known = [name for name, labels in self.namespaces.items() if term.namespace_selector.matches(labels or EMPTY)]
        return frozenset([*term.namespaces, *known])

    def filter(self, term: PodAffinityTerm, pod: Pod) -> Filter:
        return term.selector, self.reach(term, pod)

    def watch(self, topology_key: str, *filters: Filter) -> _Domains:
        """The running count of some Pods, started at the first question."""
        key = (topology_key, filters)
        if key not in self.watched:
            self.watched[key] = domains = _Domains(topology_key, filters)
            for other, index in self.bound:
                if domains.selects(other):
                    domains.add(self.nodes[index])
        return self.watched[key]

    def explain(self, pod: Pod) -> str:
        """The message of the real scheduler's event, without the sentence on preemption."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        name, demands = _pinned(pod), _Demands(self, pod)
        reasons = Counter(
            NOT_PINNED if name and node.name != name else why_not(pod, node) or demands.why_not(index)
            for index, node in enumerate(self.nodes)
        )
        parts = sorted(f"{count} {reason}" for reason, count in reasons.items())
        return f"0/{len(self.nodes)} nodes are available: {', '.join(parts)}."


class _Demands:
    """What a Pod asks of its neighbours, and they of it, looked up once for all Nodes; false if there is nothing of the kind."""

    def __init__(self, state: _State, pod: Pod) -> None:
        self.state, self.pod, self.ports = state, pod, pod.host_ports
        affinity = pod.affinity or _NO_AFFINITY
        together = [state.filter(term, pod) for term in affinity.pods]  # a Pod must pass all terms to count for one of them
        self.near = [state.watch(term.topology_key, *together) for term in affinity.pods]
        self.apart = [state.watch(term.topology_key, state.filter(term, pod)) for term in affinity.anti_pods]
        self.repelled = [domains for domains in state.repelling.values() if domains.selects(pod)]
        self.spread = [(each, self.count(each)) for each in pod.topology_spread]
        # the first of Pods that want to be near each other may go anywhere
        self.is_first = not any(domains.counts for domains in self.near) and all(domains.selects(pod) for domains in self.near)

    def __bool__(self) -> bool:
        return bool(self.ports or self.near or self.apart or self.repelled or self.spread)

    def why_not(self, index: int) -> str:
        """Why a Node that fits by itself does not at this moment, in the order in which the scheduler asks."""
        node = self.state.nodes[index]
        if self.ports:
            from .portmap import clash

            if clash(self.ports, self.state.ports[index]):
                return NO_PORTS
        if self.state.is_full(index):
            return FULL
        for constraint, counts in self.spread:
            if constraint.topology_key not in node.labels:
                return NO_TOPOLOGY
            if not self.is_even(constraint, counts, node):
                return NOT_SPREAD
        if any(domains.topology_key not in node.labels or not (domains.near(node) or self.is_first) for domains in self.near):
            return NOT_NEAR
        if any(domains.near(node) for domains in self.apart):
            return NOT_APART
        return NOT_WANTED if any(domains.near(node) for domains in self.repelled) else ""

    def is_even(self, constraint: TopologySpreadConstraint, counts: Counter[str], node: Node) -> bool:
        """Whether the constraint's skew stays within bounds with one Pod more in the Node's domain (KEP-895)."""
        fewest = min(counts.values(), default=0) if len(counts) >= constraint.min_domains else 0
        itself = constraint.selector is not None and constraint.selector.matches(self.pod.labels)
        return counts.get(node.labels[constraint.topology_key], 0) + itself - fewest <= constraint.max_skew

    def count(self, constraint: TopologySpreadConstraint) -> Counter[str]:
        """The Pods that a constraint counts, by domain, on the Nodes that it takes into account: by default those that the Pod's selector
        and affinity allow, tainted or not."""
        on_node = self.state.watch(HOSTNAME_LABEL, (constraint.selector, frozenset([self.pod.namespace])))
        counts: Counter[str] = Counter()
        for index in self.counted_nodes(constraint):
            node = self.state.nodes[index]
            counts[node.labels[constraint.topology_key]] += on_node.near(node)
        return counts

    def counted_nodes(self, constraint: TopologySpreadConstraint) -> list[int]:
        pod = self.pod
        key = (constraint, pod.node_selector, pod.affinity.node if pod.affinity else None, pod.tolerations)
        if key not in self.state.fitting:
            taints = (TAINTED, UNSCHEDULABLE) if constraint.honor_taints else ()
            self.state.fitting[key] = [
                index
                for index, node in enumerate(self.state.nodes)
                if constraint.topology_key in node.labels
                and (_selects(pod, node) or not constraint.honor_affinity)
                and why_not(pod, node) not in taints
            ]
        return self.state.fitting[key]


_NO_AFFINITY = Affinity()
