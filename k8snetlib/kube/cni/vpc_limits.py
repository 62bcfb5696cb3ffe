"""How many Pods an EC2 instance can give addresses to: ENIs, addresses of each, and what follows.

Numbers from amazon-vpc-cni-k8s v1.20 (pkg/vpc/vpc_ip_resource_limit.go, misc/eni-max-pods.txt), vCPUs from EC2's list of instance types.
The first address of each ENI is the ENI's own and never a Pod's; two more Pods use the node's network (aws-node and kube-proxy).
"""

from __future__ import annotations

from types import MappingProxyType

from ...errors import UnsupportedError
from ...value import value
from ..objects import Node

INSTANCE_LABEL = "node.kubernetes.io/instance-type"
DEFAULT_TYPE = "t3.medium"
"""The type of a node without the label: what EKS makes a managed node group of that names none."""
HOST_NETWORK = 2  # aws-node and kube-proxy
PREFIX = 28
PER_PREFIX = 16
FEW_CPUS, LOW_CAP, HIGH_CAP = 30, 110, 250  # max-pods-calculator.sh of the EKS AMI


@value
class Limits:
    """An instance type: how many ENIs it takes, IPv4 addresses (or, beside the first, prefixes) per ENI, vCPUs, and whether it is Nitro."""

    enis: int
    addresses: int
    vcpus: int
    nitro: bool = True

    @property
    def slots(self) -> int:
        """What an ENI holds beside its own address: secondary addresses, or prefixes."""
        return self.addresses - 1


LIMITS = MappingProxyType({
    "t2.medium": Limits(3, 6, 2, nitro=False),
    "t3.nano": Limits(2, 2, 2),
    "t3.micro": Limits(2, 2, 2),
    "t3.small": Limits(3, 4, 2),
    "t3.medium": Limits(3, 6, 2),
    "t3.large": Limits(3, 12, 2),
    "t3.xlarge": Limits(4, 15, 4),
    "t3.2xlarge": Limits(4, 15, 8),
    "c6g.medium": Limits(2, 4, 1),
    "c5.large": Limits(3, 10, 2),
    "m5.large": Limits(3, 10, 2),
    "m5.xlarge": Limits(4, 15, 4),
    "m5.2xlarge": Limits(4, 15, 8),
    "m5.4xlarge": Limits(8, 30, 16),
    "m5.12xlarge": Limits(8, 30, 48),
    "m5.24xlarge": Limits(15, 50, 96),
    "r5.large": Limits(3, 10, 2),
})  # fmt: skip


def limits(instance_type: str) -> Limits:
    """The type's limits. UnsupportedError for one that is not in this small table."""
    try:
        return LIMITS[instance_type]
    except KeyError:
        raise UnsupportedError(f"the ENI limits of {instance_type} are not in the table: choose one of {', '.join(LIMITS)}") from None


def max_pods(instance_type: str, prefix: bool = False) -> int:
    """The most Pods that the addresses of such a node allow: ENIs × (IPv4 addresses per ENI − 1) + 2; 16 for each address with prefixes,
    which only Nitro instances take."""
    found = limits(instance_type)
    return found.enis * found.slots * (PER_PREFIX if prefix and found.nitro else 1) + HOST_NETWORK


def recommended_pods(instance_type: str, prefix: bool = False) -> int:
    """What max-pods-calculator.sh gives, and what a kubelet should be told: no more than 110, or 250 with more than 30 vCPUs."""
    return min(max_pods(instance_type, prefix), LOW_CAP if limits(instance_type).vcpus <= FEW_CPUS else HIGH_CAP)


def instance_type(node: Node | None) -> str:
    """A node's instance type, from its label."""
    return node.labels.get(INSTANCE_LABEL, DEFAULT_TYPE) if node is not None else DEFAULT_TYPE


def kubelet_pods(node: Node, prefix: bool = False) -> int:
    """For how many Pods of the manifests such a node has room: its kubelet's ``maxPods``, less the two system Pods, which run there unseen.

    With secondary addresses that is what the addresses allow (the EKS AMI's eni-max-pods.txt), with prefixes the recommended number.
    """
    kind = instance_type(node)
    most = recommended_pods(kind, prefix) if prefix and limits(kind).nitro else max_pods(kind)
    return most - HOST_NETWORK
