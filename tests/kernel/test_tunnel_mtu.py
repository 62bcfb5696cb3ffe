"""A VXLAN whose outer packets do not fit, as the way is narrower than the VXLAN device has it: the model and the kernel."""

from __future__ import annotations

import pytest

from k8snetlib.kube.cluster import Cluster
from k8snetlib.linux.ops import route
from k8snetlib.linux.packet import Packet, ping, udp
from tests.kernel.side_by_side import same_frames

PODS = "\n---\n".join(
    f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{node}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{node}}}\n"
    f"spec: {{nodeName: n{node}, containers: [{{name: c, image: x}}]}}"
    for node in (0, 1)
)
NARROW = 1430  # bytes that n0's route to the other node takes; its VXLAN device has 1450 of 1500 in IPv4, 1430 in IPv6
FITS, BIG, CUT = 1300, 1400, 2000  # bytes of inner packet


def packets(cluster: Cluster, version: int, kind: str) -> list[tuple[str, Packet]]:
    pods = {s.netns: s.addresses[0].ip for s in cluster.sandboxes.values()}
    near, far = pods["p0"], pods["p1"]
    header = 28 if version == 4 else 48

    def sized(src, dst, size: int, echo: bool = False) -> Packet:
        data, df = b"x" * (size - header), size < CUT
        return ping(src, dst, id=7, data=data, df=df) if echo else udp(src, dst, 5353, data=data, df=df)

    def own(name: str):
        addresses = (a.ip for dev, a in cluster.network["n0"].addresses() if dev.startswith(name))
        return next(ip for ip in addresses if ip.version == version and not ip.is_link_local)

    return {
        "from a Pod": [("p0", sized(near, far, size)) for size in (FITS, BIG, BIG, CUT)],
        "from a Pod, in pieces": [("p0", sized(near, far, size)) for size in (CUT, CUT, BIG)],
        "from the node": [("n0", sized(own("flannel"), far, size)) for size in (FITS, BIG, BIG, CUT)],
        "from the node, in pieces": [("n0", sized(own("flannel"), far, size)) for size in (CUT, BIG)],
        "the node's answer": [("p1", sized(far, own("cni0"), size, echo=True)) for size in (FITS, BIG, BIG)],
        "a Pod's answer": [("p1", sized(far, near, size, echo=True)) for size in (FITS, BIG, BIG)],
    }[kind]


KINDS = ("from a Pod", "from a Pod, in pieces", "from the node", "from the node, in pieces", "the node's answer", "a Pod's answer")


# In IPv4 outer pieces carry identifications of inner packets, which nobody can foretell.
FORETOLD = tuple(kind for kind in KINDS if kind == "from the node")


@pytest.mark.parametrize(("family", "kind"), [*(("IPv4", kind) for kind in FORETOLD), *(("IPv6", kind) for kind in KINDS)])
def test_the_same_frames(family: str, kind: str) -> None:
    cluster = Cluster.loads(PODS, cni="vxlan", families=(family,))
    ops = [*cluster.ops(), route("n0", str(cluster.hosts[1].address(int(family[-1]))), "eth0", mtu=NARROW)]
    same_frames(ops, packets(cluster, int(family[-1]), kind))
