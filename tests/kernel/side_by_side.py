"""The same ops and packets in the model and in the kernel: every frame the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, captures, trace
from k8snetlib.linux.events import Fragmented
from k8snetlib.linux.ops import Op, build
from k8snetlib.linux.packet import Packet
from k8snetlib.linux.wire import from_bytes, to_bytes
from tests.kernel.chatter import unless_it_spoke
from tests.kernel.test_model_and_kernel import KNOWN, Side, by_sender, difference, drew_a_known_port


def same_frames(ops: Sequence[Op], sends: Iterable[tuple[str, Packet]]) -> None:
    """Send the packets one after the other on both sides; AssertionError says which frames differ."""
    sends, labs = tuple(sends), []

    def compare(lab: Lab) -> None:
        labs.append(lab)
        network, model, kernel = build(ops), Side(), Side()
        for at, packet in sends:
            told = trace(network, at, packet)
            with lab.capture() as frames:
                lab.send(at, packet)
            # errors quote packets cut short
            shown = [replace(c, frame=from_bytes(to_bytes(c.frame), c.frame.bare)) for c in captures(told)]
            said, seen = model.frames(shown), kernel.frames(frames)
            if told.all(Fragmented):
                said, seen = by_sender(said), by_sender(seen)
            assert said == seen, f"{at}: {packet}\n{difference(said, seen)}"
            network = after(network, told)

    unless_it_spoke(lambda: Lab(ops, answer=False), compare, lambda: drew_a_known_port(labs[-1], build(ops), KNOWN))
