"""The same ops and packets in the model and in the kernel: every frame the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from k8snetlib.lab import Lab
from k8snetlib.linux.engine import after, trace
from k8snetlib.linux.events import Fragmented
from k8snetlib.linux.ops import Op, build
from k8snetlib.linux.packet import Packet
from tests.kernel.test_model_and_kernel import Side, beside_a_kernel, by_sender, difference


def same_frames(ops: Sequence[Op], sends: Iterable[tuple[str, Packet]]) -> None:
    """Send the packets one after the other on both sides; AssertionError says which frames differ."""
    sends = tuple(sends)

    def compare(lab: Lab) -> None:
        network, model, kernel = build(ops), Side(), Side()
        for at, packet in sends:
            told = trace(network, at, packet)
            with lab.capture() as frames:
                lab.send(at, packet)
            said, seen = model.told(told), kernel.frames(frames)
            if told.all(Fragmented):
                said, seen = by_sender(said), by_sender(seen)
            assert said == seen, f"{at}: {packet}\n{difference(said, seen)}"
            network = after(network, told)

    beside_a_kernel(ops, compare)
