"""Every control of every explorer, moved in Python: what the answer says then. And what all explorers have in common."""

from __future__ import annotations

import re

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.widgets import (
    AddressesExplorer,
    MapExplorer,
    PodPairExplorer,
    PortsExplorer,
    RulesExplorer,
    ServiceExplorer,
    ServiceTypeExplorer,
    TunnelExplorer,
    WaysExplorer,
)

ALL = (
    MapExplorer, PortsExplorer, PodPairExplorer, TunnelExplorer, WaysExplorer, AddressesExplorer, ServiceExplorer, ServiceTypeExplorer,
    RulesExplorer,
)  # fmt: skip


def moved(explorer, **choices):
    """The explorer after its controls have been set, in order."""
    for name, value in choices.items():
        explorer.controls[name].value = value
    return explorer


@pytest.mark.parametrize("kind", ALL)
def test_one_output_with_a_fixed_text_a_twin_and_the_view(kind):
    explorer, again = kind(), kind()
    bundle, other = explorer._repr_mimebundle_(), again._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert (bundle["text/plain"], bundle["text/html"]) == (other["text/plain"], other["text/html"])
    assert bundle["text/plain"] == repr(explorer)
    assert not re.search(r"0x[0-9a-f]{6}", bundle["text/plain"])


@pytest.mark.parametrize("kind", ALL)
def test_the_twin_survives_a_page_that_is_not_trusted(kind):
    twin = kind().twin()
    assert re.findall(r"<img [^>]*alt=\"[^\"]*\w", twin)
    assert "<table>" in twin
    assert not re.search(r"<(script|svg|style|iframe|form)\b", twin)


@pytest.mark.parametrize("kind", ALL)
def test_the_live_answer_draws_inline(kind):
    explorer = kind()
    if explorer.walk is None:
        assert '<svg xmlns="http://www.w3.org/2000/svg" class="k8snet" role="img" aria-label=' in explorer._html.value
    assert "<img" not in explorer._html.value


@pytest.mark.parametrize("kind", ALL)
def test_every_control_has_a_label(kind):
    assert all(control.description.strip() for control in kind().controls.values())


@pytest.mark.parametrize("kind", ALL)
def test_every_option_has_an_answer_that_is_shown(kind):
    explorer = kind()
    for control in explorer.controls.values():
        for _, value in getattr(control, "_options_full", ()):
            control.value = value
            assert explorer.value.summary
            assert explorer.value.tone in ("", "good", "bad")
            assert explorer._html.value == explorer.value.html(live=True)


def test_an_answer_is_made_once():
    asked = []
    explorer = PortsExplorer()
    view = explorer._view
    explorer._view = lambda **choices: asked.append(choices) or view(**choices)
    moved(explorer, web=8081)
    moved(explorer, web=8080)
    moved(explorer, web=8081)
    assert len(asked) == 1


def test_a_mistake_of_the_library_is_shown_as_its_message():
    explorer = MapExplorer()

    def wrong(**choices):
        raise ModelError("no such <thing>")

    explorer._view = wrong
    moved(explorer, mode="2.1")
    assert explorer.value.summary == "Not possible: no such <thing>"
    assert "Not possible: no such &lt;thing&gt;" in explorer._html.value


# The map


@pytest.mark.parametrize(("mode", "summary", "facts"), [
    ("1", "container ↔ container. One address", ["1 place, inside web", "64: nobody routed it", ">container log<", ">container web<", ">2<"]),
    ("2.1", "Pod ↔ Pod, one node. Switched", ["5 places in web, node-a, api-1", "64: nobody routed it"]),
    ("2.2", "Pod ↔ Pod, across nodes. No NAT", ["13 places", "64 → 62: 2 hosts routed it", "54 bytes, 104 at most"]),
    ("3", "Pod ↔ Service. A stable virtual address", ["lessons 05–07", "web, node-a, api-1", "DNAT: 10.96.20.80:80 → 10.244.1.3:8080, by a rule of node-a"]),
    ("4", "outside → cluster. Ports and addresses", ["GET https://www.example.com/api", "200 OK", "10.244.2.5, the controller"]),
])  # fmt: skip
def test_map(mode, summary, facts):
    explorer = moved(MapExplorer(), mode=mode)
    assert summary in explorer.value.summary
    assert all(fact in explorer._html.value for fact in facts)


