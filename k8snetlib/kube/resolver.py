"""The resolver inside a Pod: the files that the kubelet writes for it, and glibc's walk through the search list.

Sources: the kubelet's pkg/kubelet/network/dns/dns.go and kubelet_pods.go (resolv.conf and /etc/hosts), and glibc's resolv/res_query.c.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..errors import ModelError
from ..linux.addresses import ip_address
from ..linux.packet import IPAddress
from ..value import value
from .dns import UNKNOWN, Answer, ClusterDNS, absolute, beyond
from .objects import Pod

MAX_NAMESERVERS, MAX_SEARCHES = 3, 32


@value
class ResolvConf:
    """/etc/resolv.conf: the name servers, the first of which is asked; the domains to try a short name in; and options such as ndots:5."""

    nameservers: tuple[IPAddress, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def ndots(self) -> int:
        """A name with fewer dots than this is tried in the search list first; the C library's default is 1, and 15 the most."""
        text = dict(self.options).get("ndots", "")
        return min(int(text), 15) if text.isdigit() else 1

    def __str__(self) -> str:
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {each}" for each in self.nameservers]
        options = [f"{name}:{text}" if text else name for name, text in self.options]
        return "\n".join([*lines, *([f"options {' '.join(options)}"] if options else [])])


NODE_RESOLVER = ResolvConf((ip_address("203.0.113.53"),))
"""What stands in for a node's own /etc/resolv.conf, where nothing else is said."""


@value
class HostsEntry:
    """A line of /etc/hosts: an address and its names."""

    ip: IPAddress
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "\t".join([str(self.ip), *self.names])


@value
class Lookup:
    """How a Pod's resolver came to the addresses of a name: ``hosts`` is the line of /etc/hosts that settled it, else ``steps`` are the
    questions to ``nameserver`` with their answers, in order. ``types`` are asked for each name that is tried."""

    name: str
    types: tuple[str, ...]
    nameserver: IPAddress | None = None
    steps: tuple[Answer, ...] = ()
    hosts: tuple[HostsEntry, ...] = ()

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The addresses found, those of the first type first; empty if there are none, or none that the model can know."""
        found = [each.ip for each in self.hosts] + [ip for step in self._last for ip in step.addresses]
        return tuple(dict.fromkeys(found))

    @property
    def canonical(self) -> str:
        """The name under which the addresses were found, with its final dot, or ``""``."""
        return next((step.name for step in self._last if step.records), "")

    @property
    def status(self) -> str:
        """NOERROR, NXDOMAIN, or UNKNOWN where the last question left the model."""
        if self.hosts or any(step.records for step in self._last):
            return "NOERROR"
        if any(step.status == UNKNOWN for step in self._last):
            return UNKNOWN
        return "NOERROR" if any(step.status == "NOERROR" for step in self.steps) else "NXDOMAIN"

    @property
    def _last(self) -> tuple[Answer, ...]:
        """The answers for the name that was tried last."""
        return tuple(step for step in self.steps if step.name == self.steps[-1].name)

    def __str__(self) -> str:
        if self.hosts:
            return "\n".join(["; /etc/hosts", *map(str, self.hosts)])
        return "\n".join([f"; {self.name} asked of {self.nameserver}", *map(str, self.steps)])


# --- the files


def resolv_conf(pod: Pod, dns: ClusterDNS, node: ResolvConf = NODE_RESOLVER) -> ResolvConf:
    """A Pod's /etc/resolv.conf, by ``dnsPolicy`` and ``dnsConfig``; ``node`` is the file of its node."""
    policy = pod.dns_policy
    if policy == "ClusterFirst" and pod.host_network:
        policy = "Default"  # the kubelet's rule: only ClusterFirstWithHostNet means the cluster there
    if policy == "None":
        conf = ResolvConf()
    elif policy == "Default":
        conf = node
    else:
        own = (f"{pod.namespace}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain)
        conf = ResolvConf(dns.addresses[:1], tuple(dict.fromkeys([*own, *node.searches])), (("ndots", "5"),))
    extra = pod.dns_config
    if extra:
        nameservers = dict.fromkeys([*conf.nameservers, *map(ip_address, extra.nameservers)])
        searches = dict.fromkeys([*conf.searches, *extra.searches])
        conf = ResolvConf(tuple(nameservers), tuple(searches), tuple({**dict(conf.options), **dict(extra.options)}.items()))
    return ResolvConf(conf.nameservers[:MAX_NAMESERVERS], conf.searches[:MAX_SEARCHES], conf.options)


def host_name(pod: Pod) -> str:
    """What ``hostname`` prints in the Pod: ``spec.hostname``, else its name, cut to the kernel's 63 characters."""
    return pod.hostname or pod.name[:63].rstrip("-.")


def hosts_file(pod: Pod, domain: str = "cluster.local") -> tuple[HostsEntry, ...]:
    """A Pod's /etc/hosts: the loopback names, its own name, and its ``hostAliases``; a host-network Pod has no line of its own."""
    entries = [
        HostsEntry(ip_address("127.0.0.1"), ("localhost",)),
        HostsEntry(ip_address("::1"), ("localhost", "ip6-localhost", "ip6-loopback")),
    ]
    name = host_name(pod)
    full = (f"{name}.{pod.subdomain}.{pod.namespace}.svc.{domain}",) if pod.subdomain else ()
    if not pod.host_network:
        entries += [HostsEntry(ip, (*full, name)) for ip in pod.pod_ips]
    return (*entries, *(HostsEntry(ip_address(each.ip), each.hostnames) for each in pod.host_aliases))


# --- the walk


QUERY_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}


