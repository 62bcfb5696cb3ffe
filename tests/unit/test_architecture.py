"""The import graph is the architecture: one way, and the Linux half knows no Kubernetes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "k8snetlib"
ORDER = ["errors", "value", "linux", "kube", "views", "widgets", "course", "cli"]
LAYER = {"commands": "cli", "testing": "cli", "lab": "lab", "__init__": "cli"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_course_files" not in path.parts)


def layer_of(parts: tuple[str, ...]) -> str:
    return LAYER.get(parts[0], parts[0])


def imported(path: Path) -> set[str]:
    """The top-level parts of k8snetlib that a module imports, inside functions too; what only type checkers see is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("k8snetlib", *path.relative_to(PACKAGE).parts)[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("k8snetlib.")}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = [*base, *(node.module.split(".") if node.module else [])]
            if full[:1] == ["k8snetlib"]:
                found |= (
                    {full[1]}
                    if len(full) > 1
                    else {alias.name for alias in node.names if (PACKAGE / alias.name).exists() or (PACKAGE / f"{alias.name}.py").exists()}
                )
    return found


@pytest.mark.parametrize("path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES])
def test_imports_go_one_way(path: Path) -> None:
    here = layer_of(tuple(part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts))
    for name in imported(path):
        there = layer_of((name,))
        if here == "lab":
            assert there in ("errors", "value", "linux", "lab"), f"{path} imports {name}"
        elif there == "lab":
            assert here in ("course", "cli"), f"{path} imports {name}"
        else:
            assert ORDER.index(there) <= ORDER.index(here), f"{path} imports {name}"


def test_the_kernel_does_not_know_what_a_service_is() -> None:
    """Imported in a fresh interpreter without the package's front, the Linux half brings nothing of the Kubernetes half along."""
    code = (
        "import sys, types; package = types.ModuleType('k8snetlib'); package.__path__ = [sys.argv[1]]; sys.modules['k8snetlib'] = package\n"
        "import k8snetlib.linux.engine, k8snetlib.linux.ops, k8snetlib.linux.wire\n"
        "print([m for m in sys.modules if m.startswith('k8snetlib') and not m.startswith(('k8snetlib.linux', 'k8snetlib.errors', 'k8snetlib.value')) and m != 'k8snetlib'])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(PACKAGE)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_front_loads_nothing_heavy() -> None:
    code = "import sys, k8snetlib; print([m for m in ('networkx', 'graphviz', 'wasmtime', 'ipywidgets', 'nbformat', 'pyroute2', 'IPython') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert run.stdout.strip() == "[]"
