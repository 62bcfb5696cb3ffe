"""What breaks, in the model and in the kernel: every fault of every way between nodes, the same packet, every frame compared."""

from __future__ import annotations

import pytest

from k8snetlib.kube.cast import shop
from k8snetlib.kube.cni import CNIS
from k8snetlib.kube.faults import faults
from k8snetlib.lab import Lab
from k8snetlib.lab.fallback import as_in_namespaces
from k8snetlib.linux.draft import build
from k8snetlib.linux.engine import after, trace
from tests.kernel.test_model_and_kernel import Side, difference

pytestmark = pytest.mark.kernel
TARGET = "pod/api-2:8080"
CASES = [
    pytest.param(cni, family, name, marks=[pytest.mark.needs("ipip")] if "ipip" in cni else [])
    for cni in CNIS
    for family in ("IPv4", "IPv6")
    if family == "IPv4" or CNIS[cni].ipv6
    for name in faults(shop(cni, families=(family,)), "pod/web", TARGET)
]


@pytest.mark.parametrize(("cni", "family", "name"), CASES)
def test_a_fault_does_the_same_to_both(cni: str, family: str, name: str) -> None:
    """A small packet and a full one: the same frames on every interface, the answers to them among these."""
    cluster = shop(cni, families=(family,))
    fault = faults(cluster, "pod/web", TARGET)[name]
    network = fault.network(build(as_in_namespaces(cluster.ops())))
    with Lab([*cluster.ops(), *fault.ops], answer=False) as lab:
        with lab.capture():
            pass
        model, kernel = Side(), Side()
        whole = network["web"].interfaces["eth0"].mtu - (40 if family == "IPv4" else 60)
        for size in (0, whole):
            at, packet, _ = cluster.packet("pod/web", TARGET, data=bytes(size))
            told = trace(network, at, packet)
            with lab.capture() as frames:
                lab.send(at, packet)
            said, seen = model.told(told), kernel.frames(frames)
            assert said == seen, f"{fault.title}, {size} bytes of data\n{difference(said, seen)}"
            network = after(network, told)
