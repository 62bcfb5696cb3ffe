"""Exercise 01: a Pod with more containers than ports. The Pod of a student, and the checks of what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from k8snetlib.course.checking import expect, question
from k8snetlib.course.strings import suggestion
from k8snetlib.course.variants import Variant
from k8snetlib.errors import ModelError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.linux.draft import build
from k8snetlib.linux.engine import trace
from k8snetlib.linux.events import Delivered, Trace
from k8snetlib.linux.ops import Listen
from k8snetlib.linux.packet import IPAddress, tcp, udp
from k8snetlib.linux.state import Network, Socket
from k8snetlib.value import value
from k8snetlib.views.tables import Table

TEXT = {
    "heads": "starts|container|kind|asks for",
    "caption": "Pod {name}, address {address}, in the order in which its containers start",
    "calls": "call|from|to",
    "calls-caption": 'Who answers? A container\'s name, or "refused".',
    "inside": "a container of Pod {name}",
    "outside": "Pod {name}",
    "sidecar": "native sidecar",
    "app": "app container",
    "every": "{proto} {port} on every address",
    "one": "{proto} {port} on {address} alone",
}
REFUSED, CALLER = "refused", "caller"
NAMES = ("auth", "cache", "feed", "mail", "metrics", "proxy", "search", "tiles")
PODS = ("books", "music", "news", "games")
LOOPBACK = ip_address("127.0.0.1")

MANIFEST = """
apiVersion: v1
kind: Node
metadata: {{name: node-a}}
spec: {{podCIDR: {cidr}}}
status: {{addresses: [{{type: InternalIP, address: 192.168.50.11}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: node-a
  initContainers:
{sidecars}
  containers:
{apps}
---
apiVersion: v1
kind: Pod
metadata: {{name: caller}}
spec:
  nodeName: node-a
  containers:
  - {{name: caller, image: registry.example/caller:1}}
"""


@value
class Call:
    """A TCP connection that somebody opens: from the Pod itself (``inside``) or from Pod ``caller``, to an address and a port."""

    inside: bool
    address: IPAddress
    port: int


class Crowd:
    """The Pod of one student: ``name``, ``address``, ``sockets`` in the order in which the containers start, and its ``cluster``.

    ``sockets`` are what the containers ask for; who gets it is the question. The first two containers are native sidecars.
    """

    def __init__(self, case: Variant) -> None:
        self.name = case.choose("pod", PODS)
        names = case.sample("containers", NAMES, 6)
        listed = [f"  - {{name: {name}, image: registry.example/{name}:1" for name in names]
        sidecars, apps = [line + ", restartPolicy: Always}" for line in listed[:2]], [line + "}" for line in listed[2:]]
        cidr = case.subnet("range", "10.32.0.0/11", 24)
        text = MANIFEST.format(cidr=cidr, name=self.name, sidecars="\n".join(sidecars), apps="\n".join(apps))
        self.cluster = Cluster.loads(text, cni="bridge")
        self.address = self.cluster.find(f"pod/{self.name}").address(4)
        first, second = (case.integer(key, low, low + 80) for key, low in (("first", 8000), ("second", 9000)))
        wishes = [
            ("tcp", first, None),
            ("udp", first, None),
            ("tcp", first, LOOPBACK),
            ("tcp", second, LOOPBACK),
            ("tcp", second, self.address),
            ("tcp", second, None),
        ]
        self.sockets = tuple(Socket(*wish, process=name) for wish, name in zip(case.shuffle("wishes", wishes), names, strict=True))
        at = [
            (True, LOOPBACK, second),
            (True, self.address, second),
            (False, self.address, first),
            (False, self.address, second),
            (False, LOOPBACK, first),
        ]
        self.calls = tuple(Call(*call) for call in case.shuffle("calls", at))

    @property
    def table(self) -> Table:
        """The containers in the order in which they start, and what each asks for."""
        rows = (
            (str(number), socket.process, TEXT["sidecar" if number <= 2 else "app"], _wish(socket))
            for number, socket in enumerate(self.sockets, 1)
        )
        return Table(tuple(TEXT["heads"].split("|")), tuple(rows), TEXT["caption"].format(name=self.name, address=self.address))

    @property
    def questions(self) -> Table:
        """The calls, numbered."""
        rows = []
        for number, call in enumerate(self.calls, 1):
            who = TEXT["inside"].format(name=self.name) if call.inside else TEXT["outside"].format(name=CALLER)
            rows.append((str(number), who, f"{call.address}:{call.port}"))
        return Table(tuple(TEXT["calls"].split("|")), tuple(rows), TEXT["calls-caption"])

    def start(self, sockets: Iterable[Socket]) -> tuple[Network, list[str]]:
        """Let each process ask for its socket, in this order: the network then, and the names of those that were refused."""
        network, refused = self.cluster.network, []
        for socket in sockets:
            try:
                network = build([Listen(self.name, socket)], network)
            except ModelError:
                refused.append(socket.process)
        return network, refused

    def call(self, network: Network, call: Call, proto: str = "tcp") -> Trace:
        """What becomes of a call in ``network``."""
        at = self.name if call.inside else CALLER
        source = call.address if call.inside or call.address == LOOPBACK else self.cluster.find(f"pod/{CALLER}").address(4)
        packet = tcp(source, call.address, call.port) if proto == "tcp" else udp(source, call.address, call.port)
        return trace(network, at, packet)

    @cached_property
    def started(self) -> Network:
        """The network once every container has tried."""
        return self.start(self.sockets)[0]


def _wish(socket: Socket) -> str:
    key = "every" if socket.address is None else "one"
    return TEXT[key].format(proto=socket.proto.upper(), port=socket.port, address=socket.address)


def _answer(walk: Trace) -> str:
    """Who answers: the process whose socket got the packet, else "refused"."""
    end = walk.end
    return end.socket.process if isinstance(end, Delivered) and end.socket else REFUSED


@question("01.1")
def who_is_refused(cannot_start: Iterable[str], case: Variant) -> str:
    """The set of containers that get EADDRINUSE."""
    pod = Crowd(case)
    known, given = {socket.process for socket in pod.sockets}, _names(cannot_start)
    strange = sorted(given - known)
    for name in strange:
        expect(False, got=f"{name!r}{suggestion(name, known)}", expected="names of this Pod's containers", hint="Copy them from the table.")
    right = set(pod.start(pod.sockets)[1])
    expect(
        not given - right,
        got=f"{_count(given)}, and one of them starts",
        expected="only those whose port is taken when they ask",
        hint="TCP and UDP count apart, and two different addresses do not overlap. Whoever asks first, gets the port.",
    )
    expect(
        not right - given,
        got=f"{_count(given)}, and at least one more is refused",
        expected="all of those whose port is taken when they ask",
        hint="“Every address” overlaps with each single address, whichever comes first.",
    )
    return f"{_count(right)}: you know when two sockets clash, and that order decides who loses"


@question("01.2")
def who_answers(answers: Mapping[int, str], case: Variant) -> str:
    """Call number → the container that answers, or "refused"."""
    pod = Crowd(case)
    numbers = range(1, len(pod.calls) + 1)
    expect(
        isinstance(answers, Mapping) and set(answers) == set(numbers),
        got=f"answers = {answers!r}",
        expected=f"one answer for each of the calls 1 to {len(pod.calls)}",
        hint='Write answers = {1: "…", 2: "…", …}.',
    )
    for number, call in zip(numbers, pod.calls, strict=True):
        expect(
            answers[number] == _answer(pod.call(pod.started, call)),
            got=f"call {number}: {answers[number]!r}",
            expected="the process whose socket has that protocol, port and address, if one is there",
            hint="Which containers did get their sockets? Is the address of the call one that the socket listens on?",
        )
    return "you can tell who answers, and where “connection refused” comes from"


@question("01.3")
def new_ports(ports: Mapping[str, int], case: Variant) -> str:
    """Container → new port, for those that were refused; afterwards everybody starts."""
    pod = Crowd(case)
    refused = pod.start(pod.sockets)[1]
    expect(
        isinstance(ports, Mapping) and ports,
        got=f"ports = {ports!r}",
        expected="a new port for each container that has to move",
        hint='Write ports = {"name": 1234, …}.',
    )
    expect(
        set(ports) <= set(refused),
        got="a container moves that had its port",
        expected="only those move that were refused",
        hint="Others call the containers that run, and know their ports.",
    )
    bad = [port for port in ports.values() if not isinstance(port, int) or not 1024 <= port <= 65535]
    expect(
        not bad,
        got=f"port {bad[0] if bad else 0!r}",
        expected="whole numbers from 1024 to 65535",
        hint="A container without extra rights should not need the ports below 1024.",
    )
    moved = [Socket(s.proto, ports.get(s.process, s.port), s.address, s.process) for s in pod.sockets]
    left = pod.start(moved)[1]
    expect(
        not left,
        got=f"{_count(left)} refused after the change",
        expected="a Pod in which everybody starts",
        hint="Start them in order, in your head or with the model: which new port is taken when its container asks?",
    )
    return "everybody starts, and nobody moved without need"


@question("01.4")
def own_pod(sockets: Sequence[Socket], case: Variant) -> str:
    """Three sockets: the app for everybody, the admin page for the Pod alone, statistics over UDP on the app's port."""
    pod, (app, admin) = Crowd(case), wanted(case)
    expect(
        isinstance(sockets, Sequence) and all(isinstance(socket, Socket) for socket in sockets),
        got=f"sockets = {sockets!r}",
        expected="a list of Socket(proto, port, address, process)",
        hint="The address None stands for every address.",
    )
    for socket in sockets:
        _well_formed(socket)
    network, refused = pod.start(sockets)
    expect(not refused, got=f"{_count(refused)} refused", expected="sockets that do not clash", hint="Compare protocol, port and address.")
    tries = (
        ("the app, from another Pod", Call(False, pod.address, app), "tcp", "app"),
        ("the app, from inside the Pod", Call(True, LOOPBACK, app), "tcp", "app"),
        ("the admin page, from inside the Pod", Call(True, LOOPBACK, admin), "tcp", "admin"),
        ("the admin page, from another Pod", Call(False, pod.address, admin), "tcp", REFUSED),
        ("the statistics, from another Pod", Call(False, pod.address, app), "udp", "stats"),
    )
    for what, call, proto, answer in tries:
        got = _answer(pod.call(network, call, proto))
        expect(
            got == answer,
            got=f"{what}: {got if got == REFUSED else 'answered by ' + got}",
            expected="refused" if answer == REFUSED else f"answered by {answer}",
            hint="What does the socket listen on: which protocol, which port, which address?",
        )
    return "three processes in one network namespace, each reachable by those who should reach it"


def _well_formed(socket: Socket) -> None:
    """Nothing could listen on "TCP", "8080" or the text of an address, and nothing would say so."""
    parts = (
        (socket.proto in ("tcp", "udp"), "proto", '"tcp" or "udp"', "In small letters, and in quotes."),
        (
            type(socket.port) is int and 0 < socket.port < 65536,
            "port",
            "a whole number from 1 to 65535",
            "app_port and admin_port, without quotes.",
        ),
        (
            isinstance(socket.address, (IPv4Address, IPv6Address, type(None))),
            "address",
            "None, or an address",
            'Text is no address yet: ip_address("10.0.0.1") makes one of it.',
        ),
    )
    for right, name, expected, hint in parts:
        expect(right, got=f"{name} {getattr(socket, name)!r}", expected=expected, hint=hint)


def wanted(case: Variant) -> tuple[int, int]:
    """The ports of question 4: the app's and the admin page's."""
    return case.integer("app", 3000, 3999), case.integer("admin", 6000, 6999)


def _names(given: object) -> set[str]:
    names = isinstance(given, (set, frozenset, list, tuple)) and all(isinstance(name, str) for name in given)
    expect(names, got=f"cannot_start = {given!r}", expected="a set of names", hint='Write cannot_start = {"name", "name"}.')
    return set(given)  # type: ignore[call-overload]


def _count(names: Iterable[str]) -> str:
    count = len(set(names))
    return f"{count} container{'' if count == 1 else 's'}"
