"""The probe on machines that really refuse: each made inside a lab, where a process may take rights away from itself and its children."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from k8snetlib.lab import Lab, probe
from k8snetlib.linux.ops import NetnsAdd

ROOT = Path(__file__).parents[2]

UNSHARE = {"x86_64": 272, "aarch64": 97}  # include/uapi/asm-generic/unistd.h, arch/x86/entry/syscalls/syscall_64.tbl

SAY = "from k8snetlib.lab import probe; print(probe())"

# The instructions of a seccomp filter (seccomp(2)): unshare fails with EPERM, everything else is allowed.
SECCOMP = """
import ctypes, struct
number = NUMBER
program = struct.pack("HBBI", 0x20, 0, 0, 0) + struct.pack("HBBI", 0x15, 0, 1, number)
program += struct.pack("HBBI", 0x06, 0, 0, 0x00050001) + struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
code = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("HP", 4, ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""


def said(lab: Lab, code: str, before: str = "true") -> str:
    path = ":".join(entry for entry in (str(ROOT), *sys.path) if entry)
    words = f"{before} && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{path}' '{sys.executable}' -c '{code}'"
    return lab.exec("one", words, timeout=30).out.strip()


def test_a_lab_inside_a_lab(lab: Lab) -> None:
    lab.run([NetnsAdd("one")])
    assert said(lab, SAY) == probe().line


def test_user_namespaces_switched_off(lab: Lab) -> None:
    """The limit belongs to the user namespace, so a lab can set its own (namespaces(7))."""
    lab.run([NetnsAdd("one")])
    line = said(lab, SAY, before="echo 0 > /proc/sys/user/max_user_namespaces")
    assert "user.max_user_namespaces=0" in line and "sudo sysctl" in line


def test_a_seccomp_filter(lab: Lab) -> None:
    number = UNSHARE.get(platform.machine())
    if number is None:
        pytest.skip(f"the number of unshare(2) on {platform.machine()} is not known here")
    lab.run([NetnsAdd("one")])
    line = said(lab, SECCOMP.replace("NUMBER", str(number)) + SAY)
    assert "seccomp" in line


def test_no_proc_sys(lab: Lab) -> None:
    """As in most containers: /proc/sys read-only, and no fresh /proc to be had since the old one is partly covered."""
    lab.run([NetnsAdd("one")])
    covered = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && mount -t tmpfs none /proc/fs"
    line = said(lab, SAY, before=covered)
    assert "/proc/sys is read-only" in line