def message(name: str, type: str = "A", id: int = 1) -> bytes:
    """A question as it travels: a DNS message with recursion desired (RFC 1035 section 4). ModelError for what is no name."""
    if type.upper() not in QUERY_TYPES:
        raise ModelError(f"there is no question of type {type!r} here: {', '.join(QUERY_TYPES)}")
    labels = absolute(name).removesuffix(".").split(".")
    body = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return struct.pack("!HHHHHH", id, 0x0100, 1, 0, 0, 0) + body + struct.pack("!HH", QUERY_TYPES[type.upper()], 1)


def candidates(name: str, conf: ResolvConf) -> tuple[str, ...]:
    """The absolute names that glibc tries for a name, in order: with a final dot, that alone; with ``ndots`` dots or more, the name itself
    first; else the search list first. A name that comes out too long is left out."""
    if name.endswith("."):
        return (absolute(name),)
    absolute(name)
    expanded = [f"{name.lower()}.{each.strip('.')}." if each.strip(".") else f"{name.lower()}." for each in conf.searches]
    itself = f"{name.lower()}."
    ordered = [itself, *expanded] if name.count(".") >= conf.ndots else [*expanded, itself]
    return tuple(dict.fromkeys(each for each in ordered if len(each) <= 254))


def lookup(dns: ClusterDNS, pod: Pod, name: str, types: Sequence[str] = ("A", "AAAA"), *, node: ResolvConf = NODE_RESOLVER) -> Lookup:
    """What a program in a Pod gets for a name, as getaddrinfo asks: /etc/hosts first, then each name of the search list until one has
    records.

    ``types`` are asked for every name that is tried: glibc asks for A and AAAA at once. ModelError for what is no name, or without any name
    server. A question to a server other than the cluster's stays UNKNOWN, unless ``dns.upstream`` has the name; the cluster's own names
    are unknown there (NXDOMAIN).
    """
    types = tuple(each.upper() for each in types)
    wanted = {"A": 4, "AAAA": 6}
    plain = name.lower().removesuffix(".")
    local = [each for each in hosts_file(pod, dns.domain) if plain in map(str.lower, each.names)]
    fitting = tuple(each for each in local if each.ip.version in [wanted.get(kind) for kind in types])
    if fitting:
        return Lookup(name, types, None, (), fitting)
    conf = resolv_conf(pod, dns, node)
    if not conf.nameservers:
        raise ModelError(f"Pod {pod.key} has no name server in its /etc/resolv.conf")
    server = conf.nameservers[0]
    steps: list[Answer] = []
    for candidate in candidates(name, conf):
        answers = [dns.ask(candidate, kind) if server in dns.addresses else _elsewhere(dns, candidate, kind) for kind in types]
        steps += answers
        if any(each.records or each.status == UNKNOWN for each in answers):
            break
    return Lookup(name, types, server, tuple(steps))


def _elsewhere(dns: ClusterDNS, name: str, kind: str) -> Answer:
    """The answer of a resolver that is not the cluster's."""
    if f".{name}".endswith(f".{dns.domain}."):
        return Answer(name, kind, "NXDOMAIN")
    return beyond(dns.upstream, name, kind)