# Ports


@pytest.mark.parametrize(("choices", "summary"), [
    ({}, "log reaches container web at 127.0.0.1:8080."),
    ({"caller": "web", "port": 9090}, "web reaches container log at 127.0.0.1:9090."),
    ({"web": 0}, "log calls 127.0.0.1:8080 and gets “connection refused”: nothing listens there"),
    ({"caller": "other"}, "api-1 reaches container api at 127.0.0.1:8080."),
    ({"caller": "other", "port": 9090}, "localhost is Pod api-1's own"),
    ({"caller": "pod"}, "api-1 reaches container web at 10.244.1.2:8080."),
    ({"caller": "pod", "bind": "loopback"}, "web listens on 127.0.0.1, which outside the Pod is somebody else's address"),
    ({"bind": "loopback"}, "log reaches container web at 127.0.0.1:8080."),
    ({"log": 8080}, "Container web cannot start: its port 8080 is taken, by log (EADDRINUSE). log reaches container log at"),
    ({"log": 8080, "bind": "loopback"}, "Container web cannot start"),
])  # fmt: skip
def test_ports(choices, summary):
    assert summary in moved(PortsExplorer(), **choices).value.summary


def test_a_clash_is_shown_as_linux_and_kubernetes_show_it():
    shown = moved(PortsExplorer(), log=8080)._html.value
    assert "<strong>EADDRINUSE</strong>" in shown
    assert "1/2     CrashLoopBackOff" in shown
    assert shown.count("LISTEN ") == 1
    assert "CrashLoopBackOff" not in PortsExplorer()._html.value


# Two Pods


@pytest.mark.parametrize(("choices", "summary"), [
    ({}, "No host routed it: TTL stays 64. 1 question for a MAC address on the way."),
    ({"target": "shop/db"}, "TTL 64 → 62: 2 hosts routed it. It went through a tunnel. 3 questions"),
    ({"target": "shop/db", "state": "warm"}, "No question for a MAC address: all were known."),
    ({"source": "shop/db", "target": "shop/web"}, "IP 10.244.2.3:40000 > 10.244.1.2:8080: TCP [S] length 0 is delivered."),
    ({"port": 9999}, "is dropped in api-1: NO_SOCKET"),
    ({"port": 9999, "way": "reply"}, "There is no reply: the request was not delivered (NO_SOCKET)."),
    ({"proto": "udp"}, "UDP length 6 is dropped in api-1: NO_SOCKET, nothing listens on udp port 9999"),
    ({"proto": "icmp"}, "ICMP echo request is delivered."),
    ({"way": "reply"}, "IP 10.244.1.3:8080 > 10.244.1.2:40000: TCP [S.] length 0 is delivered."),
    ({"target": "shop/web"}, "No host routed it"),
])  # fmt: skip
def test_pod_pair(choices, summary):
    explorer = moved(PodPairExplorer(), **choices)
    assert summary in explorer.value.summary
    assert explorer.walk.trace is explorer.value.trace


def test_ports_follow_the_target_and_the_protocol():
    explorer = moved(PodPairExplorer(), target="shop/db")
    assert dict(explorer.controls["port"].options) == {"5432, where it listens": 5432, "9999, where nobody listens": 9999}
    moved(explorer, port=9999, target="shop/api-2")
    assert explorer.controls["port"].value == 9999  # still there: kept
    moved(explorer, proto="icmp")
    assert dict(explorer.controls["port"].options) == {"none, ping has no ports": 0}
    moved(explorer, proto="tcp")
    assert explorer.controls["port"].value == 8080
    assert "8080" in explorer.value.summary


