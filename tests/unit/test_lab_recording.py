"""Experiments and their recordings: what is stored, what is replayed, and what is refused; without a kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address as ip
from pathlib import Path
from types import MappingProxyType

import pytest

import k8snetlib as k8s
from k8snetlib.errors import LabError
from k8snetlib.lab import Connect, Experiment, Inject, Outcome, Ping, Result, Send, Unparsed, connect, experiment, experiments, replay
from k8snetlib.lab.capabilities import FEATURES, TOOLS, Facts, diagnose
from k8snetlib.lab.needs import needs
from k8snetlib.linux.events import Capture
from k8snetlib.linux.ops import LinkAdd, Listen, NetnsAdd, RulesRestore
from k8snetlib.linux.packet import Flow, Frame, Packet, Udp, Vxlan, ping, tcp, udp
from k8snetlib.linux.state import Conntrack, IpipConfig, Socket

OPS = (NetnsAdd("web"), Listen("web", Socket("tcp", 8080)))
PACKET = tcp("10.0.0.1", "10.0.0.2", 8080)
ONE = Experiment("one", OPS, (Send("web", PACKET),))
A, B = "0a:58:00:00:00:01", "0a:58:00:00:00:02"
TUNNEL = Frame(A, B, Packet(ip("192.0.2.1"), ip("192.0.2.2"), Udp(0, 8472, Vxlan(1, Frame(B, A, PACKET))), df=False))
RESULT = Result(
    "one",
    (Outcome("", ip("10.0.0.1"), "db", b"hello"), Outcome("EPERM")),
    (
        Capture("web", "eth0", "out", Frame(A, B, PACKET), -1),
        Capture("node", "eth0", "in", TUNNEL, -1),
        Capture("web", "eth0", "in", Frame(B, A, ping("fd00::1", "fd00::2")), -1),
        Capture("web", "eth0", "in", Unparsed(b"\x88\xcc?", "odd"), -1),
        Capture("node", "tunl0", "out", Frame("", "", PACKET), -1),
    ),
    {"node": (Conntrack(udp("10.0.0.1", "10.0.0.2", 53).flow, Flow("udp", ip("10.0.0.2"), 53, ip("192.0.2.1"), 9), nat=("src",)),)},
    {"node": "*nat\n[1:60] -A POSTROUTING -j MASQUERADE\nCOMMIT\n"},
    False,
    "run just now on Linux 6.18",
)
FACTS = Facts("linux", "6.18.4", tools=frozenset(TOOLS), trials=MappingProxyType(dict.fromkeys(FEATURES, "")))
WHOLE = diagnose(FACTS)
LINUX = diagnose(Facts("linux", "6.18.4", trials=MappingProxyType(dict.fromkeys(("sysctl", "veth", "bridge", "packets"), ""))))
MACOS = diagnose(Facts("darwin", "24.1.0"))


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """A machine where the lab runs, and a kernel that always does the same; the experiments that were run."""
    ran: list[Experiment] = []

    def run(self: Experiment) -> Result:
        ran.append(self)
        return replace(RESULT, name=self.name)

    monkeypatch.delenv("K8SNET_LAB", raising=False)
    monkeypatch.setattr(Experiment, "live", run)
    monkeypatch.setattr(experiments, "probe", lambda: LINUX)
    return ran


def test_json_and_back() -> None:
    content = json.loads(json.dumps({"name": "one", **replay.encode(RESULT)}))
    assert replay.decode(content, RESULT.about) == replace(RESULT, recorded=True)


def test_a_recording_says_where_and_when(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "made_with", lambda: {"date": "2026-11-23", "linux": "6.18", "release": "6.18.4"})
    recorded = ONE.result("record", tmp_path)
    assert (recorded.recorded, recorded.about) == (True, "recorded on Linux 6.18, 2026-11-23")
    assert ONE.result("recorded", tmp_path) == recorded
    assert replace(recorded, recorded=False, about=RESULT.about) == RESULT
    assert len(live) == 1
    assert replay.recorded(tmp_path) == {"one": tmp_path / "one.json"}


def test_a_recording_is_readable_text(live: list, tmp_path: Path) -> None:
    ONE.result("record", tmp_path)
    text = (tmp_path / "one.json").read_text(encoding="utf-8")
    assert "IP 10.0.0.1:40000 > 10.0.0.2:8080: TCP [S] length 0" in text
    assert set(json.loads(text)["made"]) >= {"date", "linux", "release"}


def test_a_recording_names_a_kernel_that_is_a_program(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "kernel_name", lambda: experiments.UML)
    monkeypatch.setattr(replay, "short_release", lambda: "6.1")
    assert ONE.result("record", tmp_path).about.startswith("recorded on User-Mode Linux 6.1, ")
    monkeypatch.undo()
    assert ONE.result("recorded", tmp_path).about.startswith("recorded on User-Mode Linux 6.1, ")


def test_an_unchanged_recording_is_left_alone(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ONE.result("record", tmp_path)
    before = (tmp_path / "one.json").read_bytes()
    monkeypatch.setattr(replay, "made_with", lambda: {"date": "2030-01-01", "linux": "9.9", "release": "9.9"})
    ONE.result("record", tmp_path)
    assert (tmp_path / "one.json").read_bytes() == before
    monkeypatch.setattr(Experiment, "live", lambda self: replace(RESULT, outcomes=()))
    assert ONE.result("record", tmp_path).about == "recorded on Linux 9.9, 2030-01-01"


OTHERS = [
    replace(ONE, ops=(*OPS, NetnsAdd("db"))),
    replace(ONE, ops=(OPS[0], Listen("web", Socket("tcp", 8081)))),
    replace(ONE, probes=(Send("db", PACKET),)),
    replace(ONE, probes=(Send("web", replace(PACKET, ttl=3)),)),
    replace(ONE, probes=(*ONE.probes, *ONE.probes)),
    replace(ONE, probes=(Ping("web", ip("10.0.0.2")),)),
    replace(ONE, answer=False),
]


@pytest.mark.parametrize("other", OTHERS, ids=range(len(OTHERS)))
def test_a_stale_recording_is_refused(live: list, tmp_path: Path, other: Experiment) -> None:
    ONE.result("record", tmp_path)
    with pytest.raises(LabError, match=r"recording of 'one' \(recorded on Linux .*\) was made with other ops or packets"):
        other.result("recorded", tmp_path)


def test_a_recording_that_is_not_there(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="no recording of 'one', and K8SNET_LAB=recorded allows nothing else"):
        ONE.result("recorded", tmp_path)
    monkeypatch.setattr(experiments, "probe", lambda: MACOS)
    with pytest.raises(LabError, match=r"no recording of 'one', and The lab cannot run here.*macOS"):
        ONE.result("auto", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99}', '{"name": "one"}'])
def test_a_recording_that_cannot_be_read(live: list, tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=r"one\.json cannot be read"):
        ONE.result("recorded", tmp_path)


def test_auto_is_live_where_the_lab_runs(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ONE.result("record", tmp_path)
    assert not ONE.result(folder=tmp_path).recorded
    monkeypatch.setenv("K8SNET_LAB", "recorded")
    assert ONE.result(folder=tmp_path).recorded
    monkeypatch.setenv("K8SNET_LAB", "live")
    assert not ONE.result(folder=tmp_path).recorded
    monkeypatch.delenv("K8SNET_LAB")
    monkeypatch.setattr(experiments, "probe", lambda: MACOS)
    assert ONE.result(folder=tmp_path).recorded


def test_where_the_kernel_lacks_what_the_ops_need(live: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is live there; this is as recorded, says why, and is not recorded anew."""
    tunnel = replace(ONE, name="tunnel", ops=(*OPS, LinkAdd("web", "tunl0", "ipip", ipip=IpipConfig())))
    monkeypatch.setattr(experiments, "probe", lambda: WHOLE)
    made = tunnel.result("record", tmp_path)
    before = (tmp_path / "tunnel.json").read_bytes()
    lacking = diagnose(replace(FACTS, trials=MappingProxyType({**FACTS.trials, "ipip": "Unknown device type"})))
    monkeypatch.setattr(experiments, "probe", lambda: lacking)
    assert not ONE.result("auto", tmp_path).recorded
    monkeypatch.setattr(Experiment, "live", lambda self: pytest.fail("it was run"))
    why = "Linux 6.18.4 here is without IPIP (this kernel found no module ipip;"
    for mode in ("auto", "record"):
        found = tunnel.result(mode, tmp_path)
        assert found.recorded and found.about.startswith(f"{made.about}. {why}")
        assert replace(found, about=made.about) == made
    assert (tmp_path / "tunnel.json").read_bytes() == before
    assert tunnel.result("recorded", tmp_path) == made
    with pytest.raises(LabError, match=r"no recording of 'nowhere', and Linux 6\.18\.4 here is without IPIP"):
        replace(tunnel, name="nowhere").result("record", tmp_path)


