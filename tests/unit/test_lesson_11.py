"""Lesson and exercise 11: what journeys rewrite, journeys side by side, what breaks where, the explorer, and every student's exercise."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex11
from k8snetlib.course.checks.ex11_given import FAULTS, NODES
from k8snetlib.errors import ModelError
from k8snetlib.kube.cast import GATEWAY, INGRESS
from k8snetlib.kube.edge.breaks import breaks
from k8snetlib.kube.edge.journey import journeys
from k8snetlib.linux.ops import ConntrackDel
from k8snetlib.views.journeys import ASPECTS
from k8snetlib.widgets import JourneyExplorer
from k8snetlib.widgets.journey import BALANCERS, ENTRIES, FOLLOW, PLUGINS, STRAIGHT, URLS, one_journey, summary

URL = "https://www.example.com/api"
SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(14))]


@pytest.fixture(scope="module")
def shop():
    return k8s.shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True)


# ── what is rewritten ──


def rows_of(table) -> list[tuple[str, ...]]:
    """The rows, with the first column filled in."""
    rows, last = [], ""
    for row in table.rows:
        last = row[0] or last
        rows.append((last, *row[1:]))
    return rows


def test_who_rewrites_and_who_restores(shop):
    rows = rows_of(k8s.rewrites(shop.journey(URL)))
    by = {(row[0], row[1], row[2].split("\n")[0]): row[3:] for row in rows}
    entry = "its conntrack entry"
    assert by["client → edge-1", "addresses", "destination"] == ("node-a", "node-a", entry)
    assert by["client → edge-1", "addresses", "source"] == ("node-a", "node-a", entry)
    assert by["edge-1", "HTTP", "X-Forwarded-For: 10.244.1.0"] == ("edge-1", "nobody: the Pod reads it", "–")
    assert by["edge-1", "TLS", "encrypted → plain"][1] == "edge-1"
    assert not any(row[:2] == ("edge-1 → api-1", "addresses") for row in rows)  # a Pod's own address is called
    tunnels = [row for row in rows if row[1] == "tunnel"]
    assert [row[3:5] for row in tunnels] == [("node-a", "node-b, takes it off again"), ("node-b", "node-a, takes it off again")]
    assert all(row[2].startswith("+50 bytes") for row in tunnels)
    assert by["client → edge-1", "TTL", "64 → 61"][0] == "load balancer, node-a, node-b"


def test_ipvs_remembers_the_destination_itself_and_conntrack_the_source():
    made = k8s.shop("vxlan", INGRESS, proxy="ipvs", outside=True, balancer=True)
    by = {row[2].split("\n")[0]: row[5] for row in rows_of(k8s.rewrites(made.journey(URL))) if row[1] == "addresses"}
    assert by == {"destination": "its IPVS connection", "source": "its conntrack entry"}


def test_a_service_behind_the_controller_is_rewritten_and_restored_too(shop):
    rows = rows_of(k8s.rewrites(shop.journey(URL, to="service")))
    assert (
        "edge-1 → api-1",
        "addresses",
        "destination\n10.96.20.80:80 → 10.244.1.3:8080",
        "node-b",
        "node-b",
        "its conntrack entry",
    ) in rows


@pytest.mark.parametrize("proxy", ["iptables", "nftables", "ipvs"])
@pytest.mark.parametrize("cni", PLUGINS)
def test_whoever_changes_an_address_restores_it(cni, proxy):
    rows = rows_of(k8s.rewrites(k8s.shop(cni, GATEWAY, proxy=proxy, outside=True, balancer=True).journey(URL)))
    addresses = [row for row in rows if row[1] == "addresses"]
    assert addresses and all(row[3] == row[4] for row in addresses)
    assert any(row[1] == "tunnel" for row in rows) == (cni in ("vxlan", "ipip", "calico-vxlan"))


def test_what_is_rewritten_of_a_request_that_is_lost(shop):
    lost = k8s.patched(shop, "svc/edge", "edge", external_traffic_policy="Local").journey(URL, node="node-a")
    assert [row[1] for row in rows_of(k8s.rewrites(lost))] == ["TTL", "frame"]


def test_without_the_entry_the_answer_ends_at_the_node(shop):
    first = shop.journey(URL).connections[0]
    begun = k8s.after(shop.network, first.there)
    gone = k8s.build([ConntrackDel("node-a", each.original) for each in begun["node-a"].conntrack], begun)
    lost = k8s.trace(gone, first.there.reply.start, first.there.reply.sent)
    assert (lost.end.netns, lost.end.reason) == ("node-a", "NO_SOCKET")


# ── side by side ──


def test_the_last_row_says_what_is_the_same(shop):
    other = k8s.shop("bgp", INGRESS, proxy="nftables", outside=True, balancer=True)
    table = k8s.compared(
        {"a": shop.journey(URL), "b": other.journey(URL)}, "bytes added by tunnels", "who changes addresses", "the client gets", head="x"
    )
    assert table.heads == ("x", "bytes added by tunnels", "who changes addresses", "the client gets")
    assert table.rows == (
        ("a", "50 + 50", "node-a", "200 OK"), ("b", "–", "node-a", "200 OK"), ("the same everywhere?", "2 different", "yes", "yes"),
    )  # fmt: skip


def test_every_aspect_of_every_way_has_words(shop):
    plain = k8s.patched(shop, "svc/api", type="LoadBalancer")
    found = {
        "ingress": shop.journey(URL), "none": shop.journey("https://www.example.com/nix"),
        "straight": plain.journey("http://www.example.com/", name="service/shop/api"),
        "lost": k8s.patched(shop, "svc/edge", "edge", external_traffic_policy="Local").journey(URL, node="node-a"),
    }  # fmt: skip
    table = k8s.compared(found)
    assert len(table.heads) == 1 + len(ASPECTS) and all(all(row) for row in table.rows)
    cells = {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}
    assert cells["straight"]["the controller sees"] == "–" and cells["straight"]["the Pod sees"] == "10.244.1.1"
    assert cells["none"]["answered by"] == "nobody" and cells["lost"]["the client gets"].startswith("nothing")
    with pytest.raises(ModelError, match="no aspect 'colour'"):
        k8s.compared(found, "colour")


def test_one_journey_is_compared_with_nobody(shop):
    assert len(k8s.compared({"": shop.journey(URL)}).rows) == 1


# ── what breaks where ──


HEARD = {
    "ranges": ("nothing", 0), "local": ("nothing", 0), "selector": ("“connection refused”", 0), "closed": ("“connection refused”", 0),
    "class": ("404 Not Found", 1), "path": ("404 Not Found", 1), "empty": ("503 Service Unavailable", 1), "port": ("502 Bad Gateway", 1),
    "firewall": ("504 Gateway Timeout", 1),
}  # fmt: skip


PLACES = [("vxlan", "iptables", "IPv4"), ("bgp", "iptables", "IPv4"), ("vpc", "iptables", "IPv4"), ("vxlan", "nftables", "IPv4"),
          ("vxlan", "iptables", "IPv6"), ("bgp", "nftables", "IPv6")]  # fmt: skip


@pytest.mark.parametrize(("cni", "proxy", "family"), PLACES)
def test_each_break_sounds_as_it_should(cni, proxy, family):
    cluster = k8s.shop(cni, INGRESS, proxy=proxy, outside=True, balancer=True, families=(family,))
    found = breaks(cluster, URL)
    assert list(found) == list(HEARD)
    for name, (words, made) in HEARD.items():
        call = found[name].journey(URL)
        assert k8s.heard(call).startswith(words), name
        assert sum(each.works for each in call.connections) == made, name
        assert call.refused == (words == "“connection refused”")
    assert cluster.journey(URL).response.status == 200  # the cluster itself is as it was


def test_breaks_are_of_the_request_that_is_asked_for(shop):
    assert "Service shop/web: its selector" in breaks(shop, "http://www.example.com/web")["empty"].title
    with pytest.raises(ModelError, match="nothing to break"):
        breaks(shop, "http://www.example.com/nix")
    gateway = k8s.shop("vxlan", GATEWAY, proxy="iptables", outside=True, balancer=True)
    with pytest.raises(ModelError, match="behind an Ingress"):
        breaks(gateway, URL)
    assert "ranges" not in breaks(k8s.patched(shop, "svc/edge", "edge", type="NodePort"), URL)


def test_the_table_of_breaks(shop):
    table = k8s.breakages(shop, URL, only=("class", "port"))
    assert [row[2:4] for row in table.rows] == [("200 OK", "2 of 2"), ("404 Not Found", "1 of 2"), ("502 Bad Gateway", "1 of 2")]
    assert table.rows[2][4].endswith("nothing listens on tcp port 9")


def test_a_controllers_own_connection_is_refused_or_waits(shop):
    """RFC 9110, 15.6.3 and 15.6.5: no useful answer is 502, none in time is 504."""
    found = breaks(shop, URL)
    assert [found[name].journey(URL).response.status for name in ("port", "firewall")] == [502, 504]
    assert found["port"].journey(URL).connections[1].refused and not found["firewall"].journey(URL).connections[1].refused


# ── the explorer ──


def moved(**choices) -> JourneyExplorer:
    explorer = JourneyExplorer()
    for name, value in choices.items():
        explorer.controls[name].value = value
    return explorer


INGRESS_VXLAN = {"entry": "Ingress", "cni": "vxlan", "policy": "Cluster", "node": "node-a"}


@pytest.mark.parametrize(("choices", "words", "shown"), [
    ({}, "front-edge-1 sees 203.0.113.7, the client itself; api-1 sees 10.244.2.3, the controller, and reads X-Forwarded-For: 203.0.113.7.",
     "TLS ends here"),
    (INGRESS_VXLAN, "edge-1 sees 10.244.1.0, an address of node-a; api-1 sees 10.244.2.5, the controller", "by tunnel"),
    (INGRESS_VXLAN, "Two connections, two nodes, two tunnels.", "Everything that is rewritten"),
    (INGRESS_VXLAN, "edge-1 calls it by its own address, 10.244.1.3.", "10.244.1.3"),
    (INGRESS_VXLAN | {"to": "service"}, "edge-1 calls the ClusterIP, 10.96.20.80, and the node translates that to a Pod's.", "DNAT to 10.244.1.3:8080"),
    (INGRESS_VXLAN | {"url": URLS[3]}, "The client gets 404 Not Found, from edge-1 itself: no rule matches.", "answers 404"),
    (INGRESS_VXLAN | {"url": URLS[2]}, "from web. edge-1 calls it", "Prefix /web"),
    ({"node": "node-a"}, "node-a fails the balancer's health check, so it sends to node-b.", "node-b"),
    ({"balancer": "ARP", "node": "node-a"}, "node-b was elected to answer for the address.", "node-b"),
    ({"balancer": "Proxy"}, "The balancer sees 203.0.113.7, the client itself; front-edge-1 sees 192.168.50.1, the balancer; ", "load balancer"),
    ({"balancer": "Proxy"}, "Three connections, two nodes, no tunnel. The balancer is an end of the client's connection, and opens the next.", "the balancer's connection ends here"),
    ({"balancer": "Pods"}, "EXTERNAL-IP stays <pending>: the load balancer sends to Pod addresses", "router"),
    ({"balancer": "Pods", "cni": "vpc"}, "front-edge-1 sees 192.168.50.1, the balancer", "load balancer"),
    ({"balancer": "ARP", "cni": "vpc"}, "EXTERNAL-IP stays <pending>: nodes cannot answer ARP for it", "node-b"),
    ({"entry": "NodePort"}, "from api-2. api-2 sees 203.0.113.7, the client itself. One connection, one node, no tunnel.", "api-2"),
    ({"entry": "NodePort", "policy": "Cluster", "cni": "vxlan"}, "sees 10.244.2.0, an address of node-b. One connection, two", "DNAT"),
    ({"entry": "LoadBalancer", "balancer": "Proxy"}, "api-2 sees 192.168.50.1, the balancer. Two connections, one node", "198.51.100.9"),
    (INGRESS_VXLAN | {"balancer": "Pods", "policy": "Local"}, "gets nothing: it waits, then gives up. The connection", "NETFILTER_DROP"),
])  # fmt: skip
def test_explorer(choices, words, shown):
    explorer = moved(**choices)
    assert words in explorer.value.summary
    assert shown in explorer._html.value


def test_what_does_not_count_is_shut():
    explorer = moved(entry="NodePort")
    assert [name for name, control in explorer.controls.items() if control.disabled] == ["url", "balancer", "to"]
    explorer.controls["entry"].value = "LoadBalancer"
    assert not explorer.controls["balancer"].disabled and explorer.controls["url"].disabled
    explorer.controls["entry"].value = "Ingress"
    assert not any(control.disabled for control in explorer.controls.values())


def test_each_way_can_be_followed_step_by_step():
    explorer = moved(**INGRESS_VXLAN)
    assert explorer.walk.trace is None and explorer.walk.layout.display == "none"
    starts = {}
    for follow in FOLLOW:
        explorer.controls["follow"].value = follow
        starts[follow] = explorer.walk.trace and (explorer.walk.trace.start, explorer.walk.trace.end.netns)
    assert starts == {
        "picture": None, "first": ("client", "edge-1"), "second": ("edge-1", "api-1"), "second-back": ("api-1", "edge-1"),
        "first-back": ("edge-1", "client"), "third": None, "third-back": None,
    }  # fmt: skip
    explorer.controls["balancer"].value = "Proxy"
    for follow, ends in {"first": ("client", "underlay"), "second": ("underlay", "edge-1"), "third": ("edge-1", "api-1"),
                         "third-back": ("api-1", "edge-1"), "first-back": ("underlay", "client")}.items():  # fmt: skip
        explorer.controls["follow"].value = follow
        assert (explorer.walk.trace.start, explorer.walk.trace.end.netns) == ends
    explorer.controls["balancer"].value = "VIP"
    assert explorer.walk.layout.display is None
    explorer.controls["entry"].value = "NodePort"
    explorer.controls["follow"].value = "second"
    assert explorer.value.summary.endswith("There is no such way here.") and explorer.walk.trace is None


@pytest.mark.parametrize("cni", PLUGINS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_explorer_has_an_answer_to_everything(entry, cni):
    for balancer in BALANCERS if entry != "NodePort" else ("VIP",):
        for policy in ("Cluster", "Local"):
            for node in ("node-a", "node-b"):
                for url in URLS[:1] if entry in STRAIGHT else (URLS[0], URLS[3]):
                    found, note = one_journey(entry, url, balancer, policy, node, "endpoints", cni, "iptables")
                    words = note + summary(found)
                    assert words.startswith(note) and re.search(r"The client gets (200|404|nothing)", words)
                    assert not re.search(r"[{}]|\.\.|  ", words), words


def test_the_explorers_ways_are_among_the_outcomes():
    """By whichever node a request comes in, it is one of the outcomes that can be."""
    cluster = k8s.shop("vxlan", GATEWAY, proxy="iptables", outside=True, balancer=True)
    possible = journeys(cluster, URL)
    assert sum(weight for weight, _ in possible) == Fraction(1)
    for node in ("node-a", "node-b"):
        found, note = one_journey("Gateway", URL, "VIP", "Cluster", node, "endpoints", "vxlan", "iptables")
        assert not note and found.sees in {each.sees for _, each in possible}


# ── the exercise ──


def refusal(key: str, **given) -> str:
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def the_way(case) -> tuple[list[str], list[str]]:
    """Right answers to 11.1, from where things are and not from a trace."""
    chosen, controller, app = ex11.places(case)
    pod = next(pod.name for pod in ex11.cluster(case).pods if pod.labels["app"] == "app")
    inner = [controller] if app == controller else [controller, app]
    there = ["client", "balancer", chosen, controller, "edge-1", *inner, pod]
    return there, [pod, *reversed(inner), "edge-1", controller, chosen, "client"]


def the_ends(case) -> list[tuple[str, str]]:
    """Right answers to 11.2, from the addresses on the nodes."""
    chosen, controller, _ = ex11.places(case)
    table = {row[0]: row for row in ex11.addresses(case).rows}
    dev = "flannel.1" if "flannel.1" in ex11.addresses(case).heads else "eth0"
    node = table[chosen][ex11.addresses(case).heads.index(dev)]
    ips = {pod.labels["app"]: str(pod.pod_ips[0]) for pod in ex11.cluster(case).pods}
    known = {
        (False, chosen): (node, ips["edge"]), (False, "edge-1"): (ips["edge"], ips["app"]),
        (True, controller): (ips["edge"], node), (True, chosen): ("198.51.100.9", "203.0.113.7"),
    }  # fmt: skip
    return [known[line.back, line.tail] for line in ex11.lines(case)]


def wished(case) -> str:
    text = ex11.manifest(case).replace("ClusterIP", "LoadBalancer") + "  externalTrafficPolicy: Local\n"
    return text + ("  allocateLoadBalancerNodePorts: false\n" if ex11.wish(case).closed else "")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exercise_can_be_solved(seed, capsys):
    case = variant("11", seed)
    there, back = the_way(case)
    check("11.1", there=there, back=back, case=case)
    check("11.2", ends=the_ends(case), case=case)
    check("11.3", why=ex11.broken(case).name.upper(), case=case)
    check("11.4", service=wished(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("11", f"student-{n}") for n in range(60)]
    assert {ex11.broken(case).name for case in cases} == set(FAULTS)
    assert len({str(ex11.wish(case)) for case in cases}) == 4
    assert len({tuple(ex11.stations(case)) for case in cases}) > 20
    assert {len(ex11.stations(case)) for case in cases} == {7, 8}
    assert all(sorted(ex11.cards(case)) == sorted(ex11.stations(case)) for case in cases)


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_a_wrong_way_gets_a_hint_that_fits(seed):
    case = variant("11", seed)
    (there, back), chosen = the_way(case), ex11.places(case)[0]
    other = next(node for node in NODES if node != chosen and node in there)
    assert "knows nodes, not Pods" in refusal("11.1", there=["client", "balancer", other, *there[3:]], back=back, case=case)
    assert "first packet" in refusal("11.1", there=there[1:], back=back, case=case)
    assert "from or to a Pod" in refusal("11.1", there=[*there[:5], there[-1]], back=back, case=case)
    assert "addressed to it" in refusal("11.1", there=there, back=[*back[:-1], "balancer", "client"], case=case)
    assert "changed the request can change it back" in refusal("11.1", there=there, back=[*back[:-2], "client"], case=case)
    assert "goes on after client" in refusal("11.1", there=there, back=[*back, "balancer"], case=case)
    assert "names as they are printed" in refusal("11.1", there=["router", *there], back=back, case=case)
    assert "ends after" in refusal("11.1", there=there[:-1], back=back, case=case)


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_a_wrong_address_gets_a_hint_that_fits(seed):
    case = variant("11", seed)
    right = the_ends(case)
    chosen = ex11.places(case)[0]
    for number, line in enumerate(ex11.lines(case)):
        for at, what in enumerate(("source", "destination")):
            wrong = [list(pair) for pair in right]
            wrong[number][at] = "192.0.2.9"
            said = refusal("11.2", ends=wrong, case=case)
            assert f"192.0.2.9 as the {what} on line {number + 1}" in said and right[number][at] not in said
            if line.tail == "edge-1" and not line.back:
                assert "connection of its own" in said
            elif line.head == "client":
                assert "listens to nobody else" in said
            else:
                assert f"{chosen} masquerades" in said or f"{chosen} has made one Pod" in said
    assert "without ports" in refusal("11.2", ends=right[:3], case=case)
    assert "without ports" in refusal("11.2", ends=[("a", "b")] * 4, case=case)


@pytest.mark.parametrize("seed", SEEDS[:8])
def test_only_what_is_wrong_counts(seed):
    case = variant("11", seed)
    for name in FAULTS:
        if name != ex11.broken(case).name:
            said = refusal("11.3", why=name, case=case)
            assert ("sound the same" in said) == (HEARD[name] == HEARD[ex11.broken(case).name])
    assert ex11.failed(case).journey(ex11.url(case)).response != ex11.cluster(case).journey(ex11.url(case)).response


@pytest.mark.parametrize("seed", SEEDS)
def test_a_service_that_is_not_what_was_wished_is_refused(seed):
    case, wanted = variant("11", seed), ex11.wish(variant("11", seed))
    text = wished(case)
    assert "not yet" in refusal("11.4", service=ex11.manifest(case), case=case)
    said = refusal("11.4", service=text.replace("Policy: Local", "Policy: Cluster"), case=case)
    assert ("X-Forwarded-For: 1" if wanted.header else "the Pod sees 1") in said
    assert "not yet" in refusal("11.4", service=text.replace("{app: ", "{app: x"), case=case)
    if wanted.closed:
        assert "is open" in refusal("11.4", service=re.sub(r".*allocate.*\n", "", text), case=case)
    if wanted.header:
        assert "not yet" in refusal("11.4", service=re.sub(r".*https.*\n", "", text), case=case)
        assert "no TCP port 80" in refusal("11.4", service=text.replace("port: 80,", "port: 81,"), case=case)
    else:
        by_port = re.sub(r".*allocate.*\n", "", text).replace("LoadBalancer", "NodePort")
        assert "without an address outside" in refusal("11.4", service=by_port, case=case)


@pytest.mark.parametrize("given", [5, 2.5, "x", [], ["a", "b", "c"], object(), b"", {}, "kind: Pod", "a: [", ex11, None.__class__])
@pytest.mark.parametrize(("key", "name"), [("11.1", "there"), ("11.2", "ends"), ("11.3", "why"), ("11.4", "service")])
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, name, given):
    more = {"back": given} if key == "11.1" else {}
    said = refusal(key, **{name: given, "case": variant("11"), **more})
    assert len(said.splitlines()) <= 4