def test_pod_pair_of_any_cluster():
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: %s}\nspec: {containers: [{name: c, image: i}]}\n---\n"
    pods = pod % "a" + pod % "b"
    explorer = PodPairExplorer(Cluster.loads(pods, families=("IPv6",)))
    assert [label for label, _ in explorer.controls["source"].options] == ["a/one", "b/one"]  # one name, two Pods
    assert "is dropped" in explorer.value.summary
    with pytest.raises(ModelError, match="no Pod"):
        PodPairExplorer(Cluster.loads("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}"))


# The tunnel


@pytest.mark.parametrize(("choices", "summary", "printed"), [
    ({}, "It fits: delivered in one piece. The tunnel adds 50 bytes", "1430 bytes from 10.244.2.2: icmp_seq=1 ttl=62"),
    ({"payload": 1423}, "1451 bytes are more than the MTU 1450 of its own eth0", "ping: local error: message too long, mtu=1450"),
    ({"payload": 1423, "df": False}, "It is delivered in pieces", "1431 bytes from"),
    ({"mtu": "pods"}, "It fits", "1430 bytes from"),
    ({"mtu": "pods", "payload": 1423}, "node-a drops it and says so: ICMP fragmentation needed (MTU 1450)",
     "From 10.244.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1450)"),
    ({"mtu": "tunnel", "payload": 1472}, "It is delivered in pieces: cut in node-a; 2 frames", "1480 bytes from"),
    ({"mtu": "path"}, "A black hole: 1500 bytes are more than port-node-a in underlay takes (MTU 1400)", "100% packet loss"),
    ({"mtu": "path", "payload": 1322}, "It fits", "1330 bytes from"),
    ({"cni": "bridge"}, "Nobody on the way knows that Pod: no route to 10.244.2.2", "Destination Net Unreachable"),
    ({"cni": "ipip", "payload": 1452}, "The tunnel adds 20 bytes", "1460 bytes from 10.244.2.1: icmp_seq=1 ttl=62"),
    ({"cni": "ipip", "payload": 1453}, "1481 bytes are more than the MTU 1480 of its own eth0", "mtu=1480"),
    ({"cni": "host-gw", "payload": 1472}, "It fits: delivered in one piece.", "1480 bytes from"),
    ({"cni": "host-gw", "to": "pod/report"}, "It is dropped in underlay: IP_INNOROUTES", "100% packet loss"),
    ({"cni": "calico-vxlan-cross-subnet"}, "It fits: delivered in one piece.", "1430 bytes from"),
    ({"cni": "calico-vxlan-cross-subnet", "to": "pod/report"}, "The tunnel adds 50 bytes", "1430 bytes from 10.244.3.1"),
    ({"mtu": "silent", "payload": 1423}, "A black hole: 1451 bytes do not fit through flannel.1", "100% packet loss"),
    ({"family": "IPv6", "payload": 1382}, "The tunnel adds 70 bytes", "1390 bytes from fd00:244:0:2::2"),
    ({"family": "IPv6", "mtu": "pods", "payload": 1383}, "ICMPv6 packet too big (MTU 1430)", "icmp_seq=1 Packet too big: mtu=1430"),
    ({"family": "IPv6", "mtu": "silent", "payload": 1383}, "A black hole", "100% packet loss"),
    ({"family": "IPv6", "cni": "bridge", "payload": 100}, "Nobody on the way knows that Pod", "Destination unreachable: No route"),
    ({"family": "IPv6", "payload": 1383}, "1431 bytes are more than the MTU 1430", "ping: local error: message too long, mtu: 1430"),
    ({"cni": "ipip", "mtu": "tunnel", "payload": 1460}, "node-a drops it and says so: ICMP fragmentation needed (MTU 1480)",
     "From 192.168.50.11 icmp_seq=1 Frag needed and DF set (mtu = 1480)"),
    ({"cni": "ipip", "family": "IPv6"}, "It fits: delivered in one piece. IPIP carries IPv4 only", "1430 bytes from"),
    ({"cni": "host-gw", "mtu": "pods"}, "one piece. There is no tunnel here: the nodes' MTU is right for its Pods, too.", "1430 bytes"),
    ({"cni": "host-gw", "to": "pod/report", "payload": 9}, "no route to 10.244.3.2. Nobody tells the sender.", "100% packet loss"),
    ({"payload": 1440, "df": False}, "cut in web; put together for conntrack and cut again in node-a, node-b; 2 frames", "1448 bytes from"),
    ({"mtu": "pods", "payload": 1440, "df": False}, "cut in node-a; put together for conntrack and cut again in node-b; 2", "1448 bytes"),
])  # fmt: skip
def test_tunnel(choices, summary, printed):
    explorer = moved(TunnelExplorer(), **choices)
    assert summary in explorer.value.summary
    assert printed in explorer._html.value