def test_what_a_kernel_lacks_is_said_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "probe", lambda: LINUX)
    with pytest.raises(LabError, match=r"here is without iptables .* and connection tracking"):
        replace(ONE, ops=(*OPS, RulesRestore("web", "*nat\nCOMMIT\n"))).result("live")


@pytest.mark.parametrize("cni", ["bridge", "vxlan", "ipip", "calico-vxlan", "bgp", "vpc"])
@pytest.mark.parametrize("proxy", ["none", "iptables", "nftables", "ipvs"])
def test_what_the_ops_of_a_cluster_need(cni: str, proxy: str) -> None:
    found = needs(k8s.shop(cni, proxy=proxy).ops())
    assert found & {"vxlan", "ipip"} == {kind for kind in ("vxlan", "ipip") if kind in cni}
    assert ("nft" in found, "ipvs" in found, "ipset" in found) == (proxy == "nftables", proxy == "ipvs", proxy == "ipvs")
    assert {"iptables", "conntrack"} <= found <= set(FEATURES)  # every plug-in masquerades
    assert "ipv6" in needs(k8s.shop(cni if cni != "vpc" else "bridge", families=["IPv6"]).ops())


def test_live_where_the_lab_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "probe", lambda: MACOS)
    with pytest.raises(LabError, match="macOS"):
        ONE.result("live")


