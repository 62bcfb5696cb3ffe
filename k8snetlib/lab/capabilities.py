"""What this machine can do for the lab, and if it cannot, why, and what would help.

``probe`` really makes the namespaces, devices and rule sets, in a helper that is thrown away; ``diagnose`` turns the facts it
found into words and is pure, so that every cause can be tested on any machine.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from ..errors import LabError
from ..value import value
from .client import Client, HelperStartError, Refused
from .trials import trials

FEATURES = MappingProxyType(
    {
        "namespaces": "network namespaces without root",
        "sysctl": "sysctls in a namespace",
        "veth": "veth pairs",
        "bridge": "bridges",
        "packets": "sending and capturing packets",
        "ipv6": "IPv6",
        "vxlan": "VXLAN",
        "ipip": "IPIP",
        "dummy": "dummy devices",
        "br_netfilter": "iptables for bridged packets",
        "iptables": "iptables",
        "ip6tables": "ip6tables",
        "nft": "nftables",
        "conntrack": "connection tracking",
        "ipset": "ipsets",
        "ipvs": "IPVS",
        "bird": "BIRD 2, which speaks BGP",
        "nginx": "nginx, which routes HTTP",
        "haproxy": "HAProxy, which routes HTTP",
        "ip": "the ip and bridge commands",
    }
)
REQUIRED = ("namespaces", "sysctl", "veth", "bridge", "packets")
TOOLS = MappingProxyType(  # and the packages that they come with
    {
        "ip": "iproute2",
        "bridge": "iproute2",
        "iptables-restore": "iptables",
        "ip6tables-restore": "iptables",
        "nft": "nftables",
        "ipset": "ipset",
        "ipvsadm": "ipvsadm",
        "bird": "bird2",
        "nginx": "nginx",
        "haproxy": "haproxy",
    }
)
OLDEST_KERNEL = (5, 3)  # pidfd_open, and net.bridge.* in each namespace

TEXT = {
    "all": "Linux {kernel}: the lab can do everything the course needs.",
    "most": "Linux {kernel}: the lab works, but without {missing}.",
    "lacks": "Linux {kernel} here is without {missing}.",
    "none": "The lab cannot run here, so results are recorded ones: {why}",
    "macos": "it needs a Linux kernel, and this is macOS; open the course on Binder, or in a Linux virtual machine.",
    "windows": "it needs a Linux kernel, and this is Windows; open the course on Binder, or in WSL 2.",
    "other": "it needs a Linux kernel, and this is {platform}; open the course on Binder, or in a Linux virtual machine.",
    "pyroute2": "the Python package pyroute2 is missing; install it with: pip install pyroute2",
    "kernel": "it needs Linux 5.3 or newer, and this is {kernel}.",
    "max_user_namespaces": "user namespaces are switched off (user.max_user_namespaces=0); an administrator can allow them: "
    "sudo sysctl -w user.max_user_namespaces=10000",
    "userns_limit": "the limit of user namespaces is used up (user.max_user_namespaces={limit}); close some programs, or raise it.",
    "userns_clone": "unprivileged user namespaces are switched off (kernel.unprivileged_userns_clone=0); an administrator can allow "
    "them: sudo sysctl -w kernel.unprivileged_userns_clone=1",
    "apparmor": "AppArmor restricts unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns=1, the default since "
    "Ubuntu 24.04); an administrator can allow them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    "seccomp": "this container's seccomp filter forbids new namespaces; start it with --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined, or run the course outside it.",
    "container": "this container may not make namespaces; start it with --privileged, or run the course outside it.",
    "chroot": "user namespaces cannot be made inside a chroot; run the course outside it.",
    "no_userns": "this kernel was built without user namespaces (CONFIG_USER_NS).",
    "helper": "its helper process failed: {error}",
    "stage": "the kernel refused the step \u201c{stage}\u201d ({error}).",
    "read_only": "/proc/sys is read-only here, as in most containers; start the container with --privileged, or run the course outside it.",
    "trial": "{feature} failed ({words}).",
    "module": "{feature} (this kernel has no {module} module loaded; an administrator can load it: sudo modprobe {module})",
    "asked": "{feature} (this kernel found no module {module}; where one is installed but barred, an administrator can load it: "
    "sudo modprobe {module})",
    "built": "{feature} (not in this kernel, which loads no modules)",
    "tool": "{feature} ({tool} is not installed; it comes with the package {package})",
    "refused": "{feature} ({words})",
    "and": " and ",
}
# Of these a kernel asks for the module by itself, also on behalf of a user namespace (rtnl-link-KIND in rtnl_newlink, net/core/rtnetlink.c).
DEVICES = ("veth", "bridge", "vxlan", "ipip", "dummy")
MODULES = MappingProxyType({name: name for name in (*DEVICES, "br_netfilter")} | {"ipset": "ip_set", "ipvs": "ip_vs"})


@value
class Facts:
    """What was found out about a machine, before any judgement.

    ``stage`` and ``error`` say which step of the helper's start failed and with which errno's name. ``trials`` has an entry for
    each feature that was tried: "" or the kernel's words. Sysctls that do not exist are None. ``modules``: the kernel can load some.
    """

    platform: str
    kernel: str
    euid: int = 1000
    pyroute2: bool = True
    stage: str = ""
    error: str = ""
    max_user_namespaces: int | None = None
    userns_clone: int | None = None
    apparmor_restrict: int | None = None
    seccomp: int = 0
    container: bool = False
    chroot: bool = False
    tools: frozenset[str] = frozenset()
    trials: Mapping[str, str] = field(default_factory=dict)
    modules: bool = True


@value
class Capabilities:
    """Whether the lab can run (``available``), which features work, and one line that says so, or why not and what to do.

    ``missing`` has the words for each feature that does not work where the lab runs.
    """

    available: bool
    features: Mapping[str, bool]
    line: str
    kernel: str
    missing: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.available

    def __str__(self) -> str:
        return self.line

    def has(self, *features: str) -> bool:
        """Whether the lab runs and has all of these features (see ``FEATURES``)."""
        return self.available and all(self.features[feature] for feature in features)

    def lacks(self, *features: str) -> str:
        """One sentence on why not all of these features work, "" if they do."""
        if not self.available:
            return self.line
        wanting = [self.missing[feature] for feature in self.missing if feature in features]
        return TEXT["lacks"].format(kernel=self.kernel, missing=_listed(wanting)) if wanting else ""


@cache
def probe() -> Capabilities:
    """Try everything once in this process (about half a second), and say what works."""
    return diagnose(facts())


def diagnose(found: Facts) -> Capabilities:
    """From facts to a judgement in one line. Pure."""
    features = {name: found.trials.get(name) == "" for name in FEATURES}
    features["namespaces"] = not _no_start(found)
    features["ip"] = {"ip", "bridge"} <= found.tools
    why = _no_start(found) or _no_basics(found)
    if why:
        line = TEXT["none"].format(why=why)
    missing = {} if why else {name: _missing(found, name) for name in FEATURES if not features[name]}
    if missing:
        line = TEXT["most"].format(kernel=found.kernel, missing=_listed(list(missing.values())))
    elif not why:
        line = TEXT["all"].format(kernel=found.kernel)
    return Capabilities(not why, MappingProxyType(features), line, found.kernel, MappingProxyType(missing))


def _listed(words: list[str]) -> str:
    return TEXT["and"].join(filter(None, (", ".join(words[:-1]), words[-1])))


def _no_start(found: Facts) -> str:
    """Why the helper does not even start; "" if it does."""
    if found.platform != "linux":
        key = {"darwin": "macos", "win32": "windows"}.get(found.platform, "other")
        return TEXT[key].format(platform=found.platform)
    if not found.pyroute2:
        return TEXT["pyroute2"]
    if not found.stage:
        return ""
    if found.stage == "pidfd_open" and _version(found.kernel) < OLDEST_KERNEL:
        return TEXT["kernel"].format(kernel=found.kernel)
    return TEXT["helper"].format(error=found.error) if found.stage == "helper" else _no_user_namespace(found)


def _no_user_namespace(found: Facts) -> str:
    """The likeliest cause of a refused step, most specific first (errors of unshare(2) and user_namespaces(7))."""
    denied = found.error in ("EPERM", "EACCES")
    if found.error in ("ENOSPC", "EUSERS") or found.max_user_namespaces == 0:
        return TEXT["userns_limit"].format(limit=found.max_user_namespaces) if found.max_user_namespaces else TEXT["max_user_namespaces"]
    if found.stage == "unshare" and found.error in ("EINVAL", "ENOSYS"):
        return TEXT["no_userns"]
    if denied and found.userns_clone == 0 and found.euid:
        return TEXT["userns_clone"]
    if denied and found.apparmor_restrict and found.euid:
        return TEXT["apparmor"]
    if denied and found.seccomp == 2:
        return TEXT["seccomp"]
    if denied and found.container:
        return TEXT["container"]
    if found.stage == "unshare" and found.error == "EPERM" and found.chroot:
        return TEXT["chroot"]
    return TEXT["stage"].format(stage=found.stage, error=found.error or "no answer")


def _no_basics(found: Facts) -> str:
    """Why a lab that starts is still of no use; "" if the required features work."""
    failed = next((name for name in REQUIRED[1:] if found.trials.get(name) != ""), None)
    if failed is None:
        return ""
    words = found.trials.get(failed, "")
    if failed == "sysctl" and "Read-only" in words:
        return TEXT["read_only"]
    if _no_module(words) and failed in MODULES:
        return _without_module(found, failed) + "."
    return TEXT["trial"].format(feature=FEATURES[failed], words=words or "not tried")


def _missing(found: Facts, name: str) -> str:
    """A feature that is missing, with the reason and the remedy in brackets."""
    tools = {
        "iptables": "iptables-restore",
        "ip6tables": "ip6tables-restore",
        "nft": "nft",
        "ipset": "ipset",
        "ipvs": "ipvsadm",
        "bird": "bird",
        "nginx": "nginx",
        "haproxy": "haproxy",
    }
    if name == "ip":
        tool = next(tool for tool in ("ip", "bridge") if tool not in found.tools)
        return TEXT["tool"].format(feature=FEATURES[name], tool=tool, package=TOOLS[tool])
    if name in tools and tools[name] not in found.tools:
        return TEXT["tool"].format(feature=FEATURES[name], tool=tools[name], package=TOOLS[tools[name]])
    words = found.trials.get(name, "not tried")
    if name in MODULES and _no_module(words):
        return _without_module(found, name)
    return TEXT["refused"].format(feature=FEATURES[name], words=words)


def _without_module(found: Facts, name: str) -> str:
    key = "built" if not found.modules else "asked" if name in DEVICES else "module"
    return TEXT[key].format(feature=FEATURES[name], module=MODULES[name])


def _no_module(words: str) -> bool:
    return any(
        sign in words
        for sign in ("Unknown device type", "not supported", "No such file or directory", "Can't initialize ipvs", "not found in directory")
    )


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:2])


# ── finding the facts ──


def facts() -> Facts:
    """Look around, start a helper and try every feature in it."""
    if not sys.platform.startswith("linux"):
        return Facts(sys.platform, platform.release())
    stage, error, tried = _try_all() if find_spec("pyroute2") else ("", "", {})
    return Facts(
        "linux",
        platform.release(),
        os.geteuid(),
        find_spec("pyroute2") is not None,
        stage,
        error,
        _read_int("/proc/sys/user/max_user_namespaces"),
        _read_int("/proc/sys/kernel/unprivileged_userns_clone"),
        _read_int("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        _seccomp(),
        any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")) or "KUBERNETES_SERVICE_HOST" in os.environ,
        _in_chroot(),
        frozenset(tool for tool in TOOLS if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")),
        MappingProxyType(tried),
        Path("/proc/modules").exists(),  # CONFIG_MODULES (kernel/module/procfs.c)
    )


def _read_int(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def _seccomp() -> int:
    """0 none, 1 strict, 2 a filter (proc(5))."""
    found = re.search(r"^Seccomp:\s+(\d)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _in_chroot() -> bool:
    """Whether our / is not the root of our mount namespace: its mount is then missing from the list of visible mounts."""
    try:
        return not any(line.split()[4] == "/" for line in Path("/proc/self/mountinfo").read_text().splitlines())
    except OSError:
        return False


def _try_all() -> tuple[str, str, dict[str, str]]:
    try:
        client = Client()
    except HelperStartError as refused:
        return refused.stage, errno.errorcode.get(refused.errno, ""), {}
    except LabError as error:
        return "helper", str(error), {}
    try:
        return "", "", {name: _try(client, batch) for name, batch in trials().items()}
    finally:
        client.close()


def _try(client: Client, batch: list[tuple[str, dict]]) -> str:
    """ "" if every request of the batch was carried out, else the words of the first that was not."""
    try:
        results = client.ask(batch)
    except Refused as refused:
        return refused.message
    failed = next((result for result in results if isinstance(result, dict) and result.get("code")), None)
    if failed:
        return (failed["err"].decode(errors="replace").strip().splitlines() or [f"exit status {failed['code']}"])[0]
    sent = next((result for result in results if isinstance(result, dict) and "frames" in result), None)
    return "nothing was captured" if sent is not None and not sent["frames"] else ""