def test_the_bars_count_the_bytes_of_each_wire():
    drawn = TunnelExplorer()._html.value
    assert re.findall(r"IP packet (\d+) bytes", drawn) == ["1450", "1500", "1450"]
    assert drawn.count(">VXLAN<") == 1
    assert drawn.count(">1422 B<") == 3


def limits_of(shown):
    rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", shown)]
    return {row.split("|")[1]: [cell for cell in row.split("|")[2:] if cell] for row in rows[1:]}


def test_the_picture_marks_where_the_packet_is_lost():
    for choices, wires in (
        ({"payload": 1472}, ["stopped", "bytes", "bytes"]),
        ({"mtu": "pods", "payload": 1472}, ["says", "stopped", "bytes"]),
        ({"mtu": "path", "payload": 1422}, ["says", "says", "stopped"]),
        ({"mtu": "path", "cni": "host-gw"}, ["says", "says", "stopped"]),
        ({}, ["says", "says", "says"]),
    ):
        drawn = moved(TunnelExplorer(), **choices)._html.value
        after = [part.partition("</figure>")[0] for part in drawn.split('<text class="wire"')[1:]]
        assert [next(k for k in ("stopped", "says", "bytes") if f'<text class="{k}"' in part) for part in after] == wires, choices
    drawn = moved(TunnelExplorer(), mtu="path", payload=1372)._html.value
    assert "network between the nodes, MTU 1400</text>" in drawn and "IP packet 1450 bytes, 50 more than the MTU" in drawn
    assert drawn.count('class="over"') == 1


def test_a_piece_of_an_ipv6_packet_shows_its_fragment_header():
    drawn = moved(TunnelExplorer(), family="IPv6", df=False, payload=2000)._html.value
    assert drawn.count(">Fragment<") == 6 and ">48 B<" not in drawn


def test_the_table_says_what_was_cut_and_by_which_limit():
    cut = moved(TunnelExplorer(), mtu="tunnel", payload=1472)._html.value
    assert limits_of(cut)["eth0 of node-a"] == ["1500", "1550", "✕ no, 50 too many: cut into 2"]
    assert limits_of(cut)["eth0 of api-2"] == ["1500", "1500", "✓ yes, 0 to spare"]
    refused = moved(TunnelExplorer(), cni="ipip", mtu="tunnel", payload=1460)._html.value
    assert limits_of(refused)["tunl0 of node-a"][2] == "✓ yes, 12 to spare"
    assert limits_of(refused)["eth0 of node-a"] == ["1500", "1508", "✕ no, 8 too many"]
    unused = moved(TunnelExplorer(), cni="calico-vxlan-cross-subnet", mtu="tunnel", payload=2000, df=False)._html.value
    assert limits_of(unused)["vxlan.calico of node-a"][1] == "does not get here"


def test_the_table_says_where_it_does_not_fit():
    shown = moved(TunnelExplorer(), mtu="pods", payload=1460)._html.value
    assert limits_of(shown) == {
        "eth0 of web": ["1500", "1488", "✓ yes, 12 to spare"],
        "flannel.1 of node-a": ["1450", "1488", "✕ no, 38 too many"],
        "eth0 of node-a": ["1500", "does not get here", "–"],
        "network between the nodes": ["1500", "does not get here", "–"],
        "eth0 of api-2": ["1500", "does not get here", "–"],
    }


def test_the_plug_ins_of_the_dropdown_are_those_that_there_are():
    from k8snetlib.kube.cni import CNIS

    options = TunnelExplorer().controls["cni"].options
    assert all(CNIS[name].title == title for title, name in options) and len(options) > 4


