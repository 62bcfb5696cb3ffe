"""Cluster DNS: what CoreDNS answers to a question, from Services, EndpointSlices and namespaces.

Follows the Kubernetes DNS-based service discovery specification 1.1.0 as CoreDNS' kubernetes plug-in carries it out under the Corefile that
kubeadm writes: ``kubernetes cluster.local in-addr.arpa ip6.arpa { pods insecure; fallthrough in-addr.arpa ip6.arpa; ttl 30 }``, and
``forward`` for every other name. No packets here: the question and the answer alone. :mod:`k8snetlib.kube.resolver` is the Pod's side.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial
from ipaddress import IPv6Address

from ..errors import ModelError, UnsupportedError
from ..linux.addresses import ip_address
from ..linux.packet import IPAddress
from ..value import value
from .allocation import SERVICE_CIDRS
from .objects import Service
from .slices import Endpoint, EndpointPort, EndpointSlice

TYPES = ("A", "AAAA", "CNAME", "SRV", "PTR", "TXT")
TTL = 30
KUBE_DNS = "kube-system/kube-dns"
"""The Service of CoreDNS, which keeps its predecessor's name."""
SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
MAX_CHAIN = 8
"""CNAMEs that CoreDNS follows within its own zone."""
UNKNOWN = "UNKNOWN"


@value
class Record:
    """A resource record; ``data`` is its text as in a zone file."""

    name: str
    type: str
    data: str
    ttl: int = TTL

    def __str__(self) -> str:
        return f"{self.name}\t{self.ttl}\tIN\t{self.type}\t{self.data}"


