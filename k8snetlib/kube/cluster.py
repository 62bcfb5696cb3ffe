"""The cluster: manifests in, Pods placed and addressed, a plug-in's ops out, and a network through which packets can be traced.

``Cluster`` is the desired state and what follows from it. Its network is built part by part
(:mod:`~k8snetlib.kube.parts`), each part when a packet first gets there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..linux.addresses import endpoint
from ..linux.engine import Chance, always
from ..linux.engine import trace as trace_packet
from ..linux.engine import traces as trace_all
from ..linux.events import Trace
from ..linux.fib import source_for
from ..linux.ops import Op, commands
from ..linux.packet import IPAddress, Packet, Sctp, ping, tcp, udp
from ..linux.state import Network
from ..value import replace, value
from .agents import NO_PROXY, proxy_ops
from .announce import announce_ops, elected, strict_arp
from .balancers import balanced
from .cni import CNIS
from .cni.sandbox import UNDERLAY, Host, Sandbox, ports_of, socket_ops, underlay_ops, uplink_ops
from .control import ControlPlane, control_plane
from .hosts import plan_hosts
from .manifests import Manifests, Skipped, load, loads
from .objects import Namespace, Node, Pod, Service, Workload
from .outside import outside_ops, pool_of, serving
from .parts import Parts
from .pools import BalancerPool
from .proxy import MODES
from .sandboxes import sandboxes_of, sockets_of
from .selectors import EMPTY
from .slices import Endpoints, EndpointSlice
from .targets import Target, find_target

if TYPE_CHECKING:
    from .dns import ClusterDNS
    from .edge import Edge
    from .edge.journey import Journey
    from .resolver import Lookup

FAMILIES = {"IPv4": 4, "IPv6": 6}


@value
class Cluster:
    """Nodes, Pods with their places and addresses, the plug-in (``cni``) that connects them, and kube-proxy's mode (``proxy``).

    ``Cluster.load("shop.yaml", cni="vxlan")`` makes one of manifests, ``cluster.trace("pod/web", "svc/api:80")`` sends a packet in it, and
    ``cluster.network`` is its state. ``families`` are the address families of Pods, primary first. ``pending`` says of Pods without a place why they have none.
    ``services`` and ``slices`` are as the manifests have them; ``control`` is what the control plane makes of them. ``outside``: there is
    a client on the Internet. ``pools`` are the load balancers there are; without one, a LoadBalancer Service stays ``<pending>``.
    """

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    cni: str = "vxlan"
    families: tuple[str, ...] = ("IPv4",)
    hosts: tuple[Host, ...] = ()
    sandboxes: Mapping[str, Sandbox] = field(default_factory=dict)  # by Pod key; host-network Pods have none
    pending: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    proxy: str = NO_PROXY
    slices: tuple[EndpointSlice, ...] = ()
    endpoints: tuple[Endpoints, ...] = ()
    outside: bool = False
    pools: tuple[BalancerPool, ...] = ()
    manifests: Manifests | None = field(default=None, compare=False, repr=False)  # what it was made of
    as_made: tuple = field(default=(), compare=False, repr=False)  # its Services and Pods at first; others have been changed since
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:  # a notebook shows it, and there may be thousands of Pods
        parts = f"{len(self.nodes)} nodes, {len(self.pods)} Pods, {len(self.services)} Services"
        return f"<Cluster {parts}; cni={self.cni!r}, proxy={self.proxy!r}, families={self.families!r}>"

    @classmethod
    def load(cls, *sources, progress=None, **settings) -> Cluster:
        """The cluster that these manifest files or folders describe; ``settings`` are those of ``of``.

        Without Node objects it has two nodes, node-a and node-b (and one for every ``nodeName`` that is mentioned).
        ManifestError or UnsupportedError, with file, line and field, when a manifest is wrong.
        """
        return cls.of(load(*sources, progress=progress), **settings)

    @classmethod
    def loads(cls, text: str, *, file: str = "<text>", **settings) -> Cluster:
        """As ``load``, from manifest text."""
        return cls.of(loads(text, file), **settings)

    @classmethod
    def of(
        cls,
        manifests: Manifests,
        *,
        cni: str = "vxlan",
        proxy: str = "iptables",
        families: Sequence[str] = ("IPv4",),
        outside: bool = False,
        balancer: bool | str | BalancerPool = False,
    ) -> Cluster:
        """The cluster of objects that have been read already.

        ``proxy`` is kube-proxy's mode, or "none" for a cluster without it; ``outside`` adds a client on the Internet, and ``balancer``
        a load balancer that gives LoadBalancer Services an address: "VIP" (or true) passes packets on to nodes, "Proxy" ends connections
        and opens its own to node ports, "Pods" to Pods, and with "ARP" an elected node answers for the address. ModelError for a name or
        family that there is not.
        """
        _check_names(cni, proxy)
        families = (families,) if isinstance(families, str) else tuple(families)
        if not families or any(family not in FAMILIES for family in families) or len(set(families)) < len(families):
            raise ModelError(f"address families are {' and '.join(FAMILIES)}, each once, not {', '.join(families) or 'none'}")
        plugin = CNIS[cni]
        placed = plan_hosts(manifests, tuple(FAMILIES[family] for family in families), plugin.allocate, plugin.register)
        sandboxes, clashes = sandboxes_of(placed.pods, placed.hosts, placed.prefixes, plugin)
        kind = "VIP" if balancer is True else balancer
        versions = [FAMILIES[family] for family in families]
        pools = (kind if isinstance(kind, BalancerPool) else pool_of(kind, placed.hosts, versions),) if kind else ()
        services = manifests.of(Service)
        made = cls(
            placed.nodes, placed.pods, manifests.of(Workload), services, manifests.of(Namespace), cni, tuple(families), placed.hosts,
            sandboxes, placed.pending, manifests.skipped, (*manifests.notes, *placed.notes, *clashes), proxy,
            manifests.of(EndpointSlice), manifests.of(Endpoints), outside, pools, manifests,
            (services, placed.pods),
        )  # fmt: skip
        return made if proxy == NO_PROXY else replace(made, notes=(*made.notes, *made.control.notes))

    @property
    def control(self) -> ControlPlane:
        """Services with all that is allocated to them, and the EndpointSlices behind them.

        ManifestError where two Services ask for one address or port, or for one that the cluster does not have.
        """
        if "control" not in self.cache:
            self.cache["control"] = control_plane(
                self.services, self.pods, self.nodes, self.slices, self.families, endpoints=self.endpoints, pools=self.balancers
            )
        return self.cache["control"]

    @property
    def balancers(self) -> tuple[BalancerPool, ...]:
        """The load balancers' pools, each with the reason why it can serve nobody on this network, if there is one."""
        return tuple(serving(pool, self.cni, self.hosts) for pool in self.pools)

    @property
    def leaders(self) -> Mapping[IPAddress, str]:
        """Load balancer address → the node that was elected to answer ARP for it."""
        if not any(pool.arp for pool in self.pools):
            return {}
        if "leaders" not in self.cache:
            self.cache["leaders"] = elected(self.control.services, self.control.slices, self.hosts, self.pools)
        return self.cache["leaders"]

    @property
    def dns(self) -> ClusterDNS:
        """The cluster's DNS server, as CoreDNS answers."""
        from .dns import ClusterDNS

        if "dns" not in self.cache:
            names = tuple(each.name for each in self.namespaces)
            self.cache["dns"] = ClusterDNS(self.control.services, self.control.slices, names)
        return self.cache["dns"]

    @property
    def edge(self) -> Edge:
        """What controllers make of the cluster's Ingresses and Gateways: tables of rules, and statuses."""
        from .edge import edge_of

        if "edge" not in self.cache:
            self.cache["edge"] = edge_of(self)
        return self.cache["edge"]

    def journey(self, url: str, method: str = "GET", headers: Mapping[str, str] = EMPTY, **choices) -> Journey:
        """The journey of an HTTP request through its controller: ``cluster.journey("https://www.example.com/api")``. The further choices
        are those of :func:`k8snetlib.kube.edge.journey.journey`."""
        from .edge.journey import journey

        return journey(self, url, method, headers, **choices)

    def lookup(self, source: str, name: str, types: Sequence[str] = ("A", "AAAA"), namespace: str = "") -> Lookup:
        """What a program in a Pod gets for a name: the search list walked, every question with its answer.

        ModelError for what is no name, or a sender that is no Pod.
        """
        from .resolver import lookup

        return lookup(self.dns, self._pod(source, namespace), name, types)

    def question(self, source: str, name: str, type: str = "A", namespace: str = "", network: Network | None = None, **fields) -> Trace:
        """What happens to a Pod's question to its name server: the UDP packet, with the bytes of a DNS message, to the DNS Service."""
        from .resolver import message, resolv_conf

        pod = self._pod(source, namespace)
        conf = resolv_conf(pod, self.dns)
        if not conf.nameservers:
            raise ModelError(f"Pod {pod.key} has no name server in its /etc/resolv.conf")
        server = conf.nameservers[0]
        return self.trace(source, endpoint(server, 53), "udp", namespace, network, data=message(name, type), **fields)

    def _pod(self, source: str, namespace: str) -> Pod:
        pod = self.find(source, namespace).pod
        if pod is None:
            raise ModelError(f"{source} is no Pod: the cluster's DNS is what Pods ask")
        return pod

    # The network

    def node_ops(self, name: str) -> tuple[Op, ...]:
        """What one node's agents write: its uplink, the plug-in's work for it and its Pods, the sockets of host-network Pods, kube-proxy's
        rules."""
        network = self._network_ops(name)
        return (*network, *self._host_sockets(name), *self._proxy_ops(name, network))

    def _network_ops(self, name: str) -> tuple[Op, ...]:
        host = self._host(name)
        _, segment = self.ports[name]
        plugin, own = CNIS[self.cni], self.sandboxes_on(name)
        return (*self.uplink_ops(host), *plugin.uplinks(host, segment), *plugin.plan(host, self.hosts, own), *self._announce_ops(host))

    def sandboxes_on(self, name: str) -> Sequence[Sandbox]:
        """The sandboxes of the Pods on one node."""
        if "by host" not in self.cache:
            by_host: dict[str, list[Sandbox]] = {}
            for sandbox in self.sandboxes.values():
                by_host.setdefault(sandbox.host, []).append(sandbox)
            self.cache["by host"] = by_host
        return self.cache["by host"].get(name, ())

    def _announce_ops(self, host: Host) -> Iterable[Op]:
        if any(pool.arp for pool in self.pools):
            yield from announce_ops(host, self.leaders)
            if self.proxy == "ipvs":
                yield from strict_arp(host)

    def uplink_ops(self, host: Host) -> tuple[Op, ...]:
        """A node's cable to its segment, the addresses on it, default routes and forwarding: asked for by the node and by what is below."""
        known = self.cache.setdefault("uplinks", {})
        if host.name not in known:
            known[host.name] = tuple(uplink_ops(host, *self.ports[host.name]))
        return known[host.name]

    def proxy_ops(self, name: str) -> tuple[Op, ...]:
        """What kube-proxy writes on one node."""
        return self._proxy_ops(name, self._network_ops(name))

    def _proxy_ops(self, name: str, network: Sequence[Op]) -> tuple[Op, ...]:
        if self.proxy == NO_PROXY:
            return ()  # before the control plane is asked for its Services and slices
        return tuple(proxy_ops(self.proxy, self._host(name), self.hosts, self.control, network))

    def underlay_ops(self) -> tuple[Op, ...]:
        """The network below the nodes and, if there is one, the client beyond it."""
        if not self.outside:
            return tuple(underlay_ops(self.hosts))
        ways = balanced(self.control.services, self.control.slices, self.hosts, self.pools, self.proxy != NO_PROXY)
        return (*underlay_ops(self.hosts), *outside_ops([FAMILIES[family] for family in self.families], self.hosts, ways))

    def fabric_ops(self) -> tuple[Op, ...]:
        """What the plug-in has told the network below the nodes."""
        return tuple(CNIS[self.cni].fabric(self.hosts))

    def ops(self) -> tuple[Op, ...]:
        """The whole configuration as one list, the underlay first."""
        return (*self.underlay_ops(), *(op for host in self.hosts for op in self.node_ops(host.name)), *self.fabric_ops())

    def commands(self, name: str) -> str:
        """A node's or Pod's configuration as the commands one would type; a Pod's include what is done to its cable's end on the node."""
        if name == UNDERLAY:
            return commands((*self.underlay_ops(), *self.fabric_ops()))
        sandbox = next((s for s in self.sandboxes.values() if name in (s.netns, f"{s.pod.namespace}/{s.pod.name}")), None)
        if sandbox is None:
            return commands(self.node_ops(name))
        ends = ((sandbox.netns, None), (sandbox.host, sandbox.veth))
        own = [op for op in self.node_ops(sandbox.host) if any(op.netns == n and d in (None, getattr(op, "name", "")) for n, d in ends)]
        return commands(own)

    @property
    def network(self) -> Network:
        """The actual state right after configuration, before any packet: no neighbour or connection is known yet."""
        if "network" not in self.cache:
            self.cache["network"] = Parts(self).network()
        return self.cache["network"]

    @property
    def ports(self) -> dict[str, tuple[str, str]]:
        """Node → (its switch port, its segment)."""
        if "ports" not in self.cache:
            self.cache["ports"] = ports_of(self.hosts)
        return self.cache["ports"]

    def _host(self, name: str) -> Host:
        if "hosts" not in self.cache:
            self.cache["hosts"] = {host.name: host for host in self.hosts}
        try:
            return self.cache["hosts"][name]
        except KeyError:
            raise ModelError(f"there is no node {name!r} (there are {_some(host.name for host in self.hosts)})") from None

    def _host_sockets(self, name: str) -> Iterable[Op]:
        if "host network" not in self.cache:
            by_node: dict[str, list[Pod]] = {}
            for pod in self.pods:
                if pod.host_network:
                    by_node.setdefault(pod.node_name, []).append(pod)
            self.cache["host network"] = by_node
        sockets, _ = sockets_of(self.cache["host network"].get(name, ()))
        return socket_ops(Sandbox(name, name, "", (), sockets))

    # Packets

    def netns(self, pod: Pod) -> str:
        """The namespace in which the Pod's processes live: its own, or its node's for a host-network Pod. ModelError if it is pending."""
        if pod.key in self.sandboxes:
            return self.sandboxes[pod.key].netns
        if pod.host_network and pod.node_name:
            return pod.node_name
        raise ModelError(f"Pod {pod.key} runs nowhere: {self.pending.get(pod.key) or f'it is {pod.phase or chr(34) + chr(34)}'}")

    def pods_named(self, name: str) -> Sequence[Pod]:
        """The Pods of that name in all namespaces."""
        if "names" not in self.cache:
            names: dict[str, list[Pod]] = {}
            for pod in self.pods:
                names.setdefault(pod.name, []).append(pod)
            self.cache["names"] = names
        return self.cache["names"].get(name, ())

    def pod_at(self, address: IPAddress) -> Pod | None:
        """The Pod that has the address for its own; None for a node's (host-network Pods included) or nobody's."""
        if "addresses" not in self.cache:
            self.cache["addresses"] = {ip: pod for pod in self.pods if pod.key in self.sandboxes for ip in pod.pod_ips}
        return self.cache["addresses"].get(address)

    def find(self, reference: str, namespace: str = "") -> Target:
        """What ``pod/web``, ``pod/api:8080``, ``node/node-a:22`` or ``10.244.1.2:80`` means here.

        ModelError, with what was perhaps meant, if there is no such thing.
        """
        return find_target(self, reference, namespace)

    def packet(self, source: str, target: str, proto: str = "", namespace: str = "", **fields) -> tuple[str, Packet, str]:
        """The first packet of a connection: (the namespace that sends it, the packet, the sending process).

        ``family``, "IPv4" or "IPv6", is among the fields: of a Pod or Service with addresses of both, which is meant (default: the
        cluster's first). ModelError for a family that the cluster or the target does not have.
        """
        sender, receiver = self.find(source, namespace), self.find(target, namespace)
        if not sender.netns:
            raise ModelError(f"{source}: nobody here sends from there: a packet comes from a Pod, a node or the client outside")
        asked = fields.pop("family", "")
        family = asked or self.families[0]
        if family not in self.families:
            raise ModelError(f"this cluster has {' and '.join(self.families)}, no {family}")
        dst = receiver.address(FAMILIES[family])
        if asked and dst.version != FAMILIES[asked]:
            raise ModelError(f"{receiver.text} has no {asked} address, only {', '.join(map(str, receiver.addresses))}")
        src = source_for(self.network.namespace(sender.netns), dst)
        if src is None:
            src = sender.address(dst.version)
        proto = proto or receiver.proto
        if proto == "icmp":
            return sender.netns, ping(src, dst, **fields), sender.process
        if receiver.port is None:
            raise ModelError(f"to which port of {target}? Write {target}:PORT{receiver.ports_hint()}")
        if proto == "sctp":
            return sender.netns, Packet(src, dst, Sctp(fields.pop("sport", 40000), receiver.port), **fields), sender.process
        if proto not in ("tcp", "udp"):
            raise ModelError(f"a packet can be tcp, udp, sctp or icmp, not {proto!r}")
        make = tcp if proto == "tcp" else udp
        return sender.netns, make(src, dst, receiver.port, **fields), sender.process

    def trace(
        self,
        source: str,
        target: str,
        proto: str = "",
        namespace: str = "",
        network: Network | None = None,
        chance: Chance = always,
        now: float = 0,
        **fields,
    ) -> Trace:
        """What happens to the first packet from ``source`` to ``target``: ``cluster.trace("pod/web", "svc/api:80")``.

        ``proto`` is tcp, udp, sctp or icmp (default: what the port declares, or icmp without a port where the target declares none); further
        ``fields`` go to the packet (``sport``, ``ttl``, ``data``…), save ``family`` ("IPv6" where Pods have addresses of both). ``network``
        is the state to start from, such as ``after(…)`` an earlier trace; ``now`` is the time in seconds, for what expires; ``chance``
        answers what rules leave to chance (default: the first choice).
        """
        at, packet, process = self.packet(source, target, proto, namespace, **fields)
        return self._honoured(trace_packet(network if network is not None else self.network, at, packet, chance, process, now))

    def traces(
        self, source: str, target: str, proto: str = "", namespace: str = "", network: Network | None = None, now: float = 0, **fields
    ):
        """Every outcome with its exact weight, as ``linux.engine.traces`` gives them."""
        at, packet, process = self.packet(source, target, proto, namespace, **fields)
        found = trace_all(network if network is not None else self.network, at, packet, now, process)
        for _, each in found:
            self._honoured(each)
        return found

    def _honoured(self, trace: Trace) -> Trace:
        """The same trace; UnsupportedError where a real node would have passed the packet on to a Pod's host port."""
        if "host ports" not in self.cache:  # asked once, as there may be thousands of Pods
            self.cache["host ports"] = any(pod.host_ports for pod in self.pods)
        if self.cache["host ports"]:
            from .portmap import check_host_ports

            check_host_ports(self, trace)
        return trace

    def with_cni(self, cni: str) -> Cluster:
        """The same cluster with another plug-in; Pods may have other addresses there."""
        _check_names(cni, self.proxy)
        if self.manifests is None or self.cni == cni:
            return replace(self, cni=cni)
        balancer = self.pools[0] if self.pools else False
        made = Cluster.of(self.manifests, cni=cni, proxy=self.proxy, families=self.families, outside=self.outside, balancer=balancer)
        return self._changes_to(made)

    def _changes_to(self, made: Cluster) -> Cluster:
        """Another cluster of the same manifests with what was changed here since: Services, and Pods with their addresses there."""
        services, pods = self.as_made
        if self.services is services and self.pods is pods:
            return made
        at_first, now = {pod.key: pod for pod in pods}, {pod.key: pod for pod in self.pods}
        there = [pod for pod in made.pods if pod.key in now]
        moved = tuple(
            pod if now[pod.key] is at_first.get(pod.key) else replace(now[pod.key], node_name=pod.node_name, pod_ips=pod.pod_ips)
            for pod in there
        )
        boxes = {pod.key: replace(made.sandboxes[pod.key], pod=pod) for pod in moved if pod.key in made.sandboxes}
        return replace(made, services=self.services, pods=moved, sandboxes=boxes)

    def with_proxy(self, proxy: str) -> Cluster:
        """The same cluster with kube-proxy in another mode, or without ("none")."""
        _check_names(self.cni, proxy)
        return replace(self, proxy=proxy)


def _check_names(cni: str, proxy: str) -> None:
    if cni not in CNIS:
        raise ModelError(f"there is no plug-in {cni!r} here: choose one of {', '.join(CNIS)}")
    if proxy not in MODES and proxy != NO_PROXY:
        raise ModelError(f"kube-proxy has no mode {proxy!r} here: choose one of {', '.join(MODES)}, or {NO_PROXY}")


def _some(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
