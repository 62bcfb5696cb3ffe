"""Values: what the standard library's frozen, slotted dataclasses promise, promised here too."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from dataclasses import replace as standard_replace

import pytest

from k8snetlib.value import amend, replace, value


@value
class Plain:
    """Two fields, one of them with a default."""

    a: int
    b: str = "b"


@value
class Rich(Plain):
    """Fields of every kind, on top of another value's."""

    made: dict = field(default_factory=dict)
    hidden: int = field(default=0, compare=False)
    unhashed: list = field(default_factory=list, hash=False)
    own: list = field(init=False, default_factory=list, compare=False, repr=False)
    fixed: int = field(init=False, default=7)

    def __post_init__(self) -> None:
        self.own.append(self.a)


@value
class Beside:
    """A field that must be given and does not count."""

    note: str = field(compare=False)
    a: int = 1


@value
class Spoken:
    """Methods of its own."""

    a: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spoken) and self.a % 10 == other.a % 10

    def __hash__(self) -> int:
        return self.a % 10

    def __repr__(self) -> str:
        return f"<{self.a}>"


@value
class OnlyEqual:
    """An ``__eq__`` alone does not make it unhashable, as for a frozen dataclass."""

    a: int

    def __eq__(self, other: object) -> bool:
        return True


@value
class Empty:
    """No fields."""


@dataclass(frozen=True, slots=True)
class Standard:
    a: int
    b: str = "b"


def test_equal_are_equal_fields_of_one_class():
    assert Plain(1) == Plain(1, "b") == Plain(b="b", a=1) and Plain(1) != Plain(2) and Plain(1) != Standard(1) != Plain(1)
    assert Plain(1) != Rich(1) and Empty() == Empty() != Plain(1) and len({Plain(1), Plain(1), Plain(2), Empty(), Empty()}) == 3
    assert Rich(1, hidden=1) == Rich(1, hidden=2) and Rich(1, unhashed=[1]) != Rich(1, unhashed=[2]) and Rich(1, made={1: 1}) != Rich(1)
    assert Beside("x") == Beside("y") != Beside("x", 2) and hash(Beside("x")) == hash(Beside("y"))
    with pytest.raises(TypeError, match="note"):
        Beside()
    assert Spoken(1) == Spoken(11) and hash(Spoken(1)) == hash(Spoken(11)) and repr(Spoken(1)) == "<1>"
    assert OnlyEqual(1) == OnlyEqual(2) and isinstance(hash(OnlyEqual(1)), int)


@pytest.mark.parametrize("arguments", [((), {}), ((1, "x", 3), {}), ((1,), {"c": 1}), ((1,), {"a": 1})])
def test_wrong_arguments_are_refused_as_by_the_standard_library(arguments):
    for made in (Plain, Standard):
        with pytest.raises(TypeError):
            made(*arguments[0], **arguments[1])


def test_a_new_one_may_be_amended_by_its_maker():
    new = Plain(1)
    assert amend(new, a=2, b="x") is new and new == Plain(2, "x")
    with pytest.raises(AttributeError):
        amend(new, nothing=1)


def test_every_object_makes_its_own():
    one, two = Rich(1), Rich(2)
    assert one.made == {} and one.made is not two.made and one.own == [1] and two.own == [2] and one.fixed == 7


def test_nothing_can_be_changed():
    for made in (Plain(1), Rich(1), Empty()):
        with pytest.raises(AttributeError):
            made.a = 2
        with pytest.raises(AttributeError):
            del made.a
        with pytest.raises(AttributeError):
            made.other = 2
        assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("copied", [replace, standard_replace])
def test_a_copy_with_changes(copied):
    old = Rich(1, "x", {1: 2}, 3)
    new = copied(old, a=5)
    assert new == Rich(5, "x", {1: 2}, 3) and new.hidden == 3 and new.own == [5] and old.own == [1] and new.made is old.made
    with pytest.raises(TypeError, match="nothing"):
        copied(old, nothing=1)


@pytest.mark.parametrize("made", [Plain(1, "x"), Rich(1, "x", {1: 2}), Empty(), Spoken(3)])
def test_pickles_and_copies(made):
    for other in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert other == made and type(other) is type(made) and repr(other) == repr(made)


def test_it_is_a_dataclass_to_others():
    assert is_dataclass(Rich) and [each.name for each in fields(Rich)] == ["a", "b", "made", "hidden", "unhashed", "own", "fixed"]
    assert str(inspect.signature(Plain)) == "(a: int, b: str = 'b')" and asdict(Plain(1)) == {"a": 1, "b": "b"}
    match Plain(1, "x"):
        case Plain(a, b):
            assert (a, b) == (1, "x")
    assert repr(Plain(1)) == "Plain(a=1)" and repr(Rich(1, "x")) == "Rich(a=1, b='x')"


@value
class Filled:
    """A field that only ``__post_init__`` fills."""

    a: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        amend(self, twice=2 * self.a)


def test_a_field_that_is_computed_from_the_others():
    assert Filled(2).twice == 4 and replace(Filled(2), a=3) == Filled(3) and replace(Filled(2), a=3).twice == 6


def test_what_callers_do_not_give_stands_last():
    with pytest.raises(TypeError, match="last"):

        @value
        class Wrong:
            own: int = field(init=False, default=1)
            a: int = 2


def test_a_class_on_top_of_one_with_special_fields_keeps_them():
    @value
    class Higher(Rich):
        """One more field, before which nothing stands that callers do not give."""

    assert Higher(1, hidden=1) == Higher(1, hidden=2) and Higher(1) != Rich(1) and replace(Higher(1), a=2).own == [2]
