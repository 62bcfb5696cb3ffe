"""Lessons 00 and 01: the map shows and links what it should, the modes are compared by what was seen, exercise 01 is fair to every seed."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from k8snetlib import shop
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks.ex01 import CALLER, LOOPBACK, REFUSED, Crowd, wanted
from k8snetlib.course.variants import Variant
from k8snetlib.errors import ModelError
from k8snetlib.kube.cast import INGRESS
from k8snetlib.kube.patch import patched
from k8snetlib.linux.engine import trace
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.state import Socket
from k8snetlib.views import course_map as views
from k8snetlib.views.comparison import comparison
from k8snetlib.views.course_map import LESSONS, MODES, course_map, mode_picture
from k8snetlib.views.pod_picture import pod_picture

ROOT = Path(__file__).parents[2]
FILES = ("00-the-map.ipynb", "01-containers-in-a-pod.ipynb", "02-pods-on-one-node.ipynb")
PARTS = [part for mode in MODES for group in mode.groups for part in group.parts]

# What the account that the course covers names, mode by mode.
ACCOUNT = {
    "1": ["localhost", ":8080", "log sidecar", "same network namespace", "one address", "one port space", "nothing to configure"],
    "2": [
        "CNI plug-in",
        "no NAT",
        "own addresses",
        "2.1 on one node",
        "veth pair",
        "cni0",
        "docker0",
        "layer 2",
        "2.2 across nodes",
        "overlay: VXLAN",
        "Flannel",
        "overlay: IPIP",
        "Calico",
        "routed: BGP",
        "cloud: VPC",
        "AWS VPC CNI",
    ],
    "3": [
        "Service",
        "DNS name",
        "ClusterIP",
        "label selector",
        "kube-proxy",
        "rules",
        "userspace",
        "removed in 1.26",
        "iptables",
        "the default",
        "long chains",
        "IPVS",
        "hash tables",
        "schedulers",
        "deprecated in 1.35",
        "nftables",
        "the successor",
        "NodePort",
        "30000–32767",
        "LoadBalancer",
        "a cloud's balancer",
        "ExternalName",
        "a CNAME",
    ],
    "4": [
        "NodePort, LoadBalancer",
        "Ingress and its controller",
        "nginx, Traefik, HAProxy",
        "host and path",
        "ends TLS",
        "Gateway API",
        "expressive",
        "with roles",
    ],
}


# ── the map ──


@pytest.mark.parametrize("number", ACCOUNT)
def test_the_map_names_everything_in_picture_and_text(number):
    figure = mode_picture(number)
    drawn = " ".join(re.findall(r"<text[^>]*>([^<]*)", figure.svg)).replace("&#160;", " ").replace("&amp;", "&")
    for words in ACCOUNT[number]:
        assert words in figure.alt, words
        assert all(word in drawn for word in words.split()), words


def test_the_whole_map_is_the_modes_together_with_the_way_of_a_request():
    figure = course_map().figure
    assert all(mode_picture(mode.number).alt in figure.alt for mode in MODES)
    assert "from outside: client, NodePort, LoadBalancer, Ingress and its controller, Service, iptables, veth pair, eth0, app" in figure.alt
    assert len(re.findall(r'class="edge path"', figure.svg)) == len(views.WAY) - 1
    assert int(re.search(r' width="(\d+)"', figure.svg)[1]) <= 900


def test_every_part_leads_to_a_lesson_and_every_lesson_is_listed():
    assert {number for part in PARTS for number in part.lessons} <= {lesson.number for lesson in LESSONS}
    assert [lesson.number for lesson in LESSONS] == [f"{number:02}" for number in range(14)]
    assert len({part.key for part in PARTS}) == len(PARTS)
    assert all(lesson.title in str(course_map()) for lesson in LESSONS)


def test_a_link_lies_over_each_box_whose_lesson_is_there_and_over_no_other():
    shown = course_map(FILES)
    links = re.findall(
        r'<a href="([^"]+)" title="([^":]+):[^"]*" style="position:absolute;left:([\d.]+)%;top:([\d.]+)%;'
        r'width:([\d.]+)%;height:([\d.]+)%"></a>',
        shown.html(),
    )
    assert sorted(title for _, title, *_ in links) == sorted(part.name for part in PARTS if set(part.lessons) & {"00", "01", "02"})
    by_key = {part.key: box for part, box in views._boxes(shown.figure.svg)}
    assert by_key.keys() == {part.key for part in PARTS} | {"client"}
    for left, top, width, height in by_key.values():
        assert 0 < left < left + width < 100 and 0 < top < top + height < 100 and width > 5 and height > 4
    assert by_key["veth"][0] < by_key["bridge"][0] < by_key["vxlan"][0] and by_key["app"][1] < by_key["veth"][1] < by_key["service"][1]
    assert {href for href, *_ in links} <= set(FILES)


def test_the_box_of_a_link_is_the_box_that_is_drawn():
    svg = course_map().figure.svg
    box = next(box for part, box in views._boxes(svg) if part.key == "service")
    x, y, width, height = (float(number) for number in re.search(r'viewBox="([^"]+)"', svg)[1].split())
    shift = [float(number) for number in re.search(r"translate\(([-\d.]+)[ ,]([-\d.]+)\)", svg).groups()]
    name = re.search(r'id="map-service".*?<text[^>]* x="([-\d.]+)" y="([-\d.]+)"[^>]*>Service<', svg)
    at = (float(name[1]) + shift[0] - x) / width * 100, (float(name[2]) + shift[1] - y) / height * 100
    assert box[0] < at[0] < box[0] + box[2] and box[1] < at[1] < box[1] + box[3]
    assert at[0] == pytest.approx(box[0] + box[2] / 2, abs=0.1)


def test_a_lesson_that_is_not_there_is_named_and_not_linked():
    html = course_map(FILES).html()
    assert "04 · Routed and cloud: BGP and VPC (coming)" in html
    assert "(coming)" not in course_map(f"{lesson.number}-x.ipynb" for lesson in LESSONS).html()
    assert set(re.findall(r'href="([^"]+)"', html)) == set(FILES)
    assert "<a" not in course_map().html() and course_map().html().count("(coming)") == len(LESSONS)


def test_the_map_of_the_course_links_to_the_lessons_that_there_are():
    there = sorted(path.name for path in (ROOT / "course").glob("*.ipynb"))
    stored = (ROOT / "course" / "00-the-map.ipynb").read_text(encoding="utf-8")
    assert all(f'href=\\"{name}\\"' in stored for name in there)


def test_a_file_that_is_no_lesson_is_refused():
    with pytest.raises(ModelError, match=r"'notes.ipynb' is no lesson .* 00 to 13"):
        course_map(["notes.ipynb"])
    with pytest.raises(ModelError, match=r"no mode '5' \(there are 1, 2, 3, 4\)"):
        mode_picture("5")


# ── the comparison ──


def test_the_modes_are_compared_by_what_the_packets_went_through():
    cluster = shop()
    traces = {
        "1": cluster.trace("pod/web", "127.0.0.1:8080"),
        "2.1": cluster.trace("pod/web", "pod/api-1"),
        "2.2": cluster.trace("pod/web", "pod/db"),
    }
    rows = {row[0].split()[0]: row for row in comparison(traces).rows}
    assert rows["1"][1] == "loopback lo" and "1 place, 1 namespace; TTL 64 → 64" in rows["1"][3]
    assert rows["2.1"][1] == "veth, bridge cni0" and "TTL 64 → 64" in rows["2.1"][3]
    assert rows["2.2"][1] == "veth, bridge cni0, routing, vxlan flannel.1, underlay"
    assert "TTL 64 → 62; 54 bytes, at most 104 on the wire" in rows["2.2"][3]
    assert [rows[number][3] for number in ("3", "4")] == ["lessons 05–07", "lessons 07–09"]


def test_a_request_from_outside_is_compared_by_its_journey():
    edge = shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)
    row = comparison({"4": edge.journey("https://www.example.com/api")}).rows[-1]
    assert "rules (DNAT), rules (SNAT); controller edge-1; veth" in row[1]
    assert row[3] == "2 connections, 28 places in all; the client's ends in Pod edge-1, and the Pod behind it sees 10.244.2.5"
    alone = comparison({"4": edge.journey("https://www.example.com/x")}).rows[-1]
    assert alone[3] == "1 connection, 15 places; Pod edge-1 answers 404 Not Found"
    down = patched(edge, "pod/edge-1", namespace="edge", ready=False).journey("http://www.example.com/api")
    assert comparison({"4": down}).rows[-1][3].endswith("lost in node-a")


def test_the_comparison_follows_the_cluster():
    plain = comparison({"2.2": shop("bridge").trace("pod/web", "pod/api-1")})
    assert next(row for row in plain.rows if row[0].startswith("2.2"))[1] == "veth, bridge cni0"
    with pytest.raises(ModelError, match="no mode '2'"):
        comparison({"2": shop().trace("pod/web", "pod/db")})


# ── a Pod from close up ──


def seen(trace, pod="web", containers=("web", "log")) -> tuple[str, list[str]]:
    """The text alternative of the picture, and the numbers on its way."""
    figure = pod_picture(trace.network, pod, containers, trace)
    return figure.alt, sorted(re.findall(r'class="number"[^>]*>(\d+)<', figure.svg))


def test_a_pod_without_a_packet_shows_who_listens_on_what_and_the_devices():
    figure = pod_picture(shop().network, "web", ("web", "log"))
    assert figure.alt == (
        "Pod web, one network namespace: container web listens on tcp *:8080; container log listens on nothing; "
        "devices lo 127.0.0.1, eth0 10.244.1.2."
    )
    assert 'class="edge path"' not in figure.svg and "refused" not in figure.svg


@pytest.mark.parametrize(
    ("at", "process", "packet", "way", "numbers"),
    [
        ("web", "log", tcp("127.0.0.1", "127.0.0.1", 8080), "container log, device lo, container web", ["1", "2"]),
        ("web", "log", tcp("127.0.0.1", "127.0.0.1", 9090), "container log, device lo, drop", ["1", "2"]),
        ("api-1", "api", tcp("10.244.1.3", "10.244.1.2", 8080), "device eth0, container web", ["1"]),
        ("api-1", "api", tcp("10.244.1.3", "10.244.1.2", 9090), "device eth0, drop", ["1"]),
        ("web", "log", tcp("10.244.1.2", "10.244.1.3", 8080), "container log, device eth0", ["1"]),
    ],
)
def test_the_way_of_a_packet_is_drawn_while_it_is_in_the_pod(at, process, packet, way, numbers):
    alt, drawn = seen(trace(shop().network, at, packet, process=process))
    assert alt.endswith(f"The packet's way: {way}.") and drawn == numbers


def test_a_refusal_is_drawn_in_the_pod_that_refuses_and_in_no_other():
    refused = trace(shop().network, "api-1", tcp("10.244.1.3", "10.244.1.2", 9090))
    assert "NO_SOCKET" in pod_picture(refused.network, "web", ("web", "log"), refused).svg
    assert "NO_SOCKET" not in pod_picture(refused.network, "api-1", ("api-1",), refused).svg


# ── exercise 01 ──


@pytest.mark.parametrize("seed", [str(number) for number in range(60)])
def test_every_students_pod_has_losers_winners_and_both_kinds_of_answer(seed):
    pod = Crowd(Variant("01", seed))
    network, refused = pod.start(pod.sockets)
    assert 2 <= len(refused) <= 3 and len({socket.process for socket in pod.sockets}) == 6
    answers = [pod.call(network, call) for call in pod.calls]
    assert any(walk.delivered for walk in answers) and not all(walk.delivered for walk in answers)
    udp = next(socket for socket in pod.sockets if socket.proto == "udp")
    assert udp.process not in refused, "UDP never clashes with TCP"
    table = str(pod.table)
    assert all(socket.process in table for socket in pod.sockets) and str(pod.address) in table and "5 " in str(pod.questions)


def test_students_get_pods_of_their_own():
    pods = {(pod.name, pod.address, pod.sockets) for pod in (Crowd(Variant("01", str(seed))) for seed in range(40))}
    assert len(pods) == 40


CASE = Variant("01", "test")
POD = Crowd(CASE)
LOST = POD.start(POD.sockets)[1]
WON = [socket.process for socket in POD.sockets if socket.process not in LOST]
RIGHT = {
    number: walk.end.socket.process if walk.delivered else REFUSED
    for number, walk in enumerate((POD.call(POD.started, call) for call in POD.calls), 1)
}
APP, ADMIN = wanted(CASE)
OWN = [Socket("tcp", APP, None, "app"), Socket("tcp", ADMIN, LOOPBACK, "admin"), Socket("udp", APP, None, "stats")]
ADMIN_OPEN, ON_THE_POD = Socket("tcp", ADMIN, None, "admin"), Socket("tcp", APP, POD.address, "app")


@pytest.mark.parametrize(
    ("key", "answer", "message"),
    [
        ("01.1", "mail", "Write cannot_start"),
        ("01.1", {"nobody"}, "names of this Pod's containers"),
        ("01.1", {LOST[0][:-1] + "x"}, f"did you mean '{LOST[0]}'"),
        ("01.1", {*LOST, WON[0]}, "one of them starts"),
        ("01.1", set(LOST[1:]), "at least one more is refused"),
        ("01.1", set(), "0 containers, and at least one more is refused"),
        ("01.2", {1: "refused"}, "one answer for each of the calls 1 to 5"),
        ("01.2", RIGHT | {2: "nobody"}, "call 2: 'nobody'"),
        ("01.3", {}, "a new port for each container that has to move"),
        ("01.3", {WON[0]: 20000}, "only those move that were refused"),
        ("01.3", {LOST[0]: 80}, "port 80"),
        ("01.3", {LOST[0]: "20000"}, "port '20000'"),
        ("01.3", {LOST[0]: 20000}, "container.* refused after the change"),
        ("01.4", [("tcp", APP)], "a list of Socket"),
        ("01.4", [Socket("TCP", APP, None, "app"), *OWN[1:]], "proto 'TCP'"),
        ("01.4", [Socket("tcp", str(APP), None, "app"), *OWN[1:]], f"port '{APP}'"),
        ("01.4", [OWN[0], Socket("tcp", ADMIN, "127.0.0.1", "admin"), OWN[2]], "address '127.0.0.1'\n.*\n.*Text is no address yet"),
        ("01.4", [*OWN, OWN[0]], "1 container refused"),
        ("01.4", OWN[1:], "the app, from another Pod: refused"),
        ("01.4", [ON_THE_POD, *OWN[1:]], "the app, from inside the Pod: refused"),
        ("01.4", [OWN[0], ADMIN_OPEN, OWN[2]], "the admin page, from another Pod: answered by admin"),
        ("01.4", OWN[:2], "the statistics, from another Pod: refused"),
    ],
)
def test_what_is_not_right_yet_is_told_without_the_answer(key, answer, message):
    with pytest.raises(NotYet, match=message) as caught:
        check(key, answer, CASE)
    said = str(caught.value)
    if key == "01.1" and "did you mean" not in said:
        assert not set(LOST) & set(re.findall(r"\w+", said))
    if key == "01.2" and "call" in said:
        assert RIGHT[2] not in said.split("expected")[0].replace("refused'", "")


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("01.1", set(LOST)),
        ("01.1", list(LOST)),
        ("01.2", RIGHT),
        ("01.3", {name: 20000 + number for number, name in enumerate(LOST)}),
        ("01.4", OWN),
        ("01.4", [OWN[0], Socket("tcp", ADMIN, ip_address("127.0.0.1"), "admin"), Socket("udp", APP, POD.address, "stats")]),
    ],
)
def test_any_right_answer_is_accepted(key, answer, capsys):
    check(key, answer, CASE)
    assert capsys.readouterr().out.startswith(f"✓ {key}")


def test_the_caller_has_a_localhost_of_its_own():
    call = next(call for call in POD.calls if not call.inside and call.address == LOOPBACK)
    assert POD.call(POD.started, call).end.netns == CALLER


def test_the_committed_seed_is_used_when_nobody_asks(monkeypatch):
    monkeypatch.delenv("K8SNET_SEED", raising=False)
    assert Crowd(variant("01")).sockets == Crowd(Variant("01")).sockets