@value
class Answer:
    """One question and what came back: ``status`` is NOERROR (without ``records``, the name is there, but not with this type), NXDOMAIN, or
    UNKNOWN for a name that only a resolver beyond the model could answer. ``additional`` are the addresses of SRV records' targets."""

    name: str
    type: str
    status: str = "NOERROR"
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The addresses of its A and AAAA records."""
        return tuple(ip_address(each.data) for each in self.records if each.type in ("A", "AAAA"))

    def __str__(self) -> str:
        lines = [f";; status: {self.status}", f";{self.name}\tIN\t{self.type}", *map(str, (*self.records, *self.additional))]
        return "\n".join(lines)


def absolute(name: str) -> str:
    """The name in lower case and with its final dot. ModelError if it is no domain name (RFC 1035: labels of 1 to 63 characters, and 253
    in all)."""
    plain = name.lower().removesuffix(".")
    if len(plain) > 253 or not all(0 < len(label) <= 63 for label in plain.split(".")) or re.search(r"[\s\"]", plain):
        raise ModelError(f"{name!r} is no domain name")
    return f"{plain}."


@value
class _Found:
    """What the plug-in finds for a name: where it leads (an address or another name), a port, and the name that belongs to it."""

    host: str
    port: int = 0
    name: str = ""


@value
class ClusterDNS:
    """The DNS of one cluster. ``services`` are allocated, ``slices`` those of :class:`~k8snetlib.kube.control.ControlPlane`.

    ``namespaces`` are the names of those that exist besides the four that every cluster has and those of Services. ``upstream`` maps names
    beyond the cluster to the addresses that the forwarded question brings; other such names have the status UNKNOWN.
    """

    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    namespaces: tuple[str, ...] = ()
    domain: str = "cluster.local"
    upstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cache: dict = field(init=False, default_factory=dict, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<ClusterDNS {self.domain}: {len(self.services)} Services>"

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Where Pods send their questions: the addresses of the Service kube-dns, or the tenth of the range, which kubeadm gives to it."""
        service = self._service(KUBE_DNS)
        own = tuple(ip for ip in service.cluster_ips if ip != "None") if service else ()
        return own or (SERVICE_CIDRS[0][10],)

    def ask(self, name: str, type: str = "A") -> Answer:
        """The answer to one question. ModelError for what is no name; UnsupportedError for a type that is not modelled."""
        type = type.upper()
        if type not in TYPES:
            raise UnsupportedError(f"questions of type {type} are not modelled: only {', '.join(TYPES)}")
        name = absolute(name)
        if name.endswith((".in-addr.arpa.", ".ip6.arpa.")):
            return self._reverse(name, type)
        if name != f"{self.domain}." and not name.endswith(f".{self.domain}."):
            return beyond(self.upstream, name, type)
        if type == "TXT":
            version = (Record(name, "TXT", '"1.1.0"', 28800),) if name == f"dns-version.{self.domain}." else ()
            return Answer(name, type, "NOERROR", version)
        return self._answer(name, type)

    # --- forward names

    def _answer(self, name: str, type: str, chain: int = 0) -> Answer:
        found = self._find(name.removesuffix(f"{self.domain}.").removesuffix("."))
        if found is None:
            return Answer(name, type, "NXDOMAIN")
        if type == "SRV":
            return _srv(name, found)
        records: dict[Record, None] = {}
        for each in found:
            kind = _type_of(each.host)
            if kind == type:
                records[Record(name, kind, f"{each.host}." if kind == "CNAME" else each.host)] = None
            elif kind == "CNAME" and type in ("A", "AAAA"):
                records |= dict.fromkeys(self._follow(name, absolute(each.host), type, chain))
        return Answer(name, type, "NOERROR", tuple(records))

    def _follow(self, name: str, target: str, type: str, chain: int) -> tuple[Record, ...]:
        """A CNAME with what its target has: nothing at all if that lies in the zone and has no address, the CNAME alone if only a resolver
        beyond the model could tell."""
        if not f".{target}".endswith(f".{self.domain}."):
            return (Record(name, "CNAME", target), *beyond(self.upstream, target, type).records)
        found = self._answer(target, type, chain + 1).records if chain < MAX_CHAIN else ()
        return (Record(name, "CNAME", target), *found) if found else ()

    def _find(self, base: str) -> list[_Found] | None:
        """What a name below the zone leads to: [] for a name without records of its own, None for one that does not exist."""
        if base in ("", "svc", "pod"):
            return []
        if base == "ns.dns":
            return [_Found(str(ip)) for ip in self.addresses]
        *labels, namespace, kind = base.split(".") if "." in base else ("", base)
        if kind not in ("svc", "pod") or namespace not in self._namespaces or len(labels) > 3:
            return None
        if not labels:
            return []
        if kind == "pod":
            return _pod(labels[-1], f"{base}.{self.domain}.")
        service = self._service(f"{namespace}/{labels[-1]}")
        return self._of_service(service, labels[:-1]) or None if service else None

    def _of_service(self, service: Service, labels: list[str]) -> list[_Found]:
        """``labels`` are those in front of the Service's name: none, one endpoint's host name, or a port and a protocol."""
        endpoint = labels[0] if len(labels) == 1 else ""
        port, protocol = (each.removeprefix("_") for each in labels) if len(labels) == 2 else ("", "")
        own = f"{service.name}.{service.namespace}.svc.{self.domain}."
        if service.type == "ExternalName":
            is_name = _type_of(service.external_name) == "CNAME"  # an address there stands for nothing
            return [_Found(service.external_name, 0, own)] if not labels and is_name else []
        fits = partial(_fits, port, protocol)
        if service.headless or endpoint:
            return [
                _Found(str(address), number.port or 0, f"{_hostname(each, address)}.{own}")
                for each, number, address in self._endpoints(service.key)
                if fits(number) and endpoint in ("", _hostname(each, address))
            ]
        return [_Found(str(ip), each.port, own) for each in service.ports if fits(each) for ip in service.cluster_ips]

    def _endpoints(self, key: str) -> Iterator[tuple[Endpoint, EndpointPort, IPAddress]]:
        """The ready endpoints of a Service, once for each of their ports and addresses."""
        for part in self._by_service.get(key, ()):
            for each in part.endpoints:
                if each.ready is not False and part.address_type != "FQDN":
                    for address in each.addresses:
                        for port in part.ports or (EndpointPort(),):
                            yield each, port, ip_address(address)

    # --- addresses

    def _reverse(self, name: str, type: str) -> Answer:
        ip = address_of(name)
        names = self._names_of(ip) if ip is not None else []
        if not names:
            return beyond(self.upstream, name, type)  # fallthrough
        records = tuple(Record(name, "PTR", each) for each in names) if type == "PTR" else ()
        return Answer(name, type, "NOERROR", records)

    def _names_of(self, ip: IPAddress) -> list[str]:
        """The Service that has the address, or else the names of all endpoints that do, of headless Services or not."""
        if "reverse" not in self.cache:
            index: dict[IPAddress, list[str]] = defaultdict(list)
            for key in self._by_service:
                namespace, _, name = key.partition("/")
                for each, _, address in self._endpoints(key):
                    index[address].append(f"{_hostname(each, address)}.{name}.{namespace}.svc.{self.domain}.")
            for service in self.services:
                for each in service.cluster_ips:
                    if each != "None":
                        index[each] = [f"{service.name}.{service.namespace}.svc.{self.domain}."]
            self.cache["reverse"] = index
        return list(dict.fromkeys(self.cache["reverse"].get(ip, ())))

    # --- indexes, made at the first question

    def _service(self, key: str) -> Service | None:
        if "services" not in self.cache:
            self.cache["services"] = {each.key: each for each in self.services}
        return self.cache["services"].get(key)

    @property
    def _by_service(self) -> Mapping[str, list[EndpointSlice]]:
        if "slices" not in self.cache:
            found: dict[str, list[EndpointSlice]] = defaultdict(list)
            for part in self.slices:
                if part.service_key:
                    found[part.service_key].append(part)
            self.cache["slices"] = dict(found)
        return self.cache["slices"]

    @property
    def _namespaces(self) -> frozenset[str]:
        if "namespaces" not in self.cache:
            self.cache["namespaces"] = frozenset([*SYSTEM_NAMESPACES, *self.namespaces, *(each.namespace for each in self.services)])
        return self.cache["namespaces"]


