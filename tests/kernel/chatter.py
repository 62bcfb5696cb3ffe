"""A case run again when the machine had a part in it: what devices say by themselves crosses bridges and is counted by rules, too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from k8snetlib.lab import Lab


def unless_it_spoke(
    make: Callable[[], AbstractContextManager[Lab]],
    compare: Callable[[Lab], None],
    unsure: Callable[[], bool] = lambda: False,
    tries: int = 3,
) -> None:
    """Compare in a lab of its own. If that fails and a device sent a group report meanwhile (or the case itself is ``unsure``), once
    more: the difference may be the report's doing. A difference that is not comes again, and is raised in the end."""
    with make() as lab:
        before = lab.reports()  # first, so that one which comes just after the bridges have forgotten the others is counted
        with lab.capture():
            pass  # until the new devices have said what they say by themselves
        try:
            compare(lab)
            return
        except AssertionError:
            if tries == 1 or (lab.reports() == before and not unsure()):
                raise
    unless_it_spoke(make, compare, unsure, tries - 1)
