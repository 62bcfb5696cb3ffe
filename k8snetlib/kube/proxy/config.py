"""What kube-proxy is told about its node and the cluster (KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1), for one address family."""

from __future__ import annotations

from ...linux.packet import IPAddress
from ...linux.state import IPNetwork
from ...value import value

MASQUERADE_MARK = 1 << 14
"""The mark that asks for masquerading in POSTROUTING (``iptables.masqueradeBit: 14``)."""


@value
class ProxyConfig:
    """One family's proxier on one node; ``version`` is 4 or 6.

    ``local_ips`` are the node's addresses of all families, loopback excepted; ``node_ip`` is its primary one of this family.
    ``node_port_addresses`` empty means the mode's default: all local addresses in iptables and IPVS, the primary one in nftables.
    ``detect_local_mode`` is ClusterCIDR, InterfaceNamePrefix, BridgeInterface or None, with its argument in ``detect_local_arg`` (for
    ClusterCIDR it is ``cluster_cidr``). ``service_cidrs`` are known to the nftables mode, which drops packets to addresses nobody has.
    """

    node_name: str
    node_ip: IPAddress
    local_ips: tuple[IPAddress, ...] = ()
    cluster_cidr: IPNetwork | None = None
    service_cidrs: tuple[IPNetwork, ...] = ()
    detect_local_mode: str = "ClusterCIDR"
    detect_local_arg: str = ""
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    node_port_addresses: tuple[IPNetwork, ...] = ()
    zone: str = ""

    @property
    def version(self) -> int:
        return self.node_ip.version
