"""Run a notebook in the one environment in which outputs are made and compared."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from k8snetlib.errors import K8sNetError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEXT = {
    "failed": "{name}, cell {cell}: {error}\n{source}",
    "stuck": "{name}: {error}",
    "error": "{name}, cell {cell}: an error is stored as an output: {error}",
    "stderr": "{name}, cell {cell}: something is written on stderr, which scores zero in a graded cell: {text}",
}

FIXED = {
    "PYTHONHASHSEED": "0",  # sets print in one order
    "LC_ALL": "C.UTF-8",
    "K8SNET_LAB": "recorded",  # recorded kernel results: the same with and without root
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no warning of the debugger on stderr
}
UNSET = ("K8SNET_SEED", "K8SNET_LANG")  # the committed seed, and English


def fix_environment(environment: MutableMapping[str, str]) -> None:
    """Set in ``environment`` what a kernel inherits: the fixed variables, and this very copy of the library first on its path."""
    here = str(Path(__file__).resolve().parents[2])
    known = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part and part != here]
    environment.update(FIXED, PYTHONPATH=os.pathsep.join([here, *known]))
    for name in UNSET:
        environment.pop(name, None)


def execute(nb: NotebookNode, folder: Path, *, name: str, timeout: int = 120, lab: str = "recorded") -> NotebookNode:
    """A copy of ``nb``, run from its first cell to its last in a fresh kernel whose working directory is ``folder``.

    ``lab`` is what K8SNET_LAB is there: "record" runs the lab's experiments in this machine's kernel and records them anew.

    A cell tagged ``raises-exception`` may raise. Raises :class:`~k8snetlib.errors.K8sNetError` with ``name`` and the cell where another
    does, where a cell takes longer than ``timeout`` seconds, and where anything is written on stderr.
    """
    import copy

    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    environment = dict(os.environ)
    fix_environment(environment)
    environment["K8SNET_LAB"] = lab
    done = copy.deepcopy(nb)
    client = NotebookClient(
        done,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=40"],
    )
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        cell = next(cell for cell in reversed(done.cells) if any(output.output_type == "error" for output in cell.get("outputs", [])))
        what = f"{error.ename}: {error.evalue}"
        raise K8sNetError(TEXT["failed"].format(name=name, cell=cell.id, error=what, source=cell.source)) from None
    except (CellControlSignal, DeadKernelError) as error:
        raise K8sNetError(TEXT["stuck"].format(name=name, error=error)) from None
    for problem in unwanted(done, name=name, errors=True):
        raise K8sNetError(problem)
    return done


def unwanted(nb: NotebookNode, *, name: str, errors: bool) -> list[str]:
    """What must not be among the outputs: anything on stderr and, unless ``errors`` are tolerated, any error."""
    found = []
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                found.append(TEXT["stderr"].format(name=name, cell=cell.id, text=output.text.strip()))
            elif output.output_type == "error" and not errors:
                found.append(TEXT["error"].format(name=name, cell=cell.id, error=f"{output.ename}: {output.evalue}"))
    return found