# A Service


@pytest.mark.parametrize(("choices", "summary", "shown"), [
    ({}, "web calls api and reaches api-1 (chance 1/2) or api-2 (chance 1/2).", "10.244.1.3,10.244.2.2"),
    ({"caller": "api-1"}, "api-1 calls api and reaches itself (chance 1/2), which sees 10.244.1.1 as the sender, or api-2 (chance 1/2).", "10.244.1.1</td>"),
    ({"selector": "app=apo"}, "“connection refused”: the Service has no endpoint that is in use, so the node rejects it. The selector "
     "picks no Pod.", "no endpoints"),
    ({"selector": ""}, "It has no selector, so nobody writes EndpointSlices for it.", "No resources found"),
    ({"selector": "app"}, "Not possible: a selector is label=value pairs", ""),
    ({"selector": "=api"}, "Not possible: a selector is label=value pairs", ""),
    ({"selector": "app=a b"}, "Not possible: svc/api selector: invalid value", ""),
    ({"selector": " app = api "}, "web calls api and reaches api-1", ""),
    ({"selector": "app=db", "target": "postgres"}, "web calls api and reaches db.", "db at 10.244.2.3:5432"),
    ({"selector": "app=db"}, "The targetPort names a container port that the Pods do not have.", "no port: no container"),
    ({"target": "8080"}, "reaches api-1 (chance 1/2) or api-2", "targetPort 8080"),
    ({"target": "9090"}, "“connection refused” from api-1 or api-2: no process listens on port 9090 there.", "TCP reset by api-1"),
    ({"target": "70000"}, "Not possible: svc/api target_port", ""),
    ({"target": "²"}, "Not possible: svc/api target_port", ""),
    ({"target": "0"}, "no process listens on port 80 there.", "TCP reset by api-1"),
    ({"target": " "}, "no process listens on port 80 there.", "TCP reset by api-1"),
    ({"first": "not-ready"}, "web calls api and reaches api-2.", "✕ not ready"),
    ({"first": "draining"}, "web calls api and reaches api-2.", "✕ terminating"),
    ({"first": "not-ready", "second": "draining"}, "reaches api-2. No endpoint is ready; one that is terminating is used while it still serves.",
     "yes: no ready one is left"),
    ({"first": "not-ready", "second": "draining"}, "reaches api-2.", "✓ terminating"),
    ({"first": "not-ready", "second": "stopping"}, "so the node rejects it", "✕ terminating"),
    ({"first": "not-ready", "second": "stopping"}, "None of the Pods that it picks is ready.", "ICMP port unreachable, from the node"),
    ({"first": "not-ready", "second": "not-ready", "publish": True}, "reaches api-1 (chance 1/2) or api-2 (chance 1/2).", "✓ ready"),
    ({"caller": "api-1", "second": "not-ready"}, "api-1 calls api and reaches itself, which sees 10.244.1.1 as the sender.", ""),
])  # fmt: skip
def test_service(choices, summary, shown):
    explorer = moved(ServiceExplorer(), **choices)
    assert summary in explorer.value.summary
    assert shown in explorer._html.value


def test_service_where_one_pod_listens_and_another_does_not():
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {0}, namespace: shop, labels: {{app: {2}}}}}\n"
        "spec: {{containers: [{{name: c, image: i, ports: [{{containerPort: {1}}}]}}]}}\n---\n"
    )
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop}\n"
        "spec: {selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}"
    )
    cluster = Cluster.loads(pod.format("api-1", 8080, "api") + pod.format("api-2", 9090, "api") + pod.format("web", 80, "web") + service)
    explorer = moved(ServiceExplorer(cluster), target="8080")
    assert explorer.value.summary == "web calls api: api-1 (chance 1/2), refused by api-2 (chance 1/2)."
    assert explorer.value.tone == "bad"


def test_the_handle_of_every_slider_is_seen_on_white():
    sliders = [control for made in ALL for control in made().controls.values() if hasattr(control.style, "handle_color")]
    assert len(sliders) >= 3 and {slider.style.handle_color for slider in sliders} == {"#1a66cc"}
