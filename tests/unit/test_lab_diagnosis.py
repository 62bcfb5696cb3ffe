"""What a machine is told: from invented facts, without a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8snetlib.errors import LabError
from k8snetlib.lab import capabilities
from k8snetlib.lab.capabilities import FEATURES, TOOLS, Capabilities, Facts, diagnose
from k8snetlib.lab.client import Client
from k8snetlib.lab.trials import trials

ALL = dict.fromkeys(FEATURES, "")


def good(**different: object) -> Facts:
    facts = {"platform": "linux", "kernel": "6.18.4", "tools": frozenset(TOOLS), "trials": ALL}
    return Facts(**{**facts, **different})


def refused(stage: str, error: str, **more: object) -> Facts:
    return good(stage=stage, error=error, trials={}, **more)


def without(**failures: str) -> Facts:
    return good(trials={**ALL, **failures})


def test_a_good_machine() -> None:
    found = diagnose(good())
    assert found.available and bool(found) and all(found.features.values())
    assert str(found) == "Linux 6.18.4: the lab can do everything the course needs."
    assert found.has("vxlan", "nft")


NO_DEVICE = "Unknown device type"


@pytest.mark.parametrize(
    ("facts", "phrases"),
    [
        (Facts("darwin", "24.1.0"), ("macOS", "Binder")),
        (Facts("win32", "11"), ("Windows", "WSL 2")),
        (Facts("freebsd14", "14.1"), ("freebsd14", "Binder")),
        (good(pyroute2=False, trials={}), ("pip install pyroute2",)),
        (refused("pidfd_open", "ENOSYS", kernel="4.18.0"), ("Linux 5.3 or newer", "4.18.0")),
        (refused("unshare", "ENOSPC", max_user_namespaces=0), ("user.max_user_namespaces=0", "sysctl -w user.max_user_namespaces=10000")),
        (refused("unshare", "ENOSPC", max_user_namespaces=50), ("used up", "user.max_user_namespaces=50")),
        (refused("unshare", "EINVAL"), ("CONFIG_USER_NS",)),
        (refused("unshare", "EPERM", userns_clone=0), ("kernel.unprivileged_userns_clone=0", "unprivileged_userns_clone=1")),
        (refused("uid_map", "EPERM", apparmor_restrict=1), ("AppArmor", "Ubuntu 24.04", "apparmor_restrict_unprivileged_userns=0")),
        (refused("setgroups", "EACCES", apparmor_restrict=1), ("AppArmor",)),
        (refused("unshare", "EPERM", seccomp=2, container=True), ("seccomp", "seccomp=unconfined")),
        (refused("mount", "EPERM", container=True), ("container", "--privileged")),
        (refused("unshare", "EPERM", chroot=True), ("chroot",)),
        (refused("mount", "EIO"), ("“mount”", "EIO")),
        (refused("unshare", ""), ("no answer",)),
        (refused("helper", "ended unexpectedly: Killed"), ("helper process failed", "Killed")),
        (without(sysctl="Read-only file system"), ("/proc/sys is read-only",)),
        (without(veth=NO_DEVICE), ("veth", "sudo modprobe veth")),
        (without(bridge="Operation not permitted"), ("bridges failed", "Operation not permitted")),
        (without(packets="nothing was captured"), ("sending and capturing", "nothing was captured")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_why_the_lab_cannot_run(facts: Facts, phrases: tuple[str, ...]) -> None:
    found = diagnose(facts)
    assert not found.available and not found.has()
    assert "\n" not in found.line and found.line.startswith("The lab cannot run here")
    for phrase in phrases:
        assert phrase in found.line


@pytest.mark.parametrize(
    ("facts", "feature", "phrases"),
    [
        (without(vxlan=NO_DEVICE), "vxlan", ("VXLAN", "sudo modprobe vxlan")),
        (without(ipip="Operation not supported"), "ipip", ("IPIP", "sudo modprobe ipip")),
        (replace(without(ipip=NO_DEVICE), modules=False), "ipip", ("IPIP (not in this kernel, which loads no modules)",)),
        (replace(without(ipvs="not supported"), modules=False), "ipvs", ("IPVS (not in this kernel, which loads no modules)",)),
        (without(br_netfilter="No such file or directory"), "br_netfilter", ("bridged packets", "sudo modprobe br_netfilter")),
        (without(nft="Error: Could not process rule"), "nft", ("nftables (Error: Could not process rule)",)),
        (good(tools=frozenset(TOOLS) - {"nft"}, trials={**ALL, "nft": "No such file"}), "nft", ("nft is not installed", "nftables")),
        (good(tools=frozenset(TOOLS) - {"ip"}), "ip", ("ip is not installed", "package iproute2")),
        (good(tools=frozenset(TOOLS) - {"bridge"}), "ip", ("bridge is not installed",)),
        (
            good(tools=frozenset(TOOLS) - {"bird"}, trials={**ALL, "bird": "No such file"}),
            "bird",
            ("bird is not installed", "package bird2"),
        ),
        (without(bird="bird.conf:3:25 syntax error"), "bird", ("BIRD 2", "syntax error")),
        (without(iptables="table does not exist"), "iptables", ("iptables (table does not exist)",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing(facts: Facts, feature: str, phrases: tuple[str, ...]) -> None:
    found = diagnose(facts)
    assert found.available and not found.has(feature) and found.has()
    assert [name for name, works in found.features.items() if not works] == [feature]
    assert "\n" not in found.line and "but without" in found.line
    for phrase in phrases:
        assert phrase in found.line


def test_what_is_lacking_is_said_of_what_is_asked_for_alone() -> None:
    found = diagnose(replace(without(ipip=NO_DEVICE, nft="no"), modules=False))
    assert found.lacks() == found.lacks("vxlan", "iptables") == ""
    assert found.lacks("ipip") == "Linux 6.18.4 here is without IPIP (not in this kernel, which loads no modules)."
    assert found.lacks("nft", "ipip").endswith("modules) and nftables (no).")
    nothing = diagnose(Facts("darwin", "24.1.0"))
    assert nothing.lacks() == nothing.lacks("ipip") == nothing.line


def test_several_missing_things_are_one_sentence() -> None:
    line = diagnose(without(ipip=NO_DEVICE, vxlan=NO_DEVICE, nft="no")).line
    assert line.count(" and ") == 1 and line.count("modprobe") == 2 and line.endswith(").")


@pytest.mark.parametrize("restricted", [{"apparmor_restrict": 1}, {"userns_clone": 0}])
def test_what_binds_users_does_not_bind_root(restricted: dict) -> None:
    line = diagnose(refused("unshare", "EPERM", euid=0, container=True, **restricted)).line
    assert "container" in line and "AppArmor" not in line and "userns_clone" not in line


def test_another_system_is_told_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert "macOS" in capabilities.diagnose(capabilities.facts()).line
    with pytest.raises(LabError, match="darwin"):
        Client()


def test_the_probe_tries_every_feature_that_can_be_tried() -> None:
    """``namespaces`` is the helper's start itself, and ``ip`` a question of tools."""
    assert set(trials()) == set(FEATURES) - {"namespaces", "ip"}


def test_the_probe_gives_one_line_on_any_machine() -> None:
    found = capabilities.probe()
    assert isinstance(found, Capabilities) and found.line and "\n" not in found.line
    assert capabilities.probe() is found  # once per process
