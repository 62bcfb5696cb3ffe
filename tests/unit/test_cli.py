"""The command: its answers, its exit codes, and one clear line for every mistake."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from k8snetlib.cli import main
from k8snetlib.course.build import Report
from k8snetlib.kube.cast import INGRESS, SHOP
from k8snetlib.lab.capabilities import FEATURES, TOOLS, Facts, diagnose


def run(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as stop:  # argparse
        return int(stop.code)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--from", "pod/web", "--to", "pod/api-2:8080"], 0),
        (["--from", "pod/web", "--to", "pod/api-2:81"], 1),
        (["--from", "pod/web", "--to", "pod/api-2:8080", "--cni", "bridge"], 1),
        (["--from", "pod/web", "--to", "pod/nobody"], 2),
        (["--from", "pod/web"], 2),
        (["--from", "pod/web", "--to", "pod/db", "--cni", "none"], 2),
        (["no-such-file.yaml", "--from", "pod/web", "--to", "pod/db"], 2),
    ],
)
def test_exit_codes(words: list[str], code: int, capsys: pytest.CaptureFixture) -> None:
    assert run("trace", *words) == code
    told = capsys.readouterr().err
    assert "Traceback" not in told and (code != 2 or told)


@pytest.mark.parametrize("words", [["trace"], ["trace", "--from", "web", "--to", "db", "--cni", "weave"], ["lab", "there"], ["fly"]])
def test_usage_is_complained_of_in_one_line(words: list[str], capsys: pytest.CaptureFixture) -> None:
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert told.startswith("k8snet") and told.count("\n") == 1 and "--help says more" in told


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors as a POSIX shell does")
@pytest.mark.parametrize(
    ("redirection", "words", "code", "out", "err"),
    [
        ("<&-", ["-"], 2, "", "k8snet: standard input (-) is closed\n"),
        (">&-", [], 0, "", ""),
        ("2>&-", ["no-such-file.yaml"], 2, "", ""),
        (">/dev/full", ["--json"], 2, "", "k8snet: cannot write the answer: No space left on device\n"),
        (">/dev/full", ["--short"], 2, "", "k8snet: cannot write the answer: No space left on device\n"),
    ],
)
def test_streams_that_are_closed_or_full(redirection: str, words: list[str], code: int, out: str, err: str) -> None:
    if redirection.endswith("full") and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    asked = [sys.executable, "-m", "k8snetlib.cli", "trace", *words, "--from", "web", "--to", "db:5432"]
    found = subprocess.run(f"{shlex.join(asked)} {redirection}", shell=True, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (code, out, err)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_an_output_that_lacks_signs(encoding: str) -> None:
    """As Windows has one for a pipe: plain signs stand for others, and JSON is the same JSON."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding}

    def printed(*words: str) -> str:
        asked = [sys.executable, "-m", "k8snetlib.cli", "trace", "--from", "web", "--to", "svc/api:80", *words]
        return subprocess.run(asked, capture_output=True, check=True, env=environment).stdout.decode(encoding)

    arrow = "→" if encoding == "utf-8" else "->"
    assert f"web {arrow} node-a {arrow} api-1" in printed("--all")
    assert "TTL 64 → 63" in str(json.loads(printed("--json", "--cni", "bgp")))


def test_the_walk_in_text(capsys: pytest.CaptureFixture) -> None:
    assert run("trace", str(SHOP), "--from", "web", "--to", "api-2:http", "--color", "never") == 0
    out = capsys.readouterr().out
    assert "flannel.1 wraps the frame in UDP for 192.168.50.12" in out and out.strip().endswith("delivered to api-2 in 12 steps")
    assert "\033[" not in out and "$ bridge -n node-a fdb" in out


def test_colour_and_the_way_back(capsys: pytest.CaptureFixture) -> None:
    assert run("trace", "--from", "web", "--to", "api-1:8080", "--reply", "--short", "--color", "always") == 0
    out = capsys.readouterr().out
    assert "\033[1m" in out and "the way back" in out and "delivered to web" in out


