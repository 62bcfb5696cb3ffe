"""Clusters of any size, and one node of them to send packets through: what kube-proxy's work costs, for lessons and measurements.

Services svc-0, svc-1 … in namespace default have the cluster IPs 10.96.0.1 and on, port 80; their endpoints lie in 10.128.0.0/9, port 8080.
The node has one Pod that asks (``client``) and, beyond it, whoever answers (``server``); both model and lab can run these ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from ..linux.addresses import ip_address, ip_network
from ..linux.engine import Trace, trace
from ..linux.netfilter import ChainLines, Ruleset
from ..linux.netfilter import Table as IptablesTable
from ..linux.ops import LinkAdd, LinkSet, Listen, NetnsAdd, NftReplace, Op, RulesRestore, SysctlSet, address, build, route
from ..linux.packet import tcp
from ..linux.state import Network, Socket
from ..value import replace
from . import proxy
from .objects import ObjectMeta, Service, ServicePort
from .proxy.config import ProxyConfig
from .selectors import FrozenDict
from .slices import SERVICE_NAME_LABEL, Endpoint, EndpointPort, EndpointSlice

NODES = 100
SERVICES, PODS = int(IPv4Address("10.96.0.0")), int(IPv4Address("10.128.0.0"))
NODE, CLIENT, SERVER = "node", "client", "server"


def config() -> ProxyConfig:
    """A node of these clusters, node-0, with the default settings."""
    node = ip_address("192.168.50.11")
    return ProxyConfig("node-0", node, (node,), ip_network("10.128.0.0/9"), (ip_network("10.96.0.0/12"),), zone="zone-1")


def services(count: int, start: int = 0) -> list[Service]:
    """ClusterIP Services svc-0 … in namespace default, 10.96.0.1 and on, port 80; with ``start``, those from that number on alone."""
    return [
        Service(
            ObjectMeta(f"svc-{i}", "default"),
            (ServicePort(80, "http", "TCP", 8080),),
            cluster_ips=(cluster_ip(i),),
        )
        for i in range(start, count)
    ]


def slices(count: int, endpoints: int, start: int = 0) -> list[EndpointSlice]:
    """One slice for each of these Services, with as many endpoints, spread over the nodes."""
    port = (EndpointPort("http", 8080, "TCP"),)
    return [
        EndpointSlice(
            ObjectMeta(f"svc-{i}-slice", "default", FrozenDict({SERVICE_NAME_LABEL: f"svc-{i}"})),
            "IPv4",
            tuple(
                Endpoint((endpoint(i, j, endpoints),), True, True, False, f"node-{(i * endpoints + j) % NODES}") for j in range(endpoints)
            ),
            port,
        )
        for i in range(start, count)
    ]


def cluster_ip(service: int) -> IPv4Address:
    """The cluster IP of ``svc-N``."""
    return IPv4Address(SERVICES + 1 + service)


def endpoint(service: int, number: int, endpoints: int) -> IPv4Address:
    """The address of one of a Service's endpoints."""
    return IPv4Address(PODS + service * endpoints + number)


def rules(mode: str, count: int, endpoints: int = 1, *, start: int = 0, lean: bool = False) -> tuple[Op, ...]:
    """What kube-proxy does on the node of a cluster with ``count`` Services, or with those from number ``start`` on.

    ``lean``: the chains behind all Services but the last are there and empty. A packet to the last one never enters them, so it meets the
    same rules; loading them takes a tenth of the time.
    """
    ops = tuple(proxy.ops(mode, NODE, services(count, start), slices(count, endpoints, start), [config()]))
    return tuple(_lean(ops, count - 1)) if lean else ops


def node(count: int, endpoints: int = 1) -> tuple[Op, ...]:
    """The node without kube-proxy, the asking Pod, and beyond the node a server with the addresses of the last Service's endpoints."""
    own = [endpoint(count - 1, number, endpoints) for number in range(endpoints)]
    links = ((NODE, "veth0", CLIENT), (NODE, "eth0", SERVER))
    return (
        *(NetnsAdd(name) for name in (NODE, CLIENT, SERVER)),
        SysctlSet(NODE, "net.ipv4.ip_forward", 1),
        *(LinkAdd(near, dev, "veth", peer=(far, "eth0")) for near, dev, far in links),
        *(LinkSet(name, dev, up=True) for near, dev, far in links for name, dev in ((near, dev), (far, "eth0"))),
        address(NODE, "veth0", "10.244.1.1/24"),
        address(CLIENT, "eth0", "10.244.1.2/24"),
        address(NODE, "eth0", "192.168.50.11/24"),
        address(SERVER, "eth0", "192.168.50.12/24"),
        route(CLIENT, "default", via="10.244.1.1"),
        route(SERVER, "default", via="192.168.50.11"),
        *(address(SERVER, "eth0", f"{ip}/32") for ip in own),
        *(route(NODE, f"{ip}/32", via="192.168.50.12") for ip in own),
        Listen(SERVER, Socket("tcp", 8080, process="server")),
    )


def network(mode: str, count: int, endpoints: int = 1, start: int = 0) -> Network:
    """The node of such a cluster in the model."""
    return build([*node(count, endpoints), *rules(mode, count, endpoints, start=start)])


def first_packet(mode: str, count: int, endpoints: int = 1) -> Trace:
    """A connection's first packet from the Pod to the last Service: the one that iptables' list has at its end."""
    return trace(network(mode, count, endpoints), CLIENT, tcp("10.244.1.2", cluster_ip(count - 1), 80))


def _lean(ops: Iterable[Op], last: int) -> Iterator[Op]:
    for op in ops:
        if isinstance(op, RulesRestore):
            ruleset = op.text if isinstance(op.text, Ruleset) else Ruleset.parse(op.text)
            tables = {name: _lean_iptables(table, f"-d {cluster_ip(last)}/32 ") for name, table in ruleset.tables.items()}
            yield replace(op, text=Ruleset(tables, ruleset.version))
        elif isinstance(op, NftReplace):
            yield replace(op, table=_lean_nftables(op.table, f"-default/svc-{last}/"))
        else:
            yield op


def _lean_iptables(table: IptablesTable, destination: str) -> IptablesTable:
    """Endpoints' chains of other Services go, since nothing leads there any more."""
    lines = {name: table.lines_of(name) for name in table.chains}
    kept = {line.split()[-1] for line in lines.get("KUBE-SERVICES", ()) if destination in line}
    kept |= {line.split()[-1] for name in kept for line in lines[name]} if kept <= lines.keys() else set()
    for name in list(lines):
        if name.startswith("KUBE-SVC-") and name not in kept:
            lines[name] = ()
        elif name.startswith("KUBE-SEP-") and name not in kept:
            del lines[name]
    policies = {name: table.policy(name) for name in table.chains if table.policy(name)}
    return IptablesTable(table.name, ChainLines(lines, policies, 4))


def _lean_nftables(table, part: str):
    chains = {
        name: replace(chain, lines=()) if name.startswith("service-") and "/" in name and part not in name else chain
        for name, chain in table.chains.items()
    }
    return replace(table, chains=chains)
