"""Checks: the end state decides, the message helps, the answer stays hidden, and a bug of ours is never a student's fault.

The functions below are also the documented example of how an exercise's checks are written.
"""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from k8snetlib.course import checking
from k8snetlib.course.checking import NotYet, check, expect, question
from k8snetlib.course.variants import Variant, variant
from k8snetlib.errors import ModelError


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """A registry of this test's own, with the checks of exercise 99."""
    checking.keys()  # a module registers its checks once, when first imported: not in the registry that goes away with this test
    monkeypatch.setattr(checking, "_CHECKS", {})

    @question("99.1")
    def inner_mtu(mtu: int, case: Variant) -> str:
        outer = case.integer("outer", 1400, 1500)
        expect(
            mtu == outer - 50,
            got=f"an inner MTU of {mtu}",
            expected="the largest packet that still fits once it is wrapped",
            hint="Add up the headers that VXLAN puts in front of the frame.",
        )
        return "the wrapped packet just fits"

    @question("99.2")
    def hosts(count) -> str:
        expect(count(24) == 254, got=f"count(24) = {count(24)}", expected="hosts, not addresses", hint="Two addresses are no hosts.")
        return "you can size a Pod range"

    @question("99.3")
    def ours(value) -> str:
        return {"known": "fine"}[value]

    @question("99.4")
    def wrong_form(value):
        return value


def notebook(source: str, **names):
    """Run cells in a namespace of their own, as a notebook does."""
    module = types.ModuleType("__main__")
    module.__dict__.update(names, check=check, case=Variant("99"))
    exec(compile(source, "<cell>", "exec"), module.__dict__)
    return module


ANSWER = Variant("99").integer("outer", 1400, 1500) - 50


def test_a_right_answer_is_said_on_stdout_and_nothing_is_returned(capsys):
    module = notebook("result = check('99.1')", mtu=ANSWER)
    assert module.result is None
    assert capsys.readouterr() == ("✓ 99.1  the wrapped packet just fits\n", "")


@pytest.mark.parametrize(
    "call", [f"check('99.1', {ANSWER})", f"check('99.1', mtu={ANSWER})", f"mtu = 1\ncheck('99.1', {ANSWER}, case=case)"]
)
def test_arguments_come_before_the_names_of_the_notebook(call, capsys):
    notebook(call)
    assert capsys.readouterr().out.startswith("✓")


def test_a_wrong_answer_says_got_expected_and_one_hint_but_not_the_answer():
    with pytest.raises(NotYet) as caught:
        notebook("check('99.1')", mtu=1500)
    assert str(caught.value) == (
        "✗ 99.1  not yet\n"
        "    got       an inner MTU of 1500\n"
        "    expected  the largest packet that still fits once it is wrapped\n"
        "    hint      Add up the headers that VXLAN puts in front of the frame."
    )
    assert isinstance(caught.value, AssertionError) and str(ANSWER) not in str(caught.value)


@pytest.mark.parametrize("cell", ["", "mtu = None", "mtu = ...", "del case; mtu = 1"])
def test_a_placeholder_is_not_started_yet(cell):
    with pytest.raises(NotYet, match=r"99\.1  not started yet\n    hint  (mtu|case): nothing there yet"):
        notebook(f"{cell}\ncheck('99.1')")


@pytest.mark.parametrize("body", ["raise NotImplementedError()", "yield 1\n    raise NotImplementedError()"])
def test_a_stub_is_not_started_yet(body):
    with pytest.raises(NotYet, match=r"not started yet\n    hint  count\(\) still ends in the placeholder"):
        notebook(f"def count(prefix):\n    {body}\ncheck('99.2', lambda prefix: list(count(prefix)))")


def test_an_error_in_the_students_function_names_the_students_line():
    with pytest.raises(NotYet) as caught:
        notebook("def helper(x):\n    y = 1\n    return y // x\n\ndef count(prefix):\n    return helper(0)\n\ncheck('99.2')")
    assert "helper() raised ZeroDivisionError: integer division or modulo by zero, in its line 3:" in str(caught.value)
    assert "expected  helper() runs to its end" in str(caught.value)


def test_the_source_of_the_students_line_is_shown_where_ipython_keeps_it(monkeypatch):
    monkeypatch.setitem(checking.linecache.cache, "<cell>", (0, None, ["def count(prefix):\n", "    return 1 // 0\n"], "<cell>"))
    with pytest.raises(NotYet, match="in its line 2: return 1 // 0"):
        notebook("def count(prefix):\n    return 1 // 0\n\ncheck('99.2')")


def test_a_mistake_that_the_library_names_is_told_in_its_words():
    def refuse(prefix):
        raise ModelError("no namespace node-z")

    with pytest.raises(NotYet, match=r"(?s)got       no namespace node-z.*hint      What you got says what was refused"):
        notebook("check('99.2')", count=refuse)


def test_an_error_of_the_check_itself_stays_an_error():
    with pytest.raises(KeyError, match="unknown"):
        notebook("check('99.3')", value="unknown")


def test_a_check_must_say_something():
    with pytest.raises(ModelError, match="must return a sentence"):
        notebook("check('99.4', 7)")


def test_an_unknown_key_or_argument_is_a_mistake_with_a_suggestion():
    with pytest.raises(ModelError, match=r"no check '99\.11' \(did you mean '99\.1'\?\)"):
        notebook("check('99.11')")
    with pytest.raises(ModelError, match="looks at mtu, case, not at ttl"):
        notebook("check('99.1', ttl=3)")
    with pytest.raises(ModelError, match="looks at count, not at 2"):
        notebook("check('99.2', 1, 2)")


def test_a_key_stands_once_but_a_notebook_may_define_it_again():
    with pytest.raises(ModelError, match=r"99\.1.* is defined twice"):
        question("99.1")(lambda x: "x")
    for _ in range(2):
        function = types.FunctionType((lambda x: "fine").__code__, {"__name__": "__main__"})
        question("98.1")(function)


def test_the_error_has_no_traceback_in_ipython():
    error = NotYet("a", "b", "c", key="99.1")
    long = NotYet("four\n\nfive", "short", "one two three " * 12, key="99.1")._render_traceback_()
    assert [line[:14] for line in long[1:]] == ["    got       ", "", "five", "    expected  ", "    hint      ", " " * 14]
    assert max(map(len, long)) <= 100
    assert error._render_traceback_() == ["✗ 99.1  not yet", "    got       a", "    expected  b", "    hint      c"]


def test_every_shipped_check_has_a_key_of_its_exercise():
    code = (
        "from k8snetlib.course import checking; ks = checking.keys();"
        "print(all(checking._CHECKS[k].__module__.endswith(f'.ex{k.split(chr(46))[0]}') for k in ks))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_check_modules_are_found_by_their_number(monkeypatch, capsys):
    module = types.ModuleType("k8snetlib.course.checks.ex97")
    monkeypatch.setattr(
        checking.importlib,
        "import_module",
        lambda name: question("97.1")(lambda x: "found") if name == module.__name__ else pytest.fail(name),
    )
    notebook("check('97.1', 1)")
    assert capsys.readouterr().out == "✓ 97.1  found\n"


def test_the_seed_of_the_notebook_is_the_one_that_is_checked(capsys):
    case = variant("99", "another")
    notebook("check('99.1', answer, other)", answer=case.integer("outer", 1400, 1500) - 50, other=case)
    assert capsys.readouterr().out.startswith("✓")
