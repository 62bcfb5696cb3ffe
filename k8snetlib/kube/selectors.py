"""Labels and everything that selects by them: label selectors, node selectors, Pod affinity, taints and tolerations.

Sources: the Kubernetes 1.36 API; matching follows apimachinery's ``labels`` package and component-helpers' ``nodeaffinity``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar

from ..value import value

if TYPE_CHECKING:
    from .objects import Node

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dictionary that cannot change and can be hashed, so that labels and selectors fit in frozen objects."""

    __slots__ = ()

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("a FrozenDict cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse  # type: ignore[assignment]

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[K, V]]]:
        return FrozenDict, (dict(self),)


Labels = FrozenDict[str, str]
EMPTY: Labels = FrozenDict()


@value
class LabelSelectorRequirement:
    """One ``matchExpressions`` entry of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":  # an absent key satisfies NotIn, as in apimachinery's labels.Requirement
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")

    def __str__(self) -> str:
        if self.operator in ("In", "NotIn"):
            return f"{self.key} {self.operator.lower()} ({','.join(sorted(self.values))})"
        return self.key if self.operator == "Exists" else f"!{self.key}"


@value
class LabelSelector:
    """A label selector; all parts must hold, and an empty one matches everything. ``str()`` is kubectl's ``-l`` notation."""

    match_labels: Labels = EMPTY
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return self.match_labels.items() <= labels.items() and all(each.matches(labels) for each in self.match_expressions)

    def __bool__(self) -> bool:
        return bool(self.match_labels or self.match_expressions)

    def __str__(self) -> str:
        return ",".join([f"{key}={value}" for key, value in self.match_labels.items()] + [str(each) for each in self.match_expressions])


EVERYTHING = LabelSelector()


@value
class NodeSelectorRequirement:
    """One requirement on a Node's labels or fields: In, NotIn, Exists, DoesNotExist, or the integer comparisons Gt and Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.operator in ("Gt", "Lt"):
            try:
                label, bound = int(labels[self.key]), int(self.values[0])
            except (KeyError, ValueError, IndexError):
                return False
            return label > bound if self.operator == "Gt" else label < bound
        return LabelSelectorRequirement(self.key, self.operator, self.values).matches(labels)


@value
class NodeSelectorTerm:
    """A term of a required node affinity: all its requirements must hold; a term without any matches no Node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()

    def matches(self, node: Node) -> bool:
        if not self.match_expressions and not self.match_fields:
            return False
        fields = {"metadata.name": node.name}
        return all(each.matches(node.labels) for each in self.match_expressions) and all(each.matches(fields) for each in self.match_fields)


@value
class PodAffinityTerm:
    """A required term of ``podAffinity`` or ``podAntiAffinity``: near (or away from) the Pods selected, within one value of a Node label.

    ``selector`` None selects no Pod; no ``namespaces`` and no ``namespace_selector`` mean the Pod's own namespace.
    """

    topology_key: str
    selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None


@value
class TopologySpreadConstraint:
    """A ``whenUnsatisfiable: DoNotSchedule`` constraint: the Pods selected may differ by at most ``max_skew`` between topology domains."""

    max_skew: int
    topology_key: str
    selector: LabelSelector | None = None
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@value
class Affinity:
    """The *required* affinities of a Pod. ``node`` is None without one; otherwise one of its terms must match the Node."""

    node: tuple[NodeSelectorTerm, ...] | None = None
    pods: tuple[PodAffinityTerm, ...] = ()
    anti_pods: tuple[PodAffinityTerm, ...] = ()


@value
class Taint:
    """A mark on a Node that repels Pods without a matching toleration."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@value
class Toleration:
    """A Pod's permission to run on Nodes with a matching taint. An empty ``key`` (with Exists) or ``effect`` matches all."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        if (self.effect and self.effect != taint.effect) or (self.key and self.key != taint.key):
            return False
        if self.operator in ("Gt", "Lt"):  # KEP-5471: the taint's number against the toleration's
            try:
                number, bound = int(taint.value), int(self.value)
            except ValueError:
                return False
            return number > bound if self.operator == "Gt" else number < bound
        return self.operator == "Exists" or self.value == taint.value
