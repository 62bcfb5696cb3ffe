"""Dated facts: what lessons state of the world outside the model, each with the version it holds from and a source.

A fact that a lesson can compute is computed there, not listed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from k8snetlib.course.strings import suggestion, text
from k8snetlib.errors import ModelError

CHECKED = "November 2026"
"""When every source was last read."""

TEXT = {
    "unknown": "there is no fact {key!r}{suggestion}",
    "part": "a fact needs a claim, a statement, a version and a source: {statement!r}",
}

_GITHUB = "https://github.com/"


@dataclass(frozen=True, slots=True)
class Source:
    """A public page: what it is called and its address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What is often written (``claim``), what holds (``statement``), from which version or day (``since``), and who says so."""

    claim: str
    statement: str
    since: str
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not (self.claim and self.statement and self.since and self.sources):
            raise ModelError(TEXT["part"].format(statement=self.statement))


@dataclass(frozen=True, slots=True)
class FactTable:
    """Facts as a lesson shows them: a table, or lines of text."""

    rows: tuple[Fact, ...]

    def html(self) -> str:
        """A table with one row for each fact."""
        names = ("claim", "statement", "since", "sources")
        head = "".join(f'<th style="text-align:left">{text(f"fact.{name}")}</th>' for name in names)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        note = text("fact.checked", date=CHECKED)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p><small>{note}</small></p>"

    def __str__(self) -> str:
        names = {row: ", ".join(source.name for source in row.sources) for row in self.rows}
        return "\n".join(f"“{row.claim}”\n  {row.statement} ({row.since}; {names[row]})" for row in self.rows)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def _cells(row: Fact) -> str:
    sources = "<br>".join(f'<a href="{escape(source.address)}">{escape(source.name)}</a>' for source in row.sources)
    cells = escape(f"“{row.claim}”"), escape(row.statement), escape(row.since), sources
    return "".join(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells)


def facts(*keys: str) -> FactTable:
    """The facts of these keys, to be shown as the last expression of a cell.

    Raises :class:`~k8snetlib.errors.ModelError` for an unknown key.
    """
    for key in keys:
        if key not in FACTS:
            raise ModelError(TEXT["unknown"].format(key=key, suggestion=suggestion(key, FACTS)))
    return FactTable(tuple(FACTS[key] for key in keys))


def _kep(number: int, folder: str) -> Source:
    return Source(f"KEP-{number}", f"{_GITHUB}kubernetes/enhancements/tree/master/keps/{folder}")


def _kep_page(number: int) -> Source:
    return Source(f"KEP-{number}", f"https://www.kubernetes.dev/resources/keps/{number}/")


def _github(repository: str, kind: str, number: int) -> Source:
    return Source(f"{repository}#{number}", f"{_GITHUB}{repository}/{kind}/{number}")


def _file(repository: str, path: str, branch: str = "main") -> Source:
    return Source(f"{repository.split('/')[1]}: {path.split('/')[-1]}", f"{_GITHUB}{repository}/blob/{branch}/{path}")


_SANDBOX = _file("containerd/containerd", "internal/cri/server/sandbox_run.go")
_VIRTUAL_IPS = Source("Virtual IPs and Service Proxies", "https://kubernetes.io/docs/reference/networking/virtual-ips/")
_INGRESS = Source("Ingress", "https://kubernetes.io/docs/concepts/services-networking/ingress/")
_NFTABLES, _DEFAULT = _kep(3866, "sig-network/3866-nftables-proxy"), _kep(5343, "sig-network/5343-nftables-to-default")

FACTS: dict[str, Fact] = {
    "netns-before-pause": Fact(
        "The pause container creates the Pod's network namespace.",
        "The container runtime does: containerd makes the namespace, has CNI fill it, and only then starts the pause container in it. "
        "CRI-O can do without a pause container.",
        "CRI-O 1.19; containerd as of 2026",
        (_SANDBOX, _github("openshift/machine-config-operator", "pull", 2177)),
    ),
    "runtime-calls-cni": Fact(
        "The kubelet calls the CNI plug-in.",
        "The kubelet asks the container runtime for a Pod sandbox (CRI); the runtime calls the plug-in.",
        "containerd as of 2026",
        (_SANDBOX,),
    ),
    "bridge-is-one-way": Fact(
        "Pods on one node are connected by the bridge docker0.",
        "It depends on the CNI plug-in. Flannel uses the bridge cni0. Calico has none: each Pod gets a /32 and the gateway 169.254.1.1. "
        "The AWS VPC CNI has none either: a /32, a static ARP entry for 169.254.1.1, and one routing table for each network card.",
        "as of 2026",
        (
            _github("kubernetes/kubernetes", "issues", 63479),
            _file("tigera/docs", "calico/reference/faq.mdx"),
            _file("aws/amazon-vpc-cni-k8s", "docs/cni-proposal.md", "master"),
        ),
    ),
    "native-sidecars": Fact(
        "A sidecar is just a second container.",
        "It is an init container with restartPolicy: Always. It starts before the app, stops after it, and shares the Pod's network "
        "namespace.",
        "Kubernetes 1.33 (stable)",
        (_kep(753, "sig-node/753-sidecar-containers"),),
    ),
    "flannel-port": Fact(
        "VXLAN runs on UDP port 4789.",
        "4789 is IANA's number. Flannel on Linux takes the kernel's default, 8472.",
        "Flannel as of 2026",
        (_file("flannel-io/flannel", "Documentation/backends.md", "master"),),
    ),
    "calico-encapsulation": Fact(
        "Calico means IPIP.",
        "IPIP, VXLAN and no encapsulation at all are settings, independent of BGP. The operator's sample configuration uses "
        "VXLANCrossSubnet; the documentation recommends no overlay where the network allows it.",
        "Calico 3.24",
        (
            Source("Calico 3.24.1: custom-resources.yaml", f"{_GITHUB}projectcalico/calico/blob/v3.24.1/manifests/custom-resources.yaml"),
            Source("Calico: VXLAN and IPIP", "https://docs.tigera.io/calico/latest/networking/configuring/vxlan-ipip"),
        ),
    ),
    "calico-default-route": Fact(
        "A cluster without Internet access needs no default route.",
        "With Calico its nodes do: they answer a Pod's ARP question for 169.254.1.1 only if they have a route to that address, which is "
        "the default route. Any route to it will do.",
        "Calico as of 2026",
        (_github("projectcalico/calico", "issues", 3270), _github("projectcalico/calico", "issues", 7866)),
    ),
    "bgp-mesh-size": Fact(
        "BGP between nodes does not scale.",
        "The full mesh does not: Calico's documentation recommends it for about 100 nodes and fewer. Route reflectors, or the routers of "
        "the racks, need a few sessions for each node.",
        "Calico 3.31",
        (
            Source("Calico: BGP peering", "https://docs.tigera.io/calico/latest/networking/configuring/bgp"),
            _github("kubernetes/kops", "pull", 6047),
        ),
    ),
    "pods-per-node": Fact(
        "A node runs up to 110 Pods.",
        "110 is the kubelet's default. With the VPC CNI and secondary addresses the instance type decides, from 4 (t3.nano) "
        "to 737 (m5.24xlarge). With prefixes there are addresses enough, and AWS recommends 110, or 250 with more than 30 vCPUs.",
        "VPC CNI 1.20",
        (
            _file("aws/amazon-vpc-cni-k8s", "misc/eni-max-pods.txt", "master"),
            Source("EKS: prefixes", "https://docs.aws.amazon.com/eks/latest/userguide/cni-increase-ip-addresses.html"),
        ),
    ),
    "weave-unmaintained": Fact(
        "Weave Net is an easy CNI plug-in to start with.",
        "Its repositories are archived and its company is gone; a fork gets maintenance only.",
        "2024",
        (_github("cncf/landscape", "pull", 4023), _github("weaveworks/weave", "issues", 4003)),
    ),
    "pods-have-no-service-route": Fact(
        "Pods have a route to the Service range.",
        "They have none: the packet takes the default route to the node, where DNAT replaces the address before the node looks for a "
        "route. Only the IPVS mode gives nodes, not Pods, a local route, by putting the addresses on kube-ipvs0.",
        "Kubernetes as of 2026",
        (_github("kubernetes/kubernetes", "issues", 26292), _github("kubernetes/kubernetes", "issues", 65158)),
    ),
    "cluster-ip-ping": Fact(
        "A ClusterIP that does not answer ping is broken.",
        "A ClusterIP is an address with ports, and nobody answers ICMP there: not in the iptables mode, and since 1.27 not in the IPVS "
        "mode either, which did before.",
        "Kubernetes 1.27 (IPVS)",
        (
            _github("kubernetes/kubernetes", "issues", 47156),
            _github("kubernetes/website", "issues", 41002),
            _github("kubernetes/kubernetes", "issues", 72236),
        ),
    ),
    "endpoints-deprecated": Fact(
        "kubectl get endpoints shows what kube-proxy uses.",
        "kube-proxy reads EndpointSlices. The older Endpoints API is deprecated and answers with a warning; it knows no dual stack, no "
        "terminating endpoints and no more than 1000 addresses.",
        "Kubernetes 1.33 (deprecated)",
        (_kep(4974, "sig-network/4974-deprecate-endpoints"),),
    ),
    "random-endpoint": Fact(
        "kube-proxy hands connections out round robin.",
        "The iptables and nftables modes pick an endpoint at random, for each connection and not for each request. If it does not answer, "
        "no other is tried. Only IPVS has a round robin, and each node has its own.",
        "Kubernetes 1.36",
        (Source("Virtual IPs and Service Proxies", "https://kubernetes.io/docs/reference/networking/virtual-ips/"),),
    ),
    "external-name-alias": Fact(
        "An ExternalName Service forwards to another host.",
        "It is a CNAME record and nothing else: no ClusterIP, no rules, no change of port. The client connects to the other host itself, "
        "and HTTP's Host header and TLS still carry the name that the client used.",
        "Kubernetes as of 2026",
        (Source("Service: ExternalName", "https://kubernetes.io/docs/concepts/services-networking/service/#externalname"),),
    ),
    "proxy-modes": Fact(
        "kube-proxy has three modes: userspace, iptables and IPVS.",
        "On Linux: iptables (the default), nftables (stable) and IPVS (deprecated). The userspace mode is gone.",
        "Kubernetes 1.26 (userspace removed), 1.33 (nftables stable), 1.35 (IPVS deprecated)",
        (_github("kubernetes/kubernetes", "pull", 112133), _NFTABLES, _github("kubernetes/kubernetes", "pull", 134539)),
    ),
    "ipvs-deprecated": Fact(
        "IPVS is the mode for large clusters.",
        "It is deprecated, with nftables as its successor. The feature gate KubeProxyIPVS is planned to be off by default in 1.40 "
        "and the mode to be gone in 1.43.",
        "Kubernetes 1.35 (deprecated), 1.37 (feature gate)",
        (_kep(5495, "sig-network/5495-deprecate-ipvs-mode-in-kube-proxy"), _github("kubernetes/enhancements", "pull", 6120)),
    ),
    "nftables-not-default": Fact(
        "nftables is the default mode of kube-proxy.",
        "It is stable and needs Linux 5.13, but iptables remains the default. Since 1.37 kube-proxy warns those who get it without asking; "
        "the switch is planned for 1.40.",
        "Kubernetes 1.33 (stable), 1.37 (warning)",
        (_NFTABLES, _DEFAULT),
    ),
    "balancer-node-ports": Fact(
        "A LoadBalancer Service is a NodePort Service with a balancer in front.",
        "By default. With allocateLoadBalancerNodePorts: false it has no node ports, for balancers that do not need them.",
        "Kubernetes 1.24 (stable)",
        (_kep_page(1864),),
    ),
    "balancer-short-circuit": Fact(
        "A Pod that calls a load balancer's address goes through the load balancer.",
        "The rules of its own node know the address and send the packet to an endpoint. What the balancer would have done, such as ending "
        "TLS or adding the PROXY protocol, is missing then. A balancer that reports ipMode: Proxy is left alone.",
        "Kubernetes 1.32 (ipMode stable)",
        (
            _kep_page(1860),
            _github("digitalocean/digitalocean-cloud-controller-manager", "issues", 811),
            _github("hetznercloud/hcloud-cloud-controller-manager", "issues", 727),
        ),
    ),
    "node-port-addresses": Fact(
        "A node port is open on every address of every node, localhost included.",
        "In the iptables mode. The nftables mode answers at a node's primary address alone, unless nodePortAddresses says more; and "
        "127.0.0.1 works in the iptables mode over IPv4 alone.",
        "Kubernetes 1.33 (nftables stable)",
        (_VIRTUAL_IPS, _NFTABLES),
    ),
    "local-falls-back": Fact(
        "With externalTrafficPolicy: Local, a node without a ready endpoint drops what comes.",
        "If endpoints there are terminating and still serve, they get it: that gives the balancer time to notice.",
        "Kubernetes 1.28 (stable)",
        (_kep_page(1669),),
    ),
    "traffic-distribution": Fact(
        "The annotation topology-mode: Auto keeps traffic in its zone.",
        "spec.trafficDistribution took its place: PreferSameZone, which was called PreferClose at first, and PreferSameNode.",
        "Kubernetes 1.33 (field stable), 1.35 (both values stable)",
        (_kep_page(4444), _kep_page(3015)),
    ),
    "external-ips-deprecated": Fact(
        "spec.externalIPs publishes a Service at an address of yours.",
        "It is deprecated: whoever may create a Service can take over any address, as far as Pods and nodes are concerned "
        "(CVE-2020-8554). It is planned to be off by default in 1.40 and gone in 1.43.",
        "Kubernetes 1.36 (deprecated)",
        (_github("kubernetes/enhancements", "issues", 5707), _github("kubernetes/kubernetes", "pull", 137293)),
    ),
    "partial-sync": Fact(
        "kube-proxy in the iptables mode rewrites all rules on every change.",
        "It sends only the chains of Services that changed, with the lists that all share, at most once a second by default.",
        "Kubernetes 1.28 (stable)",
        (_kep(3453, "sig-network/3453-minimize-iptables-restore"),),
    ),
    "answer-past-balancer": Fact(
        "The answer goes back through the load balancer.",
        "That depends on its kind. One that passes packets on need not see the answers, which go from the node straight to the client "
        "(direct server return). One that ends connections sees them all.",
        "as of 2026",
        (
            Source(
                "Google Cloud: passthrough load balancers", "https://cloud.google.com/load-balancing/docs/passthrough-network-load-balancer"
            ),
        ),
    ),
    "forwarded-for-is-a-claim": Fact(
        "X-Forwarded-For tells who the client is.",
        "It tells whom each proxy on the way has seen, after whatever the request brought along: anybody can send the header. Behind a "
        "balancer that ends connections the controller sees the balancer, unless both speak the PROXY protocol.",
        "as of 2026",
        (
            Source("RFC 7239, section 8", "https://www.rfc-editor.org/rfc/rfc7239#section-8"),
            Source("The PROXY protocol", "https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt"),
        ),
    ),
    "gateway-statuses": Fact(
        "A 502 or a 504 comes from the application.",
        "By its definition it comes from a proxy: 502 where the next server's answer was no use, 504 where it did not come in time. Where no "
        "connection comes about, proxies differ: nginx says 502 or 504, HAProxy and Envoy 503.",
        "RFC 9110",
        (
            Source("RFC 9110, section 15.6", "https://www.rfc-editor.org/rfc/rfc9110#section-15.6"),
            Source("HAProxy configuration manual", "https://docs.haproxy.org/3.2/configuration.html"),
            Source(
                "Envoy: access logging, response flags",
                "https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage",
            ),
        ),
    ),
    "ingress-nginx-retired": Fact(
        "Use Ingress-NGINX as the Ingress controller.",
        "The project was retired: announced in November 2025, maintained until March 2026, no fixes since. "
        "The NGINX Ingress Controller of F5 is another project.",
        "March 2026",
        (_github("kubernetes/website", "pull", 53183), _github("controlplaneio-fluxcd/charts", "pull", 173)),
    ),
    "ingress-is-data": Fact(
        "The Ingress routes the packets.",
        "An Ingress is an object in the API server, and makes no rule and no device on any node. A controller reads it and configures a "
        "proxy: often one in Pods behind an ordinary Service, in some clouds a load balancer outside the cluster.",
        "Kubernetes 1.36",
        (_INGRESS,),
    ),
    "ingress-to-endpoints": Fact(
        "An Ingress controller sends requests to the Service's ClusterIP.",
        "Most watch EndpointSlices and send to the Pods' own addresses, past kube-proxy: so they can choose for each request, and keep a "
        "client at its Pod. Some have an option for the ClusterIP, such as nativeLB in Traefik.",
        "Traefik 3 and others, as of 2026",
        (
            Source(
                "Traefik: Kubernetes Ingress",
                "https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-ingress/",
            ),
            Source("Ingress-NGINX: miscellaneous", "https://kubernetes.github.io/ingress-nginx/user-guide/miscellaneous/"),
        ),
    ),
    "ingress-class-annotation": Fact(
        "The annotation kubernetes.io/ingress.class chooses the controller.",
        "It did before the field spec.ingressClassName and the IngressClass came. It was never formally defined, and is deprecated; many "
        "controllers still read it.",
        "Kubernetes 1.18 (field), 1.19 (stable)",
        (_INGRESS,),
    ),
    "ingress-frozen": Fact(
        "The Ingress API is deprecated.",
        "It is stable and frozen: no new features, and no plan to remove it. New features go to the Gateway API.",
        "as of 2026",
        (_github("kubernetes/website", "pull", 52937),),
    ),
    "gateway-versions": Fact(
        "The Gateway API comes with Kubernetes.",
        "It is a set of CRDs with versions of its own. TLSRoute and ListenerSet are stable since v1.5, TCPRoute and UDPRoute since v1.6.",
        "Gateway API v1.6.0, June 2026",
        (Source("Gateway API releases", f"{_GITHUB}kubernetes-sigs/gateway-api/releases"),),
    ),
    "gateway-experimental": Fact(
        "TLSRoute, TCPRoute and CORS are experimental.",
        "TLSRoute, ListenerSet, ReferenceGrant (v1) and the CORS filter are in the standard channel since v1.5, TCPRoute and UDPRoute "
        "since v1.6. Your cluster has what its installed CRDs have, whatever its Kubernetes version.",
        "Gateway API v1.5.0 (February 2026), v1.6.0 (June 2026)",
        (
            Source("Gateway API v1.5", "https://kubernetes.io/blog/2026/04/21/gateway-api-v1-5/"),
            _file("kubernetes-sigs/gateway-api", "CHANGELOG/1.6-CHANGELOG.md"),
        ),
    ),
    "gateway-roles-people": Fact(
        "The Gateway API needs three teams.",
        "Roles are hats: the API's own description says that one person may wear several. What counts is that each has objects of its "
        "own, so that access control can go by object.",
        "Gateway API as of 2026",
        (Source("Roles and Personas", "https://gateway-api.sigs.k8s.io/docs/concepts/roles-and-personas/"),),
    ),
    "http-grpc-one-host": Fact(
        "An HTTPRoute and a GRPCRoute cannot share a host name.",
        "They could not by the book until v1.6, and few controllers refused. Since then a controller may refuse the newer one, as this "
        "library does, or take both.",
        "Gateway API v1.6.0",
        (_github("kubernetes-sigs/gateway-api", "pull", 4598),),
    ),
    "misdirected-optional": Fact(
        "A gateway answers 421 where host and handshake disagree.",
        "A controller that supports this does; the conformance test for it came with v1.5, is optional, and is made with HTTP/2 alone. "
        "Others answer 404, or route by the Host header.",
        "Gateway API v1.5.0",
        (_github("kubernetes-sigs/gateway-api", "pull", 4364), _github("kubernetes-sigs/gateway-api", "pull", 4665)),
    ),
}
"""Every fact, by key."""
