"""A small lesson and a small assignment, written for the tests: the course's own notebooks are not needed to test its machinery."""

from __future__ import annotations

from pathlib import Path

from k8snetlib.course import author, normal

CHECKS = '''from k8snetlib.course import Variant, check, expect, question, setup, variant
setup()

@question("99.1")
def inner_mtu(mtu: int, case: Variant) -> str:
    outer = case.integer("outer", 1400, 1500)
    expect(mtu == outer - 50, got=f"an inner MTU of {mtu}", expected=f"one that fits into {outer} once it is wrapped",
           hint="Which headers does VXLAN put in front of a frame?")
    return "a full packet fits"'''

PLAN = '''
@question("99.2")
def hosts(count) -> str:
    expect(count(24) == 254 and count(30) == 2, got=f"count(24) = {count(24)}", expected="usable hosts", hint="Two addresses are no hosts.")
    return "you can size a Pod range"'''


def solution():
    """An assignment with a value and a function to find, ten points."""
    return author.loads(f"""%% markdown id=title locked
# An assignment
%% code id=setup locked
{CHECKS}
%% code id=setup-2 locked
{PLAN.strip()}
%% code id=seed
case = variant("99")   # in class: variant("99", "your student id")
%% markdown id=ask
Find the inner MTU.
%% code id=mtu solution
mtu = None
### BEGIN SOLUTION
mtu = case.integer("outer", 1400, 1500) - 50
### END SOLUTION
%% code id=mtu-check graded=4
check("99.1")
%% code id=count solution
def count(prefix):
    \"\"\"Usable host addresses of an IPv4 subnet.\"\"\"
    ### BEGIN SOLUTION
    return 2 ** (32 - prefix) - 2
    ### END SOLUTION
%% code id=count-check graded=6
check("99.2")
""")


def lesson():
    """A lesson that shows text, a figure, a widget and an error."""
    return author.loads("""%% markdown id=title
# A lesson
%% code id=setup
from k8snetlib.course import setup
setup()
%% code id=text
print({"b", "a", "c"})
print("second line")
%% code id=figure
from k8snetlib.views.figure import Figure
Figure.of("digraph { a -> b }", "a points at b", "Two boxes")
%% code id=widget
import ipywidgets
box = ipywidgets.VBox([ipywidgets.IntSlider(value=3), ipywidgets.HTML("three")])
unused = ipywidgets.Text()
box
%% code id=linked
play = ipywidgets.Play()
ipywidgets.jslink((play, "value"), (box.children[0], "value"))
play
%% code id=raises raises
from k8snetlib.errors import ModelError
raise ModelError("no namespace node-z")
""")


def write(nb, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(normal.write(nb), encoding="utf-8", newline="\n")
    return path


def course(root: Path) -> Path:
    """A course of one lesson and one assignment, not yet built."""
    write(lesson(), root / "course" / "98-lesson.ipynb")
    write(solution(), root / "solutions" / "99-assignment" / "99-assignment.ipynb")
    return root