def test_an_unknown_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNET_LAB", "sometimes")
    with pytest.raises(LabError, match="'sometimes'; it can be auto, live, recorded, record"):
        ONE.result()


@pytest.mark.parametrize("name", ["", "Upper", "two words", "../up", "a--b", "-a", "a.b", "ä"])
def test_names_that_cannot_name_a_file_everywhere(name: str) -> None:
    with pytest.raises(LabError, match="lower-case words"):
        experiment(name, OPS, PACKET, at="web")


def test_what_may_be_sent(live: list[Experiment]) -> None:
    frame = Frame(A, B, udp("10.0.0.1", "10.0.0.2", 53))
    several = [PACKET, Inject("web", "eth0", frame), connect("web", "tcp", "10.0.0.2", 80), Ping("web", ip("10.0.0.2"))]
    experiment("several", OPS, several, at="web")
    experiment("single", OPS, Send("web", PACKET))
    assert live[0].probes == (Send("web", PACKET), *several[1:])
    assert live[0].probes[2] == Connect("web", "tcp", ip("10.0.0.2"), 80)
    assert [each.ports for each in live[0].probes] == [(40000, 8080), (40000, 53), (80,), ()]
    assert live[1].probes == (Send("web", PACKET),)
    with pytest.raises(LabError, match="at="):
        experiment("nowhere", OPS, PACKET)


def test_all_are_recorded(live: list, tmp_path: Path) -> None:
    two = replace(ONE, name="two", ops=(*OPS, RulesRestore("web", "*nat\nCOMMIT\n")))
    assert replay.record_all([ONE, two], tmp_path) == [tmp_path / "one.json", tmp_path / "two.json"]
    assert set(replay.recorded(tmp_path)) == {"one", "two"}
    assert two.result("recorded", tmp_path).recorded


def test_captures_of_one_place() -> None:
    assert len(RESULT.on("web")) == 3 and len(RESULT.on("web", "eth0")) == 3 and RESULT.on("web", "eth1") == ()


def test_every_recording_in_the_package_can_be_read() -> None:
    for name, path in replay.recorded().items():
        assert json.loads(path.read_text(encoding="utf-8"))["name"] == name
        replay.decode(replay.read(path), "recorded")