def beyond(upstream: Mapping[str, Iterable[str]], name: str, type: str) -> Answer:
    """The answer of resolvers outside the cluster, as far as ``upstream`` tells what they know."""
    known = next((each for key, each in upstream.items() if absolute(key) == name), None)
    if known is None:
        return Answer(name, type, UNKNOWN)
    return Answer(name, type, "NOERROR", tuple(Record(name, type, each) for each in known if _type_of(each) == type))


def address_of(name: str) -> IPAddress | None:
    """The address that a name under in-addr.arpa or ip6.arpa stands for, or None if it is no whole one."""
    labels = name.removesuffix(".").split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return ip_address(".".join(reversed(labels[:-2])))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            return IPv6Address(int("".join(reversed(labels[:-2])), 16))
    except ValueError:
        pass
    return None


def _type_of(host: str) -> str:
    try:
        return "A" if ip_address(host).version == 4 else "AAAA"
    except ValueError:
        return "CNAME"


def _hostname(endpoint: Endpoint, address: IPAddress) -> str:
    """The first label of an endpoint's name: its host name, or its address with dashes."""
    return endpoint.hostname or re.sub("[.:]", "-", str(address))


def _fits(name: str, protocol: str, port) -> bool:
    return name in ("", port.name) and protocol in ("", port.protocol.lower())


def _pod(label: str, name: str) -> list[_Found] | None:
    """``10-244-1-2``: with ``pods insecure``, any address has such a name in any namespace that exists."""
    text = label.replace("-", "." if label.count("-") == 3 and "--" not in label else ":")
    try:
        return [_Found(str(ip_address(text)), 0, name)]
    except ValueError:
        return None


def _srv(name: str, found: list[_Found]) -> Answer:
    """An SRV record for each target and port, all of the same priority and weight, and the targets' addresses."""
    weight = max(100 // len(found), 1) if found else 0
    records: dict[Record, None] = {}
    extra: dict[Record, None] = {}
    for each in found:
        if each.port:  # neither an ExternalName nor an endpoint without ports has one
            records[Record(name, "SRV", f"0 {weight} {each.port} {each.name}")] = None
            extra[Record(each.name, _type_of(each.host), each.host)] = None
    return Answer(name, "SRV", "NOERROR", tuple(records), tuple(extra))
