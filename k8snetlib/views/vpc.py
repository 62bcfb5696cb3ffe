"""Tables of a VPC: how many ENIs and addresses each node holds and how many Pods that allows, and what is left of each subnet."""

from __future__ import annotations

from ..errors import ModelError
from ..kube.cluster import Cluster
from ..kube.cni import CNIS
from ..kube.cni.vpc_use import node_use, subnet_use
from .tables import Table

TEXT = {
    "nodes": "node|instance type|ENIs|Pods|addresses held|held by ipamd's default|most Pods by addresses|maxPods",
    "nodes-caption": "{title}: each ENI's own address is held, too; by default ipamd keeps a full ENI, or a prefix, more than Pods need",
    "subnets": "subnet|addresses|free|free /28",
    "subnets-caption": "Subnets: AWS keeps five addresses of each",
    "of": "{n} of {most}",
    "warm": "{held} on {enis}",
    "other": "the cluster's plug-in is {cni}: use cluster.with_cni('vpc')",
}


def vpc_nodes(cluster: Cluster) -> Table:
    """The nodes of a cluster in a VPC. ModelError if its plug-in is another."""
    _in_a_vpc(cluster)
    rows = []
    for each in node_use(cluster):
        enis, warm = TEXT["of"].format(n=each.enis, most=each.max_enis), TEXT["warm"].format(held=each.warm_held, enis=each.warm_enis)
        rows.append((each.node, each.instance_type, enis, str(each.pods), str(each.held), warm, str(each.max_pods), str(each.kubelet_pods)))
    return Table(tuple(TEXT["nodes"].split("|")), tuple(rows), TEXT["nodes-caption"].format(title=CNIS[cluster.cni].title))


def vpc_subnets(cluster: Cluster) -> Table:
    """The subnets in which the nodes are, shared by all of them. ModelError if the plug-in is another."""
    _in_a_vpc(cluster)
    rows = tuple((str(each.network), str(each.usable), str(each.free), str(each.free_prefixes)) for each in subnet_use(cluster))
    return Table(tuple(TEXT["subnets"].split("|")), rows, TEXT["subnets-caption"])


def _in_a_vpc(cluster: Cluster) -> None:
    if cluster.cni not in ("vpc", "vpc-prefix"):
        raise ModelError(TEXT["other"].format(cni=cluster.cni))