def test_json(capsys: pytest.CaptureFixture) -> None:
    assert run("trace", "--from", "web", "--to", "api-2:81", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["reason"], found["endedIn"]) == ("dropped", "NO_SOCKET", "api-2")
    assert [h["layer"] for h in found["steps"][5]["headers"]] == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP"]


BARE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
"""


@pytest.mark.parametrize(
    "how",
    [["--to", "svc/web"], ["--to", "pod/web:80", "--reply"], ["--to", "svc/web", "--all"], ["--to", "svc/web", "--compare", "nftables,ipvs"],
     ["--to", "svc/web", "--ways", "vxlan,ipip"], ["--from", "client", "--to", "http://a.example/", "--controller"]],
)  # fmt: skip
def test_a_refusal_by_a_pod_that_declares_no_ports_is_explained(how, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text(BARE)
    words = [str(file), *([] if "--from" in how else ["--from", "node/node-a"]), *how]
    told = "Pod default/web-1 declares no ports (containerPort), and in this model nothing else listens there; "
    assert run("trace", *words) == 1
    assert f"note: {told}" in capsys.readouterr().err
    assert run("trace", *words, "--json") == 1
    assert [each for each in json.loads(capsys.readouterr().out)["notes"] if each.startswith(told)]


CLIENT = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: cli}\nspec: {containers: [{name: c, image: i}]}\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("selector: {app: web}, ports", "selector: {app: wbe}, ports",
         'Service default/web selects app=wbe, which no Pod of its namespace has (Pod web-1 has app=web: did you mean "web"?)'),
        ("selector: {app: web}, ports", "selector: {tier: x}, ports", "Service default/web selects tier=x, which no Pod of its namespace has"),
        ("selector: {app: web}, ports", "ports", "Service default/web has no selector, and there is no EndpointSlice for it"),
        ("spec: {containers", "spec: {nodeSelector: {disk: ssd}, containers",
         "of the Pods that Service default/web selects none runs: default/web-1: 0/2 nodes are available: 2 node(s) didn't match"),
        ("spec: {containers", "spec: {readinessGates: [{conditionType: a/b}], containers",
         "of the Pods that Service default/web selects none is ready (web-1)"),
    ],
)  # fmt: skip
def test_a_service_that_leads_nowhere_is_explained(old, new, told, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text(BARE.replace(old, new, 1) + CLIENT)
    for mode in ("iptables", "nftables", "ipvs"):
        assert run("trace", str(file), "--from", "pod/cli", "--to", "svc/web", "--proxy", mode) == 1
        assert re.search(rf"note: .*bare.yaml:\d+: {re.escape(told)}", capsys.readouterr().err)


def test_pods_that_run_nowhere_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "bare.yaml"
    ports = "nginx, ports: [{containerPort: 80, hostPort: 80}]"
    file.write_text(BARE.replace("nginx", ports).replace("spec:\n  selector", "spec:\n  replicas: 7\n  selector", 1) + CLIENT)
    assert run("trace", str(file), "--from", "pod/cli", "--to", "svc/web") == 0
    assert (
        "note: 5 Pods are pending, without a node: default/web-3, default/web-4, default/web-5 and 2 more: 0/2 nodes are available: "
        "2 node(s) didn't have free ports for the requested pod ports. (the manifests have no Nodes, so there are 2)\n"
    ) in capsys.readouterr().err


def test_a_refusal_of_a_port_that_is_not_declared_names_those_that_are(capsys: pytest.CaptureFixture) -> None:
    run("trace", "--from", "pod/web", "--to", "pod/api-2:81")
    assert "note: Pod shop/api-2 declares only 8080/TCP (containerPort), and" in capsys.readouterr().err
    run("trace", "--from", "pod/web", "--to", "pod/api-2:8080")
    assert "declares" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "how",
    [["--to", "db"], ["--to", "db", "--all"], ["--to", "db", "--compare", "iptables,nftables"], ["--to", "db", "--ways", "vxlan,ipip"],
     [str(INGRESS), "--from", "client", "--to", "http://shop.example/"]],
)  # fmt: skip
def test_json_always_says_what_is_left_out(how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: tick}\nspec: {schedule: '* * * * *', jobTemplate: {spec: "
                    "{template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}\n")  # fmt: skip
    run("trace", str(SHOP), str(file), *([] if "--from" in how else ["--from", "web"]), *how, "--json")
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found["notes"], list) and [each for each in found["skipped"] if "CronJob tick: makes Jobs at their time" in each]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    stream = io.TextIOWrapper(io.BytesIO(SHOP.read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert run("trace", "-", "--from", "web", "--to", "db", "--short") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: x, prots: []}]}\n",
            '4 spec.containers[0].prots: unknown field (did you mean "ports"?)',
        ),
        ("a: 1\na: 2\n", "duplicate key"),
        ("a:\n\t- b\n", "tab"),
        ("a: &a [*a]\n", "contains itself"),
    ],
)
def test_damaged_manifests(text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    assert run("trace", str(path), "--from", "a", "--to", "a") == 2
    told = capsys.readouterr().err
    assert words in told and str(path) in told and told.count("\n") == 1


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}\n"
POLICY = "is not in this model yet, whatever the network plug-in: nothing is blocked; the real answer may differ"
ROUTES = "is for a controller of its own, which may route or refuse requests by it, and is not read; the real answer may differ"
# fmt: off
BESIDE = [
    ([], []),
    (["v1 ConfigMap c", "v1 Secret s", "rbac.authorization.k8s.io/v1 Role r"], ["without bearing on this trace: 3 (ConfigMap, Role, Secret)"]),
    (["networking.k8s.io/v1 NetworkPolicy deny", "v1 ConfigMap c"],
     [f"warning: NetworkPolicy default/deny {POLICY}", "without bearing on this trace: 1 (ConfigMap)"]),
    ([f"networking.k8s.io/v1 NetworkPolicy p{n}" for n in range(5)], [f"warning: NetworkPolicy default/p0, default/p1, default/p2 and 2 more {POLICY}"]),
    (["networking.istio.io/v1 VirtualService v", "traefik.io/v1alpha1 IngressRoute i"],
     [f"warning: IngressRoute i {ROUTES}", f"warning: VirtualService v {ROUTES}"]),
    (["cert-manager.io/v1 Certificate c", "monitoring.coreos.com/v1 ServiceMonitor m"],
     ["warning: left out are 2 custom resources, with all that their controllers make of them (Certificate, ServiceMonitor)"]),
]
# fmt: on


@pytest.mark.parametrize("cni", ["bridge", "ipip"])
@pytest.mark.parametrize(("objects", "lines"), BESIDE)
def test_what_is_left_out_is_told_with_its_reason(objects, lines, cni, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    specs = {"ConfigMap": "", "Secret": "", "Role": ""}
    made = [
        f"apiVersion: {v}\nkind: {k}\nmetadata: {{name: {n}}}\n{specs.get(k, 'spec: {podSelector: {}}')}\n"
        for v, k, n in map(str.split, objects)
    ]
    (tmp_path / "more.yaml").write_text("---\n".join([POD, *made]))
    assert run("trace", str(tmp_path), "--from", "web", "--to", "web:80", "--short", "--cni", cni) == 0
    assert capsys.readouterr().err.splitlines() == lines


def test_secrets_that_an_ingress_shows_are_not_said_to_have_no_bearing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    ingress = (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {tls: [{secretName: used}], rules: [{host: a.com}]}\n"
    )
    secrets = [f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n" for name in ("used", "other")]
    (tmp_path / "more.yaml").write_text("---\n".join([POD, ingress, *secrets]))
    assert run("trace", str(tmp_path), "--from", "web", "--to", "web:80", "--short") == 0
    assert capsys.readouterr().err == "without bearing on this trace: 1 (Secret)\n"


def test_pcap_opens_in_tshark(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "walk.pcapng"
    assert run("trace", "--from", "web", "--to", "api-2:8080", "--pcap", str(path), "--reply") == 0
    assert path.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert "tshark -d udp.port==8472,vxlan" in capsys.readouterr().err  # as the call below
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed: the file was written, and not read by another program")
    words = ["tshark", "-r", str(path), "-d", "udp.port==8472,vxlan", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-T", "fields",
             "-e", "frame.protocols", "-e", "_ws.malformed", "-e", "ip.checksum.status", "-e", "tcp.checksum.status"]  # fmt: skip
    read = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert any("vxlan:eth:ethertype:ip:tcp" in line for line in read)
    for line in read:
        protocols, malformed, *sums = line.split("\t")
        assert protocols and not malformed and all(value in ("", "1", "1,1") for value in sums), line


def test_nobody_is_told_to_decode_what_wireshark_knows(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for cni in ("calico-vxlan", "ipip"):
        assert run("trace", "--from", "web", "--to", "api-2:8080", "--cni", cni, "--pcap", str(tmp_path / cni)) == 0
        assert "tshark" not in capsys.readouterr().err


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture) -> None:
    assert run() == 2
    assert "open the course in JupyterLab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "report", "code", "out"),
    [
        (["--check"], Report(), 0, "nothing differs\n"),
        ([], Report(), 0, "nothing to write: every notebook is as it was\n"),
        (
            [],
            Report(written=("course/00-a.ipynb", "exercises/01-b/01-b.ipynb")),
            0,
            "written: course/00-a.ipynb, exercises/01-b/01-b.ipynb\n",
        ),
        (["--check"], Report(failures=("course/00-a.ipynb: a cell failed",)), 1, "course/00-a.ipynb: a cell failed\n"),
    ],
)
def test_a_build_says_how_it_ended(words, report, code, out, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("k8snetlib.course.build.build", lambda **how: report)
    assert run("build", *words) == code and capsys.readouterr().out == out


def test_doctor(capsys: pytest.CaptureFixture) -> None:
    assert run("doctor") in (0, 1)
    out = capsys.readouterr().out
    assert "the model: a packet across two nodes, delivered" in out and any("the lab" in line.lower() for line in out.splitlines())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "✓ IPIP: lesson 03 runs it in this kernel"),
        ("Operation not supported", "– Linux 6.18.4 here is without IPIP (not in this kernel, which loads no modules). Lesson 03 shows what "
         "was recorded on User-Mode Linux 6."),
    ],
)  # fmt: skip
def test_doctor_on_ipip(words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    facts = Facts("linux", "6.18.4", tools=frozenset(TOOLS), trials={**dict.fromkeys(FEATURES, ""), "ipip": words}, modules=False)
    monkeypatch.setattr("k8snetlib.lab.probe", lambda: diagnose(facts))
    run("doctor")
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if line.startswith(said)] and "✓ IPVS: lesson 06 runs it in this kernel" in out


def test_doctor_asks_for_nothing_that_only_tests_need() -> None:
    from k8snetlib.commands.doctor import PACKAGES

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(PACKAGES) <= {re.split(r"[\[=<>]", each)[0] for each in project["dependencies"]}


def test_a_learners_copy_keeps_their_work(tmp_path: Path) -> None:
    from k8snetlib.commands.lab import _copy

    source, mine = tmp_path / "wheel", tmp_path / "mine"
    (source / "course").mkdir(parents=True)
    (source / "course" / "00-a.ipynb").write_text("one")
    _copy(source, mine)
    (mine / "course" / "00-a.ipynb").write_text("my work")
    (source / "course" / "01-b.ipynb").write_text("two")
    _copy(source, mine)
    assert (mine / "course" / "00-a.ipynb").read_text() == "my work" and (mine / "course" / "01-b.ipynb").exists()


class TestServices:
    """Services in the terminal: every outcome, modes side by side, somebody outside."""

    def test_a_service_is_reached(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "svc/api:80", "--proxy", "nftables", "--reply"]) == 0
        out = capsys.readouterr().out
        assert "un-DNAT" in out and "service-ips" in out and "kube-proxy in mode nftables" in out

    def test_every_outcome(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "svc/api:80", "--all"]) == 0
        assert capsys.readouterr().out.count("1/2 ") == 2

    def test_a_ping_has_no_port(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "pod/db", "--proto", "icmp", "--all", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["outcomes"][0]["receiver"] == "10.244.2.2"

    def test_which_pod_of_a_headless_service(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        file = tmp_path / "headless.yaml"
        file.write_text(
            "apiVersion: v1\nkind: Service\nmetadata: {name: each, namespace: shop}\n"
            "spec: {clusterIP: None, selector: {app: api}, ports: [{port: 8080}]}\n"
        )
        asked = ["trace", str(SHOP), str(file), "--from", "pod/web", "--to", "svc/each:8080"]
        assert main([*asked, "--all"]) == 0
        assert "note: DNS has 2 addresses for headless Service shop/each" in capsys.readouterr().err
        assert main([*asked, "--json"]) == 0
        assert "DNS has 2 addresses" in json.loads(capsys.readouterr().out)["notes"][0]

    def test_modes_side_by_side(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "svc/api:80", "--compare", "iptables,nftables", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["outcomes"]
        assert [row["mode"] for row in rows] == ["iptables"] * 2 + ["nftables"] * 2
        assert {row["weight"] for row in rows} == {"1/2"}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--compare", "iptables,ebpf"], "there is no mode 'ebpf'"),
            (["--compare", ""], "there is no mode ''"),
            (["--pcap", ""], "cannot write"),
            (["--pcap", "-"], "needs the name of a file"),
            (["--all", "--reply"], "does not go with --reply"),
            (["--ways", ""], "--ways names no network plug-in"),
            (["--ways", ","], "--ways names no network plug-in"),
            (["--ways", "vxlan,bgp", "--cni", "ipip"], "does not go with --cni"),
            (["--to", "lb/api:80"], "has type ClusterIP"),
            (["--families", "IPv4,IPv6", "--family", "IPv6"], "svc/api:80 has no IPv6 address, only 10.96."),
            (
                ["--families", "IPv4,IPv6", "--family", "IPv6", "--to", "10.244.1.2:80"],
                "10.244.1.2:80 has no IPv6 address, only 10.244.1.2",
            ),
            (["--to", "svc/api:htpp"], 'no port named "htpp"'),
        ],
    )
    def test_mistakes(self, arguments: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "svc/api:80", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error and error.startswith("k8snet: ") and error.count("\n") == 1

    @pytest.mark.parametrize(("kind", "cni", "count", "seen"), [
        ("", "vxlan", 2, {"203.0.113.7"}), ("VIP", "vxlan", 2, {"203.0.113.7"}), ("Proxy", "vxlan", 2, {"192.168.50.1"}),
        ("ARP", "vxlan", 1, {"203.0.113.7"}), ("Pods", "bgp-tor", 2, {"192.168.50.1"}),
    ])  # fmt: skip
    def test_a_load_balancer(self, kind: str, cni: str, count: int, seen: set, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        spec = "{type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: api}, ports: [{port: 80, targetPort: http}]}"
        front = tmp_path / "front.yaml"
        front.write_text(f"apiVersion: v1\nkind: Service\nmetadata: {{name: front, namespace: shop}}\nspec: {spec}\n")
        words = ["--balancer-kind", kind] if kind else ["--balancer"]
        asked = ["--from", "client", "--to", "lb/front:80", "--all", "--json"]
        assert main(["trace", str(SHOP), str(front), *asked, "--cni", cni, *words]) == 0
        rows = json.loads(capsys.readouterr().out)["outcomes"]
        assert len(rows) == count and {row["source"] for row in rows} == seen
        assert main(["trace", str(SHOP), str(front), *asked, "--cni", "host-gw", "--balancer-kind", "Pods"]) == 2
        assert "with the plug-in host-gw the router knows no way" in capsys.readouterr().err

    def test_every_outcome_without_kube_proxy(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "pod/db:5432", "--all", "--proxy", "none"]) == 0
        assert ":5432 db" in capsys.readouterr().out

    def test_a_pod_called_client_is_told_from_the_one_outside(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        file = tmp_path / "client.yaml"
        file.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: client}\nspec: {containers: [{name: c, image: c}]}\n")
        assert main(["trace", str(file), "--from", "client", "--to", "node/node-a", "--proto", "icmp", "--short"]) == 0
        assert "note: client is Pod default/client here, and not somebody outside\n" in capsys.readouterr().err

    def test_no_proxy_means_no_way(self, capsys: pytest.CaptureFixture) -> None:
        assert main(["trace", "--from", "pod/web", "--to", "svc/api:80", "--proxy", "none"]) == 1
        assert "dropped" in capsys.readouterr().out
