"""The lab's helper process, from its start to its own namespaces; run by ``client.Client``, never imported by the library.

Two processes, so that nothing can outlive the lab::

    learner's process
    └── outer    waits, in a new user namespace; kills the inner one as soon as the learner's process is gone (pidfd)
        └── inner    process 1 of a new pid namespace: does the work; the kernel kills all its children with it,
                     and kills it when the outer one dies (PR_SET_PDEATHSIG)

Mounts, network devices and rules belong to namespaces that only these two hold, so the kernel frees them with the last process:
``SIGKILL`` of any of the three leaves nothing behind. The user who starts it becomes root of the new user namespace, with one
id mapped (user_namespaces(7)); no privilege is needed, and none beyond the new namespaces is gained.

Arguments: the number of the control socket, the learner's process id, then the import path to use.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, PR_SET_PDEATHSIG = 0x4000, 0x40000, 1

libc = ctypes.CDLL(None, use_errno=True)


class StageError(Exception):
    """One step of the start failed: ``args`` = (name of the step, errno)."""


def checked(stage: str, result: int) -> None:
    if result < 0:
        raise StageError(stage, ctypes.get_errno())


def new_namespaces() -> None:
    """Enter a new user namespace as its root, and beside it new mount, pid (for children) and network namespaces.

    With ``K8SNET_LAB_USERNS=0`` there is no new user namespace, which takes root, and belongs into a machine that is thrown away: a kernel
    such as 6.1 lets nobody set up IPVS from within one (GENL_ADMIN_PERM in ip_vs_ctl.c).
    """
    uid, gid = os.geteuid(), os.getegid()
    others = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET
    if os.environ.get("K8SNET_LAB_USERNS") == "0":
        checked("unshare", libc.unshare(others))
        return
    checked("unshare", libc.unshare(CLONE_NEWUSER | others))
    # user_namespaces(7): without privilege outside, gid_map can be written only once setgroups(2) is denied
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise StageError(name, error.errno) from None


def private_mounts() -> None:
    """A mount tree of our own: an empty /run (where ``ip netns`` keeps names and xtables its lock) and a /proc of this pid namespace."""
    checked("mount", libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    checked("mount /run", libc.mount(b"none", b"/run", b"tmpfs", 0, b"mode=755"))
    os.mkdir("/run/netns", 0o755)
    # A container whose /proc is partly covered may not mount a fresh one (mount_too_revealing in fs/namespace.c). The old one
    # serves too: /proc/sys/net shows the network namespace of the process that looks. Only process ids are then not our own.
    libc.mount(b"proc", b"/proc", b"proc", 0, None)


def inner(control: socket.socket, outer_lives: int) -> None:
    """Process 1: bind its life to the outer process, finish the namespaces, serve until the control socket closes."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if select.select([outer_lives], [], [], 0)[0]:  # its end of the pipe is closed: it died before the line above
        return
    private_mounts()
    import server

    server.serve(control)
    os._exit(0)  # nothing to tidy up that the kernel does not, and faster


def outer(parent: int, child: int) -> int:
    """Wait for the inner process; end it when the learner's process ends, however that happens."""
    own = os.pidfd_open(child)
    if parent in select.select([parent, own], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_parent(pid: int) -> int:
    try:
        parent = os.pidfd_open(pid)
    except OSError as error:
        raise StageError("pidfd_open", error.errno) from None
    if os.getppid() != pid:  # died meanwhile, and the number may be another process's by now
        sys.exit(1)
    return parent


def main() -> int:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
    sys.path += sys.argv[3:]
    import frames

    try:
        parent = open_parent(int(sys.argv[2]))
        new_namespaces()
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write_end)
            inner(control, read_end)
            os._exit(1)
    except StageError as error:
        frames.send(control, {"stage": error.args[0], "errno": error.args[1]})
        return 1
    os.close(read_end)
    control.close()
    return outer(parent, child)


if __name__ == "__main__":
    sys.exit(main())
