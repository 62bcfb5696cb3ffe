"""The packet walk's data and its twin: everything that the browser is given, computed in Python."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from k8snetlib import build, shop
from k8snetlib.linux.ops import LinkSet
from k8snetlib.views.headers import Header
from k8snetlib.views.render import DIMMED
from k8snetlib.widgets import PacketWalk
from k8snetlib.widgets.packet_walk import HERE, walk_twin
from k8snetlib.widgets.walk_data import marked, walk_data


@pytest.fixture(scope="module")
def cluster():
    return shop()


@pytest.fixture(scope="module")
def across(cluster):
    return cluster.trace("pod/web", "pod/api-2:8080")


def layers(step: dict) -> list[str]:
    return [head["layer"] for head in step["headers"]]


def marks(step: dict) -> list[str]:
    return [head["mark"] for head in step["headers"]]


def test_headers_are_nested_outermost_first(across):
    data = walk_data(across)["steps"]
    assert [step["place"] for step in data][3:7] == ["routing of node-a", "flannel.1 of node-a", "eth0 of node-a", "underlay"]
    assert layers(data[5]) == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP"]
    assert [step["length"] for step in data] == [54, 54, 54, 40, 90, 104, 104, 104, 54, 40, 54, 54, 54]


def test_what_is_new_changed_and_gone_is_marked(across):
    data = walk_data(across)["steps"]
    assert marks(data[0]) == ["", "", ""]  # nothing to compare with
    assert (marks(data[3]), data[3]["gone"]) == (["changed", ""], ["Ethernet"])
    assert ["TTL", "63", "64"] in data[3]["headers"][0]["fields"]
    assert marks(data[4]) == ["new", "new", "new", "new", "", ""]
    assert (marks(data[8]), data[8]["gone"]) == (["", "", ""], ["Ethernet", "IPv4", "UDP", "VXLAN"])


def test_headers_are_compared_from_the_inside_out():
    inner, outer = Header("IPv4", 20, (("TTL", "64"),)), Header("IPv4", 20, (("TTL", "9"),))
    assert marked((inner,), (outer, inner)) == (
        [{"layer": "IPv4", "length": 20, "mark": "new", "fields": [["TTL", "9", ""]]},
         {"layer": "IPv4", "length": 20, "mark": "", "fields": [["TTL", "64", ""]]}], [])  # fmt: skip
    assert marked((outer, inner), (inner,))[1] == ["IPv4"]
    other = replace(inner, layer="IPv6")
    assert [head["mark"] for head in marked((inner,), (other,))[0]] == ["new"]


def test_what_decided_comes_with_its_command(across):
    said = walk_data(across)["steps"][4]["said"]
    decided = [(item["tool"], item["entry"]) for item in said if item["tool"]]
    assert [tool for tool, _ in decided] == ["bridge -n node-a fdb"]
    assert decided[0][1].endswith("dev flannel.1 dst 192.168.50.12 self permanent")


def test_an_entry_that_decided_twice_is_told_once(cluster):
    said = walk_data(cluster.trace("pod/web", "127.0.0.1:8080"))["steps"][0]["said"]  # routed out, and in again
    entries = [item["entry"] for item in said if item["tool"]]
    assert entries == ["local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1"]


def test_the_question_to_a_neighbour_is_told_aside(across):
    said = walk_data(across)["steps"][0]["said"]
    asides = [item["aside"] for item in said if item["aside"]]
    assert len(asides) == 1
    assert any("answers: ARP: 10.244.1.1 is 0a:58:0a:f4:01:01" in line for line in asides[0]["lines"])
    assert asides[0]["lines"][-1].startswith("eth0 of web:")  # the answer came back


def test_no_question_where_the_neighbours_are_known(cluster, across):
    from k8snetlib import after

    again = cluster.trace("pod/web", "pod/api-2:8080", network=after(cluster.network, across))
    assert not [item for step in walk_data(again)["steps"] for item in step["said"] if item["aside"]]


def test_a_drop_has_its_reason_and_its_answer(cluster):
    data = walk_data(cluster.trace("pod/web", "pod/api-1:9999"))["steps"]
    assert data[-1]["ended"] == "dropped"
    bad = [item["text"] for item in data[-1]["said"] if item["end"] == "bad"]
    assert bad == ["dropped: NO_SOCKET, nothing listens on tcp port 9999"]
    answer = next(item["aside"] for item in data[-1]["said"] if item["aside"])
    assert answer["title"] == "The answer on its way"
    assert answer["lines"][-1].startswith("eth0 of web:")


def test_every_box_of_a_walk_is_in_its_drawing(cluster):
    link_down = build([LinkSet("node-b", "flannel.1", up=False)], cluster.network)
    traces = [cluster.trace("pod/web", "pod/db:5432"), cluster.trace("pod/web", "127.0.0.1:8080"),
              cluster.trace("pod/web", "pod/api-2:8080", network=link_down), shop("ptp").trace("pod/web", "pod/api-2:8080"),
              shop(node_c=True).trace("pod/web", "pod/report:8080")]  # fmt: skip
    for trace in traces:
        data = walk_data(trace)
        for number, step in enumerate(data["steps"]):
            assert f'id="{step["box"]}"' in data["svg"]
            assert number == 0 or f'id="hop-{number}"' in data["svg"]


def test_data_of_a_payload_is_counted(cluster):
    data = walk_data(cluster.trace("pod/web", "pod/api-1", "icmp", data=bytes(100)))["steps"]
    assert (data[0]["length"], data[0]["payload"]) == (142, 100)


def test_the_same_trace_gives_the_same_data_and_the_same_twin(across):
    again = shop().trace("pod/web", "pod/api-2:8080")
    assert json.dumps(walk_data(across)) == json.dumps(walk_data(again))
    assert walk_twin(across) == walk_twin(again)


def test_one_output_with_a_fixed_text_a_twin_and_the_view(across):
    walk = PacketWalk(across, caption="A <SYN>")
    bundle = walk._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"] == repr(walk) == repr(PacketWalk(across, caption="A <SYN>"))
    assert bundle["text/plain"].startswith("PacketWalk: The packet from web to api-2 is delivered in 12 steps")
    assert "0x" not in bundle["text/plain"]
    assert bundle["text/html"].count("<tr>") == 14
    assert "A &lt;SYN&gt;" in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == walk.model_id


def test_another_trace_takes_its_place(cluster, across):
    walk = PacketWalk(across)
    walk.show(cluster.trace("pod/web", "pod/api-1:8080"))
    assert len(walk.data["steps"]) == 5
    assert "api-1" in repr(walk)


def test_nothing_to_follow(across):
    walk = PacketWalk(None)
    assert walk.data["steps"] == []
    assert walk.twin() == "<p>There is no packet to follow.</p>"


def test_another_journey(across):
    walk = PacketWalk(across, journey=1)
    assert layers(walk.data["steps"][0]) == ["Ethernet", "ARP"]


def test_the_script_is_small_and_has_no_words_of_its_own():
    script = (HERE / "packet_walk.js").read_text(encoding="utf-8")
    assert len(script.encode()) < 10_000
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")


def test_every_command_that_shows_a_decision_can_be_typed(cluster, across):
    reply = across.reply
    tools = {item["tool"] for trace in (across, reply) for step in walk_data(trace)["steps"] for item in step["said"] if item["tool"]}
    assert "ip netns exec node-a conntrack -L" in tools
    assert {tool.split()[0] for tool in tools} == {"ip", "bridge", "iptables"}


def test_soft_words_can_be_read_where_the_ground_is_sunk():
    """WCAG's 4.5:1 on JupyterLab's ``--jp-layout-color2``: #eee in its light theme, #424242 in its dark one."""
    css = (HERE / "packet_walk.css").read_text(encoding="utf-8")
    light, dark = re.findall(r"--soft:(#\w{6})", css)
    assert '[data-jp-theme-light="false"] .k8s-walk{--soft:' + dark in css

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return sum(
            w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
        )

    for words, ground in ((light, "#eeeeee"), (dark, "#424242")):
        low, high = sorted(map(luminance, (words, ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_what_lies_ahead_is_pale_but_for_its_words():
    css = (HERE / "packet_walk.css").read_text(encoding="utf-8")
    rules = {rule.strip(): looks for rule, looks in re.findall(r"([^{}]+)\{([^}]*)\}", css) if ".ahead" in rule}
    pale = [rule for rule, looks in rules.items() if re.search(r"(^|;)opacity:", looks)]
    assert pale == [".k8s-walk .stage .ahead :is(path,polygon,ellipse)"]
    assert f"fill:{DIMMED}" in rules[".k8s-walk .stage .node.ahead text"]


def test_the_arrow_of_a_dropdown_is_light_in_the_dark_theme():
    """ipywidgets draws it black in both themes; JupyterLab's dark ground of a field is #212121."""
    css = (HERE / "explorer.css").read_text(encoding="utf-8")
    (drawn,) = re.findall(
        r"""\[data-jp-theme-light="false"\] \.k8s-explorer select\{background-image:url\("data:image/svg\+xml,([^"]+)"\)""", css
    )
    assert min(int(each, 16) for each in re.findall(r"stroke='%23(\w\w)(\w\w)(\w\w)'", drawn)[0]) > 0xC0
    ElementTree.fromstring(unquote(drawn))
