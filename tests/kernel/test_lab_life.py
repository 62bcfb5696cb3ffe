"""The lab leaves nothing behind, however it ends, touches nothing outside, and needs no root."""

from __future__ import annotations

import gc
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from k8snetlib.errors import LabError
from k8snetlib.lab import Lab, probe
from k8snetlib.linux.ops import LinkAdd, NetnsAdd

ROOT = Path(__file__).parents[2]

KEEPS_A_LAB = """
import os, sys, time
from k8snetlib.lab import Lab
from k8snetlib.linux.ops import LinkAdd, NetnsAdd
lab = Lab([NetnsAdd("one"), NetnsAdd("two"), LinkAdd("one", "eth0", "veth", peer=("two", "eth0"))])
lab.exec("one", "sleep 600 &")
print(lab.helper_pid, flush=True)
time.sleep(600)
"""

ROOTLESS = """
import json, os, sys
from conftest import cluster
from k8snetlib.lab import Lab, probe
with Lab(cluster()) as lab:
    said = {
        "uid": os.getuid(),
        "ping": lab.ping("pod-12", "10.244.2.2").ok,
        "source": str(lab.connect("pod-12", "tcp", "fd00:244:2::3", 8080).source),
        "rules": lab.exec("node-a", "iptables -t nat -A POSTROUTING -j MASQUERADE; iptables-save -t nat").out,
        "line": str(probe()),
        "bird": probe().has("bird"),
    }
print(json.dumps(said))
"""


def children(pid: int) -> list[int]:
    """Processes below this one, all levels."""
    try:
        direct = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [each for child in direct for each in (child, *children(child))]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which only waits for its parent to look, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def outside() -> tuple:
    """What a lab could leave on the machine: devices, mounts, named namespaces."""
    named = Path("/run/netns")
    return (
        sorted(os.listdir("/sys/class/net")),
        Path("/proc/self/mountinfo").read_text(),
        sorted(os.listdir(named)) if named.exists() else None,
    )


def keeper() -> tuple[subprocess.Popen, list[int]]:
    """A process that keeps a lab, and the lab's processes: outer, inner, and a program in a namespace."""
    process = subprocess.Popen([sys.executable, "-c", KEEPS_A_LAB], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    outer = int(process.stdout.readline())
    return process, [outer, *children(outer)]


def test_close_ends_every_process() -> None:
    lab = Lab([NetnsAdd("one")])
    lab.exec("one", "sleep 600 &")
    pids = [lab.helper_pid, *children(lab.helper_pid)]
    assert len(pids) == 3
    lab.close()
    assert wait_until_gone(pids) == []
    lab.close()  # closing twice is no mistake
    with pytest.raises(LabError, match="closed"):
        lab.run([NetnsAdd("two")])


def test_a_lab_that_nobody_holds_ends() -> None:
    lab = Lab([NetnsAdd("one")])
    pids = [lab.helper_pid, *children(lab.helper_pid)]
    del lab
    gc.collect()
    assert wait_until_gone(pids) == []


@pytest.mark.parametrize("victim", ["learner", "outer", "inner"])
def test_killing_any_process_ends_all(victim: str) -> None:
    before = outside()
    process, pids = keeper()
    assert len(pids) == 3
    os.kill({"learner": process.pid, "outer": pids[0], "inner": pids[1]}[victim], signal.SIGKILL)
    assert wait_until_gone(pids) == []
    process.kill()
    process.wait()
    process.stdout.close()
    assert outside() == before


def test_the_dead_helper_is_reported() -> None:
    with Lab([NetnsAdd("one")]) as lab:
        os.kill(children(lab.helper_pid)[0], signal.SIGKILL)
        with pytest.raises(LabError, match="ended unexpectedly"):
            lab.exec("one", "true")


def test_nothing_outside_changes_while_a_lab_is_up(two_nodes) -> None:
    before = outside()
    with Lab(two_nodes()) as lab:
        assert outside() == before
        assert set(lab.exec("node-a", "ls /run/netns").out.split()) == set(lab.namespaces)
    assert outside() == before


def test_two_labs_do_not_meet() -> None:
    ops = [NetnsAdd("one"), LinkAdd("one", "br0", "bridge")]
    with Lab(ops) as first, Lab(ops) as second:
        first.exec("one", "ip link set dev br0 up && ip addr add 192.0.2.1/24 dev br0")
        assert first.ping("one", "192.0.2.1").ok
        assert second.ping("one", "192.0.2.1").error == "ENETUNREACH"
        assert second.state("one").interfaces["br0"].addresses == ()


def test_clear_gives_an_empty_lab(two_nodes) -> None:
    with Lab(two_nodes()) as lab:
        lab.clear()
        assert lab.namespaces == ()
        lab.run(two_nodes())
        assert lab.ping("pod-12", "10.244.2.3").ok
        assert lab.accepted() == ()


def test_an_interrupted_question_closes_the_lab() -> None:
    """The answer to an interrupted question must not be taken for that of the next one."""
    with Lab([NetnsAdd("one")]) as lab:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            lab.exec("one", "sleep 5")
        with pytest.raises(LabError, match="closed"):
            lab.exec("one", "true")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_user_without_privileges_has_the_same_lab() -> None:
    """Run as nobody where the tests run as root; elsewhere every test of this folder is such a run."""
    if os.geteuid() != 0:
        pytest.skip("not root: all of these tests already run without privileges")
    nobody = pwd.getpwnam("nobody")
    packages = Path(find_spec("pyroute2").origin).parents[1]
    path = os.pathsep.join(map(str, (ROOT, Path(__file__).parent, packages, *_packages_beside(packages))))
    environment = {"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    python = next((p for p in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3") if _usable(p, nobody, environment)), None)
    if python is None:
        pytest.skip("no Python of this version that user nobody may run")
    ran = _as(nobody, [python, "-c", ROOTLESS], environment)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["uid"] == nobody.pw_uid
    assert said["ping"] and said["source"] == "fd00:244:1::2"
    assert "-A POSTROUTING -j MASQUERADE" in said["rules"]
    assert said["line"].startswith("Linux")
    assert said["bird"] == probe().has("bird")


def _packages_beside(packages: Path) -> list[Path]:
    """Where pytest lies, if not beside pyroute2: conftest.py imports it."""
    found = Path(pytest.__file__).parents[1]
    return [] if found == packages else [found]


def _as(user: pwd.struct_passwd, argv: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, timeout=60, **who)


def _usable(python: str, user: pwd.struct_passwd, environment: dict[str, str]) -> bool:
    check = f"import sys, pyroute2, pytest, k8snetlib; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    try:
        return _as(user, [python, "-c", check], environment).returncode == 0
    except (PermissionError, FileNotFoundError):
        return False
